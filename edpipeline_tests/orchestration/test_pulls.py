"""Pulls in Dagster: asked for once in a day's window, again while they fail, told when missed."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import dagster as dg
import pytest

from edpipeline import sources, uploading
from edpipeline.model import Source
from edpipeline.orchestration.partitions import DISTRICTS
from edpipeline.orchestration.runs import source_job
from edpipeline.orchestration.schedules import window_schedule
from edpipeline.sandbox.vendors import Vendors
from edpipeline_tests.held import close_all
from edpipeline_tests.orchestration.installation import (
    checks,
    definitions,
    failure,
    materializations,
)
from edpipeline_tests.orchestration.ticking import asked_by, instance, nothing_ran_before, on_disk
from edpipeline_tests.pulls.canaries import assert_none, texts
from edpipeline_tests.pulls.installation import DISTRICT, Installation, installed, served
from edpipeline_tests.results.uploads import SAMPLES

__all__ = ["instance", "nothing_ran_before", "on_disk"]  # fixtures

ALWAYS = {"window": {"opens": "00:00", "closes": "00:00", "time_zone": "UTC"}}
SCANTRON = sources.source("scantron")


@pytest.fixture(scope="module")
def vendors() -> Iterator[Vendors]:
    with served() as running:
        yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all, so that their settings, and with them what Dagster loads, are the same."""
    return tmp_path_factory.mktemp("pulled")


@pytest.fixture
def installation(vendors: Vendors, folder: Path) -> Iterator[Installation]:
    close_all()
    shutil.rmtree(folder)
    with installed(folder, vendors, datetime.now(UTC)) as made:
        yield made.configure(scantron=ALWAYS, star=ALWAYS)


def tick(
    installation: Installation,
    instance: dg.DagsterInstance,
    at: datetime | None = None,
    source: Source = SCANTRON,
) -> list[dg.RunRequest]:
    schedule = window_schedule(source, source_job(source), lambda: installation.pipeline)
    return asked_by(schedule, instance, at or datetime.now(UTC))


def run(
    installation: Installation, instance: dg.DagsterInstance, request: dg.RunRequest
) -> dg.ExecuteInProcessResult:
    instance.add_dynamic_partitions(str(DISTRICTS.name), [DISTRICT])
    job = definitions(installation.pipeline.settings).resolve_job_def("scantron_sync")
    return job.execute_in_process(
        instance=instance,
        partition_key=request.partition_key,
        run_config=request.run_config,
        tags=request.tags,
        raise_on_error=False,
    )


def test_an_open_window_asks_for_one_pull_a_day(
    installation: Installation, instance: dg.DagsterInstance
) -> None:
    [request] = tick(installation, instance)
    assert str(request.partition_key).endswith(f"|{DISTRICT}")
    done = run(installation, instance, request)
    assert done.success, failure(done)
    assert {"landing/scantron", "assessments/scantron"} <= set(materializations(done))
    found = checks(done)
    assert found["landing/scantron/delivery_on_time"].passed
    assert not found["landing/scantron/schools_matched"].passed
    assert "match-schools" in str(found["landing/scantron/schools_matched"].description)
    assert [status for status, _ in installation.history("scantron")] == ["loaded"]
    assert tick(installation, instance) == []


def test_a_window_that_is_not_open_asks_for_nothing(
    installation: Installation, instance: dg.DagsterInstance
) -> None:
    now = datetime.now(UTC)
    opens = (now + timedelta(hours=2)).time().replace(second=0, microsecond=0)
    closes = (now + timedelta(hours=4)).time().replace(second=0, microsecond=0)
    later = {"opens": f"{opens:%H:%M}", "closes": f"{closes:%H:%M}", "time_zone": "UTC"}
    assert tick(installation.configure(scantron={"window": later}), instance) == []
    disabled = installation.configure(scantron={**ALWAYS, "enabled": False})
    assert tick(disabled, instance) == []


def test_a_refused_sign_in_is_not_repeated_that_day(
    installation: Installation, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCANTRON_PASSWORD", "CANARY-wrong")
    [request] = tick(installation, instance)
    done = run(installation, instance, request)
    assert "the user name or the password is wrong" in failure(done)
    assert "CANARY" not in failure(done)
    assert [status for status, _ in installation.history("scantron")] == ["failed"]
    assert tick(installation, instance) == []
    [again] = tick(installation, instance, datetime.now(UTC) + timedelta(days=1))
    assert again.partition_key != request.partition_key


def test_a_locked_account_is_left_alone_until_a_person_has_synced(
    installation: Installation, instance: dg.DagsterInstance
) -> None:
    installation.vendors.inject(match={"path": "/v1/session"}, status=423, times=None)
    [request] = tick(installation, instance)
    assert "locked" in failure(run(installation, instance, request))
    [(status, message)] = installation.history("scantron")
    assert status == "locked", message
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert tick(installation, instance, tomorrow) == []
    installation.vendors.heal()
    assert installation.pull("scantron").applied
    assert len(tick(installation, instance, tomorrow)) == 1


def test_a_day_without_a_pull_is_missed_when_its_window_has_closed(
    installation: Installation, instance: dg.DagsterInstance
) -> None:
    installation.pull("scantron", -3)
    today = datetime.now(UTC).date()
    closes = datetime.combine(today, time(1), UTC)
    window = {"window": {"opens": "00:00", "closes": "01:00", "time_zone": "UTC"}}
    closed = installation.configure(scantron=window)
    [request] = tick(closed, instance, closes + timedelta(minutes=15))
    assert "Nothing was tried" in failure(run(closed, instance, request))
    statuses = [status for status, _ in closed.history("scantron")]
    assert statuses == ["loaded", "missed"]
    assert tick(closed, instance, closes + timedelta(minutes=30)) == []


def test_runs_leave_no_secret_in_dagsters_storage(
    installation: Installation, on_disk: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    [request] = tick(installation, on_disk)
    added = {"note": "CANARY-note", "deep": {"in": "CANARY-deep"}}
    installation.vendors.inject(match={"path": "results$"}, times=None, add_field=added)
    assert run(installation, on_disk, request).success
    installation.vendors.heal()
    installation.vendors.inject(match={"path": "results$"}, html=True, times=None)
    assert not run(installation, on_disk, request).success
    monkeypatch.setenv("SCANTRON_PASSWORD", "CANARY-wrong")
    assert not run(installation, on_disk, request).success
    kept = dict(texts(Path(on_disk.root_directory)))
    assert any(b"scantron_sync" in content for content in kept.values())
    assert_none(list(kept.items()))


def test_a_file_that_was_handed_over_does_not_stand_for_the_days_pull(
    installation: Installation, instance: dg.DagsterInstance
) -> None:
    sample = SAMPLES / "scantron" / "scantron_extended.csv"
    pipeline, now = installation.pipeline, datetime.now(UTC)
    uploading.hand_over(pipeline, DISTRICT, SCANTRON, sample, {}, "Ada")
    [upload] = uploading.waiting(pipeline, now, timedelta())
    uploading.load(pipeline, uploading.land(pipeline, upload, now))
    assert [status for status, _ in installation.history("scantron")] == ["loaded"]
    assert len(tick(installation, instance)) == 1


def test_a_file_that_was_handed_over_unlocks_no_account(
    installation: Installation, instance: dg.DagsterInstance
) -> None:
    installation.vendors.inject(match={"path": "/v1/session"}, status=423, times=None)
    [request] = tick(installation, instance)
    run(installation, instance, request)
    sample = SAMPLES / "scantron" / "scantron_extended.csv"
    pipeline, now = installation.pipeline, datetime.now(UTC)
    uploading.hand_over(pipeline, DISTRICT, SCANTRON, sample, {}, "Ada")
    [upload] = uploading.waiting(pipeline, now, timedelta())
    uploading.load(pipeline, uploading.land(pipeline, upload, now))
    asked = [str(one.run_key) for one in tick(installation, instance, now + timedelta(days=1))]
    assert not [key for key in asked if " due " in key], "only that the day was missed is told"


@pytest.mark.parametrize(
    ("night", "opens", "asked"),
    [
        # The clock jumps from 2 to 3: the window opens with the jump.
        (datetime(2027, 3, 14, tzinfo=UTC), "02:00", {"06:45": False, "07:00": True}),
        # It shows 1:30 twice: the window opens the first time and is still open the second.
        (
            datetime(2027, 11, 7, tzinfo=UTC),
            "01:30",
            {"05:15": False, "05:30": True, "06:30": True},
        ),
    ],
)
def test_a_window_opens_once_in_a_night_in_which_the_clocks_change(
    installation: Installation,
    instance: dg.DagsterInstance,
    night: datetime,
    opens: str,
    asked: dict[str, bool],
) -> None:
    window = {"opens": opens, "closes": "06:00", "time_zone": "America/New_York"}
    changed = installation.configure(star={"window": window})
    for clock, wanted in asked.items():
        at = night + timedelta(hours=int(clock[:2]), minutes=int(clock[3:]))
        requests = tick(changed, instance, at, sources.source("star"))
        assert [str(one.partition_key) for one in requests] == (
            [f"{night:%Y-%m-%d}|{DISTRICT}"] if wanted else []
        ), clock
