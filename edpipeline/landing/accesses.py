"""Who asked a vendor for something of a student that is never kept, such as links to reports.

    <source>/<district>/accesses/<day>/<instant>-<hash>.json     one for each time (UTC)

What was given is told in words, and is not in the record.
"""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

from edpipeline.landing.records import as_record, damaged, in_utc, read_record, root_of
from edpipeline.landing.store import Store


@dataclass(frozen=True)
class Access:
    """One time that a person was given, or not given, links to one student's reports."""

    at: datetime
    by: str
    student_id: str = field(repr=False)
    ssid: str = field(repr=False)
    reports: str | None
    """The reports, such as `CAASPP EN 2025, CAST ES 2026`; None for none."""
    link_count: int
    asked_type: str | None = None
    asked_language: str | None = None
    asked_year: int | None = None


def record_access(store: Store, district_id: str, source: str, access: Access) -> None:
    """Write one access down."""
    at = in_utc(access.at)
    told = {name: getattr(access, name) for name in Access.__dataclass_fields__}
    record = as_record({"district_id": district_id, "source": source, **told, "at": at})
    name = f"{at:%Y%m%dT%H%M%S%fZ}-{hashlib.sha256(record).hexdigest()[:12]}"
    key = f"{root_of(source, district_id)}/accesses/{at:%Y-%m-%d}/{name}.json"
    store.write_bytes(key, record)


def recorded_accesses(store: Store, district_id: str, source: str) -> list[Access]:
    """Every access, the oldest first; raises Permanent for damage."""
    keys = sorted(store.list(f"{root_of(source, district_id)}/accesses/"))
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda key: _read(store, key), keys))


def _read(store: Store, key: str) -> Access:
    data = read_record(store, key)
    try:
        told = {name: data[name] for name in Access.__dataclass_fields__}
        return Access(**{**told, "at": datetime.fromisoformat(data["at"])})
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(key, store, "cannot be read as JSON of ours") from error
