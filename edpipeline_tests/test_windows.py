"""Daily windows where clocks jump. US clocks jump on 2026-03-08 and 2026-11-01."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edpipeline.model import Window
from edpipeline.windows import closes_at, crosses_midnight, delivery_day, opens_at, state

NEW_YORK = "America/New_York"
LORD_HOWE = "Australia/Lord_Howe"
ZONES = [
    NEW_YORK,
    "America/Los_Angeles",
    "America/Phoenix",
    "Pacific/Honolulu",
    "America/St_Johns",
    "America/Havana",  # its clock skips 00:00 to 01:00
    "America/Santiago",
    LORD_HOWE,  # jumps by half an hour
    "Pacific/Chatham",  # 12:45 ahead of UTC
    "Africa/Casablanca",
    "Europe/Dublin",
    "Asia/Kathmandu",
    "Pacific/Kiritimati",
    "UTC",
]


def window(opens: str, closes: str, zone: str = NEW_YORK) -> Window:
    return Window(time.fromisoformat(opens), time.fromisoformat(closes), zone)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "day", "opens", "closes", "from_utc", "to_utc"),
    [
        # An evening keeps its local time on both sides of a jump.
        (NEW_YORK, "2026-03-07", "19:00", "21:00", "2026-03-08 00:00", "2026-03-08 02:00"),
        (NEW_YORK, "2026-03-08", "19:00", "21:00", "2026-03-08 23:00", "2026-03-09 01:00"),
        (NEW_YORK, "2026-10-31", "19:00", "21:00", "2026-10-31 23:00", "2026-11-01 01:00"),
        (NEW_YORK, "2026-11-01", "19:00", "21:00", "2026-11-02 00:00", "2026-11-02 02:00"),
        # 02:00 to 03:00 is skipped: an opening in it is the jump, at 07:00 UTC ...
        (NEW_YORK, "2026-03-08", "02:30", "04:00", "2026-03-08 07:00", "2026-03-08 08:00"),
        # ... and so is a closing.
        (NEW_YORK, "2026-03-08", "01:30", "02:30", "2026-03-08 06:30", "2026-03-08 07:00"),
        # What would be empty keeps its length.
        (NEW_YORK, "2026-03-08", "02:15", "02:45", "2026-03-08 07:00", "2026-03-08 07:30"),
        (NEW_YORK, "2026-03-08", "02:30", "03:00", "2026-03-08 07:00", "2026-03-08 07:30"),
        # 01:00 to 02:00 comes twice: opened at the first, closed at the second.
        (NEW_YORK, "2026-11-01", "01:15", "01:45", "2026-11-01 05:15", "2026-11-01 06:45"),
        (NEW_YORK, "2026-11-01", "00:30", "01:30", "2026-11-01 04:30", "2026-11-01 06:30"),
        # Across midnight, into a jump and out of it.
        (NEW_YORK, "2026-03-07", "22:00", "02:30", "2026-03-08 03:00", "2026-03-08 07:00"),
        (NEW_YORK, "2026-10-31", "22:00", "02:30", "2026-11-01 02:00", "2026-11-01 07:30"),
        # Half an hour on Lord Howe: 02:00 to 02:30 is skipped.
        (LORD_HOWE, "2026-10-04", "02:10", "02:40", "2026-10-03 15:30", "2026-10-03 15:40"),
        (LORD_HOWE, "2026-04-05", "01:40", "01:50", "2026-04-04 14:40", "2026-04-04 15:20"),
        # Chatham jumps at 02:45.
        ("Pacific/Chatham", "2026-09-27", "02:50", "05:00", "2026-09-26 14:00", "2026-09-26 15:15"),
        ("Pacific/Chatham", "2026-09-27", "19:00", "21:00", "2026-09-27 05:15", "2026-09-27 07:15"),
        # Havana skips the first hour of the day: it opens with the day.
        ("America/Havana", "2026-03-08", "00:15", "00:45", "2026-03-08 05:00", "2026-03-08 05:30"),
    ],
)  # fmt: skip
def test_a_window_opens_and_closes_at_these_instants(
    zone: str, day: str, opens: str, closes: str, from_utc: str, to_utc: str
) -> None:
    of_day = window(opens, closes, zone)
    assert opens_at(of_day, date.fromisoformat(day)) == utc(from_utc)
    assert closes_at(of_day, date.fromisoformat(day)) == utc(to_utc)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-03-08 12:00", "before"),
        ("2026-03-08 22:59:59", "before"),
        ("2026-03-08 23:00", "open"),
        ("2026-03-09 00:59:59", "open"),
        ("2026-03-09 01:00", "closed"),
        ("2026-03-09 03:59", "closed"),
        ("2026-03-09 04:00", "before"),
    ],
)
def test_an_evening_window_is_before_open_and_closed_in_turn(at: str, expected: str) -> None:
    assert state(window("19:00", "21:00"), utc(at)) == expected


@pytest.mark.parametrize(
    ("at", "expected", "day"),
    [
        ("2026-06-01 21:59", "before", date(2026, 6, 1)),
        ("2026-06-01 22:00", "open", date(2026, 6, 1)),
        ("2026-06-02 01:59", "open", date(2026, 6, 1)),
        ("2026-06-02 02:00", "before", date(2026, 6, 2)),
    ],
)
def test_a_window_across_midnight_belongs_to_the_day_it_opened(
    at: str, expected: str, day: date
) -> None:
    across = window("22:00", "02:00", "UTC")
    assert state(across, utc(at)) == expected
    assert delivery_day(across, utc(at)) == day


def test_a_delivery_day_is_the_local_day_whatever_the_state_of_the_window() -> None:
    evening = window("19:00", "21:00", "America/Los_Angeles")
    assert delivery_day(evening, utc("2026-06-02 06:59")) == date(2026, 6, 1)
    assert delivery_day(evening, utc("2026-06-02 07:00")) == date(2026, 6, 2)


def test_an_instant_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        delivery_day(window("19:00", "21:00"), datetime(2026, 6, 1, 19))


minutes = st.integers(0, 24 * 60 - 1).map(lambda m: time(m // 60, m % 60))
windows = st.builds(Window, minutes, minutes, st.sampled_from(ZONES))
days = st.dates(date(2024, 1, 1), date(2030, 12, 31))


@given(windows, days)
def test_every_day_has_one_opening_before_one_closing(of_day: Window, day: date) -> None:
    opens, closes = opens_at(of_day, day), closes_at(of_day, day)
    assert opens < closes
    assert opens < opens_at(of_day, day + timedelta(days=1))
    assert closes < closes_at(of_day, day + timedelta(days=1))


@given(windows, days)
def test_a_window_is_off_its_usual_length_by_no_more_than_a_jump(of_day: Window, day: date) -> None:
    length = closes_at(of_day, day) - opens_at(of_day, day)
    clock = timedelta(
        hours=of_day.closes.hour - of_day.opens.hour,
        minutes=of_day.closes.minute - of_day.opens.minute,
    )
    usual = clock % timedelta(days=1) or timedelta(days=1)
    assert abs(length - usual) <= timedelta(hours=1)


@given(windows, days, st.integers(0, 24 * 60))
def test_a_window_is_open_from_its_opening_until_its_closing(
    of_day: Window, day: date, minute: int
) -> None:
    opens, closes = opens_at(of_day, day), closes_at(of_day, day)
    # A window of nearly a whole day may, by a jump, still be open when the next one opens.
    assume(closes - opens <= timedelta(hours=22))
    assert state(of_day, opens - timedelta(seconds=1)) != "open"
    assert state(of_day, opens) == "open"
    assert state(of_day, closes - timedelta(seconds=1)) == "open"
    assert state(of_day, closes) != "open"
    at = opens + timedelta(minutes=minute)
    if at < closes:
        assert delivery_day(of_day, at) == day


@given(windows, st.datetimes(datetime(2024, 1, 1), datetime(2030, 12, 31), timezones=st.just(UTC)))
def test_the_delivery_day_is_today_or_the_yesterday_that_is_still_open(
    of_day: Window, at: datetime
) -> None:
    today = at.astimezone(ZoneInfo(of_day.time_zone)).date()
    day = delivery_day(of_day, at)
    if day != today:
        assert day == today - timedelta(days=1)
        assert crosses_midnight(of_day)
        assert at < closes_at(of_day, day)
