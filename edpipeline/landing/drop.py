"""The drop manifest: what arrived, when it was delivered, and who approved it.

A **drop** is the bytes of one arrival; its name is a hash of them, so the same bytes are the
same drop whenever and however often they come. A **delivery** is one coming of a drop: a
district and source, a calendar day, an instant. In the store, for each source and district:

    <source>/<district>/drops/<drop_id>/01-users.csv ...          the bytes, as they came
    <source>/<district>/drops/<drop_id>/drop.json                 written last: now it is whole
    <source>/<district>/deliveries/<day>/<instant>-<drop_id>.json one for each coming
    <source>/<district>/approvals/<drop_id>-<what>.json           one for each decision
    <source>/<district>/schools/<instant>-<hash>.json             see `schools`
    <source>/<district>/intents/<run>-<chunk>.json                see `polling.intents`
    <source>/<district>/listings/<day>/<instant>-<hash>.json      see `polling.listed_at`

A drop without its drop.json was interrupted: it has no delivery, so readers do not see it, and
landing the same bytes again completes it. Names given by the sender live inside these records
only; the names of the stored files are ours.

Nothing of it is altered, but where a person is erased: then lines are taken out of files, and
drop.json then says so, with the size and hash of what is left. The name of the drop stays.

The same bytes may be written anew over there: drop.json keeps the times of the first coming, and
each delivery those of its own.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime
from pathlib import Path

from edpipeline.errors import BadDelivery, NotFound
from edpipeline.landing.erased import Erased, read_erased
from edpipeline.landing.records import (
    as_record,
    checked_step,
    damaged,
    in_utc,
    read_record,
    root_of,
)
from edpipeline.landing.store import Store, plain_disk_errors


@dataclass(frozen=True)
class Arrived:
    """One file that reached us: the name its sender gave it, and where it is on this machine."""

    name: str
    path: Path
    modified_at: datetime | None = None


@dataclass(frozen=True)
class DropFile:
    """One file of a drop. `size` in bytes, `sha256` in hex, `modified_at` by the sender's clock;
    all of them as it landed."""

    name: str
    size: int
    sha256: str
    modified_at: datetime | None
    erased: Erased | None = field(default=None, compare=False)

    @property
    def kept_hashes(self) -> tuple[str, ...]:
        """What is kept has one of these hashes: two, while a file is being replaced."""
        if self.erased is None:
            return (self.sha256,)
        return tuple(filter(None, (self.erased.sha256, self.erased.before)))


@dataclass(frozen=True)
class Drop:
    """One arrival: its files in the order of their names. Their times are those of one coming."""

    drop_id: str
    district_id: str
    source: str
    files: tuple[DropFile, ...]


@dataclass(frozen=True)
class Delivery:
    """One coming of a drop. `day` is in the source's own time zone, `received_at` in UTC."""

    drop: Drop
    day: date
    received_at: datetime
    origin: str
    choices: Mapping[str, str] = field(default_factory=dict)
    """What a person chose when handing it over (`edition`, `match_on`), or what a pull asked for;
    empty where there is nothing of the kind."""


@dataclass(frozen=True)
class Approval:
    """A person's decision about one drop. `what` is for example first_sync or removals."""

    drop_id: str
    district_id: str
    source: str
    what: str
    by: str
    at: datetime
    note: str = ""


def drop_id_of(files: Iterable[tuple[str, str]]) -> str:
    """The drop id of (name, SHA-256 in hex) pairs, in whatever order they are given."""
    lines = "".join(f"{name}\0{sha256}\n" for name, sha256 in sorted(files))
    return hashlib.sha256(lines.encode()).hexdigest()[:12]


def land(
    store: Store,
    district_id: str,
    source: str,
    day: date,
    files: Sequence[Arrived],
    received_at: datetime,
    origin: str,
    choices: Mapping[str, str] | None = None,
) -> Delivery:
    """Writes down what arrived, unchanged, and gives back its delivery.

    Landing the same files again on the same day gives the delivery already recorded. It is a new
    one where other bytes were delivered in between, because the district took those back; where
    the same bytes were written anew, so that their new times are known as taken; and where other
    choices were made for them.
    `received_at` must carry a time zone; `origin` says where it came from and is shown to
    people, so it holds no secret.

    Raises BadDelivery for no file, for two of one name and for names that are not plain file
    names; Transient for a full disk, or a file that changes while it is read.
    """
    received_at = in_utc(received_at)
    drop, paths = _describe(district_id, source, files)
    root = drop_root(drop)
    if not store.exists(f"{root}/drop.json"):
        for number, (file, path) in enumerate(zip(drop.files, paths, strict=True), 1):
            store.write_file(f"{root}/{stored_name(number, file.name)}", path, file.sha256)
        store.write_bytes(f"{root}/drop.json", drop_record(drop))

    delivery = Delivery(drop, day, received_at, origin, dict(choices or {}))
    for before in reversed(deliveries(store, district_id, source, day, day)):
        if before.received_at <= received_at:
            if before.drop == drop and before.choices == delivery.choices:
                return before
            break
    files_of_it = [
        {"name": file.name, "size": file.size, "modified_at": file.modified_at}
        for file in drop.files
    ]
    coming = {"day": day, "received_at": received_at, "origin": origin, "files": files_of_it}
    if choices:
        coming["choices"] = dict(choices)
    of_drop = {"drop_id": drop.drop_id, "district_id": district_id, "source": source}
    store.write_bytes(_delivery_key(delivery), as_record(of_drop | coming))
    return delivery


def deliveries(
    store: Store,
    district_id: str,
    source: str,
    first: date | None = None,
    last: date | None = None,
) -> list[Delivery]:
    """The deliveries of the days `first` to `last`, both included, by (day, received_at)."""
    one_day = first.isoformat() if first and first == last else ""
    keys = store.list(f"{root_of(source, district_id)}/deliveries/{one_day}")
    days = [key for key in keys if _within(key.split("/")[3], first, last)]
    return _read_deliveries(store, days)


def latest_per_day(
    store: Store,
    district_id: str,
    source: str,
    first: date | None = None,
    last: date | None = None,
) -> dict[date, Delivery]:
    """The last delivery of each day that had one, in the order of days."""
    return {d.day: d for d in deliveries(store, district_id, source, first, last)}


def find_drop(store: Store, drop_id_or_prefix: str, source: str | None = None) -> list[Delivery]:
    """Every delivery of the drop whose id begins so, of any district, oldest first.

    Raises NotFound when there is none, or when more than one drop begins so. Lists the whole
    landing (of `source`, when given), which takes a while on a large one.
    """
    asked = drop_id_or_prefix.strip().lower()
    if not re.fullmatch(r"[0-9a-f]{4,12}", asked):
        raise NotFound(
            f"{drop_id_or_prefix[:40]!r} is not a drop id: give its 12 hex digits, or the first 4"
        )
    keys = store.list(f"{checked_step(source, 'source')}/" if source else "")
    known = [key for key in keys if "/deliveries/" in key]
    found = [key for key in known if _drop_id_in(key).startswith(asked)]
    ids = sorted({_drop_id_in(key) for key in found})
    if len(ids) > 1:
        raise NotFound(f"more than one drop begins with {asked}: {', '.join(ids[:5])}; say more")
    if not ids:
        latest = sorted(known, key=lambda key: key.rpartition("/")[2])[-3:]
        recent = ", ".join(_drop_id_in(key) for key in reversed(latest)) or "none at all"
        where = f"{source} in {store.describe()}" if source else store.describe()
        raise NotFound(f"no drop {asked} has landed for {where}; the latest are: {recent}")
    return _read_deliveries(store, found)


@contextmanager
def open_drop(store: Store, drop: Drop) -> Iterator[dict[str, Path]]:
    """The files of a drop by the sender's names, each checked against its size and hash.

    The paths are to be read only, and only inside the `with`. Raises Permanent, naming the
    file, when what is kept is no longer what landed.
    """
    root = drop_root(drop)
    with ExitStack() as stack:
        paths = {}
        for number, file in enumerate(drop.files, 1):
            key = f"{root}/{stored_name(number, file.name)}"
            try:
                path = stack.enter_context(store.local_copy(key))
            except NotFound as error:
                raise damaged(key, store, "is gone") from error
            if _size_and_hash(path)[1] not in file.kept_hashes:
                raise damaged(key, store, "is not what landed")
            if file.erased is None or file.erased.before or not file.erased.is_empty:
                paths[file.name] = path
        yield paths


def approve(store: Store, approval: Approval) -> Approval:
    """Records a decision beside those taken before, each under the time at which it was taken.

    Raises NotFound when that drop has not landed, so that nobody approves a typing error.
    """
    root = root_of(approval.source, approval.district_id)
    if not store.exists(f"{root}/drops/{approval.drop_id}/drop.json"):
        raise NotFound(
            f"drop {approval.drop_id[:40]!r} of {approval.source}, district "
            f"{approval.district_id}, has not landed; there is nothing to approve"
        )
    at = f"{in_utc(approval.at):%Y%m%dT%H%M%S%fZ}"
    key = f"{root}/approvals/{approval.drop_id}-{checked_step(approval.what, 'decision')}-{at}.json"
    if not store.exists(key):
        store.write_bytes(key, as_record(asdict(replace(approval, at=in_utc(approval.at)))))
    return _read_approval(store, key)


def approvals(store: Store, district_id: str, source: str) -> list[Approval]:
    """The decisions recorded for one district and source, oldest first."""
    keys = store.list(f"{root_of(source, district_id)}/approvals/")
    found = [_read_approval(store, key) for key in keys]
    return sorted(found, key=lambda one: (one.at, one.drop_id, one.what))


def checked_name(name: str) -> str:
    """`name` itself, when it is a plain file name; raises BadDelivery otherwise.

    Refused: path separators, leading dots, control and invisible characters, over 255 bytes.
    """
    hidden = any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in name)
    if hidden or not name.strip() or name.startswith(".") or "/" in name or "\\" in name:
        raise BadDelivery(
            f"file name {shown(name)} is refused: a name holds no path, does not begin with a "
            "dot and has no control characters; rename the file and send it again"
        )
    if len(name.encode()) > 255:
        raise BadDelivery(f"file name {shown(name)} is refused: it is too long; shorten it")
    return name


def stored_name(number: int, name: str) -> str:
    """The name we give a file on disk: its place in the drop, and what is safe of its name."""
    safe = Path(re.sub(r"[^A-Za-z0-9_.+=-]", "_", name))
    return f"{number:02d}-{safe.stem[:100]}{safe.suffix[:20]}"


def _describe(
    district_id: str, source: str, files: Sequence[Arrived]
) -> tuple[Drop, tuple[Path, ...]]:
    """The drop these files make, and their paths in the drop's order."""
    by_name = {checked_name(file.name): file for file in files}
    if len(by_name) != len(files) or not files:
        raise BadDelivery("a drop holds at least one file, and no two files of the same name")
    described = []
    for name, arrived in sorted(by_name.items()):
        size, sha256 = _size_and_hash(arrived.path)
        modified_at = None if arrived.modified_at is None else in_utc(arrived.modified_at)
        described.append(DropFile(name, size, sha256, modified_at))
    drop_id = drop_id_of((file.name, file.sha256) for file in described)
    paths = tuple(by_name[file.name].path for file in described)
    return Drop(drop_id, district_id, source, tuple(described)), paths


def drop_record(drop: Drop) -> bytes:
    """What drop.json holds."""
    told = asdict(drop)
    for file in told["files"]:
        if file["erased"] is None:
            del file["erased"]
    return as_record(told)


def drop_root(drop: Drop) -> str:
    """Where the files of a drop and drop.json lie."""
    return f"{root_of(drop.source, drop.district_id)}/drops/{drop.drop_id}"


def _size_and_hash(path: Path) -> tuple[int, str]:
    with plain_disk_errors(path.parent), path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return file.tell(), digest


def _within(day: str, first: date | None, last: date | None) -> bool:
    return (first is None or day >= first.isoformat()) and (last is None or day <= last.isoformat())


def _delivery_key(delivery: Delivery) -> str:
    drop, instant = delivery.drop, delivery.received_at.strftime("%Y%m%dT%H%M%S%fZ")
    root = root_of(drop.source, drop.district_id)
    return f"{root}/deliveries/{delivery.day.isoformat()}/{instant}-{drop.drop_id}.json"


def _drop_id_in(delivery_key: str) -> str:
    return delivery_key.removesuffix(".json").rpartition("-")[2]


def _read_deliveries(store: Store, keys: Sequence[str]) -> list[Delivery]:
    """Reads side by side: a year of small files in S3 would take minutes one after another."""
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda key: _read_delivery(store, key), keys))
    return sorted(found, key=lambda d: (d.day, d.received_at, d.drop.source, d.drop.district_id))


def _read_delivery(store: Store, key: str) -> Delivery:
    data = read_record(store, key)
    try:
        drop = read_drop(store, data["source"], data["district_id"], data["drop_id"])
    except NotFound as error:
        raise damaged(key, store, "names a drop that is gone") from error
    # Records of older versions have no files: for them the times of the first coming hold.
    times = {file["name"]: _instant(file["modified_at"]) for file in data.get("files", [])}
    files = (replace(f, modified_at=times.get(f.name, f.modified_at)) for f in drop.files)
    drop = replace(drop, files=tuple(files))
    received_at = datetime.fromisoformat(data["received_at"])
    day = date.fromisoformat(data["day"])
    return Delivery(drop, day, received_at, data["origin"], data.get("choices", {}))


def read_drop(store: Store, source: str, district_id: str, drop_id: str) -> Drop:
    """A drop as its record has it, with the times of its first coming; raises NotFound."""
    data = read_record(store, f"{root_of(source, district_id)}/drops/{drop_id}/drop.json")
    files = tuple(
        DropFile(
            file["name"],
            file["size"],
            file["sha256"],
            _instant(file["modified_at"]),
            read_erased(file.get("erased")),
        )
        for file in data["files"]
    )
    return Drop(data["drop_id"], data["district_id"], data["source"], files)


def _read_approval(store: Store, key: str) -> Approval:
    data = read_record(store, key)
    at = datetime.fromisoformat(data.pop("at"))
    del data["format"]
    return Approval(**data, at=at)


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def shown(name: str) -> str:
    """A name from outside as it may stand in a message: quoted, harmless and short."""
    text = repr(name)
    return text if len(text) <= 80 else text[:77] + "..."
