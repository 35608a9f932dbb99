"""The command itself: options that all commands share, and what becomes of errors.

Exit codes: 0 done, 1 a person must act, 2 wrong use, 70 a mistake of ours, 75 try again later.
"""

import getpass
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from edpipeline import __version__, sources
from edpipeline.cli import terminal
from edpipeline.districts import District, is_polled
from edpipeline.errors import EdpipelineError, NotFound, Permanent, Transient
from edpipeline.pipeline import Pipeline
from edpipeline.settings import load_settings

ACT, MISTAKE, LATER = 1, 70, 75

OneDistrict = Annotated[
    str | None, typer.Option("--district", "-d", metavar="ID", help="Only this district.")
]
Day = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d"], metavar="DAY", help="Delivery day, such as 2026-11-20."),
]
CsvFile = Annotated[
    Path | None,
    typer.Option("--csv", metavar="FILE", help="Write every finding to this CSV file."),
]


class Commands(TyperGroup):
    """Turns what goes wrong into one sentence and an exit code."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command line."""
        try:
            return super().main(*args, **kwargs)
        except Exception as error:
            if "--debug" in (kwargs.get("args") or sys.argv[1:]):
                raise
            if isinstance(error, EdpipelineError):
                terminal.complain(str(error))
                sys.exit(exit_code(error))
            # The text of an error that nobody expected may repeat a row of a file.
            terminal.complain(
                f"something unexpected happened ({type(error).__name__}): a mistake of edpipeline."
                " Run the command again with --debug in front and report what it says, without"
                " any student's data"
            )
            sys.exit(MISTAKE)


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        terminal.say(__version__)
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where an error came from, for its report.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Say the version.")
    ] = False,
) -> None:
    """Rosters and assessment results of K-12 districts in one warehouse they can trust."""


def exit_code(error: EdpipelineError) -> int:
    """75 where trying again later may help, else 1."""
    return LATER if isinstance(error, Transient) else ACT


def user_name() -> str:
    """Who runs the command; raises Permanent where the machine does not know."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        raise Permanent("say who decides: --by NAME") from None


def open_pipeline() -> Pipeline:
    """The installation that the environment describes."""
    return Pipeline(load_settings())


def chosen(pipeline: Pipeline, district_id: str | None, source: str = "") -> Sequence[District]:
    """The district that was named, or all that sync the source, or any; raises NotFound."""
    if district_id:
        return (pipeline.district(district_id),)
    names = [source] if source else [one.name for one in sources.ALL]
    found = [each for each in pipeline.districts.all if any(_syncs(each, name) for name in names)]
    if not found:
        what = source or "anything by itself"
        raise NotFound(
            f"no district of {pipeline.settings.districts} syncs {what}; add one, as"
            " examples/districts.yaml shows"
        )
    return found


def _syncs(district: District, source: str) -> bool:
    use = district.daily_use(source)
    return is_polled(district, source) or (use is not None and use.enabled)
