"""The edit form that is made of a tool's JSON Schema, in a real browser."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route, expect

from interlock.policies.schemas import compile_schema

from .browser import IN_ONE_LOOP, browser, open_item, signed_in, world
from .world import ANN, World, a_call

__all__ = ["browser", "world"]
pytestmark = [pytest.mark.slow, IN_ONE_LOOP]
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["amount"],
    "$defs": {"day": {"type": "string", "format": "date", "description": "When it is paid"}},
    "properties": {
        "account": {"type": "string"},
        "amount": {"type": "integer", "minimum": 1, "exclusiveMaximum": 1000},
        "day": {"$ref": "#/$defs/day"},
        "speed": {"oneOf": [{"const": "sepa", "title": "Within a day"}, {"const": "instant"}]},
        "memo": {"type": ["string", "null"], "maxLength": 12},
        "to": {
            "type": "object",
            "required": ["name"],
            "properties": {"name": {"type": "string"}, "iban": {"type": "string", "minLength": 4}},
        },
        "tags": {"type": "array", "items": {"enum": ["rent", "tax"]}, "maxItems": 2},
    },
}
CALL = {
    "amount": 900,
    "day": "2026-11-30",
    "speed": "sepa",
    "memo": "May rent",
    "to": {"name": "Bob <U+202E>", "iban": "DE02"},
    "tags": ["rent"],
}


@pytest_asyncio.fixture(loop_scope="session")
async def page(world: World, browser: Browser) -> AsyncIterator[Page]:
    policy = world.gate.policy
    tool = replace(
        policy.tools["bank.transfer"],
        args_schema=SCHEMA,
        invalid=compile_schema(SCHEMA, frozenset({"account"})),
    )
    world.gate.policy = replace(policy, tools={**policy.tools, tool.id: tool})
    action = await world.hold(a_call(body=json.dumps(CALL).encode()))
    async with signed_in(browser, world, ANN) as page:
        await open_item(page, world, action)
        await page.keyboard.press("e")
        yield page


async def wrong(page: Page, label: str, value: str, said: str) -> None:
    """Type *value* where it does not fit; the field says so, and has the focus."""
    field = page.get_by_label(label, exact=True)
    before = await field.input_value()
    await field.fill(value)
    await page.get_by_role("button", name="Preview the edit").click()
    await expect(field).to_have_accessible_description(said)
    await expect(field).to_be_focused()
    assert await field.get_attribute("aria-invalid") == "true"
    await field.fill(before)


async def test_what_does_not_fit_is_said_beside_the_field(world: World, page: Page) -> None:
    await wrong(page, "amount", "0", said_of("This must be at least 1."))
    await wrong(page, "amount", "1000", said_of("This must be less than 1000."))
    await wrong(page, "amount", "1.5", said_of("This must be a whole number."))
    await page.get_by_label("memo", exact=True).fill("far too long for it")
    await page.get_by_role("button", name="Preview the edit").click()
    await expect(page.get_by_text("This may have at most 12 characters.")).to_be_visible()
    await page.get_by_label("memo", exact=True).fill("fits")
    await page.get_by_label("to", exact=True).fill('{"name": }')
    await page.get_by_role("button", name="Preview the edit").click()
    await expect(page.get_by_text("This must be JSON")).to_be_visible()
    assert world.tool.calls == []


def said_of(error: str) -> str:
    return f"{error} at least 1, less than 1000"


async def test_choices_are_offered_by_name_and_parts_are_edited_as_json_beside_their_schema(
    world: World, page: Page
) -> None:
    await expect(page.get_by_text("When it is paid; a date, as in 2026-11-23")).to_be_visible()
    await page.get_by_label("speed", exact=True).select_option(label="instant")
    to = page.get_by_label("to", exact=True)
    assert json.loads(await to.input_value()) == CALL["to"]
    await page.locator("[data-field]", has=to).get_by_text("Its JSON Schema").click()
    await expect(page.locator(".schema", has_text="iban")).to_be_visible()
    await to.fill('{"name": "Bob <U+202E>", "iban": "DE03"}')
    await page.get_by_role("button", name="Preview the edit").click()
    await expect(page.locator("#preview-changes tr")).to_have_count(2)
    await page.get_by_role("button", name="Approve this edit").click()
    await expect(page.locator("#banner")).to_contain_text("edited, sent")
    (sent,) = world.tool.calls
    changed = {"speed": "instant", "to": {"name": "Bob <U+202E>", "iban": "DE03"}}
    assert json.loads(sent.body) == CALL | changed


async def test_an_argument_can_be_left_out_and_another_put_in(world: World, page: Page) -> None:
    tags = page.locator("[data-field]", has=page.get_by_label("tags", exact=True))
    await tags.get_by_label("send").uncheck()
    await page.get_by_role("button", name="Preview the edit").click()
    await expect(page.locator("#preview-changes .after")).to_have_text("left out")
    await page.get_by_role("button", name="Approve this edit").click()
    await expect(page.locator("#banner")).to_contain_text("edited, sent")
    assert "tags" not in json.loads(world.tool.calls[0].body)


# numbers ------------------------------------------------------------------------------------

WRITTEN = "This must be a number. Write it as in 1234.5: no spaces, no commas but a point"
AMOUNTS: dict[str, Any] = {
    "type": "object",
    "properties": {"account": {"type": "string"}, "amount": {"type": "number"}},
}
MISREAD = {
    "1,000": WRITTEN,
    "1 000": WRITTEN,
    "1\u00a0000": WRITTEN,
    "1\u2009000": WRITTEN,
    "1'000": WRITTEN,
    "1_000": WRITTEN,
    "1.000,50": WRITTEN,
    "12,5": WRITTEN,
    "1.000.000": WRITTEN,
    "\uff11\uff10\uff10\uff10": WRITTEN,
    "\u0661\u0660\u0660\u0660": WRITTEN,
    "\u2212100": WRITTEN,
    "1000 EUR": WRITTEN,
    "0x10": WRITTEN,
    "010": WRITTEN,
    "": WRITTEN,
    "1.000": "Is this 1000, or a little more than 1? Write 1000 or 1.0000.",
    "-12.500": "Is this -12500, or a little more than -12? Write -12500 or -12.5000.",
    "1e999": "This number is too large.",
    "0.10000000000000000001": "This has more digits than a number keeps",
    "12345678901234567890.5": "This has more digits than a number keeps",
}


@pytest_asyncio.fixture(loop_scope="session")
async def amounts(world: World, browser: Browser) -> AsyncIterator[Page]:
    """The form of a call whose amount has no bounds."""
    policy = world.gate.policy
    tool = replace(
        policy.tools["bank.transfer"],
        args_schema=AMOUNTS,
        invalid=compile_schema(AMOUNTS, frozenset({"account"})),
    )
    world.gate.policy = replace(policy, tools={**policy.tools, tool.id: tool})
    action = await world.hold(a_call(body=b'{"amount": 900}'))
    async with signed_in(browser, world, ANN) as page:
        await open_item(page, world, action)
        await page.keyboard.press("e")
        yield page


async def test_a_number_that_could_be_read_as_another_one_is_not_taken(
    world: World, amounts: Page
) -> None:
    field = amounts.get_by_label("amount", exact=True)
    error = amounts.locator("[data-field]", has=field).get_by_role("alert")
    for typed, said in MISREAD.items():
        await field.fill(typed)
        await field.press("Enter")
        await expect(error, typed).to_contain_text(said)
        await expect(amounts.locator("#preview")).to_be_hidden()
    assert world.tool.calls == []


@pytest.mark.parametrize(
    ("typed", "sent"),
    [("1000", 1000), (" 1000.50 ", 1000.5), ("1.0000", 1.0), ("0.125", 0.125), ("-3e2", -300.0)],
)
async def test_a_number_is_sent_as_it_was_typed(
    world: World, amounts: Page, typed: str, sent: float
) -> None:
    await amounts.get_by_label("amount", exact=True).fill(typed)
    await amounts.keyboard.press("Control+Enter")  # previews, and then approves that
    await expect(amounts.locator("#edit-send")).to_be_enabled()
    await amounts.keyboard.press("Control+Enter")
    await expect(amounts.locator("#banner")).to_contain_text("edited, sent")
    assert json.loads(world.tool.calls[0].body) == {"amount": sent}


async def test_what_is_approved_is_what_the_preview_shows(world: World, amounts: Page) -> None:
    """An answer that comes after the field was changed again shows and approves nothing."""
    late: list[Route] = []

    async def keep_the_first(route: Route) -> None:
        if late:
            await route.continue_()
        else:
            late.append(route)

    await amounts.route("**/preview", keep_the_first)
    field = amounts.get_by_label("amount", exact=True)
    await field.fill("12")
    async with amounts.expect_request("**/preview"):
        await field.press("Enter")
    await field.fill("13")
    async with amounts.expect_response("**/preview"):
        await late[0].continue_()
    await field.press("Enter")
    await expect(amounts.locator("#preview-changes .after")).to_have_text("13")
    await amounts.get_by_role("button", name="Approve this edit").click()
    await expect(amounts.locator("#banner")).to_contain_text("edited, sent")
    assert json.loads(world.tool.calls[0].body) == {"amount": 13}


async def test_what_was_changed_as_json_is_not_dropped_by_the_way(
    world: World, amounts: Page
) -> None:
    await amounts.get_by_role("button", name="JSON").click()
    raw = amounts.get_by_label("Arguments as JSON")
    await raw.fill((await raw.input_value()).replace("900", "1,000"))
    await amounts.get_by_role("button", name="Preview the edit").click()
    await expect(amounts.locator("#edit-error")).to_contain_text("This must be a JSON object")
    await amounts.get_by_role("button", name="Form").click()
    await expect(amounts.locator("#edit-error")).to_contain_text("Press Form again to drop that")
    await expect(raw).to_be_visible()
    await amounts.get_by_role("button", name="Form").click()
    await expect(amounts.get_by_label("amount", exact=True)).to_have_value("900")
    assert world.tool.calls == []


async def test_a_field_says_what_cannot_be_seen_in_it(world: World, amounts: Page) -> None:
    action = await world.hold(a_call(body='{"memo": "May \u202eytrid", "amount": 7}'.encode()))
    await open_item(amounts, world, action)
    await amounts.keyboard.press("e")
    memo = amounts.get_by_label("memo", exact=True)
    note = amounts.locator("[data-field]", has=memo).locator("[data-unseen]")
    await expect(note).to_have_text("It holds what cannot be seen here: U+202E.")
    await memo.fill("May rent\u200b\u00a0")
    await expect(note).to_have_text("It holds what cannot be seen here: U+200B, U+00A0.")
    await memo.fill("May rent of \u00e9t\u00e9 \U0001f3e0")
    await expect(note).to_be_hidden()
