"""One table of a delivery compared with the rows that hold now, and the difference applied.

The comparison is by key and value, in SQL, and touches only rows that are new or whose text is
not known: rows recognised by their text need nothing. Versions are closed and opened, never
overwritten, so cost follows the change.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date

import polars as pl

from edpipeline.loading.findings import Findings
from edpipeline.model import Mode, Table
from edpipeline.validation.checked import CheckedFile
from edpipeline.warehouse.engine import Session

TEMPORARY = {
    "out": "line bigint",
    "doubtful": "line bigint",
    "held": "line bigint",
    "met": "line bigint, {key} varchar, differs boolean, deletes boolean, twice boolean,"
    " old_hash bigint",
    "gone": "{key} varchar, was_active boolean",
    "left_behind": "{key} varchar, row_hash bigint",
    "orphans": "line bigint, record_id varchar, reference varchar, total bigint, missing bigint",
}
"""Temporary tables of each load, made when a statement first names them and emptied for the next
delivery: PostgreSQL keeps a lock for every table made or dropped until the transaction ends, and
most loads name few."""

RELATIONS = (*TEMPORARY, "staged", "unseen", "spoiled")
STAGED = {"line": "bigint", "row_hash": "bigint", "warned": "boolean"}


@dataclass
class Counts:
    """Rows of one file and table. `read = accepted + rejected`;
    `accepted = added + changed + unchanged + duplicate`."""

    read: int = 0
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    duplicate: int = 0
    removed: int = 0
    held: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)

    @property
    def accepted(self) -> int:
        """Rows that were used."""
        return self.read - self.rejected.total()


class TableLoad:
    """The load of one file into its table, inside one transaction.

    Temporary relations, by table name: `staged_` accepted rows, `out_` lines taken out again,
    `met_` staged rows whose key holds now, `gone_` keys that left, `left_behind_` keys that could
    not be without one that left, `held_` lines that wait, `orphans_` references that do not
    resolve, `doubtful_` their lines where that is only a warning, `unseen_` hashes of known rows
    that are not in the file, `spoiled_` keys of rejected rows.
    """

    def __init__(
        self,
        session: Session,
        checked: CheckedFile,
        mode: Mode,
        district_id: str,
        day: date,
        drop_id: str,
    ) -> None:
        self.session = session
        self.checked = checked
        self.table: Table = checked.table
        self.mode = mode
        self.parameters = {"district": district_id, "day": day, "drop_id": drop_id}
        self.findings = Findings(checked)
        self.has_rows = False
        self.has_staged = False
        self.counts = Counts(
            read=checked.read,
            duplicate=checked.duplicates + checked.repeats,
            rejected=Counter(checked.rejected),
            warnings=Counter(checked.warnings),
        )
        if checked.repeats:
            self.counts.warnings["duplicate_row"] += checked.repeats
        self.removals = 0
        """Rows that this delivery takes away: no longer there, or marked as deleted."""
        self.excluded = 0
        self.taken_out = 0
        self.waiting = 0
        self.met = 0
        self.orphans = 0
        self.gone = 0
        self.left_behind = 0
        self.doubtful = 0
        """Rows of the relations of that name (`taken_out` of `out_`, `waiting` of `held_`), which
        need no look where there are none: each would be a join as wide as the table."""
        self._ready: set[str] = set()

    def sql(self, text: str) -> str:
        """Fill in the names of this table's relations; temporary tables among them are made."""
        for name in TEMPORARY:
            if f"{{{name}}}" in text and name not in self._ready:
                self._ready.add(name)
                self._make_temporary_table(name)
        table = self.table
        names = {name: f"{name}_{table.name}" for name in RELATIONS}
        mine = [c.name for c in table.stored_columns]
        return text.format(
            **names,
            table=table.full_name,
            key=table.key,
            columns=", ".join(mine),
            s_columns=", ".join(f"s.{name}" for name in mine),
            open="t.district_id = $district and t.valid_to is null",
        )

    def run(self, text: str) -> int:
        """Run a statement with this table's names and parameters; rows changed."""
        return self.session.run(self.sql(text), **self.parameters)

    def value(self, text: str) -> int:
        """One number from a query with this table's names and parameters."""
        return int(self.session.value(self.sql(text), **self.parameters) or 0)

    def compare(self) -> None:
        """Stage the accepted rows and find what meets, what left, and what contradicts."""
        kinds = {c.name: c.sql_type for c in self.table.stored_columns}
        accepted = self.checked.accepted_files()
        self.has_staged = bool(accepted)
        self.session.stage(self.sql("{staged}"), accepted, STAGED | kinds)
        excluded = self.checked.spool / "excluded.parquet"
        if excluded.exists():
            self.session.stage(self.sql("excluded_{staged}"), [excluded], {"line": "bigint"})
            self.excluded = self.run("insert into {out} select line from excluded_{staged}")
            self.taken_out = self.excluded
        self.has_rows = bool(
            self.checked.known.hashes.size
            or self.value("select 1 from {table} t where {open} limit 1")
        )
        may_lack_rows = self.has_rows and self.mode != "delta" and self._may_lack_rows()
        if self.has_rows and (self.has_staged or may_lack_rows):
            self._stage_known()
            if self.has_staged:
                self._find_met()
            self._settle_contradicted()
            self._settle_twice()
            if may_lack_rows:
                self._find_gone()
            if self.gone:
                self.removals += self.value("select count(*) from {gone} where was_active")
            if self.met and self._has_status():
                self.removals += self.value("select count(*) from {met} where deletes")

    def _make_temporary_table(self, name: str) -> None:
        relation = f"{name}_{self.table.name}"
        if relation in self.session.made:
            self.session.run(f"delete from {relation}")
        else:
            columns = TEMPORARY[name].format(key=self.table.key)
            self.session.run(f"create temp table {relation} ({columns})")
            self.session.made.add(relation)

    def _stage_known(self) -> None:
        """Known rows that are not in today's file, and keys of rejected rows."""
        known = self.checked.known
        unseen = pl.DataFrame({"row_hash": known.hashes[known.lines == 0]})
        self._stage_frame("{unseen}", unseen, {"row_hash": "bigint"})
        self._stage_frame("{spoiled}", self.findings.spoiled_keys(), {"record_id": "varchar"})

    def _stage_frame(self, name: str, frame: pl.DataFrame, kinds: dict[str, str]) -> None:
        path = self.checked.spool / f"{self.sql(name)}.parquet"
        if frame.height:
            frame.write_parquet(path)
        self.session.stage(self.sql(name), [path] if frame.height else [], kinds)

    def _find_met(self) -> None:
        compared = [
            c.name for c in self.table.stored_columns if c.compared and c.name != self.table.key
        ]
        differs = " or ".join(f"s.{name} is distinct from t.{name}" for name in compared)
        has_status = "status" in compared
        deletes = (
            "s.status = 'tobedeleted' and t.status <> 'tobedeleted'" if has_status else "false"
        )
        self.met = self.run(
            f"""insert into {{met}}
            select s.line, s.{{key}}, ({differs}) as differs, ({deletes}) as deletes,
                not t.warned and not exists (
                    select 1 from {{unseen}} u where u.row_hash = t.row_hash) as twice,
                t.row_hash as old_hash
            from {{staged}} s join {{table}} t on {{open}} and t.{{key}} = s.{{key}}
            where {self.still_in()}"""
        )

    def still_in(self) -> str:
        """A condition on staged rows `s`: they were not taken out."""
        return "s.line not in (select line from {out})" if self.taken_out else "true"

    def _settle_twice(self) -> None:
        """Keys that stand in the file once unchanged and once in other words."""
        if not self.met:
            return
        rows = self.session.frame(
            self.sql("select line, {key} as record_id, differs, old_hash from {met} where twice"),
            **self.parameters,
        )
        if not rows.height:
            return
        copies, conflicts = rows.filter(~pl.col("differs")), rows.filter("differs")
        self.counts.duplicate += copies.height
        self.findings.add("duplicate_row", copies.select("line", "record_id"), self.table.key)
        self.counts.warnings["duplicate_row"] += copies.height
        lines = self.checked.known.lines_of(conflicts["old_hash"].to_numpy())
        earlier = conflicts.select(pl.Series("line", lines), "record_id").unique("line")
        both = pl.concat([conflicts.select(pl.col("line").cast(pl.UInt32), "record_id"), earlier])
        self.findings.add("duplicate_conflict", both, self.table.key)
        if both.height:
            self.counts.rejected["duplicate_conflict"] += both.height
            self.checked.recognised -= earlier.height
        self.taken_out += self.run("insert into {out} select line from {met} where twice")

    def _settle_contradicted(self) -> None:
        """Keys that stand once unchanged, and several times in other words that contradict each
        other: those were taken out by the pass, and the unchanged one goes with them."""
        if not self.excluded:
            return
        rows = self.session.frame(
            self.sql(
                """select distinct t.{key} as record_id, t.row_hash
                from {out} o join {staged} s on s.line = o.line
                    join {table} t on {open} and t.{key} = s.{key}
                where not t.warned
                    and not exists (select 1 from {unseen} u where u.row_hash = t.row_hash)
                    and not exists (select 1 from {met} m where m.{key} = t.{key})"""
            ),
            **self.parameters,
        )
        if rows.height:
            lines = pl.Series("line", self.checked.known.lines_of(rows["row_hash"].to_numpy()))
            self.findings.add("duplicate_conflict", rows.select(lines, "record_id"), self.table.key)
            self.counts.rejected["duplicate_conflict"] += rows.height
            self.checked.recognised -= rows.height

    def _find_gone(self) -> None:
        active = "t.status <> 'tobedeleted'" if self._has_status() else "true"
        self.gone = self.run(
            f"""insert into {{gone}}
            select t.{{key}}, {active} as was_active from {{table}} t
            where {{open}}
                and (t.warned or t.row_hash in (select row_hash from {{unseen}}))
                and not exists (select 1 from {{staged}} s where s.{{key}} = t.{{key}})
                and not exists (select 1 from {{spoiled}} r where r.record_id = t.{{key}})
                {self._within_snapshot()}"""
        )
        if self.gone and self.table.derived_key:
            # Of a built key only the beginning may be known; it protects all that begin so.
            self.gone -= self.run(
                """delete from {gone} as g where exists (
                    select 1 from {spoiled} r where starts_with(g.{key}, r.record_id || ':'))"""
            )

    def _may_lack_rows(self) -> bool:
        """Where every known row is in the file, only rows that are not taken as known may lack."""
        known = self.checked.known
        return not known.lines.all() or bool(
            self.value("select 1 from {table} t where {open} and t.warned limit 1")
        )

    def _within_snapshot(self) -> str:
        """Of a snapshot, only rows of the groups that are in the file can have vanished."""
        if self.mode != "snapshot":
            return ""
        names = self.table.snapshot_of
        same = " and ".join(f"g.{name} is not distinct from t.{name}" for name in names)
        if apart := self.table.snapshot_apart:
            # Spreadsheets take leading zeros from codes; that makes no other school.
            code = f"coalesce(ltrim({{}}.{apart}, '0'), '')"
            mine, theirs = code.format("g"), code.format("t")
            same += f" and ({mine} = {theirs} or {mine} = '' or {theirs} = '')"
            names = (*names, apart)
        listed = ", ".join(names)
        return f"""and exists (
            select 1 from (
                select distinct {listed} from {{staged}}
                union select distinct {", ".join(f"k.{name}" for name in names)} from {{table}} k
                where k.district_id = $district and k.valid_to is null and not k.warned
                    and k.row_hash not in (select row_hash from {{unseen}})
            ) g where {same})"""

    def _has_status(self) -> bool:
        return any(column.name == "status" for column in self.table.columns)

    def apply(self, hold_removals: bool) -> None:
        """Close and open versions; called after references have taken lines out."""
        held = " and not deletes" if hold_removals else ""
        if hold_removals:
            self.waiting = self.run(
                "insert into {held} select line from {met}"
                " where deletes and not twice and line not in (select line from {out})"
            )
        if self.met:
            self.counts.changed = self.close(
                f"""t.{{key}} in (select {{key}} from {{met}}
                    where differs and not twice{held} and line not in (select line from {{out}}))"""
            )
        inserted = self._insert() if self.has_staged else 0
        self.counts.added = inserted - self.counts.changed
        refreshed = self._refresh()
        self.counts.unchanged = self.checked.recognised + refreshed + self.waiting
        if not hold_removals and self.gone:
            self.counts.removed = self.close("t.{key} in (select {key} from {gone})")
        self.counts.held = self.removals if hold_removals else 0

    def close(self, which: str) -> int:
        """Close open versions; those opened by an earlier delivery of this day never were."""
        never = self.run(
            f"delete from {{table}} as t where {{open}} and t.valid_from = $day and {which}"
        )
        return never + self.run(
            f"update {{table}} as t set valid_to = $day where {{open}} and {which}"
        )

    def _insert(self) -> int:
        wanted = [self.still_in()]
        if self.waiting:
            wanted.append("s.line not in (select line from {held})")
        if self.met:
            wanted.append("s.line not in (select line from {met} where not differs)")
        return self.run(
            f"""insert into {{table}} (district_id, {{columns}}, valid_from, valid_to, row_hash,
                warned, drop_id, line)
            select $district, {{s_columns}}, $day, null, s.row_hash, s.warned, $drop_id, s.line
            from {{staged}} s
            where {" and ".join(wanted)}"""
        )

    def _refresh(self) -> int:
        """Rows of the same value in other words keep their version; the text is remembered."""
        if not self.met:
            return 0
        latest = (c.name for c in self.table.stored_columns if c.latest)
        stamps = "".join(f", {name} = s.{name}" for name in latest)
        return self.run(
            f"""update {{table}} as t set row_hash = s.row_hash, warned = s.warned{stamps}
            from {{staged}} s join {{met}} m on m.line = s.line
            where {{open}} and t.{{key}} = m.{{key}} and not m.differs and not m.twice
                and m.line not in (select line from {{out}})"""
        )

    def mark_doubtful(self) -> None:
        """Rows with unresolved references are not taken as known next time."""
        if self.doubtful:
            self.run(
                """update {table} as t set warned = true
                where {open} and t.drop_id = $drop_id and t.valid_from = $day
                    and t.line in (select line from {doubtful})"""
            )
            self.run(
                """update {table} as t set warned = true from {met} m
                where {open} and t.{key} = m.{key} and not m.differs
                    and m.line in (select line from {doubtful})"""
            )

    def record_held(self, source: str, reason: str) -> None:
        """List what waits for approval, replacing what waited before."""
        everything = (
            "select {key}, 'removal' as change from {gone} where was_active"
            " union all select {key}, 'marked as deleted' from {met} where deletes"
            " union all select {key}, 'left behind' from {left_behind}"
        )
        self.session.run(
            self.sql(
                "insert into ops.held_changes select $district, $source, $day, $drop_id, $table,"
                f" {{key}}, change, $reason from ({everything}) waiting"
            ),
            source=source,
            table=self.table.full_name,
            reason=reason,
            **self.parameters,
        )
