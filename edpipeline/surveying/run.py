"""One run of a district, once it has entered: chunk by chunk asked, landed and loaded."""

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import polars as pl

from edpipeline.errors import EdpipelineError
from edpipeline.loading.load import Progress
from edpipeline.pipeline import Pipeline
from edpipeline.polling.landed import Deliveries
from edpipeline.sources.score_reports.decisions import ANSWERED, new_codes
from edpipeline.surveying import rows, students
from edpipeline.surveying.account import Account, gravest
from edpipeline.surveying.ask import Answer, ask
from edpipeline.surveying.counts import Survey
from edpipeline.surveying.students import Subject
from edpipeline.surveying.vendor import REPORTS, ClientOf
from edpipeline.uses_of_polls import ScoreReportsUse

NO_ROSTER = "the roster has no students yet: sync it first"


@dataclass(frozen=True)
class Heard:
    """One subject, what the service said, and when (UTC, without a zone)."""

    subject: Subject
    answer: Answer
    at: datetime


@dataclass
class Run:
    """One run, after it has entered."""

    pipeline: Pipeline
    use: ScoreReportsUse
    deliveries: Deliveries
    began: datetime
    """When the day began, in UTC, without a zone."""
    accounts: Mapping[str, Account]
    client: ClientOf
    pool: ThreadPoolExecutor
    progress: Progress
    counts: Counter[str] = field(default_factory=Counter)
    codes: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    ended: bool = False
    """True: nothing more is asked, because whoever runs this has gone."""

    @property
    def district_id(self) -> str:
        """The district."""
        return self.deliveries.district_id

    def ask_who_is_due(self) -> None:
        """Tell of students who are not asked about, and ask about those who are due."""
        everyone = every_student(self.pipeline, self.district_id, self.use)
        self._count_roster(everyone)
        self._tell_of(everyone.filter(students.is_to_be_told()))
        again = timedelta(minutes=self.use.again_minutes)
        due = students.subjects(everyone, students.is_due(self.began, self._now(), again))
        self.counts["due"] = int(due["student_ids"].list.len().sum())
        self._sign_in(due["configuration"].unique(maintain_order=True).to_list())
        done = 0
        for part in due.iter_slices(self.use.pace.students_at_once):
            asked = self._chunk(students.as_subjects(part))
            done += part.height
            if asked:
                self.progress(
                    f"asked about {done:,} of {due.height:,} students,"
                    f" {self.counts['listed']:,} reports listed"
                )

    def raise_trouble(self) -> None:
        """Raise why configurations stopped, if any did."""
        troubles = [each.trouble for each in self.accounts.values() if each.trouble is not None]
        if troubles:
            raise gravest(troubles)

    def survey(self) -> Survey:
        """What the run came to."""
        codes = [f"the service lists a {code}, which is new to us" for code in sorted(self.codes)]
        return Survey(
            tuple(self.deliveries.reports),
            **self.counts,
            new_codes=len(self.codes),
            problems=(*self.problems, *codes),
        )

    def _count_roster(self, everyone: pl.DataFrame) -> None:
        self.counts["students"] = everyone.height
        skipped = everyone["skipped"].drop_nulls().value_counts()
        self.counts.update(dict(skipped.iter_rows()))
        if everyone.is_empty():
            self.problems.append(NO_ROSTER)

    def _tell_of(self, skipped: pl.DataFrame) -> None:
        if skipped.height:
            words = f"{skipped.height:,} students, not asked about"
            self.deliveries.take({"requests": rows.skipped_rows(skipped)}, words, {}, "")

    def _sign_in(self, names: Sequence[str]) -> None:
        for name in names:
            account = self.accounts[name]
            self.progress(f"signing in with configuration {name}")
            try:
                self.client(account.of).sign_in()
            except EdpipelineError as error:
                account.stop(error)

    def _chunk(self, subjects: Sequence[Subject]) -> int:
        """Ask about a chunk, land and load what was answered; how many were asked about."""
        asked = [found for found in self.pool.map(self._ask, subjects) if found is not None]
        if asked:
            self._land(asked)
            for account in self.accounts.values():
                account.judge()
        return len(asked)

    def _ask(self, subject: Subject) -> Heard | None:
        """None where the configuration has stopped, or stops now."""
        account = self.accounts[subject.configuration]
        if self.ended or account.trouble is not None:
            return None
        try:
            answer = ask(self.client(account.of), subject.ssid)
        except EdpipelineError as error:
            account.stop(error)
            return None
        account.heard(answer.outcome, answer.http_status)
        return Heard(subject, answer, self._now())

    def _land(self, heard: Sequence[Heard]) -> None:
        listed = [one.subject.ssid for one in heard if one.answer.outcome in ANSWERED]
        with self.pipeline.warehouse.transaction() as session:
            known = rows.known_catalog(
                session, self.district_id, pl.Series(listed, dtype=pl.String)
            )
        requests, catalog = [], []
        for one in heard:
            of_one = known.get(one.subject.ssid, {})
            requests += rows.request_rows(one.subject, one.answer, one.at)
            found = rows.catalog_rows(one.subject, one.answer, of_one, one.at)
            catalog += found
            self._count(one, len(found), sum(r.key in of_one for r in one.answer.reports))
        unknown = {name: kind for one in heard for name, kind in one.answer.unknown.items()}
        self.deliveries.take(
            {"requests": requests, "catalog": catalog},
            f"{len(requests):,} students",
            {REPORTS: unknown} if unknown else {},
            "",
        )

    def _count(self, one: Heard, written: int, known: int) -> None:
        """Count an answer, of which `written` rows are, and `known` reports were listed before."""
        reports, people = len(one.answer.reports), len(one.subject.students)
        self.counts.update({"asked": people, one.answer.outcome: people})
        self.counts.update({"listed": reports, "new": reports - known})
        self.counts.update({"no_longer_listed": max(written - reports, 0)})
        self.codes |= new_codes(one.answer.reports)

    def _now(self) -> datetime:
        return self.deliveries.now().replace(tzinfo=None)


def every_student(pipeline: Pipeline, district_id: str, use: ScoreReportsUse) -> pl.DataFrame:
    """Every current student of the roster as `students.STUDENT`."""
    with pipeline.warehouse.transaction() as session:
        roster = students.in_roster(session, district_id, use.match_on)
        known = students.known_requests(session, district_id)
    return students.laid_over(roster, known, use)
