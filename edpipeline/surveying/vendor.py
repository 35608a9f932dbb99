"""The score report service as one configuration uses it, and one token for all threads."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from edpipeline.api import ApiSpec, declared_api
from edpipeline.landing.http import Client
from edpipeline.landing.tokens import AccountToken
from edpipeline.model import Source
from edpipeline.polling.vendor import PATIENT, Pace, laid
from edpipeline.settings import secret
from edpipeline.uses_of_polls import ReportConfiguration, ScoreReportsUse

REPORTS, LINKS = "reports", "links"
"""The lookups: what there is, and where it is to be had for half an hour."""
TOO_MANY_REQUESTS = 429

ClientOf = Callable[[ReportConfiguration], Client]


def api_of(source: Source, use: ScoreReportsUse, of: ReportConfiguration) -> ApiSpec:
    """The service's API as the source declares it, with a configuration's endpoints and what the
    district overrides. Slashes at the ends of endpoints say nothing. Raises BadConfiguration.
    """
    students, reports = of.students_endpoint.strip("/"), of.reports_endpoint.strip("/")
    path = f"/{students}/{{ssid}}/{reports}"
    given: dict[str, Any] = {"base_url": use.base_url} if use.base_url else {}
    given["auth"] = {"path": f"/{of.token_endpoint.strip('/')}"}
    given["lookups"] = {REPORTS: {"path": path}, LINKS: {"path": path}}
    return declared_api(source.name, laid(given, use.api))


def client_of(
    spec: ApiSpec,
    of: ReportConfiguration,
    pace: Pace | None = None,
    token: AccountToken | None = None,
) -> Client:
    """A client with a configuration's credentials as the environment has them.

    Raises BadConfiguration.
    """
    secrets = {
        "username": secret(of.client_key_env),
        "password": secret(of.client_secret_env),
    }
    if pace is None:
        return Client(spec, secrets, token=token)

    def heard(status: int | None) -> None:
        if status == TOO_MANY_REQUESTS:
            pace.slow_down()

    # Failures in a row are counted over all clients, and by student: a client alone counts tries.
    http = spec.http.model_copy(update={"failures_in_a_row": PATIENT})
    patient = spec.model_copy(update={"http": http})
    return Client(patient, secrets, pace=pace.wait, heard=heard, token=token)


@contextmanager
def clients(specs: Mapping[str, ApiSpec], pace: Pace) -> Iterator[ClientOf]:
    """Gives each thread a client of its own for each configuration, whose specification is found by
    its name; those of one configuration share its token. All are closed when the block ends."""
    own, lock = threading.local(), threading.Lock()
    tokens = {name: AccountToken() for name in specs}
    with ExitStack() as opened:

        def client(of: ReportConfiguration) -> Client:
            made: dict[str, Client] = own.__dict__
            if of.name not in made:
                new = client_of(specs[of.name], of, pace, tokens[of.name])
                with lock:
                    made[of.name] = opened.enter_context(new)
            return made[of.name]

        yield client
