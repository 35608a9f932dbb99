"""One pass over one file: every row is recognised, accepted or rejected, in bounded memory.

A row whose text is the same as one accepted before is recognised by a 64-bit hash of that text
and needs no second look; only its references are checked when the file is loaded. The others are
split, typed and checked. Accepted rows and findings are spooled as Parquet.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from edpipeline.model import Edition, Mode, Table
from edpipeline.reading import delimited
from edpipeline.reading.delimited import Dialect, Header, Piece, Unreadable
from edpipeline.reading.layout import Layout
from edpipeline.validation import duplicates, rules
from edpipeline.validation.codes import CODES

LISTED_WARNINGS = 1000
"""Warnings listed per code, column and file; all of them are counted."""

WIDTH_CODES = ("row_too_short", "row_too_long")
STAMPS = ("status", "date_last_modified")
"""Columns that bulk files leave blank."""

FINDINGS_SCHEMA = {
    "line": pl.UInt32,
    "column_name": pl.String,
    "severity": pl.String,
    "code": pl.String,
    "message": pl.String,
    "record_id": pl.String,
}


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


@dataclass(frozen=True)
class Task:
    """What is needed to check one file."""

    path: Path
    name: str
    table: Table
    edition: Edition
    mode: Mode
    dialect: Dialect
    header: Header
    layout: Layout
    expects_line_end: bool = False
    """True where the file before this one ended with a line end, as this one should."""

    @property
    def last_line(self) -> int:
        """The number of the file's last physical line; the header is line 1."""
        return self.dialect.rows + 1

    @property
    def last_line_is_suspect(self) -> bool:
        """True where the last line lacks the line end that it usually has."""
        return self.expects_line_end and not self.dialect.ends_with_line_end

    def hash_seed(self) -> int:
        """Rows are only recognised under the same header, edition, mode, rules and library."""
        names = [column.name if column else "" for column in self.layout.columns]
        parts = (pl.__version__, str(rules.VERSION), self.edition.name, self.mode, *names)
        digest = hashlib.sha256("\x1f".join(parts).encode()).digest()
        return int.from_bytes(digest[:7], "big")

    @property
    def present(self) -> list[str]:
        """Warehouse names of the columns that the file has."""
        return [column.name for column in self.layout.columns if column is not None]


def check(
    task: Task, known_hashes: NDArray[np.int64], spool: Path, piece_size: int = delimited.PIECE
) -> CheckedFile:
    """Read, check and spool one file whose layout fits."""
    spool.mkdir(parents=True, exist_ok=True)
    checked = CheckedFile(task.table, task.name, spool, known=Known(known_hashes))
    checked.ends_with_line_end = task.dialect.ends_with_line_end
    run = _Pass(task, checked)
    for number, piece in enumerate(_pieces(task, piece_size)):
        run.piece(piece, number)
    if run.stamped and task.mode == "bulk":
        checked.findings.append(FileFinding("stamped_in_bulk", _about(task, "stamped_in_bulk")))
    duplicates.settle(checked, run.key_hashes, run.seed, task.table)
    _judge(task, checked, run.last_line_is_bad)
    return checked


def _pieces(task: Task, size: int) -> Iterator[Piece]:
    return delimited.pieces(task.path, task.dialect, task.header.offset, size)


def _about(task: Task, code: str) -> str:
    known = CODES[code]
    return f"{task.name}: {known.meaning} {known.remedy}"


def _judge(task: Task, checked: CheckedFile, last_line_is_bad: bool) -> None:
    """What the whole file tells once every row has been seen."""
    if checked.read == 0:
        checked.refuse("no_rows", _about(task, "no_rows"))
    elif not checked.recognised and not checked.spooled:
        checked.refuse("no_usable_rows", _about(task, "no_usable_rows"))
    elif not task.dialect.ends_with_line_end and last_line_is_bad:
        checked.refuse("truncated", _about(task, "truncated"))
    elif not task.dialect.ends_with_line_end:
        finding = FileFinding("no_final_line_end", _about(task, "no_final_line_end"))
        checked.findings.append(finding)


def refused(table: Table, name: str, spool: Path, problem: Unreadable) -> CheckedFile:
    """The outcome for a file that could not even be read as a table."""
    checked = CheckedFile(table, name, spool)
    checked.refuse(problem.code, str(problem))
    return checked


class _Pass:
    """The state of one pass: what adds up over the pieces."""

    def __init__(self, task: Task, checked: CheckedFile) -> None:
        self.task = task
        self.checked = checked
        self.seed = task.hash_seed()
        self.width = len(task.layout.columns)
        self.key_hashes: list[duplicates.Hashes] = []
        self.stamped = False
        self.last_line_is_bad = False
        self.listed: Counter[tuple[str, str]] = Counter()
        self.rules = rules.compile_rules(task.table, task.edition, task.mode, task.present)
        self.names = {
            str(position): column.name
            for position, column in enumerate(task.layout.columns)
            if column is not None
        }

    def piece(self, piece: Piece, number: int) -> None:
        checked = self.checked
        lines = piece.lines
        hashes = lines.hash(self.seed).reinterpret(signed=True)
        known, repeated = checked.known.find(hashes.to_numpy(), piece.first_line)
        blank = (lines.is_null() | (lines == "")).to_numpy()
        wanted = pl.Series(~known & ~blank)
        checked.read += int((~blank).sum())
        repeats = int(repeated.sum())
        checked.recognised += int(known.sum()) - repeats
        checked.repeats += repeats
        whole = bool(wanted.all())
        numbers = pl.int_range(
            piece.first_line, piece.first_line + lines.len(), dtype=pl.UInt32, eager=True
        )
        if repeats:
            again = pl.Series(repeated)
            self._list_repeats(piece, lines.filter(again), numbers.filter(again), number)
        if not whole:
            lines, numbers, hashes = (s.filter(wanted) for s in (lines, numbers, hashes))
        self.rows(piece, lines, numbers, hashes, whole, number)

    def rows(
        self,
        piece: Piece,
        lines: pl.Series,
        numbers: pl.Series,
        hashes: pl.Series,
        whole: bool,
        number: int,
    ) -> None:
        quoted = self.task.dialect.quoted
        frame, unreadable = delimited.split(piece, lines, numbers, self.width, quoted, whole)
        if self.task.last_line_is_suspect:
            frame, unreadable = self._without_last_line(frame, unreadable, lines, numbers)
        row_hash = (
            hashes
            if not unreadable.height
            else hashes.filter(~numbers.is_in(unreadable["line"].implode()))
        )
        frame = self._without_blank_rows(frame.with_columns(row_hash.alias("row_hash"))).select(
            "line", "row_hash", *(pl.col(at).alias(name) for at, name in self.names.items())
        )
        stamps = [frame[name] for name in STAMPS if name in frame.columns]
        self.stamped |= any(column.null_count() < column.len() for column in stamps)
        clean, odd = self._part(frame, piece.data.isascii())
        mended = self._spool_findings(odd, unreadable, number)
        self._spool_accepted(pl.concat([clean, mended]), number)

    def _list_repeats(
        self, piece: Piece, lines: pl.Series, numbers: pl.Series, number: int
    ) -> None:
        """Further copies of recognised rows; they are counted apart (`CheckedFile.repeats`)."""
        frame, _ = delimited.split(
            piece, lines, numbers, self.width, self.task.dialect.quoted, whole=False
        )
        frame = frame.select("line", *(pl.col(at).alias(n) for at, n in self.names.items()))
        found = frame.select("line", self.rules.key.alias(self.task.table.key))
        listed = self._capped(duplicates.findings_of(found, self.task.table, "duplicate_row"))
        listed.write_parquet(self.checked.spool / f"findings-again-{number:06}.parquet")

    def _part(self, frame: pl.DataFrame, is_ascii: bool) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Clean rows, typed; and the others, as text."""
        clean = self.rules.clean if is_ascii else self.rules.clean_beyond_ascii
        typed = frame.select(
            "line",
            "row_hash",
            pl.lit(False).alias("warned"),
            *self.rules.clean_values,
            clean.alias("__clean"),
        )
        is_clean = typed["__clean"]
        typed = typed.drop("__clean")
        if is_clean.all():
            return typed, frame.clear()
        return typed.filter(is_clean), frame.filter(~is_clean)

    def _without_last_line(
        self, frame: pl.DataFrame, unreadable: pl.DataFrame, lines: pl.Series, numbers: pl.Series
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """A last line that may have been cut inside of its last field is not believed."""
        last = self.task.last_line
        cut = pl.DataFrame({"line": numbers, "text": lines}).filter(pl.col("line") == last)
        if not cut.height or (unreadable["line"] == last).any():
            return frame, unreadable
        cut = cut.select("line", pl.lit("row_cut_off").alias("code"), "text")
        return frame.filter(pl.col("line") != last), pl.concat([unreadable, cut])

    def _without_blank_rows(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Rows of commas alone, as spreadsheets leave them, are no rows."""
        key = next((at for at, name in self.names.items() if name == self.task.table.key), None)
        if key is not None and not frame[key].null_count():
            return frame
        values = pl.all().exclude("line", "row_hash")
        blank = frame.select(pl.all_horizontal(values.is_null())).to_series()
        self.checked.read -= int(blank.sum())
        return frame.filter(~blank)

    def _spool_accepted(self, accepted: pl.DataFrame, number: int) -> None:
        if not accepted.height:
            return
        self.checked.spooled += accepted.height
        keys = accepted[self.task.table.key]
        self.key_hashes.append(keys.hash(self.seed).to_numpy())
        accepted.write_parquet(
            self.checked.spool / f"accepted-{number:06}.parquet",
            compression="lz4",
            statistics=False,
        )

    def _spool_findings(
        self, odd: pl.DataFrame, unreadable: pl.DataFrame, number: int
    ) -> pl.DataFrame:
        """Lists what is wrong; gives back the odd rows that are accepted all the same."""
        odd = odd.with_columns(
            self.rules.rejects().alias("__rejected"), self.rules.warns().alias("__warned")
        )
        parts = [_of_lines(unreadable, self.task), *_of_rows(odd, self.rules)]
        found = pl.concat([part for part in parts if part.height] or [_nothing()])
        self._list(found, number)
        self.last_line_is_bad |= _shows_a_cut(found, self.task)
        return odd.filter(~pl.col("__rejected")).select(
            "line", "row_hash", pl.col("__warned").alias("warned"), *self.rules.values
        )

    def _list(self, findings: pl.DataFrame, number: int) -> None:
        if not findings.height:
            return
        is_error = pl.col("severity") == "error"
        errors, warned = findings.filter(is_error), findings.filter(~is_error)
        first = errors.unique("line", keep="first", maintain_order=True)
        for code, count in first["code"].value_counts().iter_rows():
            self.checked.rejected[code] += count
        for code, count in warned["code"].value_counts().iter_rows():
            self.checked.warnings[code] += count
        listed = pl.concat([errors, self._capped(warned)])
        path = self.checked.spool / f"findings-{number:06}.parquet"
        listed.write_parquet(path, compression="lz4")

    def _capped(self, warned: pl.DataFrame) -> pl.DataFrame:
        parts = []
        for (code, column), part in warned.group_by("code", "column_name", maintain_order=True):
            room = LISTED_WARNINGS - self.listed[str(code), str(column)]
            self.listed[str(code), str(column)] += part.height
            parts.append(part.head(max(0, room)))
        return pl.concat(parts) if parts else _nothing()


def _nothing() -> pl.DataFrame:
    return pl.DataFrame(schema=FINDINGS_SCHEMA)


def _of_lines(unreadable: pl.DataFrame, task: Task) -> pl.DataFrame:
    """Findings for lines that could not be split."""
    if not unreadable.height:
        return _nothing()
    width = len(task.layout.columns)
    of_width = dict.fromkeys(WIDTH_CODES, f" The header has {width} columns.")
    messages = {
        code.name: f"{code.meaning}{of_width.get(code.name, '')} {code.remedy}"
        for code in CODES.values()
        if code.level == "row"
    }
    return unreadable.select(
        "line",
        pl.lit(None, dtype=pl.String).alias("column_name"),
        pl.lit("error").alias("severity"),
        "code",
        pl.col("code").replace_strict(messages, return_dtype=pl.String).alias("message"),
        _probable_key(task).alias("record_id"),
    )


def _probable_key(task: Task) -> pl.Expr:
    """The key of a line that could not be split, where its fields up to the key are in place.

    It only serves to keep the record's last good version.
    """
    table = task.table
    # Which comma is one too many is not known: of a built key only its beginning is believed.
    names = (table.key,) if table.key in task.present else table.derived_key[:2]
    positions = {c.name: n for n, c in enumerate(task.layout.columns) if c is not None}
    fields = pl.col("text").str.split(",")
    parts = [
        fields.list.get(positions[name], null_on_oob=True).str.strip_chars('" \t')
        for name in names
        if name in positions
    ]
    key = pl.concat_str(parts, separator=":").str.strip_suffix(":")
    return pl.when((key != "") & ~key.str.contains("\x00", literal=True)).then(key)


def _shows_a_cut(findings: pl.DataFrame, task: Task) -> bool:
    """Whether the last line is bad in a way in which cutting it off would make it bad."""
    last = task.layout.columns[-1]
    at_the_end = pl.col("column_name") == (last.name if last is not None else "")
    by_a_cut = pl.col("code").is_in(["row_too_short", "bad_quoting"]) | at_the_end
    is_error = pl.col("severity") == "error"
    return not findings.filter((pl.col("line") == task.last_line) & is_error & by_a_cut).is_empty()


def _of_rows(odd: pl.DataFrame, compiled: rules.Rules) -> Sequence[pl.DataFrame]:
    """Findings for rows that break rules: one for each row and rule."""
    if not odd.height:
        return []
    flags = odd.select(
        check.failed.fill_null(False).alias(str(position))
        for position, check in enumerate(compiled.checks)
    )
    about = odd.select("line", compiled.key.alias("record_id"))
    parts = []
    for position, check in enumerate(compiled.checks):
        broken = about.filter(flags[str(position)])
        if broken.height:
            parts.append(
                broken.select(
                    "line",
                    pl.lit(check.column).alias("column_name"),
                    pl.lit(check.severity).alias("severity"),
                    pl.lit(check.code).alias("code"),
                    pl.lit(check.message).alias("message"),
                    "record_id",
                )
            )
    return parts
