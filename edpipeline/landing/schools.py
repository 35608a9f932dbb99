"""Which school of the roster a vendor's school is: what people decided, kept with what landed.

    <source>/<district>/schools/<instant>-<hash>.json     one for each act of a person

An act may be about many schools. Nothing is altered: of the decisions about one school of the
vendor the latest counts, the others tell how it came about.
"""

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from edpipeline.landing.records import as_record, damaged, in_utc, read_record, root_of
from edpipeline.landing.store import Store


@dataclass(frozen=True)
class SchoolDecision:
    """What a person said of one school of the vendor."""

    vendor_school_id: str
    school_id: str | None
    """The school of the roster; None where the roster has no such school."""
    by: str
    at: datetime


def decide_schools(
    store: Store,
    district_id: str,
    source: str,
    schools: Mapping[str, str | None],
    by: str,
    at: datetime,
) -> None:
    """Writes down one act: the school of the roster, or None, by the vendor's id of the school."""
    act = {"district_id": district_id, "source": source, "by": by, "at": in_utc(at)}
    record = as_record(act | {"schools": dict(schools)})
    name = f"{in_utc(at):%Y%m%dT%H%M%S%fZ}-{hashlib.sha256(record).hexdigest()[:12]}"
    store.write_bytes(f"{root_of(source, district_id)}/schools/{name}.json", record)


def school_decisions(store: Store, district_id: str, source: str) -> dict[str, SchoolDecision]:
    """The decision that counts, by the vendor's id of the school; raises Permanent for damage."""
    keys = store.list(f"{root_of(source, district_id)}/schools/")
    with ThreadPoolExecutor(8) as pool:
        acts = list(pool.map(lambda key: _read_act(store, key), keys))
    return {
        decision.vendor_school_id: decision
        for act in sorted(acts, key=lambda decisions: decisions[0].at)
        for decision in act
    }


def _read_act(store: Store, key: str) -> list[SchoolDecision]:
    data = read_record(store, key)
    try:
        by, at = str(data["by"]), datetime.fromisoformat(data["at"])
        found = [SchoolDecision(name, school, by, at) for name, school in data["schools"].items()]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged(key, store, "cannot be read as JSON of ours") from error
    if not found:
        raise damaged(key, store, "decides nothing")
    return found
