"""Which role of PostgreSQL sees which districts: what `edpipeline grant` and `revoke` do."""

from collections.abc import Sequence
from pathlib import Path

from edpipeline.errors import BadConfiguration, NotFound
from edpipeline.model import Source
from edpipeline.warehouse import roles
from edpipeline.warehouse.engine import Session, Warehouse
from edpipeline.warehouse.schema import secure

EVERY_DISTRICT = "*"


def grant(
    warehouse: Warehouse,
    sources: Sequence[Source],
    sql_folder: Path,
    role: str,
    district_id: str,
    *,
    as_steward: bool = False,
) -> None:
    """Let a role, and its members, see a district (`*`: all), de-identified or as a steward.

    What it sees of other districts stays. Raises BadConfiguration where the warehouse has no
    roles, the groups are missing, or its user may not let anybody into them; NotFound where there
    is no such role.
    """
    group = roles.STEWARD if as_steward else roles.ANALYST
    with warehouse.transaction() as session:
        _require_postgres(warehouse)
        secure(session, sources, sql_folder)  # where the groups were made since the tables were
        _require_roles(session, role)
        session.run(
            f"do $granting$ begin grant {group} to {_identifier(role)};"
            " exception when insufficient_privilege then null; end $granting$"
        )
        if not session.value("select pg_has_role($role, $part, 'member')", role=role, part=group):
            raise BadConfiguration(
                f"the user of EDPIPELINE_WAREHOUSE may not let {role} into {group}. Nothing was"
                f" changed. Let an administrator of the server run `grant {group} to"
                f" {_identifier(role)}`, and run the command again"
            )
        _forget(session, role, district_id)
        session.run(
            "insert into ops.district_access values ($role, $district, $as_steward)",
            role=role,
            district=district_id,
            as_steward=as_steward,
        )


def revoke(warehouse: Warehouse, role: str, district_id: str | None = None) -> int:
    """Let a role see a district no longer, or, without one, any that it was given; how many.

    It stays in its group, which shows nothing without a district. What it sees as a member of
    another role, or by `*`, it sees on.
    """
    with warehouse.transaction() as session:
        _require_postgres(warehouse)
        return _forget(session, role, district_id)


def _forget(session: Session, role: str, district_id: str | None) -> int:
    only = "" if district_id is None else " and district_id = $district"
    return session.run(
        f"delete from ops.district_access where role_name = $role{only}",
        role=role,
        district=district_id,
    )


def _require_postgres(warehouse: Warehouse) -> None:
    if not warehouse.url.startswith("postgres"):
        raise BadConfiguration(
            "the warehouse is DuckDB, which has no users: whoever may read its files sees"
            " everything. Districts can be given to people on PostgreSQL"
        )


def _require_roles(session: Session, role: str) -> None:
    if not roles.are_there(session):
        raise BadConfiguration(
            f"the roles {roles.ANALYST} and {roles.STEWARD} are not there, and the user of"
            " EDPIPELINE_WAREHOUSE may not create them: let an administrator of the server run"
            " sql/postgres/001_roles.sql, and run the command again"
        )
    if not session.rows("select 1 from pg_roles where rolname = $role", role=role):
        raise NotFound(
            f"the database has no role {role}: let an administrator create it, such as by"
            f" `create role {_identifier(role)} login`"
        )


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
