"""The interface to the warehouse: transactions, set-based SQL, staged files.

SQL is written once, for DuckDB and PostgreSQL alike, with parameters as `$name`. Rows come in
only as staged Parquet files and go out only as frames, arrays or Parquet: never one by one.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from edpipeline.errors import BadConfiguration

PARAMETER = re.compile(r"\$([a-z][a-z_0-9]*)")

Parameters = Mapping[str, Any]


class Session(ABC):
    """One open transaction."""

    def __init__(self) -> None:
        self.made: set[str] = set()
        """Temporary tables that whoever made them finds again."""

    @abstractmethod
    def run(self, sql: str, **parameters: Any) -> int:
        """Run one statement; the number of rows it changed (0 where that has no meaning)."""

    @abstractmethod
    def rows(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """The rows of a small result."""

    @abstractmethod
    def frame(self, sql: str, **parameters: Any) -> pl.DataFrame:
        """A result as a frame."""

    @abstractmethod
    def has_table(self, name: str) -> bool:
        """Whether there is a table or view of that `schema.table`."""

    @abstractmethod
    def columns(self, name: str) -> dict[str, str]:
        """Type by column of a `schema.table` or view or of a temporary table, in its order.

        Types are named as in the catalog of the database; empty where there is no such table.
        """

    @abstractmethod
    def numbers(self, sql: str, **parameters: Any) -> NDArray[np.int64]:
        """The single bigint column of a result that may be large; a writable array."""

    @abstractmethod
    def stage(self, name: str, files: Sequence[Path], columns: Mapping[str, str]) -> None:
        """Make Parquet files readable as a temporary relation, columns with their SQL types."""

    @abstractmethod
    def export(self, sql: str, path: Path, **parameters: Any) -> None:
        """Write a result of any size as one Parquet file, in bounded memory."""

    @abstractmethod
    def lock_district(self, district_id: str) -> None:
        """Keep other loads of this district out until the transaction ends; raises `Busy`."""

    @abstractmethod
    def lock_schema(self) -> None:
        """Keep others from making tables until the transaction ends; raises `Busy`."""

    @abstractmethod
    def analyze(self, table: str) -> None:
        """Refresh what the planner knows of a table that has just changed a lot."""

    def value(self, sql: str, **parameters: Any) -> Any:
        """The first column of the first row, or None where there is no row."""
        rows = self.rows(sql, **parameters)
        return rows[0][0] if rows else None

    def script(self, sql: str) -> None:
        """Run statements that end with a semicolon at a line's end."""
        for statement in re.split(r";\s*$", sql, flags=re.MULTILINE):
            if _without_comments(statement):
                self.run(statement)


class Warehouse(ABC):
    """A place for tables; opened by `open_warehouse`."""

    url: str

    @abstractmethod
    def transaction(self) -> AbstractContextManager[Session]:
        """A transaction: committed when the block ends, rolled back when it raises.

        Raises `Busy` where another process holds the database too long, `ConnectionLost` where it
        does not answer.
        """

    def kept_open(self) -> AbstractContextManager[None]:
        """Transactions of this block open nothing anew, where opening takes long and no other
        process comes in meanwhile."""
        return nullcontext()

    @abstractmethod
    def compact(self) -> None:
        """Give up the room of deleted rows, so that nothing of them is left in the files."""

    @abstractmethod
    def describe(self) -> str:
        """Where the warehouse is, without secrets."""


def _without_comments(statement: str) -> str:
    return re.sub(r"--[^\n]*", "", statement).strip()


def used(sql: str, parameters: Parameters) -> dict[str, Any]:
    """Only those parameters that the statement names."""
    names = set(PARAMETER.findall(sql))
    return {name: value for name, value in parameters.items() if name in names}


def open_warehouse(url: str, memory_limit: str = "1GB", lock_seconds: float = 60.0) -> Warehouse:
    """The warehouse at `duckdb:///path` or `postgresql://...`. Nothing is connected yet."""
    if url.startswith("duckdb:///"):
        from edpipeline.warehouse.duck import DuckWarehouse

        return DuckWarehouse(url, Path(url.removeprefix("duckdb://")), memory_limit, lock_seconds)
    if url.startswith(("postgresql://", "postgres://")):
        from edpipeline.warehouse.postgres import PostgresWarehouse

        return PostgresWarehouse(url, lock_seconds)
    raise BadConfiguration(
        "EDPIPELINE_WAREHOUSE must be duckdb:///absolute/path or postgresql://user@host/database"
    )
