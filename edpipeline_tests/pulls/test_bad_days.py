"""Days on which a vendor's API is wrong, gone or slow: the last good rows stay, one line in the
history says what happened, and the next pull makes up for it.

All tests share one district, which has pulled everything once. Each of them changes some scores
at the vendor and lets a pull of the next day go wrong. A pull asks for what its landing and its
history do not have; so where both are as they were, and the next pull would ask since when it would
have before, one pull that goes well makes up for all those days.
"""

import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import count
from typing import Any

import pytest

from edpipeline import pulling, sources
from edpipeline.errors import (
    AccountLocked,
    BadCredentials,
    EdpipelineError,
    NotFound,
    Permanent,
    Transient,
)
from edpipeline.landing import drop as landing
from edpipeline.sandbox.vendors import Vendors, people, scantron_records
from edpipeline.settings import provided
from edpipeline_tests.pulls.installation import (
    DISTRICT,
    QUICK,
    READING_ALONE,
    Installation,
    installed,
)

Fault = dict[str, Any]
Change = Mapping[str, Any]

SMALL_PAGES = {"paging": {"size": "2"}}
LISTINGS = {
    "star": {name: {**SMALL_PAGES, **parts} for name, parts in READING_ALONE.items()},
    "scantron": {"results": SMALL_PAGES},
}
RESULTS = {"star": "/assessments$", "scantron": "/results$"}
RESULT_FILE = {"star": "SR.jsonl", "scantron": "results.jsonl"}
SIGN_IN = {"star": "/oauth/token$", "scantron": "/session$"}
LISTING = {"star": "SR", "scantron": "scantron"}
KEY = {"star": "AssessmentID", "scantron": "testSessionId"}
SCORE = {"star": "ScaledScore", "scantron": "scaledScore"}
LOWEST = {"star": 400, "scantron": 2000}
COLUMNS = {
    "star": ("assessment_id", "scaled_score"),
    "scantron": ("test_session_id", "scaled_score"),
}
CHANGED = 6
"""Scores that change at the vendor before each bad day: three pages."""
BOTH = ("star", "scantron")
STORM = {"times": None}
QUIET = datetime(2027, 2, 21, 6, 30, tzinfo=UTC)
"""After it nobody is tested for two months: what changes is what a test changes."""
LATER = QUIET + timedelta(days=80)
"""After all days of these tests: what a pull would ask for then tells what it thinks it has."""
days = {source: count(1) for source in BOTH}


def used(**settings: Any) -> dict[str, Any]:
    """Settings of a source: nothing but the first pull asks for everything."""
    http = {**QUICK, **settings.pop("http", {})}
    return {"whole_every_days": 300, "trailing_days": 1, "http": http, **settings}


@dataclass
class District:
    """The district that all tests share."""

    installation: Installation
    day: int = 0
    source: str = ""
    personal: frozenset[str] = frozenset()
    changed: dict[str, int] = field(default_factory=dict)

    @property
    def vendors(self) -> Vendors:
        return self.installation.vendors

    def new_day(self, source: str) -> None:
        """The next day comes, and some scores have changed at the vendor."""
        self.day, self.source = next(days[source]), source
        self.vendors.set_clock(self.installation.start + timedelta(days=self.day, hours=-2))
        ids = sorted(self.vendors.ids(LISTING[source]))[:CHANGED]
        self.changed = dict.fromkeys(ids, LOWEST[source] + self.day)
        changes = [{KEY[source]: it, SCORE[source]: to} for it, to in self.changed.items()]
        self.vendors.seed(records={LISTING[source]: changes})

    def using(self, **change: Any) -> Installation:
        """The installation with other settings of the source of the day."""
        settings = {}
        for source in BOTH:
            own = used(**(change if source == self.source else {}))
            api = {"http": own.pop("http"), "listings": LISTINGS[source]}
            settings[source] = {**own, "api": api}
        return self.installation.configure(**settings)

    def calls(self, path: str) -> int:
        """How often the vendor was asked for such a path, on any day."""
        counts = self.vendors.counts(self.source)
        return sum(times for name, times in counts.items() if path.strip("$") in name)


@pytest.fixture(scope="module")
def shared(vendors: Vendors, tmp_path_factory: pytest.TempPathFactory) -> Iterator[District]:
    with installed(tmp_path_factory.mktemp("bad-days"), vendors, QUIET) as made:
        for source in BOTH:
            made.pull(source)
        yield District(made, personal=personal_data(made))


@pytest.fixture
def district(shared: District) -> Iterator[District]:
    yield shared
    shared.vendors.heal()
    shared.vendors.unlock()
    world = {"scantron_disabled": False, "data_sharing": True, "rp_identifier": "RP-QM-07f3a"}
    shared.vendors.seed(world={**world, "star_username": "quillmere.star360"})


def personal_data(made: Installation) -> frozenset[str]:
    """What no message may hold: every id, name and address that the vendors have of students."""
    world = made.vendors.world
    of = people.District(
        world.size, world.seed, world.night, world.change, world.school_year, world.time_zone
    )
    columns = ("sourced", "identifier", "username", "state", "email")
    students = people.students(of)
    found = {value for name in columns for value in students[name].to_list() if value}
    tests = [*made.vendors.ids("SR"), *made.vendors.ids("SM"), *made.vendors.ids("scantron")]
    assert len(scantron_records.results(of).keys(2**62)) >= 500
    return frozenset({each for each in found if len(each) > 3} | set(tests))


@dataclass
class Before:
    """What must be there unchanged after a bad day."""

    contents: Mapping[str, object]
    landed: int
    files: int
    history: int
    asks_since: datetime
    """What the next pull would ask for."""


def before(made: Installation, source: str) -> Before:
    files = [path for path in (made.folder / "home" / "landing").rglob("*") if path.is_file()]
    landed, history = len(made.landed(source)), len(made.history(source))
    since = pulling.ask_for(made.pipeline, DISTRICT, sources.source(source), LATER).since
    return Before(contents(made, source), landed, len(files), history, since)


def contents(made: Installation, source: str) -> dict[str, object]:
    """What tells whether any row of a table is another one."""
    tables = [table.full_name for table in sources.source(source).tables]
    told = (
        f"select '{table}', count(*), bit_xor(hash(t)) from {table} t"
        for table in [*tables, "ops.vendor_schools"]
    )
    return {table: found for table, *found in made.rows(" union all ".join(told))}


def assert_told(district: District, made: Installation, was: Before, status: str, says: str) -> str:
    """One new line of the history, which says what happened and shows no data."""
    (line,) = made.history(district.source)[was.history :]
    assert line[0] == status
    assert says in line[1]
    assert_harmless(district, line[1])
    return line[1]


def assert_harmless(district: District, message: str) -> None:
    assert "CANARY-" not in message and "?" not in message and "127.0.0.1" not in message
    words = set(message.replace(",", " ").replace(":", " ").split())
    assert not words & district.personal
    assert not any(each in message for each in district.changed)


def assert_untouched(made: Installation, source: str, was: Before) -> None:
    now = before(made, source)
    assert now.contents == was.contents
    assert (now.landed, now.files) == (was.landed, was.files)
    assert now.asks_since == was.asks_since
    assert made.in_scratch() == []


def assert_made_up_for(district: District) -> None:
    """A later pull of the day brings what the vendor had changed."""
    made = district.using()
    report = made.pull(district.source, district.day + 0.05)
    assert (report.status, report.message) == ("loaded", "")
    assert_changed(district, made)
    assert made.history(district.source)[-1][0] == "loaded"


def assert_changed(district: District, made: Installation) -> None:
    """The scores are those that the vendor has now."""
    key, score = COLUMNS[district.source]
    names = ", ".join(f"'{each}'" for each in district.changed)
    found = made.rows(
        f"select {key}, {score} from assessments.current_{district.source} where {key} in ({names})"
    )
    assert {each: int(value) for each, value in found} == district.changed


@dataclass(frozen=True)
class BadDay:
    """What goes wrong, and what becomes of it."""

    name: str
    fault: Fault
    error: type[EdpipelineError]
    says: str
    source: str = "scantron"
    at: str = ""
    """The path that it befalls; by default that of the results."""
    use: Mapping[str, Any] = field(default_factory=dict)
    """Settings that differ."""
    asked: int | None = None
    """How often that path is asked for."""


def in_an_hour() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)


def just_now() -> str:
    return format_datetime(datetime.now(UTC) - timedelta(minutes=1), usegmt=True)


def limited(wait: Callable[[], str] | str) -> Fault:
    headers = {"Retry-After": wait if isinstance(wait, str) else wait()}
    return {"status": 429, "headers": headers, **STORM}


def body(records: str, rest: str = '"page":1,"pageCount":1,"nextPage":null') -> Fault:
    return {"body": f'{{"results":{records},"records":{records},{rest}}}', **STORM}


SECOND = {"skip": 1, **STORM}
IMPATIENT = {"http": {"read_s": "0.3", "tries": "2"}}

BAD_DAYS = [
    BadDay(
        "401 again after a new token", {"status": 401, **SECOND}, BadCredentials, "401", asked=3
    ),
    BadDay("401 in STAR", {"status": 401, **STORM}, BadCredentials, "401", "star"),
    BadDay("a listing we may not read", {"status": 403}, BadCredentials, "403"),
    BadDay("a listing that moved", {"status": 404}, NotFound, "404"),
    BadDay("a request that is refused", {"status": 400}, Permanent, "400", asked=1),
    BadDay("429 without end", limited("0"), Transient, "429", asked=5),
    BadDay("429 in STAR", limited("0"), Transient, "429", "star", asked=5),
    BadDay("429 until a time that passed", limited(just_now), Transient, "429", asked=5),
    BadDay("429 for an hour", limited("3600"), Transient, "3600 s", asked=1),
    BadDay("429 until a later time", limited(in_an_hour), Transient, "asks for 3", asked=1),
    BadDay("500", {"status": 500, **STORM}, Transient, "500", asked=5),
    BadDay("502 on the second page", {"status": 502, **SECOND}, Transient, "502"),
    BadDay("503 in STAR", {"status": 503, **STORM}, Transient, "503", "star"),
    BadDay("504", {"status": 504, **STORM}, Transient, "504"),
    BadDay("503 to the sign-in", {"status": 503, **STORM}, Transient, "503", at="/session$"),
    BadDay(
        "a socket that hangs", {"hang_s": 9, **STORM}, Transient, "no whole answer", use=IMPATIENT
    ),
    BadDay(
        "a socket that hangs at the sign-in",
        {"hang_s": 9, **STORM},
        Transient,
        "no whole answer",
        source="star",
        at="/oauth/token$",
        use=IMPATIENT,
    ),
    BadDay(
        "a dropped connection", {"drop_connection": True, **STORM}, Transient, "no whole answer"
    ),
    BadDay("half a body", {"half_body": True, **SECOND}, Transient, "no whole answer"),
    BadDay("half a body in STAR", {"half_body": True, **STORM}, Transient, "no whole", "star"),
    BadDay("HTML", {"html": True, **SECOND}, Permanent, "an HTML page"),
    BadDay("HTML in STAR", {"html": True, **STORM}, Permanent, "an HTML page", "star"),
    BadDay("HTML to the sign-in", {"html": True}, Permanent, "an HTML page", at="/session$"),
    BadDay("a maintenance page", {"status": 503, "html": False, **STORM}, Transient, "503"),
    BadDay("a body that is empty", {"body": "", **STORM}, Permanent, "no JSON"),
    BadDay("JSON of another kind", {"body": '"fine"', **STORM}, Permanent, "no JSON object"),
    BadDay("an error sent as 200", {"body": {"error": "x"}}, Permanent, "no `results`"),
    BadDay("records that are a text", body('"none"'), Permanent, "no list of objects"),
    BadDay("records that are lists", body('[["CANARY-a"]]'), Permanent, "no list of objects"),
    BadDay("a text that is no Unicode", body('[{"studentId":"\\ud800"}]'), Permanent, "no JSON"),
    BadDay("JSON without bottom", body("[" * 200_000 + "]" * 200_000), Permanent, "no JSON object"),
    BadDay("a repeated page", {"repeat_page": True, **SECOND}, Transient, "repeats page 1"),
    BadDay(
        "a repeated page in STAR", {"repeat_page": True, **SECOND}, Transient, "repeats", "star"
    ),
    BadDay("the first page for ever", {"repeat_page": 1, **STORM}, Transient, "repeats page 1"),
    BadDay("a total too high", {"lie_about_total": 9, **STORM}, Transient, "is empty, though"),
    BadDay("a total too low", {"lie_about_total": 1, **STORM}, Transient, "records after page 1"),
    BadDay(
        "too few pages, in STAR",
        {"lie_about_total": 1, **STORM},
        Transient,
        "records after page 1",
        "star",
    ),
    BadDay("a total that shrinks", {"lie_about_total": 9}, Transient, "after 9"),
    BadDay("more pages, in STAR", {"lie_about_total": 9, **STORM}, Transient, "is empty", "star"),
    BadDay("a total that is none", body("[]", '"pageCount":"x"'), Permanent, "no whole number"),
    BadDay("no next page named", body("[{},{}]", '"x":1'), Permanent, "no `nextPage`", "star"),
    BadDay(
        "a huge page",
        {},
        Permanent,
        "is larger than 900 bytes",
        use={"http": {"most_bytes": "900"}},
    ),
    BadDay(
        "a huge page in STAR",
        {},
        Permanent,
        "is larger than 900 bytes",
        source="star",
        use={"http": {"most_bytes": "900"}},
    ),
    BadDay("a token that is none", {"body": {"token": None}}, Permanent, "`token`", at="/session$"),
    BadDay(
        "an authorisation that says no",
        {"body": {"authorized": False}},
        BadCredentials,
        "`authorized: true`",
        source="star",
        at="/authorization$",
    ),
    BadDay("another site", {}, BadCredentials, "ten digits", use={"site_id": "0000000000"}),
    BadDay(
        "another district",
        {},
        NotFound,
        "identification number",
        "star",
        use={"rp_identifier": "RP-X"},
    ),
    BadDay("another user", {}, BadCredentials, "data sharing", "star", use={"username": "nobody"}),
]


@pytest.mark.parametrize("bad", BAD_DAYS, ids=lambda bad: bad.name)
def test_a_bad_day_leaves_the_last_good_rows_and_says_why(district: District, bad: BadDay) -> None:
    district.new_day(bad.source)
    made = district.using(**bad.use)
    was = before(made, bad.source)
    at = bad.at or RESULTS[bad.source]
    asked_before = district.calls(at)
    if bad.fault:
        district.vendors.inject(match={"path": at}, **bad.fault)
    with pytest.raises(bad.error) as raised:
        made.pull(bad.source, district.day)
    assert isinstance(raised.value, Transient) == (bad.error is Transient)
    message = assert_told(district, made, was, "failed", bad.says)
    assert message == str(raised.value)
    assert_untouched(made, bad.source, was)
    assert bad.asked is None or district.calls(at) - asked_before == bad.asked


@pytest.mark.parametrize("source", BOTH)
def test_a_good_day_makes_up_for_all_the_bad_days_before(district: District, source: str) -> None:
    for _ in range(2):
        district.new_day(source)
        made = district.using()
        was = before(made, source)
        district.vendors.inject(match={"path": RESULTS[source]}, html=True, skip=1)
        with pytest.raises(Permanent):
            made.pull(source, district.day)
        assert_untouched(made, source, was)
        district.vendors.heal()
    assert_made_up_for(district)


PASSING: list[Fault] = [
    {"token_revoked": True, "skip": 1},
    {"status": 429, "headers": {"Retry-After": "0"}, "times": 3},
    {"status": 503, "times": 3},
    {"half_body": True, "skip": 1},
    {"drop_connection": True, "times": 2},
]


@pytest.mark.parametrize("source", BOTH)
def test_what_passes_is_waited_for_and_nobody_hears_of_it(district: District, source: str) -> None:
    history = len(district.installation.history(source))
    for fault in PASSING:
        district.new_day(source)
        district.vendors.inject(match={"path": RESULTS[source]}, **fault)
        made = district.using()
        of, at = sources.source(source), made.start + timedelta(days=district.day)
        district.vendors.set_clock(at)
        (landed,) = pulling.pull_and_land(made.pipeline, DISTRICT, of, at)
        with landing.open_drop(made.pipeline.store, landed.drop) as paths:
            records = paths[RESULT_FILE[source]].read_text()
        assert all(each in records for each in district.changed), fault
        assert district.vendors.state()["faults"] == []
        assert len(made.history(source)) == history
    district.new_day(source)
    assert_made_up_for(district)
    assert len(district.installation.history(source)) == history + 1


def test_a_vendor_that_is_gone_for_the_whole_window(district: District) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        gone = f"http://127.0.0.1:{reserved.getsockname()[1]}"
    for source in BOTH:
        district.new_day(source)
        made = district.using(base_url=gone)
        was = before(made, source)
        for number in range(3):
            with pytest.raises(Transient):
                made.pull(source, district.day + number / 100)
        # Tried three times, told once.
        assert_told(district, made, was, "failed", "no whole answer (ConnectionError)")
        assert_untouched(made, source, was)


def wrong(source: str) -> dict[str, str]:
    name = {"star": "STAR_SECRET", "scantron": "SCANTRON_PASSWORD"}[source]
    return {name: "CANARY-a-wrong-secret"}


@pytest.mark.parametrize("source", BOTH)
def test_a_wrong_secret_is_tried_once(district: District, source: str) -> None:
    district.new_day(source)
    made = district.using()
    was = before(made, source)
    tried = district.calls(SIGN_IN[source])
    with provided(wrong(source)), pytest.raises(BadCredentials):
        made.pull(source, district.day)
    assert district.calls(SIGN_IN[source]) == tried + 1
    assert_told(district, made, was, "failed", "is wrong")
    assert_untouched(made, source, was)


def lock(district: District) -> None:
    with provided(wrong("scantron")):
        for _ in range(district.vendors.world.lock_after):
            with pytest.raises(BadCredentials):
                district.using().pull("scantron", district.day)
    assert district.vendors.state()["scantron"]["locked"]


def test_a_locked_account_is_not_tried_again(district: District) -> None:
    district.new_day("scantron")
    lock(district)
    made = district.using()
    was = before(made, "scantron")
    logins = district.vendors.state()["scantron"]["logins"]
    with pytest.raises(AccountLocked):
        made.pull("scantron", district.day)
    now = district.vendors.state()["scantron"]["logins"]
    assert now == {**logins, "locked": logins.get("locked", 0) + 1}
    assert_told(district, made, was, "locked", "have the vendor unlock it")
    assert_untouched(made, "scantron", was)
    district.vendors.unlock()
    assert_made_up_for(district)


def test_an_account_that_is_locked_while_pages_are_read_is_not_tried_again(
    district: District,
) -> None:
    district.new_day("scantron")
    lock(district)
    district.vendors.unlock()
    made = district.using()
    was = before(made, "scantron")
    path = SIGN_IN["scantron"]
    tried = district.calls(path)
    district.vendors.inject(match={"path": RESULTS["scantron"]}, token_revoked=True, skip=1)
    district.vendors.inject(match={"path": path}, skip=1, status=423, **STORM)
    with pytest.raises(AccountLocked):
        made.pull("scantron", district.day)
    assert district.calls(path) == tried + 2
    assert_told(district, made, was, "locked", "locked")
    assert_untouched(made, "scantron", was)
    district.vendors.heal()
    assert_made_up_for(district)


@pytest.mark.parametrize(
    ("source", "world", "says"),
    [
        ("scantron", {"scantron_disabled": True}, "the account is disabled"),
        ("star", {"data_sharing": False}, "data sharing is not enabled"),
    ],
)
def test_what_an_administrator_switched_off_is_said(
    district: District, source: str, world: Change, says: str
) -> None:
    district.new_day(source)
    district.vendors.seed(world=world)
    made = district.using()
    was = before(made, source)
    with pytest.raises(BadCredentials):
        made.pull(source, district.day)
    assert_told(district, made, was, "failed", says)
    assert_untouched(made, source, was)


@dataclass(frozen=True)
class Reshaped:
    """Records that are not what they were, in every page, and what becomes of them."""

    name: str
    fault: Fault
    status: str
    says: str = ""
    source: str = "scantron"
    code: str = ""
    """Of a finding in the report."""


RESHAPED = [
    Reshaped("a new field", {"add_field": {"mood": "CANARY-m"}}, "loaded", code="extra_columns"),
    Reshaped(
        "a new object", {"add_field": {"extra": {"a": "CANARY-o"}}}, "loaded", code="extra_columns"
    ),
    Reshaped(
        "a new field in STAR", {"add_field": {"Mood": 1}}, "loaded", "", "star", "extra_columns"
    ),
    Reshaped(
        "a missing field", {"remove_field": "lexile"}, "loaded", code="optional_columns_missing"
    ),
    Reshaped("a missing id", {"remove_field": "testSessionId"}, "refused", "testSessionId"),
    Reshaped(
        "a missing id in STAR", {"remove_field": "AssessmentID"}, "refused", "AssessmentID", "star"
    ),
    Reshaped("a missing score", {"remove_field": "ScaledScore"}, "refused", "ScaledScore", "star"),
    Reshaped("a renamed id", {"rename_field": {"testSessionId": "id"}}, "refused", "testSessionId"),
    Reshaped("a renamed student", {"rename_field": {"studentId": "who"}}, "kept", "studentId"),
    Reshaped(
        "an id that became an object",
        {"retype_field": {"testSessionId": "object"}},
        "refused",
        "testSessionId",
    ),
    Reshaped(
        "a score that became an object",
        {"retype_field": {"ScaledScore": "object"}},
        "refused",
        "ScaledScore",
        "star",
    ),
    Reshaped(
        "a score that became a list",
        {"retype_field": {"scaledScore": "array"}},
        "kept",
        "results.jsonl",
    ),
    Reshaped(
        "a score that became true",
        {"retype_field": {"ScaledScore": "boolean"}},
        "kept",
        "SR.jsonl",
        "star",
    ),
    Reshaped(
        "ids that became null",
        {"retype_field": {"AssessmentID": "null"}},
        "kept",
        "SR.jsonl",
        "star",
    ),
    Reshaped(
        "one id for all", {"retype_field": {"testSessionId": "number"}}, "kept", "results.jsonl"
    ),
    Reshaped("no known field at all", body("[{}]"), "refused", "known field"),
    Reshaped(
        "few known fields", body('[{"testSessionId":"CANARY-1"}]'), "refused", "results.jsonl"
    ),
    Reshaped(
        "few known fields in STAR", body('[{"AssessmentID":"x"}]'), "refused", "SR.jsonl", "star"
    ),
]


@pytest.mark.parametrize("bad", RESHAPED, ids=lambda bad: bad.name)
def test_records_of_another_shape_replace_no_good_row(district: District, bad: Reshaped) -> None:
    district.new_day(bad.source)
    made = district.using()
    was = before(made, bad.source)
    fault = {**bad.fault, **STORM}
    district.vendors.inject(match={"path": RESULTS[bad.source]}, **fault)
    report = made.pull(bad.source, district.day)
    status = "loaded_with_errors" if bad.status == "kept" else bad.status
    assert report.status == status or (
        status == "loaded_with_errors" and report.status == "refused"
    )
    assert_told(district, made, was, report.status, bad.says)
    assert made.in_scratch() == []
    table = f"assessments.{bad.source}"
    now = before(made, bad.source)
    if bad.status == "loaded":
        assert_changed(district, made)
        assert now.asks_since > was.asks_since
    else:
        assert now.contents[table] == was.contents[table]
        assert now.asks_since == was.asks_since
    findings = made.rows(
        f"select code, message from ops.rejected_rows where drop_id = '{report.drop_id}'"
    )
    for _, message in findings:
        assert_harmless(district, message)
    assert not bad.code or bad.code in {code for code, _ in findings}
