"""START HERE: everything Dagster shows and does, as a table of contents.

    landing/<source> -> <schema>/<table> ... -> marts/<mart>      orchestration/assets.py, marts.py

A sensor notices deliveries, a schedule watches over the daily windows, and the marts follow what
they read by themselves. How the parts are built is in `orchestration`; what is done with a
delivery is in `pipeline.py`, which the command line calls as well.

Nothing is read or connected while this module is imported. Dagster calls `defs`, which reads the
settings and the marts' SQL; districts, landing and warehouse are opened inside runs and ticks.
"""

import dagster as dg

from edpipeline.landing.stability import LookSettings
from edpipeline.orchestration.assets import source_assets
from edpipeline.orchestration.marts import mart_assets
from edpipeline.orchestration.runs import marts_job, source_job
from edpipeline.orchestration.schedules import window_schedule
from edpipeline.orchestration.sensors import delivery_sensor
from edpipeline.pipeline import Pipeline
from edpipeline.settings import Settings, load_settings
from edpipeline.sources import ALL
from edpipeline.warehouse.marts import marts


def build(settings: Settings, patience: LookSettings | None = None) -> dg.Definitions:
    """Everything of one installation. `patience` shortens the wait for files that may grow."""

    def open_pipeline() -> Pipeline:
        return Pipeline(settings)

    tables = [source_assets(source, open_pipeline, settings.first_day, patience) for source in ALL]
    jobs = [source_job(source) for source in ALL]
    refilled = mart_assets(marts(settings.sql), ALL, open_pipeline)
    return dg.Definitions(
        assets=[*tables, refilled],
        jobs=[*jobs, marts_job(refilled)],
        sensors=[
            *(
                delivery_sensor(source, job, open_pipeline, patience)
                for source, job in zip(ALL, jobs, strict=True)
            ),
            dg.AutomationConditionSensorDefinition(
                "marts_follow",
                target=dg.AssetSelection.assets(*refilled.keys),
                default_status=dg.DefaultSensorStatus.RUNNING,
            ),
        ],
        schedules=[
            window_schedule(source, job, open_pipeline)
            for source, job in zip(ALL, jobs, strict=True)
        ],
        # A step in a process of its own costs seconds before it works; loads are one step each.
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """The definitions that Dagster loads, by the settings in the environment."""
    return build(load_settings())
