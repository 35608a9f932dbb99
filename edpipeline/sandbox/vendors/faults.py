"""What goes wrong when asked to: which calls it befalls, and what becomes of their answers.

As JSON, every part may be left out:

    {"match": {"method": "GET", "path": "results$", "query": {"page": "2"}},
     "skip": 0, "times": 1, ...what happens}

`path` is a regular expression found anywhere in the path, `query` has values by name. The first
`skip` calls that match are spared, then `times` of them are befallen; null means all.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

RECORDS = (
    *("records", "results", "schools"),
    *("testAssignments", "componentResources", "resources"),
    *("assessmentLineItems", "assessmentResults", "attempts"),
)
"""Where a listing's answer has its records."""

_RETYPE: dict[str, Callable[[Any], Any]] = {
    "string": lambda value: value if isinstance(value, str) else json.dumps(value),
    "number": lambda value: 7,
    "boolean": lambda value: True,
    "object": lambda value: {"value": value},
    "array": lambda value: [value],
    "null": lambda value: None,
}


@dataclass(frozen=True)
class Match:
    """Which calls."""

    method: str | None = None
    path: str = ""
    query: Mapping[str, str] = field(default_factory=dict)

    def holds(self, method: str, path: str, query: Mapping[str, str]) -> bool:
        """Whether this call is one of them."""
        return (
            self.method in (None, method)
            and re.search(self.path, path) is not None
            and all(query.get(name) == str(value) for name, value in self.query.items())
        )


@dataclass
class Fault:
    """What happens to which calls. Whatever changes an answer leaves its other parts alone."""

    match: Match = field(default_factory=Match)
    skip: int = 0
    times: int | None = 1

    status: int | None = None
    """Answer so without asking the vendor; `body` is a text or JSON, by default an error."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Added to the answer, over those it has."""
    body: Any = None
    html: bool = False
    """Answer 200 with a web page."""
    delay_ms: float = 0
    """Answer so much later, in real time."""
    hang_s: float = 0
    """Say nothing for so many real seconds, then hang up."""
    drop_connection: bool = False
    """Hang up at once."""
    acts_first: bool = False
    """Let the vendor do what it was asked, then go wrong: drop_connection, hang_s or status."""
    half_body: bool = False
    """Hang up in the middle of the body."""
    token_revoked: bool = False
    """Revoke every token of the vendor before the call is answered."""
    repeat_page: bool | int = False
    """Answer with the page before, or with that page, and always promise another one."""
    lie_about_total: int | None = None
    """Say that there are so many pages."""
    of: str = ""
    """The field of an answer whose records change; by default the listing's, or the answer itself
    where it is about one test. The records of an answer that is a list are what it lists."""
    add_field: Mapping[str, Any] = field(default_factory=dict)
    """Fields and values for every record."""
    remove_field: str | list[str] = ""
    rename_field: Mapping[str, str] = field(default_factory=dict)
    """New names by old ones."""
    retype_field: Mapping[str, str] = field(default_factory=dict)
    """By field one of string, number, boolean, object, array, null."""

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> "Fault":
        """The fault that the JSON describes. Raises ValueError for what it cannot be."""
        unknown = set(given) - {it.name for it in fields(cls)}
        unknown |= set(given.get("match", {})) - {it.name for it in fields(Match)}
        if unknown:
            raise ValueError(f"a fault has no {sorted(unknown)}")
        fault = cls(**{**given, "match": Match(**given.get("match", {}))})
        try:
            re.compile(fault.match.path)
        except re.error as error:
            raise ValueError(f"path is no regular expression: {error}") from error
        for kind in fault.retype_field.values():
            if kind not in _RETYPE:
                raise ValueError(f"retype_field: a type is one of {list(_RETYPE)}")
        return fault

    def due(self, method: str, path: str, query: Mapping[str, str]) -> bool:
        """Whether it befalls this call; counts the call."""
        if self.times == 0 or not self.match.holds(method, path, query):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True

    def left(self) -> dict[str, Any]:
        """What is still to come of it."""
        return {"path": self.match.path, "kinds": self.kinds(), "times": self.times}

    def kinds(self) -> list[str]:
        """What happens, by name."""
        aside = ("match", "skip", "times")
        untouched = Fault()
        return [
            it.name
            for it in fields(self)
            if it.name not in aside and getattr(self, it.name) != getattr(untouched, it.name)
        ]

    def page_instead(self, page: int) -> int:
        """The page that is answered where this one was asked for."""
        if self.repeat_page is True:
            return max(1, page - 1)
        return self.repeat_page or page

    @property
    def changes_answer(self) -> bool:
        """Whether it changes what the vendor answers."""
        return bool(
            self.repeat_page
            or self.lie_about_total is not None
            or self.add_field
            or self.remove_field
            or self.rename_field
            or self.retype_field
        )

    def changed(self, body: bytes, page: int) -> bytes:
        """The vendor's answer to a call for this page, changed; without records it stays."""
        try:
            answer = json.loads(body)
        except ValueError:
            return body
        if isinstance(answer, list):
            records = [self._record(it) if isinstance(it, dict) else it for it in answer]
            return json.dumps(records, ensure_ascii=False).encode()
        if not isinstance(answer, dict):
            return body
        named = next((it for it in (self.of, *RECORDS) if it in answer), None)
        if named is not None:
            answer[named] = [self._record(record) for record in answer[named]]
        elif "lessonType" in answer:
            answer = self._record(answer)
        else:
            return body
        if self.repeat_page:
            answer |= _paging(answer, page, max(page + 1, answer.get("pageCount", 0)))
        if self.lie_about_total is not None:
            answer |= _paging(answer, page, self.lie_about_total)
        return json.dumps(answer, ensure_ascii=False).encode()

    def _record(self, record: dict[str, Any]) -> dict[str, Any]:
        removed = [self.remove_field] if isinstance(self.remove_field, str) else self.remove_field
        known = {
            self.rename_field.get(name, name): value
            for name, value in record.items()
            if name not in removed
        }
        for name, kind in self.retype_field.items():
            if name in known:
                known[name] = _RETYPE[kind](known[name])
        return {**known, **self.add_field}


def page_asked(query: Mapping[str, str]) -> int:
    """The page that a call asks for, from 1, by number or by offset; 1 where it names none."""
    page, offset, limit = (query.get(it, "") for it in ("page", "offset", "limit"))
    if page.isdigit():
        return int(page)
    if offset.isdigit() and limit.isdigit() and int(limit):
        return int(offset) // int(limit) + 1
    return 1


def other_page(query: Mapping[str, str], page: int) -> dict[str, str]:
    """The same call for another page."""
    if query.get("limit", "").isdigit():
        return {**query, "offset": str((page - 1) * int(query["limit"]))}
    return {**query, "page": str(page)}


def _paging(answer: Mapping[str, Any], page: int, pages: int) -> dict[str, Any]:
    """What an answer says about pages, in whichever of the three ways it does."""
    if "pageNumber" in answer:
        limit = answer["limit"]
        place = {"pageNumber": page, "offset": (page - 1) * limit}
        return {**place, "pageCount": pages, "totalCount": pages * limit}
    if "pageCount" in answer:
        return {"page": page, "pageCount": pages}
    return {"nextPage": page + 1 if page < pages else None}
