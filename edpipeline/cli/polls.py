"""What the commands do with tests that are polled at a vendor's API."""

from datetime import UTC, date, datetime

from edpipeline import polling
from edpipeline.cli import terminal
from edpipeline.cli.application import ACT, user_name
from edpipeline.cli.pulls import loaded_again
from edpipeline.districts import District, poll_use
from edpipeline.errors import EdpipelineError
from edpipeline.landing.drop import Delivery
from edpipeline.loading.load import Progress
from edpipeline.loading.report import SyncReport, summed
from edpipeline.model import Source
from edpipeline.pipeline import Pipeline
from edpipeline.polling import Poll
from edpipeline.uses import PowerPathUse


def poll_one(pipeline: Pipeline, district: District, source: Source, day: date | None) -> int:
    """One district's poll, or what has landed of a day loaded again; the exit code."""
    use = poll_use(district, source.name)
    lines: list[str] = []
    problems: tuple[str, ...] = ()
    with terminal.working(f"polling {source.name} of {district.id}") as progress:
        if day is None:
            poll = _poll(pipeline, district.id, source, progress)
            reports, lines, problems = list(poll.reports), told(poll, source, use), poll.problems
        else:
            reports = loaded_again(pipeline, district, source, day, progress)
            if any(report.applied for report in reports):
                pipeline.refill(district.id, progress)
    if (report := summed(reports)) is not None:
        terminal.show_report(report)
    for line in lines:
        terminal.say(line)
    for problem in problems:
        terminal.say(problem, "yellow")
    return 0 if all(report.is_usable for report in reports) else ACT


def _poll(pipeline: Pipeline, district_id: str, source: Source, progress: Progress) -> Poll:
    """Poll now. What was loaded before a failure reaches the tables for analysts as well."""
    applied: list[str] = []

    def loaded(report: SyncReport, _: Delivery) -> None:
        applied.extend([report.drop_id] if report.applied else [])

    now, by = datetime.now(UTC), user_name()
    try:
        return polling.poll_and_load(pipeline, district_id, source, now, by, progress, loaded)
    except EdpipelineError as error:
        if applied:
            terminal.say(f"{district_id}: {len(applied)} parts were loaded before it failed.")
        raise error
    finally:
        if applied:
            pipeline.refill(district_id, progress)


def told(poll: Poll, source: Source, use: PowerPathUse) -> list[str]:
    """What a poll came to, in sentences."""
    lines = [
        f"{_tests(poll.pairs)} open, {poll.due:,} of them were due; asked about {poll.polled:,},"
        f" of which {poll.became_final:,} became final."
    ]
    if poll.imports:
        lines.append(
            f"{source.title} was asked {poll.imports:,} times to store results:"
            f" {poll.enrollments_possible:,} of them may have enrolled a student in a course,"
            f" and {poll.enrollments_failed:,} enrollments failed."
        )
    elif poll.enrollments_failed:
        lines.append(f"{poll.enrollments_failed:,} enrollments in a course failed.")
    others = {
        "given up as stale": poll.stale,
        "refused, because they are not external tests": poll.refused,
        "quarantined, because the answer is not understood": poll.quarantined,
        "without a usable answer, to be asked again": poll.failed,
        "of students who are not in the roster, not asked about": poll.not_in_roster,
    }
    lines += [f"{count:,} {what}." for what, count in others.items() if count]
    if not use.allow_side_effects:
        lines.append(
            f"`allow_side_effects` is off: {source.title} is only read. Tests whose results nobody"
            " else has it store stay open; docs/powerpath.md says what switching it on does."
        )
    return lines


def _tests(count: int) -> str:
    return "1 test is" if count == 1 else f"{count:,} tests are"
