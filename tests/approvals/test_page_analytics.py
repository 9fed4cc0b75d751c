"""The page of figures: it says what the API says, is read by anybody, and is fooled by no name."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from interlock.approvals.access import HEADERS
from interlock.approvals.figures import DEFINITIONS
from interlock.approvals.rendering import lasting, percent
from interlock.core.identity import Kind
from interlock.core.practice import Practised
from interlock.core.records import Turned
from interlock.core.rules import Attention
from interlock.store.redis import RedisStore
from tests.support.naughty import strings, unseen
from tests.support.records import audited, reported, unreviewed
from tests.support.stores import Server, fresh_prefix

from .browser import IN_ONE_LOOP, PHONE, WIDER, browser, signed_in, world
from .figures import DAY, some
from .test_audits import drawing, passed
from .test_page_accessible import SIZES, axe, check
from .world import ANN, World, a_world

__all__ = ["axe", "browser", "drawing", "world"]
pytestmark = IN_ONE_LOOP
XSS = '"><img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'


async def html(world: World, query: str = "", kind: Kind = Kind.ADMIN, who: str = "") -> str:
    answer = await world.ask("GET", f"/analytics{query}", key=await world.key(kind, who))
    assert answer.status == 200, await answer.text()
    return await answer.text()


def plain(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))


async def practised(world: World) -> None:
    book, now = world.deps.practice, await world.store.now()
    assert book is not None
    for each in range(31):
        await book.note("ann", f"p{each}", Practised.CAUGHT, now)
    for each in range(9):
        ended = Practised.CAUGHT if each < 5 else Practised.MISSED
        await book.note("bob", f"q{each}", ended, now)
    for person in ("ann", "bob"):
        await world.deps.desk.greet(person, ["ops"])


async def test_the_page_says_what_the_api_says(world: World) -> None:
    world.archive.has(some())
    await practised(world)
    key = await world.key(Kind.ADMIN)
    told = await (await world.ask("GET", "/v1/analytics", key=key)).json()
    page = await html(world)
    text = plain(page)
    for each in told["rules"]:
        past = each["precision"]
        share = f"{percent(past['value'])} {past['hits']} of {past['of']}, 95 %: "
        row = plain(page.partition(f'data-rule="{each["name"]}"')[2].partition("</tr>")[0])
        assert share in row and f" {each['held']} {each['calls']} " in row
        assert ("small sample" in row) is past["few"]
    for each in told["reviewers"]:
        row = plain(page.partition(f'data-who="{each["who"]}"')[2].partition("</tr>")[0])
        assert (each["person"] or each["who"]) in row
        assert f" {each['decided']} {each['approved']} " in row and f" {each['streak']} " in row
        if each["practice"]:
            caught = each["practice"]["caught"]
            sure = percent(each["practice"]["sure"])
            assert f"{caught['hits']} of {caught['of']}, surely {sure}" in row
    for name in ("first_look", "to_decide"):
        times = [lasting(told[name][each]) for each in ("p50", "p90", "p99")]
        assert " ".join((*times, str(told[name]["of"]))) in text
    for each in (*told["fields"], *told["reasons"]):
        assert f"{each['name']} {each['count']}" in text
    assert f"{told['reliability']['brier']:.3f}" in text
    for each in told["reliability"]["bins"]:
        if each["of"]:
            assert f"{percent(each['stated'])} {percent(each['right'])} {each['of']}" in text
    audit = told["auditing"]
    assert f"{audit['judged']['hits']} of {audit['judged']['of']}" in text
    assert percent(audit["wrong"]) in text
    assert f"{told['left_out']['rules']} more rules" in text


async def test_every_definition_of_the_api_stands_on_the_page(world: World) -> None:
    world.archive.has(some())
    page = await html(world)
    shown = dict(re.findall(r'<span data-means="(\w+)">(.*?)</span></p>', page))
    assert shown.keys() == DEFINITIONS.keys()
    for name, text in DEFINITIONS.items():
        said = re.sub(r"</?code>", "`", shown[name]).replace("&#39;", "'")
        assert said == text


async def test_a_definition_names_what_the_page_shows_and_not_members_of_the_api() -> None:
    assert [name for name, text in DEFINITIONS.items() if re.search(r"`|[a-z]_[a-z]", text)] == []


async def test_a_small_sample_of_an_agent_is_said_to_be_of_its_held_calls(world: World) -> None:
    world.archive.has(some())
    key = await world.key(Kind.ADMIN)
    told = await (await world.ask("GET", "/v1/analytics", key=key)).json()
    text = plain(await html(world))
    few = [each for each in told["agents"] if each["few"] and each["held"]]
    assert few
    for each in few:
        assert f"{each['name']} small sample of its {each['held']} held {each['calls']} " in text


async def test_the_axes_of_charts_by_day_have_numbers(world: World) -> None:
    world.archive.has(some())
    page = await html(world)
    scales = re.findall(r'<p class="scale"[^>]*>(.*?)</p>', page)
    assert len(scales) == 2
    for scale in scales:
        most, half, none = (float(each) for each in plain(scale).split())
        assert (half, none) == (most / 2, 0) and f"up to {most:g} " in page


async def test_on_a_phone_every_page_can_be_reached_without_scrolling_the_navigation(
    world: World, browser: Browser
) -> None:
    world.archive.has(some())
    async with signed_in(browser, world, ANN, viewport=PHONE) as page:
        await page.goto(f"{world.url}/analytics")
        nav = page.locator("nav.places")
        assert await nav.evaluate("each => each.scrollWidth <= each.clientWidth")
        assert await page.evaluate(WIDER) == 0


async def test_each_chart_has_a_title_a_description_and_a_table(world: World) -> None:
    world.archive.has(some())
    page = await html(world)
    charts = re.findall(r'<svg class="plot" role="img".*?</svg>', page, re.DOTALL)
    assert len(charts) == 3
    for chart in charts:
        assert re.search(r"<title id=[^>]+>[^<]+</title><desc id=[^>]+>[^<]+</desc>", chart)
    assert page.count(": as a table</summary>") == 3
    small = re.findall(r'<svg class="(?:bar|key)"[^>]*>', page)
    assert small and all('aria-hidden="true"' in each for each in small)


async def test_nothing_on_the_page_needs_a_style_or_a_script_of_its_own(world: World) -> None:
    world.archive.has(some(names=[XSS]))
    page = await html(world)
    main = re.sub(r'"[^"]*"', '""', page.partition("<main")[2])
    assert re.findall(r"<script|<img|<[^<>]*\s(?:style|on\w+)=", main) == []
    assert "style-src 'self'" in HEADERS["Content-Security-Policy"]


async def test_approvers_find_their_own_row_and_nobody_elses(world: World) -> None:
    world.archive.has(some())
    await practised(world)
    page = await html(world, kind=Kind.APPROVER, who="bob")
    assert page.count('<tr data-who="r-') == 1 and '<span class="tag">you</span>' in page
    assert ">ann<" not in page and "You read your own figures" in page
    everybody = await html(world, kind=Kind.AUDITOR, who="iris")
    assert everybody.count('<tr data-who="r-') == 3 and "You read your own" not in everybody


async def test_the_form_keeps_what_was_asked_for(world: World) -> None:
    world.archive.has(some())
    page = await html(world, "?since=90d&agent=billing-bot&level=approve&until=2026-03-01")
    assert '<option value="90d" selected>' in page and 'value="billing-bot"' in page
    assert '<option value="approve" selected>' in page and 'value="2026-03-01"' in page
    odd = await html(world, "?since=36h&until=2h")
    assert '<option value="36h" selected>36h</option>' in odd
    assert '<input type="hidden" name="until" value="2h">' in odd


async def test_a_filter_that_makes_no_sense_is_a_page_that_says_so(world: World) -> None:
    answer = await world.ask("GET", "/analytics?since=x", key=await world.key(Kind.ADMIN))
    assert answer.status == 400 and "30d" in await answer.text()


async def test_a_new_installation_reads_what_will_be_here(world: World) -> None:
    page = await html(world)
    assert "Nothing has been decided yet" in page and "interlock demo" in page
    assert '<svg class="plot"' not in page


async def test_where_no_call_is_like_this_it_leads_to_all(world: World) -> None:
    world.archive.kept_ = replace(world.archive.kept_, records=12)
    page = await html(world, "?agent=nobody")
    assert "No call is like this" in page and 'href="/analytics?since=0"' in page


async def test_calls_that_were_lost_are_said_first(world: World) -> None:
    world.archive.has(some())
    world.archive.kept_ = replace(world.archive.kept_, lost=7)
    assert "7 calls are in no figure" in await html(world)


async def test_without_an_archive_the_page_says_how_to_get_one(server: Server) -> None:
    prefix = fresh_prefix()
    store = RedisStore(server.url, prefix=prefix)
    async with a_world(store, prefix, learning=False) as world:
        page = await html(world)
        assert "Nothing keeps decided calls here" in page and "data directory" in page
    await store.close()


async def test_a_long_time_is_drawn_in_sixty_bars_at_most(world: World) -> None:
    year = some()
    days = tuple(
        replace(each, start=each.start - back * 30 * DAY)
        for back in range(12, -1, -1)
        for each in year.days
    )
    world.archive.has(replace(year, days=days))
    page = await html(world, "?since=0")
    assert "in 7 days" in page
    bars = set(re.findall(r'<rect class="p-through" x="([0-9.]+)"', page))
    assert 50 < len(bars) <= 60


# names that agents choose -------------------------------------------------------------------


async def test_no_name_that_an_agent_chose_deceives_or_runs(world: World, browser: Browser) -> None:
    names = [each for each in strings() if each] + [XSS]
    plain_names = [f"x{number}" for number in range(len(names))]
    world.archive.has(some(names=plain_names))
    async with signed_in(browser, world, ANN) as page:
        await page.goto(f"{world.url}/analytics")
        before = await shape(page)
        world.archive.has(some(names=names))
        await page.goto(f"{world.url}/analytics")
        assert await shape(page) == before
        assert await page.evaluate("[window.hacked, document.images.length]") == [None, 1]
        text = await page.locator("main").inner_text()
        assert [hex(ord(each)) for each in text if unseen(each) and each not in "\n\t"] == []


async def shape(page: Page) -> list[str]:
    """Return the elements of the page, without the marks within texts and links that filter."""
    found: list[str] = await page.evaluate(
        """() => [...document.querySelectorAll('main, main *')]
        .filter(each => !each.closest('.pt, .sp, .twin, .v'))
        .map(each => each.tagName + '.' + each.getAttribute('class'))"""
    )
    return found


# read by anybody ----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
async def test_figures_and_audits_are_accessible(
    world: World, browser: Browser, axe: str, size: Any
) -> None:
    options = {"viewport": size, "color_scheme": "light", "reduced_motion": "reduce"}
    async with signed_in(browser, world, ANN, bypass_csp=True, **options) as page:
        for path in ("/analytics", "/audits"):
            await page.goto(f"{world.url}{path}")
            await check(page, axe, f"empty {path}")
        world.archive.has(some(names=["x" * 120, "\u202eab"]))
        await practised(world)
        await page.goto(f"{world.url}/analytics")
        for each in await page.locator("summary").all():
            await each.click()
        await check(page, axe, "figures")
        world.gate.policy = replace(world.gate.policy, attention=Attention(per_hour=20))
        action = await passed(world)
        for path in ("/audits", f"/audits/{action.id}"):
            await page.goto(f"{world.url}{path}")
            await check(page, axe, path)
        said = reported(Turned.WRONG, by="agent", message="x" * 300)
        record = unreviewed(id=action.id, audit=audited(Turned.WRONG), reports=(said,))
        world.archive.records[action.id] = record
        for path in (f"/review/{action.id}?turned=wrong", f"/audits/{action.id}"):
            await page.goto(f"{world.url}{path}")
            await expect(page.get_by_text("It turned out wrong").first).to_be_visible()
            await check(page, axe, path)
        held = await world.hold()
        await page.goto(f"{world.url}/review/{held.id}")
        await page.wait_for_selector("[data-ready]")
        await page.reload()
        await page.wait_for_selector("[data-ready]")
        await expect(page.get_by_text("People changed or refused 3 of 41")).to_be_visible()
        await check(page, axe, "past")


async def test_without_scripts_figures_are_read_and_calls_judged_all_the_same(
    world: World, browser: Browser
) -> None:
    world.archive.has(some())
    action = await passed(world)
    async with signed_in(browser, world, ANN, java_script_enabled=False, viewport=PHONE) as page:
        await page.goto(f"{world.url}/analytics")
        await expect(page.locator("main")).to_contain_text("What holding was good for")
        await page.goto(f"{world.url}/audits/{action.id}")
        await page.get_by_role("button", name="It was wrong").click()
        await expect(page.get_by_text("Noted: it was wrong.")).to_be_visible()
        await page.goto(f"{world.url}/review/{action.id}")
        await page.get_by_label("What did you find out?").fill("It was sent twice.")
        await page.get_by_role("button", name="It turned out wrong").click()
        await expect(page.get_by_text("Noted: it turned out wrong.")).to_be_visible()
        assert await page.evaluate(WIDER) == 0
    (kept,) = world.audits.reported[action.id]
    assert kept.message == "It was sent twice."
    assert world.audits.judged[action.id].turned.value == "wrong"


async def test_a_person_judges_on_the_page_and_the_look_is_counted(
    world: World, browser: Browser
) -> None:
    action = await passed(world)
    async with signed_in(browser, world, ANN, viewport=PHONE) as page:
        await page.goto(f"{world.url}/audits")
        await page.get_by_role("link", name="bank.note").click()
        assert await page.evaluate(WIDER) == 0
        await page.get_by_label("If it was wrong: why").select_option("policy")
        await page.get_by_role("button", name="It was wrong").click()
        await expect(page.get_by_text("No call waits for an audit")).to_be_visible()
    kept = world.audits.judged[action.id]
    assert kept.reason_code == "policy" and 0 < kept.looked_ms < 60_000
