"""What the pages say is there: commands, settings, keys of the districts file, tables, links, and
what Dagster shows. Nothing is started; the pages are read, and compared with the product."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import cache
from pathlib import Path
from types import ModuleType, UnionType
from typing import Any, Union, get_args, get_origin

import dagster as dg
import pytest
import typer.main
import yaml
from pydantic import BaseModel

from edpipeline.cli import app
from edpipeline.definitions import build
from edpipeline.districts import District, load_districts
from edpipeline.loading.options import LoadOptions
from edpipeline.model import Source
from edpipeline.preview import preview_delivery
from edpipeline.settings import Settings
from edpipeline.sources import ALL, results
from edpipeline.warehouse.engine import open_warehouse
from edpipeline.warehouse.marts import marts
from edpipeline.warehouse.schema import prepare
from edpipeline_tests.results.uploads import Uploads

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SQL = ROOT / "sql"
PAGES = [ROOT / "README.md", SQL / "README.md", *sorted(DOCS.rglob("*.md"))]
WRITTEN = [page for page in PAGES if DOCS / "dictionary" not in page.parents]
"""All but the pages of the data dictionary, which are made of what they tell."""
EXAMPLE = ROOT / "examples" / "districts.yaml"
EXAMPLE_PAGE = DOCS / "adding_a_source.md"
OF_OTHERS = {DOCS / "deploy.md"}
"""Pages whose YAML and whose options are those of other programs."""

FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
COMMAND = re.compile(
    r"""(?:^|&&\ |\$\(|docker\ compose\ (?:exec|run)\ [^|&]*?\ )  # where a command may stand
    (?:[A-Z_]+=\S*\ )*(?:[\w./]*/)?edpipeline\ +(?=[a-z-])([^|;)`\#&]*)""",
    re.VERBOSE,
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
TABLE = re.compile(
    r"\b(marts|ops|roster|assessments|external_tests|score_reports|analyst)\.([a-z][a-z0-9_]*)"
)
FILES = {"md", "py", "sql", "csv", "yaml", "duckdb"}
"""What follows a dot in the name of a file."""
SETTING = re.compile(r"\bEDPIPELINE_[A-Z_]*[A-Z]\b")
KIND = re.compile(r"\b(sensor|schedule|job|check)s? `([a-z0-9_]+)`")
NAMED_AFTER_SOURCES = re.compile(r"[a-z_]+_(windows|polls|deliveries|inbox|unloaded|sync)")
LANDING = re.compile(r"landing/[a-z_]+")


def shown(page: Path) -> str:
    return str(page.relative_to(ROOT))


DAY = date(2026, 9, 20)

each_page = pytest.mark.parametrize("page", PAGES, ids=shown)
each_written_page = pytest.mark.parametrize("page", WRITTEN, ids=shown)


@cache
def text_of(page: Path) -> str:
    return page.read_text("utf-8")


def blocks(page: Path, *languages: str) -> list[str]:
    """The code blocks of a page in one of these languages."""
    return [
        "\n".join(line.removeprefix(indent) for line in code.splitlines()) + "\n"
        for indent, language, code in FENCE.findall(text_of(page))
        if language in languages
    ]


@cache
def inline(page: Path) -> list[str]:
    """What stands in the sentences of a page as code."""
    return [str(code) for code in INLINE.findall(FENCE.sub("", text_of(page)))]


# ---- commands


@cache
def commands() -> Mapping[str, Any]:
    """Every command by all of its name: `sync`, `sandbox up`."""
    found: dict[str, Any] = {}
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        below = getattr(command, "commands", {})
        found |= {f"{name} {one}": each for one, each in below.items()} or {name: command}
    return found


def command_of(words: Sequence[str]) -> tuple[str, list[str]]:
    """The name of the command, and the words after it."""
    length = 2 if " ".join(words[:2]) in commands() else 1
    return " ".join(words[:length]), list(words[length:])


def in_blocks(page: Path) -> list[list[str]]:
    """Every command line of the page's blocks, as words; a drop's id in place of DROP."""
    return [
        shlex.split(command.replace("DROP", "1a2b"), comments=True)
        for code in blocks(page, "sh", "text", "")
        for line in re.sub(r"\\\n\s*", " ", code).splitlines()
        for command in COMMAND.findall(line.strip())
    ]


@each_page
def test_commands_in_blocks_would_run_as_they_stand(page: Path) -> None:
    for words in in_blocks(page):
        name, rest = command_of(words)
        assert name in commands(), words
        commands()[name].make_context(name, rest)


@each_page
def test_commands_and_options_in_sentences_exist(page: Path) -> None:
    for code in inline(page):
        for line in COMMAND.findall(code):
            name, rest = command_of(line.split())
            if name == "sandbox":
                continue
            assert name in commands(), code
            known = {option for one in commands()[name].params for option in one.opts}
            used = {word.split("=")[0] for word in rest if word.startswith("-")}
            assert used <= known, code


@pytest.mark.parametrize("page", [page for page in WRITTEN if page not in OF_OTHERS], ids=shown)
def test_options_that_stand_alone_exist(page: Path) -> None:
    known = {option for each in commands().values() for one in each.params for option in one.opts}
    used = {code.split()[0].split("=")[0] for code in inline(page) if code.startswith("--")}
    assert used <= known


def test_every_command_is_named() -> None:
    said = "\n".join(code for page in WRITTEN for code in [*inline(page), *blocks(page, "sh")])
    assert [name for name in commands() if f"edpipeline {name}" not in said] == []


# ---- settings


@each_page
def test_settings_that_are_named_exist(page: Path) -> None:
    known = {f"EDPIPELINE_{name.upper()}" for name in Settings.model_fields}
    assert set(SETTING.findall(text_of(page))) <= known


def test_every_setting_is_named() -> None:
    said = {name for page in WRITTEN for name in SETTING.findall(text_of(page))}
    assert {f"EDPIPELINE_{name.upper()}" for name in Settings.model_fields} <= said


# ---- the districts file

MINIMAL: Mapping[str, Mapping[str, Any]] = {
    "oneroster": {
        "sftp": {
            "host": "sftp.example.org",
            "username": "quillmere",
            "password_env": "PASSWORD",
            "host_key": "ssh-ed25519"
            " AAAAC3NzaC1lZDI1NTE5AAAAIJLWAz9n5P0oligs5vGNRRdaD78vS4Cozsj7mlAy7Odo",
        }
    },
    "powerpath": {"client_id_env": "A", "client_secret_env": "B"},
    "score_reports": {
        "configurations": [
            {
                "name": "District",
                "client_key_env": "A",
                "client_secret_env": "B",
                "expires_on": "2027-08-31",
            }
        ]
    },
}
"""What a source needs beside the lines that a page shows of it."""
YAML_BLOCKS = [
    pytest.param(page, number, id=f"{shown(page)}-{number}")
    for page in WRITTEN
    if page not in OF_OTHERS
    for number, _ in enumerate(blocks(page, "yaml"))
]


def below(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that a field may hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Union, UnionType) or get_args(annotation):
        for each in get_args(annotation):
            yield from below(each)


def keys_of(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield field.alias or name
        for one in below(field.annotation):
            yield from keys_of(one)


def as_text(value: Any) -> Any:
    """As a person would write it: everything is text until it is validated."""
    if isinstance(value, dict):
        return {str(key): as_text(each) for key, each in value.items()}
    return [as_text(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize(("page", "number"), YAML_BLOCKS)
def test_yaml_of_a_page_is_taken_by_the_districts_file(
    page: Path, number: int, tmp_path: Path
) -> None:
    lines = yaml.load(blocks(page, "yaml")[number], Loader=yaml.BaseLoader)
    if lines.keys() <= District.model_fields.keys():
        district = dict(lines)
    else:
        [source] = [page.stem] if page.stem in MINIMAL else ["oneroster"]
        district = {source: {**MINIMAL[source], **lines}}
    named = {"id": "quillmere", "name": "Quillmere", "time_zone": "America/Chicago"}
    path = tmp_path / "districts.yaml"
    path.write_text(yaml.safe_dump({"districts": [named | district]}), "utf-8")
    assert load_districts(path).all


def test_every_key_of_the_districts_file_is_explained() -> None:
    said = EXAMPLE.read_text("utf-8") + "".join(
        code for page in WRITTEN for code in blocks(page, "yaml")
    )
    named = set(re.findall(r"([a-z_]+):(?=\s|$)", said))
    assert set(keys_of(District)) <= named


# ---- links


def anchors(page: Path) -> set[str]:
    """The anchors that headings get where the pages are shown."""
    found: dict[str, int] = {}
    made = set()
    for heading in re.findall(r"^#+ +(.*)$", FENCE.sub("", text_of(page)), re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).strip().replace(" ", "-")
        count = found[slug] = found.get(slug, -1) + 1
        made.add(f"{slug}-{count}" if count else slug)
    return made


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    dead = []
    for link in LINK.findall(FENCE.sub("", text_of(page))):
        if re.match(r"[a-z]+:", link):
            continue
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


def test_every_page_is_in_the_index_and_every_source_has_one() -> None:
    linked = set(LINK.findall(text_of(DOCS / "README.md")))
    assert {page.name for page in DOCS.glob("*.md")} - {"README.md"} <= linked
    assert {f"{source.name}.md" for source in ALL} <= linked


# ---- tables


@cache
def tables() -> frozenset[str]:
    names = {table.full_name for source in ALL for table in source.tables}
    names |= {f"{each.schema}.current_{each.name}" for source in ALL for each in source.tables}
    names |= {f"assessments.{source.name}_results" for source in ALL if source.has_scores}
    names |= {f"{schema}.{mart.name}" for schema in ("marts", "analyst") for mart in marts(SQL)}
    control = "\n".join(path.read_text("utf-8") for path in (SQL / "control").glob("*.sql"))
    names |= set(re.findall(r"create (?:table|view) if not exists ([a-z_.]+)", control))
    return frozenset(names | {"assessments.results"})


@each_written_page
def test_tables_that_are_named_exist(page: Path) -> None:
    code = [*inline(page), *blocks(page, "sql", "sh")]
    named = {found for each in code for found in TABLE.findall(each)}
    unknown = {
        f"{schema}.{table}"
        for schema, table in named
        if table not in FILES and f"{schema}.{table}" not in tables()
    }
    assert {name for name in unknown if not name.endswith("_")} == set()


# ---- what Dagster shows


@pytest.fixture(scope="module")
def dagster_names() -> dict[str, set[str]]:
    definitions: dg.Definitions = build(Settings())
    graph = definitions.resolve_asset_graph()
    return {
        "job": {one.name for one in definitions.jobs or ()},
        "sensor": {one.name for one in definitions.sensors or ()},
        "schedule": {str(getattr(one, "name", "")) for one in definitions.schedules or ()},
        "check": {key.name for key in graph.asset_check_keys},
        "asset": {key.to_user_string() for key in graph.get_all_asset_keys()},
        "group": {node.group_name for node in graph.asset_nodes},
    }


@each_written_page
def test_what_is_named_of_dagster_exists(page: Path, dagster_names: dict[str, set[str]]) -> None:
    for kind, name in KIND.findall(FENCE.sub("", text_of(page))):
        assert name in dagster_names[kind], (kind, name)
    runs = dagster_names["job"] | dagster_names["sensor"] | dagster_names["schedule"]
    for code in inline(page):
        if NAMED_AFTER_SOURCES.fullmatch(code):
            assert code in runs, code
        if LANDING.fullmatch(code):
            assert code in dagster_names["asset"], code
    for line in blocks(page, "sh"):
        assert set(re.findall(r"'group:([a-z_]+)'", line)) <= dagster_names["group"]
    for rows in re.findall(r"^\| check \|.*\n\|[-| ]+\n((?:\|.*\n)+)", text_of(page), re.MULTILINE):
        assert set(re.findall(r"^\| `(\w+)`", rows, re.MULTILINE)) <= dagster_names["check"]


# ---- the worked example of a new source


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The files that the page shows, each in its place."""
    found = re.findall(
        r"^\*\*`([^`]+)`\*\*\n\n```\w+\n(.*?)^```$",
        text_of(EXAMPLE_PAGE),
        re.MULTILINE | re.DOTALL,
    )
    for name, content in found:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
    return tmp_path


@pytest.fixture
def spelling(example: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    """The source as the module on the page declares it."""
    package = example / "edpipeline" / "sources"
    monkeypatch.setattr(results, "files", lambda _: package)
    module = ModuleType("spelling")
    exec((package / "spelling" / "__init__.py").read_text("utf-8"), module.__dict__)
    source: Source = module.SOURCE
    return source


def test_the_source_of_the_page_is_previewed_as_it_says(example: Path, spelling: Source) -> None:
    path = example / "edpipeline_tests" / "samples" / "spelling" / "spelling_2026.csv"
    found = preview_delivery({path.name: path}, spelling, LoadOptions(), DAY, SQL)
    [file] = found.report.files
    assert (found.report.edition, found.usable) == ("spelling_2026", True)
    assert (file.read, file.accepted, file.rejected) == (4, 3, 1)
    codes = {(code, line) for code, line in found.findings.select("code", "line").iter_rows()}
    assert {("out_of_range", 4), ("value_dropped", 5)} <= codes


def test_the_source_of_the_page_is_loaded_and_never_stores_remarks(
    example: Path, spelling: Source, tmp_path: Path
) -> None:
    warehouse = open_warehouse(f"duckdb://{tmp_path}/warehouse.duckdb")
    prepare(warehouse, [spelling], SQL)
    path = example / "edpipeline_tests" / "samples" / "spelling" / "spelling_2026.csv"
    district = Uploads(warehouse, tmp_path, spelling, district_id="quillmere")
    report = district.upload(path.read_bytes(), path.name)
    assert report.status == "loaded_with_errors", report.message
    with warehouse.transaction() as session:
        rows = session.rows(
            "select student_number, words_right, percentile from assessments.spelling order by line"
        )
    assert rows == [("000101", 17, 62.0), ("000102", 9, 21.0), (None, 14, None)]
    assert "remarks" not in {column.name for column in spelling.table("spelling").columns}
