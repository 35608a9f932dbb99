"""Private folders for files on their way, which also go when their process was killed before.

    <parent>/edpipeline-scratch-<random>/owner     locked for as long as the process lives
    <parent>/edpipeline-scratch-<random>/files/    what the block is given

Files on their way are personal data: what a killed process left behind is removed by the next
one. The lock says who lives, because process numbers mean nothing to another container that
shares the parent.
"""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "edpipeline-scratch-"
OWNER = "owner"
YOUNG_SECONDS = 10.0
"""A folder this young may not have been locked yet by who made it."""


@contextmanager
def scratch_folder(parent: Path | None = None) -> Iterator[Path]:
    """A folder that only this user can read, removed when the block ends.

    It lies in `parent`, which is made where it is not there, or where the system keeps temporary
    files.
    """
    base = parent or Path(tempfile.gettempdir())
    base.mkdir(parents=True, exist_ok=True)
    _sweep(base)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
    try:
        with (folder / OWNER).open("wb") as owner:
            # Where locks do not work, nobody gets this one, and the folder is left alone.
            with suppress(OSError):
                fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
            files = folder / "files"
            files.mkdir(mode=0o700)
            yield files
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(base: Path) -> None:
    for folder in base.glob(f"{PREFIX}*"):
        # Whatever fails here belongs to somebody, or is being removed by another sweep.
        with suppress(OSError):
            if _is_ours(folder) and _is_left_behind(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _is_ours(folder: Path) -> bool:
    return not folder.is_symlink() and folder.stat().st_uid == os.getuid()


def _is_left_behind(folder: Path) -> bool:
    if time.time() - folder.stat().st_mtime < YOUNG_SECONDS:
        return False
    try:
        with (folder / OWNER).open("rb+") as owner:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except FileNotFoundError:
        return True
