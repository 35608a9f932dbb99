"""What a person is told when something went wrong: district, day, what happened, what to do.

Counts, codes and names of files and columns only. The text is what a failed run says; whoever
sends it further (e-mail, chat) need not look for personal data in it.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from edpipeline.alerting import Message
from edpipeline.loading.report import STATUS_WORDS, SyncReport
from edpipeline.sources import ALL

FILE_REFUSED = "file_refused"
POORLY_MATCHED = "poorly_matched"
LATE = "late"
URGENT = ("locked", "failed", "refused", FILE_REFUSED, "missed")
"""Kinds of incidents after which tables lack what should be in them, the gravest first."""
QUIET = ("awaiting_approval", "removals_held", POORLY_MATCHED, LATE)
WORDS = {
    **STATUS_WORDS,
    "missed": "Missed: nothing came in time",
    FILE_REFUSED: "A file was refused: its table is as it was",
    POORLY_MATCHED: "Few students matched",
    LATE: "Late: it came after the window had closed",
}
NAMED = 20
"""Districts that a message about many names of each kind."""
LONGEST = 1500
"""Characters of what is told of one incident."""
_PARTITION = re.compile(r"^(?:(\d{4}-\d\d-\d\d)\|)?([a-z0-9-]{1,40}): ", re.MULTILINE)
_ASKED = frozenset(source.name for source in ALL if source.is_pulled or source.is_polled)
_DROPPED = frozenset(source.name for source in ALL if not source.holds_results)

Place = tuple[str, str, date | None]
"""District, source and delivery day: one sync."""


@dataclass(frozen=True)
class Trouble:
    """Why one partition did not succeed."""

    partition: str
    message: str
    may_pass: bool = False
    """True where trying again later may help."""

    def __str__(self) -> str:
        return f"{self.partition}: {self.message}"


@dataclass(frozen=True)
class Incident:
    """One thing that a person should know of one sync."""

    district: str
    """"" where it is about no single one."""
    source: str
    day: date | None
    kind: str
    """A status of the history, one of the words above, or the name of a check."""
    text: str = ""
    drop: str = ""
    """The drop that it is about, where the history says so."""
    latest: str = ""
    """Else the drop that came last on that day."""

    @property
    def place(self) -> Place:
        """The sync that it is about."""
        return self.district, self.source, self.day


def alert(report: SyncReport) -> str:
    """A report as an alert: `Refused: nothing was changed. users.csv ...`."""
    words = STATUS_WORDS.get(report.status, report.status)
    return f"{words}. {report.message}".strip()


def summary(troubles: Sequence[Trouble], tried: int) -> str:
    """What a run says at its end, every trouble named."""
    told = "\n".join(str(trouble) for trouble in troubles)
    return told if tried == 1 else f"{len(troubles)} of {tried} did not succeed:\n{told}"


def troubles_of(text: str, districts: Collection[str]) -> Iterator[Trouble]:
    """The troubles that a `summary` names, of partitions of known districts."""
    found = [match for match in _PARTITION.finditer(text) if match[2] in districts]
    ends = [*(match.start() for match in found[1:]), len(text)]
    for match, end in zip(found, ends, strict=False):
        yield Trouble(match[0].removesuffix(": "), text[match.end() : end].strip())


def message_of(incidents: Sequence[Incident]) -> Message:
    """What is told of one sync: what happened, where, what to do and the command for it."""
    told = sorted(incidents, key=_gravity)
    district, source, day = told[0].place
    place = ", ".join(filter(None, (district, source, str(day or ""))))
    title = f"edpipeline: {place}: {_short(told[0].kind)}"
    parts = [f"District: {district or 'several'}\nSource: {source}\nDay: {day or '-'}"]
    parts += [_paragraph(one) for one in told]
    parts += dict.fromkeys(what_to_do(one) for one in told)
    return Message(title, "\n\n".join(parts), _is_urgent(told))


def digest_of(incidents: Sequence[Incident]) -> Message:
    """What is told of many syncs at once: counts, who they are, and an example of each kind."""
    syncs = len({one.place for one in incidents})
    kinds = Counter(_short(one.kind) for one in sorted(incidents, key=_gravity))
    counted = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())
    alike: dict[tuple[str, str, date | None], list[Incident]] = {}
    for one in sorted(incidents, key=_gravity):
        alike.setdefault((one.kind, one.source, one.day), []).append(one)
    parts = [_alike(each) for each in alike.values()]
    parts.append("All of them: `edpipeline history --days 3`, or of one kind with `--status`.")
    title = f"edpipeline: {syncs:,} syncs need a look: {counted}"
    return Message(title, "\n\n".join(parts), _is_urgent(incidents))


def what_to_do(incident: Incident) -> str:
    """What to do, with the command for it."""
    district, drop = incident.district, incident.drop or incident.latest
    of = f" --source {incident.source}" if incident.source in _ASKED else ""
    if incident.kind in ("awaiting_approval", "removals_held"):
        return (
            f"What to do: look at `edpipeline report {drop}`; if it is right,"
            f" `edpipeline approve {drop} --by NAME`."
        )
    if incident.kind in ("failed", "locked", "missed") and incident.source in _ASKED | _DROPPED:
        return (
            f"What to do: `edpipeline check --district {district}` says whether the account works;"
            f" then `edpipeline sync --district {district}{of}`."
        )
    if drop:
        return (
            f"What to do: look at `edpipeline report {drop}`; with `--csv FILE` it is a list for"
            " the district to correct its export by."
        )
    if incident.source not in {source.name for source in ALL}:
        return "What to do: look at the run in Dagster, and materialize it again."
    narrowed = f" --district {district}" if district else ""
    return f"What to do: look at `edpipeline history{narrowed} --source {incident.source}`."


def _paragraph(incident: Incident) -> str:
    drop = f"\nDrop {incident.drop}" if incident.drop else ""
    return f"{_words(incident.kind)}. {_cut(incident.text)}".strip() + drop


def _alike(incidents: Sequence[Incident]) -> str:
    first = incidents[0]
    names = list(dict.fromkeys(one.district for one in incidents if one.district))
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    where = ", ".join(filter(None, (first.source, str(first.day or ""))))
    such = f"Such as {first.district}: " if len(names) > 1 else ""
    return (
        f"{_words(first.kind)} ({where}): {', '.join(names[:NAMED])}{more}\n"
        f"{such}{_cut(first.text)} {what_to_do(first)}"
    )


def _words(kind: str) -> str:
    return WORDS.get(kind, f"The check {kind} did not pass")


def _short(kind: str) -> str:
    return kind.replace("_", " ") if kind in WORDS else f"check {kind}"


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST] + " ..."


def _is_urgent(incidents: Sequence[Incident]) -> bool:
    return any(one.kind in URGENT for one in incidents)


def _gravity(incident: Incident) -> tuple[int, str]:
    ranked = (*URGENT, *QUIET)
    place = ranked.index(incident.kind) if incident.kind in ranked else len(ranked)
    return place, incident.kind
