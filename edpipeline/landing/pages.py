"""A listing, page by page: which page comes next, when it ends, and when an answer cannot be true.

Three things end a listing: the number of pages or records that the vendor announced, a null where
the next page would be named, or, where nothing of the kind is in the answer, a page that is empty
or shorter than the one before.

Where pages are numbered and the last one is full, the page after it is asked for once: a vendor
that announces too few pages would leave out the rest in silence.

`Transient` where a list that changed while it was read may be the reason, because the next try
sees it at rest: a page that repeats another or comes empty too early, a number of pages or of
records that shrinks, or grows by more than a tenth, other records in all than announced.
`Permanent` where the vendor's API is not what the specification says, because it will be the
same next time: no list where the records should be, a next page that is no name, more pages than
the specification allows.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from edpipeline.api import Listing, Paging, places
from edpipeline.errors import (
    BadConfiguration,
    BadCredentials,
    EdpipelineError,
    Permanent,
    Transient,
)
from edpipeline.filling import filled_parameters
from edpipeline.landing.answers import Answer, at_path
from edpipeline.landing.http import Client

GROWTH = 1.1
_list = msgspec.json.Decoder(list[msgspec.Raw])
Read = Callable[[msgspec.Raw], Sequence[Any]]
"""How a page's list becomes records; raises msgspec.DecodeError for what is no list of objects."""


@dataclass(frozen=True)
class Page:
    """One page: its number from 1, its records, their values not yet read, its size in bytes."""

    number: int
    records: Sequence[Any] = field(repr=False)
    size: int


def pages(
    client: Client, listing: Listing, values: Mapping[str, str], read: Read
) -> Iterator[Page]:
    """The pages of a listing, in their order, one request each.

    Raises BadConfiguration for a value the listing does not take, what `Client.get` raises, and
    Permanent or Transient as this module's docstring says.
    """
    unknown = sorted(set(values) - places(listing))
    if unknown:
        raise BadConfiguration(
            f"{client.spec.title}: {listing.name} takes no value {unknown[0]}; it takes:"
            f" {', '.join(sorted(places(listing))) or 'none'}"
        )
    fixed = filled_parameters(listing.parameters, {**client.values, **values})
    walk = _Walk(f"{client.spec.title}: GET {listing.path}", listing.paging)
    while walk.parameters is not None:
        parameters = {**fixed, **walk.parameters}
        answer = client.get(listing.path, values, parameters, listing.says)
        raw = _list_of(answer, listing, f"{walk.name}: page {walk.number}")
        records = _records_of(raw, read)
        if records is None:
            raise Permanent(
                f"{walk.name}: page {walk.number} ({answer.size} bytes):"
                f" `{listing.records}` is no list of objects"
            )
        page = Page(walk.number, records, answer.size)
        walk.advance(answer, len(records))
        yield page
    if walk.beyond is not None:
        parameters = {**fixed, **walk.beyond}
        if _has_more(client, listing, values, parameters, raw, walk):
            raise Transient(
                f"{walk.name}: there are records after page {walk.number}, which was announced as"
                " the last"
            )


def _has_more(
    client: Client,
    listing: Listing,
    values: Mapping[str, str],
    parameters: Mapping[str, str],
    last: msgspec.Raw,
    walk: "_Walk",
) -> bool:
    """Whether records follow a last page that is full. A vendor may refuse to say, or give the
    last page once more: then nothing follows."""
    try:
        answer = client.get(listing.path, values, parameters, listing.says)
        raw = _list_of(answer, listing, walk.name)
    except BadCredentials:
        raise
    except (Permanent, Transient):
        return False
    records = _records_of(raw, _list.decode)
    return bool(records) and bytes(raw) != bytes(last) and walk.is_beyond(answer)


class _Walk:
    """Where we are in a listing. `parameters` asks for the next page; None when all are here."""

    def __init__(self, name: str, paging: Paging) -> None:
        self.name, self.paging = name, paging
        self.number = 1
        self.parameters: dict[str, str] | None = self._parameters(str(paging.first_page))
        self._records = 0
        self._before: int | None = None
        self._announced: dict[str, tuple[int, int]] = {}
        self._visited = {str(paging.first_page)}
        self.beyond: dict[str, str] | None = None
        """What asks for the page after the last one, where that one is full: a list that ends
        with a full page may have been cut off there."""

    def advance(self, answer: Answer, received: int) -> None:
        """Take the answer to page `number` in: go to the next page, or end."""
        self._records += received
        following = self._following(answer, received)
        self._before = received
        if following is None:
            self._require_all()
            self.parameters = None
            by_number = self.paging.style != "offset" and all(n.isdecimal() for n in self._visited)
            if by_number and received >= self.paging.size:
                self.beyond = self._parameters(str(self.paging.first_page + self.number))
            return
        if self.number >= self.paging.most_pages:
            raise self._error(
                Permanent, f"more than {self.paging.most_pages} pages, see paging.most_pages"
            )
        self.number += 1
        self.parameters = self._parameters(following)

    def _parameters(self, place: str) -> dict[str, str]:
        is_offset = self.paging.style == "offset"
        at = self.paging.offset_parameter if is_offset else self.paging.page_parameter
        first = "0" if is_offset and self.number == 1 else place
        return {at: first, self.paging.size_parameter: str(self.paging.size)}

    def _following(self, answer: Answer, received: int) -> str | None:
        """Where the next page is, None where this was the last."""
        paging = self.paging
        total = self._number(answer, paging.total_field) if paging.total_field else None
        match paging.style:
            case "page":
                count = self._number(answer, paging.count_field)
                self._require_asked(answer)
                return self._by_number(count, total, received)
            case "next":
                return self._by_name(answer, received)
            case "offset":
                return str(self._records) if self._goes_on(self._records, total, received) else None

    def _by_number(self, count: int | None, total: int | None, received: int) -> str | None:
        at, all_of_it = (self._records, total) if count is None else (self.number, count)
        following = str(self.paging.first_page + self.number)
        return following if self._goes_on(at, all_of_it, received) else None

    def _goes_on(self, at: int, all_of_it: int | None, received: int) -> bool:
        if all_of_it is None:
            return received > 0 and (self._before is None or received >= self._before)
        if at < all_of_it and not received:
            raise self._error(Transient, "is empty, though more was announced")
        return at < all_of_it

    def _by_name(self, answer: Answer, received: int) -> str | None:
        raw = at_path(answer.content, self.paging.next_field)
        if raw is None:
            if self.number > 1 or received < self.paging.size:
                return None
            raise self._error(
                Permanent, f"has no `{self.paging.next_field}`, so nobody can say what is missing"
            )
        named = msgspec.json.decode(raw)
        if named in (None, "", False):
            return None
        if not isinstance(named, int | str) or len(str(named)) > 1000:
            raise self._error(Permanent, f"has a `{self.paging.next_field}` that names no page")
        if str(named) in self._visited:
            raise self._error(Transient, "names a page as the next one that was here before")
        if not received:
            raise self._error(Transient, "is empty, though it names a next page")
        self._visited.add(str(named))
        return str(named)

    def is_beyond(self, answer: Answer) -> bool:
        """Whether the answer is another page than the last one, as far as it says."""
        answered = self._number(answer, self.paging.page_field)
        return answered is None or answered > self.paging.first_page + self.number - 1

    def _require_asked(self, answer: Answer) -> None:
        answered = self._number(answer, self.paging.page_field)
        if answered is not None and answered != self.paging.first_page + self.number - 1:
            raise self._error(Transient, f"was asked for, and page {answered} came")

    def _number(self, answer: Answer, name: str) -> int | None:
        """A number the answer announces, None where it does not; it may hardly change."""
        raw = at_path(answer.content, name)
        found = None if raw is None else msgspec.json.decode(raw)
        if found is None:
            return None
        if isinstance(found, str) and found.isdecimal():
            found = int(found)
        if isinstance(found, bool) or not isinstance(found, int) or found < 0:
            raise self._error(Permanent, f"has a `{name}` that is no whole number")
        if name != self.paging.page_field:
            first, latest = self._announced.get(name, (found, found))
            if found < latest or found > first * GROWTH + 1:
                raise self._error(Transient, f"says `{name}` is {found}, after {latest}")
            self._announced[name] = (first, found)
        return found

    def _require_all(self) -> None:
        _, total = self._announced.get(self.paging.total_field, (0, None))
        if total is not None and total != self._records:
            raise self._error(
                Transient, f"was the last, with {self._records} records in all of {total} announced"
            )

    def _error(self, kind: type[EdpipelineError], what: str) -> EdpipelineError:
        return kind(f"{self.name}: page {self.number} {what}")


def _list_of(answer: Answer, listing: Listing, name: str) -> msgspec.Raw:
    """What stands where the list should be; null is a list of none."""
    what = f"`{listing.records}`" if listing.records else "the answer"
    if listing.records:
        raw = at_path(answer.content, listing.records)
    else:
        raw = msgspec.Raw(msgspec.json.encode(answer.content))
    if raw is None:
        raise Permanent(f"{name} ({answer.size} bytes) has no {what}; the vendor's API has changed")
    return msgspec.Raw(b"[]") if bytes(memoryview(raw)[:1]) == b"n" else raw


def _records_of(raw: msgspec.Raw, read: Read) -> Sequence[Any] | None:
    try:
        return read(raw)
    except msgspec.DecodeError:
        return None
