"""Findings of one file: those of the pass, and those that only the load can make."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from edpipeline.validation.check import LISTED_WARNINGS
from edpipeline.validation.codes import CODES
from edpipeline.validation.row_findings import FINDINGS_SCHEMA

if TYPE_CHECKING:
    from edpipeline.validation.checked import CheckedFile


class Findings:
    """The list of what was found in one file, kept as Parquet in its spool."""

    def __init__(self, checked: "CheckedFile") -> None:
        self.checked = checked
        self._added = 0

    def files(self) -> list[Path]:
        """All parts of the list."""
        return self.checked.finding_files()

    def spoiled_keys(self) -> pl.DataFrame:
        """Keys of rejected rows (`record_id`, unique): their last good versions stay."""
        parts = [
            pl.read_parquet(path)
            .filter((pl.col("severity") == "error") & pl.col("record_id").is_not_null())
            .select("record_id")
            for path in self.files()
        ]
        if not parts:
            return pl.DataFrame(schema={"record_id": pl.String})
        return pl.concat(parts).unique()

    def add(self, code: str, rows: pl.DataFrame, column: str) -> None:
        """List rows (`line`, `record_id`) under a code; warnings up to the limit."""
        if not rows.height:
            return
        known = CODES[code]
        header = _header(self.checked, column)
        listed = rows if known.severity == "error" else rows.head(LISTED_WARNINGS)
        frame = listed.select(
            pl.col("line").cast(pl.UInt32),
            pl.lit(column).alias("column_name"),
            pl.lit(known.severity).alias("severity"),
            pl.lit(code).alias("code"),
            pl.lit(f"{header}: {known.meaning} {known.remedy}").alias("message"),
            pl.col("record_id").cast(pl.String),
        )
        self._added += 1
        frame.write_parquet(self.checked.spool / f"findings-z{self._added:05}.parquet")


def gather(files: Iterable[Path]) -> pl.DataFrame:
    """Parts of a list as one frame, by line."""
    parts = [pl.read_parquet(path) for path in files]
    return pl.concat(parts or [pl.DataFrame(schema=FINDINGS_SCHEMA)]).sort("line")


def _header(checked: "CheckedFile", column: str) -> str:
    return next((c.header for c in checked.table.columns if c.name == column), column)
