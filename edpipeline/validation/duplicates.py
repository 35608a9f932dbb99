"""Rows with the same key in one file: copies collapse, contradictions are all rejected.

Keys are compared as 64-bit hashes first; only rows whose hash stands more than once are looked
at as text, so that the usual file costs one sort of numbers.
"""

from collections import Counter
from typing import TYPE_CHECKING

import polars as pl

from edpipeline.model import Table
from edpipeline.validation.codes import CODES

if TYPE_CHECKING:
    from edpipeline.validation.check import CheckedFile

TECHNICAL = ("line", "row_hash", "warned")


def settle(checked: "CheckedFile", key_hashes: list[pl.Series], table: Table) -> None:
    """Find rows of equal key among the spooled ones; list and take out what is not used.

    Writes `excluded.parquet` (`line`) and findings into the spool; counts are updated.
    """
    repeated = _repeated(key_hashes)
    if not repeated.len():
        return
    suspects = _suspects(checked, key_hashes, repeated)
    values = [c.name for c in table.stored_columns if c.compared and c.name in suspects.columns]
    groups = suspects.with_columns(
        pl.len().over(table.key).alias("copies"),
        pl.struct(values).n_unique().over(table.key).alias("variants"),
        pl.col("line").min().over(table.key).alias("first"),
    ).filter(pl.col("copies") > 1)
    conflicts = groups.filter(pl.col("variants") > 1)
    copies = groups.filter((pl.col("variants") == 1) & (pl.col("line") != pl.col("first")))
    checked.rejected += Counter(duplicate_conflict=conflicts.height)
    checked.warnings += Counter(duplicate_row=copies.height)
    checked.duplicates += copies.height
    checked.spooled -= conflicts.height
    excluded = pl.concat([conflicts.select("line"), copies.select("line")])
    excluded.write_parquet(checked.spool / "excluded.parquet")
    findings = pl.concat(
        [
            _findings(conflicts, table, "duplicate_conflict"),
            _findings(copies.head(1000), table, "duplicate_row"),
        ]
    )
    findings.write_parquet(checked.spool / "findings-duplicates.parquet")


def _repeated(key_hashes: list[pl.Series]) -> pl.Series:
    if not key_hashes:
        return pl.Series(dtype=pl.UInt64)
    in_order = pl.concat(key_hashes, rechunk=True).sort()
    return in_order.filter((in_order == in_order.shift()).fill_null(False)).unique()


def _suspects(
    checked: "CheckedFile", key_hashes: list[pl.Series], repeated: pl.Series
) -> pl.DataFrame:
    parts = []
    for path, hashes in zip(checked.accepted_files(), key_hashes, strict=True):
        mask = hashes.is_in(repeated.implode())
        if mask.any():
            parts.append(pl.read_parquet(path).filter(mask))
    return pl.concat(parts)


def _findings(rows: pl.DataFrame, table: Table, code: str) -> pl.DataFrame:
    known = CODES[code]
    return rows.select(
        "line",
        pl.lit(table.key).alias("column_name"),
        pl.lit(known.severity).alias("severity"),
        pl.lit(code).alias("code"),
        pl.lit(f"{table.column(table.key).header}: {known.meaning} {known.remedy}").alias(
            "message"
        ),
        pl.col(table.key).alias("record_id"),
    )
