"""Every pair of student and lesson: what is known of it, what is listed of it now, and who is due.

A pair's row is that of the table `assignments`. Frames only; what is polled becomes `Pair`s.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from edpipeline.polling.listings import COLUMNS, PAIR, TIMES
from edpipeline.sources.powerpath.decisions import (
    ENDED,
    GONE,
    LESSON_TYPES,
    Known,
    Progress,
)
from edpipeline.warehouse.engine import Session

STANDING: Mapping[str, pl.DataType] = {
    **dict.fromkeys(("state", "outcome", "reason"), pl.String()),
    "attempt": pl.Int64(),
    "enrollment": pl.String(),
    **dict.fromkeys(("first_seen_at", "changed_at", "polled_at"), pl.Datetime("us")),
    **dict.fromkeys(("polls", "failures"), pl.Int64()),
    "next_poll_at": pl.Datetime("us"),
}
ROW: Mapping[str, pl.DataType] = {**COLUMNS, **STANDING}
"""A row of the table `assignments`."""
WAITING = ("open", "quarantined")
ASSIGNED = "test_assignments"
"""States in which a pair is polled again."""
HELD = ("attempt", "finalized", "score", "correct_questions", "answered_questions")
RESULT = (
    *HELD,
    *("enrollment_failed", "lesson_type", "tool_provider"),
    *("score_status", "started_at", "completed_at"),
)


@dataclass(frozen=True)
class Pair:
    """One pair to be polled."""

    row: Mapping[str, Any] = field(repr=False)
    """As in the table `assignments`; times without a zone, in UTC."""
    is_reopened: bool = False
    latest: Mapping[str, Any] | None = field(default=None, repr=False)
    """The result of the highest attempt, by the names in `RESULT`."""
    final_attempts: frozenset[int] = frozenset()
    unsure_attempts: frozenset[int] = frozenset()
    """Attempts of which an import was made that may have been carried out later."""

    @property
    def student_id(self) -> str:
        """The student."""
        return str(self.row["student_id"])

    @property
    def lesson_id(self) -> str:
        """The lesson."""
        return str(self.row["lesson_id"])

    @property
    def known(self) -> Known:
        """What decides about the pair."""
        row, polled = self.row, self.row["polled_at"]
        again = row["next_poll_at"]
        is_first = self.is_reopened or polled is None or again is None
        last = progress_of(self.latest) if self.latest else None
        return Known(
            state=row["state"],
            outcome="" if self.is_reopened else row["outcome"] or "",
            assignment_status=row["assignment_status"] or "",
            is_over=row["origins"] == ASSIGNED and row["assignment_status"] in GONE,
            since=row["assigned_at"] or row["first_seen_at"],
            failures=row["failures"] or 0,
            last_wait=None if is_first else max(again - polled, timedelta(0)),
            attempt=last.attempt if last else 0,
            last=last,
        )


def progress_of(result: Mapping[str, Any]) -> Progress:
    """What a row of the table `results` says."""
    return Progress(
        lesson_type=result["lesson_type"] or "",
        tool_provider=result["tool_provider"] or "",
        attempt=result["attempt"],
        finalized=result["finalized"],
        score=result["score"],
        correct=result["correct_questions"],
        answered=result["answered_questions"] or 0,
        enrollment_failed=result["enrollment_failed"],
    )


def known_pairs(session: Session, district_id: str) -> pl.DataFrame:
    """What is known of every pair of a district."""
    names = ", ".join(ROW)
    found = session.frame(
        f"select {names} from external_tests.current_assignments where district_id = $district",
        district=district_id,
    )
    return found.cast(dict(ROW))  # type: ignore[arg-type]


def known_results(session: Session, district_id: str) -> pl.DataFrame:
    """One row a pair that has results or calls: the latest result, which attempts are final, and
    of which nobody knows what an import did."""
    names = ", ".join((*PAIR, *RESULT))
    found = session.frame(
        f"select {names} from external_tests.current_results where district_id = $district",
        district=district_id,
    )
    latest = pl.struct(RESULT).sort_by("attempt").last().alias("latest")
    final = pl.col("attempt").filter(pl.col("finalized")).alias("final_attempts")
    calls = session.frame(
        "select student_id, lesson_id, attempt_before from external_tests.current_import_calls"
        " where district_id = $district and outcome in ('failed', 'unknown')",
        district=district_id,
    )
    unsure = calls.group_by(PAIR).agg(pl.col("attempt_before").alias("unsure_attempts"))
    held = found.group_by(PAIR).agg(latest, final)
    return held.join(unsure, on=PAIR, how="full", coalesce=True)


def in_roster(session: Session, district_id: str, match_on: str) -> pl.Series:
    """The ids by which the roster knows students, under a field of it; none without a roster."""
    if not session.has_table("marts.dim_student_identifier"):
        return pl.Series(dtype=pl.String)
    found = session.frame(
        "select distinct match_value from marts.dim_student_identifier"
        " where district_id = $district and match_field = $field",
        district=district_id,
        field=match_on,
    )
    return found.to_series().cast(pl.String)


def is_one_of(known: pl.Series, match_on: str) -> pl.Expr:
    """Whether a pair's student is among those that the roster knows under a field of it."""
    student = pl.col("student_id").str.strip_chars()
    if match_on in ("username", "email"):
        student = student.str.to_lowercase()
    return student.is_in(known.implode())


def laid_over(listed: pl.DataFrame, known: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Every pair as it stands once it is listed so: `ROW`, and whether it `is_touched` (its row is
    to be written) and `is_reopened` (it was done with, and is to be polled anew).

    A pair that a vendor does not list any more is polled on: a list may lack what is to come.
    """
    both = listed.join(known, on=PAIR, how="full", coalesce=True, suffix="_known")
    both = both.with_columns(**_facts())
    both = both.with_columns(is_reopened=_is_reopened()).with_columns(_state().alias("new_state"))
    starts = pl.col("is_new") | pl.col("is_reopened")
    status = pl.col("assignment_status")
    has_ended = (status == "completed") | pl.col("is_over")
    just_ended = has_ended & status.ne_missing(pl.col("assignment_status_known"))
    next_poll = (
        pl.when(~pl.col("new_state").is_in(WAITING))
        .then(None)
        .when(starts | just_ended)
        .then(pl.lit(now))
        .otherwise(pl.col("next_poll_at"))
    )
    merged = both.with_columns(
        *(_listed_else_known(name) for name in COLUMNS if name not in PAIR),
        state_now=pl.col("new_state"),
        outcome_now=pl.when(pl.col("is_refused"))
        .then(pl.lit("unknown_lesson_type"))
        .otherwise(pl.col("outcome").fill_null("not_polled")),
        reason_now=_reason(),
        first_seen_at_now=pl.when(starts).then(pl.lit(now)).otherwise(pl.col("first_seen_at")),
        enrollment_now=pl.col("enrollment").fill_null("none"),
        polls_now=pl.col("polls").fill_null(0),
        failures_now=pl.when(starts).then(0).otherwise(pl.col("failures").fill_null(0)),
        next_poll_at_now=next_poll,
    )
    changed = pl.any_horizontal(
        *(
            pl.col(f"{name}_now").ne_missing(pl.col(_before(name)))
            for name in ROW
            if f"{name}_now" in merged.columns
        )
    )
    return merged.select(
        *(
            (pl.col(f"{name}_now") if f"{name}_now" in merged.columns else pl.col(name))
            .cast(kind)
            .alias(name)
            for name, kind in ROW.items()
        ),
        is_touched=pl.col("is_new") | changed,
        is_reopened=pl.col("is_reopened"),
    )


def is_due(now: datetime) -> pl.Expr:
    """Whether a pair is to be polled."""
    due = pl.col("next_poll_at").is_null() | (pl.col("next_poll_at") <= now)
    return pl.col("state").is_in(WAITING) & due


def as_pairs(frame: pl.DataFrame, results: pl.DataFrame) -> list[Pair]:
    """The pairs of a frame that `laid_over` made."""
    joined = frame.join(results, on=PAIR, how="left", maintain_order="left")
    return [_pair(row) for row in joined.iter_rows(named=True)]


def unlisted(pairs: Iterable[tuple[str, str]], now: datetime) -> pl.DataFrame:
    """Rows of pairs of which nothing is known but that there are."""
    row = dict.fromkeys(ROW)
    fresh = {"state": "open", "outcome": "not_polled", "enrollment": "none", "origins": ""}
    rows = [
        {**row, **fresh, **dict(zip(PAIR, pair, strict=True)), "first_seen_at": now}
        for pair in pairs
    ]
    frame = pl.DataFrame(rows, schema=dict(ROW))
    return frame.with_columns(is_touched=pl.lit(True), is_reopened=pl.lit(False))


def _pair(row: Mapping[str, Any]) -> Pair:
    return Pair(
        row={name: row[name] for name in ROW},
        is_reopened=row["is_reopened"],
        latest=row["latest"],
        final_attempts=frozenset(row["final_attempts"] or ()),
        unsure_attempts=frozenset(row["unsure_attempts"] or ()),
    )


def _facts() -> dict[str, pl.Expr]:
    """What the states are decided by. `origins` is of the list, `origins_known` was known."""
    is_listed = pl.col("origins").is_not_null()
    status = pl.col("assignment_status")
    is_over = (pl.col("origins") == ASSIGNED) & status.is_in(GONE)
    # A district that takes a pair from its list says that it is not to be polled.
    is_dropped = ~is_listed & (pl.col("origins_known") == "watch_list")
    lesson_type = pl.col("lesson_type")
    return {
        "is_listed": is_listed,
        "is_new": pl.col("state").is_null(),
        # What is over is looked at once more: it may have become final before it ended.
        "is_gone": (is_dropped | (is_over & (pl.col("state") == "gone"))).fill_null(False),
        "is_over": is_over.fill_null(False),
        "is_refused": lesson_type.is_not_null() & ~lesson_type.is_in(LESSON_TYPES),
        # Of a pair without origins only an import was known: it is listed for the first time.
        "is_other": pl.col("test_assignment_id").is_not_null()
        & (pl.col("origins_known").fill_null("") != "")
        & pl.col("test_assignment_id").ne_missing(pl.col("test_assignment_id_known")),
    }


def _is_reopened() -> pl.Expr:
    state = pl.col("state").fill_null("")
    anew = state.is_in(("final", "stale", "refused", "quarantined", "gone")) & pl.col("is_other")
    back = (state == "gone") & pl.col("is_listed")
    mended = (
        (state == "refused")
        & pl.col("lesson_type").is_in(LESSON_TYPES).fill_null(False)
        & pl.col("lesson_type").ne_missing(pl.col("lesson_type_known"))
    )
    is_over = pl.col("is_gone") | pl.col("is_over")
    return (anew | back | mended) & ~is_over & ~pl.col("is_refused")


def _state() -> pl.Expr:
    is_final = pl.col("state").eq_missing(pl.lit("final")) & ~pl.col("is_reopened")
    ends = ~pl.col("state").fill_null("").is_in(("final", "stale", "refused"))
    return (
        pl.when(is_final)
        .then(pl.lit("final"))
        .when(pl.col("is_gone") & ends)
        .then(pl.lit("gone"))
        .when(pl.col("is_refused"))
        .then(pl.lit("refused"))
        .when(pl.col("is_new") | pl.col("is_reopened"))
        .then(pl.lit("open"))
        .otherwise(pl.col("state"))
    )


def _reason() -> pl.Expr:
    return (
        pl.when(pl.col("new_state") == "gone")
        .then(pl.lit(ENDED))
        .when(pl.col("is_refused"))
        .then(pl.lit("the lesson is listed as something else than an external test"))
        .when(pl.col("is_reopened"))
        .then(None)
        .otherwise(pl.col("reason"))
    )


def _listed_else_known(name: str) -> pl.Expr:
    known = pl.col(f"{name}_known")
    if name == "skip_enrollment":  # nobody says it any more where it is listed without
        found = pl.when(pl.col("is_listed")).then(pl.col(name)).otherwise(known)
    elif name in TIMES:  # those of an assignment that ended are not those of the next one
        found = (
            pl.when(pl.col("is_reopened")).then(pl.col(name)).otherwise(pl.coalesce(name, known))
        )
    else:
        found = pl.coalesce(name, known)
    return found.alias(f"{name}_now")


def _before(name: str) -> str:
    return f"{name}_known" if name in COLUMNS else name
