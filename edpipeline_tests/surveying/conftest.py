"""The service runs once for a module; every test has an installation of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edpipeline.sandbox.vendors import Vendors
from edpipeline_tests.surveying.installation import Installation, installed, served


@pytest.fixture(scope="module")
def vendors() -> Iterator[Vendors]:
    with served() as running:
        yield running


@pytest.fixture
def made(vendors: Vendors, tmp_path: Path) -> Iterator[Installation]:
    with installed(tmp_path, vendors) as installation:
        yield installation
