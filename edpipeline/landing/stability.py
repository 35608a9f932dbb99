"""Whether a set of files is there, whole and still: a pure judgement over listings.

SFTP gives no sign that an upload is finished. So we look more than once: a file is taken for
whole when its size and time have not changed between two looks, and a set when all its files
are there and were written within the same hour. What a `Look` remembers is small JSON, meant
for the cursor of a sensor.

No vendor is named here: which files count, and which must be there, is told by the caller.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase

from edpipeline.errors import BadConfiguration
from edpipeline.landing.drop import Drop

FORMAT = 1
REMEMBERED = 1000
"""Versions a Look remembers as taken, at 15 bytes each; more only while their files are there."""


@dataclass(frozen=True, order=True)
class RemoteFile:
    """One file in a folder we do not own: bytes, and epoch seconds by the clock over there."""

    name: str
    size: int
    modified_at: int


class Verdict(StrEnum):
    """What a look found, from the least to the most."""

    NOTHING_NEW = "nothing_new"
    INCOMPLETE = "incomplete"
    APART = "apart"
    GROWING = "growing"
    READY = "ready"


@dataclass(frozen=True)
class LookSettings:
    """Which files count, and how patient to be.

    `patterns` are the names that count, `alone` those that are a complete set by themselves,
    both without regard to case. A file must stay unchanged over two looks `min_seconds` apart,
    and have been left alone for `quiet_seconds`. The files of one set were written within
    `spread_minutes` of each other: older ones are yesterday's.
    """

    patterns: tuple[str, ...] = ("*.csv", "*.zip")
    alone: tuple[str, ...] = ("*.zip",)
    min_seconds: int = 60
    quiet_seconds: int = 60
    spread_minutes: int = 60


@dataclass(frozen=True)
class Finding:
    """The verdict on one set of files.

    `names` are the files the verdict is about: missing, too old, still growing; for `ready`
    and `nothing_new` there are none.
    """

    verdict: Verdict
    files: tuple[RemoteFile, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Look:
    """What is remembered between looks: files not taken yet, each with the instant since which
    it has been as it is, and the versions that were taken.
    """

    at: datetime
    watched: tuple[tuple[RemoteFile, datetime], ...] = ()
    taken: tuple[str, ...] = ()

    def after_taking(self, files: Iterable[RemoteFile]) -> "Look":
        """This look, remembering that `files` were taken as they are."""
        gone = set(files)
        versions = dict.fromkeys([*self.taken, *sorted(version(file) for file in gone)])
        watched = tuple(pair for pair in self.watched if pair[0] not in gone)
        return replace(self, watched=watched, taken=tuple(versions))

    def to_json(self) -> str:
        """Small JSON: file names, sizes, times and hashes."""
        watched = [
            [file.name, file.size, file.modified_at, since.isoformat()]
            for file, since in self.watched
        ]
        return json.dumps(
            {"format": FORMAT, "at": self.at.isoformat(), "watched": watched, "taken": self.taken}
        )

    @classmethod
    def from_json(cls, text: str) -> "Look":
        """What `to_json` wrote. Raises BadConfiguration for anything else."""
        try:
            data = json.loads(text)
            if data["format"] != FORMAT:
                raise ValueError("another format")
            watched = tuple(
                (RemoteFile(name, size, modified_at), datetime.fromisoformat(since))
                for name, size, modified_at, since in data["watched"]
            )
            return cls(datetime.fromisoformat(data["at"]), watched, tuple(data["taken"]))
        except (ValueError, KeyError, TypeError) as error:
            raise BadConfiguration(
                "what was remembered of the last look cannot be read: reset the sensor's cursor"
            ) from error


def look(
    previous: Look | None,
    now: Sequence[RemoteFile],
    at: datetime,
    expected: Collection[str] | None = None,
    settings: LookSettings | None = None,
) -> tuple[Finding, Look]:
    """Judges the listing `now`, made at `at`, by what `previous` remembers.

    `expected` are the names a loose set must have, without regard to case; other files that
    count travel with them when they are of the same hour. None: all files that count are one
    set. A file that is a set alone is judged by itself. Of several sets that are ready, the one
    written first comes first: take it, remember it by `Look.after_taking`, and look again.

    Returns the finding and the look to remember.
    """
    settings = settings or LookSettings()
    before = previous or Look(at)
    counting = sorted(file for file in now if _matches(file.name, settings.patterns))
    taken = set(before.taken)
    since = dict(before.watched)
    fresh = {file for file in counting if version(file) not in taken}
    watched = tuple((file, since.get(file, at)) for file in counting if file in fresh)

    findings = [Finding(Verdict.NOTHING_NEW)]
    for candidate in _candidates(counting, expected, settings):
        restless = [
            file.name
            for file in fresh.intersection(candidate.files)
            if not _is_still(file, since.get(file), before.at, at, settings)
        ]
        if fresh.intersection(candidate.files):
            findings.append(_judge(candidate, restless, settings))
    order = list(Verdict)
    finding = max(findings, key=lambda one: order.index(one.verdict))
    return finding, Look(at, watched, _remembered(before.taken, counting))


def version(file: RemoteFile) -> str:
    """12 hex digits for this name, size and time: what `Look.taken` holds."""
    text = f"{file.name}\0{file.size}\0{file.modified_at}"
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def files_taken(drops: Iterable[Drop]) -> tuple[RemoteFile, ...]:
    """The remote files these drops were made of, to remember them when a cursor was lost.

    Each drop is that of a delivery, which knows when its own files were written.
    """
    return tuple(
        RemoteFile(file.name, file.size, int(file.modified_at.timestamp()))
        for drop in drops
        for file in drop.files
        if file.modified_at is not None
    )


@dataclass(frozen=True, order=True)
class _Candidate:
    """Files that may be one delivery, when they were last written, and the names they lack."""

    written_at: int
    files: tuple[RemoteFile, ...]
    missing: tuple[str, ...] = ()


def _candidates(
    counting: Sequence[RemoteFile], expected: Collection[str] | None, settings: LookSettings
) -> list[_Candidate]:
    """The one written first comes first."""
    found, loose = [], []
    for file in counting:
        if _matches(file.name, settings.alone):
            found.append(_Candidate(file.modified_at, (file,)))
        else:
            loose.append(file)
    if loose:
        found.append(_loose_candidate(loose, expected or (), settings))
    return sorted(found)


def _loose_candidate(
    loose: Sequence[RemoteFile], expected: Collection[str], settings: LookSettings
) -> _Candidate:
    wanted = {name.casefold(): name for name in expected}
    there = [file for file in loose if file.name.casefold() in wanted]
    present = {file.name.casefold() for file in there}
    missing = tuple(sorted(name for key, name in wanted.items() if key not in present))
    if there and not missing:
        loose = [file for file in loose if file in there or _near(file, there, settings)]
    return _Candidate(max(file.modified_at for file in loose), tuple(loose), missing)


def _judge(candidate: _Candidate, restless: Sequence[str], settings: LookSettings) -> Finding:
    files = candidate.files
    if candidate.missing:
        return Finding(Verdict.INCOMPLETE, files, candidate.missing)
    older = [file.name for file in files if not _near(file, files, settings)]
    if older:
        return Finding(Verdict.APART, files, tuple(sorted(older)))
    if restless:
        return Finding(Verdict.GROWING, files, tuple(sorted(restless)))
    return Finding(Verdict.READY, files)


def _near(file: RemoteFile, files: Iterable[RemoteFile], settings: LookSettings) -> bool:
    newest = max(other.modified_at for other in files)
    return abs(newest - file.modified_at) <= settings.spread_minutes * 60


def _is_still(
    file: RemoteFile,
    since: datetime | None,
    before: datetime,
    at: datetime,
    settings: LookSettings,
) -> bool:
    """Whether a file, unchanged since an earlier look, may be taken for whole.

    The clock over there may be wrong, so its time only shortens the wait: a file that was
    already quiet at the look before needs no more than the second look.
    """
    if since is None:
        return False
    unchanged = (at - since).total_seconds()
    quiet_before = before.timestamp() - file.modified_at >= settings.quiet_seconds
    return unchanged >= settings.min_seconds and (
        quiet_before or unchanged >= settings.quiet_seconds
    )


def _remembered(taken: tuple[str, ...], counting: Iterable[RemoteFile]) -> tuple[str, ...]:
    """The versions to remember: a file that is away for a moment is not new when it is back."""
    if len(taken) <= REMEMBERED:
        return taken
    there = {version(file) for file in counting}
    away = [one for one in taken if one not in there]
    forgotten = set(away[: len(taken) - REMEMBERED])
    return tuple(one for one in taken if one not in forgotten)


def matching(files: Iterable[RemoteFile], patterns: Iterable[str]) -> list[RemoteFile]:
    """The files whose names are of one of the patterns, compared without case, in their order."""
    return sorted(file for file in files if _matches(file.name, tuple(patterns)))


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name.casefold(), pattern.casefold()) for pattern in patterns)
