"""What reviewers share, in a terminal: who is asked, who is away, agents, undo, the past."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from interlock.core.actions import State
from interlock.core.decisions import Stake
from interlock.core.decoys import decoy
from interlock.core.identity import Kind
from interlock.core.rules import Attention, LevelSpec
from interlock.keyfiles import write_private
from tests.approvals.test_undo import Answered, answers, bank
from tests.approvals.world import World, a_call, careful, paying

from .conftest import Command
from .test_queue_view import mails
from .test_review import Person, ann, bob, redis, world  # noqa: F401, the fixtures

# ruff: noqa: F811


# who is asked -------------------------------------------------------------------------------


async def test_a_colleague_is_asked_and_everybody_sees_it(
    world: World, ann: Person, bob: Person
) -> None:
    action = await world.hold()
    said = await ann.types("assign", action.id[:8], "bob", "-m", "You know them.")
    assert said.code == 0 and said.out == f"{action.id}: bob is asked to decide it.\n"
    assert "asked: bob" in (await ann.types("queue")).out
    shown = (await bob.types("show", action.id)).out
    assert "asked      bob, by ann: You know them." in shown
    assert "open now   ann" in shown
    said = await bob.types("assign", action.id, "nobody")
    assert "nobody is asked any more" in said.out
    said = await bob.types("assign", action.id, "me", "--json")
    assert json.loads(said.out)["assigned"]["to"] == "bob"


async def test_who_could_not_decide_it_cannot_be_asked(world: World, ann: Person) -> None:
    action = await world.hold()
    said = await ann.types("assign", action.id, "nobody-here")
    assert said.code == 1 and "no approver nobody-here" in said.err
    assert (await ann.types("assign", "../x", "bob")).code == 2


async def test_only_mine_leaves_out_what_others_are_asked(
    world: World, ann: Person, bob: Person
) -> None:
    action = await world.hold()
    await ann.types("assign", action.id, "bob")
    assert (await ann.types("queue", "--mine")).out == ""
    assert action.id in (await bob.types("queue", "--mine")).out
    assert action.id in (await ann.types("queue")).out


async def test_escalating_lets_those_decide_whom_policy_names(world: World, ann: Person) -> None:
    world.gate.policy = careful()
    action = await world.hold(paying())
    said = await ann.types("escalate", action.id, "-m", "It cannot wait.")
    assert said.code == 0 and "may now also be decided by leads" in said.out
    assert "also leads" in (await ann.types("show", action.id)).out
    again = await ann.types("escalate", action.id)
    assert again.code == 1 and "Error" in again.err


async def test_people_are_listed_with_how_much_is_asked_of_them(
    world: World, ann: Person, bob: Person
) -> None:
    action = await world.hold()
    await bob.types("me")
    await ann.types("assign", action.id, "bob")
    (row,) = [
        line for line in (await ann.types("people")).out.splitlines() if line.startswith("bob")
    ]
    assert row.split()[:2] == ["bob", "ops"] and row.rstrip().endswith("1")
    found = json.loads((await ann.types("people", "--json")).out)
    assert {each["id"] for each in found["items"]} == {"ann", "bob"}


async def test_who_is_away_says_until_when_and_who_stands_in(
    world: World, ann: Person, bob: Person
) -> None:
    said = await ann.types("away", "7d", "--to", "bob")
    assert said.code == 0 and "bob stands in" in said.out
    assert "for       ann until" in (await bob.types("me")).out
    assert "bob stands in" in (await bob.types("people")).out
    said = await ann.types("away", "--back")
    assert said.code == 0 and "not away" in said.out
    day = datetime.fromtimestamp((await world.store.now()) / 1000 + 5 * 86_400, UTC)
    said = await ann.types("away", f"{day:%Y-%m-%d}", "--json")
    assert json.loads(said.out)["away"]["until"] % 86_400_000 == 0


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("away",), 2, "--back"),
        (("away", "7d", "--back"), 2, "--back"),
        (("away", "soon"), 2, "2026-12-24"),
        (("away", "365d"), 1, "92 days"),
        (("away", "1d", "--to", "stranger"), 1, "no approver stranger"),
    ],
)
async def test_an_absence_that_makes_no_sense_is_refused(
    world: World, ann: Person, arguments: tuple[str, ...], code: int, told: str
) -> None:
    said = await ann.types(*arguments)
    assert said.code == code and told in said.err


async def test_me_says_how_much_may_still_be_approved(world: World, ann: Person) -> None:
    world.gate.policy = replace(world.gate.policy, attention=Attention(per_hour=1))
    said = await ann.types("me")
    assert said.out.splitlines()[0] == "ann (approver)" and "0 of 1 in the last hour" in said.out
    first, second = await world.hold(), await world.hold(paying())
    assert (await ann.types("approve", first.id, "--yes")).code == 0
    assert "there is room again at" in (await ann.types("me")).out
    refused = await ann.types("approve", second.id, "--yes")
    assert refused.code == 1 and "as many as policy lets" in refused.err


# agents -------------------------------------------------------------------------------------


async def test_an_agent_that_is_stopped_gets_nothing_approved_until_it_is_resumed(
    world: World, ann: Person
) -> None:
    action = await world.hold()
    said = await ann.types("agents", "stop", "billing-bot", "-m", "It loops.")
    assert said.code == 0 and "billing-bot is stopped" in said.out
    assert "by ann: It loops." in (await ann.types("agents", "list")).out
    assert "stopped by ann" in (await ann.types("queue")).out
    assert "The agent is stopped by ann" in (await ann.types("show", action.id)).out
    refused = await ann.types("approve", action.id, "--yes")
    assert refused.code == 1 and "stopped by ann" in refused.err and "It loops." in refused.err
    assert (await ann.types("agents", "resume", "billing-bot")).code == 0
    assert (await ann.types("approve", action.id, "--yes")).code == 0


async def test_a_misspelt_name_stops_nobody(world: World, ann: Person) -> None:
    await world.hold()
    said = await ann.types("agents", "stop", "biling-bot", "-m", "It loops.")
    assert said.code == 1
    assert "did you mean billing-bot? Nothing was stopped" in " ".join(said.err.split())
    said = await ann.types("agents", "stop", "biling-bot", "--unknown", "-m", "It loops.")
    assert "biling-bot is stopped" in said.out


async def test_all_agents_are_stopped_at_once(world: World, ann: Person) -> None:
    said = await ann.types("agents", "stop", "--all", "-m", "An incident.", "--json")
    assert json.loads(said.out)["stopped"]["everybody"] is True
    assert "All agents are stopped by ann: An incident." in (await ann.types("agents", "list")).out
    assert "not stopped any more" in (await ann.types("agents", "resume", "--all")).out
    again = await ann.types("agents", "resume", "--all")
    assert again.code == 1 and "not stopped" in again.err


@pytest.mark.parametrize(
    "arguments",
    [("stop", "-m", "x"), ("stop", "a", "--all", "-m", "x"), ("stop", "a/b", "-m", "x")]
    + [("stop", "-", "-m", "x"), ("stop", "billing-bot"), ("resume",)],
)
async def test_it_has_to_be_clear_who_is_stopped(
    world: World, ann: Person, arguments: tuple[str, ...]
) -> None:
    assert (await ann.types("agents", *arguments)).code == 2
    assert await world.deps.desk.suspended() == ()


# several at once ----------------------------------------------------------------------------


async def test_several_calls_are_approved_each_by_itself(world: World, ann: Person) -> None:
    world.gate.policy = replace(world.gate.policy, attention=Attention(batch=Stake.MEDIUM))
    ids = await mails(world, 3)
    said = await ann.types("approve", *ids, "--yes")
    assert said.code == 0, said.err
    assert [line.split()[:2] for line in said.out.splitlines()] == [[call, "done"] for call in ids]
    for call in ids:
        found = await world.store.get(call)
        assert found is not None and (await world.settled(found)).state is State.ANSWERED


async def test_what_fails_in_a_batch_is_said_and_the_rest_is_decided(
    world: World, ann: Person
) -> None:
    world.gate.policy = replace(world.gate.policy, attention=Attention(batch=Stake.MEDIUM))
    (mail,) = await mails(world, 1)
    transfer = await world.hold()  # of high stake
    said = await ann.types("approve", mail, transfer.id, "--yes")
    assert said.code == 1 and "1 of 2 were not decided" in said.err
    assert f"{transfer.id}  not decided (409)" in said.out and f"{mail}  done" in said.out
    assert (await world.now(transfer)).state is State.HELD


async def test_several_are_rejected_with_a_preset_reason(world: World, ann: Person) -> None:
    ids = await mails(world, 2)
    said = await ann.types("reject", *ids, "--reason", "duplicate", "--yes")
    assert said.code == 0, said.err
    for call in ids:
        found = await world.store.get(call)
        assert found is not None
        assert [(each.reason_code, each.message) for each in found.reviews] == [
            ("duplicate", "Already done")
        ]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("reject", "{a}", "{a}", "-m", "x", "--yes"), 1, "named twice"),
        (("reject", "{a}", "{b}", "--yes"), 2, "add -m TEXT"),
        (("reject", "{a}", "{b}", "--reason", "silly", "--yes"), 2, "wrong_target"),
        (("reject", "{a}", "{b}", "-m", "x"), 2, "add --yes"),
        (("approve", "{a}", "{b}", "--digest", "0" * 12, "--yes"), 2, "go with one call"),
        (("approve", "{a}", "nothing-here", "--yes"), 1, "no call nothing-here"),
    ],
)
async def test_a_batch_that_makes_no_sense_decides_nothing(
    world: World, ann: Person, arguments: tuple[str, ...], code: int, told: str
) -> None:
    a, b = await mails(world, 2)
    said = await ann.types(*(word.format(a=a, b=b) for word in arguments))
    assert said.code == code and told in said.err
    for call in (a, b):
        found = await world.store.get(call)
        assert found is not None and found.state is State.HELD


# what policy asks of people -----------------------------------------------------------------


def asking(world: World, **more: object) -> None:
    """Have policy ask this of whoever decides."""
    levels = world.gate.policy.levels
    spec = LevelSpec(approvers=("ops",), hold_ms=3_600_000, **more)  # type: ignore[arg-type]
    world.gate.policy = replace(world.gate.policy, levels=replace(levels, approve=spec))


async def test_where_policy_wants_a_longer_look_the_terminal_waits_for_it(
    world: World, ann: Person
) -> None:
    asking(world, dwell_ms=2000)
    action = await world.hold()
    assert "in sight for 2 s" in (await ann.types("show", action.id)).out
    said = await ann.types("approve", action.id, "--yes")
    assert said.code == 0 and "a longer look" in said.err
    assert (await world.settled(action)).state is State.ANSWERED


async def test_the_seconds_are_counted_for_a_person(world: World, ann: Person) -> None:
    asking(world, dwell_ms=2000)
    action = await world.hold()
    shown = await ann.talks("approve", action.id, answers="y\n")
    assert "1 s more (Ctrl-C ends)" in shown
    assert (await world.settled(action)).state is State.ANSWERED


async def test_a_decision_that_has_to_be_signed_is_sent_to_the_page(
    world: World, ann: Person
) -> None:
    asking(world, step_up=True)
    action = await world.hold()
    said = await ann.types("approve", action.id, "--yes")
    assert said.code == 1 and f"{world.url}/review/{action.id}" in said.err
    assert "security key" in (await ann.types("show", action.id)).out
    assert (await ann.types("reject", action.id, "-m", "no", "--yes")).code == 0


async def test_what_policy_folds_is_folded_until_the_person_has_judged(
    world: World, ann: Person
) -> None:
    asking(world, folded=True)
    action = await world.hold()
    shown = (await ann.types("show", action.id)).out
    assert "--verdict" in shown and "new-recipient" not in shown and "0.82" not in shown
    assert "stake high" not in shown and '"recipient": "Bob GmbH"' in shown
    unfolded = (await ann.types("show", action.id, "--verdict")).out
    assert "new-recipient" in unfolded and "0.82" in unfolded
    talked = await ann.talks("approve", action.id, answers="r\ny\n")
    before, after = talked.split("You said: looks right.")
    assert "new-recipient" not in before and "new-recipient" in after
    assert (await world.settled(action)).state is State.ANSWERED


async def test_a_practice_call_is_named_as_soon_as_it_is_decided(
    world: World, ann: Person, bob: Person
) -> None:
    real = await world.hold(a_call("mail", target="/messages", body=b'{"to": "eve", "body": "x"}'))
    await bob.types("reject", real.id, "-m", "Never to eve", "--yes")
    call = decoy(await world.now(real), {}, "s-17")
    decision = await world.gate.judge(call)
    action = await world.gate.plant(call, decision, real.id)
    assert "practice" not in (await ann.types("show", action.id)).out
    said = await ann.types("reject", action.id, "-m", "Who is eve?", "--yes")
    assert said.code == 0 and "This was a practice call" in said.out
    assert "that bob rejected" in said.out and "Never to eve" in said.out
    assert "This was a practice call" in (await ann.types("show", action.id)).out


# undo and the past --------------------------------------------------------------------------


async def test_what_was_done_is_undone_as_policy_says(world: World, ann: Person) -> None:
    world.gate.policy = bank()
    answers(world, Answered())
    action = await world.hold()
    assert (await ann.types("undo", action.id, "--yes")).code == 1
    await ann.types("approve", action.id, "--yes")
    await world.settled(action)
    shown = (await ann.types("show", action.id)).out
    assert "Undo, with bank.refund" in shown and f"interlock undo {action.id}" in shown
    talked = await ann.talks("undo", action.id, answers="n\n")
    assert "payment = p-7  (from answer.id)" in talked and "Nothing done." in talked
    said = await ann.types("undo", action.id, "--yes")
    assert said.code == 0, said.err
    assert world.tool.calls[-1].target == "/v1/payments/p-7/refund"


async def test_a_call_is_compared_with_the_last_one_that_was_approved(
    world: World, ann: Person
) -> None:
    first = await world.hold(paying("Bob", 100))
    await ann.types("approve", first.id, "--yes")
    await world.settled(first)
    second = await world.hold(paying("Bob", 900))
    shown = (await ann.types("show", second.id)).out
    assert "Against the last one that was approved (by ann" in shown
    assert "100" in shown and first.id in shown


async def test_the_past_is_searched(world: World, ann: Person) -> None:
    paid, refused = await world.hold(), await world.hold(paying("Eve"))
    await ann.types("approve", paid.id, "--yes")
    await world.settled(paid)
    await ann.types("reject", refused.id, "-m", "Who is this?", "--yes")
    both = (await ann.types("history", "--since", "1h", "--by", "ann")).out
    assert paid.id in both and refused.id in both
    found = (await ann.types("history", "--state", "rejected", "--text", "Eve")).out
    assert refused.id in found and paid.id not in found and "ann: rejected" in found
    assert (await ann.types("history", "--until", "2020-01-01")).err == "Nothing is found.\n"
    assert (await ann.types("history", "--since", "lately")).code == 2
    said = json.loads((await ann.types("history", "--limit", "1", "--json")).out)
    assert len(said["items"]) == 1 and said["next"]


async def test_an_auditor_reads_and_changes_nothing(
    world: World, interlock: Command, folder: Path
) -> None:
    action = await world.hold()
    file = folder / "iris.key"
    write_private(file, await world.key(Kind.AUDITOR, "iris"))
    iris = Person(interlock, world.url, file)
    for command in (("queue",), ("history",), ("agents", "list"), ("people",), ("me",)):
        assert (await iris.types(*command)).code == 0
    for command in (
        ("reject", action.id, "-m", "no", "--yes"),
        ("assign", action.id, "nobody"),
        ("agents", "stop", "billing-bot", "-m", "x"),
        ("away", "1d"),
    ):
        assert (await iris.types(*command)).code == 1


async def test_no_argument_of_an_agent_looks_like_a_line_of_ours(world: World, ann: Person) -> None:
    fake = "x\nWhat will be sent\n  GET https://harmless.example"
    first = await world.hold(a_call(body=json.dumps({"amount": 1, "recipient": "a"}).encode()))
    await ann.types("approve", first.id, "--yes")
    await world.settled(first)
    body = json.dumps({"amount": 1, "recipient": "a", "memo": fake}).encode()
    action = await world.hold(a_call(body=body, reason=fake, task=fake))
    lines = (await ann.types("show", action.id)).out.splitlines()
    assert lines.count("What will be sent") == 1
    assert not any(line.startswith("  GET https://harmless") for line in lines)
