"""Who asked for something of a student that is never kept: what landing has, shown as a table."""

from collections.abc import Sequence
from dataclasses import asdict

from edpipeline.landing.accesses import Access
from edpipeline.landing.records import in_utc
from edpipeline.warehouse.engine import Session


def show(session: Session, district_id: str, source: str, access: Access) -> None:
    """Add one access to ops.access_log."""
    session.run(
        "insert into ops.access_log (district_id, source, accessed_at, accessed_by, student_id,"
        " ssid, reports, link_count, asked_type, asked_language, asked_year)"
        " values ($district, $source, $at, $by, $student_id, $ssid, $reports, $link_count,"
        " $asked_type, $asked_language, $asked_year)",
        district=district_id,
        source=source,
        **{**asdict(access), "at": in_utc(access.at).replace(tzinfo=None)},
    )


def mirror(session: Session, district_id: str, source: str, accesses: Sequence[Access]) -> None:
    """Make a district's rows of ops.access_log those that landing has."""
    session.run(
        "delete from ops.access_log where district_id = $district and source = $source",
        district=district_id,
        source=source,
    )
    for access in accesses:
        show(session, district_id, source, access)
