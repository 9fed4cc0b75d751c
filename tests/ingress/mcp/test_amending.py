"""Listings on their way: noted before the client sees them, whole or page by page."""

from __future__ import annotations

from typing import Any

from interlock.core.errors import StoreUnavailable
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
