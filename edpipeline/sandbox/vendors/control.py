"""The control plane: what a test or a demonstration does to the vendors, over HTTP.

    POST /reset    everything as at the start
    POST /seed     {"world": {...}, "records": {...}}: see Office.seed
    POST /inject   a fault, or a list of faults: see faults.py
    POST /heal     no fault any more
    POST /unlock   the account at Scantron
    POST /lesson   {"lesson": "CR-0001", "provider": "AlphaTest"}: see ExternalTests.lesson
    POST /assign   {"student": "S101", "lesson": "CR-0001"}: see ExternalTests.assign
    POST /vendor   {"student": "S101", "lesson": "CR-0001", "edulastic": {"grade": "GRADED"}} or
                   {..., "mastery_track": {"scoreStatus": "exempt"}}: see ExternalTests.vendor
    POST /regenerate  {"username": "..."}: new credentials for the score reports, {"secret": "..."}
    POST /permit   {"ssid": "0123456789"} or {..., "permitted": false}: score reports of a student
    POST /reports  {"ssid": "0123456789", "reports": [...]}: see ScoreReports.set_reports
    POST /unlist   {"ssid": "0123456789", "type": "CAST", "lang": "ES", "year": 2026}
    POST /clock    {"advance_s": 3600} or {"now": "2026-11-01T00:00:00Z"}, or both
    GET  /calls    {"counts": {"star": {"GET /star/...": 3}}, "calls": [...]}, without secrets
    GET  /state    the clock, tokens, logins, records, faults to come, the servers' CPU seconds
    GET  /ids?listing=SR   the ids of the records listed now
    GET  /pairs    PowerPath's pairs: see ExternalTests.told_pairs
    GET  /score-report-students   how each SSID stands: see ScoreReports.students

What cannot be is answered with 400 and `{"error": "..."}`.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from edpipeline.sandbox.vendors.office import Office

Endpoint = Callable[[Request], Awaitable[Response]]


def control_app(office: Office) -> Starlette:
    """The control plane of this office."""

    def inject(faults: Any) -> None:
        for fault in faults if isinstance(faults, list) else [faults]:
            office.inject(fault)

    acts: dict[str, Callable[[Any], object]] = {
        "reset": lambda given: office.reset(),
        "seed": lambda given: office.seed(**given),
        "inject": inject,
        "heal": lambda given: office.heal(),
        "unlock": lambda given: office.unlock(),
        "lesson": lambda given: office.tests.lesson(**given),
        "assign": lambda given: office.assign(**given),
        "vendor": lambda given: office.vendor(**given),
        "regenerate": lambda given: {"secret": office.regenerate(**given)},
        "permit": lambda given: office.permit(**given),
        "reports": lambda given: office.desk.score_reports.set_reports(**given),
        "unlist": lambda given: office.desk.score_reports.unlist(**given),
        "clock": lambda given: office.clock(**given),
    }
    looks: dict[str, Callable[[Request], Any]] = {
        "calls": lambda request: office.calls(),
        "state": lambda request: office.state(),
        "pairs": lambda request: {"pairs": office.pairs()},
        "score-report-students": lambda request: {"students": office.score_report_students()},
        "ids": lambda request: {"ids": office.ids(request.query_params.get("listing", ""))},
    }
    return Starlette(
        routes=[
            *(
                Route(f"/{name}", _post(act, office), methods=["POST"])
                for name, act in acts.items()
            ),
            *(Route(f"/{name}", _get(look), methods=["GET"]) for name, look in looks.items()),
        ]
    )


def _post(act: Callable[[Any], object], office: Office) -> Endpoint:
    async def answered(request: Request) -> Response:
        try:
            told = act(json.loads(await request.body() or b"{}"))
        except (AttributeError, TypeError, ValueError) as error:
            return JSONResponse({"error": str(error)}, 400)
        more = told if isinstance(told, dict) else {}
        return JSONResponse({"ok": True, "now": office.shows(), **more})

    return answered


def _get(look: Callable[[Request], Any]) -> Endpoint:
    async def answered(request: Request) -> Response:
        try:
            return JSONResponse(look(request))
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 400)

    return answered
