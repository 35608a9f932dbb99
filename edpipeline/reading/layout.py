"""Which column of a table each header of a file stands for, for one edition.

Exporters prefix headers with the table's name (`USERS.sourcedId`, `CC.role`), put a letter
before them to keep their order (`a_sourcedId`), change their case, or use an older name. Each is
recognised and said; what is not recognised is kept out and named; what is needed and missing is
listed. Where an edition lists the fields of its files, headers are compared with those by their
letters and digits alone; one with a `*` stands for any number of headers of that form.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache

from edpipeline.model import Column, Edition, LayoutField, Table

PREFIX = re.compile(r"^(?:[A-Za-z_]\w*\.|[A-Za-z]_)(?=.)")


@dataclass(frozen=True)
class Layout:
    """The outcome for one header line."""

    columns: tuple[Column | None, ...]
    """By position; None where the header is kept out."""
    extra: tuple[str, ...] = ()
    """Headers kept out, as written."""
    missing_required: tuple[str, ...] = ()
    """Headers whose columns must be there; any of them refuses the file."""
    missing_optional: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    """Headers that name the same column twice; any of them refuses the file."""
    renamed: tuple[str, ...] = ()
    """What was read under another name, in words: `USERS.sms as sms`."""
    gathered: tuple[tuple[Column, tuple[int, str]], ...] = ()
    """Columns that take any number of headers, each with position and header of one of them."""

    @property
    def recognised(self) -> int:
        """How many headers stand for a column."""
        return sum(column is not None for column in self.columns)


def match(
    names: Sequence[str],
    table: Table,
    edition: Edition,
    ignored: Sequence[str],
    by_position: bool = False,
) -> Layout:
    """Match the names of a header line with the columns of a table in an edition.

    `by_position` takes the edition's fields in their order, whatever the names are.
    """
    fields = edition.headers.get(table.name)
    if fields is not None:
        return _match_fields(names, table, fields, by_position)
    rules = {rule.column: rule for rule in edition.rules.get(table.name, ())}
    known = [column for column in table.columns if column.name in rules]
    exact, folded = _lookups(known)
    columns: list[Column | None] = []
    extra: list[str] = []
    renamed: list[str] = []
    repeated: list[str] = []
    for position, name in enumerate(names, start=1):
        column = _find(name, exact, folded, ignored)
        if column is not None and column in columns:
            repeated.append(name)
        if column is not None and column.header != name:
            renamed.append(f"{name} as {column.header}")
        if column is None and not _is_ignored(name, ignored):
            extra.append(name or f"(column {position} has no name)")
        columns.append(column)
    missing = [column for column in known if column not in columns]
    derivable = set(table.derived_key) - {column.name for column in missing}
    needed = [c for c in missing if _is_needed(c, table, edition, bool(derivable))]
    return Layout(
        columns=tuple(columns),
        extra=tuple(extra),
        missing_required=tuple(c.header for c in needed),
        missing_optional=tuple(c.header for c in missing if c not in needed),
        repeated=tuple(repeated),
        renamed=tuple(renamed),
    )


@lru_cache(maxsize=1 << 15)
def normal(header: str) -> str:
    """A header as fields are compared: its letters and digits, without case."""
    return "".join(sign for sign in header.casefold() if sign.isalnum())


def _match_fields(
    names: Sequence[str], table: Table, fields: Sequence[LayoutField], by_position: bool
) -> Layout:
    """Names that are blank are what a spreadsheet leaves at the end of a line; nothing is said."""
    patterns = {f.header.casefold(): table.column(f.column) for f in fields if "*" in f.header}
    fields = [field for field in fields if "*" not in field.header]
    known = {field.column: table.column(field.column) for field in fields if field.column}
    targets = {normal(field.header): field.column for field in fields}
    found = [targets.get(normal(name)) for name in names]
    gathered = [
        (column, (position, name))
        for position, name in enumerate(names)
        for pattern, column in patterns.items()
        if found[position] is None and fnmatchcase(name.casefold(), pattern)
    ]
    in_pattern = {position for _, (position, _) in gathered}
    if by_position:
        found = [field.column for field in placed(fields)]
    taken: set[str] = set()
    repeated = []
    for name, target in zip(names, found, strict=True):
        if target and target in taken:
            repeated.append(name)
        taken.add(target or "")
    missing = {f.column: f for f in reversed(fields) if f.column and f.column not in taken}
    needed = [f for f in missing.values() if f.presence in ("needed", "required")]
    return Layout(
        columns=tuple(known[target] if target else None for target in found),
        extra=tuple(
            name
            for position, name in enumerate(names)
            if found[position] is None and name and position not in in_pattern
        ),
        missing_required=tuple(f.header for f in reversed(needed)),
        missing_optional=tuple(
            f.header
            for f in reversed(missing.values())
            if f not in needed and f.presence != "sometimes"
        ),
        repeated=tuple(repeated),
        gathered=tuple(gathered),
    )


def placed(fields: Sequence[LayoutField]) -> list[LayoutField]:
    """The fields whose place in a line is known; the others are further names of theirs."""
    return [field for field in fields if field.end]


def in_places(names: Sequence[str], fields: Sequence[LayoutField]) -> bool:
    """Whether the columns of a file may be taken in the layout's order: there are as many, and no
    name that stands for one column stands where the layout has another."""
    order = [field.column for field in placed(fields)]
    if len(names) != len(order):
        return False
    targets = {normal(field.header): field.column for field in fields if field.column}
    plain = [normal(name) for name in names]
    known = {name for name, times in Counter(plain).items() if times == 1 and name in targets}
    return all(
        targets[name] == column for name, column in zip(plain, order, strict=True) if name in known
    )


def by_place(table: Table, edition: Edition) -> Layout:
    """The layout of a file of fixed width: the columns whose places the edition knows."""
    fields = edition.headers[table.name]
    return Layout(tuple(table.column(f.column) for f in fields if f.column and f.end))


def missing_headers(names: Sequence[str], fields: Sequence[LayoutField]) -> list[str]:
    """The headers that a layout needs and a file lacks, under their first name."""
    there = {normal(name) for name in names}
    filled = {field.column for field in fields if normal(field.header) in there}
    first = {field.column: field for field in reversed(fields) if field.column}
    needed = [f for f in first.values() if f.presence in ("needed", "required")]
    return [field.header for field in reversed(needed) if field.column not in filled]


@lru_cache(maxsize=256)
def _columns_by_header(
    edition: Edition, table: str
) -> tuple[list[str], dict[str, str], frozenset[str]]:
    """Patterns of headers; the column, or where it is read past the header itself, of each; and
    these columns. The edition is the cache's key because it is itself: fields are told apart by
    all they say, which takes longer than what is remembered."""
    fields = edition.headers[table]
    patterns = [field.header.casefold() for field in fields if "*" in field.header]
    plain = [field for field in fields if "*" not in field.header]
    by_header = {normal(f.header): f.column or normal(f.header) for f in plain}
    return patterns, by_header, frozenset(by_header.values())


def share_in_common(names: Sequence[str], edition: Edition, table: str) -> float:
    """How alike a header and the layout of a table are: 1 where each has what the other has.

    Other headers of one column count as one.
    """
    patterns, by_header, theirs = _columns_by_header(edition, table)
    if patterns:
        names = [n for n in names if not any(fnmatchcase(n.casefold(), p) for p in patterns)]
    mine = {by_header.get(name, name) for name in map(normal, names) if name}
    return len(mine & theirs) / len(mine | theirs)


def _is_needed(column: Column, table: Table, edition: Edition, derivable: bool) -> bool:
    rule = edition.rule(table.name, column.name)
    if rule is None:
        return False
    if column.name == table.key:
        return not (derivable and rule.presence == "optional")
    return rule.presence == "required"


def _lookups(columns: Sequence[Column]) -> tuple[dict[str, Column], dict[str, Column]]:
    exact: dict[str, Column] = {column.header: column for column in columns}
    for column in columns:
        for alias in column.aliases:
            exact.setdefault(alias, column)
    folded: dict[str, Column] = {}
    for name, column in exact.items():
        folded.setdefault(name.casefold(), column)
    return exact, folded


def _is_ignored(name: str, ignored: Sequence[str]) -> bool:
    return bool(
        {name.casefold(), PREFIX.sub("", name).casefold()} & {n.casefold() for n in ignored}
    )


def _find(
    name: str, exact: dict[str, Column], folded: dict[str, Column], ignored: Sequence[str]
) -> Column | None:
    """As written, then without its prefix, then without regard to case."""
    if _is_ignored(name, ignored) or name.casefold().startswith("metadata."):
        return None
    bare = PREFIX.sub("", name)
    for candidate in (name, bare):
        if candidate in exact:
            return exact[candidate]
    for candidate in (name, bare):
        if candidate.casefold() in folded:
            return folded[candidate.casefold()]
    return None
