"""What is remembered of practice: when it was last, what was shown again, how people did.

Nothing is decided by it, so it carries no MAC: who can write to the store can spoil figures.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import cast

from redis.asyncio import Redis

from ..core.practice import KEPT_MS, Figures, Practised
from .connection import patiently

PEOPLE = 500  #: of whom figures are kept: those who practised last
EACH = 1000  #: practice calls of one person that are kept, the latest


class RedisPractice:
    """Implements `practising.Book`. Raises StoreUnavailable when the store does not answer."""

    def __init__(self, client: Redis, *, prefix: str = "interlock") -> None:
        self._client = client
        self._prefix = "{" + prefix + "}:practice"

    async def take_turn(self, gap_ms: int) -> bool:
        """Say whether a practice call may be planted now: once in *gap_ms*, by all processes."""
        key = f"{self._prefix}:turn"
        return bool(await patiently(lambda: self._client.set(key, b"1", nx=True, px=gap_ms)))

    async def shown(self, ids: Sequence[str]) -> frozenset[str]:
        """Return which of the rejected calls *ids* were shown again lately."""
        if not ids:
            return frozenset()
        keys = [f"{self._prefix}:of:{each}" for each in ids]
        found = await patiently(lambda: self._client.mget(keys))
        return frozenset(each for each, value in zip(ids, found, strict=True) if value)

    async def show(self, action_id: str) -> None:
        """Note that a rejected call is shown again now."""
        key = f"{self._prefix}:of:{action_id}"
        await patiently(lambda: self._client.set(key, b"1", px=KEPT_MS))

    async def note(self, person: str, action_id: str, ended: Practised, at: int) -> None:
        """Keep how *person* ended a practice call; the same call counts once."""
        own, people = self._own(person), f"{self._prefix}:people"
        said = f"{action_id} {ended.value}".encode()

        async def write() -> None:
            async with self._client.pipeline(transaction=True) as both:
                both.zadd(own, {said: at})
                both.zremrangebyscore(own, "-inf", f"({at - KEPT_MS}")
                both.zremrangebyrank(own, 0, -EACH - 1)
                both.pexpire(own, KEPT_MS)
                both.zadd(people, {person.encode("utf-8", "surrogatepass"): at})
                both.zremrangebyscore(people, "-inf", f"({at - KEPT_MS}")
                both.zremrangebyrank(people, 0, -PEOPLE - 1)
                await both.execute()

        await patiently(write)

    async def people(self, now: int) -> tuple[str, ...]:
        """Return who practised in the last 30 days, by name."""
        found = await self._since(f"{self._prefix}:people", now)
        return tuple(sorted(each.decode("utf-8", "surrogatepass") for each in found))

    async def figures(self, people: Sequence[str], now: int) -> tuple[Figures, ...]:
        """Return what each of *people* made of practice calls in the last 30 days."""
        made = []
        for person in people:
            rows = await self._since(self._own(person), now)
            ends = [row.decode("utf-8", "replace").partition(" ")[2] for row in rows]
            made.append(
                Figures(
                    person=person,
                    caught=ends.count(Practised.CAUGHT.value),
                    missed=ends.count(Practised.MISSED.value),
                )
            )
        return tuple(made)

    async def _since(self, key: str, now: int) -> list[bytes]:
        found = await patiently(lambda: self._client.zrangebyscore(key, now - KEPT_MS, "+inf"))
        return cast(list[bytes], found)

    def _own(self, person: str) -> str:
        name = hashlib.sha256(person.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        return f"{self._prefix}:by:{name}"
