"""How districts stand: who uses a source, and what became of their days."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from edpipeline.loading.report import LOADED
from edpipeline.model import Source, Window
from edpipeline.pipeline import Pipeline
from edpipeline.pulling import PULLED
from edpipeline.uses import DailyUse

DONE = frozenset((*LOADED, "awaiting_approval"))
"""Statuses after which a day needs no other delivery."""


@dataclass(frozen=True)
class InUse:
    """A district that uses a source, and how."""

    id: str
    use: DailyUse

    @property
    def window(self) -> Window:
        """When its deliveries are fetched."""
        return self.use.window


def districts_in_use(pipeline: Pipeline, source: Source) -> list[InUse]:
    """The districts for which the source is switched on, in the order of the districts file.

    Raises BadConfiguration, saying what is wrong with the districts file.
    """
    found = [(each.id, each.daily_use(source.name)) for each in pipeline.districts.all]
    return [InUse(name, use) for name, use in found if use is not None and use.enabled]


@dataclass(frozen=True)
class PollDay:
    """What became of tests on a delivery day, by the polls of a source: counts."""

    stale: int
    """Given up for their age."""
    quarantined: int
    refused: int
    """Not external tests; they are left alone."""
    enrollments_failed: int
    enrollments_possible: int
    """The vendor stored results that we asked for, which may have enrolled the student."""


def poll_day(pipeline: Pipeline, source: Source, district_id: str, day: date) -> PollDay:
    """The counts of one district's day; of a day that is over as it was at its end."""
    of_day = "district_id = $district and valid_from = $day"
    with pipeline.warehouse.transaction() as session:
        found = session.rows(
            "select count(*) filter (where state = 'stale'),"
            " count(*) filter (where state = 'quarantined'),"
            " count(*) filter (where state = 'refused'),"
            f" (select count(*) from {source.schema}.results where {of_day} and enrollment_failed),"
            f" (select count(*) from {source.schema}.import_calls where {of_day}"
            " and enrollment = 'possible')"
            f" from {source.schema}.assignments where {of_day}",
            district=district_id,
            day=day,
        )
    return PollDay(*found[0])


@dataclass(frozen=True)
class SurveyDay:
    """What became of the students of a district's roster on a delivery day: counts."""

    asked: int
    """Students of whom the service was asked, on that day or before."""
    forbidden: int
    not_found: int
    not_understood: int
    bad_request: int
    no_ssid: int
    bad_ssid: int
    """Their state id is not of 10 digits."""
    no_configuration: int
    """No credentials are for their school."""


def survey_day(pipeline: Pipeline, source: Source, district_id: str, day: date) -> SurveyDay:
    """The counts of one district's day, of the students whom the roster has now."""
    outcomes = "forbidden", "not_found", "schema_drift", "bad_request"
    skipped = "skipped_no_ssid", "skipped_bad_ssid", "skipped_no_configuration"
    counts = [f"count(*) filter (where outcome = '{name}')" for name in (*outcomes, *skipped)]
    with pipeline.warehouse.transaction() as session:
        if not session.has_table("marts.dim_student"):
            return SurveyDay(*[0] * (1 + len(counts)))
        found = session.rows(
            "select count(*) filter (where outcome not like 'skipped%'),"
            f" {', '.join(counts)} from {source.schema}.requests r"
            " where district_id = $district and valid_from <= $day"
            " and (valid_to is null or valid_to > $day)"
            " and exists (select 1 from marts.dim_student s where s.district_id = r.district_id"
            " and s.student_id = r.student_id and s.is_current)",
            district=district_id,
            day=day,
        )
    return SurveyDay(*found[0])


def districts_asked_of(pipeline: Pipeline, source: Source) -> list[str]:
    """Districts of the districts file of whose students the service was ever asked."""
    if not pipeline.districts.all:
        return []
    with pipeline.warehouse.transaction() as session:
        rows = session.rows(f"select distinct district_id from {source.schema}.current_requests")
    asked = {district_id for (district_id,) in rows}
    return [each.id for each in pipeline.districts.all if each.id in asked]


def statuses(
    pipeline: Pipeline, source: Source, first: date
) -> Mapping[tuple[str, date], frozenset[str]]:
    """Every status that the history has, by district and day, of the days since `first`; of a
    source that is pulled, those of its pulls."""
    # What is handed over for a pulled source says nothing of its pull.
    pulled = f" and (h.drop_id is null or {PULLED.format('h')})" if source.is_pulled else ""
    with pipeline.warehouse.transaction() as session:
        rows = session.rows(
            "select distinct h.district_id, h.delivery_day, h.status from ops.sync_history h"
            f" where h.source = $source and h.delivery_day >= $first{pulled}",
            source=source.name,
            first=first,
        )
    found: dict[tuple[str, date], frozenset[str]] = {}
    for district_id, day, status in rows:
        found[district_id, day] = found.get((district_id, day), frozenset()) | {status}
    return found
