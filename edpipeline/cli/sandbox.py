"""Commands that start a district and its SFTP server on this machine."""

import shlex
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from edpipeline import approval
from edpipeline.cli import terminal
from edpipeline.errors import Permanent
from edpipeline.loading.report import SyncReport
from edpipeline.sandbox import dagster_dev, evening

app = typer.Typer(
    no_args_is_help=True,
    help="A district with 2,000 students on this machine: nothing real, nothing leaves it.",
)

Folder = Annotated[
    Path, typer.Option("--folder", metavar="FOLDER", help="Where the sandbox keeps everything.")
]
HERE = Path(".edpipeline/sandbox")


@app.command()
def demo(folder: Folder = HERE) -> None:
    """Live through two evenings: a first delivery and its approval, then a usual one.

    Starts anew each time: what an earlier demo left in the sandbox's folder is removed.
    """
    began = time.monotonic()
    with evening.running(folder, clean=True) as sandbox:
        account = f"{evening.DISTRICT}@{sandbox.server.host}:{sandbox.server.port}"
        terminal.say(f"An SFTP server with a pinned host key runs for {account}.")
        last = _evenings(sandbox, sandbox.today)
        _tell_where(sandbox)
    program = terminal.program()
    option = "" if folder == HERE else f" --folder {shlex.quote(str(folder))}"
    terminal.say(f"\nThat took {time.monotonic() - began:.0f} s. To go on:", "bold")
    for command, what in (
        (f"{program} sandbox dev{option}", "the same in the Dagster UI"),
        (f'eval "$({program} sandbox environment{option})"', "point this shell at the sandbox"),
        (f"{program} history", "then: the evenings"),
        (f"{program} report {last.drop_id[:6]}", "what the district should fix"),
        (f"{program} preview {sandbox.world.account_folder}", "what a delivery would come to"),
    ):
        terminal.say(f"  {command}")
        terminal.say(f"      {what}", "dim")


@app.command()
def dev(
    folder: Folder = HERE,
    clean: Annotated[bool, typer.Option("--clean", help="Start with two new evenings.")] = False,
) -> None:
    """Keep the sandbox running behind the Dagster UI, until Ctrl-C.

    `edpipeline sandbox deliver`, in another terminal, sends the district's next delivery.
    """
    with _stoppable():
        fresh = clean or not (folder / "warehouse.duckdb").exists()
        with evening.running(folder, clean=fresh, all_day=True) as sandbox:
            if fresh:
                # Today's delivery is left for the sensor to find.
                _evenings(sandbox, sandbox.today - timedelta(days=1))
            with terminal.working("starting Dagster"):
                dagster = dagster_dev.start(sandbox.world.dagster_home, sandbox.environment)
            try:
                terminal.say(
                    f"Dagster UI: http://127.0.0.1:{dagster.port}  (its log: {dagster.log})", "bold"
                )
                terminal.say(
                    f"`{terminal.program()} sandbox deliver` sends the next delivery; Ctrl-C stops."
                )
                if dagster.process.wait():
                    raise Permanent(f"Dagster ended by itself; {dagster.log} says why")
            finally:
                with terminal.working("stopping Dagster"):
                    dagster_dev.stop(dagster.process)


@app.command()
def up(folder: Folder = HERE) -> None:
    """Run only the SFTP server, until Ctrl-C, and keep what is in the sandbox."""
    with _stoppable(), evening.running(folder, clean=False, all_day=True) as sandbox:
        host, port = sandbox.server.host, sandbox.server.port
        terminal.say(f"sftp -P {port} {evening.DISTRICT}@{host}", "bold")
        terminal.say(f"Its password is in {sandbox.world.password_file}; Ctrl-C stops.")
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
    """Both evenings, told as they happen; the report of the last."""
    terminal.say("\nFirst evening: the district's first delivery", "bold")
    waiting = _evening(sandbox, last - timedelta(days=1), night=0, broken=0.0)
    terminal.say("\nA person looks at it and approves", "bold")
    found = approval.find_waiting(sandbox.pipeline, waiting.drop_id)
    approval.record(sandbox.pipeline, found, by="demo", note="looks right")
    with terminal.working("loading what was approved") as progress:
        report = evening.sync_through_dagster(sandbox, waiting.day, progress)
    terminal.show_report(report)
    terminal.say("\nSecond evening: 1 % has changed, and a few rows are broken", "bold")
    return _evening(sandbox, last, night=1, broken=evening.BROKEN)


def _evening(sandbox: evening.Running, day: date, night: int, broken: float) -> SyncReport:
    with terminal.working("the district sends its files") as progress:
        arrival = evening.arrive(sandbox, day, night, broken)
        report = evening.sync_through_dagster(sandbox, day, progress)
    terminal.say(f"{arrival.message}: two looks found them whole and still.")
    terminal.show_report(report)
    return report


def _tell_where(sandbox: evening.Running) -> None:
    settings = sandbox.pipeline.settings
    terminal.say("\nWhere everything is", "bold")
    terminal.say(f"  warehouse   {sandbox.pipeline.warehouse.describe()}")
    terminal.say(f"  for readers {settings.published}/analyst.duckdb (views over Parquet)")
    terminal.say(f"  landing     {settings.landing}")
    terminal.say("\nA first query", "bold")
    terminal.say(evening.FIRST_QUERY, "dim")
    terminal.show_frame(evening.answer(sandbox))


@contextmanager
def _stoppable() -> Iterator[None]:
    """A request to end, by Ctrl-C or by the system, ends the block in order."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt:
        terminal.say("Stopped.")
    finally:
        signal.signal(signal.SIGTERM, before)
