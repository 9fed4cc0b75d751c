"""How one call differs from another, in words that claim no more than they compare."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from interlock.approvals.changes import Side, compared
from interlock.core.actions import ToolCall
from interlock.core.evaluate import evaluate
from interlock.core.facts import NO_FACTS
from interlock.core.masking import NO_MASKS, Masks

from .world import a_call, a_policy

POLICY, AT = a_policy(), datetime(2026, 11, 23, tzinfo=UTC)
RENT = b'{"amount": 900, "recipient": "Bob GmbH"}'


def side(call: ToolCall, *hidden: str) -> Side:
    decision = evaluate(call, POLICY, NO_FACTS, AT)
    masks = Masks(decision.arguments, decision.sources, hidden) if hidden else NO_MASKS
    return call, decision, masks


def said(before: Side, after: Side) -> dict[str, tuple[str | None, str | None]]:
    return {each.where: (each.before, each.after) for each in compared(before, after)}


def test_the_same_request_differs_in_nothing() -> None:
    assert said(side(a_call(body=RENT)), side(a_call(body=RENT, reason="Again."))) == {}


def test_an_argument_that_differs_is_named_and_the_others_are_not() -> None:
    more = RENT.replace(b"900", b"9000")
    assert said(side(a_call(body=RENT)), side(a_call(body=more))) == {"amount": ("900", "9000")}


def test_bytes_that_differ_under_the_same_arguments_are_not_called_the_same() -> None:
    (where,) = said(side(a_call(body=RENT)), side(a_call(body=RENT + b" ")))
    assert where == "body"


def test_only_the_headers_that_differ_are_shown() -> None:
    one = a_call(body=RENT, headers=(("X-Run", "1"), ("X-Team", "pay")))
    two = a_call(body=RENT, headers=(("X-Run", "2"), ("X-Team", "pay")))
    assert said(side(one), side(two)) == {"headers": ("X-Run: 1", "X-Run: 2")}


def test_headers_in_another_order_are_not_the_same_request() -> None:
    one = a_call(body=RENT, headers=(("X-Run", "1"), ("X-Run", "2")))
    two = a_call(body=RENT, headers=(("X-Run", "2"), ("X-Run", "1")))
    assert "headers" in said(side(one), side(two))


@pytest.mark.parametrize("masked", ["before", "after", "both"])
def test_what_is_hidden_of_a_side_stays_hidden(masked: str) -> None:
    secret, other = "DE02120300000000202051", "FR7630006000011234567890189"
    bodies = [RENT.replace(b"Bob GmbH", each.encode()) for each in (secret, other)]
    hidden = [("recipient",) if masked in (name, "both") else () for name in ("before", "after")]
    before, after = (
        side(a_call(body=body), *names) for body, names in zip(bodies, hidden, strict=True)
    )
    text = str(said(before, after))
    assert (secret in text) is (masked == "after")
    assert (other in text) is (masked == "before")
