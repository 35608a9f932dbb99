"""Every student of a district's roster: the number to ask with, which configuration, who is due.

Frames only, one row for each student, by the columns of `STUDENT`; who is asked about becomes
`Subject`s, one for each number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import polars as pl

from edpipeline.sources.score_reports.decisions import AGAIN, SSID, Outcome
from edpipeline.uses_of_polls import ScoreReportsUse
from edpipeline.warehouse.engine import Session

ROSTER = dict.fromkeys(("student_id", "school_id", "given"), pl.String())
KNOWN = ("ssid", "configuration", "outcome", "asked_at", "answered_at")
"""What is read of a student's last request; here with `known_` before it."""
STUDENT: Mapping[str, pl.DataType] = {
    **dict.fromkeys(("student_id", "school_id", "ssid", "configuration"), pl.String()),
    "skipped": pl.String(),
    **{f"known_{name}": pl.String() for name in KNOWN[:3]},
    **{f"known_{name}": pl.Datetime("us") for name in KNOWN[3:]},
}
"""`ssid` is null unless it has ten digits; `skipped` is the outcome of a student who is not asked
about, else null; times are in UTC, without a zone."""
NO_SSID: Outcome = "skipped_no_ssid"
BAD_SSID: Outcome = "skipped_bad_ssid"
NO_CONFIGURATION: Outcome = "skipped_no_configuration"


@dataclass(frozen=True)
class Subject:
    """One number to ask with, and the students who have it."""

    ssid: str = field(repr=False)
    configuration: str
    students: Mapping[str, datetime | None] = field(repr=False)
    """When each was last answered about, by the id in the roster."""


def in_roster(session: Session, district_id: str, match_on: str) -> pl.DataFrame:
    """The current students of the roster: `student_id`, `school_id`, and as `given` what stands in
    the field of the roster that `match_on` names; no rows without a roster."""
    if not session.has_table("marts.dim_student"):
        return pl.DataFrame(schema=ROSTER)
    students = session.frame(
        "select student_id, school_id from marts.dim_student"
        " where district_id = $district and is_current",
        district=district_id,
    ).cast(pl.String())
    given = session.frame(
        "select student_id, match_value as given from marts.dim_student_identifier"
        " where district_id = $district and match_field = $field and is_current",
        district=district_id,
        field=match_on,
    ).cast(pl.String())
    # Where a student has several, the first that can be one counts.
    first = given.sort(~is_ssid("given"), "given").unique("student_id", keep="first")
    return students.join(first, on="student_id", how="left")


def known_requests(session: Session, district_id: str) -> pl.DataFrame:
    """What the last request about each student came to."""
    found = session.frame(
        f"select student_id, {', '.join(KNOWN)} from score_reports.current_requests"
        " where district_id = $district",
        district=district_id,
    ).rename({name: f"known_{name}" for name in KNOWN})
    return found.cast({name: kind for name, kind in STUDENT.items() if name in found.columns})


def laid_over(roster: pl.DataFrame, known: pl.DataFrame, use: ScoreReportsUse) -> pl.DataFrame:
    """Every student as `STUDENT`: the number, the configuration, and why nobody is asked."""
    given = pl.col("given").str.strip_chars()
    no_ssid = given.fill_null("") == ""
    skipped = (
        pl.when(no_ssid)
        .then(pl.lit(NO_SSID))
        .when(~is_ssid("given"))
        .then(pl.lit(BAD_SSID))
        .when(pl.col("configuration").is_null())
        .then(pl.lit(NO_CONFIGURATION))
    )
    of_school = _configurations(use)
    default = use.configuration_of(None)
    named = roster.join(of_school, on="school_id", how="left").with_columns(
        pl.col("configuration").fill_null(pl.lit(default.name if default else None, pl.String()))
    )
    both = named.with_columns(skipped=skipped, ssid=pl.when(is_ssid("given")).then(given)).join(
        known, on="student_id", how="left"
    )
    # An answer about another number, or about one that is not known any more, says nothing of this.
    is_same = pl.col("ssid").is_null() | pl.col("ssid").eq_missing(pl.col("known_ssid"))
    answered_at = pl.when(is_same).then(pl.col("known_answered_at"))
    return both.with_columns(known_answered_at=answered_at).select(
        pl.col(name).cast(kind) for name, kind in STUDENT.items()
    )


def is_ssid(column: str) -> pl.Expr:
    """Whether what stands in a column is a Statewide Student Identifier; false for nothing."""
    return pl.col(column).str.strip_chars().str.contains(SSID).fill_null(False)


def is_due(began: datetime, now: datetime, again: timedelta) -> pl.Expr:
    """Whether a student is to be asked about, on a day that `began` at an instant in UTC: once a
    day, and again where the service failed a while ago, or the number is another by now."""
    asked_at = pl.col("known_asked_at")
    failed = pl.col("known_outcome").is_in(AGAIN) & (asked_at <= now - again)
    other = pl.col("known_ssid").ne_missing(pl.col("ssid"))
    due = asked_at.is_null() | (asked_at < began) | failed.fill_null(False) | other
    return pl.col("skipped").is_null() & due


def is_to_be_told() -> pl.Expr:
    """Whether a student is not asked about, and that is not known yet."""
    same = pl.col("known_outcome").eq_missing(pl.col("skipped")) & pl.col("known_ssid").eq_missing(
        pl.col("ssid")
    )
    return pl.col("skipped").is_not_null() & ~same


def subjects(students: pl.DataFrame, due: pl.Expr) -> pl.DataFrame:
    """The numbers to ask with, each once, by configuration and number: `configuration`, `ssid`,
    and lists `student_ids` and `answered_at`. Whoever shares a number that is due is in its list.
    """
    asked = students.filter(pl.col("skipped").is_null())
    return (
        asked.filter(due.any().over("ssid"))
        .sort("configuration", "ssid", "student_id")
        .group_by("ssid", maintain_order=True)
        .agg(
            pl.col("configuration").first(),
            pl.col("student_id").alias("student_ids"),
            pl.col("known_answered_at").alias("answered_at"),
        )
        .sort("configuration", "ssid")
    )


def as_subjects(frame: pl.DataFrame) -> Sequence[Subject]:
    """The rows of a frame that `subjects` made, of one chunk."""
    return [
        Subject(ssid, configuration, dict(zip(student_ids, answered_at, strict=True)))
        for ssid, configuration, student_ids, answered_at in frame.iter_rows()
    ]


def _configurations(use: ScoreReportsUse) -> pl.DataFrame:
    """The configuration of each school that one names."""
    pairs = [(school, each.name) for each in use.configurations for school in each.schools]
    columns = {"school_id": pl.String(), "configuration": pl.String()}
    return pl.DataFrame(pairs, schema=columns, orient="row")
