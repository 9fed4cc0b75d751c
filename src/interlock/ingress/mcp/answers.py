"""The tool's own answers: found in what was kept, and given to whoever asks. Pure.

An answer is one JSON document or a body of server-sent events; it carries the id of whoever asked
first. Of an edited call it says what ran instead, or the model asks for the original again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ...core.actions import Action, Verdict
from ...core.messages import TOOLS_CALL, arguments_of, read_message
from ..problems import said
from .session import VERSION_KEY, Document, Live

EDITED = "dev.interlock/edited"
_SHOWN = 4000  #: characters of edited arguments that a model is told; `_meta` has them all
_LINES = re.compile(r"\r\n|\n|\r")


def stored(action: Action) -> Document | None:
    """Return the response that the kept answer holds for the call; None: there is none in it."""
    answer = action.answer
    if answer is None or not answer.kept:
        return None
    return response_in(answer.body, sent_id(action))


def response_in(body: bytes, given: str | int | None) -> Document | None:
    """Return the response to the request *given*, from a JSON body or one of events."""
    for text in (body.decode("utf-8", "replace"), *_events(body)):
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):  # the whole is no JSON where it is events
            continue
        for each in document if isinstance(document, list) else [document]:
            if _answers(each, given):
                found: Document = each
                return found
    return None


def _events(body: bytes) -> Iterator[str]:
    """Yield the data of each event (HTML 9.2.6)."""
    data: list[str] = []
    for line in (*_LINES.split(body.decode("utf-8", "replace")), ""):
        name, _, value = line.partition(":")
        if name == "data":
            data.append(value.removeprefix(" "))
        elif not line and data:
            yield "\n".join(data)
            data = []


def _answers(document: Any, given: str | int | None) -> bool:
    return (
        isinstance(document, dict)
        and ("result" in document or "error" in document)
        and type(document.get("id")) is type(given)
        and document.get("id") == given
    )


def sent_id(action: Action) -> str | int | None:
    """Return the JSON-RPC id that the call was sent with: that of whoever asked first."""
    return read_message(action.call.body).id


def is_foreign(action: Action, given: str | int | None, progress: str | int | None) -> bool:
    """Say whether *action* was sent with another id or progressToken than its asker's."""
    message = read_message(action.call.body)
    own = type(message.id) is type(given) and message.id == given
    return not own or message.meta.get("progressToken") != progress


def amender(
    live: Live, given: str | int | None, progress: str | int | None, *, tell_edits: bool
) -> Callable[[Document], Document] | None:
    """Return what each message of a live answer has to go through; None: they pass as they are.

    *given* and *progress* are the asker's id and progressToken. Whatever is neither the response
    nor progress of it is returned as it is.
    """
    action = live.action
    if not live.foreign_id and not (action.edited and tell_edits):
        return None
    sent = read_message(action.call.body)
    token = sent.meta.get("progressToken")

    def amended(document: Document) -> Document:
        if _answers(document, sent.id):
            return readdressed(document, action, given, tell_edits=tell_edits)
        params = document.get("params")
        if document.get("method") != "notifications/progress" or not isinstance(params, dict):
            return document
        if progress is None or params.get("progressToken") != token:
            return document
        return {**document, "params": {**params, "progressToken": progress}}

    return amended


ASK_AGAIN = (
    "The call has an answer that is not a plain result. Send the same call again: it is not"
    " executed again, and gets that answer."
)


def may_need_asker(action: Action) -> bool:
    """Say whether the answer of *action* may be one that only its own request can be given.

    A task, a question of the server (2026-07-28), or the result of another method.
    """
    message = read_message(action.call.body)
    return message.method != TOOLS_CALL or "task" in message.params or VERSION_KEY in message.meta


def for_own_tool(document: Document, action: Action) -> Document | None:
    """Return *document* where it is a plain result of a tool, or an error; else None."""
    result = document.get("result")
    if not isinstance(result, dict):
        return document if action.call.method == TOOLS_CALL else None
    complete = result.get("resultType", "complete") == "complete"
    return document if complete and isinstance(result.get("content"), list) else None


def readdressed(
    document: Document, action: Action, given: str | int | None, *, tell_edits: bool
) -> Document:
    """Return the response to *action* with the id *given*, and what ran where that was edited."""
    response = {**document, "id": given}
    if not (action.edited and tell_edits):
        return response
    ran = _ran(action)
    result, error = document.get("result"), document.get("error")
    if isinstance(result, dict):
        response["result"] = _told_first(result, ran)
    elif isinstance(error, dict) and isinstance(error.get("data", {}), dict):
        response["error"] = {**error, "data": {**error.get("data", {}), EDITED: ran}}
    return response


def _told_first(result: dict[str, Any], ran: Mapping[str, Any]) -> dict[str, Any]:
    """Put what ran before what it returned; structured content stays as the tool made it."""
    around = result.get("_meta")
    meta = {**around, EDITED: ran} if isinstance(around, dict) else {EDITED: ran}
    content = result.get("content")
    if not isinstance(content, list):
        return {**result, "_meta": meta}
    words = json.dumps(ran["arguments"], ensure_ascii=False)
    if len(words) > _SHOWN:
        words = f"{words[:_SHOWN]}... ({len(words)} characters in all)"
    why = f" Their reason: {said(ran['reason'])}." if ran["reason"].strip() else ""
    text = (
        f"A person changed this call before it ran.{why} Do not send your original call again."
        f" Executed instead: {json.dumps(ran['tool'])} with the arguments {words}. The answer of"
        " the tool follows."
    )
    return {**result, "content": [{"type": "text", "text": text}, *content], "_meta": meta}


def _ran(action: Action) -> dict[str, Any]:
    message = read_message(action.call.body)
    reasons = [review.message for review in action.reviews if review.verdict is Verdict.EDIT]
    tool = action.call.mcp.name if action.call.mcp else message.method
    why = reasons[-1] if reasons else ""
    return {"tool": tool, "arguments": arguments_of(message), "reason": why}
