"""An evening of many districts: a real SFTP server, Dagster's daemon, DuckDB.

Every district is new and delivers its roster before the daemon starts; the evening ends when all
marts are published. The same districts are also taken, loaded and published without Dagster, in one
process: what is left of the processor time is what orchestration costs.

Processor time and memory are those of the daemon and everything it starts, read once a second from
/proc (Linux); the SFTP server is a process of its own and not counted.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from edpipeline.landing.sftp import list_folder
from edpipeline.orchestration.runs import UNFINISHED, limit_pools
from edpipeline.pipeline import Pipeline
from edpipeline.sandbox import roster
from edpipeline.sandbox.dagster_dev import stop
from edpipeline.sandbox.sftp_server import sftp_server
from edpipeline.settings import load_settings, provided
from edpipeline.warehouse.marts import marts
from edpipeline.warehouse.publish import finish_publishing, refill_and_publish

SMALL = roster.Size(students=205, schools=3)
"""About 1,400 enrollments, 230 users and 90 classes."""
SIZES = {"district": roster.DISTRICT, "large": roster.LARGE}
"""What a large one may be: of 150 thousand or of four million enrollments."""
PASSWORD = "EDPIPELINE_BENCH_PASSWORD"
SECRET = "correct horse battery staple"
DIRECTLY = 50, 2
"""Small and large districts that are loaded without Dagster; more would only repeat them."""
MOST_SECONDS = 3 * 3600
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6


@dataclass
class Processes:
    """What a session of processes took."""

    session: int
    cpu: dict[tuple[int, str], float] = field(default_factory=dict)
    """Seconds by process."""
    peak_mb: float = 0.0
    """Of all processes together."""
    largest_mb: float = 0.0

    @property
    def seconds(self) -> float:
        """Processor seconds so far."""
        return sum(self.cpu.values())

    def look(self) -> None:
        """Read what there is now."""
        together = 0.0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == self.session:
                spent = (int(fields[11]) + int(fields[12])) / TICKS
                self.cpu[int(stat.parent.name), fields[19]] = spent
                resident = int(fields[21]) * PAGE_MB
                together += resident
                self.largest_mb = max(self.largest_mb, resident)
        self.peak_mb = max(self.peak_mb, together)


@dataclass(frozen=True)
class World:
    """Districts whose rosters wait for them on an SFTP server."""

    folder: Path
    small: list[str]
    large: list[str]
    size: roster.Size
    """Of the large ones."""
    host_key: str
    port: int

    def districts(self, names: Sequence[str]) -> str:
        """A districts file. Windows are open all day."""
        opened = f"{datetime.now(UTC) - timedelta(hours=6):%H:%M}"
        window = {"opens": opened, "closes": opened, "time_zone": "UTC"}
        found = [
            {
                "id": name,
                "name": name,
                "time_zone": "UTC",
                "oneroster": {
                    "sftp": {
                        "host": "127.0.0.1",
                        "port": self.port,
                        "username": name,
                        "password_env": PASSWORD,
                        "host_key": self.host_key,
                    },
                    "schools": roster.schools(self.size if name in self.large else SMALL),
                    "first_sync_needs_approval": False,
                    "window": window,
                },
            }
            for name in names
        ]
        return yaml.safe_dump({"districts": found})

    @contextmanager
    def installed(
        self, name: str, districts: Sequence[str]
    ) -> Iterator[tuple[Path, dict[str, str]]]:
        """An installation in a folder of its own, and the environment it works in."""
        home = self.folder / name
        home.mkdir()
        (home / "districts.yaml").write_text(self.districts(districts))
        first = date.today().replace(day=1)
        values = {
            "EDPIPELINE_HOME": str(home),
            "EDPIPELINE_FIRST_DAY": first.isoformat(),
            "DAGSTER_HOME": str(home),
            PASSWORD: SECRET,
        }
        with provided(values) as environment:
            yield home, environment


@contextmanager
def world(small: int, large: int, size: roster.Size) -> Iterator[World]:
    """So many districts of 1,700 rows, and so many of this size."""
    with tempfile.TemporaryDirectory(prefix="edpipeline-bench-") as name:
        folder = Path(name)
        smalls = [f"small-{number:04}" for number in range(small)]
        larges = [f"large-{number:02}" for number in range(large)]
        for names, each in ((smalls, SMALL), (larges, size)):
            written = roster.write_roster(folder / f"roster-{each.students}", each)
            for district in names:
                (folder / "sftp" / district).mkdir(parents=True)
                for path in written.paths.values():
                    shutil.copy2(path, folder / "sftp" / district)
        command = [sys.executable, "-m", "benchmarks.nightly", "--serve", str(folder / "sftp")]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdin is not None
            told = json.loads(process.stdout.readline())
            yield World(folder, smalls, larges, size, told["host_key"], told["port"])
            process.stdin.close()


def serve(root: Path) -> None:
    """The SFTP server, until its input ends."""
    with sftp_server(root, {each.name: SECRET for each in root.iterdir()}) as server:
        print(json.dumps({"port": server.port, "host_key": server.host_key_line}), flush=True)
        sys.stdin.read()


def directly(made: World, names: Sequence[str], where: str) -> float:
    """Processor seconds of taking, loading and publishing these districts, in this process."""
    with made.installed(where, names):
        pipeline = Pipeline(load_settings())
        settings, found = pipeline.settings, marts(pipeline.settings.sql)
        pipeline.warehouse  # noqa: B018  # its tables are made once
        began, now = time.process_time(), datetime.now(UTC)
        for name in names:
            day = pipeline.delivery_day(name, now)
            pipeline.take(name, list_folder(pipeline.account(name)), day, now)
            pipeline.sync(name, day).load_day(day)
            refill_and_publish(
                pipeline.warehouse, settings.published, settings.sql, found, name, settings.scratch
            )
        finish_publishing(settings.published, found)
        return time.process_time() - began


def evening(made: World) -> dict[str, Any]:
    """What Dagster's daemon takes for all of them."""
    names = [*made.small, *made.large]
    with made.installed("evening", names) as (home, environment):
        shutil.copy(Path(__file__).parents[1] / "dagster.yaml", home)
        command = [sys.executable, "-m", "dagster._daemon", "run", "-m", "edpipeline.definitions"]
        instance = dg.DagsterInstance.from_config(str(home))
        limit_pools(instance, load_settings())  # its databases are made here
        instance.get_runs(limit=1)
        with (home / "daemon.log").open("wb") as log:
            began = time.monotonic()
            process = subprocess.Popen(
                command, cwd=home, env=environment, stdout=log, stderr=log, start_new_session=True
            )
            taken = Processes(process.pid)
            try:
                wall = _until_published(home, len(names), instance, process, taken, began)
            finally:
                taken.look()
                stop(process)
        return {
            "wall": wall,
            "cpu": taken.seconds,
            "peak_mb": taken.peak_mb,
            "largest_mb": taken.largest_mb,
            "warehouse_mb": (home / "warehouse.duckdb").stat().st_size / 1e6,
            "dagster_mb": sum(f.stat().st_size for f in home.rglob("*.db")) / 1e6,
            "runs": _runs(home),
        }


def _until_published(
    home: Path,
    districts: int,
    instance: dg.DagsterInstance,
    process: "subprocess.Popen[bytes]",
    taken: Processes,
    began: float,
) -> float:
    """Seconds until every district's marts are published and no run is left."""
    published = home / "published" / "dim_student"
    count, told = 0, 0
    while time.monotonic() - began < MOST_SECONDS:
        time.sleep(1)
        taken.look()
        if process.poll() is not None:
            raise SystemExit(f"the daemon ended: {(home / 'daemon.log').read_text()[-2000:]}")
        count = len(list(published.glob("district_id=*/data.parquet")))
        seconds = time.monotonic() - began
        if seconds // 60 > told:
            told = int(seconds // 60)
            print(f"  {told} min: {count:,} published", file=sys.stderr, flush=True)
        unfinished = dg.RunsFilter(statuses=list(UNFINISHED))
        if count == districts and not instance.get_runs(unfinished, limit=1):
            return seconds
    raise SystemExit(f"only {count:,} of {districts:,} districts were published")


def _runs(home: Path) -> dict[str, int]:
    """How many runs of each kind there were; all must have succeeded."""
    runs = dg.DagsterInstance.from_config(str(home)).get_runs()
    failed = [run.run_id for run in runs if run.status != dg.DagsterRunStatus.SUCCESS]
    if failed:
        raise SystemExit(f"{len(failed)} runs failed")
    return {job: sum(run.job_name == job for run in runs) for job in {r.job_name for r in runs}}


def main(arguments: Sequence[str]) -> None:
    """Measure an evening of so many districts, and print it."""
    parser = argparse.ArgumentParser(prog="benchmarks nightly")
    parser.add_argument("--small", type=int, default=100, help="districts of 1,700 rows")
    parser.add_argument("--large", type=int, default=1, help="districts of --size")
    parser.add_argument("--size", choices=SIZES, default="district", help="of the large ones")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.serve:
        return serve(asked.serve)
    with world(asked.small, asked.large, SIZES[asked.size]) as made:
        small, large = (
            directly(made, names[:few], f"directly-{few}") / len(names[:few]) if names else 0.0
            for names, few in zip((made.small, made.large), DIRECTLY, strict=True)
        )
        found = evening(made)
    bare = small * asked.small + large * asked.large
    over = (found["cpu"] - bare) / (asked.small + asked.large)
    print(
        f"{asked.small:,} districts of 1,700 rows and {asked.large} of size {asked.size},"
        " all of them new\n"
    )
    print(
        f"- without Dagster: {small:.2f} processor seconds a small district, {large:.1f} a large"
        f" one, {bare:,.0f} for all"
    )
    print(
        f"- Dagster's evening: {found['wall'] / 60:.1f} minutes, {found['cpu']:,.0f} processor"
        f" seconds ({found['cpu'] / bare:.2f} times), {over:.2f} more a district"
    )
    print(
        f"- {', '.join(f'{count} runs of {job}' for job, count in sorted(found['runs'].items()))}"
    )
    print(
        f"- peak {found['peak_mb']:,.0f} MB of all processes together, the largest"
        f" {found['largest_mb']:,.0f}; warehouse {found['warehouse_mb']:,.0f} MB, Dagster's own"
        f" databases {found['dagster_mb']:,.0f} MB"
    )
    return None


if __name__ == "__main__":
    main(sys.argv[1:])
