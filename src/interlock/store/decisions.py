"""Decisions to JSON and back, with what was known of the past when they were made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import Any

from ..core.decisions import (
    Decision,
    Escalation,
    Level,
    PolicyRef,
    Reversibility,
    RuleHit,
    Stake,
    Undo,
)
from ..core.facts import NO_FACTS, Facts, Grant, Session

SMALL = 4096  #: bytes; what nobody has to look at is kept up to this size
_ALWAYS = ("notify", "redacted", "audit_share")
_SELDOM = ("limits", "grant", "grants", "remind_ms", "dwell_ms", "step_up", "folded", "batch")
"""Fields of a decision that are recorded where they say something."""


def pack_decision(decision: Decision, *, keep: bool) -> dict[str, Any]:
    """Pack a decision; large arguments only of a call that people have to do with (`keep`)."""
    packed: dict[str, Any] = {
        "level": int(decision.level),
        "policy": [decision.policy.name, decision.policy.version, decision.policy.sha256],
        "tool": decision.tool,
        "description": decision.description,
        "stake": int(decision.stake),
        "reversibility": int(decision.reversibility),
        "facet": decision.facet,
    }
    # left out where empty, since most decisions have none: old records read the same way
    packed |= {name: getattr(decision, name) for name in _ALWAYS if getattr(decision, name)}
    if decision.facts.calibrated is not None:
        packed["calibrated"] = decision.facts.calibrated  # who audits what went through sees it
    if _unremarkable(decision):
        return packed  # nobody looks at these one by one, and there are many
    arguments = json.dumps(dict(decision.arguments))
    packed |= {
        "rules": [asdict(rule) for rule in decision.rules],
        "shadow": decision.shadow,
        "signals": decision.signals,
        "exceptions": decision.exceptions,
        "indeterminate": decision.indeterminate,
        "reason": decision.reason,
        "message": decision.message,
        "trace": decision.trace,
        "arguments": arguments if keep or len(arguments) <= SMALL else "{}",
        "sources": dict(decision.sources),
        "undo": None if decision.undo is None else asdict(decision.undo),
        "egress": decision.egress,
        "quorum": decision.quorum,
        "approvers": decision.approvers,
        "hold_ms": decision.hold_ms,
        "editable": decision.editable,
        "require_reason": sorted(decision.require_reason),
        "orphans": decision.orphans,
        "would_be": None if decision.would_be is None else int(decision.would_be),
    }
    packed |= {name: getattr(decision, name) for name in _SELDOM if getattr(decision, name)}
    if decision.target is not None:
        target = json.dumps(dict(decision.target))
        packed["target"] = target if keep or len(target) <= SMALL else "null"
    if decision.escalate:
        packed["escalate"] = [[one.after_ms, one.to] for one in decision.escalate]
    if replace(decision.facts, calibrated=None) != NO_FACTS:
        packed["facts"] = _facts(decision.facts, keep=keep)  # all but `calibrated`
    return packed


def _facts(facts: Facts, *, keep: bool) -> dict[str, Any]:
    task = facts.task
    if task is not None and not keep and len(task) > SMALL:
        task = None
    said = {
        "used": dict(facts.used),
        "familiar": facts.familiar,
        "session": None if facts.session is None else asdict(facts.session),
        "task": task,
        "refused": facts.refused,
        "grant": None if facts.grant is None else _grant(facts.grant),
    }
    return {"json": json.dumps({name: value for name, value in said.items() if value is not None})}


def _grant(grant: Grant) -> dict[str, Any]:
    names = (field.name for field in fields(grant))
    return {name: getattr(grant, name) for name in names} | {"target": dict(grant.target)}


def _facts_from(packed: Mapping[str, Any] | None, calibrated: float | None) -> Facts:
    if packed is None:
        return NO_FACTS if calibrated is None else replace(NO_FACTS, calibrated=calibrated)
    said = json.loads(packed["json"])
    session, grant = said.pop("session", None), said.pop("grant", None)
    return Facts(
        session=None if session is None else Session(**session),
        grant=None if grant is None else Grant(**grant),
        calibrated=calibrated,
        **said,
    )


def _unremarkable(decision: Decision) -> bool:
    """Let through by the catalogue alone: no rule, signal, limit, grant or shadow had a part."""
    said = [decision.rules, decision.exceptions, decision.shadow, decision.signals]
    said += [decision.limits, tuple(decision.grant)]
    return decision.level <= Level.NOTIFY and decision.would_be is None and not any(said)


def _undo(packed: Mapping[str, Any]) -> Undo:
    rest = dict(packed)
    named = tuple((name, source) for name, source in rest.pop("arguments", ()))
    return Undo(arguments=named, **rest)


def read_decision(packed: Mapping[str, Any]) -> Decision:
    """Read a decision.

    Raises:
        DAMAGED: it is none.
    """
    rest = dict(packed)
    name, version, sha256 = rest.pop("policy")
    facts = _facts_from(rest.pop("facts", None), rest.pop("calibrated", None))
    base = Decision(
        level=Level(rest.pop("level")),
        policy=PolicyRef(name=name, version=version, sha256=sha256),
        stake=Stake(rest.pop("stake")),
        reversibility=Reversibility(rest.pop("reversibility")),
        tool=rest.pop("tool"),
        description=rest.pop("description"),
        facet=rest.pop("facet"),
        notify=tuple(rest.pop("notify", ())),
        redacted=tuple(rest.pop("redacted", ())),
        audit_share=rest.pop("audit_share", 0.0),
        facts=facts,
    )
    if not rest:
        return base
    rules, arguments = rest.pop("rules"), rest.pop("arguments")
    needed = frozenset(rest.pop("require_reason"))
    undo, editable, would_be = rest.pop("undo"), rest.pop("editable"), rest.pop("would_be")
    escalate = rest.pop("escalate", ())
    target = rest.pop("target", "null")
    plain: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in rest.items()
    }
    return replace(
        base,
        rules=tuple(RuleHit(**rule) for rule in rules),
        arguments=json.loads(arguments),
        require_reason=needed,
        undo=None if undo is None else _undo(undo),
        editable=None if editable is None else tuple(editable),
        would_be=None if would_be is None else Level(would_be),
        target=json.loads(target),
        escalate=tuple(Escalation(after_ms=after, to=tuple(to)) for after, to in escalate),
        **plain,
    )
