"""Questions about one thing: what of an answer is kept, and how often one that writes is asked."""

import json
from typing import Any

import pytest

from edpipeline.errors import (
    BadCredentials,
    ConnectionLost,
    EdpipelineError,
    Garbled,
    NotFound,
    Permanent,
    Refused,
    Transient,
)
from edpipeline.landing.http import Client
from edpipeline.landing.looked import Looked, plain
from edpipeline_tests.landing.hostile import Reply, Time, Vendor, answer, client_of, time, vendor

__all__ = ["time", "vendor"]  # fixtures

LOOKUP: dict[str, Any] = {
    "path": "/v1/progress",
    "parameters": {"student": "{student}", "attempt": "{attempt}"},
    "fields": {"score": "score", "inner.kind": "kind", "tags": "tags"},
    "withheld": ["credentials"],
    "children": {
        "questions": {
            "name": "questions",
            "fields": {"id": "question_id", "correct": "correct", "result.score": "score"},
            "present": {"answered": ["response", "result", "correct"]},
            "withheld": ["content"],
        }
    },
}
SECRETS = {
    "credentials": {"email": "CANARY@example.org", "password": "CANARY-password"},
    "testUrl": "https://tool.example/CANARY",
}


def client_for(vendor: Vendor, time: Time, **change: Any) -> Client:
    return client_of(vendor, time, lookups={"progress": {**LOOKUP, **change}})


def ask(vendor: Vendor, time: Time, **change: Any) -> Looked:
    with client_for(vendor, time, **change) as client:
        return client.look_up("progress", {"student": "CANARY-student", "attempt": ""})


def asked(vendor: Vendor) -> int:
    return vendor.paths.count("/v1/progress")


def test_only_what_is_allowed_is_kept_as_it_was_written(vendor: Vendor, time: Time) -> None:
    body = b'{"score": 7.10, "inner": {"kind": "a", "more": 1}, "tags": ["x", 1], "new": 1, '
    vendor.queue = [Reply(body=body + json.dumps(SECRETS)[1:].encode())]
    looked = ask(vendor, time)
    assert {name: bytes(raw) for name, raw in looked.record.items()} == {
        "score": b"7.10",
        "kind": b'"a"',
        "tags": b'"[\\"x\\",1]"',
    }
    assert looked.unknown == {"new": "number", "inner.more": "number", "testUrl": "string"}
    assert (looked.value("score"), looked.value("nothing")) == (7.1, None)
    assert "CANARY" not in repr(looked) + str(looked.record)
    assert looked.children == {}
    assert vendor.asked[-1].parameters == {"student": "CANARY-student"}


def test_whether_a_question_is_answered_is_told_from_presence_alone(
    vendor: Vendor, time: Time
) -> None:
    questions: list[dict[str, Any]] = [
        {"id": "1", "response": "CANARY", "content": {"rawXml": "CANARY"}},
        {"id": "2", "result": {"score": 0.5, "outcomes": {"a": 1}}},
        {"id": "3", "correct": False},
        {"id": "4", "response": None, "result": None},
        {"id": "5", "response": [], "content": {}},
    ]
    vendor.queue = [answer({"questions": questions})]
    looked = ask(vendor, time)
    rows = [plain(row) for row in looked.children["questions"]]
    assert [row["answered"] for row in rows] == [True, True, True, False, False]
    assert rows[1] == {"question_id": "2", "score": 0.5, "answered": True}
    assert looked.unknown == {"questions.result.outcomes": "object"}
    assert "CANARY" not in str(looked.children)


@pytest.mark.parametrize(
    ("questions", "children"), [([], {"questions": []}), ("x", {}), (None, {})]
)
def test_no_list_is_told_from_an_empty_one(
    vendor: Vendor, time: Time, questions: Any, children: Any
) -> None:
    vendor.queue = [answer({"questions": questions})]
    assert ask(vendor, time).children == children


def test_an_answer_tells_its_request_and_how_often_it_was_made(vendor: Vendor, time: Time) -> None:
    vendor.queue = [Reply(503), answer({}, x_amzn_requestid="req-1")]
    looked = ask(vendor, time)
    assert (looked.status, looked.request_id, looked.tries, looked.seconds) == (200, "req-1", 2, 1)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (answer({"m": "CANARY"}, 404, X_Request_ID="r"), NotFound),
        (answer({"m": "CANARY"}, 422, X_Request_ID="r"), Refused),
        (answer({"m": "CANARY"}, 400, X_Request_ID="r"), Refused),
        (answer({"m": "CANARY"}, 403, X_Request_ID="r"), BadCredentials),
        (answer({"m": "CANARY"}, 500, X_Request_ID="r"), Transient),
        (answer(["CANARY"], X_Request_ID="r"), Garbled),
        (Reply(200, b"<html>CANARY", {"X-Request-ID": "r"}), Garbled),
    ],
)
@pytest.mark.parametrize("writes", ["true", "false"])
def test_an_error_tells_status_and_request_and_nothing_of_the_vendors_words(
    vendor: Vendor, time: Time, reply: Reply, kind: type[EdpipelineError], writes: str
) -> None:
    vendor.queue = [reply] * 4
    with pytest.raises(kind) as caught:
        ask(vendor, time, writes=writes)
    assert (caught.value.status, caught.value.request_id) == (reply.status, "r")
    assert "CANARY" not in repr(caught.value) + str(vars(caught.value))
    assert asked(vendor) == (4 if kind is Transient and writes == "false" else 1)


def test_a_call_that_writes_comes_back_no_sooner_than_the_vendor_asks(
    vendor: Vendor, time: Time
) -> None:
    for seconds, slept in (("7", [7]), ("3600", [7])):
        vendor.queue = [Reply(429, headers={"Retry-After": seconds})]
        with pytest.raises(Transient, match=f"asks for {seconds} s"):
            ask(vendor, time, writes="true")
        assert time.slept == slept
    assert asked(vendor) == 2


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(503), Transient),
        (Reply(429), Transient),
        (Reply(hangs=True), ConnectionLost),
        (Reply(resets=True), ConnectionLost),
        (Reply(302, headers={"Location": "/v1/progress"}), Refused),
    ],
)
def test_what_writes_is_asked_once_whatever_comes(
    vendor: Vendor, time: Time, reply: Reply, kind: type[EdpipelineError]
) -> None:
    vendor.queue = [reply] * 4
    with pytest.raises(kind):
        ask(vendor, time, writes="true")
    assert (asked(vendor), time.slept) == (1, [])


LISTED = {
    "fields": {},
    "withheld": [],
    "as_list": "true",
    "children": {
        "": {"name": "reports", "fields": {"type": "kind"}, "present": {"has_link": ["url"]}}
    },
}


def test_an_answer_that_is_a_list_is_kept_by_its_own_allow_list(vendor: Vendor, time: Time) -> None:
    records = [
        {"type": "A", "url": "https://x.example/CANARY", "new": {"deep": 1}},
        {"type": None, "url": ""},
        {},
    ]
    vendor.queue = [answer(records)]
    looked = ask(vendor, time, **LISTED)
    assert [plain(record) for record in looked.children["reports"]] == [
        {"kind": "A", "has_link": True},
        {"kind": None, "has_link": False},
        {"has_link": False},
    ]
    assert looked.record == {} and looked.unknown == {"new": "object"}
    assert "CANARY" not in repr(looked) + str(looked.children)


def test_a_list_of_nothing_is_an_answer_and_no_list_is_none(vendor: Vendor, time: Time) -> None:
    vendor.queue = [answer([])]
    assert ask(vendor, time, **LISTED).children == {"reports": []}
    for content in ({"reports": []}, [1], [[]], ["CANARY"], [{}, None]):
        vendor.queue = [answer(content)]
        with pytest.raises(Garbled, match="no JSON list of objects") as caught:
            ask(vendor, time, **LISTED)
        assert caught.value.status == 200 and "CANARY" not in str(caught.value)


def test_what_writes_is_asked_again_with_a_new_token_because_it_was_not_carried_out(
    vendor: Vendor, time: Time
) -> None:
    vendor.queue = [Reply(401), answer({"score": 1})]
    assert ask(vendor, time, writes="true").value("score") == 1
    assert asked(vendor) == 2


def test_what_writes_is_replayed_once_and_no_more(vendor: Vendor, time: Time) -> None:
    vendor.queue = [Reply(401), Reply(503), answer({})]
    with pytest.raises(Transient):
        ask(vendor, time, writes="true")
    assert asked(vendor) == 2
    vendor.queue = [Reply(401)] * 5
    with pytest.raises(BadCredentials) as caught:
        ask(vendor, time, writes="true")
    assert (asked(vendor), caught.value.status) == (4, 401)


def test_every_try_waits_for_its_turn(vendor: Vendor, time: Time) -> None:
    turns: list[float] = []
    vendor.queue = [Reply(503), answer({})]
    client = client_for(vendor, time)
    vars(client)["_pace"] = lambda: turns.append(time.now)
    with client:
        client.look_up("progress", {"student": "x"})
    assert turns == [0, 0, 1]


def test_tokens_are_had_where_the_whole_url_says(vendor: Vendor, time: Time) -> None:
    url = f"{vendor.url}/v1/session"
    with client_of(vendor, time, auth={"path": None, "url": url}) as client:
        client.sign_in()
    assert vendor.paths == ["/v1/session"]
    with client_of(vendor, time, auth={"path": None, "url": f"{vendor.url}/v1/x"}) as client:
        vendor.answers = lambda _: Reply(400)
        with pytest.raises(BadCredentials, match="POST /v1/x: answered 400"):
            client.sign_in()
    assert issubclass(BadCredentials, Permanent)
