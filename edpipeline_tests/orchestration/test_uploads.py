"""Uploads in Dagster: handed over or laid by hand, asked for, landed, loaded, told when late.

The roster has students S1 to S6 with the identifiers 000101 to 000106.
"""

import io
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import pytest
from filelock import FileLock
from moto.server import ThreadedMotoServer

from edpipeline import uploading
from edpipeline.errors import BadConfiguration, Busy
from edpipeline.landing import drop as landing
from edpipeline.landing import inbox
from edpipeline.landing.inbox import STILL, FolderPlace
from edpipeline.loading.report import SyncReport
from edpipeline.orchestration import steps
from edpipeline.orchestration import uploads as module
from edpipeline.orchestration.partitions import DISTRICTS
from edpipeline.orchestration.runs import source_job
from edpipeline.orchestration.uploads import inbox_sensor, ready_check, unloaded_schedule
from edpipeline.pipeline import Pipeline
from edpipeline.sources import source
from edpipeline_tests.orchestration.installation import (
    DAY,
    Installation,
    checks,
    definitions,
    failure,
    key,
    materializations,
    roster,
)
from edpipeline_tests.orchestration.ticking import asked_by

SAMPLES = Path(__file__).parents[1] / "samples"
MAP = source("nwea_map")
SAMPLE = (SAMPLES / "nwea_map" / "nwea_cdf_2020.csv").read_bytes()
NEWER = (SAMPLES / "nwea_map" / "bad" / "corrected_later.csv").read_bytes()
NO_RIT = (SAMPLES / "nwea_map" / "bad" / "no_rit_column.csv").read_bytes()
NAME = "Canaryella Featherstone (0417).csv"
"""As people call their files."""
ACCENTED = "Canaryélla Featherstone's.csv"
CANARIES = ("canary", "featherstone")
HOUR = timedelta(hours=1)


@dataclass
class District:
    """A district that uploads, and what Dagster does about it."""

    at_work: Installation
    id: str
    folder: Path
    now: datetime | None = None
    """The clock of sensor and schedules; the real one where None."""

    @property
    def day(self) -> date:
        return self.pipeline().delivery_day(self.id, datetime.now(UTC), MAP.name)

    @property
    def inbox(self) -> Path:
        return Path(self.at_work.settings.inbox) / self.id / MAP.name

    def pipeline(self) -> Pipeline:
        return self.at_work.pipeline()

    def hand_over(self, content: bytes = SAMPLE, name: str = NAME, **choices: str) -> str:
        path = self.folder / name
        path.write_bytes(content)
        return uploading.hand_over(self.pipeline(), self.id, MAP, path, choices, "a.clerk")

    def lay(self, name: str, content: bytes = SAMPLE) -> Path:
        path = self.inbox / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def left(self) -> list[str]:
        place = self.pipeline().inbox
        return [entry.path for entry in place.entries() if entry.path.startswith(f"{self.id}/")]

    def tick(self, minutes: float = 0) -> dg.SensorResult:
        now = (self.now or datetime.now(UTC)) + timedelta(minutes=minutes)
        sensor = inbox_sensor(MAP, source_job(MAP), self.pipeline, clock=lambda: now)
        with dg.build_sensor_context(self.at_work.instance) as context:
            result = sensor(context)
        assert isinstance(result, dg.SensorResult)
        return result

    def run(self, request: dg.RunRequest | None = None) -> dg.ExecuteInProcessResult:
        """What the daemon does with a request; by hand where there is none."""
        return self.at_work.job("nwea_map_sync").execute_in_process(
            instance=self.at_work.instance,
            partition_key=request.partition_key if request else key(self.id, self.day),
            tags={**request.tags, "dagster/run_key": str(request.run_key)} if request else None,
            raise_on_error=False,
        )

    def take(self, minutes: float = 0) -> dg.ExecuteInProcessResult:
        """What waits is asked for by one request, and run."""
        [request] = self.tick(minutes).run_requests or []
        return self.run(request)

    def roster(self) -> None:
        users = [
            f"S{n},0101,student,s{n}.login,G{n},F{n},s{n}@example.org,05,{100 + n:06}"
            for n in range(1, 7)
        ]
        files = roster(students=6)
        header = files["users.csv"].split("\r")[0] + ",identifier"
        teacher = "T1,0101,teacher,t1.login,Tea,Cher,t1@example.org,,"
        files["users.csv"] = "".join(f"{line}\r" for line in (header, teacher, *users))
        paths = {name: self.folder / name for name in files}
        for name, text in files.items():
            paths[name].write_text(text)
        pipeline = self.pipeline()
        pipeline.receive(self.id, paths, DAY, datetime.now(UTC))
        assert pipeline.sync(self.id, DAY).load_day(DAY).applied
        pipeline.refill(self.id)

    def reports(self) -> list[SyncReport]:
        """The history of uploads, the oldest first."""
        found = [one for one in self.at_work.reports(self.id) if one.source == MAP.name]
        return list(reversed(found))

    def state(self) -> list[tuple[Any, ...]]:
        """Every version of every result."""
        return self.at_work.rows(
            "select result_id, test_rit_score, valid_from, valid_to, line"
            " from assessments.nwea_map where district_id = $district order by all",
            district=self.id,
        )

    def unloaded(self, hours: float = 1) -> list[dg.RunRequest]:
        schedule = unloaded_schedule(MAP, source_job(MAP), self.pipeline)
        return asked_by(schedule, self.at_work.instance, datetime.now(UTC) + hours * HOUR)

    def ready(self) -> dg.AssetCheckResult:
        """The check of every hour, of this source."""
        found: Any = ready_check(MAP, self.pipeline)()
        assert isinstance(found, dg.AssetCheckResult)
        return found

    def ready_in_a_run(self) -> dg.AssetCheckEvaluation:
        """The same, as its job evaluates it."""
        result = self.at_work.job("uploads_ready").execute_in_process(
            instance=self.at_work.instance,
            op_selection=["landing__nwea_map_ready_within_24_hours"],
        )
        assert result.success
        return checks(result)["landing/nwea_map/ready_within_24_hours"]


@pytest.fixture
def district(at_work: Installation, tmp_path: Path) -> Iterator[District]:
    """A district of its own, where it is noon, and an inbox that is empty before and after."""
    district_id, hour = at_work.new_district(), datetime.now(UTC).hour
    listed = at_work.settings.districts
    listed.write_text(listed.read_text().replace("America/New_York", f"Etc/GMT{hour - 12:+}"))
    yield District(at_work, district_id, tmp_path)
    shutil.rmtree(at_work.settings.inbox, ignore_errors=True)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Lets the clock of runs go by so much."""

    def go(by: timedelta) -> None:
        monkeypatch.setattr(module, "now_in_utc", lambda: datetime.now(UTC) + by)

    return go


def log_of(at_work: Installation, result: dg.ExecuteInProcessResult) -> str:
    """Everything that Dagster keeps of a run."""
    run = at_work.instance.get_run_by_id(result.run_id)
    events = at_work.instance.all_logs(result.run_id)
    return "\n".join(map(dg.serialize_value, [run, *events]))


def zipped(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def canaries_in(text: str) -> list[str]:
    return [canary for canary in CANARIES if canary in text.casefold()]


def test_a_file_that_is_handed_over_is_landed_loaded_shown_and_read_by_the_marts(
    district: District,
) -> None:
    district.roster()
    district.hand_over()
    asked = district.tick()
    [request] = asked.run_requests or []
    assert request.partition_key == key(district.id, district.day)
    result = district.run(request)
    assert result.success, failure(result)

    [report] = district.reports()
    assert (report.status, report.edition, report.day) == ("loaded", "nwea_cdf_2020", district.day)
    assert district.left() == []
    found = materializations(result)
    assert sorted(found) == ["assessments/nwea_map", "landing/nwea_map"]
    landed, table = found["landing/nwea_map"].metadata, found["assessments/nwea_map"].metadata
    assert (landed["drop_id"].value, landed["files"].value) == (report.drop_id, 1)
    assert landed["origin"].value == "uploaded by a.clerk"
    rows = len(district.state())
    assert table["read"].value == report.files[0].read >= rows
    assert table["added"].value == table["dagster/row_count"].value == rows > 0
    assert "**Completed**" in str(table["report"].value)
    told = checks(result)
    assert {name: one.passed for name, one in told.items()} == {
        "landing/nwea_map/students_matched": True,
        "landing/nwea_map/uploads_usable": True,
        "assessments/nwea_map/layout": True,
        "assessments/nwea_map/rows_reconcile": True,
        "assessments/nwea_map/removals_within_limit": True,
    }
    matched = told["landing/nwea_map/students_matched"].description
    assert matched == "4 of 5 ids match by district_user_id"
    district.pipeline().refill(district.id)
    [(students,)] = district.at_work.rows(
        "select count(distinct student_id) from marts.fct_assessment_result"
        " where district_id = $district",
        district=district.id,
    )
    assert students == 4


def test_marts_follow_every_table_of_uploads(district: District) -> None:
    """How they follow is tested with the marts."""
    graph = definitions(district.at_work.settings).resolve_asset_graph()
    facts = graph.get(dg.AssetKey(["marts", "fct_assessment_result"]))
    assert dg.AssetKey(["assessments", "nwea_map"]) in facts.parent_keys


def test_what_was_chosen_with_an_upload_holds_for_it(district: District) -> None:
    district.hand_over(edition="nwea_cdf_2015")
    result = district.take()
    assert "this is NWEA MAP" in failure(result)
    landed = materializations(result)["landing/nwea_map"].metadata
    assert landed["chosen edition"].value == "nwea_cdf_2015"
    [delivery] = landing.deliveries(district.pipeline().store, district.id, MAP.name)
    assert delivery.choices == {"edition": "nwea_cdf_2015"}
    assert [report.status for report in district.reports()] == ["refused"]


def test_a_file_laid_by_hand_is_taken_when_it_has_lain_still(
    district: District, later: Callable[[timedelta], None]
) -> None:
    district.lay(NAME)
    tick = district.tick()
    assert tick.run_requests == []
    assert "may still be written" in str(tick.skip_reason)
    assert "nothing was uploaded on this day" in failure(district.run())
    later(STILL * 2)
    result = district.take(minutes=2)
    assert result.success, failure(result)
    assert district.left() == []
    assert (
        materializations(result)["landing/nwea_map"].metadata["origin"].value
        == "laid into the inbox by hand"
    )
    [field] = district.at_work.rows(
        "select distinct match_field from assessments.nwea_map where district_id = $district",
        district=district.id,
    )
    assert field == ("district_user_id",)


@pytest.mark.parametrize(
    "name",
    [
        ".results.csv.part",
        "results.csv.part",
        "results.csv.filepart",
        "results.xlsx",
        "choices.json",
        "20260901T120000000000Z/results.csv",
        "20260901T120000000000Z/choices.json",
        "older/results.csv",
    ],
)
def test_what_is_no_whole_upload_is_left_alone(district: District, name: str) -> None:
    path = district.lay(name)
    assert district.tick(minutes=5).run_requests == []
    assert path.exists()


def test_choices_that_cannot_be_read_hold_back_their_file_alone(district: District) -> None:
    district.lay("20260901T120000000000Z/results.csv")
    district.lay("20260901T120000000000Z/choices.json", b"{")
    district.hand_over()
    assert district.take().success
    assert len(district.left()) == 2


def test_a_district_that_is_not_known_or_has_it_switched_off_is_left_alone(
    district: District,
) -> None:
    district.hand_over()
    listed = district.at_work.settings.districts
    text = listed.read_text()
    listed.write_text(text.replace(f"id: {district.id}", "id: other"))
    assert district.tick().run_requests == []
    listed.write_text(text + "  uploads:\n    nwea_map:\n      enabled: false\n")
    assert district.tick().run_requests == []
    with pytest.raises(BadConfiguration, match="switched off"):
        uploading.look_at(district.pipeline(), district.id, MAP, district.folder / NAME, {})


def test_a_district_that_dagster_does_not_know_is_made_known(district: District) -> None:
    name = str(DISTRICTS.name)
    district.at_work.instance.delete_dynamic_partition(name, district.id)
    district.hand_over()
    tick = district.tick()
    [added] = tick.dynamic_partitions_requests or []
    assert added.partition_keys == [district.id]
    district.at_work.instance.add_dynamic_partitions(name, [district.id])
    assert district.run(tick.run_requests[0]).success  # type: ignore[index]


def test_uploads_that_wait_are_deliveries_of_one_run_in_their_order(district: District) -> None:
    district.hand_over()
    district.hand_over(NEWER, "newer.csv")
    result = district.take()
    assert result.success, failure(result)
    landed = landing.deliveries(district.pipeline().store, district.id, MAP.name)
    assert [d.drop.files[0].name for d in landed] == [NAME, "newer.csv"]
    reports = district.reports()
    assert [report.drop_id for report in reports] == [d.drop.drop_id for d in landed]
    assert [report.status for report in reports] == ["loaded", "loaded"]
    tables = [e for e in result.all_events if e.is_step_materialization]
    assert len(tables) == 4
    assert district.left() == []


def test_an_upload_that_is_refused_fails_the_run_and_the_other_one_is_loaded(
    district: District,
) -> None:
    district.hand_over(NO_RIT)
    district.hand_over(SAMPLE, "right.csv")
    result = district.take()
    assert not result.success
    said = failure(result)
    first, second = district.reports()
    assert (first.status, second.status) == ("refused", "loaded")
    assert f"drop {first.drop_id}: Refused: nothing was changed. the file" in said
    assert "TestRITScore" in said
    assert "Other uploads of the day that were loaded: 1" in said
    assert len(district.state()) > 0
    assert district.left() == []
    usable = checks(result)["landing/nwea_map/uploads_usable"]
    assert (usable.passed, usable.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "TestRITScore" in str(usable.description)
    assert canaries_in(log_of(district.at_work, result)) == []
    assert district.unloaded() == []


def test_the_same_file_once_more_changes_nothing(district: District) -> None:
    district.hand_over()
    assert district.take().success
    before = district.state()
    district.hand_over()
    again = district.take()
    assert again.success, failure(again)
    assert district.state() == before
    assert len({report.drop_id for report in district.reports()}) == 1


def test_a_request_is_not_repeated_while_its_run_has_not_ended(district: District) -> None:
    district.hand_over()
    [first] = district.tick().run_requests or []
    [second] = district.tick().run_requests or []
    assert first.run_key == second.run_key
    instance = district.at_work.instance
    running = instance.create_run_for_job(
        district.at_work.job("nwea_map_sync"),
        tags={"dagster/partition": str(first.partition_key)},
        status=dg.DagsterRunStatus.STARTED,
    )
    idle = district.tick()
    assert (idle.run_requests, idle.skip_reason and idle.skip_reason.skip_message) == (
        [],
        "what was uploaded is being loaded",
    )
    [stuck] = district.tick(minutes=180).run_requests or []
    assert stuck.run_key != first.run_key
    instance.delete_run(running.run_id)


def test_what_was_asked_for_before_midnight_is_asked_for_anew(
    district: District, later: Callable[[timedelta], None]
) -> None:
    district.hand_over()
    [request] = district.tick().run_requests or []
    later(24 * HOUR)
    result = district.run(request)
    assert result.success, failure(result)
    assert materializations(result) == {}
    assert len(district.left()) == 2


def test_a_run_that_died_after_landing_is_made_good(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        raise MemoryError

    district.hand_over()
    monkeypatch.setattr(uploading, "load", dies)
    assert "unexpected MemoryError" in failure(district.take())
    monkeypatch.undo()
    assert (district.left(), district.reports(), district.state()) == ([], [], [])
    assert district.tick().run_requests == []
    assert district.unloaded(hours=0) == []
    [request] = district.unloaded()
    assert district.run(request).success
    assert [report.status for report in district.reports()] == ["loaded"]
    assert district.unloaded() == []


def test_a_run_that_died_between_landing_and_clearing_lands_it_once(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        raise MemoryError

    district.hand_over()
    monkeypatch.setattr(inbox, "clear", dies)
    assert not district.take().success
    monkeypatch.undo()
    assert district.take(minutes=60).success
    assert len(landing.deliveries(district.pipeline().store, district.id, MAP.name)) == 1
    assert district.left() == []


def test_an_upload_that_is_not_ready_in_24_hours_is_told_with_its_district(
    district: District, later: Callable[[timedelta], None]
) -> None:
    district.lay(NAME + ".part")
    assert district.ready().passed
    later(25 * HOUR)
    late = district.ready_in_a_run()
    assert not late.passed
    assert late.severity is dg.AssetCheckSeverity.ERROR
    assert str(late.description).startswith(f"not loaded: {district.id} since ")
    assert canaries_in(str(late)) == []
    (district.inbox / (NAME + ".part")).unlink()
    upload = district.hand_over()
    [waiting] = uploading.waiting(district.pipeline(), datetime.now(UTC))
    assert waiting.files[0].path == upload
    uploading.land(district.pipeline(), waiting, datetime.now(UTC))
    assert not district.ready().passed
    assert district.run().success
    assert district.ready().passed


def test_where_nothing_waits_nothing_but_the_inbox_and_the_landing_is_looked_at(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(_: object) -> None:
        raise AssertionError("opened")

    monkeypatch.setattr(Pipeline, "warehouse", property(opened))
    assert district.unloaded() == []
    assert district.ready().passed
    monkeypatch.setattr(Pipeline, "store", property(opened))
    monkeypatch.setattr(Pipeline, "districts", property(opened))
    assert district.tick().run_requests == []


def test_a_tick_over_300_districts_lists_the_inbox_once(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "districts:\n" + "".join(
        f"  - {{id: d-{n}, name: n, time_zone: America/New_York}}\n" for n in range(300)
    )
    district.at_work.settings.districts.write_text(text)
    for n in range(300):
        other = District(district.at_work, f"d-{n}", district.folder)
        other.lay("results.csv", b"")
    listings: list[FolderPlace] = []
    entries = FolderPlace.entries

    def counted(self: FolderPlace) -> list[inbox.Entry]:
        listings.append(self)
        return entries(self)

    monkeypatch.setattr(FolderPlace, "entries", counted)
    began = time.process_time()
    tick = district.tick(minutes=5)
    assert time.process_time() - began < 5
    assert len(tick.run_requests or []) == 300
    assert len(listings) == 1


def test_a_locked_warehouse_is_tried_again(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = district.at_work.settings.model_copy(update={"lock_seconds": 0.1})
    district.at_work.reports(district.id)
    quick = replace(district, at_work=replace(district.at_work, settings=settings))
    path = settings.warehouse.get_secret_value().removeprefix("duckdb://")
    quick.hand_over()
    [request] = quick.tick().run_requests or []
    held = FileLock(f"{path}.lock", thread_local=False)
    held.acquire()

    class Waits(tuple[int, ...]):
        """Whoever asks how long to wait has found the warehouse locked: now it is let go."""

        def __getitem__(self, place: object) -> int:  # type: ignore[override]
            held.release()
            return 0

    monkeypatch.setattr(steps, "RETRY_SECONDS", Waits((1, 1, 1)))
    result = quick.run(request)
    assert result.success, failure(result)
    assert any(event.is_step_restarted for event in result.all_events)
    assert sorted(materializations(result)) == ["assessments/nwea_map", "landing/nwea_map"]
    assert [report.status for report in quick.reports()] == ["loaded"]


def test_a_warehouse_that_stays_locked_fails_the_run_for_now(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object) -> None:
        raise Busy("another load holds the warehouse")

    monkeypatch.setattr(steps, "RETRY_SECONDS", ())
    monkeypatch.setattr(uploading, "load", busy)
    district.hand_over()
    assert "another load holds the warehouse" in failure(district.take())


def test_dagster_is_not_told_how_files_are_called(
    district: District, later: Callable[[timedelta], None]
) -> None:
    usable = {ACCENTED: SAMPLE, "right.zip": zipped({NAME: SAMPLE})}
    others = {
        "canary\u200bfeatherstone-0417.csv": b"",
        NAME.replace(".csv", ".ZIP"): b"PK\x03\x04 no zip",
        "results.zip": zipped({NAME: NO_RIT, f"other {NAME}": b"a,b\n1,2\n"}),
    }
    for name, content in (usable | others).items():
        district.lay(name, content)
    later(STILL * 2)
    tick = district.tick(minutes=2)
    [request] = tick.run_requests or []
    result = district.run(request)
    assert not result.success
    statuses = [report.status for report in district.reports()]
    assert sorted(statuses) == ["loaded"] * len(usable) + ["refused"] * len(others)
    assert district.left() == []
    assert canaries_in(repr(tick) + log_of(district.at_work, result)) == []


def test_a_file_gone_from_landing_is_told_without_its_name(district: District) -> None:
    district.hand_over()
    [upload] = uploading.waiting(district.pipeline(), datetime.now(UTC))
    uploading.land(district.pipeline(), upload, datetime.now(UTC))
    drops = Path(district.at_work.settings.landing) / MAP.name / district.id / "drops"
    [kept] = drops.rglob("01-*")
    kept.unlink()
    result = district.run()
    assert "the landing is damaged" in failure(result)
    assert canaries_in(log_of(district.at_work, result)) == []


@pytest.fixture(scope="module")
def s3_inbox() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        boto3.client("s3", endpoint_url=f"http://{host}:{port}").create_bucket(Bucket="inbox")
        yield f"s3://inbox/deep?endpoint_url=http://{host}:{port}"
    server.stop()


def test_an_inbox_on_s3_works_the_same(
    district: District, s3_inbox: str, later: Callable[[timedelta], None]
) -> None:
    settings = district.at_work.settings.model_copy(update={"inbox": s3_inbox})
    on_s3 = replace(district, at_work=replace(district.at_work, settings=settings))
    on_s3.hand_over(NO_RIT)
    by_hand = on_s3.folder / "by-hand.csv"
    by_hand.write_bytes(NEWER)
    on_s3.pipeline().inbox.put(f"{on_s3.id}/nwea_map/{by_hand.name}", by_hand)
    on_s3.pipeline().inbox.put(f"{on_s3.id}/nwea_map/{by_hand.name}.part", by_hand)
    later(STILL * 2)
    result = on_s3.take(minutes=2)
    assert "TestRITScore" in failure(result)
    assert [one.status for one in on_s3.reports()] == ["refused", "loaded"]
    assert on_s3.left() == [f"{on_s3.id}/nwea_map/by-hand.csv.part"]
    assert canaries_in(log_of(on_s3.at_work, result)) == []
