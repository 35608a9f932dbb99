"""What the commands say of tests that are polled."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from edpipeline.cli import app
from edpipeline.sandbox.vendors import Vendors
from edpipeline_tests.orchestration.polled import Polled, polled
from edpipeline_tests.pulls.installation import DISTRICT, served

SYNC = ("sync", "--district", DISTRICT, "--source", "powerpath")


@pytest.fixture(scope="module")
def vendors() -> Iterator[Vendors]:
    with served() as running:
        yield running


@pytest.fixture
def at_work(vendors: Vendors, tmp_path: Path) -> Iterator[Polled]:
    with polled(tmp_path, vendors) as made:
        yield made


def asked(at_work: Polled, *words: str) -> Result:
    assert at_work.pipeline.settings.districts.is_file()
    return CliRunner().invoke(app, words)


def imports(at_work: Polled) -> int:
    return sum(n for path, n in at_work.vendors.counts("powerpath").items() if "import" in path)


def test_a_poll_says_what_came_of_it_and_what_it_may_not_do(at_work: Polled) -> None:
    told = asked(at_work, *SYNC)
    assert told.exit_code == 0, told.output
    [(pairs,)] = at_work.rows("select count(*) from external_tests.current_assignments")
    found = re.search(r"asked about (\d+), of which (\d+) became final", told.stdout)
    assert found, told.stdout
    assert int(found[1]) == pairs
    assert int(found[2]) > 0
    assert "2 quarantined, because the answer is not understood." in told.stdout
    assert "`allow_side_effects` is off" in told.stdout
    assert "assignments.jsonl" in told.stdout
    assert imports(at_work) == 0
    assert at_work.rows("select count(*) from marts.fct_external_test")[0][0] > 0
    again = asked(at_work, *SYNC)
    assert "asked about 0" in again.stdout


def test_imports_and_what_they_may_have_done_are_said(at_work: Polled) -> None:
    told = asked(at_work.use(allow_side_effects=True), *SYNC)
    assert told.exit_code == 0, told.output
    found = re.search(r"was asked (\d+) times to store results: (\d+) of them may", told.stdout)
    assert found, told.stdout
    assert int(found[1]) == imports(at_work)
    assert int(found[2]) >= len(at_work.vendors.state()["powerpath"]["enrollments"]) > 0
    assert "allow_side_effects" not in told.stdout


def test_a_day_is_loaded_again_without_asking_anybody(at_work: Polled) -> None:
    asked(at_work, *SYNC)
    before = at_work.rows("select * from external_tests.assignments order by all")
    calls = at_work.vendors.counts("powerpath")
    day = at_work.pipeline.delivery_day(DISTRICT, datetime.now(UTC), "powerpath")
    told = asked(at_work, *SYNC, "--day", f"{day}")
    assert told.exit_code == 0, told.output
    assert "asked about" not in told.stdout
    assert at_work.rows("select * from external_tests.assignments order by all") == before
    assert at_work.vendors.counts("powerpath") == calls
    nothing = asked(at_work, *SYNC, "--day", "2026-01-01")
    assert nothing.exit_code == 1
    assert "nothing has landed" in nothing.output


def test_the_polls_of_a_day_are_one_line_of_the_history(at_work: Polled) -> None:
    asked(at_work, *SYNC)
    [(syncs,)] = at_work.rows("select count(*) from ops.sync_history")
    told = asked(at_work, "history", "--source", "powerpath")
    assert told.exit_code == 0, told.output
    lines = [line for line in told.stdout.splitlines() if re.match(r"\d{4}-\d\d-\d\d ", line)]
    assert syncs > 1
    assert len(lines) == 1


@pytest.mark.parametrize("allowed", [False, True])
def test_check_signs_in_and_imports_nothing(at_work: Polled, allowed: bool) -> None:
    told = asked(at_work.use(allow_side_effects=allowed), "check", "--district", DISTRICT)
    assert "powerpath account: Account is working" in told.stdout
    assert "allow_side_effects" in told.stdout
    assert imports(at_work) == 0


def test_refused_credentials_are_told_and_never_shown(
    at_work: Polled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PP_SECRET", "CANARY-wrong")
    for words in (("check", "--district", DISTRICT), SYNC):
        told = asked(at_work, *words)
        assert told.exit_code == 1
        assert "client id or the secret is wrong" in told.output
        assert "CANARY" not in told.output


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("sync", "-d", DISTRICT, "-s", "nwea_map"), "has no API that is asked; these have: "),
        (("sync", "-d", DISTRICT, "-s", "star"), "has no `star:`"),
        (("sync", "-s", "star"), "syncs star"),
        ((*SYNC, "--from", "."), "--from is for rosters"),
    ],
)
def test_what_cannot_be_asked_is_said(at_work: Polled, words: tuple[str, ...], says: str) -> None:
    told = asked(at_work, *words)
    assert told.exit_code in (1, 2)
    assert says in " ".join(told.output.split())
