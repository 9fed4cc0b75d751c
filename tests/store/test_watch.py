"""Waiting: woken at once by the log, found by the poll without it, and never for ever."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from interlock.core.actions import Action
from interlock.core.events import Cancelled, Decided
from interlock.core.lifecycle import step
from interlock.ports import Change
from interlock.store.redis import RedisStore
from tests.support.builders import a_decision, an_action
from tests.support.faults import WAKE, plant
from tests.support.stores import Server


async def hold(store: RedisStore, name: str) -> Action:
    proposed = replace(an_action(action_id=name), fingerprint=name)
    event = Decided(at=await store.now(), decision=a_decision())
    after, _ = step(proposed, event)
    await store.put(Change(before=proposed, event=event, after=after, nonce=f"h{name}"))
    held = await store.get(name)
    assert held is not None
    return held


async def cancel(store: RedisStore, action: Action) -> None:
    event = Cancelled(at=await store.now(), by="bot")
    after, _ = step(action, event)
    await store.put(Change(before=action, event=event, after=after, nonce=f"c{action.id}"))


async def test_many_waiters_of_one_process_wake_for_their_own_call_only(store: RedisStore) -> None:
    held = [await hold(store, f"a{n}") for n in range(20)]
    waits = [asyncio.ensure_future(store.changed(a.id, a.version, 60)) for a in held for _ in "xy"]
    while len(store._watch) < len(waits):
        await asyncio.sleep(0)
    for action in held[:10]:
        await cancel(store, action)

    await asyncio.wait_for(asyncio.gather(*waits[:20]), 20)

    assert not any(wait.done() for wait in waits[20:])
    for wait in waits[20:]:
        wait.cancel()
    await asyncio.gather(*waits[20:], return_exceptions=True)
    assert len(store._watch) == 0, "nothing is kept of waiters that are gone"


async def test_a_change_that_came_before_the_waiting_is_found(store: RedisStore) -> None:
    held = await hold(store, "a1")
    await cancel(store, held)

    await asyncio.wait_for(store.changed("a1", held.version, 60), 20)

    assert (await store.get("a1")) != held


async def test_without_any_wake_up_the_poll_finds_it(store: RedisStore) -> None:
    plant(store, WAKE)
    held = await hold(store, "a1")
    waiting = asyncio.ensure_future(store.changed("a1", held.version, 60))
    await cancel(store, held)

    await asyncio.wait_for(waiting, 20)
    assert await store.client.exists(f"{store._prefix}:log") == 0


async def test_a_waiter_gives_up_in_time(store: RedisStore) -> None:
    held = await hold(store, "a1")

    await store.changed("a1", held.version, 0.01)

    assert await store.get("a1") == held and len(store._watch) == 0


async def test_listeners_hear_of_every_move_until_they_stop(store: RedisStore) -> None:
    heard: list[str] = []
    moved = asyncio.Event()

    def listener(action_id: str) -> None:
        heard.append(action_id)
        moved.set()

    stop = store.listen(listener)
    first = await hold(store, "a1")
    while "a1" not in heard:
        await asyncio.wait_for(moved.wait(), 20)
        moved.clear()
    stop()
    await cancel(store, first)
    await store.changed("a1", 1, 20)

    assert set(heard) == {"a1"}


async def test_waiting_goes_on_after_kill_9_of_the_store(own_server: Server) -> None:
    store = RedisStore(own_server.url)
    held = await hold(store, "a1")
    waiting = asyncio.ensure_future(store.changed("a1", held.version, 60))
    while not len(store._watch):
        await asyncio.sleep(0)
    own_server.kill()
    own_server.start()
    await cancel(store, held)

    await asyncio.wait_for(waiting, 30)
    assert len(await store.history("a1")) == 2
    await store.close()
