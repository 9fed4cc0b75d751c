"""Keeps a client's request open while people decide on the call that it made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace

from ...callers import Submission
from ...core.actions import Action, ToolCall
from ...core.errors import StateUnavailable, StoreUnavailable
from ...core.messages import Message
from ...gate import Gate
from ...tasks import Tasks, stopped
from . import results
from .results import Asker
from .session import Caller, Channel

KEEP = 5.0  #: seconds between signs of life
PRESENCE = 8.0  #: seconds that a request's end leaves its caller to come back by itself
THINKING = 60.0  #: seconds that a model has to come back, once it was told that its call waits
SILENT = 20.0  #: seconds that a connection is held on which nothing can be sent meanwhile
MOST = 10_000  #: requests that are known by their ids at once

Key = tuple[str, str, str, str, str]


class Waiting:
    """The requests that are held open in this process, and the calls that they wait for."""

    def __init__(self, gate: Gate, running: Tasks) -> None:
        self._gate = gate
        self._running = running
        self._open: dict[Key, list[str]] = {}  #: requests of this id -> their actions
        self._count: dict[str, int] = {}  #: action -> requests that wait for it

    async def follow(
        self, action: Action, message: Message, caller: Caller, channel: Channel, seconds: float
    ) -> Submission:
        """Wait for *action*; where it is sent from here meanwhile, its answer comes as it streams.

        Raises:
            StateUnavailable: what becomes of it cannot be read.
        """
        if seconds <= 0:
            return Submission(action=action)
        followed: Submission | None = None
        try:
            async with self._kept(action, message, caller, channel):
                again = asked_here(action.call, caller)
                followed = await self._gate.follow(action, seconds, again)
        except BaseException:
            if followed is not None and followed.relay is not None:
                self._gate.read_on(followed.relay)  # its record is not lost with its caller
            raise
        return followed

    async def settle(
        self, action: Action, message: Message, caller: Caller, channel: Channel, seconds: float
    ) -> Submission:
        """Wait for *action* until its answer is recorded. Raises as `follow`."""
        async with self._kept(action, message, caller, channel):
            again = asked_here(action.call, caller)
            return Submission(action=await self._gate.wait(action, seconds, again))

    @asynccontextmanager
    async def _kept(
        self, action: Action, message: Message, caller: Caller, channel: Channel
    ) -> AsyncIterator[None]:
        to = results.asker(message, caller)
        with self._counted(action.id):
            keeping = self._running.spawn(self._keep(action, to, channel), f"keep-{action.id}")
            try:
                yield
            except StoreUnavailable as error:  # it may have been decided and sent meanwhile
                raise StateUnavailable from error
            except asyncio.CancelledError:
                if caller.modern and self._count[action.id] == 1:
                    self._running.spawn(self._leave(action), f"gone-{action.id}")
                raise
            finally:
                await stopped([keeping])

    async def _keep(self, action: Action, to: Asker, channel: Channel) -> None:
        """Tell people that the caller waits, and the caller that it is not forgotten."""
        count = 0
        with suppress(ConnectionError):  # whoever has gone is not waiting any more
            while True:
                await self._attend(action, KEEP + PRESENCE)
                await asyncio.sleep(KEEP)
                count += 1
                if channel.streams:
                    await channel.keep(results.progress(to, count))

    async def told(self, action: Action) -> None:
        """Note that the model was told that *action* waits, and may come back for it."""
        await self._attend(action, THINKING)

    async def _attend(self, action: Action, seconds: float) -> None:
        with suppress(StoreUnavailable):  # at worst the call counts as one whose caller has gone
            await self._gate.store.attend(action.id, seconds)

    async def _leave(self, action: Action) -> None:
        with suppress(StoreUnavailable):  # then policy's word for callers that have gone holds
            await self._gate.store.leave(action.id)

    # by the id of the request --------------------------------------------------------------

    @contextmanager
    def _counted(self, action_id: str) -> Iterator[None]:
        self._count[action_id] = self._count.get(action_id, 0) + 1
        try:
            yield
        finally:
            self._count[action_id] -= 1
            if not self._count[action_id]:
                del self._count[action_id]

    @contextmanager
    def named(self, message: Message, caller: Caller, action: Action) -> Iterator[None]:
        """Within it, the request can be cancelled by its id, which takes the call back."""
        key = _key(message.id, caller)
        if len(self._open) >= MOST:
            yield
            return
        actions = self._open.setdefault(key, [])
        actions.append(action.id)
        try:
            yield
        finally:
            actions.remove(action.id)
            if not actions:
                del self._open[key]

    def waits_for(self, given: object, caller: Caller) -> str | None:
        """Return the id of the action for which the request *given* of *caller* waits here.

        None too where clients without sessions use one id for two: nobody can tell which is meant.
        """
        actions = set(self._open.get(_key(given, caller), ()))
        return actions.pop() if len(actions) == 1 else None

    def others_wait(self, action_id: str) -> bool:
        """Say whether more than one request waits for an action here."""
        return self._count.get(action_id, 0) > 1


def _key(given: object, caller: Caller) -> Key:
    kind = type(given).__name__  # 1 and "1" are two ids
    return caller.agent.id, caller.server.name, caller.session, kind, str(given)


def asked_here(call: ToolCall, caller: Caller) -> ToolCall:
    """Return *call* as its caller would ask for it again on the connection that it has now."""
    return replace(call, mcp=replace(call.mcp, session=caller.session)) if call.mcp else call
