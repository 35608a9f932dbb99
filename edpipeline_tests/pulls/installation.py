"""An installation whose district pulls from the sandbox's vendors, real servers on loopback."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from edpipeline import pulling, sources, uploading
from edpipeline.landing import drop as landing
from edpipeline.loading.report import SyncReport
from edpipeline.pipeline import Pipeline
from edpipeline.sandbox.roster import schools, write_roster
from edpipeline.sandbox.sizes import SMALL
from edpipeline.sandbox.vendors import Vendors, VendorWorld, vendor_servers
from edpipeline.settings import load_settings, provided
from edpipeline.warehouse.engine import open_warehouse
from edpipeline_tests.prepared import prepare_from_copy

DISTRICT = "quillmere"
NOW = datetime(2027, 3, 10, 6, 30, tzinfo=UTC)
"""An hour in the windows of both vendors, in the spring of the vendors' school year."""
SECRETS = {
    "STAR_ID": "edpipeline-sandbox",
    "STAR_SECRET": "CANARY-star-client-secret",
    "SCANTRON_USER": "quillmere.api",
    "SCANTRON_PASSWORD": "CANARY-scantron-password",
}
DETAILS = ("Dashboard_Standards_v2", "SkillArea_v1")
QUICK = {"backoff_s": "0.01", "backoff_most_s": "0.02", "connect_s": "2", "read_s": "2"}


READING_ALONE: Mapping[str, Any] = {
    "star": {"parts": {"SM": None, "SEL": None}},
    "star_standards": {"parts": dict.fromkeys(("SM_" + DETAILS[0], "SEL_" + DETAILS[0]))},
    "star_skill_areas": {"parts": dict.fromkeys(("SM_" + DETAILS[1], "SEL_" + DETAILS[1]))},
}
"""What leaves Math and Early Literacy out of STAR's listings: a third of the files."""


@dataclass(frozen=True)
class Installation:
    """One district, its vendors, and what was pulled so far."""

    folder: Path
    pipeline: Pipeline
    vendors: Vendors
    start: datetime

    def entry(self, **changes: Mapping[str, Any] | None) -> dict[str, Any]:
        """The district's entry in the file, with other settings of a source."""
        settings: dict[str, Any] = {
            "star": {
                "enabled": True,
                "data_sharing_confirmed": True,
                "base_url": self.vendors.star_url,
                "rp_identifier": self.vendors.world.rp_identifier,
                "username": self.vendors.world.star_username,
                "client_id_env": "STAR_ID",
                "client_secret_env": "STAR_SECRET",
                "api": {"http": QUICK},
            },
            "scantron": {
                "enabled": True,
                "base_url": self.vendors.scantron_url,
                "site_id": self.vendors.world.site_id,
                "username_env": "SCANTRON_USER",
                "password_env": "SCANTRON_PASSWORD",
                "api": {"http": QUICK},
            },
        }
        for name, change in changes.items():
            settings[name] = {**settings[name], **(change or {})}
        return {
            "id": DISTRICT,
            "name": "Quillmere",
            "time_zone": "America/Los_Angeles",
            **settings,
        }

    def configure(self, **changes: Mapping[str, Any] | None) -> "Installation":
        """The same installation after the districts file was changed."""
        text = yaml.safe_dump({"districts": [self.entry(**changes)]})
        self.pipeline.settings.districts.write_text(text)
        return Installation(self.folder, Pipeline(self.pipeline.settings), self.vendors, self.start)

    def reading_alone(self, **changes: Mapping[str, Any]) -> "Installation":
        """The same installation with such settings, and a third of STAR's files to pull."""
        api = {"http": QUICK, "listings": READING_ALONE}
        return self.configure(**{**changes, "star": {"api": api, **changes.get("star", {})}})

    def pull(self, source: str, days: float = 0) -> SyncReport:
        """Pull and load, so many days after the start by the vendors' clock and ours."""
        return self.pulls(source, days)[-1]

    def pulls(self, source: str, days: float = 0) -> list[SyncReport]:
        """The same, with the reports of all that was loaded."""
        at = self.start + timedelta(days=days)
        self.vendors.set_clock(at)
        return pulling.pull_and_load(self.pipeline, DISTRICT, sources.source(source), at)

    def asked(self, source: str, days: float = 0) -> set[str]:
        """Since when a pull asks for changes, as the vendor hears it; the pull is made."""
        before = len(self.vendors.calls())
        self.pull(source, days)
        queries = [call["query"] for call in self.vendors.calls()[before:]]
        return {query["modifiedSince"] for query in queries if "modifiedSince" in query}

    def roster(self) -> None:
        """The district's roster comes: the students of the vendors."""
        folder = self.folder / "roster"
        written = write_roster(folder, SMALL, school_year=self.vendors.world.school_year)
        day = self.start.date() - timedelta(days=1)
        entry = self.entry() | {
            "oneroster": {
                "sftp": {
                    "host": "sftp.example",
                    "username": "x",
                    "password_env": "UNUSED",
                    "host_key": HOST_KEY,
                },
                "schools": schools(SMALL),
                "first_sync_needs_approval": False,
            }
        }
        self.pipeline.settings.districts.write_text(yaml.safe_dump({"districts": [entry]}))
        pipeline = Pipeline(self.pipeline.settings)
        paths = {path.name: path for path in written.paths.values()}
        pipeline.receive(DISTRICT, paths, day, self.start)
        report = pipeline.sync(DISTRICT, day).load_day(day)
        assert report.applied, report.message

    def upload(self, source: str, name: str, content: str, days: float = 0) -> list[SyncReport]:
        """A person hands over a file of results."""
        path = self.folder / name
        path.write_text(content)
        of, at = sources.source(source), self.start + timedelta(days=days)
        uploading.look_at(self.pipeline, DISTRICT, of, path, {})
        uploading.hand_over(self.pipeline, DISTRICT, of, path, {}, "sam@quillmere.example")
        (waiting,) = uploading.waiting(self.pipeline, datetime.now(UTC), timedelta(0), source)
        return uploading.load(self.pipeline, uploading.land(self.pipeline, waiting, at))

    def contents(self, source: str) -> dict[str, list[str]]:
        """Every row of the source's tables, and of the schools it lists."""
        tables = [table.full_name for table in sources.source(source).tables]
        found = {table: self.rows(f"select * from {table}") for table in tables}
        found["schools"] = self.rows(f"select * from ops.vendor_schools where source = '{source}'")
        return {table: sorted(map(repr, rows)) for table, rows in found.items()}

    def in_scratch(self) -> list[Path]:
        """Files that were left in the scratch folder."""
        scratch = self.pipeline.settings.scratch
        assert scratch is not None
        return [path for path in scratch.rglob("*") if path.is_file()]

    def landed(self, source: str) -> list[landing.Delivery]:
        return landing.deliveries(self.pipeline.store, DISTRICT, source)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.pipeline.warehouse.transaction() as session:
            return session.rows(sql)

    def history(self, source: str) -> list[tuple[str, str]]:
        """Status and message of every sync of a source, the oldest first."""
        return [
            (status, message)
            for status, message in self.rows(
                "select status, message from ops.sync_history"
                f" where source = '{source}' order by sync_id"
            )
        ]


HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJLWAz9n5P0oligs5vGNRRdaD78vS4Cozsj7mlAy7Odo"


@contextmanager
def installed(
    folder: Path,
    vendors: Vendors,
    start: datetime = NOW,
    warehouse: str = "",
    like: Path | None = None,
) -> Iterator[Installation]:
    """An empty installation in a folder; the vendors forget what they were told before.

    `like` is the folder of another one that nobody uses any more: this one begins with what that
    one had landed and loaded.
    """
    variables = {"EDPIPELINE_HOME": str(folder / "home"), "UNUSED": "x", **SECRETS}
    variables["EDPIPELINE_SCRATCH"] = str(folder / "scratch")
    if warehouse:
        variables["EDPIPELINE_WAREHOUSE"] = warehouse
    with provided(variables):
        pipeline = Pipeline(load_settings())
        if like is None:
            (folder / "home").mkdir(parents=True)
            prepare_from_copy(open_warehouse(pipeline.settings.warehouse.get_secret_value()))
        else:
            shutil.copytree(like / "home", folder / "home")
        (folder / "scratch").mkdir()
        vendors.reset()
        vendors.set_clock(start)
        yield Installation(folder, pipeline, vendors, start).configure()


@contextmanager
def served() -> Iterator[Vendors]:
    """Both vendors, for the students of a small district."""
    with vendor_servers(VendorWorld(size=SMALL, now=NOW)) as vendors:
        yield vendors
