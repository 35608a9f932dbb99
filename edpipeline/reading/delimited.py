"""Delimited text, read so that it cannot be fooled.

One physical line is one row. The whole file is looked at before its first row is believed: its
encoding, its line ends (all of one kind), whether its fields are quoted. Then it is read in
pieces of bounded size, every row's width is checked against the header, and lines that do not
fit are handed back by number. What common readers do silently with the same files is listed in
the OneRoster facts: rows lost without an error, padded, or shifted by one column.
"""

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from edpipeline.errors import BadDelivery

PIECE = 1 << 25
"""Bytes read at once (32 MiB): large enough to be columnar, small enough to bound memory."""

LONGEST_HEADER = 1 << 20
"""Bytes in which the first line must end."""

ENCODINGS = {"utf-8": "utf-8", "windows-1252": "cp1252", "iso-8859-1": "latin-1"}
"""Encodings by the name people use, with Python's codec."""

BOM = b"\xef\xbb\xbf"
QUOTED_FIELD = re.compile(rb'(?:^|[,\r\n])"(?:[^"\r\n]|"")*"(?=[,\r\n]|$)')
WELL_QUOTED_LINE = r'^(?:"(?:[^"]|"")*"|[^",]*)(?:,(?:"(?:[^"]|"")*"|[^",]*))*$'
FIELD_IN_QUOTES = r'"[^"]*"'
UNREADABLE = {"line": pl.UInt32, "code": pl.String, "text": pl.String}
"""Lines that could not be split."""


class Unreadable(BadDelivery):
    """A file that cannot be read as a table at all; `code` is one of the documented codes."""

    def __init__(self, code: str, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.line = line


@dataclass(frozen=True)
class Dialect:
    """How one file is written. Found by `inspect`, never assumed."""

    encoding: str
    has_bom: bool
    line_end: str
    """One of "\\n", "\\r", "\\r\\n"."""
    quoted: bool
    ends_with_line_end: bool
    rows: int
    """Physical lines below the header, blank ones included."""

    def describe(self) -> str:
        """The dialect in words for a person, for example `UTF-8, CR, unquoted`."""
        ends = {"\n": "LF", "\r": "CR", "\r\n": "CR LF"}[self.line_end]
        quotes = "quoted" if self.quoted else "unquoted"
        mark = " with BOM" if self.has_bom else ""
        return f"{self.encoding.upper()}{mark}, {ends}, {quotes}"


@dataclass(frozen=True)
class Header:
    """The first line, split; `offset` is the byte at which the rows begin."""

    names: tuple[str, ...]
    offset: int


@dataclass(frozen=True)
class Piece:
    """Some whole lines of a file: UTF-8 bytes whose lines end with LF or CR."""

    data: bytes
    lines: pl.Series
    """Every physical line as text, blank ones null or ""; one value per line."""
    first_line: int
    eol: str


def inspect(path: Path, name: str, allowed_encodings: Sequence[str] = ()) -> Dialect:
    """How the file is written, from all of its bytes; `name` is what people call it.

    `allowed_encodings` are tried in order when the bytes are not UTF-8 (names of `ENCODINGS`).
    Raises `Unreadable` (`empty_file`, `not_text`, `bad_encoding`, `mixed_line_ends`,
    `truncated`).
    """
    counts = _count_bytes(path)
    if counts.size == 0:
        raise Unreadable("empty_file", f"{name} is empty: export it again")
    if counts.looks_binary:
        raise Unreadable(
            "not_text", f"{name} is not a CSV file (it looks like {counts.looks_binary})"
        )
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


def header(path: Path, name: str, dialect: Dialect) -> Header:
    """The header line, split into names as written (surrounding blanks and quotes removed).

    Raises `Unreadable` (`no_header`) where the first line is blank or does not end.
    """
    with path.open("rb") as file:
        start = len(BOM) if dialect.has_bom else 0
        file.seek(start)
        raw = file.read(LONGEST_HEADER)
    end = raw.find(dialect.line_end.encode())
    if end < 0 and len(raw) == LONGEST_HEADER:
        raise Unreadable(
            "no_header", f"{name} has no line end near its start: it is no table with a header", 1
        )
    line = raw if end < 0 else raw[:end]
    text = line.decode(ENCODINGS[dialect.encoding])
    if not text.strip():
        raise Unreadable("no_header", f"{name} has a blank first line: put the header there", 1)
    names = _split_line(text, dialect.quoted)
    offset = start + len(line) + (len(dialect.line_end) if end >= 0 else 0)
    return Header(tuple(n.strip().strip("\u00a0\ufeff").strip() for n in names), offset)


def pieces(path: Path, dialect: Dialect, offset: int, size: int = PIECE) -> Iterator[Piece]:
    """The rows below the header in pieces of about `size` bytes, cut at line ends.

    The next piece is read while the caller works on this one.
    """
    ahead = _pieces(path, dialect, offset, size)
    with ThreadPoolExecutor(max_workers=1) as reader:
        coming = reader.submit(next, ahead, None)
        while (piece := coming.result()) is not None:
            coming = reader.submit(next, ahead, None)
            yield piece


def _pieces(path: Path, dialect: Dialect, offset: int, size: int) -> Iterator[Piece]:
    end = dialect.line_end.encode()
    eol = "\r" if dialect.line_end == "\r" else "\n"
    first_line = 2
    rest = b""
    with path.open("rb") as file:
        file.seek(offset)
        while block := file.read(size):
            block = rest + block
            cut = block.rfind(end)
            if cut < 0:
                rest = block
                continue
            cut += len(end)
            piece = _piece(block[:cut], dialect, first_line, eol)
            rest = block[cut:]
            yield piece
            first_line += piece.lines.len()
        if rest:
            yield _piece(rest, dialect, first_line, eol)


def split(
    piece: Piece, lines: pl.Series, numbers: pl.Series, width: int, quoted: bool, whole: bool
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Lines become columns; those that do not fit come back as unreadable.

    `lines` are the lines wanted with their `numbers` (blank ones already left out); `whole` says
    that they are all the lines of the piece. Returns (`line` u32 and columns `0..width-1` as
    text with empty fields as null; `line`, `code` and `text` of each unreadable line).
    """
    nothing = pl.DataFrame(schema=UNREADABLE)
    if not lines.len():
        return _empty_frame(width), nothing
    data = piece.data if whole else _joined(lines, piece.eol)
    frame = _split_fast(data, piece.eol, lines.len(), width, quoted)
    if frame is not None:
        return frame.insert_column(0, numbers.alias("line")), nothing
    codes = _line_codes(lines, width, quoted)
    good = codes.is_null()
    bad = pl.DataFrame({"line": numbers, "code": codes, "text": lines}, UNREADABLE).filter(~good)
    kept = lines.filter(good)
    if not kept.len():
        return _empty_frame(width), bad
    frame = _read_csv(
        _joined(kept, piece.eol), _names(width), piece.eol, quote='"' if quoted else None
    )
    frame = frame.with_columns(pl.when(pl.all() != "").then(pl.all()))
    return frame.insert_column(0, numbers.filter(good).alias("line")), bad


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
        return "a web page"
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
            cr += block.count(b"\r")
            lf += block.count(b"\n")
            if cr and lf:
                crlf += block.count(b"\r\n") + (last == b"\r" and block[:1] == b"\n")
            if not quoted and b'"' in block:
                body = block.removeprefix(BOM) if size == 0 else block
                quoted = QUOTED_FIELD.search(body) is not None
            size += len(block)
            last = block[-1:]
            is_ascii = is_ascii and block.isascii()
    return _Counts(size, crlf, cr, lf, quoted, has_bom, last, binary, is_ascii)


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


def _piece(block: bytes, dialect: Dialect, first_line: int, eol: str) -> Piece:
    if dialect.line_end == "\r\n":
        block = block.replace(b"\r\n", b"\n")
    codec = ENCODINGS[dialect.encoding]
    if codec != "utf-8":
        block = block.decode(codec).encode("utf-8")
    return Piece(block, _lines(block, eol), first_line, eol)


def _lines(block: bytes, eol: str) -> pl.Series:
    if b"\x01" in block:
        lines = block.decode("utf-8").removesuffix(eol).split(eol)
        return pl.Series("text", lines, dtype=pl.String)
    return _read_csv(block, ["text"], eol, separator="\x01").to_series()


def _split_line(text: str, quoted: bool) -> list[str]:
    if not quoted or '"' not in text:
        return text.split(",")
    marked = re.sub(r'"((?:[^"]|"")*)"', lambda m: m[1].replace(",", "\x00"), text)
    return [part.replace("\x00", ",").replace('""', '"') for part in marked.split(",")]


def _names(width: int) -> list[str]:
    return [str(position) for position in range(width)]


def _empty_frame(width: int) -> pl.DataFrame:
    return pl.DataFrame(schema={"line": pl.UInt32} | dict.fromkeys(_names(width), pl.String))


def _joined(lines: pl.Series, eol: str) -> bytes:
    text: str = lines.str.join(eol).item()
    return (text + eol).encode()


def _read_csv(
    data: bytes, names: list[str], eol: str, separator: str = ",", quote: str | None = None
) -> pl.DataFrame:
    return pl.read_csv(
        BOM + data if data.startswith(BOM) else data,  # polars takes one off, wherever we cut
        has_header=False,
        schema=dict.fromkeys(names, pl.String),
        separator=separator,
        quote_char=quote,
        eol_char=eol,
        infer_schema=False,
        empty_string_is_null=separator == ",",
        missing_columns="insert",
    )


def _split_fast(data: bytes, eol: str, rows: int, width: int, quoted: bool) -> pl.DataFrame | None:
    """All lines at once, or None when any of them may be malformed.

    polars refuses a long row but pads a short one in silence; a row too many commas here cannot
    make up for one too few there, so an exact count of commas proves every width.
    """
    if quoted and b'"' in data:
        return None
    if data.count(b",") != (width - 1) * rows or b"\x00" in data:
        return None
    try:
        frame = _read_csv(data, _names(width), eol)
    except pl.exceptions.PolarsError:
        return None
    return frame if frame.height == rows else None


def _line_codes(lines: pl.Series, width: int, quoted: bool) -> pl.Series:
    """The code of each malformed line, null for good ones."""
    text = pl.col("text")
    bare = text.str.replace_all(FIELD_IN_QUOTES, "") if quoted else text
    fields = bare.str.count_matches(",", literal=True) + 1
    rules: list[tuple[str, pl.Expr]] = [
        ("control_character", text.str.contains("\x00", literal=True)),
        ("bad_quoting", ~text.str.contains(WELL_QUOTED_LINE) if quoted else pl.lit(False)),
        ("row_too_short", fields < width),
        ("row_too_long", fields > width),
    ]
    code = pl.lit(None, dtype=pl.String)
    for name, failed in reversed(rules):
        code = pl.when(failed).then(pl.lit(name)).otherwise(code)
    return lines.to_frame("text").select(code.alias("code")).to_series()
