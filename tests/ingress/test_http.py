"""The agents' listener over real sockets: what it takes, how it answers, what it never does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import pytest

from interlock.core.actions import Agent, State, Verdict
from interlock.core.errors import StoreUnavailable, UpstreamLost, UpstreamUnreachable
from interlock.core.identity import KeyRecord, Kind, Principal
from interlock.ingress.http import AgentsListener, Route, server
from interlock.ingress.wire import Settings
from interlock.store.redis import RedisStore
from interlock.system import RandomIds
from tests.support.builders import edited
from tests.support.fakes import World


class Keys:
    """ports.KeyRing with two agents and a person."""

    known = {
        "ilk_agent_bot": Principal(kind=Kind.AGENT, id="bot", owner="olga"),
        "ilk_agent_eve": Principal(kind=Kind.AGENT, id="eve"),
        "ilk_approver_ann": Principal(kind=Kind.APPROVER, id="ann"),
    }

    async def verify(self, key: str) -> Principal | None:
        return self.known.get(key)

    async def create(self, *_: Any) -> tuple[str, KeyRecord]:
        raise NotImplementedError

    async def records(self) -> tuple[KeyRecord, ...]:
        raise NotImplementedError

    async def revoke(self, key_id: str) -> bool:
        raise NotImplementedError


class Client:
    """A listener on a port of its own, and one line for each request."""

    def __init__(self, world: World, **listener: Any) -> None:
        self.world = world
        self.refused: list[str] = []
        usual: dict[str, Any] = {
            "anonymous": None,
            "hosts": frozenset({"127.0.0.1"}),
            "refused": self.refused.append,
        }
        route = Route(name="bank", settings=Settings(max_body=1000), hold_seconds=0)
        made = AgentsListener(world.gate, Keys(), {"bank": route}, **(usual | listener))
        self._own = server(made)
        self._session: aiohttp.ClientSession | None = None
        self._site: asyncio.Server | None = None

    async def __aenter__(self) -> Client:
        self._site = await asyncio.get_running_loop().create_server(self._own, "127.0.0.1", 0)
        self.port = self._site.sockets[0].getsockname()[1]
        self._session = aiohttp.ClientSession(auto_decompress=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None and self._site is not None
        await self._session.close()
        self._site.close()
        await self._own.shutdown(0.1)

    async def ask(
        self, method: str, path: str, key: str | None = "ilk_agent_bot", **more: Any
    ) -> tuple[int, Mapping[str, str], bytes]:
        assert self._session is not None
        headers = more.pop("headers", {}) | ({"Interlock-Key": key} if key else {})
        url = f"http://127.0.0.1:{self.port}{path}"
        async with self._session.request(method, url, headers=headers, **more) as answer:
            return answer.status, answer.headers, await answer.read()

    async def raw(self, data: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        answer = await reader.read(65536)
        writer.close()
        return answer


@pytest.fixture
async def client(store: RedisStore) -> AsyncIterator[Client]:
    async with Client(World(store, ids=RandomIds())) as client:
        yield client


PAY = {"json": {"amount": 900}}
LATER = {"Prefer": "respond-async"}


async def test_an_allowed_call_gets_the_tools_own_answer_and_our_reference(client: Client) -> None:
    status, headers, body = await client.ask("POST", "/t/bank/read?to=bob", **PAY)

    assert (status, body) == (200, b"paid")
    assert headers["Interlock-Decision"] == "allow" and headers["Interlock-Call-Id"]
    (sent,) = client.world.tool.sent
    assert (sent.method, sent.target, sent.body) == ("POST", "/read?to=bob", b'{"amount": 900}')


async def test_a_held_call_is_told_where_to_look_and_replayed_once_approved(client: Client) -> None:
    status, headers, body = await client.ask("POST", "/t/bank/pay?to=bob", headers=LATER, **PAY)
    assert status == 202 and b'"executed": false' in body
    assert headers["Preference-Applied"] == "respond-async" and headers["Retry-After"]
    action = await client.world.gate.get(headers["Interlock-Call-Id"])
    assert action is not None
    await client.world.says(action)
    await client.world.quiet()

    status, headers, body = await client.ask("GET", headers["Location"] + "/response")

    assert (status, body) == (200, b"paid") and headers["Interlock-Replayed"] == "true"
    assert len(client.world.tool.sent) == 1


async def test_a_caller_that_got_its_answer_waits_only_until_it_should_be_back(
    client: Client,
) -> None:
    _, headers, _ = await client.ask("POST", "/t/bank/pay?to=bob", headers=LATER, **PAY)
    store, call = client.world.store, headers["Interlock-Call-Id"]

    assert await store.attended([call]) == (True,)
    (key,) = [key async for key in store.client.scan_iter(match=f"*:w:{call}")]
    assert int(headers["Retry-After"]) * 1000 < await store.client.pttl(key) <= 8000


async def test_a_waiting_caller_gets_the_answer_on_its_own_connection(client: Client) -> None:
    asked = asyncio.ensure_future(
        client.ask("POST", "/t/bank/pay?to=bob", headers={"Prefer": "wait=30"}, **PAY)
    )
    while not (held := (await client.world.store.held(None, 1)).actions):
        await asyncio.sleep(0)
    await client.world.says(held[0])

    status, headers, body = await asked

    assert (status, body) == (200, b"paid") and headers["Preference-Applied"] == "wait=30"


async def test_an_edited_call_says_what_ran_instead(client: Client) -> None:
    client.world.tool.body = (b'{"done": true}',)
    _, headers, _ = await client.ask("POST", "/t/bank/pay?to=bob", headers=LATER, **PAY)
    action = await client.world.gate.get(headers["Interlock-Call-Id"])
    assert action is not None
    await client.world.says(action, verdict=Verdict.EDIT, call=edited(action))
    await client.world.quiet()

    status, headers, body = await client.ask("POST", "/t/bank/pay?to=bob", **PAY)

    assert status == 200 and headers["Interlock-Edited"] == "true"
    assert client.world.tool.sent[0].body == b'{"amount": 90}'
    assert b"done" in body


async def test_following_a_call_answers_304_until_it_moves(client: Client) -> None:
    _, headers, _ = await client.ask("POST", "/t/bank/pay?to=bob", headers=LATER, **PAY)
    where = headers["Location"]
    _, headers, _ = await client.ask("GET", where)

    status, _, body = await client.ask("GET", where, headers={"If-None-Match": headers["ETag"]})

    assert (status, body) == (304, b"")


async def test_cancelling_answers_only_once_the_call_is_fenced(client: Client) -> None:
    _, headers, _ = await client.ask("POST", "/t/bank/pay?to=bob", headers=LATER, **PAY)
    where = headers["Location"]

    status, _, body = await client.ask("DELETE", where)

    assert status == 200 and b'"state": "cancelled"' in body
    action = await client.world.gate.get(headers["Interlock-Call-Id"])
    assert action is not None and action.state is State.CANCELLED


async def test_nobody_sees_or_cancels_another_agents_call(client: Client) -> None:
    _, headers, _ = await client.ask("POST", "/t/bank/pay?to=bob", headers=LATER, **PAY)
    for method, path in (("GET", ""), ("GET", "/response"), ("DELETE", "")):
        status, _, _ = await client.ask(method, headers["Location"] + path, key="ilk_agent_eve")
        assert status == 404


async def test_an_agent_neither_sees_nor_cancels_a_practice_call(client: Client) -> None:
    """Fault caught: an agent learns which of its calls people are tried with."""
    gate, call = client.world.gate, client.world.call()
    decoy = await gate.plant(call, await gate.judge(call), "a0")

    for method, path in (("GET", ""), ("GET", "/response"), ("DELETE", "")):
        status, _, _ = await client.ask(method, f"/v1/calls/{decoy.id}{path}")
        assert status == 404
    assert (await client.world.now(decoy)).state is State.HELD


@pytest.mark.parametrize("tool", ["read", "pay"])
async def test_a_stopped_agent_is_told_so(client: Client, tool: str) -> None:
    store = client.world.store
    await store.client.hset(f"{store._prefix}:stopped", "bot", "{}")

    status, _, body = await client.ask("POST", f"/t/bank/{tool}?to=bob", **PAY)

    said = json.loads(body)
    assert status == said["status"] == 403 and said["type"].endswith(":agent-suspended")
    assert said["detail"].startswith("NOT EXECUTED. This agent was stopped by a person.")
    assert client.world.tool.sent == [] and client.refused == ["agent-suspended"]


@pytest.mark.parametrize("key", [None, "ilk_agent_unknown", "ilk_approver_ann"])
async def test_only_an_agents_key_calls_tools(client: Client, key: str | None) -> None:
    status, headers, body = await client.ask("POST", "/t/bank/read?to=bob", key=key, **PAY)

    assert status == 401 and b"key" in body and "WWW-Authenticate" in headers
    assert client.world.tool.sent == [] and client.refused == ["unauthenticated"]


async def test_without_a_key_the_configured_local_agent_calls(store: RedisStore) -> None:
    async with Client(World(store, ids=RandomIds()), anonymous=Agent(id="local")) as client:
        status, _, _ = await client.ask("POST", "/t/bank/read?to=bob", key=None, **PAY)
        assert status == 200
        assert client.world.tool.sent[0].agent.id == "local"


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"Host": "evil.example"}, b"not known as"),
        ({"Sec-Fetch-Site": "cross-site"}, b"Web pages"),
        ({"Expect": "a-miracle"}, b"Expect"),
        ({"Idempotency-Key": "a b"}, b"Idempotency-Key"),
    ],
)
async def test_what_cannot_be_taken_is_refused_and_named(
    client: Client, headers: dict[str, str], told: bytes
) -> None:
    status, _, body = await client.ask("POST", "/t/bank/read?to=bob", headers=headers, **PAY)

    assert status == 400 and told in body
    assert client.world.tool.sent == []


async def test_a_body_that_is_too_large_is_refused_before_it_is_read(client: Client) -> None:
    status, _, body = await client.ask("POST", "/t/bank/read?to=bob", data=b"x" * 1001)

    assert status == 413 and b"1000 bytes" in body


async def test_an_upstream_that_is_not_configured_is_named(client: Client) -> None:
    status, _, body = await client.ask("GET", "/t/bnak/read")

    assert status == 404 and b"`bnak`" in body and b"bank" in body


async def test_a_client_that_waits_to_be_asked_for_its_body_is_asked(client: Client) -> None:
    head = (
        b"POST /t/bank/read?to=bob HTTP/1.1\r\nHost: 127.0.0.1\r\nInterlock-Key: ilk_agent_bot\r\n"
        b"Content-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(head)
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
    writer.write(b"{}")

    assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200 ")
    writer.close()


async def test_bytes_that_are_not_http_are_refused_and_never_echoed(client: Client) -> None:
    answer = await client.raw(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: canary\x00secret\r\n\r\n")

    assert answer.split(b" ")[1] == b"400" and b"problem+json" in answer
    assert b"canary" not in answer and b"aiohttp" not in answer


async def test_a_head_request_gets_the_length_and_no_body(client: Client) -> None:
    _, headers, _ = await client.ask("POST", "/t/bank/pay?to=bob", headers=LATER, **PAY)

    status, _, body = await client.ask("HEAD", headers["Location"])

    assert (status, body) == (200, b"")


async def test_an_unexpected_error_is_a_refusal(client: Client) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a fault of ours")

    client.world.gate.submit = broken  # type: ignore[method-assign, assignment]

    status, _, body = await client.ask("POST", "/t/bank/read?to=bob", **PAY)

    assert status == 500 and b"NOT EXECUTED" in body and b"fault of ours" not in body
    assert client.world.tool.sent == []


async def test_a_store_that_fails_while_a_call_waits_never_makes_us_say_that_nothing_was_sent(
    client: Client,
) -> None:
    _, headers, _ = await client.ask("POST", "/t/bank/pay?to=bob", headers=LATER, **PAY)

    async def gone(*_: object) -> None:
        raise StoreUnavailable("The store cannot be reached. Nothing was sent.")

    client.world.store.get = gone  # type: ignore[method-assign, assignment]
    for method, path in (("GET", headers["Location"]), ("POST", "/t/bank/pay?to=bob")):
        more = PAY if method == "POST" else {}
        status, _, body = await client.ask(method, path, **more)

        assert status == 503 and b"OUTCOME UNKNOWN" in body
        assert b"othing was sent" not in body and b'"executed": "unknown"' in body


async def test_a_fault_of_ours_after_the_send_never_says_that_nothing_was_sent(
    client: Client,
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    client.world.gate.store.attend = broken  # type: ignore[method-assign, assignment]

    status, headers, body = await client.ask("POST", "/t/bank/pay?to=bob", headers=LATER, **PAY)

    assert status == 504 and b"OUTCOME UNKNOWN" in body and headers["Interlock-Call-Id"]


async def test_a_failed_send_of_an_allowed_call_has_its_reference(client: Client) -> None:
    client.world.tool.fails = [UpstreamLost("The connection was cut.")]

    status, headers, body = await client.ask("POST", "/t/bank/read?to=bob", **PAY)

    assert status == 504 and headers["Interlock-Decision"] == "allow"
    assert headers["Interlock-Call-Id"].encode() in body


async def test_an_idempotency_key_whose_call_never_ran_may_be_used_again(client: Client) -> None:
    client.world.tool.fails = [UpstreamUnreachable("closed")]
    keyed = {"Idempotency-Key": "k1"}
    status, _, _ = await client.ask("POST", "/t/bank/read?to=bob", headers=keyed, **PAY)
    assert status == 502
    await client.world.quiet()

    status, _, body = await client.ask("POST", "/t/bank/read?to=bob", headers=keyed, **PAY)

    assert (status, body) == (200, b"paid") and len(client.world.tool.sent) == 1


@pytest.mark.parametrize(
    "head",
    [
        b"Host: 127.0.0.1:99@evil.example\r\n",
        b"Host: 127.0.0.1\r\nOrigin: https://evil.example\r\n",
        b"Host: 127.0.0.1\r\nOrigin: null\r\n",
    ],
)
async def test_a_web_page_elsewhere_calls_no_tool(client: Client, head: bytes) -> None:
    answer = await client.raw(
        b"GET /t/bank/read HTTP/1.1\r\nInterlock-Key: ilk_agent_bot\r\nConnection: close\r\n"
        + head
        + b"\r\n"
    )

    assert answer.split(b" ")[1] == b"400" and client.world.tool.sent == []
