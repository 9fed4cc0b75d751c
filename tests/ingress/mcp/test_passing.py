"""What is known of a stream that nobody reads: whether its response is still missing."""

from __future__ import annotations

import pytest

from interlock.ingress.mcp.passing import Watch
from tests.ingress.mcp.front import event

RESPONSE = event({"jsonrpc": "2.0", "id": 1, "result": {}})
NOTE = event({"jsonrpc": "2.0", "method": "notifications/progress"})


def can_add(stream: bytes, piece: int) -> bool:
    watch = Watch()
    for start in range(0, len(stream), piece):
        watch.saw(stream[start : start + piece])
    return watch.can_add


@pytest.mark.parametrize("piece", [1, 3, 7, 1000])
@pytest.mark.parametrize(
    ("stream", "missing"),
    [
        (b"", True),
        (NOTE, True),
        (b": comment\r\n\r\n", True),
        (NOTE + RESPONSE, False),
        (RESPONSE.replace(b"result", b"error"), False),
        (b"id: 1\n" + NOTE, False),
        (NOTE + b"id: 1\ndata:\n\n", False),
        (NOTE[:-1], False),
        (b"data: {", False),
    ],
)
def test_a_response_is_added_only_where_none_came_and_none_can_be_asked_for(
    stream: bytes, missing: bool, piece: int
) -> None:
    assert can_add(stream, piece) is missing
