"""What landed may lose a person's lines, in a folder and in S3, and stays what it was beside."""

import fcntl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edpipeline.errors import NotFound, Permanent
from edpipeline.landing.drop import Arrived, Drop, deliveries, land, open_drop, read_drop
from edpipeline.landing.erased import Erased
from edpipeline.landing.erasure import replace_files, settle_replaced, sha256_of
from edpipeline.landing.store import FolderStore, Store

NOW = datetime.now(UTC)
BEFORE, AFTER = b"id,name\n1,Ann\n2,Bob\n", b"id,name\n\n2,Bob\n"


def landed(store: Store, folder: Path) -> Drop:
    path = folder / "users.csv"
    path.write_bytes(BEFORE)
    arrived = [Arrived("users.csv", path)]
    return land(store, "lincoln", "oneroster", NOW.date(), arrived, NOW, "a test").drop


def without(drop: Drop, folder: Path, content: bytes = AFTER) -> dict[str, tuple[Erased, Path]]:
    path = folder / "without.csv"
    path.write_bytes(content)
    told = Erased(
        lines={"users.csv": (2,)},
        edited=0,
        size=len(content),
        sha256=sha256_of(path),
        at=NOW,
        by="Ada",
        is_empty=content == b"{}\n",
        before=drop.files[0].sha256,
    )
    return {"users.csv": (told, path)}


def kept(store: Store) -> bytes:
    drop = read_drop(
        store, "oneroster", "lincoln", deliveries(store, "lincoln", "oneroster")[0].drop.drop_id
    )
    with open_drop(store, drop) as paths:
        return paths["users.csv"].read_bytes()


def test_a_drop_keeps_its_name_and_says_what_it_lost(store: Store, tmp_path: Path) -> None:
    drop = landed(store, tmp_path)
    replace_files(store, drop, without(drop, tmp_path))
    found = deliveries(store, "lincoln", "oneroster")[0].drop
    assert found == drop
    erased = found.files[0].erased
    assert erased is not None
    assert (erased.lines, erased.by, erased.at, erased.before) == (
        {"users.csv": (2,)},
        "Ada",
        NOW,
        "",
    )
    assert kept(store) == AFTER


def test_the_same_bytes_again_do_not_bring_anybody_back(store: Store, tmp_path: Path) -> None:
    drop = landed(store, tmp_path)
    replace_files(store, drop, without(drop, tmp_path))
    assert landed(store, tmp_path) == drop
    assert kept(store) == AFTER


@pytest.mark.parametrize("is_replaced", [True, False])
def test_killed_between_record_and_file_either_file_is_taken(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_replaced: bool
) -> None:
    drop = landed(store, tmp_path)
    replacing, calls = type(store).replace_file, iter(range(2 if is_replaced else 1))

    def killed(self: Store, key: str, path: Path) -> None:
        if next(calls, None) is None:
            raise KeyboardInterrupt
        replacing(self, key, path)

    with monkeypatch.context() as patch:
        patch.setattr(type(store), "replace_file", killed)
        with pytest.raises(KeyboardInterrupt):
            replace_files(store, drop, without(drop, tmp_path))
    assert kept(store) == (AFTER if is_replaced else BEFORE)
    settled = settle_replaced(store, read_drop(store, "oneroster", "lincoln", drop.drop_id))
    assert kept(store) == (AFTER if is_replaced else BEFORE)
    if not is_replaced:
        replace_files(store, settled, without(drop, tmp_path))
    assert kept(store) == AFTER


def test_bytes_that_were_erased_are_damage_where_they_come_back(
    store: Store, tmp_path: Path
) -> None:
    drop = landed(store, tmp_path)
    replace_files(store, drop, without(drop, tmp_path))
    key = f"oneroster/lincoln/drops/{drop.drop_id}/01-users.csv"
    store.replace_file(key, tmp_path / "users.csv")
    with pytest.raises(Permanent, match="is not what landed"):
        kept(store)


def test_a_file_without_a_record_left_counts_as_one_that_did_not_come(
    store: Store, tmp_path: Path
) -> None:
    drop = landed(store, tmp_path)
    done = replace_files(store, drop, without(drop, tmp_path, b"{}\n"))
    with open_drop(store, done) as paths:
        assert paths == {}


def test_what_is_removed_is_gone_and_leaves_no_folder(store: Store) -> None:
    store.write_bytes("a/b/one.json", b"{}")
    assert store.written_at("a/b/one.json") > NOW - timedelta(hours=1)
    store.remove("a/b/one.json")
    store.remove("a/b/one.json")
    assert store.list() == []
    with pytest.raises(NotFound):
        store.written_at("a/b/one.json")
    if isinstance(store, FolderStore):
        assert not any(store.folder.iterdir())


def test_what_killed_writers_left_is_removed_and_what_is_written_is_not(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "landing")
    store.write_bytes("a/one.json", b"{}")
    left, written = (tmp_path / "landing" / "a" / f".{name}.part" for name in ("left", "written"))
    left.write_bytes(b"Ann")
    written.write_bytes(b"Bob")
    with written.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert store.remove_left_behind("a/") == 1
    assert not left.exists()
    assert written.exists()
    assert store.list() == ["a/one.json"]


def test_uploads_to_s3_that_never_ended_are_ended(s3_store: Store) -> None:
    assert s3_store.remove_left_behind("a/") == 0
