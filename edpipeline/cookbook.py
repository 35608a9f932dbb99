"""The cookbook: questions that districts ask, each with a query that answers it on both databases.

A question is one file of sql/cookbook; docs/cookbook.md is made of them.
"""

from dataclasses import dataclass
from pathlib import Path

from edpipeline.errors import BadConfiguration
from edpipeline.markdown import MADE_BY, anchor, paragraphs

READ = "How to read it: "
CAVEATS = "Caveats: "

INTRODUCTION = """\
Questions that districts ask, each with a query that answers it. It runs word for word on DuckDB, on
PostgreSQL and, where it reads marts alone, on `analyst.duckdb`. What is asked for stands in its
first lines, in `asked`: put your district, school year and so on there; the values here are those
of the sandbox. What the columns mean stands in the [data dictionary](dictionary.md).

Who sees the de-identified views alone asks those: with `analyst.` for `marts.`, and `student_key`
and `user_key` for `student_id` and `user_id`, every question to marts that names nobody has the
same answer there.
"""


@dataclass(frozen=True)
class Question:
    """A question, and the query that answers it."""

    name: str
    """The file's name."""
    title: str
    """The question itself."""
    reading: str
    """How to read the answer."""
    caveats: str
    """What it does not say."""
    sql: str
    """One SELECT; what to ask for stands as literals in its first common table, `asked`."""


def questions(sql_folder: Path) -> list[Question]:
    """Every question of the folder's `cookbook`, by name.

    Raises `BadConfiguration` where a file is not as sql/README.md wants it.
    """
    return [_question(path) for path in sorted((sql_folder / "cookbook").glob("*.sql"))]


def cookbook_markdown(sql_folder: Path) -> str:
    """Every question of the cookbook, with the query that answers it."""
    found = questions(sql_folder)
    listed = "\n".join(f"- [{each.title}](#{anchor(each.title)})" for each in found)
    return paragraphs(
        "# Cookbook", MADE_BY, INTRODUCTION, listed, *(_answered(each) for each in found)
    )


def _answered(question: Question) -> str:
    return paragraphs(
        f"## {question.title}",
        f"**How to read it.** {question.reading}",
        f"**Caveats.** {question.caveats}",
        f"[`sql/cookbook/{question.name}.sql`](../sql/cookbook/{question.name}.sql)",
        f"```sql\n{question.sql}\n```",
    ).strip()


def _question(path: Path) -> Question:
    lines = path.read_text("utf-8").splitlines()
    end = next((at for at, line in enumerate(lines) if not line.startswith("--")), len(lines))
    text = "\n".join(line[2:].strip() for line in lines[:end])
    parts = [" ".join(part.splitlines()) for part in text.split("\n\n")]
    sql = "\n".join(lines[end:]).strip().rstrip(";")
    if (
        len(parts) != 3
        or not parts[0].endswith("?")
        or not parts[1].startswith(READ)
        or not parts[2].startswith(CAVEATS)
        or not sql.startswith("with asked as (")
    ):
        raise BadConfiguration(
            f"{path.name}: a cookbook query opens with its question, an empty comment line,"
            f" `-- {READ}...`, an empty comment line and `-- {CAVEATS}...`, and begins `with asked"
            " as (select ...)`"
        )
    reading, caveats = parts[1].removeprefix(READ), parts[2].removeprefix(CAVEATS)
    return Question(path.stem, parts[0], _sentence(reading), _sentence(caveats), sql)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
