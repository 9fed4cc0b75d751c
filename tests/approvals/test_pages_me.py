"""The page of whoever is signed in: groups, stand-ins, absence, limits, keys, sessions."""

from __future__ import annotations

from dataclasses import replace

import pytest
from aiohttp import ClientSession, CookieJar
from playwright.async_api import Browser, expect

from interlock.core.desk import Absence
from interlock.core.identity import Kind
from interlock.core.practice import Practised
from interlock.core.rules import Attention

from .browser import IN_ONE_LOOP, PHONE, WIDER, browser, signed_in, world
from .test_step_up_page import AtLocalhost, here, keys_of, mine
from .world import ANN, BOB, World

__all__ = ["browser", "here", "world"]
pytestmark = IN_ONE_LOOP
DAY_MS = 86_400_000


async def shown(world: World, kind: Kind = Kind.APPROVER, who: str = "ann") -> str:
    answer = await world.ask("GET", "/me", key=await world.key(kind, who))
    assert answer.status == 200
    return await answer.text()


async def test_groups_lent_ones_and_what_is_left_of_the_hour_are_said(world: World) -> None:
    now = await world.store.now()
    away = Absence(person="cat", groups=("leads",), to="ann", until=now + DAY_MS, since=now)
    await world.deps.desk.go_away(away)
    world.gate.policy = replace(world.gate.policy, attention=Attention(per_hour=1))
    held = await world.hold()
    await world.decide(held, await world.key(Kind.APPROVER, "ann"))
    text = await shown(world)
    assert ">ops</span>" in text and 'for <span class="v">cat' in text and ">leads</span>" in text
    assert "1 of 1 calls approved" in text and "There is room again at" in text


async def test_a_key_has_no_session_and_nothing_that_needs_one(world: World) -> None:
    for kind in (Kind.APPROVER, Kind.ADMIN, Kind.AUDITOR):
        text = await shown(world, kind)
        assert "<form" not in text and "Sign out" not in text
        assert ("When you are away" in text) is (kind is Kind.APPROVER)


async def test_practice_is_shown_to_who_met_it_and_all_of_it_to_admins(world: World) -> None:
    assert "Practice calls" not in await shown(world)
    book, now = world.deps.practice, await world.store.now()
    assert book is not None
    await book.note("ann", "act_1", Practised.CAUGHT, now)
    await book.note("ann", "act_2", Practised.MISSED, now)
    await book.note("bob", "act_3", Practised.CAUGHT, now)
    text = await shown(world)
    assert "You caught <b>1 of 2</b>" in text and ">bob</" not in text
    text = await shown(world, Kind.AUDITOR, "audrey")
    assert "let through" in text and ">ann</" in text and ">bob</" in text


async def test_signing_out_everywhere_ends_every_session_of_this_person_alone(
    world: World,
) -> None:
    here, there = [await world.deps.sessions.open(ANN) for _ in range(2)]
    other = await world.deps.sessions.open(BOB)
    session = await world.deps.sessions.find(here)
    assert session is not None
    jar = CookieJar(unsafe=True)
    jar.update_cookies({world.deps.cookie: here})
    async with ClientSession(cookie_jar=jar) as client:
        for csrf, status in (("", 403), (session.token("sign out"), 303)):
            form = {"csrf": csrf, "everywhere": "yes"}
            sent = {"Origin": world.url}
            url = f"{world.url}/sign-out"
            answer = await client.post(url, data=form, headers=sent, allow_redirects=False)
            assert answer.status == status
    assert await world.deps.sessions.find(here) is None
    assert await world.deps.sessions.find(there) is None
    assert await world.deps.sessions.find(other) is not None


@pytest.mark.slow
async def test_somebody_says_that_they_are_away_and_that_they_are_back(
    world: World, browser: Browser
) -> None:
    world.clock.now = await world.store.now()
    await world.deps.desk.greet("<i>cat</i>", ["ops"])
    await world.key(Kind.APPROVER, "bob")
    async with signed_in(browser, world, ANN, viewport=PHONE) as page:
        await page.locator("a.who").click()
        await expect(page.get_by_role("heading", name="ann")).to_be_visible()
        stand_in = page.get_by_label("Who stands in")
        assert "ann" not in await stand_in.locator("option").all_text_contents()
        assert "<i>cat</i>" in await stand_in.locator("option").all_text_contents()
        await stand_in.select_option("bob")
        await page.get_by_role("button", name="I am away").press("Enter")
        await expect(page.get_by_text("Noted: you are away.")).to_be_visible()
        await expect(page.locator("#away")).to_contain_text("bob stands in, with your groups: ops")
        await expect(page.locator("#away")).to_be_focused()
        assert await page.evaluate(WIDER) == 0
        away = await world.deps.desk.away("ann")
        assert away is not None and away.until - away.since <= 2 * DAY_MS
        assert [each.person for each in await world.deps.desk.stands_in("bob")] == ["ann"]
        await page.get_by_role("button", name="I am back").click()
        await expect(page.get_by_text("Welcome back")).to_be_visible()
    assert await world.deps.desk.away("ann") is None


@pytest.mark.slow
async def test_what_cannot_be_is_said_where_it_is_read(world: World, browser: Browser) -> None:
    world.clock.now = await world.store.now()
    async with signed_in(browser, world, ANN) as page:
        await page.goto(f"{world.url}/me")
        date = page.get_by_label("Until the end of")
        await date.evaluate("each => { each.removeAttribute('max'); each.value = '2099-01-01' }")
        await page.get_by_role("button", name="I am away").click()
        await expect(page.locator("#me-error")).to_contain_text("92 days at most")


@pytest.mark.slow
async def test_where_the_browser_does_not_sign_the_page_leads_to_where_it_does(
    world: World, browser: Browser
) -> None:
    world.clock.now = await world.store.now()
    async with signed_in(browser, world, ANN) as page:
        await page.goto(f"{world.url}/me")
        link = page.locator("#elsewhere a")
        await expect(link).to_have_attribute("href", "http://localhost:8081/me")
        await expect(page.locator("#enrol")).to_be_hidden()


@pytest.mark.slow
async def test_a_person_adds_keys_names_them_and_removes_one(
    here: AtLocalhost, browser: Browser
) -> None:
    async with signed_in(browser, here, ANN) as page, keys_of(page) as keys:
        first = await keys.plug_in()
        await page.goto(f"{here.url}/me")
        await expect(page.locator("#elsewhere")).to_be_hidden()
        await page.get_by_label("What you call it").fill("<b>blue</b>\u202e")
        await page.keyboard.press("Enter")
        await expect(page.locator("#keys")).to_contain_text("<b>blue</b><U+202E> added")
        await expect(page.locator("#keys")).to_be_focused()
        await expect(page.get_by_text("Added: <b>blue</b>")).to_be_visible()
        await expect(page.locator("#said b, #keys b b")).to_have_count(0)
        assert len(await mine(page)) == 1
        button = page.get_by_role("button", name="Remove <b>blue</b>")
        await button.click()
        await page.get_by_role("button", name="Remove it for good").click()
        await expect(page.get_by_text("Removed.")).to_be_visible()
        assert await mine(page) == []
        await keys.unplug(first)
        await keys.plug_in(isUserVerified=False)
        await page.get_by_label("What you call it").fill("gone")
        await page.keyboard.press("Enter")
        await expect(page.locator("#me-error")).to_contain_text("It was not confirmed")
        await expect(page.locator("#said")).to_be_empty()
        await expect(page.get_by_role("button", name="Add one")).to_be_enabled()


@pytest.mark.slow
async def test_who_may_be_several_things_goes_on_as_another(world: World, browser: Browser) -> None:
    world.clock.now = await world.store.now()
    kinds = (Kind.APPROVER, Kind.ADMIN)
    async with signed_in(browser, world, ANN) as page:
        cookie = await world.deps.sessions.open(ANN, Kind.APPROVER, kinds=kinds)
        await page.context.add_cookies(
            [{"name": world.deps.cookie, "value": cookie, "url": world.url}]
        )
        await page.goto(f"{world.url}/me")
        await page.get_by_role("button", name="admin").press("Enter")
        await page.wait_for_url("**/me")
        await expect(page.get_by_text("You are an admin here.")).to_be_visible()
        await expect(page.get_by_role("heading", name="When you are away")).to_have_count(0)
        await page.get_by_role("button", name="Sign out everywhere").click()
        await expect(page.get_by_role("heading", name="You are not signed in")).to_be_visible()
