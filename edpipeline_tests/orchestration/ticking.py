"""A Dagster of a module's own, in memory, and what schedules ask of it.

Dagster opens its instance anew for every tick, which takes longer than most ticks.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from edpipeline.model import Source
from edpipeline.orchestration.polls import poll_schedule
from edpipeline.orchestration.runs import source_job
from edpipeline.pipeline import Pipeline


class _Tick(dg.ScheduleEvaluationContext):
    """A tick on an instance that is open."""

    def __init__(self, instance: dg.DagsterInstance, at: datetime) -> None:
        super().__init__(None, at)
        self._opened = instance

    @property
    def instance(self) -> dg.DagsterInstance:
        return self._opened


def asked_by(
    schedule: dg.ScheduleDefinition, instance: dg.DagsterInstance, at: datetime
) -> list[dg.RunRequest]:
    """What a schedule asks for at an instant."""
    with _Tick(instance, at) as context:
        found: Any = schedule(context)
    return [] if isinstance(found, dg.SkipReason) else list(found)


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    folder = tmp_path_factory.mktemp("dagster")
    with dg.DagsterInstance.ephemeral(tempdir=str(folder)) as made:
        yield made


@pytest.fixture
def on_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """A Dagster whose records can be searched."""
    with dg.instance_for_test(temp_dir=str(tmp_path_factory.mktemp("dagster"))) as made:
        yield made


@pytest.fixture(autouse=True)
def nothing_ran_before(instance: dg.DagsterInstance) -> None:
    for run in instance.get_runs():
        instance.delete_run(run.run_id)


def tick_of(
    source: Source, pipeline: Pipeline, instance: dg.DagsterInstance, after: timedelta
) -> list[dg.RunRequest]:
    """What the schedule of a source that is polled asks for, so long after now."""
    schedule = poll_schedule(source, source_job(source), lambda: pipeline)
    return asked_by(schedule, instance, datetime.now(UTC) + after)
