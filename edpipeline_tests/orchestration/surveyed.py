"""A district whose score reports are surveyed at the sandbox's service, a real server on loopback.

Its roster is loaded once, and every test has a copy of the installation.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from edpipeline import sources, surveying
from edpipeline.pipeline import Pipeline
from edpipeline.sandbox.evening import school_year
from edpipeline.sandbox.roster import schools, write_roster
from edpipeline.sandbox.sizes import Size
from edpipeline.sandbox.vendors import Vendors, VendorWorld, vendor_servers
from edpipeline.settings import load_settings, provided
from edpipeline.warehouse.engine import open_warehouse
from edpipeline_tests.held import close_all
from edpipeline_tests.prepared import prepare_from_copy
from edpipeline_tests.pulls.installation import DISTRICT, HOST_KEY

SURVEYED = sources.source("score_reports")
SECRETS = {"TOMS_KEY": "CANARY-score-reports-user", "TOMS_SECRET": "CANARY-score-reports-secret"}
QUICK = {"backoff_s": "0.01", "backoff_most_s": "0.02", "connect_s": "2", "read_s": "2"}
NAME = "District"
SIZE = Size(students=60, schools=3)
"""Who is asked about in more than one chunk, and some of them in vain."""


@dataclass(frozen=True)
class Surveyed:
    """The installation, and the service."""

    pipeline: Pipeline
    vendors: Vendors

    def use(self, block: bool = True, days_left: int = 200, **changes: Any) -> "Surveyed":
        """The same with other settings in the districts file."""
        configuration = {
            "name": NAME,
            "client_key_env": "TOMS_KEY",
            "client_secret_env": "TOMS_SECRET",
            "expires_on": self.today() + timedelta(days=days_left),
        }
        use = {
            "enabled": True,
            "base_url": self.vendors.score_reports_url,
            "configurations": [configuration],
            "window": {"opens": "00:00", "closes": "00:00", "time_zone": zone()},
            "pace": {"per_second": 5000, "students_at_once": 50},
            "api": {"http": QUICK},
        }
        roster = {
            "sftp": {
                "host": "sftp.example",
                "username": "x",
                "password_env": "TOMS_SECRET",
                "host_key": HOST_KEY,
            },
            "schools": schools(SIZE),
            "first_sync_needs_approval": False,
        }
        district = {"id": DISTRICT, "name": "Quillmere", "time_zone": zone(), "oneroster": roster}
        listed = [district | ({SURVEYED.name: use | changes} if block else {})]
        self.pipeline.settings.districts.write_text(yaml.safe_dump({"districts": listed}))
        return replace(self, pipeline=Pipeline(self.pipeline.settings))

    def survey(self, hours: float = 0) -> surveying.Survey:
        """Survey, as a command does, so much later by our clock."""
        at = datetime.now(UTC) + timedelta(hours=hours)
        return surveying.poll_and_load(self.pipeline, DISTRICT, SURVEYED, at, "sam")

    def today(self) -> date:
        """The delivery day."""
        return (datetime.now(UTC) + timedelta(hours=12 - datetime.now(UTC).hour)).date()

    def student(self, stands: str) -> str:
        """The SSID of a student who stands so with the service."""
        students = self.vendors.score_report_students()
        return next(ssid for ssid, it in students.items() if it == stands)

    def asked(self) -> int:
        """How many requests about students the service had."""
        counts = self.vendors.counts("score_reports")
        return sum(times for path, times in counts.items() if "students" in path)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.pipeline.warehouse.transaction() as session:
            return session.rows(sql)


def zone() -> str:
    """A time zone where it is noon."""
    return f"Etc/GMT{datetime.now(UTC).hour - 12:+}"


@contextmanager
def served() -> Iterator[Vendors]:
    """The service, for the students of a small district."""
    now = datetime.now(UTC)
    world = VendorWorld(size=SIZE, school_year=school_year(now), now=now)
    with vendor_servers(world) as vendors:
        yield vendors


@contextmanager
def _at(home: Path) -> Iterator[Pipeline]:
    scratch = home.parent / f"{home.name}-scratch"
    scratch.mkdir(exist_ok=True)
    variables = {"EDPIPELINE_HOME": str(home), "EDPIPELINE_SCRATCH": str(scratch), **SECRETS}
    with provided(variables):
        yield Pipeline(load_settings())


def with_roster(folder: Path, vendors: Vendors) -> Path:
    """An installation into which the roster of the service's students was loaded."""
    home = folder / "home"
    home.mkdir(parents=True)
    with _at(home) as pipeline:
        warehouse = open_warehouse(pipeline.settings.warehouse.get_secret_value())
        prepare_from_copy(warehouse, with_marts=True)
        made = Surveyed(pipeline, vendors).use()
        year = vendors.world.school_year
        written = write_roster(folder / "roster", SIZE, school_year=year)
        day = made.today() - timedelta(days=1)
        paths = {path.name: path for path in written.paths.values()}
        made.pipeline.receive(DISTRICT, paths, day, datetime.now(UTC))
        report = made.pipeline.sync(DISTRICT, day).load_day(day)
        assert report.applied, report.message
        made.pipeline.refill(DISTRICT)
    close_all()
    return home


@contextmanager
def surveyed(folder: Path, template: Path, vendors: Vendors) -> Iterator[Surveyed]:
    """A copy of an installation with a roster; the service begins anew.

    In the place of the one before, whose settings stay what they are.
    """
    home = folder / "home"
    close_all()
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(template, home)
    vendors.reset()
    vendors.set_clock(datetime.now(UTC))
    with _at(home) as pipeline:
        yield Surveyed(pipeline, vendors).use()


@pytest.fixture(scope="module")
def vendors() -> Iterator[Vendors]:
    with served() as running:
        yield running


@pytest.fixture(scope="module")
def template(vendors: Vendors, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_roster(tmp_path_factory.mktemp("template"), vendors)


@pytest.fixture
def at_work(vendors: Vendors, template: Path) -> Iterator[Surveyed]:
    with surveyed(template.parents[1] / f"{template.parent.name}-copy", template, vendors) as made:
        yield made
