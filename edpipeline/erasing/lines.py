"""Which lines of a file are about a student, and the file without them. Bytes in, bytes out.

Lines of files that a source knows are found by their columns; of what could not be read, any value
of a line counts, since nothing of it was loaded. An emptied line stays as a blank one, in JSON as
`{}`: the lines after it keep their numbers, which tables and findings name.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import polars as pl

from edpipeline.erasing.meant import BY_CASE, OF_ONE, Meant
from edpipeline.model import MATCH_FIELDS
from edpipeline.reading import delimited, fixed_width
from edpipeline.reading.delimited import Piece
from edpipeline.reading.dialect import PIECE, Dialect
from edpipeline.validation.check import Task

SHORTEST = 3
"""Ids shorter than this do not count where any value of a line does."""
USERS = "roster.users"
AROUND = r"[\s<>,;|:\"'{}\[\]()/=]"


@dataclass
class Edits:
    """What changes in one file, by line: emptied, or another text."""

    emptied: set[int] = field(default_factory=set)
    texts: dict[int, str] = field(default_factory=dict, repr=False)

    def __bool__(self) -> bool:
        return bool(self.emptied or self.texts)

    def add(self, other: "Edits") -> None:
        """Take over what another look found."""
        self.emptied |= other.emptied
        self.texts |= other.texts
        for line in self.emptied & self.texts.keys():
            del self.texts[line]


def of_task(task: Task, meant: Meant) -> Edits:
    """Lines of a file whose layout is known, numbered as the load numbers them."""
    look = _Look(task, meant)
    found = Edits()
    start, first = task.header.offset, task.first_line
    if task.is_fixed_width:
        start, first = task.dialect.start, 1
    for piece in delimited.pieces(task.path, task.dialect, start, first_line=first):
        found.add(look.at(piece))
    return found


def of_text(path: Path, meant: Meant) -> Edits:
    """Lines of any text in which a value is one of the student's ids, or both names stand."""
    found = Edits()
    anywhere = _Anywhere(meant)
    for piece in delimited.pieces(path, _as_it_is(path), 0, first_line=1):
        frame = pl.DataFrame({"text": piece.lines}, schema={"text": pl.String})
        hit = frame.select(anywhere.expression.fill_null(False)).to_series()
        found.emptied.update((hit.arg_true() + piece.first_line).to_list())
    return found


class _Anywhere:
    """Whether a line names the student somewhere."""

    def __init__(self, meant: Meant) -> None:
        text = pl.col("text")
        ids = sorted(_spelled(each for each in meant.ids if len(each) >= SHORTEST))
        listed = "|".join(map(re.escape, ids))
        self.expression = (
            text.str.contains(f"(?i)(?:^|{AROUND})(?:{listed})(?:$|{AROUND})")
            if ids
            else pl.lit(False)
        )
        for given, family in meant.names:
            both = pl.lit(True)
            for name in (given, family):
                spelled = "|".join(map(re.escape, sorted(_spelled([name]))))
                both &= text.str.contains(f"(?i)(?:^|{AROUND})(?:{spelled})(?:$|{AROUND})")
            self.expression |= both


def _spelled(values: Iterable[str]) -> set[str]:
    """Also as UTF-8 looks where it is taken for Latin-1."""
    return {each for value in values for each in (value, value.encode().decode("latin-1"))}


class _Look:
    """What is looked for in one file."""

    def __init__(self, task: Task, meant: Meant) -> None:
        self.task, self.meant = task, meant
        table, edition = task.table, task.edition
        self.anywhere = _Anywhere(meant)
        self.places = task.places if task.is_fixed_width else ()
        self.position = {
            column.name: str(at) for at, column in enumerate(task.layout.columns) if column
        }
        self.columns = {
            self.position[name]: values
            for name, values in meant.by_column.get(table.full_name, {}).items()
            if name in self.position and values
        }
        chosen = task.given.get("match_field", "")
        known = edition.match_columns.get(chosen, ()) if chosen in MATCH_FIELDS else ()
        self.matched = [self.position[name] for name in known if name in self.position]
        self.by_case = chosen in BY_CASE
        self.ids = meant.by_field.get(chosen, frozenset()) if self.matched else frozenset()
        self.lists = [
            self.position[column.name]
            for column in table.columns
            if column.kind == "id_list"
            and column.references
            and column.references.table == "users"
            and column.name in self.position
        ]
        self.wanted = sorted(meant.ids | {family for _, family in meant.names})

    def at(self, piece: Piece) -> Edits:
        """What changes in one piece. Few lines hold an id at all; only these are split."""
        text = piece.lines
        holds = text.str.contains_any(self.wanted, ascii_case_insensitive=True).fill_null(False)
        numbers = pl.int_range(
            piece.first_line, piece.first_line + text.len(), dtype=pl.UInt32, eager=True
        )
        lines, numbers = text.filter(holds), numbers.filter(holds)
        found = Edits()
        if not lines.len():
            return found
        frame, bad = self._split(piece, lines, numbers)
        is_of = frame.select("line", self._is_of().fill_null(False).alias("is_of"))
        found.emptied.update(is_of.filter("is_of")["line"].to_list())
        unread = bad.filter(self.anywhere.expression.fill_null(False))
        found.emptied.update(unread["line"].to_list())
        if self.lists:
            self._shorten(frame, lines, numbers, found)
        return found

    def _split(
        self, piece: Piece, lines: pl.Series, numbers: pl.Series
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        task = self.task
        if self.places:
            length = task.edition.record_length
            return fixed_width.split(lines, numbers, self.places, length, piece.data.isascii())
        width = len(task.layout.columns)
        return delimited.split(piece, lines, numbers, width, task.dialect, False, task.least_fields)

    def _is_of(self) -> pl.Expr:
        found = pl.lit(False)
        for at, values in self.columns.items():
            found |= pl.col(at).str.strip_chars().is_in(sorted(values)).fill_null(False)
        if self.matched:
            each = [pl.col(at).str.strip_chars() for at in self.matched]
            value = pl.coalesce(pl.when(one != "").then(one) for one in each)
            value = value.str.to_lowercase() if self.by_case else value
            found |= value.is_in(sorted(self.ids)).fill_null(False)
        return found | self._is_same_person()

    def _is_same_person(self) -> pl.Expr:
        """A user of another id, with the student's number or user name, and the student's name."""
        one, named = pl.lit(False), pl.lit(False)
        if self.task.table.full_name != USERS:
            return one
        for name, values in self.meant.same_person.items():
            if name in self.position:
                is_in = pl.col(self.position[name]).str.strip_chars().is_in(sorted(values))
                one |= is_in.fill_null(False) if name in OF_ONE else pl.lit(False)
                named |= is_in.fill_null(False) if name not in OF_ONE else pl.lit(False)
        return one & named

    def _shorten(
        self, frame: pl.DataFrame, lines: pl.Series, numbers: pl.Series, found: Edits
    ) -> None:
        """Lists of ids in other people's rows lose the student's. There are few such rows."""
        sids = self.meant.student_ids
        texts = dict(zip(numbers.to_list(), lines.to_list(), strict=True))
        for at in self.lists:
            ids = pl.col(at).str.split(",").list.eval(pl.element().str.strip_chars())
            listed = frame.filter(
                ids.list.eval(pl.element().is_in(sorted(sids))).list.any().fill_null(False)
            )["line"].to_list()
            for line in set(listed) - found.emptied:
                texts[line] = _without(texts[line], int(at), sids, self.task.dialect)
                found.texts[line] = texts[line]


def _without(text: str, place: int, listed: frozenset[str], dialect: Dialect) -> str:
    """A line whose list at a place has lost some ids; every other sign stays."""
    mark = re.escape(dialect.separator)
    quoted = rf'[ ]*"(?:[^"]|"")*"[ ]*|[^{mark}]*' if dialect.quoted else rf"[^{mark}]*"
    value = list(re.finditer(rf"(?:^|{mark})({quoted})", text))[place]
    inner = value[1].strip().strip('"')
    left = ",".join(each for each in inner.split(",") if each.strip() not in listed)
    left = f'"{left}"' if '"' in value[1] else left
    return text[: value.start(1)] + left + text[value.end(1) :]


def _as_it_is(path: Path) -> Dialect:
    """How to read any file by its lines, whatever its encoding."""
    with path.open("rb") as file:
        block = file.read(PIECE)
    end = "\n" if b"\n" in block else "\r"
    return Dialect("iso-8859-1", False, end, False, True, 0, separator="")


def is_text(path: Path) -> bool:
    """Whether a file can be searched by its lines."""
    with path.open("rb") as file:
        block = file.read(1 << 16)
    return b"\x00" not in block and not block.startswith((b"%PDF", b"PK\x03\x04", b"\x1f\x8b"))


def objects(path: Path) -> list[int]:
    """The line of each object of JSON lines: blank lines between them are not counted there."""
    numbers: list[int] = []
    for piece in delimited.pieces(path, _as_it_is(path), 0, first_line=1):
        filled = (piece.lines.str.strip_chars() != "").fill_null(False)
        numbers += (filled.arg_true() + piece.first_line).to_list()
    return numbers


def write_without(
    path: Path, target: Path, edits: Edits, codec: str, filler: bytes, has_header: bool
) -> None:
    """The file with lines emptied (`filler` in their place) or of another text.

    Without a header the first line tells the layout, so that there it is taken out whole.
    """
    leading = 0
    while not has_header and leading + 1 in edits.emptied:
        leading += 1
    changed: dict[int, bytes | None] = dict.fromkeys(edits.emptied, filler)
    changed |= {line: text.encode(codec) for line, text in edits.texts.items()}
    changed |= dict.fromkeys(range(1, leading + 1))
    with path.open("rb") as source, target.open("wb") as out:
        end = b"\n" if b"\n" in source.read(PIECE) else b"\r"
        source.seek(0)
        first, rest = 1, b""
        while block := source.read(PIECE):
            block = rest + block
            cut = block.rfind(end) + 1
            first += _write(out, block[:cut], first, changed, end)
            rest = block[cut:]
        _write(out, rest, first, changed, end)


def _write(
    out: BinaryIO, block: bytes, first: int, changed: Mapping[int, bytes | None], end: bytes
) -> int:
    """Whole lines, of which the first has that number; how many line ends they have."""
    ends = np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == ord(end))
    at = 0
    for line in sorted(each for each in changed if first <= each <= first + ends.size):
        number, text = line - first, changed[line]
        start = int(ends[number - 1]) + 1 if number else 0
        stop = int(ends[number]) if number < ends.size else len(block)
        if start == stop == len(block):
            break  # the line after the last line end of this block
        out.write(block[at:start])
        at = stop + 1
        if text is not None:
            at = stop - block.endswith(b"\r", start, stop) if end == b"\n" else stop
            out.write(text)
    out.write(block[at:])
    return int(ends.size)
