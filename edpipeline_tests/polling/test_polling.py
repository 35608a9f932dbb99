"""Polls of a district, from the listing of its pairs to the tables."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

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


def stage(made: Installation, provider: str = "edulastic", **how: Any) -> None:
    """A lesson, and a student who was assigned its test."""
    kind = {key: how.pop(key) for key in ("lesson_type", "track") if key in how}
    made.vendors.lesson(LESSON, **{"lesson_type": "test-out", "provider": provider, **kind})
    made.vendors.assign(STUDENT, LESSON, **how)


def imported_elsewhere(made: Installation) -> None:
    """The learning application has the results stored itself."""
    use = made.pipeline.district(DISTRICT).powerpath
    assert use is not None
    with client_of(api_of(SOURCE, use), use) as client:
        client.look_up("import_results", {"student_id": STUDENT, "lesson_id": LESSON})


def graded(made: Installation, *questions: dict[str, Any], grade: str = "GRADED") -> None:
    record = {"grade": grade, "questions": list(questions)}
    made.vendors.vendor(STUDENT, LESSON, edulastic=record)


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


@pytest.mark.parametrize(
    ("grade", "questions", "final"),
    [
        pytest.param("START", [], False, id="E3"),
        pytest.param("SUBMITTED", [RIGHT, OPEN], False, id="E4"),
        pytest.param("SUBMITTED", [RIGHT, UNGRADED], False, id="E5"),
        pytest.param("GRADED", [RIGHT, OPEN], False, id="E6"),
        pytest.param("GRADED", [RIGHT, HALF], True, id="E7"),
    ],
)
def test_a_test_at_edulastic_is_polled_until_it_is_graded(
    installation: Installation, grade: str, questions: list[dict[str, Any]], final: bool
) -> None:
    stage(installation)
    graded(installation, *questions, grade=grade)
    made = installation.watch(LINE, **IMPORTS)
    poll = made.poll()
    assert (poll.became_final, poll.imports) == (final, 1)
    assert made.pair("state", "outcome") == (
        ("final", "finalized_new") if final else ("open", "pending")
    )
    (found,) = made.made("outcome", "http_status", "finalized", "finalized_before", "enrollment")
    assert found == ("answered", 200, final, False, "possible" if final else "none")
    assert len(made.told()["enrollments"]) == final
    answered = made.rows("select answered_questions from external_tests.current_results")
    assert answered == [(sum(one != OPEN for one in questions),)]


@pytest.mark.parametrize(
    ("write_back", "final"),
    [
        pytest.param({}, False, id="M2"),
        pytest.param({"score": 50, "scoreStatus": "partially graded"}, False, id="M3"),
        pytest.param({"score": 50, "scoreStatus": "fully graded"}, False, id="M4"),
        pytest.param(
            {"score": 50, "scoreStatus": "submitted", "masteryTrackProcessed": True},
            *(False,),
            id="M5",
        ),
        pytest.param(
            {"score": 50, "scoreStatus": "fully graded", "masteryTrackProcessed": True},
            *(True,),
            id="M6",
        ),
        pytest.param({"scoreStatus": "exempt", "masteryTrackProcessed": True}, False, id="M7"),
    ],
)
def test_a_test_at_mastery_track_is_polled_until_it_is_graded_and_processed(
    installation: Installation, write_back: dict[str, Any], final: bool
) -> None:
    stage(installation, "mastery-track")
    if write_back:
        back = write_back | {"questions": [RIGHT, HALF]}
        installation.vendors.vendor(STUDENT, LESSON, mastery_track=back)
    made = installation.watch(LINE, **IMPORTS)
    assert made.poll().became_final == final
    month = 31 * 24 * 60
    assert made.poll(month).stale == (not final)
    assert made.pair("state", "next_poll_at") == ("final" if final else "stale", None)
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


@pytest.mark.parametrize("provider", ["edulastic", "mastery-track"])
def test_what_somebody_else_made_final_is_read_and_not_imported(
    installation: Installation, provider: str
) -> None:
    """Rows E1 and M1."""
    stage(installation, provider)
    if provider == "edulastic":
        graded(installation, RIGHT)
    else:
        back = {"score": 100, "scoreStatus": "fully graded", "masteryTrackProcessed": True}
        installation.vendors.vendor(STUDENT, LESSON, mastery_track={**back, "questions": [RIGHT]})
    made = installation.watch(LINE, **IMPORTS)
    imported_elsewhere(made)
    assert (made.poll().became_final, made.pair("enrollment")) == (1, ("none",))
    assert (made.calls(IMPORT), made.made("call_id")) == (1, [])


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


@pytest.mark.parametrize(
    ("kind", "says", "enrollment", "imports"),
    [
        ({"lesson_type": "placement"}, "", None, 0),
        ({"lesson_type": "placement"}, "no", None, 0),
        ({"lesson_type": "placement"}, "yes", "skipped", 1),
        ({"lesson_type": "unit-test"}, "", "never", 1),
    ],
)
def test_where_skipping_is_required_only_what_enrolls_nobody_is_imported(
    installation: Installation,
    kind: dict[str, Any],
    says: str,
    enrollment: str | None,
    imports: int,
) -> None:
    stage(installation, skip=says == "yes", **kind)
    graded(installation, RIGHT)
    made = installation.watch(f"{LINE},{says}", **IMPORTS, require_skip_enrollment=True)
    assert made.poll().imports == imports == made.calls(IMPORT)
    assert made.made("enrollment") == [(enrollment,)] * imports
    assert made.told()["enrollments"] == []


@pytest.mark.parametrize(
    ("kind", "skip", "enrollment"),
    [
        ({"lesson_type": "test-out"}, "", "possible"),
        ({"lesson_type": "placement"}, "no", "possible"),
        ({"lesson_type": "placement"}, "yes", "skipped"),
        ({"lesson_type": "test-out", "track": "missing"}, "", "failed"),
        ({"lesson_type": "unit-test"}, "", "never"),
    ],
)
def test_what_an_import_did_to_courses_is_told(
    installation: Installation, kind: dict[str, Any], skip: str, enrollment: str
) -> None:
    stage(installation, skip=skip == "yes", **kind)
    graded(installation, RIGHT)
    made = installation.watch(f"{LINE},{skip}", **IMPORTS)
    poll = made.poll()
    assert made.pair("enrollment") == made.made("enrollment")[0] == (enrollment,)
    assert poll.enrollments_possible == (enrollment == "possible")
    assert poll.enrollments_failed == (enrollment == "failed")
    assert len(made.told()["enrollments"]) == (enrollment == "possible")


def test_polls_wait_longer_while_nothing_comes_and_begin_anew_when_something_does(
    installation: Installation,
) -> None:
    stage(installation)
    made = installation.watch(LINE, **IMPORTS)
    asked = []
    for minutes in range(0, 16 * 60, 10):
        if made.is_due(minutes) and made.poll(minutes).polled:
            asked.append(minutes)
    assert asked[:2] == [0, 20] and 4 <= len(asked) <= 7
    waits = [after - before for before, after in pairwise(asked)]
    assert waits == sorted(waits)
    last = asked[-1] + 700
    graded(installation, RIGHT, OPEN, grade="SUBMITTED")
    assert made.poll(last).polled == 1
    assert made.poll(last + 14).polled == 0
    assert made.poll(last + 16).polled == 1


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
    for hours in (1, 2, 8, 16):
        assert made.poll(60 * hours).polled == 1
        assert made.pair("state", "reason") == ("open", "a new attempt is assigned")
    installation.vendors.assign(STUDENT, LESSON, listed=False)
    graded(installation, RIGHT, HALF)
    assert made.poll(60 * 24).became_final == 1
    assert made.pair("state", "attempt") == ("final", 2)


@pytest.mark.parametrize("status", ["failed", "expired", "cancelled"])
def test_assignments_that_ended_are_looked_at_once_more_and_never_imported(
    installation: Installation, status: str
) -> None:
    installation.vendors.seed(world={"powerpath_pairs": 0, "powerpath_odd_lessons": False})
    stage(installation, status=status)
    made = installation.configure(**IMPORTS)
    assert made.poll().polled == 1
    assert made.pair("state", "assignment_status", "outcome") == ("gone", status, "pending")
    assert made.poll(10_000).polled == 0
    assert (made.calls(PROGRESS), made.calls(IMPORT)) == (1, 0)


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


@pytest.mark.parametrize(
    ("says", "held"),
    [
        ({"score": 105.5}, (None, 1, 2)),
        ({"score": -1}, (None, 1, 2)),
        ({"correctQuestions": 1.0, "totalQuestions": 2.0, "attempt": 1.0}, (50.0, 1, 2)),
        ({"score": 33.333333333333336}, (33.333333333333336, 1, 2)),
    ],
)
def test_odd_numbers_are_held_as_they_are_compared(
    installation: Installation, says: dict[str, Any], held: tuple[Any, ...]
) -> None:
    stage(installation)
    graded(installation, RIGHT, OPEN, grade="START")
    installation.vendors.vendor(STUDENT, LESSON, says=says)
    made = installation.watch(LINE, **IMPORTS)
    made.poll()
    (changed,) = made.pair("changed_at")
    assert made.poll(20).polled == 1
    assert made.pair("changed_at") == (changed,)
    columns = "score, correct_questions, total_questions"
    assert made.rows(f"select {columns} from external_tests.current_results") == [held]


def test_who_is_not_polled_any_more_is_not_due(installation: Installation) -> None:
    stage(installation)
    installation.watch(LINE).poll()
    made = installation.watch(LINE, students="roster")
    assert made.poll(60).polled == 0
    assert not made.is_due(65)
    assert installation.watch(LINE).is_due(65)


@pytest.mark.parametrize(("kept", "found"), [(True, 2), (False, 0)])
def test_feedback_is_kept_only_where_the_district_wants_it(
    installation: Installation, kept: bool, found: int
) -> None:
    stage(installation)
    graded(installation, {"score": 1, "feedback": "Well done"}, {"score": 0, "feedback": "No"})
    made = installation.watch(LINE, **IMPORTS, keep_feedback=kept)
    made.poll()
    (rows,) = made.rows("select count(feedback) from external_tests.current_question_results")
    assert rows == (found,)


def test_a_poll_is_due_by_its_pairs_or_by_the_age_of_the_list(installation: Installation) -> None:
    made = installation.watch(LINE)
    stage(installation)
    assert made.is_due()
    made.poll()
    assert [made.is_due(minutes) for minutes in (5, 14, 16)] == [False, False, True]
