"""Too many removals wait for a person: counted per table, school and kind, cascades too."""

from dataclasses import replace

import pytest

from edpipeline.loading.options import LoadOptions
from edpipeline_tests.district import (
    FIRST_DAY,
    GUARDED,
    ONEROSTER_1_1,
    District,
    Roster,
    counts,
    enrollment,
    files,
    package,
    rows,
    student,
)

CORE = ("users", "classes", "enrollments")
PAUSED = replace(GUARDED, removals_paused=True)


def without_students(roster: Roster, *numbers: int) -> Roster:
    """The roster without these students, and without their enrollments."""
    gone = {f"S{number:03}" for number in numbers}
    return roster | {
        "users": [u for u in roster["users"] if u["sourcedId"] not in gone],
        "enrollments": [e for e in roster["enrollments"] if e["userSourcedId"] not in gone],
    }


def people(count: int) -> Roster:
    """Students of one school with two teachers and no enrollments but the teachers'."""
    roster = rows(0, 2, schools=["0101"])
    roster["users"] += [student(n + 1) for n in range(count)]
    return roster


@pytest.mark.parametrize(
    ("students", "leaving", "percent", "floor", "held"),
    [
        (60, 6, 10, 5, False),  # ten of a hundred may go, not more
        (60, 7, 10, 5, True),
        (61, 6, 10, 5, False),
        (20, 5, 10, 5, False),  # so few may always go
        (20, 6, 10, 5, True),
        (20, 2, 10, 0, False),
        (20, 3, 10, 0, True),
        (20, 10, 50, 0, False),
        (20, 20, 100, 0, False),
        (40, 1, 0, 0, True),
        (40, 1, 2.5, 0, False),
        (40, 2, 2.5, 0, True),
    ],
)
def test_more_students_than_the_limit_do_not_leave_unseen(
    warehouse, tmp_path, students, leaving, percent, floor, held
):
    if warehouse.url.startswith("duckdb") == (floor == 5):
        pytest.skip("half of the table on each database")
    options = replace(GUARDED, removal_percent=percent, removal_floor=floor)
    district = District(warehouse, tmp_path, options)
    roster = people(students)
    district.begin(files(roster))
    report = district.night(1, files(without_students(roster, *range(1, leaving + 1))))
    found = counts(report, "users")
    assert report.status == ("removals_held" if held else "loaded")
    assert (found.removed, found.held) == ((0, leaving) if held else (leaving, 0))
    assert len(district.current("users")) == students + 2 - (0 if held else leaving)


@pytest.mark.parametrize(("leaving", "status"), [(50, "loaded"), (51, "removals_held")])
def test_the_example_of_501_students_of_whom_50_may_go(guarded, leaving, status):
    roster = people(501)
    guarded.begin(files(roster))
    smaller = without_students(roster, *range(1, leaving + 1))
    assert guarded.night(1, files(smaller)).status == status


def test_additions_and_changes_are_applied_while_removals_wait(guarded):
    roster = rows(60, 2)
    guarded.begin(files(roster))
    smaller = without_students(roster, *range(1, 20))
    smaller["users"][5] = smaller["users"][5] | {"givenName": "Other"}
    smaller["users"] = [*smaller["users"], student(99)]
    smaller["enrollments"] = [*smaller["enrollments"], enrollment("S099", "C1")]
    drop = guarded.land(1, files(smaller))
    report = guarded.load(1)
    users, enrollments = counts(report, "users"), counts(report, "enrollments")
    assert report.status == "removals_held"
    assert report.applied
    assert (users.added, users.changed, users.unchanged, users.removed) == (1, 1, 42, 0)
    assert (users.held, enrollments.held) == (19, 19)
    assert len(guarded.current("users")) == 63
    assert len(guarded.current("enrollments")) == 63
    waiting = guarded.held()
    assert len(waiting) == 38
    assert {row[0] for row in waiting} == {"roster.users", "roster.enrollments"}
    assert f"edpipeline approve {drop}" in report.message
    assert not any(row[1] in report.message for row in waiting)


def test_what_waits_goes_when_a_person_approves(guarded):
    roster = rows(60, 2)
    guarded.begin(files(roster))
    drop = guarded.land(1, files(without_students(roster, *range(1, 20))))
    guarded.load(1)
    guarded.approve(drop, "removals")
    report = guarded.load(1)
    assert report.status == "loaded"
    assert (counts(report, "users").removed, counts(report, "users").held) == (19, 0)
    assert len(guarded.current("users")) == 43
    assert guarded.held() == []


def test_an_approval_is_for_one_delivery_only(guarded):
    roster = rows(60, 2)
    guarded.begin(files(roster))
    drop = guarded.land(1, files(without_students(roster, *range(1, 20))))
    guarded.load(1)
    guarded.approve(drop, "removals")
    guarded.load(1)
    report = guarded.night(2, files(without_students(roster, *range(1, 40))))
    assert report.status == "removals_held"
    assert len(guarded.current("users")) == 43


def test_what_waits_is_forgotten_when_it_comes_back(guarded):
    roster = rows(60, 2)
    guarded.begin(files(roster))
    guarded.night(1, files(without_students(roster, *range(1, 20))))
    report = guarded.night(2, files(roster))
    assert (report.status, guarded.held()) == ("loaded", [])
    assert counts(report, "users").unchanged == 62
    versions = guarded.select(
        "select count(*), count(valid_to) from roster.users where district_id = $district"
    )
    assert versions == [(62, 0)]


def test_what_waits_still_waits_when_it_is_still_missing(guarded):
    roster = rows(60, 2)
    guarded.begin(files(roster))
    smaller = files(without_students(roster, *range(1, 20)))
    for night in (1, 2):
        report = guarded.night(night, smaller)
        assert report.status == "removals_held"
        assert len(guarded.held()) == 38
    assert len(guarded.current("users")) == 62


# Groups that hide in the whole.


SMALL_SCHOOL = [student(500 + n, "0102") for n in range(8)]
STAFF = [student(600 + n, role="teacher") for n in range(8)]


@pytest.mark.parametrize(
    ("staying", "told"),
    [(STAFF, "of school 0102: 8 of 8"), (SMALL_SCHOOL, "of kind staff: 8 of 10")],
    ids=["a small school", "the staff"],
)
def test_a_small_group_that_vanishes_is_noticed(guarded, staying, told):
    roster = people(200)
    users = roster["users"]
    guarded.begin(files(roster | {"users": [*users, *SMALL_SCHOOL, *STAFF]}))
    report = guarded.night(1, files(roster | {"users": [*users, *staying]}))
    assert report.status == "removals_held"
    assert told in report.message
    assert "; " not in report.message, "no other group is too small now"
    assert len(guarded.current("users")) == 218


def test_a_school_lost_from_the_list_of_schools_does_not_take_its_classes_along_unseen(
    warehouse, tmp_path
):
    options = LoadOptions(first_sync_needs_approval=False)
    district = District(warehouse, tmp_path, options)
    roster = package(rows(40, 4))
    district.night(0, files(roster, ONEROSTER_1_1))
    before = {name: district.current(name) for name in CORE}
    lost = roster | {"orgs": [o for o in roster["orgs"] if o["sourcedId"] != "0102"]}
    drop = district.land(1, files(lost, ONEROSTER_1_1))
    report = district.load(1)
    assert report.status == "removals_held"
    assert {name: district.current(name) for name in CORE} == before
    for name in CORE:
        assert counts(report, name).rejected == 0
    district.approve(drop, "removals")
    report = district.load(1)
    assert report.status == "loaded_with_errors"
    assert len(district.current("classes")) == 2
    assert len(district.current("enrollments")) == 22


def test_classes_that_leave_do_not_take_their_enrollments_along_unseen(guarded):
    """Two classes are under the floor; their enrollments are half of all."""
    roster = rows(40, 4)
    guarded.night(0, files(roster))
    kept = [c for c in roster["classes"] if c["sourcedId"] in ("C1", "C2")]
    report = guarded.night(1, files(roster | {"classes": kept}))
    assert report.status == "removals_held"
    assert "enrollments" in report.message
    assert len(guarded.current("enrollments")) == 44


# Rows marked as deleted count as removals.


def test_rows_marked_as_deleted_wait_like_rows_that_left(guarded):
    roster = people(60)
    guarded.begin(files(roster))
    before = guarded.state()
    users = [u | {"status": "tobedeleted"} if n < 20 else u for n, u in enumerate(roster["users"])]
    drop = guarded.land(1, files(roster | {"users": users}))
    report = guarded.load(1)
    found = counts(report, "users")
    assert (report.status, found.held, found.unchanged) == ("removals_held", 20, 62)
    assert guarded.state() == before
    assert {row[2] for row in guarded.held()} == {"marked as deleted"}
    guarded.approve(drop, "removals")
    report = guarded.load(1)
    assert (counts(report, "users").changed, counts(report, "users").unchanged) == (20, 42)
    assert len(guarded.current("users")) == 42


def test_a_row_marked_as_deleted_that_names_nobody_is_counted_once(warehouse, tmp_path):
    district = District(warehouse, tmp_path, GUARDED)
    roster = rows(60, 2)
    district.begin(files(roster))
    district.options = PAUSED
    before = district.state()
    seats = [
        e | ({"status": "tobedeleted", "classSourcedId": "C9"} if n == 0 else {})
        for n, e in enumerate(roster["enrollments"])
    ]
    report = district.night(1, files(roster | {"enrollments": seats}))
    found = counts(report, "enrollments")
    assert (found.read, found.rejected, found.unchanged) == (62, 1, 61)
    assert district.state() == before


# Pauses, replaced ids, cut files.


def test_a_pause_holds_even_one_removal_and_lets_it_go_afterwards(warehouse, tmp_path):
    district = District(warehouse, tmp_path, GUARDED)
    roster = rows(60, 2)
    district.begin(files(roster))
    district.options = PAUSED
    report = district.night(1, files(without_students(roster, 1)))
    assert report.status == "removals_held"
    assert "paused" in report.message
    assert len(district.current("users")) == 62
    district.options = GUARDED
    report = district.night(2, files(without_students(roster, 1)))
    assert (report.status, counts(report, "users").removed) == ("loaded", 1)


def test_a_pause_leaves_a_night_without_removals_alone(warehouse, tmp_path):
    district = District(warehouse, tmp_path, GUARDED)
    roster = rows(60, 2)
    district.begin(files(roster))
    district.options = PAUSED
    report = district.night(1, files(roster | {"users": [*roster["users"], student(90)]}))
    assert report.status == "loaded"


def test_ids_made_anew_are_held_and_called_so(guarded):
    roster = rows(60, 2)
    guarded.begin(files(roster))
    anew = {
        "users": [u | {"sourcedId": f"N{u['sourcedId']}"} for u in roster["users"]],
        "classes": roster["classes"],
        "enrollments": [
            e | {"sourcedId": f"N{e['sourcedId']}", "userSourcedId": f"N{e['userSourcedId']}"}
            for e in roster["enrollments"]
        ],
    }
    report = guarded.night(1, files(anew))
    assert report.status == "removals_held"
    assert counts(report, "users").warnings_by_code["ids_replaced"] == 1
    assert (counts(report, "users").added, counts(report, "users").held) == (62, 62)
    assert len(guarded.current("users")) == 124


def test_ids_that_lost_their_zeros_everywhere_are_held(guarded):
    roster = people(60)
    zeros = [u | {"sourcedId": f"00{n}"} for n, u in enumerate(roster["users"], start=1)]
    roster = roster | {"users": zeros}
    for seat in roster["enrollments"]:
        seat["userSourcedId"] = "001"
    guarded.night(0, files(roster))
    lost = [u | {"sourcedId": u["sourcedId"].lstrip("0")} for u in zeros]
    report = guarded.night(1, files(roster | {"users": lost}))
    assert report.status == "removals_held"
    assert counts(report, "users").warnings_by_code["ids_replaced"] == 1
    assert len(guarded.current("enrollments")) == 2


def test_a_file_cut_at_the_end_of_a_row_is_held(guarded):
    """Nothing in it is wrong; it only lacks the line end that it has every night."""
    roster = rows(60, 2)
    whole = files(roster)
    guarded.begin(whole)
    lines = whole["users.csv"].split(b"\r")
    cut = whole | {"users.csv": b"\r".join(lines[:61])}
    report = guarded.night(1, cut)
    assert report.status == "removals_held"
    assert "final line end" in report.message
    assert len(guarded.current("users")) == 62


def test_a_file_that_never_ends_its_last_row_loses_its_leavers(guarded):
    roster = rows(60, 2)
    without_end = {name: content[:-1] for name, content in files(roster).items()}
    guarded.night(0, without_end)
    smaller = files(without_students(roster, 60))
    report = guarded.night(1, {name: content[:-1] for name, content in smaller.items()})
    assert (report.status, counts(report, "users").removed) == ("loaded", 1)


def test_limits_count_against_what_holds_now_and_not_against_the_past(guarded):
    roster = people(40)
    guarded.begin(files(roster))
    users = roster["users"]
    marked = [u | {"status": "tobedeleted"} for u in users[2:6]]
    assert guarded.night(1, files(roster | {"users": users[:2] + marked + users[6:]})).applied
    assert len(guarded.current("users")) == 38
    # The four are no longer on the roster: that their rows go now is no removal.
    report = guarded.night(2, files(roster | {"users": users[:2] + users[6:]}))
    assert report.status == "loaded"
    assert len(guarded.current("users")) == 38


def test_the_limit_names_groups_and_numbers_and_no_person(guarded):
    roster = rows(60, 2)
    guarded.begin(files(roster))
    report = guarded.night(1, files(without_students(roster, *range(1, 30))))
    assert "29 of" in report.message
    text = report.message + report.markdown()
    assert not [u for u in roster["users"] if u["sourcedId"] in text]
    assert report.day == FIRST_DAY.replace(day=2)
