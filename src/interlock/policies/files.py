"""Reads files of policy from disk: regular ones only, and never more than their bound.

A policy folder may hold anything: a FIFO nobody writes to, a link to a device without an end, a
file that grows while it is read. None of them may keep a reader waiting or fill its memory.
"""

from __future__ import annotations

import errno
import itertools
import os
import stat
from pathlib import Path

from ..core.errors import InvalidDocument, Problem
from .positions import MAX_BYTES

MAX_FILES = 1_000  #: YAML files of one folder, suites included
SUFFIXES = (".yaml", ".yml")

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (lambda mode: stat.S_ISCHR(mode) or stat.S_ISBLK(mode), "a device"),
)


def read_file(file: Path) -> bytes:
    """Return what is in *file*, at most MAX_BYTES; links are followed, nothing waits.

    Raises:
        InvalidDocument: it is no regular file, is larger than MAX_BYTES, or cannot be read.
    """
    try:
        return _read(file)
    except OSError as error:
        raise InvalidDocument((of_file(file, _unreadable(file, error)),)) from None


def yaml_files(folder: Path) -> list[Path]:
    """Return the YAML files in *folder* by name; of too many, MAX_FILES + 1.

    Raises:
        OSError: it cannot be listed.
    """
    with os.scandir(folder) as entries:
        names = (entry.name for entry in entries if entry.name.endswith(SUFFIXES))
        return sorted(folder / name for name in itertools.islice(names, MAX_FILES + 1))


def check_count(folder: Path) -> None:
    """Refuse a folder with more YAML files than a policy is read from, or one without a list.

    Raises:
        InvalidDocument: there are too many, or nobody can say how many.
    """
    try:
        files = yaml_files(folder)
    except OSError as error:
        raise InvalidDocument((of_file(folder, _unreadable(folder, error)),)) from None
    if len(files) > MAX_FILES:
        message = (
            f"more than {MAX_FILES} YAML files are here: name the files of the policy one by one, "
            "or give it a folder of its own"
        )
        raise InvalidDocument((of_file(folder, message),))


def _read(file: Path) -> bytes:
    _check_kind(file, os.stat(file).st_mode)  # before it is opened: opening may move a device
    # O_NONBLOCK: it may have become a pipe meanwhile
    opened = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        _check_kind(file, os.fstat(opened).st_mode)
        return _bounded(file, opened)
    finally:
        os.close(opened)


def _bounded(file: Path, opened: int) -> bytes:
    whole = bytearray()
    while part := os.read(opened, MAX_BYTES + 1 - len(whole)):
        whole += part
        if len(whole) > MAX_BYTES:
            raise InvalidDocument((of_file(file, "the file is larger than 1 MiB: split it"),))
    return bytes(whole)


def _check_kind(file: Path, mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    kind = next((name for is_kind, name in _KINDS if is_kind(mode)), "no file")
    message = f"is {kind}, not a file: take it out of the folder, or let its name not end in .yaml"
    raise InvalidDocument((of_file(file, message),))


def _unreadable(file: Path, error: OSError) -> str:
    reason = f"cannot be read: {error.strerror or type(error).__name__}"
    if error.errno == errno.ENOENT and file.is_symlink():
        return f"{reason}; it is a link to {os.readlink(file)}: restore that, or delete the link"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{reason}; let the user that runs Interlock (uid {os.geteuid()}) read it"
    return reason


def of_file(file: Path | str, message: str) -> Problem:
    """Return a problem of a file as a whole."""
    return Problem(file=str(file), line=1, column=1, message=message)
