"""Listings pulled into JSON lines: what may land, how pages end, and what a vendor may not say."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from edpipeline.errors import BadConfiguration, EdpipelineError, Permanent, Transient
from edpipeline.landing.pull import Pulled, pull
from edpipeline_tests.landing.hostile import (
    Asked,
    Reply,
    Time,
    Vendor,
    answer,
    client_of,
    page,
    raw_page,
    time,
    vendor,
)

__all__ = ["time", "vendor"]  # fixtures

NEXT = {"style": "next", "size": 2}
OFFSET = {"style": "offset", "size": 2}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "scratch"


def pulled(vendor: Vendor, time: Time, folder: Path, values: Any = None, **listing: Any) -> Pulled:
    with client_of(vendor, time, listings={"results": listing}) as client:
        return pull(client, "results", values or {}, folder)


def records_in(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]]


def numbered(*ids: int) -> list[dict[str, Any]]:
    return [{"id": str(number)} for number in ids]


def asked_parameters(vendor: Vendor) -> list[dict[str, str]]:
    return [one.parameters for one in vendor.asked if one.path.endswith("/results")]


def test_numbered_pages_are_pulled_to_the_last(vendor: Vendor, time: Time, folder: Path) -> None:
    vendor.queue = [
        page(numbered(1, 2), 1, 3),
        page(numbered(3, 4), 2, 3),
        page(numbered(5), 3, 3),
    ]
    result = pulled(vendor, time, folder, {"since": "2026-01-01T00:00:00Z", "school": ""})
    assert result.files == {"results": folder / "results.jsonl"}
    assert records_in(result.files["results"]) == numbered(1, 2, 3, 4, 5)
    assert (result.records, result.pages) == ({"results": 5}, 3)
    assert result.bytes > 100
    assert asked_parameters(vendor) == [
        {"modifiedSince": "2026-01-01T00:00:00Z", "page": number, "pageSize": "2"}
        for number in "123"
    ]


def test_pages_that_name_the_next_one_are_pulled_to_the_last(
    vendor: Vendor, time: Time, folder: Path
) -> None:
    for names in ([2, 3, None], ["x/y?z=1", "https://elsewhere.example/p", ""]):
        vendor.asked.clear()
        vendor.queue = [
            answer({"results": numbered(number), "nextPage": name})
            for number, name in enumerate(names)
        ]
        result = pulled(vendor, time, folder / str(names[0])[:1], paging=NEXT)
        assert records_in(result.files["results"]) == numbered(0, 1, 2)
        wanted = ["1", str(names[0]), str(names[1])]
        assert [asked["page"] for asked in asked_parameters(vendor)] == wanted


def test_offsets_count_what_came_and_not_what_was_asked_for(
    vendor: Vendor, time: Time, folder: Path
) -> None:
    every = numbered(*range(5))

    def answers(asked: Asked) -> Reply:
        first = int(asked.parameters["offset"])
        cut = first + min(int(asked.parameters["limit"]), 1 if first == 2 else 2)
        return answer({"results": every[first:cut], "totalCount": 5})

    vendor.answers = answers
    result = pulled(vendor, time, folder, paging=OFFSET)
    assert records_in(result.files["results"]) == every
    assert [asked["offset"] for asked in asked_parameters(vendor)] == ["0", "2", "3"]


def test_without_any_announcement_a_short_or_empty_page_is_the_last(
    vendor: Vendor, time: Time, folder: Path
) -> None:
    for sizes, asked in (([2, 2, 1], 3), ([2, 2, 0], 3), ([1, 0], 2), ([0], 1)):
        vendor.asked.clear()
        ids = iter(range(100))
        vendor.queue = [
            answer({"results": [{"id": str(next(ids))} for _ in range(size)]}) for size in sizes
        ]
        result = pulled(vendor, time, folder / str(sizes))
        assert result.records == {"results": sum(sizes)}
        assert len(asked_parameters(vendor)) == asked


def test_a_listing_without_records_makes_an_empty_file(
    vendor: Vendor, time: Time, folder: Path
) -> None:
    for number, reply in enumerate([page([], 1, 0), answer({"results": None, "pageCount": 1})]):
        vendor.queue = [reply]
        result = pulled(vendor, time, folder / str(number))
        assert result.files["results"].read_bytes() == b""
        assert (result.records, result.missing) == ({"results": 0}, ())


BAD_PAGES: dict[str, tuple[type[EdpipelineError], str, dict[str, Any], list[Reply]]] = {
    "a page that repeats one": (
        Transient,
        "page 3 repeats page 1",
        {},
        [
            page(numbered(1, 2), 1, 3),
            page(numbered(3, 4), 2, 3),
            page(numbered(1, 9), 3, 3),
        ],
    ),
    "a page that repeats one under another stamp": (
        Transient,
        "page 2 repeats page 1",
        {},
        [
            page([{"id": "1", "stamp": number}, {"id": "2", "stamp": 0}], number, 3)
            for number in (1, 2, 3)
        ],
    ),
    "another page than asked": (
        Transient,
        "page 2 was asked for, and page 1 came",
        {},
        [page(numbered(1, 2), 1, 3), page(numbered(3, 4), 1, 3)],
    ),
    "fewer pages": (
        Transient,
        "says `pageCount` is 2, after 3",
        {},
        [page(numbered(1, 2), 1, 3), page(numbered(3, 4), 2, 2)],
    ),
    "many more pages": (
        Transient,
        "says `pageCount` is 300, after 3",
        {},
        [page(numbered(1, 2), 1, 3), page(numbered(3, 4), 2, 300)],
    ),
    "a page that is empty too early": (
        Transient,
        "page 2 is empty",
        {},
        [page(numbered(1, 2), 1, 3), page([], 2, 3)],
    ),
    "fewer records than announced": (
        Transient,
        "2 records in all of 3 announced",
        {"paging": {"total_field": "total"}},
        [page(numbered(1, 2), total=3)],
    ),
    "more records than announced": (
        Transient,
        "2 records in all of 1 announced",
        {"paging": {"total_field": "total"}},
        [page(numbered(1, 2), total=1)],
    ),
    "an offset that ends too early": (
        Transient,
        "page 2 is empty",
        {"paging": OFFSET},
        [
            answer({"results": numbered(1, 2), "totalCount": 9}),
            answer({"results": [], "totalCount": 9}),
        ],
    ),
    "a total that shrinks": (
        Transient,
        "says `totalCount` is 4, after 9",
        {"paging": OFFSET},
        [
            answer({"results": numbered(1, 2), "totalCount": 9}),
            answer({"results": numbered(3, 4), "totalCount": 4}),
        ],
    ),
    "a next page that was here before": (
        Transient,
        "names a page as the next one that was here before",
        {"paging": NEXT},
        [
            answer({"results": numbered(1, 2), "nextPage": 2}),
            answer({"results": numbered(3, 4), "nextPage": 1}),
        ],
    ),
    "a next page after an empty one": (
        Transient,
        "is empty, though it names a next page",
        {"paging": NEXT},
        [answer({"results": [], "nextPage": 2})],
    ),
    "a full page that does not say what is next": (
        Permanent,
        "has no `nextPage`",
        {"paging": NEXT},
        [answer({"results": numbered(1, 2)})],
    ),
    "a next page that is no name": (
        Permanent,
        "names no page",
        {"paging": NEXT},
        [answer({"results": numbered(1, 2), "nextPage": {"CANARY": 1}})],
    ),
    "more pages than allowed": (
        Permanent,
        "more than 2 pages",
        {"paging": {"most_pages": 2}},
        [page(numbered(number, -number), number, 9) for number in (1, 2)],
    ),
    "a number of pages that is none": (
        Permanent,
        "`pageCount` that is no whole number",
        {},
        [page(numbered(1, 2), 1, "CANARY")],  # type: ignore[arg-type]
    ),
    "no list": (Permanent, "has no `results`", {}, [answer({"Results": numbered(1)})]),
    "a list under a list": (Permanent, "has no `results`", {}, [answer(numbered(1))]),
    "an object as the list": (Permanent, "is no list", {}, [answer({"results": {"CANARY": 1}})]),
    "texts in the list": (Permanent, "is no list", {}, [answer({"results": ["CANARY"]})]),
    "an error with status 200": (Permanent, "has no `results`", {}, [answer({"error": "CANARY"})]),
    "HTML in mid-run": (
        Permanent,
        "an HTML page",
        {},
        [page(numbered(1, 2), 1, 2), Reply(body=b"<html>CANARY")],
    ),
}


@pytest.mark.parametrize("case", BAD_PAGES)
def test_a_pull_that_cannot_be_right_fails_and_leaves_nothing(
    vendor: Vendor, time: Time, folder: Path, case: str
) -> None:
    kind, says, listing, vendor.queue = BAD_PAGES[case]
    with pytest.raises(kind) as caught:
        pulled(vendor, time, folder, **listing)
    assert says in str(caught.value)
    assert "CANARY" not in str(caught.value)
    assert list(folder.iterdir()) == []


def test_a_list_that_grows_a_little_while_it_is_read_is_all_right(
    vendor: Vendor, time: Time, folder: Path
) -> None:
    vendor.queue = [
        page(numbered(1, 2), 1, 2),
        page(numbered(3, 4), 2, 3),
        page(numbered(5), 3, 3),
    ]
    assert pulled(vendor, time, folder).records == {"results": 5}


def test_a_pull_that_failed_starts_clean_the_next_time(
    vendor: Vendor, time: Time, folder: Path
) -> None:
    vendor.queue = [page(numbered(1, 2), 1, 2), *[Reply(500)] * 4]
    with pytest.raises(Transient):
        pulled(vendor, time, folder)
    vendor.queue = [page(numbered(1, 2), 1, 2), page(numbered(3), 2, 2)]
    assert records_in(pulled(vendor, time, folder).files["results"]) == numbered(1, 2, 3)


def test_two_pulls_do_not_write_over_each_other(vendor: Vendor, time: Time, folder: Path) -> None:
    vendor.queue = [page(numbered(1)), page(numbered(2))]
    pulled(vendor, time, folder)
    with pytest.raises(ValueError, match=r"has results\.jsonl"):
        pulled(vendor, time, folder)
    with client_of(vendor, time) as client:
        result = pull(client, "results", {}, folder, name="SR")
    assert records_in(result.files["SR"]) == numbered(2)
    assert records_in(folder / "results.jsonl") == numbered(1)


def test_values_land_as_they_were_written(vendor: Vendor, time: Time, folder: Path) -> None:
    written = [
        b'{"id":"0012","score":7.0,"note":null}',
        b'{"id":12345678901234567890123,"score":7.10,"note":true}',
        b'{"id":"7","score":"7","note":"two\\nlines, \\u00e9 \xc3\xa9 \\"x\\" {[}"}',
        b'{"id":-0,"score":1E5}',
        b"{}",
        '{"note":"\u2028\x85\U0001f600"}'.encode(),
    ]
    spaced = b" [ " + b" ,\n\t".join(one.replace(b'":', b'" : ') for one in written) + b" ]\r\n"
    vendor.queue = [raw_page(spaced)]
    path = pulled(vendor, time, folder).files["results"]
    assert path.read_bytes() == b"".join(one + b"\n" for one in written)


def test_only_what_is_allowed_lands_and_the_rest_is_told_by_name_and_type(
    vendor: Vendor, time: Time, folder: Path
) -> None:
    record = {
        "id": "1",
        "link": "https://x.example/CANARY",
        "secret": {"CANARY": 1},
        "list": ["CANARY"],
        "number": 7,
        "yes": False,
        "later": None,
        "998877665": "CANARY",
        "a@example.org": "CANARY",
    }
    vendor.queue = [page([record, {"id": "2", "later": "CANARY", "extra": None}])]
    result = pulled(vendor, time, folder)
    assert records_in(result.files["results"]) == numbered(1, 2)
    assert result.unknown == {
        "link": "string",
        "secret": "object",
        "list": "array",
        "number": "number",
        "yes": "boolean",
        "later": "string",
        "extra": "null",
        "(a name that is not shown)": "string",
    }
    assert result.missing == ("score", "note")
    assert "CANARY" not in repr(result)


def test_names_that_come_and_go_with_pages_change_nothing(
    vendor: Vendor, time: Time, folder: Path
) -> None:
    vendor.queue = [
        page([{"note": "a", "extra": None}], 1, 3),
        page([{"id": "2", "extra": "CANARY", "score": 7}, {"note": "b"}], 2, 3),
        page([{"more": 1}, {"id": "3", "note": {"CANARY": 1}}], 3, 3),
    ]
    result = pulled(vendor, time, folder)
    assert records_in(result.files["results"]) == [
        {"note": "a"},
        {"id": "2", "score": 7},
        {"note": "b"},
        {},
        {"id": "3"},
    ]
    assert result.unknown == {"extra": "string", "more": "number", "note": "object"}
    assert result.missing == ()


def test_a_page_that_repeats_one_is_found_also_after_a_new_name(
    vendor: Vendor, time: Time, folder: Path
) -> None:
    first = [{"note": "a", "extra": 1}, {"id": "1"}]
    vendor.queue = [page(first, 1, 3), page([{"score": 1, "more": 2}], 2, 3), page(first, 3, 3)]
    with pytest.raises(Transient, match="page 3 repeats page 1"):
        pulled(vendor, time, folder)


def test_names_without_end_do_not_fill_the_memory(vendor: Vendor, time: Time, folder: Path) -> None:
    names = (f"n{first}{second}" for first in "abcdefghij" for second in range(100))
    vendor.queue = [page([{"id": "1", **dict.fromkeys(names, 0)}])]
    assert len(pulled(vendor, time, folder).unknown) == 200


def test_a_single_value_that_became_an_object_does_not_land_and_a_list_does_as_text(
    vendor: Vendor, time: Time, folder: Path
) -> None:
    vendor.queue = [
        page(
            [
                {"id": "1", "score": {"CANARY": 1}, "note": "{"},
                {"id": "2", "score": [1.0, "b"], "note": []},
                {"id": "3", "score": [{"CANARY": 1}], "note": "[x]"},
            ]
        )
    ]
    result = pulled(vendor, time, folder)
    assert records_in(result.files["results"]) == [
        {"id": "1", "note": "{"},
        {"id": "2", "score": '[1.0,"b"]', "note": "[]"},
        {"id": "3", "note": "[x]"},
    ]
    assert result.unknown == {"score": "object"}


def test_fields_within_objects_land_by_their_paths_under_their_names(
    vendor: Vendor, time: Time, folder: Path
) -> None:
    fields = {"id": "test_id", "student.id": "student_id", "student.home.zip": "zip"}
    vendor.queue = [
        page(
            [
                {"student": {"id": "007", "home": {"zip": "01234", "street": "CANARY"}}, "id": 1},
                {"student": {"id": 8, "home": None, "email": "CANARY"}},
                {"id": "3", "student": None},
                {"id": "4", "student": "CANARY"},
            ]
        )
    ]
    absent = {"score": None, "note": None}
    result = pulled(vendor, time, folder, fields={**absent, **fields})
    assert records_in(result.files["results"]) == [
        {"test_id": 1, "student_id": "007", "zip": "01234"},
        {"student_id": 8},
        {"test_id": "3"},
        {"test_id": "4"},
    ]
    assert result.unknown == {
        "student": "string",
        "student.email": "string",
        "student.home.street": "string",
    }
    assert result.missing == ()


def test_a_renamed_field_is_found_under_either_name(
    vendor: Vendor, time: Time, folder: Path
) -> None:
    vendor.queue = [page([{"mark": 1}, {"score": 2}, {"score": 3, "mark": 4}])]
    result = pulled(vendor, time, folder, fields={"mark": "score"})
    assert records_in(result.files["results"]) == [{"score": 1}, {"score": 2}, {"score": 3}]
    assert result.missing == ("id", "note")


CHILDREN = {
    "parts.units": {
        "name": "units",
        "fields": {"name": "unit", "range.low": "low"},
        "carried": {"id": "id", "student.id": "student"},
    }
}


def test_records_within_records_land_in_a_file_of_their_own(
    vendor: Vendor, time: Time, folder: Path
) -> None:
    units = [{"name": "a", "range": {"low": 1.0}}, {"name": "b", "link": "CANARY"}]
    vendor.queue = [
        page([{"id": "1", "student": {"id": "01"}, "parts": {"units": units}}], 1, 2),
        page([{"id": "2", "parts": {"units": None}}, {"id": "3", "parts": {"units": 5}}], 2, 2),
    ]
    fields = {"student.id": "student"}
    result = pulled(vendor, time, folder, fields=fields, children=CHILDREN)
    assert list(result.files) == ["results", "units"]
    assert result.records == {"results": 3, "units": 2}
    assert records_in(result.files["units"]) == [
        {"id": "1", "student": "01", "unit": "a", "low": 1.0},
        {"id": "1", "student": "01", "unit": "b"},
    ]
    assert records_in(result.files["results"])[0] == {"id": "1", "student": "01"}
    assert result.unknown == {"parts.units.link": "string", "parts.units": "number"}
    assert result.missing == ("score", "note")


def test_a_child_field_that_no_child_had_is_missing(
    vendor: Vendor, time: Time, folder: Path
) -> None:
    vendor.queue = [page([{"id": "1", "parts": {"units": [{"name": "a"}]}}])]
    with client_of(vendor, time, listings={"results": {"children": CHILDREN}}) as client:
        result = pull(client, "results", {}, folder, name="L1")
    assert list(result.files) == ["L1", "L1-units"]
    assert "parts.units.range.low" in result.missing


def test_an_answer_that_is_a_list_is_a_page(vendor: Vendor, time: Time, folder: Path) -> None:
    vendor.queue = [answer(numbered(1, 2)), answer([])]
    result = pulled(vendor, time, folder, records="")
    assert records_in(result.files["results"]) == numbered(1, 2)


def test_a_401_in_mid_run_loses_no_page(vendor: Vendor, time: Time, folder: Path) -> None:
    vendor.queue = [page(numbered(1, 2), 1, 2), Reply(401), page(numbered(3), 2, 2)]
    assert records_in(pulled(vendor, time, folder).files["results"]) == numbered(1, 2, 3)


def test_a_value_that_the_listing_does_not_take_is_refused(
    vendor: Vendor, time: Time, folder: Path
) -> None:
    with pytest.raises(BadConfiguration, match="takes no value sinse"):
        pulled(vendor, time, folder, {"sinse": "2026"})
    with (
        client_of(vendor, time) as client,
        pytest.raises(BadConfiguration, match="it has: results"),
    ):
        pull(client, "result", {}, folder)
    assert vendor.asked == []


def test_memory_does_not_grow_with_the_number_of_pages(
    vendor: Vendor, time: Time, folder: Path
) -> None:
    def answers(asked: Asked) -> Reply:
        number = int(asked.parameters["page"])
        return page(
            [{"id": f"{number}-{row}", "note": "x" * 1000} for row in range(80 * (number <= 60))],
            number,
            60,
        )

    vendor.answers = answers
    tracemalloc.start()
    result = pulled(vendor, time, folder)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert result.bytes > 4_800_000
    assert peak < 1_600_000, peak
