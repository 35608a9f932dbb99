"""Polls in Dagster: asked for when something is due, shown as one, tried again or left alone."""

import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from edpipeline import sources
from edpipeline.errors import BadConfiguration
from edpipeline.orchestration import steps
from edpipeline.orchestration.partitions import DISTRICTS, partition_key
from edpipeline.orchestration.runs import poll_pool
from edpipeline.orchestration.steps import FAILURE_TAG
from edpipeline.pipeline import Pipeline
from edpipeline.sandbox.vendors import Vendors
from edpipeline.warehouse.engine import open_warehouse
from edpipeline_tests.orchestration.installation import (
    checks,
    definitions,
    failure,
    materializations,
)
from edpipeline_tests.orchestration.polled import POWERPATH, Polled, polled
from edpipeline_tests.orchestration.ticking import instance, nothing_ran_before, on_disk, tick_of
from edpipeline_tests.pulls.canaries import assert_none, texts
from edpipeline_tests.pulls.installation import DISTRICT, served

__all__ = ["instance", "nothing_ran_before", "on_disk"]  # fixtures

HOUR = timedelta(hours=1)
IN_ONE_CHUNK = {"pace": {"per_second": 5000, "pairs_at_once": 100}}
TABLES = {"external_tests/assignments", "external_tests/results", "external_tests/question_results"}


@pytest.fixture(scope="module")
def vendors() -> Iterator[Vendors]:
    with served() as running:
        yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all, so that their settings, and with them what Dagster loads, are the same."""
    return tmp_path_factory.mktemp("polled")


@pytest.fixture
def at_work(vendors: Vendors, folder: Path) -> Iterator[Polled]:
    with polled(folder, vendors) as made:
        yield made


def tick(
    at_work: Polled, instance: dg.DagsterInstance, after: timedelta = timedelta()
) -> list[dg.RunRequest]:
    return tick_of(POWERPATH, at_work.pipeline, instance, after)


def run(
    at_work: Polled, instance: dg.DagsterInstance, key: Any, by_schedule: bool = True
) -> dg.ExecuteInProcessResult:
    instance.add_dynamic_partitions(str(DISTRICTS.name), [DISTRICT])
    job = definitions(at_work.pipeline.settings).resolve_job_def("powerpath_sync")
    tags = {"dagster/schedule_name": "powerpath_polls"} if by_schedule else {}
    return job.execute_in_process(
        instance=instance, partition_key=str(key), tags=tags, raise_on_error=False
    )


def numbers(event: dg.AssetMaterialization | dg.AssetObservation) -> dict[str, Any]:
    return {name: value.value for name, value in event.metadata.items()}


def tag_of(instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult) -> str | None:
    found = instance.get_run_by_id(result.run_id)
    return found.tags.get(FAILURE_TAG) if found else None


def test_what_is_due_is_asked_for_once_and_shown_as_one_and_then_nothing_is_due(
    at_work: Polled, instance: dg.DagsterInstance
) -> None:
    [request] = tick(at_work, instance)
    assert str(request.partition_key).endswith(f"|{DISTRICT}")
    assert request.tags["edpipeline/polls"] == POWERPATH.name
    assert "edpipeline/loads" not in request.tags, "a roster of the district need not wait"
    assert {p.name: p.limit for p in instance.event_log_storage.get_pool_limits()} == {
        "warehouse": 1,
        **{poll_pool(source): 1 for source in sources.ALL if source.is_polled},
    }
    done = run(at_work, instance, request.partition_key)
    assert done.success, failure(done)
    events = [e for e in done.all_events if e.is_step_materialization]
    assert {"landing/powerpath"} | TABLES <= set(materializations(done))
    assert len(events) == len(materializations(done)), "one event a table, whatever the chunks"
    told = numbers(materializations(done)["landing/powerpath"])
    deliveries = at_work.rows("select count(*) from ops.sync_history where status like 'loaded%'")
    assert told["deliveries"] == deliveries[0][0] > 1
    [(pairs,)] = at_work.rows("select count(*) from external_tests.current_assignments")
    assert told["polled"] == pairs > 40
    assert told["became final"] > 0
    assert told["imports"] == 0
    rows = numbers(materializations(done)["external_tests/assignments"])
    assert rows["dagster/row_count"] == rows["read"] == pairs
    assert checks(done)["external_tests/assignments/rows_reconcile"].passed
    assert checks(done)["landing/powerpath/polls_usable"].passed
    assert tick(at_work, instance) == []
    [again] = tick(at_work, instance, HOUR)
    assert again.run_key != request.run_key
    assert_nothing_is_due(run(at_work, instance, request.partition_key))


def assert_nothing_is_due(done: dg.ExecuteInProcessResult) -> None:
    """A poll that brings nothing is seen, and refills no mart."""
    assert done.success, failure(done)
    assert materializations(done) == {}
    [seen] = [e.asset_observation_data for e in done.all_events if e.is_asset_observation]
    assert numbers(seen.asset_observation)["polled"] == 0


def test_what_a_person_should_look_at_warns_with_counts(
    at_work: Polled, instance: dg.DagsterInstance
) -> None:
    allowed = at_work.use(allow_side_effects=True, **IN_ONE_CHUNK)
    [request] = tick(allowed, instance)
    done = run(allowed, instance, request.partition_key)
    assert done.success, failure(done)
    found = checks(done)
    enrollments = found["landing/powerpath/no_failed_enrollments"]
    told = {name: value.value for name, value in enrollments.metadata.items()}
    state = at_work.vendors.state()["powerpath"]
    assert state["enrollments"]
    assert state["enrollments_failed"]
    assert told["failed"] == state["enrollments_failed"]
    assert told["possible"] >= len(state["enrollments"])
    assert (enrollments.passed, enrollments.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert found["landing/powerpath/nothing_stale"].passed
    understood = found["landing/powerpath/answers_understood"]
    assert not understood.passed
    assert understood.metadata["quarantined"].value == 2
    by = at_work.rows("select distinct called_by from external_tests.import_calls")
    assert by == [("schedule",)]


def now() -> datetime:
    return datetime.now(UTC)


def test_a_run_that_has_not_ended_is_waited_for_also_over_midnight(
    at_work: Polled, instance: dg.DagsterInstance
) -> None:
    today = at_work.pipeline.delivery_day(DISTRICT, now(), POWERPATH.name)
    yesterday = partition_key(DISTRICT, today - timedelta(days=1))
    instance.add_dynamic_partitions(str(DISTRICTS.name), [DISTRICT])
    running = instance.create_run_for_job(
        definitions(at_work.pipeline.settings).resolve_job_def("powerpath_sync"),
        tags={"dagster/partition": str(yesterday)},
        status=dg.DagsterRunStatus.STARTED,
    )
    assert tick(at_work, instance) == []
    instance.delete_run(running.run_id)
    assert len(tick(at_work, instance)) == 1


@pytest.mark.parametrize("changes", [{"enabled": False}, None])
def test_a_district_that_does_not_poll_is_asked_nothing(
    at_work: Polled, instance: dg.DagsterInstance, changes: dict[str, bool] | None
) -> None:
    if changes:
        at_work = at_work.use(**changes)
    else:
        text = "districts: [{id: quillmere, name: Q, time_zone: UTC}]"
        at_work.pipeline.settings.districts.write_text(text)
        at_work.pipeline.__dict__.pop("districts", None)
    assert tick(at_work, instance) == []
    assert at_work.vendors.counts("powerpath") == {}


def test_refused_credentials_are_not_tried_again_until_tomorrow_or_a_poll_by_command(
    at_work: Polled, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = "CANARY-powerpath-client-secret"
    at_work = at_work.use(**IN_ONE_CHUNK)
    monkeypatch.setenv("PP_SECRET", "CANARY-wrong")
    [request] = tick(at_work, instance)
    refused = run(at_work, instance, request.partition_key)
    assert "CANARY" not in failure(refused)
    assert tag_of(instance, refused) == "lasting"
    assert at_work.rows("select status from ops.sync_history") == [("failed",)]
    assert tick(at_work, instance, 2 * HOUR) == []
    [tomorrow] = tick(at_work, instance, 24 * HOUR)
    assert tomorrow.partition_key != request.partition_key
    monkeypatch.setenv("PP_SECRET", right)
    assert tick(at_work, instance, 2 * HOUR) == []
    assert at_work.poll().polled
    assert len(tick(at_work, instance, 2 * HOUR)) == 1


def test_what_may_pass_is_asked_again_by_the_next_tick_and_goes_on_where_it_was(
    at_work: Polled, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "RETRY_SECONDS", ())
    at_work.vendors.inject(match={"path": "getAssessmentProgress"}, skip=25, times=None, status=503)
    [request] = tick(at_work, instance)
    failed = run(at_work, instance, request.partition_key)
    assert tag_of(instance, failed) == "transient"
    [(before,)] = at_work.rows("select count(*) from external_tests.current_results")
    assert before
    assert set(materializations(failed)) >= TABLES, "what was loaded is shown"
    at_work.vendors.heal()
    [again] = tick(at_work, instance, timedelta(minutes=5))
    asked = at_work.vendors.counts("powerpath")["GET /powerpath/getAssessmentProgress"]
    done = run(at_work, instance, again.partition_key)
    assert done.success, failure(done)
    now_asked = at_work.vendors.counts("powerpath")["GET /powerpath/getAssessmentProgress"]
    [(pairs,)] = at_work.rows("select count(*) from external_tests.current_assignments")
    assert 0 < now_asked - asked < pairs


def test_an_attempt_after_a_failed_one_of_the_same_run_polls_on(
    at_work: Polled, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "RETRY_SECONDS", (0,))
    at_work.vendors.inject(match={"path": "getAssessmentProgress"}, skip=25, times=40, status=503)
    [request] = tick(at_work, instance)
    done = run(at_work, instance, request.partition_key)
    assert [event for event in done.all_events if event.is_step_up_for_retry]
    assert done.success, failure(done)
    [(left,)] = at_work.rows(
        "select count(*) from external_tests.current_assignments where polls = 0"
    )
    assert left == 0


def test_an_earlier_day_is_loaded_again_without_asking_anybody(
    at_work: Polled, instance: dg.DagsterInstance
) -> None:
    at_work = at_work.use(**IN_ONE_CHUNK)
    at_work.poll(-24)
    before = at_work.rows("select * from external_tests.results order by all")
    asked = at_work.vendors.counts("powerpath")
    today = at_work.pipeline.delivery_day(DISTRICT, now(), POWERPATH.name)
    done = run(at_work, instance, partition_key(DISTRICT, today - timedelta(days=1)))
    assert done.success, failure(done)
    assert set(materializations(done)) >= TABLES
    assert at_work.rows("select * from external_tests.results order by all") == before
    assert at_work.vendors.counts("powerpath") == asked
    nothing = run(at_work, instance, partition_key(DISTRICT, today - timedelta(days=2)))
    assert "nothing was polled on this day" in failure(nothing)


def test_rosters_load_while_a_poll_asks(at_work: Polled) -> None:
    slow = at_work.use(pace={"per_second": 5000, "pairs_at_once": 12})
    at_work.vendors.inject(match={"path": "getAssessmentProgress"}, times=None, delay_ms=20)
    troubles: list[BaseException] = []

    def poll() -> None:
        try:
            slow.poll()
        except BaseException as error:
            troubles.append(error)

    asking = threading.Thread(target=poll)
    asking.start()
    nights = 0
    while asking.is_alive() and nights < 2:
        at_work.roster(nights)
        nights += 1
    asking.join(60)
    assert troubles == []
    assert nights
    sources = at_work.rows("select source, min(status) from ops.sync_history group by 1")
    assert {name for name, _ in sources} == {"oneroster", "powerpath"}
    assert "failed" not in dict(sources).values()


def test_a_warehouse_that_stays_locked_is_busy_and_may_pass(
    at_work: Polled, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "RETRY_SECONDS", ())
    [request] = tick(at_work, instance)
    url = at_work.pipeline.settings.warehouse.get_secret_value()
    hurried = at_work.pipeline.settings.model_copy(update={"lock_seconds": 0.1})
    in_a_hurry = replace(at_work, pipeline=Pipeline(hurried))
    with open_warehouse(url).transaction():
        failed = run(in_a_hurry, instance, request.partition_key)
    assert tag_of(instance, failed) == "transient"
    assert "it is tried again" in failure(failed)
    assert len(tick(at_work, instance)) == 1


def test_runs_leave_no_student_and_no_secret_in_dagster(
    at_work: Polled, on_disk: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = at_work.use(allow_side_effects=True, keep_feedback=True, **IN_ONE_CHUNK)
    [request] = tick(allowed, on_disk)
    added = {"note": "CANARY-note", "deep": {"in": "CANARY-deep"}}
    at_work.vendors.inject(match={"path": "Progress$"}, times=5, add_field=added)
    assert run(allowed, on_disk, request.partition_key, by_schedule=False).success
    monkeypatch.setattr(steps, "RETRY_SECONDS", ())
    at_work.vendors.inject(match={"path": "/powerpath/"}, html=True, times=None)
    run(allowed, on_disk, request.partition_key)
    monkeypatch.setenv("PP_SECRET", "CANARY-wrong")
    run(allowed, on_disk, request.partition_key)
    kept = list(texts(Path(on_disk.root_directory)))
    assert_none(kept)
    assert any(b"powerpath_sync" in content for _, content in kept)
    students = {pair["student"] for pair in at_work.vendors.pairs()}
    sought = re.compile(rb"(?<![\w-])(%s)(?![\w-])" % b"|".join(map(str.encode, students)))
    assert [name for name, content in kept if sought.search(content)] == []


def test_a_wrong_districts_file_fails_the_tick(
    at_work: Polled, instance: dg.DagsterInstance
) -> None:
    at_work.pipeline.settings.districts.write_text("districts: [{}]")
    at_work.pipeline.__dict__.pop("districts", None)
    with pytest.raises(BadConfiguration, match="must be given"):
        tick(at_work, instance)
