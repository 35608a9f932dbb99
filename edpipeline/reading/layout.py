"""Which column of a table each header of a file stands for, for one edition.

Exporters prefix headers with the table's name (`USERS.sourcedId`, `CC.role`), put a letter
before them to keep their order (`a_sourcedId`), change their case, or use an older name. Each is
recognised and said; what is not recognised is kept out and named; what is needed and missing is
listed.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from edpipeline.model import Column, Edition, Table

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

    @property
    def recognised(self) -> int:
        """How many headers stand for a column."""
        return sum(column is not None for column in self.columns)


def match(names: Sequence[str], table: Table, edition: Edition, ignored: Sequence[str]) -> Layout:
    """Match the names of a header line with the columns of a table in an edition."""
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
