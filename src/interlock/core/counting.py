"""Keys and weights: under which name the past of a call is kept, and how much a call counts.

A key is a hash over length-framed parts, so that no text of an agent can meet another key.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from .actions import Body, ToolCall
from .facts import MILLION, Counter, Counting
from .messages import asked
from .rules import Environment, Indeterminate, Limit, PolicySet, Tool, frame

HOUR_MS = 3_600_000
HEAVIEST = 2**53 - 1  #: the largest weight that every store counts exactly


def key_of(*parts: str) -> str:
    """Return the key of *parts*: 32 hex digits of a SHA-256."""
    return hashlib.sha256(frame(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


_repeated_key = lru_cache(maxsize=4096)(key_of)
"""Keys of agents and sessions come again with every call; those of targets hardly do."""


def session_key(agent_id: str, session: str) -> str:
    """Return the key of a session's state: sessions of two agents never meet.

    *session* is empty for the agent's unnamed session, and where all its calls are one session.
    """
    return _repeated_key("session", agent_id, session)


_ENCODE = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
_AS_THEY_ARE = frozenset({str, int, bool, type(None)})


def canonical(value: Any) -> str:
    """Return *value* as a text that is equal for equal JSON values: 1 and 1.0 are one number."""
    if type(value) is str:
        return "s" + value
    if type(value) is dict and _AS_THEY_ARE.issuperset(map(type, value.values())):
        return "j" + _ENCODE(value)
    return "j" + _ENCODE(_plain(value))


def _plain(value: Any) -> Any:
    if type(value) is float and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


class Names:
    """What keys are made of, for one call; each part is worked out at most once."""

    __slots__ = ("_call", "_policy", "_target", "_tool", "_values", "session", "target")

    def __init__(
        self, call: ToolCall, tool: Tool | None, values: Mapping[str, Any], policy: PolicySet
    ) -> None:
        self._call = call
        self._policy = policy
        self._tool = tool
        self._values = values
        self._target = ""
        self.session = "" if policy.session_scope == "agent" else call.context.session
        self.target = _target(tool, values)

    def of(self, path: str) -> str:
        """Return the text of a path such as `agent.id` or `args.NAME`; a missing argument is null.

        Raises:
            ValueError: there is no such path; loading a policy refuses it earlier.
        """
        read = _READ.get(path)
        if read is not None:
            return read(self)
        if not path.startswith("args."):
            raise ValueError(f"{path!r} is no part of a key")
        return canonical(self._values.get(path.removeprefix("args.")))

    def keyed(self, kind: str, paths: tuple[str, ...]) -> str:
        return key_of(kind, *paths, *[self.of(path) for path in paths])

    def share_of(self, limit: Limit) -> Counter:
        key = _repeated_key("limit", limit.name, *[self.of(path) for path in limit.key])
        return Counter(key=key, counting=Counting.SPENT, window_ms=limit.window_ms)

    def session_state(self) -> str:
        return session_key(self._call.agent.id, self.session)

    def target_key(self) -> str:
        """Return the key of refusals: agent, tool and target."""
        return key_of("target", self._call.agent.id, self._tool_id(), self._target_text())

    def grant_key(self, *how: str) -> str:
        """Return the key of grants: agent, tool, target, and *how* the tool is called."""
        return key_of("grant", self._call.agent.id, self._tool_id(), self._target_text(), *how)

    def caps(self) -> tuple[Counter | None, Counter | None]:
        """Return the counters of calls that wait: of the session, and of the agent in an hour."""
        caps, agent = self._policy.caps, self._call.agent.id
        waiting = holds = None
        if caps.open_per_session is not None:
            waiting = Counter(
                key=_repeated_key("open", agent, self.session), counting=Counting.OPEN
            )
        if caps.per_agent_per_hour is not None:
            key = _repeated_key("holds", agent)
            holds = Counter(key=key, counting=Counting.HOLDS, window_ms=HOUR_MS)
        return waiting, holds

    def _agent(self) -> str:
        return self._call.agent.id

    def _owner(self) -> str:
        return self._call.agent.owner

    def _session_text(self) -> str:
        return f"{len(self._call.agent.id)}:{self._call.agent.id}{self.session}"

    def _tool_id(self) -> str:
        return self._tool.id if self._tool else ""

    def _target_text(self) -> str:
        if not self._target:
            self._target = canonical(self.target) + self._beside_arguments()
        return self._target

    def _beside_arguments(self) -> str:
        """Return what tells two calls with the same arguments apart: the place, and bytes."""
        call, tool = self._call, self._tool
        if tool is None:
            name = call.mcp.name if call.mcp else ""
            return canonical([call.upstream, call.method, call.path, name]) + _bytes(call)
        if tool.target is not None or call.mcp is not None:
            return ""
        kind = call.content.kind
        return _bytes(call) if kind is Body.OPAQUE or kind not in tool.bodies else ""


_READ = {
    "agent.id": Names._agent,
    "agent.owner": Names._owner,
    "session.id": Names._session_text,
    "tool": Names._tool_id,
    "target": Names._target_text,
}


def _bytes(call: ToolCall) -> str:
    if call.mcp is not None:  # its bytes hold an id, another one in every call
        return canonical(asked(call))
    return hashlib.sha256(call.body).hexdigest() if call.body else ""


def _target(tool: Tool | None, values: Mapping[str, Any]) -> Mapping[str, Any]:
    if tool is None or tool.target is None:
        return values
    return {name: values.get(name) for name in tool.target}


def weight_of(limit: Limit, seen: Environment) -> int:
    """Return how much a call counts for *limit*, in millionths, rounded up.

    Raises:
        Indeterminate: the amount cannot be read.
    """
    if limit.value is None:
        return MILLION
    amount = limit.value(seen)
    if type(amount) is int:
        return min(abs(amount) * MILLION, HEAVIEST)
    if type(amount) is not float or not math.isfinite(amount):
        raise Indeterminate("the amount is not a finite number")
    exact = abs(amount) * MILLION
    if not exact < HEAVIEST:
        return HEAVIEST
    # 1.15 in binary, times a million, is off by a hair: that hair is no amount.
    nearest = round(exact)
    return nearest if abs(exact - nearest) <= exact * 1e-15 else math.ceil(exact)
