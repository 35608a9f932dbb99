"""Marts as files and tables: parsing, order, refills that fail or meet, columns that come and go.

What a refill leaves alone is held by test_sql.py, of every mart.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from edpipeline.errors import BadConfiguration, EdpipelineError, NotFound
from edpipeline.warehouse.engine import Warehouse
from edpipeline.warehouse.marts import marts, refill_district, require_made
from edpipeline.warehouse.narrowing import narrowed
from edpipeline_tests.warehouse.loaded import SQL, prepared

FIRST = date(2026, 9, 1)


@pytest.fixture
def warehouse(warehouse_url: str) -> Warehouse:
    return prepared(warehouse_url)


def put(warehouse: Warehouse, table: str, *rows: dict[str, Any]) -> None:
    """Insert rows into a roster or ops table; what every history row needs is filled in."""
    with warehouse.transaction() as session:
        for row in rows:
            usual = {"district_id": "demo"}
            if table.startswith("roster."):
                usual |= {"status": "active", "valid_from": FIRST}
            values = usual | row
            names = ", ".join(values)
            marks = ", ".join(f"${name}" for name in values)
            session.run(f"insert into {table} ({names}) values ({marks})", **values)


def asked(warehouse: Warehouse, sql: str) -> list[tuple[Any, ...]]:
    with warehouse.transaction() as session:
        return session.rows(sql)


# ------------------------------------------------------------------ files


def write(folder: Path, **files: str) -> Path:
    (folder / "marts").mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / "marts" / f"{name}.sql").write_text(text)
    return folder


COUNT = """-- One row per district.
-- Key: district_id
--
-- district_id: The district.
-- people: How many people,
--   now or ever. [indirect]
--
-- Ask it `where people > 0`.
select district_id, count(*) as people from roster.users u group by district_id
"""


def test_the_opening_comment_is_read_as_data(tmp_path: Path) -> None:
    (mart,) = marts(write(tmp_path, counted=COUNT))
    assert mart.full_name == "marts.counted"
    assert mart.grain == "One row per district."
    assert mart.key == ("district_id",)
    assert mart.columns == {
        "district_id": "The district.",
        "people": "How many people, now or ever.",
    }
    assert mart.personal == {"people": "indirect"}
    assert mart.depends_on == ("roster.users",)
    assert mart.notes == "Ask it `where people > 0`."
    assert mart.sql.startswith("select district_id")


def test_marts_come_after_those_they_read() -> None:
    names = [mart.name for mart in marts(SQL)]
    assert set(names) >= {"dim_school", "dim_student", "dim_staff", "dim_class", "fct_enrollment"}
    assert names.index("dim_school") < names.index("dim_class") < names.index("fct_enrollment")
    assert names.index("dim_school") < names.index("dim_student")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"bare": "select 1 as district_id"}, "opens with its grain"),
        ({"no_key": COUNT.replace("-- Key: district_id\n", "")}, "opens with its grain"),
        ({"odd_class": COUNT.replace("[indirect]", "[private]")}, "[private]"),
        ({"broken": COUNT.replace("group by", "group")}, "broken.sql is not a SELECT"),
        ({"lonely": COUNT.replace("roster.users", "marts.nowhere")}, "marts.nowhere"),
        (
            {
                "one": COUNT.replace("roster.users", "marts.two"),
                "two": COUNT.replace("roster.users", "marts.one"),
            },
            "read each other",
        ),
    ],
)
def test_a_file_that_is_not_as_agreed_is_refused_by_name(
    tmp_path: Path, files: dict[str, str], said: str
) -> None:
    with pytest.raises(BadConfiguration) as told:
        marts(write(tmp_path, **files))
    assert said in str(told.value)


def test_an_input_that_cannot_be_narrowed_to_the_district_is_refused() -> None:
    tables = ("roster.orgs", "roster.users")
    with pytest.raises(BadConfiguration, match=r"from roster.orgs alias"):
        narrowed("select * from roster.users u, roster.orgs o", tables, "x.sql")
    narrow = narrowed("select * from roster.users u join roster.orgs o on true", tables, "x.sql")
    assert narrow.count("where district_id = $district") == 2


# ------------------------------------------------------------------ refilling


def test_a_mart_that_fails_leaves_all_of_them_as_they_were(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    put(warehouse, "roster.users", {"sourced_id": "1"})
    folder = write(tmp_path, counted=COUNT, follows=COUNT.replace("roster.users", "marts.counted"))
    refill_district(warehouse, folder, "demo")
    put(warehouse, "roster.users", {"sourced_id": "2", "username": "not a number"})
    write(
        tmp_path,
        follows=COUNT.replace("count(*)", "max(cast(username as bigint))").replace(
            "from roster.users u", "from roster.users u join marts.counted c using (district_id)"
        ),
    )
    with pytest.raises((duckdb.Error, psycopg.Error, EdpipelineError)):
        refill_district(warehouse, folder, "demo")
    assert asked(warehouse, "select people from marts.counted") == [(1,)]


def test_two_districts_may_be_filled_for_the_first_time_at_once(
    postgres_database_url: str, tmp_path: Path
) -> None:
    warehouse = prepared(postgres_database_url)
    districts = [f"d{number}" for number in range(4)]
    for district in districts:
        put(warehouse, "roster.users", {"district_id": district, "sourced_id": "1"})
    folder = write(tmp_path, counted=COUNT)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda d: refill_district(warehouse, folder, d), districts))
    assert found == [{"counted": 1}] * 4


# ------------------------------------------------------------------ tables and columns


def test_tables_and_columns_carry_their_descriptions(warehouse_url: str) -> None:
    warehouse = prepared(warehouse_url, with_marts=True)
    if warehouse.url.startswith("postgres"):
        found = asked(
            warehouse,
            "select obj_description('marts.dim_class'::regclass),"
            " col_description('marts.dim_class'::regclass, 2)",
        )
    else:
        found = asked(
            warehouse,
            "select t.comment, c.comment from duckdb_tables() t join duckdb_columns() c"
            " using (schema_name, table_name)"
            " where table_name = 'dim_class' and column_name = 'class_id'",
        )
    (dim_class,) = (mart for mart in marts(SQL) if mart.name == "dim_class")
    assert found == [(dim_class.about, dim_class.columns["class_id"])]


WITH_DAY = (
    COUNT.replace("-- Ask it", "-- Ask it")
    .replace("--   now or ever. [indirect]", "--   now or ever.\n-- first_day: The first day.")
    .replace("as people from", "as people, min(valid_from) as first_day from")
)


def test_a_new_column_is_added_and_the_rows_of_others_stay(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    put(warehouse, "roster.users", {"sourced_id": "1"}, {"district_id": "b", "sourced_id": "1"})
    for district in ("demo", "b"):
        refill_district(warehouse, write(tmp_path, counted=COUNT), district)
    refill_district(warehouse, write(tmp_path, counted=WITH_DAY), "b")
    rows = asked(warehouse, "select district_id, people, first_day from marts.counted order by 1")
    assert rows == [("b", 1, FIRST), ("demo", 1, None)]


@pytest.mark.parametrize(
    ("later", "said"),
    [
        (COUNT, "no longer selected: first_day"),
        (WITH_DAY.replace("min(valid_from)", "cast(min(valid_from) as varchar)"), "first_day"),
    ],
    ids=["gone", "another type"],
)
def test_a_column_that_is_gone_or_turned_fails_loudly_with_the_remedy(
    warehouse: Warehouse, tmp_path: Path, later: str, said: str
) -> None:
    put(warehouse, "roster.users", {"sourced_id": "1"})
    refill_district(warehouse, write(tmp_path, counted=WITH_DAY), "demo")
    for _ in range(2):
        with pytest.raises(BadConfiguration) as told:
            refill_district(warehouse, write(tmp_path, counted=later), "demo")
        assert said in str(told.value)
        assert "drop table marts.counted" in str(told.value)
    assert asked(warehouse, "select people, first_day from marts.counted") == [(1, FIRST)]
    with warehouse.transaction() as session:
        session.run("drop view analyst.counted")
        session.run("drop table marts.counted")
    assert refill_district(warehouse, tmp_path, "demo") == {"counted": 1}


def test_columns_that_are_not_described_are_refused(warehouse: Warehouse, tmp_path: Path) -> None:
    folder = write(tmp_path, counted=COUNT.replace("as people from", "as persons from"))
    with pytest.raises(BadConfiguration, match="make the two lists the same"):
        refill_district(warehouse, folder, "demo")


def test_marts_that_were_never_filled_are_named(warehouse: Warehouse, tmp_path: Path) -> None:
    found = marts(write(tmp_path, counted=COUNT))
    with warehouse.transaction() as session, pytest.raises(NotFound, match="counted"):
        require_made(session, found)
    refill_district(warehouse, tmp_path, "demo")
    with warehouse.transaction() as session:
        require_made(session, found)


@pytest.fixture
def reader(postgres_url: str) -> Iterator[str]:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("create role marts_reader")
        yield "marts_reader"
        connection.execute("drop role marts_reader")


def test_refills_and_new_columns_keep_grants_and_row_level_security(
    postgres_database_url: str, reader: str, tmp_path: Path
) -> None:
    warehouse = prepared(postgres_database_url)
    put(warehouse, "roster.users", {"sourced_id": "1"}, {"district_id": "b", "sourced_id": "1"})
    refill_district(warehouse, write(tmp_path, counted=COUNT), "demo")
    with psycopg.connect(postgres_database_url, autocommit=True) as admin:
        admin.execute(f"grant usage on schema marts to {reader}")
        admin.execute(f"grant select on marts.counted to {reader}")
        admin.execute("alter table marts.counted enable row level security")
        admin.execute(
            f"create policy one on marts.counted to {reader} using (district_id = 'demo')"
        )
        write(tmp_path, counted=WITH_DAY)
        for district in ("demo", "b"):
            refill_district(warehouse, tmp_path, district)
        admin.execute(f"set role {reader}")
        assert admin.execute("select district_id from marts.counted").fetchall() == [("demo",)]
        admin.execute("reset role")
        admin.execute(f"drop owned by {reader}")
