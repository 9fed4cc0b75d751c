"""Of each event is known what a client could read in it, or it passes no further."""

from __future__ import annotations

import pytest

from interlock.core.sse import Reader
from interlock.ingress.mcp.passing import messages_in

NOTE = {"jsonrpc": "2.0", "method": "notifications/progress"}
SAID = b'{"jsonrpc":"2.0","method":"notifications/progress"}'


@pytest.mark.parametrize(
    ("stream", "messages"),
    [
        (b": comment", []),
        (b"id: 1\nretry: 10\ndata:", []),
        (b"data: " + SAID, [NOTE]),
        (b"event: message\ndata: [" + SAID + b"," + SAID + b"]", [NOTE, NOTE]),
        (b"event: ping\ndata: " + SAID, None),
        (b"event: ping\ndata:", []),
        (b"data: " + SAID + b"\xff", None),
        (b"data: {", None),
        (b'data: {"a":1,"a":2}', None),
        (b"data: 1\ndata: 2", None),
    ],
)
def test_an_event_carries_messages_or_nothing_or_what_nobody_may_read(
    stream: bytes, messages: object
) -> None:
    (event,) = Reader().feed(stream + b"\n\n")
    assert messages_in(event) == messages
