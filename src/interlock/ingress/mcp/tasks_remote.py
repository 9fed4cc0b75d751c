"""Tasks of the server inside of ours: a held call that its server, once sent, answers with a task.

The client knows our task alone; what it asks of it is asked of the server's own.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

from ...callers import Submission
from ...core.actions import PENDING, Action, McpTool, ToolCall
from ...core.errors import QueueFull, StoreUnavailable, Suspended, UpstreamError, UpstreamLost
from ...core.messages import Message, write_message
from ...core.mirrors import encode_mirrored
from ...gate import Gate
from ...relay import Relay
from . import answers, results
from .asking import response_of
from .headers import NAME, Headers, forwarded
from .reading import read_call, sent, with_params
from .results import Asker
from .session import Caller, Document
from .waiting import SILENT, THINKING, asked_here

BYTES = 8 * 2**20  #: of an answer
SECONDS = 10.0


async def asked(message: Message, caller: Caller, remote: str) -> Document | None:
    """Ask the server about its task *remote* what *message* asks about ours.

    Returns the response, with the id of *message*; None: there was none, in time.
    """
    there = with_params(message, {**message.params, "taskId": remote})
    call = ToolCall(
        agent=caller.agent,
        upstream=caller.server.name,
        method="POST",
        target="/",
        headers=_headers(caller, remote),
        body=write_message(sent(there)),
        mcp=McpTool(name="", session=caller.session),
    )
    try:
        async with asyncio.timeout(SECONDS):
            exchange = await caller.server.upstream.pass_on(call)
            return await response_of(exchange, message.id, BYTES)
    except (TimeoutError, UpstreamError):
        return None


async def judged(message: Message, caller: Caller, remote: str, gate: Gate) -> Document:
    """As `asked`, where the server's settings have the method judged: it is a call of its own.

    A call that is held is waited for as long as a connection can be that says nothing; the same
    request again joins it.

    Raises:
        MalformedCall: it cannot be judged.
    """
    there = with_params(message, {**message.params, "taskId": remote})
    named = replace(caller, headers=_renamed(caller.headers, remote))
    call, to = read_call(there, named, None), results.asker(message, caller)
    try:
        submission = await _submitted(call, caller, gate)
    except (QueueFull, StoreUnavailable, Suspended, UpstreamError) as error:
        return results.failure(error, to)
    if submission.failure is not None:
        return results.failure(submission.failure, to, submission.action)
    if submission.relay is None:
        return results.outcome(submission.action, to)
    try:
        return await _answered(submission.relay, submission.action, to)
    except UpstreamLost as lost:
        return results.failure(lost, to, submission.action)


async def _submitted(call: ToolCall, caller: Caller, gate: Gate) -> Submission:
    submission = await gate.submit(call)
    action = submission.action
    if submission.relay or submission.failure or action.state not in PENDING:
        return submission
    with suppress(StoreUnavailable):  # at worst its caller counts as gone
        await gate.store.attend(action.id, THINKING)
    seconds = min(caller.holding.seconds, SILENT)
    return await gate.follow(action, seconds, asked_here(action.call, caller))


async def _answered(relay: Relay, action: Action, to: Asker) -> Document:
    """Read the answer to its end, for the record; return it as the asker gets it."""
    body = bytearray()
    async with relay:
        async for chunk in relay.chunks():
            body += chunk
            if len(body) > BYTES:
                raise UpstreamLost(f"The server answered with more than {BYTES} bytes.")
    found = answers.response_in(bytes(body), answers.sent_id(action))
    if found is None:
        raise UpstreamLost("The server ended its answer without a response.")
    return answers.readdressed(found, action, to.id, tell_edits=to.tell_edits)


def _headers(caller: Caller, remote: str) -> Headers:
    passed = forwarded(caller.headers, caller.server, modern=caller.modern)
    return _renamed(passed, remote)


def _renamed(headers: Headers, remote: str) -> Headers:
    others = [pair for pair in headers if pair[0].lower() != NAME]
    return (*others, ("Mcp-Name", encode_mirrored(remote)))
