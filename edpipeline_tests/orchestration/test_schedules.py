"""Windows of districts: what is tried again inside, what is told when one has closed."""

from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest

from edpipeline.errors import BadConfiguration, Busy, Permanent, Transient
from edpipeline.orchestration import closed, schedules, steps
from edpipeline.orchestration.runs import Asked, Wanted, source_job
from edpipeline.orchestration.schedules import window_schedule
from edpipeline_tests.orchestration.installation import (
    DAY,
    ONEROSTER,
    Installation,
    evening,
    failure,
    key,
    roster,
)
from edpipeline_tests.orchestration.ticking import asked_by

CLOSES = evening(DAY, 90)
QUARTER = timedelta(minutes=15)


def tick(at_work: Installation, at: datetime) -> list[dg.RunRequest]:
    schedule = window_schedule(ONEROSTER, source_job(ONEROSTER), at_work.pipeline)
    return asked_by(schedule, at_work.instance, at.astimezone(UTC))


def keys(requests: list[dg.RunRequest]) -> list[str]:
    return [str(request.partition_key) for request in requests]


def run(at_work: Installation, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
    return at_work.job("oneroster_sync").execute_in_process(
        instance=at_work.instance,
        partition_key=request.partition_key,
        run_config=request.run_config,
        tags=request.tags,
        raise_on_error=False,
    )


def test_a_window_that_closed_without_a_delivery_is_told_once(at_work: Installation) -> None:
    district = at_work.new_district()
    assert keys(tick(at_work, CLOSES - QUARTER)) == []
    [request] = tick(at_work, CLOSES)
    assert str(request.partition_key) == key(district)
    assert "Missed: no delivery came" in failure(run(at_work, request))
    assert at_work.reports(district)[0].status == "missed"
    assert tick(at_work, CLOSES + QUARTER) == []


@pytest.mark.parametrize("waits", [False, True])
def test_a_day_that_was_loaded_or_waits_for_approval_is_not_missed(
    at_work: Installation, waits: bool
) -> None:
    district = at_work.new_district(first_sync_needs_approval=waits)
    assert at_work.load(district, DAY, roster()).applied is not waits
    assert tick(at_work, CLOSES) == []


def test_a_refused_delivery_was_told_already(at_work: Installation) -> None:
    district = at_work.new_district()
    assert at_work.load(district, DAY, dict.fromkeys(roster(), "")).status == "refused"
    assert tick(at_work, CLOSES) == []


def test_a_missed_tick_is_made_up_for(at_work: Installation) -> None:
    district = at_work.new_district()
    assert keys(tick(at_work, CLOSES + 3 * QUARTER)) == [key(district)]


def test_a_new_district_is_not_blamed_for_a_window_long_closed(at_work: Installation) -> None:
    at_work.new_district()
    assert tick(at_work, CLOSES + timedelta(hours=5)) == []


def test_after_an_evening_without_dagster_the_missed_day_is_still_told(
    at_work: Installation,
) -> None:
    district = at_work.new_district()
    at_work.load(district, DAY - timedelta(days=1), roster())
    assert keys(tick(at_work, CLOSES + timedelta(hours=5))) == [key(district)]


def test_a_pause_is_not_a_missed_day(at_work: Installation) -> None:
    at_work.new_district(pauses=[{"from": DAY, "to": DAY, "what": "sync"}])
    at_work.new_district(enabled=False)
    assert tick(at_work, CLOSES) == []


def test_a_run_in_progress_is_waited_for(at_work: Installation) -> None:
    district = at_work.new_district()
    job = at_work.job("oneroster_sync")
    tags = {"dagster/partition": key(district)}
    running = at_work.instance.create_run_for_job(
        job, tags=tags, status=dg.DagsterRunStatus.STARTED
    )
    assert tick(at_work, CLOSES) == []
    at_work.instance.delete_run(running.run_id)
    assert keys(tick(at_work, CLOSES + QUARTER)) == [key(district)]


def test_what_landed_and_could_not_be_loaded_is_told_as_that(at_work: Installation) -> None:
    district = at_work.new_district()
    at_work.land(district, DAY, roster())
    [request] = tick(at_work, CLOSES)
    assert "landed 2025-09-09 19:30 EDT and could not be loaded" in failure(run(at_work, request))


def all_day_around(now: datetime) -> dict[str, str]:
    """A window of a whole day that opened half a day ago, so that none has closed lately."""
    opened = f"{now - timedelta(hours=12):%H:%M}"
    return {"opens": opened, "closes": opened, "time_zone": "UTC"}


def test_a_run_that_failed_for_a_reason_that_may_pass_is_asked_for_again(
    at_work: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "RETRY_SECONDS", ())
    district = at_work.new_district()
    now = datetime.now(UTC)
    at_work.listed[district]["window"] = all_day_around(now)
    at_work.list_districts(district)
    today = at_work.pipeline().delivery_day(district, now)
    at_work.put(district, roster(), now - timedelta(minutes=20))
    at_work.server.faults.refuse_connections = True
    at_work.run(district, today, Asked())
    again, other = (tick(at_work, now + minutes * QUARTER) for minutes in (0, 1))
    assert keys(again) == keys(other) == [key(district, today)]
    assert again[0].run_key != other[0].run_key
    at_work.server.faults.refuse_connections = False
    assert run(at_work, again[0]).success
    assert tick(at_work, now) == []


def test_a_run_that_failed_for_good_is_not_asked_for_again(at_work: Installation) -> None:
    now = datetime.now(UTC)
    district = at_work.new_district(window=all_day_around(now))
    today = at_work.pipeline().delivery_day(district, now)
    at_work.deliver(district, today, dict.fromkeys(roster(), ""))
    assert tick(at_work, now) == []


@pytest.mark.parametrize(
    ("day", "zone", "closes"),
    [
        (date(2026, 11, 1), "America/New_York", datetime(2026, 11, 2, 2, 0, tzinfo=UTC)),
        (date(2026, 10, 31), "America/New_York", datetime(2026, 11, 1, 1, 0, tzinfo=UTC)),
        (date(2027, 3, 14), "America/New_York", datetime(2027, 3, 15, 1, 0, tzinfo=UTC)),
        (date(2027, 3, 13), "America/New_York", datetime(2027, 3, 14, 2, 0, tzinfo=UTC)),
        (date(2026, 11, 1), "Pacific/Honolulu", datetime(2026, 11, 2, 7, 0, tzinfo=UTC)),
        (date(2026, 11, 1), "Pacific/Guam", datetime(2026, 11, 1, 11, 0, tzinfo=UTC)),
    ],
)
def test_windows_close_on_the_local_clock_in_every_night(
    at_work: Installation, day: date, zone: str, closes: datetime
) -> None:
    window = {"opens": "19:00", "closes": "21:00", "time_zone": zone}
    district = at_work.new_district(window=window)
    told = {
        str(minutes): keys(tick(at_work, closes + minutes))
        for minutes in (-QUARTER, timedelta(), QUARTER)
    }
    assert list(told.values()) == [[], [key(district, day)], [key(district, day)]]


def test_a_damaged_landing_of_one_district_does_not_silence_the_others(
    at_work: Installation,
) -> None:
    bad, good = at_work.new_district(), at_work.new_district()
    at_work.load(good, DAY - timedelta(days=1), roster())
    at_work.damage_landing(bad, DAY)
    assert keys(tick(at_work, CLOSES + timedelta(hours=5))) == [key(good)]
    at_work.list_districts(bad)
    with pytest.raises(Permanent, match=f"{bad}: the landing is damaged"):
        tick(at_work, CLOSES + timedelta(hours=5))


def test_a_busy_warehouse_does_not_hold_back_what_is_to_be_tried_again(
    at_work: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_work.new_district()

    def busy(*_: object) -> None:
        raise Busy("another load holds the warehouse")

    monkeypatch.setattr(closed, "statuses", busy)
    with pytest.raises(Transient, match="holds the warehouse"):
        tick(at_work, CLOSES)
    again = Wanted("lincoln", DAY, "again")
    monkeypatch.setattr(schedules._Tick, "again", lambda _: iter([again]))
    assert keys(tick(at_work, CLOSES)) == [key("lincoln")]


def test_a_wrong_districts_file_fails_the_tick(at_work: Installation) -> None:
    at_work.settings.districts.write_text("districts: [{}]")
    with pytest.raises(BadConfiguration, match="must be given"):
        tick(at_work, CLOSES)
