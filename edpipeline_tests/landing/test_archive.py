import io
import os
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edpipeline.errors import BadDelivery, Transient
from edpipeline.landing.archive import Extracted, Limits, Member, extract, members

ROSTER = {"users.csv": b"sourcedId\r\n007\r\n" * 500, "classes.csv": b"sourcedId\r\n", "e.csv": b""}
SMALL = Limits(members=5, total=200_000, ratio=20, ratio_from=10_000)


def packed(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def packed_with(change: Callable[[zipfile.ZipInfo], object], content: bytes = b"1") -> bytes:
    """A zip with one file, whose entry was changed before it was written."""
    info = zipfile.ZipInfo("users.csv")
    change(info)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(info, content)
    return buffer.getvalue()


def unpack(folder: Path, data: bytes, limits: Limits | None = None) -> Extracted:
    path = folder / "delivery.zip"
    path.write_bytes(data)
    return extract(path, folder / "into", limits)


def refused(folder: Path, data: bytes, match: str, limits: Limits | None = None) -> None:
    """The zip is refused for that reason, in a short message, and nothing is left behind."""
    with pytest.raises(BadDelivery, match=match) as raised:
        unpack(folder, data, limits)
    assert len(str(raised.value)) < 400
    assert list(folder.glob("into/*")) == []
    assert [path.name for path in folder.parent.iterdir() if path != folder] == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder alone in its parent, so that whatever leads out of it is seen."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_files_come_out_as_they_went_in(folder: Path, method: int) -> None:
    extracted = unpack(folder, packed(ROSTER, method))
    assert {name: path.read_bytes() for name, path in extracted.files.items()} == ROSTER
    assert extracted.notes == ()
    assert {path.parent for path in extracted.files.values()} == {folder / "into"}


def test_members_are_listed_without_unpacking(folder: Path) -> None:
    path = folder / "delivery.zip"
    path.write_bytes(packed(ROSTER))
    assert members(path) == [Member(name, len(content)) for name, content in ROSTER.items()]
    assert list(folder.iterdir()) == [path]


def test_one_folder_around_all_files_is_tolerated_and_said(folder: Path) -> None:
    inside = {f"Lincoln Export/{name}": content for name, content in ROSTER.items()}
    extracted = unpack(folder, packed({"Lincoln Export/": b"", **inside}))
    assert set(extracted.files) == set(ROSTER)
    assert extracted.notes == ("all files lie in a folder 'Lincoln Export' inside the zip",)


def test_what_macos_and_hidden_tools_add_is_ignored(folder: Path) -> None:
    noise = {
        "__MACOSX/._users.csv": b"x",
        "__MACOSX/export/._users.csv": b"x",
        ".DS_Store": b"x",
        ".git/config": b"x",
        "empty folder/": b"",
    }
    extracted = unpack(folder, packed({**noise, "users.csv": b"1"}))
    assert set(extracted.files) == {"users.csv"}
    assert extracted.notes == ()


@pytest.mark.parametrize(
    "names",
    [
        ["users.csv", "more/classes.csv"],
        ["a/users.csv", "b/classes.csv"],
        ["a/b/users.csv"],
        ["a/b/users.csv", "a/b/classes.csv"],
    ],
)
def test_files_in_folders_are_refused(folder: Path, names: list[str]) -> None:
    refused(folder, packed(dict.fromkeys(names, b"1")), "at the top of the zip")


@pytest.mark.parametrize(
    "name",
    [
        "../users.csv",
        "a/../../users.csv",
        "/etc/users.csv",
        "//server/share/users.csv",
        "C:/users.csv",
        "C:users.csv",
        "..\\users.csv",
        "a\\users.csv",
        "./users.csv",
        "a//users.csv",
        "..",
        ".",
        "../",
        "/",
    ],
)
def test_a_path_that_leads_out_of_the_zip_is_refused(folder: Path, name: str) -> None:
    refused(folder, packed({name: b"1", "classes.csv": b"1"}), "leads out of the zip")


def test_a_name_cut_short_by_a_zero_byte_is_refused(folder: Path) -> None:
    data = packed({"users.csv@.exe": b"1"}).replace(b"users.csv@", b"users.csv\0")
    refused(folder, data, "leads out of the zip")


def test_a_name_with_control_characters_is_refused_and_shown_harmless(folder: Path) -> None:
    refused(folder, packed({"users\x1b[2J.csv": b"1"}), r"'users\\x1b\[2J.csv' is refused")


@pytest.mark.parametrize(
    "names", [["users.csv", "users.csv"], ["users.csv", "Users.CSV"], ["a/users.csv"] * 2]
)
def test_two_files_of_one_name_are_refused(folder: Path, names: list[str]) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, warnings.catch_warnings(action="ignore"):
        for name in names:
            archive.writestr(name, b"1")
    refused(folder, buffer.getvalue(), "two files of the same name")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK])
def test_links_and_devices_are_refused(folder: Path, kind: int) -> None:
    def as_kind(info: zipfile.ZipInfo) -> None:
        info.external_attr = (kind | 0o777) << 16

    refused(folder, packed_with(as_kind, b"/etc/passwd"), "is a link or a device")


def test_an_encrypted_zip_is_refused_with_what_to_do(folder: Path) -> None:
    data = bytearray(packed({"users.csv": b"1"}))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    refused(folder, bytes(data), "encrypted; send it without a password")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_cannot_be_inflated_in_steps_are_refused(folder: Path, method: int) -> None:
    refused(folder, packed({"users.csv": b"1" * 100}, method), "method 1[24], which is not read")


def test_deflate64_of_windows_is_refused_in_the_same_words(folder: Path) -> None:
    data = bytearray(packed({"users.csv": b"1"}))
    struct.pack_into("<H", data, 8, 9)
    struct.pack_into("<H", data, data.index(b"PK\x01\x02") + 10, 9)
    refused(folder, bytes(data), "method 9")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("inner.zip", packed({"users.csv": b"1"})),
        ("INNER.ZIP", b"whatever"),
        ("users.csv", packed({"users.csv": b"1"})),
        ("users.csv.gz", b"x"),
        ("users.csv", b"\x1f\x8b\x08rest"),
        ("users.csv", b"7z\xbc\xaf\x27\x1crest"),
    ],
)
def test_an_archive_in_an_archive_is_refused(folder: Path, name: str, content: bytes) -> None:
    refused(folder, packed({"a.csv": b"1", name: content}), "itself an archive")


def test_a_workbook_is_no_nested_archive(folder: Path) -> None:
    assert set(unpack(folder, packed({"a.xlsx": packed({"x": b"1"})})).files) == {"a.xlsx"}


@pytest.mark.parametrize("data", [packed({}), packed({"__MACOSX/x": b"1"}), packed({"a/": b""})])
def test_a_zip_without_files_is_refused(folder: Path, data: bytes) -> None:
    refused(folder, data, "holds no file")


def test_too_many_entries_are_refused(folder: Path) -> None:
    six = {f"{number}.csv": b"1" for number in range(6)}
    refused(folder, packed(six), "6 entries, 5 at most", SMALL)
    assert len(unpack(folder, packed(dict(list(six.items())[:5])), SMALL).files) == 5


def test_a_zip_that_announces_too_much_is_refused_before_it_is_unpacked(folder: Path) -> None:
    data = packed({"users.csv": b"1" * 200_001}, zipfile.ZIP_STORED)
    refused(folder, data, "more than 200,000 bytes", SMALL)


def test_a_bomb_is_stopped_while_it_inflates(folder: Path) -> None:
    refused(folder, packed({"a.csv": b"1", "users.csv": bytes(150_000)}), "20 times", SMALL)


def test_a_bomb_beside_honest_bytes_is_stopped_too(folder: Path) -> None:
    honest = os.urandom(20_000)
    refused(folder, packed({"a.csv": honest, "users.csv": bytes(150_000)}), "20 times", SMALL)


def test_a_short_file_of_zeros_is_no_bomb(folder: Path) -> None:
    assert unpack(folder, packed({"users.csv": bytes(10_000)}), SMALL).files


def test_a_bomb_spread_over_many_members_is_stopped_by_the_whole(folder: Path) -> None:
    files = {f"{number}.csv": bytes(10_000) for number in range(5)}
    refused(folder, packed(files), "20 times", SMALL)


def with_announced_size(data: bytes, size: int) -> bytes:
    """The same zip with another unpacked size in both of its headers."""
    lied = bytearray(data)
    struct.pack_into("<I", lied, 22, size)
    struct.pack_into("<I", lied, lied.index(b"PK\x01\x02") + 24, size)
    return bytes(lied)


def test_headers_that_announce_less_do_not_let_a_bomb_through(folder: Path) -> None:
    bomb = packed({"users.csv": bytes(50_000_000)})
    refused(folder, with_announced_size(bomb, 100), "damaged", SMALL)


def test_headers_that_announce_more_are_damage(folder: Path) -> None:
    refused(folder, with_announced_size(packed({"users.csv": b"1" * 50}), 100), "damaged")


@pytest.mark.parametrize("left", [0, 10, 100, -1, -30])
def test_a_zip_that_was_not_sent_whole_is_refused(folder: Path, left: int) -> None:
    refused(folder, packed(ROSTER)[:left], "damaged or was not sent whole")


def test_a_flipped_bit_in_the_content_is_refused(folder: Path) -> None:
    data = bytearray(packed({"users.csv": b"sourcedId\n007\n"}, zipfile.ZIP_STORED))
    data[data.index(b"007") + 2] ^= 1
    refused(folder, bytes(data), "CRC")


def test_what_was_in_the_folder_before_stays(folder: Path) -> None:
    (folder / "into").mkdir()
    (folder / "into" / "mine").write_bytes(b"mine")
    with pytest.raises(BadDelivery):
        unpack(folder, packed({"a.csv": b"1", "users.csv": bytes(150_000)}), SMALL)
    assert [path.name for path in (folder / "into").iterdir()] == ["mine"]


def test_a_zip_that_is_not_there_is_no_bad_delivery(folder: Path) -> None:
    with pytest.raises(Transient, match="No such file"):
        members(folder / "none.zip")


WHOLE = packed(ROSTER)


@settings(max_examples=80)
@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=4))
def test_whatever_bytes_are_damaged_the_content_is_right_or_refused(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(WHOLE)
    for place, value in changes:
        data[place] = value
    folder = tmp_path_factory.mktemp("damaged")
    try:
        extracted = unpack(folder, bytes(data))
    except BadDelivery:
        assert list(folder.glob("into/*")) == []
        return
    contents = sorted(path.read_bytes() for path in extracted.files.values())
    assert all(content in ROSTER.values() for content in contents)
