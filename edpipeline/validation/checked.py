"""What a file came to: its counts, and where its accepted rows and findings are spooled."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edpipeline.model import Table
from edpipeline.validation.codes import CODES


@dataclass
class Known:
    """Rows accepted before, by the hash of their text; where each stands in today's file."""

    hashes: NDArray[np.int64]
    """Sorted, unique."""
    lines: NDArray[np.uint32] = field(init=False)
    """Line in today's file by position in `hashes`; 0 where the row is not there."""

    def __post_init__(self) -> None:
        self.hashes.sort()  # np.unique hashes, which is four times slower on distinct numbers
        first = np.ones(self.hashes.size, dtype=np.bool_)
        np.not_equal(self.hashes[1:], self.hashes[:-1], out=first[1:])
        self.hashes = self.hashes if first.all() else self.hashes[first]
        self.lines = np.zeros(self.hashes.size, dtype=np.uint32)

    def find(
        self, hashes: NDArray[np.int64], first_line: int
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which hashes are known, and which of those were there before in this file."""
        known = np.zeros(hashes.size, dtype=np.bool_)
        repeated = np.zeros(hashes.size, dtype=np.bool_)
        if not self.hashes.size:
            return known, repeated
        order = np.argsort(hashes)
        in_order = hashes[order]
        at = np.searchsorted(self.hashes, in_order)
        at[at == self.hashes.size] = 0
        hit = self.hashes[at] == in_order
        at, rows = at[hit], order[hit]
        places, counts = np.unique(at, return_counts=True)
        more = places[(counts > 1) | (self.lines[places] != 0)]
        if more.size:
            of_more = np.isin(at, more)
            repeated[self._repeats(at[of_more], rows[of_more])] = True
        self.lines[at] = (rows + first_line).astype(np.uint32)
        known[rows] = True
        return known, repeated

    def _repeats(self, at: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Of rows that stand more than once, all but the first of each in the file."""
        in_file = np.lexsort((rows, at))
        at, rows = at[in_file], rows[in_file]
        again = self.lines[at] != 0
        again[1:] |= at[1:] == at[:-1]
        repeats: NDArray[np.int64] = rows[again]
        return repeats

    def lines_of(self, hashes: NDArray[np.int64]) -> NDArray[np.uint32]:
        """Where rows of these hashes stand in today's file; 0 where they do not."""
        if not self.hashes.size:
            return np.zeros(hashes.size, dtype=np.uint32)
        at = np.searchsorted(self.hashes, hashes)
        at[at == self.hashes.size] = 0
        return np.where(self.hashes[at] == hashes, self.lines[at], 0).astype(np.uint32)


@dataclass(frozen=True)
class FileFinding:
    """A finding about a whole file or delivery."""

    code: str
    message: str

    @property
    def severity(self) -> str:
        """error refuses the file, warning keeps it."""
        return CODES[self.code].severity


@dataclass
class CheckedFile:
    """The outcome for one file. Counts are of rows; `read = recognised + checked + rejected`."""

    table: Table
    name: str
    spool: Path
    read: int = 0
    recognised: int = 0
    """Rows with the text of a row accepted before, each once."""
    repeats: int = 0
    """Further copies of recognised rows."""
    spooled: int = 0
    """Rows accepted by this pass and spooled, before duplicates are taken out."""
    duplicates: int = 0
    """Further copies of spooled rows."""
    filled: set[str] = field(default_factory=set)
    """Columns that have a value in any of the spooled rows."""
    rejected: Counter[str] = field(default_factory=Counter)
    """Rejected rows by the first code of each."""
    warnings: Counter[str] = field(default_factory=Counter)
    findings: list[FileFinding] = field(default_factory=list)
    known: Known = field(default_factory=lambda: Known(np.empty(0, dtype=np.int64)))
    ends_with_line_end: bool = True

    @property
    def refused(self) -> bool:
        """True where the file as a whole cannot be used and the table stays as it was."""
        return any(finding.severity == "error" for finding in self.findings)

    def accepted_files(self) -> list[Path]:
        """Parquet of accepted rows: `line`, `row_hash`, `warned`, the stored columns."""
        return sorted(self.spool.glob("accepted-*.parquet"))

    def finding_files(self) -> list[Path]:
        """Parquet of `FINDINGS_SCHEMA`: all errors, and warnings up to `LISTED_WARNINGS`."""
        return sorted(self.spool.glob("findings-*.parquet"))

    def refuse(self, code: str, message: str) -> None:
        """Record why the file as a whole cannot be used."""
        self.findings.append(FileFinding(code, message))
