"""What is declared of OneRoster agrees with itself, and with the standard where it is at hand."""

import csv
from pathlib import Path

import pytest

from edpipeline.sources.oneroster import SOURCE, THREE_FILES
from edpipeline.sources.oneroster.delivery import FILES
from edpipeline.validation import rules

STANDARD = Path(__file__).parents[3] / "shared" / "facts" / "oneroster_fields.csv"
EDITIONS = [edition.name for edition in SOURCE.editions]
COLUMNS = [(table, column) for table in SOURCE.tables for column in table.columns]
PAIRS = [(e.name, t) for e in SOURCE.editions for t in e.rules]


def test_every_file_of_the_standard_has_a_table_and_every_table_a_file():
    assert sorted(FILES.values()) == sorted(table.name for table in SOURCE.tables)
    assert {FILES[table.file]: table.name for table in SOURCE.tables} == {
        table.name: table.name for table in SOURCE.tables
    }


def test_1_1_has_13_files_and_1_2_has_21():
    assert len(SOURCE.edition("oneroster_1_1").rules) == 13
    assert len(SOURCE.edition("oneroster_1_2").rules) == 21


def test_tables_follow_those_they_refer_to():
    order = [table.name for table in SOURCE.tables]
    for table, column in COLUMNS:
        if column.references is not None:
            assert column.references.table in order
            if column.references.table != table.name:
                assert order.index(column.references.table) < order.index(table.name)


def test_references_are_ids():
    for table, column in COLUMNS:
        if column.references is not None:
            assert column.kind in ("id", "id_list"), (table.name, column.name)


def test_names_and_headers_are_unique_in_a_table():
    for table in SOURCE.tables:
        names = [column.name for column in table.columns]
        assert len(set(names)) == len(names)
        called = [{c.header.casefold(), *map(str.casefold, c.aliases)} for c in table.columns]
        assert len(set().union(*called)) == sum(map(len, called)), table.name


def test_every_table_begins_with_key_status_and_stamp():
    for table in SOURCE.tables:
        names = [column.name for column in table.columns[:3]]
        assert names == ["sourced_id", "status", "date_last_modified"]
        assert [c.name for c in table.columns if not c.compared] == ["date_last_modified"]


@pytest.mark.parametrize(("edition", "name"), PAIRS)
def test_rules_are_about_columns_that_are_there(edition, name):
    table = SOURCE.table(name)
    found = [rule.column for rule in SOURCE.edition(edition).rules[name]]
    assert len(set(found)) == len(found)
    for column in found:
        assert table.column(column)


@pytest.mark.parametrize(("edition", "name"), PAIRS)
def test_codes_say_which_values_they_take_and_nothing_else_does(edition, name):
    for rule in SOURCE.edition(edition).rules[name]:
        kind = SOURCE.table(name).column(rule.column).kind
        assert bool(rule.values) == (kind in ("code", "code_list")), rule.column


def test_a_value_that_must_be_there_is_never_left_out():
    for edition in SOURCE.editions:
        for name, table_rules in edition.rules.items():
            for rule in table_rules:
                if rule.presence == "required":
                    assert rule.on_bad == "reject", (edition.name, name, rule.column)


def test_keys_are_never_left_out():
    for edition in SOURCE.editions:
        for name in edition.rules:
            rule = edition.rule(name, "sourced_id")
            assert rule is not None
            assert rule.on_bad == "reject"


def test_every_kind_has_rules_and_a_type():
    for _, column in COLUMNS:
        assert column.kind in rules.POLARS_TYPES
        assert column.sql_type


def test_passwords_are_secret_and_people_are_personal():
    for table, column in COLUMNS:
        assert (column.personal == "secret") == (column.name == "password")
        assert column.stored == (column.name != "password")
        to_people = column.references is not None and column.references.table == "users"
        if to_people:
            assert column.personal == "direct", (table.name, column.name)
    names = ("given_name", "family_name", "email", "phone", "sms", "username", "identifier")
    for name in (*names, "middle_name", "user_ids", "preferred_given_name", "sourced_id"):
        assert SOURCE.table("users").column(name).personal == "direct"
    for column in SOURCE.table("demographics").columns:
        if column.name not in ("status", "date_last_modified"):
            assert column.personal != "none", column.name


@pytest.mark.parametrize("edition", EDITIONS)
def test_needed_tables_are_part_of_their_edition(edition):
    found = SOURCE.edition(edition)
    assert set(THREE_FILES) <= set(found.needed)
    assert set(found.needed) <= set(found.rules)


def test_limits_per_school_and_per_kind_of_person_name_columns():
    for table in SOURCE.tables:
        for name in (table.school, table.people, *table.derived_key):
            assert name is None or table.column(name)


# The standard's own table of fields, where it lies beside the repository.


def standard() -> list[dict[str, str]]:
    if not STANDARD.exists():
        pytest.skip(f"{STANDARD.name} is not beside this repository")
    with STANDARD.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(("version", "edition"), [("1.1", EDITIONS[0]), ("1.2", EDITIONS[1])])
def test_files_columns_and_their_order_are_those_of_the_standard(version, edition):
    fields = [row for row in standard() if row["version"] == version]
    found = SOURCE.edition(edition)
    by_file: dict[str, list[str]] = {}
    for row in fields:
        by_file.setdefault(row["file"], []).append(row["field"])
    ours = {
        SOURCE.table(name).file.removesuffix(".csv"): [
            column.header for column in SOURCE.table(name).columns if found.rule(name, column.name)
        ]
        for name in found.rules
    }
    assert ours.keys() == {name.removesuffix(".csv") for name in by_file}
    for file, headers in by_file.items():
        assert sorted(ours[file.removesuffix(".csv")]) == sorted(headers), file


@pytest.mark.parametrize(("version", "edition"), [("1.1", EDITIONS[0]), ("1.2", EDITIONS[1])])
def test_what_must_be_there_and_what_may_stand_there_is_as_the_standard_says(version, edition):
    by_header = {
        (table.file.removesuffix(".csv"), column.header): (table.name, column)
        for table, column in COLUMNS
    }
    for row in (row for row in standard() if row["version"] == version):
        name, column = by_header[row["file"].removesuffix(".csv"), row["field"]]
        rule = SOURCE.edition(edition).rule(name, column.name)
        assert rule is not None
        where = (row["file"], row["field"])
        presence = {"Yes": "required", "No": "optional", "Yes for Delta": "delta"}
        assert rule.presence == presence[row["required"]], where
        if row["enum"] and column.kind != "boolean":
            assert set(rule.values) == set(row["enum"].split("|")), where
        if version == "1.2":
            assert column.extensible == bool(row["extensible"]), where
        if row["references"]:
            target = row["references"].split(".")[0].removesuffix(".csv")
            assert column.references is not None, where
            assert SOURCE.table(column.references.table).file == f"{target}.csv", where
