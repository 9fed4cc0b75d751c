"""A held call is told in Slack, decided there, and sent at most once: the running product."""

from __future__ import annotations

import email.utils
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.acceptance.world import Gate, Tool, gate, short_folder, with_tool
from tests.support.slack import APP, CHANNEL, SECRET, TEAM, TOKEN, Message, Slack

pytestmark = [pytest.mark.slow]
ANN, MALLORY = "U0ANNANN", "U0MALLORY"
OPEN, REJECT, APPROVE = "interlock_open", "interlock_reject", "interlock_approve"


@dataclass
class Chat:
    gate: Gate
    tool: Tool
    slack: Slack

    def publish(self, text: str) -> Message:
        """Have an agent ask for something, and return what Slack shows of it."""
        before = len(self.slack.messages)
        later = {"Prefer": "respond-async"}
        asked = httpx.post(f"{self.gate.tool}/publish", json={"text": text}, headers=later)
        assert asked.status_code == 202
        return self.slack.held(before + 1)

    def now(self) -> float:
        """Return the time as Interlock's machine has it, seconds."""
        date = httpx.get(f"{self.gate.people}/livez").headers["Date"]
        return email.utils.parsedate_to_datetime(date).timestamp()

    def post(self, payload: dict[str, Any], **more: Any) -> httpx.Response:
        more.setdefault("at", self.now())
        return self.slack.deliver(payload, **more)

    def shows(self, message: Message, words: str) -> None:
        self.slack.wait(lambda: words in message.text, words)

    def told(self, words: str) -> None:
        self.slack.wait(lambda: any(words in each["text"] for each in self.slack.whispers), words)

    def refused(self, why: str) -> float:
        """Return how many presses were refused for this reason."""
        said = f'interlock_channel_presses_refused_total{{channel="slack",why="{why}"}} '
        for line in httpx.get(f"{self.gate.people}/metrics").text.splitlines():
            if line.startswith(said):
                return float(line.removeprefix(said))
        return 0.0


@pytest.fixture(scope="module")
def chat() -> Iterator[Chat]:
    tool, slack = Tool(), Slack()
    with short_folder() as folder:
        (folder / "token").write_text(TOKEN)
        (folder / "signing").write_text(SECRET)
        settings = {
            "token": {"from_file": "token"},
            "channel": CHANNEL,
            "signing_secret": {"from_file": "signing"},
            "app": APP,
            "team": TEAM,
            "people": {ANN: "ann"},
            "approve": True,
            "arguments": True,
            "api_url": slack.api_url,
        }
        with gate(folder, with_tool(tool) | {"notify": {"slack": settings}}) as running:
            slack.interactions = f"{running.people}/v1/channels/slack"
            yield Chat(running, tool, slack)
            assert TOKEN not in running.said() and SECRET not in running.said()
    slack.stop()
    tool.stop()


@pytest.fixture(autouse=True)
def afresh(chat: Chat) -> None:
    chat.tool.forget()
    chat.slack.whispers.clear()
    chat.slack.views.clear()


def test_a_call_is_approved_in_slack_and_sent_once(chat: Chat) -> None:
    message = chat.publish("the news of May")
    assert f"POST {chat.tool.url}/publish" in message.text and "the news of May" in message.text
    assert list(message.buttons) == [OPEN, REJECT, APPROVE]
    assert message.buttons[OPEN]["url"].endswith(chat.gate.held()[0]["id"])

    again = chat.slack.pressed(message, APPROVE, ANN)
    assert chat.post(chat.slack.pressed(message, APPROVE, ANN)).status_code == 200
    chat.shows(message, "Approved by ann")
    assert list(message.buttons) == [OPEN]
    assert chat.tool.reached.wait(20)

    chat.post(again)
    chat.told("Already decided. ann:")
    assert chat.tool.hits == 1 and chat.tool.calls[0].json == {"text": "the news of May"}


def test_a_call_is_rejected_in_slack_with_a_reason(chat: Chat) -> None:
    message = chat.publish("the news of June")
    call = chat.gate.held()[0]["id"]
    chat.post(chat.slack.pressed(message, REJECT, ANN))
    chat.slack.wait(lambda: bool(chat.slack.views), "a form")
    form = chat.slack.submitted(chat.slack.views[0], ANN, "It is still May.", "policy")
    assert (form_answer := chat.post(form)).status_code == 200 and form_answer.text == ""
    chat.shows(message, "Rejected by ann")
    assert "It is still May." in message.text
    assert chat.gate.state(call) == "rejected" and chat.tool.hits == 0


def test_what_is_decided_on_the_page_is_seen_in_slack(chat: Chat) -> None:
    message = chat.publish("the news of July")
    assert chat.gate.decide("reject", "bob", message="No.").status_code == 200
    chat.shows(message, "Rejected by bob")
    assert list(message.buttons) == [OPEN]


def test_nothing_forged_strange_or_old_decides(chat: Chat) -> None:
    first = chat.publish("the news of August")
    second = chat.publish("the news of September")
    slack, now = chat.slack, chat.now()
    cards = {card["id"]: card["version"] for card in chat.gate.held(2)}

    def pressed(**parts: Any) -> dict[str, Any]:
        payload = slack.pressed(second, APPROVE, ANN)
        return payload | {"actions": [payload["actions"][0] | parts]}

    good = second.buttons[APPROVE]["value"]
    before = {why: chat.refused(why) for why in ("signature", "old", "app", "person", "ticket")}
    assert chat.post(pressed(), secret="not the secret").status_code == 403
    assert chat.post(pressed(), at=now - 3600).status_code == 403
    assert chat.post(pressed() | {"api_app_id": "A0OTHER"}).status_code == 403
    assert chat.post(slack.pressed(second, APPROVE, MALLORY)).status_code == 200
    chat.told("You may not decide here")
    assert chat.post(pressed(value=good[:-1] + ("0" if good[-1] != "0" else "1"))).text == ""
    assert chat.post(pressed(value=first.buttons[APPROVE]["value"])).text == ""
    slack.wait(lambda: len(slack.whispers) == 3, "three answers")

    assert {card["id"]: card["version"] for card in chat.gate.held(2)} == cards
    assert chat.tool.hits == 0
    after = {why: chat.refused(why) - count for why, count in before.items()}
    assert after == {"signature": 1, "old": 1, "app": 1, "person": 1, "ticket": 2}
    assert chat.gate.said().count("a press in Slack was refused") >= 6
    for message in (first, second):
        chat.post(slack.pressed(message, APPROVE, ANN))
        chat.shows(message, "Approved by ann")
