"""The list of codes that reports show, as Markdown."""

from collections.abc import Mapping

from edpipeline.markdown import MADE_BY, grid
from edpipeline.validation.codes import CODES, Level

LEVELS: Mapping[Level, str] = {
    "row": "An error rejects the row; a warning keeps it.",
    "file": "An error refuses the file, and its table stays as it was; a warning keeps it.",
    "delivery": "An error refuses the whole delivery; a warning keeps it.",
}


def codes_markdown() -> str:
    """Every code that a report can show, by what it is about."""
    parts = [
        "# Codes",
        MADE_BY,
        "Every finding of a sync report bears one of these codes. They are stable: a code is never"
        " given another meaning, so districts may filter on them.",
    ]
    for level, text in LEVELS.items():
        known = sorted(
            (code for code in CODES.values() if code.level == level),
            key=lambda code: (code.severity, code.name),
        )
        rows = ((f"`{c.name}`", c.severity, c.meaning, c.remedy) for c in known)
        table = grid(("code", "severity", "what was found", "what to do"), rows)
        parts += [f"## About a {level}", text, table]
    return "\n\n".join(parts) + "\n"
