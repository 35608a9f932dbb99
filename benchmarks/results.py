"""Exports of assessment results as large as a state's, and the floor beside them."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from edpipeline.model import Edition, LayoutField, Table
from edpipeline.reading.layout import placed
from edpipeline.sources import source

MAP_EDITION = "nwea_cdf_2020"
STAAR_EDITION = "staar_38_2024"
AT_ONCE = 20_000
"""Rows written at once."""
SAMPLES = Path(__file__).parent.parent / "edpipeline_tests" / "samples"


def write_map(path: Path, rows: int) -> None:
    """A comprehensive MAP export of so many results: values in quotes, the header without."""
    sample = (SAMPLES / "nwea_map" / f"{MAP_EDITION}.csv").read_text("utf-8")
    frame = pl.read_csv(io.StringIO(sample), infer_schema=False)
    with path.open("wb") as file:
        file.write((",".join(frame.columns) + "\n").encode())
        for first in range(0, rows, AT_ONCE):
            part = _repeated(frame, first, min(AT_ONCE, rows - first))
            part.write_csv(file, include_header=False, quote_style="always")


def _repeated(frame: pl.DataFrame, first: int, rows: int) -> pl.DataFrame:
    """The sample again and again, every row of another student and test."""
    number = pl.int_range(first, first + rows, eager=True)
    repeated = frame[(number % frame.height).to_list()]
    return repeated.with_columns(
        (number + 1_000_000).cast(pl.String).alias("StudentID"),
        (number + 9_000_000_000).cast(pl.String).alias("Student_StateID"),
        (number + 100_000_000).cast(pl.String).alias("TestID"),
        (number % 150 + 130).cast(pl.String).alias("TestRITScore"),
    )


def write_staar(path: Path, lines: int) -> None:
    """A state's file of grades 3 to 8 in fixed width: so many lines, CR LF, a point at the end."""
    edition = source("staar").edition(STAAR_EDITION)
    with path.open("wb") as file:
        for block in _staar_blocks(edition, lines):
            file.write(block.tobytes())


def _staar_blocks(edition: Edition, lines: int) -> Iterator[NDArray[np.uint8]]:
    text = (SAMPLES / "staar" / f"{STAAR_EDITION}.csv").read_text("utf-8")
    records = list(csv.DictReader(text.splitlines()))
    (fields,) = edition.headers.values()
    whole = np.stack([_line(edition, record) for record in records])
    places = {field.column: field for field in placed(fields) if field.column}
    for first in range(0, lines, AT_ONCE):
        count = min(AT_ONCE, lines - first)
        block = whole[np.arange(first, first + count) % len(records)]
        for column, start in (("tsds_unique_id", 9_000_000_000), ("local_student_id", 100_000_000)):
            place = places[column]
            numbers = np.arange(first, first + count) + start
            digits = np.char.zfill(numbers.astype(str), place.end - place.start).astype("S")
            block[:, place.start : place.end] = digits.view(np.uint8).reshape(count, -1)
        yield block


def _line(edition: Edition, record: dict[str, str]) -> NDArray[np.uint8]:
    line = bytearray(b" " * edition.record_length + b"\r\n")
    (fields,) = edition.headers.values()
    for place in placed(fields):
        value = record.get(place.column, "") if place.column else "1"
        line[place.start : place.end] = value.encode("cp1252").ljust(place.end - place.start)
    line[edition.record_length - 1] = ord(".")
    return np.frombuffer(bytes(line), dtype=np.uint8)


def write_split(path: Path, target: Path, loaded_alone: bool = False) -> None:
    """A file of fixed width as CSV, for the floor: all its fields, or those alone that we load."""
    edition = source("staar").edition(STAAR_EDITION)
    fields = staar_fields(loaded_alone)
    width = edition.record_length + 2
    with path.open("rb") as file, target.open("wb") as out:
        out.write((",".join(fields) + "\n").encode())
        while block := file.read(width * AT_ONCE):
            lines = pl.read_csv(
                block, has_header=False, separator="\x01", quote_char=None, infer_schema=False
            ).to_series()
            frame = lines.to_frame("line").select(
                pl.col("line").str.slice(f.start, f.end - f.start).str.strip_chars().alias(name)
                for name, f in fields.items()
            )
            frame.write_csv(out, include_header=False)


def floor(
    path: Path, target: Path, table: Table, names: dict[str, str], days: str, options: str = ""
) -> None:
    """DuckDB's bare typed CREATE TABLE AS SELECT; `names` are columns by header, `days` is how
    dates are written."""
    kinds = {column.name: column.sql_type for column in table.columns}
    typed = {header: _type(kinds.get(column, "varchar")) for header, column in names.items()}
    columns = ", ".join(f"'{header}': '{kind}'" for header, kind in typed.items())
    target.unlink(missing_ok=True)
    with duckdb.connect(str(target)) as connection:
        connection.execute(
            f"create table results as select * from read_csv('{path}', header = true, delim = ',',"
            f" quote = '\"', dateformat = '{days}', columns = {{{columns}}}, nullstr = ''{options})"
        )


def _type(kind: str) -> str:
    return "double" if kind == "double precision" else kind


def map_names() -> dict[str, str]:
    """Columns of a MAP export by header."""
    (fields, *_) = source("nwea_map").edition(MAP_EDITION).headers.values()
    first = {field.column or field.header: field for field in reversed(fields)}
    return {field.header: column for column, field in reversed(first.items())}


def staar_fields(loaded_alone: bool = False) -> dict[str, LayoutField]:
    """Fields of a split STAAR file: those that are loaded are called as in the warehouse."""
    (fields,) = source("staar").edition(STAAR_EDITION).headers.values()
    named = {field.column or f"field_{field.start}": field for field in placed(fields)}
    return {name: field for name, field in named.items() if field.column or not loaded_alone}
