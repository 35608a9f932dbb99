"""What a row names must be there: rows that name nobody, records that leave, lost zeros."""

import pytest

from edpipeline.loading.options import LoadOptions
from edpipeline_tests.district import (
    NEVER_HELD,
    ONEROSTER_1_1,
    ONEROSTER_1_2,
    District,
    Roster,
    class_,
    counts,
    enrollment,
    files,
    package,
    rows,
    student,
    table,
)

WITHOUT_SCHOOLS = LoadOptions(first_sync_needs_approval=False, removal_percent=100)


def without(roster: Roster, file: str, *ids: str) -> Roster:
    return roster | {file: [line for line in roster[file] if line["sourcedId"] not in ids]}


def changed(roster: Roster, file: str, record: str, **values: str) -> Roster:
    lines = [x | values if x["sourcedId"] == record else x for x in roster[file]]
    return roster | {file: lines}


NOBODY = [
    ("enrollments", "E-C1-S001", "user_sourced_id", {"userSourcedId": "S999"}, "missing"),
    ("enrollments", "E-C1-S003", "class_sourced_id", {"classSourcedId": "C999"}, "missing"),
    ("enrollments", "E-C1-S005", "class_sourced_id", {"classSourcedId": "0C1"}, "lost_zeros"),
    ("classes", "C8", "school_sourced_id", {"schoolSourcedId": "999"}, "missing"),
    ("classes", "C9", "school_sourced_id", {"schoolSourcedId": "101"}, "lost_zeros"),
    ("users", "S011", "org_sourced_ids", {"orgSourcedIds": "998"}, "missing"),
    ("users", "S012", "org_sourced_ids", {"orgSourcedIds": "00101"}, "lost_zeros"),
]


@pytest.mark.parametrize("whole", [False, True], ids=["three files", "package"])
def test_a_row_that_names_nobody_is_rejected(district, whole):
    roster = rows(12)
    roster["classes"] = [*roster["classes"], class_(8), class_(9)]
    roster["enrollments"] = [
        e for e in roster["enrollments"] if e["userSourcedId"] not in ("S011", "S012")
    ]
    for file, record, _, values, _ in NOBODY:
        roster = changed(roster, file, record, **values)
    report = district.night(0, files(package(roster), ONEROSTER_1_1) if whole else files(roster))
    assert report.status == "loaded_with_errors"
    missing, lost = "reference_missing", "reference_lost_zeros"
    assert counts(report, "users").rejected_by_code == {missing: 1, lost: 1}
    assert counts(report, "classes").rejected_by_code == {missing: 1, lost: 1}
    assert counts(report, "enrollments").rejected_by_code == {missing: 2, lost: 1}
    told = {f[2:] for f in district.findings() if f[3] in (missing, lost)}
    assert told == {(column, f"reference_{code}", record) for _, record, column, _, code in NOBODY}
    for name in ("users", "classes", "enrollments"):
        assert not {r for file, r, *_ in NOBODY if file == name} & set(district.current(name))


def test_a_list_in_which_no_school_is_known_costs_its_row_and_one_known_school_keeps_it(district):
    roster = package(rows(6))
    roster = changed(roster, "users", "S002", orgSourcedIds="998,999")
    roster = changed(roster, "users", "S003", orgSourcedIds="0101,999")
    report = district.night(0, files(roster, ONEROSTER_1_1))
    found = counts(report, "users")
    assert found.rejected_by_code == {"reference_missing": 1}
    assert found.warnings_by_code["reference_unknown"] == 1
    told = [f[2:] for f in district.findings() if f[0] == "users.csv"]
    assert ("org_sourced_ids", "reference_missing", "S002") in told
    assert ("org_sourced_ids", "reference_unknown", "S003") in told
    assert {"S002", "S003"} & set(district.current("users")) == {"S003"}


def test_a_parent_who_is_not_there_is_told_until_she_comes(district):
    roster = rows(6)
    roster = changed(roster, "users", "S002", agentSourcedIds="P1")
    for night in range(2):
        report = district.night(night, files(roster))
        found = counts(report, "users")
        assert found.rejected == 0
        assert found.warnings_by_code["reference_unknown"] == 1, night
        assert found.unchanged == (8 if night else 0)
    parent = student(90) | {"sourcedId": "P1", "role": "parent"}
    report = district.night(2, files(roster | {"users": [*roster["users"], parent]}))
    assert "reference_unknown" not in counts(report, "users").warnings_by_code
    assert counts(report, "users").unchanged == 8


def test_records_of_one_delivery_may_name_one_another_in_any_order(district):
    roster = rows(4)
    parent = student(90) | {"sourcedId": "P1", "role": "parent", "agentSourcedIds": "S001"}
    users = changed(roster, "users", "S001", agentSourcedIds="P1")["users"]
    delivered = {name: lines[::-1] for name, lines in roster.items()}
    report = district.night(0, files(delivered | {"users": [parent, *users][::-1]}))
    assert report.status == "loaded"
    assert "reference_unknown" not in counts(report, "users").warnings_by_code


def test_a_row_may_name_a_record_whose_own_row_was_rejected_today(district):
    roster = rows(6)
    district.begin(files(roster))
    bad = changed(roster, "users", "S001", role="pupil")
    bad["enrollments"] = [*bad["enrollments"], enrollment("S001", "C2")]
    report = district.night(1, files(bad))
    assert counts(report, "users").rejected == 1
    assert (counts(report, "enrollments").added, counts(report, "enrollments").rejected) == (1, 0)


def test_the_first_night_a_rejected_user_takes_the_enrollments_along(district):
    roster = changed(rows(6), "users", "S001", role="pupil")
    report = district.night(0, files(roster))
    assert counts(report, "enrollments").rejected_by_code == {"reference_missing": 1}
    assert [f[1] for f in district.findings("reference_missing")] == [4]


# Zeros.


def test_enrollments_that_lost_their_zeros_say_so_and_keep_yesterdays_rows(district):
    roster = rows(6)
    for line in roster["users"]:
        line["sourcedId"] = f"00{line['sourcedId'][1:]}"
    for line in roster["enrollments"]:
        line["userSourcedId"] = f"00{line['userSourcedId'][1:]}"
    users = {u["sourcedId"] for u in roster["users"]}
    assert len(users) == 6  # T001 and S001 fall together: staff and students of one number
    roster["users"] = list({u["sourcedId"]: u for u in roster["users"]}.values())
    district.night(0, files(roster))
    before = district.state()
    assert len(before["enrollments"]) == 8
    lost = [e | {"userSourcedId": e["userSourcedId"].lstrip("0")} for e in roster["enrollments"]]
    report = district.night(1, files(roster | {"enrollments": lost}))
    assert counts(report, "enrollments").rejected_by_code == {"reference_lost_zeros": 8}
    assert counts(report, "enrollments").removed == 0
    assert district.state() == before
    assert {f[2] for f in district.findings("reference_lost_zeros")} == {"user_sourced_id"}


def test_school_ids_that_lost_their_zeros_say_so(district):
    roster = rows(6)
    lost = [u | {"orgSourcedIds": u["orgSourcedIds"].lstrip("0")} for u in roster["users"]]
    sections = [
        c | {"schoolSourcedId": c["schoolSourcedId"].lstrip("0")} for c in roster["classes"]
    ]
    report = district.night(0, files(roster | {"users": lost, "classes": sections}))
    assert counts(report, "users").rejected_by_code == {"reference_lost_zeros": 8}
    assert counts(report, "classes").rejected_by_code == {"reference_lost_zeros": 2}


# Records that leave.


def test_enrollments_of_users_who_left_are_closed_though_their_file_still_lists_them(district):
    roster = rows(6)
    district.begin(files(roster))
    report = district.night(1, files(without(roster, "users", "S001", "S002")))
    assert counts(report, "users").removed == 2
    found = counts(report, "enrollments")
    assert (found.removed, found.rejected_by_code) == (2, {"reference_missing": 2})
    assert (found.unchanged, found.accepted) == (6, 6)
    assert len(district.current("enrollments")) == 6
    report = district.night(2, files(without(roster, "users", "S001", "S002")))
    found = counts(report, "enrollments")
    assert (found.removed, found.rejected_by_code) == (0, {"reference_missing": 2})
    report = district.night(3, files(roster))
    assert (counts(report, "users").added, counts(report, "enrollments").added) == (2, 2)
    assert len(district.current("enrollments")) == 8


def test_enrollments_that_leave_with_their_users_are_counted_once(district):
    roster = rows(6)
    district.begin(files(roster))
    smaller = without(roster, "users", "S001")
    smaller = without(smaller, "enrollments", "E-C1-S001")
    report = district.night(1, files(smaller))
    found = counts(report, "enrollments")
    assert (found.read, found.removed, found.rejected, found.unchanged) == (7, 1, 0, 7)


def test_a_changed_enrollment_of_a_user_who_left_is_rejected_and_closed(district):
    roster = rows(6)
    district.begin(files(roster))
    smaller = without(roster, "users", "S001")
    smaller = changed(smaller, "enrollments", "E-C1-S001", beginDate="2026-10-01")
    report = district.night(1, files(smaller))
    found = counts(report, "enrollments")
    assert (found.removed, found.rejected, found.unchanged) == (1, 1, 7)
    assert "E-C1-S001" not in district.current("enrollments")


def test_an_enrollment_that_moves_out_of_a_class_which_leaves_stays(district):
    roster = rows(6)
    district.begin(files(roster))
    moved = [
        e | {"classSourcedId": "C1", "schoolSourcedId": "0101"}
        if e["classSourcedId"] == "C2"
        else e
        for e in roster["enrollments"]
    ]
    report = district.night(1, files(without(roster, "classes", "C2") | {"enrollments": moved}))
    found = counts(report, "enrollments")
    assert (found.changed, found.unchanged, found.removed, found.rejected) == (4, 4, 0, 0)
    assert len(district.current("enrollments")) == 8


@pytest.mark.parametrize("content", [None, b"", b"sourcedId,classSourcedId,userSourcedId,role\r"])
def test_a_file_that_cannot_be_used_loses_only_the_rows_of_those_who_left(district, content):
    roster = rows(6)
    district.begin(files(roster))
    delivered = files(without(roster, "users", "S001"))
    if content is None:
        del delivered["enrollments.csv"]
    else:
        delivered["enrollments.csv"] = content
    report = district.night(1, delivered)
    found = counts(report, "enrollments")
    assert (found.status, found.removed) == ("kept", 1)
    assert len(district.current("enrollments")) == 7


def test_a_school_that_leaves_takes_its_classes_and_their_enrollments_along(warehouse, tmp_path):
    district = District(warehouse, tmp_path, WITHOUT_SCHOOLS)
    roster = package(rows(8, 2))
    district.night(0, files(roster, ONEROSTER_1_1))
    report = district.night(1, files(without(roster, "orgs", "0102"), ONEROSTER_1_1))
    assert counts(report, "orgs").removed == 1
    classes, enrollments = counts(report, "classes"), counts(report, "enrollments")
    assert (classes.removed, classes.rejected_by_code) == (1, {"reference_missing": 1})
    assert (enrollments.removed, enrollments.rejected_by_code) == (5, {"reference_missing": 5})
    assert (len(district.current("classes")), len(district.current("enrollments"))) == (1, 5)


def test_roles_and_demographics_leave_with_their_users(district):
    roster = package(rows(6))
    roster["demographics"] = [
        {"sourcedId": u["sourcedId"], "sex": "female"} for u in roster["users"]
    ]
    district.night(0, files(roster, ONEROSTER_1_2))
    assert len(district.current("demographics")) == 8
    report = district.night(1, files(without(roster, "users", "S001"), ONEROSTER_1_2))
    for file in ("roles", "demographics", "enrollments"):
        found = counts(report, file)
        assert (found.removed, found.rejected_by_code) == (1, {"reference_missing": 1}), file
    assert "S001" not in district.current("demographics")


# Nothing to point to.


def test_references_that_cannot_be_checked_are_said_to_be_unchecked(warehouse, tmp_path):
    district = District(warehouse, tmp_path, WITHOUT_SCHOOLS)
    report = district.night(0, files(rows(6)))
    assert report.status == "loaded"
    assert counts(report, "users").warnings_by_code["unchecked_reference"] == 1
    messages = district.select(
        "select message from ops.rejected_rows where district_id = $district"
        " and code = 'unchecked_reference' and file_name = 'users.csv'"
    )
    assert "orgSourcedIds" in messages[0][0]
    assert "orgs.csv" in messages[0][0]


def test_configured_schools_stand_in_for_a_file_of_schools(district):
    columns = ("sourcedId", "role", "givenName", "familyName")
    report = district.night(0, files(rows(6)) | {"users.csv": table(columns, rows(6)["users"])})
    assert report.status == "loaded"
    assert district.options == NEVER_HELD
    assert "unchecked_reference" not in counts(report, "users").warnings_by_code
    bad = changed(rows(6), "classes", "C2", schoolSourcedId="0199")
    report = district.night(1, files(bad))
    assert counts(report, "classes").rejected_by_code == {"reference_missing": 1}


def test_a_configured_school_and_a_delivered_one_both_count(district):
    roster = package(rows(6), schools=["0101"])
    report = district.night(0, files(roster, ONEROSTER_1_1))
    assert report.status == "loaded"
    assert counts(report, "classes").rejected == 0


def test_an_own_parent_that_is_not_there_is_told(district):
    roster = package(rows(4))
    roster["orgs"] = [
        o | {"parentSourcedId": "D9"} if o["type"] == "school" else o for o in roster["orgs"]
    ]
    report = district.night(0, files(roster, ONEROSTER_1_1))
    found = counts(report, "orgs")
    assert (found.rejected, found.warnings_by_code) == (0, {"reference_unknown": 2})
