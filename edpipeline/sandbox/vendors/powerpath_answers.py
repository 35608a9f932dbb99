"""What PowerPath answers about one student: import, progress, attempts, assignment, placement.

Secrets and whatever must not be kept contain CANARY-: accounts at the tools, links, test items,
students' answers, and fields that no edition knows.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import msgspec

from edpipeline.sandbox.vendors.powerpath_lessons import EDULASTIC, MASTERY_TRACK, Lesson
from edpipeline.sandbox.vendors.powerpath_pairs import HOUR, Attempt, Pair
from edpipeline.sandbox.vendors.powerpath_providers import Question
from edpipeline.sandbox.vendors.powerpath_tests import score_of, score_status_of
from edpipeline.sandbox.vendors.world import CANARY, VendorWorld

OLD, NEW = "2025-06", "2026-07"
_PASSED = 90
_DIFFICULTIES = ("easy", "medium", "hard")
_encode = msgspec.json.Encoder().encode

Json = dict[str, Any]


def moment(milliseconds: int | None) -> str | None:
    """`2026-09-14T16:03:22.123Z`."""
    if milliseconds is None:
        return None
    text = datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def student_email(student: str) -> str:
    """The student's account."""
    return f"{CANARY}{student}@accounts.example"


def account(pair: Pair) -> Json:
    """What lets the student into the test."""
    return {
        "credentials": {
            "email": student_email(pair.student),
            "password": f"{CANARY}password-{pair.student}",
        },
        "testUrl": f"https://tests.example/start?ticket={CANARY}ticket-{pair.student}",
    }


def _tool_ids(lesson: Lesson, pair: Pair, attempt: Attempt) -> Json:
    """The ids at the tool: Edulastic's have 24 hexadecimal digits, MasteryTrack's are numbers."""
    key = blake2b(f"{pair.student} {pair.lesson} {attempt.number}".encode(), digest_size=12)
    if lesson.provider == MASTERY_TRACK:
        number = str(int(key.hexdigest()[:8], 16))
        return {"assignmentId": number, "testId": number}
    group = blake2b(pair.lesson.encode(), digest_size=12)
    return {"assignmentId": key.hexdigest(), "classId": group.hexdigest(), "testId": lesson.id}


def _tool(world: VendorWorld, lesson: Lesson, pair: Pair, attempt: Attempt) -> Json:
    told: Json = {}
    if not world.powerpath_minimal:
        told = {**account(pair), **_tool_ids(lesson, pair, attempt)}
    if world.powerpath_edition == OLD:
        told |= {"courseIdOnFail": lesson.course_on_fail, "hasFallbackCourse": False}
    if world.powerpath_extras:
        told["proctor"] = {"session": f"{CANARY}proctor"}
    return told


def _said(answer: Json, pair: Pair) -> bytes:
    """The answer, with what the pair says instead."""
    return _encode({name: pair.says.get(name, value) for name, value in answer.items()})


def imported(world: VendorWorld, lesson: Lesson, pair: Pair) -> bytes:
    """The answer to an import, about the current attempt."""
    attempt = pair.attempts[-1]
    answer = {
        "lessonType": lesson.lesson_type,
        "lessonId": lesson.id,
        "toolProvider": lesson.provider,
        "finalized": attempt.finalized,
        "attempt": attempt.number,
        **_tool(world, lesson, pair, attempt),
    }
    return _said(answer, pair)


def made(world: VendorWorld, lesson: Lesson, pair: Pair) -> bytes:
    """The answer to an assignment."""
    attempt = pair.attempts[-1]
    answer = {
        "toolProvider": lesson.provider,
        "lessonType": lesson.lesson_type,
        "attempt": attempt.number,
        **_tool(world, lesson, pair, attempt),
    }
    return _said(answer, pair)


def test_out(world: VendorWorld, lesson: Lesson | None, pair: Pair | None) -> bytes:
    """A student's test-out of a course, which may have none."""
    current = pair.attempts[-1] if pair and pair.attempts else None
    answer = {
        "lessonType": "test-out",
        "lessonId": lesson.id if lesson else None,
        "toolProvider": lesson.provider if lesson else None,
        "finalized": bool(current and current.finalized),
        "attempt": current.number if current else 0,
    }
    if not (lesson and pair and current):
        return _encode(answer)
    return _said({**answer, **_tool(world, lesson, pair, current)}, pair)


def progress(
    world: VendorWorld, lesson: Lesson, pair: Pair | None, attempt: Attempt | None
) -> bytes:
    """How far the attempt is; attempt 0 before the first one."""
    known = pair or Pair("", lesson.id)
    attempt = attempt or Attempt(0, 0)
    if (prepared := attempt.answers.get("progress")) is None:
        score = score_of(lesson, attempt)
        form = (world.powerpath_edition, world.powerpath_extras, world.powerpath_minimal)
        right = _correct_questions(lesson.provider, attempt.stored)
        counts = {
            "attempt": attempt.number,
            **_experience(attempt, score),
            "accuracy": _accuracy(lesson, attempt, score, right),
            "correctQuestions": right,
            "totalQuestions": len(attempt.stored),
        }
        questions = msgspec.Raw(_questions(lesson.provider, attempt.stored, *form))
        if lesson.lesson_type == "powerpath-100":
            answer = {
                "lessonType": lesson.lesson_type,
                "remainingQuestionsPerDifficulty": {"easy": 3, "medium": 2, "hard": 1},
                "score": score or 0,
                "seenQuestions": questions,
                **counts,
            }
        else:
            answer = {
                "lessonType": lesson.lesson_type,
                "finalized": attempt.finalized,
                "questions": questions,
                "toolProvider": lesson.provider,
                **counts,
            }
            if score is not None and not world.powerpath_minimal:
                answer["score"] = score
        if attempt.enrollment_failed:
            answer["enrollmentFailed"] = True
        if world.powerpath_edition == NEW and not world.powerpath_minimal:
            answer["testResultId"] = result_id(known, attempt)
        if world.powerpath_extras:
            answer["proctor"] = {"session": f"{CANARY}proctor"}
        prepared = attempt.answers["progress"] = _said(answer, known)
    return prepared


def _experience(attempt: Attempt, score: float | None) -> Json:
    if not attempt.finalized:
        return {"xp": None, "multiplier": None}
    return {"xp": 25 if (score or 0) >= _PASSED else 0, "multiplier": 1}


def _accuracy(lesson: Lesson, attempt: Attempt, score: float | None, right: int) -> float:
    """Edulastic's is the score once more; else the share of correct questions, 0 to 100."""
    if lesson.provider == EDULASTIC:
        return score or 0
    return round(100 * right / len(attempt.stored), 2) if attempt.stored else 0


def _correct(provider: str | None, question: Question) -> bool | None:
    """Edulastic calls a question with partial credit correct."""
    if question.score is None:
        return None
    return question.score > 0 if provider == EDULASTIC else question.score >= question.most


def _correct_questions(provider: str | None, questions: tuple[Question, ...]) -> int:
    return sum(bool(_correct(provider, it)) for it in questions)


@lru_cache(maxsize=4096)
def _questions(
    provider: str | None, questions: tuple[Question, ...], edition: str, extras: bool, minimal: bool
) -> bytes:
    return _encode([_question(provider, it, edition, extras, minimal) for it in questions])


def _question(
    provider: str | None, question: Question, edition: str, extras: bool, minimal: bool
) -> Json:
    told: Json = {
        "id": question.id,
        "index": question.place,
        "title": question.title,
        "url": f"https://items.example/{question.id}?token={CANARY}item",
        "difficulty": _DIFFICULTIES[question.place % 3],
    }
    correct = _correct(provider, question)
    if correct is not None:
        told["correct"] = correct
        feedback: Any = question.feedback
        if edition == NEW and question.place % 2:
            feedback = {"text": question.feedback}
        told["result"] = {"score": question.score, "feedback": feedback}
    if minimal and correct is not None:
        return told
    if question.answered:
        told |= _response(question)
    if not minimal:
        told["humanApproved"] = None if question.place % 2 else True
        told["content"] = {"type": "choice", "rawXml": f"<item>{CANARY}item</item>"}
        told["learningObjectives"] = [f"LO-{question.place + 1}"]
        if edition == NEW:
            told["resultId"] = f"QR-{question.id}"
    if extras:
        told["answerKey"] = f"{CANARY}key"
    return told


def _response(question: Question) -> Json:
    """What the student answered, in one of the three shapes."""
    given = f"{CANARY}response"
    shapes: tuple[Json, ...] = (
        {"response": given},
        {"response": [given, given]},
        {"responses": {"RESPONSE": given}},
    )
    return shapes[question.place % 3]


def result_id(pair: Pair, attempt: Attempt) -> str:
    """The id of the attempt's AssessmentResult."""
    return f"AR-{pair.lesson}-{pair.student}-{attempt.number}"


def attempts(lesson: Lesson, pair: Pair | None) -> bytes:
    """All attempts of the pair, first to last."""
    rows = [
        {
            "attempt": it.number,
            "score": score_of(lesson, it) or 0,
            "scoreStatus": score_status_of(lesson, it),
            "xp": _experience(it, score_of(lesson, it))["xp"],
            "startedAt": moment(it.assigned_at + HOUR) if begun(lesson, it) else None,
            "completedAt": moment(it.completed_at),
        }
        for it in (pair.attempts if pair else [])
    ]
    return _encode({"attempts": rows})


def begun(lesson: Lesson, attempt: Attempt) -> bool:
    """Whether PowerPath knows that the student began."""
    if lesson.provider == MASTERY_TRACK and attempt.record.written_back:
        return True
    return any(it.answered for it in attempt.stored)


def placement(known: Mapping[str, Lesson], pairs: Mapping[str, Pair]) -> bytes:
    """A student's placements by subject; both mappings by lesson."""
    subjects: dict[str, Json] = {}
    for lesson, pair in pairs.items():
        test = known[lesson]
        if test.lesson_type != "placement" or not pair.attempts:
            continue
        current = pair.attempts[-1]
        grade = int(test.grade)
        subject: Json = {
            "startingGrade": grade,
            "currentGrade": grade,
            "subjectLowestGrade": 3,
            "subjectHighestGrade": 8,
            "RIT": None,
            "results": [],
            "status": "STARTED",
            "nextTestId": None,
        }
        passed = (score_of(test, current) or 0) >= _PASSED
        result = {
            "testId": test.id,
            "title": test.title,
            "subject": test.subject,
            "grade": grade,
            "status": ("PASSED" if passed else "FAILED") if current.finalized else "STARTED",
            "source": "EDULASTIC" if test.provider == EDULASTIC else "PLACEMENT",
        }
        if test.provider == MASTERY_TRACK and current.record.processed is not None:
            result["masteryTrackProcessed"] = current.record.processed is not False
        subjects.setdefault(test.subject, subject)["results"].append(result)
    return _encode(subjects)
