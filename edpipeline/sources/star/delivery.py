"""Which files of a Star delivery fill which table, and of which product each of them is.

A delivery holds several files of a kind, one per product. What kind and edition a file is, its
header tells; the product stands in its name, and in no column.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from edpipeline.model import Edition, Head, Plan, PlannedFile, Planner
from edpipeline.reading.dialect import split_line
from edpipeline.reading.layout import normal
from edpipeline.sources import uploads

PRODUCTS = ("SR", "SM", "SEL", "SRS", "SMS", "SELS")
ENGLISH = {"SRS": "SR", "SMS": "SM", "SELS": "SEL"}
"""The product with the same columns."""
ONLY_IN = {
    "SR": (
        *("InstructionalReadingLevel", "LowerLexileZoneOfProximalDevelopment"),
        *("UpperLexileZoneOfProximalDevelopment", "IRL", "ORF", "LowerLexileZPD", "UpperLexileZPD"),
    ),
    "SM": ("Quantile",),
    "SEL": ("LiteracyClassification", "LexileRange", "SEL_SubDomain_PH_Phonics"),
}
"""Columns of tests that one product has, and no other."""

Findings = list[tuple[str, str]]


def planner(editions: Sequence[Edition]) -> Planner:
    """The planner of Star deliveries. Every file is told by itself; a delivery is of one edition,
    that of most of its files."""
    tell = uploads.planner(editions, set())

    def plan(heads: Mapping[str, Head], manifest: str | None, edition: str) -> Plan:
        # Of files without a text it is said elsewhere that they cannot be read.
        readable = {name: head for name, head in heads.items() if head.text}
        told = {name: tell({name: head}, manifest, edition) for name, head in readable.items()}
        fitting = [each.edition for each in told.values() if each.files]
        if not fitting:
            findings = [finding for each in told.values() for finding in each.findings]
            return Plan(editions[0].name, (), (), tuple(findings))
        chosen = max(fitting, key=fitting.count)
        files: list[PlannedFile] = []
        findings = []
        for name, each in told.items():
            if each.files and each.edition == chosen:
                findings += each.findings if not files else ()
                file = each.files[0]
                product, problem = product_of(name, split_line(readable[name].text, file.separator))
                files.append(replace(file, given={"product": product}))
                findings += [("unknown_layout", problem)] if problem else []
            elif each.files:
                text = f"{name} is of edition {each.edition}, others are of {chosen}"
                findings.append(("other_edition", f"{text}: hand them over apart"))
            else:
                findings += _about_other(name, readable[name], each, editions)
        return Plan(chosen, tuple(files), (), tuple(findings))

    return plan


def product_of(name: str, header: Sequence[str]) -> tuple[str, str]:
    """The product that a file is of, and "" or what is wrong with that, in words.

    A name says it by its first word (`SR_v2.csv`), or by the only one that is a product
    (`standards_SM.jsonl`).
    """
    words = re.findall("[A-Z]+", name.rpartition("/")[2].rpartition(".")[0].upper())
    said = dict.fromkeys(word for word in words if word in PRODUCTS)
    by_name = next(iter(said), "") if len(said) == 1 or words[:1] == list(said)[:1] else ""
    there = {normal(each) for each in header}
    fitting = [p for p, only in ONLY_IN.items() if any(normal(each) in there for each in only)]
    by_header = fitting[0] if len(fitting) == 1 else ""
    if by_name and by_header and ENGLISH.get(by_name, by_name) != by_header:
        text = f"{name} is named as a file of {by_name}, but has columns of {by_header} alone"
        return by_name, f"{text}: give it the name that it had when it was exported"
    if by_name or by_header:
        return by_name or by_header, ""
    names = ", ".join(PRODUCTS)
    text = f"{name}: neither its name nor its columns tell which Star product it is of"
    return "", f"{text} ({names}): let the name begin with the product, such as SR_v2.csv"


def _about_other(name: str, head: Head, told: Plan, editions: Sequence[Edition]) -> Findings:
    """What is said of a file that is not used: one that lies beside the results is left, one that
    should be results is not."""
    is_near = bool(uploads.sorted_fits(head, editions, lambda line, edition: True))
    if is_near:
        return list(told.findings)
    return [("unknown_file", f"{name} is not part of the Star files that are known, and was left")]
