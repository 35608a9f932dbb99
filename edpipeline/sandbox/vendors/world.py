"""Which district the vendors serve, who may log in, and what limits they keep."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any

from edpipeline.sandbox.sizes import DEMO, Size

CANARY = "CANARY-"
"""In every secret, so that one that was written down can be found."""
_SECRETS = (
    *("star_client_secret", "scantron_password", "powerpath_client_secret"),
    *("score_reports_username", "score_reports_secret"),
    *("score_reports_charter_username", "score_reports_charter_secret"),
)
_SHARES = ("unknown", "elsewhere", "late", "empty")


@dataclass(frozen=True)
class VendorWorld:
    """The vendors at one moment.

    The students are those of `Population(size, seed, night, change, school_year)`, so results
    match the roster that `write_roster` writes with the same arguments.
    Raises ValueError for a secret without CANARY-, and for a moment without a time zone.
    """

    size: Size = DEMO
    seed: int = 1
    night: int = 0
    change: float = 0.01
    school_year: int = 2027
    """The year in which the school year ends."""
    time_zone: str = "America/Los_Angeles"
    """Where the schools are."""
    now: datetime | None = None
    """What the vendors' clock shows at first; by default the June after the school year. Results
    of tests that end later are not there yet."""
    nulls: bool = True
    """Send empty fields as null; otherwise leave them out."""
    bulk: int = 0
    """With a number, the listing of STAR Reading has so many records, made of a few repeated ones
    under changing AssessmentIDs."""

    rp_identifier: str = "RP-QM-07f3a"
    """The district at Renaissance; any text, not a number."""
    star_username: str = "quillmere.star360"
    star_client_id: str = "edpipeline-sandbox"
    star_client_secret: str = field(default=f"{CANARY}star-client-secret", repr=False)
    star_token_s: int = 3600
    """Seconds until a token expires."""
    star_largest_page: int = 1000
    data_sharing: bool = True
    """Whether the district lets Renaissance share its data."""
    authorization_needed: bool = True
    """Whether listings are refused until the district was authorized once."""

    site_id: str = "0123456789"
    scantron_username: str = "quillmere.api"
    scantron_password: str = field(default=f"{CANARY}scantron-password", repr=False)
    scantron_token_s: int = 1800
    scantron_largest_page: int = 500
    scantron_disabled: bool = False
    lock_after: int = 5
    """The account is locked by so many wrong logins in a row."""

    powerpath_client_id: str = "edpipeline-powerpath"
    powerpath_client_secret: str = field(default=f"{CANARY}powerpath-client-secret", repr=False)
    powerpath_token_s: int = 3600
    powerpath_may_write: bool = True
    """Whether the client has the scope createput beside readonly; imports need it."""
    powerpath_pairs: int = 60
    """Pairs of student and lesson at the start, beside those of odd lessons; any number."""
    powerpath_stage: str = "mixed"
    """Where they stand: one of `powerpath_pairs.STAGES` for all, or mixed."""
    powerpath_odd_lessons: bool = True
    """Whether there are lessons of unknown providers and of types that are no external tests."""
    powerpath_edition: str = "2025-12"
    """Whose fields answers have: 2025-06, 2025-12 or 2026-07."""
    powerpath_extras: bool = True
    """Answers carry fields that no edition knows."""
    powerpath_minimal: bool = False
    """Answers leave out whatever is optional."""
    powerpath_vendor_error: int = 500
    """Status of an import that a provider makes fail."""

    score_reports_username: str = field(default=f"{CANARY}score-reports-user", repr=False)
    score_reports_secret: str = field(default=f"{CANARY}score-reports-secret", repr=False)
    score_reports_charter_username: str = field(default=f"{CANARY}charter-user", repr=False)
    score_reports_charter_secret: str = field(default=f"{CANARY}charter-secret", repr=False)
    score_reports_charter_school: str = ""
    """The roster's id of a school whose students are the charter's alone: `0103`."""
    score_reports_token_s: int = 3600
    score_reports_token_exp: bool = True
    """Whether a token says when it ends."""
    score_reports_link_s: int = 1800
    """Seconds until a link expires."""
    score_reports_unknown: int = 3
    """Of a hundred students, how many the service does not know."""
    score_reports_elsewhere: int = 3
    """... are another LEA's."""
    score_reports_late: int = 3
    """... are another LEA's until the next day."""
    score_reports_empty: int = 4
    """... have no report, beside those who never took a test."""
    score_reports_html: bool = False
    """List each report as PDF and, for each content area, as HTML."""
    score_reports_unknown_type: str = ""
    """A type that no document knows; where there is one, a student in four has reports of it."""

    def __post_init__(self) -> None:
        for secret in _SECRETS:
            if CANARY not in getattr(self, secret):
                raise ValueError(f"{secret}: a secret of the sandbox contains {CANARY}")
        if self.now is not None and self.now.tzinfo is None:
            raise ValueError("now: give the moment with its time zone")
        shares = [getattr(self, f"score_reports_{it}") for it in _SHARES]
        if min(shares) < 0 or sum(shares) > 100:
            raise ValueError(f"score_reports: {_SHARES} are shares of a hundred students")

    @property
    def start(self) -> datetime:
        """What the vendors' clock shows at first, in UTC."""
        return (self.now or datetime(self.school_year, 6, 1, tzinfo=UTC)).astimezone(UTC)

    @property
    def school_year_name(self) -> str:
        """`2026-2027`."""
        return f"{self.school_year - 1}-{self.school_year}"

    def changed(self, values: Mapping[str, Any]) -> "VendorWorld":
        """This world with other values, as JSON gives them: `now` as ISO text, `size` as a mapping.

        Raises ValueError for a name or a value that it cannot have.
        """
        unknown = values.keys() - {it.name for it in fields(self)}
        if unknown:
            raise ValueError(f"a world has no {sorted(unknown)}")
        given = dict(values)
        if isinstance(given.get("now"), str):
            given["now"] = datetime.fromisoformat(given["now"])
        if isinstance(given.get("size"), Mapping):
            try:
                given["size"] = Size(**given["size"])
            except TypeError as error:
                raise ValueError(
                    "size: give students, schools and, if wanted, guardians"
                ) from error
        return replace(self, **given)
