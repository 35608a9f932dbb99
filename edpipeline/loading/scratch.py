"""A private folder for one load, which also goes when its process was killed before.

Spooled rows are personal data: what a killed process left behind is removed by the next one.
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from edpipeline.errors import Transient

PREFIX = "edpipeline-"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def scratch_folder(parent: Path | None = None) -> Iterator[Path]:
    """A folder that only this user can read, removed when the block ends.

    Raises `Transient` where its disk is full.
    """
    base = parent or Path(tempfile.gettempdir())
    base.mkdir(parents=True, exist_ok=True)
    _sweep(base)
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=base))
    try:
        yield folder
    except (OSError, pl.exceptions.PolarsError) as error:
        if not _is_full_disk(error):
            raise
        raise Transient(
            f"the disk of {base} is full; nothing was changed. Free some space, or set"
            " EDPIPELINE_SCRATCH to a larger disk; it is tried again"
        ) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_full_disk(error: Exception) -> bool:
    """polars tells the operating system's error in words only."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in FULL
    return any(f"os error {number}" in str(error) for number in FULL)


def _sweep(base: Path) -> None:
    for folder in base.glob(f"{PREFIX}*-*"):
        owner = folder.name.removeprefix(PREFIX).split("-")[0]
        if owner.isdigit() and not _is_running(int(owner)) and folder.stat().st_uid == os.getuid():
            shutil.rmtree(folder, ignore_errors=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
