"""One warehouse of each kind for all tests of loading; every test has a district of its own."""

from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from edpipeline.warehouse.engine import Warehouse
from edpipeline_tests.district import GUARDED, District, prepared


@pytest.fixture(scope="session", params=["duckdb", "postgres"])
def warehouse(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Warehouse:
    if request.param == "duckdb":
        return prepared(f"duckdb:///{tmp_path_factory.mktemp('shared') / 'warehouse.duckdb'}")
    url: str = request.getfixturevalue("postgres_url")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE loading_tests")
    return prepared(urlsplit(url)._replace(path="/loading_tests").geturl())


@pytest.fixture
def district(warehouse: Warehouse, tmp_path: Path) -> District:
    """A district whose loads are all applied at once."""
    return District(warehouse, tmp_path)


@pytest.fixture
def guarded(warehouse: Warehouse, tmp_path: Path) -> District:
    """A district under the usual removal guard, its first sync approved."""
    return District(warehouse, tmp_path, GUARDED)
