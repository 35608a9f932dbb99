"""Files from an SFTP server: a pinned connection, a listing, and whole files only.

    with connect(account) as connection:
        files = list_folder(connection)
        arrived = fetch(connection, files, folder)

The server must show the host key that was pinned, or nothing is sent to it; there is no
"trust on first use". No agent, no keys of this machine's user, no configuration of ssh is read.
When files are ready to be fetched is judged in stability.py.
"""

import base64
import errno
import hashlib
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from stat import S_ISREG
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_ssh_private_key,
)
from pydantic import SecretStr

from edpipeline.errors import (
    BadConfiguration,
    BadCredentials,
    BadDelivery,
    ConnectionLost,
    Transient,
)
from edpipeline.landing.drop import Arrived, checked_name, shown, stored_name
from edpipeline.landing.stability import RemoteFile
from edpipeline.landing.store import plain_disk_errors

if TYPE_CHECKING:
    import paramiko

CONNECT_SECONDS = 15
CHANNEL_SECONDS = 60
UNFINISHED = (".part", ".tmp", ".filepart")
"""How senders name a file while they write it; .filepart is WinSCP's."""


@dataclass(frozen=True, repr=False, kw_only=True)
class SftpAccount:
    """Where a district's files are, and how we prove who we are.

    `host_key` is the server's public key as `ssh-keyscan` prints it after the host's name:
    `ssh-ed25519 AAAA...`. `private_key` is the text of a key in OpenSSH or PEM form.
    """

    host: str
    port: int = 22
    username: str
    password: str | SecretStr | None = None
    private_key: str | SecretStr | None = None
    passphrase: str | SecretStr | None = None
    host_key: str
    folder: str = "/"

    def __repr__(self) -> str:
        secrets = ", ".join(
            f"{name}={'***' if getattr(self, name) else None}"
            for name in ("password", "private_key", "passphrase")
        )
        return f"SftpAccount({self.describe()!r}, folder={self.folder!r}, {secrets})"

    def describe(self) -> str:
        """The account in words that may be shown and logged."""
        return f"{self.username}@{self.host}:{self.port}"


@dataclass(frozen=True)
class Connection:
    """An open connection, good inside the `with` of `connect`."""

    account: SftpAccount
    client: "paramiko.SFTPClient"


@contextmanager
def connect(account: SftpAccount) -> Iterator[Connection]:
    """Connects, checks the host key against the pinned one, then logs in.

    Raises BadConfiguration for a host key or account that cannot be one, BadCredentials for
    another host key or a refused login, ConnectionLost when the server does not answer within
    15 seconds or goes away.
    """
    import paramiko

    pinned = _public_key(account.host_key)
    private_key = _private_key(account)
    if private_key is None and account.password is None:
        raise BadCredentials(f"{account.describe()}: neither a password nor a private key is set")
    with paramiko.SSHClient() as ssh:
        known_as = account.host if account.port == 22 else f"[{account.host}]:{account.port}"
        ssh.get_host_keys().add(known_as, pinned.get_name(), pinned)
        ssh.set_missing_host_key_policy(paramiko.RejectPolicy())
        with _connecting(account):
            ssh.connect(
                account.host,
                account.port,
                account.username,
                password=_plain(account.password),
                pkey=private_key,
                timeout=CONNECT_SECONDS,
                banner_timeout=CONNECT_SECONDS,
                auth_timeout=CONNECT_SECONDS,
                channel_timeout=CONNECT_SECONDS,
                allow_agent=False,
                look_for_keys=False,
            )
            client = ssh.open_sftp()
            channel = client.get_channel()
            if channel is not None:
                channel.settimeout(CHANNEL_SECONDS)
        yield Connection(account, client)


def list_folder(where: SftpAccount | Connection) -> tuple[RemoteFile, ...]:
    """The regular files of the account's folder, by name.

    Left out: folders, links, hidden files, and names a sender gives to a file it is still
    writing. Raises BadConfiguration when the folder is not there or may not be read.
    """
    if isinstance(where, SftpAccount):
        with connect(where) as connection:
            return list_folder(connection)
    folder = where.account.folder
    with _reading(where.account):
        try:
            entries = where.client.listdir_attr(folder)
        except (FileNotFoundError, PermissionError) as error:
            raise BadConfiguration(
                f"{where.account.describe()}: folder {shown(folder)} is not there or may not be "
                "read; correct the folder, or ask the district for the right to read it"
            ) from error
        except UnicodeDecodeError as error:
            raise BadDelivery(
                f"{where.account.describe()}: a file name in {shown(folder)} is not UTF-8; have "
                "the file renamed or removed"
            ) from error
    found = [
        RemoteFile(entry.filename, entry.st_size or 0, int(entry.st_mtime or 0))
        for entry in entries
        if S_ISREG(entry.st_mode or 0) and _is_finished(entry.filename)
    ]
    return tuple(sorted(found))


def fetch(connection: Connection, remote: Sequence[RemoteFile], into: Path) -> list[Arrived]:
    """Downloads `remote` into the folder `into`, all of it or nothing.

    Each file goes to a `*.part` first. When the last is down, each must still have the size
    and time it was listed with; only then do they get their names, which are ours and not the
    sender's. Raises Transient when a file changes meanwhile or the disk is full, ConnectionLost
    when the server goes away, BadDelivery for a name that is no plain file name.
    """
    parts: list[Path] = []
    with plain_disk_errors(into):
        into.mkdir(parents=True, exist_ok=True)
        try:
            for number, file in enumerate(remote, 1):
                parts.append(into / f"{stored_name(number, checked_name(file.name))}.part")
                _download(connection, file, parts[-1])
            for file, part in zip(remote, parts, strict=True):
                _require_unchanged(connection, file, part)
            return [
                Arrived(
                    file.name,
                    part.rename(part.with_suffix("")),
                    datetime.fromtimestamp(file.modified_at, UTC),
                )
                for file, part in zip(remote, parts, strict=True)
            ]
        finally:
            for part in parts:
                part.unlink(missing_ok=True)


def fingerprint(host_key: str) -> str:
    """`SHA256:...` of a public key line, as ssh shows it. Raises BadConfiguration."""
    return _fingerprint(_public_key(host_key))


def _download(connection: Connection, file: RemoteFile, part: Path) -> None:
    def still_what_was_listed(_: int, total: int) -> None:
        if total != file.size:
            raise _still_written(connection, file)

    with part.open("wb") as local, _reading(connection.account, file):
        # paramiko asks for everything at once by default; with a limit it is 20 times slower.
        connection.client.getfo(
            _path(connection, file), local, callback=still_what_was_listed, prefetch=True
        )


def _require_unchanged(connection: Connection, file: RemoteFile, part: Path) -> None:
    with _reading(connection.account, file):
        now = connection.client.stat(_path(connection, file))
    if (now.st_size or 0, int(now.st_mtime or 0)) != (file.size, file.modified_at):
        raise _still_written(connection, file)
    if part.stat().st_size != file.size:
        raise ConnectionLost(
            f"{connection.account.describe()}: {shown(file.name)} came with "
            f"{part.stat().st_size} of {file.size} bytes; it is tried again"
        )


def _still_written(connection: Connection, file: RemoteFile) -> Transient:
    return Transient(
        f"{connection.account.describe()}: {shown(file.name)} is still being written; it is "
        "looked at again later"
    )


def _path(connection: Connection, file: RemoteFile) -> str:
    return str(PurePosixPath(connection.account.folder) / file.name)


def _is_finished(name: str) -> bool:
    return not name.startswith(".") and not name.lower().endswith(UNFINISHED)


@contextmanager
def _connecting(account: SftpAccount) -> Iterator[None]:
    """Turns what may happen on the way in into our words; none of them holds a secret."""
    import paramiko

    where = account.describe()
    try:
        yield
    except paramiko.BadHostKeyException as error:
        raise BadCredentials(
            f"{account.host}:{account.port} showed the host key {_fingerprint(error.key)}, pinned "
            f"is {_fingerprint(error.expected_key)}. Nothing was sent. Ask the people who run "
            "the server, by telephone, whether its key changed; only then pin the new one"
        ) from error
    except paramiko.ssh_exception.IncompatiblePeer as error:
        raise BadConfiguration(f"{where}: the server and we share no method of encryption") from (
            error
        )
    except paramiko.AuthenticationException as error:
        # paramiko raises the same for a refusal and for a server that went away meanwhile.
        if "timeout" in str(error).lower() or "transport shut down" in str(error):
            raise ConnectionLost(f"{where}: the server went away during the login") from error
        raise BadCredentials(
            f"{where}: the server refused the login; check the user name and the password or key"
        ) from error
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise ConnectionLost(f"{where}: no connection ({_cause(error)}); it is tried again") from (
            error
        )


@contextmanager
def _reading(account: SftpAccount, file: RemoteFile | None = None) -> Iterator[None]:
    """Turns what may happen to an open connection into our words."""
    import paramiko

    where = account.describe() if file is None else f"{account.describe()}: {shown(file.name)}"
    try:
        yield
    except FileNotFoundError as error:
        raise Transient(f"{where} is no longer there; it is looked for again later") from error
    except PermissionError as error:
        raise BadConfiguration(f"{where} may not be read; ask the district for the right") from (
            error
        )
    except (paramiko.SSHException, paramiko.SFTPError, OSError, EOFError) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ConnectionLost(
            f"{where}: connection lost ({_cause(error)}); it is tried again"
        ) from (error)


def _cause(error: Exception) -> str:
    """The kind of an error and no text of the server's, which may repeat anything."""
    strerror = getattr(error, "strerror", None)
    return f"{type(error).__name__}: {strerror}" if strerror else type(error).__name__


def _public_key(line: str) -> "paramiko.PKey":
    import paramiko

    try:
        kind, text = line.split()[:2]
        return paramiko.PKey.from_type_string(kind, base64.b64decode(text, validate=True))
    except (ValueError, paramiko.SSHException, paramiko.pkey.UnknownKeyType) as error:
        raise BadConfiguration(
            "the pinned host key cannot be read: it is a line like `ssh-ed25519 AAAA...`, as "
            "`ssh-keyscan HOST` prints it after the host's name"
        ) from error


def _private_key(account: SftpAccount) -> "paramiko.PKey | None":
    text, passphrase = _plain(account.private_key), _plain(account.passphrase)
    if text is None:
        return None
    # Line ends in an environment variable are often written as \n.
    text = text if "\n" in text.strip() else text.replace("\\n", "\n")
    load = load_ssh_private_key if "BEGIN OPENSSH" in text else load_pem_private_key
    try:
        return _for_paramiko(load(text.encode(), passphrase.encode() if passphrase else None))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        # The library tells a missing passphrase by a TypeError. Its texts are not repeated.
        why = (
            "needs its passphrase"
            if isinstance(error, TypeError) and not passphrase
            else "cannot be read: it is the text of an OpenSSH or PEM key (Ed25519, ECDSA or RSA), "
            "and the passphrase is its own"
        )
        raise BadCredentials(f"{account.describe()}: the private key {why}") from None


def _for_paramiko(key: object) -> "paramiko.PKey":
    """The key in the one form of each kind that paramiko reads; it knows no PKCS #8 (5.1)."""
    import paramiko

    if isinstance(key, Ed25519PrivateKey):
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
        return paramiko.Ed25519Key.from_private_key(io.StringIO(pem.decode()))
    if isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey):
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        kind = paramiko.RSAKey if isinstance(key, RSAPrivateKey) else paramiko.ECDSAKey
        return kind.from_private_key(io.StringIO(pem.decode()))
    raise ValueError("another kind of key")


def _fingerprint(key: "paramiko.PKey") -> str:
    digest = base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")
    return f"{key.get_name()} SHA256:{digest}"


def _plain(secret: str | SecretStr | None) -> str | None:
    return secret.get_secret_value() if isinstance(secret, SecretStr) else secret
