"""Reading a client's settings file, keeping a copy of it, and writing it whole or not at all."""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import InterlockError

SUFFIX = ".interlock-backup"
MAX_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """A file as it was read. `path` is where it really is, behind any symbolic link."""

    path: Path
    body: bytes
    mode: int
    owner: tuple[int, int]

    @property
    def text(self) -> str:
        """Its text. Raises InterlockError."""
        try:
            return self.body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InterlockError(
                f"{self.path} is not UTF-8 (byte {error.start}). Nothing was done.",
                help="Save it as UTF-8 in your editor, and run this again.",
            ) from None


def read_original(file: Path) -> Original:
    """Return what is in *file*.

    Raises:
        InterlockError: it is not there, cannot be read, is no ordinary file or too large.
    """
    try:
        path = file.resolve(strict=True)
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_BYTES:
            raise InterlockError(
                f"{file} is no ordinary file of at most {MAX_BYTES >> 20} MiB.",
                help="Name the client's settings file: `--config FILE`.",
            )
        body = path.read_bytes()
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before 3.13
        reason = getattr(error, "strerror", None) or "its links lead in a circle"
        raise InterlockError(
            f"{file} cannot be read: {reason}.",
            help="Name the client's settings file: `--config FILE`.",
        ) from None
    mode = stat.S_IMODE(found.st_mode)
    return Original(path=path, body=body, mode=mode, owner=(found.st_uid, found.st_gid))


def replace(original: Original, text: str) -> Path:
    """Put *text* in the place of *original* and return the backup, which is private and new.

    Raises:
        InterlockError: the file was changed meanwhile, or cannot be written; it is as it was then.
    """
    if read_original(original.path).body != original.body:
        raise InterlockError(
            f"{original.path} was changed while you looked at it. Nothing was done.",
            help="Run this again; the client may have written it.",
        )
    beside = original.path.with_name(f".{original.path.name}.{secrets.token_hex(4)}")
    try:
        if not os.access(original.path, os.W_OK):
            raise PermissionError(13, "it is read-only")
        backup = _backed_up(original)
        _written(beside, text.encode("utf-8"), original)
        beside.replace(original.path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise InterlockError(
            f"{original.path} cannot be written: {error.strerror}. It is as it was.",
            help="Run this as the user whose settings these are, in a directory that they may"
            " write in.",
        ) from None
    return backup


def backups(path: Path) -> Iterator[Original]:
    """Yield the readable backups of the file at *path*, the newest first."""
    for number in sorted(_numbers(path), reverse=True):
        try:
            yield read_original(_backup(path, number))
        except InterlockError:
            continue  # a backup that was made unreadable is as good as none


def _numbers(path: Path) -> list[int]:
    name = re.compile(re.escape(path.name + SUFFIX) + r"(?:-([1-9][0-9]{0,8}))?")
    found = (name.fullmatch(other.name) for other in path.parent.iterdir())
    return [int(match[1] or 1) for match in found if match]


def _backup(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}{SUFFIX}{f'-{number}' if number > 1 else ''}")


def _backed_up(original: Original) -> Path:
    backup = _backup(original.path, max(_numbers(original.path), default=0) + 1)
    _written(backup, original.body, None)  # fails where another run was faster: never overwritten
    return backup


def _written(path: Path, body: bytes, like: Original | None) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:
        file.write(body)
        file.flush()
        os.fsync(descriptor)
    if like is not None:
        found = path.stat()
        if (found.st_uid, found.st_gid) != like.owner:
            os.chown(path, *like.owner)
        path.chmod(like.mode)
