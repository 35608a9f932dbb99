"""Commands that only tell: what happened, what became of every row, what the tables hold."""

import re
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from edpipeline import sources
from edpipeline.cli import terminal
from edpipeline.cli.application import CsvFile, OneDistrict, open_pipeline
from edpipeline.errors import NotFound
from edpipeline.loading.report import SyncReport, findings_csv, load_reports, summed
from edpipeline.pipeline import ROSTER
from edpipeline.settings import load_settings

UTC_ZONE = ZoneInfo("UTC")


class Status(StrEnum):
    """How a sync may end."""

    LOADED = "loaded"
    LOADED_WITH_ERRORS = "loaded_with_errors"
    REMOVALS_HELD = "removals_held"
    AWAITING_APPROVAL = "awaiting_approval"
    REFUSED = "refused"
    MISSED = "missed"
    FAILED = "failed"
    LOCKED = "locked"


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (history, report, dictionary):
        app.command()(command)


def history(
    district: OneDistrict = None,
    source: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this source, such as oneroster.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, metavar="N", help="How many days back.")] = 14,
    status: Annotated[Status | None, typer.Option(help="Only syncs that ended so.")] = None,
) -> None:
    """Show the syncs of the last days: when, how they ended, and what is to be done.

    A day that was loaded again because of an earlier one shows what it came to last. The polls of
    a day are one line.
    """
    pipeline = open_pipeline()
    if district:
        pipeline.district(district)
    with pipeline.warehouse.transaction() as session:
        reports = load_reports(
            session,
            "delivery_day >= $first and (replay_of is null or sync_id in"
            " (select max(sync_id) from ops.sync_history"
            " group by district_id, source, delivery_day,"
            " case when source = $replacing then '' else drop_id end))"
            " and ($district = '' or district_id = $district)"
            " and ($source = '' or source = $source) and ($status = '' or status = $status)",
            first=datetime.now(UTC).date() - timedelta(days=days),
            district=district or "",
            source=source or "",
            status=status.value if status else "",
            replacing=ROSTER,  # of a roster's day the last drop counts, of uploads every one
        )
    if not reports:
        terminal.say(f"No such sync in the last {days} days.")
        return
    zones = {each.id: ZoneInfo(each.time_zone) for each in pipeline.districts.all}
    terminal.show_history(
        _days_of_polls(reports), lambda district_id: zones.get(district_id, UTC_ZONE)
    )


def _days_of_polls(reports: list[SyncReport]) -> list[SyncReport]:
    """Reports with those of each day's polls as one, where its newest stood."""
    polled = {source.name for source in sources.ALL if source.is_polled}
    shown: list[list[SyncReport]] = []
    days: dict[tuple[str, str, date], list[SyncReport]] = {}
    for each in reports:
        if each.source not in polled or not each.drop_id:
            shown.append([each])
            continue
        day = (each.district_id, each.source, each.day)
        if day not in days:
            shown.append(days.setdefault(day, []))
        days[day].append(each)
    return [one for of_day in shown if (one := summed(of_day[::-1]))]


def report(
    drop: Annotated[
        str, typer.Argument(help="The id of a drop or of a sync, or its first 4 digits.")
    ],
    district: OneDistrict = None,
    csv: CsvFile = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the counts as Markdown.")
    ] = False,
) -> None:
    """Show what became of every row of a drop, and what the district should fix.

    --csv writes every finding with its line, column and record, for the district to correct its
    export by. It names records: treat it as student data.
    """
    if not re.fullmatch(r"[0-9A-Za-z-]{4,60}", drop):
        raise typer.BadParameter("an id is made of digits, letters and hyphens; give at least 4")
    pipeline = open_pipeline()
    with pipeline.warehouse.transaction() as session:
        found = _the_one(
            load_reports(
                session,
                "(drop_id like $beginning or sync_id like $beginning)"
                " and ($district = '' or district_id = $district)",
                beginning=f"{drop}%",
                district=district or "",
            ),
            drop,
        )
        everything = findings_csv(session, found.sync_id) if csv else ""
        count = session.value(
            "select count(*) from ops.rejected_rows where sync_id = $sync_id",
            sync_id=found.sync_id,
        )
        first = session.frame(
            'select file_name as file, line, column_name as "column", severity, code, message'
            " from ops.rejected_rows where sync_id = $sync_id"
            " order by severity, line is not null, file_name, line, code"
            f" limit {terminal.SHOWN_FINDINGS}",
            sync_id=found.sync_id,
        )
    if markdown:
        terminal.say(found.markdown())
    else:
        terminal.show_report(found)
        terminal.show_findings(first, count)
    if csv is not None:
        terminal.write_findings(csv, everything)


def dictionary(
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write to this file instead.")
    ] = None,
) -> None:
    """Print every table and column with its meaning, as Markdown."""
    from edpipeline.dictionary import dictionary_markdown

    text = dictionary_markdown(sources.ALL, load_settings().sql)
    if out is None:
        typer.echo(text)
    else:
        out.write_text(text, "utf-8")
        terminal.say(f"The dictionary is in {out}.")


def _the_one(found: list[SyncReport], asked: str) -> SyncReport:
    """The newest sync of the one drop whose id begins so."""
    if not found:
        raise NotFound(
            f"no sync of a drop {asked} is in the history; `edpipeline history` lists them"
        )
    drops = list(dict.fromkeys((each.drop_id, each.district_id) for each in found))
    if len(drops) > 1:
        listed = ", ".join(f"{drop_id or 'none'} of {district}" for drop_id, district in drops[:5])
        raise NotFound(f"{asked} may be drop {listed}: give more of it, or --district")
    return found[0]
