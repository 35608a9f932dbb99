"""One student, asked about; what goes wrong with one becomes an outcome."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from edpipeline.errors import (
    BadCredentials,
    EdpipelineError,
    Garbled,
    NotFound,
    Refused,
    Transient,
)
from edpipeline.landing.http import Client
from edpipeline.landing.looked import plain
from edpipeline.polling.look import shortly
from edpipeline.sources.score_reports import decisions
from edpipeline.sources.score_reports.decisions import Outcome, Report
from edpipeline.surveying.vendor import REPORTS

NO_REPORTS = "the records of the answer are no reports: they lack type, lang or year"


@dataclass(frozen=True)
class Answer:
    """What one request came to."""

    outcome: Outcome
    http_status: int | None
    reports: tuple[Report, ...] = field(default=(), repr=False)
    reason: str | None = None
    """Why there is no list, in words that hold nothing of the answer."""
    unknown: Mapping[str, str] = field(default_factory=dict)


def ask(client: Client, ssid: str) -> Answer:
    """What the service lists of a student.

    Raises what nobody can go on after with these credentials: a sign-in that is refused, or that
    cannot be had now, and whatever is not about the student.
    """
    client.be_signed_in()
    try:
        looked = client.look_up(REPORTS, {"ssid": ssid})
    except (Refused, NotFound, Garbled, Transient, BadCredentials) as error:
        if client.is_refused:
            raise
        return Answer(_outcome(error), error.status, reason=shortly(error))
    reports = decisions.understood([plain(one) for one in looked.children.get("reports", ())])
    if reports is None:
        return Answer("schema_drift", looked.status, reason=NO_REPORTS, unknown=looked.unknown)
    outcome: Outcome = "ok" if reports else "empty"
    return Answer(outcome, looked.status, reports, unknown=looked.unknown)


def _outcome(error: EdpipelineError) -> Outcome:
    return "schema_drift" if isinstance(error, Garbled) else decisions.outcome_of(error.status)
