"""TimeBack PowerPath: token, external tests, and the OneRoster listings of the same host."""

import json
from collections.abc import Awaitable, Callable, Collection
from typing import Any
from urllib.parse import parse_qs, urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from edpipeline.sandbox.vendors import powerpath_answers as answers
from edpipeline.sandbox.vendors.answers import Refused, basic, bearer, parameters
from edpipeline.sandbox.vendors.office import POWERPATH, Office
from edpipeline.sandbox.vendors.powerpath_gradebook import (
    ASSIGNMENTS,
    ONEROSTER,
    Listings,
    Row,
    chosen,
    narrowed,
)
from edpipeline.sandbox.vendors.powerpath_lessons import Lesson
from edpipeline.sandbox.vendors.powerpath_tests import (
    LISTED_STATUSES,
    ExternalTests,
    ProviderFails,
)
from edpipeline.sandbox.vendors.world import CANARY

SCOPES = "https://purl.imsglobal.org/spec/powerpath/v1p1/scope/powerpath."
READ, WRITE = f"{SCOPES}readonly", f"{SCOPES}createput"
_MINOR = {
    400: "invaliddata",
    401: "unauthorisedrequest",
    403: "forbidden",
    404: "unknownobject",
    422: "invaliddata",
    429: "server_busy",
    500: "internal_server_error",
}
_PAGE, _LARGEST_PAGE = 100, 3000
_ONEROSTER = ("limit", "offset", "sort", "orderBy", "filter", "search", "fields")
_ASSIGNMENTS = ("student", "status", "subject", "grade", "limit", "offset")
_PLACEMENT = "/powerpath/placement/"

Endpoint = Callable[[Request], Awaitable[Response]]


def error_body(status: int, message: str) -> dict[str, Any]:
    """The body that all errors share, with a trace that must not be kept."""
    field = {
        "imsx_codeMinorFieldName": "TargetEndSystem",
        "imsx_codeMinorFieldValue": _MINOR.get(status, "invaliddata"),
    }
    return {
        "imsx_codeMajor": "failure",
        "imsx_severity": "error",
        "imsx_description": message,
        "imsx_CodeMinor": {"imsx_codeMinorField": [field]},
        "imsx_error_details": [{"trace": f"{CANARY}powerpath-trace"}],
    }


class PowerPath:
    """The application of all its paths. Paths are few and asked often: a mapping finds them."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._listings: tuple[ExternalTests, Listings] | None = None
        self._requests = 0
        external = "/powerpath/importExternalTestAssignmentResults"
        self._endpoints: dict[str, dict[str, Endpoint]] = {
            "/oauth2/token": {"POST": self._token},
            external: {"GET": self._import},
            "/powerpath/getAssessmentProgress": {"GET": self._progress},
            "/powerpath/getAttempts": {"GET": self._attempts},
            "/powerpath/testOut": {"GET": self._test_out},
            "/powerpath/makeExternalTestAssignment": {"POST": self._make},
            "/powerpath/test-assignments": {"GET": self._assignments},
            "/powerpath/test-assignments/admin": {"GET": self._assignments},
            _PLACEMENT: {"GET": self._placement},
        }
        for path in ONEROSTER:
            self._endpoints[path] = self._endpoints[f"{path}/"] = {"GET": self._oneroster}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call; every refusal in the body that errors share."""
        self._requests += 1
        path = scope["path"]
        if path.startswith(_PLACEMENT) and "/" not in path.removeprefix(_PLACEMENT):
            path = _PLACEMENT
        try:
            methods = self._endpoints.get(path)
            if methods is None:
                raise Refused(404, "unknownobject", "there is no such path")
            if scope["method"] not in methods:
                raise Refused(405, "invaliddata", "the path does not take this method")
            response = await methods[scope["method"]](Request(scope, receive))
        except Refused as error:
            oauth = path == "/oauth2/token" and error.status == 400
            body = {"error": error.code} if oauth else error_body(error.status, error.message)
            response = JSONResponse(body, error.status, error.headers)
        except ProviderFails as error:
            status = self._office.world.powerpath_vendor_error
            response = JSONResponse(error_body(status, str(error)), status)
        response.headers["x-request-id"] = f"powerpath-{self._requests}"
        await response(scope, receive, send)

    async def _token(self, request: Request) -> Response:
        """Client credentials in the header or in the form, but not in both."""
        form = await _form(request)
        if form.get("grant_type") != "client_credentials":
            raise Refused(400, "unsupported_grant_type", "grant_type is client_credentials")
        if form.keys() - {"grant_type", "client_id", "client_secret", "scope"}:
            raise Refused(400, "invalid_request", "unknown field in the form")
        header = basic(request, 400)
        if header and form.keys() & {"client_id", "client_secret"}:
            raise Refused(400, "invalid_request", "the client identifies itself twice")
        world = self._office.world
        given = header or (form.get("client_id", ""), form.get("client_secret", ""))
        if given != (world.powerpath_client_id, world.powerpath_client_secret):
            raise Refused(400, "invalid_client", "unknown client or wrong secret")
        allowed = {READ, WRITE} if world.powerpath_may_write else {READ}
        asked = set(form.get("scope", "").split())
        if asked - allowed:
            raise Refused(400, "invalid_scope", "the client has no such scope")
        token = self._office.new_token(POWERPATH, world.powerpath_token_s)
        if asked == {READ}:
            self._office.desk.read_only.add(token)
        seconds = world.powerpath_token_s
        told = {"access_token": token, "expires_in": seconds, "token_type": "Bearer"}
        return JSONResponse(told, headers={"Cache-Control": "no-store"})

    def _admitted(
        self, request: Request, allowed: Collection[str], needed: Collection[str] = ()
    ) -> dict[str, str]:
        """The query's parameters. Refuses with 401 who has no token, with 422 what is blank."""
        self._known(request)
        given = parameters(request, allowed)
        for name in needed:
            if not given.get(name, "").strip():
                raise Refused(422, "invaliddata", f"{name} is required")
        return given

    def _known(self, request: Request) -> str:
        token = bearer(request)
        if not self._office.token_holds(POWERPATH, token):
            challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            raise Refused(401, "unauthorisedrequest", "the token is unknown or expired", challenge)
        return token

    def _may_write(self, request: Request) -> None:
        token = self._known(request)
        if not self._office.world.powerpath_may_write or token in self._office.desk.read_only:
            raise Refused(403, "forbidden", "the token lacks the scope powerpath.createput")

    async def _import(self, request: Request) -> Response:
        self._may_write(request)
        allowed = ("student", "lesson", "applicationName")
        given = self._admitted(request, allowed, ("student", "lesson"))
        lesson, pair = self._office.tests.import_results(
            given["student"], given["lesson"], self._office.desk.now
        )
        return _json(answers.imported(self._office.world, lesson, pair))

    async def _progress(self, request: Request) -> Response:
        given = self._admitted(request, ("student", "lesson", "attempt"), ("student", "lesson"))
        number = None
        if "attempt" in given:
            text = given["attempt"]
            if not (text.isascii() and text.isdigit() and int(text) > 0):
                raise Refused(422, "invaliddata", "attempt is a whole number from 1")
            number = int(text)
        tests = self._office.tests
        lesson, pair = tests.found(given["student"], given["lesson"])
        attempt = tests.attempt(pair, number)
        return _json(answers.progress(self._office.world, lesson, pair, attempt))

    async def _attempts(self, request: Request) -> Response:
        given = self._admitted(request, ("student", "lesson"), ("student", "lesson"))
        return _json(answers.attempts(*self._office.tests.found(given["student"], given["lesson"])))

    async def _test_out(self, request: Request) -> Response:
        given = self._admitted(request, ("student", "course"), ("student", "course"))
        tests = self._office.tests
        student, course = given["student"], given["course"]
        of_course: dict[str, Lesson] = {
            it.course: it for it in tests.lessons.values() if it.lesson_type == "test-out"
        }
        lesson = of_course.get(course)
        pair = tests.found(student, lesson.id if lesson else next(iter(tests.lessons)))[1]
        return _json(answers.test_out(self._office.world, lesson, pair if lesson else None))

    async def _make(self, request: Request) -> Response:
        self._may_write(request)
        self._admitted(request, ())
        given = await _body(request)
        lesson, pair = self._office.tests.make(
            given["student"],
            given["lesson"],
            given.get("skipCourseEnrollment", False),
            self._office.desk.now,
        )
        return _json(answers.made(self._office.world, lesson, pair))

    async def _placement(self, request: Request) -> Response:
        self._admitted(request, ())
        tests = self._office.tests
        student = request.scope["path"].removeprefix(_PLACEMENT)
        if student not in tests.students:
            raise Refused(404, "unknownobject", "the student does not exist")
        pairs = {lesson: it for (who, lesson), it in tests.pairs.items() if who == student}
        return _json(answers.placement(tests.lessons, pairs))

    async def _assignments(self, request: Request) -> Response:
        all_students = request.scope["path"].endswith("/admin")
        given = self._admitted(request, _ASSIGNMENTS, () if all_students else ("student",))
        if given.get("status", "assigned") not in LISTED_STATUSES:
            raise Refused(422, "invaliddata", f"status is one of {LISTED_STATUSES}")
        named = {
            "student": "studentSourcedId",
            "status": "assignmentStatus",
            "subject": "subject",
            "grade": "grade",
        }
        wanted = {named[it]: value for it, value in given.items() if it in named}
        rows = self._rows(ASSIGNMENTS)
        if wanted:
            rows = [row for row in rows if all(row[it] == to for it, to in wanted.items())]
        return _page(request, ASSIGNMENTS, rows, given)

    async def _oneroster(self, request: Request) -> Response:
        given = self._admitted(request, _ONEROSTER)
        name = ONEROSTER[request.scope["path"].rstrip("/")]
        return _page(request, name, chosen(self._rows(name), given), given)

    def _rows(self, name: str) -> list[Row]:
        tests = self._office.tests
        if self._listings is None or self._listings[0] is not tests:
            self._listings = (tests, Listings(tests))
        return self._listings[1].rows(name)


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")


def _page(request: Request, name: str, rows: list[Row], given: dict[str, str]) -> Response:
    """Some of the rows, and where they stand among all; refuses with 400 what is out of range."""
    numbers = []
    for word, without, least, most in (
        ("offset", 0, 0, 10**9),
        ("limit", _PAGE, 1, _LARGEST_PAGE),
    ):
        text = given.get(word, str(without))
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise Refused(400, "invaliddata", f"{word} is a whole number, {least} to {most}")
        numbers.append(int(text))
    offset, limit = numbers
    total = len(rows)
    body = {
        name: narrowed(rows[offset : offset + limit], given),
        "totalCount": total,
        "pageCount": -(-total // limit),
        "pageNumber": offset // limit + 1,
        "offset": offset,
        "limit": limit,
    }
    response = _json(msgspec.json.encode(body))
    response.headers["X-Total-Count"] = str(total)
    if offset + limit < total:
        onward = urlencode({**given, "limit": limit, "offset": offset + limit})
        url = str(request.url.replace(query=onward))
        response.headers["Link"] = f'<{url}>; rel="next"'
    return response


async def _form(request: Request) -> dict[str, str]:
    parameters(request, ())
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind != "application/x-www-form-urlencoded":
        raise Refused(400, "invalid_request", "send a form")
    form = parse_qs((await request.body()).decode("ascii", "replace"), keep_blank_values=True)
    if any(len(values) > 1 for values in form.values()):
        raise Refused(400, "invalid_request", "a field is given twice")
    return {name: values[0] for name, values in form.items()}


async def _body(request: Request) -> dict[str, Any]:
    """The body of an assignment. Refuses with 415 another type, with 422 all else."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise Refused(415, "invaliddata", "send application/json")
    known = {
        "student": str,
        "lesson": str,
        "applicationName": str,
        "testId": str,
        "skipCourseEnrollment": bool,
    }
    try:
        given = json.loads(await request.body())
    except ValueError:
        given = None
    if not isinstance(given, dict) or given.keys() - known.keys():
        raise Refused(422, "invaliddata", f"send an object with some of {sorted(known)}")
    if any(not isinstance(value, known[name]) for name, value in given.items()):
        raise Refused(422, "invaliddata", "a value has the wrong type")
    if not all(str(given.get(name, "")).strip() for name in ("student", "lesson")):
        raise Refused(422, "invaliddata", "student and lesson are required")
    return given
