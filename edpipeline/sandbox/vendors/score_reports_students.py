"""The students of the score report service: who they are there, and which reports each one has.

Everything follows from one number drawn for a student, so nothing is kept but that.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from edpipeline.sandbox import names
from edpipeline.sandbox.draws import draw
from edpipeline.sandbox.vendors.people import District
from edpipeline.sandbox.vendors.world import VendorWorld

LISTED, EMPTY, UNKNOWN, ELSEWHERE, LATE = "listed", "empty", "unknown", "elsewhere", "late"
"""How a student stands: has reports as of the tests taken; has none; is not known; is of another
LEA; is of another LEA until the vendor's next day."""
FIRST_YEAR = 2018
YEARS_KEPT = 3
SCIENCE = ("CST", "CAST")
"""Two codes of one report."""
_OUT = (5, 15)
"""Month and day on which the reports of the year come out."""
_HOME = ("EN",) * 11 + ("ES",) * 6 + ("VI", "ZH", "FL")
_AREAS = {
    "CAASPP": ("ELA", "Mathematics"),
    "CST": ("Science",),
    "CAST": ("Science",),
    "CAAS": ("Science",),
    "CSA": ("Spanish",),
    "ESA": ("ELPAC",),
}
"""Of which content areas a report that is listed as HTML has one each."""

Report = dict[str, Any]
"""A report as the answer has it, but for its link."""


class Student(NamedTuple):
    """What is known of a student; `grade` is the place in `names.GRADES` this school year."""

    grade: int
    school: str
    chance: int
    """From 0 to 99: decides how the student stands."""
    traits: int


@lru_cache(maxsize=4)
def roll(district: District) -> dict[str, Student]:
    """Every student of the roster by SSID. Fifty thousand take a tenth of a second, once."""
    known = pl.concat(
        [
            frame.select("dcid", "grades", "userIds", "primaryOrgSourcedId")
            for frame in district.population.students()
        ]
    )
    places = {name: place for place, name in enumerate(names.GRADES)}
    drawn = draw(district.seed, "score reports", known["dcid"].to_numpy().astype(np.int64))
    return dict(
        zip(
            known["userIds"].str.extract(r"\{SSID:(\d+)\}").to_list(),
            map(
                Student,
                known["grades"].replace_strict(places, return_dtype=pl.Int64).to_list(),
                known["primaryOrgSourcedId"].to_list(),
                (drawn % 100).tolist(),
                (drawn // 100).tolist(),
            ),
            strict=True,
        )
    )


def standing(world: VendorWorld, student: Student) -> str:
    """How the student stands at the start: LISTED, EMPTY, UNKNOWN, ELSEWHERE or LATE."""
    over = 0
    for name, percent in (
        (UNKNOWN, world.score_reports_unknown),
        (ELSEWHERE, world.score_reports_elsewhere),
        (LATE, world.score_reports_late),
        (EMPTY, world.score_reports_empty),
    ):
        over += percent
        if student.chance < over:
            return name
    return LISTED


def years(world: VendorWorld, now: datetime) -> range:
    """The administration years whose reports are there: the last three that have come out."""
    today = now.astimezone(ZoneInfo(world.time_zone)).date()
    newest = today.year if (today.month, today.day) >= _OUT else today.year - 1
    return range(max(FIRST_YEAR, newest - YEARS_KEPT + 1), min(newest, world.school_year) + 1)


def drawn_reports(world: VendorWorld, student: Student, of: range) -> list[Report]:
    """The student's reports of these years, oldest year first."""
    reports = []
    for year in of:
        place = student.grade - (world.school_year - year)
        if place < 0:
            continue
        grade = "KN" if place == 0 else names.GRADES[place]
        for kind, language in _Taken(student.traits, place, year).reports():
            report = {"type": kind, "lang": language, "year": year, "grade": grade}
            if not world.score_reports_html:
                reports.append(report)
                continue
            reports.append(report | {"format": "PDF"})
            for area in _AREAS.get(kind, ()):
                reports.append(report | {"format": "HTML", "contentArea": area})
        if world.score_reports_unknown_type and student.traits % 4 == 0:
            kind = world.score_reports_unknown_type
            reports.append({"type": kind, "lang": "EN", "year": year, "grade": grade})
    return reports


def of_type(reports: list[Report], asked: str) -> list[Report]:
    """Those of a type; a science report is there under either of its codes."""
    same = [it for it in reports if it.get("type") == asked]
    if same or asked not in SCIENCE:
        return same
    return [it | {"type": asked} for it in reports if it.get("type") in SCIENCE]


@dataclass(frozen=True, slots=True)
class _Taken:
    """What a student took in a year, in the grade of that year."""

    traits: int
    grade: int
    year: int

    def reports(self) -> Iterator[tuple[str, str]]:
        """Type and language of each report, both science codes included."""
        home = _HOME[self.traits % len(_HOME)]
        if self.year == FIRST_YEAR and home not in ("EN", "ES"):
            home = "EN"
        languages = dict.fromkeys(("EN", home))
        for kind, only in self._kinds(home):
            for language in only or languages:
                yield kind, language

    def _kinds(self, home: str) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Each type, and its languages where they are not the student's."""
        rest = self.traits // len(_HOME)
        alternate = rest % 40 == 0
        tested = 3 <= self.grade <= 8 or self.grade == 11
        if tested:
            yield "CAASPP", ()
            if self.year >= 2021 and not alternate:
                yield "LEXQUAN", ("EN",)
        if self.grade in (5, 8, 11) and self.year >= 2019:
            if not alternate:
                yield from ((kind, ()) for kind in SCIENCE)
            elif self.year >= 2020:
                yield "CAAS", ()
        if home == "ES" and rest // 40 % 2 == 0 and tested:
            yield ("CSA" if self.year >= 2019 else "STS"), ("ES",)
        if home != "EN" or rest // 80 % 4 == 0:
            yield "ESA", ()
