"""The sensor's cursor: small, and never in the way."""

import zlib
from base64 import b64encode
from datetime import UTC, datetime

import pytest

from edpipeline.landing.stability import Look, RemoteFile, version
from edpipeline.orchestration.memory import VERSIONS, Memory, read_cursor, write_cursor

AT = datetime(2026, 9, 8, 23, 30, tzinfo=UTC)


def packed(text: str) -> str:
    return b64encode(zlib.compress(text.encode())).decode()


FILES = tuple(RemoteFile(f"{name}.csv", 1000, 1_780_000_000) for name in ("users", "classes"))


def test_what_is_written_is_read_again() -> None:
    look = Look(AT, ((FILES[0], AT),)).after_taking(FILES[1:])
    memories = {
        "lincoln": Memory(AT, look, "2026-09-08"),
        "quillmere": Memory(AT, trouble="no key"),
    }
    assert read_cursor(write_cursor(memories)) == memories


@pytest.mark.parametrize(
    "cursor",
    [
        None,
        "",
        "{",
        "[]",
        "7",
        '{"format": 1}',
        packed('{"format": 1}'),
        packed('{"format":2,"districts":{"a":{}}}'),
    ],
)
def test_a_cursor_that_cannot_be_read_is_no_memory(cursor: str | None) -> None:
    assert read_cursor(cursor) == {}


def test_of_files_that_are_gone_only_the_latest_versions_are_remembered() -> None:
    old = [RemoteFile("users.csv", 1000, second) for second in range(1000)]
    look = Look(AT).after_taking(old).after_taking(FILES)
    memory = Memory(AT, look, present=frozenset(map(version, FILES)))
    [kept] = read_cursor(write_cursor({"lincoln": memory})).values()
    assert kept.look
    assert len(kept.look.taken) == VERSIONS + len(FILES)
    assert set(map(version, FILES)) <= set(kept.look.taken)
    assert len(write_cursor({"lincoln": memory})) < 1000
