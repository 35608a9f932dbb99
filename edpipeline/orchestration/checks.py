"""What must be true of a delivery and of each of its files, as Dagster shows it.

Blocking checks fail the run: a file could not be used, or numbers do not add up. The others warn:
the tables hold what could be used, and a person should look.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import dagster as dg

from edpipeline.landing.drop import Delivery
from edpipeline.loading.report import FileReport, SyncReport, advice
from edpipeline.model import Source, Table
from edpipeline.orchestration.standing import PollDay

LAYOUT = "layout"
ROWS_RECONCILE = "rows_reconcile"
REFERENCES = "references"
REMOVALS_WITHIN_LIMIT = "removals_within_limit"
ON_TIME = "delivery_on_time"
APPROVED = "first_sync_approved"
MATCHED = "students_matched"
USABLE = "uploads_usable"
SCHOOLS_MATCHED = "schools_matched"
POLLS_USABLE = "polls_usable"
NO_FAILED_ENROLLMENTS = "no_failed_enrollments"
NOTHING_STALE = "nothing_stale"
UNDERSTOOD = "answers_understood"
CREDENTIALS = "credentials_valid"
HAVE_SSID = "students_have_ssid"
ALLOWED = "access_allowed"

REFERENCE_CODES = "reference_"
"""How the codes of references that do not resolve begin."""

OF_TABLES: Mapping[str, tuple[str, bool]] = {
    LAYOUT: ("The file came, could be read and has the columns that its layout needs.", True),
    ROWS_RECONCILE: (
        "Every row is accounted for: read = accepted + rejected, and accepted = added + changed"
        " + unchanged + duplicate.",
        True,
    ),
    REFERENCES: ("No row was rejected for naming a record that is not there.", False),
    REMOVALS_WITHIN_LIMIT: ("No removals wait for a person's approval.", False),
}
"""Description by check, and whether it blocks."""

OF_LANDING: Mapping[str, tuple[str, bool]] = {
    ON_TIME: ("A delivery came before the daily window closed.", False),
    APPROVED: ("The first sync of a district waits until a person approves it.", False),
}

OF_UPLOADS: Mapping[str, tuple[str, bool]] = {
    USABLE: ("Every upload of the day could be used; one that is refused changes nothing.", True),
    MATCHED: ("At least half of the ids in the file are those of students.", False),
}
"""What is checked of uploads instead."""
OF_PULLS: Mapping[str, tuple[str, bool]] = {
    ON_TIME: ("What is new was pulled before the daily window closed.", False),
    SCHOOLS_MATCHED: ("Every school of the vendor is matched with one of the roster.", False),
}
"""What is checked of pulled sources beside what is of uploads."""
OF_POLLS: Mapping[str, tuple[str, bool]] = {
    POLLS_USABLE: ("Everything that the polls of the day wrote down could be loaded.", True),
    MATCHED: ("At least half of the students asked about are in the roster.", False),
    NO_FAILED_ENROLLMENTS: (
        "The vendor told of no course enrollment that failed when a test became final.",
        False,
    ),
    NOTHING_STALE: ("No test was given up on this day, because it never became final.", False),
    UNDERSTOOD: ("Every answer was understood; what is not understood is quarantined.", False),
}
"""What is checked of polled sources."""
OF_SURVEYS: Mapping[str, tuple[str, bool]] = {
    POLLS_USABLE: OF_POLLS[POLLS_USABLE],
    MATCHED: OF_POLLS[MATCHED],
    CREDENTIALS: (
        "No credentials end within two weeks; within a day, or once they have, it is an error.",
        False,
    ),
    HAVE_SSID: (
        "Every student has an SSID of 10 digits, and a configuration, and can be asked about.",
        False,
    ),
    ALLOWED: (
        "The service knows the students as the district's, but for so few as `refusal_limit` says.",
        False,
    ),
    UNDERSTOOD: ("Every answer was a list of reports, and no question was refused.", False),
}
"""What is checked of sources of which everybody is asked about."""
NOT_OF_UPLOADS = (REFERENCES,)
"""Results name students, who are found when the marts are filled."""

Told = Mapping[str, dg.MetadataValue[Any]]


@dataclass(frozen=True)
class Outcome:
    """What a check of one file came to."""

    passed: bool
    description: str
    metadata: Told = field(default_factory=dict)


def landing_key(source: Source) -> dg.AssetKey:
    """The asset of what arrives."""
    return dg.AssetKey(["landing", source.name])


def table_key(table: Table) -> dg.AssetKey:
    """The asset of a table."""
    return dg.AssetKey([table.schema, table.name])


def specs(source: Source, partitions: dg.PartitionsDefinition[str]) -> list[dg.AssetCheckSpec]:
    """Every check of a source."""
    places = [(landing_key(source), _of_landing(source))]
    places += [(table_key(table), of_tables(source)) for table in source.tables]
    return [
        dg.AssetCheckSpec(
            name,
            asset=key,
            description=description,
            blocking=blocking,
            partitions_def=partitions,
        )
        for key, checks in places
        for name, (description, blocking) in checks.items()
    ]


def _of_landing(source: Source) -> Mapping[str, tuple[str, bool]]:
    if source.is_polled:
        return OF_SURVEYS if source.is_surveyed else OF_POLLS
    if source.is_pulled:
        return {**OF_UPLOADS, **OF_PULLS}
    return OF_UPLOADS if source.holds_results else OF_LANDING


def of_tables(source: Source) -> Mapping[str, tuple[str, bool]]:
    """The checks of each table of a source."""
    left_out = NOT_OF_UPLOADS if source.holds_results else ()
    return {name: told for name, told in OF_TABLES.items() if name not in left_out}


def matched(source: Source, key: str, report: SyncReport) -> dg.AssetCheckEvaluation:
    """Whether the chosen field of the roster fits the ids of an upload."""
    chosen = next((rate for rate in report.match_rates if rate.is_chosen), None)
    if chosen is None or not chosen.values:
        return landing_check(source, key, MATCHED, True, "no new ids, or no roster yet")
    words = f"{chosen.matched:,} of {chosen.values:,} ids match by {chosen.field}"
    rates = {f"by {rate.field}": dg.MetadataValue.float(rate.share) for rate in report.match_rates}
    poor = advice(report.match_rates)
    return landing_check(source, key, MATCHED, not poor, poor or words, metadata=rates)


def usable(
    source: Source, key: str, uploads: int, refused: Sequence[str]
) -> dg.AssetCheckEvaluation:
    """Whether all deliveries that were loaded now could be used; `refused` says of each why not."""
    words = "\n".join(refused) or f"{uploads:,} could be used"
    return landing_check(
        source,
        key,
        POLLS_USABLE if source.is_polled else USABLE,
        not refused,
        words,
        dg.AssetCheckSeverity.ERROR,
        numbers({"polls" if source.is_polled else "uploads": uploads, "refused": len(refused)}),
    )


def on_time(
    source: Source, key: str, delivery: Delivery, closes: datetime
) -> dg.AssetCheckEvaluation:
    """Whether a delivery came before its window closed; a late one is a warning."""
    late = delivery.received_at >= closes
    words = f"received {delivery.received_at:%Y-%m-%d %H:%M} UTC, the window"
    words += f" {'had closed' if late else 'closes'} {closes:%Y-%m-%d %H:%M} UTC"
    hours = (closes - delivery.received_at).total_seconds() / 3600
    told = {"hours before it closes": dg.MetadataValue.float(round(hours, 2))}
    return landing_check(source, key, ON_TIME, not late, words, metadata=told)


def missed(source: Source, key: str, message: str) -> dg.AssetCheckEvaluation:
    """That no delivery came in the window: an error."""
    return landing_check(source, key, ON_TIME, False, message, dg.AssetCheckSeverity.ERROR)


def schools_matched(
    source: Source, key: str, district_id: str, waiting: int
) -> dg.AssetCheckEvaluation:
    """Whether a person has matched every school of the vendor; results of the others wait."""
    words = "every school is matched"
    if waiting:
        words = f"{waiting} schools are not matched, and their results wait: run"
        words += f" `edpipeline match-schools --district {district_id} --source {source.name}`"
    return landing_check(
        source, key, SCHOOLS_MATCHED, not waiting, words, metadata=numbers({"waiting": waiting})
    )


def of_polls(source: Source, key: str, told: PollDay) -> Iterator[dg.AssetCheckEvaluation]:
    """What a person should look at of the day's polls; counts alone, who it is stands in the
    tables."""
    table = f"`{source.schema}.current_assignments`"
    enrollments = {"failed": told.enrollments_failed, "possible": told.enrollments_possible}
    words = f"{told.enrollments_possible:,} possible, {told.enrollments_failed:,} failed"
    yield landing_check(
        source,
        key,
        NO_FAILED_ENROLLMENTS,
        not told.enrollments_failed,
        f"course enrollments: {words}"
        + ("; the course has to be arranged by hand" if told.enrollments_failed else ""),
        metadata=numbers(enrollments),
    )
    yield landing_check(
        source,
        key,
        NOTHING_STALE,
        not told.stale,
        f"{told.stale:,} were given up; {table} has them as stale"
        if told.stale
        else "none was given up",
        metadata=numbers({"stale": told.stale}),
    )
    yield landing_check(
        source,
        key,
        UNDERSTOOD,
        not told.quarantined,
        f"{told.quarantined:,} are quarantined; {table} says why"
        if told.quarantined
        else "all were understood",
        metadata=numbers({"quarantined": told.quarantined, "refused": told.refused}),
    )


def approved(source: Source, key: str, report: SyncReport) -> dg.AssetCheckEvaluation:
    """Whether the first sync of a district waits for a person, with the report to judge by."""
    if report.status != "awaiting_approval":
        return landing_check(source, key, APPROVED, True, "nothing waits")
    told = {"report": dg.MetadataValue.md(report.markdown())}
    return landing_check(source, key, APPROVED, False, report.message, metadata=told)


def landing_check(
    source: Source,
    key: str,
    name: str,
    passed: bool,
    description: str,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.WARN,
    metadata: Told | None = None,
) -> dg.AssetCheckEvaluation:
    """What a check of what arrived came to."""
    return dg.AssetCheckEvaluation(
        asset_key=landing_key(source),
        check_name=name,
        passed=passed,
        severity=severity,
        description=description,
        metadata=metadata or {},
        blocking={**OF_LANDING, **OF_UPLOADS, **OF_PULLS, **OF_POLLS, **OF_SURVEYS}[name][1],
        partition=key,
    )


def of_file(
    source: Source,
    table: Table,
    key: str,
    report: SyncReport,
    file: FileReport,
    problems: Sequence[str],
) -> Iterator[dg.AssetCheckEvaluation]:
    """The checks of one file; `problems` say why it was refused, where it was."""
    outcomes = {
        LAYOUT: _layout(source, report, file, problems),
        ROWS_RECONCILE: _reconciled(file),
        REFERENCES: _references(file),
        REMOVALS_WITHIN_LIMIT: Outcome(
            not file.held,
            report.message if file.held else f"{file.removed:,} removed",
            {"held": dg.MetadataValue.int(file.held)},
        ),
    }
    for name, (_, blocking) in of_tables(source).items():
        outcome = outcomes[name]
        yield dg.AssetCheckEvaluation(
            asset_key=table_key(table),
            check_name=name,
            passed=outcome.passed,
            severity=dg.AssetCheckSeverity.ERROR if blocking else dg.AssetCheckSeverity.WARN,
            description=outcome.description,
            metadata=outcome.metadata,
            blocking=blocking,
            partition=key,
        )


def _layout(
    source: Source, report: SyncReport, file: FileReport, problems: Sequence[str]
) -> Outcome:
    if file.status != "kept":
        read_as = f"{report.edition}: " if source.holds_results else ""
        return Outcome(True, read_as + file.dialect)
    if report.status == "refused" and not problems:
        return Outcome(True, f"{file.dialect}; refused together with the delivery")
    return Outcome(False, " ".join(problems) or "it could not be used; the table is as it was")


def _reconciled(file: FileReport) -> Outcome:
    used = {
        "added": file.added,
        "changed": file.changed,
        "unchanged": file.unchanged,
        "duplicate": file.duplicate,
    }
    adds_up = file.read == file.accepted + file.rejected
    if file.status != "kept":
        adds_up = adds_up and file.accepted == sum(used.values())
    words = f"{file.read:,} read = {file.accepted:,} accepted + {file.rejected:,} rejected"
    if not adds_up:
        words += "; the numbers do not add up: this is a fault of the program, please report it"
    counts = {"read": file.read, "accepted": file.accepted, "rejected": file.rejected} | used
    return Outcome(adds_up, words, numbers(counts))


def _references(file: FileReport) -> Outcome:
    rejected = {
        code: count
        for code, count in file.rejected_by_code.items()
        if code.startswith(REFERENCE_CODES)
    }
    words = ", ".join(f"{code} {count:,}" for code, count in rejected.items())
    described = f"rejected: {words}" if rejected else "all resolve"
    return Outcome(not rejected, described, numbers(rejected))


def numbers(counts: Mapping[str, int]) -> Told:
    """Counts as metadata that is drawn over time."""
    return {name: dg.MetadataValue.int(count) for name, count in counts.items()}
