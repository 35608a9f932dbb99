"""DuckDB files that stay open between the transactions of a test.

The product opens and closes the file for every transaction, so that other processes get their
turn; that takes 50 ms, a hundred times what a small transaction takes. Where no other process
comes in, one more connection keeps the file open, and nothing else changes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
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
        _held.pop(path).close()
    if path not in _held:
        _held[path] = _connect(warehouse)
        if len(_held) > AT_ONCE:
            _held.pop(next(iter(_held))).close()
    another = _held[path].cursor()
    another.execute("set TimeZone = 'UTC'")
    return another


@contextmanager
def held_open() -> Iterator[None]:
    """Files that are opened from now on stay open, the last `AT_ONCE` of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DuckWarehouse, "_connect", _connect_and_hold)
        yield


def close_all() -> None:
    """Let other processes have them."""
    while _held:
        _held.popitem()[1].close()
