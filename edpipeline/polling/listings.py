"""The pairs of student and lesson that there are, from everywhere that the district names.

Frames have one row a pair, and text, times in UTC and one boolean: see `COLUMNS`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from edpipeline.landing.http import Client
from edpipeline.landing.pull import pull
from edpipeline.loading.load import Progress
from edpipeline.polling.watch_list import read_watch_list
from edpipeline.reading.json_lines import as_delimited
from edpipeline.sources.powerpath.decisions import AHEAD, GONE
from edpipeline.uses_of_polls import PowerPathUse

PAIR = ("student_id", "lesson_id")
TIMES = ("assigned_at", "expires_at")
COLUMNS: Mapping[str, pl.DataType] = {
    **dict.fromkeys(("student_id", "lesson_id", "origins"), pl.String()),
    **dict.fromkeys(("test_assignment_id", "assignment_status"), pl.String()),
    **dict.fromkeys(("test_name", "subject", "grade"), pl.String()),
    **dict.fromkeys(("lesson_type", "tool_provider"), pl.String()),
    **dict.fromkeys(TIMES, pl.Datetime("us")),
    "skip_enrollment": pl.Boolean(),
}
OTHER_LESSONS = ("powerpath-100", "quiz", "alpha-read-article")
"""Types that are known to be no external tests: a gradebook is full of them."""
REMOVED = "tobedeleted"


@dataclass(frozen=True)
class Listed:
    """The pairs, and what was left out of them; counts and names of columns only."""

    pairs: pl.DataFrame
    problems: tuple[str, ...] = ()
    unknown: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By listing: fields that came, are not allowed and were dropped, with their JSON type."""


def list_pairs(client: Client, use: PowerPathUse, folder: Path, progress: Progress) -> Listed:
    """Ask everywhere. Raises what `pull` and `read_watch_list` raise: half a list is no list."""
    pulls = _Pulls(client, folder, progress)
    found, problems = [], []
    if "test_assignments" in use.pairs_from:
        assigned, problem = _test_assignments(pulls)
        found.append(assigned)
        problems += problem
    if "gradebook" in use.pairs_from:
        found.append(_gradebook(pulls))
    if use.watch_list is not None:
        watched = read_watch_list(use.watch_list)
        found.append(_complete(watched.pairs, "watch_list"))
        problems += watched.problems
    return Listed(_together(found), tuple(problems), pulls.unknown)


class _Pulls:
    """Listings as frames of text."""

    def __init__(self, client: Client, folder: Path, progress: Progress) -> None:
        self.client, self.folder, self.progress = client, folder, progress
        self.unknown: dict[str, Mapping[str, str]] = {}

    def frame(self, listing: str) -> pl.DataFrame:
        """Every record of a listing; a column for each landed name, null for what is blank."""
        self.progress(f"listing {listing.replace('_', ' ')}")
        pulled = pull(self.client, listing, {}, self.folder)
        if pulled.unknown:
            self.unknown[listing] = pulled.unknown
        names = dict.fromkeys(self.client.spec.listings[listing].fields.values())
        if not pulled.records[listing]:
            return pl.DataFrame(schema=dict.fromkeys(names, pl.String))
        table = self.folder / f"{listing}.csv"
        as_delimited(pulled.files[listing], listing, table)
        frame = pl.read_csv(table, infer_schema=False)
        return frame.select(
            (_unpadded(name) if name in frame.columns else _null(name)) for name in names
        )


def _unpadded(name: str) -> pl.Expr:
    """Text as a table holds it, by which a pair that is listed is found among those known."""
    return pl.col(name).str.strip_chars().replace("", None)


def _null(name: str) -> pl.Expr:
    return pl.lit(None, pl.String).alias(name)


def _test_assignments(pulls: _Pulls) -> tuple[pl.DataFrame, list[str]]:
    """One row a pair: of several assignments the one that is ahead, else the latest."""
    frame = pulls.frame("test_assignments")
    usable = frame.filter(pl.all_horizontal(pl.col(name).is_not_null() for name in PAIR))
    lost = frame.height - usable.height
    problems = [f"{lost} test assignments name no student, or no lesson"] if lost else []
    rank = (
        pl.when(pl.col("assignment_status").is_in(AHEAD))
        .then(2)
        .when(pl.col("assignment_status").is_in(GONE))
        .then(0)
        .otherwise(1)
    )
    chosen = (
        usable.with_columns(*(_instant(name) for name in TIMES), rank=rank)
        .sort("rank", "assigned_at", "test_assignment_id", nulls_last=False)
        .unique(PAIR, keep="last", maintain_order=True)
    )
    return _complete(chosen, "test_assignments"), problems


def _gradebook(pulls: _Pulls) -> pl.DataFrame:
    """Students with a result of a test, of lessons that may be external tests."""
    lessons = _present(pulls.frame("lessons"))
    resources = pulls.frame("resources").rename(lambda name: f"resource_{name}")
    resources = resources.rename({"resource_resource_id": "resource_id"})
    tests = lessons.join(
        resources.unique("resource_id"), on="resource_id", how="left"
    ).with_columns(
        lesson_type=pl.coalesce("lesson_type", "metadata_lesson_type", "resource_lesson_type"),
        tool_provider=pl.col("resource_tool_provider"),
        subject=pl.col("resource_subject"),
        grade=pl.col("resource_grade").str.replace_all(r'[\[\]"]', ""),
        test_name=pl.coalesce("test_name", "resource_test_name"),
    )
    tests = tests.filter(
        pl.col("lesson_type").is_not_null() & ~pl.col("lesson_type").is_in(OTHER_LESSONS)
    )
    items = pulls.frame("line_items").filter(pl.col("parent_line_item_id").is_null())
    results = _present(pulls.frame("results"))
    pairs = (
        results.join(items.select("line_item_id", "lesson_id"), on="line_item_id", how="inner")
        .filter(pl.all_horizontal(pl.col(name).is_not_null() for name in PAIR))
        .unique(PAIR, maintain_order=True)
        .join(tests.drop("status").unique("lesson_id"), on="lesson_id", how="inner")
    )
    return _complete(pairs, "gradebook")


def _present(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.filter(pl.col("status").fill_null("") != REMOVED)


def _complete(frame: pl.DataFrame, origin: str) -> pl.DataFrame:
    """The frame with every column, in the order of `COLUMNS`."""
    return frame.with_columns(origins=pl.lit(origin)).select(
        (pl.col(name) if name in frame.columns or name == "origins" else pl.lit(None))
        .cast(kind)
        .alias(name)
        for name, kind in COLUMNS.items()
    )


def _together(found: list[pl.DataFrame]) -> pl.DataFrame:
    """One row a pair: of each column the first value that one of the places has."""
    described = [name for name in COLUMNS if name not in (*PAIR, "origins")]
    return (
        pl.concat(found)
        .group_by(PAIR, maintain_order=True)
        .agg(
            pl.col("origins").str.join("|"),
            *(pl.col(name).drop_nulls().first() for name in described),
        )
        .select(*COLUMNS)
    )


def _instant(name: str) -> pl.Expr:
    """A time in UTC; null where it is written in a way that we do not know."""
    text = pl.col(name)
    return pl.coalesce(
        text.str.to_datetime(
            "%+", time_unit="us", time_zone="UTC", strict=False
        ).dt.replace_time_zone(None),
        *(
            text.str.to_datetime(written, time_unit="us", strict=False)
            for written in ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d")
        ),
    ).alias(name)
