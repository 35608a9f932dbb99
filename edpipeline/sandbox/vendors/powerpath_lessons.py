"""The lessons of PowerPath: external tests of both providers, and odd ones.

A lesson is a OneRoster ComponentResource; its test is a Resource. The type of a lesson stands in
one of three places, as it does in the history of the real API.
"""

from dataclasses import dataclass
from typing import Any

EDULASTIC = "edulastic"
MASTERY_TRACK = "mastery-track"
PROVIDERS = (EDULASTIC, MASTERY_TRACK)
EXTERNAL_TYPES = ("test-out", "placement", "unit-test")
TYPES = (*EXTERNAL_TYPES, "quiz", "powerpath-100", "alpha-read-article", None)
TRACKS = ("valid", "missing", "error")
TYPE_PLACES = ("lesson", "lesson_metadata", "resource_metadata")
_SUBJECTS = ("Math", "Reading", "Language", "Science")
_LEAST = 12
"""So many lessons hold every type, provider and track."""


@dataclass(frozen=True)
class Lesson:
    """One lesson. Raises ValueError for a type, track or place that there is not."""

    id: str
    lesson_type: str | None = "test-out"
    provider: str | None = EDULASTIC
    subject: str = "Math"
    grade: str = "5"
    track: str = "valid"
    """Whether subject and grade lead to a course: valid, missing, or error while enrolling."""
    course_on_fail: str | None = None
    """The older rule: the course of whoever has less than 90 in a placement."""
    bank: bool = False
    """Whether each attempt draws another test."""
    type_in: str = "lesson"
    """Where the type stands: lesson, lesson_metadata or resource_metadata."""

    def __post_init__(self) -> None:
        for name, known in (("lesson_type", TYPES), ("track", TRACKS), ("type_in", TYPE_PLACES)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is one of {known}")

    @property
    def external(self) -> bool:
        """Whether its results can be imported."""
        return self.lesson_type in EXTERNAL_TYPES and self.provider in PROVIDERS

    @property
    def title(self) -> str:
        """The name of the test."""
        return f"{self.subject} {self.grade} {self.lesson_type or 'lesson'}"

    @property
    def resource_id(self) -> str:
        """The id of its Resource."""
        return f"RES-{self.id}"

    @property
    def line_item_id(self) -> str:
        """The id of its line item, which all students share."""
        return f"LI-{self.id}"

    @property
    def course(self) -> str:
        """The course of its subject and grade."""
        return f"COURSE-{self.subject}-{self.grade}"


def _numbered(number: int) -> Lesson:
    """Types change fastest, then providers, then subjects."""
    tracks = {7: "missing", 9: "error"}
    return Lesson(
        id=f"CR-{number + 1:04d}",
        lesson_type=EXTERNAL_TYPES[number % 3],
        provider=PROVIDERS[number // 3 % 2],
        subject=_SUBJECTS[number // 6 % len(_SUBJECTS)],
        grade=str(3 + number // 24 % 6),
        track=tracks.get(number % _LEAST, "valid"),
        bank=number % _LEAST == 5,
        type_in=("lesson", "lesson", "lesson_metadata", "resource_metadata")[number % 4],
    )


def external_lessons(least: int) -> list[Lesson]:
    """At least so many lessons that are external tests."""
    return [_numbered(number) for number in range(max(_LEAST, least))]


def odd_lessons() -> list[Lesson]:
    """Lessons that cannot be imported: unknown providers, and types that are no external test."""
    odd: list[dict[str, Any]] = [
        {"id": "CR-ALPHATEST", "provider": "AlphaTest"},
        {"id": "CR-NO-PROVIDER", "lesson_type": "unit-test", "provider": None},
        {"id": "CR-QUIZ", "lesson_type": "quiz", "provider": None},
        {"id": "CR-POWERPATH-100", "lesson_type": "powerpath-100", "provider": None},
        {"id": "CR-ARTICLE", "lesson_type": "alpha-read-article", "provider": None},
    ]
    return [Lesson(**values) for values in odd]
