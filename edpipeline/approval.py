"""What waits for a person, and that person's decision: recorded in landing, then applied."""

from dataclasses import dataclass
from datetime import UTC, date, datetime

from edpipeline import sources
from edpipeline.errors import NotFound, Permanent
from edpipeline.landing import drop as landing
from edpipeline.landing.drop import Approval
from edpipeline.loading.load import FIRST_SYNC, REMOVALS, Progress
from edpipeline.loading.report import STATUS_WORDS, SyncReport, load_reports
from edpipeline.pipeline import Pipeline, silent

WAITS_FOR = {"awaiting_approval": FIRST_SYNC, "removals_held": REMOVALS}
"""What a sync of that status waits for."""


@dataclass(frozen=True)
class Waiting:
    """A sync that waits for a decision about its drop."""

    report: SyncReport
    what: str
    """`first_sync` or `removals`."""


def find_waiting(
    pipeline: Pipeline,
    drop_id_or_prefix: str,
    what: str | None = None,
    district_id: str | None = None,
) -> Waiting:
    """The sync of that drop, of whatever source, that waits, and for what; with `what`, only for
    that.

    Raises NotFound for a drop that has not landed, Permanent for one that waits for nothing, or
    in several districts that were sent the same bytes.
    """
    found = landing.find_drop(pipeline.store, drop_id_or_prefix)
    deliveries = [d for d in found if district_id in (None, d.drop.district_id)]
    if not deliveries:
        raise NotFound(f"drop {found[0].drop.drop_id} has not landed for {district_id}")
    drop_id = deliveries[0].drop.drop_id
    comings = {(d.drop.district_id, d.drop.source, d.day) for d in deliveries}
    reports = [
        report
        for district_id, source, day in sorted(comings)
        for report in _latest(pipeline, district_id, source, day, drop_id)
    ]
    waiting = [
        Waiting(report, WAITS_FOR[report.status])
        for report in reports
        if report.drop_id == drop_id and report.status in WAITS_FOR
    ]
    wanted = [one for one in waiting if what in (None, one.what)]
    districts = sorted({one.report.district_id for one in wanted})
    if len(districts) > 1:
        raise Permanent(f"drop {drop_id} waits in {', '.join(districts)}: name one by --district")
    if wanted:
        return wanted[0]  # the earliest day: later ones are replayed after it
    if waiting:
        raise Permanent(f"drop {drop_id} waits for approval of its {waiting[-1].what}, not {what}")
    raise Permanent(_why_not(drop_id, reports, deliveries[-1]))


def record(pipeline: Pipeline, waiting: Waiting, by: str, note: str = "") -> Approval:
    """Write the decision down beside what landed; the next load of that day applies it."""
    report = waiting.report
    decision = Approval(
        drop_id=report.drop_id,
        district_id=report.district_id,
        source=report.source,
        what=waiting.what,
        by=by,
        at=datetime.now(UTC),
        note=note,
    )
    return landing.approve(pipeline.store, decision)


def approve(
    pipeline: Pipeline, waiting: Waiting, by: str, note: str = "", progress: Progress = silent
) -> SyncReport:
    """Record the decision, load the drop's day again and refill the marts; the new report."""
    report = waiting.report
    record(pipeline, waiting, by, note)
    sync = pipeline.sync(report.district_id, report.day, progress, report.source)
    place = (report.district_id, report.source, report.day, report.drop_id)
    sync.load_day(report.day)
    [after] = _latest(pipeline, *place)
    if after.sync_id == report.sync_id:  # uploads that came meanwhile were loaded, and they alone
        sync.load_day(report.day)
        [after] = _latest(pipeline, *place)
    if after.applied:
        pipeline.refill(report.district_id, progress)
    return after


def _latest(
    pipeline: Pipeline, district_id: str, source: str, day: date, drop_id: str
) -> list[SyncReport]:
    """The sync that counts for a drop and day, if there was one. A roster's later drop of the day
    takes the place of those before; every upload counts."""
    with pipeline.warehouse.transaction() as session:
        found = load_reports(
            session,
            "district_id = $district and source = $source and delivery_day = $day"
            " and drop_id is not null and ($drop_id = '' or drop_id = $drop_id)",
            district=district_id,
            source=source,
            day=day,
            drop_id=drop_id if sources.source(source).holds_results else "",
        )
    return found[:1]


def _why_not(drop_id: str, reports: list[SyncReport], delivery: landing.Delivery) -> str:
    if not reports and sources.source(delivery.drop.source).is_uploaded:
        return (
            f"drop {drop_id} has landed and was not loaded yet: Dagster's next run does it, or"
            " `edpipeline upload --now` with the same file"
        )
    if not reports:
        return (
            f"drop {drop_id} has landed and was not synced yet: run `edpipeline sync --district"
            f" {delivery.drop.district_id} --day {delivery.day}` first"
        )
    last = reports[-1]
    if last.drop_id != drop_id:
        return (
            f"drop {drop_id} was followed by drop {last.drop_id} on {last.day}, and that one"
            f" counts: run `edpipeline report {last.drop_id}`"
        )
    words = STATUS_WORDS.get(last.status, last.status)
    return (
        f"drop {drop_id} of {last.district_id} waits for nothing; its sync of {last.day}: {words}"
    )
