"""Whether a district's accounts work, how long they last, and which configurations are missed."""

from datetime import UTC, date, datetime

from edpipeline import sources
from edpipeline.errors import BadConfiguration, EdpipelineError
from edpipeline.loading.load import Progress
from edpipeline.model import Source
from edpipeline.pipeline import CheckResult, Pipeline, silent
from edpipeline.settings import secret
from edpipeline.surveying.vendor import api_of, client_of
from edpipeline.uses_of_polls import ReportConfiguration, ScoreReportsUse

SOURCE = "score_reports"
WARN_DAYS, LAST_DAYS = 14, 1
"""So many days before credentials end, people are warned, and told that it is an error."""
LONG = 12
"""Shorter texts would show too much of themselves by their last letters."""
SHOWN = 4


def days_left(configuration: ReportConfiguration, day: date) -> int:
    """Days from that day until the credentials end; negative where they have ended."""
    return (configuration.expires_on - day).days


def masked(text: str) -> str:
    """A secret as people may see it: enough to tell which one it is, where it is long."""
    return f"****{text[-SHOWN:]}" if len(text) >= LONG else "****"


def forgotten(pipeline: Pipeline, district_id: str) -> tuple[str, ...]:
    """Configurations that students were asked about with, and that are neither there nor said to be
    removed; all of them where the district has no `score_reports:` any more."""
    use = pipeline.district(district_id).score_reports or ScoreReportsUse()
    with pipeline.warehouse.transaction() as session:
        found = session.rows(
            "select distinct configuration from score_reports.current_requests"
            " where district_id = $district and configuration is not null",
            district=district_id,
        )
    named = {each.name for each in use.configurations} | set(use.removed)
    return tuple(sorted({name for (name,) in found} - named))


def require_none_forgotten(pipeline: Pipeline, district_id: str) -> None:
    """Raises BadConfiguration, naming configurations that are missed and what to write."""
    missed = forgotten(pipeline, district_id)
    if missed:
        raise BadConfiguration(
            f"{district_id}: students were asked about with {', '.join(missed)}, which"
            f" `{SOURCE}:` in the districts file does not have any more. Put it back, or say that"
            f" it is gone on purpose: `removed: [{', '.join(missed)}]`"
        )


def check_accounts(
    pipeline: Pipeline, district_id: str, progress: Progress = silent
) -> list[CheckResult]:
    """Whether every account of the district works, and what to do where not; one line for each
    configuration, and one for those that are missed. Nothing is asked about any student."""
    found = []
    use = pipeline.district(district_id).score_reports
    if use is not None and use.enabled:
        source = sources.source(SOURCE)
        today = pipeline.delivery_day(district_id, datetime.now(UTC), SOURCE)
        for each in use.configurations:
            progress(f"signing in at {source.title} with configuration {each.name}")
            found.append(_check(source, use, each, today))
    try:
        require_none_forgotten(pipeline, district_id)
    except EdpipelineError as error:
        found.append(CheckResult(f"{SOURCE} configurations", False, str(error)))
    return found


def expiry(of: ReportConfiguration, today: date) -> tuple[bool, str]:
    """Whether credentials last long enough, and in words how long."""
    left, until = days_left(of, today), f"{of.expires_on:%Y-%m-%d}"
    remedy = "have new ones made in TOMS, and tell every vendor: the old ones end at once"
    if left < 0:
        return False, f"the credentials ended on {until}; {remedy}"
    days = {0: "today", 1: "in 1 day"}.get(left, f"in {left} days")
    if left <= WARN_DAYS:
        return left > LAST_DAYS, f"the credentials end on {until}, {days}; {remedy}"
    return True, f"the credentials end on {until}, {days}"


def _sign_in(source: Source, use: ScoreReportsUse, of: ReportConfiguration) -> str:
    with client_of(api_of(source, use, of), of) as client:
        client.sign_in()
    return "Account is working"


def _check(
    source: Source, use: ScoreReportsUse, of: ReportConfiguration, today: date
) -> CheckResult:
    lasts, until = expiry(of, today)
    works, words = True, ""
    try:
        words = _sign_in(source, use, of)
    except EdpipelineError as error:
        works, words = False, str(error)
    named = [f"school {school}" for school in of.schools] or ["every other school"]
    told = [words, ", ".join(named), f"client key {_shown(of.client_key_env)}"]
    told += [f"client secret {_shown(of.client_secret_env)}", until]
    return CheckResult(f"{SOURCE} {of.name}", works and lasts, "; ".join(told))


def _shown(variable: str) -> str:
    try:
        return masked(secret(variable).get_secret_value())
    except BadConfiguration:
        return f"not set ({variable})"
