"""All state of the vendors. Used by one thread only, that of the servers."""

import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from edpipeline.sandbox.vendors import scantron_records, star_details, star_records
from edpipeline.sandbox.vendors.faults import Fault
from edpipeline.sandbox.vendors.people import District
from edpipeline.sandbox.vendors.powerpath_tests import ExternalTests
from edpipeline.sandbox.vendors.score_reports_records import ScoreReports
from edpipeline.sandbox.vendors.shelf import Asked, BulkShelf, Listed, Shelf
from edpipeline.sandbox.vendors.world import CANARY, VendorWorld

SCANTRON = "scantron"
STAR = "star"
POWERPATH = "powerpath"
SCORE_REPORTS = "score_reports"
_CALLS_KEPT = 10_000
LISTINGS = ("assessments", "standards", "skill-areas")
"""What STAR lists of a product."""
_DETAILS = {"standards": star_details.standards, "skill-areas": star_details.skill_areas}


@dataclass
class Desk:
    """What the vendors remember of the conversations since the last reset."""

    now: int
    """Their clock, in milliseconds since 1970."""
    faults: list[Fault] = field(default_factory=list)
    tokens: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Whose each token is, and when it expires."""
    tokens_made: Counter[str] = field(default_factory=Counter)
    authorized: bool = False
    logins: Counter[str] = field(default_factory=Counter)
    """Logins at Scantron by answer: `ok`, `wrong`, `disabled`, `locked`."""
    wrong_in_a_row: int = 0
    locked: bool = False
    calls: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=_CALLS_KEPT))
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    bytes_sent: Counter[str] = field(default_factory=Counter)
    shelves: dict[str, Shelf] = field(default_factory=dict)
    """The listings with seeded changes, by product, or `scantron`."""
    read_only: set[str] = field(default_factory=set)
    """PowerPath's tokens that were asked for with the scope to read alone."""
    tests: ExternalTests | None = None
    """PowerPath's external tests, made when first asked for."""
    score_reports: ScoreReports = field(default_factory=ScoreReports)
    cpu_before: float = field(default_factory=time.thread_time)


class Office:
    """The vendors' state, and what the control plane may do to it."""

    def __init__(self, world: VendorWorld) -> None:
        self._first = world
        self._bulk: dict[tuple[District, int, bool], BulkShelf] = {}
        self.reset()

    def reset(self) -> None:
        """Everything as it was at the start: world, clock, records; no faults, tokens or calls."""
        self.world = self._first
        self.desk = Desk(now=_milliseconds(self.world.start))

    def seed(
        self,
        world: Mapping[str, Any] | None = None,
        records: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    ) -> None:
        """Change the world, and records in it, from now on.

        `world` has values of VendorWorld by name; another district forgets changed records, and
        a new `now` sets the clock. `records` has changes by listing: `SR`, `SM`, `SEL`, by
        AssessmentID, and `scantron`, by testSessionId. Given fields replace the record's own, an
        unknown id is a new record, and each is modified at the clock's now.
        Raises ValueError for what cannot be.
        """
        changed = self.world.changed(world or {})
        if _district(changed) != _district(self.world):
            self.desk.shelves.clear()
        if changed.start != self.world.start:
            self.desk.now = _milliseconds(changed.start)
        self._tests_of(changed)
        self.world = changed
        for listing, changes in (records or {}).items():
            self._change(listing, changes)

    def _change(self, listing: str, changes: Sequence[Mapping[str, Any]]) -> None:
        shelf, now = self._overall(listing), self.desk.now
        key = "testSessionId" if listing == SCANTRON else "AssessmentID"
        if not all(key in change for change in changes):
            raise ValueError(f"{listing}: every record needs its {key}")
        if listing == SCANTRON:
            merged = shelf.merged(changes, now, key=key, school="locationId")
        else:
            names = {"school": "SchoolRenaissanceID", "year": "SchoolYear"}
            merged = shelf.merged(changes, now, key=key, subject=listing, **names)
        self.desk.shelves[listing] = merged

    def _tests_of(self, world: VendorWorld) -> None:
        """Other students or pairs are other tests; all else shows in their answers alone."""
        names = ("powerpath_pairs", "powerpath_stage", "powerpath_odd_lessons")
        changed = any(getattr(world, it) != getattr(self.world, it) for it in names)
        if changed or _district(world) != _district(self.world):
            self.desk.tests = ExternalTests(world, _district(world), self.desk.now)
        elif self.desk.tests:
            self.desk.tests.forget_answers()

    @property
    def tests(self) -> ExternalTests:
        """PowerPath's external tests."""
        if self.desk.tests is None:
            start = _milliseconds(self.world.start)
            self.desk.tests = ExternalTests(self.world, self.district, start)
        return self.desk.tests

    def assign(self, student: str, lesson: str, **how: Any) -> None:
        """Assign a test; see ExternalTests.assign."""
        self.tests.assign(student, lesson, self.desk.now, **how)

    def vendor(self, student: str, lesson: str, **what: Any) -> None:
        """Set what stands behind an attempt; see ExternalTests.vendor."""
        self.tests.vendor(student, lesson, self.desk.now, **what)

    def pairs(self) -> list[dict[str, Any]]:
        """PowerPath's pairs; see ExternalTests.told_pairs."""
        return self.tests.told_pairs()

    def regenerate(self, username: str) -> str:
        """New credentials for the score reports; see ScoreReports.regenerate."""
        secret = self.desk.score_reports.regenerate(self.world, username)
        alive = self.desk.score_reports.holders
        self.desk.tokens = {
            it: of for it, of in self.desk.tokens.items() if of[0] != SCORE_REPORTS or it in alive
        }
        return secret

    def score_report_students(self) -> dict[str, str]:
        """How each student stands at the score report service; see ScoreReports.students."""
        return self.desk.score_reports.students(self.world, self.district)

    def permit(self, ssid: str, permitted: bool = True) -> None:
        """Let the student's LEA have the score reports from now on, or let it not."""
        self.desk.score_reports.permitted[ssid] = permitted

    @property
    def district(self) -> District:
        """Whose data it is."""
        return _district(self.world)

    def _overall(self, listing: str) -> Shelf:
        if listing in self.desk.shelves:
            return self.desk.shelves[listing]
        if listing == SCANTRON:
            return scantron_records.results(self.district)
        if listing not in star_records.PRODUCTS:
            raise ValueError(f"no such listing: {[*star_records.PRODUCTS, SCANTRON]}")
        return star_records.overall(self.district, listing)

    def ids(self, listing: str) -> list[str]:
        """The ids of the records listed now, in order; listings as in `seed`."""
        return self._overall(listing).keys(self.desk.now)

    def star(self, what: str, product: str) -> Listed:
        """STAR's `assessments`, `standards` or `skill-areas` of a product."""
        if what != "assessments":
            return _DETAILS[what](self.district, product)
        if product != "SR" or not self.world.bulk:
            return self._overall(product)
        key = (self.district, self.world.bulk, self.world.nulls)
        if key not in self._bulk:
            asked = Asked(_milliseconds(self.world.start), nulls=self.world.nulls)
            self._bulk[key] = BulkShelf(self._overall(product), asked, self.world.bulk)
        return self._bulk[key]

    def scantron(self) -> Listed:
        """Scantron's results."""
        return self._overall(SCANTRON)

    def new_token(self, vendor: str, seconds: int) -> str:
        """A token that nobody had before."""
        number = self.desk.tokens_made[vendor] + 1
        token = f"{CANARY}{vendor}-token-{self.world.seed}-{number}"
        self.keep_token(vendor, token, seconds)
        return token

    def keep_token(self, vendor: str, token: str, seconds: int) -> None:
        """Let a token that was just made hold for so long."""
        self.desk.tokens_made[vendor] += 1
        self.desk.tokens[token] = (vendor, self.desk.now + seconds * 1000)

    def token_holds(self, vendor: str, token: str) -> bool:
        """Whether the vendor gave this token, and it has neither expired nor been revoked."""
        owner, expires = self.desk.tokens.get(token, ("", 0))
        return owner == vendor and self.desk.now < expires

    def revoke(self, vendor: str) -> None:
        """Let no token of the vendor hold any more."""
        self.desk.tokens = {it: of for it, of in self.desk.tokens.items() if of[0] != vendor}

    def inject(self, given: Mapping[str, Any]) -> None:
        """Let something go wrong; see `faults.Fault`. Raises ValueError for an unknown word."""
        self.desk.faults.append(Fault.read(given))

    def heal(self) -> None:
        """Let nothing go wrong any more."""
        self.desk.faults.clear()

    def unlock(self) -> None:
        """Unlock the account at Scantron, as its support does when asked."""
        self.desk.locked, self.desk.wrong_in_a_row = False, 0

    def fault(self, method: str, path: str, query: Mapping[str, str]) -> Fault | None:
        """What goes wrong with this call: the first fault that is due. Counts it."""
        for fault in self.desk.faults:
            if fault.due(method, path, query):
                return fault
        return None

    def clock(self, advance_s: float = 0, now: str | None = None) -> str:
        """Move the clock to a moment, then on by seconds; what it shows then, in ISO form.

        Raises ValueError for a moment without time zone.
        """
        if now is not None:
            moment = datetime.fromisoformat(now)
            if moment.tzinfo is None:
                raise ValueError("now: give the moment with its time zone")
            self.desk.now = _milliseconds(moment)
        self.desk.now += round(advance_s * 1000)
        return self.shows()

    def shows(self) -> str:
        """What the clock shows, in ISO form."""
        return datetime.fromtimestamp(self.desk.now / 1000, UTC).isoformat()

    def calls(self) -> dict[str, Any]:
        """The calls since the last reset: `counts` by vendor and path, and the last `calls`."""
        counts = {vendor: dict(paths) for vendor, paths in self.desk.counts.items()}
        return {"counts": counts, "calls": list(self.desk.calls)}

    def state(self) -> dict[str, Any]:
        """Where the vendors stand. `server_seconds` is the CPU time they took since the reset."""
        desk = self.desk
        alive = Counter(vendor for vendor, expires in desk.tokens.values() if desk.now < expires)
        asked = Asked(desk.now)
        common = {
            vendor: {
                "tokens": alive[vendor],
                "tokens_made": desk.tokens_made[vendor],
                "bytes_sent": desk.bytes_sent[vendor],
            }
            for vendor in (STAR, SCANTRON, POWERPATH, SCORE_REPORTS)
        }
        return {
            "now": self.shows(),
            "server_seconds": round(time.thread_time() - desk.cpu_before, 6),
            "faults": [fault.left() for fault in desk.faults if fault.times != 0],
            STAR: common[STAR]
            | {
                "authorized": desk.authorized,
                "records": {
                    product: self.star("assessments", product).count(asked)
                    for product in star_records.PRODUCTS
                },
            },
            SCANTRON: common[SCANTRON]
            | {
                "logins": dict(desk.logins),
                "locked": desk.locked,
                "records": self.scantron().count(asked),
            },
            POWERPATH: common[POWERPATH] | self.tests.state(),
            SCORE_REPORTS: common[SCORE_REPORTS],
        }


def _district(world: VendorWorld) -> District:
    return District(
        world.size, world.seed, world.night, world.change, world.school_year, world.time_zone
    )


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
