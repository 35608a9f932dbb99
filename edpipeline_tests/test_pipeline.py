from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from edpipeline.errors import BadConfiguration, BadCredentials, ConnectionLost, Transient
from edpipeline.landing.drop import deliveries
from edpipeline.landing.stability import LookSettings, RemoteFile, Verdict
from edpipeline.pipeline import Pipeline, expected_names
from edpipeline.settings import load_settings, provided
from edpipeline.sources import source
from edpipeline_tests.district import POWERSCHOOL, files, rows
from edpipeline_tests.home import AT_ONCE, PASSWORD, SECRET, Home, now, opened_home

ONEROSTER = source("oneroster")
MINUTE = timedelta(minutes=1)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with opened_home(tmp_path) as made:
        yield made


def test_an_empty_folder_holds_nothing_new(home: Home) -> None:
    arrival = home.pipeline.deliver("lincoln", now())
    assert (arrival.verdict, arrival.delivery) == (Verdict.NOTHING_NEW, None)
    assert "nothing new" in arrival.message


def test_a_first_look_takes_nothing_and_the_second_a_minute_later_takes_the_set(home: Home) -> None:
    home.send(files(rows()))
    first = home.pipeline.deliver("lincoln", now())
    assert first.verdict is Verdict.GROWING
    assert "users.csv" in first.message
    second = home.pipeline.deliver("lincoln", now() + MINUTE, first.look)
    assert second.delivery is not None
    assert second.delivery.drop.drop_id in second.message
    assert [file.name for file in second.delivery.drop.files] == [
        "classes.csv",
        "enrollments.csv",
        "users.csv",
    ]
    assert SECRET not in second.delivery.origin


def test_what_has_landed_is_not_taken_again_by_somebody_without_memory(home: Home) -> None:
    home.send(files(rows()))
    taken = home.pipeline.deliver("lincoln", now(), None, 1, AT_ONCE)
    assert taken.verdict is Verdict.READY
    again = home.again().pipeline.deliver("lincoln", now(), None, 1, AT_ONCE)
    assert again.verdict is Verdict.NOTHING_NEW
    assert len(deliveries(home.pipeline.store, "lincoln", "oneroster")) == 1


def test_the_same_bytes_sent_again_are_known_as_taken_on_the_day_after(home: Home) -> None:
    day = timedelta(days=1)
    found = []
    for age_seconds, at in ((7200, now()), (3600, now() + day), (None, now() + 2 * day)):
        if age_seconds:
            home.send(files(rows()), age_seconds)
        found.append(home.again().pipeline.deliver("lincoln", at, None, 1, AT_ONCE).verdict)
    assert found == [Verdict.READY, Verdict.READY, Verdict.NOTHING_NEW]


def test_waiting_ends_when_the_files_stay_as_they_are(home: Home) -> None:
    home.send(files(rows()), age_seconds=30)
    seen: list[str] = []
    patience = LookSettings(min_seconds=1, quiet_seconds=0)
    arrival = home.pipeline.deliver("lincoln", now(), None, 5, patience, seen.append)
    assert arrival.verdict is Verdict.READY
    assert [step.split()[0] for step in seen] == ["looking", "waiting", "fetching", "writing"]


def test_waiting_ends_without_them_when_its_time_is_over(home: Home) -> None:
    home.send(files(rows()), age_seconds=0)
    patience = LookSettings(min_seconds=1, quiet_seconds=60)
    arrival = home.pipeline.deliver("lincoln", now(), None, 1.2, patience)
    assert arrival.verdict is Verdict.GROWING
    assert arrival.delivery is None


def test_a_set_that_lacks_a_file_is_named_and_left(home: Home) -> None:
    delivered = files(rows())
    del delivered["classes.csv"]
    home.send(delivered)
    arrival = home.pipeline.deliver("lincoln", now(), None, 1, AT_ONCE)
    assert arrival.verdict is Verdict.INCOMPLETE
    assert "classes.csv" in arrival.message


@pytest.mark.parametrize(
    ("names", "edition", "expected"),
    [
        (["users.csv"], "auto", {"users.csv", "classes.csv", "enrollments.csv"}),
        (["users.csv"], "three_file", {"users.csv", "classes.csv", "enrollments.csv"}),
        (["a.csv"], "oneroster_1_1", {"users.csv", "classes.csv", "enrollments.csv", "orgs.csv"}),
        (["users.csv", "Manifest.csv"], "auto", {"manifest.csv"}),
    ],
)
def test_what_makes_a_delivery_complete_is_told_by_its_manifest_or_its_edition(
    names: list[str], edition: str, expected: set[str]
) -> None:
    listed = [RemoteFile(name, 1, 1_000_000) for name in names]
    assert set(expected_names(ONEROSTER, edition, listed, LookSettings())) == expected


def test_a_manifest_of_another_day_does_not_count() -> None:
    listed = [RemoteFile("users.csv", 1, 1_000_000), RemoteFile("manifest.csv", 1, 900_000)]
    assert "classes.csv" in expected_names(ONEROSTER, "auto", listed, LookSettings())


def test_the_delivery_day_is_that_of_the_districts_own_window(home: Home) -> None:
    at = now().replace(year=2026, month=11, day=21, hour=3)
    assert home.pipeline.delivery_day("lincoln", at) == date(2026, 11, 20)


def test_a_delivery_is_loaded_and_its_marts_are_refilled_and_published(home: Home) -> None:
    home.list_districts(home.lincoln(first_sync_needs_approval=False))
    home.send(files(rows(students=12)))
    pipeline = home.again().pipeline
    delivery = pipeline.deliver("lincoln", now(), None, 1, AT_ONCE).delivery
    assert delivery is not None
    assert not pipeline.is_synced("lincoln", delivery.day)
    report = pipeline.sync("lincoln", delivery.day).load_day(delivery.day)
    assert report.status == "loaded"
    assert pipeline.is_synced("lincoln", delivery.day)
    pipeline.refill("lincoln")
    assert home.select("select count(*) from marts.dim_student") == [(12,)]
    assert (Path(pipeline.settings.published) / "analyst.duckdb").is_file()


def test_files_of_this_machine_land_like_fetched_ones(home: Home, tmp_path: Path) -> None:
    paths = {}
    for name, content in files(rows(), POWERSCHOOL).items():
        paths[name] = tmp_path / name
        paths[name].write_bytes(content)
    delivery = home.pipeline.receive("lincoln", paths, date(2026, 9, 1), now())
    assert (delivery.day, delivery.origin) == (date(2026, 9, 1), "by hand")
    assert len(delivery.drop.files) == 3


def test_a_paused_days_options_hold_for_that_day_alone(home: Home) -> None:
    pause = {"from": "2026-09-02", "to": "2026-09-02", "what": "removals"}
    home.list_districts(home.lincoln(pauses=[pause], first_sync_needs_approval=False))
    pipeline = home.again().pipeline
    everyone, fewer = files(rows(students=30)), files(rows(students=28))
    for day, delivered in ((1, everyone), (2, fewer), (3, fewer)):
        paths = {}
        for name, content in delivered.items():
            paths[name] = home.folder / name
            paths[name].write_bytes(content)
        pipeline.receive("lincoln", paths, date(2026, 9, day), now())
        pipeline.sync("lincoln", date(2026, 9, day)).load_day(date(2026, 9, day))
    status = "select status from ops.sync_history where delivery_day = date '2026-09-0{}'"
    assert home.select(status.format(2)) == [("removals_held",)]
    assert home.select(status.format(3)) == [("loaded",)]
    # Loading the first day again replays the others, each with its own day's options.
    pipeline.sync("lincoln", date(2026, 9, 1)).load_day(date(2026, 9, 1))
    assert home.select(status.format(2)) == [("removals_held",)] * 2
    assert home.select(status.format(3)) == [("loaded",)] * 2


def test_a_missed_day_has_one_line_in_the_history_however_often_it_is_told(home: Home) -> None:
    for message in ("nothing came", "classes.csv did not come"):
        home.pipeline.record_failure("lincoln", "oneroster", date(2026, 9, 1), "missed", message)
    lines = home.select("select delivery_day, status, message, drop_id from ops.sync_history")
    assert lines == [(date(2026, 9, 1), "missed", "classes.csv did not come", None)]


def results(home: Home) -> dict[str, tuple[bool, str]]:
    found = home.again().pipeline.check("lincoln")
    assert not [result for result in found if SECRET in result.message]
    return {result.name: (result.ok, result.message) for result in found}


def test_a_good_account_is_working(home: Home) -> None:
    home.send(files(rows()))
    found = results(home)
    assert all(ok for ok, _ in found.values())
    assert "Account is working" in found["SFTP account"][1]
    assert "'users.csv' (60 min old)" in found["SFTP account"][1]


def test_an_empty_folder_is_a_working_account(home: Home) -> None:
    assert "its folder is empty" in results(home)["SFTP account"][1]


def test_a_secret_that_is_not_set_is_asked_for(home: Home) -> None:
    with provided({PASSWORD: ""}):
        found = results(home)
    assert found["secret"][0] is False
    assert PASSWORD in found["secret"][1]
    assert "SFTP account" not in found


@pytest.mark.parametrize(
    ("sftp", "says"),
    [
        ({"username": "somebody"}, "refused the login"),
        ({"folder": "/elsewhere"}, "is not there or may not be read"),
        ({"port": 1}, "no connection"),
    ],
)
def test_a_bad_account_says_what_to_do(home: Home, sftp: dict[str, object], says: str) -> None:
    home.list_districts(home.lincoln(sftp=sftp))
    ok, message = results(home)["SFTP account"]
    assert not ok
    assert says in message


def test_a_changed_host_key_is_told_from_a_bad_password(home: Home) -> None:
    home.server.change_host_key()
    ok, message = results(home)["SFTP account"]
    assert not ok
    assert "showed the host key" in message
    with pytest.raises(BadCredentials):
        home.pipeline.deliver("lincoln", now())


def test_a_warehouse_or_landing_out_of_reach_is_found_before_the_evening(home: Home) -> None:
    blocked = home.folder / "a-file"
    blocked.write_text("not a folder")
    with provided(
        {
            "EDPIPELINE_LANDING": str(blocked / "landing"),
            "EDPIPELINE_WAREHOUSE": "postgresql://nobody:hunter2@127.0.0.1:1/none",
            "EDPIPELINE_DISTRICTS": str(home.pipeline.settings.districts),
        }
    ):
        settings = load_settings()
    found = {result.name: result for result in Pipeline(settings).check("lincoln")}
    assert not found["landing"].ok
    assert not found["warehouse"].ok
    assert "does not answer" in found["warehouse"].message
    assert "hunter2" not in found["warehouse"].message


def test_a_server_that_dies_in_the_middle_lands_nothing_and_may_be_tried_again(home: Home) -> None:
    home.send(files(rows(students=400)))
    first = home.pipeline.deliver("lincoln", now())
    home.server.faults.drop_after_bytes = 1000
    with pytest.raises(ConnectionLost) as caught:
        home.pipeline.deliver("lincoln", now() + MINUTE, first.look)
    assert isinstance(caught.value, Transient)
    assert deliveries(home.pipeline.store, "lincoln", "oneroster") == []
    home.server.faults.drop_after_bytes = None
    again = home.pipeline.deliver("lincoln", now() + MINUTE, first.look)
    assert again.verdict is Verdict.READY


def test_nothing_is_opened_before_it_is_asked_for(tmp_path: Path) -> None:
    with provided(
        {
            "EDPIPELINE_HOME": str(tmp_path / "home"),
            "EDPIPELINE_WAREHOUSE": "postgresql://nobody@127.0.0.1:1/none",
        }
    ):
        pipeline = Pipeline(load_settings())
    assert pipeline.source.name == "oneroster"
    assert not (tmp_path / "home").exists()
    with pytest.raises(BadConfiguration, match="no districts file"):
        _ = pipeline.districts
