"""What the commands do with what is polled at an API: external tests, and score reports."""

from datetime import UTC, date, datetime

from edpipeline.cli import terminal
from edpipeline.cli.application import ACT, user_name
from edpipeline.cli.pulls import loaded_again
from edpipeline.districts import District, poll_use, score_reports_use
from edpipeline.errors import EdpipelineError
from edpipeline.landing.drop import Delivery
from edpipeline.loading.load import Progress
from edpipeline.loading.report import SyncReport, summed
from edpipeline.model import Source
from edpipeline.pipeline import Pipeline
from edpipeline.pollers import Polled, poller
from edpipeline.polling import Poll
from edpipeline.surveying import Survey
from edpipeline.uses import DailyUse
from edpipeline.uses_of_polls import PowerPathUse, ScoreReportsUse


def poll_one(pipeline: Pipeline, district: District, source: Source, day: date | None) -> int:
    """One district's poll, or what has landed of a day loaded again; the exit code."""
    use = _use(district, source)
    if isinstance(use, DailyUse):
        target = day or pipeline.delivery_day(district.id, datetime.now(UTC), source.name)
        if use.is_paused(target, "sync"):
            terminal.say(f"{district.id}: the districts file pauses {target}; nothing was done.")
            return 0
    lines: list[str] = []
    problems: tuple[str, ...] = ()
    with terminal.working(f"polling {source.name} of {district.id}") as progress:
        if day is None:
            poll = _poll(pipeline, district.id, source, progress)
            reports, problems = list(poll.reports), poll.problems
            lines = told(poll, source, use)
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


def _use(district: District, source: Source) -> PowerPathUse | ScoreReportsUse:
    """How the district polls the source; raises BadConfiguration where it does not."""
    return score_reports_use(district) if source.is_surveyed else poll_use(district, source.name)


def _poll(pipeline: Pipeline, district_id: str, source: Source, progress: Progress) -> Polled:
    """Poll now. What was loaded before a failure reaches the tables for analysts as well."""
    applied: list[str] = []

    def loaded(report: SyncReport, _: Delivery) -> None:
        applied.extend([report.drop_id] if report.applied else [])

    now, by = datetime.now(UTC), user_name()
    try:
        ask = poller(source).poll_and_load
        return ask(pipeline, district_id, source, now, by, progress, loaded)
    except EdpipelineError as error:
        if applied:
            terminal.say(f"{district_id}: {len(applied)} parts were loaded before it failed.")
        raise error
    finally:
        if applied:
            pipeline.refill(district_id, progress)


def told(poll: Polled, source: Source, use: PowerPathUse | ScoreReportsUse) -> list[str]:
    """What a poll came to, in sentences."""
    if isinstance(poll, Survey):
        return _of_survey(poll)
    if isinstance(poll, Poll) and isinstance(use, PowerPathUse):
        return _of_tests(poll, source, use)
    return []


def _of_survey(survey: Survey) -> list[str]:
    lines = [
        f"{_count(survey.students, 'student')} in the roster, {survey.due:,} due; asked about"
        f" {survey.asked:,}, who have {_count(survey.listed, 'report')}: {survey.new:,} new,"
        f" {survey.no_longer_listed:,} no longer listed."
    ]
    unanswered = survey.server_error + survey.rate_limited
    others = {
        "have no report": survey.empty,
        "are not this district's for the service (403), and are asked about again every day": (
            survey.forbidden
        ),
        "are unknown to the service (404): see their SSID in the roster": survey.not_found,
        "were refused as a wrong question (400): see the endpoints": survey.bad_request,
        "had no answer, and are asked about again in the window": unanswered,
        "had an answer that is not understood": survey.schema_drift,
        "have no SSID in the roster, and are not asked about": survey.skipped_no_ssid,
        "have an SSID that is not of 10 digits, and are not asked about": survey.skipped_bad_ssid,
        "are of a school without a configuration, and are not asked about": (
            survey.skipped_no_configuration
        ),
    }
    lines += [f"{_count(count, 'student')}: {what}." for what, count in others.items() if count]
    if survey.new_codes:
        lines.append(f"{_count(survey.new_codes, 'code')} of types or languages that are new here.")
    return lines


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _of_tests(poll: Poll, source: Source, use: PowerPathUse) -> list[str]:
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
