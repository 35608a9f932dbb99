"""Roster files that real programs wrote: what a careful reader decides of each, and we too.

The files lie beside the repository, not in it (their licences differ); without them these tests
skip. `EXPECTED` was worked out from the files by eye, before they were run.
"""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edpipeline.loading.options import LoadOptions
from edpipeline.preview import delivered_files, preview_delivery
from edpipeline_tests.district import (
    FIRST_DAY,
    ONEROSTER,
    SQL,
    District,
    assert_adds_up,
    prepared,
    prepared_postgres,
)

SAMPLES = Path(__file__).parents[3] / "shared" / "samples" / "oneroster"

MOODLE = "catalyst+moodle-enrol_oneroster"
ROSTER_HUB = "lepo-project+roster-hub"
MICROSOFT = "OfficeDev+O365-EDU-Tools"
GENERATOR = "GospelNerd+OneRoster-Generator/school_small_seed-lab-2"


@dataclass(frozen=True)
class Expected:
    """One set: how it is understood, and for each file rows read, accepted, and codes."""

    edition: str
    status: str
    files: dict[str, tuple[int, int, dict[str, int]]]
    """Rows read, rows accepted, codes of rejected rows and warnings together."""
    delivery: tuple[str, ...] = ()
    """Codes about the delivery as a whole, sorted."""
    also: tuple[str, ...] = field(default=())
    """Other wrappings of the same files."""


UNUSED = "first_delivery_unusable"

EXPECTED: dict[str, Expected] = {
    # A complete bulk package with stamps; school years as ranges.
    GENERATOR: Expected(
        "oneroster_1_1",
        "loaded",
        {
            "orgs": (1, 1, {"stamped_in_bulk": 1}),
            "academicSessions": (2, 2, {"stamped_in_bulk": 1, "year_range": 2}),
            "courses": (42, 42, {"stamped_in_bulk": 1}),
            "users": (79, 79, {"stamped_in_bulk": 1}),
            "classes": (42, 42, {"stamped_in_bulk": 1}),
            "enrollments": (546, 546, {"stamped_in_bulk": 1}),
            "demographics": (72, 72, {"stamped_in_bulk": 1}),
        },
    ),
    # Bulk with stamps, TRUE, Scheduled, inactive; parents that are not there; no courses.csv.
    f"{MOODLE}/Test_full_data_set": Expected(
        "oneroster_1_1",
        "loaded",
        {
            "orgs": (1, 1, {"no_final_line_end": 1, "reference_unknown": 1, "stamped_in_bulk": 1}),
            "academicSessions": (
                5,
                5,
                {
                    "no_final_line_end": 1,
                    "reference_unknown": 2,
                    "stamped_in_bulk": 1,
                    "status_inactive": 1,
                },
            ),
            "users": (6, 6, {"code_case": 6, "stamped_in_bulk": 1}),
            "classes": (
                2,
                2,
                {
                    "code_case": 1,
                    "list_not_equal": 1,
                    "no_final_line_end": 1,
                    "stamped_in_bulk": 1,
                    "unchecked_reference": 1,
                },
            ),
            "enrollments": (6, 6, {"no_final_line_end": 1, "stamped_in_bulk": 1}),
        },
        also=(f"{MOODLE}/Test_full_data_set.zip",),
    ),
    f"{MOODLE}/Test_minimal_data_set": Expected(
        "oneroster_1_1",
        "loaded",
        {
            "orgs": (1, 1, {"no_final_line_end": 1}),
            "academicSessions": (5, 5, {"no_final_line_end": 1}),
            "users": (6, 6, {"code_case": 6}),
            "classes": (
                2,
                2,
                {"code_case": 1, "no_final_line_end": 1, "unchecked_reference": 1},
            ),
            "enrollments": (6, 6, {"no_final_line_end": 1}),
        },
        also=(f"{MOODLE}/Test_minimal_data_set.zip",),
    ),
    # Every row of roles.csv is two values shorter than its header, userprofiles.csv is a copy of
    # it: nobody would have a role, so nothing of a first delivery is used.
    f"{MOODLE}/v1p2_full_dataset": Expected(
        "oneroster_1_2",
        "refused",
        {
            "orgs": (1, 0, {UNUSED: 1, "no_final_line_end": 1, "stamped_in_bulk": 1}),
            "academicSessions": (
                5,
                0,
                {UNUSED: 5, "no_final_line_end": 1, "stamped_in_bulk": 1, "status_inactive": 1},
            ),
            "users": (
                6,
                0,
                {
                    UNUSED: 6,
                    "code_case": 6,
                    "extra_columns": 1,
                    "optional_columns_missing": 1,
                    "stamped_in_bulk": 1,
                    "value_dropped": 5,
                },
            ),
            "userprofiles": (7, 0, {"missing_columns": 7}),
            "roles": (
                7,
                0,
                {"row_too_short": 7, "extra_columns": 1, "optional_columns_missing": 1},
            ),
            "classes": (
                2,
                0,
                {
                    UNUSED: 2,
                    "code_case": 1,
                    "list_not_equal": 1,
                    "no_final_line_end": 1,
                    "stamped_in_bulk": 1,
                },
            ),
            "enrollments": (6, 0, {UNUSED: 6, "no_final_line_end": 1, "stamped_in_bulk": 1}),
        },
        ("file_name_case", UNUSED, "manifest_wrong"),
        also=(f"{MOODLE}/v1p2_full_dataset.zip",),
    ),
    # A delta that comes first.
    f"{MOODLE}/oneroster_test_data": Expected(
        "oneroster_1_2",
        "loaded",
        {
            "orgs": (1, 1, {}),
            "academicSessions": (1, 1, {}),
            "courses": (1, 1, {}),
            "users": (1, 1, {"code_case": 1, "optional_columns_missing": 1}),
            "userProfiles": (1, 1, {}),
            "roles": (1, 1, {}),
            "classes": (1, 1, {}),
            "enrollments": (1, 1, {}),
            "demographics": (1, 1, {}),
        },
        also=(f"{MOODLE}/oneroster_test_data.zip",),
    ),
    # All quoted, LF; `fiel.demographics` in the manifest; two columns of its own.
    **{
        f"{ROSTER_HUB}/{language}": Expected(
            "oneroster_1_1",
            "loaded",
            {
                "orgs": (1, 1, {}),
                "academicSessions": (4, 4, {}),
                "courses": (2, 2, {}),
                "users": (20, 20, {"extra_columns": 1}),
                "classes": (5, 5, {}),
                "enrollments": (30, 30, {}),
            },
            ("manifest_wrong",),
            also=(f"{ROSTER_HUB}/{language}/oneroster.zip",),
        )
        for language in ("en", "ja")
    },
    # Shift_JIS, dates as 2017/4/1, a manifest without header.
    f"{ROSTER_HUB}/public_csv_862efeb": Expected(
        "oneroster_1_1",
        "refused",
        {
            "orgs": (1, 0, {UNUSED: 1, "optional_columns_missing": 1}),
            "academicSessions": (4, 0, {"bad_date": 4, "optional_columns_missing": 1}),
            "courses": (0, 0, {}),
            "users": (0, 0, {}),
            "classes": (0, 0, {}),
            "enrollments": (7, 0, {UNUSED: 7, "optional_columns_missing": 1}),
        },
        (UNUSED, "manifest_wrong", "manifest_wrong", "manifest_wrong"),
    ),
    # Microsoft's dialect: no manifest, few columns in another order, roles of its own; colleges
    # are no kind of organisation that OneRoster knows, which costs nobody's row.
    f"{MICROSOFT}/SDS_v2": Expected(
        "three_file",
        "loaded_with_errors",
        {
            "orgs": (5, 5, {"optional_columns_missing": 1, "value_dropped": 3}),
            "users": (
                29,
                25,
                {
                    "bad_code": 4,
                    "code_case": 22,
                    "optional_columns_missing": 1,
                    "renamed_columns": 1,
                },
            ),
            "classes": (4, 4, {"optional_columns_missing": 1, "renamed_columns": 1}),
            "enrollments": (
                29,
                24,
                {"bad_code": 5, "code_case": 24, "optional_columns_missing": 1},
            ),
        },
    ),
    # Its later dialect lacks what OneRoster 1.2 cannot be without.
    f"{MICROSOFT}/SDS_v2.1": Expected(
        "oneroster_1_2",
        "refused",
        {
            "orgs": (4, 0, {"bad_code": 2, UNUSED: 2, "optional_columns_missing": 1}),
            "academicSessions": (2, 0, {UNUSED: 2, "optional_columns_missing": 1}),
            "courses": (
                3,
                0,
                {
                    UNUSED: 3,
                    "extra_columns": 1,
                    "optional_columns_missing": 1,
                    "renamed_columns": 1,
                },
            ),
            "users": (
                8,
                0,
                {"missing_columns": 8, "extra_columns": 1, "optional_columns_missing": 1},
            ),
            "roles": (
                7,
                0,
                {"missing_columns": 7, "extra_columns": 1, "optional_columns_missing": 1},
            ),
            "classes": (
                2,
                0,
                {
                    "missing_columns": 2,
                    "extra_columns": 1,
                    "optional_columns_missing": 1,
                    "renamed_columns": 1,
                },
            ),
            "enrollments": (6, 0, {"missing_columns": 6, "optional_columns_missing": 1}),
            "demographics": (
                6,
                0,
                {
                    UNUSED: 6,
                    "extra_columns": 1,
                    "optional_columns_missing": 1,
                    "renamed_columns": 1,
                },
            ),
        },
        (UNUSED, "unknown_file", "unknown_file"),
    ),
    # Its first dialect is no OneRoster at all.
    f"{MICROSOFT}/SDS_Format_100": Expected(
        "oneroster_1_1", "refused", {}, ("not_oneroster", *["unknown_file"] * 6)
    ),
}

WRAPPED = [(name, wrapping) for name, e in EXPECTED.items() for wrapping in (name, *e.also)]


def sample(name: str) -> dict[str, Path]:
    path = SAMPLES / name
    if not path.exists():
        pytest.skip("the samples are not beside this repository")
    return delivered_files([path], ONEROSTER.arrives.patterns)


def as_table(files) -> dict[str, tuple[int, int, dict[str, int]]]:
    for file in files:
        assert_adds_up(file)
    return {
        file.file_name.removesuffix(".csv"): (
            file.read,
            file.accepted,
            dict(file.rejected_by_code) | dict(file.warnings_by_code),
        )
        for file in files
    }


def names_of_people(delivered: dict[str, Path]) -> set[str]:
    """What stands in users.csv of people: e-mail addresses and names to sign in with."""
    path = delivered.get("users.csv")
    lines = path.read_text("latin-1").splitlines()[1:] if path else []
    words = {word.strip('"') for line in lines for word in line.split(",")}
    return {word for word in words if "@" in word or ("." in word and word[0].isalpha())}


def test_every_sample_is_expected():
    if not SAMPLES.exists():
        pytest.skip("the samples are not beside this repository")
    sets = {path for path in SAMPLES.glob("*/*") if path.is_dir()}
    sets |= set(SAMPLES.rglob("*.zip"))
    assert {str(path.relative_to(SAMPLES)) for path in sets} == {
        wrapping for _, wrapping in WRAPPED
    }


@pytest.fixture(scope="module")
def on_duckdb(tmp_path_factory):
    return prepared(f"duckdb:///{tmp_path_factory.mktemp('real') / 'warehouse.duckdb'}")


@pytest.fixture(scope="module", params=["duckdb", "postgres"])
def warehouse(request):
    if request.param == "duckdb":
        return request.getfixturevalue("on_duckdb")
    return prepared_postgres(request.getfixturevalue("postgres_url"))


@pytest.mark.parametrize(("name", "wrapping"), WRAPPED)
def test_a_preview_decides_as_a_careful_reader_would(on_duckdb, tmp_path, name, wrapping):
    """Beside districts that have rows; it has none of its own."""
    expected = EXPECTED[name]
    delivered = sample(wrapping)
    found = preview_delivery(
        delivered,
        ONEROSTER,
        LoadOptions(),
        FIRST_DAY,
        SQL,
        warehouse=on_duckdb,
        scratch=tmp_path,
    )
    assert found.report.edition == expected.edition
    refused = expected.status == "refused"
    assert found.report.status == ("refused" if refused else "awaiting_approval")
    assert found.usable != refused
    assert as_table(found.report.files) == expected.files
    about_all = found.findings.filter(found.findings["file"].is_null())
    assert sorted(about_all["code"]) == sorted(expected.delivery)


ON_BOTH = (GENERATOR, f"{MOODLE}/oneroster_test_data", f"{MICROSOFT}/SDS_v2")
"""A set of each edition; what is read is the same for both databases."""


@pytest.mark.parametrize(
    ("warehouse", "name"),
    [("duckdb", name) for name in EXPECTED] + [("postgres", name) for name in ON_BOTH],
    indirect=["warehouse"],
)
def test_a_load_with_approval_does_what_the_preview_said(warehouse, tmp_path, name):
    expected = EXPECTED[name]
    delivered = sample(name)
    district = District(warehouse, tmp_path, LoadOptions())
    drop = district.land(0, {n: path.read_bytes() for n, path in delivered.items()})
    district.approve(drop, "first_sync")
    report = district.load(0)
    assert as_table(report.files) == expected.files
    assert (report.edition, report.status) == (expected.edition, expected.status)
    loaded = {ONEROSTER.table(t).file: len(rows) for t, rows in district.state().items()}
    accepted = {f"{f}.csv": count for f, (_, count, _) in expected.files.items() if count}
    assert loaded == accepted
    messages = " ".join(
        row[0]
        for row in district.select(
            "select message from ops.rejected_rows where district_id = $district"
        )
    )
    told = messages + report.markdown()
    assert not {word for word in names_of_people(delivered) if word in told}


def test_nothing_is_loaded_before_it_is_approved(on_duckdb, tmp_path):
    district = District(on_duckdb, tmp_path, LoadOptions())
    delivered = sample(GENERATOR)
    district.land(0, {n: path.read_bytes() for n, path in delivered.items()})
    report = district.load(0)
    assert report.status == "awaiting_approval"
    assert as_table(report.files) == EXPECTED[GENERATOR].files
    assert district.state() == {}
