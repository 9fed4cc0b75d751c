"""API keys, kept in the store as keyed hashes: `ilk_<kind>_<key id>_<secret>`.

The hash covers the secret and everything that the key grants, with a pepper that is not in the
store: whoever can only write to the store can neither make a key nor widen one. A secret of 256
random bits needs no slow hash.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import json
import re
import secrets
import time
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from ..core.identity import PEOPLE, KeyRecord, Kind, Principal, person_id
from ..ports import Clock
from .connection import patiently

CACHE_SECONDS = 5.0  #: how long a key may still be honoured after another process revoked it
CACHE_SIZE = 10_000  #: records
_KINDS = "|".join(kind.value for kind in Kind)
_KEY = re.compile(rf"ilk_(?P<kind>{_KINDS})_(?P<id>[0-9a-f]{{12}})_(?P<secret>[A-Za-z0-9_-]{{43}})")


@dataclass(frozen=True, slots=True)
class _Known:
    """A record as it was read at `asked` (monotonic s), and what is the same for every check."""

    asked: float
    record: KeyRecord
    granted: hmac.HMAC  #: over all that the key grants; the secret is still to be added
    principal: Principal


_NOBODY = KeyRecord(key_id="", kind=Kind.METRICS, subject="", hash="0" * 64, created=0)


class RedisKeyRing:
    """The key ring in one hash of the store: key id to JSON record. Implements `ports.KeyRing`.

    Records that were found are remembered for `CACHE_SECONDS`, so that a busy key costs no round
    trip. Every method raises StoreUnavailable when the store does not answer in time.
    """

    def __init__(
        self, client: Redis, *, pepper: bytes, clock: Clock, prefix: str = "interlock"
    ) -> None:
        if len(pepper) < 16:
            raise ValueError("a pepper has at least 16 bytes")
        self._client = client
        self._name = "{" + prefix + "}:keys"
        self._pepper = pepper
        self._clock = clock
        self._cache: dict[str, _Known] = {}
        self._revoked: set[str] = set()  #: ids; a restart forgets them
        self._nobody = self._known(_NOBODY, 0.0)

    async def create(
        self, kind: Kind, subject: str, owner: str, groups: tuple[str, ...], expires: int
    ) -> tuple[str, KeyRecord]:
        """Return the key, to be shown once, and its record. `expires` in ms, 0: never."""
        secret = base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()
        record = KeyRecord(
            key_id=secrets.token_hex(6),
            kind=kind,
            subject=subject,
            owner=owner,
            groups=tuple(sorted(set(groups))),
            hash="",
            created=self._clock.now_ms(),
            expires=expires,
        )
        record = dataclasses.replace(record, hash=_finished(self._granted(record), secret))
        await self._write(record)
        return f"ilk_{kind.value}_{record.key_id}_{secret}", record

    async def verify(self, key: str) -> Principal | None:
        """Return whose key this is, or None where it is unknown, expired or revoked."""
        parts = _KEY.fullmatch(key)
        if parts is None:
            return None
        # An unknown id takes the same path, so that time does not tell which ids exist.
        known = await self._found(parts["id"]) or self._nobody
        record = known.record
        genuine = hmac.compare_digest(record.hash, _finished(known.granted, parts["secret"]))
        if not genuine or record.kind.value != parts["kind"] or record.key_id != parts["id"]:
            return None
        if record.revoked or record.key_id in self._revoked:
            return None
        if record.expires and record.expires <= self._clock.now_ms():
            return None
        return known.principal

    async def records(self) -> tuple[KeyRecord, ...]:
        """Return every key's record, oldest first, revoked and expired ones included."""
        found = await patiently(lambda: self._client.hgetall(self._name))
        records = (_decoded(value) for value in found.values())
        known = [record for record in records if record is not None]
        self._note_revoked(*known)
        return tuple(sorted(known, key=lambda record: (record.created, record.key_id)))

    async def revoke(self, key_id: str) -> bool:
        """Revoke a key for good; False where there is none. Elsewhere it may work 5 s longer."""
        self._cache.pop(key_id, None)
        record = await self._fetched(key_id)
        if record is None:
            return False
        if not record.revoked:
            record = dataclasses.replace(record, revoked=self._clock.now_ms())
            await self._write(record)
            self._note_revoked(record)
            self._cache.pop(key_id, None)  # a check may have read it again meanwhile
        return True

    def _granted(self, record: KeyRecord) -> hmac.HMAC:
        granted = _encoded(dataclasses.replace(record, hash="", revoked=0))
        return hmac.new(self._pepper, granted.encode() + b"\n", hashlib.sha256)

    def _known(self, record: KeyRecord, asked: float) -> _Known:
        principal = Principal(
            kind=record.kind,
            id=person_id(record.subject) if record.kind in PEOPLE else record.subject,
            owner=person_id(record.owner),
            groups=frozenset(record.groups),
            key_id=record.key_id,
        )
        return _Known(asked, record, self._granted(record), principal)

    async def _found(self, key_id: str) -> _Known | None:
        cached = self._cache.get(key_id)
        if cached is not None and time.monotonic() - cached.asked < CACHE_SECONDS:
            return cached
        asked = time.monotonic()
        record = await self._fetched(key_id)
        self._cache.pop(key_id, None)
        if record is None:
            return None
        while len(self._cache) >= CACHE_SIZE:
            del self._cache[next(iter(self._cache))]
        known = self._cache[key_id] = self._known(record, asked)
        return known

    async def _fetched(self, key_id: str) -> KeyRecord | None:
        value = await patiently(lambda: self._client.hget(self._name, key_id))
        record = None if value is None else _decoded(value)
        if record is not None:
            self._note_revoked(record)
        return record

    def _note_revoked(self, *records: KeyRecord) -> None:
        """Remember who was revoked: whoever can write to the store could take that back."""
        self._revoked.update(each.key_id for each in records if each.revoked)

    async def _write(self, record: KeyRecord) -> None:
        value = _encoded(record)
        await patiently(lambda: self._client.hset(self._name, record.key_id, value))


def _finished(granted: hmac.HMAC, secret: str) -> str:
    mac = granted.copy()
    mac.update(secret.encode())
    return mac.hexdigest()


def _encoded(record: KeyRecord) -> str:
    return json.dumps(
        dataclasses.asdict(record) | {"kind": record.kind.value},
        sort_keys=True,
        separators=(",", ":"),
    )


def _decoded(value: bytes | str) -> KeyRecord | None:
    """Read a record; one that is not ours to read grants nothing."""
    try:
        fields: dict[str, Any] = json.loads(value)
        record = KeyRecord(
            **fields | {"kind": Kind(fields["kind"]), "groups": tuple(fields["groups"])}
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    texts = (record.key_id, record.subject, record.owner, record.hash, *record.groups)
    times = (record.created, record.expires, record.revoked)
    sound = all(type(text) is str for text in texts) and all(type(at) is int for at in times)
    return record if sound and record.hash.isascii() else None
