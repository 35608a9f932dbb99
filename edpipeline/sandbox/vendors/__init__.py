"""Scantron, STAR, PowerPath and California's score reports on loopback, with a control plane.

    with vendor_servers(VendorWorld(size=SMALL)) as vendors:
        ...  # vendors.star_url, vendors.scantron_url, vendors.powerpath_url, vendors.control_url

Belongs here: what the vendors answer, made from the sandbox's synthetic district, and every
way in which they can fail. Scantron and STAR publish no API; their paths and names are the
product's own proposal. PowerPath's are the public ones, with both providers of tests behind it;
which status a refused import has, and how a write-back is noticed, is a proposal there too. The
score report service is the public one of 2021, with links to reports that it serves itself. Every
secret asked for or handed out contains `CANARY-`, and every answer carries values with it that
must never be written down: whoever searches what a pull left behind finds none.

Does not belong here: anything of the product's side of the conversation.

    world.py      VendorWorld: which district, which logins, which limits
    people.py     the vendor's students, schools, teachers and school days
    columns.py    the columns of STAR's files
    star_*.py     STAR's results, standards and skill areas
    scantron_*.py Performance Series' results
    powerpath_lessons.py    PowerPath's lessons
    powerpath_providers.py  what Edulastic and MasteryTrack know of an attempt
    powerpath_pairs.py      pairs of student and lesson at the start
    powerpath_tests.py      assigning, importing, enrolling: the decision tables
    powerpath_answers.py    answers about one pair; powerpath_gradebook.py, the listings
    score_reports_students.py   how a student stands with the score reports, and which there are
    score_reports_files.py      tokens, links and reports; score_reports_records.py, changes
    shelf.py      records as encoded text, served in pages; a shelf of a million for benchmarks
    answers.py    parameters and error bodies, checked strictly
    star.py, scantron.py, powerpath.py, score_reports.py   the HTTP contracts
    faults.py     what goes wrong when asked to, and door.py, where it does
    office.py     all state: world, clock, tokens, faults, calls
    control.py    the control plane
    server.py     vendor_servers
"""

from edpipeline.sandbox.vendors.server import Vendors, vendor_servers
from edpipeline.sandbox.vendors.world import VendorWorld

__all__ = ["VendorWorld", "Vendors", "vendor_servers"]
