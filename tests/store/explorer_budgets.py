"""Every interleaving of two calls that share a budget, a cap, a session and a grant.

As in explorer.py the shipped Lua runs unchanged but for its clock; sharing.py says what must hold.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import redis

from interlock.store.lua import source
from tests.store.sharing import (
    CALLS,
    KEYS,
    OTHERS,
    Stored,
    Trace,
    Try,
    World,
    again,
    check,
    deadline,
    fail,
    key,
    tries,
)

FAULTS: dict[str, tuple[str, str]] = {
    "not freed": ("elseif s.kind == 's' and UNSENT[to] then free(s)", "elseif UNSENT[to] then"),
    "freed twice": (
        "elseif s.kind == 's' and UNSENT[to] then free(s)",
        "elseif s.kind == 's' and UNSENT[to] then free(s); free(s)",
    ),
    "freed when answered": (
        "UNSENT[to] then free(s)",
        "(UNSENT[to] or AFTER[to]) then free(s)",
    ),
    "moved twice": (
        "then free(s); add(s, bucket(s.window))",
        "then free(s); add(s, bucket(s.window)); add(s, bucket(s.window))",
    ),
    "sent is still pending": (
        "then free(s); add(s, bucket(s.window))",
        "then add(s, bucket(s.window))",
    ),
    "not sent stays spent": ("then free(s); add(s, 'p')", "then add(s, 'p')"),
    "room not checked": (
        "if s.at ~= '-' and total > tonumber(s.at) then return false end",
        "",
    ),
    "own share in the way": (" - share(old, s.key) + mine", " + mine"),
    "edit keeps the old share": (
        "if s.kind == 's' then free(s); spare(s)",
        "if s.kind == 's' then",
    ),
    "edit is another hold": ("(held and not had[s.key])", "held"),
    "open for ever": (
        "if to == 'held' then return true end\n    free(s)",
        "if true then return true end",
    ),
    "lapse frees nothing": ("if left then past().carry(c, left, st, to) end", ""),
    "grant used twice": ("and tonumber(v[3]) < tonumber(v[2]) and", "and"),
    "grant counted at each edit": ("if new.g and new.g ~= old.g then", "if new.g then"),
    "session counts what was not sent": ("note(c, said, -1, tonumber(at))", ""),
    "session counts a call twice": ("e.S, e.s = ms(NOW) .. ' ' .. e.s, nil", ""),
    "refused after the write": (
        "if effects and not past().fits(effects, nil, held) then return { 'FACTS', '' } end",
        "if effects and not past().fits(effects, nil, held) then"
        " past().take(effects, nil, held, sent) return { 'FACTS', '' } end",
    ),
}
"""Faults that were or could be made, each as a change of the shipped text."""

_HARNESS = """
local CLOCK
local function shipped(KEYS, ARGV)
%s
end
local function packed(op)
  local parts = {}
  for _, field in ipairs(op) do parts[#parts + 1] = struct.pack('>I4', #field) .. field end
  return table.concat(parts)
end
local names, world, ops = cjson.decode(ARGV[2]), cjson.decode(ARGV[3]), cjson.decode(ARGV[4])
CLOCK = tonumber(ARGV[1])
local function seen()
  local all = {}
  for i, name in ipairs(names) do all[i] = redis.call('HGETALL', '{x}:' .. name) end
  return all
end
local out = {}
for _, op in ipairs(ops) do
  redis.call('FLUSHDB')
  redis.call('SET', '{x}:h:g1', 't')
  for i, flat in ipairs(world) do
    if #flat > 0 then redis.call('HSET', '{x}:' .. names[i], unpack(flat)) end
  end
  local first = shipped({ '{x}' }, { packed(op) })[1]
  local after = seen()
  local second = shipped({ '{x}' }, { packed(op) })[1]
  out[#out + 1] = { first[1], after, second[1], seen() }
end
return out
"""


def script(fault: str = "") -> str:
    """Return the wrapped script, with one fault planted in the shipped text."""
    text = source("put")
    if fault:
        old, new = FAULTS[fault]
        assert text.count(old) == 1, f"{fault}: the text to break is not there (once)"
        text = text.replace(old, new)
    clock = "local T = redis.call('TIME')\nlocal NOW = T[1] * 1000 + math.floor(T[2] / 1000)"
    assert clock in text
    return _HARNESS % text.replace(clock, "local NOW = CLOCK")


class Budgets:
    """The search; `explore` returns how many worlds there are, or raises Broken."""

    def __init__(self, client: redis.Redis, fault: str = "") -> None:
        self._client = client
        self._sha = client.script_load(script(fault))
        self.refused = 0  #: how many writes were refused for lack of room

    def explore(self, limit: int = 20_000) -> int:
        others = str(OTHERS)
        grant = ("id", "g1", "uses", "1", "used", "0", "expires", "9999999")
        first = World(stored=_all(((), (), ("p", others), ("p", others), (), (), grant)))
        seen = {key(first)}
        level: list[tuple[World, Trace]] = [(first, ())]
        while level:
            following: list[tuple[World, Trace]] = []
            for start in range(0, len(level), 200):
                for world, trace in self._expand(level[start : start + 200]):
                    same = key(world)
                    if same not in seen:
                        seen.add(same)
                        following.append((world, trace))
            assert len(seen) <= limit, "the space is larger than it was; bound it again"
            level = following
        return len(seen)

    def _expand(self, level: Sequence[tuple[World, Trace]]) -> Iterator[tuple[World, Trace]]:
        asked = [(world, [*tries(world), *again(trace)]) for world, trace in level]
        for (world, trace), (_, asks), rows in zip(level, asked, self._ask(asked), strict=True):
            for one, (result, after, repeated, twice) in zip(asks, rows, strict=True):
                history = (*trace, (one.label, one.command))
                moved = replace(world, stored=after)
                repeats = result == "FACTS" or (result == "OK" and one.command[1] != "lapse")
                if repeats and repeated != result:
                    fail(f"delivered twice it answers {result}, then {repeated}", history)
                if twice != after:
                    fail("delivered twice it changed something twice", history)
                following = self._taken(world, moved, one, result, history)
                if following is not None:
                    check(following, history)
                    yield following, history
            ahead = [at for call in CALLS if (at := deadline(world, call)) > world.now]
            if ahead:
                yield replace(world, now=min(ahead)), (*trace, ("time passes", None))

    def _taken(
        self, world: World, moved: World, one: Try, result: str, history: Trace
    ) -> World | None:
        if result == "LAPSED" and deadline(world, one.call) <= world.now:
            return moved  # whoever touches it ends it
        if one.after is None:
            if moved.stored != world.stored:
                fail("an old command, delivered again, changed something", history)
            return None
        if result == "FACTS" and not one.room:
            self.refused += 1
        elif result != "OK" or not one.room:
            fail(f"{result} where there was {'' if one.room else 'no '}room", history)
        if result != "OK":
            if moved.stored != world.stored:
                fail("what was refused left something behind", history)
            return None
        ghosts = tuple(one.after if call == one.call else moved.ghost(call) for call in CALLS)
        return replace(moved, ghosts=(ghosts[0], ghosts[1]))

    def _ask(
        self, asked: Sequence[tuple[World, list[Try]]]
    ) -> list[list[tuple[str, Stored, str, Stored]]]:
        pipe = self._client.pipeline(transaction=False)
        for world, asks in asked:
            commands = json.dumps([one.command for one in asks])
            pipe.evalsha(
                self._sha, 0, world.now, json.dumps(KEYS), json.dumps(world.stored), commands
            )
        rows: list[Any] = pipe.execute()
        return [[(r, _all(a), s, _all(t)) for r, a, s, t in row] for row in rows]


def _all(rows: Sequence[Sequence[str]]) -> Stored:
    """Return what is stored, by name: a large hash answers in an order of its own."""
    pairs = (sorted(zip(row[::2], row[1::2], strict=True)) for row in rows)
    return tuple(tuple(part for pair in row for part in pair) for row in pairs)
