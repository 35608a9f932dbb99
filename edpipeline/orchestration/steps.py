"""How a step works through the partitions of its run.

One partition that fails never stops the others. At its end the step fails, every trouble named;
where trying again may help, it asks Dagster for that first.

Dagster would give every output of a step to every partition of its run. So steps log their events
by partition, and what has no event keeps its last one: what it still shows.
"""

import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import dagster as dg

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
RETRY_SECONDS = (30, 60, 120)
"""Waits before a step is tried again."""


def each_partition(
    context: dg.AssetExecutionContext, work: Callable[[str], Iterator[Event]]
) -> Iterator[Event]:
    """The events of `work` on each partition key of the run.

    Raises `RetryRequested` while that may help, then `Failure` naming each partition that failed.
    """
    keys = [str(key) for key in context.partition_keys]
    troubles = []
    for key in keys:
        try:
            yield from work(key)
        except EdpipelineError as error:
            troubles.append(Trouble(key, str(error), isinstance(error, Transient)))
        except Exception as error:
            # The text of an error that is not ours may quote a row: it is not passed on.
            troubles.append(Trouble(key, unexpected(error)))
        else:
            continue
        context.log.warning(str(troubles[-1]))
    if not troubles:
        return
    may_pass = any(trouble.may_pass for trouble in troubles)
    if may_pass:
        attempt = attempts_before(context)
        if attempt < len(RETRY_SECONDS):
            raise dg.RetryRequested(len(RETRY_SECONDS), RETRY_SECONDS[attempt])
    kind = {FAILURE_TAG: TRANSIENT if may_pass else LASTING}
    context.instance.add_run_tags(context.run.run_id, kind)
    raise dg.Failure(summary(troubles, len(keys)), allow_retries=False)


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
