"""Who is signed in: links that work once, and sessions.

Links are kept in this process, sessions in the store (`ports.SignIns`), both under the SHA-256 of
what their bearer shows. What is compared is compared in constant time.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ..core.actions import Reviewer
from ..core.identity import Kind
from ..people_ports import SignedIn, SignIns
from ..ports import Clock

LINK_MS = 900_000  #: how long a sign-in link works
SESSION_MS = 43_200_000  #: how long a session lasts where nothing else is said: 12 hours
_MOST = 10_000  #: links kept at most; the oldest go first


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A signed-in person. `secret` binds CSRF tokens to this session; `expires` in ms.

    `kind`: what they are in this session, of the `kinds` that they may be; `by`: what signed them
    in. The secret is derived from the cookie and from a key: who has but the store has neither.
    """

    person: Reviewer
    kind: Kind
    kinds: tuple[Kind, ...]
    by: str
    secret: bytes = field(repr=False)
    expires: int
    opened: int = 0  #: when the person signed in: ms since the epoch

    def token(self, purpose: str) -> str:
        """Return the CSRF token for *purpose*: HMAC-SHA256, hex."""
        return hmac.new(self.secret, purpose.encode(), hashlib.sha256).hexdigest()

    def permits(self, token: str, purpose: str) -> bool:
        return hmac.compare_digest(token.encode(), self.token(purpose).encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Link:
    person: Reviewer
    expires: int


def deciding(digest: str) -> str:
    """Return the purpose of a token that decides the call with *digest* and no other."""
    return f"decide {digest}"


def undoing(action_id: str) -> str:
    """Return the purpose of a token that undoes the call *action_id* and no other."""
    return f"undo {action_id}"


def auditing(action_id: str) -> str:
    """Return the purpose of a token that judges the call *action_id* afterwards and no other."""
    return f"audit {action_id}"


SIGNING_OUT = "sign out"
SWITCHING = "another role"
REVOKING = "revoke a grant"
AWAY = "be away"
STOPPING = "stop or resume an agent"
TELLING = "retry or drop a notice"


def ending(person: str) -> str:
    """Return the purpose of a token that signs *person* out everywhere."""
    return f"sign out {person}"


class OneTimeLinks:
    """Sign-in links: looking at one changes nothing, redeeming it uses it up."""

    def __init__(self, clock: Clock, people: Iterable[Reviewer] = ()) -> None:
        self._clock = clock
        self._links: dict[bytes, _Link] = {}
        self._people = {each.id: each for each in people}

    def local(self, person: str) -> Reviewer | None:
        """Return the person of this id who may have links, as configured."""
        return self._people.get(person)

    def issue(self, person: Reviewer) -> str:
        """Return the token of a new link for *person*, to be shown once."""
        token = secrets.token_urlsafe(32)
        expires = self._clock.now_ms() + LINK_MS
        _bound(self._links)
        self._links[_hash(token)] = _Link(person=person, expires=expires)
        return token

    def peek(self, token: str) -> Reviewer | None:
        """Return who *token* signs in, without using it: link previews must not."""
        link = self._links.get(_hash(token))
        return link.person if link and self._clock.now_ms() < link.expires else None

    def redeem(self, token: str) -> Reviewer | None:
        """Return who *token* signs in and use it up; None where it is unknown, used or old."""
        link = self._links.pop(_hash(token), None)
        return link.person if link and self._clock.now_ms() < link.expires else None


def _anybody(who: SignedIn) -> bool:
    return True


class Sessions:
    """Who is signed in. A cookie is `<random>.<HMAC of it>`; the store keeps its SHA-256.

    *key*: 32 bytes that are not in the store; what is derived from it says which cookies are ours
    before the store is asked, and makes the CSRF tokens of each. *longest_ms*: when a session ends
    however much it is used. *known*: whether what signed somebody in is still configured so.
    """

    def __init__(
        self,
        kept: SignIns,
        *,
        key: bytes,
        clock: Clock,
        longest_ms: int = SESSION_MS,
        known: Callable[[SignedIn], bool] = _anybody,
    ) -> None:
        self._kept = kept
        self._cookies = _derived(key, b"cookie")
        self._tokens = _derived(key, b"csrf")
        self._clock = clock
        self._known = known
        self.longest_ms = longest_ms

    async def open(
        self,
        person: Reviewer,
        kind: Kind = Kind.APPROVER,
        *,
        kinds: tuple[Kind, ...] = (),
        by: str = "",
    ) -> str:
        """Sign *person* in as *kind*, one of *kinds*; return the value of their cookie."""
        name = secrets.token_urlsafe(32)
        cookie = f"{name}.{self._sign(name)}"
        now = self._clock.now_ms()
        who = SignedIn(
            person=person.id,
            kind=kind,
            groups=tuple(sorted(person.groups)),
            kinds=kinds or (kind,),
            by=by,
            opened=now,
            used=now,
            ends=now + self.longest_ms,
        )
        await self._kept.keep(_name(cookie), who)
        return cookie

    async def switch(self, cookie: str, kind: Kind) -> str | None:
        """Go on as another of the kinds that this person may be; return the new cookie.

        The old one ends; the new one lasts no longer than it would have. None: not allowed.
        """
        who = await self._who(cookie)
        if who is None or kind not in who.kinds:
            return None
        name = secrets.token_urlsafe(32)
        changed = f"{name}.{self._sign(name)}"
        await self.close(cookie)
        await self._kept.keep(_name(changed), dataclasses.replace(who, kind=kind))
        return changed

    async def find(self, cookie: str) -> Session | None:
        """Return the session of *cookie*, or None where there is none (any more)."""
        who = await self._who(cookie)
        if who is None:
            return None
        return Session(
            person=Reviewer(id=who.person, groups=frozenset(who.groups)),
            kind=who.kind,
            kinds=who.kinds,
            by=who.by,
            secret=hmac.new(self._tokens, cookie.encode(), hashlib.sha256).digest(),
            expires=who.ends,
            opened=who.opened,
        )

    async def close(self, cookie: str) -> None:
        """Sign out, everywhere; harmless for a cookie that is not known."""
        if self._ours(cookie):
            await self._kept.end(_name(cookie))

    async def close_all(self, person: str) -> int:
        """Sign a person out of every browser; return how many sessions that were."""
        return await self._kept.end_all(person)

    async def once(self, name: str, keep_ms: int) -> bool:
        """Say whether *name* (SHA-256, hex) is seen for the first time in *keep_ms*."""
        return await self._kept.once(name, keep_ms)

    async def _who(self, cookie: str) -> SignedIn | None:
        who = await self._kept.get(_name(cookie)) if self._ours(cookie) else None
        return who if who is not None and self._known(who) else None

    def _ours(self, cookie: str) -> bool:
        name, _, mac = cookie.partition(".")
        return hmac.compare_digest(mac.encode("utf-8", "replace"), self._sign(name).encode())

    def _sign(self, name: str) -> str:
        said = name.encode("utf-8", "replace")
        return hmac.new(self._cookies, said, hashlib.sha256).hexdigest()


def linked(person: Reviewer) -> str:
    """Return what a session says that was opened by a link to *person*, as configured."""
    groups = " ".join(sorted(person.groups))
    return f"link {hashlib.sha256(f'{person.id} {groups}'.encode()).hexdigest()[:32]}"


def _derived(key: bytes, purpose: bytes) -> bytes:
    return hmac.new(key, b"interlock session " + purpose, hashlib.sha256).digest()


def _name(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def _bound(kept: dict[bytes, _Link]) -> None:
    if len(kept) >= _MOST:
        del kept[next(iter(kept))]
