"""What would have made a call one level lower: found by trying, never by reasoning.

Each cause that took part is changed by the least that may matter, alone and then together with
others, and the call is judged again. Only what was seen to lower the level is told.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ..core.actions import ToolCall
from ..core.decisions import Decision, Level, Reversibility, Stake
from ..core.edits import apply_edit
from ..core.errors import InvalidEdit
from ..core.evaluate import prepare
from ..core.facts import MILLION
from ..core.rules import Facet, PolicySet, Tool
from .explain_conditions import Written, compared_with
from .suite_document import FactsEntry, SessionEntry
from .suite_facts import judged

_MOST_TOGETHER = 3
_MOST_TRIED = 3000
_MOST_TOLD = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A call with all that its decision depends on."""

    call: ToolCall
    policy: PolicySet
    given: FactsEntry
    at: datetime
    written: Mapping[str, Written]

    def level(self) -> Level:
        decision = judged(self.call, self.policy, self.given, self.at)
        return decision.level if decision.would_be is None else decision.would_be


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Changes that together lower the call to `level`. `about`: call, past or policy, each."""

    changes: tuple[str, ...]
    about: tuple[str, ...]
    level: Level


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """One thing that could be different. Of changes with the same `key` only one can be made."""

    key: str
    about: str
    text: str
    apply: Callable[[Case], Case]


def ways(case: Case, decision: Decision) -> tuple[Way, ...]:
    """Return the smallest sets of changes after which *case* is at least one level lower."""
    now = case.level()
    if now is Level.ALLOW:
        return ()
    changes = list(_changes(case, decision))
    found: list[tuple[frozenset[str], Way]] = []
    tried = 0
    for size in range(1, _MOST_TOGETHER + 1):
        for chosen in itertools.combinations(changes, size):
            keys = frozenset(each.key for each in chosen)
            if len(keys) < size or any(fewer <= keys for fewer, _ in found):
                continue
            tried += 1
            if tried > _MOST_TRIED:
                return _told(found)
            level = _after(case, chosen)
            if level < now:
                found.append((keys, _way(chosen, level)))
        if size > 1 and found:
            break
    return _told(found)


def _after(case: Case, chosen: Sequence[_Change]) -> Level:
    for change in chosen:
        case = change.apply(case)
    return case.level()


def _way(chosen: Sequence[_Change], level: Level) -> Way:
    return Way(
        changes=tuple(each.text for each in chosen),
        about=tuple(each.about for each in chosen),
        level=level,
    )


def _told(found: Sequence[tuple[frozenset[str], Way]]) -> tuple[Way, ...]:
    all_ways = sorted((way for _, way in found), key=lambda way: "policy" in way.about)
    return tuple(all_ways[:_MOST_TOLD])


# ---- what could be different -----------------------------------------------------------------


def _changes(case: Case, decision: Decision) -> Iterator[_Change]:
    tool = case.policy.tools.get(decision.tool)
    if tool is not None:
        yield from _numbers(case, decision, tool)
    yield from _confidence(case, decision)
    yield from _history(case, decision)
    yield from _limits(case, decision)
    for hit in decision.rules:
        yield _without_rule(hit.id)
    if tool is not None:
        yield from _classification(tool)


def _numbers(case: Case, decision: Decision, tool: Tool) -> Iterator[_Change]:
    """Yield other values of the numbers among the arguments: bounds of bands and of conditions."""
    for name, value in decision.arguments.items():
        if type(value) not in (int, float):
            continue
        for other in _candidates(case, tool, name, value):
            call = _edited(case.call, decision, tool, name, other)
            if call is not None:
                word = "at most" if abs(other) < abs(value) else "at least"
                yield _Change(
                    key=f"args.{name}",
                    about="call",
                    text=f"args.{name} {word} {other:g} (it is {value:g})",
                    apply=lambda each, call=call: _with_call(each, call),  # type: ignore[misc]
                )


def _with_call(case: Case, call: ToolCall) -> Case:
    # The context may have been changed already; of two changed arguments the last one counts.
    return replace(case, call=replace(call, context=case.call.context))


def _candidates(case: Case, tool: Tool, name: str, value: float) -> list[float]:
    found: set[float] = set()
    for facet in tool.facets:
        if facet.shown == f"args.{name}":
            found |= {
                band.upto if value >= 0 else -band.upto
                for band in facet.bands
                if band.upto is not None and band.upto < abs(value)
            }
    step = 1 if type(value) is int else 0.01
    ids = [rule.id for rule in tool.rules] + [each.id for each in tool.exceptions]
    for each in ids:
        for number in compared_with(case.written[each], name):
            found |= {number, round(number - step, 9), round(number + step, 9)}
    found.discard(value)
    ordered = sorted(found, key=lambda other: abs(other - value))[:8]
    if type(value) is int:
        return [int(other) for other in ordered if float(other).is_integer()]
    return ordered


def _edited(
    call: ToolCall, decision: Decision, tool: Tool, name: str, value: float
) -> ToolCall | None:
    free = replace(decision, editable=None)
    written = value if decision.sources.get(name) == "json" else f"{value}"
    template = getattr(tool.match, "template", None)
    try:
        return apply_edit(call, free, {**decision.arguments, name: written}, template)
    except InvalidEdit:
        return None


def _confidence(case: Case, decision: Decision) -> Iterator[_Change]:
    signal = case.policy.confidence
    if signal is None or "confidence" not in decision.signals:
        return
    claimed = case.call.context.confidence
    said = f"not said, so {signal.missing:g}" if claimed is None else f"{claimed:g}"
    for least in sorted(set(signal.raise_below[: decision.stake + 1])):
        if least <= (signal.missing if claimed is None else claimed):
            continue

        def claim(each: Case, least: float = least) -> Case:
            context = replace(each.call.context, confidence=least)
            return replace(each, call=replace(each.call, context=context))

        yield _Change(
            key="confidence",
            about="call",
            text=f"agent.confidence at least {least:g} (it is {said})",
            apply=claim,
        )


def _history(case: Case, decision: Decision) -> Iterator[_Change]:
    given, session = case.given, case.given.session
    if given.unknown:
        yield _past("unknown", "a past that is known, with nothing in it", unknown=False)
        return
    if not given.familiar:
        yield _past("familiar", "a call like this one made before", familiar=True)
    if given.refused:
        yield _past("refused", "no refusal of such a call remembered", refused=False)
    yield from _corrected(case, decision)
    if given.grant is False and decision.grants:
        yield _past("grant", "a person's grant for this target", grant=True)
    for field, text, clean in _CLEAN:
        if getattr(session, field):
            yield _session(field, text, clean)
    yield from _risk(case, session)


def _corrected(case: Case, decision: Decision) -> Iterator[_Change]:
    signal, now = case.policy.confidence, case.given.calibrated
    if signal is None or now is None or signal.use != "calibrated":
        return
    if "confidence" not in decision.signals:
        return
    for least in sorted(set(signal.raise_below[: decision.stake + 1])):
        if least > now:
            text = f"facts.calibrated at least {least:g} (it is {now:g})"
            yield _past("calibrated", text, calibrated=least)


_CLEAN = (
    ("untrusted_content", "a session that has read no untrusted content", False),
    ("sensitive_data", "a session that has read no sensitive data", False),
    ("writes", "a session without a write so far", 0),
    ("calls", "a session without a call so far", 0),
)


def _risk(case: Case, session: SessionEntry) -> Iterator[_Change]:
    risk = case.policy.session_risk
    for points, _ in sorted(risk.raise_at, reverse=True) if risk else ():
        if session.points >= points:
            text = f"session.points below {points:g} (they are {session.points:g})"
            yield _session("points", text, max(0.0, points - 0.001))


def _past(key: str, text: str, **changes: Any) -> _Change:
    def apply(case: Case) -> Case:
        return replace(case, given=case.given.model_copy(update=changes))

    return _Change(key=key, about="past", text=text, apply=apply)


def _session(key: str, text: str, value: Any) -> _Change:
    def apply(case: Case) -> Case:
        session: SessionEntry = case.given.session.model_copy(update={key: value})
        return replace(case, given=case.given.model_copy(update={"session": session}))

    return _Change(key=f"session.{key}", about="past", text=text, apply=apply)


def _limits(case: Case, decision: Decision) -> Iterator[_Change]:
    caps = case.policy.caps
    for most, fact in (
        (caps.open_per_session, "open_in_session"),
        (caps.per_agent_per_hour, "holds_in_hour"),
    ):
        now = getattr(case.given, fact)
        if most is not None and now >= most:
            text = f"facts.{fact} below {most} (it is {now})"
            yield _past(fact, text, **{fact: most - 1})
    weights = {limit.id: limit for limit, _ in prepare(case.call, case.policy).shares}
    for name in decision.limits:
        used = case.given.used.get(name, 0.0)
        if name not in weights:
            continue
        if used:
            yield _less_used(name, used)
        yield _Change(
            key=f"limit {name}",
            about="policy",
            text=f"without limit {name} (up to {weights[name].maximum / MILLION:g})",
            apply=lambda each, name=name: _without_limit(each, name),  # type: ignore[misc]
        )


def _less_used(name: str, used: float) -> _Change:
    def apply(case: Case) -> Case:
        return replace(
            case, given=case.given.model_copy(update={"used": {**case.given.used, name: 0.0}})
        )

    return _Change(
        key=f"limit {name}",
        about="past",
        text=f"nothing of limit {name} used yet ({used:g} is)",
        apply=apply,
    )


def _without_limit(case: Case, name: str) -> Case:
    return _each_tool(
        case, lambda tool: replace(tool, limits=tuple(x for x in tool.limits if x.id != name))
    )


def _without_rule(name: str) -> _Change:
    def apply(case: Case) -> Case:
        without = _each_tool(
            case, lambda tool: replace(tool, rules=tuple(x for x in tool.rules if x.id != name))
        )
        unknown = tuple(each for each in case.policy.unknown_rules if each.id != name)
        return replace(without, policy=replace(without.policy, unknown_rules=unknown))

    return _Change(key=f"rule {name}", about="policy", text=f"without rule {name}", apply=apply)


def _each_tool(case: Case, change: Callable[[Tool], Tool]) -> Case:
    tools = {name: change(tool) for name, tool in case.policy.tools.items()}
    return replace(case, policy=replace(case.policy, tools=tools))


def _classification(tool: Tool) -> Iterator[_Change]:
    for facet in tool.facets:
        if facet.value is None:
            for stake in reversed(list(Stake)[: facet.stake]):
                text = f"{facet.name} of {stake.word} stake ({facet.shown} is {facet.stake.word})"
                yield _reclassified(tool, facet, stake, text)
        elif not facet.shown.startswith("args.") or "." in facet.shown[5:]:
            for band in facet.bands[:-1]:
                text = f"{facet.shown} at most {band.upto:g}"
                yield _reclassified(tool, facet, band.stake, text)
    for row in reversed(list(Reversibility)[: tool.reversibility]):
        yield _Change(
            key="reversibility",
            about="policy",
            text=f"a tool that is {row.word} (it is {tool.reversibility.word})",
            apply=lambda each, row=row: _one_tool(each, tool, reversibility=row),  # type: ignore[misc]
        )


def _reclassified(tool: Tool, facet: Facet, stake: Stake, text: str) -> _Change:
    def apply(case: Case) -> Case:
        facets = tuple(
            replace(each, value=None, stake=stake) if each.name == facet.name else each
            for each in case.policy.tools[tool.id].facets
        )
        return _one_tool(case, tool, facets=facets)

    about = "policy" if facet.value is None else "call"
    return _Change(key=f"facet {facet.name}", about=about, text=text, apply=apply)


def _one_tool(case: Case, tool: Tool, **changes: Any) -> Case:
    tools = dict(case.policy.tools)
    tools[tool.id] = replace(tools[tool.id], **changes)
    return replace(case, policy=replace(case.policy, tools=tools))
