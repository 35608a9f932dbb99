"""What the sensor remembers between ticks: JSON, compressed to some tens of bytes a district,
because Dagster keeps the cursor of every tick for days.

Losing it loses nothing: what has landed is looked up again.
"""

import json
import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from edpipeline.errors import BadConfiguration
from edpipeline.landing.stability import Look

FORMAT = 2
VERSIONS = 30
"""Versions remembered as taken of files that are no longer there: some may come back."""


@dataclass(frozen=True)
class Memory:
    """What is remembered of one district."""

    looked_at: datetime
    look: Look | None = None
    asked_for: str = ""
    """The delivery day for which a run was asked last."""
    trouble: str = ""
    """Why its folder cannot be looked into, until it can."""
    present: frozenset[str] = frozenset()
    """Versions of the files that are there; not kept."""


def read_cursor(cursor: str | None) -> dict[str, Memory]:
    """Memories by district; none where there is no cursor, or one of another format."""
    try:
        data = json.loads(zlib.decompress(b64decode(cursor or "")) if cursor else "{}")
        if data.get("format") != FORMAT:
            return {}
        return {name: _memory(one) for name, one in data["districts"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, BadConfiguration, zlib.error):
        return {}


def write_cursor(memories: Mapping[str, Memory]) -> str:
    """The cursor that `read_cursor` reads."""
    districts = {name: _plain(memory) for name, memory in sorted(memories.items())}
    text = json.dumps({"format": FORMAT, "districts": districts}, separators=(",", ":"))
    return b64encode(zlib.compress(text.encode())).decode()


def _memory(data: Mapping[str, Any]) -> Memory:
    look = Look.from_json(json.dumps(data["look"])) if data["look"] else None
    looked_at = datetime.fromisoformat(data["looked_at"])
    return Memory(looked_at, look, data["asked_for"], data["trouble"])


def _plain(memory: Memory) -> dict[str, Any]:
    look = memory.look
    if look and memory.present:
        away = [one for one in look.taken if one not in memory.present][-VERSIONS:]
        there = [one for one in look.taken if one in memory.present]
        look = replace(look, taken=(*away, *there))
    return {
        "looked_at": memory.looked_at.isoformat(),
        "look": json.loads(look.to_json()) if look else None,
        "asked_for": memory.asked_for,
        "trouble": memory.trouble,
    }
