"""An edit changes what the person changed, and not one byte more."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.actions import Agent, Body, ToolCall
from interlock.core.content import parse_content, parse_target
from interlock.core.decisions import Decision, Level, PolicyRef
from interlock.core.digest import digest, seal
from interlock.core.edits import apply_edit, check_must
from interlock.core.errors import InvalidEdit
from interlock.core.rules import Indeterminate, Must

POLICY = PolicyRef(name="p", version=1, sha256="0" * 64)
TEMPLATE = "/v1/accounts/{account}/transfers"
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


def call_of(target="/", body=b"", media_type=JSON, headers=()):
    path, query = parse_target(target)
    return seal(
        ToolCall(
            agent=Agent(id="bot"),
            upstream="pay",
            method="POST",
            target=target,
            headers=(("Content-Type", media_type), *headers),
            body=body,
            path=path,
            query=query,
            content=parse_content(media_type, body),
        )
    )


def judged(arguments, sources, editable=None):
    return Decision(
        level=Level.APPROVE,
        policy=POLICY,
        arguments=arguments,
        sources=sources,
        editable=editable,
    )


def json_edit(body, changes, *removed, editable=None):
    call = call_of(body=body)
    before = (
        call.content.value if isinstance(call.content.value, dict) else {"body": call.content.value}
    )
    after = {n: v for n, v in {**before, **changes}.items() if n not in removed}
    decision = judged(before, dict.fromkeys(before, "json"), editable)
    return apply_edit(call, decision, after, None)


@pytest.mark.parametrize(
    ("before", "changes", "after"),
    [
        (b'{"amount": 900, "to": "ann"}', {"amount": 20}, b'{"amount": 20, "to": "ann"}'),
        (b'{"amount":900,"to":"ann"}', {"to": "bob"}, b'{"amount":900,"to":"bob"}'),
        (b'{"rate": 1.10, "to": "a"}', {"to": "b"}, b'{"rate": 1.10, "to": "b"}'),
        (b'{"a":1}', {"a": {"x": [1, "\u00e9"]}}, '{"a":{"x": [1, "é"]}}'.encode()),
        (b'{"a":1,"b":2}', {"b": {"x": [1, 2]}}, b'{"a":1,"b":{"x":[1,2]}}'),
        (b'{\n  "a": 1,\n  "b": 2\n}\n', {"b": 3}, b'{\n  "a": 1,\n  "b": 3\n}\n'),
        (b'{"\\u0061": 1, "b": "\\u00e9"}', {"a": 2}, b'{"\\u0061": 2, "b": "\\u00e9"}'),
        (b'{"a": "x"}', {"a": 'q"\\\n'}, b'{"a": "q\\"\\\\\\n"}'),
        (b'{"a": 1}', {"b": 2}, b'{"a": 1, "b": 2}'),
        (b'{"a":1,"c":3}', {"b": 2}, b'{"a":1,"c":3,"b":2}'),
        (b"{}", {"b": 2}, b'{"b": 2}'),
        (b'{"a": 1}', {"a": None}, b'{"a": null}'),
        (b'{"a": 1}', {"a": True}, b'{"a": true}'),
        (b'{"a": 1}', {"a": 1.0}, b'{"a": 1.0}'),
        (b"[1, 2]", {"body": [1]}, b"[1]"),
        (b'"text"', {"body": "other"}, b'"other"'),
    ],
)
def test_a_json_edit_touches_only_its_member(before, changes, after):
    edited = json_edit(before, changes)
    assert edited.body == after
    assert edited.content == parse_content(JSON, after)
    assert edited.digest == digest(edited)


@pytest.mark.parametrize(
    ("removed", "after"),
    [
        (["a"], b'{"b": 2, "c": 3}'),
        (["b"], b'{"a": 1, "c": 3}'),
        (["c"], b'{"a": 1, "b": 2}'),
        (["a", "b", "c"], b"{}"),
    ],
)
def test_a_json_member_can_be_taken_out(removed, after):
    assert json_edit(b'{"a": 1, "b": 2, "c": 3}', {}, *removed).body == after


def test_a_form_edit_keeps_order_and_every_other_byte():
    call = call_of(body=b"Action=Run&Name=a%20b&Count=1", media_type=FORM)
    decision = judged({"Name": "a b", "Count": 1}, {"Name": "form", "Count": "form"})
    edited = apply_edit(call, decision, {"Name": "a b", "Count": 2, "Zone": "x&y z"}, "/")
    assert edited.body == b"Action=Run&Name=a%20b&Count=2&Zone=x%26y+z"
    assert edited.content.value["Zone"] == "x&y z"


def test_a_form_field_can_be_taken_out_even_the_last_one():
    call = call_of(body=b"a=1", media_type=FORM)
    edited = apply_edit(call, judged({"a": "1"}, {"a": "form"}), {}, "/")
    assert (edited.body, edited.content.kind) == (b"", Body.NONE)


def test_path_and_query_are_rebuilt_and_the_body_is_not():
    call = call_of("/v1/accounts/7/transfers?dry=1&note=a%2Bb", b'{"x": 1.50}')
    decision = judged(
        {"account": "7", "dry": True, "note": "a+b", "x": 1.5},
        {"account": "path", "dry": "query", "note": "query", "x": "json"},
    )
    wanted = {"account": "a b-ü", "dry": False, "note": "a+b", "x": 1.5}
    edited = apply_edit(call, decision, wanted, TEMPLATE)
    assert edited.target == "/v1/accounts/a%20b-%C3%BC/transfers?dry=false&note=a%2Bb"
    assert (edited.path, edited.body) == ("/v1/accounts/a b-ü/transfers", b'{"x": 1.50}')


def test_a_query_argument_can_be_taken_out_and_lists_replaced():
    call = call_of("/?tag=a&x=1&tag=b")
    decision = judged({"tag": ["a", "b"], "x": "1"}, {"tag": "query", "x": "query"})
    assert apply_edit(call, decision, {"tag": ["c"]}, "/").target == "/?tag=c"
    assert apply_edit(call, decision, {"x": "1"}, "/").target == "/?x=1"
    assert apply_edit(call, decision, {}, "/").target == "/"


def test_the_tail_of_a_path_may_hold_segments():
    call = call_of("/bucket/dir/a%2Bb.txt")
    decision = judged({"bucket": "bucket", "key": "dir/a+b.txt"}, {"bucket": "path", "key": "path"})
    edited = apply_edit(
        call, decision, {"bucket": "bucket", "key": "other dir/x"}, "/{bucket}/{key...}"
    )
    assert edited.target == "/bucket/other%20dir/x"


def test_checksums_of_a_body_that_is_gone_are_taken_out():
    headers = (("Content-MD5", "x"), ("x-amz-checksum-crc32", "y"), ("Accept", "*/*"))
    call = call_of("/?q=1", b'{"a": 1}', headers=headers)
    decision = judged({"a": 1, "q": "1"}, {"a": "json", "q": "query"})
    edited = apply_edit(call, decision, {"a": 2, "q": "1"}, "/")
    assert edited.headers == (("Content-Type", JSON), ("Accept", "*/*"))
    assert apply_edit(call, decision, {"a": 1, "q": "2"}, "/").headers == call.headers


BOTH = call_of("/v1/accounts/7/transfers?x=1", b'{"x": 1, "a": 1}')
SOURCES = {"account": "path", "x": "json", "a": "json"}
BEFORE = {"account": "7", "x": 1, "a": 1}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (BEFORE, "changes nothing"),
        ({**BEFORE, "account": 8}, "account"),
        ({**BEFORE, "account": None}, "account"),
        ({**BEFORE, "account": "a/b"}, "encoded separator"),
        ({**BEFORE, "account": ".."}, r"`\.\.` segment"),
        ({**BEFORE, "account": ""}, "empty segment"),
        ({**BEFORE, "account": "a\0"}, "NUL"),
        ({"x": 1, "a": 1}, "cannot be removed"),
        ({**BEFORE, "x": 2}, "query and json"),
        ({**BEFORE, "a": float("nan")}, "not JSON"),
        ({**BEFORE, "a": 2**64}, "64 bits"),
        ({**BEFORE, "a": "\ud800"}, "refused"),
        ({**BEFORE, "A": 1}, "take for one"),
    ],
)
def test_an_edit_that_does_not_fit_is_refused_by_name(arguments, says):
    with pytest.raises(InvalidEdit, match=says):
        apply_edit(BOTH, judged(BEFORE, SOURCES), arguments, TEMPLATE)


def test_only_what_the_policy_lists_may_be_edited():
    edited = json_edit(b'{"a": 1, "b": 1}', {"a": 2}, editable=("a",))
    assert edited.body == b'{"a": 2, "b": 1}'
    for change, removed in (({"b": 2}, []), ({"c": 2}, []), ({}, ["b"])):
        with pytest.raises(InvalidEdit, match="may not be edited"):
            json_edit(b'{"a": 1, "b": 1}', change, *removed, editable=("a",))


def test_a_field_that_chooses_the_operation_is_no_argument_and_cannot_be_added():
    call = call_of(body=b"Action=ListUsers&a=1", media_type=FORM)
    decision = judged({"a": "1"}, {"a": "form"})
    with pytest.raises(InvalidEdit, match="Action"):
        apply_edit(call, decision, {"a": "1", "Action": "DeleteUser"}, "/")


def test_a_call_without_a_readable_body_takes_no_new_arguments():
    call = call_of("/?a=1", b"\x00\x01", media_type="application/octet-stream")
    decision = judged({"a": "1"}, {"a": "query"})
    with pytest.raises(InvalidEdit, match="takes no new ones"):
        apply_edit(call, decision, {"a": "1", "b": "2"}, "/")
    assert apply_edit(call, decision, {"a": "2"}, "/").body == b"\x00\x01"


def test_the_whole_body_cannot_be_removed():
    with pytest.raises(InvalidEdit, match="whole body"):
        json_edit(b"[1]", {}, "body")


text = st.text(st.characters(codec="utf-8"), max_size=6)
values = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | text | st.lists(text)
objects = st.dictionaries(st.from_regex(r"[a-z]{1,3}", fullmatch=True), values, max_size=4)


@given(objects, objects, st.sampled_from([None, 1]), st.booleans())
def test_any_json_edit_reads_back_exactly_or_is_refused(before, after, indent, ascii_only):
    body = json.dumps(before, indent=indent, ensure_ascii=ascii_only).encode()
    decision = judged(before, dict.fromkeys(before, "json"))
    try:
        edited = apply_edit(call_of(body=body), decision, after, None)
    except InvalidEdit as refused:
        assert json.dumps(before, sort_keys=True) == json.dumps(after, sort_keys=True), refused
        return
    assert edited.content.value == after == json.loads(edited.body)


@given(text, text, text)
def test_any_edit_of_text_places_reads_back_exactly_or_is_refused(account, query, form):
    call = call_of("/v1/accounts/7/transfers?q=1", b"f=1", media_type=FORM)
    decision = judged(
        {"account": "7", "q": "1", "f": "1"}, {"account": "path", "q": "query", "f": "form"}
    )
    try:
        edited = apply_edit(call, decision, {"account": account, "q": query, "f": form}, TEMPLATE)
    except InvalidEdit:
        return
    assert edited.path == f"/v1/accounts/{account}/transfers"
    assert (edited.query, edited.content.value) == ((("q", query),), {"f": form})


def smaller(seen):
    if "amount" not in seen["edited"]["args"]:
        raise Indeterminate("edited.args.amount is missing")
    return seen["edited"]["args"]["amount"] <= seen["original"]["args"]["amount"]


MUST = (Must(shown="edited.args.amount <= original.args.amount", holds=smaller),)


def test_an_edit_that_keeps_to_the_policy_passes():
    check_must(MUST, {"amount": 10}, {"amount": 9})
    check_must((), {"amount": 10}, {"amount": 11})


def test_an_edit_that_does_not_is_refused_with_the_condition():
    with pytest.raises(
        InvalidEdit, match=r"`edited.args.amount <= original.args.amount`.*not true"
    ):
        check_must(MUST, {"amount": 10}, {"amount": 11})


def test_an_edit_of_which_that_cannot_be_told_is_refused():
    with pytest.raises(InvalidEdit, match="cannot be told.*edited.args.amount is missing"):
        check_must(MUST, {"amount": 10}, {})


def test_a_condition_that_answers_anything_but_true_does_not_hold():
    with pytest.raises(InvalidEdit):
        check_must((Must(shown="x", holds=lambda seen: 1),), {}, {})
