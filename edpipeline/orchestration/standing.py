"""How districts stand: who uses a source, and what became of their days."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from edpipeline.loading.report import LOADED
from edpipeline.model import Source, Window
from edpipeline.pipeline import Pipeline
from edpipeline.uses import DailyUse

DONE = frozenset((*LOADED, "awaiting_approval"))
"""Statuses after which a day needs no other delivery."""


@dataclass(frozen=True)
class InUse:
    """A district that uses a source, and how."""

    id: str
    use: DailyUse

    @property
    def window(self) -> Window:
        """When its deliveries are fetched."""
        return self.use.window


def districts_in_use(pipeline: Pipeline, source: Source) -> list[InUse]:
    """The districts for which the source is switched on, in the order of the districts file.

    Raises BadConfiguration, saying what is wrong with the districts file.
    """
    found = [(each.id, getattr(each, source.name, None)) for each in pipeline.districts.all]
    return [InUse(name, use) for name, use in found if use is not None and use.enabled]


def statuses(
    pipeline: Pipeline, source: Source, first: date
) -> Mapping[tuple[str, date], frozenset[str]]:
    """Every status that the history has, by district and day, of the days since `first`."""
    with pipeline.warehouse.transaction() as session:
        rows = session.rows(
            "select distinct district_id, delivery_day, status from ops.sync_history"
            " where source = $source and delivery_day >= $first",
            source=source.name,
            first=first,
        )
    found: dict[tuple[str, date], frozenset[str]] = {}
    for district_id, day, status in rows:
        found[district_id, day] = found.get((district_id, day), frozenset()) | {status}
    return found


def locked_accounts(pipeline: Pipeline, source: Source) -> frozenset[str]:
    """Districts whose account was locked when it was last used."""
    with pipeline.warehouse.transaction() as session:
        rows = session.rows(
            "select h.district_id from ops.sync_history h where h.source = $source"
            " and h.status = 'locked' and not exists (select 1 from ops.sync_history later"
            " where later.district_id = h.district_id and later.source = h.source"
            " and later.sync_id > h.sync_id and later.drop_id is not null)",
            source=source.name,
        )
    return frozenset(row[0] for row in rows)
