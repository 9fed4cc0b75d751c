"""What a decided call takes of budgets and queues, and what it leaves behind."""

from __future__ import annotations

from .decisions import Level, Reversibility
from .facts import MILLION, NO_EFFECTS, Counter, Effects, Facts, Reservation
from .judging import Judging
from .preparing import Prepared

HELD = (Level.APPROVE, Level.APPROVE_DUAL)
_EVERYTHING = frozenset({"untrusted_content", "sensitive_data"})


def heed_caps(prepared: Prepared, facts: Facts, judging: Judging) -> None:
    """Deny what would be held where too many calls wait already, or where that is not known."""
    waiting, holds = prepared.caps
    caps = prepared.policy.caps
    for name, counter, most in (
        ("open_per_session", waiting, caps.open_per_session),
        ("per_agent_per_hour", holds, caps.per_agent_per_hour),
    ):
        if counter is None or most is None:
            continue
        used = facts.used.get(counter.key)
        if type(used) is int and max(0, used) + MILLION <= most * MILLION:
            continue
        judging.limits.append(name)
        judging.indeterminate |= type(used) is not int
        judging.level, judging.reason = Level.DENY, "cap"
        judging.message = (
            f"Too many calls wait for people already ({name}: {most}). Do not send more;"
            " wait until people have decided."
        )
        judging.notes.append(f"cap {name} of {most} is reached: deny")


def effects_of(prepared: Prepared, judging: Judging) -> Effects:
    """Return what the store keeps of the call; of a denied one, nothing."""
    policy, needs = prepared.policy, prepared.needs
    if judging.level is Level.DENY or not (needs or prepared.session):
        return NO_EFFECTS
    risk, tool = policy.session_risk, prepared.tool
    return Effects(
        reservations=_reservations(prepared, judging),
        familiar=needs.familiar if tool else "",
        familiar_ms=policy.novelty.memory_ms if policy.novelty and tool else 0,
        session=prepared.session,
        session_ms=policy.session_memory_ms if prepared.session else 0,
        # What an unknown tool reads is not known either.
        taints=(tool.taints if tool else _EVERYTHING) if prepared.session else frozenset(),
        points=risk.points[judging.stake] if risk else 0,
        half_life_ms=risk.half_life_ms if risk else 0,
        write=bool(prepared.session) and judging.reversibility is not Reversibility.READ_ONLY,
        target=needs.target if policy.repeat_denied else "",
        repeat_ms=policy.repeat_denied.within_ms if policy.repeat_denied else 0,
        grant=judging.grant,
    )


def _reservations(prepared: Prepared, judging: Judging) -> tuple[Reservation, ...]:
    # Others may overtake a budget that would have changed nothing.
    lowered = bool(judging.exceptions or judging.grant)
    anyway = Level.ALLOW if lowered else min(judging.base, judging.level)
    taken = []
    for limit, counter, weight, fits in judging.shares:
        matters = fits and not limit.shadow and limit.then > anyway
        room = limit.maximum if matters else None
        taken.append(Reservation(counter=counter, weight=weight, room=room))
    return (*taken, *_queued(prepared, judging))


def _queued(prepared: Prepared, judging: Judging) -> list[Reservation]:
    """Return the shares of a call that waits for people."""
    (waiting, holds), caps = prepared.caps, prepared.policy.caps
    if prepared.needs.own:
        # It was counted as a hold, and its new share only takes the place of the old one.
        return [_one(waiting, None)] if waiting else []
    if judging.level not in HELD:
        return []
    queued = []
    if waiting is not None and caps.open_per_session is not None:
        queued.append(_one(waiting, caps.open_per_session))
    if holds is not None and caps.per_agent_per_hour is not None:
        queued.append(_one(holds, caps.per_agent_per_hour))
    return queued


def _one(counter: Counter, most: int | None) -> Reservation:
    room = None if most is None else most * MILLION
    return Reservation(counter=counter, weight=MILLION, room=room)
