"""Small JSON records in the store: what is written down about drops, and what people decided.

Records of a district and source lie below `<source>/<district>/`, each written once.
"""

import json
from datetime import UTC, datetime
from typing import Any

from edpipeline.errors import BadConfiguration, Permanent
from edpipeline.landing.store import STEP, Store

FORMAT = 1


def root_of(source: str, district_id: str) -> str:
    """Where the records of a district and source lie; raises BadConfiguration."""
    return f"{checked_step(source, 'source')}/{checked_step(district_id, 'district_id')}"


def checked_step(text: str, what: str) -> str:
    """`text` itself, when it may be one step of a key; raises BadConfiguration otherwise."""
    if not STEP.fullmatch(text):
        raise BadConfiguration(
            f"{what} {text[:40]!r}: use letters, digits, '_' and '-' only; it becomes a folder"
        )
    return text


def read_record(store: Store, key: str) -> dict[str, Any]:
    """The record under `key`. Raises NotFound, and Permanent for what is no record of ours."""
    try:
        data: dict[str, Any] = json.loads(store.read_bytes(key))
        known = data["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(key, store, "cannot be read as JSON of ours") from error
    if known != FORMAT:
        raise Permanent(
            f"{key} in {store.describe()} is of format {known!r}, this program reads "
            f"{FORMAT}: use a newer version"
        )
    return data


def as_record(data: dict[str, Any]) -> bytes:
    """The bytes of a record; days and instants as ISO 8601."""
    whole = {"format": FORMAT, **data}
    text = json.dumps(whole, indent=2, ensure_ascii=False, default=lambda at: at.isoformat())
    return (text + "\n").encode()


def in_utc(at: datetime) -> datetime:
    """The instant in UTC; raises ValueError where it has no time zone."""
    if at.tzinfo is None:
        raise ValueError("an instant without a time zone means nothing; give it one")
    return at.astimezone(UTC)


def damaged(key: str, store: Store, what: str) -> Permanent:
    """What is kept is not what landed; `what` says of `key` how."""
    return Permanent(
        f"the landing is damaged: {key} {what} in {store.describe()}; bring it back from a backup"
    )
