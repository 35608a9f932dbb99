"""One installation put together: settings, districts, landing and warehouse, and what is done
with a district's roster. The command line and Dagster both call this; it knows neither.

Nothing is connected before it is asked for.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from zoneinfo import ZoneInfo

from edpipeline import sources, windows
from edpipeline.districts import (
    District,
    Districts,
    load_districts,
    load_options,
    result_options,
    roster_use,
    sftp_account,
)
from edpipeline.errors import EdpipelineError
from edpipeline.landing import drop as landing
from edpipeline.landing.drop import Arrived, Delivery, shown
from edpipeline.landing.inbox import Place, open_inbox
from edpipeline.landing.sftp import SftpAccount, connect, fetch, list_folder
from edpipeline.landing.stability import (
    Finding,
    Look,
    LookSettings,
    RemoteFile,
    Verdict,
    files_taken,
    look,
)
from edpipeline.landing.store import Store, open_store
from edpipeline.loading.load import Progress
from edpipeline.loading.options import LoadOptions
from edpipeline.loading.sync import Sync
from edpipeline.model import Source
from edpipeline.scratch import scratch_folder
from edpipeline.settings import Settings, secret
from edpipeline.warehouse.engine import Warehouse, open_warehouse
from edpipeline.warehouse.schema import prepare

ROSTER = "oneroster"
MANIFEST = "manifest.csv"
REMEMBERED_DAYS = 60
"""Deliveries this old are remembered when a look begins without memory."""


def silent(_: str) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True)
class Arrival:
    """What one look into a district's folder came to."""

    verdict: Verdict
    delivery: Delivery | None
    """What landed, where the verdict is `ready`."""
    look: Look
    """To be passed to the next look."""
    message: str
    """What was found, in a sentence for a person."""


@dataclass(frozen=True)
class CheckResult:
    """One thing that must be right before a district can be synced."""

    name: str
    ok: bool
    message: str


@dataclass(frozen=True)
class Pipeline:
    """An installation by its settings. Each part is made when it is first asked for, then kept."""

    settings: Settings

    @cached_property
    def districts(self) -> Districts:
        """The districts file; raises BadConfiguration."""
        return load_districts(self.settings.districts)

    @cached_property
    def store(self) -> Store:
        """The landing; raises BadConfiguration. Nothing is connected yet."""
        return open_store(self.settings.landing, self.settings.scratch)

    @cached_property
    def inbox(self) -> Place:
        """Where uploads are laid; raises BadConfiguration. Nothing is connected yet."""
        return open_inbox(self.settings.inbox)

    @cached_property
    def warehouse(self) -> Warehouse:
        """The warehouse with every table in place; raises Busy, ConnectionLost, BadCredentials."""
        url = self.settings.warehouse.get_secret_value()
        opened = open_warehouse(url, self.settings.memory_limit, self.settings.lock_seconds)
        prepare(opened, sources.ALL, self.settings.sql)
        return opened

    @cached_property
    def source(self) -> Source:
        """The roster source."""
        return sources.source(ROSTER)

    def district(self, district_id: str) -> District:
        """The district of that id; raises NotFound."""
        return self.districts.get(district_id)

    def account(self, district_id: str) -> SftpAccount:
        """The district's SFTP account with its secret; raises BadConfiguration."""
        return sftp_account(self.district(district_id))

    def delivery_day(self, district_id: str, at: datetime, source: str = ROSTER) -> date:
        """The delivery day of what arrives at an instant: by the district's window for the source,
        of what has none by its clock."""
        district = self.district(district_id)
        if not sources.source(source).holds_results:
            return windows.delivery_day(roster_use(district).window, at)
        if (use := district.daily_use(source)) is not None:
            return windows.delivery_day(use.window, at)
        return at.astimezone(ZoneInfo(district.time_zone)).date()

    def options(self, district_id: str, source: str, day: date) -> LoadOptions:
        """What holds for a district's deliveries of a source on a day."""
        district = self.district(district_id)
        if sources.source(source).holds_results:
            return result_options(district, sources.source(source))
        return load_options(district, day)

    def sync(
        self, district_id: str, day: date, progress: Progress = silent, source: str = ROSTER
    ) -> Sync:
        """The sync of a district with its options; days replayed by it have their own."""
        return Sync(
            store=self.store,
            warehouse=self.warehouse,
            source=sources.source(source),
            district_id=district_id,
            options=self.options(district_id, source, day),
            scratch=self.settings.scratch,
            progress=progress,
            options_on=lambda each: self.options(district_id, source, each),
        )

    def deliver(
        self,
        district_id: str,
        at: datetime,
        previous: Look | None = None,
        wait_seconds: float = 0,
        patience: LookSettings | None = None,
        progress: Progress = silent,
    ) -> Arrival:
        """Look into the district's folder and, where a delivery is complete and still, take it.

        `previous` is what the look before remembered; without one, what has landed is what is
        remembered. Files that may still be written are looked at again, every
        `patience.min_seconds`, for as long as `wait_seconds`. Raises what the connection, landing
        and the districts file raise.
        """
        patience = patience or LookSettings(patterns=self.source.arrives.patterns)
        account = self.account(district_id)
        last = at + timedelta(seconds=wait_seconds)
        progress(f"looking into the folder of {district_id}")
        memory = previous or self.remembered(district_id, at)
        finding, seen = self.judge(district_id, memory, list_folder(account), at, patience)
        while finding.verdict is Verdict.GROWING and at < last:
            progress(f"waiting for {district_id}: its files may still be written")
            pause = min(max(patience.min_seconds, 0.1), (last - at).total_seconds())
            time.sleep(pause)
            at += timedelta(seconds=pause)
            finding, seen = self.judge(district_id, seen, list_folder(account), at, patience)
        if finding.verdict is not Verdict.READY:
            return Arrival(finding.verdict, None, seen, describe(finding))
        day = self.delivery_day(district_id, at)
        delivery = self.take(district_id, finding.files, day, at, progress)
        message = f"{len(finding.files)} files arrived as drop {delivery.drop.drop_id}"
        return Arrival(finding.verdict, delivery, seen.after_taking(finding.files), message)

    def judge(
        self,
        district_id: str,
        previous: Look | None,
        files: Sequence[RemoteFile],
        at: datetime,
        patience: LookSettings | None = None,
    ) -> tuple[Finding, Look]:
        """What a listing of the district's folder amounts to; see `stability.look`. Pure."""
        settings = patience or LookSettings(patterns=self.source.arrives.patterns)
        expected = expected_names(self.source, self._edition(district_id), files, settings)
        return look(previous, files, at, expected, settings)

    def remembered(self, district_id: str, at: datetime) -> Look:
        """A look that remembers what has landed lately, for whoever lost or never had one."""
        first = at.date() - timedelta(days=REMEMBERED_DAYS)
        known = landing.deliveries(self.store, district_id, ROSTER, first)
        return Look(at).after_taking(files_taken(delivery.drop for delivery in known))

    def take(
        self,
        district_id: str,
        files: Sequence[RemoteFile],
        day: date,
        at: datetime,
        progress: Progress = silent,
    ) -> Delivery:
        """Fetch files that were seen and write them down as a delivery of that day.

        Raises Transient where a file has changed since it was seen, and what `connect` raises.
        """
        account = self.account(district_id)
        with scratch_folder(self.settings.scratch) as folder, connect(account) as connection:
            progress(f"fetching {len(files)} files ({_size(sum(file.size for file in files))})")
            arrived = fetch(connection, files, folder)
            progress("writing down what arrived")
            origin = f"sftp {account.describe()}"
            return landing.land(self.store, district_id, ROSTER, day, arrived, at, origin)

    def receive(
        self, district_id: str, paths: Mapping[str, Path], day: date, at: datetime
    ) -> Delivery:
        """Write down files of this machine, by the names they came with, as a delivery."""
        arrived = [
            Arrived(name, path, datetime.fromtimestamp(path.stat().st_mtime, UTC))
            for name, path in paths.items()
        ]
        return landing.land(self.store, district_id, ROSTER, day, arrived, at, "by hand")

    def is_synced(self, district_id: str, day: date) -> bool:
        """Whether the day's latest delivery has been through a sync; True where none landed."""
        landed = landing.deliveries(self.store, district_id, ROSTER, day, day)
        if not landed:
            return True
        with self.warehouse.transaction() as session:
            synced = session.value(
                "select count(*) from ops.sync_history where district_id = $district"
                " and source = $source and delivery_day = $day and drop_id = $drop_id",
                district=district_id,
                source=ROSTER,
                day=day,
                drop_id=landed[-1].drop.drop_id,
            )
        return bool(synced)

    def refill(self, district_id: str, progress: Progress = silent) -> None:
        """Compute the district's marts anew and publish them."""
        from edpipeline.warehouse.marts import refill_district
        from edpipeline.warehouse.publish import publish_district

        settings = self.settings
        progress("refilling the tables for analysts")
        refill_district(self.warehouse, settings.sql, district_id)
        progress("publishing the tables for analysts")
        publish_district(
            self.warehouse, settings.published, settings.sql, district_id, settings.scratch
        )

    def check(self, district_id: str, progress: Progress = silent) -> list[CheckResult]:
        """Whether everything a district's sync needs is right, and what to do where it is not."""
        use = self.district(district_id).oneroster
        found = [CheckResult("districts file", True, f"{district_id} is in order")]
        if use is not None:
            progress("connecting to the SFTP server")
            found.append(checked("secret", lambda: _secret_is_set(use.sftp.secret_name)))
            if found[-1].ok:
                found.append(checked("SFTP account", lambda: self._account_works(district_id)))
        progress("writing to landing")
        found.append(checked("landing", self._landing_works))
        progress("opening the warehouse")
        found.append(checked("warehouse", self._warehouse_works))
        return found

    def record_failure(
        self, district_id: str, source: str, day: date, status: str, message: str
    ) -> None:
        """Write one line into the history for a day on which nothing could be synced: `missed`,
        `failed` or `locked`.

        Writing it again replaces it. `message` holds no student's data and no secret.
        """
        now = datetime.now(UTC).replace(tzinfo=None)
        keys = {"district": district_id, "source": source, "day": day, "status": status}
        with self.warehouse.transaction() as session:
            session.run(
                "delete from ops.sync_history where district_id = $district and source = $source"
                " and delivery_day = $day and status = $status",
                **keys,
            )
            session.run(
                "insert into ops.sync_history (sync_id, district_id, source, delivery_day,"
                " started_at, completed_at, status, message)"
                " values ($sync_id, $district, $source, $day, $now, $now, $status, $message)",
                sync_id=f"{now:%Y%m%dT%H%M%S%f}-{status}",
                now=now,
                message=message,
                **keys,
            )

    def _edition(self, district_id: str) -> str:
        return roster_use(self.district(district_id)).edition

    def _account_works(self, district_id: str) -> str:
        account = self.account(district_id)
        files = list_folder(account)
        if not files:
            return f"Account is working ({account.describe()}); its folder is empty"
        now = datetime.now(UTC)
        listed = ", ".join(f"{shown(file.name)} {_age(now, file)}" for file in files[:8])
        more = f" and {len(files) - 8} more" if len(files) > 8 else ""
        return f"Account is working ({account.describe()}): {listed}{more}"

    def _landing_works(self) -> str:
        today = f"checks/{datetime.now(UTC):%Y-%m-%d}.txt"
        self.store.write_bytes(today, b"edpipeline was able to write here\n")
        self.store.read_bytes(today)
        return f"can be written and read: {self.store.describe()}"

    def _warehouse_works(self) -> str:
        with self.warehouse.transaction() as session:
            session.value("select count(*) from ops.sync_history")
        return f"can be reached: {self.warehouse.describe()}"


def expected_names(
    source: Source, edition: str, files: Sequence[RemoteFile], settings: LookSettings
) -> tuple[str, ...]:
    """The files without which a loose delivery is not complete.

    With a manifest of the same hour it alone decides what belongs to the delivery; without, the
    files of the tables that the district's edition, or with `auto` every edition, needs.
    """
    newest = max((file.modified_at for file in files), default=0)
    for file in files:
        is_fresh = newest - file.modified_at <= settings.spread_minutes * 60
        if file.name.casefold() == MANIFEST and is_fresh:
            return (MANIFEST,)
    editions = source.editions if edition == "auto" else (source.edition(edition),)
    needed = set.intersection(*(set(each.needed) for each in editions))
    return tuple(table.file for table in source.tables if table.name in needed)


def describe(finding: Finding) -> str:
    """A finding in a sentence for a person."""
    names = ", ".join(shown(name) for name in finding.names[:8])
    match finding.verdict:
        case Verdict.READY:
            return "a delivery is complete and still"
        case Verdict.INCOMPLETE:
            return f"the delivery is not complete: {names} did not come"
        case Verdict.APART:
            return (
                f"{names} came more than an hour before the other files and may be an old one;"
                " send the whole set again"
            )
        case Verdict.GROWING:
            return f"{names} may still be written; look again in a minute"
        case _:
            return "nothing new is in the folder"


def checked(name: str, attempt: Callable[[], str]) -> CheckResult:
    """What an attempt came to; anything wrong with it is told, and not raised."""
    try:
        return CheckResult(name, True, attempt())
    except EdpipelineError as error:
        return CheckResult(name, False, str(error))


def _secret_is_set(name: str) -> str:
    secret(name)
    return f"{name} is set"


def _age(now: datetime, file: RemoteFile) -> str:
    minutes = max(0, int(now.timestamp() - file.modified_at) // 60)
    if minutes < 120:
        return f"({minutes} min old)"
    return f"({minutes // 60} h old)" if minutes < 2880 else f"({minutes // 1440} days old)"


def _size(size: int) -> str:
    return f"{size / 1_000_000:,.1f} MB" if size >= 100_000 else f"{size / 1000:,.1f} kB"
