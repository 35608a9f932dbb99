"""Several deliveries on one day, the same delivery on several days, and what was approved."""

from dataclasses import replace
from datetime import timedelta

from edpipeline_tests.district import (
    FIRST_DAY,
    ONEROSTER_1_1,
    District,
    counts,
    enrollment,
    files,
    manifest,
    package,
    rows,
    student,
)

STAMP = {"status": "active", "dateLastModified": "2026-09-02T06:00:00.000Z"}


def delta(users):
    """A OneRoster 1.1 delivery of some changed users and nothing else."""
    delivered = files({"users": [user | STAMP for user in users]}, ONEROSTER_1_1)
    return delivered | {"manifest.csv": manifest(ONEROSTER_1_1, {"users": "delta"})}


def test_two_deltas_of_one_day_both_count(district):
    district.begin(files(package(rows()), ONEROSTER_1_1))
    district.night(1, delta([student(91)]))
    district.night(1, delta([student(92)]))
    assert {"S091", "S092"} <= set(district.current("users"))
    both = district.state()
    district.load(1)
    assert district.state() == both


def test_a_delta_in_the_evening_adds_to_the_package_of_the_morning(district):
    whole = package(rows())
    district.begin(files(whole, ONEROSTER_1_1))
    district.night(1, files(whole | {"users": [*whole["users"], student(90)]}, ONEROSTER_1_1))
    district.night(1, delta([student(91)]))
    assert {"S090", "S091"} <= set(district.current("users"))


def test_a_second_delivery_that_lacks_a_file_keeps_what_the_first_one_brought(district):
    roster = rows()
    district.begin(files(roster))
    more = roster["enrollments"] + [enrollment("S001", "C2", "0102")]
    district.night(1, files(roster | {"enrollments": more}))
    report = district.night(1, files(roster | {"enrollments": []}))
    assert counts(report, "enrollments").status == "kept"
    assert "E-C2-S001" in district.current("enrollments")


def test_a_whole_second_delivery_stands_alone(district):
    roster = rows()
    district.begin(files(roster))
    district.night(1, files(roster | {"users": [*roster["users"], student(99)]}))
    district.land(1, files(roster))
    steps: list[str] = []
    replace(district.sync(), progress=steps.append).load_day(FIRST_DAY + timedelta(1))
    assert "S099" not in [row[0] for row in district.history("users")]
    assert steps.count("reading users.csv") == 1, "and is loaded once"


def test_an_approval_of_removals_holds_for_what_had_come_by_then(guarded):
    roster = rows(students=60)
    few = roster | {"enrollments": roster["enrollments"][:30]}
    guarded.night(0, files(roster))
    held = guarded.night(1, files(few))
    assert held.status == "removals_held"
    guarded.approve(held.drop_id, "removals")
    assert guarded.load(1).status == "loaded"
    guarded.night(2, files(roster))
    assert guarded.night(40, files(few)).status == "removals_held"
    assert len(guarded.current("enrollments")) == len(roster["enrollments"])


def without_key(roster, change):
    """Enrollments as layouts without sourcedId have them."""
    columns = ("classSourcedId", "userSourcedId", "role", "beginDate")
    lines = [",".join(columns)]
    for row in roster["enrollments"]:
        cells = {"beginDate": "2026-08-20"} | row | change.get(row["sourcedId"], {})
        lines.append(",".join(cells[name] for name in columns))
    return files(roster) | {"enrollments.csv": "".join(f"{line}\r" for line in lines).encode()}


def test_a_rejected_row_with_a_built_key_keeps_yesterdays_version(district: District):
    roster = rows()
    district.night(0, without_key(roster, {}))
    before = district.current("enrollments")
    bad = {
        "E-C1-S001": {"beginDate": "8/20/2026"},
        "E-C2-S002": {"role": "pupil"},
        "E-C1-S003": {"role": "student,x"},
    }
    report = district.night(1, without_key(roster, bad))
    assert counts(report, "enrollments").rejected == 3
    assert counts(report, "enrollments").removed == 0
    assert district.current("enrollments") == before
