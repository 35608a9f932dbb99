"""One file through the check, as a delivery would send it there."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from edpipeline.model import Mode
from edpipeline.reading.dialect import PIECE, read_dialect, read_header
from edpipeline.reading.layout import match
from edpipeline.validation.check import CheckedFile, Task, check
from edpipeline_tests.district import ONEROSTER

Finding = tuple[int, str | None, str]


@dataclass
class Outcome:
    """What became of a file; its counts are proven to add up."""

    checked: CheckedFile
    rows: dict[int, dict[str, Any]]
    """Accepted rows by line, duplicates taken out."""
    findings: list[Finding]
    """(line, column, code), sorted."""
    messages: list[str]
    record_ids: dict[int, str | None]
    """The record that a finding is about, by line."""
    hashes: list[int]
    """Of accepted rows: what the next delivery knows."""

    @property
    def codes(self) -> Counter[str]:
        return Counter(code for _, _, code in self.findings)

    def rejected(self) -> dict[str, int]:
        return {code: count for code, count in self.checked.rejected.items() if count}


CheckFile = Callable[..., Outcome]


@pytest.fixture(scope="module")
def check_file(tmp_path_factory: pytest.TempPathFactory) -> CheckFile:
    tmp_path: Path = tmp_path_factory.mktemp("checked")
    spools = iter(range(1_000_000))

    def run(
        content: bytes,
        file: str = "users",
        edition: str = "three_file",
        mode: Mode = "bulk",
        known: Iterable[int] = (),
        piece_size: int = PIECE,
    ) -> Outcome:
        table = ONEROSTER.table(file)
        path = tmp_path / table.file
        path.write_bytes(content)
        dialect = read_dialect(path, path.name)
        header = read_header(path, path.name, dialect)
        layout = match(header.names, table, ONEROSTER.edition(edition), ONEROSTER.ignored_headers)
        assert not layout.missing_required, layout.missing_required
        task = Task(
            path, path.name, table, ONEROSTER.edition(edition), mode, dialect, header, layout
        )
        spool = tmp_path / f"spool{next(spools)}"
        return outcome(check(task, np.array(sorted(known), dtype=np.int64), spool, piece_size))

    return run


def outcome(checked: CheckedFile) -> Outcome:
    parts = [pl.read_parquet(path) for path in checked.accepted_files()]
    frame = pl.concat(parts) if parts else pl.DataFrame(schema={"line": pl.UInt32})
    excluded = checked.spool / "excluded.parquet"
    if excluded.exists():
        frame = frame.join(pl.read_parquet(excluded), on="line", how="anti")
    listed = [pl.read_parquet(path) for path in checked.finding_files()]
    found = pl.concat(listed).sort("line") if listed else pl.DataFrame()
    lines = list(found.iter_rows(named=True))
    counted = checked.recognised + checked.repeats + checked.spooled + checked.rejected.total()
    assert checked.read == counted, "every row is accounted for"
    assert frame.height == checked.spooled - checked.duplicates
    return Outcome(
        checked=checked,
        rows={row["line"]: row for row in frame.sort("line").iter_rows(named=True)},
        findings=sorted(
            ((line["line"], line["column_name"], line["code"]) for line in lines),
            key=repr,
        ),
        messages=[line["message"] for line in lines] + [f.message for f in checked.findings],
        record_ids={line["line"]: line["record_id"] for line in lines},
        hashes=list(frame["row_hash"]) if frame.height else [],
    )
