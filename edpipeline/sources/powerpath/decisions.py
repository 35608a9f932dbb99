"""What an answer about a pair of student and lesson means, and when the pair is asked about again.

Pure. In this order:

1. `understood`: an answer of `progress` becomes `Progress`, or `NotUnderstood` with the reason.
2. `why_not_import`: whether PowerPath may be asked to store results, which is the only thing that
   writes over there. What is final is never imported.
3. `is_new`: whether the answer says more than what is known.
4. `enrollment_of`: what an import may have done to a student's courses.
5. `standing`: the state of the pair afterwards, and when the next poll is.

Enumerations of the vendor stay open: what is new among them is told, and never guessed at.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

LESSON_TYPES = ("test-out", "placement", "unit-test")
PROVIDERS = ("edulastic", "mastery-track")
NEVER_ENROLLS = "unit-test"
GONE = ("failed", "expired", "cancelled")
"""Statuses of a test assignment after which there is nothing to wait for."""
ENDED = "it is listed as failed, expired or cancelled, or not any more"
AHEAD = ("assigned", "in_progress")
"""Statuses of a test assignment whose attempt is still to come, or under way."""
MOST_SCORE = 100
"""Scores are from 0 to this; others are not held."""
MOST_NOT_FOUND = 3
"""So often in a row there may be no such student or lesson, before people are to look at it."""

State = Literal["open", "final", "stale", "refused", "quarantined", "gone"]
Outcome = Literal[
    "pending",
    "finalized_new",
    "finalized_already",
    "not_assigned",
    "not_found",
    "vendor_error",
    "unknown_provider",
    "unknown_lesson_type",
    "schema_drift",
    "not_polled",
]
Enrollment = Literal["none", "never", "skipped", "possible", "failed"]


@dataclass(frozen=True)
class Rules:
    """What a district allows."""

    allow_side_effects: bool = False
    require_skip_enrollment: bool = False


@dataclass(frozen=True)
class Waits:
    """How long to wait between two polls of a pair, and for how long at all."""

    first: timedelta = timedelta(minutes=15)
    most: timedelta = timedelta(minutes=360)
    stale_after: timedelta = timedelta(days=30)
    refused: timedelta = timedelta(hours=24)


@dataclass(frozen=True)
class Progress:
    """How far a student is with a test: the answer, as far as anything is decided by it."""

    lesson_type: str
    tool_provider: str
    attempt: int
    finalized: bool
    score: float | None = None
    correct: int | None = None
    total: int | None = None
    answered: int = 0
    enrollment_failed: bool | None = None


@dataclass(frozen=True)
class NotUnderstood:
    """An answer of a kind that we do not know."""

    outcome: Outcome
    reason: str
    """In words that hold nothing of the answer but names of fields."""
    lesson_type: str = ""
    tool_provider: str = ""
    attempt: int = 0


@dataclass(frozen=True)
class Failed:
    """No answer that counts: not_assigned, not_found or vendor_error, and why in words."""

    outcome: Outcome
    reason: str


@dataclass(frozen=True)
class Known:
    """What is known of a pair before it is polled."""

    state: State = "open"
    outcome: str = ""
    """Of the last poll, which a pair that is reopened has none of."""
    assignment_status: str = ""
    is_over: bool = False
    """True where the assignment failed, expired or was cancelled: this is the last look."""
    since: datetime | None = None
    """When the test was assigned, else when the pair was first found."""
    failures: int = 0
    last_wait: timedelta | None = None
    """The wait that ended with this poll."""
    attempt: int = 0
    """The highest attempt of which there are results; 0 for none."""
    last: Progress | None = None
    """What was known of the current attempt."""

    @property
    def is_incomplete(self) -> bool:
        """Whether it is open only because what goes with its final attempt could not be read."""
        return self.outcome.startswith("finalized")


@dataclass(frozen=True)
class Standing:
    """How a pair stands after a poll."""

    state: State
    outcome: Outcome
    reason: str
    next_poll_at: datetime | None
    """None where it is not polled again."""
    changed: bool
    """True where the poll brought something new."""
    failures: int


def understood(
    record: Mapping[str, Any], questions: Sequence[Mapping[str, Any]] | None
) -> Progress | NotUnderstood:
    """What an answer of `progress` says, by its landed names.

    `questions` are its questions, None where it has no list of them.
    """
    lesson_type, provider = _text(record, "lesson_type"), _text(record, "tool_provider")
    attempt = _whole(record.get("attempt")) or 0
    if lesson_type and lesson_type not in LESSON_TYPES:
        why = "the lesson is no external test; known are test-out, placement and unit-test"
        return NotUnderstood("unknown_lesson_type", why, lesson_type, provider, attempt)
    if wrong := _wrong_fields(record, questions):
        why = f"the answer is not what PowerPath documents: {', '.join(wrong)}"
        return NotUnderstood("schema_drift", why, lesson_type, provider, attempt)
    if provider not in PROVIDERS:
        why = "the system behind the test is not known; known are edulastic and mastery-track"
        return NotUnderstood("unknown_provider", why, lesson_type, provider, attempt)
    return Progress(
        lesson_type=lesson_type,
        tool_provider=provider,
        attempt=attempt,
        finalized=record["finalized"],
        score=_within(record.get("score"), MOST_SCORE),
        correct=_whole(record.get("correct_questions")),
        total=_whole(record.get("total_questions")),
        answered=sum(question.get("answered") is True for question in questions or ()),
        enrollment_failed=record.get("enrollment_failed"),
    )


def why_not_import(progress: Progress, rules: Rules, skip_enrollment: bool | None) -> str:
    """Why results may not be imported, in words; "" where they may.

    `skip_enrollment` is True where it is known that the import enrolls nobody.
    """
    if progress.finalized:
        return "the attempt is final"
    if not rules.allow_side_effects:
        return "nothing is imported, because allow_side_effects is not set"
    never_enrolls = progress.lesson_type == NEVER_ENROLLS or skip_enrollment is True
    if rules.require_skip_enrollment and not never_enrolls:
        return (
            "nothing is imported, because require_skip_enrollment is set and nobody has said that"
            " this assignment skips enrollment"
        )
    return ""


def is_new(before: Progress | None, now: Progress) -> bool:
    """Whether an answer says something that was not known."""
    if before is None or before.attempt != now.attempt:
        return True
    told = ("finalized", "score", "correct", "answered", "enrollment_failed")
    return any(getattr(before, name) != getattr(now, name) for name in told)


def enrollment_of(progress: Progress, imported: bool, skip_enrollment: bool | None) -> Enrollment:
    """What is known of an enrollment by imports, after a poll that `imported`, or may have."""
    if not progress.finalized:
        return "none"
    if progress.lesson_type == NEVER_ENROLLS:
        return "never" if imported else "none"
    if progress.enrollment_failed:
        return "failed"
    if not imported:
        return "none"
    return "skipped" if skip_enrollment else "possible"


def standing(
    known: Known,
    told: Progress | NotUnderstood | Failed,
    now: datetime,
    waits: Waits,
    refusal: Failed | None = None,
) -> Standing:
    """How a pair stands after a poll that told so; `refusal` is what became of an import."""
    match told:
        case Progress():
            found = _after_progress(known, told, now, waits, refusal)
        case NotUnderstood():
            is_other = told.outcome == "unknown_lesson_type"
            state: State = "refused" if is_other else "quarantined"
            after = None if is_other else now + waits.refused
            found = Standing(state, told.outcome, told.reason, after, False, known.failures + 1)
        case Failed():
            failures = known.failures + 1
            lost = told.outcome == "not_found"
            state = "quarantined" if lost and failures >= MOST_NOT_FOUND else "open"
            wait = waits.refused if lost else next_wait(known.last_wait, False, waits)
            found = Standing(state, told.outcome, told.reason, now + wait, False, failures)
    return _unless_over(_unless_stale(found, known, now, waits), known)


def _after_progress(
    known: Known, told: Progress, now: datetime, waits: Waits, refusal: Failed | None
) -> Standing:
    changed = is_new(known.last, told)
    held = known.last is not None and not changed and known.last.finalized
    # Else an open pair whose final attempt is held has been assigned anew.
    is_to_come = held and known.assignment_status in AHEAD and not known.is_incomplete
    if told.finalized and not is_to_come:
        outcome: Outcome = "finalized_already" if held else "finalized_new"
        return Standing("final", outcome, "", None, changed, 0)
    failed = refusal or Failed("pending", "a new attempt is assigned" if is_to_come else "")
    after = now + next_wait(known.last_wait, changed, waits)
    return Standing("open", failed.outcome, failed.reason, after, changed, 0)


def _unless_stale(found: Standing, known: Known, now: datetime, waits: Waits) -> Standing:
    if found.next_poll_at is None or not is_stale(known.since, now, waits):
        return found
    days = f"{waits.stale_after / timedelta(days=1):g}"
    why = f"not final {days} days after it was assigned or found" + "; " * bool(found.reason)
    return Standing("stale", found.outcome, why + found.reason, None, found.changed, found.failures)


def needs_all(known: Known, told: Progress) -> bool:
    """Whether times and earlier attempts are to be read as well, which cost requests."""
    return is_new(known.last, told) or told.finalized or known.outcome == "vendor_error"


def incomplete(found: Standing, known: Known, now: datetime, waits: Waits) -> Standing:
    """How a pair stands of which times or an earlier attempt could not be read just now.

    Also a final one is asked about again, until its waits have become the longest.
    """
    why = "times or an earlier attempt could not be read"
    last = known.last_wait if known.is_incomplete else None
    if found.state == "final" and (last is None or last < waits.most):
        again = now + next_wait(last, found.changed, waits)
        return replace(found, state="open", reason=f"it is final; {why}", next_poll_at=again)
    if found.outcome == "pending" and found.state == "open":
        failures = known.failures + 1
        return replace(found, outcome="vendor_error", reason=why, failures=failures)
    return found


def _unless_over(found: Standing, known: Known) -> Standing:
    """A test that ended without becoming final is not asked about again, once that was heard."""
    if not known.is_over or found.state != "open" or found.outcome == "vendor_error":
        return found
    return replace(found, state="gone", reason=ENDED, next_poll_at=None)


def is_stale(since: datetime | None, now: datetime, waits: Waits) -> bool:
    """Whether a pair that is not final is given up."""
    return since is not None and now - since >= waits.stale_after


def next_wait(last: timedelta | None, changed: bool, waits: Waits) -> timedelta:
    """The wait until the next poll: the first one after something new, else twice the last."""
    doubled = waits.first if changed or last is None else max(waits.first, 2 * last)
    return min(doubled, waits.most)


def _wrong_fields(
    record: Mapping[str, Any], questions: Sequence[Mapping[str, Any]] | None
) -> list[str]:
    """The fields without which, or with whose kind of value, nothing can be said."""
    numbers = ("score", "accuracy", "xp", "multiplier")
    counts = ("attempt", "correct_questions", "total_questions")
    wrong = [name for name in ("lesson_type",) if not _text(record, name)]
    wrong += [name for name in ("finalized",) if not isinstance(record.get(name), bool)]
    wrong += [name for name in numbers if not _is_number(record.get(name, 0))]
    wrong += [
        name for name in counts if record.get(name) is not None and not _is_count(record[name])
    ]
    provider = record.get("tool_provider")
    wrong += ["tool_provider"] if not isinstance(provider, str | None) else []
    failed = record.get("enrollment_failed")
    wrong += ["enrollment_failed"] if not isinstance(failed, bool | None) else []
    if questions is None or not (all(map(_is_question, questions)) and _are_apart(questions)):
        wrong.append("questions")
    return wrong


def _are_apart(questions: Sequence[Mapping[str, Any]]) -> bool:
    """Whether no two of them say different things of one question; a table holds neither."""
    of_id: dict[str, Mapping[str, Any]] = {}
    return all(of_id.setdefault(one["question_id"].strip(), one) == one for one in questions)


def _is_question(question: Mapping[str, Any]) -> bool:
    named = _text(question, "question_id").strip() != ""
    return (
        named
        and isinstance(question.get("correct"), bool | None)
        and _is_number(question.get("score"))
    )


def _is_number(value: object) -> bool:
    if value is None:
        return True
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value)  # type: ignore[arg-type]


def _within(value: float | None, most: float) -> float | None:
    return value if value is not None and 0 <= value <= most else None


def _is_count(value: object) -> bool:
    return _is_number(value) and float(value) >= 0 and float(value).is_integer()  # type: ignore[arg-type]


def _whole(value: object) -> int | None:
    return int(value) if value is not None and _is_count(value) else None  # type: ignore[call-overload]


def _text(record: Mapping[str, Any], name: str) -> str:
    value = record.get(name)
    return value if isinstance(value, str) else ""
