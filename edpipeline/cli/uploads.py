"""The command that hands a file of results over."""

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from edpipeline import sources, uploading
from edpipeline.cli import terminal
from edpipeline.cli.application import ACT, open_pipeline, user_name
from edpipeline.errors import Permanent
from edpipeline.model import ID_FIELDS, Source
from edpipeline.pipeline import Pipeline

UploadedTo = StrEnum(  # type: ignore[misc]
    "UploadedTo",
    {source.name.upper(): source.name for source in sources.ALL if source.is_uploaded},
)
MatchOn = StrEnum("MatchOn", {name.upper(): name for name in ID_FIELDS})  # type: ignore[misc]
SourceOption = Annotated[UploadedTo, typer.Option("--source", "-s", help="Whose export it is.")]
EditionOption = Annotated[
    str,
    typer.Option(metavar="NAME", help="The layout of the file; `auto` tells it from the file."),
]
MatchOption = Annotated[
    MatchOn | None,
    typer.Option(
        "--match-on", help="Field of the roster that the file's ids are; else the district's."
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(upload)
    app.command()(editions)


def upload(
    file: Annotated[Path, typer.Argument(help="The CSV, text file or zip, as it was exported.")],
    district: Annotated[str, typer.Option("--district", "-d", metavar="ID", help="Whose it is.")],
    source: SourceOption,
    edition: EditionOption = "",
    match_on: MatchOption = None,
    now: Annotated[
        bool, typer.Option("--now", help="Load it here and now, instead of by the next run.")
    ] = False,
    by: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who hands it over; you, unless given.")
    ] = None,
) -> None:
    """Hand over a file of assessment results.

    The file is looked at and put into the inbox with what was chosen; Dagster loads it within
    minutes, and `edpipeline history` shows what became of it. With --now it is loaded at once.

    Exits with 1 where the file, or what was chosen for it, is not right; nothing is handed over
    then.
    """
    pipeline = open_pipeline()
    pipeline.district(district)
    to = uploading.source_of_uploads(source.value)
    if not file.is_file():
        raise Permanent(f"there is no file {file}")
    choices = {"edition": _edition(to, edition)} if edition else {}
    if match_on is not None:
        choices["match_on"] = match_on.value
    who = by or user_name()
    with terminal.working(f"looking at {file.name}") as progress:
        read_as = uploading.look_at(pipeline, district, to, file, choices)
        progress("handing it over")
        place = uploading.hand_over(pipeline, district, to, file, choices, who)
    terminal.say(f"{file.name} is {read_as.label} ({read_as.name}).")
    if not now:
        terminal.say(
            f"It waits in the inbox as {place}; `edpipeline history --district {district}"
            f" --source {to.name}` shows when it is ready."
        )
        return
    _load_now(pipeline, district, place)


def _load_now(pipeline: Pipeline, district: str, place: str) -> None:
    at = datetime.now(UTC)
    wanted = str(Path(place).parent)
    waiting = [
        one
        for one in uploading.waiting(pipeline, at)
        if any(entry.path.startswith(f"{wanted}/") for entry in one.files)
    ]
    refused = False
    if not waiting:
        terminal.say("A run of Dagster has taken it already; `edpipeline history` shows it.")
    for one in waiting:
        with terminal.working("loading") as progress:
            reports = uploading.load(pipeline, uploading.land(pipeline, one, at))
            if any(report.applied for report in reports):
                pipeline.refill(district, progress)
        for report in reports:
            terminal.show_report(report)
            refused |= not report.applied
    if refused:
        raise typer.Exit(ACT)


def _edition(source: Source, name: str) -> str:
    known = ["auto", *(edition.name for edition in source.editions)]
    if name not in known:
        raise typer.BadParameter(f"{source.name} has these editions: {', '.join(known)}")
    return name


def editions(
    source: Annotated[UploadedTo | None, typer.Option("--source", "-s", help="Only this.")] = None,
) -> None:
    """List the editions of uploads: the layouts that a file may have.

    Choose the one that was in force when the file was downloaded. An assumed layout is ours: the
    vendor has published none.
    """
    for each in sources.ALL:
        if each.is_uploaded and source in (None, each.name):
            terminal.say(f"\n{each.name}: {each.title}", "bold")
            for edition in each.editions:
                terminal.say(f"  {edition.name:<28} {edition.label}")
