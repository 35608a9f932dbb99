"""One pass over one file: every row is recognised, accepted or rejected, in bounded memory.

A row whose text is the same as one accepted before is recognised by a 64-bit hash of that text
and needs no second look; only its references are checked when the file is loaded. The others are
split, typed and checked. Accepted rows and findings are spooled as Parquet.
"""

import hashlib
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from edpipeline.model import Edition, Mode, Table
from edpipeline.reading import delimited, fixed_width
from edpipeline.reading.delimited import NOTED, Piece
from edpipeline.reading.dialect import PIECE, Dialect, Header, Unreadable
from edpipeline.reading.layout import Layout
from edpipeline.validation import duplicates, rules
from edpipeline.validation.checked import CheckedFile, FileFinding, Known
from edpipeline.validation.codes import CODES
from edpipeline.validation.row_findings import nothing, of_lines, of_rows, shows_a_cut

LISTED_WARNINGS = 1000
"""Warnings listed per code, column and file; all of them are counted."""

STAMPS = ("status", "date_last_modified")
"""Columns that bulk files leave blank."""


AT_ONCE = 2
"""Pieces that are split and typed side by side, which is what memory is planned for."""


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
    """True where the file before this one ended with a line end, as this one should. Looked up
    only for a file that ends without."""
    given: Mapping[str, str] = field(default_factory=dict)
    """Values that are the same in every row, by column: what was chosen at the upload."""
    first_line: int = 2
    """The number of the first row's line."""

    @property
    def is_fixed_width(self) -> bool:
        """True where values stand at fixed places and there is no header."""
        return not self.dialect.separator

    @property
    def places(self) -> tuple[fixed_width.Place, ...]:
        """Where the layout's columns stand in a line of fixed width."""
        fields = self.edition.headers[self.table.name]
        found = {field.column: (field.start, field.end) for field in fields if field.end}
        return tuple(found[column.name] for column in self.layout.columns if column is not None)

    @property
    def least_fields(self) -> int | None:
        """So many fields a row must have where short rows are filled up; None where they are not.

        Uploads go through spreadsheets, which leave out the blank ends of rows.
        """
        fields = self.edition.headers.get(self.table.name)
        if fields is None:
            return None
        needed = {field.column for field in fields if field.presence in ("needed", "required")}
        places = (n for n, c in enumerate(self.layout.columns, 1) if c and c.name in needed)
        return max(places, default=1)

    @property
    def last_line(self) -> int:
        """The number of the file's last physical line."""
        return self.dialect.rows + self.first_line - 1

    @property
    def last_line_is_suspect(self) -> bool:
        """True where the last line lacks the line end that it usually has."""
        return self.expects_line_end and not self.dialect.ends_with_line_end

    def hash_seed(self) -> int:
        """Rows are only recognised under the same header, edition, mode, rules and library."""
        names = [column.name if column else "" for column in self.layout.columns]
        given = [f"{name}={value}" for name, value in sorted(self.given.items())]
        parts = (pl.__version__, str(rules.VERSION), self.edition.name, self.mode, *names, *given)
        digest = hashlib.sha256("\x1f".join(parts).encode()).digest()
        return int.from_bytes(digest[:7], "big")

    @property
    def present(self) -> list[str]:
        """Warehouse names of the columns that the file has."""
        own = [column.name for column in self.layout.columns if column is not None]
        return own + list(dict.fromkeys(column.name for column, _ in self.layout.gathered))


def check(
    task: Task, known_hashes: NDArray[np.int64], spool: Path, piece_size: int = PIECE
) -> CheckedFile:
    """Read, check and spool one file whose layout fits."""
    spool.mkdir(parents=True, exist_ok=True)
    checked = CheckedFile(task.table, task.name, spool, known=Known(known_hashes))
    checked.ends_with_line_end = task.dialect.ends_with_line_end
    run = _Pass(task, checked)
    with ThreadPoolExecutor(AT_ONCE) as ahead:
        # Pieces are split and typed while what those before them came to is written down.
        coming: deque[tuple[int, Future[_Parted]]] = deque()
        for number, piece in enumerate(_pieces(task, piece_size)):
            new = run.recognise(piece, number)
            if new[1].len():
                coming.append((number, ahead.submit(run.part, *new)))
            if len(coming) > AT_ONCE:
                run.settle_next(coming)
        while coming:
            run.settle_next(coming)
    if run.stamped and task.mode == "bulk":
        checked.findings.append(FileFinding("stamped_in_bulk", _about(task, "stamped_in_bulk")))
    duplicates.settle(checked, run.key_hashes, run.seed, task.table)
    _judge(task, checked, run.last_line_is_bad)
    return checked


def _pieces(task: Task, size: int) -> Iterator[Piece]:
    if task.is_fixed_width:
        return delimited.pieces(task.path, task.dialect, task.dialect.start, size, first_line=1)
    return delimited.pieces(
        task.path, task.dialect, task.header.offset, size, first_line=task.first_line
    )


def _about(task: Task, code: str) -> str:
    known = CODES[code]
    return f"{task.name}: {known.meaning} {known.remedy}"


def _gathered(layout: Layout) -> list[pl.Expr]:
    """Columns that hold what stands under several headers: `header=value`, joined by `|`."""
    parts: dict[str, list[pl.Expr]] = {}
    for column, (position, header) in layout.gathered:
        value = pl.col(str(position))
        parts.setdefault(column.name, []).append(
            pl.when(value.is_not_null()).then(pl.lit(f"{header}=") + value)
        )
    joined = {
        name: pl.concat_str(each, separator="|", ignore_nulls=True) for name, each in parts.items()
    }
    return [pl.when(text != "").then(text).alias(name) for name, text in joined.items()]


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


@dataclass(frozen=True)
class _Parted:
    """The rows of one piece."""

    clean: pl.DataFrame
    odd: pl.DataFrame
    unreadable: pl.DataFrame
    blank: int
    stamped: bool


class _Pass:
    """The state of one pass: what adds up over the pieces."""

    def __init__(self, task: Task, checked: CheckedFile) -> None:
        self.task = task
        self.checked = checked
        self.seed = task.hash_seed()
        self.width = len(task.layout.columns)
        self.least_fields = task.least_fields
        self.places = task.places if task.is_fixed_width else ()
        self.key_hashes: list[duplicates.Hashes] = []
        self.stamped = False
        self.last_line_is_bad = False
        self.listed: Counter[tuple[str, str]] = Counter()
        self.rules = rules.compile_rules(
            task.table, task.edition, task.mode, task.present, task.given
        )
        self.gathered = _gathered(task.layout)
        self.names = {
            str(position): column.name
            for position, column in enumerate(task.layout.columns)
            if column is not None
        }

    def recognise(
        self, piece: Piece, number: int
    ) -> tuple[Piece, pl.Series, pl.Series, pl.Series, bool]:
        """Of a piece the lines that are not known, their numbers and hashes, and whether these
        are all its lines. Pieces come in their order."""
        checked = self.checked
        lines = piece.lines
        hashes = lines.hash(self.seed).reinterpret(signed=True)
        known, repeated = checked.known.find(hashes.to_numpy(), piece.first_line)
        if self.task.last_line_is_suspect and repeated.size:
            # A copy within the file tells nothing of yesterday's last row: it is looked at.
            is_last = piece.first_line + repeated.size - 1 == self.task.last_line
            known[-1] &= not (is_last and repeated[-1])
            repeated[-1] &= not is_last
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
        return piece, lines, numbers, hashes, whole

    def part(
        self, piece: Piece, lines: pl.Series, numbers: pl.Series, hashes: pl.Series, whole: bool
    ) -> "_Parted":
        """Lines become rows: clean ones typed, the others as text. Changes nothing here."""
        frame, unreadable = self._split(piece, lines, numbers, whole)
        if self.task.last_line_is_suspect:
            frame, unreadable = self._without_last_line(frame, unreadable, lines, numbers)
        row_hash = (
            hashes
            if not unreadable.height
            else hashes.filter(~numbers.is_in(unreadable["line"].implode()))
        )
        frame = frame.with_columns(row_hash.alias("row_hash"))
        filled = self._without_blank_rows(frame)
        blank = frame.height - filled.height
        frame = filled.select(
            "line",
            "row_hash",
            *(pl.col(at).alias(name) for at, name in self.names.items()),
            *self.gathered,
            *([NOTED] if NOTED in frame.columns else []),
        )
        stamps = [frame[name] for name in STAMPS if name in frame.columns]
        stamped = any(column.null_count() < column.len() for column in stamps)
        clean, odd = self._part(frame, piece.data.isascii())
        return _Parted(clean, odd, unreadable, blank, stamped)

    def settle_next(self, coming: deque[tuple[int, "Future[_Parted]"]]) -> None:
        """Count and write down what the first piece of those to come came to."""
        number, future = coming.popleft()
        parted = future.result()
        self.checked.read -= parted.blank
        self.stamped |= parted.stamped
        clean = parted.clean
        if parted.odd.height or parted.unreadable.height:
            clean = pl.concat([clean, self._spool_findings(parted.odd, parted.unreadable, number)])
        self._spool_accepted(clean, number)

    def _split(
        self, piece: Piece, lines: pl.Series, numbers: pl.Series, whole: bool
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        if self.places:
            length = self.task.edition.record_length
            is_ascii = piece.data.isascii()
            return fixed_width.split(lines, numbers, self.places, length, is_ascii)
        dialect = self.task.dialect
        return delimited.split(piece, lines, numbers, self.width, dialect, whole, self.least_fields)

    def _list_repeats(
        self, piece: Piece, lines: pl.Series, numbers: pl.Series, number: int
    ) -> None:
        """Further copies of recognised rows; they are counted apart (`CheckedFile.repeats`)."""
        frame, _ = self._split(piece, lines, numbers, whole=False)
        frame = frame.select("line", *(pl.col(at).alias(n) for at, n in self.names.items()))
        mended = self.rules.mended_and_parsed(frame)
        found = mended.select("line", self.rules.key.alias(self.task.table.key))
        listed = self._capped(duplicates.findings_of(found, self.task.table, "duplicate_row"))
        listed.write_parquet(self.checked.spool / f"findings-again-{number:06}.parquet")

    def _part(self, frame: pl.DataFrame, is_ascii: bool) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Clean rows, typed; and the others, as text."""
        parsed = self.rules.parsed_as_written(frame)
        is_clean = self.rules.is_clean(parsed, is_ascii)
        warned = pl.lit(False).alias("warned")
        typed = parsed.select("line", "row_hash", warned, *self.rules.clean_values)
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
        values = pl.all().exclude("line", "row_hash", NOTED)
        blank = frame.select(pl.all_horizontal(values.is_null())).to_series()
        return frame.filter(~blank) if blank.any() else frame

    def _spool_accepted(self, accepted: pl.DataFrame, number: int) -> None:
        if not accepted.height:
            return
        self.checked.spooled += accepted.height
        self.checked.filled.update(
            column.name for column in accepted if column.null_count() < accepted.height
        )
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
        odd = self.rules.mended_and_parsed(odd)
        broken = self.rules.broken(odd)
        parts = [of_lines(unreadable, self.task), *of_rows(odd, self.rules, broken)]
        found = pl.concat([part for part in parts if part.height] or [nothing()])
        self._list(found, number)
        self.last_line_is_bad |= shows_a_cut(found, unreadable, self.task)
        warned = self.rules.any_of("warning", broken).alias("warned")
        kept = odd.with_columns(warned).filter(~self.rules.any_of("error", broken))
        return kept.select("line", "row_hash", "warned", *self.rules.values)

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
        return pl.concat(parts) if parts else nothing()
