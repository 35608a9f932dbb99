"""The `edpipeline` command: what a person types, and what a person reads.

Belongs here: arguments, help, exit codes, tables and sentences. Each command asks the pipeline
and shows the answer.

Does not belong here: anything another program could want to do. That is in `pipeline`, `preview`
and `approval`, which know no terminal.

    application.py  the command itself: errors become a sentence and an exit code
    terminal.py     tables, sentences, progress
    roster.py       check, preview, sync, approve, rebuild
    pulls.py        what check and sync do with vendors' APIs
    polls.py        what sync does with tests and score reports that are polled
    score_reports.py  score-report
    uploads.py      upload, editions
    schools.py      match-schools
    access.py       grant, revoke
    erase.py        erase
    reports.py      history, report, dictionary
    alerts.py       alerts
    sandbox.py      sandbox demo, dev, up, deliver, environment
"""

from importlib.util import find_spec

from edpipeline.cli import (
    access,
    alerts,
    erase,
    reports,
    roster,
    schools,
    score_reports,
    uploads,
)
from edpipeline.cli.application import app

roster.add_to(app)
uploads.add_to(app)
schools.add_to(app)
access.add_to(app)
score_reports.add_to(app)
erase.add_to(app)
reports.add_to(app)
alerts.add_to(app)
# Its servers are an extra, which a machine in production does not have.
if all(map(find_spec, ("asyncssh", "flask", "moto"))):
    from edpipeline.cli import sandbox

    app.add_typer(sandbox.app, name="sandbox")

__all__ = ["app"]
