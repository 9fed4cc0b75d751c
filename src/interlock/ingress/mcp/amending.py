"""Reads what a server says of itself and of its tools, and amends it for its client."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from ...core.errors import StoreUnavailable
from ...core.messages import Message
from ...gate import Gate
from ...ports import Definitions
from . import listing
from .session import Caller, Document

log = logging.getLogger("interlock.agents")


class Amendments:
    """Takes note of every listing that passes, before its client gets it.

    *tasks*: whether the tasks extension is served here.
    """

    def __init__(self, gate: Gate, definitions: Definitions, *, tasks: bool) -> None:
        self._gate = gate
        self._definitions = definitions
        self._tasks = tasks

    async def amend(self, message: Message, answer: Document, caller: Caller) -> Document:
        """Return *answer*, the response to *message*, as the client gets it."""
        result = answer.get("result")
        if not isinstance(result, Mapping):
            return answer
        if message.method == "tools/list":
            await self._note(message, result, caller)
            amended = listing.listed(result, caller, self._gate.policy, self._definitions)
        elif message.method == "server/discover":
            amended = listing.discovered(result, caller, tasks=self._tasks)
        else:
            amended = result
        return answer if amended is result else {**answer, "result": amended}

    async def _note(self, message: Message, result: Mapping[str, object], caller: Caller) -> None:
        tools = result.get("tools")
        if not isinstance(tools, list):
            return
        found = [tool for tool in tools if isinstance(tool, Mapping)]
        whole = message.params.get("cursor") is None and result.get("nextCursor") is None
        try:
            await self._definitions.listed(caller.server.name, found, whole=whole)
        except StoreUnavailable as error:  # what is not kept is not accepted
            log.warning("a listing of %s was not kept: %s", caller.server.name, error.detail)
