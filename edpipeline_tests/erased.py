"""A sandbox in which everything has happened, to erase somebody from; and how to look for them."""

import io
import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from edpipeline import polling, pulling, sources, surveying, uploading
from edpipeline.landing.accesses import Access, record_access
from edpipeline.landing.drop import Approval, Arrived, approve, land
from edpipeline.loading.accesses import show
from edpipeline.pipeline import Pipeline
from edpipeline.sandbox import day, evening
from edpipeline.sandbox.evening import DISTRICT, Running
from edpipeline.sandbox.roster import Size
from edpipeline.warehouse.engine import Session, open_warehouse
from edpipeline.warehouse.marts import marts, refilled
from edpipeline_tests.held import close_all
from edpipeline_tests.prepared import prepare_from_copy
from edpipeline_tests.results.uploads import fixed_width, sample, table_of

TINY = Size(students=40, schools=2, guardians=1.0)
SAMPLES = (
    ("act_aspire", "act_aspire_summative_2021.csv"),
    ("adam", "adam_k7.csv"),
    ("staar", "staar_38_2025.csv"),
)
KNOWN_BY = ("dim_student", "dim_student_identifier")
"""The marts by which polls, surveys and uploads know the students."""
REMEMBERED = ("row_hash", "warned")
"""What the loader remembers, and is no part of a record."""


@contextmanager
def sandbox(folder: Path, clean: bool = False) -> Iterator[Running]:
    with evening.running(folder, clean=clean, size=TINY, all_day=True) as running:
        yield running


def fill(running: Running) -> dict[str, str]:
    """Two nights, an upload of each kind, pulls, a poll, a survey, a decision; and files that wait,
    are refused, or were left by killed processes. The student to be erased, of whom all know."""
    pipeline, now = running.pipeline, datetime.now(UTC)
    url = pipeline.settings.warehouse.get_secret_value()
    prepare_from_copy(open_warehouse(url), with_marts=True)
    for night in (0, 1):
        at = now - timedelta(hours=25 - 24 * night)
        evening.send(running.world, night=night, broken=0.1, written_at=at - timedelta(hours=1))
        files = {path.name: path for path in running.world.account_folder.iterdir()}
        on = running.today - timedelta(1 - night)
        drop = pipeline.receive(DISTRICT, files, on, at).drop
        if not night:
            seen = Approval(drop.drop_id, DISTRICT, "oneroster", "first_sync", "Ada", now)
            approve(pipeline.store, seen)
        pipeline.sync(DISTRICT, on).load_day(on)
    known = [mart for mart in marts(pipeline.settings.sql) if mart.name in KNOWN_BY]
    with refilled(pipeline.warehouse, pipeline.settings.sql, known, DISTRICT):
        pass  # the others are filled when everything has happened
    day.hand_over(running)
    for waiting in uploading.waiting(pipeline, now + timedelta(hours=1), timedelta(0)):
        uploading.load(pipeline, uploading.land(pipeline, waiting, datetime.now(UTC)))
    pulling.pull_and_load(pipeline, DISTRICT, sources.source("scantron"), datetime.now(UTC))
    for name, polls in (("powerpath", polling), ("score_reports", surveying)):
        polls.poll_and_load(pipeline, DISTRICT, sources.source(name), datetime.now(UTC), "Ada")
    student = _chosen(pipeline)
    _name_everywhere(running, student)
    pipeline.refill(DISTRICT)
    return student


def _chosen(pipeline: Pipeline) -> dict[str, str]:
    with pipeline.warehouse.transaction() as session:
        found = session.frame(
            "select s.sourced_id as student_id, s.username, s.identifier, s.email, s.given_name,"
            " s.family_name, r.ssid from roster.current_users s"
            " join score_reports.requests r on r.student_id = s.sourced_id and r.outcome = 'ok'"
            " join external_tests.results t on t.student_id = s.sourced_id"
            " join assessments.nwea_map m on m.student_id = s.identifier"
            " join assessments.scantron c on c.district_student_id = s.identifier"
            " join roster.users g on g.agent_sourced_ids = s.sourced_id"
            " order by s.sourced_id limit 1"
        )
    return {name: str(value) for name, value in found.row(0, named=True).items()}


def _name_everywhere(running: Running, student: dict[str, str]) -> None:
    """Further places that hold the student."""
    pipeline, now = running.pipeline, datetime.now(UTC)
    folder = running.world.folder / "made"
    folder.mkdir()
    for name, file in SAMPLES:
        found = sample(name, file)
        theirs = next(each for each in (b"000104", b"000103", b"000101") if each in found)
        found = found.replace(theirs, student["identifier"].encode())
        edition = next(e for e in sources.source(name).editions if e.name == Path(file).stem)
        if edition.record_length:
            found = fixed_width(edition, next(iter(edition.headers)), table_of(found.decode()))
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("results.txt", found)
        path = folder / f"{name}.zip"
        path.write_bytes(packed.getvalue())
        _land(pipeline, name, path, now)
    refused = folder / "refused.csv"
    refused.write_text(f"a,b\n1,{student['email']}\n2,nobody@example.org\n")
    _land(pipeline, "adam", refused, now)
    for name, _ in SAMPLES:
        today = running.today_of(name)
        pipeline.sync(DISTRICT, today, source=name).load_day(today)
    access = Access(now, "Ada", student["student_id"], student["ssid"], None, 0)
    record_access(pipeline.store, DISTRICT, "score_reports", access)
    with pipeline.warehouse.transaction() as session:
        show(session, DISTRICT, "score_reports", access)
    place = Path(pipeline.settings.inbox) / DISTRICT / "adam"
    place.mkdir(parents=True)
    refused.replace(place / "waiting.csv")
    landed = Path(pipeline.settings.landing) / "adam" / DISTRICT
    for left in (landed / "drops" / ".01-killed.csv.part", landed / "drops" / f"{0:012}" / "1.csv"):
        left.parent.mkdir(exist_ok=True)
        left.write_text(student["email"])
        os.utime(left, (0, 0))
    shutil.rmtree(folder)


def _land(pipeline: Pipeline, source: str, path: Path, at: datetime) -> None:
    on = pipeline.delivery_day(DISTRICT, at, source)
    land(pipeline.store, DISTRICT, source, on, [Arrived(path.name, path)], at, "a test")


def rows(session: Session) -> dict[str, set[tuple[Any, ...]]]:
    """Every row of every table that has districts, without what the loader remembers."""
    columns = session.rows(
        "select c.table_schema || '.' || c.table_name, c.column_name"
        " from information_schema.columns c join information_schema.tables t"
        " on t.table_schema = c.table_schema and t.table_name = c.table_name"
        " where t.table_type = 'BASE TABLE' and c.table_schema not like 'pg_%'"
        " and c.table_schema <> 'information_schema' order by 1, c.ordinal_position"
    )
    tables: dict[str, list[str]] = {}
    for table, column in columns:
        tables.setdefault(table, []).append(column)
    return {
        table: set(
            session.rows(f"select {', '.join(c for c in of if c not in REMEMBERED)} from {table}")
        )
        for table, of in tables.items()
        if "district_id" in of
    }


def found_in(folder: Path, sought: list[str]) -> list[str]:
    """Files below a folder that hold one of the words: their bytes, and what they unpack to."""
    close_all()  # a file that is open has not everything
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            texts = [path.read_bytes()]
            if path.suffix == ".parquet":
                texts.append(pl.read_parquet(path).write_json().encode())
            if path.suffix == ".zip":
                with zipfile.ZipFile(path) as archive:
                    texts += [archive.read(name) for name in archive.namelist()]
            if path.name == "warehouse.duckdb":
                with duckdb.connect(str(path), read_only=True) as connection:
                    tables = connection.execute(
                        "select schema_name || '.' || table_name from duckdb_tables()"
                    ).fetchall()
                    dumped = [connection.sql(f"select * from {t}").fetchall() for (t,) in tables]
                texts.append(repr(dumped).encode())
            if any(word.encode() in text for text in texts for word in sought):
                found.append(path.relative_to(folder).as_posix())
    return found
