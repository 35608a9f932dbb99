"""Schools of vendors and of the roster as they are now, and a person's decision about them:
recorded in landing, mirrored into ops.school_matches, applied by filling the marts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from edpipeline import sources
from edpipeline.errors import NotFound
from edpipeline.landing.schools import SchoolDecision, decide_schools, school_decisions
from edpipeline.loading.load import Progress
from edpipeline.loading.schools import mirror_school_matches
from edpipeline.pipeline import Pipeline, silent
from edpipeline.school_matching import (
    MATCHED,
    NO_MATCHING,
    NOT_MATCHED,
    RosterSchool,
    Sides,
    VendorSchool,
)
from edpipeline.warehouse.engine import Session
from edpipeline.warehouse.marts import marts, require_made


@dataclass(frozen=True)
class Counted:
    """Results of a source, by what holds them up; tests, without counting their parts."""

    counting: int
    """In marts.fct_assessment_result."""
    waiting: int
    """Whose school is not matched."""
    waiting_schools: int
    schoolless: int
    """Whose school has no matching one."""
    studentless: int
    """Whose school is matched, and whose student was not found."""


def look(pipeline: Pipeline, district_id: str, source: str, progress: Progress = silent) -> Sides:
    """Both sides as they are now. The marts are filled where they never were.

    Raises NotFound for a district or source that is not known, or names no school yet, and for a
    district without a roster.
    """
    pipeline.district(district_id)
    known = [each.name for each in sources.ALL if each.is_pulled]
    if source not in known:
        raise NotFound(
            f"schools are matched for: {', '.join(known) or 'no source'}; not {source!r}"
        )
    if not _are_marts_made(pipeline):
        pipeline.refill(district_id, progress)
    decisions = school_decisions(pipeline.store, district_id, source)
    with pipeline.warehouse.transaction() as session:
        place = {"district": district_id, "source": source}
        listed = session.rows(_VENDOR_SCHOOLS, **place)
        rostered = session.rows(_ROSTER_SCHOOLS, **place)
    if not listed:
        raise NotFound(f"nothing of {source} has named a school of {district_id} yet")
    if not rostered:
        raise NotFound(
            f"the roster of {district_id} has no school yet: sync it first, by"
            f" `edpipeline sync --district {district_id}`"
        )
    roster = {row[0]: RosterSchool(row[0], row[1] or "", row[2] or "", row[3]) for row in rostered}
    vendor = {row[0]: _vendor_school(row, decisions.get(row[0]), roster) for row in listed}
    return Sides(district_id, source, vendor, roster)


_VENDOR_SCHOOLS = """
    select
        coalesce(v.vendor_school_id, t.vendor_school_id),
        coalesce(v.vendor_school_name, t.vendor_school_name),
        v.state_id, coalesce(v.identifier, t.vendor_school_code), v.sourced_id,
        coalesce(t.result_count, 0)
    from (
        select * from ops.vendor_schools where district_id = $district and source = $source
    ) v
    full join (
        select * from marts.rpt_school_match where district_id = $district and source = $source
    ) t on t.vendor_school_id = v.vendor_school_id
    order by 2, 1
"""
_ROSTER_SCHOOLS = """
    select school_id, school_name, school_number, is_current
    from marts.dim_school where district_id = $district order by 2, 1
"""


def _vendor_school(
    row: tuple[Any, ...], decision: SchoolDecision | None, roster: Mapping[str, RosterSchool]
) -> VendorSchool:
    said, school_id = NOT_MATCHED, None
    if decision is not None and decision.school_id is None:
        said = NO_MATCHING
    elif decision is not None and decision.school_id in roster:
        said, school_id = MATCHED, decision.school_id
    name, state_id, identifier, sourced_id = (text or "" for text in row[1:5])
    ids = {"state_id": state_id, "identifier": identifier, "sourced_id": sourced_id}
    return VendorSchool(
        row[0], name, **ids, decision=said, school_id=school_id, result_count=row[5]
    )


def _are_marts_made(pipeline: Pipeline) -> bool:
    found = marts(pipeline.settings.sql)
    with pipeline.warehouse.transaction() as session:
        try:
            require_made(session, found)
        except NotFound:
            return False
    return True


def decide(
    pipeline: Pipeline,
    sides: Sides,
    schools: Mapping[str, str | None],
    by: str,
    at: datetime,
    progress: Progress = silent,
) -> tuple[Counted, Counted]:
    """Write down what a person said, and refill the marts; the source's results before and after.

    What holds already is not written down again.
    """
    place = (sides.district_id, sides.source)
    decisions = school_decisions(pipeline.store, *place)
    new = {
        vendor_school_id: school_id
        for vendor_school_id, school_id in schools.items()
        if vendor_school_id not in decisions or decisions[vendor_school_id].school_id != school_id
    }
    if new:
        decide_schools(pipeline.store, *place, new, by, at)
    with pipeline.warehouse.transaction() as session:
        session.lock_district(sides.district_id)
        mirror_school_matches(session, *place, school_decisions(pipeline.store, *place))
        before = _counted(session, *place)
    pipeline.refill(sides.district_id, progress)
    with pipeline.warehouse.transaction() as session:
        return before, _counted(session, *place)


def _counted(session: Session, district_id: str, source: str) -> Counted:
    place = {"district": district_id, "source": source}
    counting = session.value(
        "select count(*) from marts.fct_assessment_result where district_id = $district"
        " and source_system = $source and objective_code = 'overall'",
        **place,
    )
    [held_up] = session.rows(
        "select count(*) filter (where reject_reason = 'school_not_matched'),"
        " count(distinct case when reject_reason = 'school_not_matched' then vendor_school_id end),"
        " count(*) filter (where reject_reason = 'no_matching_school'), count(*)"
        " from marts.rpt_unmatched_result"
        " where district_id = $district and source_system = $source",
        **place,
    )
    waiting, schools, schoolless, all_of_them = held_up
    return Counted(counting, waiting, schools, schoolless, all_of_them - waiting - schoolless)
