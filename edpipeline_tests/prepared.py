"""Warehouses with every table, as copies of one: making the tables takes a second each time.

That they can be made is held by warehouse/test_schema.py and sandbox/test_evening.py; the tables
of marts, which the first refill makes, by warehouse/test_marts.py.
"""

import tempfile
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
from psycopg.sql import SQL, Identifier

from edpipeline.sources import ALL, source
from edpipeline.warehouse.duck import DuckWarehouse
from edpipeline.warehouse.engine import Warehouse, open_warehouse
from edpipeline.warehouse.marts import make_marts, marts
from edpipeline.warehouse.schema import prepare
from edpipeline_tests.held import close_all

SCRIPTS = Path(__file__).parents[1] / "sql"
EVERY = tuple(one.name for one in ALL)
KEPT = ("schema_version", "pseudonym_salt")
"""Tables of which `prepare` needs what it wrote there."""


def prepare_from_copy(
    warehouse: Warehouse, sources: tuple[str, ...] = EVERY, *, with_marts: bool = False
) -> None:
    """Give a warehouse its tables; one that is empty becomes a copy of one made before.

    `with_marts` gives it those of the marts too, empty.
    """
    if isinstance(warehouse, DuckWarehouse):
        if not warehouse.path.exists():
            warehouse.path.parent.mkdir(parents=True, exist_ok=True)
            warehouse.path.write_bytes(_duckdb_file(sources, with_marts))
            return
    elif _is_empty(warehouse.url):
        _copy_postgres(warehouse.url, sources, with_marts)
        return
    _prepare(warehouse, sources)


def empty(warehouse: Warehouse) -> None:
    """Leave no row of a load in a warehouse and no table of a mart, for the next test to begin."""
    with warehouse.transaction() as session:
        found = session.rows(
            "select table_schema, table_name from information_schema.tables"
            " where table_type = 'BASE TABLE' and table_schema in ('ops', 'marts', "
            + ", ".join(f"'{each.schema}'" for each in ALL)
            + ")"
        )
        for schema, name in found:
            if schema == "marts":
                session.run(f"drop table marts.{name}")
            elif name not in KEPT:
                session.run(f"delete from {schema}.{name}")


def _prepare(warehouse: Warehouse, sources: tuple[str, ...]) -> None:
    prepare(warehouse, [source(name) for name in sources], SCRIPTS)


@cache
def _duckdb_file(sources: tuple[str, ...], with_marts: bool) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "warehouse.duckdb"
        made = open_warehouse(f"duckdb:///{path}")
        if with_marts:
            path.write_bytes(_duckdb_file(sources, False))
            make_marts(made, marts(SCRIPTS))
        else:
            _prepare(made, sources)
        close_all()  # only a file that is closed holds all that was written
        return path.read_bytes()


def _is_empty(url: str) -> bool:
    with psycopg.connect(url) as connection:
        found = connection.execute("select from pg_namespace where nspname = 'ops'").fetchone()
    return found is None


def _copy_postgres(url: str, sources: tuple[str, ...], with_marts: bool) -> None:
    server, name = urlsplit(url)._replace(path="/postgres").geturl(), urlsplit(url).path[1:]
    like = _postgres_database(server, sources, with_marts)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(SQL("drop database {}").format(Identifier(name)))
        connection.execute(
            SQL("create database {} template {}").format(Identifier(name), Identifier(like))
        )


@cache
def _postgres_database(server: str, sources: tuple[str, ...], with_marts: bool) -> str:
    """The name of a database with the tables, to which nobody connects any more."""
    name = f"prepared_{uuid4().hex}"
    like = _postgres_database(server, sources, False) if with_marts else "template1"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(
            SQL("create database {} template {}").format(Identifier(name), Identifier(like))
        )
    made = open_warehouse(urlsplit(server)._replace(path=f"/{name}").geturl())
    if with_marts:
        make_marts(made, marts(SCRIPTS))
    else:
        _prepare(made, sources)
    return name
