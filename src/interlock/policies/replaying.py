"""Recorded calls judged again by another policy, with what was known of the past then.

The record says what was decided, so the policy of that time is not needed. What the new policy
asks of the past and the record does not know is taken as if nothing had happened: nothing used,
nothing refused, a familiar target, a fresh session. Each such answer is named in `unrecorded`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pydantic

from ..core.actions import Agent, Context, ToolCall
from ..core.decisions import Decision, Level
from ..core.evaluate import Prepared, decide, prepare
from ..core.facts import Facts, Grant, Session
from ..core.records import DecidedCall
from ..core.rules import PolicySet
from ..noting import facts_from
from .diff import LOOSER, REASON, SAME, STRICTER
from .suite_calls import BadCall, make_call, setting
from .suite_document import AgentEntry, CallEntry

__all__ = ["LOOSER", "REASON", "SAME", "STRICTER", "BadCall", "Replayed", "replayed"]

HELD = (Level.APPROVE, Level.APPROVE_DUAL)
_NOBODY = AgentEntry()
_AS_IT_IS = setting({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """One recorded call, as it was decided and as the new policy decides it."""

    record: DecidedCall
    before: Level
    after: Decision
    kind: str  #: looser | stricter | reason | same
    why: str  #: which rules, limits, signals and exceptions make the difference
    unrecorded: tuple[str, ...] = ()  #: what was asked of the past, and is not on record

    @property
    def held_before(self) -> bool:
        return self.before in HELD

    @property
    def held_after(self) -> bool:
        return self.after.level in HELD

    @property
    def stopped_after(self) -> bool:
        """Whether it would not go out without a person."""
        return self.after.level >= Level.APPROVE


def replayed(record: DecidedCall, policy: PolicySet) -> Replayed:
    """Judge *record* by *policy*, at the time at which it came.

    Raises:
        BadCall: the record does not say enough of the call, or says nonsense.
    """
    prepared = prepare(rebuilt(record, policy), policy)
    facts, unrecorded = _facts(prepared, record.facts)
    after = decide(prepared, facts, _moment(record.created))
    before = _level(record.level)
    why = "; ".join(_reasons(record, after))
    return Replayed(
        record=record,
        before=before,
        after=after,
        kind=_kind(record, before, after, why),
        why=why,
        unrecorded=unrecorded,
    )


def rebuilt(record: DecidedCall, policy: PolicySet) -> ToolCall:
    """Return the call as the agent proposed it; *policy* makes it where it is written by tool.

    Raises:
        BadCall: it cannot be made.
    """
    try:
        entry = CallEntry.model_validate(dict(record.request), strict=True)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise BadCall(f"its request cannot be read ({where}: {first['msg']})") from None
    call = make_call(entry, _NOBODY, _AS_IT_IS, policy)
    mcp = call.mcp
    if mcp is not None and record.why == "definition_changed":
        mcp = replace(mcp, accepted=False)
    return replace(
        call,
        mcp=mcp,
        agent=Agent(id=record.agent, owner=record.owner),
        context=Context(
            confidence=record.confidence,
            session=record.session,
            reason=record.reason,
            task=record.task,
        ),
    )


def _level(word: str) -> Level:
    try:
        return Level[word.upper()]
    except KeyError:
        raise BadCall(f"{word!r} is no level") from None


def _moment(ms: int) -> datetime:
    try:
        return datetime.fromtimestamp(ms / 1000, UTC)
    except (OverflowError, OSError, ValueError):
        raise BadCall(f"{ms} is no time") from None


# ---- the past --------------------------------------------------------------------------------


def _facts(prepared: Prepared, packed: Mapping[str, Any]) -> tuple[Facts, tuple[str, ...]]:
    """Return what the store would have answered to *prepared*, and what of it is not on record."""
    said, needs = _recorded(packed), prepared.needs
    missing: list[str] = []
    if not needs:
        return replace(said, used={}, familiar=None, session=None, grant=None), ()
    used = {counter.key: said.used.get(counter.key, 0) for counter in needs.counters}
    missing += [name for name, key in _counted(prepared) if key not in said.used]
    familiar, session = said.familiar, said.session
    if needs.familiar and familiar is None:
        familiar = True
        missing.append("whether the target was familiar")
    if needs.session and session is None:
        session = Session()
        missing.append("what the session did")
    facts = replace(
        said,
        used=used,
        familiar=familiar if needs.familiar else None,
        session=session if needs.session else None,
        refused=said.refused and bool(needs.target),
        grant=_granted(prepared, said.grant),
    )
    return facts, tuple(missing)


def _counted(prepared: Prepared) -> Iterator[tuple[str, str]]:
    for limit, counter in prepared.shares:
        yield f"limit {limit.id}", counter.key
    names = ("calls that wait in the session", "holds of the agent in the hour")
    for name, cap in zip(names, prepared.caps, strict=True):
        if cap is not None:
            yield name, cap.key


def _granted(prepared: Prepared, grant: Grant | None) -> Grant | None:
    """Return the grant that was found for this call, where it would be found by this policy too.

    A record leaves out headers, which are part of a grant's key; so the key is not compared, but
    agent, tool and target are.
    """
    tool, needs = prepared.tool, prepared.needs
    if grant is None or tool is None or not needs.grant or grant.tool != tool.id:
        return None
    if dict(grant.target) != dict(prepared.target or {}):
        return None
    return replace(grant, key=needs.grant)


def _recorded(packed: Mapping[str, Any]) -> Facts:
    """Return the facts of a record. Raises BadCall where they are none."""
    try:
        facts = facts_from(packed)
        if all(type(amount) is int for amount in facts.used.values()):
            return facts
    except (TypeError, ValueError, AttributeError):
        pass
    raise BadCall("its facts cannot be read")


# ---- what differs ----------------------------------------------------------------------------


def _kind(record: DecidedCall, before: Level, after: Decision, why: str) -> str:
    one = int(before), people(before, record.quorum)
    other = int(after.level), people(after.level, after.quorum)
    if one != other:
        return LOOSER if other < one else STRICTER
    return REASON if why else SAME


def people(level: Level, quorum: int) -> int:
    """Return how many people have to decide a call of this level."""
    if level not in HELD:
        return 0
    return max(quorum, 2 if level is Level.APPROVE_DUAL else 1)


def _reasons(record: DecidedCall, after: Decision) -> Iterator[str]:
    lists = (
        ("rule", record.rules, tuple(hit.id for hit in after.rules)),
        ("limit", record.limits, after.limits),
        ("signal", record.signals, after.signals),
        ("exception", record.exceptions, after.exceptions),
    )
    for kind, was, now in lists:
        for name in sorted({*was} - {*now}):
            yield f"{kind} {name} no longer"
        for name in sorted({*now} - {*was}):
            yield f"{kind} {name} now"
    stake, reversibility = after.stake.word, after.reversibility.word
    for field, was_word, now_word in (
        ("stake", record.stake or stake, stake),
        ("reversibility", record.reversibility or reversibility, reversibility),
        ("grant", record.grant, after.grant),
        ("tool", record.tool, after.tool or record.tool),
        ("reason", record.why, after.reason),
    ):
        if was_word != now_word:
            yield f"{field} {was_word or 'none'} -> {now_word or 'none'}"
