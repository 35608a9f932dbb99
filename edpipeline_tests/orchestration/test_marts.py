"""Marts follow what they read, late days and single districts included."""

from datetime import timedelta

import dagster as dg
import pytest

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
HEALTH = dg.AssetKey(["marts", "rpt_sync_health"])


def test_marts_are_asked_for_district_by_district_and_for_late_days(at_work: Installation) -> None:
    first, second = at_work.new_district(), at_work.new_district()
    loaded = definitions(at_work.settings)
    instance = dg.DagsterInstance.ephemeral()
    instance.add_dynamic_partitions("districts", [first, second])
    before = dg.evaluate_automation_conditions(loaded, instance)
    assert before.total_requested == 0

    late = DAY - timedelta(days=30)
    event = dg.AssetMaterialization(USERS, partition=key(first, late))
    instance.report_runless_asset_event(event)
    after = dg.evaluate_automation_conditions(loaded, instance, cursor=before.cursor)
    assert after.get_requested_partitions(STUDENTS) == {first}
    assert after.get_requested_partitions(HEALTH) == {first}

    refused = dg.AssetMaterialization(LANDING, partition=key(second))
    instance.report_runless_asset_event(refused)
    at_last = dg.evaluate_automation_conditions(loaded, instance, cursor=after.cursor)
    assert at_last.get_requested_partitions(HEALTH) == {second}


def test_several_districts_are_refilled_in_one_run_each_with_its_own_rows(
    at_work: Installation,
) -> None:
    districts = [at_work.new_district() for _ in range(2)]
    for students, district in enumerate(districts, 5):
        assert at_work.deliver(district, DAY, roster(students=students)).success
    result = at_work.job("marts_refill").execute_in_process(
        instance=at_work.instance,
        tags={
            "dagster/asset_partition_range_start": districts[0],
            "dagster/asset_partition_range_end": districts[1],
        },
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
    assert at_work.deliver(good, DAY, roster()).success
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
