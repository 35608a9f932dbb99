"""Texas STAAR: results of the state's tests, as the files that Texas sends its districts.

What to upload: the student data file of an administration, from the state's testing portal, either
the text file (fixed width, no header: 4000 characters a line for grades 3 to 8, 2000 for
end-of-course, the last one a point) or the CSV of the same layout; and the CSV of the interim
tests. Do not open them in a spreadsheet first: it takes zeros from ids, campuses and codes.

Editions are one per family and year, because names change every year and places do not: a layout in
`layouts` lists every field of the year in its order with its place, and next year's is a line in
`editions.csv`, a layout file and a sample. The layouts are derived from public data
(`layouts/NOTICE.md`). Which edition a file of fixed width is of, it says itself: the length of its
lines tells grades 3 to 8 from end-of-course, the administration code in its first four characters
tells the year (13YY, December, belongs to the layout of the next year).

Tables:

    staar          one row per student record of a tested grade, grades 3 to 8 and Alternate 2,
                   the subjects side by side (rla_*, math_*, writing_*, social_studies_*, science_*)
    staar_eoc      one row per student, course and administration; end-of-course and Alternate 2
    staar_long     one row per student, tested grade, administration and subject
    staar_interim  one row per attempt at an interim test

Known trouble: absent students have blank flags, which are no level; scores are zero-padded and 000
is a percentile; a student who tests in two grades has two records; Algebra I taken in grade 7 or 8
is copied into the record of grades 3 to 8 and is read from the end-of-course file alone; item
answers and the history of earlier years are read past. The PEIMS id may be a social security
number: it is loaded because some districts match on it (alternate user id), and is personal data.
"""

from edpipeline.model import Edition
from edpipeline.sources.results import ResultTable, read_source

ONLINE_OR_LANGUAGE = (412, 414, 766, 768, 1514, 1516, 1914, 1916)
"""Places of grades 3 to 8 that Alternate 2 leaves blank."""
ONLY_IN_EOC = (295, 300, 306, 386, 388)
"""Places of end-of-course that Alternate 2 leaves blank."""
ALTERNATE, DECEMBER = "04", "13"


def tells(line: str, edition: Edition) -> bool:
    """Whether a line of fixed width is of an edition: by its administration (MMYY) and, where the
    regular and the alternate test share that, by places that only the regular one fills."""
    month, year = line[:2], line[2:4]
    if not (month + year).isdigit():
        return False
    of_year = int(year) + (month == DECEMBER) == int(edition.name[-2:])
    is_alternate = "_alt2_" in edition.name
    if edition.record_length == 2000:
        return of_year and is_alternate != _any_filled(line, ONLY_IN_EOC)
    if month == ALTERNATE and year != "21":
        return of_year and is_alternate
    if month == ALTERNATE:
        return of_year and is_alternate != _any_filled(line, ONLINE_OR_LANGUAGE)
    return of_year and not is_alternate


def _any_filled(line: str, places: tuple[int, ...]) -> bool:
    return any(line[place : place + 1].strip() for place in places)


SOURCE = read_source(
    name="staar",
    title="Texas STAAR",
    docs="https://tea.texas.gov/student-assessment",
    tells=tells,
    tables={
        "staar": ResultTable(
            file="student data file, grades 3-8",
            grain="one row per student record of a tested grade, its subjects side by side",
            keys=(
                (
                    "edition",
                    "administration_code",
                    "grade_tested",
                    "document_number",
                    "tsds_unique_id",
                ),
                ("edition", "administration_code", "grade_tested", "tsds_unique_id", "campus_cdc"),
                (
                    "edition",
                    "administration_code",
                    "grade_tested",
                    "local_student_id",
                    "campus_cdc",
                ),
                ("edition", "administration_code", "grade_tested", "match_value", "campus_cdc"),
            ),
        ),
        "staar_eoc": ResultTable(
            file="student data file, end-of-course",
            grain="one row per student, course and administration",
            keys=(
                ("opportunity_key",),
                ("edition", "administration_code", "eoc_code", "document_number", "tsds_unique_id"),
                ("edition", "administration_code", "eoc_code", "tsds_unique_id", "campus_cdc"),
                ("edition", "administration_code", "eoc_code", "match_value", "campus_cdc"),
            ),
        ),
        "staar_long": ResultTable(
            file="CSV with one row per subject",
            grain="one row per student, tested grade, administration and subject",
            keys=(
                ("opportunity_key",),
                (
                    "administration_code",
                    "grade_tested",
                    "test_subject",
                    "tsds_unique_id",
                    "campus_cdc",
                ),
                (
                    "administration_code",
                    "grade_tested",
                    "test_subject",
                    "match_value",
                    "campus_cdc",
                ),
            ),
        ),
        "staar_interim": ResultTable(
            file="CSV of the interim tests",
            grain="one row per attempt at an interim test",
            keys=(
                ("opportunity_key",),
                ("test_code", "test_date", "attempt", "match_value"),
            ),
        ),
    },
)
