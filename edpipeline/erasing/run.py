"""The order of things: what names the student is needed for landing alone, which therefore is done
before anything that would make the student unknown; the rest follows from landing."""

import hashlib
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime

from edpipeline import sources
from edpipeline.erasing import record as records
from edpipeline.erasing.landed import Landed, erased_lines, has_landed, remove_district
from edpipeline.erasing.meant import meant, student_of
from edpipeline.errors import NotFound, Permanent
from edpipeline.landing import drop as landing
from edpipeline.landing.accesses import recorded_accesses
from edpipeline.loading import accesses
from edpipeline.loading.history import MARK
from edpipeline.loading.load import Progress
from edpipeline.model import Source
from edpipeline.pipeline import Pipeline, silent
from edpipeline.scratch import scratch_folder
from edpipeline.warehouse.engine import Session
from edpipeline.warehouse.publish import remove_superseded, unpublish_district

GROWING = ("ops.sync_history", "ops.sync_files", "ops.match_rates")
"""Tables that tell of syncs, of which an erasure makes more."""


@dataclass(frozen=True)
class Erasure:
    """What an erasure came to: how much was removed, by place."""

    removed: dict[str, int]
    resumed: int = 0
    """Earlier erasures that were killed, and are finished now."""
    waiting: int = 0
    """Those that still wait for their own request to be made again."""


def erase_student(
    pipeline: Pipeline, district_id: str, student: str, by: str, progress: Progress = silent
) -> Erasure:
    """Remove one student of a district from everywhere.

    `student` is the sourcedId or any other id of the roster. Killed at any instant, the same again
    does what is left. The district's days that held the student are loaded anew from landing.
    Raises NotFound, which repeats no id; BadConfiguration where the district is not in the
    districts file; Busy where the district is being loaded.
    """
    pipeline.district(district_id)
    store, now = pipeline.store, datetime.now(UTC)
    with pipeline.warehouse.transaction() as session:
        session.lock_district(district_id)
        before = _rows(session, district_id)
        left = [each for each in records.unfinished(store, district_id) if each.landing_done]
        try:
            student_id = student_of(session, district_id, student)
        except NotFound:
            if not left:
                raise
        else:
            who = meant(session, district_id, student_id)
            of = _pseudonym(session, district_id, student_id)
            begun = records.begin(store, district_id, "student", by, now, of)
            counts = Landed(pipeline, district_id, who, now, by).erase(progress)
            left.append(records.landing_is_done(store, begun, counts))
    removed = Counter(left[-1].removed)
    removed += _follow(pipeline, district_id, before, progress)
    for each in left:
        records.complete(store, each, removed if each is left[-1] else each.removed or {})
    waiting = records.unfinished(store, district_id)
    return Erasure(dict(removed), len(left) - 1, len(waiting))


def erase_district(
    pipeline: Pipeline, district_id: str, by: str, progress: Progress = silent
) -> Erasure:
    """Remove a whole district from everywhere; it need not be in the districts file any more.

    Killed at any instant, the same again does what is left. Raises NotFound where there is nothing
    of such a district, Busy where it is being loaded.
    """
    store, now = pipeline.store, datetime.now(UTC)
    with pipeline.warehouse.transaction() as session:
        session.lock_district(district_id)
        rows = _rows(session, district_id)
        left = [r for r in records.unfinished(store, district_id) if r.what == "district"]
        is_known = any(district.id == district_id for district in pipeline.districts.all)
        if not (is_known or left or any(rows.values()) or has_landed(store, district_id)):
            raise NotFound(f"there is nothing of a district {district_id[:40]!r}")
        begun = records.begin(store, district_id, "district", by, now)
        progress("removing what landed")
        removed = remove_district(pipeline, district_id)
        progress("emptying the tables")
        for table, count in rows.items():
            session.run(f"delete from {table} where district_id = $district", district=district_id)
            removed[f"warehouse: {table}"] += count
    progress("removing what was published")
    settings = pipeline.settings
    unpublish_district(settings.published, settings.sql, district_id)
    removed["published: older files"] += remove_superseded(settings.published)
    progress("giving up the room of what was removed")
    pipeline.warehouse.compact()
    _sweep(pipeline)
    found = dict(+removed)
    for each in {r.key: r for r in [*left, begun]}.values():
        records.complete(store, each, found)
    return Erasure(found, len(left))


def _follow(
    pipeline: Pipeline, district_id: str, before: dict[str, int], progress: Progress
) -> Counter[str]:
    """Make everything that follows from landing follow it. Needs to know nobody."""
    for source in sources.ALL:
        _load_anew(pipeline, district_id, source, progress)
    with pipeline.warehouse.transaction() as session:
        session.lock_district(district_id)
        for source in sources.ALL:
            _forget_findings(session, pipeline, district_id, source)
            if source.is_surveyed:
                known = recorded_accesses(pipeline.store, district_id, source.name)
                accesses.mirror(session, district_id, source.name, known)
    pipeline.refill(district_id, progress)
    removed: Counter[str] = Counter()
    removed["published: older files"] = remove_superseded(pipeline.settings.published)
    progress("giving up the room of what was removed")
    pipeline.warehouse.compact()
    _sweep(pipeline)
    with pipeline.warehouse.transaction() as session:
        for table, count in _rows(session, district_id).items():
            if table not in GROWING:
                removed[f"warehouse: {table}"] = max(0, before.get(table, 0) - count)
    return +removed


def _load_anew(pipeline: Pipeline, district_id: str, source: Source, progress: Progress) -> None:
    """Load the first day that is no longer what it was loaded from, and all after it."""
    for _ in range(3):
        with pipeline.warehouse.transaction() as session:
            days = _outdated(session, pipeline, district_id, source)
        if not days:
            return
        progress(f"loading {source.title} anew from {min(days)}")
        pipeline.sync(district_id, min(days), progress, source.name).load_day(min(days))
    raise Permanent(
        f"{district_id}: {source.name} cannot be brought in line with what is left in landing; run"
        f" `edpipeline rebuild --district {district_id}` and erase again"
    )


def _outdated(session: Session, pipeline: Pipeline, district_id: str, source: Source) -> set[date]:
    """Days that were loaded before lines were taken out of what had landed for them."""
    loaded = {
        (day, drop_id): started.replace(tzinfo=UTC)
        for day, drop_id, started in session.rows(
            "select delivery_day, drop_id, max(started_at) from ops.sync_history"
            " where district_id = $district and source = $source and drop_id is not null"
            " group by delivery_day, drop_id",
            district=district_id,
            source=source.name,
        )
    }
    if not source.holds_results:  # of a day's rosters the last one counts
        latest: dict[date, datetime] = {}
        for (day, _), started in loaded.items():
            latest[day] = max(started, latest.get(day, started))
        loaded = {(day, drop_id): latest[day] for day, drop_id in loaded}
    return {
        delivery.day
        for delivery in landing.deliveries(pipeline.store, district_id, source.name)
        for file in delivery.drop.files
        if file.erased
        and (delivery.day, delivery.drop.drop_id) in loaded
        and loaded[delivery.day, delivery.drop.drop_id] < file.erased.at
    }


def _forget_findings(
    session: Session, pipeline: Pipeline, district_id: str, source: Source
) -> None:
    """Findings about lines that are gone, also of syncs that were not repeated."""
    lines = erased_lines(pipeline.store, district_id, source.name)
    if not lines:
        return
    drops, names, numbers = zip(*lines, strict=True)
    session.run(
        "delete from ops.rejected_rows where district_id = $district and source = $source"
        " and (drop_id || $between || file_name || $between || cast(line as varchar)) in"
        " (select unnest(string_to_array($lines, $mark)))",
        district=district_id,
        source=source.name,
        between="\x1e",
        mark=MARK,
        lines=MARK.join(
            f"{drop}\x1e{name}\x1e{number}"
            for drop, name, number in zip(drops, names, numbers, strict=True)
        ),
    )


def _rows(session: Session, district_id: str) -> dict[str, int]:
    """Rows of a district by table, of every table that has districts."""
    tables = session.rows(
        "select c.table_schema, c.table_name from information_schema.columns c"
        " join information_schema.tables t"
        " on t.table_schema = c.table_schema and t.table_name = c.table_name"
        " where c.column_name = 'district_id' and t.table_type = 'BASE TABLE'"
        " and c.table_schema not in ('information_schema', 'pg_catalog', 'temp')"
        " order by 1, 2"
    )
    return {
        f"{schema}.{name}": int(
            session.value(
                f"select count(*) from {schema}.{name} where district_id = $district",
                district=district_id,
            )
        )
        for schema, name in tables
        if not schema.startswith("pg_temp")
    }


def _pseudonym(session: Session, district_id: str, student_id: str) -> str:
    salt = session.value("select salt from ops.pseudonym_salt")
    return hashlib.sha256(f"{salt}:{district_id}:{student_id}".encode()).hexdigest()


def _sweep(pipeline: Pipeline) -> None:
    """Whoever opens a scratch folder removes those that killed processes left."""
    with scratch_folder(pipeline.settings.scratch):
        pass
