"""Who reads what on PostgreSQL: two districts, an analyst of one and a steward of the other."""

import hashlib
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import errors
from typer.testing import CliRunner

from edpipeline.cli import app
from edpipeline.errors import BadConfiguration, NotFound
from edpipeline.landing.store import open_store
from edpipeline.loading.options import LoadOptions
from edpipeline.loading.sync import Sync
from edpipeline.sandbox.roster import Size
from edpipeline.settings import provided
from edpipeline.sources import ALL, source
from edpipeline.warehouse import access, deidentified, roles
from edpipeline.warehouse.engine import Warehouse, open_warehouse
from edpipeline.warehouse.marts import Mart, marts, refill_district
from edpipeline.warehouse.schema import prepare
from edpipeline_tests.warehouse.loaded import (
    SQL,
    load_nights,
    load_poll,
    match_schools,
    prepared,
    upload_results,
)

ANALYST, STEWARD, BOTH, NOBODY = "rls_ana", "rls_stu", "rls_both", "rls_nobody"
LOGINS = (ANALYST, STEWARD, BOTH, NOBODY)
FEW = Size(students=30, schools=2)
UPLOADED = (("nwea_map", "nwea_cdf_2020.csv"), ("scantron", "scantron_api.csv"))
MARTS = marts(SQL)
HISTORIES = [table.full_name for one in ALL for table in one.tables]
HEX = re.compile(r"[0-9a-f]{32}")


def at(url: str, *, user: str = "", database: str = "") -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    netloc = f"{user}@{host}" if user else parts.netloc
    return parts._replace(netloc=netloc, path=f"/{database}" if database else parts.path).geturl()


def asked(warehouse: Warehouse, user: str, sql: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(at(warehouse.url, user=user)) as connection:
        return connection.execute(sql).fetchall()


def districts(warehouse: Warehouse, user: str, relation: str) -> set[str]:
    return {d for (d,) in asked(warehouse, user, f"select distinct district_id from {relation}")}


def give(warehouse: Warehouse, role: str, district_id: str, *, as_steward: bool = False) -> None:
    access.grant(warehouse, ALL, SQL, role, district_id, as_steward=as_steward)


@contextmanager
def new_database(url: str, name: str) -> Iterator[str]:
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f"create database {name}")
        yield at(url, database=name)
        admin.execute(f"drop database {name} with (force)")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("roles")


@pytest.fixture(scope="module")
def filled(postgres_url: str, folder: Path) -> Iterator[Warehouse]:
    """North and south, loaded and refilled; who sees them was said before the marts were made."""
    with new_database(postgres_url, "rls") as url:
        warehouse = prepared(url)
        with psycopg.connect(postgres_url, autocommit=True) as admin:
            for login in LOGINS:
                admin.execute(f"create role {login} login")
            give(warehouse, ANALYST, "north")
            give(warehouse, STEWARD, "south", as_steward=True)
            give(warehouse, BOTH, "north")
            give(warehouse, BOTH, "south", as_steward=True)
            for district in ("north", "south"):
                load_nights(warehouse, folder, district_id=district, nights=[0], size=FEW)
                upload_results(warehouse, folder, UPLOADED, district_id=district)
                load_poll(warehouse, folder, district_id=district)
                match_schools(warehouse, district)
                refill_district(warehouse, SQL, district)
            yield warehouse
            for login in LOGINS:
                admin.execute(f"drop role {login}")


def assert_each_sees_what_is_theirs(warehouse: Warehouse) -> None:
    for relation in ("analyst.dim_student", "analyst.fct_enrollment"):
        assert districts(warehouse, ANALYST, relation) == {"north"}
        assert districts(warehouse, STEWARD, relation) == {"south"}
        assert districts(warehouse, BOTH, relation) == {"north", "south"}
    for relation in ("marts.dim_student", "roster.users", "roster.current_users", "ops.sync_files"):
        assert districts(warehouse, STEWARD, relation) == {"south"}
        assert districts(warehouse, BOTH, relation) == {"south"}
        for user in (ANALYST, NOBODY):
            with pytest.raises(errors.InsufficientPrivilege):
                districts(warehouse, user, relation)


def test_each_sees_the_districts_that_are_theirs_whatever_is_loaded_anew(
    filled: Warehouse, folder: Path
) -> None:
    assert_each_sees_what_is_theirs(filled)
    keys = asked(filled, ANALYST, "select student_key from analyst.dim_student order by 1")
    store = open_store(str(folder / "landing"))
    options = LoadOptions(first_sync_needs_approval=False)
    assert Sync(store, filled, source("oneroster"), "north", options).rebuild()
    refill_district(filled, SQL, "north")
    assert_each_sees_what_is_theirs(filled)
    assert asked(filled, ANALYST, "select student_key from analyst.dim_student order by 1") == keys


def test_an_analyst_sees_every_view_and_no_table(filled: Warehouse) -> None:
    for mart in MARTS:
        shown = asked(filled, "postgres", f"select * from analyst.{mart.name} limit 0")
        assert shown == []
        assert districts(filled, ANALYST, f"analyst.{mart.name}") <= {"north"}
    for relation in (
        *(mart.full_name for mart in MARTS),
        *HISTORIES,
        *("assessments.results", "ops.pseudonym_salt", "ops.district_access", "ops.my_districts"),
        *("ops.rejected_rows", "ops.held_changes", "roster.current_users"),
    ):
        with pytest.raises(errors.InsufficientPrivilege):
            asked(filled, ANALYST, f"select 1 from {relation}")


def test_a_steward_sees_every_table_of_a_district_and_never_the_salt(filled: Warehouse) -> None:
    for relation in (*(mart.full_name for mart in MARTS), *HISTORIES):
        there = districts(filled, "postgres", relation)
        assert districts(filled, STEWARD, relation) == there & {"south"}
    assert districts(filled, STEWARD, "assessments.results") == {"south"}
    for relation in ("ops.pseudonym_salt", "ops.district_access"):
        with pytest.raises(errors.InsufficientPrivilege):
            asked(filled, STEWARD, f"select 1 from {relation}")
    with pytest.raises(errors.InsufficientPrivilege):
        asked(filled, STEWARD, "delete from marts.dim_student")


def test_every_table_with_a_district_is_under_row_level_security(filled: Warehouse) -> None:
    unsecured = asked(
        filled,
        "postgres",
        "select t.schemaname || '.' || t.tablename from pg_tables t"
        " join information_schema.columns c on c.table_schema = t.schemaname"
        " and c.table_name = t.tablename and c.column_name = 'district_id'"
        " where not t.rowsecurity and t.tablename <> 'district_access'",
    )
    assert unsecured == []


def test_no_view_shows_an_identifier_of_a_person(filled: Warehouse) -> None:
    known: set[str] = set()
    for table, column in (
        *(("users", name) for name in ("sourced_id", "identifier", "username", "email")),
        ("enrollments", "user_sourced_id"),
    ):
        rows = asked(filled, "postgres", f"select distinct {column} from roster.{table}")
        known |= {value for (value,) in rows if value}
    for mart in MARTS:
        identifiers = [n for n, kind in mart.personal.items() if kind == "direct"]
        for column in identifiers:
            rows = asked(filled, "postgres", f"select distinct {column} from {mart.full_name}")
            known |= {str(value) for (value,) in rows if value}
    pattern = re.compile("|".join(re.escape(value) for value in known if len(value) > 3))
    for mart in MARTS:
        rows = asked(filled, "postgres", f"select * from analyst.{mart.name}")
        names = list(mart.deidentified())
        for row in rows:
            for name, value in zip(names, row, strict=True):
                if isinstance(value, str) and not HEX.fullmatch(value):
                    assert not pattern.search(value), f"analyst.{mart.name}.{name}"


def test_a_person_has_one_pseudonym_in_every_view(filled: Warehouse) -> None:
    (counted,) = asked(
        filled,
        ANALYST,
        "select count(distinct r.student_key), count(distinct s.student_key),"
        " count(distinct e.user_key) from analyst.fct_assessment_result r"
        " left join analyst.dim_student s using (district_id, student_key)"
        " left join analyst.fct_enrollment e on e.district_id = r.district_id"
        " and e.user_key = r.student_key",
    )
    assert counted[0] > 0
    assert len(set(counted)) == 1
    rows = asked(filled, BOTH, "select district_id, student_key from analyst.dim_student")
    assert len({key for _, key in rows}) == len(rows)  # the same ids are used in both districts


def test_a_pseudonym_cannot_be_made_without_the_salt(filled: Warehouse) -> None:
    ids = asked(filled, "postgres", "select district_id, student_id from marts.dim_student")
    texts = {text for d, i in ids for text in (i, f"{d}{i}", f"{d}|{i}", f"|{d}|{i}|")}
    plain = {hashlib.new(kind, t.encode()).hexdigest() for kind in ("md5", "sha256") for t in texts}
    keys = asked(filled, "postgres", "select student_key from analyst.dim_student")
    assert not {key for (key,) in keys} & {one[:32] for one in plain}
    before = asked(
        filled, "postgres", "select distinct result_key from marts.fct_assessment_result"
    )
    after = asked(filled, "postgres", "select result_key from analyst.fct_assessment_result")
    assert before and after and not set(before) & set(after)


def test_both_warehouses_make_the_same_pseudonyms_of_one_salt(
    filled: Warehouse, tmp_path: Path
) -> None:
    duck = prepared(f"duckdb:///{tmp_path}/warehouse.duckdb")
    (dim_student,) = (mart for mart in MARTS if mart.name == "dim_student")
    columns = ", ".join(f"{name} varchar" for name in dim_student.columns)
    row = ("north", "Ünïd-001")
    with duck.transaction() as session:
        session.run(f"create table {dim_student.full_name} ({columns})")
        session.run(dim_student.view_ddl(is_postgres=False))
        session.run("update ops.pseudonym_salt set salt = $salt", salt="abc")
        session.run(
            "insert into marts.dim_student (district_id, student_id) values ('north', $i)", i=row[1]
        )
        (key,) = session.rows("select student_key from analyst.dim_student")[0]
        assert session.frame("select * from analyst.dim_student").columns == list(
            dim_student.deidentified()
        )
    expression = deidentified.columns("x", {"student_id": ""}, {"student_id": "direct"}, True)
    sql = expression["student_key"].expression.replace("ops.pseudonym_salt", "salts")
    (made,) = asked(
        filled,
        "postgres",
        f"with salts as (select 'abc' as salt) select {sql} from (values {row}) m"
        " (district_id, student_id)",
    )
    assert made == (key,)


COUNTED = """-- One row per district.
-- Key: district_id
--
-- district_id: The district.
-- people: How many people.{0}
select district_id, count(*) as people{1} from roster.users u group by district_id
"""
WITH_DAY = COUNTED.format("\n-- first_day: The first.", ", min(valid_from) as first_day")


def write(folder: Path, text: str) -> list[Mart]:
    (folder / "marts").mkdir(exist_ok=True)
    (folder / "marts" / "counted.sql").write_text(text)
    return marts(folder)


def test_a_mart_that_is_changed_or_made_anew_stays_with_who_may_see_it(
    filled: Warehouse, tmp_path: Path
) -> None:
    counted = "select district_id from {0}.counted"
    for text in (COUNTED.format("", ""), WITH_DAY, "made anew"):
        if text == "made anew":
            with filled.transaction() as session:
                session.run("drop view analyst.counted")
                session.run("drop table marts.counted")
        else:
            write(tmp_path, text)
        for district in ("north", "south"):
            refill_district(filled, tmp_path, district)
        assert asked(filled, ANALYST, counted.format("analyst")) == [("north",)]
        assert asked(filled, STEWARD, counted.format("marts")) == [("south",)]
        with pytest.raises(errors.InsufficientPrivilege):
            asked(filled, ANALYST, counted.format("marts"))
    assert asked(filled, ANALYST, "select people, first_day from analyst.counted")

    # A column that identifies people after all goes from the view, and nobody keeps it by a view.
    with filled.transaction() as session:
        session.run("create view ops.kept as select people from analyst.counted")
    write(tmp_path, WITH_DAY.replace("How many people.", "Who. [direct]"))
    with pytest.raises(BadConfiguration, match=r"analyst\.counted shall no longer show people"):
        refill_district(filled, tmp_path, "north")
    with filled.transaction() as session:
        session.run("drop view ops.kept")
    refill_district(filled, tmp_path, "north")
    assert asked(filled, ANALYST, "select * from analyst.counted where false") == []
    with pytest.raises(errors.UndefinedColumn):
        asked(filled, ANALYST, "select people from analyst.counted")


def test_a_district_is_given_taken_back_and_given_by_a_group(filled: Warehouse) -> None:
    seen = "analyst.dim_school"
    give(filled, NOBODY, access.EVERY_DISTRICT)
    assert districts(filled, NOBODY, seen) == {"north", "south"}
    assert access.revoke(filled, NOBODY) == 1
    assert districts(filled, NOBODY, seen) == set()
    give(filled, NOBODY, "north", as_steward=True)
    assert districts(filled, NOBODY, "marts.dim_school") == {"north"}
    give(filled, NOBODY, "north")  # no longer as a steward
    assert districts(filled, NOBODY, "marts.dim_school") == set()
    assert districts(filled, NOBODY, seen) == {"north"}
    assert access.revoke(filled, NOBODY, "north") == 1
    with filled.transaction() as session:
        session.run("insert into ops.district_access values ('a role that went', 'south', true)")
        session.run(f"insert into ops.district_access values ('{ANALYST}', 'south', false)")
        session.run(f"grant {ANALYST} to {NOBODY}")
    assert districts(filled, NOBODY, seen) == {"north", "south"}
    assert access.revoke(filled, ANALYST, "south") == 1
    with pytest.raises(NotFound, match='create role "no one" login'):
        give(filled, "no one", "north")


def test_the_commands_give_and_take_back(filled: Warehouse, tmp_path: Path) -> None:
    settings = {"EDPIPELINE_HOME": str(tmp_path), "EDPIPELINE_WAREHOUSE": filled.url}
    with provided(settings):
        given = CliRunner().invoke(app, ["grant", NOBODY, "--district", "*", "--steward"])
        assert given.exit_code == 0, given.output
        assert districts(filled, NOBODY, "marts.dim_school") == {"north", "south"}
        taken = CliRunner().invoke(app, ["revoke", NOBODY])
        assert "1 taken back" in taken.output
    assert districts(filled, NOBODY, "marts.dim_school") == set()


def test_duckdb_has_nobody_to_give_a_district_to(tmp_path: Path) -> None:
    with pytest.raises(BadConfiguration, match="DuckDB"):
        give(prepared(f"duckdb:///{tmp_path}/w.duckdb"), "ana", "north")


@pytest.fixture
def without_groups(postgres_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A server that does not know our groups; those that other tests have are set aside."""
    groups = (roles.ANALYST, roles.STEWARD)
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        there = [g for g in groups if admin.execute(f"select to_regrole('{g}')").fetchall()[0][0]]
        for group in there:
            admin.execute(f"alter role {group} rename to aside_{group}")
        yield admin
        for group in groups:
            admin.execute(f"drop role if exists {group}")
        for group in there:
            admin.execute(f"alter role aside_{group} rename to {group}")


def test_a_user_who_may_not_create_roles_loads_and_is_told_what_to_ask_for(
    without_groups: psycopg.Connection[Any], postgres_url: str, folder: Path
) -> None:
    admin = without_groups
    admin.execute("create role rls_loader login nocreaterole")
    admin.execute("create role rls_reader login")
    with new_database(postgres_url, "rls_plain") as url:
        admin.execute("grant create on database rls_plain to rls_loader")
        warehouse = open_warehouse(at(url, user="rls_loader"))
        prepare(warehouse, ALL, SQL)
        with warehouse.transaction() as session:
            session.run("insert into roster.users (district_id, sourced_id) values ('north', '1')")
        own = folder / "own"
        own.mkdir()
        write(own, COUNTED.format("", ""))
        assert refill_district(warehouse, own, "north") == {"counted": 1}
        with pytest.raises(BadConfiguration, match=r"001_roles\.sql"):
            give(warehouse, "rls_reader", "north")
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute((SQL / "postgres" / "001_roles.sql").read_text())
        with pytest.raises(BadConfiguration, match=r"`grant edpipeline_analyst to \"rls_reader\"`"):
            give(warehouse, "rls_reader", "north")
        admin.execute("grant edpipeline_analyst to rls_reader")
        give(warehouse, "rls_reader", "north")
        assert districts(warehouse, "rls_reader", "analyst.counted") == {"north"}
    for role in ("rls_loader", "rls_reader"):
        admin.execute(f"drop role {role}")


def test_two_processes_may_make_the_groups_at_once(
    without_groups: psycopg.Connection[Any], postgres_url: str
) -> None:
    script = (SQL / "postgres" / "001_roles.sql").read_text()
    with (
        ThreadPoolExecutor(1) as pool,
        psycopg.connect(postgres_url) as first,
        psycopg.connect(postgres_url) as second,
    ):
        first.execute(script)
        waiting = pool.submit(second.execute, script)
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.2)  # until the first one has said whether it made them
        first.commit()
        waiting.result(timeout=20)
        second.commit()
    for group in (roles.ANALYST, roles.STEWARD):
        assert without_groups.execute(f"select '{group}'::regrole").fetchone()
