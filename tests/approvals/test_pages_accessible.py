"""The pages beside the queue with all that they can show: axe-core, both themes, two widths."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from interlock.core.decisions import PolicyRef
from interlock.core.desk import EVERYBODY, Absence, Suspension
from interlock.core.identity import Kind
from interlock.core.practice import Practised
from interlock.core.rules import Attention
from interlock.ports import Notice, TriedOut

from .browser import IN_ONE_LOOP, browser, signed_in, world
from .test_notifications import dead
from .test_page_accessible import SIZES, axe, check
from .world import ANN, World, a_call, careful

__all__ = ["axe", "browser", "world"]
pytestmark = [pytest.mark.slow, IN_ONE_LOOP]
LONG = "never-fires-" + "x" * 90 + "<b>"


async def busy(world: World) -> None:
    """A world of which every page has something to show."""
    now = world.clock.now = await world.store.now()
    bob = await world.key(Kind.APPROVER, "bob")
    for message in ("Not the landlord's IBAN.", "y" * 400):
        action = await world.hold(a_call(session=message[:3]))
        await world.decide(action, bob, type="reject", message=message)
    await world.hold()
    await world.keys.create(Kind.AGENT, "billing-bot", "olga", (), 1)
    desk, box, book = world.deps.desk, world.deps.outbox, world.deps.practice
    assert box is not None and book is not None and world.deps.policies_seen is not None
    await desk.suspend(Suspension(agent="mail-bot", by="carol", reason="z" * 200, at=0))
    await desk.suspend(Suspension(agent=EVERYBODY, by="carol", reason="Incident.", at=0))
    lent = Absence(person="cat", groups=("leads",), to="ann", until=now + 10**8, since=now)
    await desk.go_away(lent)
    await dead(world, action.id, "w" * 200)
    await box.put(action.id, 2, Notice.ESCALATED, ["webhook.ops"])
    await book.note("ann", action.id, Practised.CAUGHT, now)
    world.gate.policy = replace(careful(), attention=Attention(per_hour=20))
    await world.deps.policies_seen.note(PolicyRef(name=LONG, version=1, sha256="0" * 64), "start")
    await world.deps.policies_seen.note(world.gate.policy.ref, "reload")
    parts = (("rule", LONG, 0), ("limit", "money-per-day", 3))
    world.gate.policy_state = replace(
        world.gate.policy_state,
        vanished=(f"rule {LONG}",),
        problems=(f"careful.yaml:1:1: {LONG}",),
        failed_at=now,
        tested=TriedOut(suites=1, passed=3, cells=2, parts=parts),
    )


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
async def test_every_page_with_all_that_it_can_show_is_accessible(
    world: World, browser: Browser, axe: str, size: Any
) -> None:
    await busy(world)
    options = {"viewport": size, "color_scheme": "light", "reduced_motion": "reduce"}
    async with signed_in(browser, world, ANN, bypass_csp=True, **options) as page:
        for path in ("/history", "/agents", "/me", "/notifications", "/policy"):
            await page.goto(f"{world.url}{path}")
            await check(page, axe, path)
        await page.goto(f"{world.url}/history?q=nothing-is-like-it")
        await check(page, axe, "nothing found")
        await page.goto(f"{world.url}/agents")
        await page.locator("summary").first.click()
        await page.get_by_role("button", name="Stop billing-bot").click()
        await page.get_by_role("button", name="Stop billing-bot now").click()
        await check(page, axe, "stop")
        await page.keyboard.press("Escape")
        await page.get_by_role("button", name="Resume all").click()
        await check(page, axe, "resume")
        await page.goto(f"{world.url}/me")
        await page.get_by_role("button", name="I am away").click()
        await expect(page.get_by_text("Noted: you are away.")).to_be_visible()
        await check(page, axe, "away")
        await page.goto(f"{world.url}/notifications")
        await page.get_by_role("button", name="Drop").first.click()
        await page.get_by_role("button", name="Send a sample").last.click()
        await expect(page.get_by_text("Not delivered")).to_be_visible()
        await check(page, axe, "sampled")


async def test_without_scripts_every_page_is_read_all_the_same(
    world: World, browser: Browser
) -> None:
    await busy(world)
    texts = {
        "/history": "Not the landlord's IBAN.",
        "/agents": "All agents are stopped",
        "/me": "for cat",
        "/notifications": "the last one failed",
        "/policy": "What its tests touch",
    }
    async with signed_in(browser, world, ANN, java_script_enabled=False) as page:
        for path, text in texts.items():
            await page.goto(f"{world.url}{path}")
            await expect(page.locator("body")).to_contain_text(text)
