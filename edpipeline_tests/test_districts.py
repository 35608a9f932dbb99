from datetime import date, time
from pathlib import Path

import pytest

from edpipeline import sources
from edpipeline.districts import (
    Districts,
    is_polled,
    load_districts,
    load_options,
    poll_use,
    result_options,
    roster_use,
    score_reports_use,
    sftp_account,
    upload_use,
)
from edpipeline.errors import BadConfiguration, NotFound
from edpipeline.model import Window
from edpipeline.settings import provided
from edpipeline.uses import EditionName, UploadUse
from edpipeline.uses_of_polls import (
    PollPace,
    PollWaits,
    PowerPathUse,
    RefusalLimit,
    ReportConfiguration,
    ScoreReportsUse,
    StudentPace,
)

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJLWAz9n5P0oligs5vGNRRdaD78vS4Cozsj7mlAy7Odo"
EXAMPLE = Path(__file__).parents[1] / "examples" / "districts.yaml"
GOOD = f"""\
districts:
  - id: lincoln
    name: Lincoln Unified
    time_zone: America/Los_Angeles
    oneroster:
      sftp:
        host: sftp.example.org
        username: lincoln
        password_env: LINCOLN_PASSWORD
        host_key: {HOST_KEY}
      schools:
        "0101": First School
      window: {{opens: 18:30}}
      removal_limit: {{percent: 7.5}}
      encodings: [windows-1252]
      pauses:
        - {{from: 2026-06-15, to: 2026-08-10, what: removals}}
        - {{from: 2026-12-24, to: 2026-12-26, what: sync}}
  - id: grant-county
    name: Grant County
    time_zone: America/New_York
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "districts.yaml"


def load(path: Path, text: str) -> Districts:
    path.write_text(text, "utf-8")
    return load_districts(path)


def test_a_districts_file_says_who_delivers_what_from_where(path: Path) -> None:
    districts = load(path, GOOD)
    assert [district.id for district in districts.all] == ["lincoln", "grant-county"]
    lincoln = districts.get("lincoln")
    use = roster_use(lincoln)
    assert (lincoln.name, lincoln.time_zone) == ("Lincoln Unified", "America/Los_Angeles")
    assert (use.sftp.host, use.sftp.port, use.sftp.folder) == ("sftp.example.org", 22, "/")
    assert use.schools == {"0101": "First School"}
    assert isinstance(use.window, Window)
    assert (use.window.opens, use.window.closes) == (time(18, 30), time(21))
    assert use.window.time_zone == "America/New_York"
    assert use.enabled
    assert use.first_sync_needs_approval


def test_the_example_explains_the_defaults_as_they_are(path: Path) -> None:
    text = EXAMPLE.read_text("utf-8")
    whole = load_districts(EXAMPLE)
    defaults = text.index("# Everything below may be left out")
    short = load(path, text[:defaults])
    roster = roster_use(whole.all[0]).model_copy(update={"pauses": ()})
    others = {"oneroster": roster, "uploads": {}, "scantron": None, "star": None}
    others |= {"powerpath": None, "score_reports": None}
    assert whole.all[0].model_copy(update=others) == short.all[0]


def test_the_example_explains_the_defaults_of_uploads_as_they_are() -> None:
    uploads = load_districts(EXAMPLE).all[0].uploads
    assert uploads["nwea_map"] == UploadUse()
    assert uploads["staar"] == UploadUse(match_on="state_user_id")


def test_the_example_explains_the_defaults_of_pulls_as_they_are() -> None:
    example = load_districts(EXAMPLE).all[0]
    for name in ("scantron", "star"):
        use = getattr(example, name)
        assert not use.enabled
        needed = {"base_url", "site_id", "username_env", "password_env", "rp_identifier"}
        needed |= {"username", "client_id_env", "client_secret_env"}
        given = {key: value for key, value in use.model_dump().items() if key in needed}
        assert use == type(use)(**given), name


def test_the_example_explains_every_setting_of_polls_with_its_default() -> None:
    use = load_districts(EXAMPLE).all[0].powerpath
    assert use is not None
    needed = {name: getattr(use, name) for name in ("client_id_env", "client_secret_env")}
    assert use == PowerPathUse(**needed)
    explained = EXAMPLE.read_text("utf-8").split("    powerpath:\n")[1]
    for model in (PowerPathUse, PollWaits, PollPace):
        for name in model.model_fields:
            assert f" {name}:" in explained, name


def test_the_example_explains_every_setting_of_score_reports_with_its_default() -> None:
    use = load_districts(EXAMPLE).all[0].score_reports
    assert use is not None
    assert use == ScoreReportsUse(configurations=use.configurations)
    first = use.configurations[0]
    needed = ("name", "client_key_env", "client_secret_env", "expires_on")
    assert first == ReportConfiguration(**{name: getattr(first, name) for name in needed})
    explained = EXAMPLE.read_text("utf-8").split("    score_reports:\n")[1]
    for model in (ScoreReportsUse, ReportConfiguration, RefusalLimit, StudentPace):
        for name in model.model_fields:
            assert f" {name}:" in explained, name


def test_an_installation_may_begin_without_districts(path: Path) -> None:
    assert load(path, "").all == ()
    assert load(path, "districts: []\n").all == ()


def test_the_editions_that_can_be_chosen_are_those_of_the_source() -> None:
    known = [edition.name for edition in sources.source("oneroster").editions]
    assert sorted(EditionName.__args__) == sorted(["auto", *known])


def test_the_default_window_is_that_of_the_source(path: Path) -> None:
    use = roster_use(load(path, GOOD.replace("window: {opens: 18:30}", "window: {}")).all[0])
    usual = sources.source("oneroster").arrives.window
    assert (use.window.opens, use.window.closes) == (usual.opens, usual.closes)
    assert use.window.time_zone == usual.time_zone


def test_a_district_that_is_not_there_is_answered_with_those_that_are(path: Path) -> None:
    with pytest.raises(NotFound, match="lincoln, grant-county"):
        load(path, GOOD).get("linkoln")


def test_a_district_without_a_roster_says_what_to_add(path: Path) -> None:
    with pytest.raises(BadConfiguration, match="oneroster:"):
        load_options(load(path, GOOD).get("grant-county"), date(2026, 9, 1))


@pytest.mark.parametrize(
    ("day", "removals", "sync"),
    [
        (date(2026, 6, 14), False, False),
        (date(2026, 6, 15), True, False),
        (date(2026, 8, 10), True, False),
        (date(2026, 8, 11), False, False),
        (date(2026, 12, 25), False, True),
    ],
)
def test_a_pause_holds_on_its_first_and_last_day(
    path: Path, day: date, removals: bool, sync: bool
) -> None:
    district = load(path, GOOD).get("lincoln")
    options = load_options(district, day)
    assert options.removals_paused is removals
    assert roster_use(district).is_paused(day, "sync") is sync
    assert (options.removal_percent, options.removal_floor) == (7.5, 5)
    assert options.encodings == ("windows-1252",)
    assert options.schools == {"0101": "First School"}


UPLOADS = """\
    uploads:
      nwea_map:
        match_on: state_user_id
        edition: nwea_cdf_2020
        encodings: []
        removal_limit: {percent: 2.5}
      adam: {enabled: false}
"""


def test_a_district_says_by_source_what_holds_for_its_uploads(path: Path) -> None:
    grant = load(path, GOOD + UPLOADS).get("grant-county")
    options = result_options(grant, sources.source("nwea_map"))
    assert (options.match_on, options.edition) == ("state_user_id", "nwea_cdf_2020")
    assert options.encodings == ()
    assert (options.removal_percent, options.removal_floor) == (2.5, 5)
    assert not upload_use(grant, "adam").enabled
    assert upload_use(grant, "staar").enabled


@pytest.mark.parametrize("source", [each.name for each in sources.ALL if each.is_uploaded])
def test_uploads_need_no_entry(path: Path, source: str) -> None:
    options = result_options(load(path, GOOD).get("grant-county"), sources.source(source))
    assert (options.edition, options.match_on) == ("auto", "district_user_id")
    assert options.encodings == ("windows-1252",)
    assert (options.removal_percent, options.removal_floor) == (10, 5)
    assert not options.first_sync_needs_approval
    assert not options.removals_paused


@pytest.mark.parametrize("source", [each.name for each in sources.ALL if each.is_uploaded])
def test_every_edition_of_a_source_can_be_a_districts(path: Path, source: str) -> None:
    for edition in ("auto", *(each.name for each in sources.source(source).editions)):
        text = f"{GOOD}    uploads: {{{source}: {{edition: {edition}}}}}\n"
        use = upload_use(load(path, text).get("grant-county"), source)
        assert use.edition == edition


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("nwea_map:", "nwea:", 23, "known are nwea_map, act_aspire, staar, adam"),
        ("nwea_map:", "oneroster:", 23, "not a source of uploads"),
        ("nwea_cdf_2020", "nwea_cdf", 22, "'nwea_cdf': auto, nwea_cdf_2020, "),
        ("nwea_cdf_2020", "staar_38_2026", 22, "nwea_map has no edition 'staar_38_2026'"),
        ("state_user_id", "state_id", 24, "'state_user_id'"),
        ("match_on:", "match_no:", 24, "did you mean match_on"),
        ("percent: 2.5", "percent: 250", 27, "less than or equal to 100"),
    ],
)
def test_what_is_wrong_with_uploads_is_named_with_what_is_allowed(
    path: Path, old: str, new: str, line: int, says: str
) -> None:
    text = (GOOD + UPLOADS).replace(old, new, 1)
    with pytest.raises(BadConfiguration) as caught:
        load(path, text)
    assert f"{path}, line {line}: " in str(caught.value)
    assert says in str(caught.value)


POLLS = """\
    powerpath:
      enabled: true
      client_id_env: TIMEBACK_ID
      client_secret_env: TIMEBACK_SECRET
      allow_side_effects: true
      require_skip_enrollment: true
      pairs_from: [gradebook, watch_list]
      watch_list: tests.csv
      students: all
      match_on: username
      waits: {first_minutes: 5, stale_after_days: 12.5}
      pace: {at_once: 2, per_second: 0.5}
"""


def test_a_district_says_how_its_tests_are_polled(path: Path) -> None:
    lincoln, grant = load(path, GOOD + POLLS).all
    use = poll_use(grant, "powerpath")
    assert (use.allow_side_effects, use.require_skip_enrollment) == (True, True)
    assert (use.pairs_from, use.watch_list) == (("gradebook", "watch_list"), Path("tests.csv"))
    assert (use.waits.first_minutes, use.waits.most_minutes, use.waits.stale_after_days) == (
        5,
        360,
        12.5,
    )
    assert (use.pace.at_once, use.pace.per_second, use.pace.pairs_at_once) == (2, 0.5, 200)
    assert not use.keep_feedback
    assert result_options(grant, sources.source("powerpath")).match_on == "username"
    assert is_polled(grant, "powerpath")
    assert not is_polled(lincoln, "powerpath")
    with pytest.raises(BadConfiguration, match="has no `powerpath:`"):
        poll_use(lincoln, "powerpath")


def test_tests_are_not_polled_and_nothing_is_stored_unless_the_district_says_so(
    path: Path,
) -> None:
    text = "    powerpath: {client_id_env: ID, client_secret_env: SECRET}\n"
    grant = load(path, GOOD + text).get("grant-county")
    assert not is_polled(grant, "powerpath")
    assert not poll_use(grant, "powerpath").allow_side_effects


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("client_id_env: TIMEBACK_ID", "client_id: s3cr3t", 24, "client_id_env"),
        ("      client_secret_env: TIMEBACK_SECRET\n", "", 22, "client_secret_env: must be given"),
        ("TIMEBACK_SECRET", "s3cr3t-value!", 25, "not the secret itself"),
        ("allow_side_effects: true", "allow_side_effects: perhaps", 26, "boolean"),
        ("allow_side_effects:", "allow_sideeffects:", 26, "did you mean allow_side_effects"),
        ("[gradebook, watch_list]", "[gradebooks, watch_list]", 28, "'gradebook'"),
        ("[gradebook, watch_list]", "[gradebook]", 22, "belong together"),
        ("      watch_list: tests.csv\n", "", 22, "belong together"),
        ("students: all", "students: some", 30, "'roster' or 'all'"),
        ("match_on: username", "match_on: name", 31, "'sourced_id'"),
        ("first_minutes: 5", "first_minutes: 0", 32, "greater than 0"),
        ("first_minutes: 5", "minutes: 5", 32, "first_minutes"),
        ("at_once: 2", "at_once: 33", 33, "less than or equal to 32"),
        ("at_once: 2", "at_once: 0", 33, "greater than or equal to 1"),
        ("per_second: 0.5", "per_second: 0", 33, "greater than 0"),
    ],
)
def test_what_is_wrong_with_polls_is_named_with_what_is_allowed(
    path: Path, old: str, new: str, line: int, says: str
) -> None:
    text = (GOOD + POLLS).replace(old, new, 1)
    assert text != GOOD + POLLS
    with pytest.raises(BadConfiguration) as caught:
        load(path, text)
    assert f"{path}, line {line}: " in str(caught.value)
    assert says in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


REPORTS = """\
    score_reports:
      enabled: true
      configurations:
        - name: District
          client_key_env: TOMS_KEY
          client_secret_env: TOMS_SECRET
          expires_on: 2027-08-31
        - name: Charter
          client_key_env: CHARTER_KEY
          client_secret_env: CHARTER_SECRET
          expires_on: 2027-01-31
          schools: ["0101", "0102"]
      removed: [Old]
"""


def test_a_district_says_which_credentials_are_for_the_score_reports_of_which_school(
    path: Path,
) -> None:
    lincoln, grant = load(path, GOOD + REPORTS).all
    use = score_reports_use(grant)
    of = {school: use.configuration_of(school) for school in ("0101", "0103", None)}
    assert {school: each and each.name for school, each in of.items()} == {
        "0101": "Charter",
        "0103": "District",
        None: "District",
    }
    assert use.configurations[1].expires_on == date(2027, 1, 31)
    assert (use.window.opens, use.window.closes) == (time(1), time(6))
    assert use.removed == ("Old",)
    assert (use.refusal_limit.percent, use.pace.students_at_once) == (20, 500)
    assert is_polled(grant, "score_reports")
    assert not is_polled(lincoln, "score_reports")
    with pytest.raises(BadConfiguration, match="has no `score_reports:`"):
        score_reports_use(lincoln)


def test_a_school_of_nobodys_configuration_has_none(path: Path) -> None:
    text = (GOOD + REPORTS).replace("expires_on: 2027-08-31", "expires_on: 2027-08-31\n" + SCHOOL)
    use = score_reports_use(load(path, text).get("grant-county"))
    assert use.configuration_of("0199") is None
    assert use.configuration_of(None) is None


SCHOOL = '          schools: ["0103"]'


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ('          schools: ["0101", "0102"]\n', "", 22, "only one configuration may name no"),
        ('["0101", "0102"]', '["0101", "0101"]', 22, "two configurations are for school 0101"),
        ("name: Charter", "name: District", 22, "two configurations have the name District"),
        ("removed: [Old]", "removed: [Charter]", 22, "configuration Charter is in `removed`"),
        ("          expires_on: 2027-08-31\n", "", 25, "expires_on: must be given"),
        ("expires_on: 2027-08-31", "expires_on: next year", 28, "date"),
        ("client_key_env: TOMS_KEY", "client_key: s3cr3t", 26, "client_key_env"),
        ("TOMS_SECRET", "s3cr3t-value!", 27, "not the secret itself"),
        ("name: Charter", 'name: ""', 29, "name"),
        ('["0101", "0102"]', "0101", 33, "write a list"),
        ("removed: [Old]", "deleted: [Old]", 34, "removed"),
        ("removed: [Old]", "again_minutes: 0", 34, "greater than 0"),
        ("removed: [Old]", "pace: {at_once: 33}", 34, "less than or equal to 32"),
        ("removed: [Old]", "refusal_limit: {percent: 101}", 34, "less than or equal to 100"),
    ],
)
def test_what_is_wrong_with_score_reports_is_named_with_what_is_allowed(
    path: Path, old: str, new: str, line: int, says: str
) -> None:
    text = GOOD + REPORTS.replace(old, new, 1)
    assert text != GOOD + REPORTS
    with pytest.raises(BadConfiguration) as caught:
        load(path, text)
    assert f"{path}, line {line}: " in str(caught.value)
    assert says in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


def test_an_accounts_password_is_read_when_the_account_is_asked_for(path: Path) -> None:
    district = load(path, GOOD).get("lincoln")
    with pytest.raises(BadConfiguration, match="LINCOLN_PASSWORD is not set"):
        sftp_account(district)
    with provided({"LINCOLN_PASSWORD": "hunter2"}):
        account = sftp_account(district)
    assert "hunter2" not in repr(account)
    assert account.describe() == "lincoln@sftp.example.org:22"
    assert account.private_key is None


def test_a_private_key_takes_the_place_of_the_password(path: Path) -> None:
    text = GOOD.replace("password_env: LINCOLN_PASSWORD", "private_key_env: LINCOLN_KEY")
    with provided({"LINCOLN_KEY": "a key"}):
        account = sftp_account(load(path, text).get("lincoln"))
    assert account.password is None
    assert account.private_key is not None


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ('"0101":', "0101:", 12, 'quote it: "0101"'),
        ('"0101":', "0x1F:", 12, 'quote it: "0x1F"'),
        ('"0101":', "1e5:", None, None),
        ("password_env: LINCOLN_PASSWORD", "password: hunter2", 9, "password_env"),
        ("password_env: LINCOLN_PASSWORD", "private_key: hunter2", 9, "private_key_env"),
        ("password_env: LINCOLN_PASSWORD", "password_env: hunter-2!", 9, "not the secret"),
        ("password_env: LINCOLN_PASSWORD", "port: 2222", 6, "either password_env or private"),
        ("      schools:", "      shools:", 11, "did you mean schools"),
        ("{opens:", "{opnes:", 13, "did you mean opens"),
        ("{percent:", "{per cent:", 14, "did you mean percent"),
        ("    name: Lin", "    nmae: Lin", 3, "did you mean name"),
        ("18:30", "25:30", 13, "clock time such as 19:00"),
        ("18:30", "18.30", 13, "clock time such as 19:00"),
        ("America/Los_Angeles", "America/LosAngeles", 4, "did you mean America/Los_Angeles"),
        ("America/Los_Angeles", "PST8", 4, "IANA time zone"),
        ("id: lincoln", "id: Lincoln", 2, "lower-case letters"),
        ("id: grant-county", "id: lincoln", 19, "twice, first on line 2"),
        ("what: removals", "what: everything", 17, "'removals' or 'sync'"),
        ("to: 2026-08-10", "to: 2026-02-30", 17, "date"),
        ("to: 2026-08-10", "to: 2026-06-01", 17, "ends on or after"),
        ("7.5", "seven", 14, "number"),
        ("7.5", "700", 14, "less than or equal to 100"),
        ("[windows-1252]", "[cp437]", 15, "'windows-1252' or 'iso-8859-1'"),
        ("[windows-1252]", "windows-1252", 15, "write a list"),
        (HOST_KEY, "ssh-rsa", 10, "ssh-keyscan"),
        ("        host: sftp.example.org\n", "", 6, "host: must be given"),
        ("      schools:", "      enabled: perhaps\n      schools:", 11, "boolean"),
        ("    name: Lin", "    id: x\n    name: Lin", 3, "twice"),
        ("    name: Lin", "  name: Lin", 3, "not YAML"),
        ("districts:\n", "districts: none\nothers:\n", 1, "write a list"),
    ],
)
def test_what_is_wrong_is_named_with_its_line_and_what_is_allowed(
    path: Path, old: str, new: str, line: int | None, says: str | None
) -> None:
    text = GOOD.replace(old, new, 1)
    assert text != GOOD
    if says is None:
        load(path, text)
        return
    with pytest.raises(BadConfiguration) as caught:
        load(path, text)
    message = str(caught.value)
    assert f"{path}, line {line}: " in message
    assert says in message
    assert "hunter" not in message


def test_everything_that_is_wrong_is_said_at_once(path: Path) -> None:
    text = GOOD.replace("18:30", "25:30").replace("host: sftp.example.org", "hots: x")
    with pytest.raises(BadConfiguration) as caught:
        load(path, text)
    assert len(str(caught.value).splitlines()) == 3


def test_a_missing_file_is_asked_for_with_the_example(path: Path) -> None:
    with pytest.raises(BadConfiguration, match=r"copy examples/districts\.yaml"):
        load_districts(path)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a: \x00"])
def test_a_file_that_is_no_text_is_refused_in_words(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(BadConfiguration, match=r"districts\.yaml"):
        load_districts(path)
