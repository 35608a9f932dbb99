"""A listing of a vendor's API, pulled into JSON lines.

    pulled = pull(client, "assessments", {"subject": "SR"}, folder, name="SR")

One object a line, keys are landed names, values are as the vendor wrote them, and a key that a
record did not have is not there. Pages are written as they come, so memory does not grow with
the answer. Only what the allow-list names is ever written; see `redaction.py`. A pull that fails
leaves no file, and the next one starts clean.
"""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import msgspec

from edpipeline.api import Listing
from edpipeline.errors import BadConfiguration, Transient
from edpipeline.landing import redaction
from edpipeline.landing.flat import Flat
from edpipeline.landing.http import Client
from edpipeline.landing.pages import Page, pages
from edpipeline.landing.redaction import Record, Seen
from edpipeline.landing.store import plain_disk_errors

END = 1 << 16
_records = msgspec.json.Decoder(list[Record])


@dataclass(frozen=True)
class Pulled:
    """What one pull wrote."""

    files: Mapping[str, Path]
    """The files, by name without ending: the listing's own first, then its children's."""
    records: Mapping[str, int]
    """Records by file."""
    pages: int
    bytes: int
    """Size of the answers, unpacked."""
    unknown: Mapping[str, str] = field(default_factory=dict)
    """JSON path: JSON type, of what came, is not allowed and was dropped."""
    missing: tuple[str, ...] = ()
    """Allowed JSON paths that no record had; empty where there was no record."""


def pull(
    client: Client,
    listing: str | Listing,
    values: Mapping[str, str],
    folder: Path,
    name: str | None = None,
) -> Pulled:
    """Pull a listing, or one part of it that `values` ask for, into `<folder>/<name>.jsonl`.

    Children go to `<folder>/<child>.jsonl`, or to `<name>-<child>.jsonl` where a name is given.
    A listing without records makes empty files. Raises what `pages` raises, and Transient for a
    page that repeats one before, or a full disk; ValueError where such a file is there already.
    """
    one = _listing(client, listing)
    own = name or one.name
    files = {own: folder / f"{own}.jsonl"}
    for child in one.children.values():
        of = f"{name}-{child.name}" if name else child.name
        files[of] = folder / f"{of}.jsonl"
    if taken := [path.name for path in files.values() if path.exists()]:
        raise ValueError(f"{folder.name} has {taken[0]}: give each pull a name, or a folder")
    with plain_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as cleaning, ExitStack() as opened:
            for path in files.values():
                cleaning.callback(path.unlink, missing_ok=True)
            written = [opened.enter_context(path.open("wb")) for path in files.values()]
            work = _Work(one, written)
            for page in pages(client, one, values, work.read):
                work.take(page)
            cleaning.pop_all()
    records = dict(zip(files, work.records, strict=True))
    missing = work.missing() if work.records[0] else ()
    return Pulled(files, records, work.pages, work.bytes, dict(work.seen.unknown), missing)


class _Work:
    """Pages on their way into files: the listing's own file, then one for each child."""

    def __init__(self, listing: Listing, files: Sequence[IO[bytes]]) -> None:
        self.listing, self.files = listing, files
        self.shape = redaction.shape_of(listing)
        is_flat = not (listing.children or self.shape.renamed or self.shape.heads)
        self.flat = Flat(listing.fields) if is_flat else None
        self.seen = Seen()
        self.records = [0] * (1 + len(listing.children))
        self.pages = self.bytes = 0
        self._digests: dict[bytes, int] = {}

    def take(self, page: Page) -> None:
        """Write a page down."""
        for file, part in zip(self.files, self.shaped(page), strict=True):
            file.write(part)

    def shaped(self, page: Page) -> list[bytes]:
        """A page as the lines of each file, counted. Raises Transient where it repeats one."""
        first = page.records[0] if page.records else None
        self._require_new(b"first" + msgspec.json.encode(first), page) if first else None
        parts, counts = self._parts(page)
        if first:
            # Both ends tell pages apart, and cost less than all of it.
            self._require_new(b"%d" % len(parts[0]) + parts[0][:END] + parts[0][-END:], page)
        self.records = [old + new for old, new in zip(self.records, counts, strict=True)]
        self.pages += 1
        self.bytes += page.size
        return parts

    def read(self, raw: msgspec.Raw) -> Sequence[Any]:
        """The records of a page, as the quickest form that serves."""
        return self.flat.read(raw) if self.flat else _records.decode(raw)

    def _parts(self, page: Page) -> tuple[list[bytes], list[int]]:
        """The lines of each file, and how many they are."""
        if self.flat and page.records and not isinstance(page.records[0], dict):
            return [self.flat.lines(page.records, self.seen)], [len(page.records)]
        records = redaction.flattened(self.shape, list(page.records))
        children: list[list[Record]] = [
            redaction.children_of(path, child, records, self.seen)
            for path, child in self.listing.children.items()
        ]
        parts = [redaction.lines(self.shape, records, self.seen)]
        parts += [redaction.encoded(rows, self.seen) for rows in children]
        return parts, [len(records), *map(len, children)]

    def missing(self) -> tuple[str, ...]:
        """The allowed paths that no record had."""
        found = redaction.missing(self.listing.fields, self.seen)
        for path, child in self.listing.children.items():
            # Where no record had a child, nobody can say what children lack.
            if path in self.seen.known:
                found += redaction.missing(child.fields, self.seen, path)
        return found

    def _require_new(self, content: bytes, page: Page) -> None:
        digest = hashlib.sha256(content).digest()
        before = self._digests.setdefault(digest, page.number)
        if before != page.number:
            raise Transient(
                f"{self.listing.name}: page {page.number} repeats page {before}: the list changed"
                " while it was read, or its paging is not what the specification says"
            )


def _listing(client: Client, listing: str | Listing) -> Listing:
    if isinstance(listing, Listing):
        return listing
    if listing not in client.spec.listings:
        known = ", ".join(client.spec.listings) or "none"
        raise BadConfiguration(f"{client.spec.title} has no listing {listing!r}; it has: {known}")
    return client.spec.listings[listing]
