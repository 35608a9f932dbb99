"""The sandbox's district through a school year, loaded on DuckDB and on PostgreSQL.

The roster of an evening in fall and of one in spring, MAP exports of two terms, a pull from each
vendor, a person's word on which school is which, and polls of external tests and score reports. All
of it is landed and loaded once, on DuckDB; PostgreSQL is rebuilt from the same landing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from edpipeline import approval, pulling, school_decisions, school_matching, sources
from edpipeline.landing import drop as landing
from edpipeline.landing.drop import Arrived
from edpipeline.landing.schools import decide_schools
from edpipeline.landing.schools import school_decisions as school_decisions_of
from edpipeline.loading.schools import mirror_school_matches
from edpipeline.pipeline import ROSTER, Pipeline
from edpipeline.pollers import poller
from edpipeline.sandbox import day, evening
from edpipeline.sandbox.evening import DISTRICT, Running, World
from edpipeline.sandbox.results import write_map_export
from edpipeline.sandbox.roster import Size, write_roster
from edpipeline.warehouse.engine import Warehouse, open_warehouse
from edpipeline.warehouse.marts import marts, refill_district, refilled
from edpipeline_tests.prepared import SCRIPTS, prepare_from_copy

NOW = datetime(2027, 5, 21, 15, tzinfo=UTC)
"""What the vendors' clock shows: the tests of spring are over, and school is not."""
EVENINGS = {date(2026, 9, 15): 0, date(2027, 5, 20): 6}
"""The night of the synthetic district that is delivered on a day."""
EXPORTED = (date(2026, 10, 5), date(2027, 5, 18))
"""Days on which MAP results were exported: of fall, of spring."""
CHANGE = 0.1
ARRIVED = datetime(2026, 9, 1, tzinfo=UTC)
"""Before a person approves it, which is done by the clock of the machine."""
PULLED = tuple(source for source in sources.ALL if source.is_pulled)
POLLED = tuple(source for source in sources.ALL if source.is_polled)
STUDENTS = ("dim_school", "dim_student", "dim_student_identifier")
"""The marts by which loads and polls know students."""
SIZE = Size(students=110, schools=3, guardians=0.5)
"""Some of its grades have fewer than ten students, others more."""


@contextmanager
def lived_through(folder: Path, postgres_url: str) -> Iterator[dict[str, Warehouse]]:
    """Both warehouses, their marts filled; `postgres_url` is an empty database."""
    with pytest.MonkeyPatch.context() as patch:
        vendors = World.vendors
        patch.setattr(World, "vendors", lambda world, _: vendors(world, NOW))
        patch.setattr(evening, "CHANGE", CHANGE)
        patch.setattr(evening, "SECOND_EVENING", max(EVENINGS.values()))
        with evening.running(folder, clean=True, size=SIZE) as sandbox:
            pipeline = sandbox.pipeline
            postgres = _like(pipeline, postgres_url)
            for each in (pipeline, postgres):
                url = each.settings.warehouse.get_secret_value()
                prepare_from_copy(open_warehouse(url), with_marts=True)
            _live(sandbox)
            for source in sources.ALL:
                postgres.sync(DISTRICT, NOW.date(), source=source.name).rebuild()
                if source.name == ROSTER:
                    _refill(postgres.warehouse, *STUDENTS)
            for each in (pipeline, postgres):
                refill_district(each.warehouse, SCRIPTS, DISTRICT)
            _look_at_marts(postgres.warehouse)
            yield {"duckdb": pipeline.warehouse, "postgres": postgres.warehouse}


def _look_at_marts(postgres: Warehouse) -> None:
    """Let PostgreSQL know how many rows there are, as it finds out by itself within a minute."""
    with postgres.transaction() as session:
        for mart in marts(SCRIPTS):
            session.analyze(mart.full_name)


def _like(pipeline: Pipeline, warehouse: str) -> Pipeline:
    """The same installation with another warehouse."""
    return Pipeline(pipeline.settings.model_copy(update={"warehouse": SecretStr(warehouse)}))


def _live(sandbox: Running) -> None:
    pipeline, folder, people = sandbox.pipeline, sandbox.world.folder, sandbox.world.population(NOW)
    for on, night in EVENINGS.items():
        written = write_roster(
            folder / f"roster-{on}",
            people.size,
            night=night,
            change=CHANGE,
            broken=0.01 if night else 0.0,
            school_year=people.school_year,
        )
        _land(pipeline, ROSTER, on, list(written.paths.values()))
        _load_and_approve(pipeline, on)
    _refill(pipeline.warehouse, *STUDENTS)
    for on in EXPORTED:
        export = write_map_export(folder / f"map-{on}", people, on)
        _land(pipeline, day.UPLOADED, on, [export.path])
        pipeline.sync(DISTRICT, on, source=day.UPLOADED).load_day(on)
    for source in PULLED:
        pulling.pull_and_load(pipeline, DISTRICT, source, NOW)
    _refill(pipeline.warehouse, "rpt_school_match")
    for source in PULLED:
        sides = school_decisions.look(pipeline, DISTRICT, source.name)
        decided = school_matching.decided(sides, (), (), True)
        decide_schools(pipeline.store, DISTRICT, source.name, decided, day.PERSON, NOW)
        said = school_decisions_of(pipeline.store, DISTRICT, source.name)
        with pipeline.warehouse.transaction() as session:
            mirror_school_matches(session, DISTRICT, source.name, said)
    for hour, source in enumerate([*POLLED, *POLLED]):
        poll = poller(source).poll_and_load
        poll(pipeline, DISTRICT, source, NOW + timedelta(hours=hour), day.PERSON)
        day.finish_tests(sandbox)


def _refill(warehouse: Warehouse, *names: str) -> None:
    with refilled(warehouse, SCRIPTS, [m for m in marts(SCRIPTS) if m.name in names], DISTRICT):
        pass


def _land(pipeline: Pipeline, source: str, on: date, paths: list[Path]) -> None:
    arrived = [Arrived(path.name, path, ARRIVED) for path in paths]
    landing.land(pipeline.store, DISTRICT, source, on, arrived, ARRIVED, "test")


def _load_and_approve(pipeline: Pipeline, on: date) -> None:
    """Load an evening's roster; what waits for a person is approved and loaded."""
    report = pipeline.sync(DISTRICT, on).load_day(on)
    if report.status in ("awaiting_approval", "removals_held"):
        waiting = approval.find_waiting(pipeline, report.drop_id)
        approval.record(pipeline, waiting, by=day.PERSON, note="looks right")
        report = pipeline.sync(DISTRICT, on).load_day(on)
    assert report.applied, report.message
