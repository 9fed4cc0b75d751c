"""What is known of the past, and what people left for the future: facts, tasks, grants, reminders.

Part of RedisStore; every answer is one script call, and facts asked for at the same time share it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Any, cast

from redis.asyncio import Redis

from ..core.counting import session_key
from ..core.errors import CallTooLarge, QueueFull, StoreUnavailable
from ..core.facts import NO_FACTS, Facts, Grant, Needs
from .batch import Batch
from .codec import DAMAGED
from .effects import decode_facts, decode_grant, encode_grant, encode_needs, word
from .lua import Script

LONGEST_TASK = 16_384  #: bytes of UTF-8 of a user's request


class Past:
    """The rest of ports.Store. `ask` runs a command and translates its errors."""

    def __init__(self, client: Redis, prefix: str, ask: Callable[..., Any], tasks: int) -> None:
        self._client = client
        self._prefix = prefix
        self._ask = ask
        self._tasks = tasks
        self._facts, self._grants = Script("facts"), Script("grants")
        self._remind, self._oldest = Script("remind"), Script("oldest")
        self._task = Script("task")
        self._batch = Batch(self._fetch)

    async def close(self) -> None:
        await self._batch.close()

    async def facts(self, needs: Needs) -> Facts:
        if not needs:
            return NO_FACTS
        row = await self._batch.write(encode_needs(needs).encode())
        try:
            return decode_facts(needs, row)
        except DAMAGED as error:
            raise StoreUnavailable(
                f"What the store knows of earlier calls is damaged ({error!r}); nothing was sent."
            ) from error

    async def _fetch(self, group: Sequence[bytes]) -> list[list[bytes]]:
        return cast(list[list[bytes]], await self._run(self._facts, *group))

    async def _run(self, script: Script, *arguments: str | bytes | int) -> list[Any]:
        answer = await self._ask(lambda: script(self._client, self._prefix, *arguments))
        return cast(list[Any], answer)

    async def state_task(self, agent_id: str, session: str, task: str, keep_ms: int) -> None:
        said = task.encode("utf-8", "surrogatepass")
        if len(said) > LONGEST_TASK:
            raise CallTooLarge(
                f"The task has {len(said)} bytes; at most {LONGEST_TASK} are kept. Send the"
                " user's request alone, without documents."
            )
        session = session_key(agent_id, session)
        kept = await self._run(self._task, agent_id, session, said, max(keep_ms, 1), self._tasks)
        if not kept:
            raise QueueFull(
                f"The requests of {self._tasks} sessions of this agent are kept already; this one"
                " was not kept. Use one of those sessions again, or wait until one of them ends."
            )

    async def give(self, grant: Grant) -> None:
        said = (word(grant.key), word(grant.id), encode_grant(grant))
        await self._run(self._grants, "give", *said, grant.uses, grant.expires, grant.created)

    async def grants(self, limit: int) -> tuple[Grant, ...]:
        return self._read(await self._run(self._grants, "list", limit))

    async def take_back(self, grant_id: str) -> Grant | None:
        ended = self._read(await self._run(self._grants, "take", grant_id, secrets.token_hex(8)))
        return ended[0] if ended else None

    def _read(self, rows: Sequence[Sequence[bytes]]) -> tuple[Grant, ...]:
        """Read what can be read: one damaged grant must not hide the others from people."""
        found = []
        for said, used in rows:
            try:
                found.append(decode_grant(said, used))
            except DAMAGED:
                continue
        return tuple(found)

    async def oldest(self) -> int:
        created = await self._ask(lambda: self._oldest(self._client, self._prefix))
        return int(created)

    async def remind(self, limit: int) -> tuple[str, ...]:
        ids = await self._run(self._remind, secrets.token_hex(8), limit)
        return tuple(name.decode() for name in ids)
