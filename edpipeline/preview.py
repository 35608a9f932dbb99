"""What a delivery would come to if it were loaded now. The same code path as a load; nothing
is written.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl

from edpipeline.errors import NotFound
from edpipeline.loading import history, sync
from edpipeline.loading.findings import gather
from edpipeline.loading.load import FileOutcome, Outcome, Progress, Request
from edpipeline.loading.options import LoadOptions
from edpipeline.loading.report import FileReport, SyncReport
from edpipeline.model import Source
from edpipeline.scratch import scratch_folder
from edpipeline.validation.checked import FileFinding
from edpipeline.warehouse.engine import Warehouse, open_warehouse
from edpipeline.warehouse.schema import prepare

ANYBODY = "preview"
"""The district of a delivery that belongs to none yet."""
FINDINGS = {
    "file": pl.String,
    "line": pl.UInt32,
    "column": pl.String,
    "record": pl.String,
    "severity": pl.String,
    "code": pl.String,
    "message": pl.String,
}


@dataclass(frozen=True)
class Preview:
    """What would become of a delivery."""

    report: SyncReport
    """As a sync would report it; nothing has happened yet."""
    edition_title: str
    hold_reason: str
    """Why removals would wait for a person, or ""."""
    findings: pl.DataFrame
    """One row per finding: file, line, column, record, severity, code, message."""

    @property
    def usable(self) -> bool:
        """False where nothing of the delivery could be loaded."""
        return self.report.status != "refused"


def delivered_files(paths: Sequence[Path], patterns: Sequence[str]) -> dict[str, Path]:
    """Files by name: those given, and of folders given those that match a pattern.

    Raises NotFound where there is none, or two of one name.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            below = [each for each in sorted(path.iterdir()) if each.is_file()]
            found += [
                each
                for each in below
                if any(Path(each.name.casefold()).match(pattern) for pattern in patterns)
                and not each.name.startswith(".")
            ]
        elif path.is_file():
            found.append(path)
        else:
            raise NotFound(f"there is no file or folder {path}")
    by_name = {path.name: path for path in found}
    if not found:
        raise NotFound(
            f"no {' or '.join(patterns)} in {', '.join(map(str, paths))}: name a folder that holds"
            " the delivery, its files, or its zip"
        )
    if len(by_name) != len(found):
        raise NotFound("two of the files have the same name: name the files of one delivery")
    return by_name


def preview_delivery(
    paths: Mapping[str, Path],
    source: Source,
    options: LoadOptions,
    day: date,
    sql_folder: Path,
    *,
    warehouse: Warehouse | None = None,
    district_id: str = ANYBODY,
    scratch: Path | None = None,
    progress: Progress = lambda _: None,
) -> Preview:
    """Preview files by the names they were delivered with.

    With a warehouse they are compared with what the district has; without one, with nothing.
    """
    started = datetime.now(UTC)
    request = Request(source, options, district_id, day, ANYBODY)
    with scratch_folder(scratch) as folder, _against(warehouse, source, sql_folder, folder) as base:
        outcome = sync.preview(base, request, paths, folder, progress)
        findings = _findings(outcome)
    report = SyncReport(
        sync_id="",
        district_id=district_id,
        source=source.name,
        day=day,
        drop_id="",
        status=outcome.status,
        message=history.message(outcome, request) if outcome.refused else "",
        started_at=started,
        completed_at=datetime.now(UTC),
        edition=outcome.opened.edition.name,
        files=tuple(_file_report(file, file.refused or outcome.refused) for file in outcome.files),
        match_rates=tuple(outcome.match_rates),
    )
    return Preview(report, outcome.opened.edition.label, outcome.hold_reason, findings)


@contextmanager
def _against(
    warehouse: Warehouse | None, source: Source, sql_folder: Path, scratch: Path
) -> Iterator[Warehouse]:
    if warehouse is None:
        warehouse = open_warehouse(f"duckdb://{scratch.absolute()}/nothing.duckdb")
        prepare(warehouse, [source], sql_folder)
    yield warehouse


def _file_report(file: FileOutcome, refused: bool) -> FileReport:
    counts = file.counts
    warnings = dict(counts.warnings)
    for finding in file.checked.findings:
        if finding.severity == "warning":
            warnings[finding.code] = warnings.get(finding.code, 0) + 1
    return FileReport(
        file_name=file.name,
        table_name=file.table.full_name,
        status="kept" if refused else "loaded",
        dialect=file.opened.dialect.describe() if file.opened and file.opened.dialect else "",
        read=counts.read,
        accepted=counts.accepted,
        rejected=counts.rejected.total(),
        added=counts.added,
        changed=counts.changed,
        unchanged=counts.unchanged,
        duplicate=counts.duplicate,
        removed=counts.removed,
        held=counts.held,
        rejected_by_code=dict(counts.rejected),
        warnings_by_code=warnings,
    )


def _findings(outcome: Outcome) -> pl.DataFrame:
    parts = [_about(None, outcome.findings)]
    for file in outcome.files:
        rows = gather(file.checked.finding_files()).select(
            pl.lit(file.name).alias("file"),
            "line",
            pl.col("column_name").alias("column"),
            pl.col("record_id").alias("record"),
            "severity",
            "code",
            "message",
        )
        parts += [_about(file.name, file.checked.findings), rows]
    return pl.concat(parts)


def _about(name: str | None, findings: Sequence[FileFinding]) -> pl.DataFrame:
    rows = [(name, None, None, None, f.severity, f.code, f.message) for f in findings]
    return pl.DataFrame(rows, schema=FINDINGS, orient="row")
