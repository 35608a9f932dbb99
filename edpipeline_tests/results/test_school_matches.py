"""Results whose school has to be matched: why one waits, and what it says."""

from datetime import UTC, date, datetime, timedelta
from itertools import count

import pytest

from edpipeline.landing.schools import decide_schools, school_decisions
from edpipeline.loading.schools import mirror_school_matches
from edpipeline.sources import source
from edpipeline.warehouse.engine import Warehouse
from edpipeline_tests.results.uploads import Uploads, sample
from edpipeline_tests.some_marts import broken_claims_of_some

MARTS = ("fct_assessment_result", "rpt_school_match", "rpt_unmatched_result")
_instants = (datetime(2026, 9, 1, tzinfo=UTC) + timedelta(minutes=n) for n in count())


@pytest.fixture(scope="module")
def district(warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Uploads:
    """Tests at the vendor's schools L1, L2 and L9, by students of school 0101 and by others."""
    made = Uploads(warehouse, tmp_path_factory.mktemp("schools"), source("scantron"))
    made.roster()
    report = made.upload(sample("scantron", "scantron_api.csv"), "results.csv")
    assert report.applied, report.message
    made.refill(*MARTS)
    return made


def claims_hold(district: Uploads) -> None:
    assert broken_claims_of_some(district.warehouse, district.district_id, *MARTS) == {}


def decide(district: Uploads, **schools: str | None) -> None:
    place = (district.district_id, "scantron")
    decide_schools(district.store, *place, schools, "Ada", next(_instants))
    show_decisions(district)


def show_decisions(district: Uploads) -> None:
    place = (district.district_id, "scantron")
    with district.warehouse.transaction() as session:
        mirror_school_matches(session, *place, school_decisions(district.store, *place))
    district.refill(*MARTS)


def unmatched(district: Uploads) -> dict[str, set[str]]:
    """Reasons by the vendor's school."""
    found: dict[str, set[str]] = {}
    for row in district.query(
        "select vendor_school_id, reject_reason from marts.rpt_unmatched_result"
        " where district_id = $district"
    ):
        found.setdefault(row["vendor_school_id"], set()).add(row["reject_reason"])
    return found


def counting(district: Uploads) -> set[tuple[str, str]]:
    found = district.query(
        "select distinct r.vendor_school_id, f.tested_school_id"
        " from marts.fct_assessment_result f join assessments.scantron_results r"
        " on r.district_id = f.district_id and r.source_record_id = f.source_record_id"
        " where f.district_id = $district"
    )
    return {(row["vendor_school_id"], row["tested_school_id"]) for row in found}


def remedies(district: Uploads, school: str) -> str:
    found = district.query(
        "select distinct remedy from marts.rpt_unmatched_result where district_id = $district"
        f" and vendor_school_id = '{school}' and reject_reason <> 'user_not_found'"
    )
    return " ".join(row["remedy"] for row in found)


def test_results_wait_until_their_school_was_said(district: Uploads) -> None:
    _the_school_is_asked_for_before_the_student(district)
    _schools_are_told_with_how_many_wait(district)
    _a_match_with_a_school_that_the_roster_does_not_have_waits_and_says_so(district)
    claims_hold(district)
    _the_student_is_asked_for_where_the_school_was_said(district)
    _a_load_brings_back_decisions_that_the_warehouse_lost(district)
    claims_hold(district)


def _the_school_is_asked_for_before_the_student(district: Uploads) -> None:
    whole = unmatched(district)
    assert set(whole) == {"L1", "L2", "L9"}
    assert set.union(*whole.values()) == {"school_not_matched"}
    assert counting(district) == set()


def _schools_are_told_with_how_many_wait(district: Uploads) -> None:
    decide(district, L2="0101")
    found = district.query(
        "select vendor_school_id, decision, last_seen_on, result_count, waiting_count"
        " from marts.rpt_school_match where district_id = $district order by 1"
    )
    assert [(row["vendor_school_id"], row["decision"]) for row in found] == [
        ("L1", "school_not_matched"),
        ("L2", "matched"),
        ("L9", "school_not_matched"),
    ]
    assert all(row["last_seen_on"] == date(2026, 9, 1) for row in found)
    counts = [(row["result_count"], row["waiting_count"]) for row in found]
    assert all(count > 0 for count, _ in counts)
    assert [waiting for _, waiting in counts] == [counts[0][0], 0, counts[2][0]]


def _a_match_with_a_school_that_the_roster_does_not_have_waits_and_says_so(
    district: Uploads,
) -> None:
    decide(district, L1="9999")
    assert counting(district) == {("L2", "0101")}
    assert unmatched(district)["L1"] == {"school_not_matched"}
    assert "has left the roster" in remedies(district, "L1")
    assert "Nobody has said yet" in remedies(district, "L9")


def _the_student_is_asked_for_where_the_school_was_said(district: Uploads) -> None:
    decide(district, L1="0101", L9=None)
    assert counting(district) == {("L1", "0101"), ("L2", "0101")}
    left = unmatched(district)
    assert left.pop("L9") == {"no_matching_school"}
    assert set.union(set(), *left.values()) <= {"user_not_found", "missing_user_id", "bad_user_id"}
    assert "match-schools --district" in remedies(district, "L9")


def _a_load_brings_back_decisions_that_the_warehouse_lost(district: Uploads) -> None:
    with district.warehouse.transaction() as session:
        session.run(
            "delete from ops.school_matches where district_id = $district",
            district=district.district_id,
        )
    district.refill(*MARTS)
    assert counting(district) == set()
    district.sync().rebuild()
    district.refill(*MARTS)
    assert counting(district) == {("L1", "0101"), ("L2", "0101")}
