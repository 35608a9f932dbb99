"""De-identified views of marts, schema `analyst`: what analysts see by default. Pure.

A view has the columns of its mart in their order, without those that identify a person by
themselves, as the mart declares them. Of these, ids and keys, by which tables are joined, become
pseudonyms (`student_id` becomes `student_key`): a hash of district and id with the installation's
secret salt. One id has one pseudonym in every view, and nobody without the salt can make it.

What identifies a person only together with other data (`[indirect]`, such as a birth date) stays:
the views are pseudonymous, not anonymous.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edpipeline.errors import BadConfiguration
from edpipeline.model import Personal

SCHEMA = "analyst"
NAMED = re.compile(r"(.+)_(?:id|key)")
IN_PLACE = "Pseudonym: the same for one person or record in every view, of no use elsewhere. "

DUCKDB_DIGEST = "sha256({})"
POSTGRES_DIGEST = "encode(sha256(convert_to({}, 'UTF8')), 'hex')"

OF_READER = (
    " where exists (select 1 from ops.my_districts d where d.district_id = '*')"
    " or m.district_id in (select d.district_id from ops.my_districts d)"
)
"""A view reads with the rights of its owner, whom row-level security does not hold back."""


@dataclass(frozen=True)
class Shown:
    """One column of a view."""

    expression: str
    description: str


def columns(
    mart: str,
    described: Mapping[str, str],
    personal: Mapping[str, Personal],
    is_postgres: bool = False,
) -> dict[str, Shown]:
    """The columns of a mart's view by name, in order.

    Raises BadConfiguration where a pseudonym would have the name of another column.
    """
    digest = POSTGRES_DIGEST if is_postgres else DUCKDB_DIGEST
    found: dict[str, Shown] = {}
    for name, text in described.items():
        kind, named = personal.get(name, "none"), NAMED.fullmatch(name)
        if kind in ("none", "indirect"):
            shown, column = name, Shown(f"m.{name}", text)
        elif kind == "direct" and named:
            shown, column = f"{named[1]}_key", Shown(_pseudonym(name, digest), IN_PLACE + text)
        else:
            continue
        if shown in found:
            raise BadConfiguration(
                f"sql/marts/{mart}.sql: two columns would be {shown} in {SCHEMA}.{mart}: call one"
                " of them something else"
            )
        found[shown] = column
    return found


def _pseudonym(name: str, digest: str) -> str:
    """128 of the digest's bits; null where the id is. No district's id has a `|` in it."""
    salt = "(select p.salt from ops.pseudonym_salt p)"
    salted = f"{salt} || '|' || m.district_id || '|' || cast(m.{name} as varchar) || '|' || {salt}"
    return f"substr({digest.format(salted)}, 1, 32)"


def view_ddl(
    mart: str,
    about: str,
    found: Mapping[str, Shown],
    is_postgres: bool,
    before: Iterable[str] = (),
) -> str:
    """Statements that make the view of a mart, or put it in the place of what is there.

    `before` are the columns that it has already, which keep their places: PostgreSQL then keeps
    grants and what others have built on it.
    """
    names = list(dict.fromkeys([*before, *found]))
    listed = ", ".join(f"{found[name].expression} as {name}" for name in names)
    view, comment = f"{SCHEMA}.{mart}", f"{about} Without what identifies a person."
    barrier, filtered = (" with (security_barrier)", OF_READER) if is_postgres else ("", "")
    return ";\n".join(
        [
            f"create or replace view {view}{barrier} as select {listed} from marts.{mart} m"
            f"{filtered}",
            f"comment on view {view} is {_text(comment)}",
            *(
                f"comment on column {view}.{name} is {_text(found[name].description)}"
                for name in names
            ),
        ]
    )


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
