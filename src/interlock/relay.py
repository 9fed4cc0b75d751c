"""An answer on its way from the tool to the agent, and into the record."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

from .core.actions import Answer
from .core.errors import UpstreamLost
from .ports import Exchange
from .tasks import Tasks


class Relay:
    """Streams an exchange once and records it at its end, whoever stops reading."""

    def __init__(
        self,
        exchange: Exchange,
        record: Callable[[Answer], Awaitable[None]],
        tasks: Tasks,
        keep: int,
    ) -> None:
        self.status = exchange.status
        self.headers = exchange.headers
        self._exchange = exchange
        self._record = record
        self._tasks = tasks
        self._keep = keep
        self._kept = bytearray()
        self._size = 0
        self._whole = False

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes.

        Raises:
            UpstreamLost: it broke off; what came before is all there is.
        """
        try:
            async for chunk in self._exchange.chunks():
                self._take(chunk)
                yield chunk
            self._whole = True
        finally:
            await self._exchange.close()
            self._tasks.spawn(self._finish(), "record-answer")

    async def drain(self) -> None:
        """Read the answer to its end for the record, with nobody to pass it to."""
        try:
            async for chunk in self._exchange.chunks():
                self._take(chunk)
            self._whole = True
        except UpstreamLost:
            self._whole = False  # the tool did answer; the record says that it broke off
        finally:
            await self._exchange.close()
            await self._finish()

    def _take(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if len(self._kept) + len(chunk) <= self._keep:
            self._kept += chunk
        else:
            self._keep = 0  # a part of an answer is worse than none

    async def _finish(self) -> None:
        kept = bytes(self._kept) if self._whole and len(self._kept) == self._size else b""
        await self._record(
            Answer(
                status=self.status,
                headers=self.headers,
                body=kept,
                size=self._size,
                complete=self._whole and len(kept) == self._size,
            )
        )
