"""put.lua guards what lifecycle.py says: the tables agree, and each operation does as they say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import pytest
import redis

from interlock.core.actions import State, Verdict
from interlock.core.events import Decided, Event, Reviewed
from interlock.core.lifecycle import FINAL, TRANSITIONS
from interlock.store.lua import packed, source
from interlock.store.operations import OPERATION
from tests.store.explorer import operation
from tests.support.stores import Server, fresh_prefix

S = State


def table(name: str) -> dict[str, set[str]]:
    """Read a table of sets from put.lua."""
    text = source("put").partition(f"local {name} = {{\n")[2].partition("\n}")[0]
    rows = re.findall(r"(\w+)\s*= \{([^}]*)\}", text)
    return {op: set(re.findall(r"(\w+) = true", row)) for op, row in rows}


FROM, TO = table("FROM"), table("TO")
PAIRS = {(op, a, b) for op in FROM for a, b in product(FROM[op], TO[op])}


def operations_of(kind: type[Event], after: State) -> set[str]:
    """Name the operations that RedisStore may use for an event that leads to *after*."""
    if kind is Decided:
        return {"allow"} if after is S.APPROVED else {"decide"}
    if kind is Reviewed and after in (S.DENIED, S.CANCELLED):  # cancelled: a practice call
        return {"deny" if after is S.DENIED else "cancel"}
    if kind is Reviewed:
        verdicts = {
            S.REJECTED: {Verdict.REJECT},
            S.RESPONDED: {Verdict.RESPOND},
        }.get(after, {Verdict.APPROVE, Verdict.EDIT})
        return {verdict.value for verdict in verdicts}
    return {OPERATION[kind]}


def expected() -> set[tuple[str, str, str]]:
    """Return (operation, from, to) for every transition of the core's table."""
    found = set()
    for (state, kind), targets in TRANSITIONS.items():
        for after in targets:
            for op in operations_of(kind, after):
                before = "none" if state is S.PROPOSED else state.value
                # an allowed call is decided and claimed in one write
                found.add((op, before, "forwarding" if op == "allow" else after.value))
    return found


def test_the_store_allows_exactly_the_transitions_of_the_core() -> None:
    assert set(FROM) == set(TO)
    crossed = PAIRS - expected()
    # `lapse` names both its ends in one row; the clock alone decides which one it is
    assert crossed == {
        ("lapse", "held", "unknown"),
        ("lapse", "approved", "unknown"),
        ("lapse", "forwarding", "expired"),
    }
    assert expected() <= PAIRS


def test_the_store_knows_which_states_are_final() -> None:
    text = re.sub(r"\s+", " ", source("put"))
    row = text.partition("local FINAL = {")[2].partition("}")[0]

    assert set(re.findall(r"(\w+) = true", row)) == {state.value for state in FINAL}


@dataclass
class Lua:
    """The shipped script on one key space, its answers as text."""

    client: redis.Redis
    prefix: str

    def run(self, *arguments: str) -> list[str]:
        rows = self.client.eval(source("put"), 1, self.prefix, packed(*arguments))
        return list(rows[0])  # type: ignore[index]

    def record(self) -> dict[str, str]:
        return dict(self.client.hgetall(f"{self.prefix}:c:a"))  # type: ignore[arg-type]


@pytest.fixture
def lua(server: Server) -> Iterator[Lua]:
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        yield Lua(client, "{" + fresh_prefix() + "}")


HOLD = operation("decide", "held", "n0", 0, ttl=60_000, digest="d0", quorum=1)
APPROVE = operation("approve", "approved", "n1", 1, ttl=9000, digest="d0", quorum=1, who="ann")
CLAIM = operation("claim", "forwarding", "n2", 2, ttl=60_000, digest="d0")
LOSE = operation("lose", "unknown", "n2", 0)
WAYS: dict[str, list[tuple[str, ...]]] = {
    "none": [],
    "denied": [operation("decide", "denied", "n0", 0, digest="d0")],
    "held": [HOLD],
    "approved": [HOLD, APPROVE],
    "rejected": [HOLD, operation("reject", "rejected", "n1", 1, who="ann")],
    "responded": [HOLD, operation("respond", "responded", "n1", 1, who="ann")],
    "cancelled": [HOLD, operation("cancel", "cancelled", "n1", 1)],
    "forwarding": [HOLD, APPROVE, CLAIM],
    "answered": [HOLD, APPROVE, CLAIM, operation("answer", "answered", "n2", 0)],
    "unknown": [HOLD, APPROVE, CLAIM, LOSE],
    "resolved": [HOLD, APPROVE, CLAIM, LOSE, operation("resolve", "resolved", "n4", 4)],
    "expired": [
        operation("decide", "held", "n0", 0, ttl=-1, digest="d0", quorum=1),
        operation("lapse", "expired", "n1", 1),
    ],
}
"""How a fresh key space comes to each state."""


def asked(op: str, to: str, version: int) -> tuple[str, ...]:
    """One operation that nothing but the state can stop."""
    owned = op in ("answer", "notsent", "lose")
    new = op in ("decide", "allow")
    return operation(
        *(op, to, "n2" if owned else "fresh", version),
        ttl=60_000,
        digest="d1" if op == "edit" else "d0",
        who="bob",
        quorum=1,
        call="b" if new or op == "edit" else "",
    )


def test_there_is_a_way_to_every_state_that_is_stored() -> None:
    assert set(WAYS) == {state.value for state in State} - {"proposed"} | {"none"}


@pytest.mark.parametrize(("op", "state"), list(product(FROM, WAYS)))
def test_an_operation_does_in_each_state_what_the_table_says(lua: Lua, op: str, state: str) -> None:
    for step in WAYS[state]:
        assert lua.run(*step)[0] == "OK"
    before = lua.record()
    assert before.get("st", "none") == state
    to = min(TO[op])  # of held and approved: approved, as one vote is enough here

    result = lua.run(*asked(op, to, int(before.get("ver", 0))))

    after = lua.record()
    if op == "lapse":
        early = state in FROM["lapse"]
        assert result[:2] == (["EARLY", state] if early else ["ILLEGAL", state])
        assert after == before
    elif state in FROM[op]:
        assert result[:2] == ["OK", to]
        assert after["st"] == to and int(after["ver"]) > int(before.get("ver", 0))
    elif (op, state) in (("lose", "unknown"), ("answer", "answered")):
        assert result[:2] == ["OK", state], "its own report, delivered again"
        assert after == before
    else:
        assert result[:2] == ["ILLEGAL", state]
        assert after == before


@pytest.mark.parametrize(("op", "state"), [(op, a) for op in FROM for a in sorted(FROM[op])])
def test_a_repeated_operation_answers_as_the_first_and_changes_nothing(
    lua: Lua, op: str, state: str
) -> None:
    for step in WAYS[state]:
        lua.run(*step)
    command = asked(op, min(TO[op]), int(lua.record().get("ver", 0)))
    first, once = lua.run(*command), lua.record()
    again, twice = lua.run(*command), lua.record()

    assert again[:3] == first[:3]
    assert once == twice


@pytest.mark.parametrize("state", WAYS)
def test_every_version_has_one_event_without_a_gap(lua: Lua, state: str) -> None:
    for step in WAYS[state]:
        lua.run(*step)
    record = lua.record()
    events = {int(name[2:]): value for name, value in record.items() if name.startswith("e:")}

    assert sorted(events) == list(range(1, int(record.get("ver", 0)) + 1))
    path = [events[n].split(" ")[2:4] for n in sorted(events)]
    assert [a for a, _ in path] == ["proposed", *(b for _, b in path)][: len(path)]
    assert all(b == state for _, b in path[-1:])


def test_many_operations_in_one_call_are_answered_one_by_one(lua: Lua) -> None:
    other = operation("decide", "denied", "n9", 0, id="b", digest="d0")
    rows = lua.client.eval(
        source("put"), 1, lua.prefix, packed(*HOLD), packed(*other), packed(*APPROVE)
    )

    assert [row[:2] for row in rows] == [["OK", "held"], ["OK", "denied"], ["OK", "approved"]]  # type: ignore[union-attr]


def test_an_allowed_call_is_decided_and_claimed_in_one_write_with_two_events(lua: Lua) -> None:
    result = lua.run(*operation("allow", "forwarding", "n0", 0, ttl=60_000, digest="d0"))

    record = lua.record()
    assert result[:3] == ["OK", "forwarding", "2"]
    assert record["e:1"].split(" ")[2:4] == ["proposed", "approved"]
    assert record["e:2"].split(" ")[2:4] == ["approved", "forwarding"]
    assert record["owner_nonce"] == "n0" and record["adigest"] == "d0"


def test_only_finished_calls_are_ever_forgotten(lua: Lua) -> None:
    for state in ("held", "approved", "forwarding", "unknown"):
        for step in WAYS[state]:
            lua.run(*step)
        assert lua.client.ttl(f"{lua.prefix}:c:a") == -1, state
    lua.run(*operation("resolve", "resolved", "n4", 4))

    assert lua.client.ttl(f"{lua.prefix}:c:a") > 0  # type: ignore[operator]
