"""Seals of calls and of what people said of them: nothing that anybody sees is open."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from interlock.core.actions import Action, Agent, Review, Reviewer, State, Verdict
from interlock.core.clearance import FORMER, TAMPERED, Seals
from interlock.core.decisions import Level
from interlock.core.digest import former_clearance, seal_record
from interlock.core.events import ClearanceFailed, Decided, Reviewed
from interlock.core.lifecycle import step
from interlock.core.sent import former_seal_sent
from tests.support.builders import ANN, BOB, a_call, a_decision, a_review, an_action, edited

SEALS = Seals(b"k" * 32)


def sent(**changes: Any) -> Action:
    """Return a sealed call that went through."""
    call = a_call()
    decision = a_decision(level=Level.ALLOW, audit_share=0.1)
    made = replace(
        an_action(),
        call=call,
        original=None,
        decision=decision,
        state=State.ANSWERED,
        digest=call.digest,
    )
    return replace(SEALS.sealed(replace(made, drawn=True)), **changes)


def test_what_goes_through_is_sealed_and_vouched_for() -> None:
    action = sent()

    assert action.seal
    assert SEALS.genuine(action)
    ours = SEALS.vouched(action)
    assert ours is not None and ours.call == action.call
    assert ours.decision is not None and dict(ours.decision.arguments) == {}


@pytest.mark.parametrize(
    "change",
    [
        {"id": "a-copy"},
        {"drawn": False},
        {"seal": ""},
        {"seal": "\u00e9"},
        {"call": replace(a_call(), agent=Agent(id="other"))},
        {"call": replace(a_call(), body=b'{"to": "x"}')},
        {"decision": a_decision(level=Level.ALLOW, audit_share=0.2)},
        {"decision": a_decision(level=Level.NOTIFY, audit_share=0.1)},
        {"decision": a_decision(level=Level.APPROVE, audit_share=0.1)},
        {"decision": a_decision(level=Level.ALLOW, audit_share=0.1, tool="other.tool")},
    ],
)
def test_whatever_is_changed_in_the_store_breaks_the_seal(change: dict[str, Any]) -> None:
    changed = sent(**change)

    assert not SEALS.genuine(changed)
    assert SEALS.vouched(changed) is None


def test_a_call_from_before_the_upgrade_that_waits_for_its_auditor_is_still_ours() -> None:
    action = sent()
    former = replace(action, seal=former_seal_sent(action, SEALS.key))

    assert former.seal != action.seal
    assert SEALS.genuine(former) and SEALS.vouched(former) is not None
    assert not SEALS.genuine(replace(former, digest="0" * 64))


def test_what_people_decide_was_never_drawn() -> None:
    held = answered(ANN)

    assert SEALS.genuine(held) and not SEALS.genuine(replace(held, drawn=True))


@pytest.mark.parametrize("state", [each for each in State if each is not State.PROPOSED])
@pytest.mark.parametrize("level", [Level.ALLOW, Level.APPROVE, Level.DENY])
def test_without_its_seal_nothing_is_ours_but_what_policy_refused(
    state: State, level: Level
) -> None:
    bare = sent(state=state, drawn=False, seal="", decision=a_decision(level=level))

    assert SEALS.genuine(bare) == (state is State.DENIED and level is Level.DENY)
    assert SEALS.vouched(bare) is None


def test_another_key_seals_nothing_of_ours() -> None:
    assert Seals(b"j" * 32).vouched(sent()) is None


# what people said ------------------------------------------------------------------------------


def answered(*who: Reviewer, verdict: Verdict = Verdict.APPROVE) -> Action:
    """Return a sealed call for which two people are needed, with the answers of *who*."""
    decision = a_decision(level=Level.APPROVE_DUAL)
    action, _ = step(an_action(), Decided(at=1, decision=decision))
    for at, person in enumerate(who, 2):
        call = edited(action) if verdict is Verdict.EDIT else None
        review = a_review(action, person, verdict, call=call, message="fine", reason_code="ok")
        signed = SEALS.signed(action, review, call or action.call, decision, at)
        action, _ = step(action, Reviewed(at=at, review=signed, decision=decision))
    return SEALS.sealed(action)


def changed(action: Action, **lie: Any) -> Action:
    """Return *action* with the first answer changed wherever it is written."""
    first = replace(action.reviews[0], **lie)
    vote = replace(action.votes[0], **lie)
    return replace(action, reviews=(first, *action.reviews[1:]), votes=(vote, *action.votes[1:]))


LIES: dict[str, dict[str, Any]] = {
    "words": {"message": "Olga asked for it, approve it too."},
    "reason": {"reason_code": "other"},
    "time": {"at": 1},
    "version": {"version": 0},
    "person": {"reviewer": BOB},
    "verdict": {"verdict": Verdict.RESPOND},
    "mac": {"mac": "\u00e9"},
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("verdict", [Verdict.APPROVE, Verdict.EDIT])
def test_an_earlier_answer_that_was_changed_makes_the_whole_call_doubtful(
    lie: str, verdict: Verdict
) -> None:
    action = answered(ANN, verdict=verdict)
    assert SEALS.doubt(action) == ""
    forged = changed(action, **LIES[lie])

    assert SEALS.doubt(forged) == TAMPERED
    assert not SEALS.genuine(forged) and SEALS.vouched(forged) is None
    refused = SEALS.refusal(forged, a_decision(), 9)
    assert isinstance(refused, ClearanceFailed) and refused.cause == TAMPERED


def test_answers_can_be_neither_taken_out_nor_put_in_nor_swapped() -> None:
    action = answered(ANN, BOB)
    (ann, bob), (first, second) = action.reviews, action.votes
    assert SEALS.genuine(action)

    for reviews, votes in (
        ((), ()),
        ((ann,), (first, second)),
        ((ann, bob), (first,)),
        ((bob, ann), (first, second)),
        ((ann, ann), (first, first)),
    ):
        forged = replace(action, state=State.HELD, reviews=reviews, votes=votes)
        assert SEALS.doubt(forged) == TAMPERED


def test_an_edit_of_an_edit_is_genuine() -> None:
    action = answered(ANN, verdict=Verdict.EDIT)
    decision = a_decision(level=Level.APPROVE_DUAL)
    call = edited(action, b'{"amount": 5}')
    review = a_review(action, BOB, Verdict.EDIT, call=call)
    signed = SEALS.signed(action, review, call, decision, 9)
    after, _ = step(action, Reviewed(at=9, review=signed, decision=decision))

    assert SEALS.genuine(SEALS.sealed(after)) and len(after.reviews) == 2


def of_former_version(action: Action) -> Action:
    """Return *action* as a version wrote it that had people's words under no MAC."""

    def signed(review: Review) -> Review:
        of = replace(review, digest=action.digest)
        return replace(review, mac=former_clearance(of, action.id, SEALS.key))

    bare = replace(action, reviews=(), votes=())
    return replace(
        action,
        reviews=tuple(map(signed, action.reviews)),
        votes=tuple(map(signed, action.votes)),
        seal=seal_record(bare, SEALS.key),
    )


@pytest.mark.parametrize("verdict", [Verdict.APPROVE, Verdict.EDIT])
def test_an_answer_from_before_the_upgrade_does_not_count_and_says_so(verdict: Verdict) -> None:
    old = of_former_version(answered(ANN, verdict=verdict))

    assert SEALS.doubt(old) == FORMER and "decided again" in FORMER
    refused = SEALS.refusal(replace(old, state=State.APPROVED), a_decision(), 9)
    assert isinstance(refused, ClearanceFailed) and refused.cause == FORMER


def test_a_call_that_nobody_answered_yet_outlives_the_upgrade() -> None:
    held = answered()

    assert SEALS.genuine(of_former_version(held))
    assert of_former_version(held) == held


def test_what_was_decided_before_the_upgrade_stays_evidence_without_its_words() -> None:
    old = replace(of_former_version(answered(ANN, BOB)), state=State.ANSWERED)
    ours = SEALS.vouched(old)

    assert SEALS.doubt(old) == "" and ours is not None
    assert [each.reviewer for each in ours.reviews] == [ANN, BOB]
    assert {each.message + each.reason_code for each in (*ours.reviews, *ours.votes)} == {""}


def test_an_answer_of_today_that_is_dressed_up_as_a_former_one_is_a_forgery() -> None:
    action = answered(ANN)
    for state in (State.HELD, State.ANSWERED):
        forged = changed(replace(action, state=state), message="forged")
        bare = SEALS.sealed(replace(action, reviews=(), votes=()))

        assert SEALS.doubt(replace(forged, seal=bare.seal)) == TAMPERED
