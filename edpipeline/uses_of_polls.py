"""How a district uses a source that is polled: what is asked about, how hard, and when again.

As everything in `uses.py`, which has what all sources share.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, model_validator

from edpipeline.api import ApiPath
from edpipeline.model import MatchField
from edpipeline.uses import STRICT, DailyUse, DailyWindow, Variable, window_of

PairsFrom = Literal["test_assignments", "gradebook", "watch_list"]


class PollPace(BaseModel):
    """How hard a vendor is asked; it has published no limit."""

    model_config = STRICT

    at_once: int = Field(default=4, ge=1, le=32)
    """Requests under way at the same time."""
    per_second: float = Field(default=20, gt=0)
    """Requests begun in a second, at most."""
    pairs_at_once: int = Field(default=200, ge=1)
    """Pairs polled and loaded together: what a run that is killed has to ask again."""


class PollWaits(BaseModel):
    """When a pair of student and lesson is asked about again, and when no more."""

    model_config = STRICT

    first_minutes: float = Field(default=15, gt=0)
    """The wait after something new came; it doubles with each poll that brings nothing."""
    most_minutes: float = Field(default=360, gt=0)
    stale_after_days: float = Field(default=30, gt=0)
    """A pair that is not final so long after it was assigned, or first seen, is given up."""
    refused_hours: float = Field(default=24, gt=0)
    """The wait after the vendor says that there is no such student or lesson."""


class PowerPathUse(BaseModel):
    """A district's external tests in TimeBack PowerPath."""

    model_config = STRICT

    enabled: bool = False
    base_url: str = ""
    """Where PowerPath is, where it is not at the public address."""
    token_url: str = ""
    """Where tokens are had, where it is not at the public address."""
    api: Mapping[str, Any] = Field(default_factory=dict)
    """What of the API differs from `sources/powerpath/api.yaml`, in the same shape."""
    client_id_env: Variable
    client_secret_env: Variable
    application_name: str = ""
    """What PowerPath is told of who asks; "" for nothing."""
    allow_side_effects: bool = False
    """True: PowerPath is asked to store results of tests, which may enroll students in courses."""
    require_skip_enrollment: bool = False
    """True: only where it is known that no student is enrolled by it."""
    pairs_from: tuple[PairsFrom, ...] = ("test_assignments",)
    watch_list: Path | None = None
    """CSV with the columns student_id, lesson_id and, where it is known, skip_enrollment (yes, no).
    """
    students: Literal["roster", "all"] = "roster"
    """`all`: also students that the district's roster does not have."""
    keep_feedback: bool = False
    """True: feedback on answers, which may be a teacher's words on a student, is kept."""
    match_on: MatchField = "sourced_id"
    waits: PollWaits = PollWaits()
    pace: PollPace = PollPace()

    @model_validator(mode="after")
    def _has_its_watch_list(self) -> "PowerPathUse":
        if ("watch_list" in self.pairs_from) != (self.watch_list is not None):
            raise ValueError("pairs_from: watch_list and watch_list: FILE belong together")
        return self


class ReportConfiguration(BaseModel):
    """Credentials for the score report service, and the schools that they are for."""

    model_config = STRICT

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 _.-]{0,39}$")
    token_endpoint: ApiPath = "/api/v1/token"
    """The address of tokens, below the base URL; a slash at the end says nothing."""
    students_endpoint: ApiPath = "/api/v1/students/"
    """What stands before the student's number in the address of reports,"""
    reports_endpoint: ApiPath = "/score-reports/"
    """and what stands after it."""
    client_key_env: Variable
    client_secret_env: Variable
    expires_on: date
    """When the credentials end, as TOMS says it."""
    schools: tuple[str, ...] = ()
    """Ids of the schools they are for, as in the roster; none: for every school that no other
    configuration names."""


class StudentPace(BaseModel):
    """How hard a service is asked that knows one student at a time; it has published no limit."""

    model_config = STRICT

    at_once: int = Field(default=4, ge=1, le=32)
    """Requests under way at the same time."""
    per_second: float = Field(default=20, gt=0)
    """Requests begun in a second, at most."""
    students_at_once: int = Field(default=500, ge=1)
    """Students asked about and loaded together: what a run that is killed has to ask again."""


class RefusalLimit(BaseModel):
    """So many refusals of a kind are the student's; more are a wrong credential or wrong ids."""

    model_config = STRICT

    percent: float = Field(default=20, ge=0, le=100)
    floor: int = Field(default=5, ge=0)


class ScoreReportsUse(DailyUse):
    """A district's catalogue of California student score reports."""

    enabled: bool = False
    base_url: str = ""
    """Where the service is, where it is not at its public address."""
    api: Mapping[str, Any] = Field(default_factory=dict)
    """What of the API differs from `sources/score_reports/api.yaml`, in the same shape."""
    configurations: tuple[ReportConfiguration, ...] = ()
    removed: tuple[str, ...] = ()
    """Names of configurations that are gone on purpose: without it, one that was used and is not
    there any more is an error."""
    match_on: MatchField = "state_user_id"
    """The field of the roster that holds the SSID."""
    window: DailyWindow = window_of("score_reports")
    again_minutes: float = Field(default=15, gt=0)
    """The wait, within the window, until students are asked about again for whom the service
    failed."""
    refusal_limit: RefusalLimit = RefusalLimit()
    pace: StudentPace = StudentPace()

    @model_validator(mode="after")
    def _is_unambiguous(self) -> "ScoreReportsUse":
        names = [each.name for each in self.configurations]
        schools = [school for each in self.configurations for school in each.schools]
        if self.enabled and not names:
            raise ValueError("give at least one configuration, with its name and credentials")
        if twice := _twice(names):
            raise ValueError(f"two configurations have the name {twice}")
        if twice := _twice(schools):
            raise ValueError(f"two configurations are for school {twice}")
        if sum(not each.schools for each in self.configurations) > 1:
            raise ValueError("only one configuration may name no schools: the district's default")
        if back := set(names) & set(self.removed):
            raise ValueError(f"configuration {min(back)} is in `removed` as well")
        return self

    def configuration_of(self, school_id: str | None) -> ReportConfiguration | None:
        """The configuration of a school: its own, else the district's default."""
        default = None
        for each in self.configurations:
            if school_id is not None and school_id in each.schools:
                return each
            default = default if each.schools else each
        return default


def _twice(names: Sequence[str]) -> str:
    return next((name for place, name in enumerate(names) if name in names[:place]), "")
