"""A district that uploads results: hand over files, look at what became of them.

Its roster, where a test wants one, has students S001 to S012 with identifiers 000101 to 000112,
state ids 9000000101 to 9000000112 and user names such as `given.s001`.
"""

import csv
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from edpipeline.landing import drop as landing
from edpipeline.landing.drop import Arrived
from edpipeline.landing.store import open_store
from edpipeline.loading.options import LoadOptions
from edpipeline.loading.report import SyncReport
from edpipeline.loading.sync import Sync
from edpipeline.model import Edition, Source
from edpipeline.reading.layout import placed
from edpipeline.warehouse.engine import Warehouse
from edpipeline.warehouse.marts import refill_district
from edpipeline_tests.district import FIRST_DAY, SQL, District, files, rows, student
from edpipeline_tests.some_marts import refill_some

SAMPLES = Path(__file__).parents[1] / "samples"
OPTIONS = LoadOptions(
    encodings=("windows-1252",), first_sync_needs_approval=False, match_on="district_user_id"
)
_instants = (datetime(2026, 9, 1, tzinfo=UTC) + timedelta(seconds=n) for n in count())
_numbers = count(1)

Cells = Mapping[str, Any]


@dataclass
class Uploads:
    """A district with a landing of its own, in a warehouse that it may share."""

    warehouse: Warehouse
    folder: Path
    source: Source
    options: LoadOptions = OPTIONS
    district_id: str = field(default_factory=lambda: f"u{next(_numbers)}")

    def __post_init__(self) -> None:
        self.store = open_store(str(self.folder / f"landing-{self.district_id}"))

    def sync(self) -> Sync:
        scratch = self.folder / f"scratch-{self.district_id}"
        return Sync(
            self.store, self.warehouse, self.source, self.district_id, self.options, scratch
        )

    def land(self, files: Mapping[str, bytes], day: int = 0, **choices: str) -> str:
        """Files are handed over together; the drop's id."""
        folder = self.folder / f"inbox-{self.district_id}-{next(_numbers)}"
        folder.mkdir()
        arrived = []
        for name, content in files.items():
            path = folder / name
            path.write_bytes(content)
            arrived.append(Arrived(name, path))
        coming = landing.land(
            self.store,
            self.district_id,
            self.source.name,
            FIRST_DAY + timedelta(day),
            arrived,
            next(_instants),
            "a test",
            choices,
        )
        return coming.drop.drop_id

    def load(self, day: int = 0) -> SyncReport:
        return self.sync().load_day(FIRST_DAY + timedelta(day))

    def upload(
        self, content: bytes, name: str = "results.csv", day: int = 0, **choices: str
    ) -> SyncReport:
        """A file is handed over and loaded."""
        self.land({name: content}, day, **choices)
        return self.load(day)

    def roster(self, night: int = 0, students: int = 12) -> None:
        """The district's roster comes."""
        roster = rows(0) | {"users": [], "enrollments": []}
        roster["users"] = [
            student(
                n,
                identifier=f"{100 + n:06}",
                username=f"given.s{n:03}",
                email=f"given.s{n:03}@quillmere.example",
                userIds=f"{{State_ID:{9000000100 + n}}}",
            )
            for n in range(1, students + 1)
        ]
        roster["enrollments"] = [
            {
                "sourcedId": f"E{n}",
                "classSourcedId": "C1",
                "userSourcedId": f"S{n:03}",
                "role": "student",
                "schoolSourcedId": "0101",
            }
            for n in range(1, students + 1)
        ]
        district = District(self.warehouse, self.folder, district_id=self.district_id)
        report = district.night(night, files(roster))
        assert report.applied, report.message

    def refill(self, *names: str) -> None:
        """These marts, and those they read, are computed anew; without names, all of them."""
        if names:
            refill_some(self.warehouse, self.district_id, *names)
        else:
            refill_district(self.warehouse, SQL, self.district_id)

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Rows of a query as dictionaries; `$district` filled in."""
        with self.warehouse.transaction() as session:
            return session.frame(sql, district=self.district_id).to_dicts()

    def results(self, columns: str = "*", where: str = "true") -> list[dict[str, Any]]:
        """Rows in the common shape."""
        return self.query(
            f"select {columns} from assessments.{self.source.name}_results"
            f" where district_id = $district and {where}"
            " order by line, objective_code, subject"
        )

    def state(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every version of every row, of all the source's tables."""
        found = {}
        with self.warehouse.transaction() as session:
            for table in self.source.tables:
                names = [column.name for column in table.stored_columns]
                names += ["valid_from", "valid_to", "drop_id", "line"]
                found[table.name] = sorted(
                    session.rows(
                        f"select {', '.join(names)} from {table.full_name}"
                        " where district_id = $district",
                        district=self.district_id,
                    ),
                    key=repr,
                )
        return found


def results_of(
    *districts: Uploads, columns: str = "*", where: str = "true"
) -> list[list[dict[str, Any]]]:
    """The rows of several districts that upload to one source, for each as its `results` gives.

    One question for all of them: a view of results takes longer to plan than to answer.
    """
    names = ", ".join(f"'{each.district_id}'" for each in districts)
    found: dict[str, list[dict[str, Any]]] = {each.district_id: [] for each in districts}
    for row in districts[0].query(
        f"select {columns}, district_id as of_district"
        f" from assessments.{districts[0].source.name}_results"
        f" where district_id in ({names}) and {where}"
        " order by line, objective_code, subject"
    ):
        found[row.pop("of_district")].append(row)
    return list(found.values())


def sample(source: str, name: str) -> bytes:
    return (SAMPLES / source / name).read_bytes()


def zipped(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def table_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def fixed_width(edition: Edition, table: str, records: list[dict[str, str]]) -> bytes:
    """The records as a file of fixed width: `CR LF`, windows-1252, a point at the end."""
    lines = []
    for record in records:
        line = [" "] * edition.record_length
        for place in placed(edition.headers[table]):
            value = record.get(place.column, "") if place.column else ""
            line[place.start : place.end] = value.ljust(place.end - place.start)
        line[-1] = "."
        lines.append("".join(line))
    return "".join(f"{line}\r\n" for line in lines).encode("cp1252")


def wide_csv(edition: Edition, table: str, records: list[dict[str, str]]) -> bytes:
    """The records as the CSV of the same layout."""
    places = placed(edition.headers[table])
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([place.header for place in places])
    for record in records:
        writer.writerow([record.get(place.column, "") if place.column else "" for place in places])
    return out.getvalue().encode()


def expected(source: str, edition: str) -> list[dict[str, str]]:
    return table_of((SAMPLES / source / "expected" / f"{edition}.csv").read_text("utf-8"))


def as_written(value: Any) -> str:
    """A value of a query as the expected facts write it."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:g}" if value == round(value, 6) else str(value)
        case date():
            return value.isoformat()
    return str(value)


def same(found: Any, wanted: str) -> bool:
    """Whether a value is what was worked out by hand: numbers by value, text as it is."""
    if isinstance(found, float | int) and not isinstance(found, bool) and wanted:
        return abs(float(wanted) - float(found)) < 1e-6
    if isinstance(found, datetime):
        return found.isoformat(sep=" ") == wanted.replace("T", " ")
    return as_written(found) == wanted
