"""Exports as other makers and districts have them: columns in another order, commas where they do
not belong, files beside the results. Nothing is taken for what it is not.
"""

import csv
import io
import random

import pytest

from edpipeline import sources
from edpipeline_tests.results.uploads import fixed_width, sample, table_of, wide_csv, zipped

pytestmark = pytest.mark.parametrize("warehouse", ["duckdb"], indirect=True)
"""Files are read alike for both; what the SQL makes of them is tested on both by the samples."""

MAP = "nwea_cdf_2020.csv"


def codes(district, severity="error"):
    return {
        row["code"]
        for row in district.query(
            "select code from ops.rejected_rows where district_id = $district"
            f" and severity = '{severity}'"
        )
    }


def rows_of(content):
    """Header and rows of a CSV, its short rows filled up."""
    header, *rows = csv.reader(io.StringIO(content.decode("utf-8-sig")))
    return header, [row + [""] * (len(header) - len(row)) for row in rows]


def written(header, rows, separator=","):
    out = io.StringIO()
    csv.writer(out, delimiter=separator, lineterminator="\n").writerows([header, *rows])
    return out.getvalue().encode()


def changed(content, **values):
    """The file with the same value in all rows of some columns."""
    header, rows = rows_of(content)
    for name, value in values.items():
        at = header.index(name)
        rows = [[*row[:at], value, *row[at + 1 :]] for row in rows]
    return written(header, rows)


# Wide files of the state, whose layouts know the place of every column.

OVERALL = "subject, grade_tested, score_status, scale_score, performance_level, match_value"
WIDE = ("staar_38_2023", "staar_eoc_2025", "staar_38_alt2_2024")


def records_of(edition):
    """The edition, its table, and the records of its sample."""
    found = sources.source("staar").edition(edition)
    return found, next(iter(found.headers)), table_of(sample("staar", f"{edition}.csv").decode())


def wide(edition):
    return rows_of(wide_csv(*records_of(edition)))


def shuffled(header, rows):
    order = random.Random(3).sample(range(len(header)), len(header))
    return [header[n] for n in order], [[row[n] for n in order] for row in rows]


def one_column_gone_and_one_added(header, rows):
    at = next(n for n, name in enumerate(header) if "blank" in name.casefold())
    return (
        [*header[:at], *header[at + 1 :], "Notes"],
        [[*row[:at], *row[at + 1 :], "tutored"] for row in rows],
    )


@pytest.mark.parametrize("change", [shuffled, one_column_gone_and_one_added])
@pytest.mark.parametrize("edition", WIDE)
def test_columns_that_moved_are_found_by_their_names(uploads, edition, change):
    header, rows = wide(edition)
    district, other = uploads("staar"), uploads("staar")
    district.upload(written(header, rows))
    report = other.upload(written(*change(header, rows)))
    assert report.edition == edition
    assert district.results(OVERALL) == other.results(OVERALL)


def test_columns_of_unknown_names_are_taken_in_the_layout_s_order(uploads):
    header, rows = wide("staar_38_2023")
    district, other = uploads("staar"), uploads("staar")
    district.upload(written(header, rows))
    report = other.upload(written([f"V{n}" for n in range(len(header))], rows))
    assert report.edition == "staar_38_2023"
    assert district.results(OVERALL) == other.results(OVERALL)


def test_a_file_that_only_has_as_many_columns_as_a_layout_is_refused(uploads):
    district = uploads("staar")
    report = district.upload(written([f"V{n}" for n in range(272)], [["17"] * 272] * 2))
    assert report.status == "refused"
    assert codes(district) == {"unknown_layout"}


def test_a_file_without_a_header_is_refused_and_loses_no_row_as_one(uploads):
    _, rows = wide("staar_38_2023")
    district = uploads("staar")
    report = district.upload(written(rows[0], rows[1:]))
    assert report.status == "refused"
    assert codes(district) == {"unknown_layout"}


# Separators.


def test_a_comma_in_an_unquoted_value_does_not_shift_the_row(uploads):
    """Its row is one value too long, and what stands at its end is blank."""
    header, rows = rows_of(sample("nwea_map", MAP))
    rows[1][header.index("Goal1Name")] = "Number Operations"
    content = written(header, rows).replace(b"Number Operations", b"Number, Operations")
    district = uploads("nwea_map")
    (file,) = district.upload(content).files
    assert (file.read, file.accepted) == (len(rows), len(rows) - 1)
    assert file.rejected_by_code == {"row_too_long": 1}


def test_a_value_that_is_missing_in_between_does_not_shift_the_row(uploads):
    header, rows = rows_of(sample("nwea_map", MAP))
    del rows[0][header.index("Goal1Name")]
    del rows[2][-1]
    district = uploads("nwea_map")
    (file,) = district.upload(written(header, rows)).files
    assert (file.read, file.accepted) == (len(rows), len(rows) - 1)
    assert file.rejected_by_code == {"line_shifted": 1}
    assert file.warnings_by_code["row_padded"] >= 1


def test_separators_at_the_end_of_every_row_are_no_matter(uploads):
    header, rows = rows_of(sample("nwea_map", MAP))
    top, *lines = written(header, rows).decode().splitlines()
    district = uploads("nwea_map")
    (file,) = district.upload("\n".join([top, *(f"{line},," for line in lines), ""]).encode()).files
    assert (file.read, file.accepted) == (len(rows), len(rows))
    assert file.warnings_by_code["row_padded"] == len(rows)


def test_a_comprehensive_file_with_tabs_keeps_its_test_ids(uploads):
    header, rows = rows_of(sample("nwea_map", MAP))
    district = uploads("nwea_map")
    report = district.upload(written(header, rows, "\t"))
    assert report.edition == "nwea_cdf_2020"
    assert report.files[0].accepted == len(rows)


@pytest.mark.parametrize(("separator", "called"), [(";", "semicolons"), ("|", "vertical bars")])
def test_other_separators_are_named(uploads, separator, called):
    header, rows = rows_of(sample("nwea_map", MAP))
    report = uploads("nwea_map").upload(written(header, rows, separator))
    assert report.status == "refused"
    assert f"separated by {called}" in report.message


# What lies beside the results in a zip.


def comprehensive(**others):
    return {
        name: sample("nwea_map", f"variants/cdf_zip/{name}")
        for name in ("AssessmentResults.csv", "StudentsBySchool.csv")
    } | others


BESIDE = {
    "ProgramAssignments.csv": b"",
    "guide.pdf": b"%PDF-1.4",
    "ReadMe.txt": b"Files of your district",
    "__MACOSX/._AssessmentResults.csv": b"\x00\x05\x16\x07",
}


@pytest.mark.parametrize("name", BESIDE)
def test_what_lies_beside_the_results_in_a_zip_is_left(uploads, name):
    district = uploads("nwea_map")
    report = district.upload(zipped(comprehensive(**{name: BESIDE[name]})), "export.zip")
    assert report.status == "loaded", report.message
    assert [file.rejected for file in report.files] == [0, 0]
    assert ("unknown_file" in codes(district, "warning")) == (not name.startswith("__MACOSX"))


@pytest.mark.parametrize("name", ["AssessmentResults.csv", "StudentsBySchool.csv"])
def test_results_and_grades_of_a_zip_must_be_readable(uploads, name):
    district = uploads("nwea_map")
    report = district.upload(zipped(comprehensive(**{name: b""})), "export.zip")
    assert report.status == "refused"
    assert f"{name} is empty" in report.message


# Ids that are none, and schools of one name.

NO_IDS = ("#N/A", "NA", "None", "-")


@pytest.mark.parametrize("nothing", NO_IDS)
@pytest.mark.parametrize(
    ("source", "edition", "columns"),
    [
        ("nwea_map", "nwea_cdf_2020", ("TestID",)),
        ("act_aspire", "act_aspire_summative_2021", ("TestUUID", "BatteryUUID", "StateStudentID")),
        ("staar", "staar_interim_2024", ("Opportunity Key",)),
    ],
)
def test_words_for_nothing_are_the_id_of_no_result(uploads, source, edition, columns, nothing):
    content = sample(source, f"{edition}.csv")
    district, other = uploads(source), uploads(source)
    district.upload(content)
    (file,) = other.upload(changed(content, **dict.fromkeys(columns, nothing))).files
    assert file.rejected == 0, file.rejected_by_code
    which = "match_value, subject, objective_code, test_date, scale_score, is_deleted"
    assert other.results(which) == district.results(which)


def test_keys_of_wide_files_that_are_words_for_nothing_are_no_keys(uploads):
    header, rows = wide("staar_38_2023")
    content = written(header, rows)
    keys = {name: "NA" for name in header if name.startswith("opportunity_key")}
    district, other = uploads("staar"), uploads("staar")
    district.upload(content)
    other.upload(changed(content, **keys))
    assert other.results(OVERALL) == district.results(OVERALL)


@pytest.mark.parametrize(("code", "gone"), [("1", 1), ("001", 1), ("", 3)])
def test_the_export_of_a_school_says_nothing_of_another_one_of_its_name(uploads, code, gone):
    """Its code may be written without zeros; without a code the name alone tells schools."""
    content = changed(sample("nwea_map", MAP), SchoolName="Lincoln Elementary")
    header, rows = rows_of(content)
    at = header.index("School_StateID")
    for number, row in enumerate(rows):
        row[at] = "001" if number < 3 else "002"
    district = uploads("nwea_map")
    district.upload(written(header, rows))
    again = [[*row[:at], code, *row[at + 1 :]] for row in rows[: 2 if code else 3]]
    report = district.upload(written(header, again), day=1)
    assert report.files[0].removed == gone


# Lines of fixed width.


def fixed_lines(edition):
    return fixed_width(*records_of(edition)).decode("cp1252").splitlines()


@pytest.mark.parametrize(
    ("before", "after"),
    [(48, "\u00c3\u2018"), (48, ""), (130, "00")],
    ids=["mangled", "lost", "doubled"],
)
@pytest.mark.parametrize("edition", ["staar_38_2024", "staar_eoc_2024"])
def test_a_line_that_breaks_before_its_scores_is_not_believed(uploads, edition, before, after):
    """A letter of a name became two, or none: all that comes after it is shifted."""
    first, *others = fixed_lines(edition)
    broken = first[:before] + after + first[before + 1 :]
    district = uploads("staar")
    content = "".join(f"{line}\r\n" for line in [*others, broken]).encode()
    (file,) = district.upload(content, "results.txt").files
    assert file.rejected_by_code == {"line_shifted": 1}
    assert {row["line"] for row in district.results("line")} == set(range(1, len(others) + 1))


def test_lines_of_a_year_without_a_layout_are_named_as_such(uploads):
    content = "".join(f"0534{line[4:]}\r\n" for line in fixed_lines("staar_38_2023")).encode()
    report = uploads("staar").upload(content, "results.txt")
    assert report.status == "refused"
    assert "lines of 4000 characters" in report.message
    assert "administration (MMYY)" in report.message


# Days, numbers and grades in other words.

DAYS = (
    *("9/1/2021", "9/1/21", "2021-09-01", "2021/09/01", "9/1/2021 0:00", "9/1/2021 1:22:05 PM"),
    *("2021-09-01 00:00:00", "2021-09-01 13:22:05.000", "2021-09-01T13:22:05"),
)
DAY_COLUMNS = {
    "nwea_map": ("nwea_cdf_2020", "TestStartDate", "TestID"),
    "act_aspire": ("act_aspire_summative_2021", "TestAdminDate", "TestUUID"),
    "staar": ("staar_interim_2024", "TEST DATE", "Opportunity Key"),
    "adam": ("adam_k7", "Date Completed", "Student ID"),
    "star": ("star_v2", "CompletedDateLocal", "AssessmentID"),
}


@pytest.mark.parametrize("source", DAY_COLUMNS)
def test_a_day_is_read_in_every_form_that_cannot_be_mistaken(uploads, source):
    edition, column, key = DAY_COLUMNS[source]
    header, (first, *_) = rows_of(sample(source, f"{edition}.csv"))
    row = dict(zip(header, first, strict=True))
    of_days = [row | {column: day, key: f"{90000 + n}"} for n, day in enumerate(DAYS)]
    district = uploads(source)
    (file,) = district.upload(written(header, [each.values() for each in of_days])).files
    assert file.rejected == 0, file.rejected_by_code
    assert {str(found["test_date"]) for found in district.results("test_date")} == {"2021-09-01"}


@pytest.mark.parametrize(
    "day", ["44440", "31/12/2021", "1112021", "9142021", "20210901", "13/1/21"]
)
@pytest.mark.parametrize("source", DAY_COLUMNS)
def test_a_day_that_was_turned_or_lost_a_zero_is_not_guessed(uploads, source, day):
    edition, column, _ = DAY_COLUMNS[source]
    report = uploads(source).upload(changed(sample(source, f"{edition}.csv"), **{column: day}))
    assert report.status == "refused"
    assert set(report.files[0].rejected_by_code) <= {"bad_date", "bad_timestamp"}


@pytest.mark.parametrize("nothing", ["NA", "#N/A", "NULL"])
def test_words_for_nothing_are_no_bad_numbers(uploads, nothing):
    """A record of all subjects stays when one of them has no score."""
    header, rows = wide("staar_38_2023")
    blank = [[value or nothing for value in row] for row in rows]
    district, other = uploads("staar"), uploads("staar")
    district.upload(written(header, rows))
    (file,) = other.upload(written(header, blank)).files
    assert file.rejected == 0, file.rejected_by_code
    scored = "objective_code = 'overall' and score_status = 'scored'"
    assert other.results("line, scale_score, percentile", scored) == district.results(
        "line, scale_score, percentile", scored
    )


GRADES = {
    "3": "03",
    "03": "03",
    "3rd": "03",
    "3.0": "03",
    "Grade 3": "03",
    "3rd Grade": "03",
    "12+": "12",
    "K": "KG",
    "Kindergarten": "KG",
    "PK": "PK",
    "Adult": None,
}


@pytest.mark.parametrize("grade", GRADES)
def test_a_grade_may_be_written_in_many_ways(uploads, grade):
    district = uploads("adam")
    district.upload(changed(sample("adam", "adam_k7.csv"), Grade=grade))
    assert {row["grade_tested"] for row in district.results("grade_tested")} == {GRADES[grade]}


NUMBERS = {"54": 54, "54.0": 54, "54%": 54, "54.5 %": 54.5, "5,4": None, "about 54": None}


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_may_have_a_percent_sign_and_no_other_words(uploads, number):
    district = uploads("nwea_map")
    district.upload(changed(sample("nwea_map", MAP), PercentCorrect=number))
    found = district.results("percent_correct", "objective_code = 'overall'")
    assert {row["percent_correct"] for row in found} == {NUMBERS[number]}
    assert ("value_dropped" in codes(district, "warning")) == (NUMBERS[number] is None)


def test_thousands_may_be_set_apart(uploads):
    header, rows = wide("staar_38_2023")
    at = header.index("mathematics_scale_score")
    apart = [
        [*row[:at], f"{row[at][-4]},{row[at][-3:]}" if row[at] else "", *row[at + 1 :]]
        for row in rows
    ]
    district, other = uploads("staar"), uploads("staar")
    district.upload(written(header, rows))
    other.upload(written(header, apart))
    assert other.results(OVERALL) == district.results(OVERALL)


SCALES = {
    "Lang Usage": "language",
    "Language Usage 2-12": "language",
    "Language": "language",
    "Reading (Spanish)": "reading",
    "ELA": "ela",
    "Algebra I": "math",
    "Science - General Science": "science",
    "Phys. Ed.": None,
}


@pytest.mark.parametrize("course", SCALES)
def test_the_subject_of_a_scale_is_told_by_its_words(uploads, course):
    district = uploads("nwea_map")
    district.upload(changed(sample("nwea_map", MAP), Course=course))
    assert {row["subject"] for row in district.results("subject")} == {SCALES[course]}
