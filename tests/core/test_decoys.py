"""Practice calls: as real as the rejected ones, and bound to nothing of them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from interlock.core.actions import Action, Review, Reviewer, State, ToolCall, Verdict, evolve
from interlock.core.decoys import another, decoy, due, eligible, renewed
from interlock.core.digest import digest, seal
from interlock.core.evaluate import evaluate
from interlock.core.facts import NO_FACTS
from tests.policies.building import NOON, PAY, call, policy

POLICY = policy(PAY + "redact: {approver: [args.memo]}\n")
HEADERS = (
    ("Content-Type", "application/json"),
    ("Date", "Mon, 02 Nov 2026 10:00:00 GMT"),
    ("Idempotency-Key", "k-1"),
    ("Traceparent", "00-1-2-01"),
    ("Interlock-Session", "s-1"),
)


def asked(body: bytes = b'{"amount": 900}') -> ToolCall:
    given = call(body=body, headers=HEADERS, confidence=0.9)
    context = replace(given.context, session="s-1", reason="rent", traceparent="00-1-2-01")
    return seal(replace(given, context=context))


def rejected(body: bytes = b'{"amount": 900}', message: str = "Too much") -> Action:
    wanted = asked(body)
    said = Review(
        reviewer=Reviewer(id="ann"),
        verdict=Verdict.REJECT,
        digest=wanted.digest,
        version=1,
        message=message,
    )
    decision = evaluate(wanted, POLICY, NO_FACTS, NOON)
    return Action(id="01A", call=wanted, state=State.REJECTED, decision=decision, reviews=(said,))


def test_it_asks_for_the_same_in_the_same_words() -> None:
    before, made = asked(), decoy(rejected(), {})

    for name in ("agent", "upstream", "method", "target", "body", "path", "query", "content"):
        assert getattr(made, name) == getattr(before, name)
    assert (made.context.reason, made.context.confidence) == ("rent", 0.9)
    assert made.digest == digest(made)


def test_nothing_ties_it_to_the_call_that_it_is_like() -> None:
    made = decoy(rejected(), {"date": "Mon, 23 Nov 2026 08:00:00 GMT", "X-New": "1"})

    assert made.headers == (
        ("Content-Type", "application/json"),
        ("Date", "Mon, 23 Nov 2026 08:00:00 GMT"),
    )
    assert (made.context.session, made.context.traceparent) == ("", "")


def test_policy_holds_it_as_it_held_the_other() -> None:
    before = rejected().decision
    after = evaluate(decoy(rejected(), {}), POLICY, NO_FACTS, NOON)

    assert before is not None
    assert (after.tool, after.level, after.stake) == (before.tool, before.level, before.stake)


def test_what_a_person_rejected_with_a_reason_may_be_shown_again() -> None:
    assert eligible(rejected(), POLICY)
    coded = replace(rejected(message=" ").reviews[0], reason_code="wrong_amount")
    assert eligible(evolve(rejected(), reviews=(coded,)), POLICY)


@pytest.mark.parametrize("state", [state for state in State if state is not State.REJECTED])
def test_nothing_else_may(state: State) -> None:
    assert not eligible(evolve(rejected(), state=state), POLICY)


def test_what_says_too_little_or_too_much_is_not_shown_again() -> None:
    other = policy(PAY.replace("id: pay", "id: wire"))

    assert not eligible(rejected(message=""), POLICY)
    assert not eligible(rejected(b'{"amount": 900, "memo": "secret"}'), POLICY)
    assert not eligible(rejected(), other)
    assert not eligible(evolve(rejected(), decision=None), POLICY)
    assert not eligible(evolve(rejected(), original=asked()), POLICY)
    assert not eligible(evolve(rejected(), decoy_of="01B"), POLICY)


def test_what_policy_hides_only_now_is_not_shown_again() -> None:
    now = policy(PAY + "redact: {approver: [args.amount]}\n")

    assert not eligible(rejected(), now)


@pytest.mark.parametrize(
    ("share", "draw", "is_due"),
    [(0.0, 0.0, False), (0.02, 0.0, True), (0.02, 0.0199, True), (0.02, 0.02, False)],
)
def test_one_is_due_beside_the_share_of_holds_that_policy_asks_for(
    share: float, draw: float, is_due: bool
) -> None:
    assert due(share, draw) is is_due


def draws(*numbers: float) -> Callable[[], float]:
    rest = itertools.cycle(numbers)
    return lambda: next(rest)


@pytest.mark.parametrize(
    ("name", "looks"),
    [
        ("s-81", r"s-\d\d"),
        ("run-2026-11-20", r"run-\d{4}-\d\d-\d\d"),
        (
            "9f86d081-884c-4d65-9a2f-eaa0c55ad015",
            r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-9[0-9a-f]{3}-[0-9a-f]{12}",
        ),
        ("sess_9F86D081884C7D65", r"sess_[0-9A-F]{16}"),
        ("01J9ZK3V5Q8XW2R7T4M6N0PBCD", r"[0-9A-Z]{26}"),
    ],
)
def test_another_session_looks_like_one_of_the_same_agent(name: str, looks: str) -> None:
    made = another(name, draws(0.1, 0.95, 0.4, 0.7))

    assert made != name
    assert re.fullmatch(looks, made), made


def test_what_is_a_word_stays_one() -> None:
    assert another("nightly-run", draws(0.5)) == "nightly-run"
    assert another("", draws(0.5)) == ""
    assert another("nightly-7", draws(0.5)) == "nightly-5"


def test_its_session_is_the_one_it_is_given() -> None:
    assert decoy(rejected(), {}, "s-2").context.session == "s-2"


def test_what_an_agent_always_sends_it_sends_too() -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    before = evolve(
        rejected(),
        call=replace(
            asked(),
            headers=(*HEADERS[:3], ("Traceparent", trace), *HEADERS[4:]),
            context=replace(asked().context, traceparent=trace),
        ),
    )

    fresh = renewed(before.call, "Mon, 23 Nov 2026 08:00:00 GMT", draws(0.3, 0.81, 0.55))
    made = decoy(before, fresh, "s-9")

    headers = dict(made.headers)
    assert list(headers) == ["Content-Type", "Date", "Idempotency-Key", "Traceparent"]
    assert headers["Idempotency-Key"] == "k-3"
    assert headers["Traceparent"] == made.context.traceparent != trace
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", headers["Traceparent"])


def test_what_is_not_there_is_not_made_up() -> None:
    plain = replace(asked(), headers=(), context=replace(asked().context, traceparent=""))

    assert renewed(plain, "now", draws(0.5)) == {"date": "now"}
    assert decoy(evolve(rejected(), call=plain), {"date": "now"}).headers == ()
