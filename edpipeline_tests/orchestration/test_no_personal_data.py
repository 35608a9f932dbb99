"""Law 6: what Dagster keeps of an evening holds no student's data and no secret."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from edpipeline.orchestration.runs import Asked, source_job
from edpipeline.orchestration.schedules import window_schedule
from edpipeline.orchestration.sensors import delivery_sensor
from edpipeline_tests.orchestration.installation import (
    ONEROSTER,
    PASSWORD,
    SECRET,
    Installation,
    failure,
    installation,
    roster,
)
from edpipeline_tests.orchestration.ticking import asked_by

CANARIES = ("Canaryella", "Featherstone", "canary-0417", "canary@birds.example", "Warbler")
ROWS = {
    "users.csv": [
        "canary-0417,0101,student,canary.login,Canaryella,Featherstone,canary@birds.example,05",
        "canary-0417,0101,student,canary.login,Warbler,Featherstone,canary@birds.example,05",
        "canary-0417x,0101,learner,canary.login,Canaryella,Featherstone,canary@birds.example,05",
        "canary-0417 y,0101,student,Canaryella Featherstone",
        ",0101,student,canary.login,Canaryella,Featherstone,canary@birds.example,05",
    ],
    "enrollments.csv": ["canary-0417,C1,0101,canary-0417,student", "E9,Warbler,0101,S1,student"],
}


@pytest.fixture
def on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    monkeypatch.setenv(PASSWORD, SECRET)
    folder = tmp_path / "dagster"
    folder.mkdir()
    with (
        installation(tmp_path) as made,
        dg.instance_for_test(temp_dir=str(folder)) as instance,
    ):
        made.instance = instance
        yield made


def spoilt() -> dict[str, str]:
    return {
        name: text + "".join(f"{row}\r" for row in ROWS.get(name, ()))
        for name, text in roster(name="Canaryella").items()
    }


def kept(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_an_evening_leaves_no_personal_data_and_no_secret_in_dagster(
    on_disk: Installation, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    district, now = on_disk.new_district(), datetime.now(UTC)
    today = on_disk.pipeline().delivery_day(district, now)
    on_disk.put(district, spoilt(), now - timedelta(minutes=20))
    on_disk.evening(district, today)
    worse = spoilt() | {"users.csv": "Canaryella,x\rWarbler,1\r"}
    seen = on_disk.put(district, worse, now - timedelta(minutes=10))
    assert "users.csv" in failure(on_disk.run(district, today, Asked(files=seen)))
    statuses = {report.status for report in on_disk.reports(district)}
    assert "loaded_with_errors" in statuses
    sensor = delivery_sensor(ONEROSTER, source_job(ONEROSTER), on_disk.pipeline)
    schedule = window_schedule(ONEROSTER, source_job(ONEROSTER), on_disk.pipeline)
    with dg.build_sensor_context(on_disk.instance) as looking:
        sensor(looking)
    asked_by(schedule, on_disk.instance, now)

    found = kept(tmp_path / "dagster") | {"printed": "".join(capfd.readouterr()).encode()}
    assert any(b"reference_missing" in data for data in found.values())
    assert any(b"rejected by code" in data for data in found.values())
    leaks = [
        (name, canary)
        for canary in (*CANARIES, SECRET)
        for name, data in found.items()
        if canary.casefold().encode() in data.lower()
    ]
    assert leaks == []


def test_a_canary_would_be_found(on_disk: Installation, tmp_path: Path) -> None:
    on_disk.instance.report_runless_asset_event(
        dg.AssetMaterialization("any", metadata={"name": "Canaryella"})
    )
    assert any(b"Canaryella" in data for data in kept(tmp_path / "dagster").values())
