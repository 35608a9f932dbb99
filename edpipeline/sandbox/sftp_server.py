"""A real SFTP server on loopback, playing the place a district sends its files to.

    with sftp_server(folder, {"lincoln": "a password"}) as server:
        ...  # server.host, server.port, server.host_key_line

Each user sees one folder, `root/<username>`, as the whole server. `server.faults` makes it
misbehave the way real servers do, from the next request on.
"""

import asyncio
import os
import re
import threading
from collections.abc import Coroutine, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import asyncssh

HOST = "127.0.0.1"
USERNAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
START_SECONDS = 15

T = TypeVar("T")


@dataclass(frozen=True)
class Login:
    """How one user may log in: by password, by one of these OpenSSH public keys, or both."""

    password: str | None = field(default=None, repr=False)
    public_keys: tuple[str, ...] = ()


@dataclass
class Faults:
    """What goes wrong, until it is set back."""

    refuse_connections: bool = False
    """Hang up as soon as someone connects."""
    hang_up_at_login: bool = False
    """Hang up on whoever gives a name, before any answer."""
    drop_after_bytes: int | None = None
    """Hang up on a connection that has read so many bytes of files."""
    delay_seconds: float = 0.0
    """Wait so long before each answer to a read or a listing."""


class SftpServer:
    """A running server. Made by `sftp_server`."""

    host = HOST

    def __init__(
        self, root: Path, logins: Mapping[str, Login], host_key: Path | None, port: int
    ) -> None:
        self.root = root
        self.port = port
        self.faults = Faults()
        self._logins = logins
        self._host_key_file = host_key
        self._host_key = _read_host_key(host_key) or self._new_host_key()
        self._connections: set[asyncssh.SSHServerConnection] = set()
        self._loop: asyncio.AbstractEventLoop
        self._stopping: asyncio.Event
        self._listener: asyncssh.SSHAcceptor

    @property
    def host_key_line(self) -> str:
        """The host key as a client pins it: `ssh-ed25519 AAAA...`."""
        return self._host_key.export_public_key().decode().strip()

    def folder(self, username: str) -> Path:
        """The folder on disk that this user sees as `/`."""
        return self.root / username

    def change_host_key(self) -> None:
        """Show another host key from now on, as a server does that was set up anew."""

        async def change() -> None:
            await self._close()
            self._host_key = self._new_host_key()
            await self._listen()

        self._run(change())

    def _new_host_key(self) -> asyncssh.SSHKey:
        key = asyncssh.generate_private_key("ssh-ed25519")
        if self._host_key_file is not None:
            self._host_key_file.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._host_key_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(key.export_private_key())
        return key

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(START_SECONDS)

    async def _serve(self, started: "Future[None]") -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        try:
            await self._listen()
        except BaseException as error:
            started.set_exception(error)
            return
        started.set_result(None)
        await self._stopping.wait()
        await self._close()
        # Sessions close their files when they see that the connection is gone.
        sessions = asyncio.all_tasks() - {asyncio.current_task()}
        if sessions:
            await asyncio.wait(sessions, timeout=START_SECONDS)

    async def _listen(self) -> None:
        self._listener = await asyncssh.listen(
            HOST,
            self.port,
            server_host_keys=[self._host_key],
            server_factory=lambda: _Door(self._logins, self.faults, self._connections),
            sftp_factory=self._files_of,
            allow_scp=False,
            reuse_address=True,
        )
        self.port = self._listener.get_port()

    async def _close(self) -> None:
        self._listener.close()
        for connection in list(self._connections):
            connection.abort()
        await self._listener.wait_closed()

    def _files_of(self, channel: Any) -> asyncssh.SFTPServer:
        folder = self.folder(channel.get_extra_info("username"))
        return _Files(channel, folder, self.faults)


@contextmanager
def sftp_server(
    root: Path,
    accounts: Mapping[str, str | Login],
    host_key: Path | None = None,
    port: int = 0,
) -> Iterator[SftpServer]:
    """Serves `root/<username>` for each account until the `with` ends; port 0 takes a free one.

    An account is a password or a Login. With `host_key`, a file, the key is made once and kept
    there, so that whoever pinned it still trusts the server after a restart. Raises ValueError
    for a username that cannot be a folder, OSError when the port is taken.
    """
    for username in accounts:
        if not USERNAME.fullmatch(username):
            raise ValueError(f"username {username!r}: use letters, digits, '.', '_' and '-'")
        (root / username).mkdir(parents=True, exist_ok=True)
    logins = {
        username: Login(password=login) if isinstance(login, str) else login
        for username, login in accounts.items()
    }
    server = SftpServer(root, logins, host_key, port)
    started: Future[None] = Future()
    thread = threading.Thread(
        target=lambda: asyncio.run(server._serve(started)), name="sandbox-sftp", daemon=True
    )
    thread.start()
    started.result(START_SECONDS)
    try:
        yield server
    finally:
        server._loop.call_soon_threadsafe(server._stopping.set)
        thread.join(START_SECONDS)


class _Door(asyncssh.SSHServer):
    """Who comes in."""

    def __init__(
        self,
        logins: Mapping[str, Login],
        faults: Faults,
        connections: set[asyncssh.SSHServerConnection],
    ) -> None:
        self._logins = logins
        self._faults = faults
        self._connections = connections

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._connections.add(conn)
        if self._faults.refuse_connections:
            conn.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        if self._faults.hang_up_at_login:
            self._connection.abort()
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        login = self._logins.get(username, Login())
        return login.password is not None and password == login.password

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        login = self._logins.get(username, Login())
        return key in [asyncssh.import_public_key(line) for line in login.public_keys]


class _Files(asyncssh.SFTPServer):
    """What a user sees, and the faults on the way to it."""

    def __init__(self, channel: Any, folder: Path, faults: Faults) -> None:
        super().__init__(channel, chroot=os.fsencode(folder))
        self._faults = faults
        self._sent = 0

    async def read(self, file_obj: Any, offset: int, size: int) -> bytes:
        await self._delay()
        data = super().read(file_obj, offset, size)
        assert isinstance(data, bytes)
        self._sent += len(data)
        limit = self._faults.drop_after_bytes
        if limit is not None and self._sent > limit:
            self.connection.abort()
        return data

    async def _delay(self) -> None:
        """Waits, but no longer than there is someone waiting for the answer."""
        if self._faults.delay_seconds:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.connection.wait_closed(), self._faults.delay_seconds)

    async def scandir(self, path: bytes) -> Any:
        await self._delay()
        async for entry in super().scandir(path):
            yield entry


def _read_host_key(path: Path | None) -> asyncssh.SSHKey | None:
    if path is None or not path.exists():
        return None
    return asyncssh.read_private_key(path)
