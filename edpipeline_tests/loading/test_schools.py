"""What a vendor lists of schools, as rows: on both warehouses, in any order of days."""

from datetime import date, timedelta
from itertools import permutations
from typing import Any
from uuid import uuid4

import pytest

from edpipeline.loading.schools import forget_vendor_schools, record_vendor_schools
from edpipeline.warehouse.engine import Warehouse

DAY = date(2026, 9, 1)
ROWS = (
    "select vendor_school_id, vendor_school_name, state_id, identifier, sourced_id, last_seen_on"
    " from ops.vendor_schools where district_id = $district and source = 'star' order by 1"
)


def school(id_: object, name: object = None, **ids: object) -> dict[str, object]:
    return {"vendor_school_id": id_, "vendor_school_name": name, **ids}


def record(
    warehouse: Warehouse, district: str, *lists: tuple[int, list[dict[str, Any]]]
) -> list[Any]:
    with warehouse.transaction() as session:
        for day, records in lists:
            record_vendor_schools(session, district, "star", records, DAY + timedelta(day))
        return session.rows(ROWS, district=district)


def test_a_list_is_shown_as_the_vendor_has_it(warehouse: Warehouse) -> None:
    listed = [
        school("7", " North\tElementary\x00 ", state_id=370001, other="passed over"),
        school(8, "it's; North", identifier="0102", sourced_id=""),
        school("", "nobody's"),
        school("7", "North", state_id="370002"),
        {},
    ]
    assert record(warehouse, f"d{uuid4().hex}", (0, listed)) == [
        ("7", "North", "370002", None, None, DAY),
        ("8", "it's; North", None, "0102", None, DAY),
    ]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_lists_of_days_in_any_order_come_to_the_same_rows(
    warehouse: Warehouse, order: tuple[int, ...]
) -> None:
    lists = [
        (0, [school("7", "Old"), school("gone", "Gone")]),
        (1, [school("7", "New"), school("8", "Eight")]),
        (2, [school("8", "Eighth")]),
    ]
    district = f"d{uuid4().hex}"
    wanted = [
        ("7", "New", None, None, None, DAY + timedelta(1)),
        ("8", "Eighth", None, None, None, DAY + timedelta(2)),
        ("gone", "Gone", None, None, None, DAY),
    ]
    assert record(warehouse, district, *(lists[n] for n in order)) == wanted
    assert record(warehouse, district, *lists) == wanted


def test_an_empty_list_keeps_what_was_listed_until_all_is_forgotten(warehouse: Warehouse) -> None:
    district = f"d{uuid4().hex}"
    assert len(record(warehouse, district, (0, [school("7")]), (1, []))) == 1
    with warehouse.transaction() as session:
        forget_vendor_schools(session, "another", "star")
        assert len(session.rows(ROWS, district=district)) == 1
        forget_vendor_schools(session, district, "star")
        assert session.rows(ROWS, district=district) == []
