"""Needs, effects and grants to text and back, for scripts/effects.lua and facts.lua.

They are lines of words, since keys are hashes and all else are integers: Lua reads them with one
pattern each, and no number passes through its JSON.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence

from ..core.facts import NO_EFFECTS, Counting, Effects, Facts, Grant, Needs, Reservation, Session

HEAVIEST = 2**53 - 1  #: the largest weight that Lua counts exactly
_KIND = {Counting.SPENT: "s", Counting.OPEN: "o", Counting.HOLDS: "h"}
_WORD = re.compile(r"[A-Za-z0-9_.:-]+")


def word(text: str) -> str:
    """Return *text*, which becomes one word of a line and a part of a key.

    Raises:
        ValueError: it has characters that would end the word.
    """
    if not _WORD.fullmatch(text):
        raise ValueError(f"{text!r} cannot be a key: write it in letters, digits and . _ : -")
    return text


def _whole(number: int) -> int:
    """Return *number*, which Lua reads as digits and counts exactly.

    Raises:
        ValueError: it is negative, no integer, or too large.
    """
    if not isinstance(number, int) or not 0 <= number <= HEAVIEST:
        raise ValueError(f"{number!r} cannot be counted exactly: give an integer from 0 to 2^53-1")
    return int(number)


def encode_effects(effects: Effects) -> str:
    """Return what `effects_of` in effects.lua reads; nothing for no effects.

    Raises:
        ValueError: a key or a weight that the store could not keep exactly.
    """
    if effects is NO_EFFECTS:
        return ""
    lines = [_share(one) for one in effects.reservations if one.weight]
    if effects.session and effects.session_ms > 0:
        untrusted, sensitive = (
            int(name in effects.taints) for name in ("untrusted_content", "sensitive_data")
        )
        lines.append(
            f"s {word(effects.session)} {_whole(effects.session_ms)} {untrusted} {sensitive}"
            f" {_whole(effects.points)} {_whole(effects.half_life_ms)} {int(effects.write)}"
        )
    if effects.familiar and effects.familiar_ms > 0:
        lines.append(f"n {word(effects.familiar)} {_whole(effects.familiar_ms)}")
    if effects.target and effects.repeat_ms > 0:
        lines.append(f"x {word(effects.target)} {_whole(effects.repeat_ms)}")
    if effects.grant:
        lines.append(f"g {word(effects.grant)}")
    return "\n".join(lines)


def _share(one: Reservation) -> str:
    counter, weight = one.counter, _whole(one.weight)
    room = "-" if one.room is None else max(one.room, 0)
    window = _whole(counter.window_ms)
    return f"b {word(counter.key)} {_KIND[counter.counting]} {window} {weight} {room}"


def encode_needs(needs: Needs) -> str:
    """Return what facts.lua reads.

    Raises:
        ValueError: a key that is none.
    """
    keys = (needs.familiar, needs.session, needs.target, needs.grant)
    named = " ".join(word(key) if key else "-" for key in keys)
    own = word(needs.own) if needs.own else "-"
    lines = [f"{own} {_whole(needs.half_life_ms)} {int(needs.task)} {named}"]
    lines += [f"{word(one.key)} {_whole(one.window_ms)}" for one in needs.counters]
    return "\n".join(lines)


def decode_facts(needs: Needs, row: Sequence[bytes]) -> Facts:
    """Read one row of facts.lua.

    Raises:
        DAMAGED: the store holds something else than what was written there.
    """
    familiar, session, task, refused, grant, used, counted = row
    keys = [one.key for one in needs.counters]
    totals = [int(total) for total in counted.split()]
    return Facts(
        used=dict(zip(keys, totals, strict=True)),
        familiar=familiar == b"1" if familiar else None,
        session=_session(session) if session else None,
        task=task[1:].decode("utf-8", "surrogatepass") if task else None,
        refused=refused == b"1",
        grant=decode_grant(grant, used) if grant else None,
    )


def _session(said: bytes) -> Session:
    untrusted, sensitive, writes, calls, points = said.split()
    return Session(
        untrusted_content=untrusted != b"0",
        sensitive_data=sensitive != b"0",
        points=float(points),
        writes=int(writes),
        calls=int(calls),
    )


def encode_grant(grant: Grant) -> str:
    """Return everything about a grant but how often it was used, which only scripts write."""
    said = {
        field.name: getattr(grant, field.name)
        for field in dataclasses.fields(grant)
        if field.name not in ("used", "target")
    }
    return json.dumps(said | {"target": dict(grant.target)})


def decode_grant(said: bytes, used: bytes) -> Grant:
    """Read a grant; whether it is genuine says its `mac` alone.

    Raises:
        DAMAGED: it is none.
    """
    return Grant(**json.loads(said), used=int(used))
