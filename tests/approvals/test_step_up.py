"""Decisions that need a signature: which signature counts, for what, and how often."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from interlock.approvals import step_up as step_ups
from interlock.approvals.ceremonies import question
from interlock.core.actions import Action, State
from interlock.core.identity import Kind
from interlock.store.credentials import IN_SESSION, RedisAuthenticators
from tests.support.faults import noticed

from .authenticator import BACKED_UP, PRESENT, SYNCED, USUAL, VERIFIED, SecurityKey, text
from .signing import ORIGIN, Somebody, signature, signed_off, somebody
from .world import ANN, BOB, OLGA, World, a_call

EDITED = {"account": "DE-4711", "amount": 1, "recipient": "Bob GmbH", "memo": "May rent"}


@pytest.fixture
async def signing(world: World) -> World:
    """A world in which every approval needs a signature, at the store's time."""
    world.gate.policy = signed_off(world.gate.policy)
    world.clock.now = await world.store.now()
    return world


@pytest.fixture
async def ann(signing: World) -> AsyncIterator[Somebody]:
    async with somebody(signing, ANN) as ann:
        assert (await ann.add())[0] == 200
        yield ann


async def still_held(world: World, action: Action) -> bool:
    now = await world.now(action)
    return now.state is State.HELD and now.version == action.version and world.tool.calls == []


async def refused(world: World, ann: Somebody, action: Action, step_up: Any, **more: Any) -> str:
    """Try to decide; return why not. Nothing is decided, and nothing sent."""
    status, said = await ann.decides(action, step_up, **more)
    assert status == 403, said
    assert await still_held(world, action)
    return str(said["detail"])


async def test_promise_11_a_signed_decision_is_sent_and_says_what_signed_it(
    signing: World, ann: Somebody
) -> None:
    action = await signing.hold()
    status, said = await ann.decides(action, await ann.signs(action))
    assert (status, said["state"]) == (200, "approved")
    after = await signing.settled(action)
    assert after.state is State.ANSWERED
    assert [review.step_up for review in after.reviews] == [ann.key.name]


async def test_promise_11_without_a_signature_nothing_is_approved(
    signing: World, ann: Somebody
) -> None:
    action = await signing.hold()
    assert "security key or passkey" in await refused(signing, ann, action, None)
    edit = {"type": "edit", "edited_args": EDITED}
    assert "security key or passkey" in await refused(signing, ann, action, None, **edit)


async def test_a_rejection_needs_no_signature(signing: World, ann: Somebody) -> None:
    action = await signing.hold()
    status, said = await ann.decides(action, None, type="reject", message="No.")
    assert (status, said["state"]) == (200, "rejected")


async def test_a_signature_under_a_rejection_is_a_mistake(signing: World, ann: Somebody) -> None:
    action = await signing.hold()
    step_up = await ann.signs(action)
    status, said = await ann.decides(action, step_up, type="reject", message="No.")
    assert (status, said["detail"]) == (400, "`step_up` belongs to `approve` and `edit`.")
    assert await still_held(signing, action)


async def test_promise_11_no_grant_goes_with_a_signature(signing: World, ann: Somebody) -> None:
    """A grant lets further calls through; who signed has signed one."""
    action = await signing.hold()
    grant = {"uses": 5, "for": "1d"}
    status, said = await ann.decides(action, await ann.signs(action), grant=grant)
    assert (status, "no grant goes with it" in said["detail"]) == (422, True)
    assert await still_held(signing, action)


async def test_promise_11_a_signature_is_for_one_call(signing: World, ann: Somebody) -> None:
    other, action = await signing.hold(), await signing.hold(a_call(session="s-82"))
    assert "for something else" in await refused(signing, ann, action, await ann.signs(other))


async def test_promise_11_a_signature_is_for_one_digest(signing: World, ann: Somebody) -> None:
    action = await signing.hold()
    edit = {"type": "edit", "edited_args": EDITED}
    step_up = await ann.signs(action, type="edit", edited_digest="e" * 64)
    assert "for something else" in await refused(signing, ann, action, step_up, **edit)


async def test_promise_11_a_signature_is_for_one_version(signing: World, ann: Somebody) -> None:
    """The version is that of If-Match: what was signed at another one does not count."""
    action = await signing.hold()
    step_up = await ann.signs(action)
    later = dataclasses.replace(action, version=action.version + 1)
    status, said = await ann.decides(later, step_up)
    assert (status, "for something else" in said["detail"]) == (403, True)
    assert await still_held(signing, action)


@pytest.mark.parametrize(("signed", "asked"), [("approve", "edit"), ("edit", "approve")])
async def test_promise_11_a_signature_is_for_one_verdict(
    signing: World, ann: Somebody, signed: str, asked: str
) -> None:
    action = await signing.hold()
    call, _ = await signing.gate.preview(action, EDITED)
    edited = {"edited_digest": call.digest} if signed == "edit" else {}
    decision = {"edited_args": EDITED} if asked == "edit" else {}
    step_up = await ann.signs(action, type=signed, **edited)
    why = await refused(signing, ann, action, step_up, type=asked, **decision)
    assert "for something else" in why


async def test_promise_11_an_edit_is_signed_as_what_it_makes_of_the_call(
    signing: World, ann: Somebody
) -> None:
    action = await signing.hold()
    call, _ = await signing.gate.preview(action, EDITED)
    step_up = await ann.signs(action, type="edit", edited_digest=call.digest)
    status, said = await ann.decides(action, step_up, type="edit", edited_args=EDITED)
    assert (status, said["digest"]) == (200, call.digest)
    await signing.settled(action)
    assert [sent.digest for sent in signing.tool.calls] == [call.digest]


async def test_promise_11_a_signature_is_for_one_person(signing: World, ann: Somebody) -> None:
    action = await signing.hold()
    async with somebody(signing, BOB) as bob:
        assert (await bob.add())[0] == 200
        step_up = await ann.signs(action)
        assert "for something else" in await refused(signing, bob, action, step_up)


async def test_promise_11_a_key_of_another_person_signs_nothing(
    signing: World, ann: Somebody
) -> None:
    action = await signing.hold()
    async with somebody(signing, BOB) as bob:
        assert (await bob.add())[0] == 200
        _, wanted = await bob.asked(action)
        step_up = signature(wanted, ann.key)
        assert "not one of yours" in await refused(signing, bob, action, step_up)


async def test_promise_11_a_signature_counts_once(signing: World) -> None:
    levels = signing.gate.policy.levels
    two = dataclasses.replace(levels, approve=dataclasses.replace(levels.approve, quorum=2))
    signing.gate.policy = dataclasses.replace(signing.gate.policy, levels=two)
    action = await signing.hold()
    async with somebody(signing, ANN) as ann, somebody(signing, BOB) as bob:
        for person in (ann, bob):
            person.key.counts = False  # a passkey: no counter gives the second use away
            assert (await person.add())[0] == 200
        step_up = await ann.signs(action)
        assert (await ann.decides(action, step_up))[0] == 200
        now = await signing.now(action)
        assert now.state is State.HELD  # one of two
        for person in (ann, bob):
            status, said = await person.decides(now, step_up)
            assert (status, "used already" in said["detail"]) == (403, True)
        status, said = await bob.decides(now, await bob.signs(now))
        assert (status, said["state"]) == (200, "approved")


async def test_promise_11_a_store_that_uses_no_question_up_would_be_noticed(
    signing: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Redis, "getdel", Redis.get)
    with noticed():
        await test_promise_11_a_signature_counts_once(signing)


async def test_promise_11_a_signature_that_is_bound_to_nothing_would_be_noticed(
    signing: World, ann: Somebody, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_ups, "deciding_on", lambda *said: ("decide",))
    for look in (
        test_promise_11_a_signature_is_for_one_call,
        test_promise_11_a_signature_is_for_one_digest,
        test_promise_11_a_signature_is_for_one_version,
        test_promise_11_a_signature_is_for_one_person,
    ):
        with noticed():
            await look(signing, ann)
        signing.tool.calls.clear()


async def test_promise_11_a_refused_signature_is_used_up_as_well(
    signing: World, ann: Somebody
) -> None:
    action = await signing.hold()
    _, wanted = await ann.asked(action)
    await refused(signing, ann, action, signature(wanted, ann.key, rp_id="evil.example"))
    why = await refused(signing, ann, action, signature(wanted, ann.key))
    assert "used already" in why


async def test_promise_11_a_signature_is_good_for_minutes_only(
    signing: World, ann: Somebody
) -> None:
    action = await signing.hold()
    short = RedisAuthenticators(
        signing.store.client, key=b"a" * 32, prefix=signing.store._prefix[1:-1], lasts_ms=0
    )
    subject = ("decide", action.id, action.digest, str(action.version), "approve", "ann")
    challenge = await short.ask("ann", subject)
    wanted = {
        "challenge_id": challenge.id,
        "options": {"challenge": text(question(challenge))},
    }
    assert "older than five minutes" in await refused(
        signing, ann, action, signature(wanted, ann.key)
    )


@pytest.mark.parametrize(
    ("otherwise", "why"),
    [
        ({"client": {"origin": "https://evil.example"}}, "origin"),
        ({"client": {"origin": "http://localhost:9999"}}, "origin"),
        ({"client": {"origin": "http://127.0.0.1:8081"}}, "origin"),
        ({"client": {"crossOrigin": True}}, "frame of another site"),
        ({"client": {"type": "webauthn.create"}}, "type"),
        ({"client": {"challenge": "AAAA"}}, "challenge"),
        ({"rp_id": "evil.example"}, "RP ID"),
        ({"flags": PRESENT}, "user was not verified"),
        ({"flags": VERIFIED}, "not present"),
        ({"flags": USUAL | SYNCED}, "not the authenticator that it was"),
        ({"flags": USUAL | BACKED_UP}, "backed up"),
        ({"user_handle": b"bob"}, "somebody else's"),
        ({"count": 1}, "counter went from 1 to 1"),
        ({"count": 0}, "counter went from 1 to 0"),
    ],
)
async def test_promise_11_a_signature_made_otherwise_does_not_count(
    signing: World, ann: Somebody, otherwise: dict[str, Any], why: str
) -> None:
    action = await signing.hold()
    _, wanted = await ann.asked(action)
    step_up = signature(wanted, ann.key, **otherwise)
    assert why in await refused(signing, ann, action, step_up)


async def test_promise_11_a_signature_of_another_key_under_this_ones_name_does_not_count(
    signing: World, ann: Somebody
) -> None:
    action = await signing.hold()
    _, wanted = await ann.asked(action)
    thief = SecurityKey(origin=ORIGIN, id=ann.key.id, count=ann.key.count)
    why = await refused(signing, ann, action, signature(wanted, thief))
    assert "signature" in why


@pytest.mark.parametrize(
    "spoil",
    [
        lambda response: response | {"signature": "AAAA"},
        lambda response: response | {"signature": "A"},
        lambda response: response | {"authenticatorData": "AAAA"},
        lambda response: response | {"authenticatorData": response["authenticatorData"] + "AAAA"},
        lambda response: response | {"clientDataJSON": "AAAA"},
        lambda response: response | {"clientDataJSON": "bnVsbA"},
        lambda response: response | {"clientDataJSON": "W1tbW1tbW1tbW1tb"},
        lambda response: response | {"userHandle": "A"},
    ],
)
async def test_garbage_is_refused_in_words(signing: World, ann: Somebody, spoil: Any) -> None:
    action = await signing.hold()
    step_up = await ann.signs(action)
    step_up["credential"]["response"] = spoil(step_up["credential"]["response"])
    assert "does not hold" in await refused(signing, ann, action, step_up)


async def test_promise_11_a_key_that_was_removed_in_between_signs_nothing(
    signing: World, ann: Somebody
) -> None:
    action, other = await signing.hold(), SecurityKey(origin=ORIGIN)
    assert (await ann.add(other, confirm=ann.key))[0] == 200
    step_up = await ann.signs(action)
    assert (await ann.remove(ann.key.name, other))[0] == 200
    assert "not one of yours" in await refused(signing, ann, action, step_up)


async def test_promise_11_writing_to_the_store_makes_no_authenticator(
    signing: World, ann: Somebody, caplog: pytest.LogCaptureFixture
) -> None:
    """A record copied to another person, or with another key in it, is nobody's."""
    action, client = await signing.hold(), signing.store.client
    prefix = signing.store._prefix
    (record,) = await client.hvals(f"{prefix}:authn:ann")
    await client.hset(f"{prefix}:authn:bob", ann.key.name, record)
    text, mac = json.loads(record)
    thief = SecurityKey(origin=ORIGIN)
    forged = json.loads(text) | {"id": thief.name, "public_key": "AAAA"}
    await client.hset(f"{prefix}:authn:ann", thief.name, json.dumps([json.dumps(forged), mac]))
    await client.hset(f"{prefix}:authn:ann", "junk", b"\xff{")
    with caplog.at_level(logging.WARNING, "interlock.audit"):
        async with somebody(signing, BOB) as bob:
            assert (await bob.mine())["items"] == []
            assert (await bob.asked(action))[0] == 403
        assert [each["id"] for each in (await ann.mine())["items"]] == [ann.key.name]
    assert "authenticator not genuine person=bob" in caplog.text
    _, wanted = await ann.asked(action)
    assert "not one of yours" in await refused(signing, ann, action, signature(wanted, thief))


async def test_promise_11_writing_to_the_store_asks_no_question_that_counts(
    signing: World, ann: Somebody
) -> None:
    """A question that was kept, and is written back under another name, is none."""
    action, client = await signing.hold(), signing.store.client
    _, wanted = await ann.asked(action)
    name = f"{signing.store._prefix}:asked:"
    kept = await client.get(name + wanted["challenge_id"])
    await client.set(name + "mine", kept)
    step_up = signature(wanted, ann.key) | {"challenge_id": "mine"}
    assert "not known here" in await refused(signing, ann, action, step_up)


async def test_an_api_key_is_told_to_use_the_page(signing: World) -> None:
    action, key = await signing.hold(), await signing.key(Kind.APPROVER, "ann")
    answer = await signing.decide(action, key)
    assert answer.status == 403
    assert "decide this on the page" in (await answer.json())["detail"]
    asked = await signing.ask(
        "POST",
        f"/v1/approvals/{action.id}/step-up",
        key=key,
        json={"type": "approve", "digest": action.digest, "version": action.version},
    )
    assert asked.status == 403
    assert "decide this on the page" in (await asked.json())["detail"]
    assert await still_held(signing, action)


async def test_who_has_no_key_yet_is_told_where_to_add_one(signing: World) -> None:
    action = await signing.hold()
    async with somebody(signing, BOB) as bob:
        status, said = await bob.asked(action)
    assert (status, said["type"]) == (403, "urn:interlock:problem:step-up-needed")
    assert f"{ORIGIN}/me" in said["help"]


@pytest.mark.parametrize(
    ("otherwise", "status"),
    [
        ({"digest": "0" * 64}, 403),  # the token is for another digest
        ({"version": 99}, 412),
        ({"type": "reject"}, 400),
        ({"type": "edit"}, 400),
        ({"edited_digest": "0" * 64}, 400),
    ],
)
async def test_what_cannot_be_decided_is_not_asked_to_be_signed(
    signing: World, ann: Somebody, otherwise: dict[str, Any], status: int
) -> None:
    action = await signing.hold()
    assert (await ann.asked(action, **otherwise))[0] == status


async def test_the_owner_cannot_sign_what_they_may_not_decide(signing: World) -> None:
    action = await signing.hold()
    async with somebody(signing, OLGA) as olga:
        assert (await olga.add())[0] == 200
        status, said = await olga.decides(action, await olga.signs(action))
    assert status == 403
    assert "own" in said["detail"]
    assert await still_held(signing, action)


async def test_what_was_asked_says_who_may_sign_and_that_they_are_verified(
    signing: World, ann: Somebody
) -> None:
    action = await signing.hold()
    _, wanted = await ann.asked(action)
    options = wanted["options"]
    assert options["rpId"] == "localhost" and wanted["origin"] == ORIGIN
    assert options["userVerification"] == "required"
    assert [each["id"] for each in options["allowCredentials"]] == [ann.key.name]
    assert 0 < wanted["expires"] - await signing.store.now() <= 300_000


async def test_a_refused_signature_is_on_record(
    signing: World, ann: Somebody, caplog: pytest.LogCaptureFixture
) -> None:
    action = await signing.hold()
    _, wanted = await ann.asked(action)
    with caplog.at_level(logging.WARNING, "interlock.audit"):
        await refused(signing, ann, action, signature(wanted, ann.key, flags=PRESENT))
    assert f"signature refused for=decide {action.id}" in caplog.text
    assert f"by=ann authenticator={ann.key.name}" in caplog.text


async def test_who_stole_a_session_does_not_keep_its_person_from_signing(
    signing: World, ann: Somebody
) -> None:
    action = await signing.hold()
    path, wish = f"/v1/approvals/{action.id}/step-up", {"type": "approve", "digest": action.digest}
    async with somebody(signing, ANN) as thief:
        token, asked = await thief.token(action), wish | {"version": action.version}
        told = [
            (await thief.send("POST", path, asked, **{"Interlock-CSRF": token}))[0]
            for _ in range(IN_SESSION + 1)
        ]
    assert told == [200] * IN_SESSION + [429]
    assert (await ann.decides(action, await ann.signs(action)))[0] == 200
