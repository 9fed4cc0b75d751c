"""Properties: claims about generated calls, checked on a fixed sample."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..core.decisions import Level
from ..core.patterns import Pattern
from ..core.rules import PolicySet, Tool
from .suite_calls import BadCall
from .suite_document import AgentEntry, CallEntry, Property

Judge = Callable[[CallEntry, AgentEntry], Level | None]
"""Answers the level of a call, or None where its arguments do not fit the tool's schema."""

SAMPLES = 60
_NUMBERS = (0, 1, 2.5, 49.99, 50, 50.01, 100, 499, 500, 501, 9999.5, 10_000, 10_001, 1_000_000)
_TEXTS = ("a", "ann@example.com", "eve@evil.example", "0.0.0.0/0", "founder-1", "x" * 40)
_CONFIDENCES = (0.0, 0.29, 0.3, 0.5, 0.6, 0.75, 0.9, 0.99, 1.0)


def check_property(claim: Property, policy: PolicySet, judge: Judge) -> tuple[int, list[str]]:
    """Return how many calls were judged, and how the claim failed (at most three examples)."""
    tools = [tool for tool in policy.tools.values() if _in_scope(claim, tool)]
    if not tools:
        return 0, [f"no tool is in its scope (tool: {claim.for_.tool})"]
    failures: list[str] = []
    count = 0
    for tool in tools:
        rows = _varied(claim, tool) if claim.for_.vary else ([each] for each in _sample(tool))
        for row in rows:
            judged = [(item, judge(*item)) for item in row]
            fitting = [(item, level) for item, level in judged if level is not None]
            count += len(fitting)
            failures += _broken(claim, tool, fitting)
            if len(failures) >= 3:
                return count, failures[:3]
    if not count and not failures:
        failures.append("no generated call fits the schema of its tool")
    return count, failures


def _in_scope(claim: Property, tool: Tool) -> bool:
    scope = claim.for_
    return Pattern(scope.tool).matches(tool.id) and scope.egress in (None, tool.egress)


def _broken(
    claim: Property, tool: Tool, judged: list[tuple[tuple[CallEntry, AgentEntry], Level]]
) -> list[str]:
    if claim.level_at_least:
        floor = Level[claim.level_at_least.upper()]
        return [
            f"{tool.id} {call.args} is {level.word}" for (call, _), level in judged if level < floor
        ]
    down = claim.monotone_down is not None
    return [
        f"{tool.id}: {claim.for_.vary} from {_shown(claim, before)} to "
        f"{_shown(claim, after)} goes from {one.word} to {other.word}"
        for (before, one), (after, other) in itertools.pairwise(judged)
        if (other > one if down else other < one)
    ]


def _shown(claim: Property, item: tuple[CallEntry, AgentEntry]) -> object:
    root, _, name = str(claim.for_.vary).partition(".")
    return item[0].args.get(name) if root == "args" else getattr(item[1], name, None)


def _sample(tool: Tool) -> Iterator[tuple[CallEntry, AgentEntry]]:
    chosen = random.Random(tool.id)  # noqa: S311 -- a sample that is the same in every run
    for _ in range(SAMPLES):
        agent = AgentEntry(id="agent", confidence=chosen.choice(_CONFIDENCES))
        yield CallEntry(tool=tool.id, args=_arguments(tool.args_schema, chosen)), agent


def _varied(claim: Property, tool: Tool) -> Iterator[list[tuple[CallEntry, AgentEntry]]]:
    """Yield rows of calls that differ in what varies, in rising order."""
    root, _, name = str(claim.for_.vary).partition(".")
    if root == "args":
        for call, agent in _sample(tool):
            yield [
                (call.model_copy(update={"args": {**call.args, name: number}}), agent)
                for number in _NUMBERS
            ]
    elif (root, name) == ("agent", "confidence"):
        for call, agent in _sample(tool):
            yield [(call, agent.model_copy(update={"confidence": share})) for share in _CONFIDENCES]
    else:
        raise BadCall(f"{claim.for_.vary!r} cannot vary: use args.NAME or agent.confidence")


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
