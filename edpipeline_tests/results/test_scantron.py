"""Performance Series: a test that comes by two ways, in parts, again, or spoiled is one result."""

import json

import pytest

from edpipeline_tests.results.uploads import sample, table_of

API = "scantron_api.csv"
EXPORT = "scantron_extended.csv"
UNITS = "variants/units.csv"
DAYS_AROUND = {
    "2026-01-13": False,
    "2026-01-14": False,
    "2026-01-12": True,
    "2026-01-15": True,
}
"""Whether a test of that day is another than the one that ended on 2026-01-14 at 01:10 UTC."""
OF_A_TEST = "objective_code = 'overall'"
SHOWN = "source_record_id, score_status, scale_score, is_primary"


def whole_tests(district, where="true"):
    """The tests as a whole, by their id."""
    found = district.results(SHOWN, f"{OF_A_TEST} and {where}")
    assert len({row["source_record_id"] for row in found}) == len(found)
    return {row["source_record_id"]: row for row in found}


def edited(name, *changes):
    text = sample("scantron", name).decode()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text.encode()


def only(name, *lines):
    """The header and some lines, the first row's being line 2."""
    rows = sample("scantron", name).decode().splitlines()
    return "".join(f"{rows[line - 1]}\n" for line in (1, *lines)).encode()


def without(name, header):
    """The file without one of its columns."""
    rows = table_of(sample("scantron", name).decode())
    names = [each for each in rows[0] if each != header]
    return "".join(
        ",".join(line) + "\n" for line in (names, *([row[each] for each in names] for row in rows))
    ).encode()


def test_units_are_strands_of_their_test(uploads):
    district = uploads("scantron")
    district.land({"results.csv": sample("scantron", API), "units.csv": sample("scantron", UNITS)})
    report = district.load()
    assert report.status == "loaded", report.message
    assert [file.rejected for file in report.files] == [0, 0]
    found = district.results(
        "source_record_id, subject, objective_code, scale_score, scale_score_low,"
        " scale_score_high, school_year, line",
        "objective_level = 'strand'",
    )
    # Of the spoiled test and the one that did not come nothing; a range without its score is none.
    wanted = [
        ("ts-0001", "reading", "fiction", 2600, None, None),
        ("ts-0001", "reading", "long_passage", 2500.5, 2400, 2601),
        ("ts-0001", "reading", "vocabulary", 2563, 2447, 2679),
        ("ts-0004", "math", "linear_equations", 4970, 4880, 5060),
    ]
    assert [tuple(row.values()) for row in found] == [
        (*row, 2026, 2 if row[0] == "ts-0001" else 5) for row in wanted
    ]


@pytest.mark.parametrize("warehouse", ["duckdb"], indirect=True)
def test_what_the_api_gives_as_json_lines_is_the_same_as_its_csv(uploads):
    by_csv, by_lines = uploads("scantron"), uploads("scantron")
    numbers = ("scaledScore", "sem", "sip", "nationalPercentile", "low", "score", "high")
    given = {"results": API, "units": UNITS}
    lines = {}
    for name, file in given.items():
        records = table_of(sample("scantron", file).decode())
        for record in records:
            kept = {key: value for key, value in record.items() if value}
            kept |= {key: float(kept[key]) for key in numbers if key in kept}
            kept |= {"spoiled": kept["spoiled"] == "true"} if "spoiled" in kept else {}
            lines[f"{name}.jsonl"] = lines.get(f"{name}.jsonl", "") + json.dumps(kept) + "\n"
    by_csv.land({f"{name}.csv": sample("scantron", file) for name, file in given.items()})
    by_lines.land({name: text.encode() for name, text in lines.items()})
    assert by_csv.load().edition == by_lines.load().edition == "scantron_api"
    apart = {"district_id": "", "drop_id": "", "line": 0}
    found, wanted = ([row | apart for row in each.results()] for each in (by_lines, by_csv))
    assert len(found) > 8
    assert found == wanted


@pytest.mark.parametrize("order", [(API, EXPORT), (EXPORT, API)])
def test_a_test_of_both_ways_counts_once_as_the_api_has_it(uploads, order):
    district = uploads("scantron")
    for day, name in enumerate(order):
        report = district.upload(sample("scantron", name), name, day=day)
        assert report.status == "loaded", report.message
    found = whole_tests(district)
    # Reading of line 2, its spoiled mathematics, and the algebra of the one without a district id.
    for covered in (
        "000101:Reading:2025-09-15",
        "000101:Mathematics:2025-09-16",
        "000103:Mathematics:2025-09-17",
    ):
        assert covered not in found
    assert found["ts-0002"]["score_status"] == "invalidated"
    assert found["ts-0004"]["scale_score"] == 5320
    # Another day, another student, another subject: other tests.
    assert {"000102:Science:2025-09-18", "000999:Reading:2025-07-01"} <= set(found)


@pytest.mark.parametrize("warehouse", ["duckdb"], indirect=True)
def test_an_evenings_test_has_its_own_day_or_the_one_before_in_the_export(uploads):
    district = uploads("scantron")
    district.upload(only(API, 4), API)
    header, exported = only(EXPORT, 3).decode().splitlines()
    students = ("000102", "0007002")
    rows = (
        exported.replace("000102", student).replace("09/19/2025", sat_on)
        for student in students
        for sat_on in DAYS_AROUND
    )
    assert district.upload("\n".join((header, *rows)).encode(), EXPORT, day=1).status == "loaded"
    found = set(whole_tests(district))
    assert found == {"ts-0003"} | {f"{student}:Science:2025-09-18" for student in students} | {
        f"{student}:Language Arts:{sat_on}"
        for student in students
        for sat_on, is_another in DAYS_AROUND.items()
        if is_another
    }


@pytest.mark.parametrize("warehouse", ["duckdb"], indirect=True)
def test_in_every_term_the_latest_scored_test_counts(uploads):
    district = uploads("scantron")
    district.upload(edited(API, ("2025-11-03T14:55:40Z", "2026-01-20T14:55:40Z")), API)
    found = whole_tests(district, "match_value = '000101'")
    assert {name: row["is_primary"] for name, row in found.items()} == {
        "ts-0001": True,
        "ts-0002": False,
        "ts-0007": True,
    }


def test_a_test_in_many_exports_is_one_result_and_the_latest_delivery_counts(uploads):
    district = uploads("scantron")
    district.upload(sample("scantron", EXPORT), EXPORT)
    before = whole_tests(district)
    later = edited(
        EXPORT,
        ("10/01/2025", "02/01/2026"),
        ("09/30/2025", "01/31/2026"),
        ("9/16/2025,English,2402", "1/20/2026,English,2450"),
        ("09/15/2025,2563", "09/15/2025,2571"),
    )
    assert district.upload(later, EXPORT, day=1).status == "loaded"
    found = whole_tests(district)
    assert set(found) - set(before) == {
        "000101:Mathematics:2026-01-20",
        "000105:Reading:2026-01-31",
    }
    assert found["000101:Reading:2025-09-15"]["scale_score"] == 2571
    assert found["000101:Mathematics:2025-09-16"]["scale_score"] == 2402


def test_a_pull_of_days_that_came_before_adds_nothing_and_spoils_what_was_spoiled(uploads):
    district = uploads("scantron")
    district.upload(sample("scantron", API), API)
    before = whole_tests(district)
    assert before["ts-0007"]["is_primary"] and not before["ts-0001"]["is_primary"]
    again = edited(API, ("900L,152,false", "900L,152,true"), ("2563,58", "2563.0,58.0"))
    report = district.upload(again, API, day=1)
    assert (report.files[0].changed, report.files[0].added) == (1, 0)
    found = whole_tests(district)
    assert set(found) == set(before)
    assert found["ts-0007"] | {"source_record_id": ""} == {
        "source_record_id": "",
        "score_status": "invalidated",
        "scale_score": None,
        "is_primary": False,
    }
    assert found["ts-0001"]["is_primary"]


@pytest.mark.parametrize("warehouse", ["duckdb"], indirect=True)
def test_a_record_without_an_id_of_its_own_is_known_by_student_subject_and_time(uploads):
    district = uploads("scantron")
    without_id = edited(API, ("ts-0001", ""), ("ts-0007", "NULL"))
    assert district.upload(without_id, API).status == "loaded"
    (first, second) = district.results(
        "source_record_id, source_record_id_kind, scale_score",
        f"{OF_A_TEST} and subject = 'reading' and match_value = '000101'",
    )
    assert first["source_record_id_kind"] == second["source_record_id_kind"] == "composed"
    assert first["source_record_id"].startswith("0007001:Reading:2025-09-15")
    assert (first["scale_score"], second["scale_score"]) == (2563, 2601)


IMPOSSIBLE = [
    ("a score below the scale", ",2563,", ",1299,", "out_of_range"),
    ("a score above the scale", ",2563,", ",6001,", "out_of_range"),
    ("a score that is no number", ",2563,", ",high,", "bad_number"),
    ("no time of completion", "2025-09-15T14:55:40Z", "", "missing_value"),
    ("no time", "2025-09-15T14:55:40Z", "soon", "bad_timestamp"),
    ("no subject", "L1,Reading,4,2025-09", "L1,,4,2025-09", "missing_value"),
]


@pytest.mark.parametrize("warehouse", ["duckdb"], indirect=True)
def test_an_impossible_record_is_rejected_and_the_others_stay(uploads):
    district = uploads("scantron")
    content, (_, record) = sample("scantron", API).decode(), only(API, 2).decode().splitlines()
    for number, (_, old, new, _) in enumerate(IMPOSSIBLE):
        assert old in record
        content += record.replace("ts-0001", f"impossible-{number}").replace(old, new) + "\n"
    report = district.upload(content.encode(), API)
    assert (report.files[0].read, report.files[0].accepted) == (8 + len(IMPOSSIBLE), 8)
    listed = district.query(
        "select line, code from ops.rejected_rows where district_id = $district"
        " and severity = 'error' order by line"
    )
    assert [row["line"] for row in listed] == [10, 11, 12, 13, 14, 15], report.message
    assert [row["code"] for row in listed] == [code for *_, code in IMPOSSIBLE]


@pytest.mark.parametrize("warehouse", ["duckdb"], indirect=True)
def test_impossible_values_beside_the_score_are_left_out(uploads):
    district = uploads("scantron")
    # Standard error 0, standard item pool 101, percentile 0.
    report = district.upload(edited(API, ("2563,58,72,61", "2563,0,101,0")), API)
    assert report.files[0].rejected == 0, report.message
    (found,) = district.results(
        "scale_score, scale_score_sem, percentile, other_scores",
        f"{OF_A_TEST} and source_record_id = 'ts-0001'",
    )
    assert list(found.values()) == [2563, None, None, '{"reading_rate": 145}']


@pytest.mark.parametrize("warehouse", ["duckdb"], indirect=True)
def test_a_file_that_lacks_what_names_or_makes_a_result_is_refused(uploads):
    district = uploads("scantron")
    district.upload(sample("scantron", API), API)
    before = district.state()
    headers = ("testSessionId", "completedAt", "scaledScore", "locationId")
    for day, header in enumerate(headers, start=1):
        report = district.upload(without(API, header), API, day=day)
        assert not report.applied
        assert header in report.message
    assert district.state() == before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("username", "given.s001"),
        ("district_user_id", "000101"),
        ("state_user_id", "9000000101"),
        ("email", "given.s001@quillmere.example"),
    ],
)
@pytest.mark.parametrize("warehouse", ["duckdb"], indirect=True)
def test_results_are_matched_on_the_field_that_was_chosen(uploads, field, value):
    district = uploads("scantron")
    district.upload(sample("scantron", API), API, match_on=field)
    values = district.results("match_field, match_value", f"{OF_A_TEST} and line = 2")
    assert values == [{"match_field": field, "match_value": value}]
