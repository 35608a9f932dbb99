"""The vendors' servers on loopback, in a thread of their own."""

import asyncio
import logging
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp

from edpipeline.sandbox.vendors.control import control_app
from edpipeline.sandbox.vendors.door import Door, Protocol
from edpipeline.sandbox.vendors.office import SCANTRON, STAR, Office
from edpipeline.sandbox.vendors.powerpath import PowerPath
from edpipeline.sandbox.vendors.scantron import scantron_app
from edpipeline.sandbox.vendors.score_reports import ScoreReportService
from edpipeline.sandbox.vendors.score_reports_files import FILES
from edpipeline.sandbox.vendors.star import star_app
from edpipeline.sandbox.vendors.world import VendorWorld

HOST = "127.0.0.1"
START_SECONDS = 15

T = TypeVar("T")


class Vendors:
    """Running vendors, and the control plane as methods. Made by `vendor_servers`."""

    def __init__(self, world: VendorWorld, port: int, control_port: int) -> None:
        self._office = Office(world)
        self._sockets = [_bound(port)]
        try:
            self._sockets.append(_bound(control_port))
        except OSError:
            self._sockets[0].close()
            raise
        self.port, self.control_port = (it.getsockname()[1] for it in self._sockets)
        self._loop: asyncio.AbstractEventLoop
        self._servers: list[uvicorn.Server] = []

    @property
    def star_url(self) -> str:
        """The base URL of STAR's API, without a slash at its end."""
        return f"http://{HOST}:{self.port}/{STAR}"

    @property
    def scantron_url(self) -> str:
        """The base URL of Scantron's API, without a slash at its end."""
        return f"http://{HOST}:{self.port}/{SCANTRON}"

    @property
    def powerpath_url(self) -> str:
        """The base URL of PowerPath and OneRoster, without a slash at its end."""
        return f"http://{HOST}:{self.port}"

    @property
    def powerpath_token_url(self) -> str:
        """Where PowerPath's tokens are."""
        return f"{self.powerpath_url}/oauth2/token"

    @property
    def score_reports_url(self) -> str:
        """The base URL of the score report service, without a slash at its end; its endpoints
        begin with `/api/v1/`."""
        return f"http://{HOST}:{self.port}"

    @property
    def control_url(self) -> str:
        """The base URL of the control plane, without a slash at its end."""
        return f"http://{HOST}:{self.control_port}"

    @property
    def world(self) -> VendorWorld:
        """The world as it is now: logins, identifiers, limits."""
        return self._office.world

    def inject(self, **fault: Any) -> None:
        """Let something go wrong: `inject(match={"path": "results"}, status=503, times=3)`.

        The words are those of `faults.Fault`. Raises ValueError for an unknown one.
        """
        self._ask(lambda: self._office.inject(fault))

    def heal(self) -> None:
        """Let nothing go wrong any more; all else stays as it is."""
        self._ask(self._office.heal)

    def unlock(self) -> None:
        """Unlock the account at Scantron, as its support does when asked."""
        self._ask(self._office.unlock)

    def lesson(self, lesson: str, **changes: Any) -> None:
        """Change a lesson of PowerPath's, or add one: `lesson("CR-0001", provider="AlphaTest")`.

        The words are those of `powerpath_lessons.Lesson`. Raises ValueError for others.
        """
        self._ask(lambda: self._office.tests.lesson(lesson, **changes))

    def assign(self, student: str, lesson: str, **how: Any) -> None:
        """Assign an external test, anew after a final attempt; see ExternalTests.assign."""
        self._ask(lambda: self._office.assign(student, lesson, **how))

    def vendor(self, student: str, lesson: str, **what: Any) -> None:
        """Set what stands behind an attempt: `vendor(s, l, edulastic={"grade": "GRADED"})`.

        See ExternalTests.vendor. Raises ValueError for what cannot be.
        """
        self._ask(lambda: self._office.vendor(student, lesson, **what))

    def pairs(self) -> list[dict[str, Any]]:
        """PowerPath's pairs of student and lesson; see ExternalTests.told_pairs."""
        return self._ask(self._office.pairs)

    def regenerate(self, username: str) -> str:
        """New credentials for the score reports: the new secret. The old one and its tokens end at
        once. Raises ValueError for an unknown user name."""
        return self._ask(lambda: self._office.regenerate(username))

    def permit(self, ssid: str) -> None:
        """Let the student's own LEA have the score reports from now on."""
        self._ask(lambda: self._office.permit(ssid))

    def forbid(self, ssid: str) -> None:
        """Let no LEA have the student's score reports from now on."""
        self._ask(lambda: self._office.permit(ssid, False))

    def reports(self, ssid: str, reports: Sequence[Mapping[str, Any]]) -> None:
        """List these score reports for a student: `[{"type": "CAST", "lang": "EN", "year": 2026,
        "grade": "05"}]`; see ScoreReports.set_reports."""
        self._ask(lambda: self._office.desk.score_reports.set_reports(ssid, reports))

    def unlist(
        self, ssid: str, type: str | None = None, lang: str | None = None, year: int | None = None
    ) -> None:
        """List those score reports of a student no more; without more words, none at all."""
        self._ask(lambda: self._office.desk.score_reports.unlist(ssid, type, lang, year))

    def score_report_students(self) -> dict[str, str]:
        """How each student stands at the score report service, by SSID: `listed`, `empty`,
        `unknown` (404), `elsewhere` (403), `late` (403 until the vendors' next day)."""
        return self._ask(self._office.score_report_students)

    def reset(self) -> None:
        """Everything as it was at the start: world, clock, records; no faults, tokens or calls."""
        self._ask(self._office.reset)

    def seed(
        self,
        world: Mapping[str, Any] | None = None,
        records: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    ) -> None:
        """Change the world by names of VendorWorld, and records by listing; see Office.seed."""
        self._ask(lambda: self._office.seed(world, records))

    def advance(self, seconds: float) -> None:
        """Move the vendors' clock on."""
        self._ask(lambda: self._office.clock(advance_s=seconds))

    def set_clock(self, moment: datetime) -> None:
        """Set the vendors' clock. Raises ValueError for a moment without time zone."""
        self._ask(lambda: self._office.clock(now=moment.isoformat()))

    def calls(self) -> list[dict[str, Any]]:
        """The last calls since the reset, oldest first, without secrets: `vendor`, `method`,
        `path`, `query`, `auth` (the scheme), `status` (None where there was no answer), `fault`,
        `seconds`, `at` (the vendors' clock)."""
        calls: list[dict[str, Any]] = self._ask(self._office.calls)["calls"]
        return calls

    def counts(self, vendor: str) -> dict[str, int]:
        """How often each path was called since the reset: `{"POST /scantron/v1/session": 1}`."""
        counts: dict[str, int] = self._ask(self._office.calls)["counts"].get(vendor, {})
        return counts

    def ids(self, listing: str) -> list[str]:
        """The ids of the records listed now: `SR`, `SM`, `SEL` or `scantron`."""
        return self._ask(lambda: self._office.ids(listing))

    def state(self) -> dict[str, Any]:
        """Where the vendors stand; see Office.state."""
        return self._ask(self._office.state)

    def _ask(self, act: Callable[[], T]) -> T:
        """The act's outcome, on the servers' thread, which alone may touch the office."""

        async def acted() -> T:
            return act()

        return asyncio.run_coroutine_threadsafe(acted(), self._loop).result(START_SECONDS * 4)

    async def _serve(self, started: "Future[None]") -> None:
        self._loop = asyncio.get_running_loop()
        # Again, on this thread, whose time counts as the servers'.
        self._office.reset()
        powerpath = PowerPath(self._office)
        score_reports = ScoreReportService(self._office)
        vendors = Starlette(
            routes=[
                *(Mount(path, powerpath) for path in ("/powerpath", "/ims", "/oauth2")),
                *(Mount(path, score_reports) for path in ("/api", f"/{FILES}")),
                Mount(f"/{STAR}", star_app(self._office)),
                Mount(f"/{SCANTRON}", scantron_app(self._office)),
            ]
        )
        vendors.router.redirect_slashes = False
        self._servers = [
            uvicorn.Server(_config(Door(vendors, self._office))),
            uvicorn.Server(_config(control_app(self._office))),
        ]
        serving = [
            asyncio.ensure_future(server.serve(sockets=[listening]))
            for server, listening in zip(self._servers, self._sockets, strict=True)
        ]
        while not all(server.started for server in self._servers):
            await asyncio.sleep(0.005)
        started.set_result(None)
        await asyncio.gather(*serving)

    def _stop(self) -> None:
        for server in self._servers:
            server.should_exit = server.force_exit = True


def _bound(port: int) -> socket.socket:
    # Only where the protocol is said does asyncio send small answers at once; else each waits
    # 40 ms for the other side to acknowledge its head.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
    except OSError:
        listening.close()
        raise
    return listening


def _config(app: ASGIApp) -> uvicorn.Config:
    # What a fault does to a connection is an error to uvicorn: it need not say so.
    return uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level=logging.CRITICAL + 1,
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
    )


@contextmanager
def vendor_servers(
    world: VendorWorld | None = None, port: int = 0, control_port: int = 0
) -> Iterator[Vendors]:
    """Serves the vendors on one port, the control plane on another, until the `with` ends.

    Port 0 takes a free one; without a world it is that of `VendorWorld()`. Raises OSError when a
    port is taken.
    """
    vendors = Vendors(world or VendorWorld(), port, control_port)
    started: Future[None] = Future()
    thread = threading.Thread(
        target=lambda: asyncio.run(vendors._serve(started)), name="sandbox-vendors", daemon=True
    )
    thread.start()
    started.result(START_SECONDS)
    try:
        yield vendors
    finally:
        vendors._loop.call_soon_threadsafe(vendors._stop)
        thread.join(START_SECONDS)
