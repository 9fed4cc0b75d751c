"""The page of notices that nobody was told of, in a real browser."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from .browser import IN_ONE_LOOP, PHONE, WIDER, browser, signed_in, world
from .test_notifications import dead
from .world import ANN, World

__all__ = ["browser", "world"]
pytestmark = [pytest.mark.slow, IN_ONE_LOOP]


async def counts(world: World) -> tuple[int, int]:
    assert world.deps.outbox is not None
    return await world.deps.outbox.counts()


async def test_a_dead_letter_says_why_is_sent_again_and_another_is_dropped(
    world: World, browser: Browser
) -> None:
    action = await world.hold()
    await dead(world, action.id, "answered <b>410</b>\u202e " + "x" * 300)
    await dead(world, "act_other", "no such host")
    async with signed_in(browser, world, ANN, viewport=PHONE) as page:
        await page.goto(f"{world.url}/notifications")
        letters = page.locator(".notice")
        await expect(letters).to_have_count(2)
        assert await page.evaluate(WIDER) == 0
        first = page.locator(".notice", has_text="<b>410</b><U+202E>")
        await expect(first).to_contain_text("the last one failed")
        await expect(first.get_by_role("link")).to_have_attribute("href", f"/review/{action.id}")
        await first.get_by_role("button", name="Send again").press("Enter")
        await expect(page.get_by_text("It is sent again now.")).to_be_visible()
        assert await counts(world) == (1, 1)
        other = page.locator(".notice", has_text="no such host")
        await other.get_by_role("button", name="Drop").click()
        assert await counts(world) == (1, 1)
        await other.get_by_role("button", name="Drop it: nobody is told").click()
        await expect(page.get_by_text("Dropped.")).to_be_visible()
        await expect(page.get_by_text("Everything was delivered")).to_be_visible()
    assert await counts(world) == (1, 0)


async def test_what_somebody_else_dropped_meanwhile_is_said(world: World, browser: Browser) -> None:
    entry = await dead(world)
    async with signed_in(browser, world, ANN) as page:
        await page.goto(f"{world.url}/notifications")
        assert world.deps.outbox is not None
        await world.deps.outbox.drop(entry.id)
        await page.get_by_role("button", name="Send again").click()
        await expect(page.locator("#said")).to_contain_text("There is no dead letter")


async def test_a_sample_says_whether_it_arrived(world: World, browser: Browser) -> None:
    async with signed_in(browser, world, ANN) as page:
        await page.goto(f"{world.url}/notifications")
        for channel, said in (
            ("webhook.ops", "The receiver took it."),
            ("webhook.broken", "Not delivered: the receiver answered 500"),
        ):
            await page.get_by_role("button", name=f"Send a sample through {channel}").click()
            line = page.locator(".channel", has_text=channel).get_by_role("status")
            await expect(line).to_have_text(said)
