"""The sync report: what became of every row, per file; for tables, people and spreadsheets."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

import polars as pl

from edpipeline.warehouse.engine import Session

STATUS_WORDS: Mapping[str, str] = {
    "loaded": "Completed",
    "loaded_with_errors": "Completed with errors",
    "removals_held": "Completed, removals wait for approval",
    "awaiting_approval": "First sync waits for approval",
    "refused": "Refused: nothing was changed",
    "missed": "Missed: no delivery came",
    "failed": "Failed: nothing was changed",
    "locked": "Account locked: it is not tried again by itself",
}
LOADED = ("loaded", "loaded_with_errors", "removals_held")
"""Statuses after which the tables hold the delivery."""

COUNTED = (
    "read",
    "accepted",
    "rejected",
    "added",
    "changed",
    "unchanged",
    "duplicate",
    "removed",
    "held",
)
POOR = 0.5
"""Below this share of matches a person should look whether the field is the right one."""
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class FileReport:
    """Counts of one file; `read = accepted + rejected`,
    `accepted = added + changed + unchanged + duplicate` (nothing of these where refused)."""

    file_name: str
    table_name: str
    status: str
    """`loaded`, `same_bytes` (as the delivery before) or `kept` (the table was left as it was)."""
    dialect: str
    read: int = 0
    accepted: int = 0
    rejected: int = 0
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    duplicate: int = 0
    removed: int = 0
    held: int = 0
    rejected_by_code: Mapping[str, int] = field(default_factory=dict)
    warnings_by_code: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class MatchRate:
    """Distinct ids of one delivery, and how many of them a student has, for one match field."""

    field: str
    is_chosen: bool
    values: int
    matched: int

    @property
    def share(self) -> float:
        """0 to 1; 0 where there is no id at all."""
        return self.matched / self.values if self.values else 0.0

    def plus(self, other: "MatchRate | None") -> "MatchRate":
        """The rate over two files; an id that stands in both counts in each."""
        if other is None:
            return self
        return replace(
            self, values=self.values + other.values, matched=self.matched + other.matched
        )

    def markdown_row(self) -> str:
        """The rate as a row of a table; the chosen field stands out."""
        name = f"**{self.field}**" if self.is_chosen else self.field
        return f"| {name} | {self.values:,} | {self.matched:,} | {self.share:.0%} |"


@dataclass(frozen=True)
class SyncReport:
    """One sync: one pass of one source for one district and day."""

    sync_id: str
    district_id: str
    source: str
    day: date
    drop_id: str
    status: str
    message: str
    started_at: datetime
    completed_at: datetime
    edition: str
    files: tuple[FileReport, ...] = ()
    match_rates: tuple[MatchRate, ...] = ()
    """Of results: how many of its ids the roster knew, by every field."""

    @property
    def applied(self) -> bool:
        """True where the tables hold this delivery now."""
        return self.status in LOADED

    @property
    def is_usable(self) -> bool:
        """True where every file of it was loaded."""
        return self.applied and all(file.status != "kept" for file in self.files)

    def markdown(self) -> str:
        """The report as Markdown; counts and codes only, never a value of a row."""
        lines = [
            f"**{STATUS_WORDS.get(self.status, self.status)}** - {self.district_id},"
            f" {self.day}, drop `{self.drop_id or '-'}`"
        ]
        if self.message:
            lines += ["", self.message]
        if self.files:
            head = ["file", "layout", *COUNTED, "rejected by code", "warnings by code"]
            lines += ["", "| " + " | ".join(head) + " |"]
            lines.append("|" + "---|" * 2 + "---:|" * len(COUNTED) + "---|---|")
            lines += [_markdown_row(file) for file in self.files]
        if self.match_rates:
            lines += ["", "| match on | ids | matched | share |", "|---|---:|---:|---:|"]
            lines += [rate.markdown_row() for rate in self.match_rates]
        return "\n".join(lines)


def summed(reports: Sequence[SyncReport]) -> SyncReport | None:
    """Reports of one district's day, the oldest first, as one: the newest, with the sums of all
    files by table, and with the status and messages of those that did not go well; None of none."""
    if len(reports) < 2:
        return next(iter(reports), None)
    files: dict[str, FileReport] = {}
    rates: dict[str, MatchRate] = {}
    for report in reports:
        for file in report.files:
            files[file.table_name] = _plus(file, files.get(file.table_name))
        for rate in report.match_rates:
            rates[rate.field] = rate.plus(rates.get(rate.field))
    told = [each for each in reports if each.status != LOADED[0]]
    return replace(
        reports[-1],
        status=(told or reports)[-1].status,
        message="\n".join(dict.fromkeys(each.message for each in told if each.message)),
        files=tuple(files.values()),
        match_rates=tuple(rates.values()),
    )


def _plus(file: FileReport, other: FileReport | None) -> FileReport:
    if other is None:
        return file
    return replace(
        file,
        status=other.status if file.status == "same_bytes" else file.status,
        rejected_by_code=_added(other.rejected_by_code, file.rejected_by_code),
        warnings_by_code=_added(other.warnings_by_code, file.warnings_by_code),
        **{name: getattr(file, name) + getattr(other, name) for name in COUNTED},
    )


def _added(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {code: one.get(code, 0) + other.get(code, 0) for code in {**one, **other}}


def _markdown_row(file: FileReport) -> str:
    numbers = [f"{getattr(file, name):,}" for name in COUNTED]
    name = file.file_name if file.status == "loaded" else f"{file.file_name} ({file.status})"
    codes = [_by_code(file.rejected_by_code), _by_code(file.warnings_by_code)]
    return "| " + " | ".join([name, file.dialect, *numbers, *codes]) + " |"


def _by_code(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{code} {count:,}" for code, count in sorted(counts.items()))


def load_reports(session: Session, where: str, **parameters: Any) -> list[SyncReport]:
    """Reports from the history, newest first; `where` is a condition on `ops.sync_history`."""
    rows = session.rows(
        "select sync_id, district_id, source, delivery_day, drop_id, status, message, started_at,"
        f" completed_at, edition from ops.sync_history where {where}"
        " order by started_at desc, sync_id desc",
        **parameters,
    )
    if not rows:
        return []
    files = _file_reports(session, [row[0] for row in rows])
    rates = _match_rates(session, [row[0] for row in rows])
    return [
        SyncReport(
            sync_id=row[0],
            district_id=row[1],
            source=row[2],
            day=row[3],
            drop_id=row[4] or "",
            status=row[5],
            message=row[6] or "",
            started_at=row[7],
            completed_at=row[8],
            edition=row[9] or "",
            files=tuple(files.get(row[0], ())),
            match_rates=tuple(rates.get(row[0], ())),
        )
        for row in rows
    ]


def _file_reports(session: Session, sync_ids: Sequence[str]) -> dict[str, list[FileReport]]:
    counted = ", ".join(f"rows_{name}" for name in COUNTED)
    found: dict[str, list[FileReport]] = {}
    rows = session.rows(
        "select sync_id, file_name, table_name, status, dialect, rejected_by_code,"
        f" warnings_by_code, {counted} from ops.sync_files"
        " where sync_id in (select unnest(string_to_array($ids, ','))) order by sync_id, position",
        ids=",".join(sync_ids),
    )
    for row in rows:
        report = FileReport(
            file_name=row[1],
            table_name=row[2],
            status=row[3],
            dialect=row[4] or "",
            rejected_by_code=json.loads(row[5] or "{}"),
            warnings_by_code=json.loads(row[6] or "{}"),
            **dict(zip(COUNTED, row[7:], strict=True)),
        )
        found.setdefault(row[0], []).append(report)
    return found


def advice(rates: Sequence[MatchRate]) -> str:
    """What to say where the chosen field matches few ids, or ""."""
    chosen = next((rate for rate in rates if rate.is_chosen), None)
    if chosen is None or not chosen.values or chosen.share >= POOR:
        return ""
    text = (
        f"only {chosen.matched:,} of {chosen.values:,} ids match by {chosen.field}: is it the"
        " right field?"
    )
    best = max(rates, key=lambda rate: rate.share)
    if best.share > chosen.share:
        text += f" By {best.field} {best.matched:,} of {best.values:,} would match"
    return text


def _match_rates(session: Session, sync_ids: Sequence[str]) -> dict[str, list[MatchRate]]:
    found: dict[str, list[MatchRate]] = {}
    rows = session.rows(
        "select sync_id, match_field, is_chosen, value_count, matched_count from ops.match_rates"
        " where sync_id in (select unnest(string_to_array($ids, ','))) order by matched_count desc",
        ids=",".join(sync_ids),
    )
    for sync_id, *rate in rows:
        found.setdefault(sync_id, []).append(MatchRate(*rate))
    return found


def findings_csv(session: Session, sync_id: str) -> str:
    """What to fix, as CSV: one line per finding, by file and line.

    Spreadsheets run cells that begin like a formula; those get an apostrophe in front.
    """
    frame = session.frame(
        'select file_name as file, line, column_name as "column", record_id as record, severity,'
        " code, message from ops.rejected_rows where sync_id = $sync_id"
        " order by file_name, line, column_name, code",
        sync_id=sync_id,
    )
    return escaped(frame).write_csv()


def escaped(frame: pl.DataFrame) -> pl.DataFrame:
    """Text cells that a spreadsheet would run as a formula, made harmless."""
    text = pl.col(pl.String)
    harmless = ~text.str.slice(0, 1).is_in(list(FORMULA_STARTS))
    # The column's own expression comes first, because the result is named after it.
    return frame.with_columns(pl.when(harmless).then(text).otherwise(pl.lit("'") + text))
