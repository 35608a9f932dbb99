"""Surveys in Dagster: asked for within the window, shown as one, told where nobody was asked."""

import re
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from edpipeline.errors import Permanent
from edpipeline.orchestration import steps
from edpipeline.orchestration.partitions import DISTRICTS, partition_key
from edpipeline.orchestration.standing import SurveyDay
from edpipeline.orchestration.steps import FAILURE_TAG
from edpipeline.orchestration.surveys import credentials_valid, of_survey
from edpipeline.uses_of_polls import RefusalLimit, ReportConfiguration
from edpipeline_tests.orchestration.installation import (
    checks,
    definitions,
    failure,
    materializations,
)
from edpipeline_tests.orchestration.surveyed import (
    NAME,
    SURVEYED,
    Surveyed,
    at_work,
    template,
    vendors,
    zone,
)
from edpipeline_tests.orchestration.ticking import instance, nothing_ran_before, on_disk, tick_of
from edpipeline_tests.pulls.canaries import assert_none, texts
from edpipeline_tests.pulls.installation import DISTRICT

# Fixtures.
__all__ = ["at_work", "instance", "nothing_ran_before", "on_disk", "template", "vendors"]

LANDING = "landing/score_reports"
TABLES = {"score_reports/catalog", "score_reports/requests"}


def tick(
    at_work: Surveyed, instance: dg.DagsterInstance, after: timedelta = timedelta()
) -> list[dg.RunRequest]:
    return tick_of(SURVEYED, at_work.pipeline, instance, after)


def run(
    at_work: Surveyed, instance: dg.DagsterInstance, request: dg.RunRequest
) -> dg.ExecuteInProcessResult:
    instance.add_dynamic_partitions(str(DISTRICTS.name), [DISTRICT])
    job = definitions(at_work.pipeline.settings).resolve_job_def("score_reports_sync")
    return job.execute_in_process(
        instance=instance,
        partition_key=str(request.partition_key),
        run_config=request.run_config,
        raise_on_error=False,
    )


def numbers(event: dg.AssetMaterialization | dg.AssetCheckEvaluation) -> dict[str, Any]:
    return {name: value.value for name, value in event.metadata.items()}


def hours(first: int, last: int) -> dict[str, Any]:
    """A window of today, where it is noon."""
    opens, closes = (f"{time(hour):%H:%M}" for hour in (first, last))
    return {"window": {"opens": opens, "closes": closes, "time_zone": zone()}}


def test_every_student_is_asked_about_once_and_shown_as_one(
    at_work: Surveyed, instance: dg.DagsterInstance
) -> None:
    [request] = tick(at_work, instance)
    assert request.tags["edpipeline/polls"] == SURVEYED.name
    done = run(at_work, instance, request)
    assert done.success, failure(done)
    assert set(materializations(done)) == {LANDING} | TABLES
    told = numbers(materializations(done)[LANDING])
    assert told["deliveries"] > 1
    assert told["asked"] == told["due"] == told["students"] == at_work.asked() > 50
    outcomes = dict(
        at_work.rows("select outcome, count(*) from score_reports.current_requests group by 1")
    )
    assert {name: told[name.replace("_", " ")] for name in outcomes} == outcomes
    assert told["listed"] == told["new"] > told["ok"] > 20
    found = checks(done)
    assert found[f"{LANDING}/polls_usable"].passed
    assert found[f"{LANDING}/students_matched"].passed
    assert found[f"{LANDING}/credentials_valid"].passed
    assert found[f"{LANDING}/students_have_ssid"].passed
    assert found[f"{LANDING}/answers_understood"].passed
    allowed = found[f"{LANDING}/access_allowed"]
    assert (allowed.passed, allowed.severity) == (True, dg.AssetCheckSeverity.WARN)
    refused = outcomes["forbidden"], outcomes["not_found"]
    assert f"{refused[0]:,} forbidden, {refused[1]:,} not found" in str(allowed.description)
    assert numbers(allowed) == {
        "forbidden": refused[0],
        "not found": refused[1],
        "share": pytest.approx(sum(refused) / told["asked"]),
    }
    assert tick(at_work, instance) == []
    [tomorrow] = tick(at_work, instance, timedelta(hours=24))
    assert tomorrow.partition_key != request.partition_key


@pytest.mark.parametrize(
    ("percent", "floor", "passed"), [(20, 5, True), (3, 5, False), (3, 40, True), (0, 0, False)]
)
def test_refusals_warn_where_they_are_more_than_the_district_allows(
    percent: float, floor: int, passed: bool
) -> None:
    told = SurveyDay(
        asked=1000,
        forbidden=20,
        not_found=15,
        not_understood=0,
        bad_request=0,
        no_ssid=0,
        bad_ssid=0,
        no_configuration=0,
    )
    limit = RefusalLimit(percent=percent, floor=floor)
    found = {each.check_name: each for each in of_survey(SURVEYED, "2027-03-10", told, limit)}
    allowed = found["access_allowed"]
    assert allowed.passed is passed
    assert "20 forbidden, 15 not found: 3.5% of those asked about" in str(allowed.description)


def test_no_job_fetches_links_and_the_asset_says_how_to_have_one(at_work: Surveyed) -> None:
    found = definitions(at_work.pipeline.settings)
    jobs = [job.name for job in found.resolve_all_job_defs()]
    assert [name for name in jobs if "report" in name] == ["score_reports_sync"]
    specs = {each.key.to_user_string(): each for each in found.resolve_all_asset_specs()}
    described = specs[LANDING].description or ""
    assert "edpipeline score-report --district" in described
    assert "never kept" in described


def test_nobody_is_asked_about_outside_the_window_nor_in_a_pause(
    at_work: Surveyed, instance: dg.DagsterInstance
) -> None:
    assert tick(at_work.use(**hours(15, 17)), instance) == []
    today = at_work.today().isoformat()
    pause = {"from": today, "to": today, "what": "sync"}
    assert tick(at_work.use(pauses=[pause]), instance) == []
    assert len(tick(at_work.use(**hours(11, 17)), instance)) == 1


def test_a_window_that_closed_before_anybody_was_asked_about_is_told_once(
    at_work: Surveyed, instance: dg.DagsterInstance
) -> None:
    closed = at_work.use(**hours(10, 12))
    at = timedelta(minutes=-datetime.now(UTC).minute + 10)
    [request] = tick(closed, instance, at)
    missed = run(closed, instance, request)
    assert "Nothing was tried" in failure(missed)
    assert f"sync --district {DISTRICT} --source score_reports" in failure(missed)
    assert at_work.rows("select status, delivery_day from ops.sync_history where status='missed'")
    assert tick(closed, instance, at) == []
    assert at_work.asked() == 0


def test_a_window_in_which_nobody_could_be_asked_about_is_not_missed(
    at_work: Surveyed, instance: dg.DagsterInstance
) -> None:
    closed = at_work.use(match_on="username", **hours(10, 12))  # none of them is an SSID
    assert tick(closed, instance, timedelta(minutes=-datetime.now(UTC).minute + 10)) == []


def test_a_window_that_closed_over_a_missing_configuration_says_so(
    at_work: Surveyed, instance: dg.DagsterInstance
) -> None:
    at_work.survey(-24)
    renamed = {"name": "Other", "client_key_env": "TOMS_KEY", "client_secret_env": "TOMS_SECRET"}
    renamed |= {"expires_on": "2099-01-01"}
    closed = at_work.use(configurations=[renamed], **hours(10, 12))
    [request] = tick(closed, instance, timedelta(minutes=-datetime.now(UTC).minute + 10))
    assert f"removed: [{NAME}]" in failure(run(closed, instance, request))


def test_a_window_in_which_a_survey_was_made_is_not_missed(
    at_work: Surveyed, instance: dg.DagsterInstance
) -> None:
    at_work.survey()
    closed = at_work.use(**hours(10, 12))
    assert tick(closed, instance, timedelta(minutes=-datetime.now(UTC).minute + 10)) == []


def test_refused_credentials_are_left_until_the_next_day(
    at_work: Surveyed, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOMS_SECRET", "CANARY-wrong")
    at_work = at_work.use(days_left=2)
    [request] = tick(at_work, instance)
    refused = run(at_work, instance, request)
    assert "CANARY" not in failure(refused)
    found = instance.get_run_by_id(refused.run_id)
    assert found
    assert found.tags[FAILURE_TAG] == "lasting"
    ending = checks(refused)[f"{LANDING}/credentials_valid"]  # told also where nothing loads
    assert not ending.passed
    assert numbers(ending) == {f"days left of {NAME}": 2}
    assert tick(at_work, instance, timedelta(hours=1)) == []
    assert len(tick(at_work, instance, timedelta(hours=24))) == 1


def test_what_may_pass_is_asked_again_inside_the_window_and_goes_on_where_it_was(
    at_work: Surveyed, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "RETRY_SECONDS", ())
    at_work = at_work.use(pace={"per_second": 5000, "students_at_once": 20})
    at_work.vendors.inject(match={"path": "students"}, skip=25, times=None, status=503)
    [request] = tick(at_work, instance)
    failed = run(at_work, instance, request)
    assert "10 failures in a row" in failure(failed)
    assert set(materializations(failed)) >= TABLES, "what was loaded is shown"
    at_work.vendors.heal()
    assert tick(at_work.use(**hours(10, 11)), instance) == []
    at_work.use()
    before = at_work.asked()
    [again] = tick(at_work, instance, timedelta(minutes=5))
    done = run(at_work, instance, again)
    assert done.success, failure(done)
    assert 0 < at_work.asked() - before <= len(at_work.vendors.score_report_students()) - 20


@pytest.mark.parametrize("changes", [{"block": False}, {"enabled": False, "configurations": []}])
def test_a_configuration_that_vanished_fails_the_tick_until_somebody_says_it_is_gone(
    at_work: Surveyed, instance: dg.DagsterInstance, changes: dict[str, Any]
) -> None:
    at_work.survey()
    asked = at_work.asked()
    # Where no window is open, it is looked for by the first tick of an hour.
    on_the_hour = timedelta(hours=24, minutes=-datetime.now(UTC).minute)
    with pytest.raises(Permanent, match=rf"removed: \[{NAME}\]"):
        tick(at_work.use(**changes), instance, on_the_hour)
    later = on_the_hour + timedelta(minutes=5)
    assert tick(at_work.use(**changes), instance, later) == []
    said = at_work.use(enabled=False, configurations=[], removed=[NAME])
    assert tick(said, instance, on_the_hour) == []
    assert at_work.asked() == asked


@pytest.mark.parametrize(
    ("days", "passed", "severity"),
    [(15, True, "WARN"), (14, False, "WARN"), (2, False, "WARN"), (1, False, "ERROR"),
     (0, False, "ERROR"), (-3, False, "ERROR")],
)  # fmt: skip
def test_credentials_that_end_soon_are_told_by_their_name(
    days: int, passed: bool, severity: str
) -> None:
    day = date(2027, 3, 10)
    soon = ReportConfiguration(
        name=NAME,
        client_key_env="TOMS_KEY",
        client_secret_env="TOMS_SECRET",
        expires_on=day + timedelta(days=days),
    )
    check = credentials_valid(SURVEYED, f"{day}|{DISTRICT}", [soon], day)
    assert (check.passed, check.severity.value) == (passed, severity)
    assert numbers(check) == {f"days left of {NAME}": days}
    assert passed or NAME in str(check.description)


def test_students_who_cannot_be_asked_about_warn_with_counts(
    at_work: Surveyed, instance: dg.DagsterInstance
) -> None:
    other = at_work.use(match_on="username")
    [request] = tick(other, instance)
    done = run(other, instance, request)
    assert done.success, failure(done)
    check = checks(done)[f"{LANDING}/students_have_ssid"]
    assert not check.passed
    assert numbers(check)["with one that is not of 10 digits"] > 50
    assert "score_reports.current_requests" in str(check.description)
    assert at_work.asked() == 0


def test_an_earlier_day_is_loaded_again_without_asking_anybody(
    at_work: Surveyed, instance: dg.DagsterInstance
) -> None:
    at_work.survey(-24)
    before = at_work.rows("select * from score_reports.requests order by all")
    asked = at_work.asked()
    yesterday = partition_key(DISTRICT, at_work.today() - timedelta(days=1))
    done = run(at_work, instance, dg.RunRequest(partition_key=str(yesterday)))
    assert done.success, failure(done)
    assert set(materializations(done)) >= TABLES
    assert at_work.rows("select * from score_reports.requests order by all") == before
    assert at_work.asked() == asked


def test_runs_leave_no_student_no_link_and_no_secret_in_dagster(
    at_work: Surveyed, on_disk: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    today = dg.RunRequest(partition_key=str(partition_key(DISTRICT, at_work.today())))
    with monkeypatch.context() as patch:
        patch.setenv("TOMS_SECRET", "CANARY-wrong")
        assert not run(at_work, on_disk, today).success
    at_work.vendors.inject(match={"path": "students"}, html=True, times=None)
    assert not run(at_work, on_disk, today).success
    at_work.vendors.heal()
    assert run(at_work, on_disk, today).success
    kept = list(texts(Path(on_disk.root_directory)))
    assert any(b"score_reports_sync" in content for _, content in kept)
    assert_none(kept)
    students = {ssid.encode() for ssid in at_work.vendors.score_report_students()}
    assert {len(ssid) for ssid in students} == {10}
    sought = re.compile(rb"(?<!\d)\d{10}(?!\d)|X-Amz-|score-report-files")
    links = {b"X-Amz-", b"score-report-files"}
    found = {name: (students | links).intersection(sought.findall(each)) for name, each in kept}
    assert [name for name, what in found.items() if what] == []
