"""Pulled results come as JSON lines, several files for one table, and load like any other."""

import json
from dataclasses import replace

import pytest

from edpipeline import sources
from edpipeline.model import PlannedFile
from edpipeline_tests.results.uploads import Uploads, sample, table_of

pytestmark = pytest.mark.parametrize("warehouse", ["duckdb"], indirect=True)

MAP = "nwea_cdf_2020.csv"


def records():
    return table_of(sample("nwea_map", MAP).decode("utf-8-sig"))


def lines_of(found):
    """The records as JSON lines; blank values are left out, as APIs do."""
    kept = [{key: value for key, value in record.items() if value} for record in found]
    return "".join(json.dumps(record) + "\n" for record in kept).encode()


def results(district):
    columns = "source_record_id, objective_code, subject, scale_score, test_date, line"
    return district.results(columns)


def test_json_lines_load_as_the_same_rows_as_a_csv(uploads):
    by_csv, by_lines = uploads("nwea_map"), uploads("nwea_map")
    by_csv.upload(sample("nwea_map", MAP))
    report = by_lines.upload(lines_of(records()), "results.jsonl")
    assert report.status == "loaded", report.message
    found, wanted = results(by_lines), results(by_csv)
    assert found
    assert [{**row, "line": row["line"] + 1} for row in found] == wanted


def test_a_rejected_record_is_named_by_its_line(uploads):
    found = records()
    found[2]["TestStartDate"] = "some day"
    district = uploads("nwea_map")
    district.upload(lines_of(found), "results.jsonl")
    listed = district.query(
        "select line, code from ops.rejected_rows where district_id = $district"
        " and severity = 'error'"
    )
    assert listed == [{"line": 3, "code": "bad_date"}]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        (b'{"TermName": "Fall 2024-2025",\n', "not_text"),
        (b"[1, 2]\n", "no_header"),
        (b"<html><body>Sign in</body></html>\n", "not_text"),
    ],
)
def test_what_is_no_json_lines_is_refused(uploads, content, code):
    district = uploads("nwea_map")
    report = district.upload(content, "results.jsonl")
    assert report.status == "refused"
    told = district.query("select code from ops.rejected_rows where district_id = $district")
    assert {"code": code} in told


def several(heads, manifest, edition):
    """Every file fills the table of results."""
    plan = sources.source("nwea_map").plan(dict([next(iter(heads.items()))]), manifest, edition)
    taken = (PlannedFile(name, "nwea_map", "delta") for name in sorted(heads))
    return replace(plan, files=tuple(taken))


@pytest.fixture
def district(warehouse, tmp_path):
    return Uploads(warehouse, tmp_path, replace(sources.source("nwea_map"), plan=several))


def test_several_files_of_one_table_load_together(district):
    found = records()
    half = len(found) // 2
    district.land({"a.jsonl": lines_of(found[:half]), "b.jsonl": lines_of(found[half:])})
    report = district.load()
    assert report.status == "loaded", report.message
    assert [file.added for file in report.files] == [half, len(found) - half]


def test_a_record_that_stands_in_two_files_is_one_record(district):
    found = records()
    other = {**found[1], "TestRITScore": "199"}
    district.land({"a.jsonl": lines_of(found), "b.jsonl": lines_of([found[0], other])})
    report = district.load()
    first, second = report.files
    assert (first.added, second.unchanged, second.changed) == (len(found), 1, 1)
    current = district.query(
        "select test_rit_score from assessments.current_nwea_map where district_id = $district"
    )
    assert len(current) == len(found)
    assert {"test_rit_score": 199} in current
    before = district.state()
    district.load()
    assert district.state() == before
