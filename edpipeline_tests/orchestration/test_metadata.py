"""What the UI shows: every asset described, owned and grouped; counts and rates as numbers."""

from dataclasses import replace
from datetime import UTC, date, datetime

import dagster as dg
import pytest

from edpipeline.loading.report import FileReport, MatchRate, SyncReport
from edpipeline.orchestration import metadata
from edpipeline.sources import ALL
from edpipeline_tests.orchestration.installation import Installation, definitions

AT = datetime(2025, 9, 9, tzinfo=UTC)
FILE = FileReport(
    "a.csv", "t", "loaded", "UTF-8", read=9, accepted=6, rejected=3, added=6,
    rejected_by_code={"missing_value": 2, "bad_date": 1},
)  # fmt: skip
REPORT = SyncReport(
    "s1", "north", "nwea_map", date(2025, 9, 9), "d1", "loaded_with_errors", "", AT, AT, "edition",
    (FILE, replace(FILE, rejected_by_code={"bad_date": 3})),
    (MatchRate("state_user_id", True, 4, 3), MatchRate("email", False, 4, 1)),
)  # fmt: skip


@pytest.fixture(scope="module")
def nodes(shared_installation: Installation) -> dict[str, dg.AssetSpec]:
    specs = definitions(shared_installation.settings).resolve_all_asset_specs()
    return {spec.key.to_user_string(): spec for spec in specs}


def described(spec: dg.AssetSpec, column: str) -> str:
    [found] = [c for c in spec.metadata["dagster/column_schema"].columns if c.name == column]
    return str(found.description)


def depends(spec: dg.AssetSpec, column: str) -> list[tuple[str, str]]:
    found = spec.metadata["dagster/column_lineage"].deps_by_column[column]
    return [(dep.asset_key.to_user_string(), dep.column_name) for dep in found]


def test_every_asset_has_a_group_an_owner_kinds_and_a_description(
    nodes: dict[str, dg.AssetSpec],
) -> None:
    of_sources = {each.name for each in ALL} | {"oneroster_optional"}
    assert {spec.group_name for spec in nodes.values()} == of_sources | {"marts"}
    for name, spec in nodes.items():
        assert spec.owners and spec.kinds and spec.description, name
        assert ("landing" in spec.kinds) == name.startswith("landing/"), name
        assert ("table" in spec.kinds) != name.startswith("landing/"), name


@pytest.mark.parametrize(
    ("asset", "column", "words", "dependency"),
    [
        (
            "roster/users",
            "given_name",
            "`givenName`",
            ("landing/oneroster", "users.csv: givenName"),
        ),
        ("assessments/nwea_map", "test_rit_score", "`TestRITScore`", None),
        ("marts/dim_class", "class_title", "`roster.classes.title`", ("roster/classes", "title")),
        (
            "marts/fct_assessment_result",
            "scale_score",
            "columns of `assessments.act_aspire`",
            ("assessments/nwea_map", "test_rit_score"),
        ),
    ],
)
def test_a_column_says_what_it_is_made_of(
    nodes: dict[str, dg.AssetSpec],
    asset: str,
    column: str,
    words: str,
    dependency: tuple[str, str] | None,
) -> None:
    assert words in described(nodes[asset], column)
    assert dependency is None or dependency in depends(nodes[asset], column)


def test_lineage_names_columns_that_assets_have(nodes: dict[str, dg.AssetSpec]) -> None:
    columns = {
        name: {column.name for column in spec.metadata["dagster/column_schema"].columns} | {"*"}
        for name, spec in nodes.items()
        if not name.startswith("landing/")
    }
    for name, spec in nodes.items():
        if not name.startswith("marts/") or "dagster/column_lineage" not in spec.metadata:
            continue
        upstream = {dep.asset_key.to_user_string() for dep in spec.deps}
        for column in spec.metadata["dagster/column_lineage"].deps_by_column:
            assert column in columns[name]
            for asset, made_of in depends(spec, column):
                assert asset in upstream, (name, column, asset)
                assert made_of in columns[asset], (name, column, asset)


def test_a_column_that_no_file_has_is_made_of_none(nodes: dict[str, dg.AssetSpec]) -> None:
    lineage = nodes["assessments/nwea_map"].metadata["dagster/column_lineage"]
    assert {"result_id", "edition", "match_field"}.isdisjoint(lineage.deps_by_column)
    assert "In the file" not in described(nodes["assessments/nwea_map"], "match_field")


def test_a_table_shows_counts_codes_the_match_rate_and_the_command() -> None:
    told = metadata.of_table(FILE, REPORT, 40, "warehouse")
    expected = {"dagster/row_count": 40, "read": 9, "rejected": 3}
    assert {name: told[name] for name in expected} == expected
    assert (told["rejected missing_value"], told["rejected bad_date"]) == (2, 1)
    assert told["match rate"] == dg.MetadataValue.float(0.75)
    assert told["report command"].value == "`edpipeline report d1`"


def test_what_landed_shows_the_rows_of_all_its_files_together() -> None:
    told = metadata.of_report(REPORT)
    assert (told["read"], told["rejected"], told["rejected bad_date"]) == (18, 6, 4)
    assert told["match rate"] == dg.MetadataValue.float(0.75)
    assert "match rate" not in metadata.of_report(replace(REPORT, match_rates=()))
    assert metadata.of_report(replace(REPORT, drop_id=""))["report command"].value.endswith(" s1`")
