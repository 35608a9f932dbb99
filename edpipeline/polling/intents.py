"""What is written down before results are imported, so that a run that is killed has told of it.

    <source>/<district>/intents/<run>-<chunk>.json     pairs, when, by whom

The delivery of the chunk names its intent. One that no delivery names belongs to a run that ended
in between: what became of its imports has to be asked.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from edpipeline.landing import drop as landing
from edpipeline.landing.records import as_record, damaged, in_utc, read_record, root_of
from edpipeline.landing.store import Store

INTENT = "intent"
"""The choice of a delivery that names its intents."""


@dataclass(frozen=True)
class Meant:
    """One pair whose results were about to be imported."""

    student_id: str = field(repr=False)
    lesson_id: str
    attempt: int
    """The attempt that progress showed before."""


@dataclass(frozen=True)
class Intent:
    """The imports of one chunk."""

    name: str
    by: str
    at: datetime
    pairs: tuple[Meant, ...]


def write_intent(store: Store, district_id: str, source: str, intent: Intent) -> None:
    """Write an intent down, once."""
    told = {
        "name": intent.name,
        "district_id": district_id,
        "source": source,
        "by": intent.by,
        "at": in_utc(intent.at),
        "pairs": [[meant.student_id, meant.lesson_id, meant.attempt] for meant in intent.pairs],
    }
    key = f"{root_of(source, district_id)}/intents/{intent.name}.json"
    store.write_bytes(key, as_record(told))


def open_intents(store: Store, district_id: str, source: str, first: date) -> list[Intent]:
    """Intents since a day in UTC that no delivery names, the oldest first."""
    root = f"{root_of(source, district_id)}/intents/"
    keys = [key for key in store.list(root) if key.removeprefix(root) >= f"{first:%Y%m%d}"]
    if not keys:
        return []
    # The delivery's day is the district's, which may still be the one before.
    landed = landing.deliveries(store, district_id, source, first - timedelta(days=1))
    named = {each.choices.get(INTENT) for each in landed}
    found = [key for key in keys if key.removeprefix(root).removesuffix(".json") not in named]
    return [_read(store, key) for key in found]


def run_name(at: datetime, chance: str) -> str:
    """The name of a run; names sort by time."""
    return f"{in_utc(at):%Y%m%dT%H%M%S}-{chance}"


def _read(store: Store, key: str) -> Intent:
    data = read_record(store, key)
    try:
        pairs = tuple(
            Meant(student, lesson, int(attempt)) for student, lesson, attempt in data["pairs"]
        )
        return Intent(data["name"], data["by"], datetime.fromisoformat(data["at"]), pairs)
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(key, store, "cannot be read as JSON of ours") from error
