"""What must stand nowhere: links, tokens, keys, secrets; and students in what people read."""

import logging

import pytest

from edpipeline import surveying
from edpipeline.errors import EdpipelineError
from edpipeline.surveying import Asked, check_accounts
from edpipeline_tests.pulls.canaries import assert_none, texts
from edpipeline_tests.surveying.installation import (
    DAY,
    DISTRICT,
    NOW,
    REPORT,
    SPANISH,
    USERNAME,
    Installation,
    ssid,
)

FAULTS = (
    {"status": 400},
    {"html": True},
    {"half_body": True},
    {"status": 401},
    {"add_field": {"student_12345678": "CANARY-", "url2": "CANARY-"}},
    {"rename_field": {"url": "link"}},
)


@pytest.fixture
def warehouse() -> str:
    """One in the home folder, all of which is searched."""
    return ""


def test_no_secret_and_no_link_is_left_anywhere(
    made: Installation, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    for number in range(7):
        made.vendors.reports(ssid(number), [REPORT, SPANISH])
    made.roster({f"s{number}": ssid(number) for number in range(7)})
    said = [repr(check_accounts(made.pipeline, DISTRICT))]

    def tried(minutes: float) -> None:
        try:
            said.append(repr(made.survey(minutes)))
        except EdpipelineError as error:
            said.extend(map(repr, (error, error.__cause__, error.__context__)))
            said.append(str(error))

    tried(0)
    given = surveying.links(made.pipeline, DISTRICT, "s1", Asked(), NOW, "sam")
    assert len(given) == 2 and "CANARY-" in given[0].url
    said.append(repr(given))
    for day, fault in enumerate(FAULTS, 1):
        made.vendors.inject(match={"path": "/score-reports"}, times=9, **fault)
        tried(DAY * day)
        made.vendors.heal()
    made.vendors.regenerate(USERNAME)
    tried(DAY * 10)
    out, err = capfd.readouterr()
    logs = caplog.text + out + err + "".join(said)
    assert_none([("logs", logs.encode())])
    assert not [number for number in range(7) if ssid(number) in logs], "nor a student's number"
    assert_none(texts(made.folder / "home"))
    assert_none(everything(made))
    assert not [path for path in (made.folder / "scratch").rglob("*") if path.is_file()]


def everything(made: Installation) -> list[tuple[str, bytes]]:
    """Every row of every table."""
    tables = made.rows(
        "select table_schema || '.' || table_name from information_schema.tables"
        " where table_schema in ('score_reports', 'ops')"
    )
    found = [(name, repr(made.rows(f"select * from {name}")).encode()) for (name,) in tables]
    assert any("CAASPP EN 2026" in data.decode() for name, data in found if "access" in name)
    return found
