"""Files as people upload them: damaged, mistaken, repeated. Nothing is lost, and what is wrong is
said with file, line and column.
"""

import io
import re

import polars as pl
import pytest

from edpipeline import sources
from edpipeline.validation.check import LISTED_WARNINGS
from edpipeline_tests.results.uploads import Uploads, sample

pytestmark = pytest.mark.parametrize("warehouse", ["duckdb"], indirect=True)
"""Files are read alike for both; what the SQL makes of them is tested on both by the samples."""

MAP = "nwea_cdf_2020.csv"


def rejected_lines(district):
    return {
        row["line"]
        for row in district.query(
            "select line from ops.rejected_rows where district_id = $district"
            " and severity = 'error' and line is not null"
        )
    }


def codes(district, severity="error"):
    return {
        row["code"]
        for row in district.query(
            "select code from ops.rejected_rows where district_id = $district"
            f" and severity = '{severity}'"
        )
    }


# What becomes of each row, as edpipeline_tests/samples/nwea_map/README.md says.
ROWS = {
    "excel_saved": (5, {4: "out_of_range", 6: "bad_date"}, 1),
    "dates_turned": (4, {4: "bad_date", 5: "bad_date"}, 2),
    "two_header_rows": (3, {2: "bad_date"}, 2),
    "footer_line": (3, {4: "row_too_short"}, 2),
    "blank_trailing": (2, {}, 2),
    "short_last_row": (2, {}, 2),
    "long_row": (2, {2: "row_too_long"}, 1),
    "impossible_values": (6, {2: "out_of_range", 3: "missing_value"}, 2),
}


@pytest.mark.parametrize("name", ["dates_turned", "two_header_rows", "footer_line"])
def test_rows_that_are_no_results_are_rejected_and_the_others_stay(uploads, name):
    read, wrong, accepted = ROWS[name]
    district = uploads("nwea_map")
    report = district.upload(sample("nwea_map", f"bad/{name}.csv"))
    (file,) = report.files
    assert (file.read, file.accepted) == (read, accepted), report.message
    assert rejected_lines(district) == set(wrong)
    assert set(wrong.values()) <= codes(district)


@pytest.mark.parametrize("name", ["blank_trailing", "short_last_row"])
def test_blank_ends_of_rows_are_no_matter(uploads, name):
    read, _, accepted = ROWS[name]
    district = uploads("nwea_map")
    report = district.upload(sample("nwea_map", f"bad/{name}.csv"))
    (file,) = report.files
    assert (file.read, file.accepted, file.rejected) == (read, accepted, 0), report.message
    assert ("row_padded" in codes(district, "warning")) == (name == "short_last_row")


def test_a_value_too_many_rejects_its_row_alone(uploads):
    district = uploads("nwea_map")
    report = district.upload(sample("nwea_map", "bad/long_row.csv"))
    assert (report.files[0].read, report.files[0].accepted) == (2, 1)
    assert rejected_lines(district) == {2}
    assert "row_too_long" in codes(district)


def test_impossible_scores_reject_the_row_and_other_impossible_values_are_left_out(uploads):
    district = uploads("nwea_map")
    report = district.upload(sample("nwea_map", "bad/impossible_values.csv"))
    assert (report.files[0].read, report.files[0].accepted) == (6, 2)
    assert rejected_lines(district) == {2, 3, 5, 7}
    found = district.query(
        "select line, test_percentile, percent_correct, test_standard_error"
        " from assessments.nwea_map where district_id = $district and line in (4, 6)"
    )
    assert any(row["test_percentile"] is None for row in found)
    assert "out_of_range" in codes(district)
    assert "value_dropped" in codes(district, "warning")


def test_ids_that_a_spreadsheet_destroyed_are_told_and_never_guessed(uploads):
    district = uploads("nwea_map")
    district.roster()
    report = district.upload(sample("nwea_map", "bad/excel_saved.csv"), day=1)
    assert report.files[0].read == 5
    assert rejected_lines(district) == {6}
    district.refill("fct_assessment_result", "rpt_unmatched_result")
    reasons = {
        row["line"]: row["reject_reason"]
        for row in district.query(
            "select line, reject_reason from marts.rpt_unmatched_result"
            " where district_id = $district"
        )
    }
    assert reasons[4] == "bad_user_id"
    matched = district.query(
        "select distinct line, match_method from marts.fct_assessment_result"
        " where district_id = $district and objective_code = 'overall'"
    )
    assert {row["line"]: row["match_method"] for row in matched} == dict.fromkeys(
        (2, 3, 5), "zero_insensitive"
    )


def test_rows_without_an_id_are_kept_and_told(uploads):
    district = uploads("nwea_map")
    district.roster()
    report = district.upload(sample("nwea_map", "bad/ids.csv"), day=1)
    assert report.files[0].accepted == 5
    district.refill("rpt_unmatched_result")
    reasons = district.query(
        "select line, reject_reason from marts.rpt_unmatched_result where district_id = $district"
        " order by line"
    )
    assert [(row["line"], row["reject_reason"]) for row in reasons] == [
        (3, "missing_user_id"),
        (4, "bad_user_id"),
        (5, "bad_user_id"),
    ]


def excel() -> bytes:
    import zipfile

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return packed.getvalue()


NO_RESULTS = {
    "a login page": (b"<!DOCTYPE html><html><body>Sign in</body></html>", "a web page"),
    "a workbook": (excel(), "an Excel workbook"),
    "nothing": (b"", "is empty"),
    "a title above the header": (sample("nwea_map", "bad/title_above_header.csv"), "no header"),
    "no scores": (sample("nwea_map", "bad/no_rit_column.csv"), "TestRITScore"),
    "a header alone": (sample("nwea_map", MAP).split(b"\n")[0] + b"\n", "no rows"),
}


@pytest.fixture(scope="module")
def with_results(warehouse, tmp_path_factory):
    """A district with the results of a good export."""
    folder = tmp_path_factory.mktemp("results")
    district = Uploads(warehouse, folder, sources.source("nwea_map"))
    district.upload(sample("nwea_map", MAP))
    return district


@pytest.mark.parametrize("what", NO_RESULTS)
def test_what_is_no_export_is_refused_and_the_last_good_rows_stay(with_results, what):
    content, said = NO_RESULTS[what]
    district, before = with_results, with_results.state()
    assert before["nwea_map"]
    report = district.upload(content, day=1 + list(NO_RESULTS).index(what))
    assert report.status == "refused" or report.files[0].status == "kept"
    assert said in report.message
    assert district.state() == before


def test_a_file_of_another_edition_is_refused_with_that_edition_s_name(uploads):
    district = uploads("nwea_map")
    report = district.upload(sample("nwea_map", MAP), edition="nwea_combined_2020")
    assert report.status == "refused"
    assert "nwea_cdf_2020" in report.message
    assert "other_edition" in codes(district)
    assert not any(district.state().values())


@pytest.mark.parametrize(
    ("source", "of", "name"),
    [
        ("nwea_map", "adam", "adam_k7.csv"),
        ("adam", "nwea_map", MAP),
        ("staar", "nwea_map", MAP),
        ("act_aspire", "staar", "staar_interim_2024.csv"),
    ],
)
def test_a_file_of_another_source_is_refused_with_that_source_s_name(uploads, source, of, name):
    district = uploads(source)
    report = district.upload(sample(of, name))
    assert report.status == "refused"
    assert f"--source {of}" in report.message
    assert "other_source" in codes(district)
    assert "unknown_layout" in codes(district)


def test_two_results_in_one_zip_are_refused(uploads):
    from edpipeline_tests.results.uploads import zipped

    district = uploads("nwea_map")
    content = sample("nwea_map", MAP)
    report = district.upload(zipped({"a.csv": content, "b.csv": content + b"\n"}), "both.zip")
    assert report.status == "refused"
    assert "several_files" in codes(district)


def test_an_edition_that_nobody_chose_is_told_with_its_reason(uploads):
    district = uploads("nwea_map")
    report = district.upload(sample("nwea_map", MAP))
    assert report.edition == "nwea_cdf_2020"
    assert "edition_told" in codes(district, "warning")
    told = district.query(
        "select message from ops.rejected_rows where district_id = $district"
        " and code = 'edition_told'"
    )
    assert "100% of its headers" in told[0]["message"]


def test_the_same_file_again_changes_nothing(uploads):
    district = uploads("nwea_map")
    first = district.upload(sample("nwea_map", MAP))
    before = district.state()
    again = district.upload(sample("nwea_map", MAP))
    assert again.files == first.files
    assert district.state() == before
    (file,) = district.upload(sample("nwea_map", MAP), day=1).files
    assert (file.added, file.changed, file.removed) == (0, 0, 0)
    assert file.unchanged == first.files[0].accepted
    assert district.state() == before


def test_a_corrected_export_changes_its_rows_and_marks_what_vanished(uploads):
    district = uploads("nwea_map")
    district.upload(sample("nwea_map", MAP))
    report = district.upload(sample("nwea_map", "bad/corrected_later.csv"), day=1)
    (file,) = report.files
    assert (file.changed, file.removed) == (1, 1), report.message
    found = district.results("line, scale_score, objective_code, is_deleted, deleted_on")
    gone = [row for row in found if row["is_deleted"]]
    assert len({row["line"] for row in gone}) == 1
    assert None not in {row["deleted_on"] for row in gone}
    there = [row for row in found if not row["is_deleted"]]
    assert 203 in {row["scale_score"] for row in there if row["objective_code"] == "overall"}


def test_a_snapshot_of_one_school_leaves_the_results_of_others_alone(uploads):
    district = uploads("nwea_map")
    content = sample("nwea_map", MAP)
    header, *lines = content.decode().splitlines()
    other = [
        re.sub('"(Heron|Otter|Quillmere) [A-Za-z ]+"', '"Another School"', line) for line in lines
    ]
    assert other != lines
    district.upload(content)
    before = district.state()["nwea_map"]
    moved = [line.replace('"00', '"77') for line in other]
    report = district.upload("\n".join([header, *moved]).encode() + b"\n", day=1)
    assert (report.files[0].removed, report.files[0].held) == (0, 0), report.message
    assert set(before) < set(district.state()["nwea_map"])


def test_many_results_that_vanish_at_once_wait_for_a_person(uploads):
    from dataclasses import replace

    district = uploads("nwea_map")
    district.options = replace(district.options, removal_floor=0)
    content = sample("nwea_map", MAP)
    header, *lines = content.decode().splitlines()
    district.upload(content)
    report = district.upload("\n".join([header, *lines[:2]]).encode() + b"\n", day=1)
    assert report.status == "removals_held"
    assert report.files[0].removed == 0
    gone = district.query(
        "select line from assessments.nwea_map"
        " where district_id = $district and valid_to is not null"
    )
    assert gone == []


def test_a_million_bad_rows_are_counted_whole_and_warnings_listed_up_to_a_limit(uploads):
    """Fewer here; the benchmark has the million."""
    district = uploads("adam")
    many = 3 * LISTED_WARNINGS
    frame = pl.read_csv(io.BytesIO(sample("adam", "adam_k7.csv")), infer_schema=False).head(1)
    frame = pl.concat([frame] * many).with_columns(
        pl.Series("Student ID", [f"{n:06}" for n in range(many)]),
        pl.lit("much").alias("Total Raw Score"),
    )
    report = district.upload(frame.write_csv().encode())
    (file,) = report.files
    assert (file.read, file.accepted, file.rejected) == (many, many, 0)
    assert file.warnings_by_code["value_dropped"] == many
    listed = district.query(
        "select count(*) as lines from ops.rejected_rows where district_id = $district"
        " and code = 'value_dropped'"
    )
    assert listed[0]["lines"] == LISTED_WARNINGS


STAAR_BAD = {
    "staar_38_2023_one_character_short.txt": ("auto", "record_length"),
    "staar_38_2023_of_2022.txt": ("staar_38_2023", "other_edition"),
}


@pytest.mark.parametrize("name", STAAR_BAD)
def test_lines_of_another_length_or_year_are_told(uploads, name):
    edition, code = STAAR_BAD[name]
    district = uploads("staar")
    district.upload(sample("staar", f"bad/{name}"), name, edition=edition)
    assert code in codes(district) | codes(district, "warning")


def test_a_line_one_character_short_keeps_its_scores(uploads):
    district = uploads("staar")
    name = "staar_38_2023_one_character_short.txt"
    report = district.upload(sample("staar", f"bad/{name}"), name)
    assert report.files[0].rejected == 0, report.message
    assert any(row["scale_score"] for row in district.results("scale_score"))
    keys = district.query(
        "select rla_opportunity_key as key from assessments.staar where district_id = $district"
    )
    assert {row["key"] for row in keys} == {None}


def test_names_in_windows_1252_are_read_and_said(uploads):
    district = uploads("staar")
    name = "staar_38_2026_windows_1252_name.txt"
    report = district.upload(sample("staar", f"bad/{name}"), name)
    assert report.applied, report.message
    assert "fallback_encoding" in codes(district, "warning")


def test_a_gain_report_with_two_tests_in_a_row_does_not_fit(uploads):
    district = uploads("adam")
    report = district.upload(sample("adam", "bad/pre_post_gain_report.csv"))
    assert report.status == "refused", report.message


def test_damaged_rows_of_act_aspire_and_adam_are_rejected_one_by_one(uploads):
    aspire, adam = uploads("act_aspire"), uploads("adam")
    (file,) = aspire.upload(sample("act_aspire", "bad/values_2021.csv")).files
    assert (file.read, file.rejected) == (6, 3)
    assert {"bad_timestamp", "missing_value", "out_of_range"} <= codes(aspire)
    (file,) = adam.upload(sample("adam", "bad/values.csv")).files
    assert (file.read, file.rejected) == (7, 5)


@pytest.mark.parametrize(
    ("source", "name", "code"),
    [
        ("act_aspire", "layout_of_a_state_vendor.csv", "unknown_layout"),
        ("adam", "reading_test_of_the_same_vendor.csv", "unknown_layout"),
        ("adam", "pre_post_gain_report_with_repeated_headers.csv", "repeated_columns"),
    ],
)
def test_exports_of_other_tests_are_refused(uploads, source, name, code):
    district = uploads(source)
    report = district.upload(sample(source, f"bad/{name}"))
    assert not report.applied, report.message
    assert code in codes(district)
    assert not any(district.state().values())
