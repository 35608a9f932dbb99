"""The history log: one line per sync, a line per file, and every finding; and what it tells."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from edpipeline.errors import NotFound
from edpipeline.landing.drop import Approval, Delivery
from edpipeline.loading.load import FIRST_SYNC, FileOutcome, Outcome, Request
from edpipeline.loading.report import SyncReport, advice, load_reports
from edpipeline.validation.codes import CODES
from edpipeline.warehouse.engine import Session

MARK = "\x1f"
"""Unit separator: stands in no name."""

FINDING_COLUMNS = {
    "line": "bigint",
    "column_name": "varchar",
    "severity": "varchar",
    "code": "varchar",
    "message": "varchar",
    "record_id": "varchar",
}


@dataclass(frozen=True)
class Entry:
    """What the history needs to know beside the outcome."""

    request: Request
    started_at: datetime
    origin: str
    replay_of: date | None
    sha256: Mapping[str, str]

    @property
    def sync_id(self) -> str:
        """Unique and sortable by time."""
        return f"{self.started_at:%Y%m%dT%H%M%S%f}-{self.request.drop_id}"


def record(session: Session, entry: Entry, outcome: Outcome) -> None:
    """Write the history line, the file lines and the findings of one load."""
    request = entry.request
    keys = {
        "sync_id": entry.sync_id,
        "district": request.district_id,
        "source": request.source.name,
        "day": request.day,
        "drop_id": request.drop_id,
    }
    session.run(
        "insert into ops.sync_history values ($sync_id, $district, $source, $day, $drop_id,"
        " $started_at, $completed_at, $status, $edition, $mode, $origin, $replay_of, $message)",
        started_at=entry.started_at.replace(tzinfo=None),
        completed_at=datetime.now(UTC).replace(tzinfo=None),
        status=outcome.status,
        edition=outcome.opened.edition.name,
        mode=outcome.opened.mode,
        origin=entry.origin,
        replay_of=str(entry.replay_of) if entry.replay_of else None,
        message=message(outcome, request),
        **keys,
    )
    session.run(
        "delete from ops.rejected_rows where district_id = $district and source = $source"
        " and delivery_day = $day and drop_id = $drop_id",
        **keys,
    )
    _record_files(session, keys, entry, outcome)
    for file in outcome.files:
        _record_findings(session, keys, file)
    _record_delivery_findings(session, keys, outcome)
    _record_match_rates(session, keys, outcome)


def message(outcome: Outcome, request: Request) -> str:
    """What happened and what to do, in a sentence or two; counts and codes only."""
    problems = [finding.message for finding in outcome.findings if finding.severity == "error"]
    problems += [
        finding.message
        for file in outcome.files
        for finding in file.checked.findings
        if finding.severity == "error"
    ]
    if outcome.status == "awaiting_approval":
        problems.insert(
            0,
            "First sync: look at the report, then run"
            f" `edpipeline approve {request.drop_id} --by NAME`; nothing was loaded yet.",
        )
    if not outcome.files and not outcome.refused:
        problems.append("The vendor had nothing new.")
    if outcome.hold_reason:
        problems.insert(
            0,
            f"Removals wait: {outcome.hold_reason}. Additions and changes are loaded. If the"
            f" removals are right, run `edpipeline approve {request.drop_id} --by NAME`.",
        )
    return " ".join([*problems, *filter(None, [advice(outcome.match_rates)])])


KEPT_PER_FILE = (
    *("sync_id", "position", "district", "source", "day", "drop_id", "table", "file", "status"),
    *("dialect", "same", "ends", "read", "accepted", "rejected", "added", "changed", "unchanged"),
    *("duplicate", "removed", "held", "rejected_by_code", "warnings_by_code", "sha256"),
)
"""What ops.sync_files has of a file, in the order of its columns."""


def _record_files(
    session: Session, keys: Mapping[str, object], entry: Entry, outcome: Outcome
) -> None:
    """A line per file, all in one statement."""
    before = _used_before(session, keys) if entry.sha256 else {}
    lines, parameters = [], dict(keys)
    for position, file in enumerate(outcome.files):
        line = {"position": position, **_file_line(entry, file, outcome.refused, before)}
        parameters |= {f"{name}_{position}": value for name, value in line.items()}
        names = (f"{name}_{position}" if name in line else name for name in KEPT_PER_FILE)
        lines.append(f"({', '.join(f'${name}' for name in names)})")
    if lines:
        session.run(f"insert into ops.sync_files values {', '.join(lines)}", **parameters)


def _file_line(
    entry: Entry, file: FileOutcome, nothing_was_used: bool, before: Mapping[str, str]
) -> dict[str, object]:
    counts = file.counts
    opened = file.opened
    sha256 = entry.sha256.get(file.name)
    same = bool(sha256) and before.get(file.table.full_name) == sha256
    refused = file.refused or nothing_was_used
    return {
        "table": file.table.full_name,
        "file": file.name,
        "status": "kept" if refused else ("same_bytes" if same else "loaded"),
        "dialect": opened.dialect.describe() if opened and opened.dialect else "",
        "same": same,
        "ends": file.checked.ends_with_line_end,
        "read": counts.read,
        "accepted": counts.accepted,
        "rejected": counts.rejected.total(),
        "added": counts.added,
        "changed": counts.changed,
        "unchanged": counts.unchanged,
        "duplicate": counts.duplicate,
        "removed": counts.removed,
        "held": counts.held,
        "rejected_by_code": json.dumps(dict(counts.rejected), sort_keys=True),
        "warnings_by_code": json.dumps(_warnings(file), sort_keys=True),
        "sha256": sha256,
    }


def _warnings(file: FileOutcome) -> dict[str, int]:
    """Row warnings by code, and each warning about the file as one."""
    found = dict(file.counts.warnings)
    for finding in file.checked.findings:
        if finding.severity == "warning":
            found[finding.code] = found.get(finding.code, 0) + 1
    return found


def _used_before(session: Session, keys: Mapping[str, object]) -> dict[str, str]:
    """Hash of the last file of each table that was used on an earlier day."""
    rows = session.rows(
        "select distinct on (table_name) table_name, sha256 from ops.sync_files"
        " where district_id = $district and source = $source and delivery_day < $day"
        " and status <> 'kept' order by table_name, delivery_day desc, sync_id desc",
        **keys,
    )
    return dict(rows)


def _record_findings(session: Session, keys: Mapping[str, object], file: FileOutcome) -> None:
    files = file.checked.finding_files()
    if files:
        session.stage("staged_findings", files, FINDING_COLUMNS)
        session.run(
            "insert into ops.rejected_rows select $sync_id, $district, $source, $day, $drop_id,"
            " $file, line, column_name, severity, code, message, record_id from staged_findings",
            file=file.name,
            **keys,
        )
    for finding in file.checked.findings:
        _insert_finding(session, keys, file.name, finding.code, finding.message)


def _record_delivery_findings(
    session: Session, keys: Mapping[str, object], outcome: Outcome
) -> None:
    for finding in outcome.findings:
        _insert_finding(session, keys, None, finding.code, finding.message)


def _record_match_rates(session: Session, keys: Mapping[str, object], outcome: Outcome) -> None:
    for rate in outcome.match_rates:
        session.run(
            "insert into ops.match_rates values ($sync_id, $district, $source, $drop_id, $field,"
            " $chosen, $values, $matched)",
            field=rate.field,
            chosen=rate.is_chosen,
            values=rate.values,
            matched=rate.matched,
            **keys,
        )


def _insert_finding(
    session: Session, keys: Mapping[str, object], file: str | None, code: str, text: str
) -> None:
    session.run(
        "insert into ops.rejected_rows values ($sync_id, $district, $source, $day, $drop_id,"
        " $file, null, null, $severity, $code, $text, null)",
        file=file,
        severity=CODES[code].severity,
        code=code,
        text=text,
        **keys,
    )


def synced_days(session: Session, district_id: str, source: str, first: date) -> set[date]:
    """Delivery days from that one on that have been synced before."""
    rows = session.rows(
        "select distinct delivery_day from ops.sync_history where district_id = $district"
        " and source = $source and delivery_day >= $first and drop_id is not null",
        district=district_id,
        source=source,
        first=first,
    )
    return {row[0] for row in rows}


def drops_of_day(session: Session, district_id: str, source: str, day: date) -> list[str]:
    """The drops of the syncs of a day, in their order."""
    rows = session.rows(
        "select drop_id from ops.sync_history where district_id = $district and source = $source"
        " and delivery_day = $day and drop_id is not null order by sync_id",
        district=district_id,
        source=source,
        day=day,
    )
    return [row[0] for row in rows]


def report_of(session: Session, sync_id: str) -> SyncReport:
    """The report of one sync; raises `NotFound` where there is none."""
    found = load_reports(session, "sync_id = $sync_id", sync_id=sync_id)
    if not found:
        raise NotFound(f"no sync {sync_id} is in the history")
    return found[0]


def approvals_of(
    session: Session,
    district_id: str,
    source: str,
    delivery: Delivery,
    of_day: Collection[Delivery],
) -> set[str]:
    """What people have approved that holds for one of the deliveries of a day.

    A first sync is approved once: where a district's first day has an approved drop, the others
    of that day are corrections of it. Removals are approved for what had come by then: should the
    same bytes come again later, a person is asked again.
    """
    rows = session.rows(
        "select drop_id, what, approved_at from ops.approvals where district_id = $district"
        " and source = $source",
        district=district_id,
        source=source,
    )
    drops_of_day = {other.drop.drop_id for other in of_day}
    comings = [d.received_at for d in of_day if d.drop.drop_id == delivery.drop.drop_id]
    received = min(comings, default=delivery.received_at).replace(tzinfo=None)
    return {
        what
        for drop_id, what, approved_at in rows
        if (what == FIRST_SYNC and drop_id in drops_of_day)
        or (drop_id == delivery.drop.drop_id and approved_at >= received)
    }


def mirror_approvals(
    session: Session, district_id: str, source: str, decided: Sequence[Approval]
) -> None:
    """Show the decisions recorded in landing as a table."""
    session.run(
        "delete from ops.approvals where district_id = $district and source = $source",
        district=district_id,
        source=source,
    )
    for approval in decided:
        session.run(
            "insert into ops.approvals values ($district, $source, $drop_id, $what, $by, $at,"
            " $note)",
            district=district_id,
            source=source,
            drop_id=approval.drop_id,
            what=approval.what,
            by=approval.by,
            at=approval.at.replace(tzinfo=None),
            note=approval.note,
        )


def mirror_schools(
    session: Session, district_id: str, source: str, schools: Mapping[str, str]
) -> None:
    """Show the schools of the districts file as a table."""
    session.run(
        "delete from ops.configured_schools where district_id = $district and source = $source",
        district=district_id,
        source=source,
    )
    if schools:
        session.run(
            "insert into ops.configured_schools select $district, $source,"
            " unnest(string_to_array($ids, $mark)), unnest(string_to_array($names, $mark))",
            district=district_id,
            source=source,
            ids=MARK.join(schools),
            names=MARK.join(schools.values()),
            mark=MARK,
        )
