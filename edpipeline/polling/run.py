"""One run of polls of a district, once it has entered: chunk by chunk asked, landed and loaded."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import uuid4

import polars as pl

from edpipeline.errors import EdpipelineError, Transient
from edpipeline.landing.http import Client
from edpipeline.loading.load import Progress
from edpipeline.model import Source
from edpipeline.pipeline import Pipeline
from edpipeline.polling import listed_at, one, pairs
from edpipeline.polling.counts import Poll, counted
from edpipeline.polling.intents import Intent, Meant, open_intents, run_name, write_intent
from edpipeline.polling.landed import Deliveries
from edpipeline.polling.listings import PAIR, list_pairs
from edpipeline.polling.look import Seen, look
from edpipeline.polling.one import Polled, Task
from edpipeline.polling.pairs import Pair
from edpipeline.polling.rows import Row, call_of, pair_row
from edpipeline.scratch import scratch_folder
from edpipeline.sources.powerpath.decisions import NotUnderstood, Rules, Waits
from edpipeline.uses_of_polls import PowerPathUse

T = TypeVar("T")
R = TypeVar("R")


class _InARow:
    """Counts failures in a row, over all threads."""

    def __init__(self) -> None:
        self.count, self._lock = 0, threading.Lock()

    def tell(self, failed: bool) -> int:
        """How many there are now."""
        with self._lock:
            self.count = self.count + 1 if failed else 0
            return self.count


class Run:
    """One run, after it has entered."""

    most_failures = 10

    def __init__(
        self,
        pipeline: Pipeline,
        source: Source,
        use: PowerPathUse,
        deliveries: Deliveries,
        by: str,
        progress: Progress,
        client: Callable[[], Client],
        pool: ThreadPoolExecutor,
    ) -> None:
        self.pipeline, self.source, self.use = pipeline, source, use
        self.district_id, self.deliveries = deliveries.district_id, deliveries
        self.by, self.progress, self.client, self.pool = by, progress, client, pool
        self.name = run_name(deliveries.now(), uuid4().hex[:6])
        self.stopped = threading.Event()
        self.trouble: EdpipelineError | None = None
        self.looks, self.imports = _InARow(), _InARow()
        self.counts: dict[str, int] = {}
        self.problems: tuple[str, ...] = ()
        rules = Rules(use.allow_side_effects, use.require_skip_enrollment)
        self.task = Task(rules, _waits(use), self._now, by, self.stopped.is_set)

    def settle_what_was_meant(self) -> None:
        """Ask about imports of runs that ended before they wrote down what became of them."""
        store, first = self.pipeline.store, self.deliveries.first
        for intent in open_intents(store, self.district_id, self.source.name, first):
            self.progress(f"asking about {len(intent.pairs):,} imports of a run that ended early")
            known, results = self._known()
            meant = {(each.student_id, each.lesson_id): each for each in intent.pairs}
            keys = pl.DataFrame(list(meant), schema=list(PAIR), orient="row")
            held = known.join(keys, on=PAIR, how="semi").with_columns(
                is_touched=pl.lit(False), is_reopened=pl.lit(False)
            )
            missing = keys.join(held, on=PAIR, how="anti").rows()
            frame = pl.concat([held, pairs.unlisted(missing, self._now())])
            polled = self._settled(pairs.as_pairs(frame, results), intent, meant)
            if len(polled) == frame.height:  # else it stays open, for the next run
                self._land(polled, intent.name, len(polled))
            self._raise_trouble()

    def poll_what_is_due(self) -> None:
        """List the pairs, and ask about those that are due."""
        frame, results = self._listed()
        is_due = pairs.is_due(self._now())
        self._land_listed(frame.filter(pl.col("is_touched") & ~is_due))
        due = frame.filter(is_due).sort("next_poll_at", "student_id", "lesson_id")
        self._count(due=due.height)
        size = self.use.pace.pairs_at_once
        for number, part in enumerate(due.iter_slices(size), 1):
            self._chunk(pairs.as_pairs(part, results), f"{self.name}-{number}")
            done, final = self.counts["polled"], self.counts.get("became_final", 0)
            self.progress(f"polled {done:,} of {due.height:,} pairs, {final:,} became final")
            self._raise_trouble()

    def poll(self) -> Poll:
        """What the run came to."""
        with self.pipeline.warehouse.transaction() as session:
            still = session.value(
                "select count(*) from external_tests.current_assignments"
                " where district_id = $district and state = 'open'",
                district=self.district_id,
            )
        reports = tuple(self.deliveries.reports)
        return Poll(reports, pairs=int(still), problems=self.problems, **self.counts)

    def _listed(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Every pair as it stands now, and the results there are."""
        with scratch_folder(self.pipeline.settings.scratch) as folder:
            listed = list_pairs(self.client(), self.use, folder, self.progress)
        is_polled = self._is_polled()
        found = listed.pairs.filter(is_polled)
        self.problems += listed.problems
        self._count(not_in_roster=listed.pairs.height - found.height)
        told = {
            "by": self.by,
            "pairs": listed.pairs.height,
            "not_in_roster": listed.pairs.height - found.height,
            "unknown": listed.unknown,
            "problems": list(self.problems),
        }
        now = self.deliveries.now()
        listed_at.write(self.pipeline.store, self.district_id, self.source.name, now, told)
        known, results = self._known()
        return pairs.laid_over(found, known, self._now()).filter(is_polled), results

    def _is_polled(self) -> pl.Expr:
        """Whether a pair's student is one of those that are polled."""
        if self.use.students == "all":
            return pl.lit(True)
        with self.pipeline.warehouse.transaction() as session:
            known = pairs.in_roster(session, self.district_id, self.use.match_on)
        if known.is_empty():
            self.problems += (
                "the roster has no students yet: sync it first, or set `students: all`",
            )
        return pairs.is_one_of(known, self.use.match_on)

    def _known(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        with self.pipeline.warehouse.transaction() as session:
            return (
                pairs.known_pairs(session, self.district_id),
                pairs.known_results(session, self.district_id),
            )

    def _chunk(self, due: Sequence[Pair], intent: str) -> None:
        seen = [found for found in self._each(self._look, due) if found]
        to_import = (
            []
            if self.stopped.is_set()
            else [found for found in seen if one.may_import(found, self.task.rules)]
        )
        calls = {id(found): f"{intent}-{number}" for number, found in enumerate(to_import)}
        if to_import:
            meant = tuple(_meant(found) for found in to_import)
            about = Intent(intent, self.by, self.deliveries.now(), meant)
            write_intent(self.pipeline.store, self.district_id, self.source.name, about)

        def finish(found: Seen) -> Polled:
            call_id = "" if self.stopped.is_set() else calls.get(id(found), "")
            return self._heard(one.finish(self.client(), found, self.task, call_id))

        polled = [done for done in self._each(finish, seen, even_stopped=True) if done]
        self._land(polled, intent if to_import else "", len(due))

    def _settled(
        self, found: Sequence[Pair], intent: Intent, meant: Mapping[tuple[str, str], Meant]
    ) -> list[Polled]:
        numbers = {pair: number for number, pair in enumerate(meant)}

        def settle(pair: Pair) -> Polled | None:
            seen, key = self._look(pair), (pair.student_id, pair.lesson_id)
            call = call_of(meant[key], numbers[key], intent.name, intent.at, intent.by)
            return one.settle(self.client(), seen, self.task, call)

        return [done for done in self._each(settle, found) if done]

    def _each(
        self, ask: Callable[[T], R], items: Sequence[T], even_stopped: bool = False
    ) -> list[R | None]:
        """What each of them came to, asked side by side; None for those that were not asked."""

        def guarded(item: T) -> R | None:
            if self.stopped.is_set() and not even_stopped:
                return None
            try:
                return ask(item)
            except EdpipelineError as error:
                self._stop(error)
                return None

        return list(self.pool.map(guarded, items))

    def _look(self, pair: Pair) -> Seen:
        seen = look(self.client(), pair)
        is_garbled = isinstance(seen.told, NotUnderstood) and seen.looked is None
        failed = is_garbled or getattr(seen.told, "outcome", "") == "vendor_error"
        self._break_after(self.looks.tell(failed))
        return seen

    def _heard(self, polled: Polled) -> Polled:
        if polled.trouble:
            self._stop(polled.trouble)
        elif polled.calls:
            self._break_after(self.imports.tell(polled.calls[-1].outcome == "failed"))
        return polled

    def _break_after(self, failures: int) -> None:
        if failures >= self.most_failures:
            self._stop(
                Transient(
                    f"{self.source.title}: {failures} failures in a row; the rest is not asked"
                    " now. What was answered is loaded, and the next poll goes on there"
                )
            )

    def _stop(self, error: EdpipelineError) -> None:
        self.trouble = self.trouble or error
        self.stopped.set()

    def _raise_trouble(self) -> None:
        if self.trouble:
            raise self.trouble

    def _land(self, polled: Sequence[Polled], intent: str, asked: int) -> None:
        """Land and load a chunk; where nothing of it was asked, there is nothing to tell."""
        rows: dict[str, list[Row]] = {"assignments": [pair_row(each.row) for each in polled]}
        for table, of in ((table, of) for each in polled for table, of in each.rows.items()):
            rows.setdefault(table, []).extend(of)
        unknown = {name: kind for each in polled for name, kind in each.unknown.items()}
        if polled or intent:
            words = f"{len(polled):,} of {asked:,} pairs"
            self.deliveries.take(rows, words, {"progress": unknown} if unknown else {}, intent)
        self._count(**counted(polled))

    def _land_listed(self, frame: pl.DataFrame) -> None:
        """Land pairs of which the list says something new, and which are not to be asked about."""
        if frame.is_empty():
            return
        rows = [pair_row(row) for row in frame.select(list(pairs.ROW)).iter_rows(named=True)]
        self.deliveries.take({"assignments": rows}, f"{len(rows):,} pairs, only listed", {}, "")
        self._count(refused=frame.filter(pl.col("state") == "refused").height)

    def _count(self, **more: int) -> None:
        for name, count in more.items():
            self.counts[name] = self.counts.get(name, 0) + count

    def _now(self) -> datetime:
        return self.deliveries.now().replace(tzinfo=None)


def _meant(seen: Seen) -> Meant:
    return Meant(seen.pair.student_id, seen.pair.lesson_id, getattr(seen.told, "attempt", 0))


def _waits(use: PowerPathUse) -> Waits:
    return Waits(
        first=timedelta(minutes=use.waits.first_minutes),
        most=timedelta(minutes=use.waits.most_minutes),
        stale_after=timedelta(days=use.waits.stale_after_days),
        refused=timedelta(hours=use.waits.refused_hours),
    )
