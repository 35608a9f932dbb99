"""Files that a vendor lays on an SFTP server, fetched from there and landed."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta

from edpipeline.errors import Transient
from edpipeline.landing import drop as landing
from edpipeline.landing.drop import Delivery
from edpipeline.landing.sftp import SftpAccount, connect, fetch, list_folder
from edpipeline.landing.stability import RemoteFile, files_taken, matching
from edpipeline.loading.load import Progress
from edpipeline.model import Source
from edpipeline.pipeline import REMEMBERED_DAYS, Pipeline, silent
from edpipeline.scratch import scratch_folder

STILL = timedelta(minutes=2)
"""A file on a server is taken when it was last written so long ago."""


def fetch_new(
    pipeline: Pipeline,
    district_id: str,
    source: Source,
    account: SftpAccount,
    day: date,
    at: datetime,
    choices: Mapping[str, str],
    progress: Progress = silent,
) -> list[Delivery]:
    """Land the new files on the server: each zip is a delivery, loose files are one together.

    `choices` are written down with them. With them come those fetched before that no sync has come
    to, because a load may fail after the files were fetched. Raises Transient where there is
    nothing new, and what `connect` raises.
    """
    progress("looking into the vendor's folder")
    known = landing.deliveries(
        pipeline.store, district_id, source.name, day - timedelta(days=REMEMBERED_DAYS)
    )
    taken = set(files_taken(delivery.drop for delivery in known))
    there = matching(list_folder(account), source.arrives.patterns)
    new = [file for file in there if file not in taken]
    still = [file for file in new if file.modified_at <= (at - STILL).timestamp()]
    left = not_loaded(pipeline, [each for each in known if choices.keys() <= each.choices.keys()])
    if not still and left:
        return left
    if not still:
        waits = "; what lies there may still be written" if new else ""
        raise Transient(f"{district_id}: the vendor has laid no new file into the folder{waits}")
    delivered = left
    with scratch_folder(pipeline.settings.scratch) as folder, connect(account) as connection:
        for number, group in enumerate(_groups(still)):
            progress(f"fetching {len(group)} files")
            place = folder / str(number)
            place.mkdir()
            arrived = fetch(connection, group, place)
            origin = f"sftp {account.describe()}"
            delivered.append(
                landing.land(
                    pipeline.store, district_id, source.name, day, arrived, at, origin, choices
                )
            )
            at += timedelta(microseconds=1)
    return delivered


def not_loaded(pipeline: Pipeline, known: list[Delivery]) -> list[Delivery]:
    """Those of a district's deliveries that no sync has come to."""
    if not known:
        return []
    with pipeline.warehouse.transaction() as session:
        rows = session.rows(
            "select drop_id from ops.sync_history where district_id = $district"
            " and source = $source and delivery_day >= $first and drop_id is not null",
            district=known[0].drop.district_id,
            source=known[0].drop.source,
            first=min(each.day for each in known),
        )
    synced = {drop_id for (drop_id,) in rows}
    return [delivery for delivery in known if delivery.drop.drop_id not in synced]


def _groups(found: list[RemoteFile]) -> list[list[RemoteFile]]:
    zips = sorted(
        (file for file in found if file.name.casefold().endswith(".zip")),
        key=lambda file: (file.modified_at, file.name),
    )
    loose = [file for file in found if file not in zips]
    return [[file] for file in zips] + ([loose] if loose else [])
