"""A district for a test: say what its rows are, let nights pass, look at its tables.

`rows()` is a small roster as dictionaries by file; `files()` writes such a roster as bytes in a
dialect; a `District` lands files and loads them into a warehouse that many tests may share,
because every test takes a district of its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
from psycopg import sql

from edpipeline.landing import drop as landing
from edpipeline.landing.drop import Approval, Arrived
from edpipeline.landing.store import open_store
from edpipeline.loading.options import LoadOptions
from edpipeline.loading.report import FileReport, SyncReport
from edpipeline.loading.sync import Sync
from edpipeline.sandbox.dialects import ONEROSTER_1_1, ONEROSTER_1_2, POWERSCHOOL, Dialect
from edpipeline.sources import source
from edpipeline.warehouse.engine import Session, Warehouse, open_warehouse
from edpipeline_tests.prepared import prepare_from_copy

ONEROSTER = source("oneroster")
SQL = Path(__file__).parents[1] / "sql"
FIRST_DAY = date(2026, 9, 1)
SCHOOLS = {"0101": "North", "0102": "South"}
NEVER_HELD = LoadOptions(schools=SCHOOLS, first_sync_needs_approval=False, removal_percent=100)
"""Everything is applied at once: for tests of other things than approvals."""
GUARDED = LoadOptions(schools=SCHOOLS, first_sync_needs_approval=False)

Row = dict[str, str]
Roster = dict[str, list[Row]]

_instants = (datetime(2026, 9, 1, tzinfo=UTC) + timedelta(seconds=n) for n in count())
_numbers = count(1)
_begun: dict[tuple[str, str, str], tuple[str, list[str]]] = {}
"""Districts that had a first night and no other, and their tables; by warehouse, drop, options."""
_columns: dict[str, list[str]] = {}


def student(number: int, school: str = "0101", **values: str) -> Row:
    name = f"S{number:03}"
    return _user(name, "student", school, grades="05") | values


def teacher(number: int, school: str = "0101", **values: str) -> Row:
    return _user(f"T{number:03}", "teacher", school) | values


def _user(name: str, role: str, school: str, **values: str) -> Row:
    return {
        "sourcedId": name,
        "enabledUser": "true",
        "orgSourcedIds": school,
        "role": role,
        "username": f"{name}.login".lower(),
        "givenName": f"Given{name}",
        "familyName": f"Family{name}",
        **values,
    }


def class_(number: int, school: str = "0101", **values: str) -> Row:
    return {
        "sourcedId": f"C{number}",
        "title": f"Class {number}",
        "courseSourcedId": "K1",
        "classType": "scheduled",
        "schoolSourcedId": school,
        "termSourcedIds": "TERM1",
    } | values


def enrollment(user: str, class_id: str, school: str = "0101", **values: str) -> Row:
    return {
        "sourcedId": f"E-{class_id}-{user}",
        "classSourcedId": class_id,
        "schoolSourcedId": school,
        "userSourcedId": user,
        "role": "teacher" if user.startswith("T") else "student",
    } | values


def rows(students: int = 12, classes: int = 2, schools: Sequence[str] = ("0101", "0102")) -> Roster:
    """Each class has a teacher and lies, with its students, in one of the schools in turn."""
    school_of = [schools[n % len(schools)] for n in range(classes)]
    people = [teacher(n + 1, school) for n, school in enumerate(school_of)]
    sections = [class_(n + 1, school) for n, school in enumerate(school_of)]
    seats = [enrollment(f"T{n + 1:03}", f"C{n + 1}", s) for n, s in enumerate(school_of)]
    for number in range(students):
        at = number % classes
        people.append(student(number + 1, school_of[at]))
        seats.append(enrollment(f"S{number + 1:03}", f"C{at + 1}", school_of[at]))
    return {"users": people, "classes": sections, "enrollments": seats}


def package(roster: Roster, schools: Iterable[str] = tuple(SCHOOLS)) -> Roster:
    """The roster with what a OneRoster package holds beside the three files."""
    orgs = [{"sourcedId": "D1", "name": "District", "type": "district"}]
    orgs += [
        {"sourcedId": s, "name": s, "type": "school", "parentSourcedId": "D1"} for s in schools
    ]
    term = {
        "sourcedId": "TERM1",
        "title": "Year",
        "type": "term",
        "startDate": "2026-08-20",
        "endDate": "2027-06-10",
        "schoolYear": "2027",
    }
    course = {"sourcedId": "K1", "title": "Course", "orgSourcedId": "D1"}
    whole = {"orgs": orgs, "academicSessions": [term], "courses": [course]} | roster
    roles = [
        {
            "sourcedId": f"R-{user['sourcedId']}",
            "userSourcedId": user["sourcedId"],
            "roleType": "primary",
            "role": user["role"],
            "orgSourcedId": user["orgSourcedIds"],
        }
        for user in roster["users"]
    ]
    return whole | {"roles": roles}


def table(
    columns: Sequence[str],
    lines: Iterable[Mapping[str, str]],
    end: str = "\r",
    quoted: bool = False,
) -> bytes:
    """Rows as the bytes of a file."""

    def cell(value: str) -> str:
        if quoted and any(c in value for c in ',"'):
            return '"' + value.replace('"', '""') + '"'
        return value

    text = [",".join(columns)]
    text += [",".join(cell(line.get(c, "")) for c in columns) for line in lines]
    return "".join(line + end for line in text).encode()


def files(roster: Roster, dialect: Dialect = POWERSCHOOL) -> dict[str, bytes]:
    """The roster as a delivery: bytes by file name."""
    quoted = dialect.quote == "necessary"
    written = {
        f"{name}.csv": table(columns, roster[name], dialect.line_end, quoted)
        for name, columns in dialect.columns.items()
        if name in roster
    }
    if dialect.manifest_of:
        written["manifest.csv"] = manifest(dialect, dict.fromkeys(roster, "bulk"))
    return written


def manifest(dialect: Dialect, modes: Mapping[str, str]) -> bytes:
    lines = ["propertyName,value", "manifest.version,1.0", f"oneroster.version,{dialect.version}"]
    lines += [f"file.{name},{modes.get(name, 'absent')}" for name in dialect.manifest_of]
    return "".join(line + dialect.line_end for line in lines).encode()


@cache
def prepared(url: str, sources: tuple[str, ...] = (ONEROSTER.name,)) -> Warehouse:
    """The warehouse at `url` with all its tables, made once however many tests share it."""
    warehouse = open_warehouse(url, lock_seconds=20)
    prepare_from_copy(warehouse, sources)
    return warehouse


def prepared_postgres(server_url: str, sources: tuple[str, ...] = (ONEROSTER.name,)) -> Warehouse:
    """A new database of the server with all its tables."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return prepared(urlsplit(server_url)._replace(path=f"/{name}").geturl(), sources)


@dataclass
class District:
    """A district with a landing of its own, in a warehouse that it may share."""

    warehouse: Warehouse
    folder: Path
    options: LoadOptions = NEVER_HELD
    district_id: str = field(default_factory=lambda: f"d{next(_numbers)}")

    def __post_init__(self) -> None:
        self.store = open_store(str(self.folder / f"landing-{self.district_id}"))

    def sync(self) -> Sync:
        scratch = self.folder / f"scratch-{self.district_id}"
        return Sync(self.store, self.warehouse, ONEROSTER, self.district_id, self.options, scratch)

    def land(self, night: int, delivered: Mapping[str, bytes]) -> str:
        """Files arrive on a night (0 is the first day); the drop's id."""
        inbox = self.folder / "inbox" / self.district_id
        inbox.mkdir(parents=True, exist_ok=True)
        arrived = []
        for name, content in delivered.items():
            path = inbox / name
            path.write_bytes(content)
            arrived.append(Arrived(name, path))
        day, at = FIRST_DAY + timedelta(night), next(_instants)
        coming = landing.land(self.store, self.district_id, "oneroster", day, arrived, at, "a test")
        return coming.drop.drop_id

    def load(self, night: int) -> SyncReport:
        return self.sync().load_day(FIRST_DAY + timedelta(night))

    def begin(self, delivered: Mapping[str, bytes]) -> None:
        """A good first night. A district that had the same before has left its rows to copy."""
        drop_id = self.land(0, delivered)
        known = (self.warehouse.url, drop_id, repr(self.options))
        if known not in _begun:
            first = District(self.warehouse, self.folder, self.options)
            report = first.night(0, delivered)
            assert report.status == "loaded", report.message
            _begun[known] = (first.district_id, [file.table_name for file in report.files])
        like, tables = _begun[known]
        with self.warehouse.transaction() as session:
            for name in (*tables, "ops.sync_history", "ops.sync_files", "ops.rejected_rows"):
                if name not in _columns:
                    _columns[name] = [c for c in session.columns(name) if c != "district_id"]
                columns = ", ".join(_columns[name])
                session.run(
                    f"insert into {name} (district_id, {columns})"
                    f" select $district, {columns} from {name} where district_id = $like",
                    district=self.district_id,
                    like=like,
                )

    def night(self, night: int, delivered: Mapping[str, bytes]) -> SyncReport:
        """Files arrive and are loaded."""
        self.land(night, delivered)
        return self.load(night)

    def approve(self, drop_id: str, what: str) -> None:
        decision = Approval(drop_id, self.district_id, "oneroster", what, "me", next(_instants))
        landing.approve(self.store, decision)

    def forget(self) -> None:
        """The warehouse is lost, as far as this district is concerned; what landed is not."""
        ops = ("sync_history", "sync_files", "rejected_rows", "approvals", "held_changes")
        names = [f"ops.{name}" for name in ops] + [t.full_name for t in ONEROSTER.tables]
        with self.warehouse.transaction() as session:
            for name in names:
                session.run(
                    f"delete from {name} where district_id = $district", district=self.district_id
                )

    def select(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a query, `$district` filled in."""
        with self.warehouse.transaction() as session:
            return session.rows(sql, district=self.district_id)

    def current(self, name: str, columns: str = "sourced_id") -> list[Any]:
        """Values (of one column) or rows (of several) that hold now, sorted."""
        found = self.select(
            f"select {columns} from roster.current_{name} where district_id = $district"
        )
        return sorted((row[0] if len(row) == 1 else row for row in found), key=repr)

    def history(self, name: str) -> list[tuple[Any, ...]]:
        """Every version of every row, without what the loader remembers (`row_hash`, `warned`)."""
        with self.warehouse.transaction() as session:
            return self._history(session, name)

    def _history(self, session: Session, name: str) -> list[tuple[Any, ...]]:
        columns = [column.name for column in ONEROSTER.table(name).stored_columns]
        columns += ["valid_from", "valid_to", "drop_id", "line"]
        found = session.rows(
            f"select {', '.join(columns)} from roster.{name} where district_id = $district",
            district=self.district_id,
        )
        return sorted(found, key=repr)

    def state(self) -> dict[str, list[tuple[Any, ...]]]:
        """The history of every table that has any."""
        look = " union all ".join(
            f"(select '{t.name}' from {t.full_name} where district_id = $district limit 1)"
            for t in ONEROSTER.tables
        )
        with self.warehouse.transaction() as session:
            filled = [name for (name,) in session.rows(look, district=self.district_id)]
            return {name: self._history(session, name) for name in sorted(filled)}

    def findings(self, code: str | None = None) -> list[tuple[Any, ...]]:
        """(file, line, column, code, record) of the findings, warnings too."""
        found = self.select(
            "select file_name, line, column_name, code, record_id from ops.rejected_rows"
            " where district_id = $district"
        )
        return sorted((f for f in found if code in (None, f[3])), key=repr)

    def findings_of(self, report: SyncReport) -> list[tuple[Any, ...]]:
        """Those that one load told, as `findings` has them."""
        return self.select(
            "select file_name, line, column_name, code, record_id from ops.rejected_rows"
            f" where district_id = $district and sync_id = '{report.sync_id}'"
        )

    def held(self) -> list[tuple[Any, ...]]:
        return sorted(
            self.select(
                "select table_name, record_id, change from ops.held_changes"
                " where district_id = $district"
            )
        )


def counts(report: SyncReport, file: str) -> FileReport:
    """The report's line of a file, told by its name without `.csv`; its sums are proven."""
    found = next(f for f in report.files if f.file_name == f"{file}.csv")
    assert_adds_up(found)
    return found


def assert_adds_up(file: FileReport) -> None:
    """Law 2: every row is accounted for."""
    assert file.read == file.accepted + file.rejected, file
    assert file.rejected == sum(file.rejected_by_code.values()), file
    if file.status != "kept":
        used = file.added + file.changed + file.unchanged + file.duplicate
        assert file.accepted == used, file
    numbers = (file.read, file.accepted, file.rejected, file.added, file.changed)
    assert min(*numbers, file.unchanged, file.duplicate, file.removed, file.held) >= 0, file


__all__ = [
    "GUARDED",
    "NEVER_HELD",
    "ONEROSTER",
    "ONEROSTER_1_1",
    "ONEROSTER_1_2",
    "POWERSCHOOL",
    "SCHOOLS",
    "SQL",
    "District",
    "Roster",
    "assert_adds_up",
    "class_",
    "counts",
    "enrollment",
    "files",
    "manifest",
    "package",
    "prepared",
    "prepared_postgres",
    "rows",
    "student",
    "table",
    "teacher",
]
