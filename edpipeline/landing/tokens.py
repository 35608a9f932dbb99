"""How each style of sign-in asks for its token, what its answer holds, and one token for many.

login_session              a JSON body with what the account has
oauth2_client_credentials  a form, with the id and secret in it or in an Authorization header
basic_then_raw_jwt         an Authorization header, and a JWT back
api_key_then_jwt           a key in a header of its own, and a JWT back
"""

import base64
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from edpipeline.api import Auth
from edpipeline.errors import BadCredentials, Transient
from edpipeline.filling import filled_body
from edpipeline.landing.answers import Answer, at_path

TOKEN = re.compile(r"[\x21-\x7e]{1,16384}")


@dataclass(frozen=True, repr=False)
class Proof:
    """What a request for a token carries; never shown."""

    headers: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] | None = None
    json: Mapping[str, str] | None = None


@dataclass(frozen=True, repr=False)
class Token:
    """A token and its life in seconds; never shown."""

    text: str
    life: float


class AccountToken:
    """The token of one account, for every client of it: it is fetched by one of them at a time, and
    the others wait for it. Never shown.

    Whoever waited while it could not be fetched does not try again at once.
    """

    def __init__(self) -> None:
        self.refusal: BadCredentials | None = None
        """Why the account may not be used any more: nobody tries again."""
        self._text = ""
        self._ends = 0.0
        self._failure: Transient | None = None
        self._failed_at = 0.0
        self._lock = threading.Lock()

    def current(self, fetch: Callable[[], Token], clock: Callable[[], float]) -> str:
        """The token; fetched where there is none, or it has ended by the clock (steady seconds).

        `fetch` says for how long the token is to be shown. What it raises is raised.
        """
        asked = clock()
        with self._lock:
            if self.refusal is not None:
                raise self.refusal
            if self._text and clock() < self._ends:
                return self._text
            if self._failure is not None and self._failed_at > asked:
                raise self._failure
            self._text = ""
            try:
                token = fetch()
            except Transient as error:
                self._failure, self._failed_at = error, clock()
                raise
            self._text, self._ends, self._failure = token.text, clock() + token.life, None
            return self._text

    def forget(self, text: str | None = None) -> None:
        """Fetch it anew the next time: whatever it is, or only where it is still this one."""
        with self._lock:
            if text in (None, self._text):
                self._text = ""


def proof(auth: Auth, known: Mapping[str, str]) -> Proof:
    """What to send for a token. `known` holds everything that `auth.needs`."""
    body = filled_body(auth.body, known)
    match auth.style:
        case "oauth2_client_credentials":
            form = {"grant_type": "client_credentials", **body}
            if auth.scope:
                form["scope"] = auth.scope
            if auth.send == "basic":
                return Proof(_basic(known["client_id"], known["client_secret"]), form)
            both = {name: known[name] for name in ("client_id", "client_secret")}
            return Proof(form={**form, **both})
        case "basic_then_raw_jwt":
            return Proof(_basic(known["username"], known["password"]), json=body or None)
        case "api_key_then_jwt":
            return Proof({auth.key_header: known["api_key"]}, json=body)
        case "login_session":
            return Proof(json=body)


def token_of(auth: Auth, answer: Answer) -> Token | None:
    """The token in an answer; None where there is none that a header could hold."""
    text = _value(answer, auth.token_field)
    if not isinstance(text, str) or not TOKEN.fullmatch(text):
        return None
    life = _seconds(_value(answer, auth.life_field)) or _life_of_jwt(text) or auth.life_s
    return Token(text, life)


def _value(answer: Answer, path: str) -> object:
    raw = at_path(answer.content, path)
    return None if raw is None else msgspec.json.decode(raw)


def _seconds(life: object) -> float:
    """Also where it is written as text; 0 where there is none."""
    try:
        return max(0.0, float(life)) if isinstance(life, int | float | str) else 0.0
    except ValueError:
        return 0.0


def _life_of_jwt(token: str) -> float:
    """Seconds from a JWT's `iat` to its `exp`; 0 where they cannot be read."""
    parts = token.split(".")
    if len(parts) != 3:
        return 0.0
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return max(0.0, float(claims["exp"]) - float(claims["iat"]))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return 0.0


def _basic(user: str, password: str) -> dict[str, str]:
    both = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {both}"}
