"""Notices that people were not told of, over the API."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from interlock.core.desk import Absence
from interlock.core.identity import Kind
from interlock.people_ports import Entry, Room
from interlock.ports import Notice

from .test_access import session
from .world import World


async def dead(world: World, action: str = "a1", why: str = "410") -> Entry:
    """Let a notice of *action* become a dead letter."""
    assert world.deps.outbox is not None
    await world.deps.outbox.put(action, 1, Notice.HELD, ["webhook.ops"])
    (entry,) = await world.deps.outbox.claim([Room(channel="webhook.ops", most=1)], 60_000)
    await world.deps.outbox.bury(entry, why)
    return entry


async def asked(world: World, method: str, path: str, **more: Any) -> tuple[int, dict[str, Any]]:
    answer = await world.ask(method, path, key=await world.key(Kind.APPROVER), **more)
    return answer.status, await answer.json()


async def test_dead_letters_and_what_waits_are_listed_with_why(world: World) -> None:
    entry = await dead(world, why="the receiver answered 410\u202e")
    assert world.deps.outbox is not None
    await world.deps.outbox.put("a2", 2, Notice.ESCALATED, ["webhook.ops"])
    status, said = await asked(world, "GET", "/v1/notifications")
    (letter,), (waiting,) = said["dead"], said["waiting"]
    assert status == 200 and (said["dead_total"], said["waiting_total"]) == (1, 1)
    assert letter["id"] == entry.id and letter["died"] > 0 and letter["due"] == 0
    assert letter["failed"] == "the receiver answered 410<U+202E>"
    assert (waiting["action_id"], waiting["notice"], waiting["tries"]) == ("a2", "escalated", 0)
    assert said["channels"] == ["webhook.ops", "webhook.broken"] and said["csrf"] == ""


async def test_the_owner_of_an_agent_drops_no_notice_of_its_calls(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    action = await world.hold()
    entry = await dead(world, action.id)
    path = f"/v1/notifications/{entry.id}"
    for kind in (Kind.APPROVER, Kind.ADMIN):
        refused = await world.ask("DELETE", path, key=await world.key(kind, "olga"))
        assert refused.status == 403 and "You own the agent" in (await refused.json())["detail"]
    said = Absence(person="olga", groups=(), to="dan", until=2**42, since=0)
    await world.deps.desk.go_away(said)
    instead = await world.ask("DELETE", path, key=await world.key(Kind.APPROVER, "dan"))
    assert instead.status == 403
    with caplog.at_level(logging.WARNING, "interlock.audit"):
        assert (await asked(world, "DELETE", path))[0] == 200
    assert f"dropped by=a-approver channel=webhook.ops notice=held calls={action.id}" in caplog.text


async def test_a_dead_letter_is_sent_again_once(world: World) -> None:
    entry = await dead(world)
    path = f"/v1/notifications/{entry.id}/retry"
    assert await asked(world, "POST", path) == (200, {"id": entry.id, "outcome": "waiting"})
    assert (await asked(world, "POST", path))[0] == 404
    assert world.deps.outbox is not None
    assert await world.deps.outbox.counts() == (1, 0)


async def test_a_notice_is_dropped_and_who_did_is_recorded(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    entry = await dead(world)
    path = f"/v1/notifications/{entry.id}"
    assert await asked(world, "DELETE", path) == (200, {"id": entry.id, "outcome": "dropped"})
    assert f"notice {entry.id} dropped by=a-approver" in caplog.text
    assert (await asked(world, "DELETE", path))[0] == 404
    assert (await asked(world, "GET", "/v1/notifications"))[1]["dead"] == []


async def test_a_channel_is_tried_out(world: World) -> None:
    path = "/v1/notifications/test"
    works = await asked(world, "POST", path, json={"channel": "webhook.ops"})
    assert works == (200, {"channel": "webhook.ops", "delivered": True, "why": ""})
    status, said = await asked(world, "POST", path, json={"channel": "webhook.broken"})
    assert (status, said["delivered"]) == (200, False) and "500" in said["why"]
    status, said = await asked(world, "POST", path, json={"channel": "slack"})
    assert status == 404 and "webhook.ops" in said["detail"]
    assert (await asked(world, "POST", path, json={"chanel": "slack"}))[0] == 400


async def test_a_session_needs_its_token_to_change_anything(world: World) -> None:
    entry = await dead(world)
    client, _ = await session(world)
    path = f"{world.url}/v1/notifications/{entry.id}"
    async with client:
        token = (await (await client.get(f"{world.url}/v1/notifications")).json())["csrf"]
        ours = {"Origin": world.url}
        refused = await client.delete(path, headers=ours)
        done = await client.delete(path, headers=ours | {"Interlock-CSRF": token})
    assert (refused.status, done.status) == (403, 200)
