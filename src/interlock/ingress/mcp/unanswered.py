"""The requests of one connection that are not answered yet, as many as memory bears."""

from __future__ import annotations

from ...core.messages import Message

MOST_OPEN = 1000  #: requests
MOST_BYTES = 16 * 2**20  #: of these requests together; a single one may have more

Id = str | int


class Unanswered:
    """Requests by id, with their sizes in bytes."""

    def __init__(self) -> None:
        self._open: dict[Id, tuple[Message, int]] = {}
        self._size = 0

    def __contains__(self, asked: Id | None) -> bool:
        return asked in self._open

    def __len__(self) -> int:
        """How many requests are open."""
        return len(self._open)

    def refuses(self, size: int) -> str:
        """Say why a request of *size* bytes is too much now; empty: it is not."""
        if len(self._open) >= MOST_OPEN:
            return f"{MOST_OPEN} requests are under way; wait for some of them."
        if self._open and self._size + size > MOST_BYTES:
            return f"Requests of {self._size} bytes are under way; wait for some of them."
        return ""

    def add(self, asked: Id, message: Message, size: int) -> None:
        """Keep a request until it is closed."""
        self._open[asked] = message, size
        self._size += size

    def get(self, asked: object) -> Message | None:
        """Return the request with this id, if it is open."""
        found = self._open.get(asked) if isinstance(asked, str | int) else None
        return found[0] if found else None

    def close(self, asked: Id) -> None:
        """Forget a request, where it is open."""
        _, size = self._open.pop(asked, (None, 0))
        self._size -= size
