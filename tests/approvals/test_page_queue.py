"""The queue in a real browser: filters, pages, and several calls decided at once."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from interlock.core.actions import Action, State
from interlock.core.decisions import Level, Stake
from interlock.core.identity import Kind
from interlock.core.rules import Attention

from .browser import IN_ONE_LOOP, PHONE, WIDER, browser, signed_in, world
from .world import ANN, HIDDEN, IBAN, World, a_call, careful, paying

__all__ = ["browser", "world"]
pytestmark = [pytest.mark.slow, IN_ONE_LOOP]


def hold_notes(world: World) -> None:
    """Hold calls of low stake too, and let them be approved together."""
    policy = world.gate.policy
    P = Level.APPROVE
    world.gate.policy = replace(
        policy, matrix=((P,) * 4, *policy.matrix[1:]), attention=Attention(batch=Stake.LOW)
    )


async def note(world: World, number: int, text: str = "") -> Action:
    body = json.dumps({"text": text or f"note {number}"}).encode()
    return await world.hold(a_call("bank", "PUT", f"/v1/notes/{number}", body))


async def ids(page: Page) -> list[str]:
    found: list[str] = await page.eval_on_selector_all(
        "#cards .card", "all => all.map(card => card.dataset.id)"
    )
    return found


async def test_filters_work_from_the_keyboard_and_stay_in_the_address(
    world: World, browser: Browser
) -> None:
    rent = await world.hold()
    await world.hold(a_call("git", "DELETE", "/repos/acme/website", b"", agent="gardener"))
    async with signed_in(browser, world, ANN) as page:
        await page.wait_for_selector("[data-ready]")
        await page.keyboard.press("/")
        await page.keyboard.type("MAY RENT")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/review?text=MAY+RENT")
        await page.wait_for_selector("[data-ready]")
        assert await ids(page) == [rent.id]
        await world.hold(a_call("mail", target="/messages", body=b'{"to": "b", "body": "hi"}'))
        await world.hold(a_call(body=b'{"amount": 2, "recipient": "C", "memo": "may rent too"}'))
        await expect(page.locator("#cards .card")).to_have_count(2)
        await page.get_by_role("link", name="Show all").click()
        await expect(page.locator("#cards .card")).to_have_count(4)
        await page.get_by_label("People needed").select_option("approve_dual")
        await page.wait_for_url("**/review?level=approve_dual")
        await expect(page.locator("#cards .card")).to_have_count(1)
        await page.goto(f"{world.url}/review?agent=gardener&tool=bank.transfer")
        await expect(page.get_by_text("Nothing that waits is like this")).to_be_visible()
        assert await page.get_by_label("Agent").input_value() == "gardener"


async def test_a_search_finds_nothing_that_policy_hides(world: World, browser: Browser) -> None:
    world.gate.policy = careful(HIDDEN)
    await world.hold(paying(reason=f"{IBAN} is due"))
    async with signed_in(browser, world, ANN) as page:
        for text, found in (("DE0212030000", 0), ("…2051", 1), ("is due", 1)):
            await page.goto(f"{world.url}/review?text={text}")
            await expect(page.locator("#cards .card")).to_have_count(found)


async def test_more_of_a_long_queue_comes_without_losing_the_place(
    world: World, browser: Browser
) -> None:
    hold_notes(world)
    made = [await note(world, number) for number in range(230)]
    async with signed_in(browser, world, ANN) as page:
        await page.wait_for_selector("[data-ready]")
        shown = await page.locator("#cards .card").count()
        assert shown == 10  # of one agent, where not all fit
        await (
            page.get_by_role("link", name="Show more")
            .or_(page.locator("#left-out a"))
            .first.click()
        )
        await page.wait_for_selector("[data-ready]")
        await expect(page.locator("#cards .card")).to_have_count(50)
        await page.get_by_role("link", name="Show more").click()
        await expect(page.locator("#cards .card")).to_have_count(200)
        focused = "document.activeElement.closest('.card')?.dataset.id"
        at = await page.evaluate(focused)
        assert at == made[50].id
        top = f"document.querySelector('[data-id={at}]').getBoundingClientRect().top"
        before = await page.evaluate(top)
        key = await world.key(Kind.APPROVER, "bob")
        await world.decide(made[3], key, type="reject", message="no")
        await expect(page.locator(f"[data-id={made[3].id}]")).to_have_count(0)
        assert await page.evaluate(focused) == at
        assert abs(await page.evaluate(top) - before) < 2
        await page.get_by_role("link", name="Show more").click()
        await expect(page.locator("#cards .card")).to_have_count(229)
        listed = await ids(page)
        assert listed == [each.id for each in made if each.id != made[3].id]
        await expect(page.locator("#more")).to_be_hidden()


async def test_the_page_keeps_no_more_than_five_hundred_cards(
    world: World, browser: Browser
) -> None:
    hold_notes(world)
    for start in range(0, 620, 20):
        await asyncio.gather(*(note(world, start + each) for each in range(20)))
    async with signed_in(browser, world, ANN) as page:
        await page.goto(f"{world.url}/review?limit=200")
        await page.wait_for_selector("[data-ready]")
        cards = page.locator("#cards .card")
        for count in (400, 400, 220):
            last = (await ids(page))[-1]
            await page.locator("#more-link").click()
            await expect(cards.last).not_to_have_attribute("data-id", last, timeout=20_000)
            await expect(page.locator("#more-said")).to_have_text(f"{count} shown", timeout=20_000)
        await expect(page.locator("#more")).to_be_hidden()
        assert await cards.count() <= 500
        await expect(page.get_by_text("Back to the first")).to_be_visible()


async def test_listed_calls_are_approved_together_each_with_its_own_verdict(
    world: World, browser: Browser
) -> None:
    hold_notes(world)
    notes = [await note(world, number, "a\tb") for number in range(4)]
    rent = await world.hold()
    async with signed_in(browser, world, ANN) as page:
        await page.wait_for_selector("[data-ready]")
        await expect(page.locator(f"[data-id={rent.id}]")).not_to_have_attribute(
            "data-together", ""
        )
        await page.keyboard.press("j")
        for _ in range(3):
            await page.keyboard.press("j")
            await page.keyboard.press("x")
        await expect(page.locator("#bar-count")).to_have_text("3 selected")
        await page.get_by_role("button", name="Approve 3 listed").click()
        dialog = page.get_by_role("dialog", name="Approve these 3 calls")
        for each in notes[:3]:
            await expect(dialog.locator("code", has_text=each.id[:12])).to_be_visible()
        await expect(dialog.locator(".pt").first).to_have_text("⇥")
        key = await world.key(Kind.APPROVER, "bob")
        await world.decide(notes[1], key, type="reject", message="no")
        await dialog.get_by_role("button", name="Approve 3: send as listed").click()
        await expect(page.get_by_role("heading", name="2 of 3 approved")).to_be_visible()
        verdicts = page.locator("#batch .verdict")
        await expect(verdicts.nth(0)).to_contain_text("ann: ")
        await expect(verdicts.nth(1)).to_have_class("verdict bad")
        await page.get_by_role("button", name="Close", exact=True).last.click()
        await expect(page.locator("#bar")).to_be_hidden()
        await expect(page.locator("#cards .card")).to_have_count(2)
    states = [(await world.settled(each)).state for each in notes]
    assert states == [State.ANSWERED, State.REJECTED, State.ANSWERED, State.HELD]
    assert (await world.now(rent)).state is State.HELD


async def test_what_is_deceptive_says_so_in_the_list_and_is_not_approved_with_others(
    world: World, browser: Browser
) -> None:
    hold_notes(world)
    plain, tricky = await note(world, 1), await note(world, 2, "p\u0430rtner")
    async with signed_in(browser, world, ANN) as page:
        card = page.locator(f"[data-id={tricky.id}]")
        await expect(card.locator(".twice")).to_have_text("Look twice")
        await expect(page.locator(f"[data-id={plain.id}] .twice")).to_be_hidden()
        assert [each["batch"] for each in await listed(page)] == [True, False]


async def test_what_is_approved_only_by_itself_is_rejected_with_others(
    world: World, browser: Browser
) -> None:
    hold_notes(world)
    rent, other = await world.hold(), await note(world, 1)
    async with signed_in(browser, world, ANN) as page:
        await page.wait_for_selector("[data-ready]")
        await page.keyboard.press("j")
        await page.keyboard.press("x")
        only = "1 selected; each is approved only by itself"
        await expect(page.locator("#bar-count")).to_have_text(only)
        await page.keyboard.press("j")
        await page.keyboard.press("x")
        some = "2 selected; 1 is approved only by itself"
        await expect(page.locator("#bar-count")).to_have_text(some)
        await expect(page.get_by_role("button", name="Approve 2 listed")).to_be_disabled()
        await page.get_by_role("button", name="Reject listed").click()
        await page.get_by_role("dialog").get_by_text("Already done").click()
        await page.get_by_role("button", name="Reject 2: never send").click()
        await expect(page.get_by_role("heading", name="2 of 2 rejected")).to_be_visible()
    assert {(await world.now(each)).state for each in (rent, other)} == {State.REJECTED}


async def listed(page: Page) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await page.evaluate(
        "() => fetch('/v1/approvals').then((a) => a.json()).then((a) => a.items)"
    )
    return found


async def test_a_batch_is_rejected_with_a_reason_and_shift_reaches(
    world: World, browser: Browser
) -> None:
    hold_notes(world)
    notes = [await note(world, number) for number in range(4)]
    async with signed_in(browser, world, ANN, viewport=PHONE) as page:
        await page.wait_for_selector("[data-ready]")
        boxes = page.locator("[data-pick]")
        await boxes.nth(0).click()
        await boxes.nth(2).click(modifiers=["Shift"])
        await expect(page.locator("#bar-count")).to_have_text("3 selected")
        await page.get_by_role("button", name="Reject listed").click()
        assert await page.evaluate(WIDER) == 0
        await page.get_by_role("button", name="Reject 3: never send").click()
        await expect(page.get_by_text("Give a reason.")).to_be_visible()
        await page.get_by_role("dialog").get_by_text("Already done").click()
        await page.get_by_role("button", name="Reject 3: never send").click()
        await expect(page.get_by_role("heading", name="3 of 3 rejected")).to_be_visible()
    states = [(await world.now(each)).state for each in notes]
    assert states == [State.REJECTED] * 3 + [State.HELD]
    assert world.tool.calls == []
