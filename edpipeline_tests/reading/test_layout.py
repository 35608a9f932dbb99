"""Every header is a column, kept out by name, or a reason to refuse the file."""

import pytest

from edpipeline.model import Edition, Table
from edpipeline.reading.layout import Layout, match
from edpipeline.sources.oneroster import SOURCE

THREE_FILE = SOURCE.edition("three_file")
V1P1 = SOURCE.edition("oneroster_1_1")
V1P2 = SOURCE.edition("oneroster_1_2")
NEEDED = {
    "users": ["sourcedId", "role", "givenName", "familyName"],
    "classes": ["sourcedId", "title", "schoolSourcedId"],
    "enrollments": ["sourcedId", "classSourcedId", "userSourcedId", "role"],
}


def layout(file: str, names: list[str], edition: Edition = THREE_FILE) -> Layout:
    return match(names, SOURCE.table(file), edition, SOURCE.ignored_headers)


def headers(table: Table, edition: Edition) -> list[str]:
    return [c.header for c in table.columns if edition.rule(table.name, c.name)]


def columns(found: Layout) -> list[str | None]:
    return [column.name if column else None for column in found.columns]


@pytest.mark.parametrize("edition", [V1P1, V1P2, THREE_FILE], ids=lambda e: e.name)
def test_the_headers_of_the_standard_are_read_as_they_are(edition):
    for name in edition.rules:
        table = SOURCE.table(name)
        found = match(headers(table, edition), table, edition, SOURCE.ignored_headers)
        assert columns(found) == [c.name for c in table.columns if edition.rule(name, c.name)]
        assert not (found.extra or found.renamed or found.repeated)
        assert not (found.missing_required or found.missing_optional)


@pytest.mark.parametrize(
    ("file", "written", "header"),
    [
        ("users", "USERS.sourcedId", "sourcedId"),
        ("users", "STUDENTS.givenName", "givenName"),
        ("users", "U_DEF_EXT.givenName", "givenName"),
        ("classes", "SECTIONS.title", "title"),
        ("enrollments", "CC.role", "role"),
        ("enrollments", "cc.role", "role"),
        ("users", "a_sourcedId", "sourcedId"),
        ("users", "r_password", "password"),
        ("users", "SOURCEDID", "sourcedId"),
        ("users", "USERS.SOURCEDID", "sourcedId"),
        ("users", "givenname", "givenName"),
        ("users", "sourceId", "sourcedId"),
        ("users", "USERS.sourceId", "sourcedId"),
        ("users", "grade", "grades"),
        ("users", "languages", "language"),
        ("classes", "orgSourcedId", "schoolSourcedId"),
        ("classes", "termSourcedId", "termSourcedIds"),
        ("enrollments", "schoolSourcedID", "schoolSourcedId"),
    ],
)
def test_prefixes_case_and_older_names_are_recognised_and_said(file, written, header):
    found = layout(file, [written])
    assert [column.header for column in found.columns if column] == [header]
    assert found.renamed == (f"{written} as {header}",)
    assert not found.extra


@pytest.mark.parametrize("written", ["language", "sms", "phone"])
def test_the_labels_that_powerschool_templates_give_are_known(written):
    assert columns(layout("users", [f"USERS.{written}"])) == [written]


@pytest.mark.parametrize("written", ["dcid", "DCID", "USERS.dcid", "b_dcid"])
def test_dcid_is_left_out_without_a_word(written):
    found = layout("users", [*NEEDED["users"], written])
    assert columns(found)[-1] is None
    assert not (found.extra or found.renamed or found.repeated)


@pytest.mark.parametrize(
    "written",
    ["metadata.phonetic", "METADATA.x", "metadata.email", "metadata.sourcedId", "homeroom", "x_y"],
)
def test_columns_that_are_not_known_are_kept_out_and_named(written):
    found = layout("users", [*NEEDED["users"], written])
    assert columns(found)[-1] is None
    assert found.extra == (written,)
    assert not found.repeated


def test_headers_without_a_name_are_kept_out_and_told_by_position():
    found = layout("users", ["sourcedId", "", "role", ""])
    assert columns(found) == ["sourced_id", None, "role", None]
    assert found.extra == ("(column 2 has no name)", "(column 4 has no name)")


@pytest.mark.parametrize("file", list(NEEDED))
def test_each_missing_required_column_is_listed(file):
    for missing in NEEDED[file]:
        found = layout(file, [name for name in NEEDED[file] if name != missing])
        derived = (file, missing) == ("enrollments", "sourcedId")
        assert found.missing_required == (() if derived else (missing,))
    every = layout(file, ["status"])
    assert set(NEEDED[file]) - {"sourcedId"} <= set(every.missing_required)


@pytest.mark.parametrize(
    ("names", "needs_key"),
    [
        (["classSourcedId", "userSourcedId", "role"], False),
        (["classSourcedId", "userSourcedId", "role", "beginDate"], False),
    ],
)
def test_enrollments_may_lack_their_id_in_the_three_file_exchange(names, needs_key):
    found = layout("enrollments", names)
    assert ("sourcedId" in found.missing_required) == needs_key


def test_enrollments_of_the_standard_must_have_their_id():
    names = headers(SOURCE.table("enrollments"), V1P1)[1:]
    assert layout("enrollments", names, V1P1).missing_required == ("sourcedId",)


def test_optional_columns_that_lack_are_named_and_nothing_more():
    found = layout("users", NEEDED["users"])
    assert not found.missing_required
    assert {"email", "sms", "phone", "grades", "orgSourcedIds"} <= set(found.missing_optional)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["sourcedId", "role", "role"], ("role",)),
        (["sourcedId", "USERS.sourcedId"], ("USERS.sourcedId",)),
        (["grade", "grades"], ("grades",)),
        (["role", "ROLE", "a_role"], ("ROLE", "a_role")),
        (["sourcedId", "sourceId"], ("sourceId",)),
    ],
)
def test_two_headers_of_one_column_are_told(names, told):
    assert layout("users", names).repeated == told


def test_columns_may_come_in_any_order():
    names = headers(SOURCE.table("users"), V1P1)
    backward = layout("users", names[::-1], V1P1)
    assert columns(backward) == columns(layout("users", names, V1P1))[::-1]
    assert not backward.renamed


def test_users_of_1_2_may_have_the_column_that_its_correction_removed_or_not():
    names = headers(SOURCE.table("users"), V1P2)
    assert "resourceSourcedIds" in names
    shorter = [name for name in names if name != "resourceSourcedIds"]
    assert not layout("users", names, V1P2).extra
    found = layout("users", shorter, V1P2)
    assert found.missing_optional == ("resourceSourcedIds",)
    assert not (found.extra or found.missing_required)


def test_a_column_of_another_edition_is_kept_out():
    found = layout("users", [*headers(SOURCE.table("users"), V1P2), "role"], V1P2)
    assert found.extra == ("role",)


@pytest.mark.parametrize(
    "row",
    ["S1,,,true,0101,student,s1.login,,Ann,Lee", "a.b,c_d,USERS.,_,a_"],
)
def test_a_row_is_not_taken_for_a_header(row):
    found = layout("users", row.split(","))
    assert found.recognised == 0
