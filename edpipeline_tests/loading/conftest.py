"""One warehouse of each kind for all tests of loading; every test has a district of its own."""

from pathlib import Path

import pytest

from edpipeline.warehouse.engine import Warehouse
from edpipeline_tests.district import GUARDED, District, prepared, prepared_postgres


@pytest.fixture(scope="session", params=["duckdb", "postgres"])
def warehouse(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Warehouse:
    if request.param == "duckdb":
        return prepared(f"duckdb:///{tmp_path_factory.mktemp('shared') / 'warehouse.duckdb'}")
    return prepared_postgres(request.getfixturevalue("postgres_url"))


@pytest.fixture
def district(warehouse: Warehouse, tmp_path: Path) -> District:
    """A district whose loads are all applied at once."""
    return District(warehouse, tmp_path)


@pytest.fixture
def guarded(warehouse: Warehouse, tmp_path: Path) -> District:
    """A district under the usual removal guard, its first sync approved."""
    return District(warehouse, tmp_path, GUARDED)
