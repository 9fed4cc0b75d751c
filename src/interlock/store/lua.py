"""The Lua that guards every transition, and how it is sent: many operations in one call."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import Any, TypeAlias, cast

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from .connection import Lane

Client: TypeAlias = Redis | Lane


class Script:
    """One script with its prelude; loaded again when the store forgot it (restart, failover)."""

    def __init__(self, name: str) -> None:
        self.source = source(name)
        self._sha = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()

    async def __call__(self, client: Client, prefix: str, *args: str | bytes | int) -> list[object]:
        try:
            return await self._run(client, prefix, *args)
        except NoScriptError:
            await client.script_load(self.source)
            return await self._run(client, prefix, *args)

    async def _run(self, client: Client, prefix: str, *args: str | bytes | int) -> list[object]:
        answer: Any = client.evalsha(self._sha, 1, prefix, *args)
        return cast(list[object], await answer)


def packed(*fields: str | bytes | int) -> bytes:
    """Return one operation as one argument: every field behind its length (4 bytes, big endian)."""
    parts: list[bytes] = []
    for field in fields:
        data = field if type(field) is bytes else str(field).encode()
        parts.append(len(data).to_bytes(4, "big"))
        parts.append(data)
    return b"".join(parts)


def source(name: str) -> str:
    """Return the text of `scripts/<name>.lua` behind what the scripts share."""
    folder = resources.files(__package__) / "scripts"
    texts = (folder / f"{part}.lua" for part in ("base", "effects", "prelude", name))
    return "".join(text.read_text(encoding="utf-8") for text in texts)
