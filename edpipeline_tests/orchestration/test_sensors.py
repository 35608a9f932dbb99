"""Deliveries are noticed: what is asked for, when, and what is said where nothing is."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Event

import dagster as dg
import pytest

from edpipeline.errors import BadConfiguration, ConnectionLost, Permanent
from edpipeline.landing.sftp import SftpAccount
from edpipeline.landing.stability import LookSettings, RemoteFile
from edpipeline.orchestration import sensors
from edpipeline.orchestration.memory import read_cursor
from edpipeline.orchestration.runs import Asked, source_job
from edpipeline.orchestration.sensors import delivery_sensor
from edpipeline_tests.orchestration.installation import (
    DAY,
    ONEROSTER,
    PASSWORD,
    Installation,
    evening,
    failure,
    key,
    roster,
)

MINUTE = timedelta(minutes=1)
NOON = evening(DAY) - timedelta(hours=7)
NEXT_DAY = DAY + timedelta(days=1)


@dataclass
class Sensor:
    """The sensor between two looks of whose clock we are the master."""

    at_work: Installation
    now: datetime = field(default_factory=lambda: evening(DAY))
    cursor: str | None = None

    def tick(self, after: timedelta = MINUTE) -> dg.SensorResult:
        self.now += after
        made = delivery_sensor(
            ONEROSTER,
            source_job(ONEROSTER),
            self.at_work.pipeline,
            LookSettings(),
            lambda: self.now,
        )
        with dg.build_sensor_context(self.at_work.instance, self.cursor) as context:
            result = made(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        return result

    def ticks(self, number: int) -> list[dg.SensorResult]:
        return [self.tick() for _ in range(number)]


@pytest.fixture
def sensor(at_work: Installation) -> Sensor:
    return Sensor(at_work)


def asked(*results: dg.SensorResult) -> list[str]:
    return [str(r.partition_key) for result in results for r in result.run_requests or []]


def said(result: dg.SensorResult) -> str:
    reason = result.skip_reason
    return str(reason.skip_message if isinstance(reason, dg.SkipReason) else reason)


def looked_at(sensor: Sensor) -> dict[str, str]:
    """When each district's folder was looked into last, by the cursor."""
    return {name: one.looked_at.isoformat() for name, one in read_cursor(sensor.cursor).items()}


def test_a_delivery_is_asked_for_after_two_looks_and_only_once(sensor: Sensor) -> None:
    district = sensor.at_work.new_district()
    sensor.at_work.put(district, roster(), evening(DAY, -20))
    first, second, *later = sensor.ticks(5)
    assert asked(first) == []
    assert "may still be written" in said(first)
    assert asked(second) == [key(district)]
    assert asked(*later) == []


def test_what_was_asked_for_is_fetched_and_loaded(sensor: Sensor) -> None:
    district = sensor.at_work.new_district()
    sensor.at_work.put(district, roster(), evening(DAY, -20))
    [request] = sensor.ticks(2)[1].run_requests or []
    result = sensor.at_work.job("oneroster_sync").execute_in_process(
        instance=sensor.at_work.instance,
        partition_key=request.partition_key,
        run_config=request.run_config,
    )
    assert result.success
    assert sensor.at_work.materialized("roster/users", district) == [str(DAY)]


def test_districts_of_the_file_become_partitions(sensor: Sensor) -> None:
    district = sensor.at_work.new_district()
    sensor.at_work.instance.delete_dynamic_partition("districts", district)
    [added] = sensor.tick().dynamic_partitions_requests or []
    assert list(added.partition_keys) == [district]
    sensor.at_work.instance.add_dynamic_partitions("districts", [district])
    assert not sensor.tick().dynamic_partitions_requests


def test_a_growing_file_is_never_taken(sensor: Sensor) -> None:
    district = sensor.at_work.new_district()
    for minutes in range(5):
        sensor.at_work.put(district, roster(students=20 + minutes), evening(DAY, minutes))
        assert asked(sensor.tick()) == []
    assert asked(*sensor.ticks(2)) == [key(district)]


def test_a_delivery_that_lacks_a_file_waits_for_it(sensor: Sensor) -> None:
    district = sensor.at_work.new_district()
    whole = roster()
    late = {"enrollments.csv": whole.pop("enrollments.csv")}
    sensor.at_work.put(district, whole, evening(DAY, -20))
    waiting = sensor.ticks(3)
    assert asked(*waiting) == []
    assert "enrollments.csv" in said(waiting[-1])
    sensor.at_work.put(district, late, evening(DAY, 3))
    assert asked(*sensor.ticks(3)) == [key(district)]


def test_a_delivery_before_the_window_waits_for_it_to_open(sensor: Sensor) -> None:
    district = sensor.at_work.new_district()
    sensor.now = NOON
    sensor.at_work.put(district, roster(), NOON - timedelta(hours=1))
    sensor.tick()
    waiting = sensor.tick(timedelta(minutes=20))
    assert asked(waiting) == []
    assert f"{district}: a delivery is complete; it is taken when the window opens" in said(waiting)
    sensor.now = evening(DAY, -31)
    assert asked(sensor.tick(), sensor.tick()) == [key(district)]


def test_a_late_delivery_waits_for_the_next_window_and_is_noted(sensor: Sensor) -> None:
    district = sensor.at_work.new_district()
    sensor.now = evening(DAY, 120)
    sensor.at_work.put(district, roster(), evening(DAY, 100))
    sensor.tick()
    late = sensor.tick(timedelta(minutes=20))
    assert asked(late) == []
    assert f"or now by `edpipeline sync --district {district}`" in said(late)
    sensor.now = evening(NEXT_DAY, -30)
    assert asked(sensor.tick(), sensor.tick()) == [key(district, NEXT_DAY)]


def test_a_lost_connection_is_noted_and_tried_again_a_minute_later(sensor: Sensor) -> None:
    district = sensor.at_work.new_district()
    sensor.at_work.put(district, roster(), evening(DAY, -20))
    sensor.tick()
    sensor.at_work.server.faults.hang_up_at_login = True
    assert "went away during the login" in said(sensor.tick())
    sensor.at_work.server.faults.hang_up_at_login = False
    assert asked(sensor.tick()) == [key(district)]


def test_a_host_that_is_down_waits_for_its_turn_like_the_others(
    sensor: Sensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, down = sensor.at_work.new_district(), sensor.at_work.new_district()

    def listed(account: SftpAccount) -> list[RemoteFile]:
        if account.username == down:
            raise ConnectionLost("nobody answers")
        return []

    monkeypatch.setattr(sensors, "list_folder", listed)
    sensor.ticks(2)
    assert looked_at(sensor) == dict.fromkeys((good, down), sensor.now.isoformat())


def test_a_look_that_is_not_over_in_time_gives_way_to_those_not_begun(
    sensor: Sensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs, good = sensor.at_work.new_district(), sensor.at_work.new_district()
    test_is_over = Event()

    def listed(account: SftpAccount) -> list[RemoteFile]:
        if account.username == hangs:
            test_is_over.wait(20)
        return []

    monkeypatch.setattr(sensors, "list_folder", listed)
    monkeypatch.setattr(sensors, "LOOKS_AT_ONCE", 1)
    monkeypatch.setattr(sensors, "LOOKING_SECONDS", 0.5)
    try:
        assert f"{hangs}: the look into its folder took too long" in said(sensor.tick())
        assert list(looked_at(sensor)) == [hangs]
        sensor.tick()
        assert looked_at(sensor)[good] == sensor.now.isoformat()
    finally:
        test_is_over.set()


def test_bad_credentials_fail_a_tick(sensor: Sensor, monkeypatch: pytest.MonkeyPatch) -> None:
    district = sensor.at_work.new_district()
    monkeypatch.setenv(PASSWORD, "hunter2 is wrong")
    assert "refused the login" in said(sensor.tick())
    with pytest.raises(Permanent, match=f"{district}: .*refused the login") as raised:
        sensor.tick(timedelta(seconds=30))
    assert "hunter2" not in str(raised.value)


def test_a_changed_host_key_fails_a_tick(sensor: Sensor) -> None:
    other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJLWAz9n5P0oligs5vGNRRdaD78vS4Cozsj7mlAy7Odo"
    sensor.at_work.new_district(sftp={"host_key": other})
    sensor.tick()
    with pytest.raises(Permanent, match="showed the host key"):
        sensor.tick(timedelta(seconds=30))


def test_one_bad_district_does_not_stop_the_others(sensor: Sensor) -> None:
    bad = sensor.at_work.new_district(sftp={"password_env": "EDPIPELINE_TESTS_NOT_SET"})
    good = sensor.at_work.new_district()
    sensor.at_work.put(good, roster(), evening(DAY, -20))
    assert f"{bad}: the environment variable" in said(sensor.tick())
    with pytest.raises(Permanent, match=bad):
        sensor.tick(timedelta(seconds=30))
    assert asked(sensor.tick(timedelta(seconds=30))) == [key(good)]


def test_a_damaged_landing_of_one_district_does_not_stop_the_others(sensor: Sensor) -> None:
    bad, good = sensor.at_work.new_district(), sensor.at_work.new_district()
    for district in (bad, good):
        sensor.at_work.put(district, roster(), evening(DAY, -20))
    sensor.tick()
    sensor.at_work.damage_landing(bad, DAY)
    second = sensor.tick()
    assert asked(second) == [key(good)]
    with pytest.raises(Permanent, match=f"{bad}: the landing is damaged"):
        sensor.tick(timedelta(seconds=30))


def test_a_district_that_is_repaired_is_looked_into_again(
    sensor: Sensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    district = sensor.at_work.new_district()
    sensor.at_work.put(district, roster(), evening(DAY, -20))
    monkeypatch.setenv(PASSWORD, "wrong")
    sensor.tick()
    monkeypatch.undo()
    monkeypatch.setenv(PASSWORD, "correct horse battery staple")
    results = [sensor.tick(sensors.AFTER_TROUBLE), *sensor.ticks(2)]
    assert asked(*results) == [key(district)]


def test_a_wrong_districts_file_fails_the_tick_with_its_own_words(sensor: Sensor) -> None:
    sensor.at_work.settings.districts.write_text("districts:\n  - id: lincoln\n    nme: L\n")
    with pytest.raises(BadConfiguration, match=r"line 3: .*did you mean name\?"):
        sensor.tick()


def test_most_ticks_connect_to_nobody(sensor: Sensor, monkeypatch: pytest.MonkeyPatch) -> None:
    district = sensor.at_work.new_district()
    sensor.now = NOON
    sensor.tick()
    looks: list[object] = []
    monkeypatch.setattr(sensors, "list_folder", lambda account: looks.append(account) or ())
    for _ in range(60):
        result = sensor.tick(timedelta(seconds=30))
    assert len(looks) == 2
    assert said(result) == f"the next window opens 2025-09-09 23:00 UTC ({district})"


def test_districts_that_are_switched_off_or_paused_are_left_alone(sensor: Sensor) -> None:
    for use in ({"enabled": False}, {"pauses": [{"from": DAY, "to": DAY, "what": "sync"}]}):
        sensor.at_work.put(sensor.at_work.new_district(**use), roster(), evening(DAY, -20))
    assert asked(*sensor.ticks(3)) == []
    assert read_cursor(sensor.cursor) == {}


def test_without_its_cursor_the_sensor_remembers_what_has_landed(sensor: Sensor) -> None:
    district = sensor.at_work.new_district()
    sensor.at_work.deliver(district, DAY, roster())
    assert asked(*sensor.ticks(3)) == []
    sensor.cursor = "no cursor of ours"
    assert asked(*sensor.ticks(3)) == []


def test_a_second_delivery_of_a_day_is_not_taken(sensor: Sensor) -> None:
    district = sensor.at_work.new_district()
    assert sensor.at_work.deliver(district, DAY, roster()).success
    sensor.at_work.put(district, roster(students=25), evening(DAY, 10))
    sensor.now = evening(DAY, 20)
    results = sensor.ticks(3)
    assert asked(*results) == []
    assert "one a day is taken" in said(results[-1])


def test_yesterdays_late_delivery_gives_way_to_the_one_in_the_window(sensor: Sensor) -> None:
    district = sensor.at_work.new_district()
    late = sensor.at_work.put(district, roster(), evening(DAY - timedelta(days=1), 200))
    assert sensor.at_work.run(district, DAY, Asked(files=late)).success
    sensor.at_work.put(district, roster(students=25), evening(DAY, 10))
    sensor.now = evening(DAY, 20)
    assert asked(*sensor.ticks(3)) == [key(district)]


def test_a_corrected_delivery_is_taken_after_a_refused_one(sensor: Sensor) -> None:
    district = sensor.at_work.new_district()
    assert "Refused" in failure(sensor.at_work.deliver(district, DAY, dict.fromkeys(roster(), "")))
    sensor.at_work.put(district, roster(), evening(DAY, 10))
    sensor.now = evening(DAY, 20)
    assert asked(*sensor.ticks(3)) == [key(district)]


def test_the_same_files_of_a_day_have_the_same_run_key(sensor: Sensor) -> None:
    district = sensor.at_work.new_district()
    sensor.at_work.put(district, roster(), evening(DAY, -20))
    keys = set()
    for _ in range(2):
        sensor.cursor = None
        keys |= {r.run_key for result in sensor.ticks(2) for r in result.run_requests or []}
    assert len(keys) == 1
    assert str(keys.pop()).startswith(f"oneroster {key(district)} ")


def test_days_follow_the_districts_own_clock(sensor: Sensor) -> None:
    window = {"opens": "19:00", "closes": "21:00", "time_zone": "Pacific/Honolulu"}
    district = sensor.at_work.new_district(window=window)
    sensor.now = datetime(2025, 9, 10, 5, 30, tzinfo=UTC)
    sensor.at_work.put(district, roster(), sensor.now - timedelta(hours=1))
    assert asked(*sensor.ticks(2)) == [key(district, DAY)]
