"""Which lines of a file are a student's, and the file without them."""

import io
import zipfile
from pathlib import Path

import pytest

from edpipeline import sources
from edpipeline.erasing.files import search
from edpipeline.erasing.meant import Meant
from edpipeline.loading.options import LoadOptions
from edpipeline_tests.results.uploads import fixed_width, sample, table_of

OPTIONS = LoadOptions(match_on="district_user_id")
NWEA = sample("nwea_map", "nwea_cdf_2020.csv").replace(b"000102", b"000107")
EDITION = next(e for e in sources.source("staar").editions if e.name == "staar_38_2025")


def named(table: str = "", **columns: str) -> Meant:
    """A student of the roster, S1; `columns` are the student's ids in a table."""
    by_column = {
        "roster.users": {"sourced_id": frozenset({"S1"})},
        "roster.enrollments": {"user_sourced_id": frozenset({"S1"})},
    }
    if table:
        by_column[table] = {name: frozenset({value}) for name, value in columns.items()}
    same = {
        "username": frozenset({"ann.lee"}),
        "identifier": frozenset({"000107"}),
        "given_name": frozenset({"Ann"}),
        "family_name": frozenset({"Léé"}),
    }
    fields = {
        "district_user_id": frozenset({"000107"}),
        "username": frozenset({"ann.lee"}),
        "sourced_id": frozenset({"S1"}),
    }
    return Meant(frozenset({"S1"}), fields, by_column, same, frozenset({("Ann", "Léé")}))


def without(
    folder: Path,
    name: str,
    content: bytes,
    source: str = "oneroster",
    meant: Meant | None = None,
    **others: bytes,
) -> bytes | None:
    """What is left of a file that was delivered with others; None where it stays as it is."""
    paths = {}
    for each, of in ({name: content} | {f"{n}.csv": c for n, c in others.items()}).items():
        paths[each] = folder / each
        paths[each].write_bytes(of)
    options = OPTIONS if source != "oneroster" else LoadOptions(edition="three_file")
    found = search(paths, sources.source(source), [options], meant or named(), folder / "work")
    return found.rewritten[name].path.read_bytes() if name in found.rewritten else None


USERS = "sourcedId,enabledUser,orgSourcedIds,role,username,givenName,familyName,identifier"
HEAD = f"{USERS},agentSourcedIds\n"
MORE = {
    "classes": b"sourcedId,title,classType,courseSourcedId,schoolSourcedId,termSourcedIds\n",
    "enrollments": b"sourcedId,classSourcedId,schoolSourcedId,userSourcedId,role\n",
}


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        ("S1,true,1,student,ann.lee,Ann,Lee,000107,", ""),
        ("S2,true,1,student,bob,Bob,Lee,S1,", None),  # another kind of id
        ("S2,true,1,student,S1,Bob,Lee,2,", None),
        ("S9,true,1,student,x,Ann,Other,000107,", ""),  # the same person under an id of before
        ("S9,true,1,student,x,Bob,Other,000107,", None),  # somebody to whom the number was given
        ("G1,true,1,parent,g,Gus,Lee,3,S1", "G1,true,1,parent,g,Gus,Lee,3,"),
        ('G1,true,1,parent,g,"Gus, Jr.",Lee,3,"S1,S2"', 'G1,true,1,parent,g,"Gus, Jr.",Lee,3,"S2"'),
        ("S1,true,1,student,ann.lee,Ann", ""),  # too short to be read
        ("Q,true,1,Ann,Léé", ""),
        ("Q,true,1,Ann,Lee", None),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_of_a_roster_go_by_what_their_columns_name(
    tmp_path: Path, lines: str, left: str | None, end: str
) -> None:
    content = f"{HEAD}S3,true,1,student,c,Cy,Lee,000103,\n{{}}\nS4,true,1,student,d,Di,Lee,4,\n"
    content = content.replace("\n", end)
    found = without(tmp_path, "users.csv", content.format(lines).encode(), **MORE)
    assert found == (None if left is None else content.format(left).encode())


def test_a_result_goes_by_the_field_it_was_matched_on_and_by_what_the_vendor_calls_the_student(
    tmp_path: Path,
) -> None:
    content = NWEA
    ids = [line.split(b",") for line in content.splitlines()]
    at = next(n for n, name in enumerate(ids[0]) if name.strip(b'"') == b"StudentID")
    found = without(tmp_path, "results.csv", content, "nwea_map")
    assert found is not None
    kept = found.splitlines()
    assert len(kept) == len(ids)
    for line, before in zip(kept[1:], ids[1:], strict=True):
        assert (line == b"") == (before[at].strip(b'"') == b"000107")


@pytest.mark.parametrize("first", [True, False])
def test_of_fixed_width_no_blank_line_comes_first(tmp_path: Path, first: bool) -> None:
    lines = fixed_width(EDITION, "staar", table_of(sample("staar", "staar_38_2025.csv").decode()))
    lines = lines.replace(b"000101" if first else b"000104", b"000107")
    found = without(tmp_path, "results.txt", lines, "staar")
    assert found is not None
    assert b"000107" not in found
    assert found.splitlines()[0].strip()


def test_an_object_stays_as_an_empty_one_so_that_those_after_it_keep_their_numbers(
    tmp_path: Path,
) -> None:
    mine = b'{"student_id":"S1","lesson_id":"a","state":"open"}'
    objects = mine + b'\n\n{"student_id":"S2","lesson_id":"S1","state":"open"}\n'
    meant = named("external_tests.assignments", student_id="S1")
    found = without(tmp_path, "assignments.jsonl", objects, "powerpath", meant)
    assert found == objects.replace(mine, b"{}")


def test_a_zip_keeps_its_other_files(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("out/results.csv", NWEA)
        archive.writestr("out/about.txt", "exported by Ann Léé\nof 12 students\n")
    found = without(tmp_path, "results.zip", packed.getvalue(), "nwea_map")
    assert found is not None
    with zipfile.ZipFile(io.BytesIO(found)) as archive:
        assert archive.namelist() == ["out/results.csv", "out/about.txt"]
        assert b'"000107"' in NWEA
        assert b'"000107"' not in archive.read("out/results.csv")
        assert archive.read("out/about.txt") == b"\nof 12 students\n"


def test_of_what_nobody_can_read_any_value_counts(tmp_path: Path) -> None:
    content = b"a;b\n000107;x\n1000107;y\nann.lee@example.org;z\n<ann.lee>,u\nS1;v\n"
    found = without(tmp_path, "odd.csv", content, "adam")
    assert found == content.replace(b"\n000107;x", b"\n").replace(b"<ann.lee>,u", b"")
