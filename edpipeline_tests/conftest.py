"""What every test may ask for: an empty warehouse on each database, and no settings from outside.

postgres_url           a real PostgreSQL server, one for the session
postgres_database_url  an empty database of it, one for the test
warehouse_url          an empty warehouse; the test runs twice, on DuckDB and on PostgreSQL
"""

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from edpipeline.sandbox.postgres_server import postgres_server

FOREIGN_SETTINGS = (
    "EDPIPELINE_",
    "DAGSTER_",
    "AWS_",
    "PG",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
)


@pytest.fixture(scope="session", autouse=True)
def no_settings_from_outside() -> Iterator[None]:
    """The configuration, credentials and proxies of whoever runs the tests do not reach them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.upper().startswith(FOREIGN_SETTINGS):
                patch.delenv(name)
        patch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The superuser's URL. Roles are the server's, not a database's: tests share them."""
    with postgres_server() as url:
        yield url


@pytest.fixture
def postgres_database_url(postgres_url: str) -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        yield urlsplit(postgres_url)._replace(path=f"/{name}").geturl()
        connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


@pytest.fixture(params=["duckdb", "postgres"])
def warehouse_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        url: str = request.getfixturevalue("postgres_database_url")
        return url
    return f"duckdb:///{tmp_path / 'warehouse.duckdb'}"
