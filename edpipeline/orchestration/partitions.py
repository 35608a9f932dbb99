"""Day x district: which partition a delivery belongs to.

Districts are dynamic: a sensor adds those of the districts file. Days are delivery days, each in
its own district's time zone, so the days' own clock is UTC: a day's key exists from midnight UTC
of that day, which is before the evening of that day anywhere on Earth.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

import dagster as dg

DAY = "day"
DISTRICT = "district"
DISTRICTS = dg.DynamicPartitionsDefinition(name="districts")


def by_day_and_district(first_day: date) -> dg.MultiPartitionsDefinition:
    """One partition for each delivery day since `first_day`, today included, and district.

    Where the clock stands before `first_day`, days begin yesterday: today can always be synced.
    """
    first_day = min(first_day, datetime.now(UTC).date() - timedelta(days=1))
    days = dg.DailyPartitionsDefinition(first_day.isoformat(), timezone="UTC", end_offset=1)
    return dg.MultiPartitionsDefinition({DAY: days, DISTRICT: DISTRICTS})


def partition_key(district_id: str, day: date) -> dg.MultiPartitionKey:
    """The key of one district's delivery day: `2026-11-20|lincoln`."""
    return dg.MultiPartitionKey({DAY: day.isoformat(), DISTRICT: district_id})


def day_and_district(key: str) -> tuple[date, str]:
    """The delivery day and the district of a key."""
    day, district_id = str(key).split("|", 1)
    return date.fromisoformat(day), district_id


@contextmanager
def decided() -> Iterator[None]:
    """Build without Dagster's warnings about parts of it that may still change.

    Checks by partition and mappings from two dimensions to one are such parts. The lock holds one
    version of Dagster and the tests hold that they work in it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        warnings.simplefilter("ignore", dg.PreviewWarning)
        yield
