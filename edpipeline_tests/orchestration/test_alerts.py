"""People are told, through a receiver that really listens, of every sync that went wrong, once."""

import json
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import dagster as dg
import pytest
from apprise import Apprise
from pydantic import SecretStr
from typer.testing import CliRunner

from edpipeline import uploading
from edpipeline.alerting import Message, Sent, Target, redacted, send, targets
from edpipeline.cli import app
from edpipeline.errors import BadConfiguration, Transient
from edpipeline.orchestration import alert_sensor, steps
from edpipeline.orchestration.alert_sensor import GATHERED, read_cursor
from edpipeline.orchestration.alerts import (
    Incident,
    Trouble,
    digest_of,
    message_of,
    summary,
    troubles_of,
)
from edpipeline.orchestration.partitions import partition_key
from edpipeline.orchestration.runs import Asked
from edpipeline.pipeline import Pipeline
from edpipeline.settings import SCHEMA, Settings, load_settings, provided
from edpipeline.sources import source
from edpipeline_tests.orchestration.installation import (
    SECRET,
    Installation,
    roster,
)
from edpipeline_tests.orchestration.ticking import instance, nothing_ran_before

__all__ = ["instance", "nothing_ran_before"]  # fixtures

DAY = datetime.now(UTC).date()
PROXY = "http://127.0.0.1:1"
CANARIES = ("Canaryella", "Featherstone", "canary-0417", SECRET)


@dataclass
class Receiver:
    """A server that takes what apprise posts to json://."""

    port: int
    status: int = 200
    received: list[dict[str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"json://user:hunter2@127.0.0.1:{self.port}/tokenpath"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if made.status == 200:
                made.received.append(json.loads(body))
            self.send_response(made.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made = Receiver(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield made
        server.shutdown()
        thread.join()


@dataclass
class Desk:
    """Ticks of the sensor on an installation, and what each target was told."""

    at: Installation
    now: datetime
    urls: str = "json://one.example"
    cursor: str | None = None
    broken: set[str] = field(default_factory=set)
    told: dict[str, list[Message]] = field(default_factory=dict)

    def pipeline(self) -> Pipeline:
        return Pipeline(self.at.settings.model_copy(update={"alerts": SecretStr(self.urls)}))

    def send(self, target: Target, messages: Sequence[Message]) -> Sent:
        if target.name in self.broken:
            return Sent(0, f"{target.name}: down")
        self.told.setdefault(target.name, []).extend(messages)
        return Sent(len(messages))

    def tick(self, minutes: float = 3, sender: object = None) -> list[Message]:
        """What the first target is told so many minutes later."""
        self.now += timedelta(minutes=minutes)
        before = len(self.told.get("json", ()))
        sensor = alert_sensor.alert_sensor(
            self.pipeline,
            sender or self.send,
            lambda: self.now,  # type: ignore[arg-type]
        )
        with dg.build_sensor_context(self.at.instance, cursor=self.cursor) as context:
            result = sensor(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        return self.told.get("json", [])[before:]

    def record(self, *districts: str, status: str = "missed", day: date = DAY) -> None:
        pipeline = self.at.pipeline()
        for district in districts:
            pipeline.record_failure(district, "oneroster", day, status, "The folder is empty.")


@pytest.fixture
def desk(at_work: Installation, instance: dg.DagsterInstance) -> Desk:
    """A desk that has begun, on an installation whose runs are all its own."""
    made = Desk(replace(at_work, instance=instance), datetime.now(UTC))
    made.tick(0)
    return made


def test_a_missed_day_is_told_once_with_place_remedy_and_command(desk: Desk) -> None:
    desk.record("lincoln")
    (message,) = desk.tick()
    assert message.title == f"edpipeline: lincoln, oneroster, {DAY}: missed"
    assert "The folder is empty." in message.body
    assert "`edpipeline sync --district lincoln`" in message.body
    assert message.urgent
    desk.record("lincoln")  # written anew by a later try
    assert desk.tick() == []
    assert desk.tick(24 * 60) == []


def test_what_went_wrong_before_anybody_was_named_is_not_told(at_work: Installation) -> None:
    desk = Desk(at_work, datetime.now(UTC) + timedelta(minutes=5))
    desk.record("early")
    assert desk.tick(0) == []
    assert desk.tick() == []


def test_a_day_long_past_that_is_loaded_anew_is_left_to_who_asked(desk: Desk) -> None:
    desk.record("lincoln-old", status="refused", day=DAY - timedelta(days=30))
    assert desk.tick() == []


def test_a_refused_delivery_is_one_message_though_run_history_and_checks_all_tell(
    desk: Desk,
) -> None:
    district = desk.at.new_district()
    files = roster() | {"users.csv": "nothing,of,use\r1,2,3\r"}
    seen = desk.at.put(district, files, datetime.now(UTC) - timedelta(minutes=9))
    assert not desk.at.run(district, DAY, Asked(files=seen)).success
    (message,) = desk.tick()
    (report,) = desk.at.reports(district)
    assert message.title.startswith(f"edpipeline: {district}, oneroster, {DAY}: ")
    assert f"`edpipeline report {report.drop_id}`" in message.body
    assert "users.csv" in message.body
    assert desk.tick() == []


def test_a_run_that_fails_before_anything_lands_is_told(desk: Desk) -> None:
    district = desk.at.new_district(sftp={"password_env": "NOT_SET_ANYWHERE"})
    seen = desk.at.put(district, roster(), datetime.now(UTC) - timedelta(minutes=9))
    assert not desk.at.run(district, DAY, Asked(files=seen)).success
    (message,) = desk.tick()
    assert message.title == f"edpipeline: {district}, oneroster, {DAY}: failed"
    assert "NOT_SET_ANYWHERE is not set" in message.body
    assert f"`edpipeline check --district {district}`" in message.body


def test_a_failed_check_that_fails_no_run_is_told_with_the_report_to_look_at(desk: Desk) -> None:
    district = desk.at.new_district()
    files = roster()
    files["enrollments.csv"] += "E99,C1,0101,S404,student\r"
    seen = desk.at.put(district, files, datetime.now(UTC) - timedelta(minutes=9))
    assert desk.at.run(district, DAY, Asked(files=seen)).success
    (message,) = desk.tick()
    (report,) = desk.at.reports(district)
    assert message.title == f"edpipeline: {district}, oneroster, {DAY}: check references"
    assert "reference_missing 1" in message.body
    assert f"`edpipeline report {report.drop_id}`" in message.body
    assert not message.urgent


def test_a_first_sync_and_removals_that_wait_are_told_with_the_command_to_approve(
    desk: Desk,
) -> None:
    new = desk.at.new_district(first_sync_needs_approval=True)
    seen = desk.at.put(new, roster(), datetime.now(UTC) - timedelta(minutes=9))
    desk.at.run(new, DAY, Asked(files=seen))
    (message,) = desk.tick()
    (report,) = desk.at.reports(new)
    assert message.title.endswith("awaiting approval")
    assert f"`edpipeline approve {report.drop_id} --by NAME`" in message.body


def test_what_a_target_did_not_take_is_sent_later_and_nobody_hears_twice(desk: Desk) -> None:
    desk.urls = "json://one.example slack://two"
    desk.tick()
    desk.broken = {"slack"}
    desk.record("broken-mail")
    first, second = desk.tick(), desk.tick()
    assert [message.title for message in first] == [
        f"edpipeline: broken-mail, oneroster, {DAY}: missed",
        "edpipeline: alerts do not reach everybody",
    ]
    assert second == []
    assert "slack: down" in desk.told["json"][1].body
    desk.broken = set()
    desk.tick()
    assert [message.title for message in desk.told["slack"]] == [
        f"edpipeline: broken-mail, oneroster, {DAY}: missed"
    ]
    assert len(desk.told["json"]) == 2
    assert {memory.since for memory in read_cursor(desk.cursor).values()} == {desk.now}


def test_where_nobody_can_be_told_the_tick_fails_and_the_next_one_tries_again(desk: Desk) -> None:
    desk.record("unheard")
    desk.broken = {"json"}
    with pytest.raises(Transient, match="json: down"):
        desk.tick()
    desk.broken = set()
    assert len(desk.tick()) == 1


def test_while_a_load_holds_the_warehouse_nothing_is_lost(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alert_sensor, "WAIT_FOR_WAREHOUSE", 0.1)
    desk.record("busy")
    with desk.at.pipeline().warehouse.transaction(), pytest.raises(Transient):
        desk.tick()
    assert len(desk.tick()) == 1


def test_a_run_whose_process_died_is_told_unless_dagster_starts_it_again(desk: Desk) -> None:
    job = desk.at.job("oneroster_sync")
    for district, again in (("dead", "false"), ("reborn", "true")):
        tags = {"dagster/partition": f"{DAY}|{district}", "dagster/will_retry": again}
        run = desk.at.instance.create_run_for_job(job, tags=tags)
        desk.at.instance.report_run_failed(run)
    (message,) = desk.tick()
    assert message.title == f"edpipeline: dead, oneroster, {DAY}: failed"
    assert "It ended without saying why" in message.body


def test_a_failure_that_may_pass_says_so(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "RETRY_SECONDS", ())
    district = desk.at.new_district(sftp={"port": 1})
    desk.at.evening(district, DAY)
    (message,) = desk.tick()
    assert message.title == f"edpipeline: {district}, oneroster, {DAY}: failed"
    assert "tried again by itself" in message.body


def test_a_hundred_districts_in_one_evening_are_a_few_messages(desk: Desk) -> None:
    desk.record(*(f"county-{number:03}" for number in range(100)))
    (digest,) = desk.tick()
    assert digest.title == "edpipeline: 100 syncs need a look: 100 missed"
    assert "county-019 and 80 more" in digest.body
    assert len(digest.body) < 4000
    desk.record("county-late", "county-later")
    assert len(desk.tick()) == 2


def test_what_trickles_in_is_gathered_after_a_few_messages(desk: Desk) -> None:
    told = []
    for number in range(12):
        desk.record(f"drop-by-drop-{number}")
        told.append(len(desk.tick()))
    assert told[:5] == [1] * 5
    desk.tick(GATHERED.total_seconds() / 60)
    gathered = desk.told["json"][5:]
    assert len(gathered) <= 3
    for number in range(12):
        named = [m for m in desk.told["json"] if f"drop-by-drop-{number}" in m.body + m.title]
        assert named


def test_an_idle_tick_reads_and_sends_nothing_where_nobody_is_named(desk: Desk) -> None:
    desk.urls, cursor = "", desk.cursor
    desk.record("silent")
    assert desk.tick() == []
    assert desk.cursor == cursor


def test_no_personal_data_and_no_secret_is_told(desk: Desk, tmp_path: Path) -> None:
    made, now = desk.at, datetime.now(UTC)
    district = made.new_district()
    files = roster(name="Canaryella")
    files["users.csv"] += "canary-0417,0101,learner,x,Canaryella,Featherstone,c@b.example,05\r"
    files["enrollments.csv"] += "canary-0417,C1,0101,canary-0417,student\r"
    seen = made.put(district, files, now - timedelta(minutes=9))
    made.run(district, DAY, Asked(files=seen))
    worse = dict.fromkeys(files, "Canaryella,x\rFeatherstone,1\r")
    seen = made.put(district, worse, now - timedelta(minutes=8))
    made.run(district, DAY, Asked(files=seen))
    upload = tmp_path / "Canaryella Featherstone.csv"
    upload.write_text("Canaryella,Featherstone\ncanary-0417,1\n")
    uploading.hand_over(made.pipeline(), district, source("nwea_map"), upload, {}, "a.clerk")
    job = made.job("nwea_map_sync")
    key = partition_key(district, made.pipeline().delivery_day(district, now, "nwea_map"))
    job.execute_in_process(instance=made.instance, partition_key=key, raise_on_error=False)
    messages = made.rows(
        "select message from ops.sync_history where source = 'nwea_map' and district_id = $one",
        one=district,
    )
    told = desk.tick()
    assert "Canaryella" in str(messages)  # the history names the file as its sender did
    text = "\n".join(message.title + message.body for message in told)
    assert "oneroster" in text
    assert "nwea_map" in text
    assert "refused" in text
    assert [canary for canary in CANARIES if canary.casefold() in text.casefold()] == []


def test_messages_really_arrive_in_order_and_by_no_proxy(receiver: Receiver) -> None:
    (target,) = targets(SecretStr(receiver.url))
    with provided({"HTTP_PROXY": PROXY, "http_proxy": PROXY, "ALL_PROXY": PROXY}):
        sent = send(target, [Message("one", "first\nline"), Message("two", "second", urgent=False)])
    assert sent == Sent(2)
    assert [(m["title"], m["message"], m["type"]) for m in receiver.received] == [
        ("one", "first\nline", "failure"),
        ("two", "second", "warning"),
    ]


def test_a_url_that_nobody_understands_is_told_of_by_its_kind() -> None:
    (target,) = targets(SecretStr("nosuchthing://hunter2@example"))
    sent = send(target, [Message("one", "first")])
    assert sent.trouble.startswith("nosuchthing: its URL is of no kind that is known")


def test_the_same_kind_twice_has_two_names_and_none_is_a_secret() -> None:
    found = targets(SecretStr("slack://hunter2/b/c\n mailtos://me:hunter2@h.example slack://x/y/z"))
    assert [target.name for target in found] == ["slack", "mailtos", "slack 2"]
    assert "hunter2" not in repr(found)


@pytest.mark.parametrize(
    "url",
    [
        "slack://hunter2/tokenB/tokenC",
        "mailtos://me:hunter2@mail.example?to=tokenB@x.example&cc=tokenC",
        "json://h.example/tokenB/hun%74er2#tokenC",
    ],
)
def test_no_part_of_a_url_survives_in_what_is_said_of_it(url: str) -> None:
    said = redacted(url, f"could not send to {url} with hunter2, tokenB@x.example and tokenC")
    assert not [part for part in ("hunter2", "tokenB", "tokenC") if part in said]


def test_the_command_says_what_came_of_a_test_and_no_secret_of_a_target_that_refuses(
    receiver: Receiver,
) -> None:
    runner = CliRunner()
    with provided({"EDPIPELINE_ALERTS": ""}):
        assert runner.invoke(app, ["alerts", "--test"]).exit_code == 1
    with provided({"EDPIPELINE_ALERTS": receiver.url}):
        shown = runner.invoke(app, ["alerts"])
        assert (shown.exit_code, shown.stdout.strip(), receiver.received) == (0, "json", [])
        tested = runner.invoke(app, ["alerts", "--test"])
        assert (tested.exit_code, tested.stdout.strip()) == (0, "json: sent")
        assert [message["title"] for message in receiver.received] == ["edpipeline: a test"]
        receiver.status = 500
        failed = runner.invoke(app, ["alerts", "--test"])
        assert failed.exit_code == 1
        assert failed.stdout.startswith("json: ")
        assert "500" in failed.stdout
        shown_of_url = ("hunter2", "tokenpath", "user:")
        assert [part for part in shown_of_url if part in failed.output] == []


def test_a_summary_of_many_districts_is_read_back() -> None:
    troubles = [
        Trouble("2026-11-20|lincoln", "users.csv: no column x\nlincolns: not a district"),
        Trouble("adams", "busy"),
    ]
    found = list(troubles_of(summary(troubles, 9), {"lincoln", "adams"}))
    assert found == troubles
    assert list(troubles_of(summary(troubles[:1], 1), {"lincoln"})) == troubles[:1]


def test_a_message_stays_short_however_much_there_is_to_say() -> None:
    incidents = [
        Incident(f"d{n}", "oneroster", DAY, f"check{n % 3}", "word " * 2000) for n in range(50)
    ]
    assert len(digest_of(incidents).body) < 8000
    assert len(message_of(incidents[:3]).body) < 6000


def test_the_check_of_no_single_day_is_told_again_only_when_it_says_something_else(
    desk: Desk,
) -> None:
    told = alert_sensor._untold
    memory = read_cursor(desk.cursor)["json"]
    late = Incident("", "oneroster", None, "ready", "not loaded: lincoln")
    assert told([late, late], memory) == [[late]]
    other = Incident("", "oneroster", None, "ready", "not loaded: lincoln, adams")
    assert told([late, other], memory) == [[late, other]]


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
def test_every_url_that_the_docs_show_is_understood() -> None:
    text = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text("utf-8")
    urls = re.findall(r"(?<!\()\b[a-z]+://[^\s`')]+", text)
    assert len(urls) >= 7
    assert [url for url in urls if Apprise.instantiate(url) is None] == []
    assert all(SCHEMA.match(url) for url in urls)


@pytest.mark.parametrize("wrong", ["hunter2", "mailto:hunter2@x.example", "json://a hunter2"])
def test_what_is_no_url_is_refused_without_being_shown(wrong: str) -> None:
    with provided({"EDPIPELINE_ALERTS": wrong}), pytest.raises(BadConfiguration) as caught:
        load_settings()
    assert "EDPIPELINE_ALERTS: write URLs such as mailtos://" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_settings_never_show_whom_alerts_go_to() -> None:
    settings = Settings(alerts=SecretStr("slack://hunter2/x/y"))
    assert "hunter2" not in repr(settings) + settings.model_dump_json()
