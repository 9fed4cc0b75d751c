"""The page of the past: searched, paged, and never more than policy shows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from interlock.core.actions import Action
from interlock.core.decisions import Escalation
from interlock.core.identity import Kind
from interlock.core.rules import Redact

from .browser import IN_ONE_LOOP, PHONE, WIDER, browser, signed_in, world
from .world import ANN, World, a_call

__all__ = ["browser", "world"]
pytestmark = IN_ONE_LOOP


async def rejected(world: World, message: str = "no", **more: Any) -> Action:
    action = await world.hold(a_call(**more))
    await world.decide(
        action, await world.key(Kind.APPROVER, "bob"), type="reject", message=message
    )
    return action


async def shown(world: World, query: str = "", status: int = 200) -> str:
    answer = await world.ask("GET", f"/history{query}", key=await world.key(Kind.AUDITOR))
    assert answer.status == status, await answer.text()
    return await answer.text()


async def test_each_call_says_who_said_what_when_it_ended_and_how_long_it_waited(
    world: World,
) -> None:
    levels = world.gate.policy.levels
    later = replace(levels.approve, escalate=(Escalation(after_ms=900_000, to=("leads",)),))
    world.gate.policy = replace(world.gate.policy, levels=replace(levels, approve=later))
    action = await world.hold()
    await world.gate.escalate(action.id, "carol", "now")
    action = await world.now(action)
    bob = await world.key(Kind.APPROVER, "bob")
    await world.decide(action, bob, type="reject", message="Not \u202ehim <i>at all</i>")
    said = (await (await world.ask("GET", "/v1/history", key=bob)).json())["items"][0]
    assert [(each["person"], each["did"]) for each in said["said"]] == [
        ("carol", "escalate"),
        ("bob", "reject"),
    ]
    assert said["waited"] == said["said"][1]["at"] - action.created
    assert said["why"] == "Not <U+202E>him <i>at all</i>"
    text = await shown(world)
    assert "carol</b> asked others to decide sooner" in text and "bob</b> rejected" in text
    assert "&lt;i&gt;at all&lt;/i&gt;" in text and f'href="/review/{action.id}"' in text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?q=nowhere-to-be-found", 0),
        ("?by=bob&state=rejected&tool=bank.transfer&agent=billing-bot", 1),
        ("?since=2020-01-01&until=2999-01-01", 1),
        ("?until=2020-01-01", 0),
        ("?since=2999-01-01", 0),
        ("?agent=&tool=&state=&by=&q=&since=&until=", 1),
    ],
)
async def test_the_form_narrows_it_down(world: World, query: str, found: int) -> None:
    await rejected(world)
    text = await shown(world, query)
    assert text.count('class="card was"') == found
    assert ("Nothing is like this" in text) is (not found)


async def test_both_days_are_counted_whole(world: World) -> None:
    await rejected(world)
    day = str(await (await world.ask("GET", "/history", key=await world.key(Kind.ADMIN))).text())
    today = day.partition('class="left">')[2][:10]
    assert (await shown(world, f"?since={today}&until={today}")).count('class="card was"') == 1


@pytest.mark.parametrize("query", ["?since=yesterday", "?until=2026-13-01", "?state=lost", "?x=1"])
async def test_what_makes_no_sense_is_said_on_a_page(world: World, query: str) -> None:
    assert "Back to the queue" in await shown(world, query, 400)


async def test_what_policy_hides_is_in_no_reason(world: World) -> None:
    await rejected(world, "Bob GmbH is not who the landlord is")
    assert "Bob GmbH" in await shown(world)
    world.gate.policy = replace(world.gate.policy, redact=Redact(approver=("args.recipient",)))
    assert "Bob GmbH" not in await shown(world)


@pytest.mark.slow
async def test_the_past_is_searched_and_read_page_by_page(world: World, browser: Browser) -> None:
    calls = [await rejected(world, session=f"s{number}") for number in range(53)]
    other = await rejected(world, "<b>mails</b>", agent="mail-bot")
    async with signed_in(browser, world, ANN, viewport=PHONE) as page:
        await page.goto(f"{world.url}/history")
        await expect(page.locator(".was")).to_have_count(50)
        assert await page.evaluate(WIDER) == 0
        await page.get_by_role("link", name="Earlier calls").click()
        await expect(page.locator(".was")).to_have_count(4)
        await page.get_by_role("link", name="Back to the latest").click()
        await page.get_by_label("Agent").fill("mail-bot")
        await page.keyboard.press("Enter")
        await expect(page.locator(".was")).to_have_count(1)
        await expect(page.locator(".was q")).to_have_text("<b>mails</b>")
        await page.locator(".was a").press("Enter")
        await page.wait_for_url(f"**/review/{other.id}")
        await page.go_back()
        await page.get_by_role("link", name="Show all").click()
        await page.get_by_label("Words").fill("s52")
        await page.get_by_label("Ended as").select_option("sent and answered")
        await page.get_by_role("button", name="Search").click()
        await expect(page.get_by_role("heading", name="Nothing is like this")).to_be_visible()
    assert len(calls) == 53
