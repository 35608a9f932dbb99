"""Links to the reports of one student, for one person who waits for them.

A link is fetched anew, lives half an hour and is given back; it is written down nowhere. That it
was asked for is: in landing and in ops.access_log, before anybody sees it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from edpipeline import sources
from edpipeline.api import LOOPBACK
from edpipeline.districts import score_reports_use
from edpipeline.errors import BadConfiguration, EdpipelineError, Garbled, NotFound, Permanent
from edpipeline.landing.accesses import Access, record_access
from edpipeline.landing.looked import plain
from edpipeline.loading import accesses
from edpipeline.pipeline import Pipeline
from edpipeline.sources.score_reports import decisions
from edpipeline.surveying.accounts import SOURCE
from edpipeline.surveying.ask import NO_REPORTS
from edpipeline.surveying.vendor import LINKS, api_of, client_of

LIFE_MINUTES = 30
"""So long a link lives, as the service says."""
WANTED = re.compile(r"[A-Za-z0-9]{1,20}")
"""Types and languages that may be asked for: new ones too."""
VISIBLE = re.compile(r"[\x21-\x7e]+")
REFUSED = {
    403: "the service says that the student is not enrolled in this district (403); rights follow"
    " CALPADS and change every day",
    404: "the service does not know the student (404); look at the SSID in the roster",
}


@dataclass(frozen=True)
class Asked:
    """Which reports of the student; empty and None for all. CST and CAST are one type."""

    type: str = ""
    language: str = ""
    year: int | None = None

    def __post_init__(self) -> None:
        """Raises BadConfiguration for what can be no type, language or year."""
        for name, text in (("type", self.type), ("language", self.language)):
            if text and not WANTED.fullmatch(text):
                raise BadConfiguration(f"{name}: letters and digits only, 20 at most")
        if self.year is not None and self.year not in decisions.YEARS:
            raise BadConfiguration("year: four digits, such as 2026")

    @property
    def kind(self) -> str:
        """The type as the catalogue has it; "" for every type."""
        return decisions.kind_of(self.type)


@dataclass(frozen=True)
class Link:
    """One report, and where it is to be had for half an hour."""

    type_given: str
    report_type: str
    language: str
    report_year: int
    grade: str | None
    report_format: str | None
    content_area: str | None
    url: str = field(repr=False)

    @property
    def title(self) -> str:
        """Which report it is, such as CAASPP EN 2025."""
        more = (self.report_format, self.content_area)
        named = (self.report_type, self.language, str(self.report_year), *more)
        return " ".join(each for each in named if each)


@dataclass(frozen=True)
class _Student:
    student_id: str = field(repr=False)
    school_id: str | None
    ssid: str = field(repr=False)


def links(
    pipeline: Pipeline, district_id: str, student: str, asked: Asked, at: datetime, by: str
) -> tuple[Link, ...]:
    """Links to the student's reports, of those that have one; each lives half an hour.

    `student` is the SSID, or any id by which the roster knows the student. Before this returns, one
    row says in ops.access_log who asked for whose reports, and for which there was a link; also
    where there was none. Raises NotFound where the roster knows nobody or several by that id, or
    the service does not know the student; BadConfiguration and BadCredentials where a person has to
    act; Transient where it may pass; none of them names the student.
    """
    use = score_reports_use(pipeline.district(district_id))
    one = _student(pipeline, district_id, student.strip(), use.match_on)
    of = use.configuration_of(one.school_id)
    if of is None:
        raise BadConfiguration(
            f"{district_id}: no configuration of `{SOURCE}:` in the districts file is for the"
            " student's school; add the school to one, or a configuration without schools"
        )
    spec = api_of(sources.source(SOURCE), use, of)
    year = str(asked.year or "")
    wanted = {"type": asked.kind, "lang": asked.language.upper(), "year": year}
    with client_of(spec, of) as client:
        client.be_signed_in()
        try:
            looked = client.look_up(LINKS, {"ssid": one.ssid, **wanted})
        except EdpipelineError as error:
            if error.status in REFUSED and not client.is_refused:
                kind = NotFound if error.status == 404 else Permanent
                raise kind(f"{spec.title}: {REFUSED[error.status]}") from None
            raise
    records = [plain(record) for record in looked.children.get("reports", ())]
    found = tuple(each for each in _links(records) if _is_wanted(each, asked))
    _record(pipeline, district_id, one, asked, found, at, by)
    return found


def _student(pipeline: Pipeline, district_id: str, given: str, match_on: str) -> _Student:
    with pipeline.warehouse.transaction() as session:
        if not session.has_table("marts.dim_student_identifier"):
            raise NotFound(f"{district_id}: there is no roster yet; sync it first")
        found = session.rows(
            "select distinct i.student_id, i.is_current, s.school_id"
            " from marts.dim_student_identifier i join marts.dim_student s"
            " on s.district_id = i.district_id and s.student_id = i.student_id"
            " where i.district_id = $district and (i.match_value = $given"
            " or (i.match_field in ('username', 'email') and i.match_value = lower($given)))",
            district=district_id,
            given=given,
        )
        # Who left counts where nobody who is there has the id.
        found = [row for row in found if row[1]] or found
        if len(found) != 1:
            what = "several students have that id" if found else "no student has that id"
            raise NotFound(
                f"{district_id}: in the roster {what}; give the student's SSID, sourcedId or"
                " another id of the roster"
            )
        ((student_id, _, school_id),) = found
        given_ssids = session.rows(
            "select match_value from marts.dim_student_identifier where district_id = $district"
            " and student_id = $student and match_field = $field order by match_value",
            district=district_id,
            student=student_id,
            field=match_on,
        )
    ssids = [value for (value,) in given_ssids if re.fullmatch(decisions.SSID, value)]
    if not ssids:
        raise NotFound(
            f"{district_id}: the roster has no SSID of 10 digits for the student; reports are kept"
            " under it"
        )
    return _Student(student_id, school_id, given if given in ssids else ssids[0])


def _links(records: Sequence[Mapping[str, Any]]) -> list[Link]:
    """Each report once, as far as it has a link. Raises Garbled for what is no report."""
    found: dict[Any, Link] = {}
    for record in records:
        reports = decisions.understood([record])
        if reports is None:
            raise Garbled(f"the score report service: {NO_REPORTS}")
        (report,), url = reports, record.get("url")
        if _is_link(url) and (report.key not in found or report.type_given == report.report_type):
            found[report.key] = Link(
                report.type_given, *report.key[:3], report.grade, *report.key[3:], url=str(url)
            )
    return sorted(found.values(), key=lambda each: each.title)


def _is_link(url: object) -> bool:
    """Whether a browser may be sent there: nothing but the web, and encrypted."""
    if not isinstance(url, str) or not VISIBLE.fullmatch(url):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    is_here = parts.scheme == "http" and parts.hostname in LOOPBACK
    return bool(parts.hostname) and (parts.scheme == "https" or is_here)


def _is_wanted(link: Link, asked: Asked) -> bool:
    """Whether a report is one of those asked for, whatever the service sent."""
    return (
        asked.kind in ("", link.report_type)
        and asked.language.upper() in ("", link.language)
        and asked.year in (None, link.report_year)
    )


def _record(
    pipeline: Pipeline,
    district_id: str,
    one: _Student,
    asked: Asked,
    found: Sequence[Link],
    at: datetime,
    by: str,
) -> None:
    access = Access(
        at=at.astimezone(UTC),
        by=by,
        student_id=one.student_id,
        ssid=one.ssid,
        reports=", ".join(each.title for each in found) or None,
        link_count=len(found),
        asked_type=asked.kind or None,
        asked_language=asked.language.upper() or None,
        asked_year=asked.year,
    )
    # Where the warehouse cannot have the row, landing has no record of what nobody was shown.
    with pipeline.warehouse.transaction() as session:
        accesses.show(session, district_id, SOURCE, access)
        record_access(pipeline.store, district_id, SOURCE, access)
