"""`/readyz` says whether calls can be recorded, and why not."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from interlock.core.desk import EVERYBODY, Suspension
from interlock.core.errors import StoreUnavailable
from interlock.health import Health, add_health
from interlock.learning_ports import Kept
from interlock.observe.metrics import Metrics
from interlock.store.desk import RedisDesk
from interlock.store.redis import RedisStore
from tests.observe.test_audited import Kept as Audits
from tests.support.archive import MemoryArchive
from tests.support.fakes import SEAL_KEY, World
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


async def figures(health: Health) -> dict[str, float]:
    """Return the samples without labels that `/metrics` answers with."""
    app = web.Application()
    add_health(app, health)
    async with TestClient(TestServer(app)) as client, client.get("/metrics") as answer:
        assert answer.status == 200
        lines = (await answer.text()).splitlines()
    said = [line.split(" ") for line in lines if line.startswith("interlock_") and "{" not in line]
    return {name: float(value) for name, value in said}


def stopped(agent: str) -> Suspension:
    return Suspension(agent=agent, by="ann", reason="It pays twice.", at=0)


async def test_metrics_tell_who_is_stopped_now(store: RedisStore) -> None:
    desk = RedisDesk(store.client, key=SEAL_KEY, prefix=store._prefix[1:-1])
    health = Health(gate=World(store).gate, store=store, metrics=Metrics(), desk=desk)
    for agent in ("bot", EVERYBODY):
        await desk.suspend(stopped(agent))
    found = await figures(health)
    assert found["interlock_agents_stopped"] == 1
    assert found["interlock_all_agents_stopped"] == 1

    await desk.resume(EVERYBODY)
    found = await figures(health)
    assert found["interlock_agents_stopped"] == 1
    assert found["interlock_all_agents_stopped"] == 0


async def test_a_stop_that_vanished_from_the_store_is_told_until_somebody_resumes(
    store: RedisStore,
) -> None:
    desk = RedisDesk(store.client, key=SEAL_KEY, prefix=store._prefix[1:-1])
    store.stops_known = desk.stops_known
    world = World(store)
    health = Health(gate=world.gate, store=store, metrics=Metrics(), desk=desk)
    await desk.suspend(stopped("bot"))
    assert (await figures(health))["interlock_stops_lifted"] == 0
    assert (await ready(store))[0] == 200

    await store.client.delete(f"{store._prefix}:stopped")
    await world.gate.sweep()
    found = await figures(health)
    assert (found["interlock_stops_lifted"], found["interlock_agents_stopped"]) == (1, 1)
    status, said = await ready(store)
    assert (status, said["ready"]) == (503, False)
    assert "past Interlock" in said["why"] and "bot" not in said["why"], "anybody may ask"

    await desk.resume("bot")
    assert (await figures(health))["interlock_stops_lifted"] == 0
    assert (await ready(store))[0] == 200


class Broken(MemoryArchive):
    """An archive whose disk is full."""

    async def kept(self) -> Kept:
        raise StoreUnavailable("The archive does not answer.")


async def test_metrics_tell_what_the_archive_lacks_as_the_store_counts_it(
    store: RedisStore,
) -> None:
    async def behind() -> int:
        return 5

    health = Health(
        gate=World(store).gate,
        store=store,
        metrics=Metrics(),
        archive=MemoryArchive(),
        behind=behind,
    )
    found = await figures(health)
    assert (found["interlock_archive_up"], found["interlock_records_behind"]) == (1, 5)


async def test_an_archive_that_does_not_answer_leaves_other_figures_as_they_are(
    store: RedisStore,
) -> None:
    world = World(store)
    await world.held()
    health = Health(gate=world.gate, store=store, metrics=Metrics(), archive=Broken())
    found = await figures(health)
    assert (found["interlock_archive_up"], found["interlock_holds_open"]) == (0, 1)
    assert "interlock_records_kept" not in found


async def test_a_store_that_is_gone_has_no_figures_of_what_waits(own_server: Server) -> None:
    async def behind() -> int:
        raise StoreUnavailable

    store = RedisStore(own_server.url)
    health = Health(
        gate=World(store).gate,
        store=store,
        metrics=Metrics(),
        audits=Audits(),
        archive=MemoryArchive(),
        behind=behind,
    )
    assert (await figures(health))["interlock_audits_waiting"] == 10, "in tens"
    own_server.kill()
    found = await figures(health)
    assert (found["interlock_store_up"], found["interlock_archive_up"]) == (0, 1)
    assert "interlock_audits_waiting" not in found
    assert "interlock_records_behind" not in found
    await store.close()
