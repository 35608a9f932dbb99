"""The commands by which a role of the database sees a district, or no longer does."""

from typing import Annotated

import typer

from edpipeline import sources
from edpipeline.cli import terminal
from edpipeline.cli.application import open_pipeline
from edpipeline.warehouse import access

Role = Annotated[
    str, typer.Argument(metavar="ROLE", help="A login of PostgreSQL, or a group of them.")
]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(grant)
    app.command()(revoke)


def grant(
    role: Role,
    district: Annotated[
        str,
        typer.Option("--district", "-d", metavar="ID", help="The district; '*' for all of them."),
    ],
    steward: Annotated[
        bool,
        typer.Option("--steward", help="With all that identifies people, and every table."),
    ] = False,
) -> None:
    """Let a role of PostgreSQL see a district: the de-identified views, or all as a steward.

    Members of the role see it too. What the role sees of other districts stays; of this one it
    then sees what was said last.
    """
    pipeline = open_pipeline()
    if district != access.EVERY_DISTRICT:
        pipeline.district(district)
    access.grant(
        pipeline.warehouse,
        sources.ALL,
        pipeline.settings.sql,
        role,
        district,
        as_steward=steward,
    )
    what = "every district" if district == access.EVERY_DISTRICT else district
    terminal.say(f"{role} sees {what}{' as a steward' if steward else ', de-identified'}.", "green")


def revoke(
    role: Role,
    district: Annotated[
        str | None,
        typer.Option("--district", "-d", metavar="ID", help="Only this district, or '*'."),
    ] = None,
) -> None:
    """Take back what a role was given: one district, or, without --district, all of them."""
    count = access.revoke(open_pipeline().warehouse, role, district)
    terminal.say(f"{role}: {count} taken back.")
