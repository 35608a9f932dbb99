"""Polls of a district, from the listing of its pairs to the tables."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from edpipeline.polling.vendor import api_of, client_of
from edpipeline.sandbox.vendors import Vendors
from edpipeline_tests.polling.installation import (
    DISTRICT,
    HALF,
    IMPORT,
    IMPORTS,
    LESSON,
    OPEN,
    OTHER,
    PROGRESS,
    RIGHT,
    SOURCE,
    STUDENT,
    UNGRADED,
    Installation,
    installed,
)

LINE = f"{STUDENT},{LESSON}"


def stage(
    made: Installation, provider: str = "edulastic", lesson: str = LESSON, **how: Any
) -> None:
    """A lesson, and a student who was assigned its test."""
    kind = {key: how.pop(key) for key in ("lesson_type", "track") if key in how}
    made.vendors.lesson(lesson, **{"lesson_type": "test-out", "provider": provider, **kind})
    made.vendors.assign(STUDENT, lesson, **how)


def imported_elsewhere(made: Installation, lesson: str = LESSON) -> None:
    """The learning application has the results stored itself."""
    use = made.pipeline.district(DISTRICT).powerpath
    assert use is not None
    with client_of(api_of(SOURCE, use), use) as client:
        client.look_up("import_results", {"student_id": STUDENT, "lesson_id": lesson})


def graded(
    made: Installation, *questions: dict[str, Any], grade: str = "GRADED", lesson: str = LESSON
) -> None:
    record = {"grade": grade, "questions": list(questions)}
    made.vendors.vendor(STUDENT, lesson, edulastic=record)


def lines(lessons: Iterable[str]) -> list[str]:
    """The student's lines of the watch list."""
    return [f"{STUDENT},{lesson}" for lesson in lessons]


def test_all_pairs_of_a_district_are_listed_polled_and_imported(
    vendors: Vendors, tmp_path: Path, warehouse_url: str
) -> None:
    with installed(tmp_path, vendors, warehouse_url) as empty:
        made = empty.configure(**IMPORTS, pace={"pairs_at_once": 10, "per_second": 1000})
        poll = made.poll()
        assert poll.due == poll.polled > 20
        assert len(poll.reports) >= 3 and poll.became_final and poll.imports
        truth = {(p["student"], p["lesson"]): p for p in made.vendors.pairs()}
        final = made.rows(
            "select student_id, lesson_id from external_tests.current_assignments"
            " where state = 'final'"
        )
        assert set(final) == {
            key for key, pair in truth.items() if pair["finalized"] and key in set(final)
        }
        assert len(final) == poll.became_final
        calls = made.calls(PROGRESS)
        assert made.poll(1).polled == 0
        assert made.calls(PROGRESS) == calls
        (scored,) = made.rows(
            "select count(*) from external_tests.current_results where finalized and score >= 0"
        )[0]
        assert scored >= len(final)


def test_a_test_at_edulastic_is_polled_until_it_is_graded(installation: Installation) -> None:
    rows: dict[str, tuple[str, list[dict[str, Any]], bool]] = {
        "E3": ("START", [], False),
        "E4": ("SUBMITTED", [RIGHT, OPEN], False),
        "E5": ("SUBMITTED", [RIGHT, UNGRADED], False),
        "E6": ("GRADED", [RIGHT, OPEN], False),
        "E7": ("GRADED", [RIGHT, HALF], True),
    }
    for row, (grade, questions, _) in rows.items():
        stage(installation, lesson=row)
        graded(installation, *questions, grade=grade, lesson=row)
    made = installation.watch(*lines(rows), **IMPORTS)
    poll = made.poll()
    assert (poll.became_final, poll.imports) == (1, 5)
    assert made.pairs("state", "outcome") == {
        row: ("final", "finalized_new") if final else ("open", "pending")
        for row, (_, _, final) in rows.items()
    }
    columns = "outcome", "http_status", "finalized", "finalized_before", "enrollment"
    assert sorted(made.made("lesson_id", *columns)) == [
        (row, "answered", 200, final, False, "possible" if final else "none")
        for row, (_, _, final) in rows.items()
    ]
    assert [each["lesson"] for each in made.told()["enrollments"]] == ["E7"]
    answered = made.rows("select lesson_id, answered_questions from external_tests.current_results")
    assert dict(answered) == {
        row: sum(one != OPEN for one in questions) for row, (_, questions, _) in rows.items()
    }


def test_a_test_at_mastery_track_is_polled_until_it_is_graded_and_processed(
    installation: Installation,
) -> None:
    processed = {"masteryTrackProcessed": True}
    rows: dict[str, tuple[dict[str, Any], bool]] = {
        "M2": ({}, False),
        "M3": ({"score": 50, "scoreStatus": "partially graded"}, False),
        "M4": ({"score": 50, "scoreStatus": "fully graded"}, False),
        "M5": ({"score": 50, "scoreStatus": "submitted", **processed}, False),
        "M6": ({"score": 50, "scoreStatus": "fully graded", **processed}, True),
        "M7": ({"scoreStatus": "exempt", **processed}, False),
    }
    for row, (write_back, _) in rows.items():
        stage(installation, "mastery-track", row)
        if write_back:
            back = write_back | {"questions": [RIGHT, HALF]}
            installation.vendors.vendor(STUDENT, row, mastery_track=back)
    made = installation.watch(*lines(rows), **IMPORTS)
    assert made.poll().became_final == 1
    month = 31 * 24 * 60
    assert made.poll(month).stale == 5
    assert made.pairs("state", "next_poll_at") == {
        row: ("final" if final else "stale", None) for row, (_, final) in rows.items()
    }
    assert made.poll(month + 1000).polled == 0


def test_what_is_final_is_never_imported_and_never_asked_again(
    installation: Installation,
) -> None:
    stage(installation)
    graded(installation, RIGHT)
    made = installation.watch(LINE, **IMPORTS)
    made.poll()
    assert made.poll(100_000).polled == 0
    assert (made.calls(IMPORT), made.calls(PROGRESS)) == (1, 2)
    with_another = made.watch(LINE, f"{OTHER},{LESSON}", **IMPORTS)
    assert with_another.poll(100_001).polled == 1


def test_what_somebody_else_made_final_is_read_and_not_imported(
    installation: Installation,
) -> None:
    stage(installation, lesson="E1")
    graded(installation, RIGHT, lesson="E1")
    stage(installation, "mastery-track", "M1")
    back = {"score": 100, "scoreStatus": "fully graded", "masteryTrackProcessed": True}
    installation.vendors.vendor(STUDENT, "M1", mastery_track={**back, "questions": [RIGHT]})
    made = installation.watch(*lines(("E1", "M1")), **IMPORTS)
    for row in ("E1", "M1"):
        imported_elsewhere(made, row)
    assert made.poll().became_final == 2
    assert made.pairs("enrollment") == {"E1": ("none",), "M1": ("none",)}
    assert (made.calls(IMPORT), made.made("call_id")) == (2, [])


def test_who_was_never_assigned_is_asked_about_until_somebody_assigns_it(
    installation: Installation,
) -> None:
    """Row F4."""
    installation.vendors.lesson(LESSON, lesson_type="test-out", provider="edulastic")
    installation.vendors.assign(STUDENT, LESSON, made=False)
    made = installation.watch(LINE, **IMPORTS)
    assert (made.poll().polled, made.poll(20).polled) == (1, 1)
    assert made.pair("state", "outcome") == ("open", "not_assigned")
    installation.vendors.assign(STUDENT, LESSON)
    graded(installation, RIGHT)
    made.poll(80)
    assert made.pair("state", "attempt") == ("final", 1)


def test_without_leave_nothing_is_imported_and_the_pair_says_why(
    installation: Installation,
) -> None:
    stage(installation)
    graded(installation, RIGHT)
    made = installation.watch(LINE)
    poll = made.poll()
    assert (poll.imports, made.calls(IMPORT)) == (0, 0)
    state, reason = made.pair("state", "reason")
    assert state == "open" and "allow_side_effects" in reason


def test_where_skipping_is_required_only_what_enrolls_nobody_is_imported(
    installation: Installation,
) -> None:
    cases = {
        "unsaid": ("placement", "", None),
        "enrolls": ("placement", "no", None),
        "skips": ("placement", "yes", "skipped"),
        "unit": ("unit-test", "", "never"),
    }
    for lesson, (kind, says, _) in cases.items():
        stage(installation, lesson=lesson, skip=says == "yes", lesson_type=kind)
        graded(installation, RIGHT, lesson=lesson)
    watched = [f"{STUDENT},{lesson},{says}" for lesson, (_, says, _) in cases.items()]
    made = installation.watch(*watched, **IMPORTS, require_skip_enrollment=True)
    expected = {lesson: told for lesson, (*_, told) in cases.items() if told}
    assert made.poll().imports == made.calls(IMPORT) == len(expected)
    assert dict(made.made("lesson_id", "enrollment")) == expected
    assert made.told()["enrollments"] == []


def test_what_an_import_did_to_courses_is_told(installation: Installation) -> None:
    cases = {
        "test-out": ({"lesson_type": "test-out"}, "", "possible"),
        "enrolls": ({"lesson_type": "placement"}, "no", "possible"),
        "skips": ({"lesson_type": "placement"}, "yes", "skipped"),
        "no-track": ({"lesson_type": "test-out", "track": "missing"}, "", "failed"),
        "unit": ({"lesson_type": "unit-test"}, "", "never"),
    }
    for lesson, (kind, says, _) in cases.items():
        stage(installation, lesson=lesson, skip=says == "yes", **kind)
        graded(installation, RIGHT, lesson=lesson)
    watched = [f"{STUDENT},{lesson},{says}" for lesson, (_, says, _) in cases.items()]
    made = installation.watch(*watched, **IMPORTS)
    poll = made.poll()
    told = {lesson: (enrollment,) for lesson, (*_, enrollment) in cases.items()}
    assert made.pairs("enrollment") == told
    assert {lesson: (says,) for lesson, says in made.made("lesson_id", "enrollment")} == told
    assert (poll.enrollments_possible, poll.enrollments_failed) == (2, 1)
    enrolled = {each["lesson"] for each in made.told()["enrollments"]}
    assert enrolled == {"test-out", "enrolls"}


def test_polls_wait_longer_while_nothing_comes_and_begin_anew_when_something_does(
    installation: Installation,
) -> None:
    stage(installation)
    made = installation.watch(LINE, **IMPORTS, waits={"first_minutes": 15, "most_minutes": 40})
    at = 0
    for wait in (15, 30, 40, 40):
        assert made.poll(at).polled == 1
        assert made.poll(at + wait - 1).polled == 0
        at += wait + 1
    graded(installation, RIGHT, OPEN, grade="SUBMITTED")
    assert made.poll(at).polled == 1
    assert made.poll(at + 14).polled == 0
    assert made.poll(at + 16).polled == 1


def test_a_new_assignment_reopens_a_final_pair_and_its_attempt_is_a_new_row(
    installation: Installation,
) -> None:
    installation.vendors.seed(world={"powerpath_pairs": 0, "powerpath_odd_lessons": False})
    stage(installation)
    graded(installation, RIGHT, HALF)
    made = installation.configure(**IMPORTS)
    assert made.poll().became_final == 1
    assert made.pair("state", "attempt") == ("final", 1)
    installation.vendors.assign(STUDENT, LESSON)
    assert made.poll(60).polled == 1
    assert made.pair("state", "attempt") == ("open", 2)
    graded(installation, RIGHT, RIGHT)
    assert made.poll(120).became_final == 1
    found = made.rows(
        "select attempt, finalized, score from external_tests.current_results order by attempt"
    )
    assert found == [(1, True, 75.0), (2, True, 100.0)]


def test_a_test_that_is_assigned_anew_is_asked_about_until_the_student_begins_it(
    installation: Installation,
) -> None:
    installation.vendors.seed(world={"powerpath_pairs": 0, "powerpath_odd_lessons": False})
    stage(installation)
    graded(installation, RIGHT)
    made = installation.configure(**IMPORTS)
    made.poll()
    installation.vendors.assign(STUDENT, LESSON, made=False, status="assigned")
    for hours in (1, 16):
        assert made.poll(60 * hours).polled == 1
        assert made.pair("state", "reason") == ("open", "a new attempt is assigned")
    installation.vendors.assign(STUDENT, LESSON, listed=False)
    graded(installation, RIGHT, HALF)
    assert made.poll(60 * 24).became_final == 1
    assert made.pair("state", "attempt") == ("final", 2)


def test_assignments_that_ended_are_looked_at_once_more_and_never_imported(
    installation: Installation,
) -> None:
    installation.vendors.seed(world={"powerpath_pairs": 0, "powerpath_odd_lessons": False})
    ends = ("failed", "expired", "cancelled")
    for status in ends:
        stage(installation, lesson=status, status=status)
    made = installation.configure(**IMPORTS)
    assert made.poll().polled == 3
    assert made.pairs("state", "assignment_status", "outcome") == {
        status: ("gone", status, "pending") for status in ends
    }
    assert made.poll(10_000).polled == 0
    assert (made.calls(PROGRESS), made.calls(IMPORT)) == (3, 0)


def test_a_test_that_became_final_before_it_was_listed_as_failed_keeps_its_score(
    installation: Installation,
) -> None:
    installation.vendors.seed(world={"powerpath_pairs": 0, "powerpath_odd_lessons": False})
    stage(installation)
    made = installation.configure()
    made.poll()
    graded(installation, RIGHT, HALF)
    imported_elsewhere(made)
    assignment = {
        "sourcedId": "TA-1",
        "studentSourcedId": STUDENT,
        "componentResourceSourcedId": LESSON,
        "assignmentStatus": "failed",
    }
    body = {"totalCount": 1, "testAssignments": [assignment]}
    made.vendors.inject(match={"path": "test-assignments"}, status=200, body=body)
    assert made.poll(1).polled == 1
    assert made.pair("state", "assignment_status") == ("final", "failed")
    assert made.rows("select finalized, score from external_tests.current_results") == [(True, 75)]


def test_the_gradebook_names_the_pairs_too(installation: Installation) -> None:
    made = installation.configure(pairs_from=["gradebook", "test_assignments"])
    poll = made.poll()
    origins = dict(
        made.rows(
            "select origins, count(*) from external_tests.current_assignments group by origins"
        )
    )
    assert set(origins) <= {"test_assignments|gradebook", "gradebook", "test_assignments"}
    assert origins["test_assignments|gradebook"] and poll.polled
    (kinds,) = made.rows(
        "select count(*) from external_tests.current_assignments"
        " where lesson_type in ('quiz', 'powerpath-100') and origins = 'gradebook'"
    )[0]
    assert kinds == 0


def test_of_the_watch_list_a_bad_line_is_told_and_the_others_count(
    installation: Installation,
) -> None:
    stage(installation)
    made = installation.watch(f"{LINE},maybe", ",CR-1", f"{LINE},yes", "a,b,c,d", "", f"{LINE},no")
    poll = made.poll()
    assert poll.problems == (
        "watch list, line 2: skip_enrollment is neither yes nor no",
        "watch list, line 3: student_id is blank",
        "watch list, line 5: has 4 cells, the header 3",
    )
    assert made.pair("skip_enrollment", "origins") == (False, "watch_list")
    made.watch(f"{OTHER},{LESSON}").poll(1)
    assert made.pair("state", "next_poll_at") == ("gone", None)
    assert made.watch(LINE).poll(2).polled == 1


def test_only_students_of_the_roster_are_polled(installation: Installation) -> None:
    made = installation.configure(students="roster")
    poll = made.poll()
    assert (poll.polled, poll.due) == (0, 0) and poll.not_in_roster > 20
    assert "roster has no students yet" in poll.problems[0]
    listed = poll.not_in_roster
    student = made.vendors.pairs()[0]["student"]
    with made.pipeline.warehouse.transaction() as session:
        session.run("create schema if not exists marts")
        session.run(
            "create table marts.dim_student_identifier as select $district as district_id,"
            " 'sourced_id' as match_field, $student as match_value",
            district=DISTRICT,
            student=student,
        )
    poll = made.poll(20)
    assert (poll.problems, poll.not_in_roster) == ((), listed - poll.polled)
    known = made.rows("select distinct student_id from external_tests.current_assignments")
    assert known == [(student,)]
    everybody = made.configure()
    assert everybody.poll(40).polled > 20
    calls = made.calls(PROGRESS)
    asked = made.configure(students="roster").poll(1000).polled
    assert asked <= poll.polled and made.calls(PROGRESS) - calls <= 2 * asked


def test_a_pair_that_comes_back_to_the_watch_list_is_polled_for_as_long_as_a_new_one(
    installation: Installation,
) -> None:
    stage(installation)
    day = 24 * 60
    installation.watch(LINE).poll()
    installation.watch(f"{OTHER},{LESSON}").poll(20)
    again = installation.watch(LINE)
    again.poll(40 * day)
    assert again.pair("state") == ("open",)
    assert again.poll(60 * day).polled == 1
    assert again.pair("state") == ("open",)
    again.poll(71 * day)
    assert again.pair("state") == ("stale",)


def test_odd_numbers_are_held_as_they_are_compared(installation: Installation) -> None:
    whole = {"correctQuestions": 1.0, "totalQuestions": 2.0, "attempt": 1.0}
    cases: dict[str, tuple[dict[str, Any], float | None]] = {
        "more": ({"score": 105.5}, None),
        "less": ({"score": -1}, None),
        "whole": (whole, 50.0),
        "long": ({"score": 33.333333333333336}, 33.333333333333336),
    }
    for lesson, (says, _) in cases.items():
        stage(installation, lesson=lesson)
        graded(installation, RIGHT, OPEN, grade="START", lesson=lesson)
        installation.vendors.vendor(STUDENT, lesson, says=says)
    made = installation.watch(*lines(cases), **IMPORTS)
    made.poll()
    changed = made.pairs("changed_at")
    assert made.poll(20).polled == 4
    assert made.pairs("changed_at") == changed
    columns = "lesson_id, score, correct_questions, total_questions"
    found = made.rows(f"select {columns} from external_tests.current_results order by lesson_id")
    assert found == sorted((lesson, score, 1, 2) for lesson, (_, score) in cases.items())


def test_who_is_not_polled_any_more_is_not_due(installation: Installation) -> None:
    stage(installation)
    installation.watch(LINE).poll()
    made = installation.watch(LINE, students="roster")
    assert made.poll(60).polled == 0
    assert not made.is_due(65)
    assert installation.watch(LINE).is_due(65)


def test_feedback_is_kept_only_where_the_district_wants_it(installation: Installation) -> None:
    for lesson in ("kept", "not"):
        stage(installation, lesson=lesson)
        questions = {"score": 1, "feedback": "Well done"}, {"score": 0, "feedback": "No"}
        graded(installation, *questions, lesson=lesson)
        installation.watch(*lines([lesson]), **IMPORTS, keep_feedback=lesson == "kept").poll()
    found = installation.rows(
        "select lesson_id, count(feedback) from external_tests.current_question_results group by 1"
    )
    assert dict(found) == {"kept": 2, "not": 0}


def test_a_poll_is_due_by_its_pairs_or_by_the_age_of_the_list(installation: Installation) -> None:
    made = installation.watch(LINE)
    stage(installation)
    assert made.is_due()
    made.poll()
    assert [made.is_due(minutes) for minutes in (5, 14, 16)] == [False, False, True]
