"""One contract, two inboxes: a folder, and a prefix of S3 spoken over HTTP on loopback."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from edpipeline.errors import BadConfiguration, BadDelivery, NotFound
from edpipeline.landing import inbox
from edpipeline.landing.inbox import (
    CHOICES,
    STILL,
    FolderPlace,
    Place,
    S3Place,
    Upload,
    clear,
    fetched,
    hand_over,
    open_inbox,
    uploads,
)

NOW = datetime.now(UTC)
LATER = NOW + timedelta(hours=1)
"""By then everything that these tests lay has lain still."""
MAP = "lincoln/nwea_map"


@dataclass(frozen=True)
class Laid:
    """An inbox, and the hand of a person who lays files there without the command."""

    place: Place
    lay: Callable[[str, bytes], None]
    scratch: Path

    def uploads(self, now: datetime = LATER, still: timedelta = STILL) -> list[Upload]:
        return uploads(self.place, now, self.scratch, still)

    def hand_over(self, name: str, content: bytes, at: datetime = NOW, **choices: str) -> str:
        file = self.scratch / name
        file.write_bytes(content)
        try:
            return hand_over(
                self.place, "lincoln", "nwea_map", file, choices, "Ada", at, self.scratch
            )
        finally:
            file.unlink()

    def paths(self) -> list[str]:
        return sorted(entry.path for entry in self.place.entries())


@pytest.fixture(params=["folder", "s3"])
def laid(request: pytest.FixtureRequest, tmp_path: Path) -> Laid:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    if request.param == "folder":
        root = tmp_path / "inbox"

        def lay(path: str, content: bytes) -> None:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)

        return Laid(open_inbox(str(root)), lay, scratch)

    client: Any = request.getfixturevalue("s3_client")
    endpoint: str = request.getfixturevalue("s3_endpoint")
    prefix = f"deep/{uuid4().hex}"
    place = open_inbox(f"s3://landing-bucket/{prefix}?endpoint_url={endpoint}")
    assert isinstance(place, S3Place)
    vars(place.store)["_client"] = client

    def put(path: str, content: bytes) -> None:
        client.put_object(Bucket="landing-bucket", Key=f"{prefix}/{path}", Body=content)

    return Laid(place, put, scratch)


def contents(laid: Laid, upload: Upload) -> dict[str, bytes]:
    arrived = fetched(laid.place, upload, laid.scratch)
    return {file.name: file.path.read_bytes() for file in arrived}


def test_an_inbox_that_was_never_used_is_empty(laid: Laid) -> None:
    assert laid.uploads() == []


# ---- laid by hand


def test_a_file_laid_by_hand_is_taken_when_it_has_lain_still(laid: Laid) -> None:
    laid.lay(f"{MAP}/fall.csv", b"a,b\n1,2\n")
    [entry] = laid.place.entries()
    assert (entry.path, entry.size) == (f"{MAP}/fall.csv", 8)

    [soon] = laid.uploads(entry.modified_at + STILL - timedelta(seconds=1))
    assert not soon.whole
    [still] = laid.uploads(entry.modified_at + STILL)
    assert still.whole
    assert (still.district_id, still.source) == ("lincoln", "nwea_map")
    assert (dict(still.choices), still.by) == ({}, "")
    assert still.since == entry.modified_at
    [at_once] = laid.uploads(entry.modified_at, timedelta(0))
    assert at_once.whole
    assert contents(laid, still) == {"fall.csv": b"a,b\n1,2\n"}


def test_each_file_laid_by_hand_is_an_upload_of_its_own(laid: Laid) -> None:
    for name in ("a.csv", "b.csv"):
        laid.lay(f"{MAP}/{name}", name.encode())
    laid.lay("grant/staar/a.csv", b"a")
    assert {(one.district_id, one.source, one.files[0].path) for one in laid.uploads()} == {
        ("lincoln", "nwea_map", f"{MAP}/a.csv"),
        ("lincoln", "nwea_map", f"{MAP}/b.csv"),
        ("grant", "staar", "grant/staar/a.csv"),
    }


def test_a_name_may_hold_blanks_and_signs(laid: Laid) -> None:
    names = (
        "50%_100%20.csv",
        "MAP Fall 2026 (final) & more.csv",
        "a=b#c.csv",
        "résultats + été.csv",
    )
    for number, name in enumerate(names):
        laid.lay(f"{MAP}/{name}", b"by hand")
        laid.hand_over(name, b"by the command", NOW + timedelta(seconds=number))
    found = laid.uploads()
    assert sorted(next(iter(contents(laid, one).items())) for one in found) == [
        (name, content) for name in names for content in (b"by hand", b"by the command")
    ]
    for one in found:
        clear(laid.place, one)
    assert laid.paths() == []


def test_what_is_hidden_or_in_no_districts_and_sources_folder_is_left_alone(laid: Laid) -> None:
    paths = [
        "lincoln/loose.csv",
        f"{MAP}/.DS_Store",
        f"{MAP}/.fall.csv.part",
        f"{MAP}/2026/fall.csv",
        f"{MAP}/20261101T120000000000Z/deeper/fall.csv",
        "loose.csv",
    ]
    for path in paths:
        laid.lay(path, b"x")
    assert laid.uploads() == []
    assert laid.paths() == paths


def test_choices_that_the_command_did_not_write_disturb_no_other_upload(laid: Laid) -> None:
    wanted = {laid.hand_over("good.csv", b"good"): True}
    for number, content in enumerate([b"", b"{", b"[]", b'{"choices": 1}', b"\xff"]):
        place = f"district-{number}/nwea_map"
        laid.lay(f"{place}/{CHOICES}", content)
        laid.lay(f"{place}/20261101T120000000000Z/fall.csv", b"x")
        laid.lay(f"{place}/20261101T120000000000Z/{CHOICES}", content)
        wanted |= {f"{place}/{CHOICES}": True, f"{place}/20261101T120000000000Z/fall.csv": False}
    assert {one.files[0].path: one.whole for one in laid.uploads()} == wanted


# ---- handed over by the command


def test_what_is_handed_over_is_taken_at_once_with_its_choices(laid: Laid) -> None:
    place = laid.hand_over("fall.csv", b"rows", edition="nwea_cdf_2020", match_on="email")
    folder, _, name = place.rpartition("/")
    assert name == "fall.csv"
    assert folder == f"{MAP}/{NOW:%Y%m%dT%H%M%S%fZ}"
    assert laid.paths() == sorted([place, f"{folder}/{CHOICES}"])
    [one] = laid.uploads(NOW - timedelta(hours=1))
    assert one.whole
    assert dict(one.choices) == {"edition": "nwea_cdf_2020", "match_on": "email"}
    assert one.by == "Ada"
    assert contents(laid, one) == {"fall.csv": b"rows"}


def test_what_is_handed_over_is_whole_only_with_its_choices(laid: Laid) -> None:
    place = laid.hand_over("fall.csv", b"rows")
    told = json.dumps({"choices": {}, "by": "Ada"}).encode()
    laid.place.remove(place.replace("fall.csv", CHOICES))
    [half] = laid.uploads(NOW + timedelta(days=1))
    assert not half.whole, "however long it lies there"
    laid.lay(place.replace("fall.csv", CHOICES), told)
    [whole] = laid.uploads()
    assert whole.whole


def test_the_same_name_handed_over_twice_is_two_uploads_the_oldest_first(laid: Laid) -> None:
    for number in (2, 1):
        laid.hand_over("fall.csv", b"%d" % number, NOW + timedelta(seconds=number))
    found = laid.uploads()
    assert len(found) == 2
    assert [one.since for one in found] == sorted(one.since for one in found)
    assert sorted(contents(laid, one)["fall.csv"] for one in found) == [b"1", b"2"]


def test_a_file_called_as_the_choices_are_is_not_handed_over(laid: Laid) -> None:
    with pytest.raises(BadDelivery, match="rename it"):
        laid.hand_over(CHOICES, b"{}")
    with pytest.raises(BadDelivery, match="is refused"):
        laid.hand_over(".hidden.csv", b"")
    assert laid.paths() == []


# ---- taken away


@pytest.mark.parametrize("by", ["", "Ada"])
def test_what_has_landed_is_taken_away_and_nothing_else(laid: Laid, by: str) -> None:
    file = laid.scratch / "fall.csv"
    file.write_bytes(b"rows")
    hand_over(laid.place, "lincoln", "nwea_map", file, {}, by, NOW, laid.scratch)
    laid.lay(f"{MAP}/winter.csv", b"rows")
    laid.lay(f"{MAP}/spring.csv", b"rows")
    for one in laid.uploads():
        if not one.files[0].path.endswith("spring.csv"):
            clear(laid.place, one)
            clear(laid.place, one)  # a second attempt after a half one does no harm
    assert laid.paths() == [f"{MAP}/spring.csv"]


def test_a_file_that_is_gone_when_it_is_fetched_is_not_found(laid: Laid) -> None:
    laid.lay(f"{MAP}/fall.csv", b"rows")
    [one] = laid.uploads()
    laid.place.remove(f"{MAP}/fall.csv")
    with pytest.raises(NotFound):
        fetched(laid.place, one, laid.scratch)


def test_an_upload_that_another_process_takes_while_we_look_is_passed_over(
    laid: Laid, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = laid.hand_over("fall.csv", b"rows")
    laid.lay(f"{MAP}/winter.csv", b"rows")
    real = inbox._choices

    def taken(where: Place, path: str, scratch: Path) -> tuple[dict[str, str], str]:
        where.remove(path)
        return real(where, path, scratch)

    monkeypatch.setattr(inbox, "_choices", taken)
    [other] = laid.uploads()
    assert other.files[0].path == f"{MAP}/winter.csv"
    assert place in laid.paths()


# ---- folders


@pytest.fixture
def folder(tmp_path: Path) -> FolderPlace:
    place = open_inbox(str(tmp_path / "inbox"))
    assert isinstance(place, FolderPlace)
    return place


def test_uploads_come_the_oldest_first_whatever_their_names(
    folder: FolderPlace, tmp_path: Path
) -> None:
    for name in ("b.csv", "a.csv", "c.csv"):
        path = folder.folder / MAP / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        time.sleep(0.02)
    found = [Path(one.files[0].path).name for one in uploads(folder, LATER, tmp_path)]
    assert found == ["b.csv", "a.csv", "c.csv"]


def test_a_copy_that_keeps_the_time_of_its_original_is_not_still_by_that(
    folder: FolderPlace, tmp_path: Path
) -> None:
    path = folder.folder / MAP / "fall.csv"
    path.parent.mkdir(parents=True)
    path.touch()
    long_ago = (NOW - timedelta(days=30)).timestamp()
    os.utime(path, (long_ago, long_ago))
    [one] = uploads(folder, datetime.now(UTC), tmp_path)
    assert not one.whole


def test_the_folder_of_an_instant_goes_with_its_last_file_and_a_persons_folder_stays(
    folder: FolderPlace, tmp_path: Path
) -> None:
    file = tmp_path / "fall.csv"
    file.touch()
    hand_over(folder, "lincoln", "nwea_map", file, {}, "Ada", NOW, tmp_path)
    (folder.folder / MAP / "winter.csv").touch()
    for one in uploads(folder, LATER, tmp_path):
        clear(folder, one)
    assert list((folder.folder / MAP).iterdir()) == []


def test_a_file_that_is_still_copied_into_place_is_not_seen(
    folder: FolderPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(source: object, target: Path) -> None:
        Path(target).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("edpipeline.landing.inbox.shutil.copyfile", interrupted)
    with pytest.raises(KeyboardInterrupt):
        folder.put(f"{MAP}/fall.csv", tmp_path / "fall.csv")
    assert uploads(folder, LATER, tmp_path) == []


def test_an_inbox_that_is_no_folder_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "inbox").touch()
    place = open_inbox(str(tmp_path / "inbox"))
    with pytest.raises(BadConfiguration, match="must be a folder"):
        place.put("lincoln/nwea_map/fall.csv", tmp_path / "inbox")
    assert str(tmp_path / "inbox") == place.describe()
