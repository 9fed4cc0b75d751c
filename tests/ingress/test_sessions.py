"""What the user asked for, told for a session: by whom, how large, and of how many."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from interlock.core.counting import session_key
from interlock.core.errors import CallTooLarge
from interlock.core.facts import Needs
from interlock.ingress.sessions import LONGEST_TASK, parse_task
from interlock.ports import Limits
from interlock.store.redis import RedisStore
from interlock.system import RandomIds
from tests.ingress.test_http import Client
from tests.support.fakes import World
from tests.support.stores import Server, fresh_prefix


@pytest.fixture
async def client(store: RedisStore) -> AsyncIterator[Client]:
    async with Client(World(store, ids=RandomIds())) as client:
        yield client


def body(task: str) -> bytes:
    return json.dumps({"task": task}, ensure_ascii=False).encode()


@pytest.mark.parametrize("letter", ["x", "\u00e9", "\u20ac", "\U0001f600"])
def test_a_request_is_bounded_by_its_bytes_and_not_by_its_letters(letter: str) -> None:
    longest = letter * (LONGEST_TASK // len(letter.encode()))
    assert parse_task("application/json", body(longest)) == longest

    with pytest.raises(CallTooLarge, match=f"bytes in UTF-8; at most {LONGEST_TASK}"):
        parse_task("application/json", body(longest + letter))


async def test_what_the_user_asked_for_is_kept_for_the_agents_own_session(client: Client) -> None:
    told = {"json": {"task": "Pay Bob his rent."}}
    status, _, body = await client.ask("PUT", "/v1/sessions/chat%2F7%25", **told)
    assert (status, body) == (204, b"")

    for agent, session, known in (
        ("bot", "chat/7%", "Pay Bob his rent."),
        ("bot", "chat", None),
        ("eve", "chat/7%", None),
    ):
        needs = Needs(session=session_key(agent, session), task=True)
        assert (await client.world.store.facts(needs)).task == known


@pytest.mark.parametrize(
    ("path", "more", "wanted", "told"),
    [
        ("a%20b", {"json": {"task": "x"}}, 400, b"visible ASCII"),
        ("a" * 201, {"json": {"task": "x"}}, 400, b"1 to 200"),
        ("a", {"json": {"tsk": "x"}}, 400, b"`task` alone"),
        ("a", {"json": {"task": "x", "more": 1}}, 400, b"`task` alone"),
        ("a", {"json": {"task": 1}}, 400, b"must be text"),
        ("a", {"json": ["x"]}, 400, b"`task` alone"),
        ("a", {"data": b"{", "headers": {"Content-Type": "application/json"}}, 400, b"JSON"),
        ("a", {"data": b'{"task": "x"}'}, 400, b"`task` alone"),
        ("a", {}, 400, b"`task` alone"),
        ("a", {"json": {"task": "x" * 16_385}}, 413, b"16385 bytes in UTF-8; at most 16384"),
        ("a", {"json": {"task": "\U0001f600" * 4_097}}, 413, b"16388 bytes in UTF-8"),
        ("a", {"json": {"task": "x" * 140_000}}, 413, b"larger than"),
        ("a/b", {"json": {"task": "x"}}, 404, b"nothing at"),
    ],
)
async def test_a_request_that_is_not_understood_is_refused_in_words(
    client: Client, path: str, more: dict[str, Any], wanted: int, told: bytes
) -> None:
    status, _, body = await client.ask("PUT", f"/v1/sessions/{path}", **more)

    assert status == wanted and told in body, body


@pytest.mark.parametrize("key", [None, "ilk_agent_unknown", "ilk_approver_ann"])
async def test_only_an_agent_states_what_its_user_asked_for(
    client: Client, key: str | None
) -> None:
    status, _, _ = await client.ask("PUT", "/v1/sessions/a", key, json={"task": "x"})

    assert status == 401


async def test_an_agent_that_fills_its_sessions_is_told_so_and_hinders_nobody(
    server: Server,
) -> None:
    store = RedisStore(server.url, fresh_prefix(), Limits(tasks_per_agent=1))
    told: dict[str, Any] = {"json": {"task": "Pay Bob."}}
    async with Client(World(store, ids=RandomIds())) as client:
        assert (await client.ask("PUT", "/v1/sessions/a", **told))[0] == 204
        status, headers, body = await client.ask("PUT", "/v1/sessions/b", **told)
        assert status == 429 and "Retry-After" in headers
        assert b"sessions of this agent are kept already" in body
        assert (await client.ask("PUT", "/v1/sessions/b", "ilk_agent_eve", **told))[0] == 204
    await store.close()


async def test_a_session_that_is_not_encoded_as_it_must_be_is_refused(client: Client) -> None:
    answer = await client.raw(
        b"PUT /v1/sessions/a%zz HTTP/1.1\r\nHost: 127.0.0.1\r\nInterlock-Key: ilk_agent_bot\r\n"
        b"Connection: close\r\nContent-Length: 0\r\n\r\n"
    )

    assert answer.startswith(b"HTTP/1.1 400") and b"percent-encoded in the path" in answer


async def test_a_session_is_only_stated_never_read(client: Client) -> None:
    assert (await client.ask("GET", "/v1/sessions/a"))[0] == 404
