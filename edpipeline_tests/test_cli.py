"""The command as a person uses it, on a real SFTP server and a real warehouse."""

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from edpipeline.approval import find_waiting
from edpipeline.cli import app, roster
from edpipeline.errors import Permanent
from edpipeline.loading.options import LoadOptions
from edpipeline.preview import preview_delivery
from edpipeline.settings import Settings, load_settings, provided
from edpipeline.sources import source
from edpipeline.warehouse.engine import open_warehouse
from edpipeline_tests.district import Roster, files, rows
from edpipeline_tests.held import close_all
from edpipeline_tests.home import PASSWORD, SECRET, Home, opened_home
from edpipeline_tests.prepared import prepare_from_copy

COMMANDS = [
    "check",
    "preview",
    "upload",
    "editions",
    "sync",
    "match-schools",
    "approve",
    "rebuild",
    "erase",
    "score-report",
    "grant",
    "revoke",
    "history",
    "report",
    "dictionary",
    "alerts",
    "sandbox",
]
PERSONAL = re.compile(r"Family[ST]\d|Given[ST]\d|S\d{3}\b|s\d{3}\.login|E-C\d")
"""What stands in the rows of these tests, and must stand in no answer."""
TODAY = datetime.now(UTC).date()


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster, "SECONDS_BETWEEN_LOOKS", 0)
    monkeypatch.setattr(roster, "SECONDS_TO_WAIT", 0.5)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with opened_home(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose district of 60 students had its first sync three days ago."""
    with opened_home(tmp_path_factory.mktemp("template")) as made:
        first_sync(made)
    close_all()
    return made.folder


@pytest.fixture
def synced(tmp_path: Path, template: Path) -> Iterator[Home]:
    with opened_home(tmp_path, like=template) as made:
        yield made


def run(*arguments: str | Path | date, code: int = 0) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    assert SECRET not in result.output
    assert not PERSONAL.search(result.output), result.output
    return result


def spoiled(roster: Roster) -> Roster:
    """The same with three rows that cannot be used."""
    roster["users"][-1]["role"] = "learner"
    roster["enrollments"][0]["userSourcedId"] = ""
    roster["enrollments"][-1]["beginDate"] = "2026-02-30"
    return roster


def folder_of(tmp_path: Path, delivered: dict[str, bytes]) -> Path:
    folder = tmp_path / "delivery"
    folder.mkdir(exist_ok=True)
    for name, content in delivered.items():
        (folder / name).write_bytes(content)
    return folder


def drop_of(home: Home) -> str:
    """The drop of the latest sync."""
    return str(
        home.select("select drop_id from ops.sync_history order by started_at desc limit 1")[0][0]
    )


def first_sync(home: Home) -> str:
    """The delivery of an earlier day, synced and approved; the drop's id."""
    delivery = folder_of(home.folder, files(rows(students=60)))
    run("sync", "-d", "lincoln", "--from", delivery, "--day", TODAY - timedelta(days=3))
    run("approve", drop_of(home), "--by", "Ada")
    return drop_of(home)


# ---- help and errors


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    assert len(run(command, "--help").output) > 200


def test_the_readme_names_every_command_and_no_other() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    named = set(re.findall(r"^\| `edpipeline ([a-z-]+)[^|]*` \|", readme, re.MULTILINE))
    assert named == set(COMMANDS)


def test_the_command_without_arguments_shows_what_there_is() -> None:
    result = CliRunner().invoke(app, [])
    assert [command for command in COMMANDS if command not in result.output] == []


@pytest.mark.parametrize("command", [["check"], ["sync"], ["history"], ["rebuild"]])
def test_without_a_districts_file_a_command_says_where_to_put_one(
    command: list[str], tmp_path: Path
) -> None:
    with provided({"EDPIPELINE_HOME": str(tmp_path)}):
        if command == ["history"]:
            prepare_from_copy(open_warehouse(load_settings().warehouse.get_secret_value()))
            assert "No such sync" in run(*command).output
            return
        result = run(*command, code=1)
    assert "copy examples/districts.yaml" in result.stderr
    assert result.stdout == ""


def test_a_setting_that_is_wrong_is_said_in_one_sentence() -> None:
    with provided({"EDPIPELINE_MEMORY_LIMIT": "much"}):
        result = run("check", code=1)
    assert result.stderr.startswith("edpipeline: EDPIPELINE_MEMORY_LIMIT: ")
    assert len(result.stderr.splitlines()) == 1


def test_wrong_use_exits_with_2(home: Home) -> None:
    run("sync", "--day", "yesterday", code=2)
    run("report", "x%", code=2)
    run("nonsense", code=2)


def test_a_district_that_is_not_there_is_answered_with_those_that_are(home: Home) -> None:
    assert "it has: lincoln" in run("sync", "-d", "linkoln", code=1).stderr


def test_a_server_that_does_not_answer_exits_with_75(home: Home) -> None:
    home.server.faults.refuse_connections = True
    assert "tried again" in run("sync", code=75).stderr


def test_a_mistake_of_ours_shows_no_text_that_may_hold_a_row(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("FamilyS001")

    monkeypatch.setattr(roster, "open_pipeline", broken)
    result = run("check", code=70)
    assert "ZeroDivisionError" in result.stderr
    assert "--debug" in result.stderr
    shown = CliRunner().invoke(app, ["--debug", "check"])
    assert isinstance(shown.exception, ZeroDivisionError)


def test_the_command_runs_as_a_module_with_nothing_but_a_path(tmp_path: Path) -> None:
    root = str(Path(__file__).parents[1])
    found = subprocess.run(
        [sys.executable, "-m", "edpipeline", "--version"],
        env={"PATH": os.defpath, "PYTHONPATH": root},
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", found.stdout)
    assert list(tmp_path.iterdir()) == []


# ---- check


def test_check_says_that_an_account_is_working(home: Home) -> None:
    home.send(files(rows()))
    assert "Account is working" in run("check").output


def test_check_exits_with_1_and_says_what_is_wrong(home: Home) -> None:
    with provided({PASSWORD: "another"}):
        result = run("check", code=1)
    assert "refused the login" in result.output
    assert "another" not in result.output


# ---- preview


def test_preview_needs_no_configuration_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = folder_of(tmp_path, files(spoiled(rows())))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    output = run("preview", delivery).output
    assert "Usable, with errors" in output
    assert "three-file vendor exchange" in output
    assert "UTF-8, CR, unquoted" in output
    assert re.search(r"users\.csv +14 +13 +1 +13 ", output)
    assert re.search(r"enrollments\.csv +14 +12 +2 ", output)
    assert "bad_code" in output
    assert "bad_date" in output
    assert "line 15" in output
    assert list(Path.cwd().iterdir()) == []


def test_preview_takes_a_zip_or_single_files(tmp_path: Path) -> None:
    delivery = folder_of(tmp_path, files(rows()))
    packed = tmp_path / "roster.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in delivery.iterdir():
            archive.write(path, path.name)
    assert "Usable" in run("preview", packed).output
    assert "Usable" in run("preview", *delivery.iterdir()).output


def test_preview_exits_with_1_where_nothing_can_be_loaded(tmp_path: Path) -> None:
    delivered = files(rows())
    delivered["users.csv"] = b"who,are,they\r1,2,3\r"
    output = run("preview", folder_of(tmp_path, delivered), code=1).output
    assert "Refused" in output
    assert "no_header" in output


def test_preview_calls_no_file_of_a_refused_delivery_loaded(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, files(rows()) | {"users.csv": b""})
    previewed = preview_delivery(
        {path.name: path for path in folder.iterdir()},
        source("oneroster"),
        LoadOptions(),
        TODAY,
        Settings(home=tmp_path, districts=tmp_path / "none.yaml").sql,
    )
    assert not previewed.usable
    assert {file.status for file in previewed.report.files} == {"kept"}


@pytest.mark.parametrize(("separator", "called"), [(b";", "semicolons"), (b"\t", "tabs")])
def test_preview_names_another_separator_than_the_comma(
    tmp_path: Path, separator: bytes, called: str
) -> None:
    delivered = {name: text.replace(b",", separator) for name, text in files(rows()).items()}
    output = run("preview", folder_of(tmp_path, delivered), code=1).output
    said = " ".join(output.split())
    assert f"users.csv is separated by {called}: export it with commas" in said
    assert "Include the column headers in the export" not in said


@pytest.mark.parametrize(
    ("given", "says"),
    [(["nowhere"], "no file or folder"), (["empty"], r"no \*\.csv or \*\.zip")],
)
def test_preview_of_nothing_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: list[str], says: str
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    assert re.search(says, run("preview", *given, code=1).stderr)


def test_preview_writes_every_finding_for_a_spreadsheet(tmp_path: Path) -> None:
    delivered = files(spoiled(rows()))
    delivered["classes.csv"] = delivered["classes.csv"].replace(b"Class 1", b"")
    csv = tmp_path / "findings.csv"
    run("preview", folder_of(tmp_path, delivered), "--csv", csv)
    lines = csv.read_text("utf-8-sig").splitlines()
    assert lines[0] == "file,line,column,record,severity,code,message"
    assert len([line for line in lines if ",error," in line]) >= 4


def test_preview_with_another_edition_reads_it_so(tmp_path: Path) -> None:
    delivery = folder_of(tmp_path, files(rows()))
    output = run("preview", delivery, "--edition", "oneroster_1_1", code=1).output
    assert "OneRoster 1.1" in output


def test_preview_for_a_district_compares_with_its_tables_and_leaves_them(
    synced: Home, tmp_path: Path
) -> None:
    changed = rows(students=61)
    changed["users"][3]["middleName"] = "Q"
    output = run("preview", folder_of(tmp_path, files(changed)), "-d", "lincoln").output
    assert re.search(r"users\.csv +63 +63 +0 +1 +1 +61 ", output)
    assert synced.select("select count(*) from roster.users") == [(62,)]
    assert synced.select("select count(*) from ops.sync_history") == [(2,)]


def test_preview_says_which_removals_would_wait(synced: Home, tmp_path: Path) -> None:
    output = run("preview", folder_of(tmp_path, files(rows(students=40))), "-d", "lincoln").output
    assert "Removals would wait" in output
    assert "20 of 60" in output


# ---- sync, approve, history, report


def test_an_evening_from_the_first_delivery_to_the_tables(home: Home) -> None:
    home.send(files(rows()))
    waiting = run("sync").output
    drop = drop_of(home)
    assert "First sync waits for approval" in waiting
    assert f"edpipeline approve {drop}" in waiting
    assert home.select("select count(*) from roster.users") == [(0,)]

    approved = run("approve", drop[:5], "--by", "Ada", "--note", "looks right").output
    assert f"first sync of lincoln, drop {drop}" in approved
    assert "Completed" in approved
    assert home.select("select count(*) from roster.current_users") == [(14,)]
    assert home.select("select count(*) from marts.dim_student") == [(12,)]
    assert home.select("select approved_by, what, note from ops.approvals") == [
        ("Ada", "first_sync", "looks right")
    ]

    assert "nothing new" in run("sync").output
    history = run("history").output
    assert "waits for approval" in history
    assert "completed" in history
    assert history.count(drop) == 2


def test_a_usual_evening_reports_what_changed_and_what_to_fix(synced: Home, tmp_path: Path) -> None:
    synced.send(files(spoiled(rows(students=61))))
    output = run("sync").output
    assert "Completed with errors" in output
    drop = drop_of(synced)
    report = run("report", drop[:4]).output
    assert "What to fix" in report
    assert "enrollments.csv, line 64, begin_date" in report
    csv = tmp_path / "fix.csv"
    with_csv = run("report", drop, "--csv", csv).output
    assert str(csv) in with_csv
    assert "bad_date" in csv.read_text("utf-8-sig")
    markdown = run("report", drop, "--markdown").output
    assert markdown.count("|") > 50
    assert "| users.csv |" in markdown


def test_a_report_is_found_by_its_sync_too(synced: Home) -> None:
    sync_id = synced.select("select sync_id from ops.sync_history order by sync_id limit 1")[0][0]
    assert "First sync waits" in run("report", sync_id).output


def test_a_drop_that_is_not_there_is_said_so(home: Home) -> None:
    assert "no sync of a drop abcd" in run("report", "abcd", code=1).stderr
    assert "no drop abcd has landed" in run("approve", "abcd", code=1).stderr


def test_removals_above_the_limit_wait_until_they_are_approved(synced: Home) -> None:
    synced.send(files(rows(students=40)))
    output = run("sync").output
    assert "removals wait" in output
    assert "20 of 60" in output
    assert synced.select("select count(*) from roster.current_users") == [(62,)]
    drop = drop_of(synced)
    assert "not first_sync" in run("approve", drop, "--what", "first_sync", code=1).stderr
    approved = run("approve", drop, "--by", "Ada", "--what", "removals").output
    assert "Approved: the removals" in approved
    assert synced.select("select count(*) from roster.current_users") == [(42,)]
    assert synced.select("select count(*) from ops.held_changes") == [(0,)]


def test_a_drop_that_waits_for_nothing_is_not_approved(synced: Home) -> None:
    drop = drop_of(synced)
    assert "waits for nothing" in run("approve", drop, code=1).stderr


def test_a_drop_that_was_followed_by_another_is_not_approved(home: Home) -> None:
    home.send(files(rows()))
    run("sync")
    before = drop_of(home)
    home.send(files(rows(students=13)), age_seconds=1800)
    run("sync")
    assert f"followed by drop {drop_of(home)}" in run("approve", before, code=1).stderr


def test_a_drop_that_was_never_synced_is_not_approved(home: Home, tmp_path: Path) -> None:
    paths = {path.name: path for path in folder_of(tmp_path, files(rows())).iterdir()}
    delivery = home.pipeline.receive("lincoln", paths, date(2026, 9, 1), datetime.now(UTC))
    with pytest.raises(Permanent, match="not synced yet: run `edpipeline sync"):
        find_waiting(home.pipeline, delivery.drop.drop_id)


def test_the_same_bytes_in_two_districts_are_approved_one_by_one(home: Home) -> None:
    grant = home.lincoln() | {"id": "grant"}
    home.list_districts(home.lincoln(), grant)
    delivery = folder_of(home.folder, files(rows()))
    for district in ("lincoln", "grant"):
        run("sync", "-d", district, "--from", delivery)
    drop = drop_of(home)
    assert "waits in grant, lincoln" in run("approve", drop, code=1).stderr
    assert "give more of it, or --district" in run("report", drop, code=1).stderr
    run("approve", drop, "-d", "grant", "--by", "Ada")
    assert home.select("select distinct district_id from roster.users") == [("grant",)]
    assert "grant, " in run("report", drop, "-d", "grant").output


def test_a_person_at_a_terminal_is_asked_first(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.send(files(rows()))
    run("sync")
    drop = drop_of(home)
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        patch.setattr(roster, "sys", _AtATerminal)
        refused = CliRunner().invoke(app, ["approve", drop], input="n\n")
        assert refused.exit_code == 1
        assert "Approve the first sync of lincoln" in refused.output
        assert home.select("select count(*) from roster.users") == [(0,)]
        agreed = CliRunner().invoke(app, ["approve", drop], input="y\n")
    assert agreed.exit_code == 0
    assert home.select("select count(*) from roster.users") == [(14,)]


class _AtATerminal:
    class stdin:  # noqa: N801
        @staticmethod
        def isatty() -> bool:
            return True


def test_a_folder_can_be_the_delivery_of_any_day(home: Home, tmp_path: Path) -> None:
    delivery = folder_of(tmp_path, files(rows()))
    run("sync", "-d", "lincoln", "--from", delivery, "--day", "2026-09-01")
    assert home.select("select delivery_day, origin from ops.sync_history") == [
        (date(2026, 9, 1), "by hand")
    ]
    again = run("sync", "-d", "lincoln", "--day", "2026-09-01").output
    assert "First sync waits" in again
    assert "nothing has landed" in run("sync", "--day", "2026-09-02", code=1).stderr


def test_a_delivery_that_is_not_complete_is_left_and_exits_with_1(home: Home) -> None:
    delivered = files(rows())
    del delivered["enrollments.csv"]
    home.send(delivered)
    assert "'enrollments.csv' did not come" in run("sync", code=1).output


def test_a_delivery_that_is_still_written_exits_with_75(home: Home) -> None:
    home.send(files(rows()), age_seconds=0)
    assert "may still be written" in run("sync", code=75).output


def test_a_refused_delivery_exits_with_1(home: Home) -> None:
    delivered = files(rows())
    delivered["users.csv"] = b""
    home.send(delivered)
    output = run("sync", code=1).output
    assert "Refused" in output
    assert "users.csv is empty: export it again" in output


def test_a_refused_file_of_a_delivery_exits_with_1(synced: Home) -> None:
    synced.send(files(rows(students=60)) | {"users.csv": b""})
    output = run("sync", code=1).output
    assert "users.csv is empty: export it again" in output


def test_what_landed_and_was_not_loaded_is_loaded_by_the_next_sync(home: Home) -> None:
    home.send(files(rows()))
    pipeline = home.pipeline
    first = pipeline.deliver("lincoln", datetime.now(UTC))
    pipeline.deliver("lincoln", datetime.now(UTC) + timedelta(minutes=1), first.look)
    assert "First sync waits" in run("sync").output


def test_a_paused_day_is_left_alone(home: Home) -> None:
    whole_year = {"from": f"{TODAY.year - 1}-01-01", "to": f"{TODAY.year + 1}-12-31"}
    home.list_districts(home.lincoln(pauses=[whole_year | {"what": "sync"}]))
    home.send(files(rows()))
    assert "pauses" in run("sync").output
    assert home.pipeline.store.list() == []


def test_one_districts_trouble_does_not_stop_the_others(home: Home) -> None:
    broken = home.lincoln(sftp={"port": 1}) | {"id": "grant"}
    home.list_districts(broken, home.lincoln())
    home.send(files(rows()))
    result = run("sync", code=75)
    assert "grant: " in result.stderr
    assert "First sync waits" in result.output


def test_history_can_be_narrowed(synced: Home) -> None:
    drop = drop_of(synced)
    synced.pipeline.record_failure(
        "lincoln", "oneroster", TODAY - timedelta(days=30), "missed", "nothing came"
    )
    assert "nothing came" not in run("history").output
    assert "nothing came" in run("history", "--days", "60").output
    missed = run("history", "--days", "60", "--status", "missed", "-d", "lincoln").output
    assert "nothing came" in missed
    assert drop not in missed
    assert "No such sync" in run("history", "--source", "nwea_map").output


def test_history_shows_what_became_of_a_day_that_was_loaded_again(
    synced: Home,
) -> None:
    drops = []
    for ago, students in ((2, 40), (1, 39)):
        synced.load_roster(files(rows(students=students)), TODAY - timedelta(days=ago))
        drops.append(drop_of(synced))
    waiting = run("history").output
    assert all(f"edpipeline approve {drop} " in " ".join(waiting.split()) for drop in drops)
    run("approve", drops[0], "--by", "Ada")
    history = run("history").output
    latest = next(line for line in history.splitlines() if str(TODAY - timedelta(days=1)) in line)
    assert "completed" in latest
    assert "edpipeline approve" not in " ".join(history.split())


def test_rebuild_goes_on_with_the_districts_after_one_in_trouble(synced: Home) -> None:
    synced.list_districts(synced.lincoln() | {"id": "grant"}, synced.lincoln())
    record = f"oneroster/grant/deliveries/{TODAY}/20260801T000000000000Z-0.json"
    synced.pipeline.store.write_bytes(record, b"{")
    result = run("rebuild", code=1)
    assert "grant: the landing is damaged" in result.stderr
    assert "lincoln: days that landed 1, of these loaded 1" in result.output


def test_rebuild_gives_the_tables_back_from_landing(synced: Home) -> None:
    before = synced.select("select * from roster.current_users order by sourced_id")
    warehouse = synced.pipeline.settings.warehouse.get_secret_value().removeprefix("duckdb://")
    Path(warehouse).unlink()
    assert "days that landed 1, of these loaded 1" in run("rebuild", "-d", "lincoln").output
    assert synced.select("select * from roster.current_users order by sourced_id") == before
    assert synced.select("select count(*) from marts.dim_student") == [(60,)]


def test_the_dictionary_is_markdown_with_every_table(tmp_path: Path) -> None:
    pytest.importorskip("edpipeline.dictionary")
    printed = run("dictionary").output
    assert "roster.users" in printed
    assert "marts.dim_student" in printed
    run("dictionary", "--out", tmp_path / "dictionary.md")
    assert (tmp_path / "dictionary.md").read_text("utf-8").strip() == printed.strip()


def test_the_evening_is_the_same_on_postgresql(tmp_path: Path, postgres_database_url: str) -> None:
    with opened_home(tmp_path, postgres_database_url) as home:
        first_sync(home)
        home.send(files(spoiled(rows(students=61))))
        assert "Completed with errors" in run("sync").output
        assert "What to fix" in run("report", drop_of(home)).output
        assert "completed, errors" in run("history").output
        assert "PostgreSQL 127.0.0.1" in run("check").output
