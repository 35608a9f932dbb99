import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import requests

from edpipeline.sandbox.population import Population
from edpipeline.sandbox.roster import SMALL
from edpipeline.sandbox.vendors import Vendors, VendorWorld, vendor_servers

WORLD = VendorWorld(size=SMALL)
DISTRICT = f"/v1/districts/{WORLD.rp_identifier}"
SITE = f"/v1/sites/{WORLD.site_id}"
LOGIN = {
    "siteId": WORLD.site_id,
    "username": WORLD.scantron_username,
    "password": WORLD.scantron_password,
}
CLIENT = (WORLD.star_client_id, WORLD.star_client_secret)
GRANT = {"grant_type": "client_credentials"}


@pytest.fixture(scope="module")
def running() -> Iterator[Vendors]:
    with vendor_servers(WORLD) as vendors:
        yield vendors


@pytest.fixture
def vendors(running: Vendors) -> Vendors:
    running.reset()
    return running


@pytest.fixture
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


@pytest.fixture
def star(vendors: Vendors, http: requests.Session) -> requests.Session:
    """Someone STAR lets in."""
    token = http.post(f"{vendors.star_url}/oauth/token", data=GRANT, auth=CLIENT).json()
    http.headers["Authorization"] = f"Bearer {token['access_token']}"
    username = {"username": WORLD.star_username}
    answer = http.post(f"{vendors.star_url}{DISTRICT}/authorization", json=username)
    assert answer.json()["authorized"] is True
    return http


@pytest.fixture
def scantron(vendors: Vendors, http: requests.Session) -> requests.Session:
    """Someone Scantron lets in."""
    answer = http.post(f"{vendors.scantron_url}/v1/session", json=LOGIN)
    assert answer.json()["message"] == "Account is working"
    http.headers["Authorization"] = f"Bearer {answer.json()['token']}"
    return http


def star_page(vendors: Vendors, http: requests.Session, what: str, **query: object) -> Any:
    answer = http.get(f"{vendors.star_url}{DISTRICT}/{what}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def star_records(
    vendors: Vendors, http: requests.Session, what: str = "assessments", **query: object
) -> list[dict[str, Any]]:
    """All records, page by page."""
    records, page = [], 1
    query = {"subject": "SR", **query}
    while page:
        answer = star_page(vendors, http, what, page=page, **query)
        records += answer["records"]
        page = answer["nextPage"]
    return records


def scantron_records(
    vendors: Vendors, http: requests.Session, **query: object
) -> list[dict[str, Any]]:
    """All records, page by page."""
    records, page, pages = [], 1, 1
    while page <= pages:
        answer = http.get(
            f"{vendors.scantron_url}{SITE}/results", params={"page": page, **query}
        ).json()
        records += answer["results"]
        page, pages = page + 1, answer["pageCount"]
    return records


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/districts/RP-OTHER/schools", 404),
        ("GET", f"{DISTRICT}/nothing", 404),
        ("GET", f"{DISTRICT}/schools/", 404),
        ("POST", f"{DISTRICT}/schools", 405),
        ("GET", f"{DISTRICT}/authorization", 405),
        ("GET", "/oauth/token", 405),
        ("GET", f"{DISTRICT}/schools?limit=3", 400),
        ("GET", f"{DISTRICT}/schools?page=1&page=2", 400),
        ("GET", f"{DISTRICT}/schools?page=0", 400),
        ("GET", f"{DISTRICT}/schools?page=two", 400),
        ("GET", f"{DISTRICT}/assessments", 400),
        ("GET", f"{DISTRICT}/assessments?subject=XX", 400),
        ("GET", f"{DISTRICT}/assessments?subject=SR&pageSize=1001", 400),
        ("GET", f"{DISTRICT}/assessments?subject=SR&schoolYear=2026", 400),
        ("GET", f"{DISTRICT}/assessments?subject=SR&schoolYear=2026-2028", 400),
        ("GET", f"{DISTRICT}/assessments?subject=SR&modifiedSince=2026-09-01", 400),
        ("GET", f"{DISTRICT}/assessments?subject=SR&modifiedSince=yesterday", 400),
        ("GET", f"{DISTRICT}/standards?subject=SR&sort=1", 400),
    ],
)
def test_star_refuses_what_it_does_not_know(
    vendors: Vendors, star: requests.Session, method: str, path: str, status: int
) -> None:
    answer = star.request(method, f"{vendors.star_url}{path}")
    assert answer.status_code == status
    assert isinstance(answer.json()["error"], str)


@pytest.mark.parametrize(
    ("auth", "form", "status", "error"),
    [
        (CLIENT, GRANT, 200, None),
        (None, {**GRANT, "client_id": CLIENT[0], "client_secret": CLIENT[1]}, 200, None),
        (CLIENT, {**GRANT, "client_secret": CLIENT[1]}, 400, "invalid_request"),
        (CLIENT, {}, 400, "invalid_request"),
        (CLIENT, {"grant_type": "password"}, 400, "unsupported_grant_type"),
        (CLIENT, {**GRANT, "resource": "x"}, 400, "invalid_request"),
        ((CLIENT[0], "wrong"), GRANT, 401, "invalid_client"),
        (("other", CLIENT[1]), GRANT, 401, "invalid_client"),
        (None, GRANT, 401, "invalid_client"),
    ],
)
def test_star_gives_tokens_to_its_client_alone(
    vendors: Vendors,
    http: requests.Session,
    auth: tuple[str, str] | None,
    form: dict[str, str],
    status: int,
    error: str | None,
) -> None:
    http.trust_env = False
    answer = http.post(f"{vendors.star_url}/oauth/token", data=form, auth=auth)
    assert (answer.status_code, answer.json().get("error")) == (status, error)


@pytest.mark.parametrize(
    "header",
    [None, "CANARY-x", "Bearer", "Bearer CANARY-x", "bearer {}", "Basic {}", "Bearer  {}"],
)
def test_the_authorization_header_is_checked_exactly(
    vendors: Vendors, star: requests.Session, header: str | None
) -> None:
    token = str(star.headers["Authorization"]).removeprefix("Bearer ")
    headers = {"Authorization": header.format(token) if header else None}
    answer = star.get(f"{vendors.star_url}{DISTRICT}/schools", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_one_vendors_token_does_not_open_the_other(
    vendors: Vendors, star: requests.Session
) -> None:
    assert star.get(f"{vendors.scantron_url}{SITE}/schools").status_code == 401


def test_star_lists_nothing_before_the_district_is_authorized(
    vendors: Vendors, star: requests.Session
) -> None:
    url = f"{vendors.star_url}{DISTRICT}"
    vendors.reset()
    token = star.post(f"{vendors.star_url}/oauth/token", data=GRANT, auth=CLIENT).json()
    star.headers["Authorization"] = f"Bearer {token['access_token']}"
    assert star.get(f"{url}/schools").json()["error"] == "not_authorized"
    wrong = star.post(f"{url}/authorization", json={"username": "someone"})
    assert (wrong.status_code, wrong.json()["error"]) == (403, "unknown_username")
    vendors.seed(world={"data_sharing": False})
    right = {"username": WORLD.star_username}
    shut = star.post(f"{url}/authorization", json=right)
    assert (shut.status_code, shut.json()["error"]) == (403, "data_sharing_not_enabled")
    unknown = star.post(f"{vendors.star_url}/v1/districts/x/authorization", json=right)
    assert unknown.status_code == 404


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"siteId": "123456789"}, 400, "bad_site_id"),
        ({"siteId": "01234567890"}, 400, "bad_site_id"),
        ({"siteId": "9876543210"}, 400, "unknown_site"),
        ({"siteId": 123456789}, 400, "bad_body"),
        ({"remember": "yes"}, 400, "bad_body"),
        ({"password": "wrong"}, 401, "bad_login"),
        ({"username": "wrong"}, 401, "bad_login"),
    ],
)
def test_scantron_says_what_is_wrong_with_a_login(
    vendors: Vendors, http: requests.Session, change: dict[str, object], status: int, code: str
) -> None:
    answer = http.post(f"{vendors.scantron_url}/v1/session", json=LOGIN | change)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_scantron_locks_the_account_after_wrong_logins_and_counts_them(
    vendors: Vendors, http: requests.Session
) -> None:
    url = f"{vendors.scantron_url}/v1/session"
    statuses = [http.post(url, json=LOGIN | {"password": "no"}).status_code for _ in range(6)]
    assert statuses == [401] * WORLD.lock_after + [423]
    assert http.post(url, json=LOGIN).status_code == 423
    state = vendors.state()["scantron"]
    assert state["locked"]
    assert state["logins"] == {"wrong": 5, "locked": 2}
    assert vendors.counts("scantron") == {"POST /scantron/v1/session": 7}
    vendors.unlock()
    assert http.post(url, json=LOGIN).status_code == 200


def test_a_disabled_account_is_refused_only_with_its_password(
    vendors: Vendors, http: requests.Session
) -> None:
    vendors.seed(world={"scantron_disabled": True})
    url = f"{vendors.scantron_url}/v1/session"
    assert http.post(url, json=LOGIN | {"password": "no"}).status_code == 401
    assert http.post(url, json=LOGIN).status_code == 403


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/sites/9876543210/schools", 404),
        ("GET", "/v1/sites/12/schools", 400),
        ("GET", "/v1/session", 405),
        ("GET", "/v1/tests", 404),
        ("GET", f"{SITE}/results?pageSize=501", 400),
        ("GET", f"{SITE}/results?subject=Reading", 400),
        ("GET", f"{SITE}/schools?pageSize=201", 400),
    ],
)
def test_scantron_refuses_what_it_does_not_know(
    vendors: Vendors, scantron: requests.Session, method: str, path: str, status: int
) -> None:
    answer = scantron.request(method, f"{vendors.scantron_url}{path}")
    assert answer.status_code == status
    assert answer.json()["error"].keys() == {"code", "message"}


def test_tokens_expire_by_the_vendors_clock(vendors: Vendors, scantron: requests.Session) -> None:
    url = f"{vendors.scantron_url}{SITE}/schools"
    vendors.advance(WORLD.scantron_token_s - 1)
    assert scantron.get(url).status_code == 200
    vendors.advance(1)
    assert scantron.get(url).status_code == 401
    assert vendors.state()["scantron"]["tokens"] == 0


@pytest.mark.parametrize("size", [7, 500, 1000])
def test_pages_hold_every_star_record_once_in_one_order(
    vendors: Vendors, star: requests.Session, size: int
) -> None:
    records = star_records(vendors, star, subject="SEL", pageSize=size)
    rows = [(it["AssessmentID"], it["ClassRenaissanceID"]) for it in records]
    assert len(set(rows)) == len(rows)
    assert list(dict.fromkeys(it["AssessmentID"] for it in records)) == vendors.ids("SEL")


def test_scantron_pages_hold_every_record_once(
    vendors: Vendors, scantron: requests.Session
) -> None:
    ids = [it["testSessionId"] for it in scantron_records(vendors, scantron, pageSize=100)]
    assert ids == vendors.ids("scantron")
    assert len(set(ids)) == len(ids)
    beyond = scantron.get(f"{vendors.scantron_url}{SITE}/results", params={"page": 99}).json()
    assert beyond["results"] == []


@pytest.mark.parametrize(
    ("star_field", "scantron_field", "roster_field"),
    [
        ("StudentUserID", "studentUserName", "username"),
        ("StudentIdentifier", "districtStudentId", "identifier"),
        ("StudentStateID", "stateStudentId", "userIds"),
        ("StudentSourcedID", "alternateStudentId", "sourcedId"),
        ("StudentEmail", "email", "email"),
    ],
)
def test_results_match_the_roster_by_any_field_but_for_a_few_strangers(
    vendors: Vendors,
    http: requests.Session,
    star: requests.Session,
    star_field: str,
    scantron_field: str,
    roster_field: str,
) -> None:
    roster = pl.concat(list(Population(SMALL).students()))[roster_field]
    known = set(roster.str.strip_prefix("{SSID:").str.strip_suffix("}"))
    from_star = {it[star_field] for it in star_records(vendors, star)}
    answer = http.post(f"{vendors.scantron_url}/v1/session", json=LOGIN)
    http.headers["Authorization"] = f"Bearer {answer.json()['token']}"
    from_scantron = {it[scantron_field] for it in scantron_records(vendors, http)}
    for named in (from_star, from_scantron):
        assert 0 < len(named - known) < 0.1 * len(named)
        assert len(named & known) > 100


def test_star_shows_every_trap(vendors: Vendors, star: requests.Session) -> None:
    answer = star.get(f"{vendors.star_url}{DISTRICT}/assessments", params={"subject": "SR"})
    records = star_records(vendors, star)
    text = answer.text
    assert '"ScaledScore":' in text
    assert '.0,"StandardErrorOfMeasurement"' in text
    assert '"TotalTimeInSeconds":' in text
    found = Counter[str]()
    for it in records:
        completed = datetime.fromisoformat(it["CompletedDate"])
        local = datetime.fromisoformat(it["CompletedDateLocal"])
        found["false zone"] += (completed - local).total_seconds() in (7 * 3600, 8 * 3600)
        found["next day"] += completed.date() > local.date()
        found["deactivated"] += it["AssessmentStatus"] == "Deactivated"
        found["beginning reader"] += it["Lexile"].startswith("BR")
        found["capped"] += it["GradeEquivalent"] in (">12.9", "12.9+")
        found["no window"] += it["ScreeningPeriodWindowName"] is None
        found["best"] += it["RenaissanceBenchmarkCategoryLevel"] == 1
        found[it["ScreeningPeriodWindowName"] or "between"] += 1
        best = it["RenaissanceBenchmarkCategoryName"] == "At/Above Benchmark"
        assert best == (it["RenaissanceBenchmarkCategoryLevel"] == 1)
        assert (it["DeactivationReason"] is not None) == (it["AssessmentStatus"] != "Active")
        assert 0 <= it["ScaledScore"] <= 1400
        assert 1 <= it["PercentileRank"] <= 99
    assert found["false zone"] == len(records)
    rare = ("deactivated", "beginning reader", "capped", "no window", "next day")
    assert all(0 < found[it] < len(records) / 2 for it in rare), found
    assert all(found[it] > 100 for it in ("Fall", "Winter", "Spring"))
    twice = [it for it, count in Counter(it["AssessmentID"] for it in records).items() if count > 1]
    assert twice
    first, second = (it for it in records if it["AssessmentID"] == twice[0])
    differs = {it for it in first if first[it] != second[it]}
    assert all(it.startswith(("Class", "Course", "Group", "Teacher")) for it in differs)
    assert "ClassRenaissanceID" in differs


@pytest.mark.parametrize(
    ("subject", "only"), [("SM", "Quantile"), ("SEL", "LiteracyClassification")]
)
def test_each_product_has_its_own_columns_and_grades(
    vendors: Vendors, star: requests.Session, subject: str, only: str
) -> None:
    reading = star_page(vendors, star, "assessments", subject="SR", pageSize=1)["records"][0]
    records = star_records(vendors, star, subject=subject)
    assert only in records[0]
    assert only not in reading
    grades = {it["Grade"] for it in records}
    assert ("K" in grades) == (subject == "SEL")


def test_details_belong_to_their_tests(vendors: Vendors, star: requests.Session) -> None:
    tests = set(vendors.ids("SM"))
    standards = star_records(vendors, star, "standards", subject="SM", pageSize=1000)
    assert {it["AssessmentID"] for it in standards} == tests
    assert len(standards) == 4 * len(tests)
    assert {type(it["DomainMasteryLevel"]) for it in standards} == {int}
    assert {it["StandardMasteryLevel"] for it in standards} == {"Beginning", "Developing", "Secure"}
    skills = star_records(vendors, star, "skill-areas", subject="SM", pageSize=1000)
    assert {it["AssessmentID"] for it in skills} == tests
    key = ("AssessmentID", "FamilyName", "DomainName", "SkillAreaName")
    assert len({tuple(it[name] for name in key) for it in skills}) == len(skills)


def test_scantron_shows_every_trap(vendors: Vendors, scantron: requests.Session) -> None:
    records = scantron_records(vendors, scantron)
    rates = {type(it["readingRate"]) for it in records if it["subject"] == "Reading"}
    assert rates == {int, str}
    assert {it["readingRate"] for it in records if isinstance(it["readingRate"], str)} == {"NM"}
    for word in ("spoiled", "invalidated"):
        assert 0 < sum(it[word] for it in records) < len(records) / 20
    assert any((it["lexile"] or "").startswith("BR") for it in records)
    assert any(it["nationalPercentile"] is None for it in records)
    assert any(it["sip"] is None for it in records)
    for it in records:
        high = it["subject"] in ("Algebra", "Geometry")
        low, top = (5000, 6000) if high else (1300, 3700)
        assert low <= it["scaledScore"] <= top
        assert all(unit["low"] <= unit["score"] <= unit["high"] for unit in it["units"])
    assert {"Algebra", "Reading", "Science"} <= {it["subject"] for it in records}


def test_both_vendors_list_a_school_that_the_roster_lacks(
    vendors: Vendors, http: requests.Session, star: requests.Session
) -> None:
    schools = star_page(vendors, star, "schools")["schools"]
    assert [it["SchoolSourcedID"] for it in schools] == ["0101", "0102", "0103", None]
    # One number lost its zero, and names are not always written alike.
    assert [it["SchoolIdentifier"] for it in schools] == ["0101", "102", "0103", "9099"]
    elsewhere = schools[-1]["SchoolRenaissanceID"]
    there = star_records(vendors, star, schoolId=elsewhere)
    assert there
    assert {it["SchoolRenaissanceID"] for it in there} == {elsewhere}
    answer = http.post(f"{vendors.scantron_url}/v1/session", json=LOGIN)
    http.headers["Authorization"] = f"Bearer {answer.json()['token']}"
    listed = http.get(f"{vendors.scantron_url}{SITE}/schools").json()
    assert [it["name"] for it in listed["schools"]] == [it["SchoolName"] for it in schools]
    there = scantron_records(vendors, http, locationId="L9099")
    assert {it["locationId"] for it in there} == {"L9099"}


def test_results_appear_with_time_and_a_later_deactivation_modifies(
    vendors: Vendors, star: requests.Session
) -> None:
    def on(day: str) -> None:
        vendors.set_clock(datetime.fromisoformat(f"{day}T00:00:00+00:00"))
        token = star.post(f"{vendors.star_url}/oauth/token", data=GRANT, auth=CLIENT).json()
        star.headers["Authorization"] = f"Bearer {token['access_token']}"

    on("2026-09-01")
    assert star_records(vendors, star) == []
    on("2026-09-20")
    before = {it["AssessmentID"]: it for it in star_records(vendors, star)}
    assert {it["ScreeningPeriodWindowName"] for it in before.values()} == {"Fall"}
    on("2026-11-01")
    since = star_records(vendors, star, modifiedSince="2026-09-20T00:00:00+00:00")
    known = {it["AssessmentID"]: it for it in since if it["AssessmentID"] in before}
    assert 0 < len(known) < len(since)
    assert {it["AssessmentStatus"] for it in known.values()} == {"Deactivated"}
    assert {before[it]["AssessmentStatus"] for it in known} == {"Active"}
    assert all(known[it]["ScaledScore"] == before[it]["ScaledScore"] for it in known)


def test_a_seeded_change_replaces_fields_and_is_modified_now(
    vendors: Vendors, star: requests.Session
) -> None:
    first = vendors.ids("SR")[0]
    vendors.seed(
        records={
            "SR": [
                {"AssessmentID": first, "AssessmentStatus": "Deactivated"},
                {"AssessmentID": "new", "SchoolYear": "2026-2027", "StudentIdentifier": "7"},
            ]
        }
    )
    now = WORLD.start.isoformat()
    changed = star_records(vendors, star, modifiedSince=now)
    assert {it["AssessmentID"]: it.get("AssessmentStatus") for it in changed} == {
        first: "Deactivated",
        "new": None,
    }
    assert changed[0]["StudentUserID"]
    assert set(vendors.ids("SR")) >= {first, "new"}
    vendors.reset()
    assert "new" not in vendors.ids("SR")


def test_the_same_seed_gives_the_same_answers_and_another_gives_others() -> None:
    def told(seed: int) -> list[str]:
        with vendor_servers(VendorWorld(size=SMALL, seed=seed)) as other:
            return other.ids("SR") + other.ids("scantron")

    assert told(1) == told(1)
    assert not set(told(1)) & set(told(2))


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        ({"status": 429, "headers": {"Retry-After": "2"}}, (429, "2", 21)),
        ({"status": 503, "body": "sorry"}, (503, None, 5)),
        ({"body": {"records": []}}, (200, None, 15)),
    ],
)
def test_an_injected_answer_comes_as_often_as_asked(
    vendors: Vendors, star: requests.Session, fault: dict[str, Any], seen: tuple[object, ...]
) -> None:
    vendors.inject(match={"path": "/schools$"}, skip=1, times=2, **fault)
    url = f"{vendors.star_url}{DISTRICT}/schools"
    answers = [star.get(url) for _ in range(4)]
    told = [(it.status_code, it.headers.get("Retry-After"), len(it.content)) for it in answers]
    assert told[1:3] == [seen, seen]
    assert "schools" in answers[0].json()
    assert "schools" in answers[3].json()
    assert vendors.state()["faults"] == []


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"drop_connection": True}, requests.ConnectionError),
        ({"half_body": True}, requests.exceptions.ChunkedEncodingError),
        ({"hang_s": 0.2}, requests.ConnectionError),
        ({"hang_s": 60}, requests.ReadTimeout),
        ({"delay_ms": 60_000}, requests.ReadTimeout),
    ],
)
def test_a_connection_goes_wrong_and_the_next_one_does_not(
    vendors: Vendors, star: requests.Session, fault: dict[str, Any], error: type[Exception]
) -> None:
    vendors.inject(match={"path": "schools"}, **fault)
    url = f"{vendors.star_url}{DISTRICT}/schools"
    with pytest.raises(error):
        star.get(url, timeout=1)
    assert star.get(url, timeout=1).status_code == 200
    assert len(vendors.calls()) == 4


def test_a_vendor_is_down_until_it_is_healed(vendors: Vendors, http: requests.Session) -> None:
    vendors.inject(match={"path": "^/star/"}, drop_connection=True, times=None)
    for _ in range(2):
        with pytest.raises(requests.ConnectionError):
            http.get(f"{vendors.star_url}{DISTRICT}/schools")
    assert http.post(f"{vendors.scantron_url}/v1/session", json=LOGIN).status_code == 200
    http.post(f"{vendors.control_url}/heal")
    assert http.get(f"{vendors.star_url}{DISTRICT}/schools").status_code == 401


def test_a_delayed_answer_is_whole(vendors: Vendors, star: requests.Session) -> None:
    vendors.inject(delay_ms=150)
    began = time.monotonic()
    assert star_page(vendors, star, "schools")["schools"]
    assert time.monotonic() - began >= 0.15


def test_a_web_page_comes_instead_of_json(vendors: Vendors, star: requests.Session) -> None:
    vendors.inject(html=True)
    answer = star.get(f"{vendors.star_url}{DISTRICT}/schools")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/html")


def test_a_token_can_be_revoked_in_the_middle(vendors: Vendors, star: requests.Session) -> None:
    vendors.inject(match={"query": {"page": "2"}}, token_revoked=True)
    url = f"{vendors.star_url}{DISTRICT}/assessments"
    statuses = [
        star.get(url, params={"subject": "SR", "page": page}).status_code for page in (1, 2, 2)
    ]
    assert statuses == [200, 401, 401]


def test_a_page_comes_again(vendors: Vendors, star: requests.Session) -> None:
    vendors.inject(match={"query": {"page": "2"}}, repeat_page=True)
    query = {"subject": "SR", "pageSize": 100}
    first = star_page(vendors, star, "assessments", page=1, **query)
    second = star_page(vendors, star, "assessments", page=2, **query)
    assert second["records"] == first["records"]
    assert second["nextPage"] == 3
    again = star_page(vendors, star, "assessments", page=2, **query)
    assert again["records"] != first["records"]


def test_pages_can_go_on_for_ever(vendors: Vendors, scantron: requests.Session) -> None:
    vendors.inject(match={"path": "results"}, repeat_page=1, times=None)
    url = f"{vendors.scantron_url}{SITE}/results"
    for page in (1, 50, 51):
        answer = scantron.get(url, params={"page": page, "pageSize": 500}).json()
        assert len(answer["results"]) == 500
        assert answer["page"] == page
        assert answer["pageCount"] > page


@pytest.mark.parametrize(("pages", "after"), [(1, None), (9, 2)])
def test_a_page_lies_about_the_total(
    vendors: Vendors, star: requests.Session, pages: int, after: int | None
) -> None:
    vendors.inject(match={"path": "assessments"}, lie_about_total=pages)
    answer = star_page(vendors, star, "assessments", subject="SR", pageSize=1000)
    assert answer["nextPage"] == after


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"add_field": {"mood": {"CANARY-": 1}}}, {"mood": {"CANARY-": 1}}),
        ({"remove_field": "locationId"}, {"locationId": ...}),
        ({"remove_field": ["name", "locationId"]}, {"locationId": ..., "name": ...}),
        ({"rename_field": {"locationId": "place"}}, {"locationId": ..., "place": "L0101"}),
        ({"retype_field": {"locationId": "array"}}, {"locationId": ["L0101"]}),
        ({"retype_field": {"locationId": "number"}}, {"locationId": 7}),
        ({"retype_field": {"locationId": "null"}}, {"locationId": None}),
    ],
)
def test_fields_of_records_change(
    vendors: Vendors, scantron: requests.Session, fault: dict[str, Any], expected: dict[str, Any]
) -> None:
    vendors.inject(match={"method": "GET"}, **fault)
    school = scantron.get(f"{vendors.scantron_url}{SITE}/schools").json()["schools"][0]
    assert {name: school.get(name, ...) for name in expected} == expected


def test_everything_can_be_set_up_over_http(vendors: Vendors, http: requests.Session) -> None:
    control = vendors.control_url
    faults = [{"status": 500}, {"match": {"path": "session"}, "status": 502, "times": None}]
    assert http.post(f"{control}/inject", json=faults).json()["ok"]
    url = f"{vendors.scantron_url}/v1/session"
    assert [http.post(url, json=LOGIN).status_code for _ in range(3)] == [500, 502, 502]
    http.post(f"{control}/clock", json={"now": "2026-10-01T00:00:00Z", "advance_s": 60})
    state = http.get(f"{control}/state").json()
    assert state["now"] == "2026-10-01T00:01:00+00:00"
    assert state["server_seconds"] > 0
    assert state["faults"] == [{"path": "session", "kinds": ["status"], "times": None}]
    calls = http.get(f"{control}/calls").json()
    assert calls["counts"] == {"scantron": {"POST /scantron/v1/session": 3}}
    assert [it["fault"] for it in calls["calls"]] == [["status"]] * 3
    world = {"size": {"students": 60, "schools": 2}, "now": "2027-02-01T00:00:00Z"}
    http.post(f"{control}/seed", json={"world": world})
    ids = http.get(f"{control}/ids", params={"listing": "SR"}).json()["ids"]
    assert 0 < len(ids) < 150
    http.post(f"{control}/reset")
    assert vendors.world == WORLD
    assert vendors.state()["faults"] == []
    assert vendors.calls() == []


@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("inject", {"explode": True}),
        ("inject", {"match": {"body": "x"}}),
        ("inject", {"match": {"path": "("}}),
        ("inject", {"retype_field": {"x": "date"}}),
        ("seed", {"world": {"mood": 1}}),
        ("seed", {"world": {"scantron_password": "no canary"}}),
        ("seed", {"records": {"XX": []}}),
        ("seed", {"records": {"SR": [{"Grade": "1"}]}}),
        ("clock", {"now": "2026-10-01T00:00:00"}),
        ("clock", {"minutes": 1}),
    ],
)
def test_the_control_plane_refuses_what_cannot_be(
    vendors: Vendors, http: requests.Session, path: str, given: dict[str, object]
) -> None:
    answer = http.post(f"{vendors.control_url}/{path}", json=given)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_every_answer_holds_canaries_and_the_log_of_calls_none(
    vendors: Vendors, http: requests.Session, star: requests.Session
) -> None:
    answers = [
        star.get(f"{vendors.star_url}{DISTRICT}/schools"),
        *(
            star.get(f"{vendors.star_url}{DISTRICT}/{what}", params={"subject": "SR"})
            for what in ("assessments", "standards", "skill-areas")
        ),
        star.get(f"{vendors.star_url}{DISTRICT}/schools?token=CANARY-mine"),
        star.get(f"{vendors.scantron_url}{SITE}/schools"),
        http.post(f"{vendors.scantron_url}/v1/session", json=LOGIN),
    ]
    for answer in answers:
        assert "CANARY-" in answer.text
        assert "CANARY-" in answer.headers["Set-Cookie"]
    record = answers[1].json()["records"][0]
    secret = {name for name, value in record.items() if "CANARY-" in str(value)}
    assert secret == {"TakenAtByIPAddress", "StudentPassword", "ReportUrl"}
    assert "CANARY-" not in json.dumps(vendors.calls())
    assert "CANARY-" not in repr(vendors.world)
    assert vendors.calls()[0]["auth"] == "Basic"
    assert vendors.counts("star")[f"GET /star{DISTRICT}/schools"] == 2


def test_empty_fields_can_be_left_out(vendors: Vendors, star: requests.Session) -> None:
    vendors.seed(world={"nulls": False})
    records = star_records(vendors, star)
    assert all(value is not None for it in records for value in it.values())
    assert len(records[0]) > 60


def test_a_million_records_come_from_a_few_under_ids_of_their_own(
    vendors: Vendors, star: requests.Session
) -> None:
    vendors.seed(world={"bulk": 1_000_000})
    assert vendors.state()["star"]["records"]["SR"] == 1_000_000
    query = {"subject": "SR", "pageSize": 500}
    ids: set[str] = set()
    for page in (1, 2, 3, 1999, 2000):
        answer = star_page(vendors, star, "assessments", page=page, **query)
        assert answer["nextPage"] == (None if page == 2000 else page + 1)
        ids |= {it["AssessmentID"] for it in answer["records"]}
    assert len(ids) == 2500
    assert {len(it) for it in ids} == {36}
    assert star_page(vendors, star, "assessments", page=2001, **query)["records"] == []
    before = star_page(vendors, star, "assessments", schoolYear="2020-2021", **query)
    assert before["records"] == []


def test_the_vendors_run_as_a_process_of_their_own(http: requests.Session) -> None:
    command = [sys.executable, "-m", "edpipeline.sandbox.vendors", "--students=60", "--schools=2"]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        assert process.stdout
        assert process.stdin
        urls = json.loads(process.stdout.readline())
        assert http.get(f"{urls['control']}/state").status_code == 200
        account = (WORLD.score_reports_username, WORLD.score_reports_secret)
        assert http.get(f"{urls['score_reports']}/api/v1/token", auth=account).json()["token"]
        process.stdin.close()
        assert process.wait(10) == 0


def test_a_taken_port_is_refused(vendors: Vendors) -> None:
    with pytest.raises(OSError, match="in use"), vendor_servers(WORLD, port=vendors.port):
        pass


def test_a_world_needs_canaries_and_time_zones() -> None:
    with pytest.raises(ValueError, match="CANARY-"):
        VendorWorld(star_client_secret="plain")
    with pytest.raises(ValueError, match="time zone"):
        VendorWorld(now=datetime(2026, 9, 1))
    assert VendorWorld().start == datetime(2027, 6, 1, tzinfo=UTC)
