"""What policy said of a call, and what it knew, as people see it. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from ..core.actions import Action, ToolCall
from ..core.decisions import Decision
from ..core.duties import needing_reason
from ..core.masking import Masks, masked
from ..core.patterns import HttpMatch
from ..core.provenance import stated
from ..core.redaction import visible_line, visible_text
from ..core.rules import Indeterminate, Tool
from ..core.wording import consequence
from .models_judged import GrantOffer, Judgement, Later, LimitHit, Rule, SessionState, Target
from .views import stake_why

TARGETS = 20  #: arguments of a target that are shown, and values that the request is asked for
TARGET_TEXT = 2000  #: characters of each that are shown


def judgement(decision: Decision, action: Action, now: int, masks: Masks, task: str) -> Judgement:
    """Return what *decision* says of *action*; *task*: the user's request, or an empty text."""

    def line(text: str) -> str:
        return visible_line(masks.text(text))

    return Judgement(
        level=decision.level.word,
        stake=decision.stake.word,
        stake_why=stake_why(decision, masks),
        reversibility=decision.reversibility.word,
        facet=visible_line(decision.facet),
        description=visible_line(decision.description),
        consequence=consequence(decision),
        rules=[
            Rule(
                id=visible_line(hit.id),
                effect=visible_line(hit.effect),
                description=visible_line(hit.description),
                indeterminate=line(hit.indeterminate),
            )
            for hit in decision.rules
        ],
        signals=[line(signal) for signal in decision.signals],
        exceptions=[visible_line(name) for name in decision.exceptions],
        indeterminate=decision.indeterminate,
        reason=visible_line(decision.reason),
        message=line(decision.message),
        trace=[line(each) for each in decision.trace],
        quorum=decision.quorum,
        approvers=[visible_line(group) for group in decision.approvers],
        require_reason=sorted(needing_reason(decision) | {"reject"}),
        limits=_limits(decision, decision.limits, ("limit {}:", "cap {} "), line),
        shadow=_limits(decision, decision.shadow, ("rule {} (", "limit {} ("), line),
        would_be=decision.would_be.word if decision.would_be is not None else "",
        target=target(decision.target or {}, masks, task),
        target_more=max(0, len(decision.target or {}) - TARGETS),
        session=_session(decision),
        escalation=_later(decision, action.created, now),
        remind_ms=decision.remind_ms,
        dwell_ms=decision.dwell_ms,
        step_up=decision.step_up,
        folded=decision.folded,
        policy=f"{decision.policy.name} v{decision.policy.version}",
        policy_sha256=decision.policy.sha256,
    )


def _limits(
    decision: Decision, names: Sequence[str], heads: tuple[str, ...], line: Any
) -> list[LimitHit]:
    """Return each of *names* with what its line of the trace says, such as `3 of 2 -> ...`."""
    return [
        LimitHit(id=visible_line(name), said=line(_said(decision, name, heads))) for name in names
    ]


def _said(decision: Decision, name: str, heads: tuple[str, ...]) -> str:
    starts = tuple(head.format(name) for head in heads)
    found = next((each for each in decision.trace if each.startswith(starts)), "")
    return found.partition(": ")[2] or found.partition(f"{name} ")[2]


def _session(decision: Decision) -> SessionState | None:
    known = decision.facts.session
    if known is None:
        return None
    return SessionState(
        untrusted_content=known.untrusted_content,
        sensitive_data=known.sensitive_data,
        points=round(known.points, 1),
        writes=known.writes,
        calls=known.calls,
    )


def _later(decision: Decision, created: int, now: int) -> list[Later]:
    return [
        Later(
            at=created + later.after_ms,
            to=[visible_line(group) for group in later.to],
            due=created + later.after_ms <= now,
        )
        for later in decision.escalate
    ]


def target(values: Mapping[str, Any], masks: Masks, task: str) -> list[Target]:
    """Return the first arguments that say what is acted on, and whether *task* names them.

    Looking a value up takes as long as the request is, and the agent writes both: no more than
    TARGETS values are looked up, and what is long is cut.
    """
    shown, left = [], TARGETS
    for name, value in islice(values.items(), TARGETS):
        asked = len(value) if isinstance(value, list | tuple) else 1
        named = _stated(value, task) if asked <= left else None
        left -= asked if named is not None else 0
        text = masked(value) if name in masks else _short(value, masks)
        shown.append(Target(name=visible_line(name), visible=text, stated=named))
    return shown


def _short(value: Any, masks: Masks) -> str:
    value = masks.value(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(text) <= TARGET_TEXT:
        return visible_text(text)
    return f"{visible_text(text[:TARGET_TEXT])}… ({len(text)} characters, see the arguments)"


def _stated(value: object, task: str) -> bool | None:
    try:
        return stated(value, task)
    except Indeterminate:
        return None


def showable(values: Mapping[str, Any]) -> bool:
    """Say whether `target` shows all of *values*: nobody grants for what they have not seen."""
    if len(values) > TARGETS:
        return False
    return len(json.dumps(dict(values), ensure_ascii=False)) <= TARGET_TEXT


def offer(tool: Tool | None, action: Action, masks: Masks, task: str) -> GrantOffer | None:
    """Return what may be granted with the next approval; None where nothing may."""
    decision, spec = action.decision, tool.grants if tool else None
    if spec is None or decision is None or not decision.grants or not decision.target:
        return None
    if decision.step_up:  # what is signed is one call
        return None
    if not showable(decision.target):
        return None
    if len(action.votes) + 1 < decision.quorum:  # whoever completes the approval may grant
        return None
    method, path = _way(action.call, tool)
    return GrantOffer(
        method=visible_line(method),
        path=visible_line(path),
        target=target(decision.target, masks, task),
        at_most=spec.at_most.word,
        longest_ms=spec.longest_ms,
        uses=spec.uses,
    )


def _way(call: ToolCall, tool: Tool | None) -> tuple[str, str]:
    """Return how the tool is called, as a grant keeps it: method and path, or the MCP name."""
    if call.mcp is not None:
        return "", call.mcp.name
    return call.method, tool.match.template if tool and isinstance(tool.match, HttpMatch) else ""


def task_of(call: ToolCall, decision: Decision | None) -> tuple[str, str]:
    """Return the user's request as policy read it, and what it came with: session or call."""
    stored = decision.facts.task if decision else None
    if stored is not None:
        return stored, "session"
    return call.context.task, "call" if call.context.task else ""
