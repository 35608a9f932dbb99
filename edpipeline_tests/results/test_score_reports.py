"""Score reports: whose they are, how many students of a school have any, of whom it is unknown."""

import pytest

from edpipeline_tests.district import District, enrollment, files, rows, student
from edpipeline_tests.results.test_powerpath import lines_of
from edpipeline_tests.results.uploads import SAMPLES, Uploads
from edpipeline_tests.some_marts import broken_claims_of_some

MARTS = ("fct_score_report", "rpt_score_report_coverage", "rpt_score_report_open")
FOLDER = SAMPLES / "score_reports"
NUMBERS = {5: "", 6: "{SSID:90000001}", 10: "{SSID:9000000109}", 18: "{SSID:9000000101}"}
"""User ids of the students whose SSID is not 9000000100 and their number."""
OPEN = {
    "S004": ("forbidden", 403, 1, "CALPADS"),
    "S005": ("skipped_no_ssid", None, 0, "enter it in the SIS"),
    "S006": ("skipped_bad_ssid", None, 0, "exactly ten digits"),
    "S007": ("not_found", 404, 0, "correct it in the SIS"),
    "S008": ("server_error", 500, 0, "it is asked again"),
    "S011": ("ssid_changed", None, 0, "entered or corrected"),
    "S012": ("never_asked", None, 0, "new"),
    "S013": ("schema_drift", 200, 0, "shape that is not known"),
    "S014": ("bad_request", 400, 0, "endpoints"),
    "S015": ("rate_limited", 429, 0, "too fast"),
    "S016": ("skipped_no_configuration", None, 0, "name the school"),
}
"""Outcome, status, reports known from before, and words of the advice."""


def roster(district: Uploads, night: int, *, last: int = 18, **changed: str) -> None:
    """The roster of a night: students S001 up to a last one, the first six in another school."""
    found = rows(0) | {"users": [], "enrollments": []}
    for n in range(1, last + 1):
        ids = changed.get(f"S{n:03}", NUMBERS.get(n, f"{{SSID:{9000000100 + n}}}"))
        school = "0101" if n <= 6 or n > 16 else "0102"
        found["users"].append(student(n, school, userIds=ids))
        found["enrollments"].append(enrollment(f"S{n:03}", "C1"))
    place = District(district.warehouse, district.folder, district_id=district.district_id)
    report = place.night(night, files(found))
    assert report.applied, report.message


def asked(district: Uploads, folder=FOLDER, day=0, match_on="state_user_id") -> None:
    """A night's requests land and are loaded."""
    found = {path.name: path.read_bytes() for path in sorted(folder.glob("*.json*"))}
    land(district, found, day, match_on)


def land(district: Uploads, found, day=0, match_on="state_user_id") -> None:
    district.land(found, day, match_on=match_on)
    report = district.load(day)
    assert report.status == "loaded", report.message
    district.refill(*MARTS)


@pytest.fixture
def district(uploads) -> Uploads:
    """Students S001 to S016 of today, S017 and S018 who left, and one night of requests."""
    made = uploads("score_reports")
    roster(made, 0)
    roster(made, 1, last=16)
    asked(made, day=1)
    return made


def claims_hold(district: Uploads) -> None:
    assert broken_claims_of_some(district.warehouse, district.district_id, *MARTS) == {}


def reports(district: Uploads, columns: str) -> dict[tuple, tuple]:
    """Rows of fct_score_report by student, SSID's end, type, language, year and content area."""
    found = district.query(
        "select student_id, right(ssid, 2) as ssid, report_type, language, report_year,"
        f" content_area, {columns} from marts.fct_score_report where district_id = $district"
    )
    rows = [tuple(row.values()) for row in found]
    return {row[:6]: row[6:] for row in rows}


def unknown(district: Uploads) -> dict[str, dict]:
    found = district.query(
        "select * from marts.rpt_score_report_open where district_id = $district"
    )
    return {row["student_id"]: row for row in found}


def coverage(district: Uploads) -> dict[tuple, tuple]:
    found = district.query(
        "select school_id, report_type, language, report_year, students, students_with_ssid,"
        " students_answered, students_with_report, answered_with_report, share_of_answered"
        " from marts.rpt_score_report_coverage where district_id = $district"
    )
    rows = [tuple(row.values()) for row in found]
    return {row[:4]: row[4:] for row in rows}


def test_reports_are_those_of_students_and_what_is_unknown_is_listed(district):
    _a_report_stands_with_whom_the_roster_gives_its_ssid(district)
    _kinds_and_grades_are_told_in_words(district)
    _what_is_not_known_is_listed_with_what_to_do(district)
    _a_school_without_a_report_has_a_row(district)
    claims_hold(district)
    _the_next_night_adds_reports_and_ends_others(district)
    claims_hold(district)


def _a_report_stands_with_whom_the_roster_gives_its_ssid(district):
    found = reports(district, "is_current_student, is_ssid_shared, school_id")
    assert len(found) == 12
    charter = ("09", "CAASPP", "EN", 2025, None)
    assert found["S009", *charter] == found["S010", *charter] == (True, True, "0102")
    # S018, who left, had the number of S001 too.
    assert found["S001", "01", "CAASPP", "EN", 2025, None] == (True, False, "0101")
    assert found["S017", "17", "CAASPP", "EN", 2025, None] == (False, False, "0101")
    assert found[None, "99", "LEXQUAN", "EN", 2025, None] == (False, False, None)
    assert {key[0] for key in found} == {
        "S001",
        "S002",
        "S003",
        "S004",
        "S009",
        "S010",
        "S017",
        None,
    }


def _kinds_and_grades_are_told_in_words(district):
    found = reports(district, "report_name, language_name, grade, grade_given, type_given")
    assert found["S001", "01", "CAST", "EN", 2024, None] == (
        *("California Science Test", "English", "04", "04"),
        "CAST|CST",
    )
    assert found["S002", "02", "ESA", "EN", 2025, "Listening"][2:4] == ("KG", "KN")
    assert found["S002", "02", "WIZ", "QQ", 2025, None] == (None, None, None, "13", "WIZ")
    assert found["S003", "03", "CAASPP", "EN", 2022, None][2:4] == ("03", "3")
    links = reports(district, "has_link, report_format")
    assert links["S002", "02", "ESA", "EN", 2025, "Reading"] == (False, "HTML")


def _what_is_not_known_is_listed_with_what_to_do(district):
    found = unknown(district)
    assert set(found) == set(OPEN)
    for name, (outcome, status, known, words) in OPEN.items():
        row = found[name]
        told = (row["outcome"], row["http_status"], row["listed_reports"])
        assert told == (outcome, status, known), name
        assert words in row["what_to_do"], (name, row["what_to_do"])
    assert found["S004"]["answered_at"] < found["S004"]["asked_at"]
    assert (found["S011"]["ssid"], found["S006"]["ssid"]) == ("9000000111", None)
    # What was said of another number says nothing of this one.
    assert (found["S011"]["reason"], found["S012"]["asked_at"]) == (None, None)


def _a_school_without_a_report_has_a_row(district):
    found = coverage(district)
    assert len(found) == 12
    north, south = (6, 4, 3), (10, 10, 2)
    assert found["0101", "CAASPP", "EN", 2025] == (*north, 2, 1, pytest.approx(1 / 3))
    assert found["0102", "CAASPP", "EN", 2025] == (*south, 2, 2, 1)
    assert found["0101", "ESA", "EN", 2025] == (*north, 1, 1, pytest.approx(1 / 3))
    assert found["0102", "CAST", "EN", 2024] == (*south, 0, 0, 0)
    assert found["0102", "LEXQUAN", "EN", 2025] == (*south, 0, 0, 0)
    assert ("0101", "CAASPP", "EN", 2022) not in found


def _the_next_night_adds_reports_and_ends_others(district):
    roster(district, 2, last=16, S005="{SSID:9000000105}")
    district.refill(*MARTS)
    assert unknown(district)["S005"]["outcome"] == "ssid_changed"
    asked(district, FOLDER / "next", day=2)
    assert set(unknown(district)) == set(OPEN) - {"S004", "S005"}
    found = reports(district, "is_listed, first_seen_at, last_seen_at, no_longer_listed_at")
    spanish = found["S001", "01", "CAASPP", "ES", 2025, None]
    assert spanish[0] is False and spanish[1] == spanish[2] < spanish[3]
    again = found["S003", "03", "CAASPP", "EN", 2022, None]
    assert again[0] is True and again[1] < again[2] and again[3] is None
    # Another version of the row is made of what changed, not of when it was seen.
    versions = district.query(
        "select language, report_year, count(*) as versions from score_reports.catalog"
        " where district_id = $district and ssid = '9000000101'"
        " group by language, report_year order by language, report_year"
    )
    assert [tuple(row.values()) for row in versions] == [
        ("EN", 2024, 1),
        ("EN", 2025, 1),
        ("ES", 2025, 2),
    ]
    after = coverage(district)
    assert ("0101", "CAASPP", "ES", 2025) not in after
    assert after["0101", "CAASPP", "EN", 2025] == (6, 5, 5, 2, 2, 0.4)
    assert after["0102", "CAST", "EN", 2025] == (10, 10, 2, 0, 0, 0)


@pytest.mark.parametrize("warehouse", ["duckdb"], indirect=True)
def test_a_district_that_never_asked_has_nothing_open(uploads):
    district = uploads("score_reports")
    roster(district, 0)
    district.refill(*MARTS)
    assert (unknown(district), coverage(district)) == ({}, {})


def test_where_nobody_was_answered_there_is_no_share(uploads):
    district = uploads("score_reports")
    roster(district, 0, last=1)
    report = {"ssid": "9000000155", "report_type": "CSA", "language": "EN", "report_year": 2025}
    seen = {"first_seen_at": "2026-09-01T08:15:00Z", "last_seen_at": "2026-09-01T08:15:00Z"}
    made = {"configuration": "District", "asked_at": "2026-09-01T08:15:00Z"}
    answered = {"outcome": "ok", "reports": 1, "answered_at": "2026-09-01T08:15:00Z"}
    requests = [
        {"student_id": "S055", "ssid": "9000000155"} | made | answered,
        {"student_id": "S001", "ssid": "9000000101", "outcome": "not_found"} | made,
    ]
    land(
        district,
        {"catalog.jsonl": lines_of([report | seen]), "requests.jsonl": lines_of(requests)},
    )
    assert coverage(district) == {("0101", "CSA", "EN", 2025): (1, 1, 0, 0, 0, None)}
    claims_hold(district)


@pytest.mark.parametrize("warehouse", ["duckdb"], indirect=True)
def test_the_ssid_may_stand_in_another_field_of_the_roster(uploads):
    district = uploads("score_reports")
    ids = {f"S{n:03}": f"{{Other:{9000000100 + n}}}" for n in range(1, 5)}
    roster(district, 0, last=5, **ids, S005="{SSID:9000000105}")
    asked(district, match_on="alternate_user_id")
    found = reports(district, "is_current_student")
    assert found["S001", "01", "CAASPP", "EN", 2025, None] == (True,)
    outcomes = {name: row["outcome"] for name, row in unknown(district).items()}
    assert outcomes == {"S004": "forbidden", "S005": "skipped_no_ssid"}
    claims_hold(district)
