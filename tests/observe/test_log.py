from __future__ import annotations

import logging

import pytest

from interlock.core.decisions import Level
from interlock.observe.log import TransitionLog
from interlock.store.redis import RedisStore
from tests.support.fakes import World


async def test_each_transition_that_people_care_about_is_one_line(
    store: RedisStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "interlock.actions")
    world = World(store, observers=[TransitionLog()])
    await world.ask(Level.ALLOW)
    held = await world.held(body=b'{"amount": 900, "memo": "canary"}')
    await world.says(held)
    await world.quiet()

    lines = [record.getMessage() for record in caplog.records]
    assert [line.split(" level=")[0] for line in lines] == [
        f"{held.id} proposed -> held",
        f"{held.id} held -> approved",
        f"{held.id} approved -> forwarding",
        f"{held.id} forwarding -> answered",
    ]
    assert "by=ann" in lines[1] and "canary" not in "".join(lines)
