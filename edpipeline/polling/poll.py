"""A run of polls of one district: what was left is told, pairs are listed, those due are asked.

A chunk of pairs is asked by several threads, landed as one delivery and loaded, before the next one
begins. Nothing is remembered but in the warehouse and in landing, so a run goes on where the one
before it ended, however that was.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from filelock import FileLock, Timeout

from edpipeline.districts import poll_use
from edpipeline.errors import Busy
from edpipeline.loading.load import Progress
from edpipeline.model import Source
from edpipeline.pipeline import Pipeline, silent
from edpipeline.polling import listed_at, pairs
from edpipeline.polling.counts import Poll
from edpipeline.polling.landed import Deliveries, Loaded
from edpipeline.polling.run import Run
from edpipeline.polling.vendor import Pace, api_of, clients
from edpipeline.pulling import told


def poll_and_load(
    pipeline: Pipeline,
    district_id: str,
    source: Source,
    at: datetime,
    by: str,
    progress: Progress = silent,
    loaded: Loaded | None = None,
) -> Poll:
    """List the pairs, ask about those that are due, land and load what came, chunk by chunk.

    `by` is who has it done, for the record of imports; `loaded` hears of every chunk. Raises
    BadConfiguration and BadCredentials where a person has to act, Transient where it may pass, and
    Busy where another run polls the district: after what was done until then is loaded, and told
    in the history.
    """
    use = poll_use(pipeline.district(district_id), source.name)
    day = pipeline.delivery_day(district_id, at, source.name)
    with alone(pipeline, district_id, source), told(pipeline, district_id, source, day):
        deliveries = Deliveries(pipeline, district_id, source, at, loaded)
        deliveries.load_what_is_left()
        spec = api_of(source, use)
        pace = Pace(use.pace.per_second)
        with clients(spec, use, pace) as client, ThreadPoolExecutor(use.pace.at_once) as pool:
            run = Run(pipeline, source, use, deliveries, by, progress, client, pool)
            run.most_failures = spec.http.failures_in_a_row
            try:
                progress(f"signing in at {spec.title}")
                client().sign_in()
                run.settle_what_was_meant()
                run.poll_what_is_due()
            finally:
                run.stopped.set()
        return run.poll()


def is_due(pipeline: Pipeline, district_id: str, source: Source, at: datetime) -> bool:
    """Whether a poll has anything to do: a pair is due, or the last listing is old. Asks nobody."""
    use = poll_use(pipeline.district(district_id), source.name)
    oldest = at - timedelta(minutes=use.waits.first_minutes)
    if not listed_at.was_listed_since(pipeline.store, district_id, source.name, oldest, at):
        return True
    with pipeline.warehouse.transaction() as session:
        due = session.frame(
            "select student_id from external_tests.current_assignments"
            " where district_id = $district"
            " and state in ('open', 'quarantined') and coalesce(next_poll_at, $at) <= $at",
            district=district_id,
            at=at.astimezone(UTC).replace(tzinfo=None),
        )
        if use.students == "roster" and not due.is_empty():
            known = pairs.in_roster(session, district_id, use.match_on)
            due = due.filter(pairs.is_one_of(known, use.match_on))
    return not due.is_empty()


@contextmanager
def alone(pipeline: Pipeline, district_id: str, source: Source) -> Iterator[None]:
    """One run of a district at a time on this machine: two would import the same results twice."""
    home = pipeline.settings.home
    home.mkdir(parents=True, exist_ok=True)
    lock = FileLock(home / f"polling-{source.name}-{district_id}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise Busy(
            f"{district_id}: {source.title} is being polled already; it goes on by itself"
        ) from None
    try:
        yield
    finally:
        lock.release()
