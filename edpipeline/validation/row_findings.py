"""What is wrong with single rows, as frames: file line, column, severity, code, message, record."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from edpipeline.validation import rules
from edpipeline.validation.codes import CODES

if TYPE_CHECKING:
    from edpipeline.validation.check import Task

WIDTH_CODES = ("row_too_short", "row_too_long")
FINDINGS_SCHEMA = {
    "line": pl.UInt32,
    "column_name": pl.String,
    "severity": pl.String,
    "code": pl.String,
    "message": pl.String,
    "record_id": pl.String,
}


def nothing() -> pl.DataFrame:
    """No finding."""
    return pl.DataFrame(schema=FINDINGS_SCHEMA)


def of_lines(unreadable: pl.DataFrame, task: "Task") -> pl.DataFrame:
    """Findings for lines that could not be split."""
    if not unreadable.height:
        return nothing()
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


def _probable_key(task: "Task") -> pl.Expr:
    """The key of a line that could not be split, where its fields up to the key are in place.

    It only serves to keep the record's last good version.
    """
    table = task.table
    # Which comma is one too many is not known: of a built key only its beginning is believed.
    names = (table.key,) if table.key in task.present else table.derived_key[:2]
    if table.built_keys:
        return pl.lit(None, dtype=pl.String)
    positions = {c.name: n for n, c in enumerate(task.layout.columns) if c is not None}
    fields = pl.col("text").str.split(",")
    parts = [
        fields.list.get(positions[name], null_on_oob=True).str.strip_chars('" \t')
        for name in names
        if name in positions
    ]
    key = pl.concat_str(parts, separator=":").str.strip_suffix(":")
    return pl.when((key != "") & ~key.str.contains("\x00", literal=True)).then(key)


def shows_a_cut(findings: pl.DataFrame, unreadable: pl.DataFrame, task: "Task") -> bool:
    """Whether the last line is bad in a way in which cutting it off would make it bad.

    A last line of an upload that has no separator at all is rather a footer.
    """
    if task.is_fixed_width:
        return False
    if task.table.built_keys:
        has_fields = pl.col("text").str.contains(task.dialect.separator, literal=True)
        footers = unreadable.filter(~has_fields)["line"]
        findings = findings.filter(~pl.col("line").is_in(footers.implode()))
    last = task.layout.columns[-1]
    at_the_end = pl.col("column_name") == (last.name if last is not None else "")
    by_a_cut = pl.col("code").is_in(["row_too_short", "bad_quoting"]) | at_the_end
    is_error = pl.col("severity") == "error"
    return not findings.filter((pl.col("line") == task.last_line) & is_error & by_a_cut).is_empty()


def of_rows(
    odd: pl.DataFrame, compiled: rules.Rules, broken: pl.DataFrame
) -> Sequence[pl.DataFrame]:
    """Findings for rows that break rules: one for each row and rule. `broken` says which do."""
    if not odd.height:
        return []
    about = odd.select("line", compiled.key.alias("record_id"))
    anywhere = broken.select(pl.exclude("line").any()).row(0, named=True)
    parts = []
    for position, check in enumerate(compiled.checks):
        if anywhere[str(position)]:
            found = about.filter(broken[str(position)])
            parts.append(
                found.select(
                    "line",
                    pl.lit(check.column).alias("column_name"),
                    pl.lit(check.severity).alias("severity"),
                    pl.lit(check.code).alias("code"),
                    pl.lit(check.message).alias("message"),
                    "record_id",
                )
            )
    return parts
