"""Private files under the data directory: the secret that keys derive from, and people's keys."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .core.errors import WeakGround
from .core.identity import Kind
from .ports import KeyRing
from .settings import Config, LocalPerson

SECRET_FILE = "secret.key"  # noqa: S105 (a file's name)
OPERATOR_FILE = "operator.key"
MADE_HERE = "interlock.yaml"  #: owner of the keys that stand and fall with the configuration


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedKeys:
    """Keys derived from one secret, 32 bytes each, each for one purpose."""

    pepper: bytes = field(repr=False)  #: of the key ring
    seal: bytes = field(repr=False)  #: of the clearances that the gate checks at the send
    definitions: bytes = field(repr=False)  #: of what people accepted of MCP tools
    rounds: bytes = field(repr=False)  #: of the tokens that MCP clients come back with
    tasks: bytes = field(repr=False)  #: of the notes on tasks of MCP clients
    desk: bytes = field(repr=False)  #: of who stands in for whom
    authenticators: bytes = field(repr=False)  #: of people's security keys and passkeys
    sessions: bytes = field(repr=False)  #: of people's sessions and their CSRF tokens
    channels: bytes = field(repr=False)  #: of the buttons in chats
    calibration: bytes = field(repr=False)  #: of what past decisions make of agents' confidence
    store: bytes = field(repr=False)  #: of what tells which secret made the store


def derived_keys(config: Config) -> DerivedKeys:
    """Return the keys of this installation; makes `<data>/secret.key` where no secret is set.

    Raises:
        WeakGround: the file is not private, or cannot be read or written.
    """
    secret = (
        config.secret.reveal().encode()
        if config.secret is not None
        else _kept_secret(config.data / SECRET_FILE)
    )
    return DerivedKeys(
        pepper=hmac.new(secret, b"interlock key ring v1", hashlib.sha256).digest(),
        seal=hmac.new(secret, b"interlock clearance v1", hashlib.sha256).digest(),
        definitions=hmac.new(secret, b"interlock definitions v1", hashlib.sha256).digest(),
        rounds=hmac.new(secret, b"interlock rounds v1", hashlib.sha256).digest(),
        tasks=hmac.new(secret, b"interlock tasks v1", hashlib.sha256).digest(),
        desk=hmac.new(secret, b"interlock desk v1", hashlib.sha256).digest(),
        authenticators=hmac.new(secret, b"interlock authenticators v1", hashlib.sha256).digest(),
        sessions=hmac.new(secret, b"interlock sessions v1", hashlib.sha256).digest(),
        channels=hmac.new(secret, b"interlock channels v1", hashlib.sha256).digest(),
        calibration=hmac.new(secret, b"interlock calibration v1", hashlib.sha256).digest(),
        store=hmac.new(secret, b"interlock store v1", hashlib.sha256).digest(),
    )


async def ensure_operator_keys(
    keyring: KeyRing, people: tuple[LocalPerson, ...], data_dir: Path
) -> Mapping[str, Path]:
    """Make sure that each local person has an approver's key in a private file; return the files.

    `<data>/operator.key` is the first person's, `<data>/operator-ID.key` are the others'. A key
    that still says what the configuration says is kept; keys of people who are no longer in it are
    revoked. Raises StoreUnavailable and WeakGround.
    """
    files: dict[str, Path] = {}
    for person in people:
        name = f"operator-{person.id}.key" if files else OPERATOR_FILE
        files[person.id] = data_dir / name
        await _ensure_key(keyring, person, data_dir / name)
    for record in await keyring.records():
        if record.owner == MADE_HERE and record.subject not in files and not record.revoked:
            await keyring.revoke(record.key_id)
    return files


async def _ensure_key(keyring: KeyRing, person: LocalPerson, path: Path) -> None:
    text = _existing(path)
    old = await keyring.verify(text) if text else None
    if old is not None and old.kind is Kind.APPROVER and old.id == person.id:
        if old.groups == frozenset(person.groups):
            return
        await keyring.revoke(old.key_id)
    key, _ = await keyring.create(Kind.APPROVER, person.id, MADE_HERE, person.groups, 0)
    write_private(path, key + "\n")


def _existing(path: Path) -> str:
    return read_private(path) if path.exists() else ""


def read_private(path: Path) -> str:
    """Return the text of a file that only this user may read or write.

    Raises:
        WeakGround: it is somebody else's, others may write it, or it cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        with open(descriptor, encoding="utf-8") as file:
            found = os.fstat(descriptor)
            if found.st_uid not in (os.getuid(), 0) or found.st_mode & (stat.S_IRWXO | 0o020):
                raise WeakGround(
                    f"{path} is open to others.", help=f"Run `chmod 600 {path}`, as its owner."
                )
            return file.read().strip()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise WeakGround(
            f"{path} cannot be read: {reason}.", help="Give this user the file."
        ) from None


def write_private(path: Path, text: str) -> None:
    """Write *text* so that nobody else can read it, whole or not at all. Raises WeakGround."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_new(beside, text)
        beside.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from None


def _kept_secret(path: Path) -> bytes:
    if not path.exists():
        _make_secret(path)
    secret = read_private(path)
    if len(secret) < 32:
        raise WeakGround(
            f"{path} has fewer than 32 characters.",
            help="Restore it; or delete it, and every key made so far becomes worthless.",
        )
    return secret.encode()


def _make_secret(path: Path) -> None:
    """Make the secret once, even where two processes start at the same time."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_new(beside, secrets.token_hex(32) + "\n")
        with contextlib.suppress(FileExistsError):
            os.link(beside, path)  # unlike a rename it never replaces
        beside.unlink()
    except OSError as error:
        raise _unwritable(path, error) from None


def _write_new(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)


def _unwritable(path: Path, error: OSError) -> WeakGround:
    return WeakGround(
        f"{path} cannot be written: {error.strerror}.",
        help="Set `data:` to a directory that this user may write in.",
    )
