"""One contract, two stores: a folder, and S3 spoken over HTTP on loopback."""

import errno
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edpipeline.errors import (
    BadConfiguration,
    BadCredentials,
    ConnectionLost,
    NotFound,
    Permanent,
    Transient,
)
from edpipeline.landing import s3
from edpipeline.landing.s3 import S3Store
from edpipeline.landing.store import FolderStore, Store, open_store


def test_what_is_written_is_read_back(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "source.csv"
    source.write_bytes(b"id\n1\n")
    store.write_bytes("a/one.json", b"{}")
    store.write_file("a/two.csv", source)
    store.write_bytes("a/empty.csv", b"")
    assert store.read_bytes("a/one.json") == b"{}"
    assert store.read_bytes("a/empty.csv") == b""
    with store.local_copy("a/two.csv") as path:
        assert path.read_bytes() == b"id\n1\n"
    assert store.exists("a/two.csv")
    assert not store.exists("a/three.csv")


def test_the_same_content_again_changes_nothing(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"same")
    store.write_bytes("key", b"same")
    store.write_bytes("key", b"same")
    store.write_file("key", source)
    assert store.list() == ["key"]


@pytest.mark.parametrize("other", [b"", b"sam", b"samE", b"same and more"])
def test_other_content_under_a_taken_key_is_refused(
    store: Store, tmp_path: Path, other: bytes
) -> None:
    source = tmp_path / "source"
    source.write_bytes(other)
    store.write_bytes("key", b"same")
    with pytest.raises(Permanent, match="never altered"):
        store.write_bytes("key", other)
    with pytest.raises(Permanent, match="never altered"):
        store.write_file("key", source)
    assert store.read_bytes("key") == b"same"


def test_a_file_that_is_not_the_one_that_was_hashed_is_not_kept(
    store: Store, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"changed meanwhile")
    with pytest.raises(Transient, match="changed while"):
        store.write_file("key", source, hashlib.sha256(b"before").hexdigest())
    assert store.list() == []


def test_keys_are_listed_by_prefix_in_order(store: Store) -> None:
    for key in ["b/2", "a/10", "a/9/x", "ab", "a/1"]:
        store.write_bytes(key, key.encode())
    assert store.list() == ["a/1", "a/10", "a/9/x", "ab", "b/2"]
    assert store.list("a/") == ["a/1", "a/10", "a/9/x"]
    assert store.list("a/1") == ["a/1", "a/10"]
    assert store.list("a") == ["a/1", "a/10", "a/9/x", "ab"]
    assert store.list("none/") == []


def test_more_keys_than_one_page_of_s3_are_all_listed(s3_store: S3Store) -> None:
    def two_a_page(params: dict[str, object], **_: object) -> None:
        params["MaxKeys"] = 2

    events = s3_store._client.meta.events
    for number in range(5):
        s3_store.write_bytes(f"many/{number}", b"")
    events.register("before-parameter-build.s3.ListObjectsV2", two_a_page)
    try:
        assert s3_store.list("many/") == [f"many/{number}" for number in range(5)]
    finally:
        events.unregister("before-parameter-build.s3.ListObjectsV2", two_a_page)


def test_what_is_absent_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound, match="nothing is kept under nowhere"):
        store.read_bytes("nowhere")
    with pytest.raises(NotFound), store.local_copy("nowhere"):
        pass


UNSAFE_KEYS = [
    "",
    "/etc/passwd",
    "../x",
    "a/../b",
    "a//b",
    "a/",
    ".hidden",
    "a/.hidden",
    "a\\b",
    "a b",
    "a\n",
    "C:/x",
    "x" * 201,
    "/".join(["x" * 100] * 9),
]


def test_an_unsafe_key_is_refused_by_every_verb(store: Store) -> None:
    verbs: list[Callable[[str], object]] = [
        lambda key: store.write_bytes(key, b""),
        lambda key: store.write_file(key, Path(__file__)),
        store.read_bytes,
        store.exists,
        lambda key: store.local_copy(key).__enter__(),
    ]
    for key in UNSAFE_KEYS:
        for verb in verbs:
            with pytest.raises(Permanent, match="not a key"):
                verb(key)


def test_an_unsafe_prefix_is_refused(store: Store) -> None:
    for prefix in ("../", "/", "a/../", "a\\"):
        with pytest.raises(Permanent, match="not a key"):
            store.list(prefix)


def test_what_others_put_in_the_folder_is_not_listed(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.write_bytes("a/one", b"1")
    (tmp_path / "a" / ".DS_Store").touch()
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").touch()
    (tmp_path / "a" / "not ours.txt").touch()
    assert store.list() == ["a/one"]


def test_kept_files_are_read_only(tmp_path: Path) -> None:
    FolderStore(tmp_path).write_bytes("a/one", b"1")
    assert (tmp_path / "a" / "one").stat().st_mode & 0o222 == 0


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadConfiguration, match="must be a folder"):
        FolderStore(tmp_path / "file").write_bytes("key", b"1")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the always-full device of Linux")
def test_a_full_disk_is_worth_another_try_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def onto_the_full_device(source: object, target: object) -> str:
        with Path("/dev/full").open("wb", buffering=0) as full:
            full.write(b"x")
        raise AssertionError("the device was not full")

    store = FolderStore(tmp_path)
    monkeypatch.setattr("edpipeline.landing.store._copy", onto_the_full_device)
    with pytest.raises(Transient, match=r"no space left in .*a: free some room") as raised:
        store.write_bytes("a/one", b"1")
    assert raised.value.__cause__ is not None
    assert raised.value.__cause__.errno == errno.ENOSPC  # type: ignore[attr-defined]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    monkeypatch.undo()
    store.write_bytes("a/one", b"1")
    assert store.read_bytes("a/one") == b"1"


WRITE_FROM_A_PIPE = """
import sys
from pathlib import Path
from edpipeline.landing.store import FolderStore
FolderStore(Path(sys.argv[1])).write_file("a/one", Path("/dev/stdin"))
"""


def test_a_killed_writer_leaves_no_key_and_the_next_attempt_completes(tmp_path: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITE_FROM_A_PIPE, str(tmp_path)], stdin=subprocess.PIPE
    )
    assert writer.stdin is not None
    writer.stdin.write(b"half of the fi" * 100_000)
    writer.stdin.flush()
    part = tmp_path / "a" / ".one.part"
    _wait_until(lambda: part.exists() and part.stat().st_size > 0)
    os.kill(writer.pid, signal.SIGKILL)
    writer.communicate()

    store = FolderStore(tmp_path)
    assert store.list() == []
    assert not store.exists("a/one")
    store.write_bytes("a/one", b"whole")
    assert store.read_bytes("a/one") == b"whole"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["one"]


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


WRITE_MANY = """
import sys
from pathlib import Path
from edpipeline.landing.store import FolderStore
store = FolderStore(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for number in range(100):
    store.write_bytes(f"key-{number:03d}", b"the same bytes")
"""


def test_two_processes_writing_the_same_drop_do_not_disturb_each_other(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITE_MANY, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    for writer in writers:
        assert writer.stdout is not None and writer.stdout.readline() == b"ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=60)
    assert [writer.returncode for writer in writers] == [0, 0]
    assert len(list(tmp_path.iterdir())) == 100


@pytest.mark.parametrize("same", [True, False])
def test_a_key_another_process_wrote_first_is_compared_not_overwritten(
    s3_store: S3Store, monkeypatch: pytest.MonkeyPatch, same: bool
) -> None:
    looked: list[str] = []
    real_head = S3Store._head

    def blind_at_first(self: S3Store, key: str) -> object:
        looked.append(key)
        return None if len(looked) == 1 else real_head(self, key)

    s3_store.write_bytes("key", b"first")
    monkeypatch.setattr(S3Store, "_head", blind_at_first)
    if same:
        s3_store.write_bytes("key", b"first")
    else:
        with pytest.raises(Permanent, match="never altered"):
            s3_store.write_bytes("key", b"other")
    assert len(looked) == 2
    assert s3_store.read_bytes("key") == b"first"


def test_a_large_file_goes_up_in_parts_and_comes_back_whole(
    s3_store: S3Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "S3_PART", 5 << 20)
    source = tmp_path / "large"
    source.write_bytes(os.urandom(12 << 20))
    s3_store.write_file("large", source)
    s3_store.write_file("large", source)
    with s3_store.local_copy("large") as path:
        assert path.read_bytes() == source.read_bytes()
        kept = path
    assert not kept.exists()
    assert s3_store._client.head_object(**s3_store._at("large"))["ETag"].endswith('-3"')


def test_a_large_upload_that_fails_leaves_no_parts_behind(
    s3_store: S3Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "S3_PART", 5 << 20)
    source = tmp_path / "large"
    source.write_bytes(bytes(12 << 20))
    real_upload = s3_store._client.upload_part

    def fails_at_the_second(**given: object) -> object:
        if given["PartNumber"] == 2:
            raise KeyboardInterrupt
        return real_upload(**given)

    monkeypatch.setattr(s3_store._client, "upload_part", fails_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        s3_store.write_file("large", source)
    assert not s3_store.exists("large")
    left = s3_store._client.list_multipart_uploads(Bucket=s3_store.bucket)
    assert left.get("Uploads", []) == []


def test_an_object_written_without_our_hash_is_compared_by_its_bytes(s3_store: S3Store) -> None:
    s3_store._client.put_object(**s3_store._at("restored"), Body=b"from a backup")
    s3_store.write_bytes("restored", b"from a backup")
    with pytest.raises(Permanent, match="never altered"):
        s3_store.write_bytes("restored", b"from a Backup")


def test_a_bucket_that_does_not_exist_is_a_configuration_error(
    s3_client: Any, s3_endpoint: str
) -> None:
    store = open_store(f"s3://no-such-bucket?endpoint_url={s3_endpoint}")
    with pytest.raises(BadConfiguration, match="bucket does not exist"):
        store.write_bytes("key", b"1")


def test_s3_without_credentials_says_which_to_set(
    s3_endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(BadCredentials, match="AWS_PROFILE"):
        open_store(f"s3://some-bucket?endpoint_url={s3_endpoint}").exists("key")


def test_s3_that_does_not_answer_is_worth_another_try(s3_client: Any) -> None:
    store = open_store("s3://landing-bucket?endpoint_url=http://127.0.0.1:9")
    with pytest.raises(ConnectionLost, match="did not answer"):
        store.exists("key")


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("AccessDenied", 403, BadCredentials),
        ("SlowDown", 503, Transient),
        ("InternalError", 500, Transient),
        ("ConditionalRequestConflict", 409, Transient),
        ("InvalidArgument", 400, Permanent),
    ],
)
def test_what_s3_answers_is_told_apart(code: str, status: int, expected: type[Exception]) -> None:
    answer = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    assert type(s3._s3_meaning(answer, "key")) is expected


def test_the_forms_of_a_store_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert open_store("/var/landing") == FolderStore(Path("/var/landing"))
    assert open_store("landing") == FolderStore(tmp_path / "landing")
    assert open_store("~/landing") == FolderStore(tmp_path / "landing")
    assert open_store("file:///var/my%20landing") == FolderStore(Path("/var/my landing"))
    assert open_store("s3://bucket/a/b/") == S3Store("bucket", "a/b", None)
    assert open_store("s3://bucket") == S3Store("bucket", "", None)
    assert open_store("s3://bucket/p?endpoint_url=http://127.0.0.1:9000").describe() == (
        "s3://bucket/p at http://127.0.0.1:9000"
    )


@pytest.mark.parametrize(
    "url",
    [
        "",
        "gs://bucket/SECRET",
        "file://SECRET/path",
        "s3://",
        "s3://key:SECRET@bucket/p",
        "s3://bucket/p?endpoint_url=http://key:SECRET@host",
        "s3://bucket/p?endpoint_url=SECRET",
        "s3://bucket/p?aws_secret_access_key=SECRET",
    ],
)
def test_a_bad_store_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(BadConfiguration) as raised:
        open_store(url)
    assert "SECRET" not in str(raised.value)


def test_opening_a_store_connects_to_nothing_and_makes_nothing(tmp_path: Path) -> None:
    before = threading.active_count()
    open_store(str(tmp_path / "landing"))
    open_store("s3://bucket/prefix?endpoint_url=http://127.0.0.1:9")
    assert not (tmp_path / "landing").exists()
    assert threading.active_count() == before
