import socket
import threading
from pathlib import Path

import asyncssh
import paramiko
import pytest

from edpipeline.errors import BadCredentials, ConnectionLost
from edpipeline.landing.sftp import SftpAccount, connect, list_folder
from edpipeline.sandbox.sftp_server import Login, SftpServer, sftp_server


def account(server: SftpServer, username: str = "lincoln", **other: str) -> SftpAccount:
    return SftpAccount(
        host=server.host,
        port=server.port,
        username=username,
        host_key=server.host_key_line,
        **{"password": "pw", **other},
    )


def test_each_user_sees_their_own_folder_and_nothing_above(tmp_path: Path) -> None:
    with sftp_server(tmp_path, {"lincoln": "pw", "adams": "pw"}) as server:
        (server.folder("lincoln") / "users.csv").write_text("1")
        (server.folder("adams") / "classes.csv").write_text("1")
        assert [file.name for file in list_folder(account(server))] == ["users.csv"]
        assert [file.name for file in list_folder(account(server, "adams"))] == ["classes.csv"]
        above = account(server, folder="/../adams")
        with connect(above) as connection, pytest.raises(FileNotFoundError):
            connection.client.listdir("/../adams")


def test_what_is_uploaded_lands_in_the_users_folder(tmp_path: Path) -> None:
    with sftp_server(tmp_path, {"lincoln": "pw"}) as server, connect(account(server)) as sftp:
        with sftp.client.open("/users.csv", "w") as file:
            file.write(b"sourcedId\n")
        assert (tmp_path / "lincoln" / "users.csv").read_bytes() == b"sourcedId\n"


@pytest.mark.parametrize(
    ("username", "password"),
    [("lincoln", "wrong"), ("nobody", "pw"), ("nobody", ""), ("keyed", "")],
)
def test_a_wrong_name_or_password_is_refused(tmp_path: Path, username: str, password: str) -> None:
    accounts = {"lincoln": "pw", "keyed": Login()}
    with (
        sftp_server(tmp_path, accounts) as server,
        pytest.raises(BadCredentials),
        connect(account(server, username, password=password)),
    ):
        pass


def test_a_user_may_log_in_by_public_key(tmp_path: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    public = key.export_public_key().decode()
    with sftp_server(tmp_path, {"lincoln": Login(public_keys=(public,))}) as server:
        private = key.export_private_key().decode()
        with connect(
            SftpAccount(
                host=server.host,
                port=server.port,
                username="lincoln",
                private_key=private,
                host_key=server.host_key_line,
            )
        ) as sftp:
            assert sftp.client.listdir("/") == []


def test_a_restart_keeps_the_host_key_and_the_port(tmp_path: Path) -> None:
    kept = tmp_path / "keys" / "host_key"
    with sftp_server(tmp_path, {"lincoln": "pw"}, kept) as server:
        line, port = server.host_key_line, server.port
    assert kept.stat().st_mode & 0o077 == 0
    with sftp_server(tmp_path, {"lincoln": "pw"}, kept, port) as server:
        assert (server.host_key_line, server.port) == (line, port)
    with sftp_server(tmp_path, {"lincoln": "pw"}) as server:
        assert server.host_key_line != line


def test_a_changed_host_key_is_shown_on_the_same_port_and_kept(tmp_path: Path) -> None:
    kept = tmp_path / "host_key"
    with sftp_server(tmp_path, {"lincoln": "pw"}, kept) as server:
        line, port = server.host_key_line, server.port
        server.change_host_key()
        assert server.port == port
        assert server.host_key_line != line
        list_folder(account(server))
        line = server.host_key_line
    with sftp_server(tmp_path, {"lincoln": "pw"}, kept) as server:
        assert server.host_key_line == line


def test_a_server_that_refuses_connections_takes_them_again_when_it_is_well(tmp_path: Path) -> None:
    with sftp_server(tmp_path, {"lincoln": "pw"}) as server:
        server.faults.refuse_connections = True
        with pytest.raises(ConnectionLost):
            list_folder(account(server))
        server.faults.refuse_connections = False
        assert list_folder(account(server)) == ()


def test_a_username_that_cannot_be_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="username"), sftp_server(tmp_path, {"../up": "pw"}):
        pass


def test_a_taken_port_is_said_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError), sftp_server(tmp_path, {"lincoln": "pw"}, port=port):
            pass


def test_nothing_runs_on_when_the_server_is_stopped(tmp_path: Path) -> None:
    before = threading.active_count()
    with sftp_server(tmp_path, {"lincoln": "pw"}) as server, connect(account(server)):
        port = server.port
    assert threading.active_count() <= before
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def test_the_server_listens_on_loopback_only(tmp_path: Path) -> None:
    with sftp_server(tmp_path, {"lincoln": "pw"}) as server:
        assert server.host == "127.0.0.1"
        assert {address[0] for address in server._listener.get_addresses()} == {"127.0.0.1"}


def test_a_login_does_not_show_its_password() -> None:
    assert "pw" not in repr(Login(password="pw"))


def test_the_host_key_line_is_what_ssh_clients_pin(tmp_path: Path) -> None:
    with sftp_server(tmp_path, {"lincoln": "pw"}) as server:
        transport = paramiko.Transport((server.host, server.port))
        try:
            transport.start_client(timeout=10)
            shown = transport.get_remote_server_key()
        finally:
            transport.close()
        assert server.host_key_line.split()[:2] == [shown.get_name(), shown.get_base64()]
