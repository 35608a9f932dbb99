"""Published marts: whole files, a reader that is never in the way, a folder, and S3."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import duckdb
import polars as pl
import pytest
from moto.server import ThreadedMotoServer

from edpipeline.errors import BadConfiguration, NotFound
from edpipeline.sandbox.roster import Size
from edpipeline.warehouse.engine import Session, Warehouse
from edpipeline.warehouse.marts import Mart, marts, refill_district
from edpipeline.warehouse.publish import (
    ANALYST,
    KEPT_SECONDS,
    publish_district,
    remove_superseded,
    unpublish_district,
)
from edpipeline_tests.warehouse.loaded import FEW, SQL, load_nights, prepared, upload_results

FEW_MARTS = ("dim_class", "dim_school", "dim_student")
MARTS = [mart for mart in marts(SQL) if mart.name in FEW_MARTS]
"""Those of the folder `sql`: what is published of one is published of all."""
FEW_STUDENTS = Size(students=30, schools=2)


@pytest.fixture(scope="module")
def sql(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of SQL with few marts."""
    folder = tmp_path_factory.mktemp("sql")
    (folder / "marts").mkdir()
    for mart in MARTS:
        shutil.copy(SQL / "marts" / f"{mart.name}.sql", folder / "marts")
    return folder


@pytest.fixture
def warehouse(warehouse_url: str) -> Warehouse:
    return prepared(warehouse_url, with_marts=True)


@pytest.fixture
def duck(tmp_path: Path) -> Warehouse:
    return prepared(f"duckdb:///{tmp_path / 'warehouse.duckdb'}", with_marts=True)


def school(warehouse: Warehouse, district: str, name: str) -> None:
    """One more school in the district's marts, which are not filled for it: that takes longer
    than all else here."""
    with warehouse.transaction() as session:
        session.run(
            "insert into marts.dim_school (district_id, school_id, school_name)"
            " values ($district, $name, $name)",
            district=district,
            name=name,
        )


def ask(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(folder / ANALYST), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def files(folder: Path) -> set[str]:
    """What lies there, but for the lock."""
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return found - {".lock"}


def expected(*numbers: int, district: str = "demo", published: Sequence[Mart] = MARTS) -> set[str]:
    """The files of a district whose marts have these generations."""
    found = {ANALYST}
    for mart in published:
        name = f"{mart.name}/district_id={district}"
        found.add(f"{name}/data.parquet")
        found |= {f".generations/{name}/{number:06}.parquet" for number in numbers}
    return found


def test_views_over_the_published_files_answer_as_the_warehouse_does(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    every = marts(SQL)
    load_nights(warehouse, tmp_path, nights=[0], size=FEW_STUDENTS)
    upload_results(warehouse, tmp_path, FEW[:1])
    rows = refill_district(warehouse, SQL, "demo")
    published = tmp_path / "published"
    sizes = publish_district(warehouse, str(published), SQL, "demo")
    assert set(sizes) == {mart.name for mart in every}
    with (
        warehouse.transaction() as session,
        duckdb.connect(str(published / ANALYST), read_only=True) as analyst,
    ):
        for mart in every:
            asked = (
                f"select {', '.join(mart.columns)} from {mart.full_name}"
                f" order by {', '.join(mart.key)}"
            )
            inside = session.rows(asked)
            assert len(inside) == rows[mart.name]
            assert analyst.execute(asked).fetchall() == inside
    assert files(published) == expected(1, published=every)


def test_districts_keep_their_leading_zeros_and_their_own_rows(
    duck: Warehouse, tmp_path: Path, sql: Path
) -> None:
    published = tmp_path / "published"
    for district in ("007", "7"):
        school(duck, district, f"School of {district}")
        publish_district(duck, str(published), sql, district)
    found = ask(published, "select district_id, school_name from marts.dim_school order by 1")
    assert found == [("007", "School of 007"), ("7", "School of 7")]
    alone = pl.read_parquet(
        published / "dim_school" / "district_id=007" / "data.parquet", hive_partitioning=False
    )
    assert alone["district_id"].to_list() == ["007"]


def test_views_and_their_columns_carry_their_descriptions(
    duck: Warehouse, tmp_path: Path, sql: Path
) -> None:
    publish_district(duck, str(tmp_path), sql, "demo")
    (dim_class,) = (mart for mart in MARTS if mart.name == "dim_class")
    told = "select comment from duckdb_views() where view_name = 'dim_class'"
    assert ask(tmp_path, told) == [(dim_class.about,)]
    told = "select column_name, comment from duckdb_columns() where table_name = 'dim_class'"
    assert dict(ask(tmp_path, told)) == dim_class.columns


def test_whoever_has_the_analyst_file_open_keeps_one_state_until_opening_it_again(
    duck: Warehouse, tmp_path: Path, sql: Path
) -> None:
    published = tmp_path / "published"
    school(duck, "demo", "one")
    publish_district(duck, str(published), sql, "demo")
    counted = "select count(*) from marts.dim_school"
    with duckdb.connect(str(published / ANALYST), read_only=True) as reader:
        for number in range(2, 4):
            school(duck, "demo", f"more {number}")
            publish_district(duck, str(published), sql, "demo")
            assert reader.execute(counted).fetchall() == [(1,)]
    assert ask(published, counted) == [(3,)]


READER = """
import sys, duckdb
from pathlib import Path
print("open", flush=True)
asked = 0
while asked < 2 or not Path(sys.argv[2]).exists():
    with duckdb.connect(sys.argv[1], read_only=True) as connection:
        for again in range(3):
            found = connection.execute(
                "select count(*), count(distinct s.school_id), max(c.students)"
                " from marts.dim_school s"
                " cross join (select count(*) as students from marts.dim_student) c"
            ).fetchall()[0]
            assert found[0] == found[1] == found[2], found
    asked += 1
"""
PUBLISHES = 4


def test_readers_in_another_process_see_all_marts_of_one_publish(
    duck: Warehouse, tmp_path: Path, sql: Path
) -> None:
    """Each publish holds as many schools as students, more each time."""
    published, is_over = tmp_path / "published", tmp_path / "over"

    def grow(first: int) -> None:
        numbers = f"from range({first}, {first + 50}) t(i)"
        with duck.transaction() as session:
            session.run(
                "insert into marts.dim_school (district_id, school_id, school_name)"
                f" select 'demo', 'S' || i, repeat('x', {first % 700}) {numbers}"
            )
            session.run(
                "insert into marts.dim_student (district_id, student_id)"
                f" select 'demo', 'P' || i {numbers}"
            )
        publish_district(duck, str(published), sql, "demo")

    grow(0)
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(published / ANALYST), str(is_over)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert reader.stdout is not None
    assert reader.stdout.readline() == "open\n"
    for number in range(1, PUBLISHES + 1):
        grow(number * 50)
    is_over.touch()
    _, trouble = reader.communicate(timeout=30)
    assert reader.returncode == 0, trouble


PUBLISHER = """
import sys
from pathlib import Path
from edpipeline.warehouse.engine import open_warehouse
from edpipeline.warehouse.publish import publish_district
warehouse = open_warehouse(sys.argv[1])
while True:
    publish_district(warehouse, sys.argv[2], Path(sys.argv[3]), "demo")
    print("published", flush=True)
"""


@pytest.mark.other_processes
def test_a_publish_that_is_killed_leaves_whole_files(
    duck: Warehouse, tmp_path: Path, sql: Path
) -> None:
    published = tmp_path / "published"
    school(duck, "demo", "one")
    for pause in (0.02, 0.07):
        publisher = subprocess.Popen(
            [sys.executable, "-c", PUBLISHER, duck.url, str(published), str(sql)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(SQL.parent)},
        )
        assert publisher.stdout is not None
        assert publisher.stdout.readline() == b"published\n"
        time.sleep(pause)
        publisher.send_signal(signal.SIGKILL)
        publisher.communicate()
        for mart in MARTS:
            counted = f"select count(*) from {mart.full_name}"
            assert ask(published, counted) == [(int(mart.name == "dim_school"),)]
    publish_district(duck, str(published), sql, "demo")
    assert not [name for name in files(published) if name.endswith(".part")]


def test_superseded_files_stay_a_day_and_go_at_once_when_asked(
    duck: Warehouse, tmp_path: Path, sql: Path
) -> None:
    school(duck, "demo", "one")
    for _ in range(3):
        publish_district(duck, str(tmp_path / "p"), sql, "demo")
    assert files(tmp_path / "p") == expected(1, 2, 3)
    yesterday = time.time() - KEPT_SECONDS - 1
    for mart in MARTS:
        generation = f".generations/{mart.name}/district_id=demo/000001.parquet"
        os.utime(tmp_path / "p" / generation, (yesterday, yesterday))
    publish_district(duck, str(tmp_path / "p"), sql, "demo")
    assert files(tmp_path / "p") == expected(2, 3, 4)
    assert remove_superseded(str(tmp_path / "p"), older_than=3600) == 0
    assert remove_superseded(str(tmp_path / "p")) == 2 * len(MARTS)
    assert files(tmp_path / "p") == expected(4)
    assert ask(tmp_path / "p", "select count(*) from marts.dim_school") == [(1,)]


def test_a_file_is_superseded_when_another_takes_its_place_however_old_it_is(
    duck: Warehouse, tmp_path: Path, sql: Path
) -> None:
    publish_district(duck, str(tmp_path / "p"), sql, "demo")
    long_ago = time.time() - 3 * KEPT_SECONDS
    for path in (tmp_path / "p" / ".generations").rglob("*.parquet"):
        os.utime(path, (long_ago, long_ago))
    publish_district(duck, str(tmp_path / "p"), sql, "demo")
    assert files(tmp_path / "p") == expected(1, 2)


def test_a_district_that_was_published_before_a_mart_had_a_column_is_still_read(
    duck: Warehouse, tmp_path: Path, sql: Path
) -> None:
    for district in ("a", "b"):
        school(duck, district, f"School of {district}")
    publish_district(duck, str(tmp_path), sql, "a")
    old = tmp_path / ".generations" / "dim_school" / "district_id=a" / "000001.parquet"
    (dim_school,) = (mart for mart in MARTS if mart.name == "dim_school")
    rows = pl.read_parquet(old, hive_partitioning=False)
    last = list(dim_school.columns)[-1]
    rows.drop(last).write_parquet(old)
    publish_district(duck, str(tmp_path), sql, "b")
    asked = f"select school_name, {last} from marts.dim_school order by 1"
    assert ask(tmp_path, asked) == [("School of a", None), ("School of b", None)]


def test_a_district_can_be_taken_out_of_what_is_published(
    duck: Warehouse, tmp_path: Path, sql: Path
) -> None:
    for district in ("a", "b"):
        school(duck, district, "one")
        publish_district(duck, str(tmp_path / "p"), sql, district)
    unpublish_district(str(tmp_path / "p"), sql, "a")
    assert files(tmp_path / "p") == expected(1, district="b")
    assert ask(tmp_path / "p", "select district_id from marts.dim_school") == [("b",)]


def test_districts_published_at_once_are_all_seen(
    postgres_database_url: str, tmp_path: Path, sql: Path
) -> None:
    warehouse = prepared(postgres_database_url, with_marts=True)
    districts = [f"d{number}" for number in range(4)]
    for district in districts:
        school(warehouse, district, "one")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda d: publish_district(warehouse, str(tmp_path), sql, d), districts))
    seen = ask(tmp_path, "select district_id from marts.dim_school order by 1")
    assert seen == [(district,) for district in districts]


def test_a_publish_that_fails_halfway_changes_no_file(
    duck: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sql: Path
) -> None:
    published = tmp_path / "published"
    school(duck, "demo", "one")
    publish_district(duck, str(published), sql, "demo")
    before = {name: (published / name).read_bytes() for name in files(published)}
    school(duck, "demo", "two")
    with duck.transaction() as session:
        kind = type(session)
    export = kind.export

    def fails_at_the_last(self: Session, sql: str, path: Path, **parameters: Any) -> None:
        if MARTS[-1].name in str(path):
            raise OSError(28, "No space left on device")
        export(self, sql, path, **parameters)  # type: ignore[arg-type]

    monkeypatch.setattr(kind, "export", fails_at_the_last)
    with pytest.raises(Exception, match="no space left"):
        publish_district(duck, str(published), sql, "demo")
    after = {name: (published / name).read_bytes() for name in files(published)}
    assert {name: text for name, text in after.items() if not name.endswith(".part")} == before


def test_the_analyst_file_is_for_reading_only_and_made_anew_by_each_publish(
    duck: Warehouse, tmp_path: Path, sql: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    school(duck, "demo", "one")
    publish_district(duck, str(first), sql, "demo")
    assert (first / ANALYST).stat().st_mode & 0o222 == 0
    first.rename(second)
    publish_district(duck, str(second), sql, "demo")
    assert ask(second, "select count(*) from marts.dim_school") == [(1,)]
    (second / ANALYST).unlink()
    (second / ANALYST).write_bytes(b"not a database")
    publish_district(duck, str(second), sql, "demo")
    assert ask(second, "select count(*) from marts.dim_school") == [(1,)]
    assert not list(second.glob(".analyst-*"))


def test_a_file_system_without_second_names_gets_copies(
    duck: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sql: Path
) -> None:
    def refused(self: Path, target: Path) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refused)
    school(duck, "demo", "one")
    publish_district(duck, str(tmp_path / "p"), sql, "demo")
    assert files(tmp_path / "p") == expected(1)
    published = pl.read_parquet(tmp_path / "p" / "dim_school" / "*" / "data.parquet")
    assert published["school_id"].to_list() == ["one"]


@pytest.mark.parametrize(
    ("published", "district", "error", "said"),
    [
        ("{tmp}/pub", "../up", BadConfiguration, "letters"),
        ("{tmp}/pub", "", BadConfiguration, "letters"),
        ("{tmp}/p*b", "demo", BadConfiguration, "EDPIPELINE_PUBLISHED"),
        ("ftp://host/folder", "demo", BadConfiguration, "EDPIPELINE_PUBLISHED"),
        ("{tmp}/warehouse.duckdb", "demo", BadConfiguration, "folder"),
        ("{tmp}/pub", "demo", NotFound, "dim_school"),
    ],
)
def test_what_cannot_be_published_is_refused_with_the_reason(
    duck: Warehouse,
    tmp_path: Path,
    published: str,
    district: str,
    error: type[Exception],
    said: str,
    sql: Path,
) -> None:
    warehouse = duck
    if error is NotFound:
        warehouse = prepared(f"duckdb:///{tmp_path / 'never_filled.duckdb'}")
    with pytest.raises(error, match=said):
        publish_district(warehouse, published.format(tmp=tmp_path), sql, district)


@pytest.fixture
def bucket() -> Iterator[tuple[Any, str]]:
    """A client of a real S3 API on loopback, and a url to publish to."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        client = boto3.client("s3", endpoint_url=endpoint)
        client.create_bucket(Bucket="published")
        yield client, f"s3://published/marts/here?endpoint_url={endpoint}"
        client.close()
    server.stop()


def test_marts_are_published_to_s3_and_written_over(
    duck: Warehouse, tmp_path: Path, bucket: tuple[Any, str], sql: Path
) -> None:
    client, url = bucket
    key = "marts/here/dim_school/district_id=demo/data.parquet"
    for count, name in enumerate(("one", "two"), start=1):
        school(duck, "demo", name)
        publish_district(duck, url, sql, "demo")
        found = client.get_object(Bucket="published", Key=key)["Body"].read()
        assert pl.read_parquet(found)["school_name"].len() == count
    keys = {item["Key"] for item in client.list_objects_v2(Bucket="published")["Contents"]}
    assert keys == {f"marts/here/{mart.name}/district_id=demo/data.parquet" for mart in MARTS}
    unpublish_district(url, sql, "demo")
    assert "Contents" not in client.list_objects_v2(Bucket="published")
