"""Which records an export takes, what it leaves out, and what it never lets through."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.core.records import DecidedCall, unpack
from interlock.exports import formats
from interlock.exports.making.columns import META
from interlock.exports.making.exporter import Exporter, Wanted
from interlock.exports.making.labels import agreed
from interlock.exports.making.secrets import BLANKED
from interlock.exports.making.seen import Seen
from interlock.exports.making.tally import Tally
from tests.support.records import NOON, audited, record, records, reported, said, unreviewed

SECRETS = (
    "sk-proj-abcdefghijklmnopqrstuvwx",
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "xoxb-1234567890-abcdefghij",
    "Bearer abcdef0123456789abcdef",
    "postgres://app:hunter2@db.example/x",
    "ilk_agent_0123456789ab_" + "A" * 43,
    "-----BEGIN RSA PRIVATE KEY-----",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.x",
)
HARMLESS = ("bearer authentication", "sk-8", "token: none", "https://example.com/a@b", "DE02 1203")
TRAINING = ("dpo-openai", "dpo-trl", "kto", "sft")


def made(name: str, *calls: DecidedCall, **wanted: Any) -> tuple[list[Any], Tally]:
    exporter = Exporter(formats()[name], Wanted(**wanted))
    found = [json.loads(line) for call in calls for line in exporter.lines(call, {})]
    return found, exporter.tally


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("where", ["arguments", "reason", "task", "deep", "text"])
def test_what_looks_like_a_secret_reaches_no_training_set(secret: str, where: str) -> None:
    inside: dict[str, Any] = {
        "arguments": {"arguments": {"memo": f"use {secret} there"}},
        "deep": {"arguments": {"a": [{"b": secret}]}},
        "text": {"arguments": {"body": json.dumps({"x": json.dumps([secret])})}},
        "reason": {"reason": f"with {secret}"},
        "task": {"task": secret},
    }[where]
    lines, tally = made("kto", record(**inside))
    assert lines == []
    assert tally.left_out == {"lines with what looks like a secret": 1}


@pytest.mark.parametrize("before", ["\n", "\x0b", "\x1f", "\u2028", "\xe9"])
def test_a_secret_behind_what_json_escapes_is_seen_in_json_within_json(before: str) -> None:
    inside = json.dumps({"x": f"{before}{SECRETS[1]}"})
    assert made("kto", record(arguments={"body": inside}))[0] == []


@pytest.mark.parametrize("name", ["password", "api_key", "clientSecret", "Authorization"])
def test_a_member_that_is_named_as_a_secret_is_one(name: str) -> None:
    for arguments in ({name: "hunter2"}, {"body": json.dumps({name: "hunter2"})}):
        assert made("kto", record(arguments=arguments))[0] == []
    [line], _ = made("records", record(arguments={name: "hunter2", "to": "bob"}))
    assert line["arguments"] == {name: BLANKED, "to": "bob"}


@pytest.mark.parametrize("held", [{"v": "LEAK"}, ["LEAK"], {"a": [{"b": "LEAK"}]}, 47110815])
def test_what_a_secret_member_holds_is_secret_in_lists_and_objects_too(held: Any) -> None:
    arguments = {"client_secret": held, "to": "bob"}
    assert made("kto", record(arguments=arguments))[0] == []
    [line], _ = made("records", record(arguments=arguments))
    assert line["arguments"]["to"] == "bob"
    assert "LEAK" not in json.dumps(line) and "47110815" not in json.dumps(line)


@pytest.mark.parametrize("held", ["", None, {}, [], "…4711", "***", {"v": "***"}, True])
def test_a_secret_member_that_says_nothing_is_no_secret(held: Any) -> None:
    assert len(made("kto", record(arguments={"password": held}))[0]) == 1


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_stays(text: str) -> None:
    lines, _ = made("kto", record(arguments={"memo": text}, reason=text))
    assert len(lines) == 1


def test_schemas_may_speak_of_passwords() -> None:
    schema = {"properties": {"password": {"type": "string", "description": "Bearer token, if any"}}}
    exporter = Exporter(formats()["kto"], Wanted())
    assert len(exporter.lines(record(schema="ab" * 32), {"ab" * 32: schema})) == 1


def test_secrets_are_blanked_where_people_read() -> None:
    [line], _ = made("records", record(reason=f"with {SECRETS[0]}"))
    assert line["reason"] == BLANKED
    assert SECRETS[0] not in json.dumps(line)


@pytest.mark.parametrize("name", [*TRAINING, "policy-tests", "corpus"])
def test_masked_calls_teach_nothing_unless_asked_for(name: str) -> None:
    call = record(
        masked=True, reviews=(said("edit"),), final={"tool": "t"}, final_arguments={"a": "…11"}
    )
    lines, tally = made(name, call)
    assert (lines, tally.left_out) == ([], {"masked": 1})
    assert made(name, call, masked=True)[0] != []


@pytest.mark.parametrize("state", ["expired", "cancelled"])
@pytest.mark.parametrize("name", [*TRAINING, "policy-tests", "label-studio"])
def test_a_verdict_on_a_call_that_lapsed_does_not_count(name: str, state: str) -> None:
    lines, tally = made(name, record(state=state, reviews=(said("edit"),), final={"tool": "t"}))
    assert (lines, tally.left_out) == ([], {"expired or cancelled": 1})


@pytest.mark.parametrize("state", ["expired", "cancelled"])
def test_what_enough_people_approved_counts_whether_or_not_it_was_sent(state: str) -> None:
    both = (said(), said(who="r-ba9876543210"))
    [line], _ = made("sft", record(state=state, quorum=2, reviews=both, level="approve_dual"))
    assert line["messages"][1]["tool_calls"]
    half = record(state=state, quorum=2, reviews=both[:1], level="approve_dual")
    assert made("sft", half)[1].left_out == {"expired or cancelled": 1}


def test_the_same_example_is_there_once() -> None:
    lines, tally = made("kto", record(id="a1"), record(id="a2"), record(id="a3", reason="again"))
    assert len(lines) == 2
    assert tally.left_out == {"lines that were there already": 1}
    assert len(made("records", record(id="a1"), record(id="a2"))[0]) == 2


def test_only_what_is_asked_for_is_looked_at() -> None:
    calls = [record(id=str(at), ended=NOON + at, agent=f"bot{at % 2}") for at in range(10)]
    lines, tally = made("records", *calls, since=NOON + 2, until=NOON + 8, agent="bot1")
    assert [line["id"] for line in lines] == ["3", "5", "7"]
    assert tally.read == 3
    assert made("records", *calls, tool="mail.send")[0] == []


def test_agreed_is_what_two_people_said_alike() -> None:
    ann, bob = {"who": "r-00000000000a"}, {"who": "r-00000000000b"}
    assert not agreed(record(reviews=(said(**ann),)))
    assert not agreed(record(reviews=(said(**ann), said(**ann))))
    assert agreed(record(reviews=(said(**ann), said(**bob))))
    assert agreed(record(reviews=(said("edit", **ann), said(**bob))))
    assert not agreed(record(reviews=(said(**ann), said("reject", **bob))))
    assert agreed(record(reviews=(said(**ann),), audit=audited()))
    assert not agreed(record(reviews=(said(**ann),), reports=(reported(),)))  # an agent's word
    assert not agreed(unreviewed(audit=audited()))


def test_what_readers_do_not_take_is_left_out() -> None:
    for number in (2**63, -(2**63) - 1, float("inf"), float("nan")):
        lines, tally = made("kto", record(arguments={"amount": number}))
        assert lines == []
        assert tally.left_out == {"lines with what the format's readers do not take": 1}
    assert len(made("kto", record(arguments={"amount": 2**63 - 1, "s": "9" * 30}))[0]) == 1


@pytest.mark.parametrize("name", ["kto", "sft", "records", "label-studio", "corpus"])
def test_a_line_is_one_line_for_everybody_who_splits_lines(name: str) -> None:
    text = "a\x85b\u2028c\u2029d\x0be\x1cf"
    call = record(reason=text, task=text, arguments={text: text}, request={"path": text})
    exporter = Exporter(formats()[name], Wanted())
    [line] = [each.decode() for each in exporter.lines(call, {})]
    assert len(line.splitlines()) == 1
    assert text in _texts(json.loads(line))


def _texts(value: Any) -> list[str]:
    """Return every text in a JSON value, those that are names of members too."""
    if isinstance(value, dict):
        return [*value, *(text for each in value.values() for text in _texts(each))]
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    return [value] if isinstance(value, str) else []


def test_half_a_character_becomes_a_sign_that_it_is_missing() -> None:
    [line], _ = made("kto", record(reason="a\ud800b"))
    assert line["completion"][0]["content"] == "a\ufffdb"


@given(records(), st.sampled_from(sorted(formats())))
def test_any_record_gives_lines_that_are_one_json_object_each(call: DecidedCall, name: str) -> None:
    exporter = Exporter(formats()[name], Wanted(masked=True))
    for line in exporter.lines(call, {}):
        assert b"\n" not in line
        assert isinstance(json.loads(line), dict)
    tally = exporter.tally
    assert tally.read == 1
    assert tally.lines == 0 or tally.used == 1


@settings(max_examples=50, deadline=None)
@given(
    st.lists(records(), max_size=6) | st.lists(records(arguments={"password": "x"}), max_size=6),
    st.sampled_from(sorted(formats())),
    st.booleans(),
)
def test_what_is_in_it_and_what_is_left_out_are_all_that_was_read(
    calls: list[DecidedCall], name: str, agreed_only: bool
) -> None:
    lines, tally = made(name, *calls, *calls, agreed=agreed_only)
    assert tally.used + tally.left_out.total() == tally.read == 2 * len(calls)
    assert tally.lines == len(lines)
    assert name == "kto" or tally.lines == tally.used


@pytest.mark.parametrize("name", ["kto", "sft", "dpo-trl", "dpo-openai"])
def test_a_line_says_what_it_was_made_of_where_that_is_asked_for(name: str) -> None:
    edit = {"reviews": (said("edit"),), "final": {"tool": "t"}, "final_arguments": {"a": 1}}
    calls = [record(id=each, **edit) for each in "ab"]
    plain, _ = made(name, *calls)
    lines, tally = made(name, *calls, meta=True)
    metas = [line.pop("meta", None) for line in lines]
    assert lines == plain and "lines that were there already" in tally.left_out
    if name == "dpo-openai":  # which takes no other members
        assert metas == [None]
        return
    assert metas[0]["id"] == "a" and metas[0]["weight"] == 1.0
    assert metas[0]["reviewers"] == ["r-0123456789ab"]
    assert (metas[0]["status"], metas[0]["task_known"]) == (200, False)
    [columns] = [each["struct"] for each in (META,)]
    assert {each["name"] for each in columns} == metas[0].keys()


@pytest.mark.parametrize(
    ("why", "call"),
    [
        ("answered in the tool's place", record(state="responded", reviews=(said("respond"),))),
        ("not edited: there is no better call", record()),
        (
            "edited, and then as models write it the same again",
            record(
                reviews=(said("edit"),),
                final={"tool": "t"},
                final_arguments={"to": "bob", "amount": 900},
            ),
        ),
        ("not right: no good example", record(state="rejected", reviews=(said("reject"),))),
    ],
)
def test_the_card_says_why_a_call_makes_no_pair(why: str, call: DecidedCall) -> None:
    assert made("dpo-trl", call)[1].left_out == {why: 1}


@pytest.mark.parametrize("name", sorted(formats()))
@settings(max_examples=15, deadline=None)
@given(
    calls=st.lists(
        records(
            arguments=st.sampled_from(
                [{"memo": f"use {SECRETS[0]}"}, {"password": 5}, {SECRETS[1]: 1}, {"memo": "ok"}]
            ),
            reason=st.sampled_from(["why", f"line\n{SECRETS[1]}", "x " + SECRETS[4]]),
            request={"body": json.dumps({"secret": "x"}), "path": "/"},
        ),
        max_size=4,
    )
)
def test_records_that_were_blanked_give_the_lines_of_those_that_were_not(
    name: str, calls: list[DecidedCall]
) -> None:
    kept, _ = made("records", *calls)
    assert not any(secret in json.dumps(kept) for secret in SECRETS)
    for masked in (False, True):
        straight, _ = made(name, *calls, masked=masked)
        again, _ = made(name, *map(unpack, kept), masked=masked)
        assert again == straight


def test_a_request_that_was_blanked_can_still_be_judged() -> None:
    body = {"body": ' {"secret": "x", "to": 1}', "content_type": "application/json"}
    [line], _ = made("records", record(request=body))
    assert line["request"] == {"json": {"secret": BLANKED, "to": 1}}


def test_lines_that_say_that_they_are_right_are_counted_and_so_are_unknown_schemas() -> None:
    edit = {"reviews": (said("edit"),), "final": {"tool": "t"}, "final_arguments": {"a": 1}}
    refused = record(id="c", task="c", state="rejected", reviews=(said("reject"),))
    calls = (record(id="a", task="a"), record(id="b", task="b", **edit), refused)
    lines, tally = made("kto", *calls)
    assert tally.good == sum(line["label"] for line in lines) == 2
    assert (tally.without_schema, tally.lines) == (3, 4)
    assert made("records", *calls)[1].without_schema == 0


@given(st.lists(records(), max_size=5))
def test_a_tally_is_read_back_as_it_was(calls: list[DecidedCall]) -> None:
    _, tally = made("kto", *calls)
    assert Tally.from_json(json.loads(json.dumps(tally.to_json()))) == tally


# ---- bounded memory ---------------------------------------------------------------------------


@given(st.lists(st.integers(1, 60), max_size=200))
def test_what_was_seen_is_known_as_by_a_set(numbers: list[int]) -> None:
    seen, known = Seen(), set[int]()
    for number in numbers:
        assert seen.add(number) is (number not in known)
        known.add(number)


def test_a_table_that_has_grown_still_knows_everything() -> None:
    draw = random.Random(7)
    numbers = {draw.getrandbits(64) | 1 for _ in range(20_000)}
    seen = Seen()
    assert all(map(seen.add, numbers))
    assert not any(map(seen.add, numbers))
    assert not seen.forgot


def test_beyond_its_bound_the_oldest_are_forgotten_and_that_is_said() -> None:
    seen = Seen(most=100)
    for number in range(1, 201):
        assert seen.add(number)
    assert not seen.add(1)
    assert not seen.forgot
    assert seen.add(201)
    assert seen.forgot
    assert not seen.add(150)
    assert seen.add(1)
