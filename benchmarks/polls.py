"""Ten thousand open tests polled at the sandbox's PowerPath, beside asking for each of them barely.

The vendor is a process of its own on the same machine. Seconds are those of the clock, because a
poll is waiting for answers, several at a time. The pace is set far above what a vendor would bear:
what is left is what we and the vendor need.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import requests
import yaml

from edpipeline import polling
from edpipeline.pipeline import Pipeline
from edpipeline.polling import Poll
from edpipeline.sandbox.vendors import VendorWorld
from edpipeline.settings import load_settings, provided
from edpipeline.sources import source

PAIRS = 10_000
AT_ONCE = 4
DISTRICT = "bench"
WORLD = VendorWorld()
PROGRESS = "/powerpath/getAssessmentProgress"


@contextmanager
def vendor() -> Iterator[dict[str, str]]:
    """The URLs of a PowerPath where so many tests are graded, and wait for their import."""
    command = [sys.executable, "-m", "edpipeline.sandbox.vendors"]
    command += ["--pairs", str(PAIRS), "--stage", "graded"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield json.loads(process.stdout.readline())
        process.stdin.close()


def floor_polls(_work: Path, _: int, urls: str) -> float:
    """Progress of every pair, asked for once by so many threads, and thrown away."""
    place = json.loads(urls)
    account = (WORLD.powerpath_client_id, WORLD.powerpath_client_secret)
    form = {"grant_type": "client_credentials"}
    token = requests.post(place["powerpath_token"], data=form, auth=account, timeout=60).json()
    pairs = requests.get(f"{place['control']}/pairs", timeout=60).json()["pairs"]
    parts = [pairs[number::AT_ONCE] for number in range(AT_ONCE)]

    def ask(part: list[dict[str, Any]]) -> None:
        with requests.Session() as session:
            session.headers["Authorization"] = f"Bearer {token['access_token']}"
            for pair in part:
                asked = {"student": pair["student"], "lesson": pair["lesson"]}
                url = f"{place['powerpath']}{PROGRESS}"
                session.get(url, params=asked, timeout=60).raise_for_status()

    began = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(ask, parts))
    return time.perf_counter() - began


def poll_all(work: Path, night: int, urls: str) -> float:
    """List every pair, read its progress, import it, read it again; land and load by chunks.
    A later night lists them again, and finds nothing due."""
    place = json.loads(urls)
    settings = {
        "enabled": True,
        "base_url": place["powerpath"],
        "token_url": place["powerpath_token"],
        "client_id_env": "PP_ID",
        "client_secret_env": "PP_SECRET",
        "students": "all",
        "pairs_from": ["test_assignments", "gradebook"],
        "allow_side_effects": True,
        "pace": {"per_second": 100_000, "at_once": AT_ONCE},
    }
    district = {"id": DISTRICT, "name": "Bench", "time_zone": "UTC", "powerpath": settings}
    secrets = {"PP_ID": WORLD.powerpath_client_id, "PP_SECRET": WORLD.powerpath_client_secret}
    with provided({"EDPIPELINE_HOME": str(work / "home"), **secrets}):
        pipeline = Pipeline(load_settings())
        pipeline.settings.home.mkdir(exist_ok=True)
        pipeline.settings.districts.write_text(yaml.safe_dump({"districts": [district]}))
        pipeline.warehouse  # noqa: B018  # to make its tables is no part of a poll
        at = WORLD.start.astimezone(UTC) + timedelta(days=night)
        began = time.perf_counter()
        poll = polling.poll_and_load(pipeline, DISTRICT, source("powerpath"), at, "benchmark")
        spent = time.perf_counter() - began
    _require(poll, night)
    return spent


def _require(poll: Poll, night: int) -> None:
    """Nothing counts that did not do its work. A few lessons of unknown providers stay due."""
    is_done = poll.due < PAIRS / 1000 if night else poll.became_final == PAIRS
    if not is_done:
        raise SystemExit(f"{poll.due:,} pairs were due, {poll.became_final:,} became final")
