"""Claims about the tables: one SELECT per file of sql/tests, which must return no row.

The file's name is `<table>__<claim>`; its opening comment says the claim as sentences. A claim's
first column is the district.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edpipeline.errors import BadConfiguration
from edpipeline.warehouse.engine import Session, Warehouse
from edpipeline.warehouse.narrowing import narrowed, read_instead, tables_read
from edpipeline.warehouse.results import UNITED

ALL_RESULTS = "all_results"
"""Temporary table: the rows of `UNITED`, computed once for every claim that reads them."""


@dataclass(frozen=True)
class Claim:
    """Something that always holds of the tables."""

    name: str
    """The file's name: `<table>__<claim>`."""
    says: str
    sql: str
    """The SELECT of what contradicts the claim, over every district."""
    depends_on: tuple[str, ...]

    @property
    def table(self) -> str:
        """The table it is about, without its schema."""
        return self.name.partition("__")[0]

    def of_district(self, instead: Mapping[str, str] | None = None) -> str:
        """The SELECT with every input narrowed to the district of the parameter `$district`;
        `instead` names what is read in place of a table."""
        return narrowed(self.sql, self.depends_on, f"sql/tests/{self.name}.sql", instead)

    def of_all(self, instead: Mapping[str, str] | None = None) -> str:
        """The SELECT over every district; `instead` as above."""
        file = f"sql/tests/{self.name}.sql"
        return read_instead(self.sql, instead, self.depends_on, file) if instead else self.sql


def claims(sql_folder: Path) -> list[Claim]:
    """Every claim of the folder's `tests`, by name. Raises `BadConfiguration`."""
    return [_claim(path) for path in sorted((sql_folder / "tests").glob("*.sql"))]


def _claim(path: Path) -> Claim:
    lines = path.read_text("utf-8").splitlines()
    end = next((at for at, line in enumerate(lines) if not line.startswith("--")), len(lines))
    says = " ".join(line.removeprefix("--").strip() for line in lines[:end]).strip()
    sql = "\n".join(lines[end:]).strip().rstrip(";")
    if "__" not in path.stem or not says or not sql:
        raise BadConfiguration(
            f"{path.name}: a claim is named <table>__<claim>.sql, opens with a comment that says"
            " it, and holds one SELECT"
        )
    return Claim(path.stem, says, sql, tables_read(sql, path.name))


def contradictions(
    session: Session,
    claim: Claim,
    district_id: str | None = None,
    instead: Mapping[str, str] | None = None,
) -> int:
    """How many rows of a district, or of all, contradict a claim. `instead` names what is read in
    place of a table."""
    sql = claim.of_all(instead) if district_id is None else claim.of_district(instead)
    return int(session.value(f"select count(*) from ({sql}) found", district=district_id))


def broken_claims(
    warehouse: Warehouse, found: Sequence[Claim], district_id: str | None = None
) -> dict[str, int]:
    """Rows that contradict, by name of the claim; claims that hold are left out."""
    with warehouse.transaction() as session:
        if warehouse.url.startswith("postgres"):
            # As in marts: windows look small to it.
            session.run("set local enable_nestloop = off")
            session.run("set local enable_mergejoin = off")
        instead = united_once(session, found)
        counts = {
            claim.name: contradictions(session, claim, district_id, instead) for claim in found
        }
    return {name: count for name, count in counts.items() if count}


def united_once(session: Session, found: Sequence[Claim]) -> dict[str, str]:
    """Compute what claims read of all sources; what is read in place of a table.

    That is a long SELECT over every source: to plan it takes longer than all the rest.
    """
    if not any(UNITED in claim.depends_on for claim in found):
        return {}
    session.run(f"create temp table {ALL_RESULTS} as select * from {UNITED}")
    session.analyze(ALL_RESULTS)
    return {UNITED: ALL_RESULTS}
