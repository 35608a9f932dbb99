"""The polite client of every vendor API: asks, waits, tries again, and gives up in time.

    with Client(spec, secrets) as client:
        client.sign_in()
        answer = client.get(path, values, parameters)

Tried again are transient answers alone: 429, 500, 502, 503, 504, lost connections, time-outs and
bodies that end too early; with waits that double, or as long as `Retry-After` says, within one
deadline. A token is fetched once, anew shortly before it ends, and once after a 401; clients of one
account may share it. A sign-in that was refused, and a locked account, are not tried again by these
clients. Redirects leave neither the host nor the scheme. Proxies, certificates and passwords that
the environment names are not used.

No error, log line or repr holds a secret, a token, a value, a query string or a body: requests
are named by the path of the specification, with its braces.
"""

import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http.client import HTTPException
from pathlib import Path
from types import TracebackType
from urllib.parse import quote, urlencode, urljoin, urlsplit

import requests
import urllib3
from pydantic import SecretStr

from edpipeline.api import ApiSpec, Auth, Call, Says
from edpipeline.errors import (
    AccountLocked,
    BadConfiguration,
    BadCredentials,
    ConnectionLost,
    Garbled,
    Permanent,
    Refused,
    Transient,
)
from edpipeline.filling import filled_body, filled_parameters, filled_path
from edpipeline.landing.answers import (
    Answer,
    Failure,
    Unauthorized,
    about,
    at_path,
    read_answer,
    refusal,
)
from edpipeline.landing.looked import Looked, looked
from edpipeline.landing.session import lasting_trouble, new_session
from edpipeline.landing.tokens import AccountToken, Proof, Token, proof, token_of

REDIRECTS = frozenset({301, 302, 303, 307, 308})
MOST_REDIRECTS = 3
PIECE = 1 << 18
"""Bytes read at once; the deadline is looked at between two pieces."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    """As the specification has it, for messages."""
    url: str = field(repr=False)
    proof: Proof = field(repr=False, default=Proof())
    says: Says = field(default_factory=dict)
    signs_in: bool = False
    writes: bool = False


class Client:
    """Asks one vendor for one district; not to be shared between threads.

    `secrets` are what the specification's sign-in needs, `values` what fills braces in every
    path, `pace` waits until a try may begin, `heard` is told the status of every try that failed
    (None where there was no answer), `token` is shared with other clients of the account. `sleep`,
    `clock` (steady seconds), `wall` (seconds since 1970) and `chance` (0 to 1) are for tests.
    """

    def __init__(
        self,
        spec: ApiSpec,
        secrets: Mapping[str, str | SecretStr],
        values: Mapping[str, str] | None = None,
        *,
        pace: Callable[[], None] = lambda: None,
        heard: Callable[[int | None], None] = lambda _: None,
        token: AccountToken | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Raises BadConfiguration where the base URL or a value to sign in with is missing."""
        self.spec = spec
        self.values = dict(values or {})
        self._known = self.values | {
            name: value.get_secret_value() if isinstance(value, SecretStr) else value
            for name, value in secrets.items()
        }
        self._pace, self._heard = pace, heard
        self._sleep, self._clock, self._wall, self._chance = sleep, clock, wall, chance
        _require_usable(spec, self._known)
        self._own_token = AccountToken()
        self._token = token or self._own_token
        self._failures = 0
        self._session = new_session(spec.http)

    def __repr__(self) -> str:
        return f"Client({self.spec.title!r})"

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let the connection and the token go; one that is shared stays."""
        self._session.close()
        self._own_token.forget()

    @property
    def is_refused(self) -> bool:
        """Whether the account was refused, or is locked: it is not tried again."""
        return self._token.refusal is not None

    def sign_in(self) -> None:
        """Fetch a token anew, which shows whether the account works.

        Raises BadCredentials where it is refused, AccountLocked where it is locked, Transient
        where the vendor cannot be reached now.
        """
        self._token.forget()
        self.be_signed_in()

    def be_signed_in(self) -> None:
        """Have a token, fetched only where there is none that lasts; raises as `sign_in` does."""
        self._token_text(self._clock() + self.spec.http.deadline_s)

    def get(
        self,
        path: str,
        values: Mapping[str, str] | None = None,
        parameters: Mapping[str, str] | None = None,
        says: Says | None = None,
    ) -> Answer:
        """The answer to a GET of a path of the specification, below the base URL.

        Raises Transient when trying later may help (the tries or the deadline are used up, the
        vendor asks for a longer wait, too many failures in a row), BadCredentials or
        AccountLocked when we are refused, NotFound, and Permanent for what is not JSON, too
        large, or leads elsewhere.
        """
        url = self._url(path, values or {}, parameters or {})
        return self._signed(_Request("GET", path, url, says=says or {}))

    def look_up(self, name: str, values: Mapping[str, str] | None = None) -> Looked:
        """What the vendor says of one thing, asked as the lookup of that name says.

        One that writes is asked once: it is not tried again, and follows no redirect; where a 401
        says that it was not carried out, it is asked once more with a new token. Raises as `get`
        does, Refused for other statuses of refusal, and Garbled for what is no JSON object. Errors
        have the `status` and the `request_id` of the answer, where there was one.
        """
        one, began = self.spec.lookups[name], self._clock()
        known = {**self.values, **(values or {})}
        url = self._url(one.path, known, filled_parameters(one.parameters, known))
        request = _Request("GET", one.path, url, says=one.says, writes=one.writes)
        answer = self._signed(request)
        return looked(one, answer, self._name(request), self._clock() - began)

    def call(self, call: str | Call, values: Mapping[str, str] | None = None) -> Answer:
        """Make one of the specification's calls. Raises as `get` does, and BadCredentials where
        the answer is not what the call expects."""
        one = self.spec.calls[call] if isinstance(call, str) else call
        body = filled_body(one.body, {**self._known, **(values or {})})
        sent = Proof(json=body if one.method == "POST" else None)
        url = self._url(one.path, values or {}, {})
        request = _Request(one.method, one.path, url, sent, one.says)
        answer = self._signed(request)
        for name, expected in one.expects.items():
            if bytes(at_path(answer.content, name) or b"") != expected.encode():
                raise BadCredentials(
                    f"{self._name(request)}: the answer does not say `{name}: {expected}`"
                )
        return answer

    def _url(self, path: str, values: Mapping[str, str], parameters: Mapping[str, str]) -> str:
        url = self.spec.base_url + filled_path(path, {**self.values, **values})
        return f"{url}?{urlencode(parameters, quote_via=quote)}" if parameters else url

    def _name(self, request: _Request) -> str:
        return f"{self.spec.title}: {request.method} {request.path}"

    def _token_text(self, ends: float) -> str:
        return self._token.current(lambda: self._fetched(ends), self._clock)

    def _fetched(self, ends: float) -> Token:
        """A new token, and for how many seconds it is to be shown."""
        auth = self.spec.auth
        request = _Request(
            method=auth.method,
            path=auth.path or urlsplit(auth.url).path,
            url=auth.url or self._url(auth.path, {}, {}),
            proof=proof(auth, self._known),
            says=auth.says,
            signs_in=True,
        )
        answer = self._persist(request, ends)
        token = token_of(auth, answer)
        if token is None:
            raise Permanent(
                f"{self._name(request)}: the answer ({answer.size} bytes) has no usable"
                f" `{auth.token_field}`; the vendor's sign-in has changed"
            )
        return replace(token, life=token.life - min(auth.early_refresh_s, token.life / 2))

    def _signed(self, request: _Request) -> Answer:
        """The answer to a request that shows the token; a 401 gets one new token."""
        ends = self._clock() + self.spec.http.deadline_s
        for is_last in (False, True):
            text = self._token_text(ends)
            shown = replace(request, proof=_shown(self.spec.auth, text, request.proof))
            try:
                return self._persist(shown, ends)
            except Unauthorized as error:
                self._token.forget(text)
                refused = error
            if is_last:
                break
        stopped = BadCredentials(
            f"{self._name(request)}: answered 401 to a token fetched just now; have the vendor"
            " say what this account may read"
        )
        stopped.status, stopped.request_id = refused.status, refused.request_id
        self._token.refusal = stopped
        raise stopped

    def _persist(self, request: _Request, ends: float) -> Answer:
        """The answer, after as many tries as the limits allow, all before `ends`."""
        http = self.spec.http
        tries = 1 if request.writes else http.tries
        for number in range(1, tries + 1):
            self._require_going(request)
            found = self._try(request, ends)
            if isinstance(found, Answer):
                self._failures = 0
                return replace(found, tries=number)
            error = found.error
            self._heard(error.status)
            if isinstance(error, AccountLocked) or (
                isinstance(error, BadCredentials) and request.signs_in
            ):
                self._token.refusal = error
            if not isinstance(error, Transient):
                raise error
            self._failures += 1
            wait = self._wait(found, number)
            if request.writes:
                # Whoever asks again does so no sooner than the server wants.
                if found.wait and self._clock() + wait < ends:
                    self._sleep(wait)
                raise error
            if number == tries:
                raise _with(error, f"; given up after {number} tries")
            if self._clock() + wait >= ends:
                raise _with(error, f"; given up, because {wait:.0f} s of waiting end too late")
            _log.info("%s; tried again in %.1f s", error, wait)
            self._sleep(wait)
        raise AssertionError("the last try answers or raises")

    def _require_going(self, request: _Request) -> None:
        if self._token.refusal is not None:
            raise self._token.refusal
        if self._failures >= self.spec.http.failures_in_a_row:
            raise Transient(
                f"{self._name(request)}: not asked, after {self._failures} failures in a row"
            )

    def _wait(self, failure: Failure, number: int) -> float:
        """Seconds until the next try: what the server asks for, else doubling; chance adds."""
        http = self.spec.http
        if failure.wait is not None:
            return failure.wait
        doubled = min(http.backoff_s * 2.0 ** (number - 1), http.backoff_most_s)
        return doubled * (1 + http.jitter * self._chance())

    def _try(self, request: _Request, ends: float) -> Answer | Failure:
        """One try. Errors of the libraries hold URLs and headers: none of them is passed on."""
        self._pace()
        try:
            return self._followed(request, ends)
        except (
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            HTTPException,
            OSError,
            ValueError,
        ) as error:
            kind, trouble = type(error).__name__, lasting_trouble(error)
        name = self._name(request)
        if trouble:
            return Failure(Permanent(f"{name}: {trouble} ({kind})"))
        return Failure(ConnectionLost(f"{name}: no whole answer ({kind})"))

    def _followed(self, request: _Request, ends: float) -> Answer | Failure:
        """The answer, after redirects that stay where they are."""
        url, http, name = request.url, self.spec.http, self._name(request)
        for _ in range(MOST_REDIRECTS + 1):
            left = max(ends - self._clock(), 0.1)
            with self._session.request(
                request.method,
                url,
                headers=dict(request.proof.headers),
                json=request.proof.json,
                data=request.proof.form,
                timeout=(min(http.connect_s, left), min(http.read_s, left)),
                allow_redirects=False,
                stream=True,
            ) as response:
                if response.status_code not in REDIRECTS:
                    return self._answered(request, response, ends)
                status, headers = response.status_code, response.headers
                target = urljoin(url, headers.get("Location", ""))
            if request.writes:
                told = f"{name}: answered {status}; we do not follow, because it may write twice"
                return Failure(about(Refused(told), status, headers))
            if request.method != "GET" or _origin(target) != _origin(url):
                return Failure(
                    Permanent(
                        f"{name}: answered {status} and sends us elsewhere, where we do not go;"
                        " correct the base URL"
                    )
                )
            url = target
        return Failure(Permanent(f"{name}: more than {MOST_REDIRECTS} redirects in a row"))

    def _answered(
        self, request: _Request, response: requests.Response, ends: float
    ) -> Answer | Failure:
        status, headers, name = response.status_code, response.headers, self._name(request)
        if not 200 <= status < 300:
            return refusal(name, status, headers, request.says, request.signs_in, self._wall())
        pieces: list[bytes] = []
        size = 0
        while piece := response.raw.read1(PIECE, decode_content=True):
            pieces.append(piece)
            size += len(piece)
            if size > self.spec.http.most_bytes:
                large = Garbled(
                    f"{name}: the answer ({status}) is larger than {self.spec.http.most_bytes}"
                    " bytes; ask for smaller pages, or raise http.most_bytes"
                )
                return Failure(about(large, status, headers))
            if self._clock() >= ends:
                return Failure(ConnectionLost(f"{name}: the answer came too slowly"))
        return read_answer(name, status, headers, b"".join(pieces))


def _with(error: Transient, more: str) -> Transient:
    told = type(error)(f"{error}{more}")
    told.status, told.request_id = error.status, error.request_id
    return told


def _require_usable(spec: ApiSpec, known: Mapping[str, str]) -> None:
    lacking = sorted(name for name in spec.auth.needs if not known.get(name))
    if lacking:
        raise BadConfiguration(f"{spec.title}: to sign in, give {', '.join(lacking)}")
    if not spec.base_url:
        raise BadConfiguration(f"{spec.title}: give its base_url; there is no public one")
    if spec.http.ca_file and not Path(spec.http.ca_file).is_file():
        raise BadConfiguration(f"{spec.title}: http.ca_file {spec.http.ca_file} is not there")


def _shown(auth: Auth, token: str, sent: Proof) -> Proof:
    return replace(sent, headers={**sent.headers, auth.header: f"{auth.prefix}{token}"})


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port
