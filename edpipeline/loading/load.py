"""One delivery into its tables, inside an open transaction.

Nothing is committed here: the caller owns the transaction and decides whether it stays.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

from edpipeline.loading.compare import Counts, TableLoad
from edpipeline.loading.delivery import Opened, OpenedFile, open_delivery
from edpipeline.loading.guard import Breach, breaches, ids_look_replaced
from edpipeline.loading.matching import match_rates
from edpipeline.loading.options import LoadOptions
from edpipeline.loading.references import References, stage_schools
from edpipeline.loading.report import MatchRate
from edpipeline.model import Source, Table
from edpipeline.reading.dialect import Unreadable
from edpipeline.validation import check as checking
from edpipeline.validation.checked import CheckedFile, FileFinding
from edpipeline.validation.codes import CODES
from edpipeline.warehouse.engine import Session

FIRST_SYNC = "first_sync"
REMOVALS = "removals"

Progress = Callable[[str], None]


@dataclass
class FileOutcome:
    """What became of one file."""

    name: str
    table: Table
    counts: Counts
    checked: CheckedFile
    opened: OpenedFile | None = None

    @property
    def refused(self) -> bool:
        """True where the table stays as it was."""
        return self.checked.refused


@dataclass
class Outcome:
    """What became of one delivery."""

    status: str
    """`loaded`, `loaded_with_errors`, `removals_held`, `awaiting_approval` or `refused`."""
    opened: Opened
    files: list[FileOutcome] = field(default_factory=list)
    findings: list[FileFinding] = field(default_factory=list)
    breaches: list[Breach] = field(default_factory=list)
    hold_reason: str = ""
    match_rates: list[MatchRate] = field(default_factory=list)
    """Of results: how many ids the roster knows."""

    @property
    def refused(self) -> bool:
        """True where nothing of the delivery was used."""
        return self.status == "refused"

    @property
    def is_whole(self) -> bool:
        """True where the delivery filled all its tables by itself."""
        refused = self.refused or any(file.refused for file in self.files)
        return self.opened.mode == "bulk" and not refused


@dataclass(frozen=True)
class Request:
    """Which delivery is loaded, for whom, and what people have decided about it."""

    source: Source
    options: LoadOptions
    district_id: str
    day: date
    drop_id: str
    approvals: Collection[str] = ()
    sha256: Mapping[str, str] = field(default_factory=dict)
    """Hash of each delivered file by its name."""


def load(
    session: Session,
    request: Request,
    paths: Mapping[str, Path],
    scratch: Path,
    progress: Progress = lambda _: None,
) -> Outcome:
    """Open, check, compare, guard and apply one delivery."""
    opened = open_delivery(paths, request.source, request.options, scratch)
    outcome = Outcome("refused", opened, findings=list(opened.findings))
    if opened.refused:
        return outcome
    if (request.source.is_pulled or request.source.is_polled) and not opened.files:
        outcome.status = "loaded"  # the vendor had nothing new
        return outcome
    is_first = not _has_history(session, request, opened.files)
    for number, of_round in enumerate(_rounds(opened.files) or [[]]):
        spools = scratch / f"round-{number}"
        files = [_checked(session, request, file, spools, progress) for file in of_round]
        if number == 0:
            files += [_missing(table, spools) for table in opened.missing]
        outcome.files += files
        if number == 0 and is_first and _lacks_core(outcome):
            _leave_unused(files)
            return outcome
        if not all(file.refused for file in files):
            _apply(session, request, outcome, files, progress)
    if all(file.refused for file in outcome.files):
        return outcome
    outcome.status = _status(request, outcome, is_first)
    if outcome.status == "awaiting_approval":
        # First deliveries find the district's tables empty, so this undoes all of it.
        for table in request.source.tables:
            session.run(
                f"delete from {table.full_name} where district_id = $district",
                district=request.district_id,
            )
    return outcome


def _rounds(files: Sequence[OpenedFile]) -> list[list[OpenedFile]]:
    """Files in rounds, each with one file of a table at most: what a table's second file has is
    compared with the rows that its first one brought."""
    rounds: list[list[OpenedFile]] = []
    seen: Counter[str] = Counter()
    for file in files:
        at = seen[file.table.name]
        seen[file.table.name] += 1
        if at == len(rounds):
            rounds.append([])
        rounds[at].append(file)
    return rounds


def _status(request: Request, outcome: Outcome, is_first: bool) -> str:
    needs_approval = request.options.first_sync_needs_approval
    if is_first and needs_approval and FIRST_SYNC not in request.approvals:
        return "awaiting_approval"
    if outcome.hold_reason:
        return "removals_held"
    troubled = any(file.refused or file.counts.rejected for file in outcome.files)
    return "loaded_with_errors" if troubled else "loaded"


def _has_history(session: Session, request: Request, files: Sequence[OpenedFile]) -> bool:
    # The tables of this delivery first: where there is history, they mostly have some.
    delivered = {file.table.full_name for file in files}
    others = {table.full_name for table in request.source.tables} - delivered
    return any(
        session.rows(
            " union all ".join(
                f"(select 1 from {name} where district_id = $district limit 1)"
                for name in sorted(names)
            ),
            district=request.district_id,
        )
        for names in (delivered, others)
        if names
    )


def _checked(
    session: Session, request: Request, file: OpenedFile, scratch: Path, progress: Progress
) -> FileOutcome:
    spool = scratch / f"spool-{file.table.name}"
    if file.task is not None and _lost_its_key(session, request, file.task):
        header = file.table.column(file.table.key).header
        text = f"{file.name} lacks {header}, which it had before. Add it to the export"
        file = replace(file, task=None, problem=Unreadable("missing_columns", text, 1))
    if file.task is None:
        spool.mkdir(parents=True, exist_ok=True)
        problem = file.problem
        checked = CheckedFile(file.table, file.name, spool)
        if problem is not None:
            checked = checking.refused(file.table, file.name, spool, problem)
    else:
        progress(f"reading {file.name}")
        known = session.numbers(
            f"select row_hash from {file.table.full_name}"
            " where district_id = $district and valid_to is null and not warned",
            district=request.district_id,
        )
        expects = (
            not request.source.holds_results
            and not file.task.dialect.ends_with_line_end
            and _ended_before(session, request, file)
        )
        task = replace(file.task, expects_line_end=expects)
        file = replace(file, task=task)
        checked = checking.check(task, known, spool)
    checked.findings = [*file.findings, *checked.findings]
    counts = _counts_of_refused(file, checked) if checked.refused else Counts()
    return FileOutcome(file.name, file.table, counts, checked, file)


def _lost_its_key(session: Session, request: Request, task: checking.Task) -> bool:
    """Whether a file lacks the key column by which its table's rows are known.

    Keys that are made of other columns hold a `:`, which stands in no id.
    """
    table = task.table
    if table.key in task.present or table.built_keys:
        return False
    return bool(
        session.rows(
            f"select 1 from {table.full_name} where district_id = $district and valid_to is null"
            f" and {table.key} not like '%:%' limit 1",
            district=request.district_id,
        )
    )


def _counts_of_refused(file: OpenedFile, checked: CheckedFile) -> Counts:
    """Rows of a refused file, also of one that was only looked at."""
    code = next(f.code for f in checked.findings if f.severity == "error")
    if file.task is None and file.dialect is not None:
        checked.read = file.dialect.rows
    return _counts_of_unused(checked, code)


def _counts_of_unused(checked: CheckedFile, code: str) -> Counts:
    """Every row of a file that is not used is rejected: by its own code, or by the given one."""
    rejected = Counter(checked.rejected)
    rest = checked.read - rejected.total()
    if rest:
        rejected[code] += rest
    return Counts(read=checked.read, rejected=rejected, warnings=Counter(checked.warnings))


def about_file(code: str, name: str) -> FileFinding:
    """A finding about a file, in the words of its code."""
    known = CODES[code]
    return FileFinding(code, f"{name}: {known.meaning} {known.remedy}")


def _missing(table: Table, scratch: Path) -> FileOutcome:
    checked = CheckedFile(table, table.file, scratch / f"spool-{table.name}")
    checked.spool.mkdir(parents=True, exist_ok=True)
    checked.findings.append(about_file("missing_file", table.file))
    return FileOutcome(table.file, table, Counts(), checked)


def _leave_unused(files: Sequence[FileOutcome]) -> None:
    for file in files:
        if not file.refused:
            file.counts = _counts_of_unused(file.checked, "first_delivery_unusable")


def _lacks_core(outcome: Outcome) -> bool:
    """A first delivery has no yesterday to stand in for a file that cannot be used."""
    usable = {file.table.name for file in outcome.files if not file.refused}
    lacking = [name for name in outcome.opened.edition.needed if name not in usable]
    if lacking:
        known = CODES["first_delivery_unusable"]
        text = f"{known.meaning} Missing or refused: {', '.join(lacking)}. {known.remedy}"
        outcome.findings.append(FileFinding("first_delivery_unusable", text))
    return bool(lacking)


def _apply(
    session: Session,
    request: Request,
    outcome: Outcome,
    files: Sequence[FileOutcome],
    progress: Progress,
) -> None:
    stage_schools(session, request.options.schools)
    references = References(
        session, request.source, request.district_id, outcome.opened.edition.without
    )
    loads = [(file, _compared(session, request, file)) for file in _in_order(request, files)]
    references.find_left_behind([table_load for _, table_load in loads])
    for file, table_load in loads:
        outcome.breaches += breaches(table_load, request.options)
        if ids_look_replaced(table_load):
            file.checked.findings.append(about_file("ids_replaced", file.name))
    outcome.hold_reason = _hold_reason(session, request, outcome, loads)
    hold = bool(outcome.hold_reason)
    if len(files) == len(outcome.files):
        session.run(
            "delete from ops.held_changes where district_id = $district and source = $source",
            district=request.district_id,
            source=request.source.name,
        )
    for file, table_load in loads:
        if not file.refused:
            progress(f"loading {file.table.full_name}")
            references.take_out(table_load)
            table_load.apply(hold)
            session.analyze(file.table.full_name)
            references.warn(table_load)
        if not hold:
            references.close_left_behind(table_load)
        table_load.mark_doubtful()
        if file.table.built_keys and not file.refused:
            _add_match_rates(request, outcome, table_load)
        if hold:
            table_load.record_held(request.source.name, outcome.hold_reason)


def _add_match_rates(request: Request, outcome: Outcome, table_load: TableLoad) -> None:
    """Rates of the first table that was loaded, over all its files."""
    loaded = _in_order(request, [file for file in outcome.files if not file.refused])
    if table_load.table is not loaded[0].table:
        return
    found = match_rates(table_load, outcome.opened.edition, request.options.match_on)
    before = {rate.field: rate for rate in outcome.match_rates}
    outcome.match_rates = [rate.plus(before.get(rate.field)) for rate in found]


def _in_order(request: Request, files: Sequence[FileOutcome]) -> list[FileOutcome]:
    """Files in the order in which their tables load; a table follows those it refers to."""
    order = [table.name for table in request.source.tables]
    return sorted(files, key=lambda file: order.index(file.table.name))


def _compared(session: Session, request: Request, file: FileOutcome) -> TableLoad:
    """A refused file compares as a delivery of nothing: its table keeps its rows, but those that
    name a record which leaves today leave with it."""
    if file.refused or file.opened is None:
        nothing = CheckedFile(file.table, file.name, file.checked.spool / "nothing")
        nothing.spool.mkdir(parents=True, exist_ok=True)
        kept = TableLoad(
            session, nothing, "delta", request.district_id, request.day, request.drop_id
        )
        kept.compare()
        kept.counts = file.counts
        return kept
    table_load = TableLoad(
        session,
        file.checked,
        file.opened.mode,
        request.district_id,
        request.day,
        request.drop_id,
    )
    table_load.compare()
    file.counts = table_load.counts
    return table_load


def _hold_reason(
    session: Session,
    request: Request,
    outcome: Outcome,
    loads: list[tuple[FileOutcome, TableLoad]],
) -> str:
    """Why the removals of this delivery wait, or ""."""
    if REMOVALS in request.approvals:
        return ""
    if not outcome.breaches and not any(load.removals for _, load in loads):
        return ""
    if request.options.removals_paused:
        return "removals are paused for this district"
    if outcome.breaches:
        shown = "; ".join(breach.describe() for breach in outcome.breaches[:3])
        more = len(outcome.breaches) - 3
        return shown + (f"; and {more} more groups" if more > 0 else "")
    for file, table_load in loads:
        task = file.opened.task if file.opened else None
        if table_load.removals and task is not None and task.last_line_is_suspect:
            return f"{file.name} lacks its usual final line end: it may have been cut off"
    return ""


def _ended_before(session: Session, request: Request, file: OpenedFile) -> bool:
    """Whether the file that was used before this one ended with a line end. The same bytes are the
    same file: of their last row nothing else may be thought a night later."""
    return bool(
        session.value(
            "select ends_with_line_end from ops.sync_files where district_id = $district"
            " and source = $source and table_name = $table and rows_accepted > 0"
            " and delivery_day < $day and drop_id <> $drop_id"
            " and ($sha256 = '' or coalesce(sha256, '') <> $sha256)"
            " order by delivery_day desc, sync_id desc limit 1",
            district=request.district_id,
            source=request.source.name,
            table=file.table.full_name,
            day=request.day,
            drop_id=request.drop_id,
            sha256=request.sha256.get(file.name, ""),
        )
    )
