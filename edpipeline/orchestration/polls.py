"""Sources that are polled, in Dagster: their assets, and the schedule that asks.

A run asks about everything of one district that is due, be it a student's test or a student, lands
and loads the answers in chunks, and logs one line for each. It shows them as one delivery: the sums
of its chunks stand at one materialization of each table, because a person looks at a run, not at
fifty of its parts.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime

import dagster as dg

from edpipeline import pulling, uploading, windows
from edpipeline.districts import is_polled
from edpipeline.errors import (
    BadConfiguration,
    BadDelivery,
    EdpipelineError,
    NotFound,
    Permanent,
    Transient,
)
from edpipeline.landing import drop as landing
from edpipeline.landing.drop import Delivery
from edpipeline.loading.report import LOADED, STATUS_WORDS, SyncReport, summed
from edpipeline.model import Source
from edpipeline.orchestration import checks, surveys
from edpipeline.orchestration.alerts import alert
from edpipeline.orchestration.assets import Run, SyncConfig, declared
from edpipeline.orchestration.closed import ClosedWindows
from edpipeline.orchestration.partitions import DISTRICTS, day_and_district, decided, partition_key
from edpipeline.orchestration.runs import (
    PARTITION_TAG,
    Wanted,
    job_name,
    limit_pools,
    poll_pool,
    request,
    running,
)
from edpipeline.orchestration.standing import (
    districts_asked_of,
    districts_in_use,
    poll_day,
    survey_day,
)
from edpipeline.orchestration.steps import FAILURE_TAG, LASTING, Event, Job, OpenPipeline
from edpipeline.orchestration.uploads import STUCK, now_in_utc
from edpipeline.pipeline import Pipeline
from edpipeline.pollers import Polled, poller
from edpipeline.polling import listed_at
from edpipeline.surveying.accounts import require_none_forgotten
from edpipeline.surveying.poll import is_anybody_unasked
from edpipeline.uses_of_polls import RefusalLimit, ScoreReportsUse

TICK_MINUTES = 5
EVERY_FIVE_MINUTES = f"*/{TICK_MINUTES} * * * *"
"""What is due is asked for at most so much later. A tick asks the warehouse alone."""
SCHEDULED, BY_HAND = "schedule", "dagster"
"""Who polled, as the table of calls has it."""

Loaded = tuple[SyncReport, Delivery]


@decided()
def poll_assets(
    source: Source, open_pipeline: OpenPipeline, first_day: date
) -> dg.AssetsDefinition:
    """The assets of a polled source: `landing/<source>` and its tables."""

    @dg.multi_asset(**declared(source, first_day, poll_pool(source)))
    def poll(context: dg.AssetExecutionContext, config: SyncConfig) -> Iterator[Event]:
        yield from _PollRun(context, source, open_pipeline(), config).events()

    return poll


@dataclass(frozen=True)
class _PollRun(Run):
    """A run that asks about what is due, or loads again what it came to on a day before."""

    config: SyncConfig

    def _settled_before(self) -> dict[str, SyncReport]:
        """Nothing: a chunk that an earlier attempt has loaded does not settle the day. What it
        asked about is not due any more, so asking again goes on where it was."""
        return {}

    def sync(self, key: str, district_id: str, day: date) -> Iterator[Event]:
        """Poll, where the day is today and the district polls; else load what landed."""
        if self.config.window_closed:
            self._missed(district_id, day)
        now, name = now_in_utc(), self.source.name
        is_today = self.pipeline.delivery_day(district_id, now, name) == day
        if is_today and is_polled(self.pipeline.district(district_id), name):
            yield from self._credentials(key, district_id, day)
            yield from self._poll(key, district_id, now)
        else:
            yield from self._load_again(key, district_id, day)

    def _missed(self, district_id: str, day: date) -> None:
        """Record that the window closed before anybody was asked about, and fail with why."""
        message = pulling.why_missed(self.pipeline, district_id, self.source, day)
        try:
            require_none_forgotten(self.pipeline, district_id)
        except BadConfiguration as error:
            message = f"{error}. After that, {message}"
        self.pipeline.record_failure(district_id, self.source.name, day, "missed", message)
        raise NotFound(f"{STATUS_WORDS['missed']}. {message}")

    def _credentials(self, key: str, district_id: str, day: date) -> Iterator[Event]:
        use = self.pipeline.district(district_id).daily_use(self.source.name)
        if isinstance(use, ScoreReportsUse):
            yield surveys.credentials_valid(self.source, key, use.configurations, day)

    def _poll(self, key: str, district_id: str, now: datetime) -> Iterator[Event]:
        loaded: list[Loaded] = []
        trouble, counts = None, {}
        by = SCHEDULED if "dagster/schedule_name" in self.context.run.tags else BY_HAND
        try:
            poll = poller(self.source).poll_and_load(
                self.pipeline,
                district_id,
                self.source,
                now,
                by,
                self.context.log.info,
                lambda report, delivery: loaded.append((report, delivery)),
            )
            counts = numbers(poll)
            for problem in poll.problems:
                self.context.log.warning(f"{key}: {problem}")
        except EdpipelineError as error:
            trouble = error
        if loaded:
            # What was loaded before a trouble counts, and is shown.
            yield self._answered([delivery for _, delivery in loaded], counts)
            yield from self._shown(key, [report for report, _ in loaded])
        elif trouble is None:
            yield dg.AssetObservation(
                checks.landing_key(self.source),
                description="nothing was due, or nothing new came",
                partition=partition_key(district_id, day_and_district(key)[0]),
                metadata=counts,
            )
        if trouble is not None:
            raise trouble

    def _load_again(self, key: str, district_id: str, day: date) -> Iterator[Event]:
        landed = landing.deliveries(self.pipeline.store, district_id, self.source.name, day, day)
        if not landed:
            raise NotFound("nothing was polled on this day")
        reports = uploading.load(self.pipeline, landed[-1])
        yield from self._shown(key, reports)

    def _answered(
        self, deliveries: Sequence[Delivery], counts: Mapping[str, int]
    ) -> dg.AssetMaterialization:
        event = self.landed(deliveries[-1], "polled")
        files = [file for delivery in deliveries for file in delivery.drop.files]
        sums = {
            "deliveries": len(deliveries),
            "files": len(files),
            "bytes": sum(file.size for file in files),
        }
        return event.with_metadata({**event.metadata, **sums, **counts})

    def _shown(self, key: str, reports: Sequence[SyncReport]) -> Iterator[Event]:
        """What a run loaded, as one report; after it each delivery that could not be used.

        Raises BadDelivery where there is one.
        """
        refused = [report for report in reports if not report.is_usable]
        usable = summed([report for report in reports if report.is_usable])
        for report in filter(None, (usable, *refused)):
            yield self.became(report)
            yield from self.of_tables(key, report)
        if usable is not None:
            yield checks.matched(self.source, key, usable)
        why = [f"drop {report.drop_id}: {alert(report)}" for report in refused]
        if reports:
            yield checks.usable(self.source, key, len(reports), why)
        yield from self._told(key)
        if why:
            raise BadDelivery("\n".join(why))

    def _told(self, key: str) -> Iterator[Event]:
        """What a person should look at of the day."""
        day, district_id = day_and_district(key)
        of_day = self.pipeline, self.source, district_id, day
        if self.source.is_surveyed:
            use = self.pipeline.district(district_id).daily_use(self.source.name)
            limit = use.refusal_limit if isinstance(use, ScoreReportsUse) else RefusalLimit()
            yield from surveys.of_survey(self.source, key, survey_day(*of_day), limit)
        else:
            yield from checks.of_polls(self.source, key, poll_day(*of_day))


def numbers(poll: Polled) -> dict[str, int]:
    """The counts of a poll by their names in words, for metadata that is drawn over time."""
    counts = asdict(replace(poll, reports=())) | {"problems": len(poll.problems)}
    return {
        name.replace("_", " "): count for name, count in counts.items() if isinstance(count, int)
    }


def poll_schedule(source: Source, job: Job, open_pipeline: OpenPipeline) -> dg.ScheduleDefinition:
    """The schedule that asks about what is due."""
    due = (
        "whose window is open, and of which any student is due"
        if source.is_surveyed
        else "of which any test is due"
    )
    missed = (
        " When a window has closed before anybody was asked about, records that and fails for"
        " everybody to see."
    )

    @dg.schedule(
        name=f"{source.name}_polls",
        description=(
            f"Asks for one run for each district {due}, unless one is under way."
            " After a run that a person has to see to, such as a refused sign-in, a district is"
            " left alone until the next day, or until its poll has succeeded by command."
            + (missed if source.is_surveyed else "")
        ),
        cron_schedule=EVERY_FIVE_MINUTES,
        execution_timezone="UTC",
        job=job,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def polls(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        pipeline, now = open_pipeline(), context.scheduled_execution_time
        limit_pools(context.instance, pipeline.settings)
        return _Tick(context.instance, source, pipeline, now).result()

    return polls


@dataclass(frozen=True)
class _Tick:
    """One tick of the schedule."""

    instance: dg.DagsterInstance
    source: Source
    pipeline: Pipeline
    now: datetime
    troubles: list[EdpipelineError] = field(default_factory=list)
    """What kept this tick from judging a district."""

    def result(self) -> list[dg.RunRequest] | dg.SkipReason:
        """Requests, or why there are none. Trouble with one district does not hold back others;
        where nothing is to be asked for, it is raised."""
        name, running = self.source.name, self._running()
        polled = [each.id for each in self.pipeline.districts.all if is_polled(each, name)]
        left_alone = running | self._forgotten()
        due = [each for each in polled if each not in left_alone and self._is_due(each)]
        wanted = [*map(self._wanted, due), *self._missed()]
        if wanted:
            districts = dict.fromkeys(one.district_id for one in wanted)
            self.instance.add_dynamic_partitions(str(DISTRICTS.name), list(districts))
            return [
                request(self.source, one.district_id, one.day, one.why, one.asked) for one in wanted
            ]
        if self.troubles:
            lasting = any(isinstance(trouble, Permanent) for trouble in self.troubles)
            said = "; ".join(dict.fromkeys(map(str, self.troubles)))
            raise Permanent(said) if lasting else Transient(said)
        return dg.SkipReason("nothing is due" if polled else "no district polls")

    def _forgotten(self) -> set[str]:
        """Districts of which a configuration that was used is gone without a word; each is a
        trouble. Nobody is asked about until a person has said what is meant.

        Looked for while any window is open, and else once an hour: most installations never have
        any, and the warehouse is busy with other things.
        """
        if not self.source.is_surveyed:
            return set()
        in_use = districts_in_use(self.pipeline, self.source)
        is_open = any(windows.state(one.window, self.now) == "open" for one in in_use)
        if not is_open and self.now.minute >= TICK_MINUTES:
            return set()
        found = set()
        try:
            for district_id in districts_asked_of(self.pipeline, self.source):
                try:
                    require_none_forgotten(self.pipeline, district_id)
                except BadConfiguration as error:
                    found.add(district_id)
                    self.troubles.append(error)
        except Transient:
            pass  # A run looks as well before it asks, and so does a tick to come.
        return found

    def _missed(self) -> list[Wanted]:
        """Days whose window has closed before anybody was asked about, where somebody was due."""
        if not self.source.is_surveyed:
            return []
        in_use = districts_in_use(self.pipeline, self.source)
        at = self.instance, self.source, self.pipeline, in_use, self.now
        try:
            missed = list(ClosedWindows(*at, self.troubles).missed())
            return [each for each in missed if self._was_anybody_due(each)]
        except EdpipelineError as error:
            self.troubles.append(error)
            return []

    def _was_anybody_due(self, missed: Wanted) -> bool:
        return is_anybody_unasked(self.pipeline, missed.district_id, missed.day)

    def _wanted(self, district_id: str) -> Wanted:
        return Wanted(district_id, self._day(district_id), f"due {self.now:%H:%M}")

    def _day(self, district_id: str) -> date:
        return self.pipeline.delivery_day(district_id, self.now, self.source.name)

    def _running(self) -> set[str]:
        """Districts that a run which has not ended yet polls, be it of yesterday."""
        keys = running(self.instance, job_name(self.source), self.now - STUCK)
        return {day_and_district(key)[1] for key in keys}

    def _is_due(self, district_id: str) -> bool:
        """Whether the day's last run ended too early, or else whether anything is due; where there
        are windows, only the latter.

        After one that a person has to see to, only once a poll has succeeded, by command.
        """
        try:
            last = self._last_failed(district_id)
            if last and last.dagster_run.tags.get(FAILURE_TAG) == LASTING:
                ended = datetime.fromtimestamp(last.end_time or 0, UTC)
                if not self._has_succeeded_since(district_id, ended):
                    return False
            elif last and not self.source.is_surveyed:
                return True
            return poller(self.source).is_due(self.pipeline, district_id, self.source, self.now)
        except EdpipelineError as error:
            self.troubles.append(type(error)(f"{district_id}: {error}"))
            return False

    def _last_failed(self, district_id: str) -> dg.RunRecord | None:
        """The day's last run, where it failed or was killed."""
        key = str(partition_key(district_id, self._day(district_id)))
        filters = dg.RunsFilter(job_name=job_name(self.source), tags={PARTITION_TAG: key})
        last = next(iter(self.instance.get_run_records(filters, limit=1)), None)
        return last if last and last.dagster_run.status is dg.DagsterRunStatus.FAILURE else None

    def _has_succeeded_since(self, district_id: str, since: datetime) -> bool:
        """The history has answers that were loaded since; or tests were listed since, of which
        there was nothing new, and the history has no failure."""
        statuses = ", ".join(f"'{status}'" for status in LOADED)
        with self.pipeline.warehouse.transaction() as session:
            [(loaded, failed)] = session.rows(
                f"select count(*) filter (where status in ({statuses})),"
                " count(*) filter (where status = 'failed')"
                " from ops.sync_history where district_id = $district"
                " and source = $source and completed_at > $since",
                district=district_id,
                source=self.source.name,
                since=since.replace(tzinfo=None),
            )
        if loaded or failed:
            return bool(loaded)
        store, name = self.pipeline.store, self.source.name
        return listed_at.was_listed_since(store, district_id, name, since, self.now)
