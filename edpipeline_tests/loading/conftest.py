"""One warehouse of each kind for all tests of loading; every test has a district of its own."""

from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from edpipeline.warehouse.engine import Warehouse
from edpipeline_tests.district import GUARDED, District, prepared

_databases = count(1)


@pytest.fixture(scope="session", params=["duckdb", "postgres"])
def warehouse(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Warehouse:
    if request.param == "duckdb":
        return prepared(f"duckdb:///{tmp_path_factory.mktemp('shared') / 'warehouse.duckdb'}")
    url: str = request.getfixturevalue("postgres_url")
    name = f"loading_{next(_databases)}"  # pytest may set this up again for another module
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return prepared(urlsplit(url)._replace(path=f"/{name}").geturl())


@pytest.fixture
def district(warehouse: Warehouse, tmp_path: Path) -> District:
    """A district whose loads are all applied at once."""
    return District(warehouse, tmp_path)


@pytest.fixture
def guarded(warehouse: Warehouse, tmp_path: Path) -> District:
    """A district under the usual removal guard, its first sync approved."""
    return District(warehouse, tmp_path, GUARDED)
