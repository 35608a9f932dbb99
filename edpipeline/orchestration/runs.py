"""Runs: the job of a source, what a run is asked for, the pool, and one day in this process."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256

import dagster as dg

from edpipeline.landing.stability import RemoteFile
from edpipeline.model import Source
from edpipeline.orchestration.assets import AskedDistrict, SeenFile, SyncConfig
from edpipeline.orchestration.checks import landing_key, table_key
from edpipeline.orchestration.partitions import DISTRICTS, partition_key
from edpipeline.orchestration.steps import (
    AGAIN_TAG,
    FAILURE_TAG,
    TRANSIENT,
    WAREHOUSE_POOL,
    Job,
)
from edpipeline.settings import Settings
from edpipeline.sources import ALL

MARTS_JOB = "marts_refill"
WRITERS_ON_DUCKDB = 1
WRITERS_ON_POSTGRES = 4
POLLS_OF_A_VENDOR = 1
PARTITION_TAG = "dagster/partition"
UNFINISHED = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)
LANES = 2
"""Runs for many districts of one source at a time: while one loads, the next begins, and where one
waits to try again, the other goes on."""
DISTRICTS_A_RUN = 50
BYTES_A_RUN = 500_000_000
DAY_TAG, DISTRICTS_TAG = "edpipeline/day", "edpipeline/districts"
"""What a run for many districts is for; in the place of `PARTITION_TAG`. Ids of at most 40 letters
keep the second under the 2,700 bytes that PostgreSQL takes into an index."""
LOADS, POLLS = "edpipeline/loads", "edpipeline/polls"
"""Tags by which `dagster.yaml` lets one run of a district load, and one poll a vendor, at a time.
Runs that wait by them take no place of others, as runs that wait for a pool do; and a long poll
keeps no roster of its district waiting. Runs for many districts have `LANES` values instead: of a
district that is in one, nobody asks for another before it has ended (`running`)."""


@dataclass(frozen=True)
class Asked:
    """What a run is told by who asks for it; see `SyncConfig`."""

    files: Sequence[RemoteFile] = ()
    window_closed: bool = False
    pull: bool = True


@dataclass(frozen=True)
class Wanted:
    """A district's day that is to be loaded."""

    district_id: str
    day: date
    why: str
    """See `request`."""
    asked: Asked = Asked()

    @property
    def size(self) -> int:
        """Bytes that are to be fetched, as far as known."""
        return sum(file.size for file in self.asked.files)


def requests(source: Source, wanted: Iterable[Wanted]) -> list[dg.RunRequest]:
    """Few runs for many districts: a run costs seconds before it works.

    A run has districts of one day, at most `DISTRICTS_A_RUN` and about `BYTES_A_RUN`, small ones
    before large ones, so that none waits long for another and one run's failure is a small one. A
    district that is alone has a run with its partition. What is wanted twice is asked for once, as
    it was wanted first.
    """
    alike: dict[tuple[date, bool, bool], list[Wanted]] = {}
    once = {(one.district_id, one.day): one for one in reversed(list(wanted))}
    for one in reversed(once.values()):
        kind = (one.day, one.asked.window_closed, one.asked.pull)
        alike.setdefault(kind, []).append(one)
    return [
        _batch(source, batch)
        if len(batch) > 1
        else request(source, batch[0].district_id, batch[0].day, batch[0].why, batch[0].asked)
        for each in alike.values()
        for batch in _batches(sorted(each, key=lambda one: one.size))
    ]


def _batches(wanted: Sequence[Wanted]) -> Iterator[list[Wanted]]:
    batch: list[Wanted] = []
    for one in wanted:
        size = sum(each.size for each in batch)
        if batch and (len(batch) == DISTRICTS_A_RUN or size + one.size > BYTES_A_RUN):
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch


def _batch(source: Source, batch: Sequence[Wanted]) -> dg.RunRequest:
    names, first = [one.district_id for one in batch], batch[0]
    digest = sha256("\n".join(f"{one.district_id} {one.why}" for one in batch).encode()).hexdigest()
    config = SyncConfig(
        day=first.day.isoformat(),
        districts=[
            AskedDistrict(district=one.district_id, files=_seen(one.asked)) for one in batch
        ],
        window_closed=first.asked.window_closed,
        pull=first.asked.pull,
    )
    lane = int(digest, 16) % LANES
    return dg.RunRequest(
        run_key=f"{source.name} {first.day} {digest[:16]}",
        tags={LOADS: f"{source.name} {lane}", DAY_TAG: config.day, DISTRICTS_TAG: " ".join(names)},
        run_config=dg.RunConfig(ops={source.name: config}),
    )


def _seen(asked: Asked) -> list[SeenFile]:
    return [SeenFile(name=f.name, size=f.size, modified_at=f.modified_at) for f in asked.files]


def request(
    source: Source, district_id: str, day: date, why: str, asked: Asked | None = None
) -> dg.RunRequest:
    """A run for one district's day; a second request with the same `why` is not run again."""
    key = partition_key(district_id, day)
    tags = {POLLS: source.name} if source.is_polled else {LOADS: district_id}
    if asked is None:
        return dg.RunRequest(run_key=f"{source.name} {key} {why}", partition_key=key, tags=tags)
    config = SyncConfig(files=_seen(asked), window_closed=asked.window_closed, pull=asked.pull)
    return dg.RunRequest(
        run_key=f"{source.name} {key} {why}",
        partition_key=key,
        tags=tags,
        run_config=dg.RunConfig(ops={source.name: config}),
    )


def poll_pool(source: Source) -> str:
    """The pool that polls of a source hold, and not that of the warehouse.

    A poll asks a vendor for minutes, and writes for a moment after every few hundred answers.
    Holding the warehouse's pool, it would keep every roster and upload waiting for all that time.
    The pool is not what makes writing safe: each load takes the warehouse's own lock (a file beside
    DuckDB's, or the district's in PostgreSQL) for its one transaction, and waits for it as long as
    EDPIPELINE_LOCK_SECONDS, as commands in a terminal do, which know no pool. What still is not
    written by then fails as `Busy`, which may pass: a poll goes on later where it was.
    """
    return source.name


def job_name(source: Source) -> str:
    """The name of a source's job."""
    return f"{source.name}_sync"


def running(
    instance: dg.DagsterInstance, job: str, created_after: datetime | None = None
) -> frozenset[str]:
    """The partition keys of all runs of a job that have not ended yet, asked for in one query."""
    filters = dg.RunsFilter(job_name=job, statuses=list(UNFINISHED), created_after=created_after)
    return frozenset(key for run in instance.get_runs(filters) for key in keys_of(run))


def keys_of(run: dg.DagsterRun) -> list[str]:
    """The partition keys a run is for: those its tags list, or else its partition."""
    names = run.tags.get(DISTRICTS_TAG, "").split()
    if day := run.tags.get(DAY_TAG):
        return [str(partition_key(name, date.fromisoformat(day))) for name in names]
    key = run.tags.get(PARTITION_TAG)
    return names or ([key] if key else [])


def may_pass(run: dg.DagsterRun, key: str) -> bool:
    """Whether a run failed, and for this partition key for a reason that may pass."""
    again = run.tags.get(AGAIN_TAG)
    by_itself = again is None or key.rpartition("|")[2] in again.split()
    return run.tags.get(FAILURE_TAG) == TRANSIENT and by_itself


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


def limit_pools(instance: dg.DagsterInstance, settings: Settings) -> None:
    """Set how many steps may write at once, where nobody has set it: one on DuckDB; and that a
    vendor is polled for one district at a time.

    Dagster takes the limit of a pool from its instance, never from code, and a default limit for
    all pools breaks on PostgreSQL (dagster#33552). An operator's own number is left alone.
    """
    on_duckdb = settings.warehouse.get_secret_value().startswith("duckdb:")
    slots = {WAREHOUSE_POOL: WRITERS_ON_DUCKDB if on_duckdb else WRITERS_ON_POSTGRES}
    slots |= {poll_pool(source): POLLS_OF_A_VENDOR for source in ALL if source.is_polled}
    storage = instance.event_log_storage
    for pool in slots.keys() - storage.get_concurrency_keys():
        storage.set_concurrency_slots(pool, slots[pool])


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
    limit_pools(instance, settings)
    instance.add_dynamic_partitions(str(DISTRICTS.name), [district_id])

    def run(job: str, key: str) -> dg.ExecuteInProcessResult:
        return definitions.resolve_job_def(job).execute_in_process(
            instance=instance, partition_key=key, raise_on_error=False
        )

    sync = run(job_name(source), partition_key(district_id, day))
    has_landed = bool(sync.asset_materializations_for_node(source.name))
    return DayInProcess(sync, run(MARTS_JOB, district_id) if has_landed and refill else None)
