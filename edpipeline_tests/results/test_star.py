"""Renaissance Star: products told from files, nightly extracts, scores that change later."""

import csv
import io
import json

import pytest

from edpipeline import sources
from edpipeline.model import Head
from edpipeline_tests.results.test_samples import assert_facts
from edpipeline_tests.results.uploads import SAMPLES, expected, sample, zipped

ZIP = SAMPLES / "star" / "variants" / "zip"
ONE_DATABASE = pytest.mark.parametrize("warehouse", ["duckdb"], indirect=True)


def changed(content, line, **values):
    """A sample with other values in one of its lines, and that line alone."""
    header, *rows = csv.reader(io.StringIO(content.decode()))
    row = dict(zip(header, rows[line - 2], strict=True)) | values
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([header, row.values()])
    return out.getvalue().encode()


def as_json_lines(content, **written):
    """A CSV as a pull lands it: blanks are absent, `written` are values as JSON has them."""
    records = csv.DictReader(io.StringIO(content.decode()))
    filled = ({k: v for k, v in record.items() if v} | written for record in records)
    return "".join(json.dumps(record) + "\n" for record in filled).encode()


def planned(name, *header, edition="auto"):
    head = Head(names=header, text=",".join(header))
    return sources.source("star").plan({name: head}, None, edition)


HEADER = sample("star", "star_v2.csv").decode().splitlines()[0].split(",")
SHARED = [
    name
    for name in HEADER
    if "Lexile" not in name and name not in ("InstructionalReadingLevel", "Quantile")
]

PRODUCTS = {
    "SR.csv": ([], "SR"),
    "sm_v2.csv": ([], "SM"),
    "SELS_v2_2025.csv": ([], "SELS"),
    "SRS.jsonl": (["Lexile", "UpperLexileZoneOfProximalDevelopment"], "SRS"),
    "tests_SMS.jsonl": ([], "SMS"),
    "export.csv": (["Quantile"], "SM"),
    "tests.csv": (["LiteracyClassification", "Lexile"], "SEL"),
    "results.csv": (["InstructionalReadingLevel"], "SR"),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_the_product_is_told_from_the_name_else_from_the_columns(name):
    more, product = PRODUCTS[name]
    plan = planned(name, *SHARED, *more)
    assert [file.given for file in plan.files] == [{"product": product}], plan.findings
    assert [code for code, _ in plan.findings] == ["edition_told"]


@pytest.mark.parametrize(
    ("name", "more", "said"),
    [
        ("export.csv", [], "neither its name nor its columns"),
        ("SR_and_SM.csv", ["LiteracyClassification"], "columns of SEL alone"),
        ("SR_v2.csv", ["Quantile"], "columns of SM alone"),
    ],
)
def test_a_file_whose_product_is_not_sure_is_refused_with_words(name, more, said):
    findings = dict(planned(name, *SHARED, *more).findings)
    assert said in findings["unknown_layout"]


def test_files_of_two_editions_do_not_come_together():
    first = sample("star", "star_v1.csv").decode().splitlines()[0]
    heads = {"SR_v2.csv": Head(text=",".join(HEADER)), "SEL.csv": Head(text=first)}
    plan = sources.source("star").plan(heads, None, "auto")
    assert "SEL.csv is of edition star_v1" in dict(plan.findings)["other_edition"]


def test_the_nightly_extract_is_taken_as_a_whole(uploads):
    district = uploads("star")
    content = zipped({path.name: path.read_bytes() for path in sorted(ZIP.iterdir())})
    report = district.upload(content, "extract.zip")
    assert report.status == "loaded", report.message
    assert len(report.files) == 6
    assert_facts(district.results(), expected("star", "zip"))
    assert district.query(
        "select product, count(*) as tests from assessments.star where district_id = $district"
        " group by product order by product"
    ) == [
        {"product": product, "tests": tests}
        for product, tests in (("SEL", 1), ("SM", 1), ("SMS", 2), ("SR", 3))
    ]


def test_a_later_delivery_of_a_test_is_a_new_version_of_it_and_no_second_test(uploads):
    district = uploads("star")
    content = sample("star", "star_v2.csv")
    district.upload(content, "SR.csv")
    (again,) = district.upload(content, "SR_v2.csv", day=1).files
    assert (again.added, again.changed, again.removed) == (0, 0, 0)
    later = changed(content, 5, AssessmentStatus="Inactive", DeactivationReason="Deactivated")
    (file,) = district.upload(as_json_lines(later, AssessmentNumber=2), "SR.jsonl", day=2).files
    assert (file.added, file.changed, file.removed) == (0, 1, 0)
    found = district.results(
        "line, score_status, is_primary, scale_score, performance_level, is_proficient",
        "match_value = '000103'",
    )
    assert [tuple(row.values())[1:] for row in found if row["scale_score"] is None] == [
        ("invalidated", False, None, None, None)
    ]
    assert [(row["is_primary"], row["scale_score"]) for row in found if row["scale_score"]] == [
        (True, 400)
    ]


def test_what_else_a_test_says_is_in_other_scores(uploads):
    district = uploads("star")
    district.upload(sample("star", "star_v2.csv"), "SR.csv")
    found = {row["line"]: json.loads(row["other_scores"]) for row in district.results()}
    assert found[2]["unified_score"] == 985
    assert found[2]["completed_date_local"] == "2025-09-03 20:15:30.12"
    assert found[2]["state_benchmark_category_name"] == "Meets Expectations"
    assert found[2]["student_growth_percentile_fall_fall"] == 51
    assert found[7]["instructional_reading_level"] == "PP"
    assert found[9]["test_date_source"] == "utc"


def test_a_test_in_a_window_comes_before_a_later_one_outside_of_it(uploads):
    district = uploads("star")
    content = sample("star", "star_v2.csv")
    later = changed(
        content,
        2,
        AssessmentID="later",
        CompletedDateLocal="2025-10-20T09:00:00Z",
        ScreeningPeriodWindowName="",
        AssessmentType="ProgressMonitoring",
    )
    district.upload(content, "SR.csv")
    district.upload(later, "SR.csv", day=1)
    found = district.results("source_record_id, term, is_primary", "match_value = '000101'")
    assert {(row["source_record_id"][-4:], row["term"], row["is_primary"]) for row in found} == {
        ("1001", "fall", True),
        ("ater", "fall", False),
    }


@ONE_DATABASE
def test_bad_values_reject_their_row_or_are_left_out(uploads):
    district = uploads("star")
    (file,) = district.upload(sample("star", "bad/values.csv"), "SR.csv").files
    assert (file.read, file.accepted) == (6, 1)
    assert file.rejected_by_code == {
        "out_of_range": 1,
        "missing_value": 1,
        "bad_timestamp": 1,
        "duplicate_conflict": 2,
    }
    assert district.results("percentile") == [{"percentile": None}]


@ONE_DATABASE
def test_an_export_without_the_test_s_id_is_refused(uploads):
    district = uploads("star")
    report = district.upload(sample("star", "bad/short_export.csv"), "SR.csv")
    assert report.status == "refused", report.message


@ONE_DATABASE
def test_nothing_that_the_results_do_not_need_is_stored(uploads):
    district = uploads("star")
    district.upload(sample("star", "star_v2.csv"), "SR.csv")
    rows = repr(district.query("select * from assessments.star where district_id = $district"))
    assert "000101" in rows
    for unneeded in ("Invented", "Pupil1", "2015-03-04", "203.0.113.9", "t77", "Room 4"):
        assert unneeded not in rows
