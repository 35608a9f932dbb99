"""Jobs and pools."""

import dagster as dg
import pytest

from edpipeline.orchestration.runs import limit_pool
from edpipeline.settings import Settings


@pytest.mark.parametrize(
    ("warehouse", "writers"),
    [("duckdb:////tmp/w.duckdb", 1), ("postgresql://someone@localhost/db", 4)],
)
def test_the_pool_has_its_limit_by_name_and_an_operators_own_is_left_alone(
    instance_on_disk: dg.DagsterInstance, warehouse: str, writers: int
) -> None:
    storage = instance_on_disk.event_log_storage
    storage.delete_concurrency_limit("warehouse")
    settings = Settings(warehouse=warehouse)
    limit_pool(instance_on_disk, settings)
    assert {p.name: p.limit for p in storage.get_pool_limits()} == {"warehouse": writers}
    storage.set_concurrency_slots("warehouse", 7)
    limit_pool(instance_on_disk, settings)
    assert {p.name: p.limit for p in storage.get_pool_limits()} == {"warehouse": 7}
