"""Which files belong together, in which version and mode, and what lacks: by every kind of set."""

import pytest

from edpipeline.model import Head, Plan
from edpipeline.sources.oneroster.delivery import FILES, plan
from edpipeline_tests.district import ONEROSTER_1_1, ONEROSTER_1_2, manifest

CORE = ("users.csv", "classes.csv", "enrollments.csv")
ALL_1_1 = (*CORE, "orgs.csv", "academicSessions.csv", "courses.csv")
ALL_1_2 = (*ALL_1_1, "roles.csv")


def planned(names, text: str | bytes | None = None, edition: str = "auto", users=()) -> Plan:
    headers = dict.fromkeys(names, ("sourcedId",))
    if users:
        headers["users.csv"] = users
    if text is not None:
        headers["manifest.csv"] = ("propertyName", "value")
    heads = {name: Head(tuple(names)) for name, names in headers.items()}
    return plan(heads, text.decode() if isinstance(text, bytes) else text, edition)


def codes(found: Plan) -> list[str]:
    return [code for code, _ in found.findings]


def of_version(dialect, *bulk: str, delta: tuple[str, ...] = ()) -> bytes:
    modes = {name.removesuffix(".csv"): "bulk" for name in bulk}
    return manifest(dialect, modes | {name.removesuffix(".csv"): "delta" for name in delta})


# Versions.


@pytest.mark.parametrize(
    ("names", "users", "edition"),
    [
        (CORE, (), "three_file"),
        (CORE[:1], (), "three_file"),
        ((*CORE, "orgs.csv"), (), "three_file"),
        ((*CORE, "demographics.csv"), (), "three_file"),
        (ALL_1_1, (), "oneroster_1_1"),
        (ALL_1_2, (), "oneroster_1_2"),
        ((*CORE, "roles.csv"), (), "oneroster_1_2"),
        ((*CORE, "userProfiles.csv"), (), "oneroster_1_2"),
        (CORE, ("sourcedId", "userMasterIdentifier"), "oneroster_1_2"),
    ],
)
def test_without_a_manifest_the_files_tell_the_version(names, users, edition):
    found = planned(names, users=users)
    assert (found.edition, found.findings) == (edition, ())


@pytest.mark.parametrize(
    ("dialect", "names", "edition"),
    [
        (ONEROSTER_1_1, ALL_1_1, "oneroster_1_1"),
        (ONEROSTER_1_1, ALL_1_2, "oneroster_1_1"),
        (ONEROSTER_1_1, CORE, "oneroster_1_1"),
        (ONEROSTER_1_2, ALL_1_2, "oneroster_1_2"),
        (ONEROSTER_1_2, CORE, "oneroster_1_2"),
    ],
)
def test_a_manifest_tells_the_version(dialect, names, edition):
    found = planned(names, of_version(dialect, *names))
    assert found.edition == edition


@pytest.mark.parametrize("version", ["1.1", "1.1.1", "1.1 "])
def test_corrections_of_a_version_are_that_version(version):
    text = f"propertyName,value\nmanifest.version,1.0\noneroster.version,{version}\n"
    assert planned(ALL_1_1, text).edition == "oneroster_1_1"


@pytest.mark.parametrize("version", ["1.0", "2.0", "1.10", "11.1"])
def test_a_version_we_do_not_know_refuses_the_delivery(version):
    text = f"propertyName,value\nmanifest.version,1.0\noneroster.version,{version}\n"
    assert "unknown_version" in codes(planned(ALL_1_1, text))


def test_the_districts_choice_of_edition_counts_before_all():
    for edition in ("three_file", "oneroster_1_1", "oneroster_1_2"):
        assert planned(ALL_1_2, edition=edition).edition == edition
        text = of_version(ONEROSTER_1_1, *ALL_1_2)
        assert planned(ALL_1_2, text, edition).edition == edition


# What lacks.


@pytest.mark.parametrize("missing", CORE)
def test_without_a_manifest_the_three_files_are_needed(missing):
    found = planned([name for name in CORE if name != missing])
    assert found.missing == (FILES[missing],)


def test_files_that_the_manifest_announces_and_that_lack_are_told():
    found = planned(CORE, of_version(ONEROSTER_1_1, *ALL_1_1))
    assert found.missing == ("orgs", "academic_sessions", "courses")


def test_files_that_the_manifest_calls_absent_do_not_lack():
    found = planned(("users.csv",), of_version(ONEROSTER_1_1, "users.csv"))
    assert (found.missing, found.findings) == ((), ())


def test_a_file_that_the_manifest_calls_absent_is_read_all_the_same_and_told():
    found = planned(ALL_1_1, of_version(ONEROSTER_1_1, *ALL_1_1[:-1]))
    assert [f.name for f in found.files if f.table == "courses"] == ["courses.csv"]
    assert codes(found) == ["manifest_wrong"]
    assert "courses.csv" in found.findings[0][1]


# Modes and order.


def test_modes_come_from_the_manifest_and_are_bulk_without_one():
    text = of_version(ONEROSTER_1_2, "orgs.csv", delta=("users.csv", "enrollments.csv"))
    found = planned(("orgs.csv", "users.csv", "enrollments.csv"), text)
    assert {f.table: f.mode for f in found.files} == {
        "orgs": "bulk",
        "users": "delta",
        "enrollments": "delta",
    }
    assert {f.mode for f in planned(CORE).files} == {"bulk"}


def test_files_come_in_the_order_in_which_they_refer_to_one_another():
    found = planned([*FILES][::-1])
    assert [f.table for f in found.files] == list(FILES.values())


# Names.


@pytest.mark.parametrize("name", ["Users.csv", "USERS.CSV", "userS.csv"])
def test_names_in_another_case_are_read_and_told(name):
    found = planned((name, "classes.csv", "enrollments.csv"))
    assert ("users", name) in [(f.table, f.name) for f in found.files]
    assert codes(found) == ["file_name_case"]


def test_of_two_names_that_differ_in_case_the_right_one_counts():
    found = planned((*CORE, "Users.csv"))
    assert [f.name for f in found.files if f.table == "users"] == ["users.csv"]
    assert codes(found) == ["unknown_file"]


@pytest.mark.parametrize("name", ["guardians.csv", "users (1).csv", "users.csv.bak", "notes.txt"])
def test_files_that_are_not_of_oneroster_are_left_and_told(name):
    found = planned((*CORE, name))
    assert len(found.files) == 3
    assert codes(found) == ["unknown_file"]
    assert name in found.findings[0][1]


@pytest.mark.parametrize("names", [(), ("guardians.csv",), ("Student.csv", "Section.csv")])
@pytest.mark.parametrize("text", [None, "propertyName,value\noneroster.version,1.1\n"])
def test_without_a_file_of_oneroster_there_is_no_delivery(names, text):
    found = planned(names, text)
    assert codes(found)[-1] == "not_oneroster"
    assert found.files == ()


# Manifests as they really come.

REAL = """propertyName,value
manifest.version,1.0
oneroster.version,1.1
file.users,bulk
file.classes,bulk
file.enrollments,bulk
"""


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("quoted", [False, True])
def test_manifests_are_read_in_every_dialect(end, quoted):
    text = REAL
    if quoted:
        text = "\n".join(",".join(f'"{c}"' for c in x.split(",")) for x in text.splitlines())
    found = planned(CORE, text.replace("\n", end))
    assert (found.edition, found.findings, found.missing) == ("oneroster_1_1", (), ())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("propertyName,value", "propertyName,propertyValue"),
        ("propertyName,value\n", ""),
        ("manifest.version,1.0", "manifest.version,1"),
        ("file.users,bulk", "fiel.users,bulk"),
        ("file.users,bulk", "file.users,full"),
        ("file.users,bulk", "file.users"),
        ("file.users,bulk", "file.systemName,PowerSchool"),
        ("oneroster.version,1.1\n", ""),
    ],
)
def test_manifests_with_known_mistakes_are_read_as_meant_and_told(old, new):
    found = planned(ALL_1_1, REAL.replace(old, new))
    assert found.edition == "oneroster_1_1"
    assert codes(found) == ["manifest_wrong"]
    assert found.missing == ()
    assert {f.mode for f in found.files} == {"bulk"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("manifest.version,1.0", "manifest.version, 1.0 "),
        ("file.classes,bulk", " file.classes , bulk"),
        ("file.users,bulk\n", "file.users,bulk\n\n,\n"),
        ("file.users,bulk\n", "file.users,bulk\nsource.systemName,PowerSchool\n"),
        ("file.users,bulk\n", 'file.users,bulk\nsource.systemCode,"a, ""b"""\n'),
    ],
)
def test_blanks_and_what_the_standard_allows_are_no_mistakes(old, new):
    found = planned(CORE, REAL.replace(old, new))
    assert (found.edition, found.findings, found.missing) == ("oneroster_1_1", (), ())


@pytest.mark.parametrize("mode", ["BULK", "Bulk", "Delta"])
def test_modes_in_another_case_are_read_as_meant_and_told(mode):
    found = planned(CORE, REAL.replace("file.users,bulk", f"file.users,{mode}"))
    assert {f.table: f.mode for f in found.files}["users"] == mode.casefold()
    assert codes(found) == ["manifest_wrong"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "\x00\x00\x00",
        "x" * 200_000,
        "x,y\n" * 1000,
        '"' + "x\n" * 100_000,
        "<html>login</html>",
        "a,b,c\n1,2,3\n",
        "propertyName\nmanifest.version\n",
    ],
)
def test_a_manifest_that_is_none_is_told_and_the_files_decide(text):
    found = planned(CORE, text)
    assert found.edition == "three_file"
    assert "manifest_wrong" in codes(found)
    assert len(found.files) == 3
    assert not any(len(message) > 300 for _, message in found.findings)
    assert len(found.findings) < 10
