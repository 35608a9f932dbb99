"""Where what landed is kept: a folder or an S3 prefix, behind one small interface.

A store maps keys to bytes. Keys are chosen by us, never by a sender. A key is written once:
the same bytes again change nothing, other bytes under the same key are refused. A reader
therefore never sees half a file, and what landed can be trusted years later. Erasing a person is
the one exception.

    store = open_store("/var/lib/edpipeline/landing")
    store = open_store("s3://bucket/prefix")
    store = open_store("s3://bucket/prefix?endpoint_url=http://127.0.0.1:9000")
"""

import errno
import fcntl
import hashlib
import io
import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

from edpipeline.errors import BadConfiguration, NotFound, Permanent, Transient

CHUNK = 1 << 20
STEP = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+=-]{0,199}")
"""One step of a key. It cannot start with a dot, so temporary files are never keys."""

NOT_OURS_TO_WRITE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)


class Store(Protocol):
    """Immutable bytes by key. Every verb may raise Transient; bad keys raise Permanent."""

    def write_bytes(self, key: str, data: bytes) -> None:
        """Keep `data` under `key`. Raises Permanent when other bytes are there already."""

    def write_file(self, key: str, path: Path, sha256: str | None = None) -> None:
        """Keep a copy of the file at `path` under `key`, streamed.

        With `sha256` (hex) the copy is kept only if it has that hash; a file that changed
        since it was hashed raises Transient. Raises Permanent as `write_bytes` does.
        """

    def read_bytes(self, key: str) -> bytes:
        """The bytes under `key`. Raises NotFound."""

    def local_copy(self, key: str) -> AbstractContextManager[Path]:
        """A local file with the bytes under `key`, to be read only. Raises NotFound."""

    def list(self, prefix: str = "") -> list[str]:
        """The keys that start with `prefix`, sorted. What is not ours is left out."""

    def exists(self, key: str) -> bool:
        """Whether something is kept under `key`."""

    def written_at(self, key: str) -> datetime:
        """When it was written, in UTC; raises NotFound."""

    def replace_file(self, key: str, path: Path) -> None:
        """Keep a copy of the file in place of what is kept, at once. For erasing alone."""

    def remove(self, key: str) -> None:
        """Remove what is kept; nothing happens where nothing is. For erasing alone."""

    def remove_left_behind(self, prefix: str) -> int:
        """Remove what killed writers left below a folder that ends with `/`; how many files."""

    def describe(self) -> str:
        """Where this store is, in words that may be shown and logged."""


def open_store(url: str, scratch: Path | None = None) -> Store:
    """The store at `url`: a path, `file:///path` or `s3://bucket/prefix`. Connects to nothing.

    S3 takes its credentials, region and endpoint from boto3's usual environment;
    `?endpoint_url=http://host:port` names another S3-compatible service. What is downloaded lies in
    a folder in `scratch` while it is read.
    Raises BadConfiguration. The message never repeats the url, which may hold a secret.
    """
    parts = urlsplit(url)
    if url.startswith("s3://"):
        from edpipeline.landing.s3 import open_s3

        return open_s3(parts.netloc, parts.path, parts.query, scratch)
    if url.startswith("file://"):
        if parts.netloc not in ("", "localhost") or parts.query or not parts.path:
            raise BadConfiguration("a landing folder is written file:///absolute/path")
        return FolderStore(Path(url2pathname(parts.path)))
    if "://" in url or not url.strip():
        raise BadConfiguration("the landing store is a path, file:///path or s3://bucket/prefix")
    return FolderStore(Path(url).expanduser().absolute())


def is_key(text: str) -> bool:
    """Whether `text` could have been written by a store."""
    return len(text) <= 800 and all(STEP.fullmatch(step) for step in text.split("/"))


def checked_key(key: str) -> str:
    """`key` itself, when it is a safe relative path of at most 800 characters.

    Raises Permanent otherwise: no empty step, no `.` or `..`, no backslash, no leading slash.
    """
    if not is_key(key):
        raise Permanent(f"not a key of the landing store: {key[:80]!r}")
    return key


def checked_prefix(prefix: str) -> str:
    """`prefix` itself, when keys could start with it; raises Permanent otherwise."""
    if prefix:
        checked_key(prefix.removesuffix("/"))
    return prefix


@contextmanager
def plain_disk_errors(folder: Path) -> Iterator[None]:
    """Turns an OSError met while working in `folder` into our words; a full disk is Transient."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            message = f"no space left in {folder}: free some room; it is tried again"
            raise Transient(message) from error
        if error.errno in NOT_OURS_TO_WRITE:
            raise BadConfiguration(
                f"cannot work in {folder} ({error.strerror}): it must be a folder this user may "
                "read and write"
            ) from error
        raise Transient(f"trouble in {folder}: {error.strerror or type(error).__name__}") from error


@dataclass(frozen=True)
class FolderStore:
    """A store in a folder, which is made when first written to. Files are kept read-only."""

    folder: Path

    def write_bytes(self, key: str, data: bytes) -> None:
        """Write the bytes once; see Store."""
        self._keep(key, io.BytesIO(data), None)

    def write_file(self, key: str, path: Path, sha256: str | None = None) -> None:
        """Write a copy of the file once, streamed; see Store."""
        with path.open("rb") as source:
            self._keep(key, source, sha256)

    def read_bytes(self, key: str) -> bytes:
        """The bytes under `key`; see Store."""
        with self.local_copy(key) as path, plain_disk_errors(path.parent):
            return path.read_bytes()

    @contextmanager
    def local_copy(self, key: str) -> Iterator[Path]:
        """The kept file itself; see Store."""
        path = self._path(key)
        if not path.is_file():
            raise NotFound(f"nothing is kept under {key} in {self.describe()}")
        yield path

    def list(self, prefix: str = "") -> list[str]:
        """The keys that start with `prefix`, sorted; see Store."""
        deepest = self.folder / checked_prefix(prefix).rpartition("/")[0]
        keys = []
        with plain_disk_errors(deepest):
            for folder, folders, names in os.walk(deepest, onerror=_unless_missing):
                folders[:] = [name for name in folders if STEP.fullmatch(name)]
                above = Path(folder).relative_to(self.folder).as_posix().removeprefix(".")
                keys += [f"{above}/{name}".lstrip("/") for name in names if STEP.fullmatch(name)]
        return sorted(key for key in keys if key.startswith(prefix))

    def exists(self, key: str) -> bool:
        """Whether something is kept under `key`."""
        return self._path(key).is_file()

    def written_at(self, key: str) -> datetime:
        """By the file's own time; see Store."""
        with self.local_copy(key) as path:
            return datetime.fromtimestamp(path.stat().st_mtime, UTC)

    def replace_file(self, key: str, path: Path) -> None:
        """Written beside, then renamed; see Store."""
        target = self._path(key)
        with plain_disk_errors(target.parent), path.open("rb") as source:
            _make_folder(target.parent)
            with _only_writer(target) as part:
                _copy(source, part)
                os.fsync(part.fileno())
                _part(target).rename(target)
                os.fchmod(part.fileno(), 0o440)
                _sync_folder(target.parent)

    def remove(self, key: str) -> None:
        """Remove the file, and folders that it leaves empty; see Store."""
        path = self._path(key)
        with plain_disk_errors(path.parent):
            path.unlink(missing_ok=True)
            for folder in path.parents:
                if folder == self.folder or not folder.is_dir() or any(folder.iterdir()):
                    break
                folder.rmdir()

    def remove_left_behind(self, prefix: str) -> int:
        """Remove temporary files that nobody writes any more; see Store."""
        removed, root = 0, self.folder / checked_prefix(prefix)
        with plain_disk_errors(root):
            for path in sorted(root.rglob(".*.part")):
                with path.open("r+b") as part:
                    try:
                        fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    except BlockingIOError:
                        continue
                    path.unlink(missing_ok=True)
                    removed += 1
        return removed

    def describe(self) -> str:
        """The folder."""
        return str(self.folder)

    def _path(self, key: str) -> Path:
        return self.folder / checked_key(key)

    def _keep(self, key: str, source: BinaryIO, sha256: str | None) -> None:
        target = self._path(key)
        with plain_disk_errors(target.parent):
            _make_folder(target.parent)
            if not target.exists():
                with _only_writer(target) as part:
                    # Another process may have finished while we waited for it.
                    if not target.exists():
                        require_hash(_copy(source, part), sha256, key)
                        os.fsync(part.fileno())
                        _part(target).rename(target)
                        os.fchmod(part.fileno(), 0o440)
                        _sync_folder(target.parent)
                        return
            source.seek(0)
            with target.open("rb") as kept:
                if not _same(kept, source):
                    raise already_other(key, self)


def _unless_missing(error: OSError) -> None:
    """A folder that is not there yet holds nothing; one that cannot be read is no empty one."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _part(target: Path) -> Path:
    return target.with_name(f".{target.name}.part")


@contextmanager
def _only_writer(target: Path) -> Iterator[BinaryIO]:
    """The temporary file beside `target`, empty and locked; gone afterwards unless renamed.

    Its name is fixed, so what a killed process left is written over by the next attempt
    instead of staying behind.
    """
    path = _part(target)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        # The file we opened may have been renamed or removed by the writer before us.
        if _is(path, descriptor):
            break
        os.close(descriptor)
    with os.fdopen(descriptor, "r+b", buffering=0) as part:
        try:
            part.truncate()
            yield part
        finally:
            if _is(path, descriptor):
                path.unlink()


def _is(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(mode=0o750, exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy(source: BinaryIO, target: BinaryIO) -> str:
    digest = hashlib.sha256()
    while chunk := source.read(CHUNK):
        digest.update(chunk)
        rest = memoryview(chunk)
        while rest:
            rest = rest[target.write(rest) :]
    return digest.hexdigest()


def _same(one: BinaryIO, other: BinaryIO) -> bool:
    while chunk := one.read(CHUNK):
        if chunk != other.read(CHUNK):
            return False
    return not other.read(1)


def require_hash(found: str, wanted: str | None, key: str) -> None:
    """Raises Transient when the bytes read are not the bytes that were announced."""
    if wanted is not None and found != wanted:
        raise Transient(f"{key}: the file changed while it was landed; it is tried again")


def already_other(key: str, store: Store) -> Permanent:
    """The refusal to write other bytes under a key that is taken."""
    return Permanent(
        f"{key} is already kept in {store.describe()} with other content, and what landed is "
        "never altered: find out which of the two is right, and move the wrong one away"
    )
