"""Server-sent events, read piece by piece and written anew. Pure.

Every line of an event is kept (id, event, retry, comments, fields of the future), so that what
is read and written again differs in its line ends only. Source: WHATWG HTML 9.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .errors import UpstreamLost

LARGEST_EVENT = 32 * 2**20  #: bytes
COMMENT = b": waiting\n\n"
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One block between blank lines. `lines` are without their ends."""

    lines: tuple[bytes, ...]

    @property
    def data(self) -> bytes | None:
        """What it says; None where it says nothing: a comment, a lone id."""
        said = self._values(b"data")
        return b"\n".join(said) if said else None

    @property
    def id(self) -> bytes | None:
        """What a client names to have a broken stream resumed after this event."""
        said = self._values(b"id")
        return said[-1] if said else None

    @property
    def name(self) -> bytes:
        """`message`, unless it says otherwise."""
        return (self._values(b"event") or [b""])[-1] or b"message"

    def saying(self, data: bytes) -> Event:
        """Return it with other data, in place of what it said."""
        others = tuple(line for line in self.lines if line.partition(b":")[0] != b"data")
        return Event(lines=(*others, *(b"data: " + line for line in data.split(b"\n"))))

    def _values(self, field: bytes) -> list[bytes]:
        parted = (line.partition(b":") for line in self.lines)
        return [value.removeprefix(b" ") for name, _, value in parted if name == field]


def message_event(data: bytes) -> bytes:
    """Return the bytes of an event that carries one JSON-RPC message."""
    return b"event: message\ndata: " + data + b"\n\n"


def written(event: Event) -> bytes:
    """Return the bytes of an event."""
    return b"\n".join(event.lines) + b"\n\n"


class Reader:
    """Takes the bytes of a stream as they come. An event that is not ended never was (WHATWG)."""

    def __init__(self, largest: int = LARGEST_EVENT) -> None:
        self._largest = largest
        self._lines: list[bytes] = []
        self._partial = bytearray()
        self._size = 0
        self._start = True
        self._after_cr = False
        self.resumable = False  #: whether an event had an id: a client can ask for the rest

    @property
    def within(self) -> bool:
        """Whether an event has begun that has not ended."""
        return bool(self._lines or self._partial)

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Yield the events that end in *chunk*.

        Raises:
            UpstreamLost: an event is larger than is taken here.
        """
        if not chunk:
            return
        if self._after_cr:
            chunk = chunk.removeprefix(b"\n")
        self._after_cr = chunk.endswith(b"\r")
        for piece in chunk.splitlines(keepends=True):
            self._size += len(piece)
            if self._size > self._largest:
                raise UpstreamLost(f"The server sent an event of more than {self._largest} bytes.")
            line = piece.rstrip(b"\r\n")
            self._partial += line
            if len(line) == len(piece):
                continue  # the rest of this line is still to come
            event = self._ended_line()
            if event is not None:
                yield event

    def _ended_line(self) -> Event | None:
        line = bytes(self._partial)
        self._partial.clear()
        if self._start:
            line, self._start = line.removeprefix(_BOM), False
        if line:
            self._lines.append(line)
            return None
        self._size = 0
        if not self._lines:
            return None
        event = Event(lines=tuple(self._lines))
        self._lines.clear()
        self.resumable = self.resumable or event.id is not None
        return event
