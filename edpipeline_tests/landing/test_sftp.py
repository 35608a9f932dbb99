import logging
import os
import socket
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import asyncssh
import pytest
from pydantic import SecretStr

from edpipeline.errors import (
    BadConfiguration,
    BadCredentials,
    BadDelivery,
    ConnectionLost,
    Transient,
)
from edpipeline.landing import sftp
from edpipeline.landing.sftp import SftpAccount, connect, fetch, fingerprint, list_folder
from edpipeline.landing.stability import LookSettings, RemoteFile, Verdict, look
from edpipeline.sandbox.sftp_server import Login, SftpServer, sftp_server

PASSWORD = "correct-horse-battery"
MODIFIED = 1_785_800_000
LARGE = bytes(range(256)) * 8192


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SftpServer]:
    with sftp_server(tmp_path / "server", {"lincoln": PASSWORD}) as server:
        yield server


@pytest.fixture
def account(server: SftpServer) -> SftpAccount:
    return SftpAccount(
        host=server.host,
        port=server.port,
        username="lincoln",
        password=SecretStr(PASSWORD),
        host_key=server.host_key_line,
    )


@pytest.fixture
def into(tmp_path: Path) -> Path:
    return tmp_path / "into"


def put(server: SftpServer, name: str, content: bytes = b"1", modified: int = MODIFIED) -> Path:
    path = server.folder("lincoln") / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (modified, modified))
    return path


def test_files_are_listed_and_fetched_byte_for_byte(
    server: SftpServer, account: SftpAccount, into: Path
) -> None:
    put(server, "users.csv", LARGE)
    put(server, "enrollments.csv", b"")
    with connect(account) as connection:
        files = list_folder(connection)
        arrived = fetch(connection, files, into)
    assert files == (
        RemoteFile("enrollments.csv", 0, MODIFIED),
        RemoteFile("users.csv", len(LARGE), MODIFIED),
    )
    assert [one.name for one in arrived] == ["enrollments.csv", "users.csv"]
    assert [one.path.read_bytes() for one in arrived] == [b"", LARGE]
    assert {one.modified_at for one in arrived} == {datetime.fromtimestamp(MODIFIED, UTC)}
    assert sorted(path.name for path in into.iterdir()) == ["01-enrollments.csv", "02-users.csv"]


def test_only_finished_regular_files_are_listed_and_their_names_keep_their_case(
    server: SftpServer, account: SftpAccount
) -> None:
    for name in (
        "Users.CSV",
        "é 1.csv",
        ".hidden.csv",
        "a.csv.part",
        "a.TMP",
        "b.csv.filepart",
        "x/y.csv",
    ):
        put(server, name)
    (server.folder("lincoln") / "link.csv").symlink_to("Users.CSV")
    assert [file.name for file in list_folder(account)] == ["Users.CSV", "é 1.csv"]


def test_a_folder_below_the_root_is_listed_and_fetched_from(
    server: SftpServer, account: SftpAccount, into: Path
) -> None:
    put(server, "outbound/users.csv")
    with connect(replace(account, folder="/outbound/")) as connection:
        (arrived,) = fetch(connection, list_folder(connection), into)
    assert arrived.path.read_bytes() == b"1"


def test_a_folder_that_is_not_there_is_a_configuration_error(account: SftpAccount) -> None:
    with pytest.raises(BadConfiguration, match="folder '/nowhere' is not there"):
        list_folder(replace(account, folder="/nowhere"))


def test_a_name_that_is_not_utf8_is_said_to_be_so(server: SftpServer, account: SftpAccount) -> None:
    Path(os.fsdecode(os.fsencode(server.folder("lincoln")) + b"/caf\xe9.csv")).touch()
    with pytest.raises(BadDelivery, match="not UTF-8"):
        list_folder(account)


def test_a_wrong_password_is_refused_and_never_repeated(
    account: SftpAccount, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = replace(account, password="wrong-but-secret")
    with pytest.raises(BadCredentials, match="refused the login; check") as raised:
        list_folder(wrong)
    told = "".join(traceback.format_exception(raised.value)) + caplog.text + repr(wrong)
    assert "wrong-but-secret" not in told
    assert wrong.describe() in str(raised.value)


def test_a_changed_host_key_stops_us_before_anything_is_sent(
    server: SftpServer, account: SftpAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.change_host_key()
    tried = []
    monkeypatch.setattr(
        "edpipeline.sandbox.sftp_server._Door.begin_auth", lambda *given: tried.append(given)
    )
    with pytest.raises(BadCredentials) as raised:
        list_folder(account)
    assert fingerprint(account.host_key) in str(raised.value)
    assert fingerprint(server.host_key_line) in str(raised.value)
    assert "by telephone" in str(raised.value)
    assert tried == []


def test_a_host_key_of_another_kind_than_the_pinned_one_is_refused(account: SftpAccount) -> None:
    pinned = asyncssh.generate_private_key("ecdsa-sha2-nistp256").export_public_key().decode()
    with pytest.raises(BadCredentials, match=r"showed the host key ssh-ed25519 SHA256:.*ecdsa"):
        list_folder(replace(account, host_key=pinned))


@pytest.mark.parametrize("line", ["", "ssh-ed25519", "ssh-ed25519 AAAA", "x AAAA", "ssh-rsa !"])
def test_a_pinned_key_that_is_none_is_a_configuration_error(
    account: SftpAccount, line: str
) -> None:
    with pytest.raises(BadConfiguration, match="pinned host key cannot be read"):
        list_folder(replace(account, host_key=line))


def test_a_comment_after_the_pinned_key_does_no_harm(account: SftpAccount) -> None:
    assert list_folder(replace(account, host_key=account.host_key + " root@server")) == ()


@cache
def key_of(kind: str) -> asyncssh.SSHKey:
    """A key of RSA takes a tenth of a second to find."""
    return asyncssh.generate_private_key(kind)


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"])
@pytest.mark.parametrize("form", ["openssh", "pkcs8-pem"])
@pytest.mark.parametrize("passphrase", [None, "phrase"])
def test_a_private_key_opens_the_door(
    tmp_path: Path, kind: str, form: str, passphrase: str | None
) -> None:
    key = key_of(kind)
    login = Login(public_keys=(key.export_public_key().decode(),))
    with sftp_server(tmp_path, {"lincoln": login}) as server:
        account = SftpAccount(
            host=server.host,
            port=server.port,
            username="lincoln",
            private_key=key.export_private_key(
                form, passphrase=passphrase, rounds=1, ignore_few_rounds=True
            ).decode(),
            passphrase=SecretStr(passphrase) if passphrase else None,
            host_key=server.host_key_line,
        )
        assert list_folder(account) == ()


def test_a_private_key_may_be_one_line_of_an_environment_variable(tmp_path: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    login = Login(public_keys=(key.export_public_key().decode(),))
    with sftp_server(tmp_path, {"lincoln": login}) as server:
        account = SftpAccount(
            host=server.host,
            port=server.port,
            username="lincoln",
            private_key=SecretStr(key.export_private_key().decode().strip().replace("\n", "\\n")),
            host_key=server.host_key_line,
        )
        assert list_folder(account) == ()


@pytest.mark.parametrize("form", ["openssh", "pkcs8-pem"])
@pytest.mark.parametrize(
    ("passphrase", "message"), [(None, "needs its passphrase"), ("wrong", "cannot be read")]
)
def test_a_locked_private_key_says_what_is_missing(
    account: SftpAccount, form: str, passphrase: str | None, message: str
) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    text = key.export_private_key(
        form, passphrase="phrase", rounds=1, ignore_few_rounds=True
    ).decode()
    with pytest.raises(BadCredentials, match=message) as raised:
        list_folder(replace(account, private_key=text, passphrase=passphrase))
    assert text.splitlines()[1][:20] not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("text", ["", "a path/to/a/key", "-----BEGIN OPENSSH PRIVATE KEY-----"])
def test_a_private_key_that_is_none_says_what_it_should_be(account: SftpAccount, text: str) -> None:
    with pytest.raises(BadCredentials, match="text of an OpenSSH or PEM key"):
        list_folder(replace(account, private_key=text))


def test_an_account_without_any_secret_is_refused_before_connecting() -> None:
    key = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    with pytest.raises(BadCredentials, match="neither a password nor a private key"):
        list_folder(SftpAccount(host="127.0.0.1", port=9, username="lincoln", host_key=key))


def test_an_account_never_shows_its_secrets() -> None:
    account = SftpAccount(
        host="h", username="u", host_key="k", password="SECRET", private_key=SecretStr("SECRET")
    )
    assert repr(account) == (
        "SftpAccount('u@h:22', folder='/', password=***, private_key=***, passphrase=None)"
    )
    assert str(account) == repr(account)


def test_a_closed_port_is_a_lost_connection(account: SftpAccount) -> None:
    with socket.create_server(("127.0.0.1", 0)) as once:
        port = once.getsockname()[1]
    with pytest.raises(ConnectionLost, match="no connection"):
        list_folder(replace(account, port=port))


def test_a_name_that_does_not_resolve_is_a_lost_connection(account: SftpAccount) -> None:
    with pytest.raises(ConnectionLost, match="no connection"):
        list_folder(replace(account, host="sftp.lincoln.invalid"))


def test_a_server_that_says_nothing_is_given_up_in_time(
    account: SftpAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sftp, "CONNECT_SECONDS", 0.2)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(ConnectionLost, match="no connection"),
    ):
        list_folder(replace(account, port=silent.getsockname()[1]))


@pytest.mark.parametrize("fault", ["refuse_connections", "hang_up_at_login"])
def test_a_server_that_hangs_up_is_no_wrong_password(
    server: SftpServer, account: SftpAccount, fault: str
) -> None:
    setattr(server.faults, fault, True)
    with pytest.raises(ConnectionLost):
        list_folder(account)


def test_a_file_that_grows_between_two_looks_is_not_ready(
    server: SftpServer, account: SftpAccount
) -> None:
    now = datetime.fromtimestamp(MODIFIED + 600, UTC)
    settings = LookSettings(min_seconds=60)
    verdicts = []
    seen = None
    for size in (10, 20, 20):
        put(server, "users.csv", b"x" * size)
        finding, seen = look(seen, list_folder(account), now, {"users.csv"}, settings)
        verdicts.append(finding.verdict)
        now += timedelta(minutes=5)
    assert verdicts == [Verdict.GROWING, Verdict.GROWING, Verdict.READY]


def test_a_connection_that_dies_in_the_middle_of_a_file_leaves_nothing(
    server: SftpServer, account: SftpAccount, into: Path
) -> None:
    put(server, "classes.csv")
    put(server, "users.csv", LARGE)
    server.faults.drop_after_bytes = len(LARGE) // 2
    with connect(account) as connection:
        files = list_folder(connection)
        with pytest.raises(ConnectionLost, match=r"'users\.csv': connection lost"):
            fetch(connection, files, into)
    assert list(into.iterdir()) == []

    server.faults.drop_after_bytes = None
    with connect(account) as connection:
        assert fetch(connection, files, into)[1].path.read_bytes() == LARGE


def test_a_connection_that_dies_before_the_listing_is_lost(
    server: SftpServer, account: SftpAccount, into: Path
) -> None:
    with connect(account) as connection:
        server.change_host_key()
        with pytest.raises(ConnectionLost):
            list_folder(connection)


def test_a_server_that_stalls_in_the_middle_is_given_up_in_time(
    server: SftpServer, account: SftpAccount, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(server, "users.csv", LARGE)
    monkeypatch.setattr(sftp, "CHANNEL_SECONDS", 0.2)
    with connect(account) as connection:
        files = list_folder(connection)
        server.faults.delay_seconds = 30
        with pytest.raises(ConnectionLost, match="TimeoutError"):
            fetch(connection, files, into)
    assert list(into.iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda server: put(server, "users.csv", LARGE + b"more"),
        lambda server: put(server, "users.csv", LARGE[:-1]),
        lambda server: put(server, "users.csv", LARGE, MODIFIED + 1),
        lambda server: put(server, "classes.csv", b"22"),
        lambda server: (server.folder("lincoln") / "users.csv").unlink(),
    ],
    ids=["grew", "shrank", "touched", "another of the set", "gone"],
)
def test_a_set_that_changed_since_it_was_listed_is_not_taken(
    server: SftpServer, account: SftpAccount, into: Path, change: Callable[[SftpServer], object]
) -> None:
    put(server, "users.csv", LARGE)
    put(server, "classes.csv", b"2")
    with connect(account) as connection:
        files = list_folder(connection)
        change(server)
        with pytest.raises(Transient, match=r"still being written|no longer there"):
            fetch(connection, files, into)
    assert list(into.iterdir()) == []


def test_a_set_that_changes_while_it_is_fetched_is_not_taken(
    server: SftpServer, account: SftpAccount, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first file is replaced while the second is on its way: they are of two exports."""
    put(server, "classes.csv", b"today")
    put(server, "users.csv", LARGE)
    real = sftp._download

    def then_the_next_export_begins(
        connection: sftp.Connection, file: RemoteFile, part: Path
    ) -> None:
        real(connection, file, part)
        if file.name == "users.csv":
            put(server, "classes.csv", b"other", MODIFIED + 60)

    monkeypatch.setattr(sftp, "_download", then_the_next_export_begins)
    still_written = pytest.raises(Transient, match=r"'classes\.csv' is still being written")
    with connect(account) as connection, still_written:
        fetch(connection, list_folder(connection), into)
    assert list(into.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the always-full device of Linux")
def test_a_full_disk_here_is_not_taken_for_trouble_over_there(
    server: SftpServer, account: SftpAccount, into: Path
) -> None:
    put(server, "users.csv", LARGE)
    into.mkdir()
    (into / "01-users.csv.part").symlink_to("/dev/full")
    with connect(account) as connection, pytest.raises(Transient, match="no space left in"):
        fetch(connection, list_folder(connection), into)
    assert list(into.iterdir()) == []


@pytest.mark.parametrize("name", ["../users.csv", "a/b.csv", "..", "a\\b.csv"])
def test_a_name_the_server_made_up_never_becomes_a_path(
    account: SftpAccount, into: Path, name: str
) -> None:
    with connect(account) as connection, pytest.raises(BadDelivery, match="is refused"):
        fetch(connection, [RemoteFile(name, 1, MODIFIED)], into)
    assert list(into.iterdir()) == []
