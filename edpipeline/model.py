"""The vocabulary: what a source, a table, a column and an edition are.

Everything here is frozen data without behaviour that touches the outside. One declaration feeds
the check, the table, the column comment, the Dagster UI, the data dictionary and the tests.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import time
from typing import Literal, Protocol

Kind = Literal[
    "id",
    "id_list",
    "text",
    "text_list",
    "code",
    "code_list",
    "boolean",
    "date",
    "timestamp",
    "integer",
    "number",
    "year",
]
Personal = Literal["none", "indirect", "direct", "secret"]
Presence = Literal["optional", "required", "delta"]
OnBad = Literal["reject", "drop"]
Mode = Literal["bulk", "delta"]

SQL_TYPES: Mapping[Kind, str] = {
    "id": "varchar",
    "id_list": "varchar",
    "text": "varchar",
    "text_list": "varchar",
    "code": "varchar",
    "code_list": "varchar",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamp",
    "integer": "bigint",
    "number": "double precision",
    "year": "integer",
}
"""Column type by kind, in words that DuckDB and PostgreSQL share. Lists stay `a,b` text."""


@dataclass(frozen=True)
class Reference:
    """A column that names a record of another table of the same source by its key."""

    table: str
    required: bool
    """True: a row whose reference does not resolve is rejected. False: it is kept and warned of."""


@dataclass(frozen=True)
class Column:
    """One column of a warehouse table and what the files call it."""

    name: str
    header: str
    kind: Kind
    description: str
    personal: Personal = "none"
    aliases: tuple[str, ...] = ()
    references: Reference | None = None
    extensible: bool = False
    """True where OneRoster 1.2 also takes tokens that begin with `ext:`."""
    compared: bool = True
    """False for stamps that change without the record changing: no history row is made of them."""

    @property
    def stored(self) -> bool:
        """Secrets are read past and never loaded."""
        return self.personal != "secret"

    @property
    def sql_type(self) -> str:
        """The column's type in both warehouses."""
        return SQL_TYPES[self.kind]


@dataclass(frozen=True)
class Table:
    """One table that a source fills. Its key is one column, unique per district."""

    name: str
    schema: str
    file: str
    grain: str
    columns: tuple[Column, ...]
    key: str = "sourced_id"
    derived_key: tuple[str, ...] = ()
    """Columns whose values, joined by `:`, make the key where a layout has no key column."""
    school: str | None = None
    """The column that names the school, for limits per school."""
    people: str | None = None
    """The column that names a person's role, for limits per kind of person."""

    @property
    def full_name(self) -> str:
        """`schema.table`, the same in both warehouses and as Dagster's asset key."""
        return f"{self.schema}.{self.name}"

    @property
    def stored_columns(self) -> tuple[Column, ...]:
        """The columns that the warehouse keeps."""
        return tuple(column for column in self.columns if column.stored)

    def column(self, name: str) -> Column:
        """The column of that warehouse name; KeyError when there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


@dataclass(frozen=True)
class Rule:
    """What one edition demands of one column."""

    column: str
    presence: Presence
    values: tuple[str, ...] = ()
    on_bad: OnBad = "reject"
    """A value that is present but not usable: reject the row, or drop the value with a warning."""


@dataclass(frozen=True)
class Edition:
    """One layout of a source's files. Editions are data."""

    name: str
    title: str
    rules: Mapping[str, tuple[Rule, ...]]
    """Rules by table name; a table that is not named does not exist in this edition."""
    needed: tuple[str, ...]
    """Tables without whose files nothing of a first delivery can be used."""
    without: tuple[str, ...] = ()
    """Tables that never come in this edition, so that references to them say nothing."""
    assumed: bool = False
    """True where no public layout exists; said wherever a person meets the edition."""

    def rule(self, table: str, column: str) -> Rule | None:
        """The rule for that column, or None where the edition lacks it."""
        return next((rule for rule in self.rules.get(table, ()) if rule.column == column), None)


@dataclass(frozen=True)
class Window:
    """The daily time in which a source is synced: local clock times in an IANA time zone."""

    opens: time
    closes: time
    time_zone: str


@dataclass(frozen=True)
class FileDrop:
    """A delivery of files into a folder that we look into."""

    patterns: tuple[str, ...]
    """Shell patterns, compared without case, of the file names that belong to a delivery."""
    window: Window
    needs_first_approval: bool = True


@dataclass(frozen=True)
class PlannedFile:
    """Which table a delivered file fills, and whether it is the whole of it or changes only."""

    name: str
    table: str
    mode: Mode


@dataclass(frozen=True)
class Plan:
    """How a source reads one delivery. `findings` are (code, message) pairs."""

    edition: str
    files: tuple[PlannedFile, ...]
    missing: tuple[str, ...]
    """Tables whose files the delivery announces, or needs, and does not hold."""
    findings: tuple[tuple[str, str], ...]


class Planner(Protocol):
    """A source's own knowledge of how its files make up a delivery."""

    def __call__(
        self, headers: Mapping[str, Sequence[str]], manifest: str | None, edition: str
    ) -> Plan:
        """Plan a delivery from the header names by file name (empty where unreadable)."""
        ...


@dataclass(frozen=True)
class Source:
    """One system that data comes from."""

    name: str
    title: str
    schema: str
    owner: str
    docs: str
    arrives: FileDrop
    tables: tuple[Table, ...]
    editions: tuple[Edition, ...]
    plan: Planner
    ignored_headers: tuple[str, ...] = field(default=())
    """Headers that exporters add and that everybody leaves out."""

    def table(self, name: str) -> Table:
        """The table of that name; KeyError when there is none."""
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(name)

    def edition(self, name: str) -> Edition:
        """The edition of that name; KeyError when there is none."""
        for edition in self.editions:
            if edition.name == name:
                return edition
        raise KeyError(name)
