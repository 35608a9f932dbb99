"""STAR's results: one row a test, with every trap that its real files hold.

At fixed places in the order of rows, so that even a small district has some of each: a score
deactivated days later (every 60th), a row repeated for a second class (every 33rd), scores written
as decimals (`585.0`, every 10th). Local times end in a false `Z`; the best benchmark level is 1.
"""

from functools import lru_cache
from statistics import NormalDist

import numpy as np
import polars as pl

from edpipeline.sandbox import names
from edpipeline.sandbox.draws import Numbers, draw, identity, pick
from edpipeline.sandbox.population import DISTRICT_ID
from edpipeline.sandbox.vendors import people
from edpipeline.sandbox.vendors.columns import OVERALL
from edpipeline.sandbox.vendors.people import District, stamped, uuid
from edpipeline.sandbox.vendors.shelf import Shelf, encode
from edpipeline.sandbox.vendors.world import CANARY

PRODUCTS = {"SR": (2, 12), "SM": (1, 12), "SEL": (0, 2)}
"""Reading, Math, Early Literacy: the lowest and highest grade of each; 0 is kindergarten."""
_COURSE = {"SR": ("ELA", "Reading"), "SM": ("MAT", "Math"), "SEL": ("HR", "Early Literacy")}
_BETWEEN = 3
"""The number of a test taken between the windows."""

_BENCHMARK = ("Urgent Intervention", "Intervention", "On Watch", "At/Above Benchmark")
_STATE = (
    "Does Not Meet Expectations",
    "Approaches Expectations",
    "Meets Expectations",
    "Exceeds Expectations",
)
_FIRST_RANK, _LAST_RANK = (1, 10, 25, 40), (9, 24, 39, 99)
_LITERACY = (
    "Early Emergent Reader",
    "Late Emergent Reader",
    "Early Transitional Reader",
    "Late Transitional Reader",
    "Probable Reader",
)
_NCE = np.array([50 + 21.06 * NormalDist().inv_cdf(rank / 100) for rank in range(1, 100)])


@lru_cache(maxsize=16)
def tests(district: District, product: str) -> pl.DataFrame:
    """One row a test taken: the student's columns, `window`, `index` (a number of its own), `rank`
    (1 to 99), `ended` (naive local time), `seconds` and `id`, in order of students."""
    lowest, highest = PRODUCTS[product]
    students = people.students(district).filter(pl.col("grade").is_between(lowest, highest))
    place = np.repeat(np.arange(len(students)), _BETWEEN + 1)
    window = np.tile(np.arange(_BETWEEN + 1), len(students))
    index = students["number"].to_numpy()[place] * (_BETWEEN + 1) + window
    absent = draw(district.seed, f"{product} absent", index) % 20 == 0
    took = np.where(window == _BETWEEN, place % 25 == 3, ~absent)
    place, window, index = place[took], window[took], index[took]
    rows: pl.DataFrame = students[place]
    student = rows["number"].to_numpy()
    rank = draw(district.seed, f"{product} rank", student) % 99 + 1 + 2 * (window % 3)
    rank = np.clip(rank + draw(district.seed, f"{product} luck", index) % 15 - 7, 1, 99)
    return rows.with_columns(
        index=index,
        window=window,
        rank=rank,
        seconds=300 + draw(district.seed, f"{product} seconds", index) % 1500,
        ended=people.taken(district, product, window, index),
        id=uuid(district.seed, f"{product} test", index),
    )


def moments(rows: pl.DataFrame, district: District) -> dict[str, pl.Series]:
    """The columns of identity and time that the overall rows and the details share.

    `CompletedDateLocal` is local time with a `Z` that is not true.
    """
    ended = people.instant(rows["ended"], district.time_zone)
    values = rows.select(
        RenaissanceClientID=pl.lit("7000123"),
        SchoolYear=pl.lit(f"{district.school_year - 1}-{district.school_year}"),
        StudentRenaissanceID=uuid(district.seed, "student", rows["number"].to_numpy()),
        StudentSourcedID="sourced",
        StudentIdentifier="identifier",
        StudentUserID="username",
        StudentStateID="state",
        AssessmentID="id",
        LaunchDate=stamped(pl.lit(ended) - pl.col("seconds") * 1000),
        CompletedDate=stamped(pl.lit(ended)),
        CompletedDateLocal=stamped(pl.col("ended")),
    )
    return {column.name: column for column in values}


def _student(rows: pl.DataFrame, district: District) -> pl.DataFrame:
    number = rows["number"].to_numpy()
    race = draw(district.seed, "race", number) % 6
    yes = {
        name: pick(("No", "Yes"), (race == it).astype(np.int64))
        for it, name in enumerate(
            (
                "MultiRace",
                "AmericanIndianOrAlaskaNative",
                "Asian",
                "BlackOrAfricanAmerican",
                "NativeHawaiianOrOtherPacificIslander",
                "White",
            )
        )
    }
    grade = pl.when(pl.col("grade") == 0).then(pl.lit("K")).otherwise(pl.col("grade").cast(str))
    first, last = people.school_year_ends(district)
    return rows.select(
        SchoolYearStartDate=pl.lit(first),
        SchoolYearEndDate=pl.lit(last),
        StudentEmail="email",
        StudentFirstName="given",
        StudentMiddleName="middle",
        StudentLastName="family",
        Gender=pl.col("sex").str.head(1).str.to_uppercase(),
        BirthDate=pl.col("born") + "T00:00:00Z",
        HispanicOrLatino=pick(("Yes", "No", "No"), draw(district.seed, "latino", number) % 3),
        CurrentGrade=grade,
        EnrollmentStatus=pl.lit("Enrolled"),
        DistrictRenaissanceID=pl.lit(uuid(district.seed, "district", np.zeros(1, np.int64))[0]),
        DistrictSourcedID=pl.lit(DISTRICT_ID),
        DistrictIdentifier=pl.lit(DISTRICT_ID),
        DistrictName=pl.lit(names.DISTRICT_NAME),
        # Some files say 0 where others say K.
        Grade=pl.when((pl.col("grade") == 0) & (pl.col("index") % 7 == 0))
        .then(pl.lit("0"))
        .otherwise(grade),
        GradePlacement=(pl.col("grade") + (pl.col("window") % 3) * 0.3).round(2),
        StudentDisplayID=pl.col("identifier"),
        **yes,
    )


def _school(rows: pl.DataFrame, district: District) -> pl.DataFrame:
    known = people.vendor_schools(district)
    columns = {
        "RenaissanceID": "renaissance",
        "SourcedID": "sourced",
        "Identifier": "identifier",
        "Name": "name",
    }
    given = known.select("number", **{f"School{name}": it for name, it in columns.items()})
    return (
        rows.select("school")
        .join(given, left_on="school", right_on="number", how="left", maintain_order="left")
        .drop("school")
    )


def _classes(rows: pl.DataFrame, district: District, product: str, which: int) -> pl.DataFrame:
    """The class, the `which`-th of the student's, and its teacher."""
    prefix, title = _COURSE[product]
    code = prefix + pick(names.GRADES, rows["grade"].to_numpy())
    number = rows["grade"].to_numpy() * 4 + rows["number"].to_numpy() % 2 + 2 * which
    school = rows["school"].cast(pl.Int64).to_numpy()
    place = school * 100 + number
    section = identity("", number % 4 + 1)
    staff = people.teachers(district)[place % len(people.teachers(district))]
    return pl.DataFrame(
        {
            "CourseRenaissanceID": uuid(district.seed, f"{prefix} course", number // 4),
            "CourseSourcedID": code,
            "CourseCode": code,
            "CourseName": title + pl.Series([" "]) + pick(names.GRADES, number // 4),
            "ClassRenaissanceID": uuid(district.seed, f"{prefix} class", place),
            "ClassSourcedID": code + "-" + section,
            "ClassCode": section,
            "GroupOrClassName": title + pl.Series([" "]) + code + "-" + section,
            "TeacherRenaissanceID": uuid(district.seed, "teacher", staff["dcid"].to_numpy()),
            "TeacherSourcedID": staff["sourcedId"],
            "TeacherIdentifier": staff["identifier"],
            "TeacherUserID": staff["username"],
            "TeacherEmail": staff["email"],
            "TeacherFirstName": staff["givenName"],
            "TeacherLastName": staff["familyName"],
            "TeacherDisplayID": staff["identifier"],
        }
    )


def _scores(rows: pl.DataFrame, product: str) -> pl.DataFrame:
    grade, rank = pl.col("grade"), pl.col("rank")
    scaled = {
        "SR": (90 * grade + 6 * rank - 150 + 25 * pl.col("window")).clip(0, 1400),
        "SM": (330 + 55 * grade + 3 * rank + 12 * pl.col("window")).clip(0, 1400),
        "SEL": (380 + 90 * grade + 3 * rank).clip(300, 900),
    }[product]
    level = (grade + (rank - 50) / 20).clip(0, None).round(1)
    lexile = ((scaled * 1.3).cast(pl.Int64) - 420) // 5 * 5
    reading = level.cast(pl.String)
    nce = pl.lit(pl.Series(_NCE)).gather(rank - 1).round(1)
    return rows.select(
        # Whether a whole number has a decimal point is the vendor's mood.
        ScaledScore=scaled.cast(pl.Int64).cast(pl.String)
        + pl.when(pl.int_range(pl.len()) % 10 == 4).then(pl.lit(".0")).otherwise(pl.lit("")),
        StandardErrorOfMeasurement=17 + (pl.col("index") % 23),
        RaschScore=((rank - 50) / 12).round(2),
        UnifiedScore=(620 + 40 * grade + 3 * rank + 5 * pl.col("window")).clip(600, 1400),
        GradeEquivalent=pl.when(level > 12.9)
        .then(pl.when(pl.col("index") % 2 == 0).then(pl.lit(">12.9")).otherwise(pl.lit("12.9+")))
        .otherwise(reading),
        PercentileRank=rank,
        NormalCurveEquivalent=nce,
        InstructionalReadingLevel=pl.when(level < 1).then(pl.lit("PP")).otherwise(reading),
        EstimatedOralReadingFluency=pl.when(grade.is_between(1, 4)).then(20 + rank),
        LowerZoneOfProximalDevelopment=(level * 0.7).round(1),
        UpperZoneOfProximalDevelopment=(level * 1.2 + 0.5).round(1),
        Lexile=_lexile(lexile),
        LowerLexileZoneOfProximalDevelopment=_lexile(lexile - 100),
        UpperLexileZoneOfProximalDevelopment=_lexile(lexile + 50),
        LexileRange=_lexile(lexile - 100) + " - " + _lexile(lexile + 50),
        Quantile=(pl.when(scaled < 450).then(pl.lit("EM")).otherwise(pl.lit("")))
        + ((scaled - 450).abs().cast(pl.Int64) // 5 * 5).cast(pl.String)
        + "Q",
        LiteracyClassification=pl.lit(pl.Series(_LITERACY)).gather(rank // 20),
        TotalTimeInSeconds=pl.col("seconds").cast(pl.Float64),
        TotalCorrect=10 + rank // 5,
        TotalPossible=pl.lit(34),
        ExtraTime=pl.when(pl.col("number") % 29 == 0).then(pl.lit("Yes")).otherwise(pl.lit("No")),
        Audio=pl.lit("No"),
    )


def _lexile(number: pl.Expr) -> pl.Expr:
    """`415L`, and `BR120L` for 120 below zero: BR is for beginning reader."""
    text = number.abs().cast(pl.String) + "L"
    return pl.when(number < 0).then("BR" + text).otherwise(text)


def _benchmarks(rows: pl.DataFrame, district: District, product: str) -> pl.DataFrame:
    """Levels count from the best, 1, and come as decimals, as growth percentiles do."""
    rank = rows["rank"].to_numpy()
    band: Numbers = np.searchsorted(np.array(_FIRST_RANK), rank, side="right") - 1
    level = pl.Series((4 - band).astype(np.float64))
    bounds = [pl.Series(np.array(it, dtype=np.float64)[band]) for it in (_FIRST_RANK, _LAST_RANK)]
    state: Numbers = np.minimum(rank // 25, 3)
    proficient = pick(("No", "Yes"), (band == 3).astype(np.int64))
    values: dict[str, pl.Series] = {
        "RenaissanceBenchmarkCategoryName": pick(_BENCHMARK, band),
        "RenaissanceBenchmarkCategoryLevel": level,
        "RenaissanceBenchmarkCategoryNumberOfLevels": pl.Series(np.full(len(rows), 4.0)),
        "RenaissanceBenchmarkCategoryMinPercentileRank": bounds[0],
        "RenaissanceBenchmarkCategoryMaxPercentileRank": bounds[1],
        "StateBenchmarkAssessmentName": pick(("Quillmere State Assessment",), band * 0),
        "StateBenchmarkCategoryName": pick(_STATE, state),
        "StateBenchmarkProficient": pick(("No", "Yes"), (state >= 2).astype(np.int64)),
        "StateBenchmarkCategoryLevel": pl.Series((4 - state).astype(np.float64)),
        "StateBenchmarkNumberOfCategoryLevels": pl.Series(np.full(len(rows), 4.0)),
        "StateBenchmarkMinScaledScore": pl.Series((state * 200).astype(np.float64)),
        "StateBenchmarkMaxScaledScore": pl.Series((state * 200 + 199).astype(np.float64)),
    }
    for own in ("DistrictBenchmark", "SchoolBenchmark"):
        values |= {
            f"{own}CategoryName": pick(_BENCHMARK, band),
            f"{own}Proficient": proficient,
            f"{own}CategoryLevel": level,
            f"{own}NumberOfCategoryLevels": pl.Series(np.full(len(rows), 4.0)),
            f"{own}MinPercentileRank": bounds[0],
            f"{own}MaxPercentileRank": bounds[1],
        }
    return pl.DataFrame(values).hstack(_window(rows, district, product))


def _window(rows: pl.DataFrame, district: District, product: str) -> pl.DataFrame:
    """The screening window, blank between the windows, and growth since an earlier one."""
    window = rows["window"].to_numpy()
    spans = people.windows(district.school_year)
    growth = pl.lit(
        (draw(district.seed, f"{product} growth", rows["index"].to_numpy()) % 99 + 1) * 1.0
    )
    which = pl.col("window")
    return rows.select(
        ScreeningPeriodWindowName=pick([*(it.name for it in spans), None], window),
        ScreeningWindowStartDate=pick([*(f"{it.first}T00:00:00Z" for it in spans), None], window),
        ScreeningWindowEndDate=pick([*(f"{it.last}T00:00:00Z" for it in spans), None], window),
        StudentGrowthPercentileFallWinter=pl.when(which == 1).then(growth),
        StudentGrowthPercentileFallSpring=pl.when(which == 2).then(growth),
        StudentGrowthPercentileWinterSpring=pl.when(which == 2).then(growth),
        CurrentSGP=pl.when(which.is_in([1, 2])).then(growth),
        AssessmentNumber=which.clip(0, 2) + 1,
        AssessmentType=pl.when(which == _BETWEEN)
        .then(pl.lit("ProgressMonitoring"))
        .otherwise(pl.lit("Enterprise")),
        TakenAt=pl.lit("school"),
    )


def _canaries(rows: pl.DataFrame) -> pl.DataFrame:
    """What the vendor sends though it should not; only the first is a column of its files."""
    return rows.select(
        TakenAtByIPAddress=pl.lit(f"{CANARY}ip-192.0.2.") + (pl.col("index") % 250).cast(str),
        StudentPassword=pl.lit(f"{CANARY}student-password-") + pl.col("index").cast(str),
        ReportUrl=pl.lit(f"https://reports.example/launch?session={CANARY}link-")
        + pl.col("index").cast(str),
    )


def _complete(rows: pl.DataFrame, district: District, product: str, which: int) -> pl.DataFrame:
    known = pl.DataFrame(moments(rows, district))
    for part in (
        _student(rows, district),
        _school(rows, district),
        _classes(rows, district, product, which),
        _scores(rows, product),
        _benchmarks(rows, district, product),
        _canaries(rows),
    ):
        known = known.hstack(part)
    known = known.with_columns(AssessmentStatus=pl.lit("Active"))
    nothing = pl.lit(None, dtype=pl.String)
    missing = [nothing.alias(it) for it in OVERALL[product] if it not in known.columns]
    return known.with_columns(missing).select(*OVERALL[product], "StudentPassword", "ReportUrl")


@lru_cache(maxsize=16)
def overall(district: District, product: str) -> Shelf:
    """The listing of one product's results."""
    rows = tests(district, product)
    place = np.arange(len(rows))
    ended = people.instant(rows["ended"], district.time_zone)
    days = draw(district.seed, f"{product} deactivated", rows["index"].to_numpy()) % 18 + 3
    deactivated = ended + pl.Series(days * 86_400_000)
    spoilt = pl.Series(place % 60 == 11)
    pieces = []
    for which, chosen in ((0, pl.Series(place >= 0)), (1, pl.Series(place % 33 == 5))):
        complete = _complete(rows, district, product, which).with_columns(place=2 * place + which)
        complete = complete.with_columns(
            since=ended, until=pl.when(spoilt).then(deactivated), at=deactivated
        )
        pieces.append(complete.filter(chosen))
        later = complete.filter(chosen & spoilt)
        pieces.append(
            later.with_columns(
                AssessmentStatus=pl.lit("Deactivated"),
                DeactivationReason=pl.lit("Deactivated by the school: wrong student"),
                since="at",
                until=pl.lit(None, dtype=pl.Int64),
            )
        )
    known = pl.concat(pieces).sort("place", "since")
    records = known.drop("place", "since", "until", "at")
    return Shelf(
        known.select(
            "since",
            "until",
            key="AssessmentID",
            subject=pl.lit(product),
            year="SchoolYear",
            school="SchoolRenaissanceID",
            json=encode(records, ["ScaledScore"]),
        ).select("key", "subject", "year", "school", "since", "until", "json")
    )
