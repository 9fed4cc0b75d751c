"""Reading the queue for people: filters that find, and room for every agent's calls.

Agents fill the queue, so each answer reads a bounded number of records, in steps that shrink
where the records are large: no read holds up the calls of others for long.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from ..core.actions import Action
from ..ports import Listed, Store

MOST_READ = 800  #: records read for one answer to a filter
MOST_SHARED = 400  #: records read for one answer that gives every agent room
MOST_BYTES = 33_554_432  #: bytes of bodies read for one answer
_STEP_BYTES = 1_048_576  #: bytes of bodies that one read should bring
_FIRST_STEP, _LARGEST_STEP = 25, 200

Wanted = Callable[[Action], bool]
Read = Callable[[str | None, int], Awaitable[Listed]]
"""Reads the queue from a cursor on, so many records: `Store.held`, or that of one agent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Some held actions, in the queue's order. `left_out`: how many of an agent were read, and
    are not among them; `next`: the cursor behind what was read, or None at the end.
    """

    actions: tuple[Action, ...]
    next: str | None
    total: int
    left_out: tuple[tuple[str, int], ...] = ()


async def _steps(queue: Read, cursor: str | None, most: int) -> AsyncIterator[Listed]:
    """Yield the queue from *cursor* on, until its end or until enough has been read."""
    step, read, size = _FIRST_STEP, 0, 0
    while read < most and size < MOST_BYTES:
        step = min(step, most - read)
        listed = await queue(cursor, step)
        yield listed
        if listed.next is None:
            return
        cursor, read = listed.next, read + step
        brought = sum(len(action.call.body) for action in listed.actions)
        size += brought
        step = max(1, min(_LARGEST_STEP, step * 2, step * _STEP_BYTES // max(brought, 1)))


async def first(queue: Read, cursor: str | None, limit: int, wanted: Wanted) -> Found:
    """Return the first *limit* actions behind *cursor* that are *wanted*.

    Fewer with a `next` means that MOST_READ records or MOST_BYTES of bodies hold no more.
    """
    kept: list[Action] = []
    following, total, at = cursor, 0, cursor
    fits = _once(wanted)
    async for listed in _steps(queue, cursor, MOST_READ):
        listed = await _fitting(queue, at, listed, limit - len(kept), fits)
        kept += filter(fits, listed.actions)
        at = following = listed.next
        total = listed.total
        if len(kept) >= limit:
            break
    return Found(actions=tuple(kept), next=following, total=total)


def _once(wanted: Wanted) -> Wanted:
    """Return *wanted*, asked once about each version of a call."""
    known: dict[tuple[str, int], bool] = {}

    def fits(action: Action) -> bool:
        name = (action.id, action.version)
        if name not in known:
            known[name] = wanted(action)
        return known[name]

    return fits


async def _fitting(
    queue: Read, cursor: str | None, listed: Listed, room: int, wanted: Wanted
) -> Listed:
    """Return *listed*, read again only up to where it fills the *room*: `next` is then exact."""
    while len(fits := [action for action in listed.actions if wanted(action)]) > room:
        listed = await queue(cursor, listed.actions.index(fits[room - 1]) + 1)
    return listed


async def shared(store: Store, limit: int, share: int) -> Found:
    """Return the first actions of the queue: of one agent no more than *share*.

    Where all of the queue fits into *limit*, nothing is left out.
    """
    read: list[Action] = []
    following, total = None, 0
    async for listed in _steps(store.held, None, MOST_SHARED):
        read += listed.actions
        following, total = listed.next, listed.total
    if following is None and len(read) <= limit:
        return Found(actions=tuple(read), next=None, total=total)
    kept: list[Action] = []
    counts: dict[str, int] = {}
    missed: dict[str, int] = {}
    for action in read:
        agent = action.call.agent.id
        counts[agent] = counts.get(agent, 0) + 1
        if counts[agent] <= share and len(kept) < limit:
            kept.append(action)
        else:
            missed[agent] = missed.get(agent, 0) + 1
    left_out = tuple(missed.items())
    return Found(actions=tuple(kept), next=following, total=total, left_out=left_out)
