"""An absent person and whoever stands in for them are one voice, in whatever order they vote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.core.actions import Action, Review, Reviewer, State, Verdict
from interlock.core.clearance import Seals
from interlock.core.decisions import Level
from interlock.core.errors import IllegalTransition, ReviewRefused
from interlock.core.events import ClearanceFailed, Decided, Reviewed
from interlock.core.lifecycle import step
from interlock.core.voices import distinct, heard, standing_in_for, voices_of
from tests.support.builders import NOON, a_decision, a_review, an_action, edited
from tests.support.faults import noticed

SEALS = Seals(b"s" * 32)
NAMES = ("ann", "bob", "cat", "dan")


def person(name: str, *absent: str) -> Reviewer:
    """Somebody who stands in for *absent*."""
    return Reviewer(id=name, groups=frozenset(map(standing_in_for, absent)) | {"ops"})


def held(quorum: int) -> Action:
    decision = a_decision(Level.APPROVE_DUAL, quorum=quorum)
    return step(an_action(), Decided(at=NOON, decision=decision))[0]


def voted(
    action: Action, who: Reviewer, verdict: Verdict = Verdict.APPROVE, body: int = 1
) -> Action:
    call = edited(action, b'{"amount": %d}' % body) if verdict is Verdict.EDIT else None
    review = a_review(action, who, verdict, call=call)
    decision = action.decision
    assert decision is not None
    signed = SEALS.signed(action, review, call or action.call, decision, NOON + 1)
    return step(action, Reviewed(at=NOON + 1, review=signed, decision=decision))[0]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (person("ann"), person("cat", "ann")),
        (person("cat", "ann"), person("ann")),
        (person("cat", "ann"), person("dan", "ann")),
    ],
)
def test_promise_08_an_absent_person_and_who_stands_in_are_one_voice(
    first: Reviewer, second: Reviewer
) -> None:
    once = voted(held(2), first)

    with pytest.raises(IllegalTransition, match="another person must"):
        voted(once, second)
    assert voted(once, person("bob")).state is State.APPROVED


def test_promise_08_two_people_who_stand_in_for_two_are_two_voices() -> None:
    once = voted(held(2), person("cat", "ann"))

    assert voted(once, person("dan", "bob")).state is State.APPROVED


REVIEWERS = st.builds(
    lambda name, absent: person(name, *sorted(absent - {name})),
    st.sampled_from(NAMES),
    st.sets(st.sampled_from(NAMES), max_size=2),
)
VOTES = st.tuples(REVIEWERS, st.sampled_from([*[Verdict.APPROVE] * 3, Verdict.EDIT]))


def history(quorum: int, votes: Sequence[tuple[Reviewer, Verdict]]) -> Action:
    action = held(quorum)
    for number, (who, verdict) in enumerate(votes):
        try:
            action = voted(action, who, verdict, number)
        except ReviewRefused:
            continue
    return action


def as_many_voices_as_needed(quorum: int, votes: Sequence[tuple[Reviewer, Verdict]]) -> None:
    action = history(quorum, votes)
    if action.state is State.APPROVED:
        parts = [voices_of(vote) for vote in action.votes]
        assert len(parts) >= quorum
        assert sum(map(len, parts)) == len(heard(action.votes)), "one voice counted twice"


@settings(deadline=None)
@given(st.integers(2, 3), st.lists(VOTES, max_size=8))
def test_promise_08_no_history_of_votes_and_absences_counts_a_voice_twice(
    quorum: int, votes: list[tuple[Reviewer, Verdict]]
) -> None:
    as_many_voices_as_needed(quorum, votes)


def test_promise_08_a_core_that_counts_names_would_be_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def by_name(votes: Sequence[Review]) -> frozenset[str]:
        return frozenset(vote.reviewer.id for vote in votes) - {"ann"}

    monkeypatch.setattr("interlock.core.lifecycle.heard", by_name)
    with noticed():
        as_many_voices_as_needed(
            2, [(person("ann"), Verdict.APPROVE), (person("cat", "ann"), Verdict.APPROVE)]
        )


def refused(first: Reviewer, second: Reviewer) -> None:
    """Nothing is sent on two genuine votes of one voice, however they came into the record."""
    apart = voted(voted(held(2), first), person("bob"))
    forged = voted(held(2), second)
    decision = apart.decision
    assert decision is not None
    both = SEALS.sealed(_with_votes(apart, (apart.votes[0], forged.votes[0])))
    assert isinstance(SEALS.refusal(both, decision, NOON + 2), ClearanceFailed)


def _with_votes(action: Action, votes: tuple[Review, ...]) -> Action:
    return replace(action, votes=votes)


def test_promise_08_a_record_with_two_votes_of_one_voice_clears_nothing() -> None:
    refused(person("ann"), person("cat", "ann"))


def test_promise_08_a_clearance_that_counts_names_would_be_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("interlock.core.clearance.distinct", len)
    with noticed():
        refused(person("ann"), person("cat", "ann"))


def test_votes_are_counted_by_voice() -> None:
    action = held(2)
    votes = [a_review(action, who) for who in (person("ann"), person("cat", "ann"), person("bob"))]

    assert distinct(votes) == 2
    assert heard(votes) == {"ann", "cat", "bob"}
