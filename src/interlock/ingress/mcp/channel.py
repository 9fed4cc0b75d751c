"""The way back to a client on pipes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ...core.messages import write_message
from .session import Document

Write = Callable[[bytes], Awaitable[None]]


class ClientChannel:
    """session.Channel: the client's pipe, which every message can use at any time."""

    streams = True

    def __init__(self, write: Write) -> None:
        self._write = write

    async def keep(self, progress: Document | None) -> None:
        """Send a progress notification; a pipe knows no comments."""
        if progress is not None:
            await self._write(write_message(progress))
