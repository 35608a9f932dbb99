"""The search for what must stand nowhere that a pull leaves something."""

import gzip
import zipfile
from collections.abc import Iterator
from pathlib import Path

import duckdb

from edpipeline_tests.pulls.installation import SECRETS

CANARY = "CANARY-"
"""In every secret of the vendors, and in everything they send that was not asked for."""
SECRET_VALUES = [SECRETS[name] for name in ("STAR_SECRET", "SCANTRON_PASSWORD")]
SOUGHT = [CANARY, *SECRET_VALUES, "student_12345678"]
"""The last is a field's name that could be data: names alone are told of what is not known."""


def texts(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below a folder, by its path; packed ones unpacked too."""
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        data = path.read_bytes()
        yield str(path), data
        if data[:2] == b"\x1f\x8b":
            yield f"{path} unpacked", gzip.decompress(data)
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as package:
                for name in package.namelist():
                    yield f"{path} {name}", package.read(name)
        if path.suffix == ".parquet":
            rows = duckdb.sql(f"select * from read_parquet('{path}')").fetchall()
            yield f"{path} rows", repr(rows).encode()


def assert_none(found: Iterator[tuple[str, bytes]] | list[tuple[str, bytes]]) -> None:
    seen = 0
    for name, data in found:
        seen += 1
        # Names of files too: what a vendor calls a field must not become one.
        whole = (name + "\n").encode() + data
        assert not [word for word in SOUGHT if word.encode() in whole], name
    assert seen
