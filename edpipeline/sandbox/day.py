"""A day of the sandbox: the roster arrives, a file is handed over, the vendors are asked, students
are asked about, tests become final, a person says which school is which. All of it runs as it does
in production, in this process.
"""

from collections.abc import Mapping
from contextlib import redirect_stderr
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

import polars as pl

from edpipeline import school_decisions, school_matching, sources, uploading, windows
from edpipeline.errors import Permanent
from edpipeline.landing.stability import LookSettings
from edpipeline.loading.load import Progress
from edpipeline.loading.report import SyncReport, load_reports
from edpipeline.model import Edition
from edpipeline.pipeline import ROSTER, Arrival, silent
from edpipeline.sandbox.evening import DISTRICT, WRITTEN_BEFORE, Running, send
from edpipeline.school_decisions import Counted
from edpipeline.school_matching import Sides
from edpipeline.scratch import scratch_folder
from edpipeline.settings import Settings

if TYPE_CHECKING:
    import dagster as dg

    from edpipeline.sandbox.results import MapExport

PERSON = "Robin Hale"
"""Who decides in the sandbox."""
UPLOADED = "nwea_map"
ROSTER_QUERY = """\
select s.school_name as school,
       case when p.grade in ('KG', '01', '02', '03', '04', '05') then 'K-5'
            when p.grade in ('06', '07', '08') then '6-8' else '9-12' end as grades,
       count(distinct e.user_id) as students,
       count(*) as enrollments
from marts.fct_enrollment e
join marts.dim_school s on s.district_id = e.district_id and s.school_id = e.school_id
join marts.dim_student p on p.district_id = e.district_id and p.student_id = e.user_id
where e.is_current and e.role = 'student'
group by 1, 2
order by 1, 2 desc"""
"""A question that the roster answers."""
TESTS_QUERY = """\
select t.tool_provider as tool, t.lesson_type as test,
       count(*) as attempts,
       count(*) filter (where t.finalized) as final,
       avg(t.score) filter (where t.finalized) as mean_score,
       count(*) filter (where t.enrollment = 'possible') as perhaps_enrolled,
       count(*) filter (where t.enrollment = 'failed') as enrollment_failed
from marts.fct_external_test t
group by 1, 2
order by 1, 2"""
"""A question that external tests answer."""
REPORTS_QUERY = """\
select count(*) as students,
       count(*) filter (where outcome = 'ok') as with_reports,
       coalesce(sum(reports), 0) as reports,
       count(*) filter (where outcome in ('forbidden', 'not_found')) as refused,
       min(ssid) filter (where outcome = 'ok') as first
from score_reports.current_requests
where asked_at is not null"""
RESULTS_QUERY = """\
select s.school_name as school, r.subject,
       count(distinct r.student_id) as students,
       avg(r.percentile) filter (where r.source_system = 'nwea_map') as nwea_map,
       avg(r.percentile) filter (where r.source_system = 'scantron') as scantron,
       avg(r.percentile) filter (where r.source_system = 'star') as star,
       100 * avg(cast(r.is_proficient as integer)) as proficient_in_star
from marts.fct_assessment_result r
join marts.dim_school s on s.district_id = r.district_id and s.school_id = r.school_id
where r.objective_code = 'overall' and r.is_primary and r.subject in ('math', 'reading')
group by 1, 2
order by 1, 2"""
"""A question that the results of all sources answer together: students, mean percentile by source,
and how many of a hundred are proficient."""


def evening_of(sandbox: Running, day: date) -> datetime:
    """Five minutes into the day's window; or now, where that is still to come."""
    use = sandbox.pipeline.district(DISTRICT).oneroster
    assert use is not None
    return min(windows.opens_at(use.window, day) + timedelta(minutes=5), datetime.now(UTC))


def arrive(sandbox: Running, day: date, night: int, broken: float = 0.0) -> Arrival:
    """The district sends its files, two looks find them whole and still, and they land.

    The looks are made one after the other, by a clock that says they are a minute apart.
    """
    at = evening_of(sandbox, day)
    send(sandbox.world, night=night, broken=broken, written_at=at - WRITTEN_BEFORE)
    first = sandbox.pipeline.deliver(DISTRICT, at - timedelta(minutes=1))
    return sandbox.pipeline.deliver(DISTRICT, at, first.look)


@dataclass(frozen=True)
class HandedOver:
    """A file of results that lies in the inbox."""

    export: "MapExport"
    edition: Edition
    place: str
    """Where in the inbox."""


def hand_over(sandbox: Running) -> HandedOver:
    """A person exports the last term's MAP results, and hands the file over."""
    from edpipeline.sandbox.results import write_map_export

    pipeline, now = sandbox.pipeline, datetime.now(UTC)
    source = sources.source(UPLOADED)
    with scratch_folder(pipeline.settings.scratch) as folder:
        population = sandbox.world.population(now)
        export = write_map_export(folder, population, sandbox.today_of(UPLOADED))
        edition = uploading.look_at(pipeline, DISTRICT, source, export.path, {})
        place = uploading.hand_over(pipeline, DISTRICT, source, export.path, {}, PERSON)
    return HandedOver(export, edition, place)


def sync_through_dagster(
    sandbox: Running,
    day: date,
    progress: Progress = silent,
    source: str = ROSTER,
    refill: bool = True,
) -> SyncReport:
    """Load what came of a source for a day, asking its vendor where it is pulled or polled, and
    refill the marts, as runs of Dagster; the report.

    `refill=False` leaves the marts to a later sync. What Dagster logs goes to a file beside its
    instance. Raises Permanent where a run ended without a report.
    """
    progress("starting Dagster")
    from edpipeline.orchestration.runs import sync_in_process

    settings = sandbox.pipeline.settings
    started = datetime.now(UTC).replace(tzinfo=None)
    log = sandbox.world.dagster_home / "evenings.log"
    with log.open("a") as sink, redirect_stderr(sink):
        made, wanted = _definitions(settings), sources.source(source)
        instance = sandbox.dagster
        progress(f"Dagster lands, validates and loads what came of {source}")
        sync_in_process(instance, made, settings, wanted, DISTRICT, day, refill)
    with sandbox.pipeline.warehouse.transaction() as session:
        found = load_reports(
            session,
            "district_id = $district and source = $source and delivery_day = $day"
            " and started_at >= $started and replay_of is null",
            district=DISTRICT,
            source=source,
            day=day,
            started=started,
        )
    if not found:
        raise Permanent(f"the run of {source} for {day} ended without a report; see {log}")
    return found[0]


@cache
def _definitions(settings: Settings) -> "dg.Definitions":
    from edpipeline.definitions import build

    return build(settings, LookSettings(min_seconds=1))


def finish_tests(sandbox: Running) -> int:
    """Students answer what is left of every other test that is not final, and it is graded at its
    tool; how many tests these are."""
    from edpipeline.sandbox.vendors.powerpath_lessons import EDULASTIC, PROVIDERS
    from edpipeline.sandbox.vendors.powerpath_lessons import EXTERNAL_TYPES as TYPES
    from edpipeline.sandbox.vendors.powerpath_pairs import QUESTIONS

    done = [{"id": f"q{n}", "score": 1 if n % 4 else 0.5} for n in range(1, QUESTIONS + 1)]
    edulastic = {"questions": done, "grade": "GRADED"}
    mastery_track = {
        "questions": done,
        "score": 87.5,
        "scoreStatus": "fully graded",
        "masteryTrackProcessed": True,
    }
    begun = [it for it in sandbox.vendors.pairs() if it["attempt"] and not it["finalized"]]
    tests = [it for it in begun if it["provider"] in PROVIDERS and it["lesson_type"] in TYPES][::2]
    for each in tests:
        is_edulastic = each["provider"] == EDULASTIC
        what = {"edulastic": edulastic} if is_edulastic else {"mastery_track": mastery_track}
        sandbox.vendors.vendor(each["student"], each["lesson"], **what)
    return len(tests)


@dataclass(frozen=True)
class Surveyed:
    """What score reports the students have."""

    students: int
    with_reports: int
    reports: int
    refused: int
    """Students who are another district's for the service, or unknown to it."""
    first: str
    """The number of a student who has some."""


def surveyed(sandbox: Running) -> Surveyed:
    """What the service said of the students."""
    return Surveyed(*answer(sandbox, REPORTS_QUERY).row(0))


@dataclass(frozen=True)
class Matched:
    """What a person decided about a vendor's schools."""

    sides: Sides
    """As they were before."""
    decided: Mapping[str, str | None]
    before: Counted
    after: Counted


def accept_suggested_schools(sandbox: Running, source: str, progress: Progress = silent) -> Matched:
    """A person takes what is suggested for the vendor's schools; what has none goes on waiting."""
    pipeline = sandbox.pipeline
    sides = school_decisions.look(pipeline, DISTRICT, source, progress)
    decided = school_matching.decided(sides, (), (), True)
    at = datetime.now(UTC)
    before, after = school_decisions.decide(pipeline, sides, decided, PERSON, at, progress)
    return Matched(sides, decided, before, after)


def answer(sandbox: Running, query: str) -> pl.DataFrame:
    """What a query comes to."""
    with sandbox.pipeline.warehouse.transaction() as session:
        return session.frame(query)
