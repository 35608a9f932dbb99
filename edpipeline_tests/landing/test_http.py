"""The polite client against a server on its worst days."""

import base64
import gzip
import itertools
import json
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from edpipeline.api import Auth
from edpipeline.errors import (
    AccountLocked,
    BadConfiguration,
    BadCredentials,
    ConnectionLost,
    EdpipelineError,
    NotFound,
    Permanent,
    Transient,
)
from edpipeline.landing.answers import Answer
from edpipeline.landing.http import Client
from edpipeline.landing.tokens import AccountToken, Token, token_of
from edpipeline_tests.landing.hostile import (
    EPOCH,
    SECRETS,
    TOKEN,
    Asked,
    Reply,
    Time,
    Vendor,
    answer,
    client_of,
    http_date,
    page,
    served,
    session,
    spec_of,
    time,
    vendor,
)

__all__ = ["time", "vendor"]  # fixtures

PATH = "/v1/sites/{site}/results"
SECRET_PARAMETERS = {"since": "CANARY-since", "email": "CANARY-email@example.org"}


def ask(client: Client, **values: str) -> Any:
    with client:
        return client.get(PATH, values, SECRET_PARAMETERS).content


def results_asked(vendor: Vendor) -> int:
    return sum(path.endswith("/results") for path in vendor.paths)


def assert_silent(error: BaseException | None, *texts: str) -> None:
    """Nothing that must stay secret is in the error, in its causes, or in what was logged."""
    while error is not None:
        texts += (str(error), repr(error))
        error = error.__cause__ or error.__context__
    for text in texts:
        for secret in ("CANARY", "0123456789", "?", "since", "teacher"):
            assert secret not in text


def test_it_signs_in_once_and_shows_the_token_with_every_request(
    vendor: Vendor, time: Time
) -> None:
    with client_of(vendor, time) as client:
        for _ in range(3):
            client.get(PATH)
    assert vendor.paths == ["/v1/session", *["/v1/sites/0123456789/results"] * 3]
    assert json.loads(vendor.asked[0].body) == {"user": "teacher", "password": "CANARY-password"}
    assert {one.headers["Authorization"] for one in vendor.asked[1:]} == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_transient_answer_is_tried_again_with_waits_that_double(
    vendor: Vendor, time: Time, status: int
) -> None:
    vendor.queue = [Reply(status)] * 3
    ask(client_of(vendor, time))
    assert time.slept == [1, 2, 4]


def test_chance_adds_to_a_wait(vendor: Vendor, time: Time) -> None:
    vendor.queue = [Reply(503)]
    client = client_of(vendor, time)
    vars(client)["_chance"] = lambda: 0.5
    ask(client)
    assert time.slept == [1.1]


@pytest.mark.parametrize(
    "bad",
    [
        Reply(resets=True),
        Reply(hangs=True),
        Reply(body=b'{"results": [', declared=4000),
        Reply(body=b'{"results": [', declared=None, headers={"Connection": "close"}),
        Reply(
            body=b'ff\r\n{"results": [',
            declared=None,
            headers={"Transfer-Encoding": "chunked"},
        ),
    ],
    ids=["reset", "hangs", "half sent", "half sent without a length", "half a chunk"],
)
def test_an_answer_that_does_not_come_whole_is_tried_again(
    vendor: Vendor, time: Time, bad: Reply
) -> None:
    vendor.queue = [bad]
    ask(client_of(vendor, time))
    assert results_asked(vendor) == 2

    vendor.queue = [bad] * 4
    with pytest.raises(ConnectionLost, match="after 4 tries") as caught:
        ask(client_of(vendor, time, http={"read_s": 0.1}))
    assert_silent(caught.value)


def test_a_vendor_that_is_not_there_is_transient(vendor: Vendor, time: Time) -> None:
    with served() as gone:
        url = gone.url
    with pytest.raises(ConnectionLost, match=r"POST /v1/session: no whole answer") as caught:
        ask(client_of(vendor, time, base_url=url))
    assert time.slept == [1, 2, 4]
    assert_silent(caught.value)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Permanent),
        (403, BadCredentials),
        (404, NotFound),
        (409, Permanent),
        (422, Permanent),
        (423, AccountLocked),
        (501, Permanent),
    ],
)
def test_what_time_does_not_heal_is_asked_once(
    vendor: Vendor, time: Time, status: int, kind: type[EdpipelineError]
) -> None:
    vendor.queue = [answer({"error": "CANARY-body"}, status)]
    with pytest.raises(kind, match=rf"GET {PATH}: answered {status}") as caught:
        ask(client_of(vendor, time))
    assert (results_asked(vendor), time.slept) == (1, [])
    assert_silent(caught.value)


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "30"},
        {"Retry-After": http_date(EPOCH + 30)},
        {"Retry-After": http_date(5_000_030), "Date": http_date(5_000_000)},
    ],
    ids=["seconds", "a date", "a date by another clock"],
)
@pytest.mark.parametrize("status", [429, 503])
def test_it_waits_as_long_as_the_vendor_asks(
    vendor: Vendor, time: Time, headers: dict[str, str], status: int
) -> None:
    vendor.queue = [Reply(status, headers=headers)]
    ask(client_of(vendor, time))
    assert time.slept == [30]


@pytest.mark.parametrize("text", ["soon", "-5", "", "1e9", http_date(EPOCH)[:-9]])
def test_a_retry_after_that_says_nothing_is_not_heeded(
    vendor: Vendor, time: Time, text: str
) -> None:
    vendor.queue = [Reply(429, headers={"Retry-After": text})]
    ask(client_of(vendor, time))
    assert len(time.slept) == 1
    assert 0 <= time.slept[0] <= 1


def test_a_wait_longer_than_the_deadline_ends_at_once(vendor: Vendor, time: Time) -> None:
    vendor.queue = [Reply(429, headers={"Retry-After": "3600"})]
    with pytest.raises(Transient, match="asks for 3600 s"):
        ask(client_of(vendor, time))
    assert (results_asked(vendor), time.slept) == (1, [])


def test_all_tries_of_a_request_share_one_deadline(vendor: Vendor, time: Time) -> None:
    vendor.answers = lambda _: Reply(503, headers={"Retry-After": "40"})
    with pytest.raises(Transient, match="end too late"):
        ask(client_of(vendor, time))
    assert time.slept == [40, 40]


def test_after_many_failures_in_a_row_nothing_is_asked(vendor: Vendor, time: Time) -> None:
    vendor.answers = lambda _: Reply(500)
    with client_of(vendor, time, http={"failures_in_a_row": 6}) as client:
        for _ in range(4):
            with pytest.raises(Transient):
                client.get(PATH)
    assert results_asked(vendor) == 6


def test_a_success_ends_the_row_of_failures(vendor: Vendor, time: Time) -> None:
    with client_of(vendor, time, http={"failures_in_a_row": 3}) as client:
        for _ in range(4):
            vendor.queue = [Reply(500), Reply(500)]
            client.get(PATH)
    assert results_asked(vendor) == 12


def test_a_token_is_fetched_anew_shortly_before_it_ends(vendor: Vendor, time: Time) -> None:
    with client_of(vendor, time) as client:
        for now in (0, 1739, 1741):
            time.now = now
            client.get(PATH)
    assert vendor.paths.count("/v1/session") == 2


def test_a_token_shorter_than_the_early_refresh_is_still_used(vendor: Vendor, time: Time) -> None:
    vendor.sessions = [session(life=20)]
    with client_of(vendor, time) as client:
        client.get(PATH)
        time.now = 9
        client.get(PATH)
    assert vendor.paths.count("/v1/session") == 1


def test_a_401_in_mid_run_gets_one_new_token(vendor: Vendor, time: Time) -> None:
    vendor.sessions = [session("CANARY-old"), session("CANARY-new")]
    vendor.answers = lambda asked: (
        page([]) if asked.headers["Authorization"].endswith("new") else Reply(401)
    )
    ask(client_of(vendor, time))
    assert (vendor.paths.count("/v1/session"), results_asked(vendor)) == (2, 2)


def test_a_second_401_ends_it_and_nothing_more_is_asked(vendor: Vendor, time: Time) -> None:
    vendor.answers = lambda _: Reply(401)
    with client_of(vendor, time) as client:
        for _ in range(3):
            with pytest.raises(BadCredentials, match="a token fetched just now") as caught:
                client.get(PATH)
    assert (vendor.paths.count("/v1/session"), results_asked(vendor)) == (2, 2)
    assert_silent(caught.value)


@pytest.mark.parametrize(
    ("status", "kind"), [(400, BadCredentials), (401, BadCredentials), (423, AccountLocked)]
)
def test_a_refused_sign_in_is_never_tried_again(
    vendor: Vendor, time: Time, status: int, kind: type[EdpipelineError]
) -> None:
    vendor.sessions = [answer({"message": "CANARY-text"}, status)] * 9
    with client_of(vendor, time, auth={"says": {str(status): "call the vendor"}}) as client:
        for _ in range(3):
            with pytest.raises(kind, match=f"answered {status}: call the vendor") as caught:
                client.sign_in()
    assert vendor.paths == ["/v1/session"]
    assert_silent(caught.value)


def sharing(vendor: Vendor, time: Time, clients: int, **overrides: Any) -> list[Client]:
    token = AccountToken()
    made = [client_of(vendor, time, **overrides) for _ in range(clients)]
    for client in made:
        vars(client)["_token"] = token
    return made


def at_once(clients: list[Client], times: int = 1) -> list[str]:
    """What asking side by side came to: the kind of what was raised, or ""."""

    def asked(client: Client) -> list[str]:
        return [outcome(lambda: client.get(PATH)) for _ in range(times)]

    with ThreadPoolExecutor(len(clients)) as pool:
        found = [each for several in pool.map(asked, clients) for each in several]
    for client in clients:
        client.close()
    return found


def outcome(act: Callable[[], Any]) -> str:
    try:
        act()
    except EdpipelineError as error:
        return type(error).__name__
    return ""


def test_clients_of_one_account_share_a_token_and_its_renewal(vendor: Vendor, time: Time) -> None:
    vendor.sessions = [session("CANARY-first"), session("CANARY-second")]
    clients = sharing(vendor, time, 6)
    shown: list[str] = []

    def answers(asked: Asked) -> Reply:
        shown.append(asked.headers["Authorization"])
        is_stale = len(shown) > 3 and "first" in shown[-1]
        return Reply(401) if is_stale else page([])

    vendor.answers = answers
    assert at_once(clients, times=4) == [""] * 24
    assert vendor.paths.count("/v1/session") == 2
    # Each was refused once at most, and closing one left the others their token.
    assert len(shown) <= 24 + 6 and shown.count("Bearer CANARY-second") >= 18


def test_a_sign_in_that_is_refused_is_refused_for_all(vendor: Vendor, time: Time) -> None:
    vendor.sessions = [Reply(401)] * 99
    clients = sharing(vendor, time, 6)
    assert at_once(clients, times=2) == ["BadCredentials"] * 12
    assert vendor.paths == ["/v1/session"]
    assert all(client.is_refused for client in clients)


def test_who_waited_for_a_sign_in_that_failed_does_not_try_again_at_once() -> None:
    token, begun, fetches = AccountToken(), itertools.count(), []
    waiting = threading.Semaphore(0)

    def clock() -> float:
        waiting.release()
        return next(begun)

    def fetch() -> Token:
        fetches.append("")
        for _ in range(4 if len(fetches) == 1 else 0):
            assert waiting.acquire(timeout=5)  # until all four have asked for the token
        raise Transient("not now")

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: outcome(lambda: token.current(fetch, clock)), range(4)))
    assert (found, len(fetches)) == (["Transient"] * 4, 1)
    assert (outcome(lambda: token.current(fetch, clock)), len(fetches)) == ("Transient", 2)
    assert token.current(lambda: Token("CANARY", 60), clock) == "CANARY"
    assert "CANARY" not in repr(token)


def test_being_signed_in_asks_nobody_while_the_token_lasts(vendor: Vendor, time: Time) -> None:
    vendor.sessions = [session("a", life=1800), session("b", life=1800)]
    with client_of(vendor, time) as client:
        client.be_signed_in()
        client.be_signed_in()
        assert vendor.paths == ["/v1/session"]
        time.now += 1800
        client.be_signed_in()
        client.sign_in()
    assert vendor.paths == ["/v1/session"] * 3


def test_every_try_that_fails_is_heard_of(vendor: Vendor, time: Time) -> None:
    heard: list[int | None] = []
    vendor.queue = [Reply(429), Reply(resets=True), Reply(503), page([])]
    client = client_of(vendor, time)
    vars(client)["_heard"] = heard.append
    ask(client)
    assert heard == [429, None, 503]


@pytest.mark.parametrize(
    "content",
    [{}, [], {"token": None}, {"token": ""}, {"token": 5}, {"token": "two\nlines CANARY"}],
)
def test_a_token_that_is_none_is_an_error_of_the_contract(
    vendor: Vendor, time: Time, content: object
) -> None:
    vendor.sessions = [answer(content)]
    with pytest.raises(Permanent, match="no usable `token`") as caught:
        ask(client_of(vendor, time))
    assert_silent(caught.value)


def jwt(life: int) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"iat": 100, "exp": 100 + life}).encode())
    return f"e30.{claims.decode().rstrip('=')}.CANARY"


STYLES: dict[str, tuple[dict[str, Any], dict[str, str], Any, Callable[[Asked], bool], str]] = {
    "oauth2 basic": (
        {"style": "oauth2_client_credentials", "path": "/v1/session", "scope": "read"},
        {"client_id": "id", "client_secret": "CANARY-s"},
        {"access_token": "CANARY-t", "expires_in": "3600"},
        lambda asked: (
            asked.headers["Authorization"] == "Basic " + base64.b64encode(b"id:CANARY-s").decode()
            and asked.body == b"grant_type=client_credentials&scope=read"
        ),
        "Authorization: Bearer CANARY-t",
    ),
    "oauth2 body": (
        {"style": "oauth2_client_credentials", "path": "/v1/session", "send": "body"},
        {"client_id": "id", "client_secret": "a&b"},
        {"access_token": "CANARY-t"},
        lambda asked: (
            "Authorization" not in asked.headers
            and asked.body == b"grant_type=client_credentials&client_id=id&client_secret=a%26b"
        ),
        "Authorization: Bearer CANARY-t",
    ),
    "basic then raw jwt": (
        {"style": "basic_then_raw_jwt", "path": "/v1/session"},
        {"username": "u", "password": "p"},
        {"token": jwt(3600)},
        lambda asked: asked.method == "GET" and asked.headers["Authorization"] == "Basic dTpw",
        f"Authorization: {jwt(3600)}",
    ),
    "api key then jwt": (
        {"style": "api_key_then_jwt", "path": "/v1/session", "body": {"email": "{email}"}},
        {"api_key": "CANARY-k", "email": "us@example.org"},
        {"success": True, "jwt": "CANARY-j"},
        lambda asked: (
            asked.headers["x-api-key"] == "CANARY-k"
            and json.loads(asked.body) == {"email": "us@example.org"}
        ),
        "X-Auth-Token: Bearer CANARY-j",
    ),
}


@pytest.mark.parametrize("style", STYLES)
def test_each_style_signs_in_as_it_should(vendor: Vendor, time: Time, style: str) -> None:
    auth, secrets, content, is_right, shown = STYLES[style]
    body = {"user": None, "password": None, **auth.get("body", {})}
    spec = spec_of(vendor, auth={"life_field": None, **auth, "body": body})
    vendor.sessions = [answer(content)]
    with Client(spec, secrets, {"site": "1"}, clock=time.clock) as client:
        client.get(PATH)
        time.now = 2900
        client.get(PATH)
    assert is_right(vendor.asked[0])
    header, _, value = shown.partition(": ")
    assert [one.headers.get(header) for one in vendor.asked[1:]] == [value, value]


def test_a_raw_jwt_says_itself_when_it_ends(vendor: Vendor, time: Time) -> None:
    spec = spec_of(
        vendor,
        auth={"style": "basic_then_raw_jwt", "body": None, "life_field": None, "life_s": 9000},
    )
    vendor.sessions = [answer({"token": jwt(600)}), answer({"token": jwt(600)})]
    with Client(spec, SECRETS, {"site": "1"}, clock=time.clock) as client:
        client.get(PATH)
        time.now = 541
        client.get(PATH)
    assert vendor.paths.count("/v1/session") == 2


@pytest.mark.parametrize(
    "claims",
    ["", "[]", "{}", '{"exp": 1}', '{"iat": 1, "exp": null}', '{"iat": 1, "exp": NaN}', "[" * 9000,
     '{"iat": 1, "exp": 1%s}' % ("0" * 400)],
)  # fmt: skip
def test_a_jwt_that_cannot_be_read_lasts_as_long_as_is_usual(claims: str) -> None:
    text = f"e30.{base64.urlsafe_b64encode(claims.encode()).decode().rstrip('=')}.CANARY"
    auth = Auth(style="basic_then_raw_jwt", path="/t", life_s=9000)
    found = token_of(auth, Answer({"token": msgspec.Raw(f'"{text}"'.encode())}, 1, 200, ""))
    assert found and found.life == 9000


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("to", ["elsewhere", "//127.0.0.1:1/x", "", "file:///etc/passwd"])
def test_a_redirect_to_another_host_is_not_followed(
    vendor: Vendor, time: Time, status: int, to: str
) -> None:
    with served() as elsewhere:
        target = f"{elsewhere.url}/v1/x?CANARY-key" if to == "elsewhere" else to
        vendor.answers = lambda _: Reply(status, headers={"Location": target})
        with pytest.raises(Permanent, match=r"sends us elsewhere|redirects in a row") as caught:
            ask(client_of(vendor, time))
    assert elsewhere.asked == []
    assert_silent(caught.value)


def test_a_redirect_within_the_host_is_followed_but_not_for_ever(
    vendor: Vendor, time: Time
) -> None:
    vendor.queue = [Reply(308, headers={"Location": "/v1/other/"}), page([])]
    ask(client_of(vendor, time))
    assert vendor.paths[-1] == "/v1/other/"
    vendor.answers = lambda _: Reply(302, headers={"Location": "/v1/other/"})
    with pytest.raises(Permanent, match="more than 3 redirects"):
        ask(client_of(vendor, time))


def test_a_sign_in_is_never_redirected(vendor: Vendor, time: Time) -> None:
    vendor.sessions = [Reply(307, headers={"Location": "/v1/other"})]
    with pytest.raises(Permanent, match="sends us elsewhere"):
        ask(client_of(vendor, time))
    assert vendor.paths == ["/v1/session"]


@pytest.mark.parametrize(
    "value", ["a/b", "a?b=c", "a#b", "a%2Fb", "a b", "é", "..;/x", "%2e%2e", "a\\b", "a\r\nX: y"]
)
def test_a_value_never_changes_the_path(vendor: Vendor, time: Time, value: str) -> None:
    ask(client_of(vendor, time), site=value)
    steps = vendor.paths[-1].split("/")
    assert (len(steps), steps[2], steps[-1]) == (5, "sites", "results")
    assert set(vendor.asked[-1].parameters) == {"since", "email"}
    assert "X" not in vendor.asked[-1].headers


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_a_value_that_would_change_the_path_is_refused(
    vendor: Vendor, time: Time, value: str
) -> None:
    with pytest.raises(BadConfiguration, match="empty or made of dots"):
        ask(client_of(vendor, time), site=value)


def test_parameters_arrive_as_they_are(vendor: Vendor, time: Time) -> None:
    wanted = {"a b": "c&d=e", "plus": "1+1", "é": "%20", "empty": ""}
    with client_of(vendor, time) as client:
        client.get(PATH, parameters=wanted)
    assert vendor.asked[-1].parameters == wanted


@pytest.mark.parametrize(
    ("body", "headers", "says"),
    [
        (b"<!DOCTYPE html><p>CANARY", {}, "an HTML page"),
        (b"CANARY", {"Content-Type": "text/html"}, "an HTML page"),
        (b"", {}, "no JSON"),
        (b"CANARY", {}, "no JSON"),
        (b'"CANARY"', {}, "no JSON object"),
        (b"7", {}, "no JSON object"),
        (b'{"CANARY": NaN}', {}, "no JSON"),
        (b'{"CANARY": "\xff"}', {}, "no JSON"),
        (b'{"CANARY": 1', {}, "no JSON"),
        (b"[" * 100_000, {}, "no JSON"),
        ('{"results": []}'.encode("utf-16"), {}, "no JSON"),
    ],
)
def test_what_is_not_json_is_told_by_path_status_and_size(
    vendor: Vendor, time: Time, body: bytes, headers: dict[str, str], says: str
) -> None:
    vendor.queue = [Reply(body=body, headers=headers)]
    with pytest.raises(Permanent, match=rf"\(200, {len(body)} bytes\) is {says}") as caught:
        ask(client_of(vendor, time))
    assert PATH in str(caught.value)
    assert_silent(caught.value)
    assert results_asked(vendor) == 1


def test_json_behind_a_byte_order_mark_is_read(vendor: Vendor, time: Time) -> None:
    vendor.queue = [Reply(body=b'\xef\xbb\xbf{"results": []}')]
    assert set(ask(client_of(vendor, time))) == {"results"}


@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_is_limited_in_size_also_when_it_is_packed(
    vendor: Vendor, time: Time, packed: bool
) -> None:
    body = b'{"results": "' + b" " * 3_000_000 + b'"}'
    headers = {"Content-Encoding": "gzip"} if packed else {}
    vendor.queue = [Reply(body=gzip.compress(body) if packed else body, headers=headers)]
    with pytest.raises(Permanent, match="larger than 1000000 bytes"):
        ask(client_of(vendor, time, http={"most_bytes": 1_000_000}))


def test_a_packed_answer_is_unpacked(vendor: Vendor, time: Time) -> None:
    packed = gzip.compress(b'{"results": []}')
    vendor.queue = [Reply(body=packed, headers={"Content-Encoding": "gzip"})]
    assert set(ask(client_of(vendor, time))) == {"results"}


def test_an_answer_that_cannot_be_unpacked_is_permanent(vendor: Vendor, time: Time) -> None:
    vendor.queue = [Reply(body=b"CANARY", headers={"Content-Encoding": "gzip"})]
    with pytest.raises(Permanent, match="cannot be unpacked") as caught:
        ask(client_of(vendor, time))
    assert_silent(caught.value)


def test_an_answer_that_never_ends_ends_at_the_deadline(vendor: Vendor, time: Time) -> None:
    client = client_of(vendor, time)
    vendor.queue = [Reply(body=b" " * 10_000_000)]
    ticks = iter(range(10_000))
    vars(client)["_clock"] = lambda: float(next(ticks)) * 3
    with pytest.raises(ConnectionLost, match="too slowly"):
        ask(client)


def test_a_call_asks_for_what_must_be_so(vendor: Vendor, time: Time) -> None:
    vendor.queue = [answer({"authorized": True}), answer({"authorized": False}), Reply(403)]
    with client_of(vendor, time) as client:
        client.call("authorization")
        assert json.loads(vendor.asked[-1].body) == {"username": "teacher"}
        with pytest.raises(BadCredentials, match="does not say `authorized: true`"):
            client.call("authorization")
        with pytest.raises(BadCredentials, match="data sharing is not enabled"):
            client.call("authorization")


def test_no_proxy_and_no_password_of_the_environment_is_used(
    vendor: Vendor, time: Time, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password CANARY\n")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    ask(client_of(vendor, time))
    assert "Authorization" not in vendor.asked[0].headers


def test_no_cookie_is_kept(vendor: Vendor, time: Time) -> None:
    vendor.queue = [answer({}, Set_Cookie="CANARY=1")]
    with client_of(vendor, time) as client:
        client.get(PATH)
        client.get(PATH)
    assert "Cookie" not in vendor.asked[-1].headers


def test_nothing_secret_is_logged_or_shown(
    vendor: Vendor, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    vendor.queue = [Reply(503), Reply(resets=True)]
    client = client_of(vendor, time)
    ask(client)
    assert len(caplog.messages) == 2
    assert_silent(None, repr(client), repr(vars(client)["_session"]), *caplog.messages)


@pytest.mark.parametrize("lacking", [{"username": ""}, {"password": ""}])
def test_what_is_needed_to_sign_in_is_named(vendor: Vendor, lacking: dict[str, str]) -> None:
    with pytest.raises(BadConfiguration, match=next(iter(lacking))):
        Client(spec_of(vendor), {**SECRETS, **lacking})


def test_a_vendor_without_an_address_is_not_asked(vendor: Vendor) -> None:
    with pytest.raises(BadConfiguration, match="give its base_url"):
        Client(spec_of(vendor, base_url=""), SECRETS)
