"""How one configuration fares in a run, and when it stops. Shared between threads."""

import threading
from collections import Counter

from edpipeline.errors import EdpipelineError, Permanent, Transient
from edpipeline.sources.score_reports import decisions
from edpipeline.sources.score_reports.decisions import AGAIN, DRIFTS, REFUSALS, Outcome
from edpipeline.uses_of_polls import RefusalLimit, ReportConfiguration


class Account:
    """One configuration in a run. Once it has trouble, nothing more is asked with it."""

    def __init__(self, of: ReportConfiguration, limit: RefusalLimit, most_failures: int) -> None:
        self.of = of
        self.trouble: EdpipelineError | None = None
        self._limit, self._most_failures = limit, most_failures
        self._outcomes: Counter[Outcome] = Counter()
        self._failures = 0
        self._lock = threading.Lock()

    def heard(self, outcome: Outcome, status: int | None) -> None:
        """Count what a request came to, by its outcome and the status of its answer, and stop where
        going on is no use."""
        with self._lock:
            self._outcomes[outcome] += 1
            self._failures = self._failures + 1 if outcome in AGAIN else 0
            if self._failures >= self._most_failures:
                self._stop(
                    Transient(
                        f"{self._failures} failures in a row, at last"
                        f" {f'an answer {status}' if status else 'without any answer'}; the rest is"
                        " not asked now. What was answered is loaded, and the next run goes on"
                        " there"
                    )
                )
            answers = self._outcomes.total() - sum(self._outcomes[each] for each in AGAIN)
            if answers == self._outcomes["schema_drift"] == DRIFTS:
                self._stop(
                    Permanent(
                        f"the first {DRIFTS} answers are no lists of reports; correct the base URL"
                        " and the endpoints, or have the service's API looked at, which may have"
                        " changed"
                    )
                )

    def judge(self) -> None:
        """Stop where more are refused than can be the students' own doing."""
        with self._lock:
            asked = self._outcomes.total()
            for outcome, meaning in REFUSALS.items():
                refused = self._outcomes[outcome]
                if not are_usual(refused, asked, self._limit):
                    self._stop(Permanent(f"of {asked:,} students, for {refused:,} {meaning}"))

    def stop(self, error: EdpipelineError) -> None:
        """Ask nothing more; the first reason counts."""
        with self._lock:
            self._stop(error)

    def _stop(self, error: EdpipelineError) -> None:
        if self.trouble is None:
            told = type(error)(f"configuration {self.of.name}: {error}")
            told.status, told.request_id = error.status, error.request_id
            self.trouble = told


def are_usual(refused: int, asked: int, limit: RefusalLimit) -> bool:
    """Whether so many refusals, of all that were asked about, are the students' own."""
    return decisions.may_go_on(refused, asked, limit.percent, limit.floor)


def gravest(troubles: list[EdpipelineError]) -> EdpipelineError:
    """One error that tells of all: the first that a person must act on, if there is one."""
    first = next((each for each in troubles if isinstance(each, Permanent)), troubles[0])
    if len(troubles) == 1:
        return first
    told = type(first)("; ".join(str(each) for each in troubles))
    told.status, told.request_id = first.status, first.request_id
    return told
