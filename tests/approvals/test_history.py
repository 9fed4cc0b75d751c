"""Looking for what people decided."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from interlock.core.actions import Action
from interlock.core.identity import Kind
from interlock.core.rules import Redact

from .world import World, a_call


async def found(world: World, query: str = "", kind: Kind = Kind.APPROVER) -> dict[str, Any]:
    answer = await world.ask("GET", f"/v1/history{query}", key=await world.key(kind))
    assert answer.status == 200, await answer.text()
    page: dict[str, Any] = await answer.json()
    return page


def ids(page: dict[str, Any]) -> list[str]:
    return [card["id"] for card in page["items"]]


async def test_nothing_is_decided_there_so_no_digest_is_given(world: World) -> None:
    await decided(world)
    assert {each["digest"] for each in (await found(world))["items"]} == {""}


async def decided(world: World) -> tuple[Action, Action]:
    """A transfer that ann rejected, then a mail that bob approved."""
    transfer = await world.hold()
    mail = await world.hold(
        a_call("mail", target="/messages", body=b'{"to": "zoe", "body": "b"}', agent="mail-bot")
    )
    ann, bob = await world.key(Kind.APPROVER, "ann"), await world.key(Kind.APPROVER, "bob")
    assert (await world.decide(transfer, ann, type="reject", message="no")).status == 200
    assert (await world.decide(mail, bob)).status == 200
    await world.settled(mail)
    return transfer, mail


async def test_what_people_decided_is_found_latest_first(world: World) -> None:
    transfer, mail = await decided(world)
    assert ids(await found(world)) == [mail.id, transfer.id]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?agent=mail-bot", ["mail"]),
        ("?tool=bank.transfer", ["transfer"]),
        ("?state=rejected", ["transfer"]),
        ("?by=bob", ["mail"]),
        ("?q=ZOE", ["mail"]),
        ("?q=nothing-like-it", []),
        ("?agent=mail-bot&by=ann", []),
        ("?since=1&agent=", ["mail", "transfer"]),
        ("?until=1", []),
    ],
)
async def test_the_past_is_narrowed_down(world: World, query: str, expected: list[str]) -> None:
    transfer, mail = await decided(world)
    names = {transfer.id: "transfer", mail.id: "mail"}
    assert [names[each] for each in ids(await found(world, query))] == expected


async def test_a_call_that_was_changed_in_the_store_names_nobody_who_decided_it(
    world: World,
) -> None:
    transfer, mail = await decided(world)
    client, name = world.store.client, f"{world.store._prefix}:c:{transfer.id}"
    kept = await client.hgetall(name)  # type: ignore[misc]
    forged = kept[b"rec"].replace(b"bank", b"junk")
    assert forged != kept[b"rec"]
    await client.hset(name, "rec", forged)  # type: ignore[misc]

    by_id = {each["id"]: each for each in (await found(world))["items"]}
    assert [each["person"] for each in by_id[mail.id]["said"]] == ["bob"]
    assert by_id[transfer.id]["said"] == [] and "changed outside" in by_id[transfer.id]["why"]


async def test_the_past_comes_in_pages(world: World) -> None:
    transfer, mail = await decided(world)
    first = await found(world, "?limit=1")
    assert ids(first) == [mail.id]
    assert ids(await found(world, f"?limit=1&cursor={first['next']}")) == [transfer.id]


async def test_admins_and_auditors_search_too(world: World) -> None:
    await decided(world)
    for kind in (Kind.ADMIN, Kind.AUDITOR):
        assert len(ids(await found(world, kind=kind))) == 2


async def test_nobody_finds_out_by_searching_what_policy_hides(world: World) -> None:
    _, mail = await decided(world)
    assert ids(await found(world, "?q=zoe")) == [mail.id]
    world.gate.policy = replace(world.gate.policy, redact=Redact(approver=("args.to",)))
    assert ids(await found(world, "?q=zoe")) == []
    assert ids(await found(world, "?q=mail.send")) == [mail.id]


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=201", "limit=x", "state=lost", "since=-1", "since=%D9%A1", "cursor=x"]
    + ["who=ann", "agent=a&agent=b", "q=" + "x" * 201],
)
async def test_what_makes_no_sense_is_refused(world: World, query: str) -> None:
    key = await world.key(Kind.APPROVER)
    assert (await world.ask("GET", f"/v1/history?{query}", key=key)).status == 400
