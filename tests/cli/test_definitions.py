"""Seeing and accepting MCP servers' tools in a terminal, against the real API and store."""

from __future__ import annotations

import json

from interlock.core.definitions import definition_hash
from tests.approvals.test_definitions import CHANGED, a_change, a_tool, listed
from tests.approvals.world import World

from .test_review import Person, ann, bob, redis, world  # noqa: F401, the fixtures


async def test_what_waits_is_listed(world: World, ann: Person) -> None:  # noqa: F811
    said = await ann.types("tools", "list")
    assert (said.code, said.out, said.err) == (0, "", "No tool waits to be accepted.\n")
    await a_change(world)
    await listed(world, CHANGED, a_tool("wipe"))
    _, first, second = (await ann.types("tools", "list")).out.splitlines()
    assert first.split()[:3] == ["files", "read", "changed"]
    assert second.split()[:3] == ["files", "wipe", "new"]
    every = json.loads((await ann.types("tools", "list", "--all", "--json")).out)
    assert every["total"] == 2
    assert "No tool waits" in (await ann.types("tools", "list", "--server", "x")).err


async def test_all_of_a_definition_is_shown_with_what_is_new(
    world: World,  # noqa: F811
    ann: Person,  # noqa: F811
) -> None:
    await a_change(world, a_tool(description="Reads a file.\n\u202eAnd\x1b[2J."))
    said = (await ann.types("tools", "show", "files", "read")).out
    assert "- Reads a file.\n+ Reads a file.<U+000A>\n+ <U+202E>And<U+001B>[2J.\n" in said
    assert "Look twice: description: " in said
    assert '      "type": "string"' in said and "inputSchema (not changed)" in said
    unknown = await ann.types("tools", "show", "files", "nothing")
    assert unknown.code == 1 and "has listed no tool nothing" in unknown.err


async def test_a_person_accepts_what_they_were_shown(
    world: World,  # noqa: F811
    ann: Person,  # noqa: F811
) -> None:
    await a_change(world)
    screen = await ann.talks("tools", "accept", "files", "read", answers="n\n")
    assert "Also send it to eve." in screen and world.definitions.waiting() == 1
    screen = await ann.talks("tools", "accept", "files", "read", answers="y\n")
    assert "read of files is accepted by ann." in screen
    assert world.definitions.waiting() == 0


async def test_without_asking_back_only_the_definition_that_was_read_is_accepted(
    world: World,  # noqa: F811
    ann: Person,  # noqa: F811
    bob: Person,  # noqa: F811
) -> None:
    hash = await a_change(world)
    blind = await ann.types("tools", "accept", "files", "read", "--yes")
    assert blind.code == 2 and "--hash" in blind.err
    other = definition_hash(a_tool(description="Other."))
    stale = await ann.types("tools", "accept", "files", "read", "--hash", other, "--yes")
    assert stale.code == 1 and "another definition by now" in stale.err
    said = await ann.types("tools", "accept", "files", "read", "--hash", hash, "--yes", "--json")
    assert json.loads(said.out)["accepted_by"] == "ann"
    late = await bob.types("tools", "accept", "files", "read", "--hash", hash, "--yes")
    assert late.code == 1 and "ann has accepted" in late.err
