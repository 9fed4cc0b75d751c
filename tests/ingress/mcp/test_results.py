"""What clients are answered: valid in their era, and honest about what ran."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_types.methods import validate_server_result

from interlock.core.actions import (
    Action,
    Agent,
    Answer,
    McpTool,
    Review,
    Reviewer,
    State,
    ToolCall,
    Verdict,
)
from interlock.core.decisions import Level
from interlock.core.errors import (
    InterlockError,
    MalformedMessage,
    QueueFull,
    StateUnavailable,
    StoreUnavailable,
    Suspended,
    UpstreamLost,
    UpstreamUnreachable,
)
from interlock.core.messages import call_envelope
from interlock.ingress.mcp import answers, results
from interlock.ingress.mcp.results import Asker
from interlock.ingress.mcp.session import Live
from tests.ingress.mcp.conversation import text
from tests.support.builders import NOON, a_decision

CALL = "dev.interlock/call"
DISPOSITION = "net.openid.authzen/disposition"
AUTHORIZATION = "io.modelcontextprotocol/authorization"
FIRST_WORDS = ("NOT EXECUTED", "EXECUTED", "OUTCOME UNKNOWN", "SENT, NO ANSWER YET")
ERAS = {"2025-11-25": False, "2026-07-28": True}
TO = Asker(id=7)
PLAIN: dict[str, Any] = {
    "content": [{"type": "text", "text": "done"}],
    "structuredContent": {"a": 1},
}


def an_action(state: State = State.HELD, **more: Any) -> Action:
    call = ToolCall(
        agent=Agent(id="bot"),
        upstream="files",
        method="tools/call",
        target="/",
        body=call_envelope("write", {"path": "a"}),
        mcp=McpTool(name="write"),
    )
    usual = {"decision": a_decision(Level.APPROVE), "deadline": NOON, "cause": "because"}
    return Action(id="a1", call=call, state=state, **(usual | more))


def an_answer(document: Any, **more: Any) -> Answer:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Answer(status=more.pop("status", 200), body=body, size=len(body), **more)


def response(result: Any = PLAIN, given: Any = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": given, "result": result}


def an_edit(**more: Any) -> Action:
    """A call for `b` in place of which `a` was executed."""
    action = an_action(State.ANSWERED, answer=an_answer(response()), **more)
    asked = replace(action.call, body=call_envelope("write", {"path": "b"}))
    review = Review(
        reviewer=Reviewer(id="ann"), verdict=Verdict.EDIT, digest="", version=1, message='"a" is it'
    )
    return replace(action, original=asked, reviews=(review,))


ANSWERS = st.one_of(
    st.none(),
    st.just(an_answer(response())),
    st.binary(max_size=50).map(an_answer),
    st.builds(Answer, status=st.just(404), size=st.just(5), complete=st.booleans()),
)
ACTIONS = st.builds(
    an_action,
    state=st.sampled_from(sorted(State, key=lambda each: each.value)),
    cause=st.text(max_size=40),
    fence=st.integers(0, 2),
    answer=ANSWERS,
    decision=st.sampled_from([None, a_decision(Level.APPROVE), a_decision(orphans="refuse")]),
)
ASKERS = st.builds(Asker, id=st.integers() | st.text(), errors=st.booleans(), waits=st.booleans())


@given(ACTIONS, ASKERS, st.sampled_from(sorted(ERAS)))
def test_every_outcome_is_a_valid_result_in_each_era(
    action: Action, to: Asker, version: str
) -> None:
    answer = results.outcome(action, replace(to, modern=ERAS[version]))

    assert answer["id"] == to.id and json.dumps(answer)
    if "resultType" not in answer["result"] and ERAS[version]:
        assert answer["result"] == PLAIN  # of the server, which speaks its own era
        return
    validate_server_result("tools/call", version, answer["result"])
    assert answer["result"] == PLAIN or "structuredContent" not in answer["result"]


@given(ACTIONS)
def test_the_first_words_say_what_the_machine_is_told(action: Action) -> None:
    answer = results.outcome(action, TO)
    if answer["result"] == PLAIN:
        return
    said, meta = text(answer), answer["result"]["_meta"]

    assert said.startswith(FIRST_WORDS)
    executed = meta[CALL]["executed"]
    assert said.startswith("NOT EXECUTED") == (executed is False)
    assert said.startswith(("OUTCOME", "SENT")) == (executed == "unknown")
    assert (meta.get(DISPOSITION) == "denied-not-executed") == (executed is False)
    assert AUTHORIZATION not in meta or executed is False


@given(st.text(min_size=1).filter(str.strip))
def test_what_people_say_cannot_pass_for_our_words(said: str) -> None:
    states = (State.DENIED, State.REJECTED, State.CANCELLED, State.RESOLVED)
    told = [text(results.outcome(an_action(state, cause=said), TO)) for state in states]
    answered = an_action(State.RESPONDED, answer=an_answer(said.encode("utf-8")))

    for each in (*told, text(results.outcome(answered, TO))):
        assert json.dumps(said, ensure_ascii=False) in each


ERRORS = [
    QueueFull("full"),
    Suspended(),
    StoreUnavailable(),
    StateUnavailable(),
    UpstreamUnreachable("x"),
    UpstreamLost("x"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda each: each.kind)
@pytest.mark.parametrize("version", sorted(ERAS))
def test_every_failure_is_a_valid_result(error: InterlockError, version: str) -> None:
    answer = results.failure(error, replace(TO, modern=ERAS[version]), an_action())

    validate_server_result("tools/call", version, answer["result"])
    lost = isinstance(error, UpstreamLost | StateUnavailable)
    assert text(answer).startswith("OUTCOME UNKNOWN." if lost else "NOT EXECUTED.")
    assert answer["result"]["_meta"][CALL]["executed"] == ("unknown" if lost else False)


def test_what_is_no_tool_gets_an_error_outside_the_reserved_codes() -> None:
    answer = results.outcome(an_action(State.DENIED), replace(TO, tool=False))

    assert answer["error"]["code"] == 31403
    assert answer["error"]["message"].startswith("NOT EXECUTED. Policy refused")
    assert answer["error"]["data"][CALL]["state"] == "denied"


def test_a_waiting_call_says_how_to_come_back() -> None:
    offered = text(results.outcome(an_action(), TO))
    not_offered = text(results.outcome(an_action(), replace(TO, waits=False)))
    meta = results.outcome(an_action(), TO)["result"]["_meta"]

    assert 'call `interlock_wait` with {"call": "a1"}' in offered
    assert "interlock_wait" not in not_offered and "send the same call again" in not_offered
    assert meta[AUTHORIZATION] == {
        "reason": "insufficient_authorization",
        "remediation": "undisclosed",
        "authorizationContextId": "a1",
    }
    assert meta[CALL]["expires_at"] == "2026-09-21T14:13:20Z"
    assert "http" not in offered and "/v1/" not in offered


def test_a_malformed_message_keeps_its_code() -> None:
    answer = results.malformed(MalformedMessage("no", code=-32700), None)

    assert answer["error"]["code"] == -32700 and answer["id"] is None


def test_progress_is_told_only_where_it_was_asked_for() -> None:
    assert results.progress(TO, 1) is None
    told = results.progress(replace(TO, progress="p"), 2)
    assert told is not None and told["params"]["progressToken"] == "p"


# the tool's own answers ---------------------------------------------------------------------

EVENTS = (
    b": hi\r\n\r\n"
    b'data: {"jsonrpc":"2.0","method":"notifications/progress"}\r\n\r\n'
    b'id: 5\r\nevent: message\r\ndata: {"jsonrpc":"2.0","id":1,\r\ndata: "result":{}}\r\n\r\n'
)


@pytest.mark.parametrize("cut", [b"\r\n", b"\n", b"\r"])
def test_the_response_is_found_among_events(cut: bytes) -> None:
    action = an_action(State.ANSWERED, answer=an_answer(EVENTS.replace(b"\r\n", cut)))

    assert results.outcome(action, TO) == {"jsonrpc": "2.0", "id": 7, "result": {}}


def test_an_error_of_the_server_is_passed_as_it_was() -> None:
    error = {"code": -32602, "message": "no such tool"}
    stored = an_answer({"jsonrpc": "2.0", "id": 1, "error": error}, status=400)

    answer = results.outcome(an_action(State.ANSWERED, answer=stored), TO)

    assert answer == {"jsonrpc": "2.0", "id": 7, "error": error}


@pytest.mark.parametrize("given", ["1", True, 2, None, 1.0])
def test_a_response_to_something_else_is_none(given: Any) -> None:
    action = an_action(State.ANSWERED, answer=an_answer(response(given=given)))

    assert text(results.outcome(action, TO)).startswith("OUTCOME UNKNOWN.")


def test_a_refusal_by_the_server_is_quoted() -> None:
    stored = an_answer(b'say "sorry"', status=404)

    said = text(results.outcome(an_action(State.ANSWERED, answer=stored), TO))

    assert "HTTP status 404" in said and json.dumps('say "sorry"') in said


@pytest.mark.parametrize("complete", [True, False])
def test_an_answer_that_was_not_kept_is_told_as_executed(complete: bool) -> None:
    stored = Answer(status=200, size=9_000_000, complete=complete)

    answer = results.outcome(an_action(State.ANSWERED, answer=stored), TO)

    assert text(answer).startswith("EXECUTED. ")
    assert answer["result"]["_meta"][DISPOSITION] == "approved-executed"


def test_of_an_edited_call_the_model_is_told_first_what_ran() -> None:
    result = results.outcome(an_edit(), TO)["result"]

    notice, *rest = result["content"]
    assert 'Executed instead: "write" with the arguments {"path": "a"}' in notice["text"]
    assert json.dumps('"a" is it') in notice["text"]
    assert rest == PLAIN["content"] and result["structuredContent"] == {"a": 1}
    assert result["_meta"]["dev.interlock/edited"]["arguments"] == {"path": "a"}


def test_long_arguments_are_told_in_part() -> None:
    action = an_edit()
    call = replace(action.call, body=call_envelope("write", {"text": "x" * 9000}))

    result = results.outcome(replace(action, call=call), TO)["result"]

    assert len(result["content"][0]["text"]) < 4500
    assert len(result["_meta"]["dev.interlock/edited"]["arguments"]["text"]) == 9000


def test_what_makes_a_client_come_back_is_valid() -> None:
    answer = results.come_back(replace(TO, modern=True), "state")

    validate_server_result("tools/call", "2026-07-28", answer["result"])
    assert "inputRequests" not in answer["result"]


def test_an_edit_is_not_told_where_settings_say_so() -> None:
    assert results.outcome(an_edit(), replace(TO, tell_edits=False))["result"] == PLAIN


def test_an_edited_call_that_failed_says_what_ran_beside_the_error() -> None:
    error = {"code": -1, "message": "x"}
    stored = an_answer({"jsonrpc": "2.0", "id": 1, "error": error})

    told = results.outcome(replace(an_edit(), answer=stored), TO)["error"]

    assert told["message"] == "x" and told["data"]["dev.interlock/edited"]["tool"] == "write"


def live(action: Action, foreign: bool) -> Live:
    nothing: Any = None  # no test reads on it
    return Live(relay=nothing, action=action, foreign_id=foreign)


def test_a_live_answer_of_ones_own_request_passes_untouched() -> None:
    assert answers.amender(live(an_action(), False), 1, None, tell_edits=True) is None
    assert answers.amender(live(an_edit(), False), 1, None, tell_edits=False) is None


def test_a_live_answer_to_another_request_gets_the_askers_id_and_token() -> None:
    action = an_action()
    envelope = json.loads(action.call.body)
    envelope["params"]["_meta"] = {"progressToken": "old"}
    call = replace(action.call, body=json.dumps(envelope).encode())
    amend = answers.amender(live(replace(action, call=call), True), 9, "new", tell_edits=True)
    assert amend is not None
    progress = {"method": "notifications/progress", "params": {"progressToken": "old"}}
    asked = {"jsonrpc": "2.0", "id": 1, "method": "sampling/createMessage"}

    assert amend(response())["id"] == 9
    assert amend(progress)["params"] == {"progressToken": "new"}
    assert amend(asked) is asked, "a request of the server has ids of its own"


def test_what_is_judged_as_foreign() -> None:
    action = an_action()

    assert not answers.is_foreign(action, 1, None)
    assert answers.is_foreign(action, "1", None) and answers.is_foreign(action, 1, "p")
