"""Answers in the store: whoever has no key writes none that anybody is shown or given."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.approvals.answers import shown_answer
from interlock.core.actions import Answer, State
from interlock.core.decisions import Undo
from interlock.core.masking import NO_MASKS
from interlock.core.undoing import undoable
from interlock.ingress.mcp.wording import sentence
from interlock.store.codec import CHANGED, encode_answer, read_answer, sealed_answer
from interlock.store.redis import RedisStore
from tests.store.test_audits import Auditing
from tests.support.builders import a_decision, an_action

KEY, OTHER = b"k" * 32, b"o" * 32
PAID = Answer(status=201, headers=(("Content-Type", "text/plain"),), body=b"paid", size=4)


@pytest.fixture
async def audited(store: RedisStore) -> AsyncIterator[Auditing]:
    made = Auditing(store)
    yield made
    await made.feed.close()


def test_a_sealed_answer_reads_back_with_its_key_and_without() -> None:
    kept = sealed_answer(PAID, "a1", KEY)

    assert read_answer(kept, "a1", KEY) == read_answer(kept, "a1", b"") == PAID


@pytest.mark.parametrize(
    "kept",
    [
        encode_answer(PAID),
        sealed_answer(PAID, "a1", OTHER),
        sealed_answer(PAID, "a2", KEY),
        sealed_answer(PAID, "a1", KEY)[:20],
        b"\x01",
        b"x",
    ],
    ids=["no MAC", "another key", "another call", "cut", "nothing else", "no answer"],
)
def test_nothing_is_read_of_an_answer_that_is_not_of_its_call(kept: bytes) -> None:
    assert read_answer(kept, "a1", KEY) == CHANGED
    assert not CHANGED.kept and CHANGED.changed


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_no_byte_of_an_answer_can_be_changed(place: int, by: int) -> None:
    kept = bytearray(sealed_answer(PAID, "a1", KEY))
    kept[place % len(kept)] ^= by

    assert read_answer(bytes(kept), "a1", KEY) == CHANGED


@pytest.mark.parametrize("size", [10, 6000])
async def test_no_auditor_is_shown_an_answer_that_others_wrote(
    audited: Auditing, size: int
) -> None:
    action = await audited.ended(body=b'{"amount": 900, "note": "%s"}' % (b"x" * size))
    true = await audited.audits.get(action.id)
    assert true is not None and true.answer is not None and true.answer.body == b"paid"

    await audited.forge(action, answer=lambda data: data.replace(b"paid", b"lost"))

    shown = await audited.audits.get(action.id)
    assert shown is not None and shown.answer == CHANGED
    seen = shown_answer(shown, NO_MASKS, ())
    assert seen is not None and seen.visible.startswith("The answer was changed outside")


async def test_no_auditor_is_shown_the_answer_of_another_call(audited: Auditing) -> None:
    one, two = [await audited.ended(body=b'{"amount": %d}' % each) for each in (1, 2)]
    other = (await audited.key("d", two))[b"answer"]

    await audited.forge(one, answer=lambda _: other)

    shown = await audited.audits.get(one.id)
    assert shown is not None and shown.answer == CHANGED


def test_nothing_is_undone_by_an_answer_that_others_wrote() -> None:
    undo = Undo(tool="bank.refund", within="1h", reason="", arguments=(("id", "answer.id"),))
    action = replace(an_action(), state=State.ANSWERED, decision=a_decision(undo=undo))

    assert undoable(replace(action, answer=PAID), undo, 0) == (True, "")
    possible, why = undoable(replace(action, answer=CHANGED), undo, 0)
    assert not possible and why.startswith("The tool's answer was changed in the store")


@pytest.mark.parametrize(
    ("state", "begins"), [(State.ANSWERED, "EXECUTED."), (State.RESPONDED, "NOT EXECUTED.")]
)
def test_a_model_hears_that_the_answer_was_changed(state: State, begins: str) -> None:
    said = sentence(replace(an_action(), state=state, answer=CHANGED))

    assert said.startswith(begins) and "was changed outside Interlock" in said
