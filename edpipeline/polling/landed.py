"""The deliveries of a run: landed one by one in their order, each loaded before the next."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

from edpipeline import uploading
from edpipeline.fetching import not_loaded
from edpipeline.landing import drop as landing
from edpipeline.landing.drop import Arrived, Delivery
from edpipeline.loading.report import SyncReport
from edpipeline.model import ApiPoll, Source
from edpipeline.pipeline import Pipeline
from edpipeline.polling.intents import INTENT
from edpipeline.polling.rows import Row, write_rows
from edpipeline.scratch import scratch_folder

REMEMBERED = timedelta(days=3)
BEGINNING = date(2000, 1, 1)
Loaded = Callable[[SyncReport, Delivery], None]


class Deliveries:
    """What a run lands and loads. Its clock starts at `at`, and never before what has landed."""

    def __init__(
        self,
        pipeline: Pipeline,
        district_id: str,
        source: Source,
        at: datetime,
        loaded: Loaded | None,
    ) -> None:
        self.pipeline, self.district_id, self.source = pipeline, district_id, source
        self.day = pipeline.delivery_day(district_id, at, source.name)
        self.reports: list[SyncReport] = []
        self._loaded = loaded
        self._asked_at = at.astimezone(UTC)
        self._began = time.monotonic()
        self.first = self._first_day()
        self._landed = landing.deliveries(pipeline.store, district_id, source.name, self.first)
        just_after = [each.received_at + timedelta(seconds=1) for each in self._landed]
        self._start = max([self._asked_at, *just_after])

    def now(self) -> datetime:
        """The time in UTC: that of the run's start, and what has passed since."""
        return self._start + timedelta(seconds=time.monotonic() - self._began)

    def _first_day(self) -> date:
        """The first day of which anything may be left to do by a run that ended: every run does
        what is left before it loads anything, so what has been loaded tells, not the time."""
        with self.pipeline.warehouse.transaction() as session:
            last = session.value(
                "select max(delivery_day) from ops.sync_history where district_id = $district"
                " and source = $source and drop_id is not null",
                district=self.district_id,
                source=self.source.name,
            )
        return min(last, self.day) - REMEMBERED if last else BEGINNING

    def load_what_is_left(self) -> None:
        """Load deliveries that landed, and whose run ended before they were loaded."""
        left = {each.day: each for each in not_loaded(self.pipeline, self._landed)}
        for day in sorted(left):
            self._load(left[day])

    def take(
        self,
        rows: Mapping[str, Sequence[Row]],
        words: str,
        unknown: Mapping[str, Mapping[str, str]],
        intent: str,
    ) -> None:
        """Land rows by table as one delivery, which names its intent, and load it."""
        now, arrives = self.now(), self.source.arrives
        assert isinstance(arrives, ApiPoll)
        choices = {"polled_at": f"{self._asked_at:%Y-%m-%dT%H:%M:%SZ}", "polled_for": words}
        if intent:
            choices[INTENT] = intent
        told = {
            "at": f"{now:%Y-%m-%dT%H:%M:%S.%fZ}",
            "records": {table: len(of) for table, of in rows.items()},
            "unknown": unknown,
        }
        with scratch_folder(self.pipeline.settings.scratch) as folder:
            paths = write_rows(folder, rows)
            paths.append(folder / arrives.told)
            paths[-1].write_text(json.dumps(told, indent=1, sort_keys=True), "utf-8")
            delivery = landing.land(
                self.pipeline.store,
                self.district_id,
                self.source.name,
                self.day,
                [Arrived(path.name, path, now) for path in paths],
                now,
                f"polled from {self.source.title}, {words}",
                choices,
            )
        self._load(delivery)

    def _load(self, delivery: Delivery) -> None:
        for report in uploading.load(self.pipeline, delivery):
            self.reports.append(report)
            if self._loaded:
                self._loaded(report, delivery)
