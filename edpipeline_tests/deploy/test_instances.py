"""Dagster's instance as each `dagster.yaml` says, and one machine's services as their units do."""

import json
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from edpipeline.settings import provided

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
INSTANCES = {
    "local": ROOT / "dagster.yaml",
    "one machine": DEPLOY / "dagster.yaml",
    "many machines": DEPLOY / "celery" / "dagster.yaml",
}
SERVICES = ("code", "webserver", "daemon")
SECONDS = 90
STATUS = """{
  locationStatusesOrError {
    ... on WorkspaceLocationStatusEntries { entries { name loadStatus } }
  }
  workspaceOrError {
    ... on Workspace { locationEntries { locationOrLoadError { __typename } } }
  }
  instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } }
}"""


@pytest.fixture
def environment(tmp_path: Path, postgres_database_url: str) -> Iterator[dict[str, str]]:
    """What the services find, with a database and folders of this test."""
    home = tmp_path / "dagster"
    home.mkdir()
    url = postgres_database_url.replace("postgresql://", "postgresql+psycopg2://")
    variables = {
        "DAGSTER_HOME": str(home),
        "DAGSTER_POSTGRES_URL": url,
        "DAGSTER_COMPUTE_LOGS": str(home / "compute_logs"),
        "CELERY_BROKER_URL": "redis://127.0.0.1:1/0",
        "CELERY_RESULT_BACKEND": "redis://127.0.0.1:1/1",
        "EDPIPELINE_HOME": str(tmp_path / "home"),
    }
    with provided(variables) as found:
        yield found


@pytest.mark.parametrize("name", INSTANCES)
def test_an_instance_records_runs_and_keeps_to_the_house_rules(
    name: str, environment: Mapping[str, str]
) -> None:
    home = Path(environment["DAGSTER_HOME"])
    shutil.copy(INSTANCES[name], home / "dagster.yaml")

    @dg.asset
    def answer() -> dg.MaterializeResult[None]:
        return dg.MaterializeResult(metadata={"dagster/row_count": 42})

    with dg.DagsterInstance.get() as instance:
        assert dg.materialize([answer], instance=instance).success
    with dg.DagsterInstance.get() as instance:
        [run] = instance.get_runs()
        assert run.is_success
        assert not instance.telemetry_enabled
        assert instance.freshness_enabled
        assert instance.run_monitoring_enabled
        assert (instance.run_retries_enabled, instance.run_retries_max_retries) == (True, 1)
        assert not instance.run_retries_retry_on_asset_or_op_failure
        assert instance.get_concurrency_config().pool_config.default_pool_limit is None
        assert type(instance.run_coordinator).__name__ == "QueuedRunCoordinator"
        is_postgres = "Postgres" in type(instance.run_storage).__name__
        assert is_postgres == (name != "local")
    in_files = list(home.glob("history")) + list(home.glob("schedules"))
    assert bool(in_files) == (name == "local")


def test_the_instances_differ_in_nothing_but_where_things_are_kept_and_run() -> None:
    found = {name: yaml.safe_load(path.read_text()) for name, path in INSTANCES.items()}
    own = {"storage", "compute_logs", "run_launcher", "retention"}
    for each in found.values():
        del each["concurrency"]["runs"]["max_concurrent_runs"]
        for limit in ("max_runtime_seconds", "cancel_timeout_seconds"):
            each["run_monitoring"].pop(limit, None)
    same = [{k: v for k, v in each.items() if k not in own} for each in found.values()]
    assert same[0] == same[1] == same[2]


def command(service: str, folder: Path, port: int) -> list[str]:
    """What a unit starts, with the Python of the tests and places of this test."""
    unit = (DEPLOY / "systemd" / f"edpipeline-{service}.service").read_text()
    [line] = [one for one in unit.splitlines() if one.startswith("ExecStart=")]
    line = line.replace("/etc/edpipeline", str(folder)).replace("/run/edpipeline", str(folder))
    words = shlex.split(line.removeprefix("ExecStart=").replace("3000", str(port)))
    return [str(Path(sys.executable).with_name(Path(words[0]).name)), *words[1:]]


@contextmanager
def services(
    environment: Mapping[str, str], folder: Path, port: int
) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """The services of one machine; the socket's folder is `folder`."""
    workspace = (DEPLOY / "systemd" / "workspace.yaml").read_text()
    (folder / "workspace.yaml").write_text(workspace.replace("/run/edpipeline", str(folder)))
    started = []
    try:
        for service in SERVICES:
            with (folder / f"{service}.log").open("wb") as log:
                process = subprocess.Popen(
                    command(service, folder, port),
                    cwd=folder,
                    env=environment,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            started.append(process)
        yield started
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            process.wait(SECONDS)


def asked(port: int) -> dict[str, Any]:
    """What the webserver says of code and daemons; nothing while it does not answer."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        data=json.dumps({"query": STATUS}).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)["data"]
    except OSError:
        return {}
    return found


def is_up(found: Mapping[str, Any]) -> bool:
    """Code is loaded, and every daemon that is needed beats."""
    if not found:
        return False
    entries = found["workspaceOrError"]["locationEntries"]
    loaded = [(entry["locationOrLoadError"] or {}).get("__typename") for entry in entries]
    daemons = found["instance"]["daemonHealth"]["allDaemonStatuses"]
    beating = [one["healthy"] for one in daemons if one["required"]]
    return loaded == ["RepositoryLocation"] and len(beating) > 3 and all(beating)


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """The path of a socket has 107 characters at most."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def test_the_services_of_one_machine_find_each_other(
    short_folder: Path, environment: Mapping[str, str]
) -> None:
    shutil.copy(INSTANCES["one machine"], Path(environment["DAGSTER_HOME"]) / "dagster.yaml")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with services(environment, short_folder, port) as started:
        deadline = time.monotonic() + SECONDS
        while not is_up(found := asked(port)):
            logs = [path.read_text() for path in short_folder.glob("*.log")]
            ended = [process.args for process in started if process.poll() is not None]
            assert not ended and time.monotonic() < deadline, f"{found}\n" + "\n".join(logs)
            time.sleep(0.2)
    assert found["locationStatusesOrError"]["entries"] == [
        {"name": "edpipeline", "loadStatus": "LOADED"}
    ]
