"""Before the past is known: the tool that a call means, its arguments, and what has to be known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import claims
from .actions import ToolCall
from .arguments import Arguments, read_arguments
from .counting import Names
from .decisions import Reversibility
from .facts import Counter, Needs
from .grants import how_called
from .judging import misfit
from .matching import Found
from .rules import Limit, PolicySet, Tool

NO_NEEDS = Needs()


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A call as policy reads it, and what has to be known of the past to judge it."""

    call: ToolCall
    policy: PolicySet
    needs: Needs = NO_NEEDS
    tool: Tool | None = None
    former: Tool | None = None  #: the entry of a tool whose definition changed since it was pinned
    arguments: Arguments
    reversibility: Reversibility = Reversibility.IRREVERSIBLE
    target: Mapping[str, Any] | None = None
    shares: tuple[tuple[Limit, Counter], ...] = ()
    caps: tuple[Counter | None, Counter | None] = (None, None)
    session: str = ""  #: key of the session, where anything reads what it did
    unknown: str = ""  #: why it is in no entry: a machine word
    because: str = ""  #: the same in words, where there is more to say
    misfit: tuple[str, str] = ("", "")  #: why the arguments cannot be judged, where they cannot
    failure: str = ""  #: what went wrong; the call is denied


def prepare(call: ToolCall, policy: PolicySet, own: str = "") -> Prepared:
    """Find the tool, read the arguments, and name what must be known. Never raises.

    *own*: the id of the held action that is judged again, if any; its own shares do not count.
    """
    try:
        return _prepare(call, policy, own)
    except Exception as error:  # the outermost guard: any error is a refusal
        unread = Arguments(values={}, sources={})
        return Prepared(call=call, policy=policy, arguments=unread, failure=told(error))


def told(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:200]}"


def _prepare(call: ToolCall, policy: PolicySet, own: str) -> Prepared:
    found = policy.catalogue.find(call)
    if not isinstance(found, Found):
        return _prepare_unknown(call, policy, own, found.because)
    tool = policy.tools[found.tool]
    arguments = read_arguments(call, found.path, tool)
    reversibility = claims.reversibility(call, tool)
    accepted = claims.accepted(call, tool)
    unfit = misfit(tool, arguments) if accepted else ("", "")
    if unfit[0] and not (tool.shadow or policy.shadow):  # denied, whatever the past says
        return Prepared(
            call=call,
            policy=policy,
            tool=tool,
            arguments=arguments,
            reversibility=reversibility,
            misfit=unfit,
        )
    names = Names(call, tool, arguments.values, policy)
    session = names.session_state() if policy.tracks_session or tool.asks else ""
    shares = tuple([(limit, names.share_of(limit)) for limit in tool.limits])
    caps = names.caps()
    return Prepared(
        call=call,
        policy=policy,
        tool=tool if accepted else None,
        former=None if accepted else tool,
        arguments=arguments,
        reversibility=reversibility,
        needs=_needs(
            names, policy, tool, session, shares, caps, own, _granted(names, found, tool, call)
        ),
        target=names.target if tool.grants or policy.repeat_denied else None,
        shares=shares,
        caps=caps,
        session=session if policy.tracks_session else "",
        unknown="" if accepted else "definition_changed",
        because="" if accepted else _unaccepted(tool),
        misfit=unfit,
    )


def _unaccepted(tool: Tool) -> str:
    if tool.pins:
        return f"its definition is not one that policy has pinned for {tool.id}"
    return "its server has changed its definition, and nobody has accepted the change yet"


def _granted(names: Names, found: Found, tool: Tool, call: ToolCall) -> str:
    if tool.grants is None:
        return ""
    return names.grant_key(*how_called(call, tool, found.path, names.target))


def _prepare_unknown(call: ToolCall, policy: PolicySet, own: str, because: str) -> Prepared:
    arguments = read_arguments(call, {}, None)
    names = Names(call, None, arguments.values, policy)
    session = names.session_state() if policy.tracks_session or policy.unknown_asks else ""
    shares = tuple([(limit, names.share_of(limit)) for limit in policy.unknown_limits])
    caps = names.caps()
    return Prepared(
        call=call,
        policy=policy,
        arguments=arguments,
        reversibility=policy.unknown_tool.reversibility,
        needs=_needs(names, policy, None, session, shares, caps, own),
        shares=shares,
        caps=caps,
        session=session if policy.tracks_session else "",
        unknown="unknown_tool",
        because=because,
    )


def _needs(
    names: Names,
    policy: PolicySet,
    tool: Tool | None,
    session: str,
    shares: tuple[tuple[Limit, Counter], ...],
    caps: tuple[Counter | None, Counter | None],
    own: str,
    grant: str = "",
) -> Needs:
    risk, novelty = policy.session_risk, policy.novelty
    counters = [counter for _, counter in shares]
    counters += [counter for counter in caps if counter is not None]
    remembers = policy.repeat_denied is not None
    asks = tool.asks if tool else policy.unknown_asks
    asked = session if asks or risk else ""
    if not (counters or novelty or remembers or grant or asked):
        return NO_NEEDS
    return Needs(
        counters=tuple(counters),
        familiar=names.keyed("familiar", novelty.key) if novelty and tool else "",
        session=asked,
        half_life_ms=risk.half_life_ms if risk else 0,
        task=bool(asked),  # people are shown it too
        target=names.target_key() if remembers else "",
        grant=grant,
        own=own,
    )
