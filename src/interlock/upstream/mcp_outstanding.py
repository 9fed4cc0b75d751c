"""What an MCP server was asked and has not answered, on pipes or on one stream.

Ids stay those of the client, since other messages name them; so no two requests are under way with
one id.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeGuard

from ..core.errors import UpstreamUnreachable
from ..core.messages import JSON_TYPE
from .credentials import Headers

Document: TypeAlias = Mapping[str, Any]
Id: TypeAlias = str | int
Answered: TypeAlias = Callable[[Document | None], Awaitable[None]]
"""What is done with the answer to a request; None: the server has gone without one."""

CANCELLED_SECONDS = 2.0  #: how long a cancelled call may still answer
BUSY_SECONDS = 5.0  #: how long a call waits for its id, while another request has it
_PROGRESS = "notifications/progress"


@dataclass(frozen=True, slots=True)
class WholeAnswer:
    """ports.Exchange of a response that has come whole."""

    body: bytes
    status: int = 200
    headers: Headers = (("Content-Type", JSON_TYPE),)

    async def chunks(self) -> AsyncIterator[bytes]:
        if self.body:
            yield self.body

    async def close(self) -> None:
        """There is nothing to close."""


@dataclass(slots=True, eq=False)
class Asked:
    """A request that the server has not answered. `clock`: of a call, when silence ends it."""

    answered: Answered
    token: Id | None = None
    clock: asyncio.Timeout | None = None
    waited: bool = False  #: whether somebody waits for it besides the client


def awaited(request: Document) -> tuple[Asked, asyncio.Future[Document | None]]:
    """Return a call to keep, and what its answer comes to."""
    answer: asyncio.Future[Document | None] = asyncio.get_running_loop().create_future()

    async def answered(document: Document | None) -> None:
        if not answer.done():
            answer.set_result(document)

    return Asked(answered, token_of(request), waited=True), answer


class Outstanding:
    """Requests by id. *patience*: the longest silence of a call, in seconds."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._asked: dict[Id, Asked] = {}
        self._withdrawn: set[Id] = set()
        self._freed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._asked)

    def __contains__(self, asked: Id) -> bool:
        return asked in self._asked

    def has(self, asked: Id, entry: Asked) -> bool:
        """Say whether it is still this one that has the id."""
        return self._asked.get(asked) is entry

    def items(self) -> tuple[tuple[Id, Asked], ...]:
        return tuple(self._asked.items())

    async def own(self, asked: Id) -> None:
        """Return once no other request has this id.

        Raises:
            UpstreamUnreachable: another one keeps it, or the client has cancelled meanwhile.
        """
        try:
            async with asyncio.timeout(BUSY_SECONDS):
                while asked in self._asked:
                    self._freed.clear()
                    await self._freed.wait()
        except TimeoutError:
            raise UpstreamUnreachable(
                "Another request with the same id is under way; nothing was sent."
            ) from None
        if asked in self._withdrawn:
            raise UpstreamUnreachable("The client cancelled it before it was sent.")

    def add(self, asked: Id, entry: Asked) -> None:
        self._asked[asked] = entry

    def take(self, asked: object) -> Asked | None:
        """Return who asked this, and take it off; None where nobody did."""
        entry = self._asked.pop(asked, None) if is_id(asked) else None
        if entry is not None:
            self._freed.set()
        return entry

    def forget(self, asked: Id, entry: Asked) -> None:
        if self.has(asked, entry):
            del self._asked[asked]
            self._freed.set()

    async def fail(self, asked: object) -> bool:
        """Tell who asked this that no answer comes; say whether somebody did."""
        entry = self.take(asked)
        if entry is None:
            return False
        await entry.answered(None)
        return True

    async def end(self) -> None:
        """Nothing comes any more: everybody who waits is told."""
        while self._asked:
            _, entry = self._asked.popitem()
            await entry.answered(None)
        self._freed.set()

    def withdraw(self, asked: Id) -> Asked | None:
        """The client cancelled a request: what has not been sent never is.

        Returns what only the client waited for, and is forgotten by this.
        """
        entry = self._asked.get(asked)
        if entry is None:
            self._withdrawn.add(asked)
            return None
        if entry.clock is not None:
            entry.clock.reschedule(asyncio.get_running_loop().time() + CANCELLED_SECONDS)
            return None
        self.forget(asked, entry)
        return entry

    def settled(self, asked: Id) -> None:
        """The client's request has been answered: its id may come again."""
        self._withdrawn.discard(asked)

    def heard(self) -> None:
        """The client and the server talk with each other: no call is silent."""
        for entry in self._asked.values():
            self._renew(entry)

    def note(self, document: Document) -> None:
        """A call whose server reports progress, or asks for something, is not silent."""
        if "id" in document:
            self.heard()
        elif document["method"] == _PROGRESS:
            token = _mapping(document.get("params")).get("progressToken")
            for entry in self._asked.values():
                if token is not None and entry.token == token:
                    self._renew(entry)

    def _renew(self, entry: Asked) -> None:
        if entry.clock is not None and not entry.clock.expired():
            entry.clock.reschedule(asyncio.get_running_loop().time() + self._patience)


def is_id(given: object) -> TypeGuard[Id]:
    return isinstance(given, str | int) and not isinstance(given, bool)


def token_of(request: Document) -> Id | None:
    """Return the token under which a request is told of progress."""
    token = _mapping(_mapping(request.get("params")).get("_meta")).get("progressToken")
    return token if is_id(token) else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
