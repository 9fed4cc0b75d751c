"""What a reviewer signs: one hash over everything that will be sent, and the seal on a decision."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import asdict, replace
from operator import itemgetter

from .actions import Action, Body, Review, ToolCall
from .decisions import Decision, Undo
from .facts import Facts, Grant
from .listings import Accepted
from .messages import asked

_VERSION = b"interlock-call-1"


def _framed(*parts: bytes) -> bytes:
    """Length-prefix every part, so that no two lists of parts share one encoding."""
    framed: list[bytes] = []
    for part in parts:
        framed.append(len(part).to_bytes(8, "big"))
        framed.append(part)
    return b"".join(framed)


def digest(call: ToolCall) -> str:
    """Return the SHA-256 of *call* as 64 hex digits.

    Covers who asks, where it goes and every byte that is sent: agent, upstream, signing
    scope, method, target, forwarded headers, body; of an MCP tool also its name and the definition
    that it had. Context (confidence, reason ...) is a
    claim about the call, not part of it.
    """
    headers = [part.encode("utf-8", "surrogateescape") for pair in call.headers for part in pair]
    return hashlib.sha256(
        _framed(
            _VERSION,
            call.agent.id.encode(),
            call.upstream.encode(),
            call.service.encode(),
            call.region.encode(),
            call.method.encode(),
            call.target.encode(),
            len(call.headers).to_bytes(8, "big"),
            *headers,
            call.body,
            *_definition(call),
        )
    ).hexdigest()


def _tool(call: ToolCall) -> tuple[bytes, ...]:
    """Return what names an MCP tool; an HTTP call has no such parts, so none can pass for one."""
    if call.mcp is None:
        return ()
    named = (b"mcp", call.mcp.name.encode("utf-8", "surrogatepass"))
    started = call.mcp.command.encode("utf-8", "surrogatepass")
    return (*named, b"command", started) if started else named


def _definition(call: ToolCall) -> tuple[bytes, ...]:
    return () if call.mcp is None else (*_tool(call), call.mcp.definition.encode())


def seal(call: ToolCall) -> ToolCall:
    """Return *call* with its digest set."""
    return replace(call, digest=digest(call))


# differ between two sendings of one and the same call
_VOLATILE = frozenset(
    "accept-encoding amz-sdk-invocation-id amz-sdk-request authorization date traceparent"
    " tracestate user-agent x-amz-date x-amz-security-token x-amz-user-agent".split()
)


def fingerprint(call: ToolCall) -> str:
    """Return what makes two calls the same request, as 64 hex digits.

    Agent, session, destination, and the canonical arguments: the order of JSON members and of
    query parameters does not matter, nor do headers that differ at every sending. Retries are
    joined by it; nothing is ever approved or sent by it.
    """
    if call.mcp is not None:
        body = json.dumps(asked(call), sort_keys=True, separators=(",", ":")).encode()
    elif call.content.kind in (Body.JSON, Body.FORM):
        body = json.dumps(call.content.value, sort_keys=True, separators=(",", ":")).encode()
    else:
        body = call.body
    sent = () if call.mcp else call.headers  # those of MCP say again what the message says
    headers = sorted((k.lower(), v) for k, v in sent if k.lower() not in _VOLATILE)
    names = (call.agent.id, call.context.session, call.upstream, call.service, call.region)
    return hashlib.sha256(
        _framed(
            b"interlock-fingerprint-1",
            *(name.encode("utf-8", "surrogateescape") for name in names),
            call.method.encode(),
            call.path.encode(),
            json.dumps([sorted(call.query, key=itemgetter(0)), headers]).encode(),
            body,
            *_tool(call),
        )
    ).hexdigest()


def clearance(review: Review, action_id: str, key: bytes) -> str:
    """Return the MAC of a person's answer: HMAC-SHA256, hex.

    It binds the action, the digest that was cleared, the policy that judged it, the verdict, the
    reviewer with their groups, the time, how long they looked, what they signed with, the version
    that they saw, their words and their reason. The key is not in the store, so that writing to
    the store forges nothing, and puts no words into anybody's mouth.
    """
    more = (str(review.version), review.message, review.reason_code)
    return _cleared("interlock-clearance-3", review, action_id, key, more)


def former_clearance(review: Review, action_id: str, key: bytes) -> str:
    """Return the MAC as it was made before words, reason and version were under it.

    What carries it is evidence of who decided what, and sends nothing any more.
    """
    return _cleared("interlock-clearance-2", review, action_id, key, ())


def _cleared(kind: str, review: Review, action_id: str, key: bytes, more: tuple[str, ...]) -> str:
    said = (
        kind,
        action_id,
        review.digest,
        review.policy,
        review.verdict.value,
        review.reviewer.id,
        "\0".join(sorted(review.reviewer.groups)),
        str(review.at),
        str(review.looked_ms),
        review.step_up,
        *more,
    )
    parts = (each.encode("utf-8", "surrogatepass") for each in said)  # forged ones are any text
    return hmac.digest(key, _framed(*parts), "sha256").hex()


def seal_record(action: Action, key: bytes) -> str:
    """Return the MAC of what is decided on and shown: HMAC-SHA256, hex.

    It binds the call with its owner and context, as asked and as edited, and policy's decision:
    quorum, approvers, arguments, description, what is hidden, who may decide later, how long and
    with what a person must look, what a grant would stand for, whose practice call it is, and what
    was known of the past: the user's own request, what the session read. Who can only write to the
    store changes none of it.
    """
    decision = action.decision
    said: list[object] = [action.id, _claims(action.call), action.digest, action.decoy_of]
    said.append([[each.by, each.message, each.at] for each in action.raised])
    said.append(_claims(action.original) if action.original else None)
    if decision is not None:
        said += _judged(decision)
    if action.held is not None:  # only then, so that older seals hold
        said.append(["held", _judged(action.held)])
    if action.reviews or action.votes:
        answers, votes = ([each.mac for each in some] for some in (action.reviews, action.votes))
        said.append(["said", answers, votes])
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return hmac.digest(key, b"interlock-record-3" + text.encode(), "sha256").hex()


def _judged(decision: Decision) -> list[object]:
    said: list[object] = [
        int(decision.level),
        [decision.policy.name, decision.policy.version, decision.policy.sha256],
        [decision.tool, decision.description, int(decision.stake), int(decision.reversibility)],
        [decision.facet, decision.reason, decision.message, decision.trace],
        [[rule.id, rule.effect, rule.description] for rule in decision.rules],
        [decision.signals, decision.exceptions, decision.shadow, decision.would_be],
        [dict(decision.arguments), dict(decision.sources), decision.editable],
        [decision.quorum, decision.approvers, sorted(decision.require_reason)],
        decision.orphans,
        [[later.after_ms, later.to] for later in decision.escalate],
        [decision.remind_ms, decision.notify, decision.redacted, decision.limits],
        [None if decision.target is None else dict(decision.target)],
        [decision.grant, decision.grants],
        [decision.egress, decision.indeterminate, _undo(decision.undo)],
        [decision.dwell_ms, decision.step_up, decision.folded, decision.batch],
        _past(decision.facts),
    ]
    if decision.audit_share:  # only then, so that older seals hold
        said.append(["audit", decision.audit_share])
    return said


def _undo(undo: Undo | None) -> list[object] | None:
    return None if undo is None else [undo.tool, undo.within, undo.reason, undo.arguments]


def _past(facts: Facts) -> list[object]:
    session, grant = facts.session, facts.grant
    return [
        [dict(facts.used), facts.familiar, facts.task, facts.refused],
        None if session is None else asdict(session),
        # A copy of its target would be made of whatever the mapping is.
        None if grant is None else [asdict(replace(grant, target={})), dict(grant.target)],
        *([] if facts.calibrated is None else [["calibrated", facts.calibrated]]),
    ]


def grant_mac(grant: Grant, key: bytes) -> str:
    """Return the MAC of a grant: HMAC-SHA256, hex. How often it was used is not covered."""
    said = [
        [grant.id, grant.key, grant.agent, grant.tool, dict(grant.target), grant.by],
        [grant.action_id, grant.created, grant.expires, grant.uses, grant.reason],
        [grant.level, grant.stake, grant.method, grant.path],
    ]
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return hmac.new(key, b"interlock-grant-2" + text.encode(), hashlib.sha256).hexdigest()


def definition_mac(server: str, tool: str, accepted: Accepted, key: bytes) -> str:
    """Return the MAC of an accepted definition: HMAC-SHA256, hex.

    It binds the server, the tool's name, the definition's hash, who accepted it, and when.
    """
    said = [server, tool, accepted.hash, accepted.by, accepted.at]
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return hmac.new(key, b"interlock-definition-1" + text.encode(), hashlib.sha256).hexdigest()


def _claims(call: ToolCall) -> list[object]:
    said = call.context
    claims: list[object] = [said.confidence, said.session, said.reason, said.task]
    claims.append(said.traceparent)
    if call.mcp is not None:
        claims += [call.mcp.accepted, call.mcp.session, dict(call.mcp.annotations)]
    return [call.digest, call.agent.owner, call.content.kind.value, call.content.media_type, claims]
