import csv
import io
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from edpipeline.sandbox import names, population
from edpipeline.sandbox.draws import draw
from edpipeline.sandbox.population import Population
from edpipeline.sandbox.roster import (
    DEMO,
    ONEROSTER_1_1,
    ONEROSTER_1_2,
    POWERSCHOOL,
    SMALL,
    STATE,
    Dialect,
    Size,
    Written,
    schools,
    write_roster,
)

DIALECTS = pytest.mark.parametrize(
    "dialect", [POWERSCHOOL, ONEROSTER_1_1, ONEROSTER_1_2], ids=["powerschool", "1.1", "1.2"]
)


def text_of(path: Path) -> str:
    return path.read_bytes().decode("utf-8")


def rows_of(path: Path, dialect: Dialect) -> list[dict[str, str]]:
    """The file's rows, read by the standard library; a row of the wrong width raises."""
    lines = [line + "\n" for line in text_of(path).split(dialect.line_end)[:-1]]
    quoting = csv.QUOTE_MINIMAL if dialect.lists else csv.QUOTE_NONE
    header, *rows = csv.reader(lines, quoting=quoting)
    return [dict(zip(header, row, strict=True)) for row in rows]


def tables_of(written: Written, dialect: Dialect) -> dict[str, list[dict[str, str]]]:
    return {file: rows_of(written.paths[file], dialect) for file in written.rows}


def ids_of(rows: list[dict[str, str]]) -> set[str]:
    return {row["sourcedId"] for row in rows}


# The bytes.


def test_powerschool_files_have_bare_carriage_returns_no_quotes_and_one_width(tmp_path):
    written = write_roster(tmp_path, DEMO)
    for file, path in written.paths.items():
        text = text_of(path)
        assert "\n" not in text
        assert '"' not in text
        assert text.endswith("\r")
        lines = text.split("\r")[:-1]
        assert len(lines) == written.rows[file] + 1
        assert {line.count(",") for line in lines} == {len(POWERSCHOOL.columns[file]) - 1}


@pytest.mark.parametrize(
    ("file", "header"),
    [
        (
            "users",
            "sourcedId,status,dateLastModified,enabledUser,orgSourcedIds,role,username,userIds,"
            "givenName,familyName,middleName,identifier,email,sms,phone,agentSourcedIds,grades,"
            "password,language,dcid",
        ),
        (
            "classes",
            "sourcedId,status,dateLastModified,title,grades,courseSourcedId,classCode,classType,"
            "location,schoolSourcedId,termSourcedIds,subjects,subjectCodes,periods",
        ),
        (
            "enrollments",
            "sourcedId,status,dateLastModified,classSourcedId,schoolSourcedId,userSourcedId,role,"
            "primary,beginDate,endDate",
        ),
    ],
)
def test_powerschool_sends_three_files_with_these_headers(tmp_path, file, header):
    written = write_roster(tmp_path, SMALL)
    assert sorted(it.name for it in tmp_path.iterdir()) == [
        "classes.csv",
        "enrollments.csv",
        "users.csv",
    ]
    assert text_of(written.paths[file]).split("\r")[0] == header


def test_conformant_packages_end_lines_with_crlf_and_quote_lists(tmp_path):
    written = write_roster(tmp_path, DEMO, dialect=ONEROSTER_1_1)
    for path in written.paths.values():
        text = text_of(path)
        assert text.endswith("\r\n")
        assert text.count("\r") == text.count("\n") == text.count("\r\n")
    users = rows_of(written.paths["users"], ONEROSTER_1_1)
    parents = Counter(
        len(row["agentSourcedIds"].split(",")) for row in users if row["role"] == "student"
    )
    assert parents[2] > 500
    assert any("," in row["orgSourcedIds"] for row in users if row["role"] == "teacher")
    assert '"G' in text_of(written.paths["users"])


@pytest.mark.parametrize(
    ("dialect", "version", "listed"), [(ONEROSTER_1_1, "1.1", 13), (ONEROSTER_1_2, "1.2", 21)]
)
def test_the_manifest_says_of_every_file_of_its_version_whether_it_is_there(
    tmp_path, dialect, version, listed
):
    written = write_roster(tmp_path, SMALL, dialect=dialect)
    rows = list(csv.DictReader(io.StringIO(text_of(written.paths["manifest"]), newline="")))
    manifest = {row["propertyName"]: row["value"] for row in rows}
    files = {key.removeprefix("file."): value for key, value in manifest.items() if "file." in key}
    assert manifest["manifest.version"] == "1.0"
    assert manifest["oneroster.version"] == version
    assert manifest["source.systemName"]
    assert len(files) == listed
    on_disk = {path.stem for path in tmp_path.glob("*.csv")} - {"manifest"}
    assert on_disk == {file for file, mode in files.items() if mode == "bulk"} == set(written.rows)
    assert set(files.values()) == {"bulk", "absent"}


# The same arguments, the same bytes.


def test_the_hash_behind_every_value_never_changes():
    drawn = draw(1, "given name", np.array([0, 1, 2**40]))
    assert drawn.tolist() == [
        7458475512166214355,
        2560806119109280131,
        6735732564546854568,
    ]


def test_the_same_arguments_write_the_same_bytes_whatever_the_batches(tmp_path, monkeypatch):
    first = write_roster(tmp_path / "1", SMALL, night=3, broken=0.05)
    monkeypatch.setattr(population, "BATCH", 37)
    second = write_roster(tmp_path / "2", SMALL, night=3, broken=0.05)
    assert second.rows == first.rows
    assert second.broken == first.broken
    for file in first.paths:
        assert second.paths[file].read_bytes() == first.paths[file].read_bytes()


def test_another_seed_is_another_district(tmp_path):
    one = write_roster(tmp_path / "1", SMALL, seed=1).paths["users"].read_bytes()
    two = write_roster(tmp_path / "2", SMALL, seed=2).paths["users"].read_bytes()
    assert one != two


# Nights.


CHANGE = 0.05


@pytest.fixture(scope="module")
def nights(tmp_path_factory) -> list[dict[str, list[dict[str, str]]]]:
    """The demo district's three tables on four nights."""
    folder = tmp_path_factory.mktemp("nights")
    return [
        tables_of(write_roster(folder, DEMO, night=night, change=CHANGE), POWERSCHOOL)
        for night in range(4)
    ]


@pytest.mark.parametrize("file", ["users", "classes", "enrollments"])
def test_a_night_changes_about_the_wished_share_of_rows(nights, file):
    for before, after in pairwise(tables[file] for tables in nights):
        kept = {tuple(row.values()) for row in before}
        different = sum(tuple(row.values()) not in kept for row in after)
        assert 0.5 * CHANGE < different / len(after) < 1.5 * CHANGE


@pytest.mark.parametrize("file", ["users", "classes", "enrollments"])
def test_rows_that_stay_keep_their_order(nights, file):
    before, after = nights[0][file], nights[1][file]
    stayed = ids_of(before) & ids_of(after)
    assert len(stayed) > 0.9 * len(before)
    assert [row["sourcedId"] for row in before if row["sourcedId"] in stayed] == [
        row["sourcedId"] for row in after if row["sourcedId"] in stayed
    ]


@pytest.mark.parametrize("file", ["users", "classes", "enrollments"])
def test_nights_add_remove_and_edit_rows(nights, file):
    before, after = nights[0][file], nights[3][file]
    assert ids_of(after) - ids_of(before)
    assert ids_of(before) - ids_of(after)
    was = {row["sourcedId"]: row for row in before}
    assert any(row != was.get(row["sourcedId"], row) for row in after)


@pytest.mark.parametrize("file", ["users", "enrollments"])
def test_rows_do_not_come_and_go_in_equal_numbers(nights, file):
    assert len({len(tables[file]) for tables in nights}) > 1


def test_without_change_every_night_is_the_same(tmp_path):
    first = write_roster(tmp_path / "0", SMALL, change=0)
    later = write_roster(tmp_path / "9", SMALL, night=9, change=0)
    for file in first.paths:
        assert later.paths[file].read_bytes() == first.paths[file].read_bytes()


# What is in it.


@pytest.mark.parametrize("night", [0, 40])
@DIALECTS
def test_every_reference_finds_its_record_and_every_id_is_unique(tmp_path, dialect, night):
    written = write_roster(tmp_path, SMALL, dialect=dialect, night=night, change=0.1)
    tables = tables_of(written, dialect)
    for file, rows in tables.items():
        assert len(ids_of(rows)) == len(rows) == written.rows[file]
    ids = {file: ids_of(rows) for file, rows in tables.items()}
    ids.setdefault("orgs", set(schools(SMALL)))
    references = {
        ("classes", "schoolSourcedId"): "orgs",
        ("classes", "courseSourcedId"): "courses",
        ("classes", "termSourcedIds"): "academicSessions",
        ("courses", "orgSourcedId"): "orgs",
        ("courses", "schoolYearSourcedId"): "academicSessions",
        ("academicSessions", "parentSourcedId"): "academicSessions",
        ("orgs", "parentSourcedId"): "orgs",
        ("users", "orgSourcedIds"): "orgs",
        ("users", "primaryOrgSourcedId"): "orgs",
        ("users", "agentSourcedIds"): "users",
        ("enrollments", "classSourcedId"): "classes",
        ("enrollments", "schoolSourcedId"): "orgs",
        ("enrollments", "userSourcedId"): "users",
        ("demographics", "sourcedId"): "users",
        ("roles", "userSourcedId"): "users",
        ("roles", "orgSourcedId"): "orgs",
    }
    for (file, column), target in references.items():
        if column in dialect.columns.get(file, ()) and target in ids:
            found = {it for row in tables[file] for it in row[column].split(",") if it}
            assert found
            assert found <= ids[target], (file, column)


@DIALECTS
def test_required_values_are_there_and_codes_are_known(tmp_path, dialect):
    tables = tables_of(write_roster(tmp_path, SMALL, dialect=dialect), dialect)
    required = {
        "users": "enabledUser username givenName familyName",
        "classes": "title courseSourcedId classType schoolSourcedId termSourcedIds",
        "enrollments": "classSourcedId schoolSourcedId userSourcedId role",
        "courses": "title orgSourcedId",
        "orgs": "name type",
        "academicSessions": "title type startDate endDate schoolYear",
        "roles": "userSourcedId roleType role orgSourcedId",
    }
    for file, columns in required.items():
        for row in tables.get(file, []):
            assert all(row[column] for column in columns.split())
            assert row["status"] == row["dateLastModified"] == ""
    people = tables.get("roles", tables["users"])
    administrator = "principal" if dialect.version == "1.2" else "administrator"
    assert {row["role"] for row in people} == {
        "student", "teacher", "parent", "guardian", "relative", administrator,
    }  # fmt: skip
    assert {row["role"] for row in tables["enrollments"]} == {"student", "teacher"}
    assert {row["classType"] for row in tables["classes"]} == {"homeroom", "scheduled"}
    grades = {row["grades"] for row in tables["users"] if row["sourcedId"].startswith("S")}
    assert grades == set(names.GRADES)


def test_the_demo_has_about_two_thousand_students_and_their_guardians(tmp_path):
    written = write_roster(tmp_path, DEMO)
    users = rows_of(written.paths["users"], POWERSCHOOL)
    roles = Counter(row["role"] for row in users)
    students = roles["student"]
    guardians = roles["parent"] + roles["guardian"] + roles["relative"]
    assert students == pytest.approx(2_000, rel=0.02)
    assert guardians / students == pytest.approx(1.2, rel=0.05)
    assert students / roles["teacher"] == pytest.approx(15, rel=0.05)
    assert written.rows["enrollments"] / students == pytest.approx(6.5, rel=0.02)
    assert {row["orgSourcedIds"] for row in users} == set(schools(DEMO))


def test_powerschool_ids_tell_students_staff_and_guardians_apart_by_letter_alone(tmp_path):
    users = rows_of(write_roster(tmp_path, DEMO).paths["users"], POWERSCHOOL)
    letters = {"student": "S", "teacher": "T", "administrator": "T"}
    assert all(row["sourcedId"] == letters.get(row["role"], "G") + row["dcid"] for row in users)
    assert len({row["dcid"] for row in users}) < len(users)
    assert len({row["username"] for row in users}) == len(users)


def test_powerschool_gives_kindergarten_classes_no_grade(tmp_path):
    classes = rows_of(write_roster(tmp_path, SMALL).paths["classes"], POWERSCHOOL)
    assert {row["grades"] for row in classes} == {"", *names.GRADES[1:]}


def test_names_keep_what_breaks_careless_programs(tmp_path):
    users = rows_of(write_roster(tmp_path, DEMO).paths["users"], POWERSCHOOL)
    assert {"José", "Zoë"} <= {row["givenName"] for row in users}
    assert {"O'Neil", "Nguyễn", "García-López", "de la Cruz"} <= {
        row["familyName"] for row in users
    }
    assert all(row["username"].isascii() for row in users)
    assert all(row["email"].endswith(".example") for row in users)


def test_school_ids_have_leading_zeros_and_names_are_unique_in_a_whole_state():
    found = schools(STATE)
    assert len(found) == len(set(found.values())) == 9_000
    assert next(iter(found)) == "0101"
    assert {len(school) for school in found} == {4}
    assert not any("," in name or '"' in name for name in found.values())


def test_students_can_be_had_without_files():
    students = next(Population(SMALL).students())
    assert {"sourcedId", "identifier", "userIds", "grades", "birthDate"} <= set(students.columns)
    assert students["identifier"].n_unique() == students["userIds"].n_unique() == len(students)
    assert students["identifier"].str.len_chars().unique().to_list() == [7]


# Broken rows.


def is_broken(row: list[str], header: list[str], kind: str, ids: dict[str, set[str]]) -> bool:
    named = dict(zip(header, row, strict=False))
    match kind:
        case "unquoted_comma":
            return len(row) == len(header) + 1
        case "bad_role":
            return named["role"] in {"learner", "aide"}
        case "missing_value":
            return "" in {named.get(it, "-") for it in ("familyName", "title", "userSourcedId")}
        case "unknown_class":
            return named["classSourcedId"] not in ids["classes"]
        case "unknown_user":
            return named["userSourcedId"] not in ids["users"] | {""}
        case "bad_date":
            return named["beginDate"].endswith("-02-30")
    raise AssertionError(kind)


@pytest.mark.parametrize("file", ["users", "classes", "enrollments"])
def test_broken_counts_are_what_an_independent_reader_finds(tmp_path, file):
    written = write_roster(tmp_path / "broken", SMALL, broken=0.1)
    clean = write_roster(tmp_path / "clean", SMALL)
    ids = {it: ids_of(rows_of(clean.paths[it], POWERSCHOOL)) for it in ("users", "classes")}
    header, *rows = (line.split(",") for line in text_of(written.paths[file]).split("\r")[:-1])
    counts = dict(written.broken[file])
    assert min(counts.values()) > 0
    repeated = Counter(row[0] for row in rows)
    assert sum(n for n in repeated.values() if n > 1) == counts.pop("duplicate_id")
    for kind, count in counts.items():
        assert sum(is_broken(row, header, kind, ids) for row in rows) == count, kind
    assert len(rows) == written.rows[file]


@DIALECTS
def test_without_its_broken_rows_a_roster_is_the_unbroken_one(tmp_path, dialect):
    written = write_roster(tmp_path / "broken", SMALL, dialect=dialect, broken=0.08)
    clean = write_roster(tmp_path / "clean", SMALL, dialect=dialect)
    for file, path in clean.paths.items():
        good = text_of(path).split(dialect.line_end)
        lines = text_of(written.paths[file]).split(dialect.line_end)
        extra = Counter(lines) - Counter(good)
        assert [line for line in lines if line not in extra] == good
        if file != "manifest":
            assert extra.total() == sum(written.broken[file].values())
            assert written.rows[file] == clean.rows[file] + extra.total()


def test_both_rows_of_a_duplicate_differ(tmp_path):
    written = write_roster(tmp_path, SMALL, broken=0.1)
    enrollments = rows_of(written.paths["enrollments"], POWERSCHOOL)
    times = Counter(row["sourcedId"] for row in enrollments)
    pairs = [tuple(row.values()) for row in enrollments if times[row["sourcedId"]] == 2]
    assert len(pairs) == len(set(pairs)) == written.broken["enrollments"]["duplicate_id"]


def test_the_share_of_broken_rows_is_the_wished_one(tmp_path):
    clean = write_roster(tmp_path / "0", DEMO).rows["enrollments"]
    written = write_roster(tmp_path / "1", DEMO, broken=0.02)
    faults = sum(written.broken["enrollments"].values())
    pairs = written.broken["enrollments"]["duplicate_id"] // 2
    assert faults - pairs == int(clean * 0.02)


# Numbers out of range.


@pytest.mark.parametrize(
    "wrong", [{"night": -1}, {"change": 1.5}, {"change": -0.1}, {"broken": 2.0}, {"broken": -1.0}]
)
def test_numbers_out_of_range_are_refused_before_anything_is_written(tmp_path, wrong):
    with pytest.raises(ValueError):
        write_roster(tmp_path / "new", SMALL, **wrong)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"students": 3, "schools": 4},
        {"students": 10, "schools": 0},
        {"students": 1_000_000, "schools": 9_801},
        {"students": 10, "schools": 1, "guardians": 2.0},
    ],
)
def test_sizes_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError):
        Size(**wrong)


def test_a_district_of_one_school_and_one_student_can_be_written(tmp_path):
    written = write_roster(tmp_path, Size(students=1, schools=1), night=3, change=1.0)
    assert written.rows["classes"] > 0
