"""`make bench`: district, large, results, pulls, polls and surveys; `ARGS=state`: 40 million.

`ARGS="--no-postgres large"` and the like choose what runs. Prints a Markdown table.
`ARGS="nightly --small 1000 --large 10 --size large"`: an evening of districts.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import measured, nightly, polls, pulls, results, surveys
from edpipeline.sandbox import roster
from edpipeline.sandbox.postgres_server import postgres_server

SIZES = {"district": roster.DISTRICT, "large": roster.LARGE, "state": roster.STATE}
RESULTS = {"map": 2_000_000, "staar": 1_000_000}
"""Rows of a MAP export of 143 columns; lines of a STAAR file of fixed width."""
PEERS = (
    "DuckDB store_rejects: types, no rule, no history",
    "csv and pydantic row by row (told from the first 1,000 rows)",
)
REPEATS = {"district": 3, "large": 3, "state": 1}


@dataclass(frozen=True)
class Measurement:
    """Median seconds and highest peak memory of one thing."""

    seconds: float
    peak_mb: float


def run(name: str, work: Path, night: int, *arguments: str) -> Measurement:
    """Run one measured thing in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.measured", name, str(work), str(night)]
    done = subprocess.run([*command, *arguments], check=True, stdout=subprocess.PIPE, text=True)
    found = Measurement(**json.loads(done.stdout.splitlines()[-1]))
    print(f"  {name} {found.seconds:.1f} s", file=sys.stderr, flush=True)
    return found


def median(found: Sequence[Measurement]) -> Measurement:
    """The median by seconds, with the highest peak."""
    ordered = sorted(found, key=lambda m: m.seconds)
    return Measurement(ordered[len(ordered) // 2].seconds, max(m.peak_mb for m in found))


@contextmanager
def world(size: roster.Size) -> Iterator[Path]:
    """A folder with two nights of a synthetic district, written and landed."""
    with tempfile.TemporaryDirectory(prefix="edpipeline-bench-") as folder:
        work = Path(folder)
        (work / "schools.json").write_text(json.dumps(roster.schools(size)))
        for night in (0, 1):
            roster.write_roster(work / f"night-{night}", size, night=night, change=0.01)
            measured.land(work, night)
        yield work


def duckdb_rows(name: str, work: Path) -> list[list[str]]:
    """First load and next evening on DuckDB, each beside the floor measured around it."""
    floors, firsts, nexts = [], [], []
    for _ in range(REPEATS[name]):
        floors.append(run("floor_duckdb", work, 0))
        (work / "floor.duckdb").unlink()
        (work / "warehouse.duckdb").unlink(missing_ok=True)
        firsts.append(run("load_duckdb", work, 0))
        nexts.append(run("load_duckdb", work, 1))
    floor = median(floors)
    return [
        row(name, "DuckDB bare typed CTAS (the floor)", floor, floor),
        row(name, "first load, validated, history", median(firsts), floor),
        row(name, "next evening, 1 % changed", median(nexts), floor),
    ]


def postgres_rows(name: str, work: Path) -> list[list[str]]:
    """The same on PostgreSQL, beside a bare COPY."""
    with postgres_server() as url:
        floor = run("floor_postgres", work, 0, url)
        first = run("load_postgres", work, 0, url)
        following = run("load_postgres", work, 1, url)
    return [
        row(name, "PostgreSQL bare COPY", floor, floor),
        row(name, "first load, PostgreSQL", first, floor),
        row(name, "next evening, PostgreSQL", following, floor),
    ]


def results_rows(which: str) -> list[list[str]]:
    """The load of an export of results, beside the floor and what people use today."""
    with tempfile.TemporaryDirectory(prefix="edpipeline-bench-") as folder:
        work = Path(folder)
        print(f"{which}: writing {RESULTS[which]:,} rows ...", file=sys.stderr, flush=True)
        source, file = measured.EXPORTS[which]
        if which == "map":
            results.write_map(work / file, RESULTS[which])
        else:
            results.write_staar(work / file, RESULTS[which])
            results.write_split(work / file, work / "staar-split.csv")
            results.write_split(work / file, work / "staar-loaded.csv", loaded_alone=True)
        measured.land_results(work, which)
        print(f"{which}: measuring ...", file=sys.stderr, flush=True)
        floor = run("floor_results", work, 0, which)
        (work / f"floor-{which}.duckdb").unlink()
        ours = run("load_results", work, 0, which)
        again = run("load_results", work, 1, which)
        lines = [row(source, "DuckDB bare typed CTAS (the floor)", floor, floor)]
        if which == "staar":
            narrow = run("floor_results", work, 0, "staar-loaded")
            lines.append(row(source, "DuckDB CTAS of the fields alone that we load", narrow, floor))
        lines += [
            row(source, "first load, validated, history", ours, floor),
            row(source, "the same file a day later", again, floor),
        ]
        lines.append(row(source, PEERS[0], run("peer_rejects", work, 0, which), floor))
        part = run("peer_rows", work, 0, which)
        whole = Measurement(part.seconds * RESULTS[which] / measured.PEER_ROWS, part.peak_mb)
        lines.append(row(source, PEERS[1], whole, floor))
    return lines


def pull_rows() -> list[list[str]]:
    """A pull of a million records, beside the parsing of their JSON; in processor seconds."""
    with tempfile.TemporaryDirectory(prefix="edpipeline-bench-") as folder, pulls.vendor() as url:
        work = Path(folder)
        polars = run("parse_polars", work, 0, url)
        ours = run("pull_star", work, 0, url)
    return [
        row("star", "polars reads the pages (the floor)", polars, polars),
        row("star", "pull: asked for, redacted, written as JSON lines", ours, polars),
    ]


def poll_rows() -> list[list[str]]:
    """Ten thousand open tests polled until all are final, beside bare requests for each."""
    with tempfile.TemporaryDirectory(prefix="edpipeline-bench-") as folder, polls.vendor() as urls:
        work, given = Path(folder), json.dumps(urls)
        floor = run("floor_polls", work, 0, given)
        first = run("poll_all", work, 0, given)
        again = run("poll_all", work, 1, given)
    return [
        row("powerpath", "one bare request for each of 10,000 tests", floor, floor),
        row("powerpath", "poll: listed, asked, imported, asked again, loaded", first, floor),
        row("powerpath", "poll a day later: listed, nothing due", again, floor),
    ]


def survey_rows() -> list[list[str]]:
    """Fifty thousand students surveyed on two days, beside bare requests for each."""
    with tempfile.TemporaryDirectory(prefix="edpipeline-bench-") as folder:
        work = Path(folder)
        with surveys.service() as urls:
            given = json.dumps(urls)
            floor = run("floor_surveys", work, 0, given)
            first = run("survey_all", work, 0, given)
            again = run("survey_all", work, 1, given)
    return [
        row("score_reports", "one bare request for each of 50,000 students", floor, floor),
        row("score_reports", "survey: asked, landed, loaded by chunks", first, floor),
        row("score_reports", "survey a day later: the same reports", again, floor),
    ]


def row(size: str, what: str, found: Measurement, floor: Measurement) -> list[str]:
    """One line of the table."""
    ratio = found.seconds / floor.seconds
    return [size, what, f"{found.seconds:.1f}", f"{ratio:.2f}", f"{found.peak_mb:,.0f}"]


def main(arguments: Sequence[str]) -> None:
    """Measure the sizes that are asked for and print the table."""
    if "nightly" in arguments:
        return nightly.main([each for each in arguments if each != "nightly"])
    asked = [name for name in (*SIZES, "results", "pulls", "polls", "surveys") if name in arguments]
    chosen = [name for name in asked or ("district", "large") if name in SIZES]
    lines = []
    for name in chosen:
        print(f"{name}: writing two nights ...", file=sys.stderr, flush=True)
        with world(SIZES[name]) as work:
            print(f"{name}: measuring ...", file=sys.stderr, flush=True)
            lines += duckdb_rows(name, work)
            if "--no-postgres" not in arguments and name != "state":
                lines += postgres_rows(name, work)
            shutil.rmtree(work / "scratch", ignore_errors=True)
    if not asked or "results" in asked:
        lines += [line for which in RESULTS for line in results_rows(which)]
    if not asked or "pulls" in asked:
        lines += pull_rows()
    if not asked or "polls" in asked:
        lines += poll_rows()
    if not asked or "surveys" in asked:
        lines += survey_rows()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    print(f"{os.cpu_count()} cores, {memory:.0f} GiB of memory; medians; ratio to the floor\n")
    print("| size | what | seconds | ratio | peak MB |\n|---|---|---:|---:|---:|")
    for line in lines:
        print("| " + " | ".join(line) + " |")


if __name__ == "__main__":
    main(sys.argv[1:])
