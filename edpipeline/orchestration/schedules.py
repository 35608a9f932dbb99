"""Daily windows: when one opens, what is pulled is asked for; inside it, what failed is tried
again; when it has closed, silence is told.

Days and clock times are each district's own, so the schedule itself ticks in UTC, every quarter
of an hour, and asks the windows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import dagster as dg

from edpipeline import windows
from edpipeline.errors import EdpipelineError, Permanent, Transient
from edpipeline.model import Source
from edpipeline.orchestration.closed import ClosedWindows
from edpipeline.orchestration.partitions import day_and_district
from edpipeline.orchestration.runs import PARTITION_TAG, Asked, is_running, job_name, request
from edpipeline.orchestration.standing import InUse, districts_in_use, statuses
from edpipeline.orchestration.steps import FAILURE_TAG, TRANSIENT, Job, OpenPipeline
from edpipeline.pipeline import Pipeline
from edpipeline.pulling import locked_accounts

EVERY_QUARTER = "*/15 * * * *"


def window_schedule(source: Source, job: Job, open_pipeline: OpenPipeline) -> dg.ScheduleDefinition:
    """The schedule that watches over a source's windows."""

    @dg.schedule(
        name=f"{source.name}_windows",
        description=(
            "Inside a district's daily window, asks"
            + (" for the day's pull, and" if source.is_pulled else "")
            + " again for what failed for a reason that may pass. When the window has closed"
            " without success, records that and fails for everybody to see."
        ),
        cron_schedule=EVERY_QUARTER,
        execution_timezone="UTC",
        job=job,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def windows_of_districts(
        context: dg.ScheduleEvaluationContext,
    ) -> list[dg.RunRequest] | dg.SkipReason:
        pipeline = open_pipeline()
        in_use = districts_in_use(pipeline, source)
        now = context.scheduled_execution_time
        return _Tick(context, source, pipeline, in_use, now).result()

    return windows_of_districts


@dataclass(frozen=True)
class _Tick:
    """One tick of the schedule."""

    context: dg.ScheduleEvaluationContext
    source: Source
    pipeline: Pipeline
    in_use: Sequence[InUse]
    now: datetime
    troubles: list[EdpipelineError] = field(default_factory=list)
    """What kept this tick from judging a district, or all of them."""

    def result(self) -> list[dg.RunRequest] | dg.SkipReason:
        """Requests, or why there are none.

        Trouble with one district, or with the warehouse, holds back only what hangs on it. Where
        nothing else is to be reported it is raised: `Permanent` where any of it is.
        """
        requests = [*self._as_far_as_possible(self.again())]
        if self.source.is_pulled:
            requests += self._as_far_as_possible(self.due())
        requests += self._as_far_as_possible(self.missed())
        said = "; ".join(dict.fromkeys(map(str, self.troubles)))
        if requests and said:
            self.context.log.warning(said)
        if requests or not said:
            nothing = dg.SkipReason("nothing is due, nothing to try again; no day was missed")
            return requests or nothing
        lasting = any(isinstance(trouble, Permanent) for trouble in self.troubles)
        raise Permanent(said) if lasting else Transient(said)

    def _as_far_as_possible(self, wanted: Iterator[dg.RunRequest]) -> Iterator[dg.RunRequest]:
        try:
            yield from wanted
        except EdpipelineError as error:
            self.troubles.append(error)

    def again(self) -> Iterator[dg.RunRequest]:
        """Runs that failed for a reason that may pass, of districts whose window is open."""
        in_use = {one.id: one for one in self.in_use}
        failed = self.context.instance.get_runs(
            dg.RunsFilter(
                job_name=job_name(self.source),
                tags={FAILURE_TAG: TRANSIENT},
                statuses=[dg.DagsterRunStatus.FAILURE],
                created_after=self.now - timedelta(days=2),
            )
        )
        keys = dict.fromkeys(run.tags.get(PARTITION_TAG, "") for run in failed)
        is_pulled = self.source.is_pulled and any(keys)
        locked = locked_accounts(self.pipeline, self.source) if is_pulled else frozenset()
        for key in filter(None, keys):
            day, district_id = day_and_district(key)
            one = in_use.get(district_id)
            run = self._latest_failed(key) if one and self._is_open(one, day) else None
            if one and run is not None:
                pull = _pulls(run, self.source) and one.id not in locked
                asked = Asked(pull=pull)
                yield request(self.source, one.id, day, f"again {self.now:%H:%M}", asked)

    def due(self) -> Iterator[dg.RunRequest]:
        """Days whose window is open and of which nothing was asked for yet.

        A pull that failed for a lasting reason is not repeated that day, and an account that is
        locked not at all: a person repairs it and syncs, and from then on it is asked for again.
        """
        today = {one.id: windows.delivery_day(one.window, self.now) for one in self.in_use}
        open_now = [
            one
            for one in self.in_use
            if self._is_open(one, today[one.id]) and not one.use.is_paused(today[one.id], "sync")
        ]
        if not open_now:
            return
        known = statuses(self.pipeline, self.source, min(today[one.id] for one in open_now))
        locked = locked_accounts(self.pipeline, self.source)
        for one in open_now:
            day = today[one.id]
            if (one.id, day) in known or one.id in locked:
                continue
            if is_running(self.context.instance, self.source, one.id, day):
                continue
            yield request(self.source, one.id, day, f"due {self.now:%H:%M}", Asked())

    def _is_open(self, one: InUse, day: date) -> bool:
        is_today = windows.delivery_day(one.window, self.now) == day
        return is_today and windows.state(one.window, self.now) == "open"

    def _latest_failed(self, key: str) -> dg.DagsterRun | None:
        """The latest run of a partition, where it failed for a reason that may pass."""
        runs = dg.RunsFilter(job_name=job_name(self.source), tags={PARTITION_TAG: key})
        for latest in self.context.instance.get_runs(runs, limit=1):
            if latest.tags.get(FAILURE_TAG) == TRANSIENT:
                return latest
        return None

    def missed(self) -> Iterator[dg.RunRequest]:
        """Days whose window has closed without success."""
        at = self.context.instance, self.source, self.pipeline, self.in_use, self.now
        yield from ClosedWindows(*at, self.troubles).missed()


def _pulls(run: dg.DagsterRun, source: Source) -> bool:
    """Whether a run was to ask the vendor, and not only to load what was handed over."""
    found: Any = run.run_config
    for step in ("ops", source.name, "config"):
        found = found.get(step, {})
    return bool(found.get("pull", True))
