"""PostgreSQL: the warehouse that many may use at once.

Files are staged with COPY into temporary tables; everything else is the same SQL as on DuckDB.
"""

import io
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import polars as pl
import psycopg
import pyarrow.parquet as parquet
from numpy.typing import NDArray

from edpipeline.errors import (
    BadConfiguration,
    BadCredentials,
    Busy,
    ConnectionLost,
    EdpipelineError,
    Permanent,
    Transient,
)
from edpipeline.warehouse.engine import PARAMETER, Session, Warehouse, used

WORK_MEMORY = "256MB"
"""What one sort or hash of a load may take before it spills."""

COPY_ROWS = 200_000
"""Rows turned into CSV at once: bounds memory whatever the file."""


Described = psycopg.Cursor[tuple[Any, ...]] | psycopg.ServerCursor[tuple[Any, ...]]


def _positional(sql: str) -> str:
    """`$name` becomes psycopg's `%(name)s`."""
    return PARAMETER.sub(r"%(\1)s", sql.replace("%", "%%"))


class PostgresSession(Session):
    """One transaction on one PostgreSQL connection."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]], wait: float) -> None:
        super().__init__()
        self._connection = connection
        self._wait = wait

    def _execute(self, sql: str, parameters: Mapping[str, Any]) -> psycopg.Cursor[tuple[Any, ...]]:
        found = used(sql, parameters)
        if not found:
            return self._connection.execute(sql)
        return self._connection.execute(_positional(sql), found)

    def run(self, sql: str, **parameters: Any) -> int:
        """See `Session.run`."""
        return max(0, self._execute(sql, parameters).rowcount)

    def rows(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """See `Session.rows`."""
        return self._execute(sql, parameters).fetchall()

    def frame(self, sql: str, **parameters: Any) -> pl.DataFrame:
        """See `Session.frame`."""
        cursor = self._execute(sql, parameters)
        return _frame(cursor.fetchall(), cursor)

    def has_table(self, name: str) -> bool:
        """See `Session.has_table`."""
        return self.value("select to_regclass($name)", name=name) is not None

    def columns(self, name: str) -> dict[str, str]:
        """See `Session.columns`."""
        found = self.rows(
            "select attname, format_type(atttypid, null) from pg_attribute"
            " where attrelid = to_regclass($name) and attnum > 0 and not attisdropped"
            " order by attnum",
            name=name,
        )
        return {row[0]: row[1] for row in found}

    def numbers(self, sql: str, **parameters: Any) -> NDArray[np.int64]:
        """See `Session.numbers`."""
        data = io.BytesIO()
        with self._connection.cursor() as cursor:
            statement = f"copy ({_positional(sql)}) to stdout"
            with cursor.copy(statement, used(sql, parameters)) as copy:
                for block in copy:
                    data.write(block)
        if not data.tell():
            return np.empty(0, dtype=np.int64)
        frame = pl.read_csv(data.getvalue(), has_header=False, schema={"n": pl.Int64})
        return np.array(frame["n"].to_numpy(), dtype=np.int64)

    def stage(self, name: str, files: Sequence[Path], columns: Mapping[str, str]) -> None:
        """A temporary table, filled by COPY. See `Session.stage`."""
        typed = ", ".join(f"{column} {kind}" for column, kind in columns.items())
        self.run(f"create temp table if not exists {name} ({typed}) on commit drop")
        self.run(f"truncate {name}")
        names = ", ".join(columns)
        statement = f"copy {name} ({names}) from stdin (format csv, null '')"
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            for path in files:
                for batch in parquet.ParquetFile(path).iter_batches(COPY_ROWS):
                    frame = pl.DataFrame(pl.from_arrow(batch)).select(list(columns))
                    copy.write(
                        frame.write_csv(include_header=False, quote_style="non_numeric").encode()
                    )
        self.run(f"analyze {name}")

    def export(self, sql: str, path: Path, **parameters: Any) -> None:
        """See `Session.export`."""
        with self._connection.cursor(name="export") as cursor:
            cursor.execute(_positional(sql), used(sql, parameters))
            batch = _frame(cursor.fetchmany(COPY_ROWS), cursor).to_arrow()
            with parquet.ParquetWriter(path, batch.schema) as writer:
                while batch.num_rows:
                    writer.write_table(batch)
                    batch = _frame(cursor.fetchmany(COPY_ROWS), cursor).to_arrow()

    def analyze(self, table: str) -> None:
        """Without it a table filled in this transaction is planned as if it were empty."""
        self.run(f"analyze {table}")

    def lock_district(self, district_id: str) -> None:
        """See `Session.lock_district`."""
        self._lock(
            f"edpipeline {district_id}", f"another load of district {district_id} is running"
        )

    def lock_schema(self) -> None:
        """See `Session.lock_schema`. No district's key has the form of this one."""
        self._lock("edpipeline: schema", "another process is making the tables of the warehouse")

    def _lock(self, key: str, otherwise: str) -> None:
        self.run(f"set local lock_timeout = '{int(self._wait * 1000)}ms'")
        try:
            self.run("select pg_advisory_xact_lock($key)", key=zlib.crc32(key.encode()))
        except psycopg.errors.LockNotAvailable:
            raise Busy(f"{otherwise}; this one is tried again") from None
        self.run("set local lock_timeout = 0")


def _frame(rows: list[tuple[Any, ...]], cursor: Described) -> pl.DataFrame:
    columns = cursor.description or ()
    names = [column.name for column in columns]
    types = {c.name: _POLARS_TYPES[c.type_code] for c in columns if c.type_code in _POLARS_TYPES}
    return pl.DataFrame(rows, schema=names, schema_overrides=types, orient="row")


_POLARS_TYPES: dict[int, type[pl.DataType] | pl.DataType] = {
    16: pl.Boolean,
    20: pl.Int64,
    21: pl.Int32,
    23: pl.Int32,
    25: pl.String,
    701: pl.Float64,
    1043: pl.String,
    1082: pl.Date,
    1114: pl.Datetime("us"),
    1184: pl.Datetime("us", "UTC"),
    1700: pl.Float64,
}
"""Type by PostgreSQL's number of it (pg_type.oid), so that an empty result keeps its types."""


class PostgresWarehouse(Warehouse):
    """A PostgreSQL database."""

    def __init__(self, url: str, lock_seconds: float) -> None:
        self.url = url
        self._wait = lock_seconds

    def describe(self) -> str:
        """See `Warehouse.describe`."""
        parts = urlsplit(self.url)
        return f"PostgreSQL {parts.hostname or 'localhost'}:{parts.port or 5432}{parts.path}"

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """See `Warehouse.transaction`."""
        try:
            connection = psycopg.connect(self.url, connect_timeout=15, prepare_threshold=None)
        except psycopg.ProgrammingError:
            raise BadConfiguration(
                "EDPIPELINE_WAREHOUSE is not an address that PostgreSQL's client can read: write"
                " postgresql://user@host/database, with % as %25 in its parts"
            ) from None
        except psycopg.OperationalError as error:
            raise _refused(error, self.describe()) from None
        try:
            connection.execute("set time zone 'UTC'")
            connection.execute("set local client_min_messages = warning")
            connection.execute(f"set local work_mem = '{WORK_MEMORY}'")
            yield PostgresSession(connection, self._wait)
            connection.commit()
        except psycopg.Error as error:
            raise _told(error, self.describe(), lost=connection.broken) from None
        finally:
            connection.close()

    def compact(self) -> None:
        """Vacuum the tables of ours. Of what else holds old rows (WAL, backups), only its owner
        knows. See `Warehouse.compact`."""
        with self.transaction() as session:
            tables = session.rows(
                "select quote_ident(schemaname) || '.' || quote_ident(tablename) from pg_tables"
                " where schemaname not in ('pg_catalog', 'information_schema')"
                " and tableowner = current_user order by 1"
            )
        if not tables:
            return
        try:
            with psycopg.connect(self.url, connect_timeout=15, autocommit=True) as connection:
                connection.execute(f"vacuum {', '.join(name for (name,) in tables)}".encode())
        except psycopg.Error as error:
            raise _told(error, self.describe()) from None


def _told(error: psycopg.Error, place: str, lost: bool = False) -> EdpipelineError:
    """The error in our words: psycopg's own text may show values of rows.

    Told by the SQLSTATE (PostgreSQL, appendix A), of which the first two signs are the class.
    """
    state = error.sqlstate or ""
    kind = f"{type(error).__name__}, {state}"
    if state == "53100":
        return Transient(
            f"the disk of {place} is full; nothing was changed. Free some space; it is tried again"
        )
    if state[:2] == "28" or state == "3D000":
        return _bad_credentials(place)
    if lost or (state[:2] in ("08", "57") and state != "57014"):
        return ConnectionLost(f"the connection to {place} was lost; nothing was changed")
    if state[:2] in ("40", "53", "57") or state == "55P03":
        return Transient(
            f"{place} is busy or short of room ({kind}); nothing was changed. It is tried again"
        )
    if state == "42501":
        return Permanent(
            f"the user of EDPIPELINE_WAREHOUSE lacks a right in {place} ({kind}); nothing was"
            " changed. Let it create schemas in the database, and own the schemas and tables that"
            " edpipeline keeps there"
        )
    return Permanent(
        f"PostgreSQL refused a statement ({kind}); nothing was changed. This is a fault of"
        " edpipeline: please report it"
    )


_REFUSALS = re.compile(
    r"password authentication failed|no password supplied|no pg_hba\.conf entry"
    r'|(?:database|role) "[^"]*" does not exist|is not permitted to log in'
)
_NO_ROOM = re.compile(r"too many (?:clients|connections)|connection slots|is starting up")


def _refused(error: psycopg.OperationalError, place: str) -> EdpipelineError:
    """Why no connection came about. The text is not shown: it may hold the user or the URL.

    psycopg knows no SQLSTATE here, so that the server's words are looked at, the English ones.
    """
    if error.sqlstate:
        return _told(error, place)
    text = str(error)
    if _NO_ROOM.search(text):
        return Transient(f"{place} takes no more connections now; it is tried again")
    if _REFUSALS.search(text):
        return _bad_credentials(place)
    return ConnectionLost(f"{place} does not answer: check that it runs and can be reached")


def _bad_credentials(place: str) -> BadCredentials:
    return BadCredentials(
        f"{place} refused the connection: check user, password and database in EDPIPELINE_WAREHOUSE"
    )
