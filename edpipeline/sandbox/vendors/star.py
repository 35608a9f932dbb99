"""Renaissance STAR's API as we propose it: token, authorization, schools and three listings."""

import re
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from edpipeline.sandbox.vendors import people
from edpipeline.sandbox.vendors.answers import (
    Refused,
    basic,
    bearer,
    instant,
    json_body,
    page_answer,
    paged,
    parameters,
    vendor_app,
)
from edpipeline.sandbox.vendors.office import LISTINGS, STAR, Office
from edpipeline.sandbox.vendors.shelf import Asked
from edpipeline.sandbox.vendors.star_records import PRODUCTS
from edpipeline.sandbox.vendors.world import CANARY

_PAGE = 500
_SCHOOL_YEAR = re.compile(r"(\d{4})-(\d{4})")
_PARAMETERS = ("subject", "schoolYear", "modifiedSince", "schoolId", "page", "pageSize")


def error_body(code: str, message: str) -> dict[str, Any]:
    """`{"error": "data_sharing_not_enabled", ...}`, with a trace that must not be kept."""
    return {"error": code, "message": message, "trace": f"{CANARY}star-trace"}


def star_app(office: Office) -> Starlette:
    """The API, below wherever it is mounted."""
    api = _Api(office)
    district = "/v1/districts/{district}"
    return vendor_app(
        [
            Route("/oauth/token", api.token, methods=["POST"]),
            Route(f"{district}/authorization", api.authorization, methods=["POST"]),
            Route(f"{district}/schools", api.schools, methods=["GET"]),
            *(Route(f"{district}/{what}", api.listing, methods=["GET"]) for what in LISTINGS),
        ],
        error_body,
    )


class _Api:
    def __init__(self, office: Office) -> None:
        self._office = office

    async def token(self, request: Request) -> Response:
        """Client credentials in the header or in the form, but not in both."""
        parameters(request, ())
        kind = request.headers.get("content-type", "").partition(";")[0].strip()
        if kind != "application/x-www-form-urlencoded":
            raise Refused(400, "invalid_request", "send a form")
        form = parse_qs((await request.body()).decode("ascii", "replace"), keep_blank_values=True)
        if any(len(values) > 1 for values in form.values()):
            raise Refused(400, "invalid_request", "a field is given twice")
        if form.get("grant_type") != ["client_credentials"]:
            raise Refused(400, "unsupported_grant_type", "grant_type is client_credentials")
        if form.keys() - {"grant_type", "client_id", "client_secret", "scope"}:
            raise Refused(400, "invalid_request", "unknown field in the form")
        header = basic(request, 401)
        in_form = form.keys() & {"client_id", "client_secret"}
        if header and in_form:
            raise Refused(400, "invalid_request", "the client identifies itself twice")
        given = header or tuple(form.get(it, [""])[0] for it in ("client_id", "client_secret"))
        world = self._office.world
        if given != (world.star_client_id, world.star_client_secret):
            challenge = {"WWW-Authenticate": 'Basic realm="star"'}
            raise Refused(401, "invalid_client", "unknown client or wrong secret", challenge)
        return JSONResponse(
            {
                "access_token": self._office.new_token(STAR, world.star_token_s),
                "token_type": "Bearer",
                "expires_in": world.star_token_s,
            }
        )

    def _district(self, request: Request) -> None:
        """Refuses whoever has no token, asks for another district, or whose district is shut."""
        if not self._office.token_holds(STAR, bearer(request)):
            challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            raise Refused(401, "invalid_token", "the token is unknown or expired", challenge)
        if request.path_params["district"] != self._office.world.rp_identifier:
            raise Refused(404, "unknown_district", "no district has this identifier")
        if not self._office.world.data_sharing:
            raise Refused(403, "data_sharing_not_enabled", "the district does not share its data")

    def _listed(self, request: Request) -> None:
        self._district(request)
        if self._office.world.authorization_needed and not self._office.desk.authorized:
            raise Refused(403, "not_authorized", "the district was not authorized yet")

    async def authorization(self, request: Request) -> Response:
        parameters(request, ())
        self._district(request)
        given = await json_body(request, ["username"])
        if given["username"] != self._office.world.star_username:
            raise Refused(403, "unknown_username", "the district has no such user")
        self._office.desk.authorized = True
        return JSONResponse({"authorized": True, "accountKey": f"{CANARY}star-account-key"})

    async def schools(self, request: Request) -> Response:
        given = parameters(request, ["page", "pageSize"])
        self._listed(request)
        page, size = paged(given, _PAGE, self._office.world.star_largest_page)
        known = people.vendor_schools(self._office.district)
        rows = [
            {
                "SchoolRenaissanceID": row["renaissance"],
                "SchoolIdentifier": row["identifier"],
                "SchoolSourcedID": row["sourced"],
                "SchoolStateID": None,
                "SchoolName": row["name"],
                "AdminUrl": f"https://admin.example/?token={CANARY}school",
            }
            for row in known.slice((page - 1) * size, size).to_dicts()
        ]
        after = page + 1 if page * size < len(known) else None
        return JSONResponse({"schools": rows, "nextPage": after})

    async def listing(self, request: Request) -> Response:
        given = parameters(request, _PARAMETERS)
        self._listed(request)
        product = given.get("subject", "")
        if product not in PRODUCTS:
            raise Refused(400, "bad_subject", f"subject is one of {sorted(PRODUCTS)}")
        years = _SCHOOL_YEAR.fullmatch(given.get("schoolYear", "2026-2027"))
        if not years or int(years[2]) != int(years[1]) + 1:
            raise Refused(400, "bad_school_year", "schoolYear is written 2026-2027")
        page, size = paged(given, _PAGE, self._office.world.star_largest_page)
        asked = Asked(
            now=self._office.desk.now,
            subject=product,
            year=given.get("schoolYear"),
            school=given.get("schoolId") or None,
            since=instant(given, "modifiedSince"),
            nulls=self._office.world.nulls,
        )
        shelf = self._office.star(request.url.path.rpartition("/")[2], product)
        first = (page - 1) * size
        after = page + 1 if page * size < shelf.count(asked) else None
        rest = {"nextPage": after, "requestKey": f"{CANARY}star-request"}
        return page_answer("records", shelf, asked, first, size, rest)
