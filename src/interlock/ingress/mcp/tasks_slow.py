"""Answers that take long: the first moments of one, and what goes on when nobody waits any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from ...core.actions import Answer
from ...core.errors import UpstreamLost
from ...gate import Gate
from ...relay import Relay
from .answers import response_in
from .headers import EVENTS

EARLY_BYTES = 2**20  #: of an answer that are read before it is passed on; a longer one has begun


class Begun:
    """ports.Exchange: an answer of which a part was read already."""

    def __init__(self, relay: Relay) -> None:
        self.status, self.headers = relay.status, relay.headers
        self._relay = relay
        self._read = bytearray()
        self._whole = False
        self._lost: UpstreamLost | None = None

    async def read(self, seconds: float, given: str | int | None) -> bool:
        """Read for at most *seconds*; return whether the response to *given* has come, or no more.

        What is too long to be kept here counts as come: it is on its way.
        """
        try:
            async with asyncio.timeout(max(seconds, 0)):
                async for chunk in self._relay.chunks():
                    self._read += chunk
                    if len(self._read) > EARLY_BYTES:
                        return True
                self._whole = True
        except TimeoutError:
            return response_in(bytes(self._read), given) is not None
        except UpstreamLost as error:
            self._lost = error
        return True

    async def chunks(self) -> AsyncIterator[bytes]:
        if self._read:
            yield bytes(self._read)
        if self._lost is not None:
            raise self._lost
        if not self._whole:
            async for chunk in self._relay.chunks():
                yield chunk

    async def close(self) -> None:
        async with self._relay:
            return

    def relay(self) -> Relay:
        """Return it as it is passed on; its record is written by the relay that it came from."""
        return Relay(self, _nothing, 0)


def _nothing(answer: Answer) -> None:
    """The relay below has told already."""


def streams(relay: Relay) -> bool:
    """Say whether an answer has a head before it has a response; else it is as good as there."""
    media = next((value for name, value in relay.headers if name.lower() == "content-type"), "")
    return relay.status == 200 and media.partition(";")[0].strip().lower() == EVENTS


class Flights:
    """Answers that are under way in this process for tasks: read on, or ended with their task."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._landing: dict[str, Relay | None] = {}  #: by action; None: it has no head yet
        self._unwanted: set[str] = set()

    def begin(self, action_id: str) -> None:
        """Note that an answer is awaited here."""
        self._landing.setdefault(action_id, None)

    async def landed(self, action_id: str, relay: Relay | None) -> None:
        """Read an answer on for the record, or end it where nobody wants it any more."""
        self._landing.pop(action_id, None)
        self._landing = {key: each for key, each in self._landing.items() if _flies(each)}
        unwanted = action_id in self._unwanted
        self._unwanted.discard(action_id)
        if relay is None:
            return
        if unwanted:
            async with relay:
                return
        self._landing[action_id] = relay
        self._gate.read_on(relay)

    async def end(self, action_id: str) -> None:
        """End the request of an action at its server, as far as this process has it."""
        if action_id not in self._landing:
            return
        relay = self._landing.pop(action_id)
        if relay is None:
            if not self._gate.stop(action_id):
                self._unwanted.add(action_id)
        elif not relay.ended:
            async with relay:
                return


def _flies(relay: Relay | None) -> bool:
    return relay is None or not relay.ended
