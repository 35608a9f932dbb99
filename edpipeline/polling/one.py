"""One pair of student and lesson: progress is read, results are imported where that is allowed and
needed, progress is read again, and what came of it is told.

Reading changes nothing over there. An import is never repeated before progress has been read.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import msgspec

from edpipeline.errors import (
    BadCredentials,
    EdpipelineError,
    Garbled,
    NotFound,
    Refused,
    Transient,
)
from edpipeline.landing.http import Client
from edpipeline.landing.looked import Looked
from edpipeline.polling import rows
from edpipeline.polling.look import Seen, look, shortly
from edpipeline.polling.pairs import Pair
from edpipeline.polling.rows import TIMED, Call, Row
from edpipeline.sources.powerpath import decisions
from edpipeline.sources.powerpath.decisions import (
    Failed,
    NotUnderstood,
    Progress,
    Rules,
    Standing,
    Waits,
)

MOST_IMPORTS = 2
"""Of a pair in one run: one, and one more where it is sure that the first was not carried out."""


@dataclass(frozen=True)
class Task:
    """What holds for every pair of a run."""

    rules: Rules
    waits: Waits
    now: Callable[[], datetime]
    """The time in UTC, without a zone."""
    by: str
    stopped: Callable[[], bool]
    """Whether the run is to ask nothing more."""


@dataclass(frozen=True)
class Polled:
    """What came of one pair."""

    pair: Pair = field(repr=False)
    standing: Standing
    row: Mapping[str, Any] = field(repr=False)
    """The pair's row as it is now."""
    rows: Mapping[str, list[Row]] = field(repr=False)
    """Rows of the other tables."""
    calls: tuple[Call, ...] = field(default=(), repr=False)
    unknown: Mapping[str, str] = field(default_factory=dict)
    trouble: EdpipelineError | None = None
    """What ends the run, though something was done before it."""


def may_import(seen: Seen, rules: Rules) -> bool:
    """Whether results of the pair are to be imported."""
    skips = seen.pair.row["skip_enrollment"]
    if seen.pair.known.is_over:
        return False
    return isinstance(seen.told, Progress) and not decisions.why_not_import(seen.told, rules, skips)


def finish(client: Client, seen: Seen, task: Task, call_id: str) -> Polled:
    """Import where `call_id` names the call, read what else is needed, and tell how it stands."""
    work = _Work(client, seen, task)
    if call_id and isinstance(seen.told, Progress):
        work.import_results(seen.told, call_id)
    return work.polled()


def settle(client: Client, seen: Seen, task: Task, call: Call) -> Polled:
    """Tell how a pair stands whose results were imported, perhaps, by a run that ended."""
    work = _Work(client, seen, task)
    work.calls.append(call)
    work.imported = True
    return work.polled()


class _Work:
    """One pair on its way. Trouble after an import was made is kept, not raised."""

    def __init__(self, client: Client, seen: Seen, task: Task) -> None:
        self.client, self.seen, self.task, self.pair = client, seen, task, seen.pair
        self.lesson_type = getattr(seen.told, "lesson_type", "")
        self.calls: list[Call] = []
        self.imported = self.may_be_lost = False
        self.refusal: Failed | None = None
        self.trouble: EdpipelineError | None = None
        self.lacks = False
        """True where times or an earlier attempt could not be read, and may be later."""
        self.rows: dict[str, list[Row]] = {}

    def import_results(self, before: Progress, call_id: str) -> None:
        """Import, and read progress; once more where the first import came to nothing."""
        for number in range(1, MOST_IMPORTS + 1):
            again = "" if number == 1 else "-again"
            call = self._call(before, f"{call_id}{again}")
            self.calls.append(call)
            if self.trouble is None:
                self._look_again()
            told = self.seen.told
            self.imported |= call.outcome != "refused"
            came_to_nothing = isinstance(told, Progress) and not decisions.is_new(before, told)
            # Without an answer it may still be under way over there: the next poll tells.
            if not (call.http_status and self.may_be_lost and came_to_nothing) or self._ends():
                break

    def _call(self, before: Progress, call_id: str) -> Call:
        row, began = self.pair.row, self.task.now()
        call = Call(call_id, began, self.task.by, "answered", before.attempt)
        asked = {"student_id": row["student_id"], "lesson_id": row["lesson_id"]}
        try:
            answer = self.client.look_up("import_results", asked)
        except EdpipelineError as error:
            # An answer that is no JSON was an answer: what it did, progress tells.
            is_failure = not isinstance(error, Refused | NotFound | BadCredentials)
            self.may_be_lost = isinstance(error, Transient)
            if not isinstance(error, Transient | Garbled | Refused | NotFound):
                self.trouble = error
            what = f"PowerPath answered {error.status}" if error.status else shortly(error)
            outcome: decisions.Outcome = "vendor_error" if is_failure else "not_assigned"
            self.refusal = Failed(outcome, f"{what} to the import" if error.status else what)
            return replace(
                call,
                outcome="failed" if is_failure else "refused",
                http_status=error.status,
                request_id=error.request_id,
                seconds=(self.task.now() - began).total_seconds(),
            )
        self.refusal, self.may_be_lost = None, False
        return replace(
            call,
            http_status=answer.status,
            request_id=answer.request_id,
            seconds=answer.seconds,
            answer=answer,
        )

    def _look_again(self) -> None:
        try:
            self.seen = look(self.client, self.pair)
        except EdpipelineError as error:
            why = "progress could not be read after the import"
            self.seen, self.trouble = Seen(self.pair, Failed("vendor_error", why)), error

    def polled(self) -> Polled:
        """How the pair stands, and the rows that tell of it."""
        told, known, now = self.seen.told, self.pair.known, self.task.now()
        standing = decisions.standing(known, told, now, self.task.waits, self.refusal)
        if isinstance(told, Progress):
            self._keep_results(told)
            if self.lacks:
                standing = decisions.incomplete(standing, known, now, self.task.waits)
        elif isinstance(told, NotUnderstood):
            row = rows.quarantine_row(self.pair, told, self.seen.looked, now)
            self.rows["quarantine"] = [row]
        enrollment = self._enrollment()
        if self.calls:
            after = told if isinstance(told, Progress) else None
            self.calls[-1] = rows.ended(self.calls[-1], after, enrollment)
            self.rows["import_calls"] = [call.row(self.pair) for call in self.calls]
        return Polled(
            pair=self.pair,
            standing=standing,
            row=self._row(standing, enrollment, now),
            rows=self.rows,
            calls=tuple(self.calls),
            unknown=self.seen.looked.unknown if self.seen.looked else {},
            trouble=self.trouble,
        )

    def _enrollment(self) -> str:
        """What imports of this run, or of one that could not say, may have done."""
        told, skips = self.seen.told, self.pair.row["skip_enrollment"]
        if isinstance(told, Progress):
            was_unsure = told.attempt in self.pair.unsure_attempts
            return decisions.enrollment_of(told, self.imported or was_unsure, skips)
        answer = self.calls[-1].answer if self.calls else None
        if not self.imported or (answer and answer.value("finalized") is False):
            return "none"
        if self.lesson_type == decisions.NEVER_ENROLLS:
            return "never"
        return "skipped" if skips else "possible"

    def _row(self, standing: Standing, enrollment: str, now: datetime) -> dict[str, Any]:
        told, before = self.seen.told, self.pair.row
        row = {
            **before,
            "state": standing.state,
            "outcome": standing.outcome,
            "reason": standing.reason or self._why_not(told) or None,
            "polled_at": now,
            "polls": (before["polls"] or 0) + 1,
            "failures": standing.failures,
            "next_poll_at": standing.next_poll_at,
        }
        is_same = True
        if not isinstance(told, Failed):
            row["lesson_type"] = told.lesson_type or before["lesson_type"]
            row["tool_provider"] = told.tool_provider or before["tool_provider"]
        if isinstance(told, Progress):
            # What is not final has enrolled nobody, whatever was feared.
            is_same = told.finalized and before["attempt"] in (None, told.attempt)
            row["attempt"] = told.attempt
        if standing.changed:
            row["changed_at"] = now
        if enrollment != "none" or not is_same:
            row["enrollment"] = enrollment
        return row

    def _why_not(self, told: Progress | NotUnderstood | Failed) -> str:
        """Why results of a pair that is open are not imported."""
        if not isinstance(told, Progress) or told.finalized or self.calls:
            return ""
        skips = self.pair.row["skip_enrollment"]
        return decisions.why_not_import(told, self.task.rules, skips)

    def _keep_results(self, told: Progress) -> None:
        """The rows of the current attempt, and of earlier ones that are not held as final."""
        assert self.seen.looked is not None  # there is no progress without an answer
        needs_all = decisions.needs_all(self.pair.known, told)
        times = self._times() if needs_all else {}
        before = self.pair.latest if self.pair.known.attempt == told.attempt else None
        own = times.get(told.attempt) or {name: (before or {}).get(name) for name in TIMED}
        self._keep(told, self.seen.looked, own)
        earlier = set(range(1, told.attempt)) - self.pair.final_attempts if needs_all else set()
        for attempt in sorted(earlier):
            # Without its times, a result that is known would lose those it has.
            if not self.lacks:
                seen = self._guarded(lambda n=attempt: look(self.client, self.pair, str(n)))  # type: ignore[misc]
                self._keep_earlier(seen, attempt, times)

    def _keep_earlier(
        self, seen: Seen | None, attempt: int, times: Mapping[int, Mapping[str, Any]]
    ) -> None:
        is_it = seen and isinstance(seen.told, Progress) and seen.told.attempt == attempt
        if seen and is_it and seen.looked:
            assert isinstance(seen.told, Progress)
            self._keep(seen.told, seen.looked, times.get(attempt, {}))
        self.lacks |= seen is not None and getattr(seen.told, "outcome", "") == "vendor_error"

    def _keep(self, told: Progress, looked: Looked, times: Mapping[str, Any]) -> None:
        result, questions = rows.result_rows(self.pair, told, looked, times)
        self.rows.setdefault("results", []).append(result)
        self.rows.setdefault("question_results", []).extend(questions)

    def _times(self) -> dict[int, Mapping[str, Any]]:
        """Score status and times by attempt, where PowerPath says them."""
        asked = {"student_id": self.pair.student_id, "lesson_id": self.pair.lesson_id}
        looked = self._guarded(lambda: self.client.look_up("attempts", asked))
        listed = looked.children.get("attempts", ()) if looked else ()
        return {_number(each): each for each in listed}

    def _guarded(self, ask: Callable[[], Any]) -> Any:
        """What is asked beside the matter: where it cannot be had, the rest counts all the same."""
        if self._ends():
            self.lacks = True
            return None
        try:
            return ask()
        except (Refused, NotFound, Garbled):
            return None
        except Transient:
            self.lacks = True
        except EdpipelineError as error:
            self.trouble, self.lacks = error, True
        return None

    def _ends(self) -> bool:
        return self.trouble is not None or self.task.stopped()


def _number(attempt: Mapping[str, Any]) -> int:
    raw = attempt.get("attempt")
    value = msgspec.json.decode(raw) if raw is not None else None
    return int(value) if isinstance(value, int | float) else 0
