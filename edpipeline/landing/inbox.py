"""Where people lay files to be loaded: a folder or an S3 prefix, emptied as files are landed.

    <district>/<source>/<file>                      laid by hand; the district's defaults hold
    <district>/<source>/<instant>/<file>            laid by the command,
    <district>/<source>/<instant>/choices.json      with what was chosen; written last: it is whole

A file that was laid by hand is taken when it has lain still for a while, since nobody says when
it is whole. It is removed only after it has landed.
"""

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Protocol

from edpipeline.errors import NotFound
from edpipeline.landing.drop import Arrived, checked_name
from edpipeline.landing.s3 import S3Store
from edpipeline.landing.store import FolderStore, open_store, plain_disk_errors

CHOICES = "choices.json"
INSTANT = re.compile(r"\d{8}T\d{12}Z")
STILL = timedelta(seconds=60)
"""A file laid by hand is taken when it was last written so long ago."""


@dataclass(frozen=True)
class Entry:
    """A file in an inbox: its path below the inbox, size in bytes and last change."""

    path: str
    size: int
    modified_at: datetime


@dataclass(frozen=True)
class Upload:
    """Files that were handed over together, with what was chosen for them."""

    district_id: str
    source: str
    files: tuple[Entry, ...]
    whole: bool
    """False while it may still be written."""
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
        with plain_disk_errors(self.folder):
            found = [path for path in sorted(self.folder.rglob("*")) if path.is_file()]
            return [
                Entry(
                    path.relative_to(self.folder).as_posix(),
                    path.stat().st_size,
                    datetime.fromtimestamp(path.stat().st_mtime, UTC),
                )
                for path in found
            ]

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
                raise NotFound(f"{path} is no longer in {self.describe()}") from None

    def remove(self, path: str) -> None:
        """Take a file away, and its folder where that was made for it; see Place."""
        target = self.folder / path
        with plain_disk_errors(target.parent):
            target.unlink(missing_ok=True)
            if INSTANT.fullmatch(target.parent.name) and not any(target.parent.iterdir()):
                target.parent.rmdir()

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
        self.store.upload(path, file)

    def fetch(self, path: str, target: Path) -> None:
        """Copy a file out; see Place."""
        self.store.download(path, target)

    def remove(self, path: str) -> None:
        """Take a file away; see Place."""
        self.store.remove(path)

    def describe(self) -> str:
        """Bucket, prefix and endpoint."""
        return self.store.describe()


def uploads(place: Place, now: datetime, scratch: Path, still: timedelta = STILL) -> list[Upload]:
    """What lies in an inbox, the oldest first. Files that are in no district's and source's folder
    are left out; so are hidden ones, which programs write while they copy."""
    found: dict[tuple[str, str, str], list[Entry]] = {}
    for entry in place.entries():
        steps = PurePosixPath(entry.path).parts
        if len(steps) < 3 or steps[-1].startswith("."):
            continue
        district_id, source, *rest = steps
        folder = rest[0] if INSTANT.fullmatch(rest[0]) and len(rest) == 2 else ""
        if folder or len(rest) == 1:
            found.setdefault((district_id, source, folder or entry.path), []).append(entry)
    listed = [
        _upload(place, *key[:2], entries, now - still, scratch) for key, entries in found.items()
    ]
    return sorted((one for one in listed if one.files), key=lambda one: one.since)


def _upload(
    place: Place,
    district_id: str,
    source: str,
    entries: Sequence[Entry],
    still_since: datetime,
    scratch: Path,
) -> Upload:
    chosen = [entry for entry in entries if PurePosixPath(entry.path).name == CHOICES]
    files = tuple(entry for entry in entries if entry not in chosen)
    if chosen:
        with _copy(place, chosen[0].path, scratch) as path:
            data = json.loads(path.read_text("utf-8"))
        return Upload(district_id, source, files, True, data["choices"], data["by"])
    in_folder = any(INSTANT.fullmatch(PurePosixPath(entry.path).parent.name) for entry in entries)
    whole = not in_folder and all(entry.modified_at <= still_since for entry in entries)
    return Upload(district_id, source, files, whole)


@contextmanager
def _copy(place: Place, path: str, scratch: Path) -> Iterator[Path]:
    target = scratch / CHOICES
    place.fetch(path, target)
    yield target
    target.unlink()


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
    folder = f"{district_id}/{source}/{at.astimezone(UTC):%Y%m%dT%H%M%S%fZ}"
    place.put(f"{folder}/{checked_name(file.name)}", file)
    told = scratch / CHOICES
    told.write_text(json.dumps({"choices": dict(choices), "by": by}), "utf-8")
    place.put(f"{folder}/{CHOICES}", told)
    return f"{folder}/{file.name}"


def fetched(place: Place, upload: Upload, scratch: Path) -> list[Arrived]:
    """Copies of an upload's files; raises NotFound where one is gone, BadDelivery for names."""
    arrived: list[Arrived] = []
    for entry in upload.files:
        name = checked_name(PurePosixPath(entry.path).name)
        target = scratch / f"{len(arrived)}-upload"
        place.fetch(entry.path, target)
        arrived.append(Arrived(name, target, entry.modified_at))
    return arrived


def clear(place: Place, upload: Upload) -> None:
    """Take away what has landed; the choices last, so that what is left is never half."""
    for entry in upload.files:
        place.remove(entry.path)
    if upload.choices or upload.by:
        place.remove(str(PurePosixPath(upload.files[0].path).parent / CHOICES))
