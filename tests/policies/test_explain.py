"""What an explanation says, and that what it says would lower a call was seen to do so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from interlock.core.decisions import Level
from interlock.policies.explain import Explanation, explain, open_book
from interlock.policies.suite import moment
from interlock.policies.suite_calls import make_call, setting
from interlock.policies.suite_document import AgentEntry, CallEntry, FactsEntry, SessionEntry
from tests.policies.building import HEAD, PAY

RULES = """rules:
  - {id: big, tools: [pay], at_least: approve_dual,
     when: args.amount > 1000 && agent.id != "treasurer"}
  - {id: tainted, tools: [pay], when: session.untrusted_content, at_least: approve}
  - {id: listed, tools: [pay], when: 'args.memo in ["x"]', deny: Not with this memo.}
exceptions:
  - {id: rent, tools: [pay], when: args.to == "landlord", at_most: notify, owner: ann,
     reason: monthly, expires: "2026-12-31"}
signals:
  confidence: {missing: 0.5, raise_below: {low: 0.2, medium: 0.4, high: 0.8, critical: 1.0}}
limits:
  - {id: per-day, tools: [pay], key: [agent.id], window: 24h, sum: args.amount, max: 2000,
     then: approve_dual}
"""


def explained(
    tmp_path: Path, facts: FactsEntry | None = None, more: str = "", **args: Any
) -> Explanation:
    file = tmp_path / "p.yaml"
    file.write_text(HEAD.replace("NAME", "p") + PAY + RULES + more)
    book = open_book([file])
    agent = AgentEntry(confidence=args.pop("confidence", 1.0))
    entry = CallEntry(tool="pay", args={"memo": "m", **args})
    call = make_call(entry, agent, setting({}), book.policy)
    return explain(book, call, facts or FactsEntry(), moment("2026-06-01"))


def ways(found: Explanation) -> list[tuple[str, ...]]:
    return [way.changes for way in found.lower]


def test_every_part_of_a_condition_has_its_value(tmp_path: Path) -> None:
    found = explained(tmp_path, amount=1500)

    big = next(each for each in found.conditions if each.id == "big")
    assert (big.answer, big.applied) == ("true", True)
    assert [(part.text, part.shown) for part in big.parts] == [
        ('args.amount > 1000 && agent.id != "treasurer"', "true"),
        ("args.amount > 1000", "true"),
        ("args.amount", "1500"),
        ('agent.id != "treasurer"', "true"),
        ("agent.id", '"agent"'),
    ]
    assert big.place.endswith("p.yaml:23:5")


def test_a_part_that_cannot_be_evaluated_says_why(tmp_path: Path) -> None:
    found = explained(tmp_path, amount=5)

    rent = next(each for each in found.conditions if each.id == "rent")
    assert rent.answer == "indeterminate"
    assert rent.parts[-1].shown == "indeterminate: args.to is missing"


def test_facets_show_the_band_that_they_fall_in(tmp_path: Path) -> None:
    facet = explained(tmp_path, amount=120).facets[0]

    assert (facet.name, facet.value, facet.stake, facet.band) == (
        "amount",
        "120",
        "medium",
        "up to 500",
    )


def test_a_lower_amount_is_named_with_the_bound_that_it_has_to_keep(tmp_path: Path) -> None:
    found = explained(tmp_path, amount=120)

    assert found.level is Level.APPROVE
    assert ("args.amount at most 50 (it is 120)",) in ways(found)


def test_the_confidence_that_would_have_done_is_named(tmp_path: Path) -> None:
    found = explained(tmp_path, amount=600, confidence=0.5)

    assert found.level is Level.APPROVE_DUAL
    assert ("agent.confidence at least 0.8 (it is 0.5)",) in ways(found)


def test_an_untainted_session_and_a_lower_amount_are_only_enough_together(tmp_path: Path) -> None:
    facts = FactsEntry(session=SessionEntry(untrusted_content=True))
    found = explained(tmp_path, facts, amount=120)

    both = {"args.amount at most 50 (it is 120)", "a session that has read no untrusted content"}
    assert any(set(way) == both for way in ways(found))
    assert not any(len(way) == 1 and set(way) < both for way in ways(found))


def test_what_a_limit_has_used_counts_as_a_cause(tmp_path: Path) -> None:
    found = explained(tmp_path, FactsEntry(used={"per-day": 1990.0}), amount=40)

    assert (found.level, found.limits[0].exceeded) == (Level.APPROVE_DUAL, True)
    assert ("nothing of limit per-day used yet (1990 is)",) in ways(found)


def test_a_denial_by_a_rule_names_the_rule(tmp_path: Path) -> None:
    found = explained(tmp_path, amount=5, memo="x")

    assert found.level is Level.DENY
    assert ways(found) == [("without rule listed",)]


def test_an_allowed_call_has_nothing_to_lower(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    read_only = PAY.replace("compensable", "read_only").replace(
        "undo: {reason: Ask for it back.}", ""
    )
    file.write_text(HEAD.replace("NAME", "p") + read_only)
    book = open_book([file])
    call = make_call(
        CallEntry(tool="pay", args={"amount": 5}), AgentEntry(), setting({}), book.policy
    )

    assert explain(book, call, FactsEntry(), moment("2026-06-01")).lower == ()


@pytest.mark.parametrize("amount", [5, 49, 51, 499, 501, 1001, 9999, 10_001])
def test_every_way_that_is_told_lowers_the_level(tmp_path: Path, amount: int) -> None:
    found = explained(tmp_path, amount=amount, confidence=0.1)

    assert found.lower
    assert all(way.level < found.level for way in found.lower)


def test_what_is_not_known_of_the_past_is_told_as_such(tmp_path: Path) -> None:
    found = explained(tmp_path, FactsEntry(unknown=True), amount=5)

    assert found.limits[0].used is None
    assert ("a past that is known, with nothing in it",) in ways(found)


def test_what_is_inside_a_loop_has_the_value_of_the_last_item_that_was_looked_at(
    tmp_path: Path,
) -> None:
    listed = PAY.replace("memo: {type: string}", "memo: {type: array, items: {type: string}}")
    rule = "rules: [{id: x, tools: [pay], deny: No., when: 'args.memo.exists(m, m == \"b\")'}]\n"
    (tmp_path / "p.yaml").write_text(HEAD.replace("NAME", "p") + listed + rule)
    book = open_book([tmp_path / "p.yaml"])
    entry = CallEntry(tool="pay", args={"memo": ["a", "b", "c"]})
    call = make_call(entry, AgentEntry(), setting({}), book.policy)

    found = explain(book, call, FactsEntry(), moment("2026-06-01"))

    assert [(part.text, part.shown) for part in found.conditions[0].parts] == [
        ('args.memo.exists(m, m == "b")', "true"),
        ("args.memo", '["a", "b", "c"]'),
        ('m == "b"', "true"),
        ("m", '"b"'),
    ]


def test_it_says_who_decides_and_how_they_have_to_look(tmp_path: Path) -> None:
    careful = """
levels:
  approve: {approvers: [desk, leads], expire_after: 90m}
  approve_dual: {dwell: 10s, step_up: webauthn}
approvals: {batch: {up_to: medium}}
"""
    one = "1 of desk, leads, within 90m"

    assert explained(tmp_path, more=careful, amount=10).people == ()
    assert explained(tmp_path, more=careful, amount=100).people == (
        one,
        "may be approved in a batch",
    )
    assert explained(tmp_path, more=careful, amount=900).people == (one, "is approved by itself")
    assert explained(tmp_path, more=careful, amount=1500).people == (
        "2 of all approvers, within 4h",
        "nobody approves it before it was in sight for 10s",
        "each approval is signed with the person's security key or passkey",
        "what policy and the agent say of it is folded until the person has judged",
        "is approved by itself",
    )


CORRECTED = RULES.replace("critical: 1.0}", "critical: 1.0}, use: calibrated")


def test_what_past_decisions_make_of_a_claim_is_told_and_what_would_have_done(
    tmp_path: Path,
) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(HEAD.replace("NAME", "p") + PAY + CORRECTED + "audit: {share: 0.05}\n")
    book = open_book([file])
    entry = CallEntry(tool="pay", args={"memo": "m", "amount": 10})
    asked = make_call(entry, AgentEntry(confidence=0.9), setting({}), book.policy)

    def found(calibrated: float | None) -> Explanation:
        return explain(book, asked, FactsEntry(calibrated=calibrated), moment("2026-06-01"))

    doubted, unknown = found(0.1), found(None)

    assert doubted.signals == (
        "confidence: 0.9 (past decisions say 0.1); at low stake 0.2 is asked for: raises",
    )
    assert ("facts.calibrated at least 0.2 (it is 0.1)",) in ways(doubted)
    assert unknown.signals == (
        "confidence: 0.9 (not known how often it is right); at low stake 0.2 is asked for:"
        " raises nothing",
    )
    assert unknown.people == ("goes through; a share of 0.05 is drawn for a look afterwards",)
    assert doubted.people == ("1 of all approvers, within 1h",)
