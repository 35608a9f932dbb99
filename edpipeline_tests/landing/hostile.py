"""A vendor's API on loopback that does what vendors do on their worst days, byte for byte.

Tests say what it answers, request by request; it remembers what it was asked.
"""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from edpipeline.api import ApiSpec, read_api
from edpipeline.landing.http import Client

EPOCH = 1_790_000_000.0
TOKEN = "CANARY-token"
SECRETS = {"username": "teacher", "password": "CANARY-password"}
LISTING = {
    "path": "/v1/sites/{site}/results",
    "parameters": {"modifiedSince": "{since}", "school": "{school}"},
    "records": "results",
    "fields": ["id", "score", "note"],
    "paging": {"style": "page", "size": "2"},
}
SPEC: dict[str, Any] = {
    "title": "Vendor",
    "auth": {
        "style": "login_session",
        "path": "/v1/session",
        "body": {"user": "{username}", "password": "{password}"},
        "life_field": "expiresIn",
    },
    "http": {"read_s": 0.4, "connect_s": 1, "tries": 4, "deadline_s": 100},
    "listings": {"results": LISTING},
    "calls": {
        "authorization": {
            "path": "/v1/sites/{site}/authorization",
            "body": {"username": "{username}"},
            "expects": {"authorized": "true"},
            "says": {"403": "data sharing is not enabled"},
        }
    },
}


@dataclass(frozen=True)
class Reply:
    """What is sent back. `declared` is a Content-Length that may lie; None sends none."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    declared: int | None = -1
    hangs: bool = False
    resets: bool = False


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    """As it came over the wire, quoted, without the parameters."""
    parameters: dict[str, str]
    headers: dict[str, str]
    body: bytes


Answers = Callable[[Asked], Reply]


class Vendor:
    """The server's side: what was asked, what comes next."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[Asked] = []
        self.queue: list[Reply] = []
        """Answered before anything else, whatever is asked but the session."""
        self.sessions: list[Reply] = []
        self.answers: Answers = lambda _: page([])
        self.released = threading.Event()

    def reply(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        if asked.path == "/v1/session":
            return self.sessions.pop(0) if self.sessions else session()
        return self.queue.pop(0) if self.queue else self.answers(asked)

    @property
    def paths(self) -> list[str]:
        return [one.path for one in self.asked]


def answer(content: Any, status: int = 200, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, json.dumps(content).encode(), named)


def session(token: str = TOKEN, life: float = 1800) -> Reply:
    return answer({"token": token, "expiresIn": life})


def page(records: list[Any], number: int = 1, count: int = 1, **more: Any) -> Reply:
    return answer({"results": records, "page": number, "pageCount": count, **more})


def raw_page(records: bytes, rest: bytes = b'"page": 1, "pageCount": 1') -> Reply:
    return Reply(body=b'{"results": ' + records + b", " + rest + b"}")


class Time:
    """Clocks that move only when somebody sleeps, and what was slept."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def clock(self) -> float:
        return self.now

    def wall(self) -> float:
        return EPOCH + self.now


def spec_of(vendor: Vendor, **overrides: Any) -> ApiSpec:
    lookups = {"lookups": overrides.pop("lookups", {})}
    text = json.dumps({**SPEC, **lookups})
    return read_api(text, overrides={"base_url": vendor.url, **overrides})


def client_of(vendor: Vendor, time: Time, **overrides: Any) -> Client:
    return Client(
        spec_of(vendor, **overrides),
        SECRETS,
        {"site": "0123456789"},
        sleep=time.sleep,
        clock=time.clock,
        wall=time.wall,
        chance=lambda: 0.0,
    )


@contextmanager
def served() -> Iterator[Vendor]:
    """The vendor, listening on a port of its own until the block ends."""
    server = _Server(("127.0.0.1", 0), _Handler)
    vendor = Vendor(f"http://127.0.0.1:{server.server_address[1]}")
    vars(server)["vendor"] = vendor
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield vendor
    finally:
        vendor.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        size = int(self.headers.get("Content-Length") or 0)
        vendor: Vendor = vars(self.server)["vendor"]
        asked = Asked(
            self.command,
            url.path,
            dict(parse_qsl(url.query, keep_blank_values=True)),
            dict(self.headers),
            self.rfile.read(size),
        )
        reply = vendor.reply(asked)
        if reply.hangs:
            vendor.released.wait(5)
            self.close_connection = True
            return
        if reply.resets:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        self._send(reply)

    do_POST = do_GET  # noqa: N815

    def _send(self, reply: Reply) -> None:
        self.send_response_only(reply.status)
        self.send_header("Content-Type", "application/json")
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.declared is not None:
            declared = len(reply.body) if reply.declared < 0 else reply.declared
            self.send_header("Content-Length", str(declared))
        self.end_headers()
        self.wfile.write(reply.body)
        if reply.declared is None or reply.declared > len(reply.body):
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        pass


def http_date(seconds: float) -> str:
    return formatdate(seconds, usegmt=True)


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with served() as found:
        yield found


@pytest.fixture
def time() -> Time:
    return Time()
