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
    lines: pl.Series, numbers: pl.Series, places: Sequence[Place], length: int
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
    is_exact = found.select((pl.col("off") == 0).all()).item()
    values = []
    for name, (start, end) in enumerate(places):
        value = text.str.slice(start, end - start).str.strip_chars()
        filled = value != ""
        if not is_exact and end > length * TRUSTED:
            filled &= pl.col("off") == 0
        values.append(pl.when(filled).then(value).alias(str(name)))
    noted = pl.when(pl.col("off") != 0).then(pl.lit("record_length")).alias(NOTED)
    return found.select("line", *values, noted), bad.cast(UNREADABLE)  # type: ignore[arg-type]


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
