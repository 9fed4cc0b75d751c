"""Agents say afterwards how their own calls turned out: bounded, and only of what has ended."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from interlock.core.decisions import Level
from interlock.core.errors import MalformedCall
from interlock.core.records import Turned
from interlock.ingress.outcome import LONGEST_MESSAGE, REPORTS, parse_outcome
from interlock.store.audits import RedisAudits
from interlock.store.feed import RedisFeed
from interlock.store.redis import RedisStore
from interlock.system import RandomIds
from tests.ingress.test_http import PAY, Client
from tests.support.fakes import World


@pytest.fixture
async def client(store: RedisStore) -> AsyncIterator[Client]:
    world = World(store, ids=RandomIds())
    prefix = store._prefix.strip("{}")
    told = RedisAudits(store.client, world.gate.notes, prefix)
    async with Client(world, audits=told) as client:
        yield client


async def answered(client: Client) -> str:
    _, headers, _ = await client.ask("POST", "/t/bank/read?to=bob", **PAY)
    await client.world.quiet()
    return headers["Interlock-Call-Id"]


def wrong(message: str = "It paid the wrong invoice.") -> dict[str, Any]:
    return {"json": {"turned": "wrong", "message": message}}


async def test_a_report_of_an_ended_call_makes_a_new_record_of_it(client: Client) -> None:
    name = await answered(client)

    status, _, body = await client.ask("POST", f"/v1/calls/{name}/outcome", **wrong())

    assert (status, body) == (204, b"")
    feed = RedisFeed(client.world.store.url, client.world.store._prefix.strip("{}"))
    entries = (await feed.read("", 10, 0)).entries
    await feed.close()
    first, second = map(client.world.gate.notes.decode, entries)
    assert (first.told, first.reports) == (0, ())
    (report,) = second.reports
    assert second.told == 1
    assert (report.by, report.turned, report.message) == (
        "agent",
        Turned.WRONG,
        "It paid the wrong invoice.",
    )


async def test_a_call_of_another_agent_is_not_there(client: Client) -> None:
    name = await answered(client)
    path = f"/v1/calls/{name}/outcome"

    status, headers, body = await client.ask("POST", path, "ilk_agent_eve", **wrong())

    assert status == 404
    assert headers["Content-Type"] == "application/problem+json"
    assert json.loads(body)["detail"].startswith("NOT REPORTED. You have no call")


async def test_nobody_reports_without_a_key(client: Client) -> None:
    name = await answered(client)
    assert (await client.ask("POST", f"/v1/calls/{name}/outcome", None, **wrong()))[0] == 401


async def test_a_call_that_still_waits_has_not_turned_out_yet(client: Client) -> None:
    action = await client.world.held(Level.APPROVE)

    status, _, body = await client.ask("POST", f"/v1/calls/{action.id}/outcome", **wrong())

    assert status == 409
    assert "it has not turned out yet" in json.loads(body)["detail"]


async def test_five_reports_of_a_call_are_kept_and_no_more(client: Client) -> None:
    path = f"/v1/calls/{await answered(client)}/outcome"

    found = [(await client.ask("POST", path, **wrong(str(n))))[0] for n in range(REPORTS + 1)]

    assert found == [204] * REPORTS + [429]


async def test_only_post_is_possible(client: Client) -> None:
    status, _, body = await client.ask("GET", f"/v1/calls/{await answered(client)}/outcome")
    assert status == 404
    assert "Only POST" in json.loads(body)["detail"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"turned": "fine"},
        {"turned": True},
        {"turned": "right", "message": 1},
        {"turned": "right", "more": "x"},
        {"turned": "right", "message": "x" * (LONGEST_MESSAGE + 1)},
        ["right"],
    ],
)
async def test_what_is_no_report_is_refused_and_says_what_is_one(client: Client, body: Any) -> None:
    path = f"/v1/calls/{await answered(client)}/outcome"

    status, _, answer = await client.ask("POST", path, json=body)

    assert status == 400
    assert json.loads(answer)["detail"].startswith("NOT REPORTED. ")


def test_a_message_may_be_left_out() -> None:
    assert parse_outcome("application/json", b'{"turned": "right"}') == (Turned.RIGHT, "")


def test_what_is_no_json_is_no_report() -> None:
    with pytest.raises(MalformedCall, match="must be an object"):
        parse_outcome("text/plain", b"right")
