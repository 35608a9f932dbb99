"""Uploaded sources in Dagster: their assets, the sensor that looks into the inbox, and the check
that nothing laid there is forgotten.

One run takes everything that waits for one district and source; each upload is a delivery of its
own, with its own line in the history.

People name files, some after a student. Landing and warehouse keep these names; Dagster, which
anybody who runs things may look into, gets none of them.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from edpipeline import uploading
from edpipeline.errors import BadDelivery, EdpipelineError, NotFound
from edpipeline.landing import drop as landing
from edpipeline.landing import inbox
from edpipeline.landing.drop import Delivery, shown, stored_name
from edpipeline.landing.inbox import Upload
from edpipeline.loading.report import SyncReport
from edpipeline.model import Source
from edpipeline.orchestration import checks
from edpipeline.orchestration.alerts import alert
from edpipeline.orchestration.assets import Run, declared, refuse
from edpipeline.orchestration.partitions import (
    DISTRICTS,
    decided,
    partition_key,
)
from edpipeline.orchestration.runs import (
    PARTITION_TAG,
    UNFINISHED,
    Asked,
    job_name,
    limit_pools,
    request,
)
from edpipeline.orchestration.steps import Event, Job, OpenPipeline
from edpipeline.validation.codes import CODES

TICK_SECONDS = 30
READY = "ready_within_24_hours"
CHECK_HOURLY = "17 * * * *"
STUCK = timedelta(hours=2)
"""A run that was asked for so long ago and has not ended is not waited for."""
THE_FILE = "the file"
"""What an uploaded file is called here."""
Clock = Callable[[], datetime]


def now_in_utc() -> datetime:
    """The clock."""
    return datetime.now(UTC)


@decided()
def upload_assets(
    source: Source,
    open_pipeline: OpenPipeline,
    first_day: date,
    still: timedelta = inbox.STILL,
) -> dg.AssetsDefinition:
    """The assets of a source of uploads: `landing/<source>` and a table for each kind of file."""

    @dg.multi_asset(**declared(source, first_day))
    def load(context: dg.AssetExecutionContext) -> Iterator[Event]:
        yield from UploadRun(context, source, open_pipeline(), still).events()

    return load


@dataclass(frozen=True)
class UploadRun(Run):
    """A run that takes what waits in the inbox and loads it."""

    still: timedelta

    def sync(self, key: str, district_id: str, day: date) -> Iterator[Event]:
        """Land what waits, if the day is today, and load the day's uploads."""
        name, now = self.source.name, now_in_utc()
        waiting = [
            upload
            for upload in uploading.waiting(self.pipeline, now, self.still, name)
            if upload.district_id == district_id and upload.whole
        ]
        names = [entry.name for upload in waiting for entry in upload.files]
        with _nameless(names):
            is_today = self.pipeline.delivery_day(district_id, now, name) == day
            if is_today:
                yield from self._land(key, waiting)
            landed = landing.deliveries(self.pipeline.store, district_id, name, day, day)
            names += [file.name for delivery in landed for file in delivery.drop.files]
            if landed:
                yield from self._load(key, landed)
            elif waiting and not is_today:
                self.context.log.info(f"{key}: the day is over; what waits is asked for anew")
            else:
                raise NotFound("nothing was uploaded on this day")

    def _land(self, key: str, waiting: Sequence[Upload]) -> Iterator[Event]:
        for upload in waiting:
            try:
                arrived = uploading.land(self.pipeline, upload, now_in_utc())
            except NotFound as gone:
                self.context.log.warning(f"{key}: {gone}")
            else:
                yield self.landed(arrived, "arrived")

    def _load(self, key: str, landed: Sequence[Delivery]) -> Iterator[Event]:
        drops = {delivery.drop.drop_id: delivery for delivery in landed}
        reports = uploading.load(self.pipeline, landed[-1])
        refused = []
        for report in reports:
            named = self._named(report, drops[report.drop_id])
            yield self.became(named)
            if named.applied:
                yield checks.matched(self.source, key, named)
            yield from self.of_tables(key, named)
            try:
                refuse(named)
            except BadDelivery as error:
                refused.append(f"drop {named.drop_id}: {error}")
            else:
                self.context.log.info(f"{key}: {alert(named)}")
        yield checks.usable(self.source, key, len(reports), refused)
        if refused:
            others = len(reports) - len(refused)
            also = [f"Other uploads of the day that were loaded: {others}."] if others else []
            raise BadDelivery("\n".join([*refused, *also]))

    def _named(self, report: SyncReport, delivery: Delivery) -> SyncReport:
        """The report with names of ours. What is said of a zip that is refused may name any of its
        files: there, only what the codes mean is said."""
        names = {file.name: THE_FILE for file in delivery.drop.files}
        zipped = any(name.casefold().endswith(".zip") for name in names)
        if zipped:
            names |= {f.file_name: f"{THE_FILE} of {f.table_name}" for f in report.files}
        means = self._meanings(report) if zipped and report.status == "refused" else None
        return replace(
            report,
            message=_without(report.message, names) if means is None else means,
            files=tuple(replace(f, file_name=names.get(f.file_name, "")) for f in report.files),
        )

    def _meanings(self, report: SyncReport) -> str:
        with self.pipeline.warehouse.transaction() as session:
            found = session.rows(
                "select distinct code from ops.rejected_rows where sync_id = $sync_id"
                " and line is null and severity = 'error' order by code",
                sync_id=report.sync_id,
            )
        codes = [CODES[code] for (code,) in found]
        return " ".join(f"{code.meaning} {code.remedy}" for code in codes)

    def _looked_up(self, report: SyncReport) -> tuple[dict[str, int], dict[str, list[str]]]:
        """Here the report's message says why its files were refused."""
        rows, problems = super()._looked_up(report)
        return rows, {file.file_name: [report.message] for file in report.files if problems}

    def _settled_before(self) -> dict[str, SyncReport]:
        """Nothing: the report of one upload does not say what became of the others."""
        return {}


def _without(text: str, names: Mapping[str, str]) -> str:
    """A text in which names of files, in every form that messages have them in, are replaced."""
    forms = {
        form: words
        for name, words in names.items()
        for form in (name, shown(name), stored_name(1, name).partition("-")[2])
    }
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, forms[form])
    return text


@contextmanager
def _nameless(names: Sequence[str]) -> Iterator[None]:
    """Errors do without the names that stand in `names` by then."""
    try:
        yield
    except EdpipelineError as error:
        words = _without(str(error), dict.fromkeys(names, THE_FILE))
        raise type(error)(words) from None


def inbox_sensor(
    source: Source,
    job: Job,
    open_pipeline: OpenPipeline,
    still: timedelta = inbox.STILL,
    clock: Clock = now_in_utc,
) -> dg.SensorDefinition:
    """The sensor that asks for what waits in the inbox."""

    @dg.sensor(
        name=f"{source.name}_inbox",
        description=(
            f"Looks into the inbox for {source.title}. What was handed over by `edpipeline upload`,"
            " or laid there by hand and is no longer written, is asked for."
        ),
        job=job,
        minimum_interval_seconds=TICK_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def uploads(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        pipeline, now = open_pipeline(), clock()
        limit_pools(context.instance, pipeline.settings)
        found = uploading.waiting(pipeline, now, still, source.name)
        ready: dict[str, list[Upload]] = {}
        for one in found:
            if one.whole:
                ready.setdefault(one.district_id, []).append(one)
        known = context.instance.get_dynamic_partitions(str(DISTRICTS.name))
        new = sorted(set(ready) - set(known))
        days = {each: pipeline.delivery_day(each, now, source.name) for each in ready}
        running = _running(context.instance, source, now) if ready else ()
        asked = Asked(pull=False) if source.is_pulled else None
        # What still lies there an hour later was not taken: it is asked for again.
        requests = [
            request(source, each, days[each], f"{now:%Y%m%dT%H} {_digest(uploads)}", asked)
            for each, uploads in ready.items()
            if str(partition_key(each, days[each])) not in running
        ]
        waits = len(found) - sum(one.whole for one in found)
        idle = "what was uploaded is being loaded" if ready else "nothing was uploaded"
        if waits:
            idle += f"; {waits} files are not taken, because they may still be written"
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else idle,
            dynamic_partitions_requests=[DISTRICTS.build_add_request(new)] if new else [],
        )

    return uploads


def _digest(uploads: Sequence[Upload]) -> str:
    """The same for the same files. Dagster keeps it, so it does not show how files are called."""
    seen = sorted(f"{f.path} {f.size} {f.modified_at}" for one in uploads for f in one.files)
    return hashlib.sha256("\n".join(seen).encode()).hexdigest()[:16]


def _running(instance: dg.DagsterInstance, source: Source, now: datetime) -> set[str]:
    """Partitions that a run which has not ended yet loads."""
    filters = dg.RunsFilter(
        job_name=job_name(source), statuses=list(UNFINISHED), created_after=now - STUCK
    )
    return {run.tags.get(PARTITION_TAG, "") for run in instance.get_runs(filters)}


def unloaded_schedule(
    source: Source, job: Job, open_pipeline: OpenPipeline
) -> dg.ScheduleDefinition:
    """Every hour: uploads that landed and were not loaded are asked for."""

    @dg.schedule(
        name=f"{source.name}_unloaded",
        description=(
            "Asks again for uploads that landed and are not loaded, as after a run that was killed."
        ),
        cron_schedule=CHECK_HOURLY,
        execution_timezone="UTC",
        job=job,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def ready(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        pipeline, now = open_pipeline(), context.scheduled_execution_time
        days = uploading.unloaded(pipeline, source.name, now)
        running = _running(context.instance, source, now) if days else ()
        asked = Asked(pull=False) if source.is_pulled else None
        requests = [
            request(source, district_id, day, f"unloaded {now:%Y%m%dT%H}", asked)
            for district_id, day in days
            if str(partition_key(district_id, day)) not in running
        ]
        return requests or dg.SkipReason("every upload that landed is loaded, or being loaded")

    return ready


def ready_check(source: Source, open_pipeline: OpenPipeline) -> dg.AssetChecksDefinition:
    """Whether every upload is ready within 24 hours."""

    @dg.asset_check(
        asset=checks.landing_key(source),
        name=READY,
        description="Every upload is loaded, or refused with its reason, within 24 hours.",
    )
    def ready_within_24_hours() -> dg.AssetCheckResult:
        pipeline = open_pipeline()
        late = uploading.late(pipeline, now_in_utc(), source.name)
        told = "; ".join(f"{one.district_id} since {one.since:%Y-%m-%d %H:%M} UTC" for one in late)
        return dg.AssetCheckResult(
            passed=not late,
            severity=dg.AssetCheckSeverity.ERROR,
            description=f"not loaded: {told}"
            if late
            else "every upload is loaded, or refused with its reason",
            metadata={"late": len(late)},
        )

    return ready_within_24_hours


def ready_job(sources: Sequence[Source]) -> Job:
    """The job that evaluates `ready_within_24_hours` of every source."""
    keys = [dg.AssetCheckKey(checks.landing_key(source), READY) for source in sources]
    return dg.define_asset_job(
        "uploads_ready",
        selection=dg.AssetSelection.checks(*keys),
        description="Check that every upload was loaded within 24 hours.",
    )


def ready_schedule(job: Job) -> dg.ScheduleDefinition:
    """Every hour."""
    return dg.ScheduleDefinition(
        name="uploads_ready",
        job=job,
        cron_schedule=CHECK_HOURLY,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Checks every hour that no upload waits for longer than 24 hours.",
    )
