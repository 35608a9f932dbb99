import base64
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from edpipeline.sandbox.population import Population
from edpipeline.sandbox.roster import SMALL
from edpipeline.sandbox.vendors import Vendors, VendorWorld, vendor_servers

WORLD = VendorWorld(size=SMALL)
LEA = (WORLD.score_reports_username, WORLD.score_reports_secret)
CHARTER = (WORLD.score_reports_charter_username, WORLD.score_reports_charter_secret)
DAY = 86_400
SSID = "0000000042"
SCIENCE = {"type": "CAST", "lang": "EN", "year": 2026, "grade": "05"}
NOT_SIGNED_IN = {"error": "You are not authorized to make this request"}
UNAUTHORIZED = {"error": "You are unauthorized to make this request."}
MALFORMED = {"error": "Malformed parameter"}
ELSEWHERE = {"error": "Student enrollment record does not match calling district"}
UNKNOWN = {"error": "Student doesn\N{RIGHT SINGLE QUOTATION MARK}t exist"}


@pytest.fixture(scope="module")
def running() -> Iterator[Vendors]:
    with vendor_servers(WORLD) as vendors:
        yield vendors


@pytest.fixture
def vendors(running: Vendors) -> Vendors:
    running.reset()
    return running


class Client:
    """Someone with credentials."""

    def __init__(self, vendors: Vendors, http: requests.Session) -> None:
        self.vendors, self.http = vendors, http
        self.sign_in()

    def sign_in(self, account: tuple[str, str] = LEA) -> requests.Response:
        url = f"{self.vendors.score_reports_url}/api/v1/token"
        answer = self.http.get(url, auth=account, headers={"authorization": ""}, timeout=5)
        if answer.ok:
            self.http.headers["authorization"] = answer.json()["token"]
        return answer

    def ask(self, ssid: str, **query: Any) -> requests.Response:
        url = f"{self.vendors.score_reports_url}/api/v1/students/{ssid}/score-reports"
        return self.http.get(url, params=query, timeout=5)

    def told(self, ssid: str, **query: Any) -> Any:
        answer = self.ask(ssid, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def fetch(self, link: str, **how: Any) -> requests.Response:
        return requests.get(link, timeout=5, **how)

    def standing(self, stands: str) -> str:
        """A student who stands so."""
        students = self.vendors.score_report_students()
        return next(ssid for ssid, it in students.items() if it == stands)


@pytest.fixture
def client(vendors: Vendors) -> Iterator[Client]:
    with requests.Session() as http:
        yield Client(vendors, http)


def claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    told: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return told


def kinds(reports: list[dict[str, Any]]) -> set[tuple[str, str, int]]:
    return {(it["type"], it["lang"], it["year"]) for it in reports}


def some_reports(client: Client, many: int = 120) -> list[list[dict[str, Any]]]:
    """What many listed students have, without those who have nothing."""
    students = client.vendors.score_report_students()
    listed = [ssid for ssid, it in students.items() if it == "listed"]
    return [it for it in (client.told(ssid) for ssid in listed[-many:]) if it]


# Every row of the table of answers


@pytest.mark.parametrize(
    ("stands", "status", "body"),
    [
        pytest.param("empty", 200, [], id="S2"),
        pytest.param("elsewhere", 403, ELSEWHERE, id="S5"),
        pytest.param("late", 403, ELSEWHERE, id="S5-late"),
        pytest.param("unknown", 404, UNKNOWN, id="S6"),
    ],
)
def test_an_answer_follows_from_how_the_student_stands(
    client: Client, stands: str, status: int, body: object
) -> None:
    answer = client.ask(client.standing(stands))
    assert (answer.status_code, answer.json()) == (status, body)


def test_a_listed_student_has_reports_with_links(client: Client) -> None:  # S1
    client.vendors.reports(SSID, [SCIENCE])
    (report,) = client.told(SSID)
    assert list(report) == ["type", "lang", "year", "grade", "url"]
    assert report | {"url": ""} == SCIENCE | {"url": ""}
    assert "CANARY-" in report["url"]


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        pytest.param({"token_revoked": True}, 401, id="S3"),
        pytest.param({"status": 400, "body": MALFORMED}, 400, id="S7"),
        pytest.param({"status": 500, "body": {"error": "Internal error occurred"}}, 500, id="S8"),
        pytest.param({"status": 503}, 503, id="S8-gateway"),
        pytest.param({"status": 429, "headers": {"Retry-After": "2"}}, 429, id="S9"),
        pytest.param({"html": True}, 200, id="S10-page"),
        pytest.param({"body": {"reports": []}}, 200, id="S10-no-list"),
        pytest.param({"body": "[{"}, 200, id="S10-no-json"),
        pytest.param({"delay_ms": 20}, 200, id="slow"),
    ],
)
def test_a_fault_befalls_one_call(client: Client, fault: dict[str, Any], status: int) -> None:
    client.vendors.reports(SSID, [SCIENCE])
    client.vendors.inject(match={"path": "score-reports$"}, **fault)
    answer = client.ask(SSID)
    assert answer.status_code == status
    assert fault.get("headers", {}).items() <= answer.headers.items()
    client.sign_in()
    assert client.ask(SSID).status_code == 200


@pytest.mark.parametrize("fault", [{"drop_connection": True}, {"half_body": True}])
def test_a_connection_is_lost(client: Client, fault: dict[str, Any]) -> None:  # S8
    client.vendors.reports(SSID, [SCIENCE])
    client.vendors.inject(match={"path": "score-reports$"}, **fault)
    with pytest.raises(requests.RequestException):
        client.ask(SSID)


@pytest.mark.parametrize(
    ("fault", "changed"),
    [
        ({"remove_field": "lang"}, {"lang"}),
        ({"retype_field": {"year": "string"}}, {"year"}),
        ({"retype_field": {"type": "null"}}, {"type"}),
        ({"rename_field": {"grade": "gradeLevel"}}, {"grade", "gradeLevel"}),
        ({"add_field": {"video": "soon"}}, {"video"}),
    ],
)
def test_a_fault_changes_every_report_of_a_list(
    client: Client, fault: dict[str, Any], changed: set[str]
) -> None:
    client.vendors.reports(SSID, [SCIENCE, SCIENCE | {"lang": "ES"}])
    before = client.told(SSID)
    client.vendors.inject(match={"path": "score-reports$"}, **fault)
    after = client.told(SSID)
    assert len(after) == 2
    for old, new in zip(before, after, strict=True):
        names = old.keys() | new.keys()
        assert {it for it in names if old.get(it, ...) != new.get(it, ...)} == changed


# Tokens


@pytest.mark.parametrize("slash", ["", "/"])
def test_both_endpoints_are_there_with_and_without_slash(
    vendors: Vendors, client: Client, slash: str
) -> None:
    url = f"{vendors.score_reports_url}/api/v1"
    token = requests.get(f"{url}/token{slash}", auth=LEA, timeout=5).json()["token"]
    ssid = client.standing("empty")
    answer = requests.get(
        f"{url}/students/{ssid}/score-reports{slash}", headers={"authorization": token}, timeout=5
    )
    assert answer.json() == []


def test_a_token_is_an_identity_token_by_the_vendors_clock(client: Client) -> None:
    client.vendors.advance(100.5)
    token = client.sign_in().json()["token"]
    assert "CANARY-" in token
    told = claims(token)
    issued = int(WORLD.start.timestamp()) + 100
    assert (told["token_use"], told["iat"], told["exp"]) == ("id", issued, issued + 3600)
    client.vendors.seed({"score_reports_token_exp": False, "score_reports_token_s": 7200})
    assert "exp" not in claims(client.sign_in().json()["token"])


def test_a_token_ends_by_the_vendors_clock(client: Client) -> None:  # S3
    ssid = client.standing("empty")
    client.vendors.advance(3599)
    assert client.told(ssid) == []
    client.vendors.advance(1)
    assert client.ask(ssid).status_code == 401
    client.sign_in()
    assert client.told(ssid) == []
    assert client.vendors.state()["score_reports"]["tokens_made"] == 2


@pytest.mark.parametrize(
    "account",
    [("", ""), (LEA[0], "wrong"), ("wrong", LEA[1]), (LEA[0], CHARTER[1]), (LEA[0], "")],
)
def test_wrong_credentials_are_refused(client: Client, account: tuple[str, str]) -> None:
    answer = client.sign_in(account)
    assert (answer.status_code, answer.json()) == (401, NOT_SIGNED_IN)


@pytest.mark.parametrize("header", ["Bearer {}", "JWT {}", "{}x", "", "Basic eDp5"])
def test_a_token_is_shown_alone(client: Client, header: str) -> None:
    token = str(client.http.headers["authorization"])
    client.http.headers["authorization"] = header.format(token)
    answer = client.ask(client.standing("empty"))
    assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)


def test_new_credentials_end_the_old_ones_at_once(client: Client) -> None:  # S4
    ssid = client.standing("empty")
    secret = client.vendors.regenerate(LEA[0])
    assert "CANARY-" in secret and secret != LEA[1]
    assert client.ask(ssid).status_code == 401
    assert client.sign_in().status_code == 401
    assert client.sign_in((LEA[0], secret)).status_code == 200
    assert client.told(ssid) == []
    assert client.vendors.regenerate(LEA[0]) != secret
    assert client.vendors.state()["score_reports"]["tokens"] == 0
    with pytest.raises(ValueError, match="user name"):
        client.vendors.regenerate("nobody")


# What may be asked


@pytest.mark.parametrize(
    "query",
    [
        {"type": "CA-ST"},
        {"type": "A" * 21},
        {"lang": "english"},
        {"year": "26"},
        {"year": "2O26"},
        {"final": "maybe"},
        {"grade": "04"},
        {"type": ["CAST", "CST"]},
    ],
)
def test_a_malformed_parameter_is_refused(client: Client, query: dict[str, Any]) -> None:  # S7
    answer = client.ask(client.standing("empty"), **query)
    assert (answer.status_code, answer.json()) == (400, MALFORMED)


@pytest.mark.parametrize(
    "ssid", ["42", "00000000421", "000000004a", "", "٠٠٠٠٠٠٠٠٤٢", "0000 00042"]
)
def test_a_student_has_ten_digits(client: Client, ssid: str) -> None:  # S0, were it asked
    answer = client.ask(ssid)
    assert (answer.status_code, answer.json()) == (400, MALFORMED)


@pytest.mark.parametrize(
    ("query", "listed"),
    [
        ({}, 4),
        ({"type": "", "lang": "", "year": "", "final": ""}, 4),
        ({"final": "true"}, 4),
        ({"type": "CAST"}, 2),
        ({"type": "CAASPP"}, 2),
        ({"type": "EIA"}, 0),
        ({"type": "NEW1"}, 0),
        ({"lang": "ES"}, 1),
        ({"year": 2025}, 1),
        ({"type": "CAST", "lang": "EN", "year": "2026"}, 1),
        ({"year": 1999}, 0),
    ],
)
def test_parameters_narrow_the_list(client: Client, query: dict[str, Any], listed: int) -> None:
    math = {"type": "CAASPP"}
    client.vendors.reports(
        SSID,
        [SCIENCE, SCIENCE | {"lang": "ES"}, SCIENCE | math, SCIENCE | math | {"year": 2025}],
    )
    assert len(client.told(SSID, **query)) == listed


def test_a_science_report_is_there_under_either_code(client: Client) -> None:
    client.vendors.reports(SSID, [SCIENCE])
    assert [it["type"] for it in client.told(SSID, type="CST")] == ["CST"]
    for reports in some_reports(client):
        both = [{it[1:] for it in kinds(reports) if it[0] == code} for code in ("CST", "CAST")]
        assert both[0] == both[1]
        if both[0]:
            break
    else:
        pytest.fail("nobody has a science report")


# Who has which reports


def test_most_students_have_several_reports_and_no_type_is_before_its_year(client: Client) -> None:
    everyone = some_reports(client)
    assert len(everyone) > 100
    assert sum(len(it) > 2 for it in everyone) > 80
    every = set().union(*map(kinds, everyone))
    assert {it[0] for it in every} >= {"CAASPP", "CST", "CAST", "CSA", "ESA", "LEXQUAN"}
    assert {it[1] for it in every} == {"EN", "ES", "VI", "ZH", "FL"}
    assert {it[2] for it in every} == {2025, 2026, 2027}
    assert "EIA" not in {it[0] for it in every}
    assert {len(it["grade"]) for reports in everyone for it in reports} == {2}


@pytest.mark.parametrize(
    ("school_year", "now", "years"),
    [
        (2027, "2027-05-15T08:00:00Z", {2025, 2026, 2027}),
        (2027, "2027-05-14T08:00:00Z", {2024, 2025, 2026}),
        (2027, "2028-06-01T00:00:00Z", {2026, 2027}),
        (2027, "2030-06-01T00:00:00Z", set()),
        (2019, "2019-06-01T00:00:00Z", {2018, 2019}),
        (2018, "2018-06-01T00:00:00Z", {2018}),
    ],
)
def test_reports_are_there_for_three_years(
    client: Client, school_year: int, now: str, years: set[int]
) -> None:
    client.vendors.seed({"school_year": school_year, "now": now})
    client.sign_in()
    reports = [it for reports in some_reports(client, 60) for it in reports]
    assert {it["year"] for it in reports} == years
    since = {"CST": 2019, "CAST": 2019, "CSA": 2019, "CAAS": 2020, "LEXQUAN": 2021}
    assert all(it["year"] >= since.get(it["type"], 2018) for it in reports)
    assert all(it["year"] >= 2019 for it in reports if it["lang"] not in ("EN", "ES"))
    assert all(it["year"] == 2018 for it in reports if it["type"] == "STS")


def test_a_late_student_is_there_on_the_vendors_next_day(client: Client) -> None:
    late, never = client.standing("late"), client.standing("elsewhere")
    client.vendors.advance(7 * 3600 - 1)  # the first of June begins in Los Angeles at 07:00 UTC
    client.sign_in()
    assert client.ask(late).status_code == 403
    client.vendors.advance(1)
    assert client.ask(late).status_code == 200
    assert client.ask(never).status_code == 403


def test_permission_comes_and_goes(client: Client) -> None:
    for stands in ("listed", "elsewhere", "late", "unknown"):
        ssid = client.standing(stands)
        client.vendors.forbid(ssid)
        assert client.ask(ssid).status_code == 403
        client.vendors.permit(ssid)
        assert client.ask(ssid).status_code == 200


def test_a_charter_schools_students_are_its_own_alone(vendors: Vendors, client: Client) -> None:
    people = [it for frame in Population(SMALL).students() for it in frame.to_dicts()]
    vendors.seed(
        {"score_reports_charter_school": "0103"}
        | {f"score_reports_{it}": 0 for it in ("unknown", "elsewhere", "late")}
    )
    for account, charter in ((LEA, False), (CHARTER, True)):
        client.sign_in(account)
        for person in people[::5]:
            own = (person["primaryOrgSourcedId"] == "0103") is charter
            status = client.ask(person["userIds"][6:-1]).status_code
            assert status == (200 if own else 403)


def test_reports_are_taken_off_the_list(client: Client) -> None:
    spanish = SCIENCE | {"lang": "ES"}
    ssid = next(
        it
        for it, stands in client.vendors.score_report_students().items()
        if stands == "listed" and ("CAST", "ES", 2027) in kinds(client.told(it))
    )
    before = kinds(client.told(ssid))
    client.vendors.unlist(ssid, type="CST", lang="ES", year=2027)
    assert before - kinds(client.told(ssid)) == {("CST", "ES", 2027), ("CAST", "ES", 2027)}
    client.vendors.unlist(ssid)
    assert client.told(ssid) == []
    client.vendors.reports(ssid, [spanish | {"url": ""}])
    assert client.told(ssid) == [spanish | {"url": ""}]
    client.vendors.reports(ssid, [])
    assert client.told(ssid) == []
    with pytest.raises(ValueError, match="list of objects"):
        client.vendors.reports(ssid, ["CAST"])  # type: ignore[list-item]


def test_html_and_unknown_types_are_listed_where_the_world_has_them(client: Client) -> None:
    client.vendors.seed({"score_reports_html": True, "score_reports_unknown_type": "CA"})
    reports = [it for reports in some_reports(client, 40) for it in reports]
    assert Counter(it["type"] for it in reports)["CA"] > 0
    areas = {it.get("contentArea") for it in reports if it["type"] == "CAASPP"}
    assert areas == {None, "ELA", "Mathematics"}
    page = next(it["url"] for it in reports if it.get("format") == "HTML")
    answer = client.fetch(page)
    assert answer.headers["content-type"].startswith("text/html") and "CANARY-" in answer.text


def test_a_worlds_shares_decide_how_students_stand(client: Client) -> None:
    client.vendors.seed(
        {"score_reports_unknown": 100}
        | dict.fromkeys(("score_reports_elsewhere", "score_reports_late", "score_reports_empty"), 0)
    )
    assert set(client.vendors.score_report_students().values()) == {"unknown"}
    with pytest.raises(ValueError, match="shares of a hundred"):
        VendorWorld(score_reports_unknown=101)
    with pytest.raises(ValueError, match="CANARY-"):
        VendorWorld(score_reports_secret="plain")


# Links


def test_a_link_opens_a_report_for_thirty_minutes(client: Client) -> None:
    client.vendors.reports(SSID, [SCIENCE])
    link = client.told(SSID)[0]["url"]
    client.vendors.advance(1799)
    answer = client.fetch(link)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.content.startswith(b"%PDF-") and b"CANARY-" in answer.content
    assert SSID not in link
    assert requests.post(link, timeout=5).status_code == 403
    client.vendors.advance(1)
    answer = client.fetch(link)
    assert answer.status_code == 403
    assert "<Code>AccessDenied</Code><Message>Request has expired" in answer.text
    client.vendors.seed({"score_reports_link_s": 60})
    link = client.told(SSID)[0]["url"]
    client.vendors.advance(60)
    assert client.fetch(link).status_code == 403


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("X-Amz-Expires=1800", "X-Amz-Expires=9999"),
        ("CAST-EN-2026", "CAST-EN-2025"),
        ("Signature=CANARY-", "Signature=CANARY-0"),
        ("&X-Amz-Signature=", "&Signature="),
    ],
)
def test_a_changed_link_opens_nothing(client: Client, old: str, new: str) -> None:
    client.vendors.reports(SSID, [SCIENCE])
    link = client.told(SSID)[0]["url"]
    assert old in link
    answer = client.fetch(link.replace(old, new))
    assert answer.status_code == 403 and answer.text.startswith("<?xml")


# The log, the control plane and the reset


def test_the_log_counts_calls_and_holds_no_secret(client: Client) -> None:
    client.vendors.reports(SSID, [SCIENCE])
    client.fetch(client.told(SSID, type="CAST")[0]["url"])
    assert client.vendors.counts("score_reports") == {
        "GET /api/v1/token": 1,
        f"GET /api/v1/students/{SSID}/score-reports": 1,
        "GET /score-report-files/***": 1,
    }
    token, asked, _ = client.vendors.calls()
    assert (token["auth"], asked["auth"], asked["query"]) == ("Basic", "raw", {"type": "CAST"})
    assert "CANARY-" not in json.dumps(client.vendors.calls())


def test_the_control_plane_does_the_same_over_http(client: Client) -> None:
    def post(what: str, **body: object) -> dict[str, Any]:
        answer = requests.post(f"{client.vendors.control_url}/{what}", json=body, timeout=5)
        told: dict[str, Any] = answer.json()
        return told

    assert post("reports", ssid=SSID, reports=[SCIENCE])["ok"]
    assert len(client.told(SSID)) == 1
    assert post("unlist", ssid=SSID, type="CAST")["ok"]
    assert client.told(SSID) == []
    assert post("permit", ssid=SSID, permitted=False)["ok"]
    assert client.ask(SSID).status_code == 403
    secret = post("regenerate", username=LEA[0])["secret"]
    assert client.sign_in((LEA[0], secret)).status_code == 200
    assert "error" in post("regenerate", username="nobody")
    url = f"{client.vendors.control_url}/score-report-students"
    students = requests.get(url, timeout=5).json()["students"]
    assert students == client.vendors.score_report_students()


def test_a_reset_brings_everything_back(client: Client) -> None:
    ssid = client.standing("listed")
    before = kinds(client.told(ssid))
    client.vendors.regenerate(LEA[0])
    client.vendors.forbid(ssid)
    client.vendors.reports(ssid, [])
    client.vendors.seed({"now": datetime(2029, 6, 1, tzinfo=UTC).isoformat()})
    client.vendors.reset()
    assert client.ask(ssid).status_code == 401
    assert client.sign_in().status_code == 200
    assert kinds(client.told(ssid)) == before


def test_paths_and_methods_that_there_are_not(vendors: Vendors, client: Client) -> None:
    url = vendors.score_reports_url
    assert requests.get(f"{url}/api/v2/token", timeout=5).status_code == 404
    assert client.http.post(f"{url}/api/v1/token", timeout=5).status_code == 405
