"""What a SELECT of ours reads, and how it is narrowed to one district."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from edpipeline.errors import BadConfiguration

if TYPE_CHECKING:
    import duckdb


@cache
def tables_read(sql: str, file: str) -> tuple[str, ...]:
    """What a SELECT reads, as `schema.table`; raises `BadConfiguration` where it is none."""
    import duckdb

    with _reader().cursor() as connection:
        try:
            names = connection.get_table_names(sql, qualified=True)
        except duckdb.Error as error:
            raise BadConfiguration(f"{file} is not a SELECT: {error}") from error
    # DuckDB gives an aliased table as `schema.table AS alias`, and quotes names that are words of
    # SQL, such as "catalog".
    plain = {re.split(r"\s+as\s+", name, flags=re.I)[0].replace('"', "") for name in names}
    return tuple(sorted(plain))


@cache
def _reader() -> "duckdb.DuckDBPyConnection":
    """An empty database in memory, to read SQL with: to open one takes ten times as long as to
    read a SELECT of ours, and whoever reads one reads a hundred."""
    import duckdb

    return duckdb.connect(config={"threads": 1})


def narrowed(
    sql: str, tables: Sequence[str], file: str, instead: Mapping[str, str] | None = None
) -> str:
    """A SELECT with every input narrowed to the district of the parameter `$district`.

    `instead` names what is read in place of a table.

    No planner of either database pushes the district through every window and every common table
    expression; a narrowed input leaves it nothing to find out.
    """
    given = instead or {}
    narrow = {
        table: f"(select * from {given.get(table, table)} where district_id = $district)"
        for table in tables
    }
    return read_instead(sql, narrow, tables, file)


def read_instead(sql: str, instead: Mapping[str, str], tables: Sequence[str], file: str) -> str:
    """A SELECT that reads something else in place of some of its tables.

    Raises BadConfiguration where a table is named in another way than we can see.
    """
    for table in tables:
        if table not in instead:
            continue
        pattern = rf"\b{re.escape(table)}\b"
        before = len(re.findall(pattern, sql))
        sql, count = re.subn(rf"\b(from|join)\s+{pattern}", rf"\1 {instead[table]}", sql)
        if count != before:
            raise BadConfiguration(
                f"{file}: write `from {table} alias` or `join {table} alias` wherever it is read,"
                " and the alias before its columns"
            )
    return sql
