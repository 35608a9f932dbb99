"""The synthetic district's roster as files, in the shape a student information system exports.

`population.py` says who is there and `dialects.py` what files look like; here are the columns that
dialects fill differently, the deliberate faults and the writing.
Files are written batch by batch, so memory does not grow with the district.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from edpipeline.sandbox import names
from edpipeline.sandbox.dialects import ONEROSTER_1_1, ONEROSTER_1_2, POWERSCHOOL, Dialect
from edpipeline.sandbox.draws import draw, identity, pick
from edpipeline.sandbox.population import DISTRICT_ID, Population
from edpipeline.sandbox.sizes import DEMO, DISTRICT, LARGE, SMALL, STATE, Size, schools

__all__ = [
    "DEMO",
    "DISTRICT",
    "LARGE",
    "ONEROSTER_1_1",
    "ONEROSTER_1_2",
    "POWERSCHOOL",
    "SMALL",
    "STATE",
    "Dialect",
    "Size",
    "Written",
    "schools",
    "write_roster",
]


@dataclass(frozen=True)
class _Fault:
    """A way to spoil a row: in a copy of a good row, under an id of its own, one value changes."""

    kind: str
    column: str
    value: str | None
    copies: int = 1
    """With 2, both copies bear the same id and only the second one has the value."""


_FAULTS: dict[str, tuple[_Fault, ...]] = {
    "users": (
        _Fault("bad_role", "role", "learner"),
        _Fault("missing_value", "familyName", None),
        _Fault("unquoted_comma", "familyName", "Neil, Jr"),
        _Fault("duplicate_id", "middleName", "Other", copies=2),
    ),
    "classes": (
        _Fault("missing_value", "title", None),
        _Fault("unquoted_comma", "periods", "1(A,B)"),
        _Fault("duplicate_id", "location", "Annex", copies=2),
    ),
    "enrollments": (
        # What PowerSchool itself sends for helpers in a class, though OneRoster forbids it.
        _Fault("bad_role", "role", "aide"),
        _Fault("missing_value", "userSourcedId", None),
        _Fault("unknown_class", "classSourcedId", "0"),
        _Fault("unknown_user", "userSourcedId", "S0"),
        _Fault("bad_date", "beginDate", "2027-02-30"),
        _Fault("duplicate_id", "role", "proctor", copies=2),
    ),
    "roles": (_Fault("bad_role", "role", "learner"),),
}


_RACES = (
    "americanIndianOrAlaskaNative",
    "asian",
    "blackOrAfricanAmerican",
    "nativeHawaiianOrOtherPacificIslander",
    "white",
    "demographicRaceTwoOrMoreRaces",
)


@dataclass(frozen=True)
class Written:
    """What was written, by file name without `.csv`."""

    paths: dict[str, Path]
    """Every file, `manifest` too."""
    rows: dict[str, int]
    """Rows below the header, good and broken, of every data file."""
    broken: dict[str, dict[str, int]]
    """Broken rows of every data file by kind; both rows of a duplicate_id pair count."""


def write_roster(
    folder: Path,
    size: Size,
    *,
    seed: int = 1,
    night: int = 0,
    change: float = 0.01,
    dialect: Dialect = POWERSCHOOL,
    broken: float = 0.0,
    school_year: int = 2027,
) -> Written:
    """Write the district's roster of one night, and say what is in it.

    `night` is how many nights have passed, each of which changed about the share `change` of the
    rows. For every 1/`broken` good rows a broken one is added (a duplicate_id pair: two), to which
    nothing else refers: what is left without them is the very roster that `broken=0` writes.
    Each file appears under its name when it is complete. Raises ValueError for a number out of
    range.
    """
    if not 0 <= broken <= 1:
        raise ValueError("broken is a share from 0 to 1")
    population = Population(size, seed, night, change, school_year)
    folder.mkdir(parents=True, exist_ok=True)
    paths: dict[str, Path] = {}
    rows: dict[str, int] = {}
    faults: dict[str, dict[str, int]] = {}
    for file in dialect.columns:
        paths[file] = folder / f"{file}.csv"
        rows[file], faults[file] = _write(paths[file], file, population, dialect, broken)
    if dialect.manifest_of:
        paths["manifest"] = folder / "manifest.csv"
        paths["manifest"].write_bytes(_manifest(dialect).encode())
    return Written(paths, rows, faults)


def _manifest(dialect: Dialect) -> str:
    lines = [
        "propertyName,value",
        "manifest.version,1.0",
        f"oneroster.version,{dialect.version}",
        *(
            f"file.{file},{'bulk' if file in dialect.columns else 'absent'}"
            for file in dialect.manifest_of
        ),
        "source.systemName,edpipeline sandbox",
        "",
    ]
    return dialect.line_end.join(lines)


def _write(
    path: Path, file: str, population: Population, dialect: Dialect, broken: float
) -> tuple[int, dict[str, int]]:
    columns = dialect.columns[file]
    faults = [
        fault
        for fault in _FAULTS.get(file, ())
        if fault.column in columns and not (fault.kind == "unquoted_comma" and dialect.lists)
    ]
    good, counts = 0, Counter({fault.kind: 0 for fault in faults})
    part = path.with_name(path.name + ".part")
    with part.open("wb") as sink:
        sink.write((",".join(columns) + dialect.line_end).encode())
        for frame in _frames(file, population, dialect):
            complete = _with_missing(frame, columns).select(columns)
            spoilt = _spoil(complete, good, broken, faults, counts)
            spoilt.write_csv(
                sink,
                include_header=False,
                line_terminator=dialect.line_end,
                quote_style=dialect.quote,
            )
            good += len(frame)
    part.replace(path)
    return good + counts.total(), dict(counts)


def _spoil(
    frame: pl.DataFrame, before: int, broken: float, faults: list[_Fault], counts: Counter[str]
) -> pl.DataFrame:
    """The frame with broken copies after some of its rows; adds to the counts.

    `before` good rows were written before it: a fault falls due at every 1/`broken` of them, each
    kind in turn, wherever batches begin.
    """
    per_million = round(broken * 1_000_000)
    if not per_million or not faults:
        return frame
    frame = frame.cast(pl.String)
    row = np.arange(before, before + len(frame))
    ordinal = row * per_million // 1_000_000
    due = (row + 1) * per_million // 1_000_000 > ordinal
    pieces, places = [frame], [row]
    for turn, fault in enumerate(faults):
        rows = np.flatnonzero(due & (ordinal % len(faults) == turn))
        copy = frame[rows].with_columns(pl.col("sourcedId") + identity("-", ordinal[rows]))
        spoilt = copy.with_columns(pl.lit(fault.value, dtype=pl.String).alias(fault.column))
        copies = [copy] * (fault.copies - 1) + [spoilt]
        pieces += copies
        places += [row[rows]] * len(copies)
        counts[fault.kind] += len(rows) * len(copies)
    return pl.concat(pieces)[np.argsort(np.concatenate(places), kind="stable")]


def _with_missing(frame: pl.DataFrame, columns: Iterable[str]) -> pl.DataFrame:
    missing = [column for column in columns if column not in frame.columns]
    return frame.with_columns(pl.lit(None, dtype=pl.String).alias(name) for name in missing)


def _frames(file: str, population: Population, dialect: Dialect) -> Iterator[pl.DataFrame]:
    """The file's good rows in batches, with more columns than the file has, or fewer."""
    match file:
        case "users":
            return (_users(people, dialect) for people in population.users())
        case "classes":
            return (_classes(sections, dialect) for sections in population.classes())
        case "enrollments":
            return population.enrollments()
        case "roles":
            return (_roles(people) for people in population.users())
        case "demographics":
            return (_demographics(people, population.seed) for people in population.students())
        case "orgs":
            return iter([_orgs(population)])
        case "academicSessions":
            return iter([_sessions(population)])
        case "courses":
            return iter([_courses(population)])
    raise ValueError(f"no such file: {file}")


def _users(people: pl.DataFrame, dialect: Dialect) -> pl.DataFrame:
    schools_of = ["primaryOrgSourcedId", "secondOrgSourcedId"]
    agents = ["agentSourcedId", "secondAgentSourcedId"]
    people = _with_missing(people, [*schools_of, *agents])
    if not dialect.lists:
        return people.with_columns(
            orgSourcedIds="primaryOrgSourcedId", agentSourcedIds="agentSourcedId"
        )
    agent_list = pl.concat_str(agents, separator=",", ignore_nulls=True)
    return people.with_columns(
        orgSourcedIds=pl.concat_str(schools_of, separator=",", ignore_nulls=True),
        agentSourcedIds=pl.when(agent_list != "").then(agent_list),
    )


def _classes(sections: pl.DataFrame, dialect: Dialect) -> pl.DataFrame:
    if not dialect.lists:
        # PowerSchool exports give kindergarten classes no grade.
        grades = pl.when(pl.col("grades") != "KG").then("grades")
        return sections.with_columns(termSourcedIds="termSourcedId", grades=grades)
    return sections.with_columns(
        termSourcedIds=pl.concat_str("firstHalfSourcedId", "secondHalfSourcedId", separator=",")
    )


def _roles(people: pl.DataFrame) -> pl.DataFrame:
    """A primary role in everyone's school, a secondary one in a teacher's second school."""
    people = _with_missing(people, ["secondOrgSourcedId"]).with_columns(
        userSourcedId="sourcedId",
        role=pl.col("role").replace("administrator", "principal"),
    )
    first = people.with_columns(
        sourcedId=pl.lit("R1-") + pl.col("sourcedId"),
        roleType=pl.lit("primary"),
        orgSourcedId="primaryOrgSourcedId",
    )
    second = people.filter(pl.col("secondOrgSourcedId").is_not_null()).with_columns(
        sourcedId=pl.lit("R2-") + pl.col("sourcedId"),
        roleType=pl.lit("secondary"),
        orgSourcedId="secondOrgSourcedId",
    )
    return pl.concat([first, second])


def _demographics(students: pl.DataFrame, seed: int) -> pl.DataFrame:
    number = students["dcid"].to_numpy()
    race = draw(seed, "race", number) % len(_RACES)
    hispanic = draw(seed, "hispanic", number) % 4 == 0
    return students.with_columns(
        *(
            pick(("false", "true"), (race == place).astype(np.int64)).alias(column)
            for place, column in enumerate(_RACES)
        ),
        pick(("false", "true"), hispanic.astype(np.int64)).alias("hispanicOrLatinoEthnicity"),
        pl.lit("US").alias("countryOfBirthCode"),
    )


def _orgs(population: Population) -> pl.DataFrame:
    ids = schools(population.size)
    return pl.DataFrame(
        {
            "sourcedId": [DISTRICT_ID, *ids],
            "name": [names.DISTRICT_NAME, *ids.values()],
            "type": ["district"] + ["school"] * len(ids),
            "identifier": [DISTRICT_ID, *ids],
            "parentSourcedId": [None] + [DISTRICT_ID] * len(ids),
        }
    )


def _sessions(population: Population) -> pl.DataFrame:
    """The school year, and in it every school's full-year term with its two halves."""
    year, term = population.year_id, population.term
    first, middle, end = population.first_day, population.second_half, population.day_after
    title = f"{population.school_year - 1}-{population.school_year}"
    rows: list[tuple[object, ...]] = [(year, title, "schoolYear", first, end, None)]
    for school in population.school_ids:
        whole = f"{school}-{term}"
        rows += [
            (whole, title, "term", first, end, year),
            (f"{school}-{term + 1}", "Semester 1", "semester", first, middle, whole),
            (f"{school}-{term + 2}", "Semester 2", "semester", middle, end, whole),
        ]
    columns = ["sourcedId", "title", "type", "startDate", "endDate", "parentSourcedId"]
    return pl.DataFrame(rows, schema=columns, orient="row").with_columns(
        schoolYear=pl.lit(str(population.school_year))
    )


def _courses(population: Population) -> pl.DataFrame:
    """One course for each grade and period, taught in every school that has the grade."""
    courses = names.courses()
    return pl.DataFrame(
        {
            "sourcedId": [it.code for it in courses],
            "schoolYearSourcedId": [population.year_id] * len(courses),
            "title": [it.title for it in courses],
            "courseCode": [it.code for it in courses],
            "grades": [it.grade for it in courses],
            "orgSourcedId": [DISTRICT_ID] * len(courses),
            "subjects": [it.subject.area for it in courses],
            "subjectCodes": [it.subject.area_code for it in courses],
        }
    )
