"""The district as its vendors know it: students, schools, teachers, and when tests were taken."""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from itertools import takewhile

import numpy as np
import polars as pl

from edpipeline.sandbox import names
from edpipeline.sandbox.draws import Numbers, draw
from edpipeline.sandbox.population import Population
from edpipeline.sandbox.sizes import Size, schools

ELSEWHERE = "9099"
"""The vendors' own number of a school that the roster does not have."""
ELSEWHERE_NAME = "Farrowmede Learning Annex"
_UNKNOWN_EVERY, _UNKNOWN = 40, 7
_ELSEWHERE_EVERY, _ELSEWHERE = 40, 17


@dataclass(frozen=True)
class District:
    """What decides the vendors' data. Equal districts have equal data."""

    size: Size
    seed: int
    night: int
    change: float
    school_year: int
    time_zone: str

    @property
    def population(self) -> Population:
        """The roster's people."""
        return Population(self.size, self.seed, self.night, self.change, self.school_year)


def uuid(seed: int, purpose: str, index: Numbers) -> pl.Series:
    """A UUID in text for each index."""
    digits = []
    for half in ("high", "low"):
        # The highest bit of a drawn number is always 0; a second draw's byte would not matter.
        data = draw(seed, f"{purpose} {half}", index).astype(">u8").tobytes().hex()
        digits.append(pl.Series(np.frombuffer(data.encode(), dtype="S16").astype("U16")))
    high, low = digits
    parts = [high.str.slice(0, 8), high.str.slice(8, 4), high.str.slice(12, 4)]
    parts += [low.str.slice(0, 4), low.str.slice(4, 12)]
    return pl.select(pl.concat_str([pl.lit(part) for part in parts], separator="-")).to_series()


@lru_cache(maxsize=4)
def students(district: District) -> pl.DataFrame:
    """One row a student of the vendors, with the five fields a result may be matched by.

    One in 40 is a student the roster does not have; one in 40, whom it has, was tested in the
    school that it does not have, and so were all unknown ones.
    """
    known = pl.concat(list(district.population.students()))
    place = np.arange(len(known))
    unknown = pl.Series(place % _UNKNOWN_EVERY == _UNKNOWN)
    elsewhere = pl.Series(place % _ELSEWHERE_EVERY == _ELSEWHERE) | unknown
    grade = pl.col("grades").replace_strict(
        {name: number for number, name in enumerate(names.GRADES)}, return_dtype=pl.Int64
    )
    stranger = pl.lit("88") + pl.col("dcid").cast(pl.String)
    return known.select(
        number="dcid",
        grade=grade,
        sourced=pl.when(unknown).then(pl.lit("Z") + stranger).otherwise("sourcedId"),
        identifier=pl.when(unknown).then(stranger).otherwise("identifier"),
        username=pl.when(unknown).then(pl.lit("guest.") + stranger).otherwise("username"),
        state=pl.when(unknown)
        .then(pl.lit("88") + stranger.str.zfill(8))
        .otherwise(pl.col("userIds").str.extract(r"\{SSID:(\d+)\}")),
        email=pl.when(unknown)
        .then(pl.lit("guest.") + stranger + "@elsewhere.example")
        .otherwise("email"),
        given="givenName",
        middle="middleName",
        family="familyName",
        sex="sex",
        born="birthDate",
        school=pl.when(elsewhere).then(pl.lit(ELSEWHERE)).otherwise("primaryOrgSourcedId"),
    )


@lru_cache(maxsize=4)
def vendor_schools(district: District) -> pl.DataFrame:
    """One row a school as a vendor lists it: number, name, and the roster's id where it is kept.

    Every third name is in capitals, every third is short of its last word, every fourth school has
    no roster id, and every fifth one's number lost its leading zero. The last school is one that
    the roster does not have.
    """
    known = schools(district.size)
    frame = pl.DataFrame({"number": list(known), "name": list(known.values())})
    place = pl.int_range(pl.len())
    frame = frame.with_columns(
        name=pl.when(place % 3 == 1)
        .then(pl.col("name").str.to_uppercase())
        .when(place % 3 == 2)
        .then(pl.col("name").str.replace(" School", "", literal=True))
        .otherwise("name"),
        sourced=pl.when(place % 4 != 3).then("number"),
        identifier=pl.when(place % 5 == 1)
        .then(pl.col("number").str.strip_chars_start("0"))
        .otherwise("number"),
    )
    other = pl.DataFrame(
        {
            "number": [ELSEWHERE],
            "name": [ELSEWHERE_NAME],
            "sourced": pl.Series([None], dtype=pl.String),
            "identifier": [ELSEWHERE],
        }
    )
    return pl.concat([frame, other]).with_columns(
        renaissance=uuid(district.seed, "school", np.arange(len(frame) + 1))
    )


@lru_cache(maxsize=4)
def teachers(district: District) -> pl.DataFrame:
    """One row a teacher of the roster, in its order."""
    staff = takewhile(lambda frame: frame["role"][0] != "student", district.population.users())
    return pl.concat(list(staff)).filter(role="teacher")


@dataclass(frozen=True)
class Window:
    """A stretch of days in which a school tests everyone; both ends belong to it."""

    name: str
    first: date
    last: date


def windows(school_year: int) -> tuple[Window, Window, Window]:
    """The three windows of a school year."""
    return (
        Window("Fall", date(school_year - 1, 9, 1), date(school_year - 1, 9, 30)),
        Window("Winter", date(school_year, 1, 5), date(school_year, 1, 29)),
        Window("Spring", date(school_year, 4, 20), date(school_year, 5, 14)),
    )


def taken(district: District, purpose: str, window: Numbers, index: Numbers) -> pl.Series:
    """When each test ended, in naive local time, to the millisecond.

    A `window` past the last one means between the windows, in November. One test in 16 is taken
    in the evening, when it is the next day already in UTC.
    """
    seed = district.seed
    spans = [(it.first, (it.last - it.first).days + 1) for it in windows(district.school_year)]
    spans.append((date(district.school_year - 1, 11, 2), 21))
    first = np.array([day for day, _ in spans], dtype="datetime64[ms]")[window]
    length = np.array([days for _, days in spans])[window]
    day = draw(seed, f"{purpose} day", index) % length
    evening = draw(seed, f"{purpose} evening", index) % 16 == 0
    second = draw(seed, f"{purpose} second", index) % (6 * 3600) + np.where(evening, 17, 9) * 3600
    milliseconds = draw(seed, f"{purpose} millisecond", index) % 1000
    moment = first + ((day * 86_400 + second) * 1000 + milliseconds).astype("timedelta64[ms]")
    return pl.Series(moment).cast(pl.Datetime("ms"))


def instant(local: pl.Series, time_zone: str) -> pl.Series:
    """Naive local times as milliseconds since 1970 in UTC."""
    return local.dt.replace_time_zone(time_zone).dt.epoch("ms")


def stamped(moments: pl.Expr) -> pl.Expr:
    """Milliseconds since 1970, or a naive datetime, as `2026-09-14T16:03:22.123Z`."""
    return moments.cast(pl.Datetime("ms")).dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")


def school_year_ends(district: District) -> tuple[str, str]:
    """The first and last day of the school year as STAR writes days."""
    population = district.population
    last = population.day_after - timedelta(days=1)
    return f"{population.first_day}T00:00:00Z", f"{last}T00:00:00Z"
