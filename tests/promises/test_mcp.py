"""A gated tool of an MCP server never reaches it, on any path, in any era, over any transport."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from interlock.core import claims, messages, naming
from interlock.ingress.mcp import endpoint, stdio
from interlock.ports import Limits
from interlock.store import definitions
from interlock.store.redis import RedisStore
from tests.promises.mcp_clients import PATIENCE, Line, Reply, said_in
from tests.promises.mcp_paths import KEYS, PATHS
from tests.promises.mcp_world import ERAS, GATED, TRANSPORTS, Shop
from tests.support.faults import noticed
from tests.support.stores import Server, fresh_prefix

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(server: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    limits = Limits(held_per_agent=10**6, held_in_all=10**6, kept_per_agent=2**40)
    store = RedisStore(server.url, fresh_prefix(), limits)
    made = Shop(store, tmp_path_factory.mktemp("shop"))
    await made.start()
    yield made
    await made.stop()
    await store.close()


@pytest_asyncio.fixture(
    scope="module",
    loop_scope="module",
    params=[(transport, era) for transport in TRANSPORTS for era in ERAS],
    ids=lambda each: "-".join(each),
)
async def line(shop: Shop, request: pytest.FixtureRequest) -> Line:
    transport, era = request.param
    return await shop.line(transport, era)


@pytest.mark.parametrize("path", PATHS)
async def test_promise_28_a_gated_tool_never_reaches_its_server(line: Line, path: str) -> None:
    await nothing_runs(line, path)


async def nothing_runs(line: Line, path: str) -> None:
    line.shop.forget()
    for tool in GATED:
        for body in PATHS[path](line, tool):
            said = document_in(body)
            reply = await answered(line, body, said)
            ran = line.shop.ran()
            assert not ran, f"{ran} by {body[:300]!r}"
            assert is_clear(reply, said), f"{reply} to {body[:300]!r}"
    await line.works()


async def answered(line: Line, body: bytes, said: Any) -> Reply:
    try:
        async with asyncio.timeout(PATIENCE):
            return await line.say(body, line.headers(said))
    except TimeoutError:
        raise AssertionError(f"no end to {body[:300]!r}") from None


def document_in(body: bytes) -> Any:
    """Return what a usual reader reads; None where it cannot."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def is_clear(reply: Reply, said: Any) -> bool:
    """Say whether the client is told what became of what it said, as far as it can be told."""
    told = said_in(reply)
    if "It ran." in told:
        return isinstance(said, dict) and said.get("params", {}).get("name") == "look"
    silent = isinstance(said, dict) and ("id" not in said or "method" not in said)
    return bool(told) or silent or reply.status == 202


async def test_promise_13_what_is_approved_runs_once_and_is_counted(shop: Shop, line: Line) -> None:
    """The counter counts: else nothing here would show anything."""
    shop.forget()
    call = line.call("buy_all")
    held = await line.ask(call)
    assert said_in(held)[0].startswith("NOT EXECUTED YET")
    await shop.world.says(await shop.action(held))
    await shop.world.quiet()
    again = await line.ask({**call, "id": "again"})

    assert said_in(again) == ["It ran."]
    assert shop.times("buy_all") == 1


FAULTS: dict[str, tuple[object, str, Any, str]] = {
    "nothing is judged": (endpoint, "is_judged", lambda *_: False, "as_it_is"),
    "nothing is judged on pipes": (stdio, "is_judged", lambda *_: False, "as_it_is"),
    "any method passes": (messages, "_check_method", lambda method: None, "methods"),
    "any parameter passes": (messages, "_PARAMS", frozenset(), "keys"),
    "any member passes": (messages, "_MEMBERS", messages._MEMBERS | {*KEYS["method"]}, "keys"),
    "patterns take any spelling": (naming, "_meant", lambda *_: "", "names"),
    "changed tools are accepted": (claims, "accepted", lambda *_: True, "as_it_is"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("era", (ERAS[0], ERAS[-1]))
async def test_promise_28_a_guard_that_is_taken_out_would_be_noticed(
    shop: Shop, fault: str, era: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, name, instead, path = FAULTS[fault]
    line = await shop.line("pipe" if where is stdio else "free", era)
    await nothing_runs(line, path)

    monkeypatch.setattr(where, name, instead)
    if where is naming:  # two guards stand here
        monkeypatch.setattr(definitions, "lax", str)
    with noticed():
        await nothing_runs(line, path)
