"""A district that asks the sandbox's score report service, a real server on loopback."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from edpipeline import sources, surveying
from edpipeline.landing.drop import Delivery
from edpipeline.loading.report import SyncReport
from edpipeline.pipeline import Pipeline
from edpipeline.sandbox.roster import SMALL
from edpipeline.sandbox.vendors import Vendors, VendorWorld, vendor_servers
from edpipeline.settings import load_settings, provided
from edpipeline.surveying import Survey
from edpipeline.warehouse.engine import open_warehouse
from edpipeline_tests.prepared import empty, prepare_from_copy

DISTRICT = "quillmere"
SOURCE = sources.source("score_reports")
NOW = datetime(2027, 3, 10, 11, 0, tzinfo=UTC)
"""Three in the morning in California."""
WORLD = VendorWorld()
USERNAME, CHARTER = WORLD.score_reports_username, WORLD.score_reports_charter_username
SECRETS = {
    "SR_KEY": USERNAME,
    "SR_SECRET": WORLD.score_reports_secret,
    "CHARTER_KEY": CHARTER,
    "CHARTER_SECRET": WORLD.score_reports_charter_secret,
}
QUICK = {
    **{"backoff_s": "0.005", "backoff_most_s": "0.01", "connect_s": "2", "read_s": "0.5"},
    "tries": "2",
}
DEFAULT = {
    "name": "LEA",
    "client_key_env": "SR_KEY",
    "client_secret_env": "SR_SECRET",
    "expires_on": "2099-01-01",
}
OF_CHARTER = {
    "name": "charter",
    "client_key_env": "CHARTER_KEY",
    "client_secret_env": "CHARTER_SECRET",
    "expires_on": "2099-01-01",
    "schools": ["0103"],
}
REPORT = {"type": "CAASPP", "lang": "EN", "year": 2026, "grade": "05"}
SCIENCE = {"type": "CAST", "lang": "EN", "year": 2026, "grade": "05"}
OLD_SCIENCE = {**SCIENCE, "type": "CST"}
SPANISH = {**REPORT, "lang": "ES", "year": 2025, "grade": "04"}
DAY = 24 * 60
Loaded = Callable[[SyncReport, Delivery], None]


def ssid(number: int) -> str:
    """A number that begins with zeros."""
    return f"{number:010d}"


@dataclass(frozen=True)
class Installation:
    """One district and the service."""

    folder: Path
    pipeline: Pipeline
    vendors: Vendors

    def configure(self, **changes: Any) -> "Installation":
        """The same installation with other settings in the districts file."""
        use: dict[str, Any] = {
            "enabled": True,
            "base_url": self.vendors.score_reports_url,
            "configurations": [DEFAULT],
            "api": {"http": QUICK},
            "pace": {"per_second": 5000, "at_once": 3},
            **changes,
        }
        return self.write({"score_reports": use})

    def write(self, uses: Mapping[str, Any]) -> "Installation":
        """The same installation with these sources in the districts file."""
        zone = "America/Los_Angeles"
        entry = {"id": DISTRICT, "name": "Quillmere", "time_zone": zone, **uses}
        self.pipeline.settings.districts.write_text(json.dumps({"districts": [entry]}))
        return replace(self, pipeline=Pipeline(self.pipeline.settings))

    def roster(self, students: Mapping[str, str | None], school: str = "0101") -> "Installation":
        """A roster of these students alone: their state ids by sourcedId."""
        rows = [(student, school, True, state) for student, state in students.items()]
        return self.fill(pl.DataFrame(rows, schema=STUDENT, orient="row"))

    def fill(self, students: pl.DataFrame) -> "Installation":
        """The same with every column of `STUDENT`, as the marts have it."""
        path = self.folder / "students.parquet"
        students.write_parquet(path)
        kinds = {name: "boolean" if name == "is_current" else "varchar" for name in STUDENT}
        with self.pipeline.warehouse.transaction() as session:
            session.stage("students", [path], kinds)
            session.run("create schema if not exists marts")
            for table in ("dim_student", "dim_student_identifier"):
                session.run(f"drop table if exists marts.{table}")
            session.run(
                f"create table marts.dim_student as select cast('{DISTRICT}' as varchar)"
                " as district_id, student_id, school_id, is_current, state_id from students"
            )
            field = "select district_id, '{}' as match_field, trim({}) as match_value, student_id,"
            of = " is_current from marts.dim_student where {} is not null"
            each = [
                field.format(name, column) + of.format(column)
                for name, column in (("state_user_id", "state_id"), ("sourced_id", "student_id"))
            ]
            session.run(f"create table marts.dim_student_identifier as {' union all '.join(each)}")
        return self

    def survey(self, minutes: float = 0, loaded: Loaded | None = None) -> Survey:
        """Ask so many minutes after the start, by the service's clock and ours."""
        at = NOW + timedelta(minutes=minutes)
        self.vendors.set_clock(at)
        found = surveying.poll_and_load(self.pipeline, DISTRICT, SOURCE, at, "sam", loaded=loaded)
        assert all(report.status == "loaded" for report in found.reports), [
            report.message for report in found.reports
        ]
        assert not [file for report in found.reports for file in report.files if file.rejected]
        return found

    def is_due(self, minutes: float = 0) -> bool:
        return surveying.is_due(self.pipeline, DISTRICT, SOURCE, NOW + timedelta(minutes=minutes))

    def asked(self) -> list[str]:
        """The numbers that the service was asked about, in order."""
        paths = [call["path"] for call in self.vendors.calls()]
        return [path.split("/")[4] for path in paths if "/students/" in path]

    def tokens(self) -> int:
        """How often a token was asked for."""
        return self.vendors.counts("score_reports").get("GET /api/v1/token", 0)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.pipeline.warehouse.transaction() as session:
            return session.rows(sql)

    def outcomes(self, column: str = "outcome") -> dict[str, Any]:
        """What the last request about each student came to."""
        return dict(
            self.rows(f"select student_id, {column} from score_reports.current_requests order by 1")
        )

    def catalog(self, *columns: str) -> list[tuple[Any, ...]]:
        return self.rows(
            f"select {', '.join(columns)} from score_reports.current_catalog"
            " order by ssid, report_type, language, report_year, report_format"
        )


STUDENT: dict[str, Any] = {
    "student_id": pl.String(),
    "school_id": pl.String(),
    "is_current": pl.Boolean(),
    "state_id": pl.String(),
}


@contextmanager
def installed(folder: Path, vendors: Vendors, warehouse: str = "") -> Iterator[Installation]:
    """An empty installation in a folder; the service forgets what it was told before.

    A `warehouse` that is there already is emptied.
    """
    variables = {"EDPIPELINE_HOME": str(folder / "home"), **SECRETS}
    variables["EDPIPELINE_SCRATCH"] = str(folder / "scratch")
    if warehouse:
        variables["EDPIPELINE_WAREHOUSE"] = warehouse
    with provided(variables):
        pipeline = Pipeline(load_settings())
        (folder / "home").mkdir(parents=True)
        (folder / "scratch").mkdir()
        opened = open_warehouse(pipeline.settings.warehouse.get_secret_value())
        prepare_from_copy(opened)
        if warehouse:
            empty(opened)
        vendors.reset()
        vendors.set_clock(NOW)
        yield Installation(folder, pipeline, vendors).configure()


@contextmanager
def served() -> Iterator[Vendors]:
    """The service, for the students of a small district."""
    world = replace(WORLD, size=SMALL, now=NOW, score_reports_charter_school="0103")
    with vendor_servers(world) as vendors:
        yield vendors
