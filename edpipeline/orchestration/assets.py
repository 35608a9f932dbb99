"""A source as assets: what arrives, and every table it fills.

One step fetches a district's delivery, lands it and loads all its tables in one transaction. Each
day and district gets its own materializations, checks and line in the history.
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg
from pydantic import Field

from edpipeline import windows
from edpipeline.districts import roster_use
from edpipeline.errors import BadDelivery, NotFound, Transient
from edpipeline.landing import drop as landing
from edpipeline.landing.drop import Delivery
from edpipeline.landing.stability import LookSettings, RemoteFile, files_taken
from edpipeline.loading.report import STATUS_WORDS, SyncReport, load_reports
from edpipeline.model import Source
from edpipeline.orchestration import checks, metadata
from edpipeline.orchestration.alerts import alert
from edpipeline.orchestration.missed import what_was_missed
from edpipeline.orchestration.partitions import (
    by_day_and_district,
    day_and_district,
    decided,
    partition_key,
)
from edpipeline.orchestration.steps import (
    WAREHOUSE_POOL,
    Event,
    OpenPipeline,
    attempts_before,
    each_partition,
)
from edpipeline.pipeline import Pipeline


class SeenFile(dg.Config):
    """A file as it was seen in a district's folder."""

    name: str
    size: int
    modified_at: int


class AskedDistrict(dg.Config):
    """One district of a run for many."""

    district: str
    files: list[SeenFile] = Field(default_factory=list)


class SyncConfig(dg.Config):
    """Who asks tells what it knows; by hand there is nothing to fill in."""

    files: list[SeenFile] = Field(default_factory=list)
    """Files that were seen complete and still: fetched at once, without a second look."""
    day: str = ""
    """The delivery day of a run for many districts; "" where the run has a partition."""
    districts: list[AskedDistrict] = Field(default_factory=list)
    """These districts, each with its files, in place of a partition. Dagster's own runs over many
    partitions take a range without gaps, and who is ready together seldom is one."""
    window_closed: bool = False
    """True: the window has closed without a delivery; record that and say so."""
    pull: bool = True
    """Of a pulled source: ask the vendor. False loads only what has landed or was handed over."""

    def listed(self) -> list[str]:
        """The partition keys of a run for many districts; none of any other."""
        day = date.fromisoformat(self.day) if self.day else date.min
        return [str(partition_key(each.district, day)) for each in self.districts]

    def files_of(self, district_id: str) -> list[RemoteFile]:
        """The files that were seen of one district."""
        found = [each.files for each in self.districts if each.district == district_id]
        files = found[0] if found else self.files
        return [RemoteFile(f.name, f.size, f.modified_at) for f in files]


def declared(source: Source, first_day: date, pool: str = WAREHOUSE_POOL) -> dict[str, Any]:
    """What Dagster is told of the step of a source, however its files arrive."""
    partitions = by_day_and_district(first_day)
    return {
        "name": source.name,
        "specs": [
            metadata.landing_spec(source),
            *(metadata.table_spec(source, table) for table in source.tables),
        ],
        "check_specs": checks.specs(source, partitions),
        "partitions_def": partitions,
        "backfill_policy": dg.BackfillPolicy.single_run(),
        "pool": pool,
        # A delivery is loaded whole, whatever is selected. Without this, Dagster would want every
        # check of every table evaluated, also of those that are not in the delivery.
        "can_subset": True,
    }


@decided()
def source_assets(
    source: Source,
    open_pipeline: OpenPipeline,
    first_day: date,
    patience: LookSettings | None = None,
) -> dg.AssetsDefinition:
    """The assets of a source: `landing/<source>` and `<schema>/<table>` for each of its tables."""

    @dg.multi_asset(**declared(source, first_day))
    def sync(context: dg.AssetExecutionContext, config: SyncConfig) -> Iterator[Event]:
        settings = patience or LookSettings(patterns=source.arrives.patterns)
        yield from _DropRun(context, source, open_pipeline(), config, settings).events()

    return sync


@dataclass(frozen=True)
class Run:
    """One attempt of a run of a source, over one or many days and districts: what is the same
    however files arrive."""

    context: dg.AssetExecutionContext
    source: Source
    pipeline: Pipeline

    def events(self) -> Iterator[Event]:
        """Every partition's events."""
        settled = self._settled_before()

        def work(key: str) -> Iterator[Event]:
            if key in settled:
                refuse(settled[key])
                return
            day, district_id = day_and_district(key)
            yield from self.sync(key, district_id, day)

        yield from each_partition(self.context, work, self.asked_keys())

    def asked_keys(self) -> Sequence[str]:
        """The partition keys that whoever asked has listed, in place of a partition."""
        return ()

    def _settled_before(self) -> dict[str, SyncReport]:
        """What an earlier attempt of this run has brought to an end, by partition."""
        if not attempts_before(self.context):
            return {}
        record = self.context.instance.get_run_record_by_id(self.context.run.run_id)
        started = datetime.fromtimestamp(record.start_time or 0 if record else 0, UTC)
        try:
            with self.pipeline.warehouse.transaction() as session:
                reports = load_reports(
                    session,
                    "source = $source and drop_id is not null and started_at >= $started",
                    source=self.source.name,
                    started=started.replace(tzinfo=None),
                )
        except Transient:
            # Loading again what is loaded changes nothing.
            return {}
        return {str(partition_key(r.district_id, r.day)): r for r in reversed(reports)}

    def sync(self, key: str, district_id: str, day: date) -> Iterator[Event]:
        """Land and load one district's day."""
        raise NotImplementedError

    def landed(self, delivery: Delivery, news: str) -> dg.AssetMaterialization:
        """That a delivery has landed."""
        drop, place = delivery.drop, self.pipeline.store.describe()
        self.context.log.info(f"{drop.district_id}, {delivery.day}: {news} (drop {drop.drop_id})")
        return dg.AssetMaterialization(
            checks.landing_key(self.source),
            partition=partition_key(drop.district_id, delivery.day),
            metadata=metadata.of_landing(delivery, self.source, place, news),
            tags={metadata.DATA_VERSION: drop.drop_id},
        )

    def became(self, report: SyncReport) -> dg.AssetObservation:
        """What became of a delivery."""
        return dg.AssetObservation(
            checks.landing_key(self.source),
            description="what became of the delivery",
            partition=partition_key(report.district_id, report.day),
            metadata=metadata.of_report(report),
        )

    def of_tables(self, key: str, report: SyncReport) -> Iterator[Event]:
        """Materializations of the tables that hold the delivery, and the checks of all files."""
        tables = {table.full_name: table for table in self.source.tables}
        rows, problems = self._looked_up(report)
        place = self.pipeline.warehouse.describe()
        for file in report.files:
            table = tables[file.table_name]
            if report.applied and file.status != "kept":
                yield dg.AssetMaterialization(
                    checks.table_key(table),
                    partition=partition_key(report.district_id, report.day),
                    metadata=metadata.of_table(file, report, rows.get(table.full_name), place),
                    tags={metadata.DATA_VERSION: report.drop_id},
                )
            problem = problems.get(file.file_name, [])
            yield from checks.of_file(self.source, table, key, report, file, problem)

    def _looked_up(self, report: SyncReport) -> tuple[dict[str, int], dict[str, list[str]]]:
        """The district's current rows by table, and why files were refused, by file."""
        names = {file.table_name for file in report.files}
        tables = [table for table in self.source.tables if table.full_name in names]
        problems: dict[str, list[str]] = {}
        try:
            with self.pipeline.warehouse.transaction() as session:
                rows = {
                    table.full_name: session.value(
                        f"select count(*) from {table.schema}.current_{table.name}"
                        " where district_id = $district",
                        district=report.district_id,
                    )
                    for table in tables
                }
                found = session.rows(
                    "select file_name, message from ops.rejected_rows where sync_id = $sync_id"
                    " and line is null and severity = 'error' and file_name is not null",
                    sync_id=report.sync_id,
                )
        except Transient as error:
            # The load itself is done: only numbers are missing from its metadata.
            self.context.log.warning(str(error))
            return {}, {}
        for name, message in found:
            problems.setdefault(name, []).append(message)
        return rows, problems


@dataclass(frozen=True)
class _DropRun(Run):
    """A run of a source whose files are fetched from districts' folders."""

    config: SyncConfig
    patience: LookSettings

    def asked_keys(self) -> Sequence[str]:
        """See `Run.asked_keys`."""
        return self.config.listed()

    def sync(self, key: str, district_id: str, day: date) -> Iterator[Event]:
        """Fetch, land and load one district's day; or tell that nothing came."""
        if self.config.window_closed:
            yield from self._missed(key, district_id, day)
        delivery = yield from self._land(key, district_id, day)
        yield from self._load(key, delivery)

    def _missed(self, key: str, district_id: str, day: date) -> Iterator[Event]:
        """Record that nothing came, and fail with what a person needs to know."""
        message = what_was_missed(self.pipeline, self.source, district_id, day)
        self.pipeline.record_failure(district_id, self.source.name, day, "missed", message)
        yield checks.missed(self.source, key, message)
        raise NotFound(f"{STATUS_WORDS['missed']}. {message}")

    def _land(self, key: str, district_id: str, day: date) -> Generator[Event, None, Delivery]:
        delivery, news = self._landed(district_id, day)
        yield self.landed(delivery, news)
        closes = windows.closes_at(roster_use(self.pipeline.district(district_id)).window, day)
        yield checks.on_time(self.source, key, delivery, closes)
        return delivery

    def _load(self, key: str, delivery: Delivery) -> Iterator[Event]:
        """Load the day; where its last delivery is not whole, those before it are loaded too."""
        district_id, day = delivery.drop.district_id, delivery.day
        began = datetime.now(UTC)
        report = self.pipeline.sync(district_id, day, self._progress).load_day(day)
        yield self.became(report)
        yield checks.approved(self.source, key, report)
        for each in [*self._loaded_before(report, began), report]:
            yield from self.of_tables(key, each)
        refuse(report)
        self.context.log.info(f"{district_id}, {day}: {alert(report)}")

    def _loaded_before(self, report: SyncReport, began: datetime) -> list[SyncReport]:
        """Earlier deliveries of the day that were loaded with its last one, in their order."""
        if report.status != "refused" and all(file.status != "kept" for file in report.files):
            return []
        with self.pipeline.warehouse.transaction() as session:
            found = load_reports(
                session,
                "district_id = $district and source = $source and delivery_day = $day"
                " and replay_of is null and sync_id <> $sync_id and started_at >= $began",
                district=report.district_id,
                source=self.source.name,
                day=report.day,
                sync_id=report.sync_id,
                began=began.replace(tzinfo=None),
            )
        return [earlier for earlier in reversed(found) if earlier.applied]

    def _progress(self, message: str) -> None:
        """Told of a run for one district: a line costs Dagster as much as landing a file does."""
        if not self.config.districts:
            self.context.log.info(message)

    def _landed(self, district_id: str, day: date) -> tuple[Delivery, str]:
        """The day's delivery, fetched now or landed before; and which of these."""
        before = landing.deliveries(self.pipeline.store, district_id, self.source.name, day, day)
        asked = self.config.files_of(district_id)
        there = files_taken(delivery.drop for delivery in before)
        now = datetime.now(UTC)
        if asked and not set(asked) <= set(there):
            taken = self.pipeline.take(district_id, asked, day, now, self._progress)
            return taken, "arrived"
        news = "nothing was fetched, because the day is over"
        if not asked and self.pipeline.delivery_day(district_id, now) == day:
            fetched, news = self._fetched(district_id, now, bool(before))
            if fetched:
                return fetched, "arrived"
        if not before:
            raise NotFound(f"nothing has landed for this day: {news}")
        return before[-1], "had landed before"

    def _fetched(
        self, district_id: str, now: datetime, has_landed: bool
    ) -> tuple[Delivery | None, str]:
        """What a look, and where files are new a second one, takes; and what was found."""
        wait = max(self.patience.min_seconds, self.patience.quiet_seconds)
        try:
            arrival = self.pipeline.deliver(
                district_id, now, None, wait, self.patience, self._progress
            )
        except Transient as error:
            if not has_landed:
                raise
            self.context.log.warning(f"{error}; what had landed is loaded")
            return None, str(error)
        return arrival.delivery, arrival.message


def refuse(report: SyncReport) -> None:
    """Fail loudly where the delivery, or any file of it, could not be used."""
    if report.status == "refused" or any(file.status == "kept" for file in report.files):
        raise BadDelivery(alert(report))
