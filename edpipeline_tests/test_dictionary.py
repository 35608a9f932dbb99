"""The written dictionary is what the declarations say, whole, and with a meaning for everything."""

import re
from pathlib import Path

import pytest

from edpipeline.code_list import codes_markdown
from edpipeline.dictionary import dictionary_markdown, dictionary_pages, write_docs
from edpipeline.markdown import anchor
from edpipeline.model import Source
from edpipeline.sources import ALL
from edpipeline.validation.codes import CODES
from edpipeline.warehouse.marts import Mart, marts

ROOT = Path(__file__).parents[1]
SQL = ROOT / "sql"
UPLOADED = [source for source in ALL if source.is_uploaded]
REMEDY = "run `python -m edpipeline.dictionary` and commit docs/"


@pytest.fixture(scope="module")
def dictionary() -> str:
    return dictionary_markdown(ALL, SQL)


def test_the_written_documents_are_what_the_declarations_say(tmp_path: Path) -> None:
    write_docs(tmp_path, ALL, SQL)
    made = {str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.rglob("*.md")}
    assert {"dictionary.md", "codes.md", "cookbook.md", "dictionary/marts.md"} <= set(made)
    kept = {f"dictionary/{path.name}" for path in (ROOT / "docs" / "dictionary").iterdir()}
    assert kept == {name for name in made if "/" in name}, REMEDY
    for name, text in made.items():
        assert (ROOT / "docs" / name).read_text() == text, REMEDY


LINK = re.compile(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)")


def _headings(text: str) -> set[str]:
    return {anchor(line.lstrip("# ")) for line in text.splitlines() if line.startswith("#")}


def test_every_link_of_the_made_documents_leads_somewhere() -> None:
    docs = ROOT / "docs"
    pages = [docs / "dictionary.md", docs / "cookbook.md", *(docs / "dictionary").glob("*.md")]
    count = 0
    for page in pages:
        for place, heading in LINK.findall(page.read_text()):
            target = (page.parent / place).resolve() if place else page
            assert target.exists(), f"{page.name}: {place}"
            assert not heading or heading in _headings(target.read_text()), f"{place}#{heading}"
            count += 1
    assert count > 100


def test_the_dictionary_on_one_page_links_within_itself(dictionary: str) -> None:
    links = re.findall(r"\]\(([^)#]*\.md)?#([^)]+)\)", dictionary)
    assert len(links) > 60
    assert {place for place, _ in links} == {""}
    assert {heading for _, heading in links} <= _headings(dictionary)


def test_the_table_of_contents_names_every_table() -> None:
    index = dictionary_pages(ALL, SQL)["dictionary.md"]
    tables = [table.full_name for source in ALL for table in source.tables]
    for name in [*tables, *(mart.full_name for mart in marts(SQL)), "ops.sync_history"]:
        assert index.count(f"[{name}](") == 1


def test_the_diagram_has_an_arrow_for_all_that_a_mart_reads() -> None:
    index = dictionary_pages(ALL, SQL)["dictionary.md"]
    drawn = set(re.findall(r"^    (\w+) --> (\w+)$", index, re.MULTILINE))
    read = {
        (table.removeprefix("marts.").partition(".")[0], mart.name)
        for mart in marts(SQL)
        for table in mart.depends_on
    }
    assert drawn == read


@pytest.mark.parametrize("mart", marts(SQL), ids=lambda mart: mart.name)
def test_a_mart_says_how_fresh_it_is_and_what_it_does_not_say(dictionary: str, mart: Mart) -> None:
    section = "\n".join(_section(dictionary, f"### {mart.full_name}"))
    assert mart.fresh and f"Fresh: {mart.fresh}" in section
    assert mart.caveats and f"Caveats: {mart.caveats}" in section
    for word in ("Fresh:", "Caveats:", "Key:"):
        assert word not in mart.grain + mart.fresh + mart.caveats


COUNTED = re.compile(
    r"point|percent|share|0 to|1 to|rank|norm|index|number|how many|questions|answers|minutes|weeks"
    r"|seconds|year|level|score|equivalent|lexile|quantile|measure|polls|attempt|failures|status"
    r"|place|items|multiplier|growth|theta|scale|reports|deviation|often|unit|grade|error|words",
    re.IGNORECASE,
)
"""What a description of a number says that it counts, or is measured in."""


def test_every_number_of_a_source_says_what_it_counts() -> None:
    for source in ALL:
        for table in source.tables:
            for column in table.stored_columns:
                if column.sql_type in ("double precision", "bigint", "integer"):
                    assert COUNTED.search(column.description), f"{table.full_name}.{column.name}"


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


def _section(dictionary: str, heading: str) -> list[str]:
    return dictionary.partition(f"\n{heading}\n")[2].partition("\n#")[0].splitlines()


@pytest.mark.parametrize("source", UPLOADED, ids=lambda source: source.name)
def test_a_source_that_is_uploaded_lists_its_editions(dictionary: str, source: Source) -> None:
    lines = _section(dictionary, f"## assessments: {source.title}")
    for edition in source.editions:
        (line,) = [line for line in lines if line.startswith(f"| `{edition.name}` |")]
        assert f"| {edition.label} |" in line
        assert line.count("(assumed layout)") == edition.assumed


@pytest.mark.parametrize(
    ("table", "column", "header"),
    [
        ("nwea_map", "term_name", "`TermName`"),
        ("nwea_map", "student_last_name", "`StudentLastName` (nwea_combined_2020)"),
        ("nwea_map", "student_id", "`StudentID`, `Student_Number`"),
        ("nwea_map", "result_id", "-"),
        ("staar", "administration_code", "`administration_date`"),
    ],
)
def test_a_column_of_results_shows_its_newest_header(
    dictionary: str, table: str, column: str, header: str
) -> None:
    lines = _section(dictionary, f"### assessments.{table}")
    (line,) = [line for line in lines if line.startswith(f"| `{column}` |")]
    assert line.split(" | ")[2] == header


def test_every_column_of_results_that_no_file_has_is_computed(dictionary: str) -> None:
    for source in UPLOADED:
        for table in source.tables:
            lines = _section(dictionary, f"### {table.full_name}")
            bare = {line.split("`")[1] for line in lines if " | - | " in line}
            assert bare == {column.name for column in table.columns if column.computed}


def test_every_code_is_listed_once_with_its_remedy() -> None:
    text = codes_markdown()
    for code in CODES.values():
        row = f"| `{code.name}` | {code.severity} | {code.meaning} | {code.remedy} |"
        assert text.count(row) == 1
