"""Sources of assessment results whose files people upload: how their declarations are read.

What a source says about itself lies beside its module, as data:

    fields.csv             every column of its tables, once
    editions.csv           every edition (layout of a file), the likeliest first
    layouts/<edition>.csv  the fields of that edition's files, in their order

A new edition is a line in `editions.csv` and a file in `layouts`.
"""

import csv
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from edpipeline.model import (
    MATCH_FIELDS,
    ApiPoll,
    ApiPull,
    Column,
    Edition,
    Inbox,
    LayoutField,
    Planner,
    Rule,
    Source,
    Table,
)
from edpipeline.sources.uploads import Tells, planner

KEY = "result_id"
UPLOADED = Inbox(patterns=("*.csv", "*.tsv", "*.txt", "*.zip"))
SEPARATORS = {"comma": ",", "tab": "\t", "any": ",\t"}
ADDED = (
    Column(
        KEY,
        KEY,
        "text",
        "What tells this row from others: the vendor's ids where the row has them, else the"
        " student, the test and its time, joined by `:`.",
        personal="direct",
        computed=True,
    ),
    Column("edition", "edition", "text", "Layout that the file was read as.", computed=True),
    Column(
        "match_field",
        "match_field",
        "text",
        "Field of the roster that match_value is compared with: username, district_user_id,"
        " state_user_id, alternate_user_id, email or sourced_id.",
        computed=True,
    ),
    Column(
        "match_value",
        "match_value",
        "text",
        "Id of the student in the file, as written; the student is found by it.",
        personal="direct",
        computed=True,
    ),
)
"""Columns that every table of results has before its own."""


@dataclass(frozen=True)
class ResultTable:
    """What `fields.csv` does not say of a table."""

    file: str
    """What people call the file."""
    grain: str
    keys: tuple[tuple[str, ...], ...]
    """See `Table.built_keys`."""
    school: str | None = None
    snapshot_of: tuple[str, ...] = ()
    snapshot_apart: str | None = None


def read_source(
    name: str,
    title: str,
    docs: str,
    tables: Mapping[str, ResultTable],
    tells: Tells = lambda line, edition: True,
    arrives: Inbox | ApiPull | ApiPoll = UPLOADED,
    plan: Callable[[Sequence[Edition]], Planner] | None = None,
    schema: str = "assessments",
    has_scores: bool = True,
) -> Source:
    """The source whose data lies in the package of that name; `plan` makes a planner of its
    editions, where its files need one of their own. A field that no layout names is given by that
    planner. Raises ValueError where its files contradict each other."""
    folder = files(__package__).joinpath(name)
    fields = _rows(folder / "fields.csv")
    editions = tuple(_edition(row, folder, fields) for row in _rows(folder / "editions.csv"))
    in_files = {
        (table, rule.column)
        for each in editions
        for table in each.rules
        for rule in each.rules[table]
    }
    return Source(
        name=name,
        title=title,
        schema=schema,
        owner="team:assessment",
        docs=docs,
        arrives=arrives,
        tables=tuple(
            _table(table, schema, about, fields, in_files) for table, about in tables.items()
        ),
        editions=editions,
        plan=plan(editions)
        if plan
        else planner(
            editions, {table for table, about in tables.items() if about.snapshot_of}, tells
        ),
        has_scores=has_scores,
    )


def _rows(path: Traversable) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def _table(
    name: str,
    schema: str,
    about: ResultTable,
    fields: list[dict[str, str]],
    in_files: Set[tuple[str, str]],
) -> Table:
    own = tuple(
        _column(row, computed=(name, row["name"]) not in in_files)
        for row in fields
        if row["table"] == name
    )
    return Table(
        name=name,
        schema=schema,
        file=about.file,
        grain=about.grain,
        columns=(*ADDED, *own),
        key=KEY,
        built_keys=about.keys,
        school=about.school,
        snapshot_of=about.snapshot_of,
        snapshot_apart=about.snapshot_apart,
    )


def _column(row: dict[str, str], computed: bool) -> Column:
    return Column(
        name=row["name"],
        header=row["name"],
        kind=row["kind"],  # type: ignore[arg-type]
        description=row["description"],
        personal=row["personal"],  # type: ignore[arg-type]
        formats=_split(row["formats"]),
        least=_bound(row["least"]),
        most=_bound(row["most"]),
        computed=computed,
        compared=row.get("stamp", "") == "",
        latest=row.get("stamp", "") == "latest",
    )


def _edition(row: dict[str, str], folder: Traversable, fields: list[dict[str, str]]) -> Edition:
    name = row["edition"]
    on_bad = {(field["table"], field["name"]): field["on_bad"] for field in fields}
    headers: dict[str, list[LayoutField]] = {}
    rules: dict[str, dict[str, Rule]] = {}
    for line in _rows(folder / "layouts" / f"{name}.csv"):
        table, column = line["table"], line["column"]
        headers.setdefault(table, []).append(_field(line))
        if not column:
            continue
        if (table, column) not in on_bad:
            raise ValueError(f"{folder.name}/layouts/{name}.csv: no field {table}.{column}")
        rule = Rule(
            column,
            line["presence"] or "optional",  # type: ignore[arg-type]
            on_bad=on_bad[table, column],  # type: ignore[arg-type]
        )
        rules.setdefault(table, {}).setdefault(column, rule)
    return Edition(
        name=name,
        title=row["title"],
        rules={table: tuple(found.values()) for table, found in rules.items()},
        needed=(),
        assumed=row["assumed"] == "yes",
        headers={table: tuple(found) for table, found in headers.items()},
        separators=SEPARATORS[row["separator"] or "comma"],
        record_length=int(row["record_length"] or 0),
        match_columns={choice: _split(row.get(choice, "")) for choice in MATCH_FIELDS},
    )


def _field(line: dict[str, str]) -> LayoutField:
    return LayoutField(
        header=line["header"],
        column=line["column"],
        presence=line["presence"] or "optional",  # type: ignore[arg-type]
        start=int(line["start"] or 0),
        end=int(line["end"] or 0),
    )


def _split(cell: str) -> tuple[str, ...]:
    return tuple(cell.split("|")) if cell else ()


def _bound(cell: str) -> float | None:
    return float(cell) if cell else None
