"""Making and extending tables, on both databases, with others looking on."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from edpipeline.errors import Permanent
from edpipeline.model import SQL_TYPES, Column, Source
from edpipeline.warehouse.engine import Warehouse, open_warehouse
from edpipeline.warehouse.schema import prepare
from edpipeline_tests.district import ONEROSTER, SQL

ORGS = replace(ONEROSTER, tables=(ONEROSTER.table("orgs"),))
MASCOT = Column("mascot", "metadata.mascot", "text", "The school's mascot.")


@pytest.fixture
def warehouse(warehouse_url: str) -> Warehouse:
    """A warehouse with one table."""
    opened = open_warehouse(warehouse_url)
    prepare(opened, [ORGS], SQL)
    return opened


def declared(*columns: Column) -> Source:
    """The source, its table with these columns."""
    return replace(ORGS, tables=(replace(ORGS.tables[0], columns=columns),))


def shown(warehouse: Warehouse) -> list[str]:
    with warehouse.transaction() as session:
        rows = session.rows(
            "select column_name from information_schema.columns"
            " where table_schema = 'roster' and table_name = 'current_orgs'"
            " order by ordinal_position"
        )
    return [name for (name,) in rows]


def test_a_column_added_amid_others_keeps_grants_and_views_of_others(warehouse: Warehouse) -> None:
    is_postgres = warehouse.url.startswith("postgres")
    with warehouse.transaction() as session:
        session.run("create view marts.mine as select sourced_id from roster.current_orgs")
        if is_postgres:
            session.run("grant select on roster.current_orgs to pg_monitor")
    before = shown(warehouse)
    first, *others = ORGS.tables[0].columns
    prepare(warehouse, [declared(first, MASCOT, *others)], SQL)
    assert shown(warehouse) == [*before, "mascot"]
    with warehouse.transaction() as session:
        assert session.rows("select * from marts.mine") == []
        if is_postgres:
            assert session.value(
                "select has_table_privilege('pg_monitor', 'roster.current_orgs', 'select')"
            )


def test_columns_of_every_type_are_known_again(warehouse: Warehouse) -> None:
    of_every = [Column(f"a_{kind}", kind, kind, "A value.") for kind in SQL_TYPES]
    prepare(warehouse, [declared(*ORGS.tables[0].columns, *of_every)], SQL)
    prepare(warehouse, [declared(*ORGS.tables[0].columns, *of_every, MASCOT)], SQL)
    assert shown(warehouse)[-1] == "mascot"


def test_a_new_warehouse_shows_columns_as_declared(warehouse: Warehouse) -> None:
    own = [column.name for column in ORGS.tables[0].stored_columns]
    assert shown(warehouse) == ["district_id", *own, "valid_from", "drop_id", "line"]


def test_a_removed_column_changes_nothing_before_somebody_drops_the_view(
    warehouse: Warehouse,
) -> None:
    *kept, removed = ORGS.tables[0].columns
    with pytest.raises(Permanent, match=rf"{removed.name}.*drop view roster\.current_orgs"):
        prepare(warehouse, [declared(*kept)], SQL)
    assert removed.name in shown(warehouse)
    with warehouse.transaction() as session:
        session.run("drop view roster.current_orgs")
    prepare(warehouse, [declared(*kept)], SQL)
    assert removed.name not in shown(warehouse)


def test_a_retyped_column_is_told_with_what_to_do(warehouse: Warehouse) -> None:
    columns = [replace(c, kind="date") if c.name == "name" else c for c in ORGS.tables[0].columns]
    with pytest.raises(
        Permanent, match=r"roster\.orgs\.name is varchar .* alter column name type date"
    ):
        prepare(warehouse, [declared(*columns)], SQL)


def test_first_runs_at_once_make_the_tables_together(warehouse_url: str) -> None:
    def first_run(_: int) -> None:
        prepare(open_warehouse(warehouse_url), [ORGS], SQL)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(first_run, range(4)))
