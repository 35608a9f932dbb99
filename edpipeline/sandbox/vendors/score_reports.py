"""ETS's score report service of California: token, reports of a student, and their links.

The contract is the public one of 2021; what API Gateway says of an unknown path is not in it, and
neither is what a type, language or year of a wrong form is.
"""

import re
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from edpipeline.sandbox.vendors import score_reports_files as files
from edpipeline.sandbox.vendors.answers import Refused, basic
from edpipeline.sandbox.vendors.office import SCORE_REPORTS, Office
from edpipeline.sandbox.vendors.score_reports_records import Wanted

_TOKEN = "/api/v1/token"
_STUDENT = re.compile(r"/api/v1/students/([^/]*)/score-reports")
_SSID = re.compile(r"[0-9]{10}")
_FORMS = {
    "type": re.compile(r"[A-Za-z0-9]{1,20}"),
    "lang": re.compile(r"[A-Za-z]{2}"),
    "year": re.compile(r"[0-9]{4}"),
    "final": re.compile(r"true|false"),
}
_UNAUTHORIZED = "You are unauthorized to make this request."
_MALFORMED = "Malformed parameter"
_ELSEWHERE = "Student enrollment record does not match calling district"
_UNKNOWN = "Student doesn\N{RIGHT SINGLE QUOTATION MARK}t exist"


class ScoreReportService:
    """The application of all its paths."""

    def __init__(self, office: Office) -> None:
        self._office = office

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call; every refusal in the body that errors share."""
        try:
            response = self._answer(Request(scope, receive))
        except Refused as error:
            response = _json({"error": error.message}, error.status)
        await response(scope, receive, send)

    def _answer(self, request: Request) -> Response:
        path = request.scope["path"]
        if path.startswith(f"/{files.FILES}/"):
            return self._file(request)
        path = path.removesuffix("/")
        student = _STUDENT.fullmatch(path)
        if path != _TOKEN and student is None:
            raise Refused(404, "", "Not found")
        if request.method != "GET":
            raise Refused(405, "", "Method not allowed")
        return self._reports(request, student[1]) if student else self._token(request)

    def _token(self, request: Request) -> Response:
        office = self._office
        changes, world = office.desk.score_reports, office.world
        try:
            username, secret = basic(request, 401) or ("", "")
        except Refused:
            username = secret = ""
        if not secret or changes.secret(world, username) != secret:
            raise Refused(401, "", "You are not authorized to make this request")
        number = office.desk.tokens_made[SCORE_REPORTS] + 1
        life, says_end = world.score_reports_token_s, world.score_reports_token_exp
        token = files.identity_token(username, number, office.desk.now, life, says_end)
        office.keep_token(SCORE_REPORTS, token, life)
        changes.holders[token] = username
        return JSONResponse({"token": token})

    def _admitted(self, request: Request) -> str:
        """The user name; refuses with 401 whoever has no token, or says Bearer before it."""
        given = request.headers.getlist("authorization")
        token = given[0] if len(given) == 1 else ""
        username = self._office.desk.score_reports.holders.get(token)
        if username is None or not self._office.token_holds(SCORE_REPORTS, token):
            raise Refused(401, "", _UNAUTHORIZED)
        return username

    def _reports(self, request: Request, ssid: str) -> Response:
        office = self._office
        username = self._admitted(request)
        wanted = _wanted(request.url.query)
        if not _SSID.fullmatch(ssid):
            raise Refused(400, "", _MALFORMED)
        changes, world, now = office.desk.score_reports, office.world, office.desk.now
        status = changes.refusal(world, office.district, username, ssid, now)
        if status:
            raise Refused(status, "", _ELSEWHERE if status == 403 else _UNKNOWN)
        host, port = request.scope["server"]
        base, life = f"http://{host}:{port}", world.score_reports_link_s
        return _json(
            [
                it if "url" in it else it | {"url": files.link(base, ssid, it, now, life)}
                for it in changes.listed(world, office.district, ssid, wanted, now)
            ]
        )

    def _file(self, request: Request) -> Response:
        """A report by its link, to whoever has the link; no token is asked for."""
        path = request.scope["path"]
        refused = files.refusal(request.method, path, request.query_params, self._office.desk.now)
        if refused:
            return Response(files.refused_xml(*refused), 403, media_type="application/xml")
        body, kind = files.document(path)
        return Response(body, media_type=kind)


def _wanted(query: str) -> Wanted:
    """Which reports are asked for; a blank parameter is none. Refuses with 400 an unknown or
    repeated one, and one of another form."""
    given = parse_qsl(query, keep_blank_values=True)
    asked = {name: value for name, value in given if value}
    if len(dict(given)) < len(given) or dict(given).keys() - _FORMS.keys():
        raise Refused(400, "", _MALFORMED)
    if not all(_FORMS[name].fullmatch(value) for name, value in asked.items()):
        raise Refused(400, "", _MALFORMED)
    year = int(asked["year"]) if "year" in asked else None
    return Wanted(asked.get("type"), asked.get("lang"), year)


def _json(content: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")
