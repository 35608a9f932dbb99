"""How many ids of a delivery of results the roster knows, by every field they may be matched on.

The field that a person chose counts; when it is a poor choice, the figures say which would have
been better. Nothing is switched by itself.
"""

from edpipeline.loading.compare import TableLoad
from edpipeline.loading.report import MatchRate
from edpipeline.model import MATCH_FIELDS, Edition

IDENTIFIERS = "dim_student_identifier"
BY_CASE = ("username", "email")


def match_rates(load: TableLoad, edition: Edition, chosen: str) -> list[MatchRate]:
    """The rates of a delivery that has been applied; none where no roster has been published.

    New and changed rows are looked at: of those known before, the figures are known as well.
    """
    if not edition.match_columns or not load.session.has_table(f"marts.{IDENTIFIERS}"):
        return []
    there = {column.name for column in load.table.columns}
    found = []
    for field in MATCH_FIELDS:
        names = [name for name in edition.match_columns[field] if name in there]
        if names:
            values, matched = _rate(load, field, names)
            found.append(MatchRate(field, field == chosen, values, matched))
    return found


def _rate(load: TableLoad, field: str, names: list[str]) -> tuple[int, int]:
    """Ids are compared as they are; those without a match once more without leading zeros."""
    value = f"coalesce({', '.join(f's.{name}' for name in names)})"
    value = f"lower(trim({value}))" if field in BY_CASE else f"trim({value})"
    rows = load.session.rows(
        load.sql(
            f"""with ids as (select distinct {value} as id from {{staged}} s where {value} <> ''),
            known as (
                select distinct i.match_value from marts.{IDENTIFIERS} i
                where i.district_id = $district and i.match_field = $field)
            select count(*), count(*) filter (where exists (
                select 1 from known k where k.match_value = ids.id)
                or exists (
                select 1 from known z where ltrim(z.match_value, '0') = ltrim(ids.id, '0')
                    and ltrim(ids.id, '0') <> ''))
            from ids"""
        ),
        field=field,
        **load.parameters,
    )
    return int(rows[0][0]), int(rows[0][1])
