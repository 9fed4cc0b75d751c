"""Keeping house: ends what has lapsed, sends what a stopped process left, reminds people."""

from __future__ import annotations

import asyncio

from .announcing import Announcer
from .core.actions import Action, State
from .core.errors import StoreUnavailable
from .ports import Notice, Store
from .sending import Sender

BATCH = 200  #: of what has lapsed or is to be told of again, in one sweep
LATE_MS = 60_000  #: how late a sweep may notice that more people may decide now


class Sweeper:
    """Looks after what nobody else would: `sweep` is called again and again, in every process."""

    def __init__(
        self,
        *,
        store: Store,
        sender: Sender,
        announcer: Announcer,
        resume_after_ms: int,
        closing: asyncio.Event,
    ) -> None:
        self._store = store
        self._sender = sender
        self._announcer = announcer
        self._resume_after_ms = resume_after_ms
        self._closing = closing

    async def sweep(self) -> None:
        """Look once. Raises StoreUnavailable where the store does not answer."""
        for action_id in await self._store.due(BATCH):
            await self._found(action_id)  # reading ends it
        if self._closing.is_set():
            return
        for action_id in await self._store.ready():
            action = await self._found(action_id)
            if action is None or action.state is not State.APPROVED:
                continue
            if await self._store.now() - action.changed >= self._resume_after_ms:
                self._sender.dispatch_soon(action)
        await self._remind()

    async def _remind(self) -> None:
        for action_id in await self._store.remind(BATCH):
            action = await self._found(action_id)
            if action is not None and action.state is State.HELD:
                self._announcer.tell(action, why_again(action, await self._store.now()))

    async def _found(self, action_id: str) -> Action | None:
        """Read one of many: a damaged record is left alone, a store that is down is not."""
        try:
            return await self._store.get(action_id)
        except StoreUnavailable:
            await self._store.now()
            return None


def why_again(action: Action, now: int) -> Notice:
    """Say why people hear of a held call again at *now* (ms, by the store's clock)."""
    decision = action.decision
    if decision is None:
        return Notice.REMINDER
    past = now - action.created
    reminded = past - past % decision.remind_ms if decision.remind_ms else 0
    since = min(reminded, past - LATE_MS)
    escalated = any(since <= each.after_ms <= past for each in decision.escalate)
    return Notice.ESCALATED if escalated else Notice.REMINDER
