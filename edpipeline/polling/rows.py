"""What a poll becomes in the files of a delivery: rows by table, as JSON lines.

Values that the vendor wrote stay as they were written. Times are in UTC.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from edpipeline.landing.looked import Looked
from edpipeline.polling.intents import Meant
from edpipeline.polling.pairs import Pair
from edpipeline.sources.powerpath.decisions import NotUnderstood, Progress

DESCRIBED = ("test_name", "subject", "grade")
"""What only the listing of a pair says of its test."""
TIMED = ("score_status", "started_at", "completed_at")
"""What only the list of attempts says of a result."""
Row = dict[str, Any]
NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")
"""As JSON writes it. A table takes no row that has one, and the pair would be asked for ever."""


@dataclass(frozen=True)
class Call:
    """One call that had results stored, or may have."""

    call_id: str
    called_at: datetime
    by: str
    outcome: str
    attempt_before: int
    http_status: int | None = None
    request_id: str = ""
    seconds: float | None = None
    answer: Looked | None = field(default=None, repr=False)
    after: Progress | None = None
    """What progress showed after it."""
    enrollment: str = "none"

    def row(self, pair: Pair) -> Row:
        """The row of the table `import_calls`."""
        found: Row = dict(self.answer.record) if self.answer else {}
        if self.after is not None:
            found |= {"attempt": self.after.attempt, "finalized": self.after.finalized}
        return found | {
            **_key(pair),
            "call_id": self.call_id,
            "called_at": written(self.called_at),
            "called_by": self.by,
            "outcome": self.outcome,
            "http_status": self.http_status,
            "request_id": self.request_id or None,
            "seconds": None if self.seconds is None else round(self.seconds, 3),
            "attempt_before": self.attempt_before,
            "finalized_before": False,
            "enrollment": self.enrollment,
        }


def call_of(meant: Meant, number: int, intent: str, at: datetime, by: str) -> Call:
    """The call that a run, which ended before it wrote down more, may have made."""
    return Call(f"{intent}-{number}", at, by, "unknown", meant.attempt)


def ended(call: Call, after: Progress | None, enrollment: str) -> Call:
    """The call, with what was seen after it."""
    return replace(call, after=after, enrollment=enrollment)


def result_rows(
    pair: Pair, progress: Progress, looked: Looked, times: Mapping[str, Any]
) -> tuple[Row, list[Row]]:
    """The rows of one attempt: its result, and its questions. `times` says what `TIMED` names."""
    key = {**_key(pair), "attempt": progress.attempt}
    described = {name: pair.row[name] for name in DESCRIBED}
    timed = {name: _time_or_text(times.get(name)) for name in TIMED}
    result = {**looked.record, **described, **timed, **key}
    # A table takes 3 for a whole number, and not 3.0.
    result["correct_questions"] = progress.correct
    result["total_questions"] = progress.total
    result["answered_questions"] = progress.answered
    return result, [{**question, **key} for question in looked.children["questions"]]


def quarantine_row(pair: Pair, told: NotUnderstood, looked: Looked | None, now: datetime) -> Row:
    """The row of an answer that nobody understands; what is not allowed is in it by name alone."""
    record = None
    if looked is not None:
        found = {**looked.record, **looked.children, "unknown": looked.unknown}
        record = msgspec.json.encode(found).decode()
    return {
        **_key(pair),
        "attempt": told.attempt,
        "reason": told.outcome,
        "tool_provider": told.tool_provider or None,
        "lesson_type": told.lesson_type or None,
        "seen_at": written(now),
        "record": record,
    }


def pair_row(row: Mapping[str, Any]) -> Row:
    """The row of the table `assignments`."""
    return {name: _time_or_text(value) for name, value in row.items()}


def write_rows(folder: Path, rows: Mapping[str, Sequence[Row]]) -> list[Path]:
    """The files of a delivery: those that have rows."""
    encoder = msgspec.json.Encoder()
    paths = []
    for table, of in sorted(rows.items()):
        if of:
            path = folder / f"{table}.jsonl"
            path.write_bytes(NUL.sub(rb"\1", encoder.encode_lines(list(of))))
            paths.append(path)
    return paths


def written(at: datetime) -> str:
    """A time in UTC, as the files have it."""
    return f"{at:%Y-%m-%dT%H:%M:%S.%f}Z"


def _time_or_text(value: Any) -> Any:
    return written(value) if isinstance(value, datetime) else value


def _key(pair: Pair) -> Row:
    return {"student_id": pair.student_id, "lesson_id": pair.lesson_id}
