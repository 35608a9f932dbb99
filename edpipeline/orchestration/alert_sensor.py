"""Telling people: one message for each sync that went wrong, however it was begun, and no other.

The cursor remembers for each target what it was told. It moves on when the target has taken the
message: what was not sent is sent by a later tick, and what was sent is not sent again. Where much
goes wrong at once it is gathered into one message.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from edpipeline.alerting import Message, Sent, Target, send, targets
from edpipeline.errors import EdpipelineError, Transient
from edpipeline.orchestration.alerts import Incident, Place, digest_of, message_of
from edpipeline.orchestration.incidents import (
    FAILED_BY,
    RECENT,
    SETTLED,
    IsOurs,
    of_history,
    of_runs,
    with_drops,
)
from edpipeline.orchestration.steps import OpenPipeline
from edpipeline.pipeline import Pipeline

TICK_SECONDS = 60
WAIT_FOR_WAREHOUSE = 5.0
"""Seconds; a tick that waited longer would be ended by Dagster."""
AT_MOST = timedelta(hours=6)
"""What one tick catches up with, after nobody was looking."""
SINGLE = 5
"""Messages to a target within `AN_HOUR` that are about one sync each; what is more is gathered."""
AN_HOUR = timedelta(hours=1)
GATHERED = timedelta(minutes=15)
"""Between messages that gather many."""
FORMAT = 1

Sender = Callable[[Target, Sequence[Message]], Sent]
Clock = Callable[[], datetime]


@dataclass(frozen=True)
class Memory:
    """What is remembered of one target."""

    since: datetime
    """Everything before has been told."""
    told: Mapping[str, tuple[str, ...]]
    """Digests of incidents, by the day on which they were told."""
    singles: tuple[datetime, ...] = ()
    """When it was told of one sync alone, lately."""
    gathered: datetime | None = None
    """When it was told of many at once."""

    def has(self, *key: object) -> bool:
        """Whether an incident was told."""
        return any(_digest(key) in digests for digests in self.told.values())


def alert_sensor(
    open_pipeline: OpenPipeline,
    sender: Sender = send,
    clock: Clock = lambda: datetime.now(UTC),
) -> dg.SensorDefinition:
    """The sensor that tells people."""

    @dg.sensor(
        name="alerts",
        description=(
            "Tells whom EDPIPELINE_ALERTS names, by mail, chat or otherwise: one message for each"
            " sync that failed, waits for approval, is late, missed or poorly matched, or whose"
            " checks did not pass; one for many where much goes wrong at once."
        ),
        minimum_interval_seconds=TICK_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def alerts(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        pipeline = open_pipeline()
        to = targets(pipeline.settings.alerts)
        if not to:
            why = "nobody is told: EDPIPELINE_ALERTS is not set"
            return dg.SensorResult(skip_reason=why, cursor=context.cursor)
        return _Tick(context, pipeline, to, sender, clock()).result()

    return alerts


@dataclass(frozen=True)
class _Told:
    """What came of telling one target."""

    memory: Memory
    """What it knows now."""
    sent: Sent
    waiting: int = 0
    """Incidents that are told together, later."""


@dataclass(frozen=True)
class _Tick:
    """One tick of the sensor."""

    context: dg.SensorEvaluationContext
    pipeline: Pipeline
    to: Sequence[Target]
    sender: Sender
    now: datetime

    def result(self) -> dg.SensorResult:
        """The new cursor, and what came of it.

        Raises Transient where no target took anything, or the history could not be read, and there
        is nothing to remember: it is seen in Dagster, and the next tick tries again.
        """
        before = read_cursor(self.context.cursor)
        if not before:
            return self._begun()
        # A target that is new begins where the others are.
        furthest = max(before.values(), key=lambda memory: memory.since)
        memories = {each.name: before.get(each.name, furthest) for each in self.to}
        found = {since: self._since(since) for since in {m.since for m in memories.values()}}
        with ThreadPoolExecutor(len(self.to)) as pool:
            told = dict(
                zip(
                    memories,
                    pool.map(lambda each: self._tell(each, memories[each.name], found), self.to),
                    strict=True,
                )
            )
        unsent = [each.sent.trouble for each in told.values() if each.sent.trouble]
        after = {each.name: self._tell_of(unsent, each, told[each.name]) for each in self.to}
        count = sum(each.sent.count for each in told.values())
        said = "; ".join([*unsent, *(trouble for _, trouble in found.values() if trouble)])
        if said and not count and after == before:
            raise Transient(said)
        waiting = sum(each.waiting for each in told.values())
        notes = [f"{count} messages were sent" if count else "nothing to tell"]
        notes += [f"{waiting} incidents wait to be told together"] if waiting else []
        notes += [said] if said else []
        return dg.SensorResult(skip_reason="; ".join(notes), cursor=write_cursor(after))

    def _begun(self) -> dg.SensorResult:
        """The first tick: what went wrong before nobody is told."""
        known, trouble = self._since(self.now, timedelta())
        if trouble:
            raise Transient(trouble)
        memory = self._told(Memory(self.now, {}), [known])
        return dg.SensorResult(
            skip_reason="what goes wrong from now on is told",
            cursor=write_cursor({each.name: memory for each in self.to}),
        )

    def _since(self, since: datetime, settled: timedelta = SETTLED) -> tuple[list[Incident], str]:
        """What went wrong since, and why not all of it could be read."""
        # Runs first: what they loaded stands in the history by then.
        until = self._until(since)
        found = of_runs(self.context.instance, since, until, _of_location(self.context))
        patient = {"lock_seconds": WAIT_FOR_WAREHOUSE}
        pipeline = Pipeline(self.pipeline.settings.model_copy(update=patient))
        try:
            found = of_history(pipeline, since, self.now - settled) + found
            return with_drops(pipeline, found, since), ""
        except EdpipelineError as error:
            return found, str(error)

    def _until(self, since: datetime) -> datetime:
        return min(self.now, since + AT_MOST)

    def _tell(
        self,
        target: Target,
        memory: Memory,
        found: Mapping[datetime, tuple[list[Incident], str]],
    ) -> "_Told":
        incidents, unread = found[memory.since]
        groups = _untold(incidents, memory)
        lately = tuple(at for at in memory.singles if self.now - at < AN_HOUR)
        gather = len(groups) > 1 and len(lately) + len(groups) > SINGLE
        gather = gather or len(lately) >= SINGLE
        if groups and gather and memory.gathered and self.now - memory.gathered < GATHERED:
            return _Told(memory, Sent(0), sum(map(len, groups)))
        if groups and gather:
            everything = [incident for group in groups for incident in group]
            messages = [digest_of(everything) if len(groups) > 1 else message_of(everything)]
            groups = [everything]
        else:
            messages = [message_of(group) for group in groups]
        sent = self.sender(target, messages) if messages else Sent(0)
        known = self._told(memory, groups[: sent.count])
        if sent.count and gather:
            known = replace(known, gathered=self.now)
        elif sent.count:
            known = replace(known, singles=(*lately, *[self.now] * sent.count))
        if sent.count == len(messages) and not unread:
            known = replace(known, since=self._until(memory.since))
        return _Told(known, sent)

    def _tell_of(self, unsent: Sequence[str], target: Target, told: "_Told") -> Memory:
        """What a target remembers that was also told, once a day, which others do not work."""
        today, memory = self.now.date(), told.memory
        if not unsent or told.sent.trouble or memory.has("unsent", today):
            return memory
        text = "What it was not told, it is told when it works again."
        body = "\n\n".join([*unsent, text, "What to do: `edpipeline alerts --test`."])
        message = Message("edpipeline: alerts do not reach everybody", body)
        if not self.sender(target, [message]).count:
            return memory
        return self._remembered(memory, [("unsent", today)])

    def _told(self, memory: Memory, groups: Sequence[Sequence[Incident]]) -> Memory:
        return self._remembered(
            memory, [key for group in groups for one in group for key in _keys(one)]
        )

    def _remembered(self, memory: Memory, keys: Sequence[tuple[object, ...]]) -> Memory:
        oldest, today = str((self.now - RECENT).date()), str(self.now.date())
        told = {day: digests for day, digests in memory.told.items() if day >= oldest}
        new = set(map(_digest, keys))
        if new:
            told[today] = tuple(sorted({*told.get(today, ()), *new}))
        return replace(memory, told=told)


def _untold(incidents: Sequence[Incident], memory: Memory) -> list[list[Incident]]:
    """Incidents that were not told, those of one sync together."""
    groups: dict[Place, list[Incident]] = {}
    seen: set[tuple[object, ...]] = set()
    for one in incidents:
        keys = _keys(one)
        is_same = one.kind == "failed" and any(
            (*one.place, kind) in seen or memory.has(*one.place, kind) for kind in FAILED_BY
        )
        if is_same or keys[-1] in seen or memory.has(*keys[-1]):
            continue
        seen.update(keys)
        groups.setdefault(one.place, []).append(one)
    return list(groups.values())


def _keys(incident: Incident) -> list[tuple[object, ...]]:
    """What an incident is known by: its sync and kind, and the drop where the history told it;
    where it is of no day, what it says."""
    key = (*incident.place, incident.kind)
    if incident.day is None:
        return [(*key, incident.text)]
    return [key, (*key, incident.drop)] if incident.drop else [key]


def _digest(key: Sequence[object]) -> str:
    return hashlib.sha256("|".join(map(str, key)).encode()).hexdigest()[:10]


def _of_location(context: dg.SensorEvaluationContext) -> IsOurs:
    """Whether a run is of this code location: others tell of their own."""
    ours = context.code_location_origin.location_name if context.code_location_origin else None

    def is_ours(run: dg.DagsterRun) -> bool:
        origin = run.remote_job_origin
        location = origin.repository_origin.code_location_origin.location_name if origin else None
        return None in (ours, location) or ours == location

    return is_ours


def read_cursor(cursor: str | None) -> dict[str, Memory]:
    """Memories by target; none where there is no cursor, or one of another format."""
    data = json.loads(cursor or "{}")
    if data.get("format") != FORMAT:
        return {}
    return {name: _memory(one) for name, one in data["targets"].items()}


def write_cursor(memories: Mapping[str, Memory]) -> str:
    """The cursor that `read_cursor` reads."""
    plain = {
        name: {
            "since": memory.since.isoformat(),
            "told": dict(memory.told),
            "singles": [at.isoformat() for at in memory.singles],
            "gathered": memory.gathered.isoformat() if memory.gathered else None,
        }
        for name, memory in sorted(memories.items())
    }
    return json.dumps({"format": FORMAT, "targets": plain}, separators=(",", ":"))


def _memory(data: Mapping[str, Any]) -> Memory:
    return Memory(
        datetime.fromisoformat(data["since"]),
        {day: tuple(digests) for day, digests in data["told"].items()},
        tuple(map(datetime.fromisoformat, data["singles"])),
        datetime.fromisoformat(data["gathered"]) if data["gathered"] else None,
    )
