"""Deciding in a terminal, against the real API, gate and store."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from interlock.cli import render_judged
from interlock.core.actions import State
from interlock.core.identity import Kind
from interlock.keyfiles import write_private
from interlock.store.redis import RedisStore
from tests.approvals.world import HIDDEN, IBAN, World, a_call, a_world, careful, paying
from tests.support.stores import Server, fresh_prefix

from .conftest import Command, Said


@pytest.fixture(scope="module")
def redis() -> Iterator[Server]:
    server = Server().start()
    yield server
    server.stop()


@pytest.fixture
async def world(redis: Server) -> AsyncIterator[World]:
    prefix = fresh_prefix()
    store = RedisStore(redis.url, prefix=prefix)
    async with a_world(store, prefix) as world:
        yield world
    await store.close()


class Person:
    """Somebody at a keyboard, with a key of their own."""

    def __init__(self, command: Command, url: str, file: Path) -> None:
        self._command, self.url, self.file = command, url, file

    async def types(self, *arguments: str) -> Said:
        """Run a command in a pipe."""
        where = ("--url", self.url, "--key-file", str(self.file))
        return await asyncio.to_thread(self._command, *arguments, *where)

    async def talks(self, *arguments: str, answers: str, **env: str) -> str:
        """Run a command in a terminal, answer it, and return what was on the screen."""
        where = ("--url", self.url, "--key-file", str(self.file))
        return await asyncio.to_thread(_talk, (*arguments, *where), answers, env)


def _talk(arguments: tuple[str, ...], answers: str, env: dict[str, str]) -> str:
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "interlock", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={"PATH": os.environ["PATH"], "TERM": "xterm", **env},
    )
    os.close(theirs)
    os.write(ours, answers.encode())
    shown = b""
    while True:
        try:
            shown += os.read(ours, 65_536)
        except OSError:
            break
    os.close(ours)
    child.wait(30)
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", shown.decode())


async def a_person(world: World, interlock: Command, folder: Path, name: str) -> Person:
    file = folder / f"{name}.key"
    write_private(file, await world.key(Kind.APPROVER, name))
    return Person(interlock, world.url, file)


@pytest.fixture
async def ann(world: World, interlock: Command, folder: Path) -> Person:
    return await a_person(world, interlock, folder, "ann")


@pytest.fixture
async def bob(world: World, interlock: Command, folder: Path) -> Person:
    return await a_person(world, interlock, folder, "bob")


async def test_an_empty_queue_says_so(ann: Person) -> None:
    said = await ann.types("queue")
    assert (said.code, said.out, said.err) == (0, "", "Nothing waits.\n")


async def test_the_queue_lists_what_waits(world: World, ann: Person) -> None:
    action = await world.hold()
    said = await ann.types("queue")
    head, row = said.out.splitlines()
    assert head.split()[:3] == ["ID", "LEVEL", "STAKE"]
    assert row.split()[:5] == [action.id, "approve", "high", "billing-bot", "bank.transfer"]
    assert "POST https://api.bank.example/v1/accounts/DE-4711/transfers" in row
    assert "ARGUMENTS" in head and "amount: " in row


async def test_a_call_that_was_just_decided_is_found_by_its_short_id(
    world: World, ann: Person
) -> None:
    action = await world.hold()
    assert (await ann.types("reject", action.id, "-m", "no", "--yes")).code == 0
    shown = await ann.types("show", action.id[:12])
    assert shown.code == 0 and "rejected" in shown.out


async def test_the_queue_is_there_for_programs(world: World, ann: Person) -> None:
    action = await world.hold()
    listed = json.loads((await ann.types("queue", "--json")).out)
    assert [card["id"] for card in listed["items"]] == [action.id]


async def test_the_queue_can_be_narrowed(world: World, ann: Person) -> None:
    await world.hold()
    assert (await ann.types("queue", "--agent", "other")).out == ""
    assert "bank.transfer" in (await ann.types("queue", "--agent", "billing-bot")).out
    assert (await ann.types("queue", "--level", "loud")).code == 1


async def test_show_has_everything_that_a_decision_needs(world: World, ann: Person) -> None:
    action = await world.hold(a_call(task="Pay the rent"))
    shown = (await ann.types("show", action.id)).out
    for part in (
        "bank.transfer",
        "POST https://api.bank.example/v1/accounts/DE-4711/transfers",
        '"recipient": "Bob GmbH"',
        "new-recipient",
        "0.82 (its own claim)",
        "Rent is due today.",
        "Pay the rent",
        f"interlock approve {action.id} --digest {action.digest[:12]}",
    ):
        assert part in shown


async def test_nothing_that_an_agent_writes_reaches_the_terminal_unseen(
    world: World, ann: Person
) -> None:
    sneaky = "pay \x1b[2J\u202egnihton\r ok"
    body = json.dumps({"amount": 900, "recipient": sneaky}, ensure_ascii=False).encode()
    action = await world.hold(a_call(body=body, reason=sneaky, session="s\x1b]0;x\x07"))
    for said in (await ann.types("show", action.id), await ann.types("queue")):
        assert not set(said.out) & set("\x1b\r\x07\u202e")
    shown = (await ann.types("show", action.id)).out
    assert "<U+001B>[2J<U+202E>gnihton<U+000D>" in shown


async def test_an_approval_sends_exactly_the_call(world: World, ann: Person) -> None:
    action = await world.hold()
    said = await ann.types("approve", action.id, "--digest", action.digest[:12], "--yes")
    assert said.code == 0, said.err
    assert (await world.settled(action)).state is State.ANSWERED
    assert [call.digest for call in world.tool.calls] == [action.digest]


async def test_a_rejection_sends_nothing_and_keeps_the_reason(world: World, ann: Person) -> None:
    action = await world.hold()
    said = await ann.types("reject", action.id, "-m", "Wrong account.", "--yes")
    assert said.code == 0, said.err
    after = await world.settled(action)
    assert after.state is State.REJECTED
    assert after.reviews[-1].message == "Wrong account."
    assert world.tool.calls == []


async def test_an_answer_in_the_tools_place(world: World, ann: Person) -> None:
    action = await world.hold()
    said = await ann.types("respond", action.id, "-m", "Paid already.", "--yes")
    assert "responded" in said.out
    assert world.tool.calls == []


async def test_an_edit_by_assignment_is_what_is_sent(world: World, ann: Person) -> None:
    action = await world.hold()
    said = await ann.types(
        "edit", action.id, "--set", "amount=200", "--set", "memo=1st half", "--yes"
    )
    assert said.code == 0, said.err
    assert "900" in said.out and "200" in said.out
    await world.settled(action)
    (sent,) = world.tool.calls
    assert json.loads(sent.body)["amount"] == 200
    assert json.loads(sent.body)["memo"] == "1st half"


async def test_an_edit_in_the_editor_is_shown_before_it_is_sent(
    world: World, ann: Person, folder: Path
) -> None:
    editor = folder / "editor"
    editor.write_text("#!/bin/sh\nsed -i 's/900.*,/5,/' \"$1\"\ntouch -d '+5 seconds' \"$1\"\n")
    editor.chmod(0o755)
    action = await world.hold()
    shown = await ann.talks("edit", action.id, answers="y\n", EDITOR=str(editor))
    assert "level of the edited call" in shown and "Edit this call?" in shown
    await world.settled(action)
    (sent,) = world.tool.calls
    assert json.loads(sent.body)["amount"] == 5


async def test_an_editor_that_changes_nothing_decides_nothing(world: World, ann: Person) -> None:
    action = await world.hold()
    assert "Nothing done." in await ann.talks("edit", action.id, answers="", EDITOR="true")
    assert (await world.now(action)).state is State.HELD


async def test_a_person_is_shown_the_call_and_asked(world: World, ann: Person) -> None:
    action = await world.hold()
    shown = await ann.talks("approve", action.id, answers="y\n")
    assert "What will be sent" in shown and "Approve this call? [y/N]" in shown
    assert (await world.settled(action)).state is State.ANSWERED


async def test_a_no_decides_nothing(world: World, ann: Person) -> None:
    action = await world.hold()
    assert "Nothing done." in await ann.talks("approve", action.id, answers="n\n")
    assert (await world.now(action)).state is State.HELD


async def test_a_reason_is_asked_for_where_policy_needs_one(world: World, ann: Person) -> None:
    action = await world.hold()
    shown = await ann.talks("reject", action.id, answers="too much\ny\n")
    assert "Reason:" in shown
    assert (await world.now(action)).reviews[-1].message == "too much"


async def test_the_second_person_completes_a_double_approval(
    world: World, ann: Person, bob: Person
) -> None:
    action = await world.hold(a_call("git", "DELETE", "/repos/acme/site", b""))
    first = await ann.types("approve", action.id, "-m", "checked", "--yes")
    assert first.out == "Noted: 1 of 2 approvals; the call still waits.\n"
    again = await ann.types("approve", action.id, "-m", "checked", "--yes")
    assert again.code == 1 and "another person" in again.err
    second = await bob.types("approve", action.id, "-m", "checked", "--yes")
    assert second.code == 0, second.err
    assert (await world.settled(action)).state is State.ANSWERED


async def test_a_decision_that_came_too_late_says_who_decided(
    world: World, ann: Person, bob: Person
) -> None:
    action = await world.hold()
    await ann.types("reject", action.id, "-m", "no", "--yes")
    said = await bob.types("approve", action.id, "--yes")
    assert said.code == 1
    assert "ann" in said.err


async def test_another_digest_than_the_one_seen_decides_nothing(world: World, ann: Person) -> None:
    action = await world.hold()
    said = await ann.types("approve", action.id, "--digest", "0" * 12, "--yes")
    assert said.code == 1 and "its digest differs" in said.err
    assert (await world.now(action)).state is State.HELD


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("approve", "{id}"), 2, "add --yes"),
        (("approve", "{id}", "--digest", "ab", "--yes"), 2, "at least 8 characters"),
        (("reject", "{id}", "--yes"), 2, "add -m TEXT"),
        (("edit", "{id}", "--set", "amount", "--yes"), 2, "NAME=VALUE"),
        (("edit", "{id}", "--set", "colour=red", "--yes"), 1, "has no argument 'colour'"),
        (("show", "../keys"), 2, "an id has only"),
        (("show", "nothinghere"), 1, "There is no call"),
    ],
)
async def test_what_is_wrong_is_said(
    world: World, ann: Person, arguments: tuple[str, ...], code: int, told: str
) -> None:
    action = await world.hold()
    said = await ann.types(*(word.format(id=action.id) for word in arguments))
    assert said.code == code
    assert told in said.err
    assert (await world.now(action)).state is State.HELD


async def test_an_agents_key_decides_nothing(world: World, ann: Person) -> None:
    action = await world.hold()
    write_private(ann.file, await world.key(Kind.AGENT, "billing-bot"))
    said = await ann.types("approve", action.id, "--yes")
    assert said.code == 1
    assert (await world.now(action)).state is State.HELD


async def test_a_worthless_key_says_where_it_came_from(world: World, ann: Person) -> None:
    write_private(ann.file, "ilk_approver_000000000000_" + "A" * 43)
    said = await ann.types("queue")
    assert said.code == 1
    assert str(ann.file) in said.err and "interlock keys create approver" in said.err


async def test_the_key_may_come_from_the_environment(
    world: World, interlock: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERLOCK_KEY", await world.key(Kind.APPROVER, "ann"))
    monkeypatch.setenv("INTERLOCK_URL", world.url)
    said = await asyncio.to_thread(interlock, "queue")
    assert (said.code, said.err) == (0, "Nothing waits.\n")


async def test_the_operators_key_is_found_through_the_configuration(
    world: World, interlock: Command, folder: Path
) -> None:
    (folder / "interlock.yaml").write_text(f"people: {{url: '{world.url}'}}\ndata: ./d\n")
    write_private(folder / "d" / "operator.key", await world.key(Kind.APPROVER, "ann"))
    said = await asyncio.to_thread(interlock, "queue")
    assert (said.code, said.err) == (0, "Nothing waits.\n")


def test_without_a_key_it_says_what_to_do(interlock: Command, folder: Path) -> None:
    assert "INTERLOCK_KEY" in interlock("queue").err
    (folder / "interlock.yaml").write_text("")
    said = interlock("queue")
    assert said.code == 1
    assert "interlock serve" in said.err


def test_where_nobody_answers_it_says_so(
    interlock: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERLOCK_KEY", "x")
    said = interlock("queue", "--url", "http://127.0.0.1:1")
    assert said.code == 1
    assert "does not answer at http://127.0.0.1:1" in said.err
    assert "interlock serve" in said.err


async def test_what_policy_hides_is_shown_on_request_and_recorded(
    world: World, ann: Person
) -> None:
    world.gate.policy = careful(HIDDEN)
    action = await world.hold(paying(task=f"Pay {IBAN}"))
    shown = (await ann.types("show", action.id)).out
    assert "…2051" in shown and "Policy hides recipient" in shown and IBAN not in shown
    assert IBAN not in (await ann.types("show", action.id, "--json")).out
    assert IBAN not in (await ann.types("queue")).out
    assert b"interlock_reveals_total 0.0" in world.metrics.render()
    revealed = (await ann.types("show", action.id, "--reveal")).out
    assert IBAN in revealed and "hides" not in revealed
    assert b"interlock_reveals_total 1.0" in world.metrics.render()


async def test_an_edit_of_what_is_hidden_needs_the_reveal(world: World, ann: Person) -> None:
    world.gate.policy = careful(HIDDEN)
    action = await world.hold(paying())
    said = await ann.types("edit", action.id, "--set", "amount=5", "--yes")
    assert said.code == 1 and "Policy hides recipient" in said.err and "--reveal" in said.err
    assert (await world.now(action)).state is State.HELD
    said = await ann.types("edit", action.id, "--set", "amount=5", "--yes", "--reveal")
    assert said.code == 0, said.err
    await world.settled(action)
    assert json.loads(world.tool.calls[0].body)["recipient"] == IBAN


async def test_a_grant_goes_with_an_approval(world: World, ann: Person) -> None:
    world.gate.policy = careful()
    action = await world.hold(paying(task="Pay the rent"))
    shown = (await ann.types("show", action.id)).out
    assert f"interlock approve {action.id} --grant 8h --uses 10" in shown
    assert f"acts on recipient = {IBAN} (the user's request does not)" in shown
    assert "also leads" in shown and "session: 0 calls sent" in shown
    said = await ann.types("approve", action.id, "--grant", "9d", "--yes")
    assert said.code == 1 and "up to 7d" in said.err
    said = await ann.types("approve", action.id, "--grant", "soon", "--yes")
    assert said.code == 2 and "8h" in said.err
    said = await ann.types("approve", action.id, "--grant", "7d", "--uses", "2", "--yes")
    assert said.code == 0, said.err
    (grant,) = await world.gate.grants()
    assert (grant.by, grant.uses, dict(grant.target)) == ("ann", 2, {"recipient": IBAN})


async def test_show_says_that_an_edit_needs_the_reveal_first(world: World, ann: Person) -> None:
    world.gate.policy = careful(HIDDEN)
    action = await world.hold(paying())
    shown = (await ann.types("show", action.id)).out
    assert f"interlock edit {action.id} --reveal --set NAME=VALUE" in shown
    seen = (await ann.types("show", action.id, "--reveal")).out
    assert f"interlock edit {action.id} --set NAME=VALUE" in seen
    assert f"recipient = {IBAN}  (revealed)" in seen


async def test_the_beginning_of_an_id_stands_for_the_one_call_that_waits(
    world: World, ann: Person
) -> None:
    action = await world.hold()
    shown = await ann.types("show", action.id[:8])
    assert shown.code == 0 and action.id in shown.out
    assert (await ann.types("show", action.id[:7])).code == 1
    said = await ann.types("approve", action.id[:8], "--digest", action.digest[:12], "--yes")
    assert said.code == 0, said.err
    assert (await world.settled(action)).state is State.ANSWERED
    decided = await ann.types("show", action.id[:8])
    assert decided.code == 0 and "answered" in decided.out
    gone = await ann.types("show", "x" * 8)
    assert gone.code == 1 and "There is no call xxxxxxxx" in gone.err


async def test_a_beginning_that_several_calls_share_lists_them(world: World, ann: Person) -> None:
    calls = [await world.hold(), await world.hold(paying())]
    said = await ann.types("reject", calls[0].id[:8], "-m", "no", "--digest", calls[0].digest, "-y")
    assert said.code == 1
    assert all(call.id in said.err for call in calls) and "Give more of the id" in said.err
    for call in calls:
        assert (await world.now(call)).state is State.HELD


async def test_a_beginning_alone_decides_nothing_that_nobody_looked_at(
    world: World, ann: Person
) -> None:
    action = await world.hold()
    said = await ann.types("approve", action.id[:8], "--yes")
    assert said.code == 2 and "give the whole id, or --digest" in said.err
    assert (await world.now(action)).state is State.HELD


def test_a_rule_without_words_and_one_call_read_as_sentences() -> None:
    rule = {"id": "at-night", "effect": "stake high", "description": "", "indeterminate": ""}
    past = {"calls": 1, "points": 1.0, "untrusted_content": False, "sensitive_data": False}
    decision = {"policy": "p v1", "facet": "", "rules": [rule], "session": past, "would_be": ""}
    decision |= dict.fromkeys(("limits", "shadow", "target", "trace", "approvers"), ())
    decision |= {"target_more": 0, "escalation": ()}
    lines = [line for section in render_judged.judged(decision, folded=False) for line in section]
    assert "  rule at-night: stake high." in lines
    assert "  session: 1 call sent, 1 point of risk" in lines
