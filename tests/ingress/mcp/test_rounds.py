"""Tokens of rounds: only what was issued here, to this agent at this server, says anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.errors import MalformedMessage
from interlock.core.messages import INVALID_PARAMS, message_of
from interlock.ingress.mcp.rounds import Round, is_ours, issue, redeem, restored

KEY, OTHER = b"k" * 32, b"o" * 32
NAMES = st.text(max_size=20)
ROUNDS = st.builds(
    Round,
    action=st.from_regex(r"[a-z0-9]{1,40}", fullmatch=True),
    fingerprint=st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
    number=st.integers(0, 9),
    expires=st.integers(0, 2**53),
    continues=st.booleans(),
)
HELD = Round(action="a1", fingerprint="0" * 64, number=1, expires=5)


@given(ROUNDS, NAMES, NAMES)
def test_a_token_says_to_its_agent_what_was_put_in(held: Round, agent: str, server: str) -> None:
    token = issue(held, agent, server, KEY)

    assert is_ours(token) and token.isascii()
    assert redeem(token, agent, server, KEY) == held


@given(ROUNDS, st.tuples(NAMES, NAMES), st.tuples(NAMES, NAMES))
def test_a_token_says_nothing_to_anybody_else(
    held: Round, mine: tuple[str, str], theirs: tuple[str, str]
) -> None:
    token = issue(held, *mine, KEY)

    if mine != theirs:
        with pytest.raises(MalformedMessage):
            redeem(token, *theirs, KEY)
    with pytest.raises(MalformedMessage):
        redeem(token, *mine, OTHER)


@given(st.data())
def test_a_token_in_which_anything_was_changed_is_refused(data: st.DataObject) -> None:
    token = issue(HELD, "bot", "files", KEY)
    at = data.draw(st.integers(len("interlock-round-1."), len(token) - 1))
    put = data.draw(st.characters().filter(lambda each: each != token[at]))

    with pytest.raises(MalformedMessage) as refused:
        redeem(token[:at] + put + token[at + 1 :], "bot", "files", KEY)
    assert refused.value.code == INVALID_PARAMS


@given(st.text(max_size=3000))
def test_what_nobody_issued_is_refused_or_none_of_ours(text: str) -> None:
    for state in (text, "interlock-round-1." + text):
        if is_ours(state):
            with pytest.raises(MalformedMessage):
                redeem(state, "bot", "files", KEY)


@pytest.mark.parametrize("state", [None, 1, "the server's", ["interlock-round-1."], ""])
def test_the_servers_own_state_is_none_of_ours(state: object) -> None:
    assert not is_ours(state)


@pytest.mark.parametrize(
    ("came", "asked", "params"),
    [
        ({"requestState": "t"}, None, {"name": "a"}),
        ({"requestState": "t", "inputResponses": {}}, None, {"name": "a"}),
        ({"requestState": "t"}, {"requestState": "s"}, {"name": "a", "requestState": "s"}),
        (
            {"requestState": "t", "inputResponses": {}},
            {"requestState": "s", "inputResponses": {"x": 1}},
            {"name": "a", "requestState": "s", "inputResponses": {"x": 1}},
        ),
        (
            {"requestState": "t", "inputResponses": {"x": 2}},
            None,
            {"name": "a", "inputResponses": {"x": 2}},  # and so it is another call than was held
        ),
    ],
)
def test_a_call_that_comes_back_is_as_it_was_first(came: dict, asked: dict, params: dict) -> None:
    document = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "a"} | came}

    message = restored(message_of(document), asked)

    assert message.params == message.document["params"] == params
