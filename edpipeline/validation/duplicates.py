"""Rows with the same key in one file: copies collapse, contradictions are all rejected.

Keys are compared as 64-bit hashes first; only rows whose hash stands more than once are looked
at as text, so that the usual file costs one sort of numbers.
"""

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from edpipeline.model import Table
from edpipeline.validation.codes import CODES

if TYPE_CHECKING:
    from edpipeline.validation.checked import CheckedFile

Hashes = NDArray[np.uint64]


def settle(checked: "CheckedFile", key_hashes: list[Hashes], seed: int, table: Table) -> None:
    """Find rows of equal key among the spooled ones; list and take out what is not used.

    `key_hashes` are emptied on the way: at state size they are what fills the memory.
    Writes `excluded.parquet` (`line`) and findings into the spool; counts are updated.
    """
    repeated = _repeated(key_hashes)
    if not repeated.size:
        return
    suspects = _suspects(checked, pl.Series(repeated), seed, table)
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
            findings_of(conflicts, table, "duplicate_conflict"),
            findings_of(copies.head(1000), table, "duplicate_row"),
        ]
    )
    findings.write_parquet(checked.spool / "findings-duplicates.parquet")


def _repeated(key_hashes: list[Hashes]) -> Hashes:
    """Hashes that stand more than once."""
    in_order = np.empty(sum(part.size for part in key_hashes), dtype=np.uint64)
    filled = 0
    while key_hashes:
        part = key_hashes.pop()
        in_order[filled : filled + part.size] = part
        filled += part.size
    in_order.sort()
    return np.unique(in_order[1:][in_order[1:] == in_order[:-1]])


def _suspects(checked: "CheckedFile", repeated: pl.Series, seed: int, table: Table) -> pl.DataFrame:
    """All spooled rows whose key has a hash that stands more than once."""
    parts = []
    for path in checked.accepted_files():
        keys = pl.read_parquet(path, columns=[table.key]).to_series()
        mask = keys.hash(seed).is_in(repeated.implode())
        if mask.any():
            parts.append(pl.read_parquet(path).filter(mask))
    return pl.concat(parts)


def findings_of(rows: pl.DataFrame, table: Table, code: str) -> pl.DataFrame:
    """Findings about rows (`line` and the key), in the words of a code."""
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
