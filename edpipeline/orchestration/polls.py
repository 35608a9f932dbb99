"""Sources that are polled, in Dagster: their assets."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import dagster as dg

from edpipeline import uploading
from edpipeline.errors import NotFound
from edpipeline.landing import drop as landing
from edpipeline.model import Source
from edpipeline.orchestration.assets import Run, declared, refuse
from edpipeline.orchestration.partitions import decided
from edpipeline.orchestration.steps import Event, OpenPipeline


@decided()
def poll_assets(
    source: Source, open_pipeline: OpenPipeline, first_day: date
) -> dg.AssetsDefinition:
    """The assets of a polled source: `landing/<source>` and its tables."""

    @dg.multi_asset(**declared(source, first_day, poll_pool(source)))
    def poll(context: dg.AssetExecutionContext) -> Iterator[Event]:
        yield from _PollRun(context, source, open_pipeline()).events()

    return poll


def poll_pool(source: Source) -> str:
    """The pool that polls of a source hold."""
    return source.name


@dataclass(frozen=True)
class _PollRun(Run):
    """A run that loads what was polled."""

    def sync(self, key: str, district_id: str, day: date) -> Iterator[Event]:
        """Load what landed of the day."""
        landed = landing.deliveries(self.pipeline.store, district_id, self.source.name, day, day)
        if not landed:
            raise NotFound("nothing was polled on this day")
        for report in uploading.load(self.pipeline, landed[-1]):
            yield self.became(report)
            yield from self.of_tables(key, report)
            refuse(report)
