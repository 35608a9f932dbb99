"""The codes are a contract: documented once, stable, all of them used and tested."""

import re
from pathlib import Path

import pytest

import edpipeline
from edpipeline.validation.codes import CODES

TESTS = Path(__file__).parents[1]
PACKAGE = Path(edpipeline.__file__).parent
THIS = Path(__file__).resolve()

STABLE = {
    *("row_too_short", "row_too_long", "bad_quoting", "control_character", "row_cut_off"),
    *("missing_value", "bad_id", "bad_list", "bad_code", "bad_date", "bad_boolean"),
    *("bad_number", "bad_year", "bad_timestamp", "missing_in_delta", "duplicate_conflict"),
    *("reference_missing", "reference_lost_zeros", "duplicate_row", "value_dropped"),
    *("code_case", "blanks_removed", "status_inactive", "year_range", "dates_reversed"),
    *("list_not_equal", "reference_unknown", "stamped_in_bulk", "damaged_text", "empty_file"),
    *("no_rows", "not_text", "bad_encoding", "mixed_line_ends", "no_header"),
    *("missing_columns", "repeated_columns", "truncated", "no_usable_rows", "missing_file"),
    *("extra_columns", "renamed_columns", "optional_columns_missing", "fallback_encoding"),
    *("no_final_line_end", "unchecked_reference", "file_name_case", "ids_replaced"),
    *("manifest_wrong", "unknown_file", "not_oneroster", "unsafe_archive", "unknown_version"),
    *("first_delivery_unusable", "file_twice"),
}
"""Districts filter on these: none may go, or come to mean another thing."""

NOT_MET_IN_A_TEST = {
    "bad_time": "the only time of day is that of MAP, and a bad one is left out, not rejected",
}


def _source(folder: Path) -> str:
    files = [path for path in folder.rglob("*.py") if path.resolve() != THIS]
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


def test_codes_that_districts_know_are_still_there():
    assert set(CODES) >= STABLE


@pytest.mark.parametrize("name", CODES)
def test_a_code_says_what_happened_and_what_to_do(name):
    code = CODES[name]
    assert code.name == name
    assert re.fullmatch(r"[a-z][a-z_]+", name)
    for text in (code.meaning, code.remedy):
        assert text.endswith(".")
        assert text[0].isupper() or text.startswith(("manifest.csv", "status"))
        assert len(text) < 120


def test_meanings_are_told_apart():
    assert len({code.meaning for code in CODES.values()}) == len(CODES)


def test_every_code_is_used_by_the_product():
    source = _source(PACKAGE).replace((PACKAGE / "validation" / "codes.py").read_text("utf-8"), "")
    assert [name for name in CODES if f'"{name}"' not in source] == []


def test_every_code_is_met_in_a_test():
    source = _source(TESTS)
    unmet = [name for name in CODES if f'"{name}"' not in source]
    assert unmet == list(NOT_MET_IN_A_TEST)
