"""Who is meant: every id by which the roster and the results know a student, by its kind.

An id counts only in columns that hold ids of its kind: somebody else's local number may be the
same as this student's state number.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from edpipeline import sources
from edpipeline.errors import NotFound
from edpipeline.loading.history import MARK
from edpipeline.model import MATCH_FIELDS, Source, Table
from edpipeline.pipeline import ROSTER
from edpipeline.warehouse.engine import Session

IDENTIFIERS, BRIDGE = "marts.dim_student_identifier", "marts.bridge_result_student"
BY_CASE = ("username", "email")
OF_ONE, NAMES = ("username", "identifier", "user_ids"), ("given_name", "family_name")
USER_ID = re.compile(r"\{[^:{}]*:([^{}]*)\}")
NAME = re.compile(r"(first|last|middle|family|given)_?(name|initial)|teacher|record")
"""Columns of results that identify a person and are no ids."""
STUDENTS = "(select unnest(string_to_array($students, $mark)))"
USERS = f"where district_id = $district and sourced_id in {STUDENTS}"

Values = frozenset[str]


@dataclass(frozen=True)
class Meant:
    """One student, by everything that names the student."""

    student_ids: Values = field(repr=False)
    """In the roster: more than one where the student was there under another id before."""
    by_field: Mapping[str, Values] = field(repr=False)
    """Ids that results are matched by, by field of the roster; of `BY_CASE` in small letters."""
    by_column: Mapping[str, Mapping[str, Values]] = field(repr=False)
    """Ids by table (`schema.table`) and column."""
    same_person: Mapping[str, Values] = field(repr=False)
    """By column of the roster's users, what tells that a row of another id is the student's: one of
    `OF_ONE`, together with one of the names."""
    names: frozenset[tuple[str, str]] = field(repr=False)
    """Given and family name, as they ever were."""

    @property
    def ids(self) -> Values:
        """All of them."""
        found = set().union(*self.by_field.values())
        for columns in self.by_column.values():
            found |= set().union(*columns.values())
        return frozenset(found)


def student_of(session: Session, district_id: str, given: str) -> str:
    """The student's id in the roster (sourcedId), from any id that the roster has of the student.

    Raises NotFound, without repeating the id, where nobody or several have it.
    """
    found = session.rows(
        "select distinct sourced_id from roster.users where district_id = $district"
        " and sourced_id = $given and (role is null or role = 'student')",
        district=district_id,
        given=given.strip(),
    )
    if not found and session.has_table(IDENTIFIERS):
        found = session.rows(
            f"select distinct student_id from {IDENTIFIERS} where district_id = $district"
            " and (match_value = $given"
            " or (match_field in ('username', 'email') and match_value = lower($given)))",
            district=district_id,
            given=given.strip(),
        )
    if len(found) != 1:
        what = "several students have that id" if found else "no student has that id"
        raise NotFound(
            f"{district_id}: in the roster {what}; give the student's sourcedId, or another id that"
            " is the student's alone. Nothing was erased"
        )
    return str(found[0][0])


def meant(session: Session, district_id: str, student_id: str) -> Meant:
    """Everything that names a student of the roster."""
    of = _Of(session, district_id, (student_id,))
    same_person = of.same_person()
    of = _Of(session, district_id, (student_id, *of.others_of(same_person)))
    by_field = of.by_field()
    by_column = of.roster(sources.source(ROSTER))
    for source in sources.ALL:
        if source.holds_results:
            by_column |= of.results(source, by_field)
    return Meant(frozenset(of.student_ids), by_field, by_column, same_person, of.names())


def id_columns(source: Source, table: Table) -> list[str]:
    """Columns of a table of results with ids of students, or of records of one student alone."""
    alone = {keys[0] for each in source.tables for keys in each.built_keys if len(keys) == 1}
    return [
        column.name
        for column in table.stored_columns
        if column.name in alone
        or (
            column.personal == "direct"
            and column.kind in ("id", "text")
            and not column.computed
            and (column.name.endswith("username") or not NAME.search(column.name))
        )
    ]


@dataclass(frozen=True)
class _Of:
    session: Session
    district_id: str
    student_ids: tuple[str, ...]

    def _values(self, sql: str, **parameters: str) -> set[str]:
        students = MARK.join(self.student_ids)
        rows = self.session.rows(
            sql, district=self.district_id, students=students, mark=MARK, **parameters
        )
        return {str(value).strip() for (value,) in rows if value is not None and str(value).strip()}

    def names(self) -> frozenset[tuple[str, str]]:
        rows = self.session.rows(
            f"select distinct given_name, family_name from roster.users {USERS}"
            " and given_name <> '' and family_name <> ''",
            district=self.district_id,
            students=MARK.join(self.student_ids),
            mark=MARK,
        )
        return frozenset((str(given), str(family)) for given, family in rows)

    def same_person(self) -> dict[str, Values]:
        return {
            name: frozenset(self._values(f"select distinct {name} from roster.users {USERS}"))
            for name in (*OF_ONE, *NAMES)
        }

    def others_of(self, same_person: Mapping[str, Values]) -> list[str]:
        """Ids under which the roster has the same person as well."""
        lists = {f"of_{name}": MARK.join(values) for name, values in same_person.items()}
        one, named = (
            " or ".join(f"{n} in (select unnest(string_to_array($of_{n}, $mark)))" for n in names)
            for names in (OF_ONE, NAMES)
        )
        return sorted(
            self._values(
                "select distinct sourced_id from roster.users where district_id = $district"
                " and (role is null or role = 'student')"
                f" and sourced_id not in {STUDENTS}"
                f" and ({one}) and ({named})",
                **lists,
            )
        )

    def by_field(self) -> dict[str, Values]:
        """Of every version in the roster, and of results that were matched; without those that
        mean somebody else as well."""
        found: dict[str, set[str]] = {name: set() for name in MATCH_FIELDS}
        users = f"from roster.users {USERS}"
        for name, column in (("username", "username"), ("email", "email")):
            found[name] |= {v.lower() for v in self._values(f"select distinct {column} {users}")}
        found["district_user_id"] |= self._values(
            f"select distinct coalesce(identifier, sourced_id) {users}"
        )
        lists = self._values(f"select distinct user_ids {users}")
        numbers = {each.strip() for text in lists for each in USER_ID.findall(text)} - {""}
        found["state_user_id"] |= numbers
        found["alternate_user_id"] |= numbers
        found["sourced_id"].update(self.student_ids)
        for table in (IDENTIFIERS, BRIDGE):
            if self.session.has_table(table):
                self._take(table, found)
        return {name: frozenset(values) for name, values in found.items()}

    def _take(self, table: str, found: dict[str, set[str]]) -> None:
        which = f"from {table} where district_id = $district and match_field = $field"
        for name, values in found.items():
            own = f"select distinct match_value {which} and student_id in {STUDENTS}"
            values.update(self._values(own, field=name))
            others = self._values(
                f"select distinct match_value {which} and student_id not in {STUDENTS}"
                " and match_value in (select unnest(string_to_array($values, $mark)))",
                field=name,
                values=MARK.join(values),
            )
            values.difference_update(others - set(self.student_ids))

    def roster(self, source: Source) -> dict[str, dict[str, Values]]:
        """By the references between its tables: from the user to all that is the user's."""
        mine: dict[str, Values] = {"users": frozenset(self.student_ids)}
        found: dict[str, dict[str, Values]] = {
            source.table("users").full_name: {"sourced_id": mine["users"]}
        }
        for table in source.tables:
            columns = {
                column.name: mine[column.references.table]
                for column in table.columns
                if column.references and column.kind == "id" and column.references.table in mine
            }
            if columns:
                found[table.full_name] = columns
                mine[table.name] = self._keys(table, columns)
        return found

    def _keys(self, table: Table, columns: Mapping[str, Values]) -> Values:
        keys: set[str] = set()
        for name, values in columns.items():
            keys |= self._values(
                f"select distinct {table.key} from {table.full_name}"
                f" where district_id = $district and {name} in"
                " (select unnest(string_to_array($values, $mark)))",
                values=MARK.join(values),
            )
        return frozenset(keys)

    def results(
        self, source: Source, by_field: Mapping[str, Values]
    ) -> dict[str, dict[str, Values]]:
        """What the vendor calls the student, in rows that were matched with the student."""
        columns = {table.full_name: id_columns(source, table) for table in source.tables}
        known: dict[str, set[str]] = {name: set() for of in columns.values() for name in of}
        for table in source.tables:
            self._read(table, columns[table.full_name], by_field, known)
        for table in source.tables:
            self._leave_out_others(table, columns[table.full_name], by_field, known)
        return {
            table: {name: frozenset(known[name]) for name in names if known[name]}
            for table, names in columns.items()
        }

    def _read(
        self,
        table: Table,
        names: Sequence[str],
        by_field: Mapping[str, Values],
        known: Mapping[str, set[str]],
    ) -> None:
        if not names:
            return
        rows = self.session.frame(
            f"select distinct {', '.join(names)} from {table.full_name}"
            f" where district_id = $district and ({_is_of('match_value', by_field)})",
            district=self.district_id,
            mark=MARK,
            **_lists(by_field),
        )
        for name in names:
            known[name] |= _filled(rows[name].unique().to_list())

    def _leave_out_others(
        self,
        table: Table,
        names: Sequence[str],
        by_field: Mapping[str, Values],
        known: Mapping[str, set[str]],
    ) -> None:
        """An id that stands in a row of another student as well says nothing."""
        if not self.session.has_table(BRIDGE):
            return
        for name in names:
            if known[name]:
                known[name].difference_update(
                    self._values(
                        f"select distinct t.{name} from {table.full_name} t join {BRIDGE} b"
                        " on b.district_id = t.district_id and b.match_field = t.match_field"
                        " and b.match_value = t.match_value"
                        f" where t.district_id = $district and b.student_id not in {STUDENTS}"
                        f" and t.{name} in (select unnest(string_to_array($values, $mark)))",
                        values=MARK.join(known[name]),
                    )
                )


def _is_of(column: str, by_field: Mapping[str, Values]) -> str:
    each = [
        f"(match_field = '{name}' and"
        f" {f'lower(trim({column}))' if name in BY_CASE else f'trim({column})'}"
        f" in (select unnest(string_to_array($of_{name}, $mark))))"
        for name, values in by_field.items()
        if values
    ]
    return " or ".join(each) or "false"


def _lists(by_field: Mapping[str, Values]) -> dict[str, str]:
    return {f"of_{name}": MARK.join(values) for name, values in by_field.items()}


def _filled(values: Iterable[object]) -> set[str]:
    return {str(value).strip() for value in values if value is not None and str(value).strip()}
