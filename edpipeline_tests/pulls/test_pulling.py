"""What a pull comes to: which rows, what it asks for, and what it never does twice."""

import os
import zipfile
from collections.abc import Iterator, Mapping
from csv import DictWriter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import requests

from edpipeline import pulling, sources
from edpipeline.errors import BadConfiguration, Transient
from edpipeline.landing.schools import decide_schools
from edpipeline.pipeline import Pipeline
from edpipeline.sandbox.sftp_server import SftpServer, sftp_server
from edpipeline.sandbox.vendors import Vendors
from edpipeline.settings import provided
from edpipeline_tests.held import close_all, held_open
from edpipeline_tests.pulls.installation import DISTRICT, Installation, installed
from edpipeline_tests.some_marts import refill_some

EARLY = datetime(2026, 9, 12, 6, 30, tzinfo=UTC)
"""When few tests have been taken."""
WHOLE = "2026-07-01T00:00:00Z"
LOADED = ("loaded", "")
NOTHING_NEW = ("loaded", "The vendor had nothing new.")
PRODUCTS = ("SR", "SM", "SEL")
RESULTS = ("fct_assessment_result", "rpt_unmatched_result")


@pytest.fixture
def early(vendors: Vendors, tmp_path: Path) -> Iterator[Installation]:
    """Nothing was pulled yet; STAR lists Reading alone."""
    with installed(tmp_path, vendors, EARLY) as made:
        yield made.reading_alone()


@dataclass(frozen=True)
class FirstPull:
    """An installation that has pulled both vendors once."""

    folder: Path
    asked: Mapping[str, set[str]]
    """Since when it asked for changes, by source."""


@pytest.fixture(scope="module")
def first_pull(vendors: Vendors, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FirstPull]:
    folder = tmp_path_factory.mktemp("first-pull")
    with held_open(), installed(folder, vendors, EARLY) as installation:
        made = installation.reading_alone()
        asked = {source: made.asked(source) for source in ("star", "scantron")}
        close_all()  # a file that is open has not everything
        yield FirstPull(folder, asked)


@pytest.fixture
def pulled(first_pull: FirstPull, vendors: Vendors, tmp_path: Path) -> Iterator[Installation]:
    """Both vendors were pulled once; STAR lists Reading alone."""
    with installed(tmp_path, vendors, EARLY, like=first_pull.folder) as made:
        yield made.reading_alone()


def ids(early: Installation, source: str) -> list[str]:
    """What the vendor lists now."""
    return sorted(early.vendors.ids({"star": "SR"}.get(source, source)))


def pulled_ids(early: Installation, source: str) -> list[str]:
    key = "test_session_id" if source == "scantron" else "assessment_id"
    return [found for (found,) in early.rows(f"select {key} from assessments.{source} order by 1")]


def scored(listing: str, vendors: Vendors, score: int, count: int = 1) -> dict[str, Any]:
    """A change of the scores of the first records."""
    key, field = ("testSessionId", "scaledScore")
    if listing != "scantron":
        key, field = ("AssessmentID", "ScaledScore")
    return {listing: [{key: each, field: score} for each in vendors.ids(listing)[:count]]}


def versions(early: Installation, table: str, key: str, value: str, shown: str) -> list[Any]:
    return early.rows(
        f"select {shown}, valid_to is null from {table} where {key} = '{value}' order by valid_from"
    )


def test_what_the_vendors_list_is_what_the_tables_hold(vendors: Vendors, tmp_path: Path) -> None:
    with installed(tmp_path, vendors, EARLY) as made:
        listed = sorted(key for product in PRODUCTS for key in vendors.ids(product))
        for source, keys in (("star", listed), ("scantron", ids(made, "scantron"))):
            report = made.pull(source)
            assert (report.status, report.message) == LOADED
            assert pulled_ids(made, source) == keys
            for file in report.files:
                assert file.read == file.accepted == file.added + file.duplicate
            assert made.history(source) == [LOADED]
            assert made.in_scratch() == []
            schools = f"select count(*) from ops.vendor_schools where source = '{source}'"
            assert made.rows(schools) == [(4,)]
        by_product = made.rows("select product, count(*) from assessments.star group by product")
        assert dict(by_product) == {name: len(vendors.ids(name)) for name in PRODUCTS}
        tests = made.rows("select count(distinct assessment_id) from assessments.star")
        for part in ("standards", "skill_areas"):
            table = f"assessments.star_{part}"
            assert made.rows(f"select count(distinct assessment_id) from {table}") == tests
        orphans = (
            "select count(*) from assessments.scantron_units u left join assessments.scantron t"
            " on t.test_session_id = u.test_session_id where t.test_session_id is null"
        )
        assert made.rows(orphans) == [(0,)]


def test_fields_that_are_left_out_instead_of_empty_make_the_same_rows(pulled: Installation) -> None:
    pulled.vendors.seed(world={"nulls": False})
    for source in ("star", "scantron"):
        before = pulled.contents(source)
        report = pulled.pull(source, 0.01)
        assert report.status == "loaded" and sum(file.unchanged for file in report.files)
        assert not any(file.added or file.changed for file in report.files)
        assert {name: len(rows) for name, rows in pulled.contents(source).items()} == {
            name: len(rows) for name, rows in before.items()
        }
    pulled.vendors.seed(world={"nulls": True})


@pytest.mark.parametrize("source", ["star", "scantron"])
def test_a_pull_asks_for_what_changed_since_the_one_before_and_weekly_for_all(
    first_pull: FirstPull, pulled: Installation, source: str
) -> None:
    assert first_pull.asked[source] == {WHOLE}
    pulled = pulled.reading_alone(**{source: {"trailing_days": 3}})
    assert pulled.asked(source, 1) == {"2026-09-09T06:30:00Z"}
    # A day on which nothing could be pulled is made up for.
    pulled.vendors.inject(status=503, times=None)
    with pytest.raises(Transient):
        pulled.pull(source, 2)
    pulled.vendors.heal()
    assert would_ask(pulled, source, 3) == "2026-09-10T06:30:00Z"
    assert pulled.asked(source, 7) == {WHOLE}
    assert would_ask(pulled, source, 8) == "2026-09-16T06:30:00Z"


def would_ask(pulled: Installation, source: str, days: int) -> str:
    """Since when a pull would ask for changes, so many days after the start."""
    at = EARLY + timedelta(days=days)
    return pulling.ask_for(pulled.pipeline, DISTRICT, sources.source(source), at).values["since"]


def test_what_landed_and_could_not_be_used_is_asked_for_again(early: Installation) -> None:
    early.vendors.inject(
        match={"path": "results"}, times=None, rename_field={"testSessionId": "id"}
    )
    assert early.pull("scantron").status == "refused"
    assert early.contents("scantron")["assessments.scantron"] == []
    early.vendors.heal()
    early = early.configure(scantron={"trailing_days": 1})
    assert early.asked("scantron", 1) == {WHOLE}
    assert pulled_ids(early, "scantron") == ids(early, "scantron")


def test_what_landed_and_was_kept_from_one_table_is_asked_for_again(early: Installation) -> None:
    match = {"path": "assessments", "query": {"subject": "SR"}}
    early.vendors.inject(match=match, times=None, retype_field={"ScaledScore": "array"})
    report = early.pull("star")
    assert report.status == "loaded_with_errors" and "SR.jsonl" in report.message
    early.vendors.heal()
    assert early.asked("star", 1) == {WHOLE}
    assert pulled_ids(early, "star") == ids(early, "star")


def test_a_pull_whose_load_failed_is_made_up_for(early: Installation) -> None:
    """Landed, then the machine died: nothing says that it was loaded."""
    at = EARLY
    pulling.pull_and_land(early.pipeline, DISTRICT, sources.source("scantron"), at)
    assert early.asked("scantron", 1) == {WHOLE}
    assert pulled_ids(early, "scantron") == ids(early, "scantron")


def test_a_score_that_is_deactivated_changes_its_row(pulled: Installation) -> None:
    one, other = pulled.vendors.ids("SR")[:2]
    before = pulled.contents("star")
    late = {"AssessmentStatus": "Deactivated", "DeactivationReason": "wrong student"}
    pulled.vendors.set_clock(EARLY + timedelta(hours=12))
    pulled.vendors.seed(records={"SR": [{"AssessmentID": one, **late}]})
    report = pulled.pull("star", 1)
    again = pulled.contents("star")
    # What is pulled again and is known already makes no new version.
    closed = pulled.rows("select count(*) from assessments.star where valid_to is not null")
    changed = sum(file.changed for file in report.files)
    assert closed == [(changed,)] and 1 <= changed < 5
    assert len(again["assessments.star"]) == len(ids(pulled, "star")) + changed
    table, key, status = "assessments.star", "assessment_id", "assessment_status"
    assert versions(pulled, table, key, one, status) == [("Active", False), ("Deactivated", True)]
    assert versions(pulled, table, key, other, status) == [("Active", True)]
    new_tests = sum(file.added for file in report.files if file.table_name == table)
    assert new_tests == len(again[table]) - len(before[table]) - changed


def test_the_same_days_pulled_again_add_nothing(pulled: Installation) -> None:
    for source in ("star", "scantron"):
        before = pulled.contents(source)
        report = pulled.pull(source, 0.01)
        assert [file for file in report.files if file.added or file.changed] == []
        assert sum(file.unchanged for file in report.files) > 0
        assert pulled.contents(source) == before
        assert pulled_ids(pulled, source) == ids(pulled, source)


def test_where_nothing_is_new_the_history_says_so_and_no_row_changes(
    vendors: Vendors, tmp_path: Path
) -> None:
    spring = datetime(2027, 3, 10, 6, 30, tzinfo=UTC)
    with installed(tmp_path, vendors, spring) as quiet:
        quiet.pull("scantron")
        before = quiet.contents("scantron")
        quiet.pull("scantron", 1)
        assert quiet.history("scantron") == [LOADED, NOTHING_NEW]
        after = quiet.contents("scantron")
        # The schools were seen again.
        assert len(after.pop("schools")) == len(before.pop("schools")) == 4
        assert after == before


def test_a_vendor_without_any_result_is_pulled_all_the_same(
    vendors: Vendors, tmp_path: Path
) -> None:
    with installed(tmp_path, vendors, datetime(2026, 8, 20, 6, 30, tzinfo=UTC)) as summer:
        for source in ("star", "scantron"):
            summer.pull(source)
            assert summer.history(source) == [NOTHING_NEW]


def test_the_schools_that_a_vendor_lists_are_kept_with_their_codes(pulled: Installation) -> None:
    listed = pulled.rows(
        "select source, vendor_school_name, identifier, sourced_id from ops.vendor_schools"
        " where vendor_school_name like 'Q%' order by source"
    )
    name = "Quillmere Elementary School"
    assert listed == [("scantron", name, None, None), ("star", name, "0101", "0101")]


def test_nothing_is_asked_before_data_sharing_is_confirmed(early: Installation) -> None:
    early = early.configure(star={"data_sharing_confirmed": False})
    for act in (early.pull, lambda name: check(early, name)):
        with pytest.raises(BadConfiguration, match="data sharing with Renaissance is not confirm"):
            act("star")
    assert early.vendors.calls() == []
    ((status, message),) = early.history("star")
    assert status == "failed" and "data_sharing_confirmed: true" in message


def check(early: Installation, source: str) -> str:
    return pulling.account_works(early.pipeline, DISTRICT, sources.source(source))


@pytest.mark.parametrize("source", ["star", "scantron"])
def test_an_account_that_works_is_said_to_and_nothing_is_pulled(
    early: Installation, source: str
) -> None:
    assert check(early, source) == "Account is working"
    assert not any("modifiedSince" in call["query"] for call in early.vendors.calls())
    assert early.history(source) == []


def counting(early: Installation, source: str) -> int:
    """How many tests count: their school is matched, and their student was found."""
    where = f"source_system = '{source}' and objective_code = 'overall'"
    found = early.rows(f"select count(*) from marts.fct_assessment_result where {where}")
    return int(found[0][0])


def match_schools(early: Installation, source: str) -> None:
    """A person says which school is which; the vendors' last one is none of the roster's."""
    listed = early.rows(
        f"select vendor_school_id, vendor_school_name from ops.vendor_schools"
        f" where source = '{source}'"
    )
    roster = {"quillmere": "0101", "brackenfold": "0102", "larkenby": "0103"}
    said = {key: roster.get(name.split()[0].casefold()) for key, name in listed}
    decide_schools(early.pipeline.store, DISTRICT, source, said, "sam", EARLY)


def unmatched(early: Installation, source: str) -> dict[str, int]:
    return dict(
        early.rows(
            "select reject_reason, count(*) from marts.rpt_unmatched_result"
            f" where source_system = '{source}' group by reject_reason"
        )
    )


def test_results_wait_for_the_roster_and_the_schools_and_heal_by_themselves(
    pulled: Installation,
) -> None:
    refill(pulled, *RESULTS)
    tests = len(ids(pulled, "scantron"))
    assert unmatched(pulled, "scantron") == {"school_not_matched": tests}
    match_schools(pulled, "scantron")
    pulled.roster()
    # The next pull is the one that sees what was decided.
    pulled.pull("scantron", 0.01)
    refill(pulled, *RESULTS)
    waiting = unmatched(pulled, "scantron")
    assert set(waiting) == {"no_matching_school"}
    assert counting(pulled, "scantron") == tests - sum(waiting.values()) > 0.9 * tests


def refill(made: Installation, *names: str) -> None:
    """These marts are computed anew, and not published."""
    refill_some(made.pipeline.warehouse, DISTRICT, *names)


def test_the_match_field_is_chosen_on_both_sides(early: Installation) -> None:
    early.roster()
    refill(early, "dim_student_identifier")
    shares = {}
    for day, (theirs, ours) in enumerate(
        (
            ("StudentIdentifier", "district_user_id"),
            ("StudentStateID", "state_user_id"),
            ("StudentStateID", "username"),
        )
    ):
        made = early.reading_alone(star={"match": {"star_field": theirs, "roster_field": ours}})
        report = made.pull("star", day)
        (chosen,) = [rate for rate in report.match_rates if rate.is_chosen]
        assert chosen.field == ours
        shares[ours] = chosen.share
    assert shares["district_user_id"] > 0.9 and shares["state_user_id"] > 0.9
    assert shares["username"] == 0


def test_all_that_landed_makes_the_same_tables_again(pulled: Installation) -> None:
    for source, listing in (("star", "SR"), ("scantron", "scantron")):
        pulled.vendors.seed(records=scored(listing, pulled.vendors, 500, 3))
        pulled.pull(source, 1)
        pulled.pull(source, 1.01)
        before = pulled.contents(source)
        assert pulled.rows(f"select count(*) from assessments.{source} where valid_to is not null")
        pulled.pipeline.sync(DISTRICT, EARLY.date(), source=source).rebuild()
        assert pulled.contents(source) == before


def export(early: Installation) -> str:
    """The vendor's export of a few students, as a person downloads it."""
    columns = {
        "Site_ID": early.vendors.world.site_id,
        "Site_Name": "Quillmere Elementary School",
        "Reading_Test_Date": "09/09/2026",
        "Reading_Scaled_Score": "2310",
        "Reporting_Date": "09/10/2026",
    }
    edition = sources.source("scantron").edition("scantron_extended")
    headers = [field.header for field in edition.headers["scantron_export"]]
    text = StringIO()
    writer = DictWriter(text, headers, restval="")
    writer.writeheader()
    for number in ("000101", "000102"):
        writer.writerow({**columns, "Student_ID": number})
    return text.getvalue()


def test_an_export_handed_over_stands_beside_the_pulls(pulled: Installation) -> None:
    before = pulled.contents("scantron")
    (report,) = pulled.upload("scantron", "StudentResultsExport_Extended.csv", export(pulled), 0.1)
    assert report.status == "loaded", report.message
    after = pulled.contents("scantron")
    assert len(after.pop("assessments.scantron_export")) == 2
    before.pop("assessments.scantron_export")
    assert after == before
    # Somebody's file is no pull: it does not change what the next one asks for.
    pulled = pulled.configure(scantron={"trailing_days": 3})
    assert pulled.asked("scantron", 1) == {"2026-09-09T06:30:00Z"}
    assert pulled.rows("select count(*) from assessments.scantron_export") == [(2,)]
    (report,) = pulled.upload("scantron", "StudentResultsExport_Extended.csv", export(pulled), 1.1)
    assert pulled.rows("select count(*) from assessments.scantron_export") == [(2,)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SftpServer]:
    with sftp_server(tmp_path / "sftp", {"quillmere": "CANARY-sftp-password"}) as running:
        yield running


def over_sftp(made: Installation, server: SftpServer) -> Installation:
    account = {
        "host": server.host,
        "port": server.port,
        "username": "quillmere",
        "password_env": "STAR_SFTP",
        "host_key": server.host_key_line,
    }
    return made.configure(star={"transport": "sftp", "sftp": account})


def star_files(vendors: Vendors) -> Mapping[str, str]:
    """The vendor's nightly files of Reading, made of the same records as its API's answers."""
    world = vendors.world
    token = requests.post(
        f"{vendors.star_url}/oauth/token",
        {"grant_type": "client_credentials"},
        auth=(world.star_client_id, world.star_client_secret),
        timeout=10,
    ).json()["access_token"]
    district = f"{vendors.star_url}/v1/districts/{world.rp_identifier}"
    headers = {"Authorization": f"Bearer {token}"}
    user = {"username": world.star_username}
    requests.post(f"{district}/authorization", json=user, headers=headers, timeout=10)
    found = {}
    for what, name in (
        ("assessments", "SR.csv"),
        ("standards", "SR_Dashboard_Standards_v2.csv"),
        ("skill-areas", "SR_SkillArea_v1.csv"),
    ):
        asked: dict[str, Any] = {"subject": "SR", "pageSize": 1000, "page": 1}
        records: list[dict[str, Any]] = []
        while asked["page"]:
            page = requests.get(f"{district}/{what}", asked, headers=headers, timeout=10).json()
            records += page["records"]
            asked["page"] = page["nextPage"]
        found[name] = as_csv(records)
    return found


def as_csv(records: list[dict[str, Any]]) -> str:
    extra = ("StudentPassword", "ReportUrl")
    text = StringIO()
    headers = [name for name in records[0] if name not in extra]
    writer = DictWriter(text, headers, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


def lay_zip(server: SftpServer, name: str, files: Mapping[str, str]) -> None:
    path = server.folder("quillmere") / name
    with zipfile.ZipFile(path, "w") as package:
        for member, text in files.items():
            package.writestr(member, text)
    lay(path, EARLY - timedelta(minutes=20))


def lay(path: Path, at: datetime) -> None:
    os.utime(path, (at.timestamp(), at.timestamp()))


def own_rows(made: Installation) -> dict[str, list[str]]:
    """The rows of STAR's tables, of the columns that the vendor fills."""
    found = {}
    for table in sources.source("star").tables:
        columns = ", ".join(column.name for column in table.columns)
        found[table.name] = sorted(map(repr, made.rows(f"select {columns} from {table.full_name}")))
    return found


def test_the_zip_on_an_sftp_server_makes_the_same_rows_as_the_api(
    pulled: Installation, server: SftpServer
) -> None:
    by_api = own_rows(pulled)
    lay_zip(server, "quillmere.zip", star_files(pulled.vendors))
    with (
        provided({"STAR_SFTP": "CANARY-sftp-password"}),
        installed(pulled.folder / "by-sftp", pulled.vendors, EARLY) as made,
    ):
        other = over_sftp(made, server)
        assert "Account is working" in check(other, "star")
        report = other.pull("star")
        assert (report.status, report.message) == LOADED
        assert own_rows(other) == by_api
        assert other.vendors.calls() == []
        with pytest.raises(Transient, match="no new file"):
            other.pull("star", 1)
        assert [status for status, _ in other.history("star")] == ["loaded", "failed"]


def test_files_fetched_before_a_load_failed_are_loaded_by_the_next_try(
    early: Installation, server: SftpServer
) -> None:
    lay_zip(server, "one.zip", star_files(early.vendors))
    there = ids(early, "star")
    with provided({"STAR_SFTP": "CANARY-sftp-password"}):
        early = over_sftp(early, server)
        star = sources.source("star")
        pulling.pull_and_land(early.pipeline, DISTRICT, star, EARLY)
        assert early.history("star") == []
        early.pull("star", 1)
    assert [status for status, _ in early.history("star")] == ["loaded"]
    assert pulled_ids(early, "star") == there


def test_a_pull_works_the_same_on_postgresql(
    vendors: Vendors, tmp_path: Path, postgres_database_url: str
) -> None:
    with installed(tmp_path, vendors, EARLY, postgres_database_url) as installation:
        made = installation.reading_alone()
        for source in ("star", "scantron"):
            assert made.pull(source).status == "loaded"
            assert pulled_ids(made, source) == ids(made, source)
        made.vendors.seed(records=scored("scantron", made.vendors, 2222))
        report = made.pull("scantron", 1)
        assert sum(file.changed for file in report.files) == 1
        assert made.asked("scantron", 2) == {"2026-08-30T06:30:00Z"}


def test_a_district_without_the_source_is_told_what_to_add(early: Installation) -> None:
    bare = Pipeline(early.pipeline.settings)
    text = "districts: [{id: quillmere, name: Q, time_zone: UTC}]"
    bare.settings.districts.write_text(text)
    with pytest.raises(BadConfiguration, match="no `star:`"):
        pulling.pull_and_load(bare, DISTRICT, sources.source("star"), EARLY)


def test_in_the_first_days_of_a_school_year_the_end_of_the_last_one_is_asked_for_too(
    early: Installation,
) -> None:
    star, new_year = sources.source("star"), datetime(2027, 7, 3, 9, tzinfo=UTC)
    asked = pulling.ask_for(early.pipeline, DISTRICT, star, new_year)
    assert (asked.school_year, asked.year_before) == ("2027-2028", "2026-2027")
    assert asked.since_of_year_before == asked.since == new_year - timedelta(days=14)
    later = pulling.ask_for(early.pipeline, DISTRICT, star, new_year + timedelta(days=40))
    assert (later.year_before, later.since.date().isoformat()) == ("", "2027-07-01")
    early.vendors.set_clock(new_year)
    before = len(early.vendors.calls())
    pulling.pull_and_land(early.pipeline, DISTRICT, star, new_year)
    years = [call["query"].get("schoolYear") for call in early.vendors.calls()[before:]]
    assert {"2026-2027", "2027-2028"} <= set(years)


def test_a_schools_name_may_hold_any_character(early: Installation) -> None:
    name = "Birch\u0085Hill\u2028School"
    body = {"schools": [{"locationId": "L1", "name": name}], "page": 1, "pageCount": 1}
    early.vendors.inject(match={"path": "/schools$"}, body=body, times=None)
    assert early.pull("scantron").applied
    assert early.rows("select vendor_school_name from ops.vendor_schools") == [
        ("Birch Hill School",)
    ]
