"""A Dagster of a module's own, and ticks of the schedule that asks a vendor for what is due."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from edpipeline.model import Source
from edpipeline.orchestration.polls import poll_schedule
from edpipeline.orchestration.runs import source_job
from edpipeline.pipeline import Pipeline


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test(temp_dir=str(tmp_path_factory.mktemp("dagster"))) as made:
        yield made


@pytest.fixture(autouse=True)
def nothing_ran_before(instance: dg.DagsterInstance) -> None:
    for run in instance.get_runs():
        instance.delete_run(run.run_id)


def tick_of(
    source: Source, pipeline: Pipeline, instance: dg.DagsterInstance, after: timedelta
) -> list[dg.RunRequest]:
    """What the schedule asks for, so long after now."""
    schedule = poll_schedule(source, source_job(source), lambda: pipeline)
    at = datetime.now(UTC) + after
    with dg.build_schedule_context(instance=instance, scheduled_execution_time=at) as context:
        found: Any = schedule(context)
    return [] if isinstance(found, dg.SkipReason) else found
