"""The written lineage is that of the SQL as it is, and says no more than it knows."""

import shutil
from pathlib import Path

import pytest

from edpipeline.warehouse import lineage
from edpipeline.warehouse.lineage import columns_made_of, columns_of_warehouse
from edpipeline.warehouse.marts import marts
from edpipeline_tests.warehouse.loaded import SQL, prepared

REMEDY = "run `python -m edpipeline.warehouse.lineage` and commit sql/lineage.jsonl"
SCHEMA = {
    "roster": {
        "current_users": dict.fromkeys(("district_id", "sourced_id", "grades"), "varchar"),
        "wide": dict.fromkeys((f"c{n}" for n in range(12)), "varchar"),
    }
}


def test_every_mart_has_its_lineage_written_down() -> None:
    found = marts(SQL)
    written = lineage.lineage(found, SQL)
    for mart in found:
        assert list(written.get(mart.full_name, ())) == list(mart.columns), (mart.name, REMEDY)


def test_the_written_lineage_is_what_the_sql_says(tmp_path: Path) -> None:
    schema = columns_of_warehouse(prepared(f"duckdb:///{tmp_path}/w.duckdb", with_marts=True))
    found = {mart.name: mart for mart in marts(SQL)}
    written = lineage.lineage(list(found.values()), SQL)
    for name in ("dim_class", "rpt_sync_health", "fct_external_test_question"):
        made = columns_made_of(found[name].sql, schema)
        told = {column: tuple(origins) for column, origins in made.items()}
        assert written[f"marts.{name}"] == told, REMEDY


def test_a_result_is_traced_to_the_files_of_every_source() -> None:
    told = lineage.lineage(marts(SQL), SQL)["marts.fct_assessment_result"]
    assert {"assessments.nwea_map.test_rit_score", "assessments.star.scaled_score"} <= {
        *told["scale_score"]
    }
    assert "assessments.act_aspire_wide.*" in told["scale_score"]
    assert told["student_id"] == ("marts.bridge_result_student.student_id",)
    assert told["source_system"] == ()


@pytest.mark.parametrize(
    ("select", "origins"),
    [
        ("select u.grades as found from roster.current_users u", ["roster.users.grades"]),
        ("select 'a' as found from roster.current_users u", []),
        (
            "with a as (select coalesce(u.grades, u.sourced_id) as x from roster.current_users u)"
            " select upper(x) as found from a where x is not null",
            ["roster.users.grades", "roster.users.sourced_id"],
        ),
        (
            f"select concat({', '.join(f'w.c{n}' for n in range(12))}) as found from roster.wide w",
            ["roster.wide.*"],
        ),
    ],
)
def test_a_column_is_made_of_those_whose_values_go_into_it(select: str, origins: list[str]) -> None:
    assert columns_made_of(select, SCHEMA) == {"found": origins}


def test_a_mart_that_was_changed_since_has_no_lineage(tmp_path: Path) -> None:
    folder = tmp_path / "sql"
    shutil.copytree(SQL, folder)
    changed = folder / "marts" / "dim_class.sql"
    changed.write_text(changed.read_text() + "\nlimit 1")
    told = lineage.lineage(marts(folder), folder)
    assert "marts.dim_class" not in told
    assert "marts.dim_school" in told
    (folder / lineage.FILE).unlink()
    assert lineage.lineage(marts(folder), folder) == {}
