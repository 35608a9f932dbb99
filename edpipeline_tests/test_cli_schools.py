"""Matching schools as a person does it: STAR results wait, somebody says which school is which."""

import csv
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from edpipeline import uploading
from edpipeline.cli import app
from edpipeline.loading.schools import record_vendor_schools
from edpipeline.pipeline import Pipeline
from edpipeline.warehouse.claims import claims, contradictions
from edpipeline.warehouse.engine import open_warehouse
from edpipeline.warehouse.results import OF_DISTRICT, UNITED, gather
from edpipeline_tests.district import SQL, files, rows, student
from edpipeline_tests.held import close_all
from edpipeline_tests.home import SECRET, Home, opened_home
from edpipeline_tests.prepared import prepare_from_copy
from edpipeline_tests.results.uploads import sample

OF_STAR = ("-d", "lincoln", "-s", "star")
MATCH = ("match-schools", *OF_STAR)
PERSONAL = re.compile(r"FamilyS|given\.s|0001\d\d|90000001\d\d")
HERON, IBIS = "5c4001e5-0000-4000-8000-000000000031", "5c4001e5-0000-4000-8000-000000000032"
TODAY = datetime.now(UTC).date()


def run(*arguments: str | Path, code: int = 0) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    assert SECRET not in result.output
    assert not PERSONAL.search(result.output), result.output
    return result


def with_star(home: Home) -> dict[str, Any]:
    """The district's entry; nothing is asked of the vendor, files of results are taken."""
    use = {
        "rp_identifier": "Q-1",
        "username": "admin",
        "client_id_env": "STAR_CLIENT_ID",
        "client_secret_env": "STAR_CLIENT_SECRET",
    }
    return home.lincoln(first_sync_needs_approval=False) | {"star": use}


def load_roster(home: Home) -> None:
    """Twelve students of North (0101), whose ids are those of the sample."""
    roster = rows(0)
    for number in range(1, 13):
        ids = {"identifier": f"{100 + number:06}", "userIds": f"{{State_ID:{9000000100 + number}}}"}
        roster["users"].append(student(number, **ids))
    home.load_roster(files(roster), TODAY - timedelta(days=3))


def star() -> bytes:
    """Results of two schools: North by its code, and one that the vendor calls Ibis."""
    header, *records = csv.reader(io.StringIO(sample("star", "star_v2.csv").decode()))
    lines = [dict(zip(header, record, strict=True)) for record in records]
    for line in lines:
        line |= {"SchoolIdentifier": "0101", "SchoolStateID": "", "SchoolSourcedID": ""}
        if line["StudentSourcedID"] in ("S004", "S005"):
            line |= {"SchoolRenaissanceID": IBIS, "SchoolName": "Ibis", "SchoolIdentifier": "77"}
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([header, *(line.values() for line in lines)])
    return out.getvalue().encode()


@contextmanager
def a_home(folder: Path, warehouse: str = "") -> Iterator[Home]:
    """A district with STAR results of two schools that nobody has matched."""
    with opened_home(folder, warehouse) as made:
        made.list_districts(with_star(made))
        load_roster(made)
        export = folder / "SR.csv"
        export.write_bytes(star())
        said = run("upload", export, *OF_STAR, "--now").output
        assert "Completed" in said, said
        yield made


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with a_home(tmp_path_factory.mktemp("template")) as made:
        close_all()
        return made.folder


@pytest.fixture
def home(tmp_path: Path, template: Path) -> Iterator[Home]:
    """The same district for every test."""
    with opened_home(tmp_path, like=template) as made:
        made.list_districts(with_star(made))
        yield made


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Iterator[Home]:
    """The same for tests that must leave everything as it is."""
    with opened_home(tmp_path_factory.mktemp("untouched"), like=template) as made:
        made.list_districts(with_star(made))
        yield made


@dataclass(frozen=True)
class Decided:
    """The same district after somebody decided, and somebody else decided otherwise."""

    home: Home
    first: list[tuple[object, ...]]
    """What counted after the first decision."""
    said: str
    """What was said of the second one."""


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Iterator[Decided]:
    with opened_home(tmp_path_factory.mktemp("twice"), like=template) as made:
        made.list_districts(with_star(made))
        run(*MATCH, "--pair", f"{HERON}=0102", "--pair", f"{IBIS}=0102", "--by", "Ada")
        first = counting(made)
        said = run(*MATCH, "--pair", f"{HERON}=0101", "--no-school", IBIS, "--by", "Bo")
        yield Decided(made, first, words(said))


def counting(home: Home) -> list[tuple[object, ...]]:
    return home.select(
        "select vendor_school_id, tested_school_id, count(*) from marts.fct_assessment_result f"
        " join assessments.star_results r using (district_id, source_record_id, objective_code)"
        " where objective_code = 'overall' group by 1, 2 order by 1"
    )


def reasons(home: Home) -> dict[str, int]:
    found = home.select(
        "select reject_reason, count(*) from marts.rpt_unmatched_result group by 1 order by 1"
    )
    return dict(found)


def contradicted(home: Home) -> list[str]:
    """Claims about the tables that do not hold, as the checks after a refill find them."""
    with home.pipeline.warehouse.transaction() as session:
        gather(session, SQL, "lincoln")
        instead = {UNITED: OF_DISTRICT}
        return [
            claim.name
            for claim in claims(SQL)
            if contradictions(session, claim, "lincoln", instead)
        ]


def words(result: Result) -> str:
    return " ".join(result.output.split())


def test_results_wait_until_their_school_is_matched_and_then_count(home: Home) -> None:
    assert (counting(home), set(reasons(home))) == ([], {"school_not_matched"})
    waiting = reasons(home)["school_not_matched"]
    [(remedy,)] = home.select("select distinct remedy from marts.rpt_unmatched_result")
    assert "`edpipeline match-schools --district lincoln --source star`" in remedy
    [quality] = home.select(
        "select result_count, schoolless_count, matched_count, match_rate, is_poorly_matched"
        " from marts.rpt_upload_quality"
    )
    assert quality == (waiting, waiting, 0, None, False)

    said = words(run(*MATCH))
    assert f"{HERON} Heron Elementary" in said
    assert "perhaps 0101 North: same id" in said
    assert "0102 South" in said
    assert f"2 of these schools wait, with {waiting} results" in said
    assert f"{' '.join(MATCH[:1])} --district lincoln --source star --accept-suggestions" in said
    assert counting(home) == []

    said = words(run(*MATCH, "--accept-suggestions", "--by", "Ada"))
    assert f"{HERON} Heron Elementary is 0101 North." in said
    [(school, matched, count)] = counting(home)
    assert (school, matched) == (HERON, "0101")
    assert f"Results of star that count: {count}, before 0." in said
    assert reasons(home) == {"school_not_matched": 2, "user_not_found": 1}
    assert "2 wait for 1 school to be matched" in said
    assert "1 of students who were not found" in said
    assert home.select("select decided_by, school_id from ops.school_matches") == [("Ada", "0101")]


def test_schools_are_matched_on_postgres_too(tmp_path: Path, postgres_database_url: str) -> None:
    with a_home(tmp_path, postgres_database_url) as home:
        assert "perhaps 0101 North: same id" in words(run(*MATCH))
        run(*MATCH, "--accept-suggestions", "--no-school", IBIS, "--by", "Ada")
        assert [row[:2] for row in counting(home)] == [(HERON, "0101")]
        assert reasons(home) == {"no_matching_school": 2, "user_not_found": 1}


def test_a_later_decision_takes_the_place_of_an_earlier_one(twice: Decided) -> None:
    home = twice.home
    assert [row[:2] for row in twice.first] == [(HERON, "0102"), (IBIS, "0102")]
    assert f"{IBIS} Ibis has no matching school." in twice.said
    assert [row[:2] for row in counting(home)] == [(HERON, "0101")]
    assert reasons(home)["no_matching_school"] == 2
    assert home.select(
        "select vendor_school_id, decision, school_id, decided_by, waiting_count"
        " from marts.rpt_school_match order by 1"
    ) == [(HERON, "matched", "0101", "Bo", 0), (IBIS, "no_matching_school", None, "Bo", 0)]
    assert "Every school is decided." in run(*MATCH).output
    assert len(home.pipeline.store.list("star/lincoln/schools/")) == 2
    assert contradicted(home) == []


def test_what_holds_is_not_written_down_again(twice: Decided) -> None:
    home = twice.home
    landed = home.pipeline.store.list("star/lincoln/schools/")
    run(*MATCH, "--pair", f"{HERON}=0101", "--by", "Cy")
    assert home.pipeline.store.list("star/lincoln/schools/") == landed


def test_a_lost_warehouse_gets_the_decisions_back(twice: Decided) -> None:
    home = twice.home
    before = (counting(home), reasons(home))
    assert before[0]
    url = SecretStr(f"duckdb:///{home.folder / 'new.duckdb'}")
    settings = home.pipeline.settings.model_copy(update={"warehouse": url})
    prepare_from_copy(open_warehouse(url.get_secret_value()), with_marts=True)
    again = replace(home, pipeline=Pipeline(settings))
    for source in ("oneroster", "star"):
        again.pipeline.sync("lincoln", TODAY, source=source).rebuild()
    again.pipeline.refill("lincoln")
    assert (counting(again), reasons(again)) == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--pair", f"{HERON[1:]}=0101"), f"the nearest: {HERON} (Heron Elementary)"),
        (("--pair", f"{HERON}=101"), "has no school '101'; the nearest: 0101 (North)"),
        (("--no-school", "Ibis"), f"the nearest: {IBIS} (Ibis)"),
        (("--pair", f"{HERON}=0101", "--no-school", "nobody"), "star of lincoln has no school"),
    ],
)
def test_what_is_not_known_is_refused_and_nothing_is_kept(
    untouched: Home, arguments: tuple[str, ...], says: str
) -> None:
    result = run(*MATCH, *arguments, "--by", "Ada", code=1)
    assert says in words(result)
    assert untouched.pipeline.store.list("star/lincoln/schools/") == []
    assert untouched.select("select count(*) from ops.school_matches") == [(0,)]


def test_what_cannot_be_asked_is_said_so(untouched: Home) -> None:
    ask = ("match-schools", "-d", "lincoln", "-s")
    assert "schools are matched for: scantron, star" in words(run(*ask, "adam", code=1))
    assert "nothing of scantron has named a school" in words(run(*ask, "scantron", code=1))
    assert "lincoln" in run("match-schools", "-d", "linkoln", "-s", "star", code=1).output


def test_a_list_of_the_vendor_tells_more_than_results_and_schools_without_any(home: Home) -> None:
    listed = [
        {"vendor_school_id": IBIS, "vendor_school_name": "South School"},
        {"vendor_school_id": "new", "vendor_school_name": "Nowhere", "state_id": "0"},
    ]
    with home.pipeline.warehouse.transaction() as session:
        record_vendor_schools(session, "lincoln", "star", listed, date(2026, 9, 1))
    said = words(run(*MATCH))
    assert f"{IBIS} South School 2 perhaps 0102 South: same name" in said
    assert "new Nowhere 0 not matched" in said


def test_while_the_primary_result_waits_for_its_school_the_latest_of_the_others_is_primary(
    tmp_path: Path, home: Home
) -> None:
    header, *records = csv.reader(io.StringIO(star().decode()))
    first = dict(zip(header, records[0], strict=True))
    later = first | {"AssessmentID": "a55e5500-0000-4000-8000-00000000ffff"}
    later |= {"SchoolRenaissanceID": IBIS, "SchoolName": "Ibis", "SchoolIdentifier": "77"}
    later |= {
        name: first[name].replace("2025-09-04", "2025-09-10").replace("2025-09-03", "2025-09-10")
        for name in ("LaunchDate", "CompletedDate", "CompletedDateLocal")
    }
    export = tmp_path / "SR.csv"
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([header, later.values()])
    export.write_text(out.getvalue())
    run("upload", export, *OF_STAR)
    [handed_over] = uploading.waiting(home.pipeline, datetime.now(UTC))
    uploading.load(home.pipeline, uploading.land(home.pipeline, handed_over, datetime.now(UTC)))
    primary = (
        "select source_record_id from marts.fct_assessment_result where is_primary"
        " and student_id = 'S001' and objective_code = 'overall'"
    )
    run(*MATCH, "--pair", f"{HERON}=0101", "--by", "Ada")
    assert home.select(primary) == [(first["AssessmentID"],)]
    assert contradicted(home) == []
    run(*MATCH, "--pair", f"{IBIS}=0102", "--by", "Ada")
    assert home.select(primary) == [(later["AssessmentID"],)]
