"""Law 6: what Dagster keeps of an evening holds no student's data and no secret."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from edpipeline.orchestration.runs import Asked, source_job
from edpipeline.orchestration.schedules import window_schedule
from edpipeline.orchestration.sensors import delivery_sensor
from edpipeline_tests.orchestration.installation import (
    ONEROSTER,
    SECRET,
    Installation,
    failure,
    roster,
)
from edpipeline_tests.orchestration.ticking import asked_by, on_disk

__all__ = ["on_disk"]  # a fixture

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


def spoilt() -> dict[str, str]:
    return {
        name: text + "".join(f"{row}\r" for row in ROWS.get(name, ()))
        for name, text in roster(name="Canaryella").items()
    }


def kept(instance: dg.DagsterInstance) -> dict[str, bytes]:
    folder = Path(instance.root_directory)
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_an_evening_leaves_no_personal_data_and_no_secret_in_dagster(
    at_work: Installation, on_disk: dg.DagsterInstance, capfd: pytest.CaptureFixture[str]
) -> None:
    at_work = replace(at_work, instance=on_disk)
    district, now = at_work.new_district(), datetime.now(UTC)
    today = at_work.pipeline().delivery_day(district, now)
    at_work.put(district, spoilt(), now - timedelta(minutes=20))
    at_work.evening(district, today)
    worse = spoilt() | {"users.csv": "Canaryella,x\rWarbler,1\r"}
    seen = at_work.put(district, worse, now - timedelta(minutes=10))
    assert "users.csv" in failure(at_work.run(district, today, Asked(files=seen)))
    statuses = {report.status for report in at_work.reports(district)}
    assert "loaded_with_errors" in statuses
    sensor = delivery_sensor(ONEROSTER, source_job(ONEROSTER), at_work.pipeline)
    schedule = window_schedule(ONEROSTER, source_job(ONEROSTER), at_work.pipeline)
    with dg.build_sensor_context(at_work.instance) as looking:
        sensor(looking)
    asked_by(schedule, at_work.instance, now)

    found = kept(on_disk) | {"printed": "".join(capfd.readouterr()).encode()}
    assert any(b"reference_missing" in data for data in found.values())
    assert any(b"rejected by code" in data for data in found.values())
    leaks = [
        (name, canary)
        for canary in (*CANARIES, SECRET)
        for name, data in found.items()
        if canary.casefold().encode() in data.lower()
    ]
    assert leaks == []


def test_a_canary_would_be_found(on_disk: dg.DagsterInstance) -> None:
    on_disk.report_runless_asset_event(
        dg.AssetMaterialization("any", metadata={"name": "Canaryella"})
    )
    assert any(b"Canaryella" in data for data in kept(on_disk).values())
