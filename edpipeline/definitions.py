"""START HERE: everything Dagster shows and does, as a table of contents.

    landing/<source> -> <schema>/<table> ... -> marts/<mart>      orchestration/assets.py, marts.py

Sensors notice deliveries and uploads; schedules ask vendors' APIs in their daily windows, poll what
is not final yet, and watch over uploads that are not ready in time; the marts follow what they read
by themselves; people are told of what went wrong. How the parts are built is in `orchestration`;
what is done with a delivery is in `pipeline.py`, `uploading.py`, `pulling.py`, `polling` and
`surveying`, which the command line calls as well.

Nothing is read or connected while this module is imported. Dagster calls `defs`, which reads the
settings and the marts' SQL; districts, landing and warehouse are opened inside runs and ticks.
"""

import dagster as dg

from edpipeline.landing.stability import LookSettings
from edpipeline.orchestration.alert_sensor import alert_sensor
from edpipeline.orchestration.assets import source_assets
from edpipeline.orchestration.follow import marts_sensor
from edpipeline.orchestration.marts import mart_assets
from edpipeline.orchestration.polls import poll_assets, poll_schedule
from edpipeline.orchestration.pulls import pull_assets
from edpipeline.orchestration.runs import marts_job, source_job
from edpipeline.orchestration.schedules import window_schedule
from edpipeline.orchestration.sensors import delivery_sensor
from edpipeline.orchestration.uploads import (
    inbox_sensor,
    ready_check,
    ready_job,
    ready_schedule,
    unloaded_schedule,
    upload_assets,
)
from edpipeline.pipeline import Pipeline
from edpipeline.settings import Settings, load_settings
from edpipeline.sources import ALL
from edpipeline.warehouse.lineage import lineage
from edpipeline.warehouse.marts import marts


def build(settings: Settings, patience: LookSettings | None = None) -> dg.Definitions:
    """Everything of one installation. `patience` shortens the wait for files that may grow."""

    def open_pipeline() -> Pipeline:
        return Pipeline(settings)

    dropped = [source for source in ALL if not source.holds_results]
    pulled = [source for source in ALL if source.is_pulled]
    uploaded = [source for source in ALL if source.is_uploaded]
    polled = [source for source in ALL if source.is_polled]
    jobs = {source.name: source_job(source) for source in ALL}
    tables = [
        *(source_assets(each, open_pipeline, settings.first_day, patience) for each in dropped),
        *(pull_assets(each, open_pipeline, settings.first_day) for each in pulled),
        *(
            upload_assets(each, open_pipeline, settings.first_day)
            for each in uploaded
            if not each.is_pulled
        ),
        *(poll_assets(each, open_pipeline, settings.first_day) for each in polled),
    ]
    ready = ready_job(uploaded)
    found = marts(settings.sql)
    refilled = mart_assets(found, ALL, open_pipeline, lineage(found, settings.sql))
    refill = marts_job(refilled)
    return dg.Definitions(
        assets=[*tables, refilled],
        asset_checks=[ready_check(each, open_pipeline) for each in uploaded],
        jobs=[*jobs.values(), refill, ready],
        sensors=[
            *(delivery_sensor(each, jobs[each.name], open_pipeline, patience) for each in dropped),
            *(inbox_sensor(each, jobs[each.name], open_pipeline) for each in uploaded),
            marts_sensor(refill, ALL, found),
            alert_sensor(open_pipeline),
        ],
        schedules=[
            *(
                window_schedule(each, jobs[each.name], open_pipeline)
                for each in (*dropped, *pulled)
            ),
            *(poll_schedule(each, jobs[each.name], open_pipeline) for each in polled),
            *(unloaded_schedule(each, jobs[each.name], open_pipeline) for each in uploaded),
            ready_schedule(ready),
        ],
        # A step in a process of its own costs seconds before it works; loads are one step each.
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """The definitions that Dagster loads, by the settings in the environment."""
    return build(load_settings())
