"""DDL and comments, derived from the declarations, the same for both warehouses."""

import hashlib
import secrets
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from edpipeline.errors import Permanent
from edpipeline.model import Source, Table
from edpipeline.warehouse import deidentified, results, roles
from edpipeline.warehouse.engine import Session, Warehouse

HISTORY_COLUMNS = {
    "valid_from": ("date", "Delivery day from which this version of the record holds."),
    "valid_to": (
        "date",
        "Delivery day on which it stopped holding (exclusive); null while it holds.",
    ),
    "row_hash": (
        "bigint",
        "Hash of the row's text as last read. What the loader remembers to recognise unchanged"
        " rows by, and no part of the record: it may differ after days were loaded again.",
    ),
    "warned": (
        "boolean",
        "True while the row is looked at in each delivery, because it had warnings when it was"
        " last read; remembered as row_hash is.",
    ),
    "drop_id": ("varchar", "Drop that first delivered this version."),
    "line": ("bigint", "Line in that drop's file; the header is line 1."),
}
"""What a history table has beside the source's own columns: type and description."""

DISTRICT = ("varchar", "District that the row belongs to.")


def columns_of(table: Table) -> dict[str, tuple[str, str]]:
    """SQL type and description of every column of a history table, in order."""
    own = {c.name: (c.sql_type, c.description) for c in table.stored_columns}
    return {"district_id": DISTRICT} | own | HISTORY_COLUMNS


@cache
def table_ddl(table: Table, shown: tuple[str, ...] = (), is_new: bool = False) -> tuple[str, ...]:
    """Statements that make a history table, its view of current rows, and their comments.

    `shown` are the columns that the view has already: they keep their places and new ones come
    after them, as `create or replace view` asks for, which keeps grants and views built on it.
    A table that `is_new` has every column and is not asked for any.
    """
    columns = columns_of(table)
    typed = ", ".join(f"{name} {kind}" for name, (kind, _) in columns.items())
    own = ["district_id", *(c.name for c in table.stored_columns), "valid_from", "drop_id", "line"]
    listed = ", ".join(dict.fromkeys([*shown, *own]))
    current = _current(table)
    alive = " and status <> 'tobedeleted'" if "status" in columns else ""
    about = _text(f"History of {table.file}: {table.grain}.")
    statements = [
        f"create table if not exists {table.full_name} ({typed})",
        *(
            f"alter table {table.full_name} add column if not exists {name} {kind}"
            for name, (kind, _) in columns.items()
            if not is_new
        ),
        f"create or replace view {current} as select {listed}"
        f" from {table.full_name} where valid_to is null{alive}",
        f"comment on table {table.full_name} is {about}",
        f"comment on view {current} is {_text(f'The rows of {table.full_name} that hold now.')}",
    ]
    statements += [
        f"comment on column {table.full_name}.{name} is {_text(description)}"
        for name, (_, description) in columns.items()
    ]
    return tuple(statements)


def _current(table: Table) -> str:
    return f"{table.schema}.current_{table.name}"


def index_ddl(table: Table) -> list[str]:
    """Indexes, which PostgreSQL needs and DuckDB does better without."""
    name = f"{table.name}_{table.key}_current"
    return [
        f"create unique index if not exists {name} on {table.full_name}"
        f" (district_id, {table.key}) where valid_to is null"
    ]


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _control_scripts(sql_folder: Path) -> list[str]:
    return [path.read_text("utf-8") for path in sorted((sql_folder / "control").glob("*.sql"))]


def prepare(warehouse: Warehouse, sources: Sequence[Source], sql_folder: Path) -> None:
    """Create or extend every table; a warehouse that is up to date is left alone at once.

    Raises `Permanent` where a declared column was removed or has another type than its table.
    """
    scripts = _control_scripts(sql_folder)
    tables = [table for source in sources for table in source.tables]
    is_postgres = warehouse.url.startswith("postgres")
    indexes = [s for table in tables for s in index_ddl(table)] if is_postgres else []
    declared = [s for table in tables for s in table_ddl(table)]
    views = results.statements(sources, sql_folder)
    of_roles = roles.scripts(sql_folder) if is_postgres else []
    made = [*scripts, *declared, *indexes, *views, *of_roles]
    fingerprint = hashlib.sha256("\n".join(made).encode()).hexdigest()
    with warehouse.transaction() as session:
        if _is_prepared(session, fingerprint):
            return
        session.lock_schema()
        if _is_prepared(session, fingerprint):
            return  # by another first run, which held the lock
        for schema in [*schemas_of(sources), deidentified.SCHEMA]:
            session.run(f"create schema if not exists {schema}")
        for script in scripts:
            session.script(script)
        _draw_salt(session)
        # The views of results stand in the way of nothing but of the tables they read.
        session.run(f"drop view if exists {results.UNITED}")
        for source in sources:
            session.run(f"drop view if exists {results.view_name(source.name)}")
        for table in tables:
            is_new = not session.has_table(table.full_name)
            shown = () if is_new else tuple(_shown(session, table))
            session.script(";\n".join(table_ddl(table, shown, is_new)))
        for statement in [*indexes, *views]:
            session.run(statement)
        if is_postgres:
            secure(session, sources, sql_folder)
        session.run("delete from ops.schema_version")
        session.run("insert into ops.schema_version values ($fingerprint)", fingerprint=fingerprint)


def schemas_of(sources: Sequence[Source]) -> list[str]:
    """Every schema with tables, without that of the de-identified views."""
    return list(dict.fromkeys(["ops", "marts", results.SCHEMA, *(s.schema for s in sources)]))


def secure(session: Session, sources: Sequence[Source], sql_folder: Path) -> bool:
    """Give PostgreSQL's groups of readers their rights, as `roles.secure` says."""
    roles.make_roles(session, sql_folder)
    views = [_current(table) for source in sources for table in source.tables]
    views += [results.UNITED, *(results.view_name(source.name) for source in sources)]
    return roles.secure(session, schemas_of(sources), views)


def _draw_salt(session: Session) -> None:
    """Once for a warehouse: with another one, every pseudonym would be another one."""
    session.run(
        "insert into ops.pseudonym_salt select $salt"
        " where not exists (select 1 from ops.pseudonym_salt)",
        salt=secrets.token_hex(32),
    )


_TYPE_NAMES = {
    "character varying": "varchar",
    "double": "double precision",
    "time without time zone": "time",
    "timestamp without time zone": "timestamp",
}
"""What the catalogs of the warehouses call a type, by the name that declarations use."""


def _shown(session: Session, table: Table) -> list[str]:
    """The columns of the table's view, if there is one; raises where they cannot stay as is."""
    current, declared = _current(table), columns_of(table)
    found = _types(session, current)
    for name, kind in found.items():
        if name not in declared:
            raise Permanent(
                f"{current} has a column {name} that is not declared any more. Nothing was"
                f" changed. If it shall go, run `drop view {current}` (noting who was granted it"
                " and what is built on it) and start again; the history keeps the column"
            )
        if kind != declared[name][0]:
            raise Permanent(
                f"{table.full_name}.{name} is {kind} and was declared {declared[name][0]} since."
                f" Nothing was changed. Run `drop view {current}` (noting who was granted it and"
                f" what is built on it), `alter table {table.full_name} alter column {name} type"
                f" {declared[name][0]}`, and start again"
            )
    return list(found)


def _types(session: Session, relation: str) -> dict[str, str]:
    """The declared word for each column's type, in the relation's order."""
    found = {name: kind.lower() for name, kind in session.columns(relation).items()}
    return {name: _TYPE_NAMES.get(kind, kind) for name, kind in found.items()}


def _is_prepared(session: Session, fingerprint: str) -> bool:
    if not session.has_table("ops.schema_version"):
        return False
    found = session.value(
        "select count(*) from ops.schema_version where fingerprint = $fingerprint",
        fingerprint=fingerprint,
    )
    return bool(found)
