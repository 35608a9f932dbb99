"""What DuckDB says becomes what a person can act on, and never a row's value."""

import os
from pathlib import Path

import duckdb
import pytest

from edpipeline.errors import Busy, EdpipelineError, Permanent, Transient
from edpipeline.warehouse.duck import _explained
from edpipeline.warehouse.engine import open_warehouse

pytestmark = pytest.mark.other_processes

WAREHOUSE = Path("/data/locksmith/warehouse.duckdb")
FULL = "No space left on device"


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (duckdb.IOException("Could not set lock on file: held"), Busy, "another program"),
        (duckdb.IOException(f'Could not write "duckdb_temp_block-1": {FULL}'), Transient, "full"),
        (duckdb.TransactionException(f"Failed to commit: write: {FULL}"), Transient, "full"),
        (duckdb.IOException("Disk quota exceeded"), Transient, "full"),
        (duckdb.OutOfMemoryException("failed to offload data block"), Transient, "MEMORY_LIMIT"),
        (duckdb.IOException("Corrupt: stored checksum in block 1"), Permanent, "backup"),
        (duckdb.IOException(f'cannot read "{WAREHOUSE}"'), Permanent, "backup"),
        (duckdb.ConversionException(f"could not convert '{FULL}'"), Permanent, "report it"),
    ],
)
def test_an_error_of_duckdb_is_told_by_its_own_words(
    error: duckdb.Error, kind: type[EdpipelineError], words: str
) -> None:
    told = _explained(error, WAREHOUSE)
    assert type(told) is kind
    assert words in str(told)


def test_a_corrupt_file_is_not_tried_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table t as select range as i from range(100000)")
    with path.open("rb+") as file:
        file.seek(path.stat().st_size // 2)
        file.write(os.urandom(4096))
    with (
        pytest.raises(Permanent, match="backup"),
        open_warehouse(f"duckdb://{path}").transaction() as session,
    ):
        session.value("select sum(i) from t")


def test_a_refused_statement_shows_no_value(tmp_path: Path) -> None:
    warehouse = open_warehouse(f"duckdb://{tmp_path / 'warehouse.duckdb'}")
    with (
        pytest.raises(Permanent, match="ConversionException") as caught,
        warehouse.transaction() as s,
    ):
        s.run("select cast('Philippa' as integer)")
    assert "Philippa" not in str(caught.value)
    assert caught.value.__suppress_context__
