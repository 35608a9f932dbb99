"""DuckDB: one file, one writer at a time.

A transaction takes the file lock, opens the file, and closes it again: the file is never held
longer than one load. A second process waits its turn, fairly, at the lock beside the file.
"""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from edpipeline.errors import Busy, Permanent, Transient
from edpipeline.warehouse.engine import PARAMETER, Parameters, Session, Warehouse, used


def _quoted(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def _literal(value: object) -> str:
    """A value as SQL. Binding parameters costs DuckDB's client a search for pandas each time."""
    if value is None:
        return "null"
    if isinstance(value, bool | int | float):
        return str(value).lower()
    if isinstance(value, datetime):
        return f"timestamp {_quoted(value.isoformat(sep=' '))}"
    if isinstance(value, date):
        return f"date {_quoted(value)}"
    return _quoted(value)


def _filled(sql: str, parameters: Parameters) -> str:
    found = used(sql, parameters)
    return PARAMETER.sub(lambda match: _literal(found[match[1]]), sql) if found else sql


class DuckSession(Session):
    """One transaction on one DuckDB connection."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        super().__init__()
        self._connection = connection

    def run(self, sql: str, **parameters: Any) -> int:
        """See `Session.run`."""
        found = self._connection.execute(_filled(sql, parameters)).fetchall()
        is_count = len(found) == 1 and len(found[0]) == 1 and isinstance(found[0][0], int)
        return int(found[0][0]) if is_count else 0

    def rows(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """See `Session.rows`."""
        return self._connection.execute(_filled(sql, parameters)).fetchall()

    def frame(self, sql: str, **parameters: Any) -> pl.DataFrame:
        """See `Session.frame`."""
        table = self._connection.sql(_filled(sql, parameters)).to_arrow_table()
        return pl.DataFrame(pl.from_arrow(table))

    def has_table(self, name: str) -> bool:
        """See `Session.has_table`. Its catalog views list every column of every table first."""
        try:
            self._connection.execute(f"select 1 from {name} where false")
        except duckdb.CatalogException:
            return False
        return True

    def columns(self, name: str) -> dict[str, str]:
        """See `Session.columns`; as for `has_table`, one look is cheaper than the catalog."""
        try:
            found = self._connection.execute(f"describe {name}").fetchall()
        except duckdb.CatalogException:
            return {}
        return {row[0]: row[1] for row in found}

    def numbers(self, sql: str, **parameters: Any) -> NDArray[np.int64]:
        """See `Session.numbers`."""
        found = self._connection.execute(_filled(sql, parameters)).fetchnumpy()
        column = next(iter(found.values()))
        return np.require(np.asarray(column), np.int64, ["W"])

    def stage(self, name: str, files: Sequence[Path], columns: Mapping[str, str]) -> None:
        """A view over the files: nothing is copied. See `Session.stage`."""
        if not files:
            typed = ", ".join(f"cast(null as {kind}) as {c}" for c, kind in columns.items())
            self.run(f"create or replace temp view {name} as select {typed} where false")
            return
        paths = ", ".join(_quoted(path) for path in files)
        typed = ", ".join(f"cast({c} as {kind}) as {c}" for c, kind in columns.items())
        self.run(
            f"create or replace temp view {name} as select {typed} from read_parquet([{paths}])"
        )

    def export(self, sql: str, path: Path, **parameters: Any) -> None:
        """See `Session.export`."""
        filled = _filled(sql, parameters)
        self._connection.execute(f"copy ({filled}) to {_quoted(path)} (format parquet)")

    def analyze(self, table: str) -> None:
        """DuckDB keeps its own statistics."""

    def lock_district(self, district_id: str) -> None:
        """The whole file is locked already."""

    def lock_schema(self) -> None:
        """The whole file is locked already."""


class DuckWarehouse(Warehouse):
    """A DuckDB file."""

    def __init__(self, url: str, path: Path, memory_limit: str, lock_seconds: float) -> None:
        self.url = url
        self.path = path
        self._memory_limit = memory_limit
        self._lock_seconds = lock_seconds
        self._kept = 0
        """Blocks of `kept_open` that go on."""

    def describe(self) -> str:
        """See `Warehouse.describe`."""
        return f"DuckDB file {self.path}"

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """See `Warehouse.transaction`."""
        with self._locked():
            connection = self._connect()
            try:
                yield from _in_transaction(connection)
            except duckdb.Error as error:
                raise _explained(error, self.path) from None
            finally:
                connection.close()

    @contextmanager
    def kept_open(self) -> Iterator[None]:
        """See `Warehouse.kept_open`. DuckDB lets no other process open the file meanwhile."""
        with self._locked():  # a load that is going on has its time to end
            connection = self._connect()
        self._kept += 1
        try:
            yield
        finally:
            self._kept -= 1
            connection.close()

    def compact(self) -> None:
        """Copy what is there into a new file, which takes the place of the old one: DuckDB leaves
        what was deleted in blocks that it uses again later. See `Warehouse.compact`.

        Takes as much room again as the tables do; killed at any instant, one of the two is there.
        Raises Busy while it is kept open: what is written after would go to the old file and be
        lost with it.
        """
        if self._kept:
            raise Busy(f"the warehouse {self.path.name} is kept open; it can be compacted after")
        with self._locked():
            target = self.path.resolve()
            part = target.with_name(f".{target.name}.part")
            spill = Path(f"{self.path}.spill")
            try:
                part.unlink(missing_ok=True)
                connection = self._connect()
                try:
                    connection.execute("checkpoint")
                    before = connection.execute("select current_database()").fetchall()[0][0]
                    connection.execute(f"attach {_quoted(part)} as compacted")
                    connection.execute(f'copy from database "{before}" to compacted')
                    connection.execute("detach compacted")
                finally:
                    connection.close()
                with part.open("rb") as written:
                    os.fsync(written.fileno())
                part.chmod(target.stat().st_mode)
                part.replace(target)
            except duckdb.Error as error:
                raise _explained(error, self.path) from None
            finally:
                part.unlink(missing_ok=True)
                shutil.rmtree(spill, ignore_errors=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{self.path}.lock")
        try:
            lock.acquire(timeout=self._lock_seconds)
        except Timeout:
            raise Busy(
                f"the warehouse {self.path.name} is held by another load"
                f" for more than {self._lock_seconds:.0f} s; it is tried again"
            ) from None
        try:
            yield
        finally:
            lock.release()

    def _connect(self) -> duckdb.DuckDBPyConnection:
        config: dict[str, str | bool | int | float | list[str]] = {
            "preserve_insertion_order": "false",
            "memory_limit": self._memory_limit,
            "temp_directory": f"{self.path}.spill",
        }
        try:
            connection = duckdb.connect(str(self.path), config=config)
        except duckdb.Error as error:
            raise _explained(error, self.path) from None
        connection.execute("set TimeZone = 'UTC'")
        return connection


def _in_transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[Session]:
    connection.execute("begin")
    try:
        yield DuckSession(connection)
    except BaseException:
        _roll_back(connection)
        raise
    connection.execute("commit")


def _roll_back(connection: duckdb.DuckDBPyConnection) -> None:
    try:
        connection.execute("rollback")
    except duckdb.Error:
        # Closing the connection rolls back too; the first error is the one to tell.
        return


_DISK_FULL = ("No space left on device", "Disk quota exceeded", "File too large")
_HELD = "Could not set lock on file"


def _explained(error: duckdb.Error, path: Path) -> Permanent | Transient:
    """The error in our words: DuckDB's own text may show values of rows.

    A full disk is an IOException while rows are written, a TransactionException at the commit,
    and an OutOfMemoryException where it kept a sort from spilling.
    """
    text = str(error)
    writing = isinstance(error, duckdb.IOException | duckdb.TransactionException)
    if writing and any(words in text for words in _DISK_FULL):
        return Transient(
            f"the disk of {path.parent} is full; nothing was changed. Free some space; it is"
            " tried again"
        )
    if isinstance(error, duckdb.OutOfMemoryException):
        return Transient(
            f"DuckDB ran out of memory, or of room to spill in {path.parent}; nothing was changed."
            " Free disk space there or raise EDPIPELINE_MEMORY_LIMIT; it is tried again"
        )
    if isinstance(error, duckdb.IOException):
        if _HELD in text:
            return Busy(
                f"the warehouse {path.name} is open in another program (a reader or an earlier"
                " version of this one); close it, or read the published copy instead"
            )
        return Permanent(
            f"the warehouse file {path} cannot be opened, read or written by DuckDB: check that"
            " the disk is well and that nothing else wrote to the file. Restore it from a backup,"
            " or put it aside and run `edpipeline rebuild`"
        )
    return Permanent(
        f"DuckDB refused a statement ({type(error).__name__}); nothing was changed. This is a"
        " fault of edpipeline: please report it"
    )
