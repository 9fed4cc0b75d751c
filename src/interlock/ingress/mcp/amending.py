"""Reads what a server says of itself and of its tools, and amends it on the way to the client."""

from __future__ import annotations

from contextlib import suppress

from ...core.errors import StoreUnavailable
from ...core.listings import oversized
from ...core.messages import Message
from ...gate import Gate
from ...mcp_ports import Definitions
from . import results, tasks_documents
from .calls import declares_tasks
from .learning import LIST, Learner
from .listing import discovered, listed
from .session import Caller, Document

DISCOVER = "server/discover"
AMENDED = frozenset({"initialize", DISCOVER, LIST}) | tasks_documents.METHODS
"""Methods whose answers are read, and maybe changed, on their way to the client."""


class Listings:
    """Takes note of what servers list before clients see it. *tasks*: we serve that extension."""

    def __init__(
        self, gate: Gate, definitions: Definitions, learner: Learner, *, tasks: bool = False
    ) -> None:
        self._gate = gate
        self._definitions = definitions
        self._learner = learner
        self._tasks = tasks

    async def amend(self, message: Message, answer: Document, caller: Caller) -> Document:
        """Return the response *answer* to *message* as *caller* gets it.

        The same object where nothing changes; an error in place of a listing that is too long to
        be looked into. What could not be kept is not accepted, so that
        calls of it will be held.
        """
        if self._tasks and message.method in tasks_documents.METHODS and declares_tasks(caller):
            return tasks_documents.foreign(message, answer)
        result = answer.get("result")
        if not isinstance(result, dict):
            return answer
        if message.method == LIST:
            why = _oversized(result)
            if why:
                text = f"The server's list of tools was not taken: {why}."
                return results.refused(text, answer.get("id"))
            await self._note(message, result, caller)
            amended = listed(result, caller, self._gate.policy, self._definitions)
        elif message.method == DISCOVER:
            amended = discovered(result, caller, tasks=self._tasks)
        else:
            return answer
        return answer if amended is result else {**answer, "result": amended}

    async def _note(self, message: Message, result: Document, caller: Caller) -> None:
        tools = result.get("tools")
        if not isinstance(tools, list):
            return
        whole = message.params.get("cursor") is None and result.get("nextCursor") is None
        if not whole:  # one page is no first listing: read them all before any is judged
            await self._learner.learn(message, caller)
        entries = [tool for tool in tools if isinstance(tool, dict)]
        with suppress(StoreUnavailable):
            await self._definitions.listed(caller.server.name, entries, whole=whole)


def _oversized(result: Document) -> str:
    tools = result.get("tools")
    return oversized(tools) if isinstance(tools, list) else ""
