"""A district's evenings on this machine: its SFTP server, its deliveries, its own installation.

Everything is kept in one folder, apart from any real installation: warehouse, landing, published
tables, districts file, SFTP account, Dagster's instance. The server is real and its host key
pinned; people and names are invented; what syncs is the product itself.
"""

import os
import secrets
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import yaml
from filelock import FileLock, Timeout

from edpipeline import windows
from edpipeline.errors import BadConfiguration, Busy, Permanent
from edpipeline.landing.drop import deliveries
from edpipeline.landing.stability import LookSettings
from edpipeline.loading.load import Progress
from edpipeline.loading.report import SyncReport, load_reports
from edpipeline.pipeline import ROSTER, Arrival, Pipeline, silent
from edpipeline.sandbox import names
from edpipeline.sandbox.roster import DEMO, Size, schools, write_roster
from edpipeline.sandbox.sftp_server import SftpServer, sftp_server
from edpipeline.settings import load_settings, provided

DISTRICT = "quillmere"
TIME_ZONE = "America/New_York"
PASSWORD = "EDPIPELINE_SANDBOX_SFTP_PASSWORD"
DAGSTER_YAML = Path(__file__).parents[2] / "dagster.yaml"
MARK = "SANDBOX.txt"
MARK_TEXT = (
    "A sandbox of edpipeline: synthetic data. `edpipeline sandbox demo` empties this folder.\n"
)
WRITTEN_BEFORE = timedelta(minutes=25)
"""How long before the window's first look the district has sent its files."""
CHANGE = 0.01
BROKEN = 0.002
FIRST_QUERY = """\
select s.school_name as school,
       case when p.grade in ('KG', '01', '02', '03', '04', '05') then 'K-5'
            when p.grade in ('06', '07', '08') then '6-8' else '9-12' end as grades,
       count(distinct e.user_id) as students,
       count(*) as enrollments
from marts.fct_enrollment e
join marts.dim_school s on s.district_id = e.district_id and s.school_id = e.school_id
join marts.dim_student p on p.district_id = e.district_id and p.student_id = e.user_id
where e.is_current and e.role = 'student'
group by 1, 2
order by 1, 2 desc"""
"""A question that the tables answer."""


@dataclass(frozen=True)
class World:
    """The folder of a sandbox."""

    folder: Path
    size: Size = DEMO

    @property
    def account_folder(self) -> Path:
        """What the district sees as the SFTP server."""
        return self.folder / "sftp" / DISTRICT

    @property
    def dagster_home(self) -> Path:
        """Dagster's instance of the sandbox."""
        return self.folder / "dagster"

    @property
    def districts(self) -> Path:
        """The sandbox's own districts file."""
        return self.folder / "districts.yaml"

    @property
    def password_file(self) -> Path:
        """Holds the account's password; only this user may read it."""
        return self.folder / "sftp-password"

    def variables(self) -> dict[str, str]:
        """What makes edpipeline and Dagster work in this folder and nowhere else."""
        return {
            "EDPIPELINE_HOME": str(self.folder),
            "EDPIPELINE_WAREHOUSE": f"duckdb://{self.folder}/warehouse.duckdb",
            "EDPIPELINE_LANDING": str(self.folder / "landing"),
            "EDPIPELINE_PUBLISHED": str(self.folder / "published"),
            "EDPIPELINE_DISTRICTS": str(self.districts),
            "DAGSTER_HOME": str(self.dagster_home),
            PASSWORD: self._password(),
        }

    def _password(self) -> str:
        if not self.password_file.exists():
            _write_private(self.password_file, secrets.token_urlsafe(18))
        return self.password_file.read_text("ascii")

    def remembered(self, name: str, default: int) -> int:
        """A small number kept between runs."""
        path = self.folder / name
        return int(path.read_text("ascii")) if path.exists() else default

    def remember(self, name: str, number: int) -> None:
        """Keep a small number."""
        (self.folder / name).write_text(f"{number}", "ascii")


@dataclass(frozen=True)
class Running:
    """A sandbox whose SFTP server runs."""

    world: World
    server: SftpServer
    pipeline: Pipeline
    environment: dict[str, str]
    """The whole environment for programs that work in the sandbox."""

    @property
    def today(self) -> date:
        """The delivery day of now."""
        return self.pipeline.delivery_day(DISTRICT, datetime.now(UTC))


@contextmanager
def running(
    folder: Path, *, clean: bool, all_day: bool = False, size: Size = DEMO
) -> Iterator[Running]:
    """Serve a sandbox's SFTP account until the `with` ends; made if it is not there.

    `clean` empties it first. `all_day` keeps the district's window open round the clock. Raises
    BadConfiguration for a folder that holds something else, Busy while it is in use.
    """
    world = World(folder.expanduser().absolute(), size)
    _mark(world.folder)
    with ExitStack() as stack:
        lock = FileLock(world.folder / ".lock")
        try:
            stack.enter_context(lock.acquire(timeout=0))
        except Timeout:
            raise Busy(f"a sandbox is running in {world.folder}; stop it first") from None
        if clean:
            _empty(world)
        world.dagster_home.mkdir(exist_ok=True)
        if DAGSTER_YAML.exists():
            shutil.copyfile(DAGSTER_YAML, world.dagster_home / "dagster.yaml")
        environment = stack.enter_context(provided(world.variables()))
        server = stack.enter_context(_served(world))
        world.remember("port", server.port)
        _write_districts(world, server, all_day)
        yield Running(world, server, Pipeline(load_settings()), environment)


def send(world: World, *, night: int, broken: float, written_at: datetime) -> None:
    """Put a night's delivery into the account's folder, as of an instant."""
    world.remember("night", night)
    with tempfile.TemporaryDirectory(dir=world.folder) as folder:
        written = write_roster(
            Path(folder),
            world.size,
            night=night,
            change=CHANGE,
            broken=broken,
            school_year=written_at.year + (written_at.month >= 7),
        )
        for path in written.paths.values():
            os.utime(path, (written_at.timestamp(), written_at.timestamp()))
            path.replace(world.account_folder / path.name)


@dataclass(frozen=True)
class Sent:
    """A delivery that was put into the account's folder."""

    account_folder: Path
    todays_has_landed: bool
    """True where another delivery of today has been taken before."""


def send_next(folder: Path) -> Sent:
    """Put the delivery after the last one into a sandbox's account.

    Raises BadConfiguration where there is no sandbox.
    """
    world = _existing(folder)
    now = datetime.now(UTC)
    night = world.remembered("night", -1) + 1
    send(world, night=night, broken=BROKEN, written_at=now - timedelta(minutes=5))
    with provided(world.variables()):
        pipeline = Pipeline(load_settings())
        today = pipeline.delivery_day(DISTRICT, now)
        landed = deliveries(pipeline.store, DISTRICT, ROSTER, today, today)
    return Sent(world.account_folder, bool(landed))


def shell_lines(folder: Path) -> list[str]:
    """Lines that point the commands of a POSIX shell at a sandbox; raises BadConfiguration."""
    variables = _existing(folder).variables()
    return [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]


def evening_of(sandbox: Running, day: date) -> datetime:
    """Five minutes into the day's window; or now, where that is still to come."""
    use = sandbox.pipeline.district(DISTRICT).oneroster
    assert use is not None
    return min(windows.opens_at(use.window, day) + timedelta(minutes=5), datetime.now(UTC))


def arrive(sandbox: Running, day: date, night: int, broken: float = 0.0) -> Arrival:
    """The district sends its files, two looks find them whole and still, and they land.

    The looks are made one after the other, by a clock that says they are a minute apart.
    """
    at = evening_of(sandbox, day)
    send(sandbox.world, night=night, broken=broken, written_at=at - WRITTEN_BEFORE)
    first = sandbox.pipeline.deliver(DISTRICT, at - timedelta(minutes=1))
    return sandbox.pipeline.deliver(DISTRICT, at, first.look)


def sync_through_dagster(sandbox: Running, day: date, progress: Progress = silent) -> SyncReport:
    """Load what landed for a day, and refill the marts, as runs of Dagster; the sync's report.

    What Dagster logs goes to a file beside its instance. Raises Permanent where a run ended
    without a report.
    """
    progress("starting Dagster")
    import dagster as dg

    from edpipeline.orchestration.runs import sync_in_process

    settings = sandbox.pipeline.settings
    started = datetime.now(UTC).replace(tzinfo=None)
    log = sandbox.world.dagster_home / "evenings.log"
    with (
        log.open("a") as sink,
        redirect_stderr(sink),
        dg.DagsterInstance.from_config(str(sandbox.world.dagster_home)) as instance,
    ):
        progress("Dagster lands, validates and loads the delivery, and refills the marts")
        sync_in_process(instance, settings, DISTRICT, day, LookSettings(min_seconds=1))
    with sandbox.pipeline.warehouse.transaction() as session:
        found = load_reports(
            session,
            "district_id = $district and delivery_day = $day and started_at >= $started"
            " and replay_of is null",
            district=DISTRICT,
            day=day,
            started=started,
        )
    if not found:
        raise Permanent(f"the run of {day} ended without a report; see {log}")
    return found[0]


def answer(sandbox: Running) -> pl.DataFrame:
    """What `FIRST_QUERY` comes to."""
    with sandbox.pipeline.warehouse.transaction() as session:
        return session.frame(FIRST_QUERY)


@contextmanager
def _served(world: World) -> Iterator[SftpServer]:
    """The SFTP server, on the port it had before where that is still free."""
    accounts = {DISTRICT: world.variables()[PASSWORD]}
    root, key = world.folder / "sftp", world.folder / "host-key"
    with ExitStack() as stack:
        try:
            before = world.remembered("port", 0)
            server = stack.enter_context(sftp_server(root, accounts, key, before))
        except OSError:
            server = stack.enter_context(sftp_server(root, accounts, key))
        yield server


def _write_districts(world: World, server: SftpServer, all_day: bool) -> None:
    window = {"opens": "00:00", "closes": "00:00"} if all_day else {}
    district = {
        "id": DISTRICT,
        "name": names.DISTRICT_NAME,
        "time_zone": TIME_ZONE,
        "oneroster": {
            "sftp": {
                "host": server.host,
                "port": server.port,
                "username": DISTRICT,
                "password_env": PASSWORD,
                "host_key": server.host_key_line,
            },
            "schools": schools(world.size),
            "window": {**window, "time_zone": TIME_ZONE},
        },
    }
    text = yaml.safe_dump({"districts": [district]}, sort_keys=False)
    world.districts.write_text(f"# Written by `edpipeline sandbox`.\n{text}", "utf-8")


def _existing(folder: Path) -> World:
    world = World(folder.expanduser().absolute())
    if not world.account_folder.is_dir():
        raise BadConfiguration(
            f"there is no sandbox in {world.folder}: `edpipeline sandbox demo` makes one"
        )
    return world


def _mark(folder: Path) -> None:
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise BadConfiguration(
            f"{folder} holds something that is not a sandbox, and a sandbox empties its folder:"
            " name another one with --folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).write_text(MARK_TEXT, "utf-8")


def _empty(world: World) -> None:
    """Remove everything but the host key and the password, so that pinned keys stay right."""
    keep = {MARK, ".lock", "host-key", "sftp-password", "port"}
    for path in world.folder.iterdir():
        if path.name in keep:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _write_private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
