"""Marts as Parquet, for everybody who only reads.

    <published>/<mart>/district_id=<id>/data.parquet     the newest rows, under a name that stays
    <published>/.generations/<mart>/district_id=<id>/<number>.parquet    never written again
    <published>/analyst.duckdb                           views `marts.<mart>` over generations

On DuckDB one process owns the warehouse file, and readers would keep the writer out. They open
`analyst.duckdb` (read-only) instead, in any number of programs, while loads and publishes run.
A program that has it open sees one and the same state of every mart until it opens it again;
what it sees stays on disk for a day after it was superseded.

Why generations: DuckDB opens a Parquet file twice for one query, so a file that is replaced under
its name can show it the index of the old one and the rows of the new one. `data.parquet` (a second
name of the newest generation, which takes no room) is for readers that open a file once.

The views name the folder by its absolute path: after it is moved, the next publish makes
`analyst.duckdb` anew. On S3 there is only `data.parquet`; S3 shows a file when it is complete.
"""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from edpipeline.errors import BadConfiguration, Busy
from edpipeline.landing.s3 import S3Store, open_s3
from edpipeline.landing.store import plain_disk_errors
from edpipeline.scratch import scratch_folder
from edpipeline.warehouse.engine import Session, Warehouse
from edpipeline.warehouse.marts import Mart, marts, refilled, require_made

ANALYST = "analyst.duckdb"
GENERATIONS = ".generations"
KEPT_SECONDS = 24 * 3600.0
"""How long a superseded generation stays for those who have `analyst.duckdb` open."""

DISTRICT_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
LOCK_SECONDS = 60.0


class _Target(Protocol):
    """Where published files go. `name` is `<mart>/district_id=<id>`."""

    def part(self, name: str) -> Path:
        """A local path to write the file for `name` to."""

    def show(self, part: Path, name: str) -> None:
        """Make the written part the newest file of `name`, at once."""

    def remove(self, name: str) -> None:
        """Remove whatever is published under `name`."""

    def finish(self, found: Sequence[Mart]) -> None:
        """Let readers see what was shown since."""


def publish_district(
    warehouse: Warehouse,
    published: str,
    sql_folder: Path,
    district_id: str,
    scratch: Path | None = None,
) -> dict[str, int]:
    """Publish every mart of one district to a folder or `s3://bucket/prefix`; bytes by mart.

    Files on their way to S3 lie in a folder in `scratch`.

    Killed at any instant, readers see all marts as before or all as after. Raises
    `BadConfiguration` for a place that cannot be one, `NotFound` where the marts were never
    filled, `Transient` where the place cannot be reached or is full, `Busy` where the district is
    being loaded.
    """
    found = marts(sql_folder)
    with _target(published, scratch) as target, warehouse.transaction() as session:
        session.lock_district(_checked(district_id))
        require_made(session, found)
        sizes = _shown(session, target, found, district_id)
        target.finish(found)
    return sizes


def refill_and_publish(
    warehouse: Warehouse,
    published: str,
    sql_folder: Path,
    found: Sequence[Mart],
    district_id: str,
    scratch: Path | None = None,
) -> tuple[dict[str, int], dict[str, int]]:
    """Compute these marts of one district anew and write their files, in one transaction; rows and
    bytes by mart.

    `finish_publishing` lets readers of `analyst.duckdb` see them: once for many districts, because
    it opens every district's files. Raises what `refill_district` and `publish_district` do.
    """
    _checked(district_id)
    with (
        _target(published, scratch) as target,
        refilled(warehouse, sql_folder, found, district_id) as (session, rows),
    ):
        return rows, _shown(session, target, found, district_id)


def finish_publishing(published: str, found: Sequence[Mart]) -> None:
    """Let readers see what `refill_and_publish` wrote. Raises what `publish_district` does."""
    with _target(published) as target:
        target.finish(found)


def _shown(
    session: Session, target: _Target, found: Sequence[Mart], district_id: str
) -> dict[str, int]:
    """Write the files of a district's marts and show them, each the newest of its name."""
    sizes: dict[str, int] = {}
    parts: dict[str, Path] = {}
    for mart in found:
        name = f"{mart.name}/district_id={district_id}"
        parts[name] = target.part(name)
        session.export(
            f"select {', '.join(mart.columns)} from {mart.full_name} where district_id = $district",
            parts[name],
            district=district_id,
        )
        sizes[mart.name] = parts[name].stat().st_size
    for name, part in parts.items():
        target.show(part, name)
    return sizes


def unpublish_district(published: str, sql_folder: Path, district_id: str) -> None:
    """Remove everything that is published of a district, generations too."""
    found = marts(sql_folder)
    _checked(district_id)
    with _target(published) as target:
        for mart in found:
            target.remove(f"{mart.name}/district_id={district_id}")
        target.finish(found)


def remove_superseded(published: str, older_than: float = 0.0) -> int:
    """Remove generations that no reader gets any more; the number of files.

    `older_than` is in seconds since they were superseded. With 0, programs that have
    `analyst.duckdb` open must open it again: that is what erasing a person asks for.
    """
    if published.startswith("s3://"):
        return 0
    with _target(published) as target:
        assert isinstance(target, _Folder)
        return target.clean(older_than)


def _checked(district_id: str) -> str:
    if not DISTRICT_ID.fullmatch(district_id):
        raise BadConfiguration(
            "a district's id is made of letters, digits, `_`, `.` and `-`: it names a folder here"
        )
    return district_id


@contextmanager
def _target(published: str, scratch: Path | None = None) -> Iterator[_Target]:
    if published.startswith("s3://"):
        parts = urlsplit(published)
        store = open_s3(parts.netloc, parts.path, parts.query)
        with scratch_folder(scratch) as folder:
            yield _Bucket(store.bucket, store.prefix, store.endpoint_url, parts=folder)
        return
    root = Path(published.removeprefix("file://")).absolute()
    if "://" in str(published).removeprefix("file://") or any(sign in str(root) for sign in "*?[]"):
        raise BadConfiguration(
            "EDPIPELINE_PUBLISHED must be a folder or s3://bucket/prefix, without * ? [ ] in it"
        )
    with plain_disk_errors(root):
        yield _Folder(root)


@dataclass(frozen=True)
class _Folder:
    """A folder: written beside, then renamed."""

    root: Path

    def part(self, name: str) -> Path:
        """Always the same path, so that one left behind by a killed run is written over."""
        path = self.root / GENERATIONS / name / ".part"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def show(self, part: Path, name: str) -> None:
        """The next generation, after its bytes are on the disk, and its second name."""
        with part.open("rb+") as written:
            os.fsync(written.fileno())
        before = _generations(part.parent)
        if before:
            os.utime(before[-1])  # superseded now
        number = int(before[-1].stem) + 1 if before else 1
        generation = part.replace(part.with_name(f"{number:06}.parquet"))
        steady = self.root / name / "data.parquet"
        steady.parent.mkdir(parents=True, exist_ok=True)
        spare = steady.with_name(".data.parquet.part")
        spare.unlink(missing_ok=True)
        try:
            spare.hardlink_to(generation)
        except OSError:  # a file system without second names
            shutil.copyfile(generation, spare)
        spare.replace(steady)

    def remove(self, name: str) -> None:
        """Both folders of the name."""
        for folder in (self.root / name, self.root / GENERATIONS / name):
            shutil.rmtree(folder, ignore_errors=True)

    def finish(self, found: Sequence[Mart]) -> None:
        """Point `analyst.duckdb` at the newest generations; remove what is long superseded."""
        with self._locked():
            _write_analyst_file(self.root, found)
            self._clean(KEPT_SECONDS)

    def clean(self, older_than: float) -> int:
        """See `remove_superseded`."""
        with self._locked():
            return self._clean(older_than)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Two districts published at once must not both say what is newest."""
        self.root.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.root / ".lock", timeout=LOCK_SECONDS):
                yield
        except Timeout:
            raise Busy(
                f"{self.root} is held by another publish for more than {LOCK_SECONDS:.0f} s; it is"
                " tried again"
            ) from None

    def _clean(self, older_than: float) -> int:
        latest = time.time() - older_than
        removed = 0
        for folder in (self.root / GENERATIONS).glob("*/district_id=*"):
            for generation in _generations(folder)[:-1]:
                if generation.stat().st_mtime <= latest:
                    generation.unlink()
                    removed += 1
        return removed


@dataclass(frozen=True)
class _Bucket(S3Store):
    """An S3 prefix whose keys are written again and again, unlike those of landing."""

    parts: Path = Path()

    def part(self, name: str) -> Path:
        """A file in the scratch folder."""
        return self.parts / f"{name.partition('/')[0]}.parquet"

    def show(self, part: Path, name: str) -> None:
        """One upload."""
        key = f"{name}/data.parquet"
        with self._calling(key):
            self._client.upload_file(str(part), self.bucket, self._at(key)["Key"])
        part.unlink()

    def remove(self, name: str) -> None:
        """One key."""
        key = f"{name}/data.parquet"
        with self._calling(key):
            self._client.delete_object(**self._at(key))

    def finish(self, found: Sequence[Mart]) -> None:
        """Nothing: every file was shown when it was complete."""


def _generations(folder: Path) -> list[Path]:
    """Oldest first."""
    return sorted(folder.glob("[0-9]*.parquet"), key=lambda path: int(path.stem))


def _write_analyst_file(root: Path, found: Sequence[Mart]) -> None:
    """Marts of which no district has a file are left out until one has."""
    import duckdb

    statements = ["create schema marts"]
    for mart in found:
        folders = sorted((root / GENERATIONS / mart.name).glob("district_id=*"))
        newest = [_generations(folder)[-1:] for folder in folders]
        paths = [path for last in newest for path in last]
        if paths:
            statements += _view(mart, paths)
    for left_behind in root.glob(".analyst-*"):  # by a killed publish: we hold the lock
        shutil.rmtree(left_behind, ignore_errors=True)
    scratch = Path(tempfile.mkdtemp(prefix=".analyst-", dir=root))
    try:
        with duckdb.connect(str(scratch / ANALYST)) as connection:
            # Else each of its 400 comments would be written to the disk by itself.
            connection.execute(";\n".join(["begin", *statements, "commit"]))
        # Nobody can open it for writing, which would lock out everybody else.
        (scratch / ANALYST).chmod(0o444)
        (scratch / ANALYST).replace(root / ANALYST)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _view(mart: Mart, paths: Sequence[Path]) -> list[str]:
    # Types are named: DuckDB would read the district `007` out of the path as the number 7. Files
    # are taken by column name, because districts are published at different times.
    files = ", ".join(_text(str(path)) for path in paths)
    return [
        f"create view {mart.full_name} as select {', '.join(mart.columns)}"
        f" from read_parquet([{files}], hive_partitioning = true,"
        " hive_types = {'district_id': varchar}, union_by_name = true)",
        f"comment on view {mart.full_name} is {_text(mart.about)}",
        *(
            f"comment on column {mart.full_name}.{name} is {_text(description)}"
            for name, description in mart.columns.items()
        ),
    ]


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
