"""What an answer about a student's score reports means."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edpipeline.sources.score_reports.decisions import (
    LANGUAGES,
    OUTCOMES,
    TYPES,
    Outcome,
    Report,
    kind_of,
    may_go_on,
    new_codes,
    outcome_of,
    understood,
)

RECORD: dict[str, Any] = {
    "type_given": "CAASPP",
    "language": "EN",
    "report_year": 2026,
    "grade": "05",
    "has_link": True,
}


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (None, "server_error"),
        (200, "schema_drift"),
        (204, "schema_drift"),
        (400, "bad_request"),
        (403, "forbidden"),
        (404, "not_found"),
        (418, "bad_request"),
        (429, "rate_limited"),
        (500, "server_error"),
        (599, "server_error"),
    ],
)
def test_a_status_alone_decides(status: int | None, outcome: Outcome) -> None:
    assert outcome_of(status) == outcome and outcome in OUTCOMES


@pytest.mark.parametrize(
    ("code", "kind"), [("CST", "CAST"), (" cst ", "CAST"), ("CAST", "CAST"), ("new", "NEW")]
)
def test_cst_is_cast_and_codes_are_in_capitals(code: str, kind: str) -> None:
    assert kind_of(code) == kind


def test_a_record_is_understood() -> None:
    (report,) = understood([RECORD]) or ()
    assert report == Report("CAASPP", "EN", 2026, None, None, "CAASPP", "05", True)
    assert report.key == ("CAASPP", "EN", 2026, None, None)
    assert understood([]) == ()


@pytest.mark.parametrize(
    "change",
    [
        {"type_given": None},
        {"type_given": ""},
        {"type_given": " "},
        {"type_given": ["CAASPP"]},
        {"type_given": "X" * 41},
        {"type_given": "CAASPP\n"},
        {"language": None},
        {"language": True},
        {"report_year": None},
        {"report_year": True},
        {"report_year": "26"},
        {"report_year": 2026.5},
        {"report_year": 1066},
        {"report_year": float("nan")},
        {"report_year": float("inf")},
    ],
)
def test_one_record_that_is_no_report_makes_an_answer_that_is_none(change: dict[str, Any]) -> None:
    expected = change == {"type_given": "CAASPP\n"}  # white space around a code is nothing
    assert (understood([RECORD, RECORD | change]) is not None) == expected


@pytest.mark.parametrize(
    ("change", "field", "value"),
    [
        ({"report_year": "2026"}, "report_year", 2026),
        ({"report_year": 2026.0}, "report_year", 2026),
        ({"language": "es"}, "language", "ES"),
        ({"grade": None}, "grade", None),
        ({"grade": 5}, "grade", "5"),
        ({"grade": {"a": 1}}, "grade", None),
        ({"report_format": "HTML"}, "report_format", "HTML"),
        ({"content_area": ""}, "content_area", None),
        ({"has_link": None}, "has_link", False),
    ],
)
def test_other_ways_to_write_it_are_read(change: dict[str, Any], field: str, value: Any) -> None:
    (report,) = understood([RECORD | change]) or ()
    assert getattr(report, field) == value


def test_one_report_under_two_codes_is_one_whichever_comes_first() -> None:
    old = RECORD | {"type_given": "CST", "has_link": False}
    new = RECORD | {"type_given": "cast", "grade": None}
    both = understood([old, new])
    assert both == (Report("CAST", "EN", 2026, None, None, "CST|cast", "05", True),)
    assert understood([new, old, old, new]) == both


def test_what_differs_in_its_key_stays_apart() -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"language": "ES"},
        {"report_year": 2025},
        {"report_format": "HTML", "content_area": "ELA"},
        {"report_format": "HTML", "content_area": "Math"},
    ]
    assert len(understood([RECORD | change for change in changes]) or ()) == 5


records = st.fixed_dictionaries(
    {
        "type_given": st.sampled_from(["CST", "CAST", "CAASPP", "x"]),
        "language": st.sampled_from(["EN", "es"]),
        "report_year": st.sampled_from([2025, "2025", 2026]),
        "grade": st.just("05"),
    }
)


@given(st.lists(records), st.randoms(use_true_random=False))
def test_the_order_of_an_answer_says_nothing(listed: list[dict[str, Any]], chance: Any) -> None:
    shuffled = list(listed)
    chance.shuffle(shuffled)
    found = understood(listed)
    assert found == understood(shuffled) and found is not None
    assert len({report.key for report in found}) == len(found)


def test_new_codes_are_named_unless_they_could_be_anything() -> None:
    known = [Report(kind, language, 2026) for kind in TYPES for language in LANGUAGES]
    assert new_codes(known) == frozenset()
    odd = [Report("NEW", "EN", 2026), Report("0123456789", "QQ", 2026), Report("NEW", "ES", 2025)]
    assert new_codes(odd) == {"type NEW", "type (an unusual code)", "language QQ"}


@pytest.mark.parametrize(
    ("refused", "asked", "goes_on"),
    [(0, 0, True), (5, 5, True), (6, 6, False), (6, 30, True), (7, 30, False), (100, 500, True)],
)
def test_refusals_are_too_many_by_share_and_by_number(
    refused: int, asked: int, goes_on: bool
) -> None:
    assert may_go_on(refused, asked, percent=20, floor=5) == goes_on
