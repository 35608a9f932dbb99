"""Column lineage: which columns every column of our SELECTs is made of.

To tell it takes sqlglot, a minute and a warehouse, so it is told once and written down:
`python -m edpipeline.warehouse.lineage` writes sql/lineage.jsonl, and a test compares. A SELECT
that was changed since has no lineage, rather than a wrong one.

A column counts where its value goes into the other: what is only joined on or filtered by does not.
Where rows are made of a wide file's columns, each is seen to be made of all of them: more than
`MANY` columns of a table are written as `schema.table.*`.
"""

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from edpipeline.model import Source
from edpipeline.warehouse.engine import Warehouse, open_warehouse
from edpipeline.warehouse.marts import Mart, make_marts, marts
from edpipeline.warehouse.results import SCHEMA, UNITED
from edpipeline.warehouse.schema import prepare

FILE = "lineage.jsonl"
"""In the folder of SQL; each line is one SELECT."""
VIEW_OF_CURRENT = "current_"
MANY = 9
ALL_COLUMNS = "*"

Origins = Mapping[str, tuple[str, ...]]
"""What columns are made of, by column: each `schema.table.column`, sorted; nothing of constants."""
Types = Mapping[str, Mapping[str, Mapping[str, str]]]
"""Types by schema, table and column."""


def lineage(found: Sequence[Mart], sql_folder: Path) -> dict[str, Origins]:
    """The lineage of marts by their full name, as it is written down; none of marts that are not.

    Origins are columns of histories, of ops or of other marts. Views are seen through.
    """
    texts = _selects(found, sql_folder)
    valid = {
        name: {column: tuple(origins) for column, origins in columns.items()}
        for name, columns in _written(texts, sql_folder).items()
    }
    results = {
        f"{SCHEMA}.{name.removeprefix('results/')}_results": valid.get(name, {})
        for name in texts
        if name.startswith("results/")
    }
    return {
        mart.full_name: _through(valid[f"marts/{mart.name}"], results)
        for mart in found
        if f"marts/{mart.name}" in valid
    }


def _through(origins: Origins, results: Mapping[str, Origins]) -> Origins:
    """Origins in which a column of a view over results is what it is in each source's files."""
    views = {view: [made_of] for view, made_of in results.items()}
    views[UNITED] = list(results.values())

    def seen(origin: str) -> Iterator[str]:
        view, _, column = origin.rpartition(".")
        if view not in views:
            yield origin
        for made_of in views.get(view, ()):
            yield from made_of.get(column, ())

    return {
        column: tuple(sorted({each for origin in told for each in seen(origin)}))
        for column, told in origins.items()
    }


def _written(texts: Mapping[str, str], sql_folder: Path) -> dict[str, dict[str, list[str]]]:
    """What is written down of the SELECTs that have not changed since."""
    path = sql_folder / FILE
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    return {
        told["select"]: told["columns"]
        for told in map(json.loads, lines)
        if _digest(texts.get(told["select"], "")) == told["sha256"]
    }


def _selects(found: Sequence[Mart], sql_folder: Path) -> dict[str, str]:
    results = sorted((sql_folder / "results").glob("*.sql"))
    return {f"marts/{mart.name}": mart.sql for mart in found} | {
        f"results/{path.stem}": path.read_text("utf-8") for path in results
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def columns_made_of(sql: str, schema: Types) -> dict[str, list[str]]:
    """What every column of a SELECT is made of."""
    from sqlglot import exp
    from sqlglot.lineage import lineage as traced

    made_of = {}
    for column, node in traced(None, sql, {**schema}, dialect="duckdb").items():
        ends = [each for each in node.walk() if not each.downstream]
        found = {
            (
                f"{end.source.db}.{end.source.name.removeprefix(VIEW_OF_CURRENT)}",
                end.name.rpartition(".")[2],
            )
            for end in ends
            if isinstance(end.source, exp.Table)
        }
        counts = Counter(table for table, _ in found)
        made_of[column] = sorted(
            {f"{table}.{name if counts[table] <= MANY else ALL_COLUMNS}" for table, name in found}
        )
    return made_of


def columns_of_warehouse(warehouse: Warehouse) -> Types:
    """Every table and view of a warehouse on DuckDB."""
    with warehouse.transaction() as session:
        columns = session.rows(
            "select schema_name, table_name, column_name, lower(data_type)"
            " from duckdb_columns() where not internal"
        )
    schema: dict[str, dict[str, dict[str, str]]] = {}
    for name, table, column, kind in columns:
        schema.setdefault(name, {}).setdefault(table, {})[column] = kind
    return schema


def write(sources: Sequence[Source], sql_folder: Path) -> None:
    """Write the lineage of every SELECT that is new or has changed into the folder of SQL; without
    the file, of all."""
    texts = _selects(marts(sql_folder), sql_folder)
    made_of = _written(texts, sql_folder)
    with tempfile.TemporaryDirectory(prefix="edpipeline-lineage-") as folder:
        warehouse = open_warehouse(f"duckdb:///{folder}/empty.duckdb")
        prepare(warehouse, sources, sql_folder)
        make_marts(warehouse, marts(sql_folder))
        schema = columns_of_warehouse(warehouse)
    for name in texts.keys() - made_of.keys():
        made_of[name] = columns_made_of(texts[name], schema)
    lines = [
        json.dumps({"select": name, "sha256": _digest(text), "columns": made_of[name]})
        for name, text in sorted(texts.items())
    ]
    (sql_folder / FILE).write_text("".join(f"{line}\n" for line in lines), "utf-8")


if __name__ == "__main__":
    from edpipeline.sources import ALL

    write(ALL, Path(__file__).parents[2] / "sql")
