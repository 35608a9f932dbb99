"""What people see in a terminal: tables, sentences and, while they wait, what is being done.

Answers go to stdout; progress and errors to stderr, so that answers can be piped. Colours and
spinners are for terminals only. Cells are plain text: nothing in a file's name is markup.
"""

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, tzinfo
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from edpipeline import sources
from edpipeline.loading.load import Progress
from edpipeline.loading.report import COUNTED, STATUS_WORDS, FileReport, SyncReport, advice
from edpipeline.pipeline import CheckResult
from edpipeline.preview import Preview
from edpipeline.validation.codes import CODES

WIDE = 150
"""Columns where there is no terminal whose width counts."""
SHOWN_FINDINGS = 10
NOTES = ("edition_told",)
"""Codes of findings that inform and leave nothing to be fixed."""
UPLOADED = frozenset(source.name for source in sources.ALL if source.holds_results)
"""Sources of which every drop of a day counts."""
USUAL_COUNTS = ("read", "accepted", "rejected", "added", "changed", "unchanged")
"""Counts that are shown also when they are all nought."""
STATUS_STYLES: Mapping[str, str] = {
    "loaded": "green",
    "loaded_with_errors": "yellow",
    "removals_held": "yellow",
    "awaiting_approval": "yellow",
    "refused": "red",
    "missed": "red",
    "failed": "red",
    "locked": "red",
}
SHORT_WORDS: Mapping[str, str] = {
    "loaded": "completed",
    "loaded_with_errors": "completed, errors",
    "removals_held": "removals wait",
    "awaiting_approval": "waits for approval",
}
"""Statuses as they fit into a column; the others are words already."""
PREVIEW_WORDS: Mapping[str, str] = {
    "loaded": "Usable",
    "loaded_with_errors": "Usable, with errors",
    "removals_held": "Usable; removals would wait for approval",
    "awaiting_approval": "Usable",
    "refused": "Refused: nothing of it could be loaded",
}


def out() -> Console:
    """The console for answers."""
    return Console(width=None if sys.stdout.isatty() else WIDE, highlight=False)


def err() -> Console:
    """The console for progress and errors."""
    return Console(stderr=True, width=None if sys.stderr.isatty() else WIDE, highlight=False)


def program() -> str:
    """What to type for this program in this shell."""
    if shutil.which("edpipeline"):
        return "edpipeline"
    started = Path(sys.argv[0])
    here = started.absolute().is_relative_to(Path.cwd())
    return str(started.absolute().relative_to(Path.cwd()) if here else started)


def say(text: str, style: str = "") -> None:
    """A sentence on stdout."""
    out().print(Text(text, style), soft_wrap=not sys.stdout.isatty())


def aside(text: str, style: str = "") -> None:
    """A sentence on stderr about an answer that is piped without it."""
    err().print(Text(text, style), soft_wrap=not sys.stderr.isatty())


def say_text(text: Text, indent: int = 0) -> None:
    """Styled text on stdout, its lines indented."""
    console = out()
    if sys.stdout.isatty():
        console.print(Padding(text, (0, 0, 0, indent)))
    else:
        console.print(Text(" " * indent) + text, soft_wrap=True)


def complain(text: str) -> None:
    """A sentence on stderr about what went wrong."""
    err().print(Text("edpipeline: ", "bold red") + Text(text), soft_wrap=not sys.stderr.isatty())


@contextmanager
def working(first: str) -> Iterator[Progress]:
    """Show what is being done, and for how long, until the block ends; silent without a terminal.

    Give each step's name to what it yields.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.progress import Progress as Bar
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Bar(*columns, console=err(), transient=True) as bar:
        task = bar.add_task(first, total=None)
        yield lambda step: bar.update(task, description=step)


def show_report(report: SyncReport) -> None:
    """What a sync did: counts per file, codes, and the message."""
    words = STATUS_WORDS.get(report.status, report.status)
    head = Text(words, f"bold {_style(report.status)}")
    drop = f", drop {report.drop_id}" if report.drop_id else ""
    out().print(head + Text(f"  {report.district_id}, {report.day}{drop}", "not bold default"))
    _show_files(report.files)
    _show_match_rates(report)
    if report.message:
        say(f"\n{report.message}", _style(report.status))


def show_preview(preview: Preview) -> None:
    """What a load would do: the edition, counts per file, codes, the first problems."""
    report = preview.report
    words = PREVIEW_WORDS.get(report.status, report.status)
    if report.status == "awaiting_approval" and any(f.rejected for f in report.files):
        words = PREVIEW_WORDS["loaded_with_errors"]
    head = Text(words, f"bold {STATUS_STYLES[report.status if preview.usable else 'refused']}")
    read_as = f"read as {preview.edition_title}; " if report.files else ""
    out().print(head + Text(f"  {read_as}nothing was written", "default"))
    _show_files(report.files)
    _show_match_rates(report)
    if preview.hold_reason:
        say(f"Removals would wait: {preview.hold_reason}.", "yellow")
    show_findings(preview.findings)


def show_findings(findings: pl.DataFrame, count: int | None = None) -> None:
    """The first findings: file, line, column, code and message; errors first, and of those the
    ones about whole files. What only informs comes before.

    `findings` has at least these columns and severity; of `count` findings, where it has fewer.
    """
    is_note = pl.col("code").is_in(NOTES)
    notes, everything = findings.filter(is_note), findings.height
    findings = findings.filter(~is_note)
    for note in notes["message"]:
        say(note, "dim")
    if not findings.height:
        return
    shown = (
        findings.with_columns(
            is_warning=pl.col("severity") != "error", is_row=pl.col("line").is_not_null()
        )
        .sort("is_warning", "is_row", "file", "line", "code", maintain_order=True)
        .head(SHOWN_FINDINGS)
    )
    say("\nWhat to fix", "bold")
    for file, line, column, severity, code, message in shown.select(
        "file", "line", "column", "severity", "code", "message"
    ).iter_rows():
        place = ", ".join(filter(None, (file, f"line {line:,}" if line else "", column)))
        style = "red" if severity == "error" else "yellow"
        say_text(Text("  ") + Text(code, style) + Text(f"  {place}", "bold"))
        say_text(Text(message or ""), indent=6)
    rest = (count or everything) - notes.height - shown.height
    if rest:
        say(f"  ... and {rest:,} more; --csv FILE writes them all, for a spreadsheet.", "dim")


def show_history(reports: Sequence[SyncReport], zone_of: Callable[[str], tzinfo]) -> None:
    """Syncs, newest first, times on the clock of each one's district; then what is to be done."""
    several = len({report.district_id for report in reports}) > 1
    sources_differ = len({report.source for report in reports}) > 1
    any_uploaded = any(report.source in UPLOADED for report in reports)
    table = _table("day", "status", "started", "took", "read", "rejected", "drop")
    for number in (3, 4, 5):
        table.columns[number].justify = "right"
    if several:
        table.add_column("district")
    if sources_differ:
        table.add_column("source")
    if any_uploaded:
        table.add_column("file")
    last: dict[tuple[str, str, date, str], SyncReport] = {}
    for report in reports:
        drop = report.drop_id if report.source in UPLOADED else ""
        last.setdefault((report.district_id, report.source, report.day, drop), report)
        started = report.started_at.replace(tzinfo=UTC).astimezone(zone_of(report.district_id))
        table.add_row(
            str(report.day),
            Text(SHORT_WORDS.get(report.status, report.status), _style(report.status)),
            f"{started:%m-%d %H:%M}",
            _duration(report.started_at, report.completed_at),
            f"{sum(file.read for file in report.files):,}",
            f"{sum(file.rejected for file in report.files):,}",
            report.drop_id,
            *([Text(report.district_id)] if several else []),
            *([report.source] if sources_differ else []),
            *([Text(_uploaded_file(report))] if any_uploaded else []),
        )
    out().print(table)
    for report in last.values():
        if report.message:
            is_upload = report.source in UPLOADED
            of_drop = f", {report.source}, drop {report.drop_id}" if is_upload else ""
            say(f"{report.district_id}, {report.day}{of_drop}", "bold")
            say_text(Text(report.message), indent=2)


def _uploaded_file(report: SyncReport) -> str:
    """The name by which a person knows an upload; "" of a roster, which has the same every day."""
    names = [file.file_name for file in report.files if report.source in UPLOADED]
    return f"{names[0]} and {len(names) - 1} more" if len(names) > 1 else "".join(names)


def show_checks(district_id: str, results: Sequence[CheckResult]) -> None:
    """What was checked, each with a mark, and what to do about what is wrong."""
    say(district_id, "bold")
    for result in results:
        mark = Text("ok     ", "green") if result.ok else Text("WRONG  ", "bold red")
        say_text(mark + Text(f"{result.name}: {result.message}"), indent=2)


def show_frame(frame: pl.DataFrame) -> None:
    """A small result of a query."""
    table = _table(*frame.columns)
    for name, kind in frame.schema.items():
        if kind.is_numeric():
            table.columns[frame.columns.index(name)].justify = "right"
    for row in frame.iter_rows():
        table.add_row(*(f"{cell:,}" if isinstance(cell, int) else str(cell or "") for cell in row))
    out().print(table)


def write_findings(path: Path, text: str) -> None:
    """Findings as CSV for a spreadsheet; `-` writes to stdout."""
    if str(path) == "-":
        sys.stdout.write(text)
        return
    # The mark at the start is what makes Excel read UTF-8 as UTF-8.
    path.write_text(text, "utf-8-sig", newline="")
    say(f"Findings are in {path}.")


def _show_files(files: Sequence[FileReport]) -> None:
    if not files:
        return
    counts = [
        name
        for name in COUNTED
        if name in USUAL_COUNTS or any(getattr(file, name) for file in files)
    ]
    table = _table("file", *counts)
    for column in table.columns[1:]:
        column.justify = "right"
    for file in files:
        style = "" if file.status != "kept" else "red"
        numbers = [_number(name, getattr(file, name)) for name in counts]
        table.add_row(Text(file.file_name, style), *numbers)
    out().print(table)
    notes: dict[str, list[str]] = {}
    for file in files:
        notes.setdefault(_note(file), []).append(file.file_name)
    for note, names in notes.items():
        if note:
            which = "all" if len(names) == len(files) > 1 else ", ".join(names)
            say(f"{which}: {note}", "dim")
    _show_codes(files)


def _show_match_rates(report: SyncReport) -> None:
    """How many ids of results a student has, by every field of the roster; nothing where all rows
    were known before."""
    if not any(rate.values for rate in report.match_rates):
        return
    table = _table("match on", "ids", "matched", "share")
    for rate in report.match_rates:
        name = Text(rate.field, "bold" if rate.is_chosen else "")
        chosen = Text(" (chosen)", "dim") if rate.is_chosen else Text("")
        table.add_row(name + chosen, f"{rate.values:,}", f"{rate.matched:,}", f"{rate.share:.0%}")
    out().print(table)
    advised = advice(report.match_rates)
    if advised and advised not in report.message:
        say(advised, "yellow")


def _show_codes(files: Sequence[FileReport]) -> None:
    table = _table("file", "code", "rows", "what it means")
    table.columns[2].justify = "right"
    table.columns[3].no_wrap = False
    for file in files:
        found = [(file.rejected_by_code, "red"), (file.warnings_by_code, "yellow")]
        for by_code, style in found:
            for code, count in sorted(by_code.items(), key=lambda pair: (-pair[1], pair[0])):
                meaning = CODES[code].meaning if code in CODES else ""
                rows = f"{count:,}" if code in CODES and CODES[code].level == "row" else ""
                table.add_row(Text(file.file_name), Text(code, style), rows, meaning)
    if table.row_count:
        out().print()
        out().print(table)


def _note(file: FileReport) -> str:
    said = {"kept": "not used; the table stays as it is", "same_bytes": "same bytes as before"}
    return ", ".join(filter(None, (file.dialect, said.get(file.status, ""))))


def _number(name: str, count: int) -> Text:
    style = {"rejected": "red", "held": "yellow"}.get(name, "") if count else "dim"
    return Text(f"{count:,}", style)


def _style(status: str) -> str:
    return STATUS_STYLES.get(status, "")


def _duration(started: datetime, completed: datetime) -> str:
    seconds = (completed - started).total_seconds()
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _table(*headers: str) -> Table:
    """A table without lines, which fits into 80 columns sooner than one with."""
    gap = 2 if out().width >= 100 else 1
    table = Table(box=None, padding=(0, gap, 0, 0), header_style="dim")
    for header in headers:
        table.add_column(header, no_wrap=True)
    return table
