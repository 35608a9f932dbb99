"""What Dagster loads: everything, from an empty environment, and described."""

import importlib
import re
from pathlib import Path

import dagster as dg
import pytest

import edpipeline.definitions
from edpipeline import settings
from edpipeline.definitions import build, defs
from edpipeline.settings import Settings
from edpipeline.sources import ALL

PACKAGE = Path(edpipeline.definitions.__file__).parent
TABLES = [table for source in ALL for table in source.tables]


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build(Settings())


@pytest.fixture(scope="module")
def specs(definitions: dg.Definitions) -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}


def test_everything_loads_with_an_empty_environment_and_no_districts_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in list(settings.os.environ):
        monkeypatch.delenv(name)
    dg.Definitions.validate_loadable(defs())
    assert list(tmp_path.iterdir()) == []


def test_importing_reads_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    def read() -> None:
        raise AssertionError("the settings were read")

    monkeypatch.setattr(settings, "load_settings", read)
    importlib.reload(edpipeline.definitions)
    monkeypatch.undo()
    importlib.reload(edpipeline.definitions)


def test_a_wrong_setting_is_told_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDPIPELINE_WAREHOUSE", "sqlite:///secret")
    with pytest.raises(settings.BadConfiguration, match="EDPIPELINE_WAREHOUSE: write duckdb"):
        defs()


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.full_name)
def test_every_table_is_an_asset_with_described_columns(
    specs: dict[str, dg.AssetSpec], table: object
) -> None:
    spec = specs[table.full_name.replace(".", "/")]  # type: ignore[attr-defined]
    schema = spec.metadata["dagster/column_schema"]
    assert [c.name for c in schema.columns][1 : 1 + len(table.stored_columns)] == [  # type: ignore[attr-defined]
        column.name
        for column in table.stored_columns  # type: ignore[attr-defined]
    ]
    assert all(column.description for column in schema.columns)
    classes = {column.name: column.tags.get("personal_data", "none") for column in schema.columns}
    declared = {c.name: c.personal for c in table.stored_columns}  # type: ignore[attr-defined]
    assert {name: classes[name] for name in declared} == declared
    assert spec.owners
    assert spec.description


def test_no_secret_column_is_shown(specs: dict[str, dg.AssetSpec]) -> None:
    secret = {c.name for table in TABLES for c in table.columns if not c.stored}
    shown = {
        column.name
        for spec in specs.values()
        for column in getattr(spec.metadata.get("dagster/column_schema"), "columns", ())
    }
    assert secret
    assert not secret & shown


def test_what_watches_runs_without_being_switched_on(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    sensors = {s.name: s.default_status.value for s in repository.sensor_defs}
    schedules = {s.name: s.default_status.value for s in repository.schedule_defs}
    uploaded = [source.name for source in ALL if source.is_uploaded]
    assert len(uploaded) > 3
    inboxes = [f"{name}_inbox" for name in uploaded]
    unloaded = [f"{name}_unloaded" for name in uploaded]
    expected = ["oneroster_deliveries", "marts_follow", "alerts", *inboxes]
    assert sensors == dict.fromkeys(expected, "RUNNING")
    windows = [f"{source.name}_windows" for source in ALL if not source.holds_results]
    windows += [f"{source.name}_windows" for source in ALL if source.is_pulled]
    windows += [f"{source.name}_polls" for source in ALL if source.is_polled]
    assert schedules == dict.fromkeys([*windows, "uploads_ready", *unloaded], "RUNNING")


@pytest.mark.parametrize("source", ALL, ids=lambda source: source.name)
def test_no_source_is_named_in_how_it_is_orchestrated(source: object) -> None:
    modules = [PACKAGE / "definitions.py", *(PACKAGE / "orchestration").glob("*.py")]
    assert len(modules) > 10
    named = re.compile(rf"(?<![a-z]){source.name}(?![a-z])")  # type: ignore[attr-defined]
    assert [path.name for path in modules if named.search(path.read_text().casefold())] == []


def test_every_step_that_writes_holds_the_pool(definitions: dg.Definitions) -> None:
    assets = definitions.resolve_asset_graph().assets_defs
    # Definitions without an asset are checks of freshness, which look at events alone.
    pools = {definition.op.name: definition.op.pool for definition in assets if definition.keys}
    # A poll asks for minutes and writes for moments: it waits for the warehouse's own lock.
    own = {source.name: source.name for source in ALL if source.is_polled}
    writers = [*(source.name for source in ALL), "marts"]
    assert own.keys() == {"powerpath", "score_reports"}
    assert pools == {**dict.fromkeys(writers, "warehouse"), **own}
