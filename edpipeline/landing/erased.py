"""What the record of a drop says of a file that lost the lines of a person who was erased."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Erased:
    """What was taken out of a file since it landed, because a person was erased."""

    lines: Mapping[str, tuple[int, ...]]
    """Lines that were emptied, by the name of the file in a zip, or of the file itself."""
    edited: int
    """Lines of other people that lost an id out of a list."""
    size: int
    sha256: str
    at: datetime
    """The last time, in UTC; `by` is who asked for it."""
    by: str
    is_empty: bool = False
    """True where no record is left: the file counts as one that did not come."""
    before: str = ""
    """Until the file is replaced, the hash of the one before; else ""."""


def read_erased(data: dict[str, Any] | None) -> Erased | None:
    """What a record says; None where nothing was taken out."""
    if data is None:
        return None
    lines = {name: tuple(of) for name, of in data["lines"].items()}
    return Erased(**{**data, "lines": lines, "at": datetime.fromisoformat(data["at"])})
