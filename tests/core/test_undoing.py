"""The call that undoes another: values as they were written, and no way out of the template."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.actions import (
    Action,
    Agent,
    Answer,
    Content,
    Context,
    McpTool,
    State,
    ToolCall,
    evolve,
)
from interlock.core.content import parse_content, parse_target
from interlock.core.decisions import Level
from interlock.core.digest import digest, seal
from interlock.core.evaluate import evaluate
from interlock.core.facts import NO_FACTS
from interlock.core.rules import PolicySet
from interlock.core.undo_values import LONGEST, MOST
from interlock.core.undoing import REMEMBERED_MS, undo_call, undo_of, undoable
from tests.policies.building import NOON, policy
from tests.policies.test_undoing import BANK, UNDO, bank

HOUR = 3_600_000
POLICY = policy(bank())


def sent(
    body: Any = None, target: str = "/accounts/a-1/transfers", *, raw: bytes = b""
) -> ToolCall:
    """A transfer as an agent sends it."""
    data = raw or json.dumps({"amount": 20} if body is None else body).encode()
    path, query = parse_target(target)
    return seal(
        ToolCall(
            agent=Agent(id="bot", owner="olga"),
            upstream="bank",
            method="POST",
            target=target,
            headers=(("Content-Type", "application/json"), ("Authorization", "Bearer x")),
            body=data,
            path=path,
            query=query,
            content=parse_content("application/json", data),
            context=Context(confidence=0.9, session="s-1", reason="rent", task="Pay the rent"),
        )
    )


def answered(
    answer: Any = None,
    call: ToolCall | None = None,
    compiled: PolicySet = POLICY,
    *,
    raw: bytes | None = None,
    media_type: str = "application/json",
    status: int = 201,
    **changes: Any,
) -> Action:
    """The transfer once the tool has answered it."""
    body = json.dumps({"id": "p-7"} if answer is None else answer).encode() if raw is None else raw
    call = call or sent()
    return Action(
        id="01A",
        call=call,
        state=State.ANSWERED,
        decision=evaluate(call, compiled, NO_FACTS, NOON),
        changed=HOUR,
        digest=call.digest,
        answer=Answer(
            status=status, headers=(("content-type", media_type),), body=body, size=len(body)
        ),
        **changes,
    )


def made(action: Action, compiled: PolicySet = POLICY) -> ToolCall:
    call = undo_call(action, compiled, "ann")
    assert isinstance(call, ToolCall), call
    return call


def refused(action: Action, compiled: PolicySet = POLICY) -> str:
    why = undo_call(action, compiled, "ann")
    assert isinstance(why, str), why
    return why


def test_the_call_is_the_same_agents_and_says_who_asked() -> None:
    call = made(answered())

    assert (call.method, call.target) == ("POST", "/payments/p-7/refund")
    assert call.body == b'{"amount": 20}'
    assert call.headers == (("Content-Type", "application/json"), ("Accept", "application/json"))
    assert (call.agent, call.upstream) == (Agent(id="bot", owner="olga"), "bank")
    assert call.context == Context(
        session="s-1", task="Pay the rent", reason="Undo of 01A, asked for by ann"
    )
    assert call.digest == digest(call) != ""


def test_policy_judges_it_as_what_it_is() -> None:
    decision = evaluate(made(answered()), POLICY, NO_FACTS, NOON)

    assert (decision.tool, decision.level) == ("bank.refund", Level.ALLOW)
    assert dict(decision.arguments) == {"payment": "p-7", "amount": 20}


@pytest.mark.parametrize("number", ["20", "20.50", "1e2", "-0.1", "9007199254740993"])
def test_numbers_keep_their_digits(number: str) -> None:
    call = sent(raw=b'{ "amount" :  ' + number.encode() + b' , "to": "x"}')

    assert made(answered(call=call)).body == b'{"amount": ' + number.encode() + b"}"


def test_a_number_of_the_answer_stands_in_the_path_as_written() -> None:
    assert made(answered(raw=b' {"id": 12.50}')).target == "/payments/12.50/refund"
    assert made(answered({"id": 7})).target == "/payments/7/refund"


def test_a_text_stays_a_text_and_is_no_number() -> None:
    undo = UNDO.replace("args.amount", "answer.amount")
    compiled = policy(bank(undo))

    good = answered({"id": "p", "amount": 5}, compiled=compiled)
    assert made(good, compiled).body == b'{"amount": 5}'
    bad = answered({"id": "p", "amount": "5"}, compiled=compiled)
    assert "does not fit bank.refund" in refused(bad, compiled)


def test_members_inside_members_are_found_by_dots() -> None:
    compiled = policy(bank(UNDO.replace("answer.id", "answer.payment.id")))
    action = answered({"payment": {"n": [1, {"id": 3}], "id": "p-9"}}, compiled=compiled)

    assert made(action, compiled).target == "/payments/p-9/refund"


def test_an_answer_that_came_packed_is_unpacked() -> None:
    body = gzip.compress(b'{"id": "p-7"}')
    action = answered(raw=body)
    assert action.answer is not None
    headers = (("Content-Type", "application/json"), ("Content-Encoding", "gzip"))
    packed = evolve(action, answer=Answer(status=200, headers=headers, body=body, size=len(body)))

    assert made(packed).target == "/payments/p-7/refund"
    for wrong in (body[:-4], b"no gzip", body + b"x", gzip.compress(b" " * (MOST + 1))):
        bad = Answer(status=200, headers=headers, body=wrong, size=len(wrong))
        assert "The tool's answer" in refused(evolve(packed, answer=bad))


# ---- hostile answers -------------------------------------------------------------------------

OUT = [
    "../../accounts/a/transfers",
    "..",
    ".",
    "a/b",
    "a\\b",
    "%2e%2e",
    "%2F",
    "a%2fb",
    "．．",
    "a;b/..",
    "",
    "\x00",
    "a\nb",
    "a\x7f",
    "x" * (LONGEST + 1),
    10**30,
    None,
    {"id": "p"},
    ["p"],
]


@pytest.mark.parametrize("hostile", OUT, ids=repr)
def test_a_hostile_answer_leads_nowhere(hostile: Any) -> None:
    assert refused(answered({"id": hostile}))


@pytest.mark.parametrize("odd", ["a?b=c", "a#b", "a b", "a&b", "ü", "a'b", "a%b", "a:b@c", "~"])
def test_odd_but_harmless_values_stay_one_segment(odd: str) -> None:
    call = undo_call(answered({"id": odd}), POLICY, "ann")

    if isinstance(call, ToolCall):
        assert call.path == f"/payments/{odd}/refund" and call.query == ()


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists))
def test_no_answer_leaves_the_template(value: Any) -> None:
    raw = json.dumps({"id": value}).encode("utf-8", "surrogatepass")
    call = undo_call(answered(raw=raw), POLICY, "ann")

    if isinstance(call, ToolCall):
        before, one, after = call.path.removeprefix("/").split("/")
        assert (before, after, call.query) == ("payments", "refund", ())
        assert one and call.target.count("/") == 3 and call.body == b'{"amount": 20}'
        assert one == value if isinstance(value, str) else one == json.dumps(value)


@pytest.mark.parametrize(
    ("raw", "media_type", "said"),
    [
        (b"", "application/json", "no JSON object"),
        (b"[1]", "application/json", "no JSON object"),
        (b'{"id": "p"}', "text/html", "no JSON object"),
        (b'{"id": "p", "id": "q"}', "application/json", "more than once"),
        (b'{"id": "p", "ID": "q"}', "application/json", "take for one"),
        (b'{"id": NaN}', "application/json", "cannot be read"),
        (b'{"id": 1e999}', "application/json", "cannot be read"),
        (b'{"id": "\\ud800"}', "application/json", "cannot be read"),
        (b'{"id": "p"', "application/json", "cannot be read"),
        (b'{"id":' + b"[" * 40 + b"]" * 40 + b"}", "application/json", "cannot be read"),
        (b'{"other": "p"}', "application/json", "The tool's answer has no answer.id"),
        (b'{"id": null}', "application/json", "answer.id is neither a text nor a number"),
        (b'\xff{"id": "p"}', "application/json", "cannot be read"),
    ],
)
def test_an_answer_that_cannot_be_read_for_certain_makes_no_call(
    raw: bytes, media_type: str, said: str
) -> None:
    assert said in refused(answered(raw=raw, media_type=media_type))


def test_an_answer_must_say_once_what_it_is() -> None:
    action = answered()
    assert action.answer is not None
    for headers in ((), (("content-type", "application/json"), ("Content-Type", "text/plain"))):
        bare = Answer(status=200, headers=headers, body=action.answer.body, size=11)
        assert "does not say what it is" in refused(evolve(action, answer=bare))


def test_an_argument_that_was_not_sent_makes_no_call() -> None:
    compiled = policy(bank(UNDO.replace("{payment", "{memo: args.to, payment")))

    said = refused(answered(compiled=compiled), compiled)

    assert said == "The call has no argument 'to', which would say what is undone."


# ---- where arguments go ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("http", "target", "body"),
    [
        (
            '{upstream: bank, method: DELETE, path: "/p/{payment}", params: [amount]}',
            "/p/p-7",
            b'{"amount": 20}',
        ),
        (
            '{upstream: bank, method: POST, path: "/p/{payment}", body: [form]}',
            "/p/p-7",
            b"amount=20",
        ),
        (
            '{upstream: bank, method: GET, path: "/p/{payment}"}',
            "/p/p-7?amount=20",
            b"",
        ),
        (
            '{upstream: bank, method: POST, path: "/p/{payment}", query: {action: refund}}',
            "/p/p-7?action=refund",
            b'{"amount": 20}',
        ),
        (
            '{upstream: bank, method: POST, path: "/p/{payment}", json: {do: "re fund"}}',
            "/p/p-7",
            b'{"do": "re fund", "amount": 20}',
        ),
        (
            '{upstream: bank, method: POST, path: "/p/{payment...}"}',
            "/p/p-7",
            b'{"amount": 20}',
        ),
        (
            '{upstream: bank, method: POST, path: "/a b/{payment}"}',
            "/a%20b/p-7",
            b'{"amount": 20}',
        ),
    ],
)
def test_arguments_go_where_the_tool_takes_them(http: str, target: str, body: bytes) -> None:
    compiled = policy(bank(http=http))
    call = made(answered(compiled=compiled), compiled)

    assert (call.target, call.body) == (target, body)
    kinds = [value for name, value in call.headers if name == "Content-Type"]
    assert len(kinds) == (1 if body else 0)


def test_what_only_the_query_declares_goes_there() -> None:
    text = bank(http='{upstream: bank, method: POST, path: "/p/{payment}", params: [why]}')
    compiled = policy(text.replace("{payment: answer.id,", "{why: args.to, payment: answer.id,"))
    call = made(answered(call=sent({"amount": 2, "to": "a&b=c"}), compiled=compiled), compiled)

    assert (call.target, call.body) == ("/p/p-7?why=a%26b%3Dc", b'{"amount": 2}')


def test_an_argument_of_a_list_goes_into_json_only() -> None:
    text = bank(UNDO.replace("args.amount", "args.lines"))
    text = text.replace("to: {type: string}}", "to: {type: string}, lines: {type: array}}")
    text = text.replace("{amount: {type: number}, memo", "{amount: {type: array}, memo")
    call = sent(raw=b'{"amount": 1, "lines": [1, {"a":2.0}]}')

    whole = policy(text)
    assert made(answered(call=call, compiled=whole), whole).body == b'{"amount": [1, {"a":2.0}]}'
    form = policy(text.replace('{payment}/refund"}', '{payment}/refund", body: [form]}'))
    assert "only a JSON body can hold" in refused(answered(call=call, compiled=form), form)


# ---- whether it may be -----------------------------------------------------------------------


def may(action: Action, now: int = HOUR, compiled: PolicySet = POLICY) -> str:
    _, why = undoable(action, undo_of(action, compiled), now)
    return why


def test_it_may_be_undone_until_its_window_closes() -> None:
    action = answered()

    assert undoable(action, undo_of(action, POLICY), HOUR) == (True, "")
    assert may(action, HOUR + REMEMBERED_MS - 1) == ""
    assert may(action, HOUR + REMEMBERED_MS) == "It could be undone within 24h; that is over."
    short = policy(bank(UNDO.replace("24h", "10m")))
    assert may(answered(compiled=short), HOUR + 599_999, short) == ""
    assert "that is over" in may(answered(compiled=short), HOUR + 600_000, short)


@pytest.mark.parametrize("state", [state for state in State if state is not State.ANSWERED])
def test_only_what_was_answered_can_be_undone(state: State) -> None:
    why = may(evolve(answered(), state=state))

    assert why == f"There is nothing to undo: the call is {state.value}."


@pytest.mark.parametrize("status", [0, 100, 199, 300, 302, 400, 404, 500])
def test_only_what_succeeded_can_be_undone(status: int) -> None:
    assert may(answered(status=status)) == f"There is nothing to undo: the tool answered {status}."


def test_an_answer_that_was_not_kept_says_nothing() -> None:
    lost = Answer(status=200, size=11)
    assert "was not kept whole" in may(evolve(answered(), answer=lost))

    own = policy(bank(UNDO.replace("answer.id", "args.account")))
    action = evolve(answered(compiled=own), answer=lost)
    assert may(action, compiled=own) == ""
    assert made(action, own).target == "/payments/a-1/refund"


def test_practice_and_mcp_calls_have_no_button() -> None:
    assert may(evolve(answered(), decoy_of="01B")).startswith("This was a practice call")
    mcp = evolve(
        answered(),
        call=seal(
            ToolCall(
                agent=Agent(id="bot"),
                upstream="bank",
                method="tools/call",
                target="/",
                content=Content(),
                mcp=McpTool(name="x"),
            )
        ),
    )
    assert may(mcp) == "Policy names no tool that undoes this."


def test_a_text_alone_is_no_button() -> None:
    text = policy(BANK.replace("UNDO", "{tool: bank.refund, within: 24h}"))

    assert "ask the agent to call it" in may(answered(compiled=text), compiled=text)


def test_a_policy_that_has_changed_undoes_nothing_otherwise() -> None:
    other = policy(bank(UNDO.replace("24h", "10m")))

    assert undo_of(answered(), other) is None
    assert refused(answered(), other) == "Policy names no tool that undoes this."


def test_of_what_went_through_unremarked_the_present_policy_says_how() -> None:
    action = answered()
    assert action.decision is not None
    bare = evolve(action, decision=None)

    assert undo_of(bare, POLICY) == action.decision.undo
