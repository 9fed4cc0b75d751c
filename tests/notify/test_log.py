from __future__ import annotations

import logging

import pytest

from interlock.core.decisions import Level
from interlock.notify.log import Notifier
from interlock.store.redis import RedisStore
from tests.support.fakes import World


async def test_people_are_told_what_waits_and_where_to_decide_it(
    store: RedisStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "interlock.notify")
    world = World(store, notifiers=[Notifier("http://127.0.0.1:8081/")])
    held = await world.held(Level.APPROVE_DUAL)
    await world.ask(Level.NOTIFY)
    await world.quiet()

    waits, passed = (record.getMessage() for record in caplog.records)
    assert f"http://127.0.0.1:8081/review/{held.id}" in waits and "by 2 people" in waits
    assert "for your notice" in passed
