"""Days on which PowerPath is wrong, gone or slow, and runs that end in between."""

import json
from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any

import pytest

from edpipeline.errors import BadCredentials, Busy, EdpipelineError, Transient
from edpipeline.landing.store import FolderStore
from edpipeline.polling import account_works, check_accounts, poll, run
from edpipeline.polling.vendor import api_of, client_of
from edpipeline_tests.polling.installation import (
    DISTRICT,
    IMPORT,
    IMPORTS,
    LESSON,
    PATIENT,
    PROGRESS,
    RIGHT,
    SOURCE,
    STUDENT,
    Installation,
)

LINE = f"{STUDENT},{LESSON}"
TEST_OUT = {"lesson_type": "test-out", "provider": "edulastic"}


@pytest.fixture
def made(installation: Installation) -> Installation:
    """A pair whose test is graded: the next import makes it final."""
    return with_graded(installation, LESSON).watch(LINE, **IMPORTS)


def with_graded(made: Installation, *lessons: str) -> Installation:
    """The student has taken the tests of these lessons, and they are graded."""
    record = {"grade": "GRADED", "questions": [RIGHT, RIGHT]}
    for lesson in lessons:
        made.vendors.lesson(lesson, **TEST_OUT)
        made.vendors.vendor(STUDENT, lesson, edulastic=record)
    return made


def watching(made: Installation, lessons: Iterable[str], **changes: Any) -> Installation:
    """Poll the student's pairs with these lessons, however many of them fail."""
    return made.watch(*(f"{STUDENT},{lesson}" for lesson in lessons), **PATIENT, **changes)


def lost(made: Installation, path: str, lesson: str = "", **fault: Any) -> None:
    query = {"lesson": lesson} if lesson else {}
    made.vendors.inject(match={"path": path, "query": query}, **fault)


def test_an_import_is_made_again_only_when_progress_says_that_nothing_was_done(
    installation: Installation,
) -> None:
    cases: dict[str, tuple[dict[str, Any], str, str, list[str]]] = {
        # Without an answer it may be under way: the next poll tells.
        "dropped": ({"drop_connection": True}, "open", "vendor_error", ["failed"]),
        "hung": ({"hang_s": 1}, "open", "vendor_error", ["failed"]),
        # It was not carried out: once more, in the same run.
        "503": ({"status": 503}, "final", "finalized_new", ["failed", "answered"]),
        "429": ({"status": 429}, "final", "finalized_new", ["failed", "answered"]),
        "500": ({"status": 500, "times": 9}, "open", "vendor_error", ["failed", "failed"]),
        # It was carried out, and progress says so: never again.
        "dropped-done": (
            {"drop_connection": True, "acts_first": True},
            *("final", "finalized_new", ["failed"]),
        ),
        "500-done": ({"status": 500, "acts_first": True}, "final", "finalized_new", ["failed"]),
        "hung-done": ({"hang_s": 1, "acts_first": True}, "final", "finalized_new", ["failed"]),
        "html": ({"html": True}, "open", "vendor_error", ["failed"]),
        # It is refused, and nobody knows for how long.
        "404": ({"status": 404}, "open", "not_assigned", ["refused"]),
        "400": ({"status": 400}, "open", "not_assigned", ["refused"]),
        "422": ({"status": 422}, "open", "not_assigned", ["refused"]),
        "302": (
            {"status": 302, "headers": {"Location": "/x"}},
            *("open", "not_assigned", ["refused"]),
        ),
    }
    made = watching(with_graded(installation, *cases), cases, **IMPORTS)
    for lesson, (fault, *_) in cases.items():
        lost(made, IMPORT, lesson, **fault)
    poll = made.poll()
    assert made.pairs("state", "outcome") == {
        lesson: (state, outcome) for lesson, (_, state, outcome, _) in cases.items()
    }
    calls = made.made("lesson_id", "outcome")
    assert {lesson: [outcome for of, outcome in calls if of == lesson] for lesson in cases} == {
        lesson: outcomes for lesson, (*_, outcomes) in cases.items()
    }
    assert poll.imports == len(calls)
    enrolled = {lesson for lesson, (_, state, *_) in cases.items() if state == "final"}
    assert sorted(each["lesson"] for each in made.told()["enrollments"]) == sorted(enrolled)
    made.vendors.heal()
    made.poll(20)
    assert set(made.pairs("state", "enrollment").values()) == {("final", "possible")}
    assert made.poll(10_000).polled == 0


def test_an_import_that_was_carried_out_late_may_have_enrolled(made: Installation) -> None:
    lost(made, IMPORT, drop_connection=True)
    made.poll()
    assert made.pair("state", "enrollment") == ("open", "none")
    use = made.pipeline.district(DISTRICT).powerpath
    assert use is not None
    with client_of(api_of(SOURCE, use), use) as vendor:
        vendor.look_up("import_results", {"student_id": STUDENT, "lesson_id": LESSON})
    made.poll(20)
    assert made.pair("state", "enrollment") == ("final", "possible")
    assert made.made("outcome") == [("failed",)]


def test_a_provider_that_is_down_is_asked_again_later(made: Installation) -> None:
    made.vendors.vendor(STUDENT, LESSON, edulastic={"mode": "down"})
    for minutes, status, outcome in ((0, 500, "vendor_error"), (20, 422, "not_assigned")):
        made.vendors.seed(world={"powerpath_vendor_error": status})
        made.poll(minutes)
        assert made.pair("state", "outcome") == ("open", outcome)
    made.vendors.vendor(STUDENT, LESSON, edulastic={"mode": "ok"})
    assert made.poll(60).became_final == 1


def test_a_pair_without_progress_is_never_imported(installation: Installation) -> None:
    cases: dict[str, tuple[dict[str, Any], str]] = {
        "404": ({"status": 404}, "not_found"),
        "422": ({"status": 422}, "not_assigned"),
        "500": ({"status": 500}, "vendor_error"),
        "dropped": ({"drop_connection": True}, "vendor_error"),
        "html": ({"html": True}, "schema_drift"),
        "list": ({"status": 200, "body": []}, "schema_drift"),
        "half": ({"status": 200, "body": {"lessonType": "test-out"}}, "schema_drift"),
    }
    made = watching(with_graded(installation, *cases), cases, **IMPORTS)
    for lesson, (fault, _) in cases.items():
        lost(made, PROGRESS, lesson, times=None, **fault)
    poll = made.poll()
    assert made.pairs("outcome") == {lesson: (outcome,) for lesson, (_, outcome) in cases.items()}
    assert (made.calls(IMPORT), poll.imports) == (0, 0)
    made.vendors.heal()
    assert made.poll(25 * 60).became_final == len(cases)


def test_who_is_not_found_three_times_is_put_before_people(made: Installation) -> None:
    lost(made, PROGRESS, times=None, status=404)
    states = []
    for days in range(3):
        made.poll(days * 24 * 60 + days)
        states += made.pair("state")
    assert states == ["open", "open", "quarantined"]
    made.vendors.heal()
    assert made.poll(5 * 24 * 60).became_final == 1


def test_what_nobody_knows_is_kept_apart_and_not_imported(installation: Installation) -> None:
    cases: dict[str, tuple[dict[str, Any], str, str]] = {
        "alpha": ({"provider": "AlphaTest"}, "quarantined", "unknown_provider"),
        "nobody": ({"provider": None}, "quarantined", "unknown_provider"),
        "quiz": ({"lesson_type": "quiz"}, "refused", "unknown_lesson_type"),
        "100": ({"lesson_type": "powerpath-100"}, "refused", "unknown_lesson_type"),
    }
    made = watching(with_graded(installation, *cases), cases, **IMPORTS)
    for lesson, (change, *_) in cases.items():
        made.vendors.lesson(lesson, **change)
    poll = made.poll()
    assert made.pairs("state", "outcome") == {
        lesson: (state, reason) for lesson, (_, state, reason) in cases.items()
    }
    assert (poll.refused, poll.quarantined, made.calls(IMPORT)) == (2, 2, 0)
    found = made.rows("select lesson_id, record from external_tests.current_quarantine")
    assert {lesson for lesson, _ in found} == set(cases)
    for _, record in found:
        assert "unknown" in json.loads(record) and "CANARY" not in record
    for lesson in cases:
        made.vendors.lesson(lesson, **TEST_OUT)
    assert made.poll(25 * 60).became_final == 2
    assert {lesson for lesson, (state,) in made.pairs("state").items() if state == "refused"} == {
        *("quiz", "100")
    }


def test_a_token_that_ends_in_between_is_had_anew(made: Installation) -> None:
    lost(made, IMPORT, token_revoked=True)
    assert made.poll().became_final == 1
    assert made.made("outcome") == [("answered",)]


def test_who_may_not_import_is_told_after_what_was_done_is_loaded(made: Installation) -> None:
    made.vendors.seed(world={"powerpath_may_write": False})
    with pytest.raises(BadCredentials, match="403"):
        made.poll()
    assert made.made("outcome", "http_status") == [("refused", 403)]
    assert made.pair("outcome") == ("not_assigned",)
    (failed,) = made.rows("select count(*) from ops.sync_history where status = 'failed'")[0]
    assert failed == 1


def test_failures_in_a_row_stop_the_run_and_what_was_done_stays(made: Installation) -> None:
    lines = [f"S{number},{LESSON}" for number in range(101, 140)]
    many = made.watch(*lines, **IMPORTS, pace={"pairs_at_once": 40, "per_second": 1000})
    lost(many, PROGRESS, times=None, skip=5, status=503)
    with pytest.raises(Transient, match="10 failures in a row"):
        many.poll()
    (known,) = many.rows("select count(*) from external_tests.current_assignments")[0]
    assert 10 <= known < len(lines)
    made.vendors.heal()
    assert many.poll(1).polled == len(lines) - known


def test_after_imports_that_failed_in_a_row_nothing_more_is_imported(
    installation: Installation,
) -> None:
    lessons = [f"L{number:02}" for number in range(30)]
    with_graded(installation, *lessons)
    made = installation.watch(*(f"{STUDENT},{lesson}" for lesson in lessons), **IMPORTS)
    lost(made, IMPORT, times=None, status=503)
    with pytest.raises(Transient, match="10 failures in a row"):
        made.poll()
    tried = {lesson for (lesson,) in made.made("lesson_id")}
    assert 10 <= len(tried) <= 12
    assert len(made.pairs("state")) == len(lessons)


def test_a_run_that_ends_before_it_lands_has_told_what_it_meant_to_import(
    made: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run.Run, "_land", killed)
        with pytest.raises(KeyboardInterrupt):
            made.poll()
    assert made.rows("select * from external_tests.current_assignments") == []
    assert made.calls(IMPORT) == 1
    poll = made.poll(5)
    assert made.calls(IMPORT) == 1 and poll.imports == 1
    (call,) = made.made("outcome", "finalized", "enrollment", "called_by", "http_status")
    assert call == ("unknown", True, "possible", "sam@quillmere.example", None)
    assert made.pair("state", "enrollment") == ("final", "possible")
    assert made.poll(6).imports == 0


def test_imports_of_a_run_that_ended_stay_open_until_each_was_asked_about(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    lessons = [f"L{number:02}" for number in range(14)]
    with_graded(installation, *lessons)
    made = installation.watch(*(f"{STUDENT},{lesson}" for lesson in lessons), **IMPORTS)
    with monkeypatch.context() as patch:
        patch.setattr(run.Run, "_land", killed)
        with pytest.raises(KeyboardInterrupt):
            made.poll()
    lost(made, PROGRESS, times=None, status=503)
    with pytest.raises(Transient, match="10 failures in a row"):
        made.poll(5)
    made.vendors.heal()
    made.poll(10)
    assert made.made("outcome") == [("unknown",)] * len(lessons)
    assert set(made.pairs("state", "enrollment").values()) == {("final", "possible")}
    assert made.calls(IMPORT) == len(lessons)


def test_a_test_that_a_run_which_ended_made_final_is_not_taken_for_assigned_anew(
    made: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    made.vendors.seed(world={"powerpath_pairs": 0, "powerpath_odd_lessons": False})
    made.vendors.lesson(LESSON, **TEST_OUT)
    made.vendors.assign(STUDENT, LESSON, status="in_progress")
    made.vendors.vendor(STUDENT, LESSON, edulastic={"grade": "GRADED", "questions": [RIGHT]})
    listing = made.configure(**IMPORTS)
    with monkeypatch.context() as patch:
        patch.setattr(run.Run, "_land", killed)
        with pytest.raises(KeyboardInterrupt):
            listing.poll()
    listing.poll(5)
    assert listing.pair("state", "origins") == ("final", "test_assignments")
    made.vendors.assign(STUDENT, LESSON)
    listing.poll(20)
    assert listing.pair("state", "attempt") == ("open", 2)


def test_a_run_that_ends_before_it_loads_is_made_up_for(
    made: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edpipeline import uploading

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(uploading, "load", killed)
        with pytest.raises(KeyboardInterrupt):
            made.poll()
    asked = made.calls(PROGRESS)
    poll = made.poll(5)
    assert (made.calls(PROGRESS), poll.polled, len(poll.reports)) == (asked, 0, 1)
    assert made.pair("state") == ("final",)
    assert made.made("outcome") == [("answered",)]


def test_what_is_final_is_asked_about_until_its_times_are_read(installation: Installation) -> None:
    cases = {"at-once": (1, "final"), "later": (2, "open"), "never": (2000, "open")}
    made = with_graded(installation, *cases)
    made = watching(made, cases, **IMPORTS, waits={"first_minutes": 15, "most_minutes": 40})
    for lesson, (times, _) in cases.items():
        lost(made, "getAttempts", lesson, status=503, times=times)
    made.poll()
    assert made.pairs("state", "outcome") == {
        lesson: (state, "finalized_new") for lesson, (_, state) in cases.items()
    }
    asked = [made.poll(minutes).polled for minutes in (16, 47, 88, 129)]
    assert asked == [2, 1, 1, 0]
    assert set(made.pairs("state", "next_poll_at").values()) == {("final", None)}
    found = made.rows(
        "select lesson_id, finalized, score, completed_at is not null, score_status is not null"
        " from external_tests.current_results order by lesson_id"
    )
    assert found == [
        (lesson, True, 100, times < 2000, times < 2000)
        for lesson, (times, _) in sorted(cases.items())
    ]
    assert made.calls(IMPORT) == len(cases)


def test_an_earlier_attempt_is_asked_about_until_it_is_read(made: Installation) -> None:
    record = {"grade": "START", "questions": [RIGHT, {"answered": False}]}
    made.vendors.vendor(STUDENT, LESSON, edulastic=record)
    made.poll()
    graded = {"grade": "GRADED", "questions": [RIGHT, RIGHT]}
    made.vendors.vendor(STUDENT, LESSON, edulastic=graded)
    use = made.pipeline.district(DISTRICT).powerpath
    assert use is not None
    with client_of(api_of(SOURCE, use), use) as vendor:
        vendor.look_up("import_results", {"student_id": STUDENT, "lesson_id": LESSON})
    made.vendors.assign(STUDENT, LESSON)
    only_reads = made.watch(LINE)
    first = {"path": PROGRESS, "query": {"attempt": "1"}}
    made.vendors.inject(match=first, status=503, times=2)
    attempts = "select attempt, finalized, started_at is not null"
    attempts += " from external_tests.current_results order by attempt"
    only_reads.poll(60)
    assert only_reads.rows(attempts) == [(1, False, True), (2, False, False)]
    assert only_reads.pair("state", "outcome") == ("open", "vendor_error")
    only_reads.poll(80)
    assert only_reads.rows(attempts) == [(1, True, True), (2, False, False)]
    assert only_reads.pair("state", "outcome") == ("open", "pending")


def test_an_intent_is_written_before_its_imports_and_named_by_the_delivery(
    made: Installation,
) -> None:
    made.poll()
    store = made.pipeline.store
    assert isinstance(store, FolderStore)
    (key,) = store.list(f"powerpath/{DISTRICT}/intents/")
    name = key.rpartition("/")[2].removesuffix(".json")
    (call_id,) = made.made("call_id")[0]
    assert call_id == f"{name}-0"
    assert b"CANARY" not in store.read_bytes(key)


@pytest.mark.parametrize("lands", [True, False])
def test_what_a_run_did_that_ended_is_found_after_any_time(
    made: Installation, monkeypatch: pytest.MonkeyPatch, lands: bool
) -> None:
    from edpipeline import uploading

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(uploading if lands else run.Run, "load" if lands else "_land", killed)
        with pytest.raises(KeyboardInterrupt):
            made.poll()
    made.poll(20 * 24 * 60)
    assert made.made("outcome", "enrollment") == [
        ("answered" if lands else "unknown", "possible"),
    ]
    assert made.calls(IMPORT) == 1
    assert made.pair("state") == ("final",)


def test_padded_and_damaged_text_keeps_no_pair_from_its_table(made: Installation) -> None:
    listing = made.configure(**IMPORTS)
    record = {"sourcedId": "TA", "assignmentStatus": "in_progress", "testName": "A\u0000B"}
    record |= {"studentSourcedId": f"{STUDENT} ", "componentResourceSourcedId": LESSON}
    nobody = record | {"sourcedId": "TB", "studentSourcedId": "  "}
    answer = {"testAssignments": [record, nobody], "totalCount": 2, "pageCount": 1}
    lost(listing, "test-assignments", status=200, body=answer, times=None)
    question = {"id": "q1", "index": 0, "title": "T\u0000", "difficulty": "easy", "url": "x"}
    says = {"questions": [question, question | {"id": "q2", "title": "\\u0000"}]}
    made.vendors.vendor(STUDENT, LESSON, says=says | {"finalized": False})
    poll = listing.poll()
    assert poll.problems == ("1 test assignments name no student, or no lesson",)
    assert listing.pair("state", "test_name") == ("open", "AB")
    titles = "select title from external_tests.current_question_results order by question_id"
    assert listing.rows(titles) == [("T",), ("\\u0000",)]
    assert listing.poll(5).polled == 0


@pytest.mark.parametrize(
    ("status", "lessons"),
    [
        (503, ("test-out", "started", "unit")),
        # Here a person must act: the run stops, and imports nothing more.
        (401, ("test-out",)),
        (403, ("unit",)),
    ],
)
def test_an_enrollment_is_told_though_progress_cannot_be_read_after_the_import(
    installation: Installation, status: int, lessons: tuple[str, ...]
) -> None:
    cases = {
        "test-out": ("test-out", "GRADED", "possible", "final"),
        "started": ("test-out", "START", "none", "open"),
        "unit": ("unit-test", "GRADED", "never", "final"),
    }
    made = with_graded(installation, *lessons)
    for lesson in lessons:
        kind, grade, *_ = cases[lesson]
        made.vendors.lesson(lesson, lesson_type=kind)
        made.vendors.vendor(STUDENT, lesson, edulastic={"grade": grade})
        lost(made, PROGRESS, lesson, status=status, skip=1, times=2)
    made = watching(made, lessons, **IMPORTS)
    with nullcontext() if status == 503 else pytest.raises(BadCredentials):
        made.poll()
    enrollments = {lesson: cases[lesson][2] for lesson in lessons}
    assert sorted(made.made("lesson_id", "outcome", "enrollment")) == sorted(
        (lesson, "answered", told) for lesson, told in enrollments.items()
    )
    assert made.pairs("state", "enrollment") == {
        lesson: ("open", told) for lesson, told in enrollments.items()
    }
    made.vendors.heal()
    only_reads = watching(made, lessons)
    only_reads.poll(25 * 60)
    assert only_reads.pairs("state", "enrollment") == {
        lesson: (cases[lesson][3], told) for lesson, told in enrollments.items()
    }


def test_half_a_list_is_no_list(made: Installation) -> None:
    listing = made.configure(**IMPORTS)
    lost(listing, "test-assignments", status=503, times=None)
    with pytest.raises(Transient):
        listing.poll()
    assert listing.rows("select * from external_tests.current_assignments") == []
    assert listing.is_due(1)


def test_a_district_is_polled_by_one_run_at_a_time(made: Installation) -> None:
    with poll.alone(made.pipeline, DISTRICT, SOURCE), pytest.raises(Busy):
        made.poll()


def test_a_check_asks_for_one_record_and_changes_nothing(made: Installation) -> None:
    told = account_works(made.pipeline, DISTRICT, SOURCE)
    assert told.startswith("Account is working; results are imported")
    assert (made.calls(IMPORT), made.calls(PROGRESS)) == (0, 0)
    (call,) = [one for one in made.vendors.calls() if "test-assignments" in one["path"]]
    assert call["query"] == {"limit": "1", "offset": "0"}
    quiet = made.watch(LINE)
    assert "nothing is imported" in account_works(quiet.pipeline, DISTRICT, SOURCE)


def test_a_check_says_that_the_secret_is_wrong(
    made: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PP_SECRET", "CANARY-wrong")
    (found,) = check_accounts(made.pipeline, DISTRICT)
    assert not found.ok and "client id or the secret" in found.message
    with pytest.raises(EdpipelineError) as caught:
        made.poll()
    assert isinstance(caught.value, BadCredentials) and "CANARY" not in repr(caught.value)


def test_attempts_before_the_one_that_is_first_seen_are_read_once(
    installation: Installation,
) -> None:
    again = {"powerpath_pairs": 3, "powerpath_stage": "again", "powerpath_odd_lessons": False}
    installation.vendors.seed(world=again)
    made = installation.configure()
    polled = made.poll().polled
    attempts = made.rows(
        "select attempt, finalized, count(*) from external_tests.current_results"
        " group by attempt, finalized order by attempt"
    )
    assert attempts == [(1, True, polled), (2, False, polled)]
    assert made.calls(PROGRESS) == 2 * polled
    made.poll(20)
    assert made.calls(PROGRESS) == 3 * polled
