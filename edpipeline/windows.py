"""The daily window of a source, on the clock of its time zone: pure arithmetic.

A window opens and closes at local clock times. One that closes at or before the time it opens
crosses midnight, and belongs to the day on which it opened.

Where the clock jumps: a time that it skips counts as the moment of the jump; a time that comes
twice opens at the first and closes at the second. A window that would be empty by this keeps its
usual length. So every day has one opening and one closing, and opens before it closes.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from edpipeline.model import Window

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


def opens_at(window: Window, day: date) -> datetime:
    """The instant (UTC) at which the day's window opens."""
    return min(_instants(window, window.opens, day))


def closes_at(window: Window, day: date) -> datetime:
    """The instant (UTC) at which the day's window closes: the first that is outside it."""
    closing_day = day + DAY if crosses_midnight(window) else day
    closes, opens = max(_instants(window, window.closes, closing_day)), opens_at(window, day)
    return closes if closes > opens else opens + _length(window)


def state(window: Window, at: datetime) -> Literal["before", "open", "closed"]:
    """How the window of the delivery day at that instant stands.

    A window across midnight is never `closed`: when it closes, the next day has begun.
    """
    day = delivery_day(window, at)
    if at < opens_at(window, day):
        return "before"
    return "open" if at < closes_at(window, day) else "closed"


def delivery_day(window: Window, at: datetime) -> date:
    """The day to which something delivered at that instant belongs.

    It is the local calendar day; for as long as yesterday's window is open past midnight, it is
    yesterday. `at` must carry a time zone (ValueError).
    """
    if at.tzinfo is None:
        raise ValueError("an instant without a time zone means nothing; give it one")
    today = at.astimezone(ZoneInfo(window.time_zone)).date()
    if crosses_midnight(window) and at < closes_at(window, today - DAY):
        return today - DAY
    return today


def crosses_midnight(window: Window) -> bool:
    """Whether the window closes on the day after it opened."""
    return window.closes <= window.opens


def _length(window: Window) -> timedelta:
    opens, closes = (datetime.combine(date.min, t) for t in (window.opens, window.closes))
    return closes - opens + (DAY if crosses_midnight(window) else timedelta())


def _instants(window: Window, clock: time, day: date) -> tuple[datetime, datetime]:
    """The first and the last instant at which the clock shows this time: usually the same."""
    zone = ZoneInfo(window.time_zone)
    local = datetime.combine(day, clock, zone)
    first, last = (local.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    if last < first:  # Python's way to say that the clock skips this time.
        return (_jump(zone, last, first),) * 2
    return first, last


def _jump(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The first instant with the new offset, in (before, after]; jumps come at whole seconds."""
    offset = before.astimezone(zone).utcoffset()
    while after - before > SECOND:
        middle = before + (after - before) // (2 * SECOND) * SECOND
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after
