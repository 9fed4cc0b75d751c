"""Seeing, repeating and dropping notices in a terminal, against the real API and store."""

from __future__ import annotations

import json

from tests.approvals.test_notifications import dead
from tests.approvals.world import World

from .test_review import Person, ann, redis, world  # noqa: F401, the fixtures


async def test_dead_letters_are_listed_sent_again_and_dropped(world: World, ann: Person) -> None:  # noqa: F811
    first, second = await dead(world, "a1"), await dead(world, "a2", "gone")
    listed = await ann.types("notifications", "list")
    assert listed.code == 0 and "2 not tried any more, 0 waiting" in listed.err
    assert first.id in listed.out and "gone" in listed.out and "never" in listed.out
    said = await ann.types("notifications", "retry", first.id)
    assert said.code == 0 and "sent again" in said.out
    said = await ann.types("notifications", "drop", second.id)
    assert said.code == 0 and "forgotten" in said.out
    listed = await ann.types("notifications", "list", "--waiting")
    assert first.id in listed.out and second.id not in listed.out
    told = json.loads((await ann.types("notifications", "list", "--json")).out)
    assert (told["dead"], told["waiting_total"]) == ([], 1)


async def test_what_is_not_there_cannot_be_changed(world: World, ann: Person) -> None:  # noqa: F811
    assert (await ann.types("notifications", "retry", "1-1")).code == 1
    assert (await ann.types("notifications", "drop", "1-1")).code == 1
    assert (await ann.types("notifications", "drop", "a/b")).code == 2


async def test_a_channel_is_tried_out_and_says_why_it_fails(world: World, ann: Person) -> None:  # noqa: F811
    works = await ann.types("notifications", "test", "webhook.ops")
    assert works.code == 0 and "took the sample" in works.out
    fails = await ann.types("notifications", "test", "webhook.broken")
    assert fails.code == 1 and "the receiver answered 500" in fails.err
    unknown = await ann.types("notifications", "test", "slack")
    assert unknown.code == 1 and "webhook.ops, webhook.broken" in unknown.err
