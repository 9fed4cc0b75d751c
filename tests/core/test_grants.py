"""A person's "do not ask again" lowers calls to one target, and nothing else."""

from __future__ import annotations

from dataclasses import fields, replace
from types import MappingProxyType
from typing import Any

import pytest

from interlock.core.actions import Agent, Body, Content, ToolCall
from interlock.core.decisions import Decision, Level, Stake
from interlock.core.digest import grant_mac
from interlock.core.evaluate import decide, prepare
from interlock.core.facts import Grant, blank
from interlock.core.patterns import Discriminator, GraphQL, HttpMatch, Kind, Pattern, Segment
from interlock.core.rules import GrantSpec, Limit, PolicySet, RepeatDenied, Rule, Tool
from tests.core.building import NOON, PAY, call, http, mcp, mcp_call, policy

NOW = int(NOON.timestamp() * 1000)
GRANTED = replace(PAY, grants=GrantSpec(at_most=Level.NOTIFY), target=("to",))
BOB = call(to="bob", amount=100)


def grant(asked: ToolCall = BOB, of: Tool = GRANTED, **changes: Any) -> Grant:
    prepared = prepare(asked, policy(of))
    return replace(
        Grant(
            id="g1",
            key=prepared.needs.grant,
            agent=asked.agent.id,
            tool=of.id,
            target=dict(prepared.target or {}),
            by="ann",
            action_id="a1",
            level=Level.APPROVE,
            stake=Stake.CRITICAL,
            created=NOW - 1,
            expires=NOW + 1,
            uses=3,
        ),
        **changes,
    )


def judged(
    asked: ToolCall = BOB,
    given: Grant | None = None,
    tool: Tool = GRANTED,
    compiled: PolicySet | None = None,
    **facts: Any,
) -> Decision:
    prepared = prepare(asked, compiled or policy(tool))
    known = blank(prepared.needs)
    return decide(prepared, replace(known, grant=given or grant(of=tool), **facts), NOON)


def test_a_grant_lowers_calls_to_its_target_and_one_use_is_taken() -> None:
    decision = judged(call(to="bob", amount=400))

    assert (decision.level, decision.grant, decision.effects.grant) == (Level.NOTIFY, "g1", "g1")
    assert decision.target == {"to": "bob"}
    assert any(line.startswith("grant g1 of ann: at most notify") for line in decision.trace)


@pytest.mark.parametrize(
    "asked",
    [
        call(to="eve", amount=100),
        call(to="bob ", amount=100),
        call(amount=100),
        replace(BOB, agent=Agent(id="other")),
    ],
)
def test_a_grant_lowers_no_other_target_and_no_other_agent(asked: ToolCall) -> None:
    decision = judged(asked)

    assert (decision.level, decision.grant) == (Level.APPROVE, "")


def test_a_tool_that_declares_no_target_is_granted_with_all_its_arguments() -> None:
    """Fault caught: a grant for paying one amount that pays any amount."""
    whole = replace(GRANTED, target=None)
    given = grant(of=whole)

    assert judged(given=given, tool=whole).level is Level.NOTIFY
    assert judged(call(to="bob", amount=101), given, whole).level is Level.APPROVE
    assert judged(call(to="bob", amount=100, memo="x"), given, whole).level is Level.APPROVE


@pytest.mark.parametrize(
    "changes", [{"expires": NOW}, {"used": 3}, {"tool": "other"}, {"key": ""}, {"agent": "eve"}]
)
def test_a_grant_that_ended_is_used_up_or_is_for_something_else_lowers_nothing(
    changes: dict[str, Any],
) -> None:
    assert judged(given=grant(**changes)).level is Level.APPROVE


@pytest.mark.parametrize("less", [{"stake": Stake.LOW}, {"level": Level.NOTIFY}])
def test_a_grant_lowers_nothing_that_weighs_more_than_what_it_was_given_for(
    less: dict[str, Any],
) -> None:
    """Fault caught: a small payment is granted, and a large one to the same account is sent."""
    decision = judged(given=grant(**less))

    assert (decision.level, decision.grant) == (Level.APPROVE, "")
    assert any("given for a call of less weight" in line for line in decision.trace)


def test_a_grant_lowers_nothing_once_policy_grants_no_more() -> None:
    assert judged(tool=replace(GRANTED, grants=None), given=grant()).level is Level.APPROVE


def test_a_grant_never_lowers_where_a_rule_fired_or_policy_denies() -> None:
    dual = replace(GRANTED, rules=(Rule(id="dual", at_least=Level.APPROVE_DUAL),))
    never = replace(GRANTED, rules=(Rule(id="never", deny="No."),))

    assert judged(tool=dual).level is Level.APPROVE_DUAL
    assert judged(tool=never).level is Level.DENY


def test_a_grant_never_lowers_what_a_person_refused_or_what_is_over_its_budget() -> None:
    compiled = policy(GRANTED, repeat_denied=RepeatDenied(within_ms=1, then=Level.APPROVE))
    spent = Limit(id="l", key=("tool",), window_ms=1, maximum=0, then=Level.NOTIFY)

    assert judged(compiled=compiled).level is Level.NOTIFY
    assert judged(compiled=compiled, refused=True).level is Level.APPROVE
    assert judged(tool=replace(GRANTED, limits=(spent,))).level is Level.APPROVE


def test_a_grant_lowers_nothing_in_doubt() -> None:
    assert judged(call(to="bob")).level is Level.APPROVE_DUAL


def test_a_person_may_grant_what_a_grant_would_lower() -> None:
    def offered(asked: ToolCall, tool: Tool = GRANTED) -> bool:
        prepared = prepare(asked, policy(tool))
        return decide(prepared, blank(prepared.needs), NOON).grants

    assert offered(BOB)
    assert not offered(call(to="bob", amount=10))  # nobody is asked about it
    assert not offered(call(to="bob"))  # in doubt
    assert not offered(BOB, replace(GRANTED, grants=None))
    assert not offered(BOB, replace(GRANTED, rules=(Rule(id="r", at_least=Level.NOTIFY),)))


# ---- one grant is for one way of calling the tool -----------------------------------------------

ITEM = Tool(
    id="item",
    match=HttpMatch(
        upstream="bank",
        methods=frozenset({"PUT", "DELETE"}),
        segments=(Segment(Kind.LITERAL, "items"), Segment(Kind.PARAMETER, "id")),
        headers=(Discriminator("x-amz-target", (Pattern("Shop.*"),)),),
        query=(Discriminator("mode", (Pattern("soft"), Pattern("hard"))),),
        json=(Discriminator("op.kind", (Pattern("*"),)),),
        declared=frozenset({"mode", "n"}),
    ),
    casts=MappingProxyType({"id": "number", "n": "number"}),
    grants=GrantSpec(at_most=Level.NOTIFY),
    target=("id", "n"),
)
TARGET, TRACE = ("X-Amz-Target", "Shop.Put"), ("traceparent", "00-1")
PUT = replace(
    call(op={"kind": "a"}, amount=1),
    method="PUT",
    path="/items/9",
    headers=(TARGET, TRACE),
    query=(("mode", "soft"), ("n", "1")),
)


def key(asked: ToolCall, of: Tool = ITEM) -> str:
    found = prepare(asked, policy(of)).needs.grant
    assert found
    return found


def test_what_does_not_say_what_is_done_needs_no_grant_of_its_own() -> None:
    """Fault caught: a grant that no second call is covered by."""
    headers = (("traceparent", "00-2"), ("x-amz-target", "Shop.Put"), ("User-Agent", "x/2"))
    again = replace(
        PUT,
        headers=(*headers, ("Accept-Language", "de"), ("X-Request-Id", "7")),
        content=replace(PUT.content, value={"op": {"kind": "a"}, "amount": 2}),
    )

    assert key(again) == key(PUT)


@pytest.mark.parametrize(
    "change",
    [
        {"method": "DELETE"},
        {"service": "s3"},
        {"region": "eu"},
        {"path": "/items/9.0"},
        {"path": "/items/8"},
        {"query": (("mode", "hard"), ("n", "1"))},
        {"query": (("mode", "soft"), ("n", "1.0"))},
        {"headers": (("X-Amz-Target", "Shop.Drop"), TRACE)},
        {"headers": (TARGET, ("X-Account", "2"))},
        {"headers": (TARGET, ("If-Match", "*"))},
        {"content": Content(kind=Body.JSON, media_type="a/b", value={"op": {"kind": "a"}})},
        {"content": replace(PUT.content, value={"op": {"kind": "b"}, "amount": 1})},
    ],
)
def test_a_grant_is_for_one_way_of_calling_the_tool(change: dict[str, Any]) -> None:
    """Fault caught: "do not ask again" for PUT /items/9 that lets DELETE /items/9 through."""
    other = replace(PUT, **change)

    assert prepare(other, policy(ITEM)).tool is not None
    assert key(other) != key(PUT)


def test_a_refusal_is_remembered_for_every_way_of_calling_the_tool() -> None:
    compiled = policy(ITEM, repeat_denied=RepeatDenied(within_ms=1))
    one, other = (prepare(replace(PUT, method=each), compiled).needs for each in ("PUT", "DELETE"))

    assert one.target == other.target and one.grant != other.grant


def test_a_grant_for_one_tool_of_a_server_is_for_no_other() -> None:
    tool = Tool(id="any", match=mcp("shop", "*_item"), grants=GrantSpec(), target=("id",))
    asked = mcp_call("shop", "get_item", "sha256:aa", id=9)

    assert key(asked, tool) == key(mcp_call("shop", "get_item", "sha256:aa", id=9, x=1), tool)
    assert key(asked, tool) != key(mcp_call("shop", "drop_item", "sha256:aa", id=9), tool)
    assert key(asked, tool) != key(mcp_call("shop", "get_item", "sha256:bb", id=9), tool)


def test_a_graphql_operation_is_part_of_how_a_tool_is_called() -> None:
    match = replace(http(), graphql=GraphQL(type="mutation"))
    tool = Tool(id="gql", match=match, grants=GrantSpec(), target=("variables",))
    one, other = (
        call(query=f"mutation {{ {name} }}", variables={"id": 1}) for name in ("keep", "drop")
    )

    assert key(one, tool) != key(other, tool) and key(one, tool) == key(one, tool)


@pytest.mark.parametrize("spec", [{"uses": 2}, {"longest_ms": 10}, {"uses": 0}, {"longest_ms": 0}])
def test_a_grant_is_no_wider_than_policy_allows_today(spec: dict[str, int]) -> None:
    """Fault caught: lowering `uses` or `longest`, while grants given before go on as they were."""
    given = grant(used=2, created=NOW - 10, expires=NOW + 1000)
    today = replace(GRANTED, grants=replace(GRANTED.grants or GrantSpec(), **spec))

    assert judged(given=given).level is Level.NOTIFY
    assert judged(given=given, tool=today).level is Level.APPROVE


KEY = b"k" * 32
OTHERS: dict[str, Any] = {
    "id": "g2",
    "key": "f" * 32,
    "agent": "eve",
    "tool": "drop",
    "target": {"to": "eve"},
    "by": "eve",
    "action_id": "a2",
    "level": 3,
    "stake": 1,
    "created": 1,
    "expires": 2**50,
    "uses": 10**6,
    "reason": "Because.",
    "method": "DELETE",
    "path": "/other",
}


def test_every_field_of_a_grant_but_its_uses_is_bound() -> None:
    assert {field.name for field in fields(Grant)} == OTHERS.keys() | {"used", "mac"}
    assert grant_mac(grant(used=2, mac="x"), KEY) == grant_mac(grant(), KEY)
    assert grant_mac(grant(), b"j" * 32) != grant_mac(grant(), KEY)


@pytest.mark.parametrize("name", OTHERS)
def test_whoever_writes_to_the_store_changes_no_grant(name: str) -> None:
    """Fault caught: a grant of a week that the store makes one of a century."""
    assert grant_mac(grant(**{name: OTHERS[name]}), KEY) != grant_mac(grant(), KEY)
