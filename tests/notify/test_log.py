from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import pytest

from interlock.core.actions import Action
from interlock.core.decisions import Decision, Escalation, Level
from interlock.core.desk import Assignment
from interlock.notify.log import Notifier, line
from interlock.ports import Notice
from interlock.store.redis import RedisStore
from tests.support.builders import a_call, a_decision, an_action
from tests.support.fakes import World

URL = "http://127.0.0.1:8081"


def said_of(action: Action, decision: Decision, why: Notice) -> str:
    return line(replace(action, decision=decision), decision, why, URL)


async def test_people_are_told_what_waits_and_where_to_decide_it(
    store: RedisStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "interlock.notify")
    world = World(store, notifiers=[Notifier("http://127.0.0.1:8081/")])
    held = await world.held(Level.APPROVE_DUAL)
    await world.ask(Level.NOTIFY)
    await world.quiet()

    waits, passed = (record.getMessage() for record in caplog.records)
    assert f"http://127.0.0.1:8081/review/{held.id}" in waits and "by 2 people" in waits
    assert "for your notice" in passed


@pytest.mark.parametrize(
    ("why", "said"),
    [
        (Notice.HELD, "bank.pay waits for approval of ops, leads (high stake, compensable): "),
        (Notice.REMINDER, "bank.pay still waits for approval of ops, leads"),
        (Notice.ESCALATED, "more people may decide (high stake, compensable; after 15 min cfo)"),
        (Notice.SENT, "bank.pay was let through, for the notice of desk"),
    ],
)
def test_each_line_says_why_and_to_whom(why: Notice, said: str) -> None:
    decision = a_decision(
        approvers=("ops", "leads"),
        notify=("desk",) if why is Notice.SENT else ("ops", "leads"),
        escalate=(Escalation(after_ms=900_000, to=("cfo",)),),
    )
    assert said in said_of(an_action(), decision, why)


async def test_a_line_names_who_is_asked(caplog: pytest.LogCaptureFixture) -> None:
    class Desk:
        async def assigned(self, action_ids: Sequence[str]) -> tuple[Assignment | None, ...]:
            return (Assignment(to="bob", by="ann", at=1),)

    caplog.set_level(logging.INFO, "interlock.notify")
    action = replace(an_action(), decision=a_decision())
    await Notifier(URL, Desk()).notify(action, Notice.ASKED)
    await Notifier(URL).notify(action, Notice.ASKED)
    named, unnamed = (record.getMessage() for record in caplog.records)
    assert "bank.pay waits, and bob is asked to decide it" in named
    assert "and somebody is asked" in unnamed


@pytest.mark.parametrize("why", Notice)
def test_no_line_shows_an_argument(why: Notice) -> None:
    call = a_call(target="/pay?to=canary-one", body=b'{"amount": 900, "memo": "canary-two"}')
    arguments = {"to": "canary-one", "memo": "canary-two"}
    decision = a_decision(
        arguments=arguments, sources={"to": "query", "memo": "json"}, redacted=("to", "memo")
    )
    assert "canary" not in said_of(an_action(call), decision, why)


def test_a_call_in_no_entry_is_named_by_its_path_as_far_as_that_may_be_shown() -> None:
    action = an_action(a_call(target="/to/DE4711471147/pay"))
    unknown = a_decision(tool="", arguments={}, sources={})
    assert "POST /to/DE4711471147/pay waits" in said_of(action, unknown, Notice.HELD)
    hidden = replace(
        unknown, arguments={"a": "DE4711471147"}, sources={"a": "path"}, redacted=("a",)
    )
    assert "POST /to/…1147/pay waits" in said_of(action, hidden, Notice.HELD)
    elsewhere = replace(hidden, arguments={"a": "written otherwise"})
    assert "POST (hidden) waits" in said_of(action, elsewhere, Notice.HELD)
