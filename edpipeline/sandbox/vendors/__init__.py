"""Scantron Performance Series and Renaissance STAR on loopback, and a control plane to set them up.

    with vendor_servers(VendorWorld(size=SMALL)) as vendors:
        ...  # vendors.star_url, vendors.scantron_url, vendors.control_url

Belongs here: what the two vendors answer, made from the sandbox's synthetic district, and every
way in which they can fail. Neither vendor publishes an API; paths and names are the product's own
proposal. Every secret asked for or handed out contains `CANARY-`, and every answer carries values
with it that must never be written down: whoever searches what a pull left behind finds none.

Does not belong here: anything of the product's side of the conversation.

    world.py      VendorWorld: which district, which logins, which limits
    people.py     the vendor's students, schools, teachers and school days
    columns.py    the columns of STAR's files
    star_*.py     STAR's results, standards and skill areas
    scantron_*.py Performance Series' results
    shelf.py      records as encoded text, served in pages; a shelf of a million for benchmarks
    answers.py    parameters and error bodies, checked strictly
    star.py, scantron.py   the two HTTP contracts
    faults.py     what goes wrong when asked to, and door.py, where it does
    office.py     all state: world, clock, tokens, faults, calls
    control.py    the control plane
    server.py     vendor_servers
"""

from edpipeline.sandbox.vendors.server import Vendors, vendor_servers
from edpipeline.sandbox.vendors.world import VendorWorld

__all__ = ["VendorWorld", "Vendors", "vendor_servers"]
