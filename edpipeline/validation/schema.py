"""A table's rules as a pandera schema of typed rows, derived from the declarations.

`rules.py` compiles the same declarations for the pass over a file, where text becomes values and
every finding keeps its line. The schema says what must be true of the values that come out, in
the words of a public library: for previews, for tests, and for anybody who wants to check a frame.
A property test holds the two together. Importing pandera costs 1.5 s, so only callers pay for it.
"""

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from edpipeline.model import Column, Edition, Mode, Rule, Table
from edpipeline.validation.rules import POLARS_TYPES

if TYPE_CHECKING:
    import pandera.polars as pa

ID = r"^[0-9A-Za-z.\-_/@]{1,255}$"
ID_LIST = r"^[0-9A-Za-z.\-_/@]+(?:,[0-9A-Za-z.\-_/@]+)*$"
OWN_OR_DERIVED_KEY = r"^(?:[0-9A-Za-z.\-_/@]{1,255}|[0-9A-Za-z.\-_/@]+:.*)$"
"""An id, or several values joined by a sign that no id holds."""
TRIMMED = r"^\S(?:.*\S)?$"
EXTENSION = "ext:"


def pandera_schema(table: Table, edition: Edition, mode: Mode) -> "pa.DataFrameSchema":
    """The schema of accepted rows: the stored columns, typed, in any order.

    Columns beside them (`line`, `row_hash`, ...) are left alone. Columns that the edition lacks
    are null throughout. Validate eagerly, with `lazy=True` to be told of every row: on a
    LazyFrame pandera looks at names and types only.
    """
    import pandera.polars as pa

    columns = {
        column.name: pa.Column(
            POLARS_TYPES[column.kind],
            nullable=_nullable(column, table, edition, mode),
            unique=column.name == table.key,
            checks=_checks(column, table, edition),
            description=column.description,
        )
        for column in table.stored_columns
    }
    return pa.DataFrameSchema(
        columns,
        strict=False,
        name=f"{table.full_name} {edition.name} {mode}",
        description=f"{table.grain}, as {edition.title}",
    )


def _nullable(column: Column, table: Table, edition: Edition, mode: Mode) -> bool:
    if column.name in (table.key, "status"):  # status is active where nothing is said
        return False
    rule = edition.rule(table.name, column.name)
    if rule is None:
        return True
    demanded = rule.presence == "required" or (rule.presence == "delta" and mode == "delta")
    return not demanded or rule.on_bad == "drop"  # there, and left out because it was no use


def _checks(column: Column, table: Table, edition: Edition) -> list[Any]:
    import pandera.polars as pa

    rule = edition.rule(table.name, column.name)
    if rule is None:
        is_filled = column.computed or column.name in (table.key, "status")
        return [] if is_filled else [pa.Check(_never, name="not_in_this_edition")]
    if rule.values:
        return [_in_values(column, rule, edition)]
    match column.kind:
        case "id":
            may_be_derived = column.name == table.key and rule.presence == "optional"
            return [pa.Check.str_matches(OWN_OR_DERIVED_KEY if may_be_derived else ID)]
        case "id_list":
            return [pa.Check.str_matches(ID_LIST)]
        case "date":
            return [pa.Check.in_range(date(1000, 1, 1), date(9999, 12, 31))]
        case "timestamp":
            return [pa.Check.in_range(datetime(1000, 1, 1), datetime(9999, 12, 31, 23, 59, 59))]
        case "year":
            return [pa.Check.in_range(1000, 9999)]
        case "number":
            return [pa.Check(_finite, name="finite"), *_bounds(column)]
        case "boolean" | "integer" | "time":
            return []
        case _:
            return [pa.Check.str_matches(TRIMMED)]


def _bounds(column: Column) -> list[Any]:
    import pandera.polars as pa

    least = [pa.Check.ge(column.least)] if column.least is not None else []
    return least + ([pa.Check.le(column.most)] if column.most is not None else [])


def _in_values(column: Column, rule: Rule, edition: Edition) -> Any:
    """One of the values of the rule (each item, for a list), or an extension where those count."""
    import pandera.polars as pa
    import polars as pl

    extends = column.extensible and edition.name == "oneroster_1_2"

    def allowed(item: pl.Expr) -> pl.Expr:
        listed = item.is_in(list(rule.values))
        return listed | item.str.starts_with(EXTENSION) if extends else listed

    def check(data: Any) -> pl.LazyFrame:
        cell = pl.col(data.key)
        if column.kind == "code_list":
            items = cell.str.split(",").list.eval(allowed(pl.element()))
            return data.lazyframe.select(items.list.all())  # type: ignore[no-any-return]
        return data.lazyframe.select(allowed(cell))  # type: ignore[no-any-return]

    return pa.Check(check, name="values", error=f"one of {', '.join(rule.values)}")


def _never(data: Any) -> Any:
    import polars as pl

    return data.lazyframe.select(pl.col(data.key).is_null())


def _finite(data: Any) -> Any:
    import polars as pl

    return data.lazyframe.select(pl.col(data.key).is_finite())
