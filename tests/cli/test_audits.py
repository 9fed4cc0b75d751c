"""Audits and reports afterwards, in a terminal."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from interlock.core.records import Turned
from tests.approvals.test_audits import drawing, passed
from tests.approvals.world import World

from .test_review import Person, ann, redis, world

__all__ = ("ann", "drawing", "redis", "world")


async def test_what_was_drawn_is_listed_shown_and_judged(world: World, ann: Person) -> None:
    action = await passed(world)

    listed = await ann.types("audits", "list")
    assert listed.out.splitlines()[1].split()[0] == action.id
    shown = await ann.types("audits", "show", action.id)
    assert shown.code == 0 and "Buy milk" in shown.out
    assert "200, 14 bytes" in shown.out and '{"done": true}' in shown.out
    assert "Nobody has said yet" in shown.out and "audits judge" in shown.err

    said = await ann.types("audits", "judge", action.id, "WRONG", "-m", "Not\x1b[2J milk.")
    assert said.code == 0, said.err
    assert said.out == f"{action.id} is judged wrong; 0 still wait.\n"
    kept = world.audits.judged[action.id]
    assert (kept.turned, kept.message) == (Turned.WRONG, "Not\x1b[2J milk.")
    assert (await ann.types("audits", "list")).err == "No call waits for an audit.\n"


async def test_another_call_than_the_one_that_was_looked_at_is_not_judged(
    world: World, ann: Person
) -> None:
    action = await passed(world)
    said = await ann.types("audits", "judge", action.id, "right", "--digest", "0" * 64)
    assert said.code == 1 and "not the call that you looked at" in said.err
    assert world.audits.judged == {}


async def test_what_was_changed_outside_is_listed_as_such(world: World, ann: Person) -> None:
    changed = await passed(world)
    world.audits.drawn[changed.id] = replace(world.audits.drawn[changed.id], seal="")
    listed = await ann.types("audits", "list")
    row = listed.out.splitlines()[1]
    assert row.startswith(changed.id)
    assert "changed outside Interlock: cannot be judged" in row
    assert "who can write to the store" in listed.err


async def test_how_a_call_turned_out_is_reported(world: World, ann: Person) -> None:
    action = await passed(world, draw=False)
    said = await ann.types("outcome", action.id, "right", "--json")
    assert json.loads(said.out) == {"id": action.id, "turned": "right"}
    assert (await ann.types("outcome", action.id, "fine")).code == 2


@pytest.mark.parametrize("id", ["../x", ""])
async def test_what_is_no_id_is_refused(ann: Person, id: str) -> None:
    assert (await ann.types("audits", "show", id)).code == 2
