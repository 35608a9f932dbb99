"""What an answer of an API means: its JSON, or why there is none. Pure, and silent about content.

Statuses become errors that say what a person may do; a specification's `says` speaks first.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from edpipeline.api import Says
from edpipeline.errors import (
    AccountLocked,
    BadCredentials,
    ConnectionLost,
    EdpipelineError,
    Garbled,
    NotFound,
    Refused,
    Transient,
)

TRANSIENT = frozenset({429, 500, 502, 503, 504})
LOCKED = 423
REQUEST_IDS = ("x-request-id", "x-amzn-requestid")
REQUEST_ID = re.compile(r"[A-Za-z0-9._=+-]{1,100}")
Content = dict[str, msgspec.Raw] | list[msgspec.Raw]

_content = msgspec.json.Decoder(Content)
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True)
class Answer:
    """The JSON of an answer, its values not yet read, and the size of its body in bytes."""

    content: Content = field(repr=False)
    size: int
    status: int = 200
    request_id: str = ""
    """What the vendor calls the request; empty where it does not say."""
    tries: int = 1


@dataclass(frozen=True)
class Failure:
    """Why one try failed. `wait` is what the server asks for, in seconds."""

    error: EdpipelineError
    wait: float | None = None


class Unauthorized(BadCredentials):
    """401 to a request that showed a token, which may have ended."""


def read_answer(
    name: str, status: int, headers: Mapping[str, str], body: bytes
) -> Answer | Failure:
    """The JSON of a body, or that it is none.

    JSON that ends too early is transient where the server did not say how long the body is; where
    it did, the body is whole, and is wrong.
    """
    what = f"{name}: the answer ({status}, {len(body)} bytes)"
    try:
        str(body, "utf-8")
        content = _content.decode(body.removeprefix(b"\xef\xbb\xbf"))
        return Answer(content, len(body), status, request_id(headers))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        is_cut = "truncated" in str(error) and body.lstrip()[:1] in (b"{", b"[")
    if is_cut and "Content-Length" not in headers and "Transfer-Encoding" not in headers:
        return Failure(ConnectionLost(f"{what} ends too early"))
    is_html = "html" in headers.get("Content-Type", "") or body.lstrip()[:1] == b"<"
    kind = "an HTML page" if is_html else "no JSON object or list"
    garbled = Garbled(f"{what} is {kind}; correct the base URL and paths, or ask the vendor")
    return Failure(about(garbled, status, headers))


def refusal(
    name: str, status: int, headers: Mapping[str, str], says: Says, signs_in: bool, now: float
) -> Failure:
    """What a status other than 200 to 299 means. `now` is in seconds since 1970."""
    what = f"{name}: answered {status}"
    if status in TRANSIENT:
        wait = retry_after(headers, now)
        asked = "" if wait is None else f", and asks for {wait:.0f} s of patience"
        return Failure(about(Transient(f"{what}{asked}"), status, headers), wait)
    kind: type[EdpipelineError] = Refused
    remedy = "trying again will not change it; correct the configuration, or ask the vendor"
    if status == LOCKED:
        kind, remedy = AccountLocked, "the account is locked; have the vendor unlock it first"
    elif signs_in and 400 <= status < 500:
        kind, remedy = BadCredentials, "the sign-in is refused; check the account and its secrets"
    elif status == 401:
        kind, remedy = Unauthorized, "the token is refused"
    elif status == 403:
        kind, remedy = BadCredentials, "this account may not read it; have the vendor allow it"
    elif status == 404:
        kind, remedy = NotFound, "there is no such thing; check the ids and paths we ask with"
    return Failure(about(kind(f"{what}: {says.get(status, remedy)}"), status, headers))


def about(error: EdpipelineError, status: int, headers: Mapping[str, str]) -> EdpipelineError:
    """The error, with what it may tell of the answer that it is about."""
    error.status, error.request_id = status, request_id(headers)
    return error


def request_id(headers: Mapping[str, str]) -> str:
    """What the vendor calls the request; empty where it does not say, or says anything odd."""
    found = (headers.get(name, "") for name in REQUEST_IDS)
    return next((text for text in found if REQUEST_ID.fullmatch(text)), "")


def at_path(content: Any, path: str) -> msgspec.Raw | None:
    """The value at a dotted path of an answer, not yet read; None where there is none."""
    found = content
    for step in path.split("."):
        if isinstance(found, msgspec.Raw):
            found = object_of(found)
        found = found.get(step) if isinstance(found, dict) else None
    return found if isinstance(found, msgspec.Raw) else None


def object_of(raw: msgspec.Raw) -> dict[str, msgspec.Raw] | None:
    """The object's own values, not yet read; None where it is no object."""
    return _object.decode(raw) if first_byte(raw) == b"{" else None


def first_byte(raw: msgspec.Raw) -> bytes:
    """Which tells the kind of a JSON value."""
    return bytes(memoryview(raw)[:1])


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that a server asks us to wait; a date counts from the server's own clock."""
    text = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    until = _instant(text)
    if until is None:
        return None
    since = _instant(headers.get("Date", ""))
    return max(0.0, until - (now if since is None else since))


def _instant(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
