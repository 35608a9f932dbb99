"""A delivery is opened: zips unpacked, every file looked at, its layout matched.

Nothing is loaded here; what cannot be used as a whole is noted with its reason.
"""

import filecmp
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from edpipeline import sources
from edpipeline.errors import BadDelivery
from edpipeline.landing import archive
from edpipeline.loading.options import LoadOptions
from edpipeline.model import (
    ApiPoll,
    ApiPull,
    Edition,
    Head,
    MatchField,
    Mode,
    Plan,
    PlannedFile,
    Source,
    Table,
)
from edpipeline.reading.dialect import (
    Dialect,
    Header,
    Unreadable,
    read_dialect,
    read_header,
    split_line,
)
from edpipeline.reading.json_lines import as_delimited, is_json_lines
from edpipeline.reading.layout import Layout, by_place, match
from edpipeline.validation.check import Task
from edpipeline.validation.checked import FileFinding
from edpipeline.validation.codes import CODES

MANIFEST = "manifest.csv"
OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}


@dataclass(frozen=True)
class OpenedFile:
    """One file of a delivery, ready to be checked, or with the reason why not."""

    name: str
    table: Table
    mode: Mode
    task: Task | None
    problem: Unreadable | None
    findings: tuple[FileFinding, ...] = ()
    dialect: Dialect | None = None


@dataclass(frozen=True)
class Opened:
    """A delivery, looked at."""

    edition: Edition
    files: tuple[OpenedFile, ...]
    findings: tuple[FileFinding, ...] = ()
    missing: tuple[Table, ...] = ()

    @property
    def refused(self) -> bool:
        """True where the delivery as a whole cannot be used."""
        return any(finding.severity == "error" for finding in self.findings)

    @property
    def mode(self) -> Mode:
        """delta where any file holds changes only; bulk otherwise, snapshots included."""
        return "delta" if any(file.mode == "delta" for file in self.files) else "bulk"


@dataclass
class _Looked:
    """What is known of each CSV before the plan."""

    paths: dict[str, Path] = field(default_factory=dict)
    dialects: dict[str, Dialect] = field(default_factory=dict)
    headers: dict[str, Header] = field(default_factory=dict)
    problems: dict[str, Unreadable] = field(default_factory=dict)


def open_delivery(
    paths: Mapping[str, Path], source: Source, options: LoadOptions, scratch: Path
) -> Opened:
    """Open the files of a delivery (local paths by their names as delivered)."""
    findings: list[FileFinding] = []
    was_pulled = False
    if isinstance(source.arrives, ApiPull | ApiPoll):
        was_pulled = source.arrives.told in paths
        findings += _of_pull(paths.get(source.arrives.told))
        beside = [source.arrives.told]
        beside += [source.arrives.schools] if isinstance(source.arrives, ApiPull) else []
        paths = {name: path for name, path in paths.items() if name not in beside}
    looked = _Looked(paths=_unpacked(paths, scratch, findings))
    for number, (name, path) in enumerate(looked.paths.items()):
        _look(name, path, options, looked, scratch / f"lines-{number}.csv")
    heads = {
        name: Head(header.names, header.text, header.first_row)
        for name, header in looked.headers.items()
    }
    heads |= dict.fromkeys(looked.problems, Head())
    manifest = next((n for n in looked.paths if n.casefold() == MANIFEST), None)
    text = looked.paths[manifest].read_bytes().decode("utf-8-sig", "replace") if manifest else None
    plan = source.plan(heads, text, options.edition)
    # Nobody knows what a refused zip holds, so nothing is said of it beside that.
    unsaid = {"not_oneroster"} if any(f.code == "unsafe_archive" for f in findings) else set()
    findings += [FileFinding(code, text) for code, text in plan.findings if code not in unsaid]
    if source.holds_results:
        findings += _of_unreadable(looked, source, plan)
    if was_pulled:
        findings += _of_unplanned(looked, plan)
    if any(code in ("unknown_layout", "not_oneroster") for code, _ in plan.findings):
        findings += _of_another_source(heads, source)
    name = plan.edition if plan.edition != "auto" else source.editions[0].name
    edition = _matched_as_chosen(source.edition(name), options)
    known = [file for file in plan.files if file.table in edition.rules]
    findings += [
        FileFinding("unknown_file", f"{file.name} is not part of {edition.label} and was left")
        for file in plan.files
        if file not in known
    ]
    return Opened(
        edition=edition,
        files=tuple(_opened(file, source, edition, looked, options) for file in known),
        findings=tuple(findings),
        missing=tuple(source.table(table) for table in plan.missing if table in edition.rules),
    )


def _of_pull(told: Path | None) -> list[FileFinding]:
    """What a pull kept out, because nobody had said that it may land."""
    unknown = json.loads(told.read_text("utf-8"))["unknown"] if told else {}
    return [
        FileFinding("extra_columns", f"{name}: kept out, not known: {_shown(list(fields))}")
        for name, fields in unknown.items()
    ]


def _of_unplanned(looked: _Looked, plan: Plan) -> list[FileFinding]:
    """A pull asks for nothing that it does not want: no file of it lies beside the results."""
    planned = {file.name for file in plan.files} | looked.problems.keys()
    text = "of its fields too few are known: the vendor's API has changed; ask the vendor"
    # Where no file fits, the plan has said so.
    unplanned = [name for name in looked.headers if name not in planned] if plan.files else []
    return [FileFinding("unknown_layout", f"{name}: {text}") for name in unplanned]


def _matched_as_chosen(edition: Edition, options: LoadOptions) -> Edition:
    """The edition, with the column of the vendor's that the district has chosen to match on,
    where the edition has it."""
    has_column = any(edition.rule(table, options.match_column) for table in edition.rules)
    if not options.match_on or not has_column:
        return edition
    return _matching_on(edition, options.match_on, options.match_column)


@lru_cache(maxsize=64)
def _matching_on(edition: Edition, match_on: MatchField, column: str) -> Edition:
    """One and the same edition each time: rules are compiled for each edition that there is."""
    return replace(edition, match_columns={**edition.match_columns, match_on: (column,)})


def _unpacked(
    paths: Mapping[str, Path], scratch: Path, findings: list[FileFinding]
) -> dict[str, Path]:
    """CSV files by name; a zip stands for its members.

    A file that comes loose and in a zip, or in two zips, must be the same in both.
    """
    found: dict[str, Path] = {}
    came_in: dict[str, tuple[str, Path]] = {}
    for package, name, path in _members(paths, scratch, findings):
        where = f"in {package}" if package else "loose"
        before, same_name = came_in.setdefault(name.casefold(), (where, path))
        if same_name is path:
            found[name] = path
        elif before == where:
            found[name] = path  # two names that differ in case: the plan takes the right one
        elif not filecmp.cmp(same_name, path, shallow=False):
            text = f"{name} came twice and differs, {before} and {where}: send it once"
            findings.append(FileFinding("file_twice", text))
    return found


def _members(
    paths: Mapping[str, Path], scratch: Path, findings: list[FileFinding]
) -> Iterator[tuple[str, str, Path]]:
    """Zip (or ""), name and local path of every file."""
    for number, (name, path) in enumerate(paths.items()):
        if not name.casefold().endswith(".zip"):
            yield "", name, path
            continue
        try:
            extracted = archive.extract(path, scratch / f"zip-{number}")
        except BadDelivery as problem:
            findings.append(FileFinding("unsafe_archive", str(problem)))
            continue
        yield from ((name, member, unpacked) for member, unpacked in extracted.files.items())


def _look(name: str, path: Path, options: LoadOptions, looked: _Looked, lines: Path) -> None:
    try:
        if is_json_lines(name):
            as_delimited(path, name, lines)
            looked.paths[name] = path = lines
        dialect = read_dialect(path, name, options.encodings)
        dialect = replace(dialect, is_json_lines=is_json_lines(name))
        looked.dialects[name] = dialect
        looked.headers[name] = read_header(path, name, dialect)
    except Unreadable as problem:
        looked.problems[name] = problem


def _of_unreadable(looked: _Looked, source: Source, plan: Plan) -> list[FileFinding]:
    """What cannot be read refuses an upload, unless it only lies beside the results, as programs
    and instructions do in a vendor's zip."""
    has_results = any(file.table == source.tables[0].name for file in plan.files)
    called = " ".join(table.file.casefold() for table in source.tables)
    return [
        FileFinding("unknown_file", f"{problem} (it was left; the results were found without it)")
        if has_results and name.casefold() not in called
        else FileFinding(problem.code, str(problem))
        for name, problem in looked.problems.items()
    ]


def _of_another_source(heads: Mapping[str, Head], source: Source) -> list[FileFinding]:
    """Where an upload was meant for another source, which one."""
    for other in sources.ALL:
        if other.is_uploaded and other is not source:
            plan = other.plan(heads, None, "auto")
            if plan.files:
                label = other.edition(plan.edition).label
                text = f"this is {label}: upload it with --source {other.name}"
                return [FileFinding("other_source", text)]
    return []


def _opened(
    file: PlannedFile, source: Source, edition: Edition, looked: _Looked, options: LoadOptions
) -> OpenedFile:
    table = source.table(file.table)
    dialect = looked.dialects.get(file.name)
    problem = looked.problems.get(file.name)
    if problem is not None or dialect is None:
        return OpenedFile(file.name, table, file.mode, None, problem, dialect=dialect)
    header = looked.headers[file.name]
    dialect = replace(dialect, separator=file.separator)
    if file.separator:
        names = split_line(header.text, file.separator, dialect.quoted)
        layout = match(names, table, edition, source.ignored_headers, file.by_position)
    else:
        layout = by_place(table, edition)
    problem = _layout_problem(file.name, layout, edition)
    findings = tuple(_notes(file.name, layout, dialect))
    if problem is not None:
        return OpenedFile(file.name, table, file.mode, None, problem, findings, dialect)
    path = looked.paths[file.name]
    chosen = {"edition": edition.name, "match_field": options.match_on} if table.built_keys else {}
    if options.match_column:
        chosen["match_column"] = options.match_column
    given = {**chosen, **file.given}
    task = Task(path, file.name, table, edition, file.mode, dialect, header, layout, given=given)
    if is_json_lines(file.name):
        task = replace(task, first_line=1)
    return OpenedFile(file.name, table, file.mode, task, None, findings, dialect)


def _layout_problem(name: str, layout: Layout, edition: Edition) -> Unreadable | None:
    if not layout.recognised:
        first_line = ",".join(layout.extra)
        for mark, called in OTHER_SEPARATORS.items():
            if first_line.count(mark) > first_line.count(","):
                text = f"{name} is separated by {called}: export it with commas"
                return Unreadable("no_header", text, 1)
        text = f"{name}: the first line names no known column. {CODES['no_header'].remedy}"
        return Unreadable("no_header", text, 1)
    if layout.repeated:
        repeated = _shown(layout.repeated)
        text = f"{name}: two headers name the same column ({repeated}): remove one of them"
        return Unreadable("repeated_columns", text, 1)
    if layout.missing_required:
        missing = ", ".join(layout.missing_required)
        text = f"{name} lacks columns that {edition.label} needs: {missing}. Add them to the export"
        if not _is_header(layout):
            text += (
                f" (of the {len(layout.columns)} values of its first line, {layout.recognised}"
                " are known as columns: is it the header?)"
            )
        return Unreadable("missing_columns", text, 1)
    return None


def _is_header(layout: Layout) -> bool:
    """Whether the first line names columns at all: it may as well be somebody's row."""
    return layout.recognised * 3 >= len(layout.columns)


def _shown(names: Sequence[str], most: int = 40) -> str:
    """Names from a file as they may stand in a message: harmless, short and not too many."""
    plain = ["".join(c if c.isprintable() else "?" for c in name)[:60] for name in names[:most]]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(plain) + more


def _notes(name: str, layout: Layout, dialect: Dialect) -> list[FileFinding]:
    notes = []
    is_header = _is_header(layout) or not layout.missing_required
    if layout.extra and is_header:
        text = f"{name}: kept out, not known: {_shown(layout.extra)}"
        notes.append(FileFinding("extra_columns", text))
    if layout.renamed and is_header:
        text = f"{name}: read under another name: {_shown(layout.renamed)}"
        notes.append(FileFinding("renamed_columns", text))
    if layout.missing_optional and is_header:
        text = f"{name}: not in the file: {', '.join(layout.missing_optional)}"
        notes.append(FileFinding("optional_columns_missing", text))
    if dialect.encoding != "utf-8":
        text = f"{name} is not UTF-8 and was read as {dialect.encoding}, as the district allows"
        notes.append(FileFinding("fallback_encoding", text))
    return notes
