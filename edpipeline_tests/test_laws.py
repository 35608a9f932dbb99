"""The laws of the product, on random drops.

1. Every row is accounted for.               4. Good is never replaced by nothing.
2. Loading twice changes nothing.            5. No personal data leaves the tables.
3. Tables follow from what landed: days in any order and a rebuild give the same.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edpipeline.loading.options import LoadOptions
from edpipeline.loading.report import SyncReport
from edpipeline.warehouse.engine import Warehouse
from edpipeline_tests.district import (
    GUARDED,
    NEVER_HELD,
    ONEROSTER,
    ONEROSTER_1_1,
    POWERSCHOOL,
    District,
    Roster,
    Row,
    assert_adds_up,
    enrollment,
    files,
    package,
    prepared,
    prepared_postgres,
    rows,
    student,
    table,
)

MANY = 1
"""Examples a test and warehouse; hundreds were run before these were thought to hold."""

FEW = settings(
    max_examples=MANY,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
CORE = ("users", "classes", "enrollments")
_examples = count()


def odd(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Without its simplest example, with which Hypothesis begins each run: only others count."""
    return st.tuples(strategy, st.integers(0, 99).filter(bool)).map(lambda drawn: drawn[0])


@pytest.fixture(scope="module", params=["duckdb", "postgres"])
def warehouse(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Warehouse:
    if request.param == "duckdb":
        return prepared(f"duckdb:///{tmp_path_factory.mktemp('laws') / 'warehouse.duckdb'}")
    return prepared_postgres(request.getfixturevalue("postgres_url"))


# Random nights. An edit changes the roster; a mishap befalls the files.

Edit = Callable[[Roster], None]
Mishap = Callable[[dict[str, bytes]], None]


def editing(file: str, number: int, **values: str) -> Edit:
    def edit(roster: Roster) -> None:
        lines = roster[file]
        if lines:
            lines[number % len(lines)] = lines[number % len(lines)] | values

    return edit


def leaving(file: str, number: int) -> Edit:
    def edit(roster: Roster) -> None:
        if len(roster[file]) > 1:
            del roster[file][number % len(roster[file])]

    return edit


def copying(file: str, number: int, **values: str) -> Edit:
    def edit(roster: Roster) -> None:
        if roster[file]:
            lines = roster[file]
            lines.append(lines[number % len(lines)] | values)

    return edit


def arriving(number: int) -> Edit:
    def edit(roster: Roster) -> None:
        roster["users"].append(student(100 + number))
        roster["enrollments"].append(enrollment(f"S{100 + number}", "C1"))

    return edit


def reversing(file: str) -> Edit:
    return lambda roster: roster[file].reverse()


NUMBERS = st.integers(0, 12)
FILE = st.sampled_from(CORE)
VALUES = st.sampled_from(
    [
        {"givenName": "Other"},
        {"givenName": " Spaced "},
        {"givenName": ""},
        {"familyName": "Comma, Jr"},
        {"role": "Student"},
        {"role": "boss"},
        {"sourcedId": "S001"},
        {"sourcedId": ""},
        {"sourcedId": "bad id"},
        {"status": "tobedeleted"},
        {"status": "inactive"},
        {"orgSourcedIds": "0199"},
        {"orgSourcedIds": "101"},
        {"agentSourcedIds": "S002"},
        {"agentSourcedIds": "nobody"},
        {"title": "Other"},
        {"schoolSourcedId": "0102"},
        {"classSourcedId": "C2"},
        {"classSourcedId": "C9"},
        {"userSourcedId": "S009"},
        {"beginDate": "2026-09-02"},
        {"beginDate": "9/2/2026"},
        {"dateLastModified": "2026-09-02"},
    ]
)
EDIT = st.one_of(
    st.builds(lambda f, n, v: editing(f, n, **v), FILE, NUMBERS, VALUES),
    st.builds(leaving, FILE, NUMBERS),
    st.builds(lambda f, n, v: copying(f, n, **v), FILE, NUMBERS, st.just({}) | VALUES),
    st.builds(arriving, NUMBERS),
    st.builds(reversing, FILE),
)


def befalling(file: str, change: Callable[[bytes], bytes | None]) -> Mishap:
    def mishap(delivered: dict[str, bytes]) -> None:
        content = change(delivered[f"{file}.csv"])
        if content is None:
            del delivered[f"{file}.csv"]
        else:
            delivered[f"{file}.csv"] = content

    return mishap


def cut(share: float) -> Callable[[bytes], bytes]:
    return lambda content: content[: int(len(content) * share)]


CHANGES: list[Callable[[bytes], bytes | None]] = [
    lambda _: None,
    lambda _: b"",
    lambda content: content.split(b"\r")[0] + b"\r",
    lambda content: content[:-1],
    lambda content: content.replace(b"\r", b"\n"),
    lambda content: content.replace(b"\r", b"\n", 3),
    lambda content: content.replace(b"Family", b"Famil\xe9"),
    lambda content: content.replace(b"GivenS001", b"Giv\x00en"),
    lambda content: content.replace(b"sourcedId", b"USERS.sourcedId", 1),
    lambda content: content.replace(b"role", b"rolle", 1),
    lambda content: b"PK\x03\x04" + content,
    lambda content: content + b"\r\r,,,\r" + b"," * 19 + b"\r",
]
MISHAP = st.one_of(
    st.builds(befalling, FILE, st.sampled_from(CHANGES)),
    st.builds(befalling, FILE, st.floats(0, 1).map(cut)),
)
DELIVERY = st.tuples(
    st.lists(EDIT, max_size=4),
    st.lists(MISHAP, max_size=1),
    st.sampled_from(["three", "package"]),
    st.sampled_from([1, 1, 0]),  # nights since the delivery before
)
DELIVERIES = odd(st.lists(DELIVERY, min_size=2, max_size=3))
ONE_OR_TWO = odd(st.lists(DELIVERY, min_size=1, max_size=2))
Night = tuple[int, dict[str, bytes]]


def nights_of(deliveries: list[tuple[list[Edit], list[Mishap], str, int]]) -> list[Night]:
    """The night and the files of each delivery. Edits stay for those after, mishaps do not."""
    roster = rows(6)
    night = 0
    found = [(night, files(roster))]
    for edits, mishaps, kind, later in deliveries:
        night += later
        roster = {name: list(lines) for name, lines in roster.items()}
        for edit in edits:
            edit(roster)
        if kind == "package" and not mishaps:
            found.append((night, files(package(roster), ONEROSTER_1_1)))
            continue
        delivered = files(roster)
        for mishap in mishaps:
            mishap(delivered)
        if delivered:
            found.append((night, delivered))
    return found


def new_district(warehouse: Warehouse, folder: Path, options: LoadOptions) -> District:
    below = folder / f"example{next(_examples)}"
    below.mkdir()
    return District(warehouse, below, options)


def assert_every_row_is_accounted_for(district: District, report: SyncReport) -> None:
    """Sums, and for each rejected row a line in the list."""
    listed = dict(
        district.select(
            "select file_name, count(distinct line) from ops.rejected_rows"
            " where district_id = $district and severity = 'error' and line is not null"
            f" and sync_id = '{report.sync_id}' group by 1"
        )
    )
    for file in report.files:
        assert_adds_up(file)
        if file.status != "kept":
            assert listed.get(file.file_name, 0) == file.rejected, file


@given(deliveries=ONE_OR_TWO, guarded=st.booleans())
@FEW
def test_every_row_is_accounted_for_and_nothing_is_made_up(
    warehouse, tmp_path, deliveries, guarded
):
    district = new_district(warehouse, tmp_path, GUARDED if guarded else NEVER_HELD)
    for night, delivered in nights_of(deliveries):
        before = district.state()
        report = district.night(night, delivered)
        assert_every_row_is_accounted_for(district, report)
        assert_one_version_holds(district)
        text = b"\n".join(delivered.values()).decode("utf-8", "replace")
        for name in CORE:
            ids = {record for (record,) in district.select(_ids(name))}
            known = {row[0] for row in before.get(name, [])}
            # A key that is built of other columns stands in the file in parts.
            assert all(
                record in known or all(part in text for part in record.split(":")) for record in ids
            )
        if report.status == "refused":
            assert district.state() == before


def _ids(name: str) -> str:
    return (
        f"select distinct sourced_id from roster.{name}"
        " where district_id = $district and valid_to is null"
    )


def assert_one_version_holds(district: District) -> None:
    """Of each record at most one version holds, and versions follow one another in time."""
    for name in CORE:
        wrong = district.select(
            f"select sourced_id from roster.{name} where district_id = $district"
            " and valid_to is null group by 1 having count(*) > 1"
            f" union all select a.sourced_id from roster.{name} a join roster.{name} b"
            " on a.district_id = b.district_id and a.sourced_id = b.sourced_id"
            " and a.valid_from < b.valid_from"
            " and (a.valid_to is null or a.valid_to > b.valid_from)"
            " where a.district_id = $district"
            f" union all select sourced_id from roster.{name} where district_id = $district"
            " and valid_to <= valid_from"
        )
        assert wrong == [], name


@given(deliveries=ONE_OR_TWO, guarded=st.booleans())
@FEW
def test_what_is_right_in_a_whole_delivery_is_in_the_tables(
    warehouse, tmp_path, deliveries, guarded
):
    """After any nights, a whole and clean delivery (removals approved) is the roster, exactly."""
    district = new_district(warehouse, tmp_path, GUARDED if guarded else NEVER_HELD)
    for night, delivered in nights_of(deliveries):
        district.night(night, delivered)
    roster = rows(8)
    drop = district.land(9, files(roster))
    district.approve(drop, "removals")
    report = district.load(9)
    assert report.status == "loaded", report.message
    found = district.current("users", "sourced_id, given_name, family_name, role, grades")
    assert found == sorted(map(as_user, roster["users"]), key=repr)
    found = district.current("enrollments", "sourced_id, class_sourced_id, user_sourced_id, role")
    assert found == sorted(map(as_enrollment, roster["enrollments"]), key=repr)


def as_user(user: Row) -> tuple[str | None, ...]:
    names = ("sourcedId", "givenName", "familyName", "role", "grades")
    return tuple(user.get(name) or None for name in names)


def as_enrollment(seat: Row) -> tuple[str | None, ...]:
    return tuple(seat[name] for name in ("sourcedId", "classSourcedId", "userSourcedId", "role"))


@given(deliveries=ONE_OR_TWO, guarded=st.booleans(), again=st.integers(0, 4))
@FEW
def test_loading_twice_changes_nothing(warehouse, tmp_path, deliveries, guarded, again):
    district = new_district(warehouse, tmp_path, GUARDED if guarded else NEVER_HELD)
    every = nights_of(deliveries)
    for night, delivered in every:
        report = district.night(night, delivered)
    before = district.state()
    repeated = district.load(night)
    assert without_times(repeated) == without_times(report)
    assert district.state() == before
    district.load(every[again % len(every)][0])
    assert district.state() == before
    if not report.files or any(f.held or f.status == "kept" for f in report.files):
        return
    # The same bytes a night later: nothing is new, nothing is gone.
    report = district.night(9, every[-1][1])
    for file in report.files:
        assert (file.added, file.changed, file.removed) == (0, 0, 0), file


def without_times(report: SyncReport) -> SyncReport:
    """The report but for its times, and for what a file says of rows that were looked at: those
    that the first load has come to know by their new text are not looked at by the second."""
    files = tuple(replace(file, warnings_by_code={}) for file in report.files)
    return replace(report, sync_id="", started_at=report.day, completed_at=report.day, files=files)


@given(deliveries=DELIVERIES, guarded=st.booleans(), data=st.data())
@FEW
def test_days_in_any_order_and_a_rebuild_give_the_same_tables(
    warehouse, tmp_path, deliveries, guarded, data
):
    options = GUARDED if guarded else NEVER_HELD
    every = nights_of(deliveries)
    in_order = new_district(warehouse, tmp_path, options)
    for night, delivered in every:
        in_order.night(night, delivered)
    expected = in_order.state()
    if data.draw(st.booleans()):
        in_order.forget()
    in_order.sync().rebuild()
    assert in_order.state() == expected

    mixed = new_district(warehouse, tmp_path, options)
    for night, delivered in every:
        mixed.land(night, delivered)
    for night in data.draw(st.permutations(sorted({night for night, _ in every}))):
        mixed.load(night)
    assert mixed.state() == expected


@given(
    first=odd(st.lists(EDIT, max_size=3)),
    approve_first=st.booleans(),
    approve_removals=st.booleans(),
    order=st.permutations(range(3)),
)
@FEW
def test_approvals_count_whenever_they_are_given(
    warehouse, tmp_path, first, approve_first, approve_removals, order
):
    """The tables follow from what landed and was approved, not from when it was approved. A day
    that is loaded again takes the days after it along."""
    options = replace(GUARDED, first_sync_needs_approval=True, removal_floor=1)
    every = [files(rows(6)), nights_of([(first, [], "three", 1)])[1][1], files(rows(3))]
    found = []
    for late in (False, True):
        district = new_district(warehouse, tmp_path, options)
        drops = [district.land(night, delivered) for night, delivered in enumerate(every)]
        if late:
            for night in order:
                district.load(night)
        if approve_first:
            district.approve(drops[0], "first_sync")
        if approve_removals:
            district.approve(drops[2], "removals")
        for night in range(1 if late else 3):
            district.load(night)
        found.append(district.state())
    assert found[0] == found[1]
    assert bool(found[0]) == approve_first


BREAKING: dict[str, Callable[[bytes], bytes | None]] = {
    "missing": lambda _: None,
    "empty": lambda _: b"",
    "header only": lambda content: content.split(b"\r")[0] + b"\r",
    "no header": lambda content: content.split(b"\r", 1)[1],
    "blank": lambda _: b"\r\r\r\r",
    "binary": lambda content: b"\x1f\x8b" + content,
    "html": lambda _: b"<html><body>500 Internal Server Error</body></html>",
    "utf-16": lambda content: content.decode().encode("utf-16"),
    "another encoding": lambda content: content.replace(b"a", "ä".encode("cp1252")),
    "mixed line ends": lambda content: content.replace(b"\r", b"\n", 2),
    "another layout": lambda content: content.replace(b"sourcedId", b"id", 1),
    "two of a column": lambda content: content.replace(b"status", b"sourcedId", 1),
    "all ids blank": lambda content: b"\r".join(
        line if n == 0 else b"," + line.partition(b",")[2]
        for n, line in enumerate(content.split(b"\r"))
    ),
    "one column less": lambda content: content.replace(b",", b"", 1),
}


@given(
    broken=odd(st.dictionaries(FILE, st.sampled_from(sorted(BREAKING)), min_size=1)),
    edits=st.lists(EDIT, max_size=2),
)
@FEW
def test_good_is_never_replaced_by_nothing(warehouse, tmp_path, broken, edits):
    district = new_district(warehouse, tmp_path, NEVER_HELD)
    roster = rows(6)
    district.night(0, files(roster))
    before = {name: district.current(name) for name in CORE}
    delivered = files(roster)
    for name, how in broken.items():
        befalling(name, BREAKING[how])(delivered)
    if delivered:
        report = district.night(1, delivered)
        assert {name: district.current(name) for name in CORE} == before
        for name in broken:
            kept = next(f for f in report.files if f.table_name == f"roster.{name}")
            assert kept.status == "kept", (name, broken)
            assert f"{name}.csv" in report.message
    report = district.night(2, files(roster))
    assert report.status == "loaded"
    assert {name: district.current(name) for name in CORE} == before


# Personal data.

CANARY = "kanarienvogel"


def canaries(roster: Roster, how: str) -> Roster:
    """The roster with a value in every column of people that occurs nowhere else."""

    def filled(line: Row, file: str, number: int) -> Row:
        found = dict(line)
        for column in ONEROSTER.table(file).columns:
            if column.personal != "none" and column.kind in ("text", "text_list"):
                found[column.header] = f"{CANARY}{number}{how}"
            if column.name == "sourced_id" and file == "users":
                found["sourcedId"] = f"{CANARY}-{number}"
        return found

    users = [filled(u, "users", n) for n, u in enumerate(roster["users"])]
    renamed = {
        old["sourcedId"]: new["sourcedId"] for old, new in zip(roster["users"], users, strict=True)
    }
    seats = [
        e | {"userSourcedId": renamed[e["userSourcedId"]], "sourcedId": f"{CANARY}-e{n}"}
        for n, e in enumerate(roster["enrollments"])
    ]
    return roster | {"users": users, "enrollments": seats}


SPOILING: list[Row] = [
    {"role": CANARY},
    {"enabledUser": CANARY},
    {"status": CANARY},
    {"dateLastModified": CANARY},
    {"orgSourcedIds": CANARY},
    {"agentSourcedIds": CANARY},
    {"agentSourcedIds": f"{CANARY} , {CANARY}"},
    {"givenName": f"{CANARY}, {CANARY}"},
    {"givenName": ""},
    {"givenName": f"{CANARY}\x00"},
    {"givenName": f" {CANARY} Ã©"},
    {"sourcedId": f"{CANARY} 1"},
    {"sourcedId": f"{CANARY}-1"},
    {"beginDate": CANARY, "primary": CANARY},
    {"classSourcedId": CANARY},
    {"userSourcedId": CANARY},
]
MANGLED: list[Callable[[bytes], bytes]] = [
    lambda content: content,
    lambda content: content.split(b"\r", 1)[1],
    lambda content: content[: len(content) // 2],
    lambda content: content.replace(b"\r", b"\n", 4),
    lambda content: content + "é".encode("cp1252") + b"\r",
    lambda content: content.replace(b"sourcedId", b"sourceddId", 1),
    lambda content: content.replace(b"\r", b"\r" * 2),
    lambda content: content.replace(b"language", b"la\x00nguage"),
    lambda content: content.replace(b"\r", b",x\r"),
    lambda content: content.replace(CANARY.encode(), b"phone", 1).split(b"\r", 1)[1],
]


@given(
    spoils=odd(st.lists(st.tuples(FILE, NUMBERS, st.sampled_from(SPOILING)), max_size=5)),
    mangles=st.dictionaries(FILE, st.sampled_from(MANGLED), max_size=2),
    how=st.sampled_from(["", ' "x"', ", y", " ä"]),
    options=st.sampled_from([GUARDED, NEVER_HELD, LoadOptions()]),
)
@FEW
def test_no_value_of_a_person_is_in_a_message(
    warehouse, tmp_path, caplog, capfd, spoils, mangles, how, options
):
    caplog.set_level(logging.DEBUG)
    district = new_district(warehouse, tmp_path, options)
    roster = canaries(rows(10), "")
    drop = district.land(0, files(roster))
    district.approve(drop, "first_sync")
    told = [district.load(0)]
    spoilt = canaries(rows(9), how)
    for file, number, values in spoils:
        editing(file, number, **values)(spoilt)
    delivered = {
        f"{name}.csv": table(POWERSCHOOL.columns[name], spoilt[name], quoted=True) for name in CORE
    }
    for name, mangle in mangles.items():
        delivered[f"{name}.csv"] = mangle(delivered[f"{name}.csv"])
    told.append(district.night(1, delivered))
    told.append(district.night(2, files(rows(2))))
    assert_silent(district, told, caplog.text + "".join(capfd.readouterr()))


def assert_silent(district: District, told: list[SyncReport], printed: str) -> None:
    """Only the column made for it names a record; no message, log line or file name does."""
    texts = [report.markdown() for report in told] + [report.message for report in told]
    for name in ("sync_history", "sync_files", "rejected_rows", "held_changes"):
        found = district.select(f"select * from ops.{name} where district_id = $district")
        columns = district.select(
            "select column_name from information_schema.columns"
            f" where table_schema = 'ops' and table_name = '{name}' order by ordinal_position"
        )
        named = [column for (column,) in columns]
        for row in found:
            cells = zip(named, row, strict=True)
            texts += [str(value) for column, value in cells if column != "record_id"]
    texts += district.store.list()
    assert CANARY not in printed
    assert not [text for text in texts if CANARY in text]
