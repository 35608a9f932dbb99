"""What of a vendor's record may land: an allow-list of names, applied page by page. Pure.

Values stay as the vendor wrote them, to the byte: 7.10 stays 7.10, text stays text, null stays
null. What the allow-list does not name is dropped and remembered by name and JSON type alone;
so is an object where a single value was allowed, because what lies in it was not. A list of
single values lands as the text of its JSON.

Whole pages are worked on by set operations; only what is nested, renamed or unknown costs a pass
over the records.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from edpipeline.api import Child, Listing
from edpipeline.landing.answers import first_byte, object_of

MOST_UNKNOWN = 200
"""Names remembered: an object keyed by ids would bring a new one with every record."""
UNSHOWN = "(a name that is not shown)"
PLAIN_NAME = re.compile(r"(?!.*\d{5})[A-Za-z_][A-Za-z0-9_.$ -]{0,79}")
KINDS = {b"{": "object", b"[": "array", b'"': "string", b"t": "boolean", b"f": "boolean"}
NOTHING = frozenset({b"null", b'""', b"[]", b"{}"})
Record = dict[str, msgspec.Raw]

_encoder = msgspec.json.Encoder()
_list = msgspec.json.Decoder(list[msgspec.Raw])
_records = msgspec.json.Decoder(list[Record])


@dataclass
class Seen:
    """What came with the records so far, by JSON path."""

    unknown: dict[str, str] = field(default_factory=dict)
    """Paths that the allow-list does not have, and the JSON type of the first value."""
    known: set[str] = field(default_factory=set)

    def note(self, path: str, raw: msgspec.Raw) -> None:
        """Remember an unknown path; a name that could itself be data is not shown."""
        shown = path if PLAIN_NAME.fullmatch(path) else UNSHOWN
        if shown in self.unknown or len(self.unknown) < MOST_UNKNOWN:
            kind = KINDS.get(first_byte(raw), "null" if bytes(raw) == b"null" else "number")
            if self.unknown.get(shown, "null") == "null":
                self.unknown[shown] = kind


@dataclass(frozen=True)
class Shape:
    """An allow-list, prepared. `within` is the path of the list the records lie in, for names."""

    fields: Mapping[str, str]
    within: str = ""
    lists: frozenset[str] = frozenset()
    """Paths taken out by `children_of`."""
    withheld: frozenset[str] = frozenset()
    """Paths that are known and dropped without a word."""

    @property
    def renamed(self) -> dict[str, str]:
        """The paths that land under another name."""
        return {path: name for path, name in self.fields.items() if path != name}

    @property
    def heads(self) -> frozenset[str]:
        """Every object that something allowed lies in."""
        paths = [path.split(".") for path in (*self.fields, *self.lists)]
        return frozenset(".".join(steps[:size]) for steps in paths for size in range(1, len(steps)))


def shape_of(listing: Listing) -> Shape:
    """The allow-list of a listing's own records."""
    return Shape(listing.fields, lists=frozenset(listing.children))


def flattened(shape: Shape, records: list[Record]) -> list[Record]:
    """The records, changed in place: what lies in objects is at its dotted path."""
    for head in sorted(shape.heads):
        for record in records:
            inner = object_of(record[head]) if head in record else None
            if inner is not None:
                del record[head]
                record.update((f"{head}.{name}", raw) for name, raw in inner.items())
    return records


def children_of(path: str, child: Child, records: list[Record], seen: Seen) -> list[Record]:
    """The records within flattened records, with what they carry of them; taken out of them."""
    found: list[Record] = []
    carried: list[Record] = []
    presence: list[Record] = []
    for record in records:
        raw = record.pop(path, None)
        if raw is None or bytes(raw) == b"null":
            continue
        try:
            within = _records.decode(raw)
        except msgspec.DecodeError:
            seen.note(path, raw)
            continue
        seen.known.add(path)
        found += within
        presence += [_presence(child, one) for one in within]
        around = {name: record[of] for of, name in child.carried.items() if of in record}
        carried += [around] * len(within)
    withheld = frozenset(child.withheld).union(*child.present.values())
    shape = Shape(child.fields, path, withheld=withheld)
    _keep(shape, flattened(shape, found), seen)
    both = zip(carried, found, presence, strict=True)
    return [{**around, **one, **told} for around, one, told in both]


def _presence(child: Child, record: Record) -> Record:
    """Whether there is any value under certain names, by landed name."""
    return {
        told: msgspec.Raw(b"true" if any(_has_value(record, name) for name in names) else b"false")
        for told, names in child.present.items()
    }


def _has_value(record: Record, name: str) -> bool:
    return name in record and bytes(record[name]) not in NOTHING


def lines(shape: Shape, records: list[Record], seen: Seen) -> bytes:
    """The flattened records as JSON lines, with what is allowed under its landed name."""
    _keep(shape, records, seen)
    return encoded(records, seen)


def encoded(records: list[Record], seen: Seen) -> bytes:
    """Records of landed names as JSON lines; every value is a single one."""
    written = _encoder.encode_lines(records)
    # Braces within texts may look like nested values: then a closer look costs, and no more.
    if written.count(b"{") == len(records) and b"[" not in written:
        return written
    for record in records:
        for name in [name for name, raw in record.items() if first_byte(raw) in (b"{", b"[")]:
            _flatten_value(record, name, seen)
    return _encoder.encode_lines(records)


def missing(fields: Mapping[str, str], seen: Seen, within: str = "") -> tuple[str, ...]:
    """The allowed paths that no record had, where no other path brought their landed name."""
    prefix = f"{within}." if within else ""
    brought = {name for path, name in fields.items() if prefix + path in seen.known}
    return tuple(prefix + path for path, name in fields.items() if name not in brought)


def _keep(shape: Shape, records: list[Record], seen: Seen) -> None:
    """Drop what is not allowed, rename what is; in place."""
    prefix = f"{shape.within}." if shape.within else ""
    names: set[str] = set().union(*records)
    allowed = names & set(shape.fields)
    seen.known.update(prefix + name for name in allowed)
    for name in names - allowed:
        _drop(name, records, prefix, Seen() if name in shape.withheld else seen, shape.heads)
    renamed = {path: name for path, name in shape.renamed.items() if path in names}
    if renamed:
        _rename(renamed, shape.fields, records)


def _drop(
    name: str, records: Iterable[Record], prefix: str, seen: Seen, heads: frozenset[str]
) -> None:
    dropped = [raw for record in records if (raw := record.pop(name, None)) is not None]
    telling = next((raw for raw in dropped if bytes(raw) != b"null"), None)
    # A null where an object was expected holds nothing, and is nothing new.
    if telling is not None or name not in heads:
        seen.note(prefix + name, dropped[0] if telling is None else telling)


def _rename(
    renamed: Mapping[str, str], fields: Mapping[str, str], records: Iterable[Record]
) -> None:
    """Give records their landed names, in the order of the allow-list: the first path counts."""
    for record in records:
        landed: Record = {}
        for path, name in fields.items():
            if path in record:
                landed.setdefault(name, record[path])
        record.clear()
        record.update(landed)


def _flatten_value(record: Record, name: str, seen: Seen) -> None:
    raw = record[name]
    if first_byte(raw) == b"[":
        items = _list.decode(raw)
        if not any(first_byte(item) in (b"{", b"[") for item in items):
            record[name] = msgspec.Raw(_encoder.encode(_encoder.encode(items).decode()))
            return
    seen.note(name, raw)
    del record[name]
