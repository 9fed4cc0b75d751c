"""Signing in a real browser, with Chromium's own virtual authenticators, on the real pages."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer, get_unused_port_socket
from playwright.async_api import Browser, CDPSession, Error, Page, expect

from interlock.approvals.api import add_api
from interlock.approvals.page import add_page
from interlock.core.actions import Action, State

from .browser import IN_ONE_LOOP, browser, signed_in, world
from .signing import MINE, signed_off
from .world import ANN, World

__all__ = ["browser", "world"]
pytestmark = [pytest.mark.slow, IN_ONE_LOOP]


class AtLocalhost(World):
    """A world whose page is at `http://localhost:PORT`: browsers sign nothing for 127.0.0.1."""

    @property
    def url(self) -> str:
        return self.deps.url


@pytest_asyncio.fixture(loop_scope="session")
async def here(world: World) -> AsyncIterator[AtLocalhost]:
    world.gate.policy = signed_off(world.gate.policy)
    world.clock.now = await world.store.now()
    socket = get_unused_port_socket("127.0.0.1")
    url = f"http://localhost:{socket.getsockname()[1]}"
    deps, app = dataclasses.replace(world.deps, url=url), web.Application()
    add_api(app, deps)
    add_page(app, deps)
    server = TestServer(app, host="127.0.0.1", socket_factory=lambda *_: socket)
    await server.start_server()
    given = {each.name: getattr(world, each.name) for each in dataclasses.fields(world)}
    yield AtLocalhost(**given | {"deps": deps, "server": server})
    await server.close()


class Keys:
    """The authenticators of one page."""

    def __init__(self, session: CDPSession) -> None:
        self._session = session

    async def plug_in(self, **otherwise: Any) -> str:
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        said = await self._session.send(
            "WebAuthn.addVirtualAuthenticator", {"options": options | otherwise}
        )
        return str(said["authenticatorId"])

    async def unplug(self, name: str) -> None:
        await self._session.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": name})


@contextlib.asynccontextmanager
async def keys_of(page: Page) -> AsyncIterator[Keys]:
    session = await page.context.new_cdp_session(page)
    await session.send("WebAuthn.enable")
    yield Keys(session)
    await session.detach()


async def enrol(page: Page, label: str) -> dict[str, Any]:
    """Do what the page /me does."""
    script = "async (label) => (await import('/static/webauthn.js')).enrol(label)"
    found: dict[str, Any] = await page.evaluate(script, label)
    return found


async def remove(page: Page, name: str) -> None:
    script = "async (id) => (await import('/static/webauthn.js')).remove(id)"
    await page.evaluate(script, name)


async def mine(page: Page) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await page.evaluate(
        "async (path) => (await (await fetch(path)).json()).items", MINE
    )
    return found


DECIDE = """
async ({ id, type, edit }) => {
  const { signDecision } = await import("/static/webauthn.js");
  const path = `/v1/approvals/${id}`;
  const { card, csrf } = await (await fetch(path)).json();
  const body = JSON.stringify({ edited_args: edit });
  const headers = { "Content-Type": "application/json" };
  const tried = edit && await fetch(`${path}/preview`, { method: "POST", headers, body });
  const preview = tried && await tried.json();
  const { digest, version } = card;
  const asked = { type, digest, editedDigest: preview?.digest, version: String(version), csrf };
  const decision = { type, digest, step_up: await signDecision(path, asked) };
  if (edit) decision.edited_args = edit;
  const answer = await fetch(`${path}/decision`, {
    method: "POST",
    headers: { ...headers, "If-Match": `"${version}"`, "Interlock-CSRF": csrf },
    body: JSON.stringify(decision),
  });
  return { status: answer.status, ...(await answer.json()) };
}
"""


async def decide(page: Page, action: Action, **edit: Any) -> dict[str, Any]:
    wish = {"id": action.id, "type": "edit" if edit else "approve", "edit": edit or None}
    found: dict[str, Any] = await page.evaluate(DECIDE, wish)
    return found


async def test_promise_11_in_a_browser_a_person_adds_a_passkey_and_signs_what_is_sent(
    here: AtLocalhost, browser: Browser
) -> None:
    action = await here.hold()
    async with signed_in(browser, here, ANN) as page, keys_of(page) as keys:
        await keys.plug_in()
        made = await enrol(page, "this laptop")
        assert made["label"] == "this laptop"
        assert made["transports"] == ["internal"]
        said = await decide(page, action)
    assert (said["status"], said["state"]) == (200, "approved")
    after = await here.settled(action)
    assert after.state is State.ANSWERED
    assert [review.step_up for review in after.reviews] == [made["id"]]


async def test_an_edit_is_signed_in_a_browser(here: AtLocalhost, browser: Browser) -> None:
    action = await here.hold()
    async with signed_in(browser, here, ANN) as page, keys_of(page) as keys:
        await keys.plug_in(transport="usb", hasResidentKey=False)
        await enrol(page, "blue key")
        said = await decide(page, action, account="DE-4711", amount=1, recipient="Bob GmbH")
        assert (await mine(page))[0]["used"] > 0
    assert (said["status"], said["state"]) == (200, "approved")
    await here.settled(action)
    assert [call.content.value["amount"] for call in here.tool.calls] == [1]


async def test_who_is_not_verified_signs_nothing(here: AtLocalhost, browser: Browser) -> None:
    action = await here.hold()
    async with signed_in(browser, here, ANN) as page, keys_of(page) as keys:
        name = await keys.plug_in()
        await enrol(page, "this laptop")
        await keys._session.send(
            "WebAuthn.setUserVerified", {"authenticatorId": name, "isUserVerified": False}
        )
        with pytest.raises(Error, match="was not confirmed, or took too long"):
            await decide(page, action)
    assert (await here.now(action)).version == action.version


async def test_a_second_key_is_confirmed_with_the_first_which_it_may_then_remove(
    here: AtLocalhost, browser: Browser
) -> None:
    async with signed_in(browser, here, ANN) as page, keys_of(page) as keys:
        await keys.plug_in(transport="internal")
        first = await enrol(page, "this laptop")
        with pytest.raises(Error, match="has been added before"):
            await enrol(page, "this laptop again")
        await keys.plug_in(transport="usb")
        second = await enrol(page, "blue key")
        assert [each["id"] for each in await mine(page)] == [first["id"], second["id"]]
        await remove(page, first["id"])
        assert [each["label"] for each in await mine(page)] == ["blue key"]


async def test_without_a_key_the_page_says_where_to_add_one(
    here: AtLocalhost, browser: Browser
) -> None:
    action = await here.hold()
    async with signed_in(browser, here, ANN) as page:
        with pytest.raises(Error, match="Add one at /me, within ten minutes"):
            await decide(page, action)


async def test_at_an_ip_address_the_page_says_where_to_open_it(
    here: AtLocalhost, browser: Browser
) -> None:
    given = {each.name: getattr(here, each.name) for each in dataclasses.fields(here)}
    by_number = World(**given)
    assert by_number.url.startswith("http://127.0.0.1:")
    async with signed_in(browser, by_number, ANN) as page, keys_of(page) as keys:
        await keys.plug_in()
        with pytest.raises(Error, match=f"only at {here.url}: open the page there"):
            await enrol(page, "this laptop")


async def test_what_is_written_in_base64url_is_read_back(
    here: AtLocalhost, browser: Browser
) -> None:
    script = """async () => {
      const { toBase64url, fromBase64url } = await import("/static/webauthn.js");
      const every = Uint8Array.from({ length: 256 }, (_, at) => at);
      const texts = [0, 1, 2, 3, 256].map((size) => toBase64url(every.slice(0, size).buffer));
      const same = fromBase64url(texts[4]).every((byte, at) => byte === at);
      return [texts.slice(0, 4), same, texts[4]];
    }"""
    async with signed_in(browser, here, ANN) as page:
        short, same, long = await page.evaluate(script)
    assert short == ["", "AA", "AAE", "AAEC"]
    assert same is True
    assert not set("+/=") & set(long)


async def test_the_button_on_the_page_signs(here: AtLocalhost, browser: Browser) -> None:
    action = await here.hold()
    async with signed_in(browser, here, ANN) as page, keys_of(page) as keys:
        await keys.plug_in()
        await enrol(page, "this laptop")
        await page.goto(f"{here.url}/review/{action.id}")
        await page.wait_for_selector("[data-ready]")
        await page.get_by_role("button", name="Approve").first.click()
        await page.get_by_role("button", name="Approve: send it as shown").click()
        await expect(page.locator("#after-text")).to_contain_text("the tool answered")
    assert [call.digest for call in here.tool.calls] == [action.digest]


async def test_policy_that_asks_for_a_signature_meanwhile_gets_it_from_the_page(
    here: AtLocalhost, browser: Browser
) -> None:
    asking, levels = here.gate.policy, here.gate.policy.levels
    free = dataclasses.replace(levels.approve, step_up=False)
    here.gate.policy = dataclasses.replace(asking, levels=dataclasses.replace(levels, approve=free))
    action = await here.hold()
    async with signed_in(browser, here, ANN) as page, keys_of(page) as keys:
        await keys.plug_in()
        await enrol(page, "this laptop")
        await page.goto(f"{here.url}/review/{action.id}")
        await expect(page.locator("#approve")).to_be_enabled()
        here.gate.policy = asking
        await page.keyboard.press("a")
        await page.locator("[data-send=approve]").click()
        await expect(page.locator("#after")).to_be_visible()
    (review,) = (await here.settled(action)).reviews
    assert review.step_up
