"""What is written down of an erasure: when, by whom, how much; never whose.

    erasures/<district>/<instant>.json     one for each, written first and completed last

While it goes on, the record holds a pseudonym of the student, so that the same request, made again
after it was killed, is known as the same one.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from edpipeline.landing.records import as_record, checked_step, in_utc, read_record
from edpipeline.landing.store import Store


@dataclass(frozen=True)
class Record:
    """One erasure."""

    district_id: str
    what: str
    """`student` or `district`."""
    by: str
    at: str
    of: str = ""
    """Pseudonym of the student, until landing is done."""
    landing_done: bool = False
    completed: bool = False
    removed: Mapping[str, int] | None = None

    @property
    def key(self) -> str:
        """Where it is kept."""
        instant = datetime.fromisoformat(self.at)
        name = f"{instant:%Y%m%dT%H%M%S%fZ}"
        return f"erasures/{checked_step(self.district_id, 'district_id')}/{name}.json"


def begin(store: Store, district_id: str, what: str, by: str, at: datetime, of: str = "") -> Record:
    """Write down that an erasure begins; one that was killed goes on."""
    for record in unfinished(store, district_id):
        if (record.what, record.of) == (what, of) and not record.landing_done:
            return record
    record = Record(district_id, what, by, in_utc(at).isoformat(), of)
    _write(store, record)
    return record


def landing_is_done(store: Store, record: Record, removed: Mapping[str, int]) -> Record:
    """From now on it can be finished without knowing whose it is."""
    done = replace(record, landing_done=True, of="", removed=dict(removed))
    _write(store, done)
    return done


def complete(store: Store, record: Record, removed: Mapping[str, int]) -> None:
    """Write down that nothing is left to do."""
    _write(store, replace(record, landing_done=True, of="", completed=True, removed=dict(removed)))


def unfinished(store: Store, district_id: str) -> list[Record]:
    """Erasures of a district that were killed, the oldest first."""
    keys = store.list(f"erasures/{checked_step(district_id, 'district_id')}/")
    return [record for key in keys if not (record := _read(store, key)).completed]


def _read(store: Store, key: str) -> Record:
    data = read_record(store, key)
    return Record(**{name: data[name] for name in Record.__dataclass_fields__})


def _write(store: Store, record: Record) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "record.json"
        path.write_bytes(as_record(asdict(record)))
        store.replace_file(record.key, path)
