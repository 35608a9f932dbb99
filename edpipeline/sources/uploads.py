"""Which edition an uploaded file is, and which of its files fills which table.

Headers are compared with the fields of every edition; a file without a header is told by the
length of its lines and by what its first line says at the place of the year. What was chosen and
why is said; a file that fits another edition better than the one a person chose is refused.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from edpipeline.model import Edition, Head, LayoutField, Mode, Plan, PlannedFile, Planner
from edpipeline.reading.dialect import split_line
from edpipeline.reading.layout import in_places, missing_headers, placed, share_in_common

AUTO = "auto"
FITS = 0.3
"""A header that has less than this in common with a layout is of something else."""
CLEARLY = 0.05
"""By so much another edition must be nearer, where the chosen one has all that it needs."""
SHORTER = 0.01
"""By so much of its length a line of fixed width may differ from its layout."""

OTHER_SEPARATORS = {";": "semicolons", "|": "vertical bars"}

Findings = list[tuple[str, str]]
Tells = Callable[[str, Edition], bool]
"""Whether a line of fixed width is of an edition, by what it says itself."""


@dataclass(frozen=True)
class Fit:
    """How a file fits one table of one edition."""

    edition: Edition
    table: str
    separator: str
    share: float
    """1 where header and layout are the same."""
    missing: tuple[str, ...] = ()
    """Headers that must be there and are not."""
    by_position: bool = False
    columns: int = 0

    @property
    def rank(self) -> tuple[bool, float]:
        """The greater the better."""
        return not self.missing, self.share

    def describe(self) -> str:
        """In words, for the one who asks why."""
        if not self.separator:
            return "fixed width, told by the length and the beginning of its first line"
        if self.by_position:
            return f"its {self.columns} columns are as many as the layout has, taken in order"
        return f"{self.share:.0%} of its headers and the layout's are the same"


def planner(
    editions: Sequence[Edition], whole: set[str], tells: Tells = lambda line, edition: True
) -> Planner:
    """The planner of a source whose files are uploaded.

    `whole` are the tables whose files are a snapshot; `tells` knows lines of fixed width.
    """

    def plan(heads: Mapping[str, Head], manifest: str | None, edition: str) -> Plan:
        heads = {name: head for name, head in heads.items() if head.text}
        fits = {name: sorted_fits(head, editions, tells) for name, head in heads.items()}
        findings: Findings = []
        chosen = _edition(heads, fits, editions, edition, findings)
        if chosen is None:
            return Plan(editions[0].name, (), (), tuple(findings))
        taken: dict[str, PlannedFile] = {}
        for name, found in fits.items():
            best = next((fit for fit in found if fit.edition is chosen), None)
            if best is None:
                findings.append(("unknown_file", f"{name} is not part of {chosen.label}"))
            elif best.table in taken:
                text = f"{taken[best.table].name} and {name} are both {chosen.label}: upload them"
                findings.append(("several_files", f"{text} one by one"))
            else:
                mode: Mode = "snapshot" if best.table in whole else "delta"
                taken[best.table] = PlannedFile(
                    name, best.table, mode, best.separator, best.by_position
                )
        return Plan(chosen.name, tuple(taken.values()), (), tuple(findings))

    return plan


def sorted_fits(head: Head, editions: Sequence[Edition], tells: Tells) -> list[Fit]:
    """What a file may be, the best first."""
    separators = {separator for edition in editions for separator in edition.separators}
    names = {separator: split_line(head.text, separator) for separator in separators}
    found = [fit for edition in editions for fit in _fits(head, names, edition, tells)]
    return sorted(found, key=lambda fit: fit.rank, reverse=True)


def _fits(
    head: Head, names_by: Mapping[str, Sequence[str]], edition: Edition, tells: Tells
) -> Iterator[Fit]:
    """What a file may be in one edition; `names_by` has its first line split at each separator."""
    length = edition.record_length
    if _has_length(head, [edition]):
        for table in edition.headers:
            if tells(head.text, edition):
                yield Fit(edition, table, "", 1.0)
        return
    for separator in edition.separators:
        names = names_by[separator]
        for table, fields in edition.headers.items():
            share = share_in_common(names, edition, table)
            # Of a layout whose places are known the order is surer than names, which drift.
            in_order = bool(length) and in_places(names, fields)
            if in_order:
                # A first line that is a row would be lost as a header.
                first, second = (
                    tells(_as_fixed(line, separator, fields), edition)
                    for line in (head.text, head.first_row)
                )
                in_order = second and not first
            if share >= FITS:
                missing = () if in_order else tuple(missing_headers(names, fields))
                yield Fit(edition, table, separator, share, missing, in_order, len(names))
            elif in_order:
                yield Fit(edition, table, separator, 0.0, (), in_order, len(names))


def _has_length(head: Head, editions: Sequence[Edition]) -> bool:
    """Whether a line is as long as those of fixed width of one of the editions."""
    lengths = {edition.record_length for edition in editions if edition.record_length}
    return any(abs(len(head.text) - length) <= length * SHORTER for length in lengths)


def _as_fixed(row: str, separator: str, fields: Sequence[LayoutField]) -> str:
    """The values of a row at the places that they have in lines of fixed width."""
    values = split_line(row, separator)
    sizes = (field.end - field.start for field in placed(fields))
    return "".join(
        value.zfill(size)[:size] if value.isdigit() else value.ljust(size)[:size]
        for size, value in zip(sizes, values, strict=False)
    )


def _edition(
    heads: Mapping[str, Head],
    fits: Mapping[str, Sequence[Fit]],
    editions: Sequence[Edition],
    asked: str,
    findings: Findings,
) -> Edition | None:
    """The edition of an upload, or None where it has none; what is said goes to the findings."""
    if not heads:
        return None  # of no file a line can be read, which is said by itself
    best = max((found[0] for found in fits.values() if found), key=lambda f: f.rank, default=None)
    if asked == AUTO:
        if best is None or best.missing:
            findings.append(("unknown_layout", _unknown(heads, best, editions)))
            return None
        text = f"read as {best.edition.label} ({best.edition.name}): {best.describe()}"
        findings.append(("edition_told", text + _next_best(best, fits)))
        return best.edition
    chosen = next(edition for edition in editions if edition.name == asked)
    mine = [fit for found in fits.values() for fit in found if fit.edition is chosen]
    own = max(mine, key=lambda fit: fit.rank, default=None)
    if best is not None and best.edition is not chosen and _is_better(best, own):
        findings.append(
            (
                "other_edition",
                f"this is {best.edition.label} ({best.describe()}), not {chosen.label}: choose"
                f" edition {best.edition.name}, or leave it to be told",
            )
        )
        return None
    if own is None:
        findings.append(("unknown_layout", _unknown(heads, best, editions)))
        return None
    return chosen


def _is_better(best: Fit, own: Fit | None) -> bool:
    if own is None:
        return not best.missing
    if own.missing and not best.missing:
        return True
    return not best.missing and best.share > own.share + CLEARLY


def _next_best(best: Fit, fits: Mapping[str, Sequence[Fit]]) -> str:
    others = [
        fit
        for found in fits.values()
        for fit in found
        if fit.edition is not best.edition and not fit.missing
    ]
    if not others or not best.separator:
        return ""
    other = max(others, key=lambda fit: fit.rank)
    return f"; the next nearest is {other.edition.name} with {other.share:.0%}"


def _unknown(heads: Mapping[str, Head], best: Fit | None, editions: Sequence[Edition]) -> str:
    names = ", ".join(sorted(heads)) or "no file"
    if best is None:
        for mark, called in OTHER_SEPARATORS.items():
            if any(head.text.count(mark) > head.text.count(",") + 1 for head in heads.values()):
                return f"{names}: the first line is separated by {called}: export it with commas"
        if lines := [head for head in heads.values() if _has_length(head, editions)]:
            return (
                f"{names}: lines of {len(lines[0].text)} characters, as long as those of a layout,"
                " but they do not begin with an administration (MMYY) of a year that is known"
            )
        return f"{names}: the first line is no header of a layout that is known"
    return (
        f"{names}: nearest to {best.edition.label}, but lacks {', '.join(best.missing[:20])}."
        " Export it again with all columns"
    )
