"""OneRoster: a district's people, classes and enrollments as CSV files over SFTP.

Layouts: OneRoster CSV 1.1 and 1.2, bulk and delta, zipped or loose (1EdTech), and the three-file
exchange that PowerSchool AutoSend makes (users, classes, enrollments; no manifest; CR line ends,
no quotes). `fields.csv` beside this module declares every column of every file.

Known trouble: exporters prefix headers with the table name (`USERS.`, `CC.`); lists of several
ids break the column count of unquoted files; in summer the enrollments export is header-only;
`dateLastModified` is often the time of export.
"""

import csv
from dataclasses import replace
from datetime import time
from importlib.resources import files

from edpipeline.model import (
    Column,
    Edition,
    FileDrop,
    OnBad,
    Reference,
    Rule,
    Source,
    Table,
    Window,
)
from edpipeline.sources.oneroster.delivery import plan

VERSIONS = {"v1p1": "oneroster_1_1", "v1p2": "oneroster_1_2", "three_file": "three_file"}
"""Column of `fields.csv` by edition name."""

THREE_FILES = ("users", "classes", "enrollments")

NOT_IN_THREE_FILES = ("academic_sessions", "courses", "resources")
"""What classes and users of the three-file exchange name, and no file of it holds."""

GRAINS = {
    "orgs": "one row per school, district or other organisation",
    "academic_sessions": "one row per school year, semester, term or grading period",
    "courses": "one row per course",
    "resources": "one row per learning resource",
    "users": "one row per person with an account: student, staff member, parent or guardian",
    "user_profiles": "one row per account of a person in another system",
    "roles": "one row per person, organisation and role",
    "classes": "one row per class: a course (or homeroom) taught in a school in some terms",
    "enrollments": "one row per person, class and role (and, on re-entry, begin date)",
    "demographics": "one row per person with demographic data",
    "categories": "one row per category of gradebook line items",
    "line_items": "one row per gradebook line item of a class",
    "results": "one row per student and gradebook line item",
    "class_resources": "one row per class and resource",
    "course_resources": "one row per course and resource",
    "user_resources": "one row per person and resource",
    "score_scales": "one row per score scale",
    "line_item_score_scales": "one row per line item and score scale",
    "result_score_scales": "one row per result and score scale",
    "line_item_learning_objective_ids": "one row per line item and learning objective",
    "result_learning_objective_ids": "one row per result and learning objective",
}
"""Tables in the order in which they load: a table follows those it refers to."""

SCHOOL_COLUMNS = {
    "users": "org_sourced_ids",
    "classes": "school_sourced_id",
    "enrollments": "school_sourced_id",
    "roles": "org_sourced_id",
}
PEOPLE_COLUMNS = {"users": "role", "roles": "role"}
DERIVED_KEYS = {
    "enrollments": ("class_sourced_id", "user_sourced_id", "role", "begin_date"),
    "roles": ("user_sourced_id", "org_sourced_id", "role", "begin_date"),
}


def _file_name(table: str) -> str:
    first, *rest = table.split("_")
    return first + "".join(word.capitalize() for word in rest) + ".csv"


def _field_rows() -> list[dict[str, str]]:
    text = files(__package__).joinpath("fields.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _split(cell: str) -> tuple[str, ...]:
    return tuple(cell.split("|")) if cell else ()


def _column(row: dict[str, str]) -> Column:
    target = row["references"]
    return Column(
        name=row["name"],
        header=row["header"],
        kind=row["kind"],  # type: ignore[arg-type]
        description=row["description"],
        personal=row["personal"],  # type: ignore[arg-type]
        aliases=_split(row["aliases"]),
        references=Reference(target.rstrip("!"), target.endswith("!")) if target else None,
        extensible=row["extensible"] == "yes",
        compared=row["name"] != "date_last_modified",
    )


def _on_bad(row: dict[str, str], presence: str) -> OnBad:
    """A code or flag that only another layout demands may be left out of this one."""
    if presence == "required":
        return "reject"
    demanded_elsewhere = "required" in (row[version] for version in VERSIONS)
    if demanded_elsewhere and row["kind"] in ("code", "boolean", "number"):
        return "drop"
    return row["on_bad"]  # type: ignore[return-value]


def _rule(row: dict[str, str], version: str) -> Rule:
    values = row["values_v1p2" if version == "v1p2" else "values_v1p1"]
    return Rule(
        row["name"],
        row[version],  # type: ignore[arg-type]
        _split(values),
        _on_bad(row, row[version]),
    )


def _lenient(rule: Rule) -> Rule:
    """Whatever comes beside the three files helps where it can and demands nothing but its key."""
    if rule.column == "sourced_id":
        return rule
    return replace(rule, presence="optional", on_bad="drop")


def _edition(
    rows: list[dict[str, str]], version: str, title: str, needed: tuple[str, ...]
) -> Edition:
    rules: dict[str, tuple[Rule, ...]] = {}
    for table in GRAINS:
        beside = version == "three_file" and table not in THREE_FILES
        column = "v1p1" if beside else version
        table_rules = tuple(_rule(r, column) for r in rows if r["table"] == table and r[column])
        if table_rules:
            rules[table] = tuple(map(_lenient, table_rules)) if beside else table_rules
    without = NOT_IN_THREE_FILES if version == "three_file" else ()
    return Edition(VERSIONS[version], title, rules, needed, without)


def _tables(rows: list[dict[str, str]]) -> tuple[Table, ...]:
    return tuple(
        Table(
            name=name,
            schema="roster",
            file=_file_name(name),
            grain=grain,
            columns=tuple(_column(row) for row in rows if row["table"] == name),
            derived_key=DERIVED_KEYS.get(name, ()),
            school=SCHOOL_COLUMNS.get(name),
            people=PEOPLE_COLUMNS.get(name),
        )
        for name, grain in GRAINS.items()
    )


def _source() -> Source:
    rows = _field_rows()
    return Source(
        name="oneroster",
        title="OneRoster roster drops",
        schema="roster",
        owner="team:rostering",
        docs="https://www.imsglobal.org/activity/onerosterlis",
        arrives=FileDrop(
            patterns=("*.csv", "*.zip"),
            window=Window(time(19), time(21), "America/New_York"),
        ),
        tables=_tables(rows),
        editions=(
            _edition(rows, "v1p1", "OneRoster 1.1", ("orgs", "users", "classes", "enrollments")),
            _edition(
                rows, "v1p2", "OneRoster 1.2", ("orgs", "users", "roles", "classes", "enrollments")
            ),
            _edition(rows, "three_file", "three-file vendor exchange", THREE_FILES),
        ),
        plan=plan,
        ignored_headers=("dcid",),
    )


SOURCE = _source()
