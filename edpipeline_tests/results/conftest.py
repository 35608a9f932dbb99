"""One warehouse of each kind for all tests of uploads; every test has a district of its own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from edpipeline import sources
from edpipeline.warehouse.engine import Warehouse
from edpipeline_tests.district import prepared, prepared_postgres
from edpipeline_tests.results.uploads import Uploads

EVERY = tuple(source.name for source in sources.ALL)


@pytest.fixture(scope="session", params=["duckdb", "postgres"])
def warehouse(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Warehouse:
    if request.param == "duckdb":
        folder = tmp_path_factory.mktemp("uploads")
        return prepared(f"duckdb:///{folder / 'warehouse.duckdb'}", EVERY)
    return prepared_postgres(request.getfixturevalue("postgres_url"), EVERY)


@pytest.fixture
def uploads(warehouse: Warehouse, tmp_path: Path) -> Callable[[str], Uploads]:
    """Makes a new district that uploads to the source of that name."""
    return lambda source: Uploads(warehouse, tmp_path, sources.source(source))
