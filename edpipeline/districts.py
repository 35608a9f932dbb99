"""The districts file: who uses which source, from where, when, and with what limits.

One YAML file, read anew by whoever needs it, holds no secret: passwords and keys stand in
environment variables, and the file names the variables. `examples/districts.yaml` explains every
setting. Everything in the file is text until it is validated, so `0101` never becomes a number.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path
from typing import Annotated, Literal
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
from edpipeline.errors import BadConfiguration, NotFound
from edpipeline.landing.sftp import SftpAccount, fingerprint
from edpipeline.lined_yaml import Lines, Location, parsed
from edpipeline.loading.options import LoadOptions
from edpipeline.model import MatchField, Window
from edpipeline.settings import VARIABLE, secret

STRICT = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
SLUG = r"^[a-z0-9-]{1,40}$"


def _time_zone(name: str) -> str:
    if name not in available_timezones():
        close = difflib.get_close_matches(name, available_timezones(), n=1)
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


class RosterUse(BaseModel):
    """How a district delivers its roster."""

    model_config = STRICT

    sftp: SftpUse
    edition: EditionName = "auto"
    encodings: tuple[Encoding, ...] = ()
    schools: Mapping[str, str] = Field(default_factory=dict)
    """School names by id, for deliveries without a file of organisations."""
    window: DailyWindow = DailyWindow()
    removal_limit: RemovalLimit = RemovalLimit()
    pauses: tuple[Pause, ...] = ()
    first_sync_needs_approval: bool = True
    enabled: bool = True

    def is_paused(self, day: date, what: Literal["removals", "sync"]) -> bool:
        """Whether that is paused on a delivery day."""
        return any(p.what == what and p.first <= day <= p.last for p in self.pauses)


class UploadUse(BaseModel):
    """What holds for a district's uploads of one source, unless chosen with the upload."""

    model_config = STRICT

    edition: str = "auto"
    match_on: MatchField = "district_user_id"
    encodings: tuple[Encoding, ...] = ("windows-1252",)
    """Beside UTF-8; spreadsheets write this one."""
    removal_limit: RemovalLimit = RemovalLimit()
    """Results that vanish from a newer full export wait above it."""
    enabled: bool = True


def _uploaded(name: str) -> str:
    known = [source.name for source in sources.ALL if source.is_uploaded]
    if name not in known:
        raise ValueError(f"not a source of uploads; known are {', '.join(known)}")
    return name


class District(BaseModel):
    """One school system."""

    model_config = STRICT

    id: str = Field(pattern=SLUG)
    name: str = Field(min_length=1)
    time_zone: TimeZone
    oneroster: RosterUse | None = None
    uploads: Mapping[Annotated[str, AfterValidator(_uploaded)], UploadUse] = Field(
        default_factory=dict
    )
    """What differs from the defaults, by source. Uploads need no entry."""

    @field_validator("uploads")
    @classmethod
    def _editions_are_known(cls, uploads: Mapping[str, UploadUse]) -> Mapping[str, UploadUse]:
        for name, use in uploads.items():
            known = ["auto", *(edition.name for edition in sources.source(name).editions)]
            if use.edition not in known:
                raise ValueError(f"{name} has no edition {use.edition!r}: {', '.join(known)}")
        return uploads


class _File(BaseModel):
    """The file as a whole."""

    model_config = STRICT

    districts: tuple[District, ...] = ()


@dataclass(frozen=True)
class Districts:
    """Every district of an installation, in the order of the file."""

    all: tuple[District, ...]

    def get(self, district_id: str) -> District:
        """The district of that id. Raises NotFound, naming those that are known."""
        for district in self.all:
            if district.id == district_id:
                return district
        known = ", ".join(district.id for district in self.all[:20]) or "none"
        more = f" and {len(self.all) - 20} more" if len(self.all) > 20 else ""
        raise NotFound(
            f"district {district_id[:40]!r} is not in the districts file; it has: {known}{more}"
        )


def load_districts(path: Path) -> Districts:
    """The districts file at `path`.

    Raises BadConfiguration with the line, the key, what is allowed there and, where a key is
    misspelt, what was probably meant.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise BadConfiguration(
            f"there is no districts file {path}: copy examples/districts.yaml there and fill it"
            " in, or name yours in EDPIPELINE_DISTRICTS"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfiguration(
            f"the districts file {path} cannot be read ({type(error).__name__}): it must be UTF-8"
            " text that this user may read"
        ) from None
    return _parsed(text, path)


def load_options(district: District, day: date) -> LoadOptions:
    """What the district has chosen for its roster, as it holds for one delivery day."""
    use = roster_use(district)
    return LoadOptions(
        edition=use.edition,
        encodings=use.encodings,
        schools=dict(use.schools),
        removal_percent=use.removal_limit.percent,
        removal_floor=use.removal_limit.floor,
        removals_paused=use.is_paused(day, "removals"),
        first_sync_needs_approval=use.first_sync_needs_approval,
    )


def upload_use(district: District, source: str) -> UploadUse:
    """What holds for the district's uploads of a source."""
    return district.uploads.get(source, UploadUse())


def upload_options(district: District, source: str) -> LoadOptions:
    """The same as options of a load."""
    use = upload_use(district, source)
    return LoadOptions(
        edition=use.edition,
        encodings=use.encodings,
        removal_percent=use.removal_limit.percent,
        removal_floor=use.removal_limit.floor,
        first_sync_needs_approval=False,
        match_on=use.match_on,
    )


def sftp_account(district: District) -> SftpAccount:
    """The district's account, with its secret as the environment has it now.

    Raises BadConfiguration where the secret's variable is not set.
    """
    use = roster_use(district).sftp
    value = secret(use.secret_name)
    return SftpAccount(
        host=use.host,
        port=use.port,
        username=use.username,
        password=value if use.password_env else None,
        private_key=value if use.private_key_env else None,
        host_key=use.host_key,
        folder=use.folder,
    )


def roster_use(district: District) -> RosterUse:
    """How the district delivers its roster; raises BadConfiguration where it does not."""
    if district.oneroster is None:
        raise BadConfiguration(
            f"district {district.id} has no `oneroster:` in the districts file; add it to sync"
            " its roster"
        )
    return district.oneroster


def _parsed(text: str, path: Path) -> Districts:
    found, lines = parsed(text, path, _File)
    _refuse_twins(found, lines)
    return Districts(found.districts)


def _refuse_twins(found: _File, reading: Lines) -> None:
    first: dict[str, int] = {}
    for place, district in enumerate(found.districts):
        at: Location = ("districts", place, "id")
        if district.id in first:
            before = reading.line_of(("districts", first[district.id], "id"))
            raise reading.error(at, f"{district.id} is in the file twice, first on line {before}")
        first[district.id] = place
