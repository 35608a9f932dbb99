"""Where people lay files to be loaded: a folder or an S3 prefix, emptied as files are landed.

    <district>/<source>/<file>                      laid by hand; the district's defaults hold
    <district>/<source>/<instant>/<file>            laid by the command,
    <district>/<source>/<instant>/choices.json      with what was chosen; written last: it is whole

A file that was laid by hand is taken when it has lain still for a while, since nobody says when
it is whole. It is removed only after it has landed.

People name these files, some after a student: no error here repeats a name.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Protocol

from edpipeline.errors import BadDelivery, EdpipelineError, NotFound
from edpipeline.landing.drop import Arrived, checked_name
from edpipeline.landing.s3 import S3Store
from edpipeline.landing.store import FolderStore, open_store, plain_disk_errors

CHOICES = "choices.json"
INSTANT = re.compile(r"\d{8}T\d{12}Z")
SUFFIXES = (".csv", ".tsv", ".txt", ".jsonl", ".zip")
"""Kinds of files that are uploaded."""
STILL = timedelta(seconds=60)
"""A file laid by hand is taken when it was last written so long ago."""


@dataclass(frozen=True)
class Entry:
    """A file in an inbox: its path below the inbox, size in bytes and last change (of a copy that
    keeps the time of the original, when it was copied)."""

    path: str
    size: int
    modified_at: datetime

    @property
    def name(self) -> str:
        """What its sender called it."""
        return PurePosixPath(self.path).name


@dataclass(frozen=True)
class Upload:
    """Files that were handed over together, with what was chosen for them."""

    district_id: str
    source: str
    files: tuple[Entry, ...]
    whole: bool
    """False while it may still be written."""
    folder: str = ""
    """The folder that was made for it; "" where a file was laid by hand."""
    choices: Mapping[str, str] = field(default_factory=dict)
    by: str = ""

    @property
    def since(self) -> datetime:
        """When it was handed over."""
        return max(entry.modified_at for entry in self.files)


class Place(Protocol):
    """Files by their path in an inbox. Every verb may raise Transient and BadConfiguration."""

    def entries(self) -> list[Entry]:
        """Every file, whatever its name is."""

    def put(self, path: str, file: Path) -> None:
        """Lay a copy of a file; it appears whole or not at all."""

    def fetch(self, path: str, target: Path) -> None:
        """Copy a file out; raises NotFound."""

    def remove(self, path: str) -> None:
        """Take a file away; nothing happens where there is none."""

    def describe(self) -> str:
        """Where this is, in words that may be shown and logged."""


def open_inbox(url: str) -> Place:
    """The inbox at `url`, written as a landing store is. Connects to nothing."""
    store = open_store(url)
    return S3Place(store) if isinstance(store, S3Store) else FolderPlace(_folder(store))


def _folder(store: object) -> Path:
    assert isinstance(store, FolderStore)
    return store.folder


@dataclass(frozen=True)
class FolderPlace:
    """An inbox in a folder."""

    folder: Path

    def entries(self) -> list[Entry]:
        """Every file; see Place."""
        found = []
        with plain_disk_errors(self.folder):
            for folder, _, names in os.walk(self.folder, onerror=_unless_gone):
                found += [self._entry(Path(folder, name)) for name in names]
        return sorted(filter(None, found), key=lambda entry: entry.path)

    def _entry(self, path: Path) -> Entry | None:
        """None where another process has taken the file meanwhile."""
        try:
            found = path.stat()
        except FileNotFoundError:
            return None
        at = datetime.fromtimestamp(max(found.st_mtime, found.st_ctime), UTC)
        return Entry(path.relative_to(self.folder).as_posix(), found.st_size, at)

    def put(self, path: str, file: Path) -> None:
        """Lay a copy; see Place."""
        target = self.folder / path
        with plain_disk_errors(target.parent):
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_name(f".{target.name}.part")
            shutil.copyfile(file, part)
            part.rename(target)

    def fetch(self, path: str, target: Path) -> None:
        """Copy a file out; see Place."""
        with plain_disk_errors(self.folder):
            try:
                shutil.copyfile(self.folder / path, target)
            except FileNotFoundError:
                raise NotFound(f"a file is no longer in {self.describe()}") from None

    def remove(self, path: str) -> None:
        """Take a file away, and its folder where that was made for it; see Place."""
        target = self.folder / path
        with plain_disk_errors(target.parent):
            target.unlink(missing_ok=True)
            folder = target.parent
            if INSTANT.fullmatch(folder.name) and folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def describe(self) -> str:
        """The folder."""
        return str(self.folder)


@dataclass(frozen=True)
class S3Place:
    """An inbox under a prefix of an S3 bucket."""

    store: S3Store

    def entries(self) -> list[Entry]:
        """Every file; see Place."""
        return [Entry(path, size, at) for path, size, at in self.store.objects() if path]

    def put(self, path: str, file: Path) -> None:
        """Lay a copy; see Place."""
        with _nameless(path):
            self.store.upload(path, file)

    def fetch(self, path: str, target: Path) -> None:
        """Copy a file out; see Place."""
        with _nameless(path):
            self.store.download(path, target)

    def remove(self, path: str) -> None:
        """Take a file away; see Place."""
        with _nameless(path):
            self.store.remove(path)

    def describe(self) -> str:
        """Bucket, prefix and endpoint."""
        return self.store.describe()


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


@contextmanager
def _nameless(path: str) -> Iterator[None]:
    """Errors name the folder of a file, not the file."""
    try:
        yield
    except EdpipelineError as error:
        words = str(error).replace(path, str(PurePosixPath(path).parent))
        raise type(error)(words) from None


def uploads(
    place: Place, now: datetime, scratch: Path, still: timedelta = STILL, source: str = ""
) -> list[Upload]:
    """What lies in an inbox, of every source or of one, the oldest first.

    Files that are in no district's and source's folder are left out; so are hidden ones, which
    programs write while they copy.
    """
    found: dict[tuple[str, str, str], list[Entry]] = {}
    for entry in place.entries():
        steps = PurePosixPath(entry.path).parts
        if len(steps) < 3 or steps[-1].startswith(".") or source not in ("", steps[1]):
            continue
        rest = steps[2:]
        in_folder = len(rest) == 2 and INSTANT.fullmatch(rest[0])
        if in_folder or len(rest) == 1:
            folder = "/".join(steps[:3]) if in_folder else ""
            found.setdefault((steps[0], steps[1], folder or entry.path), []).append(entry)
    listed = [
        _upload(place, district_id, of_source, entries, now - still, scratch)
        for (district_id, of_source, _), entries in found.items()
    ]
    return sorted((one for one in listed if one.files), key=lambda one: one.since)


def _upload(
    place: Place,
    district_id: str,
    source: str,
    entries: list[Entry],
    still_since: datetime,
    scratch: Path,
) -> Upload:
    folder = PurePosixPath(entries[0].path).parent
    if not INSTANT.fullmatch(folder.name):
        whole = all(entry.modified_at <= still_since for entry in entries)
        return Upload(district_id, source, tuple(entries), whole)
    files = tuple(entry for entry in entries if entry.name != CHOICES)
    choices: dict[str, str] = {}
    whole, by = bool(files) and len(files) < len(entries), ""
    if whole:
        try:
            choices, by = _choices(place, f"{folder}/{CHOICES}", scratch)
        except NotFound:
            files = ()  # taken by another process meanwhile
        except (ValueError, KeyError, TypeError):
            whole = False  # not by the command: told when late
    return Upload(district_id, source, files, whole, str(folder), choices, by)


def _choices(place: Place, path: str, scratch: Path) -> tuple[dict[str, str], str]:
    """What was chosen, and by whom; raises ValueError, KeyError or TypeError for what is none."""
    target = scratch / CHOICES
    place.fetch(path, target)
    data = json.loads(target.read_text("utf-8"))
    return dict(data["choices"]), str(data["by"])


def hand_over(
    place: Place,
    district_id: str,
    source: str,
    file: Path,
    choices: Mapping[str, str],
    by: str,
    at: datetime,
    scratch: Path,
) -> str:
    """Lay a file with its choices; its path in the inbox. Raises BadDelivery for its name."""
    if file.name == CHOICES:
        raise BadDelivery(f"a file of results cannot be called {CHOICES}: rename it")
    folder = f"{district_id}/{source}/{at.astimezone(UTC):%Y%m%dT%H%M%S%fZ}"
    place.put(f"{folder}/{checked_name(file.name)}", file)
    told = scratch / CHOICES
    told.write_text(json.dumps({"choices": dict(choices), "by": by}), "utf-8")
    place.put(f"{folder}/{CHOICES}", told)
    return f"{folder}/{file.name}"


def fetched(place: Place, upload: Upload, scratch: Path) -> list[Arrived]:
    """Copies of an upload's files; raises NotFound where one is gone."""
    arrived: list[Arrived] = []
    for number, entry in enumerate(upload.files, 1):
        target = scratch / f"{number}-upload"
        place.fetch(entry.path, target)
        arrived.append(Arrived(_name(entry, upload.source, number), target, entry.modified_at))
    return arrived


def _name(entry: Entry, source: str, number: int) -> str:
    """What the file is called in landing: as its sender called it, where that is a plain name."""
    try:
        return checked_name(entry.name)
    except BadDelivery:
        suffix = PurePosixPath(entry.name).suffix.casefold()
        return f"{source}-{number}{suffix if suffix in SUFFIXES else '.txt'}"


def clear(place: Place, upload: Upload) -> None:
    """Take away what has landed; the choices last, so that what is left is never half."""
    for entry in upload.files:
        place.remove(entry.path)
    if upload.folder:
        place.remove(f"{upload.folder}/{CHOICES}")
