"""Jobs and pools."""

import dagster as dg
import pytest

from edpipeline.orchestration.runs import limit_pools, poll_pool
from edpipeline.settings import Settings
from edpipeline.sources import ALL


@pytest.mark.parametrize(
    ("warehouse", "writers"),
    [("duckdb:////tmp/w.duckdb", 1), ("postgresql://someone@localhost/db", 4)],
)
def test_pools_have_their_limits_by_name_and_an_operators_own_are_left_alone(
    instance_on_disk: dg.DagsterInstance, warehouse: str, writers: int
) -> None:
    storage = instance_on_disk.event_log_storage
    storage.delete_concurrency_limit("warehouse")
    settings = Settings(warehouse=warehouse)
    limit_pools(instance_on_disk, settings)
    polled = {poll_pool(source): 1 for source in ALL if source.is_polled}
    assert {p.name: p.limit for p in storage.get_pool_limits()} == {"warehouse": writers, **polled}
    chosen = {name: number for number, name in enumerate(("warehouse", *polled), start=7)}
    for name, number in chosen.items():
        storage.set_concurrency_slots(name, number)
    limit_pools(instance_on_disk, settings)
    assert {p.name: p.limit for p in storage.get_pool_limits()} == chosen
    for name in polled:
        storage.delete_concurrency_limit(name)
