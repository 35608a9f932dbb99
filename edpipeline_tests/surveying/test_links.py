"""Links to the reports of one student: given to who asks, and written down nowhere."""

from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import requests

from edpipeline.errors import (
    BadConfiguration,
    BadCredentials,
    Busy,
    EdpipelineError,
    NotFound,
    Permanent,
    Transient,
)
from edpipeline.landing.accesses import recorded_accesses
from edpipeline.sandbox.vendors import Vendors
from edpipeline.surveying import Asked, Link, links
from edpipeline_tests.surveying.installation import (
    DEFAULT,
    DISTRICT,
    NOW,
    OLD_SCIENCE,
    REPORT,
    SCIENCE,
    SPANISH,
    Installation,
    installed,
    ssid,
)

REPORTS = "/score-reports"
BY = "sam@quillmere.example"
LOG = (
    "select accessed_by, student_id, ssid, reports, link_count, asked_type, asked_language,"
    " asked_year from ops.access_log order by accessed_at"
)


@pytest.fixture
def one(made: Installation) -> Installation:
    """A student with four reports, and another without an SSID."""
    made.vendors.reports(ssid(1), [REPORT, SPANISH, OLD_SCIENCE, SCIENCE])
    return made.roster({"one": ssid(1), "other": None, "odd": "12", ssid(9): ssid(8)})


def ask(made: Installation, student: str = "one", minutes: float = 0, **asked: Any) -> list[Link]:
    at = NOW + timedelta(minutes=minutes)
    return list(links(made.pipeline, DISTRICT, student, Asked(**asked), at, BY))


def test_links_are_fresh_and_the_asking_is_written_down(
    vendors: Vendors, tmp_path: Path, warehouse_url: str
) -> None:
    with installed(tmp_path, vendors, warehouse_url) as made:
        made.vendors.reports(ssid(1), [REPORT, SPANISH, OLD_SCIENCE, SCIENCE])
        made.roster({"one": ssid(1)})
        found = ask(made)
        titles = ["CAASPP EN 2026", "CAASPP ES 2025", "CAST EN 2026"]
        assert [link.title for link in found] == titles
        assert found[2].type_given == "CAST" and found[0].grade == "05"
        assert all(requests.get(link.url, timeout=5).content[:4] == b"%PDF" for link in found)
        vendors.advance(1801)
        assert requests.get(found[0].url, timeout=5).status_code == 403
        assert "http" not in repr(found)
        assert ask(made, ssid(1), 1, type="STS", year=2018) == []
        told = [
            (BY, "one", ssid(1), ", ".join(titles), 3, None, None, None),
            (BY, "one", ssid(1), None, 0, "STS", None, 2018),
        ]
        assert made.rows(LOG) == told
        with made.pipeline.warehouse.transaction() as session:
            session.run("delete from ops.access_log")
        made.pipeline.sync(DISTRICT, NOW.date(), source="score_reports").rebuild()
        assert made.rows(LOG) == told
        ((at,), _) = made.rows("select accessed_at from ops.access_log order by 1")
        assert at == NOW.replace(tzinfo=None)


def test_only_what_is_asked_for_is_given(one: Installation) -> None:
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({"type": "CST"}, ["CAST EN 2026"]),
        ({"type": "cast"}, ["CAST EN 2026"]),
        ({"type": "CAASPP", "language": "es"}, ["CAASPP ES 2025"]),
        ({"year": 2025}, ["CAASPP ES 2025"]),
        ({"type": "NEWKIND"}, []),
    ]
    for asked, titles in cases:
        assert [link.title for link in ask(one, **asked)] == titles, asked


def test_what_was_not_asked_for_is_not_given_whatever_the_service_sends(one: Installation) -> None:
    body = [{**REPORT, "url": "https://x.example/1"}, {**SPANISH, "url": "https://x.example/2"}]
    one.vendors.inject(match={"path": REPORTS}, status=200, body=body)
    assert [link.title for link in ask(one, year=2025)] == ["CAASPP ES 2025"]


NO_LINKS = (
    *("", None, 7, "file:///etc/passwd", "javascript:alert(1)", "http://x.example/1", "https://"),
    *("https://x.example/a b", "https://x.example/\x1b[2J", "https://[x"),
)


def test_what_is_no_link_is_not_given(one: Installation) -> None:
    body = [{**REPORT, "year": 2000 + at, "url": url} for at, url in enumerate(NO_LINKS)]
    one.vendors.inject(match={"path": REPORTS}, status=200, body=body)
    assert ask(one) == []
    assert one.rows("select reports, link_count from ops.access_log") == [(None, 0)]


def test_who_is_not_found_is_not_named(one: Installation) -> None:
    cases = {
        "nobody-4711": "no student has that id",
        "other": "no SSID of 10 digits",
        "odd": "no SSID of 10 digits",
    }
    for student, says in cases.items():
        with pytest.raises(NotFound, match=says) as caught:
            ask(one, student)
        assert student not in str(caught.value)
    assert one.asked() == [] and one.rows(LOG) == []


def test_an_id_of_two_students_is_nobodys(made: Installation) -> None:
    made.roster({"one": ssid(1), "two": ssid(1)})
    with pytest.raises(NotFound, match="several students") as caught:
        ask(made, ssid(1))
    assert ssid(1) not in str(caught.value)
    made.vendors.reports(ssid(1), [REPORT])
    assert len(ask(made, "two")) == 1


def test_a_school_without_a_configuration_is_named_as_such(one: Installation) -> None:
    made = one.configure(configurations=[{**DEFAULT, "schools": ["0102"]}])
    with pytest.raises(BadConfiguration, match="no configuration"):
        ask(made)


def test_what_goes_wrong_is_told_without_a_name(one: Installation) -> None:
    no_report = {"status": 200, "body": [{"url": "https://x.example"}]}
    cases: list[tuple[str, dict[str, Any], type[EdpipelineError], str]] = [
        (REPORTS, {"status": 403}, Permanent, "not enrolled"),
        (REPORTS, {"status": 404}, NotFound, "does not know the student"),
        (REPORTS, {"status": 503}, Transient, "503"),
        (REPORTS, {"html": True}, Permanent, "HTML"),
        (REPORTS, no_report, Permanent, "lack type"),
        ("/token", {"status": 401}, BadCredentials, "TOMS"),
    ]
    for path, fault, kind, says in cases:
        one.vendors.inject(match={"path": path}, times=9, **fault)
        with pytest.raises(kind, match=says) as caught:
            ask(one)
        assert ssid(1) not in str(caught.value)
        one.vendors.heal()
    assert one.rows(LOG) == [], "nobody was shown anything"


@pytest.mark.parametrize(
    ("module", "name"),
    [("edpipeline.loading.accesses", "show"), ("edpipeline.surveying.links", "record_access")],
)
def test_an_access_is_written_down_in_both_places_or_in_none(
    one: Installation, monkeypatch: pytest.MonkeyPatch, module: str, name: str
) -> None:
    def busy(*_: object) -> None:
        raise Busy("another process has it")

    with monkeypatch.context() as patch:
        patch.setattr(import_module(module), name, busy)
        with pytest.raises(Busy):
            ask(one)
    assert one.rows(LOG) == []
    assert recorded_accesses(one.pipeline.store, DISTRICT, "score_reports") == []


def test_of_several_numbers_of_a_student_the_one_that_is_given_is_asked_about(
    made: Installation,
) -> None:
    made.roster({"one": ssid(2)})
    with made.pipeline.warehouse.transaction() as session:
        session.run(
            "insert into marts.dim_student_identifier select district_id, match_field, $first,"
            " student_id, is_current from marts.dim_student_identifier"
            " where match_field = 'state_user_id'",
            first=ssid(1),
        )
    made.vendors.reports(ssid(1), [REPORT])
    made.vendors.reports(ssid(2), [SPANISH])
    assert [link.title for link in ask(made, ssid(2))] == ["CAASPP ES 2025"]
    assert [link.title for link in ask(made)] == ["CAASPP EN 2026"]


@pytest.mark.parametrize(
    "asked", [{"type": "a/b"}, {"type": "x" * 21}, {"language": "E N"}, {"year": 26}]
)
def test_what_can_be_no_report_is_not_asked_for(asked: dict[str, Any]) -> None:
    with pytest.raises(BadConfiguration):
        Asked(**asked)
