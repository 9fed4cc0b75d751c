"""The judge: a call, a policy and the time in; a decision with its reasons out.

    level = matrix[reversibility][stake] joined with every rule's floor, then raised by signals,
    then lowered by an exception where nothing fired and nothing was in doubt; deny absorbs.

Raising is a join in a lattice: no order of rules or files matters, and adding a rule loosens
nothing. Whatever cannot be evaluated counts against the call.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .actions import Body, ToolCall
from .arguments import Arguments, environment, read_arguments
from .decisions import Decision, Level, Reversibility, RuleHit, Stake
from .matching import Missing
from .rules import Environment, Exception_, Facet, Indeterminate, LevelSpec, PolicySet, Rule, Tool

_NO_EXCEPTION = frozenset({Level.ALLOW, Level.DENY})


def evaluate(call: ToolCall, policy: PolicySet, facts: Mapping[str, Any], at: datetime) -> Decision:
    """Judge *call* by *policy* at the time *at* (aware). Never raises: an error is a refusal.

    *facts* is what the gate fetched about the past; nothing reads it in this version.
    """
    try:
        return _evaluate(call, policy, at)
    except Exception as error:  # the outermost guard: any error is a refusal
        return Decision(
            level=Level.DENY,
            policy=policy.ref,
            reason="evaluation_error",
            message="This call could not be judged, so it was refused. Nothing was sent.",
            trace=(f"evaluation failed: {type(error).__name__}: {str(error)[:200]}",),
        )


@dataclass(slots=True)
class _Judging:
    """What has been found so far; everything in it only rises until the exceptions."""

    stake: Stake = Stake.LOW
    reversibility: Reversibility = Reversibility.READ_ONLY
    facet: str = ""
    floor: Level = Level.ALLOW
    level: Level = Level.ALLOW
    reason: str = ""
    indeterminate: bool = False
    message: str = ""
    denials: list[str] = field(default_factory=list)
    hits: list[RuleHit] = field(default_factory=list)
    shadow: list[str] = field(default_factory=list)
    signals: list[str] = field(default_factory=list)
    exceptions: list[str] = field(default_factory=list)
    trace: list[str] = field(default_factory=list)


def _evaluate(call: ToolCall, policy: PolicySet, at: datetime) -> Decision:
    found = policy.catalogue.find(call)
    if isinstance(found, Missing):
        return _unknown(call, policy, found, at)
    tool = policy.tools[found.tool]
    judging = _Judging(reversibility=tool.reversibility)
    judging.trace.append(f"tool {tool.id}: {tool.match.upstream} {call.method} {call.path}")
    arguments = read_arguments(call, found.path, tool)
    if not _well_formed(tool, arguments, judging):
        return _decided(policy, judging, tool, arguments)
    seen = environment(call, tool, arguments.values, at)
    for facet in tool.facets:
        _weigh(facet, seen, judging)
    _apply_rules(tool.rules, seen, judging)
    _content(call, tool, judging)
    cell = policy.matrix[judging.reversibility][judging.stake]
    judging.level = max(cell, judging.floor)
    judging.trace.append(
        f"matrix {judging.reversibility.word} x {judging.stake.word}: {cell.word}"
        + (f"; raised to {judging.floor.word}" if judging.floor > cell else "")
    )
    _heed_confidence(call.context.confidence, policy, judging)
    _except(tool.exceptions, seen, at, judging)
    if judging.level is Level.DENY and not judging.denials:
        judging.message = (
            f"Agents may not do this: {tool.id} is {judging.reversibility.word} at "
            f"{judging.stake.word} stake. A person does it outside the agent."
        )
    return _decided(policy, judging, tool, arguments)


def _well_formed(tool: Tool, arguments: Arguments, judging: _Judging) -> bool:
    if arguments.ambiguous:
        reason, message = "ambiguous_argument", arguments.ambiguous
    elif tool.invalid is not None and (why := tool.invalid(arguments.values)):
        reason = "args_schema_mismatch"
        message = f"The arguments do not fit {tool.id}: {why}. Correct the call and send it again."
    else:
        return True
    judging.level, judging.reason, judging.message = Level.DENY, reason, message
    judging.stake = Stake.CRITICAL
    judging.trace.append(f"refused, {reason}: {message}")
    return False


def _weigh(facet: Facet, seen: Environment, judging: _Judging) -> None:
    stake, shown = facet.stake, facet.shown
    if facet.value is not None:
        try:
            amount = facet.value(seen)
            stake, shown = _band(facet, amount), f"{facet.shown} = {amount}"
        except Indeterminate as doubt:
            judging.indeterminate = True
            stake, shown = facet.bands[-1].stake, f"{facet.shown} (indeterminate: {doubt})"
    judging.trace.append(f"facet {facet.name} {shown}: {stake.word}")
    if not judging.facet or stake > judging.stake:
        judging.stake, judging.facet = stake, facet.name


def _band(facet: Facet, amount: Any) -> Stake:
    if type(amount) not in (int, float) or not math.isfinite(amount):
        raise Indeterminate(f"{facet.shown} is not a finite number")
    # A sign may mean direction, never less weight.
    size = abs(amount)
    for band in facet.bands:
        if band.upto is None or size <= band.upto:
            return band.stake
    return Stake.CRITICAL


def _apply_rules(rules: tuple[Rule, ...], seen: Environment, judging: _Judging) -> None:
    trace = judging.trace
    for rule in rules:
        doubt = ""
        try:
            fires = rule.when is None or rule.when(seen)
        except Indeterminate as unclear:
            fires, doubt = True, str(unclear) or "cannot be evaluated"
        if not fires:
            trace.append(f"rule {rule.id}: false")
        elif rule.shadow:
            trace.append(f"rule {rule.id} (shadow): {_answer(doubt)} -> {rule.effect}")
            judging.shadow.append(rule.id)
        else:
            trace.append(f"rule {rule.id}: {_answer(doubt)} -> {rule.effect}")
            _fire(rule, doubt, judging)


def _answer(doubt: str) -> str:
    return f"indeterminate ({doubt}), so it fires" if doubt else "true"


def _fire(rule: Rule, doubt: str, judging: _Judging) -> None:
    judging.hits.append(
        RuleHit(id=rule.id, effect=rule.effect, description=rule.description, indeterminate=doubt)
    )
    judging.indeterminate |= bool(doubt)
    judging.floor = max(judging.floor, rule.at_least)
    judging.reversibility = max(judging.reversibility, rule.reversibility)
    if rule.stake > judging.stake:
        judging.stake, judging.facet = rule.stake, rule.id
    if rule.deny is not None:
        judging.floor = Level.DENY
        judging.denials.append(rule.deny)


def _content(call: ToolCall, tool: Tool, judging: _Judging) -> None:
    kind = call.content.kind
    if kind is Body.NONE or kind in tool.bodies or Body.OPAQUE in tool.bodies:
        return
    judging.floor = max(judging.floor, Level.APPROVE)
    judging.reason = "unknown_content_type"
    judging.message = (
        f"{tool.id} is not known to take a body of type "
        f"{call.content.media_type or 'unknown'!r}, so a person decides."
    )
    judging.trace.append(f"body {kind.value} {call.content.media_type}: not declared, held")


def _heed_confidence(claimed: float | None, policy: PolicySet, judging: _Judging) -> None:
    signal = policy.confidence
    if signal is None or judging.level in _NO_EXCEPTION:
        return
    value = signal.missing if claimed is None else claimed
    # What is no number from 0 to 1 is no claim at all; NaN fails both comparisons.
    if type(value) not in (int, float) or not 0 <= value <= 1:
        value = 0.0
    threshold = signal.raise_below[judging.stake]
    if value < threshold:
        raised = Level(min(judging.level + 1, Level.APPROVE_DUAL))
        judging.signals.append("confidence")
        judging.trace.append(
            f"confidence {value} is below {threshold} for {judging.stake.word} stake: "
            f"{judging.level.word} -> {raised.word}"
        )
        judging.level = raised


def _except(
    exceptions: tuple[Exception_, ...], seen: Environment, at: datetime, judging: _Judging
) -> None:
    if judging.level in _NO_EXCEPTION or judging.hits or judging.indeterminate or judging.reason:
        return
    today = at.astimezone(UTC).date()
    lowest = judging.level
    for each in exceptions:
        if each.at_most >= judging.level:
            continue
        if today > each.expires:
            judging.trace.append(f"exception {each.id}: ended on {each.expires}")
            continue
        try:
            applies = each.when(seen)
        except Indeterminate as doubt:
            judging.trace.append(f"exception {each.id}: indeterminate ({doubt}), does not apply")
            continue
        if applies and not each.shadow:
            judging.exceptions.append(each.id)
            lowest = min(lowest, each.at_most)
            judging.trace.append(
                f"exception {each.id} (until {each.expires}, {each.owner}): "
                f"at most {each.at_most.word}"
            )
        else:
            judging.trace.append(f"exception {each.id}: {'shadow' if applies else 'false'}")
    judging.level = lowest


def _unknown(call: ToolCall, policy: PolicySet, missing: Missing, at: datetime) -> Decision:
    unknown = policy.unknown_tool
    judging = _Judging(
        stake=unknown.stake, reversibility=unknown.reversibility, reason="unknown_tool"
    )
    where = f"{call.method} {call.path} on {call.upstream!r}"
    because = f" ({missing.because})" if missing.because else ""
    judging.trace.append(f"no entry for {where}{because}: {unknown.level.word}")
    arguments = read_arguments(call, {}, None)
    _apply_rules(policy.unknown_rules, environment(call, None, arguments.values, at), judging)
    # Unknown is never allow, whatever a compiled policy says.
    judging.level = max(unknown.level, judging.floor, Level.NOTIFY)
    judging.message = f"No policy entry covers {where}{because}."
    return _decided(policy, judging, None, arguments)


def _decided(
    policy: PolicySet, judging: _Judging, tool: Tool | None, arguments: Arguments
) -> Decision:
    level, would_be = judging.level, None
    if policy.shadow:
        level, would_be = min(level, Level.NOTIFY), level
        judging.trace.append(f"shadow mode: would be {would_be.word}, is {level.word}")
    spec = _spec(policy, level)
    return Decision(
        level=level,
        policy=policy.ref,
        tool=tool.id if tool else "",
        description=tool.description if tool else "",
        stake=judging.stake,
        reversibility=judging.reversibility,
        facet=judging.facet,
        rules=tuple(judging.hits),
        shadow=tuple(judging.shadow),
        signals=tuple(judging.signals),
        exceptions=tuple(judging.exceptions),
        indeterminate=judging.indeterminate,
        reason=judging.reason,
        message=" ".join(judging.denials) or judging.message,
        trace=tuple(judging.trace),
        arguments=arguments.values,
        sources=arguments.sources,
        undo=tool.undo if tool else None,
        egress=tool.egress if tool else True,
        quorum=spec.quorum,
        approvers=spec.approvers,
        hold_ms=spec.hold_ms,
        editable=tool.editable if tool else (),
        require_reason=policy.levels.require_reason,
        orphans=tool.orphans if tool else "refuse",
        would_be=would_be,
    )


def _spec(policy: PolicySet, level: Level) -> LevelSpec:
    return policy.levels.approve_dual if level is Level.APPROVE_DUAL else policy.levels.approve
