"""One agent's calls hide no other agent's, and a filter finds what there is."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from interlock.approvals import listing
from interlock.core.actions import Action
from interlock.core.desk import Absence, Assignment
from interlock.core.identity import Kind

from .test_practice import planted
from .world import HIDDEN, IBAN, World, a_call, careful, paying

NOTES = 30


def a_body(number: int) -> bytes:
    return json.dumps({"amount": number + 1, "recipient": "x"}).encode()


async def flooded(world: World) -> Action:
    """One agent's calls, and behind them one of another."""
    for number in range(NOTES):
        await world.hold(a_call(agent="flooder", body=a_body(number)))
    mail = a_call("mail", target="/messages", body=b'{"to": "a", "body": "b"}', agent="victim")
    return await world.hold(mail)


async def queue(world: World, query: str) -> Any:
    key = await world.key(Kind.APPROVER)
    return await (await world.ask("GET", f"/v1/approvals?{query}", key=key)).json()


async def test_a_filter_finds_a_call_behind_many_others(world: World) -> None:
    hidden = await flooded(world)
    page = await queue(world, "agent=victim&limit=2")
    assert [card["id"] for card in page["items"]] == [hidden.id]
    assert page["next"] is None


async def test_pages_of_a_filter_leave_nothing_out_and_say_nothing_twice(world: World) -> None:
    await flooded(world)
    seen: list[str] = []
    query = "agent=flooder&limit=7"
    while True:
        page = await queue(world, query)
        seen += [card["id"] for card in page["items"]]
        if page["next"] is None:
            break
        assert len(page["items"]) == 7
        query = f"agent=flooder&limit=7&cursor={page['next']}"
    assert len(seen) == len(set(seen)) == NOTES


async def test_one_agents_calls_are_found_without_reading_those_of_others(
    world: World, monkeypatch: Any
) -> None:
    monkeypatch.setattr(listing, "MOST_READ", 10)
    hidden = await flooded(world)
    page = await queue(world, "agent=victim&limit=2")
    assert [card["id"] for card in page["items"]] == [hidden.id]
    assert (page["next"], page["total"]) == (None, NOTES + 1)
    assert (await queue(world, "agent=nobody"))["next"] is None


async def test_of_one_agent_practice_calls_are_found_like_others(world: World) -> None:
    practice = await planted(world)
    page = await queue(world, f"agent={practice.call.agent.id}")
    assert practice.id in [card["id"] for card in page["items"]]


async def test_what_an_absent_person_was_asked_is_of_who_stands_in(world: World) -> None:
    action = await world.hold()
    now = await world.store.now()
    said = Absence(person="ann", groups=("ops",), to="cat", until=now + 60_000, since=now)
    await world.deps.desk.go_away(said)
    await world.deps.desk.assign(action.id, Assignment(to="ann", by="bob", at=0))
    cat = await world.key(Kind.APPROVER, "cat", ("sales",))
    dan = await world.key(Kind.APPROVER, "dan", ("ops",))
    for key, expected in ((cat, [action.id]), (dan, [])):
        page = await (await world.ask("GET", "/v1/approvals?mine=yes", key=key)).json()
        assert [card["id"] for card in page["items"]] == expected


async def test_a_filter_reads_a_bounded_number_of_records(world: World, monkeypatch: Any) -> None:
    monkeypatch.setattr(listing, "MOST_READ", 10)
    await flooded(world)
    page = await queue(world, "tool=nothing")
    assert page["items"] == [] and page["next"] is not None
    following = await queue(world, f"agent=nobody&cursor={page['next']}")
    assert following["next"] != page["next"]


async def test_a_share_gives_every_agent_room_and_says_what_it_left_out(world: World) -> None:
    victim = await flooded(world)
    page = await queue(world, "share=3&limit=10")
    assert [card["agent"] for card in page["items"]].count("flooder") == 3
    assert victim.id in [card["id"] for card in page["items"]]
    assert page["left_out"] == [{"agent": "flooder", "id": "flooder", "count": NOTES - 3}]
    whole = await queue(world, "share=3&limit=200")
    assert len(whole["items"]) == NOTES + 1 and whole["left_out"] == []


async def test_a_share_goes_with_no_filter(world: World) -> None:
    key = await world.key(Kind.APPROVER)
    answer = await world.ask("GET", "/v1/approvals?share=3&agent=x", key=key)
    assert answer.status == 400


async def test_what_policy_hides_now_is_hidden_of_calls_held_before(world: World) -> None:
    world.gate.policy = careful()
    action = await world.hold(paying())
    world.gate.policy = careful(HIDDEN)
    key = await world.key(Kind.APPROVER, "ann")
    for path in (f"/v1/approvals/{action.id}", "/v1/approvals"):
        shown = await world.ask("GET", path, key=key)
        assert IBAN not in await shown.text()
    item = await (await world.ask("GET", f"/v1/approvals/{action.id}", key=key)).json()
    assert item["redacted"] == ["recipient"] and item["may"]["reveal"]


class Noticing(Mapping[str, str]):
    """Base URLs, and which threads asked for them."""

    def __init__(self, urls: Mapping[str, str]) -> None:
        self.urls, self.threads = urls, set[int]()

    def __getitem__(self, name: str) -> str:
        self.threads.add(threading.get_ident())
        return self.urls[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.urls)

    def __len__(self) -> int:
        return len(self.urls)


async def test_a_large_call_is_made_into_a_view_in_a_thread(world: World) -> None:
    noticing = Noticing(world.deps.upstreams)
    object.__setattr__(world.deps, "upstreams", noticing)
    key = await world.key(Kind.APPROVER)
    small = await world.hold()
    await world.ask("GET", f"/v1/approvals/{small.id}", key=key)
    assert noticing.threads == {threading.get_ident()}
    body = json.dumps({"amount": 1, "recipient": "x", "memo": "y" * 40_000}).encode()
    large = await world.hold(a_call(body=body, session="another"))
    await world.ask("GET", f"/v1/approvals/{large.id}", key=key)
    assert len(noticing.threads) == 2
