"""Delimited text, read so that it cannot be fooled.

One physical line is one row. A file is read in pieces of bounded size, every row's width is
checked against the header, and lines that do not fit are handed back by number.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from edpipeline.reading.dialect import BOM, CACHED, ENCODINGS, PIECE, Dialect

WELL_QUOTED_LINE = r'^(?:"(?:[^"]|"")*"|[^"{0}]*)(?:{0}(?:"(?:[^"]|"")*"|[^"{0}]*))*$'
FIELD_IN_QUOTES = r'"[^"]*"'
NO_SEPARATOR = "\x01"
QUOTE = ord('"')
NOTED = "noted"
"""Column with the code of the warning that splitting a line gave rise to, if any."""
UNREADABLE = {"line": pl.UInt32, "code": pl.String, "text": pl.String}
"""Lines that could not be split."""


@dataclass(frozen=True)
class Piece:
    """Some whole lines of a file: UTF-8 bytes whose lines end with LF or CR."""

    data: bytes
    lines: pl.Series
    """Every physical line as text, blank ones null or ""; one value per line."""
    first_line: int
    eol: str


def pieces(
    path: Path, dialect: Dialect, offset: int, size: int = PIECE, first_line: int = 2
) -> Iterator[Piece]:
    """The rows from `offset` on, in pieces of about `size` bytes, cut at line ends.

    `first_line` is the number of the line there. The next piece is read while the caller works
    on this one.
    """
    ahead = _pieces(path, dialect, offset, size, first_line)
    with ThreadPoolExecutor(max_workers=1) as reader:
        coming = reader.submit(next, ahead, None)
        while (piece := coming.result()) is not None:
            coming = reader.submit(next, ahead, None)
            yield piece


def _pieces(
    path: Path, dialect: Dialect, offset: int, size: int, first_line: int
) -> Iterator[Piece]:
    end = dialect.line_end.encode()
    eol = "\r" if dialect.line_end == "\r" else "\n"
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
    piece: Piece,
    lines: pl.Series,
    numbers: pl.Series,
    width: int,
    dialect: Dialect,
    whole: bool,
    least: int | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Lines become columns; those that do not fit come back as unreadable.

    `lines` are the lines wanted with their `numbers` (blank ones already left out); `whole` says
    that they are all the lines of the piece. Returns (`line` u32 and columns `0..width-1` as
    text with empty fields as null; `line`, `code` and `text` of each unreadable line).

    With `least`, lines of fewer fields, but so many, are filled up with blanks, and what is
    blank beyond `width` is taken off; such lines have `row_padded` in a further column `noted`.
    """
    nothing = pl.DataFrame(schema=UNREADABLE)
    if not lines.len():
        return _empty_frame(width, least is not None), nothing
    data = piece.data if whole else _joined(lines, piece.eol)
    frame = _split_fast(data, piece.eol, lines.len(), width, dialect)
    if frame is not None:
        frame = frame.insert_column(0, numbers.alias("line"))
        return (frame if least is None else frame.with_columns(_not_noted())), nothing
    noted = None
    if least is not None:
        lines, noted = _fitted(piece, lines, width, least, dialect)
    codes = _line_codes(lines, width, dialect)
    good = codes.is_null()
    bad = pl.DataFrame({"line": numbers, "code": codes, "text": lines}, UNREADABLE).filter(~good)
    kept = lines.filter(good)
    if not kept.len():
        return _empty_frame(width, least is not None), bad
    frame = _read_csv(
        _joined(kept, piece.eol),
        _names(width),
        piece.eol,
        dialect.separator,
        quote='"' if dialect.quoted else None,
    )
    if noted is not None:
        frame = frame.with_columns(noted.filter(good))
    return frame.insert_column(0, numbers.filter(good).alias("line")), bad


def _piece(block: bytes, dialect: Dialect, first_line: int, eol: str) -> Piece:
    codec = ENCODINGS[dialect.encoding]
    if codec != "utf-8":
        block = block.decode(codec).encode("utf-8")
    if dialect.line_end != "\r\n":
        return Piece(block, _lines(block, eol), first_line, eol)
    if not dialect.separator:
        # Of fixed width nothing but the lines is read, which costs less than a second copy.
        lines = _lines(block, eol).str.strip_suffix("\r")
        return Piece(block, lines, first_line, eol)
    block = block.translate(None, b"\r")  # there is none but before LF: mixtures are refused
    return Piece(block, _lines(block, eol), first_line, eol)


def _lines(block: bytes, eol: str) -> pl.Series:
    if NO_SEPARATOR.encode() in block:
        lines = block.decode("utf-8").removesuffix(eol).split(eol)
        return pl.Series("text", lines, dtype=pl.String)
    return _read_csv(block, ["text"], eol, NO_SEPARATOR).to_series()


def _names(width: int) -> list[str]:
    return [str(position) for position in range(width)]


def _not_noted() -> pl.Expr:
    return pl.lit(None, dtype=pl.String).alias(NOTED)


def _empty_frame(width: int, noted: bool) -> pl.DataFrame:
    names = [*_names(width), *([NOTED] if noted else [])]
    return pl.DataFrame(schema={"line": pl.UInt32} | dict.fromkeys(names, pl.String))


def _joined(lines: pl.Series, eol: str) -> bytes:
    text: str = lines.str.join(eol).item()
    return (text + eol).encode()


def _read_csv(
    data: bytes, names: list[str], eol: str, separator: str, quote: str | None = None
) -> pl.DataFrame:
    return pl.read_csv(
        BOM + data if data.startswith(BOM) else data,  # polars takes one off, wherever we cut
        has_header=False,
        schema=dict.fromkeys(names, pl.String),
        separator=separator,
        quote_char=quote,
        eol_char=eol,
        infer_schema=False,
        empty_string_is_null=separator != NO_SEPARATOR,
        null_values=None if quote is None else "",
        missing_columns="insert",
    )


def _split_fast(
    data: bytes, eol: str, rows: int, width: int, dialect: Dialect
) -> pl.DataFrame | None:
    """All lines at once, or None when any of them may be malformed.

    polars refuses a long row but pads a short one in silence; a row too many separators here
    cannot make up for one too few there, so their exact count proves every width.
    """
    quoted = dialect.quoted and b'"' in data
    between = dialect.separator
    if not quoted:
        separators: int | None = data.count(between.encode())
    elif _is_all_quoted(data, eol, rows, width, between):
        separators = (width - 1) * rows
    else:
        separators = _separators_outside_quotes(data, eol, between)
    if separators != (width - 1) * rows or b"\x00" in data:
        return None
    try:
        frame = _read_csv(
            data, _names(width), eol, dialect.separator, quote='"' if quoted else None
        )
    except pl.exceptions.PolarsError:
        return None
    return frame if frame.height == rows else None


def _is_all_quoted(data: bytes, eol: str, rows: int, width: int, separator: str) -> bool:
    """Whether counting shows that each row has `width` values, all of them in quotes.

    Every value has two quotes and between two values stands `","`. A value with a quote inside has
    at least two quotes more, and four for each `","` in it, so that a value missing elsewhere
    cannot make up for both counts; only a value that begins with a separator could, so there must
    be none. Rows that are too long are refused by polars, and line ends in values change the
    number of rows. (In a row without quotes up to `width` values could make up for half as many
    quotes inside of values; so there are more than two.)
    """
    signs = np.frombuffer(data, dtype=np.uint8)
    between, end = ord(separator), ord(eol)
    if width <= 2 or data.startswith(f'"{separator}"'.encode()):
        return False
    quotes = edges = 0
    for first in range(0, signs.size, CACHED):
        start = max(0, first - 1)
        part = signs[start : first + CACHED + 2]
        quote = part == QUOTE
        quotes += int(np.count_nonzero(quote[first - start :][:CACHED]))
        edge = (part[2:-1] == between) & quote[1:-2] & quote[3:]
        edges += int(np.count_nonzero(edge))
        before = part[:-3]
        if (edge & ((before == between) | (before == end))).any():
            return False
    return quotes == 2 * width * rows and edges == (width - 1) * rows


def _separators_outside_quotes(data: bytes, eol: str, separator: str) -> int | None:
    """How many there are; None where quotes are not as they should be.

    A quote opens at the beginning of a field and closes at its end; two of them inside of a
    quoted field stand for one, which is the same as closing and opening again.
    """
    signs = np.frombuffer(data, dtype=np.uint8)
    quote, end, between = ord('"'), ord(eol), ord(separator)
    quotes = np.flatnonzero(signs == quote)
    if quotes.size % 2:
        return None
    # Where every value is in quotes, one sign stands between a closing and an opening one.
    closing, opening = quotes[1:-1:2], quotes[2::2]
    beside = signs[closing + 1]
    apart = opening - closing
    ends = int(np.count_nonzero(beside[apart == 2] == end))
    starts_and_ends = quotes[0] == 0 and quotes[-1] == signs.size - 1 - data.endswith(eol.encode())
    if starts_and_ends and (apart <= 2).all():
        separators = int(np.count_nonzero(beside[apart == 2] == between))
        known = ends + separators + int(np.count_nonzero(apart == 1))
        every_end = data.count(eol.encode()) - data.endswith(eol.encode())
        return separators if known == apart.size and ends == every_end else None
    return _separators_in_part_quoted(signs, quotes, end, between)


def _separators_in_part_quoted(
    signs: NDArray[np.uint8], quotes: NDArray[np.int64], end: int, between: int
) -> int | None:
    """The same where some values are in quotes and others are not."""
    opening, closing = quotes[::2], quotes[1::2]
    before = signs[opening[opening > 0] - 1]
    after = signs[closing[closing + 1 < signs.size] + 1]
    for beside in (before, after):
        if not ((beside == between) | (beside == end) | (beside == ord('"'))).all():
            return None
    inside = np.bitwise_xor.accumulate((signs == ord('"')).view(np.uint8)).view(np.bool_)
    if (inside & (signs == end)).any():
        return None
    return int(np.count_nonzero((signs == between) & ~inside))


def _bare(text: pl.Expr, dialect: Dialect) -> pl.Expr:
    """A line without what stands in quotes."""
    return text.str.replace_all(FIELD_IN_QUOTES, "") if dialect.quoted else text


def _fields(text: pl.Expr, dialect: Dialect) -> pl.Expr:
    return text.str.count_matches(dialect.separator, literal=True) + 1


def _fitted(
    piece: Piece, lines: pl.Series, width: int, least: int, dialect: Dialect
) -> tuple[pl.Series, pl.Series]:
    """Lines whose blank ends are made to fit the width, and `row_padded` where they were.

    A blank end is taken off where the piece's lines have it: in a single one it may as well be the
    value before the end that is one too many, and what comes after that is shifted.
    """
    text = pl.col("text")
    fields = _fields(_bare(text, dialect), dialect)
    found = lines.to_frame("text").with_columns(fields.alias("fields"))
    short = pl.col("fields").is_between(least, width - 1)
    cut = text.str.strip_chars_end(dialect.separator)
    over = pl.col("fields") > width
    blank_end = over & (_fields(_bare(cut, dialect), dialect) <= width)
    if found.select(blank_end.any()).item():
        blank_end &= pl.col("fields") == _usual_fields(piece, dialect)
    if not found.select((short | blank_end).any()).item():
        return lines, pl.Series(NOTED, [None], dtype=pl.String).extend_constant(
            None, lines.len() - 1
        )
    text = pl.when(blank_end).then(cut).otherwise(text)
    lacking = (width - _fields(_bare(text, dialect), dialect)).clip(0, width)
    padding = pl.lit(dialect.separator).repeat_by(lacking).list.join("")
    fitted = found.select(
        pl.when(short | blank_end).then(text + padding).otherwise(pl.col("text")).alias("text"),
        pl.when(short | blank_end).then(pl.lit("row_padded")).alias(NOTED),
    )
    return fitted["text"], fitted[NOTED]


def _usual_fields(piece: Piece, dialect: Dialect) -> int:
    """How many fields most lines of a piece have; 0 where there is no such number."""
    lines = piece.lines.to_frame("text").filter(pl.col("text") != "")
    counts = lines.select(fields=_fields(_bare(pl.col("text"), dialect), dialect))["fields"]
    often = counts.value_counts(sort=True).row(0)
    return int(often[0]) if often[1] > 1 and counts.len() < 2 * often[1] else 0


def _line_codes(lines: pl.Series, width: int, dialect: Dialect) -> pl.Series:
    """The code of each malformed line, null for good ones."""
    text = pl.col("text")
    fields = _fields(_bare(text, dialect), dialect)
    well_quoted = text.str.contains(WELL_QUOTED_LINE.format(dialect.separator))
    rules: list[tuple[str, pl.Expr]] = [
        ("control_character", text.str.contains("\x00", literal=True)),
        ("bad_quoting", ~well_quoted if dialect.quoted else pl.lit(False)),
        ("row_too_short", fields < width),
        ("row_too_long", fields > width),
    ]
    code = pl.lit(None, dtype=pl.String)
    for name, failed in reversed(rules):
        code = pl.when(failed).then(pl.lit(name)).otherwise(code)
    return lines.to_frame("text").select(code.alias("code")).to_series()
