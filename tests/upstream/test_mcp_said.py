"""What a server says is one thing to every reader, or is not read."""

from __future__ import annotations

import json

import pytest

from interlock.core.messages import Kind
from interlock.upstream.mcp_said import named_at_an_end, read_said


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (b'{"jsonrpc":"2.0","id":1,"result":{}}', Kind.RESPONSE),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping"}', Kind.REQUEST),
        (b'{"jsonrpc":"2.0","method":"notifications/x"}', Kind.NOTIFICATION),
    ],
)
def test_a_message_is_read_with_what_it_is(said: bytes, kind: Kind) -> None:
    assert read_said(said) == (kind, json.loads(said))


@pytest.mark.parametrize(
    "said",
    [
        b'{"jsonrpc":"2.0","id":1,"method":"x","result":{}}',
        b'{"jsonrpc":"2.0","id":1,"method":"x","error":{}}',
        b'{"jsonrpc":"2.0","id":1,"method":"x","Result":{}}',
        b'{"jsonrpc":"2.0","id":1,"id":2,"result":{}}',
        b'{"jsonrpc":"2.0","id":1,"result":{"a":1,"a":2}}',
        b'{"jsonrpc":"2.0","id":1,"result":{"a":"\xff"}}',
        b'{"jsonrpc":"2.0","id":1,"result":{"a":NaN}}',
        b'{"jsonrpc":"2.0","id":1,"result":{"a":1e999}}',
        b'\xef\xbb\xbf{"jsonrpc":"2.0","id":1,"result":{}}',
        b"[" * 100_000,
        b"[]",
    ],
)
def test_what_readers_could_differ_about_is_not_read(said: bytes) -> None:
    with pytest.raises(ValueError):
        read_said(said)


def test_half_of_a_surrogate_pair_is_replaced() -> None:
    _, document = read_said(b'{"jsonrpc":"2.0","method":"x","params":{"a":"\\ud800"}}')
    assert document["params"] == {"a": "\ufffd"}


@pytest.mark.parametrize(
    ("said", "given"),
    [
        (b'{"jsonrpc":"2.0","id":7,"result":', 7),
        (b'{"result":{},"id":"seven","jsonrpc":"2.0"}', "seven"),
        (b'{"id":7.5,"result":', None),
        (b'{"id":true,"result":', None),
        (b'{"id":7e2,"result":', None),
        (b'{"result":{"id":7},"x":1}', None),
    ],
)
def test_whom_an_unreadable_answer_was_for_is_read_at_its_ends(
    said: bytes, given: int | str | None
) -> None:
    assert named_at_an_end(said, said) == given
