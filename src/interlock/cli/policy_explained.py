"""An explanation of one decision, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import click

from ..policies.explain import ConditionLine, Explanation
from .console import painted, safe

_NOTHING = "nothing that was tried lowers it"


def lines(found: Explanation) -> Iterator[str]:
    """Yield the lines of an explanation, for people."""
    decision = found.decision
    yield f"{painted(decision.level.word)}  {decision.tool or 'unknown tool'}" + (
        f"  ({decision.description})" if decision.description else ""
    )
    if found.level is not decision.level:
        yield f"  shadow mode: it would be {painted(found.level.word)}"
    if decision.message:
        yield f"  {safe(decision.message)}"
    for name, value in decision.arguments.items():
        source = decision.sources.get(name, "")
        yield safe(f"  args.{name} = {value!r}" + (f"  ({source})" if source else ""))
    yield from _section("Stake", _facets(found))
    if found.cell:
        matrix = f"{decision.reversibility.word} x {decision.stake.word}: {found.cell}"
        yield from _section("Matrix", iter([matrix]))
    for title, kind in (("Rules", "rule"), ("Exceptions", "exception")):
        of_kind = [each for each in found.conditions if each.kind == kind]
        yield from _section(title, (line for each in of_kind for line in _condition(each)))
    yield from _section("Limits", _limits(found))
    yield from _section("Signals", iter(found.signals))
    yield from _section("People", iter(found.people))
    yield from _section("Step by step", iter(decision.trace))
    yield from _lower(found)


def _section(title: str, inner: Iterator[str]) -> Iterator[str]:
    first = next(inner, None)
    if first is None:
        return
    yield ""
    yield click.style(title, bold=True)
    yield f"  {safe(first)}"
    for line in inner:
        yield f"  {safe(line)}"


def _facets(found: Explanation) -> Iterator[str]:
    for each in found.facets:
        value = each.shown if each.value == each.shown else f"{each.shown} = {each.value}"
        band = f" ({each.band})" if each.band else ""
        decides = "  <- decides" if each.name == found.decision.facet else ""
        yield f"{each.name} {value}: {each.stake}{band}{decides}"


def _condition(each: ConditionLine) -> Iterator[str]:
    done = {True: "applies", False: "does not apply"}[each.applied]
    shadow = ", in shadow mode" if each.shadow else ""
    answer = "has no condition" if each.answer == "always" else f"is {each.answer}"
    yield f"{each.id} {answer}, {done}{shadow} ({each.effect})  {each.place}"
    for part in each.parts:
        yield f"{'  ' * (part.depth + 1)}{part.text}  =>  {part.shown}"


def _limits(found: Explanation) -> Iterator[str]:
    for each in found.limits:
        takes = "an amount that cannot be read" if each.takes is None else f"{each.takes:.15g}"
        said = f"at least {each.then}" if each.exceeded else "fits"
        used = "not known how much is" if each.used is None else f"{each.used:.15g}"
        sums = f"{used} used, this call takes {takes}, {each.fits:.15g} fit"
        yield f"{each.id}: {sums}: {said}"


def _lower(found: Explanation) -> Iterator[str]:
    if not found.level:
        return
    yield ""
    yield click.style("One level lower, or more, with any one of these", bold=True)
    for way in found.lower:
        what = " and ".join(way.changes)
        yield f"  {safe(what)}: {painted(way.level.word)}"
    if not found.lower:
        yield f"  ({_NOTHING})"


def as_json(found: Explanation) -> dict[str, Any]:
    """Return an explanation as JSON."""
    decision = found.decision
    return {
        "level": decision.level.word,
        "would_be": None if decision.would_be is None else decision.would_be.word,
        "tool": decision.tool,
        "reason": decision.reason,
        "message": decision.message,
        "stake": decision.stake.word,
        "reversibility": decision.reversibility.word,
        "facet": decision.facet,
        "cell": found.cell,
        "indeterminate": decision.indeterminate,
        "arguments": dict(decision.arguments),
        "facets": [asdict(each) for each in found.facets],
        "conditions": [_described(each) for each in found.conditions],
        "limits": [asdict(each) for each in found.limits],
        "signals": list(found.signals),
        "people": list(found.people),
        "rules_fired": [hit.id for hit in decision.rules],
        "signals_fired": list(decision.signals),
        "exceptions_applied": list(decision.exceptions),
        "grant": decision.grant,
        "trace": list(decision.trace),
        "one_level_lower": [
            {"changes": list(way.changes), "about": list(way.about), "level": way.level.word}
            for way in found.lower
        ],
    }


def _described(each: ConditionLine) -> dict[str, Any]:
    parts = [{"text": part.text, "depth": part.depth, "value": part.shown} for part in each.parts]
    return {**asdict(each), "parts": parts}
