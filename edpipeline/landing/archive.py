"""Zips from outside, read with limits.

A district's zip is trusted with nothing: not with its names, not with the sizes its headers
announce. Files lie at the top of the zip (OneRoster 1.2 CSV binding, section 2); one folder
around all of them is what Windows and macOS make of "compress this folder" and is tolerated.
"""

import errno
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from edpipeline.errors import BadDelivery
from edpipeline.landing.drop import checked_name, shown, stored_name
from edpipeline.landing.store import plain_disk_errors

CHUNK = 1 << 20
ENCRYPTED = 0x1
READABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ARCHIVES = (".7z", ".bz2", ".gz", ".rar", ".tar", ".tgz", ".xz", ".zip", ".zst")
ARCHIVE_MAGIC = (b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07")
UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
    struct.error,
)
"""Everything the standard library raises over a damaged or unusual zip."""


@dataclass(frozen=True)
class Limits:
    """What a zip may be at most. Sizes in bytes, of the files when unpacked.

    `ratio` is unpacked to packed size; files and zips that unpack to less than `ratio_from`
    are spared it, since a short file of zeros is no threat.
    """

    members: int = 200
    total: int = 64 << 30
    ratio: int = 200
    ratio_from: int = 10 << 20


@dataclass(frozen=True)
class Member:
    """One file in a zip: its plain name, and the size in bytes its header announces."""

    name: str
    size: int


@dataclass(frozen=True)
class Extracted:
    """The unpacked files by name, and what a person should know about how they were packed."""

    files: dict[str, Path]
    notes: tuple[str, ...]


def members(path: Path, limits: Limits | None = None) -> list[Member]:
    """The files in the zip, in its own order, without unpacking. Raises BadDelivery."""
    with _opened(path) as archive:
        found, _ = _accepted(archive, path, limits or Limits())
        return [Member(name, info.file_size) for name, info in found.items()]


def extract(path: Path, into: Path, limits: Limits | None = None) -> Extracted:
    """Unpacks the zip into the folder `into`, which is made when missing.

    Files on disk have names of our own; `Extracted.files` finds them by the sender's. Limits
    are measured while inflating, in steps of 1 MiB. On any failure nothing is left behind.
    Raises BadDelivery for a zip that is damaged, encrypted, too large or not what a delivery
    looks like; Transient for a full disk.
    """
    limits = limits or Limits()
    files: dict[str, Path] = {}
    with _opened(path) as archive:
        found, notes = _accepted(archive, path, limits)
        try:
            with plain_disk_errors(into):
                into.mkdir(parents=True, exist_ok=True)
                total = 0
                for number, (name, info) in enumerate(found.items(), 1):
                    target = into / stored_name(number, name)
                    with target.open("xb") as unpacked:
                        files[name] = target
                        for chunk in _inflated(archive, path, name, limits, info, total):
                            total += unpacked.write(chunk)
        except BaseException:
            for target in files.values():
                target.unlink(missing_ok=True)
            raise
    return Extracted(files, notes)


def _inflated(
    archive: zipfile.ZipFile,
    path: Path,
    name: str,
    limits: Limits,
    info: zipfile.ZipInfo,
    before: int,
) -> Iterator[bytes]:
    """One member's content in steps, measured as it comes; `before` bytes came of the others."""
    out = 0
    with _damage_told(path), archive.open(info) as packed:
        while chunk := packed.read(CHUNK):
            if not out:
                _refuse_archive(path, name, chunk)
            out += len(chunk)
            _refuse_total(path, before + out, limits)
            # Entries may share packed bytes, so the zip as a whole is measured too.
            _refuse_ratio(path, out, info.compress_size, limits)
            _refuse_ratio(path, before + out, path.stat().st_size, limits)
            yield chunk
    if out != info.file_size:
        raise _refused(path, f"{shown(name)} is damaged: it is not of the size announced")


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    with plain_disk_errors(path.parent), _damage_told(path), zipfile.ZipFile(path) as archive:
        yield archive


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    try:
        yield
    except (*UNREADABLE, OSError) as error:
        # A header that points outside the file makes the library seek to where nothing is.
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        why = f"it is damaged or was not sent whole ({shown(str(error))})"
        raise _refused(path, why) from error


def _accepted(
    archive: zipfile.ZipFile, path: Path, limits: Limits
) -> tuple[dict[str, zipfile.ZipInfo], tuple[str, ...]]:
    """The entries that count, by their plain names, and notes about them."""
    everything = archive.infolist()
    if len(everything) > limits.members:
        raise _refused(path, f"it holds {len(everything)} entries, {limits.members} at most")
    entries = [(info, steps) for info in everything if not _ignored(steps := _steps(path, info))]
    if not entries:
        raise _refused(path, "it holds no file")
    _refuse_total(path, sum(info.file_size for info, _ in entries), limits)
    folder, *others = {steps[:-1] for _, steps in entries}
    if others or len(folder) > 1:
        raise _refused(path, "its files lie in folders; put all of them at the top of the zip")

    found: dict[str, zipfile.ZipInfo] = {}
    for info, steps in entries:
        name = checked_name(steps[-1])
        _refuse_unusual(path, name, info)
        found[name] = info
    # Two names that differ in case are one file on many a disk.
    if len({name.casefold() for name in found}) != len(entries):
        raise _refused(path, "it holds two files of the same name")
    notes = (f"all files lie in a folder {shown(folder[0])} inside the zip",) if folder else ()
    return found, notes


def _steps(path: Path, info: zipfile.ZipInfo) -> tuple[str, ...]:
    """The steps of an entry's path as it was written, with "" at the end of a folder's."""
    raw = info.orig_filename
    steps = tuple(raw.split("/"))
    drive = steps[0][1:2] == ":"
    inside = all(step not in ("", ".", "..") for step in (steps[:-1] or steps))
    if "\\" in raw or "\0" in raw or drive or not inside or steps[-1] in (".", ".."):
        raise _refused(path, f"the path {shown(raw)} leads out of the zip or is not a plain one")
    return steps


def _ignored(steps: tuple[str, ...]) -> bool:
    """Folders, and what macOS and hidden tools leave in a zip."""
    hidden = any(step.startswith(".") for step in steps)
    return hidden or steps[-1] == "" or steps[0] == "__MACOSX"


def _refuse_unusual(path: Path, name: str, info: zipfile.ZipInfo) -> None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise _refused(path, f"{shown(name)} is a link or a device, not a file")
    if info.flag_bits & ENCRYPTED:
        raise _refused(path, f"{shown(name)} is encrypted; send it without a password, over SFTP")
    if info.compress_type not in READABLE:
        raise _refused(
            path,
            f"{shown(name)} is packed by method {info.compress_type}, which is not read here; "
            "pack it with the usual method (deflate)",
        )
    _refuse_archive(path, name, b"")


def _refuse_archive(path: Path, name: str, beginning: bytes) -> None:
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in ARCHIVES or (suffix != ".xlsx" and beginning.startswith(ARCHIVE_MAGIC)):
        raise _refused(path, f"{shown(name)} is itself an archive; put its files in directly")


def _refuse_total(path: Path, total: int, limits: Limits) -> None:
    if total > limits.total:
        raise _refused(path, f"it unpacks to more than {limits.total:,} bytes")


def _refuse_ratio(path: Path, unpacked: int, packed: int, limits: Limits) -> None:
    if unpacked > max(limits.ratio_from, limits.ratio * packed):
        raise _refused(path, f"it unpacks to more than {limits.ratio} times its size")


def _refused(path: Path, why: str) -> BadDelivery:
    return BadDelivery(f"zip {shown(path.name)} is refused: {why}")
