"""The page in a real browser: looked at, decided on, attacked."""

from __future__ import annotations

import asyncio
import json

import pytest
from playwright.async_api import Browser, Page, expect

from interlock.core.actions import Action, State
from interlock.core.identity import Kind
from interlock.core.redaction import visible_text
from interlock.store.redis import RedisStore
from tests.support.stores import Server, fresh_prefix

from .browser import IN_ONE_LOOP, browser, signed_in, world
from .world import ANN, BOB, World, a_call, a_world

__all__ = ["browser", "world"]
pytestmark = [pytest.mark.slow, IN_ONE_LOOP]


async def open_item(page: Page, world: World, action: Action) -> None:
    await page.goto(f"{world.url}/review/{action.id}")
    await page.wait_for_selector("[data-ready]")


async def test_a_person_approves_what_they_see(world: World, browser: Browser) -> None:
    action = await world.hold()
    async with signed_in(browser, world, ANN) as page:
        await page.get_by_role("link", name="bank.transfer").first.click()
        await page.get_by_role("button", name="Approve", exact=False).first.click()
        await page.get_by_role("button", name="Approve: send it as shown").click()
        await expect(page.locator("#after-text")).to_contain_text("ann: sent, the tool answered")
    assert [call.digest for call in world.tool.calls] == [action.digest]
    assert (await world.now(action)).votes[0].reviewer.id == "ann"


async def test_a_person_rejects_with_a_preset_reason(world: World, browser: Browser) -> None:
    action = await world.hold()
    async with signed_in(browser, world, ANN) as page:
        await open_item(page, world, action)
        await page.get_by_role("button", name="Reject").first.click()
        await page.get_by_role("button", name="Reject: never send it").click()
        await expect(page.get_by_text("Give a reason.")).to_be_visible()
        await page.get_by_text("Wrong amount or scope").click()
        await page.get_by_role("button", name="Reject: never send it").click()
        await expect(page.locator("#banner")).to_contain_text("ann: rejected")
    after = await world.now(action)
    assert after.reviews[0].reason_code == "wrong_amount"
    assert after.cause == "Wrong amount or scope"
    assert world.tool.calls == []


async def test_a_person_answers_in_the_tools_place(world: World, browser: Browser) -> None:
    action = await world.hold()
    async with signed_in(browser, world, ANN) as page:
        await open_item(page, world, action)
        await page.get_by_role("button", name="Respond").click()
        await page.get_by_label("Answer in the tool's place").fill("Paid by hand.")
        await page.get_by_role("button", name="Answer: send nothing").click()
        await expect(page.locator("#banner")).to_contain_text("answered in the tool's place")
    after = await world.now(action)
    assert after.answer is not None and after.answer.body == b"Paid by hand."


async def test_a_person_edits_sees_what_changes_and_approves_that(
    world: World, browser: Browser
) -> None:
    body = b'{"amount": 900, "recipient": "Bob GmbH", "memo": "a\\r\\nb", "big": 9007199254740993}'
    action = await world.hold(a_call(body=body))
    async with signed_in(browser, world, ANN) as page:
        await open_item(page, world, action)
        await page.get_by_role("button", name="Edit").click()
        await page.get_by_label("amount", exact=True).fill("ninety")
        await page.get_by_role("button", name="Preview the edit").click()
        await expect(page.get_by_text("This must be a number.")).to_be_visible()
        await page.get_by_label("amount", exact=True).fill("90.50")
        await page.get_by_role("button", name="Preview the edit").click()
        await expect(page.locator("#preview-changes .before")).to_have_text("900")
        await expect(page.locator("#preview-changes .after")).to_have_text("90.5")
        await page.get_by_role("button", name="Approve this edit").click()
        await expect(page.locator("#banner")).to_contain_text("edited, sent")
    sent = json.loads(world.tool.calls[0].body)
    assert sent == {
        "amount": 90.5,
        "recipient": "Bob GmbH",
        "memo": "a\r\nb",
        "big": 9007199254740993,
    }


async def test_an_edit_can_be_written_as_json(world: World, browser: Browser) -> None:
    action = await world.hold()
    async with signed_in(browser, world, ANN) as page:
        await open_item(page, world, action)
        await page.keyboard.press("e")
        await page.get_by_role("button", name="JSON").click()
        raw = page.get_by_label("Arguments as JSON")
        await raw.fill((await raw.input_value()).replace("900.0", "12"))
        await page.get_by_role("button", name="Preview the edit").click()
        await page.get_by_role("button", name="Approve this edit").click()
        await expect(page.locator("#banner")).to_contain_text("edited, sent")
    assert json.loads(world.tool.calls[0].body)["amount"] == 12


async def test_two_people_race_and_the_second_is_told_who_decided(
    world: World, browser: Browser
) -> None:
    action = await world.hold()
    async with (
        signed_in(browser, world, ANN) as first,
        signed_in(browser, world, BOB) as second,
    ):
        for page in (first, second):
            await open_item(page, world, action)
            await page.keyboard.press("a")
        await asyncio.gather(*(page.keyboard.press("Enter") for page in (first, second)))
        for page in (first, second):
            await expect(page.locator("#after")).to_be_visible()
            await expect(page.locator("#after-text")).to_contain_text("sent, the tool answered")
    assert len(world.tool.calls) == 1
    assert len((await world.now(action)).votes) == 1


async def test_two_people_are_needed_for_the_gravest_calls(world: World, browser: Browser) -> None:
    action = await world.hold(a_call("git", "DELETE", "/repos/acme/website", b""))
    async with (
        signed_in(browser, world, ANN) as ann,
        signed_in(browser, world, BOB) as bob,
    ):
        await open_item(ann, world, action)
        await open_item(bob, world, action)
        await ann.keyboard.press("a")
        await ann.get_by_role("button", name="Approve: send it as shown").click()
        await expect(ann.get_by_text("Give a reason.")).to_be_visible()
        await ann.locator("#approve-message").fill("It is the archived copy.")
        await ann.keyboard.press("Control+Enter")
        await expect(ann.locator("#after-text")).to_contain_text("1 of 2 approved")
        assert world.tool.calls == []
        await expect(bob.locator("#banner")).to_contain_text("ann approved: 1 of 2")
        await bob.keyboard.press("a")
        await bob.locator("#approve-message").fill("Seen too.")
        await bob.keyboard.press("Control+Enter")
        await expect(bob.locator("#after-text")).to_contain_text("ann and bob: sent")
    assert len(world.tool.calls) == 1


async def test_a_hold_that_runs_out_while_it_is_open_cannot_be_approved(
    server: Server, browser: Browser
) -> None:
    prefix = fresh_prefix()
    store = RedisStore(server.url, prefix=prefix)
    async with a_world(store, prefix, hold_ms=2500) as world:
        action = await world.hold()
        async with signed_in(browser, world, ANN) as page:
            await open_item(page, world, action)
            await expect(page.locator("#banner")).to_be_visible(timeout=8000)
            await expect(page.locator("#approve")).to_be_hidden()
        assert (await world.now(action)).state is State.EXPIRED
        assert world.tool.calls == []
    await store.close()


async def test_the_queue_is_live_and_keeps_the_focus(world: World, browser: Browser) -> None:
    first = await world.hold()
    async with signed_in(browser, world, ANN) as page:
        await page.wait_for_selector("[data-ready]")
        await page.keyboard.press("j")
        focused = "document.activeElement.closest('.card')?.dataset.id"
        assert await page.evaluate(focused) == first.id
        graver = await world.hold(a_call("git", "DELETE", "/repos/acme/website", b""))
        await expect(page.locator(".card")).to_have_count(2)
        ids = await page.eval_on_selector_all("#cards .card", "all => all.map(c => c.dataset.id)")
        assert ids == [graver.id, first.id]
        assert await page.evaluate(focused) == first.id
        key = await world.key(Kind.APPROVER, "bob")
        await world.decide(graver, key, type="reject", message="no")
        await expect(page.locator("#cards .card")).to_have_count(1)
        await expect(page.locator("#recent .said").first).to_have_text("bob: rejected")


async def test_an_edit_half_written_survives_what_others_do(world: World, browser: Browser) -> None:
    action = await world.hold()
    async with signed_in(browser, world, ANN) as page:
        await open_item(page, world, action)
        await page.keyboard.press("e")
        await page.get_by_label("memo", exact=True).fill("half written")
        key = await world.key(Kind.APPROVER, "bob")
        await world.decide(action, key, type="reject", message="no")
        await expect(page.locator("#banner")).to_contain_text("bob: rejected")
        assert await page.get_by_label("memo", exact=True).input_value() == "half written"


async def test_everything_can_be_done_from_the_keyboard(world: World, browser: Browser) -> None:
    action = await world.hold()
    async with signed_in(browser, world, ANN) as page:
        await page.wait_for_selector("[data-ready]")
        await page.keyboard.press("?")
        await expect(page.get_by_role("dialog")).to_be_visible()
        await page.keyboard.press("Escape")
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        await page.wait_for_selector(".item[data-ready]")
        await page.keyboard.press("r")
        await page.keyboard.press("Space")
        await page.keyboard.press("Tab")
        await page.keyboard.type("not this, a e r")
        await page.keyboard.press("Control+Enter")
        await expect(page.locator("#banner")).to_contain_text("ann: rejected")
    assert (await world.now(action)).cause == "not this, a e r"


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_phone_needs_no_scrolling_sideways(
    world: World, browser: Browser, scheme: str
) -> None:
    long = "x" * 400
    action = await world.hold(
        a_call(target=f"/v1/accounts/{long}/transfers", headers=(("X-Long", long),), reason=long)
    )
    size = {"width": 390, "height": 844}
    async with signed_in(browser, world, ANN, viewport=size, color_scheme=scheme) as page:
        wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await page.evaluate(wider) == 0
        await open_item(page, world, action)
        assert await page.evaluate(wider) == 0
        await page.get_by_role("button", name="Edit").click()
        assert await page.evaluate(wider) == 0


ATTACKS = (
    "<script>window.hacked=1</script>",
    "</script><script>window.hacked=1</script>",
    '"><img src=x onerror="window.hacked=1">',
    "'><svg onload=window.hacked=1>",
    "javascript:window.hacked=1",
    "{{ 7*7 }}{% raw %}",
    "</textarea><iframe src=javascript:window.hacked=1>",
    "</title><body onload=window.hacked=1>",
    "<!--<script>",
    "\u202e<b>gnp</b>\u2066",
    "\x1b[2J\x00\ufeff",
    "<U+202E>",
    "&lt;b&gt;&#x202E;",
    "<template><a href=javascript:window.hacked=1>x</a></template>",
)
FOREIGN = """document.querySelectorAll(
    'b script, main script, iframe, img:not(.brand img), object, embed, ' +
    'main svg:not([aria-hidden]), [onerror], [onload], a[href^=javascript]'
).length"""


@pytest.mark.parametrize("attack", ATTACKS)
async def test_what_an_agent_writes_is_never_more_than_text(
    world: World, browser: Browser, attack: str
) -> None:
    body = json.dumps({"amount": 1, "recipient": attack, attack: attack, "tags": [attack]}).encode()
    plain = attack.encode("ascii", "ignore").decode().replace("\x00", "").replace("\x1b", "")
    action = await world.hold(
        a_call(
            body=body,
            agent=attack,
            headers=(("X-Note", plain),),
            session=attack,
            reason=attack,
            task=attack,
        )
    )
    async with signed_in(browser, world, ANN) as page:
        await page.wait_for_selector("[data-ready]")
        await world.hold(a_call("mail", target="/messages", body=body, reason=attack, agent=attack))
        await expect(page.locator("#cards .card")).to_have_count(2)  # this one drawn by the script
        assert await page.evaluate(FOREIGN) == 0
        await open_item(page, world, action)
        assert await page.evaluate(FOREIGN) == 0
        shown = await page.locator(".untrusted blockquote").first.text_content()
        assert shown == visible_text(attack)
        await page.keyboard.press("e")
        await page.get_by_label("amount", exact=True).fill("2")
        await page.get_by_role("button", name="Preview the edit").click()
        await expect(page.locator("#preview")).to_be_visible()
        assert await page.evaluate(FOREIGN) == 0
        assert await page.evaluate("window.hacked") is None


async def test_an_empty_queue_says_so(world: World, browser: Browser) -> None:
    async with signed_in(browser, world, ANN) as page:
        await expect(page.get_by_text("Nothing waits for you")).to_be_visible()
        await world.hold()
        await expect(page.locator("#cards .card")).to_have_count(1)
        await expect(page.get_by_text("Nothing waits for you")).to_be_hidden()
