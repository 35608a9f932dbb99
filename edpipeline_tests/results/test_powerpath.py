"""External tests: an attempt is one result, whoever's it is, and what is not final is listed."""

import json

import pytest

from edpipeline_tests.results.test_samples import assert_facts
from edpipeline_tests.results.uploads import SAMPLES, expected

FOLDER = SAMPLES / "powerpath"
MARTS = (
    "fct_assessment_result",
    "fct_external_test_question",
    "rpt_external_test_open",
    "rpt_unmatched_result",
)
ADVICE = {
    ("S002", "lesson-placement-ela"): "may have enrolled",
    ("S003", "lesson-test-out-math-8"): "has not finished",
    ("S004", "lesson-test-out-math-8"): "has not finished",
    ("S005", "lesson-placement-math-4"): "exempt",
    ("S006", "lesson-test-out-vocabulary"): "Enrolling the student in a course failed",
    ("S001", "lesson-placement-math-4"): "has not finished",
    ("S007", "lesson-quiz"): "No external test",
    ("S008", "lesson-alpha"): "toolProvider",
    ("S009", "lesson-gone"): "assign the test anew",
    ("S010", "lesson-test-out-math-8"): "never assigned",
    ("S011", "lesson-test-out-math-8"): "it is asked about again",
    ("S012", "lesson-missing"): "no such student or lesson",
}
"""What the report says of the pairs of the first poll that it lists."""


def poll(district, folder=FOLDER, day=0, **choices):
    """A poll lands and is loaded."""
    files = {path.name: path.read_bytes() for path in sorted(folder.glob("*.json*"))}
    return land(district, files, day, **choices)


def land(district, files, day, **choices):
    district.land(files, day, **({"match_on": "sourced_id"} | choices))
    report = district.load(day)
    assert report.status == "loaded", report.message
    assert sum(file.rejected for file in report.files) == 0
    return report


def attempts(district, columns, where="true"):
    """Rows of fct_external_test by student, lesson and attempt."""
    rows = district.query(
        f"select vendor_student_id, lesson_id, attempt, {columns} from marts.fct_external_test"
        f" where district_id = $district and {where}"
    )
    keys = ("vendor_student_id", "lesson_id", "attempt")
    return {tuple(row.pop(key) for key in keys): tuple(row.values()) for row in rows}


@pytest.fixture
def polled(uploads):
    """A district with its roster and one poll."""
    district = uploads("powerpath")
    district.roster()
    poll(district)
    district.refill(*MARTS)
    return district


def test_what_a_poll_brings_is_told_in_the_common_shape_and_in_marts_of_its_own(polled):
    assert_facts(polled.results(), expected("powerpath", "powerpath"))
    _matched_results_count_and_others_are_listed(polled)
    _attempts_are_as_the_vendor_has_them(polled)
    _questions_come_without_feedback(polled)
    _what_is_not_final_is_listed_with_what_to_do(polled)
    _the_next_poll_adds_attempts_and_ends_others(polled)


def _matched_results_count_and_others_are_listed(district):
    counted = district.query(
        "select student_id, count(*) as results, count(*) filter (where is_primary) as counting"
        " from marts.fct_assessment_result where district_id = $district"
        " group by student_id order by student_id"
    )
    assert [tuple(row.values()) for row in counted] == [
        ("S001", 3, 2),
        ("S002", 2, 1),
        ("S003", 1, 0),
        ("S004", 1, 0),
        ("S005", 1, 0),
        ("S006", 1, 0),
    ]
    unmatched = district.query(
        "select match_value, reject_reason, assessment_code from marts.rpt_unmatched_result"
        " where district_id = $district"
    )
    assert [tuple(row.values()) for row in unmatched] == [
        ("S999", "user_not_found", "external_unit_test:lesson-unit-math-5")
    ]


def _attempts_are_as_the_vendor_has_them(district):
    columns = "student_id, match_reason, is_current_attempt, score_status, score"
    found = attempts(district, columns)
    assert len(found) == 10
    assert found["S999", "lesson-unit-math-5", 1] == (None, "user_not_found", True, "scored", 75)
    assert found["S005", "lesson-placement-math-4", 1] == ("S005", None, True, "exempt", 40)
    assert found["S004", "lesson-test-out-math-8", 1] == ("S004", None, True, "not_attempted", 0)
    assert {key for key, row in found.items() if not row[2]} == {
        ("S002", "lesson-placement-ela", 1),
        ("S001", "lesson-placement-math-4", 1),
    }
    enrollments = attempts(district, "enrollment, enrollment_failed, question_count")
    assert enrollments["S002", "lesson-placement-ela", 1] == (None, False, 0)
    assert enrollments["S002", "lesson-placement-ela", 2] == ("possible", False, 0)
    assert enrollments["S006", "lesson-test-out-vocabulary", 1] == ("failed", True, 0)
    assert enrollments["S001", "lesson-unit-math-5", 1] == ("never", False, 4)


def _questions_come_without_feedback(district):
    questions = district.query(
        "select * from marts.fct_external_test_question where district_id = $district"
        " order by question_id"
    )
    shown = [
        (row["question_id"], row["answered"], row["correct"], row["score"]) for row in questions
    ]
    assert shown == [
        ("q-51", True, True, 100),
        ("q-52", True, True, 100),
        ("q-53", True, True, 50),
        ("q-54", True, True, 100),
        ("q-81", True, True, 100),
        ("q-82", True, True, 100),
        ("q-83", False, None, None),
        ("q-84", False, None, None),
    ]
    assert {row["student_id"] for row in questions} == {"S001", "S003"}
    kept = district.query(
        "select feedback from external_tests.current_question_results"
        " where district_id = $district and feedback is not null"
    )
    assert len(kept) == 1
    assert kept[0]["feedback"] not in json.dumps(questions, default=str)


def _what_is_not_final_is_listed_with_what_to_do(district):
    listed = district.query(
        "select vendor_student_id, lesson_id, state, next_poll_at, what_to_do"
        " from marts.rpt_external_test_open where district_id = $district"
    )
    advice = {(row["vendor_student_id"], row["lesson_id"]): row["what_to_do"] for row in listed}
    assert set(advice) == set(ADVICE)
    for key, words in ADVICE.items():
        assert words in advice[key], (key, advice[key])
    assert {row["state"] for row in listed if row["next_poll_at"] is None} == {
        "final",
        "stale",
        "refused",
        "quarantined",
        "gone",
    }


def _the_next_poll_adds_attempts_and_ends_others(district):
    before = attempts(district, "is_current_attempt")
    poll(district, FOLDER / "next", day=1)
    district.refill(*MARTS)
    found = attempts(district, "is_current_attempt, score_status, finalized, enrollment")
    assert set(found) - set(before) == {("S001", "lesson-unit-math-5", 2)}
    assert found["S001", "lesson-unit-math-5", 1] == (False, "scored", True, None)
    assert found["S001", "lesson-unit-math-5", 2] == (True, "partial", False, "never")
    assert found["S003", "lesson-test-out-math-8", 1] == (True, "scored", True, "skipped")
    listed = district.query(
        "select vendor_student_id, what_to_do from marts.rpt_external_test_open"
        " where district_id = $district"
        " and lesson_id in ('lesson-unit-math-5', 'lesson-test-out-math-8')"
        " order by vendor_student_id"
    )
    assert [row["vendor_student_id"] for row in listed] == ["S001", "S004", "S010", "S011"]
    assert "Every question is answered" in listed[0]["what_to_do"]
    # The year of an attempt without a day stays that of the delivery that first brought it.
    assert attempts(district, "school_year, term")["S004", "lesson-test-out-math-8", 1] == (
        2027,
        "fall",
    )


def record(number, **values):
    usual = {
        "student_id": f"S{number:03}",
        "lesson_id": "lesson",
        "attempt": 1,
        "tool_provider": "edulastic",
        "lesson_type": "unit-test",
        "subject": "Science",
        "finalized": True,
        "score": 80,
        "completed_at": "2026-03-02T17:00:00Z",
    }
    return usual | values


def lines_of(records):
    kept = [{key: value for key, value in each.items() if value is not None} for each in records]
    return "".join(json.dumps(each) + "\n" for each in kept).encode()


STATUSES = [
    ({}, "scored"),
    ({"score": 0, "answered_questions": 0}, "scored"),
    ({"score": None, "accuracy": 80}, "no_information"),
    ({"score_status": "Exempt"}, "exempt"),
    ({"finalized": False}, "partial"),
    ({"finalized": False, "score": 0, "answered_questions": 3}, "partial"),
    ({"finalized": False, "score": 0, "score_status": "partially graded"}, "partial"),
    ({"finalized": False, "score": 0, "score_status": "not submitted"}, "not_attempted"),
    ({"finalized": False, "score": 0}, "not_attempted"),
    ({"finalized": False, "score": None, "answered_questions": 3}, "no_information"),
    ({"finalized": False, "score": 0, "score_status": "submitted"}, "no_information"),
]
WORDS = [
    ({"subject": "FastMath", "grade": "0"}, ("math", "KG")),
    ({"subject": "mathematics", "grade": "-1"}, ("math", "PK")),
    ({"subject": "READING", "grade": "12"}, ("reading", "12")),
    ({"subject": "English Language Arts", "grade": "13"}, ("ela", None)),
    ({"subject": "Social Studies", "grade": "07"}, ("social_studies", "07")),
    ({"subject": "Vocabulary", "grade": "K"}, (None, "KG")),
    ({"subject": None, "grade": '["3"]'}, (None, "03")),
    ({"subject": "Writing", "grade": '["3","4"]'}, ("writing", None)),
    ({"lesson_type": "Unit Test", "grade": "Grade 4"}, ("science", "04")),
]
SHARES = [{"score": 0.75}, {"score": 1}, {"score": 0}]


def test_statuses_and_words_are_those_of_our_vocabulary(uploads):
    district = uploads("powerpath")
    cases = [case for case, _ in STATUSES] + [case for case, _ in WORDS]
    records = [record(number, **case) for number, case in enumerate(cases)]
    land(district, {"results.jsonl": lines_of(records)}, 0)
    found = district.results(
        "score_status, percent_correct, assessment_code, subject, grade_tested"
    )
    told = [row["score_status"] for row in found]
    assert told[: len(STATUSES)] == [status for _, status in STATUSES]
    assert all(
        (row["percent_correct"] is not None) == (status in ("scored", "partial"))
        for row, status in zip(found, told, strict=True)
    )
    words = [(row["subject"], row["grade_tested"]) for row in found[len(STATUSES) :]]
    assert words == [wanted for _, wanted in WORDS]
    assert {row["assessment_code"] for row in found} == {"external_unit_test:lesson"}


@pytest.mark.parametrize("warehouse", ["duckdb"], indirect=True)
def test_scores_that_may_be_shares_are_doubted_and_stay(uploads):
    district = uploads("powerpath")
    shares = [record(number, **values) for number, values in enumerate(SHARES)]
    land(district, {"results.jsonl": lines_of(shares)}, 0)
    others = [record(10 + number, score=score) for number, score in enumerate((1, 40))]
    land(district, {"results.jsonl": lines_of(others)}, 1)
    nothing = [record(20, score=0)]
    land(district, {"results.jsonl": lines_of(nothing)}, 2)
    district.refill(*MARTS)
    found = attempts(district, "score, is_scale_doubtful")
    doubted = {key[0]: row[0] for key, row in found.items() if row[1]}
    assert doubted == {"S000": 0.75, "S001": 1, "S002": 0}
    assert len(found) == 6
