"""People's sessions: ports.SignIns on Redis or Valkey, shared by every process.

A session is kept under the SHA-256 of its cookie, so that reading the store signs nobody in; and
with a MAC over its name and content, by a key that is not in the store, so that writing to it does
not either. What is read is remembered for `CACHE_SECONDS`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from typing import Any, cast

from redis.asyncio import Redis

from ..core.identity import Kind
from ..people_ports import SignedIn
from ..ports import Clock
from .connection import patiently

CACHE_SECONDS = 2.0  #: how long a session may still be honoured that another process ended
CACHE_SIZE = 10_000
MOST = 10_000  #: sessions at a time; the ones that end first go first
NOTED_MS = 60_000  #: uses are written down at most this often
_Scored = list[tuple[bytes, float]]
_KINDS = frozenset({Kind.APPROVER, Kind.ADMIN, Kind.AUDITOR})


@dataclass(frozen=True, slots=True)
class _Known:
    asked: float  #: monotonic seconds
    who: SignedIn


class RedisSignIns:
    """Implements `ports.SignIns`. *idle_ms*: a session that is not used for so long ends."""

    def __init__(
        self,
        client: Redis,
        *,
        key: bytes,
        clock: Clock,
        idle_ms: int,
        prefix: str = "interlock",
        cache_seconds: float = CACHE_SECONDS,
    ) -> None:
        if len(key) < 16:
            raise ValueError("the key of sessions has at least 16 bytes")
        self._client = client
        self._key = key
        self._clock = clock
        self._idle_ms = idle_ms
        self._prefix = "{" + prefix + "}"
        self._index = f"{self._prefix}:sessions"  # `name person` by when it ends
        self._cache_seconds = cache_seconds
        self._cache: dict[str, _Known] = {}
        self._ended: dict[str, None] = {}  #: here: one that is put back stays ended

    async def keep(self, name: str, who: SignedIn) -> None:
        value, left, now = self._sealed(name, who), self._left(who), self._clock.now_ms()
        entry = f"{name} {who.person}"
        self._ended.pop(name, None)

        async def write() -> None:
            async with self._client.pipeline(transaction=True) as batch:
                batch.set(self._at(name), value, px=left)
                batch.zremrangebyscore(self._index, "-inf", now)
                batch.zadd(self._index, {entry: who.ends})
                await batch.execute()

        await patiently(write)
        await self._bound()

    async def get(self, name: str) -> SignedIn | None:
        known = self._cache.get(name)
        if known is None or self._stale(known):
            known = await self._read(name)
        if known is None or name in self._ended or not self._valid(known.who):
            self._cache.pop(name, None)
            return None
        return known.who

    async def end(self, name: str) -> None:
        self._forget(name)
        await patiently(lambda: self._client.delete(self._at(name)))
        self._cache.pop(name, None)  # a check may have read it again meanwhile

    async def end_all(self, person: str) -> int:
        names = [name for name, whose in await self._entries() if whose == person]
        if not names:
            return 0
        for name in names:
            self._forget(name)
        count = await patiently(lambda: self._client.delete(*map(self._at, names)))
        entries = [f"{name} {person}" for name in names]
        await patiently(lambda: self._client.zrem(self._index, *entries))
        for name in names:
            self._cache.pop(name, None)
        return int(count)

    def _forget(self, name: str) -> None:
        self._cache.pop(name, None)
        while len(self._ended) >= CACHE_SIZE:
            del self._ended[next(iter(self._ended))]
        self._ended[name] = None

    async def listed(self) -> tuple[SignedIn, ...]:
        names = [name for name, _ in await self._entries()]
        if not names:
            return ()
        values = await patiently(lambda: self._client.mget([self._at(name) for name in names]))
        opened = (self._opened(name, value) for name, value in zip(names, values, strict=True))
        return tuple(who for who in opened if who is not None and self._valid(who))

    async def once(self, name: str, keep_ms: int) -> bool:
        key = f"{self._prefix}:once:{name}"
        return bool(await patiently(lambda: self._client.set(key, b"", nx=True, px=keep_ms)))

    async def _read(self, name: str) -> _Known | None:
        asked = time.monotonic()
        value = await patiently(lambda: self._client.get(self._at(name)))
        who = self._opened(name, value)
        if who is None or not self._valid(who):
            return None
        if self._to_note(who):
            who = dataclasses.replace(who, used=self._clock.now_ms())
            sealed, left = self._sealed(name, who), self._left(who)
            # only where it is still there: one that was ended meanwhile stays ended
            await patiently(lambda: self._client.set(self._at(name), sealed, xx=True, px=left))
        while len(self._cache) >= CACHE_SIZE:
            del self._cache[next(iter(self._cache))]
        known = self._cache[name] = _Known(asked, who)
        return known

    async def _bound(self) -> None:
        excess = int(await patiently(lambda: self._client.zcard(self._index))) - MOST
        if excess > 0:
            gone = await patiently(lambda: self._client.zpopmin(self._index, excess))
            names = [entry.decode().partition(" ")[0] for entry, _ in cast(_Scored, gone)]
            await patiently(lambda: self._client.delete(*map(self._at, names)))

    async def _entries(self) -> list[tuple[str, str]]:
        found = await patiently(lambda: self._client.zrange(self._index, 0, -1))
        parts = (entry.decode().partition(" ") for entry in cast(list[bytes], found))
        return [(name, person) for name, _, person in parts]

    def _stale(self, known: _Known) -> bool:
        old = time.monotonic() - known.asked >= self._cache_seconds
        return old or self._to_note(known.who)

    def _to_note(self, who: SignedIn) -> bool:
        return self._clock.now_ms() - who.used >= min(NOTED_MS, self._idle_ms // 2)

    def _valid(self, who: SignedIn) -> bool:
        now = self._clock.now_ms()
        return now < who.ends and now - who.used < self._idle_ms

    def _left(self, who: SignedIn) -> int:
        return max(1, min(self._idle_ms, who.ends - self._clock.now_ms()))

    def _at(self, name: str) -> str:
        return f"{self._prefix}:session:{name}"

    def _sealed(self, name: str, who: SignedIn) -> bytes:
        said = dataclasses.asdict(who) | {
            "kind": who.kind.value,
            "kinds": [kind.value for kind in who.kinds],
        }
        content = json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
        return self._mac(name, content).encode() + content

    def _opened(self, name: str, value: bytes | str | None) -> SignedIn | None:
        """Return the session in *value*; None where it is not one that we wrote."""
        if not isinstance(value, bytes):
            return None
        mac, content = value[:64], value[64:]
        if not hmac.compare_digest(mac, self._mac(name, content).encode()):
            return None
        said: dict[str, Any] = json.loads(content)
        who = SignedIn(
            **said
            | {
                "kind": Kind(said["kind"]),
                "groups": tuple(said["groups"]),
                "kinds": tuple(map(Kind, said["kinds"])),
            }
        )
        return who if who.kind in _KINDS else None

    def _mac(self, name: str, content: bytes) -> str:
        said = json.dumps(["interlock-session-1", name]).encode()
        return hmac.new(self._key, said + b"\0" + content, hashlib.sha256).hexdigest()
