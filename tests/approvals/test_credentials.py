"""Security keys and passkeys: who may add and remove them, and what a new one must be."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import cbor2
import pytest

from interlock.core.identity import Kind

from .authenticator import BACKED_UP, PRESENT, SYNCED, USUAL, SecurityKey, data, text
from .signing import MINE, ORIGIN, Somebody, signature, somebody
from .world import ANN, BOB, World

MINUTE = 60_000


@pytest.fixture
async def signing(world: World) -> World:
    world.clock.now = await world.store.now()
    return world


@pytest.fixture
async def ann(signing: World) -> AsyncIterator[Somebody]:
    async with somebody(signing, ANN) as ann:
        yield ann


async def names(person: Somebody) -> list[str]:
    return [each["id"] for each in (await person.mine())["items"]]


async def test_a_person_who_just_signed_in_adds_their_first(
    ann: Somebody, caplog: pytest.LogCaptureFixture
) -> None:
    before = await ann.mine()
    assert (before["items"], before["why_not"], before["origin"]) == ([], "", ORIGIN)
    with caplog.at_level(logging.WARNING, "interlock.audit"):
        status, said = await ann.add()
    assert status == 200
    assert (said["id"], said["label"], said["transports"]) == (ann.key.name, "blue key", ["usb"])
    assert await names(ann) == [ann.key.name]
    line = f"authenticator added person=ann id={ann.key.name} label=blue key"
    assert line in caplog.text


async def test_a_session_that_has_been_open_for_a_while_adds_no_first_one(signing: World) -> None:
    """A stolen session cannot give itself a key; a person signs in again."""
    signing.clock.now -= 11 * MINUTE
    async with somebody(signing, ANN) as ann:
        signing.clock.now += 11 * MINUTE
        status, said = await ann.add()
        assert (status, "sign in again" in said["detail"]) == (403, True)
        assert "sign in again" in (await ann.mine())["why_not"]
        async with somebody(signing, ANN) as fresh:
            _, wanted = await fresh.wish("add")
        body = {
            "challenge_id": wanted["challenge_id"],
            "credential": ann.key.make(wanted["create"]),
            "label": "blue key",
        }
        assert (await ann.change(MINE, body))[0] == 403
        assert await names(ann) == []


async def test_a_further_one_is_confirmed_with_one_that_is_there(
    signing: World, ann: Somebody
) -> None:
    await ann.add()
    second = SecurityKey(origin=ORIGIN)
    signing.clock.now -= 60 * MINUTE
    async with somebody(signing, ANN) as later:  # a session of an hour ago
        signing.clock.now += 60 * MINUTE
        assert (await later.add(second))[0] == 403
        assert (await later.add(second, confirm=second))[0] == 403
        assert (await later.add(second, confirm=ann.key))[0] == 200
    assert await names(ann) == [ann.key.name, second.name]


async def test_a_confirmation_is_for_the_one_that_was_asked_for(ann: Somebody) -> None:
    await ann.add()
    second = SecurityKey(origin=ORIGIN)
    (_, one), (_, two) = await ann.wish("add"), await ann.wish("add")
    body = {
        "challenge_id": one["challenge_id"],
        "credential": second.make(one["create"]),
        "label": "mine",
        "confirmed": signature(two["confirm"], ann.key),
    }
    assert (await ann.change(MINE, body))[0] == 403
    assert await names(ann) == [ann.key.name]


async def test_a_signature_under_a_decision_confirms_nothing_else(
    signing: World, ann: Somebody
) -> None:
    await ann.add()
    action = await signing.hold()
    step_up = await ann.signs(action)
    status, _ = await ann.change(f"{MINE}/{ann.key.name}", {"confirmed": step_up}, "DELETE")
    assert status == 403
    assert await names(ann) == [ann.key.name]


async def test_removing_one_needs_a_signature_and_is_on_record(
    signing: World, ann: Somebody, caplog: pytest.LogCaptureFixture
) -> None:
    await ann.add()
    thief = SecurityKey(origin=ORIGIN)
    assert (await ann.remove(ann.key.name, thief))[0] == 403
    assert await names(ann) == [ann.key.name]
    with caplog.at_level(logging.WARNING, "interlock.audit"):
        assert (await ann.remove(ann.key.name))[0] == 200
    assert f"authenticator removed person=ann id={ann.key.name}" in caplog.text
    assert await names(ann) == []
    assert await signing.store.client.hexists(
        f"{signing.store._prefix}:authn-gone:ann", ann.key.name
    )


async def test_nobody_removes_anothers(signing: World, ann: Somebody) -> None:
    await ann.add()
    async with somebody(signing, BOB) as bob:
        await bob.add()
        assert (await bob.remove(ann.key.name))[0] == 404
        _, wanted = await bob.wish("remove", id=bob.key.name)
        confirmed = signature(wanted["confirm"], bob.key)
        path = f"{MINE}/{ann.key.name}"
        assert (await bob.change(path, {"confirmed": confirmed}, "DELETE"))[0] == 404
    assert await names(ann) == [ann.key.name]


async def test_the_same_one_is_not_added_twice_nor_after_it_was_removed(ann: Somebody) -> None:
    await ann.add()
    assert (await ann.add(confirm=ann.key))[0] == 409
    other = SecurityKey(origin=ORIGIN)
    assert (await ann.add(other, confirm=ann.key))[0] == 200
    assert (await ann.remove(ann.key.name))[0] == 200
    status, said = await ann.add(ann.key, confirm=other)
    assert (status, said["detail"]) == (409, "You have added this one before.")


async def test_of_two_firsts_at_once_one_is_kept(ann: Somebody) -> None:
    keys = SecurityKey(origin=ORIGIN), SecurityKey(origin=ORIGIN)
    wanted = [(await ann.wish("add"))[1] for _ in keys]
    bodies = [
        {
            "challenge_id": each["challenge_id"],
            "credential": key.make(each["create"]),
            "label": "x",
        }
        for key, each in zip(keys, wanted, strict=True)
    ]
    found = await asyncio.gather(*(ann.change(MINE, body) for body in bodies))
    assert sorted(status for status, _ in found) in ([200, 403], [200, 409])
    assert len(await names(ann)) == 1


@pytest.mark.parametrize(
    ("otherwise", "why"),
    [
        ({"client": {"origin": "https://evil.example"}}, "origin"),
        ({"client": {"crossOrigin": True}}, "frame of another site"),
        ({"client": {"type": "webauthn.get"}}, "type"),
        ({"client": {"challenge": "AAAA"}}, "challenge"),
        ({"rp_id": "evil.example"}, "RP ID"),
        ({"flags": PRESENT}, "not verified"),
        ({"flags": USUAL | BACKED_UP}, "backed up"),
        ({"whole": {"authData": b""}}, "0 bytes"),
        ({"whole": {"fmt": "android-safetynet"}}, "names its maker"),
        ({"whole": {"fmt": "packed", "attStmt": {"x5c": [b"a"]}}}, "names its maker"),
        ({"whole": {"attStmt": {"sig": b"a"}}}, "None attestation"),
    ],
)
async def test_what_was_made_otherwise_is_not_taken(
    ann: Somebody, otherwise: dict[str, Any], why: str
) -> None:
    status, said = await ann.add(**otherwise)
    assert status == 403
    assert why in said["detail"]
    assert await names(ann) == []


@pytest.mark.parametrize(
    "public_key",
    [
        cbor2.dumps({1: 2, 3: -7, -1: 1, -2: b"\1" * 32, -3: b"\2" * 32}),  # not on the curve
        cbor2.dumps({1: 3, 3: -257, -1: b"\xff" * 64, -2: b"\1\0\1"}),  # 512 bits
        cbor2.dumps({1: 3, 3: -257, -1: b"\xff" * 256, -2: b"\3"}),
        cbor2.dumps({1: 2, 3: -7}),
        cbor2.dumps([1]),
        cbor2.dumps("x"),
    ],
)
async def test_a_key_that_verifies_nothing_or_anything_is_not_taken(
    ann: Somebody, public_key: bytes
) -> None:
    class Odd(SecurityKey):
        @property
        def public_key(self) -> bytes:
            return public_key

    status, _ = await ann.add(Odd(origin=ORIGIN))
    assert status == 403
    assert await names(ann) == []


async def test_an_id_that_the_authenticator_did_not_make_is_not_taken(ann: Somebody) -> None:
    _, wanted = await ann.wish("add")
    made = ann.key.make(wanted["create"])
    body = {
        "challenge_id": wanted["challenge_id"],
        "credential": made | {"id": text(b"another")},
        "label": "x",
    }
    status, said = await ann.change(MINE, body)
    assert (status, "two ids" in said["detail"]) == (403, True)


async def test_a_question_makes_one_authenticator(signing: World, ann: Somebody) -> None:
    _, wanted = await ann.wish("add")
    body = {
        "challenge_id": wanted["challenge_id"],
        "credential": ann.key.make(wanted["create"]),
        "label": "x",
    }
    async with somebody(signing, BOB) as bob:
        assert (await bob.change(MINE, body))[0] == 403  # it was asked of ann; it is used up
    assert (await ann.change(MINE, body))[0] == 403
    assert await names(ann) == []


async def test_a_passkey_says_that_it_is_copied(ann: Somebody) -> None:
    ann.key.flags = USUAL | SYNCED | BACKED_UP
    _, said = await ann.add()
    assert (said["synced"], said["backed_up"], said["used"]) == (True, True, 0)


async def test_what_is_made_is_asked_for_with_its_person_verified(ann: Somebody) -> None:
    await ann.add()
    _, wanted = await ann.wish("add")
    create = wanted["create"]
    assert create["rp"]["id"] == "localhost"
    assert create["authenticatorSelection"]["userVerification"] == "required"
    assert [each["id"] for each in create["excludeCredentials"]] == [ann.key.name]
    assert b"ann" not in data(create["user"]["id"])


async def test_without_the_lists_token_nothing_changes(ann: Somebody) -> None:
    for token in ("", "0" * 64):
        csrf = {"Interlock-CSRF": token}
        assert (await ann.send("POST", f"{MINE}/options", {"purpose": "add"}, **csrf))[0] == 403
        assert (await ann.send("POST", MINE, {}, **csrf))[0] == 403
        assert (await ann.send("DELETE", f"{MINE}/x", {}, **csrf))[0] == 403


async def test_an_api_key_has_no_authenticators(signing: World) -> None:
    key = await signing.key(Kind.APPROVER, "ann")
    answer = await signing.ask("GET", MINE, key=key)
    assert answer.status == 403
    assert "on the page" in (await answer.json())["detail"]


@pytest.mark.parametrize(
    ("wish", "status"),
    [
        ({"purpose": "add", "id": "x"}, 400),
        ({"purpose": "remove"}, 400),
        ({"purpose": "remove", "id": "x"}, 404),
        ({"purpose": "else"}, 400),
    ],
)
async def test_odd_wishes_are_refused(ann: Somebody, wish: dict[str, str], status: int) -> None:
    assert (await ann.change(f"{MINE}/options", wish))[0] == status
