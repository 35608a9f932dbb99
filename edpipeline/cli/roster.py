"""Commands that do something with a district's roster."""

import sys
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from edpipeline import pulling, sources
from edpipeline.approval import approve as record_approval
from edpipeline.approval import find_waiting
from edpipeline.cli import terminal
from edpipeline.cli.application import (
    ACT,
    LATER,
    CsvFile,
    Day,
    OneDistrict,
    chosen,
    exit_code,
    open_pipeline,
    user_name,
)
from edpipeline.cli.polls import poll_one
from edpipeline.cli.pulls import pull_one
from edpipeline.districts import District, roster_use
from edpipeline.errors import EdpipelineError, NotFound
from edpipeline.landing.stability import LookSettings, Verdict
from edpipeline.loading.options import LoadOptions
from edpipeline.loading.report import SyncReport, escaped
from edpipeline.model import ID_FIELDS, ApiPull, Inbox, Source
from edpipeline.pipeline import ROSTER, Pipeline
from edpipeline.pollers import POLLERS
from edpipeline.preview import ANYBODY, delivered_files, preview_delivery

SECONDS_BETWEEN_LOOKS = 10
SECONDS_TO_WAIT = 90


class What(StrEnum):
    """What may be approved."""

    FIRST_SYNC = "first_sync"
    REMOVALS = "removals"


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module, in the order in which a district meets them."""
    for command in (check, preview, sync, approve, rebuild):
        app.command()(command)


def check(district: OneDistrict = None) -> None:
    """Check settings, secrets, SFTP accounts, vendors' APIs, landing and warehouse.

    Each district's accounts are tried for real: host key, login, folder; sign-in at the vendors.
    Nothing is fetched, and a sign-in that is refused is not repeated.
    """
    pipeline = open_pipeline()
    wrong = 0
    # Also districts that sync nothing: a source that vanished from the file is told by its checks.
    for each in _all_or(pipeline, district) or chosen(pipeline, district):
        with terminal.working(f"checking {each.id}") as progress:
            results = pipeline.check(each.id, progress)
            results += pulling.check_accounts(pipeline, each.id, progress)
            for polls in POLLERS.values():
                results += polls.check_accounts(pipeline, each.id, progress)
        terminal.show_checks(each.id, results)
        wrong += sum(not result.ok for result in results)
    if wrong:
        raise typer.Exit(ACT)


def preview(
    paths: Annotated[list[Path], typer.Argument(help="A folder, CSV files, or a zip.")],
    district: Annotated[
        str | None,
        typer.Option("--district", "-d", metavar="ID", help="Compare with what this district has."),
    ] = None,
    edition: Annotated[
        str,
        typer.Option(metavar="NAME", help="The layout to read it as; else told from the files."),
    ] = "",
    source: Annotated[
        str, typer.Option("--source", "-s", metavar="NAME", help="Whose files these are.")
    ] = ROSTER,
    match_on: Annotated[
        str, typer.Option("--match-on", metavar="FIELD", help="For results: what their ids are.")
    ] = "",
    csv: CsvFile = None,
) -> None:
    """Show what a delivery, or an upload of results, would come to. Nothing is written.

    Works without any configuration. With --district, the district's settings hold and the
    delivery is compared with its tables.

    Exits with 1 where nothing of the delivery could be loaded.
    """
    pipeline = open_pipeline()
    of = _source(source, edition, match_on)
    files = delivered_files(paths, of.arrives.patterns)
    now = datetime.now(UTC)
    day = pipeline.delivery_day(district, now, of.name) if district else now.date()
    options = pipeline.options(district, of.name, day) if district else _of_nobody(of)
    chosen = {"edition": edition, "match_on": match_on}
    options = options.with_choices({name: value for name, value in chosen.items() if value})
    with terminal.working("opening the delivery") as progress:
        found = preview_delivery(
            files,
            of,
            options,
            day,
            pipeline.settings.sql,
            warehouse=pipeline.warehouse if district else None,
            district_id=district or ANYBODY,
            scratch=pipeline.settings.scratch,
            progress=progress,
        )
    terminal.show_preview(found)
    if csv is not None:
        terminal.write_findings(csv, escaped(found.findings).write_csv())
    if not found.usable:
        raise typer.Exit(ACT)


def _source(name: str, edition: str, match_on: str) -> Source:
    """The source of that name; raises BadParameter where anything that was named is unknown."""
    found = next((each for each in sources.ALL if each.name == name), None)
    if found is None:
        known = ", ".join(each.name for each in sources.ALL)
        raise typer.BadParameter(f"known sources are {known}", param_hint="--source")
    editions = ["auto", *(each.name for each in found.editions)]
    if edition and edition not in editions:
        raise typer.BadParameter(f"one of {', '.join(editions)}", param_hint="--edition")
    if match_on and match_on not in ID_FIELDS:
        raise typer.BadParameter(f"one of {', '.join(ID_FIELDS)}", param_hint="--match-on")
    return found


def _of_nobody(source: Source) -> LoadOptions:
    """What holds for files of no district."""
    if isinstance(source.arrives, Inbox | ApiPull):
        return LoadOptions(
            encodings=("windows-1252",),
            first_sync_needs_approval=False,
            match_on=source.arrives.match_on,
        )
    return LoadOptions()


def sync(
    district: OneDistrict = None,
    source: Annotated[
        str,
        typer.Option(
            "--source",
            "-s",
            metavar="NAME",
            help="oneroster, scantron, star, powerpath or score_reports.",
        ),
    ] = ROSTER,
    day: Day = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="FOLDER", help="Take the delivery from here instead of SFTP."
        ),
    ] = None,
) -> None:
    """Fetch a delivery, write it down, load it, and show the report.

    Looks into the district's SFTP folder, waits up to 90 seconds until a set that may still be
    written stays as it is, and loads it as the delivery of today. With --source, asks the vendor's
    API for what is new, or about every test or student that is due, at any time of the day.

    With --day, loads again what has landed for that day; with --from, what is in that folder is
    the delivery.

    Exits with 1 where the delivery, or a file of it, was refused.
    """
    pipeline = open_pipeline()
    target = day.date() if day else None
    if source != ROSTER:
        if folder is not None:
            raise typer.BadParameter("--from is for rosters; hand files over with `upload`")
        asked = _asked_source(source)
        act = poll_one if asked.is_polled else pull_one
        districts = chosen(pipeline, district, source)
        _for_each(districts, lambda each: act(pipeline, each, asked, target))
        return
    districts = chosen(pipeline, district, source)
    if folder is not None and len(districts) != 1:
        raise typer.BadParameter("--from needs --district: whose delivery is it?")
    _for_each(districts, lambda each: _sync_one(pipeline, each, target, folder))


def _asked_source(name: str) -> Source:
    """The source of that name; raises NotFound, naming those that have an API that is asked."""
    asked = {each.name: each for each in sources.ALL if each.is_pulled or each.is_polled}
    if name not in asked:
        raise NotFound(f"{name[:40]!r} has no API that is asked; these have: {', '.join(asked)}")
    return asked[name]


def approve(
    drop: Annotated[str, typer.Argument(help="The drop's id, or its first 4 digits.")],
    by: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who decides; you, unless given.")
    ] = None,
    what: Annotated[
        What | None, typer.Option(help="What is approved; else told from the drop.")
    ] = None,
    district: OneDistrict = None,
    note: Annotated[str, typer.Option(metavar="TEXT", help="Why, for those who ask later.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Approve a first sync, or removals that wait; then load the drop.

    The decision is kept with what landed and holds for this very drop.
    """
    pipeline = open_pipeline()
    waiting = find_waiting(pipeline, drop, what, district)
    before = waiting.report
    words = "first sync" if waiting.what == What.FIRST_SYNC else "removals"
    if sys.stdin.isatty() and not yes:
        terminal.show_report(before)
        typer.confirm(f"Approve the {words} of {before.district_id}, {before.day}?", abort=True)
    with terminal.working("applying the decision") as progress:
        after = record_approval(pipeline, waiting, by or user_name(), note, progress)
    terminal.say(f"Approved: the {words} of {before.district_id}, drop {before.drop_id}.")
    terminal.show_report(after)


def rebuild(district: OneDistrict = None) -> None:
    """Empty the tables of a district, or of all, and load them again from what landed.

    Gives the same tables back, with all that was approved; for a new warehouse, or a lost one.
    """
    pipeline = open_pipeline()
    _for_each(_all_or(pipeline, district), lambda each: _rebuild_one(pipeline, each))


def _for_each(districts: Sequence[District], act: Callable[[District], int]) -> None:
    """Act for each district, whatever becomes of the others; exits with the gravest code."""
    codes = []
    for each in districts:
        try:
            codes.append(act(each))
        except EdpipelineError as error:
            if len(districts) == 1:
                raise
            terminal.complain(f"{each.id}: {error}")
            codes.append(exit_code(error))
    if any(codes):
        raise typer.Exit(ACT if ACT in codes else LATER)


def _all_or(pipeline: Pipeline, district_id: str | None) -> Sequence[District]:
    """The district that was named, or every one of the districts file."""
    return (pipeline.district(district_id),) if district_id else pipeline.districts.all


def _rebuild_one(pipeline: Pipeline, district: District) -> int:
    reports: list[SyncReport] = []
    now = datetime.now(UTC)
    with terminal.working(f"rebuilding {district.id}") as progress:
        for source in sources.ALL:
            if source.holds_results or district.oneroster is not None:
                today = pipeline.delivery_day(district.id, now, source.name)
                reports += pipeline.sync(district.id, today, progress, source.name).rebuild()
        pipeline.refill(district.id, progress)
    loaded = sum(report.applied for report in reports)
    terminal.say(f"{district.id}: days that landed {len(reports)}, of these loaded {loaded}.")
    return 0


def _sync_one(pipeline: Pipeline, district: District, day: date | None, folder: Path | None) -> int:
    """One district's sync; the exit code."""
    now = datetime.now(UTC)
    target = day or pipeline.delivery_day(district.id, now)
    if roster_use(district).is_paused(target, "sync"):
        terminal.say(f"{district.id}: the districts file pauses {target}; nothing was done.")
        return 0
    patterns = pipeline.source.arrives.patterns
    with terminal.working(f"syncing {district.id}") as progress:
        if folder is not None:
            files = delivered_files([folder], patterns)
            target = pipeline.receive(district.id, files, target, now).day
        elif day is None:
            patience = LookSettings(patterns=patterns, min_seconds=SECONDS_BETWEEN_LOOKS)
            arrival = pipeline.deliver(district.id, now, None, SECONDS_TO_WAIT, patience, progress)
            if arrival.delivery is not None:
                target = arrival.delivery.day
            elif pipeline.is_synced(district.id, target):
                terminal.say(f"{district.id}: {arrival.message}.")
                return _code_of(arrival.verdict)
        report = pipeline.sync(district.id, target, progress).load_day(target)
        if report.applied:
            pipeline.refill(district.id, progress)
    terminal.show_report(report)
    refused = report.status == "refused" or any(file.status == "kept" for file in report.files)
    return ACT if refused else 0


def _code_of(verdict: Verdict) -> int:
    if verdict is Verdict.GROWING:
        return LATER
    return ACT if verdict in (Verdict.INCOMPLETE, Verdict.APART) else 0
