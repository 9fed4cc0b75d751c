"""What channels remember of calls, such as which message is about one: short texts that lapse."""

from __future__ import annotations

from redis.asyncio import Redis

from .connection import patiently


class RedisChannelNotes:
    """One key for each note. Raises StoreUnavailable when the store does not answer in time.

    Nothing is decided by a note, so it carries no MAC: a changed one spoils a message at worst.
    """

    def __init__(self, client: Redis, *, prefix: str = "interlock") -> None:
        self._client = client
        self._prefix = "{" + prefix + "}"

    async def note(self, channel: str, action_id: str, text: str, keep_ms: int) -> None:
        """Keep *text* in place of what was noted before, for *keep_ms*."""
        key = self._key(channel, action_id)
        await patiently(lambda: self._client.set(key, text.encode(), px=keep_ms))

    async def noted(self, channel: str, action_id: str) -> str:
        """Return what was noted last, or an empty text."""
        key = self._key(channel, action_id)
        found = await patiently(lambda: self._client.get(key))
        return found.decode("utf-8", "replace") if isinstance(found, bytes) else ""

    def _key(self, channel: str, action_id: str) -> str:
        return f"{self._prefix}:said:{channel}:{action_id}"
