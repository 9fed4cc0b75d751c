"""Lines off a pipe, of bounded length, whatever comes down it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

CHUNK = 2**16  #: bytes read at once
EDGE = 400  #: bytes kept of either end of a line that is too long


@dataclass(frozen=True, slots=True)
class Long:
    """A line that was longer than allowed; only its ends were kept."""

    head: bytes
    tail: bytes
    size: int  #: bytes, without the newline


async def lines(
    read: Callable[[int], Awaitable[bytes]], longest: int
) -> AsyncIterator[bytes | Long]:
    """Yield lines without their ends, empty ones left out; a last one without its newline too.

    *read* returns at most so many bytes, and none at the end. *longest* in bytes.
    """
    kept, size, looked = bytearray(), 0, 0  # of the line under way; size counts what was dropped
    head = b""
    while chunk := await read(CHUNK):
        kept += chunk
        while (end := kept.find(b"\n", looked)) >= 0:
            line = _line(bytes(kept[:end]), head, size, longest)
            del kept[: end + 1]
            head, size, looked = b"", 0, 0
            if line:
                yield line
        looked = len(kept)
        if looked > longest:
            head = head or bytes(kept[:EDGE])
            size += looked - EDGE
            del kept[:-EDGE]
            looked = EDGE
    line = _line(bytes(kept), head, size, longest)
    if line:
        yield line


def _line(rest: bytes, head: bytes, dropped: int, longest: int) -> bytes | Long:
    whole = dropped + len(rest)
    if whole > longest:
        return Long(head or rest[:EDGE], rest[-EDGE:], whole)
    return rest.strip(b" \t\r")
