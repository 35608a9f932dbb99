"""Polling: tests that are asked about one by one, pair of student and lesson, until each is final.

Belongs here: which pairs there are, asking about those that are due, writing down what was asked
for before anything is written over there, and landing and loading the answers chunk by chunk. The
command line and Dagster both call this; it knows neither.

Does not belong here: what an answer means and when a pair is due again, which is decided purely in
`sources/powerpath/decisions.py`; how a vendor is asked (`landing/http.py`).

    vendor.py      the vendor's API for a district, the pace at which it is asked
    listings.py    the pairs that the vendor lists
    watch_list.py  the pairs that the district lists
    pairs.py       what is known of pairs and what is listed, laid over each other: who is due
    look.py        one pair's progress, read
    one.py         one pair: read, imported where that is allowed, read again
    intents.py     the record that is written before results are imported
    rows.py        what an answer becomes in the files of a delivery
    landed.py      deliveries, landed and loaded one after another; listed_at.py, when was listed
    run.py         a run: chunk by chunk asked, landed, loaded; counts.py, what it came to
    poll.py        whether one is due, and how it enters
    accounts.py    whether the account works

`surveying/` lands, loads and keeps its pace by the same means.

A run that is killed loses the answers of one chunk, and no more: what it knows is in the
warehouse, and what it was about to change over there is in landing.
"""

from edpipeline.polling.accounts import account_works, check_accounts
from edpipeline.polling.counts import Poll
from edpipeline.polling.poll import is_due, poll_and_load

__all__ = ["Poll", "account_works", "check_accounts", "is_due", "poll_and_load"]
