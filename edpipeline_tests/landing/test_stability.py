from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edpipeline.errors import BadConfiguration
from edpipeline.landing.drop import Drop, DropFile
from edpipeline.landing.stability import (
    REMEMBERED,
    Finding,
    Look,
    LookSettings,
    RemoteFile,
    Verdict,
    files_taken,
    look,
    version,
)

EVENING = datetime.combine(date(2026, 8, 4), datetime.min.time(), UTC) + timedelta(hours=23)
ROSTER = ("users.csv", "classes.csv", "enrollments.csv")


def at(minutes: float) -> datetime:
    """So many minutes after the evening's upload began."""
    return EVENING + timedelta(minutes=minutes)


def file(name: str, minutes: float = 0, size: int = 100) -> RemoteFile:
    return RemoteFile(name, size, int(at(minutes).timestamp()))


def roster(minutes: float = 0, size: int = 100) -> list[RemoteFile]:
    return [file(name, minutes, size) for name in ROSTER]


def looks(
    *listings: tuple[float, list[RemoteFile]],
    expected: tuple[str, ...] | None = ROSTER,
    previous: Look | None = None,
    settings: LookSettings | None = None,
) -> tuple[Finding, Look]:
    """The last of several looks, each at its minute."""
    for minute, listing in listings:
        finding, previous = look(previous, listing, at(minute), expected, settings)
    assert previous is not None
    return finding, previous


def taken(*files: RemoteFile) -> Look:
    return Look(at(0)).after_taking(files)


def test_an_empty_folder_is_nothing_new() -> None:
    finding, seen = looks((1, []))
    assert finding == Finding(Verdict.NOTHING_NEW)
    assert seen == Look(at(1))


def test_a_whole_set_is_ready_at_the_second_look_and_not_before() -> None:
    finding, seen = looks((5, roster()))
    assert finding.verdict is Verdict.GROWING
    assert set(finding.names) == set(ROSTER)
    finding, _ = looks((10, roster()), previous=seen)
    assert finding == Finding(Verdict.READY, tuple(sorted(roster())))


def test_a_set_that_was_taken_is_nothing_new_until_one_of_its_files_changes() -> None:
    _, seen = looks((5, roster()), (10, roster()))
    seen = seen.after_taking(roster())
    finding, seen = looks((15, roster()), (20, roster()), previous=seen)
    assert finding == Finding(Verdict.NOTHING_NEW)
    corrected = [file("users.csv", 22), *roster()[1:]]
    finding, _ = looks((25, corrected), (30, corrected), previous=seen)
    assert finding == Finding(Verdict.READY, tuple(sorted(corrected)))


@pytest.mark.parametrize("change", [{"size": 101}, {"minutes": 6}])
def test_a_file_that_changes_between_two_looks_is_growing(change: dict[str, float]) -> None:
    changed = [file("users.csv", **change), *roster()[1:]]  # type: ignore[arg-type]
    finding, seen = looks((5, roster()), (10, changed))
    assert (finding.verdict, finding.names) == (Verdict.GROWING, ("users.csv",))
    finding, _ = looks((15, changed), previous=seen)
    assert finding.verdict is Verdict.READY


def test_a_file_that_changed_and_changed_back_is_looked_at_again() -> None:
    other = [file("users.csv", size=1), *roster()[1:]]
    finding, _ = looks((5, roster()), (6, other), (7, roster()))
    assert (finding.verdict, finding.names) == (Verdict.GROWING, ("users.csv",))


def test_a_file_that_was_away_for_a_look_begins_again() -> None:
    finding, _ = looks((5, roster()), (10, roster()[1:]), (15, roster()))
    assert (finding.verdict, finding.names) == (Verdict.GROWING, ("users.csv",))


def test_looks_too_close_to_each_other_do_not_count_and_their_times_add_up() -> None:
    finding, seen = looks((5, roster()), (5.5, roster()))
    assert finding.verdict is Verdict.GROWING
    finding, _ = looks((6, roster()), previous=seen)
    assert finding.verdict is Verdict.READY


def test_an_empty_file_can_be_part_of_a_whole_set() -> None:
    assert looks((5, roster(size=0)), (10, roster(size=0)))[0].verdict is Verdict.READY


def test_missing_files_are_named() -> None:
    finding, _ = looks((5, roster()[:1]), (10, roster()[:1]))
    assert finding == Finding(
        Verdict.INCOMPLETE, tuple(roster()[:1]), ("classes.csv", "enrollments.csv")
    )


def test_yesterdays_files_beside_todays_are_apart_and_named() -> None:
    today = [file("users.csv", 24 * 60), *roster()[1:]]
    finding, _ = looks((24 * 60 + 5, today), (24 * 60 + 10, today), previous=taken(*roster()))
    assert finding.verdict is Verdict.APART
    assert finding.names == ("classes.csv", "enrollments.csv")


@pytest.mark.parametrize(("minutes", "verdict"), [(60, Verdict.READY), (61, Verdict.APART)])
def test_a_set_may_take_an_hour_to_write(minutes: int, verdict: Verdict) -> None:
    slow = [file("users.csv", minutes), *roster()[1:]]
    assert looks((90, slow), (95, slow))[0].verdict is verdict


def test_a_server_whose_clock_is_hours_ahead_only_makes_us_wait_the_quiet_time() -> None:
    ahead = roster(minutes=300)
    patient = LookSettings(min_seconds=60, quiet_seconds=600)
    finding, seen = looks((5, ahead), (10, ahead), settings=patient)
    assert finding.verdict is Verdict.GROWING
    finding, _ = looks((15, ahead), previous=seen, settings=patient)
    assert finding.verdict is Verdict.READY


def test_a_server_whose_clock_is_behind_does_not_spare_the_second_look() -> None:
    behind = roster(minutes=-300)
    finding, _ = looks((5, behind), (5.5, behind))
    assert finding.verdict is Verdict.GROWING


def test_a_clock_of_ours_that_is_set_back_makes_nothing_ready() -> None:
    finding, _ = looks((10, roster()), (5, roster()))
    assert finding.verdict is Verdict.GROWING


def test_names_are_compared_without_regard_to_case() -> None:
    shouted = [RemoteFile(f.name.upper(), f.size, f.modified_at) for f in roster()]
    finding, _ = looks((5, shouted), (10, shouted))
    assert finding == Finding(Verdict.READY, tuple(sorted(shouted)))


def test_files_that_do_not_count_are_as_if_not_there() -> None:
    noise = [file("readme.txt"), file("users.csv.bak"), file("log.xml")]
    finding, seen = looks((5, noise), (10, noise))
    assert finding.verdict is Verdict.NOTHING_NEW
    assert seen.watched == ()


def test_other_files_of_the_same_hour_travel_with_the_set_and_old_ones_do_not() -> None:
    extra, old = file("guardians.csv", 10), file("users_2024.csv", -100_000)
    finding, seen = looks((15, [*roster(), extra, old]), (20, [*roster(), extra, old]))
    assert finding == Finding(Verdict.READY, tuple(sorted([*roster(), extra])))
    seen = seen.after_taking(finding.files)
    finding, _ = looks((25, [*roster(), extra, old]), previous=seen)
    assert finding.verdict is Verdict.NOTHING_NEW


def test_without_expected_names_all_files_that_count_are_one_set() -> None:
    files = [file("manifest.csv"), file("orgs.csv")]
    finding, _ = looks((5, files), (10, files), expected=None)
    assert finding == Finding(Verdict.READY, tuple(files))


def test_a_zip_is_a_whole_set_alone_whatever_lies_beside_it() -> None:
    stale = file("users.csv", -100_000)
    package = file("Any Name.ZIP")
    finding, _ = looks((5, [package, stale]), (10, [package, stale]))
    assert finding == Finding(Verdict.READY, (package,))


def test_several_zips_are_taken_one_after_another_in_the_order_they_were_written() -> None:
    zips = [file("b.zip", 1), file("a.zip", 2), file("c.zip", 0)]
    _, seen = looks((5, zips))
    order = []
    for minute in (10, 15, 20, 25):
        finding, seen = looks((minute, zips), previous=seen)
        order += [one.name for one in finding.files]
        seen = seen.after_taking(finding.files)
    assert order == ["c.zip", "b.zip", "a.zip"]
    assert finding.verdict is Verdict.NOTHING_NEW


def test_files_may_be_declared_to_stand_alone_one_by_one() -> None:
    each = LookSettings(patterns=("*.csv",), alone=("*",))
    files = [file("fall.csv"), file("winter.csv", 1000)]
    finding, _ = looks((1005, files), (1010, files), expected=None, settings=each)
    assert finding == Finding(Verdict.READY, (files[0],))


def test_a_set_that_is_ready_is_told_before_one_that_is_waited_for() -> None:
    growing, ready = file("new.zip", 1), file("old.zip", 2)
    _, seen = looks((5, [ready]))
    finding, _ = looks((10, [growing, ready]), previous=seen)
    assert finding == Finding(Verdict.READY, (ready,))


def test_a_look_survives_the_cursor_of_a_sensor() -> None:
    _, seen = looks((5, roster()), (10, [*roster()[:2], file("é.csv")]))
    seen = seen.after_taking(roster()[:1])
    assert Look.from_json(seen.to_json()) == seen
    assert len(seen.to_json()) < 400


@pytest.mark.parametrize(
    "text", ["", "5", "{}", '{"format": 2}', '{"format": 1, "at": "x", "watched": [], "taken": []}']
)
def test_a_cursor_that_is_not_ours_says_what_to_do(text: str) -> None:
    with pytest.raises(BadConfiguration, match="reset the sensor's cursor"):
        Look.from_json(text)


def test_a_lost_cursor_is_made_again_from_what_landed() -> None:
    files = tuple(
        DropFile(one.name, one.size, "00", datetime.fromtimestamp(one.modified_at, UTC))
        for one in roster()
    )
    drop = Drop("0" * 12, "lincoln", "oneroster", (*files, DropFile("x.csv", 1, "00", None)))
    again = Look(at(4)).after_taking(files_taken([drop]))
    assert looks((5, roster()), previous=again)[0].verdict is Verdict.NOTHING_NEW


def test_the_memory_stays_small_and_keeps_what_is_still_there() -> None:
    many = [file(f"{number:05d}.zip", number) for number in range(REMEMBERED + 50)]
    still_there = many[:20]
    _, seen = looks((9999, still_there), previous=taken(*many))
    assert len(seen.taken) == REMEMBERED
    assert {version(one) for one in still_there} <= set(seen.taken)
    assert version(many[-1]) in seen.taken
    assert len(seen.to_json()) < 20_000


listings = st.lists(
    st.builds(
        RemoteFile,
        st.sampled_from([*ROSTER, "guardians.csv", "all.zip", "readme.txt"]),
        st.integers(0, 2),
        st.integers(0, 3).map(lambda hours: int(EVENING.timestamp()) + 1800 * hours),
    ),
    unique_by=lambda one: one.name,
    max_size=6,
)


Looks = list[tuple[float, list[RemoteFile]]]


def looked_at(few: list[list[RemoteFile]]) -> st.SearchStrategy[Looks]:
    """Looks that find one of a few listings, so that files often lie as they lay before."""
    return st.lists(st.tuples(st.floats(0.01, 3), st.sampled_from(few)), min_size=1, max_size=8)


@settings(max_examples=100)
@given(
    st.lists(listings, min_size=1, max_size=3).flatmap(looked_at),
    st.sampled_from([None, ROSTER]),
)
def test_what_is_ready_was_seen_unchanged_a_minute_ago_and_is_taken_once(
    steps: Looks, expected: tuple[str, ...] | None
) -> None:
    seen: Look | None = None
    history: list[tuple[datetime, list[RemoteFile]]] = []
    everything_taken: set[tuple[RemoteFile, ...]] = set()
    now = at(0)
    for minutes, listing in steps:
        now += timedelta(minutes=minutes)
        history.append((now, listing))
        finding, seen = look(seen, listing, now, expected)
        seen = Look.from_json(seen.to_json())
        assert set(finding.files) <= set(listing)
        if finding.verdict is not Verdict.READY:
            continue
        assert finding.files not in everything_taken
        is_zip = [one.name for one in finding.files] == ["all.zip"]
        assert is_zip or expected is None or set(expected) <= {one.name for one in finding.files}
        times = [one.modified_at for one in finding.files]
        assert max(times) - min(times) <= 3600
        for one in finding.files:
            if any(one in earlier for earlier in everything_taken):
                continue
            unchanged_since = now
            for when, earlier_listing in reversed(history):
                if one not in earlier_listing:
                    break
                unchanged_since = when
            assert (now - unchanged_since).total_seconds() >= 60
        everything_taken.add(finding.files)
        seen = seen.after_taking(finding.files)


@settings(max_examples=30)
@given(listings, st.randoms(use_true_random=False))
def test_the_order_of_a_listing_does_not_matter(listing: list[RemoteFile], random: Random) -> None:
    shuffled = list(listing)
    random.shuffle(shuffled)
    assert look(None, shuffled, at(5), ROSTER) == look(None, listing, at(5), ROSTER)
