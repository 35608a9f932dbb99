"""Night after night: what is new, changed, the same or gone, with exact counts and versions."""

from collections import Counter
from datetime import timedelta

import pytest

from edpipeline_tests.district import (
    FIRST_DAY,
    ONEROSTER,
    ONEROSTER_1_1,
    ONEROSTER_1_2,
    POWERSCHOOL,
    District,
    Roster,
    Row,
    class_,
    counts,
    enrollment,
    files,
    manifest,
    package,
    rows,
    student,
    table,
)

USER_COLUMNS = POWERSCHOOL.columns["users"]


def numbers(report, file):
    """(read, added, changed, unchanged, duplicate, removed, rejected)"""
    found = counts(report, file)
    return (
        found.read,
        found.added,
        found.changed,
        found.unchanged,
        found.duplicate,
        found.removed,
        found.rejected,
    )


def of_student(roster: Roster, number: int) -> Row:
    return next(u for u in roster["users"] if u["sourcedId"] == f"S{number:03}")


def with_user(roster: Roster, number: int, **values: str) -> Roster:
    """The roster with one student changed."""
    users = [u | values if u["sourcedId"] == f"S{number:03}" else u for u in roster["users"]]
    return roster | {"users": users}


def without_user(roster: Roster, number: int) -> Roster:
    name = f"S{number:03}"
    return {
        "users": [u for u in roster["users"] if u["sourcedId"] != name],
        "classes": roster["classes"],
        "enrollments": [e for e in roster["enrollments"] if e["userSourcedId"] != name],
    }


def test_a_first_night_adds_every_row(district):
    report = district.night(0, files(rows(12, 2)))
    assert report.status == "loaded"
    assert numbers(report, "users") == (14, 14, 0, 0, 0, 0, 0)
    assert numbers(report, "classes") == (2, 2, 0, 0, 0, 0, 0)
    assert numbers(report, "enrollments") == (14, 14, 0, 0, 0, 0, 0)
    assert len(district.current("users")) == 14


def test_a_next_night_touches_only_what_differs(district):
    first = rows(12, 2)
    district.begin(files(first))
    second = without_user(with_user(first, 2, givenName="Other"), 3)
    second["users"] = [*second["users"], student(50)]
    second["enrollments"] = [*second["enrollments"], enrollment("S050", "C1")]
    report = district.night(1, files(second))
    assert numbers(report, "users") == (14, 1, 1, 12, 0, 1, 0)
    assert numbers(report, "classes") == (2, 0, 0, 2, 0, 0, 0)
    assert numbers(report, "enrollments") == (14, 1, 0, 13, 0, 1, 0)
    versions = district.select(
        "select sourced_id, given_name, valid_from, valid_to from roster.users"
        " where district_id = $district and sourced_id in ('S001', 'S002', 'S003', 'S050')"
    )
    next_day = FIRST_DAY + timedelta(1)
    assert sorted(versions, key=repr) == [
        ("S001", "GivenS001", FIRST_DAY, None),
        ("S002", "GivenS002", FIRST_DAY, next_day),
        ("S002", "Other", next_day, None),
        ("S003", "GivenS003", FIRST_DAY, next_day),
        ("S050", "GivenS050", next_day, None),
    ]


def test_the_same_bytes_again_change_nothing_and_are_called_so(district):
    district.begin(files(rows()))
    before = district.state()
    report = district.night(1, files(rows()))
    assert {file.status for file in report.files} == {"same_bytes"}
    assert numbers(report, "users") == (14, 0, 0, 14, 0, 0, 0)
    assert district.state() == before


def other_order(roster: Roster) -> Roster:
    return {name: lines[::-1] for name, lines in roster.items()}


def other_columns(roster: Roster) -> dict[str, bytes]:
    columns = {n: c[::-1] for n, c in POWERSCHOOL.columns.items()}
    return {f"{name}.csv": table(columns[name], roster[name]) for name in columns}


def other_bytes(found: dict[str, bytes]) -> dict[str, bytes]:
    return {name: b"\xef\xbb\xbf" + found[name].replace(b"\r", b"\r\n") for name in found}


def quoted(found: dict[str, bytes]) -> dict[str, bytes]:
    return {
        name: b"\n".join(
            b",".join(b'"' + cell + b'"' for cell in line.split(b","))
            for line in content.rstrip(b"\r").split(b"\r")
        )
        + b"\n"
        for name, content in found.items()
    }


def shouted(roster: Roster) -> Roster:
    users = [u | {"role": u["role"].upper(), "enabledUser": "TRUE"} for u in roster["users"]]
    return roster | {"users": users}


def stamped(roster: Roster) -> Roster:
    stamp = {"dateLastModified": "2026-09-02T04:05:06.000Z"}
    return {name: [line | stamp for line in lines] for name, lines in roster.items()}


def spaced(roster: Roster) -> Roster:
    users = [u | {"givenName": f"{u['givenName']} "} for u in roster["users"]]
    return roster | {"users": users}


NOISE = {
    "order, columns, bytes": lambda roster: other_bytes(other_columns(other_order(roster))),
    "quotes, case, stamps, blanks": lambda roster: quoted(files(spaced(stamped(shouted(roster))))),
    "none again": files,
}


def test_noise_that_means_nothing_makes_no_version(district):
    roster = rows()
    district.begin(files(roster))
    before = values_of(district)
    for night, (noise, delivered) in enumerate(NOISE.items(), start=1):
        report = district.night(night, delivered(roster))
        for file, count in (("users", 14), ("classes", 2), ("enrollments", 14)):
            assert numbers(report, file) == (count, 0, 0, count, 0, 0, 0), noise
        assert values_of(district) == before, noise
    report = district.night(9, files(roster))
    assert {file.status for file in report.files} == {"same_bytes"}
    assert not any(file.warnings_by_code for file in report.files)


def values_of(district: District) -> list[object]:
    """Versions without what may be refreshed: whether they are looked at again, and where."""
    return [row[:-3] for row in district.history("users")]


def test_a_record_that_comes_back_has_two_versions_and_a_gap(district):
    whole = rows()
    for night, roster in enumerate([whole, without_user(whole, 4), whole]):
        report = district.night(night, files(roster))
    assert numbers(report, "users") == (14, 1, 0, 13, 0, 0, 0)
    versions = district.select(
        "select valid_from, valid_to from roster.users"
        " where district_id = $district and sourced_id = 'S004' order by valid_from"
    )
    days = [FIRST_DAY + timedelta(n) for n in range(3)]
    assert versions == [(days[0], days[1]), (days[2], None)]


def test_two_records_that_swap_their_values_are_two_changes(district):
    first = rows()
    district.begin(files(first))
    one, two = of_student(first, 1)["givenName"], of_student(first, 3)["givenName"]
    swapped = with_user(with_user(first, 1, givenName=two), 3, givenName=one)
    report = district.night(1, files(swapped))
    assert numbers(report, "users") == (14, 0, 2, 12, 0, 0, 0)
    assert ("S001", two) in district.current("users", "sourced_id, given_name")


def test_a_value_that_is_cleared_or_filled_is_a_change(district):
    first = rows()
    district.begin(files(first))
    report = district.night(1, files(with_user(first, 1, grades="")))
    assert numbers(report, "users") == (14, 0, 1, 13, 0, 0, 0)
    report = district.night(2, files(first))
    assert numbers(report, "users") == (14, 0, 1, 13, 0, 0, 0)


# A row that is rejected keeps the version of yesterday.


REJECTED = [
    ({"role": "pupil"}, "bad_code"),
    ({"givenName": ""}, "missing_value"),
    ({"givenName": "An, na"}, "row_too_long"),
    ({"familyName": "L\x00e"}, "control_character"),
    ({"orgSourcedIds": "9999"}, "reference_missing"),
    ({"orgSourcedIds": "101"}, "reference_lost_zeros"),
]
SECOND = ("role", "sourcedId", *(c for c in USER_COLUMNS if c not in ("role", "sourcedId")))


@pytest.mark.parametrize("columns", [USER_COLUMNS, SECOND], ids=["key first", "key second"])
def test_a_rejected_row_keeps_yesterdays_version_and_its_enrollments(district, columns):
    first = rows()

    def delivered(roster: Roster) -> dict[str, bytes]:
        return files(roster) | {"users.csv": table(columns, roster["users"])}

    district.begin(delivered(first))
    before = district.state()
    spoilt = first
    for number, (values, _) in enumerate(REJECTED, start=1):
        spoilt = with_user(spoilt, number, **values)
    report = district.night(1, delivered(spoilt))
    assert report.status == "loaded_with_errors"
    assert counts(report, "users").rejected_by_code == {code: 1 for _, code in REJECTED}
    assert numbers(report, "users") == (14, 0, 0, 8, 0, 0, 6)
    assert numbers(report, "enrollments") == (14, 0, 0, 14, 0, 0, 0)
    assert district.state() == before
    report = district.night(2, delivered(first))
    assert numbers(report, "users") == (14, 0, 0, 14, 0, 0, 0)
    assert district.state() == before


def test_a_short_row_keeps_yesterdays_version(district):
    first = rows()
    district.begin(files(first))
    content = files(first)
    lines = content["users.csv"].split(b"\r")
    lines[4] = lines[4].rsplit(b",", 3)[0]
    report = district.night(1, content | {"users.csv": b"\r".join(lines)})
    assert counts(report, "users").rejected_by_code == {"row_too_short": 1}
    assert counts(report, "users").removed == 0
    assert len(district.current("users")) == 14


def test_a_rejected_row_without_its_own_key_keeps_yesterdays_version(district):
    """Enrollments of the three-file exchange may lack their id."""
    columns = ("classSourcedId", "userSourcedId", "role", "beginDate")
    first = rows()
    delivered = files(first) | {"enrollments.csv": table(columns, first["enrollments"])}
    district.begin(delivered)
    before = district.state()
    lines = delivered["enrollments.csv"].split(b"\r")
    lines[3] += b",x"
    report = district.night(1, delivered | {"enrollments.csv": b"\r".join(lines)})
    assert numbers(report, "enrollments") == (14, 0, 0, 13, 0, 0, 1)
    assert district.state() == before


# Copies and contradictions between a row known from yesterday and others.

SAME_IN_OTHER_WORDS = {"role": "Student"}
OTHER = {"givenName": "Bo"}
THIRD = {"givenName": "Cy"}

COPIES: dict[str, tuple[list[Row], dict[str, int]]] = {
    # rows beside the known one: what is told of them
    "the known row twice": ([{}], {"duplicate_row": 1}),
    "the known row three times": ([{}, {}], {"duplicate_row": 2}),
    "the known row in other words": (
        [SAME_IN_OTHER_WORDS],
        {"code_case": 1, "duplicate_row": 1},
    ),
    "the known row, and in other words twice": (
        [SAME_IN_OTHER_WORDS] * 2,
        {"code_case": 2, "duplicate_row": 2},
    ),
    "a contradiction": ([OTHER], {"duplicate_conflict": 2}),
    "the known row twice and a contradiction": (
        [{}, OTHER],
        {"duplicate_row": 1, "duplicate_conflict": 2},
    ),
    "the same contradiction twice": ([OTHER, OTHER], {"duplicate_row": 1, "duplicate_conflict": 2}),
    "a bad copy": ([{"role": "x"}], {"bad_code": 1}),
}


@pytest.mark.parametrize("known_first", [True, False])
def test_copies_and_contradictions_of_a_known_row(district, known_first):
    """Each case has a student of its own: the first of COPIES is student 1."""
    first = rows()
    district.begin(files(first))
    before = district.state()
    more = [
        of_student(first, number) | values
        for number, (extra, _) in enumerate(COPIES.values(), start=1)
        for values in extra
    ]
    users = [*first["users"], *more] if known_first else [*more, *first["users"]]
    report = district.night(1, files(first | {"users": users}))
    assert district.state() == before, "yesterday's versions stay"
    told: dict[str, dict[str, int]] = {}
    for *_, code, record in district.findings():
        told.setdefault(record, Counter())[code] += 1
    expected = {f"S{n:03}": codes for n, (_, codes) in enumerate(COPIES.values(), start=1)}
    assert told == expected
    # Of the three that are contradicted, neither row is used.
    assert numbers(report, "users") == (14 + len(more), 0, 0, 11, 8, 0, 7)
    assert counts(report, "users").warnings_by_code == {"duplicate_row": 8, "code_case": 3}
    assert counts(report, "users").rejected_by_code == {"duplicate_conflict": 6, "bad_code": 1}


def test_copies_of_a_changed_row_are_one_change(district):
    first = rows()
    district.begin(files(first))
    changed = with_user(first, 5, givenName="Bo")
    twice = changed | {"users": [*changed["users"], of_student(changed, 5)]}
    report = district.night(1, files(twice))
    assert numbers(report, "users") == (15, 0, 1, 13, 1, 0, 0)


def test_contradicting_rows_of_a_changed_record_keep_yesterdays_version(district):
    first = rows()
    district.begin(files(first))
    before = district.state()
    changed = with_user(first, 5, givenName="Bo")
    twice = changed | {"users": [*changed["users"], of_student(changed, 5) | THIRD]}
    report = district.night(1, files(twice))
    assert numbers(report, "users") == (15, 0, 0, 13, 0, 0, 2)
    assert district.state() == before


# Rows marked as deleted, and deltas.


def marked(roster: Roster, number: int) -> Roster:
    return with_user(roster, number, status="tobedeleted")


def test_a_row_marked_as_deleted_leaves_the_current_rows_and_stays_in_the_history(district):
    first = rows()
    district.begin(files(first))
    report = district.night(1, files(marked(first, 5)))
    assert numbers(report, "users") == (14, 0, 1, 13, 0, 0, 0)
    assert "S005" not in district.current("users")
    assert len(district.current("users")) == 13
    report = district.night(2, files(marked(first, 5)))
    assert numbers(report, "users") == (14, 0, 0, 14, 0, 0, 0)
    report = district.night(3, files(first))
    assert numbers(report, "users") == (14, 0, 1, 13, 0, 0, 0)
    assert "S005" in district.current("users")


def delta(roster: Roster) -> dict[str, bytes]:
    stamp = {"status": "active", "dateLastModified": "2026-09-02T00:00:00.000Z"}
    lines = {name: [stamp | line for line in found] for name, found in roster.items()}
    modes = dict.fromkeys(roster, "delta")
    return files(lines, ONEROSTER_1_1) | {"manifest.csv": manifest(ONEROSTER_1_1, modes)}


def test_a_delta_adds_changes_and_marks_and_leaves_the_rest(district):
    first = rows(12)
    district.begin(files(package(first), ONEROSTER_1_1))
    report = district.night(
        1,
        delta(
            {
                "users": [
                    student(40),
                    of_student(first, 1) | {"givenName": "Bo"},
                    of_student(first, 2),
                    of_student(first, 3) | {"status": "tobedeleted"},
                ],
                "enrollments": [enrollment("S040", "C1")],
            }
        ),
    )
    assert report.status == "loaded"
    assert numbers(report, "users") == (4, 1, 2, 1, 0, 0, 0)
    assert numbers(report, "enrollments") == (1, 1, 0, 0, 0, 0, 0)
    assert len(district.current("users")) == 14
    assert {file.file_name for file in report.files} == {"users.csv", "enrollments.csv"}


def test_a_delta_may_be_the_first_delivery_and_be_followed_by_bulk(district):
    first = package(rows(12))
    without_roles = {name: lines for name, lines in first.items() if name != "roles"}
    report = district.night(0, delta(without_roles))
    assert numbers(report, "users") == (14, 14, 0, 0, 0, 0, 0)
    report = district.night(1, files(first, ONEROSTER_1_1))
    assert numbers(report, "users") == (14, 0, 0, 14, 0, 0, 0)
    smaller = without_user(first, 2) | {
        n: first[n] for n in ("orgs", "academicSessions", "courses")
    }
    report = district.night(2, files(smaller, ONEROSTER_1_1))
    assert numbers(report, "users") == (13, 0, 0, 13, 0, 1, 0)


def test_an_unstamped_row_of_a_delta_is_rejected(district):
    first = package(rows(12))
    district.begin(files(first, ONEROSTER_1_1))
    report = district.night(1, delta({"users": [student(40), student(41, status="")]}))
    assert counts(report, "users").rejected_by_code == {"missing_in_delta": 1}
    assert len(district.current("users")) == 15


# Districts, values.


def test_districts_with_the_same_ids_do_not_touch_one_another(warehouse, tmp_path):
    one, two = District(warehouse, tmp_path), District(warehouse, tmp_path)
    one.begin(files(rows(12)))
    before = one.state()
    two.night(0, files(rows(6)))
    two.night(1, files(rows(3)))
    assert one.state() == before
    assert (len(one.current("users")), len(two.current("users"))) == (14, 5)
    report = one.night(1, files(rows(12)))
    assert numbers(report, "users") == (14, 0, 0, 14, 0, 0, 0)


STRANGE = [
    *("NULL", "null", "\\N", "\\.", "\\", "''", "'; drop table x; --", "$district", "%s %(x)s"),
    *("{}", "{0}", "$1", "a\\nb", "😀 漢字 é", "=1+1", "@x", "-", "<b>", "`", "#", "0", "false"),
    *('say "hi"', "a,b", '"', "a\u2028b", "a\x85b", "\u202etfel", "a\x01b", "a\x7fb"),
]


def test_every_value_arrives_as_it_was_sent(district):
    roster = package(rows(2))
    roster["users"] += [student(100 + n, middleName=value) for n, value in enumerate(STRANGE)]
    report = district.night(0, files(roster, ONEROSTER_1_1))
    assert counts(report, "users").rejected == 0
    found = dict(district.current("users", "sourced_id, middle_name"))
    assert [found[f"S{100 + n}"] for n in range(len(STRANGE))] == STRANGE
    report = district.night(1, files(roster | {"users": roster["users"][::-1]}, ONEROSTER_1_1))
    assert counts(report, "users").unchanged == len(roster["users"])


def test_blank_values_are_null_and_never_empty_text(district):
    district.night(0, files(package(rows(4)), ONEROSTER_1_2))
    for name in ("users", "classes", "enrollments", "orgs", "roles"):
        texts = [c.name for c in ONEROSTER.table(name).stored_columns if c.sql_type == "varchar"]
        empty = " + ".join(f"count(*) filter (where {column} = '')" for column in texts)
        found = district.select(
            f"select count(*), {empty} from roster.{name} where district_id = $district"
        )
        assert found[0][0] > 0
        assert found[0][1] == 0, name


def test_numbers_dates_and_flags_arrive_typed(district):
    roster = package(rows(2))
    roster["enrollments"][0] |= {"primary": "true", "beginDate": "2026-08-20"}
    report = district.night(0, files(roster, ONEROSTER_1_1))
    assert counts(report, "enrollments").rejected == 0
    found = district.current("enrollments", "is_primary, begin_date, end_date")
    assert (True, FIRST_DAY - timedelta(12), None) in found
    assert district.current("academic_sessions", "school_year") == [2027]


def test_a_longer_classes_file_is_no_change_of_users(district):
    first = rows()
    district.begin(files(first))
    more = first | {"classes": [*first["classes"], class_(9)]}
    report = district.night(1, files(more))
    assert numbers(report, "classes") == (3, 1, 0, 2, 0, 0, 0)
    assert counts(report, "users").status == "same_bytes"


def test_a_file_that_lost_its_id_column_does_not_double_its_rows(guarded):
    """Keys are made where a layout has none; they would be other keys than yesterday's."""
    roster = rows(12)
    guarded.begin(files(roster))
    before = guarded.state()
    delivered = files(roster)
    delivered["enrollments.csv"] = delivered["enrollments.csv"].replace(b"sourcedId", b"id", 1)
    report = guarded.night(1, delivered)
    found = counts(report, "enrollments")
    assert (found.status, found.rejected_by_code) == ("kept", {"missing_columns": 14})
    assert "sourcedId, which it had before" in report.message
    assert guarded.state() == before


def test_a_file_that_never_had_an_id_column_may_go_on_without(guarded):
    columns = ("classSourcedId", "userSourcedId", "role")
    roster = rows(12)
    delivered = files(roster) | {"enrollments.csv": table(columns, roster["enrollments"])}
    for night in range(2):
        report = guarded.night(night, delivered)
        assert report.status == "loaded"
    assert counts(report, "enrollments").unchanged == 14


def test_a_row_with_a_warning_leaves_though_all_others_are_as_they_were(district):
    roster = package(rows(6))
    roster["users"].append(student(50, agentSourcedIds="NOBODY"))
    district.begin(files(roster, ONEROSTER_1_1))
    assert [f[3] for f in district.findings("reference_unknown")] == ["reference_unknown"]
    del roster["users"][-1]
    report = district.night(1, files(roster, ONEROSTER_1_1))
    users = counts(report, "users")
    assert (users.removed, users.added, users.changed, users.unchanged) == (1, 0, 0, 8)
    assert "S050" not in district.current("users")
