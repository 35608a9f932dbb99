"""A warehouse that is kept open: transactions as ever, and no other process in a DuckDB file."""

import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from edpipeline.errors import Busy
from edpipeline.warehouse.engine import open_warehouse

pytestmark = pytest.mark.other_processes

OTHER = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("in", flush=True)
sys.stdin.readline()
"""


def other_process(path: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", OTHER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_transactions_of_a_warehouse_that_is_kept_open_are_as_ever(warehouse_url: str) -> None:
    warehouse = open_warehouse(warehouse_url)
    with warehouse.kept_open():
        with warehouse.transaction() as session:
            session.run("create table kept as select 1 as number")
        with pytest.raises(LookupError), warehouse.transaction() as session:
            session.run("insert into kept values (2)")
            raise LookupError
        with warehouse.transaction() as session:
            assert session.rows("select number from kept") == [(1,)]
    with open_warehouse(warehouse_url).transaction() as session:
        assert session.rows("select number from kept") == [(1,)]


def test_no_other_process_opens_a_duckdb_file_while_it_is_kept_open(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    warehouse = open_warehouse(f"duckdb:///{path}")
    with warehouse.kept_open(), warehouse.transaction(), other_process(path) as other:
        assert "lock" in other.communicate()[1]
    with other_process(path) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "in\n"
        with pytest.raises(Busy, match="another program"), warehouse.kept_open():
            pass
        other.communicate("\n")


def test_a_warehouse_is_kept_open_after_the_load_of_another_process_has_ended(
    tmp_path: Path,
) -> None:
    path = tmp_path / "new" / "warehouse.duckdb"
    warehouse = open_warehouse(f"duckdb:///{path}", lock_seconds=0.1)
    with warehouse.kept_open():
        pass  # its folder is made
    with (
        FileLock(f"{path}.lock"),
        pytest.raises(Busy, match="another load"),
        warehouse.kept_open(),
    ):
        pass


def test_a_warehouse_that_is_kept_open_is_not_compacted(tmp_path: Path) -> None:
    warehouse = open_warehouse(f"duckdb:///{tmp_path}/warehouse.duckdb")
    with warehouse.kept_open():
        with pytest.raises(Busy, match="kept open"):
            warehouse.compact()
        with warehouse.transaction() as session:
            session.run("create table kept as select 1 as number")
    warehouse.compact()
    with warehouse.transaction() as session:
        assert session.rows("select number from kept") == [(1,)]
