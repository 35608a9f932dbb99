"""The command that has links to one student's score reports made, for the person who asks.

Links alone go to stdout, one a line, so that they can be piped; what they are goes to stderr.
"""

import webbrowser
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from edpipeline import surveying
from edpipeline.cli import terminal
from edpipeline.cli.application import open_pipeline, user_name
from edpipeline.errors import Permanent
from edpipeline.sources.score_reports import decisions
from edpipeline.surveying import Asked, Link
from edpipeline.surveying.links import LIFE_MINUTES, WANTED


def add_to(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("score-report")(score_report)


def score_report(
    district: Annotated[
        str, typer.Option("--district", "-d", metavar="ID", help="Whose student it is.")
    ],
    student: Annotated[
        str,
        typer.Option(metavar="ID", help="The student's SSID, or any id that the roster has."),
    ],
    kind: Annotated[
        str,
        typer.Option(
            "--type", metavar="CODE", help=f"Only this type: {', '.join(decisions.TYPES)}."
        ),
    ] = "",
    language: Annotated[
        str,
        typer.Option(metavar="CODE", help=f"Only this language: {', '.join(decisions.LANGUAGES)}."),
    ] = "",
    year: Annotated[
        int | None,
        typer.Option(
            metavar="YEAR", help=f"Only this administration: {decisions.FIRST_YEAR} or later."
        ),
    ] = None,
    in_browser: Annotated[
        bool, typer.Option("--open", help="Open the reports in the browser instead of printing.")
    ] = False,
    by: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who asks; you, unless given.")
    ] = None,
) -> None:
    """Have fresh links made to a student's California score reports. They live 30 minutes.

    Links go to stdout, one a line. They are written down nowhere; that you asked for them is, in
    ops.access_log: who, whose, which reports, and when.
    """
    now = datetime.now(UTC)
    asked = Asked(_code(kind, "--type"), _code(language, "--language"), _year(year, now))
    who = by or user_name()
    with terminal.working("asking for links"):
        links = surveying.links(open_pipeline(), district, student, asked, now, who)
    if not links:
        terminal.aside("There is no such report of the student with a link to it.")
        return
    _show(links, in_browser)


def _show(links: Sequence[Link], in_browser: bool) -> None:
    """What the links are, and the links; or the reports in the browser."""
    for link in links:
        grade = f", grade {link.grade}" if link.grade else ""
        terminal.aside(f"{link.title}{grade}", "bold")
        if not in_browser:
            typer.echo(link.url)
        elif not webbrowser.open(link.url):
            raise Permanent("no browser could be opened: run it without --open")
    terminal.aside(
        f"Links live {LIFE_MINUTES} minutes, and open for anybody who has them: pass none on, and"
        " ask again for new ones. They are kept nowhere; that you asked is in ops.access_log."
    )


def _code(given: str, option: str) -> str:
    if given and not WANTED.fullmatch(given):
        raise typer.BadParameter("letters and digits", param_hint=option)
    return given


def _year(given: int | None, now: datetime) -> int | None:
    """A year that reports are of: from the first one to that in which the school year ends."""
    last = now.year + (now.month >= 7)
    if given is not None and not decisions.FIRST_YEAR <= given <= last:
        raise typer.BadParameter(f"{decisions.FIRST_YEAR} to {last}", param_hint="--year")
    return given
