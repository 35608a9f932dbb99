"""How a step works through the partitions of its run.

One partition that fails never stops the others. At its end the step fails, every trouble named;
where trying again may help, it asks Dagster for that first.

Dagster would give every output of a step to every partition of its run. So steps log their events
by partition, and what has no event keeps its last one: what it still shows.
"""

import traceback
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import dagster as dg
from dagster._core.events import AssetMaterializationPlannedData, DagsterEvent

from edpipeline.errors import EdpipelineError, Transient
from edpipeline.orchestration.alerts import Trouble, summary
from edpipeline.pipeline import Pipeline

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import (
        UnresolvedAssetJobDefinition,
    )

Job: TypeAlias = "UnresolvedAssetJobDefinition"
"""What `define_asset_job` makes; Dagster exports no name for it."""
Event = dg.AssetMaterialization | dg.AssetObservation | dg.AssetCheckEvaluation
OpenPipeline = Callable[[], Pipeline]

WAREHOUSE_POOL = "warehouse"
"""Held by every step that writes to the warehouse."""
FAILURE_TAG = "edpipeline/failure"
TRANSIENT = "transient"
"""Value of `FAILURE_TAG` on runs that failed for a reason that may pass by itself."""
LASTING = "lasting"
"""The same where a person has to act. A run that was killed has neither."""
AGAIN_TAG = "edpipeline/again"
"""Tag of a failed run for many districts: those whose trouble may pass, with spaces between."""
RETRY_SECONDS = (30, 60, 120)
"""Waits before a step is tried again. One for many districts waits the first time only: the next
batch is behind it, and what still fails then is asked for again by the schedule."""


def each_partition(
    context: dg.AssetExecutionContext,
    work: Callable[[str], Iterator[Event]],
    asked: Sequence[str] = (),
) -> Iterator[Event]:
    """The events of `work` on each partition key of the run: those of its partition, or the keys
    that its configuration lists (`asked`).

    Raises `RetryRequested` while that may help, then `Failure` naming each partition that failed.
    """
    keys = list(asked) or [str(key) for key in context.partition_keys]
    troubles = []
    for key in keys:
        made: set[dg.AssetKey] = set()
        trouble = yield from _tried(key, work, made)
        if trouble is not None:
            troubles.append(trouble)
            context.log.warning(str(trouble))
            if asked:
                _show_as_failed(context, key, made)
    if not troubles:
        return
    may_pass = [trouble.partition for trouble in troubles if trouble.may_pass]
    waits = RETRY_SECONDS[:1] if asked else RETRY_SECONDS
    attempt = attempts_before(context)
    if may_pass and attempt < len(waits):
        raise dg.RetryRequested(len(waits), waits[attempt])
    tags = {FAILURE_TAG: TRANSIENT if may_pass else LASTING}
    if may_pass and asked:
        tags[AGAIN_TAG] = " ".join(key.rpartition("|")[2] for key in may_pass)
    context.instance.add_run_tags(context.run.run_id, tags)
    raise dg.Failure(summary(troubles, len(keys)), allow_retries=False)


def _tried(
    key: str, work: Callable[[str], Iterator[Event]], made: set[dg.AssetKey]
) -> Generator[Event, None, Trouble | None]:
    """The events of one partition; `made` gets what they materialize. Why it failed, if it did."""
    try:
        for event in work(key):
            if isinstance(event, dg.AssetMaterialization):
                made.add(event.asset_key)
            yield event
    except EdpipelineError as error:
        return Trouble(key, str(error), isinstance(error, Transient))
    except Exception as error:
        # The text of an error that is not ours may quote a row: it is not passed on.
        return Trouble(key, unexpected(error))
    return None


def _show_as_failed(
    context: dg.AssetExecutionContext, key: str, made: Collection[dg.AssetKey]
) -> None:
    """Let the UI show a partition of a run for many districts as failed, once the run has: Dagster
    knows which partitions failed by those that were planned, and such a run plans none."""
    for asset in sorted(context.selected_asset_keys - set(made)):
        planned = AssetMaterializationPlannedData(asset, partition=key)
        event = DagsterEvent.build_asset_materialization_planned_event(
            context.run.job_name, context.op_execution_context.op.name, planned
        )
        context.instance.report_dagster_event(event, context.run.run_id)


def attempts_before(context: dg.AssetExecutionContext) -> int:
    """How often this step of this run has been tried before."""
    return context.op_execution_context.retry_number


def unexpected(error: Exception) -> str:
    """The kind of an error and the lines of ours that led to it."""
    package = Path(__file__).parents[1]
    frames = [
        f"{Path(frame.filename).relative_to(package)}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(package)
    ]
    return (
        f"unexpected {type(error).__name__} at {' > '.join(frames)}. What was begun was rolled"
        " back. The error's own text is left out, since it may hold personal data: do the same"
        " with the `edpipeline` command to see it"
    )
