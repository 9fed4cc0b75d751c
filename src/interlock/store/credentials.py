"""Security keys and passkeys of people, and what they were asked to sign: ports.Authenticators.

Records and questions carry a MAC with a key that is not in the store: who can only write to the
store adds no authenticator for anybody, and asks nobody to sign anything.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import json
import logging
import secrets
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, cast

from redis.asyncio import Redis

from ..core.errors import TooMany
from ..core.redaction import visible_line
from ..people_ports import Added, Authenticator, Challenge
from .connection import patiently
from .lua import Script

LASTS_MS = 300_000  #: how long a question may be answered
MOST = 20  #: authenticators of one person
ASKED = 1000  #: open questions to one person
IN_SESSION = 100  #: of them asked for in one session: whoever has its cookie leaves room elsewhere

audit = logging.getLogger("interlock.audit")


class RedisAuthenticators:
    """Implements `ports.Authenticators`. *lasts_ms*: how long a question may be answered."""

    def __init__(
        self,
        client: Redis,
        *,
        key: bytes,
        prefix: str = "interlock",
        most: int = MOST,
        lasts_ms: int = LASTS_MS,
    ) -> None:
        if len(key) < 16:
            raise ValueError("the key of authenticators has at least 16 bytes")
        self._client = client
        self._prefix = "{" + prefix + "}"
        self._key = key
        self._most = most
        self._lasts_ms = lasts_ms
        self._script = Script("authenticators")
        self._gone: set[tuple[str, str]] = set()  #: person and id; people remove few

    async def of(self, person: str) -> tuple[Authenticator, ...]:
        """Return those of *person*, oldest first; what is not our record is logged and left out.

        So is what was removed and put back, unless the note of its removal is gone as well and
        this process has not read it.
        """
        found, removed = await patiently(lambda: self._both(person))
        read = [self._read(person, id_, value) for id_, value in found.items()]
        self._note_removed(person, removed)
        kept = [each for each in read if each is not None and self._there(person, each.id)]
        return tuple(sorted(kept, key=lambda each: (each.created, each.id)))

    async def _both(self, person: str) -> list[dict[bytes, bytes]]:
        async with self._client.pipeline(transaction=True) as batch:
            batch.hgetall(f"{self._prefix}:authn:{person}")
            batch.hgetall(f"{self._prefix}:authn-gone:{person}")
            return list(await batch.execute())

    def _note_removed(self, person: str, removed: Mapping[bytes, bytes]) -> None:
        for value in removed.values():
            said = self._opened("gone", value)
            if said is not None and said["person"] == person:
                self._gone.add((person, said["id"]))

    def _there(self, person: str, id_: str) -> bool:
        gone = (person, id_) in self._gone
        if gone:
            told = (visible_line(person), visible_line(id_))
            audit.warning("authenticator put back person=%s id=%s: it is ignored", *told)
        return not gone

    async def add(self, made: Authenticator, *, first: bool) -> Added:
        given = self._written(made)
        outcome = await self._run("add", made, given, "1" if first else "0", self._most)
        if outcome == b"FULL":
            raise TooMany(f"You have {self._most} authenticators; remove one first.")
        return Added(outcome.decode())

    async def signed(self, before: Authenticator, after: Authenticator) -> bool:
        outcome = await self._run("replace", before, self._written(before), self._written(after))
        return outcome == b"OK"

    async def remove(self, which: Authenticator, at: int) -> bool:
        gone = self._sealed("gone", dataclasses.asdict(which) | {"removed": at})
        removed = await self._run("remove", which, self._written(which), gone) == b"OK"
        if removed:
            self._gone.add((which.person, which.id))
        return removed

    async def forget(self, person: str, at: int) -> tuple[Authenticator, ...]:
        """Take all of *person* away, also what is not ours; return those that were genuine."""
        gone = await self.of(person)
        for each in gone:
            await self.remove(each, at)
        await patiently(lambda: self._client.delete(f"{self._prefix}:authn:{person}"))
        return gone

    async def ask(self, person: str, subject: Sequence[str], *, session: str = "") -> Challenge:
        name, nonce = secrets.token_urlsafe(24), secrets.token_bytes(32)
        now = await self._now()
        expires = now + self._lasts_ms
        places = self._places(person, session)
        await self._take_place(places, name, now, expires)
        said = {"id": name, "nonce": nonce, "subject": list(subject), "expires": expires}
        sealed = self._sealed("challenge", said | {"person": person, "session": session})
        lasts = max(self._lasts_ms, 1)
        await patiently(lambda: self._client.set(self._asked(name), sealed, px=lasts))
        return Challenge(id=name, nonce=nonce, subject=tuple(subject), expires=expires)

    async def take(self, challenge_id: str) -> Challenge | None:
        value = await patiently(lambda: self._client.getdel(self._asked(challenge_id)))
        said = self._opened("challenge", value) if value is not None else None
        if said is None or said["id"] != challenge_id:
            return None
        await self._free(self._places(said["person"], said["session"]), challenge_id)
        if said["expires"] <= await self._now():
            return None
        return Challenge(
            id=challenge_id,
            nonce=_bytes(said["nonce"]),
            subject=tuple(said["subject"]),
            expires=said["expires"],
        )

    def _places(self, person: str, session: str) -> tuple[tuple[str, int], ...]:
        """Return where open questions are counted, and how many there may be."""
        own = f"{self._prefix}:asking:{person}"
        return ((f"{own} {session}", IN_SESSION), (own, ASKED))  # no id has a space in it

    async def _take_place(
        self, places: Sequence[tuple[str, int]], name: str, now: int, expires: int
    ) -> None:
        """Raise TooMany where a session, or a person, has too many open questions."""

        async def count() -> list[Any]:
            async with self._client.pipeline(transaction=True) as batch:
                for place, _ in places:
                    batch.zremrangebyscore(place, "-inf", now)
                    batch.zadd(place, {name: expires})
                    batch.pexpire(place, LASTS_MS)
                    batch.zcard(place)
                return list(await batch.execute())[3::4]

        counts = await patiently(count)
        if any(is_ > most for is_, (_, most) in zip(counts, places, strict=True)):
            await self._free(places, name)
            raise TooMany(
                "Very many signatures were asked for here and not given: wait five minutes, or"
                " sign out and in again. If that was not you, somebody has your session: choose"
                " *Sign out everywhere* at /me."
            )

    async def _free(self, places: Sequence[tuple[str, int]], name: str) -> None:
        """Let another question be asked in the place of one that is used up."""
        for place, _ in places:
            await patiently(partial(self._client.zrem, place, name))

    async def _now(self) -> int:
        seconds, micros = await patiently(lambda: self._client.time())
        return int(seconds) * 1000 + int(micros) // 1000

    def _asked(self, challenge_id: str) -> str:
        return f"{self._prefix}:asked:{challenge_id}"

    async def _run(self, what: str, whose: Authenticator, *more: str | int) -> bytes:
        said = (what, whose.person, whose.id, *more)
        answer: Any = await patiently(lambda: self._script(self._client, self._prefix, *said))
        return cast(bytes, answer)

    def _read(self, person: str, id_: bytes | str, value: bytes | str) -> Authenticator | None:
        said = self._opened("authenticator", value)
        name = id_ if isinstance(id_, str) else id_.decode("utf-8", "replace")
        if said is None or (said["person"], said["id"]) != (person, name):
            told = (visible_line(person), visible_line(name))
            audit.warning("authenticator not genuine person=%s id=%s: it is ignored", *told)
            return None
        key, transports = _bytes(said["public_key"]), tuple(said["transports"])
        return Authenticator(**said | {"public_key": key, "transports": transports})

    def _written(self, record: Authenticator) -> str:
        return self._sealed("authenticator", dataclasses.asdict(record))

    def _sealed(self, what: str, said: dict[str, Any]) -> str:
        text = _canonical(said)
        return json.dumps([text, self._mac(what, text)], separators=(",", ":"))

    def _opened(self, what: str, value: bytes | str) -> dict[str, Any] | None:
        """Return what was sealed; None: it is not what we wrote, or of another kind."""
        try:
            text, mac = json.loads(value)
            genuine = hmac.compare_digest(mac.encode(), self._mac(what, text).encode())
        except (ValueError, TypeError, AttributeError, RecursionError):
            return None
        return cast(dict[str, Any], json.loads(text)) if genuine else None

    def _mac(self, what: str, text: str) -> str:
        said = f"interlock-{what}-1\0{text}".encode()
        return hmac.new(self._key, said, hashlib.sha256).hexdigest()


def _canonical(said: dict[str, Any]) -> str:
    return json.dumps(said, sort_keys=True, separators=(",", ":"), default=_text)


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text)
