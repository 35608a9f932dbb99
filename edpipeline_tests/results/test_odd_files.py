"""Exports as other makers and districts have them: columns in another order, commas where they do
not belong, files beside the results. Nothing is taken for what it is not.
"""

import csv
import io
import random
from functools import cache
from itertools import cycle

import pytest

from edpipeline import sources
from edpipeline_tests.results.uploads import (
    Uploads,
    fixed_width,
    results_of,
    sample,
    table_of,
    wide_csv,
    zipped,
)

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


def one_row_for_each(values, source, edition, column, key):
    """The first row of a sample, once for each value of a column; its key tells the rows apart."""
    header, (first, *_) = rows_of(sample(source, f"{edition}.csv"))
    row = dict(zip(header, first, strict=True))
    each = [row | {column: value, key: f"{90000 + n}"} for n, value in enumerate(values)]
    return written(header, [one.values() for one in each])


def by_line(rows, column):
    """The values of a column, by line, from the first row of a file on."""
    found = {}
    for row in rows:
        found.setdefault(row["line"], set()).add(row[column])
    return [found[line] for line in sorted(found)]


# Wide files of the state, whose layouts know the place of every column.

OVERALL = "subject, grade_tested, score_status, scale_score, performance_level, match_value"
WIDE = "staar_38_2023"


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


@pytest.fixture(scope="module")
def usual(warehouse, tmp_path_factory):
    """A district that uploaded the sample of an edition as it is."""
    folder = tmp_path_factory.mktemp("usual")

    @cache
    def of_edition(edition):
        district = Uploads(warehouse, folder, sources.source("staar"))
        district.upload(written(*wide(edition)))
        return district

    return of_edition


@pytest.mark.parametrize(
    ("edition", "change"),
    [
        (WIDE, shuffled),
        (WIDE, one_column_gone_and_one_added),
        ("staar_eoc_2025", shuffled),
        ("staar_38_alt2_2024", one_column_gone_and_one_added),
    ],
)
def test_columns_that_moved_are_found_by_their_names(uploads, usual, edition, change):
    other = uploads("staar")
    report = other.upload(written(*change(*wide(edition))))
    assert report.edition == edition
    found, wanted = results_of(other, usual(edition), columns=OVERALL)
    assert found == wanted != []


def test_columns_of_unknown_names_are_taken_in_the_layout_s_order(uploads, usual):
    header, rows = wide(WIDE)
    other = uploads("staar")
    report = other.upload(written([f"V{n}" for n in range(len(header))], rows))
    assert report.edition == WIDE
    found, wanted = results_of(other, usual(WIDE), columns=OVERALL)
    assert found == wanted


def test_a_file_that_only_has_as_many_columns_as_a_layout_is_refused(uploads):
    district = uploads("staar")
    report = district.upload(written([f"V{n}" for n in range(272)], [["17"] * 272] * 2))
    assert report.status == "refused"
    assert codes(district) == {"unknown_layout"}


def test_a_file_without_a_header_is_refused_and_loses_no_row_as_one(uploads):
    _, rows = wide(WIDE)
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


@pytest.mark.parametrize(
    ("source", "edition", "columns", "words"),
    [
        ("nwea_map", "nwea_cdf_2020", ("TestID",), NO_IDS),
        (
            *("act_aspire", "act_aspire_summative_2021"),
            *(("TestUUID", "BatteryUUID", "StateStudentID"), ("NA",)),
        ),
        ("staar", "staar_interim_2024", ("Opportunity Key",), ("#N/A",)),
    ],
)
def test_words_for_nothing_are_the_id_of_no_result(uploads, source, edition, columns, words):
    content = sample(source, f"{edition}.csv")
    district, others = uploads(source), [uploads(source) for _ in words]
    district.upload(content)
    for other, nothing in zip(others, words, strict=True):
        (file,) = other.upload(changed(content, **dict.fromkeys(columns, nothing))).files
        assert file.rejected == 0, (nothing, file.rejected_by_code)
    which = "match_value, subject, objective_code, test_date, scale_score, is_deleted"
    wanted, *found = results_of(district, *others, columns=which)
    assert found == [wanted] * len(words)


def test_keys_of_wide_files_that_are_words_for_nothing_are_no_keys(uploads, usual):
    header, rows = wide(WIDE)
    keys = {name: "NA" for name in header if name.startswith("opportunity_key")}
    other = uploads("staar")
    other.upload(changed(written(header, rows), **keys))
    found, wanted = results_of(other, usual(WIDE), columns=OVERALL)
    assert found == wanted


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


@pytest.mark.parametrize("edition", ["staar_38_2024", "staar_eoc_2024"])
def test_a_line_that_breaks_before_its_scores_is_not_believed(uploads, edition):
    """A letter of a name became two, or none, or two stand twice: what comes after is shifted."""
    first, *others = fixed_lines(edition)
    breaks = [(48, "\u00c3\u2018"), (48, ""), (130, "00")]
    broken = [first[:at] + there + first[at + 1 :] for at, there in breaks]
    district = uploads("staar")
    content = "".join(f"{line}\r\n" for line in [*others, *broken]).encode()
    (file,) = district.upload(content, "results.txt").files
    assert file.rejected_by_code == {"line_shifted": len(broken)}
    found = district.query(
        f"select line from {file.table_name} where district_id = $district order by line"
    )
    assert [row["line"] for row in found] == list(range(1, len(others) + 1))


def test_lines_of_a_year_without_a_layout_are_named_as_such(uploads):
    content = "".join(f"0534{line[4:]}\r\n" for line in fixed_lines(WIDE)).encode()
    report = uploads("staar").upload(content, "results.txt")
    assert report.status == "refused"
    assert "lines of 4000 characters" in report.message
    assert "administration (MMYY)" in report.message


# Days, numbers and grades in other words.

DAYS = (
    *("9/1/2021", "9/1/21", "2021-09-01", "2021/09/01", "9/1/2021 0:00", "9/1/2021 1:22:05 PM"),
    *("2021-09-01 00:00:00", "2021-09-01 13:22:05.000", "2021-09-01T13:22:05"),
)
NO_DAYS = ("44440", "31/12/2021", "1112021", "9142021", "20210901", "13/1/21")
DAY_COLUMNS = {
    "nwea_map": ("nwea_cdf_2020", "TestStartDate", "TestID"),
    "act_aspire": ("act_aspire_summative_2021", "TestAdminDate", "TestUUID"),
    "staar": ("staar_interim_2024", "TEST DATE", "Opportunity Key"),
    "adam": ("adam_k7", "Date Completed", "Student ID"),
    "star": ("star_v2", "CompletedDateLocal", "AssessmentID"),
}


@pytest.fixture(scope="module")
def of_days(warehouse, tmp_path_factory):
    """Of a source, a file with a row for each of these days: its report, and the days by line."""
    folder = tmp_path_factory.mktemp("days")

    @cache
    def of_source(source):
        district = Uploads(warehouse, folder, sources.source(source))
        content = one_row_for_each([*DAYS, *NO_DAYS], source, *DAY_COLUMNS[source])
        (file,) = district.upload(content).files
        return file, {row["line"]: row["test_date"] for row in district.results("line, test_date")}

    return of_source


@pytest.mark.parametrize("source", DAY_COLUMNS)
def test_a_day_is_read_in_every_form_that_cannot_be_mistaken(of_days, source):
    _, days = of_days(source)
    found = {DAYS[line - 2]: str(day) for line, day in days.items()}
    assert found == dict.fromkeys(DAYS, "2021-09-01")


@pytest.mark.parametrize("source", DAY_COLUMNS)
def test_a_day_that_was_turned_or_lost_a_zero_is_not_guessed(of_days, source):
    file, days = of_days(source)
    assert file.rejected == len(NO_DAYS)
    assert set(file.rejected_by_code) <= {"bad_date", "bad_timestamp"}
    assert max(days) < 2 + len(DAYS)


def test_words_for_nothing_are_no_bad_numbers(uploads, usual):
    """A record of all subjects stays when one of them has no score."""
    header, rows = wide(WIDE)
    words = cycle(["NA", "#N/A", "NULL"])
    blank = [[value or next(words) for value in row] for row in rows]
    other = uploads("staar")
    (file,) = other.upload(written(header, blank)).files
    assert file.rejected == 0, file.rejected_by_code
    found, wanted = results_of(
        *(other, usual(WIDE)),
        columns="line, scale_score, percentile",
        where="objective_code = 'overall' and score_status = 'scored'",
    )
    assert found == wanted != []


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


def test_a_grade_may_be_written_in_many_ways(uploads):
    district = uploads("adam")
    district.upload(one_row_for_each(GRADES, "adam", "adam_k7", "Grade", "Student ID"))
    found = by_line(district.results("line, grade_tested"), "grade_tested")
    assert dict(zip(GRADES, found, strict=True)) == {g: {told} for g, told in GRADES.items()}


NUMBERS = {"54": 54, "54.0": 54, "54%": 54, "54.5 %": 54.5, "5,4": None, "about 54": None}


def test_a_number_may_have_a_percent_sign_and_no_other_words(uploads):
    district = uploads("nwea_map")
    edition = MAP.removesuffix(".csv")
    content = one_row_for_each(NUMBERS, "nwea_map", edition, "PercentCorrect", "TestID")
    (file,) = district.upload(content).files
    rows = district.results("line, percent_correct", "objective_code = 'overall'")
    found = by_line(rows, "percent_correct")
    assert dict(zip(NUMBERS, found, strict=True)) == {n: {told} for n, told in NUMBERS.items()}
    assert file.warnings_by_code["value_dropped"] == list(NUMBERS.values()).count(None)


def test_thousands_may_be_set_apart(uploads, usual):
    header, rows = wide(WIDE)
    at = header.index("mathematics_scale_score")
    apart = [
        [*row[:at], f"{row[at][-4]},{row[at][-3:]}" if row[at] else "", *row[at + 1 :]]
        for row in rows
    ]
    other = uploads("staar")
    other.upload(written(header, apart))
    found, wanted = results_of(other, usual(WIDE), columns=OVERALL)
    assert found == wanted


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


def test_the_subject_of_a_scale_is_told_by_its_words(uploads):
    district = uploads("nwea_map")
    edition = MAP.removesuffix(".csv")
    district.upload(one_row_for_each(SCALES, "nwea_map", edition, "Course", "TestID"))
    found = by_line(district.results("line, subject"), "subject")
    assert dict(zip(SCALES, found, strict=True)) == {s: {told} for s, told in SCALES.items()}
