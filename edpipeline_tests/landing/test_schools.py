"""Which school is which, kept with what landed: the latest decision about a school counts."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from edpipeline.errors import BadConfiguration, Permanent
from edpipeline.landing.schools import SchoolDecision, decide_schools, school_decisions
from edpipeline.landing.store import open_store

AT = datetime(2026, 9, 1, 12, tzinfo=UTC)


def test_the_latest_decision_about_a_school_counts_whatever_the_order_of_writing(
    tmp_path: Path,
) -> None:
    store = open_store(str(tmp_path))
    later = AT + timedelta(minutes=5)
    decide_schools(store, "lincoln", "star", {"7": "0102"}, "Bo", later)
    decide_schools(store, "lincoln", "star", {"7": "0101", "8": None}, "Ada", AT)
    decide_schools(store, "lincoln", "scantron", {"7": "0109"}, "Ada", AT)
    assert school_decisions(store, "lincoln", "star") == {
        "7": SchoolDecision("7", "0102", "Bo", later),
        "8": SchoolDecision("8", None, "Ada", AT),
    }
    assert school_decisions(store, "other", "star") == {}


def test_the_same_act_is_written_once_and_two_acts_of_one_instant_are_both_kept(
    tmp_path: Path,
) -> None:
    store = open_store(str(tmp_path))
    east = AT.astimezone(timezone(timedelta(hours=5)))
    for schools, at in (({"7": "0101"}, AT), ({"7": "0101"}, east), ({"8": "0102"}, AT)):
        decide_schools(store, "lincoln", "star", schools, "Ada", at)
    assert len(store.list("star/lincoln/schools/")) == 2
    assert set(school_decisions(store, "lincoln", "star")) == {"7", "8"}


def test_what_is_not_a_decision_of_ours_is_told_as_damage(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    for name, text in (("a", b"{"), ("b", b'{"format": 1}'), ("c", b'{"format": 2}')):
        store.write_bytes(f"{name}/lincoln/schools/x.json", text)
        with pytest.raises(Permanent, match=r"damaged|newer version"):
            school_decisions(store, "lincoln", name)
    with pytest.raises(BadConfiguration):
        school_decisions(store, "../x", "star")
