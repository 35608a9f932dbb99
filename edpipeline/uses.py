"""How a district uses a source, as the districts file says it: accounts, windows, limits, fields.

Secrets stand in environment variables, and the file names the variables. Nothing here connects to
anything.
"""

import difflib
import re
from collections.abc import Mapping
from datetime import date, time
from functools import cache
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)
from pydantic.dataclasses import dataclass as validated_dataclass

from edpipeline import sources
from edpipeline.errors import BadConfiguration
from edpipeline.landing.sftp import fingerprint
from edpipeline.model import ApiPoll, ApiPull, FileDrop, IdField, Window
from edpipeline.settings import VARIABLE

STRICT = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _time_zone(name: str) -> str:
    if name not in _time_zones():
        close = difflib.get_close_matches(name, _time_zones(), n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ValueError(f"not an IANA time zone, such as America/New_York{hint}")
    return name


def _clock(text: object) -> object:
    if not isinstance(text, str):
        return text
    found = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", text)
    if not found:
        raise ValueError("write a clock time such as 19:00")
    return time(int(found[1]), int(found[2]))


def _variable(name: str) -> str:
    if not VARIABLE.fullmatch(name):
        raise ValueError(
            "write the name of an environment variable (letters, digits, _), not the secret itself"
        )
    return name


def _host_key(line: str) -> str:
    try:
        fingerprint(line)
    except BadConfiguration as error:
        raise ValueError(str(error)) from None
    return line


TimeZone = Annotated[str, AfterValidator(_time_zone)]
Clock = Annotated[time, BeforeValidator(_clock)]
Variable = Annotated[str, AfterValidator(_variable)]
Encoding = Literal["windows-1252", "iso-8859-1"]
EditionName = Literal["auto", "oneroster_1_1", "oneroster_1_2", "three_file"]


class SftpUse(BaseModel):
    """An account on an SFTP server; exactly one of password and key, by environment name."""

    model_config = STRICT

    host: str = Field(min_length=1)
    port: int = Field(default=22, ge=1, le=65535)
    username: str = Field(min_length=1)
    password_env: Variable | None = None
    private_key_env: Variable | None = None
    host_key: Annotated[str, AfterValidator(_host_key)]
    """The server's public key, `ssh-ed25519 AAAA...`, learned from the people who run it."""
    folder: str = Field(default="/", min_length=1)

    @model_validator(mode="after")
    def _has_one_secret(self) -> "SftpUse":
        if (self.password_env is None) == (self.private_key_env is None):
            raise ValueError("give either password_env or private_key_env")
        return self

    @property
    def secret_name(self) -> str:
        """The environment variable that holds the password or the private key."""
        return self.password_env or self.private_key_env or ""


@validated_dataclass(frozen=True, config=ConfigDict(extra="forbid", hide_input_in_errors=True))
class DailyWindow(Window):
    """The daily window of a district, 19:00 to 21:00 in New York unless it chose another."""

    opens: Clock = time(19)
    closes: Clock = time(21)
    time_zone: TimeZone = "America/New_York"


def window_of(source: str) -> DailyWindow:
    """The window of districts that choose none, as the source declares it."""
    arrives = sources.source(source).arrives
    assert isinstance(arrives, FileDrop | ApiPull | ApiPoll)
    found = arrives.window
    assert found is not None
    return DailyWindow(found.opens, found.closes, found.time_zone)


class RemovalLimit(BaseModel):
    """Removals above `percent` of a group wait for a person, but never so few as `floor`."""

    model_config = STRICT

    percent: float = Field(default=10.0, ge=0, le=100)
    floor: int = Field(default=5, ge=0)


class Pause(BaseModel):
    """Delivery days, both included, on which removals wait or nothing is synced at all."""

    model_config = STRICT

    first: date = Field(alias="from")
    last: date = Field(alias="to")
    what: Literal["removals", "sync"]

    @model_validator(mode="after")
    def _in_order(self) -> "Pause":
        if self.last < self.first:
            raise ValueError("a pause ends on or after the day it begins")
        return self


class DailyUse(BaseModel):
    """A source that is synced once a day, within a window."""

    model_config = STRICT

    window: DailyWindow = DailyWindow()
    pauses: tuple[Pause, ...] = ()
    enabled: bool = True

    def is_paused(self, day: date, what: Literal["removals", "sync"]) -> bool:
        """Whether that is paused on a delivery day."""
        return any(p.what == what and p.first <= day <= p.last for p in self.pauses)


class RosterUse(DailyUse):
    """How a district delivers its roster."""

    sftp: SftpUse
    edition: EditionName = "auto"
    encodings: tuple[Encoding, ...] = ()
    schools: Mapping[str, str] = Field(default_factory=dict)
    """School names by id, for deliveries without a file of organisations."""
    removal_limit: RemovalLimit = RemovalLimit()
    first_sync_needs_approval: bool = True


class UploadUse(BaseModel):
    """What holds for a district's uploads of one source, unless chosen with the upload."""

    model_config = STRICT

    edition: str = "auto"
    match_on: IdField = "district_user_id"
    encodings: tuple[Encoding, ...] = ("windows-1252",)
    """Beside UTF-8; spreadsheets write this one."""
    removal_limit: RemovalLimit = RemovalLimit()
    """Results that vanish from a newer full export wait above it."""
    enabled: bool = True


class PullUse(DailyUse):
    """What holds for every API: it is asked only where the district says so."""

    enabled: bool = False
    base_url: str = ""
    """Where the vendor's API is; there is no public one."""
    api: Mapping[str, Any] = Field(default_factory=dict)
    """What of the vendor's API differs from `sources/<source>/api.yaml`, in the same shape."""
    trailing_days: int = Field(default=14, ge=1)
    """Results changed so long before the last pull are asked for again."""
    whole_every_days: int = Field(default=7, ge=1)
    """So often the whole school year is asked for."""
    edition: str = "auto"
    encodings: tuple[Encoding, ...] = ("windows-1252",)
    """Beside UTF-8, of files that are handed over."""

    @property
    def chosen_field(self) -> IdField:
        """The field of the roster that results are matched on."""
        raise NotImplementedError

    @property
    def chosen_header(self) -> str:
        """The vendor's field that is compared with it; "" for the one that belongs to it."""
        return ""

    @property
    def values(self) -> Mapping[str, str]:
        """What the vendor's API is told of the district."""
        raise NotImplementedError

    @property
    def secret_names(self) -> Mapping[str, str]:
        """The environment variables with what signs us in, by what the API calls it."""
        raise NotImplementedError


class ScantronUse(PullUse):
    """A district's site in Scantron Performance Series."""

    site_id: str = Field(pattern=r"^[0-9]{10}$")
    """Ten digits, as text: leading zeros count."""
    username_env: Variable
    password_env: Variable
    match_on: IdField = "district_user_id"
    window: DailyWindow = window_of("scantron")

    @property
    def chosen_field(self) -> IdField:
        """See `PullUse`."""
        return self.match_on

    @property
    def values(self) -> Mapping[str, str]:
        """See `PullUse`."""
        return {"site_id": self.site_id}

    @property
    def secret_names(self) -> Mapping[str, str]:
        """See `PullUse`."""
        return {"username": self.username_env, "password": self.password_env}


class StarMatch(BaseModel):
    """The two fields that are compared to find a student."""

    model_config = STRICT

    star_field: str = "StudentIdentifier"
    roster_field: IdField = "district_user_id"

    @field_validator("star_field")
    @classmethod
    def _is_a_field_of_students(cls, name: str) -> str:
        if name not in STAR_FIELDS:
            raise ValueError(f"a field of STAR's records: {', '.join(STAR_FIELDS)}")
        return name


STAR_FIELDS = (
    "StudentIdentifier",
    "StudentUserID",
    "StudentStateID",
    "StudentSourcedID",
    "StudentEmail",
)


class StarUse(PullUse):
    """A district's results of Renaissance STAR."""

    transport: Literal["api", "sftp"] = "api"
    """`sftp`: the nightly zip that Renaissance lays on a server, instead of its API."""
    data_sharing_confirmed: bool = False
    """That an administrator has allowed Renaissance to share data; nothing is asked before."""
    rp_identifier: str = ""
    """The district's identification number at Renaissance."""
    username: str = ""
    """The STAR 360 user name that the authorisation is for."""
    client_id_env: Variable | None = None
    client_secret_env: Variable | None = None
    sftp: SftpUse | None = None
    match: StarMatch = StarMatch()
    window: DailyWindow = window_of("star")

    @model_validator(mode="after")
    def _has_what_its_transport_needs(self) -> "StarUse":
        if self.transport == "sftp":
            if self.sftp is None:
                raise ValueError("transport sftp needs `sftp:` with the account")
            return self
        lacking = [
            name
            for name in ("rp_identifier", "username", "client_id_env", "client_secret_env")
            if not getattr(self, name)
        ]
        if lacking:
            raise ValueError(f"transport api needs {', '.join(lacking)}")
        return self

    @property
    def chosen_field(self) -> IdField:
        """See `PullUse`."""
        return self.match.roster_field

    @property
    def chosen_header(self) -> str:
        """See `PullUse`."""
        return self.match.star_field

    @property
    def values(self) -> Mapping[str, str]:
        """See `PullUse`."""
        return {"rp_identifier": self.rp_identifier, "star_username": self.username}

    @property
    def secret_names(self) -> Mapping[str, str]:
        """See `PullUse`."""
        return {
            "client_id": self.client_id_env or "",
            "client_secret": self.client_secret_env or "",
        }
