"""What an answer about a student's score reports means. Pure.

1. `outcome_of`: what a request came to, by its status alone, never by its text.
2. `understood`: the records of an answer become reports, each once; or None where they are not what
   the service documents.
3. `new_codes`: what of it is new to us. Types and languages stay open: what is new is kept.
4. `may_go_on`: whether refusals are the students' own, or say that something is set up wrong.

Facts: the Student Score Report API, version 2021 3.0.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

SSID = r"^[0-9]{10}$"
"""A Statewide Student Identifier, as text: leading zeros count."""
TYPES = ("CAASPP", "STS", "CAST", "CSA", "CAAS", "ESA", "EIA", "LEXQUAN")
ALIASES = {"CST": "CAST"}
"""Deprecated codes, and those that took their place."""
LANGUAGES = ("EN", "ES", "VI", "ZH", "FL")
FIRST_YEAR = 2018
"""The first administration that people ask for."""
YEARS = range(1990, 2201)
"""Years that are held; others are none."""
MOST_LETTERS = 40
"""Longer codes are no codes."""
DRIFTS = 5
"""So many first answers that nobody understands end a run."""
CODE = re.compile(r"[A-Z][A-Z0-9_-]{0,15}")
"""Codes that may be told of; another could be anything."""

Outcome = Literal[
    "ok",
    "empty",
    "forbidden",
    "not_found",
    "bad_request",
    "server_error",
    "rate_limited",
    "schema_drift",
    "skipped_no_ssid",
    "skipped_bad_ssid",
    "skipped_no_configuration",
]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
ANSWERED: tuple[Outcome, ...] = ("ok", "empty")
"""The only outcomes that say which reports there are."""
AGAIN: tuple[Outcome, ...] = ("server_error", "rate_limited")
"""Outcomes after which a student is asked about again on the same day."""
REFUSALS: Mapping[Outcome, str] = {
    "forbidden": (
        "the service answered 403: they are not enrolled where these credentials are from. The"
        " credentials are most likely those of another district or charter school; correct the"
        " configuration or its schools"
    ),
    "not_found": (
        "the service answered 404: it knows no such students. What the roster has as their state"
        " id is most likely no SSID; correct the roster, or `match_on`"
    ),
    "bad_request": (
        "the service refused the requests themselves; correct the configuration's endpoints, or"
        " what `api:` overrides"
    ),
}
"""Refusals that are a student's own while they are few, and what it means where they are not."""


@dataclass(frozen=True)
class Report:
    """One report that the service lists, however often and under which code."""

    report_type: str
    language: str
    report_year: int
    report_format: str | None = None
    content_area: str | None = None
    type_given: str = ""
    """The codes that it was listed under, with | between."""
    grade: str | None = None
    has_link: bool = False

    @property
    def key(self) -> tuple[str, str, int, str | None, str | None]:
        """What tells a student's reports apart; the order of the columns of the catalogue's key."""
        return (
            *(self.report_type, self.language, self.report_year),
            *(self.report_format, self.content_area),
        )


def outcome_of(status: int | None) -> Outcome:
    """What a request came to that brought no list; None for no answer at all."""
    match status:
        case 403:
            return "forbidden"
        case 404:
            return "not_found"
        case 429:
            return "rate_limited"
        case int() if 200 <= status < 300:
            return "schema_drift"
        case int() if 400 <= status < 500:
            return "bad_request"
        case _:
            return "server_error"


def kind_of(code: str) -> str:
    """A type as the catalogue has it: in capitals, CST as CAST."""
    capitals = code.strip().upper()
    return ALIASES.get(capitals, capitals)


def understood(records: Sequence[Mapping[str, Any]]) -> tuple[Report, ...] | None:
    """The reports of an answer, sorted; None where any record is no report.

    A record has `type_given`, `language`, `report_year`, and may have `grade`, `report_format`,
    `content_area` and `has_link`. One report under several codes becomes one.
    """
    found: dict[Any, Report] = {}
    for record in records:
        report = _report(record)
        if report is None:
            return None
        known = found.get(report.key)
        found[report.key] = _as_one(known, report) if known else report
    return tuple(found[key] for key in sorted(found, key=lambda key: tuple(map(str, key))))


def new_codes(reports: Iterable[Report]) -> frozenset[str]:
    """Types and languages that are not documented, in words: `type XYZ`, `language QQ`."""
    listed = list(reports)
    types = {each.report_type for each in listed} - set(TYPES)
    languages = {each.language for each in listed} - set(LANGUAGES)
    return frozenset(
        [f"type {_told(code)}" for code in types]
        + [f"language {_told(code)}" for code in languages]
    )


def may_go_on(refused: int, asked: int, percent: float, floor: int) -> bool:
    """Whether so many refusals of a kind, of all that were asked about, are the students' own."""
    return refused <= floor or refused * 100 <= asked * percent


def _report(record: Mapping[str, Any]) -> Report | None:
    given, language = _code(record.get("type_given")), _code(record.get("language"))
    year = _year(record.get("report_year"))
    if not given or not language or year is None:
        return None
    return Report(
        report_type=kind_of(given),
        language=language.upper(),
        report_year=year,
        report_format=_code(record.get("report_format")) or None,
        content_area=_code(record.get("content_area")) or None,
        type_given=given,
        grade=_code(record.get("grade")) or None,
        has_link=record.get("has_link") is True,
    )


def _as_one(first: Report, second: Report) -> Report:
    given = sorted({*first.type_given.split("|"), second.type_given})
    return Report(
        *first.key,
        type_given="|".join(given),
        grade=first.grade or second.grade,
        has_link=first.has_link or second.has_link,
    )


def _code(value: Any) -> str:
    """A short text of one line; "" for anything else. Numbers are taken as they are written."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        return ""
    text = value.strip()
    return text if len(text) <= MOST_LETTERS and text.isprintable() else ""


def _year(value: Any) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}", value.strip()):
        value = int(value)
    is_whole = isinstance(value, int | float) and not isinstance(value, bool) and value in YEARS
    return int(value) if is_whole else None


def _told(code: str) -> str:
    return code if CODE.fullmatch(code) else "(an unusual code)"
