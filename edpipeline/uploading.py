"""Uploads: handed over into the inbox, landed from it, loaded. The command line and Dagster both
call this.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from fnmatch import fnmatch
from pathlib import Path

from edpipeline import sources
from edpipeline.districts import takes_files
from edpipeline.errors import BadConfiguration, BadDelivery, NotFound
from edpipeline.landing import drop as landing
from edpipeline.landing import inbox
from edpipeline.landing.drop import Delivery
from edpipeline.landing.inbox import Upload
from edpipeline.loading.delivery import open_delivery
from edpipeline.loading.report import SyncReport, load_reports
from edpipeline.model import Edition, Source
from edpipeline.pipeline import Pipeline
from edpipeline.scratch import scratch_folder

READY_WITHIN = timedelta(hours=24)
SOON = timedelta(minutes=15)
LOOK_BACK = timedelta(days=7)
"""An upload that is older was told of long ago."""


@dataclass(frozen=True)
class Late:
    """An upload that was not loaded in time."""

    district_id: str
    source: str
    since: datetime


def look_at(
    pipeline: Pipeline, district_id: str, source: Source, path: Path, choices: Mapping[str, str]
) -> Edition:
    """The edition that a file would be read as; nothing is written.

    Raises BadDelivery, saying what is wrong with it, where it would be refused for its layout,
    and BadConfiguration where the district does not use the source.
    """
    if not takes_files(pipeline.district(district_id), source):
        raise BadConfiguration(
            f"uploads of {source.name} are switched off for {district_id} in the districts file"
        )
    today = pipeline.delivery_day(district_id, datetime.now(UTC), source.name)
    options = pipeline.options(district_id, source.name, today).with_choices(choices)
    with scratch_folder(pipeline.settings.scratch) as folder:
        opened = open_delivery({path.name: path}, source, options, folder)
    problems = [finding.message for finding in opened.findings if finding.severity == "error"]
    problems += [str(file.problem) for file in opened.files if file.problem]
    if problems:
        raise BadDelivery("; ".join(problem.removesuffix(".") for problem in problems))
    return opened.edition


def hand_over(
    pipeline: Pipeline,
    district_id: str,
    source: Source,
    path: Path,
    choices: Mapping[str, str],
    by: str,
) -> str:
    """Put a file, which `look_at` found right, and its choices into the inbox; where it lies there.

    Raises BadDelivery for its name.
    """
    with scratch_folder(pipeline.settings.scratch) as folder:
        return inbox.hand_over(
            pipeline.inbox, district_id, source.name, path, choices, by, datetime.now(UTC), folder
        )


def waiting(
    pipeline: Pipeline, now: datetime, still: timedelta = inbox.STILL, source: str = ""
) -> list[Upload]:
    """What lies in the inbox, of every source or of one, the oldest first; nothing of districts
    that are not known or do not use the source.

    A file laid by hand whose name is not one of the source's is never whole.
    """
    with scratch_folder(pipeline.settings.scratch) as folder:
        found = inbox.uploads(pipeline.inbox, now, folder, still, source)
    if not found:
        return []
    known = {source.name: source for source in sources.ALL if source.is_uploaded}
    districts = {district.id: district for district in pipeline.districts.all}
    return [
        one if one.folder or _is_named_for(known[one.source], one) else replace(one, whole=False)
        for one in found
        if one.source in known
        and one.district_id in districts
        and takes_files(districts[one.district_id], known[one.source])
    ]


def _is_named_for(source: Source, upload: Upload) -> bool:
    patterns = [pattern.casefold() for pattern in source.arrives.patterns]
    names = [entry.name.casefold() for entry in upload.files]
    return all(any(fnmatch(name, pattern) for pattern in patterns) for name in names)


def land(pipeline: Pipeline, upload: Upload, at: datetime) -> Delivery:
    """Write an upload down as a delivery of its day, and take it out of the inbox.

    Raises NotFound where it is no longer there.
    """
    day = pipeline.delivery_day(upload.district_id, at, upload.source)
    origin = f"uploaded by {upload.by}" if upload.by else "laid into the inbox by hand"
    with scratch_folder(pipeline.settings.scratch) as folder:
        arrived = inbox.fetched(pipeline.inbox, upload, folder)
        delivery = landing.land(
            pipeline.store,
            upload.district_id,
            upload.source,
            day,
            arrived,
            at,
            origin,
            upload.choices,
        )
    inbox.clear(pipeline.inbox, upload)
    return delivery


def load(pipeline: Pipeline, delivery: Delivery) -> list[SyncReport]:
    """Load a delivery's day: the reports of what was loaded now, in their order."""
    drop = delivery.drop
    began = datetime.now(UTC).replace(tzinfo=None)
    pipeline.sync(drop.district_id, delivery.day, source=drop.source).load_day(delivery.day)
    with pipeline.warehouse.transaction() as session:
        found = load_reports(
            session,
            "district_id = $district and source = $source and delivery_day = $day"
            " and replay_of is null and started_at >= $began",
            district=drop.district_id,
            source=drop.source,
            day=delivery.day,
            began=began,
        )
    return list(reversed(found))


def source_of_uploads(name: str) -> Source:
    """The source of that name; raises NotFound, naming those that take uploads."""
    for source in sources.ALL:
        if source.name == name and source.is_uploaded:
            return source
    known = ", ".join(source.name for source in sources.ALL if source.is_uploaded)
    raise NotFound(f"{name[:40]!r} takes no uploads; these do: {known}")


def late(pipeline: Pipeline, now: datetime, source: str) -> list[Late]:
    """Uploads older than `READY_WITHIN` that are not in the history yet."""
    border = now - READY_WITHIN
    in_inbox = [
        Late(one.district_id, source, one.since)
        for one in waiting(pipeline, now, source=source)
        if one.since <= border
    ]
    landed = [
        Late(delivery.drop.district_id, source, delivery.received_at)
        for delivery in _landed_only(pipeline, source, now)
        if delivery.received_at <= border
    ]
    return in_inbox + landed


def unloaded(pipeline: Pipeline, source: str, now: datetime) -> list[tuple[str, date]]:
    """Districts and days with uploads that landed a while ago and are not in the history."""
    found = [
        (delivery.drop.district_id, delivery.day)
        for delivery in _landed_only(pipeline, source, now)
        if delivery.received_at <= now - SOON
    ]
    return list(dict.fromkeys(found))


def _landed_only(pipeline: Pipeline, source: str, now: datetime) -> list[Delivery]:
    """Deliveries of the last days without a line in the history. Where nothing has landed, the
    warehouse is not opened."""
    first, store = (now - LOOK_BACK).date(), pipeline.store
    ids = [district.id for district in pipeline.districts.all]
    with ThreadPoolExecutor(8) as pool:
        # One after another, hundreds of districts in S3 would take longer than a tick may.
        listed = pool.map(lambda each: landing.deliveries(store, each, source, first), ids)
        landed = [delivery for of_district in listed for delivery in of_district]
    if not landed:
        return []
    with pipeline.warehouse.transaction() as session:
        loaded = set(
            session.rows(
                "select district_id, delivery_day, drop_id from ops.sync_history"
                " where source = $source and delivery_day >= $first and drop_id is not null",
                source=source,
                first=first,
            )
        )
    return [d for d in landed if (d.drop.district_id, d.day, d.drop.drop_id) not in loaded]
