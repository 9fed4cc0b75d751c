"""Calls made up from what policies compare with: bounds, constants, thresholds, sizes of limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.rules import PolicySet, Tool
from .corpus import CorpusEntry, Recorded
from .corpus_circumstances import circumstances
from .corpus_constants import Wish, constants, wishes
from .corpus_pairs import Factors, around, bound, quiet
from .explain_conditions import Written
from .suite import moment
from .suite_calls import BadCall, make_call, setting
from .suite_document import AgentEntry, FactsEntry
from .suite_facts import judged
from .suite_properties import sample

_SAMPLES = 12
_MOST_VALUES = 40
_SURE = AgentEntry(confidence=1.0)
_UNUSABLE = 100  #: heavier than any level


def generated(
    policies: Sequence[PolicySet], written: Sequence[Mapping[str, Written]]
) -> Iterator[Recorded]:
    """Yield calls for every tool of *policies*: samples, then each value that matters.

    What matters is what the policies compare with: bounds of bands, constants of conditions and
    of `vars`, hours, thresholds of confidence and session risk, the size of limits. Each is tried
    in a call of which little is asked, alone and together with others; and beside what a rule or
    exception asks for, as far as equality, `in` and `startsWith` say what that is. Always the same.
    """
    tools: dict[str, Tool] = {}
    for policy in policies:
        tools = {**policy.tools, **tools}
    known = _Known(policies=policies, written=written, constants=tuple(constants(written)))
    most = bound(len(tools))
    for tool in tools.values():
        for count, each in enumerate(_entries(tool, known, most)):
            yield Recorded(entry=each, place=f"generated {tool.id} #{count + 1}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """Both policies, and what they compare with."""

    policies: Sequence[PolicySet]
    written: Sequence[Mapping[str, Written]]
    constants: Sequence[Any]


def _entries(tool: Tool, known: _Known, most: int) -> Iterator[CorpusEntry]:
    versions = [policy.tools[tool.id] for policy in known.policies if tool.id in policy.tools]
    properties = _properties(versions)
    wanted = [_fitting(wish, properties) for wish in _wishes(versions, known)]
    calls = [call for call, _ in sample(tool, _SAMPLES)]
    for call in calls:
        yield CorpusEntry(call=call, agent=_SURE)
    first = calls[0]
    values = {name: _values(each, versions, known) for name, each in properties.items()}
    for wish in (Wish(args={}, agent={}), *wanted):
        agent = _SURE.model_copy(update=dict(wish.agent))
        base = first.model_copy(update={"args": {**first.args, **wish.args}})
        yield CorpusEntry(call=base, agent=agent)
        for name, several in values.items():
            for value in several:
                call = base.model_copy(update={"args": {**base.args, name: value}})
                yield CorpusEntry(call=call, agent=agent)
    factors: Factors = {
        **{f"args.{name}": several for name, several in values.items() if several},
        **circumstances(versions, known.policies, known.written),
        "wish": wanted,
    }
    yield CorpusEntry(call=first, agent=_SURE, facts=FactsEntry(unknown=True))
    for base_args in _quiet(tool, properties, factors, known.policies):
        yield from around(tool.id, base_args, factors, most)


def _quiet(
    tool: Tool, properties: Mapping[str, Any], factors: Factors, policies: Sequence[PolicySet]
) -> list[dict[str, Any]]:
    """Return the arguments of which each policy asks for the least; one where they agree."""
    found: list[dict[str, Any]] = []
    start = {name: _small(schema) for name, schema in properties.items()}
    for policy in policies:
        if tool.id in policy.tools:
            base = quiet(tool.id, factors, start, lambda each, on=policy: _asked(each, on))  # type: ignore[misc]
            found += [] if base in found else [base]
    return found


def _asked(given: CorpusEntry, policy: PolicySet) -> int:
    task = setting({"task": given.task} if given.task else {})
    try:
        call = make_call(given.call, given.agent, task, policy)
    except BadCall:
        return _UNUSABLE
    decision = judged(call, policy, given.facts, moment(given.at))
    asked = decision.level if decision.would_be is None else decision.would_be
    return _UNUSABLE if decision.reason == "args_schema_mismatch" else int(asked)


def _wishes(versions: Sequence[Tool], known: _Known) -> Iterator[Wish]:
    ids = {rule.id for tool in versions for rule in tool.rules}
    ids |= {each.id for tool in versions for each in tool.exceptions}
    for texts in known.written:
        yield from wishes(ids, texts)


def _fitting(wish: Wish, properties: Mapping[str, Any]) -> Wish:
    args = {name: value for name, value in wish.args.items() if name in properties}
    return Wish(args=args, agent=wish.agent)


def _properties(versions: Sequence[Tool]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for tool in versions:
        found = {**((tool.args_schema or {}).get("properties") or {}), **found}
        for segment in getattr(tool.match, "segments", ()):
            if segment.kind.value != "literal":
                found.setdefault(segment.text, {"type": "string"})
    return found


def _small(schema: Any) -> Any:
    """Return a value that fits a plain *schema*, the smallest of those that are more than 0."""
    given: Mapping[str, Any] = schema if isinstance(schema, Mapping) else {}
    if given.get("enum"):
        return given["enum"][0]
    if given.get("type") in ("integer", "number"):
        least = given.get("minimum", 1)
        return least if type(least) in (int, float) and least > 0 else 1
    empty = {"boolean": False, "array": [], "object": {}}
    return empty.get(str(given.get("type")), "ann@example.com")


def _values(schema: Any, versions: Sequence[Tool], known: _Known) -> list[Any]:
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    if isinstance(schema, Mapping) and "enum" in schema:
        return list(schema["enum"])
    if kind == "boolean":
        return [False, True]
    if kind in ("integer", "number"):
        return _numbers(kind, versions, known)[:_MOST_VALUES]
    if kind in ("string", None):
        return _texts(known)[:_MOST_VALUES]
    return []


def _numbers(kind: str, versions: Sequence[Tool], known: _Known) -> list[Any]:
    numbers = [each for each in known.constants if type(each) in (int, float)]
    numbers += [
        band.upto
        for tool in versions
        for facet in tool.facets
        for band in facet.bands
        if band.upto is not None
    ]
    near = {round(n + step, 9) for n in numbers for step in (-1, -0.01, 0, 0.01, 1)}
    if kind == "integer":
        return sorted({int(n) for n in near if float(n).is_integer()})
    return sorted(near)


def _texts(known: _Known) -> list[str]:
    """Return the texts that policies name; what may be a domain also as an address in it."""
    texts: dict[str, None] = {}
    for each in known.constants:
        if isinstance(each, str):
            texts[each] = None
            if "." in each and not set(each) & set("@/ *[("):
                texts[f"ann@{each}"] = None
    return list(texts)
