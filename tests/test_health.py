"""`/readyz` says whether calls can be recorded, and why not."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from interlock.health import Health, add_health
from interlock.observe.metrics import Metrics
from interlock.store.redis import RedisStore
from tests.support.fakes import World
from tests.support.stores import Server


async def ready(store: RedisStore) -> tuple[int, dict[str, Any]]:
    app = web.Application()
    add_health(app, Health(gate=World(store).gate, store=store, metrics=Metrics()))
    async with TestClient(TestServer(app)) as client, client.get("/readyz") as answer:
        return answer.status, await answer.json()


async def test_a_store_that_is_full_is_not_ready_and_says_why(own_server: Server) -> None:
    store = RedisStore(own_server.url)
    assert (await ready(store))[0] == 200
    own_server.ask("CONFIG", "SET", "maxmemory", 1)
    status, said = await ready(store)
    assert (status, said["ready"]) == (503, False)
    assert "full" in said["why"] and "maxmemory" in said["why"]

    own_server.ask("CONFIG", "SET", "maxmemory", 0)
    assert (await ready(store))[0] == 200
    await store.close()
