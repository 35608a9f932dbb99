"""An installation whose district polls the sandbox's PowerPath, a real server on loopback."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from edpipeline import polling, sources
from edpipeline.loading.report import SyncReport
from edpipeline.pipeline import Pipeline
from edpipeline.polling import Poll
from edpipeline.sandbox.roster import SMALL
from edpipeline.sandbox.vendors import Vendors, VendorWorld, vendor_servers
from edpipeline.settings import load_settings, provided
from edpipeline.warehouse.engine import open_warehouse
from edpipeline_tests.prepared import empty, prepare_from_copy

DISTRICT = "quillmere"
SOURCE = sources.source("powerpath")
NOW = datetime(2027, 3, 10, 16, 0, tzinfo=UTC)
SECRETS = {"PP_ID": "edpipeline-powerpath", "PP_SECRET": "CANARY-powerpath-client-secret"}
QUICK = {
    **{"backoff_s": "0.005", "backoff_most_s": "0.01", "connect_s": "2", "read_s": "0.5"},
    "tries": "2",
}
IMPORT = "importExternalTestAssignmentResults"
PROGRESS = "getAssessmentProgress"
STUDENT, OTHER, LESSON = "S101", "S102", "CR-TEST"
RIGHT, HALF, WRONG, OPEN = {"score": 1}, {"score": 0.5}, {"score": 0}, {"answered": False}
UNGRADED = {"answered": True}
IMPORTS = {"allow_side_effects": True}
PATIENT = {"api": {"http": {**QUICK, "failures_in_a_row": "1000"}}}
"""Settings with which one run meets many failures, and goes on."""


@dataclass(frozen=True)
class Installation:
    """One district and its PowerPath."""

    folder: Path
    pipeline: Pipeline
    vendors: Vendors
    start: datetime = NOW

    def configure(self, **changes: Any) -> "Installation":
        """The same installation with other settings in the districts file."""
        settings: dict[str, Any] = {
            "enabled": True,
            "base_url": self.vendors.powerpath_url,
            "token_url": self.vendors.powerpath_token_url,
            "client_id_env": "PP_ID",
            "client_secret_env": "PP_SECRET",
            "students": "all",
            "api": {"http": QUICK},
            "pace": {"per_second": 1000, "at_once": 2},
            **changes,
        }
        entry = {
            "id": DISTRICT,
            "name": "Quillmere",
            "time_zone": "America/Los_Angeles",
            "powerpath": settings,
        }
        self.pipeline.settings.districts.write_text(json.dumps({"districts": [entry]}))
        return replace(self, pipeline=Pipeline(self.pipeline.settings))

    def watch(self, *lines: str, **changes: Any) -> "Installation":
        """Poll the pairs of a watch list alone."""
        path = self.folder / "watch.csv"
        path.write_text("student_id,lesson_id,skip_enrollment\n" + "\n".join(lines) + "\n")
        listed = {"pairs_from": ["watch_list"], "watch_list": str(path)}
        return self.configure(**listed, **changes)

    def poll(self, minutes: float = 0, loaded: list[SyncReport] | None = None) -> Poll:
        """Poll so many minutes after the start, by the vendor's clock and ours."""
        at = self.start + timedelta(minutes=minutes)
        self.vendors.set_clock(at)
        heard = [] if loaded is None else loaded
        found = polling.poll_and_load(
            *(self.pipeline, DISTRICT, SOURCE, at, "sam@quillmere.example"),
            loaded=lambda report, _: heard.append(report),
        )
        assert all(report.status == "loaded" for report in found.reports), [
            report.message for report in found.reports
        ]
        return found

    def is_due(self, minutes: float = 0) -> bool:
        at = self.start + timedelta(minutes=minutes)
        return polling.is_due(self.pipeline, DISTRICT, SOURCE, at)

    def calls(self, path: str) -> int:
        """How often PowerPath was asked for such a path."""
        counts = self.vendors.counts("powerpath")
        return sum(times for name, times in counts.items() if path in name)

    def told(self) -> dict[str, Any]:
        """What PowerPath counted."""
        state: dict[str, Any] = self.vendors.state()["powerpath"]
        return state

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.pipeline.warehouse.transaction() as session:
            return session.rows(sql)

    def pair(self, *columns: str, student: str = STUDENT) -> tuple[Any, ...]:
        """Columns of the row of a student's pair."""
        (row,) = self.rows(
            f"select {', '.join(columns)} from external_tests.current_assignments"
            f" where student_id = '{student}'"
        )
        return row

    def pairs(self, *columns: str) -> dict[str, tuple[Any, ...]]:
        """Columns of the row of every pair, by its lesson."""
        found = self.rows(
            f"select lesson_id, {', '.join(columns)} from external_tests.current_assignments"
        )
        return {lesson: tuple(cells) for lesson, *cells in found}

    def made(self, *columns: str) -> list[tuple[Any, ...]]:
        """Columns of every import call, in their order."""
        names = ", ".join(columns)
        return self.rows(
            f"select {names} from external_tests.current_import_calls order by call_id"
        )


@contextmanager
def installed(folder: Path, vendors: Vendors, warehouse: str = "") -> Iterator[Installation]:
    """An empty installation in a folder; the vendor forgets what it was told before.

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
def served(**world: Any) -> Iterator[Vendors]:
    """PowerPath, for the students of a small district."""
    small: Mapping[str, Any] = {"powerpath_pairs": 30, **world}
    with vendor_servers(VendorWorld(size=SMALL, now=NOW, **small)) as vendors:
        yield vendors
