"""Windows that have closed: days of which nothing came are told, once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import dagster as dg

from edpipeline import windows
from edpipeline.errors import EdpipelineError
from edpipeline.landing import drop as landing
from edpipeline.model import Source
from edpipeline.orchestration.runs import Asked, is_running, request
from edpipeline.orchestration.standing import DONE, InUse, statuses
from edpipeline.pipeline import Pipeline

JUST_CLOSED = timedelta(hours=1)
CLOSED_LATELY = timedelta(hours=12)
"""So long a missed day is still told, where Dagster itself was down when the window closed."""
BEFORE = timedelta(days=60)
TOLD = DONE | {"refused", "missed"}
"""Statuses of days of which nothing more needs to be said."""


@dataclass(frozen=True)
class ClosedWindows:
    """The windows of a source, as they stand at a tick."""

    instance: dg.DagsterInstance
    source: Source
    pipeline: Pipeline
    in_use: Sequence[InUse]
    now: datetime
    troubles: list[EdpipelineError]
    """What kept this tick from judging a district is added here."""

    def missed(self) -> Iterator[dg.RunRequest]:
        """Days whose window has closed, of which nothing was loaded and nothing is being loaded."""
        closed = list(self._closed())
        if not closed:
            return
        found = statuses(self.pipeline, self.source, min(day for _, day, _ in closed))
        for one, day, ago in closed:
            told = found.get((one.id, day), frozenset()) & TOLD
            if told or is_running(self.instance, self.source, one.id, day):
                continue
            if ago < JUST_CLOSED or self._is_known(one, day):
                yield request(self.source, one.id, day, "missed", Asked(window_closed=True))

    def _closed(self) -> Iterator[tuple[InUse, date, timedelta]]:
        """Districts and days whose window has closed lately, and how long ago."""
        for one in self.in_use:
            today = windows.delivery_day(one.window, self.now)
            for day in (today - timedelta(days=1), today):
                ago = self.now - windows.closes_at(one.window, day)
                if timedelta() <= ago < CLOSED_LATELY and not one.use.is_paused(day, "sync"):
                    yield one, day, ago

    def _is_known(self, one: InUse, day: date) -> bool:
        """A district that never delivered is new: of it, a window long closed says nothing."""
        store, name = self.pipeline.store, self.source.name
        try:
            return bool(landing.deliveries(store, one.id, name, day - BEFORE, day))
        except EdpipelineError as error:
            self.troubles.append(type(error)(f"{one.id}: {error}"))
            return False
