"""The things that are measured, each run in a process of its own so that its memory is its own."""

import csv
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import psycopg
from pydantic import create_model

from benchmarks import polls, pulls, results, surveys
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


def peer_rejects(work: Path, _: int, which: str) -> None:
    """DuckDB with `store_rejects`: types alone, no rule, no key, no history."""
    table, names, file, days = _floor_of(which)
    target = work / f"rejects-{which}.duckdb"
    results.floor(work / file, target, table, names, days, ", store_rejects = true")
    target.unlink()


PEER_ROWS = 1_000
"""So many rows are enough to time what works row by row."""


def peer_rows(work: Path, _: int, which: str) -> None:
    """A hand-written script: csv, a pydantic model for each row, executemany; the first rows."""
    table, names, file, _days = _floor_of(which)
    numbers = {column.name for column in table.columns if column.kind == "number"}
    fields: dict[str, Any] = {
        column: (float | None if column in numbers else str | None, None)
        for column in names.values()
    }
    model = create_model("Result", **fields)
    with duckdb.connect() as connection, (work / file).open(newline="") as lines:
        columns = ", ".join(
            f"{column} {'double' if column in numbers else 'varchar'}" for column in fields
        )
        connection.execute(f"create table results ({columns})")
        marks = ", ".join("?" * len(fields))
        rows = csv.DictReader(lines)
        for batch in batched(islice(rows, PEER_ROWS), 1000):
            checked = [
                tuple(
                    model.model_validate(
                        {names[header]: value or None for header, value in each.items()}
                    )
                    .model_dump()
                    .values()
                )
                for each in batch
            ]
            connection.executemany(f"insert into results values ({marks})", checked)


def batched(rows: Iterator[dict[str, str]], size: int) -> Iterator[list[dict[str, str]]]:
    """Rows in lists of at most so many."""
    while batch := list(islice(rows, size)):
        yield batch


def floor_results(work: Path, _: int, which: str) -> None:
    """DuckDB's bare typed load of an export; of fixed width, of the same already split."""
    table, names, file, days = _floor_of(which)
    results.floor(work / file, work / f"floor-{which}.duckdb", table, names, days)


def _floor_of(which: str) -> tuple[Table, dict[str, str], str, str]:
    """Table, columns by header, file and form of dates of an export as CSV."""
    if which == "map":
        return source("nwea_map").table("nwea_map"), results.map_names(), "map.csv", "%m/%d/%Y"
    loaded_alone = which == "staar-loaded"
    names = {name: name for name in results.staar_fields(loaded_alone)}
    file = "staar-loaded.csv" if loaded_alone else "staar-split.csv"
    return source("staar").table("staar"), names, file, "%m%d%Y"


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


MEASURED: dict[str, Callable[..., float | None]] = {
    "floor_duckdb": floor_duckdb,
    "load_duckdb": load_duckdb,
    "floor_postgres": floor_postgres,
    "load_postgres": load_postgres,
    "floor_results": floor_results,
    "load_results": load_results,
    "peer_rejects": peer_rejects,
    "peer_rows": peer_rows,
    "pull_star": pulls.pull_star,
    "parse_polars": pulls.parse_polars,
    "floor_polls": polls.floor_polls,
    "poll_all": polls.poll_all,
    "floor_surveys": surveys.floor_surveys,
    "survey_all": surveys.survey_all,
}


def main() -> None:
    """Run one thing and print its seconds, or those it says itself, and peak memory as JSON."""
    name, work, night, *rest = sys.argv[1:]
    started = time.perf_counter()
    own = MEASURED[name](Path(work), int(night), *rest)
    seconds = time.perf_counter() - started if own is None else own
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak_mb": peak}))


if __name__ == "__main__":
    main()
