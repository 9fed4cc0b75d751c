"""Who may speak at the agents' listener: under which names of it, and with which key."""

from __future__ import annotations

from aiohttp import web

from ..core.actions import Agent
from ..core.errors import MalformedCall, Unauthenticated
from ..core.identity import Kind
from ..ports import KeyRing
from .reading import hostname
from .wire import agent_key


class NotInvited(MalformedCall):
    """It comes from a web page, or speaks to a name that is not ours."""


class Admission:
    """Lets agents in. `hosts`: lower-case names of this gate; empty: any."""

    def __init__(self, keys: KeyRing, *, anonymous: Agent | None, hosts: frozenset[str]) -> None:
        self._keys = keys
        self._anonymous = anonymous
        self._hosts = hosts

    def check_host(self, request: web.BaseRequest) -> None:
        """A web page must not reach a laptop's gate under a name that it chose (DNS rebinding).

        Raises:
            NotInvited: the request is one of those.
        """
        host = request.headers.get("Host", "")
        if self._hosts and hostname(f"//{host}") not in self._hosts:
            raise NotInvited(f"This gate is not known as {host[:80]!r}; see `agents.hosts`.")
        origin = request.headers.get("Origin")
        foreign = origin is not None and self._hosts and hostname(origin) not in self._hosts
        if foreign or request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
            raise NotInvited("Web pages may not call tools through this gate.")

    async def agent(self, headers: tuple[tuple[str, str], ...]) -> Agent:
        """Return whose key the request carries. Raises Unauthenticated, MalformedCall."""
        key = agent_key(headers)
        if key is None:
            if self._anonymous is None:
                raise Unauthenticated(
                    "Send your agent key as `Interlock-Key: ilk_agent_...` (or as a bearer token)."
                )
            return self._anonymous
        who = await self._keys.verify(key)
        if who is None or who.kind is not Kind.AGENT:
            raise Unauthenticated("This key is unknown, expired, revoked or not an agent's key.")
        return Agent(id=who.id, owner=who.owner)
