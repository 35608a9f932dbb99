"""Scantron Performance Series' API as we propose it: session, schools, results."""

import re
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from edpipeline.sandbox.vendors.answers import (
    Refused,
    bearer,
    instant,
    json_body,
    page_answer,
    paged,
    parameters,
    vendor_app,
)
from edpipeline.sandbox.vendors.office import SCANTRON, Office
from edpipeline.sandbox.vendors.scantron_records import locations
from edpipeline.sandbox.vendors.shelf import Asked
from edpipeline.sandbox.vendors.world import CANARY

_SITE = re.compile(r"[0-9]{10}")
_SCHOOLS_PAGE = 200
_RESULTS_PAGE = 500


def error_body(code: str, message: str) -> dict[str, Any]:
    """`{"error": {"code": "bad_login", "message": "..."}}`, with a trace not to be kept."""
    return {"error": {"code": code, "message": message}, "trace": f"{CANARY}scantron-trace"}


def scantron_app(office: Office) -> Starlette:
    """The API, below wherever it is mounted."""
    api = _Api(office)
    return vendor_app(
        [
            Route("/v1/session", api.session, methods=["POST"]),
            Route("/v1/sites/{site}/schools", api.schools, methods=["GET"]),
            Route("/v1/sites/{site}/results", api.results, methods=["GET"]),
        ],
        error_body,
    )


class _Api:
    def __init__(self, office: Office) -> None:
        self._office = office

    async def session(self, request: Request) -> Response:
        parameters(request, ())
        given = await json_body(request, ["siteId", "username", "password"])
        world = self._office.world
        self._known_site(given["siteId"], missing=400)
        self._log_in(given["username"], given["password"])
        token = self._office.new_token(SCANTRON, world.scantron_token_s)
        return JSONResponse(
            {
                "token": token,
                "expiresIn": world.scantron_token_s,
                "message": "Account is working",
                "consoleUrl": f"https://console.example/?session={CANARY}console",
            }
        )

    def _log_in(self, username: str, password: str) -> None:
        """Refuses with 423 a locked account, with 401 a wrong login, with 403 a disabled one."""
        world, desk = self._office.world, self._office.desk
        if desk.locked:
            desk.logins["locked"] += 1
            raise Refused(423, "account_locked", "the account is locked: ask the vendor")
        if (username, password) != (world.scantron_username, world.scantron_password):
            desk.logins["wrong"] += 1
            # Only an account that exists can be locked.
            if username == world.scantron_username:
                desk.wrong_in_a_row += 1
                desk.locked = desk.wrong_in_a_row >= world.lock_after
            raise Refused(401, "bad_login", "wrong user name or password")
        if world.scantron_disabled:
            desk.logins["disabled"] += 1
            raise Refused(403, "account_disabled", "the account is disabled")
        desk.wrong_in_a_row = 0
        desk.logins["ok"] += 1

    def _known_site(self, site: str, missing: int) -> None:
        if not _SITE.fullmatch(site):
            raise Refused(400, "bad_site_id", "a site ID has 10 digits")
        if site != self._office.world.site_id:
            raise Refused(missing, "unknown_site", "no site has this ID")

    def _admitted(self, request: Request) -> None:
        if not self._office.token_holds(SCANTRON, bearer(request)):
            challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            raise Refused(401, "bad_token", "the session is unknown or over", challenge)
        self._known_site(request.path_params["site"], missing=404)

    async def schools(self, request: Request) -> Response:
        given = parameters(request, ["page", "pageSize"])
        self._admitted(request)
        page, size = paged(given, _SCHOOLS_PAGE, _SCHOOLS_PAGE)
        known = locations(self._office.district)
        rows = known.slice((page - 1) * size, size).to_dicts()
        return JSONResponse({"schools": rows, **_pages(page, size, len(known))})

    async def results(self, request: Request) -> Response:
        given = parameters(request, ["modifiedSince", "locationId", "page", "pageSize"])
        self._admitted(request)
        page, size = paged(given, _RESULTS_PAGE, self._office.world.scantron_largest_page)
        asked = Asked(
            now=self._office.desk.now,
            school=given.get("locationId") or None,
            since=instant(given, "modifiedSince"),
            nulls=self._office.world.nulls,
        )
        shelf = self._office.scantron()
        rest = {**_pages(page, size, shelf.count(asked)), "requestKey": f"{CANARY}scantron-request"}
        return page_answer("results", shelf, asked, (page - 1) * size, size, rest)


def _pages(page: int, size: int, total: int) -> dict[str, int]:
    """An empty listing has one page."""
    return {"page": page, "pageCount": max(1, -(-total // size))}
