"""The edit form that is made of a tool's JSON Schema, in a real browser."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from interlock.policies.schemas import compile_schema

from .browser import a_browser, open_item, signed_in
from .world import ANN, World, a_call

pytestmark = pytest.mark.slow
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


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with a_browser() as browser:
        yield browser


@pytest.fixture
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
