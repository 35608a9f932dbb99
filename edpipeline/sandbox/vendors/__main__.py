"""The vendors as a process of their own: prints their URLs as one line of JSON, then serves.

    python -m edpipeline.sandbox.vendors --students 2000 --schools 4 --bulk 1000000

Ends with its standard input, so that it does not outlive whoever started it.
"""

import argparse
import json
import sys

from edpipeline.sandbox.sizes import DEMO, Size
from edpipeline.sandbox.vendors.server import vendor_servers
from edpipeline.sandbox.vendors.world import VendorWorld


def main() -> None:
    """Read the arguments, serve until standard input ends."""
    ask = argparse.ArgumentParser(prog="python -m edpipeline.sandbox.vendors")
    ask.add_argument("--students", type=int, default=DEMO.students)
    ask.add_argument("--schools", type=int, default=DEMO.schools)
    ask.add_argument("--seed", type=int, default=1)
    ask.add_argument("--bulk", type=int, default=0, help="records of STAR Reading")
    ask.add_argument("--pairs", type=int, default=60, help="pairs of student and lesson")
    ask.add_argument("--stage", default="mixed", help="where PowerPath's pairs stand")
    ask.add_argument("--no-nulls", action="store_true", help="leave empty fields out")
    ask.add_argument("--port", type=int, default=0)
    ask.add_argument("--control-port", type=int, default=0)
    given = ask.parse_args()
    size = Size(given.students, given.schools, DEMO.guardians)
    world = VendorWorld(
        size,
        given.seed,
        bulk=given.bulk,
        nulls=not given.no_nulls,
        powerpath_pairs=given.pairs,
        powerpath_stage=given.stage,
    )
    with vendor_servers(world, given.port, given.control_port) as vendors:
        urls = {
            "star": vendors.star_url,
            "scantron": vendors.scantron_url,
            "powerpath": vendors.powerpath_url,
            "powerpath_token": vendors.powerpath_token_url,
            "score_reports": vendors.score_reports_url,
        }
        print(json.dumps({**urls, "control": vendors.control_url}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
