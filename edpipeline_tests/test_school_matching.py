"""Which school is which: what is suggested, what a person may say, and what comes of it."""

import pytest

from edpipeline.errors import EdpipelineError
from edpipeline.school_matching import (
    MATCHED,
    RosterSchool,
    Sides,
    VendorSchool,
    decided,
    nearest,
    plain,
    suggestions,
)

NORTH = RosterSchool("0101", "North Elementary School", "370001")
SOUTH = RosterSchool("0102", "South High", "370002")
OLD_NORTH = RosterSchool("0001", "North Elementary School", "369999", is_current=False)


def sides(*vendor: VendorSchool) -> Sides:
    return Sides(
        "lincoln",
        "star",
        {one.vendor_school_id: one for one in vendor},
        {one.school_id: one for one in (NORTH, SOUTH)},
    )


@pytest.mark.parametrize(
    ("school", "school_id", "why"),
    [
        (VendorSchool("7", "Elsewhere", state_id="370002"), "0102", "same id"),
        (VendorSchool("7", "Elsewhere", sourced_id="0101"), "0101", "same id"),
        (
            VendorSchool("7", "South High", identifier="101"),
            "0101",
            "same id but for leading zeros",
        ),
        (VendorSchool("7", "NORTH ELEM."), "0101", "same name"),
        (VendorSchool("7", "the South HS"), "0102", "same name"),
        (VendorSchool("7", "North High"), None, ""),
        (VendorSchool("0101"), None, "the vendor's own number is not one of the roster's"),
        (VendorSchool("7", state_id="370001", sourced_id="0102"), None, "ids contradict"),
        (VendorSchool("7", "South High", decision=MATCHED, school_id="0101"), None, "decided"),
    ],
)
def test_a_school_is_suggested_by_an_equal_id_then_by_its_name(
    school: VendorSchool, school_id: str | None, why: str
) -> None:
    found = suggestions([school], [NORTH, SOUTH, OLD_NORTH]).get(school.vendor_school_id)
    assert (found.school_id if found else None) == school_id
    assert found is None or found.why == why


def test_of_two_schools_that_could_be_meant_none_is_suggested() -> None:
    twins = [VendorSchool("7", "South High"), VendorSchool("8", "South High School")]
    assert suggestions(twins, [NORTH, SOUTH]) == {}
    both = [SOUTH, RosterSchool("0103", "South High")]
    assert suggestions(twins[:1], both) == {}
    assert suggestions(twins[:1], [NORTH, SOUTH])["7"].school_id == "0102"


def test_a_school_that_has_left_the_roster_is_suggested_only_where_no_open_one_is_meant() -> None:
    north = VendorSchool("7", "North Elementary School")
    assert suggestions([north], [OLD_NORTH, NORTH])["7"].school_id == "0101"
    assert suggestions([north], [OLD_NORTH, SOUTH])["7"].school_id == "0001"


@pytest.mark.parametrize(
    ("name", "compared"),
    [
        ("St. Mary's Elem.", "st marys elementary"),
        ("ST. MARY\u2019S ELEMENTARY SCHOOL", "st marys elementary"),
        ("École  du Lac & Forest M.S.", "ecole du lac and forest m s"),
        ("Lincoln Jr/Sr HS", "lincoln junior senior high"),
        ("", ""),
    ],
)
def test_names_are_compared_without_what_lists_write_differently(name: str, compared: str) -> None:
    assert plain(name) == compared


def test_what_a_person_says_goes_before_what_is_suggested() -> None:
    known = sides(
        VendorSchool("7", state_id="370001"), VendorSchool("8", "South High"), VendorSchool("a=b")
    )
    assert decided(known, ["7=0102", "a=b=0101"]) == {"7": "0102", "a=b": "0101"}
    assert decided(known, ["7=0102"], ["8"], accept_suggestions=True) == {"7": "0102", "8": None}
    assert decided(known, accept_suggestions=True) == {"7": "0101", "8": "0102"}
    assert decided(known, ["7 = 0102"], []) == {"7": "0102"}
    assert decided(known) == {}


@pytest.mark.parametrize(
    ("pairs", "no_school", "says"),
    [
        (
            ["R-1O1=0101"],
            [],
            r"star of lincoln has no school 'R-1O1'; the nearest: R-101 ",
        ),
        (["R-101=101"], [], r"roster of lincoln has no school '101'; the nearest: 0101 \(North El"),
        (["R-101=south hgh"], [], r"the nearest: 0102 \(South High\)"),
        ([], ["North"], r"the nearest: R-101 \(North\)"),
        ([], ["Atlantis"], r"it has 2, none is like it"),
        (["R-101"], [], "is no pair"),
        (["R-101=0101", "R-101=0102"], [], "two things are said about R-101"),
        (["R-101=0101"], ["R-101"], "two things are said about R-101"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_is_nearest(
    pairs: list[str], no_school: list[str], says: str
) -> None:
    known = sides(VendorSchool("R-101", "North"), VendorSchool("Q-22", "South"))
    with pytest.raises(EdpipelineError, match=says):
        decided(known, pairs, no_school)


def test_the_nearest_ids_are_told_by_id_or_by_name() -> None:
    names = {"0101": "North", "0102": "South", "9000": ""}
    assert nearest("101", names)[0] == "0101"
    assert nearest("norht", names) == ["0101"]
    assert nearest("zzz", names) == []
    assert nearest("0101", {}) == []
