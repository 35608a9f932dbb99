"""What a vendor says of one thing, redacted by the allow-list of the lookup. Pure.

Values stay as the vendor wrote them until somebody reads them; they are copies, so nothing of the
answer beside them is kept in memory.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from edpipeline.api import Lookup
from edpipeline.errors import Garbled
from edpipeline.landing import redaction
from edpipeline.landing.answers import Answer, first_byte
from edpipeline.landing.redaction import Record, Seen, Shape


@dataclass(frozen=True)
class Looked:
    """One answer. What is in it is a student's: it is shown nowhere."""

    record: Record = field(repr=False)
    """Values as they were written, by landed name; lists are the text of their JSON."""
    children: Mapping[str, Sequence[Record]] = field(repr=False)
    """The same of what lies within, by name of the child; absent where the answer has no list."""
    unknown: Mapping[str, str]
    """JSON path: JSON type, of what came, is not allowed and was dropped."""
    status: int
    request_id: str
    seconds: float
    tries: int

    def value(self, name: str) -> Any:
        """The value of that landed name in Python's words; None where there is none."""
        return plain(self.record).get(name)


def plain(record: Record) -> dict[str, Any]:
    """A record in Python's words."""
    return {name: msgspec.json.decode(raw) for name, raw in record.items()}


def looked(lookup: Lookup, answer: Answer, name: str, seconds: float) -> Looked:
    """What may be kept of an answer; `name` is what the request is called in messages.

    Raises Garbled where the answer is no object, or no list of objects where that is expected.
    """
    content = _object(lookup, answer)
    if content is None:
        expected = "list of objects" if lookup.as_list else "object"
        garbled = Garbled(
            f"{name}: the answer ({answer.status}, {answer.size} bytes) is no JSON {expected}; the"
            " vendor's API has changed"
        )
        garbled.status, garbled.request_id = answer.status, answer.request_id
        raise garbled
    seen = Seen()
    shape = Shape(
        lookup.fields, lists=frozenset(lookup.children), withheld=frozenset(lookup.withheld)
    )
    records = redaction.flattened(shape, [content])
    children = {}
    for path, child in lookup.children.items():
        rows = redaction.children_of(path, child, records, seen)
        if path in seen.known:
            redaction.encoded(rows, seen)
            children[child.name] = [_copied(row) for row in rows]
    redaction.lines(shape, records, seen)
    return Looked(
        record=_copied(records[0]),
        children=children,
        unknown=dict(seen.unknown),
        status=answer.status,
        request_id=answer.request_id,
        seconds=seconds,
        tries=answer.tries,
    )


def _object(lookup: Lookup, answer: Answer) -> Record | None:
    """The answer as an object; a list is its value of no name. None where it is not as expected."""
    if not lookup.as_list:
        return dict(answer.content) if isinstance(answer.content, dict) else None
    records = answer.content
    if isinstance(records, dict) or any(first_byte(one) != b"{" for one in records):
        return None
    return {"": msgspec.Raw(msgspec.json.encode(records))}


def _copied(record: Record) -> Record:
    return {name: msgspec.Raw(bytes(raw)) for name, raw in record.items()}
