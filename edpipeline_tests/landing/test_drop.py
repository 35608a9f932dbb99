import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edpipeline.errors import BadConfiguration, BadDelivery, NotFound, Permanent, Transient
from edpipeline.landing import drop as drop_module
from edpipeline.landing.drop import (
    Approval,
    Arrived,
    Delivery,
    approvals,
    approve,
    checked_name,
    deliveries,
    drop_id_of,
    find_drop,
    land,
    latest_per_day,
    open_drop,
    stored_name,
)
from edpipeline.landing.store import FolderStore, Store

DAY = date(2026, 8, 4)
NOON = datetime(2026, 8, 4, 12, tzinfo=UTC)
WRITTEN = datetime(2026, 8, 4, 1, 2, 3, tzinfo=UTC)
FILES = {"users.csv": b"sourcedId\n007\n", "classes.csv": b"sourcedId\n", "enrollments.csv": b""}

Lander = Callable[..., Delivery]


@pytest.fixture
def folder_store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "landing")


@pytest.fixture
def lander(tmp_path: Path) -> Lander:
    """Lands named contents for Lincoln's roster, by default at noon of DAY."""

    def land_contents(
        store: Store,
        contents: dict[str, bytes],
        at: datetime = NOON,
        day: date = DAY,
        source: str = "oneroster",
        district_id: str = "lincoln",
        written: datetime = WRITTEN,
        choices: dict[str, str] | None = None,
    ) -> Delivery:
        files = arrived(tmp_path, contents, written)
        return land(store, district_id, source, day, files, at, "a test", choices)

    return land_contents


def arrived(folder: Path, contents: dict[str, bytes], written: datetime = WRITTEN) -> list[Arrived]:
    files = []
    for number, (name, content) in enumerate(contents.items()):
        path = folder / f"incoming-{number}"
        path.write_bytes(content)
        files.append(Arrived(name, path, written))
    return files


def test_what_landed_is_opened_again_byte_for_byte(store: Store, lander: Lander) -> None:
    delivery = lander(store, FILES)
    with open_drop(store, delivery.drop) as paths:
        assert {name: path.read_bytes() for name, path in paths.items()} == FILES
    assert deliveries(store, "lincoln", "oneroster") == [delivery]
    assert [file.name for file in delivery.drop.files] == sorted(FILES)
    assert delivery.drop.files[2].modified_at == WRITTEN


def test_the_layout_of_the_store_is_the_one_documented(
    folder_store: FolderStore, lander: Lander
) -> None:
    drop_id = lander(folder_store, FILES).drop.drop_id
    root = "oneroster/lincoln"
    assert folder_store.list() == [
        f"{root}/deliveries/2026-08-04/20260804T120000000000Z-{drop_id}.json",
        f"{root}/drops/{drop_id}/01-classes.csv",
        f"{root}/drops/{drop_id}/02-enrollments.csv",
        f"{root}/drops/{drop_id}/03-users.csv",
        f"{root}/drops/{drop_id}/drop.json",
    ]


MANIFEST = """{
  "format": 1,
  "drop_id": "364a7b298bd4",
  "district_id": "lincoln",
  "source": "oneroster",
  "files": [
    {
      "name": "é.csv",
      "size": 1,
      "sha256": "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b",
      "modified_at": "2026-08-04T01:02:03+00:00"
    }
  ]
}
"""


def test_the_manifest_reads_well_and_never_changes_its_form(
    folder_store: FolderStore, lander: Lander
) -> None:
    drop_id = lander(folder_store, {"é.csv": b"1"}).drop.drop_id
    manifest = folder_store.read_bytes(f"oneroster/lincoln/drops/{drop_id}/drop.json")
    assert manifest.decode() == MANIFEST


def test_the_same_bytes_twice_on_a_day_are_one_delivery_and_the_first_is_kept(
    store: Store, lander: Lander
) -> None:
    first = lander(store, FILES)
    again = lander(store, dict(reversed(FILES.items())), at=NOON + timedelta(hours=1))
    assert again == first
    assert deliveries(store, "lincoln", "oneroster") == [first]


def test_the_same_bytes_on_another_day_are_the_same_drop_delivered_again(
    folder_store: FolderStore, lander: Lander
) -> None:
    first = lander(folder_store, FILES)
    later = NOON + timedelta(days=1)
    second = lander(folder_store, FILES, at=later, day=later.date())
    assert second.drop == first.drop
    assert deliveries(folder_store, "lincoln", "oneroster") == [first, second]
    assert len([key for key in folder_store.list() if key.endswith("drop.json")]) == 1


def test_each_delivery_knows_when_its_own_files_were_written(store: Store, lander: Lander) -> None:
    later = NOON + timedelta(days=1)
    first = lander(store, FILES)
    second = lander(store, FILES, at=later, day=later.date(), written=later)
    assert second.drop.drop_id == first.drop.drop_id
    assert {file.modified_at for file in second.drop.files} == {later}
    assert deliveries(store, "lincoln", "oneroster") == [first, second]


def test_the_same_bytes_written_anew_on_a_day_are_delivered_again(
    folder_store: FolderStore, lander: Lander
) -> None:
    later = NOON + timedelta(hours=1)
    first = lander(folder_store, FILES)
    second = lander(folder_store, FILES, at=later, written=later)
    assert lander(folder_store, FILES, at=later + timedelta(hours=1), written=later) == second
    assert deliveries(folder_store, "lincoln", "oneroster") == [first, second]


def test_a_delivery_recorded_without_its_files_has_the_times_of_its_drop(
    folder_store: FolderStore, lander: Lander
) -> None:
    delivery = lander(folder_store, FILES)
    [path] = (folder_store.folder / "oneroster/lincoln/deliveries").rglob("*.json")
    record = json.loads(path.read_text())
    del record["files"]
    path.chmod(0o600)
    path.write_text(json.dumps(record))
    assert deliveries(folder_store, "lincoln", "oneroster") == [delivery]


def test_what_was_chosen_is_kept_with_the_delivery(store: Store, lander: Lander) -> None:
    chosen = {"edition": "nwea_cdf_2020", "match_on": "email"}
    delivery = lander(store, FILES, choices=chosen)
    chosen["match_on"] = "username"
    [found] = deliveries(store, "lincoln", "oneroster")
    assert found == delivery
    assert found.choices == {"edition": "nwea_cdf_2020", "match_on": "email"}


def test_the_same_bytes_with_other_choices_are_a_delivery_of_their_own(
    folder_store: FolderStore, lander: Lander
) -> None:
    by_mail, by_id = {"match_on": "email"}, {"match_on": "state_user_id"}
    hours = [NOON + timedelta(hours=n) for n in range(5)]
    first = lander(folder_store, FILES, at=hours[0])
    second = lander(folder_store, FILES, at=hours[1], choices=by_mail)
    assert lander(folder_store, FILES, at=hours[2], choices=by_mail) == second
    third = lander(folder_store, FILES, at=hours[3], choices=by_id)
    back = lander(folder_store, FILES, at=hours[4], choices=by_mail)
    assert {one.drop.drop_id for one in (first, second, third, back)} == {first.drop.drop_id}
    assert deliveries(folder_store, "lincoln", "oneroster") == [first, second, third, back]
    assert [one.choices for one in (first, second, third, back)] == [{}, by_mail, by_id, by_mail]


def test_a_delivery_recorded_without_choices_has_none(
    folder_store: FolderStore, lander: Lander
) -> None:
    delivery = lander(folder_store, FILES)
    [path] = (folder_store.folder / "oneroster/lincoln/deliveries").rglob("*.json")
    assert "choices" not in json.loads(path.read_text()), "as records were before there were any"
    assert deliveries(folder_store, "lincoln", "oneroster") == [delivery]
    assert delivery.choices == {}


def test_bytes_that_come_back_after_others_on_a_day_are_delivered_anew(
    folder_store: FolderStore, lander: Lander
) -> None:
    """A district that takes a bad export back must end with the good one."""
    good = lander(folder_store, {"users.csv": b"good"})
    bad = lander(folder_store, {"users.csv": b"bad"}, at=NOON + timedelta(hours=1))
    back = lander(folder_store, {"users.csv": b"good"}, at=NOON + timedelta(hours=2))
    assert back.drop == good.drop
    assert back.received_at == NOON + timedelta(hours=2)
    assert deliveries(folder_store, "lincoln", "oneroster") == [good, bad, back]
    assert latest_per_day(folder_store, "lincoln", "oneroster") == {DAY: back}
    assert lander(folder_store, {"users.csv": b"good"}, at=NOON) == good, "a retry of the first"


def test_deliveries_are_in_order_of_day_then_instant_and_can_be_narrowed(
    folder_store: FolderStore, lander: Lander
) -> None:
    days = [DAY, DAY + timedelta(days=1), DAY + timedelta(days=2)]
    made = [
        lander(
            folder_store,
            {"users.csv": f"{day} {hour}".encode()},
            day=day,
            at=datetime(day.year, day.month, day.day, hour, tzinfo=UTC),
        )
        for day in reversed(days)
        for hour in (20, 8)
    ]
    expected = list(reversed(made))
    assert deliveries(folder_store, "lincoln", "oneroster") == expected
    assert deliveries(folder_store, "lincoln", "oneroster", days[1]) == expected[2:]
    assert deliveries(folder_store, "lincoln", "oneroster", None, days[1]) == expected[:4]
    assert deliveries(folder_store, "lincoln", "oneroster", days[1], days[1]) == expected[2:4]
    assert latest_per_day(folder_store, "lincoln", "oneroster") == {
        day: expected[2 * number + 1] for number, day in enumerate(days)
    }


def test_districts_and_sources_are_kept_apart(folder_store: FolderStore, lander: Lander) -> None:
    lander(folder_store, FILES)
    lander(folder_store, FILES, district_id="lincoln-2")
    lander(folder_store, FILES, source="oneroster2")
    assert len(deliveries(folder_store, "lincoln", "oneroster")) == 1
    assert deliveries(folder_store, "adams", "oneroster") == []


def test_an_instant_is_kept_in_utc_whatever_zone_it_is_given_in(
    folder_store: FolderStore, lander: Lander
) -> None:
    evening = datetime(2026, 8, 4, 19, tzinfo=timezone(timedelta(hours=-4)))
    delivery = lander(folder_store, FILES, at=evening)
    assert delivery.received_at == datetime(2026, 8, 4, 23, tzinfo=UTC)
    assert delivery.received_at.tzinfo is UTC
    with pytest.raises(ValueError, match="time zone"):
        lander(folder_store, FILES, at=datetime(2026, 8, 4, 19))


@pytest.mark.parametrize("written", [0, 1, 2, 3])
def test_a_landing_that_was_interrupted_is_not_seen_and_the_next_attempt_completes_it(
    folder_store: FolderStore, lander: Lander, written: int
) -> None:
    class Interrupted(FolderStore):
        def write_file(self, key: str, path: Path, sha256: str | None = None) -> None:
            if len(self.list()) == written:
                raise KeyboardInterrupt
            super().write_file(key, path, sha256)

        def write_bytes(self, key: str, data: bytes) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lander(Interrupted(folder_store.folder), FILES)
    assert len(folder_store.list()) == written
    assert deliveries(folder_store, "lincoln", "oneroster") == []
    with pytest.raises(NotFound):
        find_drop(folder_store, drop_id_of([("x", "y")]))

    delivery = lander(folder_store, FILES)
    assert deliveries(folder_store, "lincoln", "oneroster") == [delivery]
    with open_drop(folder_store, delivery.drop) as paths:
        assert {name: path.read_bytes() for name, path in paths.items()} == FILES


def test_a_landing_killed_between_the_manifest_and_the_delivery_is_completed(
    folder_store: FolderStore, lander: Lander
) -> None:
    first = lander(folder_store, FILES)
    for path in (folder_store.folder / "oneroster/lincoln/deliveries").rglob("*.json"):
        path.unlink()
    again = lander(folder_store, FILES, at=NOON + timedelta(minutes=5))
    assert again == replace(first, received_at=NOON + timedelta(minutes=5))
    assert deliveries(folder_store, "lincoln", "oneroster") == [again]


def test_a_file_that_changes_while_it_is_landed_is_tried_again_later(
    folder_store: FolderStore, lander: Lander, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = drop_module._size_and_hash

    def then_the_sender_writes_on(path: Path) -> tuple[int, str]:
        found = real(path)
        path.write_bytes(b"sourcedId\n007\n008\n")
        return found

    monkeypatch.setattr(drop_module, "_size_and_hash", then_the_sender_writes_on)
    with pytest.raises(Transient, match="changed while"):
        lander(folder_store, {"users.csv": b"sourcedId\n007\n"})
    monkeypatch.undo()
    lander(folder_store, {"users.csv": b"sourcedId\n007\n"})


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"sourcedId\n008\n"),
        lambda path: path.write_bytes(b""),
        lambda path: path.unlink(),
    ],
)
def test_a_damaged_landing_is_named_not_used(
    folder_store: FolderStore, lander: Lander, damage: Callable[[Path], object]
) -> None:
    delivery = lander(folder_store, FILES)
    path = folder_store.folder / f"oneroster/lincoln/drops/{delivery.drop.drop_id}/03-users.csv"
    path.chmod(0o600)
    damage(path)
    with (
        pytest.raises(Permanent, match=r"landing is damaged: .*03-users\.csv"),
        open_drop(folder_store, delivery.drop),
    ):
        pass


def test_a_delivery_whose_drop_is_gone_is_a_damage_not_a_missing_day(
    folder_store: FolderStore, lander: Lander
) -> None:
    drop_id = lander(folder_store, FILES).drop.drop_id
    (folder_store.folder / f"oneroster/lincoln/drops/{drop_id}/drop.json").unlink()
    with pytest.raises(Permanent, match="names a drop that is gone"):
        deliveries(folder_store, "lincoln", "oneroster")


@pytest.mark.parametrize(
    ("text", "message"), [("{", "damaged"), ("[]", "damaged"), ('{"format": 2}', "newer version")]
)
def test_a_manifest_this_program_cannot_read_is_refused(
    folder_store: FolderStore, text: str, message: str
) -> None:
    folder_store.write_bytes("oneroster/lincoln/deliveries/2026-08-04/x.json", text.encode())
    with pytest.raises(Permanent, match=message):
        deliveries(folder_store, "lincoln", "oneroster")


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        ".",
        "..",
        ".users.csv",
        "../users.csv",
        "/etc/passwd",
        "a\\users.csv",
        "users\n.csv",
        "users\x00.csv",
        "users\u202ecsv.exe",
        "users\udce9.csv",
        "x" * 256,
        "é" * 128,
    ],
)
def test_a_name_that_is_no_plain_file_name_is_refused(
    folder_store: FolderStore, tmp_path: Path, name: str
) -> None:
    (tmp_path / "content").touch()
    files = [Arrived(name, tmp_path / "content")]
    with pytest.raises(BadDelivery, match="is refused") as raised:
        land(folder_store, "lincoln", "oneroster", DAY, files, NOON, "a test")
    assert len(str(raised.value)) < 300
    assert str(raised.value).isprintable()
    assert folder_store.list() == []


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("users.csv", "01-users.csv"),
        ("MAP Fall 2026 (final).CSV", "01-MAP_Fall_2026__final_.CSV"),
        ("été 3\u202fPM.csv", "01-_t__3_PM.csv"),
        ("CON:evil", "01-CON_evil"),
        ("-rf", "01--rf"),
        ("x" * 200 + ".csv", "01-" + "x" * 100 + ".csv"),
        ("名簿.zip", "01-__.zip"),
    ],
)
def test_names_from_outside_become_safe_names_on_disk(name: str, stored: str) -> None:
    assert stored_name(1, checked_name(name)) == stored


@settings(max_examples=40)
@given(st.text(max_size=150))
def test_any_name_is_refused_or_stored_as_one_safe_step(name: str) -> None:
    try:
        checked_name(name)
    except BadDelivery:
        return
    FolderStore(Path("landing"))._path(f"drops/{stored_name(7, name)}")


def test_names_that_differ_only_in_what_we_replace_do_not_collide(
    folder_store: FolderStore, lander: Lander
) -> None:
    contents = {"a b.csv": b"1", "a_b.csv": b"2", "a\u00e9b.csv": b"3"}
    with open_drop(folder_store, lander(folder_store, contents).drop) as paths:
        assert {name: path.read_bytes() for name, path in paths.items()} == contents


def test_a_drop_without_files_or_with_a_name_twice_is_refused(
    folder_store: FolderStore, tmp_path: Path
) -> None:
    (one,) = arrived(tmp_path, {"users.csv": b""})
    for files in ([], [one, one]):
        with pytest.raises(BadDelivery, match="at least one file"):
            land(folder_store, "lincoln", "oneroster", DAY, files, NOON, "a test")


@pytest.mark.parametrize("district_id", ["", "..", "a/b", ".hidden", "a b"])
def test_a_district_that_cannot_be_a_folder_is_a_configuration_error(
    folder_store: FolderStore, lander: Lander, district_id: str
) -> None:
    with pytest.raises(BadConfiguration, match="district_id"):
        lander(folder_store, FILES, district_id=district_id)


def test_a_drop_is_found_by_the_beginning_of_its_id_in_every_district(
    folder_store: FolderStore, lander: Lander
) -> None:
    here = lander(folder_store, FILES)
    there = lander(folder_store, FILES, district_id="adams", at=NOON + timedelta(minutes=1))
    other = lander(folder_store, FILES, source="other", at=NOON + timedelta(minutes=2))
    drop_id = here.drop.drop_id
    assert find_drop(folder_store, drop_id) == [here, there, other]
    assert find_drop(folder_store, drop_id[:4].upper(), "oneroster") == [here, there]


def test_a_drop_that_is_not_there_is_answered_with_the_latest_ones(
    folder_store: FolderStore, lander: Lander
) -> None:
    with pytest.raises(NotFound, match="none at all"):
        find_drop(folder_store, "0000")
    latest = lander(folder_store, FILES).drop.drop_id
    missing = "0000" if not latest.startswith("0000") else "1111"
    with pytest.raises(NotFound, match=f"the latest are: {latest}"):
        find_drop(folder_store, missing)


@pytest.mark.parametrize("asked", ["", "abc", "../..", "users.csv", "g" * 12, "a" * 13])
def test_what_is_no_drop_id_is_said_to_be_none(folder_store: FolderStore, asked: str) -> None:
    with pytest.raises(NotFound, match="not a drop id"):
        find_drop(folder_store, asked)


def test_a_beginning_that_two_drops_share_asks_for_more(
    folder_store: FolderStore, lander: Lander
) -> None:
    first = lander(folder_store, FILES)
    twin = replace(first.drop, drop_id=first.drop.drop_id[:4] + "0" * 8)
    key = f"oneroster/lincoln/deliveries/2026-08-04/20260804T130000000000Z-{twin.drop_id}.json"
    folder_store.write_bytes(key, b"{}")
    with pytest.raises(NotFound, match="more than one drop"):
        find_drop(folder_store, first.drop.drop_id[:4])
    assert find_drop(folder_store, first.drop.drop_id) == [first]


def an_approval(drop_id: str, what: str = "first_sync", by: str = "ana") -> Approval:
    return Approval(drop_id, "lincoln", "oneroster", what, by, NOON, "looked at the report")


def test_every_decision_is_kept_also_a_later_one_about_the_same_drop(
    store: Store, lander: Lander
) -> None:
    drop_id = lander(store, FILES).drop.drop_id
    first = approve(store, an_approval(drop_id))
    assert first == an_approval(drop_id)
    assert approve(store, an_approval(drop_id)) == first
    later = approve(store, replace(an_approval(drop_id, by="ben"), at=NOON + timedelta(days=1)))
    removals = approve(store, replace(later, what="removals"))
    assert approvals(store, "lincoln", "oneroster") == [first, later, removals]
    assert approvals(store, "adams", "oneroster") == []


def test_what_has_not_landed_cannot_be_approved(folder_store: FolderStore) -> None:
    with pytest.raises(NotFound, match="nothing to approve"):
        approve(folder_store, an_approval("0123456789ab"))
    assert folder_store.list() == []


def test_the_kind_of_decision_never_becomes_a_path(
    folder_store: FolderStore, lander: Lander
) -> None:
    drop_id = lander(folder_store, FILES).drop.drop_id
    with pytest.raises(BadConfiguration, match="decision"):
        approve(folder_store, an_approval(drop_id, what="../x"))


plain_text = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), max_size=8)
names_and_hashes = st.dictionaries(plain_text, st.text("0a", max_size=4), max_size=5)


@settings(max_examples=30)
@given(names_and_hashes, st.randoms(use_true_random=False))
def test_a_drop_id_does_not_depend_on_the_order_of_its_files(
    files: dict[str, str], random: Random
) -> None:
    shuffled = list(files.items())
    random.shuffle(shuffled)
    assert drop_id_of(shuffled) == drop_id_of(files.items())
    assert len(drop_id_of(shuffled)) == 12


@settings(max_examples=50)
@given(names_and_hashes, names_and_hashes)
def test_different_names_or_contents_make_different_drops(
    one: dict[str, str], other: dict[str, str]
) -> None:
    assert (drop_id_of(one.items()) == drop_id_of(other.items())) == (one == other)
