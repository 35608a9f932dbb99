"""Rows of one key: copies become one, contradictions cost all of them."""

import pytest

from edpipeline.reading.dialect import PIECE
from edpipeline_tests.district import Row, table

COLUMNS = ("sourcedId", "dateLastModified", "role", "givenName", "familyName", "password")


def person(name: str, **values: str) -> Row:
    return {"sourcedId": name, "role": "student", "givenName": "Ann", "familyName": "Lee"} | values


OTHERS = [person(f"X{n}") for n in range(3)]

CASES = {
    "two copies": ([person("S1"), person("S1")], {2}, 1, 0),
    "three copies": ([person("S1")] * 3, {2}, 2, 0),
    "a contradiction": ([person("S1"), person("S1", givenName="Bo")], set(), 0, 2),
    "two against one": ([person("S1"), person("S1"), person("S1", givenName="Bo")], set(), 0, 3),
    "three of three kinds": ([person("S1", givenName=n) for n in "abc"], set(), 0, 3),
    "a blank against a value": ([person("S1"), person("S1", givenName="")], {2}, 0, 0),
    "copies of two": ([person("S1"), person("S2"), person("S2"), person("S1")], {2, 3}, 2, 0),
    "blanks around the key": ([person("S1"), person(" S1")], {2}, 1, 0),
    "blanks and case": ([person("S1"), person("S1", role="Student", givenName="Ann ")], {2}, 1, 0),
    "the stamp alone": ([person("S1"), person("S1", dateLastModified="2026-09-01")], {2}, 1, 0),
    "the password alone": ([person("S1"), person("S1", password="x")], {2}, 1, 0),
    "case of the key": ([person("s1"), person("S1")], {2, 3}, 0, 0),
    "zeros of the key": ([person("07"), person("7"), person("007")], {2, 3, 4}, 0, 0),
    "a bad one beside": ([person("S1", role="x"), person("S1")], {3}, 0, 0),
    "a bad one beside copies": ([person("S1"), person("S1", role="x"), person("S1")], {2}, 1, 0),
}


@pytest.mark.parametrize("piece_size", [1, PIECE])
@pytest.mark.parametrize("case", CASES)
def test_copies_become_one_and_contradictions_none(check_file, case, piece_size):
    lines, kept, copies, conflicts = CASES[case]
    found = check_file(table(COLUMNS, [*lines, *OTHERS]), piece_size=piece_size)
    after = {n + 2 + len(lines) for n in range(len(OTHERS))}
    assert set(found.rows) == kept | after
    assert found.checked.duplicates == found.checked.warnings["duplicate_row"] == copies
    assert found.checked.rejected["duplicate_conflict"] == conflicts
    assert found.checked.read == len(lines) + len(OTHERS)
    assert (found.codes["duplicate_row"], found.codes["duplicate_conflict"]) == (copies, conflicts)


def test_the_lines_of_a_contradiction_are_all_told(check_file):
    lines = [person("S1"), *OTHERS, person("S1", familyName="Ode"), person("S2")]
    found = check_file(table(COLUMNS, lines), piece_size=30)
    assert found.findings == [
        (2, "sourced_id", "duplicate_conflict"),
        (6, "sourced_id", "duplicate_conflict"),
    ]
    assert found.record_ids == {2: "S1", 6: "S1"}
    assert not any("S1" in message or "Lee" in message for message in found.messages)


def test_a_file_in_which_every_row_contradicts_another_is_no_delivery(check_file):
    found = check_file(table(COLUMNS, [person("S1"), person("S1", givenName="Bo")]))
    assert [f.code for f in found.checked.findings] == ["no_usable_rows"]
    assert found.rejected() == {"duplicate_conflict": 2}


def test_made_keys_tell_rows_apart_by_all_their_parts(check_file):
    columns = ("classSourcedId", "userSourcedId", "role", "beginDate", "endDate")
    seat = {"classSourcedId": "C1", "userSourcedId": "S1", "role": "student"}
    lines = [
        seat,
        seat | {"role": "Student"},
        seat | {"beginDate": "2026-09-01"},
        seat | {"beginDate": "2027-01-10"},
        seat | {"beginDate": "2027-01-10", "endDate": "2027-02-01"},
        seat | {"role": "teacher"},
    ]
    found = check_file(table(columns, lines), "enrollments")
    assert set(found.rows) == {2, 4, 7}
    assert found.rejected() == {"duplicate_conflict": 2}
    assert found.checked.duplicates == 1
