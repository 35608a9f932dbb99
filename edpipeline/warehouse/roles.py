"""Who reads what on PostgreSQL: two groups of readers, rights, and row-level security by district.

edpipeline_analyst   the de-identified views (schema `analyst`), and nothing else
edpipeline_steward   these, and marts, histories and ops as they are

Both see the districts that `ops.district_access` gives to them, or to a group they are in. The
owner of the tables, as whom we load, is held back by nothing. Where the groups are not there and
may not be made, nobody is given any right.
"""

from collections.abc import Sequence
from pathlib import Path

from edpipeline.warehouse import deidentified
from edpipeline.warehouse.engine import Session

ANALYST = "edpipeline_analyst"
STEWARD = "edpipeline_steward"

POLICY = "edpipeline_district"
"""To change what it says, give it another name and drop the one before."""
OF_STEWARD = (
    "exists (select 1 from ops.my_districts d where d.as_steward and d.district_id = '*')"
    " or district_id in (select d.district_id from ops.my_districts d where d.as_steward)"
)
"""Neither part depends on the row, so that PostgreSQL asks each once for a query."""

PRIVATE = ("ops.district_access",)
"""Tables of districts that no steward reads."""
VIEWS_ASK_AS_READER = 150000
"""The version of PostgreSQL from which a view may read with the rights of whoever asks."""


def scripts(sql_folder: Path) -> list[str]:
    """The text of sql/postgres, in order."""
    return [path.read_text("utf-8") for path in sorted((sql_folder / "postgres").glob("*.sql"))]


def make_roles(session: Session, sql_folder: Path) -> None:
    """Make the groups where they are not there and may be made, and what policies ask."""
    for script in scripts(sql_folder):
        session.run(script)


def secure(session: Session, schemas: Sequence[str], views: Sequence[str] = ()) -> bool:
    """Give both groups their rights on what is in the schemas; what has them is left alone.

    Every table with a column district_id comes under row-level security. `views`, as
    `schema.view`, then read with the rights of whoever asks, so that the policies of their tables
    hold in them. False, and nothing is done, where the groups are not there.
    """
    if not are_there(session):
        return False
    session.lock_schema()  # two that grant rights on one table at once would fail
    tables = _tables(session, schemas)
    statements: list[str] = []
    for table, is_on, has_policy in tables:
        if not is_on:
            statements.append(f"alter table {table} enable row level security")
        if not has_policy:
            statements.append(
                f"create policy {POLICY} on {table} for select to {STEWARD} using ({OF_STEWARD})"
            )
    found = _views(session, views)
    statements += [
        f"alter view {view} set (security_invoker = true)"
        for view, asks_as_reader in found
        if not asks_as_reader
    ]
    readable = [table for table, _, _ in tables] + [view for view, _ in found]
    statements += [
        f"grant usage on schema {', '.join(schemas)}, ops to {STEWARD}",
        f"grant select on {', '.join(readable)}, ops.my_districts to {STEWARD}",
        f"grant usage on schema {deidentified.SCHEMA} to {ANALYST}, {STEWARD}",
    ]
    for_both = [view for view, _ in _views_in(session, [deidentified.SCHEMA])]
    if for_both:
        statements.append(f"grant select on {', '.join(for_both)} to {ANALYST}, {STEWARD}")
    session.run(";\n".join(statements))
    return True


def are_there(session: Session) -> bool:
    """Whether the server knows both groups."""
    found = session.value(
        "select count(*) from pg_roles where rolname in ($analyst, $steward)",
        analyst=ANALYST,
        steward=STEWARD,
    )
    return bool(found == 2)


_NAME = "quote_ident(n.nspname) || '.' || quote_ident(c.relname)"
_OWNED = (
    "from pg_class c join pg_namespace n on n.oid = c.relnamespace"
    " where n.nspname = any($schemas) and pg_has_role(c.relowner, 'usage')"
)


def _tables(session: Session, schemas: Sequence[str]) -> list[tuple[str, bool, bool]]:
    """Our tables with a district: name, whether row-level security is on, whether the policy is."""
    rows = session.rows(
        f"select {_NAME}, c.relrowsecurity,"
        " exists (select from pg_policy p where p.polrelid = c.oid and p.polname = $policy)"
        f" {_OWNED} and c.relkind in ('r', 'p') and exists (select from pg_attribute a"
        " where a.attrelid = c.oid and a.attname = 'district_id' and not a.attisdropped)"
        " order by 1",
        schemas=list(schemas),
        policy=POLICY,
    )
    return [(name, on, policy) for name, on, policy in rows if name not in PRIVATE]


def _views(session: Session, views: Sequence[str]) -> list[tuple[str, bool]]:
    """Those of the views that are there, and whether they read with the rights of who asks."""
    version = session.value("select cast(current_setting('server_version_num') as integer)")
    if version < VIEWS_ASK_AS_READER:
        return []  # they would show every district
    schemas = sorted({view.partition(".")[0] for view in views})
    return [found for found in _views_in(session, schemas) if found[0] in views]


def _views_in(session: Session, schemas: Sequence[str]) -> list[tuple[str, bool]]:
    rows = session.rows(
        f"select {_NAME}, coalesce('security_invoker=true' = any(c.reloptions), false)"
        f" {_OWNED} and c.relkind = 'v' order by 1",
        schemas=list(schemas),
    )
    return [(name, asks_as_reader) for name, asks_as_reader in rows]
