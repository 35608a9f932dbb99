"""The watch list: pairs of student and lesson that the district itself keeps, in a CSV.

    student_id,lesson_id,skip_enrollment
    7f3a,cr-2201,yes

`skip_enrollment` may be left out or blank: then nobody knows whether the assignment enrolls.
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import polars as pl

from edpipeline.errors import BadConfiguration

STUDENT, LESSON, SKIPS = "student_id", "lesson_id", "skip_enrollment"
ANSWERS = {"yes": True, "no": False, "": None}
LONGEST = 200
MOST_PROBLEMS = 20


@dataclass(frozen=True)
class WatchList:
    """The pairs that were understood, and what was wrong with the other lines."""

    pairs: pl.DataFrame
    problems: tuple[str, ...]
    """Line number and column, never what stands there."""


def read_watch_list(path: Path) -> WatchList:
    """The list at `path`. A line that is wrong is left out and told; the others count.

    Raises BadConfiguration where there is no such file, or it has other columns.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _read(path, file)
    except FileNotFoundError:
        raise BadConfiguration(f"watch_list: there is no file {path}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadConfiguration(
            f"watch_list: {path} cannot be read ({type(error).__name__}): it must be CSV in UTF-8"
        ) from None


def _read(path: Path, file: TextIO) -> WatchList:
    lines = csv.reader(file, strict=True)
    names = [name.strip().casefold() for name in next(lines, [])]
    if not {STUDENT, LESSON} <= set(names) <= {STUDENT, LESSON, SKIPS} or _repeats(names):
        raise BadConfiguration(
            f"watch_list: {path} needs the columns student_id and lesson_id, and may have"
            " skip_enrollment; no others"
        )
    found: dict[tuple[str, str], bool | None] = {}
    problems = []
    for cells in lines:
        if not any(cell.strip() for cell in cells):
            continue
        row = dict(zip(names, (cell.strip() for cell in cells), strict=False))
        if wrong := _wrong(row, names, len(cells)):
            problems.append(f"line {lines.line_num}: {wrong}")
            continue
        pair, skips = (row[STUDENT], row[LESSON]), ANSWERS[row.get(SKIPS, "").casefold()]
        # Where two lines contradict each other, the one counts by which nobody is enrolled.
        found[pair] = skips if found.get(pair, skips) == skips else False
    columns = {
        STUDENT: pl.Series([student for student, _ in found], dtype=pl.String),
        LESSON: pl.Series([lesson for _, lesson in found], dtype=pl.String),
        SKIPS: pl.Series(list(found.values()), dtype=pl.Boolean),
    }
    return WatchList(pl.DataFrame(columns), _shortened(problems))


def _wrong(row: dict[str, str], names: list[str], cells: int) -> str:
    """The column that makes a line useless, and why; "" for none."""
    if cells > len(names):
        return f"has {cells} cells, the header {len(names)}"
    for name in (STUDENT, LESSON):
        if not row.get(name):
            return f"{name} is blank"
        if len(row[name]) > LONGEST or not row[name].isprintable():
            return f"{name} is no id"
    if row.get(SKIPS, "").casefold() not in ANSWERS:
        return f"{SKIPS} is neither yes nor no"
    return ""


def _repeats(names: list[str]) -> bool:
    return len(set(names)) != len(names)


def _shortened(problems: list[str]) -> tuple[str, ...]:
    more = len(problems) - MOST_PROBLEMS
    shown = problems[:MOST_PROBLEMS] + ([f"and {more} lines more"] if more > 0 else [])
    return tuple(f"watch list, {problem}" for problem in shown)
