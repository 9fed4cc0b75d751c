"""Which secret made this store: one string, {p}:secret, a MAC that the same secret makes again.

It tells a wrong secret from somebody who writes to the store; whoever can write to the store can
change it too, so nothing is decided by it but whether a process starts.
"""

from __future__ import annotations

import hmac

from redis.asyncio import Redis

from .connection import patiently

_SAID = b"interlock: made with this secret"


class RedisSameSecret:
    """*key*: derived from the installation's secret, for nothing else."""

    def __init__(self, client: Redis, *, key: bytes, prefix: str = "interlock") -> None:
        self._client = client
        self._key = "{" + prefix + "}:secret"
        self._made = hmac.new(key, _SAID, "sha256").hexdigest().encode()

    async def fits(self) -> bool:
        """Say whether the secret is the one that made the store, or nobody's yet.

        Raises:
            StoreUnavailable: the store does not answer.
        """
        kept = await patiently(lambda: self._client.get(self._key))
        if kept is None:
            return True
        return hmac.compare_digest(kept.encode() if isinstance(kept, str) else kept, self._made)

    async def keep(self) -> bool:
        """Have the secret be the store's, where none is yet; say whether it `fits`."""
        await patiently(lambda: self._client.set(self._key, self._made, nx=True))
        return await self.fits()

    async def replace(self) -> None:
        """Have the secret be the store's from now on, whatever made it."""
        await patiently(lambda: self._client.set(self._key, self._made))
