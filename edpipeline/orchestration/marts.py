"""Marts as assets: refilled for a district in one transaction, then published as Parquet.

They follow what they read by themselves: as soon as any of it has a new delivery for a district,
late days included, all marts of that district are computed anew.
"""

from collections.abc import Iterator, Mapping, Sequence

import dagster as dg

from edpipeline.model import Source
from edpipeline.orchestration import metadata
from edpipeline.orchestration.checks import landing_key, table_key
from edpipeline.orchestration.partitions import DISTRICT, DISTRICTS, decided
from edpipeline.orchestration.steps import (
    WAREHOUSE_POOL,
    Event,
    OpenPipeline,
    each_partition,
)
from edpipeline.pipeline import Pipeline
from edpipeline.warehouse.lineage import Origins
from edpipeline.warehouse.marts import SCHEMA, Mart, refill_district
from edpipeline.warehouse.publish import publish_district
from edpipeline.warehouse.results import UNITED

Lineage = Mapping[str, Origins]
"""What the columns of marts are made of, by the full name of the mart."""
NONE: Lineage = {}


def when_a_delivery_is_loaded() -> dg.AutomationCondition[dg.AssetKey]:
    """What a district's marts read was loaded after they were last refilled, and all is quiet.

    Dagster's `eager` looks at the latest day only, waits until no day is missing, and forgets a
    delivery that is loaded between two of its ticks in which the marts were refilled as well. Here
    the later of the two events counts. After a failure the next delivery is waited for.
    """
    condition = dg.AutomationCondition
    a_delivery_came = condition.any_deps_match(condition.newly_updated()).ignore(
        dg.AssetSelection.groups(SCHEMA)
    )
    behind = a_delivery_came.since(condition.newly_updated())
    may_succeed = ~condition.execution_failed() | a_delivery_came.since(
        condition.execution_failed().newly_true()
    )
    quiet = ~condition.any_deps_in_progress() & ~condition.in_progress()
    return (behind & may_succeed & quiet).with_label("a delivery is loaded")


@decided()
def mart_assets(
    marts: Sequence[Mart],
    sources: Sequence[Source],
    open_pipeline: OpenPipeline,
    lineage: Lineage = NONE,
) -> dg.AssetsDefinition:
    """The marts of an installation, refilled together; `lineage` says what each one's columns are
    made of."""

    @dg.multi_asset(
        name=SCHEMA,
        specs=[
            metadata.mart_spec(
                mart,
                _deps(mart, sources),
                when_a_delivery_is_loaded(),
                lineage.get(mart.full_name, {}),
            )
            for mart in marts
        ],
        partitions_def=DISTRICTS,
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=WAREHOUSE_POOL,
    )
    def refill(context: dg.AssetExecutionContext) -> Iterator[Event]:
        pipeline = open_pipeline()
        yield from each_partition(context, lambda key: _refill(pipeline, marts, lineage, key))

    return refill


def _deps(mart: Mart, sources: Sequence[Source]) -> list[dg.AssetDep]:
    """The assets that a mart reads; what it reads of `ops` comes with every landing."""
    tables: dict[str, set[dg.AssetKey]] = {UNITED: set()}
    for source in sources:
        for table in source.tables:
            tables[table.full_name] = {table_key(table)}
            tables[f"{table.schema}.current_{table.name}"] = {table_key(table)}
            if source.holds_results and source.has_scores:
                tables[UNITED].add(table_key(table))
    other = [name for name in mart.depends_on if name not in tables]
    inside = {metadata.mart_key(name) for name in other if name.startswith(f"{SCHEMA}.")}
    outside = set().union(*(tables[name] for name in mart.depends_on if name in tables))
    if any(name.startswith("ops.") for name in other):
        outside |= {landing_key(source) for source in sources}
    by_district = dg.MultiToSingleDimensionPartitionMapping(DISTRICT)
    return [
        *(dg.AssetDep(key) for key in sorted(inside)),
        *(dg.AssetDep(key, partition_mapping=by_district) for key in sorted(outside)),
    ]


def _refill(
    pipeline: Pipeline, marts: Sequence[Mart], lineage: Lineage, district_id: str
) -> Iterator[Event]:
    settings = pipeline.settings
    rows = refill_district(pipeline.warehouse, settings.sql, district_id)
    sizes = publish_district(
        pipeline.warehouse, settings.published, settings.sql, district_id, settings.scratch
    )
    kinds = _kinds(pipeline)
    for mart in marts:
        yield dg.AssetMaterialization(
            metadata.mart_key(mart.full_name),
            partition=district_id,
            metadata=metadata.of_mart(
                mart,
                kinds.get(mart.name, {}),
                lineage.get(mart.full_name, {}),
                rows[mart.name],
                sizes[mart.name],
                f"{settings.published.partition('?')[0]}/{mart.name}/district_id={district_id}",
            ),
        )


def _kinds(pipeline: Pipeline) -> dict[str, dict[str, str]]:
    """SQL types by mart and column, as the warehouse has them."""
    with pipeline.warehouse.transaction() as session:
        found = session.rows(
            "select table_name, column_name, data_type from information_schema.columns"
            " where table_schema = $schema",
            schema=SCHEMA,
        )
    kinds: dict[str, dict[str, str]] = {}
    for mart, column, kind in found:
        kinds.setdefault(mart, {})[column] = kind.lower()
    return kinds
