"""Too many removals at once wait for a person.

Counted per table, per school and per kind of person, because a missing school hides under a
tenth of a district. Additions and changes are never held.
"""

from dataclasses import dataclass

from edpipeline.loading.compare import TableLoad
from edpipeline.loading.options import LoadOptions

MANY = 20
"""So few removals never look like replaced ids."""

PEOPLE = """case when t.{column} = 'student' then 'students'
    when t.{column} in ('parent', 'guardian', 'relative') then 'guardians' else 'staff' end"""


@dataclass(frozen=True)
class Breach:
    """A group of rows that would lose more than the limit."""

    table: str
    group: str
    rows: int
    removed: int
    percent: float

    def describe(self) -> str:
        """In words, for a person: `enrollments of school 0101: 60 of 300 removed (limit 10 %)`."""
        return (
            f"{self.table} {self.group}: {self.removed:,} of {self.rows:,} would be removed"
            f" (limit {self.percent:g} %)"
        )


def breaches(load: TableLoad, options: LoadOptions) -> list[Breach]:
    """The groups of one table that would lose more than the district's limit."""
    if load.removals + load.left_behind <= options.removal_floor or options.removal_percent >= 100:
        return []  # no group can lose more than all of them do
    groups = [("'(all)'", "(all)")]
    if load.table.people:
        groups.append((PEOPLE.format(column=load.table.people), "of kind"))
    if load.table.school:
        groups.append((f"split_part(t.{load.table.school}, ',', 1)", "of school"))
    found = []
    for expression, label in groups:
        found += _over_limit(load, options, expression, label)
    return found


def _over_limit(load: TableLoad, options: LoadOptions, expression: str, label: str) -> list[Breach]:
    has_status = any(column.name == "status" for column in load.table.columns)
    alive = " and t.status <> 'tobedeleted'" if has_status else ""
    rows = load.session.rows(
        load.sql(
            f"""select coalesce({expression}, '(none)') as name, count(*) as rows_now,
                count(g.{{key}}) as rows_gone
            from {{table}} t left join (
                select {{key}} from {{gone}} where was_active
                union select {{key}} from {{met}} where deletes
                union select {{key}} from {{left_behind}}
            ) g on g.{{key}} = t.{{key}}
            where {{open}}{alive}
            group by 1 having count(g.{{key}}) > 0 order by 1"""
        ),
        **load.parameters,
    )
    return [
        Breach(
            load.table.name,
            label if label == "(all)" else f"{label} {name}",
            int(now),
            int(gone),
            options.removal_percent,
        )
        for name, now, gone in rows
        if gone > options.removal_floor and gone * 100 > now * options.removal_percent
    ]


def ids_look_replaced(load: TableLoad) -> bool:
    """True where most ids of yesterday are gone: they were rather made anew than lost."""
    if load.removals <= MANY:
        return False
    rows = load.value("select count(*) from {table} t where {open}")
    return load.removals * 2 > rows
