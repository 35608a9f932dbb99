"""Schools of vendors in the warehouse: what they list, and which school of the roster each is."""

import unicodedata
from collections.abc import Iterable, Mapping
from datetime import date

from edpipeline.landing.schools import SchoolDecision
from edpipeline.loading.history import MARK
from edpipeline.warehouse.engine import Session

LISTED = ("vendor_school_id", "vendor_school_name", "state_id", "identifier", "sourced_id")
"""What is kept of a school that a vendor lists; all but the first may be absent."""


def record_vendor_schools(
    session: Session,
    district_id: str,
    source: str,
    records: Iterable[Mapping[str, object]],
    seen_on: date,
) -> int:
    """Show a vendor's list of a delivery day in ops.vendor_schools; how many schools it has.

    Of a record the keys of `LISTED` are read; one without `vendor_school_id` is passed over, of
    two with the same id the last counts. Schools that are listed no more stay as they were. The
    same lists in any order come to the same rows.
    """
    schools = {
        school[0]: school
        for school in ([_plain(record.get(name)) for name in LISTED] for record in records)
        if school[0]
    }
    if not schools:
        return 0
    columns = dict(zip(LISTED, zip(*schools.values(), strict=True), strict=True))
    lists = {name: MARK.join(values) for name, values in columns.items()}
    keys = {"district": district_id, "source": source, "day": seen_on, "mark": MARK}
    ids = "select unnest(string_to_array($vendor_school_id, $mark))"
    newer = (
        "select vendor_school_id from ops.vendor_schools where district_id = $district"
        " and source = $source and last_seen_on > cast($day as date)"
    )
    session.run(
        "delete from ops.vendor_schools where district_id = $district and source = $source"
        f" and last_seen_on <= $day and vendor_school_id in ({ids})",
        **keys,
        **lists,
    )
    each = ", ".join(f"unnest(string_to_array(${name}, $mark)) as {name}" for name in LISTED)
    kept = ", ".join(f"nullif({name}, '')" for name in LISTED)
    session.run(
        "insert into ops.vendor_schools select cast($district as varchar),"
        f" cast($source as varchar), {kept}, cast($day as date)"
        f" from (select {each}) listed where vendor_school_id not in ({newer})",
        **keys,
        **lists,
    )
    return len(schools)


def forget_vendor_schools(session: Session, district_id: str, source: str) -> None:
    """Empty a district's rows of ops.vendor_schools, before all that landed is loaded again."""
    session.run(
        "delete from ops.vendor_schools where district_id = $district and source = $source",
        district=district_id,
        source=source,
    )


def mirror_school_matches(
    session: Session, district_id: str, source: str, decided: Mapping[str, SchoolDecision]
) -> None:
    """Show the decisions recorded in landing as a table."""
    session.run(
        "delete from ops.school_matches where district_id = $district and source = $source",
        district=district_id,
        source=source,
    )
    for decision in decided.values():
        session.run(
            "insert into ops.school_matches values ($district, $source, $vendor_school, $school,"
            " $by, $at)",
            district=district_id,
            source=source,
            vendor_school=decision.vendor_school_id,
            school=decision.school_id,
            by=decision.by,
            at=decision.at.replace(tzinfo=None),
        )


def _plain(value: object) -> str:
    """Text of one line, without what cannot be seen; "" where there is nothing."""
    if value is None:
        return ""
    visible = (" " if unicodedata.category(c)[0] in "CZ" else c for c in str(value))
    return " ".join("".join(visible).split())
