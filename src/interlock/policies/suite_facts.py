"""The past that a test describes, as the `Facts` that the store would answer."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pydantic

from ..core.actions import ToolCall
from ..core.decisions import Decision, Level, Stake
from ..core.evaluate import Prepared, decide, prepare
from ..core.facts import MILLION, NO_FACTS, Facts, Grant, Session
from ..core.rules import PolicySet
from .positions import suggestion
from .suite_calls import BadCall, Setting
from .suite_document import FactsEntry, GrantEntry, SessionEntry

_FOREVER = 2**52


def past(entry: FactsEntry, changes: Setting, policy: PolicySet) -> FactsEntry:
    """Return *entry* with what a case sets: `session.*` and `facts.*`.

    Raises:
        BadCall: a name or value is wrong, or `used` names no limit of the policy.
    """
    new = entry.model_dump()
    for name, value in changes.session.items():
        _put(new, ("session", name), value, f"session.{name}")
    for name, value in changes.facts.items():
        first, _, rest = name.partition(".")
        path = (first, rest) if rest else (first,)
        _put(new, path, value, f"facts.{name}")
    try:
        found = FactsEntry.model_validate(new, strict=True)
    except pydantic.ValidationError as error:
        first_error = error.errors(include_url=False)[0]
        where = ".".join(map(str, first_error["loc"]))
        raise BadCall(f"facts.{where}: {first_error['msg']}") from None
    if found.unknown:
        _refuse_more(found)
    known = [limit.id for limit in policy.limits]
    for name in found.used:
        if name not in known:
            hint = suggestion(name, known) or f"; known: {', '.join(known) or 'none'}"
            raise BadCall(f"facts.used names unknown limit {name!r}{hint}")
    return found


def _refuse_more(given: FactsEntry) -> None:
    blank = FactsEntry(session=SessionEntry(id=given.session.id))  # the call says which it is
    names = set(FactsEntry.model_fields) - {"unknown"}
    more = [name for name in names if getattr(given, name) != getattr(blank, name)]
    if more:
        raise BadCall(f"facts.{min(more)} is set beside `unknown: true`: take one of them out")


def _put(new: dict[str, Any], path: tuple[str, ...], value: Any, shown: str) -> None:
    inside = new
    for part in path[:-1]:
        inside = inside.get(part, {})
    if not isinstance(inside, dict) or (path[-1] not in inside and path[0] != "used"):
        known = new["session"] if path[0] == "session" else new
        hint = suggestion(path[-1], known) or f"; known: {', '.join(known)}"
        raise BadCall(f"{shown} cannot be set{hint}")
    inside[path[-1]] = value


def judged(call: ToolCall, policy: PolicySet, given: FactsEntry, at: datetime) -> Decision:
    """Judge *call* as if *given* were the past."""
    prepared = prepare(call, policy)
    return decide(prepared, facts_of(prepared, given), at)


def facts_of(prepared: Prepared, given: FactsEntry) -> Facts:
    """Return the store's answer to what *prepared* needs, where *given* is the past."""
    if given.unknown:
        return NO_FACTS
    needs, session = prepared.needs, given.session
    return Facts(
        used=_used(prepared, given),
        familiar=given.familiar if needs.familiar else None,
        session=Session(
            untrusted_content=session.untrusted_content,
            sensitive_data=session.sensitive_data,
            points=session.points,
            writes=session.writes,
            calls=session.calls,
        )
        if needs.session
        else None,
        refused=given.refused and bool(needs.target),
        grant=_grant(prepared, given.grant),
        calibrated=given.calibrated,
    )


def _used(prepared: Prepared, given: FactsEntry) -> dict[str, int]:
    amounts = {counter.key: given.used.get(limit.id, 0.0) for limit, counter in prepared.shares}
    for counter, count in zip(
        prepared.caps, (given.open_in_session, given.holds_in_hour), strict=True
    ):
        if counter is not None:
            amounts[counter.key] = count
    return {key: round(amount * MILLION) for key, amount in amounts.items()}


def _grant(prepared: Prepared, given: bool | GrantEntry) -> Grant | None:
    key, tool = prepared.needs.grant, prepared.tool
    if given is False or tool is None or not key:
        return None
    entry = GrantEntry() if given is True else given
    return Grant(
        id=entry.id,
        key=key,
        agent=prepared.call.agent.id,
        tool=tool.id,
        target=prepared.target or {},
        by=entry.by,
        action_id="",
        level=Level.APPROVE_DUAL,
        stake=Stake.CRITICAL,
        created=_FOREVER,
        expires=_FOREVER,
        uses=1,
        reason=entry.reason,
    )
