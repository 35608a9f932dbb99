"""A window that closed without a delivery: what a person needs to know to do something about it."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from edpipeline import windows
from edpipeline.districts import roster_use
from edpipeline.errors import EdpipelineError
from edpipeline.landing import drop as landing
from edpipeline.landing.drop import shown
from edpipeline.landing.sftp import list_folder
from edpipeline.landing.stability import RemoteFile, Verdict
from edpipeline.model import Source
from edpipeline.pipeline import Pipeline, describe

LOOK_BACK = timedelta(days=60)
NAMED = 5


def what_was_missed(pipeline: Pipeline, source: Source, district_id: str, day: date) -> str:
    """Why nothing was loaded in the window of a day, when a delivery last came, and what to do."""
    known = landing.deliveries(pipeline.store, district_id, source.name, day - LOOK_BACK, day)
    zone = ZoneInfo(pipeline.district(district_id).time_zone)
    if known and known[-1].day == day:
        return (
            f"Drop {known[-1].drop.drop_id} landed {_clock(known[-1].received_at, zone)} and could"
            f" not be loaded; see the failed run of that time. {_remedy(district_id)}"
        )
    last = (
        f"The last delivery came {_clock(known[-1].received_at, zone)}."
        if known
        else f"None has come in the {LOOK_BACK.days} days before."
    )
    return f"{_in_the_folder(pipeline, district_id, day, zone)} {last} {_remedy(district_id)}"


def _remedy(district_id: str) -> str:
    return f"To load it now, run `edpipeline sync --district {district_id}`."


def _in_the_folder(pipeline: Pipeline, district_id: str, day: date, zone: ZoneInfo) -> str:
    """What lies in the district's folder now: late, incomplete, or not there."""
    now = datetime.now(UTC)
    try:
        files = list_folder(pipeline.account(district_id))
        remembered = pipeline.remembered(district_id, now)
        finding, _ = pipeline.judge(district_id, remembered, files, now)
    except EdpipelineError as error:
        return f"The folder could not be looked into: {error}."
    closed = windows.closes_at(roster_use(pipeline.district(district_id)).window, day)
    late = [file for file in finding.files if file.modified_at >= closed.timestamp()]
    if late:
        return f"A delivery came after the window: {_named(late, zone)}."
    if finding.verdict in (Verdict.READY, Verdict.GROWING):
        return f"A delivery lies in the folder and was not fetched: {_named(finding.files, zone)}."
    if finding.files:
        return f"What came could not be taken: {describe(finding)}."
    return "No delivery came."


def _named(files: Sequence[RemoteFile], zone: ZoneInfo) -> str:
    told = [
        f"{shown(file.name)} {_clock(datetime.fromtimestamp(file.modified_at, UTC), zone)}"
        for file in files[:NAMED]
    ]
    more = len(files) - NAMED
    return ", ".join(told) + (f" and {more} more" if more > 0 else "")


def _clock(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M %Z}"
