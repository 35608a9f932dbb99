"""What the commands say of score reports, and where the links to them go."""

import re
import webbrowser
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from edpipeline.cli import app
from edpipeline.sandbox.vendors import Vendors
from edpipeline_tests.held import close_all
from edpipeline_tests.orchestration.surveyed import (
    NAME,
    Surveyed,
    at_work,
    surveyed,
    template,
    vendors,
)
from edpipeline_tests.pulls.canaries import texts
from edpipeline_tests.pulls.installation import DISTRICT

__all__ = ["at_work", "template", "vendors"]  # fixtures

SYNC = ("sync", "--district", DISTRICT, "--source", "score_reports")
ASK = ("score-report", "--district", DISTRICT, "--by", "Robin Hale", "--student")
LINK = re.compile(r"http://127\.0\.0\.1:\d+/score-report-files/\S+X-Amz-Signature=\S+")


@pytest.fixture(scope="module")
def once(vendors: Vendors, template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation whose students were surveyed once."""
    with surveyed(tmp_path_factory.mktemp("once"), template, vendors) as made:
        made.survey()
    close_all()
    return made.pipeline.settings.home


@pytest.fixture
def surveyed_once(vendors: Vendors, once: Path, tmp_path: Path) -> Iterator[Surveyed]:
    with surveyed(tmp_path, once, vendors) as made:
        yield made


def asked(*words: str) -> Result:
    return CliRunner().invoke(app, words)


def reported(at_work: Surveyed) -> str:
    """A student with four reports."""
    student = at_work.student("listed")
    listed = [(lang, year) for lang in ("EN", "ES") for year in (2024, 2025)]
    at_work.vendors.reports(
        student,
        [{"type": "CAASPP", "lang": lang, "year": year, "grade": "05"} for lang, year in listed],
    )
    return student


def log(at_work: Surveyed) -> list[tuple[object, ...]]:
    return at_work.rows(
        "select accessed_by, ssid, reports, link_count, asked_type, asked_language, asked_year"
        " from ops.access_log order by accessed_at"
    )


def test_a_survey_says_what_came_of_it_and_its_day_is_one_line_of_the_history(
    at_work: Surveyed,
) -> None:
    told = asked(*SYNC)
    assert told.exit_code == 0, told.output
    [(students, reports)] = at_work.rows(
        "select count(*), sum(reports) from score_reports.current_requests"
    )
    all_of_them = f"{students} students in the roster, {students} due; asked about {students}"
    assert all_of_them in told.stdout
    assert f"who have {reports:,} reports: {reports:,} new, 0 no longer listed." in told.stdout
    assert "students: are not this district's for the service (403)" in told.stdout
    assert "catalog.jsonl" in told.stdout
    [(rows,)] = at_work.rows("select count(*) from marts.fct_score_report")
    assert rows, "what was loaded reaches the tables for analysts"
    assert "0 due; asked about 0" in asked(*SYNC).stdout
    day = at_work.today()
    again = asked(*SYNC, "--day", f"{day}")
    assert again.exit_code == 0, again.output
    assert "asked about" not in again.stdout
    shown = asked("history", "--source", "score_reports").stdout.splitlines()
    assert len([line for line in shown if re.match(r"\d{4}-\d\d-\d\d ", line)]) == 1


def test_a_day_that_is_paused_is_left_alone(at_work: Surveyed) -> None:
    today = at_work.today().isoformat()
    at_work.use(pauses=[{"from": today, "to": today, "what": "sync"}])
    told = asked(*SYNC)
    assert (told.exit_code, at_work.asked()) == (0, 0)
    assert f"pauses {today}" in told.stdout


def test_check_says_of_each_configuration_what_is_set_and_how_long_it_lasts(
    at_work: Surveyed,
) -> None:
    told = asked("check", "--district", DISTRICT)
    line = next(each for each in told.stdout.splitlines() if f"score_reports {NAME}" in each)
    assert "ok" in line
    assert "Account is working" in line
    assert "every other school" in line
    assert "****cret" in line
    assert "200 days" in line
    assert "CANARY" not in told.output
    assert at_work.asked() == 0
    soon = asked_after(at_work.use(days_left=1))
    assert "WRONG" in soon
    assert "1 day" in soon


def asked_after(_: Surveyed) -> str:
    told = asked("check", "--district", DISTRICT)
    return next(each for each in told.stdout.splitlines() if f"score_reports {NAME}" in each)


@pytest.mark.parametrize("block", [True, False])
def test_check_and_sync_ask_what_became_of_a_configuration_that_vanished(
    surveyed_once: Surveyed, block: bool
) -> None:
    surveyed_once.use(block=block, enabled=False, configurations=[])
    told = asked("check", "--district", DISTRICT)
    assert told.exit_code == 1
    assert f"removed: [{NAME}]" in told.stdout
    refused = asked(*SYNC)
    assert refused.exit_code == 1
    assert (f"removed: [{NAME}]" if block else "has no `score_reports:`") in refused.output


def test_check_of_all_districts_sees_one_whose_only_source_vanished(
    surveyed_once: Surveyed,
) -> None:
    districts = surveyed_once.pipeline.settings.districts
    alone = {"id": DISTRICT, "name": "Quillmere", "time_zone": "America/Los_Angeles"}
    districts.write_text(yaml.safe_dump({"districts": [alone]}))
    told = asked("check")
    assert told.exit_code == 1
    assert f"removed: [{NAME}]" in told.stdout


def test_links_alone_go_to_stdout_and_a_row_says_who_asked_for_them(at_work: Surveyed) -> None:
    student = reported(at_work)
    told = asked(*ASK, student)
    assert told.exit_code == 0, told.output
    links = told.stdout.splitlines()
    assert len(links) == 4
    assert all(LINK.fullmatch(each) for each in links)
    assert "30 minutes" in told.stderr
    assert not LINK.search(told.stderr)
    [(by, ssid, reports, count, *filters)] = log(at_work)
    assert (by, ssid, count, filters) == ("Robin Hale", student, len(links), [None] * 3)
    assert len(re.findall(r"[A-Z]+ [A-Z]{2} 20\d\d", str(reports))) == len(links)


def test_reports_are_asked_for_by_type_language_and_year(at_work: Surveyed) -> None:
    student = reported(at_work)
    told = asked(*ASK, student, "--type", "caaspp", "--language", "ES", "--year", "2025")
    assert told.exit_code == 0, told.output
    assert len(told.stdout.splitlines()) == 1
    assert "CAASPP ES 2025, grade 05" in told.stderr
    assert log(at_work)[0][2:] == ("CAASPP ES 2025", 1, "CAASPP", "ES", 2025)
    none = asked(*ASK, student, "--type", "ESA")
    assert (none.exit_code, none.stdout) == (0, "")
    assert "no such report" in none.stderr
    assert len(log(at_work)) == 2


def test_reports_are_opened_in_the_browser_instead(
    at_work: Surveyed, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or True)
    told = asked(*ASK, reported(at_work), "--open")
    assert told.exit_code == 0, told.output
    assert opened
    assert all(LINK.fullmatch(each) for each in opened)
    assert told.stdout == ""
    assert not LINK.search(told.stderr)
    monkeypatch.setattr(webbrowser, "open", lambda _: False)
    failed = asked(*ASK, reported(at_work), "--open")
    assert failed.exit_code == 1
    assert "without --open" in failed.stderr
    assert not LINK.search(failed.output)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("9999999990",), 1, "no student has that id"),
        (("0000000001", "--type", "../x"), 2, "letters and digits"),
        (("0000000001", "--year", "2017"), 2, "2018 to"),
        (("0000000001", "--year", f"{datetime.now(UTC).year + 2}"), 2, "2018 to"),
    ],
)
def test_what_cannot_be_had_is_said_without_the_id(
    at_work: Surveyed, words: tuple[str, ...], code: int, says: str
) -> None:
    told = asked(*ASK, *words)
    assert told.exit_code == code, told.output
    assert says in " ".join(told.output.split())
    assert words[0] not in told.output
    assert log(at_work) == []


@pytest.mark.parametrize(("stands", "says"), [("elsewhere", "(403)"), ("unknown", "(404)")])
def test_a_student_who_is_refused_is_told_by_what_it_means(
    at_work: Surveyed, stands: str, says: str
) -> None:
    student = at_work.student(stands)
    told = asked(*ASK, student)
    assert told.exit_code == 1
    assert says in told.output
    assert student not in told.output


def test_a_link_stands_nowhere_once_it_was_shown(at_work: Surveyed) -> None:
    told = asked(*ASK, reported(at_work))
    assert LINK.search(told.stdout)
    asked("sync", "--district", DISTRICT, "--source", "score_reports")
    kept = list(texts(at_work.pipeline.settings.home.parent))
    assert kept
    sought = re.compile(rb"score-report-files|X-Amz-|CANARY-")
    assert [name for name, content in kept if sought.search(content)] == []
