"""Looking for calls that were held, among those that are still kept. Part of RedisStore.

{p}:past has them by the moment at which they were settled (or became unknown). Practice calls are
not among them.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

from redis.asyncio import Redis

from ..core.actions import Action, State
from ..core.decisions import Decision
from ..core.errors import MalformedCall
from ..core.wording import masks
from ..ports import Listed, Searched
from .operations import alike, tool_of

MOST = 500  #: records that one answer looks at: the next page goes on behind them
AT_ONCE = 50  #: of them are read together
BRIEF = "st ver rec call call2 digest created changed deadline lapses fence fp owner_nonce"
_APPROVED = (State.APPROVED, State.FORWARDING, State.ANSWERED, State.UNKNOWN)

Read = Callable[[str, Sequence[str]], Awaitable[list[Action]]]


class Searching:
    """`ask` runs a command and translates its errors; `read` reads actions, damaged ones left out.

    What is found comes without the tool's answer.
    """

    def __init__(self, client: Redis, prefix: str, ask: Callable[..., Any], read: Read) -> None:
        self._client = client
        self._prefix = prefix
        self._ask = ask
        self._read = read

    async def search(self, wanted: Searched, cursor: str | None, limit: int) -> Listed:
        """Return what matches, latest first; `next` is None only where there is nothing more.

        A page may be short, or empty: it looks at MOST records at most. `total`: how many there
        are to look through.

        Raises:
            MalformedCall: the cursor is none of ours.
        """
        place = _place(cursor)
        found: list[Action] = []
        total, seen = await self._count(wanted), 0
        while seen < MOST:
            rows = await self._rows(place, wanted.until)
            known = {each.id: each for each in await self._read(BRIEF, [name for name, _ in rows])}
            for name, at in rows:
                if at < wanted.since:
                    return Listed(actions=tuple(found), next=None, total=total)
                seen, place = seen + 1, (at, name)
                if name in known and matches(known[name], wanted):
                    found.append(known[name])
                if len(found) == limit:
                    return Listed(actions=tuple(found), next=f"{at}-{name}", total=total)
            if len(rows) < AT_ONCE:
                return Listed(actions=tuple(found), next=None, total=total)
        following = f"{place[0]}-{place[1]}" if place else None
        return Listed(actions=tuple(found), next=following, total=total)

    async def _count(self, wanted: Searched) -> int:
        until = wanted.until or "+inf"
        return int(
            await self._ask(
                lambda: self._client.zcount(f"{self._prefix}:past", wanted.since, until)
            )
        )

    async def _rows(self, place: tuple[int, str] | None, until: int) -> list[tuple[str, int]]:
        """Return the next ids behind *place* and when each was settled, latest first."""
        key, start = f"{self._prefix}:past", 0
        if place is not None:
            at, last = place
            later = await self._ask(lambda: self._client.zcount(key, f"({at}", "+inf"))
            ties = await self._ask(lambda: self._client.zrangebyscore(key, at, at))
            start = int(later) + sum(tie.decode() >= last for tie in ties)
        elif until:
            start = int(await self._ask(lambda: self._client.zcount(key, f"({until}", "+inf")))
        end = start + AT_ONCE - 1
        rows = await self._ask(lambda: self._client.zrevrange(key, start, end, withscores=True))
        return [(name.decode(), int(score)) for name, score in rows]

    async def like(self, action: Action) -> Action | None:
        """Return the latest other call that people approved with the same tool and upstream.

        One of the same agent, and among those one to the same target, where there is one.
        """
        names = alike(action)
        if not names:
            return None
        keys = [f"{self._prefix}:a:{name}" for name in names]
        ids = [each.decode() for each in await self._ask(lambda: self._client.mget(keys)) if each]
        found = await self._read(BRIEF, [each for each in dict.fromkeys(ids) if each != action.id])
        return next((each for each in found if _approved_like(each, action)), None)

    async def keyed(self, keys: Sequence[str]) -> tuple[Action | None, ...]:
        """Return the call that each idempotency key stands for; without its answer."""
        if not keys:
            return ()
        names = [f"{self._prefix}:i:{key}" for key in keys]
        rows = await self._ask(lambda: self._client.mget(names))
        ids = [row.decode().partition(" ")[0] if row else "" for row in rows]
        known = {each.id: each for each in await self._read(BRIEF, [i for i in ids if i])}
        found = (known.get(name) for name in ids)
        # the index is the store's word: the record itself has to name the key
        return tuple(
            each if each is not None and each.key == key else None
            for each, key in zip(found, keys, strict=True)
        )


def _approved_like(found: Action, action: Action) -> bool:
    """Whether people approved it, and it is of that kind indeed: the index is the store's word."""
    same = alike(found)[-1:] == alike(action)[-1:]
    return same and bool(found.votes) and found.state in _APPROVED and not found.decoy_of


def _place(cursor: str | None) -> tuple[int, str] | None:
    if cursor is None:
        return None
    at, dash, last = cursor.partition("-")
    if not dash or not last or not (at.isascii() and at.isdecimal()) or len(at) > 16:
        raise MalformedCall("This cursor is none of ours; begin without one.")
    return int(at), last


def matches(action: Action, wanted: Searched) -> bool:
    """Whether *action* is what is looked for, its time apart. Pure."""
    people = {review.reviewer.id for review in action.reviews} | {who.by for who in action.raised}
    return (
        wanted.agent in ("", action.call.agent.id)
        and wanted.tool in ("", tool_of(action))
        and wanted.state in ("", action.state.value)
        and (not wanted.by or wanted.by in people)
        and (not wanted.text or _says(action, wanted))
    )


def _says(action: Action, wanted: Searched) -> bool:
    sought = wanted.text.casefold()
    return any(sought in text.casefold() for text in _texts(action, wanted))


def _texts(action: Action, wanted: Searched) -> Iterator[str]:
    """Return what people see of it. Nobody finds out by searching what is hidden."""
    concealed = masks(action, wanted.hidden)
    said = [action.id, tool_of(action), action.call.upstream, action.call.path, action.cause]
    said += [action.call.context.reason, *(each.message for each in action.raised)]
    for review in action.reviews:
        said += [review.message, review.reason_code]
    decision: Decision | None = action.decision
    for name, value in (decision.arguments if decision else {}).items():
        if name not in concealed:
            said += [name, value if isinstance(value, str) else json.dumps(value)]
    for text in said:
        yield concealed.text(text)
