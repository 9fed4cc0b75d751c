"""What of a server's listings and of its greeting is changed on the way to the client. Pure.

Nothing is changed that policy gives no reason for: no schema is reshaped, no member is lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core.rules import PolicySet
from ...mcp_ports import Definitions
from .outlook import anything_held, may_be_refused, surely_denied
from .own_tools import NAMES, TOOLS, offered
from .session import TASKS, Caller

_SCHEMA = "outputSchema"


def listed(
    result: Mapping[str, Any], caller: Caller, policy: PolicySet, definitions: Definitions
) -> Mapping[str, Any]:
    """Return a result of `tools/list` as *caller* gets it; the same object where nothing changes.

    Tools that are surely denied are left out where the server's settings say so. A tool that may
    be refused loses its outputSchema, which a refusal would not fit, unless refusals are marked
    as errors. The last page gets our own tools, where anything here may be refused.
    """
    tools = result.get("tools")
    if not isinstance(tools, list):
        return result
    view = _View(caller, policy, definitions)
    shown = [view.shown(tool) for tool in tools if view.is_listed(tool)]
    if "nextCursor" not in result or result["nextCursor"] is None:
        shown += view.own(tools)
    if len(shown) == len(tools) and all(a is b for a, b in zip(shown, tools, strict=True)):
        return result
    return _private({**result, "tools": shown})


def discovered(result: Mapping[str, Any], caller: Caller, *, tasks: bool) -> Mapping[str, Any]:
    """Return a result of `server/discover` as *caller* gets it. *tasks*: we serve tasks."""
    capabilities = result.get("capabilities")
    if not (tasks and caller.modern and caller.holding.tasks) or not isinstance(capabilities, dict):
        return result
    extensions = capabilities.get("extensions")
    known = extensions if isinstance(extensions, dict) else {}
    if TASKS in known:
        return result
    added = {**capabilities, "extensions": {**known, TASKS: {}}}
    return _private({**result, "capabilities": added})


def _private(result: dict[str, Any]) -> dict[str, Any]:
    """What is made for one agent is kept in no cache of several."""
    return {**result, "cacheScope": "private"} if "cacheScope" in result else result


class _View:
    """How one caller sees the tools of its server."""

    def __init__(self, caller: Caller, policy: PolicySet, definitions: Definitions) -> None:
        self._caller = caller
        self._policy = policy
        self._definitions = definitions
        self._server = caller.server.name
        self._own = offered(caller)

    def is_listed(self, tool: Any) -> bool:
        if not isinstance(tool, dict):
            return True
        if self._own and tool.get("name") in NAMES:
            return False
        return not self._caller.server.hide_denied or not surely_denied(
            self._policy, self._server, tool, accepted=self._accepted(tool)
        )

    def shown(self, tool: Any) -> Any:
        if not isinstance(tool, dict) or _SCHEMA not in tool or self._caller.holding.errors:
            return tool
        if not self._may_be_refused(tool):
            return tool
        return {name: value for name, value in tool.items() if name != _SCHEMA}

    def own(self, last: list[Any]) -> list[Mapping[str, Any]]:
        held = any(isinstance(tool, dict) and self._may_be_refused(tool) for tool in last)
        return (
            list(TOOLS) if self._own and (held or anything_held(self._policy, self._server)) else []
        )

    def _may_be_refused(self, tool: Mapping[str, Any]) -> bool:
        accepted = self._accepted(tool)
        return may_be_refused(self._policy, self._server, tool, accepted=accepted)

    def _accepted(self, tool: Mapping[str, Any]) -> bool:
        name = tool.get("name")
        known = self._definitions.current(self._server, name) if isinstance(name, str) else None
        return known is not None and known.accepted
