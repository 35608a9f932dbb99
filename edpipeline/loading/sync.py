"""A delivery day into the warehouse: rewind, replay, and one line in the history.

Tables are a function of what landed and of recorded approvals. Loading day D first takes the
district back to before D, then loads D and every later day that was synced, all in one
transaction: whatever the order in which days are loaded, the same tables come out.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from edpipeline.errors import NotFound
from edpipeline.landing import drop as landing
from edpipeline.landing.accesses import recorded_accesses
from edpipeline.landing.drop import Delivery
from edpipeline.landing.schools import school_decisions
from edpipeline.landing.store import Store
from edpipeline.loading import accesses, history, schools
from edpipeline.loading.load import Outcome, Progress, Request, load
from edpipeline.loading.options import LoadOptions
from edpipeline.loading.report import SyncReport
from edpipeline.model import ApiPull, Source
from edpipeline.scratch import scratch_folder
from edpipeline.warehouse.engine import Session, Warehouse


@dataclass(frozen=True)
class Sync:
    """The parts a sync of one district and source needs."""

    store: Store
    warehouse: Warehouse
    source: Source
    district_id: str
    options: LoadOptions
    scratch: Path | None = None
    progress: Progress = lambda _: None
    options_on: Callable[[date], LoadOptions] | None = None
    """The options of each delivery day, where they differ (pauses); replayed days keep theirs."""

    def load_day(self, day: date) -> SyncReport:
        """Load what landed for the day, and replay later days; the report of its last delivery.

        Raises `NotFound` where nothing has landed for that day, `Busy` where the warehouse or
        the district is held by another load.
        """
        with self.warehouse.transaction() as session:
            session.lock_district(self.district_id)
            # Only now: what landed while we waited counts too.
            by_day = self._deliveries_by_day(day)
            if day not in by_day:
                raise NotFound(
                    f"nothing has landed for {self.district_id} on {day}: run"
                    f" `edpipeline sync --district {self.district_id}` to fetch it"
                )
            self._mirror_decisions(session)
            synced = history.synced_days(session, self.district_id, self.source.name, day)
            new = self._only_new(session, by_day[day]) if synced <= {day} else []
            if new:
                for delivery in new:
                    sync_id = self._load_one(session, delivery, by_day[day], replay_of=None)
                return history.report_of(session, sync_id)
            if synced:
                rewind(session, self.source, self.district_id, day)
            sync_id = self._load_day(session, by_day[day], replay_of=None)
            for later in sorted(synced & set(by_day) - {day}):
                self._load_day(session, by_day[later], replay_of=day)
            return history.report_of(session, sync_id)

    def rebuild(self) -> list[SyncReport]:
        """Empty the district's tables of this source and load all that landed, day by day."""
        reports = []
        with self.warehouse.transaction() as session:
            session.lock_district(self.district_id)
            self._mirror_decisions(session)
            schools.forget_vendor_schools(session, self.district_id, self.source.name)
            self._mirror_accesses(session)
            for table in self.source.tables:
                session.run(
                    f"delete from {table.full_name} where district_id = $district",
                    district=self.district_id,
                )
            for day, of_day in sorted(self._deliveries_by_day().items()):
                self.progress(f"rebuilding {day}")
                sync_id = self._load_day(session, of_day, replay_of=None)
                reports.append(history.report_of(session, sync_id))
        return reports

    def _deliveries_by_day(self, first: date | None = None) -> dict[date, list[Delivery]]:
        found: dict[date, list[Delivery]] = {}
        for delivery in landing.deliveries(self.store, self.district_id, self.source.name, first):
            found.setdefault(delivery.day, []).append(delivery)
        return found

    def _only_new(self, session: Session, of_day: Sequence[Delivery]) -> list[Delivery]:
        """Uploads that follow those already loaded, each once and in order; none where all of the
        day is to be loaded again."""
        if not self.source.holds_results:
            return []
        loaded = history.drops_of_day(session, self.district_id, self.source.name, of_day[0].day)
        landed = [delivery.drop.drop_id for delivery in of_day]
        return list(of_day[len(loaded) :]) if loaded and loaded == landed[: len(loaded)] else []

    def _load_day(
        self, session: Session, of_day: Sequence[Delivery], replay_of: date | None
    ) -> str:
        """Load one day into tables that are as before it; the sync of its last delivery.

        A day's last delivery of everything counts alone. Where it lacks a file, or holds changes
        only, the deliveries before it on that day are loaded first. Uploads all count.
        """
        start = 0 if self.source.holds_results else len(of_day) - 1
        sync_id = ""
        while start > 0:
            sync_id = self._load_one(session, of_day[start], of_day, replay_of, only_if_whole=True)
            if sync_id:
                start += 1
                break
            start -= 1
        for delivery in of_day[start:]:
            sync_id = self._load_one(session, delivery, of_day, replay_of)
        return sync_id

    def _load_one(
        self,
        session: Session,
        delivery: Delivery,
        of_day: Sequence[Delivery],
        replay_of: date | None,
        *,
        only_if_whole: bool = False,
    ) -> str:
        """Load one delivery and write it down; its sync.

        `only_if_whole` undoes one that does not fill all its tables by itself: then "".
        """
        started = datetime.now(UTC)
        with self._opened(session, delivery, of_day) as (request, paths, scratch):
            outcome = load(session, request, paths, scratch, self.progress)
            if only_if_whole and not outcome.is_whole:
                rewind(session, self.source, self.district_id, delivery.day)
                return ""
            self._show_schools(session, delivery.day, paths)
            entry = history.Entry(
                request=request,
                started_at=started,
                origin=delivery.origin,
                replay_of=replay_of,
                sha256=sha256_by_name(delivery.drop.files),
            )
            history.record(session, entry, outcome)
        return entry.sync_id

    def _show_schools(self, session: Session, day: date, paths: Mapping[str, Path]) -> None:
        """Keep the vendor's list of schools, where the delivery has one."""
        arrives = self.source.arrives
        if isinstance(arrives, ApiPull) and {arrives.schools, arrives.told} <= paths.keys():
            # Other line ends than ours may stand in a school's name.
            lines = paths[arrives.schools].read_text("utf-8").split("\n")
            listed = (json.loads(line) for line in lines if line)
            schools.record_vendor_schools(session, self.district_id, self.source.name, listed, day)

    def _options(self, delivery: Delivery) -> LoadOptions:
        """The district's options of that day, and what was chosen for this delivery."""
        options = self.options_on(delivery.day) if self.options_on else self.options
        return options.with_choices(delivery.choices)

    @contextmanager
    def _opened(
        self, session: Session, delivery: Delivery, of_day: Sequence[Delivery]
    ) -> Iterator[tuple[Request, dict[str, Path], Path]]:
        """What a load needs: the request, local paths by name, and a folder to spool into."""
        request = Request(
            source=self.source,
            options=self._options(delivery),
            district_id=self.district_id,
            day=delivery.day,
            drop_id=delivery.drop.drop_id,
            approvals=history.approvals_of(
                session, self.district_id, self.source.name, delivery, of_day
            ),
            sha256=sha256_by_name(delivery.drop.files),
        )
        with (
            scratch_folder(self.scratch) as scratch,
            landing.open_drop(self.store, delivery.drop) as paths,
        ):
            yield request, paths, scratch

    def _mirror_decisions(self, session: Session) -> None:
        """Decisions live in landing, so that a lost warehouse loses none; schools in the districts
        file."""
        place = (self.district_id, self.source.name)
        history.mirror_approvals(session, *place, landing.approvals(self.store, *place))
        history.mirror_schools(session, *place, self.options.schools)
        if self.source.is_pulled:
            schools.mirror_school_matches(session, *place, school_decisions(self.store, *place))

    def _mirror_accesses(self, session: Session) -> None:
        """Who asked for what of a student lives in landing too."""
        if self.source.is_surveyed:
            place = (self.district_id, self.source.name)
            accesses.mirror(session, *place, recorded_accesses(self.store, *place))


def sha256_by_name(files: Iterable[landing.DropFile]) -> dict[str, str]:
    """Hash of each delivered file."""
    return {file.name: file.sha256 for file in files}


def rewind(session: Session, source: Source, district_id: str, day: date) -> None:
    """Take a district's tables back to before a delivery day."""
    for table in source.tables:
        session.run(
            f"delete from {table.full_name} where district_id = $district and valid_from >= $day",
            district=district_id,
            day=day,
        )
        session.run(
            f"update {table.full_name} set valid_to = null"
            " where district_id = $district and valid_to >= $day",
            district=district_id,
            day=day,
        )


class _Preview(Exception):
    """Carries a preview's outcome out of the transaction that it rolls back."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__("preview")
        self.outcome = outcome


def preview(
    warehouse: Warehouse,
    request: Request,
    paths: Mapping[str, Path],
    scratch: Path,
    progress: Progress = lambda _: None,
) -> Outcome:
    """The outcome that a load would have; the same code path, and nothing is written."""
    try:
        with warehouse.transaction() as session:
            session.lock_district(request.district_id)
            raise _Preview(load(session, request, paths, scratch, progress))
    except _Preview as result:
        return result.outcome
