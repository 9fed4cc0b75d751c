"""A call that was drawn is audited however it ended, once it may have been sent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from interlock.core.actions import Action, Answer, State
from interlock.core.errors import UpstreamLost, UpstreamUnreachable
from interlock.core.events import Answered
from interlock.core.lifecycle import step
from interlock.core.records import label_of
from interlock.observe.archive_merging import merged
from interlock.store.redis import RedisStore

from .test_audits import NOT_DRAWN, WRONG, Auditing

LARGE = b'{"amount": 900, "note": "%s"}' % (b"x" * 6000)


@pytest.fixture
async def audited(store: RedisStore) -> AsyncIterator[Auditing]:
    made = Auditing(store)
    yield made
    await made.feed.close()


async def lost(audited: Auditing, **call: Any) -> Action:
    audited.world.tool.fails = [UpstreamLost("cut")]
    action = await audited.ended(**call)
    assert action.state is State.UNKNOWN
    return action


async def waiting(audited: Auditing) -> list[str]:
    found, _ = await audited.audits.waiting(None, 10)
    assert len(found) == await audited.audits.count()
    return [each.id for each in found]


@pytest.mark.parametrize("body", [b'{"amount": 900}', LARGE], ids=["small", "large"])
async def test_a_drawn_call_whose_outcome_is_unknown_waits_for_an_auditor(
    audited: Auditing, body: bytes
) -> None:
    """Else an agent that takes back what it sent would choose what is never looked at."""
    action = await lost(audited, body=body)

    assert await waiting(audited) == [action.id]
    found = await audited.audits.get(action.id)
    assert found is not None
    assert (found.call.body, found.state, found.answer) == (body, State.UNKNOWN, None)
    assert await audited.audits.judge(action.id, WRONG)
    assert await waiting(audited) == []
    record = merged_record(await audited.records(), action.id)
    label = label_of(record)
    assert label is not None and (label.right, label.weight) == (False, 10)


def merged_record(records: list[Any], name: str) -> Any:
    return merged({}, records).changed[name]


async def test_it_waits_once_and_stays_judged_when_a_person_settles_it(audited: Auditing) -> None:
    first, second = await lost(audited), await lost(audited, body=LARGE)
    assert await audited.audits.judge(first.id, WRONG)

    for each in (first, second):
        await audited.world.gate.resolve(each.id, "ann@example.com", True, "I saw it")

    assert await waiting(audited) == [second.id]
    assert not await audited.audits.judge(first.id, WRONG)
    found = await audited.audits.get(second.id)
    assert found is not None and found.state is State.RESOLVED
    assert await audited.audits.judge(second.id, WRONG)


async def test_an_answer_that_comes_late_is_shown_to_its_auditor(audited: Auditing) -> None:
    action = await lost(audited)
    answer = Answer(status=200, body=b"paid after all")

    event = Answered(at=await audited.store.now(), answer=answer)
    after, _ = step(action, event)
    await audited.world.gate.recorder.put(action, event, after, action.nonce)

    assert await waiting(audited) == [action.id]
    found = await audited.audits.get(action.id)
    assert found is not None and found.state is State.ANSWERED
    assert found.answer is not None and found.answer.body == b"paid after all"


async def test_what_was_never_sent_and_what_was_not_drawn_wait_for_nobody(
    audited: Auditing,
) -> None:
    audited.world.tool.fails = [UpstreamUnreachable("closed")]
    assert (await audited.ended(body=LARGE)).state is State.CANCELLED
    await lost(audited, drawn=NOT_DRAWN)
    assert await waiting(audited) == []
