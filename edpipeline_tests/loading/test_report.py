"""What people read: the report as Markdown, the history, and the list to fix an export by."""

import csv
import io

import polars as pl
import pytest

from edpipeline.errors import NotFound
from edpipeline.loading import history
from edpipeline.loading.options import LoadOptions
from edpipeline.loading.report import (
    COUNTED,
    LOADED,
    STATUS_WORDS,
    SyncReport,
    escaped,
    findings_csv,
    load_reports,
)
from edpipeline.warehouse.engine import Warehouse
from edpipeline_tests.district import (
    SCHOOLS,
    District,
    counts,
    files,
    rows,
    student,
)


@pytest.fixture(scope="module")
def of_everything(
    warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory
) -> tuple[District, SyncReport]:
    """A district after a second night with something of every kind, and what was reported."""
    district = District(warehouse, tmp_path_factory.mktemp("everything"))
    roster = rows(12)
    district.night(0, files(roster))
    users = list(roster["users"])
    users[3] = users[3] | {"givenName": "Changed"}
    users[4] = users[4] | {"role": "pupil"}
    users[5] = users[5] | {"familyName": "Comma, Jr"}
    users[6] = users[6] | {"familyName": " Blanks "}
    users = [*users[:-1], student(90), student(90)]
    return district, district.night(1, files(roster | {"users": users}))


def listed(district: District, sync_id: str) -> list[dict[str, str]]:
    with district.warehouse.transaction() as session:
        return list(csv.DictReader(io.StringIO(findings_csv(session, sync_id))))


def test_the_report_shows_every_count_of_every_file(of_everything):
    _, report = of_everything
    found = counts(report, "users")
    shown = report.markdown()
    assert shown.startswith("**Completed with errors** - ")
    assert str(report.day) in shown
    assert report.drop_id in shown
    heads, cells = (
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in shown.splitlines()
        if line.startswith(("| file", "| users.csv"))
    )
    row = dict(zip(heads, cells, strict=True))
    assert {name: int(row[name].replace(",", "")) for name in COUNTED} == {
        "read": 15,
        "accepted": 13,
        "rejected": 2,
        "added": 1,
        "changed": 2,
        "unchanged": 9,
        "duplicate": 1,
        "removed": 1,
        "held": 0,
    }
    assert row["layout"] == "UTF-8, CR, unquoted"
    assert row["rejected by code"] == "bad_code 1, row_too_long 1"
    assert row["warnings by code"] == "blanks_removed 1, duplicate_row 1"
    assert found.rejected_by_code == {"bad_code": 1, "row_too_long": 1}


def test_the_list_names_file_line_column_code_and_what_to_do(of_everything):
    district, report = of_everything
    found = listed(district, report.sync_id)
    assert list(found[0]) == ["file", "line", "column", "record", "severity", "code", "message"]
    of_users = [row for row in found if row["file"] == "users.csv"]
    told = [(row["line"], row["column"], row["record"], row["code"]) for row in of_users]
    assert told == [
        ("6", "role", "S003", "bad_code"),
        ("7", "", "S004", "row_too_long"),
        ("8", "family_name", "S005", "blanks_removed"),
        ("16", "sourced_id", "S090", "duplicate_row"),
    ]
    assert {row["severity"] for row in of_users} == {"error", "warning"}
    assert all(row["message"].endswith(".") for row in of_users)
    assert "Allowed:" in of_users[0]["message"]


def test_enrollments_of_a_user_who_was_changed_by_an_error_are_not_listed(of_everything):
    """One root, one line: the rejected users keep their versions, so nothing hangs on them."""
    _, report = of_everything
    assert counts(report, "enrollments").rejected_by_code == {"reference_missing": 1}


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@x", "'@x"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("a=b", "a=b"),
        ("", ""),
        (None, None),
    ],
)
def test_cells_that_a_spreadsheet_would_run_are_made_harmless(cell, shown):
    frame = pl.DataFrame({"a": [cell], "n": [-1]}, schema={"a": pl.String, "n": pl.Int64})
    assert escaped(frame).rows() == [(shown, -1)]
    assert escaped(frame).columns == ["a", "n"]


def test_a_formula_in_a_file_does_not_run_in_the_list(district):
    delivered = files(rows(6))
    formula = b'=cmd|" /C calc"!A1,student\r'
    report = district.night(0, delivered | {"users.csv": delivered["users.csv"] + formula})
    with district.warehouse.transaction() as session:
        text = findings_csv(session, report.sync_id)
    assert "=cmd" in text
    assert not [
        cell for row in csv.reader(io.StringIO(text)) for cell in row if cell[:1] in "=+-@" and cell
    ]


def test_a_header_that_is_made_to_hurt_is_shown_harmless(district):
    names = ["it's $district %s {x}", "a\x00b", "=1+1", "<script>", "x" * 500, "a\u202eb", "|"]
    delivered = files(rows(6))
    lines = delivered["users.csv"].split(b"\r")
    extra = ",".join(names).encode()
    lines = [lines[0] + b"," + extra, *(line + b"," * len(names) for line in lines[1:-1]), b""]
    report = district.night(0, delivered | {"users.csv": b"\r".join(lines)})
    assert report.status == "loaded"
    found = next(f for f in listed(district, report.sync_id) if f["code"] == "extra_columns")
    assert "it's $district %s {x}" in found["message"]
    assert "a?b" in found["message"]
    assert "\x00" not in found["message"]
    assert "\u202e" not in found["message"]
    assert len(found["message"]) < 300


# Statuses.


def test_every_status_has_words():
    assert set(LOADED) < set(STATUS_WORDS)
    for status in ("loaded_with_errors", "removals_held", "awaiting_approval", "refused"):
        assert STATUS_WORDS[status]


def test_a_refused_delivery_says_what_was_refused_and_counts_its_rows(district):
    delivered = files(rows(6))
    delivered["users.csv"] = delivered["users.csv"].replace(b"sourcedId", b"id", 1)
    report = district.night(0, delivered)
    assert (report.status, report.applied) == ("refused", False)
    assert "Missing or refused: users" in report.message
    assert "users.csv lacks columns" in report.message
    assert "sourcedId" in report.message
    assert {f.file_name: (f.status, f.read, f.rejected) for f in report.files} == {
        "users.csv": ("kept", 8, 8),
        "classes.csv": ("kept", 2, 2),
        "enrollments.csv": ("kept", 8, 8),
    }
    assert report.markdown().startswith("**Refused: nothing was changed**")


def test_a_delivery_of_nothing_of_ours_is_refused_without_files(district):
    report = district.night(0, {"grades.csv": b"a,b\r1,2\r"})
    assert (report.status, report.files) == ("refused", ())
    assert "Needed: users.csv" in report.message
    assert [row["code"] for row in listed(district, report.sync_id)] == [
        "not_oneroster",
        "unknown_file",
    ]


def test_the_history_is_newest_first_and_keeps_every_attempt(warehouse, tmp_path):
    district = District(warehouse, tmp_path, LoadOptions(schools=SCHOOLS))
    drop = district.land(0, files(rows(6)))
    district.load(0)
    district.approve(drop, "first_sync")
    district.load(0)
    district.night(1, files(rows(7)))
    with warehouse.transaction() as session:
        found = load_reports(session, "district_id = $district", district=district.district_id)
    assert [(r.day.day, r.status) for r in found] == [
        (2, "loaded"),
        (1, "loaded"),
        (1, "awaiting_approval"),
    ]
    assert all(r.started_at <= r.completed_at for r in found)
    assert [f.table_name for f in found[0].files] == [
        "roster.users",
        "roster.classes",
        "roster.enrollments",
    ]
    assert found[0].edition == "three_file"


def test_a_sync_that_never_was_is_not_found(district):
    with pytest.raises(NotFound), district.warehouse.transaction() as session:
        history.report_of(session, "20260101T000000000000-aaaaaaaaaaaa")


def test_the_list_of_one_district_does_not_show_another(warehouse, tmp_path):
    bad = rows(6)
    bad["users"][3]["role"] = "pupil"
    one, two = District(warehouse, tmp_path), District(warehouse, tmp_path)
    first, second = one.night(0, files(bad)), two.night(0, files(rows(6)))
    assert "bad_code" in {row["code"] for row in listed(one, first.sync_id)}
    assert "bad_code" not in {row["code"] for row in listed(two, second.sync_id)}
