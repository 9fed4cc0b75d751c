"""Promises that the people's side keeps."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession, CookieJar
from playwright.async_api import expect

from interlock.approvals import api, page
from interlock.approvals.access import HEADERS
from interlock.approvals.rendering import painted
from interlock.core.actions import State
from interlock.core.identity import Kind
from interlock.core.redaction import original, visible_text
from interlock.store.redis import RedisStore
from tests.approvals.browser import a_browser, signed_in
from tests.approvals.test_page import open_item
from tests.approvals.world import ANN, World, a_call, a_world
from tests.support.stores import Server, fresh_prefix


@pytest.fixture
async def world(server: Server) -> AsyncIterator[World]:
    prefix = fresh_prefix()
    store = RedisStore(server.url, prefix=prefix)
    async with a_world(store, prefix, whole_bytes=4096) as world:
        yield world
    await store.close()


@pytest.mark.slow
async def test_promise_02_the_page_shows_everything_or_approve_is_disabled(world: World) -> None:
    hidden = "x" * 100_000 + "AND-THE-PAYLOAD-AT-THE-END"
    body = f'{{"amount": 1, "recipient": "{hidden}"}}'.encode()
    action = await world.hold(a_call(body=body))
    async with a_browser() as browser, signed_in(browser, world, ANN) as tab:
        await open_item(tab, world, action)
        assert "AND-THE-PAYLOAD" not in await tab.content()
        await expect(tab.locator("#approve")).to_be_disabled()
        await tab.keyboard.press("a")
        await expect(tab.locator("#panel-approve")).to_be_hidden()
        await expect(tab.get_by_text("97.7 KiB are not shown yet")).to_be_visible()
        await tab.get_by_role("button", name="Show everything").click()
        await expect(tab.locator("#approve")).to_be_enabled()
        assert await tab.locator("#body-exact").text_content() == body.decode()
        assert hidden in (await tab.locator("#arguments").text_content() or "")


@pytest.mark.slow
async def test_promise_02_without_the_script_nothing_can_be_approved(world: World) -> None:
    action = await world.hold()
    async with (
        a_browser() as browser,
        signed_in(browser, world, ANN, java_script_enabled=False) as tab,
    ):
        await tab.goto(f"{world.url}/review/{action.id}")
        await expect(tab.locator("#approve")).to_be_disabled()


def test_promise_03_no_invisible_character_is_invisible() -> None:
    every = [chr(point) for point in range(sys.maxunicode + 1)]
    drawn = [visible_text(character) for character in every]
    assert len(set(drawn)) == len(every)
    assert all(original(text) == character for text, character in zip(drawn, every, strict=True))


def test_promise_03_the_page_keeps_a_typed_token_apart_from_a_real_one() -> None:
    real, typed = painted(visible_text("\u202e")), painted(visible_text("<U+202E>"))
    assert real == '<span class="pt" title="RIGHT-TO-LEFT OVERRIDE">&lt;U+202E&gt;</span>'
    assert typed == '<span class="pt" title="LESS-THAN SIGN">&lt;U+003C&gt;</span>U+202E&gt;'


@pytest.mark.slow
async def test_promise_04_agent_text_never_runs_and_never_draws(world: World) -> None:
    attack = '</script><img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'
    action = await world.hold(a_call(agent=attack, reason=attack, task=attack, session=attack))
    async with a_browser() as browser, signed_in(browser, world, ANN) as tab:
        await open_item(tab, world, action)  # leaving fails on any breach of the policy
        assert await tab.evaluate("window.hacked") is None
        assert await tab.locator("main img, main script").count() == 0
        assert await tab.locator(".untrusted blockquote").first.text_content() == attack


async def test_promise_04_every_answer_forbids_foreign_script(world: World) -> None:
    for path in ("/review", "/review/none", "/v1/approvals", "/nowhere", "/sign-in"):
        answer = await world.ask("GET", path)
        assert answer.headers["Content-Security-Policy"] == HEADERS["Content-Security-Policy"]
    policy = HEADERS["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "require-trusted-types-for 'script'" in policy
    assert "unsafe" not in policy


async def test_promise_06_a_decision_names_the_digest_and_version_it_saw(world: World) -> None:
    action, key = await world.hold(), await world.key(Kind.APPROVER, "ann")
    path, said = f"/v1/approvals/{action.id}/decision", {"type": "approve", "digest": action.digest}
    blind = await world.ask("POST", path, key=key, json=said)
    other = await world.decide(action, key, digest="0" * 64)
    later = await world.ask("POST", path, key=key, headers={"If-Match": '"9"'}, json=said)
    assert (blind.status, other.status, later.status) == (428, 412, 412)
    assert (await world.now(action)).state is State.HELD
    assert world.tool.calls == []


async def test_promise_06_an_edit_makes_what_others_look_at_stale(world: World) -> None:
    action = await world.hold(a_call("git", "DELETE", "/repos/acme/website", b""))
    ann, bob = await world.key(Kind.APPROVER, "ann"), await world.key(Kind.APPROVER, "bob")
    edit = {"owner": "acme", "repo": "website-old"}
    edited = await world.decide(action, ann, type="edit", edited_args=edit, message="the old one")
    assert edited.status == 200, await edited.text()
    stale = await world.decide(action, bob, message="fine")
    assert stale.status == 412
    assert (await stale.json())["current"]["digest"] != action.digest
    assert world.tool.calls == []


async def test_promise_07_no_agent_credential_reaches_a_decision(world: World) -> None:
    action = await world.hold()
    key = await world.key(Kind.AGENT, "billing-bot")
    etag = {"If-Match": f'"{action.version}"'}
    for route in (*api.ROUTES, *page.ROUTES):
        assert route.kinds is None or Kind.AGENT not in route.kinds
    for what in ("decision", "preview", "resolve"):
        answer = await world.ask(
            "POST", f"/v1/approvals/{action.id}/{what}", key=key, headers=etag, json={}
        )
        assert answer.status == 403
    assert (await world.now(action)).version == action.version


async def test_promise_07_an_agents_key_beside_a_session_is_still_an_agents(world: World) -> None:
    action, key = await world.hold(), await world.key(Kind.AGENT)
    cookie = await world.deps.sessions.open(ANN)
    async with ClientSession(cookies={"interlock": cookie}) as client:
        response = await client.get(
            f"{world.url}/v1/approvals/{action.id}", headers={"Authorization": f"Bearer {key}"}
        )
    assert response.status == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://127.0.0.1:8080", "Sec-Fetch-Site": "same-site"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example"},
        {},
    ],
)
async def test_promise_10_another_sites_page_cannot_decide(
    world: World, headers: dict[str, str]
) -> None:
    action = await world.hold()
    cookie = await world.deps.sessions.open(ANN)
    session = await world.deps.sessions.find(cookie)
    assert session is not None
    token = session.token(f"decide {action.digest}")  # even where the token had leaked
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as client:
        response = await client.post(
            f"{world.url}/v1/approvals/{action.id}/decision",
            json={"type": "approve", "digest": action.digest},
            headers={
                "If-Match": f'"{action.version}"',
                "Interlock-CSRF": token,
                "Cookie": f"interlock={cookie}",
            }
            | headers,
        )
    assert response.status in (403, 421)
    assert (await world.now(action)).state is State.HELD


async def test_promise_10_looking_never_decides_and_no_frame_shows_the_page(world: World) -> None:
    action, key = await world.hold(), await world.key(Kind.APPROVER)
    for path in (f"/v1/approvals/{action.id}/decision", f"/v1/approvals/{action.id}/preview"):
        assert (await world.ask("GET", path, key=key)).status == 405
    shown = await world.ask("GET", f"/review/{action.id}", key=key)
    assert shown.headers["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in shown.headers["Content-Security-Policy"]
    assert (await world.now(action)).version == action.version
