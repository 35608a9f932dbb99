"""Bad days: bad files, killed processes, two at once, and databases and disks that say no.

After each, the last good rows are there, and the message says what happened and what to do.
"""

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from edpipeline.errors import BadCredentials, Busy, ConnectionLost, Permanent, Transient
from edpipeline.warehouse.engine import Warehouse, open_warehouse
from edpipeline_tests.district import (
    NEVER_HELD,
    ONEROSTER_1_1,
    District,
    counts,
    files,
    package,
    prepared,
    prepared_postgres,
    rows,
    student,
)

others_come_in = pytest.mark.other_processes

ROOT = Path(__file__).parents[2]
CORE = ("users", "classes", "enrollments")


# Bad files: each of the three, in each way.


BAD: dict[str, tuple[Callable[[bytes], bytes | None], str]] = {
    "missing": (lambda _: None, "missing_file"),
    "empty": (lambda _: b"", "empty_file"),
    "header only": (lambda content: content.split(b"\r")[0] + b"\r", "no_rows"),
    "no header": (lambda content: content.split(b"\r", 1)[1], "no_header"),
    "blank": (lambda _: b"\r\r\r\r", "no_header"),
    "cut in a row": (lambda content: content[:-3], "truncated"),
    "cut in its header": (lambda content: content[:14], "missing_columns"),
    "html": (lambda _: b"<html>503 Service Unavailable</html>", "not_text"),
    "xlsx": (lambda content: b"PK\x03\x04" + content, "not_text"),
    "utf-16": (lambda content: content.decode().encode("utf-16"), "not_text"),
    "windows-1252": (lambda content: content.replace(b"a", b"\xe4"), "bad_encoding"),
    "two kinds of line ends": (lambda content: content.replace(b"\r", b"\n", 2), "mixed_line_ends"),
    "semicolons": (lambda content: content.replace(b",", b";"), "no_header"),
    "a column twice": (lambda c: c.replace(b"status", b"sourcedId", 1), "repeated_columns"),
    "rows too short": (
        lambda c: b"\r".join([c.split(b"\r")[0], *[b"x"] * 5, b""]),
        "no_usable_rows",
    ),
    "every id blank": (
        lambda c: c.replace(b"\rT", b"\r,").replace(b"\rS", b"\r,").replace(b"\rC", b"\r,"),
        "no_usable_rows",
    ),
}


nights = count(1)


@pytest.fixture(scope="module")
def one_roster(tmp_path_factory, postgres_url) -> tuple[District, dict[str, Any]]:
    """A district with a good first night, and its state; files are looked at alike before every
    database."""
    warehouse = prepared_postgres(postgres_url)
    district = District(warehouse, tmp_path_factory.mktemp("bad"), NEVER_HELD)
    district.night(0, files(rows(6)))
    return district, district.state()


@pytest.mark.parametrize("bad", [("users", "classes"), ("enrollments",)], ids="+".join)
@pytest.mark.parametrize("how", BAD)
def test_a_bad_file_keeps_yesterdays_rows_and_says_why(one_roster, bad, how):
    district, before = one_roster
    if (bad, how) == (("enrollments",), "every id blank"):
        pytest.skip("rows of enrollments may do without an id")
    spoil, code = BAD[how]
    good = files(rows(6))
    spoilt = {f"{name}.csv": spoil(good[f"{name}.csv"]) for name in bad}
    delivered = {n: content for n, content in (good | spoilt).items() if content is not None}
    report = district.night(next(nights), delivered)
    assert district.state() == before
    assert report.status == "loaded_with_errors"
    told = {(f[0], f[3]) for f in district.findings_of(report)}
    for name in CORE:
        found = counts(report, name)
        if name not in bad:
            assert found.status == "same_bytes"
            continue
        assert (found.status, found.accepted, found.removed) == ("kept", 0, 0)
        assert (f"{name}.csv", code) in told
        assert f"{name}.csv" in report.message


def test_enrollments_emptied_by_summer_stay_until_the_year_begins(guarded):
    """PowerSchool's export joins terms of today: from the last day on, it is a header alone."""
    roster = rows(20, 4)
    guarded.night(0, files(roster))
    before = guarded.state()
    emptied = files(roster)
    emptied["enrollments.csv"] = emptied["enrollments.csv"].split(b"\r")[0] + b"\r"
    for night in (1, 2):
        report = guarded.night(night, emptied)
        assert counts(report, "enrollments").rejected_by_code == {}
        assert "enrollments.csv" in report.message
        assert guarded.state() == before
    assert guarded.night(3, files(roster)).status == "loaded"
    assert guarded.state() == before


def cuts(content: bytes) -> list[int]:
    """Before, in and after the header, a first row, its line end, rows, and a last row.

    Every position of a file is cut in the tests of how files are read.
    """
    ends = [at + 1 for at, byte in enumerate(content) if byte == ord("\r")]
    head, first, last = ends[0], ends[1], ends[-2]
    comma = content.index(b",", head)
    within = {0, head // 2, head - 1, head, head + 1, comma + 1, first - 1, first}
    return sorted(
        within | {(first + last) // 2, last, last + 1, len(content) - 2, len(content) - 1}
    )


def test_a_file_cut_at_any_byte_never_takes_a_row_away(one_roster):
    """A cut within the rows costs at most the last one; a cut at a row's end waits."""
    other, _ = one_roster
    district = District(
        other.warehouse,
        other.folder,
        dataclasses.replace(NEVER_HELD, removal_percent=10, removal_floor=0),
    )
    roster = rows(4)
    whole = files(roster)
    district.night(0, whole)
    before = district.state()
    content = whole["enrollments.csv"]
    for night, at in enumerate(cuts(content), start=1):
        report = district.night(night, whole | {"enrollments.csv": content[:at]})
        assert district.state() == before, at
        assert counts(report, "enrollments").removed == 0
        told = counts(report, "enrollments").warnings_by_code
        assert report.status != "loaded" or told == {"no_final_line_end": 1}, at


def test_of_the_same_bytes_a_night_later_the_last_row_is_thought_the_same(district):
    roster = rows(4)
    district.night(0, files(roster))
    grown = files(roster | {"users": [*roster["users"], student(9)]})
    cut = grown | {"users.csv": grown["users.csv"][:-1]}
    first = district.night(1, cut)
    assert counts(first, "users").rejected_by_code == {"row_cut_off": 1}
    again = district.night(2, cut)
    assert counts(again, "users").rejected_by_code == {"row_cut_off": 1}
    # Another file without a last line end: that is how this district writes them now.
    other = files(roster | {"users": [*roster["users"], student(8), student(9)]})
    believed = district.night(3, other | {"users.csv": other["users.csv"][:-1]})
    assert (counts(believed, "users").rejected, counts(believed, "users").added) == (0, 2)


def test_a_last_row_that_copies_another_is_no_better_known_when_it_is_loaded_again(district):
    roster = rows(4)
    # One more column, of blanks: the versions stay, and the new text is remembered.
    users = [user | {"middleName": ""} for user in roster["users"]]
    district.night(0, files(roster | {"users": users}))
    copied = files(roster | {"users": [*roster["users"], roster["users"][0]]})
    report = district.night(1, copied | {"users.csv": copied["users.csv"][:-1]})
    again = district.load(1)
    for loaded in (report, again):
        assert counts(loaded, "users").rejected_by_code == {"row_cut_off": 1}
    assert again.status == report.status


# Killed processes.

CHILD = """
import json, os, signal, sys, threading, time
from datetime import date
from pathlib import Path
from edpipeline.landing.store import open_store
from edpipeline.loading.options import LoadOptions
from edpipeline.loading.sync import Sync
from edpipeline.sources import source
from edpipeline.warehouse.engine import open_warehouse
url, landing, scratch, district_id, options, day, step, seconds = sys.argv[1:]
def kill():
    time.sleep(float(seconds))
    os.kill(os.getpid(), signal.SIGKILL)
def look(text):
    if text == step:
        threading.Thread(target=kill).start() if float(seconds) else kill()
sync = Sync(open_store(landing), open_warehouse(url, lock_seconds=20), source("oneroster"),
            district_id, LoadOptions(**json.loads(options)), Path(scratch), look)
print("ready", flush=True)
sys.stdin.readline()
print(sync.load_day(date.fromisoformat(day)).status, flush=True)
"""


@contextlib.contextmanager
def child(
    district: District, night: int, killed_at: str = "", seconds: float = 0
) -> Iterator[subprocess.Popen[str]]:
    """A process of its own that will load a night when it is told to; killed so long after a
    step."""
    sync = district.sync()
    options = {
        name: getattr(sync.options, name)
        for name in ("schools", "first_sync_needs_approval", "removal_percent")
    }
    place = [district.folder / f"landing-{district.district_id}", sync.scratch]
    what = [district.district_id, json.dumps(options), _day(night), killed_at, seconds]
    command = [district.warehouse.url, *place, *what]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, *map(str, command)],
        cwd=ROOT,
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n", process.communicate(timeout=10)
            yield process
        finally:
            process.kill()


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


@others_come_in
def test_a_load_killed_at_any_moment_leaves_the_tables_as_before_or_as_after(district):
    district.night(0, files(rows(40, 4)))
    before = district.state()
    district.land(1, files(rows(300, 5)))
    # PostgreSQL undoes what the lost connection began; DuckDB's file is the killed one's own.
    moments = [("loading roster.classes", 0.0), ("loading roster.enrollments", 0.03)]
    found = []
    for moment, seconds in moments[: 1 if "postgres" in district.warehouse.url else 2]:
        with child(district, 1, moment, seconds) as process:
            go(process)
            assert process.wait(60) == -signal.SIGKILL or seconds
        found.append(district.state())
    assert found[0] == before

    assert district.load(1).status == "loaded"
    after = district.state()
    assert len(district.current("users")) == 305
    assert found[-1] in (before, after)
    scratch = district.folder / f"scratch-{district.district_id}"
    assert list(scratch.glob("*")) == [], "what the killed ones left behind is gone"


@others_come_in
def test_two_loads_of_one_district_at_once_do_as_one_after_the_other(district):
    one_by_one = District(district.warehouse, district.folder)
    for night in range(3):
        one_by_one.night(night, files(rows(60 + night, 4)))
        district.land(night, files(rows(60 + night, 4)))
    district.load(0)
    with child(district, 2) as process:
        go(process)
        assert district.load(1).status == "loaded"
        out, errors = process.communicate(timeout=100)
        assert (process.returncode, out) == (0, "loaded\n"), errors
    assert without_drops(district) == without_drops(one_by_one)


def without_drops(district: District) -> dict[str, list[tuple[object, ...]]]:
    return {name: [r[:-2] + r[-1:] for r in lines] for name, lines in district.state().items()}


# A warehouse that says no.


@pytest.fixture
def own_duckdb(tmp_path) -> District:
    """A district in a DuckDB file of its own."""
    url = f"duckdb:///{tmp_path / 'own' / 'warehouse.duckdb'}"
    district = District(prepared(url), tmp_path, NEVER_HELD)
    district.night(0, files(rows(6)))
    return district


def impatient(district: District, url: str = "") -> None:
    district.warehouse = open_warehouse(url or district.warehouse.url, lock_seconds=0.3)


def test_a_district_that_is_being_loaded_is_busy(warehouse, tmp_path):
    district = District(warehouse, tmp_path)
    district.night(0, files(rows(6)))
    before = district.state()
    impatient(district)
    district.land(1, files(rows(7)))
    with warehouse.transaction() as session:
        session.lock_district(district.district_id)
        with pytest.raises(Busy, match="tried again"):
            district.load(1)
    assert district.state() == before
    assert district.load(1).status == "loaded"


def test_districts_do_not_wait_for_one_another_on_postgres(postgres_database_url, tmp_path):
    warehouse = prepared(postgres_database_url)
    one, two = District(warehouse, tmp_path), District(warehouse, tmp_path)
    one.land(0, files(rows(6)))
    impatient(one)
    with warehouse.transaction() as session:
        session.lock_district(two.district_id)
        assert one.load(0).status == "loaded"


@others_come_in
def test_a_reader_in_another_program_makes_the_duckdb_file_busy(own_duckdb):
    path = urlsplit(own_duckdb.warehouse.url).path
    script = f"import duckdb; c = duckdb.connect({path!r}, read_only=True); print(1, flush=True)"
    own_duckdb.land(1, files(rows(7)))
    with subprocess.Popen(
        [sys.executable, "-c", f"{script}; input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as reader:
        assert reader.stdout is not None
        reader.stdout.readline()
        with pytest.raises(Busy, match="another program"):
            own_duckdb.load(1)
        reader.communicate(b"\n", timeout=20)
    assert own_duckdb.load(1).status == "loaded"


@others_come_in
def test_a_duckdb_file_that_is_none_is_told_and_left_alone(tmp_path):
    path = tmp_path / "warehouse.duckdb"
    path.write_bytes(b"This is no database. " * 1000)
    with pytest.raises(Permanent, match="cannot be opened"):
        prepared(f"duckdb:///{path}")
    assert path.read_bytes().startswith(b"This is no database.")


@pytest.mark.parametrize("part", ["port", "path", "netloc"])
def test_a_postgres_that_does_not_answer_or_refuses_is_told_without_the_password(
    postgres_database_url, tmp_path, part
):
    parts = urlsplit(postgres_database_url)
    secret = f"{parts.username}:hunter2-secret@127.0.0.1"
    changed = {
        "port": parts._replace(netloc=f"{secret}:1"),
        "path": parts._replace(netloc=f"{secret}:{parts.port}", path="/no_such_database"),
        "netloc": parts._replace(netloc=f"nobody:hunter2-secret@127.0.0.1:{parts.port}"),
    }
    expected = ConnectionLost if part == "port" else BadCredentials
    district = District(prepared(postgres_database_url), tmp_path, NEVER_HELD)
    district.night(0, files(rows(6)))
    district.land(1, files(rows(7)))
    before = district.state()
    good = district.warehouse
    impatient(district, changed[part].geturl())
    with pytest.raises(expected) as caught:
        district.load(1)
    chain = [caught.value, caught.value.__cause__]
    assert "hunter2" not in "".join(map(str, chain))
    assert caught.value.__suppress_context__
    assert "127.0.0.1" in str(caught.value)
    district.warehouse = good
    assert district.state() == before
    assert district.load(1).status == "loaded"


def test_a_postgres_that_goes_away_during_a_load_changes_nothing(postgres_database_url, tmp_path):
    district = District(prepared(postgres_database_url), tmp_path, NEVER_HELD)
    district.night(0, files(rows(6)))
    before = district.state()
    district.land(1, files(rows(7)))
    name = urlsplit(postgres_database_url).path[1:]

    def end_the_connection(step: str) -> None:
        if step == "loading roster.classes":
            with psycopg.connect(postgres_database_url, autocommit=True) as other:
                other.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    f" where datname = '{name}' and pid <> pg_backend_pid()"
                )

    sync = dataclasses.replace(district.sync(), progress=end_the_connection)
    with pytest.raises(ConnectionLost, match="nothing was changed"):
        sync.load_day(_day(1))
    assert district.state() == before
    assert district.load(1).status == "loaded"


def _day(night: int):  # type: ignore[no-untyped-def]
    from datetime import timedelta

    from edpipeline_tests.district import FIRST_DAY

    return FIRST_DAY + timedelta(night)


def test_an_error_of_the_database_is_told_without_the_values_of_rows(warehouse):
    """Both databases show values in their own texts: of the row, or of the whole key."""
    statements = [
        "select cast('kanarienvogel' as integer)",
        "select * from roster.kanarienvogel",
        "insert into roster.users (district_id, valid_from) values ('x', 'kanarienvogel')",
    ]
    for statement in statements:
        with pytest.raises(Permanent) as caught, warehouse.transaction() as session:
            session.run(statement)
        assert "kanarienvogel" not in str(caught.value)
        assert "nothing was changed" in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__


def test_a_unique_key_stands_behind_every_load_on_postgres(postgres_database_url, tmp_path):
    district = District(prepared(postgres_database_url), tmp_path, NEVER_HELD)
    district.night(0, files(rows(6)))
    copy = (
        "insert into roster.users select * from roster.users"
        " where district_id = $district and sourced_id = 'S001'"
    )
    with pytest.raises(Permanent) as caught, district.warehouse.transaction() as session:
        session.run(copy, district=district.district_id)
    assert "S001" not in str(caught.value)
    assert len(district.current("users")) == 8


@others_come_in
def test_threads_of_one_process_take_turns(warehouse, tmp_path):
    districts = [District(warehouse, tmp_path) for _ in range(3)]
    for district in districts:
        district.land(0, files(rows(6)))
    found: list[object] = []

    def load(district: District) -> None:
        try:
            found.append(district.load(0).status)
        except Transient as error:
            found.append(error)

    threads = [threading.Thread(target=load, args=[district]) for district in districts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == ["loaded"] * 3
    assert [len(district.current("users")) for district in districts] == [8, 8, 8]


# Full disks.


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A disk of 16 MiB, where we may make one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = shutil.which("mount")
    made = (
        mount and os.geteuid() == 0 and _runs(mount, "-t", "tmpfs", "-o", "size=16m", "x", folder)
    )
    if not made:
        pytest.skip("only root may make a small disk")
    yield folder
    umount = shutil.which("umount")
    assert umount
    assert _runs(umount, folder)


def _runs(*command: object) -> bool:
    with contextlib.suppress(OSError):
        done = subprocess.run(list(map(str, command)), check=False, capture_output=True)
        return done.returncode == 0
    return False


def fill(disk: Path, leave: int) -> Path:
    found = os.statvfs(disk)
    filler = disk / "filler"
    filler.write_bytes(bytes(max(0, found.f_bavail * found.f_frsize - leave)))
    return filler


@others_come_in
@pytest.mark.parametrize("what", ["warehouse", "scratch"])
def test_a_full_disk_changes_nothing_and_is_told(small_disk, tmp_path, what):
    place = small_disk if what == "warehouse" else tmp_path
    district = District(prepared(f"duckdb:///{place / 'warehouse.duckdb'}"), tmp_path, NEVER_HELD)
    district.night(0, files(rows(6)))
    before = district.state()
    district.land(1, files(rows(3_000, 20)))
    sync = district.sync()
    if what == "scratch":
        sync = dataclasses.replace(sync, scratch=small_disk / "scratch")
    filler = fill(small_disk, leave=60_000)
    with pytest.raises(Transient, match="is full; nothing was changed") as caught:
        sync.load_day(_day(1))
    assert str(small_disk) in str(caught.value)
    filler.unlink()
    assert district.state() == before
    assert district.load(1).status == "loaded"


LIMITED = """
import resource, sys
from pathlib import Path
from edpipeline.errors import Transient
from edpipeline.warehouse.engine import open_warehouse
from edpipeline_tests.district import NEVER_HELD, District
url, folder, district_id = sys.argv[1:]
district = District(open_warehouse(url), Path(folder), NEVER_HELD, district_id)
before = district.state()
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
try:
    district.load(1)
except Transient as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.getrlimit(resource.RLIMIT_FSIZE)[1],) * 2)
assert district.state() == before
print(district.load(1).status)
"""


@others_come_in
def test_a_limit_on_the_size_of_files_is_like_a_full_disk(tmp_path):
    url = f"duckdb:///{tmp_path / 'warehouse.duckdb'}"
    district = District(prepared(url), tmp_path, NEVER_HELD)
    district.night(0, files(rows(6)))
    district.land(1, files(rows(1_200, 20)))
    command = [sys.executable, "-c", LIMITED, url, str(tmp_path), district.district_id]
    done = subprocess.run(
        command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    message, status = done.stdout.splitlines()
    assert "is full; nothing was changed" in message
    assert status == "loaded"


# Nothing is left lying about.


def test_a_load_leaves_nothing_of_a_person_in_its_scratch_folder(district):
    bad = rows(12)
    bad["users"][3]["role"] = "pupil"
    district.night(0, files(package(bad), ONEROSTER_1_1))
    scratch = district.folder / f"scratch-{district.district_id}"
    assert scratch.is_dir()
    assert list(scratch.iterdir()) == []


def test_a_scratch_folder_is_for_its_user_alone(district):
    seen: list[int] = []
    scratch = district.folder / f"scratch-{district.district_id}"

    def look(_: str) -> None:
        seen.extend(path.stat().st_mode & 0o777 for path in scratch.iterdir())

    district.land(0, files(rows(6)))
    dataclasses.replace(district.sync(), progress=look).load_day(_day(0))
    assert set(seen) == {0o700}


def test_a_warehouse_describes_itself_without_secrets(postgres_database_url):
    parts = urlsplit(postgres_database_url)
    secret = parts._replace(netloc=f"me:hunter2-secret@127.0.0.1:{parts.port}").geturl()
    warehouse: Warehouse = open_warehouse(secret)
    assert "hunter2" not in warehouse.describe()
    assert "hunter2" not in repr(warehouse)
