"""California student score reports (CAASPP, ELPAC): which reports there are, never the reports.

The state's service (ETS, for the California Department of Education) is asked about one student at
a time, by the 10-digit Statewide Student Identifier (SSID), once a day. It answers with a list of
reports, each with a link that lives 30 minutes. What lands is the list: the link, the report and
the token never touch a disk. `api.yaml` says what of an answer may land; a link is fetched anew for
the person who asks for it.

Tables and keys, both of schema `score_reports`:

- `catalog`: one row per report: SSID, type, language, administration year, and form and content
  area where the service tells them apart.
- `requests`: one row per student of the roster, with what the last request came to.

Known trouble:

- The service keeps about three years: a report that is no longer listed is history, no error. Only
  an empty list means that a student has none; a refusal says nothing of reports.
- Rights change every day with enrollment (CALPADS): a student who is forbidden today may be allowed
  tomorrow.
- CST is a deprecated name of CAST; asked for everything, the service may list a report under both.
- There are no scores here, only reports.

Facts: the Student Score Report API, version 2021 3.0 (in TOMS, after signing in).
`decisions.py` says what an answer means; `fields.csv` declares every column.
"""

from datetime import time

from edpipeline.model import ApiPoll, Window
from edpipeline.sources.polls import planner
from edpipeline.sources.results import ResultTable, read_source

SOURCE = read_source(
    name="score_reports",
    title="California student score reports",
    docs="https://www.caaspp.org",
    schema="score_reports",
    arrives=ApiPoll(
        match_on="state_user_id", window=Window(time(1), time(6), "America/Los_Angeles")
    ),
    plan=planner,
    tables={
        "catalog": ResultTable(
            file="catalog.jsonl",
            grain="one row per student, kind of report, language and year",
            keys=(
                (
                    *("ssid", "report_type", "language", "report_year"),
                    *("report_format", "content_area"),
                ),
            ),
        ),
        "requests": ResultTable(
            file="requests.jsonl",
            grain="one row per student of the roster",
            keys=(("student_id",),),
        ),
    },
    has_scores=False,
)
