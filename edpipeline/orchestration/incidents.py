"""What went wrong since a moment: read from the history, which every sync writes however it was
begun, and from the runs that ended, with the checks that they evaluated.

Days longer ago than `RECENT` are left out: what is rebuilt or filled in is looked at by who asked
for it.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import cache

import dagster as dg
from dagster._core.storage.tags import WILL_RETRY_TAG

from edpipeline.loading.report import LOADED, POOR, SyncReport, advice, load_reports
from edpipeline.orchestration.alerts import (
    FILE_REFUSED,
    LATE,
    POORLY_MATCHED,
    Incident,
    Place,
    Trouble,
    troubles_of,
)
from edpipeline.orchestration.checks import (
    APPROVED,
    MATCHED,
    ON_TIME,
    REMOVALS_WITHIN_LIMIT,
    landing_key,
    table_key,
)
from edpipeline.orchestration.partitions import DISTRICTS, day_and_district
from edpipeline.orchestration.runs import keys_of, may_pass
from edpipeline.pipeline import Pipeline
from edpipeline.sources import ALL
from edpipeline.validation.codes import CODES
from edpipeline.warehouse.engine import Session

RECENT = timedelta(days=14)
SETTLED = timedelta(minutes=2)
"""A line of the history is this old before it is told of, so that the checks of its run are told
in the same message."""
CLOCKS_DIFFER = timedelta(minutes=2)
"""Runs are looked at again for so long, where machines' clocks differ."""
A_LOAD_TAKES = timedelta(hours=24)
"""The history is looked at again for so long: a line is seen when all that its sync loads is."""

TOLD_STATUSES = ("failed", "refused", "locked", "missed", "awaiting_approval", "removals_held")
FAILED_BY = frozenset({"failed", "refused", FILE_REFUSED, "locked", "missed"})
"""Kinds of incidents that say why a run failed."""
SAME_AS: Mapping[str, str] = {
    APPROVED: "awaiting_approval",
    REMOVALS_WITHIN_LIMIT: "removals_held",
    MATCHED: POORLY_MATCHED,
}
"""Checks that say what the history says."""
ENDED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE)
EVENTS = {dg.DagsterEventType.ASSET_CHECK_EVALUATION, dg.DagsterEventType.STEP_FAILURE}
MAY_PASS = "\nIt may pass, and is tried again by itself."
UNSAID = "It ended without saying why; see its run {run} in Dagster."

IsOurs = Callable[[dg.DagsterRun], bool]


def of_history(pipeline: Pipeline, since: datetime, until: datetime) -> list[Incident]:
    """What the history tells of syncs that ended between. Raises what the warehouse raises."""
    statuses = ", ".join(f"'{status}'" for status in TOLD_STATUSES)
    first = since - A_LOAD_TAKES
    with pipeline.warehouse.transaction() as session:
        reports = load_reports(
            session,
            "replay_of is null and completed_at >= $since and completed_at < $until"
            f" and delivery_day >= $oldest and (status in ({statuses})"
            " or sync_id in (select sync_id from ops.sync_files where status = 'kept')"
            " or sync_id in (select sync_id from ops.match_rates where is_chosen"
            " and matched_count < $poor * value_count))",
            since=first.replace(tzinfo=None),
            until=until.replace(tzinfo=None),
            oldest=(until - RECENT).date(),
            poor=POOR,
        )
        meanings = _meanings(session, [report.sync_id for report in reports if _is_named(report)])
    return [incident for report in reports[::-1] for incident in _of_report(report, meanings)]


def with_drops(
    pipeline: Pipeline, incidents: Sequence[Incident], since: datetime
) -> list[Incident]:
    """Incidents, each with the drop that came last on its day: what its report is found by."""
    days = [one.day for one in incidents if one.day and not one.drop and one.kind not in FAILED_BY]
    if not days:
        return list(incidents)
    with pipeline.warehouse.transaction() as session:
        rows = session.rows(
            "select district_id, source, delivery_day, drop_id from ops.sync_history"
            " where delivery_day >= $first and completed_at >= $since and drop_id is not null"
            " order by sync_id",
            first=min(days),
            since=(since - A_LOAD_TAKES).replace(tzinfo=None),
        )
    drops: dict[Place, str] = {(row[0], row[1], row[2]): row[3] for row in rows}
    return [replace(one, latest=drops.get(one.place, "")) for one in incidents]


def of_runs(
    instance: dg.DagsterInstance, since: datetime, until: datetime, is_ours: IsOurs
) -> list[Incident]:
    """What runs tell that ended since: why they failed, and checks that do not fail a run."""
    ended = instance.get_run_records(
        dg.RunsFilter(
            statuses=list(ENDED), updated_after=since - CLOCKS_DIFFER, updated_before=until
        )
    )
    runs = [record.dagster_run for record in reversed(ended) if is_ours(record.dagster_run)]
    if not runs:
        return []
    districts = frozenset(instance.get_dynamic_partitions(str(DISTRICTS.name)))
    oldest = (until - RECENT).date()
    found = [
        incident
        for run in runs
        for incident in _of_run(instance, run, districts, until.date())
        if incident.day is None or incident.day >= oldest
    ]
    return _merged(found)


def _merged(incidents: Sequence[Incident]) -> list[Incident]:
    """Incidents, with what the same check says of several tables in one."""
    found: dict[tuple[Place, str], list[Incident]] = {}
    for one in incidents:
        found.setdefault((one.place, one.kind), []).append(one)
    return [
        replace(same[0], text="\n".join(dict.fromkeys(one.text for one in same if one.text)))
        for same in found.values()
    ]


def _is_named(report: SyncReport) -> bool:
    """Whether the report may name files as people do, some after a student."""
    return bool(report.drop_id) and report.source in _results()


@cache
def _results() -> frozenset[str]:
    return frozenset(source.name for source in ALL if source.holds_results)


def _meanings(session: Session, sync_ids: Sequence[str]) -> dict[str, str]:
    """What was found about files and deliveries, by the meaning of its codes, by sync."""
    if not sync_ids:
        return {}
    rows = session.rows(
        "select distinct sync_id, code from ops.rejected_rows where line is null"
        " and severity = 'error' and sync_id in (select unnest(string_to_array($ids, ',')))"
        " order by sync_id, code",
        ids=",".join(sync_ids),
    )
    found: dict[str, str] = {}
    for sync_id, code in rows:
        words = f"{code}: {CODES[code].meaning} {CODES[code].remedy}" if code in CODES else code
        found[sync_id] = f"{found.get(sync_id, '')} {words}".strip()
    return found


def _of_report(report: SyncReport, meanings: Mapping[str, str]) -> Iterator[Incident]:
    def incident(kind: str, text: str) -> Incident:
        place = (report.district_id, report.source, report.day)
        return Incident(*place, kind, text, report.drop_id)

    poor = advice(report.match_rates)
    text = meanings.get(report.sync_id, "") if _is_named(report) else report.message
    if report.status in TOLD_STATUSES:
        yield incident(report.status, text)
    elif any(file.status == "kept" for file in report.files):
        yield incident(FILE_REFUSED, text)
    if poor and report.status in LOADED:
        yield incident(POORLY_MATCHED, poor)


def _of_run(
    instance: dg.DagsterInstance, run: dg.DagsterRun, districts: Collection[str], today: date
) -> Iterator[Incident]:
    entries = instance.get_records_for_run(run.run_id, of_type=set(EVENTS)).records
    events = [record.event_log_entry.dagster_event for record in entries]
    failed = run.status == dg.DagsterRunStatus.FAILURE and run.tags.get(WILL_RETRY_TAG) != "true"
    said = False
    for event in filter(None, events):
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            yield from _of_check(event.asset_check_evaluation_data)
        elif failed:
            said = True
            yield from _of_step(event, run, districts, today)
    if failed and not said:
        source = next((one.name for one in ALL if run.job_name.startswith(one.name)), run.job_name)
        text = UNSAID.format(run=run.run_id[:8])
        for key in keys_of(run) or [""]:
            yield Incident(*_place(key, source, today), "failed", text)


def _of_step(
    event: dg.DagsterEvent, run: dg.DagsterRun, districts: Collection[str], today: date
) -> Iterator[Incident]:
    step = event.step_key or run.job_name
    own = event.step_failure_data.user_failure_data
    text = (own.description if own else "") or ""
    troubles = list(troubles_of(text, districts))
    if not troubles:
        # The text of an error that is not ours may quote a row: it is not passed on.
        unsaid = UNSAID.format(run=run.run_id[:8])
        troubles = [Trouble(key, unsaid) for key in keys_of(run) or [""]]
    for trouble in troubles:
        text = f"{trouble.message}{MAY_PASS if may_pass(run, trouble.partition) else ''}"
        yield Incident(*_place(trouble.partition, step, today), "failed", text)


def _of_check(check: dg.AssetCheckEvaluation) -> Iterator[Incident]:
    """A check that failed and fails no run; those that do are told by the run."""
    is_error = check.severity == dg.AssetCheckSeverity.ERROR
    if check.passed or (check.blocking and is_error):
        return
    kind = SAME_AS.get(check.check_name, check.check_name)
    if check.check_name == ON_TIME:
        kind = "missed" if is_error else LATE
    source, table = _assets().get(check.asset_key, (check.asset_key.to_user_string(), ""))
    text = f"{table}: {check.description}" if table else check.description or ""
    district, _, day = _place(check.partition or "", source, date.min)
    yield Incident(district, source, day if check.partition else None, kind, text)


def _place(key: str, source: str, otherwise: date) -> Place:
    """The sync of a partition key, which may be a district alone, or empty."""
    if "|" not in key:
        return key, source, otherwise
    day, district = day_and_district(key)
    return district, source, day


@cache
def _assets() -> Mapping[dg.AssetKey, tuple[str, str]]:
    """Source and table by asset."""
    tables = {table_key(table): (one.name, table.name) for one in ALL for table in one.tables}
    return tables | {landing_key(one): (one.name, "") for one in ALL}
