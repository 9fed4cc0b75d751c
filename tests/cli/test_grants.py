"""Seeing and ending grants in a terminal, against the real API, gate and store."""

from __future__ import annotations

import json

from interlock.policies.load import read_policies
from tests.approvals.world import CAREFUL, HIDDEN, IBAN, World, careful, paying

from .test_review import Person, ann, redis, world  # noqa: F401, the fixtures


async def granted(world: World, ann: Person) -> str:  # noqa: F811
    world.gate.policy = careful()
    action = await world.hold(paying(task="Pay the rent"))
    said = await ann.types("approve", action.id, "--grant", "7d", "--uses", "2", "--yes")
    assert said.code == 0, said.err
    (grant,) = await world.gate.grants()
    return grant.id


async def test_grants_are_listed_and_one_is_revoked(world: World, ann: Person) -> None:  # noqa: F811
    grant = await granted(world, ann)
    listed = await ann.types("grants", "list")
    assert listed.code == 0
    assert grant in listed.out and "2 of 2" in listed.out and f"recipient={IBAN}" in listed.out
    (item,) = json.loads((await ann.types("grants", "list", "--json")).out)["items"]
    assert item["id"] == grant
    said = await ann.types("grants", "revoke", grant)
    assert said.code == 0 and "has ended" in said.out
    assert await world.gate.grants() == ()
    assert "Nobody has granted" in (await ann.types("grants", "list")).err


async def test_what_policy_hides_is_not_in_the_list(world: World, ann: Person) -> None:  # noqa: F811
    await granted(world, ann)
    world.gate.policy = careful(HIDDEN)
    assert IBAN not in (await ann.types("grants", "list")).out


async def test_a_grant_that_is_not_there_cannot_be_revoked(world: World, ann: Person) -> None:  # noqa: F811
    assert (await ann.types("grants", "revoke", "nothing")).code == 1
    assert (await ann.types("grants", "revoke", "a/b")).code == 2


async def test_uses_that_nobody_named_are_as_many_as_policy_allows(
    world: World,  # noqa: F811
    ann: Person,  # noqa: F811
) -> None:
    world.gate.policy = read_policies([("careful.yaml", CAREFUL.replace("uses: 50", "uses: 2"))])
    action = await world.hold(paying())
    said = await ann.types("approve", action.id, "--grant", "7d", "--yes")
    assert said.code == 0, said.err
    assert [grant.uses for grant in await world.gate.grants()] == [2]
    listed = (await ann.types("grants", "list")).out
    assert "POST /v1/accounts/{account}/transfers" in listed and "2 of 2" in listed
    for _ in range(2):
        await world.gate.submit(paying(amount=20))
    assert "used up" in (await ann.types("grants", "list")).out


async def test_a_second_grant_says_that_the_first_has_ended(world: World, ann: Person) -> None:  # noqa: F811
    world.gate.policy = careful()
    first, second = await world.hold(paying()), await world.hold(paying(amount=20))
    await ann.types("approve", first.id, "--grant", "7d", "--yes")
    said = await ann.types("approve", second.id, "--grant", "1d", "--yes")
    assert f"took the place of g{first.id}" in said.out
