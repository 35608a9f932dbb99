"""The pairs of student and lesson at the start, each at some stage of its test.

One pair is a function of its number; ten thousand take a fraction of a second.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from edpipeline.sandbox.draws import draw
from edpipeline.sandbox.vendors.powerpath_lessons import EDULASTIC, Lesson
from edpipeline.sandbox.vendors.powerpath_providers import (
    FEEDBACK,
    Question,
    Record,
    partial_score,
)

QUESTIONS = 10
"""Questions of a test."""
DAY = 86_400_000
HOUR = 3_600_000
STAGES = (
    "never",  # listed, but never assigned at the tool
    "assigned",
    "started",
    "submitted",
    "unprocessed",  # graded, but a question is open, or MasteryTrack has not processed it
    "graded",  # the next import makes it final
    "exempt",  # at MasteryTrack; at Edulastic it is as if just assigned
    "final",
    "again",  # final, and started anew
)
_MIXED = (
    *("assigned", "assigned", "started", "started", "started", "submitted", "submitted"),
    *("graded", "graded", "graded", "graded", "unprocessed", "exempt", "final", "again", "never"),
)
_PATTERNS = 64


@dataclass(slots=True)
class Attempt:
    """One attempt of a student at a lesson."""

    number: int
    assigned_at: int
    skip: bool = False
    """Whether it was assigned with skipCourseEnrollment."""
    record: Record = field(default_factory=Record)
    stored: tuple[Question, ...] = ()
    """The questions that imports stored."""
    score_status: str = "not submitted"
    finalized: bool = False
    enrollment_failed: bool = False
    completed_at: int | None = None
    answers: dict[str, bytes] = field(default_factory=dict)
    """Prepared answers, until something changes."""


@dataclass(slots=True)
class Pair:
    """A student and a lesson."""

    student: str
    lesson: str
    attempts: list[Attempt] = field(default_factory=list)
    says: dict[str, Any] = field(default_factory=dict)
    """Fields that answers about it have instead of their own."""


@dataclass(slots=True)
class Listed:
    """A test assignment, as it is listed."""

    id: str
    student: str
    lesson: str
    attempt: int
    assigned_at: int
    status: str | None = None
    """Instead of the one that follows from the attempt."""


@lru_cache(maxsize=1024)
def drawn_questions(pattern: int, answered: int, graded: bool) -> tuple[Question, ...]:
    """A test of which so many questions are answered; shared by all pairs of the same pattern."""
    worth = draw(pattern, "question", np.arange(QUESTIONS)) % 8
    return tuple(
        Question(
            f"q{place + 1}",
            place,
            f"Question {place + 1}",
            place < answered,
            (0.0, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)[worth[place]]
            if graded and place < answered
            else None,
            1.0,
            FEEDBACK if graded and place < answered else "",
        )
        for place in range(QUESTIONS)
    )


@lru_cache(maxsize=4096)
def drawn_record(provider: str | None, stage: str, pattern: int) -> Record:
    """What the provider knows of a test at a stage."""
    some = 1 + pattern % (QUESTIONS - 1)
    answered = {"never": 0, "assigned": 0, "exempt": 0, "started": some}.get(stage, QUESTIONS)
    if provider == EDULASTIC:
        if stage == "unprocessed":
            answered = QUESTIONS - 1
        graded = stage in ("started", "graded", "unprocessed")
        grade = {"submitted": "SUBMITTED", "graded": "GRADED", "unprocessed": "GRADED"}
        questions = drawn_questions(pattern, answered, graded)
        return Record(questions, grade=grade.get(stage, "START"))
    questions = drawn_questions(pattern, answered, stage != "submitted") if answered else ()
    status, processed = {
        "started": ("partially graded", None),
        "submitted": ("submitted", None),
        "unprocessed": ("fully graded", False),
        "graded": ("fully graded", True),
        "exempt": ("exempt", True),
    }.get(stage, ("not submitted", None))
    score = partial_score(questions) if questions else None
    return Record(questions, score=score, status=status, processed=processed)


def drawn_pairs(
    students: list[str], lessons: list[Lesson], count: int, stage: str, seed: int, now: int
) -> tuple[dict[tuple[str, str], Pair], list[Listed]]:
    """So many pairs of these students and lessons, and the test assignments of two in three.

    Raises ValueError for a stage that there is not.
    """
    if stage != "mixed" and stage not in STAGES:
        raise ValueError(f"powerpath_stage is mixed or one of {STAGES}")
    numbers = np.arange(count)
    chance = draw(seed, "powerpath pair", numbers)
    ages = (draw(seed, "powerpath age", numbers) % (20 * DAY)).tolist()
    pairs: dict[tuple[str, str], Pair] = {}
    listed = []
    for number, bits in enumerate(chance.tolist()):
        student = students[number % len(students)]
        lesson = lessons[(number + number // len(students)) % len(lessons)]
        at = _MIXED[bits % len(_MIXED)] if stage == "mixed" else stage
        assigned = now - DAY - ages[number]
        pair = Pair(student, lesson.id)
        pair.attempts = _attempts(lesson, at, bits // 16 % _PATTERNS, assigned, bits >> 20)
        pairs[student, lesson.id] = pair
        if number % 3 or at == "never":
            attempt = len(pair.attempts)
            listed.append(Listed(f"TA-{number + 1:06d}", student, lesson.id, attempt, assigned))
    return pairs, listed


def _attempts(lesson: Lesson, stage: str, pattern: int, assigned: int, bits: int) -> list[Attempt]:
    if stage == "never":
        return []
    skip = bits % 3 == 0
    if stage in ("final", "again"):
        record = drawn_record(lesson.provider, "graded", pattern)
        first = Attempt(1, assigned, skip, record, record.questions, "fully graded", True)
        first.completed_at = assigned + 5 * HOUR
        if stage == "final":
            return [first]
        record = drawn_record(lesson.provider, "started", pattern)
        return [first, Attempt(2, assigned + 12 * HOUR, skip, record)]
    return [Attempt(1, assigned, skip, drawn_record(lesson.provider, stage, pattern))]
