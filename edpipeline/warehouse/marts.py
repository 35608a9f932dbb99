"""Marts: analysts' tables, one SELECT per file of sql/marts; the file's name is the table's.

A mart is refilled in place, per district. Tables are never swapped: on PostgreSQL that would
drop grants and row-level security without a word.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import get_args

from edpipeline.errors import BadConfiguration, NotFound
from edpipeline.model import Personal
from edpipeline.warehouse import deidentified, results, roles
from edpipeline.warehouse.engine import Session, Warehouse
from edpipeline.warehouse.narrowing import narrowed, read_instead, tables_read

SCHEMA = "marts"
COLUMN_LINE = re.compile(r"([a-z][a-z_0-9]*): (.+)")
OPENING_LINE = re.compile(r"(Key|Fresh|Caveats): (.+)")
CLASS_AT_END = re.compile(r"\s*\[([a-z]+)\]$")


@dataclass(frozen=True)
class Mart:
    """One analysts' table, as its file declares it."""

    name: str
    sql: str
    """The SELECT, without the opening comment. It reads every district."""
    grain: str
    columns: Mapping[str, str]
    """Description by column, in the order of the SELECT."""
    depends_on: tuple[str, ...]
    """What it reads, as `schema.table`, sorted; other marts among them."""
    key: tuple[str, ...] = ()
    personal: Mapping[str, Personal] = field(default_factory=dict)
    """Class of the columns that hold personal data."""
    notes: str = ""
    """What else the file says, such as how to ask about a day; Markdown."""
    fresh: str = ""
    """What its rows are as of, and when they are computed anew."""
    caveats: str = ""
    """What the rows do not say, or say otherwise than one would think."""

    @property
    def full_name(self) -> str:
        """`marts.name`."""
        return f"{SCHEMA}.{self.name}"

    @property
    def about(self) -> str:
        """The grain, how fresh it is and its caveats, in one text."""
        said = (("", self.grain), ("Fresh: ", self.fresh), ("Caveats: ", self.caveats))
        return " ".join(f"{label}{text}" for label, text in said if text)

    @property
    def fingerprint(self) -> str:
        """Changes with the SELECT, with every description, and with the de-identified view."""
        parts = [self.sql, self.about, *(f"{n}: {text}" for n, text in self.columns.items())]
        parts += [self.view_ddl(is_postgres) for is_postgres in (False, True)]
        return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()

    def deidentified(self, is_postgres: bool = False) -> dict[str, deidentified.Shown]:
        """The columns of its de-identified view, `analyst.name`; see `deidentified.columns`."""
        return deidentified.columns(self.name, self.columns, self.personal, is_postgres)

    def view_ddl(self, is_postgres: bool, before: Sequence[str] = ()) -> str:
        """Statements that make the de-identified view; see `deidentified.view_ddl`."""
        shown = self.deidentified(is_postgres)
        return deidentified.view_ddl(self.name, self.about, shown, is_postgres, before)

    def of_district(self) -> str:
        """The SELECT with every input narrowed to the district of the parameter `$district`."""
        computed = {results.UNITED: results.OF_DISTRICT}
        return narrowed(self.sql, self.depends_on, f"sql/marts/{self.name}.sql", computed)


def marts(sql_folder: Path) -> list[Mart]:
    """Every mart of the folder's `marts`, each after those it reads.

    Raises `BadConfiguration` where a file is not as sql/README.md wants it.
    """
    found = {path.stem: _mart(path) for path in sorted((sql_folder / "marts").glob("*.sql"))}
    inside = {
        mart.full_name: [t for t in mart.depends_on if t.startswith(f"{SCHEMA}.")]
        for mart in found.values()
    }
    unknown = sorted({t for tables in inside.values() for t in tables} - set(inside))
    if unknown:
        raise BadConfiguration(f"sql/marts: read by a mart and not there: {', '.join(unknown)}")
    try:
        order = list(TopologicalSorter(inside).static_order())
    except CycleError as error:
        raise BadConfiguration(f"sql/marts: marts read each other: {error.args[1]}") from None
    return [found[name.partition(".")[2]] for name in order]


def _mart(path: Path) -> Mart:
    lines = path.read_text("utf-8").splitlines()
    end = next((at for at, line in enumerate(lines) if not line.startswith("--")), len(lines))
    header = [line[2:].removeprefix(" ").rstrip() for line in lines[:end]]
    sql = "\n".join(lines[end:]).strip().rstrip(";")
    first = header.index("") if "" in header else len(header)
    opening = _opening(header[:first])
    grain, key = opening["Grain"], opening["Key"]
    described, notes = _described(header[first:])
    if not (grain and key and described and sql):
        raise BadConfiguration(
            f"{path.name}: a mart opens with its grain, a line `-- Key: ...`, an empty comment line"
            " and a line `-- column: description` for every column"
        )
    return Mart(
        name=path.stem,
        sql=sql,
        grain=grain,
        columns={name: CLASS_AT_END.sub("", text) for name, text in described.items()},
        depends_on=tables_read(sql, path.name),
        key=tuple(part.strip() for part in key.split(",")),
        personal=_personal(described, path.name),
        notes=notes,
        fresh=opening["Fresh"],
        caveats=opening["Caveats"],
    )


def _opening(lines: Sequence[str]) -> dict[str, str]:
    """The grain, and what the lines after it say of the mart, by their word."""
    found, word = {"Grain": "", "Key": "", "Fresh": "", "Caveats": ""}, "Grain"
    for line in lines:
        match = OPENING_LINE.fullmatch(line)
        word, text = match.groups() if match else (word, line)
        found[word] = f"{found[word]} {text.strip()}".strip()
    return found


def _described(lines: Sequence[str]) -> tuple[dict[str, str], str]:
    """Descriptions by column, and the lines after them as they stand."""
    found: dict[str, str] = {}
    for at, line in enumerate(lines):
        match = COLUMN_LINE.fullmatch(line)
        if match:
            found[match[1]] = match[2]
        elif line.startswith("  ") and found:
            last = next(reversed(found))
            found[last] = f"{found[last]} {line.strip()}"
        elif found:
            return found, "\n".join(lines[at:]).strip()
    return found, ""


def _personal(described: Mapping[str, str], file: str) -> dict[str, Personal]:
    classes: dict[str, Personal] = {}
    for name, text in described.items():
        match = CLASS_AT_END.search(text)
        if match and match[1] not in get_args(Personal):
            raise BadConfiguration(f"{file}: {name} has no class of personal data [{match[1]}]")
        if match:
            classes[name] = match[1]  # type: ignore[assignment]
    return classes


def refill_district(warehouse: Warehouse, sql_folder: Path, district_id: str) -> dict[str, int]:
    """Compute every mart of one district anew, in one transaction; rows by mart.

    The rows of other districts are not touched. A column that a mart has gained stays null in
    the rows of other districts until they are refilled. Raises `BadConfiguration` where a table
    in the warehouse cannot be made to fit, `Busy` where the district is being loaded.
    """
    found = marts(sql_folder)
    with refilled(warehouse, sql_folder, found, district_id) as (_, rows):
        return rows


@contextmanager
def refilled(
    warehouse: Warehouse, sql_folder: Path, found: Sequence[Mart], district_id: str
) -> Iterator[tuple[Session, dict[str, int]]]:
    """The transaction in which these marts of one district were computed anew, and their rows.

    Raises what `refill_district` does.
    """
    is_postgres = _is_postgres(warehouse)
    with ExitStack() as stack:
        session = stack.enter_context(warehouse.transaction())
        if _changed(session, found):
            stack.close()
            make_marts(warehouse, found)
            session = stack.enter_context(warehouse.transaction())
        yield session, _refill(session, found, sql_folder, district_id, is_postgres)


def _refill(
    session: Session,
    found: Sequence[Mart],
    sql_folder: Path,
    district_id: str,
    is_postgres: bool,
) -> dict[str, int]:
    session.lock_district(district_id)
    if is_postgres:
        # It takes one row in 200 to be the first of its window, and would loop over the rest:
        # 26 s for 23,000 students, where hash joins take half a second.
        session.run("set local enable_nestloop = off")
        # Nor may it merge on the columns that happen to be sorted, and filter by the others: ids of
        # 40,000 students against as many results are 1.6 billion pairs.
        session.run("set local enable_mergejoin = off")
    results.gather(session, sql_folder, district_id)
    rows: dict[str, int] = {}
    for mart in found:
        columns = ", ".join(mart.columns)
        session.run(
            f"delete from {mart.full_name} where district_id = $district", district=district_id
        )
        rows[mart.name] = session.run(
            f"insert into {mart.full_name} ({columns}) select {columns}"
            f" from ({mart.of_district()}) computed where district_id = $district",
            district=district_id,
        )
    return rows


def _changed(session: Session, found: Sequence[Mart]) -> list[Mart]:
    """Marts whose table is not there, or was made for another text of their file."""
    rows = session.rows(
        "select v.mart, v.fingerprint from ops.mart_versions v"
        " join information_schema.tables t"
        " on t.table_schema = 'marts' and t.table_name = v.mart"
    )
    made = {row[0]: row[1] for row in rows}
    return [mart for mart in found if made.get(mart.name) != mart.fingerprint]


def require_made(session: Session, found: Sequence[Mart]) -> None:
    """Raises `NotFound` where the tables of these marts are not there as their files want them."""
    changed = _changed(session, found)
    if changed:
        names = ", ".join(mart.name for mart in changed)
        raise NotFound(f"marts not filled since their SQL was written or changed: {names}")


def make_marts(warehouse: Warehouse, found: Sequence[Mart]) -> None:
    """Make or extend the tables of marts, and fill nothing.

    This is a transaction of its own, because on PostgreSQL refills of other districts wait for
    it. Raises `BadConfiguration` where a table cannot be made to fit.
    """
    is_postgres = _is_postgres(warehouse)
    with warehouse.transaction() as session:
        session.lock_schema()
        # Not a district: keeps a refill of another district from making the same tables.
        session.lock_district(SCHEMA)
        results.make_of_district(session)
        changed = _changed(session, found)
        for mart in changed:
            _make(session, mart, is_postgres)
        if changed and is_postgres:
            roles.secure(session, [SCHEMA])


def _make(session: Session, mart: Mart, is_postgres: bool) -> None:
    session.run(f"drop table if exists shape_{mart.name}")
    # As it is filled: to plan the SELECT over every source takes longer than all else.
    read = {results.UNITED: results.OF_DISTRICT}
    sql = read_instead(mart.sql, read, mart.depends_on, f"sql/marts/{mart.name}.sql")
    session.run(
        f"create temp table shape_{mart.name} as select * from ({sql}) computed where false"
    )
    wanted = session.columns(f"shape_{mart.name}")
    session.run(f"drop table shape_{mart.name}")
    if list(wanted) != list(mart.columns):
        raise BadConfiguration(
            f"sql/marts/{mart.name}.sql describes the columns {', '.join(mart.columns)} and selects"
            f" {', '.join(wanted)}: make the two lists the same"
        )
    typed = ", ".join(f"{name} {kind}" for name, kind in wanted.items())
    if session.has_table(mart.full_name):
        _extend(session, mart, wanted)
    else:
        session.run(f"create table {mart.full_name} ({typed})")
    if is_postgres:
        session.run(
            f"create index if not exists {mart.name}_key"
            f" on {mart.full_name} ({', '.join(mart.key)})"
        )
    session.run(f"comment on table {mart.full_name} is {_text(mart.about)}")
    for name, description in mart.columns.items():
        session.run(f"comment on column {mart.full_name}.{name} is {_text(description)}")
    _deidentify(session, mart, is_postgres)
    session.run("delete from ops.mart_versions where mart = $mart", mart=mart.name)
    session.run(
        "insert into ops.mart_versions values ($mart, $fingerprint)",
        mart=mart.name,
        fingerprint=mart.fingerprint,
    )


def _extend(session: Session, mart: Mart, wanted: Mapping[str, str]) -> None:
    there = session.columns(mart.full_name)
    gone = [name for name in there if name not in wanted]
    turned = [name for name, kind in there.items() if name in wanted and wanted[name] != kind]
    if gone or turned:
        raise BadConfiguration(
            f"{mart.full_name} in the warehouse does not fit sql/marts/{mart.name}.sql:"
            f" no longer selected: {', '.join(gone) or 'none'};"
            f" of another type: {', '.join(turned) or 'none'}. Nothing was changed. Run"
            f" `drop view {deidentified.SCHEMA}.{mart.name}` and `drop table {mart.full_name}`"
            " there, refill every district, and grant again what others than our two groups had"
        )
    for name, kind in wanted.items():
        if name not in there:
            session.run(f"alter table {mart.full_name} add column {name} {kind}")


def _deidentify(session: Session, mart: Mart, is_postgres: bool) -> None:
    """Make the mart's view, or put it in the place of the one that is there."""
    if not is_postgres:
        session.run(mart.view_ddl(is_postgres))
        return
    view = f"{deidentified.SCHEMA}.{mart.name}"
    there = list(session.columns(view))
    gone = [name for name in there if name not in mart.deidentified()]
    if gone:
        if session.rows(BUILT_ON, view=view):
            raise BadConfiguration(
                f"{view} shall no longer show {', '.join(gone)}, and other views are built on it."
                f" Nothing was changed. Drop them, or run `drop view {view} cascade`, and refill"
            )
        session.run(f"drop view {view}")
        there = []
    session.run(mart.view_ddl(is_postgres, there))


BUILT_ON = (
    "select 1 from pg_depend d join pg_rewrite r on r.oid = d.objid"
    " where d.classid = 'pg_rewrite'::regclass and d.refobjid = cast($view as regclass)"
    " and r.ev_class <> d.refobjid limit 1"
)
"""Whether a view of PostgreSQL is read by another one."""


def _is_postgres(warehouse: Warehouse) -> bool:
    return warehouse.url.startswith("postgres")


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
