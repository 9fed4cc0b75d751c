"""The channel to Slack, before a local Slack that speaks its protocol and keeps its limits."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from interlock.core import tickets
from interlock.core.actions import Action, Verdict
from interlock.core.decisions import Level
from interlock.core.rules import Redact
from interlock.notify.channel import Undelivered
from interlock.notify.slack import Slack as Channel
from interlock.notify.slack import SlackWay
from interlock.notify.slack_api import SlackApi
from interlock.notify.slack_blocks import APPROVE, OPEN, REJECT
from interlock.notify.telling import Digest, sample, told
from interlock.ports import Notice
from interlock.store.channel_notes import RedisChannelNotes
from interlock.store.redis import RedisStore
from tests.support.fakes import World
from tests.support.slack import CHANNEL, TOKEN, Refusal, Slack

KEY = b"k" * 32
URL = "https://interlock.example.com"


@pytest.fixture
def slack() -> Iterator[Slack]:
    slack = Slack()
    yield slack
    slack.stop()


@dataclass
class Desk:
    """A gate, and the channel that tells people of what it holds."""

    world: World
    channel: Channel
    slack: Slack

    async def tell(self, action: Action, why: Notice = Notice.HELD) -> None:
        await self.channel.send(told(action, why, URL))

    def way(self, **changes: Any) -> None:
        self.channel._settings = replace(self.channel._settings, **changes)


@pytest.fixture
async def desk(store: RedisStore, slack: Slack) -> AsyncIterator[Desk]:
    world = World(store)
    notes = RedisChannelNotes(store.client, prefix=store._prefix[1:-1])
    way = SlackWay(
        token=TOKEN,
        channel=CHANNEL,
        url=URL,
        api_url=slack.api_url,
        key=KEY,
        decides=True,
        approve=True,
        arguments=True,
        upstreams={"bank": "https://api.bank.example"},
    )
    channel = Channel(way, world.gate, notes)
    yield Desk(world, channel, slack)
    await channel.close()


async def test_a_held_call_is_one_message_with_the_whole_request_and_its_buttons(
    desk: Desk, slack: Slack
) -> None:
    action = await desk.world.held()
    await desk.tell(action)
    message = slack.held()
    assert list(message.buttons) == [OPEN, REJECT, APPROVE]
    assert "POST https://api.bank.example/" in message.text and '{"amount": 900}' in message.text
    ticket = tickets.read(message.buttons[APPROVE]["value"], KEY)
    assert ticket is not None
    seen = (ticket.action, ticket.version, ticket.digest, ticket.verdict, ticket.expires)
    assert seen == (action.id, action.version, action.digest, "approve", action.deadline)


async def test_the_same_notice_twice_is_still_one_message(desk: Desk, slack: Slack) -> None:
    action = await desk.world.held()
    await desk.tell(action)
    await desk.tell(action)
    assert len(slack.messages) == 1 and slack.held().edits == 1


async def test_a_decision_takes_the_buttons_away_and_says_who_decided(
    desk: Desk, slack: Slack
) -> None:
    action = await desk.world.held()
    await desk.tell(action)
    after = await desk.world.says(action, verdict=Verdict.REJECT)
    await desk.tell(after, Notice.SETTLED)
    message = slack.held()
    assert list(message.buttons) == [OPEN]
    assert "Rejected by ann" in message.text and "looked at it" in message.text
    assert len(slack.messages) == 1


async def test_another_process_finds_the_message(desk: Desk, slack: Slack) -> None:
    action = await desk.world.held()
    await desk.tell(action)
    other = Channel(desk.channel._settings, desk.world.gate, desk.channel._notes)
    await desk.world.says(action, verdict=Verdict.REJECT)
    await other.redraw(action.id)
    await other.close()
    assert "Rejected by ann" in slack.held().text


async def test_a_notice_that_comes_late_shows_the_call_as_it_is_now(
    desk: Desk, slack: Slack
) -> None:
    action = await desk.world.held()
    said = told(action, Notice.HELD, URL)
    await desk.channel.send(said)
    await desk.world.says(action, verdict=Verdict.REJECT)
    await desk.channel.send(said)
    assert "Rejected by ann" in slack.held().text and list(slack.held().buttons) == [OPEN]


async def test_of_what_was_decided_before_it_was_told_nothing_is_said(
    desk: Desk, slack: Slack
) -> None:
    action = await desk.world.held()
    await desk.world.says(action, verdict=Verdict.REJECT)
    await desk.tell(action)
    await desk.tell(await desk.world.now(action), Notice.SETTLED)
    assert not slack.messages


async def test_a_reminder_is_said_in_the_thread_and_in_the_channel(
    desk: Desk, slack: Slack
) -> None:
    action = await desk.world.held()
    await desk.tell(action)
    await desk.tell(action, Notice.REMINDER)
    first, second = slack.messages.values()
    assert second.content["thread_ts"] == first.ts and second.content["reply_broadcast"]
    assert list(second.buttons) == [OPEN] and "still waits" in second.text


async def test_what_was_let_through_is_told_without_a_decision(desk: Desk, slack: Slack) -> None:
    action = (await desk.world.ask(Level.NOTIFY)).action
    await desk.tell(action, Notice.SENT)
    assert list(slack.held().buttons) == [OPEN]
    assert "was let through" in slack.held().text


async def test_a_test_and_a_digest_reach_the_channel(desk: Desk, slack: Slack) -> None:
    await desk.channel.send(sample(URL, "k"))
    assert "This is a test" in slack.held().text
    action = (await desk.world.ask(Level.NOTIFY)).action
    each = told(action, Notice.SENT, URL)
    await desk.channel.send_digest(Digest(key="d", told=(each,), more=0, since=0, until=1))
    assert "1 call let through" in slack.held(2).text


# the Approve button --------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{"approve": False}, {"decides": False}])
async def test_there_is_no_approve_button_where_settings_do_not_ask_for_it(
    desk: Desk, slack: Slack, change: dict[str, bool]
) -> None:
    desk.way(**change)
    await desk.tell(await desk.world.held())
    assert APPROVE not in slack.held().buttons
    assert (REJECT in slack.held().buttons) is ("approve" in change)


async def test_what_two_people_have_to_approve_is_not_approved_in_slack(
    desk: Desk, slack: Slack
) -> None:
    await desk.tell(await desk.world.held(Level.APPROVE_DUAL))
    assert list(slack.held().buttons) == [OPEN, REJECT]


async def test_what_hides_something_is_not_approved_in_slack(desk: Desk, slack: Slack) -> None:
    action = await desk.world.held()
    gate = desk.world.gate
    gate.policy = replace(gate.policy, redact=Redact(approver=("args.amount",)))
    await desk.tell(action)
    assert list(slack.held().buttons) == [OPEN, REJECT]
    assert "900" not in slack.held().text


@pytest.mark.parametrize(
    "change",
    [
        {"dwell_ms": 1},
        {"step_up": True},
        {"folded": True},
        {"require_reason": frozenset({"approve", "reject"})},
        {"quorum": 2},
        {"redacted": ("amount",)},
        {"tool": ""},
        {"indeterminate": True},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_what_asks_for_more_than_one_press_is_for_the_page(
    desk: Desk, change: dict[str, Any]
) -> None:
    action = await desk.world.held()
    assert action.decision is not None
    more = replace(action, decision=replace(action.decision, **change))
    desk.world.gate.genuine = lambda action: True  # type: ignore[method-assign]
    said = desk.channel._told(more, Notice.HELD, ())
    buttons = desk.channel._buttons(more, said)
    assert buttons.reject and not buttons.approve and buttons.request == ("", "")


async def test_a_record_that_was_changed_in_the_store_has_no_buttons(
    desk: Desk, slack: Slack
) -> None:
    action = await desk.world.held()
    record = json.loads((await desk.world.raw(action))[b"rec"])
    record["decision"]["quorum"] = 9
    await desk.world.forge(action, rec=json.dumps(record))
    await desk.tell(action)
    assert list(slack.held().buttons) == [OPEN]


# when Slack does not take it ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("refusal", "retry", "after"),
    [
        (Refusal(status=429, headers={"Retry-After": "30"}), True, 30.0),
        (Refusal(status=503), True, None),
        (Refusal(status=302, headers={"Location": "http://127.0.0.1:1/"}), False, None),
        (Refusal(error="ratelimited"), True, None),
        (Refusal(error="invalid_auth"), False, None),
        (Refusal(error="not_in_channel"), False, None),
    ],
)
async def test_what_slack_does_not_take_is_undelivered(
    desk: Desk, slack: Slack, refusal: Refusal, retry: bool, after: float | None
) -> None:
    slack.fails("chat.postMessage", refusal)
    action = await desk.world.held()
    with pytest.raises(Undelivered) as caught:
        await desk.tell(action)
    assert (caught.value.retry, caught.value.after) == (retry, after)
    assert TOKEN not in caught.value.why and slack.url not in caught.value.why
    await desk.tell(action)
    assert len(slack.messages) == 1


async def test_nobody_at_the_other_end_is_tried_again(desk: Desk, slack: Slack) -> None:
    slack.stop()
    with pytest.raises(Undelivered) as caught:
        await desk.tell(await desk.world.held())
    assert caught.value.retry and TOKEN not in caught.value.why


async def test_blocks_that_slack_refuses_are_told_in_fewer(desk: Desk, slack: Slack) -> None:
    slack.fails("chat.postMessage", Refusal(error="invalid_blocks"))
    await desk.tell(await desk.world.held())
    assert list(slack.held().buttons) == [OPEN, REJECT] and "900" not in slack.held().text


async def test_a_message_that_was_taken_down_is_written_again_only_while_it_waits(
    desk: Desk, slack: Slack
) -> None:
    action = await desk.world.held()
    await desk.tell(action)
    slack.messages.clear()
    await desk.tell(action)
    assert len(slack.messages) == 1
    slack.messages.clear()
    after = await desk.world.says(action, verdict=Verdict.REJECT)
    await desk.tell(after, Notice.SETTLED)
    assert not slack.messages


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/actions/x",
        "https://hooks.slack.com.evil.example/x",
        "https://user@hooks.slack.com/x",
        "http://hooks.slack.com/x",
        "https://hooks.slack.com:444/x",
        "//hooks.slack.com/x",
        "file:///etc/passwd",
        "https://[::1",
        "",
    ],
)
async def test_answers_go_to_slack_and_nowhere_else(url: str) -> None:
    api = SlackApi("https://slack.com/api", TOKEN)
    with pytest.raises(Undelivered, match="not Slack's") as caught:
        await api.respond(url, {"text": "x"})
    assert not caught.value.retry and api._session is None


@pytest.mark.parametrize("host", ["slack.com", "slack-gov.com"])
def test_slacks_own_addresses_are_known_by_that_of_its_api(host: str) -> None:
    api = SlackApi(f"https://{host}/api", TOKEN)
    assert api._origins == {f"https://{host}", f"https://hooks.{host}"}


async def test_what_cannot_be_whispered_is_logged_without_its_address(
    desk: Desk, slack: Slack, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "interlock.notify")
    slack.fails("response_url", Refusal(status=500))
    await desk.channel.whisper(f"{slack.url}/actions/T/secret-canary", "hello")
    assert "HTTP 500" in caplog.text and "canary" not in caplog.text


def test_no_secret_is_in_what_settings_print() -> None:
    way = SlackWay(token=TOKEN, channel=CHANNEL, url=URL, key=KEY)
    assert TOKEN not in repr(way) and "kkkk" not in repr(way)
