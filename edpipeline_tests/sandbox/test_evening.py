import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner, Result

from edpipeline import pulling, uploading
from edpipeline.cli import app
from edpipeline.districts import load_districts
from edpipeline.errors import BadConfiguration, Busy
from edpipeline.landing.drop import deliveries
from edpipeline.landing.sftp import list_folder
from edpipeline.loading.report import load_reports
from edpipeline.pollers import POLLERS
from edpipeline.sandbox import dagster_dev, day, evening
from edpipeline.sandbox.results import write_map_export
from edpipeline.sandbox.roster import SMALL
from edpipeline.settings import provided, secret
from edpipeline.warehouse.engine import open_warehouse
from edpipeline_tests.prepared import prepare_from_copy

pytestmark = pytest.mark.other_processes


def sandbox(folder: Path, clean: bool = True, **options: bool):  # type: ignore[no-untyped-def]
    return evening.running(folder, clean=clean, size=SMALL, **options)


def with_tables(world: evening.Running) -> evening.Running:
    """The demo makes the tables itself, and every other test has copies of some."""
    prepare_from_copy(open_warehouse(world.pipeline.settings.warehouse.get_secret_value()))
    return world


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "sandbox"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """The folder of a demo of a small district that has ended, and what it told."""
    folder = tmp_path_factory.mktemp("demo") / "sandbox"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evening, "running", partial(evening.running, size=SMALL))
        return folder, CliRunner().invoke(app, ["sandbox", "demo", "--folder", str(folder)])


def test_the_demo_lives_through_a_day_and_answers_queries(
    demo: tuple[Path, Result],
) -> None:
    _, result = demo
    assert result.exit_code == 0, result.output
    told = [
        "An SFTP server with a pinned host key runs",
        "First evening",
        "First sync waits for approval",
        "A person looks at it and approves",
        "Completed",
        "Second evening",
        "Completed with errors",
        "users.csv ",
        "hands over an export of NWEA MAP Growth",
        "nwea_combined_2020",
        "Completed with errors",
        "pull from Scantron Performance Series",
        "Completed  quillmere",
        "pull from Renaissance Star",
        "Completed  quillmere",
        "California student score reports",
        "No report or link is kept",
        "External tests at TimeBack PowerPath",
        "assignments.jsonl",
        "more tests are answered and graded; asked about again",
        "assignments.jsonl",
        "which school is which",
        "Farrowmede Learning Annex",
        "Robin Hale takes what is suggested",
        "Results of scantron that count",
        "Results of star that count",
        "warehouse.duckdb",
        "analyst.duckdb",
        "select s.school_name",
        "K-5",
        "All results together",
        "proficient_in_star",
        "marts.fct_external_test",
        "mastery-track",
        "To go on",
        "score-report -d quillmere --student ",
    ]
    rest = result.output
    for words in told:
        before, found, rest = rest.partition(words)
        assert found, f"{words!r} does not follow in: {before}"


def test_both_evenings_go_through_dagster_and_the_second_finds_what_changed(
    demo: tuple[Path, Result],
) -> None:
    with sandbox(demo[0], clean=False) as world:
        with world.pipeline.warehouse.transaction() as session:
            reports = load_reports(session, "source = 'oneroster'")
        answer = day.answer(world, day.ROSTER_QUERY)
        runs = world.dagster.get_runs(dg.RunsFilter(job_name="oneroster_sync"))
    second, loaded, first = reports
    assert (first.status, loaded.status) == ("awaiting_approval", "loaded")
    assert first.drop_id == loaded.drop_id
    assert first.day == loaded.day == second.day - timedelta(days=1)
    assert second.status == "loaded_with_errors"
    assert all(file.read == file.accepted + file.rejected for file in second.files)
    enrollments = second.files[-1]
    assert enrollments.changed + enrollments.added + enrollments.removed > 0
    assert enrollments.unchanged > 0.9 * enrollments.read
    assert answer.columns == ["school", "grades", "students", "enrollments"]
    assert answer["enrollments"].sum() > 1000
    syncs = {f"{each.day}|{evening.DISTRICT}" for each in (first, second)}
    assert {run.tags["dagster/partition"] for run in runs} == syncs


def test_results_of_all_sources_come_through_dagster_and_count(demo: tuple[Path, Result]) -> None:
    with sandbox(demo[0], clean=False) as world:
        jobs = {run.job_name for run in world.dagster.get_runs()}
        with world.pipeline.warehouse.transaction() as session:
            reports = load_reports(session, "source <> 'oneroster'")
            counted = dict(
                session.rows(
                    "select source_system, count(*) from marts.fct_assessment_result"
                    " where objective_code = 'overall' group by 1"
                )
            )
            reasons = set(
                session.rows("select source_system, reject_reason from marts.rpt_unmatched_result")
            )
        export = day.hand_over(world).export
        answer = day.answer(world, day.RESULTS_QUERY)
        tests = day.answer(world, day.TESTS_QUERY)
    names = ("nwea_map", "scantron", "star", "powerpath", "score_reports")
    assert jobs == {"oneroster_sync", "marts_refill", *(f"{name}_sync" for name in names)}
    assert {report.source: report.applied for report in reports} == dict.fromkeys(names, True)
    [uploaded] = next(report for report in reports if report.source == "nwea_map").files
    assert (uploaded.read, uploaded.rejected) == (export.rows, export.rejected)
    assert counted["nwea_map"] == export.rows - export.rejected - export.strangers
    assert all(counted[name] > 100 for name in ("nwea_map", "scantron", "star"))
    assert counted["powerpath"] == tests["attempts"].sum() > tests["final"].sum() > 20
    assert tests["perhaps_enrolled"].sum()
    assert reasons == {
        ("scantron", "school_not_matched"),
        ("star", "school_not_matched"),
        ("nwea_map", "user_not_found"),
    }
    assert answer.select("nwea_map", "scantron", "star").drop_nulls().height


def test_no_file_of_a_sandbox_holds_a_secret_of_the_vendors(demo: tuple[Path, Result]) -> None:
    kept = [path for path in demo[0].rglob("*") if path.is_file()]
    assert len(kept) > 50
    assert [path for path in kept if b"CANARY-" in path.read_bytes()] == []


@pytest.mark.parametrize(
    ("now", "clock", "term"),
    [
        ("2026-07-01 12:00", "2026-10-01 00:00", "Spring 2025-2026"),
        ("2026-09-30 12:00", "2026-10-01 00:00", "Spring 2025-2026"),
        ("2026-11-22 07:00", "2026-11-22 07:00", "Fall 2026-2027"),
        ("2027-02-01 00:00", "2027-02-01 00:00", "Winter 2026-2027"),
        ("2027-06-30 23:00", "2027-06-30 23:00", "Spring 2026-2027"),
    ],
)
def test_there_are_results_on_every_day_of_the_year(
    now: str, clock: str, term: str, tmp_path: Path
) -> None:
    at = datetime.fromisoformat(now).replace(tzinfo=UTC)
    world = evening.World(tmp_path, SMALL)
    vendors, people = world.vendors(at), world.population(at)
    export = write_map_export(tmp_path, people, at.date())
    assert f"{vendors.start:%Y-%m-%d %H:%M}" == clock
    assert vendors.school_year == people.school_year == (2026 if now < "2026-07" else 2027)
    assert export.term == term
    assert export.rows > 100
    assert (
        export.path.read_bytes() == write_map_export(tmp_path, people, at.date()).path.read_bytes()
    )


def test_the_vendors_stop_with_the_sandbox_and_come_back_where_they_were(folder: Path) -> None:
    with sandbox(folder) as world:
        ports = (world.vendors.port, world.vendors.control_port)
        assert [_answers(port) for port in ports] == [True, True]
    assert [_answers(port) for port in ports] == [False, False]
    assert "sandbox-vendors" not in {thread.name for thread in threading.enumerate()}
    with sandbox(folder) as world:
        assert (world.vendors.port, world.vendors.control_port) == ports
        with socket.create_server(("127.0.0.1", 0)) as taken:
            world.world.remember("vendors-port", taken.getsockname()[1])
            other = taken.getsockname()[1]
    with socket.create_server(("127.0.0.1", other)), sandbox(folder, clean=False) as world:
        assert world.vendors.port != other


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_the_accounts_at_the_vendors_work(folder: Path) -> None:
    with sandbox(folder) as world:
        found = pulling.check_accounts(with_tables(world).pipeline, evening.DISTRICT)
        for polls in POLLERS.values():
            found += polls.check_accounts(world.pipeline, evening.DISTRICT)
        secrets = {secret(name).get_secret_value() for name in evening.VENDOR_SECRETS}
        districts = world.world.districts.read_text()
    assert {each.name: each.ok for each in found} == {
        "scantron account": True,
        "star account": True,
        "powerpath account": True,
        "score_reports District": True,
    }
    assert not any(each in districts for each in secrets if each.startswith("CANARY-"))


def test_what_is_handed_over_waits_in_the_inbox(folder: Path) -> None:
    with sandbox(folder) as world:
        given = day.hand_over(world)
        [waiting] = uploading.waiting(world.pipeline, datetime.now(UTC))
    assert given.edition.name == "nwea_combined_2020"
    assert (waiting.source, waiting.whole, waiting.by) == ("nwea_map", True, day.PERSON)
    assert [entry.path for entry in waiting.files] == [given.place]


def test_a_sandbox_uses_nothing_of_the_real_installation(folder: Path, tmp_path: Path) -> None:
    real = {
        f"EDPIPELINE_{name}": str(tmp_path / "real" / name)
        for name in ("HOME", "LANDING", "INBOX", "PUBLISHED", "DISTRICTS")
    }
    real["EDPIPELINE_WAREHOUSE"] = "postgresql://me@127.0.0.1:1/real"
    with provided(real), sandbox(folder) as world:
        described = with_tables(world).pipeline.warehouse.describe()
        assert described == f"DuckDB file {folder}/warehouse.duckdb"
        assert world.pipeline.store.describe() == str(folder / "landing")
        day.arrive(world, world.today, night=0)
        day.hand_over(world)
    assert not (tmp_path / "real").exists()


def test_a_sandbox_keeps_its_host_key_and_password_to_itself(folder: Path) -> None:
    with sandbox(folder) as world:
        key = world.server.host_key_line
        password = secret(evening.PASSWORD).get_secret_value()
        kept = [folder / "host-key", folder / "sftp-password"]
        assert [stat.S_IMODE(path.stat().st_mode) for path in kept] == [0o600, 0o600]
        districts = load_districts(world.world.districts)
        assert password not in world.world.districts.read_text()
    with sandbox(folder) as again:
        assert again.server.host_key_line == key
        assert secret(evening.PASSWORD).get_secret_value() == password
    use = districts.get(evening.DISTRICT).oneroster
    assert use is not None
    assert use.sftp.host_key == key
    with pytest.raises(BadConfiguration):
        secret(evening.PASSWORD)


def test_a_clean_start_removes_what_landed_and_a_usual_one_keeps_it(folder: Path) -> None:
    with sandbox(folder) as world:
        day.arrive(world, world.today, night=0)
    with sandbox(folder, clean=False) as world:
        assert len(deliveries(world.pipeline.store, evening.DISTRICT, "oneroster")) == 1
    with sandbox(folder) as world:
        assert deliveries(world.pipeline.store, evening.DISTRICT, "oneroster") == []
        assert list_folder(world.pipeline.account(evening.DISTRICT)) == ()


def test_a_folder_that_holds_something_else_is_never_emptied(folder: Path) -> None:
    folder.mkdir()
    (folder / "warehouse.duckdb").write_text("dear to somebody")
    with pytest.raises(BadConfiguration, match="not a sandbox"), sandbox(folder):
        pass
    assert (folder / "warehouse.duckdb").read_text() == "dear to somebody"


def test_a_sandbox_that_runs_is_not_started_twice(folder: Path) -> None:
    with (
        sandbox(folder),
        pytest.raises(Busy, match="stop it first"),
        sandbox(folder, clean=False),
    ):
        pass


def test_the_next_delivery_differs_and_tells_whether_todays_has_landed(folder: Path) -> None:
    with pytest.raises(BadConfiguration, match="no sandbox"):
        evening.send_next(folder)
    with sandbox(folder, all_day=True) as world:
        evening.send(
            world.world,
            night=0,
            broken=0,
            written_at=datetime.now(UTC) - timedelta(hours=1),
        )
        before = {path.name: path.read_bytes() for path in world.world.account_folder.iterdir()}
        sent = evening.send_next(folder)
        after = {path.name: path.read_bytes() for path in sent.account_folder.iterdir()}
        assert not sent.todays_has_landed
        assert sorted(before) == sorted(after)
        assert before != after
        day.arrive(world, world.today, night=2)
        assert evening.send_next(folder).todays_has_landed


def test_the_shell_is_pointed_at_the_sandbox(folder: Path) -> None:
    with sandbox(folder):
        lines = CliRunner().invoke(app, ["sandbox", "environment", "--folder", str(folder)])
    assert re.search(rf"^export EDPIPELINE_HOME={folder}$", lines.stdout, re.MULTILINE)
    for name in (evening.PASSWORD, *evening.VENDOR_SECRETS):
        assert re.search(rf"^export {name}=\S", lines.stdout, re.MULTILINE)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_servers_run_until_they_are_told_to_stop(number: signal.Signals, folder: Path) -> None:
    with sandbox(folder):
        pass
    command = [sys.executable, "-m", "edpipeline", "sandbox", "up", "--folder", str(folder)]
    # A shell lets its background jobs ignore interrupts.
    in_background = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *command]
    with subprocess.Popen(in_background, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(4)]
        assert re.search(r"sftp -P \d+", told[0])
        assert re.search(r"http://127\.0\.0\.1:\d+/star", told[2])
        process.send_signal(number)
        assert process.wait(15) == 0


def test_dagster_comes_up_and_goes_down_with_all_it_started(folder: Path) -> None:
    with sandbox(folder, all_day=True) as world:
        running = dagster_dev.start(world.world.dagster_home, world.environment)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{running.port}/server_info") as answer:
                assert answer.status == 200
        finally:
            dagster_dev.stop(running.process)
    deadline = time.monotonic() + 20
    while _of_session(running.process.pid) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert _of_session(running.process.pid) == []


def _of_session(session: int) -> list[int]:
    """Processes of that session; a Dagster leaves none behind."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


def test_the_evening_is_never_in_the_future(folder: Path) -> None:
    with sandbox(folder) as world:
        today = day.evening_of(world, world.today)
        yesterday = day.evening_of(world, world.today - timedelta(days=1))
        assert yesterday < today <= datetime.now(UTC)
        assert world.pipeline.delivery_day(evening.DISTRICT, today) == world.today
