"""A sandbox on this machine: a district's SFTP server and deliveries, its vendors, an installation.

Everything is kept in one folder, apart from any real installation: warehouse, landing, inbox,
published tables, districts file, SFTP account, Dagster's instance. The servers are real and the
host key is pinned; people and names are invented; what syncs is the product itself, lived through
in `day.py`. What serves is imported when it is to serve: every command imports this module.
"""

import os
import secrets
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from filelock import FileLock, Timeout

from edpipeline.errors import BadConfiguration, Busy
from edpipeline.landing.drop import deliveries
from edpipeline.pipeline import ROSTER, Pipeline
from edpipeline.sandbox import names
from edpipeline.sandbox.population import Population
from edpipeline.sandbox.roster import DEMO, Size, schools, write_roster
from edpipeline.settings import load_settings, provided

if TYPE_CHECKING:
    import dagster as dg

    from edpipeline.sandbox.sftp_server import SftpServer
    from edpipeline.sandbox.vendors import Vendors, VendorWorld

DISTRICT = "quillmere"
TIME_ZONE = "America/New_York"
PASSWORD = "EDPIPELINE_SANDBOX_SFTP_PASSWORD"
STAR_ID = "EDPIPELINE_SANDBOX_STAR_CLIENT_ID"
STAR_SECRET = "EDPIPELINE_SANDBOX_STAR_CLIENT_SECRET"
SCANTRON_USER = "EDPIPELINE_SANDBOX_SCANTRON_USERNAME"
SCANTRON_PASSWORD = "EDPIPELINE_SANDBOX_SCANTRON_PASSWORD"
POWERPATH_ID = "EDPIPELINE_SANDBOX_TIMEBACK_CLIENT_ID"
POWERPATH_SECRET = "EDPIPELINE_SANDBOX_TIMEBACK_CLIENT_SECRET"
REPORTS_KEY = "EDPIPELINE_SANDBOX_SCORE_REPORTS_CLIENT_KEY"
REPORTS_SECRET = "EDPIPELINE_SANDBOX_SCORE_REPORTS_CLIENT_SECRET"
VENDOR_SECRETS = (
    *(STAR_ID, STAR_SECRET, SCANTRON_USER, SCANTRON_PASSWORD),
    *(POWERPATH_ID, POWERPATH_SECRET, REPORTS_KEY, REPORTS_SECRET),
)
DAGSTER_YAML = Path(__file__).parents[2] / "dagster.yaml"
PORTS = ("port", "vendors-port", "control-port")
"""Where the ports of the last time are kept."""
MARK = "SANDBOX.txt"
MARK_TEXT = (
    "A sandbox of edpipeline: synthetic data. `edpipeline sandbox demo` empties this folder.\n"
)
WRITTEN_BEFORE = timedelta(minutes=25)
"""How long before the window's first look the district has sent its files."""
CHANGE = 0.01
BROKEN = 0.002
SECOND_EVENING = 1
"""The night whose students the vendors know, until a later one was delivered."""


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
        from edpipeline.sandbox.vendors import VendorWorld

        vendors = VendorWorld()
        return {
            "EDPIPELINE_HOME": str(self.folder),
            "EDPIPELINE_WAREHOUSE": f"duckdb://{self.folder}/warehouse.duckdb",
            "EDPIPELINE_LANDING": str(self.folder / "landing"),
            "EDPIPELINE_INBOX": str(self.folder / "inbox"),
            "EDPIPELINE_PUBLISHED": str(self.folder / "published"),
            "EDPIPELINE_DISTRICTS": str(self.districts),
            "DAGSTER_HOME": str(self.dagster_home),
            PASSWORD: self._password(),
            STAR_ID: vendors.star_client_id,
            STAR_SECRET: vendors.star_client_secret,
            SCANTRON_USER: vendors.scantron_username,
            SCANTRON_PASSWORD: vendors.scantron_password,
            POWERPATH_ID: vendors.powerpath_client_id,
            POWERPATH_SECRET: vendors.powerpath_client_secret,
            REPORTS_KEY: vendors.score_reports_username,
            REPORTS_SECRET: vendors.score_reports_secret,
        }

    def population(self, at: datetime) -> Population:
        """The people of the latest delivery, as of an instant's school year."""
        night = self.remembered("night", SECOND_EVENING)
        return Population(self.size, 1, night, CHANGE, school_year(at))

    def vendors(self, at: datetime) -> "VendorWorld":
        """The vendors of the same people, whose clock shows that instant.

        Before the first tests of a school year are over it shows the day after them: a vendor
        without a result would have nothing to show.
        """
        from edpipeline.sandbox.vendors import VendorWorld
        from edpipeline.sandbox.vendors.people import windows

        people = self.population(at)
        tested = windows(people.school_year)[0].last + timedelta(days=1)
        return VendorWorld(
            people.size,
            people.seed,
            people.night,
            people.change,
            people.school_year,
            TIME_ZONE,
            max(at, datetime.combine(tested, time(), UTC)),
        )

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
    """A sandbox whose servers run."""

    world: World
    server: "SftpServer"
    vendors: "Vendors"
    pipeline: Pipeline
    environment: dict[str, str]
    """The whole environment for programs that work in the sandbox."""
    opened: ExitStack
    """What is closed when the sandbox ends."""

    @cached_property
    def dagster(self) -> "dg.DagsterInstance":
        """Dagster's instance; to open it takes as long as a small run."""
        import dagster as dg

        instance = dg.DagsterInstance.from_config(str(self.world.dagster_home))
        return self.opened.enter_context(instance)

    @property
    def today(self) -> date:
        """The delivery day of a roster of now."""
        return self.today_of(ROSTER)

    def today_of(self, source: str) -> date:
        """The delivery day of what arrives now of a source."""
        return self.pipeline.delivery_day(DISTRICT, datetime.now(UTC), source)


@contextmanager
def running(
    folder: Path, *, clean: bool, all_day: bool = False, size: Size = DEMO
) -> Iterator[Running]:
    """Serve a sandbox's SFTP account and vendors until the `with` ends; made if it is not there.

    `clean` empties it first. `all_day` keeps the district's windows open round the clock. Raises
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
        vendors = stack.enter_context(_vendors_served(world))
        ports = (server.port, vendors.port, vendors.control_port)
        for name, port in zip(PORTS, ports, strict=True):
            world.remember(name, port)
        _write_districts(world, server, vendors, all_day)
        pipeline = Pipeline(load_settings())
        yield Running(world, server, vendors, pipeline, environment, stack)


def school_year(at: datetime) -> int:
    """The year in which the school year of an instant ends."""
    return at.year + (at.month >= 7)


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
            school_year=school_year(written_at),
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


@contextmanager
def _served(world: World) -> Iterator["SftpServer"]:
    """The SFTP server, on the port it had before where that is still free."""
    from edpipeline.sandbox.sftp_server import sftp_server

    accounts = {DISTRICT: world.variables()[PASSWORD]}
    root, key = world.folder / "sftp", world.folder / "host-key"
    with ExitStack() as stack:
        try:
            before = world.remembered("port", 0)
            server = stack.enter_context(sftp_server(root, accounts, key, before))
        except OSError:
            server = stack.enter_context(sftp_server(root, accounts, key))
        yield server


@contextmanager
def _vendors_served(world: World) -> Iterator["Vendors"]:
    """The vendors, on the ports they had before where those are still free."""
    from edpipeline.sandbox.vendors import vendor_servers

    there = world.vendors(datetime.now(UTC))
    before = world.remembered("vendors-port", 0), world.remembered("control-port", 0)
    with ExitStack() as stack:
        try:
            vendors = stack.enter_context(vendor_servers(there, *before))
        except OSError:
            vendors = stack.enter_context(vendor_servers(there))
        yield vendors


def _write_districts(world: World, server: "SftpServer", vendors: "Vendors", all_day: bool) -> None:
    def window(opens: str, closes: str) -> dict[str, str]:
        hours = ("00:00", "00:00") if all_day else (opens, closes)
        return {"opens": hours[0], "closes": hours[1], "time_zone": TIME_ZONE}

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
            "window": window("19:00", "21:00"),
        },
        "star": {
            "enabled": True,
            "data_sharing_confirmed": True,
            "base_url": vendors.star_url,
            "rp_identifier": vendors.world.rp_identifier,
            "username": vendors.world.star_username,
            "client_id_env": STAR_ID,
            "client_secret_env": STAR_SECRET,
            "window": window("02:00", "06:00"),
        },
        "scantron": {
            "enabled": True,
            "base_url": vendors.scantron_url,
            "site_id": vendors.world.site_id,
            "username_env": SCANTRON_USER,
            "password_env": SCANTRON_PASSWORD,
            "window": window("18:00", "23:00"),
        },
        "powerpath": {
            "enabled": True,
            "base_url": vendors.powerpath_url,
            "token_url": vendors.powerpath_token_url,
            "client_id_env": POWERPATH_ID,
            "client_secret_env": POWERPATH_SECRET,
            # Nobody is enrolled for real; elsewhere a person has to decide it.
            "allow_side_effects": True,
            "pairs_from": ["test_assignments", "gradebook"],
            # So that the demo need not wait, nor spare anybody.
            "waits": {"first_minutes": 1 if all_day else 0.01},
            "pace": {"per_second": 1000},
        },
        "score_reports": {
            "enabled": True,
            "base_url": vendors.score_reports_url,
            "configurations": [
                {
                    "name": "District",
                    "client_key_env": REPORTS_KEY,
                    "client_secret_env": REPORTS_SECRET,
                    "expires_on": datetime.now(UTC).date() + timedelta(days=300),
                }
            ],
            "window": window("01:00", "06:00"),
            "pace": {"per_second": 1000, "students_at_once": 5000},
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
    keep = {MARK, ".lock", "host-key", "sftp-password", *PORTS}
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
