"""When the pairs of a district were listed, and what came of it: counts and words only.

<source>/<district>/listings/<day>/<instant>-<hash>.json     one for each listing
"""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from edpipeline.landing.records import as_record, in_utc, root_of
from edpipeline.landing.store import Store

INSTANT = "%Y%m%dT%H%M%S%fZ"


def write(store: Store, district_id: str, source: str, at: datetime, told: dict[str, Any]) -> None:
    """Write one listing down."""
    record = as_record({"district_id": district_id, "source": source, "at": in_utc(at), **told})
    name = f"{in_utc(at):{INSTANT}}-{hashlib.sha256(record).hexdigest()[:6]}"
    folder = f"{root_of(source, district_id)}/listings/{in_utc(at):%Y-%m-%d}"
    store.write_bytes(f"{folder}/{name}.json", record)


def was_listed_since(
    store: Store, district_id: str, source: str, since: datetime, now: datetime
) -> bool:
    """Whether there was a listing after an instant."""
    root, day = f"{root_of(source, district_id)}/listings", in_utc(since).date()
    while day <= in_utc(now).date():
        for key in store.list(f"{root}/{day}/"):
            at = datetime.strptime(key.rpartition("/")[2].partition("-")[0], INSTANT)
            if at.replace(tzinfo=UTC) > in_utc(since):
                return True
        day += timedelta(days=1)
    return False
