"""What a SELECT of ours reads, and how it is narrowed to one district."""

import re
from collections.abc import Mapping, Sequence
from functools import cache

from edpipeline.errors import BadConfiguration


@cache
def tables_read(sql: str, file: str) -> tuple[str, ...]:
    """What a SELECT reads, as `schema.table`; raises `BadConfiguration` where it is none."""
    import duckdb

    with duckdb.connect() as connection:
        try:
            names = connection.get_table_names(sql, qualified=True)
        except duckdb.Error as error:
            raise BadConfiguration(f"{file} is not a SELECT: {error}") from error
    # DuckDB gives an aliased table as `schema.table AS alias`.
    return tuple(sorted({re.split(r"\s+as\s+", name, flags=re.I)[0] for name in names}))


def narrowed(
    sql: str, tables: Sequence[str], file: str, instead: Mapping[str, str] | None = None
) -> str:
    """A SELECT with every input narrowed to the district of the parameter `$district`.

    `instead` names what is read in place of a table.

    No planner of either database pushes the district through every window and every common table
    expression; a narrowed input leaves it nothing to find out.
    """
    narrow = sql
    for table in tables:
        read = (instead or {}).get(table, table)
        of_district = rf"\1 (select * from {read} where district_id = $district)"
        pattern = rf"\b{re.escape(table)}\b"
        narrow, count = re.subn(rf"\b(from|join)\s+{pattern}", of_district, narrow)
        if count != len(re.findall(pattern, sql)):
            raise BadConfiguration(
                f"{file}: write `from {table} alias` or `join {table} alias` wherever it is read,"
                " and the alias before its columns"
            )
    return narrow
