"""One warehouse of each kind for all tests of a module; every test has a district of its own.

Districts of other tests, with the same ids, are always there, and must not matter. Not all tests
share one, because every night costs more the more nights a warehouse has seen.
"""

from pathlib import Path

import pytest

from edpipeline.warehouse.engine import Warehouse
from edpipeline_tests.district import GUARDED, District, prepared, prepared_postgres


@pytest.fixture(scope="module", params=["duckdb", "postgres"])
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
