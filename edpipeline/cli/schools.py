"""The command by which a person says which school of the roster a vendor's school is."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated

import polars as pl
import typer

from edpipeline import school_decisions
from edpipeline.cli import terminal
from edpipeline.cli.application import open_pipeline, user_name
from edpipeline.school_decisions import Counted
from edpipeline.school_matching import MATCHED, NO_MATCHING, Sides, Suggestion, decided


def add_to(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(match_schools)


def match_schools(
    district: Annotated[str, typer.Option("--district", "-d", metavar="ID", help="Whose schools.")],
    source: Annotated[
        str, typer.Option("--source", "-s", metavar="NAME", help="Whose list, such as star.")
    ],
    pair: Annotated[
        list[str] | None,
        typer.Option(metavar="VENDOR_ID=SCHOOL_ID", help="These are the same school; repeatable."),
    ] = None,
    no_school: Annotated[
        list[str] | None,
        typer.Option(metavar="VENDOR_ID", help="The roster has no such school; repeatable."),
    ] = None,
    accept_suggestions: Annotated[
        bool, typer.Option("--accept-suggestions", help="Take all that is suggested.")
    ] = False,
    by: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who decides; you, unless given.")
    ] = None,
) -> None:
    """List the schools of a vendor and of the roster, and say which is which.

    Results of a vendor's school wait until a person has matched it, and count from then on, also
    those to come. Without any decision, both lists are shown, with suggestions. A decision is kept
    with what landed; a later one takes its place.
    """
    pipeline = open_pipeline()
    with terminal.working("looking at the schools") as progress:
        sides = school_decisions.look(pipeline, district, source, progress)
    schools = decided(sides, pair or (), no_school or (), accept_suggestions)
    if not schools:
        _show(sides)
        return
    who = by or user_name()
    with terminal.working("keeping the decisions") as progress:
        at = datetime.now(UTC)
        before, after = school_decisions.decide(pipeline, sides, schools, who, at, progress)
    _say_decided(sides, schools)
    say_counted(source, before, after)


def _show(sides: Sides) -> None:
    suggested = sides.suggestions()
    vendor = [
        {
            "vendor's id": one.vendor_school_id,
            f"school in {sides.source}": one.name,
            "results": one.result_count,
            "in the roster": _in_roster(sides, one.vendor_school_id, suggested),
        }
        for one in sides.vendor.values()
    ]
    matched = [one.school_id for one in sides.vendor.values() if one.decision == MATCHED]
    roster = [
        {
            "roster's id": one.school_id,
            "school in the roster": one.name + ("" if one.is_current else " (left the roster)"),
            "number": one.number,
            f"in {sides.source}": "matched" if one.school_id in matched else "",
        }
        for one in sides.roster.values()
    ]
    terminal.show_frame(pl.DataFrame(vendor))
    terminal.say("")
    terminal.show_frame(pl.DataFrame(roster))
    _say_what_to_do(sides, suggested)


def _in_roster(sides: Sides, vendor_school_id: str, suggested: Mapping[str, Suggestion]) -> str:
    one = sides.vendor[vendor_school_id]
    if one.decision == MATCHED:
        return _named(sides, one.school_id)
    if one.decision == NO_MATCHING:
        return "none: so it was decided"
    if vendor_school_id in suggested:
        suggestion = suggested[vendor_school_id]
        return f"perhaps {_named(sides, suggestion.school_id)}: {suggestion.why}"
    return "not matched"


def _named(sides: Sides, school_id: str | None) -> str:
    return f"{school_id} {sides.roster[school_id].name}".strip() if school_id else "none"


def _say_what_to_do(sides: Sides, suggested: Mapping[str, Suggestion]) -> None:
    undecided = sides.undecided()
    if not undecided:
        terminal.say("\nEvery school is decided.", "green")
        return
    waiting = sum(one.result_count for one in undecided)
    terminal.say(f"\n{len(undecided)} of these schools wait, with {waiting:,} results.", "yellow")
    command = f"edpipeline match-schools --district {sides.district_id} --source {sides.source}"
    if suggested:
        terminal.say(f"To take what is suggested ({len(suggested)}):")
        terminal.say(f"  {command} --accept-suggestions")
    terminal.say("To decide one by one:")
    terminal.say(f"  {command} --pair VENDOR_ID=SCHOOL_ID --no-school VENDOR_ID")


def _say_decided(sides: Sides, schools: Mapping[str, str | None]) -> None:
    for vendor_school_id, school_id in schools.items():
        vendor = f"{vendor_school_id} {sides.vendor[vendor_school_id].name}".strip()
        is_ = f"is {_named(sides, school_id)}" if school_id else "has no matching school"
        terminal.say(f"{vendor} {is_}.")


def say_counted(source: str, before: Counted, after: Counted) -> None:
    """How many results of a source count now, how many did before, and why the others do not."""
    terminal.say(f"Results of {source} that count: {after.counting:,}, before {before.counting:,}.")
    places = f"{after.waiting_schools:,} school{'s' if after.waiting_schools > 1 else ''}"
    held_up = [
        (after.waiting, f"wait for {places} to be matched"),
        (after.schoolless, "of schools that the roster does not have"),
        (after.studentless, "of students who were not found"),
    ]
    for count, why in held_up:
        if count:
            terminal.say(f"  {count:,} {why}")
    if after.waiting or after.schoolless or after.studentless:
        terminal.say("marts.rpt_unmatched_result lists the others, and what to do.")
