"""Reports of a call: one word of each reporter, and nobody takes the place of others."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from interlock.core.records import BY_AGENT, Reported, Turned
from interlock.core.reporting import MOST, all_wrong, heard

RIGHT, WRONG = Turned.RIGHT, Turned.WRONG


def said(by: str, turned: Turned, message: str = "") -> Reported:
    return Reported(by=by, turned=turned, at=1, message=message)


def told(*all: Reported) -> tuple[tuple[Reported, ...], list[bool]]:
    kept: tuple[Reported, ...] = ()
    taken = []
    for each in all:
        now = heard(kept, each)
        taken.append(now is not None)
        kept = kept if now is None else now
    return kept, taken


def test_an_agent_that_says_right_again_and_again_mutes_no_person() -> None:
    kept, taken = told(*[said(BY_AGENT, RIGHT)] * 9, said("r-1", WRONG))
    assert taken == [True] * MOST + [False] * 4 + [True]
    assert [(each.by, each.turned) for each in kept] == [(BY_AGENT, RIGHT), ("r-1", WRONG)]


def test_the_latest_word_of_each_stands() -> None:
    kept, _ = told(said("r-1", RIGHT), said("r-2", WRONG), said("r-1", WRONG, "It bounced."))
    assert [(each.by, each.turned, each.changed) for each in kept] == [
        ("r-2", WRONG, 0),
        ("r-1", WRONG, 1),
    ]


def test_an_agent_may_always_take_back_that_it_was_right() -> None:
    kept, taken = told(*[said(BY_AGENT, RIGHT)] * 8, said(BY_AGENT, WRONG), said(BY_AGENT, RIGHT))
    assert taken[-2:] == [True, False]
    assert [each.turned for each in kept] == [WRONG]


def test_a_wrong_makes_room_for_itself_among_what_people_said_was_right() -> None:
    first = [said(f"r-{n}", RIGHT if n in (1, 3) else WRONG) for n in range(MOST)]
    kept, taken = told(*first, said("r-7", RIGHT), said("r-8", WRONG), said("r-9", WRONG))
    assert taken == [True] * MOST + [False, True, True]
    assert [each.by for each in kept] == ["r-0", "r-2", "r-4", "r-8", "r-9"]
    assert all_wrong(kept) and heard(kept, said("r-5", WRONG)) is None
    assert heard(kept, said("r-0", RIGHT)) is not None


@given(st.lists(st.builds(said, st.sampled_from([BY_AGENT, *"abcdefg"]), st.sampled_from(Turned))))
def test_what_an_agent_is_told_depends_on_its_own_words_alone(all: list[Reported]) -> None:
    kept, taken = told(*all)
    own = [each for each in all if each.by == BY_AGENT]
    assert [t for t, each in zip(taken, all, strict=True) if each.by == BY_AGENT] == told(*own)[1]
    people = [each.by for each in kept if each.by != BY_AGENT]
    assert len(people) == len(set(people)) <= MOST
    if any(each.by != BY_AGENT and each.turned is WRONG for each in all[-1:]):
        assert WRONG in [each.turned for each in kept if each.by != BY_AGENT]
