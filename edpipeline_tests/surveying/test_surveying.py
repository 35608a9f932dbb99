"""Surveys of a district, from its roster to the tables."""

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl

from edpipeline.sandbox.population import Population
from edpipeline.sandbox.roster import SMALL
from edpipeline.sandbox.vendors import Vendors
from edpipeline_tests.surveying.installation import (
    DAY,
    DEFAULT,
    DISTRICT,
    NOW,
    OF_CHARTER,
    OLD_SCIENCE,
    REPORT,
    SCIENCE,
    SPANISH,
    STUDENT,
    Installation,
    installed,
    ssid,
)

TABLES = ("score_reports.catalog", "score_reports.requests", "ops.access_log")
STANDS = {
    "listed": ("ok", "empty"),
    "empty": ("empty",),
    "unknown": ("not_found",),
    "elsewhere": ("forbidden",),
    "late": ("forbidden",),
}
REPORTS = "/score-reports"


def whole(made: Installation) -> dict[str, list[tuple[Any, ...]]]:
    """Every table, in an order of its own."""
    return {table: sorted(map(repr, made.rows(f"select * from {table}"))) for table in TABLES}  # type: ignore[misc]


def population() -> pl.DataFrame:
    frames = pl.concat(list(Population(SMALL, 1, 0, 0.01, 2027).students()))
    return frames.select(
        pl.col("sourcedId").alias("student_id"),
        pl.col("primaryOrgSourcedId").alias("school_id"),
        pl.lit(True).alias("is_current"),
        pl.col("userIds").str.extract(r"\{SSID:(\d+)\}").alias("state_id"),
    )


def test_every_student_of_a_district_is_asked_about_once_a_day(
    vendors: Vendors, tmp_path: Path, warehouse_url: str
) -> None:
    with installed(tmp_path, vendors, warehouse_url) as empty:
        pace = {"pace": {"per_second": 5000, "at_once": 3, "students_at_once": 50}}
        made = empty.configure(configurations=[DEFAULT, OF_CHARTER], **pace)
        people = population().gather_every(2)
        made.fill(people)
        assert made.is_due()
        survey = made.survey()
        assert survey.students == survey.due == survey.asked == people.height
        assert len(survey.reports) == 3 and survey.new == survey.listed > 200
        stands = vendors.score_report_students()
        state = dict(people.select("student_id", "state_id").iter_rows())
        outcomes = made.outcomes()
        assert all(outcomes[who] in STANDS[stands[number]] for who, number in state.items())
        assert Counter(outcomes.values()) == {
            name: count for name in set(outcomes.values()) if (count := getattr(survey, name))
        }
        ((rows, students, given),) = made.rows(
            "select count(*), count(distinct ssid), count(*) filter (where type_given = 'CAST|CST')"
            " from score_reports.current_catalog where report_type <> 'CST' and has_link"
        )
        assert (rows, students) == (survey.listed, survey.ok) and given
        assert set(made.outcomes("configuration").values()) == {"LEA", "charter"}
        assert not made.is_due(60)
        calls = made.asked()
        assert made.survey(60).asked == 0 and made.asked() == calls
        # The next day: who was late is allowed, and nothing else is a new version.
        before = made.rows("select count(*) from score_reports.catalog")
        again = made.survey(DAY)
        late = sum(stands[number] == "late" for number in state.values())
        assert survey.forbidden - again.forbidden == late > 0
        grown = made.rows("select count(*) from score_reports.catalog")[0][0] - before[0][0]
        assert (again.no_longer_listed, grown) == (0, again.new)
        assert rebuilt(made) == whole(made)


def rebuilt(made: Installation) -> dict[str, list[tuple[Any, ...]]]:
    """What the tables are once they were emptied and filled from landing; it is what they are."""
    before = whole(made)
    made.pipeline.sync(DISTRICT, NOW.date(), source="score_reports").rebuild()
    return before


def test_who_cannot_be_asked_about_is_listed_and_not_asked(made: Installation) -> None:
    made = made.configure(configurations=[{**DEFAULT, "schools": ["0101"]}])
    rows = [
        ("none", "0101", True, None),
        ("blank", "0101", True, " "),
        ("short", "0101", True, "123456789"),
        ("letters", "0101", True, "12345678AB"),
        ("foreign", "0101", True, "١٢٣٤٥٦٧٨٩٠"),
        ("school", "0102", True, ssid(5)),
        ("nowhere", None, True, ssid(6)),
        ("left", "0101", False, ssid(7)),
        ("fine", "0101", True, f" {ssid(8)} "),
    ]
    made.fill(pl.DataFrame(rows, schema=list(STUDENT), orient="row"))
    made.vendors.reports(ssid(8), [REPORT])
    survey = made.survey()
    assert made.asked() == [ssid(8)]
    assert (survey.students, survey.due, survey.ok) == (8, 1, 1)
    assert (survey.skipped_no_ssid, survey.skipped_bad_ssid) == (2, 3)
    assert survey.skipped_no_configuration == 2
    assert made.outcomes() == {
        **dict.fromkeys(("none", "blank"), "skipped_no_ssid"),
        **dict.fromkeys(("short", "letters", "foreign"), "skipped_bad_ssid"),
        **dict.fromkeys(("school", "nowhere"), "skipped_no_configuration"),
        "fine": "ok",
    }
    assert made.outcomes("ssid")["short"] is None and made.outcomes("ssid")["school"] == ssid(5)
    # Told once; and asked about as soon as the roster is right.
    assert made.survey(5).reports == () and not made.is_due(10)
    made.roster({"short": ssid(9), "fine": ssid(8)})
    made.vendors.reports(ssid(9), [])
    assert made.is_due(15) and made.survey(15).asked == 1
    assert made.outcomes()["short"] == "empty"


def test_two_students_with_one_number_are_asked_about_once(made: Installation) -> None:
    made.roster({"one": ssid(1), "two": ssid(1)})
    made.vendors.reports(ssid(1), [REPORT])
    survey = made.survey()
    assert (made.asked(), survey.asked, survey.listed) == ([ssid(1)], 2, 1)
    assert made.outcomes() == {"one": "ok", "two": "ok"}


def test_a_number_that_was_corrected_is_asked_about_and_has_no_answer_yet(
    made: Installation,
) -> None:
    for number in (1, 2):
        made.vendors.reports(ssid(number), [REPORT])
    made.roster({"one": ssid(1), "missing": ssid(2)}).survey()
    assert not made.is_due(5)
    made.roster({"one": ssid(1), "missing": None}).survey(4)
    assert made.outcomes("answered_at")["missing"] is not None
    made.roster({"one": ssid(3), "missing": ssid(4)})
    assert made.is_due(5)
    made.vendors.inject(match={"path": REPORTS}, times=9, status=500)
    assert made.survey(5).asked == 2
    assert made.outcomes("ssid") == {"one": ssid(3), "missing": ssid(4)}
    assert made.outcomes("answered_at") == {"one": None, "missing": None}
    assert made.catalog("ssid", "no_longer_listed_at") == [(ssid(1), None), (ssid(2), None)]


def test_a_report_under_both_codes_is_one_and_is_told_as_given(made: Installation) -> None:
    made.roster({"one": ssid(1)})
    odd = {"type": "newkind", "lang": "qq", "year": 2026, "format": "HTML", "contentArea": "ELA"}
    made.vendors.reports(ssid(1), [OLD_SCIENCE, SCIENCE, {**REPORT, "url": ""}, odd])
    survey = made.survey()
    assert (survey.listed, survey.new_codes) == (3, 2)
    assert [problem for problem in survey.problems if "NEWKIND" in problem or "QQ" in problem]
    columns = ("report_type", "type_given", "language", "report_year", "grade", "has_link")
    assert made.catalog(*columns, "report_format", "content_area") == [
        ("CAASPP", "CAASPP", "EN", 2026, "05", False, None, None),
        ("CAST", "CAST|CST", "EN", 2026, "05", True, None, None),
        ("NEWKIND", "newkind", "QQ", 2026, None, True, "HTML", "ELA"),
    ]


def test_only_a_list_says_that_a_report_is_gone_and_it_may_come_back(made: Installation) -> None:
    faults = {ssid(1): {"status": 500}, ssid(2): {"status": 404}, ssid(3): {"html": True}}
    made.roster({f"s{number}": number for number in faults})
    for number in faults:
        made.vendors.reports(number, [REPORT, SPANISH])
    made.survey()
    first = NOW.replace(tzinfo=None)

    def days() -> list[tuple[Any, ...]]:
        """Whole days from the start, for times."""
        times = ("first_seen_at", "last_seen_at", "no_longer_listed_at")
        return [
            (number, language, *((cell - first).days if cell else None for cell in cells))
            for number, language, *cells in made.catalog("ssid", "language", *times)
        ]

    listed = [(number, language, 0, 0, None) for number in faults for language in ("EN", "ES")]
    for number, fault in faults.items():
        made.vendors.inject(match={"path": number + REPORTS}, times=9, **fault)
    assert made.survey(DAY).no_longer_listed == 0
    made.vendors.heal()
    assert days() == listed
    # When they were answered about stays, as long as nothing else is.
    assert all(at < first + timedelta(hours=1) for at in made.outcomes("answered_at").values())
    of_one, others = {"s1": ssid(1)}, listed[2:]
    made.roster(of_one)
    made.vendors.unlist(ssid(1), lang="ES")
    assert made.survey(DAY * 2).no_longer_listed == 1
    assert days() == [(ssid(1), "EN", 0, 2, None), (ssid(1), "ES", 0, 0, 2), *others]
    made.vendors.reports(ssid(1), [])
    survey = made.survey(DAY * 3)
    assert (survey.empty, survey.no_longer_listed) == (1, 1)
    assert days() == [(ssid(1), "EN", 0, 2, 3), (ssid(1), "ES", 0, 0, 2), *others]
    made.vendors.reports(ssid(1), [SPANISH])
    assert made.survey(DAY * 4).new == 0
    assert days() == [(ssid(1), "EN", 0, 2, 3), (ssid(1), "ES", 0, 4, None), *others]
    assert rebuilt(made) == whole(made)


def test_endpoints_are_joined_with_and_without_slashes(made: Installation) -> None:
    plain, slashed = (
        {
            "token_endpoint": f"/api/v1/token{slash}",
            "students_endpoint": f"/api/v1/students{slash}",
            "reports_endpoint": f"/score-reports{slash}",
        }
        for slash in ("", "/")
    )
    schools = [{**DEFAULT, **plain}, {**DEFAULT, **slashed, "name": "other", "schools": ["0102"]}]
    made = made.configure(configurations=schools)
    rows = [("one", "0101", True, ssid(1)), ("two", "0102", True, ssid(2))]
    made.fill(pl.DataFrame(rows, schema=list(STUDENT), orient="row"))
    for number in (1, 2):
        made.vendors.reports(ssid(number), [REPORT])
    assert made.survey().ok == 2
    assert made.outcomes("configuration") == {"one": "LEA", "two": "other"}


def test_a_survey_is_due_within_its_window_alone(made: Installation) -> None:
    made.roster({"one": ssid(1)})
    # At midnight the window has not opened, and at six it has closed.
    assert [made.is_due(hours * 60) for hours in (-3, 0, 3)] == [False, True, False]
    paused = {"from": "2027-03-10", "to": "2027-03-10", "what": "sync"}
    assert not made.configure(pauses=[paused]).is_due()


def test_a_window_across_midnight_is_one_day(made: Installation) -> None:
    made = made.configure(window={"opens": "22:00", "closes": "04:00"} | ZONE)
    made.roster({"one": ssid(1)})
    made.vendors.reports(ssid(1), [REPORT])
    evening = -5 * 60  # ten in the evening of the day before
    assert made.survey(evening).ok == 1
    assert not made.is_due(0)
    assert made.is_due(evening + DAY)
    night = made.survey(0)
    assert night.asked == 0
    assert made.survey(DAY).ok == 1, "in the night that follows"
    assert not made.is_due(DAY + 30)


ZONE = {"time_zone": "America/Los_Angeles"}


def test_without_a_roster_nobody_is_asked_about(made: Installation) -> None:
    survey = made.survey()
    assert (survey.students, made.asked(), made.tokens()) == (0, [], 0)
    assert "no students yet" in survey.problems[0] and not made.is_due()
