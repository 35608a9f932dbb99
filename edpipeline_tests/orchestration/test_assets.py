"""A source as assets: what a run records, and what it does when something is wrong."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from edpipeline.errors import ConnectionLost
from edpipeline.landing import drop as landing
from edpipeline.landing.drop import Approval
from edpipeline.loading.sync import Sync
from edpipeline.orchestration import steps
from edpipeline.orchestration.runs import Asked
from edpipeline.orchestration.steps import FAILURE_TAG
from edpipeline_tests.orchestration.installation import (
    DAY,
    Installation,
    checks,
    evening,
    failure,
    key,
    materializations,
    roster,
)

TABLES = ["roster/classes", "roster/enrollments", "roster/users"]
NEXT_DAY = DAY + timedelta(days=1)


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "RETRY_SECONDS", (0, 0))


def tags_of(at_work: Installation, result: dg.ExecuteInProcessResult) -> dict[str, str]:
    run = at_work.instance.get_run_by_id(result.dagster_run.run_id)
    assert run
    return dict(run.tags)


def number(event: dg.AssetMaterialization, name: str) -> object:
    return event.metadata[name].value


def test_only_the_tables_of_the_delivery_are_materialized_with_what_became_of_it(
    at_work: Installation,
) -> None:
    district = at_work.new_district()
    result = at_work.deliver(district, DAY, roster(students=20))
    assert result.success, failure(result)
    found = materializations(result)
    assert sorted(found) == ["landing/oneroster", *TABLES]
    assert {event.partition for event in found.values()} == {key(district)}
    users = found["roster/users"]
    assert number(users, "dagster/row_count") == 21
    assert number(users, "added") == number(users, "read") == number(users, "accepted") == 21
    assert "| users.csv |" in str(number(users, "report"))
    assert number(users, "drop_id") == number(found["landing/oneroster"], "drop_id")
    assert number(found["landing/oneroster"], "files") == 3
    failed = [name for name, check in checks(result).items() if not check.passed]
    assert failed == ["landing/oneroster/delivery_on_time"]
    assert {check.partition for check in checks(result).values()} == {key(district)}
    assert_a_late_delivery_is_a_warning(result)
    assert_the_report_of_all_files_stands_beside_what_landed(result, key(district))


def assert_a_late_delivery_is_a_warning(result: dg.ExecuteInProcessResult) -> None:
    late = checks(result)["landing/oneroster/delivery_on_time"]
    assert (late.passed, late.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "the window had closed" in str(late.description)


def assert_the_report_of_all_files_stands_beside_what_landed(
    result: dg.ExecuteInProcessResult, partition: str
) -> None:
    kind = dg.DagsterEventType.ASSET_OBSERVATION
    [seen] = [e.asset_observation_data for e in result.all_events if e.event_type is kind]
    observation = seen.asset_observation
    assert observation.asset_key.to_user_string() == "landing/oneroster"
    assert observation.partition == partition
    told = str(observation.metadata["report"].value)
    assert [f"| {name} |" in told for name in roster()] == [True] * 3
    users = materializations(result)["roster/users"]
    assert "classes.csv" not in str(number(users, "report"))


def test_the_next_delivery_counts_what_changed(at_work: Installation) -> None:
    district = at_work.new_district()
    at_work.load(district, DAY, roster(students=20))
    result = at_work.deliver(district, NEXT_DAY, roster(students=22, leave_out=1))
    users = materializations(result)["roster/users"]
    counts = {name: number(users, name) for name in ("added", "removed", "unchanged", "changed")}
    assert counts == {"added": 2, "removed": 1, "unchanged": 20, "changed": 0}
    assert at_work.materialized("roster/users", district) == [str(NEXT_DAY)]


def test_a_first_sync_waits_says_what_to_run_and_is_loaded_from_landing_once_approved(
    at_work: Installation,
) -> None:
    district = at_work.new_district(first_sync_needs_approval=True)
    result = at_work.deliver(district, DAY, roster())
    assert result.success
    assert list(materializations(result)) == ["landing/oneroster"]
    waits = checks(result)["landing/oneroster/first_sync_approved"]
    drop_id = number(materializations(result)["landing/oneroster"], "drop_id")
    assert not waits.passed
    assert waits.severity is dg.AssetCheckSeverity.WARN
    assert f"`edpipeline approve {drop_id} --by NAME`" in str(waits.description)
    decision = Approval(str(drop_id), district, "oneroster", "first_sync", "me", evening(DAY))
    landing.approve(at_work.pipeline().store, decision)
    result = at_work.run(district, DAY, Asked())
    assert result.success, failure(result)
    found = materializations(result)
    assert number(found["landing/oneroster"], "news") == "had landed before"
    assert sorted(found) == ["landing/oneroster", *TABLES]
    assert checks(result)["landing/oneroster/first_sync_approved"].passed


def test_a_refused_delivery_fails_the_run_with_the_reports_message(at_work: Installation) -> None:
    district = at_work.new_district()
    at_work.load(district, DAY, roster())
    broken = {name: text.replace("sourcedId", "nothing", 1) for name, text in roster().items()}
    result = at_work.deliver(district, NEXT_DAY, {n: t.split(",", 1)[1] for n, t in broken.items()})
    assert not result.success
    assert f"{key(district, NEXT_DAY)}: Refused: nothing was changed." in failure(result)
    assert "users.csv lacks columns" in failure(result)
    assert list(materializations(result)) == ["landing/oneroster"]
    layout = checks(result)["roster/users/layout"]
    assert (layout.passed, layout.blocking) == (False, True)
    assert str(layout.description).startswith("users.csv lacks columns")
    assert tags_of(at_work, result)[FAILURE_TAG] == "lasting"
    assert not [event for event in result.all_events if event.is_step_up_for_retry]
    current = at_work.rows(
        "select count(*) from roster.current_users where district_id = $d", d=district
    )
    assert current == [(21,)]


def test_one_file_that_cannot_be_used_does_not_stop_the_others(at_work: Installation) -> None:
    district = at_work.new_district()
    at_work.load(district, DAY, roster())
    delivered = roster(students=21) | {"classes.csv": ""}
    result = at_work.deliver(district, NEXT_DAY, delivered)
    assert not result.success
    assert "classes.csv" in failure(result)
    assert at_work.materialized("roster/users", district) == [str(NEXT_DAY)]
    assert at_work.materialized("roster/classes", district) == []
    assert not checks(result)["roster/classes/layout"].passed
    assert checks(result)["roster/users/layout"].passed
    assert checks(result)["roster/classes/rows_reconcile"].passed


def test_a_file_that_is_in_order_passes_though_its_delivery_is_refused(
    at_work: Installation,
) -> None:
    district = at_work.new_district()
    result = at_work.deliver(district, DAY, roster() | {"classes.csv": ""})
    assert "Refused: nothing was changed." in failure(result)
    layout = {name: check.passed for name, check in checks(result).items() if "/layout" in name}
    assert layout == {
        "roster/users/layout": True,
        "roster/classes/layout": False,
        "roster/enrollments/layout": True,
    }
    assert at_work.materialized("roster/users", district) == []


def test_held_removals_are_a_warning_and_the_rest_is_loaded(at_work: Installation) -> None:
    district = at_work.new_district()
    at_work.load(district, DAY, roster(students=40))
    result = at_work.deliver(district, NEXT_DAY, roster(students=41, leave_out=20))
    assert result.success, failure(result)
    users = materializations(result)["roster/users"]
    assert (number(users, "held"), number(users, "removed"), number(users, "added")) == (20, 0, 1)
    held = checks(result)["roster/users/removals_within_limit"]
    assert (held.passed, held.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "`edpipeline approve " in str(held.description)


def test_rows_rejected_for_their_references_are_a_warning(at_work: Installation) -> None:
    district = at_work.new_district()
    delivered = roster()
    delivered["enrollments.csv"] += "E99,C9,0101,S1,student\r"
    result = at_work.deliver(district, DAY, delivered)
    assert result.success, failure(result)
    references = checks(result)["roster/enrollments/references"]
    assert not references.passed
    assert references.description == "rejected: reference_missing 1"
    assert number(materializations(result)["roster/enrollments"], "rejected") == 1


def test_in_a_run_over_several_districts_one_that_fails_stops_no_other(
    at_work: Installation,
) -> None:
    districts = [at_work.new_district() for _ in range(3)]
    for district in (districts[0], districts[2]):
        at_work.land(district, DAY, roster(students=int(district[-2:])))
    first, *_, last = districts
    result = at_work.job("oneroster_sync").execute_in_process(
        instance=at_work.instance,
        tags={
            "dagster/asset_partition_range_start": key(first),
            "dagster/asset_partition_range_end": key(last),
        },
        raise_on_error=False,
    )
    assert not result.success
    assert failure(result).startswith("1 of 3 did not succeed:\n" + key(districts[1]))
    loaded = [d for d in districts if at_work.materialized("roster/users", d) == [str(DAY)]]
    assert loaded == [first, last]
    asset = dg.AssetKey(["roster", "users"])
    records = at_work.instance.fetch_materializations(asset, limit=2).records
    counted = {
        str(r.partition_key): number(r.asset_materialization, "dagster/row_count") for r in records
    }
    assert counted == {key(d): int(d[-2:]) + 1 for d in (first, last)}


def test_a_lost_connection_is_tried_again_and_told_at_the_end(at_work: Installation) -> None:
    district = at_work.new_district()
    seen = at_work.put(district, roster(), evening(DAY))
    at_work.server.faults.refuse_connections = True
    result = at_work.run(district, DAY, Asked(files=seen))
    assert not result.success
    assert len([event for event in result.all_events if event.is_step_restarted]) == 2
    assert tags_of(at_work, result)[FAILURE_TAG] == "transient"
    assert "it is tried again" in failure(result)


def test_what_an_earlier_attempt_loaded_is_not_loaded_again(
    at_work: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = at_work.new_district(), at_work.new_district()
    for district in (first, second):
        at_work.land(district, DAY, roster())
    load_day, lost = Sync.load_day, [ConnectionLost("gone for a moment")]

    def lose_the_second_once(sync: Sync, day: object) -> object:
        if sync.district_id == second and lost:
            raise lost.pop()
        return load_day(sync, day)  # type: ignore[arg-type]

    monkeypatch.setattr(Sync, "load_day", lose_the_second_once)
    result = at_work.job("oneroster_sync").execute_in_process(
        instance=at_work.instance,
        tags={
            "dagster/asset_partition_range_start": key(first),
            "dagster/asset_partition_range_end": key(second),
        },
        raise_on_error=False,
    )
    assert result.success, failure(result)
    assert [len(at_work.reports(district)) for district in (first, second)] == [1, 1]


def test_an_unexpected_error_says_where_and_never_quotes_its_text(
    at_work: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    district = at_work.new_district()

    def fail(sync: Sync, day: object) -> None:
        raise ValueError("could not convert 'Maria Canary'")

    monkeypatch.setattr(Sync, "load_day", fail)
    result = at_work.deliver(district, DAY, roster())
    assert "unexpected ValueError at orchestration/steps.py:" in failure(result)
    assert "orchestration/assets.py:" in failure(result)
    told = [str(event) for event in at_work.instance.all_logs(result.dagster_run.run_id)]
    assert not [event for event in told if "Canary" in event]


def test_a_file_that_changed_since_it_was_seen_is_not_taken(at_work: Installation) -> None:
    district = at_work.new_district()
    seen = at_work.put(district, roster(), evening(DAY))
    at_work.put(district, roster(students=25), evening(DAY, minutes=1))
    result = at_work.run(district, DAY, Asked(files=seen))
    assert "is still being written" in failure(result)
    assert tags_of(at_work, result)[FAILURE_TAG] == "transient"


def test_a_newer_refused_delivery_fails_although_an_older_one_stays_loaded(
    at_work: Installation,
) -> None:
    district = at_work.new_district()
    at_work.load(district, DAY, roster())
    result = at_work.deliver(district, DAY, dict.fromkeys(roster(), ""))
    assert "Refused: nothing was changed." in failure(result)
    users = materializations(result)["roster/users"]
    assert number(users, "dagster/row_count") == 21
    drop_ids = [number(users, "drop_id"), at_work.reports(district)[0].drop_id]
    assert len(set(drop_ids)) == 2


def test_a_day_of_which_nothing_landed_fails_and_says_so(at_work: Installation) -> None:
    district = at_work.new_district()
    result = at_work.run(district, DAY, Asked())
    assert "nothing has landed for this day" in failure(result)
    assert tags_of(at_work, result)[FAILURE_TAG] == "lasting"


def test_by_hand_todays_files_are_looked_at_twice_and_the_marts_follow(
    at_work: Installation,
) -> None:
    district = at_work.new_district()
    now = datetime.now(UTC)
    today = at_work.pipeline().delivery_day(district, now)
    at_work.put(district, roster(), now - timedelta(minutes=5))
    result = at_work.evening(district, today)
    assert result.success
    assert result.marts
    students = materializations(result.marts)["marts/dim_student"]
    assert number(students, "dagster/row_count") == 20
    assert students.partition == district
    again = at_work.run(district, today, Asked())
    assert number(materializations(again)["landing/oneroster"], "news") == "had landed before"


def test_a_closed_window_without_a_delivery_is_recorded_and_told(at_work: Installation) -> None:
    district = at_work.new_district()
    at_work.load(district, DAY, roster())
    at_work.put(district, roster(students=3), evening(NEXT_DAY, minutes=170))
    result = at_work.run(district, NEXT_DAY, Asked(window_closed=True))
    assert not result.success
    told = failure(result)
    assert "Missed: no delivery came" in told
    assert "'users.csv' 2025-09-10 22:20 EDT" in told
    assert f"`edpipeline sync --district {district}`" in told
    assert at_work.reports(district)[0].status == "missed"
    missed = checks(result)["landing/oneroster/delivery_on_time"]
    assert (missed.passed, missed.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert at_work.materialized("landing/oneroster", district) == []
