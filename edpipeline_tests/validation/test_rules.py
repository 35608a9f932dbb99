"""Every kind of value: what is taken, what is mended and said, and what costs the row.

A case is a value in an otherwise good row, with the code it meets and the value that is kept.
"""

from collections import Counter
from datetime import date, datetime
from functools import cache

import pytest

from edpipeline_tests.district import ONEROSTER, Row, package, rows, table

V1P1, V1P2, THREE = "oneroster_1_1", "oneroster_1_2", "three_file"
REJECTED = object()
STAMPS = {"status": "active", "dateLastModified": "2026-09-01T00:00:00.000Z"}

EXAMPLES: dict[str, str] = {
    "id": "x1",
    "id_list": "x1",
    "text": "words",
    "text_list": "words",
    "boolean": "true",
    "date": "2026-09-01",
    "timestamp": "",
    "number": "1",
    "integer": "1",
    "year": "2027",
}


def good_row(file: str, edition: str) -> Row:
    """A row with every column of the edition filled."""
    found: Row = {}
    for column in ONEROSTER.table(file).columns:
        rule = ONEROSTER.edition(edition).rule(file, column.name)
        if rule is None or rule.presence == "delta":
            continue
        found[column.header] = rule.values[0] if rule.values else EXAMPLES[column.kind]
    return found


def headers(file: str, edition: str) -> list[str]:
    return [
        c.header
        for c in ONEROSTER.table(file).columns
        if ONEROSTER.edition(edition).rule(file, c.name)
    ]


def checked_row(check_file, file, row, edition, mode="bulk"):
    """The outcome of one row (line 2), beside a good one that keeps the file usable (line 3)."""
    lines = [row, good_row(file, edition) | {"sourcedId": "other"}]
    if mode == "delta":
        lines[1] |= STAMPS
    content = table(headers(file, edition), lines, "\n", quoted=True)
    return check_file(content, file, edition, mode)


def name_of(file: str, header: str) -> str:
    return next(c.name for c in ONEROSTER.table(file).columns if c.header == header)


LONGEST = "x" * 255

CASES: list[tuple[str, str, str, str, str | None, object]] = [
    # file, edition, header, value, code, value kept
    ("users", V1P1, "sourcedId", "0Az.-_/@9", None, "0Az.-_/@9"),
    ("users", V1P1, "sourcedId", "007", None, "007"),
    ("users", V1P1, "sourcedId", LONGEST, None, LONGEST),
    ("users", V1P1, "sourcedId", LONGEST + "x", "bad_id", REJECTED),
    ("users", V1P1, "sourcedId", "a b", "bad_id", REJECTED),
    ("users", V1P1, "sourcedId", "a:b", "bad_id", REJECTED),
    ("users", V1P1, "sourcedId", "{a}", "bad_id", REJECTED),
    ("users", V1P1, "sourcedId", "ä", "bad_id", REJECTED),
    ("users", V1P1, "sourcedId", "٣", "bad_id", REJECTED),
    ("users", V1P1, "sourcedId", "a,b", "bad_id", REJECTED),
    ("users", V1P1, "sourcedId", " S1 ", "blanks_removed", "S1"),
    ("users", V1P1, "sourcedId", "S2\u00a0", "blanks_removed", "S2"),
    ("users", V1P1, "sourcedId", "S3\u3000", "blanks_removed", "S3"),
    ("users", V1P1, "sourcedId", "S4\t", "blanks_removed", "S4"),
    ("enrollments", V1P1, "classSourcedId", "C 1", "bad_id", REJECTED),
    ("users", V1P1, "orgSourcedIds", "0101,0102", None, "0101,0102"),
    ("users", V1P1, "orgSourcedIds", "0101, 0102", None, "0101,0102"),
    ("users", V1P1, "orgSourcedIds", "0101,,0102", "bad_list", REJECTED),
    ("users", V1P1, "orgSourcedIds", ",0101", "bad_list", REJECTED),
    ("users", V1P1, "orgSourcedIds", "0101,", "bad_list", REJECTED),
    ("users", V1P1, "orgSourcedIds", "0101;0102", "bad_list", REJECTED),
    ("users", V1P1, "orgSourcedIds", "a b,c", "bad_list", REJECTED),
    ("users", V1P1, "role", "parent", None, "parent"),
    ("users", V1P1, "role", "Student", "code_case", "student"),
    ("users", V1P1, "role", "pupil", "bad_code", REJECTED),
    ("users", V1P1, "role", "ext:coach", "bad_code", REJECTED),
    ("users", THREE, "role", "STUDENT", "code_case", "student"),
    ("users", THREE, "role", "pupil", "bad_code", REJECTED),
    ("enrollments", V1P1, "role", "aide", "bad_code", REJECTED),
    ("enrollments", V1P1, "role", "ext:coach", "bad_code", REJECTED),
    ("enrollments", THREE, "role", "ext:coach", "bad_code", REJECTED),
    ("enrollments", V1P2, "role", "ext:coach", None, "ext:coach"),
    ("enrollments", V1P2, "role", "coach", "bad_code", REJECTED),
    ("roles", V1P2, "role", "ext:coach", None, "ext:coach"),
    ("roles", V1P2, "roleType", "ext:other", "bad_code", REJECTED),
    ("roles", V1P2, "role", "siteadministrator", "code_case", "siteAdministrator"),
    ("orgs", V1P1, "type", "School", "code_case", "school"),
    ("orgs", V1P1, "type", "college", "bad_code", REJECTED),
    ("classes", V1P1, "classType", "Scheduled", "code_case", "scheduled"),
    ("classes", V1P1, "classType", "lab", "bad_code", REJECTED),
    ("classes", THREE, "classType", "lab", "value_dropped", None),
    ("users", V1P1, "status", "", None, "active"),
    ("users", V1P1, "status", "active", None, "active"),
    ("users", V1P1, "status", "tobedeleted", None, "tobedeleted"),
    ("users", V1P1, "status", "ToBeDeleted", "code_case", "tobedeleted"),
    ("users", V1P1, "status", "inactive", "status_inactive", "tobedeleted"),
    ("users", V1P1, "status", "Inactive", "status_inactive", "tobedeleted"),
    ("users", V1P1, "status", "deleted", "bad_code", REJECTED),
    ("demographics", V1P1, "sex", "female", None, "female"),
    ("demographics", V1P1, "sex", "other", "value_dropped", None),
    ("demographics", V1P2, "sex", "other", None, "other"),
    ("demographics", V1P2, "sex", "ext:x", None, "ext:x"),
    ("demographics", V1P1, "sex", "F", "value_dropped", None),
    ("results", V1P1, "scoreStatus", "fully graded", None, "fully graded"),
    ("results", V1P1, "scoreStatus", "Fully Graded", "code_case", "fully graded"),
    ("results", V1P1, "scoreStatus", "graded", "bad_code", REJECTED),
    ("resources", V1P1, "roles", "student,teacher", None, "student,teacher"),
    ("resources", V1P1, "roles", "student, teacher", None, "student,teacher"),
    ("resources", V1P1, "roles", "student,boss", "value_dropped", None),
    ("resources", V1P1, "roles", "student,ext:boss", "value_dropped", None),
    ("resources", V1P2, "roles", "student,ext:boss", None, "student,ext:boss"),
    ("users", V1P1, "enabledUser", "true", None, True),
    ("users", V1P1, "enabledUser", "false", None, False),
    ("users", V1P1, "enabledUser", "TRUE", "code_case", True),
    ("users", V1P1, "enabledUser", "False", "code_case", False),
    ("users", V1P1, "enabledUser", "1", "bad_boolean", REJECTED),
    ("users", V1P1, "enabledUser", "yes", "bad_boolean", REJECTED),
    ("users", THREE, "enabledUser", "yes", "value_dropped", None),
    ("users", THREE, "enabledUser", "", None, None),
    ("enrollments", V1P1, "primary", "Y", "value_dropped", None),
    ("enrollments", V1P1, "beginDate", "2026-09-01", None, date(2026, 9, 1)),
    ("enrollments", V1P1, "beginDate", "2024-02-29", None, date(2024, 2, 29)),
    ("enrollments", V1P1, "beginDate", " 2026-09-01", "blanks_removed", date(2026, 9, 1)),
    ("enrollments", V1P1, "beginDate", "", None, None),
    *(
        ("enrollments", V1P1, "beginDate", value, "bad_date", REJECTED)
        for value in [
            *("9/1/2026", "09/01/2026", "01.09.2026", "2026/09/01", "2026-9-1", "20260901"),
            *("2026-02-30", "2027-02-29", "2026-13-01", "46266", "2026-09-01T00:00:00Z"),
            *("0000-00-00", "0000-01-01", "0026-09-01", "+999-01-01", "2026-09-0", "never"),
            *("\uff12026-09-1", "26-09-01", "2026-09-01Z", "1-Sep-2026"),
        ]
    ),
    ("demographics", V1P1, "birthDate", "2011-05-04", None, date(2011, 5, 4)),
    ("demographics", V1P1, "birthDate", "5/4/2011", "value_dropped", None),
    *(
        ("users", V1P1, "dateLastModified", value, None, kept)
        for value, kept in [
            ("2026-09-01T18:25:43.511Z", datetime(2026, 9, 1, 18, 25, 43, 511000)),
            ("2026-09-01T18:25:43Z", datetime(2026, 9, 1, 18, 25, 43)),
            ("2026-09-01T18:25:43", datetime(2026, 9, 1, 18, 25, 43)),
            ("2026-09-01 18:25:43", datetime(2026, 9, 1, 18, 25, 43)),
            ("2026-09-01", datetime(2026, 9, 1)),
        ]
    ),
    *(
        ("users", V1P1, "dateLastModified", value, "value_dropped", None)
        for value in [
            *("1/05/2023", "yesterday", "2026-13-01T00:00:00Z", "2026-09-01T25:00:00Z"),
            *("+12026-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "0000-01-01", "1756751143"),
        ]
    ),
    ("results", V1P1, "score", "93.5", None, 93.5),
    ("results", V1P1, "score", "-1", None, -1.0),
    ("results", V1P1, "score", " 7", "blanks_removed", 7.0),
    *(
        ("results", V1P1, "score", value, "bad_number", REJECTED)
        for value in ["ninety", "93,5", "1 000", "nan", "NaN", "inf", "-inf", "0x1F", "९", "--"]
    ),
    ("results", V1P2, "score", "", None, None),
    ("categories", V1P2, "weight", "25", None, 25),
    ("categories", V1P2, "weight", "25.5", "value_dropped", None),
    ("categories", V1P2, "weight", "9" * 20, "value_dropped", None),
    ("academic_sessions", V1P1, "schoolYear", "2027", None, 2027),
    ("academic_sessions", V1P1, "schoolYear", "2026-2027", "year_range", 2027),
    ("academic_sessions", V1P1, "schoolYear", "2026-27", "year_range", 2027),
    ("academic_sessions", V1P1, "schoolYear", "2026/27", "year_range", 2027),
    ("academic_sessions", V1P1, "schoolYear", "1999-00", "year_range", 2000),
    ("academic_sessions", V1P1, "schoolYear", "1999-2000", "year_range", 2000),
    *(
        ("academic_sessions", V1P1, "schoolYear", value, "bad_year", REJECTED)
        for value in ["27", "20271", "2026-09", "2026-2035", "2027-2026", "FY27", "٢٠٢٧", "0000"]
    ),
    ("users", V1P1, "givenName", 'Zoë-Marie O\'Hara, 3rd ("Zo")', None, ...),
    ("users", V1P1, "givenName", "Ann ", "blanks_removed", "Ann"),
    ("users", V1P1, "givenName", "\u2009Ann", "blanks_removed", "Ann"),
    ("users", V1P1, "givenName", "JosÃ©", "damaged_text", ...),
    ("users", V1P1, "givenName", "Oâ\u20ac\u2122Hara", "damaged_text", ...),
    ("users", V1P1, "givenName", "Jos\ufffd", "damaged_text", ...),
    ("users", V1P1, "givenName", "Ångström Ñandú São", None, ...),
    ("classes", V1P1, "periods", "1(A-B,D)", None, ...),
    ("classes", V1P1, "grades", "09, 10", None, "09,10"),
]


@pytest.fixture(scope="module")
def outcome_of(check_file):
    """The outcome of each case: all cases of a file lie in one file, a row each."""

    @cache
    def of_file(file, edition):
        cases = [case for case in CASES if case[:2] == (file, edition)]
        lines = [
            good_row(file, edition) | {"sourcedId": f"r{n}"} | {case[2]: case[3]}
            for n, case in enumerate(cases)
        ]
        content = table(headers(file, edition), lines, "\n", quoted=True)
        return cases, check_file(content, file, edition)

    return of_file


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(case[:4])[:80])
def test_a_value_is_taken_mended_or_refused(outcome_of, case):
    file, edition, header, value, code, kept = case
    cases, found = outcome_of(file, edition)
    at = cases.index(case) + 2
    name = name_of(file, header)
    about = [(column, c) for line, column, c in found.findings if line == at]
    assert about == ([(name, code)] if code else [])
    assert (at in found.rows) == (kept is not REJECTED)
    if kept is not REJECTED:
        assert found.rows[at][name] == (value if kept is ... else kept)
        assert found.rows[at]["warned"] == bool(code)


@pytest.mark.parametrize(("file", "edition"), sorted({case[:2] for case in CASES}))
def test_rows_are_counted_under_their_code(outcome_of, file, edition):
    cases, found = outcome_of(file, edition)
    assert found.checked.read == len(cases)
    assert found.rejected() == Counter(c[4] for c in cases if c[5] is REJECTED)
    kept = [case for case in cases if case[5] is not REJECTED]
    assert found.checked.warnings == Counter(c[4] for c in kept if c[4])


REQUIRED = [
    (edition.name, table, rule.column)
    for edition in ONEROSTER.editions
    for table, rules in edition.rules.items()
    for rule in rules
    if rule.presence == "required"
]


@pytest.mark.parametrize("edition", [V1P1, V1P2, THREE])
def test_a_blank_value_that_must_be_there_costs_the_row(check_file, edition):
    """Every such column of every file, each in a row of its own."""
    required = [(t, c) for e, t, c in REQUIRED if e == edition]
    for file in dict.fromkeys(name for name, _ in required):
        columns = [ONEROSTER.table(file).column(c) for t, c in required if t == file]
        blanks = ("", "  ", "\u00a0")
        lines = [
            good_row(file, edition) | {"sourcedId": f"r{n}"} | {column.header: blanks[n % 3]}
            for n, column in enumerate(columns)
        ]
        lines.append(good_row(file, edition))
        content = table(headers(file, edition), lines, "\n", quoted=True)
        found = check_file(content, file, edition)
        assert found.rejected() == {"missing_value": len(columns)}, file
        told = {(line, c) for line, c, code in found.findings if code == "missing_value"}
        assert told == {(n + 2, column.name) for n, column in enumerate(columns)}, file


@pytest.mark.parametrize("header", ["status", "dateLastModified"])
@pytest.mark.parametrize("edition", [V1P1, V1P2])
def test_delta_rows_must_be_stamped_and_bulk_rows_need_not(check_file, edition, header):
    row = good_row("users", edition) | STAMPS | {header: ""}
    delta = checked_row(check_file, "users", row, edition, "delta")
    assert delta.rejected() == {"missing_in_delta": 1}
    assert (2, name_of("users", header), "missing_in_delta") in delta.findings
    assert checked_row(check_file, "users", row, edition, "bulk").rejected() == {}


@pytest.mark.parametrize(
    "stamp", [{"status": "active"}, STAMPS, {"dateLastModified": "2026-09-01"}]
)
def test_a_bulk_file_with_stamps_is_told_once(check_file, stamp):
    found = checked_row(check_file, "users", good_row("users", V1P1) | stamp, V1P1)
    assert [f.code for f in found.checked.findings] == ["stamped_in_bulk"]
    clean = checked_row(check_file, "users", good_row("users", V1P1), V1P1)
    assert clean.checked.findings == []
    delta = checked_row(check_file, "users", good_row("users", V1P1) | STAMPS, V1P1, "delta")
    assert delta.checked.findings == []


@pytest.mark.parametrize(
    ("file", "values", "code"),
    [
        ("enrollments", {"beginDate": "2027-01-02", "endDate": "2027-01-01"}, "dates_reversed"),
        ("enrollments", {"beginDate": "2027-01-01", "endDate": "2027-01-01"}, None),
        ("enrollments", {"beginDate": "", "endDate": "2027-01-01"}, None),
        ("academic_sessions", {"startDate": "2027-6-1", "endDate": "2026-08-01"}, "bad_date"),
        (
            "academic_sessions",
            {"startDate": "2027-06-01", "endDate": "2026-08-01"},
            "dates_reversed",
        ),
        ("classes", {"subjects": "A,B", "subjectCodes": "1"}, "list_not_equal"),
        ("classes", {"subjects": "A,B", "subjectCodes": "1,2"}, None),
        ("classes", {"subjects": "A, B", "subjectCodes": "1,2"}, None),
        ("classes", {"subjects": "A,B", "subjectCodes": ""}, None),
        ("courses", {"subjects": "A", "subjectCodes": "1,2"}, "list_not_equal"),
    ],
)
def test_columns_are_held_against_each_other(check_file, file, values, code):
    found = checked_row(check_file, file, good_row(file, V1P1) | values, V1P1)
    assert [c for line, _, c in found.findings if line == 2] == ([code] if code else [])


def test_a_value_does_not_depend_on_the_other_columns_of_its_row(check_file):
    """A row that needs mending anywhere is looked at more closely than a clean one."""
    for edition, file in [(V1P1, "classes"), (V1P1, "users"), (V1P2, "resources")]:
        base = good_row(file, edition)
        texts = [c for c in ONEROSTER.table(file).columns if c.header in base]
        lists = {c.header: "a, b ,c" for c in texts if c.kind == "text_list" and c.stored}
        lists |= {c.header: "x1, x2" for c in texts if c.kind == "id_list"}
        clean = base | lists
        odd = clean | {"title" if file != "users" else "familyName": " words"}
        one = checked_row(check_file, file, clean, edition).rows[2]
        other = checked_row(check_file, file, odd, edition).rows[2]
        for column in texts:
            if column.stored:
                assert one[column.name] == other[column.name], column.name


def test_several_faults_of_a_row_are_all_listed_and_it_is_counted_once(check_file):
    row = good_row("users", V1P1) | {"role": "boss", "enabledUser": "maybe", "givenName": ""}
    found = checked_row(check_file, "users", row, V1P1)
    assert {code for line, _, code in found.findings if line == 2} == {
        "bad_code",
        "bad_boolean",
        "missing_value",
    }
    assert sum(found.rejected().values()) == 1


def test_passwords_are_read_past(check_file):
    row = good_row("users", V1P1) | {"password": "hunter2-secret"}
    found = checked_row(check_file, "users", row, V1P1)
    assert "password" not in found.rows[2]
    assert not any("hunter2" in repr(value) for value in found.rows[2].values())


def test_keys_are_made_where_the_layout_has_none(check_file):
    columns = ["classSourcedId", "userSourcedId", "role", "beginDate"]
    lines = [
        {"classSourcedId": "C1", "userSourcedId": "S1", "role": "student"},
        {"classSourcedId": "C1", "userSourcedId": "S1", "role": "teacher"},
        {"classSourcedId": "C1", "userSourcedId": "S2", "role": "Student"},
        {"classSourcedId": " C1", "userSourcedId": "S3", "role": "student"},
        {
            "classSourcedId": "C1",
            "userSourcedId": "S4",
            "role": "student",
            "beginDate": "2026-09-01",
        },
    ]
    found = check_file(table(columns, lines), "enrollments")
    assert [row["sourced_id"] for row in found.rows.values()] == [
        "C1:S1:student",
        "C1:S1:teacher",
        "C1:S2:student",
        "C1:S3:student",
        "C1:S4:student:2026-09-01",
    ]


def test_the_small_roster_of_these_tests_is_without_a_finding(check_file):
    whole = package(rows())
    for edition in (V1P1, V1P2):
        for name, lines in whole.items():
            file = next(t.name for t in ONEROSTER.tables if t.file == f"{name}.csv")
            if file not in ONEROSTER.edition(edition).rules:
                continue
            found = check_file(table(headers(file, edition), lines), file, edition)
            assert (found.findings, found.checked.findings) == ([], [])
            assert len(found.rows) == len(lines)
