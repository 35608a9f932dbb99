"""Marts as assets: refilled for a district in one transaction and published as Parquet, for many
districts in one run.

They follow what they read by themselves (`follow.py`).
"""

from collections.abc import Iterator, Mapping, Sequence

import dagster as dg
from pydantic import Field

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
from edpipeline.warehouse.marts import SCHEMA, Mart
from edpipeline.warehouse.publish import finish_publishing, refill_and_publish
from edpipeline.warehouse.results import UNITED

Kinds = dict[str, dict[str, str]]
Lineage = Mapping[str, Origins]
"""What the columns of marts are made of, by the full name of the mart."""
NONE: Lineage = {}


class MartsConfig(dg.Config):
    """Which districts, in place of a partition; by hand there is nothing to fill in."""

    districts: list[str] = Field(default_factory=list)


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
            metadata.mart_spec(mart, _deps(mart, sources), lineage.get(mart.full_name, {}))
            for mart in marts
        ],
        partitions_def=DISTRICTS,
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=WAREHOUSE_POOL,
    )
    def refill(context: dg.AssetExecutionContext, config: MartsConfig) -> Iterator[Event]:
        keys = config.districts or [str(key) for key in context.partition_keys]
        pipeline = open_pipeline()

        def work(key: str) -> Iterator[Event]:
            is_last = key == keys[-1]
            try:
                yield from _refill(pipeline, marts, key, lineage if is_last else None)
            finally:
                if is_last:
                    finish_publishing(pipeline.settings.published, marts)

        yield from each_partition(context, work, config.districts)

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
    pipeline: Pipeline, marts: Sequence[Mart], district_id: str, lineage: Lineage | None
) -> Iterator[Event]:
    """Refill one district. With `lineage` the events tell of columns as well: once in a run, in
    its last events, which are those the UI shows. Told with every district, they would be most of
    what Dagster stores of a night."""
    settings = pipeline.settings
    place = settings.published, settings.sql, marts, district_id, settings.scratch
    rows, sizes = refill_and_publish(pipeline.warehouse, *place)
    kinds = {} if lineage is None else _kinds(pipeline)
    for mart in marts:
        columns = (
            {}
            if lineage is None
            else metadata.of_columns(
                mart, kinds.get(mart.name, {}), lineage.get(mart.full_name, {})
            )
        )
        yield dg.AssetMaterialization(
            metadata.mart_key(mart.full_name),
            partition=district_id,
            metadata=metadata.of_mart(
                rows[mart.name],
                sizes[mart.name],
                f"{settings.published.partition('?')[0]}/{mart.name}/district_id={district_id}",
            )
            | columns,
        )


def _kinds(pipeline: Pipeline) -> Kinds:
    """SQL types by mart and column, as the warehouse has them."""
    with pipeline.warehouse.transaction() as session:
        found = session.rows(
            "select table_name, column_name, data_type from information_schema.columns"
            " where table_schema = $schema",
            schema=SCHEMA,
        )
    kinds: Kinds = {}
    for mart, column, kind in found:
        kinds.setdefault(mart, {})[column] = kind.lower()
    return kinds
