"""Every interleaving, within bounds, of the shipped Lua on a real server.

A breadth-first search over worlds: the stored hash, the clock, two workers, and what really left
for the tool. The shipped text runs unchanged but for its clock, wrapped so that one round trip
tries every command on one world, delivers it twice, and delivers old commands again. Where it is
asked to, somebody stops the agent and resumes it at any moment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import redis

from interlock.store.lua import source

START, HOLD, APPROVAL, LEASE = 1000, 4, 4, 2  #: ms of the replaced clock
AGENT, OWNER = "bot", "olga"
PEOPLE = ("ann", "bob", "cat", AGENT, OWNER)
REFUSED = {"denied", "rejected", "responded", "expired", "cancelled", "resolved"}
FINAL = REFUSED | {"answered"}

FAULTS: dict[str, tuple[str, str]] = {
    "requeue": (
        "local to = st == 'forwarding' and 'unknown' or 'expired'",
        "local to = st == 'forwarding' and 'approved' or 'expired'",
    ),
    "noexp": ("if at == 0 or at > NOW then", "if at == 0 or at > NOW or st == 'approved' then"),
    "latevote": ("if at == 0 or at > NOW then", "if at == 0 or at > NOW or st == 'held' then"),
    "nodigest": ("if v[1] ~= a.digest or v[2] ~= a.digest then return { 'DIGEST', '' } end", ""),
    "anyvote": ("if not edit and a.digest ~= v[1] then return { 'DIGEST', '' } end", ""),
    "keepvotes": ("if #cast > 0 then redis.call('HDEL', c, unpack(cast)) end", ""),
    "twice": (
        "if not edit and redis.call('HEXISTS', c, 'by:' .. a.who) == 1 then",
        "if false then",
    ),
    "self": ("if a.who == '' or a.who == v[1] or a.who == v[2] then", "if false then"),
    "nononce": ("return e and string.sub(e, 1, #a.nonce + 1) == a.nonce .. ' '", "return false"),
    "recordany": (
        "if redis.call('HGET', c, 'owner_nonce') ~= a.nonce then return { 'NONCE', st } end",
        "",
    ),
    "quorum": (
        "if (count >= quorum) ~= (a.to == 'approved') then return { 'QUORUM', '' } end",
        "",
    ),
    "claimcas": (
        "claim     = { approved = true },",
        "claim     = { approved = true, forwarding = true },",
    ),
    "stale": ("return { 'STALE', st }", "return nil"),
    "cancelany": (
        "cancel    = { held = true, approved = true },",
        "cancel    = { held = true, approved = true, forwarding = true },",
    ),
    "gap": ("'HINCRBY', c, 'ver', 1)", "'HINCRBY', c, 'ver', 2)"),
}
"""Faults that were or could be made, each as a change of the shipped text."""
STOPPING_FAULTS: dict[str, tuple[str, str]] = {
    "sendstopped": ("if stopped(v[3]) then return { 'SUSPENDED', 'approved' } end", ""),
    "takestopped": (
        "if a.to ~= 'denied' and stopped(a.agent) then return { 'SUSPENDED', '' } end",
        "",
    ),
    "holdstopped": (
        "if a.to ~= 'denied' and stopped(a.agent)",
        "if a.op == 'allow' and stopped(a.agent)",
    ),
    "oneonly": ("return v[1] or v[2]", "return v[1]"),
    "allonly": ("return v[1] or v[2]", "return v[2]"),
    "others": ("'HMGET', P .. ':stopped', agent, '-')", "'HMGET', P .. ':stopped', 'else', '-')"),
    "forgotten": ("if NOBODY then return false end", "if NOBODY ~= nil then return false end"),
}
"""The same of the ways to a send that a stopped agent does not have."""
PRACTICE_FAULTS: dict[str, tuple[str, str]] = {
    "decided": (
        "if not PRACTICE[a.op] and redis.call('HEXISTS', c, 'decoy') == 1 then",
        "if false then",
    ),
    "claimed": ("local PRACTICE = {", "local PRACTICE = { approve = true, claim = true,"),
    "edited": ("local PRACTICE = {", "local PRACTICE = { edit = true,"),
    "unmarked": ("if a.decoy ~= '' then redis.call('HSET', c, 'decoy', a.decoy) end", ""),
}
"""The same of what keeps a practice call from being anything else."""

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
local C, hash, ops = '{x}:c:a', cjson.decode(ARGV[2]), cjson.decode(ARGV[3])
CLOCK = tonumber(ARGV[1])
local function world()
  redis.call('FLUSHDB')
  if #hash > 0 then redis.call('HSET', C, unpack(hash)) end
  if ARGV[4] ~= '' then redis.call('HSET', '{x}:stopped', ARGV[4], '{}') end
end
local out = {}
for _, op in ipairs(ops) do
  world()
  local first = shipped({ '{x}' }, { packed(op) })[1]
  local after = redis.call('HGETALL', C)
  local second = shipped({ '{x}' }, { packed(op) })[1]
  out[#out + 1] = { first[1], after, second[1], redis.call('HGETALL', C) }
end
return out
"""

NAMES: tuple[str, ...] = tuple(
    re.findall(r"'(\w+)'", source("put").partition("local NAMES = {")[2].partition("}")[0])
)
"""The fields of one operation, read from put.lua."""

_USUAL: dict[str, str] = {
    "id": "a",
    "quorum": "2",
    "event": "{}",
    "agent": AGENT,
    "owner": OWNER,
    "stake": "2",
    "watched": "0",
    "cap": "9 9",
    "window": "600000",
    "keep": "600000",
}


def operation(op: str, to: str, nonce: str, expect: int, **more: str | int) -> tuple[str, ...]:
    """Return the arguments of one operation as RedisStore would send them."""
    said = _USUAL | {"op": op, "to": to, "nonce": nonce, "expect": str(expect)}
    said |= {name: str(value) for name, value in more.items()}
    return tuple(said.get(name, "") for name in NAMES)


def script(fault: str = "") -> str:
    """Return the wrapped script, with one fault planted in the shipped text."""
    text = source("put")
    if fault:
        old, new = (FAULTS | STOPPING_FAULTS | PRACTICE_FAULTS)[fault]
        assert text.count(old) == 1, f"{fault}: the text to break is not there (once)"
        text = text.replace(old, new)
    clock = "local T = redis.call('TIME')\nlocal NOW = T[1] * 1000 + math.floor(T[2] / 1000)"
    assert clock in text
    return _HARNESS % text.replace(clock, "local NOW = CLOCK")


Hash = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Worker:
    phase: str = "idle"  #: idle, claimed, sent
    nonce: str = ""
    digest: str = ""
    until: int = 0  #: by its own clock, set before it asked: never later than the lease


@dataclass(frozen=True)
class World:
    """The stored hash, the clock, and what the store cannot know."""

    stored: Hash
    now: int = START
    workers: tuple[Worker, Worker] = (Worker(), Worker())
    sends: tuple[str, ...] = ()
    votes: frozenset[str] = frozenset()  #: who truly approved the present digest
    refused: str = ""  #: a refusal that somebody was shown
    edits: int = 0
    crashes: int = 0
    stopped: str = ""  #: the field of {p}:stopped, where there is one
    stops: int = 0
    raised: int = 0

    def field(self, name: str) -> str:
        return dict(self.stored).get(name, "")

    @property
    def version(self) -> int:
        return int(self.field("ver"))


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What there may be in one history, and how often."""

    edits: int = 2
    crashes: int = 2
    raises: int = 0
    stops: tuple[str, ...] = ()  #: whom somebody stops, one after the other
    decoy: str = ""


Command = tuple[str, ...]
Trace = tuple[tuple[str, Command | None], ...]


class Broken(AssertionError):
    """A property does not hold; the message is the shortest history that breaks it."""


@dataclass(frozen=True)
class Try:
    """One command to try on a world; `kind` says which properties its answer must keep."""

    label: str
    command: Command
    kind: str = "honest"  #: honest, stale, stranger, again
    who: str = ""
    worker: int = -1


@dataclass(frozen=True)
class Tried:
    result: str
    after: Hash
    again: str
    twice: Hash


class Explorer:
    """The search; `explore` returns how many worlds there are, or raises Broken."""

    def __init__(
        self, client: redis.Redis, quorum: int, fault: str = "", bounds: Bounds | None = None
    ) -> None:
        self._client = client
        self._quorum = quorum
        self._bounds = bounds or Bounds()
        self._sha = client.script_load(script(fault))
        self.reached: set[str] = set()

    def explore(self, limit: int = 60_000) -> int:
        create = operation(
            *("decide", "held", "n0", 0),
            ttl=HOLD,
            digest="d0",
            quorum=self._quorum,
            rec="r",
            call="b",
            decoy=self._bounds.decoy,
        )
        ((made,),) = self._ask([(World(stored=()), [Try("hold", create)])])
        self._check_taking_in(create)
        first = World(stored=made.after)
        seen, level = {self._key(first)}, [(first, (("hold", create),))]
        while level:
            following: list[tuple[World, Trace]] = []
            for start in range(0, len(level), 200):
                for world, trace in self._expand(level[start : start + 200]):
                    key = self._key(world)
                    if key not in seen:
                        seen.add(key)
                        following.append((world, trace))
            assert len(seen) <= limit, "the space is larger than it was; bound it again"
            level = following
        return len(seen)

    def _check_taking_in(self, hold: Command) -> None:
        """Let nothing in of an agent that is stopped, neither to be sent nor to be held."""
        allow = operation("allow", "forwarding", "n0", 0, ttl=LEASE, digest="d0")
        tries = [Try("hold", hold), Try("allow", allow)]
        for who in self._bounds.stops:
            (answers,) = self._ask([(World(stored=(), stopped=who), tries)])
            for one, tried in zip(tries, answers, strict=True):
                if tried.result != "SUSPENDED" or tried.after or tried.twice:
                    _fail(
                        "taken in though its agent is stopped", (("stop", None), (one.label, None))
                    )

    def _ask(self, asked: Sequence[tuple[World, list[Try]]]) -> list[list[Tried]]:
        pipe = self._client.pipeline(transaction=False)
        for world, tries in asked:
            flat = _json([part for pair in world.stored for part in pair])
            commands = "[" + ",".join(_json(one.command) for one in tries) + "]"
            pipe.evalsha(self._sha, 0, world.now, flat, commands, world.stopped)
        rows: list[Any] = pipe.execute()
        return [[Tried(r, _hash(a), s, _hash(t)) for r, a, s, t in row] for row in rows]

    def _expand(self, level: list[tuple[World, Trace]]) -> Iterator[tuple[World, Trace]]:
        asked = [(world, [*self._tries(world), *_again(trace)]) for world, trace in level]
        for (world, trace), (_, tries), answers in zip(level, asked, self._ask(asked), strict=True):
            self.reached.add(world.field("st"))
            for one, tried in zip(tries, answers, strict=True):
                history = (*trace, (one.label, one.command))
                _check(world, one, tried, history)
                if one.kind == "honest":
                    kept = history if tried.result == "OK" else (*trace, (one.label, None))
                    yield self._after(world, one, tried, history), kept
            for label, after in self._acts(world, trace):
                yield after, (*trace, (label, None))

    # what may be asked of the store --------------------------------------------------------

    def _tries(self, world: World) -> Iterator[Try]:
        yield from self._by_people(world)
        yield from self._by_workers(world)
        ver = world.version
        yield Try("cancel", operation("cancel", "cancelled", f"c{ver}", ver))
        if world.raised < self._bounds.raises:
            yield Try("escalate", operation("escalate", "held", f"u{ver}", ver, rec="r2"))
        yield Try("deny", operation("deny", "denied", f"p{ver}", ver))
        yield Try("lapse", operation("lapse", "expired", f"l{ver}", ver))
        yield Try("resolve", operation("resolve", "resolved", f"r{ver}", ver))

    def _by_people(self, world: World) -> Iterator[Try]:
        ver, digest = world.version, world.field("digest")
        for who in PEOPLE:
            for seen in range(world.edits + 1):
                enough = len(world.votes | {who}) >= self._quorum
                for to in ("approved", "held"):
                    yield Try(
                        f"{who} approves d{seen} as {to}",
                        operation(
                            *("approve", to, f"{who}{ver}", ver),
                            ttl=APPROVAL if to == "approved" else "",
                            digest=f"d{seen}",
                            who=who,
                            quorum=self._quorum,
                            mac="m",
                        ),
                        kind="honest" if enough == (to == "approved") else "liar",
                        who=who,
                    )
            reject = operation("reject", "rejected", f"j{who}{ver}", ver, who=who)
            yield Try(f"{who} rejects", reject, who=who)
        yield Try(
            "ann approves what she saw before",
            operation(
                *("approve", "held", "late", ver - 1),
                digest=digest,
                who="ann",
                quorum=self._quorum,
                mac="m",
            ),
            kind="stale",
        )
        if world.edits < self._bounds.edits:
            to = "approved" if self._quorum == 1 else "held"
            ttl = APPROVAL if self._quorum == 1 else HOLD
            said: dict[str, str | int] = {"digest": f"d{world.edits + 1}", "mac": "m", "call": "b1"}
            said |= {"ttl": ttl, "quorum": self._quorum}
            for who in ("ann", "bob", OWNER):
                edit = operation("edit", to, f"e{who}{ver}", ver, who=who, **said)
                yield Try(f"{who} edits", edit, who=who)

    def _by_workers(self, world: World) -> Iterator[Try]:
        ver, fence = world.version, int(world.field("fence") or 0)
        for digest in {world.field("digest"), "d0", f"d{world.edits + 1}"}:
            for i, worker in enumerate(world.workers):
                if worker.phase == "idle":
                    claim = operation(
                        "claim", "forwarding", f"w{fence}", ver, ttl=LEASE, digest=digest
                    )
                    yield Try(f"w{i} claims {digest}", claim, worker=i)
        for i, worker in enumerate(world.workers):
            if worker.phase == "claimed":
                yield Try(f"w{i} notsent", _report("notsent", "approved", worker), worker=i)
            if worker.phase == "sent":
                yield Try(f"w{i} answer", _report("answer", "answered", worker), worker=i)
                yield Try(f"w{i} lose", _report("lose", "unknown", worker), worker=i)
        stranger = Worker(nonce="zz")
        for op, to in (("answer", "answered"), ("notsent", "approved"), ("lose", "unknown")):
            yield Try(f"a stranger reports {op}", _report(op, to, stranger), kind="stranger")

    # what happens next ---------------------------------------------------------------------

    def _after(self, world: World, one: Try, tried: Tried, history: Trace) -> World:
        after = replace(world, stored=tried.after)
        op, taken = one.command[NAMES.index("op")], tried.result == "OK"
        if taken and op == "approve":
            after = replace(after, votes=world.votes | {one.who})
        if taken and op == "edit":
            after = replace(after, votes=frozenset({one.who}), edits=world.edits + 1)
        if taken and op == "claim":
            if world.field("st") != "approved":
                _fail("a claim was granted twice", history)
            if world.stopped:
                _fail("its send began though its agent is stopped", history)
            nonce, digest = (one.command[NAMES.index(name)] for name in ("nonce", "digest"))
            claimed = Worker("claimed", nonce, digest, world.now + LEASE)
            after = _with(after, one.worker, claimed)
        if taken and op == "escalate":
            after = replace(after, raised=world.raised + 1)
        if op in ("notsent", "answer") or (op == "lose" and not taken):
            after = _with(after, one.worker, Worker())  # after a loss, a late answer may follow
        state = after.field("st")
        return replace(after, refused=state if state in REFUSED else world.refused)

    def _acts(self, world: World, trace: Trace) -> Iterator[tuple[str, World]]:
        """Return what happens outside the store: time passes, workers send, crash, give up."""
        if any(int(world.field(name) or 0) > world.now for name in ("deadline", "lapses")):
            yield "tick", replace(world, now=world.now + 1)
        if world.stopped:
            yield "resume", replace(world, stopped="")
        elif world.stops < len(self._bounds.stops):
            who = self._bounds.stops[world.stops]
            yield f"stop {who}", replace(world, stopped=who, stops=world.stops + 1)
        for i, worker in enumerate(world.workers):
            if worker.phase == "claimed" and world.now < worker.until:
                sent = replace(world, sends=(*world.sends, worker.digest))
                self._check_send(sent, worker, (*trace, (f"w{i} SENDS", None)))
                yield f"w{i} SENDS", _with(sent, i, replace(worker, phase="sent"))
            if worker.phase == "claimed" and world.now >= worker.until:
                yield f"w{i} gives up", _with(world, i, Worker())
            if worker.phase != "idle" and world.crashes < self._bounds.crashes:
                yield f"w{i} crashes", replace(_with(world, i, Worker()), crashes=world.crashes + 1)

    def _check_send(self, world: World, worker: Worker, history: Trace) -> None:
        if self._bounds.decoy:
            _fail("a practice call was sent", history)
        if len(world.sends) > 1:
            _fail("sent twice", history)
        if worker.digest != f"d{world.edits}":
            _fail("sent what was replaced by an edit", history)
        if len(world.votes) < self._quorum:
            _fail(f"sent with the votes of {sorted(world.votes)} alone", history)
        if world.refused:
            _fail(f"sent after somebody was told that it is {world.refused}", history)

    def _key(self, world: World) -> object:
        """Worlds that can only continue in the same ways are one: times count from now."""
        stored, now = dict(world.stored), world.now
        owner, not_sent = stored.get("owner_nonce"), stored.get("notsent")
        kept = {
            name: max(int(value) - now, 0) if name in ("deadline", "lapses") else value
            for name, value in stored.items()
            if name in ("st", "digest", "adigest", "quorum", "deadline", "lapses")
            or name.startswith("by:")
        }
        workers = sorted(
            (w.phase, w.digest, w.nonce == owner, w.nonce == not_sent, max(w.until - now, 0))
            for w in world.workers
        )
        ghosts: tuple[object, ...] = (world.sends, world.votes, world.refused, world.edits)
        ghosts += (world.crashes, world.stopped, world.stops, world.raised)
        return tuple(sorted(kept.items())), tuple(workers), ghosts


def _check(world: World, one: Try, tried: Tried, history: Trace) -> None:
    """The properties that one command's answers must keep, in any world."""
    before, after = dict(world.stored), dict(tried.after)
    ver, moved = int(after["ver"]), tried.after != world.stored
    lapsing = one.command[NAMES.index("op")] == "lapse"  # the clock's doing has no nonce
    if tried.twice != tried.after or (tried.result == "OK" != tried.again and not lapsing):
        _fail(f"delivered twice it answers {tried.result}, then {tried.again}", history)
    if any(f"e:{n}" not in after for n in range(1, ver + 1)) or f"e:{ver + 1}" in after:
        _fail("the record has a gap", history)
    if moved and ver <= world.version:
        _fail("it changed without a version of its own", history)
    if before["st"] in FINAL and moved:
        _fail(f"{before['st']} is final, and changed", history)
    if one.kind in ("stale", "stranger", "liar") and tried.result == "OK":
        _fail(f"a {one.kind} was taken at its word", history)
    if one.kind == "again" and moved:
        _fail("an old command, delivered again, changed something", history)
    if one.kind == "honest" and tried.result == "OK":
        _check_taken(world, one, after, history)


def _check_taken(world: World, one: Try, after: dict[str, str], history: Trace) -> None:
    op, before = one.command[NAMES.index("op")], dict(world.stored)
    late = int(before.get("deadline", "0")) <= world.now
    if one.who in (AGENT, OWNER):
        _fail(f"{one.who} decided about its own call", history)
    _check_special(op, before, after, history)
    if op in ("approve", "edit", "escalate", "reject", "claim", "cancel", "deny") and late:
        _fail(f"{op} was taken after the deadline", history)
    if op == "approve" and one.command[NAMES.index("digest")] != before["digest"]:
        _fail("a vote for other bytes than the present ones counted", history)
    if op == "approve" and f"by:{one.who}" in before:
        _fail("one person counted twice", history)
    if op == "edit" and [name for name in after if name[:3] == "by:"] != [f"by:{one.who}"]:
        _fail("votes survived an edit", history)


def _check_special(op: str, before: dict[str, str], after: dict[str, str], history: Trace) -> None:
    if before.get("decoy") and op not in ("cancel", "escalate", "lapse"):
        _fail(f"{op} was taken of a practice call", history)
    if op == "escalate":
        kept = [name for name in before if name[:3] == "by:"] + ["deadline", "digest", "quorum"]
        if after["st"] != "held" or any(after.get(name) != before[name] for name in kept):
            _fail("an escalation changed more than who may decide", history)


def _again(trace: Trace) -> Iterator[Try]:
    """Deliver everything that was ever taken once more, now."""
    for label, command in trace:
        if command is not None:
            yield Try(f"again: {label}", command, kind="again")


def _report(op: str, to: str, worker: Worker) -> Command:
    return operation(op, to, worker.nonce, 0, answer="a" if op == "answer" else "")


def _with(world: World, i: int, worker: Worker) -> World:
    workers = (worker, world.workers[1]) if i == 0 else (world.workers[0], worker)
    return replace(world, workers=workers)


def _fail(what: str, history: Trace) -> None:
    raise Broken(f"{what}: " + " > ".join(label for label, _ in history))


def _json(parts: Sequence[str]) -> str:
    return "[" + ",".join(f'"{part}"' for part in (p.replace('"', '\\"') for p in parts)) + "]"


def _hash(flat: list[str]) -> Hash:
    return tuple(sorted(zip(flat[::2], flat[1::2], strict=True)))
