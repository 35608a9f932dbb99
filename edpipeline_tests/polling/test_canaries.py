"""What must stand nowhere: secrets, students' accounts, links into tests, answers, test items."""

import logging
from pathlib import Path

import pytest

from edpipeline.errors import EdpipelineError
from edpipeline.polling import account_works
from edpipeline_tests.polling.installation import DISTRICT, IMPORT, IMPORTS, SOURCE, Installation
from edpipeline_tests.pulls.canaries import assert_none, texts


@pytest.fixture
def warehouse() -> str:
    """One in the home folder, all of which is searched."""
    return ""


def test_no_secret_is_left_anywhere(
    installation: Installation,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    made = installation.configure(**IMPORTS, pairs_from=["test_assignments", "gradebook"])
    said = [account_works(made.pipeline, DISTRICT, SOURCE)]
    for day, edition in enumerate(("2025-06", "2025-12", "2026-07")):
        # Every edition tells of pairs that are new.
        world = {"powerpath_edition": edition, "powerpath_pairs": 10 * (day + 1)}
        made.vendors.seed(world={**world, "powerpath_extras": True})
        poll = made.poll(day * 60 * 24)
        assert poll.imports and poll.became_final
        said.append(repr(poll))
    for day, fault in enumerate(({"status": 422}, {"html": True}, {"half_body": True}), 3):
        made.vendors.inject(match={"path": "getAssessmentProgress"}, times=9, **fault)
        made.vendors.inject(match={"path": IMPORT}, times=9, **fault)
        try:
            said.append(repr(made.poll(day * 60 * 24)))
        except EdpipelineError as error:
            said += [str(error), repr(error), repr(error.__cause__), repr(error.__context__)]
        made.vendors.heal()
    out, err = capfd.readouterr()
    logs = caplog.text + out + err + "".join(said)
    assert_none([("logs", logs.encode())])
    assert_none(texts(made.folder / "home"))
    assert_none(everything(made))
    assert not [path for path in (made.folder / "scratch").rglob("*") if path.is_file()]


def everything(made: Installation) -> list[tuple[str, bytes]]:
    """Every row of every table."""
    tables = made.rows(
        "select table_schema || '.' || table_name from information_schema.tables"
        " where table_schema in ('external_tests', 'ops')"
    )
    found = [(name, repr(made.rows(f"select * from {name}")).encode()) for (name,) in tables]
    assert any("current_results" in name for name, _ in found)
    return found


def test_the_search_would_find_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("CANARY-x")
    with pytest.raises(AssertionError):
        assert_none(texts(tmp_path))
