"""What a run came to, in numbers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from edpipeline.loading.report import SyncReport
from edpipeline.polling.one import Polled


@dataclass(frozen=True)
class Poll:
    """What a run came to. Counts are of the run, but for `pairs`."""

    reports: tuple[SyncReport, ...] = ()
    """One for each delivery that was loaded; none where nothing was due and nothing new listed."""
    pairs: int = 0
    """Open pairs, in all."""
    due: int = 0
    polled: int = 0
    became_final: int = 0
    imports: int = 0
    """Calls that had results stored, or may have; those of a run that was killed among them."""
    enrollments_possible: int = 0
    enrollments_failed: int = 0
    stale: int = 0
    refused: int = 0
    quarantined: int = 0
    not_in_roster: int = 0
    """Pairs that are listed, and left alone because the roster lacks the student."""
    failed: int = 0
    """Polled pairs that gave no answer that counts."""
    problems: tuple[str, ...] = ()
    """What is wrong with what was listed, in words."""


def counted(polled: Sequence[Polled]) -> dict[str, int]:
    """What a chunk came to."""

    def count(holds: Callable[[Polled], Any]) -> int:
        return sum(1 for each in polled if holds(each))

    unusable = ("not_assigned", "not_found", "vendor_error")
    return {
        "polled": len(polled),
        "became_final": count(lambda p: p.standing.outcome == "finalized_new"),
        "imports": sum(len(each.calls) for each in polled),
        "enrollments_possible": count(lambda p: p.calls and p.row["enrollment"] == "possible"),
        "enrollments_failed": count(
            lambda p: p.standing.changed and p.row["enrollment"] == "failed"
        ),
        "stale": count(lambda p: p.standing.state == "stale"),
        "refused": count(lambda p: p.standing.state == "refused"),
        "quarantined": count(lambda p: p.standing.state == "quarantined"),
        "failed": count(lambda p: p.standing.outcome in unusable),
    }
