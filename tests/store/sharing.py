"""Two calls that share a budget, a cap, a session and a grant: what they may do, what must hold.

What the counters must be in a world follows from where its two calls stand: nothing else is
remembered of how they got there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from tests.store.explorer import FINAL, Broken, operation

START, WAIT = 1000, 2  #: ms of the replaced clock; every deadline is so far ahead
WINDOW = 60  #: ms: each ms is a bucket of its own, and no history is longer
OTHERS = 5  #: shares of calls that nobody moves: a share freed twice would be one of theirs
CALLS = ("a", "b")
EDITS, CLAIMS = {"a": 1, "b": 2}, {"a": 2, "b": 1}  #: of one call in one history
KEYS = ("c:a", "c:b", "b:k", "b:o", "b:h", "t:t", "g:t")
WAITING = {"held", "approved"}
SENT = {"forwarding", "answered", "unknown", "resolved"}

_BUDGET = f"b k s {WINDOW} 1 {OTHERS + 1}"
_HOLD = f"b o o 0 1 {OTHERS + 1}\nb h h {WINDOW} 1 -"
_SESSION = "s t 1000 1 0 4 1000 1"
VARIANTS: Mapping[str, tuple[str, str, str]] = {
    "full": ("decide", "held", f"{_BUDGET}\n{_HOLD}\n{_SESSION}"),
    "open": ("decide", "held", _HOLD),
    "spend": ("allow", "forwarding", f"{_BUDGET}\n{_SESSION}"),
    "grant": ("allow", "forwarding", f"{_SESSION}\ng g1"),
}
"""How a call may come in: with room for one share, for one hold, and one use of a grant."""
EDITED = f"{_BUDGET}\n{_HOLD}\n{_SESSION}\ng g1"


Stored = tuple[tuple[str, ...], ...]  #: of each key in KEYS, its fields and values in turn
Command = tuple[str, ...]
Trace = tuple[tuple[str, Command | None], ...]


@dataclass(frozen=True)
class Ghost:
    """What is known of one call beside its record."""

    budget: int = 0  #: shares that its present effects have
    open: bool = False  #: whether it counts as an open call while it is held
    session: bool = False
    held: bool = False  #: whether it ever was, and was counted
    grants: int = 0  #: uses that it took
    edits: int = 0


@dataclass(frozen=True)
class World:
    stored: Stored
    now: int = START
    ghosts: tuple[Ghost, Ghost] = (Ghost(), Ghost())

    def fields(self, key: str) -> dict[str, str]:
        flat = self.stored[KEYS.index(key)]
        return dict(zip(flat[::2], flat[1::2], strict=True))

    def state(self, call: str) -> str:
        return self.fields(f"c:{call}").get("st", "none")

    def ghost(self, call: str) -> Ghost:
        return self.ghosts[CALLS.index(call)]


@dataclass(frozen=True)
class Try:
    label: str
    command: Command
    call: str
    after: Ghost | None = None  #: what the call is then; None: it must not be taken
    room: bool = True  #: whether what it brings fits


def tries(world: World) -> Iterator[Try]:
    for call in CALLS:
        state = world.state(call)
        if state == "none":
            yield from _new(world, call)
        elif state not in FINAL:
            yield from _later(world, call, state)


def _totals(world: World, *, without: str = "") -> tuple[int, int, int]:
    """Return what others than *without* use of the budget and the cap, and of the grant in all."""
    live = WAITING | SENT
    calls = [call for call in CALLS if call != without]
    budget = sum(world.ghost(call).budget for call in calls if world.state(call) in live)
    waiting = sum(world.ghost(call).open for call in calls if world.state(call) == "held")
    return budget, waiting, sum(ghost.grants for ghost in world.ghosts)


def _new(world: World, call: str) -> Iterator[Try]:
    budget, waiting, grants = _totals(world)
    for name, (op, to, effects) in VARIANTS.items():
        held, spends, uses = to == "held", "b k" in effects, "g g1" in effects
        room = not (spends and budget or held and waiting or uses and grants)
        command = operation(
            *(op, to, f"d{call}", 0),
            id=call,
            ttl=WAIT,
            digest="d",
            quorum=_quorum(call),
            eff=effects,
        )
        after = Ghost(
            budget=int(spends),
            open=held,
            session="s t" in effects,
            held=held,
            grants=int(uses),
        )
        yield Try(f"{call} {name}", command, call, after, room)


def _later(world: World, call: str, state: str) -> Iterator[Try]:
    record = world.fields(f"c:{call}")
    if state == "held":
        yield from _by_people(world, call, record)
    if state in WAITING:
        yield _move(world, call, "reject", "rejected", who="cat")
        yield _move(world, call, "cancel", "cancelled")
    if state == "approved" and int(record.get("fence", 0)) < CLAIMS[call]:
        yield _move(world, call, "claim", "forwarding", ttl=WAIT)
    if state in SENT:
        yield from _by_worker(world, call, record["owner_nonce"])
    if 0 < deadline(world, call) <= world.now:
        yield _move(world, call, "lapse", "unknown" if state == "forwarding" else "expired")


def _move(world: World, call: str, op: str, to: str, **said: str | int) -> Try:
    ver = int(world.fields(f"c:{call}")["ver"])
    usual: dict[str, str | int] = {"id": call, "digest": "d", "quorum": _quorum(call)}
    command = operation(op, to, str(said.pop("nonce", f"{op}{call}{ver}")), ver, **usual, **said)
    return Try(f"{call} {op} {to}", command, call, world.ghost(call))


def _by_people(world: World, call: str, record: Mapping[str, str]) -> Iterator[Try]:
    voted = [name for name in record if name.startswith("by:")]
    enough = len(voted) + 1 >= _quorum(call)
    who = "bob" if "by:ann" in voted else "ann"
    to, ttl = ("approved", WAIT) if enough else ("held", "")
    yield _move(world, call, "approve", to, who=who, ttl=ttl)
    if world.ghost(call).edits < EDITS[call]:
        yield _edit(world, call, int(record["ver"]))


def _by_worker(world: World, call: str, nonce: str) -> Iterator[Try]:
    yield _move(world, call, "answer", "answered", nonce=nonce)
    if world.state(call) == "forwarding":
        yield _move(world, call, "notsent", "approved", nonce=nonce)
        yield _move(world, call, "lose", "unknown", nonce=nonce)
    else:
        yield _move(world, call, "resolve", "resolved")


def _edit(world: World, call: str, ver: int) -> Try:
    budget, _, grants = _totals(world, without=call)
    ghost = world.ghost(call)
    to = "approved" if _quorum(call) == 1 else "held"
    command = operation(
        *("edit", to, f"edit{call}{ver}", ver),
        id=call,
        digest="d",
        who="ann",
        quorum=_quorum(call),
        ttl=WAIT if to == "approved" else "",
        call="b",
        eff=EDITED,
    )
    room = not budget and (ghost.grants > 0 or grants == 0)
    after = replace(ghost, budget=1, session=True, grants=1, edits=ghost.edits + 1)
    return Try(f"{call} edit", command, call, after, room)


def again(trace: Trace) -> Iterator[Try]:
    """Deliver the latest commands once more, now."""
    for label, command in trace[-3:]:
        if command is not None:
            yield Try(f"again: {label}", command, command[0])


def _quorum(call: str) -> int:
    """One call is approved by its edit, the other one stays held by it."""
    return 1 if call == "a" else 2


def deadline(world: World, call: str) -> int:
    return int(world.fields(f"c:{call}").get("deadline", 0))


def check(world: World, history: Trace) -> None:
    """What is counted is what the calls are: no share is lost, and none counts twice."""

    def total(key: str, *, pending: bool) -> int:
        fields = world.fields(key).items()
        return sum(int(value) for name, value in fields if (name == "p") is pending)

    def among(states: set[str], what: str) -> int:
        of = [call for call in CALLS if world.state(call) in states]
        return sum(int(getattr(world.ghost(call), what)) for call in of)

    session = world.fields("t:t")
    found = {
        "pending": total("b:k", pending=True),
        "spent": total("b:k", pending=False),
        "open": total("b:o", pending=True),
        "holds": total("b:h", pending=False),
        "calls": int(session.get("calls", 0)),
        "writes": int(session.get("writes", 0)),
        "grants": int(world.fields("g:t")["used"]),
    }
    expected = {
        "pending": OTHERS + among(WAITING, "budget"),
        "spent": among(SENT, "budget"),
        "open": OTHERS + among({"held"}, "open"),
        "holds": sum(ghost.held for ghost in world.ghosts),
        "calls": among(SENT, "session"),
        "writes": among(SENT, "session"),
        "grants": sum(ghost.grants for ghost in world.ghosts),
    }
    if found != expected:
        wrong = [
            f"{name} {found[name]} for {expected[name]}"
            for name in found
            if found[name] != expected[name]
        ]
        fail(", ".join(wrong), history)
    if found["pending"] + found["spent"] > OTHERS + 1 or found["open"] > OTHERS + 1:
        fail("more than there is room for", history)
    for call in CALLS:
        if world.state(call) in FINAL | {"unknown"} and "eff" in world.fields(f"c:{call}"):
            fail("something is left to do for a call that is over", history)


def key(world: World) -> object:
    """Worlds that can only continue in the same ways are one: times count from now."""
    kept: list[object] = []
    for call in CALLS:
        record = world.fields(f"c:{call}")
        voted = tuple(sorted(name for name in record if name.startswith("by:")))
        left = max(deadline(world, call) - world.now, 0)
        state, ghost = world.state(call), world.ghost(call)
        if state in FINAL:  # what it still takes, and how often it used the grant, is all
            kept.append((state in SENT, ghost.budget * (state in SENT), ghost.grants))
        else:
            kept.append((state, voted, left, record.get("fence"), ghost))
    return tuple(kept)


def fail(what: str, history: Trace) -> None:
    raise Broken(f"{what}: " + " > ".join(label for label, _ in history))
