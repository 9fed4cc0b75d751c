"""Random lives of many calls that share budgets: what is in use is what the calls take up.

The model is a table of calls, each with its shares and where it stands. Every write is delivered
twice, the store is killed in between, and windows pass.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from interlock.core.actions import State
from interlock.core.decisions import Level
from interlock.core.facts import Counter, Counting, Effects, Needs, Reservation
from interlock.ports import Put
from interlock.store.effects import HEAVIEST
from interlock.store.redis import RedisStore
from tests.store.calls import DAY, HOLDS, OPEN, Calls
from tests.support.stores import Server, fresh_prefix

T = TypeVar("T")
BUDGETS = tuple(Counter(key=name, counting=Counting.SPENT, window_ms=DAY) for name in "kl")
WEIGHTS = st.sampled_from([0, 1, 2, 5, HEAVIEST // 64])
SHARES = st.tuples(WEIGHTS, WEIGHTS)
ROOMS = st.none() | st.integers(0, 12)
WAITING = {"held", "approved"}
COUNTED = WAITING | {"forwarding", "sent"}

STEPS: dict[str, dict[str, str]] = {
    "held": {
        "approved": "approved",
        "rejected": "over",
        "responded": "over",
        "cancelled": "over",
        "expired": "over",
    },
    "approved": {
        "claimed": "forwarding",
        "rejected": "over",
        "cancelled": "over",
        "expired": "over",
        "tightened": "over",
    },
    "forwarding": {
        "answered": "sent",
        "not_sent": "approved",
        "lost": "sent",
        "expired": "sent",
    },
}
"""What may happen to a call, and where it stands then."""
OFTEN = {"approved", "claimed", "not_sent"}


@dataclass
class Life:
    state: str
    shares: tuple[int, int]


class Sharing(RuleBasedStateMachine):
    server: Server
    names = Bundle("names")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.store = RedisStore(self.server.url, prefix=fresh_prefix())
        self.calls = Calls(self.store)
        self.lives: dict[str, Life] = {}
        self.holds = 0

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def in_use(self, *, without: str = "") -> tuple[int, int]:
        live = [
            life.shares
            for name, life in self.lives.items()
            if life.state in COUNTED and name != without
        ]
        return sum(one for one, _ in live), sum(other for _, other in live)

    def effects(self, shares: tuple[int, int], room: int | None) -> Effects:
        taken = [
            Reservation(counter=one, weight=weight, room=room)
            for one, weight in zip(BUDGETS, shares, strict=True)
        ]
        taken += [Reservation(counter=one, weight=1, room=None) for one in (OPEN, HOLDS)]
        return Effects(reservations=tuple(taken))

    def fits(self, shares: tuple[int, int], room: int | None, *, without: str = "") -> bool:
        used = self.in_use(without=without)
        sums = [u + s for u, s in zip(used, shares, strict=True) if s]
        return room is None or all(total <= room for total in sums)

    # what happens --------------------------------------------------------------------------

    @rule(
        target=names,
        level=st.sampled_from([Level.APPROVE_DUAL, Level.APPROVE, Level.ALLOW, Level.DENY]),
        shares=SHARES,
        room=ROOMS,
    )
    def proposed(self, level: Level, shares: tuple[int, int], room: int | None) -> Any:
        name = f"c{len(self.lives)}"
        outcome = self.run(self.calls.proposed(name, self.effects(shares, room), level))
        fits = level is Level.DENY or self.fits(shares, room)
        assert outcome is (Put.OK if fits else Put.FACTS)
        if not fits:
            return multiple()
        held = level in (Level.APPROVE, Level.APPROVE_DUAL)
        self.holds += held
        state = "held" if held else "over" if level is Level.DENY else "forwarding"
        self.lives[name] = Life(state, shares)
        return name

    @rule(picks=st.lists(st.integers(0, 999), min_size=3, max_size=8))
    def things_happen(self, picks: list[int]) -> None:
        for pick in picks:
            may = [
                (name, *step)
                for name, life in self.lives.items()
                for step in STEPS.get(life.state, {}).items()
                for _ in range(4 if step[0] in OFTEN else 1)
            ]
            if may:
                self.happens(*may[pick % len(may)])

    def happens(self, name: str, what: str, state: str) -> None:
        assert self.run(getattr(self.calls, what)(name)) is Put.OK
        action = self.run(self.calls.read(name))
        self.lives[name].state = "held" if action.state is State.HELD else state

    @rule(name=names, shares=SHARES, room=ROOMS)
    def edited(self, name: str, shares: tuple[int, int], room: int | None) -> None:
        life = self.lives[name]
        action = self.run(self.store.get(name))
        if life.state != "held" or action is None or action.edited:
            return
        level = action.decision.level if action.decision else Level.APPROVE
        fits = self.fits(shares, room, without=name)
        outcome = self.run(self.calls.edited(name, self.effects(shares, room), level=level))
        assert outcome is (Put.OK if fits else Put.FACTS)
        if fits:
            life.shares = shares
            life.state = "approved" if level is Level.APPROVE else "held"

    @rule(chance=st.integers(0, 7))
    def the_store_is_killed(self, chance: int) -> None:
        if chance == 7:  # seldom, since it takes as long as a hundred calls
            self.server.kill()
            self.server.start()

    @rule()
    def a_window_passes(self) -> None:
        """Let what was sent have been sent a window ago, as if so much time had passed since."""
        if any(life.state == "forwarding" for life in self.lives.values()):
            return
        self.run(self._aged())
        for life in self.lives.values():
            life.state = "over" if life.state == "sent" else life.state

    async def _aged(self) -> None:
        for counter in BUDGETS:
            key = f"{self.store._prefix}:b:{counter.key}"
            for field, total in (await self.calls.fields(f"b:{counter.key}")).items():
                if field != "p":
                    await self.store.client.hset(key, str(int(field) - 61), total)
                    await self.store.client.hdel(key, field)

    # what always holds ---------------------------------------------------------------------

    @invariant()
    def what_is_in_use_is_what_the_calls_take_up(self) -> None:
        needs = Needs(counters=(*BUDGETS, OPEN, HOLDS))
        facts = self.run(self.store.facts(needs))
        states = [life.state for life in self.lives.values()]
        assert tuple(facts.used[one.key] for one in BUDGETS) == self.in_use()
        assert facts.used["open"] == states.count("held")
        assert facts.used["holds"] == self.holds

    @invariant()
    def no_call_counts_against_itself(self) -> None:
        for name, life in self.lives.items():
            if life.state in WAITING:
                facts = self.run(self.store.facts(Needs(counters=BUDGETS, own=name)))
                used = tuple(facts.used[one.key] for one in BUDGETS)
                assert used == self.in_use(without=name)

    def teardown(self) -> None:
        self.run(self.store.close())
        self.runner.close()


def test_no_random_lives_of_calls_miscount_what_is_in_use(own_server: Server) -> None:
    Sharing.server = own_server
    case = Sharing.TestCase()
    case.settings = settings(
        max_examples=80,
        stateful_step_count=25,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    case.runTest()
