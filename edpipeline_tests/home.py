"""An installation for a test: a home folder, a districts file, and a real SFTP server.

with opened_home(tmp_path) as home:
    home.send(files(rows()))
    home.pipeline.deliver(home.district_id, ...)
"""

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import yaml

from edpipeline.landing.stability import LookSettings
from edpipeline.pipeline import Pipeline
from edpipeline.sandbox.sftp_server import SftpServer, sftp_server
from edpipeline.settings import load_settings, provided
from edpipeline.warehouse.engine import open_warehouse
from edpipeline_tests.district import SCHOOLS
from edpipeline_tests.prepared import prepare_from_copy

SECRET = "a password that nobody may see"
PASSWORD = "LINCOLN_SFTP_PASSWORD"
AT_ONCE = LookSettings(min_seconds=0, quiet_seconds=0)


@dataclass(frozen=True)
class Home:
    """A home with the district `lincoln`, whose files were always sent an hour ago."""

    folder: Path
    server: SftpServer
    pipeline: Pipeline
    district_id: str = "lincoln"

    def send(self, delivered: Mapping[str, bytes], age_seconds: float = 3600) -> None:
        """Put files into the account's folder."""
        for name, content in delivered.items():
            path = self.server.folder(self.district_id) / name
            path.write_bytes(content)
            at = time.time() - age_seconds
            os.utime(path, (at, at))

    def load_roster(self, delivered: Mapping[str, bytes], day: date) -> None:
        """A delivery of that day lands and is loaded; the tables for analysts stay as they are."""
        folder = self.folder / "delivery"
        folder.mkdir(exist_ok=True)
        for name, content in delivered.items():
            (folder / name).write_bytes(content)
        self.pipeline.receive(
            self.district_id, {name: folder / name for name in delivered}, day, now()
        )
        report = self.pipeline.sync(self.district_id, day).load_day(day)
        assert report.applied, report.message

    def list_districts(self, *districts: Mapping[str, Any]) -> None:
        """Write the districts file anew."""
        text = yaml.safe_dump({"districts": list(districts)})
        self.pipeline.settings.districts.write_text(text)

    def lincoln(self, **oneroster: Any) -> dict[str, Any]:
        """The district's entry in the file, with other settings of its roster."""
        sftp = {
            "host": self.server.host,
            "port": self.server.port,
            "username": self.district_id,
            "password_env": PASSWORD,
            "host_key": self.server.host_key_line,
        } | oneroster.pop("sftp", {})
        return {
            "id": self.district_id,
            "name": "Lincoln",
            "time_zone": "America/New_York",
            "oneroster": {"sftp": sftp, "schools": SCHOOLS} | oneroster,
        }

    def again(self) -> "Home":
        """The same home, everything read anew."""
        return replace(self, pipeline=Pipeline(self.pipeline.settings))

    def select(self, sql: str) -> list[tuple[Any, ...]]:
        with self.pipeline.warehouse.transaction() as session:
            return session.rows(sql)


def now() -> datetime:
    return datetime.now(UTC)


@contextmanager
def opened_home(
    folder: Path, warehouse: str = "", like: Path | None = None, **oneroster: Any
) -> Iterator[Home]:
    """`like` is another home, with whose landing, warehouse and tables this one begins."""
    variables = {"EDPIPELINE_HOME": str(folder / "home"), PASSWORD: SECRET}
    if warehouse:
        variables["EDPIPELINE_WAREHOUSE"] = warehouse
    with provided(variables), sftp_server(folder / "sftp", {"lincoln": SECRET}) as server:
        home = Home(folder / "home", server, Pipeline(load_settings()))
        if like is None:
            home.folder.mkdir()
            if not warehouse:
                url = home.pipeline.settings.warehouse.get_secret_value()
                prepare_from_copy(open_warehouse(url), with_marts=True)
        else:
            shutil.copytree(like, home.folder)
        home.list_districts(home.lincoln(**oneroster))
        yield home
