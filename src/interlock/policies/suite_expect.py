"""What a case expects, compared with what was decided."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..core.decisions import Decision, Level, Reversibility, Stake
from ..core.durations import milliseconds
from ..core.effects import HELD
from ..core.rules import PolicySet
from .positions import suggestion
from .suite_calls import BadCall
from .suite_document import CallEntry, Expect

_LISTS = frozenset("rules shadow exceptions signals limits taints target approvers".split())
_SIGNALS = ("confidence", "novelty", "session_risk", "repeat_denied")
_TIMES = frozenset({"expire_after", "dwell", "windows"})
_CAPS = ("open_per_session", "per_agent_per_hour")

Wrong = tuple[tuple[str | int, ...], str]
"""A path within the expectation, and what is wrong there."""


def unknown_names(policy: PolicySet, expect: Expect) -> Iterator[Wrong]:
    """Yield what makes it a test about nothing, such as a name that nothing has: none may pass."""
    rules = {rule.id for rule in policy.rules}
    limits = {limit.id for limit in policy.limits}
    exceptions = {each.id for each in policy.exceptions}
    checks: tuple[tuple[str, str, Iterable[str]], ...] = (
        ("rules", "rule", rules),
        ("shadow", "rule", rules | limits),
        ("exceptions", "rule", exceptions),
        ("limits", "limit", (*limits, *_CAPS)),
        ("signals", "signal", _SIGNALS),
        ("windows", "limit", limits),
    )
    for field, kind, known in checks:
        given = getattr(expect, field) or ()
        for index, name in enumerate(given):
            if name not in known:
                where = name if isinstance(given, Mapping) else index
                yield (field, where), f"names unknown {kind} {name!r}{_near(name, known)}"
    if expect.level_at_least == Level.ALLOW.word:
        yield ("level_at_least",), "every decision is at least allow: name a level above it"
    if expect.tool and expect.tool not in policy.tools:
        yield ("tool",), f"names unknown tool {expect.tool!r}{_near(expect.tool, policy.tools)}"


def _near(name: str, known: Iterable[str]) -> str:
    return suggestion(name, known) or f"; known: {', '.join(sorted(known)[:12]) or 'none'}"


def named(given: Any, fixtures: Mapping[str, Any], kind: str) -> Any:
    """Return the fixture that *given* names, or what is written out.

    Raises:
        BadCall: there is no such fixture.
    """
    if not isinstance(given, str):
        return given
    if given not in fixtures:
        raise BadCall(f"there is no {kind} {given!r} in fixtures{suggestion(given, fixtures)}")
    return fixtures[given]


def known_tool(entry: CallEntry, expect: Expect, policy: PolicySet) -> bool:
    """Whether *entry* names a tool of the policy, which the call then has to be.

    Raises:
        BadCall: it names one that is not there, and the case does not say that it means that.
    """
    if expect.reason == "unknown_tool" and entry.tool not in policy.tools:
        return False
    try:
        known_call(entry, policy)
    except BadCall as error:
        raise BadCall(f"{error} (expect reason: unknown_tool?)") from None
    return entry.tool is not None


def known_call(entry: CallEntry, policy: PolicySet) -> None:
    """Make sure that the tool which *entry* names is one of the policy.

    Raises:
        BadCall: it is none.
    """
    if entry.tool is not None and entry.tool not in policy.tools:
        raise BadCall(f"there is no tool {entry.tool!r}{suggestion(entry.tool, policy.tools)}")


def differences(expect: Expect, decision: Decision, policy: PolicySet) -> Iterator[str]:
    """Yield how *decision* of *policy* is not what is expected."""
    for name in sorted(expect.model_fields_set):
        wanted = getattr(expect, name)
        if wanted is None:
            continue
        got = _of_policy(name, decision, policy, wanted)
        if name in _TIMES:
            same = _times(wanted) == got
            got = _written(got)
        elif name == "level_at_least":
            same = decision.level >= Level[wanted.upper()]
        elif name in _LISTS:
            same = sorted(wanted) == sorted(got)
            wanted = list(wanted)
        else:
            same = wanted in got if name == "message" else wanted == got
        if not same:
            yield f"{name}: want {_shown(wanted)}, got {_shown(got)}"


def _got(decision: Decision, name: str, wanted: Any) -> Any:
    if name == "rules":
        return [hit.id for hit in decision.rules]
    if name == "taints":
        return sorted(decision.effects.taints)
    value = getattr(decision, name)
    if name == "grant" and isinstance(wanted, bool):
        return bool(value)
    if isinstance(value, Level | Stake | Reversibility):
        return value.word
    return list(value) if isinstance(value, tuple) else value


def _of_policy(name: str, decision: Decision, policy: PolicySet, wanted: Any) -> Any:
    if name == "target":
        return _target(decision, policy)
    if name == "windows":
        tool = policy.tools.get(decision.tool)
        limits = tool.limits if tool else policy.unknown_limits
        return {each.id: each.window_ms for each in limits if each.id in wanted}
    if name == "expire_after":
        return decision.hold_ms if decision.level in HELD else None
    if name == "dwell":
        return decision.dwell_ms or None
    if name == "audit":
        return decision.audit_share
    if name == "level_at_least":
        return decision.level.word
    return _got(decision, name, wanted)


def _times(written: Any) -> Any:
    """Return durations as milliseconds."""
    if isinstance(written, Mapping):
        return {name: milliseconds(each) for name, each in written.items()}
    return milliseconds(written)


def _written(times: Any) -> Any:
    """Return milliseconds as a suite writes them."""
    if isinstance(times, Mapping):
        return {name: _written(each) for name, each in times.items()}
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if times and times % size == 0:
            return f"{times // size}{unit}"
    return times and f"{times}ms"


def _target(decision: Decision, policy: PolicySet) -> list[str]:
    """Return the arguments that say what is acted on, whether or not anything asks for them."""
    tool = policy.tools.get(decision.tool)
    declared = tool.target if tool else None
    return sorted(decision.arguments if declared is None else declared)


def _shown(value: Any) -> str:
    return (
        {True: "true", False: "false", None: "none"}.get(value, repr(value))
        if not isinstance(value, list | dict)
        else repr(value)
    )
