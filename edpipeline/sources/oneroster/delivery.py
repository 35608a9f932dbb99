"""How the files of a OneRoster delivery belong together: version, modes, and what is missing.

OneRoster 1.1 and 1.2 packages carry a manifest; many exporters leave it out or write it wrongly.
The three-file vendor exchange never has one. What the files are is decided by the manifest where
it can be read, and otherwise by the files and headers that are there.
Source: OneRoster CSV binding 1.2, sections 2 and 3 (1EdTech).
"""

import csv
from collections.abc import Mapping, Sequence
from typing import Literal

from edpipeline.model import Head, Mode, Plan, PlannedFile

FILES: Mapping[str, str] = {
    "orgs.csv": "orgs",
    "academicSessions.csv": "academic_sessions",
    "courses.csv": "courses",
    "users.csv": "users",
    "userProfiles.csv": "user_profiles",
    "roles.csv": "roles",
    "classes.csv": "classes",
    "enrollments.csv": "enrollments",
    "demographics.csv": "demographics",
    "categories.csv": "categories",
    "lineItems.csv": "line_items",
    "results.csv": "results",
    "resources.csv": "resources",
    "classResources.csv": "class_resources",
    "courseResources.csv": "course_resources",
    "userResources.csv": "user_resources",
    "scoreScales.csv": "score_scales",
    "lineItemScoreScales.csv": "line_item_score_scales",
    "resultScoreScales.csv": "result_score_scales",
    "lineItemLearningObjectiveIds.csv": "line_item_learning_objective_ids",
    "resultLearningObjectiveIds.csv": "result_learning_objective_ids",
}
MANIFEST = "manifest.csv"
PROPERTIES = ("manifest.version", "oneroster.version", "source.systemName", "source.systemCode")
CORE = ("users", "classes", "enrollments")
EDITION_BY_VERSION = {"1.1": "oneroster_1_1", "1.2": "oneroster_1_2"}
ONLY_IN_1_2 = {"roles", "user_profiles"}

Announced = Literal["absent", "bulk", "delta"]
Findings = list[tuple[str, str]]


def plan(heads: Mapping[str, Head], manifest: str | None, edition: str) -> Plan:
    """The plan for a delivery; `edition` is the district's choice, or `auto`."""
    headers = {name: head.names for name, head in heads.items()}
    findings: Findings = []
    found = _tables(headers, findings)
    if not found:
        names = ", ".join(sorted(headers)) or "no CSV file"
        message = (
            f"no OneRoster file among: {names}. Needed: users.csv, classes.csv, enrollments.csv"
        )
        return Plan(edition, (), (), ((*findings, ("not_oneroster", message))))
    announced, version = _read_manifest(manifest, findings) if manifest is not None else ({}, "")
    chosen = edition if edition != "auto" else _edition(found, headers, version, manifest, findings)
    modes: dict[str, Mode] = {
        table: "delta" if announced.get(table) == "delta" else "bulk" for table in found
    }
    for table, file in found.items():
        if announced.get(table) == "absent":
            findings.append(("manifest_wrong", f"manifest.csv says that {file} is absent"))
    wanted = {table for table, mode in announced.items() if mode != "absent"}
    if manifest is None or not announced:
        wanted = set(CORE)
    order = list(FILES.values())
    return Plan(
        edition=chosen,
        files=tuple(
            PlannedFile(found[table], table, modes[table])
            for table in sorted(found, key=order.index)
        ),
        missing=tuple(sorted(wanted - set(found), key=order.index)),
        findings=tuple(findings),
    )


def _tables(headers: Mapping[str, Sequence[str]], findings: Findings) -> dict[str, str]:
    """File name by table; names are compared without case, an exact one wins."""
    by_folded = {name.casefold(): name for name in FILES}
    found: dict[str, str] = {}
    for name in sorted(headers, key=lambda n: (n not in FILES, n)):
        if name.casefold() == MANIFEST:
            continue
        standard = by_folded.get(name.casefold())
        if standard is None or FILES[standard] in found:
            findings.append(("unknown_file", f"{name} is not part of OneRoster and was left"))
            continue
        if name != standard:
            findings.append(("file_name_case", f"{name} was read as {standard}"))
        found[FILES[standard]] = name
    return found


def _read_manifest(text: str, findings: Findings) -> tuple[dict[str, Announced], str]:
    """What the manifest announces by table, and its version; tolerant, and saying so."""
    rows = _manifest_rows(text, findings)
    tables = {f"file.{name.removesuffix('.csv')}": table for name, table in FILES.items()}
    announced: dict[str, Announced] = {}
    version = ""
    unusable = []
    for line, name, value in rows:
        mode = value.casefold()
        if name in tables and mode in ("absent", "bulk", "delta"):
            announced[tables[name]] = mode  # type: ignore[assignment]
            if mode != value:
                findings.append(("manifest_wrong", f"manifest.csv: row {line}: write {mode}"))
        elif name == "oneroster.version":
            version = value
        elif name == "manifest.version" and value != "1.0":
            findings.append(("manifest_wrong", "manifest.csv: manifest.version is not 1.0"))
        elif name not in PROPERTIES:
            unusable.append(str(line))
    if unusable:
        shown = ", ".join(unusable[:5]) + (", ..." if len(unusable) > 5 else "")
        findings.append(("manifest_wrong", f"manifest.csv: rows that cannot be used: {shown}"))
    return announced, version


def _manifest_rows(text: str, findings: Findings) -> list[tuple[int, str, str]]:
    """Line, property and value of each row below the header."""
    try:
        lines = list(enumerate(csv.reader(text.splitlines()), start=1))
    except csv.Error:
        findings.append(("manifest_wrong", "manifest.csv cannot be read as CSV"))
        return []
    rows = [
        (line, row[0].strip(), row[1].strip() if len(row) > 1 else "")
        for line, row in lines
        if any(cell.strip() for cell in row)
    ]
    head = rows[0][1:] if rows else ("", "")
    if head != ("propertyName", "value"):
        findings.append(("manifest_wrong", "manifest.csv lacks its header propertyName,value"))
    return rows[1:] if head[0] == "propertyName" else rows


def _edition(
    found: Mapping[str, str],
    headers: Mapping[str, Sequence[str]],
    version: str,
    manifest: str | None,
    findings: Findings,
) -> str:
    """The edition by the manifest's version, or by what is there."""
    major = ".".join(version.split(".")[:2])
    if major in EDITION_BY_VERSION:
        return EDITION_BY_VERSION[major]
    if version:
        message = f"manifest.csv names OneRoster {version[:12]!r}; we know 1.1 and 1.2"
        findings.append(("unknown_version", message))
    elif manifest is not None:
        findings.append(("manifest_wrong", "manifest.csv does not name oneroster.version"))
    users = {name.casefold() for name in headers.get(found.get("users", ""), ())}
    if ONLY_IN_1_2 & set(found) or "usermasteridentifier" in users:
        return "oneroster_1_2"
    if {"orgs", "academic_sessions", "courses"} <= set(found):
        return "oneroster_1_1"
    return "three_file"
