"""Some of the marts: to compute and to prove all of them takes three times as long."""

from edpipeline.warehouse.claims import broken_claims, claims
from edpipeline.warehouse.engine import Warehouse
from edpipeline.warehouse.marts import Mart, marts, refilled
from edpipeline_tests.district import SQL


def with_what_they_read(*names: str) -> list[Mart]:
    """The marts of these names and those they read, each after those it reads."""
    every = marts(SQL)
    wanted = {f"marts.{name}" for name in names}
    assert wanted <= {mart.full_name for mart in every}
    for mart in reversed(every):
        if mart.full_name in wanted:
            wanted.update(mart.depends_on)
    return [mart for mart in every if mart.full_name in wanted]


def refill_some(warehouse: Warehouse, district_id: str, *names: str) -> None:
    """These marts of a district, and those they read, are computed anew."""
    with refilled(warehouse, SQL, with_what_they_read(*names), district_id):
        pass


def broken_claims_of_some(warehouse: Warehouse, district_id: str, *names: str) -> dict[str, int]:
    """Rows of a district that contradict, by claim about these marts and what they read."""
    there = {mart.full_name for mart in with_what_they_read(*names)}
    about = [
        claim
        for claim in claims(SQL)
        if there.issuperset(read for read in claim.depends_on if read.startswith("marts."))
    ]
    return broken_claims(warehouse, about, district_id)
