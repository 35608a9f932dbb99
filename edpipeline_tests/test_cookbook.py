"""Every question of the cookbook can be read by a person, and asked with other values.

That it has the same answer on both databases is held by warehouse/test_same_answers.py.
"""

import re
from pathlib import Path

import pytest

from edpipeline.cookbook import Question, cookbook_markdown, questions
from edpipeline.errors import BadConfiguration
from edpipeline.warehouse.marts import marts
from edpipeline.warehouse.narrowing import tables_read

SQL = Path(__file__).parents[1] / "sql"
QUESTIONS = questions(SQL)
MARTS = {mart.full_name: mart for mart in marts(SQL)}
GOOD = """\
-- How many?
--
-- How to read it: one row,
-- and one only.
--
-- Caveats: none.
with asked as (
    select 'demo' as district_id
)
select district_id from asked
"""


def test_the_cookbook_has_ten_questions_and_more() -> None:
    text = cookbook_markdown(SQL)
    assert len(QUESTIONS) >= 10
    for question in QUESTIONS:
        assert text.count(f"\n## {question.title}\n") == 1
        assert question.sql in text


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_what_is_asked_for_stands_in_its_first_lines_alone(question: Question) -> None:
    asked, _, rest = question.sql.partition("\n)")
    assert re.match(r"with asked as \(\n    select 'quillmere' as district_id", asked)
    assert "quillmere" not in rest
    assert "date '" not in rest
    assert not re.search(r"\b20\d\d\b", rest)
    for name in re.findall(r" as (\w+)", asked)[1:]:
        assert re.search(rf"\b\w\.{name}\b", rest), f"{name} is asked for and not used"


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_a_question_that_names_people_says_so(question: Question) -> None:
    tables = tables_read(question.sql, question.name)
    columns = {column for table in tables if table in MARTS for column in MARTS[table].columns}
    shown = question.sql.rpartition("\nselect\n")[2].partition("\nfrom ")[0]
    if {"family_name", "given_name"} & columns and ("s.family_name" in shown):
        assert re.search(r"[Nn]ames students|personal", question.caveats)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_an_answer_has_an_order(question: Question) -> None:
    assert re.search(r"\norder by .+$", question.sql)


def test_a_question_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "cookbook").mkdir()
    (tmp_path / "cookbook" / "how_many.sql").write_text(GOOD)
    assert questions(tmp_path) == [
        Question(
            "how_many",
            "How many?",
            "One row, and one only.",
            "None.",
            GOOD.partition("none.\n")[2].strip(),
        )
    ]


@pytest.mark.parametrize(
    ("word", "other"),
    [
        ("How many?", "How many."),
        ("How to read it: ", ""),
        ("Caveats: ", ""),
        ("with asked as (", "with wanted as ("),
    ],
)
def test_a_file_that_is_not_as_it_should_be_is_told_of(
    tmp_path: Path, word: str, other: str
) -> None:
    (tmp_path / "cookbook").mkdir()
    (tmp_path / "cookbook" / "how_many.sql").write_text(GOOD.replace(word, other))
    with pytest.raises(BadConfiguration, match=r"how_many\.sql: a cookbook query opens with"):
        questions(tmp_path)
