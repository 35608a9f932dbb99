"""A small synthetic district, loaded from files as in production, for tests of what comes after."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from edpipeline.landing import drop as landing
from edpipeline.landing.schools import SchoolDecision
from edpipeline.landing.store import open_store
from edpipeline.loading.options import LoadOptions
from edpipeline.loading.report import SyncReport
from edpipeline.loading.schools import mirror_school_matches, record_vendor_schools
from edpipeline.loading.sync import Sync
from edpipeline.sandbox.roster import POWERSCHOOL, Dialect, Size, schools, write_roster
from edpipeline.sources import source
from edpipeline.warehouse.engine import Warehouse, open_warehouse
from edpipeline_tests.prepared import prepare_from_copy
from edpipeline_tests.results.uploads import (
    SAMPLES,
    Uploads,
    fixed_width,
    sample,
    table_of,
)

SQL = Path(__file__).parents[2] / "sql"
TINY = Size(students=60, schools=3, guardians=1.0)
FIRST_DAY = date(2026, 9, 1)


def prepared(url: str, *, with_marts: bool = False) -> Warehouse:
    """An empty warehouse with every table; `with_marts` those of marts too."""
    warehouse = open_warehouse(url)
    prepare_from_copy(warehouse, with_marts=with_marts)
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


FEW = (
    ("nwea_map", "nwea_cdf_2020.csv"),
    ("nwea_map", "bad/impossible_values.csv"),
    ("staar", "staar_38_2025.csv"),
    ("scantron", "scantron_api.csv"),
)
"""Samples with strands, levels, ids that nobody has, schools to be matched, and rows that are
rejected."""
MANY = (
    *FEW,
    ("nwea_map", "bad/corrected_later.csv"),
    ("nwea_map", "nwea_combined_2020.csv"),
    ("staar", "staar_eoc_2025.csv"),
    ("staar", "staar_interim_2025.csv"),
    ("act_aspire", "act_aspire_summative_2021.csv"),
    ("act_aspire", "act_aspire_summative_2019.csv"),
    ("adam", "adam_k7.csv"),
    ("scantron", "scantron_extended.csv"),
    ("star", "star_v2.csv"),
)
"""Of every source, with versions of one result and results that are gone."""


def upload_results(
    warehouse: Warehouse,
    folder: Path,
    samples: Sequence[tuple[str, str]] = FEW,
    *,
    district_id: str = "demo",
    first_day: int = 10,
) -> list[SyncReport]:
    """Upload one sample a day, on days after the nights of `load_nights`.

    The samples' ids (000101 and so on) lack a zero of the synthetic roster's identifiers; one is
    given it here, and some have no student there.
    """
    reports = []
    for day, (name, file) in enumerate(samples, start=first_day):
        uploads = Uploads(warehouse, folder, source(name), district_id=district_id)
        reports.append(uploads.upload(*as_delivered(name, file), day=day))
        assert reports[-1].applied, reports[-1].message
    return reports


def load_poll(
    warehouse: Warehouse, folder: Path, *, district_id: str = "demo", day: int = 40
) -> SyncReport:
    """Load the samples of a poll of PowerPath; its students are known by their identifiers here."""
    uploads = Uploads(warehouse, folder, source("powerpath"), district_id=district_id)
    found = sorted((SAMPLES / "powerpath").glob("*.json*"))
    uploads.land({path.name: path.read_bytes().replace(b'"S0', b'"00001') for path in found}, day)
    report = uploads.load(day)
    assert report.applied, report.message
    return report


def load_score_reports(
    warehouse: Warehouse, folder: Path, *, district_id: str = "demo", day: int = 41
) -> SyncReport:
    """Load the samples of a night of score reports as those of this roster's first students."""
    uploads = Uploads(warehouse, folder, source("score_reports"), district_id=district_id)
    found = {path.name: path.read_bytes() for path in (SAMPLES / "score_reports").glob("*.json*")}
    users = uploads.query(
        "select sourced_id, user_ids from roster.current_users"
        " where district_id = $district and user_ids like '{SSID:%' order by sourced_id"
    )
    for number, user in enumerate(users[:18], start=1):
        ssid = user["user_ids"].removeprefix("{SSID:").removesuffix("}")
        for theirs, ours in (
            (f'"S{number:03}"', f'"{user["sourced_id"]}"'),
            (f'"90000001{number:02}"', f'"{ssid}"'),
        ):
            found = {
                name: content.replace(theirs.encode(), ours.encode())
                for name, content in found.items()
            }
    uploads.land(found, day, match_on="state_user_id")
    report = uploads.load(day)
    assert report.applied, report.message
    return report


def as_delivered(name: str, file: str) -> tuple[bytes, str]:
    """Content and name of a sample's file: editions of fixed width are kept as tables of fields."""
    edition = next((e for e in source(name).editions if e.name == Path(file).stem), None)
    if edition is None or not edition.record_length:
        return sample(name, file).replace(b"000102", b"0000102"), Path(file).name
    table = next(iter(edition.headers))
    records = table_of(sample(name, file).decode())
    return fixed_width(edition, table, records), "results.txt"


DECISIONS = {
    "scantron": {"L1": "0101", "L2": None},
    "star": {"5c4001e5-0000-4000-8000-000000000031": "0102"},
}
"""School of the roster by the vendor's, as a person matched them; None where there is none."""


def copy_rows(duck: Warehouse, postgres: Warehouse, folder: Path) -> None:
    """Give an empty warehouse on PostgreSQL what was loaded on DuckDB; of marts it gets nothing.

    That both load the same of the same files is held by test_same_answers.py.
    """
    with duck.transaction() as session:
        tables = session.rows(
            "select schema_name || '.' || table_name from duckdb_columns()"
            " join duckdb_tables() using (schema_name, table_name)"
            " where column_name = 'district_id' and schema_name <> 'marts'"
        )
        loaded = [name for (name,) in tables if session.rows(f"select 1 from {name} limit 1")]
        for name in loaded:
            session.export(f"select * from {name}", folder / f"{name}.parquet")
    with postgres.transaction() as session:
        for name in loaded:
            columns, staged = session.columns(name), name.replace(".", "_")
            session.stage(staged, [folder / f"{name}.parquet"], columns)
            listed = ", ".join(columns)
            session.run(f"insert into {name} ({listed}) select {listed} from {staged}")
            session.analyze(name)


def match_schools(warehouse: Warehouse, district_id: str) -> None:
    """The vendors list schools, and a person matched some of them."""
    at = datetime(2026, 9, 2, 8, tzinfo=UTC)
    with warehouse.transaction() as session:
        for source_name, decided in DECISIONS.items():
            ids = dict.fromkeys([*decided, *(f"L{n}" for n in range(4))])
            listed = [{"vendor_school_id": n, "vendor_school_name": f"School {n}"} for n in ids]
            record_vendor_schools(session, district_id, source_name, listed, FIRST_DAY)
            decisions = {
                name: SchoolDecision(name, school, "Ada", at) for name, school in decided.items()
            }
            mirror_school_matches(session, district_id, source_name, decisions)
