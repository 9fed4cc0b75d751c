"""Calls made up from what policies compare with: bounds, constants, thresholds, sizes of limits."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.facts import MILLION
from ..core.rules import PolicySet, Tool
from .corpus import NOON, CorpusEntry, Recorded
from .explain_conditions import Written
from .expression_syntax import Binary, Call, ListLiteral, Literal, Node, Select, parse, walk
from .suite_document import AgentEntry, FactsEntry, SessionEntry
from .suite_properties import sample

_SAMPLES = 12
_MOST_VALUES = 40
_SURE = AgentEntry(confidence=1.0)


def generated(
    policies: Sequence[PolicySet], written: Sequence[Mapping[str, Written]]
) -> Iterator[Recorded]:
    """Yield calls for every tool of *policies*: samples, then each number and text that matters.

    Calls are also made to fit what each rule and exception of a tool asks for, as far as equality,
    `in` and `startsWith` say what that is, so that what stands beside it in a condition matters.

    What matters is what the policies compare with: bounds of bands, constants of conditions,
    thresholds of confidence and session risk, the size of limits. Always the same calls.
    """
    constants = list(_constants(written))
    tools: dict[str, Tool] = {}
    for policy in policies:
        tools = {**policy.tools, **tools}
    for tool in tools.values():
        versions = [policy.tools[tool.id] for policy in policies if tool.id in policy.tools]
        wishes = [wish for texts in written for wish in _wishes(versions, texts)]
        for count, entry in enumerate(_entries(tool, versions, constants, policies, wishes)):
            yield Recorded(entry=entry, place=f"generated {tool.id} #{count + 1}")


def _constants(written: Sequence[Mapping[str, Written]]) -> Iterator[Any]:
    for texts in written:
        for text in texts.values():
            for node in walk(parse(text.when)) if text.when else ():
                if isinstance(node, Literal):
                    yield node.value
                elif isinstance(node, ListLiteral):
                    yield from node.values
            for value in text.variables.values():
                yield from value if isinstance(value, list) else [value]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """Arguments and an agent that fit a condition, as far as it says so plainly."""

    args: Mapping[str, Any]
    agent: Mapping[str, Any]


def _wishes(versions: Sequence[Tool], texts: Mapping[str, Written]) -> Iterator[_Wish]:
    ids = {rule.id for tool in versions for rule in tool.rules}
    ids |= {each.id for tool in versions for each in tool.exceptions}
    for name in sorted(ids & set(texts)):
        found: dict[str, dict[str, Any]] = {"args": {}, "agent": {}}
        when = texts[name].when
        for node in walk(parse(when)) if when else ():
            place, value = _wanted(node, texts[name].variables)
            root, _, field = place.partition(".")
            if root in found and field and "." not in field:
                found[root].setdefault(field, value)
        if any(found.values()):
            yield _Wish(args=found["args"], agent=found["agent"])


def _wanted(node: Node, variables: Mapping[str, Any]) -> tuple[str, Any]:
    """Return a field and a value that makes this part of a condition true, or an empty name."""
    if isinstance(node, Binary) and isinstance(node.left, Select):
        other = node.right
        if node.op == "==" and isinstance(other, Literal):
            return node.left.text, other.value
        if node.op == "in":
            items = other.values if isinstance(other, ListLiteral) else None
            if isinstance(other, Select) and other.text.startswith("vars."):
                items = variables.get(other.field)
            if items:
                return node.left.text, items[0]
    if isinstance(node, Call) and node.name in ("startsWith", "endsWith", "contains"):
        field, text = node.arguments
        if isinstance(text, Literal):
            return field.text, text.value
    return "", None


def _entries(
    tool: Tool,
    versions: Sequence[Tool],
    constants: Sequence[Any],
    policies: Sequence[PolicySet],
    wishes: Sequence[_Wish],
) -> Iterator[CorpusEntry]:
    calls = [call for call, _ in sample(tool, _SAMPLES)]
    for call in calls:
        yield CorpusEntry(call=call, agent=_SURE)
    first = calls[0]
    properties = _properties(versions)
    for wish in (_Wish(args={}, agent={}), *wishes):
        agent = _SURE.model_copy(update=dict(wish.agent))
        known = {name: value for name, value in wish.args.items() if name in properties}
        base = first.model_copy(update={"args": {**first.args, **known}})
        yield CorpusEntry(call=base, agent=agent)
        for name, schema in properties.items():
            for value in _values(schema, versions, constants):
                call = base.model_copy(update={"args": {**base.args, name: value}})
                yield CorpusEntry(call=call, agent=agent)
    for agent, facts, at in _circumstances(versions, policies):
        yield CorpusEntry(call=first, agent=agent, facts=facts, at=at)


def _properties(versions: Sequence[Tool]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for tool in versions:
        found = {**((tool.args_schema or {}).get("properties") or {}), **found}
        for segment in getattr(tool.match, "segments", ()):
            if segment.kind.value != "literal":
                found.setdefault(segment.text, {"type": "string"})
    return found


def _values(schema: Any, versions: Sequence[Tool], constants: Sequence[Any]) -> list[Any]:
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    if isinstance(schema, Mapping) and "enum" in schema:
        return list(schema["enum"])
    if kind == "boolean":
        return [False, True]
    if kind in ("integer", "number"):
        numbers = [each for each in constants if type(each) in (int, float)]
        numbers += [
            band.upto
            for tool in versions
            for facet in tool.facets
            for band in facet.bands
            if band.upto is not None
        ]
        near = {round(n + step, 9) for n in numbers for step in (-1, -0.01, 0, 0.01, 1)}
        if kind == "integer":
            return sorted({int(n) for n in near if float(n).is_integer()})[:_MOST_VALUES]
        return sorted(near)[:_MOST_VALUES]
    if kind in ("string", None):
        texts = dict.fromkeys(each for each in constants if isinstance(each, str))
        return [*texts][:_MOST_VALUES]
    return []


def _circumstances(
    versions: Sequence[Tool], policies: Sequence[PolicySet]
) -> Iterator[tuple[AgentEntry, FactsEntry, str]]:
    for confidence in (None, *sorted(_thresholds(policies))):
        yield AgentEntry(confidence=confidence), FactsEntry(), NOON
    for facts in (*_histories(policies), *_used_up(versions)):
        yield _SURE, facts, NOON
    for hour in range(0, 24, 2):
        yield _SURE, FactsEntry(), f"2026-01-01T{hour:02}:00:00Z"
    for policy in policies:
        for each in policy.exceptions:
            yield _SURE, FactsEntry(), f"{each.expires}T23:00:00Z"


def _histories(policies: Sequence[PolicySet]) -> Iterator[FactsEntry]:
    for untrusted, sensitive in itertools.product((False, True), repeat=2):
        session = SessionEntry(untrusted_content=untrusted, sensitive_data=sensitive)
        yield FactsEntry(session=session)
    for points in sorted(_points(policies)):
        yield FactsEntry(session=SessionEntry(points=points))
    yield FactsEntry(session=SessionEntry(writes=1, calls=1))
    yield FactsEntry(familiar=False)
    yield FactsEntry(refused=True)
    yield FactsEntry(grant=True)
    yield FactsEntry(unknown=True)
    for most in (5, 10, 20, 50, 100, 1000):
        yield FactsEntry(open_in_session=most, holds_in_hour=most)


def _used_up(versions: Sequence[Tool]) -> Iterator[FactsEntry]:
    for tool in versions:
        for limit in tool.limits:
            most = limit.maximum / MILLION
            for used in (most / 2, max(0.0, most - 1), most):
                yield FactsEntry(used={limit.id: used})


def _thresholds(policies: Sequence[PolicySet]) -> set[float]:
    signals = [policy.confidence for policy in policies if policy.confidence]
    bounds = {bound for signal in signals for bound in signal.raise_below}
    return {max(0.0, round(bound - 0.01, 9)) for bound in bounds} | bounds | {0.0, 0.5}


def _points(policies: Sequence[PolicySet]) -> set[float]:
    risks = [policy.session_risk for policy in policies if policy.session_risk]
    bounds = {at for risk in risks for at, _ in risk.raise_at}
    return bounds | {max(0.0, bound - 0.01) for bound in bounds}
