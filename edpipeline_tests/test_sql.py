"""Every mart and every claim, on both warehouses, over districts of two dialects."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import polars as pl
import psycopg
import pytest
from polars.testing import assert_frame_equal

from edpipeline.model import Source
from edpipeline.sandbox.roster import ONEROSTER_1_2, POWERSCHOOL
from edpipeline.sources import ALL, source
from edpipeline.warehouse import lineage
from edpipeline.warehouse.claims import Claim, broken_claims, claims, contradictions
from edpipeline.warehouse.engine import Session, Warehouse
from edpipeline.warehouse.marts import Mart, marts, refill_district
from edpipeline.warehouse.narrowing import read_instead
from edpipeline.warehouse.results import UNITED
from edpipeline_tests.held import held_open
from edpipeline_tests.warehouse.loaded import (
    FEW,
    MANY,
    SQL,
    copy_rows,
    load_nights,
    load_poll,
    load_score_reports,
    match_schools,
    prepared,
    upload_results,
)

DISTRICTS = {"demo": POWERSCHOOL, "newer": ONEROSTER_1_2}
"""Dialect of the roster by district."""
MARTS = {mart.name: mart for mart in marts(SQL)}
CLAIMS = {claim.name: claim for claim in claims(SQL)}
ALL_RESULTS = "ops.all_results"
"""What `assessments.results` said once, of every source: to plan that view takes 0.2 s."""


@pytest.fixture(scope="module")
def both(
    postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Warehouse, Warehouse]]:
    """DuckDB and PostgreSQL with the same two nights and results, the marts filled by each."""
    folder = tmp_path_factory.mktemp("sql")
    with psycopg.connect(postgres_url, autocommit=True) as connection, held_open():
        connection.execute("create database sql")
        duck = prepared(f"duckdb:///{folder / 'warehouse.duckdb'}", with_marts=True)
        postgres = prepared(urlsplit(postgres_url)._replace(path="/sql").geturl(), with_marts=True)
        for district, dialect in DISTRICTS.items():
            load_nights(duck, folder, district_id=district, dialect=dialect)
        for district, samples in (("demo", MANY), ("newer", FEW)):
            upload_results(duck, folder, samples, district_id=district)
            load_poll(duck, folder, district_id=district)
            load_score_reports(duck, folder, district_id=district)
            match_schools(duck, district)
        copy_rows(duck, postgres, folder)
        for warehouse in (duck, postgres):
            for district in DISTRICTS:
                refill_district(warehouse, SQL, district)
            with warehouse.transaction() as session:
                session.run(f"create table {ALL_RESULTS} as select * from {UNITED}")
                session.analyze(ALL_RESULTS)
        yield duck, postgres
        connection.execute("drop database sql with (force)")


def rows_of(warehouse: Warehouse, mart: Mart, relation: str) -> pl.DataFrame:
    with warehouse.transaction() as session:
        frame = session.frame(f"select {', '.join(mart.columns)} from {relation}")
    return frame.sort(mart.key)


@pytest.mark.parametrize("name", MARTS)
def test_a_mart_is_the_same_on_both_warehouses(
    both: tuple[Warehouse, Warehouse], name: str
) -> None:
    frames = [rows_of(warehouse, MARTS[name], f"marts.{name}") for warehouse in both]
    assert frames[0].height > 0
    assert_frame_equal(*frames)


@pytest.mark.parametrize("name", MARTS)
def test_a_refilled_mart_is_what_its_select_says_of_every_district(
    both: tuple[Warehouse, Warehouse], name: str
) -> None:
    mart = MARTS[name]
    select = read_instead(mart.sql, {UNITED: ALL_RESULTS}, mart.depends_on, name)
    for warehouse in both:
        assert_frame_equal(
            rows_of(warehouse, mart, mart.full_name),
            rows_of(warehouse, mart, f"({select}) computed"),
        )


def test_a_refill_leaves_other_districts_alone_and_changes_nothing_when_repeated(
    both: tuple[Warehouse, Warehouse],
) -> None:
    for warehouse in both:
        before = {name: rows_of(warehouse, mart, mart.full_name) for name, mart in MARTS.items()}
        with warehouse.transaction() as session:
            for mart in MARTS.values():
                session.run(f"delete from {mart.full_name} where district_id = 'newer'")
            session.run(
                "insert into marts.dim_school (district_id, school_id) values ('newer', 'mine')"
            )
        refill_district(warehouse, SQL, "demo")
        for name, mart in MARTS.items():
            district = pl.col("district_id")
            there = rows_of(warehouse, mart, mart.full_name)
            assert_frame_equal(
                there.filter(district == "demo"), before[name].filter(district == "demo")
            )
            assert before[name].filter(district == "newer").height > 0, name
            assert there.filter(district == "newer").height == int(name == "dim_school")
        refill_district(warehouse, SQL, "newer")
        for name, mart in MARTS.items():
            assert_frame_equal(rows_of(warehouse, mart, mart.full_name), before[name])


def test_every_claim_holds(both: tuple[Warehouse, Warehouse]) -> None:
    for warehouse in both:
        assert broken_claims(warehouse, list(CLAIMS.values())) == {}
        assert broken_claims(warehouse, list(CLAIMS.values()), "demo") == {}


class _Undo(Exception):
    pass


OPEN_ENROLLMENT = (
    "select min(sourced_id) from roster.enrollments where valid_to is null and role = 'student'"
)
COPY_VERSION = (
    "insert into roster.{0} (district_id, sourced_id, status, valid_from, valid_to)"
    " select district_id, sourced_id, status, cast(valid_from - interval '1 day' as date),"
    " cast(valid_from + interval '1 day' as date) from roster.{0}"
    " where sourced_id = (select min(sourced_id) from roster.{0} where valid_to is null)"
)
COPY_ROW = (
    "insert into marts.{0} select * from marts.{0} where {1} = (select min({1}) from marts.{0})"
)
A_SCORED_RESULT = (
    "result_key = (select min(result_key) from marts.fct_assessment_result"
    " where is_primary and objective_code = 'overall' and scale_score is not null)"
)
DOCTORED = {
    "dim_school__has_one_row_per_key": COPY_ROW.format("dim_school", "school_id"),
    "dim_student__has_one_row_per_key": COPY_ROW.format("dim_student", "student_id"),
    "dim_staff__has_one_row_per_key": COPY_ROW.format("dim_staff", "staff_id"),
    "dim_class__has_one_row_per_key": COPY_ROW.format("dim_class", "class_id"),
    "fct_enrollment__has_one_row_per_key": COPY_ROW.format("fct_enrollment", "enrollment_id"),
    "rpt_sync_health__has_one_row_per_key": COPY_ROW.format("rpt_sync_health", "source"),
    "users__hold_one_version_at_a_time": COPY_VERSION.format("users"),
    "classes__hold_one_version_at_a_time": COPY_VERSION.format("classes"),
    "enrollments__hold_one_version_at_a_time": COPY_VERSION.format("enrollments"),
    "enrollments__name_users_that_hold": (
        "update roster.enrollments set user_sourced_id = 'nobody'"
        f" where sourced_id = ({OPEN_ENROLLMENT}) and valid_to is null"
    ),
    "enrollments__name_classes_that_hold": (
        "update roster.enrollments set class_sourced_id = 'nothing'"
        f" where sourced_id = ({OPEN_ENROLLMENT}) and valid_to is null"
    ),
    "sync_files__account_for_every_row": (
        "update ops.sync_files set rows_unchanged = rows_unchanged + 1 where position = 0"
    ),
    "rejected_rows__list_every_rejected_row": (
        "delete from ops.rejected_rows where code = 'bad_role' or line = (select max(line)"
        " from ops.rejected_rows where severity = 'error')"
    ),
    "dim_school__is_named_where_the_roster_names_it": (
        "insert into roster.orgs (district_id, sourced_id, status, type, name, valid_from)"
        " values ('demo', '9999', 'active', 'school', 'Another Name', date '2027-01-01')"
    ),
    "dim_student__has_every_student_of_the_roster": (
        "delete from marts.dim_student where student_id ="
        " (select min(student_id) from marts.dim_student where is_current)"
    ),
    "dim_student__has_sane_days": (
        "update marts.dim_student set last_seen_on = date '2020-01-01' where is_current"
    ),
    "dim_staff__has_sane_days": (
        "update marts.dim_staff set last_seen_on = date '2020-01-01' where is_current"
    ),
    "dim_class__has_every_class_of_the_roster": (
        "update marts.dim_class set is_current = false where is_current"
    ),
    "dim_class__is_in_a_known_school": "delete from marts.dim_school where school_id = '0101'",
    "fct_enrollment__is_in_a_known_class_and_school": (
        "delete from marts.dim_class where class_id ="
        " (select min(class_id) from marts.fct_enrollment)"
    ),
    "fct_enrollment__is_of_a_known_person": (
        "delete from marts.dim_student where student_id ="
        " (select min(user_id) from marts.fct_enrollment where is_current and role = 'student')"
    ),
    "fct_enrollment__has_every_enrollment_of_the_roster": (
        "delete from marts.fct_enrollment where enrollment_id ="
        " (select min(enrollment_id) from marts.fct_enrollment where is_current)"
    ),
    "fct_enrollment__has_sane_flags": (
        "update marts.fct_enrollment set valid_to = valid_from where is_current"
    ),
    "fct_assessment_result__has_one_row_per_key": COPY_ROW.format(
        "fct_assessment_result", "result_key"
    ),
    "fct_assessment_score__has_one_row_per_key": COPY_ROW.format(
        "fct_assessment_score", "result_key"
    ),
    "dim_assessment__has_one_row_per_key": COPY_ROW.format("dim_assessment", "assessment_code"),
    "bridge_result_student__has_one_row_per_key": COPY_ROW.format(
        "bridge_result_student", "match_value"
    ),
    "dim_student_identifier__has_one_row_per_key": COPY_ROW.format(
        "dim_student_identifier", "match_value"
    ),
    "rpt_unmatched_result__has_one_row_per_key": COPY_ROW.format(
        "rpt_unmatched_result", "source_record_id"
    ),
    "rpt_school_match__has_one_row_per_key": COPY_ROW.format(
        "rpt_school_match", "vendor_school_id"
    ),
    "rpt_school_match__says_what_was_decided": (
        "update marts.rpt_school_match set decision = 'matched', waiting_count = 0"
        " where decision = 'school_not_matched'"
    ),
    "rpt_school_match__counts_every_result_of_a_school": (
        "update marts.rpt_school_match set result_count = result_count + 1"
    ),
    "fct_assessment_result__is_of_a_matched_school": (
        "update marts.fct_assessment_result set tested_school_id = 'another'"
        f" where {A_SCORED_RESULT}"
    ),
    "rpt_upload_quality__has_one_row_per_key": COPY_ROW.format("rpt_upload_quality", "drop_id"),
    "results__hold_one_version_at_a_time": (
        "insert into assessments.nwea_map (district_id, result_id, valid_from, valid_to)"
        " select district_id, result_id, cast(valid_from - interval '1 day' as date),"
        " cast(valid_from + interval '1 day' as date) from assessments.nwea_map"
        " where result_id = (select min(result_id) from assessments.nwea_map"
        " where valid_to is null)"
    ),
    "results__are_either_matched_or_unmatched": (
        "delete from marts.rpt_unmatched_result where source_record_id ="
        " (select min(source_record_id) from marts.rpt_unmatched_result)"
    ),
    "fct_assessment_result__has_every_objective_of_a_known_student": (
        "delete from marts.fct_assessment_result where objective_code <> 'overall'"
    ),
    "fct_assessment_result__has_one_primary_result_per_term": (
        f"update marts.fct_assessment_result set is_primary = false where {A_SCORED_RESULT}"
    ),
    "fct_assessment_result__has_scores_only_where_scored": (
        f"update marts.fct_assessment_result set score_status = 'absent' where {A_SCORED_RESULT}"
    ),
    "fct_assessment_result__has_scores_within_bounds": (
        f"update marts.fct_assessment_result set percentile = 100 where {A_SCORED_RESULT}"
    ),
    "fct_assessment_score__has_every_score_of_a_result": (
        "delete from marts.fct_assessment_score where score_name = 'scale_score' and result_key ="
        f" (select result_key from marts.fct_assessment_result where {A_SCORED_RESULT})"
    ),
    "bridge_result_student__has_a_student_or_a_reason": (
        "update marts.bridge_result_student set reject_reason = 'user_not_found'"
        " where student_id is not null"
    ),
    "rpt_upload_quality__adds_up": (
        "update marts.rpt_upload_quality set rows_accepted = rows_accepted + 1"
    ),
    "rpt_upload_quality__counts_every_result_once": (
        "update marts.rpt_upload_quality set result_count = result_count + 1"
    ),
    "dim_assessment__has_every_assessment_of_the_results": (
        "delete from marts.dim_assessment where assessment_code = 'staar_3_8'"
    ),
    "fct_external_test__has_one_row_per_key": COPY_ROW.format("fct_external_test", "lesson_id"),
    "fct_external_test__has_every_attempt": (
        "delete from marts.fct_external_test where score_status = 'exempt'"
    ),
    "fct_external_test__has_one_current_attempt": (
        "update marts.fct_external_test set is_current_attempt = true"
    ),
    "fct_external_test__has_scores_within_bounds": (
        "update marts.fct_external_test set finalized = false where score_status = 'scored'"
    ),
    "fct_external_test__is_a_result_or_unmatched": (
        "delete from marts.fct_assessment_result where source_system = 'powerpath'"
    ),
    "fct_external_test_question__has_one_row_per_key": COPY_ROW.format(
        "fct_external_test_question", "question_id"
    ),
    "fct_external_test_question__has_every_question": (
        "delete from marts.fct_external_test_question where not answered"
    ),
    "rpt_external_test_open__has_one_row_per_key": COPY_ROW.format(
        "rpt_external_test_open", "vendor_student_id"
    ),
    "rpt_external_test_open__lists_every_test_that_is_not_final": (
        "delete from marts.rpt_external_test_open where state = 'final'"
    ),
    "external_tests__hold_one_version_at_a_time": (
        "insert into external_tests.results (district_id, result_id, valid_from, valid_to)"
        " select district_id, result_id, cast(valid_from - interval '1 day' as date),"
        " cast(valid_from + interval '1 day' as date) from external_tests.results"
        " where lesson_id = (select min(lesson_id) from external_tests.results)"
    ),
    "fct_score_report__has_one_row_per_key": COPY_ROW.format("fct_score_report", "ssid"),
    "fct_score_report__has_every_report": (
        "delete from marts.fct_score_report where content_area is not null"
    ),
    "fct_score_report__is_of_who_has_the_ssid": (
        "update marts.fct_score_report set student_id = 'another' where student_id ="
        " (select min(student_id) from marts.fct_score_report)"
    ),
    "rpt_score_report_coverage__has_one_row_per_key": COPY_ROW.format(
        "rpt_score_report_coverage", "school_id"
    ),
    "rpt_score_report_coverage__has_every_school_and_kind": (
        "delete from marts.rpt_score_report_coverage where students_with_report = 0"
    ),
    "rpt_score_report_coverage__has_sane_counts": (
        "update marts.rpt_score_report_coverage set share_of_answered = null"
    ),
    "rpt_score_report_open__has_one_row_per_key": COPY_ROW.format(
        "rpt_score_report_open", "student_id"
    ),
    "rpt_score_report_open__lists_every_student_without_an_answer": (
        "delete from marts.rpt_score_report_open where outcome = 'never_asked'"
    ),
    "score_reports__hold_one_version_at_a_time": (
        "insert into score_reports.catalog (district_id, result_id, valid_from, valid_to)"
        " select district_id, result_id, cast(valid_from - interval '1 day' as date),"
        " cast(valid_from + interval '1 day' as date) from score_reports.catalog"
        " where ssid = (select min(ssid) from score_reports.catalog)"
    ),
    "fct_score_report__comes_of_a_request": (
        "delete from score_reports.requests where outcome = 'ok'"
    ),
    "requests__say_what_was_asked": (
        "update score_reports.requests set answered_at = null where outcome = 'ok'"
    ),
    "rpt_sync_health__has_every_source": (
        "update marts.rpt_sync_health set last_delivery_day = date '2020-01-01'"
    ),
}
"""A statement for each claim that makes it false."""


def test_every_claim_has_its_contradiction() -> None:
    assert set(DOCTORED) == set(CLAIMS)


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_finds_what_contradicts_it(both: tuple[Warehouse, Warehouse], name: str) -> None:
    for warehouse in both:
        in_all, *in_districts, in_another = _found_after(warehouse, DOCTORED[name], CLAIMS[name])
        assert in_all == sum(in_districts) > 0
        assert in_another == 0


def _found_after(warehouse: Warehouse, statement: str, claim: Claim) -> list[int]:
    """Contradictions over all, of each district, and of one that is not there; the statement is
    undone."""
    counts: list[int] = []
    with pytest.raises(_Undo), warehouse.transaction() as session:
        session.run(statement)
        counts += [
            contradictions(session, claim, only, {UNITED: ALL_RESULTS})
            for only in (None, *DISTRICTS, "another")
        ]
        raise _Undo
    return counts


def _personal_by_name() -> dict[str, str]:
    return {
        column.name: column.personal
        for name in ("users", "demographics")
        for column in source("oneroster").table(name).stored_columns
        if column.personal != "none"
    }


@pytest.mark.parametrize("name", MARTS)
def test_columns_taken_over_from_the_roster_keep_their_class_of_personal_data(name: str) -> None:
    mart = MARTS[name]
    rostered = _personal_by_name()
    people = {"dim_student", "dim_staff"}
    for column in mart.columns:
        if name in people and column in rostered:
            assert mart.personal.get(column) == rostered[column], column
        if column in ("student_id", "staff_id", "user_id"):
            assert mart.personal.get(column) == "direct"


def test_a_claim_returns_the_district_first(both: tuple[Warehouse, Warehouse]) -> None:
    def columns(session: Session, claim: Claim) -> list[str]:
        return [row[0] for row in session.rows(f"describe {claim.sql}")]

    with both[0].transaction() as session:
        assert {columns(session, claim)[0] for claim in CLAIMS.values()} == {"district_id"}


@pytest.mark.parametrize("each", ALL, ids=lambda each: each.name)
def test_a_source_with_scores_and_no_other_says_what_they_are(each: Source) -> None:
    has_file = (SQL / "results" / f"{each.name}.sql").exists()
    assert has_file == (each.holds_results and each.has_scores)


def test_the_folder_holds_only_what_is_described() -> None:
    names = {path.name for path in Path(SQL).rglob("*") if path.is_file()} - {lineage.FILE}
    assert all(name.endswith((".sql", ".md")) for name in names)
