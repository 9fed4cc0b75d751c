"""Mutants that no case can tell apart, by the structure of the policy alone.

Only certain cases: a level is never below its matrix cell, a cell that no tool can reach decides
nothing, a facet that another fixed facet always outweighs weighs nothing, and a case sees a target
only where grants or remembered refusals look at it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ..core.decisions import Level, Reversibility, Stake
from ..core.patterns import HttpMatch, Kind
from ..core.rules import Facet, PolicySet, Rule, Tool
from .mutate_maker import Mutant
from .positions import Document


def equivalent(mutant: Mutant, document: Document, policy: PolicySet) -> str:
    """Return why *mutant* decides as *policy* does; empty where that is not certain."""
    proof = _PROOFS.get(mutant.kind)
    return proof(mutant, document, policy) if proof else ""


def reachable(policy: PolicySet) -> set[tuple[Reversibility, Stake]]:
    """Return every cell of the matrix that some call may reach, and perhaps more."""
    return {cell for tool in policy.tools.values() for cell in _cells(tool)}


def _cells(tool: Tool) -> Iterator[tuple[Reversibility, Stake]]:
    rows = {tool.reversibility, *(rule.reversibility for rule in tool.rules)}
    rows = {row for row in rows if row >= tool.reversibility}
    if hasattr(tool.match, "server"):
        # What an MCP server says of its tool may raise this further.
        rows = {row for row in Reversibility if row >= tool.reversibility}
    least = _least_stake(tool)
    stakes = {stake for facet in tool.facets for stake in _stakes(facet)}
    stakes |= {rule.stake for rule in tool.rules} | {least}
    for row in rows:
        yield from ((row, stake) for stake in stakes if stake >= least)


def _stakes(facet: Facet) -> set[Stake]:
    if facet.value is None:
        return {facet.stake}
    return {band.stake for band in facet.bands} | {Stake.CRITICAL}


def _least_stake(tool: Tool) -> Stake:
    """Return the stake that every call of *tool* has at least."""
    return max((min(_stakes(facet)) for facet in tool.facets), default=Stake.LOW)


def _cell_is_never_reached(mutant: Mutant, document: Document, policy: PolicySet) -> str:
    row, stake = Reversibility[str(mutant.path[1]).upper()], Stake(int(mutant.path[2]))
    if (row, stake) in reachable(policy):
        return ""
    return f"no tool can reach {row.word} x {stake.word}"


def _class_is_never_used(mutant: Mutant, document: Document, policy: PolicySet) -> str:
    name, word = str(mutant.path[1]), mutant.path[2]
    used = {
        str((entry.get("facets") or {}).get(name)) for entry in document.data.get("tools") or ()
    }
    return "" if str(word) in used else f"no tool is {name}: {word}"


def _facet_is_never_used(mutant: Mutant, document: Document, policy: PolicySet) -> str:
    name = str(mutant.path[1])
    used = any(name in (each.get("facets") or {}) for each in document.data.get("tools") or ())
    return "" if used else f"no tool has the facet {name}"


def _cell_asks_as_much(mutant: Mutant, document: Document, policy: PolicySet) -> str:
    entry = document.data["rules"][mutant.path[1]]
    rule = next((each for each in policy.rules if each.id == entry.get("id")), None)
    if rule is None:
        return ""
    if rule.shadow:
        return f"{rule.id} is in shadow mode, so it only counts"
    floors = [_floor(tool, policy) for tool in policy.tools.values() if _applies(rule, tool)]
    if rule in policy.unknown_rules:
        floors.append(policy.unknown_tool.level)
    if floors and min(floors) >= rule.at_least:
        return f"the matrix asks for {min(floors).word} or more wherever {rule.id} applies"
    return ""


def _only_counts(mutant: Mutant, document: Document, policy: PolicySet) -> str:
    entry = document.data[mutant.path[0]][mutant.path[1]]
    shadowed = entry.get("mode") == "shadow" or document.data.get("mode") == "shadow"
    if (
        shadowed
        and len(mutant.path) > 2
        and mutant.path[2] in ("then", "stake", "reversibility", "deny")
    ):
        return f"{entry.get('id')} is in shadow mode, so it only counts"
    return ""


def _applies(rule: Rule, tool: Tool) -> bool:
    return any(each.id == rule.id for each in tool.rules)


def _floor(tool: Tool, policy: PolicySet) -> Level:
    if tool.shadow or policy.shadow:
        return Level.ALLOW  # the cell is only counted there, what a rule asks for may be enforced
    return policy.matrix[tool.reversibility][_least_stake(tool)]


def _another_facet_outweighs_it(mutant: Mutant, document: Document, policy: PolicySet) -> str:
    entry = document.data["tools"][mutant.path[1]]
    tool, name = policy.tools.get(str(entry.get("id"))), mutant.path[3]
    if tool is None:
        return ""
    names = [each.name for each in tool.facets]
    mine = tool.facets[names.index(str(name))] if name in names else None
    if mine is None or mine.value is not None:
        return ""
    for index, each in enumerate(tool.facets):
        # Of equal facets the first decides, so a later one that is no heavier never does.
        earlier = index < names.index(mine.name)
        if each.value is None and (each.stake > mine.stake or earlier and each.stake == mine.stake):
            return f"{each.name} {each.shown} outweighs it in every call"
    return ""


def _target_is_everything(mutant: Mutant, document: Document, policy: PolicySet) -> str:
    """Say why without `target` the target is the same, or why no case can see what it is."""
    entry = document.data["tools"][mutant.path[1]]
    tool = policy.tools.get(str(entry.get("id")))
    if tool is None:
        return ""
    if tool.grants is None and policy.repeat_denied is None:
        return f"neither grants nor repeat_denied look at the target of {tool.id}"
    names = _all_arguments(tool)
    if names and tool.target is not None and names == set(tool.target):
        return f"{tool.id} has no other argument"
    return ""


def _all_arguments(tool: Tool) -> set[str]:
    """Return the arguments that each call of *tool* has, where it can have no other; else none."""
    match = tool.match
    if not isinstance(match, HttpMatch) or tool.bodies or match.graphql is not None:
        return set()
    if match.query or match.form or match.json or match.declared or match.declared_globs:
        return set()
    return {each.text for each in match.segments if each.kind is not Kind.LITERAL}


def _no_threshold_lies_between(mutant: Mutant, document: Document, policy: PolicySet) -> str:
    *_, last = mutant.path
    if last != "missing" or policy.confidence is None:
        return ""
    was, now = document.data["signals"]["confidence"][last], mutant.changes[0][1]
    if type(now) not in (int, float) or not 0 <= now <= 1:
        return ""
    thresholds = policy.confidence.raise_below
    if any((was < at) != (now < at) for at in thresholds):
        return ""
    return f"no threshold lies between {was:g} and {now:g}"


_PROOFS: Mapping[str, Callable[[Mutant, Document, PolicySet], str]] = {
    "matrix": _cell_is_never_reached,
    "class": _class_is_never_used,
    "band": _facet_is_never_used,
    "at_least": _cell_asks_as_much,
    "stake": _only_counts,
    "deny": _only_counts,
    "limit": _only_counts,
    "facet": _another_facet_outweighs_it,
    "target": _target_is_everything,
    "signal": _no_threshold_lies_between,
}
