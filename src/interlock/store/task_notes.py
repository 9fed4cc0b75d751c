"""Notes on tasks: ports.TaskNotes on Redis or Valkey, one compare-and-set for each.

A note decides what is sent next in the name of its agent, so it carries a MAC over agent, task,
version and content, with a key that is not in the store.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from typing import cast

from redis.asyncio import Redis

from ..core.errors import CallTooLarge, QueueFull, StoreUnavailable
from ..mcp_ports import TaskNote
from .connection import patiently
from .lua import Script

LONGEST = 512 * 1024  #: bytes of one note
MOST = 1000  #: notes of one agent at any time


class RedisTaskNotes:
    """Implements `ports.TaskNotes`. *most*: notes of one agent."""

    def __init__(
        self, client: Redis, *, key: bytes, prefix: str = "interlock", most: int = MOST
    ) -> None:
        if len(key) < 16:
            raise ValueError("the key of notes has at least 16 bytes")
        self._client = client
        self._prefix = "{" + prefix + "}"
        self._key = key
        self._most = most
        self._script = Script("task_notes")

    async def get(self, agent_id: str, task: str) -> TaskNote:
        now, version, content, mac = await self._run(task)
        note = TaskNote(version=int(version), content=content, now=int(now))
        if note.version == 0:
            return note
        expected = self._mac(agent_id, task, note.version, content)
        if not hmac.compare_digest(expected.encode(), mac):
            raise StoreUnavailable(
                "The note of this task was changed outside Interlock; it is not followed."
            )
        return note

    async def put(
        self, agent_id: str, task: str, content: bytes, *, version: int, keep_ms: int
    ) -> bool:
        if len(content) > LONGEST:
            raise CallTooLarge(
                f"What has to be kept of this task has {len(content)} bytes; at most {LONGEST} are"
                " kept."
            )
        mac = self._mac(agent_id, task, version + 1, content)
        said = (task, agent_id, version, content, mac, max(keep_ms, 1))
        _, outcome = await self._run(*said, secrets.token_hex(8), self._most)
        if outcome == b"FULL":
            raise QueueFull(
                f"This agent has {self._most} tasks already, or keeps too much; no more are taken"
                " until some of them end."
            )
        return outcome == b"OK"

    async def _run(self, *arguments: str | bytes | int) -> list[bytes]:
        answer = await patiently(lambda: self._script(self._client, self._prefix, *arguments))
        return cast(list[bytes], answer)

    def _mac(self, agent_id: str, task: str, version: int, content: bytes) -> str:
        said = json.dumps(["interlock-task-1", agent_id, task, version]).encode()
        return hmac.new(self._key, said + b"\0" + content, hashlib.sha256).hexdigest()
