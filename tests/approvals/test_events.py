"""The live queue, followed as a client does."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import pytest
from aiohttp import ClientSession, TCPConnector

from interlock.approvals.events import FEED, OF_ONE, STREAMS
from interlock.approvals.problems import TooManyStreams
from interlock.core.desk import EVERYBODY, Suspension
from interlock.core.identity import Kind

from .world import World, a_call


class Stream:
    """One open stream."""

    def __init__(self, world: World, client: ClientSession, key: str, seen: str = "") -> None:
        self._client, self._url, self._key, self._seen = client, world.url, key, seen

    async def __aenter__(self) -> Stream:
        headers = {"Authorization": f"Bearer {self._key}"}
        if self._seen:
            headers["Last-Event-ID"] = self._seen
        self.response = await self._client.get(f"{self._url}/v1/events", headers=headers)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.response.close()

    async def next(self) -> tuple[str, Any]:
        """Return id and data of the next event."""
        name = ""
        async with asyncio.timeout(5):
            while True:
                line = (await self.response.content.readline()).decode().rstrip("\n")
                if line.startswith("id: "):
                    name = line[4:]
                if line.startswith("data: "):
                    return name, json.loads(line[6:])


async def test_a_new_hold_is_told_at_once(world: World) -> None:
    key = await world.key(Kind.APPROVER)
    async with ClientSession() as client, Stream(world, client, key) as stream:
        assert stream.response.content_type == "text/event-stream"
        assert (await stream.next())[1] == {"held": [], "total": 0, "halted": None}
        action = await world.hold()
        data: Any = {}
        while not data.get("held"):
            _, data = await stream.next()
        assert data == {"held": [[action.id, action.version]], "total": 1, "halted": None}


async def test_a_stop_of_all_agents_is_told_to_pages_that_are_open(world: World) -> None:
    key = await world.key(Kind.APPROVER)
    async with ClientSession() as client, Stream(world, client, key) as stream:
        assert (await stream.next())[1]["halted"] is None
        stop = Suspension(agent=EVERYBODY, by="carol", reason="An incident.", at=0)
        await world.deps.desk.suspend(stop)
        halted = (await stream.next())[1]["halted"]
        assert (halted["by"], halted["reason"]) == ("carol", "An incident.")
        await world.deps.desk.resume(EVERYBODY)
        assert (await stream.next())[1]["halted"] is None


async def test_a_decision_is_told_too(world: World) -> None:
    action, key = await world.hold(), await world.key(Kind.APPROVER)
    async with ClientSession() as client, Stream(world, client, key) as stream:
        assert (await stream.next())[1]["total"] == 1
        await world.decide(action, key, type="reject", message="no")
        total = 1
        while total:
            total = (await stream.next())[1]["total"]
        assert total == 0


async def test_a_stream_taken_up_again_does_not_repeat_what_was_told(world: World) -> None:
    await world.hold()
    key = await world.key(Kind.APPROVER)
    async with ClientSession() as client:
        async with Stream(world, client, key) as stream:
            name, _ = await stream.next()
        async with Stream(world, client, key, seen=name) as again:
            second = await world.hold(a_call(body=b'{"amount": 2, "recipient": "x"}'))
            _, data = await again.next()
            assert second.id in [held[0] for held in data["held"]]


async def test_stopping_the_listener_ends_every_stream(world: World) -> None:
    key = await world.key(Kind.APPROVER)
    async with ClientSession() as client, Stream(world, client, key) as stream:
        await stream.next()
        async with asyncio.timeout(5):
            await world.server.app.shutdown()
            rest = await stream.response.content.read()
        assert b"data:" not in rest


async def test_one_person_leaves_the_live_queue_to_others(world: World) -> None:
    auditor, ann = await world.key(Kind.AUDITOR, "aud"), await world.key(Kind.APPROVER, "ann")
    async with ClientSession(connector=TCPConnector(limit=0)) as client:
        async with contextlib.AsyncExitStack() as open_:
            for _ in range(OF_ONE):
                stream = await open_.enter_async_context(Stream(world, client, auditor))
                assert stream.response.status == 200
            more = await world.ask("GET", "/v1/events", key=auditor)
            said = await more.json()
            assert (more.status, said["type"]) == (429, "urn:interlock:problem:too-many-streams")
            assert "16" in said["detail"] and "Close some" in said["help"]
            async with Stream(world, client, ann) as hers:
                assert hers.response.status == 200
                await hers.next()


def test_all_streams_together_have_a_bound_and_closed_ones_free_their_place(world: World) -> None:
    feed = world.server.app[FEED]
    with contextlib.ExitStack() as open_:
        for each in range(STREAMS):
            open_.enter_context(feed.place(f"p{each // OF_ONE}"))
        with pytest.raises(TooManyStreams, match="1024"):
            open_.enter_context(feed.place("ann"))
    with feed.place("ann"):
        assert len(feed._open) == 1
