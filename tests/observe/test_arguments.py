"""Which log lines there are, and that none of them shows what an agent sent."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace

import pytest

from interlock.core.actions import Review, ToolCall, Verdict
from interlock.core.digest import seal
from interlock.granting import GrantAsked
from interlock.notify.log import Notifier
from interlock.observe.log import TransitionLog
from interlock.observe.logging import configure, hide_secrets
from interlock.ports import Notice
from interlock.store.redis import RedisStore
from tests.support.builders import ANN, a_call
from tests.support.fakes import World, a_policy

CANARIES = ("canary-query", "canary-body", "canary-header", "canary-reason", "canary-task")
GRANTED = """
approvals:
  grants: [{tools: [bank.pay], at_most: notify, longest: 1h, uses: 9}]
redact:
  approver: [args.to]
  logs: [args.to, request.headers.x-note]
  detectors: [iban, card_number, bearer_token]
"""


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize("how", ["text", "json"])
async def test_no_log_line_shows_an_argument_a_header_or_a_body(
    store: RedisStore, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    configure("debug", how)
    notifier = Notifier("http://127.0.0.1:8081")
    policy = a_policy(GRANTED)
    world = World(store, policy=policy, observers=[TransitionLog()], notifiers=[notifier])
    hide_secrets(lambda: world.gate.policy.redact.detectors)
    body = json.dumps({"amount": 9, "memo": "canary-body"}).encode()
    held = await world.gate.submit(a_paying(body))
    review = Review(
        reviewer=ANN,
        verdict=Verdict.APPROVE,
        digest=held.action.digest,
        version=held.action.version,
        message="canary-task",
    )
    await world.gate.review(
        held.action.id, review, grant=GrantAsked(uses=1, seconds=60, reason="canary-reason")
    )
    await world.quiet()
    for why in Notice:
        await notifier.notify(held.action, why)
    await world.gate.take_back((await world.gate.grants())[0].id, "ann")

    said = capsys.readouterr().err
    assert "waits for approval" in said and "taken back" in said and "-> answered" in said
    assert [canary for canary in CANARIES if canary in said] == []


def a_paying(body: bytes) -> ToolCall:
    call = a_call(target="/pay?to=canary-query", body=body)
    context = replace(call.context, reason="canary-reason", task="canary-task")
    headers = (*call.headers, ("X-Note", "canary-header"))
    return seal(replace(call, headers=headers, context=context))
