"""The external tests at PowerPath: who is to take which, what an import makes of it.

The decision tables of imports are here. What a provider makes fail is `ProviderFails`.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from edpipeline.sandbox.vendors import people
from edpipeline.sandbox.vendors.answers import Refused
from edpipeline.sandbox.vendors.people import District
from edpipeline.sandbox.vendors.powerpath_lessons import (
    EDULASTIC,
    MASTERY_TRACK,
    Lesson,
    external_lessons,
    odd_lessons,
)
from edpipeline.sandbox.vendors.powerpath_pairs import (
    Attempt,
    Listed,
    Pair,
    drawn_pairs,
    drawn_record,
)
from edpipeline.sandbox.vendors.powerpath_providers import Record, partial_score
from edpipeline.sandbox.vendors.world import VendorWorld

_PASSED = 90
LISTED_STATUSES = ("assigned", "in_progress", "completed", "failed", "expired", "cancelled")


class ProviderFails(Exception):
    """Edulastic or MasteryTrack is at fault; the text says how."""


class ExternalTests:
    """All of PowerPath's state but tokens. Pairs are those of `powerpath_pairs` at first."""

    def __init__(self, world: VendorWorld, district: District, now: int) -> None:
        students = people.students(district)["sourced"].to_list()
        self.students = set(students)
        lessons = external_lessons(1 + world.powerpath_pairs // len(students))
        self.pairs, self.listed = drawn_pairs(
            students, lessons, world.powerpath_pairs, world.powerpath_stage, world.seed, now
        )
        odd = odd_lessons() if world.powerpath_odd_lessons else []
        self.lessons = {it.id: it for it in [*lessons, *odd]}
        self.imports: Counter[tuple[str, str]] = Counter()
        self.vendor_reads: Counter[str] = Counter()
        self.writes = 0
        self.made = 0
        self.enrollments: list[dict[str, str]] = []
        self.version = 0
        """Another one after every change."""
        for place, lesson in enumerate(it for it in odd if it.lesson_type != "alpha-read-article"):
            self.assign(students[place % len(students)], lesson.id, now)

    # What tests and demonstrations do.

    def lesson(self, lesson: str, **changes: Any) -> None:
        """Change a lesson, or add one, by the names of `Lesson`. ValueError for others."""
        known = self.lessons.get(lesson, Lesson(lesson))
        try:
            self.lessons[lesson] = replace(known, **changes)
        except TypeError as error:
            raise ValueError(str(error)) from error
        self._changed()

    def assign(
        self,
        student: str,
        lesson: str,
        now: int,
        skip: bool = False,
        listed: bool = True,
        made: bool = True,
        status: str | None = None,
    ) -> None:
        """Assign a test, as makeExternalTestAssignment does; anew where the last attempt is final.

        `listed` adds a test assignment, with its `status` or the one that follows from the
        attempt. Without `made` the student has no account at the tool. Raises ValueError for
        whom and what there is not.
        """
        if student not in self.students or lesson not in self.lessons:
            raise ValueError("no such student, or no such lesson")
        if status is not None and status not in LISTED_STATUSES:
            raise ValueError(f"status is one of {LISTED_STATUSES}")
        pair = self.pairs.setdefault((student, lesson), Pair(student, lesson))
        if made:
            self._make(pair, skip, now)
        if listed:
            number = f"TA-NEW-{len(self.listed) + 1:06d}"
            self.listed.append(Listed(number, student, lesson, len(pair.attempts), now, status))
        self._changed(pair)

    def vendor(
        self,
        student: str,
        lesson: str,
        now: int,
        attempt: int | None = None,
        edulastic: Mapping[str, Any] | None = None,
        mastery_track: Mapping[str, Any] | None = None,
        says: Mapping[str, Any] | None = None,
    ) -> None:
        """Set what stands behind the current or the given attempt; a pair unknown is assigned.

        `edulastic` and `mastery_track` have the words of `powerpath_providers`; what they leave out
        stays. `says` has fields that answers about the pair have instead of their own. Raises
        ValueError for what cannot be.
        """
        if not (pair := self.pairs.get((student, lesson))) or not pair.attempts:
            self.assign(student, lesson, now, listed=False)
            pair = self.pairs[student, lesson]
        chosen = self._attempt(pair, attempt)
        if chosen is None:
            raise ValueError("the pair has no such attempt")
        given = {EDULASTIC: edulastic, MASTERY_TRACK: mastery_track}
        for provider, values in given.items():
            if values is not None and self.lessons[lesson].provider != provider:
                raise ValueError(f"the lesson is not at {provider}")
            if values is not None:
                chosen.record = chosen.record.changed(values)
        if says is not None:
            pair.says = dict(says)
        self._changed(pair)

    # What PowerPath does.

    def found(self, student: str, lesson: str) -> tuple[Lesson, Pair | None]:
        """The lesson, and the pair where one is known; refuses with 404 what does not exist."""
        if student not in self.students:
            raise Refused(404, "unknownobject", "the student does not exist")
        if lesson not in self.lessons:
            raise Refused(404, "unknownobject", "the lesson does not exist")
        return self.lessons[lesson], self.pairs.get((student, lesson))

    def _attempt(self, pair: Pair, number: int | None) -> Attempt | None:
        if number is None:
            return pair.attempts[-1] if pair.attempts else None
        return next((it for it in pair.attempts if it.number == number), None)

    def attempt(self, pair: Pair | None, number: int | None) -> Attempt | None:
        """The current attempt, None where there is none; refuses with 404 an unknown number."""
        chosen = self._attempt(pair, number) if pair else None
        if number is not None and chosen is None:
            raise Refused(404, "unknownobject", "the student has no such attempt")
        return chosen

    def external(self, student: str, lesson: str) -> tuple[Lesson, Pair | None]:
        """As `found`; refuses with 422 a lesson that is not an external test."""
        known, pair = self.found(student, lesson)
        if not known.external:
            kinds = "test-out, placement or unit-test"
            raise Refused(422, "invaliddata", f"the lesson is not an external {kinds}")
        return known, pair

    def make(self, student: str, lesson: str, skip: bool, now: int) -> tuple[Lesson, Pair]:
        """Assign the test at its tool."""
        known, _ = self.external(student, lesson)
        pair = self.pairs.setdefault((student, lesson), Pair(student, lesson))
        self._make(pair, skip, now)
        self.made += 1
        self._changed(pair)
        return known, pair

    def _make(self, pair: Pair, skip: bool, now: int) -> None:
        if not pair.attempts or pair.attempts[-1].finalized:
            empty = drawn_record(self.lessons[pair.lesson].provider, "assigned", 0)
            pair.attempts.append(Attempt(len(pair.attempts) + 1, now, record=empty))
        pair.attempts[-1].skip = skip

    def import_results(self, student: str, lesson: str, now: int) -> tuple[Lesson, Pair]:
        """Store what the provider has of the current attempt; enroll where that makes it final.

        Refuses what is no external test and whom nothing was assigned; raises ProviderFails.
        """
        self.imports[student, lesson] += 1
        known, pair = self.external(student, lesson)
        if pair is None or not pair.attempts:
            raise Refused(422, "invaliddata", "the student has no credentials for this test")
        attempt = pair.attempts[-1]
        if attempt.finalized:
            return known, pair
        record = attempt.record
        self.vendor_reads[str(known.provider)] += 1
        if record.mode != "ok":
            raise ProviderFails(f"{known.provider}: {record.mode}")
        if known.provider == EDULASTIC:
            available = bool(record.questions)
            final = record.all_answered and record.grade == "GRADED"
            status = _edulastic_status(record)
        else:
            available = record.written_back
            final = record.mastered
            status = record.status
        if available:
            attempt.stored, attempt.score_status = record.questions, status
            self.writes += 1
        if final:
            attempt.finalized, attempt.completed_at = True, now
            self._enroll(known, pair, attempt)
        self._changed(pair)
        return known, pair

    def _enroll(self, lesson: Lesson, pair: Pair, attempt: Attempt) -> None:
        if lesson.lesson_type == "unit-test" or attempt.skip:
            return
        if lesson.track == "valid":
            self._enrolled(pair, lesson.course)
        else:
            attempt.enrollment_failed = True
        failed = (score_of(lesson, attempt) or 0) < _PASSED
        if lesson.course_on_fail and lesson.lesson_type == "placement" and failed:
            self._enrolled(pair, lesson.course_on_fail)

    def _enrolled(self, pair: Pair, course: str) -> None:
        one = {"student": pair.student, "course": course, "lesson": pair.lesson}
        self.enrollments.append(one)

    def _changed(self, pair: Pair | None = None) -> None:
        self.version += 1
        for changed in [pair] if pair else self.pairs.values():
            for attempt in changed.attempts:
                attempt.answers.clear()

    def forget_answers(self) -> None:
        """Prepare every answer anew: the world is another."""
        self._changed()

    def told_pairs(self) -> list[dict[str, Any]]:
        """Every pair: `student`, `lesson`, `lesson_type`, `provider`, the current `attempt` (0:
        never assigned), `finalized`, and `skip` (None: never assigned)."""
        told = []
        for pair in self.pairs.values():
            lesson = self.lessons[pair.lesson]
            now = pair.attempts[-1] if pair.attempts else None
            told.append(
                {
                    "student": pair.student,
                    "lesson": pair.lesson,
                    "lesson_type": lesson.lesson_type,
                    "provider": lesson.provider,
                    "attempt": now.number if now else 0,
                    "finalized": bool(now and now.finalized),
                    "skip": now.skip if now else None,
                }
            )
        return told

    def state(self) -> dict[str, Any]:
        """Counters: `imports` (calls), `imported` (calls by "student lesson"), `vendor_reads` by
        provider, `writes` (imports that stored something), `made`, `enrollments` (student, course,
        lesson), `enrollments_failed`, `pairs`, `final`."""
        attempts = [pair.attempts[-1] for pair in self.pairs.values() if pair.attempts]
        return {
            "imports": self.imports.total(),
            "imported": {f"{student} {lesson}": n for (student, lesson), n in self.imports.items()},
            "vendor_reads": dict(self.vendor_reads),
            "writes": self.writes,
            "made": self.made,
            "enrollments": list(self.enrollments),
            "enrollments_failed": sum(it.enrollment_failed for it in attempts),
            "pairs": len(self.pairs),
            "final": sum(it.finalized for it in attempts),
        }


def _edulastic_status(record: Record) -> str:
    """The status that PowerPath gives a result it stores from Edulastic."""
    if not any(it.answered for it in record.questions):
        return "not submitted"
    if record.grade == "GRADED" and record.all_answered:
        return "fully graded"
    return "submitted" if record.grade == "SUBMITTED" else "partially graded"


def score_of(lesson: Lesson, attempt: Attempt) -> float | None:
    """The score of the attempt's result: Edulastic's by import, MasteryTrack's by write-back."""
    if lesson.provider == MASTERY_TRACK:
        return attempt.record.score
    return partial_score(attempt.stored) if attempt.stored else None


def score_status_of(lesson: Lesson, attempt: Attempt) -> str:
    """The status of that score."""
    return attempt.record.status if lesson.provider == MASTERY_TRACK else attempt.score_status
