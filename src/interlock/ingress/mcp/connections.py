"""What is remembered of the sessions of older clients: whose they are, and what was agreed.

A session that another process has seen begin is not known here: it belongs to the agent that uses
it first with success. Nothing is lost by forgetting one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...core.messages import write_message
from .session import NO_CAPABILITIES

PER_AGENT = 2000  #: sessions; the longest unused goes first
_LARGEST = 16_384  #: bytes of declared capabilities; larger ones count as none


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What `initialize` agreed on. `version` is empty where this process did not see it."""

    agent: str
    version: str = ""
    capabilities: Mapping[str, Any]


class Sessions:
    """Sessions by server and id, bounded for each agent: none crowds out another."""

    def __init__(self, per_agent: int = PER_AGENT) -> None:
        self._per_agent = per_agent
        self._known: dict[tuple[str, str], Session] = {}
        self._used: dict[str, OrderedDict[tuple[str, str], None]] = {}

    def find(self, server: str, session: str) -> Session | None:
        """Return what is known of a session, and count it as used."""
        found = self._known.get((server, session))
        if found is not None:
            self._used[found.agent].move_to_end((server, session))
        return found

    def began(
        self, server: str, session: str, agent: str, version: str, declared: Mapping[str, Any]
    ) -> None:
        """Note that *agent* got *session* from the server itself, whoever used the id before."""
        small = len(write_message(declared)) <= _LARGEST
        capabilities = declared if small else NO_CAPABILITIES
        self.ended(server, session)
        self._keep(
            (server, session), Session(agent=agent, version=version, capabilities=capabilities)
        )

    def worked(self, server: str, session: str, agent: str) -> None:
        """Note that *agent* used a session with success that nobody is known to have."""
        if (server, session) not in self._known:
            self._keep((server, session), Session(agent=agent, capabilities=NO_CAPABILITIES))

    def ended(self, server: str, session: str) -> None:
        """Forget a session."""
        found = self._known.pop((server, session), None)
        if found is not None:
            del self._used[found.agent][server, session]

    def _keep(self, key: tuple[str, str], session: Session) -> None:
        used = self._used.setdefault(session.agent, OrderedDict())
        if len(used) >= self._per_agent:
            oldest, _ = used.popitem(last=False)
            del self._known[oldest]
        used[key] = None
        self._known[key] = session
