"""Which file of a poll fills which table: the one that is called like it."""

from collections.abc import Mapping, Sequence

from edpipeline.model import Edition, Head, Plan, PlannedFile, Planner


def planner(editions: Sequence[Edition]) -> Planner:
    """The planner of polls. A poll says of what it names, and nothing of the rest."""
    (only,) = editions

    def plan(heads: Mapping[str, Head], manifest: str | None, edition: str) -> Plan:
        by_name = {f"{table}.jsonl": table for table in only.rules}
        files = tuple(
            PlannedFile(name, by_name[name], "delta") for name in heads if name in by_name
        )
        findings = tuple(
            ("unknown_file", f"{name} is not part of a poll") for name in heads.keys() - by_name
        )
        return Plan(only.name, files, (), findings)

    return plan
