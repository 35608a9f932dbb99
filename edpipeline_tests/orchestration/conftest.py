from collections.abc import Iterator

import dagster as dg
import pytest

from edpipeline_tests.orchestration import installation as shared


@pytest.fixture(scope="session")
def shared_installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[shared.Installation]:
    with shared.installation(tmp_path_factory.mktemp("installation")) as made:
        yield made


@pytest.fixture
def at_work(
    shared_installation: shared.Installation, monkeypatch: pytest.MonkeyPatch
) -> shared.Installation:
    """An installation in which nothing is wrong and no district is listed yet."""
    monkeypatch.setenv(shared.PASSWORD, shared.SECRET)
    shared_installation.listed.clear()
    shared_installation.server.faults = type(shared_installation.server.faults)()
    return shared_installation


@pytest.fixture(scope="session")
def instance_on_disk() -> Iterator[dg.DagsterInstance]:
    """What an installation has; recording runs in it is slow."""
    with dg.instance_for_test() as instance:
        yield instance
