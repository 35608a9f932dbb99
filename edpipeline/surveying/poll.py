"""A run over the students of one district, once a day: how it enters, and whether one is due.

A chunk of students is asked about by several threads, landed as one delivery and loaded, before the
next one begins. Nothing is remembered but in the warehouse and in landing, so a run goes on where
the one before it ended, however that was.
"""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from edpipeline import windows
from edpipeline.districts import score_reports_use
from edpipeline.loading.load import Progress
from edpipeline.model import Source, Window
from edpipeline.pipeline import Pipeline, silent
from edpipeline.polling.landed import Deliveries, Loaded
from edpipeline.polling.poll import alone
from edpipeline.polling.vendor import Pace
from edpipeline.pulling import told
from edpipeline.surveying import students
from edpipeline.surveying.account import Account
from edpipeline.surveying.accounts import require_none_forgotten
from edpipeline.surveying.counts import Survey
from edpipeline.surveying.run import Run, every_student
from edpipeline.surveying.vendor import api_of, clients


def poll_and_load(
    pipeline: Pipeline,
    district_id: str,
    source: Source,
    at: datetime,
    by: str,
    progress: Progress = silent,
    loaded: Loaded | None = None,
) -> Survey:
    """Ask about every student who is due, land and load what came, chunk by chunk.

    `loaded` hears of every chunk; `by` is who has it done, and changes nothing. Raises
    BadConfiguration, BadCredentials and Permanent where a person has to act, Transient where it may
    pass, and Busy where another run asks for the district: after what was answered until then is
    loaded, and told in the history. A configuration that stops does not hold back the others.
    """
    use = score_reports_use(pipeline.district(district_id))
    day = pipeline.delivery_day(district_id, at, source.name)
    with alone(pipeline, district_id, source), told(pipeline, district_id, source, day):
        require_none_forgotten(pipeline, district_id)
        deliveries = Deliveries(pipeline, district_id, source, at, loaded)
        deliveries.load_what_is_left()
        specs = {each.name: api_of(source, use, each) for each in use.configurations}
        accounts = {
            each.name: Account(each, use.refusal_limit, specs[each.name].http.failures_in_a_row)
            for each in use.configurations
        }
        pace = Pace(use.pace.per_second)
        began = _began(use.window, day)
        with clients(specs, pace) as client, ThreadPoolExecutor(use.pace.at_once) as pool:
            run = Run(pipeline, use, deliveries, began, accounts, client, pool, progress)
            try:
                run.ask_who_is_due()
            finally:
                run.ended = True
        run.raise_trouble()
        return run.survey()


def is_due(pipeline: Pipeline, district_id: str, source: Source, at: datetime) -> bool:
    """Whether a run has anything to do: within the window, and not paused. Asks nobody."""
    use = score_reports_use(pipeline.district(district_id))
    day = pipeline.delivery_day(district_id, at, source.name)
    if use.is_paused(day, "sync") or windows.state(use.window, at) != "open":
        return False
    everyone = every_student(pipeline, district_id, use)
    began, now = _began(use.window, day), at.astimezone(UTC).replace(tzinfo=None)
    due = students.is_due(began, now, timedelta(minutes=use.again_minutes))
    return not everyone.filter(due | students.is_to_be_told()).is_empty()


def is_anybody_unasked(pipeline: Pipeline, district_id: str, day: date) -> bool:
    """Whether any student who can be asked about has not been, since a delivery day began."""
    use = score_reports_use(pipeline.district(district_id))
    began = _began(use.window, day)
    unasked = students.is_due(began, began, timedelta(minutes=use.again_minutes))
    return not every_student(pipeline, district_id, use).filter(unasked).is_empty()


def _began(window: Window, day: date) -> datetime:
    """When a delivery day began, in UTC, without a zone: at midnight by the window's clock, or when
    the window of the day before closed after it."""
    if windows.crosses_midnight(window):
        began = windows.closes_at(window, day - windows.DAY)
    else:
        began = datetime.combine(day, time(), ZoneInfo(window.time_zone))
    return began.astimezone(UTC).replace(tzinfo=None)
