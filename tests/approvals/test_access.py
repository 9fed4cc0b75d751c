"""Who may do what: the route table against a golden matrix, hosts, origins, headers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, CookieJar

from interlock.approvals.access import HEADERS
from interlock.approvals.deps import DEPS
from interlock.core.actions import State
from interlock.core.identity import Kind

from .world import ANN, World

Visitor = Kind | str
"""Whose key a request carries: one of each kind, an approver's that ended, or nobody's."""

NOBODY, EXPIRED, REVOKED = "none", "expired", "revoked"
VISITORS: tuple[Visitor, ...] = (*Kind, NOBODY, EXPIRED, REVOKED)
ALL: set[Visitor] = set(VISITORS)
PEOPLE: set[Visitor] = {Kind.APPROVER, Kind.ADMIN}
READERS: set[Visitor] = {*PEOPLE, Kind.AUDITOR}
APPROVER: set[Visitor] = {Kind.APPROVER}
ADMIN: set[Visitor] = {Kind.ADMIN}
ROOT = Path(__file__).parents[2]
GOLDEN: dict[tuple[str, str], set[Visitor]] = {
    ("GET", "/v1/approvals"): READERS,
    ("GET", "/v1/approvals/{id}"): READERS,
    ("POST", "/v1/approvals/{id}/preview"): APPROVER,
    ("POST", "/v1/approvals/{id}/decision"): APPROVER,
    ("POST", "/v1/approvals/{id}/resolve"): ADMIN,
    ("POST", "/v1/approvals/{id}/reveal"): APPROVER,
    ("GET", "/v1/grants"): READERS,
    ("DELETE", "/v1/grants/{id}"): PEOPLE,
    ("GET", "/v1/definitions"): READERS,
    ("POST", "/v1/definitions/{server}/{tool}/accept"): APPROVER,
    ("GET", "/v1/policy"): READERS,
    ("POST", "/v1/approvals/decisions"): APPROVER,
    ("POST", "/v1/approvals/{id}/look"): APPROVER,
    ("POST", "/v1/approvals/{id}/assign"): PEOPLE,
    ("POST", "/v1/approvals/{id}/escalate"): PEOPLE,
    ("POST", "/v1/approvals/{id}/undo"): APPROVER,
    ("GET", "/v1/history"): READERS,
    ("GET", "/v1/practice"): READERS,
    ("GET", "/v1/analytics"): READERS,  # approvers: no colleague's part
    ("GET", "/v1/audits"): READERS,
    ("GET", "/v1/audits/{id}"): READERS,
    ("POST", "/v1/audits/{id}"): PEOPLE,
    ("GET", "/v1/approvals/{id}/outcome"): READERS,
    ("POST", "/v1/approvals/{id}/outcome"): PEOPLE,
    ("GET", "/v1/feedback/export"): {Kind.ADMIN, Kind.AUDITOR},
    ("GET", "/v1/feedback/schemas"): {Kind.ADMIN, Kind.AUDITOR},
    ("GET", "/v1/people"): READERS,
    ("DELETE", "/v1/people/{id}/away"): ADMIN,
    ("GET", "/v1/me"): READERS,
    ("PUT", "/v1/me/away"): APPROVER,
    ("DELETE", "/v1/me/away"): APPROVER,
    ("GET", "/v1/agents"): READERS,
    ("POST", "/v1/agents/{id}/suspend"): PEOPLE,
    ("POST", "/v1/agents/{id}/resume"): PEOPLE,
    ("POST", "/v1/approvals/{id}/step-up"): set(),  # sessions only: a key has no authenticator
    ("GET", "/v1/me/credentials"): set(),
    ("POST", "/v1/me/credentials/options"): set(),
    ("POST", "/v1/me/credentials"): set(),
    ("DELETE", "/v1/me/credentials/{id}"): set(),
    ("POST", "/v1/me/link"): APPROVER,  # their own, with their own key
    ("POST", "/v1/channels/slack"): ALL,  # and then it asks for Slack's signature
    ("GET", "/v1/notifications"): READERS,
    ("POST", "/v1/notifications/test"): PEOPLE,
    ("POST", "/v1/notifications/{id}/retry"): PEOPLE,
    ("DELETE", "/v1/notifications/{id}"): PEOPLE,
    ("GET", "/v1/events"): READERS,
    ("GET", "/openapi.json"): ALL,
    ("GET", "/"): ALL,
    ("GET", "/review"): READERS,
    ("GET", "/review/{id}"): READERS,
    ("POST", "/review/{id}/reveal"): APPROVER,
    ("GET", "/grants"): READERS,
    ("GET", "/tools"): READERS,
    ("GET", "/policy"): READERS,
    ("GET", "/history"): READERS,
    ("GET", "/agents"): READERS,
    ("GET", "/me"): READERS,
    ("GET", "/notifications"): READERS,
    ("GET", "/analytics"): READERS,
    ("GET", "/audits"): READERS,
    ("GET", "/audits/{id}"): READERS,
    ("POST", "/audits/{id}"): PEOPLE,
    ("POST", "/audits/{id}/reveal"): APPROVER,
    ("POST", "/review/{id}/outcome"): PEOPLE,
    ("GET", "/sign-in"): ALL,
    ("POST", "/sign-in"): ALL,
    ("POST", "/sign-out"): ALL,
    ("GET", "/sign-in/role"): ALL,
    ("POST", "/sign-in/role"): ALL,
    ("GET", "/oidc/start"): ALL,
    ("GET", "/oidc/callback"): ALL,
    ("POST", "/v1/people/{id}/sign-out"): ADMIN,
    ("GET", "/static/{name}"): ALL,
    ("GET", "/livez"): ALL,
    ("GET", "/readyz"): ALL,
    ("GET", "/metrics"): ALL,
}
"""Who gets past the door, by route; a route without a line here fails. Add yours."""

DOORS = {"/sign-in", "/sign-out", "/sign-in/role"}
"""Open to all, and then they ask by themselves: for a link, for a session, for a signature."""


def registered(world: World) -> set[tuple[str, str]]:
    app = world.server.app
    assert app[DEPS] is world.deps
    return {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }


async def test_every_route_is_in_the_matrix_and_the_other_way_round(world: World) -> None:
    assert registered(world) == set(GOLDEN)


def documented() -> dict[tuple[str, str], tuple[str, ...]]:
    """Return what docs/identities.md says of every request: by approver, admin, auditor."""
    text = (ROOT / "docs" / "identities.md").read_text(encoding="utf-8")
    _, _, table = text.partition("| | approver | admin | auditor | requests |\n")
    rows = [line.strip("| \n").split(" | ") for line in table.partition("\n\n")[0].splitlines()]
    found = [
        (tuple(request.split(" ")), tuple(said))
        for _, *said, requests in rows[1:]
        for request in requests.strip("`").split("` `")
    ]
    assert len(found) == len(dict(found))  # each in one row
    return {(method, path): said for (method, path), said in found}


def test_the_documented_roles_are_those_of_the_matrix() -> None:
    kinds = (Kind.APPROVER, Kind.ADMIN, Kind.AUDITOR)
    expected = {}
    for route, who in GOLDEN.items():
        said = tuple("open" if who == ALL else "yes" if kind in who else "no" for kind in kinds)
        read = "in the browser" if route[0] == "GET" else "no"
        expected[route] = said if who else ("in the browser", "no", read)  # no key opens it
    assert documented() == expected


def test_auditors_read_all_that_approvers_read_and_do_nothing() -> None:
    for (method, path), who in GOLDEN.items():
        reading = method == "GET" and bool(who & PEOPLE)  # admins read exports as well
        assert (Kind.AUDITOR in who) is (reading or who == ALL), (method, path)


async def key_of(world: World, visitor: Visitor) -> str:
    if isinstance(visitor, Kind):
        return await world.key(visitor)
    if visitor == EXPIRED:
        return (await world.keys.create(Kind.APPROVER, "ann", "", ("ops",), 1))[0]
    if visitor == REVOKED:
        key, record = await world.keys.create(Kind.APPROVER, "ann", "", ("ops",), 0)
        assert await world.keys.revoke(record.key_id)
        return key
    return ""


@pytest.mark.parametrize("visitor", VISITORS, ids=lambda each: getattr(each, "value", each))
@pytest.mark.parametrize("route", sorted(GOLDEN), ids=" ".join)
async def test_each_visitor_gets_exactly_as_far_as_the_matrix_says(
    world: World, route: tuple[str, str], visitor: Visitor
) -> None:
    action = await world.hold()
    method, path = route
    path = path.replace("{id}", action.id).replace("{name}", "app.css")
    key = await key_of(world, visitor)
    async with ClientSession() as client:
        response = await client.request(
            method,
            f"{world.url}{path}",
            headers={"Authorization": f"Bearer {key}"} if key else {},
            allow_redirects=False,
        )
        status = response.status
        response.close()
    if visitor not in GOLDEN[route]:
        assert status == (403 if isinstance(visitor, Kind) else 401)
    elif path not in DOORS:
        assert status < 500 and status not in (401, 403)
    after = await world.now(action)
    assert (after.state, after.version) == (State.HELD, action.version)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("what", ["decision", "preview", "resolve", "reveal"])
async def test_only_a_post_decides(world: World, method: str, what: str) -> None:
    action = await world.hold()
    key = await world.key(Kind.APPROVER)
    answer = await world.ask(method, f"/v1/approvals/{action.id}/{what}", key=key)
    assert answer.status == 405
    assert answer.headers["Allow"] == "POST"
    assert (await world.now(action)).version == action.version


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer x", "Basic eDp5", "bearer ilk_approver_000000000000_" + "A" * 43],
)
async def test_a_key_that_is_none_signs_nobody_in(world: World, header: str) -> None:
    answer = await world.ask("GET", "/v1/approvals", headers={"Authorization": header})
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="interlock"'


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8081", 200),
        ("localhost", 200),
        ("LOCALHOST:1", 200),
        ("[::1]:8081", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost@evil.example", 421),
        ("", 421),
    ],
)
async def test_only_our_own_hosts_are_answered(world: World, host: str, status: int) -> None:
    key = await world.key(Kind.APPROVER)
    answer = await world.ask("GET", "/v1/approvals", key=key, headers={"Host": host})
    assert answer.status == status


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/review",
        "/review/none",
        "/sign-in",
        "/v1/approvals",
        "/nothing",
        "/openapi.json",
        "/static/app.css",
        "/static/none",
    ],
)
@pytest.mark.parametrize("host", ["127.0.0.1", "evil.example"])
async def test_every_answer_carries_the_protecting_headers(
    world: World, path: str, host: str
) -> None:
    for method in ("GET", "POST", "PUT"):
        answer = await world.ask(method, path, headers={"Host": host})
        for name, value in HEADERS.items():
            assert answer.headers[name] == value, (method, path, name)


async def session(world: World) -> tuple[ClientSession, str]:
    """A signed-in client that keeps its cookie, as a browser would; and its cookie."""
    client = ClientSession(cookie_jar=CookieJar(unsafe=True))
    token = world.deps.links.issue(ANN)
    response = await client.post(
        f"{world.url}/sign-in",
        data={"t": token},
        headers={"Origin": world.url},
        allow_redirects=False,
    )
    assert response.status == 303
    return client, response.headers["Set-Cookie"]


async def attempt(
    world: World, headers: dict[str, str], *, token: str = "right"
) -> tuple[int, int]:
    """Decide with a session and these headers; return the status and how many times it was sent."""
    client, _ = await session(world)
    async with client:
        action = await world.hold()
        item = await (await client.get(f"{world.url}/v1/approvals/{action.id}")).json()
        sent = {"If-Match": f'"{action.version}"', "Interlock-CSRF": item["csrf"]} | headers
        if token != "right":
            sent["Interlock-CSRF"] = token
        response = await client.post(
            f"{world.url}/v1/approvals/{action.id}/decision",
            json={"type": "approve", "digest": action.digest},
            headers=sent,
        )
        if response.status == 200:
            await world.settled(action)
        return response.status, len(world.tool.calls)


async def test_our_own_page_can_decide(world: World) -> None:
    assert await attempt(world, {"Origin": world.url, "Sec-Fetch-Site": "same-origin"}) == (200, 1)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://127.0.0.1:8080", "Sec-Fetch-Site": "same-site"},
        {"Origin": "http://127.0.0.1:8080"},
        {"Origin": "null"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
        {},
    ],
)
async def test_another_sites_page_cannot_decide(world: World, headers: dict[str, str]) -> None:
    assert await attempt(world, headers) == (403, 0)


@pytest.mark.parametrize("token", ["", "0" * 64, "é"])
async def test_a_session_without_the_calls_token_cannot_decide(world: World, token: str) -> None:
    assert await attempt(world, {"Origin": world.url}, token=token) == (403, 0)


async def test_a_token_for_one_call_does_not_decide_another(world: World) -> None:
    client, _ = await session(world)
    async with client:
        other = await world.hold()
        item = await (await client.get(f"{world.url}/v1/approvals/{other.id}")).json()
    assert await attempt(world, {"Origin": world.url}, token=item["csrf"]) == (403, 0)


async def test_the_cookie_stays_with_our_own_site_and_out_of_scripts(world: World) -> None:
    client, cookie = await session(world)
    await client.close()
    assert cookie.startswith("interlock=")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))


async def test_looking_at_a_link_does_not_sign_in(world: World) -> None:
    token = world.deps.links.issue(ANN)
    for _ in range(3):
        answer = await world.ask("GET", f"/sign-in?t={token}")
        assert answer.status == 200
        assert "Set-Cookie" not in answer.headers
        assert "Sign in as ann" in await answer.text()
    first = await world.ask("POST", "/sign-in", data={"t": token})
    again = await world.ask("POST", "/sign-in", data={"t": token})
    assert (first.status, again.status) == (303, 401)


async def test_a_signed_out_session_sees_nothing(world: World) -> None:
    client, _ = await session(world)
    async with client:
        text = await (await client.get(f"{world.url}/review")).text()
        token = text.partition('name="csrf" value="')[2].partition('"')[0]
        wrong = await client.post(f"{world.url}/sign-out", data={}, headers={"Origin": world.url})
        cookies: Any = {c.key: c.value for c in client.cookie_jar}
        right = await client.post(
            f"{world.url}/sign-out",
            data={"csrf": token},
            headers={"Origin": world.url},
            allow_redirects=False,
        )
    assert (wrong.status, right.status) == (403, 303)
    async with ClientSession(cookies=cookies) as old:
        assert (await old.get(f"{world.url}/v1/approvals")).status == 401


async def test_a_link_followed_from_a_chat_is_opened_again_from_here(world: World) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    answer = await world.ask("GET", "/review/act_1", headers=headers)
    assert answer.status == 200
    assert 'content="0;url=/review/act_1"' in await answer.text()


async def test_another_sites_script_cannot_read_the_queue(world: World) -> None:
    client, _ = await session(world)
    async with client:
        response = await client.get(
            f"{world.url}/v1/approvals",
            headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"},
        )
    assert response.status == 403
