"""What the control plane changed at the score report service, and what a student's LEA gets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from edpipeline.sandbox.vendors.people import District
from edpipeline.sandbox.vendors.score_reports_students import (
    ELSEWHERE,
    EMPTY,
    LATE,
    UNKNOWN,
    Report,
    Student,
    drawn_reports,
    of_type,
    roll,
    standing,
    years,
)
from edpipeline.sandbox.vendors.world import CANARY, VendorWorld

_NOBODY = Student(0, "", 0, 0)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which reports; None means all."""

    type: str | None = None
    lang: str | None = None
    year: int | None = None

    def of(self, reports: list[Report]) -> list[Report]:
        """Those of the reports."""
        if self.type is not None:
            reports = of_type(reports, self.type)
        return [
            it
            for it in reports
            if self.lang in (None, it.get("lang")) and self.year in (None, it.get("year"))
        ]

    def holds(self, report: Report) -> bool:
        """Whether it is this report, under either code of a science report."""
        return bool(self.of([report]))


@dataclass
class ScoreReports:
    """What was changed since the reset. Students are named by SSID."""

    holders: dict[str, str] = field(default_factory=dict)
    """Whose each token is, by user name."""
    regenerated: dict[str, int] = field(default_factory=dict)
    """How often new credentials were made, by user name."""
    permitted: dict[str, bool] = field(default_factory=dict)
    given: dict[str, list[Report]] = field(default_factory=dict)
    """What is listed instead of what was drawn."""
    taken: dict[str, list[Wanted]] = field(default_factory=dict)
    """What is not listed any more."""

    def secret(self, world: VendorWorld, username: str) -> str | None:
        """The secret of a user name as of now; None for an unknown one."""
        secrets = {
            world.score_reports_username: world.score_reports_secret,
            world.score_reports_charter_username: world.score_reports_charter_secret,
        }
        if username in secrets and username in self.regenerated:
            return f"{CANARY}regenerated-{self.regenerated[username]}-{secrets[username]}"
        return secrets.get(username)

    def regenerate(self, world: VendorWorld, username: str) -> str:
        """A new secret; the old one and its tokens hold no more. ValueError: unknown user name."""
        if self.secret(world, username) is None:
            raise ValueError("no credentials have this user name")
        self.regenerated[username] = self.regenerated.get(username, 0) + 1
        self.holders = {it: who for it, who in self.holders.items() if who != username}
        return str(self.secret(world, username))

    def set_reports(self, ssid: str, reports: Sequence[Mapping[str, Any]]) -> None:
        """List these and no others for a student, whatever their years. A report without `url`
        gets a link; one without grade has none. An unknown student becomes known.

        Raises ValueError for what is no list of objects.
        """
        if isinstance(reports, str | Mapping) or not all(isinstance(it, Mapping) for it in reports):
            raise ValueError("reports: a list of objects")
        self.given[ssid] = [dict(it) for it in reports]
        self.taken.pop(ssid, None)

    def unlist(
        self, ssid: str, type: str | None = None, lang: str | None = None, year: int | None = None
    ) -> None:
        """List these of the student's reports no more: by default none of them."""
        self.taken.setdefault(ssid, []).append(Wanted(type, lang, year))

    def students(self, world: VendorWorld, district: District) -> dict[str, str]:
        """How each student of the roster stands at the start, by SSID; see `standing`."""
        return {ssid: standing(world, it) for ssid, it in roll(district).items()}

    def refusal(
        self, world: VendorWorld, district: District, username: str, ssid: str, now: int
    ) -> int:
        """Status with which this student is refused to this user: 403, 404, or 0 for not at all."""
        known = roll(district).get(ssid)
        changed = ssid in self.given or ssid in self.permitted
        stands = UNKNOWN if known is None else standing(world, known)
        if stands == UNKNOWN and not changed:
            return 404
        charter = bool(known and known.school == world.score_reports_charter_school)
        own = world.score_reports_charter_username if charter else world.score_reports_username
        if username != own:
            return 403
        if ssid in self.permitted:
            return 0 if self.permitted[ssid] else 403
        if stands == ELSEWHERE or (stands == LATE and not _next_day(world, now)):
            return 403
        return 0

    def listed(
        self, world: VendorWorld, district: District, ssid: str, wanted: Wanted, now: int
    ) -> list[Report]:
        """The reports of a student, without links but for those that were given."""
        reports = self.given.get(ssid)
        if reports is None:
            student = roll(district).get(ssid, _NOBODY)
            if student is _NOBODY or standing(world, student) == EMPTY:
                return []
            of = years(world, datetime.fromtimestamp(now / 1000, UTC))
            if wanted.year is not None:
                of = range(wanted.year, wanted.year + (wanted.year in of))
            reports = drawn_reports(world, student, of)
        for one in self.taken.get(ssid, ()):
            reports = [it for it in reports if not one.holds(it)]
        return wanted.of(reports)


def _next_day(world: VendorWorld, now: int) -> bool:
    zone = ZoneInfo(world.time_zone)
    today = datetime.fromtimestamp(now / 1000, zone).date()
    return today > world.start.astimezone(zone).date()
