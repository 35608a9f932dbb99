"""What the commands do with results that are pulled from vendors' APIs."""

from datetime import UTC, date, datetime

from edpipeline import pulling, uploading
from edpipeline.cli import terminal
from edpipeline.cli.application import ACT
from edpipeline.districts import District, pull_use
from edpipeline.landing import drop as landing
from edpipeline.loading.load import Progress
from edpipeline.loading.report import SyncReport
from edpipeline.model import Source
from edpipeline.pipeline import Pipeline


def pull_one(pipeline: Pipeline, district: District, source: Source, day: date | None) -> int:
    """One district's pull, or what has landed of a day loaded again; the exit code."""
    now = datetime.now(UTC)
    use = pull_use(district, source.name)
    target = day or pipeline.delivery_day(district.id, now, source.name)
    if use.is_paused(target, "sync"):
        terminal.say(f"{district.id}: the districts file pauses {target}; nothing was done.")
        return 0
    with terminal.working(f"pulling {source.name} of {district.id}") as progress:
        if day is None:
            reports = pulling.pull_and_load(pipeline, district.id, source, now, progress)
        else:
            reports = loaded_again(pipeline, district, source, day, progress)
        if any(report.applied for report in reports):
            pipeline.refill(district.id, progress)
        waiting = pulling.schools_that_wait(pipeline, district.id, source)
    for report in reports:
        terminal.show_report(report)
    if waiting:
        command = f"edpipeline match-schools --district {district.id} --source {source.name}"
        terminal.say(f"{waiting} of the vendor's schools are not matched: {command}", "yellow")
    return 0 if all(report.applied for report in reports) else ACT


def loaded_again(
    pipeline: Pipeline, district: District, source: Source, day: date, progress: Progress
) -> list[SyncReport]:
    """What has landed of a day loaded again: the reports; raises NotFound where nothing has."""
    landed = landing.deliveries(pipeline.store, district.id, source.name, day, day)
    sync = pipeline.sync(district.id, day, progress, source.name)
    return uploading.load(pipeline, landed[-1]) if landed else [sync.load_day(day)]
