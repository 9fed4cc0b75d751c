"""People in a browser, with security keys in software, for tests of what they sign."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import ClientSession, CookieJar

from interlock.core.actions import Action, Reviewer
from interlock.core.rules import PolicySet

from .authenticator import SecurityKey
from .world import World

ORIGIN = "http://localhost:8081"  # of the page of a world: `deps.url` is this machine, port 8081
MINE = "/v1/me/credentials"


def signed_off(policy: PolicySet) -> PolicySet:
    """Return *policy* with a signature asked for at every approval."""
    levels = policy.levels
    return replace(
        policy,
        levels=replace(
            levels,
            approve=replace(levels.approve, step_up=True),
            approve_dual=replace(levels.approve_dual, step_up=True),
        ),
    )


@dataclass
class Somebody:
    """A signed-in person; every method returns a status and what was said."""

    world: World
    name: str
    client: ClientSession
    key: SecurityKey = field(default_factory=lambda: SecurityKey(origin=ORIGIN))

    async def send(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        url, sent = f"{self.world.url}{path}", {"Origin": self.world.url} | headers
        async with self.client.request(method, url, json=body, headers=sent) as response:
            return response.status, await response.json()

    async def mine(self) -> dict[str, Any]:
        return (await self.send("GET", MINE))[1]

    async def change(
        self, path: str, body: Any, method: str = "POST"
    ) -> tuple[int, dict[str, Any]]:
        csrf = (await self.mine())["csrf"]
        return await self.send(method, path, body, **{"Interlock-CSRF": csrf})

    async def wish(self, purpose: str, **more: str) -> tuple[int, dict[str, Any]]:
        return await self.change(f"{MINE}/options", {"purpose": purpose} | more)

    async def add(
        self,
        key: SecurityKey | None = None,
        *,
        confirm: SecurityKey | None = None,
        **otherwise: Any,
    ) -> tuple[int, dict[str, Any]]:
        """Add *key* (this person's own, without it), confirmed with *confirm*."""
        status, wanted = await self.wish("add")
        if status != 200:
            return status, wanted
        body = {
            "challenge_id": wanted["challenge_id"],
            "credential": (key or self.key).make(wanted["create"], **otherwise),
            "label": "blue key",
        }
        if confirm is not None:
            body["confirmed"] = signature(wanted["confirm"], confirm)
        return await self.change(MINE, body)

    async def remove(self, name: str, key: SecurityKey | None = None) -> tuple[int, dict[str, Any]]:
        status, wanted = await self.wish("remove", id=name)
        if status != 200:
            return status, wanted
        confirmed = signature(wanted["confirm"], key or self.key)
        return await self.change(f"{MINE}/{name}", {"confirmed": confirmed}, "DELETE")

    async def token(self, action: Action) -> str:
        return str((await self.send("GET", f"/v1/approvals/{action.id}"))[1]["csrf"])

    async def asked(self, action: Action, **otherwise: Any) -> tuple[int, dict[str, Any]]:
        """Ask what to sign to approve *action*."""
        wish = {"type": "approve", "digest": action.digest, "version": action.version} | otherwise
        csrf = {"Interlock-CSRF": await self.token(action)}
        return await self.send("POST", f"/v1/approvals/{action.id}/step-up", wish, **csrf)

    async def signs(self, action: Action, **otherwise: Any) -> dict[str, Any]:
        """Return the `step_up` member that approves *action*; *otherwise*: see `asked`."""
        status, wanted = await self.asked(action, **otherwise)
        assert status == 200, wanted
        return signature(wanted, self.key)

    async def decides(
        self, action: Action, step_up: dict[str, Any] | None, **otherwise: Any
    ) -> tuple[int, dict[str, Any]]:
        body = {"type": "approve", "digest": action.digest} | otherwise
        if step_up is not None:
            body["step_up"] = step_up
        headers = {"If-Match": f'"{action.version}"', "Interlock-CSRF": await self.token(action)}
        return await self.send("POST", f"/v1/approvals/{action.id}/decision", body, **headers)


def signature(wanted: dict[str, Any], key: SecurityKey, **otherwise: Any) -> dict[str, Any]:
    """Return what *key* makes of options for a signature."""
    credential = key.sign(wanted["options"], **otherwise)
    return {"challenge_id": wanted["challenge_id"], "credential": credential}


@contextlib.asynccontextmanager
async def somebody(world: World, person: Reviewer) -> AsyncIterator[Somebody]:
    """A person who has just signed in, with a security key that nobody knows here yet."""
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as client:
        answer = await client.post(
            f"{world.url}/sign-in",
            data={"t": world.deps.links.issue(person)},
            headers={"Origin": world.url},
            allow_redirects=False,
        )
        assert answer.status == 303
        yield Somebody(world, person.id, client)
