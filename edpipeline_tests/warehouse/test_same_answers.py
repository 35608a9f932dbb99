"""DuckDB and PostgreSQL load and say the same, of the whole sandbox: every mart and every cookbook
question.

What differs by the clock of the machine, as the two are not loaded at one instant, is left out by
name.
"""

import re
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit
from uuid import uuid4

import polars as pl
import polars.selectors as cs
import psycopg
import pytest
from polars.testing import assert_frame_equal
from psycopg.sql import SQL, Identifier

from edpipeline.cookbook import questions
from edpipeline.warehouse.claims import broken_claims, claims
from edpipeline.warehouse.engine import Warehouse
from edpipeline.warehouse.marts import Mart, marts
from edpipeline_tests.held import held_open
from edpipeline_tests.prepared import SCRIPTS
from edpipeline_tests.school_year import lived_through

MARTS = {mart.name: mart for mart in marts(SCRIPTS)}
QUESTIONS = {question.name: question for question in questions(SCRIPTS)}
BY_THE_CLOCK = {"rpt_sync_health": ["last_sync_at"], "rpt_upload_quality": ["completed_at"]}
NAME_NOBODY = (
    "enrollment_mobility",
    "growth_fall_to_spring",
    "match_rate_by_upload",
    "proficiency_by_school",
    "score_report_coverage",
)
SAME_TYPES = {
    "character varying": "varchar",
    "text": "varchar",
    "double precision": "double",
    "timestamp without time zone": "timestamp",
}
"""DuckDB's word for a type of PostgreSQL, where it has another one."""

Warehouses = dict[str, Warehouse]


@pytest.fixture(scope="module")
def both(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouses]:
    folder, name = tmp_path_factory.mktemp("year") / "sandbox", f"school_year_{uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(SQL("create database {}").format(Identifier(name)))
        url = urlsplit(postgres_url)._replace(path=f"/{name}").geturl()
        with held_open(), lived_through(folder, url) as found:
            yield found
        connection.execute(SQL("drop database {} with (force)").format(Identifier(name)))


def answers(both: Warehouses, sql: str, without: Sequence[str] = ()) -> list[pl.DataFrame]:
    """What each says, in an order that no database has a say in; of numeric, the value alone."""
    found = []
    for warehouse in both.values():
        with warehouse.transaction() as session:
            frame = session.frame(sql).drop(without)
        found.append(frame.with_columns(cs.decimal().cast(pl.Float64)).sort(pl.all()))
    return found


@pytest.mark.parametrize("name", MARTS)
def test_a_mart_has_the_same_rows_in_both(both: Warehouses, name: str) -> None:
    duckdb, postgres = answers(both, f"select * from marts.{name}", BY_THE_CLOCK.get(name, []))
    assert not duckdb.is_empty()
    assert_frame_equal(duckdb, postgres, check_exact=True)


@pytest.mark.parametrize("mart", MARTS.values(), ids=lambda mart: mart.name)
def test_the_columns_of_a_mart_have_the_same_types_in_both(both: Warehouses, mart: Mart) -> None:
    kinds = []
    for warehouse in both.values():
        with warehouse.transaction() as session:
            columns = session.rows(
                "select column_name, lower(data_type) from information_schema.columns"
                " where table_schema = 'marts' and table_name = $mart order by ordinal_position",
                mart=mart.name,
            )
        kinds.append({name: SAME_TYPES.get(kind, kind) for name, kind in columns})
    assert kinds[0] == kinds[1]


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_of_the_cookbook_has_the_same_answer_in_both(
    both: Warehouses, name: str
) -> None:
    duckdb, postgres = answers(both, QUESTIONS[name].sql)
    assert not duckdb.is_empty()
    assert_frame_equal(duckdb, postgres, check_exact=True)
    assert PLAUSIBLE[name](duckdb), duckdb


@pytest.mark.parametrize("name", NAME_NOBODY)
def test_a_question_that_names_nobody_is_answered_by_the_deidentified_views(
    both: Warehouses, name: str
) -> None:
    asked = QUESTIONS[name].sql
    deidentified = re.sub(r"\b(student|user)_id\b", r"\1_key", asked.replace("marts.", "analyst."))
    assert deidentified != asked
    for frames in zip(answers(both, asked), answers(both, deidentified), strict=True):
        assert_frame_equal(*frames, check_exact=True)


def test_every_claim_holds_of_what_postgresql_has_loaded(both: Warehouses) -> None:
    assert broken_claims(both["postgres"], claims(SCRIPTS)) == {}


def _all(frame: pl.DataFrame, *claims: pl.Expr) -> bool:
    return bool(frame.select(pl.all_horizontal(*claims).fill_null(True).all()).item())


PLAUSIBLE = {
    "growth_fall_to_spring": lambda frame: (
        _all(
            frame,
            pl.col("students") <= 100,
            (pl.col("mean_last") - pl.col("mean_first") - pl.col("mean_growth")).abs() < 0.11,
            pl.col("mean_growth") > 0,
            pl.col("met_percent").is_between(0, 100),
        )
        and set(frame["subject"]) == {"math", "reading"}
        and frame["met_percent"].is_not_null().any()
    ),
    "below_benchmark_in_two_sources": lambda frame: (
        _all(
            frame,
            pl.col("below_in").str.split(", ").list.n_unique() >= 2,
            pl.col("below_in").str.split(", ").list.len() <= pl.col("tested_in"),
        )
        and frame["student_id"].is_unique().all()
        and 3 < frame.height < 60
    ),
    "untested_students": lambda frame: (
        _all(frame, pl.col("grade").is_between(pl.lit("03"), pl.lit("08")))
        and frame["student_id"].is_unique().all()
        and frame.height < 30
    ),
    "roster_on_a_day": lambda frame: (
        _all(frame, pl.col("teachers").is_not_null(), pl.col("class_title").is_not_null())
        and 30 < frame["student_id"].n_unique() < 60
    ),
    "enrollment_mobility": lambda frame: (
        _all(
            frame,
            pl.col("students_first_day") == pl.col("stayed") + pl.col("left_school"),
            pl.col("students_last_day") == pl.col("stayed") + pl.col("came"),
            pl.col("came_from_district") <= pl.col("came"),
            pl.col("left_for_district") <= pl.col("left_school"),
        )
        and frame.height == 3
        and frame["came"].sum() > 0
        and frame["left_school"].sum() > 0
    ),
    "match_rate_by_upload": lambda frame: (
        _all(frame, pl.col("matched_percent").is_between(95, 100))
        and set(frame["source"]) == {"nwea_map", "scantron", "star"}
    ),
    "rejected_rows_by_code": lambda frame: (
        _all(frame, pl.col("row_count") > 0, pl.col("first_line") > 1)
        and {"bad_code", "out_of_range"} <= set(frame["code"])
    ),
    "student_history": lambda frame: (
        {"nwea_map", "star", "scantron"} <= set(frame["source_system"])
        and frame["result_key"].is_unique().all()
    ),
    "proficiency_by_school": lambda frame: (
        _all(
            frame,
            pl.col("students").is_null() == pl.col("is_hidden"),
            pl.col("proficient_percent").is_null() == pl.col("is_hidden"),
            pl.col("students") >= 10,
            pl.col("proficient_percent").is_between(0, 100),
        )
        and set(frame["is_hidden"]) == {True, False}
    ),
    "class_averages": lambda frame: _all(
        frame,
        pl.col("teachers").is_not_null(),
        pl.col("tested").is_between(5, pl.col("students")),
        pl.col("median_percentile").is_between(1, 99),
    ),
    "score_report_coverage": lambda frame: _all(
        frame,
        pl.col("students_with_report") <= pl.col("students"),
        pl.col("with_report_percent").is_between(0, 100),
    ),
}
"""What must hold of each answer, whatever the synthetic numbers are."""
