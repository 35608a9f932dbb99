"""Records as encoded text, served in pages as they stood at a moment.

A shelf's frame has one row a version of a record, in the order of its pages:
    key      text, the record's own id; rows of a record repeated per class share it
    subject  text, null where the listing knows no subjects
    year     text, the school year, null where the listing knows none
    school   text, the vendor's id of the school
    since    Int64, milliseconds since 1970 in UTC: when this version came to be
    until    Int64, when the next one replaced it; null while it stands
    json     text, the record
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

_NULL_FIELD = r',"\w+":null'
_BLOCK = 2_000
"""Different records of a bulk shelf."""
_ID_DIGITS = 12


@dataclass(frozen=True)
class Asked:
    """What a listing was asked for; None means any."""

    now: int
    """Milliseconds since 1970 in UTC."""
    subject: str | None = None
    year: str | None = None
    school: str | None = None
    since: int | None = None
    nulls: bool = True


class Listed(Protocol):
    """Something that can be listed in pages."""

    def count(self, asked: Asked) -> int:
        """How many records there are."""
        ...

    def page(self, asked: Asked, first: int, size: int) -> bytes | memoryview:
        """Up to `size` records from the one at `first`, as the inside of a JSON array."""
        ...


def encode(records: pl.DataFrame, written: Sequence[str] = ()) -> pl.Series:
    """Each row as JSON. The texts in the columns `written` are JSON numbers or words already."""
    # An escaped quotation mark has a backslash before it, so nothing inside a value can match.
    text = pl.struct(records.columns).struct.json_encode()
    if written:
        named = "|".join(re.escape(name) for name in written)
        # A text that is no number stays a text: `"NM"`.
        text = text.str.replace_all(rf'"({named})":"(-?\d+(?:\.\d+)?)"', '"${1}":${2}')
    return records.select(text.alias("json")).to_series()


class Shelf:
    """Records of which every version is kept."""

    def __init__(self, versions: pl.DataFrame) -> None:
        self._versions = versions
        self._found: dict[Asked, pl.Series] = {}

    def _records(self, asked: Asked) -> pl.Series:
        if asked not in self._found:
            stands = pl.col("until").is_null() | (pl.col("until") > asked.now)
            chosen = (pl.col("since") <= asked.now) & stands
            if asked.since is not None:
                chosen &= pl.col("since") >= asked.since
            for column in ("subject", "year", "school"):
                if getattr(asked, column) is not None:
                    chosen &= pl.col(column) == getattr(asked, column)
            found = self._versions.filter(chosen)["json"]
            if not asked.nulls:
                found = found.str.replace_all(_NULL_FIELD, "")
            if len(self._found) > 16:
                self._found.clear()
            self._found[asked] = found
        return self._found[asked]

    def count(self, asked: Asked) -> int:
        """How many records there are."""
        return len(self._records(asked))

    def page(self, asked: Asked, first: int, size: int) -> bytes:
        """Up to `size` records from the one at `first`, as the inside of a JSON array."""
        return ",".join(self._records(asked).slice(first, size)).encode()

    def keys(self, now: int) -> list[str]:
        """The keys of the records that stand, each once, in order."""
        ended = pl.col("until") <= now
        stands = (pl.col("since") <= now) & ~ended.fill_null(False)
        return self._versions.filter(stands)["key"].unique(maintain_order=True).to_list()

    def merged(
        self,
        changes: Iterable[Mapping[str, Any]],
        now: int,
        *,
        key: str,
        school: str,
        year: str | None = None,
        subject: str | None = None,
    ) -> "Shelf":
        """A shelf on which records changed at the moment `now`.

        Each change has the record's key in its field `key`; its fields replace the record's own, in
        every row of it, and a record that was not there is added: `school` and `year` name the
        fields that have its school and year, `subject` is its subject.
        """
        versions = self._versions
        for change in changes:
            known = {"key": str(change[key]), "subject": subject, "json": "{}"}
            known |= {"year": change.get(year or ""), "school": change.get(school)}
            standing = (pl.col("key") == known["key"]) & pl.col("until").is_null()
            new = []
            for row in versions.filter(standing).to_dicts() or [known]:
                record = json.loads(row["json"]) | dict(change)
                new.append(
                    row
                    | {"since": now, "until": None, "json": json.dumps(record, ensure_ascii=False)}
                )
            closed = versions.with_columns(
                until=pl.when(standing).then(pl.lit(now)).otherwise("until")
            )
            versions = pl.concat([closed, pl.DataFrame(new, schema=versions.schema)])
        return Shelf(versions)


class BulkShelf:
    """A great many records made of a few: each page is a copy in which only the ids change."""

    def __init__(self, of: Shelf, asked: Asked, total: int) -> None:
        texts = of._records(asked).head(_BLOCK)
        self._block = [text.encode() for text in texts]
        self._of = of
        self._total = total
        self._page = lru_cache(maxsize=8)(self._template)

    @cached_property
    def _id_ends(self) -> list[int]:
        """Where in each record its id ends."""
        mark = b'"AssessmentID":"'
        return [record.index(mark) + len(mark) + 36 for record in self._block]

    def count(self, asked: Asked) -> int:
        """All; or none, where none of the few is what is asked for."""
        return self._total if self._of.count(asked) else 0

    def _template(
        self, first: int, size: int
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        """The page's bytes, and where in them each id's last digits stand."""
        rows = [(first + row) % len(self._block) for row in range(size)]
        lengths = np.array([len(self._block[row]) + 1 for row in rows])
        starts = np.concatenate([[0], lengths.cumsum()[:-1]])
        ends = starts + np.array([self._id_ends[row] for row in rows])
        page = b",".join(self._block[row] for row in rows)
        return np.frombuffer(bytearray(page), dtype=np.uint8), ends[:, None] + np.arange(
            -_ID_DIGITS, 0
        )

    def page(self, asked: Asked, first: int, size: int) -> memoryview:
        """Up to `size` records from the one at `first`, as the inside of a JSON array.

        Only until the next page is asked for.
        """
        size = min(size, self.count(asked) - first)
        if size <= 0:
            return memoryview(b"")
        page, digits = self._page(first % len(self._block), size)
        ordinal = np.arange(first, first + size)[:, None]
        # Every page writes all ids anew, so the same bytes serve each time without a copy.
        page[digits] = ord("0") + ordinal // 10 ** np.arange(_ID_DIGITS - 1, -1, -1) % 10
        return page.data
