"""What of a listing and of a greeting changes on the way to the client, and what never does."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from interlock.core.actions import Agent
from interlock.core.messages import MODERN
from interlock.ingress.mcp.listing import discovered, listed
from interlock.ingress.mcp.own_tools import NAMES, TOOLS
from interlock.ingress.mcp.session import TASKS, Caller, Holding, Server
from interlock.policies.load import read_policies
from tests.ingress.mcp.conversation import POLICY, FilesServer, Listed, policy
from tests.ingress.mcp.conversation import TOOLS as ALL

SERVER = Server(name="files", upstream=FilesServer())
CALLER = Caller(agent=Agent(id="bot"), server=SERVER, holding=Holding(), version=MODERN)
ALLOWED = """
  - id: files.all
    description: Everything.
    mcp: {server: files, tool: '*'}
    reversibility: read_only
    facets: {data: public}
"""


async def known(*tools: Any) -> Listed:
    definitions = Listed()
    await definitions.listed("files", tools or ALL, whole=True)
    return definitions


def names(result: Any) -> list[str]:
    return [tool["name"] for tool in result["tools"]]


def with_schema(result: Any) -> list[str]:
    return [tool["name"] for tool in result["tools"] if "outputSchema" in tool]


async def test_only_tools_that_may_be_refused_lose_their_output_schema() -> None:
    given = {"tools": ALL, "cacheScope": "public", "ttlMs": 5}
    before = json.dumps(given)

    result = listed(given, CALLER, policy(), await known())

    assert with_schema(result) == ["read"] and json.dumps(given) == before
    assert names(result) == [*names(given), *sorted(NAMES, reverse=True)]
    assert result["cacheScope"] == "private" and result["ttlMs"] == 5


async def test_where_refusals_are_errors_no_schema_is_taken_off() -> None:
    caller = replace(CALLER, holding=Holding(errors=True))

    result = listed({"tools": ALL}, caller, policy(), await known())

    assert with_schema(result) == [tool["name"] for tool in ALL] and "cacheScope" not in result


async def test_where_everything_is_allowed_nothing_changes() -> None:
    allowed = read_policies([("all.yaml", POLICY + ALLOWED)])
    given = {"tools": ALL, "cacheScope": "public"}

    assert listed(given, CALLER, allowed, await known()) is given


async def test_a_changed_definition_may_be_refused() -> None:
    allowed = read_policies([("all.yaml", POLICY + ALLOWED)])
    definitions = await known()
    definitions.changed = {"write"}

    result = listed({"tools": ALL}, CALLER, allowed, definitions)

    assert with_schema(result) == ["read", "wipe", "other"] and NAMES <= set(names(result))


async def test_own_tools_come_once_on_the_last_page() -> None:
    first = {"tools": ALL[:1], "nextCursor": "2"}

    assert listed(first, CALLER, policy(), await known()) is first
    last = listed({"tools": ALL[1:]}, CALLER, policy(), await known())
    assert last["tools"][-2:] == list(TOOLS)


@pytest.mark.parametrize("where", ["server", "agent"])
async def test_own_tools_can_be_left_out(where: str) -> None:
    server = replace(SERVER, own_tools=where != "server")
    caller = replace(CALLER, server=server, holding=Holding(own_tools=where != "agent"))
    given = {"tools": [*ALL, {"name": "interlock_wait"}]}

    assert names(listed(given, caller, policy(), await known())) == names(given)


async def test_own_tools_shadow_those_of_the_same_name() -> None:
    theirs = {"name": "interlock_wait", "description": "theirs"}

    result = listed({"tools": [theirs]}, CALLER, policy(), await known(theirs))

    assert result["tools"] == list(TOOLS)


async def test_what_is_always_denied_is_hidden_where_settings_say_so() -> None:
    caller = replace(CALLER, server=replace(SERVER, hide_denied=True))

    shown = listed({"tools": ALL}, CALLER, policy(), await known())
    hidden = listed({"tools": ALL}, caller, policy(), await known())

    assert set(names(shown)) - set(names(hidden)) == {"wipe"}


@pytest.mark.parametrize("tools", [None, 5, {}, [1, None, "x"]])
async def test_what_is_no_listing_passes(tools: Any) -> None:
    given = {"tools": tools, "nextCursor": "x"}

    assert listed(given, CALLER, policy(), await known()) is given


def test_tasks_are_added_to_what_a_server_says_of_itself() -> None:
    given = {"capabilities": {"tools": {}, "extensions": {"x": {}}}, "cacheScope": "public"}

    result = discovered(given, CALLER, tasks=True)

    assert result["capabilities"] == {"tools": {}, "extensions": {"x": {}, TASKS: {}}}
    assert result["cacheScope"] == "private" and TASKS not in given["capabilities"]["extensions"]


@pytest.mark.parametrize(
    ("caller", "tasks", "capabilities"),
    [
        (CALLER, False, {}),
        (replace(CALLER, version="2025-11-25"), True, {}),
        (replace(CALLER, holding=Holding(tasks=False)), True, {}),
        (CALLER, True, {"extensions": {TASKS: {"their": "own"}}}),
        (CALLER, True, None),
    ],
)
def test_a_greeting_is_not_changed_otherwise(
    caller: Caller, tasks: bool, capabilities: Any
) -> None:
    given = {"capabilities": capabilities}

    assert discovered(given, caller, tasks=tasks) is given
