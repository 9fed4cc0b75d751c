"""Suites and corpora of what people decided, run and read by what they are for."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock import noting
from interlock.core.actions import State, ToolCall, Verdict
from interlock.core.decisions import Level
from interlock.core.evaluate import decide, prepare
from interlock.core.facts import Facts, Session
from interlock.core.records import DecidedCall
from interlock.exports import formats
from interlock.exports.making import suites
from interlock.exports.making.exporter import Exporter, Wanted
from interlock.policies.corpus import read_corpus
from interlock.policies.load import read_policies
from interlock.policies.positions import load_yaml
from interlock.policies.suite import read_suite, run_suite
from interlock.policies.suite_document import SuiteDocument
from tests.approvals.world import CAREFUL, a_call
from tests.support.builders import a_review, an_action
from tests.support.records import NOON, audited, record, records, reported, said

REQUEST: dict[str, Any] = {
    "upstream": "bank",
    "method": "POST",
    "path": "/v1/accounts/DE-4711/transfers",
    "json": {"amount": 900, "recipient": "Bob GmbH 🙂", "memo": "a\u2028b\x7f"},
}
TAINTED = {"session": {"untrusted_content": True, "writes": 6, "points": 0.0}}


def held(**changes: Any) -> DecidedCall:
    """A transfer that the rule `tainted` held, and a person refused."""
    usual = {
        "tool": "bank.transfer",
        "request": REQUEST,
        "facts": TAINTED,
        "state": "rejected",
        "rules": ("tainted",),
        "reviews": (said("reject", message="Never."),),
    }
    return record(**(usual | changes))


def cases(*calls: DecidedCall) -> list[bytes]:
    exporter = Exporter(formats()["policy-tests"], Wanted())
    return [line for call in calls for line in exporter.lines(call, {})]


def suite(folder: Path, policy: str, *calls: DecidedCall) -> Path:
    (folder / "policy.yaml").write_text(policy)
    [text] = suites.suites(cases(*calls), ["policy.yaml"])
    file = folder / "recorded-001_test.yaml"
    file.write_text(text)
    return file


STRICT = CAREFUL.replace("facets: {data: confidential}", "facets: {data: public}")
LENIENT = STRICT.replace("session.writes > 5", "session.writes > 500")


@pytest.fixture(autouse=True)
def _changed() -> None:
    assert len({CAREFUL, STRICT, LENIENT}) == 3


def test_what_people_refused_goes_on_being_held(tmp_path: Path) -> None:
    report = run_suite(suite(tmp_path, STRICT, held()))
    assert report.ok, report.failures
    assert report.passed == 1


def test_a_policy_that_lets_it_through_fails(tmp_path: Path) -> None:
    report = run_suite(suite(tmp_path, LENIENT, held()))
    assert not report.ok
    assert "level_at_least: want 'approve', got 'notify'" in str(report.failures[0])


@pytest.mark.parametrize("stricter", ["at_least: approve_dual", "deny: Not after reading."])
def test_a_policy_that_asks_for_more_passes(tmp_path: Path, stricter: str) -> None:
    rule = "session.writes > 5\n    at_least: approve"
    assert STRICT.count(rule) == 1
    more = STRICT.replace(rule, f"session.writes > 5\n    {stricter}")
    report = run_suite(suite(tmp_path, more, held()))
    assert report.ok, report.failures


def test_one_person_where_two_were_asked_is_too_few(tmp_path: Path) -> None:
    assert not run_suite(suite(tmp_path, STRICT, held(level="approve_dual"))).ok


def test_edits_and_answers_in_the_tools_place_are_cases_and_approvals_are_not() -> None:
    changed = held(state="answered", reviews=(said("edit"),), final=REQUEST)
    answered = held(state="responded", reviews=(said("respond"),), confidence=0.5)
    approved = held(state="answered", reviews=(said(),))
    assert len(cases(changed, answered, approved)) == 2


def test_the_card_says_why_a_call_makes_no_case() -> None:
    exporter = Exporter(formats()["policy-tests"], Wanted())
    approved = held(state="answered", reviews=(said(),), reports=(reported(),))
    audit = {"level": "notify", "reviews": (), "audit": audited()}
    for call in (approved, held(**audit), held(request={})):
        exporter.lines(call, {})
    assert exporter.tally.left_out == {
        "people let it pass as it was": 1,
        "policy let it through: nobody was asked": 1,
        "its request is not on record": 1,
    }


def test_a_case_is_there_once_whenever_it_happened() -> None:
    assert len(cases(held(id="a"), held(id="b", created=NOON + 1000), held(agent="other"))) == 2


def test_a_case_is_there_once_however_its_requests_were_traced() -> None:
    traced = [REQUEST | {"headers": {"Traceparent": f"00-{n}", "Accept": "*/*"}} for n in "ab"]
    other = REQUEST | {"headers": {"Accept": "text/html"}}
    found = cases(*(held(id=str(at), request=each) for at, each in enumerate([*traced, other])))
    assert [json.loads(case)["call"]["headers"]["Accept"] for case in found] == [
        *("*/*", "text/html")
    ]
    assert "00-a" in found[0].decode()


def test_a_budget_that_was_exceeded_is_exceeded_in_the_case(tmp_path: Path) -> None:
    facts = {"session": {"untrusted_content": False, "writes": 0, "points": 0.0}}
    spent = held(facts=facts, limits=("money-per-day",), rules=())
    assert run_suite(suite(tmp_path, STRICT, spent)).ok
    more = STRICT.replace("max: 2000, then: approve", "max: 2000000000, then: approve")
    assert not run_suite(suite(tmp_path, more, spent)).ok


def test_many_cases_become_several_files_that_can_each_be_read(tmp_path: Path) -> None:
    calls = [held(id=f"a{n}", confidence=n / 2000, task="x" * 2000) for n in range(1200)]
    texts = list(suites.suites(cases(*calls), ["policy.yaml"]))
    assert len(texts) > 1
    (tmp_path / "policy.yaml").write_text(CAREFUL)
    names = []
    for text in texts:
        file = tmp_path / "one_test.yaml"
        file.write_text(text)
        read, _ = read_suite(file)
        assert isinstance(read, SuiteDocument)
        names += [case.name for case in read.cases]
    assert names == [f"a{n}: bank.transfer, rejected" for n in range(1200)]


def test_what_no_suite_can_hold_is_left_out() -> None:
    deep: Any = 1
    for _ in range(60):
        deep = [deep]
    for json_ in (deep, {"n": 2**60}, {"k" * 2000: 1}, {"x": list(range(60_000))}):
        assert cases(held(request=REQUEST | {"json": json_})) == []


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(values)
def test_what_is_written_as_yaml_reads_back_as_the_same(value: Any) -> None:
    read = load_yaml(f"a: {suites.text(value)}\n", "x.yaml").data
    assert read == {"a": value}
    assert json.dumps(read["a"]) == json.dumps(value)  # 1 is not 1.0


@given(records(request={"tool": "t", "args": {"a": 1}}, agent=st.sampled_from(("bot", "🙂"))))
def test_any_record_is_a_line_that_a_corpus_has(call: DecidedCall) -> None:
    exporter = Exporter(formats()["corpus"], Wanted(masked=True))
    lines = exporter.lines(call, {})
    for recorded in read_corpus(lines, "corpus.jsonl"):
        assert recorded.entry.call.tool == "t"
        assert recorded.entry.agent.confidence == call.confidence
        assert recorded.entry.agent.id == call.agent


def test_a_corpus_says_what_was_known_of_the_past() -> None:
    facts = TAINTED | {"familiar": False, "refused": True, "grant": {"id": "g1"}, "calibrated": 0.4}
    call = held(facts=facts, calibrated=0.4, limits=("money-per-day", "per_agent_per_hour"))
    exporter = Exporter(formats()["corpus"], Wanted())
    [recorded] = read_corpus(exporter.lines(call, {}), "corpus.jsonl")
    known = recorded.entry.facts
    assert (known.familiar, known.refused, known.grant, known.calibrated) == (
        *(False, True, True),
        0.4,
    )
    assert (known.session.untrusted_content, known.session.writes) == (True, 6)
    assert known.used["money-per-day"] > 1e6
    assert known.holds_in_hour > 1e6


def test_what_the_store_had_lost_is_unknown() -> None:
    exporter = Exporter(formats()["corpus"], Wanted())
    lost, unasked = held(facts={}, signals=("novelty",)), held(facts={}, confidence=0.1)
    lines = [*exporter.lines(lost, {}), *exporter.lines(unasked, {})]
    one, other = read_corpus(lines, "corpus.jsonl")
    assert one.entry.facts.unknown
    assert not other.entry.facts.unknown


FAR = Session(untrusted_content=True, writes=6)


@pytest.mark.parametrize(
    ("call", "facts"),
    [
        (a_call(), {"session": FAR}),
        (a_call(body=b'{"amount": 2500, "recipient": "Bob GmbH"}'), {"session": Session()}),
        (a_call("bank", "DELETE", "/unknown", b""), {}),
        (a_call(body=b'{"amount": "much"}'), {}),
        (a_call(body='{"amount": 1.50, "recipient": "Zoë 🙂 \\u2028"}'.encode()), {"session": FAR}),
    ],
)
def test_a_call_as_it_is_recorded_is_held_again(
    tmp_path: Path, call: ToolCall, facts: dict[str, Any]
) -> None:
    """From the gate's judgement through its record to the suite, and back to the same level."""
    policy = read_policies([("policy.yaml", STRICT)])
    prepared = prepare(call, policy)
    used = {counter.key: 0 for counter in prepared.needs.counters}
    at = datetime.fromtimestamp(NOON / 1000, UTC)
    decision = decide(prepared, Facts(used=used, **facts), at)
    action = an_action(call)
    refused = a_review(action, verdict=Verdict.REJECT)
    ended = replace(
        action, decision=decision, state=State.REJECTED, reviews=(refused,), created=NOON
    )
    call_kept = noting.record_of(ended, policy, lambda person: f"r-{person}")
    if decision.level is Level.DENY:  # nobody was asked
        assert cases(call_kept) == []
        return
    assert decision.level in (Level.APPROVE, Level.APPROVE_DUAL), decision.trace
    assert len(cases(call_kept)) == 1
    report = run_suite(suite(tmp_path, STRICT, call_kept))
    assert report.ok, report.failures
