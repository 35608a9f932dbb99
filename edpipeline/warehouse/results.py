"""Results of every source in one shape: a view per source, and `assessments.results` over all.

What a vendor's rows mean is said in SQL, one SELECT per source in sql/results, which gives the
columns below in their order. The views hold nothing; the marts read them.
"""

from collections.abc import Sequence
from pathlib import Path

from edpipeline.model import Source
from edpipeline.warehouse.engine import Session
from edpipeline.warehouse.narrowing import narrowed, tables_read

SCHEMA = "assessments"
UNITED = f"{SCHEMA}.results"

TEXT, NUMBER, COUNT, FLAG, DAY, TIME = (
    "varchar",
    "double precision",
    "integer",
    "boolean",
    "date",
    "timestamp",
)
COLUMNS = {
    **dict.fromkeys(
        (
            *("district_id", "source_system", "edition", "source_record_id"),
            *("source_record_id_kind", "match_field", "match_value", "tested_school_code"),
            *("tested_school_name", "vendor_school_id", "assessment_code", "assessment_name"),
            *("subject", "course", "objective_code", "objective_name", "objective_level"),
        ),
        TEXT,
    ),
    "school_year": COUNT,
    **dict.fromkeys(("term", "term_source", "admin_code"), TEXT),
    "test_date": DAY,
    "completed_at": TIME,
    **dict.fromkeys(("grade_tested", "language", "mode"), TEXT),
    "attempt_no": COUNT,
    "is_retest": FLAG,
    "is_primary": FLAG,
    **dict.fromkeys(("primary_rule", "score_status", "status_code"), TEXT),
    **dict.fromkeys(
        (
            *("scale_score", "scale_score_sem", "scale_score_low", "scale_score_high"),
            *("raw_score", "points_possible", "percent_correct", "percentile"),
        ),
        NUMBER,
    ),
    "percentile_norm_year": TEXT,
    "nce": NUMBER,
    "grade_equivalent": NUMBER,
    "grade_equivalent_text": TEXT,
    "lexile_text": TEXT,
    "lexile_num": NUMBER,
    "quantile_text": TEXT,
    "quantile_num": NUMBER,
    "growth_from_term": TEXT,
    "growth_observed": NUMBER,
    "growth_projected": NUMBER,
    "growth_met": FLAG,
    "growth_percentile": NUMBER,
    "growth_index": NUMBER,
    "performance_level": TEXT,
    "performance_level_no": COUNT,
    "performance_level_of": COUNT,
    "level_source": TEXT,
    "is_proficient": FLAG,
    "other_scores": TEXT,
    "is_deleted": FLAG,
    "deleted_on": DAY,
    "delivered_on": DAY,
    "drop_id": TEXT,
    "line": "bigint",
}
"""Type by column; sql/marts/fct_assessment_result.sql says what each of them means."""

OF_DISTRICT = "results_of_district"
"""Temporary table: the rows of `UNITED` of the district whose marts are being filled."""


def make_of_district(session: Session) -> None:
    """Make the temporary table `OF_DISTRICT`, if it is not there."""
    typed = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    session.run(f"create temp table if not exists {OF_DISTRICT} ({typed})")


def gather(session: Session, sql_folder: Path, district_id: str) -> None:
    """Compute a district's results once for all marts that read them.

    Only the SELECTs of sources of which the district has rows are planned at all: they are long,
    and most districts have few of them.
    """
    columns = ", ".join(COLUMNS)
    make_of_district(session)
    session.run(f"delete from {OF_DISTRICT}")
    made = {
        f"{schema}.{name}"
        for schema, name in session.rows(
            "select table_schema, table_name from information_schema.tables"
            " where table_schema not in ('information_schema', 'pg_catalog')"
        )
    }
    for path in sorted((sql_folder / "results").glob("*.sql")):
        select = _without_comments(path.read_text("utf-8"))
        tables = tables_read(select, path.name)
        if not made.issuperset(tables) or not any(
            session.rows(
                f"select 1 from {table} where district_id = $district limit 1",
                district=district_id,
            )
            for table in tables
        ):
            continue
        session.run(
            f"insert into {OF_DISTRICT} ({columns})"
            f" select {columns} from ({narrowed(select, tables, path.name)}) computed",
            district=district_id,
        )
    session.analyze(OF_DISTRICT)


def _without_comments(sql: str) -> str:
    lines = [line for line in sql.splitlines() if not line.lstrip().startswith("--")]
    return "\n".join(lines).strip().rstrip(";")


def view_name(source: str) -> str:
    """The view with one source's results."""
    return f"{SCHEMA}.{source}_results"


def statements(sources: Sequence[Source], sql_folder: Path) -> list[str]:
    """What makes the views of these sources, in place of those that are there."""
    names = {source.name for source in sources}
    files = [path for path in sorted((sql_folder / "results").glob("*.sql")) if path.stem in names]
    empty = ", ".join(f"cast(null as {kind}) as {name}" for name, kind in COLUMNS.items())
    cast = ", ".join(f"cast({name} as {kind}) as {name}" for name, kind in COLUMNS.items())
    parts = [f"select {empty} where false"]
    made = [f"drop view if exists {UNITED}"]
    for path in files:
        view = view_name(path.stem)
        text = path.read_text("utf-8").strip().rstrip(";")
        made += [f"drop view if exists {view}", f"create view {view} as {text}"]
        made.append(f"comment on view {view} is 'Results of {path.stem} in the common shape.'")
        parts.append(f"select {cast} from {view} r")
    united = " union all ".join(parts)
    made.append(f"create view {UNITED} as {united}")
    made.append(f"comment on view {UNITED} is 'Results of every source in one shape.'")
    return made
