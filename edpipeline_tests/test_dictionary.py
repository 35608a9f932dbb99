"""The written dictionary is what the declarations say, whole, and with a meaning for everything."""

from pathlib import Path

import pytest

from edpipeline.dictionary import codes_markdown, dictionary_markdown, write_docs
from edpipeline.sources import ALL
from edpipeline.validation.codes import CODES
from edpipeline.warehouse.marts import marts

ROOT = Path(__file__).parents[1]
SQL = ROOT / "sql"
REMEDY = "run `python -m edpipeline.dictionary` and commit docs/"


@pytest.fixture(scope="module")
def dictionary() -> str:
    return dictionary_markdown(ALL, SQL)


def test_the_written_documents_are_what_the_declarations_say(tmp_path: Path) -> None:
    write_docs(tmp_path, ALL, SQL)
    for name in ("dictionary.md", "codes.md"):
        assert (ROOT / "docs" / name).read_text() == (tmp_path / name).read_text(), REMEDY


def test_every_table_and_column_is_in_the_dictionary(dictionary: str) -> None:
    tables = {table.full_name: table for source in ALL for table in source.tables}
    found = {mart.full_name: mart for mart in marts(SQL)}
    sections = dict(
        part.partition("\n")[::2] for part in dictionary.replace("\n## ", "\n### ").split("\n### ")
    )
    for name, table in tables.items():
        for column in table.columns:
            assert f"| `{column.name}` |" in sections[name]
    for name, mart in found.items():
        for column_name in mart.columns:
            assert f"| `{column_name}` |" in sections[name]
    assert {"ops.sync_history", "ops.rejected_rows", "ops.held_changes"} <= set(sections)


def test_everything_has_a_meaning_and_grids_are_whole(dictionary: str) -> None:
    for line in dictionary.splitlines():
        if line.startswith("|"):
            assert not line.endswith("|  |"), f"nothing is said of it (comment on column): {line}"
    width = None
    for line in (dictionary + codes_markdown()).splitlines():
        cells = line.replace("\\|", "").count("|") if line.startswith("|") else None
        assert width is None or cells is None or cells == width, line
        width = cells


def test_what_is_never_stored_says_so(dictionary: str) -> None:
    secrets = [line for line in dictionary.splitlines() if line.startswith("| `password` |")]
    assert secrets
    assert all("not stored" in line and "**secret**" in line for line in secrets)


def test_a_required_header_is_told_apart_by_edition(dictionary: str) -> None:
    (line,) = [
        line
        for line in dictionary.partition("### roster.users")[2].splitlines()
        if line.startswith("| `org_sourced_ids`")
    ]
    assert line.split(" | ")[3:6] == ["required", "-", "optional"]


def test_every_code_is_listed_once_with_its_remedy() -> None:
    text = codes_markdown()
    for code in CODES.values():
        row = f"| `{code.name}` | {code.severity} | {code.meaning} | {code.remedy} |"
        assert text.count(row) == 1
