"""Runs: the job of a source, what a run is asked for, the pool, and one day in this process."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import dagster as dg

from edpipeline.landing.stability import RemoteFile
from edpipeline.model import Source
from edpipeline.orchestration.assets import SeenFile, SyncConfig
from edpipeline.orchestration.checks import landing_key, table_key
from edpipeline.orchestration.partitions import DISTRICTS, partition_key
from edpipeline.orchestration.steps import WAREHOUSE_POOL, Job
from edpipeline.settings import Settings

MARTS_JOB = "marts_refill"
WRITERS_ON_DUCKDB = 1
WRITERS_ON_POSTGRES = 4


@dataclass(frozen=True)
class Asked:
    """What a run is told by who asks for it; see `SyncConfig`."""

    files: Sequence[RemoteFile] = ()
    window_closed: bool = False
    pull: bool = True


def request(
    source: Source, district_id: str, day: date, why: str, asked: Asked | None = None
) -> dg.RunRequest:
    """A run for one district's day; a second request with the same `why` is not run again."""
    key = partition_key(district_id, day)
    if asked is None:
        return dg.RunRequest(run_key=f"{source.name} {key} {why}", partition_key=key)
    files = [SeenFile(name=f.name, size=f.size, modified_at=f.modified_at) for f in asked.files]
    config = SyncConfig(files=files, window_closed=asked.window_closed, pull=asked.pull)
    return dg.RunRequest(
        run_key=f"{source.name} {key} {why}",
        partition_key=key,
        run_config=dg.RunConfig(ops={source.name: config}),
    )


def job_name(source: Source) -> str:
    """The name of a source's job."""
    return f"{source.name}_sync"


def source_job(source: Source) -> Job:
    """The job that fetches, lands and loads a source.

    It plans what every delivery brings. What a delivery holds besides is loaded and shown as well;
    planned, it would be shown as failed by every run that fails without it. Checks likewise are
    evaluated without being planned.
    """
    always = set.intersection(*(set(edition.needed) for edition in source.editions))
    keys = [table_key(table) for table in source.tables if table.name in always]
    return dg.define_asset_job(
        job_name(source),
        selection=dg.AssetSelection.assets(landing_key(source), *keys).without_checks(),
        description=f"{source.title}: fetch a district's delivery, land it, load its tables.",
    )


def marts_job(assets: dg.AssetsDefinition) -> Job:
    """The job that refills every mart of a district."""
    return dg.define_asset_job(
        MARTS_JOB,
        selection=dg.AssetSelection.assets(*assets.keys),
        description="Compute every mart of a district anew and publish it.",
    )


def limit_pool(instance: dg.DagsterInstance, settings: Settings) -> None:
    """Set how many steps may write at once, where nobody has set it: one on DuckDB.

    Dagster takes the limit of a pool from its instance, never from code, and a default limit for
    all pools breaks on PostgreSQL (dagster#33552). An operator's own number is left alone.
    """
    storage = instance.event_log_storage
    if WAREHOUSE_POOL not in storage.get_concurrency_keys():
        on_duckdb = settings.warehouse.get_secret_value().startswith("duckdb:")
        writers = WRITERS_ON_DUCKDB if on_duckdb else WRITERS_ON_POSTGRES
        storage.set_concurrency_slots(WAREHOUSE_POOL, writers)


@dataclass(frozen=True)
class DayInProcess:
    """One district's day of one source: the runs it took. Failures stand in their events."""

    sync: dg.ExecuteInProcessResult
    marts: dg.ExecuteInProcessResult | None
    """None where nothing landed, or they were to be left."""

    @property
    def success(self) -> bool:
        """Whether everything succeeded."""
        return self.sync.success and self.marts is not None and self.marts.success


def sync_in_process(
    instance: dg.DagsterInstance,
    definitions: dg.Definitions,
    settings: Settings,
    source: Source,
    district_id: str,
    day: date,
    refill: bool = True,
) -> DayInProcess:
    """Land and load one district's day of a source, however it arrives, then refill the district's
    marts, in this process.

    `definitions` are those of the installation. Every event is recorded in `instance`, as if its
    daemon had run it. Without `refill` the marts are left to whoever syncs next.
    """
    limit_pool(instance, settings)
    instance.add_dynamic_partitions(str(DISTRICTS.name), [district_id])

    def run(job: str, key: str) -> dg.ExecuteInProcessResult:
        return definitions.resolve_job_def(job).execute_in_process(
            instance=instance, partition_key=key, raise_on_error=False
        )

    sync = run(job_name(source), partition_key(district_id, day))
    has_landed = bool(sync.asset_materializations_for_node(source.name))
    return DayInProcess(sync, run(MARTS_JOB, district_id) if has_landed and refill else None)
