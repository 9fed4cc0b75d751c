"""The page where policy hides, grants, limits and tries things out; in a real browser."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from playwright.async_api import Browser, Page, expect

from interlock.core.actions import Action, State
from interlock.core.decisions import Level

from .browser import IN_ONE_LOOP, browser, signed_in, world
from .world import ANN, HIDDEN, IBAN, World, careful, paying

__all__ = ["browser", "world"]
pytestmark = [pytest.mark.slow, IN_ONE_LOOP]
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
PHONE = {"width": 390, "height": 844}


async def open_item(page: Page, world: World, action: Action) -> None:
    await page.goto(f"{world.url}/review/{action.id}")
    await page.wait_for_selector("[data-ready]")


async def pictured(page: Page, name: str) -> None:
    """Keep a picture where INTERLOCK_PICTURES names a folder, to look at."""
    if folder := os.environ.get("INTERLOCK_PICTURES"):
        await page.screenshot(path=f"{folder}/{name}.png", full_page=True)


async def test_a_hidden_argument_is_revealed_by_its_button_only(
    world: World, browser: Browser
) -> None:
    world.gate.policy = careful(HIDDEN)
    action = await world.hold(paying(task=f"Pay {IBAN}", reason=f"{IBAN} is due"))
    async with signed_in(browser, world, ANN) as page:
        await open_item(page, world, action)
        assert IBAN not in await page.content()
        await expect(page.get_by_role("heading", name="Policy hides recipient")).to_be_visible()
        await expect(page.get_by_role("button", name="Edit (reveal first)")).to_be_disabled()
        await page.keyboard.press("e")
        await expect(page.get_by_role("button", name="Reveal", exact=True)).to_be_focused()
        await pictured(page, "hidden")
        await page.get_by_role("button", name="Reveal", exact=True).click()
        await page.wait_for_selector(".item[data-ready]")
        await expect(page.locator("#arguments")).to_contain_text(IBAN)
        await expect(page.locator("#body-pretty")).to_contain_text(IBAN)
        assert "…2051" not in await page.content()
        await expect(page.get_by_role("button", name="Reveal", exact=True)).to_have_count(0)
        await expect(page.locator("#arguments .tag", has_text="revealed")).to_have_count(1)
        await pictured(page, "revealed")
        assert page.url == f"{world.url}/review/{action.id}"
        await page.get_by_role("button", name="Edit").click()
        assert await page.get_by_label("recipient", exact=True).input_value() == IBAN
        await page.keyboard.press("Escape")
        await page.reload()
        assert IBAN not in await page.content()
        await page.get_by_role("button", name="Approve", exact=False).first.click()
        await page.get_by_role("button", name="Approve: send it as shown").click()
        await expect(page.locator("#after-text")).to_contain_text("ann: sent, the tool answered")
    assert b"interlock_reveals_total 1.0" in world.metrics.render()


async def test_a_person_grants_from_the_page_and_takes_it_back(
    world: World, browser: Browser
) -> None:
    world.gate.policy = careful()
    action = await world.hold(paying(task=f"Pay {IBAN}"))
    async with signed_in(browser, world, ANN) as page:
        await open_item(page, world, action)
        await page.keyboard.press("a")
        await page.get_by_label("Do not ask again for this target").check()
        await expect(page.locator("#grant-more")).to_contain_text(IBAN)
        await page.get_by_label("up to").fill("51")
        await page.get_by_role("button", name="Approve, and do not ask again").click()
        await expect(page.get_by_text("Grant between 1 and 50 calls.")).to_be_visible()
        await page.get_by_label("up to").fill("5")
        await page.get_by_label("for", exact=True).select_option("1d")
        await page.get_by_label("because").fill("Our landlord.")
        await pictured(page, "grant")
        await page.get_by_role("button", name="Approve, and do not ask again").click()
        await expect(page.locator("#after-text")).to_contain_text("ann: sent, the tool answered")
        again = (await world.gate.submit(paying(amount=20))).action
        assert again.decision is not None and again.decision.level is Level.NOTIFY
        await page.get_by_role("link", name="Grants").click()
        card = page.locator(".grant-card")
        await expect(card).to_contain_text(IBAN)
        await expect(card).to_contain_text("4 of 5 uses left")
        await expect(card).to_contain_text("Our landlord.")
        await page.wait_for_selector("[data-ready]")
        await pictured(page, "grants")
        await card.get_by_role("button", name="Revoke").click()
        await card.get_by_role("button", name="Revoke it now").click()
        await expect(page.get_by_text("Nobody has granted anything")).to_be_visible()
    assert (await world.hold(paying(amount=21))).state is State.HELD


async def test_a_broken_policy_file_is_told_on_the_page(world: World, browser: Browser) -> None:
    world.gate.policy = careful()
    world.gate.policy_state = replace(
        world.gate.policy_state,
        problems=("policies/careful.yaml:7:3: unknown key `tols`; did you mean `tools`?",),
        failed_at=1_790_000_000_000,
    )
    async with signed_in(browser, world, ANN) as page:
        await expect(page.get_by_role("alert").first).to_contain_text("version 3 still decides")
        await page.get_by_role("link", name="What is wrong").click()
        await expect(page.locator(".problems")).to_contain_text("policies/careful.yaml:7:3")
        await pictured(page, "policy-broken")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_none_of_it_needs_scrolling_sideways_on_a_phone(
    world: World, browser: Browser, scheme: str
) -> None:
    world.gate.policy = careful(HIDDEN)
    long = "https://landlord.example/" + "x" * 300
    granted = await world.hold(paying(long, task="Pay the rent"))
    world.gate.policy_state = replace(
        world.gate.policy_state,
        problems=("policies/" + "y" * 200 + ".yaml:7:3: unknown key",),
        failed_at=1_790_000_000_000,
    )
    world.metrics._shadowed["a-rule-with-a-very-long-name-of-its-own", "approve"] = (12, 3)
    async with signed_in(browser, world, ANN, viewport=PHONE, color_scheme=scheme) as page:
        await open_item(page, world, granted)
        assert await page.evaluate(WIDER) == 0
        await pictured(page, f"phone-hidden-{scheme}")
        await page.get_by_role("button", name="Reveal", exact=True).click()
        await page.wait_for_selector(".item[data-ready]")
        await page.get_by_role("button", name="Approve").first.click()
        await page.get_by_label("Do not ask again for this target").check()
        assert await page.evaluate(WIDER) == 0
        await pictured(page, f"phone-grant-{scheme}")
        await page.get_by_role("button", name="Approve, and do not ask again").click()
        await expect(page.locator("#after")).to_be_visible()
        for path in ("grants", "policy"):
            await page.goto(f"{world.url}/{path}")
            assert await page.evaluate(WIDER) == 0
            await pictured(page, f"phone-{path}-{scheme}")


async def test_a_limit_that_fired_says_its_numbers(world: World, browser: Browser) -> None:
    world.gate.policy = careful()
    action = await world.hold(paying(amount=5000, task="Pay Bob"))
    async with signed_in(browser, world, ANN) as page:
        await open_item(page, world, action)
        await expect(page.locator(".limit")).to_contain_text("5000 of 2000")
        await expect(page.locator(".targets")).to_contain_text("does not name it")
        await expect(page.get_by_text("may decide too")).to_be_visible()
        await pictured(page, "limit")
