"""Whatever bytes come in the place of a signature or of a new authenticator: yes, or Forbidden."""

from __future__ import annotations

from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.approvals import ceremonies
from interlock.approvals.models_signed import Assertion, Attestation
from interlock.approvals.relying_party import relying_party
from interlock.core.errors import Forbidden
from interlock.people_ports import Authenticator, Challenge

from .authenticator import SecurityKey, data, text

PARTY = relying_party("https://gate.example")
ASKED = Challenge(id="c", nonce=b"n" * 32, subject=("decide", "act_1", "ann"), expires=1)
KEY = SecurityKey(origin=PARTY.origin, rp_id=PARTY.id)
KNOWN = Authenticator(
    id=KEY.name, person="ann", public_key=KEY.public_key, label="blue key", created=1
)
OPTIONS = ceremonies.request(PARTY, [KNOWN], ASKED)
SIGNED, MADE = KEY.sign(OPTIONS, count=5), KEY.make(OPTIONS, count=0)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=80),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.integers(-5, 5) | st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


def sign(**otherwise: str) -> ceremonies.Signed:
    said = SIGNED | {"response": SIGNED["response"] | otherwise}
    return ceremonies.signed(PARTY, KNOWN, Assertion.model_validate(said), ASKED)


def make(attested: bytes) -> ceremonies.Made:
    said = MADE | {"response": MADE["response"] | {"attestationObject": text(attested)}}
    return ceremonies.made(PARTY, Attestation.model_validate(said), ASKED)


def test_the_genuine_ones_are_taken() -> None:
    assert sign().sign_count == 5
    found = make(data(MADE["response"]["attestationObject"]))
    assert (found.id, found.public_key) == (KNOWN.id, KNOWN.public_key)


@given(
    part=st.sampled_from(["clientDataJSON", "authenticatorData", "signature"]),
    at=st.integers(0, 10_000),
    bit=st.integers(0, 7),
)
def test_no_bit_of_a_signature_can_be_another(part: str, at: int, bit: int) -> None:
    changed = bytearray(data(SIGNED["response"][part]))
    changed[at % len(changed)] ^= 1 << bit
    with pytest.raises(Forbidden):
        sign(**{part: text(bytes(changed))})


@given(
    part=st.sampled_from(["clientDataJSON", "authenticatorData", "signature", "userHandle"]),
    junk=st.text("ABCDEFabcdef0129-_", min_size=1, max_size=120),
)
def test_junk_is_no_signature(part: str, junk: str) -> None:
    with pytest.raises(Forbidden):
        sign(**{part: junk})


@given(junk=JUNK)
def test_junk_is_no_authenticator(junk: Any) -> None:
    with pytest.raises(Forbidden):
        make(cbor2.dumps(junk) or b"x")


@given(junk=JUNK, member=st.sampled_from(["fmt", "authData"]))
def test_an_authenticator_of_junk_in_parts_is_none(junk: Any, member: str) -> None:
    whole = cbor2.loads(data(MADE["response"]["attestationObject"]))
    with pytest.raises(Forbidden):
        make(cbor2.dumps(whole | {member: junk}))


@given(junk=JUNK)
def test_a_statement_of_its_maker_changes_nothing(junk: Any) -> None:
    """It is not believed: the authenticator is as it says itself, or refused."""
    whole = cbor2.loads(data(MADE["response"]["attestationObject"]))
    try:
        found = make(cbor2.dumps(whole | {"attStmt": junk}))
    except Forbidden:
        return
    assert found == make(cbor2.dumps(whole))


@given(junk=JUNK)
def test_a_public_key_of_junk_is_none(junk: Any) -> None:
    class Odd(SecurityKey):
        @property
        def public_key(self) -> bytes:
            return cbor2.dumps(junk)

    odd = Odd(origin=PARTY.origin, rp_id=PARTY.id)
    with pytest.raises(Forbidden):
        ceremonies.made(PARTY, Attestation.model_validate(odd.make(OPTIONS)), ASKED)


@given(depth=st.sampled_from([100, 500, 1500]))
def test_depth_is_no_way_in(depth: int) -> None:
    with pytest.raises(Forbidden):
        make(b"\x81" * depth + b"\x00")
    with pytest.raises(Forbidden):
        sign(clientDataJSON=text(b"[" * depth))
