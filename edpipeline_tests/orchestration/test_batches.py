"""Few runs for many districts: each has its own events, and its own troubles."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest

from edpipeline.errors import Busy
from edpipeline.landing.stability import LookSettings, RemoteFile
from edpipeline.loading.report import SyncReport
from edpipeline.loading.sync import Sync
from edpipeline.orchestration import incidents, runs, steps
from edpipeline.orchestration.runs import (
    Asked,
    Wanted,
    keys_of,
    may_pass,
    requests,
    running,
    source_job,
)
from edpipeline.orchestration.schedules import window_schedule
from edpipeline.orchestration.sensors import delivery_sensor
from edpipeline_tests.orchestration.installation import (
    DAY,
    ONEROSTER,
    Installation,
    evening,
    failure,
    key,
    roster,
)
from edpipeline_tests.orchestration.test_schedules import all_day_around
from edpipeline_tests.orchestration.ticking import asked_by

JOB = "oneroster_sync"
CLOSES = evening(DAY, 90)


def run(at_work: Installation, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
    return at_work.job(JOB).execute_in_process(
        instance=at_work.instance,
        partition_key=request.partition_key,
        run_config=request.run_config,
        tags=request.tags,
        raise_on_error=False,
    )


def wanted(at_work: Installation, number: int) -> list[Wanted]:
    """Districts that delivered in the evening."""
    districts = [at_work.new_district() for _ in range(number)]
    seen = [at_work.put(one, roster(), evening(DAY)) for one in districts]
    return [
        Wanted(one, DAY, "test", Asked(files=files))
        for one, files in zip(districts, seen, strict=True)
    ]


def hold(monkeypatch: pytest.MonkeyPatch, district_id: str) -> None:
    """Let a district be locked by another load."""
    load_day = Sync.load_day

    def held(self: Sync, day: date) -> SyncReport:
        if self.district_id == district_id:
            raise Busy("another load holds the district")
        return load_day(self, day)

    monkeypatch.setattr(Sync, "load_day", held)


def of_size(name: str, size: int) -> Wanted:
    return Wanted(name, DAY, "why", Asked(files=[RemoteFile("users.csv", size, 0)]))


def test_what_is_ready_together_is_few_runs_the_small_before_the_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runs, "DISTRICTS_A_RUN", 3)
    monkeypatch.setattr(runs, "BYTES_A_RUN", 100)
    sizes = {"a": 90, "b": 10, "c": 20, "d": 30, "e": 80, "f": 20}
    found = requests(ONEROSTER, [of_size(*one) for one in sizes.items()])
    assert [one.tags.get("edpipeline/districts") for one in found] == ["b c f", None, None, None]
    alone = [str(one.partition_key) for one in found[1:]]
    assert alone == [key("d"), key("e"), key("a")]


def test_what_is_wanted_twice_is_asked_for_once() -> None:
    twice = [Wanted("a", DAY, "again"), Wanted("a", DAY, "due"), Wanted("b", DAY, "due")]
    [request] = requests(ONEROSTER, twice)
    assert request.tags["edpipeline/districts"] == "a b"


def test_a_run_for_many_that_ended_without_a_word_is_told_of_each(at_work: Installation) -> None:
    names = [at_work.new_district() for _ in range(2)]
    [request] = requests(ONEROSTER, [Wanted(one, datetime.now(UTC).date(), "x") for one in names])
    run = at_work.instance.create_run_for_job(at_work.job(JOB), tags=request.tags)
    at_work.instance.report_run_failed(run)
    since = datetime.now(UTC) - timedelta(hours=1)
    found = incidents.of_runs(
        at_work.instance, since, datetime.now(UTC), lambda each: each.run_id == run.run_id
    )
    assert [(one.district, one.kind) for one in found] == [(one, "failed") for one in names]


def test_days_and_kinds_of_requests_are_not_mixed() -> None:
    missed = Asked(window_closed=True)
    day_before = DAY - timedelta(days=1)
    found = requests(
        ONEROSTER,
        [
            Wanted(f"{kind}{n}", day, "why", asked)
            for kind, day, asked in (
                ("a", DAY, missed),
                ("b", DAY, Asked()),
                ("c", day_before, missed),
            )
            for n in range(2)
        ],
    )
    assert [one.tags["edpipeline/districts"] for one in found] == ["a0 a1", "b0 b1", "c0 c1"]
    assert len({one.run_key for one in found}) == 3
    again = requests(
        ONEROSTER, [Wanted("a0", DAY, "why", missed), Wanted("a1", DAY, "other", missed)]
    )
    assert again[0].run_key != found[0].run_key


def test_of_five_districts_one_is_refused_one_is_busy_and_three_are_loaded(
    at_work: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "RETRY_SECONDS", ())
    five = wanted(at_work, 5)
    names = [one.district_id for one in five]
    bad, busy, *good = names
    empty = at_work.put(bad, dict.fromkeys(roster(), ""), evening(DAY))
    five[0] = replace(five[0], asked=Asked(files=empty))
    hold(monkeypatch, busy)
    [request] = requests(ONEROSTER, five)
    result = run(at_work, request)
    told = failure(result)
    assert told.startswith("2 of 5 did not succeed:")
    assert f"{key(bad)}: Refused" in told
    assert f"{key(busy)}: another load holds the district" in told
    for one in names:
        loaded = at_work.materialized("roster/users", one)
        assert loaded == ([str(DAY)] if one in good else [])
    assert [at_work.reports(one)[0].status for one in (bad, good[0])] == ["refused", "loaded"]
    found = at_work.instance.get_run_by_id(result.run_id)
    assert found
    assert sorted(keys_of(found)) == sorted(map(key, names))
    assert [one for one in names if may_pass(found, key(one))] == [busy]
    monkeypatch.setattr(incidents, "RECENT", timedelta(days=10_000))
    started = datetime.now(UTC) - timedelta(hours=1)
    told_of = incidents.of_runs(at_work.instance, started, datetime.now(UTC), lambda _: True)
    text = {
        one.district: one.text for one in told_of if one.kind == "failed" and one.district in names
    }
    assert "tried again by itself" in text[busy]
    assert "tried again by itself" not in text[bad]
    assert set(text) == {bad, busy}


def test_only_what_failed_for_a_reason_that_may_pass_is_asked_for_again(
    at_work: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "RETRY_SECONDS", ())
    now = datetime.now(UTC)
    names = [at_work.new_district(window=all_day_around(now)) for _ in range(2)]
    today = at_work.pipeline().delivery_day(names[0], now)
    asked = [Wanted(one, today, "x", Asked(at_work.put(one, roster(), now))) for one in names]
    with monkeypatch.context() as patched:
        hold(patched, names[1])
        assert not run(at_work, requests(ONEROSTER, asked)[0]).success
    [again] = tick(at_work, now)
    assert str(again.partition_key) == key(names[1], today)
    assert run(at_work, again).success
    assert tick(at_work, now) == []


def tick(at_work: Installation, at: datetime) -> list[dg.RunRequest]:
    schedule = window_schedule(ONEROSTER, source_job(ONEROSTER), at_work.pipeline)
    return asked_by(schedule, at_work.instance, at)


def test_missed_days_are_told_in_one_run_and_a_batch_at_work_is_waited_for(
    at_work: Installation,
) -> None:
    names = [at_work.new_district() for _ in range(3)]
    config = requests(ONEROSTER, [Wanted(one, DAY, "test") for one in names[:2]])[0]
    begun = at_work.instance.create_run_for_job(
        at_work.job(JOB), tags=config.tags, status=dg.DagsterRunStatus.STARTED
    )
    assert running(at_work.instance, JOB) == set(map(key, names[:2]))
    assert [str(one.partition_key) for one in tick(at_work, CLOSES)] == [key(names[2])]
    at_work.instance.delete_run(begun.run_id)
    [request] = tick(at_work, CLOSES)
    result = run(at_work, request)
    assert failure(result).startswith("3 of 3 did not succeed:")
    assert [at_work.reports(one)[0].status for one in names] == ["missed"] * 3
    assert tick(at_work, CLOSES + timedelta(minutes=15)) == []


def test_the_sensor_asks_for_one_run_and_for_no_district_that_is_being_loaded(
    at_work: Installation,
) -> None:
    one, two, three = (each.district_id for each in wanted(at_work, 3))
    made = delivery_sensor(
        ONEROSTER,
        source_job(ONEROSTER),
        at_work.pipeline,
        LookSettings(),
        lambda: now,
    )
    begun = at_work.instance.create_run_for_job(
        at_work.job(JOB),
        tags={"edpipeline/day": str(DAY), "edpipeline/districts": f"x {three}"},
        status=dg.DagsterRunStatus.STARTED,
    )
    cursor, asked = None, []
    for minutes in (2, 3, 4):
        if minutes == 4:
            at_work.instance.delete_run(begun.run_id)
        now = evening(DAY, minutes)
        with dg.build_sensor_context(at_work.instance, cursor) as context:
            result = made(context)
        assert isinstance(result, dg.SensorResult)
        cursor = result.cursor
        asked += result.run_requests or []
    assert [request.tags.get("edpipeline/districts") for request in asked] == [f"{one} {two}", None]
    assert str(asked[1].partition_key) == key(three)
    assert run(at_work, asked[0]).success


def test_a_district_that_failed_in_a_batch_is_shown_as_failed(
    at_work: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "RETRY_SECONDS", ())
    two = wanted(at_work, 2)
    empty = at_work.put(two[0].district_id, dict.fromkeys(roster(), ""), evening(DAY))
    two[0] = replace(two[0], asked=Asked(files=empty))
    run(at_work, requests(ONEROSTER, two)[0])
    storage = at_work.instance.event_log_storage
    found = storage.get_latest_asset_partition_materialization_attempts_without_materializations(
        dg.AssetKey(["roster", "users"])
    )
    assert key(two[0].district_id) in found
    assert key(two[1].district_id) not in found
