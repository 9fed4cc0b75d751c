"""What holds for every policy, call and past: nothing that is added, more, or missing loosens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from interlock.core.actions import Body, Content, Context, McpTool, ToolCall
from interlock.core.decisions import Decision, Level, Reversibility, Stake
from interlock.core.evaluate import decide, prepare
from interlock.core.facts import MILLION, Facts, Session, blank
from interlock.core.rules import (
    Attention,
    Audit,
    Caps,
    Confidence,
    Environment,
    Exception_,
    Facet,
    GrantSpec,
    Indeterminate,
    Levels,
    LevelSpec,
    Limit,
    Novelty,
    PolicySet,
    RepeatDenied,
    Rule,
    SessionRisk,
    Tool,
)
from tests.core.building import AMOUNT, NOON, PAY, a_grant, arg, call, mcp, policy

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
ARGUMENTS = st.dictionaries(st.sampled_from(["amount", "to", "memo", "x"]), JSON, max_size=4)


def more_than(bound: float) -> Callable[[Environment], bool]:
    def holds(seen: Environment) -> bool:
        value = arg("amount")(seen)
        if type(value) not in (int, float) or value != value:
            raise Indeterminate("args.amount is not a number")
        return bool(value > bound)

    return holds


def tainted(seen: Environment) -> bool:
    if "writes" not in seen["session"]:
        raise Indeterminate("session.writes is missing")
    return bool(seen["session"]["writes"] > 0)


CONDITIONS = st.sampled_from([None, more_than(10), more_than(1000), tainted, lambda seen: False])
LEVELS = st.sampled_from([Level.NOTIFY, Level.APPROVE, Level.APPROVE_DUAL])
RULES = st.builds(
    Rule,
    id=st.uuids().map(str),
    when=CONDITIONS,
    at_least=st.sampled_from(list(Level)[:4]),
    stake=st.sampled_from(Stake),
    reversibility=st.sampled_from(Reversibility),
    deny=st.sampled_from([None, None, None, "No."]),
)
LIMITS = st.builds(
    Limit,
    id=st.uuids().map(str),
    key=st.lists(
        st.sampled_from(["agent.id", "session.id", "tool", "target", "args.to"]), max_size=2
    ).map(tuple),
    window_ms=st.just(60_000),
    value=st.sampled_from([None, arg("amount")]),
    maximum=st.sampled_from([0, 5 * MILLION, 10**12]),
    then=LEVELS | st.just(Level.DENY),
)
EXCEPTIONS = st.builds(
    Exception_,
    id=st.uuids().map(str),
    when=st.sampled_from([lambda seen: True, more_than(100)]),
    at_most=st.sampled_from(list(Level)[:3]),
    owner=st.just("ann"),
    reason=st.just("Because."),
    expires=st.just(NOON.date() + timedelta(days=1)),
)
TOOLS = st.builds(
    Tool,
    id=st.just("pay"),
    match=st.just(PAY.match),
    reversibility=st.sampled_from(Reversibility),
    facets=st.sampled_from([(), (AMOUNT,), (AMOUNT, Facet(name="d", shown="d", stake=Stake(1)))]),
    rules=st.lists(RULES, max_size=2).map(tuple),
    limits=st.lists(LIMITS, max_size=2).map(tuple),
    exceptions=st.lists(EXCEPTIONS, max_size=1).map(tuple),
    target=st.sampled_from([None, ("to",)]),
    grants=st.sampled_from([None, GrantSpec()]),
    asks=st.just(frozenset({"session"})),
    shadow=st.sampled_from([False, False, True]),
)
RISK = SessionRisk(raise_at=((10, 1), (50, 2)))
SETTINGS = st.fixed_dictionaries(
    {
        "confidence": st.sampled_from([None, Confidence(raise_below=(0.2, 0.5, 0.8, 1.0))]),
        "novelty": st.sampled_from([None, Novelty(), Novelty(steps=2)]),
        "session_risk": st.sampled_from([None, RISK]),
        "caps": st.sampled_from([Caps(), Caps(open_per_session=2)]),
        "repeat_denied": st.sampled_from(
            [None, RepeatDenied(within_ms=1), RepeatDenied(within_ms=1, then=Level.APPROVE)]
        ),
    }
)
SESSIONS = st.none() | st.builds(
    Session, points=st.sampled_from([0.0, 20.0, 60.0]), writes=st.integers(0, 1)
)
PASTS = st.fixed_dictionaries(
    {
        "familiar": st.sampled_from([None, False, True]),
        "session": SESSIONS,
        "refused": st.booleans(),
    }
)
USED = st.sampled_from([0, 1, MILLION, 4 * MILLION, 10**13])
ASKED = st.builds(
    lambda arguments, confidence: call(_confidence=confidence, **arguments),
    st.dictionaries(
        st.sampled_from(["amount", "to"]),
        st.integers(-10, 20_000) | st.sampled_from(["bob", None]),
        max_size=2,
    ),
    st.none() | st.floats(0, 1),
)


def judged(asked: ToolCall, compiled: PolicySet, past: dict[str, Any], used: Any = 0) -> Decision:
    prepared = prepare(asked, compiled)
    known = {counter.key: used for counter in prepared.needs.counters}
    return decide(prepared, Facts(used=known, **past), NOON)


def total(decision: Decision) -> tuple[Level, Level]:
    """What is asked for, and what would be if nothing were on trial."""
    return decision.level, decision.would_be or decision.level


def stricter_or_same(after: Decision, before: Decision) -> bool:
    return all(a >= b for a, b in zip(total(after), total(before), strict=True))


@given(tool=TOOLS, rule=RULES, settings=SETTINGS, asked=ASKED, past=PASTS, used=USED)
def test_adding_a_rule_never_loosens(
    tool: Tool, rule: Rule, settings: Any, asked: ToolCall, past: Any, used: int
) -> None:
    before = judged(asked, policy(tool, **settings), past, used)
    after = judged(asked, policy(replace(tool, rules=(*tool.rules, rule)), **settings), past, used)

    assert stricter_or_same(after, before)


@given(tool=TOOLS, limit=LIMITS, settings=SETTINGS, asked=ASKED, past=PASTS, used=USED)
def test_adding_a_limit_never_loosens(
    tool: Tool, limit: Limit, settings: Any, asked: ToolCall, past: Any, used: int
) -> None:
    before = judged(asked, policy(tool, **settings), past, used)
    more = replace(tool, limits=(*tool.limits, limit))
    after = judged(asked, policy(more, **settings), past, used)

    assert stricter_or_same(after, before)


@given(tool=TOOLS, settings=SETTINGS, asked=ASKED, past=PASTS, used=USED)
def test_adding_a_signal_a_cap_or_a_memory_never_loosens(
    tool: Tool, settings: Any, asked: ToolCall, past: Any, used: int
) -> None:
    bare = judged(asked, policy(tool), past, used)
    full = judged(asked, policy(tool, **settings), past, used)

    assert stricter_or_same(full, bare)


@given(
    tool=TOOLS.map(lambda tool: replace(tool, exceptions=())),
    settings=SETTINGS,
    amounts=st.tuples(st.integers(0, 20_000), st.integers(0, 20_000)).map(sorted),
    past=PASTS,
    used=USED,
)
def test_more_money_is_never_less_oversight(
    tool: Tool, settings: Any, amounts: list[int], past: Any, used: int
) -> None:
    compiled = policy(tool, **settings)

    small, large = (judged(call(amount=each), compiled, past, used) for each in amounts)

    assert stricter_or_same(large, small)


@given(
    tool=TOOLS,
    settings=SETTINGS,
    claims=st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted),
    amount=st.integers(0, 20_000),
    past=PASTS,
)
def test_less_confidence_is_never_less_oversight(
    tool: Tool, settings: Any, claims: list[float], amount: int, past: Any
) -> None:
    compiled = policy(tool, **settings)

    shy, bold = (judged(call(_confidence=each, amount=amount), compiled, past) for each in claims)

    assert stricter_or_same(shy, bold)


CALIBRATED = st.none() | st.floats(0, 1) | st.sampled_from([float("nan"), -1.0, 2.0])


@given(tool=TOOLS, settings=SETTINGS, asked=ASKED, past=PASTS, used=USED, calibrated=CALIBRATED)
def test_a_calibrated_confidence_never_loosens_what_the_claimed_one_gives(
    tool: Tool, settings: Any, asked: ToolCall, past: Any, used: int, calibrated: float | None
) -> None:
    """Fault caught: comparing the calibrated one alone, which a shy agent may be below."""
    signal = Confidence(raise_below=(0.2, 0.5, 0.8, 1.0))
    known = {**past, "calibrated": calibrated}

    def by(use: str) -> Decision:
        settings_ = {**settings, "confidence": replace(signal, use=use)}
        return judged(asked, policy(tool, **settings_), known, used)

    assert stricter_or_same(by("calibrated"), by("claimed"))


@given(
    tool=TOOLS,
    settings=SETTINGS,
    corrected=st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted),
    asked=ASKED,
    past=PASTS,
)
def test_a_lower_calibrated_confidence_is_never_less_oversight(
    tool: Tool, settings: Any, corrected: list[float], asked: ToolCall, past: Any
) -> None:
    signal = Confidence(raise_below=(0.2, 0.5, 0.8, 1.0), use="calibrated")
    compiled = policy(tool, **{**settings, "confidence": signal})

    low, high = (judged(asked, compiled, {**past, "calibrated": each}) for each in corrected)

    assert stricter_or_same(low, high)


@given(
    tool=TOOLS,
    settings=SETTINGS,
    asked=ASKED,
    past=PASTS,
    used=USED,
    share=st.floats(0, 1),
    of_tool=st.floats(0, 1),
)
def test_a_share_of_audits_decides_nothing_and_is_of_calls_that_go_through_unasked(
    tool: Tool,
    settings: Any,
    asked: ToolCall,
    past: Any,
    used: int,
    share: float,
    of_tool: float,
) -> None:
    """Fault caught: drawing calls that people decide, so that they weigh twice in estimates."""
    audit = Audit(share=share, tools={tool.id: of_tool})
    bare = judged(asked, policy(tool, **settings), past, used)
    drawn = judged(asked, policy(tool, audit=audit, **settings), past, used)

    assert repr(replace(drawn, audit_share=0.0)) == repr(bare)  # NaN is not equal to itself
    assert drawn.audit_share == (max(share, of_tool) if drawn.level <= Level.NOTIFY else 0.0)


@given(
    tool=TOOLS,
    settings=SETTINGS,
    stakes=st.tuples(st.sampled_from(Stake), st.sampled_from(Stake)).map(sorted),
    past=PASTS,
    used=USED,
)
def test_more_stake_is_never_less_oversight(
    tool: Tool, settings: Any, stakes: list[Stake], past: Any, used: int
) -> None:
    def at(stake: Stake) -> Decision:
        fixed = replace(tool, facets=(Facet(name="data", shown="data", stake=stake),))
        return judged(call(amount=1), policy(fixed, **settings), past, used)

    assert stricter_or_same(at(stakes[1]), at(stakes[0]))


@given(
    tool=TOOLS,
    rules=st.permutations(range(3)),
    extra=st.lists(RULES, min_size=3, max_size=3),
    limits=st.lists(LIMITS, min_size=3, max_size=3),
    settings=SETTINGS,
    asked=ASKED,
    past=PASTS,
    used=USED,
)
def test_the_order_of_rules_limits_and_facets_does_not_matter(
    tool: Tool,
    rules: list[int],
    extra: list[Rule],
    limits: list[Limit],
    settings: Any,
    asked: ToolCall,
    past: Any,
    used: int,
) -> None:
    one = replace(tool, rules=tuple(extra), limits=tuple(limits))
    other = replace(
        tool,
        rules=tuple(extra[i] for i in rules),
        limits=tuple(limits[i] for i in rules),
        facets=tool.facets[::-1],
    )

    first = judged(asked, policy(one, **settings), past, used)
    second = judged(asked, policy(other, **settings), past, used)

    assert total(first) == total(second)
    assert {hit.id for hit in first.rules} == {hit.id for hit in second.rules}
    assert (set(first.limits), first.stake) == (set(second.limits), second.stake)
    assert set(first.effects.reservations) == set(second.effects.reservations)


@given(tool=TOOLS, settings=SETTINGS, asked=ASKED, past=PASTS, used=USED)
def test_what_is_missing_of_the_past_never_loosens(
    tool: Tool, settings: Any, asked: ToolCall, past: Any, used: int
) -> None:
    """Fault caught: a store that forgets and a policy that takes that for innocence."""
    compiled = policy(tool, **settings)
    known = judged(asked, compiled, past, used)

    for name in ("familiar", "session"):
        assert stricter_or_same(judged(asked, compiled, {**past, name: None}, used), known)
    assert stricter_or_same(judged(asked, compiled, past, None), known)


@given(
    tool=TOOLS,
    settings=SETTINGS,
    asked=ASKED,
    past=PASTS,
    used=st.tuples(USED, USED).map(sorted),
)
def test_a_fuller_budget_or_queue_is_never_less_oversight(
    tool: Tool, settings: Any, asked: ToolCall, past: Any, used: list[int]
) -> None:
    compiled = policy(tool, **settings)

    empty, full = (judged(asked, compiled, past, each) for each in used)

    assert stricter_or_same(full, empty)


@given(tool=TOOLS, settings=SETTINGS, asked=ASKED, past=PASTS, used=USED)
def test_a_grant_lowers_only_where_nothing_fired_and_never_what_is_denied(
    tool: Tool, settings: Any, asked: ToolCall, past: Any, used: int
) -> None:
    compiled = policy(tool, **settings)
    prepared = prepare(asked, compiled)
    grant = a_grant(prepared, "pay")

    before = judged(asked, compiled, past, used)
    after = judged(asked, compiled, {**past, "grant": grant}, used)

    if after.grant:
        fired = before.rules or before.limits and before.reason != "cap"
        assert not (fired or after.indeterminate or past["refused"] and compiled.repeat_denied)
        assert tool.grants is not None and total(after)[1] is tool.grants.at_most
        assert before.level is not Level.DENY or before.reason == "cap"
    else:
        assert total(after) == total(before)


@given(
    arguments=JSON | ARGUMENTS,
    used=JSON,
    familiar=JSON,
    points=JSON,
    task=st.none() | st.text(),
    kind=st.sampled_from(Body),
    mcp_name=st.none() | st.text(max_size=5),
    hints=st.dictionaries(st.sampled_from(["readOnlyHint", "destructiveHint"]), JSON),
    tool=TOOLS,
    settings=SETTINGS,
)
def test_judging_never_raises_whatever_the_call_and_the_past_are(
    arguments: Any,
    used: Any,
    familiar: Any,
    points: Any,
    task: str | None,
    kind: Body,
    mcp_name: str | None,
    hints: dict[str, Any],
    tool: Tool,
    settings: Any,
) -> None:
    named = None if mcp_name is None else McpTool(name=mcp_name, annotations=hints)
    asked = replace(
        call(),
        content=Content(kind=kind, media_type="x/y", value=arguments),
        context=Context(session=task or "", confidence=points),
        mcp=named,
    )
    other = Tool(id="any", match=mcp("bank", "*"), limits=tool.limits)
    past = {"familiar": familiar, "session": Session(points=points), "task": task}

    decision = judged(asked, policy(tool, other, **settings), past, used)

    assert isinstance(decision.level, Level)
    assert decision.trace


@given(tool=TOOLS, settings=SETTINGS, asked=ASKED, past=PASTS, used=USED)
def test_a_denied_call_keeps_nothing_and_every_other_takes_its_shares(
    tool: Tool, settings: Any, asked: ToolCall, past: Any, used: int
) -> None:
    decision = judged(asked, policy(tool, **settings), past, used)
    effects = decision.effects

    if decision.level is Level.DENY:
        assert not effects
    for share in effects.reservations:
        assert share.weight > 0
        assert share.room is None or used + share.weight <= share.room


@given(tool=TOOLS, settings=SETTINGS, asked=ASKED)
def test_the_first_call_ever_is_judged_without_doubt_about_the_past(
    tool: Tool, settings: Any, asked: ToolCall
) -> None:
    compiled = policy(tool, **settings)
    prepared = prepare(asked, compiled)

    decision = decide(prepared, blank(prepared.needs), NOON)

    told = [line for line in decision.trace if "not known" in line or "unknown points" in line]
    assert told == []


def no_less(one: LevelSpec, both: LevelSpec) -> Levels:
    """Levels as they are compiled: two people look as one alone would have to, or more."""
    more = replace(
        both,
        dwell_ms=max(one.dwell_ms, both.dwell_ms),
        step_up=one.step_up or both.step_up,
        folded=one.folded or both.folded,
    )
    return Levels(approve=one, approve_dual=more)


SPECS = st.builds(
    LevelSpec,
    quorum=st.integers(1, 3),
    dwell_ms=st.sampled_from([0, 5000, 10_000]),
    step_up=st.booleans(),
    folded=st.booleans(),
)
ATTENTION = st.builds(Attention, batch=st.sampled_from([None, Stake.LOW, Stake.MEDIUM]))


@given(
    tool=TOOLS,
    rule=RULES,
    limit=LIMITS,
    levels=st.builds(no_less, SPECS, SPECS),
    attention=ATTENTION,
    asked=ASKED,
    past=PASTS,
    used=USED,
)
def test_nothing_that_is_added_shortens_a_look_or_makes_a_batch(
    tool: Tool,
    rule: Rule,
    limit: Limit,
    levels: Levels,
    attention: Attention,
    asked: ToolCall,
    past: Any,
    used: int,
) -> None:
    more = replace(tool, rules=(*tool.rules, rule), limits=(*tool.limits, limit))
    before, after = (
        judged(asked, policy(each, levels=levels, attention=attention), past, used)
        for each in (tool, more)
    )
    held = [each.level in (Level.APPROVE, Level.APPROVE_DUAL) for each in (before, after)]

    assert not after.batch or before.batch or not held[0]
    if all(held):
        looks = [(each.dwell_ms, each.step_up, each.folded) for each in (before, after)]
        assert all(b >= a for a, b in zip(*looks, strict=True))
    if not held[1]:
        assert not (after.dwell_ms or after.step_up or after.folded or after.batch)
