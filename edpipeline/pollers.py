"""Who polls which source. The command line and Dagster ask here, and need not know them apart."""

from collections.abc import Callable, Mapping
from dataclasses import Field
from datetime import datetime
from typing import Any, ClassVar, Protocol

from edpipeline import polling, surveying
from edpipeline.landing.drop import Delivery
from edpipeline.loading.load import Progress
from edpipeline.loading.report import SyncReport
from edpipeline.model import Source
from edpipeline.pipeline import CheckResult, Pipeline


class Polled(Protocol):
    """What a run came to: a dataclass with whole numbers for counts, beside these."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def reports(self) -> tuple[SyncReport, ...]:
        """One for each delivery that was loaded."""

    @property
    def problems(self) -> tuple[str, ...]:
        """What people should know, in words."""


class Poller(Protocol):
    """How a source is polled that a vendor tells of one thing at a time."""

    def poll_and_load(
        self,
        pipeline: Pipeline,
        district_id: str,
        source: Source,
        at: datetime,
        by: str,
        progress: Progress = ...,
        loaded: Callable[[SyncReport, Delivery], None] | None = ...,
    ) -> Polled:
        """Ask about what is due, land and load what came, chunk by chunk. What was answered is
        loaded before anything is raised."""

    def is_due(self, pipeline: Pipeline, district_id: str, source: Source, at: datetime) -> bool:
        """Whether a run has anything to do. Asks no vendor."""

    def check_accounts(
        self, pipeline: Pipeline, district_id: str, progress: Progress = ...
    ) -> list[CheckResult]:
        """Whether the district's accounts work, and what to do where not."""


POLLERS: Mapping[str, Poller] = {"powerpath": polling, "score_reports": surveying}


def poller(source: Source) -> Poller:
    """Who polls that source; it is one that is polled."""
    return POLLERS[source.name]
