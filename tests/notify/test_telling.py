"""What channels are told: enough to know whether to look, never what was not asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from interlock.core.actions import Action, Agent, McpTool, Raised, State
from interlock.core.decisions import Decision, Escalation, Level
from interlock.core.rules import Redact
from interlock.notify.telling import LONGEST, Digest, moment, sample, told
from interlock.ports import Notice
from tests.support.builders import ANN, NOON, a_call, a_decision, a_review, an_action

URL = "https://interlock.example.com/"


def held(decision: Decision | None = None, **more: object) -> Action:
    action = an_action(a_call())
    return replace(
        action,
        state=State.HELD,
        version=1,
        decision=decision or a_decision(approvers=("ops",)),
        created=NOON,
        deadline=NOON + 60_000,
        **more,  # type: ignore[arg-type]
    )


def test_a_held_call_is_told_with_what_it_touches_and_where_to_decide_it() -> None:
    said = told(held(), Notice.HELD, URL, upstreams={"bank": "https://api.bank.example:8443/v1"})
    assert said.title == "bank.pay waits for approval of ops"
    assert said.link == "https://interlock.example.com/review/a1"
    assert (said.agent, said.destination) == ("bot", "api.bank.example")
    assert (said.stake, said.reversibility, said.level) == ("high", "compensable", "approve")
    assert said.consequence == "Can be made good, at a cost."
    assert said.deadline == NOON + 60_000
    assert f"Lapses at {moment(NOON + 60_000)}" in said.lines
    assert "Agent bot, to api.bank.example" in said.lines


@pytest.mark.parametrize("why", Notice)
def test_without_being_asked_for_no_argument_is_told(why: Notice) -> None:
    call = a_call(target="/pay?to=canary-one", body=b'{"memo": "canary-two"}')
    arguments = {"to": "canary-one", "memo": "canary-two"}
    decision = a_decision(arguments=arguments, sources={"to": "query", "memo": "json"})
    for tool in ("bank.pay", ""):
        action = replace(an_action(call), decision=replace(decision, tool=tool))
        assert "canary" not in repr(told(action, why, URL))


def test_a_call_in_no_entry_shows_no_path_since_all_of_it_may_be_arguments() -> None:
    action = an_action(a_call(target="/to/canary/pay"))
    action = replace(action, decision=a_decision(tool="", arguments={}, sources={}))
    assert told(action, Notice.HELD, URL).tool == "POST to bank (in no entry of the policy)"
    asked = told(action, Notice.HELD, URL, with_arguments=True)
    assert asked.tool == "POST /to/canary/pay"


def test_arguments_are_shown_where_they_are_asked_for() -> None:
    said = told(held(), Notice.HELD, URL, with_arguments=True)
    assert said.arguments == (("amount", "900"), ("to", "bob"))
    assert "amount: 900" in said.lines
    assert said.whole and said.plain


def test_what_policy_hides_from_approvers_or_logs_is_never_told() -> None:
    decision = a_decision(arguments={"to": "DE4711471147", "memo": "a canary"}, redacted=("to",))
    redact = Redact(logs=("args.memo",))
    said = told(held(decision), Notice.HELD, URL, with_arguments=True, redact=redact)
    assert said.arguments == (("to", "…1147"), ("memo", "…nary"))
    assert not said.whole and not said.plain


def test_secrets_that_policy_looks_for_are_masked_in_arguments() -> None:
    decision = a_decision(arguments={"memo": "from DE89370400440532013000 to me"})
    redact = Redact(detectors=frozenset({"iban"}))
    said = told(held(decision), Notice.HELD, URL, with_arguments=True, redact=redact)
    assert "DE8937" not in repr(said) and not said.whole


@pytest.mark.parametrize("evil", ["\u202e", "\u200b", "\n", "\r\n", "\U000e0041", "\x1b[2J"])
def test_nothing_that_the_agent_wrote_can_hide_or_start_a_line(evil: str) -> None:
    call = replace(a_call(), agent=Agent(id=f"bot{evil}x"), mcp=McpTool(name=f"tool{evil}x"))
    decision = a_decision(tool="", arguments={f"na{evil}me": f"va{evil}lue"}, sources={})
    action = replace(an_action(call), decision=decision, state=State.HELD)
    said = told(action, Notice.HELD, URL, with_arguments=True, assigned=(f"ann{evil}",))
    texts = [said.title, said.tool, said.agent, *said.lines, *sum(said.arguments, ()), *said.asked]
    assert not any(evil in text or "\n" in text for text in texts)
    assert any("<U+" in text for text in texts)


def test_a_text_is_cut_and_says_so() -> None:
    decision = a_decision(arguments={"memo": "x" * 5000})
    said = told(held(decision), Notice.HELD, URL, with_arguments=True)
    assert said.arguments == (("memo", "x" * LONGEST + "…"),)
    assert not said.whole


@pytest.mark.parametrize(
    "needs", [{"dwell_ms": 1}, {"step_up": True}, {"folded": True}, {"redacted": ("to",)}]
)
def test_what_only_the_page_can_give_is_said(needs: dict[str, object]) -> None:
    assert not told(held(a_decision(**needs)), Notice.HELD, URL).plain


def test_an_escalation_says_who_may_decide_and_when() -> None:
    decision = a_decision(escalate=(Escalation(after_ms=900_000, to=("cfo",)),))
    assert "After 15 min cfo" in told(held(decision), Notice.ESCALATED, URL).lines


def test_an_escalation_that_a_person_asked_for_says_who_asks_whom_and_why() -> None:
    steps = (
        Escalation(after_ms=76_765, to=("leads",)),
        Escalation(after_ms=900_000, to=("cfo",)),
    )
    raised = (Raised(by="ann", message="the month ends", at=NOON + 76_765),)
    action = held(a_decision(escalate=steps), raised=raised)
    said = told(action, Notice.ESCALATED, URL)
    assert said.raised == "ann asks leads now: the month ends"
    assert "Ann asks leads now: the month ends" in said.lines
    assert not told(action, Notice.REMINDER, URL).raised
    later = replace(action, raised=(replace(raised[0], at=NOON + 5),))  # policy's time has come
    assert "after 15 min cfo" in told(later, Notice.ESCALATED, URL).raised


def test_what_is_said_to_those_who_are_asked_holds_nothing_that_policy_hides() -> None:
    step = Escalation(after_ms=1000, to=("leads",))
    decision = a_decision(escalate=(step,), arguments={"to": "DE4711471147"}, redacted=("to",))
    raised = (Raised(by="ann", message="is DE4711471147 right?\nyes", at=NOON + 1000),)
    said = told(held(decision, raised=raised), Notice.ESCALATED, URL)
    assert "DE4711471147" not in repr(said) and "\n" not in said.raised


def test_who_is_asked_to_decide_is_told_in_the_title() -> None:
    said = told(held(), Notice.ASKED, URL, assigned=("bob",))
    assert said.title == "bank.pay waits, and bob is asked to decide it"


def test_of_a_practice_call_nothing_is_told_that_tells_it_from_one_that_was_taken_back() -> None:
    taken_back = replace(held(), state=State.CANCELLED)
    practice = replace(
        taken_back,
        decoy_of="a0",
        reviews=(a_review(taken_back, ANN),),
        cause="A practice call; ann said reject.",
    )
    assert told(practice, Notice.SETTLED, URL) == told(taken_back, Notice.SETTLED, URL)


def test_votes_and_those_who_are_asked_are_told() -> None:
    action = held(a_decision(Level.APPROVE_DUAL))
    action = replace(action, votes=(a_review(action, ANN),))
    said = told(action, Notice.REMINDER, URL, assigned=("bob",))
    assert "by 2 people" in said.title
    assert {"1 of 2 have approved", "Asked to decide: bob"} <= set(said.lines)


def test_a_settled_call_says_who_decided_and_has_no_deadline() -> None:
    action = held()
    action = replace(action, state=State.REJECTED, reviews=(a_review(action, ANN),))
    said = told(action, Notice.SETTLED, URL)
    assert said.title == "bank.pay waits no more: ann: rejected"
    assert said.outcome == "ann: rejected" and said.deadline == 0


def test_a_record_without_a_decision_is_told_as_the_worst() -> None:
    said = told(an_action(), Notice.HELD, URL)
    assert (said.stake, said.reversibility) == ("critical", "irreversible")


def test_a_digest_counts_what_it_does_not_show() -> None:
    one = told(held(), Notice.SENT, URL)
    digest = Digest(key="k", told=(one,), more=2, since=NOON, until=NOON + 1)
    assert digest.title == f"3 calls let through since {moment(NOON)}"
    assert replace(digest, more=0).title.startswith("1 call let")


def test_a_sample_names_no_call() -> None:
    said = sample(URL, "k")
    assert said.link == "https://interlock.example.com/review" and "test" in said.title
    assert said.sample and not told(held(), Notice.HELD, URL).sample
