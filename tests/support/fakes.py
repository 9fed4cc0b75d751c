"""A gate in a small world: a real store, a tool that records what reaches it, a policy by level."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from interlock.callers import Submission
from interlock.core.actions import Action, Review, Reviewer, State, ToolCall, Verdict
from interlock.core.decisions import Level
from interlock.core.events import Event
from interlock.core.rules import PolicySet
from interlock.gate import Gate
from interlock.policies.load import read_policies
from interlock.ports import Notice
from interlock.sending import Timing
from interlock.store.redis import RedisStore
from tests.support.builders import ANN, BOB, NOON, a_call

SEAL_KEY = b"a key that is not in the store.."
POLICY = """
apiVersion: interlock/v1
kind: Policy
metadata: {name: bank, version: 1, owner: ann@example.com, description: One tool for each level.}
matrix:
  read_only:    [allow,  allow,   notify,       approve]
  reversible:   [allow,  notify,  approve,      approve]
  compensable:  [notify, approve, approve,      approve_dual]
  irreversible: [notify, approve, approve_dual, deny]
stake:
  data: {public: low, internal: medium, confidential: high, restricted: critical}
tools:
"""
TOOL = """
  - id: bank.{name}
    description: Moves money.
    http: {{upstream: bank, method: POST, path: /{name}}}
    args_schema:
      type: object
      properties: {{amount: {{type: number}}, to: {{type: string}}}}
    reversibility: {reversibility}
    undo: {{reason: It can be paid back.}}
    facets: {{data: {data}}}
    orphans: {orphans}
"""
TOOLS = {
    "read": ("reversible", "public"),
    "note": ("reversible", "internal"),
    "pay": ("reversible", "confidential"),
    "wire": ("compensable", "restricted"),
    "never": ("irreversible", "restricted"),
}
OF_LEVEL = dict(zip(Level, TOOLS, strict=True))


def a_policy(more: str = "", *, orphans: str = "execute", target: str = "") -> PolicySet:
    """Return a policy with one tool for each level; *more* is YAML put at its end.

    *target*: the argument that grants and refusals are bound to; else all of them.
    """
    tools = "".join(
        TOOL.format(name=name, reversibility=how, data=data, orphans=orphans)
        for name, (how, data) in TOOLS.items()
    )
    if target:
        tools = tools.replace("    facets:", f"    target: [{target}]\n    facets:")
    if orphans == "execute":
        tools = tools.replace("    orphans: execute\n", "")
    return read_policies([("bank.yaml", POLICY + tools + more)])


def freeze(tool: str) -> str:
    """Return the YAML of a rule that denies everything that *tool* does."""
    return (
        "\nrules:\n  - id: frozen\n    description: Accounts are frozen.\n"
        f"    tools: [bank.{tool}]\n    deny: Payments are frozen.\n"
    )


def both(tool: str) -> str:
    """Return the YAML of a rule that asks for two people for *tool*."""
    return (
        "\nrules:\n  - id: two\n    description: Two people look at it.\n"
        f"    tools: [bank.{tool}]\n    at_least: approve_dual\n"
    )


@dataclass
class Tool:
    """ports.Upstream: answers as told and remembers every call that it was sent."""

    sent: list[ToolCall] = field(default_factory=list)
    fails: list[Exception] = field(default_factory=list)  #: raised first, one at each call
    body: tuple[bytes, ...] = (b"pa", b"id")
    breaks: Exception | None = None  #: raised after the body
    busy: asyncio.Event = field(default_factory=asyncio.Event)  #: set when a call has arrived
    free: asyncio.Event | None = None  #: answers only once it is set
    closed: int = 0
    check: Callable[[ToolCall], Awaitable[None]] | None = None  #: looks around before answering

    def serves(self, call: ToolCall) -> bool:
        return True

    async def send(self, call: ToolCall) -> FakeExchange:
        if self.fails:
            raise self.fails.pop(0)
        self.sent.append(call)
        self.busy.set()
        if self.check is not None:
            await self.check(call)
        if self.free is not None:
            await self.free.wait()
        return FakeExchange(self)


@dataclass
class FakeExchange:
    tool: Tool
    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "text/plain"),)

    async def chunks(self) -> AsyncIterator[bytes]:
        for chunk in self.tool.body:
            yield chunk
        if self.tool.breaks is not None:
            raise self.tool.breaks

    async def close(self) -> None:
        self.tool.closed += 1


class Numbers:
    """ports.Ids, in order; several gates on one store need names of their own."""

    def __init__(self, name: str = "a") -> None:
        self.drawn = 0.5  #: what is drawn next
        self._name = name
        self._next = itertools.count(1)

    def action_id(self) -> str:
        return f"{self._name}{next(self._next)}"

    def nonce(self) -> str:
        return f"n-{self._name}{next(self._next)}"

    def draw(self) -> float:
        return self.drawn


class NoonClock:
    """ports.Clock: always noon. Deadlines are the store's business."""

    def now_ms(self) -> int:
        return NOON


@dataclass
class Seen:
    """ports.Observer and ports.Notifier: what was told, in order."""

    moves: list[tuple[Action, Event, Action]] = field(default_factory=list)
    told: list[Action] = field(default_factory=list)
    why: list[Notice] = field(default_factory=list)

    def transition(self, before: Action, event: Event, after: Action) -> None:
        self.moves.append((before, event, after))

    def timed(self, what: str, seconds: float) -> None:
        assert seconds >= 0

    async def notify(self, action: Action, why: Notice) -> None:
        self.told.append(action)
        self.why.append(why)


class World:
    """One gate, its tool, its store, and what a test says in one line."""

    def __init__(self, store: RedisStore, name: str = "a", **gate: Any) -> None:
        self.store, self.tool, self.seen = store, gate.pop("tool", None) or Tool(), Seen()
        usual: dict[str, Any] = {
            "policy": a_policy(),
            "store": store,
            "upstreams": {"bank": self.tool},
            "notifiers": [self.seen],
            "observers": [self.seen],
            "clock": NoonClock(),
            "ids": Numbers(name),
            "seal_key": SEAL_KEY,
            "timing": Timing(lease_ms=60_000, resume_after_ms=0),
        }
        self.gate = Gate(**(usual | gate))

    async def ask(self, level: Level = Level.APPROVE, *, key: str = "", **call: Any) -> Submission:
        """Propose the call of *level*; where it is answered at once, read the answer."""
        submission = await self.gate.submit(self.call(level, **call), key=key)
        if submission.relay is not None:
            await submission.relay.drain()
        return submission

    def call(self, level: Level = Level.APPROVE, **call: Any) -> ToolCall:
        return a_call(target=f"/{OF_LEVEL[level]}?to=bob", **call)

    async def held(self, level: Level = Level.APPROVE, **call: Any) -> Action:
        action = (await self.ask(level, **call)).action
        assert action.state is State.HELD
        return action

    async def says(
        self,
        action: Action,
        who: Reviewer = ANN,
        verdict: Verdict = Verdict.APPROVE,
        *,
        call: ToolCall | None = None,
    ) -> Action:
        review = Review(
            reviewer=who,
            verdict=verdict,
            digest=action.digest,
            version=action.version,
            message="looked at it",
            call=call,
        )
        return await self.gate.review(action.id, review)

    async def quiet(self) -> None:
        """Wait until nothing runs in the background any more."""
        while self.gate.in_flight:
            await asyncio.sleep(0)

    async def now(self, action: Action) -> Action:
        """Return the action as it is stored once the gate is quiet."""
        await self.quiet()
        found = await self.store.get(action.id)
        assert found is not None
        return found

    async def path(self, action: Action) -> list[str]:
        """Return the states that the action went through, from its record."""
        rows = await self.store.history(action.id)
        assert [int(row["version"]) for row in rows] == list(range(1, len(rows) + 1))
        return [row["to"] for row in rows]

    async def forge(self, action: Action, **fields: str | bytes | int) -> None:
        """Write to the store past every script, as an intruder would."""
        name = f"{self.store._prefix}:c:{action.id}"
        await self.store.client.hset(name, mapping=dict(fields))  # type: ignore[misc, arg-type]

    async def raw(self, action: Action) -> dict[bytes, bytes]:
        found: Any = await self.store.client.hgetall(f"{self.store._prefix}:c:{action.id}")  # type: ignore[misc]
        return dict(found)


async def approved_and_crashed(world: World, level: Level = Level.APPROVE, **call: Any) -> Action:
    """Let another process approve a call, and stop before it claims it."""
    other = World(world.store, name=f"x{len(call)}{level.word}", tool=world.tool)

    async def crash(action: Action) -> None:
        assert action.state is State.APPROVED

    other.gate.sender.dispatch = crash  # type: ignore[method-assign]
    action = await other.held(level, **call)
    for who in (ANN, BOB)[: 1 if level is Level.APPROVE else 2]:
        action = await other.says(action, who)
    await other.quiet()
    assert action.state is State.APPROVED
    return action
