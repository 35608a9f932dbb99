"""Lines whose values stand at fixed places: no header, no separator.

A line that is not as long as its layout says was damaged somewhere: what stands before the break
is right and what follows is shifted. Where the break is cannot be seen, so such a line is believed
up to `TRUSTED` of its length and noted; one that is far too short or too long is not read at all.
"""

from collections.abc import Sequence

import polars as pl

from edpipeline.reading.delimited import NOTED, UNREADABLE

TRUSTED = 0.75
"""Of a line of another length, this share of its layout is believed: state layouts keep scores in
the first half, and ids of the answer documents at the end."""
FAR = 0.01
"""A line that differs from its layout by more than this share of its length is of another one."""

Place = tuple[int, int]


def split(
    lines: pl.Series, numbers: pl.Series, places: Sequence[Place], length: int, is_ascii: bool
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Values by place (start and end in characters, from 0, end excluded).

    Returns (`line` u32, columns `0`, `1`, ... as trimmed text with blanks as null, `noted`: the
    code `record_length` for lines of another length; `line`, `code`, `text` of unreadable lines).
    """
    text = pl.col("text")
    found = pl.DataFrame({"line": numbers, "text": lines}, {"line": pl.UInt32, "text": pl.String})
    found = found.with_columns((text.str.len_chars().cast(pl.Int64) - length).alias("off"))
    unreadable = (pl.col("off").abs() > length * FAR) | text.str.contains("\x00", literal=True)
    bad = found.filter(unreadable).select("line", _code().alias("code"), "text")
    if bad.height:
        found = found.filter(~unreadable)
    values = found.select(_value(place, is_ascii).alias(str(n)) for n, place in enumerate(places))
    filled = pl.all() != ""
    values = values.with_columns(pl.when(filled).then(pl.all()))
    if (found["off"] != 0).any():
        doubtful = [str(n) for n, (_, end) in enumerate(places) if end > length * TRUSTED]
        whole = found["off"] == 0
        values = values.with_columns(pl.when(whole).then(pl.col(doubtful)))
    noted = pl.when(pl.col("off") != 0).then(pl.lit("record_length")).alias(NOTED)
    told = found.select("line", noted)
    return pl.concat([told, values], how="horizontal"), bad.cast(UNREADABLE)  # type: ignore[arg-type]


def _value(place: Place, is_ascii: bool) -> pl.Expr:
    """Of ASCII a character is a byte, and bytes are found at once."""
    start, end = place
    text = pl.col("text")
    if is_ascii:
        return text.cast(pl.Binary).bin.slice(start, end - start).cast(pl.String).str.strip_chars()
    return text.str.slice(start, end - start).str.strip_chars()


def _code() -> pl.Expr:
    """Why a line cannot be read."""
    off = pl.col("off")
    return (
        pl.when(off == 0)
        .then(pl.lit("control_character"))
        .when(off < 0)
        .then(pl.lit("row_too_short"))
        .otherwise(pl.lit("row_too_long"))
    )
