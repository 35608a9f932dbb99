"""PowerPath runs once for a module; every test has an installation of its own, whose warehouse is
the one of the test before, emptied."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edpipeline.sandbox.vendors import Vendors
from edpipeline_tests.polling.installation import Installation, installed, served


@pytest.fixture(scope="module")
def vendors() -> Iterator[Vendors]:
    with served() as running:
        yield running


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"duckdb:///{tmp_path_factory.mktemp('module') / 'warehouse.duckdb'}"


@pytest.fixture
def installation(vendors: Vendors, tmp_path: Path, warehouse: str) -> Iterator[Installation]:
    with installed(tmp_path, vendors, warehouse) as made:
        yield made
