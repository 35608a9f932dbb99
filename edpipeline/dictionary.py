"""The data dictionary: every table and column, as Markdown, from the declarations.

What is written here nobody keeps up by hand: docs/dictionary.md and docs/codes.md are made by
`python -m edpipeline.dictionary`, and a test compares them.
"""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from edpipeline.model import Column, Edition, Source, Table
from edpipeline.validation.codes import CODES, Level
from edpipeline.warehouse.engine import open_warehouse
from edpipeline.warehouse.marts import Mart, make_marts, marts
from edpipeline.warehouse.schema import HISTORY_COLUMNS, prepare

MADE_BY = "<!-- Made by `python -m edpipeline.dictionary`; do not edit. -->"

CLASSES: Mapping[str, str] = {
    "none": "",
    "indirect": "indirect",
    "direct": "**direct**",
    "secret": "**secret**",
}

INTRODUCTION = """\
Five schemas. Ask **marts** first: tables for analysts, recomputed after each load. **roster**
is what the districts delivered, **assessments** what they uploaded or had pulled, and
**external_tests** what polls brought, as histories. **ops** tells what came, what was rejected and
why. Every table begins with `district_id`; keys are unique within a district. The same text stands
as comments in the warehouse.

Personal data: **direct** identifies a person by itself (names, numbers, e-mail addresses);
indirect says something about a person, or identifies one together with other data; **secret** is
read past and never stored.
"""

HISTORY_INTRODUCTION = """\
Each table of **roster**, **assessments** and **external_tests** is a history: one row per version
of a record. The row that holds now has no `valid_to`; `current_<table>` is a view of those rows
without the ones marked `tobedeleted`. On a day, the rows with
`valid_from <= day and (valid_to is null or valid_to > day)` held.

Every such table also has:
"""

ROSTER_INTRODUCTION = """\
How the columns below stand in the files of each edition: required (a row without a value is
rejected), optional, delta (required in delta files, blank in bulk files), or not there (-).
Names in brackets after a header are other headers that are read as this one.
"""

RESULTS_INTRODUCTION = """\
The rows as the vendor writes them. `assessments.{source}_results` is a view of the latest version
of each in the shape that all sources share, `assessments.results` of all sources together; what
its columns mean stands at `marts.fct_assessment_result`.

Headers are those of the newest edition that has the table; where only older ones have the column,
that of the newest of these, which is named in brackets. Capitals, blanks and punctuation of headers
do not matter. A column without a header is made of others.

Editions, one of which each file is read as:
"""

LEVELS: Mapping[Level, str] = {
    "row": "An error rejects the row; a warning keeps it.",
    "file": "An error refuses the file, and its table stays as it was; a warning keeps it.",
    "delivery": "An error refuses the whole delivery; a warning keeps it.",
}


def dictionary_markdown(sources: Sequence[Source], sql_folder: Path) -> str:
    """Every table of the warehouse, its grain and key, and every column with type and meaning."""
    found = marts(sql_folder)
    ops, types = _described(sources, found, sql_folder)
    parts = ["# Data dictionary", MADE_BY, INTRODUCTION, "## marts"]
    parts += [_mart(mart, types) for mart in found]
    parts += ["## Histories", HISTORY_INTRODUCTION, _history()]
    for source in sources:
        parts.append(f"## {source.schema}: {source.title}")
        parts += _uploaded(source) if source.holds_results else _rostered(source)
    parts.append("## ops")
    parts += [_ops_table(name, grain, columns) for name, grain, columns in ops]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def codes_markdown() -> str:
    """Every code that a report can show, by what it is about."""
    parts = [
        "# Codes",
        MADE_BY,
        "Every finding of a sync report bears one of these codes. They are stable: a code is never"
        " given another meaning, so districts may filter on them.",
    ]
    for level, text in LEVELS.items():
        known = sorted(
            (code for code in CODES.values() if code.level == level),
            key=lambda code: (code.severity, code.name),
        )
        rows = ((f"`{c.name}`", c.severity, c.meaning, c.remedy) for c in known)
        table = _grid(("code", "severity", "what was found", "what to do"), rows)
        parts += [f"## About a {level}", text, table]
    return "\n\n".join(parts) + "\n"


def _mart(mart: Mart, types: Mapping[str, Mapping[str, str]]) -> str:
    kinds = types[mart.full_name]
    rows = (
        (f"`{name}`", kinds[name], CLASSES[mart.personal.get(name, "none")], text)
        for name, text in mart.columns.items()
    )
    reads = ", ".join(f"`{name}`" for name in mart.depends_on)
    parts = [
        f"### {mart.full_name}",
        mart.grain,
        f"Key: {_names(mart.key)}. Computed from {reads}.",
        _grid(("column", "type", "personal", "meaning"), rows),
        mart.notes,
    ]
    return "\n\n".join(part for part in parts if part)


def _history() -> str:
    rows = ((f"`{name}`", kind, text) for name, (kind, text) in HISTORY_COLUMNS.items())
    return _grid(("column", "type", "meaning"), rows)


def _rostered(source: Source) -> list[str]:
    return [ROSTER_INTRODUCTION, *(_table(table, source.editions) for table in source.tables)]


def _uploaded(source: Source) -> list[str]:
    listed = (
        (f"`{edition.name}`", edition.label, _names(edition.headers)) for edition in source.editions
    )
    return [
        RESULTS_INTRODUCTION.format(source=source.name),
        _grid(("edition", "file", "tables"), listed),
        *(_results_table(table, source.editions) for table in source.tables),
    ]


def _results_table(table: Table, editions: Sequence[Edition]) -> str:
    kept = [edition for edition in editions if table.name in edition.headers]
    found = ", else ".join(f"({_names(columns)})" for columns in table.built_keys)
    rows = (
        (
            f"`{column.name}`",
            column.sql_type if column.stored else "not stored",
            _headers(column, table, kept),
            CLASSES[column.personal],
            column.description,
        )
        for column in table.columns
    )
    parts = [
        *_about(table),
        f"`{table.key}` is built from the first of these whose columns are all filled: {found}.",
        _grid(("column", "type", "header", "personal", "meaning"), rows),
    ]
    return "\n\n".join(parts)


def _headers(column: Column, table: Table, editions: Sequence[Edition]) -> str:
    """What the newest edition that has the column calls it; editions begin with the newest."""
    for edition in editions:
        fields = edition.headers[table.name]
        found = dict.fromkeys(f"`{f.header}`" for f in fields if f.column == column.name)
        if found:
            older = "" if edition is editions[0] else f" ({edition.name})"
            return ", ".join(found) + older
    return "-"


def _about(table: Table) -> list[str]:
    return [
        f"### {table.full_name}",
        f"{table.grain[0].upper()}{table.grain[1:]}, and version. File: `{table.file}`."
        f" Key: `district_id`, `{table.key}`, `valid_from`.",
    ]


def _table(table: Table, editions: Sequence[Edition]) -> str:
    parts = _about(table)
    if table.derived_key:
        parts.append(
            f"Where an edition has no `{table.column(table.key).header}`, it is built from"
            f" {_names(table.derived_key)}, joined by `:`."
        )
    head = ("column", "type", "header", *(e.title for e in editions), "personal", "meaning")
    parts.append(_grid(head, (_column(column, table, editions) for column in table.columns)))
    return "\n\n".join(parts)


def _column(column: Column, table: Table, editions: Sequence[Edition]) -> tuple[str, ...]:
    header = f"`{column.header}`"
    if column.aliases:
        header += f" ({', '.join(column.aliases)})"
    rules = [edition.rule(table.name, column.name) for edition in editions]
    return (
        f"`{column.name}`",
        column.sql_type if column.stored else "not stored",
        header,
        *(rule.presence if rule else "-" for rule in rules),
        CLASSES[column.personal],
        " ".join([column.description, *_values(column, table, editions), *_target(column)]),
    )


def _values(column: Column, table: Table, editions: Sequence[Edition]) -> list[str]:
    """What is allowed, once where all editions agree."""
    found: dict[tuple[str, ...], list[str]] = {}
    for edition in editions:
        rule = edition.rule(table.name, column.name)
        if rule is not None and rule.values:
            found.setdefault(rule.values, []).append(edition.title)
    said = [
        f"Allowed{'' if len(found) == 1 else f' in {_and(titles)}'}: {', '.join(values)}."
        for values, titles in found.items()
    ]
    if column.extensible:
        said.append("OneRoster 1.2 also takes values that begin with `ext:`.")
    return said


def _target(column: Column) -> list[str]:
    if column.references is None:
        return []
    must = "must be there" if column.references.required else "a missing one is warned of"
    return [f"Names a record of {column.references.table}: {must}."]


def _ops_table(name: str, grain: str, columns: Iterable[tuple[str, str, str]]) -> str:
    rows = ((f"`{column}`", kind, text) for column, kind, text in columns)
    return "\n\n".join([f"### {name}", grain, _grid(("column", "type", "meaning"), rows)])


_OpsTable = tuple[str, str, list[tuple[str, str, str]]]


def _described(
    sources: Sequence[Source], found: Sequence[Mart], sql_folder: Path
) -> tuple[list[_OpsTable], dict[str, dict[str, str]]]:
    """Tables of ops with their comments, and column types by table, from a warehouse made anew."""
    with tempfile.TemporaryDirectory(prefix="edpipeline-dictionary-") as folder:
        warehouse = open_warehouse(f"duckdb:///{folder}/empty.duckdb")
        prepare(warehouse, sources, sql_folder)
        make_marts(warehouse, found)
        with warehouse.transaction() as session:
            tables = session.rows(
                "select table_name, coalesce(comment, '') from duckdb_tables()"
                " where schema_name = 'ops' order by table_name"
            )
            columns = session.rows(
                "select schema_name || '.' || table_name, column_name, lower(data_type),"
                " coalesce(comment, '') from duckdb_columns()"
                " where schema_name in ('ops', 'marts') order by table_name, column_index"
            )
    types: dict[str, dict[str, str]] = {}
    of_ops: dict[str, list[tuple[str, str, str]]] = {}
    for table, column, kind, comment in columns:
        word = "double precision" if kind == "double" else kind
        types.setdefault(table, {})[column] = word
        of_ops.setdefault(table, []).append((column, word, comment))
    return [(f"ops.{name}", text, of_ops[f"ops.{name}"]) for name, text in tables], types


def _grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    body = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _and(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def write_docs(folder: Path, sources: Sequence[Source], sql_folder: Path) -> None:
    """Write dictionary.md and codes.md."""
    folder.mkdir(exist_ok=True)
    (folder / "dictionary.md").write_text(dictionary_markdown(sources, sql_folder), "utf-8")
    (folder / "codes.md").write_text(codes_markdown(), "utf-8")


if __name__ == "__main__":
    from edpipeline.sources import ALL

    _ROOT = Path(__file__).parents[1]
    write_docs(_ROOT / "docs", ALL, _ROOT / "sql")
