"""What a person is told when something went wrong: district, day, what happened, what to do.

Counts, codes and names of files and columns only. The text is what a failed run says; whoever
sends it further (e-mail, chat) need not look for personal data in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from edpipeline.loading.report import STATUS_WORDS, SyncReport


@dataclass(frozen=True)
class Trouble:
    """Why one partition did not succeed."""

    partition: str
    message: str
    may_pass: bool = False
    """True where trying again later may help."""

    def __str__(self) -> str:
        return f"{self.partition}: {self.message}"


def alert(report: SyncReport) -> str:
    """A report as an alert: `Refused: nothing was changed. users.csv ...`."""
    words = STATUS_WORDS.get(report.status, report.status)
    return f"{words}. {report.message}".strip()


def summary(troubles: Sequence[Trouble], tried: int) -> str:
    """What a run says at its end, every trouble named."""
    told = "\n".join(str(trouble) for trouble in troubles)
    return told if tried == 1 else f"{len(troubles)} of {tried} did not succeed:\n{told}"
