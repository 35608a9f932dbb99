"""A student out of landing and the inbox; a district out of both."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from edpipeline import sources
from edpipeline.erasing import lines
from edpipeline.erasing.files import Rewritten, search
from edpipeline.erasing.meant import Meant
from edpipeline.landing import drop as landing
from edpipeline.landing.drop import Delivery, Drop, DropFile
from edpipeline.landing.erased import Erased
from edpipeline.landing.erasure import replace_files, settle_replaced, sha256_of
from edpipeline.landing.inbox import CHOICES
from edpipeline.landing.records import as_record, read_record, root_of
from edpipeline.landing.store import Store
from edpipeline.loading.load import Progress
from edpipeline.loading.options import LoadOptions
from edpipeline.model import Source
from edpipeline.pipeline import Pipeline
from edpipeline.scratch import scratch_folder

Counts = Counter[str]
UNFINISHED = timedelta(days=1)
"""Files without the record of a drop are left for so long: they may be landing now."""
UNFINISHED_FILES = "files that are landing now"
UNSEARCHED = "files that cannot be searched"


@dataclass(frozen=True)
class Landed:
    """Where a district's part of landing and inbox is, and who erases what."""

    pipeline: Pipeline
    district_id: str
    meant: Meant
    at: datetime
    by: str
    counts: Counts = field(default_factory=Counter)

    @property
    def store(self) -> Store:
        """The landing."""
        return self.pipeline.store

    def erase(self, progress: Progress) -> Counts:
        """Take the student out of every source's drops and records, and out of the inbox.

        Doing it again, also after it was killed, finds what is left.
        """
        for source in sources.ALL:
            root = root_of(source.name, self.district_id)
            if self.store.list(f"{root}/"):
                progress(f"searching what landed of {source.title}")
                self._drops(source)
                self._records(source, root)
            self.counts["files left by killed runs"] += self.store.remove_left_behind(f"{root}/")
        progress("searching the inbox")
        self._inbox()
        return +self.counts

    def _drops(self, source: Source) -> None:
        self._unfinished(source)
        comings: dict[str, list[Delivery]] = {}
        for delivery in landing.deliveries(self.store, self.district_id, source.name):
            comings.setdefault(delivery.drop.drop_id, []).append(delivery)
        for of_drop in comings.values():
            self._drop(source, of_drop)

    def _drop(self, source: Source, comings: list[Delivery]) -> None:
        drop_id = comings[0].drop.drop_id
        drop = landing.read_drop(self.store, source.name, self.district_id, drop_id)
        drop = settle_replaced(self.store, drop)
        options = self._options(source, comings)
        with (
            scratch_folder(self.pipeline.settings.scratch) as scratch,
            landing.open_drop(self.store, drop) as paths,
        ):
            found = search(paths, source, options, self.meant, scratch)
            self.counts[UNSEARCHED] += found.unsearched
            if found.rewritten:
                files = {
                    file.name: (self._erased(file, found.rewritten[file.name]), new.path)
                    for file in drop.files
                    if (new := found.rewritten.get(file.name))
                }
                replace_files(self.store, drop, files)
                self._count("landing", found.rewritten.values())

    def _unfinished(self, source: Source) -> None:
        """What a landing left that was killed goes as a whole, since nobody has a record of it;
        unless it may be going on."""
        root = f"{root_of(source.name, self.district_id)}/drops/"
        keys = self.store.list(root)
        whole = {key.removesuffix("drop.json") for key in keys if key.endswith("/drop.json")}
        for key in keys:
            if key.rpartition("/")[0] + "/" in whole:
                continue
            if self.store.written_at(key) < self.at - UNFINISHED:
                self.store.remove(key)
                self.counts["files left by killed runs"] += 1
            else:
                self.counts[UNFINISHED_FILES] += 1

    def _options(self, source: Source, comings: Iterable[Delivery]) -> list[LoadOptions]:
        """The ways in which a drop was loaded: as chosen for each of its deliveries."""
        found: list[LoadOptions] = []
        for delivery in comings:
            of_day = self.pipeline.options(self.district_id, source.name, delivery.day)
            chosen = of_day.with_choices(delivery.choices)
            if chosen not in found:
                found.append(chosen)
        return found

    def _erased(self, file: DropFile, new: Rewritten) -> Erased:
        before = file.erased
        emptied = {name: set(of) for name, of in (before.lines if before else {}).items()}
        for name, of in new.lines.items():
            emptied.setdefault(name, set()).update(of)
        return Erased(
            lines={name: tuple(sorted(of)) for name, of in emptied.items()},
            edited=new.edited + (before.edited if before else 0),
            size=new.path.stat().st_size,
            sha256=sha256_of(new.path),
            at=self.at,
            by=self.by,
            is_empty=new.is_empty,
            before=before.sha256 if before else file.sha256,
        )

    def _count(self, place: str, rewritten: Iterable[Rewritten]) -> None:
        for new in rewritten:
            self.counts[f"{place}: files written anew"] += 1
            self.counts[f"{place}: lines emptied"] += sum(map(len, new.lines.values()))
            self.counts[f"{place}: lists shortened"] += new.edited

    def _records(self, source: Source, root: str) -> None:
        """Records of ours lose the entries that name the student."""
        ids, sids = self.meant.ids, self.meant.student_ids
        for key in self.store.list(f"{root}/intents/"):
            record = read_record(self.store, key)
            kept = [pair for pair in record["pairs"] if pair[0] not in sids]
            if len(kept) < len(record["pairs"]):
                self._replace(key, record | {"pairs": kept})
                self.counts["landing: imports meant"] += len(record["pairs"]) - len(kept)
        for key in self.store.list(f"{root}/accesses/"):
            record = read_record(self.store, key)
            if record["student_id"] in sids or record["ssid"] in ids:
                self.store.remove(key)
                self.counts["landing: requests for links"] += 1
        for key in self.store.list(f"{root}/approvals/"):
            record = read_record(self.store, key)
            if record["note"] and self._is_named_in(record["note"]):
                self._replace(key, record | {"note": "(erased)"})
                self.counts["landing: notes"] += 1

    def _is_named_in(self, text: str) -> bool:
        with scratch_folder(self.pipeline.settings.scratch) as scratch:
            path = scratch / "note"
            path.write_text(text, "utf-8")
            return bool(lines.of_text(path, self.meant))

    def _replace(self, key: str, record: Mapping[str, Any]) -> None:
        with scratch_folder(self.pipeline.settings.scratch) as scratch:
            path = scratch / "record.json"
            path.write_bytes(as_record(dict(record)))
            self.store.replace_file(key, path)

    def _inbox(self) -> None:
        """Files that wait to be landed, each by itself."""
        place, known = self.pipeline.inbox, {source.name: source for source in sources.ALL}
        for entry in place.entries():
            steps = Path(entry.path).parts
            if len(steps) < 3 or steps[0] != self.district_id or entry.name == CHOICES:
                continue
            source = known.get(steps[1])
            with scratch_folder(self.pipeline.settings.scratch) as scratch:
                file = scratch / "waiting"
                place.fetch(entry.path, file)
                if source is None or not source.is_uploaded:
                    continue
                options = self.pipeline.options(self.district_id, source.name, self.at.date())
                choices = self._choices(entry.path, scratch)
                found = search(
                    {entry.name: file},
                    source,
                    [options.with_choices(choices)],
                    self.meant,
                    scratch,
                )
                self.counts[UNSEARCHED] += found.unsearched
                for new in found.rewritten.values():
                    place.put(entry.path, new.path)
                self._count("inbox", found.rewritten.values())

    def _choices(self, path: str, scratch: Path) -> dict[str, str]:
        """What was chosen for a file that the command laid; nothing for others."""
        told = str(Path(path).with_name(CHOICES))
        if told not in {entry.path for entry in self.pipeline.inbox.entries()}:
            return {}
        self.pipeline.inbox.fetch(told, scratch / "told")
        return dict(json.loads((scratch / "told").read_text("utf-8"))["choices"])


def erased_lines(store: Store, district_id: str, source: str) -> list[tuple[str, str, int]]:
    """Drop, file and number of every line that was ever emptied."""
    return [
        (drop.drop_id, name, line)
        for drop in _drops_of(store, district_id, source)
        for file in drop.files
        if file.erased
        for name, of in file.erased.lines.items()
        for line in of
    ]


def _drops_of(store: Store, district_id: str, source: str) -> list[Drop]:
    found = landing.deliveries(store, district_id, source)
    return list({delivery.drop.drop_id: delivery.drop for delivery in found}.values())


def has_landed(store: Store, district_id: str) -> bool:
    """Whether anything of a district is in landing."""
    return any(store.list(f"{root_of(one.name, district_id)}/") for one in sources.ALL)


def remove_district(pipeline: Pipeline, district_id: str) -> Counts:
    """Everything of a district out of landing and inbox."""
    counts: Counts = Counter()
    for source in sources.ALL:
        root = f"{root_of(source.name, district_id)}/"
        counts["landing: files"] += len(keys := pipeline.store.list(root))
        # The record of a drop last: what is left of it after a kill is found again all the same.
        for key in sorted(keys, key=lambda each: each.endswith("/drop.json")):
            pipeline.store.remove(key)
        counts["files left by killed runs"] += pipeline.store.remove_left_behind(root)
    for entry in pipeline.inbox.entries():
        if entry.path.startswith(f"{district_id}/"):
            pipeline.inbox.remove(entry.path)
            counts["inbox: files"] += 1
    return +counts
