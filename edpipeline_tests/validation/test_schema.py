"""The pandera schema and the pass over a file are two derivations of one declaration: they agree.

Random rows, good and bad, go through the check as a CSV file. What each cell means is worked out
here a second time, cell by cell in plain Python; whether the values may be is left to pandera.
"""

import csv
import io
import re
from datetime import date, datetime
from functools import cache
from typing import Any

import pandera.polars as pa
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandera.errors import SchemaErrors

from edpipeline.model import Column, Edition, Mode, Rule, Table
from edpipeline.validation.rules import POLARS_TYPES
from edpipeline.validation.schema import pandera_schema
from edpipeline_tests.district import ONEROSTER

Row = dict[str, str]
UNREADABLE = object()

GOOD: dict[str, list[str]] = {
    "id": ["S1", "0012", "a.b-c_/d@e", " S2 "],
    "id_list": ["S1", "S1,S2", "S1 , S2"],
    "text": ["Ana", "Nguyễn", "O'Neil, Jr", 'the "one"', "=1+1", "0012", " Ana ", "x" * 300],
    "text_list": ["A", "A,B", "A , B", "09,10"],
    "boolean": ["true", "false", "TRUE", " false"],
    "date": ["2026-09-01", "2024-02-29", "1000-01-01", "9999-12-31", " 2026-09-01"],
    "timestamp": [
        "2026-09-01T18:25:43.511Z",
        "2026-09-01T18:25:43Z",
        "2026-09-01T18:25:43",
        "2026-09-01 18:25:43",
        "2026-09-01",
    ],
    "integer": ["0", "12", "-3", " 7"],
    "number": ["1", "1.5", "-2.25", "1e3"],
    "year": ["2027", "2026-2027", "2026/27", " 2027"],
}
BAD: dict[str, list[str]] = {
    "id": ["a b", "ä", "x" * 256, "{a}", "a,b", "a:b"],
    "id_list": ["a,,b", ",a", "a b", "a,", "ä"],
    "text": [""],
    "text_list": [""],
    "boolean": ["yes", "1", "truefalse"],
    "date": ["2026-02-30", "09/01/2026", "2026-9-01", "0999-12-31", "20260901", "2026-09-01T00:00"],
    "timestamp": ["soon", "2026-13-01T00:00:00Z", "0001-01-01", "2026-02-30"],
    "integer": ["x", "1.5", "NaN"],
    "number": ["NaN", "inf", "1,5", "x"],
    "year": ["27", "20261", "2026-28", "0999", "2026-27-28"],
    "code": ["nonsense", "ext:", "ext:own", "tobe deleted"],
    "code_list": ["nonsense", "ext:own"],
}
LINE_CHARACTERS = st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"))

# Every kind of column, with and without editions that add to it.
FILES: list[tuple[str, str, Mode]] = [
    ("users", "three_file", "bulk"),
    ("users", "oneroster_1_1", "delta"),
    ("users", "oneroster_1_2", "bulk"),
    ("enrollments", "three_file", "bulk"),
    ("enrollments", "oneroster_1_2", "bulk"),
    ("roles", "oneroster_1_2", "delta"),
    ("classes", "oneroster_1_1", "bulk"),
    ("orgs", "oneroster_1_2", "bulk"),
    ("academic_sessions", "oneroster_1_1", "bulk"),
    ("demographics", "oneroster_1_2", "bulk"),
    ("categories", "oneroster_1_2", "bulk"),
    ("line_items", "oneroster_1_1", "bulk"),
    ("results", "oneroster_1_2", "bulk"),
    ("resources", "oneroster_1_2", "bulk"),
]


def rules_of(table: Table, edition: Edition) -> dict[Column, Rule]:
    found = {column: edition.rule(table.name, column.name) for column in table.columns}
    return {column: rule for column, rule in found.items() if rule is not None}


def good(column: Column, rule: Rule) -> list[str]:
    if rule.values:
        several = [",".join(rule.values[:2])] if column.kind == "code_list" else []
        return [*rule.values, *several, *([] if several else [rule.values[0].upper()])]
    return GOOD.get(column.kind, GOOD["text"])


@st.composite
def some_rows(draw: st.DrawFn, table: Table, edition: Edition, mode: Mode) -> list[Row]:
    """Rows of which most are good; some keys stand twice, with the same values or others."""
    rules = rules_of(table, edition)
    may_be_derived = edition.rule(table.name, table.key).presence == "optional"  # type: ignore[union-attr]
    if may_be_derived and draw(st.booleans()):
        rules = {column: rule for column, rule in rules.items() if column.name != table.key}
    rows: list[Row] = []
    for number in range(draw(st.integers(1, 24))):
        row = {
            column.header: draw(st.sampled_from(good(c, rule)))
            for c, rule in rules.items()
            for column in [c]
        }
        for column in rules:
            if column.name == table.key:
                row[column.header] = f"k{number}"
        spoilt = draw(st.lists(st.sampled_from(list(rules)), max_size=2, unique=True))
        for column in spoilt:
            row[column.header] = draw(_odd_value(column))
        if rows and draw(st.integers(0, 5)) == 0:
            earlier = draw(st.sampled_from(rows))
            key = table.column(table.key).header
            row = dict(earlier) if draw(st.booleans()) else row | {key: earlier.get(key, "")}
            row = {header: row[header] for header in earlier}
        rows.append(row)
    return rows


def _odd_value(column: Column) -> st.SearchStrategy[str]:
    listed = st.sampled_from(["", "  ", *BAD[column.kind]])
    if column.kind in ("id", "text"):
        return listed | st.text(LINE_CHARACTERS, max_size=12)
    return listed


def as_csv(rows: list[Row]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


# ------------------------------------------------------------------ what a cell means


def understood(column: Column, rule: Rule, edition: Edition, text: str) -> Any:
    """The value of a cell; `UNREADABLE` where it is of another type."""
    text = text.strip()
    if column.kind in ("id_list", "text_list", "code_list"):
        text = re.sub(r"\s*,\s*", ",", text)
    if not text:
        return None
    match column.kind:
        case "boolean":
            return {"true": True, "false": False}.get(text.lower(), UNREADABLE)
        case "date":
            return _first(text, ["%Y-%m-%d"], day=True) if len(text) == 10 else UNREADABLE
        case "timestamp":
            formats = ["%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S"]
            return _first(text, [*formats, "%Y-%m-%d %H:%M:%S", "%Y-%m-%d"])
        case "integer":
            return int(text) if re.fullmatch(r"[+-]?[0-9]+", text) else UNREADABLE
        case "number":
            return float(text) if re.fullmatch(r"-?[0-9.]+(e[0-9]+)?", text) else UNREADABLE
        case "year":
            return _year(text)
        case "code" if rule.values:
            return _code(column, rule, edition, text)
    return text


def _first(text: str, formats: list[str], day: bool = False) -> Any:
    for form in formats:
        try:
            found = datetime.strptime(text, form)
        except ValueError:
            continue
        return found.date() if day else found
    return UNREADABLE


def _year(text: str) -> Any:
    match = re.fullmatch(r"([0-9]{4})(?:[-/]([0-9]{4}|[0-9]{2}))?", text)
    if match is None:
        return UNREADABLE
    if match[2] is None:
        return int(match[1])
    after = str(int(match[1]) + 1)
    return int(after) if match[2] in (after, after[2:]) else UNREADABLE


def _code(column: Column, rule: Rule, edition: Edition, text: str) -> str:
    """A value that is right but for its case is meant; any other stays as it is, for pandera."""
    if column.name == "status" and text.lower() == "inactive":
        return "tobedeleted"
    return next((value for value in rule.values if value.lower() == text.lower()), text)


def readable(
    rows: list[Row], table: Table, edition: Edition, mode: Mode
) -> dict[int, dict[str, Any]]:
    """Typed values by line, of the rows whose every cell can be read and that lack none."""
    rules = rules_of(table, edition)
    demanded = ("required", "delta") if mode == "delta" else ("required",)
    found: dict[int, dict[str, Any]] = {}
    for line, row in enumerate(rows, start=2):
        values: dict[str, Any] = {column.name: None for column in table.columns}
        for column, rule in rules.items():
            if column.header in row and column.stored:
                value = understood(column, rule, edition, row[column.header])
                if value is None and rule.presence in demanded:
                    value = UNREADABLE
                elif column.kind == "id" and value is not None and ":" in value:
                    value = UNREADABLE  # pandera cannot tell it from a key that is derived
                elif _left_out(column, rule, edition, value):
                    value = None
                values[column.name] = value
        if values[table.key] is None:
            parts = [values[name] for name in table.derived_key]
            values[table.key] = ":".join(str(part) for part in parts if part is not None)
        values["status"] = "active" if values["status"] is None else values["status"]
        if UNREADABLE not in values.values():
            found[line] = {column.name: values[column.name] for column in table.stored_columns}
    return found


def _left_out(column: Column, rule: Rule, edition: Edition, value: Any) -> bool:
    """Whether an optional value is dropped, and its row kept."""
    if rule.on_bad != "drop" or value is None:
        return False
    if rule.values:
        extends = column.extensible and edition.name == "oneroster_1_2"
        items = value.split(",") if column.kind == "code_list" else [value]
        return not all(
            item in rule.values or (extends and item.startswith("ext:")) for item in items
        )
    return value is UNREADABLE or (isinstance(value, date) and value.year < 1000)


@cache
def schema_of(table: Table, edition: Edition, mode: Mode) -> pa.DataFrameSchema:
    """Made once for all examples; a key may stand twice, which `expected` tells by itself."""
    return pandera_schema(table, edition, mode).update_column(table.key, unique=False)


def frame_of(column: Column, values: list[Any]) -> pl.Series:
    return pl.Series(column.name, values, dtype=POLARS_TYPES[column.kind], strict=True)


def failing(schema: pa.DataFrameSchema, frame: pl.DataFrame) -> set[int]:
    """Positions of rows that pandera finds fault with."""
    try:
        schema.validate(frame, lazy=True)
    except SchemaErrors as errors:
        assert errors.failure_cases["index"].null_count() == 0, errors.failure_cases
        return set(errors.failure_cases["index"])
    return set()


def expected(rows: list[Row], table: Table, edition: Edition, mode: Mode) -> dict[int, Any]:
    """Accepted rows by line: readable, faultless, and not contradicted by a row of the same key."""
    typed = readable(rows, table, edition, mode)
    frame = pl.DataFrame(
        [frame_of(c, [row[c.name] for row in typed.values()]) for c in table.stored_columns]
    )
    bad = failing(schema_of(table, edition, mode), frame) if typed else set()
    faultless = {line: row for at, (line, row) in enumerate(typed.items()) if at not in bad}
    compared = [column.name for column in table.stored_columns if column.compared]
    versions: dict[str, dict[tuple[Any, ...], int]] = {}
    for line, row in faultless.items():
        same_key = versions.setdefault(row[table.key], {})
        same_key.setdefault(tuple(row[name] for name in compared), line)
    used = {line for found in versions.values() if len(found) == 1 for line in found.values()}
    return {line: row for line, row in faultless.items() if line in used}


@pytest.mark.parametrize(("file", "edition_name", "mode"), FILES)
@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_a_row_is_accepted_if_and_only_if_the_schema_holds_of_it(
    check_file: Any, file: str, edition_name: str, mode: Mode, data: st.DataObject
) -> None:
    table, edition = ONEROSTER.table(file), ONEROSTER.edition(edition_name)
    rows = data.draw(some_rows(table, edition, mode))
    outcome = check_file(as_csv(rows), file, edition_name, mode)
    stored = [column.name for column in table.stored_columns]
    accepted = {line: {name: row[name] for name in stored} for line, row in outcome.rows.items()}
    assert accepted == expected(rows, table, edition, mode)


def test_a_blank_key_is_built_where_the_edition_lets_it_be_blank(check_file: Any) -> None:
    row = {"sourcedId": "", "classSourcedId": "c1", "userSourcedId": "s1", "role": "student"}
    rows = [row, row | {"sourcedId": " ", "role": "teacher"}, row | {"sourcedId": "e1"}]
    outcome = check_file(as_csv(rows), "enrollments", "three_file")
    keys = [found["sourced_id"] for found in outcome.rows.values()]
    assert keys == ["c1:s1:student", "c1:s1:teacher", "e1"]


# ------------------------------------------------------------------ the schema itself


@pytest.mark.parametrize("edition", ONEROSTER.editions, ids=lambda edition: edition.name)
def test_every_table_of_every_edition_has_a_schema(edition: Edition) -> None:
    for name in edition.rules:
        table = ONEROSTER.table(name)
        for mode in ("bulk", "delta"):
            schema = pandera_schema(table, edition, mode)
            assert list(schema.columns) == [column.name for column in table.stored_columns]
            assert "password" not in schema.columns


def users(**values: list[Any]) -> pl.DataFrame:
    table = ONEROSTER.table("users")
    height = len(next(iter(values.values())))
    usual: dict[str, Any] = {
        "sourced_id": [f"u{number}" for number in range(height)],
        "status": ["active"] * height,
        "role": ["student"] * height,
        "given_name": ["Ana"] * height,
        "family_name": ["Soto"] * height,
    }
    found = usual | values
    return pl.DataFrame(
        [frame_of(c, found.get(c.name, [None] * height)) for c in table.stored_columns]
    )


@pytest.mark.parametrize(
    ("values", "bad"),
    [
        ({"sourced_id": ["a", "b", "a"]}, {0, 2}),
        ({"sourced_id": ["a", None, "b c"]}, {1, 2}),
        ({"role": ["student", "Student", None]}, {1, 2}),
        ({"given_name": ["Ana", " Ana", ""]}, {1, 2}),
        ({"status": ["active", "inactive", None]}, {1, 2}),
        ({"org_sourced_ids": ["1,2", "1,,2", None]}, {1}),
        ({"pronouns": [None, "they", None]}, {1}),
    ],
)
def test_the_schema_names_the_rows_at_fault(values: dict[str, list[Any]], bad: set[int]) -> None:
    schema = pandera_schema(ONEROSTER.table("users"), ONEROSTER.edition("three_file"), "bulk")
    assert failing(schema, users(**values)) == bad


def test_dates_and_years_of_another_age_are_at_fault() -> None:
    table = ONEROSTER.table("academic_sessions")
    schema = pandera_schema(table, ONEROSTER.edition("oneroster_1_1"), "bulk")
    good_row = {
        "sourced_id": "t",
        "status": "active",
        "title": "Term",
        "type": "term",
        "start_date": date(2026, 8, 1),
        "end_date": date(2027, 6, 1),
        "school_year": 2027,
    }
    for change in ({}, {"school_year": 27}, {"start_date": date(999, 1, 1)}):
        row = good_row | change
        frame = pl.DataFrame([frame_of(c, [row.get(c.name)]) for c in table.stored_columns])
        assert failing(schema, frame) == ({0} if change else set())
