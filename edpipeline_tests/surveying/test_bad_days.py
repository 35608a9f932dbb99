"""Days on which the service refuses, is gone or changes, and runs that end in between."""

import time
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from edpipeline import surveying, uploading
from edpipeline.errors import (
    AccountLocked,
    BadConfiguration,
    BadCredentials,
    Busy,
    EdpipelineError,
    Permanent,
    Transient,
)
from edpipeline.polling import poll as entering
from edpipeline.polling.vendor import Pace
from edpipeline.sources.score_reports.decisions import AGAIN, Outcome
from edpipeline.surveying.account import Account, gravest
from edpipeline.uses_of_polls import RefusalLimit, ReportConfiguration
from edpipeline_tests.surveying.installation import (
    DAY,
    DEFAULT,
    DISTRICT,
    OF_CHARTER,
    QUICK,
    REPORT,
    SOURCE,
    SPANISH,
    USERNAME,
    Installation,
    ssid,
)

REPORTS = "/score-reports"
TOKEN = "/token"
SECRET = "SR_SECRET"
FAILURES: list[tuple[Outcome, int]] = [("server_error", 503), ("rate_limited", 429)]


def people(made: Installation, count: int, school: str = "0101") -> Installation:
    """So many students, each with one report."""
    for number in range(count):
        made.vendors.reports(ssid(number), [REPORT])
    return made.roster({f"s{number:02d}": ssid(number) for number in range(count)}, school)


def in_chunks(made: Installation, size: int, **changes: Any) -> Installation:
    return made.configure(
        pace={"per_second": 5000, "at_once": 1, "students_at_once": size}, **changes
    )


def fails(made: Installation, kind: type[EdpipelineError], minutes: float = 0) -> str:
    with pytest.raises(kind) as caught:
        made.survey(minutes)
    assert type(caught.value) is kind
    return str(caught.value)


def test_a_status_alone_says_what_became_of_a_student(made: Installation) -> None:
    cases: list[tuple[dict[str, Any], str, int | None, int]] = [
        ({"status": 403}, "forbidden", 403, 1),
        ({"status": 404}, "not_found", 404, 1),
        ({"status": 400}, "bad_request", 400, 1),
        ({"status": 418}, "bad_request", 418, 1),
        ({"status": 500}, "server_error", 500, 2),
        ({"status": 504}, "server_error", 504, 2),
        ({"drop_connection": True}, "server_error", None, 2),
        ({"hang_s": 1}, "server_error", None, 2),
        ({"status": 429}, "rate_limited", 429, 2),
        ({"html": True}, "schema_drift", 200, 1),
        ({"status": 200, "body": {"reports": []}}, "schema_drift", 200, 1),
        ({"status": 200, "body": [1]}, "schema_drift", 200, 1),
        ({"remove_field": "type"}, "schema_drift", 200, 1),
        ({"remove_field": "lang"}, "schema_drift", 200, 1),
        ({"retype_field": {"year": "boolean"}}, "schema_drift", 200, 1),
    ]
    people(made, len(cases))
    for number, (fault, *_) in enumerate(cases):
        made.vendors.inject(match={"path": ssid(number) + REPORTS}, times=9, **fault)
    survey = made.survey()
    found = Counter(outcome for _, outcome, *_ in cases)
    assert {outcome: getattr(survey, outcome) for outcome in found} == found
    assert (survey.asked, survey.listed, made.catalog("ssid")) == (len(cases), 0, [])
    students = [f"s{number:02d}" for number in range(len(cases))]
    outcomes, statuses = [case[1] for case in cases], [case[2] for case in cases]
    assert made.outcomes() == dict(zip(students, outcomes, strict=True))
    assert made.outcomes("http_status") == dict(zip(students, statuses, strict=True))
    for nothing in ("reports", "answered_at"):
        assert set(made.outcomes(nothing).values()) == {None}
    reasons = str(made.outcomes("reason"))
    assert not [number for number in range(len(cases)) if ssid(number) in reasons]
    # A call that hangs is one that the service saw, too.
    calls = {ssid(number): calls for number, (*_, calls) in enumerate(cases)}
    assert Counter(made.asked()) == calls
    made.vendors.heal()
    again = [who for who, told in made.outcomes().items() if told in AGAIN]
    assert (made.is_due(10), made.is_due(20)) == (False, True)
    assert made.survey(20).ok == len(again) == 5
    assert {who for who, told in made.outcomes().items() if told == "ok"} == set(again)
    assert made.survey(DAY).ok == len(cases)


def test_an_answer_that_is_too_large_is_one_students_and_holds_nobody_back(
    made: Installation,
) -> None:
    made = in_chunks(made, 50, api={"http": {**QUICK, "most_bytes": "2000"}})
    people(made, 4)
    made.vendors.reports(ssid(1), [{**REPORT, "contentArea": f"{each}"} for each in range(40)])
    survey = made.survey()
    assert (survey.ok, survey.schema_drift) == (3, 1)
    assert "larger than 2000 bytes" in made.outcomes("reason")["s01"]


@pytest.mark.parametrize("stale", [{"token_revoked": True}, {"status": 401}])
def test_a_token_that_ends_is_fetched_once_for_all_threads(
    made: Installation, stale: dict[str, Any]
) -> None:
    made = made.configure(pace={"per_second": 5000, "at_once": 8})
    people(made, 30)
    made.vendors.inject(match={"path": REPORTS}, skip=10, **stale)
    survey = made.survey()
    assert (survey.ok, survey.asked) == (30, 30)
    assert made.tokens() == 2


def test_a_token_that_ends_by_the_clock_of_the_service_is_fetched_again(
    made: Installation,
) -> None:
    made = people(in_chunks(made, 5), 10)
    survey = made.survey(loaded=lambda *_: made.vendors.advance(7200))
    assert (survey.ok, made.tokens(), len(made.asked())) == (10, 2, 11)


def test_a_token_is_read_for_its_life(made: Installation) -> None:
    made.vendors.seed(world={"score_reports_token_s": 1})
    people(made, 3)
    made = in_chunks(made, 1, api={"http": {"tries": "1"}, "auth": {"early_refresh_s": 0.9}})
    # Half a second of it is shown, and then another is fetched, without a 401.
    assert made.survey(loaded=lambda *_: time.sleep(0.6)).ok == 3
    assert made.tokens() >= 3 and len(made.asked()) == 3


def test_new_credentials_end_the_old_ones_and_the_run_goes_on_with_the_new(
    made: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = people(in_chunks(made, 4), 12)
    new: list[str] = []

    def regenerate(*_: object) -> None:
        new.extend([] if new else [made.vendors.regenerate(USERNAME)])

    with pytest.raises(BadCredentials) as caught:
        made.survey(loaded=regenerate)
    assert "configuration LEA" in str(caught.value) and "TOMS" in str(caught.value)
    assert not any(secret in str(caught.value) for secret in (ssid(0), "CANARY"))
    # One 401 to the old token, one to the old secret; nothing was asked after that.
    assert (made.tokens(), len(made.asked()), len(made.outcomes())) == (2, 5, 4)
    fails(made, BadCredentials, 5)
    assert (made.tokens(), len(made.asked())) == (3, 5)
    monkeypatch.setenv(SECRET, new[0])
    survey = made.survey(10)
    assert (survey.ok, len(made.asked())) == (8, 13)
    told = made.rows("select message from ops.sync_history where status = 'failed'")
    assert len(told) == 1 and "LEA" in told[0][0]


def test_what_is_not_about_a_student_stops_the_run_and_is_no_outcome(made: Installation) -> None:
    away = {"status": 302, "headers": {"Location": "https://elsewhere.example/"}}
    cases: list[tuple[dict[str, Any], type[EdpipelineError]]] = [
        ({"status": 401}, BadCredentials),
        ({"status": 423}, AccountLocked),
        (away, Permanent),
    ]
    people(made, 3)
    for fault, kind in cases:
        made.vendors.inject(match={"path": REPORTS}, times=None, **fault)
        message = fails(made, kind)
        assert message.startswith("configuration LEA: ") and ssid(0) not in message
        made.vendors.heal()
        assert made.outcomes() == {}
        assert made.is_due(1)


def test_a_token_that_cannot_be_had_in_mid_run_is_no_outcome_of_a_student(
    made: Installation,
) -> None:
    made = people(in_chunks(made, 2), 6)
    made.vendors.seed(world={"score_reports_token_s": 1})

    def gone(*_: object) -> None:
        made.vendors.inject(match={"path": TOKEN}, times=None, status=500)
        time.sleep(0.6)

    with pytest.raises(Transient):
        made.survey(loaded=gone)
    assert made.outcomes() == {"s00": "ok", "s01": "ok"}


def test_the_gravest_of_several_troubles_is_raised_and_tells_of_all() -> None:
    late, refused = Transient("a: later"), BadCredentials("b: refused")
    assert gravest([late]) is late
    told = gravest([late, refused])
    assert (type(told), str(told)) == (BadCredentials, "a: later; b: refused")


@pytest.mark.parametrize(("status", "kind"), [(401, BadCredentials), (500, Transient)])
def test_a_configuration_that_stops_does_not_hold_back_the_others(
    made: Installation, status: int, kind: type[EdpipelineError]
) -> None:
    charter = {**OF_CHARTER, "client_key_env": "SR_KEY", "client_secret_env": SECRET}
    made = in_chunks(made, 2, configurations=[charter, {**DEFAULT, "name": "a"}])
    people(made, 5)
    # The first configuration, in the order in which they are asked, cannot sign in.
    made.vendors.inject(match={"path": TOKEN}, times=2 if status == 500 else 1, status=status)
    with made.pipeline.warehouse.transaction() as session:
        session.run("update marts.dim_student set school_id = '0103' where student_id > 's02'")
    message = fails(made, kind)
    assert message.startswith("configuration a: ") and "charter" not in message
    assert made.outcomes() == {"s03": "ok", "s04": "ok"}
    assert made.survey(1).ok == 3


def test_a_killed_run_goes_on_without_asking_again(
    made: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = people(in_chunks(made, 2), 6)
    load, loads = uploading.load, []

    class Killed(BaseException):
        pass

    def killed(*given: Any) -> Any:
        loads.append(given)
        if len(loads) == 2:  # landed, and not loaded
            raise Killed
        return load(*given)

    with monkeypatch.context() as patch:
        patch.setattr(uploading, "load", killed)
        with pytest.raises(Killed):
            made.survey()
    assert (len(made.asked()), len(made.outcomes())) == (4, 2)
    survey = made.survey(5)
    assert (survey.ok, len(survey.reports)) == (2, 2)
    assert sorted(made.asked()) == [ssid(number) for number in range(6)]
    assert set(made.outcomes().values()) == {"ok"} and len(made.catalog("ssid")) == 6


def test_many_refusals_of_a_kind_stop_the_configuration(made: Installation) -> None:
    made = people(in_chunks(made, 10), 12)
    kinds = {403: "another district", 404: "no SSID", 400: "endpoints"}
    for day, (status, says) in enumerate(kinds.items()):
        made.vendors.inject(match={"path": REPORTS}, times=6, status=status)
        message = fails(made, Permanent, DAY * day)
        assert "of 10 students, for 6" in message and says in message
        assert len(made.asked()) == 10 * (day + 1)
    # So few are never too many.
    made.vendors.inject(match={"path": REPORTS}, times=5, status=403)
    survey = made.survey(DAY * 3)
    assert (survey.asked, survey.forbidden) == (12, 5)


def test_many_refusals_are_too_many_only_as_a_share(made: Installation) -> None:
    made = people(in_chunks(made, 40), 40)
    made.vendors.inject(match={"path": REPORTS}, times=8, status=404)
    assert made.survey().not_found == 8


def test_ten_failures_in_a_row_end_the_run_and_the_next_goes_on(made: Installation) -> None:
    made = people(in_chunks(made, 50), 20)
    made.vendors.inject(match={"path": REPORTS}, skip=5, times=20, status=503)
    assert "10 failures in a row, at last an answer 503" in fails(made, Transient)
    assert sorted(made.outcomes().values()) == ["ok"] * 5 + ["server_error"] * 10
    survey = made.survey(5)
    assert (survey.ok, survey.due) == (5, 5), "those that failed wait for their turn"
    assert made.survey(20).ok == 10


def test_failures_with_an_answer_between_them_are_none_in_a_row() -> None:
    of = ReportConfiguration(
        name="A", client_key_env="A_KEY", client_secret_env="A_SECRET", expires_on=date(2027, 6, 1)
    )
    account = Account(of, RefusalLimit(), most_failures=3)
    for outcome, status in [*FAILURES, ("ok", 200), *FAILURES, ("forbidden", 403), *FAILURES]:
        account.heard(outcome, status)
    assert account.trouble is None
    account.heard("server_error", None)
    assert "3 failures in a row, at last without any answer" in str(account.trouble)


def test_the_first_five_answers_that_nobody_understands_end_the_run(made: Installation) -> None:
    made = people(in_chunks(made, 50), 8)
    made.vendors.inject(match={"path": REPORTS}, times=2, status=500)
    made.vendors.inject(match={"path": REPORTS}, times=None, html=True)
    message = fails(made, Permanent)
    # One that brought no answer is none of the five.
    assert "first 5 answers" in message and len(made.outcomes()) == 6
    made.vendors.heal()
    made.vendors.inject(match={"path": REPORTS}, skip=1, times=None, html=True)
    survey = made.survey(DAY)
    assert (survey.ok, survey.schema_drift) == (1, 7)


def test_a_service_that_is_asked_too_fast_is_asked_half_as_fast(
    made: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = people(in_chunks(made, 3), 9)
    slowed: list[float] = []
    made.vendors.inject(match={"path": REPORTS}, skip=2, times=2, status=429)
    wait = Pace.wait

    def noted(pace: Pace) -> None:
        slowed.append(pace.__dict__["_gap"])
        wait(pace)

    monkeypatch.setattr(Pace, "wait", noted)
    assert made.survey().rate_limited == 1
    assert set(slowed) == {1 / 5000, 2 / 5000} and slowed == sorted(slowed)


def test_a_configuration_that_is_missed_needs_a_word(made: Installation) -> None:
    people(made, 2)
    made.survey()
    other = made.configure(configurations=[{**DEFAULT, "name": "New"}])
    calls = made.vendors.calls()
    message = fails(other, BadConfiguration, DAY)
    assert "LEA" in message and "`removed: [LEA]`" in message
    assert made.vendors.calls() == calls
    assert surveying.forgotten(other.pipeline, DISTRICT) == ("LEA",)
    *_, told = surveying.check_accounts(other.pipeline, DISTRICT)
    assert not told.ok and "removed: [LEA]" in told.message
    said = made.configure(configurations=[{**DEFAULT, "name": "New"}], removed=["LEA"])
    assert said.survey(DAY).ok == 2
    assert surveying.forgotten(said.pipeline, DISTRICT) == ()
    gone = made.write({})
    assert surveying.forgotten(gone.pipeline, DISTRICT) == ("New",)
    (told,) = surveying.check_accounts(gone.pipeline, DISTRICT)
    assert not told.ok and "removed: [New]" in told.message


def test_a_check_says_which_credentials_are_set_and_how_long_they_last(
    made: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ends(days: int) -> dict[str, str]:
        today = made.pipeline.delivery_day(DISTRICT, _now(), SOURCE.name)
        return {"expires_on": f"{today + timedelta(days=days):%Y-%m-%d}"}

    listed = [{**DEFAULT, **ends(40)}, {**OF_CHARTER, **ends(14)}]
    listed += [{**OF_CHARTER, **ends(days), "name": f"in {days}", "schools": [f"{days}"]}
               for days in (2, 1, 0)]  # fmt: skip
    made = made.configure(configurations=listed)
    heard: list[str] = []
    found = surveying.check_accounts(made.pipeline, DISTRICT, heard.append)
    assert [each.ok for each in found] == [True, True, True, False, False]
    assert [each.name for each in found[:2]] == ["score_reports LEA", "score_reports charter"]
    assert all(each.message.startswith("Account is working; ") for each in found)
    assert "every other school; client key ****user" in found[0].message
    assert "in 40 days" in found[0].message and "TOMS" not in found[0].message
    assert "school 0103" in found[1].message and "in 14 days; have new" in found[1].message
    assert "CANARY" not in repr(found) + repr(heard) and made.asked() == []
    monkeypatch.setenv(SECRET, "CANARY-wrong")
    wrong, *_ = surveying.check_accounts(made.pipeline, DISTRICT)
    assert not wrong.ok and "TOMS" in wrong.message and "****rong" in wrong.message
    monkeypatch.delenv(SECRET)
    unset, *_ = surveying.check_accounts(made.pipeline, DISTRICT)
    assert not unset.ok and f"not set ({SECRET})" in unset.message
    ended = ReportConfiguration(**{**DEFAULT, **ends(-3)})  # type: ignore[arg-type]
    assert surveying.days_left(ended, _now().date()) in (-2, -3, -4)


@pytest.mark.parametrize(
    ("text", "shown"),
    [("abcdefghACeA", "****ACeA"), ("short-t^00", "****"), ("", "****"), ("a" * 11, "****")],
)
def test_a_secret_is_shown_by_its_last_letters_where_it_is_long(text: str, shown: str) -> None:
    assert surveying.masked(text) == shown


def test_a_district_is_surveyed_by_one_run_at_a_time(made: Installation) -> None:
    with entering.alone(made.pipeline, DISTRICT, SOURCE), pytest.raises(Busy):
        made.survey()


def test_who_is_forbidden_today_may_be_allowed_tomorrow(made: Installation) -> None:
    made.vendors.reports(ssid(0), [REPORT, SPANISH])
    made.roster({"s00": ssid(0)})
    made.survey()
    made.vendors.forbid(ssid(0))
    assert made.survey(DAY).forbidden == 1
    assert made.catalog("no_longer_listed_at") == [(None,), (None,)]
    made.vendors.permit(ssid(0))
    assert made.survey(DAY * 2).ok == 1


def _now() -> datetime:
    return datetime.now(UTC)
