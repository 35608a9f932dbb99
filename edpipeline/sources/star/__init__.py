"""Renaissance Star: tests of reading, math and early literacy, in English and in Spanish.

Two ways in, one set of tables: the vendor's nightly extract (a zip over SFTP, or its files handed
over by hand), and the pull from an API, whose records carry the names of the extract's columns. The
extract is known from the vendor's field definitions and from public code and samples. No API is
public: what is declared of it in `api.yaml` is a proposal.

What the extract holds, by product (SR reading, SM math, SEL early literacy; SRS, SMS and SELS the
same in Spanish):

    SR.csv, SR_v2.csv             tests
    SR_Dashboard_Standards_v2.csv what a test says of the state's standards and their domains
    SR_SkillArea_v1.csv           what it says of the vendor's skill areas and their domains

Leave the names as they are: the product of a file is told from its name, or else, for tests alone,
from columns that one product has (`delivery.py`). Nothing tells Spanish but the name.

Tables and keys:

- `star`: one row per test, by AssessmentID, all products in one table.
- `star_standards`: one row per test, domain group, domain and standard; a domain's values stand
  again in the row of each of its standards.
- `star_skill_areas`: one row per test, family, domain and skill area, in the same way.

Editions: `star_v2`, and `star_v1` for older files of tests, whose names may be the same: it is the
header that tells. Version 1 has no names, e-mail addresses or user names to match on, and in early
literacy scores of sub-domains and skill sets in the row itself (sel_*).

Known trouble:

- A row carries class, group and teacher, so a test may stand once per class. Those columns are read
  past, as are names, birth date, gender, race and internet address of the student; what is left is
  alike and all but one are counted as duplicates.
- A score may be deactivated and benchmarks may change long after the test. Every delivery says the
  newest of the tests that it holds; what it does not hold stays. Deactivated tests are kept and
  marked (sql/results/star.sql).
- CompletedDateLocal is the clock of the district with a Z behind it that means nothing. It is read
  as it stands; LaunchDate and CompletedDate are UTC.
- Integers may come as decimals (85.0), grades as 0 or K, grade equivalents with > or +, mastery and
  confidence as words or as numbers.
- Benchmark categories count from 1, the best.
- Percentiles beyond 1 to 99 are left out with a warning.

`fields.csv` declares every column, `editions.csv` the editions, `layouts` the files of each.
"""

from datetime import time

from edpipeline.model import ApiPull, Window
from edpipeline.sources.results import ResultTable, read_source
from edpipeline.sources.star.delivery import planner

SOURCE = read_source(
    name="star",
    title="Renaissance Star",
    docs="https://help2.renaissance.com/setup/22160",
    tables={
        "star": ResultTable(
            file="SR.csv, SM.csv or SEL.csv",
            grain="one row per test",
            keys=(("assessment_id",),),
        ),
        "star_standards": ResultTable(
            file="SR_Dashboard_Standards_v2.csv",
            grain="one row per test, domain and standard",
            keys=(("assessment_id", "domain_group", "domain_name", "standard_name"),),
        ),
        "star_skill_areas": ResultTable(
            file="SR_SkillArea_v1.csv",
            grain="one row per test, domain and skill area",
            keys=(("assessment_id", "family_name", "domain_name", "skill_area_name"),),
        ),
    },
    arrives=ApiPull(
        patterns=("*.csv", "*.tsv", "*.txt", "*.zip", "*.jsonl"),
        window=Window(time(2), time(6), "America/New_York"),
    ),
    plan=planner,
)
