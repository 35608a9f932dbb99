"""Stamps: columns that change without the row changing, and what becomes of them."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from edpipeline import sources
from edpipeline.landing import drop as landing
from edpipeline.landing.drop import Arrived
from edpipeline.landing.store import FolderStore
from edpipeline.loading.options import LoadOptions
from edpipeline.loading.report import FileReport
from edpipeline.loading.sync import Sync
from edpipeline.warehouse.engine import Warehouse, open_warehouse
from edpipeline_tests.prepared import prepare_from_copy

DISTRICT, SOURCE = "quillmere", sources.source("score_reports")
NOON = datetime(2027, 3, 10, 20, tzinfo=UTC)
OPTIONS = LoadOptions(first_sync_needs_approval=False)
CATALOG: dict[str, Any] = {
    **{"ssid": "0000000001", "report_type": "CAST", "type_given": "CAST", "language": "EN"},
    **{"report_year": 2026, "grade": "05", "has_link": True, "configuration": "LEA"},
}


class Days:
    """A district to which rows of the catalogue are delivered, one delivery at a time."""

    def __init__(self, warehouse: Warehouse, folder: Path) -> None:
        self.warehouse, self.folder = warehouse, folder
        self.store = FolderStore(folder / "landing")
        self.sync = Sync(self.store, warehouse, SOURCE, DISTRICT, OPTIONS, folder)

    def deliver(self, at: datetime, **row: Any) -> FileReport:
        """Land and load one row, seen at that instant; the counts of its file."""
        stamps = dict.fromkeys(("first_seen_at", "last_seen_at"), f"{at:%Y-%m-%dT%H:%M:%S.%fZ}")
        path = self.folder / "catalog.jsonl"
        path.write_text(json.dumps({**CATALOG, **stamps, **row}) + "\n")
        arrived = [Arrived(path.name, path, at)]
        landing.land(self.store, DISTRICT, SOURCE.name, at.date(), arrived, at, "by hand")
        report = self.sync.load_day(at.date())
        return next(file for file in report.files if file.file_name == path.name)

    def versions(self) -> list[tuple[Any, ...]]:
        """Grade, days from the first to when it was first and last seen, and the version's days."""
        with self.warehouse.transaction() as session:
            rows = session.rows(
                "select grade, first_seen_at, last_seen_at, valid_from, valid_to"
                " from score_reports.catalog order by valid_from, line"
            )
        first = NOON.replace(tzinfo=None)
        return [
            (grade, (begun - first).days, (seen - first).days, *map(_day, days))
            for grade, begun, seen, *days in rows
        ]


def _day(day: date | None) -> int | None:
    return None if day is None else (day - NOON.date()).days


@pytest.fixture
def days(warehouse_url: str, tmp_path: Path) -> Days:
    warehouse = open_warehouse(warehouse_url)
    prepare_from_copy(warehouse)
    return Days(warehouse, tmp_path)


def test_a_stamp_follows_the_latest_delivery_without_a_new_version(days: Days) -> None:
    assert days.deliver(NOON).added == 1
    report = days.deliver(NOON + timedelta(days=2))
    assert (report.unchanged, report.changed, report.added) == (1, 0, 0)
    # When it was first seen is what the version that holds began with.
    assert days.versions() == [("05", 0, 2, 0, None)]
    # What changes beside it closes the version, which keeps what it had.
    assert days.deliver(NOON + timedelta(days=5), grade="06").changed == 1
    assert days.versions() == [("05", 0, 2, 0, 5), ("06", 5, 5, 5, None)]
    # Twice on a day, and then everything from landing again.
    days.deliver(NOON + timedelta(days=5, hours=1), grade="06")
    days.deliver(NOON + timedelta(days=6), grade="06")
    found = days.versions()
    assert found == [("05", 0, 2, 0, 5), ("06", 5, 6, 5, None)]
    days.sync.rebuild()
    assert days.versions() == found
