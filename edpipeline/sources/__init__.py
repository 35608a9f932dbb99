"""What we know about each vendor's data: one module (or package, when it owns data files) a source.

A source module is data first. It never reads a file of a district, never connects to anything,
and imports nothing but the model and what reads headers. What sources of
uploaded results share is in `results.py` (their declarations) and `uploads.py` (which edition a
file is).
"""

from edpipeline.model import Source
from edpipeline.sources import (
    act_aspire,
    adam,
    nwea_map,
    oneroster,
    powerpath,
    scantron,
    score_reports,
    staar,
    star,
)

ALL: tuple[Source, ...] = (
    oneroster.SOURCE,
    nwea_map.SOURCE,
    act_aspire.SOURCE,
    staar.SOURCE,
    adam.SOURCE,
    scantron.SOURCE,
    star.SOURCE,
    powerpath.SOURCE,
    score_reports.SOURCE,
)
"""The registry, in reading order."""


def source(name: str) -> Source:
    """The registered source of that name; KeyError when there is none."""
    for candidate in ALL:
        if candidate.name == name:
            return candidate
    raise KeyError(name)
