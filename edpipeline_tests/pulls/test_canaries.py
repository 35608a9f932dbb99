"""Every secret of the vendors, and everything they send that was not asked for, has CANARY- in it:
after good pulls and bad ones none of it is found anywhere that a pull leaves something.
"""

import logging
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from edpipeline import pulling, sources
from edpipeline.errors import EdpipelineError
from edpipeline.sandbox.vendors import Vendors
from edpipeline.settings import provided
from edpipeline_tests.pulls.canaries import CANARY, assert_none, texts
from edpipeline_tests.pulls.installation import DISTRICT, Installation, installed

EARLY = datetime(2026, 9, 12, 6, 30, tzinfo=UTC)
"""When few tests have been taken."""
LISTED, SIGN_IN = {"path": "results$|assessments$"}, {"path": "session$|token$"}
BAD = [
    {"match": LISTED, "html": True},
    {"match": LISTED, "half_body": True},
    {"match": LISTED, "repeat_page": 1},
    {"match": SIGN_IN, "status": 401, "body": {"message": "CANARY-said"}},
    {"match": SIGN_IN, "status": 500, "body": "CANARY-text"},
    {
        "match": LISTED,
        "rename_field": {"testSessionId": "student_12345678", "AssessmentID": "student_12345678"},
    },
    {
        "match": LISTED,
        "add_field": {"note": "CANARY-note", "student_12345678": 1, "deep": {"in": "CANARY-deep"}},
        "retype_field": {"lexile": "object", "Lexile": "object"},
    },
]


def after_a_week(made: Installation, log: pytest.LogCaptureFixture) -> list[str]:
    """Good pulls and bad ones of both sources, with the marts published; what was said of them."""
    log.set_level(logging.DEBUG)
    said: list[str] = []
    for day, fault in enumerate([{}, *BAD]):
        change_scores(made, day)
        if fault:
            made.vendors.inject(**fault, times=None)
        for source in ("star", "scantron"):
            try:
                said.append(made.pulls(source, day)[-1].markdown())
            except EdpipelineError as error:
                said.append(repr(error))
            try:
                one = sources.source(source)
                said.append(pulling.account_works(made.pipeline, DISTRICT, one))
            except EdpipelineError as error:
                said.append(repr(error))
        made.vendors.heal()
    with provided({"SCANTRON_PASSWORD": "CANARY-wrong", "STAR_SECRET": "CANARY-wrong"}):
        for source in ("star", "scantron"):
            with pytest.raises(EdpipelineError) as raised:
                made.pull(source, 9)
            said.append(str(raised.value))
    made.pipeline.refill(DISTRICT)
    return [*said, log.text, repr(made.pipeline), *map(str, made.pipeline.districts.all)]


def change_scores(made: Installation, day: int) -> None:
    """So that there is something to pull."""
    tests, sessions = made.vendors.ids("SR")[:3], made.vendors.ids("scantron")[:3]
    made.vendors.seed(
        records={
            "SR": [{"AssessmentID": each, "ScaledScore": 600 + day} for each in tests],
            "scantron": [{"testSessionId": each, "scaledScore": 2000 + day} for each in sessions],
        }
    )


def tables(made: Installation) -> Iterator[tuple[str, bytes]]:
    """The rows of every table, which stand packed in the file."""
    names = made.rows(
        "select table_schema, table_name from information_schema.tables"
        " where table_type = 'BASE TABLE' and table_schema not in"
        " ('pg_catalog', 'information_schema')"
    )
    for schema, name in names:
        rows = made.rows(f'select * from "{schema}"."{name}"')
        yield f"{schema}.{name}", repr(rows).encode()


@pytest.mark.parametrize("database", ["duckdb", "postgresql"])
def test_pulls_leave_no_secret_and_nothing_that_was_not_asked_for(
    vendors: Vendors,
    tmp_path: Path,
    database: str,
    request: pytest.FixtureRequest,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    url = request.getfixturevalue("postgres_database_url") if database == "postgresql" else ""
    with installed(tmp_path, vendors, EARLY, url) as installation:
        made = installation.reading_alone()
        said = after_a_week(made, caplog)
        statuses = {status for source in ("star", "scantron") for status, _ in made.history(source)}
        assert statuses >= {"loaded", "failed", "refused"}
        assert_none(list(tables(made)))
        assert made.in_scratch() == []
        home = tmp_path / "home"
        for kept in ("landing", "published"):
            assert_none(texts(home / kept))
        printed = "".join(capfd.readouterr())
        assert_none([("said", "\n".join(said).encode()), ("printed", printed.encode())])
    # What is deleted stays in a file for a while: the file itself, and its log, as bytes.
    assert_none(texts(tmp_path))
    assert_the_search_can_find(tmp_path / "planted")


def assert_the_search_can_find(folder: Path) -> None:
    folder.mkdir()
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("a.txt", f"{CANARY}planted" * 9)
    with pytest.raises(AssertionError):
        assert_none(texts(folder))
    (folder / "a.zip").unlink()
    duckdb.sql(f"copy (select '{CANARY}' || 'x' as a) to '{folder}/a.parquet'")
    with pytest.raises(AssertionError):
        assert_none(texts(folder))
