"""The judge: a call, a policy, the past and the time in; a decision with its reasons out.

    level = matrix[reversibility][stake] joined with every floor of rules and limits, then raised
    by signals and by what people refused before, then lowered by an exception or a grant where
    nothing fired and nothing was in doubt; deny absorbs. What would be held is denied where too
    many calls wait already.

Raising is a join in a lattice: no order of rules or files matters, and adding a rule loosens
nothing. Whatever cannot be evaluated, or is not known of the past, counts against the call.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from . import claims
from .actions import ToolCall
from .arguments import Arguments, environment
from .decisions import Decision, Level
from .effects import HELD, effects_of, heed_caps
from .facts import Facts
from .grants import apply_grant, grantable
from .judging import (
    LEVELS,
    REVERSIBILITIES,
    STAKES,
    Judging,
    apply_exceptions,
    apply_limits,
    apply_rules,
    heed_body,
    refuse,
    weigh,
)
from .preparing import Prepared, prepare, told
from .rules import Environment, LevelSpec, PolicySet, Tool
from .signals import heed_confidence, heed_novelty, heed_refusal, heed_risk

__all__ = ["Prepared", "decide", "evaluate", "prepare"]


def evaluate(call: ToolCall, policy: PolicySet, facts: Facts, at: datetime) -> Decision:
    """Judge *call* by *policy* at the time *at* (aware). Never raises: an error is a refusal.

    *facts*: what was known of the past; `prepare` says what is asked. `facts.blank` answers as
    if nothing had happened before.
    """
    return decide(prepare(call, policy), facts, at)


def decide(prepared: Prepared, facts: Facts, at: datetime) -> Decision:
    """Judge what was prepared, with what is known of the past. Never raises."""
    if prepared.failure:
        return _failed(prepared.policy, prepared.failure)
    try:
        return _decide(prepared, facts, at)
    except Exception as error:  # the outermost guard: any error is a refusal
        return _failed(prepared.policy, told(error))


def _failed(policy: PolicySet, failure: str) -> Decision:
    return Decision(
        level=Level.DENY,
        policy=policy.ref,
        reason="evaluation_error",
        message="This call could not be judged, so it was refused. Nothing was sent.",
        trace=(f"evaluation failed: {failure}",),
    )


def _decide(prepared: Prepared, facts: Facts, at: datetime) -> Decision:
    call, policy, tool = prepared.call, prepared.policy, prepared.tool
    judging = Judging(reversibility=prepared.reversibility)
    seen = environment(call, tool, prepared.arguments.values, at, facts)
    if tool is not None and prepared.misfit[0]:
        return _decide_misfit(prepared, tool, facts, seen, judging)
    if tool is None:
        _judge_unknown(prepared, facts, seen, judging)
    else:
        _judge_known(prepared, tool, facts, seen, judging)
    if not prepared.needs.own:  # who decides again on a held call was already asked about it
        heed_refusal(facts, policy, judging)
    grants = False
    if tool is not None:
        apply_exceptions(tool.exceptions, seen, at, judging)
        grants = grantable(tool, judging)
        apply_grant(facts, call, tool, prepared.needs.grant, at, judging)
    _shadow(prepared, judging)
    if judging.level in HELD and not prepared.needs.own:
        heed_caps(prepared, facts, judging)
    return _decision(prepared, facts, judging, grants)


def _decide_misfit(
    prepared: Prepared, tool: Tool, facts: Facts, seen: Environment, judging: Judging
) -> Decision:
    """Refuse arguments that cannot be judged; a file in shadow mode lowers no more than that."""
    judging.notes.append(_heading(tool, prepared.call))
    if tool.shadow or prepared.policy.shadow:
        if prepared.arguments.ambiguous:
            seen = {**seen, "args": Ambiguous()}
        apply_rules(tool.rules, seen, judging)
        apply_limits(prepared.shares, _sure(prepared, facts), seen, judging)
    refuse(judging, *prepared.misfit)
    _shadow(prepared, judging)
    if judging.level in HELD and not prepared.needs.own:
        heed_caps(prepared, facts, judging)
    return _decision(prepared, facts, judging)


class Ambiguous:
    """In place of arguments that two readers would read differently: nothing is known of them."""


def _sure(prepared: Prepared, facts: Facts) -> Mapping[str, int]:
    """Leave out what was used by arguments: those that do not fit can be written in many ways."""
    return {
        counter.key: facts.used[counter.key]
        for limit, counter in prepared.shares
        if counter.key in facts.used and not limit.by_arguments
    }


def _heading(tool: Tool | None, call: ToolCall) -> str:
    what = f"{call.method} {call.path}" if call.mcp is None else call.mcp.name
    return f"tool {tool.id if tool else ''}: {call.upstream} {what}"


def _judge_known(
    prepared: Prepared, tool: Tool, facts: Facts, seen: Environment, judging: Judging
) -> None:
    call, policy = prepared.call, prepared.policy
    judging.notes.append(_heading(tool, call))
    if judging.reversibility is not tool.reversibility:
        judging.notes.append(f"the server's annotations say {judging.reversibility.word}")
    for facet in tool.facets:
        weigh(facet, seen, judging)
    apply_rules(tool.rules, seen, judging)
    apply_limits(prepared.shares, facts.used, seen, judging)
    cell = policy.matrix[judging.reversibility][judging.stake]
    floor = judging.floor
    if not heed_body(call, tool, judging):
        floor = max(floor, Level.APPROVE)
    judging.base = judging.level = max(cell, floor)
    raised = f"; raised to {LEVELS[floor]}" if floor > cell else ""
    axes = f"{REVERSIBILITIES[judging.reversibility]} x {STAKES[judging.stake]}"
    judging.notes.append(f"matrix {axes}: {LEVELS[cell]}{raised}")
    heed_confidence(call.context.confidence, facts.calibrated, policy, judging)
    heed_novelty(facts.familiar, policy, judging)
    heed_risk(facts.session, policy, judging)
    if judging.level is Level.DENY and not judging.denials:
        judging.message = (
            f"Agents may not do this: {tool.id} is {judging.reversibility.word} at "
            f"{judging.stake.word} stake. A person does it outside the agent."
        )


def _judge_unknown(prepared: Prepared, facts: Facts, seen: Environment, judging: Judging) -> None:
    call, policy, unknown = prepared.call, prepared.policy, prepared.policy.unknown_tool
    where = call.mcp.name if call.mcp else f"{call.method} {call.path}"
    because = f" ({prepared.because})" if prepared.because else ""
    said = f"{where} on {call.upstream!r}{because}"
    judging.notes.append(f"no entry for {said}: {unknown.level.word}")
    if prepared.former is not None:
        # Changing its definition frees a tool from nothing that its entry asks for.
        _judge_known(prepared, prepared.former, facts, seen, judging)
        judging.stake = max(judging.stake, unknown.stake)
        judging.reversibility = max(judging.reversibility, unknown.reversibility)
    else:
        judging.stake = unknown.stake
        apply_rules(policy.unknown_rules, seen, judging)
        apply_limits(prepared.shares, facts.used, seen, judging)
        # Unknown is never allow, whatever a compiled policy says.
        judging.base = judging.level = max(unknown.level, judging.floor, Level.NOTIFY)
        heed_risk(facts.session, policy, judging)
    judging.level = max(judging.level, unknown.level, Level.NOTIFY)
    judging.reason, judging.message = prepared.unknown, f"No policy entry covers {said}."


def _shadow(prepared: Prepared, judging: Judging) -> None:
    """Let through what a policy or a file in shadow mode would have held, and say so."""
    tool, full = prepared.tool, judging.level
    if prepared.policy.shadow:
        judging.level = min(full, Level.NOTIFY)
    elif tool is not None and tool.shadow:
        # Rules and limits of files that enforce hold for this tool too.
        judging.level = max(min(full, Level.NOTIFY), min(full, judging.floor))
    else:
        return
    judging.would_be = full
    judging.notes.append(f"shadow mode: would be {full.word}, is {judging.level.word}")


def _decision(prepared: Prepared, facts: Facts, judging: Judging, grants: bool = False) -> Decision:
    policy, tool, level = prepared.policy, prepared.tool, judging.level
    levels = policy.levels
    spec = levels.approve_dual if level is Level.APPROVE_DUAL else levels.approve
    held = level in HELD
    arguments = prepared.arguments
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
        trace=tuple(judging.notes),
        arguments=arguments.values,
        sources=arguments.sources,
        undo=tool.undo if tool else None,
        egress=claims.egress(prepared.call, tool),
        quorum=spec.quorum,
        approvers=spec.approvers,
        hold_ms=spec.hold_ms,
        editable=tool.editable if tool else (),
        require_reason=levels.require_reason,
        orphans=tool.orphans if tool else "refuse",
        would_be=judging.would_be,
        limits=tuple(judging.limits),
        target=prepared.target,
        grant=judging.grant,
        grants=grants and held,
        remind_ms=spec.remind_ms if held else 0,
        escalate=spec.escalate if held else (),
        notify=spec.approvers if held else levels.notify,
        redacted=_redacted(policy, arguments) if policy.redact.approver else (),
        dwell_ms=spec.dwell_ms if held else 0,
        step_up=spec.step_up and held,
        folded=spec.folded and held,
        batch=_batch(policy, spec, judging),
        audit_share=_audit_share(prepared, level),
        facts=facts,
        effects=effects_of(prepared, judging),
    )


def _batch(policy: PolicySet, spec: LevelSpec, judging: Judging) -> bool:
    """Whether it may be approved beside others: nobody is asked to look at it in particular."""
    most = policy.attention.batch
    if most is None or judging.level is not Level.APPROVE or judging.stake > most:
        return False
    return spec.quorum == 1 and not (spec.dwell_ms or spec.step_up or spec.folded)


def _audit_share(prepared: Prepared, level: Level) -> float:
    """Return how likely a call that nobody has to decide is drawn for a look afterwards."""
    if level > Level.NOTIFY:
        return 0.0
    # Changing its definition frees a tool from nothing that its entry asks for.
    tool = prepared.tool or prepared.former
    return prepared.policy.audit.of(tool.id if tool else "")


def _redacted(policy: PolicySet, arguments: Arguments) -> tuple[str, ...]:
    """Return the arguments to hide; of a path into one, the whole argument."""
    hidden = [path.split(".")[1] for path in policy.redact.approver if path.startswith("args.")]
    return tuple(dict.fromkeys(name for name in hidden if name in arguments.values))
