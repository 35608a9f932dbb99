"""Uploaded sources in Dagster: their assets, the sensor that looks into the inbox, and the check
that nothing laid there is forgotten.

One run takes everything that waits for one district and source; each upload is a delivery of its
own, with its own line in the history.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from edpipeline import uploading
from edpipeline.errors import NotFound
from edpipeline.landing import drop as landing
from edpipeline.landing import inbox
from edpipeline.landing.drop import Delivery
from edpipeline.model import Source
from edpipeline.orchestration import checks, metadata
from edpipeline.orchestration.alerts import alert
from edpipeline.orchestration.assets import Run, refuse
from edpipeline.orchestration.partitions import DISTRICTS, by_day_and_district, decided
from edpipeline.orchestration.runs import limit_pool, request
from edpipeline.orchestration.steps import WAREHOUSE_POOL, Event, Job, OpenPipeline

TICK_SECONDS = 30
READY = "ready_within_24_hours"
CHECK_HOURLY = "17 * * * *"
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
    partitions = by_day_and_district(first_day)

    @dg.multi_asset(
        name=source.name,
        specs=[
            metadata.landing_spec(source),
            *(metadata.table_spec(source, table) for table in source.tables),
        ],
        check_specs=checks.specs(source, partitions),
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=WAREHOUSE_POOL,
        can_subset=True,
    )
    def load(context: dg.AssetExecutionContext) -> Iterator[Event]:
        yield from _UploadRun(context, source, open_pipeline(), still).events()

    return load


@dataclass(frozen=True)
class _UploadRun(Run):
    """A run that takes what waits in the inbox and loads it."""

    still: timedelta

    def sync(self, key: str, district_id: str, day: date) -> Iterator[Event]:
        """Land what waits, if the day is today, and load the day's uploads."""
        now = now_in_utc()
        if self.pipeline.delivery_day(district_id, now, self.source.name) == day:
            for upload in uploading.waiting(self.pipeline, now, self.still):
                mine = (upload.district_id, upload.source) == (district_id, self.source.name)
                if mine and upload.whole:
                    arrived = uploading.land(self.pipeline, upload, now_in_utc())
                    yield self.landed(arrived, "arrived")
        name = self.source.name
        landed = landing.deliveries(self.pipeline.store, district_id, name, day, day)
        if not landed:
            raise NotFound("nothing was uploaded on this day")
        yield from self._load(key, landed[-1])

    def _load(self, key: str, delivery: Delivery) -> Iterator[Event]:
        reports = uploading.load(self.pipeline, delivery)
        for report in reports:
            yield self.became(report)
            yield checks.matched(self.source, key, report)
            yield from self.of_tables(key, report)
        for report in reports:
            refuse(report)
            words = alert(report)
            self.context.log.info(f"{report.district_id}, {report.day}: {words}")


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
        limit_pool(context.instance, pipeline.settings)
        found = [
            one for one in uploading.waiting(pipeline, now, still) if one.source == source.name
        ]
        ready: dict[str, list[str]] = {}
        for one in found:
            if one.whole:
                ready.setdefault(one.district_id, []).extend(
                    f"{file.path} {file.modified_at:%Y%m%dT%H%M%S%f}" for file in one.files
                )
        known = context.instance.get_dynamic_partitions(str(DISTRICTS.name))
        new = sorted(set(ready) - set(known))
        # What still lies there an hour later was not taken: it is asked for again.
        requests = [
            request(
                source,
                district_id,
                pipeline.delivery_day(district_id, now, source.name),
                f"{now:%Y%m%dT%H} {' '.join(sorted(files))}",
            )
            for district_id, files in ready.items()
        ]
        waits = len(found) - sum(one.whole for one in found)
        idle = f"{waits} uploads may still be written" if waits else "nothing was uploaded"
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else idle,
            dynamic_partitions_requests=[DISTRICTS.build_add_request(new)] if new else [],
        )

    return uploads


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
        requests = [
            request(source, district_id, day, f"unloaded {now:%Y%m%dT%H}")
            for district_id, day in days
        ]
        return requests or dg.SkipReason("every upload that landed is loaded")

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
        late = [one for one in uploading.late(pipeline, now_in_utc()) if one.source == source.name]
        told = "; ".join(f"{one.district_id} since {one.since:%Y-%m-%d %H:%M} UTC" for one in late)
        return dg.AssetCheckResult(
            passed=not late,
            severity=dg.AssetCheckSeverity.ERROR,
            description=f"not loaded: {told}" if late else "every upload is loaded",
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
