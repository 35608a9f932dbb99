"""Flat records that land under their own names, worked on as structs: half the cost of mappings.

A struct has a place for every name, allowed or not, that has come so far, and its reader refuses
any other. So new names, and allowed ones that never come, are found without looking at each
record; the page that brings a new name is read once more.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from edpipeline.landing.redaction import MOST_UNKNOWN, Record, Seen, encoded

ABSENT = msgspec.Raw(b"")

_encoder = msgspec.json.Encoder()
_records = msgspec.json.Decoder(list[Record])


class Flat:
    """Reads and writes the pages of one listing."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = list(fields)
        self._kept: list[str] = []
        self._dropped: list[str] = []
        self._learn(set())

    def read(self, raw: msgspec.Raw) -> Sequence[Any]:
        """The records of a page as structs, or as mappings where new names come without end.

        Raises msgspec.DecodeError for what is no list of objects.
        """
        try:
            return self._decoder.decode(raw)
        except msgspec.ValidationError:
            records = _records.decode(raw)
        new = set().union(*records) - {*self._kept, *self._dropped}
        if len(new - {*self._fields}) + len(self._dropped) > MOST_UNKNOWN:
            return records
        self._learn(new)
        return self._decoder.decode(raw)

    def lines(self, records: Sequence[Any], seen: Seen) -> bytes:
        """Structs as JSON lines, without what is not allowed."""
        seen.known.update(self._kept)
        for name in self._dropped:
            self._drop(name, records, seen)
        written = _encoder.encode_lines(records)
        if written.count(b"{") == len(records) and b"[" not in written:
            return written
        # Something nested, or a text with braces: a closer look costs, and no more.
        return encoded([self._as_object(record) for record in records], seen)

    def _as_object(self, record: Any) -> dict[str, msgspec.Raw]:
        values = ((name, getattr(record, slot)) for name, slot in self._slots.items())
        return {name: value for name, value in values if value is not ABSENT}

    def _drop(self, name: str, records: Sequence[Any], seen: Seen) -> None:
        slot = self._slots[name]
        if seen.unknown.get(name, "null") == "null":
            came = [raw for one in records if (raw := getattr(one, slot)) is not ABSENT]
            if came:
                telling = (raw for raw in came if bytes(raw) != b"null")
                seen.note(name, next(telling, came[0]))
        for record in records:
            setattr(record, slot, ABSENT)

    def _learn(self, names: set[str]) -> None:
        self._kept = [name for name in self._fields if name in names or name in self._kept]
        self._dropped += sorted(names - {*self._fields})
        every = [*self._kept, *self._dropped]
        self._slots = {name: f"field_{number}" for number, name in enumerate(every)}
        kind = msgspec.defstruct(
            "Flat",
            [(slot, msgspec.Raw, ABSENT) for slot in self._slots.values()],
            rename={slot: name for name, slot in self._slots.items()},
            omit_defaults=True,
            forbid_unknown_fields=True,
            gc=False,
        )
        self._decoder: msgspec.json.Decoder[list[Any]] = msgspec.json.Decoder(list[kind])  # type: ignore[valid-type]
