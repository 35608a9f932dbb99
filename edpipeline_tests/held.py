"""DuckDB files that stay open between the transactions of a test.

The product opens and closes the file for every transaction, so that other processes get their
turn; that takes 50 ms, a hundred times what a small transaction takes. Where no other process
comes in, one more connection keeps the file open, and nothing else changes.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb
import pytest

from edpipeline.warehouse.duck import DuckWarehouse

AT_ONCE = 8
_held: dict[Path, duckdb.DuckDBPyConnection] = {}
_connect = DuckWarehouse._connect


def _connect_and_hold(warehouse: DuckWarehouse) -> duckdb.DuckDBPyConnection:
    path = warehouse.path.absolute()
    if path in _held and not path.exists():
        _let_go(path)
    if path not in _held:
        _held[path] = _connect(warehouse)
        if len(_held) > AT_ONCE:
            _let_go(next(iter(_held)))
    another = _held[path].cursor()
    another.execute("set TimeZone = 'UTC'")
    return another


def _let_go(path: Path) -> None:
    """Close a file at which hardly anybody looks again: what was written stays in the log beside
    it, since to write it into the file takes longer than many a test."""
    connection = _held.pop(path)
    with suppress(duckdb.Error):  # a test may have broken the file
        connection.execute("pragma disable_checkpoint_on_shutdown")
    connection.close()


@contextmanager
def held_open() -> Iterator[None]:
    """Files that are opened from now on stay open, the last `AT_ONCE` of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DuckWarehouse, "_connect", _connect_and_hold)
        yield


def close_all() -> None:
    """Let other processes have them; each file holds all that was written."""
    while _held:
        _held.popitem()[1].close()
