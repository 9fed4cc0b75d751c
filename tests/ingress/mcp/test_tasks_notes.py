"""Whatever a server asks for, and in whatever pieces it is answered: what goes back to it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from interlock.core.actions import Action, Agent, Answer, McpTool, State, ToolCall
from interlock.core.digest import digest
from interlock.core.messages import read_message
from interlock.ingress.mcp.tasks_notes import (
    ROUNDS,
    Note,
    advanced,
    answered,
    begun,
    cancelled,
    continuation,
    continued,
    decoded,
    encoded,
    whole,
)

NAMES = st.text('abc.1 {}"\\é', max_size=4)
RESPONSE = st.fixed_dictionaries({"action": st.sampled_from(["accept", "decline"])})
ROUND = st.tuples(
    st.dictionaries(NAMES, RESPONSE, min_size=1, max_size=4), st.none() | st.text('sé"', max_size=3)
)
BODY = {
    "jsonrpc": "2.0",
    "id": 7,
    "method": "tools/call",
    "params": {
        "name": "pay",
        "arguments": {"amount": 9},
        "_meta": {"progressToken": 1, "kept": True},
    },
}


def an_action(**more: Any) -> Action:
    call = ToolCall(
        agent=Agent(id="bot"),
        upstream="bank",
        method="tools/call",
        target="/",
        headers=(("Mcp-Name", "pay"),),
        body=json.dumps(BODY).encode(),
        mcp=McpTool(name="pay", definition="sha256:1"),
    )
    return Action(id="a0", call=call, state=State.ANSWERED, created=100, changed=200, **more)


def saying(action: Action, result: Any) -> Action:
    given = read_message(action.call.body).id
    body = json.dumps({"jsonrpc": "2.0", "id": given, "result": result}).encode()
    return replace(action, answer=Answer(status=200, body=body, size=len(body)))


@given(st.lists(ROUND, min_size=1, max_size=ROUNDS), st.randoms(use_true_random=False))
def test_every_answer_goes_back_under_the_servers_own_key_and_no_key_is_used_twice(
    rounds: list[tuple[dict[str, Any], str | None]], random: Any
) -> None:
    action, note = an_action(), None
    seen: set[str] = set()
    for number, (responses, state) in enumerate(rounds, 1):
        asks: dict[str, Any] = {"resultType": "input_required"}
        asks["inputRequests"] = {name: {"method": "elicitation/create"} for name in responses}
        asks |= {} if state is None else {"requestState": state}
        note = _round_trip(advanced(note, saying(action, asks), "unused", 300))
        assert advanced(note, saying(action, asks), "other", 300) is None
        assert not note.asked.keys() & seen and note.rounds == number
        seen |= note.asked.keys()

        keys = sorted(note.asked)
        random.shuffle(keys)
        for key in keys:
            said = {key: responses[note.asked[key]["name"]], "strange": 1}
            again = note
            note = _round_trip(answered(note, said, f"key{number}", 400))
            assert answered(note, said, "late", 500) is None
            assert again.next == ""
        assert note.next == f"key{number}" and not note.asked

        call = continuation(note, action, None)
        sent = json.loads(call.body)
        params = sent["params"]
        assert params.pop("inputResponses") == responses
        assert params.pop("requestState", None) == state
        assert params == BODY["params"] | {"_meta": {"kept": True}}  # type: ignore[operator]
        assert sent["id"] == f"task-key{number}"
        assert call.digest == digest(call) and call.headers == action.call.headers
        assert call.mcp is not None and not call.mcp.accepted and call.mcp.definition == ""

        action = replace(an_action(), id=f"a{number}", call=call)
        note = _round_trip(continued(note, note.next, action, call.body, 600))
        assert (note.action, note.sent) == (action.id, call.body.decode())


def _round_trip(note: Note | None) -> Note:
    assert note is not None
    assert decoded(encoded(note)) == note
    return note


def test_a_task_that_was_given_up_goes_on_with_nothing() -> None:
    action = saying(an_action(), {"resultType": "input_required", "inputRequests": {"a": {}}})
    note = advanced(None, action, "key", 300)
    assert note is not None
    ended = cancelled(note, 400)
    assert ended is not None and ended.asked == {}
    assert cancelled(ended, 500) is None
    assert answered(ended, {"1.a": {}}, "key", 500) is None
    assert advanced(ended, action, "key", 500) is None
    assert continued(ended, "", action, b"{}", 500) is None


def test_a_call_whose_action_keeps_no_message_gets_it_from_the_note() -> None:
    action = an_action()
    bare = replace(action, call=replace(action.call, body=b""))
    note = begun(bare, 0, action.call.body)
    assert whole(bare, note) == action
    assert whole(action, replace(note, sent="other")) is action
    assert whole(bare, None) is bare
