"""The districts file: who uses which source, from where, when, and with what limits.

One YAML file, read anew by whoever needs it, holds no secret: passwords and keys stand in
environment variables, and the file names the variables. `examples/districts.yaml` explains every
setting. Everything in the file is text until it is validated, so `0101` never becomes a number.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, field_validator

from edpipeline import sources
from edpipeline.errors import BadConfiguration, NotFound
from edpipeline.landing.sftp import SftpAccount
from edpipeline.lined_yaml import Lines, Location, parsed
from edpipeline.loading.options import LoadOptions
from edpipeline.model import ApiPoll, Source
from edpipeline.settings import secret
from edpipeline.uses import (
    STRICT,
    DailyUse,
    PullUse,
    RosterUse,
    ScantronUse,
    SftpUse,
    StarUse,
    TimeZone,
    UploadUse,
)
from edpipeline.uses_of_polls import PowerPathUse, ScoreReportsUse

SLUG = r"^[a-z0-9-]{1,40}$"


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
    scantron: ScantronUse | None = None
    star: StarUse | None = None
    powerpath: PowerPathUse | None = None
    score_reports: ScoreReportsUse | None = None

    def daily_use(self, source: str) -> DailyUse | None:
        """How the district uses a source that is synced once a day, where it does."""
        found: object = getattr(self, source, None)
        return found if isinstance(found, DailyUse) else None

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
    return _known(text, path)


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


def is_pulled(district: District, source: str) -> bool:
    """Whether the district's results of that source are pulled."""
    return _pulled(district, source) is not None


def pull_use(district: District, source: str) -> PullUse:
    """How the district's results are pulled; raises BadConfiguration where they are not."""
    use = _pulled(district, source)
    if use is None:
        raise BadConfiguration(
            f"district {district.id} has no `{source}:` in the districts file; add it to pull its"
            " results"
        )
    return use


def poll_use(district: District, source: str) -> PowerPathUse:
    """How the district's tests are polled; raises BadConfiguration where they are not."""
    found = getattr(district, source, None)
    if not isinstance(found, PowerPathUse):
        raise BadConfiguration(
            f"district {district.id} has no `{source}:` in the districts file; add it to poll its"
            " tests"
        )
    return found


def score_reports_use(district: District) -> ScoreReportsUse:
    """How the district asks for score reports; raises BadConfiguration where it does not."""
    if district.score_reports is None:
        raise BadConfiguration(
            f"district {district.id} has no `score_reports:` in the districts file; add it to ask"
            " for the catalogue of its score reports"
        )
    return district.score_reports


def is_polled(district: District, source: str) -> bool:
    """Whether the district has a vendor asked for that source, one thing at a time."""
    found = getattr(district, source, None)
    return isinstance(found, PowerPathUse | ScoreReportsUse) and found.enabled


def takes_files(district: District, source: Source) -> bool:
    """Whether files of results that people hand over are taken."""
    pulled = _pulled(district, source.name)
    return pulled is not None or upload_use(district, source.name).enabled


def _pulled(district: District, source: str) -> PullUse | None:
    found = district.daily_use(source)
    return found if isinstance(found, PullUse) else None


def result_options(district: District, source: Source) -> LoadOptions:
    """What the district has chosen for results of a source, however they come."""
    use = _pulled(district, source.name)
    if use is not None:
        return LoadOptions(
            edition=use.edition,
            encodings=use.encodings,
            first_sync_needs_approval=False,
            match_on=use.chosen_field,
            match_column=_column_of(source, use.chosen_header),
        )
    if isinstance(source.arrives, ApiPoll):
        polled = getattr(district, source.name) or source.arrives
        return LoadOptions(first_sync_needs_approval=False, match_on=polled.match_on)
    upload = upload_use(district, source.name)
    return LoadOptions(
        edition=upload.edition,
        encodings=upload.encodings,
        removal_percent=upload.removal_limit.percent,
        removal_floor=upload.removal_limit.floor,
        first_sync_needs_approval=False,
        match_on=upload.match_on,
    )


def _column_of(source: Source, header: str) -> str:
    """The column that a vendor's field fills; "" for none."""
    fields = (
        field for edition in source.editions for of in edition.headers.values() for field in of
    )
    found = (field.column for field in fields if field.header == header and field.column)
    return next(found, "") if header else ""


def sftp_account(district: District) -> SftpAccount:
    """The district's account, with its secret as the environment has it now.

    Raises BadConfiguration where the secret's variable is not set.
    """
    return account_of(roster_use(district).sftp)


def account_of(use: SftpUse) -> SftpAccount:
    """An account, with its secret as the environment has it now; raises BadConfiguration."""
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


@lru_cache(maxsize=4)
def _known(text: str, path: Path) -> Districts:
    """A file of 1,000 districts takes a fifth of a second, and every tick asks for it."""
    return _parsed(text, path)


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
