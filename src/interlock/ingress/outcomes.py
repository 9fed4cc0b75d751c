"""What a caller gets for an action: the tool's answer, or a notice as its route asks. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from ..core.actions import Action, Answer, State
from ..core.errors import InterlockError, UpstreamUnreachable
from .aws_errors import aws
from .problems import (
    Notice,
    Rendered,
    Statuses,
    action_headers,
    action_notice,
    error_notice,
    problem,
)

_SPOKEN = (State.ANSWERED, State.RESPONDED)
_BODY_HEADERS = frozenset({"content-length", "content-md5", "digest", "content-digest", "etag"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """The shape of a route's notices. `format` is `problem` (RFC 9457) or `aws`."""

    statuses: Statuses = field(default_factory=Statuses)
    format: str = "problem"
    tell_edits: bool = True  #: add an `_interlock` member to JSON answers of edited calls


def render_error(
    error: InterlockError, answers: Answers, service: str = "", media_type: str = ""
) -> Rendered:
    """Render an error that ended a request before there was an action to speak of."""
    if answers.format == "aws":
        return aws(error, service=service, media_type=media_type)
    return problem(error)


def render(action: Action, answers: Answers) -> Rendered:
    """Render an action for the client that proposed it."""
    if action.state in _SPOKEN:
        return replay(action, answers)
    notice = _not_sent(action) or action_notice(action, answers.statuses)
    if answers.format == "aws":
        return aws(notice, service=action.call.service, media_type=action.call.content.media_type)
    return problem(notice)


def render_failure(action: Action, error: InterlockError, answers: Answers) -> Rendered:
    """Render the failed send of a call that needed nobody: not sent, or outcome unknown."""
    told = error_notice(error)
    members = {"call": action.id, "status_url": f"/v1/calls/{action.id}"}
    notice = replace(
        told,
        instance=f"/v1/calls/{action.id}",
        members={**told.members, **members},
        headers=(*told.headers, *action_headers(action)),
    )
    if answers.format == "aws":
        return aws(notice, service=action.call.service, media_type=action.call.content.media_type)
    return problem(notice)


def _not_sent(action: Action) -> Notice | None:
    """Approved, tried, and the tool could not be reached: say so; a repeat tries again."""
    if action.state is not State.APPROVED or not action.fence:
        return None
    return Notice(
        kind=UpstreamUnreachable.kind,
        status=UpstreamUnreachable.status,
        title="Approved, but not sent",
        detail=(
            f"NOT EXECUTED. This call is approved, but the tool could not be reached:"
            f" {action.cause} Send the same call again in a while: it is sent then, without"
            " asking anybody again, until the approval lapses."
        ),
        instance=f"/v1/calls/{action.id}",
        members={"executed": False, "call": action.id, "state": action.state.value},
        headers=(*action_headers(action), ("Retry-After", "5")),
    )


def replay(action: Action, answers: Answers) -> Rendered:
    """Render the stored answer as it came, with our headers; or why there is none."""
    answer = action.answer
    if action.state not in _SPOKEN or answer is None:
        return render(action, replace(answers, format="problem"))
    if not answer.kept:
        return problem(_changed(action) if answer.changed else _not_kept(action, answer))
    headers = (*_end_to_end(answer), *action_headers(action), ("Interlock-Replayed", "true"))
    if action.state is State.RESPONDED:
        headers = (*headers, ("Interlock-Answered-By", "person"))
    rendered = Rendered(status=answer.status, headers=headers, body=answer.body)
    return _with_edit(action, rendered) if action.edited and answers.tell_edits else rendered


def _end_to_end(answer: Answer) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name, value) for name, value in answer.headers if name.lower() != "content-length"
    )


def _not_kept(action: Action, answer: Answer) -> Notice:
    what = "broke off" if not answer.complete else f"of {answer.size} bytes is not kept here"
    return Notice(
        kind="answer-not-kept",
        status=502,
        title="Executed, but its answer is not available",
        detail=(
            f"EXECUTED. The tool took this call and answered with status {answer.status}, but its"
            f" answer {what}. Do not repeat the call; read the result from the tool instead."
        ),
        instance=f"/v1/calls/{action.id}",
        members={"executed": True, "call": action.id, "tool_status": answer.status},
        headers=action_headers(action),
    )


def _changed(action: Action) -> Notice:
    ran = action.state is State.ANSWERED
    begins = "EXECUTED. The tool took this call" if ran else "NOT EXECUTED. A person answered it"
    what = "read the result from the tool instead" if ran else "ask the person"
    return Notice(
        kind="answer-changed",
        status=502,
        title="The kept answer is not the one that was given",
        detail=(
            f"{begins}, but the answer was changed outside Interlock, or kept by an earlier"
            f" version of it, and is not given out. Do not repeat the call; {what}."
        ),
        instance=f"/v1/calls/{action.id}",
        members={"executed": ran, "call": action.id},
        headers=action_headers(action),
    )


def _with_edit(action: Action, rendered: Rendered) -> Rendered:
    """Tell the model what ran instead, or it asks for the original again."""
    kinds = [value for name, value in rendered.headers if name.lower() == "content-type"]
    encoded = any(name.lower() == "content-encoding" for name, _ in rendered.headers)
    if encoded or not kinds or "json" not in kinds[0].lower():
        return rendered
    try:
        document = json.loads(rendered.body)
    except (ValueError, RecursionError):  # not JSON after all, or too deep to add anything to
        return rendered
    if not isinstance(document, dict) or "_interlock" in document:
        return rendered
    headers = tuple((k, v) for k, v in rendered.headers if k.lower() not in _BODY_HEADERS)
    body = json.dumps(document | {"_interlock": _edit(action)}).encode()
    return Rendered(status=rendered.status, headers=headers, body=body)


def _edit(action: Action) -> Mapping[str, Any]:
    reviews = [review for review in action.reviews if review.call or review.verdict.value == "edit"]
    decision = action.decision
    return {
        "edited": True,
        "note": "A person changed this call before it ran. Do not send your original call again.",
        "reason": reviews[-1].message if reviews else "",
        "executed": {
            "method": action.call.method,
            "target": action.call.target,
            "arguments": dict(decision.arguments) if decision else {},
        },
    }


def follow(action: Action) -> Rendered:
    """Render the state of a call for whoever follows it."""
    url = f"/v1/calls/{action.id}"
    document: dict[str, Any] = {
        "id": action.id,
        "state": action.state.value,
        "executed": _executed(action),
        "decision": action.decision.level.word if action.decision else None,
        "tool": action.decision.tool if action.decision else None,
        "edited": action.edited,
        "created_at": _time(action.created),
    }
    if action.state is State.HELD:
        document["expires_at"] = _time(action.deadline)
    if action.state in _SPOKEN:
        document["response_url"] = f"{url}/response"
        document["status"] = action.answer.status if action.answer else None
        document["detail"] = f"The answer is at {url}/response."
    else:
        document["detail"] = (_not_sent(action) or action_notice(action)).detail
    headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
    headers += [("ETag", f'"{action.version}"'), *action_headers(action)]
    if action.state in (State.HELD, State.APPROVED, State.FORWARDING):
        headers.append(("Retry-After", "5"))
    body = json.dumps(document).encode()
    return Rendered(status=200, headers=tuple(headers), body=body)


def _executed(action: Action) -> bool | str:
    if action.state in (State.FORWARDING, State.UNKNOWN, State.RESOLVED):
        return "unknown"
    return action.state is State.ANSWERED


def _time(ms: int) -> str:
    return (
        datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    )


def with_header(rendered: Rendered, name: str, value: str) -> Rendered:
    return replace(rendered, headers=(*rendered.headers, (name, value)))
