import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edpipeline.errors import BadConfiguration
from edpipeline.settings import Settings, load_settings, provided, secret


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(**variables: str) -> Settings:
    with provided({f"EDPIPELINE_{name.upper()}": value for name, value in variables.items()}):
        return load_settings()


def test_without_any_variable_everything_is_kept_under_the_current_folder(tmp_path: Path) -> None:
    settings = load_settings()
    home = tmp_path / ".edpipeline"
    assert settings.home == home
    assert settings.warehouse.get_secret_value() == f"duckdb://{home}/warehouse.duckdb"
    assert settings.landing == str(home / "landing")
    assert settings.inbox == str(home / "inbox")
    assert settings.published == str(home / "published")
    assert settings.districts == home / "districts.yaml"
    assert settings.scratch is None
    assert (settings.memory_limit, settings.lock_seconds) == ("1GB", 60)
    assert not home.exists()


def test_the_readme_names_every_setting_and_no_other() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    named = re.findall(r"^\| `EDPIPELINE_([A-Z_]+)` \|", readme, re.MULTILINE)
    assert sorted(named) == sorted(name.upper() for name in Settings.model_fields)


def test_the_sql_of_the_checkout_is_found() -> None:
    assert (load_settings().sql / "control" / "001_ops.sql").is_file()


def test_another_home_takes_everything_with_it(tmp_path: Path) -> None:
    settings = load(home="elsewhere")
    assert settings.districts == tmp_path / "elsewhere" / "districts.yaml"
    assert settings.inbox == str(tmp_path / "elsewhere" / "inbox")
    assert settings.warehouse.get_secret_value().startswith(f"duckdb://{tmp_path}/elsewhere/")


def test_each_variable_sets_what_it_names(tmp_path: Path) -> None:
    settings = load(
        warehouse="postgresql://me:hunter2@db/roster",
        landing="s3://bucket/landing",
        inbox="s3://bucket/inbox",
        published="~/published",
        districts="d.yaml",
        sql="sql",
        scratch="/var/scratch",
        memory_limit="512MB",
        lock_seconds="5.5",
    )
    assert settings.warehouse.get_secret_value() == "postgresql://me:hunter2@db/roster"
    assert settings.landing == "s3://bucket/landing"
    assert settings.inbox == "s3://bucket/inbox"
    assert settings.published == str(Path.home() / "published")
    assert settings.districts == tmp_path / "d.yaml"
    assert settings.sql == tmp_path / "sql"
    assert settings.scratch == Path("/var/scratch")
    assert (settings.memory_limit, settings.lock_seconds) == ("512MB", 5.5)


def test_an_empty_variable_is_as_good_as_none(tmp_path: Path) -> None:
    assert load(home="", memory_limit="").home == tmp_path / ".edpipeline"


def test_nothing_that_shows_the_settings_shows_the_warehouses_password() -> None:
    settings = load(warehouse="postgresql://me:hunter2@db/roster")
    shown = [repr(settings), str(settings), settings.model_dump_json(), f"{settings.warehouse}"]
    assert not [text for text in shown if "hunter2" in text]


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("warehouse", "mysql://me:hunter2@db/roster", "duckdb:///absolute/path"),
        ("warehouse", "hunter2.duckdb", "duckdb:///absolute/path"),
        ("landing", "ftp://hunter2", "s3://bucket/prefix"),
        ("inbox", "ftp://hunter2", "s3://bucket/prefix"),
        ("memory_limit", "hunter2", "512MB"),
        ("lock_seconds", "hunter2", "number"),
        ("lock_seconds", "-1", "greater than or equal to 0"),
    ],
)
def test_a_wrong_value_is_refused_by_the_variables_name_and_with_a_remedy(
    name: str, value: str, remedy: str
) -> None:
    with pytest.raises(BadConfiguration) as caught:
        load(**{name: value})
    message = str(caught.value)
    assert message.startswith(f"EDPIPELINE_{name.upper()}: ")
    assert remedy in message
    assert "hunter2" not in message


def test_every_wrong_variable_is_named_at_once() -> None:
    with pytest.raises(BadConfiguration) as caught:
        load(memory_limit="much", lock_seconds="long")
    assert "EDPIPELINE_MEMORY_LIMIT" in str(caught.value)
    assert "EDPIPELINE_LOCK_SECONDS" in str(caught.value)


def test_a_misspelt_setting_is_refused_rather_than_ignored() -> None:
    with pytest.raises(BadConfiguration, match="did you mean EDPIPELINE_WAREHOUSE"):
        load(warehuose="duckdb:////data/w.duckdb")


def test_variables_that_hold_districts_secrets_are_left_alone() -> None:
    assert load(lincoln_sftp_password="hunter2").lock_seconds == 60


def test_a_secret_is_read_when_it_is_asked_for_and_never_shown() -> None:
    with provided({"LINCOLN_PASSWORD": "hunter2"}):
        found = secret("LINCOLN_PASSWORD")
    assert found.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(found)


@pytest.mark.parametrize("name", ["LINCOLN_PASSWORD", "", "no name\0at all"])
def test_a_secret_that_is_not_set_is_asked_for_by_name(name: str) -> None:
    with pytest.raises(BadConfiguration, match="is not set") as caught:
        secret(name)
    assert name in str(caught.value)


def test_an_empty_secret_counts_as_not_set() -> None:
    with provided({"LINCOLN_PASSWORD": ""}), pytest.raises(BadConfiguration, match="not set"):
        secret("LINCOLN_PASSWORD")


def test_provided_variables_are_taken_back() -> None:
    os.environ["EDPIPELINE_TEST_BEFORE"] = "before"
    try:
        with provided({"EDPIPELINE_TEST_BEFORE": "within", "EDPIPELINE_TEST_NEW": "new"}) as found:
            assert found["EDPIPELINE_TEST_BEFORE"] == "within"
            assert os.environ["EDPIPELINE_TEST_NEW"] == "new"
        assert os.environ["EDPIPELINE_TEST_BEFORE"] == "before"
        assert "EDPIPELINE_TEST_NEW" not in os.environ
    finally:
        del os.environ["EDPIPELINE_TEST_BEFORE"]


def test_nothing_is_read_when_the_modules_are_imported() -> None:
    program = "import edpipeline.settings, edpipeline.districts, edpipeline.pipeline"
    environment = {
        "PATH": os.defpath,
        "EDPIPELINE_MEMORY_LIMIT": "much",
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
