"""Days: first syncs, corrected files, days out of order, packages in every wrapping."""

import io
import json
import zipfile
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from edpipeline.errors import NotFound
from edpipeline.loading.load import Request
from edpipeline.loading.options import LoadOptions
from edpipeline.loading.sync import preview
from edpipeline_tests.district import (
    FIRST_DAY,
    NEVER_HELD,
    ONEROSTER,
    ONEROSTER_1_1,
    ONEROSTER_1_2,
    POWERSCHOOL,
    SCHOOLS,
    District,
    counts,
    files,
    package,
    rows,
    table,
)

USUAL = LoadOptions(schools=SCHOOLS)
before_any_database = pytest.mark.parametrize("warehouse", ["duckdb"], indirect=True)
"""Of what is decided while files are opened and read, which is the same for every database."""


@pytest.fixture
def careful(warehouse, tmp_path) -> District:
    """A district whose first sync waits for approval."""
    return District(warehouse, tmp_path, USUAL)


def zipped(delivered: dict[str, bytes], folder: str = "") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in delivered.items():
            archive.writestr(folder + name, content)
    return packed.getvalue()


# First syncs.


def test_nothing_is_in_the_tables_before_a_first_sync_is_approved_and_everything_after(careful):
    drop = careful.land(0, files(rows(12)))
    for _ in range(2):
        report = careful.load(0)
        assert report.status == "awaiting_approval"
        assert not report.applied
        assert (counts(report, "users").read, counts(report, "users").added) == (14, 14)
        assert careful.state() == {}
        assert f"edpipeline approve {drop}" in report.message
    careful.approve(drop, "first_sync")
    report = careful.load(0)
    assert (report.status, report.message) == ("loaded", "")
    assert len(careful.current("users")) == 14


def test_a_second_night_needs_no_approval(careful):
    careful.approve(careful.land(0, files(rows(12))), "first_sync")
    careful.load(0)
    report = careful.night(1, files(rows(13)))
    assert (report.status, counts(report, "users").added) == ("loaded", 1)


def test_an_approval_is_for_the_bytes_that_were_looked_at(careful):
    careful.approve(careful.land(0, files(rows(12))), "removals")
    assert careful.load(0).status == "awaiting_approval"
    other = careful.land(0, files(rows(13)))
    assert careful.load(0).status == "awaiting_approval"
    careful.approve(other, "first_sync")
    assert careful.load(0).status == "loaded"


def test_a_first_sync_that_waited_for_days_is_applied_with_the_days_after_it(careful):
    first = careful.land(0, files(rows(12)))
    assert careful.night(1, files(rows(13))).status == "awaiting_approval"
    careful.load(0)
    careful.approve(first, "first_sync")
    assert careful.load(0).status == "loaded"
    assert len(careful.current("users")) == 15
    versions = careful.select(
        "select valid_from, count(*) from roster.users where district_id = $district group by 1"
    )
    assert sorted(versions) == [(FIRST_DAY, 14), (FIRST_DAY + timedelta(1), 1)]


def test_a_corrected_file_on_the_day_of_the_first_sync_never_empties_the_tables(careful):
    careful.approve(careful.land(0, files(rows(12))), "first_sync")
    careful.load(0)
    report = careful.night(0, files(rows(13)))
    assert report.status == "loaded"
    assert len(careful.current("users")) == 15
    broken = dict.fromkeys(files(rows()), b"")
    report = careful.night(0, broken)
    assert report.status == "refused"
    assert len(careful.current("users")) == 15


@pytest.mark.parametrize(
    ("lacking", "content"), [("users", None), ("classes", b""), ("enrollments", b"userSourcedId")]
)
def test_a_first_delivery_must_be_whole(careful, lacking, content):
    delivered = {f"{lacking}.csv": content}
    drop = careful.land(
        0, {k: v for k, v in (files(rows(12)) | delivered).items() if v is not None}
    )
    report = careful.load(0)
    assert report.status == "refused"
    assert lacking in report.message
    assert careful.state() == {}
    assert careful.findings("first_delivery_unusable")
    if content is None:
        careful.approve(drop, "first_sync")
        assert careful.load(0).status == "refused"
        assert careful.state() == {}


# Days.


def test_a_day_on_which_nothing_landed_cannot_be_loaded(district):
    with pytest.raises(NotFound, match="nothing has landed"):
        district.load(0)
    district.begin(files(rows(12)))
    before = district.state()
    with pytest.raises(NotFound):
        district.load(1)
    assert district.state() == before


def test_the_last_delivery_of_a_day_counts(district):
    district.begin(files(rows(12)))
    district.night(1, files(rows(5)))
    report = district.night(1, files(rows(13)))
    assert (counts(report, "users").added, counts(report, "users").removed) == (1, 0)
    assert len(district.current("users")) == 15


def test_a_last_delivery_that_is_not_whole_leaves_nothing_for_those_before_it_to_undo(district):
    district.begin(files(rows(12)))
    first = district.land(1, files(rows(13)))
    fewer = files(rows(8))
    del fewer["classes.csv"]
    report = district.night(1, fewer)
    assert (counts(report, "users").removed, len(district.current("users"))) == (5, 10)
    told = district.select(
        "select rows_added, rows_changed, rows_removed from ops.sync_files"
        f" where district_id = $district and drop_id = '{first}' and file_name = 'users.csv'"
    )
    assert told == [(1, 0, 0)]


def test_a_refused_last_delivery_leaves_the_one_before_it_on_that_day(district):
    district.begin(files(rows(12)))
    district.night(1, files(rows(13)))
    before = district.state()
    report = district.night(1, {"users.csv": b"\x00\x00 binary"})
    assert report.status == "refused"
    assert "users.csv" in report.message
    assert district.state() == before
    assert [f[3] for f in district.findings("not_text")] == ["not_text"]


def test_bytes_taken_back_on_the_same_day_count_again(district):
    district.begin(files(rows(12)))
    district.night(0, files(rows(6)))
    district.night(0, files(rows(12)))
    assert len(district.current("users")) == 14


def test_a_day_that_comes_late_takes_its_place(district):
    district.begin(files(rows(12)))
    district.night(2, files(rows(14)))
    report = district.night(1, files(rows(13)))
    assert (report.day, counts(report, "users").added) == (FIRST_DAY + timedelta(1), 1)
    first_days = district.select(
        "select valid_from, count(*) from roster.users"
        " where district_id = $district and valid_to is null group by 1"
    )
    days = [FIRST_DAY + timedelta(n) for n in range(3)]
    assert sorted(first_days) == [(days[0], 14), (days[1], 1), (days[2], 1)]
    replays = district.select(
        "select delivery_day, replay_of from ops.sync_history"
        " where district_id = $district and replay_of is not null"
    )
    assert replays == [(days[2], str(days[1]))]


def test_an_old_day_corrected_later_is_replayed_with_the_days_after_it(district):
    district.begin(files(rows(12)))
    district.night(1, files(rows(13)))
    before = district.state()
    district.night(0, files(rows(10)))
    assert len(district.current("users")) == 15
    assert district.state() != before
    district.night(0, files(rows(12)))
    assert {name: len(lines) for name, lines in district.state().items()} == {
        name: len(lines) for name, lines in before.items()
    }


def test_days_before_are_not_touched_by_a_day_that_is_loaded_again(district):
    district.begin(files(rows(12)))
    for night in (1, 2):
        district.night(night, files(rows(12 + night)))
    synced = district.select(
        "select delivery_day, count(*) from ops.sync_history"
        " where district_id = $district group by 1"
    )
    district.load(1)
    again = dict(
        district.select(
            "select delivery_day, count(*) from ops.sync_history"
            " where district_id = $district group by 1"
        )
    )
    assert {day: again[day] - count for day, count in synced} == {
        FIRST_DAY: 0,
        FIRST_DAY + timedelta(1): 1,
        FIRST_DAY + timedelta(2): 1,
    }


def test_findings_of_a_day_are_not_listed_twice(district):
    roster = rows(6)
    roster["users"][3]["role"] = "pupil"
    district.night(0, files(roster))
    district.load(0)
    assert len(district.findings("bad_code")) == 1


# A rebuild makes few demands on the database.


def test_a_long_rebuild_does_not_pile_up_locks(postgres_database_url, tmp_path):
    """PostgreSQL has room for some thousands; a school year has 180 nights in one transaction."""
    from edpipeline_tests.district import prepared

    district = District(prepared(postgres_database_url), tmp_path)
    for night in range(8):
        district.land(night, files(rows(4 + night % 2)))
    held = []

    def count_locks(_: str) -> None:
        with psycopg.connect(postgres_database_url) as connection:
            found = connection.execute(
                "select count(*) from pg_locks where mode <> 'ExclusiveLock'"
            )
            held.append(found.fetchone()[0])

    sync = district.sync()
    object.__setattr__(sync, "progress", count_locks)
    sync.rebuild()
    assert len(held) > 20
    assert held[-1] <= held[len(held) // 2] + 5, "the second half takes no new locks"


# Wrappings.


@before_any_database
def test_loose_files_and_zips_give_the_same_tables(warehouse, tmp_path):
    roster = package(rows(8))
    loose = files(roster, ONEROSTER_1_1)
    wrappings = [
        loose,
        {"roster.zip": zipped(loose)},
        {"any name at all.ZIP": zipped(loose, "export/")},
        {"users.zip": zipped({"users.csv": loose["users.csv"]})}
        | {name: data for name, data in loose.items() if name != "users.csv"},
    ]
    found = []
    for delivered in wrappings:
        district = District(warehouse, tmp_path)
        report = district.night(0, delivered)
        assert report.status == "loaded", report.message
        found.append(without_drops(district))
    assert all(state == found[0] for state in found)


def without_drops(district: District) -> dict[str, list[tuple[object, ...]]]:
    """The state but for the drop's id."""
    return {name: [r[:-2] + r[-1:] for r in lines] for name, lines in district.state().items()}


@before_any_database
@pytest.mark.parametrize("dialect", [ONEROSTER_1_1, ONEROSTER_1_2], ids=["1.1", "1.2"])
def test_packages_need_no_manifest(warehouse, tmp_path, dialect):
    roster = package(rows(8))
    with_manifest = files(roster, dialect)
    found = []
    for delivered in (with_manifest, {k: v for k, v in with_manifest.items() if k[0] != "m"}):
        district = District(warehouse, tmp_path)
        report = district.night(0, delivered)
        assert (report.status, report.edition) == (
            "loaded",
            f"oneroster_{dialect.version}".replace(".", "_"),
        )
        found.append(without_drops(district))
    assert found[0] == found[1]
    assert len(found[0]["enrollments"]) == 10
    assert ("roles" in found[0]) == (dialect is ONEROSTER_1_2)


@before_any_database
def test_three_files_may_lack_all_that_is_optional(district):
    columns = {
        "users": ("sourcedId", "role", "givenName", "familyName"),
        "classes": ("sourcedId", "title", "schoolSourcedId"),
        "enrollments": ("classSourcedId", "userSourcedId", "role"),
    }
    roster = rows(8)
    delivered = {f"{n}.csv": table(columns[n], lines) for n, lines in roster.items()}
    report = district.night(0, delivered)
    assert (report.status, report.edition) == ("loaded", "three_file")
    assert "C1:S001:student" in district.current("enrollments")


@before_any_database
def test_the_exports_of_powerschool_are_read_with_their_prefixes(district):
    roster = rows(8)
    prefixes = {"users": "USERS.", "classes": "SECTIONS.", "enrollments": "CC."}
    delivered = {}
    for name, columns in POWERSCHOOL.columns.items():
        head, _, body = table(columns, roster[name]).partition(b"\r")
        labels = ",".join(prefixes[name] + column for column in columns)
        delivered[f"{name}.csv"] = labels.encode() + b"\r" + body
        assert head
    report = district.night(0, delivered)
    assert report.status == "loaded"
    assert counts(report, "users").warnings_by_code["renamed_columns"] == 1
    plain = District(district.warehouse, district.folder)
    plain.night(0, files(roster))
    assert without_drops(plain) == without_drops(district)


# Previews.


def test_a_preview_tells_what_a_load_would_do_and_writes_nothing(district):
    district.begin(files(rows(12)))
    before = district.state()
    history = "select count(*) from ops.sync_history"
    synced = district.select(history)
    roster = rows(13)
    roster["users"][3]["role"] = "pupil"
    inbox = district.folder / "preview"
    inbox.mkdir()
    paths = {}
    for name, content in files(roster).items():
        paths[name] = inbox / name
        paths[name].write_bytes(content)
    day = FIRST_DAY + timedelta(1)
    request = Request(ONEROSTER, NEVER_HELD, district.district_id, day, "preview")
    outcome = preview(district.warehouse, request, paths, district.folder / "scratch")
    assert outcome.status == "loaded_with_errors"
    users = next(file for file in outcome.files if file.table.name == "users")
    assert (users.counts.added, dict(users.counts.rejected)) == (1, {"bad_code": 1})
    assert district.state() == before
    assert district.select(history) == synced
    assert district.findings("bad_code") == []
    report = district.night(1, files(roster))
    assert counts(report, "users").added == 1


def test_reports_are_plain_data_in_the_warehouse(district):
    roster = rows(8)
    roster["users"][3]["role"] = "pupil"
    district.night(0, files(roster))
    found = district.select(
        "select rows_read, rows_accepted, rows_rejected, rejected_by_code, dialect"
        " from ops.sync_files where district_id = $district and table_name = 'roster.users'"
    )
    assert found[0][:3] == (10, 9, 1)
    assert json.loads(found[0][3]) == {"bad_code": 1}
    assert found[0][4] == "UTF-8, CR, unquoted"


def test_a_rebuild_of_a_lost_warehouse_knows_what_was_approved(careful):
    """Also where the approved delivery was corrected on its own day and is loaded no more."""
    careful.approve(careful.land(0, files(rows(12))), "first_sync")
    careful.load(0)
    careful.night(0, files(rows(13)))
    before = careful.state()
    assert len(before["users"]) == 15
    careful.forget()
    assert careful.state() == {}
    careful.sync().rebuild()
    assert careful.state() == before
    careful.forget()
    careful.load(0)
    assert careful.state() == before


@before_any_database
def test_a_file_that_comes_twice_and_differs_refuses_the_delivery(district):
    roster = package(rows(8))
    loose = files(roster, ONEROSTER_1_1)
    district.night(0, {"roster.zip": zipped(loose)})
    before = district.state()
    other = files(package(rows(9)), ONEROSTER_1_1)
    twice: list[tuple[dict[str, bytes], str]] = [
        ({"users.csv": other["users.csv"], "roster.zip": zipped(loose)}, "in roster.zip and loose"),
        ({"a.zip": zipped(loose), "b.zip": zipped(other)}, "in a.zip and in b.zip"),
        ({"USERS.CSV": other["users.csv"], "roster.zip": zipped(loose)}, "loose and in"),
    ]
    for night, (delivered, told) in enumerate(twice, start=1):
        report = district.night(night, delivered)
        assert report.status == "refused"
        assert told in report.message
        assert district.findings("file_twice")
        assert district.state() == before
    report = district.night(9, {"users.csv": loose["users.csv"], "roster.zip": zipped(loose)})
    assert report.status == "loaded"
    assert district.state() == before


UNSAFE = {
    "damaged": b"PK\x03\x04 cut off",
    "folders": zipped({"a/users.csv": b"x", "b/users.csv": b"x"}),
    "leads out": zipped({"../users.csv": b"x"}),
    "times its size": zipped({"users.csv": b"\x00" * (12 << 20)}),
    "itself an archive": zipped({"inner.zip": zipped({"users.csv": b"x"})}),
    "no file": zipped({}),
}


@before_any_database
def test_a_zip_that_is_not_safe_refuses_the_delivery(district):
    district.begin(files(rows(12)))
    before = district.state()
    for night, (told, content) in enumerate(UNSAFE.items(), start=1):
        report = district.night(night, {"roster.zip": content})
        assert report.status == "refused", told
        assert told in report.message
    assert district.state() == before
    found = [f[3] for f in district.findings() if f[0] is None]
    assert found == ["unsafe_archive"] * len(UNSAFE)


@before_any_database
def test_an_encoding_that_the_district_allows_is_read_and_told(warehouse, tmp_path):
    roster = rows(4)
    roster["users"][3]["givenName"] = "Zoë"
    delivered = files(roster)
    delivered["users.csv"] = delivered["users.csv"].decode().encode("cp1252")
    strict = District(warehouse, tmp_path)
    assert counts(strict.night(0, delivered), "users").status == "kept"
    assert strict.findings("bad_encoding")
    district = District(warehouse, tmp_path, replace(NEVER_HELD, encodings=("windows-1252",)))
    report = district.night(0, delivered)
    found = counts(report, "users")
    assert (found.status, found.dialect) == ("loaded", "WINDOWS-1252, CR, unquoted")
    assert found.warnings_by_code == {"fallback_encoding": 1}
    assert "Zoë" in district.current("users", "given_name")
    report = district.night(1, files(roster))
    assert (counts(report, "users").unchanged, counts(report, "users").changed) == (6, 0)
