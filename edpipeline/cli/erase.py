"""The command that answers a deletion request."""

from typing import Annotated

import typer

from edpipeline import erasing
from edpipeline.cli import terminal
from edpipeline.cli.application import open_pipeline, user_name
from edpipeline.erasing import Erasure


def add_to(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(erase)


def erase(
    district: Annotated[
        str, typer.Option("--district", "-d", metavar="ID", help="Whose data; all of it.")
    ],
    student: Annotated[
        str,
        typer.Option(
            metavar="ID",
            help="Only this student: the sourcedId, or another id that the roster has.",
        ),
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether it is meant.")] = False,
    by: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who asks for it; you, unless given.")
    ] = None,
) -> None:
    """Remove a student, or a whole district, from everywhere, for good.

    Warehouse, published files, rejected rows, held changes, the log of accesses, landing and inbox:
    nothing of the student is left in them. Says how much was removed, and writes down that it was.
    If it is interrupted, give the same command again.

    Backups, versions that an S3 bucket keeps, and what others copied are not reached; what the
    district still delivers comes back. `docs/erase.md` says what to do about both.
    """
    pipeline = open_pipeline()
    who = by or user_name()
    if student:
        _ask(yes, f"Remove one student of {district} from everywhere? There is no way back.")
        with terminal.working("looking for the student") as progress:
            done = erasing.erase_student(pipeline, district, student, who, progress)
        terminal.say("The student was erased.", "bold")
    else:
        _ask(yes, f"Remove ALL of district {district} from everywhere? There is no way back.")
        with terminal.working("looking at what there is") as progress:
            done = erasing.erase_district(pipeline, district, who, progress)
        terminal.say(f"District {district} was erased.", "bold")
    _show(done)
    _warn(district, is_student=bool(student))


def _ask(yes: bool, question: str) -> None:
    if not yes:
        typer.confirm(question, abort=True, err=True)


def _show(done: Erasure) -> None:
    """How much was removed, by place."""
    for place, count in sorted(done.removed.items()):
        terminal.say(f"  {place}: {count:,}")
    if not done.removed:
        terminal.say("  Nothing was left to remove.")
    if done.resumed:
        terminal.aside("An erasure that had been interrupted was finished with it.")
    if done.waiting:
        terminal.aside(
            "Another erasure of this district was interrupted before landing was done: give its"
            " command again as well.",
            "bold",
        )


def _warn(district: str, is_student: bool) -> None:
    if is_student:
        terminal.aside(
            "If the district still delivers the student, or a vendor still lists the student, the"
            " next sync brings the student back: have them removed there first, and erase again."
        )
    else:
        terminal.aside(
            f"Take {district} out of the districts file, or the next sync fetches its data again."
        )
    terminal.aside("Backups and copies that others made are not reached: see docs/erase.md.")
