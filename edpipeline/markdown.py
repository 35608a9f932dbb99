"""Pieces of Markdown, as GitHub reads it."""

import re
from collections.abc import Iterable, Sequence

MADE_BY = "<!-- Made by `python -m edpipeline.dictionary`; do not edit. -->"


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; bars in its cells are escaped."""
    body = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def paragraphs(*parts: str) -> str:
    """Those that are not empty, with a blank line between them."""
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def link(page: str, table: str) -> str:
    """A link to a table of a page of the dictionary."""
    return f"[{table}]({page}.md#{anchor(table)})"


def anchor(heading: str) -> str:
    """What a heading is called in links, as GitHub has it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def first_sentence(text: str) -> str:
    """What stands before the first full stop that ends a sentence."""
    return re.split(r"(?<=[.]) (?=[A-Z])", text)[0]


def names(found: Iterable[str]) -> str:
    """Names as code, separated by commas."""
    return ", ".join(f"`{name}`" for name in found)


def enumerated(words: Sequence[str]) -> str:
    """Words as one lists them: a, b and c."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
