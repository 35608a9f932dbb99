"""Through which every call comes in: it is counted here, and here it goes wrong."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from edpipeline.sandbox.vendors.faults import Fault, other_page, page_asked
from edpipeline.sandbox.vendors.office import POWERPATH, SCORE_REPORTS, Office
from edpipeline.sandbox.vendors.score_reports_files import FILES
from edpipeline.sandbox.vendors.world import CANARY

_SHOWN = frozenset(
    {"subject", "schoolYear", "modifiedSince", "schoolId", "locationId", "page", "pageSize"}
    | {"offset", "limit", "sort", "orderBy", "fields", "status", "grade", "attempt"}
    | {"type", "lang", "year", "final"}
)
"""The parameters whose values the log of calls shows."""
_VENDORS = dict.fromkeys(("powerpath", "ims", "oauth2"), POWERPATH) | dict.fromkeys(
    ("api", FILES), SCORE_REPORTS
)
"""Whose a path is, by its first part; all others are the vendor's own name."""
_HIDDEN = ("/powerpath/placement/", f"/{FILES}/")
"""Where the rest of a path is the id of a student, or opens what must stay closed."""
_COOKIE = (b"set-cookie", f"vendor_session={CANARY}cookie; Path=/; HttpOnly".encode())
_LOGIN_PAGE = (
    b"<!DOCTYPE html><html><title>Sign in</title><body>Please sign in again. "
    b"<a href='/sso?ticket=" + f"{CANARY}ticket".encode() + b"'>Sign in</a></body></html>"
)


class Protocol(HttpToolsProtocol):
    """HTTP whose calls know their connection, so that one can be dropped."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Remember the connection for its calls."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "connection": transport}


class Door:
    """An ASGI application around the vendors'."""

    def __init__(self, inside: ASGIApp, office: Office) -> None:
        self._inside = inside
        self._office = office

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the call, let go wrong what is due, and hand it on."""
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        method, path = scope["method"], scope["path"]
        call = self._noted(scope, query)
        fault = self._office.fault(method, path, query)
        began = time.perf_counter()
        try:
            if fault is None:
                await self._inside(scope, receive, self._sender(call, send))
            else:
                call["fault"] = fault.kinds()
                await self._go_wrong(fault, call, query, scope, receive, send)
        finally:
            call["seconds"] = round(time.perf_counter() - began, 6)

    def _noted(self, scope: Scope, query: Mapping[str, str]) -> dict[str, Any]:
        path = scope["path"]
        first = path.split("/")[1]
        vendor = _VENDORS.get(first, first)
        path = next((f"{it}***" for it in _HIDDEN if path.startswith(it)), path)
        given = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
        call = {
            "at": self._office.shows(),
            "vendor": vendor,
            "method": scope["method"],
            "path": path,
            "query": {it: value if it in _SHOWN else "***" for it, value in query.items()},
            "auth": (given.partition(" ")[0] if " " in given else "raw") if given else None,
            "status": None,
            "fault": [],
        }
        desk = self._office.desk
        desk.counts.setdefault(vendor, Counter())[f"{scope['method']} {path}"] += 1
        desk.calls.append(call)
        return call

    def _sender(
        self, call: dict[str, Any], send: Send, headers: Mapping[str, str] | None = None
    ) -> Send:
        """Passes the answer on with its headers, and notes it."""
        sent = self._office.desk.bytes_sent

        async def passed(message: Message) -> None:
            if message["type"] == "http.response.start":
                call["status"] = message["status"]
                over = [
                    (it.lower().encode(), str(to).encode()) for it, to in (headers or {}).items()
                ]
                kept = [it for it in message["headers"] if it[0] not in dict(over)]
                message = {**message, "headers": [*kept, *over, _COOKIE]}
            else:
                sent[call["vendor"]] += len(message.get("body", b""))
            await send(message)

        return passed

    async def _go_wrong(
        self,
        fault: Fault,
        call: dict[str, Any],
        query: Mapping[str, str],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        if fault.token_revoked:
            self._office.revoke(call["vendor"])
        if fault.delay_ms:
            await asyncio.sleep(fault.delay_ms / 1000)
        if fault.acts_first:
            await _asked(self._inside, scope, receive)
        if fault.hang_s:
            await _wait_for_hang_up(receive, fault.hang_s)
        if fault.drop_connection or fault.hang_s:
            scope["state"]["connection"].abort()
            return
        start, body = await self._answer(fault, query, scope, receive)
        length = (b"content-length", str(len(body)).encode())
        kept = [it for it in start["headers"] if it[0] != b"content-length"]
        send = self._sender(call, send, fault.headers)
        await send({**start, "headers": [*kept, length]})
        if fault.half_body:
            # The server hangs up on an answer that stops before its end.
            await send(_body(body[: len(body) // 2], more=True))
        else:
            await send(_body(body))

    async def _answer(
        self, fault: Fault, query: Mapping[str, str], scope: Scope, receive: Receive
    ) -> tuple[Message, bytes]:
        if fault.html:
            return _start(200, "text/html; charset=utf-8"), _LOGIN_PAGE
        if fault.status is not None or fault.body is not None:
            given = {"error": "injected"} if fault.body is None else fault.body
            text = given if isinstance(given, str) else json.dumps(given)
            return _start(fault.status or 200, "application/json"), text.encode()
        page = page_asked(query)
        if fault.repeat_page:
            instead = other_page(query, fault.page_instead(page))
            scope = {**scope, "query_string": urlencode(instead).encode()}
        start, body = await _asked(self._inside, scope, receive)
        if fault.lie_about_total is not None:
            told = [it for it in start["headers"] if it[0] not in (b"link", b"x-total-count")]
            start = {**start, "headers": told}
        return start, fault.changed(body, page) if fault.changes_answer else body


def _start(status: int, kind: str) -> Message:
    headers = [(b"content-type", kind.encode())]
    return {"type": "http.response.start", "status": status, "headers": headers}


def _body(body: bytes, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}


async def _asked(inside: ASGIApp, scope: Scope, receive: Receive) -> tuple[Message, bytes]:
    """The whole answer of the application inside."""
    messages: list[Message] = []

    async def keep(message: Message) -> None:
        messages.append(message)

    await inside(scope, receive, keep)
    return messages[0], b"".join(it.get("body", b"") for it in messages[1:])


async def _wait_for_hang_up(receive: Receive, seconds: float) -> None:
    """Waits so long, but no longer than there is someone waiting for the answer."""

    async def hung_up() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    try:
        await asyncio.wait_for(hung_up(), seconds)
    except TimeoutError:
        return
