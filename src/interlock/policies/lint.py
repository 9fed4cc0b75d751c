"""What a sound policy never needs: rules that change nothing, conditions that are no conditions.

Only what is certain is a problem. A file with one of these does not say what its author thinks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..core.decisions import Level, Stake
from ..core.rules import Indeterminate, PolicySet, Rule, Tool
from .attention import check_batch
from .expression_syntax import Logic, Loop, Node, Unary, parse, walk
from .expressions import compile_node, depends
from .learning import check_records, check_shares
from .lint_domains import Domains, answer, domains, impossible
from .problems import Source
from .selection import Path, Selection

NOTHING: Domains = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    """A rule with its place."""

    rule: Rule
    source: Source
    path: Path
    tools: frozenset[str]
    patterns: tuple[str, ...]
    always: bool


def check(sources: Sequence[Source], policy: PolicySet, selection: Selection) -> None:
    """Leave a problem for each rule and exception that can never do what it says."""
    for source in sources:
        _check_constants(source)
        _check_domains(source, policy, selection)
        check_shares(source)
        check_records(source)
    if any(source.problems for source in sources):
        return
    rules = list(_written(sources, policy, selection))
    always = [each for each in rules if each.always]
    for index, each in enumerate(rules):
        _check_covered(each, always, rules, index)
        _check_effect(each, policy)
    for source in sources:
        _check_lowering(source, selection, always)
    check_batch(sources, policy)


def _written(
    sources: Sequence[Source], policy: PolicySet, selection: Selection
) -> Iterator[_Written]:
    compiled = {rule.id: rule for rule in policy.rules}
    for source in sources:
        for index, entry in enumerate(source.model.rules):
            path: Path = ("rules", index)
            yield _Written(
                rule=compiled[entry.id],
                source=source,
                path=path,
                tools=selection.named(source, path, entry.tools),
                patterns=entry.tools,
                always=entry.when is None,
            )


# ---- conditions ------------------------------------------------------------------------------


def _check_constants(source: Source) -> None:
    for index, rule in enumerate(source.model.rules):
        path: Path = ("rules", index, "when")
        answer = None if rule.when is None else constant(parse(rule.when))
        if answer is False:
            source.refuse(path, f"it is always false, so {rule.id!r} never fires: take it out")
        elif answer is True:
            source.refuse(path, f"it is always true: leave `when` out, so that {rule.id!r} says so")
    for index, each in enumerate(source.model.exceptions):
        answer = constant(parse(each.when))
        if answer is not None:
            word = "true" if answer else "false"
            source.refuse(("exceptions", index, "when"), f"it is always {word}: say when")
    for index, text in enumerate(source.model.edit.must):
        answer = constant(parse(text))
        if answer is not None:
            word = "true" if answer else "false"
            source.refuse(("edit", "must", index), f"it is always {word}: say what to keep to")


def _check_domains(source: Source, policy: PolicySet, selection: Selection) -> None:
    """Refuse conditions about values that a field never has: an hour 24, a role of no schema."""
    entries: list[tuple[Path, str | None, tuple[str, ...]]] = [
        *((("rules", at), each.when, each.tools) for at, each in enumerate(source.model.rules)),
        *(
            (("exceptions", at), each.when, each.tools)
            for at, each in enumerate(source.model.exceptions)
        ),
    ]
    for path, when, patterns in entries:
        if when is None or constant(parse(when)) is not None:
            continue
        names = selection.named(source, path, patterns)
        to_come = policy.shadow or any("*" in text for text in patterns)
        known = domains([] if to_come else [policy.tools[name] for name in sorted(names)])
        for reason in _out_of_domain(parse(when), known):
            source.refuse((*path, "when"), reason)
            break


def _out_of_domain(node: Node, known: Domains) -> Iterator[str]:
    for _, reason in impossible(node, known):
        yield reason
    present = {name: domain for name, domain in known.items() if domain.there}
    fixed = constant(node, present)
    if fixed is not None:
        word = "true" if fixed else "false"
        yield f"it is {word} for every value that a call can have here: say when"


def constant(node: Node, known: Domains = NOTHING) -> bool | None:
    """Return what a condition always answers; None where that depends on something.

    `vars` count as something: they are there to be changed. *known*: what fields can be.
    """
    if isinstance(node, Logic):
        return _joined(node, known)
    if isinstance(node, Unary) and node.op == "!":
        inner = constant(node.operand, known)
        return None if inner is None else not inner
    if (certain := answer(node, known)) is not None:
        return certain
    if isinstance(node, Loop) or any(depends(each) for each in walk(node)):
        return None
    try:
        value = compile_node(node, {})({})
    except Indeterminate:
        return None
    return value if isinstance(value, bool) else None


def _joined(node: Logic, known: Domains) -> bool | None:
    decisive = node.op == "||"
    answers = [constant(each, known) for each in node.operands]
    if decisive in answers:
        return decisive
    return None if None in answers else not decisive


# ---- effects ---------------------------------------------------------------------------------


def _check_covered(
    each: _Written, always: Sequence[_Written], rules: Sequence[_Written], index: int
) -> None:
    """Refuse a rule where another one, without a condition, always raises as far."""
    rule = each.rule
    if rule.deny is not None or rule.shadow:
        return  # its message tells the agent something of its own; a trial is there to count
    for other in always:
        if other is each or other.rule.shadow or not other.tools >= each.tools:
            continue
        if "*" in each.patterns and "*" not in other.patterns:
            continue
        same = each.always and _covers(rule, other.rule)
        if not _covers(other.rule, rule) or (same and rules.index(other) > index):
            continue
        each.source.refuse(
            (*each.path, "id"),
            f"{rule.id!r} is never what decides: {other.rule.id!r} "
            f"({other.source.place(other.path)}) always raises its tools as far or further",
        )
        return


def _check_lowering(source: Source, selection: Selection, always: Sequence[_Written]) -> None:
    """Refuse exceptions and grants that can never lower, because a rule always fires."""
    exceptions, grants = source.model.exceptions, source.model.approvals.grants
    entries: list[tuple[Path, tuple[str, ...]]] = [
        *((("exceptions", index), each.tools) for index, each in enumerate(exceptions)),
        *((("approvals", "grants", index), each.tools) for index, each in enumerate(grants)),
    ]
    for path, patterns in entries:
        tools = selection.named(source, path, patterns)
        for rule in always:
            if tools and tools <= rule.tools and not rule.rule.shadow:
                source.refuse(
                    (*path, "tools"),
                    f"nothing is lowered here: {rule.rule.id!r} ({rule.source.place(rule.path)}) "
                    "always fires, and nothing lowers where a rule fires",
                )
                break


def _covers(strong: Rule, weak: Rule) -> bool:
    return strong.deny is not None or (
        weak.deny is None
        and strong.at_least >= weak.at_least
        and strong.stake >= weak.stake
        and strong.reversibility >= weak.reversibility
    )


def _check_effect(each: _Written, policy: PolicySet) -> None:
    """Refuse a rule that asks for no more than the matrix gives to every tool that it names.

    Patterns speak of tools to come, and a rule that fires keeps exceptions and grants from
    lowering: where either may be, nothing is certain.
    """
    rule = each.rule
    if rule.deny is not None or rule.shadow or any("*" in text for text in each.patterns):
        return
    tools = [policy.tools[name] for name in each.tools]
    if any(tool.exceptions or tool.grants for tool in tools):
        return
    if all(_idle(rule, tool, policy) for tool in tools):
        least = min(_least(tool, policy) for tool in tools)
        each.source.refuse(
            (*each.path, "id"),
            f"{rule.id!r} changes nothing: its tools are at least {least.word} by the matrix, and "
            f"no exception or grant lowers them",
        )


def _idle(rule: Rule, tool: Tool, policy: PolicySet) -> bool:
    return (
        not tool.shadow  # what the matrix asks for is not enforced there; the rule is
        and rule.stake <= _stake(tool)
        and rule.reversibility <= tool.reversibility
        and rule.at_least <= _least(tool, policy)
    )


def _least(tool: Tool, policy: PolicySet) -> Level:
    return policy.matrix[tool.reversibility][_stake(tool)]


def _stake(tool: Tool) -> Stake:
    """Return the lowest stake that a call of the tool can have; the matrix rises with it."""
    return max(
        (each.bands[0].stake if each.value else each.stake for each in tool.facets),
        default=Stake.LOW,
    )
