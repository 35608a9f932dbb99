"""Surveying: a service that knows one student at a time, asked about every student once a day.

Belongs here: which students are asked about, with which credentials, landing and loading the
answers chunk by chunk, when a configuration stops, whether accounts work, and the links to reports
that one person asks for. The command line and Dagster both call this; it knows neither.

Does not belong here: what an answer means, which is decided purely in
`sources/score_reports/decisions.py`; how a service is asked (`landing/http.py`).

    vendor.py    the service as a configuration uses it: endpoints, credentials, one token
    students.py  every student of the roster, and who is due
    ask.py       one student, asked about
    rows.py      what an answer becomes in the files of a delivery
    account.py   how a configuration fares in a run, and when it stops
    run.py       a run: chunk by chunk asked, landed, loaded; counts.py, what it came to
    poll.py      whether one is due, and how it enters
    accounts.py  whether accounts work, how long credentials last, which configurations are missed
    links.py     links to one student's reports, for one person, never written down

A run that is killed loses the answers of one chunk, and no more: what it knows is in the
warehouse.
"""

from edpipeline.surveying.accounts import check_accounts, days_left, forgotten, masked
from edpipeline.surveying.counts import Survey
from edpipeline.surveying.links import Asked, Link, links
from edpipeline.surveying.poll import is_due, poll_and_load

__all__ = [
    "Asked",
    "Link",
    "Survey",
    "check_accounts",
    "days_left",
    "forgotten",
    "is_due",
    "links",
    "masked",
    "poll_and_load",
]
