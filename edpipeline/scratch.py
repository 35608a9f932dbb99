"""Private folders for files on their way, which also go when their process was killed before.

    <parent>/edpipeline-scratch-<random>/owner     locked for as long as the process lives
    <parent>/edpipeline-scratch-<random>/files/    what the block is given

Files on their way are personal data: what a killed process left behind is removed by the next
one. The lock says who lives, because process numbers mean nothing to another container that
shares the parent.
"""

import errno
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import polars as pl

from edpipeline.errors import Transient

PREFIX = "edpipeline-scratch-"
OWNER = "owner"
NEW_SECONDS = 10.0
"""A folder gets its name once it is locked; until then, for so long, it is nobody's to remove."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def scratch_folder(parent: Path | None = None) -> Iterator[Path]:
    """A folder that only this user can read, removed when the block ends.

    It lies in `parent`, which is made where it is not there, or where the system keeps temporary
    files. Raises `Transient` where its disk is full.
    """
    base = parent or Path(tempfile.gettempdir())
    with _full_disk_told(base):
        base.mkdir(parents=True, exist_ok=True)
        _sweep(base)
        new = Path(tempfile.mkdtemp(prefix=f".{PREFIX}", dir=base))
        folder = new.with_name(new.name.removeprefix("."))
        try:
            with (new / OWNER).open("wb") as owner:
                # Where locks do not work, nobody gets this one, and the folder is left alone.
                with suppress(OSError):
                    fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
                (new / "files").mkdir(mode=0o700)
                new.rename(folder)
                yield folder / "files"
        finally:
            for either in (new, folder):
                shutil.rmtree(either, ignore_errors=True)


@contextmanager
def _full_disk_told(base: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pl.exceptions.PolarsError) as error:
        if not _is_full_disk(error):
            raise
        raise Transient(
            f"the disk of {base} is full; nothing was changed. Free some space, or set"
            " EDPIPELINE_SCRATCH to a larger disk; it is tried again"
        ) from None


def _is_full_disk(error: Exception) -> bool:
    """polars tells the operating system's error in words only."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in FULL
    return any(f"os error {number}" in str(error) for number in FULL)


def _sweep(base: Path) -> None:
    for folder in [*base.glob(f"{PREFIX}*"), *base.glob(f".{PREFIX}*")]:
        # Whatever fails here belongs to somebody, or is being removed by another sweep.
        with suppress(OSError):
            if _is_ours(folder) and not _is_new(folder) and _is_left_behind(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _is_ours(folder: Path) -> bool:
    return not folder.is_symlink() and folder.stat().st_uid == os.getuid()


def _is_new(folder: Path) -> bool:
    age = time.time() - folder.stat().st_mtime
    return folder.name.startswith(".") and age < NEW_SECONDS


def _is_left_behind(folder: Path) -> bool:
    try:
        with (folder / OWNER).open("rb+") as owner:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except FileNotFoundError:
        return True
