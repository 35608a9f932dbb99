"""Every setting of an installation, from environment variables that begin with EDPIPELINE_.

This is the only module that reads or changes the environment, and it does so when it is asked to,
never at import. What differs from district to district stands in the districts file instead.
"""

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from edpipeline.errors import BadConfiguration

PREFIX = "EDPIPELINE_"
PACKAGE = Path(__file__).parent
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SCHEMA = re.compile(r"[A-Za-z][A-Za-z0-9]*://.")
NEEDED_TO_SEND = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")

Folder = Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())]


class Settings(BaseSettings):
    """The settings of one installation; made by `load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, hide_input_in_errors=True
    )

    home: Folder = Field(default=Path(".edpipeline"), validate_default=True)
    """Where everything is kept that is not placed elsewhere."""
    warehouse: SecretStr
    """`duckdb:///absolute/path` or `postgresql://...`; a secret, because it may hold a password."""
    landing: str
    """The archive of what arrived: a folder, or `s3://bucket/prefix`."""
    inbox: str
    """Where files to be uploaded are laid: a folder, or `s3://bucket/prefix`."""
    published: str
    """Where marts are published as Parquet: a folder, or `s3://bucket/prefix`."""
    districts: Folder
    """The districts file."""
    sql: Folder = Field(default=Path(), validate_default=True)
    """The folder of control and mart SQL; with a checkout or a wheel there is nothing to set."""
    first_day: date = date(2026, 7, 1)
    """The first day of the first school year kept: Dagster shows no day before it."""
    scratch: Folder | None = None
    """Room for temporary files, as large as the largest delivery; the system's own by default."""
    memory_limit: str = Field(default="1GB", pattern=r"^\d+(\.\d+)? ?[KMGT]i?B$")
    """What DuckDB may use; it spills to disk beyond."""
    lock_seconds: float = Field(default=60.0, ge=0)
    """How long a load waits for another one before it gives up and is tried again."""
    alerts: SecretStr = SecretStr("")
    """Whom to tell of trouble: URLs as `docs/alerts.md` explains them, with spaces or lines between
    them; a secret, because they hold passwords and tokens. Nobody is told where it is empty."""

    @model_validator(mode="before")
    @classmethod
    def _in_home(cls, values: dict[str, Any]) -> dict[str, Any]:
        home = Path(values.get("home") or ".edpipeline").expanduser().absolute()
        in_home = {
            "warehouse": f"duckdb://{home}/warehouse.duckdb",
            "landing": str(home / "landing"),
            "inbox": str(home / "inbox"),
            "published": str(home / "published"),
            "districts": home / "districts.yaml",
            "sql": _sql_folder(),
        }
        return in_home | values

    @field_validator("warehouse")
    @classmethod
    def _is_a_warehouse(cls, url: SecretStr) -> SecretStr:
        if not url.get_secret_value().startswith(("duckdb:///", "postgresql://", "postgres://")):
            raise ValueError(
                "write duckdb:///absolute/path or postgresql://user:password@host/database"
            )
        return url

    @field_validator("alerts")
    @classmethod
    def _are_urls(cls, urls: SecretStr) -> SecretStr:
        if not all(SCHEMA.match(each) for each in urls.get_secret_value().split()):
            raise ValueError("write URLs such as mailtos://user:password@host?to=ops@example.org")
        return urls

    @field_validator("landing", "inbox", "published")
    @classmethod
    def _is_a_place(cls, place: str, info: ValidationInfo) -> str:
        if "://" not in place:
            return str(Path(place).expanduser().absolute())
        if not place.startswith(("s3://", "file:///")):
            raise ValueError("write a folder, or s3://bucket/prefix")
        return place


def load_settings() -> Settings:
    """The settings as the environment has them now.

    Raises BadConfiguration, naming each variable that is wrong and what it takes, never its value.
    """
    _refuse_misspelt()
    try:
        return Settings()
    except ValidationError as error:
        raise BadConfiguration("; ".join(_explained(error))) from None


def secret(name: str) -> SecretStr:
    """The secret in the environment variable of that name.

    Raises BadConfiguration where it is not set or empty; the message holds the name alone.
    """
    value = os.environ.get(name, "") if VARIABLE.fullmatch(name) else ""
    if not value:
        raise BadConfiguration(
            f"the environment variable {name[:60]} is not set: give it to the process that runs"
            " edpipeline (the districts file names it, and never holds the secret itself)"
        )
    return SecretStr(value)


def environment_to_send_in() -> dict[str, str]:
    """What a child process that tells people gets of the environment: what Python and TLS need.

    No secret, no setting of the library that sends, and no proxy or `.netrc`, which would lead
    messages and passwords elsewhere than the URL says.
    """
    found = {name: os.environ[name] for name in NEEDED_TO_SEND if name in os.environ}
    return found | {"NO_PROXY": "*", "no_proxy": "*", "NETRC": os.devnull}


@contextmanager
def provided(variables: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Set environment variables for a block; yields the whole environment, for child processes."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield dict(os.environ)
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _sql_folder() -> Path:
    beside = PACKAGE.parent / "sql"
    return beside if (beside / "control").is_dir() else PACKAGE / "sql"


def _explained(error: ValidationError) -> list[str]:
    return [
        f"{PREFIX}{'_'.join(map(str, one['loc'])).upper()}: {_remedy(one['type'], one['msg'])}"
        for one in error.errors(include_url=False, include_input=False, include_context=False)
    ]


def _remedy(kind: str, message: str) -> str:
    if kind == "string_pattern_mismatch":
        return "write an amount of memory such as 512MB or 4GB"
    return message.removeprefix("Value error, ")


def _refuse_misspelt() -> None:
    """A setting that is misspelt would be ignored without a word. Other names may be secrets'."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.9)
            if close:
                raise BadConfiguration(f"{name} is not a setting; did you mean {close[0]}?")
