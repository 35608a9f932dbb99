"""The data dictionary: every table and column, as Markdown, from the declarations.

What is written here nobody keeps up by hand: docs/dictionary.md and its pages, docs/codes.md and
docs/cookbook.md are made by `python -m edpipeline.dictionary`, and a test compares them.
"""

import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from edpipeline.code_list import codes_markdown
from edpipeline.cookbook import cookbook_markdown
from edpipeline.markdown import (
    MADE_BY,
    anchor,
    enumerated,
    first_sentence,
    grid,
    link,
    names,
    paragraphs,
)
from edpipeline.model import Column, Edition, Source, Table
from edpipeline.warehouse.engine import open_warehouse
from edpipeline.warehouse.marts import Mart, make_marts, marts
from edpipeline.warehouse.schema import HISTORY_COLUMNS, prepare

CLASSES: Mapping[str, str] = {
    "none": "",
    "indirect": "indirect",
    "direct": "**direct**",
    "secret": "**secret**",
}

INTRODUCTION = """\
Six schemas. Ask **marts** first: tables for analysts, recomputed after each load. **roster**
is what the districts delivered, **assessments** what they uploaded or had pulled, and
**external_tests** and **score_reports** what polls brought, as histories. **ops** tells what came,
what was rejected and why, and who asked for score reports. Every table begins with `district_id`;
keys are unique within a district. The same text stands as comments in the warehouse.

Personal data: **direct** identifies a person by itself (names, numbers, e-mail addresses);
indirect says something about a person, or identifies one together with other data; **secret** is
read past and never stored.
"""

MARTS_INTRODUCTION = """\
Tables for analysts. A district's are computed anew, all of them together, after each load of its
data; `marts.rpt_sync_health` says how old the latest load of each source is. **Fresh** says of what
time the rows of a table are. The [cookbook](../cookbook.md) answers questions by them.
"""

OPS_INTRODUCTION = """\
What came, what became of it, what was decided, and who asked. These tables grow with each sync.
"""

DIAGRAM_INTRODUCTION = """\
An arrow goes from what is read to the mart that reads it; a drum is a schema of histories, or ops.
"""

HISTORY_INTRODUCTION = """\
Each table of **roster**, **assessments**, **external_tests** and **score_reports** is a history:
one row per version of a record. The row that holds now has no `valid_to`; `current_<table>` is a
view of those rows without the ones marked `tobedeleted`. On a day, the rows with
`valid_from <= day and (valid_to is null or valid_to > day)` held.

Every such table also has:
"""

ROSTER_INTRODUCTION = """\
How the columns below stand in the files of each edition: required (a row without a value is
rejected), optional, delta (required in delta files, blank in bulk files), or not there (-).
Names in brackets after a header are other headers that are read as this one.
"""

SCORES_INTRODUCTION = """\
The rows as the vendor writes them. `assessments.{source}_results` is a view of the latest version
of each in the shape that all sources share, `assessments.results` of all sources together; what
its columns mean stands at `marts.fct_assessment_result`.
"""

NO_SCORES_INTRODUCTION = """\
The rows as they were brought. They hold no scores, so that `assessments.results` has none of them.
"""

RESULTS_INTRODUCTION = """\
Headers are those of the newest edition that has the table; where only older ones have the column,
that of the newest of these, which is named in brackets. Capitals, blanks and punctuation of headers
do not matter. A column without a header is made of others.

Editions, one of which each file is read as:
"""


@dataclass(frozen=True)
class Page:
    """A page of the dictionary: one schema, or what one source brings into its schema."""

    name: str
    """The file's name without its ending."""
    title: str
    introduction: tuple[str, ...]
    tables: Mapping[str, str]
    """What is said of each table, below a heading that is its name."""
    grains: Mapping[str, str]

    @property
    def text(self) -> str:
        """What stands below the title."""
        listed = [f"- {link(self.name, table)}: {self.grains[table]}" for table in self.tables]
        return paragraphs(*self.introduction, "\n".join(listed), *self.tables.values())


def dictionary_pages(sources: Sequence[Source], sql_folder: Path) -> dict[str, str]:
    """Every page as Markdown, by its place beside docs: the table of contents, and one page for
    the marts, for each source and for ops."""
    pages = _pages(sources, sql_folder)
    contents = paragraphs("# Data dictionary", MADE_BY, _contents(pages, marts(sql_folder)))
    up = "[Data dictionary](../dictionary.md)"
    return {"dictionary.md": contents.replace("](", "](dictionary/")} | {
        f"dictionary/{page.name}.md": paragraphs(f"# {page.title}", MADE_BY, up, page.text)
        for page in pages
    }


def dictionary_markdown(sources: Sequence[Source], sql_folder: Path) -> str:
    """All of it as one page of Markdown: every table of the warehouse, its grain and key, and
    every column with type and meaning."""
    pages = _pages(sources, sql_folder)
    parts = ["# Data dictionary", MADE_BY, _contents(pages, marts(sql_folder))]
    for page in pages:
        parts += [f"## {page.title}", page.text]
    return re.sub(r"\]\([a-z_]+\.md#", "](#", paragraphs(*parts))


def _pages(sources: Sequence[Source], sql_folder: Path) -> list[Page]:
    found = marts(sql_folder)
    ops, types = _described(tuple(sources), sql_folder)
    return [
        Page(
            "marts",
            "marts",
            (MARTS_INTRODUCTION,),
            {mart.full_name: _mart(mart, types) for mart in found},
            {mart.full_name: first_sentence(mart.grain) for mart in found},
        ),
        *(_page(source) for source in sources),
        Page(
            "ops",
            "ops",
            (OPS_INTRODUCTION,),
            {name: _ops_table(name, grain, columns) for name, grain, columns in ops},
            {name: first_sentence(grain) for name, grain, _ in ops},
        ),
    ]


def _page(source: Source) -> Page:
    introduction, told = _uploaded(source) if source.holds_results else _rostered(source)
    return Page(
        source.name,
        f"{source.schema}: {source.title}",
        introduction,
        {table.full_name: text for table, text in zip(source.tables, told, strict=True)},
        {table.full_name: _of_versions(table) for table in source.tables},
    )


def _contents(pages: Sequence[Page], found: Sequence[Mart]) -> str:
    """What there is and where it stands, which mart reads which, and what a history is."""
    parts = [INTRODUCTION, "## Tables"]
    for page in pages:
        linked = ", ".join(link(page.name, table) for table in page.tables)
        parts.append(f"**[{page.title}]({page.name}.md#{anchor(page.title)})**: {linked}")
    parts += ["## How the marts are made", DIAGRAM_INTRODUCTION, _diagram(found)]
    return paragraphs(*parts, "## Histories", HISTORY_INTRODUCTION, _history())


def _diagram(found: Sequence[Mart]) -> str:
    """A Mermaid diagram of which mart reads which; of other schemas only their name."""
    outside = sorted({_node(table) for mart in found for table in mart.depends_on})
    schemas = [name for name in outside if name not in {mart.name for mart in found}]
    lines = ["```mermaid", "flowchart LR", *(f"    {name}[({name})]" for name in schemas)]
    lines += [
        f"    {reads} --> {mart.name}"
        for mart in found
        for reads in sorted({_node(table) for table in mart.depends_on})
    ]
    return "\n".join([*lines, "```"])


def _node(table: str) -> str:
    schema, _, name = table.partition(".")
    return name if schema == "marts" else schema


def _mart(mart: Mart, types: Mapping[str, Mapping[str, str]]) -> str:
    kinds = types[mart.full_name]
    rows = (
        (f"`{name}`", kinds[name], CLASSES[mart.personal.get(name, "none")], text)
        for name, text in mart.columns.items()
    )
    reads = ", ".join(f"`{name}`" for name in mart.depends_on)
    return paragraphs(
        f"### {mart.full_name}",
        mart.grain,
        f"Key: {names(mart.key)}. Computed from {reads}.",
        mart.fresh and f"Fresh: {mart.fresh}",
        mart.caveats and f"Caveats: {mart.caveats}",
        grid(("column", "type", "personal", "meaning"), rows),
        mart.notes,
    ).strip()


def _history() -> str:
    rows = ((f"`{name}`", kind, text) for name, (kind, text) in HISTORY_COLUMNS.items())
    return grid(("column", "type", "meaning"), rows)


_Told = tuple[tuple[str, ...], list[str]]
"""What is said before the tables, and of each."""


def _rostered(source: Source) -> _Told:
    return (ROSTER_INTRODUCTION,), [_table(table, source.editions) for table in source.tables]


def _uploaded(source: Source) -> _Told:
    listed = (
        (f"`{edition.name}`", edition.label, names(edition.headers)) for edition in source.editions
    )
    about = SCORES_INTRODUCTION if source.has_scores else NO_SCORES_INTRODUCTION
    introduction = (
        about.format(source=source.name),
        RESULTS_INTRODUCTION,
        grid(("edition", "file", "tables"), listed),
    )
    return introduction, [_results_table(table, source.editions) for table in source.tables]


def _results_table(table: Table, editions: Sequence[Edition]) -> str:
    kept = [edition for edition in editions if table.name in edition.headers]
    found = ", else ".join(f"({names(columns)})" for columns in table.built_keys)
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
        grid(("column", "type", "header", "personal", "meaning"), rows),
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
        f"{_of_versions(table)} File: `{table.file}`."
        f" Key: `district_id`, `{table.key}`, `valid_from`.",
    ]


def _of_versions(table: Table) -> str:
    return f"{table.grain[0].upper()}{table.grain[1:]}, and version."


def _table(table: Table, editions: Sequence[Edition]) -> str:
    parts = _about(table)
    if table.derived_key:
        parts.append(
            f"Where an edition has no `{table.column(table.key).header}`, it is built from"
            f" {names(table.derived_key)}, joined by `:`."
        )
    head = ("column", "type", "header", *(e.title for e in editions), "personal", "meaning")
    parts.append(grid(head, (_column(column, table, editions) for column in table.columns)))
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
        f"Allowed{'' if len(found) == 1 else f' in {enumerated(titles)}'}: {', '.join(values)}."
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
    return "\n\n".join([f"### {name}", grain, grid(("column", "type", "meaning"), rows)])


_OpsTable = tuple[str, str, list[tuple[str, str, str]]]


@cache
def _described(
    sources: tuple[Source, ...], sql_folder: Path
) -> tuple[list[_OpsTable], dict[str, dict[str, str]]]:
    """Tables of ops with their comments, and column types by table, from a warehouse made anew:
    once in a process, because that takes longer than all the rest."""
    with tempfile.TemporaryDirectory(prefix="edpipeline-dictionary-") as folder:
        warehouse = open_warehouse(f"duckdb:///{folder}/empty.duckdb")
        prepare(warehouse, sources, sql_folder)
        make_marts(warehouse, marts(sql_folder))
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


def write_docs(folder: Path, sources: Sequence[Source], sql_folder: Path) -> None:
    """Write the dictionary's pages, codes.md and cookbook.md; pages of old are removed."""
    written = dictionary_pages(sources, sql_folder)
    written |= {"codes.md": codes_markdown(), "cookbook.md": cookbook_markdown(sql_folder)}
    (folder / "dictionary").mkdir(parents=True, exist_ok=True)
    for name, text in written.items():
        (folder / name).write_text(text, "utf-8")
    for path in (folder / "dictionary").glob("*.md"):
        if f"dictionary/{path.name}" not in written:
            path.unlink()


if __name__ == "__main__":
    from edpipeline.sources import ALL

    _ROOT = Path(__file__).parents[1]
    write_docs(_ROOT / "docs", ALL, _ROOT / "sql")
