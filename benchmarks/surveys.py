"""A district of fifty thousand students surveyed at the sandbox's score report service, beside
asking about each of them barely.

The service is a process of its own on the same machine, and its tokens live a minute, so that a
run needs several. Seconds are those of the clock. The pace is set far above what a service would
bear: what is left is what we and the service need.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import requests
import yaml

from edpipeline import surveying
from edpipeline.pipeline import Pipeline
from edpipeline.sandbox.roster import POWERSCHOOL, Size, schools, write_roster
from edpipeline.sandbox.vendors import VendorWorld
from edpipeline.settings import load_settings, provided
from edpipeline.sources import source

SIZE = Size(students=50_000, schools=100)
AT_ONCE = 4
TOKEN_SECONDS = 60
DISTRICT = "bench"
WORLD = VendorWorld(size=SIZE)


@contextmanager
def service() -> Iterator[dict[str, str]]:
    """The URLs of a service that knows the district's students."""
    command = [sys.executable, "-m", "edpipeline.sandbox.vendors"]
    command += ["--students", str(SIZE.students), "--schools", str(SIZE.schools)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        urls: dict[str, str] = json.loads(process.stdout.readline())
        world = {"world": {"score_reports_token_s": TOKEN_SECONDS}}
        requests.post(f"{urls['control']}/seed", json=world, timeout=60).raise_for_status()
        yield urls
        process.stdin.close()


def floor_surveys(_work: Path, _: int, urls: str) -> float:
    """The reports of every student, asked for once by so many threads, and thrown away."""
    place = json.loads(urls)
    base = f"{place['score_reports']}/api/v1"
    account = (WORLD.score_reports_username, WORLD.score_reports_secret)
    known = requests.get(f"{place['control']}/score-report-students", timeout=60).json()
    numbers = list(known["students"])
    parts = [numbers[number::AT_ONCE] for number in range(AT_ONCE)]

    def ask(part: list[str]) -> None:
        with requests.Session() as session:
            for ssid in part:
                url = f"{base}/students/{ssid}/score-reports"
                answer = session.get(url, timeout=60)
                if answer.status_code == 401:
                    token = session.get(f"{base}/token", auth=account, timeout=60).json()["token"]
                    session.headers["authorization"] = token
                    session.get(url, timeout=60)

    began = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(ask, parts))
    return time.perf_counter() - began


def survey_all(work: Path, night: int, urls: str) -> float:
    """Ask about every student, land and load by chunks; on a later night, once more."""
    with _pipeline(work, json.loads(urls)) as pipeline:
        if not night:
            _sync_roster(pipeline, work)
        at = WORLD.start + timedelta(days=night)
        began = time.perf_counter()
        survey = surveying.poll_and_load(
            pipeline, DISTRICT, source("score_reports"), at, "benchmark"
        )
        spent = time.perf_counter() - began
    if survey.asked < SIZE.students * 0.99 or survey.ok + survey.empty < SIZE.students * 0.85:
        raise SystemExit(f"{survey.asked:,} students were asked about, {survey.ok:,} have reports")
    return spent


@contextmanager
def _pipeline(work: Path, place: dict[str, str]) -> Iterator[Pipeline]:
    configuration = {
        "name": "bench",
        "client_key_env": "SR_KEY",
        "client_secret_env": "SR_SECRET",
        "expires_on": "2099-01-01",
    }
    reports: dict[str, Any] = {
        "enabled": True,
        "base_url": place["score_reports"],
        "configurations": [configuration],
        "pace": {"per_second": 100_000, "at_once": AT_ONCE},
    }
    roster = {
        "sftp": {
            "host": "127.0.0.1",
            "username": "nobody",
            "password_env": "NOBODY",
            "host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "A" * 43,
        },
        "schools": schools(SIZE),
        "first_sync_needs_approval": False,
    }
    district = {"id": DISTRICT, "name": "Bench", "time_zone": "UTC"}
    district |= {"oneroster": roster, "score_reports": reports}  # type: ignore[dict-item]
    secrets = {"SR_KEY": WORLD.score_reports_username, "SR_SECRET": WORLD.score_reports_secret}
    with provided({"EDPIPELINE_HOME": str(work / "home"), **secrets}):
        pipeline = Pipeline(load_settings())
        pipeline.settings.home.mkdir(exist_ok=True)
        pipeline.settings.districts.write_text(yaml.safe_dump({"districts": [district]}))
        yield pipeline


def _sync_roster(pipeline: Pipeline, work: Path) -> None:
    """The students are those of the roster, so that it has to be there."""
    folder = work / "roster"
    write_roster(folder, SIZE, dialect=POWERSCHOOL)
    files = {path.name: path for path in folder.iterdir()}
    day = WORLD.start.date()
    pipeline.receive(DISTRICT, files, day, WORLD.start)
    pipeline.sync(DISTRICT, day).load_day(day)
    pipeline.refill(DISTRICT)
