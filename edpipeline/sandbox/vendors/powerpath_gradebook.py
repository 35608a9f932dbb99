"""PowerPath's listings: test assignments, and the OneRoster objects of the same tests.

A line item per lesson, shared by its students; one per question of it, whose parent it is. A
result per student and attempt, and one per question that was answered.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from edpipeline.sandbox.vendors.answers import Refused
from edpipeline.sandbox.vendors.powerpath_answers import (
    account,
    begun,
    moment,
    result_id,
    student_email,
)
from edpipeline.sandbox.vendors.powerpath_lessons import MASTERY_TRACK, Lesson
from edpipeline.sandbox.vendors.powerpath_pairs import DAY, Attempt, Listed, Pair
from edpipeline.sandbox.vendors.powerpath_tests import ExternalTests, score_of, score_status_of
from edpipeline.sandbox.vendors.world import CANARY

Row = dict[str, Any]

ASSIGNMENTS = "testAssignments"
ONEROSTER = {
    "/ims/oneroster/rostering/v1p2/courses/component-resources": "componentResources",
    "/ims/oneroster/resources/v1p2/resources": "resources",
    "/ims/oneroster/gradebook/v1p2/assessmentLineItems": "assessmentLineItems",
    "/ims/oneroster/gradebook/v1p2/assessmentResults": "assessmentResults",
}
"""What each path lists."""
_CLAUSE = re.compile(r"(\w+)\s*=\s*'([^']*)'")
_SINCE = "2026-08-17T00:00:00.000Z"


class Listings:
    """The listings of these tests; made anew only after a change."""

    def __init__(self, tests: ExternalTests) -> None:
        self._tests = tests
        self._made: dict[str, tuple[int, list[Row]]] = {}

    def rows(self, name: str) -> list[Row]:
        """All rows of a listing."""
        version, rows = self._made.get(name, (-1, []))
        if version != self._tests.version:
            rows = list(getattr(self, f"_{name}")())
            self._made[name] = (self._tests.version, rows)
        return rows

    def _testAssignments(self) -> Iterator[Row]:  # noqa: N802
        for one in self._tests.listed:
            lesson = self._tests.lessons[one.lesson]
            pair = self._tests.pairs[one.student, one.lesson]
            attempt = next((it for it in pair.attempts if it.number == one.attempt), None)
            yield {
                "sourcedId": one.id,
                "studentSourcedId": one.student,
                "studentEmail": student_email(one.student),
                "assignedByUserSourcedId": None,
                "subject": lesson.subject,
                "grade": lesson.grade,
                "assignmentStatus": one.status or _status(lesson, one, attempt),
                "testName": lesson.title,
                "assignedAt": moment(one.assigned_at),
                "expiresAt": moment(one.assigned_at + 30 * DAY),
                "completedAt": moment(attempt.completed_at) if attempt else None,
                "resourceSourcedId": lesson.resource_id,
                "componentResourceSourcedId": lesson.id,
            }

    def _componentResources(self) -> Iterator[Row]:  # noqa: N802
        for lesson in self._tests.lessons.values():
            inside = lesson.type_in == "lesson_metadata"
            yield {
                "sourcedId": lesson.id,
                "status": "active",
                "dateLastModified": _SINCE,
                "metadata": {"lessonType": lesson.lesson_type} if inside else None,
                "courseComponent": {"sourcedId": f"CC-{lesson.course}"},
                "resource": {"sourcedId": lesson.resource_id},
                "title": lesson.title,
                "sortOrder": 1,
                "lessonType": lesson.lesson_type if lesson.type_in == "lesson" else None,
            }

    def _resources(self) -> Iterator[Row]:
        for lesson in self._tests.lessons.values():
            metadata: Row = {
                "type": "assessment-bank" if lesson.bank else "interactive",
                "toolProvider": lesson.provider,
                "subject": lesson.subject,
                "grades": [lesson.grade],
                "launchUrl": f"https://tests.example/launch?key={CANARY}launch",
            }
            if lesson.type_in == "resource_metadata":
                metadata["lessonType"] = lesson.lesson_type
            if lesson.course_on_fail:
                metadata["courseIdOnFail"] = lesson.course_on_fail
            yield {
                "sourcedId": lesson.resource_id,
                "status": "active",
                "dateLastModified": _SINCE,
                "metadata": metadata,
                "title": lesson.title,
                "vendorResourceId": f"V-{lesson.id}",
                "vendorId": lesson.provider,
                "applicationId": None,
            }

    def _assessmentLineItems(self) -> Iterator[Row]:  # noqa: N802
        questions: dict[str, dict[str, str]] = {}
        for pair in self._tests.pairs.values():
            of_lesson = questions.setdefault(pair.lesson, {})
            for attempt in pair.attempts:
                of_lesson.update((it.id, it.title) for it in attempt.stored)
        for lesson in self._tests.lessons.values():
            yield _line_item(lesson, lesson.line_item_id, lesson.title, None)
            for question, title in sorted(questions.get(lesson.id, {}).items()):
                own = f"{lesson.line_item_id}-{question}"
                yield _line_item(lesson, own, title, lesson.line_item_id)

    def _assessmentResults(self) -> Iterator[Row]:  # noqa: N802
        for pair in self._tests.pairs.values():
            lesson = self._tests.lessons[pair.lesson]
            for attempt in pair.attempts:
                yield from _results(lesson, pair, attempt)


def _status(lesson: Lesson, one: Listed, attempt: Attempt | None) -> str:
    if attempt is None:
        return "assigned"
    if attempt.finalized:
        return "completed"
    return "in_progress" if begun(lesson, attempt) else "assigned"


def _line_item(lesson: Lesson, own: str, title: str, parent: str | None) -> Row:
    metadata: Row = {}
    if lesson.bank and parent is None:
        metadata["isAssessmentBank"] = True
    elif lesson.bank:
        metadata["testResourceId"] = lesson.resource_id
    row: Row = {
        "sourcedId": own,
        "status": "active",
        "dateLastModified": _SINCE,
        "metadata": metadata or None,
        "title": title,
        "resultValueMin": 0,
        "resultValueMax": 1 if parent else 100,
        "componentResource": {"sourcedId": lesson.id},
    }
    if parent is not None:
        row["parentAssessmentLineItem"] = {"sourcedId": parent}
    return row


def _results(lesson: Lesson, pair: Pair, attempt: Attempt) -> Iterator[Row]:
    own = result_id(pair, attempt)
    when = moment(attempt.completed_at or attempt.assigned_at)
    metadata: Row = {"attempt": attempt.number, "toolProvider": lesson.provider, **account(pair)}
    if lesson.provider == MASTERY_TRACK and attempt.record.processed is not None:
        metadata["masteryTrackProcessed"] = attempt.record.processed
    status = score_status_of(lesson, attempt)
    same: Row = {
        "status": "active",
        "dateLastModified": when,
        "student": {"sourcedId": pair.student},
        "scoreDate": when,
        "inProgress": "false" if attempt.finalized else "true",
        "incomplete": "false",
        "late": "false",
        "missing": "false",
    }
    yield {
        "sourcedId": own,
        "metadata": metadata,
        "assessmentLineItem": {"sourcedId": lesson.line_item_id},
        "score": score_of(lesson, attempt),
        "scoreStatus": status,
        **same,
    }
    for question in attempt.stored:
        if question.answered:
            graded = question.score is not None
            yield {
                "sourcedId": f"{own}-{question.id}",
                "metadata": {"attempt": attempt.number, "response": f"{CANARY}response"},
                "assessmentLineItem": {"sourcedId": f"{lesson.line_item_id}-{question.id}"},
                "score": question.score,
                "scoreStatus": "fully graded" if graded else "submitted",
                "comment": question.feedback or None,
                **same,
            }


def chosen(rows: list[Row], given: Mapping[str, str]) -> list[Row]:
    """The rows that a OneRoster listing's `filter` and `search` ask for, as `sort` orders them.

    Refuses with 400 what it does not know; relations can neither be filtered nor sorted by.
    """
    for name, value in _clauses(given.get("filter")):
        rows = [row for row in rows if row.get(name) == value]
    if wanted := given.get("search"):
        rows = [row for row in rows if wanted.lower() in str(row.get("title", "")).lower()]
    order = given.get("orderBy", "asc")
    if order not in ("asc", "desc"):
        raise Refused(400, "invaliddata", "orderBy is asc or desc")
    if (sort := given.get("sort")) is not None:
        if any(not isinstance(row.get(sort), str) for row in rows):
            raise Refused(400, "invaliddata", "sort by a field that is a text")
        rows = sorted(rows, key=lambda row: str(row[sort]), reverse=order == "desc")
    return rows


def narrowed(rows: list[Row], given: Mapping[str, str]) -> list[Row]:
    """The rows with the asked `fields` alone."""
    if "fields" not in given:
        return rows
    wanted = given["fields"].split(",")
    return [{name: row[name] for name in wanted if name in row} for row in rows]


def _clauses(text: str | None) -> Iterator[tuple[str, str]]:
    for clause in text.split(" AND ") if text else []:
        found = _CLAUSE.fullmatch(clause.strip())
        if not found:
            raise Refused(400, "invaliddata", "filter is like status='active'")
        yield found[1], found[2]
