"""What the commands say of tests that are polled."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

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


@dataclass(frozen=True)
class Told:
    """What the commands of one day said, one after the other, and what was there after them."""

    first: Result
    pairs: int
    imports: int
    facts: int
    history: Result
    syncs: int
    loaded_again: Result
    before: list[tuple[Any, ...]]
    after: list[tuple[Any, ...]]
    was_asked: bool
    """Whether the vendor was called when a day was loaded again."""
    nothing: Result
    again: Result


@pytest.fixture(scope="module")
def told(vendors: Vendors, tmp_path_factory: pytest.TempPathFactory) -> Told:
    assignments = "select * from external_tests.assignments order by all"
    with polled(tmp_path_factory.mktemp("told"), vendors) as day_of:
        day = day_of.pipeline.delivery_day(DISTRICT, datetime.now(UTC), "powerpath")
        first = asked(day_of, *SYNC)
        calls = vendors.counts("powerpath")
        before = day_of.rows(assignments)
        return Told(
            first=first,
            pairs=count(day_of, "external_tests.current_assignments"),
            imports=imports(day_of),
            facts=count(day_of, "marts.fct_external_test"),
            history=asked(day_of, "history", "--source", "powerpath"),
            syncs=count(day_of, "ops.sync_history"),
            loaded_again=asked(day_of, *SYNC, "--day", f"{day}"),
            before=before,
            after=day_of.rows(assignments),
            was_asked=vendors.counts("powerpath") != calls,
            nothing=asked(day_of, *SYNC, "--day", "2026-01-01"),
            again=asked(day_of, *SYNC),
        )


def count(at_work: Polled, table: str) -> int:
    return int(at_work.rows(f"select count(*) from {table}")[0][0])


def asked(at_work: Polled, *words: str) -> Result:
    assert at_work.pipeline.settings.districts.is_file()
    return CliRunner().invoke(app, words)


def imports(at_work: Polled) -> int:
    return sum(n for path, n in at_work.vendors.counts("powerpath").items() if "import" in path)


def test_a_poll_says_what_came_of_it_and_what_it_may_not_do(told: Told) -> None:
    assert told.first.exit_code == 0, told.first.output
    said = told.first.stdout
    found = re.search(r"asked about (\d+), of which (\d+) became final", said)
    assert found, said
    assert int(found[1]) == told.pairs
    assert int(found[2]) > 0
    assert "2 quarantined, because the answer is not understood." in said
    assert "`allow_side_effects` is off" in said
    assert "assignments.jsonl" in said
    assert told.imports == 0
    assert told.facts > 0
    assert "asked about 0" in told.again.stdout


def test_imports_and_what_they_may_have_done_are_said(at_work: Polled) -> None:
    told = asked(at_work.use(allow_side_effects=True), *SYNC)
    assert told.exit_code == 0, told.output
    found = re.search(r"was asked (\d+) times to store results: (\d+) of them may", told.stdout)
    assert found, told.stdout
    assert int(found[1]) == imports(at_work)
    assert int(found[2]) >= len(at_work.vendors.state()["powerpath"]["enrollments"]) > 0
    assert "allow_side_effects" not in told.stdout


def test_a_day_is_loaded_again_without_asking_anybody(told: Told) -> None:
    assert told.loaded_again.exit_code == 0, told.loaded_again.output
    assert "asked about" not in told.loaded_again.stdout
    assert told.before
    assert told.after == told.before
    assert not told.was_asked
    assert told.nothing.exit_code == 1
    assert "nothing has landed" in told.nothing.output


def test_the_polls_of_a_day_are_one_line_of_the_history(told: Told) -> None:
    assert told.history.exit_code == 0, told.history.output
    lines = told.history.stdout.splitlines()
    assert told.syncs > 1
    assert len([line for line in lines if re.match(r"\d{4}-\d\d-\d\d ", line)]) == 1


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
