"""Every page and state by the rules of axe-core, on a screen in both themes and on a phone."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from interlock.core.actions import Action
from interlock.core.decisions import Escalation, Level, Stake
from interlock.core.desk import Assignment, Suspension
from interlock.core.identity import Kind
from interlock.core.rules import Attention
from tests.support import npm

from .browser import IN_ONE_LOOP, PHONE, WIDER, browser, open_item, signed_in, world
from .world import ANN, HIDDEN, IBAN, World, a_call, careful, paying

__all__ = ["browser", "world"]
pytestmark = [pytest.mark.slow, IN_ONE_LOOP]
SCREEN = {"width": 1280, "height": 900}
ALL = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
OF_COLOURS = ("color-contrast", "link-in-text-block")  #: the rules that a theme matters to
RULES = """only => axe.run(document, {runOnly: only, resultTypes: ['violations']}).then(
    found => found.violations.map(
        each => `${each.id}: ${each.help}: ${each.nodes.map(
            node => `${node.target} (${node.failureSummary})`).join(' | ')}`))"""
IS_DARK = "matchMedia('(prefers-color-scheme: dark)').matches"
#: no colour depends on the width, and no place on the theme: the dark one is looked at on a screen
SIZES = {"screen": SCREEN, "phone": PHONE}


@pytest.fixture(scope="module")
def axe() -> str:
    npm.install()
    return (npm.MODULES / "axe-core/axe.min.js").read_text()


async def check(page: Page, axe: str, state: str) -> None:
    """Hold the page as it is now to the rules, to its width, and on a screen to those of colours
    in the dark theme as well.
    """
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(axe)
    assert await violations(page, ALL) == [], state
    assert await page.evaluate(WIDER) == 0, state
    if page.viewport_size == SCREEN:
        await page.emulate_media(color_scheme="dark")
        assert await page.evaluate(IS_DARK)
        assert await violations(page, OF_COLOURS) == [], f"{state}, dark"
        await page.emulate_media(color_scheme="light")


async def violations(page: Page, rules: tuple[str, ...]) -> list[str]:
    """Return what breaks *rules*, once nothing moves any more."""
    await page.wait_for_function(
        "() => document.getAnimations().every(a => a.playState !== 'running')"
    )
    found: list[str] = await page.evaluate(RULES, list(rules))
    return found


def asks_for_all(world: World) -> None:
    """Have policy ask for everything that the page can show."""
    policy, P = world.gate.policy, Level.APPROVE
    levels = replace(
        policy.levels,
        approve=replace(
            policy.levels.approve, escalate=(Escalation(after_ms=900_000, to=("leads",)),)
        ),
        approve_dual=replace(policy.levels.approve_dual, folded=True, dwell_ms=60_000),
    )
    attention = Attention(batch=Stake.LOW, per_hour=20)
    world.gate.policy = replace(
        policy, matrix=((P,) * 4, *policy.matrix[1:]), levels=levels, attention=attention
    )


async def filled(world: World) -> dict[str, Action]:
    asks_for_all(world)
    desk = world.deps.desk
    done = await world.hold(a_call(body=b'{"amount": 1, "recipient": "Bob", "memo": "x"}'))
    await world.decide(done, await world.key(Kind.APPROVER, "bob"))
    await world.settled(done)
    found = {
        "transfer": await world.hold(a_call(task="Pay the rent to Bob GmbH")),
        "dual": await world.hold(a_call("git", "DELETE", "/repos/acme/website", b"")),
        "note": await world.hold(a_call("bank", "PUT", "/v1/notes/1", b'{"text": "a\\u202eb"}')),
        "plain": await world.hold(a_call("bank", "PUT", "/v1/notes/2", b'{"text": "ab"}')),
        "stopped": await world.hold(
            a_call("mail", target="/messages", body=b'{"to": "b", "body": "c"}', agent="mailer")
        ),
        "done": await world.now(done),
    }
    asked = Assignment(to="ann", by="carol", at=0, message="You know them.")
    await desk.assign(found["transfer"].id, asked)
    await desk.look(found["transfer"].id, found["transfer"].digest, "bob", 0)
    await desk.suspend(Suspension(agent="mailer", by="carol", reason="It floods us.", at=0))
    return found


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
async def test_every_state_of_the_queue_and_of_a_call_is_accessible(
    world: World, browser: Browser, axe: str, size: Any
) -> None:
    calls = await filled(world)
    options = {"viewport": size, "color_scheme": "light", "reduced_motion": "reduce"}
    async with signed_in(browser, world, ANN, bypass_csp=True, **options) as page:
        await page.wait_for_selector("[data-ready]")
        await check(page, axe, "queue")
        await page.locator("[data-together] [data-pick]").click()
        await check(page, axe, "queue with a selection")
        await page.get_by_role("button", name="Approve 1 listed").click()
        await check(page, axe, "batch")
        await page.keyboard.press("Escape")
        await page.keyboard.press("?")
        await check(page, axe, "keys")
        for name, call in calls.items():
            await open_item(page, world, call)
            await check(page, axe, name)
        await open_item(page, world, calls["dual"])
        await page.get_by_role("button", name="Looks wrong").click()
        await check(page, axe, "unfolded")
        await open_item(page, world, calls["transfer"])
        for key, panel in (("a", "approve"), ("r", "reject"), ("e", "edit")):
            await page.keyboard.press(key)
            await expect(page.locator(f"#panel-{panel}")).to_be_visible()
            await check(page, axe, panel)
            await page.keyboard.press("Escape")
        await page.keyboard.press("e")
        await page.get_by_label("memo", exact=True).fill("June rent")
        await page.get_by_role("button", name="Preview the edit").click()
        await expect(page.locator("#preview")).to_be_visible()
        await check(page, axe, "preview")
        await page.keyboard.press("Escape")
        for opener in ("Ask somebody", "Ask leads now", "Stop this agent"):
            await page.get_by_role("button", name=opener).click()
            await check(page, axe, opener)
            await page.keyboard.press("Escape")
        await page.keyboard.press("r")
        await page.get_by_text("Wrong target").click()
        await page.keyboard.press("Control+Enter")
        await expect(page.locator("#after")).to_be_visible()
        await check(page, axe, "decided")


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
async def test_every_other_page_is_accessible(
    world: World, browser: Browser, axe: str, size: Any
) -> None:
    world.gate.policy = careful(HIDDEN)
    action = await world.hold(paying(task=f"Pay {IBAN}"))
    options = {"viewport": size, "color_scheme": "light"}
    async with signed_in(browser, world, ANN, bypass_csp=True, **options) as page:
        await open_item(page, world, action)
        await check(page, axe, "hidden")
        await page.get_by_role("button", name="Reveal", exact=True).click()
        await expect(page.get_by_role("button", name="Reveal", exact=True)).to_have_count(0)
        await page.wait_for_selector("[data-ready]")
        await page.get_by_role("button", name="Approve", exact=False).first.click()
        await page.get_by_label("Do not ask again for this target").check()
        await check(page, axe, "grant")
        await page.get_by_role("button", name="Approve, and do not ask again").click()
        # the page loads itself again until the call has ended
        await expect(page.locator("#after-text")).to_contain_text("sent, the tool answered")
        links = "all => all.map(link => link.getAttribute('href'))"
        places = await page.eval_on_selector_all("header.top a", links)
        for path in (*places, "/review/act_none", f"/review/{action.id}"):
            await page.goto(f"{world.url}{path}")
            await check(page, axe, path)
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_role("button", name="Sign out")).to_have_count(0)
        await page.goto(f"{world.url}/review")
        await check(page, axe, "signed out")
        await page.goto(f"{world.url}/sign-in?t={world.deps.links.issue(ANN)}")
        await check(page, axe, "sign in")


async def test_twice_the_size_needs_no_scrolling_sideways(world: World, browser: Browser) -> None:
    calls = await filled(world)
    half = {"width": 640, "height": 450}  # 1280 by 900 at 200 %
    async with signed_in(browser, world, ANN, viewport=half, device_scale_factor=2) as page:
        await page.wait_for_selector("[data-ready]")
        assert await page.evaluate(WIDER) == 0
        for call in calls.values():
            await open_item(page, world, call)
            assert await page.evaluate(WIDER) == 0
            await expect(page.locator(".dock")).to_be_in_viewport()


async def test_the_focus_goes_into_what_opens_and_back_to_what_opened_it(
    world: World, browser: Browser
) -> None:
    calls = await filled(world)
    async with signed_in(browser, world, ANN) as page:
        await open_item(page, world, calls["transfer"])
        for name, within in (("Reject", "#panel-reject"), ("Edit", "#panel-edit")):
            button = page.locator("#actions").get_by_role("button", name=name)
            await button.click()
            inside = f"document.querySelector('{within}').contains(document.activeElement)"
            assert await page.evaluate(inside)
            await page.keyboard.press("Escape")
            await expect(button).to_be_focused()
        said = json.loads(
            await page.evaluate(
                "JSON.stringify([...document.querySelectorAll('[role=status]')].map(e => e.id))"
            )
        )
        assert set(said) >= {"presence", "banner"}
