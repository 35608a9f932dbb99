"""Marts follow what they read, late days and single districts included."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from edpipeline.orchestration import marts as marts_module
from edpipeline.orchestration import steps
from edpipeline.warehouse.marts import marts
from edpipeline_tests.orchestration.installation import (
    DAY,
    Installation,
    definitions,
    failure,
    key,
    materializations,
    roster,
)

USERS = dg.AssetKey(["roster", "users"])
LANDING = dg.AssetKey(["landing", "oneroster"])
STUDENTS = dg.AssetKey(["marts", "dim_student"])
OF_THE_ROSTER = ("dim_student", "fct_enrollment", "rpt_sync_health")


@dataclass
class Following:
    """What the sensor asks for, tick by tick, of districts that nobody else knows."""

    instance: dg.DagsterInstance
    sensor: dg.SensorDefinition
    cursor: str | None = None

    def tick(self) -> set[str]:
        with dg.build_sensor_context(self.instance, self.cursor) as context:
            result = self.sensor(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        found = [one.tags["edpipeline/districts"].split() for one in result.run_requests or []]
        return {name for names in found for name in names}

    def happens(self, asset: dg.AssetKey, partition: str) -> None:
        self.instance.report_runless_asset_event(
            dg.AssetMaterialization(asset, partition=partition)
        )

    def refilled(self, district: str) -> None:
        for mart in OF_THE_ROSTER:
            self.happens(dg.AssetKey(["marts", mart]), district)


@pytest.fixture
def automation(at_work: Installation, tmp_path: Path) -> Following:
    instance = dg.DagsterInstance.ephemeral(tempdir=str(tmp_path))
    sensor = definitions(at_work.settings).resolve_sensor_def("marts_follow")
    made = Following(instance, sensor)
    made.instance.add_dynamic_partitions("districts", ["first", "second"])
    assert made.tick() == set()
    return made


def test_marts_of_a_district_are_asked_for_when_a_day_however_late_is_loaded(
    automation: Following,
) -> None:
    automation.happens(USERS, key("first", DAY - timedelta(days=30)))
    assert automation.tick() == {"first"}
    automation.refilled("first")
    assert automation.tick() == set()


def test_a_delivery_that_was_refused_is_shown_in_the_marts_about_syncs(
    automation: Following,
) -> None:
    automation.happens(LANDING, key("second"))
    assert automation.tick() == {"second"}


def test_a_delivery_loaded_between_two_ticks_after_a_refill_is_not_forgotten(
    automation: Following,
) -> None:
    automation.refilled("first")
    automation.happens(USERS, key("first"))
    assert automation.tick() == {"first"}


def test_a_refill_between_two_ticks_after_a_delivery_needs_no_other(
    automation: Following,
) -> None:
    automation.happens(USERS, key("first"))
    automation.refilled("first")
    assert automation.tick() == set()


def test_marts_that_failed_are_asked_for_again_with_the_next_delivery(
    at_work: Installation, automation: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "RETRY_SECONDS", ())
    monkeypatch.setattr(marts_module, "refill_and_publish", lambda *_: 1 / 0)
    automation.happens(USERS, key("first"))
    assert automation.tick() == {"first"}
    result = at_work.job("marts_refill").execute_in_process(
        instance=automation.instance, partition_key="first", raise_on_error=False
    )
    assert "unexpected ZeroDivisionError" in failure(result)
    assert automation.tick() == set()
    assert automation.tick() == set()
    automation.happens(USERS, key("first", DAY + timedelta(days=1)))
    assert automation.tick() == {"first"}


def test_districts_are_refilled_together_once_none_of_theirs_is_being_loaded(
    automation: Following, at_work: Installation
) -> None:
    job = at_work.job("oneroster_sync")
    tags = {"edpipeline/day": str(DAY), "edpipeline/districts": "second third"}
    status = dg.DagsterRunStatus.STARTED
    loads = automation.instance.create_run_for_job(job, tags=tags, status=status)
    for district in ("first", "second"):
        automation.happens(USERS, key(district))
    assert automation.tick() == {"first"}
    assert automation.tick() == set()
    automation.instance.delete_run(loads.run_id)
    assert automation.tick() == {"second"}


def test_what_is_loaded_while_marts_are_refilled_is_refilled_after(
    automation: Following, at_work: Installation
) -> None:
    automation.happens(USERS, key("first"))
    assert automation.tick() == {"first"}
    job, tags = at_work.job("marts_refill"), {"edpipeline/districts": "first"}
    status = dg.DagsterRunStatus.STARTED
    refills = automation.instance.create_run_for_job(job, tags=tags, status=status)
    automation.happens(USERS, key("first", DAY + timedelta(days=1)))
    assert automation.tick() == set()
    automation.instance.delete_run(refills.run_id)
    assert automation.tick() == {"first"}


def test_without_memory_only_what_is_behind_is_asked_for(automation: Following) -> None:
    automation.happens(USERS, key("first"))
    automation.refilled("first")
    automation.happens(LANDING, key("second"))
    automation.cursor = "of an older version"
    assert automation.tick() == {"second"}


def test_several_districts_are_refilled_in_one_run_each_with_its_own_rows(
    at_work: Installation,
) -> None:
    districts = [at_work.new_district() for _ in range(2)]
    for students, district in enumerate(districts, 5):
        assert at_work.load(district, DAY, roster(students=students)).applied
    result = at_work.job("marts_refill").execute_in_process(
        instance=at_work.instance,
        partition_key=districts[0],
        run_config={"ops": {"marts": {"config": {"districts": districts}}}},
        raise_on_error=False,
    )
    assert result.success, failure(result)
    found = at_work.instance.fetch_materializations(STUDENTS, limit=2).records
    counted = {
        record.partition_key: record.asset_materialization.metadata["dagster/row_count"].value
        for record in found
        if record.asset_materialization
    }
    assert counted == {districts[0]: 5, districts[1]: 6}
    published = at_work.settings.published
    events = materializations(result)
    assert len(events) == len(marts(at_work.settings.sql))
    assert str(events["marts/dim_student"].metadata["dagster/uri"].value).startswith(published)
    schema = events["marts/dim_student"].metadata["dagster/column_schema"].value
    assert {column.type for column in schema.columns} >= {"varchar", "date", "boolean"}


def test_a_district_whose_marts_fail_stops_no_other(
    at_work: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "RETRY_SECONDS", ())
    odd, good = "not/a/folder", at_work.new_district()
    at_work.instance.add_dynamic_partitions("districts", [odd])
    assert at_work.load(good, DAY, roster()).applied
    result = at_work.job("marts_refill").execute_in_process(
        instance=at_work.instance,
        tags={
            "dagster/asset_partition_range_start": good,
            "dagster/asset_partition_range_end": odd,
        },
        raise_on_error=False,
    )
    at_work.instance.delete_dynamic_partition("districts", odd)
    assert failure(result).startswith("1 of 2 did not succeed:\nnot/a/folder: a district's id")
    assert good in at_work.instance.get_materialized_partitions(STUDENTS)


def test_every_mart_reads_assets_that_exist(at_work: Installation) -> None:
    graph = definitions(at_work.settings).resolve_asset_graph()
    for mart in marts(at_work.settings.sql):
        parents = graph.get(dg.AssetKey(["marts", mart.name])).parent_keys
        assert parents
        assert all(graph.get(parent).is_executable for parent in parents)
