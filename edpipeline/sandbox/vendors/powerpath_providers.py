"""What the two providers know of one attempt: Edulastic's record, MasteryTrack's write-back.

As JSON, for the control plane:

    {"grade": "SUBMITTED", "mode": "ok", "questions": [{"answered": true, "score": 0.5}]}
    {"score": 92.5, "scoreStatus": "fully graded", "masteryTrackProcessed": true, "mode": "ok",
     "questions": [...]}

A question may leave out anything: `id` (q1), `index` (from 0), `title`, `answered` (true with a
score), `score` (null: not graded), `maxScore` (1), `feedback`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

GRADES = ("START", "SUBMITTED", "GRADED")
MODES = ("ok", "down", "timeout", "bad_json")
SCORE_STATUSES = ("exempt", "fully graded", "not submitted", "partially graded", "submitted")
FEEDBACK = "Say how you got there."


class Question(NamedTuple):
    """One question of one attempt."""

    id: str
    place: int
    title: str
    answered: bool
    score: float | None
    most: float
    feedback: str


def read_questions(given: Sequence[Mapping[str, Any]]) -> tuple[Question, ...]:
    """Questions from JSON. Raises ValueError for an unknown word."""
    known = {"id", "index", "title", "answered", "score", "maxScore", "feedback"}
    questions = []
    for place, one in enumerate(given):
        if one.keys() - known:
            raise ValueError(f"a question has no {sorted(one.keys() - known)}")
        score = one.get("score")
        questions.append(
            Question(
                str(one.get("id", f"q{place + 1}")),
                one.get("index", place),
                one.get("title", f"Question {place + 1}"),
                bool(one.get("answered", score is not None)),
                score,
                one.get("maxScore", 1),
                one.get("feedback", FEEDBACK if score is not None else ""),
            )
        )
    return tuple(questions)


@dataclass(frozen=True, slots=True)
class Record:
    """What stands behind an attempt. Edulastic uses `grade`, MasteryTrack the three last."""

    questions: tuple[Question, ...] = ()
    mode: str = "ok"
    grade: str = "START"
    score: float | None = None
    status: str = "not submitted"
    processed: bool | str | None = None
    """masteryTrackProcessed: true, false, the text "true", or null where it is absent."""

    def __post_init__(self) -> None:
        for name, known in (("mode", MODES), ("grade", GRADES), ("status", SCORE_STATUSES)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is one of {known}")

    @property
    def all_answered(self) -> bool:
        """Whether there are questions, and every one has an answer."""
        return bool(self.questions) and all(it.answered for it in self.questions)

    @property
    def written_back(self) -> bool:
        """Whether MasteryTrack's write-back came."""
        touched = self.score is not None or self.status != "not submitted"
        return touched or self.processed is not None

    @property
    def mastered(self) -> bool:
        """Whether MasteryTrack is done with it."""
        return self.status == "fully graded" and self.processed in (True, "true")

    def changed(self, given: Mapping[str, Any]) -> "Record":
        """This record with other values, in the words of the JSON above. ValueError for others."""
        names = {"scoreStatus": "status", "masteryTrackProcessed": "processed"}
        values = {names.get(name, name): value for name, value in given.items()}
        own = {it.name: getattr(self, it.name) for it in fields(self)}
        if values.keys() - own.keys():
            raise ValueError(f"a record has no {sorted(values.keys() - own.keys())}")
        if "questions" in values:
            values["questions"] = read_questions(values["questions"])
        return Record(**{**own, **values})


def partial_score(questions: Sequence[Question]) -> float | None:
    """Sum of the scores over the number of questions, 0 to 100; null where none has a score."""
    if all(it.score is None for it in questions):
        return None
    return round(100 * sum((it.score or 0) / it.most for it in questions) / len(questions), 2)
