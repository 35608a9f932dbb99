"""Performance Series' results: one record a test, in September, January and May.

At fixed places in the order of records, so that even a small district has some of each: a test
spoiled or invalidated days later (every 50th), a reading rate that was not measured, `NM` (every
6th), no percentile (every 20th). Grade 9 takes Algebra and grade 10 Geometry, whose scores start
at 5000.
"""

from functools import lru_cache

import numpy as np
import polars as pl

from edpipeline.sandbox.draws import draw
from edpipeline.sandbox.vendors import people
from edpipeline.sandbox.vendors.people import District, uuid
from edpipeline.sandbox.vendors.shelf import Shelf, encode
from edpipeline.sandbox.vendors.world import CANARY

UNITS = {
    "Reading": ("Vocabulary", "Long Passage", "Fiction", "Nonfiction"),
    "Mathematics": (
        *("Number & Operations", "Algebra", "Geometry", "Measurement"),
        "Data Analysis & Probability",
    ),
    "Algebra": ("Expressions", "Equations", "Functions"),
    "Geometry": ("Angles", "Proof", "Measurement"),
    "Science": ("Living Things", "Ecology", "Science Process"),
    "Language Arts": ("Parts Of Speech", "Sentence Structure", "Punctuation", "Capitalization"),
}
_GRADES = {
    "Reading": (2, 10),
    "Mathematics": (2, 8),
    "Algebra": (9, 9),
    "Geometry": (10, 10),
    "Science": (5, 5),
    "Language Arts": (3, 4),
}
"""The lowest and highest grade that takes each test."""
_HIGH_SCHOOL = ("Algebra", "Geometry")
_WINDOWS = 3


def location_id(number: pl.Expr) -> pl.Expr:
    """`L0101` for the school 0101."""
    return pl.lit("L") + number


@lru_cache(maxsize=4)
def locations(district: District) -> pl.DataFrame:
    """The vendor's schools, one row each: `locationId`, `name` and what must not be kept."""
    return people.vendor_schools(district).select(
        locationId=location_id(pl.col("number")),
        name="name",
        launchUrl=pl.lit(f"https://sites.example/launch?session={CANARY}site-") + pl.col("number"),
    )


def _tests(district: District, subject: str) -> pl.DataFrame:
    """One row a test taken, in order of students, with `index`, `rank` and `ended` (local time)."""
    lowest, highest = _GRADES[subject]
    students = people.students(district).filter(pl.col("grade").is_between(lowest, highest))
    place = np.repeat(np.arange(len(students)), _WINDOWS)
    window = np.tile(np.arange(_WINDOWS), len(students))
    index = students["number"].to_numpy()[place] * _WINDOWS + window
    took = draw(district.seed, f"scantron {subject} absent", index) % 12 != 0
    place, window, index = place[took], window[took], index[took]
    student = students["number"].to_numpy()[place]
    rank = draw(district.seed, f"scantron {subject}", student) % 99 + 1 + 2 * window
    rank = np.clip(rank + draw(district.seed, f"scantron {subject} luck", index) % 11 - 5, 1, 99)
    rows: pl.DataFrame = students[place]
    return rows.with_columns(
        index=index,
        window=window,
        rank=rank,
        ended=people.taken(district, f"scantron {subject}", window, index),
        id=uuid(district.seed, f"scantron {subject} test", index),
    )


def _units(subject: str, score: pl.Expr) -> pl.Expr:
    units = []
    for place, name in enumerate(UNITS[subject]):
        middle = score + (pl.col("index") * (place + 3)) % 121 - 60
        width = 90 + (pl.col("index") + place) % 40
        units.append(
            pl.struct(
                name=pl.lit(name),
                low=middle - width,
                score=middle,
                high=middle + width,
                itemUrl=pl.lit(f"https://items.example/{CANARY}item"),
            )
        )
    return pl.concat_list(units)


def _records(rows: pl.DataFrame, district: District, subject: str) -> pl.DataFrame:
    base = 5000 if subject in _HIGH_SCHOOL else 1300 + 120 * pl.col("grade")
    score = base + pl.col("rank") * 9 + 10 * pl.col("window")
    place = pl.int_range(pl.len())
    ranked = (place % 20 != 3) if subject not in _HIGH_SCHOOL else pl.lit(False)
    reading = subject == "Reading"
    lexile = (score - 1900).cast(pl.Int64) // 5 * 5
    lexile_text = lexile.abs().cast(pl.String) + "L"
    ended = people.instant(rows["ended"], district.time_zone)
    rate = (60 + pl.col("rank") * 2).cast(pl.String)
    nothing = pl.lit(None, dtype=pl.String)
    return rows.with_columns(at=ended).select(
        testSessionId="id",
        studentId=pl.lit("PS") + pl.col("number").cast(pl.String).str.zfill(9),
        studentUserName="username",
        districtStudentId="identifier",
        stateStudentId="state",
        alternateStudentId="sourced",
        email="email",
        locationId=location_id(pl.col("school")),
        subject=pl.lit(subject),
        testGrade=pl.col("grade").cast(pl.String),
        startedAt=people.stamped(pl.col("at") - 1_800_000),
        completedAt=people.stamped(pl.col("at")),
        scaledScore=score,
        sem=(55 + pl.col("index") % 15 + 0.5).cast(pl.Float64),
        sip=pl.when(place % 9 != 4).then((pl.col("rank") * 0.9).round().cast(pl.Int64)),
        nationalPercentile=pl.when(ranked).then("rank"),
        lexile=pl.when(lexile < 0).then("BR" + lexile_text).otherwise(lexile_text)
        if reading
        else nothing,
        readingRate=pl.when(place % 6 == 2).then(pl.lit("NM")).otherwise(rate)
        if reading
        else nothing,
        units=_units(subject, score),
        spoiled=pl.lit(False),
        invalidated=pl.lit(False),
        # What the vendor sends though it should not.
        studentPassword=pl.lit(f"{CANARY}student-password-") + pl.col("index").cast(str),
        sessionUrl=pl.lit(f"https://tests.example/resume?session={CANARY}session-")
        + pl.col("index").cast(str),
        clientIp=pl.lit(f"{CANARY}ip-198.51.100.7"),
    )


@lru_cache(maxsize=4)
def results(district: District) -> Shelf:
    """The listing of all subjects' results, subject by subject."""
    pieces = []
    for subject in UNITS:
        rows = _tests(district, subject)
        records = _records(rows, district, subject)
        since = people.instant(rows["ended"], district.time_zone)
        days = draw(district.seed, f"scantron {subject} spoiled", rows["index"].to_numpy()) % 9 + 2
        later = since + pl.Series(days * 86_400_000)
        spoilt = pl.Series(np.arange(len(rows)) % 50 == 13)
        first = records.select(
            key="testSessionId",
            school="locationId",
            since=since,
            until=pl.when(spoilt).then(later),
            json=encode(records, ["readingRate"]),
        )
        second = records.with_columns(
            spoiled=pl.Series(np.arange(len(rows)) % 100 == 13),
            invalidated=pl.Series(np.arange(len(rows)) % 100 != 13),
        )
        second = second.select(
            key="testSessionId",
            school="locationId",
            since=later,
            until=pl.lit(None, dtype=pl.Int64),
            json=encode(second, ["readingRate"]),
        )
        pieces.append(
            pl.concat(
                [first.with_row_index("place"), second.with_row_index("place").filter(spoilt)]
            )
            .sort("place", "since")
            .drop("place")
        )
    nothing = pl.lit(None, dtype=pl.String)
    return Shelf(
        pl.concat(pieces)
        .with_columns(subject=nothing, year=nothing)
        .select("key", "subject", "year", "school", "since", "until", "json")
    )
