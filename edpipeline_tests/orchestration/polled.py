"""A district whose tests are polled at the sandbox's PowerPath, a real server on loopback."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from edpipeline import polling, sources
from edpipeline.pipeline import Pipeline
from edpipeline.sandbox.roster import schools, write_roster
from edpipeline.sandbox.sizes import Size
from edpipeline.sandbox.vendors import Vendors
from edpipeline.settings import provided
from edpipeline_tests.held import close_all
from edpipeline_tests.pulls.installation import DISTRICT, HOST_KEY, installed

POWERPATH = sources.source("powerpath")
SECRETS = {"PP_ID": "edpipeline-powerpath", "PP_SECRET": "CANARY-powerpath-client-secret"}
QUICK = {"backoff_s": "0.01", "backoff_most_s": "0.02", "connect_s": "2", "read_s": "2"}
SIZE = Size(students=60, schools=3)


@dataclass(frozen=True)
class Polled:
    """The installation, and the vendor."""

    pipeline: Pipeline
    vendors: Vendors
    folder: Path

    def use(self, **changes: Any) -> "Polled":
        """The same with other settings in the districts file."""
        use = {
            "enabled": True,
            "base_url": self.vendors.powerpath_url,
            "token_url": self.vendors.powerpath_token_url,
            "client_id_env": "PP_ID",
            "client_secret_env": "PP_SECRET",
            "students": "all",
            "pace": {"per_second": 5000, "pairs_at_once": 25},
            "api": {"http": QUICK},
        }
        roster = {
            "sftp": {
                "host": "sftp.example",
                "username": "x",
                "password_env": "PP_SECRET",
                "host_key": HOST_KEY,
            },
            "schools": schools(SIZE),
            "first_sync_needs_approval": False,
        }
        zone = f"Etc/GMT{datetime.now(UTC).hour - 12:+}"  # where it is noon
        district = {"id": DISTRICT, "name": "Quillmere", "time_zone": zone, "oneroster": roster}
        listed = [district | {POWERPATH.name: use | changes}]
        self.pipeline.settings.districts.write_text(yaml.safe_dump({"districts": listed}))
        return replace(self, pipeline=Pipeline(self.pipeline.settings))

    def poll(self, hours: float = 0) -> polling.Poll:
        """Poll, as a command does, so much later by our clock."""
        at = datetime.now(UTC) + timedelta(hours=hours)
        return polling.poll_and_load(self.pipeline, DISTRICT, POWERPATH, at, "sam")

    def roster(self, night: int = 0) -> None:
        """A small roster lands and is loaded."""
        year = self.vendors.world.school_year
        written = write_roster(self.folder / f"roster{night}", SIZE, night=night, school_year=year)
        day = datetime.now(UTC).date() + timedelta(days=night)
        paths = {path.name: path for path in written.paths.values()}
        self.pipeline.receive(DISTRICT, paths, day, datetime.now(UTC))
        report = self.pipeline.sync(DISTRICT, day).load_day(day)
        assert report.applied, report.message

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.pipeline.warehouse.transaction() as session:
            return session.rows(sql)


@contextmanager
def polled(folder: Path, vendors: Vendors) -> Iterator[Polled]:
    """An empty installation, in the place of the one before; the vendor begins anew."""
    close_all()
    shutil.rmtree(folder, ignore_errors=True)
    with installed(folder, vendors, datetime.now(UTC)) as made, provided(SECRETS):
        yield Polled(made.pipeline, vendors, folder).use()
