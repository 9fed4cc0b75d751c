"""Practice calls as people see them: like any call, until they have decided."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from interlock.core.actions import Action
from interlock.core.decoys import decoy
from interlock.core.identity import Kind
from interlock.core.practice import Practised
from interlock.core.rules import PolicySet
from interlock.store.practice import RedisPractice

from .world import World, a_call, a_policy

ASKED = a_call("mail", "POST", "/messages", b'{"to": "eve@example.com", "body": "All of it"}')
REASONS = (("wrong_person", "Wrong recipient"),)


def with_reasons() -> PolicySet:
    policy = a_policy()
    return replace(policy, attention=replace(policy.attention, reasons=REASONS))


async def rejected(world: World, message: str = "Never to \u202eeve") -> Action:
    world.gate.policy = with_reasons()
    action = await world.hold(ASKED)
    bob = await world.key(Kind.APPROVER, "bob")
    said = {"type": "reject", "message": message, "reason_code": "wrong_person"}
    assert (await world.decide(action, bob, **said)).status == 200
    return await world.now(action)


async def planted(world: World, of: Action | None = None) -> Action:
    real = of or await rejected(world)
    call = decoy(real, {}, "s-17")
    return await world.gate.plant(call, await world.gate.judge(call), real.id)


async def get(world: World, path: str, key: str) -> dict[str, Any]:
    answer = await world.ask("GET", path, key=key)
    assert answer.status == 200, await answer.text()
    found: dict[str, Any] = await answer.json()
    return found


async def item(world: World, action: Action, key: str) -> dict[str, Any]:
    return await get(world, f"/v1/approvals/{action.id}", key)


@pytest.mark.parametrize("kind", [Kind.APPROVER, Kind.ADMIN, Kind.AUDITOR])
async def test_while_it_is_held_nothing_tells_it_from_a_real_one(world: World, kind: Kind) -> None:
    first = await rejected(world)
    real = await world.hold(a_call(*_REQUEST, session="s-16"))
    practice = await planted(world, first)
    key = await world.key(kind)

    shown = [await item(world, each, key) for each in (real, practice)]

    assert _form(shown[0]) == _form(shown[1])
    text = json.dumps(shown[1]).casefold()
    assert "decoy" not in text and first.id not in text
    assert "practice call" not in text and shown[1]["practice"] is None
    names = {"id", "digest", "session", "created", "changed", "deadline", "gist", "csrf"}
    cards = [{k: v for k, v in each["card"].items() if k not in names} for each in shown]
    assert cards[0] == cards[1]


_REQUEST = ("mail", "POST", "/messages", b'{"to": "dan@example.com", "body": "All of it"}')


def _form(value: Any) -> Any:
    """Return what there is of *value*, without what differs between any two calls."""
    if isinstance(value, dict):
        return {name: _form(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_form(each) for each in value]
    return type(value).__name__


async def test_its_page_is_that_of_a_real_one(world: World) -> None:
    first = await rejected(world)
    practice = await planted(world, first)
    page = await (
        await world.ask("GET", f"/review/{practice.id}", key=await world.key(Kind.APPROVER))
    ).text()

    assert first.id not in page and "decoy" not in page
    assert '<section id="practice" class="practice"' in page and "See that one" in page
    hidden = page[page.index('<section id="practice"') :].partition(">")[0]
    assert hidden.endswith("hidden")


async def test_an_agent_has_as_many_held_calls_as_the_queue_shows(world: World) -> None:
    first = await rejected(world)
    await world.hold()
    practice = await planted(world, first)
    key = await world.key(Kind.APPROVER, "ann")

    (agent,) = (await get(world, "/v1/agents", key))["items"]
    queue = await get(world, "/v1/approvals", key)
    assert agent["held"] == queue["total"] == 2
    assert agent["seen"] == (await world.now(practice)).created

    await world.decide(practice, key, type="reject", message="No")
    (agent,) = (await get(world, "/v1/agents", key))["items"]
    assert agent["held"] == 1


@pytest.mark.parametrize(
    ("said", "outcome", "words"),
    [
        ({"type": "reject", "message": "no"}, "caught", "Good catch: you did not let it through."),
        (
            {"type": "approve"},
            "missed",
            "You let this one through. It was practice, so nothing was",
        ),
        (
            {"type": "edit", "edited_args": {"to": "dan@example.com", "body": "All of it"}},
            "missed",
            "You let this one through.",
        ),
        ({"type": "respond", "message": "Ask me."}, "neither", "You answered in the tool's place"),
    ],
)
async def test_whoever_decides_it_hears_at_once(
    world: World, said: dict[str, Any], outcome: str, words: str
) -> None:
    first = await rejected(world)
    practice = await planted(world, first)
    ann = await world.key(Kind.APPROVER, "ann")

    answer = await world.decide(practice, ann, **said)

    told = await answer.json()
    assert answer.status == 200, told
    assert told["said"].startswith(f"This was a practice call. {words}")
    assert "bob rejected the real one" in told["said"] and "Wrong recipient" in told["said"]
    was = told["practice"]
    assert (was["outcome"], was["right"]) == (outcome, outcome == "caught")
    assert (was["by"], was["original"], was["reason_code"]) == (["bob"], first.id, "wrong_person")
    assert was["at"] == first.reviews[0].at
    assert "\u202e" not in json.dumps(told, ensure_ascii=False)
    assert (await item(world, practice, ann))["practice"] == was
    assert world.tool.calls == []


async def test_pressing_again_says_the_same(world: World) -> None:
    practice = await planted(world)
    ann = await world.key(Kind.APPROVER, "ann")
    first = await (await world.decide(practice, ann)).json()
    again = await (await world.decide(practice, ann)).json()

    assert again == first


async def test_how_a_colleague_did_is_not_said(world: World) -> None:
    practice = await planted(world)
    await world.decide(practice, await world.key(Kind.APPROVER, "zoe"))
    cat = await world.key(Kind.APPROVER, "cat")

    shown = await item(world, practice, cat)
    late = await world.decide(practice, cat)
    listed = await get(world, "/v1/approvals?state=recent", cat)

    assert shown["practice"] is None
    assert shown["card"]["outcome"] == "a practice call; nothing was sent"
    assert late.status == 409
    assert (shown["votes"], shown["card"]["votes"]) == ([], 0)
    for said in (shown, await late.json()):
        assert "zoe" not in json.dumps(said)
    cards = [each for each in listed["items"] if each["id"] == practice.id]
    assert cards and "zoe" not in json.dumps(cards)


async def test_colleagues_do_not_count_what_was_practice(world: World) -> None:
    world.gate.policy = with_reasons()
    first = await rejected(world)
    zoe, cat = await world.key(Kind.APPROVER, "zoe"), await world.key(Kind.APPROVER, "cat")
    await world.decide(await planted(world, first), zoe)

    (shown,) = [
        each for each in (await get(world, "/v1/people", cat))["items"] if each["id"] == "zoe"
    ]
    assert shown["approved"] == 0
    assert (await get(world, "/v1/me", zoe))["approved"] == 1


@pytest.mark.parametrize("kind", [Kind.ADMIN, Kind.AUDITOR])
async def test_admins_and_auditors_may_look_it_up(world: World, kind: Kind) -> None:
    practice = await planted(world)
    await world.decide(practice, await world.key(Kind.APPROVER, "ann"))

    shown = await item(world, practice, await world.key(kind))

    assert shown["practice"]["said"].startswith("ann let this one through.")


async def test_of_an_original_that_is_kept_no_more_little_is_said(world: World) -> None:
    real = await rejected(world)
    practice = await planted(world, real)
    await world.store.client.delete(f"{world.store._prefix}:c:{real.id}")
    told = await (await world.decide(practice, await world.key(Kind.APPROVER, "ann"))).json()

    assert told["said"] == (
        "This was a practice call. You let this one through. It was practice, so nothing was sent."
    )
    assert told["practice"]["by"] == [] and told["practice"]["original"] == ""


async def test_in_a_batch_it_is_said_too(world: World) -> None:
    practice = await planted(world)
    body = {"type": "reject", "message": "no", "items": []}
    body["items"] = [{"id": practice.id, "version": 1, "digest": practice.digest}]
    ann = await world.key(Kind.APPROVER, "ann")
    answer = await world.ask("POST", "/v1/approvals/decisions", key=ann, json=body)

    (verdict,) = (await answer.json())["items"]
    assert verdict["said"].startswith("This was a practice call. Good catch")


async def test_it_is_none_of_the_calls_in_the_figures_of_calls(world: World) -> None:
    first = await rejected(world)
    before = [line for line in _lines(world) if "bucket" not in line]
    practice = await planted(world, first)
    await world.decide(practice, await world.key(Kind.APPROVER, "ann"))

    after = [line for line in _lines(world) if "bucket" not in line]
    assert after == before


def _lines(world: World) -> list[str]:
    counted = ("interlock_call", "interlock_review", "interlock_time", "interlock_expir")
    return [
        line for line in world.metrics.render().decode().splitlines() if line.startswith(counted)
    ]


async def test_people_read_how_they_did_themselves_and_admins_of_all(world: World) -> None:
    book = world.deps.practice
    assert isinstance(book, RedisPractice)
    now = await world.store.now()
    for each in range(3):
        await book.note("ann", f"d{each}", Practised.CAUGHT, now)
    await book.note("bob", "d9", Practised.MISSED, now)

    bob = await get(world, "/v1/practice", await world.key(Kind.APPROVER, "bob"))
    new = await get(world, "/v1/practice", await world.key(Kind.APPROVER, "new"))
    for kind in (Kind.ADMIN, Kind.AUDITOR):
        every = await get(world, "/v1/practice", await world.key(kind))
        assert [(each["person"], each["caught"], each["missed"]) for each in every["items"]] == [
            ("ann", 3, 0),
            ("bob", 0, 1),
        ]
    assert every["items"][0]["sure"] == pytest.approx(0.05 ** (1 / 3))
    assert bob["items"] == [{"person": "bob", "caught": 0, "missed": 1, "sure": 0.0}]
    assert new["items"] == [{"person": "new", "caught": 0, "missed": 0, "sure": 0.0}]
