"""What an answer about a pair means, and when the pair is asked about again."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edpipeline.sources.powerpath.decisions import (
    LESSON_TYPES,
    PROVIDERS,
    Failed,
    Known,
    NotUnderstood,
    Progress,
    Rules,
    Standing,
    Waits,
    enrollment_of,
    is_new,
    next_wait,
    standing,
    understood,
    why_not_import,
)

NOW = datetime(2027, 3, 10, 16)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
WAITS = Waits()
OPEN = Progress("test-out", "edulastic", 1, False)
FINAL = replace(OPEN, finalized=True, score=80, correct=4, answered=5)
ALLOWED = Rules(allow_side_effects=True)
ANSWER: dict[str, Any] = {
    "lesson_type": "test-out",
    "tool_provider": "edulastic",
    "finalized": False,
    "attempt": 1,
    "accuracy": 50,
    "correct_questions": 1,
    "total_questions": 2,
    "score": 50.5,
}
QUESTIONS = [{"question_id": "1", "answered": True}, {"question_id": "2", "answered": False}]


def after(told: Progress | NotUnderstood | Failed, **known: Any) -> Standing:
    return standing(Known(**known), told, NOW, WAITS)


def test_an_answer_is_understood() -> None:
    found = understood(ANSWER, QUESTIONS)
    assert found == Progress("test-out", "edulastic", 1, False, 50.5, 1, 2, answered=1)


@pytest.mark.parametrize(
    "change",
    [
        {"attempt": None},
        {"attempt": 0},
        {"attempt": 1.0},
        {"score": None, "accuracy": None},
        {"enrollment_failed": True},
        {"xp": None, "multiplier": 1.5},
        {"lesson_type": "unit-test", "tool_provider": "mastery-track"},
    ],
)
def test_what_is_optional_may_be_there_or_not(change: dict[str, Any]) -> None:
    assert isinstance(understood(ANSWER | change, QUESTIONS), Progress)
    least = {name: ANSWER[name] for name in ("lesson_type", "tool_provider", "finalized")}
    assert isinstance(understood(least | change, []), Progress)


@pytest.mark.parametrize(
    ("change", "outcome", "field"),
    [
        ({"lesson_type": "quiz"}, "unknown_lesson_type", ""),
        ({"lesson_type": "powerpath-100", "finalized": None}, "unknown_lesson_type", ""),
        ({"tool_provider": "AlphaTest"}, "unknown_provider", ""),
        ({"tool_provider": None}, "unknown_provider", ""),
        ({"lesson_type": None}, "schema_drift", "lesson_type"),
        ({"lesson_type": 7}, "schema_drift", "lesson_type"),
        ({"finalized": "true"}, "schema_drift", "finalized"),
        ({"finalized": None}, "schema_drift", "finalized"),
        ({"attempt": -1}, "schema_drift", "attempt"),
        ({"attempt": "1"}, "schema_drift", "attempt"),
        ({"score": "CANARY"}, "schema_drift", "score"),
        ({"score": True}, "schema_drift", "score"),
        ({"accuracy": float("nan")}, "schema_drift", "accuracy"),
        ({"correct_questions": 1.5}, "schema_drift", "correct_questions"),
        ({"tool_provider": 3}, "schema_drift", "tool_provider"),
        ({"enrollment_failed": "no"}, "schema_drift", "enrollment_failed"),
    ],
)
def test_an_answer_of_another_kind_is_told_by_its_fields_alone(
    change: dict[str, Any], outcome: str, field: str
) -> None:
    found = understood(ANSWER | change, QUESTIONS)
    assert isinstance(found, NotUnderstood)
    assert found.outcome == outcome and field in found.reason
    assert "CANARY" not in found.reason


@pytest.mark.parametrize(
    "questions",
    [
        *(None, [{"question_id": ""}], [{}], [{"question_id": "1", "correct": 1}]),
        [{"question_id": " "}],
        [{"question_id": "1", "score": 1}, {"question_id": "1 ", "score": 0}],
    ],
)
def test_an_answer_needs_questions_that_can_be_told_apart(questions: Any) -> None:
    assert getattr(understood(ANSWER, questions), "outcome", "") == "schema_drift"


@pytest.mark.parametrize(
    ("progress", "rules", "skips", "may"),
    [
        (FINAL, ALLOWED, True, False),  # E1, M1
        (OPEN, Rules(), True, False),
        (OPEN, ALLOWED, None, True),
        (OPEN, Rules(True, True), None, False),
        (OPEN, Rules(True, True), False, False),
        (OPEN, Rules(True, True), True, True),
        (replace(OPEN, lesson_type="unit-test"), Rules(True, True), None, True),
        (replace(OPEN, lesson_type="placement"), Rules(True, True), None, False),
    ],
)
def test_results_are_imported_only_where_that_is_allowed(
    progress: Progress, rules: Rules, skips: bool | None, may: bool
) -> None:
    assert (why_not_import(progress, rules, skips) == "") is may


@given(st.booleans(), st.booleans(), st.sampled_from([None, True, False]))
def test_what_is_final_is_never_imported(allow: bool, need: bool, skips: bool | None) -> None:
    assert why_not_import(FINAL, Rules(allow, need), skips)


@pytest.mark.parametrize(
    ("lesson_type", "imported", "skips", "failed", "finalized", "enrollment"),
    [
        ("test-out", True, None, None, True, "possible"),
        ("placement", True, False, False, True, "possible"),
        ("placement", True, True, None, True, "skipped"),
        ("test-out", True, None, True, True, "failed"),  # F10
        ("test-out", False, None, True, True, "failed"),
        ("test-out", False, None, None, True, "none"),
        ("unit-test", True, None, None, True, "never"),
        ("unit-test", True, False, True, True, "never"),
        ("test-out", True, None, None, False, "none"),
    ],
)
def test_what_an_import_did_to_courses(
    lesson_type: str,
    imported: bool,
    skips: bool | None,
    failed: bool | None,
    finalized: bool,
    enrollment: str,
) -> None:
    told = Progress(lesson_type, "edulastic", 1, finalized, enrollment_failed=failed)
    assert enrollment_of(told, imported, skips) == enrollment


@pytest.mark.parametrize(
    ("change", "new"),
    [
        ({}, False),
        ({"attempt": 2}, True),
        ({"finalized": True}, True),
        ({"score": 1}, True),
        ({"correct": 1}, True),
        ({"answered": 1}, True),
        ({"enrollment_failed": True}, True),
        ({"tool_provider": "mastery-track"}, False),
    ],
)
def test_something_new_is_told_from_nothing_new(change: dict[str, Any], new: bool) -> None:
    assert is_new(OPEN, replace(OPEN, **change)) is new
    assert is_new(None, OPEN)


@pytest.mark.parametrize(
    ("told", "known", "state", "outcome", "wait"),
    [
        (OPEN, {}, "open", "pending", 15 * MINUTE),
        (OPEN, {"last": OPEN, "last_wait": 15 * MINUTE}, "open", "pending", 30 * MINUTE),
        (OPEN, {"last": OPEN, "last_wait": 300 * MINUTE}, "open", "pending", 360 * MINUTE),
        (OPEN, {"since": NOW - 30 * DAY}, "stale", "pending", None),
        (OPEN, {"since": NOW - 30 * DAY + MINUTE}, "open", "pending", 15 * MINUTE),
        (FINAL, {}, "final", "finalized_new", None),
        (FINAL, {"last": OPEN, "since": NOW - 90 * DAY}, "final", "finalized_new", None),
        (FINAL, {"last": FINAL}, "final", "finalized_already", None),
        (Failed("vendor_error", ""), {}, "open", "vendor_error", 15 * MINUTE),
        (Failed("vendor_error", ""), {"is_over": True}, "open", "vendor_error", 15 * MINUTE),
        (Failed("not_assigned", ""), {"is_over": True}, "gone", "not_assigned", None),
        (Failed("not_assigned", ""), {"last_wait": DAY}, "open", "not_assigned", 360 * MINUTE),
        (Failed("not_found", ""), {}, "open", "not_found", DAY),
        (Failed("not_found", ""), {"failures": 1}, "open", "not_found", DAY),
        (Failed("not_found", ""), {"failures": 2}, "quarantined", "not_found", DAY),
        (Failed("not_found", ""), {"since": NOW - 31 * DAY}, "stale", "not_found", None),
        (NotUnderstood("unknown_lesson_type", ""), {}, "refused", "unknown_lesson_type", None),
        (NotUnderstood("unknown_provider", ""), {}, "quarantined", "unknown_provider", DAY),
        (NotUnderstood("schema_drift", ""), {}, "quarantined", "schema_drift", DAY),
    ],
)
def test_how_a_pair_stands_after_a_poll(
    told: Any, known: dict[str, Any], state: str, outcome: str, wait: timedelta | None
) -> None:
    found = after(told, **known)
    assert (found.state, found.outcome) == (state, outcome)
    assert found.next_poll_at == (None if wait is None else NOW + wait)


def test_an_import_that_is_refused_says_so_though_progress_was_answered() -> None:
    found = standing(Known(), OPEN, NOW, WAITS, Failed("not_assigned", "PowerPath answered 422"))
    assert (found.state, found.outcome, found.failures) == ("open", "not_assigned", 0)
    assert found.reason == "PowerPath answered 422"


@pytest.mark.parametrize(
    ("status", "state"), [("assigned", "open"), ("in_progress", "open"), ("completed", "final")]
)
def test_an_attempt_that_is_still_to_come_is_waited_for(status: str, state: str) -> None:
    known = {"last": FINAL, "assignment_status": status}
    assert after(FINAL, **known).state == state


progresses = st.builds(
    Progress,
    st.sampled_from(LESSON_TYPES),
    st.sampled_from(PROVIDERS),
    st.integers(0, 3),
    st.booleans(),
    st.none() | st.floats(0, 100),
)
told = st.one_of(
    progresses,
    st.builds(Failed, st.sampled_from(["not_assigned", "not_found", "vendor_error"]), st.just("")),
    st.builds(
        NotUnderstood,
        st.sampled_from(["unknown_provider", "unknown_lesson_type", "schema_drift"]),
        st.just(""),
    ),
)
knowns = st.builds(
    Known,
    state=st.sampled_from(["open", "quarantined"]),
    assignment_status=st.sampled_from(["", "assigned", "completed"]),
    since=st.none() | st.datetimes(NOW - 60 * DAY, NOW),
    failures=st.integers(0, 5),
    last_wait=st.none() | st.timedeltas(timedelta(0), 10 * DAY),
    last=st.none() | progresses,
)


@given(told, knowns)
def test_a_pair_is_polled_again_within_bounds_or_never(told: Any, known: Known) -> None:
    found = standing(known, told, NOW, WAITS)
    waits = found.state in ("open", "quarantined")
    assert (found.next_poll_at is not None) is waits
    if found.next_poll_at is not None:
        wait = found.next_poll_at - NOW
        assert WAITS.first <= wait <= max(WAITS.most, WAITS.refused)
    if isinstance(told, Progress) and told.finalized and known.assignment_status != "assigned":
        assert found.state == "final"


@given(st.none() | st.timedeltas(timedelta(0), 10 * DAY), st.booleans())
def test_a_wait_lies_between_the_first_and_the_longest(
    last: timedelta | None, changed: bool
) -> None:
    wait = next_wait(last, changed, WAITS)
    assert WAITS.first <= wait <= WAITS.most
    assert not changed or wait == WAITS.first


def test_waits_double_until_the_longest() -> None:
    waits, last = [], None
    for _ in range(7):
        last = next_wait(last, False, WAITS)
        waits.append(last / MINUTE)
    assert waits == [15, 30, 60, 120, 240, 360, 360]
