"""What every test may ask for: an empty warehouse on each database, and no settings from outside.

postgres_url           a real PostgreSQL server, one for the session
postgres_database_url  an empty database of it, one for the test
warehouse_url          an empty warehouse; the test runs twice, on DuckDB and on PostgreSQL
"""

import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psutil
import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from edpipeline.sandbox.postgres_server import postgres_server
from edpipeline.scratch import scratch_folder
from edpipeline_tests.held import close_all, held_open

FOREIGN_SETTINGS = (
    "EDPIPELINE_",
    "DAGSTER_",
    "AWS_",
    "PG",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
)

LONGEST = {
    name: position
    for position, name in enumerate(
        (
            "test_evening.py",
            "test_bad_days.py",
            "test_cli.py",
            "test_erase.py",
            "test_pulling.py",
            "test_workers.py",
            "test_sql.py",
            "test_same_answers.py",
            "test_polling.py",
            "test_sync.py",
            "test_instances.py",
            "test_cli_uploads.py",
            "test_samples.py",
            "test_guard.py",
            "test_polls.py",
            "test_references.py",
            "test_compare.py",
            "test_laws.py",
            "test_cli_schools.py",
        )
    )
}

SHARES = ("POLARS_MAX_THREADS", "SLURM_CPUS_ON_NODE")
"""How many threads polars and DuckDB take, where they are told; the second is for DuckDB."""

MEMORY = Path("/dev/shm")
ENOUGH_BYTES = 6 * 2**30


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        stack = ExitStack()
        config.add_cleanup(stack.close)
        _share_cores(config, stack)
        _work_in_memory(stack)


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: tests wait for clocks, servers and processes as well."""
    return (os.cpu_count() or 1) + 1


def _share_cores(config: pytest.Config, stack: ExitStack) -> None:
    """Let the threads of each worker, and of what it starts, take its share of the cores."""
    workers = config.getoption("numprocesses", 0) or 0
    if workers > 1:
        share = str(max(1, (os.cpu_count() or 1) // workers))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name in SHARES:
            patch.setenv(name, share)


def _work_in_memory(stack: ExitStack) -> None:
    """Keep temporary files in memory where there is room: a disk makes every commit wait.

    `TMPDIR` says where else. What a killed run left in memory, the next one removes.
    """
    if "TMPDIR" in os.environ or not _has_room(MEMORY):
        return
    folder = stack.enter_context(scratch_folder(MEMORY))
    # The account of the PostgreSQL server must be able to pass through, and to see nothing.
    for closed in (folder, folder.parent):
        closed.chmod(0o711)
    patch = stack.enter_context(pytest.MonkeyPatch.context())
    patch.setenv("TMPDIR", str(folder))
    patch.setattr(tempfile, "tempdir", None)  # where an import has already looked it up


def _has_room(memory: Path) -> bool:
    return (
        memory.is_dir()
        and os.access(memory, os.W_OK)
        and not os.statvfs(memory).f_flag & os.ST_NOEXEC  # PostgreSQL is copied there to run
        and min(shutil.disk_usage(memory).free, psutil.virtual_memory().available) >= ENOUGH_BYTES
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let modules that take long come first, so that no core waits for another at the end."""
    items.sort(key=lambda item: LONGEST.get(item.path.name, len(LONGEST)))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is there by now stays; Python need not look through it again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 20)
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def no_settings_from_outside() -> Iterator[None]:
    """The configuration, credentials and proxies of whoever runs the tests do not reach them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.upper().startswith(FOREIGN_SETTINGS):
                patch.delenv(name)
        patch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield


@pytest.fixture(scope="module", autouse=True)
def laws_hold_on_all_threads(request: pytest.FixtureRequest) -> Iterator[None]:
    """DuckDB has no order of rows where threads meet; where days are shuffled, they do."""
    with pytest.MonkeyPatch.context() as patch:
        if request.path.name == "test_laws.py":
            patch.delenv(SHARES[1], raising=False)
        yield


@pytest.fixture(autouse=True)
def warehouses_stay_open(request: pytest.FixtureRequest) -> Iterator[None]:
    """DuckDB files stay open within this process, unless a test says that others come in."""
    if request.node.get_closest_marker("other_processes"):
        close_all()
        yield
        return
    with held_open():
        yield


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The superuser's URL. Roles are the server's, not a database's: tests share them."""
    with postgres_server() as url:
        yield url


@pytest.fixture
def postgres_database_url(postgres_url: str) -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        yield urlsplit(postgres_url)._replace(path=f"/{name}").geturl()
        connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


@pytest.fixture(params=["duckdb", "postgres"])
def warehouse_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        url: str = request.getfixturevalue("postgres_database_url")
        return url
    return f"duckdb:///{tmp_path / 'warehouse.duckdb'}"
