"""A scratch folder goes with its process, however that ends, and never before."""

import errno
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest

from edpipeline import scratch
from edpipeline.errors import Transient
from edpipeline.scratch import NEW_SECONDS, OWNER, PREFIX, scratch_folder

HOLDER = """
import sys, time
from pathlib import Path
from edpipeline.scratch import scratch_folder
with scratch_folder(Path(sys.argv[1])) as folder:
    (folder / "rows").write_text("personal data")
    print(folder, flush=True)
    time.sleep(60)
"""


@contextmanager
def held_elsewhere(parent: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another process with a scratch folder there."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(parent)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        folder = Path(process.stdout.readline().strip())
        yield process, folder
        process.kill()


def grow_old(folder: Path) -> None:
    then = time.time() - 2 * NEW_SECONDS
    os.utime(folder, (then, then))


def test_a_folder_goes_with_its_block(tmp_path: Path) -> None:
    with scratch_folder(tmp_path / "made") as folder:
        (folder / "rows").write_text("personal data")
        assert folder.stat().st_mode & 0o077 == 0
    assert list((tmp_path / "made").iterdir()) == []


def test_what_a_killed_process_left_is_removed_and_what_a_running_one_has_is_not(
    tmp_path: Path,
) -> None:
    with held_elsewhere(tmp_path) as (process, folder):
        with scratch_folder(tmp_path):
            assert (folder / "rows").exists()
        process.kill()
        process.wait()
        assert (folder / "rows").exists()
        with scratch_folder(tmp_path):
            assert not folder.parent.exists()


def test_a_folder_that_is_not_locked_yet_is_left_while_it_is_new(tmp_path: Path) -> None:
    names = (f".{PREFIX}a", f".{PREFIX}b", "edpipeline-c")
    new, old, other = (tmp_path / name for name in names)
    for folder in (new, old, other):
        folder.mkdir()
    grow_old(old)
    grow_old(other)
    with scratch_folder(tmp_path):
        assert [folder.exists() for folder in (new, old, other)] == [True, False, True]


def test_a_folder_whose_lock_is_held_in_this_process_is_left(tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as first, scratch_folder(tmp_path):
        assert (first.parent / OWNER).exists()
        assert first.exists()


def test_nothing_but_this_users_folders_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / f"{PREFIX}a"
    folder.mkdir()
    owner = folder.stat().st_uid
    monkeypatch.setattr(scratch.os, "getuid", lambda: 1 + owner)
    with scratch_folder(tmp_path):
        assert folder.exists()


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        pl.exceptions.ComputeError("No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_tried_again(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(Transient, match="EDPIPELINE_SCRATCH"), scratch_folder(tmp_path):
        raise error
    assert list(tmp_path.iterdir()) == []


def test_other_errors_of_the_system_are_left_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), scratch_folder(tmp_path) as folder:
        (folder / "nothing").read_bytes()
