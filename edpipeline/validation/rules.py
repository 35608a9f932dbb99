"""The rules of a table in an edition, compiled to polars expressions.

Compiled once per file from the declarations; evaluated on every piece of the file in one pass.
The frames are text: one column per warehouse column, null where the field was empty.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache

import polars as pl

from edpipeline.model import Column, Edition, Kind, Mode, Rule, Table
from edpipeline.reading.delimited import NOTED
from edpipeline.validation.codes import CODES, Severity

VERSION = 4
"""Raised when a rule changes, so that rows accepted under older rules are looked at again."""

LONGEST_ID = 255
NOT_AN_ID = r"[^0-9A-Za-z.\-_/@]"
NOT_AN_ID_LIST = r"[^0-9A-Za-z.\-_/@,]|^,|,,|,$"
YEAR = r"^[1-9][0-9]{3}$"
YEAR_RANGE = r"^[1-9][0-9]{3}[-/](?:[0-9]{4}|[0-9]{2})$"
EARLIEST, LATEST = datetime(1000, 1, 1), datetime(9999, 12, 31, 23, 59, 59)
"""Years have four digits; others are damage, and PostgreSQL writes them in another way."""
EDGE_BLANKS = r"^\s|\s$"
DAMAGE = "\ufffd|Ã[\u0080-\u00bf]|â€"
BLANKS_IN_LIST = r"\s,|,\s"
ODD_TEXT = f"{EDGE_BLANKS}|{DAMAGE}"
MENDED, PARSED = " mended", " parsed"
"""What is added to a column's name for what it is mended to, and for what that is read as."""
FREE_TEXT: frozenset[Kind] = frozenset(("text", "text_list", "timestamp", "number", "integer"))
"""Kinds whose rules alone do not notice blanks around a value."""
TYPED: frozenset[Kind] = frozenset(("number", "date", "time", "timestamp"))
TIMESTAMP_FORMATS = (
    "%Y-%m-%dT%H:%M:%S%.fZ",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
)
NO_VALUES = (
    *("#N/A", "N/A", "n/a", "NA", "NULL", "null", "None", "NaN", "nan", "-"),
    *("#REF!", "#VALUE!", "#NAME?"),
)
"""What spreadsheets, databases and statistics programs write where there is nothing; part of no
key, and in exports of results no number, date or time."""
TIME_FORMATS = ("%H:%M:%S",)
SHOWN = {
    "%Y": "YYYY",
    "%m": "MM",
    "%d": "DD",
    "%y": "YY",
    "%H": "HH",
    "%I": "HH",
    "%M": "MM",
    "%S": "SS",
    "%p": "AM/PM",
    "%.f": "",
    "%:z": "+HH:MM",
}
POLARS_TYPES: dict[Kind, pl.DataType] = {
    "id": pl.String(),
    "id_list": pl.String(),
    "text": pl.String(),
    "text_list": pl.String(),
    "code": pl.String(),
    "code_list": pl.String(),
    "boolean": pl.Boolean(),
    "date": pl.Date(),
    "time": pl.Time(),
    "timestamp": pl.Datetime("us"),
    "integer": pl.Int64(),
    "number": pl.Float64(),
    "year": pl.Int32(),
}


@dataclass(frozen=True)
class Check:
    """One rule: `failed` is true for the rows that break it (null counts as not failed)."""

    code: str
    column: str
    severity: Severity
    message: str
    failed: pl.Expr


@dataclass(frozen=True)
class Rules:
    """Everything to evaluate on the text frame of one file.

    Nearly every row of nearly every file is clean, so that is asked first, in as few and as cheap
    expressions as will do; `checks` and `values` are for the rest.

    What several expressions need, or one that is made of many, is a column of its own first:
    polars computes each expression alone, and planning it takes time with its depth as well.
    `parsed_as_written(frame)` has them for all that is said of clean rows,
    `mended_and_parsed(frame)` for the rest.
    """

    clean: tuple[pl.Expr, ...]
    """All of them are true for rows that break no rule and need no mending."""
    odd: tuple[pl.Expr, ...]
    """Any of them is true where text needs mending that is all ASCII."""
    odd_beyond_ascii: tuple[pl.Expr, ...]
    """The same for any text."""
    clean_values: tuple[pl.Expr, ...]
    """Typed values of the stored columns of clean rows, named as in the warehouse."""
    checks: tuple[Check, ...]
    values: tuple[pl.Expr, ...]
    """The same for any row that is not rejected."""
    key: pl.Expr
    """The key as text, also for rows that are rejected; null where it cannot be known."""
    noted: int
    """How many of the checks, the last ones, are about what splitting a line has noted."""
    written: tuple[pl.Expr, ...]
    mended: tuple[pl.Expr, ...]
    parsed: tuple[pl.Expr, ...]

    def parsed_as_written(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The text frame with what `is_clean` and `clean_values` need."""
        return rows.with_columns(*self.written)

    def is_clean(self, rows: pl.DataFrame, is_ascii: bool) -> pl.Series:
        """Which rows break no rule and need no mending."""
        odd = self.odd if is_ascii else self.odd_beyond_ascii
        clean_names = [f"clean {n}" for n in range(len(self.clean))]
        odd_names = [f"odd {n}" for n in range(len(odd))]
        named = zip((*self.clean, *odd), (*clean_names, *odd_names), strict=True)
        asked = [each.alias(name) for each, name in named]
        found = rows.select(pl.repeat(False, pl.len()).alias("none"), *asked)
        is_odd = pl.any_horizontal("none", *odd_names).fill_null(False)
        return found.select(pl.all_horizontal(~is_odd, *clean_names)).to_series()

    def mended_and_parsed(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The text frame with what `broken`, `values` and `key` need."""
        return rows.with_columns(*self.mended).with_columns(*self.parsed)

    def broken(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Which rows break which rule: `line`, and a boolean by the position of each check."""
        failed = [
            check.failed.fill_null(False).alias(str(n)) for n, check in enumerate(self.checks)
        ]
        if not self.noted:
            return rows.select("line", *failed)
        found = rows.select("line", NOTED, *failed[: -self.noted])
        return found.with_columns(*failed[-self.noted :]).drop(NOTED)

    def any_of(self, severity: Severity, broken: pl.DataFrame) -> pl.Series:
        """True for rows that break any rule of that severity."""
        found = [str(n) for n, check in enumerate(self.checks) if check.severity == severity]
        any_of_them = pl.any_horizontal(found) if found else pl.repeat(False, pl.len())
        return broken.select(any_of_them.alias(severity)).to_series()


def compile_rules(
    table: Table,
    edition: Edition,
    mode: Mode,
    present: Sequence[str],
    given: Mapping[str, str] | None = None,
) -> Rules:
    """The rules for the columns that are `present` (warehouse names).

    `given` are values that every row has, by column.
    """
    named = tuple(sorted((given or {}).items()))
    return _compiled(table, edition, mode, tuple(present), named)


@lru_cache(maxsize=64)
def _compiled(
    table: Table,
    edition: Edition,
    mode: Mode,
    present: tuple[str, ...],
    named: tuple[tuple[str, str], ...],
) -> Rules:
    given = dict(named)
    parts: dict[str, _Part] = {}
    first: dict[str, list[pl.Expr]] = {"written": [], "mended": [], "parsed": []}
    for column in table.columns:
        if column.name in given:
            value = pl.lit(given[column.name])
            parts[column.name] = _Part((), value, pl.lit(True), value)
            continue
        rule = edition.rule(table.name, column.name)
        if rule is None or column.name not in present:
            missing = pl.lit(None, dtype=POLARS_TYPES[column.kind])
            parts[column.name] = _Part((), missing, pl.lit(True), missing)
            continue
        as_written = _column_part(column, rule, pl.col(column.name), edition)
        text = pl.col(f"{column.name}{MENDED}")
        mended = _column_part(column, rule, text, edition)
        required = _presence(column, rule, text, mode)
        first["mended"].append(_mended(column, table).alias(f"{column.name}{MENDED}"))
        first["written"] += _named(as_written.first_parsed, column)
        first["parsed"] += _named(mended.parsed, column)
        parts[column.name] = _Part(
            (*required, *_odd_characters(column), *mended.checks),
            mended.value,
            as_written.clean.fill_null(True) & (_is_there(column) if required else True),
            as_written.clean_value,
        )
    own_key = edition.rule(table.name, table.key)
    if table.derived_key and own_key is not None and own_key.presence == "optional":
        parts[table.key] = _with_derived_key(parts, table, present)
    if table.built_keys:
        _build_computed(parts, table, edition, present, given)
    checks = [check for part in parts.values() for check in part.checks]
    noted = _noted(edition, table, checks)
    between = _between_columns({name: part.value for name, part in parts.items()}, present)
    clean_between = _between_columns({n: part.clean_value for n, part in parts.items()}, present)
    stored = [column.name for column in table.stored_columns]
    texts = [c.name for c in table.columns if c.kind in FREE_TEXT and c.name in present]
    clean = [
        *(parts[name].clean for name in parts if name in present),
        ~_any(check.failed for check in clean_between),
        *([pl.col(NOTED).is_null()] if noted else []),
    ]
    return Rules(
        clean=tuple(clean),
        odd=tuple(_has_edge_blanks(name) for name in texts),
        odd_beyond_ascii=tuple(pl.col(name).str.contains(ODD_TEXT) for name in texts),
        clean_values=tuple(_stored(name, parts[name].clean_value) for name in stored),
        checks=(*checks, *between, *noted),
        values=tuple(_stored(name, parts[name].value) for name in stored),
        key=_known_key(parts, table, present).alias(table.key),
        noted=len(noted),
        **{name: tuple(expressions) for name, expressions in first.items()},
    )


@dataclass(frozen=True)
class _Part:
    """What one column adds. Where it has a `parsed`, the others may read that as a column of its
    own (see `_parsed`); clean rows have `first_parsed` there."""

    checks: tuple[Check, ...]
    value: pl.Expr
    clean: pl.Expr
    clean_value: pl.Expr
    parsed: pl.Expr | None = None
    first_parsed: pl.Expr | None = None


def _parsed(column: Column) -> pl.Expr:
    return pl.col(f"{column.name}{PARSED}")


def _named(parsed: pl.Expr | None, column: Column) -> list[pl.Expr]:
    return [] if parsed is None else [parsed.alias(f"{column.name}{PARSED}")]


def _with_derived_key(parts: dict[str, _Part], table: Table, present: Sequence[str]) -> _Part:
    """The key's part, where a key that is not there is made of other columns."""
    made_of = [parts[name] for name in table.derived_key if name in present]
    if not made_of:
        return parts[table.key]
    key, clean_key = (
        pl.concat_str(values, separator=":", ignore_nulls=True)
        for values in zip(*((part.value, part.clean_value) for part in made_of), strict=True)
    )
    if table.key not in present:
        return _Part((), key, pl.lit(True), clean_key)
    own = parts[table.key]
    # Nearly every row has its own: the others are no clean rows, so that these need no second key.
    is_there = pl.col(table.key).is_not_null()
    return _Part(own.checks, pl.coalesce(own.value, key), own.clean & is_there, own.clean_value)


def _build_computed(
    parts: dict[str, _Part],
    table: Table,
    edition: Edition,
    present: Sequence[str],
    given: Mapping[str, str],
) -> None:
    """The key, and the value to match students on, from the columns they are made of."""

    values = {name: part.value for name, part in parts.items()}
    clean_values = {name: part.clean_value for name, part in parts.items()}
    candidates = edition.match_columns.get(given.get("match_field", ""), ())  # type: ignore[call-overload]
    named = [name for name in candidates if name in present]
    if named:
        value, clean = (pl.coalesce(of[name] for name in named) for of in (values, clean_values))
        parts["match_value"] = _Part((), value, pl.lit(True), clean)
        values["match_value"], clean_values["match_value"] = value, clean
    there = {*present, *given, "match_value"}
    key, clean_key = (_built_key(of, table, there) for of in (values, clean_values))
    parts[table.key] = _Part((), key, pl.lit(True), clean_key)


def _built_key(values: Mapping[str, pl.Expr], table: Table, there: Set[str]) -> pl.Expr:
    """The first alternative whose columns are all filled; the last one in any case."""

    def text(name: str) -> pl.Expr:
        written = values[name].cast(pl.String)
        return pl.when(~written.is_in(list(NO_VALUES))).then(written)

    *tried, last = table.built_keys
    made = pl.concat_str([text(name).fill_null("") for name in last], separator=":")
    for names in reversed([names for names in tried if set(names) <= there]):
        texts = [text(name) for name in names]
        filled = pl.all_horizontal(each.is_not_null() for each in texts)
        made = pl.when(filled).then(pl.concat_str(texts, separator=":")).otherwise(made)
    return made


def _noted(edition: Edition, table: Table, checks: Sequence[Check]) -> list[Check]:
    """What splitting a line may have noted, where it may. Looks at what the other checks found.

    Where the break of a line of another length is cannot be seen; a value before its last quarter
    that is unusable tells that it is before that, and what comes after it is another value. So it
    is where a row has too few fields, but there a single such value may be as it is.
    """
    if table.name not in edition.headers:
        return []
    # Of one value only one of its checks fails: it is no number, or it is beyond the bounds.
    dropped = [str(n) for n, check in enumerate(checks) if check.code == "value_dropped"]
    unusable = pl.sum_horizontal(pl.lit(0), *dropped)
    code = CODES["line_shifted"]
    least = pl.when(pl.col(NOTED) == "record_length").then(1).otherwise(2)
    shifted = pl.col(NOTED).is_not_null() & (unusable >= least)
    return [
        Check(code.name, "", code.severity, f"{code.meaning} {code.remedy}", shifted),
        *_as_noted(),
    ]


def _as_noted() -> list[Check]:
    return [
        Check(
            code,
            "",
            CODES[code].severity,
            f"{CODES[code].meaning} {CODES[code].remedy}",
            pl.col(NOTED) == code,
        )
        for code in ("row_padded", "record_length")
    ]


def _known_key(parts: dict[str, _Part], table: Table, present: Sequence[str]) -> pl.Expr:
    """The key of a row, or as much of the beginning of a derived key as is known."""
    if table.built_keys:
        return parts[table.key].value
    made_of = [parts[name].value for name in table.derived_key if name in present]
    beginnings = [
        pl.concat_str(made_of[:length], separator=":") for length in range(len(made_of), 0, -1)
    ]
    if table.key not in present:
        return pl.coalesce(*beginnings)
    own = parts[table.key].value
    blank = pl.col(table.key).is_null()
    return pl.coalesce(own, pl.when(blank).then(pl.coalesce(*beginnings))) if beginnings else own


def _stored(name: str, value: pl.Expr) -> pl.Expr:
    return (value.fill_null("active") if name == "status" else value).alias(name)


def _any(failed: Iterable[pl.Expr]) -> pl.Expr:
    expressions = list(failed)
    if not expressions:
        return pl.lit(False)
    return pl.any_horizontal(expressions).fill_null(False)


def _mended(column: Column, table: Table) -> pl.Expr:
    """The column without blanks around its value (and around the items of lists), and in results
    without what stands for nothing and around numbers."""
    stripped = pl.col(column.name).str.strip_chars()
    if column.kind in ("id_list", "text_list", "code_list"):
        stripped = stripped.str.replace_all(r"\s*,\s*", ",")
    nothing = ["", *NO_VALUES] if table.built_keys and column.kind in TYPED else [""]
    text: pl.Expr = pl.when(~stripped.is_in(nothing)).then(stripped)
    if table.built_keys and column.kind == "number":
        text = text.str.replace(r"^([0-9]{1,3}),([0-9]{3}([.][0-9]+)?)$", "$1$2")
        text = text.str.replace(r"^([0-9.]+) *%$", "$1")
    return text


def _is_there(column: Column) -> pl.Expr:
    return pl.col(column.name).is_not_null()


def _has_edge_blanks(name: str) -> pl.Expr:
    text = pl.col(name)
    return text.str.strip_chars().str.len_bytes() != text.str.len_bytes()


def _odd_characters(column: Column) -> tuple[Check, ...]:
    text = pl.col(column.name)
    return (
        _check("blanks_removed", column, text.str.contains(EDGE_BLANKS)),
        _check("damaged_text", column, text.str.contains(DAMAGE)),
    )


def _check(code: str, column: Column, failed: pl.Expr, detail: str = "") -> Check:
    known = CODES[code]
    message = f"{column.header}: {known.meaning}{detail} {known.remedy}"
    return Check(code, column.name, known.severity, message, failed)


def _bad(code: str, column: Column, rule: Rule, failed: pl.Expr, detail: str = "") -> Check:
    """An unusable value: it rejects the row, or is left out with a warning."""
    check = _check(code, column, failed, detail)
    if rule.on_bad == "reject":
        return check
    dropped = CODES["value_dropped"]
    message = f"{column.header}: {CODES[code].meaning}{detail} It was left out; the row is used."
    return Check("value_dropped", column.name, dropped.severity, message, failed)


def _presence(column: Column, rule: Rule, text: pl.Expr, mode: Mode) -> tuple[Check, ...]:
    if rule.presence == "required":
        return (_check("missing_value", column, text.is_null()),)
    if rule.presence == "delta" and mode == "delta":
        return (_check("missing_in_delta", column, text.is_null()),)
    return ()


def _column_part(column: Column, rule: Rule, text: pl.Expr, edition: Edition) -> _Part:
    if column.kind == "code":
        return _code(column, rule, text, edition)
    if column.kind == "code_list":
        return _code_list(column, rule, text, edition)
    return _KINDS[column.kind](column, rule, text)


def _plain(column: Column, rule: Rule, text: pl.Expr) -> _Part:
    return _Part((), text, pl.lit(True), text)


def _text_list(column: Column, rule: Rule, text: pl.Expr) -> _Part:
    return _Part((), text, ~text.str.contains(BLANKS_IN_LIST), text)


def _unless(column: Column, rule: Rule, code: str, failed: pl.Expr, text: pl.Expr) -> _Part:
    """Text that is kept as it is unless it failed; rejected rows need no care."""
    kept = text if rule.on_bad == "reject" else pl.when(~failed).then(text)
    return _Part((_bad(code, column, rule, failed),), kept, ~failed, text)


def _id(column: Column, rule: Rule, text: pl.Expr) -> _Part:
    failed = text.str.contains(NOT_AN_ID) | (text.str.len_bytes() > LONGEST_ID)
    return _unless(column, rule, "bad_id", failed, text)


def _id_list(column: Column, rule: Rule, text: pl.Expr) -> _Part:
    return _unless(column, rule, "bad_list", text.str.contains(NOT_AN_ID_LIST), text)


def _code(column: Column, rule: Rule, text: pl.Expr, edition: Edition) -> _Part:
    if not rule.values:
        return _plain(column, rule, text)
    exact = _is_allowed(column, rule, text, edition)
    folded = {value.casefold(): value for value in rule.values}
    if column.name == "status":
        folded["inactive"] = "tobedeleted"
    canonical = _parsed(column)
    failed = text.is_not_null() & ~exact & canonical.is_null()
    inactive = text.str.to_lowercase() == "inactive"
    detail = f" Allowed: {', '.join(rule.values)}."
    checks = [
        _bad("bad_code", column, rule, failed, detail),
        _check("code_case", column, ~exact & canonical.is_not_null() & ~inactive),
    ]
    if column.name == "status":
        checks.append(_check("status_inactive", column, inactive))
    value = pl.when(exact).then(text).otherwise(canonical)
    parsed = text.str.to_lowercase().replace_strict(folded, default=None, return_dtype=pl.String)
    return _Part(tuple(checks), value, exact, text, parsed)


def _is_allowed(column: Column, rule: Rule, code: pl.Expr, edition: Edition) -> pl.Expr:
    listed = code.is_in(list(rule.values))
    if column.extensible and edition.name == "oneroster_1_2":
        return listed | code.str.starts_with("ext:")
    return listed


def _code_list(column: Column, rule: Rule, text: pl.Expr, edition: Edition) -> _Part:
    if not rule.values:
        return _plain(column, rule, text)
    allowed = _is_allowed(column, rule, pl.element(), edition)
    failed = ~text.str.split(",").list.eval(allowed).list.all()
    return _unless(column, rule, "bad_code", failed, text)


def _boolean(column: Column, rule: Rule, text: pl.Expr) -> _Part:
    exact = text.is_in(["true", "false"])
    value = _parsed(column)
    checks = (
        _bad("bad_boolean", column, rule, text.is_not_null() & value.is_null()),
        _check("code_case", column, value.is_not_null() & ~exact),
    )
    parsed = text.str.to_lowercase().replace_strict(
        {"true": True, "false": False}, default=None, return_dtype=pl.Boolean
    )
    return _Part(checks, value, exact, text == "true", parsed)


def _typed(column: Column, rule: Rule, code: str, text: pl.Expr, parsed: pl.Expr) -> _Part:
    """Text that must parse: what does not become a value is bad."""
    value = _parsed(column)
    failed = text.is_not_null() & value.is_null()
    return _Part((_bad(code, column, rule, failed),), value, ~failed, value, parsed, parsed)


def _tried(column: Column, rule: Rule, code: str, text: pl.Expr, tries: Sequence[pl.Expr]) -> _Part:
    """Text that must parse in one of several ways. Only what is in the first way is clean, so that
    the usual file costs one try."""
    value = _parsed(column)
    failed = text.is_not_null() & value.is_null()
    detail = f" Allowed: {', '.join(map(_shown, column.formats))}." if column.formats else ""
    check = _bad(code, column, rule, failed, detail)
    clean = text.is_null() | value.is_not_null()
    return _Part((check,), value, clean, value, pl.coalesce(*tries), tries[0])


def _shown(form: str) -> str:
    """A strptime form as people write it: MM/DD/YYYY."""
    for directive, letters in SHOWN.items():
        form = form.replace(directive, letters)
    return form


def _within(day: pl.Expr) -> pl.Expr:
    return pl.when(day.is_between(EARLIEST.date(), LATEST.date())).then(day)


def _date(column: Column, rule: Rule, text: pl.Expr) -> _Part:
    if not column.formats:
        day = pl.when(text.str.len_bytes() == 10).then(text).str.to_date("%Y-%m-%d", strict=False)
        value = pl.when(day >= EARLIEST.date()).then(day)
        return _typed(column, rule, "bad_date", text, value)
    tries = [_within(text.str.to_date(form, strict=False)) for form in column.formats]
    return _tried(column, rule, "bad_date", text, tries)


def _time(column: Column, rule: Rule, text: pl.Expr) -> _Part:
    tries = [text.str.to_time(form, strict=False) for form in column.formats or TIME_FORMATS]
    return _tried(column, rule, "bad_time", text, tries)


def _timestamp(column: Column, rule: Rule, text: pl.Expr) -> _Part:
    forms = column.formats or TIMESTAMP_FORMATS
    tries = [_instant(text, form) for form in forms]
    day = text.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us"))
    if column.formats:
        # A year of two digits is read by the form that has such years, and by no other.
        tries = [pl.when(each.is_between(EARLIEST, LATEST)).then(each) for each in tries]
    instant = pl.coalesce(*tries, day)
    value = pl.when(instant.is_between(EARLIEST, LATEST)).then(instant)
    return _typed(column, rule, "bad_timestamp", text, value)


def _instant(text: pl.Expr, form: str) -> pl.Expr:
    """Date and time as written, in UTC where the offset is written too."""
    found = text.str.to_datetime(form, strict=False, time_unit="us")
    if "z" not in form:
        return found
    return found.dt.convert_time_zone("UTC").dt.replace_time_zone(None)


def _number(column: Column, rule: Rule, text: pl.Expr) -> _Part:
    number = text.cast(POLARS_TYPES[column.kind], strict=False)
    parsed = pl.when(number.is_finite()).then(number)
    part = _typed(column, rule, "bad_number", text, parsed)
    if column.least is None and column.most is None:
        return part
    value = part.value
    below = value < column.least if column.least is not None else pl.lit(False)
    above = value > column.most if column.most is not None else pl.lit(False)
    beyond = (below | above).fill_null(False)
    detail = f" Allowed: {_bounds(column)}."
    kept = pl.when(~beyond).then(value)
    checks = (*part.checks, _bad("out_of_range", column, rule, beyond, detail))
    return replace(part, checks=checks, value=kept, clean=part.clean & ~beyond)


def _bounds(column: Column) -> str:
    if column.most is None:
        return f"{column.least:g} or more"
    if column.least is None:
        return f"{column.most:g} or less"
    return f"{column.least:g} to {column.most:g}"


def _year(column: Column, rule: Rule, text: pl.Expr) -> _Part:
    plain = text.str.contains(YEAR)
    after = text.str.slice(0, 4).cast(pl.Int32, strict=False) + 1
    tail = text.str.slice(5)
    follows = (tail == after.cast(pl.String)) | (tail == after.cast(pl.String).str.slice(2))
    ranged = text.str.contains(YEAR_RANGE) & follows
    value = pl.when(ranged).then(after).when(plain).then(text.cast(pl.Int32, strict=False))
    checks = (
        _bad("bad_year", column, rule, ~(plain | ranged)),
        _check("year_range", column, ranged),
    )
    return _Part(checks, value, plain, text.cast(pl.Int32, strict=False))


_KINDS: dict[Kind, Callable[[Column, Rule, pl.Expr], _Part]] = {
    "id": _id,
    "id_list": _id_list,
    "text": _plain,
    "text_list": _text_list,
    "boolean": _boolean,
    "date": _date,
    "time": _time,
    "timestamp": _timestamp,
    "integer": _number,
    "number": _number,
    "year": _year,
}


def _between_columns(values: dict[str, pl.Expr], present: Sequence[str]) -> list[Check]:
    checks = []
    for begin, end in (("begin_date", "end_date"), ("start_date", "end_date")):
        if begin in present and end in present:
            known = CODES["dates_reversed"]
            message = f"{known.meaning} {known.remedy}"
            failed = values[end] < values[begin]
            checks.append(Check("dates_reversed", end, known.severity, message, failed))
    if "subjects" in present and "subject_codes" in present:
        known = CODES["list_not_equal"]
        items = [values[name].str.count_matches(",") for name in ("subjects", "subject_codes")]
        message = f"{known.meaning} {known.remedy}"
        failed = items[0] != items[1]
        checks.append(Check("list_not_equal", "subject_codes", known.severity, message, failed))
    return checks
