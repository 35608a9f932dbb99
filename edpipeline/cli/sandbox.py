"""Commands that start a district, its SFTP server and its vendors on this machine."""

import shlex
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import polars as pl
import polars.selectors as cs
import typer

from edpipeline import approval, sources
from edpipeline.cli import terminal
from edpipeline.cli.schools import say_counted
from edpipeline.errors import Permanent
from edpipeline.loading.report import SyncReport
from edpipeline.model import Source
from edpipeline.sandbox import dagster_dev, day, evening
from edpipeline.school_matching import Sides

app = typer.Typer(
    no_args_is_help=True,
    help="A district with 2,000 students on this machine: nothing real, nothing leaves it.",
)

Folder = Annotated[
    Path, typer.Option("--folder", metavar="FOLDER", help="Where the sandbox keeps everything.")
]
HERE = Path(".edpipeline/sandbox")
PULLED = tuple(source for source in sources.ALL if source.is_pulled)
POLLED = tuple(source for source in sources.ALL if source.is_polled and not source.is_surveyed)
SURVEYED = tuple(source for source in sources.ALL if source.is_surveyed)


@app.command()
def demo(folder: Folder = HERE) -> None:
    """Live through two evenings of roster, an upload, and pulls and polls from four vendors.

    Starts anew each time: what an earlier demo left in the sandbox's folder is removed.
    """
    began = time.monotonic()
    with evening.running(folder, clean=True) as sandbox, sandbox.pipeline.warehouse.kept_open():
        account = f"{evening.DISTRICT}@{sandbox.server.host}:{sandbox.server.port}"
        terminal.say(f"An SFTP server with a pinned host key runs for {account}.")
        vendors = f"127.0.0.1:{sandbox.vendors.port}"
        terminal.say(
            f"Scantron, Renaissance, TimeBack PowerPath and California's score reports answer at"
            f" {vendors}."
        )
        last = _evenings(sandbox, sandbox.today)
        _results(sandbox)
        surveyed = _survey(sandbox)
        _polls(sandbox)
        _match_schools(sandbox)
        _tell_where(sandbox)
    program = terminal.program()
    option = _option(folder)
    terminal.say(f"\nThat took {time.monotonic() - began:.0f} s. To go on:", "bold")
    for command, what in (
        (f"{program} sandbox dev{option}", "the same in the Dagster UI"),
        (f'eval "$({program} sandbox environment{option})"', "point this shell at the sandbox"),
        (f"{program} history", "then: everything that came"),
        (f"{program} report {last.drop_id[:6]}", "what the district should fix"),
        (
            f"{program} match-schools -d {evening.DISTRICT} -s {PULLED[0].name}",
            "which school of a vendor still waits for a decision",
        ),
        (
            _score_report(surveyed),
            f"links to a student's score reports, while `{program} sandbox up{option}` serves them",
        ),
    ):
        terminal.say(f"  {command}")
        terminal.say(f"      {what}", "dim")


@app.command()
def dev(
    folder: Folder = HERE,
    clean: Annotated[bool, typer.Option("--clean", help="Start with two new evenings.")] = False,
) -> None:
    """Keep the sandbox running behind the Dagster UI, until Ctrl-C.

    Dagster takes what waits in the inbox and asks the vendors. `edpipeline sandbox deliver`, in
    another terminal, sends the district's next delivery.
    """
    with _stoppable():
        fresh = clean or not (folder / "warehouse.duckdb").exists()
        with evening.running(folder, clean=fresh, all_day=True) as sandbox:
            if fresh:
                # Today's delivery, the upload and the pulls are left for Dagster.
                _evenings(sandbox, sandbox.today - timedelta(days=1))
                _hand_over(sandbox)
            with terminal.working("starting Dagster"):
                dagster = dagster_dev.start(sandbox.world.dagster_home, sandbox.environment)
            try:
                terminal.say(
                    f"Dagster UI: http://127.0.0.1:{dagster.port}  (its log: {dagster.log})", "bold"
                )
                for line in _what_comes(folder):
                    terminal.say(line)
                if dagster.process.wait():
                    raise Permanent(f"Dagster ended by itself; {dagster.log} says why")
            finally:
                with terminal.working("stopping Dagster"):
                    dagster_dev.stop(dagster.process)


@app.command()
def up(folder: Folder = HERE) -> None:
    """Run only the SFTP server and the vendors, until Ctrl-C, and keep what is in the sandbox."""
    with _stoppable(), evening.running(folder, clean=False, all_day=True) as sandbox:
        host, port = sandbox.server.host, sandbox.server.port
        terminal.say(f"sftp -P {port} {evening.DISTRICT}@{host}", "bold")
        terminal.say(f"Its password is in {sandbox.world.password_file}; Ctrl-C stops.")
        vendors = sandbox.vendors
        urls = (vendors.star_url, vendors.scantron_url, f"{vendors.powerpath_url}/powerpath")
        terminal.say(f"Vendors: {', '.join(urls)}, {vendors.score_reports_url}/api/v1;")
        terminal.say(f"what they do is changed at {sandbox.vendors.control_url}.")
        signal.pause()


@app.command()
def deliver(folder: Folder = HERE) -> None:
    """Send the district's next delivery: 1 % of its rows changed, a few of them broken."""
    sent = evening.send_next(folder)
    terminal.say(f"A delivery is in {sent.account_folder}.")
    if sent.todays_has_landed:
        terminal.say(
            "Today's has landed already, and the sensor takes one a day: materialize today's"
            " partition in the Dagster UI, or run `edpipeline sync` in the sandbox's environment."
        )
    else:
        terminal.say("While `edpipeline sandbox dev` runs, its sensor takes it within minutes.")


@app.command()
def environment(folder: Folder = HERE) -> None:
    """Print the variables that point commands of a shell at the sandbox, for `eval`."""
    for line in evening.shell_lines(folder):
        typer.echo(line)


def _evenings(sandbox: evening.Running, last: date) -> SyncReport:
    """Both evenings, told as they happen, and the marts of the last; its report."""
    terminal.say("\nFirst evening: the district's first delivery", "bold")
    waiting = _evening(sandbox, last - timedelta(days=1), night=0, broken=0.0, refill=False)
    terminal.say("\nA person looks at it and approves", "bold")
    found = approval.find_waiting(sandbox.pipeline, waiting.drop_id)
    approval.record(sandbox.pipeline, found, by=day.PERSON, note="looks right")
    with terminal.working("loading what was approved") as progress:
        report = day.sync_through_dagster(sandbox, waiting.day, progress, refill=False)
    terminal.show_report(report)
    terminal.say("\nSecond evening: 1 % has changed, and a few rows are broken", "bold")
    return _evening(sandbox, last, night=1, broken=evening.BROKEN, refill=True)


def _evening(
    sandbox: evening.Running, on: date, night: int, broken: float, refill: bool
) -> SyncReport:
    with terminal.working("the district sends its files") as progress:
        arrival = day.arrive(sandbox, on, night, broken)
        report = day.sync_through_dagster(sandbox, on, progress, refill=refill)
    terminal.say(f"{arrival.message}: two looks found them whole and still.")
    terminal.show_report(report)
    return report


def _results(sandbox: evening.Running) -> None:
    """A file of results is handed over, and the vendors are asked, told as it happens."""
    _hand_over(sandbox)
    _sync(sandbox, sources.source(day.UPLOADED), refill=False)
    for source in PULLED:
        terminal.say(f"\nThe day's pull from {source.title}", "bold")
        _sync(sandbox, source, refill=False)


def _survey(sandbox: evening.Running) -> day.Surveyed:
    """The service is asked which score reports each student has; told in a line."""
    (source,) = SURVEYED
    terminal.say(f"\n{source.title}: which there are, asked for each student", "bold")
    with terminal.working(f"syncing {source.name}") as progress:
        today = sandbox.today_of(source.name)
        day.sync_through_dagster(sandbox, today, progress, source.name, refill=False)
    found = day.surveyed(sandbox)
    terminal.say(
        f"{found.students:,} students: {found.with_reports:,} have {found.reports:,} reports;"
        f" {found.refused:,} are another district's or unknown there. No report or link is kept."
    )
    return found


def _score_report(found: day.Surveyed) -> str:
    return f"{terminal.program()} score-report -d {evening.DISTRICT} --student {found.first}"


def _polls(sandbox: evening.Running) -> None:
    """Tests are asked about, students and teachers go on, and they are asked about again."""
    (source,) = POLLED
    terminal.say(f"\nExternal tests at {source.title}, asked about for the first time", "bold")
    _sync(sandbox, source, refill=False)
    finished = day.finish_tests(sandbox)
    terminal.say(f"\n{finished} more tests are answered and graded; asked about again", "bold")
    _sync(sandbox, source, refill=True)


def _hand_over(sandbox: evening.Running) -> None:
    terminal.say("\nA person hands over an export of NWEA MAP Growth", "bold")
    with terminal.working("exporting results"):
        given = day.hand_over(sandbox)
    export = given.export
    terminal.say(f"{export.path.name} of {export.term} is read as {given.edition.name}.")


def _sync(sandbox: evening.Running, source: Source, refill: bool) -> None:
    with terminal.working(f"syncing {source.name}") as progress:
        today = sandbox.today_of(source.name)
        report = day.sync_through_dagster(sandbox, today, progress, source.name, refill)
    terminal.show_report(report)


def _match_schools(sandbox: evening.Running) -> None:
    """Results wait for their schools; a person matches them."""
    terminal.say("\nResults wait until a person has said which school is which", "bold")
    for source in PULLED:
        with terminal.working("matching schools") as progress:
            matched = day.accept_suggested_schools(sandbox, source.name, progress)
        terminal.show_frame(_suggested(matched.sides))
        terminal.say(f"{day.PERSON} takes what is suggested.")
        say_counted(source.name, matched.before, matched.after)


def _suggested(sides: Sides) -> pl.DataFrame:
    """A row a school of the vendor: its results, and which school of the roster it may be."""
    suggested = sides.suggestions()
    rows = []
    for id_, one in sides.vendor.items():
        likely = suggested.get(id_)
        rows.append(
            {
                f"school in {sides.source}": one.name,
                "results": one.result_count,
                "perhaps in the roster": sides.roster[likely.school_id].name if likely else "",
                "why": likely.why if likely else "nothing like it: waits",
            }
        )
    return pl.DataFrame(rows)


def _tell_where(sandbox: evening.Running) -> None:
    settings = sandbox.pipeline.settings
    terminal.say("\nWhere everything is", "bold")
    terminal.say(f"  warehouse   {sandbox.pipeline.warehouse.describe()}")
    terminal.say(f"  for readers {settings.published}/analyst.duckdb (views over Parquet)")
    terminal.say(f"  landing     {settings.landing}")
    questions = (
        ("A first query", day.ROSTER_QUERY),
        ("All results together", day.RESULTS_QUERY),
        ("External tests", day.TESTS_QUERY),
    )
    for title, query in questions:
        terminal.say(f"\n{title}", "bold")
        terminal.say(query, "dim")
        found = day.answer(sandbox, query)
        terminal.show_frame(found.with_columns(cs.float().round().cast(pl.Int64)))


def _what_comes(folder: Path) -> list[str]:
    """What Dagster does by itself now, and what a person may do."""
    program, option = terminal.program(), _option(folder)
    names = " and ".join(f"landing/{source.name}" for source in PULLED)
    return [
        "What lies in the inbox is loaded within a minute; the vendors are asked once a day, at the"
        f" next quarter of an hour, or when somebody materializes today of {names};",
        f"about external tests {POLLED[0].title} is asked every five minutes,"
        " about score reports once a day.",
        f"`{program} sandbox deliver{option}` sends the next delivery of the roster,",
        f'`eval "$({program} sandbox environment{option})"` lets a shell work here, such as:',
        f"  {program} match-schools --district {evening.DISTRICT} --source {PULLED[0].name}",
        "Ctrl-C stops.",
    ]


def _option(folder: Path) -> str:
    return "" if folder == HERE else f" --folder {shlex.quote(str(folder))}"


@contextmanager
def _stoppable() -> Iterator[None]:
    """A request to end, by Ctrl-C or by the system, ends the block in order."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    # Both: Dagster gives SIGTERM the handler of SIGINT, which a shell's background job ignores.
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, stop) for number in numbers]
    try:
        yield
    except KeyboardInterrupt:
        terminal.say("Stopped.")
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
