"""Assessment exports that vendors and states wrote: what becomes of each.

The files lie beside the repository, not in it; without them these tests skip. What is expected was
worked out from the files by eye.
"""

import csv
from pathlib import Path

import pytest

from edpipeline import sources
from edpipeline.model import Head
from edpipeline.preview import delivered_files, preview_delivery
from edpipeline_tests.district import FIRST_DAY, SQL, prepared
from edpipeline_tests.prepared import EVERY
from edpipeline_tests.results.uploads import OPTIONS

SAMPLES = Path(__file__).parents[3] / "shared" / "samples" / "assessments"
pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the real files are not here")

FILES = {
    # The last row lacks its last, blank field, and the file its last line end.
    "nwea_map/edfi_bundle/sample_anonymized_file.csv": (
        "nwea_map",
        "nwea_cdf_2020",
        7,
        {"row_padded": 1, "no_final_line_end": 1},
    ),
    "staar/edfi_bundle_summative/sample_anonymized_file.csv": ("staar", "staar_38_2023", 10, {}),
    # Every line is one character short: ids at its end are not believed.
    "staar/edfi_bundle_summative/sample_anonymized_file.txt": (
        "staar",
        "staar_38_2023",
        10,
        {"record_length": 10},
    ),
    "staar/edfi_bundle_interim/sample_anonymized_file.csv": (
        "staar",
        "staar_interim_2023",
        5,
        {},
    ),
    # Columns that math and early literacy alone have are not in it.
    "star/edfi_bundle/SR_sample_anonymized_file.csv": (
        "star",
        "star_v2",
        5,
        {},
    ),
    "star/edfi_bundle/SR_Dashboard_Standards_v2_sample_anonymized_file.csv": (
        "star",
        "star_v2",
        5,
        {},
    ),
    "star/edfi_bundle/SR_SkillArea_v1_sample_anonymized_file.csv": ("star", "star_v2", 5, {}),
}


@pytest.fixture(scope="module")
def nothing(tmp_path_factory):
    """A warehouse without a row; a preview that is given none makes its own each time."""
    return prepared(f"duckdb:///{tmp_path_factory.mktemp('exports') / 'warehouse.duckdb'}", EVERY)


@pytest.mark.parametrize("name", FILES)
def test_a_real_export_is_told_and_every_row_of_it_is_used(nothing, name):
    source, edition, rows, warnings = FILES[name]
    files = delivered_files([SAMPLES / name], ("*",))
    found = preview_delivery(
        files, sources.source(source), OPTIONS, FIRST_DAY, SQL, warehouse=nothing
    )
    (file,) = found.report.files
    assert found.report.edition == edition
    assert (file.read, file.accepted, file.rejected) == (rows, rows, 0)
    assert file.warnings_by_code == warnings


def headers(system: str) -> dict[str, list[str]]:
    """The header lines that were seen in public, by what they were called there."""
    path = SAMPLES / system / "headers" / "observed_headers.csv"
    found: dict[str, list[str]] = {}
    for row in csv.DictReader(path.read_text("utf-8").splitlines()):
        found.setdefault(row["edition"], []).append(row["column_name"])
    return found


HEADERS = {
    ("nwea_map", "cdf_2020plus_143"): "nwea_cdf_2020",
    ("nwea_map", "combined_2020plus_152"): "nwea_combined_2020",
    ("nwea_map", "combined_teacher_154"): "nwea_combined_teacher",
    ("nwea_map", "cdf_2015_2019_128"): "nwea_cdf_2015",
    ("nwea_map", "combined_2015_2019_144_district_extra"): "nwea_combined_2015",
    ("nwea_map", "cdf_pre2015_64"): "nwea_cdf_legacy",
    ("nwea_map", "district_modified_132"): "nwea_cdf_2015",
    ("nwea_map", "district_modified_143"): "nwea_cdf_2020",
    ("act_aspire", "summative_2021_2022_long_162"): "act_aspire_summative_2021",
    ("act_aspire", "summative_2020_long_160"): "act_aspire_summative_2020",
    ("act_aspire", "summative_2019_wide_271"): "act_aspire_summative_2019",
    ("act_aspire", "summative_2018_wide_282_tab"): "act_aspire_summative_2018",
    ("staar", "summative_38_2023_long_121"): "staar_long_2023",
    ("staar", "summative_alt2_2023_long_121"): "staar_long_2023",
    ("staar", "interim_2022_23_85"): "staar_interim_2023",
    ("staar", "eoc_alt2_2022_118"): "staar_eoc_alt2_2022",
    **{
        ("star", f"{product}_{layout}"): f"star_{'v2' if layout == 'v2' else 'v1'}"
        for product in ("sr", "sm", "sel")
        for layout in ("v2", "v1", "historical")
    },
    ("star", "sr_dashboard_standards_v2"): "star_v2",
    ("star", "sr_skillarea_v1"): "star_v2",
}


@pytest.mark.parametrize(("source", "called"), HEADERS)
def test_the_header_of_a_real_export_tells_its_edition(source, called):
    system = {"adam": "lgl_adam"}.get(source, source)
    names = headers(system)[called]
    between = "\t" if called.endswith("_tab") else ","
    plan = sources.source(source).plan({"export.csv": Head(text=between.join(names))}, None, "auto")
    assert plan.edition == HEADERS[source, called], plan.findings
    assert len(plan.files) == 1
