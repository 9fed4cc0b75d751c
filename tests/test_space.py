"""How much room the data directory's disk has, and where that is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from interlock.core.errors import StoreUnavailable
from interlock.health import Health, add_health
from interlock.observe.metrics import Metrics
from interlock.space import LITTLE, left_on, said_of, shortage
from interlock.store.redis import RedisStore
from tests.support.fakes import World
from tests.support.stores import Server

FULL = "The disk of the data directory is full: 3 MB are left."


def test_a_disk_with_room_is_nothing_to_speak_of(tmp_path: Path) -> None:
    assert said_of(LITTLE) == ""
    assert said_of(3 * 1024 * 1024) == FULL
    assert shortage(tmp_path / "not" / "there") == ""
    assert left_on(tmp_path / "not" / "there") is None
    assert left_on(tmp_path)


async def test_readyz_says_that_the_disk_is_full_where_the_store_is_gone(
    own_server: Server,
) -> None:
    store = RedisStore(own_server.url)
    health = Health(gate=World(store).gate, store=store, metrics=Metrics())
    own_server.stop()
    app = web.Application()
    add_health(app, replace(health, shortage=lambda: FULL))
    async with TestClient(TestServer(app)) as client, client.get("/readyz") as answer:
        said = await answer.json()
    assert answer.status == 503
    assert said["why"].startswith(f"{FULL} The store cannot be reached.")
    await store.close()


async def test_no_error_says_where_the_store_is(tmp_path: Path) -> None:
    gone = tmp_path / "a b" / "store.sock"
    store = RedisStore(f"unix://{str(gone).replace(' ', '%20')}")
    try:
        await store.now()
    except StoreUnavailable as error:
        assert "store.sock" not in error.detail and str(tmp_path) not in error.detail
        assert "No such file or directory" in error.detail
    else:
        raise AssertionError("it answered")
    await store.close()
