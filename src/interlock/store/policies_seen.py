"""Which policies came into force lately: one list, {p}:policies, the latest first.

An entry is JSON: name, version, sha256, at (ms), by, host. Nothing is decided by it, so it carries
no MAC: whoever can write to the store can make it say what they like.
"""

from __future__ import annotations

import json
import platform

from redis.asyncio import Redis

from ..core.decisions import PolicyRef
from ..people_ports import PolicySeen
from .codec import DAMAGED
from .connection import patiently

MOST = 50  #: entries that are kept
_LONGEST = 200  #: characters of a name, as it is kept


class RedisPoliciesSeen:
    """See ports.PoliciesSeen. *host*: where this process runs."""

    def __init__(
        self, client: Redis, *, prefix: str = "interlock", host: str = platform.node()
    ) -> None:
        self._client = client
        self._key = "{" + prefix + "}:policies"
        self._host = host

    async def note(self, ref: PolicyRef, by: str) -> None:
        """Note that *ref* decides from now on; nothing where it was the last one already."""
        known = await self.seen()
        if known and known[0].ref.sha256 == ref.sha256:
            return
        seconds, micros = await patiently(lambda: self._client.time())
        said = {
            "name": ref.name[:_LONGEST],
            "version": ref.version,
            "sha256": ref.sha256,
            "at": seconds * 1000 + micros // 1000,
            "by": by,
            "host": self._host[:_LONGEST],
        }
        await patiently(lambda: self._client.lpush(self._key, json.dumps(said)))
        await patiently(lambda: self._client.ltrim(self._key, 0, MOST - 1))

    async def seen(self) -> tuple[PolicySeen, ...]:
        """Return them, the latest first. What cannot be read is left out."""
        rows = await patiently(lambda: self._client.lrange(self._key, 0, MOST - 1))
        found: list[PolicySeen] = []
        for row in rows:
            entry = _entry(row)
            if entry is None:
                continue
            if found and found[-1].ref.sha256 == entry.ref.sha256:
                found.pop()  # two processes noted it at the same moment: the earlier one says when
            found.append(entry)
        return tuple(found)


def _entry(row: bytes | str) -> PolicySeen | None:
    try:
        said = json.loads(row)
        ref = PolicyRef(
            name=str(said["name"]), version=int(said["version"]), sha256=str(said["sha256"])
        )
        return PolicySeen(ref=ref, at=int(said["at"]), by=str(said["by"]), host=str(said["host"]))
    except DAMAGED:
        return None
