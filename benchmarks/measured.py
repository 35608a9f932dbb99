"""The things that are measured, each run in a process of its own so that its memory is its own."""

import json
import resource
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import psycopg

from benchmarks import results
from edpipeline.landing import drop
from edpipeline.landing.store import open_store
from edpipeline.loading.options import LoadOptions
from edpipeline.loading.sync import Sync
from edpipeline.model import Table
from edpipeline.sources import source
from edpipeline.warehouse.engine import open_warehouse
from edpipeline.warehouse.schema import prepare

DISTRICT = "bench"
ROSTER = source("oneroster")
SQL = Path(__file__).parent.parent / "sql"
TYPED = {"boolean": "boolean", "date": "date", "timestamp": "timestamp"}


def first_day(night: int) -> date:
    """The delivery day of a night of the synthetic district."""
    return date(2026, 9, 1 + night)


def _files(folder: Path) -> list[tuple[Table, Path]]:
    return [(t, folder / t.file) for t in ROSTER.tables if (folder / t.file).exists()]


def _columns(table: Table, path: Path) -> dict[str, str]:
    """Header names with the types our tables give them."""
    with path.open("rb") as file:
        names = file.read(1 << 16).split(b"\r")[0].decode().split(",")
    kinds = {column.header: TYPED.get(column.kind, "varchar") for column in table.columns}
    return {name: kinds.get(name, "varchar") for name in names}


def land(work: Path, night: int) -> None:
    """Land one night's files, as the sync would have."""
    store = open_store(str(work / "landing"))
    folder = work / f"night-{night}"
    arrived = [drop.Arrived(p.name, p, datetime.now(UTC)) for _, p in _files(folder)]
    now = datetime.now(UTC)
    drop.land(store, DISTRICT, ROSTER.name, first_day(night), arrived, now, "benchmark")


def floor_duckdb(work: Path, night: int) -> None:
    """DuckDB's bare typed CREATE TABLE AS SELECT of the same files."""
    target = work / "floor.duckdb"
    target.unlink(missing_ok=True)
    with duckdb.connect(str(target)) as connection:
        for table, path in _files(work / f"night-{night}"):
            columns = json.dumps(_columns(table, path)).replace('"', "'")
            connection.execute(
                f"create table {table.name} as select * from read_csv('{path}', header = true,"
                f" delim = ',', quote = '', new_line = '\\r', columns = {columns})"
            )


def load_duckdb(work: Path, night: int) -> None:
    """Our load: read, checked, references, rejects and history, from landing."""
    _load(work, f"duckdb://{work}/warehouse.duckdb", night)


def load_postgres(work: Path, night: int, url: str) -> None:
    """Our load into PostgreSQL."""
    _load(work, url, night)


def _load(work: Path, url: str, night: int) -> None:
    names = json.loads((work / "schools.json").read_text())
    warehouse = open_warehouse(url)
    prepare(warehouse, [ROSTER], SQL)
    options = LoadOptions(schools=names, first_sync_needs_approval=False)
    store = open_store(str(work / "landing"))
    sync = Sync(store, warehouse, ROSTER, DISTRICT, options, scratch=work / "scratch")
    report = sync.load_day(first_day(night))
    if not report.applied:
        raise SystemExit(f"the load was not applied: {report.message}")


def floor_postgres(work: Path, night: int, url: str) -> None:
    """PostgreSQL's bare COPY of the same files into typed tables."""
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        for table, path in _files(work / f"night-{night}"):
            columns = _columns(table, path)
            typed = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
            cursor.execute(f"drop table if exists floor_{table.name}")  # type: ignore[arg-type]
            cursor.execute(f"create table floor_{table.name} ({typed})")  # type: ignore[arg-type]
            statement = f"copy floor_{table.name} from stdin (format csv, header true)"
            with cursor.copy(statement) as copy, path.open("rb") as file:  # type: ignore[arg-type]
                while block := file.read(1 << 20):
                    copy.write(block)


EXPORTS = {"map": ("nwea_map", "map.csv"), "staar": ("staar", "staar.txt")}
"""Source and file of each export of results."""


def land_results(work: Path, which: str) -> None:
    """Land an export on two days."""
    name, file = EXPORTS[which]
    store = open_store(str(work / "landing"))
    now = datetime.now(UTC)
    arrived = [drop.Arrived(file, work / file, now)]
    for night in (0, 1):
        drop.land(store, DISTRICT, name, first_day(night), arrived, now, "benchmark")


def peer_pandas(work: Path, _: int, which: str) -> None:
    """What a hand-written script does: pandas reads text in pieces and appends it to a table."""
    import pandas

    with duckdb.connect(str(work / "peer.duckdb")) as connection:
        pieces = pandas.read_csv(work / EXPORTS[which][1], dtype=str, chunksize=100_000)
        for number, piece in enumerate(pieces):
            verb = "create table results as" if number == 0 else "insert into results"
            connection.register("piece", piece)
            connection.execute(f"{verb} select * from piece")


def floor_results(work: Path, _: int, which: str) -> None:
    """DuckDB's bare typed load of an export; of fixed width, of the same already split."""
    if which == "map":
        table, names = source("nwea_map").table("nwea_map"), results.map_names()
        file, days = "map.csv", "%m/%d/%Y"
    else:
        table, names = source("staar").table("staar"), results.staar_names()
        file, days = "staar-split.csv", "%m%d%Y"
    results.floor(work / file, work / f"floor-{which}.duckdb", table, names, days)


def load_results(work: Path, night: int, which: str) -> None:
    """Our load of an export, from landing."""
    name, _ = EXPORTS[which]
    warehouse = open_warehouse(f"duckdb://{work}/warehouse-{which}.duckdb")
    prepare(warehouse, [source(name)], SQL)
    options = LoadOptions(
        encodings=("windows-1252",), first_sync_needs_approval=False, match_on="state_user_id"
    )
    store = open_store(str(work / "landing"))
    sync = Sync(store, warehouse, source(name), DISTRICT, options, scratch=work / "scratch")
    report = sync.load_day(first_day(night))
    if not report.applied or report.files[0].rejected:
        raise SystemExit(f"the load was not applied whole: {report.message}")


MEASURED: dict[str, Callable[..., None]] = {
    "floor_duckdb": floor_duckdb,
    "load_duckdb": load_duckdb,
    "floor_postgres": floor_postgres,
    "load_postgres": load_postgres,
    "floor_results": floor_results,
    "load_results": load_results,
    "peer_pandas": peer_pandas,
}


def main() -> None:
    """Run one thing and print its seconds and peak memory as JSON."""
    name, work, night, *rest = sys.argv[1:]
    started = time.perf_counter()
    MEASURED[name](Path(work), int(night), *rest)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak_mb": peak}))


if __name__ == "__main__":
    main()
