"""An installation for tests: a real SFTP server, landing, warehouse and Dagster instance.

Tests share one, because every test takes districts of its own.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from edpipeline.definitions import build
from edpipeline.landing.stability import LookSettings, RemoteFile
from edpipeline.loading.report import SyncReport, load_reports
from edpipeline.orchestration.partitions import DISTRICTS, partition_key
from edpipeline.orchestration.runs import Asked, DayInProcess, request, sync_in_process
from edpipeline.pipeline import Pipeline
from edpipeline.sandbox.sftp_server import SftpServer, sftp_server
from edpipeline.settings import Settings
from edpipeline.sources import source
from edpipeline.warehouse.engine import open_warehouse
from edpipeline_tests.prepared import prepare_from_copy

ONEROSTER = source("oneroster")
DAY = date(2025, 9, 9)
PASSWORD = "EDPIPELINE_TESTS_SFTP_PASSWORD"
SECRET = "correct horse battery staple"
QUICK = LookSettings(min_seconds=1, quiet_seconds=1)
DISTRICTS_AT_MOST = 200

USERS = "sourcedId,orgSourcedIds,role,username,givenName,familyName,email,grades"
CLASSES = "sourcedId,title,classCode,classType,location,schoolSourcedId,grades,periods"
ENROLLMENTS = "sourcedId,classSourcedId,schoolSourcedId,userSourcedId,role"


def roster(students: int = 20, name: str = "Given", leave_out: int = 0) -> dict[str, str]:
    """A teacher, a class and its students; the first `leave_out` students are not there."""
    numbers = range(1 + leave_out, students + 1)
    users = [
        f"S{n},0101,student,s{n}.login,{name}{n},Family{n},s{n}@example.org,05" for n in numbers
    ]
    seats = [f"E{n},C1,0101,S{n},student" for n in numbers]
    return {
        "users.csv": _file(USERS, "T1,0101,teacher,t1.login,Tea,Cher,t1@example.org,", *users),
        "classes.csv": _file(CLASSES, "C1,Class One,C-1,scheduled,12,0101,05,1"),
        "enrollments.csv": _file(ENROLLMENTS, "E0,C1,0101,T1,teacher", *seats),
    }


def _file(*lines: str) -> str:
    return "".join(f"{line}\r" for line in lines)


@dataclass
class Installation:
    """Everything a test needs."""

    settings: Settings
    server: SftpServer
    instance: dg.DagsterInstance
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    listed: dict[str, dict[str, Any]] = field(default_factory=dict)

    def new_district(self, **use: Any) -> str:
        """A district of its own in the districts file; its first sync needs no approval."""
        district_id = f"district-{next(self.numbers):02}"
        sftp = {
            "host": self.server.host,
            "port": self.server.port,
            "username": district_id,
            "password_env": PASSWORD,
            "host_key": self.server.host_key_line,
        }
        self.listed[district_id] = {
            "sftp": sftp | use.pop("sftp", {}),
            "schools": {"0101": "North"},
            "first_sync_needs_approval": False,
        } | use
        self.instance.add_dynamic_partitions(str(DISTRICTS.name), [district_id])
        self.list_districts(*self.listed)
        return district_id

    def list_districts(self, *district_ids: str) -> None:
        """Let the districts file hold these and no others."""
        found = [
            {
                "id": name,
                "name": name,
                "time_zone": "America/New_York",
                "oneroster": self.listed[name],
            }
            for name in district_ids
        ]
        self.settings.districts.write_text(yaml.safe_dump({"districts": found}))

    def put(self, district_id: str, files: Mapping[str, str], at: datetime) -> list[RemoteFile]:
        """Files appear in the district's folder, written at an instant."""
        folder, seconds = self.server.folder(district_id), int(at.timestamp())
        for name, text in files.items():
            (folder / name).write_bytes(text.encode())
            os.utime(folder / name, (seconds, seconds))
        return [RemoteFile(name, len(text.encode()), seconds) for name, text in files.items()]

    def damage_landing(self, district_id: str, day: date) -> None:
        """A record of a delivery of that day that nobody can read."""
        record = f"{ONEROSTER.name}/{district_id}/deliveries/{day}/20250909T000000000000Z-0.json"
        self.pipeline().store.write_bytes(record, b"{")

    def run(self, district_id: str, day: date, asked: Asked) -> dg.ExecuteInProcessResult:
        """What the daemon does with a request."""
        wanted = request(ONEROSTER, district_id, day, "test", asked)
        return self.job("oneroster_sync").execute_in_process(
            instance=self.instance,
            partition_key=wanted.partition_key,
            run_config=wanted.run_config,
            raise_on_error=False,
        )

    def load(self, district_id: str, day: date, files: Mapping[str, str]) -> SyncReport:
        """Files land and are loaded; Dagster knows nothing of it."""
        self.land(district_id, day, files)
        return self.pipeline().sync(district_id, day).load_day(day)

    def land(self, district_id: str, day: date, files: Mapping[str, str]) -> None:
        """Files come in the evening of a day and are written down, but not loaded."""
        self.put(district_id, files, evening(day))
        paths = {name: self.server.folder(district_id) / name for name in files}
        self.pipeline().receive(district_id, paths, day, evening(day))

    def deliver(
        self, district_id: str, day: date, files: Mapping[str, str]
    ) -> dg.ExecuteInProcessResult:
        """Files appear in the evening of a day and are asked for."""
        seen = self.put(district_id, files, evening(day))
        return self.run(district_id, day, Asked(files=seen))

    def evening(self, district_id: str, day: date) -> DayInProcess:
        """A sync by hand."""
        made = definitions(self.settings)
        return sync_in_process(self.instance, made, self.settings, ONEROSTER, district_id, day)

    def job(self, name: str) -> dg.JobDefinition:
        return definitions(self.settings).resolve_job_def(name)

    def pipeline(self) -> Pipeline:
        return Pipeline(self.settings)

    def reports(self, district_id: str) -> list[SyncReport]:
        """The history of a district, the newest first."""
        with self.pipeline().warehouse.transaction() as session:
            return load_reports(session, "district_id = $district", district=district_id)

    def rows(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        with self.pipeline().warehouse.transaction() as session:
            return session.rows(sql, **parameters)

    def materialized(self, key: str, district_id: str) -> list[str]:
        """The days of a district for which an asset was materialized."""
        asset = dg.AssetKey(key.split("/"))
        found = self.instance.get_materialized_partitions(asset)
        return sorted(one.split("|")[0] for one in found if one.endswith(f"|{district_id}"))


@cache
def definitions(settings: Settings) -> dg.Definitions:
    """What Dagster loads; what it opens, it opens anew in every run."""
    return build(settings, QUICK)


def evening(day: date, minutes: int = 0) -> datetime:
    """Half past seven in New York, in the window of a district, and so many minutes later."""
    return datetime(day.year, day.month, day.day, 23, 30, tzinfo=UTC) + timedelta(minutes=minutes)


def failure(result: dg.ExecuteInProcessResult) -> str:
    """What the failed step of a run says; "" where none failed."""
    for event in result.all_events:
        if event.is_step_failure:
            return str(event.step_failure_data.user_failure_data.description)
    return ""


def checks(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    """The evaluated checks of a run, as `asset/check`."""
    kind = dg.DagsterEventType.ASSET_CHECK_EVALUATION
    found = [e.event_specific_data for e in result.all_events if e.event_type is kind]
    return {f"{one.asset_key.to_user_string()}/{one.check_name}": one for one in found}


def materializations(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetMaterialization]:
    """What a run materialized, by asset."""
    return {
        event.materialization.asset_key.to_user_string(): event.materialization
        for event in result.all_events
        if event.is_step_materialization
    }


def key(district_id: str, day: date = DAY) -> str:
    return str(partition_key(district_id, day))


@contextmanager
def installation(folder: Path) -> Iterator[Installation]:
    accounts = {f"district-{n:02}": SECRET for n in range(1, DISTRICTS_AT_MOST)}
    settings = Settings(
        home=folder / "home", districts=folder / "districts.yaml", first_day=date(2025, 7, 1)
    )
    with (
        sftp_server(folder / "sftp", accounts) as server,
        # In memory: on a disk, recording a run takes longer than running it.
        dg.DagsterInstance.ephemeral(tempdir=str(folder)) as instance,
    ):
        warehouse = open_warehouse(settings.warehouse.get_secret_value())
        prepare_from_copy(warehouse, with_marts=True)
        yield Installation(settings, server, instance)
