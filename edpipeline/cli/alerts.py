"""Whom trouble is told to, and whether they hear it."""

from typing import Annotated

import typer

from edpipeline import alerting
from edpipeline.alerting import Message
from edpipeline.cli import terminal
from edpipeline.cli.application import ACT
from edpipeline.settings import load_settings

TEST = Message(
    "edpipeline: a test",
    "This is a test of the alerts of edpipeline; nothing is wrong.\n\n"
    "From now on you are told here of syncs that failed, wait for approval, are late, missed or"
    " poorly matched.",
    urgent=False,
)


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(alerts)


def alerts(
    test: Annotated[
        bool, typer.Option("--test", help="Send each of them a message that says it is a test.")
    ] = False,
) -> None:
    """Show whom trouble is told to, and with --test whether it reaches them.

    EDPIPELINE_ALERTS names them; docs/alerts.md says how. Exits with 1 where a test did not arrive,
    or nobody is named.
    """
    found = alerting.targets(load_settings().alerts)
    if not found:
        terminal.complain("nobody is told of trouble: set EDPIPELINE_ALERTS, see docs/alerts.md")
        raise typer.Exit(ACT)
    failed = False
    for target in found:
        if not test:
            terminal.say(target.name)
            continue
        with terminal.working(f"sending a test to {target.name}"):
            sent = alerting.send(target, [TEST])
        failed = failed or not sent.count
        terminal.say(sent.trouble or f"{target.name}: sent", "red" if sent.trouble else "green")
    if failed:
        raise typer.Exit(ACT)
