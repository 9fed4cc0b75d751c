"""Models of agents' confidence for every process: one value, {p}:calibration, sealed.

It is a MAC (HMAC-SHA256 over the key's name and what follows) and deflated JSON. Whoever can only
write to the store can take models away, or put earlier ones back for a while; they make none.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import zlib
from typing import cast

from redis.asyncio import Redis

from ..core.calibration import pack_models, unpack_models
from ..learning import Fitted, Refused
from .connection import patiently

LARGEST = 4 * 1024 * 1024  #: bytes that are kept
INFLATED = 32 * 1024 * 1024  #: bytes of JSON
VERSION = 1
_MAC = 32  #: bytes


class RedisCalibration:
    """Implements `learning.Calibrations`. *key*: 32 bytes that are not in the store."""

    def __init__(self, client: Redis, *, key: bytes, prefix: str = "interlock") -> None:
        if len(key) < 16:
            raise ValueError("the key of calibration has at least 16 bytes")
        self._client = client
        self._name = "{" + prefix + "}:calibration"
        self._key = key

    async def mark(self) -> bytes:
        """Return the MAC of what is kept, unproven; empty: nothing is. Raises StoreUnavailable."""
        name = self._name
        return cast(bytes, await patiently(lambda: self._client.getrange(name, 0, _MAC - 1)))

    async def read(self) -> Fitted | Refused | None:
        """Return what is kept, why it is refused, or None. Raises StoreUnavailable."""
        name = self._name
        data = cast(bytes, await patiently(lambda: self._client.getrange(name, 0, LARGEST)))
        if not data:
            return None
        if len(data) > LARGEST:
            return Refused.LARGE
        return await asyncio.to_thread(self._opened, data)

    async def write(self, fitted: Fitted) -> None:
        """Keep *fitted* in place of what was kept.

        Raises:
            StoreUnavailable: it was not kept.
            ValueError: it is larger than what is read.
        """
        sealed = await asyncio.to_thread(self._sealed, fitted)
        await patiently(lambda: self._client.set(self._name, sealed))

    def _sealed(self, fitted: Fitted) -> bytes:
        said = {
            "v": VERSION,
            "at": fitted.at,
            "labels": fitted.labels,
            "newest": fitted.newest,
            "models": pack_models(fitted.models),
        }
        text = json.dumps(said, separators=(",", ":")).encode()
        data = zlib.compress(text)
        if len(data) + _MAC > LARGEST or len(text) > INFLATED:
            raise ValueError(f"models of {len(text)} bytes; at most {INFLATED} are kept")
        return self._mac(data) + data

    def _opened(self, sealed: bytes) -> Fitted | Refused:
        mac, data = sealed[:_MAC], sealed[_MAC:]
        if not hmac.compare_digest(mac, self._mac(data)):
            return Refused.FORGED
        try:
            said = json.loads(zlib.decompressobj().decompress(data, INFLATED))
            if said["v"] != VERSION:
                return Refused.VERSION
            return Fitted(
                models=unpack_models(said["models"]),
                at=int(said["at"]),
                labels=int(said["labels"]),
                newest=int(said["newest"]),
            )
        except (zlib.error, ValueError, TypeError, KeyError):  # sealed by us: another version
            return Refused.VERSION

    def _mac(self, data: bytes) -> bytes:
        return hmac.digest(self._key, self._name.encode() + b"\0" + data, "sha256")
