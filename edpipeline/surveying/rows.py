"""What answers become in the files of a delivery: rows by table. Times are in UTC."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import polars as pl

from edpipeline.polling.rows import Row, written
from edpipeline.sources.score_reports.decisions import ANSWERED, Report
from edpipeline.surveying.ask import Answer
from edpipeline.surveying.students import Subject
from edpipeline.warehouse.engine import Session

KEY = ("report_type", "language", "report_year", "report_format", "content_area")
"""What tells the reports of a student apart; see `Report.key`."""
CATALOG = (
    *("ssid", *KEY, "type_given", "grade", "has_link", "configuration"),
    *("first_seen_at", "last_seen_at", "no_longer_listed_at"),
)
Key = tuple[Any, ...]
Catalog = Mapping[str, Mapping[Key, Row]]
"""What is known of reports, by number and key."""


def known_catalog(session: Session, district_id: str, ssids: pl.Series) -> Catalog:
    """What is known of the reports of these students."""
    found = session.frame(
        f"select {', '.join(CATALOG)} from score_reports.current_catalog"
        " where district_id = $district"
        " and ssid in (select unnest(string_to_array($ssids, ',')))",
        district=district_id,
        ssids=",".join(ssids),
    )
    catalog: dict[str, dict[Key, Row]] = {}
    for row in found.iter_rows(named=True):
        catalog.setdefault(row["ssid"], {})[tuple(row[name] for name in KEY)] = row
    return catalog


def request_rows(subject: Subject, answer: Answer, at: datetime) -> list[Row]:
    """The rows of the table `requests`: one for each student who has the number."""
    is_answer = answer.outcome in ANSWERED
    return [
        {
            "student_id": student_id,
            "ssid": subject.ssid,
            "configuration": subject.configuration,
            "outcome": answer.outcome,
            "http_status": answer.http_status,
            "reports": len(answer.reports) if is_answer else None,
            "reason": answer.reason,
            "asked_at": written(at),
            "answered_at": _written(at if is_answer else before),
        }
        for student_id, before in subject.students.items()
    ]


def skipped_rows(students: pl.DataFrame) -> list[Row]:
    """The rows of students who are not asked about."""
    told = students.select(
        "student_id",
        "ssid",
        pl.lit(None).alias("configuration"),
        pl.col("skipped").alias("outcome"),
        *(pl.lit(None).alias(name) for name in ("http_status", "reports", "reason", "asked_at")),
        pl.col("known_answered_at").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").alias("answered_at"),
    )
    return told.to_dicts()


def catalog_rows(
    subject: Subject, answer: Answer, known: Mapping[Key, Row], at: datetime
) -> list[Row]:
    """The rows of the table `catalog`: reports that are listed, and those that were until now.
    Only an answer that is a list says anything."""
    if answer.outcome not in ANSWERED:
        return []
    listed = [_listed(subject, report, known.get(report.key), at) for report in answer.reports]
    keys = {report.key for report in answer.reports}
    gone = [
        {**_plain(row), "no_longer_listed_at": written(at)}
        for key, row in known.items()
        if key not in keys and row["no_longer_listed_at"] is None
    ]
    return listed + gone


def _listed(subject: Subject, report: Report, before: Row | None, at: datetime) -> Row:
    first = before["first_seen_at"] if before else None
    return {
        "ssid": subject.ssid,
        **asdict(report),
        "configuration": subject.configuration,
        "first_seen_at": written(first or at),
        "last_seen_at": written(at),
        "no_longer_listed_at": None,
    }


def _plain(row: Row) -> Row:
    return {
        name: written(value) if isinstance(value, datetime) else value
        for name, value in row.items()
    }


def _written(at: datetime | None) -> str | None:
    return None if at is None else written(at)
