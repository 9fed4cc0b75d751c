"""The page of agents, in a real browser: who is stopped, by whom; stopping and resuming."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from interlock.core.actions import Reviewer
from interlock.core.desk import EVERYBODY, Suspension
from interlock.core.identity import Kind

from .browser import IN_ONE_LOOP, PHONE, WIDER, browser, signed_in, world
from .world import ANN, BOB, OLGA, World, a_call

__all__ = ["browser", "world"]
pytestmark = [pytest.mark.slow, IN_ONE_LOOP]
HOSTILE = "It says <b>go on</b>\u202e & pays."


async def stop(world: World, agent: str, reason: str = HOSTILE, by: str = "carol") -> None:
    await world.deps.desk.suspend(Suspension(agent=agent, by=by, reason=reason, at=0))


async def test_an_agent_is_stopped_for_a_reason_and_resumed_by_somebody_else(
    world: World, browser: Browser
) -> None:
    await world.hold()
    async with signed_in(browser, world, ANN) as page:
        await page.goto(f"{world.url}/agents")
        card = page.locator(".agent", has_text="billing-bot")
        await expect(card).to_contain_text("owned by olga")
        await card.get_by_role("button", name="Stop billing-bot").press("Enter")
        dialog = page.get_by_role("dialog", name="Stop billing-bot?")
        await expect(dialog.get_by_label("Why")).to_be_focused()
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(dialog.get_by_role("alert")).to_contain_text("Say why")
        assert await world.deps.desk.suspended() == ()
        await page.keyboard.type(HOSTILE)
        await dialog.get_by_role("button", name="Stop billing-bot now").click()
        await expect(page.get_by_text("Stopped: billing-bot.")).to_be_visible()
        await expect(card.locator(".why-stopped q")).to_have_text(
            "It says <b>go on</b><U+202E> & pays."
        )
        await expect(card.locator(".why-stopped")).to_contain_text("By ann")
        await expect(card).to_be_focused()
    assert [each.agent for each in await world.deps.desk.suspended()] == ["billing-bot"]
    async with signed_in(browser, world, BOB) as page:
        await page.goto(f"{world.url}/agents")
        await page.get_by_role("button", name="Resume billing-bot").click()
        await page.get_by_role("dialog").get_by_role("button", name="Resume now").click()
        await expect(page.get_by_text("Resumed: billing-bot.")).to_be_visible()
    assert await world.deps.desk.suspended() == ()


async def test_a_dialog_is_left_by_escape_and_nothing_happens(
    world: World, browser: Browser
) -> None:
    await world.hold()
    async with signed_in(browser, world, ANN) as page:
        await page.goto(f"{world.url}/agents")
        button = page.get_by_role("button", name="Stop all agents")
        await button.click()
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_be_hidden()
        await expect(button).to_be_focused()
    assert await world.deps.desk.suspended() == ()


async def test_every_page_says_that_all_agents_are_stopped(world: World, browser: Browser) -> None:
    action = await world.hold()
    async with signed_in(browser, world, ANN) as page:
        await page.goto(f"{world.url}/agents")
        await expect(page.locator(".halted")).to_have_count(0)
        await page.get_by_role("button", name="Stop all agents").click()
        dialog = page.get_by_role("dialog", name="Stop all agents?")
        await dialog.get_by_label("Why").fill(HOSTILE)
        await dialog.get_by_role("button", name="Stop all agents now").click()
        await expect(page.get_by_role("heading", name="All agents are stopped")).to_be_visible()
        links = "all => all.map(link => link.getAttribute('href'))"
        places = await page.eval_on_selector_all("header.top a", links)
        assert {"/agents", "/history", "/notifications", "/me"} <= set(places)
        for path in (*places, f"/review/{action.id}", "/review/act_none"):
            await page.goto(f"{world.url}{path}")
            await expect(page.locator(".halted")).to_contain_text(
                "All agents are stopped: nothing is sent. ann stopped them"
            )
            await expect(page.locator(".halted q")).to_have_text(
                "It says <b>go on</b><U+202E> & pays."
            )
        await page.goto(f"{world.url}/agents")
        await page.get_by_role("button", name="Resume all agents").click()
        await page.get_by_role("dialog").get_by_role("button", name="Resume now").click()
        await expect(page.get_by_role("heading", name="All agents", exact=True)).to_be_visible()
        await expect(page.locator(".halted")).to_have_count(0)


async def test_a_page_that_is_open_learns_that_all_agents_are_stopped(
    world: World, browser: Browser
) -> None:
    action = await world.hold()
    async with signed_in(browser, world, ANN) as page:
        for path in ("/review", f"/review/{action.id}"):
            await page.goto(f"{world.url}{path}")
            await page.wait_for_selector("[data-ready]")
            await expect(page.locator(".halted")).to_have_count(0)
            await stop(world, EVERYBODY)
            halted = page.get_by_role("alert").and_(page.locator(".halted"))
            await expect(halted).to_contain_text(
                "All agents are stopped: nothing is sent. carol stopped them on"
            )
            await expect(halted.locator("q")).to_have_text("It says <b>go on</b><U+202E> & pays.")
            said = await halted.inner_text()
            await page.reload()
            await expect(halted).to_have_text(said)
            await world.deps.desk.resume(EVERYBODY)
            await expect(halted).to_have_count(0)


async def test_who_is_not_signed_in_is_not_told_who_is_stopped(world: World) -> None:
    await stop(world, EVERYBODY)
    for path in ("/agents", "/review", "/sign-in"):
        text = await (await world.ask("GET", path)).text()
        assert "stopped" not in text and "carol" not in text


async def test_an_owner_stops_their_agent_and_is_not_offered_to_resume_it(
    world: World, browser: Browser
) -> None:
    await world.hold()
    await world.hold(a_call(agent="other-bot"))
    async with signed_in(browser, world, OLGA) as page:
        await page.goto(f"{world.url}/agents")
        await expect(page.get_by_role("button", name="Stop billing-bot")).to_be_visible()
        await stop(world, "billing-bot")
        await stop(world, EVERYBODY)
        await page.reload()
        card = page.locator(".agent", has_text="billing-bot")
        await expect(card).to_contain_text("You answer for it, or stand in for who does")
        await expect(page.locator("#all")).to_contain_text("You answer for one of them")
        await expect(page.get_by_role("button", name="Resume")).to_have_count(0)


async def test_what_agents_and_people_write_is_shown_as_text_and_leads_where_it_says(
    world: World, browser: Browser
) -> None:
    await world.hold(a_call(agent="<img src=x>"))
    await world.hold(a_call(agent="a b/../c"))
    for name in ("..", "bér"):
        await world.hold(a_call(agent=name))
    held = await world.hold(a_call(agent="plain-bot"))
    await world.keys.create(Kind.AGENT, "plain-bot", "olga", (), 1)
    await stop(world, "plain-bot")
    async with signed_in(browser, world, ANN, viewport=PHONE) as page:
        await page.goto(f"{world.url}/agents")
        await expect(page.locator(".agent .tool", has_text="<img src=x>")).to_be_visible()
        await expect(page.locator(".agent img")).to_have_count(0)
        await expect(
            page.get_by_text("A name like this cannot be stopped by itself")
        ).to_have_count(4)
        assert await page.evaluate(WIDER) == 0
        card = page.locator(".agent", has_text="plain-bot")
        await card.get_by_text("1 key").click()
        await expect(card.locator(".key-list .warn")).to_contain_text("ended 1970")
        await card.get_by_role("link", name="1 held call").click()
        await page.wait_for_selector("[data-ready]")
        await expect(page.locator("#cards .card")).to_have_attribute("data-id", held.id)


async def test_an_auditor_sees_all_of_it_and_has_no_button(world: World, browser: Browser) -> None:
    await world.hold()
    await stop(world, "mail-bot")
    who = Reviewer(id="audrey")
    async with signed_in(browser, world, ANN) as page:
        await page.context.clear_cookies()
        cookie = await world.deps.sessions.open(who, Kind.AUDITOR)
        await page.context.add_cookies(
            [{"name": world.deps.cookie, "value": cookie, "url": world.url}]
        )
        await page.goto(f"{world.url}/agents")
        await expect(page.locator(".agent")).to_have_count(2)
        await expect(page.locator("main button")).to_have_count(0)
        await page.goto(f"{world.url}/me")
        await expect(page.get_by_text("Auditors read everything")).to_be_visible()
        await page.goto(f"{world.url}/notifications")
        await expect(page.locator("main button")).to_have_count(0)
