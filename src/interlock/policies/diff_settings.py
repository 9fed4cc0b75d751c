"""What two policies differ in as they are written, whether or not a call shows it.

Of each difference it is said which way it goes, where that is certain whatever the call.
"""

from __future__ import annotations

from collections.abc import Set

from ..core.decisions import Reversibility, Stake
from ..core.facts import MILLION
from ..core.rules import Confidence, Limit, Novelty, SessionRisk
from .diff_learning import compare_learning
from .diff_pair import Pair
from .diff_people import compare_people
from .diff_rules import compare_exceptions, compare_rules
from .diff_sheet import CHANGED, LOOSER, STRICTER, Setting, Sheet
from .diff_tools import compare_tools


def differences(
    old: Sheet, new: Sheet, fewer: Set[str] = frozenset(), more: Set[str] = frozenset()
) -> tuple[Setting, ...]:
    """Return the settings of *new* that are not those of *old*: the looser first.

    *fewer*, *more*: rules and exceptions that are known to apply to fewer, or more, calls.
    """
    pair = Pair(old, new)
    _whole(pair)
    compare_rules(pair, fewer, more)
    compare_exceptions(pair, fewer, more)
    compare_tools(pair)
    _limits(pair)
    _signals(pair)
    compare_people(pair)
    compare_learning(pair)
    order = (LOOSER, CHANGED, STRICTER)
    return tuple(sorted(dict.fromkeys(pair.found), key=lambda each: order.index(each.kind)))


def _whole(pair: Pair) -> None:
    old, new = pair.old.policy, pair.new.policy
    pair.flag("mode shadow: nothing is held", old.shadow, new.shadow, LOOSER, "mode")
    for row in Reversibility:
        for stake in Stake:
            what = f"matrix {row.word} x {stake.word}"
            pair.word(what, old.matrix[row][stake], new.matrix[row][stake], "matrix", row.word)
    for name in ("stake", "reversibility", "level"):
        was, now = getattr(old.unknown_tool, name), getattr(new.unknown_tool, name)
        pair.word(f"unknown_tool {name}", was, now, "defaults", "unknown_tool", name)
    pair.word("exception_floor", pair.old.floor, pair.new.floor, "defaults", "exception_floor")


# ---- limits ----------------------------------------------------------------------------------


def _limits(pair: Pair) -> None:
    was = {limit.id: limit for limit in pair.old.policy.limits}
    now = {limit.id: limit for limit in pair.new.policy.limits}
    for name in [*was, *(each for each in now if each not in was)]:
        one, other = was.get(name), now.get(name)
        if one is not None and other is not None:
            _limit(pair, one, other)
        elif one is not None and not one.shadow:
            pair.add(LOOSER, f"limit {name} dropped", "limits", name)
        elif other is not None and not other.shadow:
            pair.add(STRICTER, f"limit {name} added", "limits", name)


def _limit(pair: Pair, old: Limit, new: Limit) -> None:
    who, path = f"limit {old.id}", ("limits", old.id)
    texts = [
        next((each.sum for each in sheet.limits() if each.id == old.id), None)
        for sheet in (pair.old, pair.new)
    ]
    pair.equal(f"{who}: sum", texts[0] or "calls", texts[1] or "calls", *path, "sum")
    field = "count" if texts[1] is None else "max"
    most = [limit.maximum / MILLION for limit in (old, new)]
    pair.number(f"{who}: {field}", most[0], most[1], LOOSER, *path, field)
    pair.time(f"{who}: window", old.window_ms, new.window_ms, STRICTER, *path, "window")
    pair.equal(f"{who}: key", old.key, new.key, *path, "key")
    pair.word(f"{who}: then", old.then, new.then, *path, "then")
    pair.shadow(who, old.shadow, new.shadow, LOOSER, *path, "mode")
    reached = [
        {tool.id for tool in sheet.policy.tools.values() if old.id in {e.id for e in tool.limits}}
        for sheet in (pair.old, pair.new)
    ]
    both = set(pair.old.policy.tools) & set(pair.new.policy.tools)
    pair.members(f"{who}: tool", reached[0] & both, reached[1] & both, STRICTER, *path, "tools")
    unknown = [
        old.id in {each.id for each in sheet.policy.unknown_limits}
        for sheet in (pair.old, pair.new)
    ]
    pair.flag(f"{who}: counts unknown tools", unknown[0], unknown[1], STRICTER, *path, "tools")


# ---- signals ---------------------------------------------------------------------------------


def _signals(pair: Pair) -> None:
    old, new = pair.old.policy, pair.new.policy
    for name in ("confidence", "novelty", "session_risk"):
        was, now = getattr(old, name), getattr(new, name)
        if (was is None) != (now is None):
            kind, said = (STRICTER, "added") if was is None else (LOOSER, "dropped")
            pair.add(kind, f"signal {name} {said}", "signals", name)
    if old.confidence and new.confidence:
        _confidence(pair, old.confidence, new.confidence)
    if old.novelty and new.novelty:
        _novelty(pair, old.novelty, new.novelty)
    if old.session_risk and new.session_risk:
        _risk(pair, old.session_risk, new.session_risk)
    path = ("signals", "session")
    agent = [each.session_scope == "agent" for each in (old, new)]
    pair.flag("session scope is agent", agent[0], agent[1], STRICTER, *path, "scope")
    memory = old.session_memory_ms, new.session_memory_ms
    pair.time("session memory", *memory, STRICTER, *path, "memory")


def _confidence(pair: Pair, old: Confidence, new: Confidence) -> None:
    path = ("signals", "confidence")
    pair.number("confidence: missing", old.missing, new.missing, LOOSER, *path, "missing")
    heeds = old.use == "calibrated", new.use == "calibrated"
    pair.flag("confidence: the calibrated one is heeded", *heeds, STRICTER, *path, "use")
    for stake in Stake:
        below = old.raise_below[stake], new.raise_below[stake]
        here = (*path, "raise_below", stake.word)
        pair.number(f"confidence: raise_below {stake.word}", *below, STRICTER, *here)


def _novelty(pair: Pair, old: Novelty, new: Novelty) -> None:
    path = ("signals", "novelty")
    pair.equal("novelty: key", old.key, new.key, *path, "key")
    pair.time("novelty: memory", old.memory_ms, new.memory_ms, LOOSER, *path, "memory")
    pair.number("novelty: raise", old.steps, new.steps, STRICTER, *path, "raise")


def _risk(pair: Pair, old: SessionRisk, new: SessionRisk) -> None:
    path = ("signals", "session_risk")
    for stake in Stake:
        points = old.points[stake], new.points[stake]
        here = (*path, "points", stake.word)
        pair.number(f"session_risk: points {stake.word}", *points, STRICTER, *here)
    half = old.half_life_ms, new.half_life_ms
    pair.time("session_risk: half_life", *half, STRICTER, *path, "half_life")
    for at in sorted({points for points, _ in (*old.raise_at, *new.raise_at)}):
        steps = _steps(old, at), _steps(new, at)
        what = f"session_risk: raise at {at:.15g} points"
        pair.number(what, *steps, STRICTER, *path, "raise_at")


def _steps(signal: SessionRisk, points: float) -> int:
    return max((steps for at, steps in signal.raise_at if points >= at), default=0)
