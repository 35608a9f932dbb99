"""Deliveries are noticed: districts' folders are looked into, and what is complete is asked for.

A file is taken when two looks found it unchanged, together with all files of its set. What was
seen is remembered in the cursor. Looks are frequent while a district's window is open and its
delivery has not come, otherwise rare: most ticks connect to nobody.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256

import dagster as dg

from edpipeline import windows
from edpipeline.errors import Permanent, Transient
from edpipeline.landing import drop as landing
from edpipeline.landing.sftp import list_folder
from edpipeline.landing.stability import LookSettings, RemoteFile, Verdict, files_taken, version
from edpipeline.model import Source
from edpipeline.orchestration.memory import Memory, read_cursor, write_cursor
from edpipeline.orchestration.partitions import DISTRICTS, partition_key
from edpipeline.orchestration.runs import Asked, Wanted, job_name, limit_pools, requests, running
from edpipeline.orchestration.standing import DONE, InUse, districts_in_use, statuses
from edpipeline.orchestration.steps import Job, OpenPipeline
from edpipeline.pipeline import Pipeline, describe

TICK_SECONDS = 30
LOOKS_AT_ONCE = 8
LOOKING_SECONDS = 40
"""Dagster ends a tick after 60 seconds."""
NAMED = 20
"""Districts that a tick tells of; Dagster keeps what every tick says."""
SOON = timedelta(minutes=2)
AFTER_TROUBLE = timedelta(minutes=5)
RARELY = timedelta(minutes=15)

Clock = Callable[[], datetime]


@dataclass(frozen=True)
class Visit:
    """What a look into one district's folder came to."""

    memory: Memory
    note: str = ""
    ready: tuple[RemoteFile, ...] = ()
    """Files to be fetched now."""


def delivery_sensor(
    source: Source,
    job: Job,
    open_pipeline: OpenPipeline,
    patience: LookSettings | None = None,
    clock: Clock = lambda: datetime.now(UTC),
) -> dg.SensorDefinition:
    """The sensor that looks for a source's deliveries."""
    settings = patience or LookSettings(patterns=source.arrives.patterns)

    @dg.sensor(
        name=f"{source.name}_deliveries",
        description=(
            "Looks into every district's SFTP folder. A delivery that is complete and has stopped"
            " growing is asked for while the district's daily window is open."
        ),
        job=job,
        minimum_interval_seconds=TICK_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def deliveries(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        return _Tick(context, source, open_pipeline(), settings, clock()).result()

    return deliveries


@dataclass(frozen=True)
class _Tick:
    """One tick of the sensor."""

    context: dg.SensorEvaluationContext
    source: Source
    pipeline: Pipeline
    patience: LookSettings
    now: datetime
    known: dict[date, Mapping[tuple[str, date], frozenset[str]]] = field(default_factory=dict)
    """What the history says, by the day since which it was asked; asked once in a tick."""

    def result(self) -> dg.SensorResult:
        """Requests, the new cursor and what is to be said.

        Raises `Permanent` where a district's account or landing does not work, on a tick that has
        nothing else to report: the other districts' deliveries come first, and the next tick
        raises.
        """
        limit_pools(self.context.instance, self.pipeline.settings)
        in_use = districts_in_use(self.pipeline, self.source)
        before = read_cursor(self.context.cursor)
        visits = self._visits(self._due(in_use, before), before)
        after = {
            one.id: visits[one.id].memory if one.id in visits else before[one.id]
            for one in in_use
            if one.id in visits or one.id in before
        }
        notes = [f"{name}: {visit.note}" for name, visit in visits.items() if visit.note]
        wanted: list[Wanted] = []
        ready = [one for one in in_use if one.id in visits and visits[one.id].ready]
        at_work = running(self.context.instance, job_name(self.source)) if ready else frozenset()
        for one in ready:
            found, after[one.id], note = self._ask(one, visits[one.id], at_work)
            wanted += found
            notes += [f"{one.id}: {note}"] if note else []
        asked = requests(self.source, wanted)
        new = self._new_partitions(in_use)
        cursor = write_cursor(after)
        troubles = [f"{name}: {memory.trouble}" for name, memory in after.items() if memory.trouble]
        if troubles and not asked and not new and after == before:
            raise Permanent(_few(troubles))
        return dg.SensorResult(
            run_requests=asked,
            skip_reason=None if asked else _few(notes) or self._idle(in_use),
            cursor=cursor,
            dynamic_partitions_requests=[DISTRICTS.build_add_request(new)] if new else [],
        )

    def _new_partitions(self, in_use: Sequence[InUse]) -> list[str]:
        known = set(self.context.instance.get_dynamic_partitions(str(DISTRICTS.name)))
        return [one.id for one in in_use if one.id not in known]

    def _due(self, in_use: Sequence[InUse], before: Mapping[str, Memory]) -> list[InUse]:
        """Districts to look into in this tick, the one waiting longest first."""
        due = [one for one in in_use if self._is_due(one, before.get(one.id))]
        never = datetime.min.replace(tzinfo=UTC)
        return sorted(due, key=lambda one: before[one.id].looked_at if one.id in before else never)

    def _is_due(self, one: InUse, memory: Memory | None) -> bool:
        day = windows.delivery_day(one.window, self.now)
        if one.use.is_paused(day, "sync"):
            return False
        if memory is None:
            return True
        at_work = self._is_open(one) or self._is_open(one, SOON)
        if not at_work or memory.asked_for == day.isoformat():
            pause = RARELY
        elif memory.trouble:
            pause = AFTER_TROUBLE
        else:
            pause = timedelta(seconds=self.patience.min_seconds)
        return self.now - memory.looked_at >= pause

    def _is_open(self, one: InUse, ahead: timedelta = timedelta()) -> bool:
        return windows.state(one.window, self.now + ahead) == "open"

    def _visits(self, due: Sequence[InUse], before: Mapping[str, Memory]) -> dict[str, Visit]:
        """Looks side by side. Those not begun in time come first in the next tick; those not
        over in time wait for their turn, or hosts that hang would take every tick.
        """
        if not due:
            return {}
        # Opened here, so that the threads find it open.
        self.pipeline.store.describe()
        pool = ThreadPoolExecutor(LOOKS_AT_ONCE)
        begun = {one.id: pool.submit(self._visit, one, before.get(one.id)) for one in due}
        finished, _ = wait(begun.values(), timeout=LOOKING_SECONDS)
        pool.shutdown(wait=False, cancel_futures=True)
        return {
            name: look.result() if look in finished else self._unfinished(before.get(name))
            for name, look in begun.items()
            if not look.cancelled()
        }

    def _unfinished(self, memory: Memory | None) -> Visit:
        return Visit(self._looked(memory), "the look into its folder took too long")

    def _looked(self, memory: Memory | None) -> Memory:
        """What was remembered, looked at now."""
        return replace(memory, looked_at=self.now) if memory else Memory(looked_at=self.now)

    def _visit(self, one: InUse, before: Memory | None) -> Visit:
        memory = self._looked(before)
        try:
            files = list_folder(self.pipeline.account(one.id))
            previous = memory.look or self.pipeline.remembered(one.id, self.now)
            finding, look = self.pipeline.judge(one.id, previous, files, self.now, self.patience)
        except Transient as error:
            return Visit(memory, str(error))
        except Permanent as error:
            return Visit(replace(memory, trouble=str(error)), str(error))
        present = frozenset(map(version, files))
        memory = replace(memory, look=look, trouble="", present=present)
        if finding.verdict is Verdict.NOTHING_NEW:
            return Visit(memory)
        if finding.verdict is not Verdict.READY:
            return Visit(memory, describe(finding))
        match windows.state(one.window, self.now):
            case "open":
                return Visit(memory, ready=finding.files)
            case "before":
                return Visit(memory, f"a delivery is complete; {self._when(one)}")
            case _:
                note = f"a delivery came after the window; {self._when(one)}, or now by"
                return Visit(memory, f"{note} `edpipeline sync --district {one.id}`")

    def _when(self, one: InUse) -> str:
        """When a delivery that is there will be taken."""
        return f"it is taken when the window opens {self._opening(one):%Y-%m-%d %H:%M} UTC"

    def _opening(self, one: InUse) -> datetime:
        day = windows.delivery_day(one.window, self.now)
        opens = windows.opens_at(one.window, day)
        return opens if opens > self.now else windows.opens_at(one.window, day + timedelta(days=1))

    def _ask(
        self, one: InUse, visit: Visit, at_work: Collection[str]
    ) -> tuple[list[Wanted], Memory, str]:
        """What is ready, unless the day has had its delivery or is being loaded."""
        day = windows.delivery_day(one.window, self.now)
        memory, files = visit.memory, visit.ready
        if str(partition_key(one.id, day)) in at_work:
            return [], memory, "a delivery of the day is being loaded; this one comes after it"
        try:
            if self._has_had_its_own(one, day, files):
                return [], memory, "another delivery is there, and one a day is taken"
        except Transient as error:
            return [], memory, str(error)
        except Permanent as error:
            return [], replace(memory, trouble=str(error)), str(error)
        digest = sha256(" ".join(sorted(map(version, files))).encode()).hexdigest()[:12]
        wanted = Wanted(one.id, day, digest, Asked(files=files))
        look = memory.look.after_taking(files) if memory.look else None
        return [wanted], replace(memory, look=look, asked_for=day.isoformat()), ""

    def _has_had_its_own(self, one: InUse, day: date, files: Sequence[RemoteFile]) -> bool:
        """Whether this day's delivery is in the tables already.

        One written before the window opened may be yesterday's that came late: it gives way to
        one written inside it.
        """
        landed = landing.deliveries(self.pipeline.store, one.id, self.source.name, day, day)
        if not landed:
            return False
        if day not in self.known:
            self.known[day] = statuses(self.pipeline, self.source, day)
        found = self.known[day].get((one.id, day), frozenset())
        opened = windows.opens_at(one.window, day).timestamp()
        first = max((f.modified_at for f in files_taken([landed[-1].drop])), default=0)
        gives_way = first < opened <= max(file.modified_at for file in files)
        return bool(found & DONE) and not gives_way

    def _idle(self, in_use: Sequence[InUse]) -> str:
        if not in_use:
            return "no district of the districts file uses this source"
        if any(self._is_open(one) for one in in_use):
            return "nothing new"
        first = min(in_use, key=self._opening)
        return f"the next window opens {self._opening(first):%Y-%m-%d %H:%M} UTC ({first.id})"


def _few(notes: Sequence[str]) -> str:
    more = f"; and {len(notes) - NAMED:,} more" if len(notes) > NAMED else ""
    return "; ".join(notes[:NAMED]) + more
