"""References between the tables of a source, checked against the rows that will hold.

Tables load in the order of their declaration, so what a row names is there before the row.
A reference that must resolve takes its row out; any other is listed. When a record leaves, rows
that could not be without it leave with it.
"""

from collections.abc import Collection, Mapping, Sequence

import polars as pl

from edpipeline.loading.compare import TableLoad
from edpipeline.model import Column, Source, Table
from edpipeline.validation.checked import FileFinding
from edpipeline.warehouse.engine import Session


class References:
    """The reference checks of one delivery."""

    def __init__(
        self, session: Session, source: Source, district_id: str, without: Collection[str] = ()
    ) -> None:
        self.session = session
        self.source = source
        self.district_id = district_id
        self.without = without
        self._has_targets: dict[str, bool] = {}

    def take_out(self, load: TableLoad) -> None:
        """Reject staged rows whose required references do not resolve."""
        for column in _referring(load.table, required=True):
            if not self._can_check(load, column):
                continue
            if not self._find_orphans(load, column):
                continue
            if column.kind == "id_list":
                missing = self._rows(load, "where total = missing")
                partly = self._rows(load, "where total > missing")
                self._warn(load, column, partly)
            else:
                missing = self._rows(load, "")
            self._reject(load, column, missing)

    def warn(self, load: TableLoad) -> None:
        """List rows of this delivery whose other references do not resolve."""
        for column in _referring(load.table, required=False):
            if not self._can_check(load, column):
                continue
            if self._find_orphans(load, column):
                self._warn(load, column, self._rows(load, ""))

    def find_left_behind(self, loads: Sequence[TableLoad]) -> None:
        """Which rows could not stay if what is gone went, table by table in their order.

        The guard counts them, so that a lost school cannot take its classes along unseen.
        """
        by_name = {load.table.name: load for load in loads}
        for load in loads:
            for column in _referring(load.table, required=True):
                target = by_name.get(column.references.table if column.references else "")
                if target is None or column.kind == "id_list":
                    continue
                if not target.gone and not target.left_behind:
                    continue
                load.left_behind += load.run(
                    f"""insert into {{left_behind}}
                    select t.{{key}}, t.row_hash from {{table}} t
                    where {{open}} and t.{column.name} in (
                            select {target.sql("{key}")} from {target.sql("{gone}")}
                            union select {target.sql("{key}")} from {target.sql("{left_behind}")})
                        and t.{{key}} not in (select {{key}} from {{gone}})
                        and t.{{key}} not in (select {{key}} from {{left_behind}})"""
                )

    def close_left_behind(self, load: TableLoad) -> None:
        """Close rows that hold only thanks to records that just left."""
        if not load.left_behind:
            return
        for column in _referring(load.table, required=True):
            if column.references is not None and column.kind != "id_list":
                target = self.source.table(column.references.table)
                self._close(load, column, target)

    def _close(self, load: TableLoad, column: Column, target: Table) -> None:
        """Rows left behind that were changed today to name another record stay."""
        broken = (
            "t.{key} in (select {key} from {left_behind})"
            f" and t.{column.name} is not null"
            f" and not exists ({self._target(target.name, f't.{column.name}')})"
        )
        orphans = self.session.frame(
            load.sql(
                "select t.{key} as record_id, t.row_hash from {table} t where {open} and " + broken
            ),
            **load.parameters,
        )
        if not orphans.height:
            return
        load.counts.removed += load.close(broken)
        lines = load.checked.known.lines_of(orphans["row_hash"].to_numpy())
        present = orphans.with_columns(pl.Series("line", lines)).filter(pl.col("line") > 0)
        load.findings.add("reference_missing", present.select("line", "record_id"), column.name)
        load.counts.unchanged -= present.height
        if present.height:
            load.counts.rejected["reference_missing"] += present.height

    def _target(self, table: str, expression: str) -> str:
        """A subquery with a row where the expression names a record of the table."""
        target = self.source.table(table)
        if self._is_schools(target):
            self._has_target(table)  # known_schools has the organisations from then on
            return f"select 1 from known_schools k where k.school_id = {expression}"
        return (
            f"select 1 from {target.full_name} x where x.district_id = $district"
            f" and x.valid_to is null and x.{target.key} = {expression}"
        )

    def _is_schools(self, table: Table) -> bool:
        return table.name == "orgs"

    def _can_check(self, load: TableLoad, column: Column) -> bool:
        """Without a single record to point to, references cannot be checked; that is said.

        Where no new row has a value in the column, there is nothing to check.
        """
        if column.name not in load.checked.filled:
            return False
        target = column.references.table if column.references else ""
        if self._has_target(target) or target == load.table.name:
            return True
        if target not in self.without:
            text = (
                f"{load.checked.name}: {column.header} was not checked, because there is no"
                f" {self.source.table(target).file}"
            )
            load.checked.findings.append(FileFinding("unchecked_reference", text))
        return False

    def _has_target(self, target: str) -> bool:
        """Whether there is a record to point to; looked up once, after its table was loaded."""
        if target not in self._has_targets:
            table = self.source.table(target)
            holding = f"from {table.full_name} where district_id = $district and valid_to is null"
            if self._is_schools(table):
                # Organisations have been loaded by now: they join the districts file's schools.
                self.session.run(
                    f"insert into known_schools select {table.key} {holding}",
                    district=self.district_id,
                )
                self.session.analyze("known_schools")
                holding = "from known_schools"
            known = self.session.rows(f"select 1 {holding} limit 1", district=self.district_id)
            self._has_targets[target] = bool(known)
        return self._has_targets[target]

    def _find_orphans(self, load: TableLoad, column: Column) -> int:
        """Fill `orphans`: line, record_id, reference, total and missing items; how many."""
        if load.orphans:
            load.run("delete from {orphans}")
        load.orphans = self._insert_orphans(load, column)
        return load.orphans

    def _insert_orphans(self, load: TableLoad, column: Column) -> int:
        target = column.references.table if column.references else ""
        name = column.name
        if column.kind != "id_list":
            return load.run(
                f"""insert into {{orphans}}
                select s.line, s.{{key}} as record_id, s.{name} as reference, 1 as total,
                    1 as missing
                from {{staged}} s
                where s.{name} is not null and {load.still_in()}
                    and not exists ({self._target(target, f"s.{name}")})"""
            )
        return load.run(
            f"""insert into {{orphans}}
            select line, record_id, min(reference) as reference, count(*) as total,
                count(*) filter (where not found) as missing
            from (
                select line, record_id, reference,
                    exists ({self._target(target, "items.reference")}) as found
                from (
                    select s.line, s.{{key}} as record_id,
                        unnest(string_to_array(s.{name}, ',')) as reference
                    from {{staged}} s
                    where s.{name} is not null and {load.still_in()}
                ) items
            ) looked
            group by line, record_id
            having count(*) filter (where not found) > 0"""
        )

    def _rows(self, load: TableLoad, where: str) -> pl.DataFrame:
        return self.session.frame(
            load.sql(f"select line, record_id, reference from {{orphans}} {where}")
        )

    def _reject(self, load: TableLoad, column: Column, rows: pl.DataFrame) -> None:
        if not rows.height:
            return
        where = "where total = missing" if column.kind == "id_list" else ""
        load.taken_out += load.run(f"insert into {{out}} select line from {{orphans}} {where}")
        target = column.references.table if column.references else ""
        table = self.source.table(target)
        known = (
            f"select x.{table.key} as id from {table.full_name} x"
            " where x.district_id = $district and x.valid_to is null"
        )
        if self._is_schools(table):
            known = "select k.school_id as id from known_schools k"
        zeros = self.session.frame(
            load.sql(
                "select o.line from {orphans} o where ltrim(o.reference, '0') in"
                f" (select ltrim(known.id, '0') from ({known}) known)"
            ),
            district=self.district_id,
        )
        lost = rows.join(zeros.unique(), on="line", how="semi")
        other = rows.join(zeros, on="line", how="anti")
        for code, found in (("reference_lost_zeros", lost), ("reference_missing", other)):
            load.findings.add(code, found.select("line", "record_id"), column.name)
            if found.height:
                load.counts.rejected[code] += found.height

    def _warn(self, load: TableLoad, column: Column, rows: pl.DataFrame) -> None:
        """Listed rows are marked, so that they are looked at again in each delivery."""
        if not rows.height:
            return
        load.findings.add("reference_unknown", rows.select("line", "record_id"), column.name)
        load.counts.warnings["reference_unknown"] += rows.height
        load.doubtful += load.run("insert into {doubtful} select line from {orphans}")


def _referring(table: Table, required: bool) -> list[Column]:
    return [
        column
        for column in table.stored_columns
        if column.references is not None and column.references.required == required
    ]


def stage_schools(session: Session, schools: Mapping[str, str]) -> None:
    """The schools of the districts file as temporary table `known_schools` (`school_id`)."""
    if "known_schools" in session.made:
        session.run("delete from known_schools")
    else:
        session.run("create temp table known_schools (school_id varchar)")
        session.made.add("known_schools")
    if schools:
        session.run(
            "insert into known_schools select unnest(string_to_array($ids, ','))",
            ids=",".join(schools),
        )
