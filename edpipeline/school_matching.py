"""Which school of the roster a vendor's school is: what is likely, and what a person says.

Pure. A suggestion is never applied by itself. Nothing here is about students: schools have names.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeVar

from edpipeline.errors import NotFound, Permanent

MATCHED, NO_MATCHING, NOT_MATCHED = "matched", "no_matching_school", "school_not_matched"
"""What marts.rpt_school_match says of a vendor's school."""

SHORT_WORDS = {
    **{"elem": "elementary", "el": "elementary", "es": "elementary", "ms": "middle"},
    **{"mid": "middle", "hs": "high", "jr": "junior", "sr": "senior", "jhs": "junior high"},
    **{"acad": "academy", "ctr": "center", "centre": "center", "intermed": "intermediate"},
}
"""Words of schools' names that are written in more than one way."""
SAID_OR_NOT = frozenset({"school", "sch", "the", "of", "at"})
"""Words that one list has in a name and another leaves out."""


@dataclass(frozen=True)
class VendorSchool:
    """A school as the vendor has it, and what was decided about it."""

    vendor_school_id: str
    name: str = ""
    state_id: str = ""
    identifier: str = ""
    sourced_id: str = ""
    decision: str = NOT_MATCHED
    school_id: str | None = None
    """The school of the roster, where it is matched."""
    result_count: int = 0


@dataclass(frozen=True)
class RosterSchool:
    """A school of the roster."""

    school_id: str
    name: str = ""
    number: str = ""
    """Its public number, such as its state or NCES code; "" where unknown."""
    is_current: bool = True


@dataclass(frozen=True)
class Suggestion:
    """A school that it probably is, and why."""

    vendor_school_id: str
    school_id: str
    why: str


@dataclass(frozen=True)
class Sides:
    """The schools of a vendor and of the roster of one district, each by its id."""

    district_id: str
    source: str
    vendor: Mapping[str, VendorSchool]
    roster: Mapping[str, RosterSchool]

    def suggestions(self) -> dict[str, Suggestion]:
        """What the vendor's schools that nobody decided about probably are, by their ids."""
        return suggestions(tuple(self.vendor.values()), tuple(self.roster.values()))

    def undecided(self) -> list[VendorSchool]:
        """The vendor's schools that wait for a person."""
        return [one for one in self.vendor.values() if one.decision == NOT_MATCHED]


_S = TypeVar("_S", VendorSchool, RosterSchool)
_Rule = tuple[str, Callable[[VendorSchool], set[str]], Callable[[RosterSchool], set[str]]]


def _vendor_ids(school: VendorSchool) -> set[str]:
    return _filled(school.state_id, school.identifier, school.sourced_id)


def _roster_ids(school: RosterSchool) -> set[str]:
    return _filled(school.school_id, school.number)


def _name(school: VendorSchool | RosterSchool) -> set[str]:
    return _filled(plain(school.name))


def _filled(*values: str) -> set[str]:
    return {value.strip().casefold() for value in values if value.strip()}


def _without_zeros(ids: set[str]) -> set[str]:
    return _filled(*(id_.lstrip("0") for id_ in ids))


RULES: tuple[_Rule, ...] = (
    ("same id", _vendor_ids, _roster_ids),
    (
        "same id but for leading zeros",
        lambda school: _without_zeros(_vendor_ids(school)),
        lambda school: _without_zeros(_roster_ids(school)),
    ),
    ("same name", _name, _name),
)
"""Why two schools may be the same one: words for it, and what is compared, the surest first. The
vendor's own id is not compared: it is a number of theirs, which may be anything here."""


def suggestions(
    vendor: Sequence[VendorSchool], roster: Sequence[RosterSchool]
) -> dict[str, Suggestion]:
    """The likeliest school of the roster for each school of the vendor that is not decided.

    The first rule by which anything agrees speaks, first about schools that are open, and only
    where it names one school on either side: of two that could be meant none is suggested.
    """
    found: dict[str, Suggestion | None] = {}
    open_ones = [school for school in roster if school.is_current]
    for why, of_vendor, of_roster in RULES:
        rivals = _by_key(vendor, of_vendor)
        for pool in (open_ones, [school for school in roster if not school.is_current]):
            meant_by = _by_key(pool, of_roster)
            for one in vendor:
                keys = of_vendor(one)
                meant = {school.school_id: school for key in keys for school in meant_by[key]}
                if not meant or one.vendor_school_id in found or one.decision != NOT_MATCHED:
                    continue
                [school_id, *more] = meant
                named = {other for key in of_roster(meant[school_id]) for other in rivals[key]}
                suggestion = Suggestion(one.vendor_school_id, school_id, why)
                is_sure = not more and named == {one}
                found[one.vendor_school_id] = suggestion if is_sure else None
    return {name: suggestion for name, suggestion in found.items() if suggestion}


def _by_key(schools: Sequence[_S], keys_of: Callable[[_S], set[str]]) -> dict[str, list[_S]]:
    found: dict[str, list[_S]] = defaultdict(list)
    for school in schools:
        for key in keys_of(school):
            found[key].append(school)
    return found


def plain(name: str) -> str:
    """A school's name as it is compared: `St. Mary's Elem.` is `st marys elementary`."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    bare = re.sub("['\u2019]", "", "".join(c for c in letters if not unicodedata.combining(c)))
    words = re.findall(r"[^\W_]+", bare.replace("&", " and "))
    kept = [SHORT_WORDS.get(word, word) for word in words if word not in SAID_OR_NOT]
    return " ".join(kept)


def decided(
    sides: Sides,
    pairs: Sequence[str] = (),
    no_school: Sequence[str] = (),
    accept_suggestions: bool = False,
) -> dict[str, str | None]:
    """What a person said: the school of the roster, or None, by the vendor's id of the school.

    `pairs` are texts such as `12345=0101`. With `accept_suggestions` what is suggested counts for
    the schools about which nothing else is said. Raises NotFound for ids that are not known,
    Permanent for a school about which two things are said.
    """
    said: list[tuple[str, str | None]] = [_pair(sides, text) for text in pairs]
    said += [(_known_vendor(sides, text), None) for text in no_school]
    found: dict[str, str | None] = {}
    for vendor_school_id, school_id in said:
        if found.setdefault(vendor_school_id, school_id) != school_id:
            raise Permanent(
                f"two things are said about {vendor_school_id} of {sides.source}: say one"
            )
    if accept_suggestions:
        for suggestion in sides.suggestions().values():
            found.setdefault(suggestion.vendor_school_id, suggestion.school_id)
    return found


def _pair(sides: Sides, text: str) -> tuple[str, str]:
    parts = text.split("=")
    if len(parts) < 2:
        raise Permanent(f"{text[:40]!r} is no pair: write the vendor's id, `=`, the roster's id")
    for at in range(1, len(parts)):  # ids may hold the sign too
        vendor_school_id, school_id = "=".join(parts[:at]).strip(), "=".join(parts[at:]).strip()
        if vendor_school_id in sides.vendor and school_id in sides.roster:
            return vendor_school_id, school_id
    vendor_school_id, school_id = parts[0].strip(), "=".join(parts[1:]).strip()
    return _known_vendor(sides, vendor_school_id), _known_roster(sides, school_id)


def _known_vendor(sides: Sides, text: str) -> str:
    names = {id_: school.name for id_, school in sides.vendor.items()}
    return _known(text.strip(), names, f"{sides.source} of {sides.district_id}")


def _known_roster(sides: Sides, text: str) -> str:
    names = {id_: school.name for id_, school in sides.roster.items()}
    return _known(text.strip(), names, f"the roster of {sides.district_id}")


def _known(asked: str, names: Mapping[str, str], where: str) -> str:
    if asked in names:
        return asked
    near = [f"{id_} ({names[id_]})" if names[id_] else id_ for id_ in nearest(asked, names)]
    known = f"the nearest: {', '.join(near)}" if near else f"it has {len(names)}, none is like it"
    raise NotFound(f"{where} has no school {asked[:40]!r}; {known}")


def nearest(asked: str, names: Mapping[str, str]) -> list[str]:
    """The ids, at most three, that are written much like `asked`, or whose names are."""
    by_name = {plain(name): id_ for id_, name in names.items() if name}
    by_id = {id_.casefold(): id_ for id_ in names}
    bare = {id_.casefold().lstrip("0"): id_ for id_ in names}
    found = [bare[asked.casefold().lstrip("0")]] if asked.casefold().lstrip("0") in bare else []
    found += [by_id[near] for near in get_close_matches(asked.casefold(), list(by_id), 3)]
    found += [by_name[near] for near in get_close_matches(plain(asked), list(by_name), 3)]
    return list(dict.fromkeys(found))[:3]
