"""The seal on a call that nobody had to decide: who only writes to the store changes none of it."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from .actions import Action, Body, ToolCall
from .decisions import Decision
from .digest import digest
from .facts import NO_FACTS


def seal_sent(action: Action, key: bytes) -> str:
    """Return the MAC of the call and of what policy said of it: HMAC-SHA256, hex.

    It covers what the store keeps of every such call. Arguments, target and facts are not covered:
    the store leaves them out where they are large, and arguments are read from the call again.
    """
    return _mac(b"interlock-sent-2", [action.drawn, *_said(action)], key)


def former_seal_sent(action: Action, key: bytes) -> str:
    """Return the MAC as earlier versions made it: whether the call was drawn is not under it."""
    return _mac(b"interlock-sent-1", _said(action), key)


def _said(action: Action) -> list[object]:
    said = [action.id, action.digest, action.decoy_of, *_call(action.call)]
    if action.decision is not None:
        said.append(_decision(action.decision))
    return said


def _mac(kind: bytes, said: list[object], key: bytes) -> str:
    text = json.dumps(said, separators=(",", ":"))
    return hmac.digest(key, kind + text.encode(), "sha256").hex()


def answer_mac(action_id: str, kept: bytes, key: bytes) -> bytes:
    """Return the MAC of an answer as it is kept: HMAC-SHA256, 32 bytes.

    It binds the call, whose id is used once, with status, headers and body.
    """
    name = action_id.encode("utf-8", "surrogatepass")
    said = b"interlock-answer-1" + len(name).to_bytes(4, "big") + name
    return hmac.digest(key, said + kept, "sha256")


def covered(action: Action) -> Action:
    """Return *action* without what its seal does not cover."""
    decision = action.decision
    if decision is None:
        return action
    facts = replace(NO_FACTS, calibrated=decision.facts.calibrated)
    none: Mapping[str, Any] = MappingProxyType({})
    plain = replace(
        decision, arguments=none, sources=none, target=None, reason="", undo=None, facts=facts
    )
    return replace(action, decision=plain, reviews=(), votes=(), original=None)


def whole(call: ToolCall) -> bool:
    """Whether *call* is the one of its digest, as far as its body was kept."""
    if not call.body and call.content.kind is not Body.NONE:
        return True  # too large to be kept: everything else of it is under the seal
    return hmac.compare_digest(digest(call).encode(), call.digest.encode("utf-8", "replace"))


def _call(call: ToolCall) -> list[object]:
    said, mcp = call.context, call.mcp
    parts: list[object] = [call.digest, call.agent.id, call.agent.owner, call.upstream]
    parts += [call.service, call.region, call.method, call.target, call.headers]
    parts += [call.content.kind.value, call.content.media_type]
    parts += [said.confidence, said.session, said.reason, said.task, said.traceparent]
    if mcp is not None:
        named = [mcp.name, mcp.definition, mcp.accepted, mcp.command]
        parts += [named, sorted(mcp.annotations.items())]
    return parts


def _decision(decision: Decision) -> list[object]:
    ref, would_be = decision.policy, decision.would_be
    return [
        [int(decision.level), ref.name, ref.version, ref.sha256],
        [decision.tool, decision.description, int(decision.stake), int(decision.reversibility)],
        [decision.facet, decision.audit_share, decision.redacted, decision.facts.calibrated],
        [[rule.id, rule.effect, rule.description] for rule in decision.rules],
        [decision.signals, decision.exceptions, decision.shadow, decision.limits, decision.grant],
        None if would_be is None else int(would_be),
    ]
