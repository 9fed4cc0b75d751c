"""Tasks of the server inside of ours: a held call that its server, once sent, answers with a task.

The client knows our task alone; what it asks of it is asked of the server's own.
"""

from __future__ import annotations

import asyncio

from ...core.actions import McpTool, ToolCall
from ...core.errors import UpstreamError
from ...core.messages import Message, write_message
from ...core.mirrors import encode_mirrored
from .asking import response_of
from .headers import NAME, forwarded
from .reading import sent, with_params
from .session import Caller, Document

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


def _headers(caller: Caller, remote: str) -> tuple[tuple[str, str], ...]:
    passed = forwarded(caller.headers, caller.server, modern=caller.modern)
    others = [pair for pair in passed if pair[0].lower() != NAME]
    return (*others, ("Mcp-Name", encode_mirrored(remote)))
