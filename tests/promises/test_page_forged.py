"""Every route that changes something, attacked as other sites' pages can: promise 10.

The routes come from the router; one without a line in CHANGING fails.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import ClientSession, DummyCookieJar

from interlock.approvals.access import HEADERS
from interlock.approvals.credentials import AUTHENTICATORS
from interlock.approvals.definitions import accepting
from interlock.approvals.identity import (
    AWAY,
    REVOKING,
    SIGNING_OUT,
    STOPPING,
    SWITCHING,
    TELLING,
    Session,
    auditing,
    deciding,
    ending,
    undoing,
)
from interlock.core.actions import Action, Reviewer
from interlock.core.identity import Kind
from interlock.store.redis import RedisStore
from tests.approvals.world import ANN, BOB, World, a_call, a_world
from tests.support.stores import Server, fresh_prefix

BOSS = Reviewer(id="boss", groups=frozenset())
SAFE = ("GET", "HEAD", "OPTIONS")
Body = Mapping[str, Any] | None


@dataclass(frozen=True)
class Changing:
    """How a route is asked rightly: the purpose of its token, a body, and who asks."""

    purpose: Callable[[Action], str] | None
    body: Callable[[Action], Body] = lambda action: None
    kind: Kind = Kind.APPROVER
    form: bool = False  #: its token and body are fields of a form
    harmless: bool = False  #: it changes nothing, so a token would protect nothing
    closed: bool = False  #: it is for keys alone: no browser opens it, whatever it sends


def of_call(action: Action) -> str:
    return deciding(action.digest)


def said(purpose: str) -> Callable[[Action], str]:
    return lambda action: purpose


def body(**members: Any) -> Callable[[Action], Body]:
    return lambda action: members


STEP_UP = {
    "challenge_id": "c" * 43,
    "credential": {
        "id": "AAAA",
        "rawId": "AAAA",
        "type": "public-key",
        "response": {"clientDataJSON": "AAAA", "authenticatorData": "AAAA", "signature": "AAAA"},
    },
}
CALL, MINE = "/v1/approvals/{id}", "/v1/me/credentials"
CHANGING: dict[tuple[str, str], Changing] = {
    ("POST", f"{CALL}/decision"): Changing(
        of_call, lambda action: {"type": "approve", "digest": action.digest}
    ),
    ("POST", f"{CALL}/preview"): Changing(
        None,
        body(edited_args={"account": "DE-4711", "amount": 1, "recipient": "Eve"}),
        harmless=True,
    ),
    ("POST", f"{CALL}/resolve"): Changing(
        of_call, body(happened=True, message="Seen."), kind=Kind.ADMIN
    ),
    ("POST", f"{CALL}/reveal"): Changing(of_call),
    ("POST", f"{CALL}/look"): Changing(of_call, body(visible_ms=1)),
    ("POST", f"{CALL}/assign"): Changing(of_call, body(to="bob")),
    ("POST", f"{CALL}/escalate"): Changing(of_call, body()),
    ("POST", f"{CALL}/undo"): Changing(lambda action: undoing(action.id)),
    ("POST", f"{CALL}/step-up"): Changing(
        of_call,
        lambda action: {"type": "approve", "digest": action.digest, "version": action.version},
    ),
    ("POST", "/v1/approvals/decisions"): Changing(
        of_call,
        lambda action: {
            "type": "reject",
            "message": "No.",
            "items": [{"id": action.id, "version": action.version, "digest": action.digest}],
        },
    ),
    ("POST", "/v1/me/link"): Changing(None, closed=True),
    ("DELETE", "/v1/grants/{id}"): Changing(said(REVOKING)),
    ("POST", "/v1/definitions/{server}/{tool}/accept"): Changing(None),
    ("PUT", "/v1/me/away"): Changing(said(AWAY), body(until=1, to="")),
    ("DELETE", "/v1/me/away"): Changing(said(AWAY)),
    ("DELETE", "/v1/people/{id}/away"): Changing(said(AWAY), kind=Kind.ADMIN),
    ("POST", "/v1/people/{id}/sign-out"): Changing(
        lambda action: ending(action.id), kind=Kind.ADMIN
    ),
    ("POST", "/v1/agents/{id}/suspend"): Changing(said(STOPPING), body(reason="It runs wild.")),
    ("POST", "/v1/agents/{id}/resume"): Changing(said(STOPPING)),
    ("POST", "/v1/notifications/test"): Changing(said(TELLING), body(channel="webhook.ops")),
    ("POST", "/v1/notifications/{id}/retry"): Changing(said(TELLING)),
    ("DELETE", "/v1/notifications/{id}"): Changing(said(TELLING)),
    ("POST", f"{MINE}/options"): Changing(said(AUTHENTICATORS), body(purpose="add")),
    ("POST", MINE): Changing(
        said(AUTHENTICATORS), body(challenge_id="c", credential={}, label="mine")
    ),
    ("DELETE", MINE + "/{id}"): Changing(said(AUTHENTICATORS), body(confirmed=STEP_UP)),
    ("POST", f"{CALL}/outcome"): Changing(of_call, body(turned="wrong")),
    ("POST", "/v1/audits/{id}"): Changing(
        lambda action: auditing(action.id),
        lambda action: {"turned": "wrong", "digest": action.digest},
    ),
    ("POST", "/audits/{id}"): Changing(
        lambda action: auditing(action.id),
        lambda action: {"turned": "wrong", "digest": action.digest},
        form=True,
    ),
    ("POST", "/audits/{id}/reveal"): Changing(of_call, form=True),
    ("POST", "/review/{id}/reveal"): Changing(of_call, form=True),
    ("POST", "/review/{id}/outcome"): Changing(
        of_call, body(turned="wrong", message=""), form=True
    ),
    ("POST", "/sign-out"): Changing(said(SIGNING_OUT), form=True),
    ("POST", "/sign-in/role"): Changing(said(SWITCHING), body(kind="admin"), form=True),
}
ELSEWHERE = {
    ("POST", "/v1/channels/slack"),  # no cookie counts there, only Slack's signature
    ("POST", "/sign-in"),  # its link is its token; below
}


@pytest.fixture
async def world(server: Server) -> AsyncIterator[World]:
    prefix = fresh_prefix()
    store = RedisStore(server.url, prefix=prefix)
    async with a_world(store, prefix) as world:
        await world.key(Kind.APPROVER, "bob")
        await world.definitions.listed("files", [{"name": "read"}], whole=True)
        await world.definitions.listed("files", [{"name": "read", "title": "R"}], whole=True)
        yield world
    await store.close()


def changing(world: World) -> set[tuple[str, str]]:
    return {
        (route.method, route.resource.canonical)
        for route in world.server.app.router.routes()
        if route.resource is not None and route.method not in SAFE
    }


async def test_promise_10_every_route_that_changes_something_is_attacked(world: World) -> None:
    assert changing(world) == set(CHANGING) | ELSEWHERE


VOLATILE = {
    "session",
    "sessions",
    "people",
    "of",
}  #: who signed in, and when somebody was here last


async def everything(world: World) -> str:
    """Return a digest of all that the store holds, but for when somebody was here last."""
    client, prefix = world.store.client, world.store._prefix
    kept: list[tuple[str, str]] = []
    async for name in client.scan_iter(match=f"{prefix}:*", count=1000):
        key = name.decode() if isinstance(name, bytes) else name
        if key.removeprefix(prefix).split(":")[1] not in VOLATILE:
            kind = await client.type(name)
            raw = await client.execute_command("DUMP", name, NEVER_DECODE=True)
            kept.append((f"{key} {kind}", hashlib.sha256(raw).hexdigest()))
    sent = [call.digest for call in world.tool.calls]
    links = len(world.deps.links._links)
    sampled = world.deps.channels.sampled  # type: ignore[attr-defined]
    return repr((sorted(kept), sent, links, sampled))


DOOR = ("cross-site", "not-signed-in", "was not served by Interlock", "You are not signed in")


@dataclass
class Attack:
    """One signed-in person, and a page of somebody else's in their browser."""

    world: World
    route: tuple[str, str]
    action: Action
    cookie: str
    session: Session
    refused: bool = False  #: whether the last answer said so for who asked, or from where

    @property
    def how(self) -> Changing:
        return CHANGING[self.route]

    @property
    def path(self) -> str:
        return filled(self.route[1], self.action)

    @property
    def token(self) -> str:
        if self.route[1].endswith("/accept"):
            (record,) = self.world.definitions.records()
            return self.session.token(accepting(record))
        return self.session.token(self.how.purpose(self.action)) if self.how.purpose else ""

    @property
    def members(self) -> Body:
        if self.route[1].endswith("/accept"):
            (record,) = self.world.definitions.records()
            return {"hash": record.listed.hash}
        return self.how.body(self.action)

    @property
    def right(self) -> dict[str, str]:
        """The headers that our own page sends."""
        return {
            "Origin": self.world.url,
            "Sec-Fetch-Site": "same-origin",
            "Sec-Fetch-Mode": "cors",
            "Cookie": f"{self.world.deps.cookie}={self.cookie}",
            "If-Match": f'"{self.action.version}"',
        }

    async def send(
        self,
        headers: Mapping[str, str],
        *,
        token: str | None = None,
        method: str = "",
        media: str = "",
        query: str = "",
    ) -> int:
        """Send the request as *headers* say; every answer, good or bad, may be framed nowhere."""
        token = self.token if token is None else token
        sent, data = dict(headers), b""
        members = self.members
        if self.how.form:
            sent["Content-Type"] = media or "application/x-www-form-urlencoded"
            pairs = {**(members or {}), "csrf": token}
            data = "&".join(f"{name}={value}" for name, value in pairs.items()).encode()
        else:
            sent["Interlock-CSRF"] = token
            if self.route[1].endswith("/decisions") and members is not None:
                each = [{**item, "csrf": token} for item in members["items"]]
                members = {**members, "items": each}
            if members is not None:
                sent["Content-Type"] = media or "application/json"
                data = json.dumps(members).encode()
        async with (
            ClientSession(
                cookie_jar=DummyCookieJar(), skip_auto_headers=["Content-Type"]
            ) as client,
            client.request(
                method or self.route[0],
                f"{self.world.url}{self.path}{query}",
                headers=sent,
                data=data or None,
                skip_auto_headers=["Content-Type"],
                allow_redirects=False,
            ) as answer,
        ):
            framed(answer.headers)
            text = await answer.text()
            if self.route[1].endswith("/decisions") and answer.status == 200:
                status: int = json.loads(text)["items"][0]["status"]
                return status
            self.refused = any(word in text for word in DOOR)
            return answer.status


def framed(headers: Mapping[str, str]) -> None:
    for name, value in HEADERS.items():
        assert headers[name] == value
    assert "Access-Control-Allow-Origin" not in headers


def filled(path: str, action: Action) -> str:
    return (
        path.replace("{id}", action.id)
        .replace("{server}", "files")
        .replace("{tool}", "read")
        .replace("{name}", "app.css")
    )


async def an_attack(world: World, route: tuple[str, str]) -> Attack:
    kind = CHANGING[route].kind
    kinds = (Kind.APPROVER, Kind.ADMIN) if route[1] == "/sign-in/role" else (kind,)
    person = BOSS if kind is Kind.ADMIN else ANN
    cookie = await world.deps.sessions.open(person, kind, kinds=kinds)
    session = await world.deps.sessions.find(cookie)
    assert session is not None
    return Attack(world, route, await world.hold(), cookie, session)


def hostile(world: World) -> list[dict[str, str]]:
    """What browsers say of a request by a page that is not ours."""
    port = world.server.port
    return [
        {"Origin": "https://evil.example"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "null", "Sec-Fetch-Site": "same-site"},
        {"Origin": "null", "Sec-Fetch-Site": "none"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
        {"Origin": f"http://127.0.0.1:{port + 1}", "Sec-Fetch-Site": "same-site"},
        {"Origin": f"http://127.0.0.1:{port + 1}"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": f"https://127.0.0.1:{port}"},
        {"Origin": f"http://127.0.0.1:{port}.evil.example"},
        {"Origin": f"http://localhost:{port}", "Sec-Fetch-Site": "cross-site"},
        {"Origin": world.url, "Sec-Fetch-Site": "cross-site"},
        {"Origin": ""},
        {},
    ]


ROUTES = sorted(CHANGING)


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
async def test_promise_10_another_sites_page_drives_no_route(
    world: World, route: tuple[str, str]
) -> None:
    attack = await an_attack(world, route)
    before, cookie = await everything(world), {"Cookie": attack.right["Cookie"]}
    medias = ("", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data")
    for headers in hostile(world):
        if not headers and attack.how.form and route[1] != "/review/{id}/reveal":
            continue  # no browser sends a form so, and a token is needed all the same
        for media in medias if len(headers) == 2 else medias[:1]:
            status = await attack.send(cookie | headers, media=media)
            assert status == 403, (headers, media)
    assert await everything(world) == before


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
async def test_promise_10_only_the_token_for_this_very_thing_counts(
    world: World, route: tuple[str, str]
) -> None:
    attack = await an_attack(world, route)
    if attack.how.harmless:
        before = await everything(world)
        assert await attack.send(attack.right) == 200
        assert await everything(world) == before
        return
    other, session = (
        await world.hold(a_call(body=b'{"amount": 1, "recipient": "E"}')),
        attack.session,
    )
    earlier = await world.deps.sessions.open(session.person, session.kind)
    theirs = await world.deps.sessions.open(BOB, session.kind)
    right = attack.token
    (record,) = world.definitions.records()
    purposes = [
        *(SIGNING_OUT, SWITCHING, REVOKING, AWAY, STOPPING, TELLING, AUTHENTICATORS),
        *(deciding(each.digest) for each in (attack.action, other)),
        *(undoing(each.id) for each in (attack.action, other)),
        *(auditing(each.id) for each in (attack.action, other)),
        *(ending(name) for name in ("ann", "bob", attack.action.id)),
        accepting(record),
    ]
    tokens = ["", "0" * 64, "é".encode().decode("latin-1"), right[:-1], right + "0"]
    tokens += [session.token(each) for each in purposes if session.token(each) != right]
    assert len(tokens) == len(purposes) + (5 if attack.how.closed else 4)
    for cookie in (earlier, theirs):
        another = await world.deps.sessions.find(cookie)
        assert another is not None
        tokens += [another.token(each) for each in purposes]
    before = await everything(world)
    for token in tokens:
        assert await attack.send(attack.right, token=token) == 403, token
        assert await attack.send(attack.right, token="", query=f"?csrf={right}") == 403
    if attack.how.closed:
        assert await attack.send(attack.right) == 403
        assert await everything(world) == before
        return
    assert await everything(world) == before
    # and the right one opens the door, so that the others failed for the token alone
    assert await attack.send(attack.right) not in (415, 421)
    assert not attack.refused


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
async def test_promise_10_looking_and_other_methods_change_nothing(
    world: World, route: tuple[str, str]
) -> None:
    attack = await an_attack(world, route)
    before = await everything(world)
    allowed = {method for method, path in changing(world) if path == route[1]}
    for method in ("GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE"):
        if method in allowed:
            continue
        named = {"X-HTTP-Method-Override": route[0], "X-Method-Override": route[0]}
        status = await attack.send(attack.right | named, method=method, query="?_method=POST")
        assert status in (200, 400, 404, 405), method
    assert await everything(world) == before


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
async def test_promise_10_a_name_that_was_pointed_at_us_reaches_no_route(
    world: World, route: tuple[str, str]
) -> None:
    attack = await an_attack(world, route)
    before = await everything(world)
    for host in ("evil.example", f"evil.example:{world.server.port}", "127.0.0.1.evil.example"):
        headers = attack.right | {"Host": host, "Origin": f"http://{host}"}
        assert await attack.send(headers) == 421
    assert await everything(world) == before


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
async def test_promise_07_a_cookie_does_not_help_an_agents_key(
    world: World, route: tuple[str, str]
) -> None:
    attack = await an_attack(world, route)
    agents = await world.key(Kind.AGENT, "billing-bot", ())
    metrics = await world.key(Kind.METRICS, "prom", ())
    auditor = await world.key(Kind.AUDITOR, "iris", ())
    before, name = await everything(world), world.deps.cookie
    mine = attack.right["Cookie"]
    door = route[1] in ("/sign-out", "/sign-in/role")
    for key, cookie, status in (
        *((each, mine, 401 if door else 403) for each in (agents, metrics, auditor)),
        ("ilk_approver_000000000000_" + "A" * 43, mine, 401),
        (attack.cookie, "", 401),  # a session's name is no key
        ("", f"{name}={agents}", 401),  # and a key is no session
        ("", f"{name}={attack.cookie}x", 401),
        ("", f"{name}={attack.cookie.split('.')[0]}", 401),
        ("", f"__Host-{name}={attack.cookie}", 401),
    ):
        headers = attack.right | {"Cookie": cookie}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        assert await attack.send(headers) == status, (key, cookie)
    assert await everything(world) == before


async def test_promise_10_a_link_is_followed_from_our_own_page_only(world: World) -> None:
    """Who signs a victim in as somebody else would read what they do."""
    token = world.deps.links.issue(BOB)
    before = await everything(world)
    async with ClientSession(cookie_jar=DummyCookieJar()) as client:
        for headers in hostile(world):
            if not headers or headers == {"Origin": ""}:
                continue  # no browser sends a form so
            url = f"{world.url}/sign-in"
            async with client.post(url, data={"t": token}, headers=headers) as answer:
                framed(answer.headers)
                assert (answer.status, "Set-Cookie" in answer.headers) == (403, False), headers
    assert world.deps.links.peek(token) == BOB
    assert await everything(world) == before


async def test_promise_10_looking_anywhere_from_anywhere_changes_nothing(world: World) -> None:
    """Links, images, previews and prefetches: each GET route, as each may ask for it."""
    action = await world.hold()
    cookie = await world.deps.sessions.open(ANN)
    mine = {"Cookie": f"{world.deps.cookie}={cookie}"}
    asked = [
        mine,
        mine | {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
        mine | {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        mine | {"Sec-Purpose": "prefetch", "Sec-Fetch-Site": "same-origin"},
        mine | {"X-HTTP-Method-Override": "POST"},
        {},
    ]
    paths = {
        filled(route.resource.canonical, action)
        for route in world.server.app.router.routes()
        if route.resource is not None and route.method == "GET"
    } - {"/v1/events"}
    query = f"?type=approve&digest={action.digest}&t={world.deps.links.issue(BOB)}&_method=POST"
    before = await everything(world)
    async with ClientSession(cookie_jar=DummyCookieJar()) as client:
        for path in sorted(paths):
            for headers in asked:
                for method, tail in (("GET", ""), ("GET", query), ("HEAD", ""), ("OPTIONS", "")):
                    async with client.request(
                        method, f"{world.url}{path}{tail}", headers=headers, allow_redirects=False
                    ) as answer:
                        assert answer.status < 500, path
                        framed(answer.headers)
                        if "no-cors" in headers.values() and method == "GET":
                            assert answer.status == 403, path
    assert await everything(world) == before
