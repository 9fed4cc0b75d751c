"""How practice calls end, and what people's figures say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from interlock.core.actions import Action, State, Verdict
from interlock.core.practice import Figures, Practised, decider, practised
from tests.support.builders import a_call, a_review

CALL = a_call()
HELD = Action(id="d1", call=CALL, digest=CALL.digest, decoy_of="a0", state=State.HELD)


@pytest.mark.parametrize(
    ("verdict", "ended"),
    [
        (Verdict.REJECT, Practised.CAUGHT),
        (Verdict.APPROVE, Practised.MISSED),
        (Verdict.EDIT, Practised.MISSED),
        (Verdict.RESPOND, Practised.NEITHER),
    ],
)
def test_only_a_rejection_catches_it(verdict: Verdict, ended: Practised) -> None:
    review = a_review(HELD, verdict=verdict)
    after = replace(HELD, state=State.CANCELLED, reviews=(review,))

    assert practised(after) is ended
    assert decider(after) == review.reviewer.id


def test_nobody_may_have_decided_it() -> None:
    lapsed = replace(HELD, state=State.EXPIRED)

    assert practised(lapsed) is Practised.UNANSWERED
    assert decider(lapsed) == ""


def test_what_is_held_or_real_did_not_end_as_practice() -> None:
    assert practised(HELD) is None
    assert practised(replace(HELD, state=State.REJECTED, decoy_of="")) is None


def test_few_practice_calls_say_little() -> None:
    few, many = (Figures(person="ann", caught=each, missed=0) for each in (2, 59))

    assert few.sure == pytest.approx(0.05**0.5)
    assert many.sure > 0.95
    assert Figures(person="bob", caught=0, missed=0).sure == 0.0
