"""Jobs and pools."""

from datetime import date
from pathlib import Path

import dagster as dg
import pytest
import yaml

from edpipeline.model import Source
from edpipeline.orchestration.runs import limit_pools, poll_pool, request
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


@pytest.mark.parametrize("source", ALL, ids=lambda source: source.name)
def test_runs_carry_the_tag_by_which_the_instance_limits_them(source: Source) -> None:
    text = (Path(__file__).parents[2] / "dagster.yaml").read_text("utf-8")
    limits = yaml.safe_load(text)["concurrency"]["runs"]["tag_concurrency_limits"]
    tags = request(source, "quillmere", date(2026, 11, 20), "test").tags
    [tag] = set(tags) & {limit["key"] for limit in limits}
    assert tags[tag] == (source.name if source.is_polled else "quillmere")
