"""What a fresh machine gets: the lock, the Makefile, the wheel and Dagster's configuration."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import edpipeline

ROOT = Path(__file__).parents[1]
LOCK = (ROOT / "requirements.lock").read_text()
LOCKED_LINE = re.compile(
    r"(?P<name>[a-z0-9-]+)==(?P<version>[^ ]+)(?: ; [^\\]+?)?(?: --hash=sha256:[0-9a-f]{64})+"
)


def locked_lines() -> list[str]:
    """One line for each locked package, its continuation lines joined."""
    whole = re.sub(r"\s*\\\n\s*", " ", LOCK)
    return [line for line in whole.splitlines() if line and not line.startswith("#")]


def locked_versions() -> dict[str, str]:
    matches = (LOCKED_LINE.fullmatch(line) for line in locked_lines())
    return {match["name"]: match["version"] for match in matches if match}


def declared() -> Iterator[Requirement]:
    """Everything pyproject.toml asks for: to run, to try, to develop and to build."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lists = [
        project["build-system"]["requires"],
        project["project"]["dependencies"],
        *project["project"]["optional-dependencies"].values(),
        *project["dependency-groups"].values(),
    ]
    yield from (Requirement(text) for requirements in lists for text in requirements)


def make(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    # Without MAKEFLAGS, so that `make --jobs test` does not reach the make inside a test.
    environment = {name: value for name, value in os.environ.items() if name != "MAKEFLAGS"}
    return subprocess.run(
        ["make", *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def targets() -> set[str]:
    [line] = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return set(line.split())


def test_the_lock_pins_every_package_to_one_version_and_its_hashes() -> None:
    assert [line for line in locked_lines() if not LOCKED_LINE.fullmatch(line)] == []
    assert len(locked_versions()) == len(locked_lines()) > 50


def test_the_lock_names_no_host_and_no_folder() -> None:
    assert not re.search(r"://|@|^-|/", LOCK, re.MULTILINE)


@pytest.mark.parametrize("requirement", sorted(set(map(str, declared()))))
def test_the_lock_holds_what_the_project_asks_for(requirement: str) -> None:
    wanted = Requirement(requirement)
    assert wanted.specifier.contains(locked_versions()[canonicalize_name(wanted.name)])


def test_make_alone_lists_every_target() -> None:
    listed = re.findall(r"^  make (\w+) +\S", make().stdout, re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert set(listed) == targets()


@pytest.mark.skipif(not (ROOT / "README.md").exists(), reason="there is no README yet")
def test_the_readme_names_only_targets_that_exist() -> None:
    readme = (ROOT / "README.md").read_text()
    named = set(re.findall(r"(?:`|^\$? ?)make ([a-z-]+)", readme, re.MULTILINE))
    assert named
    assert named <= targets()


def test_without_a_usable_python_make_says_what_to_install(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(ROOT / "requirements.lock", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    ended = make("setup", "PYTHONS=no-such-python", cwd=tmp_path)
    assert ended.returncode != 0
    assert "needs Python 3.11 or newer" in ended.stderr
    assert not (tmp_path / ".venv").exists()


def test_continuous_integration_runs_the_checks_and_the_tests_and_nothing_else() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    commands = [line for line in script.read_text().splitlines() if line.startswith("make")]
    assert commands == ["make check", "make test"]


def test_a_wheel_carries_the_package_its_data_and_the_sql(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", tmp_path],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    [wheel] = tmp_path.glob("*.whl")
    assert wheel.name.startswith(f"edpipeline-{edpipeline.__version__}-")
    with zipfile.ZipFile(wheel) as archive:
        carried = set(archive.namelist())
    sources = {path.relative_to(ROOT) for path in (ROOT / "edpipeline").rglob("*")}
    sources |= {Path("edpipeline", path.relative_to(ROOT)) for path in ROOT.glob("sql/**/*")}
    expected = {path.as_posix() for path in sources if path.suffix in {".py", ".csv", ".sql"}}
    assert "edpipeline/errors.py" in expected
    assert expected <= carried
    assert not any(name.startswith(("edpipeline_tests", "benchmarks", "sql/")) for name in carried)


@pytest.fixture
def dagster_home(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "dagster.yaml", tmp_path)
    return tmp_path


def test_dagster_keeps_its_files_in_its_home_and_reports_to_nobody(dagster_home: Path) -> None:
    with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
        assert not instance.telemetry_enabled
        assert not instance.nux_enabled
        assert instance.freshness_enabled
        assert instance.run_monitoring_enabled
        assert (instance.run_retries_enabled, instance.run_retries_max_retries) == (True, 1)
        assert not instance.run_retries_retry_on_asset_or_op_failure
        assert instance.get_concurrency_config().pool_config.default_pool_limit is None
    assert (dagster_home / "history" / "runs").is_dir()


def test_dagster_can_keep_them_in_postgresql_as_its_configuration_says(
    dagster_home: Path, postgres_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    configuration = dagster_home / "dagster.yaml"
    text = configuration.read_text()
    configuration.write_text(re.sub(r"^# (storage:|  .+)$", r"\1", text, flags=re.MULTILINE))
    assert "storage" in yaml.safe_load(configuration.read_text())
    url = postgres_database_url.replace("postgresql://", "postgresql+psycopg2://")
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", url)

    @dg.asset
    def answer() -> dg.MaterializeResult[None]:
        return dg.MaterializeResult(metadata={"dagster/row_count": 42})

    with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
        dg.materialize([answer], instance=instance)
    with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey("answer"))
        assert event is not None
        assert event.asset_materialization is not None
        assert event.asset_materialization.metadata["dagster/row_count"].value == 42
