"""Conversations that are ended after the test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from interlock.store.redis import RedisStore
from tests.ingress.mcp.conversation import Start, Talk


@pytest.fixture
async def talk(store: RedisStore) -> AsyncIterator[Start]:
    """Return what starts a conversation; all are ended after the test."""
    begun: list[Talk] = []

    def start(**more: Any) -> Talk:
        begun.append(Talk(store, name=f"t{len(begun)}", **more))
        return begun[-1]

    yield start
    for each in begun:
        await each.calls.close(10)
        await each.gate.close(10)
