"""Pages that stay open: what they hear of, and what they say while they hear nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.async_api import Browser, Page, Route, expect

from interlock.core.actions import State
from interlock.core.desk import EVERYBODY, Suspension
from interlock.core.identity import Kind

from .browser import IN_ONE_LOOP, browser, open_item, signed_in, world
from .world import ANN, World, a_call

__all__ = ["browser", "world"]
pytestmark = [pytest.mark.slow, IN_ONE_LOOP]
PLACES = ("history", "analytics", "audits", "agents", "grants", "tools", "policy", "me")
HOSTILE = "It says <b>go on</b>\u202e & pays."
SEEN = """seen => {
    Object.defineProperty(document, 'visibilityState', {value: seen, configurable: true});
    document.dispatchEvent(new Event('visibilitychange'));
}"""
TEN_MINUTES = """{
    const now = Date.now.bind(Date), off = MINUTES * 60_000;
    Date.now = () => now() + off;
}"""


async def stop_all(world: World, reason: str = HOSTILE) -> None:
    await world.deps.desk.suspend(Suspension(agent=EVERYBODY, by="carol", reason=reason, at=0))


def streams(page: Page) -> list[str]:
    """Return a list that grows with each stream that the page begins."""
    begun: list[str] = []
    page.on("request", lambda asked: begun.append(asked.url) if "/v1/events" in asked.url else None)
    return begun


# that all agents are stopped ----------------------------------------------------------------


@pytest.mark.parametrize("place", PLACES)
async def test_every_page_that_is_open_learns_that_all_agents_are_stopped(
    world: World, browser: Browser, place: str
) -> None:
    async with signed_in(browser, world, ANN) as page:
        await page.wait_for_selector("[data-ready]")
        begun = streams(page)
        await page.goto(f"{world.url}/{place}")
        await expect(page.locator(".halted")).to_have_count(0)
        await stop_all(world)
        halted = page.get_by_role("alert").and_(page.locator(".halted"))
        await expect(halted).to_contain_text("All agents are stopped: nothing is sent. carol")
        await expect(halted.locator("q")).to_have_text("It says <b>go on</b><U+202E> & pays.")
        if place != "agents":  # which loads itself again
            assert len(begun) == 1
        await world.deps.desk.resume(EVERYBODY)
        await expect(halted).to_have_count(0)


async def test_the_switch_does_not_say_otherwise_than_the_bar(
    world: World, browser: Browser
) -> None:
    async with signed_in(browser, world, ANN) as page:
        await page.goto(f"{world.url}/agents")
        await stop_all(world)
        await expect(page.get_by_role("heading", name="All agents are stopped")).to_be_visible()
        await expect(page.locator("#all")).to_be_focused()


async def test_a_call_whose_agent_goes_on_says_no_more_that_it_is_stopped(
    world: World, browser: Browser
) -> None:
    action = await world.hold()
    async with signed_in(browser, world, ANN) as page:
        await open_item(page, world, action)
        await stop_all(world, "Incident.")
        await expect(page.locator("#banner")).to_have_text("carol stopped all agents. Incident.")
        await expect(page.locator("#approve")).to_be_disabled()
        await page.reload()
        await expect(page.locator(".stop-note")).to_contain_text("carol stopped all agents")
        await world.deps.desk.resume(EVERYBODY)
        await expect(page.locator(".stop-note")).to_be_hidden()
        await expect(page.locator("#approve")).to_be_enabled()


# out of sight -------------------------------------------------------------------------------


async def test_many_tabs_do_not_keep_each_other_from_loading(
    world: World, browser: Browser
) -> None:
    """A browser keeps six connections to a server: a stream each would be one tab too many."""
    actions = [await world.hold(a_call(session=f"s{n}")) for n in range(8)]
    async with signed_in(browser, world, ANN) as first:
        tabs = [await first.context.new_page() for _ in actions]
        for tab, action in zip(tabs, actions, strict=True):
            await open_item(tab, world, action)
            await tab.evaluate(SEEN, "hidden")
        begun = streams(tabs[0])
        key = await world.key(Kind.APPROVER, "bob")
        await world.decide(actions[0], key, type="reject", message="Not this one.")
        await tabs[0].evaluate(SEEN, "visible")
        await expect(tabs[0].locator("#banner")).to_have_text("bob: rejected")
        assert begun


async def test_the_queue_counts_in_its_title_while_nobody_sees_it(
    world: World, browser: Browser
) -> None:
    async with signed_in(browser, world, ANN) as page:
        await page.wait_for_selector("[data-ready]")
        await page.evaluate(SEEN, "hidden")
        await world.hold()
        await expect(page).to_have_title("Review (1) · Interlock")


# nothing is heard ---------------------------------------------------------------------------


async def test_a_page_goes_on_once_interlock_answers_again(world: World, browser: Browser) -> None:
    async def busy(route: Route) -> None:
        await route.fulfill(status=503, body="{}")

    async with signed_in(browser, world, ANN) as page:
        await page.route("**/v1/events", busy)
        await page.goto(f"{world.url}/review")
        await expect(page.locator("#live")).to_have_text("Not live: trying to reconnect")
        await page.unroute("**/v1/events", busy)
        await expect(page.locator("#live")).to_be_hidden()
        await world.hold()
        await expect(page.locator("#cards .card")).to_have_count(1)


async def test_a_device_that_was_offline_is_told_so_and_goes_on(
    world: World, browser: Browser
) -> None:
    async with signed_in(browser, world, ANN) as page:
        await page.wait_for_selector("[data-ready]")
        await page.context.set_offline(True)
        await expect(page.locator("#live")).to_have_text("Not live: this device is offline")
        await world.hold()
        await page.context.set_offline(False)
        await expect(page.locator("#live")).to_be_hidden()
        await expect(page.locator("#cards .card")).to_have_count(1)


async def test_who_is_signed_out_elsewhere_is_told_and_led_to_sign_in(
    world: World, browser: Browser
) -> None:
    action = await world.hold()
    async with signed_in(browser, world, ANN) as page:
        await open_item(page, world, action)
        await world.deps.sessions.close_all("ann")
        await world.hold(a_call(agent="other"))  # the stream looks again
        await expect(page.locator("#live")).to_have_text("You are signed out. Sign in again")
        await page.keyboard.press("a")
        await page.keyboard.press("Enter")
        await expect(page.locator("#panel-approve .error")).to_contain_text("You are signed out.")
        assert (await world.now(action)).state is State.HELD
        await page.get_by_role("link", name="Sign in again").click()
        await expect(page.get_by_role("heading", name="You are not signed in")).to_be_visible()
    assert world.tool.calls == []


async def test_a_decision_without_an_answer_is_neither_lost_nor_made_up(
    world: World, browser: Browser
) -> None:
    action = await world.hold()
    async with signed_in(browser, world, ANN) as page:
        await open_item(page, world, action)
        await page.route("**/decision", lambda route: route.abort())
        await page.keyboard.press("r")
        await page.locator("#reject-message").fill("Not this account.")
        await page.keyboard.press("Control+Enter")
        error = page.locator("#panel-reject .error")
        await expect(error).to_contain_text("has not heard you: send it again")
        await expect(page.get_by_role("button", name="Reject: never send it")).to_be_enabled()
        await page.unroute("**/decision")
        await page.keyboard.press("Control+Enter")
        await expect(page.locator("#banner")).to_have_text("ann: rejected")
    assert (await world.now(action)).reviews[-1].message == "Not this account."


async def test_a_decision_whose_answer_is_lost_is_shown_as_it_was_recorded(
    world: World, browser: Browser
) -> None:
    async def heard_only(route: Route) -> None:
        await route.fetch()
        await route.abort()

    action = await world.hold()
    async with signed_in(browser, world, ANN) as page:
        await open_item(page, world, action)
        await page.route("**/decision", heard_only)
        await page.keyboard.press("a")
        await page.keyboard.press("Enter")
        await expect(page.locator("#after-text")).to_contain_text("ann: sent, the tool answered")
    assert len(world.tool.calls) == 1


CUT = """{
    const asked = window.fetch;
    const cut = () => new ReadableStream({start: (body) => body.error(new Error("cut"))});
    const half = (said) => new Response(cut(), {status: said.status});
    window.fetch = (...to) => asked(...to).then(half);
}"""


async def test_an_answer_that_breaks_off_is_none(world: World, browser: Browser) -> None:
    """As where somebody leaves the page while it asks: nothing is made of half an answer."""
    action = await world.hold()
    async with signed_in(browser, world, ANN) as page:  # which notes what nobody caught
        await page.add_init_script(CUT)
        for path in ("/review", f"/review/{action.id}"):
            await page.goto(f"{world.url}{path}")
            await page.wait_for_selector("[data-ready]")
            await world.hold(a_call(agent=f"moves-{len(path)}"))
            await expect(page.locator(".left").first).to_contain_text("59:5")
        await page.keyboard.press("j")
        await page.keyboard.press("a")
        await page.keyboard.press("Enter")
        error = page.locator("#panel-approve .error")
        await expect(error).to_contain_text("Interlock does not answer. Whether it heard you")


# the clock of the browser -------------------------------------------------------------------


@pytest.mark.parametrize("minutes", [-10, 10])
async def test_the_time_is_the_stores_whatever_the_browser_believes(
    world: World, browser: Browser, minutes: int
) -> None:
    policy = world.gate.policy
    levels = replace(policy.levels, approve_dual=replace(policy.levels.approve_dual, folded=True))
    levels = replace(levels, approve_dual=replace(levels.approve_dual, hold_ms=300_000))
    world.gate.policy = replace(policy, levels=levels)
    action = await world.hold(a_call("git", "DELETE", "/repos/acme/website", b""))
    async with signed_in(browser, world, ANN) as page:
        await page.add_init_script(TEN_MINUTES.replace("MINUTES", str(minutes)))
        await open_item(page, world, action)
        await page.get_by_role("button", name="Cannot tell").click()
        await page.reload()
        await page.wait_for_selector("[data-ready]")
        for clock in await page.locator("main .left").all_inner_texts():
            assert clock.startswith("04:5")
        await expect(page.locator("#approve")).to_be_enabled()
        await expect(page.locator("#banner")).to_be_hidden()


# what is half done --------------------------------------------------------------------------


async def test_what_somebody_was_writing_outlives_an_edit_by_others(
    world: World, browser: Browser
) -> None:
    action = await world.hold(a_call("git", "DELETE", "/repos/acme/website", b""))
    async with signed_in(browser, world, ANN) as page:
        await open_item(page, world, action)
        await page.keyboard.press("r")
        await page.locator("#reject-message").fill("Ask the owner first.")
        await page.route("**/v1/events", lambda route: route.abort())
        bob = await world.key(Kind.APPROVER, "bob")
        edited = {"owner": "acme", "repo": "old-website"}
        said = await world.decide(action, bob, type="edit", message="This one.", edited_args=edited)
        assert said.status == 200, await said.text()
        await page.unroute("**/v1/events")
        await world.hold(a_call(agent="other"))
        await expect(page.locator("#arguments")).to_contain_text("old-website")
        await expect(page.locator("#typed blockquote")).to_have_text("Ask the owner first.")
        await expect(page.locator("#actions")).to_be_visible()


async def test_who_edits_a_call_that_others_decided_is_told_there_and_gets_out(
    world: World, browser: Browser
) -> None:
    action = await world.hold()
    async with signed_in(browser, world, ANN) as page:
        await open_item(page, world, action)
        await page.keyboard.press("e")
        await page.get_by_label("memo", exact=True).fill("half written")
        bob = await world.key(Kind.APPROVER, "bob")
        await world.decide(action, bob, type="reject", message="no")
        await expect(page.locator("#edit-error")).to_have_text("bob: rejected")
        await page.locator("#panel-edit").get_by_role("button", name="Cancel").click()
        await expect(page.locator("#after-text")).to_contain_text("bob: rejected")
