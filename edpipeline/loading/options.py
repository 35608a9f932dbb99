"""What a district has chosen for the loading of one source."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from edpipeline.model import MatchField


@dataclass(frozen=True)
class LoadOptions:
    """Settings of one district and source; the defaults are safe for any district."""

    edition: str = "auto"
    """Name of an edition, or `auto` to tell it from the delivery."""
    encodings: tuple[str, ...] = ()
    """Encodings allowed beside UTF-8: `windows-1252`, `iso-8859-1`."""
    schools: Mapping[str, str] = field(default_factory=dict)
    """School names by id, where the delivery has no file of organisations."""
    removal_percent: float = 10.0
    """Removals above this share of any group wait for approval."""
    removal_floor: int = 5
    """So few removals of a group never wait."""
    removals_paused: bool = False
    """True: every removal waits (year-end, additions only)."""
    first_sync_needs_approval: bool = True
    match_on: MatchField | Literal[""] = ""
    """Field of the roster that results are matched on (one of `MATCH_FIELDS`); "" for rosters."""
    match_column: str = ""
    """Column of the results that is compared with it; "" for those that the edition names."""

    def with_choices(self, choices: Mapping[str, str]) -> "LoadOptions":
        """The same with what a person chose for one delivery: `edition`, `match_on`."""
        return replace(
            self,
            edition=choices.get("edition", self.edition),
            match_on=choices.get("match_on", self.match_on),  # type: ignore[arg-type]
        )
