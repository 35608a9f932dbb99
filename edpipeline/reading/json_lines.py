"""JSON lines, made into the delimited text that everything behind this reads.

One line is one object; its keys are the headers. Values come as they were written: a number stays
`7.0`, an absent key and null are blank, lists and objects are JSON text. Ends of lines in a value
become blanks, so that one line stays one row.
"""

from functools import cache
from pathlib import Path

import duckdb

from edpipeline.reading.dialect import Unreadable

SUFFIX = ".jsonl"
LONGEST_LINE = 1 << 24
MEMORY = "512MB"


def is_json_lines(name: str) -> bool:
    """Whether a file of that name is read as JSON lines."""
    return name.casefold().endswith(SUFFIX)


def as_delimited(path: Path, name: str, target: Path) -> None:
    """Write the objects of a file as CSV with a header, all values quoted, in their order.

    `name` is what people call the file. Raises `Unreadable` (`empty_file`, `no_header`,
    `not_text`).
    """
    if path.stat().st_size == 0:
        raise Unreadable("empty_file", f"{name} is empty: nothing was pulled, or export it again")
    source = f"{_text(str(path))}, format = 'newline_delimited'"
    source += f", maximum_object_size = {LONGEST_LINE}"
    try:
        with _engine().cursor() as engine:
            keys = engine.execute(
                f"select distinct unnest(json_keys(json)) from read_json_objects({source})"
            ).fetchall()
            names = sorted(str(key) for (key,) in keys)
            if not names:
                raise Unreadable("no_header", f"{name}: none of its records has a known field", 1)
            columns = ", ".join(f"{_text(each)}: 'VARCHAR'" for each in names)
            values = ", ".join(
                f"translate({_name(each)}, e'\\n\\r', '  ') as {_name(each)}" for each in names
            )
            engine.execute(
                f"copy (select {values} from read_json({source}, columns = {{{columns}}}))"
                f" to {_text(str(target))} (format csv, header, force_quote *)"
            )
    except duckdb.Error:
        # The library quotes the line, which holds a student's data.
        raise Unreadable(
            "not_text", f"{name} is no JSON lines: each line must be one JSON object"
        ) from None


@cache
def _engine() -> duckdb.DuckDBPyConnection:
    """One for the process: to start it takes longer than to read a small file."""
    return duckdb.connect(config={"memory_limit": MEMORY})


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'
