"""Where policy asks for more of people's attention, in a real browser."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from interlock.core.actions import Action, State
from interlock.core.identity import Kind
from interlock.core.rules import Attention

from .browser import IN_ONE_LOOP, browser, open_item, signed_in, world
from .test_undo import HOLDS, Answered, answers, bank, paid
from .world import ANN, BOB, HIDDEN, IBAN, World, a_call, careful, paying

__all__ = ["browser", "world"]
pytestmark = [pytest.mark.slow, IN_ONE_LOOP]
DELETE = ("git", "DELETE", "/repos/acme/website", b"")


def ask_of_two(world: World, **more: Any) -> None:
    """Ask for more than two people where policy asks for two people."""
    levels = world.gate.policy.levels
    dual = replace(levels.approve_dual, **more)
    world.gate.policy = replace(world.gate.policy, levels=replace(levels, approve_dual=dual))


async def test_one_line_says_what_it_costs_and_how_it_is_undone(
    world: World, browser: Browser
) -> None:
    action = await world.hold()
    async with signed_in(browser, world, ANN) as page:
        await open_item(page, world, action)
        await expect(page.locator("#consequence")).to_have_text(
            "Moves money out of an account. High stake (amount: external). "
            "Can be made good with bank.refund within 24h, at a cost."
        )


FOLDED = ("#why-title", ".confidence", ".title .stake")


async def test_the_verdict_is_folded_until_the_person_has_one_of_their_own(
    world: World, browser: Browser
) -> None:
    ask_of_two(world, folded=True)
    body = b'{"note": "a\\u202eb"}'
    action = await world.hold(a_call(*DELETE[:3], body, reason="It is empty."))
    async with signed_in(browser, world, ANN) as page:
        await open_item(page, world, action)
        for part in FOLDED:
            await expect(page.locator(part)).to_be_hidden()
        assert "ritical" not in await page.inner_text("body")
        for shown in ("It is empty.", "https://git.example/api/repos/acme/website", "<U+202E>"):
            await expect(page.get_by_text(shown).first).to_be_visible()
        await expect(page.get_by_role("heading", name="Look twice")).to_be_visible()
        await expect(page.locator("#approve")).to_be_disabled()
        await page.keyboard.press("a")
        await expect(page.get_by_role("button", name="Looks right")).to_be_focused()
        await page.get_by_role("button", name="Cannot tell").click()
        for part in FOLDED:
            await expect(page.locator(part)).to_be_visible()
        await expect(page.get_by_text("You said: cannot tell.")).to_be_visible()
        await expect(page.locator("#why-title")).to_be_focused()
        await expect(page.locator("#approve")).to_be_enabled()
        await page.reload()
        await expect(page.get_by_text("You said: cannot tell.")).to_be_visible()


async def test_a_folded_stake_is_folded_in_the_queue_too(world: World, browser: Browser) -> None:
    ask_of_two(world, folded=True)
    action = await world.hold(a_call(*DELETE))
    async with signed_in(browser, world, ANN) as page:
        badge = page.locator(f"[data-id={action.id}] .stake")
        await expect(badge).to_have_text("two people")
        assert "ritical" not in await page.inner_text("#cards")
        await open_item(page, world, action)
        await page.get_by_role("button", name="Looks right").click()
        await page.goto(f"{world.url}/review")
        await expect(badge).to_have_text("critical")


async def test_a_folded_verdict_keeps_nobody_from_rejecting(world: World, browser: Browser) -> None:
    ask_of_two(world, folded=True)
    action = await world.hold(a_call(*DELETE))
    async with signed_in(browser, world, ANN) as page:
        await open_item(page, world, action)
        await page.keyboard.press("r")
        await page.get_by_text("Wrong target").click()
        await page.keyboard.press("Control+Enter")
        await expect(page.locator("#banner")).to_contain_text("ann: rejected")


async def test_approve_waits_until_the_call_was_in_sight_for_long_enough(
    world: World, browser: Browser
) -> None:
    ask_of_two(world, dwell_ms=2000)
    action = await world.hold(a_call(*DELETE))
    async with signed_in(browser, world, ANN) as page:
        await open_item(page, world, action)
        await expect(page.locator("#approve")).to_be_disabled()
        await expect(page.locator("#approve-wait")).to_contain_text("in ")
        await expect(page.locator("#approve")).to_be_enabled()
        await expect(page.locator("#approve-wait")).to_be_empty()
        await page.keyboard.press("a")
        await page.locator("#approve-message").fill("Seen.")
        await page.keyboard.press("Control+Enter")
        await expect(page.locator("#after-text")).to_contain_text("1 of 2 approved")


async def test_policy_that_asks_for_a_look_meanwhile_makes_the_page_wait(
    world: World, browser: Browser
) -> None:
    action = await world.hold(a_call(*DELETE))
    async with signed_in(browser, world, ANN) as page:
        await open_item(page, world, action)
        await page.keyboard.press("a")
        await page.locator("#approve-message").fill("Seen.")
        ask_of_two(world, dwell_ms=3000)
        send, error = page.locator("[data-send=approve]"), page.locator("#panel-approve .error")
        await send.click()
        await expect(error).to_contain_text("s more, with the call in sight")
        await expect(send).to_be_disabled()
        await expect(page.locator("#approve-wait")).to_contain_text("in ")
        await expect(send).to_be_enabled()
        await send.click()
        await expect(page.locator("#after-text")).to_contain_text("1 of 2 approved")


async def test_time_in_which_the_page_is_not_in_front_does_not_count(
    world: World, browser: Browser
) -> None:
    ask_of_two(world, dwell_ms=60_000)
    action = await world.hold(a_call(*DELETE))
    async with signed_in(browser, world, ANN) as page:
        await page.add_init_script("document.hasFocus = () => false")
        await open_item(page, world, action)
        await page.wait_for_function(
            "() => document.querySelector('#main').dataset.noted === 'yes'"
        )
        before = await page.locator("#approve-wait").text_content()
        await page.wait_for_function("() => performance.now() > 2500")
        assert await page.locator("#approve-wait").text_content() == before == "in 60 s"


async def test_who_has_approved_enough_for_this_hour_is_told_before(
    world: World, browser: Browser
) -> None:
    world.gate.policy = replace(world.gate.policy, attention=Attention(per_hour=1))
    first = await world.hold()
    second = await world.hold(a_call("mail", target="/messages", body=b'{"to": "b", "body": "c"}'))
    async with signed_in(browser, world, ANN) as page:
        await open_item(page, world, first)
        await expect(page.locator("#load")).to_have_text("0 of 1 approved this hour")
        await page.keyboard.press("a")
        await page.keyboard.press("Enter")
        await expect(page.locator("#after")).to_be_visible()
        await open_item(page, world, second)
        await expect(page.locator("#approve")).to_be_disabled()
        await expect(page.locator("#why-not")).to_contain_text("as many as policy lets you")
        await expect(page.get_by_role("button", name="Reject").first).to_be_enabled()


async def test_reasons_are_those_that_policy_names(world: World, browser: Browser) -> None:
    reasons = (("four_eyes", "Finance has to see it"), ("weekend", "Not on a weekend"))
    world.gate.policy = replace(world.gate.policy, attention=Attention(reasons=reasons))
    action = await world.hold()
    async with signed_in(browser, world, ANN) as page:
        await open_item(page, world, action)
        await page.keyboard.press("r")
        await expect(page.locator("#panel-reject .chips label")).to_have_count(2)
        await page.get_by_text("Finance has to see it").click()
        await page.keyboard.press("Control+Enter")
        await expect(page.locator("#banner")).to_contain_text("ann: rejected")
    assert (await world.now(action)).reviews[0].reason_code == "four_eyes"


# undoing ------------------------------------------------------------------------------------


async def opened(page: Page, world: World) -> None:
    action = await paid(world)
    await open_item(page, world, action)
    await page.get_by_role("button", name="Undo it").click()
    await page.get_by_role("button", name="Yes, ask for bank.refund").click()


async def test_an_answered_call_is_undone_with_a_button(world: World, browser: Browser) -> None:
    world.gate.policy = bank()
    answers(world, Answered())
    async with signed_in(browser, world, ANN) as page:
        await opened(page, world)
        await expect(page.locator("#undone")).to_contain_text("Undone by ann")
        await expect(page.get_by_role("button", name="Undo it")).to_have_count(0)
        await page.locator("#undone a").click()
        await expect(page.get_by_role("heading", name="bank.refund")).to_be_visible()
        await page.goto(f"{world.url}/history")
        await expect(page.locator(".reversed")).to_have_text("was undone by ann")
        await page.get_by_label("Words").fill("act_00000006")
        await page.keyboard.press("Enter")
        await page.get_by_role("link", name="Open the call with this id").click()
        await expect(page.get_by_role("heading", name="bank.refund")).to_be_visible()


async def test_the_undo_button_comes_with_the_answer_and_the_page_is_not_stale(
    world: World, browser: Browser
) -> None:
    world.gate.policy = bank()
    answers(world, Answered())
    action = await world.hold()
    async with signed_in(browser, world, ANN) as page:
        await open_item(page, world, action)
        await page.keyboard.press("a")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="Undo it")).to_be_visible()
        await expect(page.locator(".undo-note")).to_contain_text("payment = p-7 from the answer")
        await expect(page.locator("#answer")).to_contain_text("The tool answered 201")
        await expect(page.locator("#after-text")).to_contain_text("sent, the tool answered")
        for stale in (".title .left", "#waiting", "#approve", "#like"):
            await expect(page.locator(stale)).to_have_count(0)


async def test_who_was_slower_is_told_so_and_keeps_their_words(
    world: World, browser: Browser
) -> None:
    action = await world.hold()
    async with signed_in(browser, world, ANN) as page:
        await open_item(page, world, action)
        await page.keyboard.press("r")
        await page.locator("#reject-message").fill("Not <b>this</b> account.")
        await page.route("**/v1/events", lambda route: route.abort())
        bob = await world.key(Kind.APPROVER, "bob")
        assert (await world.decide(action, bob)).status == 200
        await expect(page.locator("#typed blockquote")).to_have_text("Not <b>this</b> account.")
        await expect(page.locator("#banner")).to_contain_text("bob: ")


async def test_nobody_approves_a_long_text_before_it_was_unfolded(
    world: World, browser: Browser
) -> None:
    lines = "\n".join(f"line {number}" for number in range(312))
    body = json.dumps({"to": "bob", "body": lines}).encode()
    action = await world.hold(a_call("mail", target="/messages", body=body))
    async with signed_in(browser, world, ANN) as page:
        await open_item(page, world, action)
        await expect(page.locator("#approve")).to_be_disabled()
        await expect(page.locator("#why-not")).to_contain_text("Show all of the long text")
        await page.keyboard.press("a")
        await expect(page.locator("#panel-approve")).to_be_hidden()
        await page.locator("#arguments [data-unfold]").click()
        await expect(page.locator("#approve")).to_be_enabled()
        await expect(page.locator("[data-fold]")).to_have_count(0)


async def test_first_screen_says_in_one_line_what_differs(world: World, browser: Browser) -> None:
    world.gate.policy = careful()
    key = await world.key(Kind.APPROVER, "bob")
    for recipient in ("Ann", "Cleo"):
        first = await world.hold(paying(recipient))
        await world.decide(first, key)
        await world.settled(first)
    async with signed_in(browser, world, ANN) as page:
        await open_item(page, world, await world.hold(paying("Ann", 901)))
        await expect(page.locator("#like")).to_contain_text("Like the one bob approved")
        await expect(page.locator("#like")).to_contain_text("ago, except amount")
        await expect(page.locator("#like")).not_to_contain_text("First to this")
        await open_item(page, world, await world.hold(paying("p\u0430rtner")))
        await expect(page.locator("#like")).to_contain_text("except recipient, memo")
        await expect(page.locator("#like")).to_contain_text("First to this recipient:")
        await expect(page.locator("#arguments .twin").first).to_have_text("\u0430")
        await expect(page.locator(".warnings")).to_contain_text("p<U+0430>rtner")
    assert [call.method for call in world.tool.calls] == ["POST", "POST"]


async def test_an_undo_that_is_held_leads_to_it(world: World, browser: Browser) -> None:
    world.gate.policy = bank(HOLDS)
    answers(world, Answered())
    async with signed_in(browser, world, BOB) as page:
        await opened(page, world)
        await page.wait_for_url("**/review/act_*")
        await expect(page.get_by_role("heading", name="bank.refund")).to_be_visible()
        await expect(page.locator(".untrusted blockquote").first).to_contain_text("Undo of")


# comparing ----------------------------------------------------------------------------------


async def test_a_call_is_compared_with_the_last_approved_one(
    world: World, browser: Browser
) -> None:
    first = await world.hold(a_call(body=b'{"amount": 850, "recipient": "Bob", "memo": "April"}'))
    async with signed_in(browser, world, ANN) as page:
        await open_item(page, world, first)
        await expect(page.get_by_text("Nobody has approved one like this before.")).to_be_visible()
        await page.keyboard.press("a")
        await page.keyboard.press("Enter")
        await expect(page.locator("#after-text")).to_contain_text("sent, the tool answered")
        second = await world.hold(
            a_call(body=b'{"amount": 900, "recipient": "Bob", "memo": "<b>\\u202eMay"}')
        )
        await open_item(page, world, second)
        await expect(page.locator("#compared-with")).to_contain_text("ann approved")
        rows = page.locator("#compared-changes tr")
        await expect(rows).to_have_count(2)
        await expect(rows.nth(0)).to_contain_text("850")
        await expect(rows.nth(1).locator(".after")).to_have_text("<b><U+202E>May")
        await page.locator("#compared-link").click()
        await page.wait_for_url(f"**/review/{first.id}")


async def test_the_same_request_again_is_said_to_differ_in_nothing(
    world: World, browser: Browser
) -> None:
    first = await world.hold()
    await world.decide(first, await world.key(Kind.APPROVER, "bob"))
    await world.settled(first)
    again = await world.hold(a_call(agent="another-bot"))
    async with signed_in(browser, world, ANN) as page:
        await open_item(page, world, again)
        await expect(page.get_by_text("Nothing differs:")).to_be_visible()
        await expect(page.locator("#compared-agent")).to_have_text("billing-bot")


async def test_what_policy_hides_is_hidden_on_both_sides(world: World, browser: Browser) -> None:
    world.gate.policy = careful(HIDDEN)
    other = "FR7630006000011234567890189"
    first = await world.hold(paying(other))
    await world.decide(first, await world.key(Kind.APPROVER, "bob"))
    await world.settled(first)
    action = await world.hold(paying())
    async with signed_in(browser, world, ANN) as page:
        await open_item(page, world, action)
        await expect(page.locator("#compared-changes")).to_contain_text("…0189")
        for secret in (IBAN, other):
            assert secret not in await page.content()
        await page.get_by_role("button", name="Reveal", exact=True).click()
        await page.wait_for_selector(".item[data-ready]")
        assert IBAN in await page.content()
        assert other not in await page.content()


# practice -----------------------------------------------------------------------------------


async def planted(world: World) -> Action:
    """Plant a practice call that is like one which bob rejected."""
    real = await world.hold()
    key = await world.key(Kind.APPROVER, "bob")
    await world.decide(real, key, type="reject", message="Nobody <i>knows</i> this account.")
    decision = (await world.now(real)).decision
    assert decision is not None
    return await world.gate.plant(a_call(task="Pay the rent"), decision, real.id)


async def test_a_practice_call_looks_like_any_other_until_it_is_decided(
    world: World, browser: Browser
) -> None:
    decoy = await planted(world)
    async with signed_in(browser, world, ANN) as page:
        await open_item(page, world, decoy)
        await expect(page.locator("#practice")).to_be_hidden()
        await page.keyboard.press("r")
        await page.get_by_text("Wrong target").click()
        await page.keyboard.press("Control+Enter")
        await expect(page.locator("#practice")).to_be_focused()
        await expect(page.locator("#practice")).to_contain_text("Good catch")
        await expect(page.locator("#practice-by")).to_have_text("bob")
        await expect(page.locator("#practice-why")).to_have_text(
            "Nobody <i>knows</i> this account."
        )
        await page.reload()
        await expect(page.locator("#practice")).to_contain_text("Good catch")


async def test_a_practice_call_that_is_approved_is_never_sent_and_says_why_it_was_wrong(
    world: World, browser: Browser
) -> None:
    decoy = await planted(world)
    async with signed_in(browser, world, ANN) as page:
        await open_item(page, world, decoy)
        await page.keyboard.press("a")
        await page.keyboard.press("Enter")
        await expect(page.locator("#practice")).to_contain_text("You let this one through.")
        await expect(page.locator("#practice")).to_contain_text("nothing was sent")
    assert (await world.now(decoy)).state is State.CANCELLED
    assert world.tool.calls == []
