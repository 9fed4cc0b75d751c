"""Why a call is decided as it is: every step with its values, and what would lower it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ..core.actions import ToolCall
from ..core.arguments import environment
from ..core.counting import weight_of
from ..core.decisions import Decision, Level
from ..core.durations import written as written_ms
from ..core.effects import HELD
from ..core.evaluate import Prepared, decide, prepare
from ..core.facts import MILLION, Facts
from ..core.rules import Environment, Indeterminate, PolicySet
from .explain_conditions import Written, parts, written
from .explain_lower import Case, Way, ways
from .expression_trace import Part
from .load import load_policies
from .suite_document import FactsEntry
from .suite_facts import facts_of


@dataclass(frozen=True, slots=True, kw_only=True)
class FacetLine:
    """A facet of the tool, what it is for this call, and the band that it falls in."""

    name: str
    shown: str
    value: str
    stake: str
    band: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionLine:
    """A rule or an exception, whether it holds, and the value of each part of its condition."""

    id: str
    kind: str  #: rule | exception
    place: str
    answer: str  #: true | false | indeterminate | always
    effect: str
    shadow: bool
    applied: bool
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitLine:
    """A budget of the tool: what is used, what this call takes, and how much fits."""

    id: str
    used: float | None  #: None: not known
    takes: float | None  #: None: cannot be read
    fits: float
    exceeded: bool
    then: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """All that went into one decision."""

    call: ToolCall
    decision: Decision
    level: Level  #: what is asked for, in shadow mode too
    cell: str  #: what the matrix says; empty for unknown tools
    facets: tuple[FacetLine, ...]
    conditions: tuple[ConditionLine, ...]
    limits: tuple[LimitLine, ...]
    signals: tuple[str, ...]
    people: tuple[str, ...]  #: who decides or audits, and how they look; empty: nobody is asked
    lower: tuple[Way, ...]  #: each would be enough


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """A policy with the text of its conditions."""

    policy: PolicySet
    written: Mapping[str, Written]


def open_book(paths: Sequence[Path]) -> Book:
    """Read the policy files *paths*.

    Raises:
        InvalidDocument: with every problem of every file.
    """
    return Book(policy=load_policies(paths), written=written(paths))


def explain(book: Book, call: ToolCall, given: FactsEntry, at: datetime) -> Explanation:
    """Explain what *book* decides about *call*, where *given* is the past."""
    policy = book.policy
    prepared = prepare(call, policy)
    facts = facts_of(prepared, given)
    decision = decide(prepared, facts, at)
    seen = environment(call, prepared.tool, prepared.arguments.values, at, facts)
    judged = not prepared.misfit[0] and not prepared.failure
    known = judged and prepared.tool is not None
    cell = policy.matrix[decision.reversibility][decision.stake].word if known else ""
    case = Case(call=call, policy=policy, given=given, at=at, written=book.written)
    return Explanation(
        call=call,
        decision=decision,
        level=decision.level if decision.would_be is None else decision.would_be,
        cell=cell,
        facets=tuple(_facets(prepared, seen)) if judged else (),
        conditions=tuple(_conditions(book, prepared, decision, seen)) if judged else (),
        limits=tuple(_limits(prepared, facts, decision, seen)) if judged else (),
        signals=tuple(_signals(policy, call, facts, decision)) if known else (),
        people=(*_people(policy, decision), *_audited(decision)),
        lower=ways(case, decision),
    )


def _facets(prepared: Prepared, seen: Environment) -> Iterator[FacetLine]:
    for facet in prepared.tool.facets if prepared.tool else ():
        if facet.value is None:
            stake = facet.stake.word
            yield FacetLine(
                name=facet.name, shown=facet.shown, value=facet.shown, stake=stake, band=""
            )
            continue
        try:
            amount = facet.value(seen)
            value = f"{amount}"
            found = next(
                each
                for each in facet.bands
                if each.upto is None or abs(amount) <= each.upto  # as judging reads it
            )
        except (Indeterminate, TypeError, StopIteration) as doubt:
            value, found = f"indeterminate: {doubt}", facet.bands[-1]
        band = "above all bounds" if found.upto is None else f"up to {found.upto:g}"
        yield FacetLine(
            name=facet.name, shown=facet.shown, value=value, stake=found.stake.word, band=band
        )


def _conditions(
    book: Book, prepared: Prepared, decision: Decision, seen: Environment
) -> Iterator[ConditionLine]:
    tool = prepared.tool
    hits = {hit.id: hit for hit in decision.rules}
    for rule in tool.rules if tool else book.policy.unknown_rules:
        hit, text = hits.get(rule.id), book.written[rule.id]
        inner = parts(text, seen)
        yield ConditionLine(
            id=rule.id,
            kind="rule",
            place=text.place,
            answer=_answer(inner),
            effect=rule.effect,
            shadow=rule.shadow,
            applied=hit is not None,
            parts=inner,
        )
    for each in tool.exceptions if tool else ():
        text = book.written[each.id]
        inner = parts(text, seen)
        yield ConditionLine(
            id=each.id,
            kind="exception",
            place=text.place,
            answer=_answer(inner),
            effect=f"at most {each.at_most.word} until {each.expires}",
            shadow=each.shadow,
            applied=each.id in decision.exceptions,
            parts=inner,
        )


def _answer(inner: tuple[Part, ...]) -> str:
    if not inner:
        return "always"
    return inner[0].shown.partition(":")[0]


def _limits(
    prepared: Prepared, facts: Facts, decision: Decision, seen: Environment
) -> Iterator[LimitLine]:
    for limit, counter in prepared.shares:
        try:
            takes: float | None = weight_of(limit, seen) / MILLION
        except Indeterminate:
            takes = None
        yield LimitLine(
            id=limit.id,
            used=facts.used[counter.key] / MILLION if counter.key in facts.used else None,
            takes=takes,
            fits=limit.maximum / MILLION,
            exceeded=limit.id in decision.limits or limit.id in decision.shadow,
            then=limit.then.word,
        )


def _people(policy: PolicySet, decision: Decision) -> Iterator[str]:
    if decision.level not in HELD:
        return
    who = f"of {', '.join(decision.approvers)}" if decision.approvers else "of all approvers"
    yield f"{decision.quorum} {who}, within {written_ms(decision.hold_ms)}"
    if decision.dwell_ms:
        yield f"nobody approves it before it was in sight for {written_ms(decision.dwell_ms)}"
    if decision.step_up:
        yield "each approval is signed with the person's security key or passkey"
    if decision.folded:
        yield "what policy and the agent say of it is folded until the person has judged"
    if policy.attention.batch is not None:
        yield "may be approved in a batch" if decision.batch else "is approved by itself"


def _audited(decision: Decision) -> Iterator[str]:
    if decision.audit_share:
        yield f"goes through; a share of {decision.audit_share:g} is drawn for a look afterwards"


def _signals(policy: PolicySet, call: ToolCall, facts: Facts, decision: Decision) -> Iterator[str]:
    fired = set(decision.signals)

    def line(name: str, said: str) -> str:
        return f"{name}: {said}: {'raises' if name in fired else 'raises nothing'}"

    if policy.confidence is not None:
        claimed = call.context.confidence
        said = f"not said, counts as {policy.confidence.missing:g}"
        least = policy.confidence.raise_below[decision.stake]
        value = said if claimed is None else f"{claimed:g}"
        if policy.confidence.use == "calibrated":
            known_ = "not known how often it is right"
            found = facts.calibrated
            value += f" ({known_ if found is None else f'past decisions say {found:g}'})"
        stake = decision.stake.word
        yield line("confidence", f"{value}; at {stake} stake {least:g} is asked for")
    if policy.novelty is not None:
        known = {True: "seen before", False: "not seen before", None: "not known if seen before"}
        said = known[facts.familiar]
        yield line("novelty", f"{said} ({', '.join(policy.novelty.key)})")
    if policy.session_risk is not None:
        points = f"{facts.session.points:g}" if facts.session else "an unknown number of"
        steps = ", ".join(f"{at:g} (+{up})" for at, up in policy.session_risk.raise_at)
        yield line("session_risk", f"{points} points; raises from {steps}")
    if policy.repeat_denied is not None:
        said = "refused before" if facts.refused else "not refused before"
        yield line("repeat_denied", said)
