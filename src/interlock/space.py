"""How much room the data directory's disk has: the embedded store ends where there is none."""

from __future__ import annotations

import os
from pathlib import Path

LITTLE = 64 * 1024 * 1024  #: bytes below which the disk is as good as full


def shortage(data: Path) -> str:
    """Say in one sentence that the disk of *data* is full, or almost; empty: it is not."""
    left = left_on(data)
    return "" if left is None else said_of(left)


def left_on(data: Path) -> int | None:
    """Return how many bytes the disk of *data* has left; None: nobody knows."""
    try:
        found = os.statvfs(data)
    except OSError:  # it is not there yet, or not ours: others say so
        return None
    return found.f_bavail * found.f_frsize


def said_of(left: int) -> str:
    """Return the sentence for a disk with *left* bytes; empty: it has room."""
    if left >= LITTLE:
        return ""
    return f"The disk of the data directory is full: {left // 1024 // 1024} MB are left."
