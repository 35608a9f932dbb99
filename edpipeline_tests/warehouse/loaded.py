"""A small synthetic district, loaded from files as in production, for tests of what comes after."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from edpipeline.landing import drop as landing
from edpipeline.landing.store import open_store
from edpipeline.loading.options import LoadOptions
from edpipeline.loading.report import SyncReport
from edpipeline.loading.sync import Sync
from edpipeline.sandbox.roster import POWERSCHOOL, Dialect, Size, schools, write_roster
from edpipeline.sources import source
from edpipeline.warehouse.engine import Warehouse, open_warehouse
from edpipeline.warehouse.schema import prepare

SQL = Path(__file__).parents[2] / "sql"
TINY = Size(students=60, schools=3, guardians=1.0)
FIRST_DAY = date(2026, 9, 1)


def prepared(url: str) -> Warehouse:
    """An empty warehouse with every table."""
    warehouse = open_warehouse(url)
    prepare(warehouse, [source("oneroster")], SQL)
    return warehouse


def load_nights(
    warehouse: Warehouse,
    folder: Path,
    *,
    district_id: str = "demo",
    dialect: Dialect = POWERSCHOOL,
    nights: Sequence[int] = (0, 1),
    size: Size = TINY,
) -> list[SyncReport]:
    """Land and load one delivery a night; each has broken rows, and changes by a tenth."""
    store = open_store(str(folder / "landing"))
    options = LoadOptions(
        first_sync_needs_approval=False,
        schools=schools(size) if dialect is POWERSCHOOL else {},
        removal_percent=100,
    )
    sync = Sync(store, warehouse, source("oneroster"), district_id, options)
    reports = []
    for night in nights:
        incoming = folder / f"incoming-{district_id}-{night}"
        write_roster(incoming, size, night=night, change=0.1, broken=0.03, dialect=dialect)
        now = datetime.now(UTC)
        arrived = [landing.Arrived(path.name, path, now) for path in sorted(incoming.glob("*.csv"))]
        day = FIRST_DAY + timedelta(days=night)
        landing.land(store, district_id, "oneroster", day, arrived, now, "test")
        reports.append(sync.load_day(day))
    return reports
