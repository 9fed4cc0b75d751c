"""A real browser, signed in, that notes every violation of the content security policy."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright

from interlock.core.actions import Action, Reviewer
from interlock.store.redis import RedisStore
from tests.support.stores import Server, fresh_prefix

from .world import World, a_world

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
# the same engine without what a window needs: a page costs a fifth of the processor time
EXECUTABLE = shutil.which("chromium-headless-shell") or "/usr/bin/chromium"
BREACHES = """document.addEventListener('securitypolicyviolation', (breach) =>
    console.error(`Content Security Policy breach: ${breach.violatedDirective}`))"""
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
PHONE = {"width": 390, "height": 844}
#: of a module whose tests share one browser, which belongs to the loop that it was started in
IN_ONE_LOOP = pytest.mark.asyncio(loop_scope="session")


@contextlib.asynccontextmanager
async def a_browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=EXECUTABLE, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def browser(chromium: Browser) -> AsyncIterator[Browser]:
    """The browser of all tests, with nothing open and nothing kept."""
    yield chromium
    for context in chromium.contexts:
        await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def world(server: Server) -> AsyncIterator[World]:
    """The world of conftest.py, in the loop of the browser."""
    prefix = fresh_prefix()
    store = RedisStore(server.url, prefix=prefix)
    async with a_world(store, prefix) as world:
        yield world
    await store.close()


@contextlib.asynccontextmanager
async def signed_in(
    browser: Browser, world: World, person: Reviewer, **options: Any
) -> AsyncIterator[Page]:
    """A page of *person*'s, who followed a one-time link; it must bring no error and no breach."""
    context = await browser.new_context(**options)
    await context.add_init_script(BREACHES)
    page = await context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda said: (
            complaints.append(said.text)
            if "Content Security Policy" in said.text or "TrustedHTML" in said.text
            else None
        ),
    )
    token = world.deps.links.issue(person)
    await page.goto(f"{world.url}/sign-in?t={token}")
    await page.get_by_role("button", name=f"Sign in as {person.id}").click()
    await page.wait_for_url("**/review")
    yield page
    await context.close()
    assert complaints == []


async def open_item(page: Page, world: World, action: Action) -> None:
    """Open the page of *action*, and wait until its script has started."""
    await page.goto(f"{world.url}/review/{action.id}")
    await page.wait_for_selector("[data-ready]")
