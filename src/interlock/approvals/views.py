"""Actions as people see them. Pure: an action and what surrounds it in, models out."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..core.actions import Action, Review, State, ToolCall
from ..core.actions import Body as Kind
from ..core.decisions import Decision
from ..core.masking import HIDDEN, Masks, masked
from ..core.messages import read_message, with_arguments
from ..core.redaction import (
    SECRET_HEADERS,
    redact_headers,
    shown,
    visible_bytes,
    visible_line,
    visible_text,
)
from ..core.wording import aimed_at, consequence, gist, outcome
from . import models_call
from .deceptive import at_a_glance, told_by_card
from .deceptive import warned as warned
from .indenting import compact, indented
from .models import Card
from .models_call import Argument, Call
from .models_item import Claims, Moment, Vote

TITLE = 120  #: characters
_OPEN = frozenset({State.HELD, State.APPROVED, State.FORWARDING})

_VERDICTS = {
    "approve": "approved",
    "edit": "edited it and approved",
    "reject": "rejected",
    "respond": "answered in the tool's place",
}
_EVENTS = {
    "Decided": "by policy",
    "PolicyTightened": "policy asks for more by now",
    "ClearanceFailed": "policy lets it through no more:",
    "DeadlinePassed": "the time to decide was over",
    "Cancelled": "cancelled",
    "Escalated": "asked those who may decide later to decide now",
    "Claimed": "being sent",
    "Answered": "the tool answered",
    "NotSent": "not sent:",
    "Lost": "the answer was lost:",
    "LeaseLost": "whoever was sending it stopped",
    "Resolved": "found out what happened",
}


def url(call: ToolCall, upstreams: Mapping[str, str], masks: Masks) -> str:
    """Return the URL that is called, visible; the upstream's name stands in for no base URL.

    Of an MCP server also the name of its tool.
    """
    base: str = upstreams.get(call.upstream, f"{call.upstream}:")
    if call.mcp is not None:
        where = f"{call.mcp.command}:" if call.mcp.command else base
        return visible_line(f"{where} {masks.text(call.mcp.name)}")
    return visible_line(base.rstrip("/") + target(call, masks))


def target(call: ToolCall, masks: Masks) -> str:
    target = masks.target(call.target)
    return f"/{HIDDEN}" if target is None else target


def title(call: ToolCall, decision: Decision | None, masks: Masks) -> str:
    """Return the tool's name; of what policy does not know, the server's name for it, or its path.

    No more than TITLE characters: the URL is shown whole beside it.
    """
    if decision and decision.tool:
        return visible_line(decision.tool)
    path = target(call, masks).partition("?")[0]
    said = masks.text(call.mcp.name) if call.mcp is not None else f"{call.method} {path}"
    return visible_line(said[:TITLE]) + ("…" if len(said) > TITLE else "")


def stake_why(decision: Decision, masks: Masks) -> str:
    """Return what decided the stake: `amount: 900.0`, `blast: external`, or the rule's name."""
    name = decision.facet
    start = f"facet {name} "
    said = next((line for line in decision.trace if name and line.startswith(start)), "")
    shown = said.removeprefix(start).rpartition(": ")[0].rpartition(" = ")[2]
    return visible_line(masks.text(f"{name}: {shown}" if shown else name))


def card(action: Action, waiting: bool | None, upstreams: Mapping[str, str], masks: Masks) -> Card:
    """Return *action* as one line of a list; *waiting*: whether its caller still waits."""
    decision, call = action.decision, action.call
    return Card(
        id=action.id,
        version=action.version,
        state=action.state.value,
        digest=action.digest,
        level=decision.level.word if decision else "",
        stake=decision.stake.word if decision else "critical",
        reversibility=decision.reversibility.word if decision else "irreversible",
        tool=visible_line(decision.tool) if decision else "",
        title=title(call, decision, masks),
        description=visible_line(decision.description) if decision else "",
        method=visible_line(call.method),
        destination=url(call, upstreams, masks),
        gist=gist(decision, masks),
        target=aimed_at(decision, masks),
        consequence=consequence(decision) if decision else "",
        agent=visible_line(call.agent.id),
        session=visible_line(call.context.session),
        confidence=call.context.confidence,
        created=action.created,
        changed=action.changed,
        deadline=action.deadline,
        caller_waiting=waiting if action.state in _OPEN else None,
        votes=len(action.votes),
        quorum=decision.quorum if decision else 1,
        edited=action.edited,
        outcome=outcome(action),
        batch=bool(decision and decision.batch) and told_by_card(action, masks),
        folded=bool(decision and decision.folded),
        look_twice=at_a_glance(action) is True,
    )


def call_view(
    call: ToolCall, upstreams: Mapping[str, str], masks: Masks, *, limit: int = 0
) -> Call:
    """Return the exact call; with a *limit* in bytes, a larger body is left out (`whole` false)."""
    headers = redact_headers(call.headers)
    parts = {"target": masks.target(call.target), "body": masks.body(call.body)}
    return Call(
        method=visible_line(call.method),
        url=url(call, upstreams, masks),
        upstream=visible_line(call.upstream),
        base=upstreams.get(call.upstream, ""),
        target=visible_line(target(call, masks)),
        service=visible_line(call.service),
        region=visible_line(call.region),
        headers=[(visible_line(name), visible_line(masks.text(value))) for name, value in headers],
        masked=[n for n, _ in call.headers if n.strip().lower() in SECRET_HEADERS],
        hidden=[name for name, part in parts.items() if part is None],
        body=_body(call, masks, limit),
    )


def _body(call: ToolCall, masks: Masks, limit: int) -> models_call.Body:
    body, whole = call.body, not limit or len(call.body) <= limit
    seen = masks.body(body) if whole else b""
    text, encoded = None, None
    if whole and not masks:
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError:
            encoded = base64.b64encode(body).decode()
    return models_call.Body(
        size=len(body),
        media_type=visible_line(call.content.media_type),
        kind=call.content.kind.value,
        sha256=hashlib.sha256(body).hexdigest(),
        whole=whole,
        text=text,
        base64=encoded,
        visible=shown(visible_bytes(seen or b"")),
        pretty=_pretty(call, masks) if whole and seen is not None else None,
    )


def _pretty(call: ToolCall, masks: Masks) -> str | None:
    if call.content.kind is not Kind.JSON:
        return None
    value = call.content.value
    if masks and isinstance(value, Mapping):
        value = {name: masked(v) if name in masks else v for name, v in value.items()}
    if call.mcp is not None:  # all of the message is sent
        value = with_arguments(read_message(call.body), value)
    lines = indented(value)
    if lines is None:  # `visible` has all of it
        return None
    text = masks.text(lines)
    return None if masks and text == HIDDEN else _lines(text)


def _lines(text: str) -> str:
    """Return indented JSON visible; its line feeds are ours, those of the agent are `\\n`."""
    return "\n".join(visible_line(line) for line in text.split("\n"))


def arguments(
    decision: Decision | None, masks: Masks, revealed: Sequence[str] = ()
) -> list[Argument]:
    """Return the tool's arguments, in the order of the call; *revealed*: what policy hides, but
    is shown now.
    """
    if decision is None:
        return []
    allowed, covered = decision.editable, masks.covers(decision.arguments)
    return [
        _argument_view(
            name,
            value,
            masks if covered or name in masks else None,
            source=decision.sources.get(name, ""),
            editable=allowed is None or name in allowed,
            revealed=name in revealed,
        )
        for name, value in decision.arguments.items()
    ]


def _argument_view(
    name: str, value: Any, masks: Masks | None, *, source: str, editable: bool, revealed: bool
) -> Argument:
    """Return one argument; no *masks*: it is too much to look for what is hidden in it."""
    redacted = masks is None or name in masks
    shown = None if masks is None or redacted else masks.value(value)
    told = HIDDEN if masks is None else masked(value)
    return Argument(
        name=visible_line(name),
        source=source,
        value=shown,
        json_text="" if redacted else json.dumps(shown, ensure_ascii=True),
        visible=visible_line(told) if redacted else value_text(shown),
        editable=editable,
        redacted=redacted,
        revealed=revealed,
    )


def value_text(value: Any) -> str:
    """Return a value as people read it: text as it is, everything else as JSON.

    What would become much longer by that is not indented.
    """
    if isinstance(value, str):
        return visible_text(value)
    return _lines(indented(value) or compact(value))


def claims(call: ToolCall, task: tuple[str, Any], masks: Masks) -> Claims:
    """Return what the agent's side says; *task*: the user's request, and what it came with."""
    said = call.context
    return Claims(
        confidence=said.confidence,
        reason=visible_text(masks.text(said.reason)),
        task=visible_text(masks.text(task[0])),
        task_of=task[1],
        session=visible_line(said.session),
        traceparent=visible_line(said.traceparent),
    )


def votes(action: Action, masks: Masks) -> list[Vote]:
    """Return every review, oldest first, and whether it counts for the call as it is now.

    People quote what was revealed to them: *masks* hide it in their words too.
    """
    return [_vote(review, action, masks) for review in action.reviews]


def _vote(review: Review, action: Action, masks: Masks) -> Vote:
    counts = any(
        vote.reviewer.id == review.reviewer.id and vote.version == review.version
        for vote in action.votes
    )
    return Vote(
        by=visible_line(review.reviewer.id),
        verdict=review.verdict.value,
        message=visible_text(masks.text(review.message)),
        reason_code=review.reason_code,
        digest=review.digest,
        counts=counts,
    )


def history(rows: Sequence[Mapping[str, str]], masks: Masks) -> list[Moment]:
    return [
        Moment(
            version=int(row["version"]),
            at=int(row["at"]),
            before=row["from"],
            after=row["to"],
            what=masks.text(_what(row.get("event", ""))),
        )
        for row in rows
    ]


def _what(event: str) -> str:
    """Return one line about a stored event: its name, who, and what they said."""
    try:
        told = json.loads(event)
    except ValueError:
        return ""
    if not isinstance(told, dict):
        return ""
    who, event = told.get("by") or told.get("reviewer") or "", str(told.get("event") or "")
    done = _VERDICTS.get(str(told.get("verdict"))) or _EVENTS.get(event, event)
    parts = [who, done, told.get("status"), told.get("cause")]
    return visible_line(" ".join(str(part) for part in parts if part))


def weight(action: Action) -> int:
    """Return how many bytes of the agent's there are to show."""
    call = action.call
    said = (call.context.reason, call.context.task, call.target, *sum(call.headers, ()))
    return len(call.body) + sum(map(len, said))
