"""Sources that are pulled from vendors' APIs, in Dagster: their assets.

The schedule of a source (`schedules.py`) asks for one pull a day, when the district's window opens,
and again for one that failed while it is open; a person may materialize today's partition at any
time. Files handed over beside are taken by the inbox's sensor, as those of any upload are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import dagster as dg

from edpipeline import pulling, windows
from edpipeline.districts import is_pulled, pull_use
from edpipeline.errors import NotFound
from edpipeline.landing import drop as landing
from edpipeline.landing import inbox
from edpipeline.loading.report import STATUS_WORDS
from edpipeline.model import Source
from edpipeline.orchestration import checks
from edpipeline.orchestration.assets import SyncConfig, declared
from edpipeline.orchestration.partitions import decided
from edpipeline.orchestration.steps import Event, OpenPipeline, attempts_before
from edpipeline.orchestration.uploads import UploadRun, now_in_utc


@decided()
def pull_assets(
    source: Source, open_pipeline: OpenPipeline, first_day: date
) -> dg.AssetsDefinition:
    """The assets of a pulled source: `landing/<source>` and its tables."""

    @dg.multi_asset(**declared(source, first_day))
    def pull(context: dg.AssetExecutionContext, config: SyncConfig) -> Iterator[Event]:
        yield from _PullRun(context, source, open_pipeline(), inbox.STILL, config).events()

    return pull


@dataclass(frozen=True)
class _PullRun(UploadRun):
    """A run that asks the vendor for what is new, and loads it with what was handed over."""

    config: SyncConfig

    def asked_keys(self) -> Sequence[str]:
        """See `Run.asked_keys`."""
        return self.config.listed()

    def sync(self, key: str, district_id: str, day: date) -> Iterator[Event]:
        """Pull, if that was asked for and the day is today; then as for uploads."""
        if self.config.window_closed:
            self._missed(district_id, day)
        district = self.pipeline.district(district_id)
        now, name = now_in_utc(), self.source.name
        is_today = self.pipeline.delivery_day(district_id, now, name) == day
        wanted = self.config.pull and is_today and is_pulled(district, name)
        if wanted and not self._has_pulled(district_id, day):
            progress = self.context.log.info
            for delivery in pulling.pull_and_land(
                self.pipeline, district_id, self.source, now, progress
            ):
                if delivery.day != day:
                    continue  # fetched on a day before: the schedule of what is not loaded takes it
                yield self.landed(delivery, "pulled")
                closes = windows.closes_at(pull_use(district, name).window, day)
                yield checks.on_time(self.source, key, delivery, closes)
        yield from super().sync(key, district_id, day)
        waiting = pulling.schools_that_wait(self.pipeline, district_id, self.source)
        yield checks.schools_matched(self.source, key, district_id, waiting)

    def _has_pulled(self, district_id: str, day: date) -> bool:
        """Whether an attempt of this run before has pulled, or found the account locked: then
        what is tried again is the loading, or another district."""
        if not attempts_before(self.context):
            return False
        started = self.context.instance.get_run_record_by_id(self.context.run.run_id)
        since = datetime.fromtimestamp(started.start_time or 0 if started else 0, UTC)
        landed = landing.deliveries(self.pipeline.store, district_id, self.source.name, day, day)
        if any(pulling.ASKED_AT in d.choices and d.received_at >= since for d in landed):
            return True
        return district_id in pulling.locked_accounts(self.pipeline, self.source)

    def _missed(self, district_id: str, day: date) -> None:
        """Record that the window closed without a pull, and fail with what a person must know."""
        message = pulling.why_missed(self.pipeline, district_id, self.source, day)
        self.pipeline.record_failure(district_id, self.source.name, day, "missed", message)
        raise NotFound(f"{STATUS_WORDS['missed']}. {message}")
