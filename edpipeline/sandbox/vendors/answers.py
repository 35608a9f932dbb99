"""What the vendors are strict about: parameters, bodies, pages; and how they refuse."""

import base64
import binascii
import json
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from edpipeline.sandbox.vendors.shelf import Asked, Listed

ErrorBody = Callable[[str, str], dict[str, Any]]
"""A vendor's way to say a code and a message."""


class Refused(Exception):
    """An answer that is an error."""

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers = dict(headers or {})


def basic(request: Request, status: int) -> tuple[str, ...]:
    """Name and secret of `Authorization: Basic ...`, or nothing. Refuses a crooked one
    with that status."""
    given = request.headers.getlist("authorization")
    if not given:
        return ()
    scheme, _, encoded = given[0].partition(" ")
    try:
        name, colon, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        name = colon = secret = ""
    if len(given) > 1 or scheme != "Basic" or not colon:
        raise Refused(status, "invalid_client", "send Authorization: Basic")
    return name, secret


def vendor_app(routes: list[Route], body: ErrorBody) -> Starlette:
    """The vendor's routes; every refusal, unknown path and wrong method in its own words."""

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, Refused)
        return JSONResponse(body(error.code, error.message), error.status, error.headers)

    async def unknown(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "bad_request")
        return JSONResponse(body(code, error.detail), error.status_code, error.headers)

    app = Starlette(routes=routes, exception_handlers={Refused: refused, HTTPException: unknown})
    app.router.redirect_slashes = False
    return app


def parameters(request: Request, allowed: Collection[str]) -> dict[str, str]:
    """The query's parameters. Refuses with 400 what is not allowed, and what is given twice."""
    given = parse_qsl(request.url.query, keep_blank_values=True)
    names = [name for name, _ in given]
    if set(names) - set(allowed):
        raise Refused(400, "unknown_parameter", f"allowed are {sorted(allowed)}")
    if len(set(names)) < len(names):
        raise Refused(400, "repeated_parameter", "a parameter is given twice")
    return dict(given)


def paged(given: Mapping[str, str], default: int, largest: int) -> tuple[int, int]:
    """The page asked for, from 1, and its size. Refuses with 400 what is out of range."""
    numbers = []
    for name, without, limit in (("page", 1, 10**9), ("pageSize", default, largest)):
        text = given.get(name, str(without))
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= limit):
            raise Refused(400, "bad_page", f"{name} is a whole number from 1 to {limit}")
        numbers.append(int(text))
    return numbers[0], numbers[1]


def instant(given: Mapping[str, str], name: str) -> int | None:
    """A moment in ISO form with its time zone, as milliseconds since 1970; 400 otherwise."""
    if name not in given:
        return None
    try:
        moment = datetime.fromisoformat(given[name])
    except ValueError:
        moment = datetime.min
    if moment.tzinfo is None:
        raise Refused(400, "bad_instant", f"{name} is a moment like 2026-09-01T00:00:00Z")
    return int(moment.timestamp() * 1000)


def page_answer(
    name: str, shelf: Listed, asked: Asked, first: int, size: int, rest: Mapping[str, Any]
) -> Response:
    """`{"<name>": [records], ...rest}`, without decoding the records."""
    tail = json.dumps(rest).removeprefix("{").encode()
    head = b'{"%s":[' % name.encode()
    body = b"".join((head, shelf.page(asked, first, size), b"],", tail))
    return Response(body, media_type="application/json")


async def json_body(request: Request, names: Collection[str]) -> dict[str, str]:
    """A JSON object of exactly these texts. Refuses with 415 another type, with 400 all else."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise Refused(415, "bad_content_type", "send application/json")
    try:
        given = json.loads(await request.body())
    except ValueError:
        given = None
    if not isinstance(given, dict) or given.keys() != set(names):
        raise Refused(400, "bad_body", f"send an object with {sorted(names)}")
    if not all(isinstance(value, str) for value in given.values()):
        raise Refused(400, "bad_body", "every value is a text")
    return given


def bearer(request: Request) -> str:
    """The token of the one `Authorization: Bearer <token>`; refuses with 401 without it."""
    given = request.headers.getlist("authorization")
    scheme, _, token = (given or [""])[0].partition(" ")
    if len(given) != 1 or scheme != "Bearer" or not token or token != token.strip():
        challenge = {"WWW-Authenticate": "Bearer"}
        raise Refused(401, "token_missing", "send Authorization: Bearer <token>", challenge)
    return token
