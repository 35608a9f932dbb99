"""Days on which PowerPath is wrong, gone or slow, and runs that end in between."""

import json
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
    PROGRESS,
    RIGHT,
    SOURCE,
    STUDENT,
    Installation,
)

LINE = f"{STUDENT},{LESSON}"


@pytest.fixture
def made(installation: Installation) -> Installation:
    """A pair whose test is graded: the next import makes it final."""
    installation.vendors.heal()
    installation.vendors.lesson(LESSON, lesson_type="test-out", provider="edulastic")
    record = {"grade": "GRADED", "questions": [RIGHT, RIGHT]}
    installation.vendors.vendor(STUDENT, LESSON, edulastic=record)
    return installation.watch(LINE, **IMPORTS)


def lost(made: Installation, path: str, **fault: Any) -> None:
    made.vendors.inject(match={"path": path}, **fault)


@pytest.mark.parametrize(
    ("fault", "state", "outcome", "calls"),
    [
        # Without an answer it may be under way: the next poll tells.
        ({"drop_connection": True}, "open", "vendor_error", ["failed"]),
        ({"hang_s": 1}, "open", "vendor_error", ["failed"]),
        # It was not carried out: once more, in the same run.
        ({"status": 503}, "final", "finalized_new", ["failed", "answered"]),
        ({"status": 429}, "final", "finalized_new", ["failed", "answered"]),
        ({"status": 500, "times": 9}, "open", "vendor_error", ["failed", "failed"]),
        # It was carried out, and progress says so: never again.
        (
            {"drop_connection": True, "acts_first": True},
            *("final", "finalized_new", ["failed"]),
        ),
        ({"status": 500, "acts_first": True}, "final", "finalized_new", ["failed"]),
        ({"hang_s": 1, "acts_first": True}, "final", "finalized_new", ["failed"]),
        ({"html": True}, "open", "vendor_error", ["failed"]),
        # It is refused, and nobody knows for how long.
        ({"status": 404}, "open", "not_assigned", ["refused"]),
        ({"status": 400}, "open", "not_assigned", ["refused"]),
        ({"status": 422}, "open", "not_assigned", ["refused"]),
        ({"status": 302, "headers": {"Location": "/x"}}, "open", "not_assigned", ["refused"]),
    ],
)
def test_an_import_is_made_again_only_when_progress_says_that_nothing_was_done(
    made: Installation, fault: dict[str, Any], state: str, outcome: str, calls: list[str]
) -> None:
    lost(made, IMPORT, **fault)
    poll = made.poll()
    assert made.pair("state", "outcome") == (state, outcome)
    assert [outcome for (outcome,) in made.made("outcome")] == calls
    assert poll.imports == len(calls)
    assert len(made.told()["enrollments"]) == (state == "final")
    made.vendors.heal()
    made.poll(20)
    assert made.pair("state", "enrollment") == ("final", "possible")
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


@pytest.mark.parametrize("status", [500, 422])
def test_a_provider_that_is_down_is_asked_again_later(made: Installation, status: int) -> None:
    made.vendors.seed(world={"powerpath_vendor_error": status})
    made.vendors.vendor(STUDENT, LESSON, edulastic={"mode": "down"})
    made.poll()
    assert made.pair("state", "outcome") == (
        "open",
        "vendor_error" if status == 500 else "not_assigned",
    )
    made.vendors.vendor(STUDENT, LESSON, edulastic={"mode": "ok"})
    assert made.poll(20).became_final == 1


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ({"status": 404}, "not_found"),
        ({"status": 422}, "not_assigned"),
        ({"status": 500}, "vendor_error"),
        ({"drop_connection": True}, "vendor_error"),
        ({"html": True}, "schema_drift"),
        ({"status": 200, "body": []}, "schema_drift"),
        ({"status": 200, "body": {"lessonType": "test-out"}}, "schema_drift"),
    ],
)
def test_a_pair_without_progress_is_never_imported(
    made: Installation, fault: dict[str, Any], outcome: str
) -> None:
    lost(made, PROGRESS, times=None, **fault)
    poll = made.poll()
    assert (made.pair("outcome"), made.calls(IMPORT), poll.imports) == ((outcome,), 0, 0)
    made.vendors.heal()
    assert made.poll(25 * 60).became_final == 1


def test_who_is_not_found_three_times_is_put_before_people(made: Installation) -> None:
    lost(made, PROGRESS, times=None, status=404)
    states = []
    for days in range(4):
        made.poll(days * 24 * 60 + days)
        states += made.pair("state")
    assert states == ["open", "open", "quarantined", "quarantined"]
    made.vendors.heal()
    assert made.poll(5 * 24 * 60).became_final == 1


@pytest.mark.parametrize(
    ("change", "state", "reason"),
    [
        ({"provider": "AlphaTest"}, "quarantined", "unknown_provider"),
        ({"provider": None}, "quarantined", "unknown_provider"),
        ({"lesson_type": "quiz"}, "refused", "unknown_lesson_type"),
        ({"lesson_type": "powerpath-100"}, "refused", "unknown_lesson_type"),
    ],
)
def test_what_nobody_knows_is_kept_apart_and_not_imported(
    made: Installation, change: dict[str, Any], state: str, reason: str
) -> None:
    made.vendors.lesson(LESSON, **change)
    poll = made.poll()
    assert (made.pair("state", "outcome"), made.calls(IMPORT)) == ((state, reason), 0)
    assert (poll.refused, poll.quarantined) == (state == "refused", state == "quarantined")
    (record,) = made.rows("select record from external_tests.current_quarantine")[0]
    assert "unknown" in json.loads(record) and "CANARY" not in record
    made.vendors.lesson(LESSON, lesson_type="test-out", provider="edulastic")
    assert made.poll(25 * 60).became_final == (state == "quarantined")


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


def test_a_test_that_a_run_which_ended_made_final_is_not_taken_for_assigned_anew(
    made: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    made.vendors.seed(world={"powerpath_pairs": 0, "powerpath_odd_lessons": False})
    made.vendors.lesson(LESSON, lesson_type="test-out", provider="edulastic")
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


@pytest.mark.parametrize(("times", "state"), [(1, "final"), (2, "open"), (2000, "open")])
def test_what_is_final_is_asked_about_until_its_times_are_read(
    made: Installation, times: int, state: str
) -> None:
    lost(made, "getAttempts", status=503, times=times)
    made.poll()
    assert made.pair("state", "outcome") == (state, "finalized_new")
    for minutes in range(20, 20 * 60, 60):
        made.poll(minutes)
    assert made.pair("state", "next_poll_at") == ("final", None)
    found = made.rows(
        "select finalized, score, completed_at is not null, score_status is not null"
        " from external_tests.current_results"
    )
    assert found == [(True, 100, times < 2000, times < 2000)]
    assert made.calls(IMPORT) == 1


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


@pytest.mark.parametrize("status", [401, 403, 503])
@pytest.mark.parametrize(
    ("lesson_type", "grade", "before", "after"),
    [
        ("test-out", "GRADED", "possible", "possible"),
        ("test-out", "START", "none", "none"),
        ("unit-test", "GRADED", "never", "never"),
    ],
)
def test_an_enrollment_is_told_though_progress_cannot_be_read_after_the_import(
    made: Installation, status: int, lesson_type: str, grade: str, before: str, after: str
) -> None:
    made.vendors.lesson(LESSON, lesson_type=lesson_type)
    made.vendors.vendor(STUDENT, LESSON, edulastic={"grade": grade})
    lost(made, PROGRESS, status=status, skip=1, times=2)
    with nullcontext() if status == 503 else pytest.raises(BadCredentials):
        made.poll()
    assert made.made("outcome", "enrollment") == [("answered", before)]
    assert made.pair("state", "enrollment") == ("open", before)
    made.vendors.heal()
    only_reads = made.watch(LINE)
    only_reads.poll(25 * 60)
    assert only_reads.pair("enrollment") == (after,)
    assert only_reads.pair("state") == ("open" if grade == "START" else "final",)


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
