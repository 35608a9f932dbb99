"""STAR's details of a test: four standards in two domains, and three skill areas.

A domain's numbers repeat on each of its standards' rows. Domains are rated by numbers, standards by
words. Names are shared between products and grades only where the vendor's are: the same standard
may occur in Reading and in Early Literacy.
"""

from functools import lru_cache

import numpy as np
import polars as pl

from edpipeline.sandbox.draws import draw, pick
from edpipeline.sandbox.vendors import people
from edpipeline.sandbox.vendors.columns import SKILL_AREAS, STANDARDS
from edpipeline.sandbox.vendors.people import District
from edpipeline.sandbox.vendors.shelf import Shelf, encode
from edpipeline.sandbox.vendors.star_records import moments, tests
from edpipeline.sandbox.vendors.world import CANARY

_DOMAINS = {
    "SR": (("Literature", "Theme and Meaning", "LIT"), ("Information", "Craft of Texts", "INF")),
    "SM": (("Number", "Operations and Thinking", "NUM"), ("Shape", "Measure and Data", "SHP")),
    "SEL": (("Foundations", "Print and Sound", "FND"), ("Literature", "Theme and Meaning", "LIT")),
}
_SKILLS = {
    "SR": ("Word Knowledge", "Author's Craft", "Understanding Arguments"),
    "SM": ("Whole Numbers", "Fractions", "Data, Graphs and Chance"),
    "SEL": ("Alphabet", "Sounds in Words", "Counting"),
}
_MASTERY = ("Beginning", "Developing", "Secure")
_CONFIDENCE = ("Low", "Medium", "High")


def _repeated(district: District, product: str, times: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Each test's row `times` times with `which` counting them, and the shared columns."""
    rows = tests(district, product)
    place = np.repeat(np.arange(len(rows)), times)
    rows = rows[place].with_columns(which=np.tile(np.arange(times), len(rows)))
    return rows, pl.DataFrame(moments(rows, district))


def _shelf(
    rows: pl.DataFrame, records: pl.DataFrame, district: District, product: str, key: list[str]
) -> Shelf:
    schools = people.vendor_schools(district)
    renaissance = dict(zip(schools["number"], schools["renaissance"], strict=True))
    return Shelf(
        records.select(
            key=pl.concat_str(key, separator="|"),
            subject=pl.lit(product),
            year="SchoolYear",
            school=rows["school"].replace_strict(renaissance),
            since=people.instant(rows["ended"], district.time_zone),
            until=pl.lit(None, dtype=pl.Int64),
            json=encode(records),
        )
    )


@lru_cache(maxsize=16)
def standards(district: District, product: str) -> Shelf:
    """The listing of one product's standards; a row's own are the test, its domain and itself."""
    rows, known = _repeated(district, product, 4)
    which, index = rows["which"].to_numpy(), rows["index"].to_numpy()
    domain, number = which // 2, which % 2
    luck = draw(district.seed, f"{product} domain", 2 * index + domain) % 21 - 10
    percent = np.clip(rows["rank"].to_numpy() + luck, 0, 100)
    own = np.clip(
        percent + draw(district.seed, f"{product} standard", 4 * index + which) % 9, 0, 100
    )
    groups, titles, codes = zip(*_DOMAINS[product], strict=True)
    grade = rows["grade"].cast(pl.String)
    records = known.with_columns(
        DomainGroup=pick(groups, domain),
        DomainName=pick(titles, domain),
        DomainPercentMastery=percent,
        DomainConfidenceLevel=1 + index % 3,
        DomainMasteryLevel=1 + np.minimum(percent // 34, 2),
        StandardName="QSS."
        + grade
        + "."
        + pick(codes, domain)
        + "."
        + pl.Series(number + 1).cast(str),
        StandardDescription="Works with grade "
        + grade
        + ' tasks, as "asked", in part '
        + pl.Series(number + 1).cast(str),
        StandardPercentMastery=own,
        StandardConfidenceLevel=pick(_CONFIDENCE, index % 3),
        StandardMasteryLevel=pick(_MASTERY, np.minimum(own // 34, 2)),
    ).select(*STANDARDS, ResourceUrl=pl.lit(f"https://resources.example/?token={CANARY}resource"))
    key = ["AssessmentID", "DomainGroup", "DomainName", "StandardName"]
    return _shelf(rows, records, district, product, key)


@lru_cache(maxsize=16)
def skill_areas(district: District, product: str) -> Shelf:
    """The listing of one product's skill areas. Their local times have no milliseconds."""
    rows, known = _repeated(district, product, 3)
    which, index = rows["which"].to_numpy(), rows["index"].to_numpy()
    group, title, _ = _DOMAINS[product][0]
    luck = draw(district.seed, f"{product} skill", 4 * index + which) % 21 - 10
    records = known.with_columns(
        CompletedDateLocal=pl.col("CompletedDateLocal").str.replace(r"\.\d+Z$", "Z"),
        FamilyName=pl.lit(group),
        DomainName=pl.lit(title),
        DomainScore=rows["rank"].cast(pl.Float64),
        SkillAreaName=pick(_SKILLS[product], which),
        SkillAreaMasteryScore=np.clip(rows["rank"].to_numpy() + luck, 0, 100),
    ).select(*SKILL_AREAS, ResourceUrl=pl.lit(f"https://resources.example/?token={CANARY}resource"))
    key = ["AssessmentID", "FamilyName", "DomainName", "SkillAreaName"]
    return _shelf(rows, records, district, product, key)
