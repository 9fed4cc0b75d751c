"""What is found while a call is judged, and what the policy's own text adds to it.

Everything in `Judging` only rises, until exceptions and grants lower it at the very end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .actions import Body, ToolCall
from .arguments import Arguments
from .counting import weight_of
from .decisions import Level, Reversibility, RuleHit, Stake
from .facts import Counter
from .rules import Environment, Exception_, Facet, Indeterminate, Limit, Rule, Tool

LEVELS = tuple(level.word for level in Level)
STAKES = tuple(stake.word for stake in Stake)
REVERSIBILITIES = tuple(each.word for each in Reversibility)


@dataclass(slots=True)
class Judging:
    """What has been found so far."""

    stake: Stake = Stake.LOW
    reversibility: Reversibility = Reversibility.READ_ONLY
    facet: str = ""
    floor: Level = Level.ALLOW  #: of rules and limits
    base: Level = Level.ALLOW  #: before signals
    level: Level = Level.ALLOW
    would_be: Level | None = None
    reason: str = ""
    message: str = ""
    indeterminate: bool = False
    refused: bool = False
    grant: str = ""
    denials: list[str] = field(default_factory=list)
    hits: list[RuleHit] = field(default_factory=list)
    shadow: list[str] = field(default_factory=list)
    signals: list[str] = field(default_factory=list)
    exceptions: list[str] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)
    #: what the call takes of each budget, and whether it fits in it
    shares: list[tuple[Limit, Counter, int, bool]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  #: one line per step, for people

    @property
    def settled(self) -> bool:
        """Whether nothing may lower the level: something fired, or is in doubt."""
        return bool(
            self.hits or self.limits or self.indeterminate or self.reason or self.refused
        ) or self.level in (Level.ALLOW, Level.DENY)

    def raise_by(self, steps: int) -> None:
        """Raise the level by *steps*, to two people at most: signals alone never deny."""
        if self.level is not Level.DENY:
            self.level = Level(min(self.level + max(0, steps), Level.APPROVE_DUAL))


def refuse(judging: Judging, reason: str, message: str) -> None:
    judging.level, judging.reason, judging.message = Level.DENY, reason, message
    judging.stake = Stake.CRITICAL
    judging.notes.append(f"refused, {reason}: {message}")


def misfit(tool: Tool, arguments: Arguments) -> tuple[str, str]:
    """Return why the arguments cannot be judged, as a word and for the agent, or ("", "")."""
    if arguments.ambiguous:
        return "ambiguous_argument", arguments.ambiguous
    if tool.invalid is not None and (why := tool.invalid(arguments.values)):
        message = f"The arguments do not fit {tool.id}: {why}. Correct the call and send it again."
        return "args_schema_mismatch", message
    return "", ""


def weigh(facet: Facet, seen: Environment, judging: Judging) -> None:
    """Raise the stake to what *facet* says; an amount that cannot be read is in the last band."""
    stake, shown = facet.stake, facet.shown
    if facet.value is not None:
        try:
            amount = facet.value(seen)
            stake, shown = _band(facet, amount), f"{facet.shown} = {amount}"
        except Indeterminate as doubt:
            judging.indeterminate = True
            stake, shown = facet.bands[-1].stake, f"{facet.shown} (indeterminate: {doubt})"
    judging.notes.append(f"facet {facet.name} {shown}: {STAKES[stake]}")
    if not judging.facet or stake > judging.stake:
        judging.stake, judging.facet = stake, facet.name


def _band(facet: Facet, amount: Any) -> Stake:
    if type(amount) not in (int, float) or not math.isfinite(amount):
        raise Indeterminate(f"{facet.shown} is not a finite number")
    # A sign may mean direction, never less weight.
    size = abs(amount)
    for band in facet.bands:
        if band.upto is None or size <= band.upto:
            return band.stake
    return Stake.CRITICAL


def apply_rules(rules: tuple[Rule, ...], seen: Environment, judging: Judging) -> None:
    notes = judging.notes
    for rule in rules:
        doubt = ""
        try:
            fires = rule.when is None or rule.when(seen)
        except Indeterminate as unclear:
            fires, doubt = True, str(unclear) or "cannot be evaluated"
        if not fires:
            notes.append(rule.unfired)
        elif rule.shadow:
            notes.append(f"rule {rule.id} (shadow): {_answer(doubt)} -> {rule.effect}")
            judging.shadow.append(rule.id)
        else:
            notes.append(f"rule {rule.id}: {_answer(doubt)} -> {rule.effect}")
            _fire(rule, doubt, judging)


def _answer(doubt: str) -> str:
    return f"indeterminate ({doubt}), so it fires" if doubt else "true"


def _fire(rule: Rule, doubt: str, judging: Judging) -> None:
    judging.hits.append(
        RuleHit(id=rule.id, effect=rule.effect, description=rule.description, indeterminate=doubt)
    )
    judging.indeterminate |= bool(doubt)
    judging.floor = max(judging.floor, rule.at_least)
    judging.reversibility = max(judging.reversibility, rule.reversibility)
    if rule.stake > judging.stake:
        judging.stake, judging.facet = rule.stake, rule.id
    if rule.deny is not None:
        judging.floor = Level.DENY
        judging.denials.append(rule.deny)


def apply_limits(
    shares: tuple[tuple[Limit, Counter], ...],
    used: Any,
    seen: Environment,
    judging: Judging,
) -> None:
    """Raise where the call would exceed a budget, or where that cannot be told.

    *used*: what the store counted, by key, in millionths.
    """
    for limit, counter in shares:
        taken, weight, doubt = used.get(counter.key), 0, ""
        try:
            weight = weight_of(limit, seen)
        except Indeterminate as unclear:
            doubt = str(unclear) or "the amount cannot be read"
        if type(taken) is not int:
            taken, doubt = 0, doubt or "what was used is not known"
        total = max(0, taken) + weight
        exceeds = bool(doubt) or total > limit.maximum
        if weight:
            judging.shares.append((limit, counter, weight, not exceeds))
        if exceeds:
            said = f"indeterminate ({doubt})" if doubt else _sum(total, limit.maximum)
            _exceed(limit, said, bool(doubt), judging)
        else:
            judging.notes.append(f"limit {limit.id}: {_sum(total, limit.maximum)}")


def _sum(total: int, maximum: int) -> str:
    return f"{total / 1e6:.15g} of {maximum / 1e6:.15g}"


def _exceed(limit: Limit, said: str, doubt: bool, judging: Judging) -> None:
    shadow = " (shadow)" if limit.shadow else ""
    judging.notes.append(f"limit {limit.id}{shadow}: {said} -> at least {limit.then.word}")
    if limit.shadow:
        judging.shadow.append(limit.id)
        return
    judging.limits.append(limit.id)
    judging.indeterminate |= doubt
    judging.floor = max(judging.floor, limit.then)
    if limit.then is Level.DENY:
        judging.denials.append(
            f"The limit {limit.id} is reached ({said}). Do not send the call again before its"
            f" window of {limit.window_ms // 1000} s has passed."
        )


def heed_body(call: ToolCall, tool: Tool, judging: Judging) -> bool:
    """Say whether the body is of a kind that the tool is known to take; note where it is not."""
    kind = call.content.kind
    if kind is Body.NONE or kind in tool.bodies or Body.OPAQUE in tool.bodies:
        return True
    if call.mcp is not None and kind is Body.JSON:
        return True
    judging.reason = "unknown_content_type"
    judging.message = (
        f"{tool.id} is not known to take a body of type "
        f"{call.content.media_type or 'unknown'!r}, so a person decides."
    )
    judging.notes.append(f"body {kind.value} {call.content.media_type}: not declared, held")
    return False


def apply_exceptions(
    exceptions: tuple[Exception_, ...], seen: Environment, at: datetime, judging: Judging
) -> None:
    """Lower to what an exception says, where nothing fired and nothing is in doubt."""
    if not exceptions or judging.settled:
        return
    today = at.astimezone(UTC).date()
    lowest = judging.level
    for each in exceptions:
        if each.at_most >= judging.level:
            continue
        if today > each.expires:
            judging.notes.append(f"exception {each.id}: ended on {each.expires}")
            continue
        try:
            applies = each.when(seen)
        except Indeterminate as doubt:
            judging.notes.append(f"exception {each.id}: indeterminate ({doubt}), does not apply")
            continue
        if applies and not each.shadow:
            judging.exceptions.append(each.id)
            lowest = min(lowest, each.at_most)
            judging.notes.append(
                f"exception {each.id} (until {each.expires}, {each.owner}): "
                f"at most {each.at_most.word}"
            )
        else:
            judging.notes.append(f"exception {each.id}: {'shadow' if applies else 'false'}")
    judging.level = lowest
