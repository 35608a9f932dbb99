"""Uploading results as a person does it: hand a file over, look at what became of it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from edpipeline import sources, uploading
from edpipeline.approval import find_waiting
from edpipeline.cli import app
from edpipeline.cli import roster as roster_commands
from edpipeline.cli import uploads as cli_uploads
from edpipeline.cli.roster import _of_nobody
from edpipeline.errors import Permanent
from edpipeline.landing.inbox import CHOICES
from edpipeline.model import Source
from edpipeline.sources import ALL
from edpipeline.warehouse.engine import open_warehouse
from edpipeline_tests.district import files, rows, student
from edpipeline_tests.held import close_all
from edpipeline_tests.home import SECRET, Home, opened_home
from edpipeline_tests.prepared import prepare_from_copy
from edpipeline_tests.results.uploads import SAMPLES, sample, zipped

MAP = ("-s", "nwea_map")
LINCOLN = ("-d", "lincoln")
TO_MAP = (*LINCOLN, *MAP)
AS_CHOSEN = ("--match-on", "state_user_id", "--edition", "nwea_cdf_2020")
PERSONAL = re.compile(r"FamilyS|given\.s|0001\d\d|90000001\d\d")
"""What stands in the rows of these tests, and must stand in no answer."""
ON_NOBODY = {"percent": 0, "floor": 0}
LOGIN_PAGE = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>\n"
README = Path(__file__).parents[1] / "README.md"
TODAY = datetime.now(UTC).date()


def run(*arguments: str | Path, code: int = 0) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    assert SECRET not in result.output
    assert not PERSONAL.search(result.output), result.output
    return result


def words(result: Result) -> str:
    """What was said, however it was broken into lines."""
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", result.output).split())


def sync_roster(home: Home) -> None:
    """Twelve students, whose ids are those of the samples."""
    roster = rows(0)
    for number in range(1, 13):
        ids = {
            "identifier": f"{100 + number:06}",
            "username": f"given.s{number:03}",
            "userIds": f"{{State_ID:{9000000100 + number}}}",
        }
        roster["users"].append(student(number, **ids))
    folder = home.folder / "delivery"
    folder.mkdir()
    for name, content in files(roster).items():
        (folder / name).write_bytes(content)
    day = str(TODAY - timedelta(days=3))
    run("sync", *LINCOLN, "--from", folder, "--day", day)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    with opened_home(folder, first_sync_needs_approval=False) as made:
        sync_roster(made)
    close_all()
    return made.folder


@dataclass(frozen=True)
class Uploaded:
    """A district with a roster and six results, matched by state ids; what the upload said."""

    folder: Path
    said: str


@pytest.fixture(scope="module")
def uploaded(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Uploaded:
    folder = tmp_path_factory.mktemp("uploaded")
    with opened_home(folder, like=template, first_sync_needs_approval=False) as made:
        said = run("upload", exported(folder), *TO_MAP, *AS_CHOSEN, "--now").output
    close_all()
    return Uploaded(made.folder, said)


@pytest.fixture
def with_results(tmp_path: Path, uploaded: Uploaded) -> Iterator[Home]:
    with opened_home(tmp_path, like=uploaded.folder, first_sync_needs_approval=False) as made:
        yield made


@pytest.fixture
def home(tmp_path: Path, template: Path) -> Iterator[Home]:
    """A district with a roster and without any result."""
    with opened_home(tmp_path, like=template, first_sync_needs_approval=False) as made:
        yield made


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Iterator[Home]:
    """The same for tests that must leave everything as it is."""
    with opened_home(tmp_path_factory.mktemp("untouched"), like=template) as made:
        yield made


@pytest.fixture
def export(tmp_path: Path) -> Path:
    return exported(tmp_path)


def exported(folder: Path) -> Path:
    """Six results of five students, four of whom the roster has."""
    path = folder / "MAP results (winter).csv"
    path.write_bytes(sample("nwea_map", "nwea_cdf_2020.csv"))
    return path


def state(home: Home) -> tuple[object, ...]:
    """Everything that an upload could change."""
    kept = sorted(path for path in home.folder.rglob("*") if "warehouse" not in path.name)
    counted = ("ops.sync_history", "ops.rejected_rows", "assessments.nwea_map", "ops.match_rates")
    return (kept, [home.select(f"select count(*) from {table}") for table in counted])


def results(home: Home, where: str = "true") -> int:
    found = home.select(f"select count(*) from assessments.current_nwea_map where {where}")
    return int(found[0][0])


def first_query() -> str:
    """The query that the README gives for results."""
    [block] = [
        block
        for block in re.findall(r"```sql\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
        if "fct_assessment_result" in block
    ]
    return str(block).rstrip().removesuffix(";")


def drops(home: Home) -> list[str]:
    found = home.select(
        "select drop_id from ops.sync_history where source <> 'oneroster' order by sync_id"
    )
    return [drop for (drop,) in found]


# ---- upload


def test_an_upload_waits_in_the_inbox_with_what_was_chosen_until_it_is_loaded(
    home: Home, export: Path
) -> None:
    said = words(run("upload", export, *TO_MAP, "--match-on", "state_user_id", "--by", "Ada"))
    assert "downloaded since 2020 (nwea_cdf_2020)" in said
    assert "edpipeline history --district lincoln --source nwea_map" in said
    laid = [path for path in (home.folder / "inbox").rglob("*") if path.is_file()]
    assert sorted(path.name for path in laid) == sorted([export.name, CHOICES])
    assert home.select("select count(*) from assessments.nwea_map") == [(0,)]

    [waiting] = uploading.waiting(home.pipeline, datetime.now(UTC))
    assert (dict(waiting.choices), waiting.by) == ({"match_on": "state_user_id"}, "Ada")
    delivery = uploading.land(home.pipeline, waiting, datetime.now(UTC))
    [report] = uploading.load(home.pipeline, delivery)
    assert report.status == "loaded"
    assert delivery.origin == "uploaded by Ada"
    assert results(home, "match_field = 'state_user_id'") == 6


def test_an_upload_is_loaded_at_once_and_told_of_by_history_and_report(
    uploaded: Uploaded, with_results: Home, export: Path, tmp_path: Path
) -> None:
    home, output = with_results, uploaded.said
    assert "Completed" in output
    assert re.search(r"MAP results \(winter\)\.csv +6 +6 +0 +6 ", output)
    assert re.search(r"state_user_id \(chosen\) +5 +4 +80%", output)
    assert not [path for path in (home.folder / "inbox").rglob("*") if path.is_file()]
    matched = "select count(*) from marts.fct_assessment_result where objective_code = 'overall'"
    assert home.select(matched) == [(5,)]
    assert home.select("select reject_reason from marts.rpt_unmatched_result") == [
        ("user_not_found",)
    ]
    assert home.select(first_query())

    [drop] = drops(home)
    history = run("history", "--source", "nwea_map").output
    assert re.search(rf"completed .+ 6 +0 +{drop} +MAP results \(winter\)\.csv", history)
    assert re.search(r" nwea_map +MAP results", run("history").output)
    report = run("report", drop[:6], "--csv", tmp_path / "fix.csv").output
    assert re.search(r"state_user_id \(chosen\) +5 +4 +80%", report)

    again = run("upload", export, *TO_MAP, *AS_CHOSEN, "--now").output
    assert results(home) == 6
    assert "0%" not in again, "no rate is made of rows that were known before"


def test_the_zip_of_a_vendor_is_taken_whole_and_said_to_be_told(home: Home, tmp_path: Path) -> None:
    folder = SAMPLES / "nwea_map" / "variants" / "cdf_zip"
    path = tmp_path / "export.zip"
    path.write_bytes(zipped({each.name: each.read_bytes() for each in folder.iterdir()}))
    run("upload", path, *TO_MAP)
    [waiting] = uploading.waiting(home.pipeline, datetime.now(UTC))
    delivery = uploading.land(home.pipeline, waiting, datetime.now(UTC))
    assert [report.status for report in uploading.load(home.pipeline, delivery)] == ["loaded"]
    told = run("report", drops(home)[-1]).output
    assert "read as NWEA MAP Growth, Comprehensive Data File" in told
    assert not re.search(r"What to fix\s+edition_told", told)
    assert home.select("select count(*) from assessments.nwea_map_students") != [(0,)]


def test_what_a_run_took_meanwhile_is_not_loaded_twice(
    home: Home, export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = uploading.hand_over

    def taken_at_once(*given: object) -> str:
        place = real(*given)  # type: ignore[arg-type]
        [waiting] = uploading.waiting(home.pipeline, datetime.now(UTC))
        uploading.land(home.pipeline, waiting, datetime.now(UTC))
        return place

    monkeypatch.setattr(uploading, "hand_over", taken_at_once)
    assert "has taken it already" in run("upload", export, *TO_MAP, "--now").output
    assert drops(home) == []


def test_who_uploads_is_said_where_the_machine_does_not_know(
    untouched: Home, export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown() -> str:
        raise Permanent("say who decides: --by NAME")

    monkeypatch.setattr(cli_uploads, "user_name", unknown)
    assert "--by NAME" in run("upload", export, *TO_MAP, code=1).stderr
    assert "--by" in run("upload", "--help").output


# ---- what is refused, before anything is handed over


def workbook() -> bytes:
    return zipped({"[Content_Types].xml": b"<x/>", "xl/workbook.xml": b"<x/>"})


@pytest.mark.parametrize(
    ("content", "arguments", "says"),
    [
        (None, (*TO_MAP, "--edition", "nwea_combined_2020"), "choose edition nwea_cdf_2020"),
        (None, (*LINCOLN, "-s", "staar"), "known; this is NWEA MAP Growth"),
        (None, (*LINCOLN, "-s", "staar"), "upload it with --source nwea_map"),
        (None, ("-d", "linkoln", *MAP), "it has: lincoln"),
        (LOGIN_PAGE, TO_MAP, "looks like a web page): sign in and download it again"),
        (workbook(), TO_MAP, "an Excel workbook): export it as CSV"),
        (b"", TO_MAP, "is empty: export it again"),
        (b"id,name\n1,2\n", TO_MAP, "the first line is no header of a layout that is known"),
    ],
)
def test_a_file_that_is_not_right_is_refused_and_not_handed_over(
    untouched: Home, export: Path, content: bytes | None, arguments: tuple[str, ...], says: str
) -> None:
    before = state(untouched)
    if content is not None:
        export.write_bytes(content)
    result = run("upload", export, *arguments, "--now", code=1)
    assert says in words(result)
    assert len(result.stderr.splitlines()) == 1
    assert state(untouched) == before


def test_a_file_that_is_not_there_is_said_so(untouched: Home, tmp_path: Path) -> None:
    assert "there is no file" in run("upload", tmp_path / "none.csv", *TO_MAP, code=1).stderr


def test_a_file_may_not_be_called_as_the_choices_are(untouched: Home, export: Path) -> None:
    before = state(untouched)
    export = export.rename(export.with_name(CHOICES))
    assert "rename it" in run("upload", export, *TO_MAP, code=1).stderr
    assert state(untouched) == before


@pytest.mark.parametrize(
    ("option", "value", "known"),
    [
        ("--edition", "nwea", [edition.name for edition in sources.source("nwea_map").editions]),
        ("--source", "oneroster", ["nwea_map", "act_aspire", "staar", "adam"]),
        ("--match-on", "name", ["username", "district_user_id", "state_user_id", "email"]),
    ],
)
def test_a_choice_that_is_not_known_is_answered_with_those_that_are(
    untouched: Home, export: Path, option: str, value: str, known: list[str]
) -> None:
    said = words(run("upload", export, *TO_MAP, option, value, code=2))
    assert [name for name in known if name not in said] == []


# ---- editions


def test_every_edition_is_listed_and_assumed_ones_are_marked() -> None:
    listed = run("editions").output
    for source in sources.ALL:
        for edition in source.editions if source.is_uploaded else ():
            [line] = [each for each in listed.splitlines() if f"  {edition.name} " in each]
            assert ("(assumed layout)" in line) == edition.assumed
            assert (f"`{edition.name}`" in README.read_text("utf-8")) == edition.assumed
    assert "staar" not in run("editions", "--source", "adam").output


# ---- preview


def test_preview_of_results_tells_everything_and_writes_nothing(
    untouched: Home, export: Path
) -> None:
    before = state(untouched)
    output = run("preview", export, *TO_MAP, "--match-on", "username").output
    assert "read as NWEA MAP Growth, Comprehensive Data File" in output
    assert "(nwea_cdf_2020): 100% of its headers" in output
    assert re.search(r"MAP results \(winter\)\.csv +6 +6 +0 +6 ", output)
    assert re.search(r"username \(chosen\) +5 +0 +0%", output)
    assert re.search(r"state_user_id +5 +4 +80%", output)
    assert "By district_user_id 4 of 5 would match" in words(
        run("preview", export, *TO_MAP, "--match-on", "email")
    )
    assert state(untouched) == before


def test_preview_of_results_needs_no_district_and_shows_the_first_problems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "export.csv"
    path.write_bytes(sample("nwea_map", "bad/dates_turned.csv"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    output = run("preview", path, *MAP).output
    assert "Usable, with errors" in output
    assert re.search(r"export\.csv +4 +2 +2 ", output)
    assert "What to fix" in output
    assert "bad_date  export.csv, line 4, test_start_date" in output
    assert "match on" not in output
    assert list(Path.cwd().iterdir()) == []


def test_preview_of_a_file_that_is_not_right_exits_with_1(export: Path) -> None:
    assert "--source nwea_map" in words(run("preview", export, "-s", "adam", code=1))
    export.write_bytes(LOGIN_PAGE)
    assert "sign in and download it again" in words(run("preview", export, *MAP, code=1))


# ---- removals, sync, rebuild


def without_line(export: Path, number: int) -> Path:
    lines = export.read_bytes().splitlines(keepends=True)
    del lines[number - 1]
    newer = export.with_name("newer.csv")
    newer.write_bytes(b"".join(lines))
    return newer


def strict(home: Home) -> dict[str, Any]:
    """The district where no result may vanish without somebody's approval."""
    return home.lincoln() | {"uploads": {"nwea_map": {"removal_limit": ON_NOBODY}}}


def test_results_that_vanish_wait_until_they_are_approved(with_results: Home, export: Path) -> None:
    home = with_results
    home.list_districts(strict(home))
    waiting = run("upload", without_line(export, 3), *TO_MAP, "--now")
    assert "removals wait for approval" in waiting.output
    first, held = drops(home)
    assert f"edpipeline approve {held}" in words(waiting)
    assert "waits for nothing" in run("approve", first, code=1).stderr
    assert results(home) == 6

    # What lands before the decision is taken is loaded with it.
    late = export.with_name("late.csv")
    late.write_bytes(sample("nwea_map", "nwea_cdf_2015.csv"))
    run("upload", late, *TO_MAP)
    [one] = uploading.waiting(home.pipeline, datetime.now(UTC))
    landed = uploading.land(home.pipeline, one, datetime.now(UTC)).drop.drop_id
    with pytest.raises(Permanent, match="not loaded yet: Dagster"):
        find_waiting(home.pipeline, landed)

    approved = run("approve", held[:6], "--by", "Ada", "--note", "retested").output
    assert f"Approved: the removals of lincoln, drop {held}." in approved
    assert "newer.csv" in approved
    assert results(home) == 5 + 4
    assert home.select("select source, approved_by, note from ops.approvals") == [
        ("nwea_map", "Ada", "retested")
    ]
    assert "waits for nothing" in run("approve", held, code=1).stderr
    history = run("history", "--source", "nwea_map").output
    assert all(drop in history for drop in (first, held, landed))


def test_a_roster_is_synced_beside_uploads_and_heals_their_results(
    with_results: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roster_commands, "SECONDS_BETWEEN_LOOKS", 0)
    home = with_results
    assert home.select("select count(*) from marts.rpt_unmatched_result") != [(0,)]
    roster = rows(0)
    for number in [*range(1, 13), 99]:
        state_id = f"{{State_ID:{9000000100 + number}}}"
        roster["users"].append(student(number, userIds=state_id))
    home.send(files(roster))
    output = run("sync").output
    assert "Completed" in output
    assert "nwea" not in output
    assert home.select("select count(*) from marts.rpt_unmatched_result") == [(0,)]


def test_rebuild_gives_uploads_back_with_all_that_was_chosen(
    with_results: Home, export: Path
) -> None:
    home = with_results
    other = export.with_name("2015.csv")
    other.write_bytes(sample("nwea_map", "nwea_cdf_2015.csv"))
    run("upload", other, *TO_MAP, "--now")
    facts = "select * from marts.fct_assessment_result order by result_key"
    before = (home.select(facts), results(home, "match_field = 'state_user_id'"), results(home))
    assert before[1:] == (6, 10)
    warehouse = home.pipeline.settings.warehouse.get_secret_value().removeprefix("duckdb://")
    Path(warehouse).unlink()
    prepare_from_copy(open_warehouse(f"duckdb://{warehouse}"), with_marts=True)
    assert "loaded 2." in run("rebuild", *LINCOLN).output
    home = home.again()
    after = (home.select(facts), results(home, "match_field = 'state_user_id'"), results(home))
    assert after == before


def test_uploads_are_the_same_on_postgresql(
    tmp_path: Path, export: Path, postgres_database_url: str
) -> None:
    with opened_home(tmp_path, postgres_database_url, first_sync_needs_approval=False) as home:
        sync_roster(home)
        home.list_districts(strict(home))
        assert "80%" in run("preview", export, *TO_MAP).output
        run("upload", export, *TO_MAP, "--now")
        run("upload", without_line(export, 3), *TO_MAP, "--now")
        assert "removals wait" in run("history", "--source", "nwea_map").output
        run("approve", drops(home)[-1], "--by", "Ada")
        assert home.select(first_query())
        assert results(home) == 5


@pytest.mark.parametrize("source", [each for each in ALL if each.is_uploaded], ids=lambda s: s.name)
def test_files_of_no_district_are_read_by_the_defaults_of_results(source: Source) -> None:
    options = _of_nobody(source)
    assert options.match_on == source.arrives.match_on  # type: ignore[union-attr]
    assert options.encodings == ("windows-1252",)
    assert not options.first_sync_needs_approval
