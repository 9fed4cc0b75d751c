"""What agents write, where people read it elsewhere: terminals, chats, mail, webhooks, the log."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from typing import Any

import pytest

from interlock.cli.render import item_text, queue_table
from interlock.core.actions import Action, State
from interlock.core.identity import Kind
from interlock.notify import apprise, log, slack_blocks, webhook
from interlock.notify.slack_blocks import Buttons
from interlock.notify.telling import Told, told
from interlock.ports import Notice
from interlock.store.redis import RedisStore
from tests.approvals.world import World, a_call, a_world
from tests.support.builders import a_decision, an_action
from tests.support.naughty import strings, unseen
from tests.support.slack import texts, unfit
from tests.support.stores import Server, fresh_prefix

from .test_page_deceived import around, harmless, with_values

ALL = strings()
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_TOKEN = re.compile(r"<U\+000A>\n {4}|<U\+([0-9A-F]{4,6})>|<0x([0-9A-F]{2})>")


@pytest.fixture
async def world(server: Server) -> AsyncIterator[World]:
    prefix = fresh_prefix()
    store = RedisStore(server.url, prefix=prefix)
    async with a_world(store, prefix) as world:
        yield world
    await store.close()


def hidden(text: str, ours: str = "") -> list[str]:
    return [hex(ord(each)) for each in text if unseen(each) and each not in ours]


def written(shown: str) -> str:
    """Return what was written, from what a terminal shows of it."""

    def meant(found: re.Match[str]) -> str:
        if found[1] is None and found[2] is None:
            return "\n"
        return chr(int(found[1], 16) if found[1] else 0xDC00 + int(found[2], 16))

    return _TOKEN.sub(meant, shown)


async def on_screen(world: World, action: Action) -> str:
    answer = await world.ask(
        "GET", f"/v1/approvals/{action.id}", key=await world.key(Kind.APPROVER, "ann")
    )
    return item_text(await answer.json())


async def test_promise_03_a_terminal_shows_every_character_and_obeys_none(world: World) -> None:
    plain = await on_screen(world, await world.hold(with_values(harmless(ALL), session="a")))
    call = with_values(ALL, session="b")
    screen = await on_screen(world, await world.hold(call))
    assert hidden(_COLOUR.sub("", screen), "\n") == []
    body = screen.partition(" bytes, application/json\n")[2].partition("\n\n")[0]
    assert written(body[4:]) == call.body.decode()
    for number, text in enumerate(ALL):
        shown = re.search(
            rf"^  k{number:03} = (.*?)\n(?=  \w+ = |\n)", screen, re.MULTILINE | re.DOTALL
        )
        assert shown is not None and written(shown[1]) == text
    # every line that starts at the edge is ours
    first = {line for line in plain.split("\n") if line[:4].strip() and " = " not in line}
    strange = {line for line in screen.split("\n") if line[:4].strip() and " = " not in line}
    assert {_shape(line) for line in strange - first} <= {_shape(line) for line in first} | {
        "  argument",  # a warning, in words of ours
        "Deceptive",
    }


def _shape(line: str) -> str:
    start = re.match(r"\s*\w*", _COLOUR.sub("", line))
    return re.sub(r"\d+", "0", start[0]) if start else ""


async def test_promise_03_a_terminal_shows_all_around_the_arguments(world: World) -> None:
    colours = []
    for turn, each in enumerate((harmless(ALL), ALL)):
        action = await world.hold(a_call(**(around(each) | {"session": f"s{turn}"})))
        screen = await on_screen(world, action)
        colours.append(len(_COLOUR.findall(screen)))
        assert hidden(_COLOUR.sub("", screen), "\n") == []
        said = re.search(r"^  reason: (.*?)\n  session: ", screen, re.MULTILINE | re.DOTALL)
        assert said is not None and written(said[1]) == "\n".join(each)
    assert colours[0] + 3 >= colours[1]  # the heading of the warnings: red, bold, and back
    listed = await world.ask("GET", "/v1/approvals", key=await world.key(Kind.APPROVER, "ann"))
    rows = _COLOUR.sub("", queue_table(await listed.json())).split("\n")
    assert len(rows) == 3 and hidden("".join(rows)) == []


# channels -----------------------------------------------------------------------------------


def telling(known: str) -> Iterable[tuple[Action, Told]]:
    for text in ALL:
        call = a_call(body=json.dumps({"recipient": text, text: text}).encode(), agent="bot")
        call = replace(call, method="POST", path=f"/{text}")
        decision = a_decision(tool=known, arguments={"recipient": text, text: text}, sources={})
        action = replace(an_action(call), state=State.HELD, version=1, decision=decision)
        yield action, told(action, Notice.HELD, "https://i.example", with_arguments=True)


def words(part: Any) -> str:
    """Return every text in a message."""
    if isinstance(part, dict):
        return " ".join(words(each) for pair in part.items() for each in pair)
    if isinstance(part, list | tuple):
        return " ".join(map(words, part))
    return str(part)


@pytest.mark.parametrize("known", ["bank.transfer", ""])
def test_promise_03_no_channel_passes_on_what_nobody_sees(known: str) -> None:
    for action, said in telling(known):
        decision = action.decision
        assert decision is not None
        message = slack_blocks.waiting(said, Buttons(reject="r"))
        assert unfit(message["blocks"]) == ""
        mail = (apprise.subject(said), *apprise.lines_of(said))
        logged = log.line(action, decision, Notice.HELD, "https://i.example")
        for text in (said.title, *said.lines, said.agent, *mail, logged):
            assert hidden(text) == [], text
            assert "\n" not in text
        assert hidden(words(webhook.data(said))) == []
        assert hidden(words(message), "\n") == []


def test_promise_04_no_channel_reads_markup_in_what_an_agent_named() -> None:
    for _, said in telling(""):
        message = slack_blocks.waiting(said, Buttons(reject="r"))
        outside = [each for each in message["blocks"] if each["type"] != "rich_text"]
        loud = "\n".join(texts(outside)) + message["text"]
        for sign in ("<http", "<!channel", "<@U1", "<script", "evil.example"):
            assert sign not in loud, loud
        shown = apprise.lines_of(said)[-3:-1]
        assert "evil.example" not in "".join(shown)
