"""Two thousand open calls in a browser: the page stays small, and quick to use."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import expect

from interlock.core.actions import State

from .browser import a_browser, signed_in
from .test_page_queue import hold_notes
from .world import ANN, World, a_call

pytestmark = pytest.mark.slow
OPEN, AT_ONCE, MOST_ELEMENTS = 2000, 50, 25_000


async def _note(world: World, number: int) -> None:
    body = b'{"text": "note %d"}' % number
    agent = f"bot-{number % 4}"  # one agent alone may have 1000 calls waiting
    await world.hold(a_call("bank", "PUT", f"/v1/notes/{number}", body, agent=agent))


async def test_a_long_queue_stays_usable_and_the_page_small(world: World) -> None:
    hold_notes(world)
    for start in range(0, OPEN, AT_ONCE):
        await asyncio.gather(*(_note(world, start + each) for each in range(AT_ONCE)))
    async with a_browser() as browser, signed_in(browser, world, ANN) as page:
        await page.wait_for_selector("[data-ready]")
        await expect(page.locator("#count")).to_have_text(str(OPEN))
        assert await page.locator("#cards .card").count() <= 50
        await page.goto(f"{world.url}/review?limit=200")
        await page.wait_for_selector("[data-ready]")
        for count in (400, 400):
            await page.locator("#more-link").click()
            await expect(page.locator("#more-said")).to_have_text(f"{count} shown", timeout=20_000)
        assert await page.locator("#cards .card").count() <= 500
        assert await page.locator("*").count() < MOST_ELEMENTS
        await page.goto(f"{world.url}/review")
        await page.wait_for_selector("[data-ready]")
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/review/act_*")
        await page.wait_for_selector("[data-ready]")
        chosen = page.url.rpartition("/")[2]
        await page.keyboard.press("a")
        await page.keyboard.press("Enter")
        await expect(page.locator("#after-text")).to_contain_text("sent, the tool answered")
    after = await world.store.get(chosen)
    assert after is not None and after.state is State.ANSWERED
