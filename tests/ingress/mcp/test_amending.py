"""Listings on their way: noted before the client sees them, whole or page by page."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.core.errors import StoreUnavailable
from interlock.core.listings import LONGEST_LISTING, MOST_LISTED
from interlock.core.messages import MODERN
from interlock.ingress.mcp.amending import Listings
from interlock.store.redis import RedisStore
from tests.ingress.mcp.conversation import TOOLS, Listed, Talk


def answer(message: Any, result: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": message.id, "result": result}


def listings(talk: Talk, definitions: Any = None) -> Listings:
    return Listings(talk.gate, definitions or talk.listed, talk.calls.learner, tasks=True)


async def test_a_whole_listing_is_noted_before_it_is_shown(store: RedisStore) -> None:
    talk = Talk(store)
    message = talk.message(method="tools/list")

    shown = await listings(talk).amend(message, answer(message, {"tools": TOOLS}), talk.caller)

    assert talk.listed.known("files") and talk.files.lists == []
    assert "outputSchema" in shown["result"]["tools"][0], "it is accepted and allowed"
    assert "outputSchema" not in shown["result"]["tools"][1]


async def test_of_a_server_that_lists_by_pages_all_are_read_first(store: RedisStore) -> None:
    talk = Talk(store, version=MODERN)
    talk.files.page = 1
    message = talk.message(method="tools/list")
    page = {"tools": TOOLS[:1], "nextCursor": "1"}

    shown = await listings(talk).amend(message, answer(message, page), talk.caller)

    assert talk.listed.known("files") and len(talk.files.lists) == len(TOOLS)
    assert shown["result"] == page


async def test_what_could_not_be_kept_counts_as_not_accepted(store: RedisStore) -> None:
    class Away(Listed):
        async def listed(self, *_: Any, **__: Any) -> None:
            raise StoreUnavailable

    talk = Talk(store)
    message = talk.message(method="tools/list")

    amending = listings(talk, Away())
    shown = await amending.amend(message, answer(message, {"tools": TOOLS}), talk.caller)

    assert not any("outputSchema" in tool for tool in shown["result"]["tools"])


async def test_errors_and_other_answers_pass_as_they_are(store: RedisStore) -> None:
    talk = Talk(store, version=MODERN)
    listing, greeting = talk.message(method="tools/list"), talk.message(method="initialize")
    error = {"jsonrpc": "2.0", "id": 1, "error": {"code": -1, "message": "x"}}
    hello = answer(greeting, {"capabilities": {}})

    assert await listings(talk).amend(listing, error, talk.caller) is error
    assert await listings(talk).amend(greeting, hello, talk.caller) is hello


async def test_a_server_is_said_to_do_tasks(store: RedisStore) -> None:
    talk = Talk(store, version=MODERN)
    message = talk.message(method="server/discover")

    shown = await listings(talk).amend(message, answer(message, {"capabilities": {}}), talk.caller)

    assert "io.modelcontextprotocol/tasks" in shown["result"]["capabilities"]["extensions"]


@pytest.mark.parametrize(
    ("tools", "said"),
    [
        ([{"name": f"t{number}"} for number in range(MOST_LISTED + 1)], "5001 tools"),
        ([5] * (MOST_LISTED + 1), "5001 tools"),
        ([{"name": "t", "description": "x" * LONGEST_LISTING}], "8388639 bytes"),
    ],
    ids=["many", "numbers", "long"],
)
async def test_a_listing_that_would_hold_up_everybody_is_refused_unread(
    store: RedisStore, tools: list[Any], said: str
) -> None:
    """Fault caught: 150,000 tools were hashed and judged while nobody else was answered."""
    talk = Talk(store)
    message = talk.message(method="tools/list")

    class Unread(Listed):
        def current(self, server: str, tool: str) -> Any:
            raise AssertionError("policy was asked")

        async def listed(self, *_: Any, **__: Any) -> None:
            raise AssertionError("it was noted")

    amending = listings(talk, Unread())
    shown = await amending.amend(message, answer(message, {"tools": tools}), talk.caller)

    assert shown["id"] == message.id and "result" not in shown
    assert shown["error"]["message"].startswith(
        f"The server's list of tools was not taken: it has {said}"
    )


async def test_the_longest_listing_that_is_taken_is_taken(store: RedisStore) -> None:
    talk = Talk(store)
    message = talk.message(method="tools/list")
    tools = [{"name": f"t{number}"} for number in range(MOST_LISTED)]

    shown = await listings(talk).amend(message, answer(message, {"tools": tools}), talk.caller)

    assert len(shown["result"]["tools"]) >= MOST_LISTED and talk.listed.known("files")
