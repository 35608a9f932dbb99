"""What PostgreSQL says becomes what a person can act on: wait, correct, grant, or report."""

from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import errors

from edpipeline.errors import (
    BadConfiguration,
    BadCredentials,
    Busy,
    ConnectionLost,
    EdpipelineError,
    Permanent,
    Transient,
)
from edpipeline.warehouse.engine import open_warehouse
from edpipeline.warehouse.postgres import _refused, _told

PLACE = "PostgreSQL db:5432/district"


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (errors.InvalidPassword(), BadCredentials, "EDPIPELINE_WAREHOUSE"),
        (errors.InvalidCatalogName(), BadCredentials, "EDPIPELINE_WAREHOUSE"),
        (errors.DeadlockDetected(), Transient, "tried again"),
        (errors.SerializationFailure(), Transient, "tried again"),
        (errors.QueryCanceled(), Transient, "tried again"),
        (errors.LockNotAvailable(), Transient, "tried again"),
        (errors.OutOfMemory(), Transient, "tried again"),
        (errors.DiskFull(), Transient, "disk"),
        (errors.TooManyConnections(), Transient, "tried again"),
        (errors.AdminShutdown(), ConnectionLost, "lost"),
        (errors.IdleSessionTimeout(), ConnectionLost, "lost"),
        (errors.InsufficientPrivilege(), Permanent, "right"),
        (errors.InvalidTextRepresentation("Philippa"), Permanent, "report it"),
    ],
)
def test_an_error_of_postgres_is_told_by_its_sqlstate(
    error: psycopg.Error, kind: type[EdpipelineError], words: str
) -> None:
    told = _told(error, PLACE)
    assert type(told) is kind
    assert words in str(told)
    assert "Philippa" not in str(told)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('FATAL:  password authentication failed for user "ed"', BadCredentials),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "ed"', BadCredentials),
        ('FATAL:  database "district" does not exist', BadCredentials),
        ('FATAL:  role "ed" does not exist', BadCredentials),
        ("FATAL:  remaining connection slots are reserved for roles with SUPERUSER", Transient),
        ("FATAL:  sorry, too many clients already", Transient),
        ("FATAL:  the database system is starting up", Transient),
        ('connection to "authentication.role.example" failed: refused', ConnectionLost),
        ('server "database.example": No such file; does it exist?', ConnectionLost),
    ],
)
def test_a_connection_that_did_not_come_about_is_told_by_the_servers_words(
    text: str, kind: type[EdpipelineError]
) -> None:
    assert type(_refused(psycopg.OperationalError(text), PLACE)) is kind


@pytest.mark.parametrize(("user", "path"), [("postgres", "/nowhere"), ("nobody_here", "")])
def test_a_server_that_refuses_says_bad_credentials(
    postgres_database_url: str, user: str, path: str
) -> None:
    parts = urlsplit(postgres_database_url)
    host = parts.netloc.rpartition("@")[2]
    url = parts._replace(netloc=f"{user}:a-secret@{host}", path=path or parts.path).geturl()
    with pytest.raises(BadCredentials) as caught, open_warehouse(url).transaction():
        pass
    assert "a-secret" not in str(caught.value)


def test_a_statement_that_took_too_long_is_tried_again(postgres_database_url: str) -> None:
    with (
        pytest.raises(Transient, match="QueryCanceled"),
        open_warehouse(postgres_database_url).transaction() as session,
    ):
        session.run("set local statement_timeout = '20ms'")
        session.run("select pg_sleep(5)")


def test_a_district_that_is_loaded_elsewhere_is_busy(postgres_database_url: str) -> None:
    warehouse = open_warehouse(postgres_database_url, lock_seconds=0.1)
    with warehouse.transaction() as first:
        first.lock_district("demo")
        with pytest.raises(Busy), warehouse.transaction() as second:
            second.lock_district("demo")


def test_an_address_that_cannot_be_read_is_told_without_its_secret() -> None:
    url = "postgresql://ed:a-secret%@db/district"
    with pytest.raises(BadConfiguration) as caught, open_warehouse(url).transaction():
        pass
    assert "a-secret" not in str(caught.value)
