"""The live queue in a real terminal, against the real API, gate and store."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from interlock.core.actions import State
from interlock.core.decisions import Stake
from interlock.core.rules import Attention
from tests.approvals.world import World, a_call, paying

from .conftest import Command
from .screen import Live, Screen
from .test_review import Person, ann, redis, world  # noqa: F401, the fixtures

# ruff: noqa: F811


class Watching:
    """Ann, at the live view."""

    def __init__(self, live: Live) -> None:
        self.live = live

    async def sees(self, there: str | Callable[[Screen], bool]) -> str:
        return await asyncio.to_thread(self.live.until, there)

    async def presses(self, keys: str, there: str | Callable[[Screen], bool]) -> str:
        self.live.press(keys)
        return await self.sees(there)

    async def leaves(self) -> int:
        return await asyncio.to_thread(self.live.ended)


@contextlib.asynccontextmanager
async def watching(person: Person, *more: str, **how: object) -> AsyncIterator[Watching]:
    where = ("--url", person.url, "--key-file", str(person.file))
    live = Live("queue", "--watch", *more, *where, **how)  # type: ignore[arg-type]
    try:
        yield Watching(live)
    finally:
        live.close()


async def mails(world: World, count: int) -> list[str]:
    bodies = (b'{"to": "a%d", "body": "b"}' % number for number in range(count))
    return [(await world.hold(a_call("mail", target="/messages", body=body))).id for body in bodies]


def pointed(screen: Screen) -> str:
    return next((row for row in screen.rows if row.startswith(">")), "")


async def test_calls_come_and_go_without_a_key(world: World, ann: Person) -> None:
    async with watching(ann) as view:
        await view.sees("Nothing waits.")
        await view.sees("live")
        action = await world.hold()
        shown = await view.sees("bank.transfer")
        assert "1 waiting" in shown and action.id in shown
        await ann.types("reject", action.id, "-m", "no", "--yes")
        await view.sees("Nothing waits.")
        view.live.press("q")
        assert await view.leaves() == 0
        assert view.live.as_before


async def test_j_and_k_move_and_the_pointer_stays_with_its_call(world: World, ann: Person) -> None:
    first, second = await mails(world, 2)
    async with watching(ann) as view:
        await view.sees(lambda screen: "mail.send" in pointed(screen) and first in screen.shown)
        await view.presses("j", second)
        await world.hold()  # of higher stake: it goes on top
        await view.sees(lambda screen: "bank.transfer" in screen.shown and second in screen.shown)
        await view.presses("kk", lambda screen: "bank.transfer" in pointed(screen))
        await view.presses("\x1b[B", first)
        await view.presses("G", second)
        await view.presses("g", lambda screen: "bank.transfer" in pointed(screen))


async def test_enter_shows_the_call_and_q_goes_back(world: World, ann: Person) -> None:
    action = await world.hold()
    async with watching(ann, lines=20) as view:
        await view.sees(action.id)
        await view.presses("\r", "Can be made good")
        await view.presses("G", f"interlock reject {action.id}")
        await view.presses("q", "1 waiting")
    assert (await world.now(action)).state is State.HELD


async def test_a_approves_what_was_shown_once_more(world: World, ann: Person) -> None:
    action = await world.hold()
    async with watching(ann) as view:
        await view.sees(action.id)
        shown = await view.presses("a", "Approve this call? [y/N]")
        assert not view.live.screen.alternate
        assert f"digest {action.digest}" in shown and '"recipient": "Bob GmbH"' in shown
        await view.presses("y\n", "Enter goes back")
        assert (await world.settled(action)).state is State.ANSWERED
        await view.presses("\n", "Nothing waits.")
        view.live.press("q")
        assert await view.leaves() == 0 and view.live.as_before


async def test_r_lets_a_reason_be_chosen(world: World, ann: Person) -> None:
    action = await world.hold()
    async with watching(ann) as view:
        await view.sees(action.id)
        await view.presses("r", "Reason: a number, or your own words")
        await view.presses("1\n", "Reject this call?")
        await view.presses("y\n", "Enter goes back")
    (review,) = (await world.now(action)).reviews
    assert (review.reason_code, review.message) == ("wrong_target", "Wrong target")


async def test_a_no_decides_nothing(world: World, ann: Person) -> None:
    action = await world.hold()
    async with watching(ann) as view:
        await view.sees(action.id)
        await view.presses("a", "Approve this call? [y/N]")
        await view.presses("n\n", "Nothing done.")
        await view.presses("\n", "1 waiting")
    assert (await world.now(action)).state is State.HELD


async def test_e_opens_the_editor(world: World, ann: Person, folder: Path) -> None:
    editor = folder / "editor"
    editor.write_text("#!/bin/sh\nsed -i 's/900.*,/5,/' \"$1\"\n")
    editor.chmod(0o755)
    action = await world.hold()
    async with watching(ann, EDITOR=str(editor)) as view:
        await view.sees(action.id)
        await view.presses("e", "Edit this call?")
        await view.presses("y\n", "Enter goes back")
    await world.settled(action)
    assert json.loads(world.tool.calls[0].body)["amount"] == 5


async def test_what_is_selected_is_listed_once_more_and_decided_together(
    world: World, ann: Person
) -> None:
    world.gate.policy = replace(world.gate.policy, attention=Attention(batch=Stake.MEDIUM))
    first, second, third = await mails(world, 3)
    async with watching(ann) as view:
        await view.sees(third[:3])
        await view.presses("A", "Nothing is selected")
        await view.presses("x", "1 selected")
        await view.presses("jjx", "2 selected")
        shown = await view.presses("A", "Approve these 2 calls? [y/N]")
        assert first in shown and third in shown and second not in shown
        await view.presses("n\n", "Nothing done.")
        await view.presses("\n", "2 selected")
        view.live.screen.usual = ""
        await view.presses("A", "Approve these 2 calls? [y/N]")
        await view.presses("y\n", "Enter goes back")
        await view.presses("\n", "1 waiting")
    assert len(world.tool.calls) == 2


async def test_a_filter_narrows_the_queue(world: World, ann: Person) -> None:
    await mails(world, 1)
    await world.hold()
    async with watching(ann) as view:
        await view.sees("2 waiting")
        await view.presses("/tranx\x7fsfer", "/transfer")
        shown = await view.presses("\r", "filter: transfer")
        await view.sees(lambda screen: "mail.send" not in screen.shown)
        assert "bank.transfer" in shown
        await view.presses("/\x1b", lambda screen: "Esc leaves it" not in screen.shown)


async def test_help_lists_the_keys(world: World, ann: Person) -> None:
    async with watching(ann) as view:
        await view.sees("Nothing waits.")
        await view.presses("?", "approve what is selected")
        await view.presses("q", "Nothing waits.")


@pytest.mark.parametrize(("columns", "lines"), [(20, 5), (40, 10), (80, 24), (200, 60)])
async def test_it_fits_terminals_of_any_size(
    world: World, ann: Person, columns: int, lines: int
) -> None:
    await world.hold(paying("漢字" * 40))
    async with watching(ann, columns=columns, lines=lines) as view:
        await view.sees(lambda screen: pointed(screen) != "")
        assert all(cells(row) <= columns for row in view.live.screen.rows)
        assert len(view.live.screen.rows) == lines


async def test_it_follows_the_size_of_the_terminal(world: World, ann: Person) -> None:
    await world.hold()
    async with watching(ann, columns=120, lines=30) as view:
        await view.sees("VOTES")
        view.live.resize(40, 8)
        await view.sees(lambda screen: pointed(screen) != "" and "VOTES" not in screen.shown)
        assert all(cells(row) <= 40 for row in view.live.screen.rows)


async def test_a_quiet_screen_is_not_drawn_again(world: World, ann: Person) -> None:
    async with watching(ann) as view:
        await view.sees("live")
        rows = list(view.live.screen.rows)
        view.live.screen.rows = [""] * 24
        await view.presses("zz/", "Esc leaves it")  # only the last rows differ
        assert view.live.screen.rows[0] == "" and rows[0] != ""


async def test_no_color_means_none(world: World, ann: Person) -> None:
    await world.hold()
    async with watching(ann, NO_COLOR="1") as view:
        await view.sees("bank.transfer")
        await view.presses("\r", "Can be made good")
        assert view.live.screen.styles <= {"0"}
    async with watching(ann) as view:
        await view.sees("bank.transfer")
        assert {"33", "33;1"} & view.live.screen.styles


async def test_the_terminal_is_given_back_when_it_is_ended(world: World, ann: Person) -> None:
    async with watching(ann) as view:
        await view.sees("Nothing waits.")
        view.live.press("\x03")
        assert await view.leaves() == 0 and view.live.as_before
    async with watching(ann) as view:
        await view.sees("Nothing waits.")
        os.kill(view.live.child.pid, signal.SIGTERM)
        assert await view.leaves() == 128 + signal.SIGTERM and view.live.as_before


async def test_ctrl_z_gives_the_terminal_back_until_it_goes_on(world: World, ann: Person) -> None:
    async with watching(ann) as view:
        await view.sees("Nothing waits.")
        view.live.press("\x1a")
        await view.sees(lambda screen: not screen.alternate)
        assert view.live.as_before
        pid = view.live.child.pid
        await asyncio.to_thread(os.waitid, os.P_PID, pid, os.WSTOPPED | os.WNOWAIT)
        os.kill(pid, signal.SIGCONT)
        await view.sees("Nothing waits.")


async def test_where_nothing_answers_any_more_the_last_state_stays(
    world: World, ann: Person
) -> None:
    await world.hold()
    async with watching(ann) as view:
        await view.sees("live")
        await world.server.close()
        shown = await view.sees("no answer")
        assert "bank.transfer" in shown and "does not answer" in shown


async def test_without_events_it_looks_now_and_then(
    world: World, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    from interlock.approvals import events

    monkeypatch.setattr(events, "STREAMS", 0)
    async with watching(ann) as view:
        await view.sees("looking every 2 s")
        await world.hold()
        await view.sees("bank.transfer")


async def test_without_a_whole_terminal_the_table_is_printed(world: World, ann: Person) -> None:
    action = await world.hold()
    async with watching(ann, TERM="dumb") as view:
        await view.sees(action.id)
        assert not view.live.screen.alternate
        await ann.types("reject", action.id, "-m", "no", "--yes")
        await view.sees("Nothing waits.")
        view.live.press("\x03")
        assert await view.leaves() == 0


async def test_what_keeps_it_from_starting_is_said_as_ever(world: World, ann: Person) -> None:
    async with watching(ann, "--level", "loud") as view:
        assert await view.leaves() == 1
        assert "`level` must be one of" in view.live.screen.usual


def cells(row: str) -> int:
    from interlock.cli.terminal import length

    return length(row)


def _naughty() -> Iterator[str]:
    found = Path(__file__).parents[1] / "npm/node_modules/big-list-of-naughty-strings/blns.json"
    if found.exists():
        yield from json.loads(found.read_text(encoding="utf-8"))
    controls = [*range(1, 32), *range(127, 160)]
    yield "".join(map(chr, controls))
    yield from (
        "\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\",
        "\x1b]0;title\x07\x1b]52;c;cm0gLXJm\x07",
        "\x9b2J\x9d0;title\x9c\x90q\x9c",
        "\x1b[?1049l\x1b[2J\x1b[1;1H\x1bc\x1b[8m",
        "\u202egnp.exe\u2066x\u2069\u200b\u2028\u2029\ufeff",
        "x" * 300 + "\r\nApprove this call? [y/N]: y\n",
        "a" + "\u0301" * 50 + "\U000e0041\ud800".encode("utf-8", "ignore").decode(),
        "<U+001B>[2J",
    )


async def test_nothing_that_an_agent_writes_reaches_the_terminal_as_more_than_text(
    world: World, ann: Person
) -> None:
    """The screen of these tests fails on every sequence but ours."""
    texts = list(_naughty())
    for start in range(0, len(texts), 100):
        text = "\n".join(texts[start : start + 100])
        body = {"amount": 900, "recipient": text[:4000], "memo": text, "\x1b[2J" + text[:40]: 1}
        sneaky = a_call(
            body=json.dumps(body).encode(),
            agent=f"bot{start}\x1b[2J\u202e",
            headers=(("X-Note", "\x9b2J\x1b]0;x"),),
            reason=text,
            task=text,
            session=f"\x1b]0;s{start}\x07",
        )
        action = await world.hold(sneaky)
        async with watching(ann, lines=40) as view:
            await view.sees(action.id)
            await view.presses("\r", "<U+001B>")
            await view.presses("G", "lines ·")
            await view.presses("q", "1 waiting")
            await view.presses("r", "own words")
            await view.presses("1\n", "Reject this call?")
            await view.presses("y\n", "Enter goes back")


async def test_the_same_holds_where_lines_are_printed(
    world: World, ann: Person, interlock: Command
) -> None:
    text = "\n".join(_naughty())
    body = {"amount": 900, "recipient": text[:4000], "memo": text}
    sneaky = a_call(body=json.dumps(body).encode(), reason=text, task=text, session=text[:200])
    action = await world.hold(sneaky)
    other = await world.hold(a_call("mail", target="/messages", body=json.dumps(body).encode()))
    where = ("--url", ann.url, "--key-file", str(ann.file))
    commands = (("show", action.id), ("queue",), ("approve", action.id, other.id), ("history",))
    for command in commands:
        live = Live(*command, *where, lines=5000)
        try:
            if command[0] == "approve":
                await asyncio.to_thread(live.until, "Approve these 2 calls?")
                live.press("n\n")
            await asyncio.to_thread(live.ended)
            assert live.screen.usual
        finally:
            live.close()
        said = await asyncio.to_thread(interlock, *command, *where)
        assert not set(said.out + said.err) & (CONTROLS - {"\n"})


CONTROLS = {chr(code) for code in (*range(32), *range(127, 160))}


async def test_what_is_longer_than_the_terminal_goes_through_the_pager(
    world: World, ann: Person, folder: Path
) -> None:
    pager = folder / "pager"
    pager.write_text("#!/bin/sh\necho paged\ncat\n")
    pager.chmod(0o755)
    action = await world.hold()
    arguments = ("show", action.id, "--url", ann.url, "--key-file", str(ann.file))
    for lines, paged in ((10, True), (500, False)):
        live = Live(*arguments, lines=lines, PAGER=str(pager))
        try:
            assert await asyncio.to_thread(live.ended) == 0
            assert ("paged" in live.screen.usual) is paged
            assert "Bob GmbH" in live.screen.usual
        finally:
            live.close()
