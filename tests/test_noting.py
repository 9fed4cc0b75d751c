"""Records of decided calls: what is in them judges the same, and no secret and no name is."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.core.actions import Action, Agent, Answer, Context, McpTool, State, ToolCall, Verdict
from interlock.core.content import parse_content, parse_target
from interlock.core.decisions import Level
from interlock.core.digest import seal
from interlock.core.errors import MalformedCall
from interlock.core.evaluate import decide, evaluate, prepare
from interlock.core.events import Answered, Cancelled, Claimed, Decided, Event, Lost, Reviewed
from interlock.core.facts import MILLION, NO_FACTS, Facts, Grant, Session
from interlock.core.lifecycle import step
from interlock.core.messages import TOOLS_CALL, call_content, call_envelope
from interlock.core.records import DecidedCall, pack, target_of, unpack
from interlock.core.rules import PolicySet
from interlock.mcp_ports import NothingListed
from interlock.noting import Noting, changed, decode, encode, facts_from, record_of
from interlock.noting_calls import LARGEST
from interlock.noting_entries import packed
from interlock.noting_facts import pack_facts
from interlock.policies.load import read_policies
from interlock.policies.replaying import replayed
from interlock.policies.suite_calls import make_call, setting
from interlock.policies.suite_document import AgentEntry, CallEntry
from tests.support.builders import ANN, BOB, NOON, a_review
from tests.support.records import record, records

KEY = b"k" * 32
AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
POLICY = """
apiVersion: interlock/v1
kind: Policy
metadata: {name: shop, version: 1, owner: ann@example.com, description: All that calls can be.}
matrix:
  read_only:    [allow,  allow,   notify,       approve]
  reversible:   [allow,  notify,  approve,      approve]
  compensable:  [notify, approve, approve,      approve_dual]
  irreversible: [notify, approve, approve_dual, deny]
stake:
  data: {public: low, internal: medium, confidential: high, restricted: critical}
tools:
  - id: shop.pay
    description: Pays.
    http: {upstream: shop, method: [POST, PUT], path: "/pay/{who}"}
    args_schema:
      type: object
      properties: {who: {type: string}, amount: {type: number}, note: {type: string}}
    reversibility: reversible
    undo: {reason: It can be paid back.}
    facets: {data: confidential}
  - id: shop.tell
    description: Tells.
    mcp: {server: shop, tool: tell}
    reversibility: irreversible
    undo: {reason: Nothing is untold.}
    facets: {data: internal}
"""
SIZED = """
rules:
  - {id: large, description: Large ones., tools: ["*"], when: call.size > 60, at_least: approve}
  - id: typed
    description: Odd ones.
    tools: ["*"]
    when: call.content_type == "text/plain"
    at_least: approve
"""


def policy(more: str = "") -> PolicySet:
    return read_policies([("shop.yaml", POLICY + more)])


def http(
    body: bytes = b"",
    media: str = "",
    *,
    target: str = "/pay/bob",
    method: str = "POST",
    headers: tuple[tuple[str, str], ...] = (),
    **context: Any,
) -> ToolCall:
    path, query = parse_target(target)
    said = (("Content-Type", media),) if media else ()
    return seal(
        ToolCall(
            agent=Agent(id="bot", owner="olga"),
            upstream="shop",
            method=method,
            target=target,
            headers=(*headers, *said),
            body=body,
            path=path,
            query=query,
            content=parse_content(media, body),
            context=Context(session="s1", **context),
        )
    )


def mcp(arguments: dict[str, Any], name: str = "tell") -> ToolCall:
    body = call_envelope(name, arguments)
    return seal(
        ToolCall(
            agent=Agent(id="bot", owner="olga"),
            upstream="shop",
            method=TOOLS_CALL,
            target="/",
            body=body,
            content=call_content(body),
            context=Context(session="s1"),
            mcp=McpTool(name=name, annotations={"destructiveHint": True}),
        )
    )


def ended(call: ToolCall, rules: PolicySet, *events: Event, **decided: Any) -> Action:
    decision = replace(evaluate(call, rules, NO_FACTS, AT), **decided)
    action, _ = step(
        Action(id="a1", call=call, digest=call.digest), Decided(at=NOON, decision=decision)
    )
    if not events and action.state is State.HELD:
        events = (Cancelled(at=NOON + 5, by="bot", cause="Cancelled by the caller."),)
    if not events and action.state is State.APPROVED:
        claim = Claimed(at=NOON + 1, nonce="n", lease_ms=60_000)
        events = (claim, Answered(at=NOON + 5, answer=Answer(status=200)))
    for event in events:
        action, _ = step(action, event)
    return action


def noted(action: Action, rules: PolicySet) -> DecidedCall:
    """Return the record of *action*, as it is once it was written and read."""
    made = record_of(action, rules, lambda person: f"r-{person[:3]}")
    return decode(encode(made, KEY), KEY)


def made_again(found: DecidedCall, request: Any, rules: PolicySet) -> ToolCall:
    entry = CallEntry.model_validate_json(json.dumps(dict(request)), strict=True)
    agent = AgentEntry(id=found.agent, owner=found.owner, confidence=found.confidence)
    call = make_call(entry, agent, setting({}), rules)
    return replace(call, context=Context(session=found.session, task=found.task))


RULES = policy()
BY_SIZE = policy(SIZED)
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn", "Mn", "Me"]))
words = st.text("abcxyz", min_size=1, max_size=5)
names = st.sampled_from(["note", "amount", "note", "abc"])
leaves = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts
leaves = leaves | st.floats(allow_nan=False, allow_infinity=False, min_value=-1e9, max_value=1e9)
values = st.recursive(
    leaves,
    lambda each: st.lists(each, max_size=3) | st.dictionaries(names | words, each, max_size=3),
    max_leaves=8,
)
indents = st.sampled_from([None, 1, 4])


@st.composite
def bodies(draw: st.DrawFn) -> tuple[bytes, str]:
    kind = draw(st.sampled_from(["none", "json", "vendor", "form", "text", "bytes", "untyped"]))
    if kind in ("json", "vendor"):
        document = json.dumps(
            draw(values), indent=draw(indents), ensure_ascii=draw(st.booleans())
        ).encode()
        return document, "application/json" if kind == "json" else "application/vnd.shop+json"
    if kind == "form":
        fields = draw(st.dictionaries(names, texts, max_size=3))
        how = draw(st.sampled_from([quote, lambda text, *_: quote(text, safe="")]))
        written = "&".join(f"{name}={how(value)}" for name, value in fields.items())
        return written.replace("%20", draw(st.sampled_from(["+", "%20"]))).encode(), (
            "application/x-www-form-urlencoded"
        )
    if kind == "text":
        return draw(texts).encode(), "text/plain"
    if kind == "bytes":
        return draw(st.binary(max_size=80)), "application/octet-stream"
    return (draw(texts).encode(), "") if kind == "untyped" else (b"", draw(st.just("text/plain")))


@st.composite
def https(draw: st.DrawFn) -> ToolCall:
    path = "/" + draw(st.sampled_from(["pay", "pay", "other"])) + "/" + quote(draw(words))
    pairs = draw(st.just([]) | st.lists(st.tuples(names, texts), max_size=3))
    target = path + (f"?{urlencode(pairs)}" if pairs else "")
    name = st.sampled_from(["X-One", "x-one", "X-Two", "Accept"])
    headers = draw(st.lists(st.tuples(name, words), max_size=3))
    body, media = draw(bodies())
    method = draw(st.sampled_from(["POST", "POST", "PUT", "GET"]))
    return http(body, media, target=target, method=method, headers=tuple(headers))


SAME = "level tool stake reversibility arguments sources reason rules signals target".split()


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_what_a_record_says_of_a_call_is_judged_the_same(data: st.DataObject) -> None:
    try:
        call = data.draw(https())
    except MalformedCall:
        return  # the gate would have refused it
    found = noted(ended(call, BY_SIZE), BY_SIZE)
    again = made_again(found, found.request, BY_SIZE)

    before, after = (evaluate(each, BY_SIZE, NO_FACTS, AT) for each in (call, again))
    wanted = [name for name in SAME if getattr(before, name) != getattr(after, name)]
    assert not wanted, (wanted, found.request)
    assert len(again.body) == len(call.body)
    assert again.content.kind is call.content.kind
    assert dict(found.arguments) == dict(before.arguments)
    binary = "octet" in call.content.media_type or not call.content.media_type
    assert not found.masked or binary


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(words, values, max_size=4), st.sampled_from(["tell", "other"]))
def test_the_same_of_an_mcp_call(arguments: dict[str, Any], name: str) -> None:
    call = mcp(arguments, name)
    found = noted(ended(call, RULES), RULES)
    again = made_again(found, found.request, RULES)

    before, after = (evaluate(each, RULES, NO_FACTS, AT) for each in (call, again))
    assert [getattr(before, name) for name in SAME] == [getattr(after, name) for name in SAME]
    assert found.tool == ("shop.tell" if name == "tell" else "other")


def reviewed(
    call: ToolCall,
    verdict: Verdict,
    to: ToolCall | None = None,
    rules: PolicySet | None = None,
    **said: Any,
) -> Action:
    rules = rules or RULES
    decision = evaluate(call, rules, NO_FACTS, AT)
    action = Action(id="a1", call=call, digest=call.digest)
    held, _ = step(action, Decided(at=NOON, decision=decision))
    now = decision if to is None else evaluate(to, rules, NO_FACTS, AT)
    review = a_review(held, ANN, verdict, call=to, **said)
    after, _ = step(held, Reviewed(at=NOON + 9, review=review, decision=now))
    return after


PAY = b'{"amount": 900, "note": "for May"}'


def aimed(*names: str, more: str = "") -> PolicySet:
    """Return a policy that says what a payment acts on."""
    before = "    facets: {data: confidential}\n"
    target = f"    target: [{', '.join(names)}]\n"
    return read_policies([("shop.yaml", POLICY.replace(before, before + target) + more)])


AIMED = aimed("who", "amount")


def test_a_record_always_says_what_the_call_acts_on_where_policy_says_what_that_is() -> None:
    found = noted(ended(http(PAY, "application/json"), AIMED), AIMED)
    assert AIMED.repeat_denied is None and AIMED.tools["shop.pay"].grants is None
    assert found.target == target_of(found) == {"who": "bob", "amount": 900}


def test_where_policy_does_not_say_so_it_is_every_argument() -> None:
    found = noted(ended(http(PAY, "application/json"), RULES), RULES)
    assert found.target is None
    assert target_of(found) == {"who": "bob", "amount": 900, "note": "for May"}
    assert target_of(noted(ended(http(target="/other"), RULES), RULES)) == {}


def test_what_a_person_changed_does_not_change_what_the_agent_aimed_at() -> None:
    edited = reviewed(
        http(PAY, "application/json"),
        Verdict.EDIT,
        http(PAY, "application/json", target="/pay/eve"),
    )
    assert target_of(record_of(edited, AIMED, str))["who"] == "bob"


def test_a_hidden_target_is_hidden_in_the_record() -> None:
    hiding = aimed("who", more="redact: {logs: [args.who]}\n")
    found = noted(ended(http(PAY, "application/json"), hiding), hiding)
    assert found.masked and found.target == {"who": "…"}


def test_a_rejected_call_says_who_rejected_it_by_a_name_of_its_own() -> None:
    rejected = reviewed(
        http(PAY, "application/json"),
        Verdict.REJECT,
        message="ann says: too much",
        reason_code="wrong_amount",
        at=NOON + 9,
        looked_ms=4000,
    )
    found = noted(rejected, RULES)

    (said,) = found.reviews
    assert (said.who, said.verdict, said.reason_code) == ("r-ann", "reject", "wrong_amount")
    assert (said.looked_ms, said.at, found.ended) == (4000, NOON + 9, NOON + 9)
    assert found.verdict == "reject"
    assert found.cause == "ann says: too much"  # their own words
    assert (found.stake, found.reversibility, found.level) == ("high", "reversible", "approve")
    assert found.policy == "shop@1" and found.policy_sha256 == RULES.ref.sha256
    assert found.size == len(PAY)


def test_an_edit_is_on_record_as_both_calls_and_what_differs() -> None:
    before = http(PAY, "application/json")
    after = http(b'{"amount": 90, "note": "for May", "x": {"y": 1}}', "application/json")
    found = noted(reviewed(before, Verdict.EDIT, after), RULES)
    # it is not ended: what matters here is the record that would be made of it

    assert found.edited == ("args.amount", "args.x")
    assert found.arguments == {"who": "bob", "amount": 900, "note": "for May"}
    assert found.final_arguments["amount"] == 90
    assert found.final is not None
    for request, call in ((found.request, before), (found.final, after)):
        assert made_again(found, request, RULES).body == call.body


CURED = policy("""
rules:
  - id: big
    description: Large ones.
    tools: [shop.pay]
    when: args.amount > 500
    at_least: approve_dual
""")


def test_an_edit_that_cures_what_a_rule_caught_leaves_the_catch_on_record() -> None:
    before, cured = http(PAY, "application/json"), http(b'{"amount": 90}', "application/json")
    action = reviewed(before, Verdict.EDIT, cured, CURED)
    found = noted(action, CURED)

    assert action.decision is not None
    assert action.decision.rules == ()
    assert (found.rules, found.level, found.quorum) == (("big",), "approve_dual", 2)
    assert found.final_arguments["amount"] == 90


@settings(deadline=None)
@given(st.lists(st.integers(1, 1000), min_size=1, max_size=2), st.integers(501, 1000))
def test_the_same_policy_finds_no_difference_in_a_call_that_was_edited(
    amounts: list[int], asked: int
) -> None:
    first = http(json.dumps({"amount": asked}).encode(), "application/json")
    action, _ = step(
        Action(id="a1", call=first, digest=first.digest),
        Decided(at=NOON, decision=evaluate(first, CURED, NO_FACTS, AT)),
    )
    for at, amount in enumerate(amounts):
        to = http(json.dumps({"amount": amount}).encode(), "application/json")
        if to.digest == action.digest or action.state is not State.HELD:
            continue
        review = a_review(action, ANN if at == 0 else BOB, Verdict.EDIT, call=to)
        now = evaluate(to, CURED, NO_FACTS, AT)
        action, _ = step(action, Reviewed(at=NOON + 9 + at, review=review, decision=now))
    judged = replayed(noted(action, CURED), CURED)
    assert (judged.kind, judged.why) == ("same", "")


def test_paths_that_differ_go_into_objects() -> None:
    before = {"a": {"b": 1, "c": 2}, "same": [1], "gone": None, "kind": 1}
    after = {"a": {"b": 1, "c": 3}, "same": [1], "new": 1, "kind": True}
    assert changed(before, after) == ("args.a.c", "args.gone", "args.kind", "args.new")


# secrets ------------------------------------------------------------------------------------

SECRET = "hunter2-hunter2"
TOKEN = "Bearer abcdefgh12345678"
CARD, IBAN = "4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00"
HIDE = """
redact:
  logs: [args.note, args.who, request.headers.x-mine]
  detectors: [iban, card_number]
"""


def anywhere(found: DecidedCall) -> str:
    return encode(found, KEY).decode("latin-1") + repr(found)


@pytest.mark.parametrize(
    "call",
    [
        http(json.dumps({"note": SECRET, "amount": 5}).encode(), "application/json"),
        http(urlencode({"note": SECRET}).encode(), "application/x-www-form-urlencoded"),
        http(target=f"/pay/{SECRET}"),
        http(target=f"/pay/bob?note={SECRET}"),
        http(b'{"a": {"b": ["x %s y"]}, "note": "%s"}' % ((SECRET.encode(),) * 2), "text/json"),
        http(headers=(("X-Mine", SECRET), ("Authorization", f"Bearer {SECRET}"))),
        http(headers=(("Cookie", SECRET), ("X-Api-Key", SECRET))),
        http(b'{"password": "%s"}' % SECRET.encode(), "application/json"),
        http(b'{"in": {"client_secret": "%s"}}' % SECRET.encode(), "application/json"),
        http(urlencode({"api_key": SECRET}).encode(), "application/x-www-form-urlencoded"),
        http(target=f"/pay/bob?access_token={SECRET}"),
        http(target=f"/pay/bob?X-Amz-Signature={SECRET}&a=1"),
        http(target=f"/pay/bob?a=1&a=2&token={SECRET}"),
        mcp({"note": SECRET, "text": f"it is {SECRET}"}),
        mcp({"private_key": SECRET}),
    ],
)
def test_what_is_hidden_is_nowhere_in_a_record(call: ToolCall) -> None:
    rules = policy(HIDE)
    found = noted(ended(call, rules), rules)
    assert SECRET not in anywhere(found)


@pytest.mark.parametrize("secret", [TOKEN, CARD, IBAN, "ilk_agent_0123456789abcdef"])
@pytest.mark.parametrize(
    "make",
    [
        lambda said: http(json.dumps({"text": f"use {said} now"}).encode(), "application/json"),
        lambda said: http(json.dumps(["a", {said: said}]).encode(), "application/json"),
        lambda said: http(f"say {said}".encode(), "text/plain"),
        lambda said: http(target=f"/pay/{quote(said)}"),
        lambda said: http(target=f"/pay/x?q={quote(said)}"),
        lambda said: http(headers=(("X-Other", said),)),
        lambda said: http(reason=said, task=f"please {said}"),
        lambda said: mcp({"text": said}),
    ],
)
def test_what_detectors_find_is_nowhere_in_a_record(secret: str, make: Any) -> None:
    rules = policy(HIDE)
    found = noted(ended(make(secret), rules), rules)
    assert secret.partition(" ")[2 if secret is TOKEN else 0] not in anywhere(found)
    assert found.masked


def test_a_token_is_masked_whatever_policy_says() -> None:
    found = noted(ended(http(f'{{"a": "{TOKEN}"}}'.encode(), "application/json"), RULES), RULES)
    assert found.arguments["a"] == "Bearer ***"
    assert found.masked


def test_what_approvers_do_not_see_is_not_on_record() -> None:
    call = http(PAY, "application/json")
    found = noted(ended(call, RULES, redacted=("note",)), RULES)
    assert "for May" not in anywhere(found)
    assert found.masked


def test_what_a_person_wrote_is_masked_like_everything() -> None:
    rejected = reviewed(http(PAY, "application/json"), Verdict.REJECT, message=f"is it {IBAN}?")
    rules = policy(HIDE)
    found = noted(rejected, rules)
    assert IBAN not in anywhere(found)


def test_a_person_who_settled_an_outcome_is_a_pseudonym_in_its_cause() -> None:
    from interlock.core.events import Resolved

    call = http(b'{"amount": 1}', "application/json")
    decision = replace(evaluate(call, RULES, NO_FACTS, AT), level=Level.ALLOW)
    action, _ = step(Action(id="a", call=call), Decided(at=NOON, decision=decision))
    for event in (
        Claimed(at=NOON, nonce="n", lease_ms=9),
        Lost(at=NOON, cause="cut"),
        Resolved(at=NOON, by="cat@example.com", happened=True, message="seen: yes"),
    ):
        action, _ = step(action, event)
    found = noted(action, RULES)
    assert found.cause == "It took effect, says r-cat: seen: yes"


def test_a_reviewers_name_spoils_no_word_of_the_agent_or_of_people() -> None:
    planning = {"reason": "planning, says ann", "task": "annual planning"}
    call = replace(http(b'{"amount": 1}', "application/json"), context=Context(**planning))
    found = noted(reviewed(call, Verdict.REJECT, message="Ask Anna, or ann."), RULES)
    assert (found.reason, found.task) == (planning["reason"], planning["task"])
    assert found.reviews[0].message == found.cause == "Ask Anna, or ann."
    assert found.reviews[0].who == "r-ann"


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        ("Says ann, not ann@example.com.", "Says r-ann, not ann@example.com."),
        ("No planning by ann.", "No planning by r-ann."),
    ],
)
def test_a_reviewer_is_a_pseudonym_in_what_interlock_wrote(cause: str, said: str) -> None:
    action = reviewed(http(b'{"amount": 1}', "application/json"), Verdict.REJECT, message="No.")
    found = noted(replace(action, state=State.CANCELLED, cause=cause), RULES)
    assert found.cause == said


@pytest.mark.parametrize("held", [{"v": "LEAK"}, ["LEAK"], [{"a": ["LEAK", 47110815]}], "LEAK"])
def test_nothing_under_the_name_of_a_credential_is_on_record(held: Any) -> None:
    body = {"client_secret": held, "note": {"deep": [{"api_key": held}]}, "password": ""}
    found = noted(ended(http(json.dumps(body).encode(), "application/json"), RULES), RULES)
    assert found.masked
    assert "LEAK" not in anywhere(found) and "47110815" not in anywhere(found)
    assert found.arguments["password"] == ""


# size ---------------------------------------------------------------------------------------


def test_large_arguments_are_cut_and_say_so() -> None:
    body = json.dumps({"text": "x" * 100_000, "rows": list(range(20_000)), "to": "bob"}).encode()
    found = noted(ended(http(body, "application/json"), RULES), RULES)

    assert found.masked
    assert found.arguments["to"] == "bob"
    assert found.arguments["text"].endswith("…")
    assert len(json.dumps(dict(found.arguments))) <= LARGEST
    assert found.size == len(body)
    assert len(encode(found, KEY)) < 10_000


def test_what_cannot_be_cut_is_left_out() -> None:
    body = json.dumps({f"n{n}": {"x" * 50: n} for n in range(5000)}).encode()
    found = noted(ended(http(body, "application/json"), RULES), RULES)
    assert found.masked
    assert found.arguments == {}


def test_a_body_that_was_not_kept_is_not_made_up() -> None:
    call = replace(http(PAY, "application/json"), body=b"")
    call = replace(call, content=replace(call.content, value=None))
    found = noted(ended(call, RULES), RULES)
    assert found.masked
    assert "json" not in found.request


# entries ------------------------------------------------------------------------------------


@given(st.data())
def test_an_entry_that_was_changed_anywhere_is_refused(data: st.DataObject) -> None:
    entry = bytearray(encode(record(), KEY))
    place = data.draw(st.integers(0, len(entry) - 1))
    entry[place] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(ValueError, match="not"):
        decode(bytes(entry), KEY)


@settings(max_examples=50, deadline=None)
@given(records())
def test_an_entry_is_read_as_what_it_was_made_of(made: DecidedCall) -> None:
    assert decode(encode(made, KEY), KEY) == unpack(json.loads(json.dumps(pack(made))))
    assert json.loads(json.dumps(packed(made))) == json.loads(json.dumps(pack(made)))


@pytest.mark.parametrize("entry", [b"", b"1", b"x" * 33, b"1" + b"0" * 40])
def test_what_is_no_entry_is_refused(entry: bytes) -> None:
    with pytest.raises(ValueError, match="not an entry"):
        decode(entry, KEY)


def test_an_entry_of_another_key_is_refused() -> None:
    with pytest.raises(ValueError, match="not an entry"):
        decode(encode(record(), b"x" * 32), KEY)


def test_a_large_entry_is_deflated_and_reads_the_same() -> None:
    large = record(reason="again and again " * 400)
    assert len(encode(large, KEY)) < 1500
    assert decode(encode(large, KEY), KEY) == large


def test_half_a_surrogate_pair_does_not_keep_a_record_from_being_made() -> None:
    found = decode(encode(record(reason="a\ud800b"), KEY), KEY)
    assert found.reason == "a?b"


def test_pseudonyms_are_stable_and_tell_people_apart() -> None:
    notes = Noting(KEY, lambda: RULES, NothingListed())
    names = {notes.pseudonym(f"p{n}") for n in range(200)}
    assert len(names) == 200
    assert notes.pseudonym("p1") in names
    assert all(len(name) == 14 and name.startswith("r-") for name in names)


# facts and schemas --------------------------------------------------------------------------

GRANT = Grant(
    id="g1",
    key="k",
    agent="bot",
    tool="shop.pay",
    target={"who": "bob"},
    by="ann",
    action_id="a0",
    level=2,
    stake=2,
    created=NOON,
    expires=NOON + 1,
    uses=5,
    mac="0" * 64,
)


@given(
    st.builds(
        Facts,
        used=st.dictionaries(words, st.integers(0, 10**12)),
        familiar=st.none() | st.booleans(),
        session=st.none() | st.builds(Session, points=st.floats(0, 10), calls=st.integers(0, 9)),
        task=st.none() | words,
        refused=st.booleans(),
        calibrated=st.none() | st.floats(0, 1),
    )
)
def test_facts_are_read_back_as_they_were(facts: Facts) -> None:
    packed = json.loads(json.dumps(pack_facts(facts)))
    assert facts_from(packed) == facts


def test_a_grant_is_read_back_but_for_its_names_and_who_gave_it() -> None:
    packed = pack_facts(Facts(grant=GRANT), pseudonym=lambda person: "r-1")
    assert facts_from(packed).grant == replace(GRANT, mac="", key="", by="r-1")
    assert GRANT.mac not in json.dumps(packed)


def test_what_was_used_then_is_found_by_the_same_names() -> None:
    rules = policy(
        "\nlimits:\n  - {id: daily, description: A day., tools: [shop.pay], key: [agent.id],"
        " window: 1d, count: 5, then: approve_dual}\n"
    )
    call = http(PAY, "application/json")
    (counter,) = prepare(call, rules).needs.counters
    facts = Facts(used={counter.key: 5 * MILLION})
    decision = decide(prepare(call, rules), facts, AT)
    action, _ = step(Action(id="a", call=call), Decided(at=NOON, decision=decision))
    found = noted(action, rules)

    again = prepare(made_again(found, found.request, rules), rules)

    assert decide(again, facts_from(found.facts), AT).limits == decision.limits == ("daily",)


def limited(*limits: tuple[str, str]) -> str:
    """Return limits by id, each with its `key`."""
    tools = "tools: [shop.pay], window: 1d, count: 5, then: approve"
    each = [f"  - {{id: {name}, description: X., key: [{key}], {tools}}}\n" for name, key in limits]
    return "limits:\n" + "".join(each)


LIMITED = limited(("mine", "agent.id"), ("whom", "args.who"), ("aim", "tool, target"))
LIMITED += "approvals:\n  caps: {per_agent_per_hour: 9}\n"


def spent(rules: PolicySet) -> tuple[DecidedCall, dict[str, int]]:
    """Return the record of a call with all that was used of its limits, by the names of them."""
    call = http(PAY, "application/json")
    prepared = prepare(call, rules)
    used = {counter.key: MILLION for counter in prepared.needs.counters}
    decision = decide(prepared, Facts(used=used, familiar=True), AT)
    action, _ = step(Action(id="a", call=call), Decided(at=NOON, decision=decision))
    named = {limit.id: counter.key for limit, counter in prepared.shares}
    hour = prepared.caps[1]
    return noted(action, rules), named | ({"hour": hour.key} if hour else {})


def test_no_counter_of_a_masked_record_is_named_by_its_arguments() -> None:
    """Its name is a hash: whoever tries all account numbers finds the one that was hidden."""
    found, named = spent(policy(LIMITED + "redact: {logs: [args.who]}\n"))
    assert found.masked
    assert found.facts["used"] == {named["mine"]: MILLION, named["hour"]: MILLION}
    assert found.facts["familiar"] is True
    assert not any(named[each] in anywhere(found) for each in ("whom", "aim"))


def test_a_record_in_the_clear_has_every_counter() -> None:
    found, named = spent(policy(LIMITED))
    assert not found.masked
    assert set(found.facts["used"]) == set(named.values())


def test_where_no_counter_is_left_it_still_says_that_they_were_asked_for() -> None:
    only = limited(("whom", "agent.id, args.who"))
    found, _ = spent(policy(only + "redact: {logs: [args.who]}\n"))
    assert found.facts["used"] == {}
    assert facts_from(found.facts).used == {}


def test_a_record_names_the_schema_of_its_arguments() -> None:
    notes = Noting(KEY, lambda: RULES, NothingListed())
    note = notes.note(ended(http(PAY, "application/json"), RULES))
    assert notes.decode(note.entry).schema == note.schema != ""
    written = json.loads(json.dumps(RULES.tools["shop.pay"].args_schema))
    assert json.loads(note.document) == written | {"required": ["who"]}  # it is in the path


def test_an_unknown_tool_has_no_schema() -> None:
    notes = Noting(KEY, lambda: RULES, NothingListed())
    note = notes.note(ended(http(target="/other"), RULES))
    assert (note.schema, note.document) == ("", b"")
