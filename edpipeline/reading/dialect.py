"""How a file of text is written: the whole of it is looked at before its first row is believed.

Its encoding, its line ends (all of one kind), whether its values are quoted, how many lines it
has. Nothing is assumed: what common readers do silently with the same files is listed in the
OneRoster facts: rows lost without an error, padded, or shifted by one column.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edpipeline.errors import BadDelivery

PIECE = 1 << 25
"""Bytes read at once (32 MiB): large enough to be columnar, small enough to bound memory."""

CACHED = 1 << 18
"""Bytes looked at together, few enough to stay in a processor's cache."""

LONGEST_HEADER = 1 << 20
"""Bytes in which the first line must end."""

ENCODINGS = {"utf-8": "utf-8", "windows-1252": "cp1252", "iso-8859-1": "latin-1"}
"""Encodings by the name people use, with Python's codec."""

BOM = b"\xef\xbb\xbf"
QUOTED_FIELD = re.compile(rb'(?:^|[,\t\r\n])"(?:[^"\r\n]|"")*"(?=[,\t\r\n]|$)')


class Unreadable(BadDelivery):
    """A file that cannot be read as a table at all; `code` is one of the documented codes."""

    def __init__(self, code: str, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.line = line


@dataclass(frozen=True)
class Dialect:
    """How one file is written. Found by `read_dialect`, never assumed."""

    encoding: str
    has_bom: bool
    line_end: str
    """One of "\\n", "\\r", "\\r\\n"."""
    quoted: bool
    ends_with_line_end: bool
    rows: int
    """Physical lines below the first, blank ones included."""
    separator: str = ","
    """The character between values; "" for fixed width."""
    is_json_lines: bool = False
    """True where it was made of JSON lines."""

    @property
    def start(self) -> int:
        """The byte at which the first line begins."""
        return len(BOM) if self.has_bom else 0

    def describe(self) -> str:
        """The dialect in words for a person, for example `UTF-8, CR, unquoted`."""
        if self.is_json_lines:
            return "JSON lines"
        ends = {"\n": "LF", "\r": "CR", "\r\n": "CR LF"}[self.line_end]
        quotes = "quoted" if self.quoted else "unquoted"
        mark = " with BOM" if self.has_bom else ""
        split = {",": quotes, "\t": f"tabs, {quotes}", "": "fixed width"}[self.separator]
        return f"{self.encoding.upper()}{mark}, {ends}, {split}"


@dataclass(frozen=True)
class Header:
    """The first line, split at commas; `offset` is the byte at which the rows begin."""

    names: tuple[str, ...]
    offset: int
    text: str = ""
    """The line as it stands."""
    first_row: str = ""
    """The next line that is not blank."""


def read_dialect(path: Path, name: str, allowed_encodings: Sequence[str] = ()) -> Dialect:
    """How the file is written, from all of its bytes; `name` is what people call it.

    `allowed_encodings` are tried in order when the bytes are not UTF-8 (names of `ENCODINGS`).
    Raises `Unreadable` (`empty_file`, `not_text`, `bad_encoding`, `mixed_line_ends`,
    `truncated`).
    """
    counts = _count_bytes(path)
    if counts.size == 0:
        raise Unreadable("empty_file", f"{name} is empty: export it again")
    if counts.looks_binary:
        what = counts.looks_binary
        remedy = "sign in and download it again" if what == WEB_PAGE else "export it as CSV"
        text = f"{name} is not a CSV file (it looks like {what}): {remedy}"
        raise Unreadable("not_text", text)
    encoding = "utf-8" if counts.is_ascii else _encoding(path, name, allowed_encodings)
    line_end = _line_end(name, counts)
    ends = counts.last in b"\r\n"
    return Dialect(
        encoding=encoding,
        has_bom=counts.has_bom,
        line_end=line_end,
        quoted=counts.quoted,
        ends_with_line_end=ends,
        rows=max(0, counts.line_ends(line_end) - (1 if ends else 0)),
    )


def read_header(path: Path, name: str, dialect: Dialect) -> Header:
    """The header line, split into names as written (surrounding blanks and quotes removed).

    Raises `Unreadable` (`no_header`) where the first line is blank or does not end.
    """
    with path.open("rb") as file:
        file.seek(dialect.start)
        raw = file.read(LONGEST_HEADER)
    end = raw.find(dialect.line_end.encode())
    if end < 0 and len(raw) == LONGEST_HEADER:
        raise Unreadable(
            "no_header", f"{name} has no line end near its start: it is no table with a header", 1
        )
    line = raw if end < 0 else raw[:end]
    codec = ENCODINGS[dialect.encoding]
    text = line.decode(codec)
    if not text.strip():
        raise Unreadable("no_header", f"{name} has a blank first line: put the header there", 1)
    names = split_line(text, ",", dialect.quoted)
    offset = dialect.start + len(line) + (len(dialect.line_end) if end >= 0 else 0)
    below = b"" if end < 0 else raw[end + len(dialect.line_end) :]
    first_row = (
        below.lstrip(b"\r\n").split(dialect.line_end.encode(), 1)[0].decode(codec, "replace")
    )
    return Header(tuple(names), offset, text, first_row)


def split_line(text: str, separator: str, quoted: bool = True) -> list[str]:
    """The values of one line, trimmed; of a header, so NBSP and BOM go as well."""
    found = text.split(separator)
    if quoted and '"' in text:
        marked = re.sub(r'"((?:[^"]|"")*)"', lambda m: m[1].replace(separator, "\x00"), text).split(
            separator
        )
        found = [part.replace("\x00", separator).replace('""', '"') for part in marked]
    return [value.strip().strip("\u00a0\ufeff").strip() for value in found]


@dataclass(frozen=True)
class _Counts:
    size: int
    crlf: int
    cr: int
    lf: int
    quoted: bool
    has_bom: bool
    last: bytes
    looks_binary: str
    is_ascii: bool

    def line_ends(self, line_end: str) -> int:
        return {"\r\n": self.crlf, "\r": self.cr, "\n": self.lf}[line_end]


WEB_PAGE = "a web page"
MAGIC = {
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"%PDF": "a PDF",
    b"\x1f\x8b": "a gzip archive",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}


def _looks_binary(start: bytes) -> str:
    for magic, what in MAGIC.items():
        if start.startswith(magic):
            return what
    head = start.removeprefix(BOM).lstrip()[:64].lower()
    if head.startswith((b"<!doctype", b"<html", b"<?xml")):
        return WEB_PAGE
    if b"\x00" in start[:2]:
        return "UTF-16 text"
    return "binary data" if b"\x00\x00" in start[:4096] else ""


def _count_bytes(path: Path) -> _Counts:
    size = crlf = cr = lf = 0
    quoted = has_bom = False
    is_ascii = True
    last, binary = b"", ""
    with path.open("rb") as file:
        while block := file.read(PIECE):
            if size == 0:
                has_bom, binary = block.startswith(BOM), _looks_binary(block[:4096])
            of_block = _line_ends(block)
            cr, lf = cr + of_block[0], lf + of_block[1]
            crlf += of_block[2] + (last == b"\r" and block[:1] == b"\n")
            if not quoted and b'"' in block:
                body = block.removeprefix(BOM) if size == 0 else block
                quoted = QUOTED_FIELD.search(body) is not None
            size += len(block)
            last = block[-1:]
            is_ascii = is_ascii and block.isascii()
    return _Counts(size, crlf, cr, lf, quoted, has_bom, last, binary, is_ascii)


def _line_ends(block: bytes) -> tuple[int, int, int]:
    """How many CR, LF, and CR LF there are; in parts, because `bytes.count` takes eight times as
    long."""
    signs = np.frombuffer(block, dtype=np.uint8)
    cr = lf = crlf = 0
    for first in range(0, signs.size, CACHED):
        part = signs[first : first + CACHED + 1]
        is_cr, is_lf = part == ord("\r"), part == ord("\n")
        cr += int(np.count_nonzero(is_cr[:CACHED]))
        lf += int(np.count_nonzero(is_lf[:CACHED]))
        crlf += int(np.count_nonzero(is_cr[:-1] & is_lf[1:]))
    return cr, lf, crlf


def _line_end(name: str, counts: _Counts) -> str:
    lone_cr, lone_lf = counts.cr - counts.crlf, counts.lf - counts.crlf
    kinds = {"\r\n": counts.crlf, "\r": lone_cr, "\n": lone_lf}
    present = [kind for kind, count in kinds.items() if count]
    if counts.crlf and lone_cr == 1 and not lone_lf and counts.last == b"\r":
        raise Unreadable(
            "truncated", f"{name} was cut off inside of its last line end: send it again"
        )
    if len(present) > 1:
        words = {"\r\n": "CR LF", "\r": "CR", "\n": "LF"}
        found = ", ".join(f"{kinds[kind]} x {words[kind]}" for kind in present)
        raise Unreadable(
            "mixed_line_ends",
            f"{name} mixes line ends ({found}), so its rows cannot be told apart:"
            " export it with one kind of line end and no line breaks inside values",
        )
    return present[0] if present else "\n"


def _encoding(path: Path, name: str, allowed: Sequence[str]) -> str:
    bad_line = _first_undecodable_line(path, "utf-8")
    if bad_line is None:
        return "utf-8"
    for encoding in allowed:
        if _first_undecodable_line(path, ENCODINGS[encoding]) is None:
            return encoding
    also = f" (nor {', '.join(allowed)})" if allowed else ""
    raise Unreadable(
        "bad_encoding",
        f"{name} is not UTF-8{also}: line {bad_line} has bytes that cannot be read. Export it"
        " with character set UTF-8, or allow its encoding for this district (`encodings`)",
        bad_line,
    )


def _first_undecodable_line(path: Path, codec: str) -> int | None:
    """The line of the first byte that the codec cannot read, or None."""
    at, rest = 0, b""
    with path.open("rb") as file:
        while block := file.read(PIECE):
            block = rest + block
            try:
                if not block.isascii():
                    block.decode(codec)
                rest = b""
            except UnicodeDecodeError as error:
                cut_by_us = codec == "utf-8" and error.reason == "unexpected end of data"
                if not cut_by_us:
                    return _line_at(path, at + error.start)
                rest = block[error.start :]
            at += len(block) - len(rest)
    return _line_at(path, at) if rest else None


def _line_at(path: Path, offset: int) -> int:
    """The number of the line that holds a byte."""
    ends = {b"\n": 0, b"\r": 0}
    with path.open("rb") as file:
        while offset > 0 and (block := file.read(min(PIECE, offset))):
            offset -= len(block)
            for end in ends:
                ends[end] += block.count(end)
    return 1 + max(ends.values())
