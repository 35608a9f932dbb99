"""Marts as Parquet, for everybody who only reads.

    <published>/<mart>/district_id=<id>/data.parquet
    <published>/analyst.duckdb                          views `marts.<mart>` over those files

On DuckDB one process owns the warehouse file, and readers would keep the writer out. They read
these files instead: each appears whole or not at all, and whoever has the one before open keeps
it. `analyst.duckdb` holds no rows and is never written again once it is there, so it may be open
(read-only) in any number of programs at any time. Its views name the folder by its absolute path:
after the folder is moved, the next publish makes the file anew.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from edpipeline.errors import BadConfiguration
from edpipeline.landing.s3 import S3Store, open_s3
from edpipeline.landing.store import plain_disk_errors
from edpipeline.warehouse.engine import Warehouse
from edpipeline.warehouse.marts import Mart, marts, require_made

ANALYST = "analyst.duckdb"
DISTRICT_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
GLOB_SIGNS = "*?[]{}"


class _Target(Protocol):
    """Where published files go."""

    def part(self, key: str) -> Path:
        """A local path to write the file for `key` to."""

    def replace(self, part: Path, key: str) -> None:
        """Make the written part the file under `key`, at once."""


def publish_district(
    warehouse: Warehouse, published: str, sql_folder: Path, district_id: str
) -> dict[str, int]:
    """Publish every mart of one district to a folder or `s3://bucket/prefix`; bytes by mart.

    A mart's file is replaced at once; the files of several marts, one after the other. Killed at
    any instant, each file is the old one or the new one. Raises `BadConfiguration` for a place
    that cannot be one, `NotFound` where the marts were never filled, `Transient` where the place
    cannot be reached or is full, `Busy` where the district is being loaded.
    """
    if not DISTRICT_ID.fullmatch(district_id):
        raise BadConfiguration(
            "a district's id is made of letters, digits, `_`, `.` and `-`: it names a folder here"
        )
    found = marts(sql_folder)
    sizes: dict[str, int] = {}
    with _target(published) as target, warehouse.transaction() as session:
        session.lock_district(district_id)
        require_made(session, found)
        parts: dict[str, Path] = {}
        for mart in found:
            key = f"{mart.name}/district_id={district_id}/data.parquet"
            parts[key] = target.part(key)
            session.export(
                f"select {', '.join(mart.columns)} from {mart.full_name}"
                " where district_id = $district",
                parts[key],
                district=district_id,
            )
            sizes[mart.name] = parts[key].stat().st_size
        for key, part in parts.items():
            target.replace(part, key)
    if isinstance(target, _Folder):
        write_analyst_file(target.root, found)
    return sizes


@contextmanager
def _target(published: str) -> Iterator[_Target]:
    if published.startswith("s3://"):
        parts = urlsplit(published)
        store = open_s3(parts.netloc, parts.path, parts.query)
        with tempfile.TemporaryDirectory(prefix="edpipeline-publish-") as scratch:
            yield _Bucket(store.bucket, store.prefix, store.endpoint_url, Path(scratch))
        return
    root = Path(published.removeprefix("file://")).absolute()
    if "://" in published or any(sign in str(root) for sign in GLOB_SIGNS):
        raise BadConfiguration(
            "EDPIPELINE_PUBLISHED must be a folder or s3://bucket/prefix, without any of"
            f" {GLOB_SIGNS} in it"
        )
    with plain_disk_errors(root):
        yield _Folder(root)


@dataclass(frozen=True)
class _Folder:
    """A folder: written beside, then renamed."""

    root: Path

    def part(self, key: str) -> Path:
        """Always the same path, so that one left behind by a killed run is written over."""
        path = (self.root / key).with_name(".data.parquet.part")
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def replace(self, part: Path, key: str) -> None:
        """Rename, after the bytes are on the disk."""
        with part.open("rb+") as written:
            os.fsync(written.fileno())
        part.replace(self.root / key)


@dataclass(frozen=True)
class _Bucket(S3Store):
    """An S3 prefix whose keys are written again and again, unlike those of landing."""

    scratch: Path = Path()

    def part(self, key: str) -> Path:
        """A file in the scratch folder."""
        return self.scratch / f"{key.partition('/')[0]}.parquet"

    def replace(self, part: Path, key: str) -> None:
        """One upload; S3 shows it when it is complete."""
        with self._calling(key):
            self._client.upload_file(str(part), self.bucket, self._at(key)["Key"])
        part.unlink()


def write_analyst_file(folder: Path, found: Sequence[Mart]) -> Path:
    """Write `analyst.duckdb` over what is published in `folder`, where it is not there already.

    Marts of which no district has a file yet are left out until one has.
    """
    import duckdb

    path = folder / ANALYST
    ready = [mart for mart in found if any((folder / mart.name).glob("*/data.parquet"))]
    statements = [
        "create schema marts",
        *(s for mart in ready for s in _view(folder, mart)),
    ]
    script = ";\n".join(statements)
    if _holds(path, script):
        return path
    with plain_disk_errors(folder):
        scratch = Path(tempfile.mkdtemp(prefix=".analyst-", dir=folder))
        try:
            with duckdb.connect(str(scratch / ANALYST)) as connection:
                connection.execute(script)
                connection.execute(
                    f"create table marts.made_by as select {_text(script)} as script"
                )
            # Nobody can open it for writing, which would lock out everybody else.
            (scratch / ANALYST).chmod(0o444)
            (scratch / ANALYST).replace(path)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return path


def _holds(path: Path, script: str) -> bool:
    """Whether the file was made by this very script."""
    import duckdb

    if not path.exists():
        return False
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            found = connection.execute("select script from marts.made_by").fetchall()
    except duckdb.Error:
        return False
    return found == [(script,)]


def _view(folder: Path, mart: Mart) -> list[str]:
    # Types are named: DuckDB would read the district `007` out of the path as the number 7. Files
    # are taken by column name, because districts are published at different times.
    files = f"{folder}/{mart.name}/*/data.parquet"
    return [
        f"create view {mart.full_name} as select {', '.join(mart.columns)}"
        f" from read_parquet({_text(files)}, hive_partitioning = true,"
        " hive_types = {'district_id': varchar}, union_by_name = true)",
        f"comment on view {mart.full_name} is {_text(mart.grain)}",
        *(
            f"comment on column {mart.full_name}.{name} is {_text(description)}"
            for name, description in mart.columns.items()
        ),
    ]


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
