"""`dagster dev` as a child that is started, waited for, and stopped with all it started."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edpipeline.errors import Permanent

PORTS = range(3000, 3100)
START_SECONDS = 120
STOP_SECONDS = 20


@dataclass(frozen=True)
class DagsterDev:
    """A running Dagster."""

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path


def start(home: Path, environment: Mapping[str, str]) -> DagsterDev:
    """Start the Dagster UI and daemon with the instance in `home`; waits until the UI answers.

    Raises Permanent where it ends before that.
    """
    port = _free_port()
    log = home / "dagster-dev.log"
    command = [sys.executable, "-m", "dagster", "dev", "-m", "edpipeline.definitions"]
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [*command, "-h", "127.0.0.1", "-p", str(port)],
            cwd=home,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C is for us: we stop Dagster, and then the server
        )
    deadline = time.monotonic() + START_SECONDS
    try:
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise Permanent(f"Dagster did not start; {log} says why")
            time.sleep(0.5)
    except BaseException:
        stop(process)
        raise
    return DagsterDev(process, port, log)


def stop(process: "subprocess.Popen[bytes]") -> None:
    """Stop Dagster and all it started: an interrupt as from a terminal, force if it must be."""
    for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            os.killpg(process.pid, kind)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                continue
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _free_port() -> int:
    for port in PORTS:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise Permanent(f"no port from {PORTS[0]} to {PORTS[-1]} is free on this machine")


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
