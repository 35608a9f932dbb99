"""The vendor's API as a district uses it, and the pace at which all its clients ask together."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from edpipeline.api import ApiSpec, declared_api
from edpipeline.landing.http import Client
from edpipeline.model import Source
from edpipeline.settings import secret
from edpipeline.uses_of_polls import PowerPathUse

PATIENT = 1_000_000
"""Failures in a row are counted over all clients, and by pair: a client alone counts tries."""
WITHOUT_FEEDBACK = {
    "lookups": {"progress": {"children": {"questions": {"fields": {"result.feedback": None}}}}}
}


class Pace:
    """Lets requests begin one after another, so many in a second; shared between threads."""

    def __init__(
        self,
        per_second: float,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gap = 1 / per_second
        self._slowest = 2 * self._gap
        self._sleep, self._clock = sleep, clock
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Come back when the next request may begin."""
        with self._lock:
            now = self._clock()
            begins = max(now, self._next)
            self._next = begins + self._gap
        if begins > now:
            self._sleep(begins - now)

    def slow_down(self) -> None:
        """Let half as many begin from now on; asked for again, it changes nothing more."""
        with self._lock:
            self._gap = self._slowest


def api_of(source: Source, use: PowerPathUse) -> ApiSpec:
    """The vendor's API as the source declares it and the district overrides it.

    Where feedback is not kept, it is not even allowed to be read. Raises BadConfiguration.
    """
    given: dict[str, Any] = {"base_url": use.base_url} if use.base_url else {}
    if use.token_url:
        given["auth"] = {"url": use.token_url, "path": None}
    over = laid(given, use.api)
    if not use.keep_feedback:
        over = laid(over, WITHOUT_FEEDBACK)
    return declared_api(source.name, over)


def client_of(spec: ApiSpec, use: PowerPathUse, pace: Pace | None = None) -> Client:
    """A client with the district's secrets as the environment has them; raises BadConfiguration."""
    secrets = {
        "client_id": secret(use.client_id_env),
        "client_secret": secret(use.client_secret_env),
    }
    http = spec.http.model_copy(update={"failures_in_a_row": PATIENT})
    values = {"application_name": use.application_name}
    patient = spec.model_copy(update={"http": http})
    return Client(patient, secrets, values, pace=pace.wait if pace else lambda: None)


@contextmanager
def clients(spec: ApiSpec, use: PowerPathUse, pace: Pace) -> Iterator[Callable[[], Client]]:
    """Gives each thread a client of its own; all are closed when the block ends."""
    own, lock = threading.local(), threading.Lock()
    with ExitStack() as opened:

        def client() -> Client:
            if not hasattr(own, "client"):
                made = client_of(spec, use, pace)
                with lock:
                    own.client = opened.enter_context(made)
            found: Client = own.client
            return found

        yield client


def laid(below: Any, above: Any) -> dict[str, Any]:
    """Two overrides as one, key by key: those above count."""
    found = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(found.get(key), dict)
        found[key] = laid(found[key], value) if both else value
    return found
