"""Decisions by buttons in Slack: proven, acknowledged first, and no wider than the API's."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from interlock.approvals.channels import TASKS
from interlock.approvals.slack import SlackDoor
from interlock.core import tickets
from interlock.core.actions import Action, Reviewer, State
from interlock.core.desk import Suspension
from interlock.core.identity import Kind
from interlock.core.rules import Redact
from interlock.core.tickets import Ticket
from interlock.notify.slack import Slack as Channel
from interlock.notify.slack import SlackWay
from interlock.notify.slack_blocks import APPROVE, OPEN, REJECT
from interlock.notify.telling import told
from interlock.ports import Notice
from interlock.store.channel_notes import RedisChannelNotes
from tests.support.slack import (
    APP,
    CHANNEL,
    SECRET,
    TEAM,
    TOKEN,
    Message,
    NotAcknowledged,
    Refusal,
    Slack,
    signed,
)

from .world import UPSTREAMS, FixedClock, World, a_call

KEY = b"k" * 32
ANN, BOB, OLGA, MALLORY = "U0ANN", "U0BOB", "U0OLGA", "U0MALLORY"
PEOPLE = {
    ANN: Reviewer(id="ann", groups=frozenset({"ops"})),
    BOB: Reviewer(id="bob", groups=frozenset({"interns"})),
    OLGA: Reviewer(id="olga", groups=frozenset({"ops"})),
}
NOW = FixedClock.now / 1000
MAIL = a_call(
    "mail", target="/messages", body=b'{"to": "kim@example.com", "body": "Lunch at one?"}'
)


@pytest.fixture
def slack() -> Iterator[Slack]:
    slack = Slack()
    yield slack
    slack.stop()


@dataclass
class Chat:
    """The people's side, and a Slack in which its held calls are told and decided."""

    world: World
    slack: Slack
    channel: Channel

    async def hold(self, call: Any = MAIL) -> tuple[Action, Message]:
        action = await self.world.hold(call)
        await self.channel.send(told(action, Notice.HELD, self.world.deps.url))
        return action, self.slack.held()

    async def post(self, payload: dict[str, Any], at: float = NOW, **more: Any) -> httpx.Response:
        return await asyncio.to_thread(self.slack.deliver, payload, at, **more)

    async def press(self, message: Message, name: str, user: str = ANN, **more: Any) -> None:
        answer = await self.post(self.slack.pressed(message, name, user, **more))
        assert (answer.status_code, answer.text) == (200, "")

    async def until(self, what: Callable[[], bool], name: str) -> None:
        await asyncio.to_thread(self.slack.wait, what, name)

    async def whispered(self) -> str:
        """Return what the last person was told, once they are."""
        before = len(self.slack.whispers)
        await self.until(lambda: len(self.slack.whispers) > 0, "an answer")
        assert before <= len(self.slack.whispers)
        said = self.slack.whispers[-1]
        assert said["response_type"] == "ephemeral" and said["replace_original"] is False
        return str(said["text"])

    async def nothing_happened(self, action: Action) -> None:
        await self.quiet()
        after = await self.world.now(action)
        assert (after.state, after.version) == (State.HELD, action.version)
        assert not self.world.tool.calls

    async def quiet(self) -> None:
        await self.world.server.app[TASKS].drain(10)

    def counted(self, why: str) -> bool:
        said = f'interlock_channel_presses_refused_total{{channel="slack",why="{why}"}} 1.0'
        return said in self.world.metrics.render().decode()


@pytest.fixture
async def chat(world: World, slack: Slack) -> AsyncIterator[Chat]:
    notes = RedisChannelNotes(world.store.client, prefix=world.store._prefix[1:-1])
    way = SlackWay(
        token=TOKEN,
        channel=CHANNEL,
        url=world.deps.url,
        api_url=slack.api_url,
        key=KEY,
        decides=True,
        approve=True,
        arguments=True,
        upstreams=UPSTREAMS,
    )
    channel = Channel(way, world.gate, notes)
    door = SlackDoor(
        secret=SECRET,
        key=KEY,
        app=APP,
        team=TEAM,
        people=PEOPLE,
        talk=channel,
        clock=world.clock,
    )
    object.__setattr__(world.deps, "slack", door)
    object.__setattr__(world.deps, "channel_refused", world.metrics.channel_refused)
    slack.interactions = f"{world.url}/v1/channels/slack"
    yield Chat(world, slack, channel)
    await channel.close()


# deciding ---------------------------------------------------------------------------------------


async def test_a_press_of_approve_sends_the_call_once_and_says_who_approved(chat: Chat) -> None:
    action, message = await chat.hold()
    await chat.press(message, APPROVE)
    await chat.quiet()
    after = await chat.world.settled(action)
    assert after.state is State.ANSWERED and len(chat.world.tool.calls) == 1
    assert after.reviews[0].reviewer.id == "ann"
    assert "Approved by ann" in message.text and list(message.buttons) == [OPEN]


async def test_a_second_press_is_answered_with_who_decided(chat: Chat) -> None:
    action, message = await chat.hold()
    late = chat.slack.pressed(message, APPROVE, BOB)
    await chat.press(message, APPROVE)
    await chat.quiet()
    await chat.world.settled(action)
    await chat.post(late)
    assert "Already decided. ann:" in await chat.whispered()
    assert len(chat.world.tool.calls) == 1


async def test_the_same_post_twice_decides_once(chat: Chat) -> None:
    action, message = await chat.hold()
    payload = chat.slack.pressed(message, APPROVE, ANN)
    await chat.post(payload)
    await chat.post(payload)
    await chat.quiet()
    assert (await chat.world.settled(action)).state is State.ANSWERED
    assert len(chat.world.tool.calls) == 1


async def test_reject_asks_why_and_then_rejects(chat: Chat) -> None:
    action, message = await chat.hold()
    await chat.press(message, REJECT)
    await chat.until(lambda: bool(chat.slack.views), "a form")
    [view] = chat.slack.views
    answer = await chat.post(chat.slack.submitted(view, ANN, "Ask Kim in person.", "needs_context"))
    assert (answer.status_code, answer.text) == (200, "")
    await chat.quiet()
    after = await chat.world.now(action)
    assert after.state is State.REJECTED and after.cause == "Ask Kim in person."
    assert after.reviews[0].reason_code == "needs_context"
    assert "Rejected by ann" in message.text and "Ask Kim in person." in message.text
    assert list(message.buttons) == [OPEN] and not chat.world.tool.calls


async def test_a_preset_reason_is_reason_enough(chat: Chat) -> None:
    action, message = await chat.hold()
    await chat.press(message, REJECT)
    await chat.until(lambda: bool(chat.slack.views), "a form")
    await chat.post(chat.slack.submitted(chat.slack.views[0], ANN, code="duplicate"))
    await chat.quiet()
    assert (await chat.world.now(action)).cause == "Already done"


async def test_a_form_without_a_needed_reason_stays_open(chat: Chat) -> None:
    action, message = await chat.hold()
    await chat.press(message, REJECT)
    await chat.until(lambda: bool(chat.slack.views), "a form")
    answer = await chat.post(chat.slack.submitted(chat.slack.views[0], ANN, "  "))
    assert answer.json()["response_action"] == "errors"
    await chat.nothing_happened(action)


async def test_a_press_after_a_decision_on_the_page_finds_the_message_mended(chat: Chat) -> None:
    action, message = await chat.hold()
    stale = chat.slack.pressed(message, APPROVE, ANN)
    key = await chat.world.key(Kind.APPROVER, "carl")
    assert (await chat.world.decide(action, key, type="reject", message="no")).status == 200
    await chat.post(stale)
    assert "Already decided. carl: rejected" in await chat.whispered()
    assert "Rejected by carl" in message.text and not chat.world.tool.calls


async def test_a_link_button_posts_too_and_does_nothing(chat: Chat) -> None:
    action, message = await chat.hold()
    await chat.press(message, OPEN)
    await chat.nothing_happened(action)
    assert not chat.slack.whispers


async def test_slack_asks_whether_the_address_listens(chat: Chat) -> None:
    body = json.dumps({"type": "url_verification", "challenge": "c4na"}).encode()
    headers = signed(body, NOW) | {"Content-Type": "application/json"}
    answer = await chat.world.ask("POST", "/v1/channels/slack", headers=headers, data=body)
    assert (answer.status, await answer.text()) == (200, "c4na")


# who may ----------------------------------------------------------------------------------------


async def test_somebody_who_is_nobody_here_is_sent_to_the_page(chat: Chat) -> None:
    action, message = await chat.hold()
    await chat.press(message, APPROVE, MALLORY)
    assert "You may not decide here" in await chat.whispered()
    await chat.nothing_happened(action)
    assert chat.counted("person")


@pytest.mark.parametrize(("user", "why"), [(BOB, "Only ops may decide"), (OLGA, "You own this")])
@pytest.mark.parametrize("name", [APPROVE, REJECT])
async def test_policy_says_who_may_decide_as_everywhere(
    chat: Chat, user: str, why: str, name: str
) -> None:
    action, message = await chat.hold()
    await chat.press(message, name, user)
    assert why in await chat.whispered()
    await chat.nothing_happened(action)
    assert not chat.slack.views and chat.counted("rights")


async def test_only_who_opened_a_form_can_send_it_off(chat: Chat) -> None:
    action, message = await chat.hold()
    await chat.press(message, REJECT)
    await chat.until(lambda: bool(chat.slack.views), "a form")
    await chat.post(chat.slack.submitted(chat.slack.views[0], OLGA, "mine"))
    assert "does not belong" in await chat.whispered()
    await chat.nothing_happened(action)
    assert chat.counted("ticket")


# what is forged ---------------------------------------------------------------------------------


async def test_what_slack_did_not_sign_is_refused(
    chat: Chat, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "interlock.audit")
    action, message = await chat.hold()
    payload = chat.slack.pressed(message, APPROVE, ANN)
    answer = await chat.post(payload, secret="another secret")
    assert answer.status_code == 403
    await chat.nothing_happened(action)
    assert chat.counted("signature") and "a press in Slack was refused: signature" in caplog.text


@pytest.mark.parametrize("seconds", [-301, 301, -86_400])
async def test_what_is_old_or_of_the_future_is_refused(chat: Chat, seconds: int) -> None:
    action, message = await chat.hold()
    answer = await chat.post(chat.slack.pressed(message, APPROVE, ANN), NOW + seconds)
    assert answer.status_code == 403
    await chat.nothing_happened(action)
    assert chat.counted("old")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"api_app_id": "A0OTHER"}, "app"),
        ({"team": {"id": "T0OTHER"}}, "team"),
        ({"team": None}, "team"),
        ({"user": {"id": ANN, "team_id": "T0OTHER"}}, "team"),
    ],
)
async def test_other_apps_and_workspaces_are_refused(
    chat: Chat, change: dict[str, Any], why: str
) -> None:
    action, message = await chat.hold()
    answer = await chat.post(chat.slack.pressed(message, APPROVE, ANN) | change)
    assert answer.status_code == 403
    await chat.nothing_happened(action)
    assert chat.counted(why)


def changed(payload: dict[str, Any], **parts: Any) -> dict[str, Any]:
    """Return a press whose button says something else."""
    [button] = payload["actions"]
    return payload | {"actions": [button | parts]}


async def test_a_tampered_button_decides_nothing(chat: Chat) -> None:
    action, message = await chat.hold()
    value = message.buttons[REJECT]["value"].replace(".reject.", ".approve.")
    await chat.post(changed(chat.slack.pressed(message, APPROVE, ANN), value=value))
    assert "does not belong" in await chat.whispered()
    await chat.nothing_happened(action)
    assert chat.counted("ticket")


async def test_a_reject_button_cannot_pass_for_an_approval(chat: Chat) -> None:
    action, message = await chat.hold()
    value = message.buttons[REJECT]["value"]
    await chat.post(changed(chat.slack.pressed(message, APPROVE, ANN), value=value))
    assert "does not belong" in await chat.whispered()
    await chat.nothing_happened(action)


async def test_the_button_of_another_call_decides_nothing(chat: Chat) -> None:
    other, first = await chat.hold()
    action, second = await chat.hold(
        a_call("mail", target="/messages", body=b'{"to": "x@example.com", "body": "Hi"}')
    )
    value = first.buttons[APPROVE]["value"]
    await chat.post(changed(chat.slack.pressed(second, APPROVE, ANN), value=value))
    assert "does not belong" in await chat.whispered()
    await chat.nothing_happened(action)
    await chat.nothing_happened(other)


async def test_a_button_of_another_key_or_of_an_old_version_decides_nothing(chat: Chat) -> None:
    action, message = await chat.hold()
    ticket = tickets.read(message.buttons[APPROVE]["value"], KEY)
    assert ticket is not None
    for forged in (
        tickets.written(ticket, b"o" * 32),
        tickets.written(replace(ticket, version=ticket.version + 1), KEY),
        tickets.written(replace(ticket, digest="0" * 64), KEY),
        tickets.written(replace(ticket, channel="teams"), KEY),
        tickets.written(replace(ticket, holder=ANN), KEY),
    ):
        await chat.post(changed(chat.slack.pressed(message, APPROVE, ANN), value=forged))
        await chat.nothing_happened(action)
    assert len(chat.slack.whispers) == 5


async def test_a_button_is_worth_nothing_once_the_deadline_has_passed(chat: Chat) -> None:
    action, message = await chat.hold()
    ticket = tickets.read(message.buttons[APPROVE]["value"], KEY)
    assert isinstance(ticket, Ticket)
    over = tickets.written(replace(ticket, expires=1), KEY)
    await chat.post(changed(chat.slack.pressed(message, APPROVE, ANN), value=over))
    assert "time to decide is over" in await chat.whispered()
    await chat.nothing_happened(action)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"payload=",
        b"payload={}&payload={}",
        b"payload=%7B",
        b"payload=[]",
        urlencode({"payload": json.dumps({"type": "block_actions"})}).encode(),
        b"\xff\xfe",
        b"payload=" + b"[" * 100_000,
    ],
    ids=["nothing", "empty", "twice", "broken", "a list", "bare", "bytes", "deep"],
)
async def test_what_is_signed_and_makes_no_sense_is_refused(chat: Chat, body: bytes) -> None:
    headers = signed(body, NOW) | {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await chat.world.ask("POST", "/v1/channels/slack", headers=headers, data=body)
    assert answer.status in (400, 403)


async def test_a_large_post_is_not_read(chat: Chat) -> None:
    body = b"x" * (600 * 1024)
    answer = await chat.world.ask(
        "POST", "/v1/channels/slack", headers=signed(body, NOW), data=body
    )
    assert answer.status == 413


async def test_a_link_preview_decides_nothing(chat: Chat) -> None:
    action, _ = await chat.hold()
    answer = await chat.world.ask("GET", "/v1/channels/slack")
    assert answer.status == 405
    await chat.nothing_happened(action)


async def test_without_slack_nobody_listens(world: World) -> None:
    answer = await world.ask("POST", "/v1/channels/slack", data={"payload": "{}"})
    assert answer.status == 404


async def test_another_sites_page_cannot_post_for_slack(chat: Chat) -> None:
    action, message = await chat.hold()
    body = urlencode({"payload": json.dumps(chat.slack.pressed(message, APPROVE, ANN))}).encode()
    headers = signed(body, NOW) | {"Origin": "https://evil.example"}
    headers |= {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await chat.world.ask("POST", "/v1/channels/slack", headers=headers, data=body)
    assert answer.status == 403
    await chat.nothing_happened(action)


# when Slack is slow or rude ---------------------------------------------------------------------


async def test_an_answer_elsewhere_than_to_slack_is_not_given(
    chat: Chat, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "interlock.notify")
    _, message = await chat.hold()
    await chat.press(message, APPROVE, MALLORY, response_url="http://127.0.0.1:1/internal")
    await chat.quiet()
    assert "not Slack's" in caplog.text and not chat.slack.whispers


async def test_a_form_that_slack_does_not_open_is_said_to_be_missing(chat: Chat) -> None:
    action, message = await chat.hold()
    chat.slack.fails("views.open", Refusal(error="expired_trigger_id"))
    await chat.press(message, REJECT)
    assert "did not open the form" in await chat.whispered()
    await chat.nothing_happened(action)


async def test_a_decision_stands_where_slack_does_not_show_it(chat: Chat) -> None:
    action, message = await chat.hold()
    chat.slack.fails("chat.update", Refusal(status=500))
    await chat.press(message, APPROVE)
    await chat.quiet()
    assert (await chat.world.settled(action)).state is State.ANSWERED
    assert APPROVE in message.buttons  # the notice that it is settled mends it later


async def test_slack_is_acknowledged_before_it_is_spoken_to(chat: Chat) -> None:
    """The local Slack answers nothing while a post is under way; here it is seen to say so."""
    _, message = await chat.hold()
    chat.slack.interactions = f"{chat.slack.url}/a-receiver-that-waits-for-slack"
    with pytest.raises(NotAcknowledged):
        await asyncio.to_thread(
            chat.slack.deliver, chat.slack.pressed(message, APPROVE, ANN), NOW, patience=0.2
        )


# what has changed since the message was drawn ---------------------------------------------------


async def test_a_button_that_would_not_be_drawn_any_more_decides_nothing(chat: Chat) -> None:
    action, message = await chat.hold()
    chat.channel._settings = replace(chat.channel._settings, approve=False)
    await chat.press(message, APPROVE)
    assert "not approved in Slack any more" in await chat.whispered()
    await chat.nothing_happened(action)
    assert list(message.buttons) == [OPEN, REJECT]


async def test_what_policy_hides_by_now_is_not_approved_in_slack(chat: Chat) -> None:
    action, message = await chat.hold()
    gate: Any = chat.world.gate
    gate.policy = replace(gate.policy, redact=Redact(approver=("args.body",)))
    await chat.press(message, APPROVE)
    assert "not approved in Slack any more" in await chat.whispered()
    await chat.nothing_happened(action)
    assert "Lunch at one?" not in message.text


async def test_what_todays_policy_asks_more_for_is_not_approved_in_slack(chat: Chat) -> None:
    action, message = await chat.hold()
    gate: Any = chat.world.gate
    careful = replace(gate.policy.levels.approve, dwell_ms=5000)
    gate.policy = replace(gate.policy, levels=replace(gate.policy.levels, approve=careful))
    await chat.press(message, APPROVE)
    assert "not approved in Slack any more" in await chat.whispered()
    await chat.nothing_happened(action)


async def test_a_stopped_agents_call_is_not_approved_and_may_be_rejected(chat: Chat) -> None:
    action, message = await chat.hold()
    stop = Suspension(agent="billing-bot", by="root", reason="It loops.", at=1)
    await chat.world.deps.desk.suspend(stop)
    await chat.press(message, APPROVE)
    said = await chat.whispered()
    assert "stopped by root" in said and said.count("Nothing was decided.") == 1
    await chat.nothing_happened(action)
    await chat.press(message, REJECT)
    await chat.until(lambda: bool(chat.slack.views), "a form")
    await chat.post(chat.slack.submitted(chat.slack.views[0], ANN, "It loops."))
    await chat.quiet()
    assert (await chat.world.now(action)).state is State.REJECTED


async def test_how_much_one_person_approves_in_an_hour_holds_in_slack(chat: Chat) -> None:
    gate: Any = chat.world.gate
    gate.policy = replace(gate.policy, attention=replace(gate.policy.attention, per_hour=1))
    _, first = await chat.hold()
    await chat.press(first, APPROVE)
    await chat.quiet()
    other = a_call("mail", target="/messages", body=b'{"to": "x@example.com", "body": "Hi"}')
    action, second = await chat.hold(other)
    await chat.press(second, APPROVE)
    said = await chat.whispered()
    assert "as many as policy lets one person approve" in said
    after = await chat.world.now(action)
    assert after.state is State.HELD and len(chat.world.tool.calls) == 1


async def test_a_practice_call_is_told_of_to_who_decided_it_and_to_nobody_else(chat: Chat) -> None:
    real, _ = await chat.hold()
    other = a_call("mail", target="/messages", body=b'{"to": "x@example.com", "body": "Hi"}')
    assert real.decision is not None
    action = await chat.world.gate.plant(other, real.decision, real.id)
    await chat.channel.send(told(action, Notice.HELD, chat.world.deps.url))
    message = chat.slack.held(2)
    assert "ractice" not in message.text and APPROVE in message.buttons
    await chat.press(message, APPROVE)
    assert "You approved it; nothing was sent." in await chat.whispered()
    await chat.quiet()
    assert (await chat.world.now(action)).state is State.CANCELLED and not chat.world.tool.calls
    assert "Cancelled, never sent." in message.text
    assert "ractice" not in message.text and "ann" not in message.text
