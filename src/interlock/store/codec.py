"""Actions to bytes and back. The control fields that scripts guard are not in here twice.

An action is stored as: control fields (`st`, `ver`, `digest`, `deadline` ...) that only the scripts
write; `rec`, a JSON record of what people and policy said; `call` and `call2`, the request as it
came and as it was edited; `answer`. The scripts never look into `rec`, `call` or `answer`:
Lua's JSON destroys numbers.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from ..core.actions import (
    Action,
    Agent,
    Answer,
    Body,
    Content,
    Context,
    McpTool,
    Raised,
    Review,
    Reviewer,
    State,
    ToolCall,
    Verdict,
)
from ..core.content import parse_content, parse_target
from ..core.decisions import Level
from ..core.errors import MalformedCall
from ..core.events import Answered, Cancelled, Decided, Event, Reviewed
from ..core.messages import call_content
from ..core.sent import answer_mac
from .decisions import SMALL, pack_decision, read_decision

_WAITING = (State.HELD, State.APPROVED)
_WORDS = ("reviewer", "digest", "message", "reason_code", "policy", "mac")  #: of a review
_ENCODE = json.JSONEncoder(separators=(",", ":")).encode


def _framed(head: Mapping[str, Any], body: bytes) -> bytes:
    try:
        packed = to_json(head)
    except PydanticSerializationError:  # half of a surrogate pair, which JSON can say in ASCII
        packed = _ENCODE(head).encode()
    return len(packed).to_bytes(4, "big") + packed + body


def _unframed(data: bytes) -> tuple[dict[str, Any], bytes]:
    end = 4 + int.from_bytes(data[:4], "big")
    head: dict[str, Any] = json.loads(data[4:end])
    return head, data[end:]


def encode_call(call: ToolCall, *, keep_body: bool) -> bytes:
    kept = keep_body or len(call.body) <= SMALL
    head: dict[str, Any] = {
        "agent": call.agent.id,
        "owner": call.agent.owner,
        "upstream": call.upstream,
        "method": call.method,
        "target": call.target,
        "headers": call.headers,
        "service": call.service,
        "region": call.region,
        "media": call.content.media_type,
        "kind": call.content.kind.value,
        "digest": call.digest,
        "context": [
            call.context.confidence,
            call.context.session,
            call.context.reason,
            call.context.task,
            call.context.traceparent,
        ],
        "omitted": 0 if kept else len(call.body),
    }
    if call.mcp is not None:
        tool = call.mcp
        head["mcp"] = [tool.name, tool.definition, dict(tool.annotations)]
        head["mcp"] += [tool.accepted, tool.session, tool.command]
    return _framed(head, call.body if kept else b"")


def decode_call(data: bytes) -> ToolCall:
    """Read a stored call. Path, query and content are read from the bytes again, never trusted."""
    head, body = _unframed(data)
    path, query = parse_target(head["target"])
    confidence, session, reason, task, traceparent = head["context"]
    return ToolCall(
        agent=Agent(id=head["agent"], owner=head["owner"]),
        upstream=head["upstream"],
        method=head["method"],
        target=head["target"],
        headers=tuple((name, value) for name, value in head["headers"]),
        body=body,
        service=head["service"],
        region=head["region"],
        path=path,
        query=query,
        content=_content(head, body),
        context=Context(
            confidence=confidence,
            session=session,
            reason=reason,
            task=task,
            traceparent=traceparent,
        ),
        digest=head["digest"],
        mcp=_mcp(*head["mcp"]) if "mcp" in head else None,
    )


def _mcp(
    name: str,
    definition: str,
    annotations: dict[str, bool],
    accepted: bool,
    session: str,
    command: str,
) -> McpTool:
    return McpTool(
        name=name,
        definition=definition,
        annotations=annotations,
        accepted=accepted,
        session=session,
        command=command,
    )


def _content(head: Mapping[str, Any], body: bytes) -> Content:
    if head["omitted"] or head["kind"] == Body.OPAQUE.value:
        return Content(kind=Body(head["kind"]), media_type=head["media"])
    if "mcp" in head:
        return call_content(body)
    return parse_content(head["media"], body)


_SEALED, _MAC = b"\x01", 32  #: an answer without a MAC begins with another byte, and is short
CHANGED = Answer(status=0, complete=False, changed=True)
"""What is read of an answer that Interlock did not write for its call."""


def sealed_answer(answer: Answer, action_id: str, key: bytes) -> bytes:
    """Return *answer* as it is kept; without a *key*, without a MAC."""
    kept = encode_answer(answer)
    return _SEALED + answer_mac(action_id, kept, key) + kept if key else kept


def read_answer(data: bytes, action_id: str, key: bytes) -> Answer:
    """Read what `sealed_answer` made; CHANGED where its MAC does not hold. Checked with a *key*."""
    sealed = data[:1] == _SEALED
    mac, kept = data[1 : 1 + _MAC], data[1 + _MAC :] if sealed else data
    if key and not (sealed and hmac.compare_digest(answer_mac(action_id, kept, key), mac)):
        return CHANGED
    return decode_answer(kept)


def encode_answer(answer: Answer) -> bytes:
    head = {
        "status": answer.status,
        "headers": answer.headers,
        "size": answer.size,
        "complete": answer.complete,
    }
    return _framed(head, answer.body)


def decode_answer(data: bytes) -> Answer:
    head, body = _unframed(data)
    return Answer(
        status=head["status"],
        headers=tuple((name, value) for name, value in head["headers"]),
        body=body,
        size=head["size"],
        complete=head["complete"],
    )


def encode_record(action: Action) -> bytes:
    decision = action.decision
    record: dict[str, Any] = {
        "decision": None if decision is None else pack_decision(decision, keep=_looked_at(action)),
        "cause": action.cause,
        "key": action.key,
        "seal": action.seal,
        "votes": [_review(review) for review in action.votes],
        "reviews": [_review(review) for review in action.reviews],
    }
    if action.state in _WAITING and action.same_since != 1:
        record["same_since"] = action.same_since
    if action.raised:
        record["raised"] = [[each.by, each.message, each.at] for each in action.raised]
    if action.held is not None:
        record["held"] = pack_decision(action.held, keep=bool(action.seal))
    if action.decoy_of:
        record["decoy_of"] = action.decoy_of
    return to_json(record)


def _looked_at(action: Action) -> bool:
    """Whether people have the call before them while it waits."""
    asked = action.decision is not None and action.decision.level in (
        Level.APPROVE,
        Level.APPROVE_DUAL,
    )
    return asked and bool(action.seal)


def _review(review: Review) -> dict[str, Any]:
    said: dict[str, Any] = {
        "reviewer": review.reviewer.id,
        "groups": sorted(review.reviewer.groups),
        "verdict": review.verdict.value,
        "digest": review.digest,
        "version": review.version,
        "message": review.message,
        "reason_code": review.reason_code,
        "policy": review.policy,
        "at": review.at,
        "mac": review.mac,
    }
    seldom = {"looked_ms": review.looked_ms, "step_up": review.step_up}
    return said | {name: value for name, value in seldom.items() if value}


def _review_from(packed: Mapping[str, Any]) -> Review:
    groups, step_up = packed["groups"], packed.get("step_up", "")
    said = [packed[name] for name in _WORDS]
    if not all(type(text) is str for text in (*groups, step_up, *said)):
        raise ValueError("a review of which something is no text")
    return Review(
        reviewer=Reviewer(id=packed["reviewer"], groups=frozenset(groups)),
        verdict=Verdict(packed["verdict"]),
        digest=packed["digest"],
        version=packed["version"],
        message=packed["message"],
        reason_code=packed["reason_code"],
        policy=packed["policy"],
        at=packed["at"],
        looked_ms=packed.get("looked_ms", 0),
        step_up=step_up,
        mac=packed["mac"],
    )


def decode_action(action_id: str, fields: Mapping[bytes, bytes], key: bytes = b"") -> Action:
    """Build an action from its stored fields. *key*: of the MAC of answers; empty: not checked.

    Raises:
        MalformedCall, ValueError, KeyError: the record is damaged; the caller fails closed.
    """
    record = json.loads(fields[b"rec"])
    original = decode_call(fields[b"call"])
    edited = decode_call(fields[b"call2"]) if fields.get(b"call2") else None
    answer = fields.get(b"answer")

    def number(name: bytes) -> int:
        return int(fields.get(name) or 0)

    def word(name: bytes) -> str:
        return fields.get(name, b"").decode()

    return Action(
        id=action_id,
        call=edited or original,
        original=original if edited else None,
        state=State(word(b"st")),
        version=number(b"ver"),
        decision=None if record["decision"] is None else read_decision(record["decision"]),
        held=read_decision(record["held"]) if record.get("held") else None,
        votes=tuple(_review_from(vote) for vote in record["votes"]),
        reviews=tuple(_review_from(review) for review in record["reviews"]),
        created=number(b"created"),
        changed=number(b"changed"),
        deadline=number(b"deadline"),
        lapses=number(b"lapses"),
        nonce=word(b"owner_nonce"),
        fence=number(b"fence"),
        answer=read_answer(answer, action_id, key) if answer else None,
        cause=record["cause"],
        fingerprint=word(b"fp"),
        key=record["key"],
        seal=record["seal"],
        digest=word(b"digest"),
        raised=tuple(
            Raised(by=by, message=message, at=at) for by, message, at in record.get("raised", ())
        ),
        same_since=record.get("same_since", 1),
        decoy_of=record.get("decoy_of", ""),
        drawn=fields.get(b"drawn") == b"1",
        told=fields.get(b"told", b""),
    )


DAMAGED = (MalformedCall, ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What decoding a damaged record can raise."""


def encode_event(event: Event) -> bytes:
    """Say in JSON what happened, for the record of this transition."""
    said: dict[str, Any] = {"event": type(event).__name__}
    match event:
        case Decided(decision=decision):
            said |= {
                "level": decision.level.word,
                "tool": decision.tool,
                "policy": f"{decision.policy.name}@{decision.policy.version}",
                "sha256": decision.policy.sha256,
                "rules": [rule.id for rule in decision.rules],
            }
        case Reviewed(review=review, decision=decision):
            said |= _review(review) | {"level": decision.level.word}
        case Answered(answer=answer):
            said |= {"status": answer.status, "size": answer.size, "complete": answer.complete}
        case Cancelled(by=by, cause=cause):
            said |= {"by": by, "cause": cause}
        case _:
            said |= {
                name: getattr(event, name)
                for name in ("cause", "by", "happened", "message")
                if hasattr(event, name)
            }
    return to_json(said)
