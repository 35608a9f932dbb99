"""Erasing a student, and a district, out of a sandbox in which everything has happened."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edpipeline import erasing, sources
from edpipeline.cli import app
from edpipeline.erasing import Erasure, run
from edpipeline.errors import NotFound
from edpipeline.landing import drop as landing
from edpipeline.landing.store import FolderStore
from edpipeline.pipeline import Pipeline
from edpipeline.settings import load_settings, provided
from edpipeline.warehouse.claims import Claim, broken_claims, claims
from edpipeline.warehouse.duck import DuckWarehouse
from edpipeline.warehouse.engine import open_warehouse
from edpipeline.warehouse.results import UNITED
from edpipeline_tests.erased import DISTRICT, fill, found_in, rows, sandbox
from edpipeline_tests.held import close_all, held_open
from edpipeline_tests.prepared import prepare_from_copy

Rows = dict[str, set[tuple[Any, ...]]]
BY = "Robin Hale"
LANDED = (
    *("oneroster", "nwea_map", "act_aspire", "staar", "adam", "scantron", "powerpath"),
    "score_reports",
)
COUNTING = {
    *("marts.dim_assessment", "marts.dim_class", "marts.rpt_school_match"),
    *("marts.rpt_score_report_coverage", "marts.rpt_sync_health", "marts.rpt_upload_quality"),
}
"""Marts that count students or syncs."""
KILLED_AT: tuple[tuple[tuple[Any, str], int], ...] = (
    ((FolderStore, "replace_file"), 11),
    ((run, "_load_anew"), 2),
    ((Pipeline, "refill"), 1),
)
"""Between the record of a drop and its file, and at steps after landing."""


@dataclass(frozen=True)
class Filled:
    """A sandbox that has ended, and the student to be erased from copies of it."""

    folder: Path
    student: dict[str, str]

    @property
    def words(self) -> list[str]:
        """What names the student and nobody and nothing else, wherever it stands."""
        found = [self.student[name] for name in ("username", "email", "identifier", "ssid")]
        student = self.student["student_id"]  # enrollments have ids of the same form
        return [*found, f'"student_id":"{student}"', f'"student_id": "{student}"', f",{student},st"]


@dataclass(frozen=True)
class Erased:
    """A copy from which the student was erased, by requests that were killed, and one more."""

    folder: Path
    done: Erasure
    before: Rows
    after: Rows


@pytest.fixture(scope="module", autouse=True)
def warehouse_files_stay_open_until_they_are_replaced() -> Iterator[None]:
    compact = DuckWarehouse.compact

    def compact_closed(warehouse: DuckWarehouse) -> None:
        close_all()
        compact(warehouse)
        close_all()

    with held_open(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(DuckWarehouse, "compact", compact_closed)
        yield


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Filled:
    folder = tmp_path_factory.mktemp("filled") / "sandbox"
    with sandbox(folder, clean=True) as running:
        student = fill(running)
    shutil.rmtree(folder / "sftp")  # the district's own
    return Filled(folder, student)


@pytest.fixture(scope="module")
def erased(filled: Filled, tmp_path_factory: pytest.TempPathFactory) -> Erased:
    folder = copy_of(filled, tmp_path_factory.mktemp("erased"))
    with sandbox(folder) as running:
        before = rows_of(running.pipeline)
    given = filled.student["email"]
    for step, number in KILLED_AT:
        with sandbox(folder) as running, pytest.MonkeyPatch.context() as patch:
            patch.setattr(*step, killing(getattr(*step), number))
            with pytest.raises(Killed):
                erasing.erase_student(running.pipeline, DISTRICT, given, BY)
    with sandbox(folder) as running:
        done = erasing.erase_student(running.pipeline, DISTRICT, given, BY)
        return Erased(folder, done, before, rows_of(running.pipeline))


class Killed(BaseException):
    pass


def killing(verb: Any, number: int) -> Any:
    """The verb, killed before it does anything the so-manieth time."""
    calls = iter(range(1, number))

    def called(*args: Any, **kwargs: Any) -> Any:
        if next(calls, None) is None:
            raise Killed
        return verb(*args, **kwargs)

    return called


def copy_of(one: Filled | Erased, place: Path) -> Path:
    close_all()
    return Path(shutil.copytree(one.folder, place / "sandbox"))


def rows_of(pipeline: Pipeline) -> Rows:
    with pipeline.warehouse.transaction() as session:
        return rows(session)


def tables_of(found: Rows) -> Rows:
    """Without what tells of syncs."""
    told = ("ops.", "marts.rpt_sync_health", "marts.rpt_upload_quality")
    return {name: of for name, of in found.items() if not name.startswith(told)}


def is_of(student: dict[str, str], row: tuple[Any, ...]) -> bool:
    ids = {student[name] for name in ("student_id", "username", "email", "identifier", "ssid")}
    return any(value in ids for value in row)


def test_a_district_goes_as_a_whole_by_one_command(filled: Filled, tmp_path: Path) -> None:
    folder = copy_of(filled, tmp_path)
    with sandbox(folder) as running:
        command = CliRunner()
        asked = command.invoke(app, ["erase", "--district", DISTRICT, "--by", BY], input="n\n")
        assert asked.exit_code == 1
        assert rows_of(running.pipeline)["roster.users"]
        result = command.invoke(app, ["erase", "--district", DISTRICT, "--by", BY, "--yes"])
        assert result.exit_code == 0, result.output
        assert "warehouse: roster.users" in result.output
        assert not any(rows_of(running.pipeline).values())
        assert landing.deliveries(running.pipeline.store, DISTRICT, "oneroster") == []
        with pytest.raises(NotFound):
            erasing.erase_district(running.pipeline, "nowhere", BY)
    assert found_in(folder, filled.words) == []


def test_nothing_of_an_erased_student_is_left_in_any_byte_or_table(
    filled: Filled, erased: Erased
) -> None:
    places = found_in(filled.folder, filled.words)
    for place in ("warehouse.duckdb", "published/", "inbox/", *(f"landing/{n}/" for n in LANDED)):
        assert any(place in each for each in places), place
    assert found_in(erased.folder, filled.words) == []
    assert not any("drops/000000000000" in str(path) for path in erased.folder.rglob("*"))


def test_killed_at_any_step_the_same_again_ends_it(filled: Filled, erased: Erased) -> None:
    assert erased.done.waiting == 0
    assert erased.done.removed["published: older files"] > 0
    records = records_of(erased.folder)
    assert records
    assert all('"completed": true' in record for record in records)
    assert not any(word in record for word in filled.student.values() for record in records)


def records_of(folder: Path) -> list[str]:
    """What was written down of erasures."""
    records = folder / "landing" / "erasures" / DISTRICT
    return [path.read_text() for path in records.iterdir()]


def test_everybody_elses_rows_are_as_before(filled: Filled, erased: Erased) -> None:
    student = filled.student["student_id"]
    before, after = tables_of(erased.before), tables_of(erased.after)
    for table in before.keys() - COUNTING:
        new, gone = after[table] - before[table], before[table] - after[table]
        if table == "roster.users":
            # A parent is still there, without the child.
            assert {tuple(None if v == student else v for v in row) for row in gone} >= new
            assert len(gone) == len(new) + 1
        else:
            assert not new, table
    for table in ("roster.users", "marts.dim_student", "marts.fct_assessment_result"):
        assert after[table]
        assert not any(is_of(filled.student, row) for row in after[table]), table
    for table in ("assessments.nwea_map", "assessments.staar", "external_tests.assignments"):
        gone = before[table] - after[table]
        assert gone
        assert all(is_of(filled.student, row) for row in gone), table


def test_a_rebuild_gives_the_same_tables_and_every_count_adds_up(
    erased: Erased, tmp_path: Path
) -> None:
    folder = copy_of(erased, tmp_path)
    with sandbox(folder) as running:
        pipeline = running.pipeline
        for source in sources.ALL:
            day = running.today_of(source.name)
            pipeline.sync(DISTRICT, day, source=source.name).rebuild()
        after = tables_of(rows_of(pipeline))
        assert after == tables_of(erased.after)
        counting = [one for one in claims(pipeline.settings.sql) if not reads_marts(one)]
        assert counting
        assert broken_claims(pipeline.warehouse, counting) == {}


def reads_marts(claim: Claim) -> bool:
    return any(table == UNITED or table.startswith("marts.") for table in claim.depends_on)


def test_who_was_erased_is_unknown_and_the_refusal_repeats_no_id(
    filled: Filled, erased: Erased
) -> None:
    with sandbox(erased.folder) as running:
        for id_of in ("student_id", "ssid", "email"):
            with pytest.raises(NotFound) as refused:
                erasing.erase_student(running.pipeline, DISTRICT, filled.student[id_of], BY)
            assert filled.student[id_of] not in str(refused.value)


@pytest.fixture
def on_postgres(filled: Filled, postgres_database_url: str, tmp_path: Path) -> Iterator[Pipeline]:
    """The same landing, some sources of it loaded into PostgreSQL."""
    folder = copy_of(filled, tmp_path)
    with sandbox(folder), provided({"EDPIPELINE_WAREHOUSE": postgres_database_url}):
        prepare_from_copy(open_warehouse(postgres_database_url))
        pipeline = Pipeline(load_settings())
        for name in ("oneroster", "nwea_map", "score_reports"):
            day = pipeline.delivery_day(DISTRICT, datetime.now(UTC), name)
            pipeline.sync(DISTRICT, day, source=name).rebuild()
        pipeline.refill(DISTRICT)
        yield pipeline


def test_nothing_is_left_in_postgres_and_it_says_how_much_was_removed_and_never_whose(
    filled: Filled, on_postgres: Pipeline
) -> None:
    words = filled.words[:4]
    before = repr(rows_of(on_postgres))
    assert all(word in before for word in words)
    given = filled.student["identifier"]
    removed = erasing.erase_student(on_postgres, DISTRICT, given, BY).removed
    after = rows_of(on_postgres)
    assert not any(word in repr(after) for word in words)
    assert not any(is_of(filled.student, row) for row in after["marts.dim_student"])

    assert removed["inbox: lines emptied"] == 1
    assert removed["landing: requests for links"] == 1
    assert removed["landing: imports meant"] > 0
    assert removed["landing: lists shortened"] == 2
    assert removed["files left by killed runs"] == 2
    assert removed["warehouse: roster.users"] == 1
    assert removed["warehouse: ops.access_log"] == 1
    assert removed["published: older files"] > 0
    (record,) = records_of(on_postgres.settings.home)
    assert BY in record
    assert not any(word in record for word in filled.student.values())
