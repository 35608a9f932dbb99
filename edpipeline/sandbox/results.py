"""Results of NWEA MAP Growth for the students of the synthetic district, as its site exports them.

One Combined Data File of the current edition: the last term whose testing is over, mathematics and
reading, grades 3 to 8. A few rows are spoilt on purpose; `MapExport` says how many of which kind.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from edpipeline.sandbox import names
from edpipeline.sandbox.draws import Numbers, draw, pick
from edpipeline.sandbox.population import DISTRICT_ID, Population
from edpipeline.sandbox.sizes import schools
from edpipeline.sandbox.vendors.people import Window, windows
from edpipeline.sources import source

FILE_NAME = "ComboStudentAssessment.csv"
EDITION = "nwea_combined_2020"
GRADES = ("03", "04", "05", "06", "07", "08")
FAULTS_EVERY = 400
"""Of so many rows one has an impossible score, one no date, one a student nobody knows, and one an
id that lost its zeros in a spreadsheet."""


@dataclass(frozen=True)
class _Subject:
    """A subject that is tested, and the mean of its scores in fall by grade, 3 to 8."""

    name: str
    course: str
    test: str
    means: tuple[int, ...]
    goals: tuple[str, str, str]


_SUBJECTS = (
    _Subject(
        "Mathematics",
        "Math K-12",
        "Growth: Math 2-12 QM 2020",
        (188, 199, 209, 214, 220, 224),
        ("Operations and Algebraic Thinking", "Number and Operations", "Measurement and Data"),
    ),
    _Subject(
        "Language Arts",
        "Reading",
        "Growth: Reading 2-12 QM 2020",
        (186, 196, 204, 210, 214, 218),
        ("Literary Text", "Informational Text", "Vocabulary"),
    ),
)
_GROWTH_SINCE_FALL = {"Fall": 0, "Winter": 5, "Spring": 9}
_PAIR = {"Fall": "FallToFall", "Winter": "FallToWinter", "Spring": "FallToSpring"}
_PROJECTED = {"Fall": 9, "Winter": 5, "Spring": 9}
_DEVIATION = 15
"""Of scores within a grade, in RIT points."""
_QUINTILES = ("Low", "LoAvg", "Avg", "HiAvg", "High")


@dataclass(frozen=True)
class MapExport:
    """A file that was written, and what is in it."""

    path: Path
    term: str
    """Such as Fall 2026-2027."""
    rows: int
    rejected: int
    """Rows with an impossible score or without a date."""
    strangers: int
    """Rows of students whom the roster does not have."""


def last_term(today: date, school_year: int) -> tuple[str, Window]:
    """The last term whose testing is over, and its days."""
    over = [
        (f"{window.name} {year - 1}-{year}", window)
        for year in (school_year - 1, school_year)
        for window in windows(year)
        if window.last < today
    ]
    return over[-1]


def write_map_export(folder: Path, population: Population, today: date) -> MapExport:
    """Write the export of a day, the same for the same population and day."""
    term, window = last_term(today, population.school_year)
    tested = pl.concat(list(population.students())).filter(pl.col("grades").is_in(GRADES))
    results = pl.concat(_results(tested, it, term, window, population) for it in _SUBJECTS)
    place = pl.int_range(pl.len())
    spoilt = results.with_columns(
        TestRITScore=_at(place, 7, "999", "TestRITScore"),
        TestStartDate=_at(place, 107, "", "TestStartDate"),
        StudentID=pl.when(place % FAULTS_EVERY == 207)
        .then("88" + pl.col("StudentID"))
        .when(place % FAULTS_EVERY == 307)
        .then(pl.col("StudentID").str.strip_chars_start("0"))
        .otherwise("StudentID"),
    )
    written = spoilt.select(
        pl.col(name) if name in spoilt.columns else pl.lit("").alias(name) for name in _headers()
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE_NAME
    written.write_csv(path, line_terminator="\r\n", quote_style="always")
    count = len(written)
    return MapExport(path, term, count, _due(count, 7) + _due(count, 107), _due(count, 207))


def _headers() -> list[str]:
    """The edition's headers; of those that mean the same column the first."""
    fields = source("nwea_map").edition(EDITION).headers["nwea_map"]
    return list({field.column: field.header for field in reversed(fields)}.values())[::-1]


def _at(place: pl.Expr, due: int, value: str, column: str) -> pl.Expr:
    return pl.when(place % FAULTS_EVERY == due).then(pl.lit(value)).otherwise(column)


def _due(rows: int, place: int) -> int:
    return len(range(place, rows, FAULTS_EVERY))


def _results(
    students: pl.DataFrame, subject: _Subject, term: str, window: Window, population: Population
) -> pl.DataFrame:
    """One row a student, as text."""
    seed, number, season = population.seed, students["dcid"].to_numpy(), window.name
    grade = students["grades"].cast(pl.Int64).to_numpy()
    # Who is good at one subject is likely to be good at the other.
    ability = 0.8 * _normal(seed, "map ability", number)
    ability += 0.6 * _normal(seed, f"map {subject.name} {term}", number)
    mean = np.array(subject.means)[grade - 3] + _GROWTH_SINCE_FALL[season]
    score = np.clip(np.rint(mean + _DEVIATION * ability), 120, 300).astype(np.int64)
    percentile = np.clip(np.rint(100 / (1 + np.exp(-1.702 * ability))), 1, 99).astype(np.int64)
    minute = draw(seed, f"map minute {subject.name}", number) % 360
    values = {
        "SchoolName": students["primaryOrgSourcedId"].replace_strict(schools(population.size)),
        "School_StateID": students["primaryOrgSourcedId"],
        "StudentLastName": students["familyName"],
        "StudentFirstName": students["givenName"],
        "StudentMI": students["middleName"].str.slice(0, 1).fill_null(""),
        "StudentID": students["identifier"],
        "Student_StateID": students["userIds"].str.extract(r"\{SSID:(\d+)\}"),
        "StudentDateOfBirth": students["birthDate"].str.to_date().dt.strftime("%m/%d/%Y"),
        "StudentGender": students["sex"].str.slice(0, 1).str.to_uppercase(),
        "Grade": _text(grade),
        "NWEAStandard_Grade": _text(grade),
        "TestStartDate": _days(window, draw(seed, f"map day {subject.name}", number)),
        "TestStartTime": _clock(9 * 60 + minute),
        "TestDurationMinutes": _text(25 + minute % 40),
        "TestRITScore": _text(score),
        "TestPercentile": _text(percentile),
        "AchievementQuintile": pick(_QUINTILES, (percentile - 1) // 20),
        **_growth(seed, term, season, number),
        **_goals(seed, subject, number, score),
    }
    return pl.DataFrame(values).with_columns(
        TermName=pl.lit(term),
        DistrictName=pl.lit(names.DISTRICT_NAME),
        District_StateID=pl.lit(DISTRICT_ID),
        Subject=pl.lit(subject.name),
        Course=pl.lit(subject.course),
        NormsReferenceData=pl.lit("2025"),
        TestType=pl.lit("Survey With Goals"),
        TestName=pl.lit(subject.test),
        TestStandardError=pl.lit("3.20"),
    )


def _growth(seed: int, term: str, season: str, number: Numbers) -> Mapping[str, pl.Series]:
    """Growth over the pair of terms that ends in the term."""
    pair, projected = _PAIR[season], _PROJECTED[season]
    drift = _normal(seed, f"map growth {term}", number)
    observed = np.rint(projected + 5 * drift).astype(np.int64)
    return {
        f"{pair}ProjectedGrowth": _text(np.full(len(number), projected)),
        f"{pair}ObservedGrowth": _text(observed),
        f"{pair}MetProjectedGrowth": pick(("No", "Yes"), (observed >= projected).astype(np.int64)),
    }


def _goals(
    seed: int, subject: _Subject, number: Numbers, score: Numbers
) -> Mapping[str, pl.Series]:
    """The instructional areas of the test."""
    found = {}
    for place, name in enumerate(subject.goals, 1):
        points = score + draw(seed, f"map goal {place} {subject.name}", number) % 15 - 7
        found[f"Goal{place}Name"] = pl.Series([name]).new_from_index(0, len(number))
        found[f"Goal{place}RitScore"] = _text(points)
        found[f"Goal{place}Range"] = _text(points - 5) + "-" + _text(points + 5)
    return found


def _normal(
    seed: int, purpose: str, index: Numbers
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """About normally distributed: the sum of twelve even draws, less six."""
    drawn = [draw(seed, f"{purpose} {part}", index) % 1_000_000 / 1e6 for part in range(12)]
    summed: npt.NDArray[np.float64] = np.sum(drawn, axis=0) - 6
    return summed


def _days(window: Window, drawn: Numbers) -> pl.Series:
    """A school day of the window for each draw, as the export writes days."""
    span = range((window.last - window.first).days + 1)
    days = [window.first + timedelta(days=day) for day in span]
    weekdays = [f"{day:%m/%d/%Y}" for day in days if day.weekday() < 5]
    return pick(weekdays, drawn % len(weekdays))


def _clock(minutes: Numbers) -> pl.Series:
    hours, rest = np.divmod(minutes, 60)
    return _text(hours).str.zfill(2) + ":" + _text(rest).str.zfill(2) + ":00"


def _text(numbers: Numbers) -> pl.Series:
    return pl.Series(numbers).cast(pl.String)
