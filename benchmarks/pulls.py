"""A million STAR records pulled from the sandbox's vendor, beside parsing the same JSON.

What is measured is the processor time of the process that asks: the vendor's own is in another
process, and time spent waiting for it is nobody's.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import requests

from edpipeline.landing.http import Client
from edpipeline.landing.pull import pull
from edpipeline.pulling import api_of
from edpipeline.sandbox.vendors import VendorWorld
from edpipeline.sources import source
from edpipeline.uses import StarUse

RECORDS = 1_000_000
PAGE = 500
WORLD = VendorWorld()


@contextmanager
def vendor() -> Iterator[str]:
    """The URL of a vendor in a process of its own, with so many records of STAR Reading."""
    command = [sys.executable, "-m", "edpipeline.sandbox.vendors", "--bulk", str(RECORDS)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield json.loads(process.stdout.readline())["star"]
        process.stdin.close()


def pull_star(work: Path, _: int, url: str) -> float:
    """Our pull: pages asked for, redacted, written as JSON lines."""
    use = StarUse(
        base_url=url,
        data_sharing_confirmed=True,
        rp_identifier=WORLD.rp_identifier,
        username=WORLD.star_username,
        client_id_env="UNUSED",
        client_secret_env="UNUSED",
    )
    secrets = {"client_id": WORLD.star_client_id, "client_secret": WORLD.star_client_secret}
    with (
        tempfile.TemporaryDirectory(dir=work) as folder,
        Client(api_of(source("star"), use), secrets, use.values) as client,
    ):
        client.sign_in()
        client.call("authorization")
        began = time.process_time()
        done = pull(client, "star", {"subject": "SR"}, Path(folder), "SR")
        spent = time.process_time() - began
    if done.records["SR"] != RECORDS:
        raise SystemExit(f"{done.records['SR']:,} records came, and not {RECORDS:,}")
    return spent


def parse_polars(_work: Path, _: int, url: str) -> float:
    """polars reads each page into a frame."""
    return _parsed(url, pl.read_json)


def _parsed(url: str, parse: Callable[[bytes], object]) -> float:
    """Processor seconds that parsing every page takes; fetching it is not counted."""
    asked = requests.Session()
    login = {"grant_type": "client_credentials"}
    account = (WORLD.star_client_id, WORLD.star_client_secret)
    token = asked.post(f"{url}/oauth/token", data=login, auth=account, timeout=60).json()
    asked.headers["Authorization"] = f"Bearer {token['access_token']}"
    district = f"{url}/v1/districts/{WORLD.rp_identifier}"
    user = {"username": WORLD.star_username}
    asked.post(f"{district}/authorization", json=user, timeout=60).raise_for_status()
    spent = 0.0
    for page in range(1, RECORDS // PAGE + 1):
        wanted = {"subject": "SR", "page": page, "pageSize": PAGE}
        content = asked.get(f"{district}/assessments", params=wanted, timeout=60).content
        began = time.process_time()
        parse(content)
        spent += time.process_time() - began
    return spent
