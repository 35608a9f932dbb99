"""What the rows of the marts mean, on hand-made rosters; each test has a district of its own."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest

from edpipeline.warehouse.engine import Warehouse
from edpipeline.warehouse.marts import marts, refilled
from edpipeline_tests.warehouse.loaded import SQL, prepared

FIRST = date(2026, 9, 1)
SECOND = date(2026, 9, 2)
MARTS = [
    mart
    for mart in marts(SQL)
    if mart.name in {"fct_enrollment", "rpt_sync_health"} or mart.name.startswith("dim_")
]
"""What is asked here."""


@dataclass(frozen=True)
class Place:
    """A district of its own in a warehouse that is shared with other tests."""

    warehouse: Warehouse
    district_id: str

    def put(self, table: str, *rows: dict[str, Any]) -> None:
        """Insert rows; what every history row needs is filled in."""
        with self.warehouse.transaction() as session:
            for row in rows:
                usual = {"district_id": self.district_id}
                if table.startswith("roster."):
                    usual |= {"status": "active", "valid_from": FIRST}
                values = usual | row
                names = ", ".join(values)
                marks = ", ".join(f"${name}" for name in values)
                session.run(f"insert into {table} ({names}) values ({marks})", **values)

    def refill(self) -> None:
        with refilled(self.warehouse, SQL, MARTS, self.district_id):
            pass

    def ask(self, columns: str, mart: str, where: str = "true") -> list[tuple[Any, ...]]:
        """Rows of this district, in order of the first column."""
        with self.warehouse.transaction() as session:
            return session.rows(
                f"select {columns} from marts.{mart}"
                f" where district_id = '{self.district_id}' and ({where}) order by 1"
            )


@pytest.fixture(scope="module", params=["duckdb", "postgres"])
def shared(
    request: pytest.FixtureRequest, postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Warehouse]:
    if request.param == "duckdb":
        yield prepared(
            f"duckdb:///{tmp_path_factory.mktemp('meaning')}/warehouse.duckdb", with_marts=True
        )
        return
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("create database meaning")
        yield prepared(urlsplit(postgres_url)._replace(path="/meaning").geturl(), with_marts=True)
        connection.execute("drop database meaning with (force)")


@pytest.fixture
def place(shared: Warehouse) -> Place:
    return Place(shared, f"d{uuid4().hex[:8]}")


def sync_of(day: date) -> dict[str, Any]:
    return {"delivery_day": day, "table_name": "roster.users", "status": "loaded"}


def test_a_student_who_left_stays_with_the_last_day(place: Place) -> None:
    place.put(
        "roster.users",
        {"sourced_id": "left", "role": "student", "valid_to": date(2026, 9, 8)},
        {"sourced_id": "stays", "role": "student", "grades": "09", "valid_to": SECOND},
        {"sourced_id": "stays", "role": "student", "grades": "10", "valid_from": SECOND},
        {"sourced_id": "deleted", "role": "student", "valid_to": SECOND},
        {"sourced_id": "deleted", "role": "student", "valid_from": SECOND, "status": "tobedeleted"},
        {"sourced_id": "hired", "role": "student", "valid_to": SECOND},
        {"sourced_id": "hired", "role": "aide", "valid_from": SECOND},
        {"sourced_id": "parent", "role": "parent"},
    )
    place.refill()
    columns = "student_id, is_current, first_seen_on, last_seen_on, grade"
    students = place.ask(columns, "dim_student")
    assert students == [
        ("deleted", False, FIRST, FIRST, None),
        ("hired", False, FIRST, FIRST, None),
        ("left", False, FIRST, date(2026, 9, 7), None),
        ("stays", True, FIRST, None, "10"),
    ]
    staff = place.ask("staff_id, roles, is_teacher, is_current", "dim_staff")
    assert staff == [("hired", "aide", False, True)]


def test_in_1_2_roles_say_who_is_a_student_and_who_is_staff(place: Place) -> None:
    place.put("ops.sync_files", sync_of(SECOND))
    place.put(
        "roster.users",
        *({"sourced_id": name} for name in ("pupil", "both", "ended", "teacher", "mother", "none")),
    )

    def role(user: str, role: str, **more: Any) -> dict[str, Any]:
        ids = {"sourced_id": f"{user}-{role}", "user_sourced_id": user, "org_sourced_id": "S1"}
        return ids | {"role": role, "role_type": "primary"} | more

    place.put(
        "roster.roles",
        role("pupil", "student"),
        role("both", "student", end_date=date(2027, 6, 1)),
        role("both", "aide"),
        role("ended", "student", end_date=SECOND),
        role("teacher", "teacher", org_sourced_id="S2", role_type="secondary"),
        role("teacher", "principal"),
        role("mother", "guardian"),
    )
    place.refill()
    assert place.ask("student_id, is_current, last_seen_on, school_id", "dim_student") == [
        ("both", True, None, "S1"),
        ("ended", False, FIRST, "S1"),
        ("pupil", True, None, "S1"),
    ]
    assert place.ask("staff_id, roles, is_teacher, school_id", "dim_staff") == [
        ("both", "aide", False, "S1"),
        ("teacher", "principal,teacher", True, "S1"),
    ]


USER_IDS = {
    "{SSID:0012345678}": "0012345678",
    "{LDAP:4711},{ssid: 0012}": "0012",
    "{StateId:007},{LDAP:1}": "007",
    "{State_Student_ID:9}": "9",
    "{sisStateNumber:9-A}": "9-A",
    "{State ID:5}": "5",
    "{SASID:1},{SUID:2}": "2",
    "{SSID:}": None,
    "{Estate:5}": None,
    "{Statement:5}": None,
    "{LDAP:4711}": None,
    "0012345678": None,
    None: None,
}


def test_the_state_id_is_found_among_the_user_ids(place: Place) -> None:
    place.put(
        "roster.users",
        *(
            {"sourced_id": f"{number}", "role": "student", "user_ids": user_ids}
            for number, user_ids in enumerate(USER_IDS)
        ),
    )
    place.refill()
    assert dict(place.ask("user_ids, state_id", "dim_student")) == USER_IDS


def test_the_school_of_a_student_is_the_first_that_is_one(place: Place) -> None:
    place.put(
        "roster.orgs",
        {"sourced_id": "D", "type": "district", "name": "All"},
        {"sourced_id": "A", "type": "school", "name": "School A"},
        {"sourced_id": "B", "type": "school", "name": "School B"},
    )
    place.put(
        "roster.users",
        {"sourced_id": "listed", "role": "student", "org_sourced_ids": "D,B,A"},
        {"sourced_id": "primary", "role": "student", "primary_org_sourced_id": "A"},
        {"sourced_id": "by class", "role": "student"},
        {"sourced_id": "nowhere", "role": "student", "org_sourced_ids": "D"},
    )
    place.put(
        "roster.classes",
        *({"sourced_id": f"c{at}", "school_sourced_id": at} for at in ("A", "B")),
        {"sourced_id": "c2", "school_sourced_id": "B"},
    )
    place.put(
        "roster.enrollments",
        *(
            {"sourced_id": f"e{c}", "class_sourced_id": c, "user_sourced_id": "by class"}
            for c in ("cA", "cB", "c2")
        ),
    )
    place.refill()
    found = dict(place.ask("student_id, school_name", "dim_student"))
    assert found == {
        "listed": "School B",
        "primary": "School A",
        "by class": "School B",
        "nowhere": None,
    }


def test_schools_are_named_by_orgs_then_by_the_districts_file_or_only_known_by_id(
    place: Place,
) -> None:
    place.put(
        "roster.orgs",
        {"sourced_id": "1", "type": "school", "name": "By Orgs"},
        {"sourced_id": "D", "type": "district", "name": "District"},
        {"sourced_id": "old", "type": "school", "name": "Closed", "valid_to": SECOND},
        {"sourced_id": "dept", "type": "department", "name": "With classes"},
    )
    named = {"source": "oneroster"}
    place.put(
        "ops.configured_schools",
        named | {"school_id": "1", "name": "By the file"},
        named | {"school_id": "2", "name": "By the file"},
    )
    place.put("roster.users", {"sourced_id": "u", "role": "aide", "org_sourced_ids": "D,1,3"})
    place.put(
        "roster.classes",
        {"sourced_id": "c", "school_sourced_id": "dept"},
        {"sourced_id": "d", "school_sourced_id": "4", "valid_to": SECOND},
    )
    place.refill()
    columns = "school_id, school_name, name_source, is_current"
    assert place.ask(columns, "dim_school") == [
        ("1", "By Orgs", "orgs", True),
        ("2", "By the file", "districts file", True),
        ("3", None, "ids only", True),
        ("4", None, "ids only", False),
        ("dept", "With classes", "orgs", True),
        ("old", "Closed", "orgs", False),
    ]


ON_A_DAY = (
    "valid_from <= date '{0}' and (valid_to is null or valid_to > date '{0}')"
    " and (begin_date is null or begin_date <= date '{0}')"
    " and (end_date is null or end_date > date '{0}')"
)
"""As the mart's own file says it."""


def test_enrollments_answer_for_now_and_for_any_day(place: Place) -> None:
    place.put("ops.sync_files", sync_of(date(2026, 9, 10)))
    place.put(
        "roster.users",
        {"sourced_id": "s", "role": "student"},
        {"sourced_id": "gone", "role": "student", "status": "tobedeleted"},
    )
    place.put("roster.classes", {"sourced_id": "c", "school_sourced_id": "A"})
    of_s = {"class_sourced_id": "c", "user_sourced_id": "s", "role": "student"}
    place.put(
        "roster.enrollments",
        of_s | {"sourced_id": "open"},
        of_s | {"sourced_id": "ended", "end_date": date(2026, 9, 10)},
        of_s | {"sourced_id": "to come", "begin_date": date(2026, 9, 11)},
        of_s | {"sourced_id": "dropped", "valid_to": date(2026, 9, 5)},
        of_s | {"sourced_id": "of one deleted", "user_sourced_id": "gone"},
        of_s | {"sourced_id": "deleted", "status": "tobedeleted"},
    )
    place.refill()
    assert place.ask("enrollment_id, is_current, is_enrolled, school_id", "fct_enrollment") == [
        ("dropped", False, False, "A"),
        ("ended", True, False, "A"),
        ("of one deleted", False, False, "A"),
        ("open", True, True, "A"),
        ("to come", True, False, "A"),
    ]
    on = {
        day: place.ask("enrollment_id", "fct_enrollment", ON_A_DAY.format(day))
        for day in ("2026-09-04", "2026-09-11")
    }
    assert on == {
        "2026-09-04": [("dropped",), ("ended",), ("of one deleted",), ("open",)],
        "2026-09-11": [("of one deleted",), ("open",), ("to come",)],
    }


def test_a_class_says_its_year_and_whether_that_was_guessed(place: Place) -> None:
    place.put(
        "roster.academic_sessions",
        {"sourced_id": "t1", "title": "S1", "start_date": date(2025, 8, 1), "school_year": 2026},
        {"sourced_id": "t2", "title": "S2", "start_date": date(2026, 1, 1), "school_year": 2026},
    )
    place.put(
        "roster.classes",
        {"sourced_id": "with", "school_sourced_id": "A", "term_sourced_ids": "t2,t1"},
        {"sourced_id": "without", "school_sourced_id": "A", "term_sourced_ids": "t9"},
        {"sourced_id": "june", "school_sourced_id": "A", "valid_from": date(2027, 6, 30)},
        {"sourced_id": "july", "school_sourced_id": "A", "valid_from": date(2027, 7, 1)},
    )
    place.refill()
    columns = "class_id, school_year, school_year_source, terms, begin_date"
    assert place.ask(columns, "dim_class") == [
        ("july", 2028, "first seen", None, None),
        ("june", 2027, "first seen", None, None),
        ("with", 2026, "terms", "S1,S2", date(2025, 8, 1)),
        ("without", 2027, "first seen", None, None),
    ]


def test_sync_health_tells_the_last_day_and_what_waits(place: Place) -> None:
    def sync(day: date, number: int, status: str) -> dict[str, Any]:
        return {
            "sync_id": f"{day}-{number}",
            "source": "oneroster",
            "delivery_day": day,
            "started_at": f"{day} 20:00:0{number}",
            "status": status,
        }

    place.put(
        "ops.sync_history",
        sync(FIRST, 1, "refused"),
        sync(FIRST, 2, "loaded"),
        sync(SECOND, 1, "missed"),
        sync(date(2026, 9, 3), 1, "awaiting_approval"),
    )
    rows = {"rows_read": 10, "rows_rejected": 2}
    last = {"sync_id": "2026-09-03-1", "table_name": "roster.users"}
    place.put(
        "ops.sync_files",
        last | rows | {"status": "loaded"},
        last | rows | {"status": "kept"},
        last | rows | {"status": "loaded", "sync_id": f"{FIRST}-2"},
    )
    place.put("ops.held_changes", {"source": "oneroster", "record_id": "1"})
    place.refill()
    columns = (
        "last_delivery_day, last_status, last_loaded_day, waits_for_approval, held_changes,"
        " files_kept, rows_read, rejected_share, computed_on - last_loaded_day"
        " = days_since_last_load"
    )
    assert place.ask(columns, "rpt_sync_health") == [
        (date(2026, 9, 3), "awaiting_approval", FIRST, True, 1, 1, 20, 0.2, True)
    ]
