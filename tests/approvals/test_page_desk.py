"""What people share while they review, in real browsers: who looks, is asked, stopped an agent."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.async_api import Browser, expect

from interlock.core.actions import State
from interlock.core.decisions import Escalation
from interlock.core.desk import Suspension
from interlock.core.identity import Kind

from .browser import IN_ONE_LOOP, browser, open_item, signed_in, world
from .world import ANN, BOB, OLGA, World, a_call

__all__ = ["browser", "world"]
pytestmark = [pytest.mark.slow, IN_ONE_LOOP]
DELETE = ("git", "DELETE", "/repos/acme/website", b"")


async def test_colleagues_see_each_other_and_neither_loses_a_half_written_edit(
    world: World, browser: Browser
) -> None:
    action = await world.hold()
    async with signed_in(browser, world, ANN) as ann:
        await open_item(ann, world, action)
        await expect(ann.locator("#presence")).to_be_empty()
        await ann.keyboard.press("e")
        await ann.get_by_label("memo", exact=True).fill("half written")
        async with signed_in(browser, world, BOB) as bob:
            await expect(bob.locator(".card .seen")).to_have_text("ann is looking")
            await open_item(bob, world, action)
            await expect(bob.locator("#presence")).to_have_text("ann has this open too")
            await world.hold(a_call(*DELETE))  # something moves: the page looks again
            await expect(ann.locator("#presence")).to_have_text("bob has this open too")
        focused = "document.activeElement.labels[0].textContent"
        assert await ann.evaluate(focused) == "memo"
        assert await ann.get_by_label("memo", exact=True).input_value() == "half written"
        await ann.goto(f"{world.url}/review")
        await ann.wait_for_function(
            "() => fetch('/v1/approvals').then(a => a.json()).then(a => !a.items[1].looking.length)"
        )


async def test_only_time_in_sight_is_counted_and_an_approval_keeps_it(
    world: World, browser: Browser
) -> None:
    action = await world.hold()
    async with signed_in(browser, world, ANN) as page:
        await open_item(page, world, action)
        await page.wait_for_function(
            "() => document.querySelector('#main').dataset.noted === 'yes'"
        )
        await page.keyboard.press("a")
        await page.keyboard.press("Enter")
        await expect(page.locator("#after")).to_be_visible()
    assert 0 <= (await world.now(action)).reviews[0].looked_ms < 60_000


async def test_only_who_can_decide_is_offered_to_be_asked(world: World, browser: Browser) -> None:
    action = await world.hold()
    await world.key(Kind.APPROVER, "olga")
    await world.key(Kind.APPROVER, "mia", ("marketing",))
    await world.key(Kind.APPROVER, "bob")
    async with signed_in(browser, world, ANN) as page:
        await open_item(page, world, action)
        await page.get_by_role("button", name="Ask somebody").click()
        dialog = page.get_by_role("dialog", name="Ask somebody to decide")
        await expect(dialog).to_contain_text("Those of ops can decide it.")
        await expect(dialog.locator("input[value=bob]")).to_be_enabled()
        for name, why in (("mia", "not in ops"), ("olga", "owns this agent")):
            await expect(dialog.locator(f"input[value={name}]")).to_be_disabled()
            await expect(dialog.locator(f"input[value={name}] + span")).to_contain_text(why)


async def test_a_colleague_is_asked_and_finds_it_among_their_own(
    world: World, browser: Browser
) -> None:
    action = await world.hold()
    other = await world.hold(a_call(*DELETE))
    async with (
        signed_in(browser, world, BOB) as bob,
        signed_in(browser, world, ANN) as ann,
    ):
        await open_item(ann, world, action)
        await ann.get_by_role("button", name="Ask somebody").click()
        dialog = ann.get_by_role("dialog", name="Ask somebody to decide")
        await dialog.get_by_role("button", name="Ask", exact=True).click()
        await expect(dialog.get_by_text("Choose somebody.")).to_be_visible()
        await dialog.get_by_text("bob", exact=True).click()
        await dialog.get_by_label("What should they know").fill("Your <b>landlord</b>?")
        await dialog.get_by_role("button", name="Ask", exact=True).click()
        await expect(dialog).to_be_hidden()
        await expect(ann.locator("#assigned")).to_have_text(
            "Asked: bob, by you: Your <b>landlord</b>?"
        )
        await expect(ann.get_by_role("button", name="Ask somebody")).to_be_focused()
        await ann.goto(f"{world.url}/review?mine=yes")
        await expect(ann.locator("#cards .card")).to_have_count(1)
        assert await ann.locator(".card").get_attribute("data-id") == other.id
        await bob.goto(f"{world.url}/review?mine=yes")
        card = bob.locator(f"[data-id={action.id}]")
        await expect(card.locator(".asked")).to_have_text("asked: you")
        await open_item(bob, world, action)
        await expect(bob.locator("#assigned")).to_contain_text("Asked: you, by ann")


async def test_those_who_may_decide_later_are_asked_now(world: World, browser: Browser) -> None:
    levels = world.gate.policy.levels
    later = replace(levels.approve, escalate=(Escalation(after_ms=900_000, to=("leads",)),))
    world.gate.policy = replace(world.gate.policy, levels=replace(levels, approve=later))
    action = await world.hold()
    async with signed_in(browser, world, ANN) as page:
        await open_item(page, world, action)
        await page.get_by_role("button", name="Ask leads now").click()
        dialog = page.get_by_role("dialog", name="Ask those who may decide later")
        await dialog.get_by_label("Why now").fill("It is rent day.")
        await dialog.get_by_role("button", name="Ask them now").click()
        await expect(page.locator("#desk-said")).to_have_text(
            "They are told now, and may decide it."
        )
        await expect(page.get_by_role("button", name="Ask leads now")).to_have_count(0)
        await expect(page.locator("#approve")).to_be_enabled()
    after = await world.now(action)
    assert after.decision is not None
    assert after.decision.escalate[0].after_ms < 900_000


async def test_an_agent_is_stopped_from_its_call_and_nobody_approves_it_then(
    world: World, browser: Browser
) -> None:
    action = await world.hold()
    async with signed_in(browser, world, ANN) as page:
        await open_item(page, world, action)
        await page.get_by_role("button", name="Stop this agent").click()
        dialog = page.get_by_role("dialog", name="Stop billing-bot?")
        await dialog.get_by_role("button", name="Stop this agent").click()
        await expect(dialog.get_by_text("Say why: whoever resumes it reads this.")).to_be_visible()
        await dialog.get_by_label("Why").fill("It pays <i>everybody</i>.")
        await dialog.get_by_role("button", name="Stop this agent").click()
        await expect(page.locator(".stop-note")).to_contain_text("ann stopped this agent")
        await expect(page.locator(".stop-note blockquote")).to_have_text(
            "It pays <i>everybody</i>."
        )
        await expect(page.locator("#approve")).to_be_disabled()
        await expect(page.locator("#why-not")).to_have_text("Its agent is stopped")
        await page.goto(f"{world.url}/review")
        await expect(page.locator(".card .alarm")).to_have_text("stopped by ann")
        await open_item(page, world, action)
        await page.keyboard.press("r")
        await page.get_by_text("Nobody asked for this").click()
        await page.keyboard.press("Control+Enter")
        await expect(page.locator("#banner")).to_contain_text("ann: rejected")
    assert (await world.now(action)).state is State.REJECTED


async def test_a_page_says_that_its_agent_is_stopped_meanwhile(
    world: World, browser: Browser
) -> None:
    action, other = await world.hold(), await world.hold(a_call(*DELETE))
    async with signed_in(browser, world, ANN) as page:
        await open_item(page, world, action)
        said = Suspension(agent="-", by="carol", reason="Incident 7.", at=0)
        await world.deps.desk.suspend(said)
        key = await world.key(Kind.APPROVER, "bob")
        await world.decide(other, key, type="reject", message="no")  # the page looks again
        await expect(page.locator("#banner")).to_contain_text("carol stopped all agents")
        await expect(page.locator("#approve")).to_be_disabled()


async def test_an_agents_owner_sees_all_and_decides_nothing(world: World, browser: Browser) -> None:
    action = await world.hold()
    async with signed_in(browser, world, OLGA) as page:
        await open_item(page, world, action)
        await expect(page.locator("#why-not")).to_contain_text("You own this agent")
        await expect(page.locator("#approve")).to_have_count(0)
        await page.goto(f"{world.url}/review?mine=yes")
        await expect(page.get_by_text("Nothing that waits is like this")).to_be_visible()
