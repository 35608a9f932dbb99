"""What is listed, laid over what is known: who is new, reopened, gone, refused, due."""

from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest

from edpipeline.polling.listings import COLUMNS
from edpipeline.polling.pairs import ROW, is_due, laid_over
from edpipeline.polling.vendor import Pace

NOW = datetime(2027, 3, 10, 16)
LATER = NOW + timedelta(hours=1)
PAIR = {"student_id": "S", "lesson_id": "L"}
LISTED = {**PAIR, "origins": "test_assignments", "test_assignment_id": "A"}
KNOWN = {
    **LISTED,
    "assignment_status": "assigned",
    "state": "open",
    "outcome": "pending",
    "enrollment": "none",
    "first_seen_at": NOW,
    "polled_at": NOW,
    "polls": 1,
    "failures": 1,
    "next_poll_at": LATER,
}


def laid(listed: dict[str, Any] | None, known: dict[str, Any] | None) -> dict[str, Any]:
    frames = [
        pl.DataFrame([row] if row else [], schema=dict(kind))
        for row, kind in ((listed, COLUMNS), (known, ROW))
    ]
    frame = laid_over(*frames, NOW).with_columns(is_due=is_due(NOW))
    return frame.row(0, named=True)


@pytest.mark.parametrize(
    ("listed", "known", "expected"),
    [
        pytest.param({}, None, ("open", True, True, False), id="new"),
        pytest.param(
            {"assignment_status": "expired"}, None, ("open", True, True, False), id="over"
        ),
        pytest.param({"lesson_type": "quiz"}, None, ("refused", False, True, False), id="quiz"),
        pytest.param(
            {"assignment_status": "assigned"}, {}, ("open", False, False, False), id="same"
        ),
        pytest.param(None, {}, ("open", False, False, False), id="not-listed"),
        pytest.param({}, {"next_poll_at": NOW}, ("open", True, False, False), id="due"),
        pytest.param(
            {"assignment_status": "completed"}, {}, ("open", True, True, False), id="done"
        ),
        pytest.param({"assignment_status": "failed"}, {}, ("open", True, True, False), id="failed"),
        pytest.param(
            {"assignment_status": "failed"},
            *({"assignment_status": "failed"}, ("open", False, False, False)),
            id="failed-and-heard-of",
        ),
        pytest.param(
            {"assignment_status": "failed"},
            *({"state": "gone", "next_poll_at": None}, ("gone", False, True, False)),
            id="failed-and-looked-at",
        ),
        pytest.param(
            {"assignment_status": "failed", "origins": "test_assignments|gradebook"},
            *({}, ("open", False, True, False)),
            id="failed-but-in-the-gradebook",
        ),
        pytest.param(None, {"origins": "watch_list"}, ("gone", False, True, False), id="dropped"),
        pytest.param({}, {"state": "final"}, ("final", False, False, False), id="final"),
        pytest.param(
            {"assignment_status": "expired"},
            *({"state": "final", "next_poll_at": None}, ("final", False, True, False)),
            id="final-and-expired",
        ),
        pytest.param(
            {"test_assignment_id": "B"},
            *({"state": "final", "next_poll_at": None}, ("open", True, True, True)),
            id="anew",
        ),
        pytest.param(
            {"test_assignment_id": "B", "assignment_status": "cancelled"},
            *({"state": "final", "next_poll_at": None}, ("final", False, True, False)),
            id="anew-but-cancelled",
        ),
        pytest.param(
            {"test_assignment_id": "B"},
            *({"state": "stale", "next_poll_at": None}, ("open", True, True, True)),
            id="stale-anew",
        ),
        pytest.param(
            {}, {"state": "gone", "next_poll_at": None}, ("open", True, True, True), id="back"
        ),
        pytest.param(
            {"lesson_type": "placement"},
            *({"state": "refused", "lesson_type": "quiz"}, ("open", True, True, True)),
            id="mended",
        ),
        pytest.param(
            {}, {"state": "quarantined"}, ("quarantined", False, False, False), id="apart"
        ),
    ],
)
def test_what_is_listed_changes_what_is_known(
    listed: dict[str, Any] | None,
    known: dict[str, Any] | None,
    expected: tuple[str, bool, bool, bool],
) -> None:
    seen = None if listed is None else LISTED | listed
    held = None if known is None else KNOWN | known
    if held and held["state"] == "final":
        held["next_poll_at"] = None
    found = laid(seen, held)
    told = tuple(found[name] for name in ("state", "is_due", "is_touched", "is_reopened"))
    assert told == expected


def test_what_a_list_does_not_say_is_kept_but_for_leave_to_enroll() -> None:
    known = KNOWN | {"test_name": "Algebra", "skip_enrollment": True}
    found = laid(LISTED, known)
    assert (found["test_name"], found["skip_enrollment"]) == ("Algebra", None)
    assert laid(None, known)["skip_enrollment"] is True
    assert laid(LISTED | {"test_name": "Algebra 2"}, known)["test_name"] == "Algebra 2"


def test_a_pace_lets_requests_begin_one_after_another() -> None:
    slept: list[float] = []
    pace = Pace(4, sleep=slept.append, clock=lambda: 10.0)
    for _ in range(4):
        pace.wait()
    assert slept == [0.25, 0.5, 0.75]
