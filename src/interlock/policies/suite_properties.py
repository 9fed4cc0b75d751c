"""Properties: claims about generated calls, checked on a fixed sample."""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..core.decisions import Level
from ..core.patterns import Pattern
from ..core.rules import PolicySet, Tool
from .positions import suggestion
from .suite_calls import BadCall, assigned
from .suite_document import AgentEntry, CallEntry, FactsEntry, Property, SessionEntry

Item = tuple[CallEntry, AgentEntry, FactsEntry]
Judge = Callable[[Sequence[Item]], list[Level | None]]
"""Answers the level of each call, or None where its arguments do not fit the tool's schema."""

SAMPLES = 60
_NUMBERS = (0, 1, 2.5, 49.99, 50, 50.01, 100, 499, 500, 501, 9999.5, 10_000, 10_001, 1_000_000)
_TEXTS = ("a", "ann@example.com", "eve@evil.example", "0.0.0.0/0", "founder-1", "x" * 40)
_CONFIDENCES = (0.0, 0.29, 0.3, 0.5, 0.6, 0.75, 0.9, 0.99, 1.0)
_CONFIDENT = ("agent.confidence", "facts.calibrated")
_COUNTS = (0, 1, 2, 5, 10, 20, 40, 50, 100, 1000)
_SESSION: Mapping[str, tuple[Any, ...]] = {
    "untrusted_content": (False, True),
    "sensitive_data": (False, True),
    "points": tuple(float(count) for count in _COUNTS),
    "writes": _COUNTS,
    "calls": _COUNTS,
}
_WAYS = "use args.NAME, a facet such as amount, agent.confidence, facts.calibrated or session.FIELD"


def check_property(
    claim: Property, policy: PolicySet, judge: Judge, within: Container[str] | None = None
) -> tuple[int, list[str]]:
    """Return how many calls were judged, and how the claim failed (at most three examples).

    *within*: the tools to look at, where nothing else can have changed.
    """
    tools = [tool for tool in policy.tools.values() if _in_scope(claim, tool)]
    if not tools:
        hint = suggestion(claim.for_.tool, policy.tools)
        return 0, [f"no tool is in its scope (tool: {claim.for_.tool}){hint}"]
    failures: list[str] = []
    count = 0
    if within is not None:
        tools = [tool for tool in tools if tool.id in within]
    for tool in tools:
        for row in _rows(claim, tool, policy):
            levels = zip(row, judge(row), strict=True)
            fitting = [(item, level) for item, level in levels if level is not None]
            count += len(fitting)
            failures += _broken(claim, tool, fitting)
            if len(failures) >= 3:
                return count, failures[:3]
    if tools and not count and not failures:
        failures.append("no generated call fits the schema of its tool")
    return count, failures


def _in_scope(claim: Property, tool: Tool) -> bool:
    scope = claim.for_
    return Pattern(scope.tool).matches(tool.id) and scope.egress in (None, tool.egress)


def _broken(claim: Property, tool: Tool, judged: list[tuple[Item, Level]]) -> list[str]:
    if claim.level_at_least:
        floor = Level[claim.level_at_least.upper()]
        return [
            f"{tool.id} {item[0].args} is {level.word}" for item, level in judged if level < floor
        ]
    down = claim.monotone_down is not None
    return [
        f"{tool.id}: {claim.for_.vary} from {_shown(claim, tool, before)} to "
        f"{_shown(claim, tool, after)} goes from {one.word} to {other.word}"
        for (before, one), (after, other) in itertools.pairwise(judged)
        if (other > one if down else other < one)
    ]


def _shown(claim: Property, tool: Tool, item: Item) -> object:
    root, name = _varied(claim, tool)
    call, agent, facts = item
    if root == "args":
        return _at(call.args, name)
    holders = {"agent": agent, "facts": facts}
    value = getattr(holders.get(root, facts.session), name, None)
    return {True: "true", False: "false"}.get(value, value) if type(value) is bool else value


def _at(args: Mapping[str, Any], name: str) -> object:
    root, _, rest = name.partition(".")
    inner = args.get(root)
    return _at(inner, rest) if rest and isinstance(inner, Mapping) else args.get(name)


def sample(tool: Tool, count: int = SAMPLES) -> Iterator[tuple[CallEntry, AgentEntry]]:
    """Yield calls of *tool* whose arguments fit its schema where it is plain; always the same."""
    chosen = random.Random(tool.id)  # noqa: S311 -- a sample that is the same in every run
    for _ in range(count):
        agent = AgentEntry(id="agent", confidence=chosen.choice(_CONFIDENCES))
        yield CallEntry(tool=tool.id, args=_arguments(tool.args_schema, chosen)), agent


def _rows(claim: Property, tool: Tool, policy: PolicySet) -> Iterator[list[Item]]:
    """Yield rows of calls that differ in what varies, in rising order; single calls without."""
    facts = FactsEntry(session=claim.for_.session)
    root, name = _varied(claim, tool) if claim.for_.vary else ("", "")
    values = _values(root, name, tool, policy) if root else ()
    agents = [AgentEntry(confidence=value) for value in values] if root == "agent" else []
    pasts = [_in_session(facts, name, value) for value in values] if root == "session" else []
    if root == "facts":
        pasts = [facts.model_copy(update={name: value}) for value in values]
    # Where little can differ most samples are equal, once what varies is left out.
    seen: set[str] = set()
    for call, agent in sample(tool):
        args = assigned(call.args, {name: None}) if root == "args" else call.args
        key = json.dumps([args, None if agents else agent.confidence], sort_keys=True, default=str)
        if key in seen:
            continue
        seen.add(key)
        if root == "args":
            yield [(_with_argument(call, name, value), agent, facts) for value in values]
        elif root == "agent":
            yield [(call, each, facts) for each in agents]
        elif pasts:
            yield [(call, agent, each) for each in pasts]
        else:
            yield [(call, agent, facts)]


def _with_argument(call: CallEntry, name: str, value: Any) -> CallEntry:
    return call.model_copy(update={"args": assigned(call.args, {name: value})})


def _in_session(facts: FactsEntry, name: str, value: Any) -> FactsEntry:
    session: SessionEntry = facts.session.model_copy(update={name: value})
    return facts.model_copy(update={"session": session})


def _varied(claim: Property, tool: Tool) -> tuple[str, str]:
    """Return the root and name of what varies; a facet stands for the argument that it reads."""
    written = str(claim.for_.vary)
    for facet in tool.facets:
        if facet.name == written and facet.value is not None:
            written = facet.shown
    root, _, name = written.partition(".")
    known = (root == "args" and name) or written in _CONFIDENT
    if known or (root == "session" and name in _SESSION):
        return root, name
    hint = suggestion(written, (*_CONFIDENT, *(f"session.{each}" for each in _SESSION)))
    raise BadCall(f"{claim.for_.vary!r} cannot vary{hint}: {_WAYS}")


def _values(root: str, name: str, tool: Tool, policy: PolicySet) -> tuple[Any, ...]:
    if root in ("agent", "facts"):
        signal = policy.confidence
        return _around(_CONFIDENCES, signal.raise_below if signal else (), 0.01, 1.0)
    if root == "session":
        risk = policy.session_risk if name == "points" else None
        bounds = [at for at, _ in risk.raise_at] if risk else []
        return _around(_SESSION[name], bounds, 0.01, math.inf) if bounds else _SESSION[name]
    bounds = [
        bound
        for facet in tool.facets
        for band in facet.bands
        if band.upto is not None
        for bound in (band.upto, band.upto + 0.01, math.floor(band.upto) + 1)
    ]
    return tuple(sorted({*_NUMBERS, *bounds}))


def _around(
    values: Iterable[float], bounds: Iterable[float], step: float, most: float
) -> tuple[float, ...]:
    """Return *values* with each of the policy's *bounds* and what lies just beside it."""
    beside = {round(bound + way, 9) for bound in bounds for way in (-step, 0, step)}
    return tuple(sorted({*values, *(value for value in beside if 0 <= value <= most)}))


def _arguments(schema: Mapping[str, Any] | None, chosen: random.Random) -> dict[str, Any]:
    properties: Mapping[str, Any] = (schema or {}).get("properties") or {}
    required = (schema or {}).get("required") or ()
    return {
        name: _value(inner, chosen)
        for name, inner in properties.items()
        if name in required or chosen.random() < 0.6
    }


def _value(schema: Any, chosen: random.Random) -> Any:
    if not isinstance(schema, Mapping):
        return chosen.choice(_TEXTS)
    if "enum" in schema:
        return chosen.choice(list(schema["enum"]))
    kind = schema.get("type")
    if kind == "integer":
        return int(chosen.choice(_NUMBERS))
    if kind == "number":
        return chosen.choice(_NUMBERS)
    if kind == "boolean":
        return chosen.random() < 0.5
    if kind == "array":
        return [_value(schema.get("items"), chosen) for _ in range(chosen.randrange(3))]
    return _arguments(schema, chosen) if kind == "object" else chosen.choice(_TEXTS)
