"""One pass over a file: every row is recognised, accepted or rejected, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edpipeline.reading.dialect import PIECE, Unreadable, read_dialect, read_header
from edpipeline.reading.layout import match
from edpipeline.validation import check as checking
from edpipeline.validation.check import Task, check
from edpipeline_tests.district import ONEROSTER, POWERSCHOOL, Row, rows, student, table
from edpipeline_tests.validation.conftest import outcome

COLUMNS = ("sourcedId", "role", "givenName", "familyName", "grades", "language")
ENDS = pytest.mark.parametrize("end", ["\r", "\n", "\r\n"], ids=["CR", "LF", "CRLF"])


def person(name: str, **values: str) -> Row:
    return {"sourcedId": name, "role": "student", "givenName": "Ann", "familyName": "Lee"} | values


def people(count: int) -> list[Row]:
    return [person(f"S{n:03}", grades="05", language="English") for n in range(count)]


def users(lines: list[Row], end: str = "\r", **more: bool) -> bytes:
    return table(COLUMNS, lines, end, **more)


# Which rows there are.


@ENDS
def test_every_row_has_the_line_it_stands_on(check_file, end):
    content = (
        users(people(2), end) + end.encode() * 2 + users(people(1), end).split(b"Language")[-1]
    )
    content = users([*people(3)], end).replace(f"S001{','}".encode(), f"{end}S001,".encode())
    found = check_file(content)
    assert {line: row["sourced_id"] for line, row in found.rows.items()} == {
        2: "S000",
        4: "S001",
        5: "S002",
    }
    assert found.checked.read == 3


@pytest.mark.parametrize("blank", ["", ",,,,,", '"","",,"",,'])
@pytest.mark.parametrize("quoted", [False, True])
def test_blank_lines_and_lines_of_commas_are_no_rows(check_file, blank, quoted):
    if '"' in blank and not quoted:
        return
    given_name = '"Ann, Zoë"' if quoted else "Ann"
    lines = ["sourcedId,role,givenName,familyName,grades,language"]
    lines += [f"S1,student,{given_name},Lee,05,en", blank, "S2,student,Bo,Ray,06,", blank, blank]
    found = check_file("".join(line + "\n" for line in lines).encode())
    assert list(found.rows) == [2, 4]
    assert (found.checked.read, found.findings) == (2, [])


@pytest.mark.parametrize("line", [" , , , , , ", ",,,,,x", "\u00a0,,,,,"])
def test_a_line_with_anything_in_it_is_a_row(check_file, line):
    found = check_file(users(people(1), "\n") + f"{line}\n".encode())
    assert found.checked.read == 2
    assert found.rejected() == {"missing_value": 1}


def test_a_line_with_values_only_in_columns_we_do_not_keep_is_a_row(check_file):
    content = table((*COLUMNS, "dcid"), [*people(1), {"dcid": "4711"}])
    found = check_file(content)
    assert found.checked.read == 2
    assert found.rejected() == {"missing_value": 1}


def test_rows_that_cannot_be_split_are_counted_by_code(check_file):
    lines = ["S1,student,Ann,Lee,05,en", "S2,student,Ann", "S3,student,A,n,n,Lee,05,en"]
    lines += ["S\x004,student,Ann,Lee,05,en", "S5,student,Bo,Ray,06,en"]
    content = (",".join(COLUMNS) + "\r" + "".join(line + "\r" for line in lines)).encode()
    found = check_file(content)
    assert list(found.rows) == [2, 6]
    assert found.rejected() == {"row_too_short": 1, "row_too_long": 1, "control_character": 1}
    assert [line for line, _, _ in found.findings] == [3, 4, 5]
    assert any("6 columns" in message for message in found.messages)


# Records whose row is rejected keep their last good version: for that their key must be known.


@pytest.mark.parametrize(
    ("columns", "line", "key"),
    [
        (COLUMNS, "S9,student,An,n,Lee,05,en", "S9"),
        (COLUMNS, "S9,student", "S9"),
        (COLUMNS, " S9 ,student", "S9"),
        (COLUMNS, '"S9","stu', "S9"),
        (COLUMNS, ",student", None),
        (COLUMNS, "S\x009,student,Ann,Lee,05,en", None),
        (COLUMNS[::-1], "en,05,Lee,Ann,student,S9,", "S9"),
        (("role", *COLUMNS[:1], *COLUMNS[2:]), "student,S9,An,n,Lee,05,en", "S9"),
        (("role", "sourcedId", "givenName", "familyName"), "student", None),
    ],
)
def test_the_record_of_a_row_that_cannot_be_split_is_known(check_file, columns, line, key):
    content = table(columns, [person("S1", grades='"a"')], "\n") + f"{line}\n".encode()
    found = check_file(content.replace(b'"a"', b'"a,b"') if '"' in line else content)
    assert found.record_ids == {3: key}


@pytest.mark.parametrize(
    ("line", "key"),
    [("C1,S1,student,x", "C1:S1"), ("C1,S1,student", None), ("C1,S1", "C1:S1"), ("C1", None)],
)
def test_the_record_is_known_where_the_layout_has_no_key(check_file, line, key):
    columns = ("classSourcedId", "userSourcedId", "role")
    good = {"classSourcedId": "C1", "userSourcedId": "S2", "role": "student"}
    content = table(columns, [good]) + f"{line}\r".encode()
    found = check_file(content, "enrollments")
    if key:
        assert found.record_ids == {3: key}
    assert 2 in found.rows


# What a file as a whole tells.


@ENDS
def test_a_header_alone_is_no_delivery(check_file, end):
    for content in (users([], end), users([], end).rstrip(b"\r\n")):
        found = check_file(content)
        assert [f.code for f in found.checked.findings] == ["no_rows"]
        assert found.checked.refused


def test_a_file_of_commas_alone_is_no_delivery(check_file):
    found = check_file(users([], "\n") + b",,,,,\n,,,,,\n")
    assert [f.code for f in found.checked.findings] == ["no_rows"]


def test_a_file_of_bad_rows_alone_is_no_delivery(check_file):
    found = check_file(users([person("S1", role="x"), person("S2", givenName="")]))
    assert [f.code for f in found.checked.findings] == ["no_usable_rows"]
    assert found.rejected() == {"bad_code": 1, "missing_value": 1}


@pytest.mark.parametrize(
    "last",
    [
        "S3,student,Ann",
        "S3",
        "S3,student,Ann,Lee,05",
        'S3,student,Ann,"Le',
    ],
)
def test_a_last_row_that_stops_midway_refuses_the_file(check_file, last):
    content = users(people(2), "\n").replace(b"English", b'"E,n"') + last.encode()
    found = check_file(content)
    assert [f.code for f in found.checked.findings] == ["truncated"]
    with_end = check_file(content + b"\n")
    assert not with_end.checked.refused
    assert with_end.checked.read == 3


@pytest.mark.parametrize(
    "last", ["S3,aide?,Ann,Lee,05,en", "S3,student,,Lee,05,en", "S3,student,A,n,n,Lee,05,en"]
)
def test_a_bad_last_row_that_is_whole_costs_only_itself(check_file, last):
    """Many exporters never end their last row."""
    found = check_file(users(people(2), "\n") + last.encode())
    assert [f.code for f in found.checked.findings] == ["no_final_line_end"]
    assert (len(found.rows), sum(found.rejected().values())) == (2, 1)


def test_a_last_row_that_breaks_off_in_its_last_value_refuses_the_file(check_file):
    columns = ("classSourcedId", "userSourcedId", "role", "endDate")
    lines = [
        {"classSourcedId": "C1", "userSourcedId": f"S{n}", "role": "student"}
        | {"endDate": "2027-06-10"}
        for n in range(3)
    ]
    content = table(columns, lines, "\n")
    for cut in range(2, 10):
        found = check_file(content[:-cut], "enrollments")
        assert [f.code for f in found.checked.findings] == ["truncated"], cut
    whole = check_file(content[:-1], "enrollments")
    assert [f.code for f in whole.checked.findings] == ["no_final_line_end"]
    assert len(whole.rows) == 3


# The file cut at any byte.


def task_of(path, name="users", edition="three_file", **more) -> Task:
    source_table = ONEROSTER.table(name)
    dialect = read_dialect(path, path.name)
    header = read_header(path, path.name, dialect)
    layout = match(header.names, source_table, ONEROSTER.edition(edition), ("dcid",))
    return Task(
        path,
        path.name,
        source_table,
        ONEROSTER.edition(edition),
        "bulk",
        dialect,
        header,
        layout,
        **more,
    )


@pytest.mark.parametrize(
    ("end", "quoted"),
    [("\r", False), ("\n", True), ("\r\n", True)],
    ids=["CR", "LF-quoted", "CRLF-quoted"],
)
def test_a_file_cut_at_any_byte_is_never_read_as_something_else(tmp_path, end, quoted):
    """Where files usually end with a line end, no cut gives a value that was not there.

    Cuts before the first row is whole leave nothing to use; reading/test_delimited.py has them.
    """
    lines = [
        person("S1", givenName="Zoë", grades="05", language="English"),
        person("S2", givenName="Bo, Jr" if quoted else "Bo", grades="", language=""),
        person("S3", familyName="Ode", grades="KG", language="Español"),
    ]
    content = users(lines, end, quoted=quoted)
    path = tmp_path / "users.csv"
    path.write_bytes(content)
    whole = outcome(check(task_of(path), np.empty(0, np.int64), tmp_path / "whole")).rows
    assert len(whole) == 3
    for cut in range(content.index(b"S2"), len(content)):
        path.write_bytes(content[:cut])
        try:
            task = task_of(path, expects_line_end=True)
        except Unreadable:
            continue
        found = outcome(check(task, np.empty(0, np.int64), tmp_path / f"cut{cut}"))
        for line, row in found.rows.items():
            assert row == whole[line], cut
        if not found.checked.refused:
            lost = set(range(2, task.last_line + 1)) - set(found.rows)
            assert lost == {line for line, _, _ in found.findings}, cut
            assert lost <= {task.last_line}, cut


def test_a_last_row_without_its_usual_end_is_rejected_unless_it_is_known(tmp_path):
    path = tmp_path / "users.csv"
    path.write_bytes(users(people(3))[:-1])
    task = task_of(path)
    first = outcome(check(task, np.empty(0, np.int64), tmp_path / "first"))
    assert list(first.rows) == [2, 3, 4]
    suspect = replace(task, expects_line_end=True)
    found = outcome(check(suspect, np.empty(0, np.int64), tmp_path / "suspect"))
    assert list(found.rows) == [2, 3]
    assert found.findings == [(4, None, "row_cut_off")]
    assert found.record_ids == {4: "S002"}
    assert [f.code for f in found.checked.findings] == ["no_final_line_end"]
    known = np.array(sorted(first.hashes), dtype=np.int64)
    again = outcome(check(suspect, known, tmp_path / "again"))
    assert (again.checked.recognised, again.findings) == (3, [])


# Rows known from before.


def test_known_rows_are_recognised_wherever_they_stand(check_file):
    lines = people(20)
    first = check_file(users(lines))
    for size in (1, 64, PIECE):
        found = check_file(users(lines[::-1]), known=first.hashes, piece_size=size)
        assert (found.checked.recognised, found.checked.spooled) == (20, 0)
        places = found.checked.known.lines_of(np.array(first.hashes, dtype=np.int64))
        assert sorted(places) == list(range(2, 22))


def test_rows_are_only_known_under_the_same_header_edition_and_mode(check_file):
    lines = people(3)
    first = check_file(users(lines))
    assert check_file(users(lines), known=first.hashes).checked.recognised == 3
    other = table((*COLUMNS[:4], "language", "grades"), lines)
    assert check_file(other, known=first.hashes).checked.recognised == 0
    assert check_file(users(lines), mode="delta", known=first.hashes).checked.recognised == 0


def test_a_row_that_differs_in_one_character_is_not_known(check_file):
    first = check_file(users(people(3)))
    for value in ("en", "english", "English ", "Englis"):
        changed = [*people(2), person("S002", grades="05", language=value)]
        found = check_file(users(changed), known=first.hashes)
        assert (found.checked.recognised, found.checked.spooled) == (2, 1)


def test_copies_of_known_rows_are_counted_and_listed(check_file):
    lines = people(5)
    first = check_file(users(lines))
    for size in (1, 40, PIECE):
        found = check_file(users([*lines, lines[0], *lines]), known=first.hashes, piece_size=size)
        assert (found.checked.recognised, found.checked.repeats) == (5, 6)
        told = {(n, "sourced_id", "duplicate_row") for n in range(7, 13)}
        assert set(found.findings) == told
        assert found.record_ids[7] == "S000"


def test_copies_of_known_rows_are_listed_up_to_a_limit(check_file, monkeypatch):
    monkeypatch.setattr(checking, "LISTED_WARNINGS", 7)
    lines = people(5)
    first = check_file(users(lines))
    found = check_file(users(lines * 5), known=first.hashes, piece_size=300)
    assert (found.checked.repeats, found.codes) == (20, {"duplicate_row": 7})


# Pieces.

PERSON = st.fixed_dictionaries(
    {
        "sourcedId": st.sampled_from(["S1", "S2", "S3", "007", "7", "", "a b", " S1"]),
        "role": st.sampled_from(["student", "student", "teacher", "Student", "boss", ""]),
        "givenName": st.sampled_from(["Ann", "Zoë", " Bo", "Bo\u2009", "A\ufeff", "", "Ã©"]),
        "familyName": st.sampled_from(["Lee", "Lee,x", "Ode\t", "漢"]),
        "grades": st.sampled_from(["", "05", "05, 06"]),
        "language": st.sampled_from(["", "en", "en "]),
    }
)


@given(
    lines=st.lists(PERSON, max_size=12),
    end=st.sampled_from(["\r", "\n", "\r\n"]),
    quoted=st.booleans(),
    sizes=st.tuples(st.integers(1, 60), st.integers(1, 300)),
    known=st.integers(0, 12),
)
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_pieces_of_any_size_give_what_one_piece_gives(check_file, lines, end, quoted, sizes, known):
    content = users(lines, end, quoted=quoted)
    some = check_file(users(lines[:known], end, quoted=quoted)).hashes if known else []
    whole = check_file(content, known=some)
    for size in sizes:
        pieces = check_file(content, known=some, piece_size=size)
        assert pieces.rows == whole.rows
        assert pieces.findings == whole.findings
        assert pieces.record_ids == whole.record_ids
        assert pieces.rejected() == whole.rejected()
        assert +pieces.checked.warnings == +whole.checked.warnings
        numbers = [
            (c.read, c.recognised, c.repeats, c.spooled, c.duplicates)
            for c in (pieces.checked, whole.checked)
        ]
        assert numbers[0] == numbers[1]
        assert pieces.checked.filled == whole.checked.filled
        codes = [[f.code for f in o.checked.findings] for o in (pieces, whole)]
        assert codes[0] == codes[1]


def test_a_column_that_has_values_in_the_first_piece_alone_has_values(check_file):
    lines = [person("S000", grades="05"), *(person(f"S{n:03}") for n in range(1, 30))]
    found = check_file(users(lines), piece_size=200)
    assert len(found.rows) == 30
    assert {"sourced_id", "role", "grades"} <= found.checked.filled
    assert "agent_sourced_ids" not in found.checked.filled


# Lists have a limit, counts have none.


def test_warnings_are_all_counted_and_listed_up_to_a_limit(check_file, monkeypatch):
    monkeypatch.setattr(checking, "LISTED_WARNINGS", 7)
    lines = [person(f"S{n}", role="Student", language="en ") for n in range(30)]
    found = check_file(users(lines), piece_size=200)
    assert found.checked.warnings == {"code_case": 30, "blanks_removed": 30}
    assert found.codes == {"code_case": 7, "blanks_removed": 7}
    assert len(found.rows) == 30


def test_errors_are_all_listed(check_file, monkeypatch):
    monkeypatch.setattr(checking, "LISTED_WARNINGS", 7)
    lines = [person(f"S{n}", role="x" if n else "student") for n in range(30)]
    found = check_file(users(lines), piece_size=200)
    assert found.codes == {"bad_code": 29}


def test_no_message_holds_a_value_of_a_row(check_file):
    canary = "canary"
    roster = rows(3)
    columns = POWERSCHOOL.columns["users"]
    bad = [{column: f"{canary}-{n}" for n, column in enumerate(columns)}]
    bad += [{column: f" {canary} Ã© {n}" for n, column in enumerate(columns)}]
    bad += [student(7, **{c: f"{canary}, x"}) for c in ("role", "email", "orgSourcedIds")]
    bad += [student(8, status=canary), student(8, enabledUser=canary), student(9, username="Ã©")]
    for quoted in (True, False):
        found = check_file(table(columns, [*roster["users"], *bad], "\n", quoted=quoted))
        assert len(found.findings) > 5
        assert not [message for message in found.messages if canary in message.casefold()]
