"""The vocabulary: what a source, a table, a column and an edition are.

Everything here is frozen data without behaviour that touches the outside. One declaration feeds
the check, the table, the column comment, the Dagster UI, the data dictionary and the tests.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time
from typing import Literal, Protocol, get_args

Kind = Literal[
    "id",
    "id_list",
    "text",
    "text_list",
    "code",
    "code_list",
    "boolean",
    "date",
    "time",
    "timestamp",
    "integer",
    "number",
    "year",
]
Personal = Literal["none", "indirect", "direct", "secret"]
Presence = Literal["optional", "sometimes", "needed", "required", "delta"]
"""What a layout demands of a column: `needed` is the header alone, `required` a value in every row,
`delta` a value in every row of a file of changes. Where an `optional` one is missing it is said;
`sometimes` stands in files of one product only."""
OnBad = Literal["reject", "drop"]
Mode = Literal["bulk", "delta", "snapshot"]
"""What a file's silence means: `bulk` is the whole table, `delta` holds changes only, `snapshot` is
the whole of those groups of rows that it names (`Table.snapshot_of`)."""
IdField = Literal["username", "district_user_id", "state_user_id", "alternate_user_id", "email"]
"""The field of the roster on which people may have results matched with students."""
ID_FIELDS: tuple[IdField, ...] = get_args(IdField)
MatchField = IdField | Literal["sourced_id"]
"""The same, and the roster's own id (OneRoster's sourcedId), for systems that know students by it.
"""
MATCH_FIELDS: tuple[MatchField, ...] = (*ID_FIELDS, "sourced_id")

SQL_TYPES: Mapping[Kind, str] = {
    "id": "varchar",
    "id_list": "varchar",
    "text": "varchar",
    "text_list": "varchar",
    "code": "varchar",
    "code_list": "varchar",
    "boolean": "boolean",
    "date": "date",
    "time": "time",
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
    latest: bool = False
    """True for a stamp of which the version that holds has what the latest delivery said."""
    formats: tuple[str, ...] = ()
    """Ways in which dates and times are written (strptime), in the order in which they are tried;
    ISO 8601 where there is none."""
    least: float | None = None
    most: float | None = None
    """Bounds of a number; a value beyond them is impossible."""
    computed: bool = False
    """True where no file has it: it is made of other columns, or chosen with the delivery."""

    @property
    def stored(self) -> bool:
        """Secrets are read past and never loaded."""
        return self.personal != "secret"

    @property
    def sql_type(self) -> str:
        """The column's type in both warehouses."""
        return SQL_TYPES[self.kind]


@dataclass(frozen=True, eq=False)
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
    built_keys: tuple[tuple[str, ...], ...] = ()
    """Where no layout has a key column: what makes the key, in alternatives. The first one whose
    columns are all filled counts; in the last one blanks are values."""
    snapshot_of: tuple[str, ...] = ()
    """Columns that name the groups of rows of which a file is a whole snapshot."""
    snapshot_apart: str | None = None
    """A code that keeps groups of one name apart, where both have it."""
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
class LayoutField:
    """One field of a file in an edition: its header, and where it stands in a fixed-width line."""

    header: str
    column: str = ""
    """The column that it fills; "" for what is read past."""
    presence: Presence = "optional"
    start: int = 0
    end: int = 0
    """Characters of the line, counted from 0, the last one excluded; both 0 where unknown."""


@dataclass(frozen=True, eq=False)
class Edition:
    """One layout of a source's files. Editions are data; each is itself and equal to no other."""

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
    headers: Mapping[str, tuple[LayoutField, ...]] = field(default_factory=dict)
    """The fields of the edition's files by table, in their order; empty where the header of a
    column is said by the column itself."""
    separators: str = ","
    """Characters that may separate the values."""
    record_length: int = 0
    """Characters of a line, where the edition also comes in fixed width; else 0."""
    match_columns: Mapping[MatchField, tuple[str, ...]] = field(default_factory=dict)
    """Columns compared with the chosen field of the roster: the first filled one of a row."""

    @property
    def label(self) -> str:
        """The title as people meet it."""
        return f"{self.title} (assumed layout)" if self.assumed else self.title

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
class Inbox:
    """A folder into which files are laid, by the command or by hand, whenever there are any."""

    patterns: tuple[str, ...]
    """Shell patterns, compared without case, of the file names that belong to an upload."""
    match_on: MatchField = "district_user_id"
    """The field of the roster to match on, where nobody chose."""


@dataclass(frozen=True)
class ApiPull:
    """An API that is asked once a day, within a window; people may hand over files beside it."""

    patterns: tuple[str, ...]
    """Shell patterns, compared without case, of the file names that belong to an upload."""
    window: Window
    """The window of districts that choose none."""
    match_on: MatchField = "district_user_id"
    """The field of the roster to match on, where nobody chose."""
    told: str = "pull.json"
    """File of a pull that says how it went."""
    schools: str = "schools.jsonl"
    """File of a pull with the vendor's schools."""


@dataclass(frozen=True)
class ApiPoll:
    """An API that is asked about single things: again and again until each of them is final; or,
    where there is a window, once a day within it."""

    match_on: MatchField = "sourced_id"
    """The field of the roster to match on, where nobody chose."""
    window: Window | None = None
    """The window of districts that choose none."""
    told: str = "poll.json"
    """File of a poll that says how it went."""
    patterns: tuple[str, ...] = ("*.jsonl",)
    """What the files of a poll are called; nobody hands any over."""


@dataclass(frozen=True)
class Head:
    """What is known of a file before its layout: its first lines."""

    names: tuple[str, ...] = ()
    """The first line split at commas, trimmed; empty where the file cannot be read."""
    text: str = ""
    """The first line as it stands; of a file without a header, data of a student."""
    first_row: str = ""
    """The line after it, as it stands; data of a student, so for no message."""


@dataclass(frozen=True)
class PlannedFile:
    """Which table a delivered file fills, what its silence means, and how its lines are split."""

    name: str
    table: str
    mode: Mode
    separator: str = ","
    """The character between values; "" for fixed width."""
    by_position: bool = False
    """True where the header's names are unknown and its order is that of the layout."""
    given: Mapping[str, str] = field(default_factory=dict)
    """Values of computed columns that every row of the file has, such as the product it is of."""


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

    def __call__(self, heads: Mapping[str, Head], manifest: str | None, edition: str) -> Plan:
        """Plan a delivery from the first lines by file name (nothing where unreadable)."""
        ...


@dataclass(frozen=True, eq=False)
class Source:
    """One system that data comes from."""

    name: str
    title: str
    schema: str
    owner: str
    docs: str
    arrives: FileDrop | Inbox | ApiPull | ApiPoll
    tables: tuple[Table, ...]
    editions: tuple[Edition, ...]
    plan: Planner
    ignored_headers: tuple[str, ...] = field(default=())
    """Headers that exporters add and that everybody leaves out."""
    has_scores: bool = True
    """Of a source of results: whether `sql/results` says what its rows are as results of tests."""

    @property
    def holds_results(self) -> bool:
        """True where every delivery stands for itself: a later one does not replace the others."""
        return isinstance(self.arrives, Inbox | ApiPull | ApiPoll)

    @property
    def is_uploaded(self) -> bool:
        """True where people hand over files."""
        return isinstance(self.arrives, Inbox | ApiPull)

    @property
    def is_pulled(self) -> bool:
        """True where there is an API that lists what is new."""
        return isinstance(self.arrives, ApiPull)

    @property
    def is_polled(self) -> bool:
        """True where there is an API that is asked about single things."""
        return isinstance(self.arrives, ApiPoll)

    @property
    def is_surveyed(self) -> bool:
        """True where that API is asked about everybody, once a day within a window."""
        return isinstance(self.arrives, ApiPoll) and self.arrives.window is not None

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
