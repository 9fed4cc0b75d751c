"""Consent: what people approve is what is sent, and nobody else's word counts."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest

from interlock.core.actions import Action, Reviewer, State, ToolCall, Verdict
from interlock.core.clearance import Seals, _Kept
from interlock.core.content import parse_content
from interlock.core.decisions import Level
from interlock.core.digest import clearance, digest, former_clearance, seal, seal_record
from interlock.core.errors import Forbidden, IllegalTransition, StaleVersion, StoreUnavailable
from interlock.core.facts import Grant
from interlock.granting import GrantAsked
from interlock.store.codec import encode_call
from interlock.store.redis import RedisStore
from interlock.upstream.http import HttpSettings, HttpUpstream
from tests.support.builders import ANN, BOB, CAT, a_call, a_review, edited
from tests.support.fakes import SEAL_KEY, World, a_policy, approved_and_crashed, both, freeze
from tests.support.faults import noticed, plant
from tests.support.servers import Received, raw_server
from tests.support.stores import Server, fresh_prefix


@pytest.fixture
async def world(store: RedisStore) -> AsyncIterator[World]:
    world = World(store)
    yield world
    await world.gate.close(10)


@pytest.fixture
async def other_store(server: Server) -> AsyncIterator[RedisStore]:
    """A second store, to plant faults in."""
    store = RedisStore(server.url, fresh_prefix())
    yield store
    await store.close()


# 1: what you approve is what is sent ---------------------------------------------------------

BODIES = {
    b'{ "amount" :\t9.00 }': "application/json",
    b'{"b":1,"a":2}': "application/json",
    b"\xff\x00\r\n\r\nGET / HTTP/1.1": "application/octet-stream",
    b"b=2&a=%7E": "application/x-www-form-urlencoded",
}


def as_received(call: ToolCall, received: Received) -> ToolCall:
    """Build the call anew from nothing but what came over the wire."""
    names = [name.lower() for name, _ in call.headers]
    headers = tuple(pair for pair in received.headers if pair[0].lower() in names)
    method, target, _ = received.line.split(" ")
    return replace(call, method=method, target=target, headers=headers, body=received.body)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("body", BODIES)
async def test_promise_01_the_bytes_on_the_wire_hash_to_the_approved_digest(
    store: RedisStore, method: str, body: bytes
) -> None:
    async with raw_server() as server, contextlib.AsyncExitStack() as stack:
        upstream = HttpUpstream(HttpSettings(url=server.url, allow_private=True))
        stack.push_async_callback(upstream.close)
        world = World(store, upstreams={"bank": upstream})
        target = "/pay/%7Ebob?to=b%20b&x=%E2%82%AC"
        content, headers = parse_content(BODIES[body], body), (("Content-Type", BODIES[body]),)
        call = a_call(method, target)
        call = seal(replace(call, body=body, content=content, headers=headers))
        held = (await world.gate.submit(call)).action  # a call in no entry is held
        await store.attend(held.id, 60)
        approved = await world.says(held)
        await world.quiet()

        assert server.hits == 1
        assert digest(as_received(call, server.requests[0])) == approved.votes[0].digest


Forgery = Callable[[World, Action], Awaitable[None]]


def swapped(call: ToolCall) -> ToolCall:
    return seal(replace(call, body=b'{"amount": 99999}'))


async def other_bytes(world: World, action: Action) -> None:
    """The call's bytes are changed, its digests are left."""
    call = replace(swapped(action.call), digest=action.digest)
    await world.forge(action, call=encode_call(call, keep_body=True))


async def other_call(world: World, action: Action) -> None:
    """The call is changed together with every digest in the store."""
    call = swapped(action.call)
    record = json.loads((await world.raw(action))[b"rec"])
    for review in record["votes"] + record["reviews"]:
        review["digest"] = call.digest
    await world.forge(
        action,
        call=encode_call(call, keep_body=True),
        digest=call.digest,
        adigest=call.digest,
        rec=json.dumps(record),
    )


async def slipped_edit(world: World, action: Action) -> None:
    """A call that nobody saw is slipped in as if a person had edited."""
    call = swapped(action.call)
    await world.forge(action, call2=encode_call(call, keep_body=True))


async def other_digest(world: World, action: Action) -> None:
    await world.forge(action, digest="f" * 64, adigest="f" * 64)


@pytest.mark.parametrize("tamper", [other_bytes, other_call, slipped_edit, other_digest])
async def test_promise_01_a_call_that_was_changed_in_the_store_is_never_sent(
    world: World, tamper: Forgery
) -> None:
    approved = await approved_and_crashed(world)
    await tamper(world, approved)

    await denied_and_not_sent(world, approved)


async def denied_and_not_sent(world: World, action: Action) -> None:
    await world.gate.sweep()
    after = await world.now(action)
    assert world.tool.sent == []
    assert after.state is State.DENIED
    told = ("changed outside Interlock", "not genuine", "not the call that was approved")
    assert any(words in after.cause for words in told)
    assert (await world.path(action))[-1] == "denied", "recorded"
    assert [m.state for *_, m in world.seen.moves] == [State.DENIED], "told to observers"


async def test_promise_01_a_gate_that_does_not_check_would_be_noticed(world: World) -> None:
    class Trusting(Seals):
        def refusal(self, action: Action, now: object, at: int) -> None:
            return None

    trusting = World(world.store, "t")
    trusting.gate.judging.seals = Trusting(SEAL_KEY)
    approved = await approved_and_crashed(world)
    await other_call(world, approved)

    with noticed():
        await denied_and_not_sent(trusting, approved)
    assert trusting.tool.sent, "without the check it is sent"


@pytest.mark.parametrize("garbage", [b"", b"[]", b"{}", b"null", b"\xff", b"[" * 100_000])
async def test_promise_01_a_damaged_record_is_never_sent(world: World, garbage: bytes) -> None:
    approved = await approved_and_crashed(world)
    for field in ("rec", "call"):
        await world.forge(approved, **{field: garbage})

        with pytest.raises(StoreUnavailable, match="damaged"):
            await world.gate.get(approved.id)
    await world.gate.sweep()
    await world.quiet()
    assert world.tool.sent == []


# 43: writing to the store forges nothing -------------------------------------------------------


async def forge_votes(world: World, action: Action, *votes: tuple[str, str]) -> None:
    """Write an approval by hand: (reviewer, mac) each, with all that the scripts would write."""
    record = json.loads((await world.raw(action))[b"rec"])
    record["votes"] = [
        {
            "reviewer": who,
            "groups": [],
            "verdict": "approve",
            "digest": action.digest,
            "version": action.version,
            "message": "",
            "reason_code": "",
            "policy": world.gate.policy.ref.sha256,
            "at": action.created,
            "mac": mac,
        }
        for who, mac in votes
    ]
    await world.forge(
        action,
        st="approved",
        rec=json.dumps(record),
        adigest=action.digest,
        deadline=action.deadline,
        lapses=action.deadline,
        **{f"by:{who}": mac for who, mac in votes},
    )
    await world.store.client.sadd(f"{world.store._prefix}:ready", action.id)  # type: ignore[misc]
    world.seen.moves.clear()


@pytest.mark.parametrize("mac", ["", "0" * 64, "guess"])
async def test_promise_43_an_approval_written_into_the_store_sends_nothing(
    world: World, mac: str
) -> None:
    held = await world.held()
    await forge_votes(world, held, ("ann", mac))

    await denied_and_not_sent(world, held)


async def test_promise_43_an_approval_sealed_with_another_key_sends_nothing(world: World) -> None:
    held = await world.held()
    review = a_review(held, policy=world.gate.policy.ref.sha256)
    forged = clearance(review, held.id, b"another key")
    await forge_votes(world, held, ("ann", forged))

    await denied_and_not_sent(world, held)


async def test_promise_43_a_vote_for_another_call_does_not_count(world: World) -> None:
    voted = await approved_and_crashed(world, body=b'{"amount": 5}')
    await world.says(voted, BOB, Verdict.REJECT)
    held = await world.held()
    await forge_votes(world, held, ("ann", voted.votes[0].mac))

    await denied_and_not_sent(world, held)


async def test_promise_43_one_vote_under_two_names_is_one_vote(world: World) -> None:
    held = await world.held(Level.APPROVE_DUAL)
    mac = (await world.says(held)).votes[0].mac
    await forge_votes(world, held, ("ann", mac), ("bob", mac))

    await denied_and_not_sent(world, held)


async def test_promise_43_a_lowered_quorum_or_level_changes_nothing(world: World) -> None:
    held = await world.held(Level.APPROVE_DUAL)
    voted = await world.says(held)
    await forge_votes(world, held, ("ann", voted.votes[0].mac))
    record = json.loads((await world.raw(held))[b"rec"])
    record["decision"] |= {"quorum": 0, "level": int(Level.ALLOW)}
    await world.forge(held, rec=json.dumps(record), quorum=0)

    await denied_and_not_sent(world, held)


@pytest.mark.parametrize(
    "lie",
    [
        {"quorum": 1, "level": int(Level.APPROVE)},
        {"approvers": ["guests"]},
        {"arguments": '{"amount": 1}'},
        {"description": "Harmless."},
        {"orphans": "execute", "stake": 0},
    ],
)
async def test_promise_43_a_record_that_was_changed_is_neither_decided_nor_believed(
    world: World, lie: dict[str, object]
) -> None:
    held = await world.held(Level.APPROVE_DUAL)
    record = json.loads((await world.raw(held))[b"rec"])
    record["decision"] |= lie
    await world.forge(held, rec=json.dumps(record), quorum=1)
    changed = await world.now(held)

    assert world.gate.genuine(held) and not world.gate.genuine(changed)
    with pytest.raises(IllegalTransition, match="changed outside Interlock"):
        await world.says(changed)
    assert world.tool.sent == []


WORDS: dict[str, dict[str, object]] = {
    "words": {"message": "Olga called: approve it too."},
    "reason": {"reason_code": "urgent"},
    "time": {"at": 1},
    "version": {"version": 0},
}


async def answers(world: World, held: Action, lie: dict[str, object]) -> Action:
    """Change what the store says of the first answer; return the call as it is read then."""
    record = json.loads((await world.raw(held))[b"rec"])
    for each in (record["reviews"][0], *record["votes"][:1]):
        each |= lie
    await world.forge(held, rec=json.dumps(record))
    return await world.now(held)


async def a_changed_answer_is_shown_to_nobody(world: World, lie: dict[str, object]) -> None:
    held = await world.held(Level.APPROVE_DUAL)
    await world.says(held)
    changed = await answers(world, held, lie)

    assert not world.gate.genuine(changed)
    with pytest.raises(IllegalTransition, match="changed outside Interlock"):
        await world.says(changed, BOB)
    assert (await world.says(changed, BOB, Verdict.REJECT)).state is State.REJECTED
    assert world.tool.sent == []


@pytest.mark.parametrize("lie", WORDS)
async def test_promise_43_no_words_are_put_into_an_approvers_mouth(world: World, lie: str) -> None:
    await a_changed_answer_is_shown_to_nobody(world, WORDS[lie])


@pytest.mark.parametrize("lie", WORDS)
async def test_promise_43_an_approved_call_whose_answer_was_changed_is_not_sent(
    world: World, lie: str
) -> None:
    approved = await approved_and_crashed(world)
    await answers(world, approved, WORDS[lie])

    await denied_and_not_sent(world, approved)


async def test_promise_43_seals_that_leave_words_out_would_be_noticed(world: World) -> None:
    class Wordless(Seals):
        def _form(self, action: Action, review: object) -> _Kept:
            return _Kept.OURS

    wordless = World(world.store, "t")
    wordless.gate.judging.seals = Wordless(SEAL_KEY)

    with noticed():
        await a_changed_answer_is_shown_to_nobody(wordless, WORDS["words"])


async def test_promise_43_an_answer_that_was_taken_out_is_missed(world: World) -> None:
    held = await world.held(Level.APPROVE_DUAL)
    await world.says(held)
    record = json.loads((await world.raw(held))[b"rec"])
    await world.forge(held, rec=json.dumps(record | {"votes": [], "reviews": []}))
    await world.store.client.hdel(f"{world.store._prefix}:c:{held.id}", "by:ann")  # type: ignore[misc]

    with pytest.raises(IllegalTransition, match="changed outside Interlock"):
        await world.says(await world.now(held), BOB)
    assert world.tool.sent == []


async def as_before_the_upgrade(world: World, action: Action) -> Action:
    """Write *action* as a version did in which people's words were under no MAC."""
    record = json.loads((await world.raw(action))[b"rec"])
    for each, review in zip(record["reviews"], action.reviews, strict=True):
        each["mac"] = former_clearance(review, action.id, SEAL_KEY)
    record["votes"] = record["reviews"]
    record["seal"] = seal_record(replace(action, reviews=(), votes=()), SEAL_KEY)
    await world.forge(action, rec=json.dumps(record))
    return await world.now(action)


async def test_promise_43_an_approval_from_before_the_upgrade_is_asked_for_again(
    world: World,
) -> None:
    held = await world.held(Level.APPROVE_DUAL)
    old = await as_before_the_upgrade(world, await world.says(held))

    with pytest.raises(IllegalTransition, match="before Interlock was upgraded.*decided again"):
        await world.says(old, BOB)
    assert (await world.says(old, BOB, Verdict.REJECT)).state is State.REJECTED
    approved = await as_before_the_upgrade(world, await approved_and_crashed(world))
    await world.gate.sweep()
    after = await world.now(approved)
    assert after.state is State.DENIED and "before Interlock was upgraded" in after.cause
    assert world.tool.sent == []


async def test_promise_43_rolling_a_sent_call_back_does_not_send_it_again(world: World) -> None:
    held = await world.held()
    await world.says(held)
    sent = await world.now(held)
    assert sent.state is State.ANSWERED
    await world.forge(sent, st="approved", deadline=held.deadline, lapses=held.deadline)
    await world.store.client.sadd(f"{world.store._prefix}:ready", held.id)  # type: ignore[misc]
    await world.gate.sweep()
    await world.quiet()

    assert len(world.tool.sent) == 1
    assert (await world.now(held)).state is State.DENIED


async def test_promise_43_a_gate_that_believes_the_store_would_be_noticed(world: World) -> None:
    class Believing(Seals):
        def counts(self, action: Action, vote: object) -> bool:
            return True

        def doubt(self, action: Action) -> str:
            return ""

    believing = World(world.store, "t")
    believing.gate.judging.seals = Believing(SEAL_KEY)
    held = await world.held()
    await forge_votes(believing, held, ("ann", ""))

    with noticed():
        await denied_and_not_sent(believing, held)
    assert believing.tool.sent


# 5: an edit voids votes and is judged again ----------------------------------------------------


async def edit_needs_new_votes(world: World) -> None:
    held = await world.held(Level.APPROVE_DUAL)
    await world.says(held, ANN)
    call = edited(held, b'{"amount": 5}')
    voted = await world.now(held)
    after = await world.says(voted, BOB, Verdict.EDIT, call=call)
    assert after.state is State.HELD and [v.reviewer.id for v in after.votes] == ["bob"]
    assert world.tool.sent == []
    again = await world.says(after, ANN)
    assert again.state is State.APPROVED
    assert (await world.now(held)).state is State.ANSWERED and world.tool.sent == [call]


async def test_promise_05_an_edit_voids_every_earlier_vote(world: World) -> None:
    await edit_needs_new_votes(world)


async def test_promise_05_a_store_that_keeps_votes_would_be_noticed(
    other_store: RedisStore,
) -> None:
    with noticed():
        await edit_needs_new_votes(World(plant(other_store, "keepvotes")))


async def test_promise_05_an_edit_is_judged_by_the_policy_of_now(world: World) -> None:
    held = await world.held(Level.APPROVE_DUAL)
    world.gate.policy = a_policy(freeze("wire").rstrip() + "\n    when: args.amount == 5\n")

    with pytest.raises(Exception, match="deny"):
        await world.says(held, ANN, Verdict.EDIT, call=edited(held, b'{"amount": 5}'))
    assert (await world.now(held)).version == held.version


# 6, 8, 9: who decides, on what -----------------------------------------------------------------


async def test_promise_06_a_decision_on_what_was_changed_since_is_stale(world: World) -> None:
    held = await world.held(Level.APPROVE_DUAL)
    await world.says(held, ANN, Verdict.EDIT, call=edited(held, b'{"amount": 5}'))

    for stale in (held, replace(held, version=held.version + 1)):
        with pytest.raises(StaleVersion):
            await world.says(stale, BOB)


async def two_people_decide(world: World) -> None:
    held = await world.held(Level.APPROVE_DUAL)
    for who in (Reviewer(id="bot"), Reviewer(id="olga"), ANN, ANN):
        try:
            await world.says(await world.now(held), who)
        except Exception as refused:
            assert who is ANN or refused.status == 403  # type: ignore[attr-defined]
    assert (await world.now(held)).state is State.HELD and world.tool.sent == []
    await world.says(await world.now(held), CAT)
    assert (await world.now(held)).state is State.ANSWERED


async def test_promise_08_a_person_counts_once_and_those_concerned_never(world: World) -> None:
    await two_people_decide(world)


async def test_promise_09_only_a_stricter_policy_applies_to_a_call_that_waits(
    world: World,
) -> None:
    world.gate.policy = a_policy(both("pay"))
    held = await world.held()
    world.gate.policy = a_policy()
    assert (await world.says(held)).state is State.HELD, "looser now: still two people"

    other = await world.held(body=b'{"amount": 1}')
    world.gate.policy = a_policy(both("pay"))
    assert (await world.says(other)).state is State.HELD, "stricter now: two people"
    assert world.tool.sent == []


ESCALATING = """
levels:
  approve: {approvers: [clerks], escalate: [{after: 15m, to: [chiefs]}]}
"""
CLEO = Reviewer(id="cleo", groups=frozenset({"chiefs"}))


async def test_promise_09_only_the_escalation_that_policy_named_widens_the_approvers(
    world: World,
) -> None:
    world.gate.policy = a_policy(ESCALATING)
    held = await world.held()
    world.gate.policy = a_policy(ESCALATING.replace("clerks", "chiefs"))
    for who in (CLEO, BOB, Reviewer(id="olga", groups=frozenset({"clerks"}))):
        with pytest.raises(Forbidden):
            await world.says(held, who)

    at = await world.store.now()
    await world.forge(held, created=at - 15 * 60_000)
    later = await world.now(held)
    for who in (BOB, Reviewer(id="olga", groups=frozenset({"chiefs"}))):
        with pytest.raises(Forbidden):
            await world.says(later, who)
    assert (await world.says(later, CLEO)).state is State.APPROVED


async def test_promise_09_groups_that_are_slipped_into_the_record_decide_nothing(
    world: World,
) -> None:
    world.gate.policy = a_policy(ESCALATING)
    held = await world.held()
    record = json.loads((await world.raw(held))[b"rec"])
    text = json.dumps(record).replace("chiefs", "guests").replace("clerks", "guests")
    assert text.count("guests") >= 2
    await world.forge(held, rec=text)
    guest = Reviewer(id="gus", groups=frozenset({"guests"}))

    with pytest.raises(IllegalTransition, match="changed outside Interlock"):
        await world.says(await world.now(held), guest)
    assert world.tool.sent == []


# 43, grants: nobody lowers a level by writing to the store ---------------------------------------

GRANTS = "\napprovals: {grants: {tools: [bank.pay], at_most: notify, longest: 1h, uses: 3}}\n"
TO_BOB = GrantAsked(uses=3, seconds=3600)


async def a_grant(world: World) -> Grant:
    """Let a person give a grant, and take it out of the store again: an intruder has seen it."""
    world.gate.policy = a_policy(GRANTS, target="to")
    held = await world.held()
    vote = a_review(held, message="fine")
    await world.gate.review(held.id, vote, grant=TO_BOB)
    (grant,) = await world.gate.grants()
    await world.gate.take_back(grant.id, "ann")
    await world.quiet()
    world.tool.sent.clear()
    return grant


FORGED: dict[str, dict[str, object]] = {
    "nothing signed": {"mac": ""},
    "signed with another key": {"mac": "0" * 64},
    "no text": {"mac": "\u00e9"},
    "used more often": {"uses": 1000},
    "for longer": {"expires": 2_000_000_000_000},
    "for another agent": {"agent": "eve"},
}


async def forged_grants_let_nothing_through(world: World, lies: dict[str, object]) -> None:
    grant = replace(await a_grant(world), id="forged", **lies)
    await world.store.give(grant)

    asked = await world.ask(body=b'{"amount": 1}', agent=grant.agent)

    assert asked.action.state is State.HELD and world.tool.sent == []
    assert await world.gate.grants() == ()


@pytest.mark.parametrize("lie", FORGED)
async def test_promise_43_a_grant_written_into_the_store_lets_nothing_through(
    world: World, lie: str
) -> None:
    await forged_grants_let_nothing_through(world, FORGED[lie])


async def test_promise_43_a_grant_put_in_the_place_of_another_target_is_none(world: World) -> None:
    grant = await a_grant(world)
    other = replace(world.call(body=b'{"amount": 1}'), target="/pay?to=eve", query=(("to", "eve"),))
    key = world.gate.judging.grant_key(other)
    assert key and key != grant.key
    await world.store.give(replace(grant, key=key))

    assert (await world.gate.submit(seal(other))).action.state is State.HELD


async def test_promise_43_a_gate_that_believes_grants_would_be_noticed(world: World) -> None:
    world.gate.judging.genuine_grant = lambda grant: True  # type: ignore[method-assign]

    with noticed():
        await forged_grants_let_nothing_through(world, FORGED["nothing signed"])
    assert world.tool.sent, "without the check it is sent"
