"""An answer on its way from the tool to the agent, and into the record."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Self

from .core.actions import Answer
from .core.errors import UpstreamLost
from .ports import Exchange


class Relay:
    """Streams an exchange once; tells at its end what came, whoever stops reading.

    `keep` is how many bytes are kept for replay: of a longer answer none are.
    """

    def __init__(self, exchange: Exchange, ended: Callable[[Answer], None], keep: int) -> None:
        self.status = exchange.status
        self.headers = exchange.headers
        self._exchange = exchange
        self._ended = ended
        self._keep = keep
        self._kept = bytearray()
        self._size = 0
        self._whole = False
        self.ended = False  #: whether somebody read it, to its end or not

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self._exchange.close()
            self.ended = True
        finally:  # a reader that is cancelled here must not cost the record
            self._ended(self._answer())

    def _answer(self) -> Answer:
        kept = bytes(self._kept) if self._whole and len(self._kept) == self._size else b""
        return Answer(
            status=self.status,
            headers=self.headers,
            body=kept,
            size=self._size,
            complete=self._whole,
        )

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes.

        Raises:
            UpstreamLost: it broke off; what came before is all there is.
        """
        async for chunk in self._exchange.chunks():
            self._size += len(chunk)
            if self._size <= self._keep:
                self._kept += chunk
            yield chunk
        self._whole = True

    async def drain(self) -> None:
        """Read the answer to its end for the record, with nobody to pass it to."""
        try:
            async with self:
                async for _ in self.chunks():
                    pass
        except UpstreamLost:
            return  # the tool did answer; the record says that it broke off
