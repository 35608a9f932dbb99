"""Every edition of every source: its sample is told, loaded whole, and means what it should."""

import json
from functools import cache

import pytest

from edpipeline import sources
from edpipeline_tests.results.uploads import (
    SAMPLES,
    Uploads,
    expected,
    fixed_width,
    results_of,
    same,
    sample,
    table_of,
    wide_csv,
    zipped,
)

UPLOADED = [source for source in sources.ALL if source.is_uploaded]
EDITIONS = [
    pytest.param(source.name, edition, id=edition.name)
    for source in UPLOADED
    for edition in source.editions
]
FIXED = [
    pytest.param(source.name, edition, id=edition.name)
    for source in UPLOADED
    for edition in source.editions
    if edition.record_length
]


def sample_of(source, edition):
    """Name and content of the edition's sample, as its vendor would deliver it."""
    for ending in ("csv", "tsv"):
        path = SAMPLES / source / f"{edition.name}.{ending}"
        if path.exists() and not edition.record_length:
            return path.name, path.read_bytes()
    table = next(iter(edition.headers))
    records = table_of((SAMPLES / source / f"{edition.name}.csv").read_text("utf-8"))
    return f"{edition.name}.csv", wide_csv(edition, table, records)


def assert_facts(found, wanted):
    """Each row that was worked out by hand is there, with all its values."""
    by_key = {(row["line"], row["objective_code"], row["subject"] or ""): row for row in found}
    assert wanted
    for row in wanted:
        key = (int(row["line"]), row["objective_code"], row["subject"])
        assert key in by_key, (key, sorted(by_key))
        there = by_key[key]
        for name, value in row.items():
            if name == "other_scores":
                assert json.loads(there[name] or "{}") == json.loads(value or "{}"), key
            else:
                assert same(there[name], value), (key, name, there[name], value)


def fixed_width_of(source, edition):
    """The edition's sample as lines of fixed width."""
    records = table_of(sample(source, f"{edition.name}.csv").decode())
    return "results.txt", fixed_width(edition, next(iter(edition.headers)), records)


@pytest.fixture(scope="module")
def uploaded(warehouse, tmp_path_factory):
    """Report and results of the editions of a source, each uploaded by a district of its own."""
    folder = tmp_path_factory.mktemp("samples")

    @cache
    def of_source(source, file_of):
        parts = (each.values for each in (EDITIONS if file_of is sample_of else FIXED))
        editions = [edition for name, edition in parts if name == source]
        districts = [Uploads(warehouse, folder, sources.source(source)) for _ in editions]
        reports = []
        for edition, district in zip(editions, districts, strict=True):
            name, content = file_of(source, edition)
            reports.append(district.upload(content, name, edition="auto"))
        found = zip(reports, results_of(*districts), strict=True)
        return dict(zip(editions, found, strict=True))

    return of_source


@pytest.mark.parametrize(("source", "edition"), EDITIONS)
def test_the_sample_of_an_edition_is_told_and_loaded_whole(uploaded, source, edition):
    report, found = uploaded(source, sample_of)[edition]
    assert report.edition == edition.name, report.message
    assert report.status == "loaded", report.message
    assert sum(file.read for file in report.files) > 1
    assert sum(file.rejected for file in report.files) == 0
    assert_facts(found, expected(source, edition.name))


@pytest.mark.parametrize("warehouse", ["duckdb"], indirect=True)
@pytest.mark.parametrize(("source", "edition"), FIXED)
def test_fixed_width_and_the_csv_of_a_layout_come_to_the_same(uploaded, source, edition):
    report, found = uploaded(source, fixed_width_of)[edition]
    wanted = [row | {"line": str(int(row["line"]) - 1)} for row in expected(source, edition.name)]
    assert report.edition == edition.name, report.message
    assert report.status == "loaded", report.message
    records = table_of(sample(source, f"{edition.name}.csv").decode())
    assert report.files[0].read == len(records)
    assert_facts(found, wanted)


def test_the_files_of_a_zip_are_taken_together(uploads):
    district = uploads("nwea_map")
    folder = SAMPLES / "nwea_map" / "variants" / "cdf_zip"
    content = zipped({path.name: path.read_bytes() for path in sorted(folder.iterdir())})
    report = district.upload(content, "export.zip")
    assert report.status == "loaded", report.message
    assert {file.table_name for file in report.files} == {
        "assessments.nwea_map",
        "assessments.nwea_map_students",
    }
    assert_facts(district.results(), expected("nwea_map", "cdf_zip"))


def test_every_edition_has_a_sample_and_facts_worked_out_by_hand():
    for source in UPLOADED:
        for edition in source.editions:
            assert sample_of(source.name, edition)
            assert expected(source.name, edition.name)
