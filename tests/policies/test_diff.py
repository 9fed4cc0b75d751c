"""Two policies on the same calls."""

from __future__ import annotations

import json

import pytest

from interlock.core.errors import InvalidDocument
from interlock.policies.corpus import read_call, read_corpus
from interlock.policies.corpus_generated import generated
from interlock.policies.diff import Difference, compare
from interlock.policies.explain import open_book
from tests.policies.building import HEAD, PAY

RULE = "rules: [{id: big, tools: [pay], when: args.amount > 100, at_least: approve_dual}]\n"
EXCEPTION = """exceptions:
  - {id: rent, tools: [pay], when: args.to == "landlord" && args.amount <= MOST, at_most: notify,
     owner: ann, reason: monthly, expires: "2030-01-01"}
"""


@pytest.fixture
def book(tmp_path):
    def make(*bodies: str):
        file = tmp_path / f"{len(list(tmp_path.iterdir()))}.yaml"
        file.write_text(HEAD.replace("NAME", "p") + "".join(bodies))
        return open_book([file])

    return make


def differ(old, new) -> Difference:
    calls = generated((old.policy, new.policy), (old.written, new.written))
    return compare(old.policy, new.policy, calls)


def test_a_policy_is_the_same_as_itself(book) -> None:
    found = differ(book(PAY, RULE), book(PAY, RULE))

    assert set(found.counts) == {"same"}
    assert found.counts["same"] > 20


def test_a_bound_moved_up_is_looser_and_says_which_rule_is_gone(book) -> None:
    found = differ(book(PAY, RULE), book(PAY, RULE.replace("100", "200")))

    first = found.changes[0]
    assert found.looser
    assert (first.kind, first.before.level.word, first.after.level.word) == (
        "looser",
        "approve_dual",
        "approve",
    )
    assert first.why == "rule big no longer"


def test_the_other_way_round_it_is_stricter(book) -> None:
    found = differ(book(PAY, RULE.replace("100", "200")), book(PAY, RULE))

    assert not found.looser
    assert found.counts["stricter"] > 0


def test_an_exception_for_one_recipient_is_found_though_it_asks_for_two_things(book) -> None:
    narrow, wide = EXCEPTION.replace("MOST", "60"), EXCEPTION.replace("MOST", "400")

    found = differ(book(PAY, narrow), book(PAY, wide))

    assert [each.kind for each in found.changes][:1] == ["looser"]


def test_the_same_level_for_another_reason_is_told_apart(book) -> None:
    renamed = RULE.replace("big", "large")

    found = differ(book(PAY, RULE), book(PAY, renamed))

    assert (found.looser, found.counts["reason"] > 0) == (False, True)
    assert found.changes[0].why == "rule big no longer; rule large now"


def test_tools_of_one_side_are_named(book) -> None:
    found = differ(book(PAY), book(PAY.replace("id: pay", "id: transfer")))

    assert (found.only_old, found.only_new) == (("pay",), ("transfer",))


def test_fewer_approvers_at_the_same_level_are_looser(book) -> None:
    three = "levels: {approve_dual: {quorum: 3}}\n"

    found = differ(book(PAY, RULE, three), book(PAY, RULE))

    assert found.looser
    assert "quorum 3 -> 2" in found.changes[0].why


def test_a_corpus_is_judged_as_it_was_recorded(book) -> None:
    lines = [
        json.dumps({"call": {"tool": "pay", "args": {"amount": 150}}, "agent": {"id": "bot"}}),
        "",
        json.dumps({"call": {"tool": "pay", "args": {"amount": 5}}, "at": "2026-05-01T03:00:00Z"}),
        json.dumps({"call": {"upstream": "bank", "method": "GET", "path": "/x"}}),
    ]
    old, new = book(PAY, RULE), book(PAY, RULE.replace("100", "200"))

    found = compare(old.policy, new.policy, read_corpus(lines, "calls.jsonl"))

    assert dict(found.counts) == {"looser": 1, "same": 2}
    assert found.changes[0].place == "calls.jsonl:1"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"call": {"tol": "pay"}}', "c:1:.*unknown key 'tol'; did you mean 'tool'"),
        ('{"call": {}, "call": {}}', "c:1:1: the key 'call' occurs twice: keep one of them"),
        ("{", "c:1:2: not JSON: expecting property name"),
        ("{}", "c:1:.*'call' is missing"),
    ],
)
def test_a_line_that_is_no_call_is_told_with_its_number(line: str, said: str) -> None:
    with pytest.raises(InvalidDocument, match=said):
        list(read_corpus([line], "c"))


def test_a_call_may_be_written_with_or_without_its_wrapping() -> None:
    bare = read_call(
        '{"tool": "pay", "args": {"a": 1e3}, "agent": {"id": "b"}, "now": "2026"}', "-"
    )
    wrapped = read_call('{"call": {"tool": "pay", "args": {"a": 1e3}}, "agent": {"id": "b"}}', "-")

    assert bare.call == wrapped.call
    assert (bare.agent.id, bare.at) == ("b", "2026")
